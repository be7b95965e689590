/* SPDX-License-Identifier: MIT */
/* answers: what becomes of the requests of others, from the verdict of OSCORE to the answer kept for duplicates.
 *
 * An answer is protected once, when the application gives it, into the entry's own bytes; what goes out, first and for
 * each duplicate, is a copy of these (RFC 8613 8.3: one request nonce, one answer). Only when the store must be waited
 * for do the bytes hold the plain answer for a while; nothing is transmitted then. */
#include "endpoint/exchange/server_exchange.h"
#include "coap/option_check.h"

#include <string.h>

static nacre_buf room_of(const nacre__exchanges *x, const nacre__entry *entry)
{
    return (nacre_buf){ entry->record->bytes, x->core->config.max_message };
}

/* RFC 7252 5.2.1: the answer to a CON goes into its ACK. 5.2.3: the one to a NON is a NON with a MID of its own. */
void nacre__answer_header(nacre__exchanges *x, const nacre__entry *entry, nacre_message *answer, nacre_bytes token)
{
    answer->type = entry->record->type == NACRE_CON ? NACRE_ACK : NACRE_NON;
    answer->mid = entry->record->type == NACRE_CON ? entry->record->mid : nacre__new_mid(x->tx, &entry->record->peer);
    answer->token = token;
}

static void leave_parked(nacre__exchanges *x, nacre__entry *entry)
{
    if (entry->parked != NACRE__NONE) x->parked[entry->parked].entry = NACRE__NONE;
    entry->parked = NACRE__NONE;
}

/* Gives back what the entry holds beside its own bytes. */
static void leave_rooms(nacre__exchanges *x, nacre__entry *entry)
{
    nacre__later_end(x, entry);
    leave_parked(x, entry);
}

static void transmit(nacre__exchanges *x, nacre__entry *entry)
{
    if (entry->record->in_queue || entry->record->response_len == 0) return;
    entry->record->in_queue = true;
    nacre__queue_push(&x->tx->queue, NACRE__OF_ENTRY, nacre__entry_index(x, entry));
}

/* The entry's bytes are the answer now. `cheap`: nobody vouched for the request (a plain one, a refused one, one that
 * may be a replay), so it leaves the memory of duplicates before those that somebody did. */
static void finish(nacre__exchanges *x, nacre__entry *entry, size_t answer_len, bool cheap)
{
    if (entry->observer != NACRE__NONE) x->upper.registration_answered(x->upper.self, entry, NULL);
    entry->observer = NACRE__NONE;
    entry->record->response_len = answer_len;
    /* over a connection nothing is repeated */
    nacre__server_exchange_done(x, entry, cheap || nacre_address_is_reliable(&entry->record->peer));
    transmit(x, entry);
}

/* The entry's bytes are an answer that somebody else has made of a request that may be a replay. */
void nacre__answer_written(nacre__exchanges *x, nacre__entry *entry, size_t answer_len)
{
    leave_rooms(x, entry);
    finish(x, entry, answer_len, true);
}

/* What the request was answered with begins no observation (RFC 7641 4.1). */
static void end_observer(nacre__exchanges *x, nacre__entry *entry, nacre_err err)
{
    if (entry->observer != NACRE__NONE) x->upper.registration_ended(x->upper.self, entry, err);
}

static size_t write_ack(nacre__exchanges *x, nacre__entry *entry)
{
    const nacre_message ack = { .type = NACRE_ACK, .code = NACRE_EMPTY, .mid = entry->record->mid };
    nacre_bytes out;
    return entry->record->type == NACRE_CON && nacre_message_write(&ack, &out, room_of(x, entry)) == NACRE_OK ? out.len
                                                                                                              : 0;
}

/* Nothing goes out for it now: its ACK has gone, and a duplicate gets that again. */
void nacre__answer_known_only(nacre__exchanges *x, nacre__entry *entry)
{
    end_observer(x, entry, NACRE_OK);
    leave_rooms(x, entry);
    entry->record->response_len = write_ack(x, entry);
    nacre__server_exchange_done(x, entry, entry->context == NULL);
}

/* A duplicate came (RFC 7252 4.5): a CON gets the same answer again, if there is one yet; a NON is dropped. So is what asks for
 * more than its address may get any more (RFC 9175 2.4): it may have changed hands since. */
