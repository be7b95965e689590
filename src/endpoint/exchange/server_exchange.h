/* SPDX-License-Identifier: MIT */
/* server_exchange: received requests, from the result of verification to the response kept for duplicates. */
#ifndef NACRE_ENDPOINT_EXCHANGE_SERVER_EXCHANGE_H
#define NACRE_ENDPOINT_EXCHANGE_SERVER_EXCHANGE_H

#include "endpoint/exchange/server_pool.h"
#include "endpoint/exchange/received.h"

static inline uint32_t nacre__server_exchange_index(const nacre__server_exchanges *x,
                                                    const nacre__server_exchange *exchange)
{
    return (uint32_t)(exchange - x->all);
}

/* ---- server_exchanges.c --------------------------------------------------------------------------------------------- */

nacre__server_exchange *nacre__server_exchange_find(nacre__server_exchanges *x, const nacre_datagram *datagram,
                                                    uint16_t mid, uint64_t hash, uint64_t now_ms);
nacre__server_exchange *nacre__server_exchange_add(nacre__server_exchanges *x, const nacre_datagram *datagram,
                                                   const nacre_message *outer, uint64_t hash, uint64_t now_ms);
void nacre__server_exchange_done(nacre__server_exchanges *x, nacre__server_exchange *exchange, bool is_unauthenticated);
void nacre__server_exchange_release(nacre__server_exchanges *x, nacre__server_exchange *exchange);
void nacre__server_exchange_leave_buffers(nacre__server_exchanges *x, nacre__server_exchange *exchange);
void nacre__pending_request_leave(nacre__server_exchanges *x, nacre__server_exchange *exchange);
nacre__server_exchange *nacre__server_exchange_of(const nacre__server_exchanges *x, uint64_t number);
void nacre__server_exchange_wait(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_context *context);

/* ---- server_groups.c: those of one connection, and of one context ---------------------------------------------------- */

void nacre__server_exchange_join_peer(nacre__server_exchanges *x, const nacre__server_exchange *exchange);
void nacre__server_exchange_leave_peer(nacre__server_exchanges *x, const nacre__server_exchange *exchange);
void nacre__server_exchange_leave_context(nacre__server_exchanges *x, nacre__server_exchange *exchange);
void nacre__server_exchange_hold(nacre__server_exchanges *x, const nacre__server_exchange *exchange);
void nacre__server_exchange_reopen(nacre__server_exchanges *x, const nacre__server_exchange *exchange);
void nacre__separate_join_peer(nacre__server_exchanges *x, const nacre__separate_response *separate);
void nacre__separate_leave_peer(nacre__server_exchanges *x, const nacre__separate_response *separate);

/* ---- server_ends.c --------------------------------------------------------------------------------------------------- */

uint32_t nacre__server_exchanges_lose_peer(nacre__server_exchanges *x, const nacre_address *peer);
uint32_t nacre__server_exchanges_lose_context(nacre__server_exchanges *x, const nacre_context *context);

/* ---- server_request.c: received requests, until their event ----------------------------------------------------------- */

void nacre__request_settle(nacre__server_exchanges *x, nacre__server_exchange *exchange,
                           const nacre__received *received);
void nacre__request_count_refusal(nacre__server_exchanges *x, nacre_err err);
void nacre__request_confirmed(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_err err);
void nacre__requests_close_delivered(nacre__server_exchanges *x);

/* ---- server_lookup.c: requests that wait for their context -------------------------------------------------------- */

bool nacre__lookup_keep(nacre__server_exchanges *x, nacre__server_exchange *exchange, const nacre__received *received);
nacre__server_exchange *nacre__lookup_next(nacre__server_exchanges *x);
nacre__server_exchange *nacre__lookup_of(const nacre__server_exchanges *x, uint64_t number);
nacre_datagram nacre__lookup_begin(nacre__server_exchanges *x, nacre__server_exchange *exchange);
uint32_t nacre__lookup_leave(const nacre__server_exchanges *x, nacre__server_exchange *exchange);
void nacre__lookup_drop(nacre__server_exchanges *x, nacre__server_exchange *exchange, bool is_refused);

/* ---- server_refusal.c ---------------------------------------------------------------------------------------------- */

void nacre__response_refuse(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_err err,
                            nacre_bytes token);
void nacre__response_withdraw(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_err err);

/* ---- server_response.c --------------------------------------------------------------------------------------------- */

static inline nacre_buf nacre__response_buf(const nacre__server_exchanges *x, const nacre__server_exchange *exchange)
{
    return (nacre_buf){ exchange->record->bytes, x->core->config.max_message };
}
void nacre__response_header(nacre__server_exchanges *x, const nacre__server_exchange *exchange, nacre_message *response,
                            nacre_bytes token);
void nacre__response_finish(nacre__server_exchanges *x, nacre__server_exchange *exchange, size_t response_len,
                            bool is_unauthenticated);
void nacre__response_written(nacre__server_exchanges *x, nacre__server_exchange *exchange, size_t response_len);
void nacre__response_end_observer(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_err err);
void nacre__response_known_only(nacre__server_exchanges *x, nacre__server_exchange *exchange);
void nacre__response_again(nacre__server_exchanges *x, nacre__server_exchange *exchange);
void nacre__response_empty(nacre__server_exchanges *x, nacre__server_exchange *exchange);
void nacre__response_unprotected(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_message *response,
                                 nacre_bytes token);
