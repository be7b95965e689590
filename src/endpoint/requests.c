/* SPDX-License-Identifier: MIT */
/* requests: our own requests, from the call to the one event that ends each.
 *
 * A slot keeps the plain request, to protect it when it is transmitted and to repeat it with an Echo value, and beside it
 * the bytes that went out, for these and no others are sent again (RFC 8613 8.1 spends a number; a second protection of
 * one transmission would be a second request). An answer belongs to the slot whose token it carries; what it may end is
 * decided here:
 *
 *     request    answer                                  exchange
 *     protected  verifies                                ends: RESPONSE (or is repeated once, 4.01 with Echo)
 *     protected  does not verify                         goes on; a timeout later says PROTECTION_INVALID
 *     protected  plain 4.00 4.01 4.02 4.05 5.03          ends: FAILED, UNAUTHENTICATED, with what came
 *     protected  plain, from a proxy also 4.04 4.13      the same
 *                5.02 5.04 5.05
 *     protected  plain, any other                        ends: FAILED, NOT_PROTECTED, with what came
 *     plain      plain                                   ends: RESPONSE (or is repeated once, 4.01 with Echo)
 *     plain      with an OSCORE option                   goes on; a timeout later says PROTECTION_INVALID
 *
 * What becomes of an observation is in observing.c.
 *
 * A RST ends a plain exchange. For a protected one it is a doubt, no more: it has nothing but our MID to show, which
 * somebody far off can guess in 65536 tries; the request goes on, and RESET is what is said when nothing better came. Nor
 * does an empty ACK, which has no more to show, silence a protected request for good: it ends the retransmissions of
 * RFC 7252 4.2, but the same datagram goes out twice more, after a quarter and after half of the time that the answer has. A
 * peer that has acknowledged takes these for the duplicates that they are. */
#include "endpoint_internal.h"

#include <string.h>

uint32_t nacre__slot_index(const nacre_endpoint *ep, const nacre__slot *slot)
{
    return (uint32_t)(slot - ep->slots);
}

/* Off its way, whatever it was on. Its token stays: an observation goes on to be notified under it. */
void nacre__slot_pause(nacre_endpoint *ep, nacre__slot *slot)
{
    const uint32_t index = nacre__slot_index(ep, slot);
    if (slot->in_transmit) nacre__queue_remove(&ep->transmit, NACRE__OF_SLOT, index);
    slot->in_transmit = false;
    nacre__timer_set(ep, slot, NACRE__NEVER);
}

static void stop(nacre_endpoint *ep, nacre__slot *slot)
{
    nacre__slot_pause(ep, slot);
    ep->tokens[nacre__slot_index(ep, slot)] = 0;
}

/* It has come to its end: the next may go in its place, and nobody limits its time any more. */
static void leave(nacre_endpoint *ep, nacre__slot *slot, nacre__slot_state state)
{
    nacre__renewal_left(ep, slot);
    nacre__nstart_leave(ep, slot);
    if (slot->limit != 0 && !slot->limited) ep->num_unlimited--;
    slot->limit = 0;
    slot->limited = false;
    slot->give_up = NACRE__NEVER;
    stop(ep, slot);
    slot->state = state;
}

void nacre__slot_release(nacre_endpoint *ep, nacre__slot *slot)
{
    leave(ep, slot, NACRE__SLOT_FREE);
    slot->exchange = 0;
    slot->context = NULL;
    slot->renewal = NULL;
    slot->user = NULL;
}

void nacre__slot_queue(nacre_endpoint *ep, nacre__slot *slot)
{
    slot->state = NACRE__SLOT_QUEUED;
    slot->in_transmit = true;
    nacre__queue_push(&ep->transmit, NACRE__OF_SLOT, nacre__slot_index(ep, slot));
}

/* The same request once more, under a new token. */
void nacre__slot_again(nacre_endpoint *ep, nacre__slot *slot)
{
    slot->doubt = NACRE_OK;
    stop(ep, slot);
    nacre__slot_queue(ep, slot);
}

/* HELD no more. */
void nacre__slot_resume(nacre_endpoint *ep, nacre__slot *slot)
{
    ep->num_held--;
    nacre__timer_set(ep, slot, NACRE__NEVER);
    nacre__slot_queue(ep, slot);
}

