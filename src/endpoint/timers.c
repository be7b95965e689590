/* SPDX-License-Identifier: MIT */
/* timers: when requests of ours are sent again, and when they are given up (RFC 7252 4.2, 4.8). */
#include "endpoint_internal.h"

/* The first wait is drawn between ACK_TIMEOUT and ACK_TIMEOUT times ACK_RANDOM_FACTOR. */
uint64_t nacre__first_wait(nacre_endpoint *ep)
{
    const nacre_timing *t = &ep->config.timing;
    const uint64_t spread = (uint64_t)t->ack_timeout_ms * (t->ack_random_factor_milli - 1000) / 1000;
    return t->ack_timeout_ms + nacre__random(ep) % (spread + 1);
}

/* A datagram of the slot has just gone out. */
void nacre__timer_start(nacre_endpoint *ep, nacre__slot *slot, uint64_t now_ms)
{
    uint64_t wait = ep->config.timing.answer_timeout_ms;
    if (slot->type == NACRE_CON) {
        if (slot->retransmissions == 0) slot->timeout = nacre__first_wait(ep);
        else if (slot->timeout <= UINT64_MAX / 4) slot->timeout *= 2;
        wait = slot->timeout;
    }
    ep->due[nacre__slot_index(ep, slot)] = nacre__after(now_ms, wait);
}

uint64_t nacre_endpoint_deadline(const nacre_endpoint *ep)
{
    uint64_t earliest = nacre__pushes_deadline(ep);
    for (uint32_t i = 0; i < ep->config.num_requests; i++)
        if (ep->due[i] < earliest) earliest = ep->due[i];
    return earliest;
}

static void due(nacre_endpoint *ep, nacre__slot *slot)
{
    const bool again = slot->state == NACRE__SLOT_SENT && slot->type == NACRE_CON &&
                       slot->retransmissions < ep->config.timing.max_retransmit;
    if (!again) {
        /* what came and could not be trusted is what its user wants to know */
        nacre_err err =
            slot->doubt == NACRE_OK || slot->doubt == NACRE_ERR_RESET ? slot->doubt : NACRE_ERR_PROTECTION_INVALID;
        nacre__slot_fail(ep, slot, err == NACRE_OK ? NACRE_ERR_TIMEOUT : err, NULL);
        return;
    }
    slot->retransmissions++;
    slot->in_transmit = true;
    ep->due[nacre__slot_index(ep, slot)] = NACRE__NEVER;
    nacre__queue_push(&ep->transmit, false, nacre__slot_index(ep, slot));
}

void nacre_endpoint_expire(nacre_endpoint *ep, uint64_t now_ms)
{
    ep->now_ms = now_ms;
    for (uint32_t i = 0; i < ep->config.num_requests; i++)
        if (ep->due[i] <= now_ms) due(ep, &ep->slots[i]);
    nacre__pushes_expire(ep, now_ms);
}
