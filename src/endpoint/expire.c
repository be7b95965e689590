/* SPDX-License-Identifier: MIT */
/* expire: what is due is told to the exchange that it belongs to. */
#include "endpoint/endpoint_internal.h"

uint64_t nacre_endpoint_deadline(const nacre_endpoint *ep)
{
    return nacre__transmissions_deadline(&ep->tx);
}

void nacre_endpoint_expire(nacre_endpoint *ep, uint64_t now_ms)
{
    nacre__transmission *t;
    nacre__transmission_outcome outcome;
    if (now_ms == NACRE__NEVER) now_ms--; /* what has no time is never due */
    ep->now_ms = now_ms;
    while (nacre__transmissions_expire(&ep->tx, &t, &outcome, now_ms)) {
        const uint32_t index = nacre__transmission_index(&ep->tx, t);
        if (index < ep->tx.num_requests) nacre__slot_due(ep, &ep->slots[index], outcome);
        else nacre__push_due(ep, nacre__push_of(ep, t), outcome);
    }
}
