/* SPDX-License-Identifier: MIT */
/* nstart: a request is outstanding from its transmission until it is acknowledged, answered or given up. A NON counts for at
 * most ACK_TIMEOUT, because a lost one must not block the others for long. Requests over the limit are HELD. Observations
 * between notifications, and requests that wait for their store, do not count.
 *
 * Requests are ordered. Only the first one HELD for a peer has a timer; whenever one is sent or has ended, the next is tried,
 * and held again if need be. A NON held by PROBING_RATE has its own timer, and blocks no CON. */
#include "endpoint/message/nstart.h"

static bool is_limited(const nacre__transmissions *tx, const nacre__transmission *t)
{
    return tx->core->config.congestion.nstart != UINT16_MAX && !nacre_address_is_reliable(&t->peer);
}

/* When an outstanding request stops counting; NEVER for a CON. */
static uint64_t counts_until(const nacre__transmissions *tx, const nacre__transmission *t)
{
    if (t->type != NACRE_NON) return NACRE__NEVER;
    return nacre__after(t->sent_at, tx->core->config.timing.ack_timeout_ms);
}

static bool wants_to_go(const nacre__transmission *t)
{
    return (t->state == NACRE__TRANSMISSION_HELD && !t->is_probing) ||
           (t->state == NACRE__TRANSMISSION_QUEUED && !t->outstanding);
}

static void wake_next(nacre__transmissions *tx, const nacre__transmission *left)
{
    nacre__transmission *first = NULL;
    for (uint32_t i = 0; i < tx->num_requests && tx->num_held > 0; i++) {
        nacre__transmission *other = &tx->all[i];
        if (other->state != NACRE__TRANSMISSION_HELD || other->is_probing || other == left ||
            !nacre_address_equal(&other->peer, &left->peer))
            continue;
        if (first == NULL || other->order < first->order) first = other;
    }
    if (first == NULL) return;
    nacre__transmission_stop(tx, first);
    nacre__transmission_queue(tx, first);
}

static bool hold(nacre__transmissions *tx, nacre__transmission *t, uint64_t look_again_ms)
{
    t->state = NACRE__TRANSMISSION_HELD;
    tx->num_held++;
    nacre__transmission_set_due(tx, t, look_again_ms);
    return false;
}

/* RFC 7252 4.7: PROBING_RATE. Whether a NON has to wait. */
static bool probes_too_fast(nacre__transmissions *tx, nacre__transmission *t, uint64_t now_ms)
{
    if (t->type != NACRE_NON) return false;
    const uint64_t may_at = nacre__probing_may_at(&tx->probing, &t->peer, now_ms);
    if (may_at <= now_ms) return false;
    t->is_probing = true;
    (void)hold(tx, t, may_at);
    if (tx->num_held > 1) wake_next(tx, t); /* CON are not blocked by it */
    return true;
}

void nacre__nstart_heard(nacre__transmissions *tx, const nacre_address *peer)
{
    if (!nacre__probing_heard(&tx->probing, peer)) return;
    for (uint32_t i = 0; i < tx->num_requests && tx->num_held > 0; i++) {
        nacre__transmission *t = &tx->all[i];
        if (!t->is_probing || !nacre_address_equal(&t->peer, peer)) continue;
        nacre__transmission_stop(tx, t);
        nacre__transmission_queue(tx, t);
    }
}

bool nacre__nstart_enter(nacre__transmissions *tx, nacre__transmission *t, uint64_t now_ms)
{
    uint64_t look_again_ms = NACRE__NEVER;
    uint32_t num = 0;
    if (t->outstanding) return true;
    if (!is_limited(tx, t)) return !probes_too_fast(tx, t, now_ms);
    for (uint32_t i = 0; i < tx->num_requests; i++) {
        nacre__transmission *other = &tx->all[i];
        const bool is_ahead = wants_to_go(other) && other->order < t->order;
        if (other == t || !(other->outstanding || is_ahead) || !nacre_address_equal(&other->peer, &t->peer)) continue;
        if (is_ahead) return hold(tx, t, NACRE__NEVER);
        const uint64_t until = counts_until(tx, other);
        if (until < look_again_ms && until > now_ms) look_again_ms = until;
        if (until <= now_ms) other->outstanding = false;
        else num++;
    }
    if (num >= tx->core->config.congestion.nstart) return hold(tx, t, look_again_ms);
    if (probes_too_fast(tx, t, now_ms)) return false;
    t->outstanding = true;
    t->sent_at = now_ms;
    if (tx->num_held > 0) wake_next(tx, t);
    return true;
}

void nacre__nstart_leave(nacre__transmissions *tx, nacre__transmission *t)
{
    const bool changes = t->outstanding || wants_to_go(t);
    t->outstanding = false;
    if (changes && tx->num_held > 0) wake_next(tx, t);
}
