/* SPDX-License-Identifier: MIT */
/* transfer_internal: the structures of a transfer and the functions its files share.
 *
 * transfer.c lays out one block of memory from the caller:
 *
 *     nacre_transfer | clients | requests | deferred | bodies | client bytes (2 x max_message each) |
 *     body bytes (max_message for options + max_body each) | scratch (max_message for options, a block and a byte)
 *
 * A *client* transfer goes through
 *
 *     FREE -> SENDING -> FETCHING -> ENDED      SENDING: the request's blocks, or its only message (Block1)
 *                 ^---------'                   FETCHING: the first block of the response has arrived (Block2)
 *                  (restart)
 *
 * and has one endpoint exchange at a time. An observation has a second one from its first notification on: the state is
 * OBSERVING, or FETCHING while the blocks of a notification are fetched. A *request* is an event that the application has
 * received and not yet responded to. A *body* is a peer's request being assembled, or a response kept for its later blocks. */
#ifndef NACRE_TRANSFER_INTERNAL_H
#define NACRE_TRANSFER_INTERNAL_H

#include "coap/block.h"
#include "coap/option_check.h"

#include <nacre/transfer.h>

#define NACRE__NO_BODY UINT32_MAX

enum {
    NACRE__ETAG_LEN = 8,
    NACRE__TAG_LEN = 8,
    NACRE__MIN_BLOCK = 16,
    NACRE__BODY_IDLE_MS = 3000, /* RFC 7252 4.8: ACK_TIMEOUT * ACK_RANDOM_FACTOR, the time for one retransmission */
};

typedef enum nacre__client_transfer_state {
    NACRE__TRANSFER_FREE = 0,
    NACRE__TRANSFER_SENDING,
    NACRE__TRANSFER_FETCHING,
    NACRE__TRANSFER_OBSERVING, /* waiting for notifications; no fetch is running */
    NACRE__TRANSFER_ENDED,     /* reusable; its bytes stay readable until reused */
} nacre__client_transfer_state;

typedef struct nacre__client_transfer {
    nacre__client_transfer_state state;
    nacre_transfer_exchange exchange; /* the application's handle */
    nacre_exchange current;           /* endpoint exchange of the message in flight, or none */
    nacre_exchange observation;       /* endpoint exchange of a notified registration, or none */
    bool notified;                    /* the body being fetched is a notification's */
    bool waiting;                     /* the next message waits for a free endpoint exchange */
    bool is_lost;                     /* … and its context or rederivation was removed */
    nacre_request_options how;
    uint32_t generation;
    nacre_address peer;
    nacre_context *context;
    void *user;
    uint8_t type, code;
    uint8_t *options; /* max_message; as the application gave them */
    size_t options_len;
    bool restarted; /* already restarted once */

    /* the request's body */
    nacre_bytes payload; /* the caller's memory */
    nacre_source source;
    uint64_t size;
    uint8_t max_szx; /* the smaller of the caller's and the configured limit */
    bool early;      /* limit the response's blocks too: send Block2 in the request */
    bool in_blocks;  /* Block1 is used */
    uint8_t szx;     /* block size in use */
    uint64_t offset; /* of the block in flight */
    size_t len;      /* its length */
    bool more;       /* more blocks follow it */
    uint8_t tag[NACRE__TAG_LEN];

    /* the response's body */
    nacre_buf buf;
    nacre_sink sink;
    uint64_t received, total;
    uint8_t response_szx; /* largest block size still accepted */
    bool grows;           /* ask for the largest size that `received` is aligned to */
    uint8_t response_code;
    uint8_t etag[NACRE__ETAG_LEN];
    uint8_t etag_len; /* 0: none */
    uint8_t *first;   /* max_message; options of the first block */
    size_t first_len;
} nacre__client_transfer;

typedef enum nacre__body_kind {
    NACRE__BODY_FREE = 0,
    NACRE__BODY_UPLOAD,    /* a request being assembled */
    NACRE__BODY_DELIVERED, /* an assembled request that the application reads */
    NACRE__BODY_RESPONSE,  /* a response kept for requests for its later blocks */
} nacre__body_kind;

/* Identifies the operation a block belongs to: RFC 7959 2.4, 2.5, RFC 9175 3.4. */
typedef struct nacre__body_key {
    nacre_context *context; /* NULL: plain */
    nacre_address peer;
    uint64_t hash; /* of the method and the cache-key options, including Request-Tag */
} nacre__body_key;

/* A peer's request that awaits the application's response. Its views live as long as the event's message. A deferred request
 * has no views; the key and the payload hash replace them. */
typedef struct nacre__server_request {
    nacre_event event;
    bool has_block1, has_block2, is_deferred;
    nacre__block block1, block2;
    uint32_t body;         /* index of the body that holds its payload, or NACRE__NO_BODY */
    nacre__body_key key;   /* if is_deferred */
    uint64_t payload_hash; /* if is_deferred */
} nacre__server_request;

