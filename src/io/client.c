/* SPDX-License-Identifier: MIT */
/* client: one request at a time over a loop, for programs that want ten lines. */
#include "coap/uri.h"
#include "io/address.h"
#include "io/keyring.h"
#include "io/proxied.h"
#include "store/fail.h"

#include <nacre/remote.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_MESSAGE = 1280,
    MAX_BODY = 16 * 1024 * 1024, /* unless the options say otherwise */
    FIRST_BODY = 4096,           /* what is taken at first for an answer in pieces */
    MAX_OPTIONS = 1280,
    STOP_MS = 250,    /* how soon nacre_client_stop is noticed at the latest */
    LEAVE_MS = 5000,  /* how long the answer to the end of an observation is waited for */
    COAP_PORT = 5683, /* the scheme's default, for which nacre_uri_options leaves Uri-Port out */
};

typedef enum stage { WAITING, OBSERVING, LEAVING } stage; /* of an observation */

struct nacre_client {
    nacre_client_options options; /* its strings are not used after open: */
    char *context_dir, *proxy;
    nacre_credentials *own_credentials; /* loaded here */
    const nacre_credentials *credentials;
    nacre_crypto crypto;
    nacre_udp *udp;
    nacre_tcp *tcp;
    nacre_loop *loop;
    nacre__keyring ring;
    nacre_exchange exchange;          /* in flight, */
    const nacre_context *ctx;         /* protected with this, */
    nacre_address peer;               /* to there */
    nacre_source source;              /* where its body comes from, when that is not the message */
    nacre_sink sink;                  /* where the answer's goes; no function: to `body` */
    nacre_bytes payload;              /* the body that read_payload reads */
    const nacre_observing *observing; /* NULL: one answer is asked for */
    stage stage;
    uint64_t stage_ms; /* since when */
    volatile sig_atomic_t stopped;
    bool in_pieces;    /* a body is read or written by the application */
    bool done;         /* it has ended, */
    nacre_err result;  /* so, */
    nacre_reply reply; /* with this, in `room` … */
    uint8_t room[MAX_MESSAGE];
    uint8_t *body; /* … and here, when its body was collected */
    size_t body_len, body_cap;
};

/* One request on its way through this file. */
typedef struct target {
    const char *text; /* the URI */
    nacre_uri uri;
    char host[256]; /* as the resolver takes it */
    char peer_text[96];
    nacre_address peer;
    nacre_context *ctx;   /* NULL: plain */
    const char *ctx_name; /* where it comes from */
} target;

/* ---- Life ------------------------------------------------------------------------------------------------------------- */

static nacre_bytes keep(nacre_client *client, size_t *used, nacre_bytes bytes)
{
    uint8_t *at = client->room + *used;
    size_t len = bytes.len <= sizeof client->room - *used ? bytes.len : 0; /* a message is never larger than the room */
    if (len > 0) memcpy(at, bytes.ptr, len);
    *used += len;
    return nacre_bytes_of(at, len);
}

static void forget_body(nacre_client *client)
{
    if (client->body != NULL) nacre_wipe(client->body, client->body_cap);
    free(client->body);
    client->body = NULL;
    client->body_len = client->body_cap = 0;
}

/* Not realloc: what it leaves behind is not wiped. */
static bool grow_body(nacre_client *client, size_t need, size_t limit)
{
    size_t cap = client->body_cap != 0 ? client->body_cap : FIRST_BODY;
    while (cap < need) cap = cap > limit / 2 ? limit : cap * 2;
    uint8_t *larger = malloc(cap);
    if (larger == NULL) return false;
    const size_t len = client->body_len;
    if (len > 0) memcpy(larger, client->body, len);
    forget_body(client);
    client->body = larger;
    client->body_len = len;
    client->body_cap = cap;
    return true;
}

/* ---- Bodies on their way --------------------------------------------------------------------------------------------- */

static void tell_progress(const nacre_client *client, bool outgoing, uint64_t done, uint64_t total)
{
    if (client->options.on_progress != NULL) client->options.on_progress(client->options.user, outgoing, done, total);
}

static nacre_err read_source(void *user, uint64_t offset, nacre_room room, size_t *len)
{
    const nacre_client *client = user;
    if (offset > 0)
        tell_progress(client, true, offset, client->source.size == NACRE_SIZE_UNKNOWN ? 0 : client->source.size);
    return client->source.read(client->source.user, offset, room, len);
}

