/* SPDX-License-Identifier: MIT */
/* client: one request at a time over a loop, for programs that want ten lines. Where it goes is found in client_target.c. */
#include "io/client/client_internal.h"
#include "io/loop_internal.h"
#include "io/tcp_internal.h"
#include "base/hosted/detail.h"

#include <nacre/remote.h>

#include <stdlib.h>
#include <string.h>

enum {
    MAX_BODY = 16 * 1024 * 1024, /* unless the options say otherwise */
    MAX_OPTIONS = NACRE__CLIENT_OPTIONS,
    STOP_MS = 250,   /* how soon nacre_client_stop is noticed at the latest */
    LEAVE_MS = 5000, /* how long the answer to the end of an observation is waited for */
};

/* ---- What comes back ------------------------------------------------------------------------------------------------- */

static nacre_bytes keep(nacre_client *client, size_t *used, nacre_bytes bytes)
{
    uint8_t *at = client->buf + *used;
    size_t len = bytes.len <= sizeof client->buf - *used ? bytes.len : 0; /* a message is never larger than the room */
    if (len > 0) memcpy(at, bytes.ptr, len);
    *used += len;
    return nacre_bytes_of(at, len);
}

static void keep_reply(nacre_client *client, const nacre_message *message, bool is_protected)
{
    size_t used = 0;
    client->reply.code = message->code;
    client->reply.is_protected = is_protected;
    client->reply.options = keep(client, &used, message->options);
    client->reply.payload = keep(client, &used, message->payload);
    nacre_message shown = *message;
    if (client->body_len > 0 && message->code >> 5 == 2)
        shown.payload = client->reply.payload = nacre_bytes_of(client->body, client->body_len);
    if (client->options.on_message != NULL)
        client->options.on_message(client->options.user, false, is_protected, &shown);
}

static void enter(nacre_client *client, nacre__stage next)
{
    client->stage = next;
    client->stage_ms = nacre_clock_ms();
}

/* Ends an observation in order: the answer to that ends the exchange. */
static void leave(nacre_client *client)
{
    nacre_transfer *transfer = nacre_loop_transfer(client->loop);
    enter(client, NACRE__LEAVING);
    if (nacre_transfer_unobserve(transfer, client->exchange) == NACRE_OK) return;
    nacre_transfer_cancel(transfer, client->exchange);
    client->done = true;
    client->result = NACRE_OK;
}

static void notified(nacre_client *client, const nacre_event *event)
{
    bool is_protected = event->context != NULL;
    /* One that could not be fetched whole is followed by others. RFC 8613 8.4: without protection it is none. */
    if (client->stage == NACRE__LEAVING || event->err != NACRE_OK || is_protected != (client->ctx != NULL)) return;
    if (client->stage == NACRE__WAITING) enter(client, NACRE__OBSERVING);
    nacre__client_back(client);
    keep_reply(client, &event->message, is_protected);
    bool go_on = client->observing->on_notification(client->observing->user, &client->reply);
    nacre__client_forget_body(client);
    if (!go_on) leave(client);
}

