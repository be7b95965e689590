/* SPDX-License-Identifier: MIT */
/* expire: passes due timers to their exchanges. */
#include "endpoint/endpoint_struct.h"

/* Gives the request up, or registers the observation anew. */
static void request_due(nacre_endpoint *ep, nacre__client_exchange *exchange, nacre__transmission_outcome outcome)
{
    const bool rederives = outcome == NACRE__TRANSMISSION_OWNER_TIMER && exchange->state == NACRE__CLIENT_OBSERVING;
    if (rederives) nacre__observation_renew(&ep->client_exchanges, exchange);
    else nacre__client_exchange_give_up(&ep->client_exchanges, exchange);
}

uint64_t nacre_endpoint_deadline(const nacre_endpoint *ep)
{
    return nacre__transmissions_deadline(&ep->tx);
}

void nacre_endpoint_expire(nacre_endpoint *ep, uint64_t now_ms)
{
    nacre__transmission *t;
    nacre__transmission_outcome outcome;
    if (now_ms == NACRE__NEVER) now_ms--; /* NEVER itself is never due */
    ep->core.now_ms = now_ms;
    while (nacre__transmissions_expire(&ep->tx, &t, &outcome, now_ms)) {
        const uint32_t index = nacre__transmission_index(&ep->tx, t);
        if (index < ep->tx.num_requests) request_due(ep, &ep->client_exchanges.all[index], outcome);
        else nacre__separate_due(&ep->server_exchanges, nacre__separate_of(&ep->server_exchanges, t), outcome);
    }
}
