/* SPDX-License-Identifier: MIT */
/* client_call: one request in flight, tried at the addresses of its host in order, until it has ended. */
#include "io/client/client_internal.h"
#include "io/loop_internal.h"
#include "base/hosted/detail.h"

#include <stdlib.h>
#include <string.h>

/* ---- Responses ------------------------------------------------------------------------------------------------------- */

static nacre_bytes keep(nacre__call *call, size_t *used, nacre_bytes bytes)
{
    uint8_t *at = call->buf + *used;
    size_t len = bytes.len <= sizeof call->buf - *used ? bytes.len : 0; /* a message never exceeds `buf` */
    if (len > 0) memcpy(at, bytes.ptr, len);
    *used += len;
    return nacre_bytes_of(at, len);
}

static void tell_message(const nacre_client *client, bool outgoing, bool is_protected, const nacre_message *message)
{
    if (client->options.on_message != NULL)
        client->options.on_message(client->options.user, outgoing, is_protected, message);
}

void nacre__call_keep_reply(nacre__call *call, const nacre_message *message, bool is_protected)
{
    size_t used = 0;
    call->reply.code = message->code;
    call->reply.is_protected = is_protected;
    call->reply.options = keep(call, &used, message->options);
    call->reply.payload = keep(call, &used, message->payload);
    nacre_message displayed = *message;
    if (call->body_len > 0 && message->code >> 5 == 2)
        displayed.payload = call->reply.payload = nacre_bytes_of(call->body, call->body_len);
    tell_message(call->client, false, is_protected, &displayed);
}

/* ---- Life ------------------------------------------------------------------------------------------------------------- */

void nacre__call_free(nacre__call *call)
{
    if (call == NULL) return;
    nacre__tcp_unwatch(call->client->tcp, &call->watch);
    nacre__call_forget_body(call);
    if (call->given_copy != NULL) nacre_wipe(call->given_copy, call->given.len);
    free(call->given_copy);
    free(call->uri);
    nacre_wipe(call, sizeof *call); /* options and plaintext */
    free(call);
}

