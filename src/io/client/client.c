/* SPDX-License-Identifier: MIT */
/* client: open and close, and requests that wait for their response. Requests in flight are in client_call.c, targets in
 * client_target.c. */
#include "io/client/client_internal.h"
#include "io/loop_internal.h"
#include "io/tcp_internal.h"
#include "base/config_size.h"
#include "base/hosted/detail.h"

#include <nacre/remote.h>

#include <stdlib.h>
#include <string.h>

enum {
    MAX_BODY = 16 * 1024 * 1024, /* unless the options say otherwise */
    MAX_IN_FLIGHT = 64,
    OTHERS = 3, /* endpoint entries for further blocks of notifications */
};

/* ---- Life ------------------------------------------------------------------------------------------------------------- */

static const char *const *claims_of(void *self, const nacre_context *ctx)
{
    const nacre_client *client = self;
    return nacre__context_set_claims(&client->context_set, ctx);
}

/* 0 means the default. */
static void fill_defaults(nacre_client_options *options)
{
    if (options->limits.max_body == 0) options->limits.max_body = MAX_BODY;
    if (options->limits.max_in_flight == 0) options->limits.max_in_flight = MAX_IN_FLIGHT;
    if (options->limits.nstart == 0) options->limits.nstart = 1; /* RFC 7252 4.7 */
    options->confirmable = true;
    options->size = sizeof *options;
}

nacre_client_options nacre_client_options_default(void)
{
    nacre_client_options options = { .timing = nacre_endpoint_config_default().timing };
    fill_defaults(&options);
    return options;
}

static nacre_err set_up(nacre_client *client, const nacre_client_options *options, nacre_detail *why)
{
    static const nacre_address any;
    if (!nacre__config_size_fits(options->size, sizeof *options))
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "the client's options have %zu bytes, not %zu: compile the program anew", options->size,
                           sizeof *options);
    client->options = *options;
    client->options.context_dir = client->options.credentials_file = NULL;
    client->options.proxy = NULL;
    client->options.credentials = NULL;
    if (options->size == 0) fill_defaults(&client->options);
    if (client->options.limits.max_body == 0 || client->options.limits.max_in_flight == 0 ||
        client->options.limits.nstart == 0)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "a client takes no max_body, max_in_flight or nstart of 0");
    if (client->options.limits.max_in_flight > UINT16_MAX - OTHERS)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "at most %d requests in flight", UINT16_MAX - OTHERS);
    if ((options->context_dir != NULL) + (options->credentials_file != NULL) + (options->credentials != NULL) > 1)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "a context directory, a credentials file, credentials: give one of them");
    if (options->context_dir != NULL && (client->context_dir = strdup(options->context_dir)) == NULL)
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a client");
    if (options->proxy != NULL && (client->proxy = strdup(options->proxy)) == NULL)
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a client");
    nacre_err err = NACRE_OK;
    client->credentials = options->credentials;
    client->first_pause_ms = NACRE__CLIENT_FIRST_PAUSE_MS;
    if (options->credentials_file != NULL) {
        err = nacre_credentials_load(&client->owned_credentials, options->credentials_file, why);
        client->credentials = client->owned_credentials;
    }
    if (err != NACRE_OK) return err;
    err = nacre__context_set_provider(&client->crypto, client->credentials);
    if (err != NACRE_OK) return nacre__fail(why, err, "cannot use a cryptography library: %s", nacre_err_text(err));
    err = nacre_udp_open(&client->udp, &any, why);
    if (err != NACRE_OK) return err;
    const nacre_tcp_config tcp = { .stream = { .max_message = NACRE__CLIENT_MESSAGE, .block_wise = true } };
    const uint16_t in_flight = client->options.limits.max_in_flight;
    nacre_endpoint_config config = nacre_endpoint_config_default();
    if (options->size == 0) config.size = 0; /* 0 means the default for the timing, too */
    config.max_message = NACRE__CLIENT_MESSAGE;
    config.num_client_exchanges = (uint16_t)(in_flight + OTHERS);
    config.num_server_exchanges = 4;
    config.congestion.nstart = client->options.limits.nstart;
    config.burst = 8;
    config.timing = options->timing;
    config.crypto = client->crypto;
    const nacre_transfer_config transfer = { .num_client_exchanges = in_flight,
                                             .block_size = options->limits.block_size,
                                             .bodies.max_body = 1 };
    err = nacre_loop_open_transfer(&client->loop, client->udp, &config, &transfer, nacre__client_on_event, client, why);
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
    nacre_loop_close(client->loop); /* first, because its endpoint borrows the contexts */
    for (nacre__call *next, *call = client->calls; call != NULL; call = next) {
        next = call->next;
        nacre__call_free(call);
    }
    nacre__call_free(client->last);
    nacre_err err = nacre__context_set_close(&client->context_set, why);
    nacre_tcp_close(client->tcp);
    nacre_udp_close(client->udp);
    if (client->crypto.ops != NULL) nacre_provider_close(&client->crypto);
    nacre_credentials_free(client->owned_credentials);
    free(client->context_dir);
    free(client->proxy);
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
    remote.claims = client->ctx != NULL ? nacre__context_set_claims(&client->context_set, client->ctx) : NULL;
    return remote;
}

