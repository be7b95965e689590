/* SPDX-License-Identifier: MIT */
/* transfer_internal: the structures of a transfer, and what its files ask of each other.
 *
 * One block of memory from the caller, cut by transfer.c:
 *
 *     nacre_transfer | own requests | asked | later | bodies | own bytes (2 x max_message each) |
 *     body bytes (max_message for options + max_body each) | scratch (max_message for options, a block and a byte)
 *
 * An *own* request goes through
 *
 *     FREE -> SENDING -> FETCHING -> ENDED      SENDING: its blocks, or its only message (Block1)
 *                 ^---------'                   FETCHING: the first block of its answer is there (Block2)
 *            (once more from the start)
 *
 * and has one exchange of the endpoint at a time; an observation has a second one beside it, from its first notification
 * on: OBSERVING, and FETCHING for the blocks of a notification. What was *asked* is a request event that the
 * application has and has not answered. A *body* is a request of others that is put together, or an answer whose later
 * blocks are to be fetched. */
#ifndef NACRE_TRANSFER_INTERNAL_H
#define NACRE_TRANSFER_INTERNAL_H

#include "coap/block.h"
#include "coap/option_check.h"

#include <nacre/transfer.h>

#define NACRE__NO_BODY UINT32_MAX

enum { NACRE__ETAG_LEN = 8, NACRE__TAG_LEN = 8, NACRE__MIN_BLOCK = 16 };

typedef enum nacre__client_transfer_state {
    NACRE__TRANSFER_FREE = 0,
    NACRE__TRANSFER_SENDING,
    NACRE__TRANSFER_FETCHING,
    NACRE__TRANSFER_OBSERVING, /* notifications may come, and nothing is fetched now */
    NACRE__TRANSFER_ENDED,     /* its place may be taken; its bytes are still looked at */
} nacre__client_transfer_state;

typedef struct nacre__client_transfer {
    nacre__client_transfer_state state;
    nacre_transfer_exchange exchange; /* the application's number for it */
    nacre_exchange current;           /* the endpoint's, of the message that is under way; 0: none */
    nacre_exchange observation;       /* the endpoint's, of a registration that was notified; 0: none */
    bool notified;                    /* the body that is fetched is a notification's */
    bool waiting;                     /* the next message waits for a place at the endpoint */
    bool is_lost;                     /* … and what would protect it has gone */
    nacre_request_options how;
    uint32_t generation;
    nacre_address peer;
    nacre_context *context;
    void *user;
    uint8_t type, code;
    uint8_t *options; /* max_message: as given */
    size_t options_len;
    bool restarted; /* it was begun again once already */

    /* the request's body */
    nacre_bytes payload; /* of a request in blocks: the caller's memory */
    nacre_source source;
    uint64_t size;
    uint8_t max_szx; /* what the caller and the configuration allow */
    bool early;      /* the caller wants small blocks of the answer too, so say it */
    bool in_blocks;  /* Block1 is used */
    uint8_t szx;     /* of the blocks sent */
    uint64_t offset; /* of the block in flight, */
    size_t len;      /* its length, */
    bool more;       /* and whether others follow it */
    uint8_t tag[NACRE__TAG_LEN];

    /* the answer's body */
    nacre_buf buf;
    nacre_sink sink;
    uint64_t received, total;
    uint8_t response_szx; /* the largest that may still come … */
    bool grows;           /* … and the next one is as large as its place allows */
    uint8_t response_code;
    uint8_t etag[NACRE__ETAG_LEN];
    uint8_t etag_len; /* 0: none */
    uint8_t *first;   /* max_message: options of the first block */
    size_t first_len;
} nacre__client_transfer;

typedef enum nacre__body_kind {
    NACRE__BODY_FREE = 0,
    NACRE__BODY_UPLOAD,    /* a request that is put together */
    NACRE__BODY_DELIVERED, /* … that the application looks at */
    NACRE__BODY_RESPONSE,  /* an answer whose later blocks are to be fetched */
} nacre__body_kind;

/* Who it is for: RFC 7959 2.4, 2.5, RFC 9175 3.4. */
typedef struct nacre__body_key {
    nacre_context *context; /* NULL: plain */
    nacre_address peer;
    uint64_t hash; /* of the method and the options of the cache key, Request-Tag among them */
} nacre__body_key;

/* A request of others that the application is to answer. Its views live as long as the event's message; of one that is
 * answered later there are none any more, and what they are needed for is kept. */
