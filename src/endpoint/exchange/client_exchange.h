/* SPDX-License-Identifier: MIT */
/* client_exchange: requests sent here, from the call to the one event that ends each. */
#ifndef NACRE_ENDPOINT_EXCHANGE_CLIENT_EXCHANGE_H
#define NACRE_ENDPOINT_EXCHANGE_CLIENT_EXCHANGE_H

#include "endpoint/exchange/client_pool.h"
#include "endpoint/exchange/received.h"

/* ---- client_request.c ---------------------------------------------------------------------------------------------- */

static inline bool nacre__client_exchange_is_sent(const nacre__client_exchange *exchange)
{
    return exchange->state == NACRE__CLIENT_SENDING && exchange->t->state == NACRE__TRANSMISSION_SENT;
}
static inline bool nacre__client_exchange_waits(const nacre__client_exchange *exchange) /* for a response */
{
    return nacre__client_exchange_is_sent(exchange) || exchange->state == NACRE__CLIENT_ACKED;
}
static inline uint32_t nacre__client_exchange_index(const nacre__client_exchanges *x,
                                                    const nacre__client_exchange *exchange)
{
    return (uint32_t)(exchange - x->all);
}
nacre__client_exchange *nacre__client_exchange_by_token(const nacre__client_exchanges *x, const nacre_address *peer,
                                                        nacre_bytes token);
bool nacre__client_exchange_knows_its_mid(const nacre__client_exchange *exchange);
nacre__client_exchange *nacre__client_exchange_of(const nacre__client_exchanges *x, uint64_t number);
nacre__client_exchange *nacre__client_exchange_new(nacre__client_exchanges *x, const nacre_address *peer, void *user);
void nacre__client_exchange_discard(nacre__client_exchanges *x, nacre__client_exchange *exchange);
nacre_err nacre__client_exchange_start(nacre__client_exchanges *x, nacre__client_exchange **exchange,
                                       const nacre_address *peer, nacre_context *context, const nacre_message *plain,
                                       void *user, size_t extra);
nacre_err nacre__client_exchange_start_ping(nacre__client_exchanges *x, nacre__client_exchange **out,
                                            const nacre_address *peer, void *user);
nacre_err nacre__client_exchange_set_option(nacre__client_exchanges *x, nacre__client_exchange *exchange,
                                            uint16_t number, nacre_bytes value);
void nacre__client_exchange_set_token(nacre__client_exchanges *x, const nacre__client_exchange *exchange,
                                      uint64_t token);
void nacre__client_exchange_queue(nacre__client_exchanges *x, nacre__client_exchange *exchange);
void nacre__client_exchange_wait(nacre__client_exchanges *x, nacre__client_exchange *exchange);
void nacre__client_exchange_wait_for_store(nacre__client_exchanges *x, nacre__client_exchange *exchange);
void nacre__client_exchange_pause(nacre__client_exchanges *x, nacre__client_exchange *exchange);
void nacre__client_exchange_again(nacre__client_exchanges *x, nacre__client_exchange *exchange);
void nacre__client_exchange_end(nacre__client_exchanges *x, nacre__client_exchange *exchange, nacre_err err,
                                const nacre_message *message);
void nacre__client_exchange_give_up(nacre__client_exchanges *x, nacre__client_exchange *exchange);
void nacre__client_exchange_release(nacre__client_exchanges *x, nacre__client_exchange *exchange);
void nacre__client_exchange_cancel(nacre__client_exchanges *x, nacre__client_exchange *exchange);
void nacre__client_exchanges_limit(nacre__client_exchanges *x, uint64_t now_ms);

/* ---- client_groups.c: those of one peer, and of one context --------------------------------------------------------- */

void nacre__client_exchange_join_peer(nacre__client_exchanges *x, const nacre__client_exchange *exchange);
void nacre__client_exchange_leave_peer(nacre__client_exchanges *x, const nacre__client_exchange *exchange);
void nacre__client_exchange_set_context(nacre__client_exchanges *x, nacre__client_exchange *exchange,
                                        nacre_context *context);

/* ---- client_ends.c --------------------------------------------------------------------------------------------------- */

uint32_t nacre__client_exchanges_lose_peer(nacre__client_exchanges *x, const nacre_address *peer, bool only_sent);
uint32_t nacre__client_exchanges_lose_context(nacre__client_exchanges *x, const nacre_context *context);

/* ---- client_response.c --------------------------------------------------------------------------------------------- */

void nacre__client_exchange_acknowledged(nacre__client_exchanges *x, nacre__client_exchange *exchange, uint64_t now_ms);
void nacre__client_exchange_reset(nacre__client_exchanges *x, nacre__client_exchange *exchange);
/* A dropped response does not change the exchange (RFC 8613 8.4 step 8), except for the ACK that carried it. */
void nacre__client_exchange_dropped(nacre__client_exchanges *x, nacre__client_exchange *exchange,
                                    const nacre__received *received, nacre_err err, uint64_t now_ms);
bool nacre__client_exchange_rejects(nacre__client_exchanges *x, nacre__client_exchange *exchange,
                                    const nacre__received *received, const nacre_message *response);
bool nacre__client_exchange_is_challenged(const nacre__client_exchange *exchange, const nacre_message *response);
bool nacre__client_exchange_repeats(nacre__client_exchanges *x, nacre__client_exchange *exchange,
                                    const nacre_message *response);
bool nacre__client_exchange_request_has(const nacre__client_exchange *exchange, uint16_t number);
void nacre__client_exchange_unprotected(nacre__client_exchanges *x, nacre__client_exchange *exchange,
                                        const nacre__received *received, uint64_t now_ms);

/* ---- client_echo.c ------------------------------------------------------------------------------------------------- */

void nacre__client_exchange_keep_echo(nacre__client_exchanges *x, const nacre__client_exchange *exchange,
                                      const nacre_message *response);
void nacre__client_exchange_keep_outer_echo(nacre__client_exchanges *x, const nacre__client_exchange *exchange,
                                            const nacre_message *outer);
void nacre__client_exchange_bring_echo(nacre__client_exchanges *x, nacre__client_exchange *exchange);
void nacre__client_exchange_bring_outer_echo(nacre__client_exchanges *x, const nacre__client_exchange *exchange,
                                             nacre_bytes *datagram, nacre_buf buf);

#endif
