/* SPDX-License-Identifier: MIT */
/* server_groups: the server exchanges and separate responses of one connection, and the held exchanges of one context. Peers
 * over UDP are in no group, because they do not end. */
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

static void leave_group(nacre__server_exchanges *x, const nacre__server_exchange *exchange)
{
    if (exchange->record->state == NACRE__DEDUP_HELD && exchange->context != NULL)
        nacre__group_remove(&x->by_context, nacre__group_of_context(exchange->context),
                            nacre__server_exchange_index(x, exchange));
}

/* The exchange has no context any more. */
void nacre__server_exchange_leave_context(nacre__server_exchanges *x, nacre__server_exchange *exchange)
{
    leave_group(x, exchange);
    exchange->context = NULL;
}

/* The exchange is in use beyond its burst, and the removal of its context must find it. */
void nacre__server_exchange_hold(nacre__server_exchanges *x, const nacre__server_exchange *exchange)
{
    nacre__dedup_hold(x->dedup, exchange->record);
    if (exchange->context != NULL)
        nacre__group_add(&x->by_context, nacre__group_of_context(exchange->context),
                         nacre__server_exchange_index(x, exchange));
}

/* The message of the exchange is delivered, or its response written, in the present burst. */
void nacre__server_exchange_reopen(nacre__server_exchanges *x, const nacre__server_exchange *exchange)
{
    if (exchange->record->state != NACRE__DEDUP_HELD) return;
    leave_group(x, exchange);
    nacre__dedup_reopen(x->dedup, exchange->record);
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
