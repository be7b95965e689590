/* SPDX-License-Identifier: MIT */
/* rederivation_client: the client role of RFC 8613 B.2.
 *
 * One request leads: it is request #1 and, once response #1 has verified, request #2. The others with the same rederivation
 * wait until a response to #2 has verified. If the leader ends before that, the procedure has failed and left no state; the
 * next request transmitted leads anew.
 *
 * A client exchange with a rederivation always has a context, because without one it would be sent unprotected. Until a
 * context is chosen at transmission it is the spare one, which has no keys and cannot protect. */
#include "endpoint/core/hash.h"
#include "endpoint/message/nstart.h"
#include "endpoint/rederive/rederivation.h"

static bool leads(const nacre__client_exchange *exchange)
{
    return exchange->rederivation != NULL && !nacre_exchange_is_none(exchange->rederivation->leader) &&
           exchange->rederivation->leader.number == exchange->number;
}

/* Whether a request may use the rederivation, which then provides its context. */
bool nacre__rederivation_may_request(const nacre__rederivations *d, const nacre_rederivation *r,
                                     const nacre_context *context)
{
    return r == NULL || (r->endpoint == d->endpoint && r->is_client && context == NULL);
}

nacre_context *nacre__rederivation_no_context(nacre_rederivation *r)
{
    return &r->spare.context;
}

static void begin(nacre__rederivations *d, nacre__client_exchange *exchange, nacre_err *err)
{
    nacre_rederivation *r = exchange->rederivation;
    uint8_t r1[NACRE_REDERIVE_NONCE];
    d->core->config.random.fill(d->core->config.random.self, r1, sizeof r1);
    *err = nacre_rederive_begin(&r->client, &r->derived, &d->core->config.crypto, &r->material, r1);
    if (*err != NACRE_OK) return;
    r->leader.number = exchange->number;
    nacre__client_exchange_set_context(d->client_exchanges, exchange, &r->derived.context);
}

/* Chooses the context before transmission. False: the exchange waits, or has failed. */
bool nacre__rederivation_choose(nacre__rederivations *d, nacre__client_exchange *exchange)
{
    nacre_rederivation *r = exchange->rederivation;
    nacre_err err = NACRE_OK;
    if (r == NULL || leads(exchange)) return true;
    nacre__client_exchange_set_context(d->client_exchanges, exchange, &r->spare.context);
    if (!nacre_exchange_is_none(r->leader)) {
        nacre__client_exchange_wait(d->client_exchanges, exchange);
        return false;
    }
    if (r->current != NULL) nacre__client_exchange_set_context(d->client_exchanges, exchange, r->current);
    else begin(d, exchange, &err);
    if (err != NACRE_OK) nacre__client_exchange_end(d->client_exchanges, exchange, err, NULL);
    return err == NACRE_OK;
}

/* Protection options. RFC 8613 B.2: special kid contexts for #1 and #2; later the ID Context, by default: otherwise a server
 * with an older context under this kid would use that one. */
const nacre_protect_options *nacre__rederivation_how(const nacre__client_exchange *exchange, nacre_protect_options *buf)
{
    if (!leads(exchange)) return NULL;
    *buf = nacre_rederive_options(&exchange->rederivation->client);
    return buf;
}

/* ---- Responses --------------------------------------------------------------------------------------------------- */

/* The server has started the procedure in answer to an ordinary request. */
static nacre_err follow(nacre__client_exchange *exchange, nacre_rederive_client *client)
{
    nacre_rederivation *r = exchange->rederivation;
    if (!nacre_exchange_is_none(r->leader) || r->current == NULL || exchange->context != r->first ||
        r->current != r->first)
        return NACRE_ERR_BAD_ARGUMENT;
    return nacre_rederive_follow(client, &r->material, r->first);
}

/* A response that did not verify: true if it is response #1; the request continues as #2. */
bool nacre__rederivation_response(nacre__rederivations *d, nacre__client_exchange *exchange,
                                  const nacre__received *received)
{
    nacre_rederivation *r = exchange->rederivation;
    if (r == NULL || nacre_is_absent(received->read.oscore.kid_context)) return false;
    const bool is_leader = leads(exchange);
    nacre_rederive_client client = r->client;
    uint8_t r3[NACRE_REDERIVE_NONCE];
    const nacre_buf buf = received->buf;
    nacre_err err = is_leader ? NACRE_OK : follow(exchange, &client);
    d->core->config.random.fill(d->core->config.random.self, r3, sizeof r3);
    if (err == NACRE_OK)
        err = nacre_rederive_response(
            &client, &r->derived, &r->spare, buf,
            &(nacre_rederive_response_1){ &d->core->config.crypto, &exchange->id, &received->outer, r3 });
    if (err == NACRE_OK) r->client = client;
    nacre_wipe(&client, sizeof client);
    if (err != NACRE_OK) return false;
    r->leader.number = exchange->number;
    nacre__client_exchange_set_context(d->client_exchanges, exchange, &r->derived.context);
    exchange->observation =
        (nacre__observation){ .wanted = exchange->observation.wanted, .leaving = exchange->observation.leaving };
    if (!is_leader) nacre__rederivation_retire(d, r); /* the peer still has the keys, but no other state */
    nacre__client_exchange_again(d->client_exchanges, exchange);
    return true;
}

/* A response that verified. False: not acceptable, because no response uses context 1. */
bool nacre__rederivation_verified(nacre__rederivations *d, nacre__client_exchange *exchange)
{
    nacre_rederivation *r = exchange->rederivation;
    if (!leads(exchange)) return true;
    if (r->client.waiting) return false;
    nacre__rederivation_established(d, r, &exchange->peer);
    nacre__rederivation_left(d, exchange);
    return true;
}

static void resume_others(nacre__rederivations *d, const nacre_rederivation *r)
{
    const nacre__groups *groups = &d->client_exchanges->by_context;
    uint32_t next;
    for (uint32_t i = nacre__group_first(groups, nacre__group_of_context(&r->spare.context)); i != NACRE__NONE;
         i = next) {
        nacre__client_exchange *exchange = &d->client_exchanges->all[i];
        next = nacre__group_next(groups, i);
        if (exchange->rederivation == r && exchange->state == NACRE__CLIENT_WAITING &&
            exchange->context == &r->spare.context)
            nacre__client_exchange_queue(d->client_exchanges, exchange);
    }
}

/* The leader has ended: the procedure is complete or has failed. */
void nacre__rederivation_left(nacre__rederivations *d, const nacre__client_exchange *exchange)
{
    nacre_rederivation *r = exchange->rederivation;
    if (!leads(exchange)) return;
    r->leader = NACRE_EXCHANGE_NONE;
    nacre_wipe(&r->client, sizeof r->client);
    if (r->current == NULL) nacre_context_wipe(&r->derived.context);
    resume_others(d, r);
}

/* The peer's own procedure has completed first: gives up ours. A request sent only as #1 was not acted on, and is sent again
 * under the new context. */
void nacre__rederivation_yield(nacre__rederivations *d, nacre_rederivation *r)
{
    nacre__client_exchange *leader = nacre__client_exchange_of(d->client_exchanges, r->leader.number);
    if (leader == NULL) return;
    const bool was_waiting = r->client.waiting;
    r->leader = NACRE_EXCHANGE_NONE;
    nacre_wipe(&r->client, sizeof r->client);
    if (was_waiting) nacre__client_exchange_again(d->client_exchanges, leader);
    else nacre__client_exchange_end(d->client_exchanges, leader, NACRE_ERR_NO_CONTEXT, NULL);
    resume_others(d, r);
}