bool nacre__response_may_be_said(const nacre__server_exchanges *x, const nacre_message *plain);
nacre_err nacre__response_keep_plain(nacre__server_exchanges *x, nacre__server_exchange *exchange,
                                     const nacre_message *response, bool echo);
nacre_err nacre__response_at_once(nacre__server_exchanges *x, nacre__server_exchange *exchange,
                                  nacre_message *response);
bool nacre__response_is_unwanted(const nacre__server_exchange *exchange, uint8_t code);

/* ---- oversized.c: requests truncated, or longer than max_message ------------------------------------------------- */

void nacre__oversized_request(nacre__server_exchanges *x, nacre__server_exchange *exchange,
                              const nacre__received *received);

/* ---- separate_response.c: deferred responses --------------------------------------------------------------------- */

nacre_err nacre__separate_defer(nacre__server_exchanges *x, nacre__server_exchange *exchange);
void nacre__separate_acknowledge(nacre__server_exchanges *x, nacre__server_exchange *exchange);
void nacre__separate_forget(nacre__server_exchanges *x, nacre__server_exchange *exchange);
nacre_err nacre__separate_respond(nacre__server_exchanges *x, nacre__server_exchange *exchange,
                                  nacre_message *response);
void nacre__separate_due(nacre__server_exchanges *x, nacre__separate_response *separate,
                         nacre__transmission_outcome outcome);

/* ---- server_transmission.c: separate responses and notifications ------------------------------------------------- */

nacre__separate_response *nacre__separate_take(nacre__server_exchanges *x, const nacre_context *owner,
                                               const nacre_address *peer);
void nacre__separate_drop(nacre__server_exchanges *x, nacre__separate_response *separate);
nacre_err nacre__separate_send(nacre__server_exchanges *x, nacre__separate_response *separate, nacre_context *context,
                               nacre_request_id *id, nacre_message *response);
bool nacre__separate_transmit(nacre__server_exchanges *x, nacre__separate_response *separate, nacre_outgoing *out,
                              uint64_t now_ms);
bool nacre__separate_settle(nacre__server_exchanges *x, nacre__separate_response *separate, bool is_reset);
bool nacre__separate_confirmed(nacre__server_exchanges *x, nacre__separate_response *separate, nacre_err err);
void nacre__separate_ended(nacre__server_exchanges *x, nacre__separate_response *separate, nacre_err err);
static inline uint32_t nacre__separate_index(const nacre__server_exchanges *x, const nacre__separate_response *separate)
{
    return (uint32_t)(separate - x->separates);
}
static inline nacre__separate_response *nacre__separate_of(const nacre__server_exchanges *x,
                                                           const nacre__transmission *t)
{
    return &x->separates[nacre__transmission_index(x->tx, t) - x->tx->num_requests];
}
static inline bool nacre__separate_is_held(const nacre__separate_response *separate) /* no response yet */
{
    return separate->t->state == NACRE__TRANSMISSION_IDLE && !separate->is_waiting;
}
static inline bool nacre__separate_is_used(const nacre__separate_response *separate)
{
    return separate->t->state != NACRE__TRANSMISSION_FREE && separate->t->state != NACRE__TRANSMISSION_CUT;
}

/* ---- separate_shares.c: what one peer, and all plain ones, have of them ------------------------------------------- */

bool nacre__separate_is_to_spare(const nacre__server_exchanges *x);
bool nacre__separate_plain_may(const nacre__server_exchanges *x);
bool nacre__separate_has_share(const nacre__server_exchanges *x, const nacre_context *owner, const nacre_address *peer);
uint32_t nacre__separate_num_of(const nacre__server_exchanges *x, const nacre_context *owner,
                                const nacre_address *peer);
void nacre__separate_count(nacre__server_exchanges *x, nacre__separate_response *separate, const nacre_context *owner);
void nacre__separate_uncount(nacre__server_exchanges *x, nacre__separate_response *separate);

/* ---- allowance.c: bytes sent to an address that is not validated ------------------------------------------------- */

/* Bytes that Block1 adds to a response, which must fit with it … */
static inline size_t nacre__outer_extra(const nacre__outer_block_request *block_request)
{
    enum { HEAD = 2, MOST = 3 };
    return block_request->has_block1 ? HEAD + MOST : 0;
}
/* … and those of Block2, which cuts off at least one byte: the most that is sent beside the response's own bytes. */
static inline size_t nacre__outer_most(const nacre__outer_block_request *block_request)
{
    enum { HEAD = 2, FIRST = 1 };
    return nacre__outer_extra(block_request) + (block_request->has_block2 ? HEAD + FIRST - 1 : 0);
}
bool nacre__response_exceeds(const nacre__server_exchanges *x, const nacre_context *context, const nacre_address *peer,
                             const nacre_message *response, nacre_bytes token, size_t allowance, size_t extra);
bool nacre__server_exchange_exceeds(const nacre__server_exchanges *x, const nacre__server_exchange *exchange,
                                    const nacre_message *response, size_t extra);
bool nacre__is_slice(const nacre_message *response);
bool nacre__server_exchange_offers(const nacre__server_exchanges *x, const nacre__server_exchange *exchange,
                                   const nacre_message *response);
bool nacre__server_exchange_knows_echo(const nacre__server_exchanges *x, const nacre__server_exchange *exchange);
nacre_err nacre__response_bare(const nacre__core *core, nacre_message *response);
enum { NACRE__ECHO_OPTION = 2 + NACRE__ECHO_LEN, NACRE__OBSERVE_OPTIONS = 6 }; /* bytes; of Observe: on both sides */

#endif