typedef struct nacre__server_request {
    nacre_event event;
    bool has_block1, has_block2, is_deferred;
    nacre__block block1, block2;
    uint32_t body;         /* its payload is that body's bytes */
    nacre__body_key key;   /* is_later */
    uint64_t payload_hash; /* is_later: the hash of its payload */
} nacre__server_request;

typedef struct nacre__body {
    nacre__body_kind kind;
    nacre__body_key key;
    uint64_t touched; /* ms */
    uint64_t len;     /* bytes that are there, or went to the sink */
    uint64_t limit;
    uint8_t *bytes;
    /* an upload: */
    nacre_sink sink;
    void (*done)(void *user);
    const nacre_upload_error *error; /* the application's, for when the sink fails; NULL: none */
    uint64_t total;                  /* as announced; 0: not */
    /* an answer: */
    uint8_t code;
    uint8_t *options;
    size_t options_len;
    uint64_t payload_hash; /* the hash of the request's payload: FETCH */
} nacre__body;

struct nacre_transfer {
    nacre_transfer_config config; /* with the defaults filled in */
    nacre_endpoint *ep;
    size_t size, max_message;
    uint8_t max_szx;
    uint64_t now;
    bool queued; /* messages were handed to the endpoint that the driver does not know of */

    nacre__client_transfer *clients;
    uint32_t next_client, num_waiting;
    uint32_t index_bits;
    uint64_t next_tag;

    nacre__server_request *requests; /* one more than max_asked, to begin in */
    uint32_t num_requests, max_requests;
    nacre__server_request *deferred;
    uint32_t num_deferred, max_deferred;

    nacre__body *bodies;
    uint32_t num_bodies_used;
    uint8_t hash_key[16];
    uint8_t etag_key[16];
    nacre_on_upload on_upload;
    void *on_upload_user;

    uint8_t *options; /* scratch, max_message */
    uint8_t *piece;   /* scratch, a block and one byte more */
};

/* transfer.c */
bool nacre__transfer_queued(const nacre_transfer *t);

/* A Block option with `number`, and whether it is there; false: it is there and malformed. */
bool nacre__find_block(nacre_bytes options, uint16_t number, bool *has, nacre__block *block);

/* Puts into `o` what `options` has, but for Block1, Block2 and `but`. */
void nacre__copy_options(nacre_options *o, nacre_bytes options, uint16_t but);

/* own.c, fetch.c: requests of ours. `event` is the endpoint's, and becomes the application's when the call says true. */
bool nacre__client_transfer_event(nacre_transfer *t, nacre_event *event);
bool nacre__client_transfer_resume(nacre_transfer *t, nacre_event *event);
bool nacre__client_transfer_fail(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event, nacre_err err);
bool nacre__client_transfer_end(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event);
bool nacre__client_transfer_restart(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event);
nacre_err nacre__client_transfer_send(nacre_transfer *t, nacre__client_transfer *client);
void nacre__client_transfer_lose(nacre_transfer *t, const nacre_context *context,
                                 const nacre_rederivation *rederivation);
nacre_err nacre__client_transfer_hand_over(nacre_transfer *t, nacre__client_transfer *client,
                                           const nacre_message *message);
bool nacre__client_transfer_sent(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event, nacre_err err);
bool nacre__block2_client_take(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event);
nacre_err nacre__block2_client_send(nacre_transfer *t, nacre__client_transfer *client);

/* bodies.c: the bounded memory of bodies. */
nacre__body_key nacre__body_key_of(const nacre_transfer *t, const nacre_event *request);
uint64_t nacre__body_hash(const nacre_transfer *t, nacre_bytes bytes);
nacre__body *nacre__body_find(nacre_transfer *t, const nacre__body_key *key, nacre__body_kind kind);
nacre__body *nacre__body_new(nacre_transfer *t, const nacre__body_key *key, nacre__body_kind kind);
void nacre__body_release(nacre_transfer *t, nacre__body *body);
void nacre__body_cache_expire(nacre_transfer *t);
uint64_t nacre__body_cache_deadline(const nacre_transfer *t);

/* uploads.c: a request with Block1 that is no whole body. True: it is complete now, and `event` is the application's. */
bool nacre__block1_server_take(nacre_transfer *t, nacre__server_request *request, nacre_event *event);

/* answers.c: what goes back. */
void nacre__respond_code(nacre_transfer *t, const nacre__server_request *request, uint8_t code, const char *text,
                         uint64_t size1);
bool nacre__respond_from_cache(nacre_transfer *t, const nacre__server_request *request);
void nacre__forget_observer(nacre_transfer *t, nacre_exchange observer);

#endif