/* The one way to an end: with NACRE_OK an answer, else a failure. One that has ended already, but whose event was not
 * pulled, changes its event. */
static void end(nacre_endpoint *ep, nacre__slot *slot, nacre_err err, const nacre_message *message)
{
    if (slot->state != NACRE__SLOT_ENDED) nacre__queue_push(&ep->events, NACRE__OF_SLOT, nacre__slot_index(ep, slot));
    leave(ep, slot, NACRE__SLOT_ENDED);
    slot->err = err;
    slot->message = message != NULL ? *message : (nacre_message){ .code = NACRE_EMPTY };
}

void nacre__slot_fail(nacre_endpoint *ep, nacre__slot *slot, nacre_err err, const nacre_message *message)
{
    end(ep, slot, err, message);
}

/* ---- Starting ------------------------------------------------------------------------------------------------------ */

static nacre__slot *free_slot(nacre_endpoint *ep)
{
    const uint32_t num = ep->config.num_requests;
    for (uint32_t i = 0; i < num; i++) {
        nacre__slot *slot = &ep->slots[(ep->next_slot + i) % num];
        if (slot->state != NACRE__SLOT_FREE) continue;
        ep->next_slot = (nacre__slot_index(ep, slot) + 1) % num; /* round, so that numbers come back late */
        return slot;
    }
    return NULL;
}

static nacre_err check(const nacre_message *plain, bool may_have_oscore)
{
    if (plain->type > NACRE_NON || !nacre_code_is_request(plain->code)) return NACRE_ERR_BAD_ARGUMENT;
    nacre_option_iter it = nacre_option_begin(plain->options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number == NACRE_OPT_OSCORE && !may_have_oscore) return NACRE_ERR_BAD_ARGUMENT;
    return nacre_option_bad(&it) ? NACRE_ERR_BAD_ARGUMENT : NACRE_OK;
}

/* What the datagram will take at most. */
static size_t size_on_the_way(const nacre_context *context, const nacre_message *plain)
{
    static const uint8_t token[NACRE__TOKEN_LEN] = { 0 };
    nacre_message message = *plain;
    message.token = NACRE_ARRAY(token);
    return context != NULL ? nacre_protect_size(context, &message, NULL) : nacre_message_size(&message);
}

/* A slot of its own for an exchange with `peer`, with everything as at the start; NULL when all are in use. */
nacre__slot *nacre__slot_new(nacre_endpoint *ep, const nacre_address *peer, void *user)
{
    nacre__slot *slot = free_slot(ep);
    if (slot == NULL) return NULL;
    *slot = (nacre__slot){
        .generation = slot->generation,
        .plain = slot->plain,
        .sent = slot->sent,
        .peer = *peer,
        .user = user,
        .give_up = NACRE__NEVER,
        .turn = ep->next_turn++,
    };
    slot->exchange = nacre__new_exchange(ep, &slot->generation, NACRE__OF_SLOT, nacre__slot_index(ep, slot));
    return slot;
}

static nacre_err keep_plain(nacre_endpoint *ep, nacre__slot *slot, const nacre_message *plain)
{
    nacre_message kept = *plain;
    nacre_bytes out;
    kept.token = NACRE_ABSENT; /* token and MID are made for each transmission */
    kept.mid = 0;
    /* RFC 8323 3.2: a connection knows neither CON nor NON */
    if (nacre_address_is_reliable(&slot->peer)) kept.type = NACRE_NON;
    const nacre_err err = nacre_message_write(&kept, &out, (nacre_room){ slot->plain, ep->config.max_message });
    if (err != NACRE_OK) return err == NACRE_ERR_NO_ROOM ? NACRE_ERR_TOO_LONG : err;
    slot->plain_len = out.len;
    slot->type = kept.type;
    return NACRE_OK;
}

