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
 *     protected  plain, any other                        ends: FAILED, NOT_PROTECTED, with what came
 *     plain      plain                                   ends: RESPONSE
 *     plain      with an OSCORE option                   goes on; a timeout later says PROTECTION_INVALID
 *
 * A RST ends a plain exchange. For a protected one it is a doubt, no more: it has nothing but our MID to show, which
 * somebody far off can guess in 65536 tries; the request goes on, and RESET is what is said when nothing better came. */
#include "endpoint_internal.h"

#include <string.h>

uint32_t nacre__slot_index(const nacre_endpoint *ep, const nacre__slot *slot)
{
    return (uint32_t)(slot - ep->slots);
}

static void stop(nacre_endpoint *ep, nacre__slot *slot)
{
    const uint32_t index = nacre__slot_index(ep, slot);
    if (slot->in_transmit) nacre__queue_remove(&ep->transmit, false, index);
    slot->in_transmit = false;
    ep->tokens[index] = 0;
    ep->due[index] = NACRE__NEVER;
}

void nacre__slot_release(nacre_endpoint *ep, nacre__slot *slot)
{
    stop(ep, slot);
    slot->state = NACRE__SLOT_FREE;
    slot->exchange = 0;
    slot->context = NULL;
    slot->user = NULL;
}

void nacre__slot_queue(nacre_endpoint *ep, nacre__slot *slot)
{
    slot->state = NACRE__SLOT_QUEUED;
    slot->in_transmit = true;
    nacre__queue_push(&ep->transmit, false, nacre__slot_index(ep, slot));
}

/* The one way to an end: with NACRE_OK an answer, else a failure. One that has ended already, but whose event was not
 * pulled, changes its event. */
