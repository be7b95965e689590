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

/* What its user wants to wait ends every wait. */
void nacre__timer_set(nacre_endpoint *ep, nacre__slot *slot, uint64_t due_ms)
{
    ep->due[nacre__slot_index(ep, slot)] = due_ms < slot->give_up ? due_ms : slot->give_up;
}

static uint64_t late_due(const nacre_endpoint *ep, const nacre__slot *slot)
{
    const uint32_t all = ep->config.timing.answer_timeout_ms;
    return slot->answer_due - (slot->late == 2 ? all - all / 4 : slot->late == 1 ? all / 2 : 0);
}

/* The next time to send what was acknowledged, in case that it was not the peer who said so; then the end of patience. */
static void set_late(nacre_endpoint *ep, nacre__slot *slot, uint64_t now_ms)
{
    while (slot->late > 0 && late_due(ep, slot) <= now_ms) slot->late--; /* the clock has made a leap */
    nacre__timer_set(ep, slot, late_due(ep, slot));
}

/* A datagram of the slot has just gone out. */
void nacre__timer_start(nacre_endpoint *ep, nacre__slot *slot, uint64_t now_ms)
{
    uint64_t wait = ep->config.timing.answer_timeout_ms;
    if (slot->state == NACRE__SLOT_ACKED) {
        set_late(ep, slot, now_ms);
        return;
    }
    if (slot->type == NACRE_CON) {
        if (slot->retransmissions == 0) slot->timeout = nacre__first_wait(ep);
        else if (slot->timeout <= UINT64_MAX / 4) slot->timeout *= 2;
        wait = slot->timeout;
    }
    nacre__timer_set(ep, slot, nacre__after(now_ms, wait));
}

/* It was acknowledged. */
void nacre__timer_answer(nacre_endpoint *ep, nacre__slot *slot, uint64_t now_ms)
{
    slot->answer_due = nacre__after(now_ms, ep->config.timing.answer_timeout_ms);
    set_late(ep, slot, now_ms);
}

/* Requests that came since the last transmission: their users' patience begins now. */
void nacre__timers_limit(nacre_endpoint *ep, uint64_t now_ms)
{
    for (uint32_t i = 0; ep->num_unlimited > 0 && i < ep->config.num_requests; i++) {
        nacre__slot *slot = &ep->slots[i];
        if (slot->limit == 0 || slot->limited) continue;
        slot->limited = true;
        slot->give_up = nacre__after(now_ms, slot->limit);
        nacre__timer_set(ep, slot, ep->due[i]);
        ep->num_unlimited--;
    }
}

uint64_t nacre_endpoint_deadline(const nacre_endpoint *ep)
{
    uint64_t earliest = nacre__pushes_deadline(ep);
    for (uint32_t i = 0; i < ep->config.num_requests; i++)
        if (ep->due[i] < earliest) earliest = ep->due[i];
    return earliest;
}

static void give_up(nacre_endpoint *ep, nacre__slot *slot)
{
    /* what came and could not be trusted is what its user wants to know */
    const bool says_it = slot->doubt == NACRE_OK || slot->doubt == NACRE_ERR_RESET || slot->doubt == NACRE_ERR_TOO_LONG;
    const nacre_err err = says_it ? slot->doubt : NACRE_ERR_PROTECTION_INVALID;
    nacre__slot_end(ep, slot, err == NACRE_OK ? NACRE_ERR_TIMEOUT : err, NULL);
}

static void send_again(nacre_endpoint *ep, nacre__slot *slot)
{
    slot->in_transmit = true;
    nacre__timer_set(ep, slot, NACRE__NEVER);
    nacre__queue_push(&ep->transmit, NACRE__OF_SLOT, nacre__slot_index(ep, slot));
}

static void due(nacre_endpoint *ep, nacre__slot *slot, uint64_t now_ms)
{
    if (slot->give_up <= now_ms) {
        give_up(ep, slot);
    } else if (slot->state == NACRE__SLOT_HELD) {
        nacre__slot_resume(ep, slot);
    } else if (slot->state == NACRE__SLOT_OBSERVING) {
        nacre__observation_renew(ep, slot);
    } else if (slot->state == NACRE__SLOT_ACKED && slot->late > 0 && now_ms < slot->answer_due) {
        slot->late--;
        send_again(ep, slot);
    } else if (slot->state == NACRE__SLOT_SENT && slot->type == NACRE_CON &&
               slot->retransmissions < ep->config.timing.max_retransmit) {
        slot->retransmissions++;
        send_again(ep, slot);
    } else {
        give_up(ep, slot);
    }
}

void nacre_endpoint_expire(nacre_endpoint *ep, uint64_t now_ms)
{
    if (now_ms == NACRE__NEVER) now_ms--; /* what has no time is never due */
    ep->now_ms = now_ms;
    for (uint32_t i = 0; i < ep->config.num_requests; i++)
        if (ep->due[i] <= now_ms) due(ep, &ep->slots[i], now_ms);
    nacre__pushes_expire(ep, now_ms);
}
