/* SPDX-License-Identifier: MIT */
/* server_lookup: received requests that wait for their context. They are not verified, so they have entries of their own, of which
 * one host has at most half. */
#include "endpoint/exchange/server_exchange.h"

#include <string.h>

static bool is_lookup(const nacre__server_exchanges *x, const nacre__server_exchange *exchange)
{
    return exchange->pending != NACRE__NONE && exchange->pending >= x->max_pending;
}

/* A free entry within the share of the host, or NONE. */
static uint32_t free_entry(const nacre__server_exchanges *x, uint64_t host)
{
    const uint32_t share = (x->num_lookups + 1) / 2;
    uint32_t found = NACRE__NONE, num_of_host = 0;
    for (uint32_t i = x->max_pending; i < x->max_pending + x->num_lookups; i++) {
        if (x->pending[i].server == NACRE__NONE) found = i;
        else if (x->pending[i].host == host) num_of_host++;
    }
    return num_of_host < share ? found : NACRE__NONE;
}

static nacre_bytes moved(nacre_bytes part, const nacre_bytes from, const uint8_t *to)
{
    return nacre_is_absent(part) ? part : nacre_bytes_of(to + (part.ptr - from.ptr), part.len);
}

/* Keeps the request, whose contexts so far have returned received->err. False: it is to be dropped. */
bool nacre__lookup_keep(nacre__server_exchanges *x, nacre__server_exchange *exchange, const nacre__received *received)
{
    const nacre_bytes bytes = received->datagram->bytes;
    const uint64_t host = nacre__host_of(x->core, &received->datagram->peer);
    const uint32_t at = free_entry(x, host);
    if (at == NACRE__NONE) return false;
    nacre__pending_request *pending = &x->pending[at];
    memcpy(pending->bytes, bytes.ptr, bytes.len);
    pending->len = bytes.len;
    pending->server = nacre__server_exchange_index(x, exchange);
    pending->partial_iv_len = 0;
    pending->err = received->err;
    pending->host = host;
    pending->kid = moved(received->read.oscore.kid, bytes, pending->bytes);
    pending->kid_context = moved(received->read.oscore.kid_context, bytes, pending->bytes);
    pending->is_unasked = true;
    x->num_unasked++;
    exchange->pending = at;
    exchange->context = NULL;
    exchange->state = NACRE__SERVER_PENDING;
    exchange->record->may_be_dropped = true;
    return true;
}

/* The next one whose event was not pulled; there is one. */
nacre__server_exchange *nacre__lookup_next(nacre__server_exchanges *x)
{
    for (;;) {
        x->next_unasked = x->next_unasked + 1 < x->num_lookups ? x->next_unasked + 1 : 0;
        nacre__pending_request *pending = &x->pending[x->max_pending + x->next_unasked];
        if (!pending->is_unasked) continue;
        pending->is_unasked = false;
        x->num_unasked--;
        return &x->all[pending->server];
    }
}

/* The request with that number, if it waits for its context. */
nacre__server_exchange *nacre__lookup_of(const nacre__server_exchanges *x, uint64_t number)
{
    const uint32_t index = nacre__number_index(number, NACRE__OF_SERVER_EXCHANGE);
    if (index >= x->core->config.num_server_exchanges) return NULL;
    nacre__server_exchange *exchange = &x->all[index];
    const bool waits = exchange->state == NACRE__SERVER_PENDING && is_lookup(x, exchange);
    return exchange->number == number && waits ? exchange : NULL;
}

/* The wait ends: gives the request, which is in the entry until its exchange leaves that. */
nacre_datagram nacre__lookup_begin(nacre__server_exchanges *x, nacre__server_exchange *exchange)
{
    nacre__pending_request *pending = &x->pending[exchange->pending];
    if (pending->is_unasked) x->num_unasked--;
    pending->is_unasked = false;
    exchange->record->may_be_dropped = false;
    nacre__server_exchange_reopen(x, exchange);
    return (nacre_datagram){ .peer = exchange->record->peer, .bytes = { pending->bytes, pending->len } };
}

/* The exchange is no lookup any more; gives its entry, which is free once `server` is NONE, or NONE. */
uint32_t nacre__lookup_leave(const nacre__server_exchanges *x, nacre__server_exchange *exchange)
{
    const uint32_t at = is_lookup(x, exchange) ? exchange->pending : NACRE__NONE;
    if (at != NACRE__NONE) exchange->pending = NACRE__NONE;
    return at;
}

/* Drops the request without a record, so that its retransmission is handled as new. `is_refused`: over a connection, which
 * retransmits nothing, it is refused. */
void nacre__lookup_drop(nacre__server_exchanges *x, nacre__server_exchange *exchange, bool is_refused)
{
    if (is_refused && nacre_address_is_reliable(&exchange->record->peer)) {
        nacre__response_withdraw(x, exchange, NACRE_ERR_NOT_YET);
        return;
    }
    nacre__count_dropped(x->core, NACRE_DROPPED_LOOKUP);
    nacre__server_exchange_release(x, exchange);
}