static void end(nacre_endpoint *ep, nacre__slot *slot, nacre_err err, const nacre_message *message)
{
    stop(ep, slot);
    if (slot->state != NACRE__SLOT_ENDED) nacre__queue_push(&ep->events, false, nacre__slot_index(ep, slot));
    slot->state = NACRE__SLOT_ENDED;
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

nacre_err nacre_endpoint_request(nacre_endpoint *ep, nacre_exchange *exchange, const nacre_address *peer,
                                 nacre_context *context, const nacre_message *plain, void *user)
{
    nacre_err err = check(plain, context == NULL && ep->config.opaque_oscore);
    if (err != NACRE_OK) return err;
    if (size_on_the_way(context, plain) > ep->config.max_message) return NACRE_ERR_TOO_LONG;
    nacre__slot *slot = free_slot(ep);
    if (slot == NULL) return NACRE_ERR_BUSY;

    nacre_message kept = *plain;
    kept.token = NACRE_ABSENT; /* token and MID are made for each transmission */
    kept.mid = 0;
    nacre_bytes out;
    err = nacre_message_write(&kept, &out, (nacre_room){ slot->plain, ep->config.max_message });
    if (err != NACRE_OK) return err == NACRE_ERR_NO_ROOM ? NACRE_ERR_TOO_LONG : err;
    slot->plain_len = out.len;
    slot->type = plain->type;
    slot->peer = *peer;
    slot->context = context;
    slot->user = user;
    slot->repeated = false;
    slot->doubt = NACRE_OK;
    slot->exchange = nacre__new_exchange(ep, &slot->generation, false, nacre__slot_index(ep, slot));
    nacre__slot_queue(ep, slot);
    *exchange = slot->exchange;
    return NACRE_OK;
}

void nacre_endpoint_cancel(nacre_endpoint *ep, nacre_exchange exchange)
{
    const uint32_t index = nacre__exchange_index(ep, exchange);
    if (exchange == 0 || nacre__exchange_kind(exchange) != NACRE__OF_SLOT || index >= ep->config.num_requests) return;
    nacre__slot *slot = &ep->slots[index];
    if (slot->exchange != exchange) return;
    if (slot->state == NACRE__SLOT_ENDED) nacre__queue_remove(&ep->events, false, index);
    nacre__slot_release(ep, slot);
}

void nacre_endpoint_unreachable(nacre_endpoint *ep, const nacre_address *peer)
{
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

nacre__slot *nacre__slot_by_mid(nacre_endpoint *ep, const nacre_address *peer, uint16_t mid)
{
    for (uint32_t i = 0; i < ep->config.num_requests; i++)
        if (ep->tokens[i] != 0 && ep->slots[i].mid == mid && nacre_address_equal(&ep->slots[i].peer, peer))
            return &ep->slots[i];
    return NULL;
}

/* ---- Answers ------------------------------------------------------------------------------------------------------- */

/* The peer has the request: no more retransmissions, and the answer has its own time (RFC 7252 5.2.2). */
void nacre__slot_acknowledged(nacre_endpoint *ep, nacre__slot *slot, uint64_t now_ms)
{
    if (slot->state != NACRE__SLOT_SENT || slot->type != NACRE_CON) return;
    const uint32_t index = nacre__slot_index(ep, slot);
    if (slot->in_transmit) nacre__queue_remove(&ep->transmit, false, index);
    slot->in_transmit = false;
    slot->state = NACRE__SLOT_ACKED;
    ep->due[index] = nacre__after(now_ms, ep->config.timing.answer_timeout_ms);
}

void nacre__slot_reset(nacre_endpoint *ep, nacre__slot *slot)
{
    if (slot->context == NULL) nacre__slot_fail(ep, slot, NACRE_ERR_RESET, NULL);
    else if (slot->doubt == NACRE_OK) slot->doubt = NACRE_ERR_RESET;
}

/* What is no answer leaves the exchange as it is (RFC 8613 8.4 step 8), but for the ACK that carried it. */
static void dropped(nacre_endpoint *ep, nacre__slot *slot, nacre_err err, uint64_t now_ms)
{
    ep->stats.unprotect_failures++;
    slot->doubt = err;
    nacre__slot_acknowledged(ep, slot, now_ms);
}

/* What servers say that cannot or will not unprotect: a hint that nobody vouches for (RFC 8613 8.2, D.5.3). 4.05 comes
 * from those that see a POST where OSCORE is not known. */
static bool is_plain_refusal(uint8_t code)
{
    return code == NACRE_BAD_REQUEST || code == NACRE_UNAUTHORIZED || code == NACRE_BAD_OPTION ||
           code == NACRE_METHOD_NOT_ALLOWED || code == NACRE_UNAVAILABLE;
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

/* The plain request once more, with this Echo value in place of any that it had. */
static nacre_err add_echo(nacre_endpoint *ep, nacre__slot *slot, nacre_bytes echo)
{
    nacre_message plain;
    nacre_err err = nacre_message_parse(&plain, nacre_bytes_of(slot->plain, slot->plain_len));
    if (err != NACRE_OK) return err;
    nacre_options options;
    nacre_options_init(&options, (nacre_room){ ep->scratch, ep->config.max_message });
    nacre_option_iter it = nacre_option_begin(plain.options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number != NACRE_OPT_ECHO) nacre_options_add(&options, option.number, option.value);
    nacre_options_add(&options, NACRE_OPT_ECHO, echo);
    err = nacre_options_finish(&options, &plain.options);
    if (err != NACRE_OK) return err;
    if (size_on_the_way(slot->context, &plain) > ep->config.max_message) return NACRE_ERR_TOO_LONG;

    nacre_bytes out; /* into the other bytes: what was sent before is not sent again */
    err = nacre_message_write(&plain, &out, (nacre_room){ slot->sent, ep->config.max_message });
    if (err != NACRE_OK) return err;
    uint8_t *old = slot->plain;
    slot->plain = slot->sent;
    slot->sent = old;
    slot->plain_len = out.len;
    return NACRE_OK;
}

/* RFC 8613 B.1.2, RFC 9175 2.3: a verified 4.01 with Echo asks for the same request again, with the value. Done once. */
static bool repeat_with_echo(nacre_endpoint *ep, nacre__slot *slot, const nacre_message *answer)
{
    if (slot->repeated || answer->code != NACRE_UNAUTHORIZED) return false;
    const nacre_bytes echo = nacre_option_find(answer->options, NACRE_OPT_ECHO);
    if (echo.len < 1 || echo.len > 40 || add_echo(ep, slot, echo) != NACRE_OK) return false;
    slot->repeated = true;
    slot->doubt = NACRE_OK;
    stop(ep, slot);
    nacre__slot_queue(ep, slot);
    return true;
}

static void verified_answer(nacre_endpoint *ep, nacre__slot *slot, const nacre_message *answer, uint64_t now_ms)
{
    /* RFC 8613 8.4.2: a notification for who did not ask for any */
    if (nacre__has_option(answer->options, NACRE_OPT_OBSERVE) && !request_has(slot, NACRE_OPT_OBSERVE)) {
        dropped(ep, slot, NACRE_ERR_PROTECTION_INVALID, now_ms);
        return;
    }
    if (repeat_with_echo(ep, slot, answer)) return;
    ep->stats.responses++;
    end(ep, slot, verdict_on(answer), answer);
}

static void plain_answer(nacre_endpoint *ep, nacre__slot *slot, const nacre_message *answer)
{
    if (slot->context != NULL) { /* RFC 8613 8.4 step 2, and section 2: without protection it is no answer */
        end(ep, slot, is_plain_refusal(answer->code) ? NACRE_ERR_UNAUTHENTICATED : NACRE_ERR_NOT_PROTECTED, answer);
        return;
    }
    ep->stats.responses++;
    end(ep, slot, verdict_on(answer), answer);
}

/* An answer with the slot's token; `item` says what verifying came to. */
void nacre__slot_answered(nacre_endpoint *ep, nacre__slot *slot, const nacre__item *item, uint64_t now_ms)
{
    const bool has_oscore = nacre__has_option(item->outer.options, NACRE_OPT_OSCORE);
    if (!has_oscore || (slot->context == NULL && ep->config.opaque_oscore)) plain_answer(ep, slot, &item->outer);
    else if (slot->context == NULL) dropped(ep, slot, NACRE_ERR_PROTECTION_INVALID, now_ms);
    else if (item->err == NACRE_OK) verified_answer(ep, slot, &item->plain, now_ms);
    else dropped(ep, slot, item->err, now_ms);
}
