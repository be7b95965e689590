/* SPDX-License-Identifier: MIT */
/* renewal_client: the side of RFC 8613 B.2 that asks.
 *
 * One request leads: it is request #1 and, once response #1 has verified, request #2. The others with the same renewal wait
 * until an answer to #2 has verified. However the leader ends before that, the procedure has failed and left nothing; the
 * first that goes next leads anew.
 *
 * A slot with a renewal always has a context, for one without is sent in clear. Until it is chosen, at each transmission,
 * that is the spare one, which holds no keys and protects nothing. */
#include "endpoint/core/hash.h"
#include "endpoint/message/nstart.h"
#include "endpoint/rederive/rederivation.h"

static bool leads(const nacre__slot *slot)
{
    return slot->rederivation != NULL && slot->rederivation->leader != 0 &&
           slot->rederivation->leader == slot->exchange;
}

/* Whether a request may be made with the renewal; then the slot is its own. */
bool nacre__renewal_may_ask(const nacre__rederivations *d, const nacre_rederivation *r, const nacre_context *context)
{
    return r == NULL || (r->endpoint == d->endpoint && r->asks && context == NULL);
}

nacre_context *nacre__renewal_no_context(nacre_rederivation *r)
{
    return &r->spare.context;
}

static void begin(nacre__rederivations *d, nacre__slot *slot, nacre_err *err)
{
    nacre_rederivation *r = slot->rederivation;
    uint8_t r1[NACRE_REDERIVE_NONCE];
    d->core->config.random.fill(d->core->config.random.self, r1, sizeof r1);
    *err = nacre_rederive_begin(&r->client, &r->own, &d->core->config.crypto, &r->material, r1);
    if (*err != NACRE_OK) return;
    r->leader = slot->exchange;
    slot->context = &r->own.context;
}

/* The slot is to be transmitted: chooses its context. False: it waits, or has failed. */
bool nacre__renewal_choose(nacre__rederivations *d, nacre__slot *slot)
{
    nacre_rederivation *r = slot->rederivation;
    nacre_err err = NACRE_OK;
    if (r == NULL || leads(slot)) return true;
    slot->context = &r->spare.context;
    if (r->leader != 0) {
        nacre__slot_wait(d->x, slot);
        return false;
    }
    if (r->current != NULL) slot->context = r->current;
    else begin(d, slot, &err);
    if (err != NACRE_OK) nacre__slot_end(d->x, slot, err, NULL);
    return err == NACRE_OK;
}

/* How it is to be protected. RFC 8613 B.2: kid contexts of their own for #1 and #2. Afterwards the ID Context, as ever: a
 * server that still has an older context under this kid would otherwise take that one. */
const nacre_protect_options *nacre__renewal_how(const nacre__slot *slot, nacre_protect_options *room)
{
    if (!leads(slot)) return NULL;
    *room = nacre_rederive_options(&slot->rederivation->client);
    return room;
}

/* ---- Answers ------------------------------------------------------------------------------------------------------- */

/* The server has started the procedure in answer to an ordinary request. */
static nacre_err follow(nacre__slot *slot, nacre_rederive_client *client)
{
    nacre_rederivation *r = slot->rederivation;
    if (r->leader != 0 || r->current == NULL || slot->context != r->first || r->current != r->first)
        return NACRE_ERR_BAD_ARGUMENT;
    return nacre_rederive_follow(client, &r->material, r->first);
}

/* An answer that did not verify: true when it is response #1, and the request goes on as #2. */
bool nacre__renewal_answer(nacre__rederivations *d, nacre__slot *slot, const nacre__item *item)
{
    nacre_rederivation *r = slot->rederivation;
    nacre_oscore_option option;
    if (r == NULL || nacre_verify_start(&option, &item->outer) != NACRE_OK || nacre_is_absent(option.kid_context))
        return false;
    const bool is_leader = leads(slot);
    nacre_rederive_client client = r->client;
    uint8_t r3[NACRE_REDERIVE_NONCE];
    const nacre_buf room = item->room;
    nacre_err err = is_leader ? NACRE_OK : follow(slot, &client);
    d->core->config.random.fill(d->core->config.random.self, r3, sizeof r3);
    if (err == NACRE_OK)
        err = nacre_rederive_response(&client, &r->own, &r->spare, &d->core->config.crypto, &slot->id, room,
                                      &item->outer, r3);
    if (err == NACRE_OK) r->client = client;
    nacre_wipe(&client, sizeof client);
    if (err != NACRE_OK) return false;
    r->leader = slot->exchange;
    slot->context = &r->own.context;
    slot->observation =
        (nacre__observation){ .wanted = slot->observation.wanted, .leaving = slot->observation.leaving };
    if (!is_leader) nacre__renewal_retire(d, r); /* who says so has its keys, and has forgotten all but these */
    nacre__slot_again(d->x, slot);
    return true;
}

/* An answer that verified. False: it is none, for nobody answers under context 1. */
bool nacre__renewal_verified(nacre__rederivations *d, nacre__slot *slot)
{
    nacre_rederivation *r = slot->rederivation;
    if (!leads(slot)) return true;
    if (r->client.waiting) return false;
    nacre__renewal_established(d, r, &slot->peer);
    nacre__renewal_left(d, slot);
    return true;
}

static void resume_others(nacre__rederivations *d, const nacre_rederivation *r)
{
    for (uint32_t i = 0; i < d->core->config.num_client_exchanges; i++) {
        nacre__slot *slot = &d->x->slots[i];
        if (slot->rederivation == r && slot->state == NACRE__SLOT_WAITING && slot->context == &r->spare.context)
            nacre__slot_queue(d->x, slot);
    }
}

/* The slot leads no more: the procedure is done, or has failed. */
void nacre__renewal_left(nacre__rederivations *d, const nacre__slot *slot)
{
    nacre_rederivation *r = slot->rederivation;
    if (!leads(slot)) return;
    r->leader = 0;
    nacre_wipe(&r->client, sizeof r->client);
    if (r->current == NULL) nacre_context_wipe(&r->own.context);
    resume_others(d, r);
}

/* The peer's own procedure has come to its end first: ours is given up. What only went out as request #1 was not acted on,
 * and goes again under the new context. */
void nacre__renewal_yield(nacre__rederivations *d, nacre_rederivation *r)
{
    nacre__slot *leader = r->leader != 0 ? nacre__slot_of(d->x, r->leader) : NULL;
    if (leader == NULL) return;
    const bool was_waiting = r->client.waiting;
    r->leader = 0;
    nacre_wipe(&r->client, sizeof r->client);
    if (was_waiting) nacre__slot_again(d->x, leader);
    else nacre__slot_end(d->x, leader, NACRE_ERR_NO_CONTEXT, NULL);
    resume_others(d, r);
}
