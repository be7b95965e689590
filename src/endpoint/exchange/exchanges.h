/* SPDX-License-Identifier: MIT */
/* exchanges: RFC 7252 5 on top of message/ and admission/: the pools of client and server exchanges, and what they use. */
#ifndef NACRE_ENDPOINT_EXCHANGE_EXCHANGES_H
#define NACRE_ENDPOINT_EXCHANGE_EXCHANGES_H

#include "endpoint/admission/kept_echo.h"
#include "endpoint/admission/rate_limits.h"
#include "endpoint/admission/reset_belief.h"
#include "endpoint/core/protect_batch.h"
#include "endpoint/exchange/exchange_types.h"
#include "endpoint/message/empty_messages.h"

/* Calls from exchanges to the layers above; set once, by the coordinator. */
typedef struct nacre__upper {
    void *self;
    void (*request_left)(void *self, nacre__client_exchange *exchange); /* it ends; its transmission is still set */
    void (*blocks_dropped)(
        void *self, nacre__client_exchange *exchange); /* exchange->outer is not NONE: drop the blocks joined so far */
    void (*registration_responded)(void *self, nacre__server_exchange *exchange,
                                   nacre__separate_response *separate); /* entry->observer is not NONE */
    void (*registration_ended)(void *self, nacre__server_exchange *exchange, nacre_err err); /* the same */
    void (*notification_ended)(void *self, uint32_t observer, nacre_err err);
    bool (*notification_missed)(void *self,
                                nacre__separate_response *separate); /* the store failed; false: not a notification */
    void (*notification_acked)(void *self, uint32_t observer);
    void (*con_notification_left)(void *self, nacre__separate_response *separate); /* separate->is_con_notification */
    bool (*write_in_blocks)(void *self, const nacre_address *peer, nacre__outer_block_request *block_request,
                            nacre_bytes bytes, nacre_outgoing *out); /* false: sent unchanged */
} nacre__upper;

typedef struct nacre__exchanges {
    nacre__core *core;
    nacre__persist_waits *persist;
    nacre__protect_batch *batch;
    nacre__transmissions *tx;
    nacre__dedup *dedup;
    nacre__empty_messages *empty;
    nacre__address_validation *validation;
    nacre__rate_limits *rate_limits;
    nacre__reset_belief *reset_belief;
    nacre__echo *echo;
    nacre__kept_echos *kept_echos;
    nacre__upper upper;
    nacre__exchange_numbers numbers;
    nacre__queue events; /* client exchanges that have ended, server exchanges that are READY */

    nacre__client_exchange *clients;
    uint64_t *tokens;    /* of client exchanges that wait for a response; 0 otherwise */
    uint32_t num_tokens; /* that are not 0 */
    uint32_t next_client;
    uint32_t num_unlimited; /* client exchanges whose `limit` has not started */
    nacre__note *notes;     /* of this burst */
    uint32_t num_notes, first_note;

    nacre__server_exchange *servers;
    nacre__pending_request *pending;
    uint32_t max_pending;
    nacre__separate_response *separates;
} nacre__exchanges;

/* `max_observers`: observers, whose exchange numbers are made here too. */
void nacre__exchanges_lay_out(nacre__exchanges *x, nacre__pool_layout *layout, const nacre_endpoint_config *config,
                              uint32_t max_observers);
/* `client_bytes`: max_message each, `pending_bytes`: twice that each. */
void nacre__exchanges_init(nacre__exchanges *x, uint8_t *client_bytes, uint8_t *pending_bytes);

#endif