void nacre__answer_again(nacre__exchanges *x, nacre__entry *entry)
{
    x->core->stats.duplicates++;
    const size_t size = entry->record->response_len + nacre__outer_most(&entry->wish);
    if (size > nacre__allowance(entry->record->datagram_len) &&
        !nacre__is_validated(x->validation, &entry->record->peer))
        return;
    if (entry->state == NACRE__ENTRY_LATER && entry->record->type == NACRE_CON) nacre__later_acknowledge(x, entry);
    if (entry->state == NACRE__ENTRY_ANSWERED && entry->record->type == NACRE_CON) transmit(x, entry);
}

/* Nothing to say: a CON gets an empty ACK, which is never protected (RFC 8613 4.2). */
void nacre__answer_empty(nacre__exchanges *x, nacre__entry *entry)
{
    const bool was_heard = entry->state == NACRE__ENTRY_DELIVERED || entry->state == NACRE__ENTRY_LATER;
    end_observer(x, entry, NACRE_OK);
    leave_rooms(x, entry);
    finish(x, entry, write_ack(x, entry), was_heard && entry->context == NULL);
}

/* A short answer of our own, or a block of one that is kept. Its options and payload lie outside the entry. */
void nacre__answer_unprotected(nacre__exchanges *x, nacre__entry *entry, nacre_message *answer, nacre_bytes token)
{
    nacre_bytes out;
    nacre__answer_header(x, entry, answer, token);
    if (nacre_message_write(answer, &out, room_of(x, entry)) != NACRE_OK) out.len = 0;
    nacre__answer_written(x, entry, out.len);
}

/* ---- Refusing ------------------------------------------------------------------------------------------------------ */

static bool has_diagnostic(nacre_err err)
{
    return err == NACRE_ERR_DECODE || err == NACRE_ERR_NO_CONTEXT || err == NACRE_ERR_REPLAY ||
           err == NACRE_ERR_PROTECTION_INVALID;
}

static nacre_bytes text_of(nacre_err err)
{
    if (!has_diagnostic(err)) return NACRE_ABSENT;
    const char *text = nacre_err_text(err);
    return nacre_bytes_of((const uint8_t *)text, strlen(text));
}

/* RFC 8613 8.2, B.2: what may be said unprotected to a protected request. Of all else it hears nothing. */
static bool is_unprotected_answer(uint8_t code)
{
    return code == NACRE_BAD_REQUEST || code == NACRE_UNAUTHORIZED || code == NACRE_BAD_OPTION ||
           code == NACRE_UNAVAILABLE;
}

/* RFC 8613 8.2, 7.4: the unprotected answer that says why, to a CON and over a connection; silence to a NON, whose sender
 * would not wait for it and whose address may be somebody else's. */
void nacre__answer_refuse(nacre__exchanges *x, nacre__entry *entry, nacre_err err, nacre_bytes token)
{
    static const uint8_t max_age_0[] = { 0xd0, NACRE_OPT_MAX_AGE - 13 }; /* an empty uint */
    const bool unverified = entry->state == NACRE__ENTRY_NEW || entry->state == NACRE__ENTRY_PARKED;
    const uint8_t code = nacre_err_coap_code(err);
    nacre_message answer = {
        .code = code != 0 ? code : NACRE_SERVER_ERROR,
        .options = err == NACRE_ERR_REPLAY ? NACRE_ARRAY(max_age_0) : NACRE_ABSENT,
        .payload = text_of(err),
    };
    nacre_bytes out = NACRE_ABSENT;
    if (!is_unprotected_answer(answer.code)) {
        nacre__answer_empty(x, entry);
        return;
    }
    if (entry->record->type != NACRE_CON && !nacre_address_is_reliable(&entry->record->peer)) {
        leave_rooms(x, entry);
        nacre__server_exchange_release(x, entry); /* a duplicate would be refused again: nothing is to be remembered */
        return;
    }
    nacre__answer_header(x, entry, &answer, token);
    if (nacre_message_write(&answer, &out, room_of(x, entry)) != NACRE_OK) {
        /* RFC 8974 2.2.2: a token that nearly fills it all goes back with the code alone, which fits: it came like that */
        answer.options = answer.payload = NACRE_ABSENT;
        if (nacre_message_write(&answer, &out, room_of(x, entry)) != NACRE_OK) out.len = 0;
    }
    leave_rooms(x, entry);
    finish(x, entry, out.len, unverified);
}

