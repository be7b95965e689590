/* SPDX-License-Identifier: MIT */
/* client_ends: what ends with a peer, and with a context. Their groups are visited, and no other exchanges but those with the same
 * hash. */
#include "endpoint/exchange/client_exchange.h"

static bool is_in_progress(const nacre__client_exchange *exchange)
{
    return exchange->state != NACRE__CLIENT_FREE && exchange->state != NACRE__CLIENT_ENDED;
}

/* Ends what is in progress with `peer`; only_sent: only requests that were sent and not acknowledged. Returns the number of
 * exchanges visited. */
uint32_t nacre__client_exchanges_lose_peer(nacre__client_exchanges *x, const nacre_address *peer, bool only_sent)
{
    uint32_t num = 0, next;
    for (uint32_t i = nacre__group_first(&x->by_peer, nacre__group_of_peer(x->core, peer)); i != NACRE__NONE;
         i = next) {
        nacre__client_exchange *exchange = &x->all[i];
        next = nacre__group_next(&x->by_peer, i);
        num++;
        if (!nacre_address_equal(&exchange->peer, peer)) continue;
        if (only_sent ? nacre__client_exchange_is_sent(exchange) : is_in_progress(exchange))
            nacre__client_exchange_end(x, exchange, NACRE_ERR_UNREACHABLE, NULL);
    }
    return num;
}

/* Ends those of a context that is removed, and replaces results that were not pulled. Returns the number of exchanges visited. */
uint32_t nacre__client_exchanges_lose_context(nacre__client_exchanges *x, const nacre_context *context)
{
    uint32_t num = 0, next;
    for (uint32_t i = nacre__group_first(&x->by_context, nacre__group_of_context(context)); i != NACRE__NONE;
         i = next) {
        nacre__client_exchange *exchange = &x->all[i];
        next = nacre__group_next(&x->by_context, i);
        num++;
        if (exchange->context == context) nacre__client_exchange_end(x, exchange, NACRE_ERR_NO_CONTEXT, NULL);
    }
    return num;
}