/* ---- Requests that wait ----------------------------------------------------------------------------------------------- */

nacre_err nacre__call_out_of_time(nacre__call *call, nacre_detail *why)
{
    call->is_late = true;
    nacre_transfer_give_up(nacre_loop_transfer(call->client->loop), call->exchange);
    call->client->is_stepping = true;
    const nacre_err err = nacre_loop_step(call->client->loop, 0, why);
    call->client->is_stepping = false;
    if (!call->done) nacre__call_cancel(call);
    const bool is_told = call->done && (call->result == NACRE_OK || call->result == NACRE_ERR_UNAUTHENTICATED ||
                                        call->result == NACRE_ERR_NOT_PROTECTED);
    call->done = true;
    if (err != NACRE_OK) return err;
    return is_told ? call->result : NACRE_ERR_TIMEOUT;
}

static nacre_err wait_for_end(nacre__call *call, nacre_detail *why)
{
    nacre_client *client = call->client;
    while (!call->ended) {
        nacre_err err = client->stopped ? NACRE_ERR_TIMEOUT : nacre_client_step(client, NACRE__STOP_MS, why);
        if (err == NACRE_OK) continue;
        if (!call->ended) nacre__call_cancel(call);
        if (err == NACRE_ERR_TIMEOUT && call->oversized != 0) err = NACRE_ERR_OVERSIZED;
        return client->stopped ? nacre__call_explain(call, err, why) : err;
    }
    if (call->result != NACRE_OK && why != NULL) *why = call->why;
    return call->result;
}

static nacre_err send_and_wait(nacre__call *call, const nacre__call_plan *plan, nacre_detail *why)
{
    nacre_client *client = call->client;
    nacre_err err = NACRE_OK;
    if (client->stopped)
        return nacre__fail(why, NACRE_ERR_TIMEOUT, "stopped before the request to %s was sent", call->to.peer_text);
    /* A connection closed since the last request is noticed before this request is sent on it. */
    if (nacre_address_is_reliable(&call->to.peer)) err = nacre_client_step(client, 0, why);
    if (err == NACRE_OK) err = nacre__call_send(call, why);
    if (err != NACRE_OK) return err;
    return plan->wait != NULL ? plan->wait(call, why) : wait_for_end(call, why);
}

nacre_err nacre__client_wait(nacre_client *client, nacre_reply *reply, const nacre__call_plan *plan, nacre_detail *why)
{
    if (client->is_stepping)
        return nacre__fail(why, NACRE_ERR_BUSY, "a callback of this client runs: it can start, and not wait");
    nacre__call_free(client->last);
    client->last = NULL;
    nacre_err err = nacre__call_make(client, &client->last, plan, why);
    if (err == NACRE_OK) err = send_and_wait(client->last, plan, why);
    client->stopped = 0;
    if (err == NACRE_OK || err == NACRE_ERR_UNAUTHENTICATED) *reply = client->last->reply;
    return err;
}

nacre_err nacre_client_request(nacre_client *client, nacre_reply *reply, uint8_t method, const char *uri,
                               const nacre_options *options, nacre_bytes payload, nacre_detail *why)
{
    const nacre__call_plan plan = { .method = method, .uri = uri, .options = options, .payload = payload };
    return nacre__client_wait(client, reply, &plan, why);
}

nacre_err nacre_client_request_with(nacre_client *client, nacre_reply *reply,
                                    const nacre_client_request_config *request, nacre_detail *why)
{
    nacre__call_plan plan = { .options = NULL };
    const nacre_err err = nacre__call_plan_of(&plan, request, why);
    return err == NACRE_OK ? nacre__client_wait(client, reply, &plan, why) : err;
}

void nacre_client_stop(nacre_client *client)
{
    client->stopped = 1;
}
