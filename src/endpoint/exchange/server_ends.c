/* SPDX-License-Identifier: MIT */
/* server_ends: what ends with a connection, and with a context. Their groups are visited, and no other entries but those with the
 * same hash. */
#include "endpoint/exchange/server_exchange.h"

static uint32_t lose_exchanges(nacre__server_exchanges *x, const nacre_address *peer)
{
    uint32_t num = 0, next;
    for (uint32_t i = nacre__group_first(&x->by_peer, nacre__group_of_peer(x->core, peer)); i != NACRE__NONE;
         i = next) {
        nacre__server_exchange *exchange = &x->all[i];
        next = nacre__group_next(&x->by_peer, i);
        num++;
        if (nacre_address_equal(&exchange->record->peer, peer)) nacre__server_exchange_release(x, exchange);
    }
    return num;
}

static uint32_t lose_separates(nacre__server_exchanges *x, const nacre_address *peer)
{
    const nacre__groups *groups = &x->separates_by_peer;
    uint32_t num = 0, next;
    for (uint32_t i = nacre__group_first(groups, nacre__group_of_peer(x->core, peer)); i != NACRE__NONE; i = next) {
        nacre__separate_response *separate = &x->separates[i];
        next = nacre__group_next(groups, i);
        num++;
        if (nacre_address_equal(&separate->t->peer, peer)) nacre__separate_drop(x, separate);
    }
    return num;
}

/* Releases what belongs to a connection. Returns the number of entries visited. */
uint32_t nacre__server_exchanges_lose_peer(nacre__server_exchanges *x, const nacre_address *peer)
{
    const uint32_t num = lose_exchanges(x, peer); /* with their own separate responses */
    return num + lose_separates(x, peer);
}

static uint32_t lose_open(nacre__server_exchanges *x, const nacre_context *context)
{
    uint32_t num = 0, next;
    for (uint32_t i = x->dedup->lists[NACRE__DEDUP_OPEN].first; i != NACRE__NONE; i = next) {
        nacre__server_exchange *exchange = &x->all[i];
        next = exchange->record->link.next;
        num++;
        if (exchange->context == context) nacre__response_withdraw(x, exchange, NACRE_ERR_NO_CONTEXT);
    }
    return num;
}

static uint32_t lose_held(nacre__server_exchanges *x, const nacre_context *context)
{
    uint32_t num = 0, next;
    for (uint32_t i = nacre__group_first(&x->by_context, nacre__group_of_context(context)); i != NACRE__NONE;
         i = next) {
        nacre__server_exchange *exchange = &x->all[i];
        next = nacre__group_next(&x->by_context, i);
        num++;
        if (exchange->context == context) nacre__response_withdraw(x, exchange, NACRE_ERR_NO_CONTEXT);
    }
    return num;
}

/* Ends the exchanges of a context that is removed: those of this burst, and held ones. Returns the number of exchanges visited. */
uint32_t nacre__server_exchanges_lose_context(nacre__server_exchanges *x, const nacre_context *context)
{
    const uint32_t num = lose_open(x, context);
    return num + lose_held(x, context);
}
