/* SPDX-License-Identifier: MIT */
/* body_cache: the bounded pool of bodies being assembled or kept, and its eviction rule.
 *
 * A party is a security context, or the source address of plain requests. Plain bodies fill at most half of the pool, because
 * addresses cost an attacker nothing.
 *
 *     party at bodies_per_peer    its new body evicts its own body idle longest
 *     pool full, or plain ones    the new body evicts, in this order: a plain one; one of a party that holds at least two more
 *     at their half               than its own; if its own holds none, one that is idle; its own. Among equals, the one idle
 *                                 longest. A plain one evicts only plain ones
 *
 * So no party loses a body in progress to one that holds as many, and a peer that vanished keeps none from a newcomer. */
#include "transfer_internal.h"
#include "base/siphash.h"

#include <string.h>

/* ---- Keys ---------------------------------------------------------------------------------------------------------- */

/* Keys also compare peer and context exactly, so a hash collision affects only its own sender. */
uint64_t nacre__body_hash(const nacre_transfer *t, nacre_bytes bytes)
{
    return nacre__siphash_of(t->hash_key, bytes);
}

/* RFC 7252 5.4.6: all options except elective NoCacheKey ones; a critical option is in every block or in none. Block options
 * differ between blocks, and later blocks of a notification are requested without Observe (RFC 7959 2.4, 3.4): left out too. */
static bool is_in_key(uint16_t number)
{
    if (number == NACRE_OPT_BLOCK1 || number == NACRE_OPT_BLOCK2 || number == NACRE_OPT_OBSERVE) return false;
    return (number & 0x1f) != 0x1c;
}

/* RFC 9175 3.4: Request-Tag is part of the key. */
nacre__body_key nacre__body_key_of(const nacre_transfer *t, const nacre_event *request)
{
    nacre__siphash hash = nacre__siphash_start(t->hash_key);
    nacre_option_iter it = nacre_option_begin(request->message.options);
    for (nacre_option option; nacre_option_next(&it, &option);) {
        if (!is_in_key(option.number)) continue;
        nacre__siphash_word(&hash, (uint64_t)option.value.len << 16 | option.number);
        nacre__siphash_words(&hash, option.value);
    }
    return (nacre__body_key){ .context = request->context,
                              .peer = request->peer,
                              .hash = nacre__siphash_end(&hash, request->message.code) };
}

static bool same_key(const nacre__body_key *a, const nacre__body_key *b)
{
    return a->hash == b->hash && a->context == b->context && nacre_address_equal(&a->peer, &b->peer);
}

nacre__body *nacre__body_find(nacre_transfer *t, const nacre__body_key *key, nacre__body_kind kind)
{
    for (size_t i = 0; t->num_bodies_used > 0 && i < t->config.bodies.num_bodies; i++)
        if (t->bodies[i].kind == kind && same_key(&t->bodies[i].key, key)) return &t->bodies[i];
    return NULL;
}

/* ---- Pool entries -------------------------------------------------------------------------------------------------- */

void nacre__body_release(nacre_transfer *t, nacre__body *body)
{
    if (body->kind == NACRE__BODY_FREE) return;
    void (*done)(void *user) = body->done;
    void *user = body->sink.user;
    nacre__body empty = { .options = body->options, .bytes = body->bytes };
    if (body->sink.write == NULL) nacre_wipe(body->bytes, (size_t)body->len);
    nacre_wipe(body->options, body->options_len);
    *body = empty;
    t->num_bodies_used--;
    if (done != NULL) done(user);
}

static bool same_party(const nacre__body_key *a, const nacre__body_key *b)
{
    return a->context == b->context && (a->context != NULL || nacre_address_equal(&a->peer, &b->peer));
}

/* The bodies of one party; those that it waits for, or all. */
static size_t held_by(const nacre_transfer *t, const nacre__body_key *party, bool all)
{
    size_t num = 0;
    for (size_t i = 0; i < t->config.bodies.num_bodies; i++) {
        const nacre__body *body = &t->bodies[i];
        if (body->kind == NACRE__BODY_FREE || (!all && body->kind == NACRE__BODY_DELIVERED)) continue;
        num += same_party(&body->key, party);
    }
    return num;
}

/* Whether an upload has not gone beyond its first block, a block has not come for a while, or the application can make the
 * response again. */
