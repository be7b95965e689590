/* SPDX-License-Identifier: MIT */
/* server_requests: requests of peers that await a response of the application, some of them deferred. */
#include "transfer_internal.h"

/* Searches backwards: the response is nearly always to the newest request. */
nacre__server_request *nacre__server_request_find(nacre_transfer *t, nacre_exchange exchange)
{
    for (uint32_t i = t->num_requests; i-- > 0;)
        if (nacre_exchange_equal(t->requests[i].event.exchange, exchange)) return &t->requests[i];
    for (uint32_t i = 0; i < t->num_deferred; i++)
        if (nacre_exchange_equal(t->deferred[i].event.exchange, exchange)) return &t->deferred[i];
    return NULL;
}

void nacre__server_request_forget(nacre_transfer *t, nacre__server_request *request)
{
    if (request->body != NACRE__NO_BODY) nacre__body_release(t, &t->bodies[request->body]);
    const nacre__server_request *last =
        request->is_deferred ? &t->deferred[--t->num_deferred] : &t->requests[--t->num_requests];
    if (request != last) *request = *last;
}

nacre__body_key nacre__server_request_key(const nacre_transfer *t, const nacre__server_request *request)
{
    return request->is_deferred ? request->key : nacre__body_key_of(t, &request->event);
}

uint64_t nacre__server_request_payload_hash(const nacre_transfer *t, const nacre__server_request *request)
{
    return request->is_deferred ? request->payload_hash : nacre__body_hash(t, request->event.message.payload);
}

/* Drops the pending NOTIFY of an observer that is gone; the endpoint reports its end in no other way. */
void nacre__forget_observer(nacre_transfer *t, nacre_observer observer)
{
    for (uint32_t i = t->num_requests; i-- > 0;)
        if (nacre_observer_equal(t->requests[i].event.observer, observer))
            nacre__server_request_forget(t, &t->requests[i]);
    for (uint32_t i = t->num_deferred; i-- > 0;)
        if (nacre_observer_equal(t->deferred[i].event.observer, observer))
            nacre__server_request_forget(t, &t->deferred[i]);
}

/* Drops deferred requests whose endpoint exchange has ended (observer dropped, context or connection removed) before the
 * application responded. */
static void forget_stale(nacre_transfer *t)
{
    for (uint32_t i = t->num_deferred; i-- > 0;)
        if (nacre_endpoint_defer_response(t->ep, t->deferred[i].event.exchange) == NACRE_ERR_STALE)
            nacre__server_request_forget(t, &t->deferred[i]);
}

nacre_err nacre_transfer_defer_response(nacre_transfer *t, nacre_exchange exchange)
{
    nacre__server_request *request = nacre__server_request_find(t, exchange);
    if (request == NULL || request->is_deferred) return NACRE_ERR_STALE;
    if (t->num_deferred == t->max_deferred) forget_stale(t);
    if (t->num_deferred == t->max_deferred) return NACRE_ERR_BUSY;
    const nacre_err err = nacre_endpoint_defer_response(t->ep, exchange);
    if (err != NACRE_OK) return err;
    nacre__server_request *deferred = &t->deferred[t->num_deferred++];
    *deferred = *request;
    deferred->key = nacre__body_key_of(t, &request->event);
    deferred->payload_hash = nacre__body_hash(t, request->event.message.payload);
    deferred->event.message = (nacre_message){ .code = request->event.message.code };
    deferred->is_deferred = true;
    request->body = NACRE__NO_BODY; /* `deferred` owns it now */
    nacre__server_request_forget(t, request);
    return NACRE_OK;
}