static nacre_bytes token_of(const nacre__exchanges *x, const nacre__entry *entry)
{
    nacre_message request;
    if (entry->state == NACRE__ENTRY_WAITING) {
        /* the plain answer in its own bytes has the token, but the refusal is written over it */
        if (nacre_message_parse(&request, nacre_bytes_of(entry->record->bytes, entry->record->response_len)) !=
            NACRE_OK)
            return NACRE_ABSENT;
        memcpy(x->core->scratch, request.token.ptr, request.token.len);
        return nacre_bytes_of(x->core->scratch, request.token.len);
    }
    if (entry->state == NACRE__ENTRY_PARKED) {
        const nacre__parked *parked = &x->parked[entry->parked];
        if (nacre_message_parse(&request, nacre_bytes_of(parked->bytes, parked->len)) != NACRE_OK) return NACRE_ABSENT;
        return request.token;
    }
    return entry->message.token;
}

/* The store failed, or the context goes: the exchange ends here, and a later respond finds it stale. */
void nacre__answer_withdraw(nacre__exchanges *x, nacre__entry *entry, nacre_err err)
{
    if (entry->state == NACRE__ENTRY_READY)
        nacre__queue_remove(&x->events, NACRE__OF_ENTRY, nacre__entry_index(x, entry));
    end_observer(x, entry, err);
    if (entry->acked) { /* nothing more is due: who sent it waits for an answer that can be verified, or for none */
        nacre__answer_known_only(x, entry);
        return;
    }
    nacre__answer_refuse(x, entry, err, token_of(x, entry));
}

/* ---- The verdict on a request -------------------------------------------------------------------------------------- */

/* The plain answer stays in the entry's bytes until the store has confirmed. */
static nacre_err keep_plain(nacre__exchanges *x, nacre__entry *entry, const nacre_message *answer, bool echo)
{
    nacre_bytes out;
    const nacre_err err = nacre_message_write(answer, &out, room_of(x, entry));
    if (err != NACRE_OK) return err;
    entry->record->response_len = out.len;
    entry->echo = echo;
    entry->state = NACRE__ENTRY_WAITING;
    leave_rooms(x, entry);
    nacre__server_exchange_wait(x, entry, entry->context);
    return NACRE_OK;
}

/* RFC 8613 B.1.2: the window is not known, so the sender must show that it is there now. */
static void challenge(nacre__exchanges *x, nacre__entry *entry, nacre_bytes token)
{
    nacre_message header = { .code = NACRE_UNAUTHORIZED };
    nacre_bytes out;
    if (!nacre__challenge_take(x->rate_limits,
                               entry->context)) { /* nothing is known of it: a retransmission asks again */
        x->core->stats.dropped++;
        nacre__server_exchange_release(x, entry);
        return;
    }
    nacre__answer_header(x, entry, &header, token);
    nacre__context_lock(x->core, entry->context);
    nacre_err err =
        nacre_protect_echo(entry->context, &x->core->config.crypto, &entry->id, &out, room_of(x, entry), &header);
    nacre__context_unlock(x->core, entry->context);
    if (err == NACRE_OK) {
        nacre__persist_ask_early(x->persist, entry->context);
        leave_rooms(x, entry);
        finish(x, entry, out.len, true);
        return;
    }
    if (err == NACRE_ERR_NOT_YET && keep_plain(x, entry, &header, true) == NACRE_OK) return;
    nacre__answer_refuse(x, entry, err, token);
}

/* The same request in another datagram: one copy is enough, and captured ones would take all places. */
static bool is_parked(const nacre__exchanges *x, const nacre__item *item)
{
    for (uint32_t i = 0; i < x->max_parked; i++) {
        const nacre__parked *p = &x->parked[i];
        if (p->entry != NACRE__NONE && x->entries[p->entry].context == item->context &&
            nacre_bytes_equal(nacre_bytes_of(p->partial_iv, p->partial_iv_len), item->option.partial_iv))
            return true;
    }
    return false;
}

/* Keeps the request's bytes until the store has forgotten its replay window; without a free place the request is not
 * known to have come, and its retransmission finds the store further on. */
static void park(nacre__exchanges *x, nacre__entry *entry, const nacre__item *item)
{
    const nacre_bytes piv = item->option.partial_iv;
    const bool is_new = entry->parked == NACRE__NONE && !is_parked(x, item);
    entry->context = item->context;
    for (uint32_t i = 0; is_new && entry->parked == NACRE__NONE && i < x->max_parked; i++) {
        if (x->parked[i].entry != NACRE__NONE) continue;
        entry->parked = i;
        x->parked[i].entry = nacre__entry_index(x, entry);
        x->parked[i].len = item->datagram->bytes.len;
        memcpy(x->parked[i].bytes, item->datagram->bytes.ptr, item->datagram->bytes.len);
        x->parked[i].partial_iv_len = (uint8_t)piv.len;
        memcpy(x->parked[i].partial_iv, piv.ptr, piv.len);
    }
    if (entry->parked == NACRE__NONE) {
        nacre__persist_ask(x->persist, item->context);
        x->core->stats.dropped++;
        nacre__server_exchange_release(x, entry);
        return;
    }
    entry->state = NACRE__ENTRY_PARKED;
    nacre__server_exchange_wait(x, entry, item->context);
}

