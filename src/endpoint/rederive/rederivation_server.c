/* SPDX-License-Identifier: MIT */
/* rederivation_server: the server role of RFC 8613 B.2.
 *
 * A request that no context verified may be request #1 or #2 of a peer with a rederivation. #1, and #2 with a valid R2, cost
 * a key derivation before their sender is authenticated, so they are rate-limited (rate_limits.h): an excess request is
 * dropped, and its retransmission tries again. #2 costs one HMAC until its R2 is recognised. */
#include "oscore/offer.h"
#include "oscore/unprotect.h"
#include "endpoint/core/hash.h"
#include "endpoint/message/nstart.h"
#include "endpoint/rederive/rederivation.h"

#include <string.h>

/* ---- Finding ------------------------------------------------------------------------------------------------------- */

/* Whether `derived` holds the context in use, or, with our request #2 in flight, the next one. */
static bool is_in_use(const nacre_rederivation *r)
{
    return !nacre_exchange_is_none(r->leader) ? !r->client.waiting : r->current == &r->derived.context;
}

static bool fits(const nacre_rederivation *r, const nacre_oscore_option *option)
{
    return is_in_use(r) && (nacre_is_absent(option->kid_context) ||
                            nacre_bytes_equal(option->kid_context, nacre_context_id_context(&r->derived.context)));
}

/* The next rederived context that matches the request's kid, or NULL. */
nacre_context *nacre__rederivation_next_context(nacre__rederivations *d, nacre__received *received)
{
    if (received->rederivations_end) return NULL;
    do {
        received->rederivation = nacre__rederivation_next(d, received->rederivation, received->read.oscore.kid);
    } while (received->rederivation != NULL && !fits(received->rederivation, &received->read.oscore));
    received->rederivations_end = received->rederivation == NULL;
    return received->rederivation != NULL ? &received->rederivation->derived.context : NULL;
}

/* A request verified under a rederived context: if our request #2 is still unanswered, the peer has accepted it, because it
 * has the keys. */
void nacre__rederivation_proved(nacre__rederivations *d, const nacre__received *received)
{
    nacre_rederivation *r = received->rederivation;
    if (received->err != NACRE_OK || r == NULL || received->context != &r->derived.context ||
        nacre_exchange_is_none(r->leader))
        return;
    const nacre__client_exchange *leader = nacre__client_exchange_of(d->client_exchanges, r->leader.number);
    nacre__rederivation_established(d, r, &received->datagram->peer);
    nacre__rederivation_left(d, leader);
}

/* Whether the request used old keys: a burst may have such requests after the one that replaced the keys of the same
 * context. */
bool nacre__rederivation_is_past(const nacre__received *received)
{
    return received->rederivation != NULL && received->err == NACRE_OK && received->context != NULL &&
           !nacre_equal_ct(received->id.keys, received->context->common_iv, sizeof received->id.keys);
}

/* ---- One request --------------------------------------------------------------------------------------------------- */

typedef struct attempt {
    nacre__rederivations *d;
    nacre__server_exchange *server;
    nacre__received *received;
    nacre_rederivation *r;
    nacre_buf buf;    /* for the plaintext */
    bool *is_limited; /* set when the rate limit refuses the derivation */
} attempt;

static bool rate_allows(const attempt *a)
{
    const bool allows =
        nacre__derivation_take(a->d->server_exchanges->rate_limits, &a->server->record->peer, &a->r->rate_limit);
    if (!allows) *a->is_limited = true;
    return allows;
}

/* Request #2 again, or another request before its response arrived: the context that it names is in use. */
static nacre_err take_wrapped(const attempt *a)
{
    static const nacre__unprotect_how wrapped = { .any_kid_context = true };
    nacre__received *received = a->received;
    received->err = nacre__unprotect_request(&a->r->derived.context, &a->d->core->config.crypto, &received->id,
                                             &received->plain, a->buf, &received->outer, &wrapped);
    received->context = &a->r->derived.context;
    received->rederivation = a->r;
    nacre__rederivation_proved(a->d, received);
    return received->err;
}

static bool names_current(const attempt *a)
{
    const nacre_bytes field =
        a->received->read.oscore.kid_context; /* its last bytes are R2 | R3, see nacre_rederive_recognise */
    const size_t len = NACRE_REDERIVE_R2 + NACRE_REDERIVE_NONCE;
    return is_in_use(a->r) && nacre_bytes_equal(nacre_bytes_of(field.ptr + field.len - len, len),
                                                nacre_context_id_context(&a->r->derived.context));
}

/* If both sides lead at once, the one with the smaller Sender ID accepts the other's request #2; otherwise both would wait
 * for ever. */
static bool gives_way(const nacre_rederivation *r)
{
    const nacre_bytes ours = r->material.sender_id, theirs = r->material.recipient_id;
    if (ours.len != theirs.len) return ours.len < theirs.len;
    return ours.len > 0 && memcmp(ours.ptr, theirs.ptr, ours.len) < 0;
}

