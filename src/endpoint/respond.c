/* SPDX-License-Identifier: MIT */
/* respond: the application's responses to requests and observers. */
#include "endpoint/endpoint_struct.h"

/* RFC 9175 2.4: replaces a response that exceeds its address's allowance by a short one. */
static nacre_err make_short(nacre_endpoint *ep, const nacre__server_exchange *exchange, nacre_message *response)
{
    const bool may_repeat = nacre_code_is_safe(exchange->method) && response->code >> 5 == 2;
    if (!may_repeat) return nacre__response_bare(&ep->core, response);
    NACRE__COUNT(&ep->core, echo_challenges);
    return nacre__echo_challenge(&ep->echo, &exchange->record->peer, response);
}

/* Piggybacked if the ACK was not sent yet, otherwise separate. */
static nacre_err send_response(nacre_endpoint *ep, nacre__server_exchange *exchange, nacre_message *response)
{
    if (!exchange->acked) return nacre__response_at_once(&ep->server_exchanges, exchange, response);
    const nacre_err err = nacre__separate_respond(&ep->server_exchanges, exchange, response);
    if (err == NACRE_OK) nacre__response_known_only(&ep->server_exchanges, exchange);
    return err;
}

static nacre_err respond_to(nacre_endpoint *ep, nacre__server_exchange *exchange, const nacre_message *plain)
{
    nacre_message response = *plain;
    nacre_err err = NACRE_OK;
    const uint32_t observer = exchange->observer;
    uint8_t value[NACRE__ECHO_LEN];
    nacre_bytes echo = NACRE_ABSENT;
    if (nacre__server_exchange_exceeds(&ep->server_exchanges, exchange, plain, 0))
        err = make_short(ep, exchange, &response);
    else if (nacre__server_exchange_offers(&ep->server_exchanges, exchange, plain))
        echo = nacre__echo_for(&ep->echo, &exchange->record->peer, value);
    const bool is_success = response.code >> 5 == 2;
    if (err == NACRE_OK && observer != NACRE__NONE && is_success)
        err = nacre__observe_add(&ep->observe, &ep->observe.observers[observer], &response, echo);
    else if (err == NACRE_OK && !nacre_is_absent(echo)) err = nacre__echo_add(&ep->core, &response, echo);
    if (err != NACRE_OK) return err;
    if (!is_success) exchange->observer = NACRE__NONE; /* RFC 7641 4.1: an error begins no observation */
    err = send_response(ep, exchange, &response);
    if (err == NACRE_OK) nacre__count_responded(&ep->core, response.code);
    if (observer == NACRE__NONE || is_success) return err;
    if (err == NACRE_OK) nacre__observer_end(&ep->observe, &ep->observe.observers[observer], NACRE_OK);
    else exchange->observer = observer;
    return err;
}

nacre_err nacre_endpoint_respond(nacre_endpoint *ep, nacre_exchange handle, const nacre_message *plain)
{
    nacre__server_exchange *exchange = nacre__server_exchange_of(&ep->server_exchanges, handle.number);
    if (exchange == NULL && nacre__observer_of(&ep->observe, handle.number) == NULL) return NACRE_ERR_STALE;
    if (!nacre__response_may_be_said(&ep->server_exchanges, plain)) return NACRE_ERR_BAD_ARGUMENT;
    if (exchange == NULL) return nacre__observer_respond(&ep->observe, handle.number, plain);
    if (!nacre__response_is_unwanted(exchange, plain->code)) return respond_to(ep, exchange, plain);
    nacre_endpoint_ignore(ep, handle);
    return NACRE_OK;
}

void nacre_endpoint_ignore(nacre_endpoint *ep, nacre_exchange exchange)
{
    if (nacre__number_kind(exchange.number) == NACRE__OF_OBSERVER) {
        nacre__observer_ignore(&ep->observe, exchange.number);
        return;
    }
    nacre__server_exchange *found = nacre__server_exchange_of(&ep->server_exchanges, exchange.number);
    if (found == NULL) return;
    if (found->acked) nacre__response_known_only(&ep->server_exchanges, found);
    else nacre__response_empty(&ep->server_exchanges, found);
}

bool nacre_endpoint_fits(nacre_endpoint *ep, nacre_exchange handle, const nacre_message *plain)
{
    const nacre__server_exchange *exchange = nacre__server_exchange_of(&ep->server_exchanges, handle.number);
    const nacre__observer *o = exchange == NULL ? nacre__observer_of(&ep->observe, handle.number) : NULL;
    const size_t extra = nacre__is_slice(plain) ? NACRE__ECHO_OPTION : 0;
    if (o != NULL) return !nacre__observer_exceeds(&ep->observe, o, plain, extra);
    return exchange == NULL || !nacre__server_exchange_exceeds(&ep->server_exchanges, exchange, plain, extra) ||
           nacre__server_exchange_knows_echo(&ep->server_exchanges, exchange);
}

nacre_err nacre_endpoint_defer_response(nacre_endpoint *ep, nacre_exchange handle)
{
    if (nacre__number_kind(handle.number) == NACRE__OF_OBSERVER)
        return nacre__observer_defer(&ep->observe, handle.number);
    nacre__server_exchange *exchange = nacre__server_exchange_of(&ep->server_exchanges, handle.number);
    return exchange != NULL ? nacre__separate_defer(&ep->server_exchanges, exchange) : NACRE_ERR_STALE;
}

/* ---- Observers ----------------------------------------------------------------------------------------------------- */

nacre_err nacre_endpoint_observe(nacre_endpoint *ep, nacre_observer *observer, nacre_exchange handle, void *user)
{
    nacre__server_exchange *exchange = nacre__server_exchange_of(&ep->server_exchanges, handle.number);
    return exchange != NULL ? nacre__observer_register(&ep->observe, exchange, user, &observer->number)
                            : NACRE_ERR_STALE;
}

void nacre_endpoint_changed(nacre_endpoint *ep, nacre_observer observer)
{
    nacre__observer *o = nacre__observer_of(&ep->observe, observer.number);
    if (o != NULL) nacre__observer_changed(&ep->observe, o);
}

void nacre_endpoint_drop_observer(nacre_endpoint *ep, nacre_observer observer)
{
    nacre__observer_release(&ep->observe, observer.number);
}