static void count_refusal(nacre__exchanges *x, nacre_err err)
{
    if (err == NACRE_ERR_REPLAY) x->core->stats.replays++;
    else if (err == NACRE_ERR_NO_CONTEXT) x->core->stats.no_context++;
    else x->core->stats.unprotect_failures++;
}

static void heard_echo(nacre__exchanges *x, const nacre__item *item)
{
    nacre__echo_heard(x->echo, &item->datagram->peer, item->context,
                      nacre_option_find(item->plain.options, NACRE_OPT_ECHO),
                      nacre_option_find(item->outer.options, NACRE_OPT_ECHO), item->recovers);
}

/* `item` says what verifying came to: deliver, challenge, wait, or refuse. */
void nacre__answer_settle(nacre__exchanges *x, nacre__entry *entry, const nacre__item *item)
{
    switch (item->err) {
    case NACRE_OK:
        entry->context = item->context;
        entry->id = item->id; /* moved: the item is not looked at again */
        entry->message = item->plain;
        entry->seen = item->context == NULL ? item->seen : nacre__options_seen(item->plain.options);
        entry->state = NACRE__ENTRY_READY;
        nacre__item_drop_options(x->core, item, &entry->message, entry->seen);
        if ((entry->seen | item->seen) & NACRE__SEEN(NACRE_OPT_ECHO)) heard_echo(x, item);
        nacre__queue_push(&x->events, NACRE__OF_ENTRY, nacre__entry_index(x, entry));
        x->core->stats.requests++;
        break;
    case NACRE_ERR_REPLAY_ECHO:
        entry->context = item->context;
        entry->id = item->id;
        challenge(x, entry, item->outer.token);
        break;
    case NACRE_ERR_NOT_YET: park(x, entry, item); break;
    default: count_refusal(x, item->err); nacre__answer_refuse(x, entry, item->err, item->outer.token);
    }
}

/* ---- What waited goes on ------------------------------------------------------------------------------------------- */

static void resume_request(nacre__exchanges *x, nacre__entry *entry)
{
    const nacre__parked *parked = &x->parked[entry->parked];
    const nacre_datagram datagram = { .peer = entry->record->peer, .bytes = { parked->bytes, parked->len } };
    nacre__item item = { .kind = NACRE__ITEM_REQUEST, .datagram = &datagram, .context = entry->context };
    item.err = nacre_message_parse(&item.outer, datagram.bytes);
    const nacre_buf room = { parked->bytes + x->core->config.max_message, x->core->config.max_message };
    nacre__context_lock(x->core, entry->context);
    if (item.err == NACRE_OK)
        item.err =
            nacre_unprotect_request(entry->context, &x->core->config.crypto, &item.id, &item.plain, room, &item.outer);
    nacre__context_unlock(x->core, entry->context);
    nacre__answer_settle(x, entry, &item);
}

static void resume_answer(nacre__exchanges *x, nacre__entry *entry)
{
    const nacre_buf room = { x->core->scratch, x->core->config.max_message };
    nacre_message plain;
    nacre_bytes out;
    nacre_err err = nacre_message_parse(&plain, nacre_bytes_of(entry->record->bytes, entry->record->response_len));
    nacre__context_lock(x->core, entry->context);
    if (err == NACRE_OK && entry->echo)
        err = nacre_protect_echo(entry->context, &x->core->config.crypto, &entry->id, &out, room, &plain);
    else if (err == NACRE_OK)
        err = nacre_protect_response(entry->context, &x->core->config.crypto, &entry->id, &out, room, &plain, NULL);
    nacre__context_unlock(x->core, entry->context);
    if (err == NACRE_ERR_NOT_YET) {
        nacre__server_exchange_wait(x, entry, entry->context);
    } else if (err != NACRE_OK) {
        nacre__answer_withdraw(x, entry, err);
    } else {
        nacre__persist_ask_early(x->persist, entry->context);
        memcpy(entry->record->bytes, out.ptr, out.len);
        finish(x, entry, out.len, false);
    }
}

/* A request that waits was not accepted: it is refused in clear, and its nonce stays unused, for the same request may be
 * accepted later (RFC 8613 B.1.2). An answer that waits has no right to its request's nonce, or it would not wait. */
