/* SPDX-License-Identifier: MIT */
/* requests: our own requests, from the call to the one event that ends each.
 *
 * A slot keeps the plain request, to protect it when it is transmitted and to repeat it with an Echo value, and beside it
 * the bytes that went out, for these and no others are sent again (RFC 8613 8.1 spends a number; a second protection of
 * one transmission would be a second request). What may end a request is in responses.c, what becomes of an observation in
 * observing.c. */
#include "endpoint/exchange/client_exchange.h"
#include "endpoint/message/nstart.h"

#include <string.h>

void nacre__slot_set_token(nacre__exchanges *x, const nacre__slot *slot, uint64_t token)
{
    uint64_t *held = &x->tokens[nacre__slot_index(x, slot)];
    if (*held == 0 && token != 0) x->num_tokens++;
    if (*held != 0 && token == 0) x->num_tokens--;
    *held = token;
    if (token == 0) nacre__transmission_unset_mid(x->tx, slot->t);
}

/* Off its way, whatever it was on. Its token stays: an observation goes on to be notified under it. */
void nacre__slot_pause(nacre__exchanges *x, nacre__slot *slot)
{
    nacre__persist_leave(x->persist, NACRE__OF_SLOT, nacre__slot_index(x, slot));
    nacre__transmission_stop(x->tx, slot->t);
}

static void stop(nacre__exchanges *x, nacre__slot *slot)
{
    nacre__slot_pause(x, slot);
    nacre__slot_set_token(x, slot, 0);
}

static void forget_blocks(nacre__exchanges *x, nacre__slot *slot)
{
    if (slot->outer != NACRE__NONE) x->upper.blocks_dropped(x->upper.self, slot);
}

/* It has come to its end: the next may go in its place, and nobody limits its time any more. */
static void leave(nacre__exchanges *x, nacre__slot *slot, nacre__slot_state state)
{
    x->upper.request_left(x->upper.self, slot);
    nacre__nstart_leave(x->tx, slot->t);
    forget_blocks(x, slot);
    if (slot->limit != 0 && !slot->limited) x->num_unlimited--;
    slot->limit = 0;
    slot->limited = false;
    slot->t->give_up = NACRE__NEVER;
    stop(x, slot);
    slot->state = state;
}

void nacre__slot_release(nacre__exchanges *x, nacre__slot *slot)
{
    leave(x, slot, NACRE__SLOT_FREE);
    slot->exchange = 0;
    slot->context = NULL;
    slot->rederivation = NULL;
    slot->user = NULL;
}

void nacre__slot_queue(nacre__exchanges *x, nacre__slot *slot)
{
    slot->state = NACRE__SLOT_SENDING;
    nacre__transmission_queue(x->tx, slot->t);
}

/* It is not on its way while it waits for something else than its peer. */
void nacre__slot_wait(nacre__exchanges *x, nacre__slot *slot)
{
    nacre__nstart_leave(x->tx, slot->t);
    nacre__transmission_stop(x->tx, slot->t);
    slot->state = NACRE__SLOT_WAITING;
}

/* The same request once more, under a new token. */
void nacre__slot_again(nacre__exchanges *x, nacre__slot *slot)
{
    slot->doubt = NACRE_OK;
    forget_blocks(x, slot);
    stop(x, slot);
    nacre__slot_queue(x, slot);
}

/* The one way to an end: with NACRE_OK an answer, else a failure. One that has ended already, but whose event was not
 * pulled, changes its event. */
void nacre__slot_end(nacre__exchanges *x, nacre__slot *slot, nacre_err err, const nacre_message *message)
{
    if (slot->state != NACRE__SLOT_ENDED) nacre__queue_push(&x->events, NACRE__OF_SLOT, nacre__slot_index(x, slot));
    leave(x, slot, NACRE__SLOT_ENDED);
    slot->err = err;
    slot->message = message != NULL ? *message : (nacre_message){ .code = NACRE_EMPTY };
}

/* ---- Starting ------------------------------------------------------------------------------------------------------ */

