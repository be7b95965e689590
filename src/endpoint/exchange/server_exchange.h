/* SPDX-License-Identifier: MIT */
/* server_exchange: what becomes of requests of peers, from the verdict of OSCORE to the response kept for duplicates. */
#ifndef NACRE_ENDPOINT_EXCHANGE_SERVER_EXCHANGE_H
#define NACRE_ENDPOINT_EXCHANGE_SERVER_EXCHANGE_H

#include "endpoint/exchange/exchanges.h"
#include "endpoint/exchange/received.h"

static inline uint32_t nacre__entry_index(const nacre__exchanges *x, const nacre__entry *entry)
{
    return (uint32_t)(entry - x->entries);
}

/* ---- server_exchange.c --------------------------------------------------------------------------------------------- */

nacre__entry *nacre__server_exchange_find(nacre__exchanges *x, const nacre_datagram *datagram, uint16_t mid,
                                          uint64_t hash, uint64_t now_ms);
nacre__entry *nacre__server_exchange_add(nacre__exchanges *x, const nacre_datagram *datagram,
                                         const nacre_message *outer, uint64_t hash, uint64_t now_ms);
void nacre__server_exchange_done(nacre__exchanges *x, nacre__entry *entry, bool is_unauthenticated);
void nacre__server_exchange_release(nacre__exchanges *x, nacre__entry *entry);
void nacre__server_exchange_wait(nacre__exchanges *x, nacre__entry *entry, nacre_context *context);

/* ---- server_response.c --------------------------------------------------------------------------------------------- */

void nacre__answer_settle(nacre__exchanges *x, nacre__entry *entry, const nacre__item *item);
void nacre__answer_header(nacre__exchanges *x, const nacre__entry *entry, nacre_message *answer, nacre_bytes token);
void nacre__answer_written(nacre__exchanges *x, nacre__entry *entry, size_t answer_len);
void nacre__answer_refuse(nacre__exchanges *x, nacre__entry *entry, nacre_err err, nacre_bytes token);
void nacre__answer_empty(nacre__exchanges *x, nacre__entry *entry);
void nacre__answer_again(nacre__exchanges *x, nacre__entry *entry);
void nacre__answer_withdraw(nacre__exchanges *x, nacre__entry *entry, nacre_err err);
void nacre__answer_confirmed(nacre__exchanges *x, nacre__entry *entry, nacre_err err);
void nacre__answer_close_delivered(nacre__exchanges *x);
nacre__entry *nacre__answer_entry(const nacre__exchanges *x, nacre_exchange exchange);
void nacre__answer_known_only(nacre__exchanges *x, nacre__entry *entry);
void nacre__answer_unprotected(nacre__exchanges *x, nacre__entry *entry, nacre_message *answer, nacre_bytes token);
bool nacre__answer_may_be_said(const nacre__exchanges *x, const nacre_message *plain);
bool nacre__answer_is_unwanted(const nacre__entry *entry, uint8_t code);
nacre_err nacre__answer_at_once(nacre__exchanges *x, nacre__entry *entry, nacre_message *answer);

/* ---- oversized.c: requests that are cut, or longer than max_message ------------------------------------------------ */

void nacre__oversized_request(nacre__exchanges *x, nacre__entry *entry, const nacre__item *item);

/* ---- separate_response.c: answers that the application gives in its own time ---------------------------------------- */

nacre_err nacre__later_defer(nacre__exchanges *x, nacre__entry *entry);
void nacre__later_acknowledge(nacre__exchanges *x, nacre__entry *entry);
void nacre__later_end(nacre__exchanges *x, nacre__entry *entry);
nacre_err nacre__later_send(nacre__exchanges *x, nacre__entry *entry, nacre_message *answer);

/* ---- server_transmission.c: separate answers and notifications ------------------------------------------------------ */

nacre__push *nacre__push_take(nacre__exchanges *x);
bool nacre__push_is_to_spare(const nacre__exchanges *x);
void nacre__push_drop(nacre__exchanges *x, nacre__push *push);
nacre_err nacre__push_send(nacre__exchanges *x, nacre__push *push, nacre_context *context, nacre_request_id *id,
                           nacre_message *answer);
bool nacre__push_transmit(nacre__exchanges *x, nacre__push *push, nacre_outgoing *out, uint64_t now_ms);
bool nacre__push_settle(nacre__exchanges *x, nacre__push *push, bool is_reset);
void nacre__push_confirmed(nacre__exchanges *x, nacre__push *push, nacre_err err);
void nacre__push_due(nacre__exchanges *x, nacre__push *push, nacre__transmission_outcome outcome);
static inline uint32_t nacre__push_index(const nacre__exchanges *x, const nacre__push *push)
{
    return (uint32_t)(push - x->pushes);
}
static inline nacre__push *nacre__push_of(const nacre__exchanges *x, const nacre__transmission *t)
{
    return &x->pushes[nacre__transmission_index(x->tx, t) - x->tx->num_requests];
}
static inline bool nacre__push_is_held(const nacre__push *push) /* for what the application says */
{
    return push->t->state == NACRE__TRANSMISSION_IDLE && !push->is_waiting;
}
static inline bool nacre__push_is_used(const nacre__push *push)
{
    return push->t->state != NACRE__TRANSMISSION_FREE && push->t->state != NACRE__TRANSMISSION_CUT;
}

/* ---- allowance.c: what an address gets that is not validated -------------------------------------------------------- */

/* What Block1 takes in an answer, so that it fits with it … */
static inline size_t nacre__outer_extra(const nacre__outer_wish *wish)
{
    enum { HEAD = 2, MOST = 3 };
    return wish->has_block1 ? HEAD + MOST : 0;
}
/* … and what Block2 takes beside it, which cuts off one byte at least: all that may go out beside the answer's own bytes. */
static inline size_t nacre__outer_most(const nacre__outer_wish *wish)
{
    enum { HEAD = 2, FIRST = 1 };
    return nacre__outer_extra(wish) + (wish->has_block2 ? HEAD + FIRST - 1 : 0);
}
bool nacre__answer_exceeds(const nacre__exchanges *x, const nacre_context *context, const nacre_address *peer,
                           const nacre_message *answer, nacre_bytes token, size_t allowance, size_t extra);
bool nacre__entry_exceeds(const nacre__exchanges *x, const nacre__entry *entry, const nacre_message *answer,
                          size_t extra);
bool nacre__is_slice(const nacre_message *answer);
bool nacre__entry_offers(const nacre__exchanges *x, const nacre__entry *entry, const nacre_message *answer);
bool nacre__entry_knows_echo(const nacre__exchanges *x, const nacre__entry *entry);
nacre_err nacre__answer_bare(const nacre__core *core, nacre_message *answer);
enum { NACRE__ECHO_OPTION = 2 + NACRE__ECHO_LEN, NACRE__OBSERVE_OPTIONS = 6 }; /* bytes; of Observe: on both sides */

#endif
