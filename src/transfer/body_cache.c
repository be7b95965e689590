/* SPDX-License-Identifier: MIT */
/* body_cache: the bounded pool of bodies being assembled or kept, and its eviction rule.
 *
 * A party is a security context; all unprotected senders count as one party because addresses cost an attacker nothing.
 *
 *     party at bodies_per_peer    its new body evicts its own body idle longest
 *     pool full                   the new body evicts one of an unprotected sender, or of a party that holds at least two
 *                                 more than its own; failing these, its own body idle longest
 *
 * So no party loses a body to one that holds as many, and a party with none gets one if another holds two. */
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
    for (size_t i = 0; t->num_bodies_used > 0 && i < t->config.num_bodies; i++)
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

static size_t held_by(const nacre_transfer *t, const nacre_context *context)
{
    size_t num = 0;
    for (size_t i = 0; i < t->config.num_bodies; i++)
        num += t->bodies[i].kind != NACRE__BODY_FREE && t->bodies[i].key.context == context;
    return num;
}

static bool may_take(const nacre_transfer *t, const nacre__body *body, const nacre_context *newcomer, size_t held)
{
    if (body->kind == NACRE__BODY_FREE || body->kind == NACRE__BODY_DELIVERED) return false;
    if (body->key.context == newcomer) return true;
    if (held >= t->config.bodies_per_peer) return false;
    return body->key.context == NULL || held_by(t, body->key.context) >= held + 2;
}

/* Eviction order: bodies of unprotected senders, of other contexts, of the newcomer; among equals the one idle longest. */
static int rank(const nacre__body *body, const nacre_context *newcomer)
{
    if (body->key.context == newcomer) return 0;
    return body->key.context == NULL ? 2 : 1;
}

static nacre__body *victim(nacre_transfer *t, const nacre_context *newcomer, size_t held)
{
    nacre__body *best = NULL;
    for (size_t i = 0; i < t->config.num_bodies; i++) {
        nacre__body *body = &t->bodies[i];
        if (!may_take(t, body, newcomer, held)) continue;
        const int r = rank(body, newcomer), least = best == NULL ? -1 : rank(best, newcomer);
        if (r > least || (r == least && body->touched < best->touched)) best = body;
    }
    return best;
}

nacre__body *nacre__body_new(nacre_transfer *t, const nacre__body_key *key, nacre__body_kind kind)
{
    const size_t held = held_by(t, key->context);
    nacre__body *body = NULL;
    for (size_t i = 0; held < t->config.bodies_per_peer && body == NULL && i < t->config.num_bodies; i++)
        if (t->bodies[i].kind == NACRE__BODY_FREE) body = &t->bodies[i];
    if (body == NULL) body = victim(t, key->context, held);
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
    return body->touched > UINT64_MAX - 1 - t->config.body_timeout_ms ? UINT64_MAX - 1
                                                                      : body->touched + t->config.body_timeout_ms;
}

uint64_t nacre__body_cache_deadline(const nacre_transfer *t)
{
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; t->num_bodies_used > 0 && i < t->config.num_bodies; i++) {
        const nacre__body *body = &t->bodies[i];
        if (body->kind == NACRE__BODY_FREE || body->kind == NACRE__BODY_DELIVERED) continue;
        if (end_of(t, body) < first) first = end_of(t, body);
    }
    return first;
}

/* RFC 7959 2.5: incomplete bodies are dropped after body_timeout_ms without a block. */
void nacre__body_cache_expire(nacre_transfer *t)
{
    for (size_t i = 0; t->num_bodies_used > 0 && i < t->config.num_bodies; i++) {
        nacre__body *body = &t->bodies[i];
        if (body->kind == NACRE__BODY_FREE || body->kind == NACRE__BODY_DELIVERED) continue;
        if (end_of(t, body) <= t->now) nacre__body_release(t, body);
    }
}