static void on_event(void *user, nacre_transfer *transfer, const nacre_event *event)
{
    nacre_client *client = user;
    if (event->kind == NACRE_EVENT_REQUEST) { /* we serve nothing */
        nacre_transfer_ignore(transfer, event->exchange);
        return;
    }
    if (client->done || event->exchange != client->exchange) return;
    if (event->kind == NACRE_EVENT_OVERSIZED || event->err == NACRE_ERR_OVERSIZED) client->oversized = event->oversized;
    if (event->kind == NACRE_EVENT_OVERSIZED) { /* a hint: the response, or the next notification, may still come */
        if (client->stage == NACRE__OBSERVING && client->observing->on_oversized != NULL)
            client->observing->on_oversized(client->observing->user, event->oversized, NACRE__CLIENT_MESSAGE);
        return;
    }
    if (event->kind == NACRE_EVENT_NOTIFICATION && client->observing != NULL) {
        notified(client, event);
        return;
    }
    bool is_answer = event->kind == NACRE_EVENT_RESPONSE || event->kind == NACRE_EVENT_NOTIFICATION;
    bool is_protected = is_answer && event->context != NULL;
    client->done = true;
    client->result = is_answer ? NACRE_OK : event->err;
    client->is_answered = event->message.code != NACRE_EMPTY;
    if (event->kind == NACRE_EVENT_NOTIFICATION)
        nacre_transfer_cancel(transfer, event->exchange); /* one answer was asked for */
    /* RFC 8613 8.4: what comes without protection is no answer to a protected request, whoever let it through. */
    if (client->result == NACRE_OK && client->ctx != NULL && !is_protected) client->result = NACRE_ERR_UNAUTHENTICATED;
    if (client->result != NACRE_OK && client->result != NACRE_ERR_UNAUTHENTICATED &&
        client->result != NACRE_ERR_NOT_PROTECTED)
        return;
    keep_reply(client, &event->message, is_protected);
}

/* ---- Life ------------------------------------------------------------------------------------------------------------- */

static const char *const *claims_of(void *self, const nacre_context *ctx)
{
    const nacre_client *client = self;
    return nacre__keyring_claims(&client->ring, ctx);
}

static nacre_err set_up(nacre_client *client, const nacre_client_options *options, nacre_detail *why)
{
    static const nacre_address any;
    client->options = *options;
    client->options.context_dir = client->options.credentials_file = NULL;
    client->options.proxy = NULL;
    client->options.credentials = NULL;
    if (client->options.max_body == 0) client->options.max_body = MAX_BODY;
    if ((options->context_dir != NULL) + (options->credentials_file != NULL) + (options->credentials != NULL) > 1)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "a context directory, a credentials file, credentials: give one of them");
    if (options->context_dir != NULL && (client->context_dir = strdup(options->context_dir)) == NULL)
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a client");
    if (options->proxy != NULL && (client->proxy = strdup(options->proxy)) == NULL)
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a client");
    nacre_err err = NACRE_OK;
    client->credentials = options->credentials;
    if (options->credentials_file != NULL) {
        err = nacre_credentials_load(&client->own_credentials, options->credentials_file, why);
        client->credentials = client->own_credentials;
    }
    if (err != NACRE_OK) return err;
    err = nacre__keyring_provider(&client->crypto, client->credentials);
    if (err != NACRE_OK) return nacre__fail(why, err, "cannot use a cryptography library: %s", nacre_err_text(err));
    err = nacre_udp_open(&client->udp, &any, why);
    if (err != NACRE_OK) return err;
    const nacre_tcp_config tcp = { .stream = { .max_message = NACRE__CLIENT_MESSAGE, .block_wise = true } };
    nacre_endpoint_config config = {
        .max_message = NACRE__CLIENT_MESSAGE, .num_client_exchanges = 4, .num_server_exchanges = 4, .burst = 8
    };
    config.timing = options->timing;
    config.crypto = client->crypto;
    const nacre_transfer_config transfer = { .num_client_exchanges = 1,
                                             .block_size = options->block_size,
                                             .max_body = 1 };
    err = nacre_loop_open_transfer(&client->loop, client->udp, &config, &transfer, on_event, client, why);
    if (err == NACRE_OK) err = nacre_tcp_open(&client->tcp, &tcp, why);
    if (err != NACRE_OK) return err;
    err = nacre_loop_add_tcp(client->loop, client->tcp);
    if (err != NACRE_OK) return nacre__fail(why, err, "cannot make connections: %s", nacre_err_text(err));
    nacre_loop_tap(client->loop, options->on_datagram, options->user);
    nacre__loop_name_contexts(client->loop, claims_of, client);
    nacre_loop_on_store(client->loop, options->on_store, options->user);
    return err;
}

