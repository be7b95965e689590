/* SPDX-License-Identifier: MIT */
/* outer_block: OSCORE messages that a proxy splits into blocks, or requests in blocks (RFC 8613 4.1.3.4.2). */
#ifndef NACRE_ENDPOINT_OUTER_BLOCK_OUTER_BLOCK_H
#define NACRE_ENDPOINT_OUTER_BLOCK_OUTER_BLOCK_H

#include "endpoint/exchange/client_exchange.h"
#include "endpoint/exchange/server_exchange.h"
#include "endpoint/core/groups.h"
#include "coap/block.h"

/* A protected message received or sent in outer blocks.
 *
 *     FREE -> JOINING -> TAKEN -> FREE     a received request; TAKEN: complete, in use until the next burst
 *     FREE -> FETCHING -> TAKEN -> FREE    a response to a request sent here
 *     FREE -> CUT -> FREE                  a response sent block by block */
typedef enum nacre__outer_state {
    NACRE__OUTER_FREE = 0,
    NACRE__OUTER_JOINING,
    NACRE__OUTER_FETCHING,
    NACRE__OUTER_CUT,
    NACRE__OUTER_TAKEN,
} nacre__outer_state;

/* Each entry is in one list; each list is in the order of last use. Entries are evicted from the front of GIVEN, then of
 * UNVALIDATED, then of VALIDATED. */
typedef enum nacre__outer_class {
    NACRE__OUTER_IN_FREE = 0,
    NACRE__OUTER_IN_TAKEN,
    NACRE__OUTER_IN_FETCHING,
    NACRE__OUTER_IN_GIVEN, /* CUT, and its last block was sent */
    NACRE__OUTER_IN_UNVALIDATED,
    NACRE__OUTER_IN_VALIDATED, /* the address was validated at its last use */
    NACRE__OUTER_CLASSES,
} nacre__outer_class;

typedef struct nacre__outer {
    nacre__outer_state state;
    nacre__outer_class class;
    nacre__link link;      /* in the list of its class */
    nacre__link peer_link; /* in the group of its peer, unless FREE */
    uint32_t chain;        /* the next entry in the bucket of its key, unless FREE */
    nacre_address peer;
    uint64_t peer_hash, key; /* `key` identifies the message among those of `peer` */
    uint64_t touched;        /* ms: last use */
    uint8_t *head;           /* max_message: the options of the first block, or of the response */
    uint8_t *body;           /* max_unfragmented: the ciphertext */
    uint8_t *plain;          /* max_message and max_unfragmented: the plaintext */
    size_t head_len, body_len;
    size_t before; /* JOINING, TAKEN: body_len without the last block */
    bool given;    /* CUT: the last block was sent; kept for repeated requests until the entry is needed */
    uint8_t code;
} nacre__outer;

typedef struct nacre__outer_blocks {
    nacre__client_exchanges *client_exchanges;
    nacre__server_exchanges *server_exchanges;
    nacre__core *core;
    nacre__outer *entries; /* num_messages */
    nacre__links links;
    nacre__list lists[NACRE__OUTER_CLASSES];
    nacre__chains by_key;
    nacre__groups by_peer;
} nacre__outer_blocks;

void nacre__outer_blocks_lay_out(nacre__outer_blocks *b, nacre__pool_layout *layout,
                                 const nacre_endpoint_config *config);
/* `bytes`: for each entry twice max_message plus max_unfragmented. */
void nacre__outer_blocks_init(nacre__outer_blocks *b, uint8_t *bytes);

/* outer_block_pool.c: entries for protected messages in blocks. */
void nacre__outer_begin(nacre__outer_blocks *b);
void nacre__outer_peer_lost(nacre__outer_blocks *b, const nacre_address *peer);
nacre__outer *nacre__outer_find(nacre__outer_blocks *b, nacre__outer_state state, const nacre_address *peer,
                                uint64_t key);
nacre__outer *nacre__outer_take(nacre__outer_blocks *b, nacre__outer_state state, const nacre_address *peer,
                                uint64_t key);
void nacre__outer_drop(nacre__outer_blocks *b, nacre__outer *entry);
void nacre__outer_change(nacre__outer_blocks *b, nacre__outer *entry, nacre__outer_state state);
void nacre__outer_used(nacre__outer_blocks *b, nacre__outer *entry);
bool nacre__outer_add(const nacre__outer_blocks *b, nacre__outer *entry, nacre_bytes piece);
nacre_buf nacre__outer_buf(const nacre__outer_blocks *b, const nacre__outer *entry);
void nacre__outer_copy_options(nacre_options *o, nacre_bytes options);

/* outer_block_server.c, outer_block_responses.c: blocks of received requests, and of the responses to them. */
typedef bool nacre__is_for_us(void *self, nacre_bytes kid); /* whether any context has that kid */
bool nacre__outer_request(nacre__outer_blocks *b, nacre__server_exchange *exchange, nacre__received *received,
                          nacre__is_for_us *is_for_us, void *self);
void nacre__outer_put_back(nacre__outer_blocks *b, nacre__outer *entry);
void nacre__outer_put_off(nacre__outer_blocks *b, nacre__server_exchange *exchange, const nacre__received *received);
bool nacre__outer_write(nacre__outer_blocks *b, const nacre_address *peer, nacre__outer_block_request *block_request,
                        nacre_bytes bytes, nacre_outgoing *out);
void nacre__outer_serve(nacre__outer_blocks *b, nacre__server_exchange *exchange, const nacre__received *received,
                        nacre__block requested);

/* outer_block_client.c: blocks of responses to requests sent here. */
nacre__received_kind nacre__outer_sort(nacre__outer_blocks *b, nacre__client_exchange *exchange,
                                       nacre__received *received);
void nacre__outer_block(nacre__outer_blocks *b, nacre__client_exchange *exchange, const nacre__received *received,
                        uint64_t now_ms);
void nacre__outer_forget(nacre__outer_blocks *b, nacre__client_exchange *exchange);
nacre_err nacre__outer_write_next(nacre__outer_blocks *b, const nacre__client_exchange *exchange, nacre_bytes *out,
                                  nacre_buf buf, uint16_t mid, nacre_bytes token);

#endif
