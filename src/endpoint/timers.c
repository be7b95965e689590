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

/* A datagram of the slot has just gone out. */
void nacre__timer_start(nacre_endpoint *ep, nacre__slot *slot, uint64_t now_ms)
{
    uint64_t wait = ep->config.timing.response_timeout_ms;
    if (slot->type == NACRE_CON) {
        if (slot->retransmissions == 0) slot->timeout = nacre__first_wait(ep);
        else if (slot->timeout <= UINT64_MAX / 4) slot->timeout *= 2;
        wait = slot->timeout;
    }
    nacre__timer_set(ep, slot, nacre__after(now_ms, wait));
}

/* It was acknowledged: nothing is sent again (RFC 7252 4.2), the answer has its own time. */
void nacre__timer_answer(nacre_endpoint *ep, nacre__slot *slot, uint64_t now_ms)
{
    nacre__timer_set(ep, slot, nacre__after(now_ms, ep->config.timing.response_timeout_ms));
}

/* Requests that came since the last transmission: their users' patience begins now. */
void nacre__timers_limit(nacre_endpoint *ep, uint64_t now_ms)
{
    for (uint32_t i = 0; ep->num_unlimited > 0 && i < ep->config.num_client_exchanges; i++) {
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
    for (uint32_t i = 0; i < ep->config.num_client_exchanges; i++)
        if (ep->due[i] < earliest) earliest = ep->due[i];
    return earliest;
}

/* The error to tell when the time is up: what came and could not be trusted is what its user wants to know. */
static nacre_err last_word(nacre_err doubt)
{
    switch (doubt) {
    case NACRE_OK: return NACRE_ERR_TIMEOUT;
    case NACRE_ERR_RESET:
    case NACRE_ERR_TOO_LONG:
    case NACRE_ERR_OVERSIZED:
    case NACRE_ERR_UNAUTHENTICATED:
    case NACRE_ERR_NOT_PROTECTED: return doubt;
    default: return NACRE_ERR_PROTECTION_INVALID;
    }
}

void nacre__slot_give_up(nacre_endpoint *ep, nacre__slot *slot)
{
    const nacre_err err = last_word(slot->doubt);
    const bool has_hint = err == NACRE_ERR_UNAUTHENTICATED || err == NACRE_ERR_NOT_PROTECTED;
    const nacre_message hint = { .code = slot->hint.code, .payload = { slot->hint.text, slot->hint.len } };
    nacre__slot_end(ep, slot, err, has_hint ? &hint : NULL);
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
        nacre__slot_give_up(ep, slot);
    } else if (slot->state == NACRE__SLOT_HELD) {
        nacre__slot_resume(ep, slot);
    } else if (slot->state == NACRE__SLOT_OBSERVING) {
        nacre__observation_renew(ep, slot);
    } else if (slot->state == NACRE__SLOT_SENT && slot->type == NACRE_CON &&
               slot->retransmissions < ep->config.timing.max_retransmit) {
        slot->retransmissions++;
        send_again(ep, slot);
    } else {
        nacre__slot_give_up(ep, slot);
    }
}

void nacre_endpoint_expire(nacre_endpoint *ep, uint64_t now_ms)
{
    if (now_ms == NACRE__NEVER) now_ms--; /* what has no time is never due */
    ep->now_ms = now_ms;
    for (uint32_t i = 0; i < ep->config.num_client_exchanges; i++)
        if (ep->due[i] <= now_ms) due(ep, &ep->slots[i], now_ms);
    nacre__pushes_expire(ep, now_ms);
}