static bool is_idle(const nacre_transfer *t, const nacre__body *body)
{
    if (t->now - body->touched >= NACRE__BODY_IDLE_MS) return true;
    return body->kind == NACRE__BODY_UPLOAD ? !body->has_progress : body->is_safe;
}

/* A new body, and what its party holds. */
typedef struct newcomer {
    const nacre__body_key *key;
    size_t num, num_waiting; /* all bodies of its party; without the delivered ones */
} newcomer;

static bool may_evict(const nacre_transfer *t, const newcomer *n, const nacre__body *body)
{
    if (body->kind == NACRE__BODY_FREE || body->kind == NACRE__BODY_DELIVERED) return false;
    if (same_party(&body->key, n->key)) return true;
    if (n->num >= t->config.bodies.bodies_per_peer) return false;
    if (body->key.context == NULL && n->key->context != NULL) return true;
    if (body->key.context != NULL && n->key->context == NULL) return false;
    return (n->num_waiting == 0 && is_idle(t, body)) || held_by(t, &body->key, true) >= n->num + 2;
}

/* The highest is evicted first; among equals the one idle longest. */
static int rank(const nacre__body *body, const newcomer *n)
{
    if (same_party(&body->key, n->key)) return 0;
    return body->key.context == NULL ? 2 : 1;
}

static nacre__body *victim(nacre_transfer *t, const newcomer *n)
{
    nacre__body *best = NULL;
    for (size_t i = 0; i < t->config.bodies.num_bodies; i++) {
        nacre__body *body = &t->bodies[i];
        const int r = rank(body, n), least = best == NULL ? -1 : rank(best, n);
        const bool is_better = r > least || (r == least && body->touched < best->touched);
        if (is_better && may_evict(t, n, body)) best = body;
    }
    return best;
}

/* NULL: none that this party may take. */
static nacre__body *free_one(nacre_transfer *t, const newcomer *n)
{
    nacre__body *body = NULL;
    size_t num_plain = 0;
    for (size_t i = 0; i < t->config.bodies.num_bodies; i++) {
        if (t->bodies[i].kind == NACRE__BODY_FREE) body = body == NULL ? &t->bodies[i] : body;
        else num_plain += t->bodies[i].key.context == NULL;
    }
    const size_t half =
        t->config.bodies.num_bodies < 4 ? 2 : t->config.bodies.num_bodies / 2U; /* a request body and its response */
    const bool is_over = n->num >= t->config.bodies.bodies_per_peer || (n->key->context == NULL && num_plain >= half);
    return is_over ? NULL : body;
}

nacre__body *nacre__body_new(nacre_transfer *t, const nacre__body_key *key, nacre__body_kind kind)
{
    const newcomer n = { key, held_by(t, key, true), held_by(t, key, false) };
    nacre__body *body = free_one(t, &n);
    if (body == NULL) body = victim(t, &n);
    if (body == NULL) return NULL;
    nacre__body_release(t, body);
    body->kind = kind;
    body->key = *key;
    body->touched = t->now;
    t->num_bodies_used++;
    return body;
}

/* ---- Time ---------------------------------------------------------------------------------------------------------- */

static uint64_t end_of(const nacre_transfer *t, const nacre__body *body)
{
    return body->touched > UINT64_MAX - 1 - t->config.bodies.timeout_ms ? UINT64_MAX - 1
                                                                        : body->touched + t->config.bodies.timeout_ms;
}

uint64_t nacre__body_cache_deadline(const nacre_transfer *t)
{
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; t->num_bodies_used > 0 && i < t->config.bodies.num_bodies; i++) {
        const nacre__body *body = &t->bodies[i];
        if (body->kind == NACRE__BODY_FREE || body->kind == NACRE__BODY_DELIVERED) continue;
        if (end_of(t, body) < first) first = end_of(t, body);
    }
    return first;
}

/* RFC 7959 2.5: incomplete bodies are dropped after bodies.timeout_ms without a block. */
void nacre__body_cache_expire(nacre_transfer *t)
{
    for (size_t i = 0; t->num_bodies_used > 0 && i < t->config.bodies.num_bodies; i++) {
        nacre__body *body = &t->bodies[i];
        if (body->kind == NACRE__BODY_FREE || body->kind == NACRE__BODY_DELIVERED) continue;
        if (end_of(t, body) <= t->now) nacre__body_release(t, body);
    }
}