nacre_err nacre_endpoint_request_with(nacre_endpoint *ep, nacre_exchange *exchange, const nacre_address *peer,
                                      nacre_context *context, const nacre_message *plain, void *user,
                                      const nacre_request_options *options)
{
    static const nacre_request_options none;
    if (options == NULL) options = &none;
    nacre_err err = check(plain, context == NULL && ep->config.opaque_oscore);
    if (err != NACRE_OK) return err;
    if (!nacre__renewal_may_ask(ep, options->renewal, context)) return NACRE_ERR_BAD_ARGUMENT;
    if (size_on_the_way(context, plain) + nacre__observation_extra(plain) > nacre__max_message_to(ep, peer))
        return NACRE_ERR_TOO_LONG;
    nacre__slot *slot = nacre__slot_new(ep, peer, user);
    if (slot == NULL) return NACRE_ERR_BUSY;
    err = keep_plain(ep, slot, plain);
    if (err != NACRE_OK) {
        slot->exchange = 0;
        return err;
    }
    slot->renewal = options->renewal;
    slot->context = slot->renewal != NULL ? nacre__renewal_no_context(slot->renewal) : context;
    slot->via_proxy = options->via_proxy;
    slot->limit = options->timeout_ms;
    if (slot->limit != 0) ep->num_unlimited++;
    nacre__observation_init(slot, plain);
    nacre__slot_queue(ep, slot);
    *exchange = slot->exchange;
    return NACRE_OK;
}

nacre_err nacre_endpoint_request(nacre_endpoint *ep, nacre_exchange *exchange, const nacre_address *peer,
                                 nacre_context *context, const nacre_message *plain, void *user)
{
    return nacre_endpoint_request_with(ep, exchange, peer, context, plain, user, NULL);
}

nacre__slot *nacre__slot_of(nacre_endpoint *ep, nacre_exchange exchange)
{
    const uint32_t index = nacre__exchange_index(ep, exchange);
    if (exchange == 0 || nacre__exchange_kind(exchange) != NACRE__OF_SLOT || index >= ep->config.num_requests)
        return NULL;
    return ep->slots[index].exchange == exchange ? &ep->slots[index] : NULL;
}

void nacre_endpoint_cancel(nacre_endpoint *ep, nacre_exchange exchange)
{
    nacre__slot *slot = nacre__slot_of(ep, exchange);
    if (slot == NULL) return;
    if (slot->state == NACRE__SLOT_ENDED) nacre__queue_remove(&ep->events, NACRE__OF_SLOT, nacre__slot_index(ep, slot));
    nacre__slot_release(ep, slot);
}

void nacre_endpoint_unreachable(nacre_endpoint *ep, const nacre_address *peer)
{
    if (nacre_address_is_reliable(peer)) {
        nacre__peer_gone(ep, peer);
        return;
    }
    for (uint32_t i = 0; i < ep->config.num_requests; i++) {
        nacre__slot *slot = &ep->slots[i];
        if (slot->state == NACRE__SLOT_SENT && nacre_address_equal(&slot->peer, peer))
            nacre__slot_fail(ep, slot, NACRE_ERR_UNREACHABLE, NULL);
    }
}

/* ---- Finding ------------------------------------------------------------------------------------------------------- */

nacre__slot *nacre__slot_by_token(nacre_endpoint *ep, const nacre_address *peer, nacre_bytes token)
{
    uint64_t value;
    if (token.len != sizeof value) return NULL;
    memcpy(&value, token.ptr, sizeof value);
    if (value == 0) return NULL;
    for (uint32_t i = 0; i < ep->config.num_requests; i++)
        if (ep->tokens[i] == value && nacre_address_equal(&ep->slots[i].peer, peer)) return &ep->slots[i];
    return NULL;
}

static bool waits(const nacre__slot *slot)
{
    return slot->state == NACRE__SLOT_SENT || slot->state == NACRE__SLOT_ACKED;
}

/* Only of those that wait for an answer: an observation's MID is free for others once it is registered. */
nacre__slot *nacre__slot_by_mid(nacre_endpoint *ep, const nacre_address *peer, uint16_t mid)
{
    for (uint32_t i = 0; i < ep->config.num_requests; i++)
        if (ep->tokens[i] != 0 && ep->slots[i].mid == mid && waits(&ep->slots[i]) &&
            nacre_address_equal(&ep->slots[i].peer, peer))
            return &ep->slots[i];
    return NULL;
}

