/* SPDX-License-Identifier: MIT */
/* respond: what the application says to requests and to observers. */
#include "endpoint/endpoint_struct.h"

/* RFC 9175 2.4: in the place of an answer that is too much for its address, one that is not. */
static nacre_err make_short(nacre_endpoint *ep, const nacre__entry *entry, nacre_message *answer)
{
    const bool may_repeat = nacre_code_is_safe(entry->method) && answer->code >> 5 == 2;
    return may_repeat ? nacre__echo_ask(&ep->echo, &entry->record->peer, answer)
                      : nacre__answer_bare(&ep->core, answer);
}

static nacre_err answer_entry(nacre_endpoint *ep, nacre__entry *entry, const nacre_message *plain)
{
    nacre_message answer = *plain;
    nacre_err err = NACRE_OK;
    const uint32_t observer = entry->observer;
    uint8_t value[NACRE__ECHO_LEN];
    nacre_bytes echo = NACRE_ABSENT;
    if (nacre__entry_exceeds(&ep->exchanges, entry, plain, 0)) err = make_short(ep, entry, &answer);
    else if (nacre__entry_offers(&ep->exchanges, entry, plain))
        echo = nacre__echo_for(&ep->echo, &entry->record->peer, value);
    const bool is_success = answer.code >> 5 == 2;
    if (err == NACRE_OK && observer != NACRE__NONE && is_success)
        err = nacre__observe_add(&ep->observe, &ep->observe.observers[observer], &answer, echo);
    else if (err == NACRE_OK && !nacre_is_absent(echo)) err = nacre__echo_add(&ep->core, &answer, echo);
    if (err != NACRE_OK) return err;
    if (!is_success) entry->observer = NACRE__NONE; /* RFC 7641 4.1: it does not begin with this */
    err = entry->acked ? nacre__later_send(&ep->exchanges, entry, &answer)
                       : nacre__answer_at_once(&ep->exchanges, entry, &answer);
    if (observer == NACRE__NONE || is_success) return err;
    if (err == NACRE_OK) nacre__observer_end(&ep->observe, &ep->observe.observers[observer], NACRE_OK);
    else entry->observer = observer;
    return err;
}

nacre_err nacre_endpoint_respond(nacre_endpoint *ep, nacre_exchange exchange, const nacre_message *plain)
{
    nacre__entry *entry = nacre__answer_entry(&ep->exchanges, exchange);
    if (entry == NULL && nacre__observer_of(&ep->observe, exchange) == NULL) return NACRE_ERR_STALE;
    if (!nacre__answer_may_be_said(&ep->exchanges, plain)) return NACRE_ERR_BAD_ARGUMENT;
    if (entry == NULL) return nacre__observer_respond(&ep->observe, exchange, plain);
    if (!nacre__answer_is_unwanted(entry, plain->code)) return answer_entry(ep, entry, plain);
    nacre_endpoint_ignore(ep, exchange);
    return NACRE_OK;
}

void nacre_endpoint_ignore(nacre_endpoint *ep, nacre_exchange exchange)
{
    if (nacre__exchange_kind(exchange) == NACRE__OF_OBSERVER) {
        nacre__observer_ignore(&ep->observe, exchange);
        return;
    }
    nacre__entry *entry = nacre__answer_entry(&ep->exchanges, exchange);
    if (entry == NULL) return;
    if (entry->acked) nacre__answer_known_only(&ep->exchanges, entry);
    else nacre__answer_empty(&ep->exchanges, entry);
}

bool nacre_endpoint_fits(nacre_endpoint *ep, nacre_exchange exchange, const nacre_message *plain)
{
    const nacre__entry *entry = nacre__answer_entry(&ep->exchanges, exchange);
    const nacre__observer *o = entry == NULL ? nacre__observer_of(&ep->observe, exchange) : NULL;
    const size_t extra = nacre__is_slice(plain) ? NACRE__ECHO_OPTION : 0;
    if (o != NULL) return !nacre__observer_exceeds(&ep->observe, o, plain, extra);
    return entry == NULL || !nacre__entry_exceeds(&ep->exchanges, entry, plain, extra) ||
           nacre__entry_knows_echo(&ep->exchanges, entry);
}

nacre_err nacre_endpoint_defer_response(nacre_endpoint *ep, nacre_exchange exchange)
{
    if (nacre__exchange_kind(exchange) == NACRE__OF_OBSERVER) return nacre__observer_later(&ep->observe, exchange);
    nacre__entry *entry = nacre__answer_entry(&ep->exchanges, exchange);
    return entry != NULL ? nacre__later_defer(&ep->exchanges, entry) : NACRE_ERR_STALE;
}

/* ---- Observers ----------------------------------------------------------------------------------------------------- */

nacre_err nacre_endpoint_observe(nacre_endpoint *ep, nacre_exchange exchange, void *user, nacre_exchange *observer)
{
    nacre__entry *entry = nacre__answer_entry(&ep->exchanges, exchange);
    return entry != NULL ? nacre__observer_register(&ep->observe, entry, user, observer) : NACRE_ERR_STALE;
}

void nacre_endpoint_changed(nacre_endpoint *ep, nacre_exchange observer)
{
    nacre__observer *o = nacre__observer_of(&ep->observe, observer);
    if (o != NULL) nacre__observer_changed(&ep->observe, o);
}

void nacre_endpoint_drop_observer(nacre_endpoint *ep, nacre_exchange observer)
{
    nacre__observer_release(&ep->observe, observer);
}