static nacre_err read_payload(void *user, uint64_t offset, nacre_room room, size_t *len)
{
    const nacre_client *client = user;
    *len = client->payload.len - (size_t)offset < room.cap ? client->payload.len - (size_t)offset : room.cap;
    memcpy(room.ptr, client->payload.ptr + offset, *len);
    return NACRE_OK;
}

/* The answer's body as a whole. */
static nacre_err collect(nacre_client *client, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    const size_t limit = client->options.max_body;
    if (total > limit || offset > limit || piece.len > limit - offset) return NACRE_ERR_TOO_LONG;
    client->body_len = (size_t)offset; /* 0 again: it began anew */
    const size_t need = client->body_len + piece.len;
    if (need > client->body_cap && !grow_body(client, need, limit)) return NACRE_ERR_NO_MEMORY;
    if (piece.len > 0) memcpy(client->body + client->body_len, piece.ptr, piece.len);
    client->body_len = need;
    return NACRE_OK;
}

static nacre_err write_sink(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    nacre_client *client = user;
    if (offset > 0 || piece.len < total) tell_progress(client, false, offset + piece.len, total);
    if (client->sink.write == NULL) return collect(client, offset, piece, total);
    return client->sink.write(client->sink.user, offset, piece, total);
}

/* Prepares how the bodies of one request travel. Where nobody looks on, a payload needs no source. */
static nacre_transfer_options bodies_of(nacre_client *client, nacre_message *plain, const nacre_source *source,
                                        const nacre_sink *sink)
{
    nacre_transfer_options how = { .block_size = client->options.block_size, .sink = { write_sink, client } };
    client->in_pieces = source != NULL || sink != NULL;
    client->source = source != NULL ? *source : (nacre_source){ 0 };
    client->sink = sink != NULL ? *sink : (nacre_sink){ 0 };
    client->payload = plain->payload;
    if (client->options.on_progress != NULL && plain->payload.len > NACRE_MAX_BLOCK) {
        client->source = (nacre_source){ read_payload, client, plain->payload.len };
        plain->payload = NACRE_ABSENT;
    }
    if (client->source.read != NULL) how.source = (nacre_source){ read_source, client, client->source.size };
    return how;
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

static void enter(nacre_client *client, stage next)
{
    client->stage = next;
    client->stage_ms = nacre_clock_ms();
}

/* Ends an observation in order: the answer to that ends the exchange. */
static void leave(nacre_client *client)
{
    nacre_transfer *transfer = nacre_loop_transfer(client->loop);
    enter(client, LEAVING);
    if (nacre_transfer_unobserve(transfer, client->exchange) == NACRE_OK) return;
    nacre_transfer_cancel(transfer, client->exchange);
    client->done = true;
    client->result = NACRE_OK;
}

static void notified(nacre_client *client, const nacre_event *event)
{
    bool is_protected = event->context != NULL;
    /* One that could not be fetched whole is followed by others. RFC 8613 8.4: without protection it is none. */
    if (client->stage == LEAVING || event->err != NACRE_OK || is_protected != (client->ctx != NULL)) return;
    if (client->stage == WAITING) enter(client, OBSERVING);
    keep_reply(client, &event->message, is_protected);
    bool go_on = client->observing->on_notification(client->observing->user, &client->reply);
    forget_body(client);
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
    if (event->kind == NACRE_EVENT_NOTIFICATION && client->observing != NULL) {
        notified(client, event);
        return;
    }
    bool is_answer = event->kind == NACRE_EVENT_RESPONSE || event->kind == NACRE_EVENT_NOTIFICATION;
    bool is_protected = is_answer && event->context != NULL;
    client->done = true;
    client->result = is_answer ? NACRE_OK : event->err;
    if (event->kind == NACRE_EVENT_NOTIFICATION)
        nacre_transfer_cancel(transfer, event->exchange); /* one answer was asked for */
    /* RFC 8613 8.4: what comes without protection is no answer to a protected request, whoever let it through. */
    if (client->result == NACRE_OK && client->ctx != NULL && !is_protected) client->result = NACRE_ERR_UNAUTHENTICATED;
    if (client->result != NACRE_OK && client->result != NACRE_ERR_UNAUTHENTICATED &&
        client->result != NACRE_ERR_NOT_PROTECTED)
        return;
    keep_reply(client, &event->message, is_protected);
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
        return nacre__store_fail(why, NACRE_ERR_BAD_ARGUMENT,
                                 "a context directory, a credentials file, credentials: give one of them");
    if (options->context_dir != NULL && (client->context_dir = strdup(options->context_dir)) == NULL)
        return nacre__store_fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a client");
    if (options->proxy != NULL && (client->proxy = strdup(options->proxy)) == NULL)
        return nacre__store_fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a client");
    nacre_err err = NACRE_OK;
    client->credentials = options->credentials;
    if (options->credentials_file != NULL) {
        err = nacre_credentials_load(&client->own_credentials, options->credentials_file, why);
        client->credentials = client->own_credentials;
    }
    if (err != NACRE_OK) return err;
    err = nacre_openssl_open(&client->crypto);
    if (err != NACRE_OK) return nacre__store_fail(why, err, "cannot use OpenSSL: %s", nacre_err_text(err));
    err = nacre_udp_open(&client->udp, &any, why);
    if (err != NACRE_OK) return err;
    const nacre_tcp_config tcp = { .stream = { .max_message = MAX_MESSAGE, .block_wise = true } };
    nacre_endpoint_config config = { .max_message = MAX_MESSAGE, .num_requests = 4, .num_answers = 4, .burst = 8 };
    config.timing = options->timing;
    config.crypto = client->crypto;
    const nacre_transfer_config transfer = { .num_requests = 1, .block_size = options->block_size, .max_body = 1 };
    err = nacre_loop_open_transfer(&client->loop, client->udp, &config, &transfer, on_event, client, why);
    if (err == NACRE_OK) err = nacre_tcp_open(&client->tcp, &tcp, why);
    if (err != NACRE_OK) return err;
    err = nacre_loop_add_tcp(client->loop, client->tcp);
    if (err != NACRE_OK) return nacre__store_fail(why, err, "cannot make connections: %s", nacre_err_text(err));
    nacre_loop_watch(client->loop, options->on_datagram, options->user);
    return err;
}

nacre_err nacre_client_open(nacre_client **client, const nacre_client_options *options, nacre_detail *why)
{
    static const nacre_client_options none;
    nacre_client *made = calloc(1, sizeof *made);
    if (made == NULL) return nacre__store_fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a client");
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
    if (client->crypto.ops != NULL) nacre_openssl_close(&client->crypto);
    nacre_credentials_free(client->own_credentials);
    free(client->context_dir);
    free(client->proxy);
    forget_body(client);
    nacre_wipe(client, sizeof *client); /* the last answer's plaintext */
    free(client);
    return err;
}

nacre_remote nacre_client_remote(const nacre_client *client)
{
    nacre_remote remote = { .context = client->ctx, .address = client->peer };
    if (client->peer.len == 0) return remote;
    remote.local = nacre_udp_local(client->udp);
    remote.claims = client->ctx != NULL ? nacre__keyring_claims(&client->ring, client->ctx) : NULL;
    return remote;
}

/* ---- Where to, and with what ------------------------------------------------------------------------------------------ */

static nacre_err parse_uri(const nacre_client *client, target *to, const char *text, nacre_detail *why)
{
    nacre_bytes bytes = nacre_bytes_of((const uint8_t *)text, strlen(text));
    /* A proxy may speak what we do not. */
    nacre_err err = client->proxy != NULL ? nacre__uri_parse_any(&to->uri, bytes) : nacre_uri_parse(&to->uri, bytes);
    to->text = text;
    if (err == NACRE_ERR_UNSUPPORTED)
        return nacre__store_fail(
            why, err, "'%s' has a scheme that nacre does not speak: write coap:// or coap+tcp://HOST[:PORT]/PATH",
            text);
    if (err != NACRE_OK)
        return nacre__store_fail(why, err, "'%s' is no CoAP URI: write coap://HOST[:PORT]/PATH[?QUERY]", text);
    return NACRE_OK;
}

/* The context for this URI (RFC 8613 8.1 step 1); NULL when the request is to be plain. Fails closed: credentials that do not
 * fit send nothing. */
static nacre_err find_context(nacre_client *client, target *to, nacre_detail *why)
{
    nacre_credential credential = { .kind = NACRE_CREDENTIAL_DIRECTORY,
                                    .name = client->context_dir,
                                    .directory = client->context_dir };
    to->ctx = NULL;
    if (client->credentials != NULL) {
        nacre_err err = nacre_credentials_find(client->credentials, &credential, to->text, why);
        if (err == NACRE_ERR_NO_CREDENTIALS)
            return nacre__store_fail(why, err, "the credentials have no entry for '%s', so nothing was sent; add one",
                                     to->text);
        if (err != NACRE_OK) return err;
        if (credential.kind == NACRE_CREDENTIAL_PLAIN) return NACRE_OK;
    } else if (client->context_dir == NULL) {
        return NACRE_OK;
    }
    to->ctx_name = credential.directory != NULL ? credential.directory : credential.name;
    return nacre__keyring_use(&client->ring, &to->ctx, NULL, &credential, client->options.role, &client->crypto,
                              client->loop, why);
}

/* The host's name as the resolver takes it: the literal, or Uri-Host, which is decoded already. */
static nacre_err find_peer(const nacre_client *client, target *to, nacre_bytes options, nacre_detail *why)
{
    if (client->proxy != NULL) {
        char text[72];
        nacre_err proxy_err = nacre__proxy_resolve(&to->peer, client->proxy, why);
        if (proxy_err != NACRE_OK) return proxy_err;
        nacre_address_text(&to->peer, text);
        (void)snprintf(to->peer_text, sizeof to->peer_text, "the proxy %s", text);
        return NACRE_OK;
    }
    nacre_bytes host = to->uri.host_is_ip ? to->uri.host : nacre_option_find(options, NACRE_OPT_URI_HOST);
    if (host.len == 0 || host.len >= sizeof to->host || memchr(host.ptr, '\0', host.len) != NULL)
        return nacre__store_fail(why, NACRE_ERR_BAD_URI, "'%s' has no usable host", to->text);
    memcpy(to->host, host.ptr, host.len);
    to->host[host.len] = '\0';
    nacre_err err = nacre__resolve(&to->peer, to->host, to->uri.port, why);
    if (to->uri.is_tcp) to->peer.flags = NACRE_ADDRESS_RELIABLE;
    if (err == NACRE_OK) nacre_address_text(&to->peer, to->peer_text);
    return err;
}

static nacre_err make_options(const nacre_client *client, nacre_bytes *made, nacre_options *o, const target *to,
                              const nacre_options *more, nacre_detail *why)
{
    nacre_bytes given = NACRE_ABSENT;
    nacre_uri uri = to->uri;
    uri.port = COAP_PORT; /* RFC 7252 6.4 step 7: no Uri-Port, for the request goes to the URI's very port */
    nacre_err err = client->proxy != NULL ? nacre__proxied_options(o, &to->uri, to->text, client->options.proxy_uri)
                                          : nacre_uri_options(o, &uri);
    if (err != NACRE_OK)
        return nacre__store_fail(
            why, err, "'%s' has a path or query part that CoAP cannot carry: up to 255 bytes each, and no dot segments",
            to->text);
    if (more != NULL) err = nacre_options_finish(more, &given);
    nacre_option_iter it = nacre_option_begin(given);
    for (nacre_option option; err == NACRE_OK && nacre_option_next(&it, &option);)
        nacre_options_add(o, option.number, option.value);
    if (err == NACRE_OK) err = nacre_options_finish(o, made);
    if (err != NACRE_OK)
        return nacre__store_fail(why, NACRE_ERR_TOO_LONG,
                                 "the options for '%s' are longer than a message; shorten them", to->text);
    return NACRE_OK;
}

/* ---- The exchange ----------------------------------------------------------------------------------------------------- */

/* Where the library's text alone would leave people alone. */
static nacre_err explain(nacre_client *client, const target *to, nacre_err err, nacre_detail *why)
{
    const char *peer = to->peer_text, *dir = to->ctx_name != NULL ? to->ctx_name : "";
    const char *store = nacre_loop_store_failure(client->loop);
    switch (err) {
    case NACRE_OK: return err;
    case NACRE_ERR_BAD_URI:
        return nacre__store_fail(why, err, "'%s' cannot go into a protected request; look at its path and query",
                                 to->text);
    case NACRE_ERR_TIMEOUT:
        return nacre__store_fail(why, err, "no answer from %s; is a CoAP server running there%s?", peer,
                                 to->ctx != NULL ? ", and does it have the other side of this context" : "");
    case NACRE_ERR_UNREACHABLE:
        return nacre__store_fail(why, err, "%s cannot be reached: nothing listens there, or there is no way to it",
                                 peer);
    case NACRE_ERR_RESET:
        return nacre__store_fail(why, err, "%s rejected the message (RST): it does not take this kind of request",
                                 peer);
    case NACRE_ERR_UNAUTHENTICATED: {
        char buf[5];
        return nacre__store_fail(why, err, "%s answered %s without protection, so nobody vouches for it", peer,
                                 nacre_code_name(client->reply.code, buf));
    }
    case NACRE_ERR_NOT_PROTECTED: {
        char buf[5];
        return nacre__store_fail(why, err,
                                 "%s answered %s without protection, which is no answer to a protected request", peer,
                                 nacre_code_name(client->reply.code, buf));
    }
    case NACRE_ERR_PROTECTION_INVALID:
        return nacre__store_fail(why, err, "no answer from %s that verifies: has it the other side of '%s'?", peer,
                                 dir);
    case NACRE_ERR_CONTEXT_UNAVAILABLE:
        return nacre__store_fail(why, err, "the sequence numbers of '%s' are used up; make a new context", dir);
    case NACRE_ERR_TOO_LONG:
        if (client->done) /* it was sent */
            return nacre__store_fail(why, err, "the answer from %s is longer than the %zu bytes that are taken", peer,
                                     client->options.max_body);
        return nacre__store_fail(why, err,
                                 "the request to %s is longer than %d bytes when protected; shorten its options", peer,
                                 (int)MAX_MESSAGE);
    case NACRE_ERR_BODY_CHANGED:
        return nacre__store_fail(why, err, "what %s serves there changes faster than it can be fetched; try again",
                                 peer);
    case NACRE_ERR_BLOCKS:
        return nacre__store_fail(why, err, "%s sends blocks that do not make a body (RFC 7959)", peer);
    case NACRE_ERR_NESTED:
    case NACRE_ERR_BAD_ARGUMENT:
        return nacre__store_fail(
            why, err, "this request cannot be sent to %s: a method from GET to iPATCH, and no OSCORE option", peer);
    case NACRE_ERR_FILE:
        if (client->in_pieces && client->done)
            return nacre__store_fail(why, err,
                                     "the transfer with %s was given up: its body could not be read or written", peer);
        if (store[0] != '\0') return nacre__store_fail(why, err, "%s", store);
        return nacre__store_fail(why, err, "the state in '%s' cannot be written, so nothing was sent", dir);
    default: return nacre__store_fail(why, err, "the request to %s failed: %s", peer, nacre_err_text(err));
    }
}

static nacre_err wait_for_end(nacre_client *client, nacre_detail *why)
{
    uint64_t start = nacre_clock_ms(), limit = client->options.timeout_ms;
    while (!client->done) {
        uint64_t passed = nacre_clock_ms() - start;
        if (limit != 0 && passed >= limit) {
            nacre_transfer_cancel(nacre_loop_transfer(client->loop), client->exchange);
            return NACRE_ERR_TIMEOUT;
        }
        nacre_err err = nacre_loop_step(client->loop, limit != 0 ? (uint32_t)(limit - passed) : UINT32_MAX, why);
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
    uint64_t limit = client->stage == WAITING     ? client->options.timeout_ms
                     : client->stage == OBSERVING ? client->observing->duration_ms
                                                  : (uint32_t)LEAVE_MS;
    *wait_ms = STOP_MS; /* a signal that comes just before we wait is seen then */
    if (limit != 0 && limit - passed < STOP_MS && passed < limit) *wait_ms = (uint32_t)(limit - passed);
    if (client->stage == OBSERVING && (client->stopped || (limit != 0 && passed >= limit))) leave(client);
    else if (client->stopped && client->stage == WAITING) return false;
    else if (limit != 0 && passed >= limit) return false;
    return true;
}

static nacre_err wait_observing(nacre_client *client, nacre_detail *why)
{
    uint32_t wait_ms;
    while (!client->done) {
        nacre_err err = NACRE_OK;
        bool over = !observe_on(client, &wait_ms);
        if (!over && !client->done) err = nacre_loop_step(client->loop, wait_ms, why);
        if (!over && err == NACRE_OK) continue;
        nacre_transfer_cancel(nacre_loop_transfer(client->loop), client->exchange);
        if (err != NACRE_OK) return err;
        client->done = true;
        client->result = client->stage == LEAVING || client->stopped ? NACRE_OK : NACRE_ERR_TIMEOUT;
    }
    return client->stage == LEAVING ? NACRE_OK : client->result; /* who left does not need an answer to that */
}

static nacre_err exchange_message(nacre_client *client, const target *to, nacre_message *plain,
                                  const nacre_source *source, const nacre_sink *sink, nacre_detail *why)
{
    client->done = false;
    client->ctx = to->ctx;
    client->peer = to->peer;
    client->reply = (nacre_reply){ 0 };
    enter(client, WAITING);
    forget_body(client);
    if (client->options.on_message != NULL)
        client->options.on_message(client->options.user, true, to->ctx != NULL, plain);
    nacre_transfer_options how = bodies_of(client, plain, source, sink);
    how.request.via_proxy = client->proxy != NULL;
    nacre_err err = NACRE_OK;
    /* A connection that was closed since the last request is noticed before this one goes out on it. */
    if (nacre_address_is_reliable(&to->peer)) err = nacre_loop_step(client->loop, 0, why);
    if (err != NACRE_OK) return err;
    err = nacre_transfer_request(nacre_loop_transfer(client->loop), &client->exchange, &to->peer, to->ctx, plain, &how,
                                 client);
    if (err == NACRE_OK && client->observing != NULL) err = wait_observing(client, why);
    else if (err == NACRE_OK) err = wait_for_end(client, why);
    if (client->observing != NULL && (client->stage == LEAVING || client->stopped)) client->reply = (nacre_reply){ 0 };
    return err == NACRE_ERR_ADDRESS ? err : explain(client, to, err, why);
}

static nacre_err request(nacre_client *client, nacre_reply *reply, nacre_message *plain, const char *uri,
                         const nacre_options *options, const nacre_source *source, const nacre_sink *sink,
                         nacre_detail *why)
{
    target to = { 0 };
    uint8_t option_room[MAX_OPTIONS];
    nacre_options o;
    nacre_options_init(&o, NACRE_ROOM(option_room));
    plain->type = client->options.non ? NACRE_NON : NACRE_CON;
    nacre_err err = parse_uri(client, &to, uri, why);
    if (err == NACRE_OK) err = make_options(client, &plain->options, &o, &to, options, why);
    if (err == NACRE_OK) err = find_context(client, &to, why); /* before the resolver: no name leaves without it */
    if (err == NACRE_OK) err = find_peer(client, &to, plain->options, why);
    if (err == NACRE_OK) err = exchange_message(client, &to, plain, source, sink, why);
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
                               const nacre_options *options, nacre_bytes payload, const nacre_observing *observing,
                               nacre_detail *why)
{
    uint8_t room[MAX_OPTIONS];
    nacre_options with_observe;
    nacre_bytes given = NACRE_ABSENT;
    nacre_message plain = { .code = method, .payload = payload };
    nacre_err err = options != NULL ? nacre_options_finish(options, &given) : NACRE_OK;
    if (err != NACRE_OK || (method != NACRE_GET && method != NACRE_FETCH))
        return nacre__store_fail(why, NACRE_ERR_BAD_ARGUMENT, "only GET and FETCH observe, with options that fit");
    nacre_options_init(&with_observe, NACRE_ROOM(room));
    nacre_option_iter it = nacre_option_begin(given);
    for (nacre_option option; nacre_option_next(&it, &option);)
        nacre_options_add(&with_observe, option.number, option.value);
    nacre_options_add_uint(&with_observe, NACRE_OPT_OBSERVE, 0);
    client->observing = observing;
    client->stopped = 0;
    err = request(client, reply, &plain, uri, &with_observe, NULL, NULL, why);
    client->observing = NULL;
    nacre_wipe(room, sizeof room);
    return err;
}

void nacre_client_stop(nacre_client *client)
{
    client->stopped = 1;
}