/* ---- Answers ------------------------------------------------------------------------------------------------------- */

/* The peer has the request: no more retransmissions, and the answer has its own time (RFC 7252 5.2.2). */
void nacre__slot_acknowledged(nacre_endpoint *ep, nacre__slot *slot, uint64_t now_ms)
{
    if (slot->state != NACRE__SLOT_SENT || slot->type != NACRE_CON) return;
    if (slot->is_ping) { /* a RST is what RFC 7252 4.3 asks for, but this too shows that somebody is there */
        nacre__slot_fail(ep, slot, NACRE_OK, NULL);
        return;
    }
    nacre__slot_pause(ep, slot);
    nacre__nstart_leave(ep, slot);
    slot->state = NACRE__SLOT_ACKED;
    slot->late = slot->context != NULL ? 2 : 0;
    nacre__timer_answer(ep, slot, now_ms);
}

void nacre__slot_reset(nacre_endpoint *ep, nacre__slot *slot)
{
    if (slot->is_ping) nacre__slot_fail(ep, slot, NACRE_OK, NULL);
    else if (slot->context == NULL) nacre__slot_fail(ep, slot, NACRE_ERR_RESET, NULL);
    else if (slot->doubt == NACRE_OK) slot->doubt = NACRE_ERR_RESET;
}

/* What is no answer leaves the exchange as it is (RFC 8613 8.4 step 8), but for the ACK that carried it. */
static void dropped(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item, nacre_err err, uint64_t now_ms)
{
    ep->stats.unprotect_failures++;
    if (!waits(slot)) return;
    slot->doubt = err;
    if (item->outer.type == NACRE_ACK) nacre__slot_acknowledged(ep, slot, now_ms);
}

/* What servers say that cannot or will not unprotect: a hint that nobody vouches for (RFC 8613 8.2, D.5.3). 4.05 comes
 * from those that see a POST where OSCORE is not known. */
static bool is_plain_refusal(const nacre__slot *slot, uint8_t code)
{
    if (code == NACRE_BAD_REQUEST || code == NACRE_UNAUTHORIZED || code == NACRE_BAD_OPTION ||
        code == NACRE_METHOD_NOT_ALLOWED || code == NACRE_UNAVAILABLE)
        return true;
    return slot->via_proxy && (code == NACRE_NOT_FOUND || code == NACRE_TOO_LARGE || code == NACRE_BAD_GATEWAY ||
                               code == NACRE_GATEWAY_TIMEOUT || code == NACRE_PROXYING_NOT_SUPPORTED);
}