typedef struct nacre__body {
    nacre__body_kind kind;
    nacre__body_key key;
    uint64_t touched; /* ms */
    uint64_t len;     /* bytes stored, or passed to the sink */
    uint64_t limit;
    uint8_t *bytes;
    /* UPLOAD, DELIVERED: */
    nacre_sink sink;
    void (*done)(void *user);
    const nacre_upload_error *error; /* response to send if the sink fails; NULL: default */
    uint64_t total;                  /* announced by Size1; 0: unknown */
    bool has_progress;               /* a later block has come */
    /* RESPONSE: */
    uint8_t code;
    uint8_t *options;
    size_t options_len;
    uint64_t payload_hash; /* of the request's payload (FETCH) */
    bool is_safe;          /* the application is asked again when it is evicted */
} nacre__body;

struct nacre_transfer {
    nacre_transfer_config config; /* with the defaults filled in */
    nacre_endpoint *ep;
    size_t size, max_message;
    uint8_t max_szx;
    uint64_t now;
    bool queued; /* messages were queued at the endpoint without an event to the driver */

    nacre__client_transfer *clients;
    uint32_t next_client, num_waiting;
    uint64_t next_tag;

    nacre__server_request *requests; /* max_requests + 1: a new one is built after the last */
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

/* transfer_options.c */
/* Reads Block option `number` and sets `has` to whether it is present. False: present and malformed. */
bool nacre__find_block(nacre_bytes options, uint16_t number, bool *has, nacre__block *block);

/* Appends `options` to `o`, except Block1, Block2 and `but`. */
void nacre__copy_options(nacre_options *o, nacre_bytes options, uint16_t but);

/* client_transfer.c. `event` is the endpoint's, here and below; true: deliver it to the application. */
void nacre__client_transfer_set_waiting(nacre_transfer *t, nacre__client_transfer *client, bool waiting);
void nacre__client_transfer_stop(nacre_transfer *t, nacre__client_transfer *client);
void nacre__client_transfer_name(const nacre__client_transfer *client, nacre_event *event);
bool nacre__client_transfer_end(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event);
bool nacre__client_transfer_fail(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event, nacre_err err);
nacre_err nacre__client_transfer_hand_over(nacre_transfer *t, nacre__client_transfer *client,
                                           const nacre_message *message);
bool nacre__client_transfer_sent(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event, nacre_err err);

/* client_send.c */
nacre_err nacre__client_transfer_send(nacre_transfer *t, nacre__client_transfer *client);
bool nacre__client_transfer_restart(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event);

/* block1_client.c, block2_client.c: a response, while the request's body is sent, and for the response's. */
bool nacre__block1_client_take(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event);
bool nacre__block2_client_take(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event);

/* client_events.c */
bool nacre__client_transfer_event(nacre_transfer *t, nacre_event *event);
bool nacre__client_transfer_resume(nacre_transfer *t, nacre_event *event);
void nacre__client_transfer_lose(nacre_transfer *t, const nacre_context *context,
                                 const nacre_rederivation *rederivation);

/* body_cache.c: the bounded memory of bodies. */
nacre__body_key nacre__body_key_of(const nacre_transfer *t, const nacre_event *request);
uint64_t nacre__body_hash(const nacre_transfer *t, nacre_bytes bytes);
nacre__body *nacre__body_find(nacre_transfer *t, const nacre__body_key *key, nacre__body_kind kind);
nacre__body *nacre__body_new(nacre_transfer *t, const nacre__body_key *key, nacre__body_kind kind);
void nacre__body_release(nacre_transfer *t, nacre__body *body);
void nacre__body_cache_expire(nacre_transfer *t);
uint64_t nacre__body_cache_deadline(const nacre_transfer *t);

/* block1_server.c: a request that is one Block1 block of several. True: the body is complete; deliver `event`. */
bool nacre__block1_server_take(nacre_transfer *t, nacre__server_request *request, nacre_event *event);

/* server_requests.c */
nacre__server_request *nacre__server_request_find(nacre_transfer *t, nacre_exchange exchange);
void nacre__server_request_forget(nacre_transfer *t, nacre__server_request *request);
nacre__body_key nacre__server_request_key(const nacre_transfer *t, const nacre__server_request *request);
uint64_t nacre__server_request_payload_hash(const nacre_transfer *t, const nacre__server_request *request);
void nacre__forget_observer(nacre_transfer *t, nacre_observer observer);

/* block2_server.c: responses. */
void nacre__respond_code(nacre_transfer *t, const nacre__server_request *request, uint8_t code, const char *text,
                         uint64_t size1);
bool nacre__respond_from_cache(nacre_transfer *t, const nacre__server_request *request);

/* nacre__transfer_uses_context: whether a body, an exchange or an observation refers to the context (endpoint_driver.h). */
bool nacre__transfer_uses_context(nacre_transfer *t, const nacre_context *context);

#endif