static nacre_err fill(nacre__call *call, const nacre__call_plan *plan, nacre_detail *why)
{
    nacre_client *client = call->client;
    nacre_options o;
    nacre_options_init(&o, NACRE_BUF(call->option_buf));
    call->uri = plan->uri != NULL ? strdup(plan->uri) : NULL;
    if (call->uri == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a request");
    call->plain = (nacre_message){ .type = client->options.confirmable ? NACRE_CON : NACRE_NON, .code = plan->method };
    call->given = plan->payload;
    if (plan->source != NULL) call->source = *plan->source;
    if (plan->sink != NULL) call->sink = *plan->sink;
    call->observing = plan->observing;
    call->notified = plan->notified;
    call->steps = plan->steps;
    call->timeout_ms = plan->timeout_ms != 0 ? plan->timeout_ms : client->options.timeout_ms;
    nacre_err err = nacre__target_parse(client, &call->to, call->uri, why);
    if (err == NACRE_OK) err = nacre__target_options(client, &call->plain.options, &o, &call->to, plan->options, why);
    if (err == NACRE_OK)
        err = nacre__target_context(client, &call->to, why); /* before the resolver: no name leaves without a context */
    if (err == NACRE_OK) err = nacre__target_peer(client, &call->to, call->plain.options, plan->address, why);
    call->deadline = call->timeout_ms != 0 ? nacre_clock_ms() + call->timeout_ms : UINT64_MAX;
    return err;
}

nacre_err nacre__call_make(nacre_client *client, nacre__call **call, const nacre__call_plan *plan, nacre_detail *why)
{
    nacre__call *made = calloc(1, sizeof *made);
    if (made == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a request");
    made->client = client;
    const nacre_err err = fill(made, plan, why);
    if (err == NACRE_OK) *call = made;
    else nacre__call_free(made);
    return err;
}

void nacre__call_end(nacre__call *call)
{
    nacre__call **at = &call->client->calls;
    while (*at != NULL && *at != call) at = &(*at)->next;
    if (*at != NULL) {
        *at = call->next;
        call->client->num_calls--;
    }
    nacre__tcp_unwatch(call->client->tcp, &call->watch);
}

/* The call has ended. A waiting call is checked and freed by its caller; others call on_done here. */
void nacre__call_conclude(nacre__call *call, nacre_err err)
{
    nacre__call_end(call);
    if (err == NACRE_ERR_TIMEOUT && call->oversized != 0) err = NACRE_ERR_OVERSIZED;
    call->result = nacre__call_explain(call, err, &call->why);
    call->ended = true;
    if (call->on_done == NULL) return;
    const bool has_reply = call->result == NACRE_OK || call->result == NACRE_ERR_UNAUTHENTICATED;
    const nacre_client_result result = { .call = { call->number },
                                         .err = call->result,
                                         .reply = has_reply ? &call->reply : NULL,
                                         .why = call->result == NACRE_OK ? "" : call->why.text };
    if (!call->is_cancelled) call->on_done(call->user, &result);
    nacre__call_free(call);
}

/* ---- In flight -------------------------------------------------------------------------------------------------------- */

static nacre_err transmit(nacre__call *call)
{
    nacre_client *client = call->client;
    call->done = call->has_response = false;
    call->oversized = 0;
    call->reply = (nacre_reply){ 0 };
    client->ctx = call->to.ctx;
    client->peer = call->to.peer;
    nacre__call_forget_body(call);
    call->plain.payload = call->given;
    tell_message(client, true, call->to.ctx != NULL, &call->plain);
    nacre__call_bodies(call);
    nacre__tcp_watch_peer(client->tcp, &call->watch, &call->to.peer);
    nacre__loop_touch(client->loop);
    return nacre_transfer_request(nacre_loop_transfer(client->loop), &call->exchange, &call->to.peer, call->to.ctx,
                                  &call->plain, &call->how, call);
}

nacre_err nacre__call_send(nacre__call *call, nacre_detail *why)
{
    nacre_client *client = call->client;
    const bool was_stepping = client->is_stepping;
    if (client->num_calls >=
        client->options.limits.max_in_flight) /* an observation keeps its place while its server is away */
        return nacre__call_explain(call, NACRE_ERR_BUSY, why);
    call->next = client->calls;
    client->calls = call;
    client->num_calls++;
    client->is_stepping = true;
    const nacre_err err = transmit(call);
    client->is_stepping = was_stepping;
    if (err == NACRE_OK) return NACRE_OK;
    nacre__call_end(call);
    return nacre__call_explain(call, err, why);
}

void nacre__call_cancel(nacre__call *call)
{
    nacre_transfer_cancel(nacre_loop_transfer(call->client->loop), call->exchange);
    nacre__loop_touch(call->client->loop);
    nacre__call_end(call);
}

bool nacre__call_end_callback(nacre__call *call)
{
    call->num_callbacks--;
    if (!call->is_cancelled) return true;
    if (call->num_callbacks > 0) return false;
    nacre__call_cancel(call);
    nacre__call_free(call);
    return false;
}

/* Whether the request may be sent to another address after this was unreachable. An idempotent method carried out twice has
 * the effect of one (RFC 7252 5.1, RFC 8132 2). POST and PATCH may be sent again only when nothing of them was sent: known over
 * TCP when no connection was ever open. Over UDP the datagram was sent before the ICMP error arrived, and that error is
 * unauthenticated: a forged one could arrive while the server carries the request out. */
static bool may_go_on(const nacre__call *call)
{
    if (call->at_address + 1 >= call->to.num_others) return false;
    if (call->plain.code != NACRE_POST && call->plain.code != NACRE_PATCH) return true;
    return nacre_address_is_reliable(&call->to.peer) && nacre__tcp_was_refused(&call->watch);
}

/* Tries the next address of a host when one is unreachable ("localhost" is also ::1). */
static bool goes_on_elsewhere(nacre__call *call)
{
    while (call->result == NACRE_ERR_UNREACHABLE && may_go_on(call)) {
        nacre__target_take(call->client, &call->to, ++call->at_address);
        call->result = transmit(call);
        if (call->result == NACRE_OK) return true;
    }
    return false;
}

/* After the deadline, an unprotected response is reported as at the end of CoAP's own timers. */
static nacre_err result_of(const nacre__call *call)
{
    const nacre_err err = call->result;
    if (!call->is_late || err == NACRE_OK || err == NACRE_ERR_UNAUTHENTICATED || err == NACRE_ERR_NOT_PROTECTED)
        return err;
    return NACRE_ERR_TIMEOUT;
}

static void ended(nacre__call *call, const nacre_event *event)
{
    const bool is_response = event->kind != NACRE_EVENT_FAILED, is_protected = is_response && event->context != NULL;
    call->done = true;
    call->result = is_response ? NACRE_OK : event->err;
    call->has_response = event->message.code != NACRE_EMPTY;
    call->num_callbacks++;
    if (event->kind == NACRE_EVENT_NOTIFICATION) /* a single response was asked for */
        nacre_transfer_cancel(nacre_loop_transfer(call->client->loop), event->transfer_exchange);
    /* RFC 8613 8.4: an unprotected message is no response to a protected request. */
    if (is_response && call->to.ctx != NULL && !is_protected) call->result = NACRE_ERR_UNAUTHENTICATED;
    if (call->result == NACRE_OK || call->result == NACRE_ERR_UNAUTHENTICATED ||
        call->result == NACRE_ERR_NOT_PROTECTED)
        nacre__call_keep_reply(call, &event->message, is_protected);
    const bool goes_on = !call->is_cancelled && call->stage == NACRE__WAITING && goes_on_elsewhere(call);
    if (!nacre__call_end_callback(call) || goes_on) return;
    if (nacre__call_has_deadline(call)) nacre__call_conclude(call, result_of(call));
    else if (call->steps != NULL) call->steps->ended(call);
}

static nacre__call *find_by_exchange(const nacre_client *client, nacre_transfer_exchange exchange)
{
    nacre__call *call = client->calls;
    while (call != NULL && (call->done || call->exchange.number != exchange.number)) call = call->next;
    return call;
}

void nacre__client_on_event(void *user, nacre_transfer *transfer, const nacre_event *event)
{
    const nacre_client *client = user;
    if (event->kind == NACRE_EVENT_REQUEST) { /* a client has no resources */
        nacre_transfer_ignore(transfer, event->exchange);
        return;
    }
    nacre__call *call = find_by_exchange(client, event->transfer_exchange);
    if (call == NULL) return;
    if (call->is_cancelled) { /* by a source or sink, inside of the transfer */
        nacre__call_cancel(call);
        nacre__call_free(call);
        return;
    }
    switch (event->kind) {
    case NACRE_EVENT_OVERSIZED: /* a hint: the response, or the next notification, may still come */
        call->oversized = event->oversized;
        if (call->stage == NACRE__OBSERVING && call->observing->on_oversized != NULL)
            call->observing->on_oversized(call->observing->user, event->oversized, NACRE__CLIENT_MESSAGE);
        return;
    case NACRE_EVENT_FAILED:
        if (event->err == NACRE_ERR_OVERSIZED) call->oversized = event->oversized;
        break;
    case NACRE_EVENT_NOTIFICATION:
        if (call->observing == NULL) break;
        call->notified(call, event);
        return;
    case NACRE_EVENT_RESPONSE: break;
    default: return;
    }
    ended(call, event);
}