static bool goes_on(nacre__exchanges *x, const nacre__entry *entry)
{
    return entry->state == NACRE__ENTRY_PARKED ? nacre__has_durable_window(x->core, entry->context)
                                               : nacre__has_number(x->core, entry->context);
}

/* The store has answered. */
void nacre__answer_confirmed(nacre__exchanges *x, nacre__entry *entry, nacre_err err)
{
    entry->record->may_be_dropped = false;
    if (err != NACRE_OK && !goes_on(x, entry)) nacre__answer_withdraw(x, entry, NACRE_ERR_NOT_YET);
    else if (entry->state == NACRE__ENTRY_PARKED) resume_request(x, entry);
    else resume_answer(x, entry);
}

/* A new burst begins: what the application did not answer counts as ignored, for the message's memory goes. */
void nacre__answer_close_delivered(nacre__exchanges *x)
{
    for (uint32_t i = x->dedup->lists[NACRE__DEDUP_OPEN].first, next; i != NACRE__NONE; i = next) {
        nacre__entry *entry = &x->entries[i];
        next = entry->record->link.next;
        if (entry->state == NACRE__ENTRY_DELIVERED) nacre__answer_empty(x, entry);
        if (entry->state == NACRE__ENTRY_LATER) leave_parked(x, entry);
    }
}

/* ---- What the application says ------------------------------------------------------------------------------------- */

/* The request with that number, if it may be answered now. */
nacre__entry *nacre__answer_entry(const nacre__exchanges *x, nacre_exchange exchange)
{
    const uint32_t index = nacre__exchange_index(&x->numbers, NACRE__OF_ENTRY, exchange);
    if (index >= x->core->config.num_server_exchanges) return NULL;
    nacre__entry *entry = &x->entries[index];
    const bool is_open = entry->state == NACRE__ENTRY_DELIVERED || entry->state == NACRE__ENTRY_LATER;
    return entry->exchange == exchange && is_open ? entry : NULL;
}

/* Into the entry's bytes, protected when the request was (RFC 8613 8.3). */
static nacre_err write_answer(nacre__exchanges *x, nacre__entry *entry, nacre_bytes *out, const nacre_message *answer)
{
    const size_t max = nacre__max_message_to(x->core, &entry->record->peer), extra = nacre__outer_extra(&entry->wish);
    const nacre_buf room = { entry->record->bytes, max > extra ? max - extra : 0 };
    if (entry->context == NULL) return nacre_message_write(answer, out, room);
    /* RFC 8613 8.3 step 1: the context that verified the request */
    return nacre__protect_batch_add(x->batch, entry->context, &entry->id, out, room, answer,
                                    &entry->record->response_len);
}

static bool may_have_these(const nacre__exchanges *x, nacre_bytes options)
{
    uint32_t seen;
    if (options.len == 0) return true;
    const uint8_t *end = options.ptr + options.len;
    if (nacre__options_scan(options.ptr, end, &seen) != end) return false; /* not well-formed */
    return x->core->config.opaque_oscore || (seen & NACRE__SEEN(NACRE_OPT_OSCORE)) == 0 ||
           !nacre__has_option(options, NACRE_OPT_OSCORE);
}

bool nacre__answer_may_be_said(const nacre__exchanges *x, const nacre_message *plain)
{
    return may_have_these(x, plain->options) && nacre__is_response_class(plain->code);
}

/* In the ACK of a CON, or as a NON: from the entry's own bytes. */
nacre_err nacre__answer_at_once(nacre__exchanges *x, nacre__entry *entry, nacre_message *answer)
{
    nacre_bytes out;
    nacre__answer_header(x, entry, answer, entry->message.token);
    const nacre_err err = write_answer(x, entry, &out, answer);
    if (err == NACRE_ERR_NOT_YET) {
        if (nacre_protect_size(entry->context, answer, NULL) > nacre__max_message_to(x->core, &entry->record->peer))
            return NACRE_ERR_TOO_LONG;
        return keep_plain(x, entry, answer, false);
    }
    if (err != NACRE_OK) return err == NACRE_ERR_BUFFER_TOO_SMALL ? NACRE_ERR_TOO_LONG : err;
    leave_rooms(x, entry);
    finish(x, entry, out.len, entry->context == NULL);
    return NACRE_OK;
}

/* RFC 7967 2.1: No-Response names the classes that nobody waits for. A registration is not one to stay silent on, for its
 * first answer says whether it was taken. */
bool nacre__answer_is_unwanted(const nacre__entry *entry, uint8_t code)
{
    return entry->observer == NACRE__NONE && (entry->unwanted >> ((code >> 5) - 1)) % 2 == 1;
}
