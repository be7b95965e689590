/* SPDX-License-Identifier: MIT */
/* server_groups: the server exchanges and separate responses of one connection, and the exchanges of one context. Peers over UDP
 * are in no group, because they do not end. */
#include "endpoint/exchange/server_exchange.h"

void nacre__server_exchange_join_peer(nacre__server_exchanges *x, const nacre__server_exchange *exchange)
{
    const nacre_address *peer = &exchange->record->peer;
    if (!nacre_address_is_reliable(peer)) return;
    nacre__group_add(&x->by_peer, nacre__group_of_peer(x->core, peer), nacre__server_exchange_index(x, exchange));
}

void nacre__server_exchange_leave_peer(nacre__server_exchanges *x, const nacre__server_exchange *exchange)
{
    const nacre_address *peer = &exchange->record->peer;
    if (!nacre_address_is_reliable(peer)) return;
    nacre__group_remove(&x->by_peer, nacre__group_of_peer(x->core, peer), nacre__server_exchange_index(x, exchange));
}

/* NULL: none. */
void nacre__server_exchange_set_context(nacre__server_exchanges *x, nacre__server_exchange *exchange,
                                        nacre_context *context)
{
    const uint32_t self = nacre__server_exchange_index(x, exchange);
    if (exchange->context == context) return;
    if (exchange->context != NULL)
        nacre__group_remove(&x->by_context, nacre__group_of_context(exchange->context), self);
    exchange->context = context;
    if (context != NULL) nacre__group_add(&x->by_context, nacre__group_of_context(context), self);
}

void nacre__separate_join_peer(nacre__server_exchanges *x, const nacre__separate_response *separate)
{
    const nacre_address *peer = &separate->t->peer;
    if (!nacre_address_is_reliable(peer)) return;
    nacre__group_add(&x->separates_by_peer, nacre__group_of_peer(x->core, peer), nacre__separate_index(x, separate));
}

void nacre__separate_leave_peer(nacre__server_exchanges *x, const nacre__separate_response *separate)
{
    const nacre_address *peer = &separate->t->peer;
    if (!nacre_address_is_reliable(peer)) return;
    nacre__group_remove(&x->separates_by_peer, nacre__group_of_peer(x->core, peer), nacre__separate_index(x, separate));
}