static nacre__slot *free_slot(nacre__exchanges *x)
{
    const uint32_t num = x->core->config.num_client_exchanges;
    for (uint32_t i = 0; i < num; i++) {
        nacre__slot *slot = &x->slots[(x->next_slot + i) % num];
        if (slot->state != NACRE__SLOT_FREE) continue;
        x->next_slot = (nacre__slot_index(x, slot) + 1) % num; /* round, so that numbers come back late */
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

/* The plain request once more, with this value for an option in place of any that it had; absent: without it. */
nacre_err nacre__slot_set_option(nacre__exchanges *x, nacre__slot *slot, uint16_t number, nacre_bytes value)
{
    nacre_message plain;
    nacre_err err = nacre_message_parse(&plain, nacre_bytes_of(slot->plain, slot->plain_len));
    if (err != NACRE_OK) return err;
    nacre_options options;
    nacre_options_init(&options, (nacre_buf){ x->core->scratch, x->core->config.max_message });
    nacre_option_iter it = nacre_option_begin(plain.options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number != number) nacre_options_add(&options, option.number, option.value);
    if (!nacre_is_absent(value)) nacre_options_add(&options, number, value);
    plain.type = slot->t->type;
    err = nacre_options_finish(&options, &plain.options);
    if (err != NACRE_OK) return err;
    if (size_on_the_way(slot->context, &plain) > nacre__max_message_to(x->core, &slot->peer)) return NACRE_ERR_TOO_LONG;

    forget_blocks(x, slot); /* an answer to what was sent before is not wanted any more */
    nacre_bytes out;        /* into the other bytes: what was sent before is not sent again */
    err = nacre_message_write(&plain, &out, (nacre_buf){ slot->t->bytes, x->core->config.max_message });
    if (err != NACRE_OK) return err;
    uint8_t *old = slot->plain;
    slot->plain = slot->t->bytes;
    slot->t->bytes = old;
    slot->plain_len = out.len;
    return NACRE_OK;
}

/* A slot of its own for an exchange with `peer`, with everything as at the start; NULL when all are in use. */
nacre__slot *nacre__slot_new(nacre__exchanges *x, const nacre_address *peer, void *user)
{
    nacre__slot *slot = free_slot(x);
    if (slot == NULL) return NULL;
    *slot = (nacre__slot){
        .generation = slot->generation,
        .plain = slot->plain,
        .t = slot->t,
        .peer = *peer,
        .user = user,
        .outer = NACRE__NONE,
    };
    slot->t->peer = *peer;
    slot->t->give_up = NACRE__NEVER;
    slot->t->order = x->tx->next_order++;
    slot->exchange = nacre__exchange_new(&x->numbers, &slot->generation, NACRE__OF_SLOT, nacre__slot_index(x, slot));
    return slot;
}

static nacre_err keep_plain(nacre__exchanges *x, nacre__slot *slot, const nacre_message *plain)
{
    nacre_message kept = *plain;
    nacre_bytes out;
    kept.token = NACRE_ABSENT; /* token and MID are made for each transmission */
    kept.mid = 0;
    /* RFC 8323 3.2: a connection knows neither CON nor NON */
    if (nacre_address_is_reliable(&slot->peer)) kept.type = NACRE_NON;
    const nacre_err err = nacre_message_write(&kept, &out, (nacre_buf){ slot->plain, x->core->config.max_message });
    if (err != NACRE_OK) return err == NACRE_ERR_BUFFER_TOO_SMALL ? NACRE_ERR_TOO_LONG : err;
    slot->plain_len = out.len;
    slot->t->type = kept.type;
    return NACRE_OK;
}

/* A request is to be sent; `extra`: bytes that its way may need beside it. NACRE_ERR_BAD_ARGUMENT, NACRE_ERR_TOO_LONG,
 * NACRE_ERR_BUSY: nothing has happened. */
nacre_err nacre__slot_start(nacre__exchanges *x, nacre__slot **slot, const nacre_address *peer, nacre_context *context,
                            const nacre_message *plain, void *user, size_t extra)
{
    nacre_err err = check(plain, context == NULL && x->core->config.opaque_oscore);
    if (err != NACRE_OK) return err;
    if (size_on_the_way(context, plain) + extra > nacre__max_message_to(x->core, peer)) return NACRE_ERR_TOO_LONG;
    *slot = nacre__slot_new(x, peer, user);
    if (*slot == NULL) return NACRE_ERR_BUSY;
    err = keep_plain(x, *slot, plain);
    if (err != NACRE_OK) (*slot)->exchange = 0;
    (*slot)->context = context;
    return err;
}

nacre__slot *nacre__slot_of(const nacre__exchanges *x, nacre_exchange exchange)
{
    const uint32_t index = nacre__exchange_index(&x->numbers, NACRE__OF_SLOT, exchange);
    if (index >= x->core->config.num_client_exchanges) return NULL;
    return x->slots[index].exchange == exchange ? &x->slots[index] : NULL;
}

/* Without an event, and one that is queued already is not told. */
void nacre__slot_cancel(nacre__exchanges *x, nacre__slot *slot)
{
    if (slot->state == NACRE__SLOT_ENDED) nacre__queue_remove(&x->events, NACRE__OF_SLOT, nacre__slot_index(x, slot));
    nacre__slot_release(x, slot);
}

/* ---- Finding ------------------------------------------------------------------------------------------------------- */

nacre__slot *nacre__slot_by_token(const nacre__exchanges *x, const nacre_address *peer, nacre_bytes token)
{
    uint64_t value;
    if (token.len != sizeof value) return NULL;
    memcpy(&value, token.ptr, sizeof value);
    if (value == 0) return NULL;
    for (uint32_t i = 0; i < x->core->config.num_client_exchanges; i++)
        if (x->tokens[i] == value && nacre_address_equal(&x->slots[i].peer, peer)) return &x->slots[i];
    return NULL;
}

/* Whether an ACK or a RST is for it: only while it waits for an answer, or may still get its ACK. */
bool nacre__slot_knows_its_mid(const nacre__slot *slot)
{
    if (nacre__slot_waits(slot)) return true;
    return slot->state == NACRE__SLOT_OBSERVING && slot->context == NULL && slot->observation.due == NACRE__DUE_IN_ACK;
}

/* ---- Giving up ----------------------------------------------------------------------------------------------------- */

/* The error to tell when the time is up: what came and could not be trusted is what its user wants to know. */
static nacre_err last_word(nacre_err doubt)
{
    switch (doubt) {
    case NACRE_OK: return NACRE_ERR_TIMEOUT;
    case NACRE_ERR_RESET:
    case NACRE_ERR_TOO_LONG:
    case NACRE_ERR_OVERSIZED:
    case NACRE_ERR_UNAUTHENTICATED:
    case NACRE_ERR_NOT_PROTECTED: return doubt;
    default: return NACRE_ERR_PROTECTION_INVALID;
    }
}

void nacre__slot_give_up(nacre__exchanges *x, nacre__slot *slot)
{
    const nacre_err err = last_word(slot->doubt);
    const bool has_hint = err == NACRE_ERR_UNAUTHENTICATED || err == NACRE_ERR_NOT_PROTECTED;
    const nacre_message hint = { .code = slot->hint.code, .payload = { slot->hint.text, slot->hint.len } };
    nacre__slot_end(x, slot, err, has_hint ? &hint : NULL);
}

/* Requests that came since the last transmission: their users' patience begins now. */
void nacre__slots_limit(nacre__exchanges *x, uint64_t now_ms)
{
    for (uint32_t i = 0; x->num_unlimited > 0 && i < x->core->config.num_client_exchanges; i++) {
        nacre__slot *slot = &x->slots[i];
        if (slot->limit == 0 || slot->limited) continue;
        slot->limited = true;
        slot->t->give_up = nacre__after(now_ms, slot->limit);
        nacre__transmission_set_due(x->tx, slot->t, slot->t->due);
        x->num_unlimited--;
    }
}