/* RFC 7252 5.4.1: an answer with a critical option that is not understood is no answer to act on. */
static nacre_err verdict_on(const nacre_message *answer)
{
    nacre_option_iter it = nacre_option_begin(answer->options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (nacre_option_is_critical(option.number) && nacre_option_lookup(option.number)->name == NULL)
            return NACRE_ERR_CRITICAL_OPTION;
    return NACRE_OK;
}

static bool request_has(const nacre__slot *slot, uint16_t number)
{
    nacre_message plain;
    if (nacre_message_parse(&plain, nacre_bytes_of(slot->plain, slot->plain_len)) != NACRE_OK) return false;
    return nacre__has_option(plain.options, number);
}

/* The plain request once more, with this value for an option in place of any that it had; absent: without it. */
nacre_err nacre__slot_set_option(nacre_endpoint *ep, nacre__slot *slot, uint16_t number, nacre_bytes value)
{
    nacre_message plain;
    nacre_err err = nacre_message_parse(&plain, nacre_bytes_of(slot->plain, slot->plain_len));
    if (err != NACRE_OK) return err;
    nacre_options options;
    nacre_options_init(&options, (nacre_room){ ep->scratch, ep->config.max_message });
    nacre_option_iter it = nacre_option_begin(plain.options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number != number) nacre_options_add(&options, option.number, option.value);
    if (!nacre_is_absent(value)) nacre_options_add(&options, number, value);
    plain.type = slot->type;
    err = nacre_options_finish(&options, &plain.options);
    if (err != NACRE_OK) return err;
    if (size_on_the_way(slot->context, &plain) > nacre__max_message_to(ep, &slot->peer)) return NACRE_ERR_TOO_LONG;

    nacre_bytes out; /* into the other bytes: what was sent before is not sent again */
    err = nacre_message_write(&plain, &out, (nacre_room){ slot->sent, ep->config.max_message });
    if (err != NACRE_OK) return err;
    uint8_t *old = slot->plain;
    slot->plain = slot->sent;
    slot->sent = old;
    slot->plain_len = out.len;
    return NACRE_OK;
}

/* RFC 8613 B.1.2, RFC 9175 2.3: a 4.01 with Echo asks for the same request again, with the value. Done once. To a protected
 * request it must have verified. */
static bool repeat_with_echo(nacre_endpoint *ep, nacre__slot *slot, const nacre_message *answer)
{
    if (answer->code != NACRE_UNAUTHORIZED) return false;
    const nacre_bytes echo = nacre_option_find(answer->options, NACRE_OPT_ECHO);
    if (echo.len < 1 || echo.len > 40) return false;
    if (slot->repeated) return !waits(slot) && slot->state != NACRE__SLOT_OBSERVING; /* doubled, before it goes again */
    if (slot->context == NULL && ep->config.opaque_oscore) return false; /* a proxy's client is the one to answer it */
    if (nacre__slot_set_option(ep, slot, NACRE_OPT_ECHO, echo) != NACRE_OK) return false;
    slot->repeated = true;
    if (!slot->observation.begun) {
        nacre__slot_again(ep, slot);
        return true;
    }
    slot->doubt = NACRE_OK;
    nacre__slot_pause(ep, slot);
    nacre__slot_queue(ep, slot);
    return true;
}

static void answered(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item, const nacre_message *answer,
                     uint64_t now_ms)
{
    const nacre_err verdict = verdict_on(answer);
    if (nacre__observation_ignores(slot, item)) {
        ep->stats.dropped++;
        return;
    }
    if (repeat_with_echo(ep, slot, answer)) return;
    if (verdict == NACRE_OK && nacre__observation_takes(ep, slot, item, answer, now_ms)) return;
    ep->stats.responses++;
    end(ep, slot, verdict, answer);
}

static void verified_answer(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item, uint64_t now_ms)
{
    /* RFC 8613 8.4.2: a notification for who did not ask for any */
    if (nacre__has_option(item->plain.options, NACRE_OPT_OBSERVE) && !request_has(slot, NACRE_OPT_OBSERVE))
        dropped(ep, slot, item, NACRE_ERR_PROTECTION_INVALID, now_ms);
    else if (!nacre__renewal_verified(ep, slot)) dropped(ep, slot, item, NACRE_ERR_PROTECTION_INVALID, now_ms);
    else answered(ep, slot, item, &item->plain, now_ms);
}

static void plain_answer(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item, uint64_t now_ms)
{
    const nacre_message *answer = &item->outer;
    if (slot->context == NULL) {
        answered(ep, slot, item, answer, now_ms);
    } else if (!waits(slot)) {
        /* RFC 8613 8.4.2: no notification, and no end of the observation either */
        dropped(ep, slot, item, NACRE_ERR_NOT_PROTECTED, now_ms);
    } else { /* RFC 8613 8.4 step 2, and section 2: without protection it is no answer */
        const bool is_refusal = is_plain_refusal(slot, answer->code);
        end(ep, slot, is_refusal ? NACRE_ERR_UNAUTHENTICATED : NACRE_ERR_NOT_PROTECTED, answer);
    }
}

/* An answer with the slot's token; `item` says what verifying came to. */
void nacre__slot_answered(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item, uint64_t now_ms)
{
    const bool has_oscore = nacre__has_option(item->outer.options, NACRE_OPT_OSCORE);
    if (!has_oscore || (slot->context == NULL && ep->config.opaque_oscore)) plain_answer(ep, slot, item, now_ms);
    else if (slot->context == NULL) dropped(ep, slot, item, NACRE_ERR_PROTECTION_INVALID, now_ms);
    else if (item->err == NACRE_OK) verified_answer(ep, slot, item, now_ms);
    else if (nacre__renewal_answer(ep, slot, item)) return;
    else dropped(ep, slot, item, item->err, now_ms);
}
