/* SPDX-License-Identifier: MIT */
/* nstart: how many requests of ours may be on their way to one peer at a time (RFC 7252 4.7), and those that wait for it.
 *
 * A request is outstanding from its transmission until it is acknowledged, answered or given up. A NON may never hear of
 * either, so it counts for ACK_TIMEOUT at most: nobody knows better, and a lost one must not stop the others for long. What
 * may not go yet is HELD. Observations that wait for notifications, and requests that wait for their store, are not on
 * their way.
 *
 * Each slot has a turn. Only the first of those that wait for a peer watches the clock; whenever one has gone, or has ended,
 * the next is looked at, and held again if it must. */
#include "endpoint/endpoint_internal.h"

static bool is_limited(const nacre_endpoint *ep, const nacre__slot *slot)
{
    return ep->config.nstart != UINT16_MAX && !nacre_address_is_reliable(&slot->peer);
}

/* When an outstanding one stops counting; NEVER for a CON. */
static uint64_t counts_until(const nacre_endpoint *ep, const nacre__slot *slot)
{
    if (slot->type != NACRE_NON) return NACRE__NEVER;
    return nacre__after(slot->sent_at, ep->config.timing.ack_timeout_ms);
}

static bool wants_to_go(const nacre__slot *slot)
{
    return slot->state == NACRE__SLOT_HELD || (slot->state == NACRE__SLOT_QUEUED && !slot->outstanding);
}

static void wake_next(nacre_endpoint *ep, const nacre__slot *gone)
{
    nacre__slot *first = NULL;
    for (uint32_t i = 0; i < ep->config.num_client_exchanges && ep->num_held > 0; i++) {
        nacre__slot *other = &ep->slots[i];
        if (other->state != NACRE__SLOT_HELD || other == gone || !nacre_address_equal(&other->peer, &gone->peer))
            continue;
        if (first == NULL || other->turn < first->turn) first = other;
    }
    if (first != NULL) nacre__slot_resume(ep, first);
}

static void hold(nacre_endpoint *ep, nacre__slot *slot, uint64_t look_again_ms)
{
    slot->state = NACRE__SLOT_HELD;
    ep->num_held++;
    nacre__timer_set(ep, slot, look_again_ms);
}

/* HELD no more, if it was; it is to be queued. */
void nacre__nstart_let_go(nacre_endpoint *ep, nacre__slot *slot)
{
    if (slot->state != NACRE__SLOT_HELD) return;
    slot->state = NACRE__SLOT_QUEUED;
    ep->num_held--;
}

/* Whether the slot may be transmitted now; otherwise it is HELD from here on. */
bool nacre__nstart_enter(nacre_endpoint *ep, nacre__slot *slot, uint64_t now_ms)
{
    uint64_t look_again_ms = NACRE__NEVER;
    uint32_t num = 0;
    if (slot->outstanding || !is_limited(ep, slot)) return true;
    for (uint32_t i = 0; i < ep->config.num_client_exchanges; i++) {
        nacre__slot *other = &ep->slots[i];
        const bool is_ahead = wants_to_go(other) && other->turn < slot->turn;
        if (other == slot || !(other->outstanding || is_ahead) || !nacre_address_equal(&other->peer, &slot->peer))
            continue;
        if (is_ahead) {
            hold(ep, slot, NACRE__NEVER);
            return false;
        }
        const uint64_t until = counts_until(ep, other);
        if (until < look_again_ms && until > now_ms) look_again_ms = until;
        if (until <= now_ms) other->outstanding = false;
        else num++;
    }
    if (num >= ep->config.nstart) {
        hold(ep, slot, look_again_ms);
        return false;
    }
    slot->outstanding = true;
    slot->sent_at = now_ms;
    if (ep->num_held > 0) wake_next(ep, slot);
    return true;
}

/* The slot is not on its way any more, nor does it wait to be. */
void nacre__nstart_leave(nacre_endpoint *ep, nacre__slot *slot)
{
    const bool changes = slot->outstanding || wants_to_go(slot);
    if (slot->state == NACRE__SLOT_HELD) ep->num_held--;
    slot->outstanding = false;
    if (changes && ep->num_held > 0) wake_next(ep, slot);
}
