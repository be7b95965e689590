/* SPDX-License-Identifier: MIT */
/* rederivation: the peers enabled for RFC 8613 B.2, and what both roles share: finding a rederivation's context, replacing
 * old keys, and the event. */
#include "endpoint/core/hash.h"
#include "endpoint/message/nstart.h"
#include "endpoint/rederive/rederivation.h"

/* ---- Registry ---------------------------------------------------------------------------------------------------- */

/* By Recipient ID, the kid of received requests. */
static nacre_rederivation **bucket_of(nacre__rederivations *d, nacre_bytes kid)
{
    static const nacre_address no_peer;
    const uint64_t hash = nacre__peer_hash(d->core, &no_peer, kid);
    return &d->buckets[(hash ^ hash >> 32) % NACRE__REDERIVATION_BUCKETS];
}

nacre_rederivation *nacre__rederivation_next(nacre__rederivations *d, nacre_rederivation *before, nacre_bytes kid)
{
    nacre_rederivation *r = before != NULL ? before->next : *bucket_of(d, kid);
    while (r != NULL && !nacre_bytes_equal(r->material.recipient_id, kid)) r = r->next;
    return r;
}

/* Checks that the material works for the procedure. */
static nacre_err try_out(nacre_rederivation *r, const nacre_crypto *crypto)
{
    static const uint8_t r1[NACRE_REDERIVE_NONCE];
    nacre_rederive_client client;
    nacre_err err = nacre_rederive_begin(&client, &r->derived, crypto, &r->material, r1);
    if (err == NACRE_OK) err = nacre_rederive_begin(&client, &r->spare, crypto, &r->material, r1);
    nacre_context_wipe(&r->derived.context);
    nacre_context_wipe(&r->spare.context);
    return err;
}

/* Draws the key that recognises its R2: new each time it is added. */
static void begin_offers(nacre__rederivations *d, nacre_rederivation *r)
{
    uint8_t key[NACRE_REDERIVE_KEY];
    d->core->config.random.fill(d->core->config.random.self, key, sizeof key);
    nacre_rederive_server_init(&r->offers, key, d->core->config.timing.exchange_lifetime_ms);
    nacre_wipe(key, sizeof key);
}

nacre_err nacre__rederivation_add(nacre__rederivations *d, nacre_rederivation *r)
{
    if (r->endpoint != NULL || !(r->is_client || r->is_server)) return NACRE_ERR_BAD_ARGUMENT;
    if (r->material.id_context.len > NACRE_REDERIVE_NONCE) return NACRE_ERR_BAD_ARGUMENT;
    const nacre_err err = try_out(r, &d->core->config.crypto);
    if (err != NACRE_OK) return err;
    nacre_rederivation **bucket = bucket_of(d, r->material.recipient_id);
    begin_offers(d, r);
    r->endpoint = d->endpoint;
    r->current = r->first;
    r->leader = NACRE_EXCHANGE_NONE;
    r->rate_limit = 0;
    r->has_news = false;
    r->next = *bucket;
    *bucket = r;
    return NACRE_OK;
}

nacre_context *nacre_rederivation_context(const nacre_rederivation *r)
{
    return r->current;
}

/* ---- Replacing keys ---------------------------------------------------------------------------------------------- */

static void forget_news(nacre__rederivations *d, nacre_rederivation *r)
{
    for (nacre_rederivation **link = &d->with_news; *link != NULL; link = &(*link)->next_news) {
        if (*link != r) continue;
        *link = r->next_news;
        break;
    }
    r->has_news = false;
}

/* Ends what is in flight under the context in use, and drops its event. */
void nacre__rederivation_retire(nacre__rederivations *d, nacre_rederivation *r)
{
    forget_news(d, r);
    if (r->current != NULL) d->remove_context(d->endpoint, r->current);
    r->current = NULL;
}

/* Puts the context in `derived` into use. No earlier request #2, of either side, may end it. */
void nacre__rederivation_established(nacre__rederivations *d, nacre_rederivation *r, const nacre_address *peer)
{
    nacre_rederive_void_offers(&r->offers);
    r->current = &r->derived.context;
    r->peer = *peer;
    if (r->has_news) return;
    r->has_news = true;
    r->next_news = d->with_news;
    d->with_news = r;
}

bool nacre__rederivation_event(nacre__rederivations *d, nacre_event *event)
{
    nacre_rederivation *r = d->with_news;
    if (r == NULL) return false;
    forget_news(d, r);
    *event = (nacre_event){
        .kind = NACRE_EVENT_REDERIVED, .context = &r->derived.context, .peer = r->peer, .user = r->user
    };
    return true;
}

/* ---- Ending -------------------------------------------------------------------------------------------------------- */

/* Ends the exchanges that use `context` of `r`. */
static void end_exchanges(nacre__rederivations *d, const nacre_rederivation *r, const nacre_context *context)
{
    const nacre__groups *groups = &d->client_exchanges->by_context;
    uint32_t next;
    for (uint32_t i = nacre__group_first(groups, nacre__group_of_context(context)); i != NACRE__NONE; i = next) {
        nacre__client_exchange *exchange = &d->client_exchanges->all[i];
        next = nacre__group_next(groups, i);
        if (exchange->rederivation != r) continue;
        nacre__client_exchange_end(d->client_exchanges, exchange, NACRE_ERR_NO_CONTEXT, NULL);
        exchange->rederivation = NULL;
    }
}

void nacre__rederivation_remove(nacre__rederivations *d, nacre_rederivation *r)
{
    const bool is_client = r->is_client; /* the caller's: it may be added again */
    r->is_client = false;                /* no request may lead while they end */
    nacre__rederivation_retire(d, r);
    end_exchanges(d, r, &r->spare.context);
    end_exchanges(d, r, &r->derived.context);
    if (r->first != NULL) end_exchanges(d, r, r->first);
    nacre_wipe(&r->offers, sizeof r->offers);
    for (nacre_rederivation **link = bucket_of(d, r->material.recipient_id); *link != NULL; link = &(*link)->next) {
        if (*link != r) continue;
        *link = r->next;
        break;
    }
    nacre_context_wipe(&r->derived.context);
    nacre_context_wipe(&r->spare.context);
    nacre_wipe(&r->client, sizeof r->client);
    r->is_client = is_client;
    r->endpoint = NULL;
}

/* Wipes them with the endpoint. */
void nacre__rederivations_wipe(nacre__rederivations *d)
{
    for (size_t i = 0; i < NACRE__REDERIVATION_BUCKETS; i++)
        while (d->buckets[i] != NULL) nacre__rederivation_remove(d, d->buckets[i]);
}

void nacre__rederivation_forget(nacre__rederivations *d, nacre_rederivation *r)
{
    if (!nacre_exchange_is_none(r->leader)) return;
    nacre__rederivation_retire(d, r);
    nacre_context_wipe(&r->derived.context);
}
