/* SPDX-License-Identifier: MIT */
/* client_exchange: what becomes of requests of ours, from the call to the one event that ends each. */
#ifndef NACRE_ENDPOINT_EXCHANGE_CLIENT_EXCHANGE_H
#define NACRE_ENDPOINT_EXCHANGE_CLIENT_EXCHANGE_H

#include "endpoint/exchange/exchanges.h"
#include "endpoint/exchange/received.h"

/* ---- client_request.c ---------------------------------------------------------------------------------------------- */

static inline bool nacre__slot_is_sent(const nacre__slot *slot)
{
    return slot->state == NACRE__SLOT_SENDING && slot->t->state == NACRE__TRANSMISSION_SENT;
}
static inline bool nacre__slot_waits(const nacre__slot *slot) /* for an answer */
{
    return nacre__slot_is_sent(slot) || slot->state == NACRE__SLOT_ACKED;
}
static inline uint32_t nacre__slot_index(const nacre__exchanges *x, const nacre__slot *slot)
{
    return (uint32_t)(slot - x->slots);
}
nacre__slot *nacre__slot_by_token(const nacre__exchanges *x, const nacre_address *peer, nacre_bytes token);
bool nacre__slot_knows_its_mid(const nacre__slot *slot);
nacre__slot *nacre__slot_of(const nacre__exchanges *x, nacre_exchange exchange);
nacre__slot *nacre__slot_new(nacre__exchanges *x, const nacre_address *peer, void *user);
nacre_err nacre__slot_start(nacre__exchanges *x, nacre__slot **slot, const nacre_address *peer, nacre_context *context,
                            const nacre_message *plain, void *user, size_t extra);
nacre_err nacre__slot_start_ping(nacre__exchanges *x, nacre__slot **slot, const nacre_address *peer, void *user);
nacre_err nacre__slot_set_option(nacre__exchanges *x, nacre__slot *slot, uint16_t number, nacre_bytes value);
void nacre__slot_set_token(nacre__exchanges *x, const nacre__slot *slot, uint64_t token);
void nacre__slot_queue(nacre__exchanges *x, nacre__slot *slot);
void nacre__slot_wait(nacre__exchanges *x, nacre__slot *slot);
void nacre__slot_pause(nacre__exchanges *x, nacre__slot *slot);
void nacre__slot_again(nacre__exchanges *x, nacre__slot *slot);
void nacre__slot_end(nacre__exchanges *x, nacre__slot *slot, nacre_err err, const nacre_message *message);
void nacre__slot_give_up(nacre__exchanges *x, nacre__slot *slot);
void nacre__slot_release(nacre__exchanges *x, nacre__slot *slot);
void nacre__slot_cancel(nacre__exchanges *x, nacre__slot *slot);
void nacre__slots_limit(nacre__exchanges *x, uint64_t now_ms);

/* ---- client_response.c --------------------------------------------------------------------------------------------- */

void nacre__slot_acknowledged(nacre__exchanges *x, nacre__slot *slot, uint64_t now_ms);
void nacre__slot_reset(nacre__exchanges *x, nacre__slot *slot);
/* What is no answer leaves the exchange as it is (RFC 8613 8.4 step 8), but for the ACK that carried it. */
void nacre__slot_dropped(nacre__exchanges *x, nacre__slot *slot, const nacre__item *item, nacre_err err,
                         uint64_t now_ms);
bool nacre__slot_rejects(nacre__exchanges *x, nacre__slot *slot, const nacre__item *item, const nacre_message *answer);
bool nacre__slot_is_challenged(const nacre__slot *slot, const nacre_message *answer);
bool nacre__slot_repeats(nacre__exchanges *x, nacre__slot *slot, const nacre_message *answer);
bool nacre__slot_request_has(const nacre__slot *slot, uint16_t number);
void nacre__slot_unprotected(nacre__exchanges *x, nacre__slot *slot, const nacre__item *item, uint64_t now_ms);

/* ---- client_echo.c ------------------------------------------------------------------------------------------------- */

void nacre__slot_keep_echo(nacre__exchanges *x, const nacre__slot *slot, const nacre_message *answer);
void nacre__slot_keep_outer_echo(nacre__exchanges *x, const nacre__slot *slot, const nacre_message *outer);
void nacre__slot_bring_echo(nacre__exchanges *x, nacre__slot *slot);
void nacre__slot_bring_outer_echo(nacre__exchanges *x, const nacre__slot *slot, nacre_bytes *datagram, nacre_buf room);

#endif