static nacre_err accept_2(const attempt *a)
{
    nacre__rederivations *d = a->d;
    nacre_rederivation *r = a->r;
    if (names_current(a)) return take_wrapped(a);
    if (!nacre_exchange_is_none(r->leader) && !gives_way(r)) return NACRE_ERR_BUSY;
    /* an R2 is sent in clear: whoever saw it can make requests #2 that cost a derivation each */
    if (!nacre__offer_is_named(&r->offers, &d->core->config.crypto, &a->received->read.oscore, d->core->now_ms))
        return NACRE_ERR_NO_CONTEXT;
    if (!rate_allows(a)) return NACRE_ERR_BUSY;
    nacre__protect_batch_flush(d->server_exchanges->batch); /* uses the keys that are replaced */
    const nacre_rederive_request_2 request = { &d->core->config.crypto, &r->material, &a->received->outer,
                                               d->core->now_ms };
    const nacre_err err = nacre_rederive_accept(&r->offers, &r->derived, &r->spare, &a->received->id,
                                                &a->received->plain, a->buf, &request);
    if (err != NACRE_OK) return err;
    nacre__rederivation_retire(d, r);
    nacre__rederivation_established(d, r, &a->server->record->peer);
    nacre__rederivation_yield(d, r);
    return NACRE_OK;
}

/* Responds to #1; NACRE_ERR_REPLAY_ECHO: done. */
static nacre_err respond_1(const attempt *a, bool ordinary)
{
    nacre__rederivations *d = a->d;
    uint8_t s2[NACRE_REDERIVE_S2];
    nacre_message header = { .code = NACRE_UNAUTHORIZED };
    nacre_bytes out;
    nacre__response_header(d->server_exchanges, a->server, &header, a->received->outer.token);
    d->core->config.random.fill(d->core->config.random.self, s2, sizeof s2);
    const nacre_rederive_request_1 request = { .crypto = &d->core->config.crypto,
                                               .material = &a->r->material,
                                               .outer = &a->received->outer,
                                               .header = &header,
                                               .ordinary = ordinary,
                                               .s2 = s2,
                                               .now_ms = d->core->now_ms,
                                               .scratch = a->buf };
    const nacre_buf buf = { a->server->record->bytes, d->core->config.max_message };
    const nacre_err err = nacre_rederive_offer_r2(&a->r->offers, &a->r->spare, &out, buf, &request);
    if (err != NACRE_OK) return err;
    nacre__count_responded(d->core, NACRE_UNAUTHORIZED);
    nacre__response_written(d->server_exchanges, a->server, out.len);
    return NACRE_ERR_REPLAY_ECHO;
}

/* Whether it may be protected with the lost context from before the procedure. */
static bool may_be_ordinary(const attempt *a)
{
    const nacre_bytes field = a->received->read.oscore.kid_context;
    return a->r->current == NULL && (nacre_is_absent(field) || nacre_bytes_equal(field, a->r->material.id_context));
}

/* NACRE_ERR_BUSY: rate limit exceeded. */
static nacre_err try_one(const attempt *a, nacre_rederive_step step)
{
    nacre_rederivation *r = a->r;
    if (!r->is_server) return NACRE_ERR_NO_CONTEXT;
    if (step == NACRE_REDERIVE_REQUEST_2) return accept_2(a);
    if (step == NACRE_REDERIVE_NONE && !may_be_ordinary(a)) return NACRE_ERR_NO_CONTEXT;
    if (!rate_allows(a)) return NACRE_ERR_BUSY;
    const nacre_err err = respond_1(a, step == NACRE_REDERIVE_NONE);
    /* it may be protected with a lost context */
    return step == NACRE_REDERIVE_NONE && err == NACRE_ERR_PROTECTION_INVALID ? NACRE_ERR_NO_CONTEXT : err;
}

static bool may_be_another(nacre_err err)
{
    return err == NACRE_ERR_NO_CONTEXT || err == NACRE_ERR_PROTECTION_INVALID || err == NACRE_ERR_BUSY;
}

/* A request that no context verified. True: handled. Otherwise `received` has the result. */
bool nacre__rederivation_takes(nacre__rederivations *d, nacre__server_exchange *exchange, nacre__received *received)
{
    if (received->err != NACRE_ERR_NO_CONTEXT && received->err != NACRE_ERR_PROTECTION_INVALID &&
        received->err != NACRE_ERR_REPLAY && received->err != NACRE_ERR_CONTEXT_UNAVAILABLE)
        return false;
    bool is_limited = false;
    attempt a = { d, exchange, received, NULL, received->buf, &is_limited };
    const nacre_rederive_step step = nacre_rederive_recognise(&received->read.oscore);
    nacre_err err = NACRE_ERR_NO_CONTEXT;
    bool is_busy = false;
    for (int tried = 0; may_be_another(err) && tried < NACRE_MAX_CANDIDATES; tried++) {
        a.r = nacre__rederivation_next(d, a.r, received->read.oscore.kid);
        if (a.r == NULL) break;
        err = try_one(&a, step);
        is_busy = is_busy || err == NACRE_ERR_BUSY;
        if (err != NACRE_ERR_NO_CONTEXT && err != NACRE_ERR_BUSY) received->err = err;
        received->context = &a.r->derived.context;
    }
    if (err == NACRE_ERR_REPLAY_ECHO) return true;
    if (is_busy && may_be_another(err)) {
        nacre__count_dropped(d->core, is_limited ? NACRE_DROPPED_REDERIVE_RATE : NACRE_DROPPED_REDERIVATION);
        nacre__server_exchange_release(d->server_exchanges, exchange);
        return true;
    }
    return false;
}