nacre_err nacre_client_open(nacre_client **client, const nacre_client_options *options, nacre_detail *why)
{
    static const nacre_client_options none;
    nacre_client *made = calloc(1, sizeof *made);
    if (made == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a client");
    nacre_err err = set_up(made, options != NULL ? options : &none, why);
    if (err != NACRE_OK) {
        (void)nacre_client_close(made, NULL);
        return err;
    }
    *client = made;
    return NACRE_OK;
}

nacre_err nacre_client_close(nacre_client *client, nacre_detail *why)
{
    if (client == NULL) return NACRE_OK;
    nacre_loop_close(client->loop); /* first: its endpoint borrows the contexts */
    nacre_err err = nacre__keyring_close(&client->ring, why);
    nacre_tcp_close(client->tcp);
    nacre_udp_close(client->udp);
    if (client->crypto.ops != NULL) nacre_provider_close(&client->crypto);
    nacre_credentials_free(client->own_credentials);
    free(client->context_dir);
    free(client->proxy);
    nacre__client_forget_body(client);
    nacre_wipe(client, sizeof *client); /* the last answer's plaintext */
    free(client);
    return err;
}

nacre_store_health nacre_client_store_health(const nacre_client *client)
{
    return nacre_loop_store_health(client->loop);
}

nacre_remote nacre_client_remote(const nacre_client *client)
{
    nacre_remote remote = { .context = client->ctx, .address = client->peer };
    if (client->peer.len == 0) return remote;
    remote.local = nacre_udp_local(client->udp);
    remote.claims = client->ctx != NULL ? nacre__keyring_claims(&client->ring, client->ctx) : NULL;
    return remote;
}

/* ---- The exchange ----------------------------------------------------------------------------------------------------- */

/* The user's limit is over: what came without protection is told as at the end of CoAP's own time. */
static nacre_err out_of_time(nacre_client *client, nacre_detail *why)
{
    nacre_transfer *transfer = nacre_loop_transfer(client->loop);
    nacre_transfer_give_up(transfer, client->exchange);
    const nacre_err err = nacre_loop_step(client->loop, 0, why);
    if (!client->done) nacre_transfer_cancel(transfer, client->exchange);
    const bool is_told = client->done && (client->result == NACRE_OK || client->result == NACRE_ERR_UNAUTHENTICATED ||
                                          client->result == NACRE_ERR_NOT_PROTECTED);
    client->done = true;
    if (err != NACRE_OK) return err;
    return is_told ? client->result : NACRE_ERR_TIMEOUT;
}

static nacre_err wait_for_end(nacre_client *client, nacre_detail *why)
{
    uint64_t start = nacre_clock_ms(), limit = client->options.timeout_ms;
    while (!client->done) {
        uint64_t passed = nacre_clock_ms() - start;
        if (limit != 0 && passed >= limit) return out_of_time(client, why);
        if (client->stopped) {
            nacre_transfer_cancel(nacre_loop_transfer(client->loop), client->exchange);
            return NACRE_ERR_TIMEOUT;
        }
        const uint64_t left = limit != 0 ? limit - passed : UINT64_MAX;
        nacre_err err = nacre_loop_step(client->loop, left < STOP_MS ? (uint32_t)left : (uint32_t)STOP_MS, why);
        if (err != NACRE_OK) {
            nacre_transfer_cancel(nacre_loop_transfer(client->loop), client->exchange);
            return err;
        }
    }
    return client->result;
}

/* What is to be done by now, and how long there is to wait for it. False: it is over. */
static bool observe_on(nacre_client *client, uint32_t *wait_ms)
{
    const uint64_t passed = nacre_clock_ms() - client->stage_ms;
    uint64_t limit = client->stage == NACRE__WAITING     ? client->options.timeout_ms
                     : client->stage == NACRE__OBSERVING ? client->observing->duration_ms
                                                         : (uint32_t)LEAVE_MS;
    *wait_ms = STOP_MS; /* a signal that comes just before we wait is seen then */
    if (limit != 0 && limit - passed < STOP_MS && passed < limit) *wait_ms = (uint32_t)(limit - passed);
    if (client->stage == NACRE__OBSERVING && (client->stopped || (limit != 0 && passed >= limit))) leave(client);
    else if (client->stopped && client->stage == NACRE__WAITING) return false;
    else if (limit != 0 && passed >= limit) return false;
    return true;
}

static nacre_err wait_observing(nacre_client *client, nacre_detail *why)
{
    uint32_t wait_ms;
    while (!client->done || nacre__client_away(client)) {
        nacre_err err = NACRE_OK;
        bool over = !observe_on(client, &wait_ms);
        if (!over && !client->done) nacre__client_try_again(client);
        if (!over && !client->done) err = nacre_loop_step(client->loop, wait_ms, why);
        if (!over && err == NACRE_OK) continue;
        if (err == NACRE_OK && client->stage == NACRE__WAITING && !client->stopped) return out_of_time(client, why);
        nacre_transfer_cancel(nacre_loop_transfer(client->loop), client->exchange);
        if (err != NACRE_OK) return err;
        client->done = true;
        client->result = NACRE_OK;
    }
    return client->stage == NACRE__LEAVING ? NACRE_OK : client->result; /* who left does not need an answer to that */
}

static nacre_err exchange_message(nacre_client *client, const nacre__target *to, nacre_message *plain,
                                  const nacre_source *source, const nacre_sink *sink, nacre_detail *why)
{
    client->done = client->is_answered = false;
    client->oversized = 0;
    client->ctx = to->ctx;
    client->peer = to->peer;
    client->reply = (nacre_reply){ 0 };
    enter(client, NACRE__WAITING);
    nacre__client_forget_body(client);
    if (client->options.on_message != NULL)
        client->options.on_message(client->options.user, true, to->ctx != NULL, plain);
    client->to = to;
    client->plain = plain;
    client->attempts = 0;
    client->again_ms = 0;
    client->how = nacre__client_bodies(client, plain, source, sink);
    client->how.request.via_proxy = client->proxy != NULL;
    nacre_err err = NACRE_OK;
    /* A connection that was closed since the last request is noticed before this one goes out on it. */
    if (nacre_address_is_reliable(&to->peer)) err = nacre_loop_step(client->loop, 0, why);
    if (err != NACRE_OK) return err;
    nacre__tcp_watch_peer(client->tcp, &to->peer);
    err = nacre_transfer_request(nacre_loop_transfer(client->loop), &client->exchange, &to->peer, to->ctx, plain,
                                 &client->how, client);
    if (err == NACRE_OK && client->observing != NULL) err = wait_observing(client, why);
    else if (err == NACRE_OK) err = wait_for_end(client, why);
    if (client->observing != NULL && (client->stage == NACRE__LEAVING || client->stopped))
        client->reply = (nacre_reply){ 0 };
    if (err == NACRE_ERR_TIMEOUT && client->oversized != 0) err = NACRE_ERR_OVERSIZED;
    return err == NACRE_ERR_ADDRESS ? err : nacre__client_explain(client, to, err, why);
}

/* Whether the request may go to another address after this one was unreachable. Carried out twice, an idempotent method has the
 * effect of one (RFC 7252 5.1, RFC 8132 2). POST and PATCH may go on only when nothing of them was sent: over TCP that is known
 * when no connection was ever open. Over UDP the datagram was sent before the ICMP error came, and that error is
 * unauthenticated: a forged one could arrive while the server carries the request out. */
static bool may_go_on(const nacre_client *client, const nacre__target *to, uint8_t method)
{
    if (method != NACRE_POST && method != NACRE_PATCH) return true;
    return nacre_address_is_reliable(&to->peer) && nacre__tcp_was_refused(client->tcp);
}

/* A host with several addresses is asked at the next one when the first cannot be reached ("localhost" is ::1, too). */
static nacre_err exchange_anywhere(nacre_client *client, nacre__target *to, const nacre_message *plain,
                                   const nacre_source *source, const nacre_sink *sink, nacre_detail *why)
{
    for (size_t at = 0;;) {
        nacre_message copy = *plain;
        const nacre_err err = exchange_message(client, to, &copy, source, sink, why);
        if (err != NACRE_ERR_UNREACHABLE || ++at >= to->num_others || !may_go_on(client, to, plain->code)) return err;
        nacre__target_take(client, to, at);
    }
}

static nacre_err request(nacre_client *client, nacre_reply *reply, nacre_message *plain, const char *uri,
                         const nacre_options *options, const nacre_source *source, const nacre_sink *sink,
                         nacre_detail *why)
{
    nacre__target to = { 0 };
    uint8_t option_room[MAX_OPTIONS];
    nacre_options o;
    nacre_options_init(&o, NACRE_BUF(option_room));
    plain->type = client->options.non ? NACRE_NON : NACRE_CON;
    nacre_err err = nacre__target_parse(client, &to, uri, why);
    if (err == NACRE_OK) err = nacre__target_options(client, &plain->options, &o, &to, options, why);
    if (err == NACRE_OK)
        err = nacre__target_context(client, &to, why); /* before the resolver: no name leaves without it */
    if (err == NACRE_OK) err = nacre__target_peer(client, &to, plain->options, why);
    if (err == NACRE_OK && client->stopped)
        err = nacre__fail(why, NACRE_ERR_TIMEOUT, "stopped before the request to %s was sent", to.peer_text);
    if (err == NACRE_OK) err = exchange_anywhere(client, &to, plain, source, sink, why);
    client->stopped = 0;
    if (err == NACRE_OK || err == NACRE_ERR_UNAUTHENTICATED) *reply = client->reply;
    nacre_wipe(option_room, sizeof option_room); /* they may travel encrypted, so they are not for others to find */
    return err;
}

nacre_err nacre_client_request(nacre_client *client, nacre_reply *reply, uint8_t method, const char *uri,
                               const nacre_options *options, nacre_bytes payload, nacre_detail *why)
{
    nacre_message plain = { .code = method, .payload = payload };
    return request(client, reply, &plain, uri, options, NULL, NULL, why);
}

nacre_err nacre_client_request_pieces(nacre_client *client, nacre_reply *reply, uint8_t method, const char *uri,
                                      const nacre_options *options, const nacre_source *source, const nacre_sink *sink,
                                      nacre_detail *why)
{
    nacre_message plain = { .code = method };
    return request(client, reply, &plain, uri, options, source, sink, why);
}

nacre_err nacre_client_observe(nacre_client *client, nacre_reply *reply, uint8_t method, const char *uri,
                               const nacre_options *options, nacre_bytes payload,
                               const nacre_observe_options *observing, nacre_detail *why)
{
    uint8_t room[MAX_OPTIONS];
    nacre_options with_observe;
    nacre_bytes given = NACRE_ABSENT;
    nacre_message plain = { .code = method, .payload = payload };
    nacre_err err = options != NULL ? nacre_options_finish(options, &given) : NACRE_OK;
    if (err != NACRE_OK || (method != NACRE_GET && method != NACRE_FETCH))
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "only GET and FETCH observe, with options that fit");
    nacre_options_init(&with_observe, NACRE_BUF(room));
    nacre_option_iter it = nacre_option_begin(given);
    for (nacre_option option; nacre_option_next(&it, &option);)
        nacre_options_add(&with_observe, option.number, option.value);
    nacre_options_add_uint(&with_observe, NACRE_OPT_OBSERVE, 0);
    client->observing = observing;
    err = request(client, reply, &plain, uri, &with_observe, NULL, NULL, why);
    client->observing = NULL;
    nacre_wipe(room, sizeof room);
    return err;
}

void nacre_client_stop(nacre_client *client)
{
    client->stopped = 1;
}
