/* SPDX-License-Identifier: MIT */
/* responses: a response to a request of ours, as the layers take it in turn: rederivation, observation, exchange. */
#include "endpoint/endpoint_struct.h"

/* RFC 8613 B.1.2: a server that asks for an Echo may have lost its observers too. */
static bool repeats(nacre_endpoint *ep, nacre__slot *slot, const nacre_message *answer, uint64_t now_ms)
{
    if (nacre__slot_is_challenged(slot, answer) && slot->context != NULL)
        nacre__observations_challenged(&ep->exchanges, slot, now_ms);
    return nacre__slot_repeats(&ep->exchanges, slot, answer);
}

static void answered(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item, const nacre_message *answer,
                     uint64_t now_ms)
{
    if (nacre__observation_ignores(slot, item)) {
        ep->core.stats.dropped++;
        return;
    }
    if (nacre__slot_rejects(&ep->exchanges, slot, item, answer) || repeats(ep, slot, answer, now_ms)) return;
    nacre__slot_keep_echo(&ep->exchanges, slot, answer);
    if (nacre__observation_takes(&ep->exchanges, slot, item, answer, now_ms)) return;
    ep->core.stats.responses++;
    nacre__slot_end(&ep->exchanges, slot, NACRE_OK, answer);
}

static void verified_answer(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item, uint64_t now_ms)
{
    nacre__slot_keep_outer_echo(&ep->exchanges, slot, &item->outer);
    /* RFC 8613 8.4.2: a notification for who did not ask for any */
    if (nacre__has_option(item->plain.options, NACRE_OPT_OBSERVE) && !nacre__slot_request_has(slot, NACRE_OPT_OBSERVE))
        nacre__slot_dropped(&ep->exchanges, slot, item, NACRE_ERR_PROTECTION_INVALID, now_ms);
    else if (item->is_old && !slot->observation.changing)
        ep->core.stats.dropped++; /* the new one was answered in this burst */
    else if (!nacre__renewal_verified(&ep->rederive, slot))
        nacre__slot_dropped(&ep->exchanges, slot, item, NACRE_ERR_PROTECTION_INVALID, now_ms);
    else answered(ep, slot, item, &item->plain, now_ms);
}

static void plain_answer(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item, uint64_t now_ms)
{
    const nacre_message *answer = &item->outer;
    if (slot->context == NULL) {
        answered(ep, slot, item, answer, now_ms);
        return;
    }
    nacre__slot_keep_outer_echo(&ep->exchanges, slot, answer);
    if (!nacre__slot_waits(slot)) {
        /* RFC 8613 8.4.2: no notification, and no end of the observation either */
        nacre__slot_dropped(&ep->exchanges, slot, item, NACRE_ERR_NOT_PROTECTED, now_ms);
    } else {
        nacre__slot_unprotected(&ep->exchanges, slot, item, now_ms);
    }
}

/* An answer with the slot's token; `item` says what verifying came to. */
void nacre__slot_answered(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item, uint64_t now_ms)
{
    const bool has_oscore = nacre__has_option(item->outer.options, NACRE_OPT_OSCORE);
    if (!has_oscore || (slot->context == NULL && ep->core.config.opaque_oscore)) plain_answer(ep, slot, item, now_ms);
    else if (slot->context == NULL)
        nacre__slot_dropped(&ep->exchanges, slot, item, NACRE_ERR_PROTECTION_INVALID, now_ms);
    else if (item->err == NACRE_OK) verified_answer(ep, slot, item, now_ms);
    else if (nacre__renewal_answer(&ep->rederive, slot, item)) return;
    else nacre__slot_dropped(&ep->exchanges, slot, item, item->err, now_ms);
}

/* The start of an answer with the slot's token that is longer than max_message. Nothing of it can be verified. */
void nacre__slot_oversized(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item, uint64_t now_ms)
{
    const bool is_protected = slot->context != NULL || slot->rederivation != NULL;
    if (nacre__observation_ignores(slot, item)) {
        ep->core.stats.dropped++;
        return;
    }
    ep->core.stats.oversized++;
    slot->oversized = item->oversized;
    if (!is_protected && !nacre__observation_survives(&ep->exchanges, slot, item, now_ms)) {
        nacre__slot_end(&ep->exchanges, slot, NACRE_ERR_OVERSIZED, NULL);
        return;
    }
    ep->exchanges.notes[ep->exchanges.num_notes++] =
        (nacre__note){ .exchange = slot->exchange, .slot = item->index, .oversized = item->oversized };
    if (is_protected) nacre__slot_dropped(&ep->exchanges, slot, item, NACRE_ERR_OVERSIZED, now_ms);
}
