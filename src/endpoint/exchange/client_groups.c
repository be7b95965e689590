/* SPDX-License-Identifier: MIT */
/* client_groups: the client exchanges of one peer, and of one context. An exchange is in its groups until it is released. */
#include "endpoint/exchange/client_exchange.h"

void nacre__client_exchange_join_peer(nacre__client_exchanges *x, const nacre__client_exchange *exchange)
{
    nacre__group_add(&x->by_peer, nacre__group_of_peer(x->core, &exchange->peer),
                     nacre__client_exchange_index(x, exchange));
}

void nacre__client_exchange_leave_peer(nacre__client_exchanges *x, const nacre__client_exchange *exchange)
{
    nacre__group_remove(&x->by_peer, nacre__group_of_peer(x->core, &exchange->peer),
                        nacre__client_exchange_index(x, exchange));
}

/* NULL: none. */
void nacre__client_exchange_set_context(nacre__client_exchanges *x, nacre__client_exchange *exchange,
                                        nacre_context *context)
{
    const uint32_t self = nacre__client_exchange_index(x, exchange);
    if (exchange->context == context) return;
    if (exchange->context != NULL)
        nacre__group_remove(&x->by_context, nacre__group_of_context(exchange->context), self);
    exchange->context = context;
    if (context != NULL) nacre__group_add(&x->by_context, nacre__group_of_context(context), self);
}
