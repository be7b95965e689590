/* SPDX-License-Identifier: MIT */
/* transfer: block-wise transfer (RFC 7959) of bodies of any size over an endpoint. Each block is an exchange, with
 * OSCORE a protected message; Request-Tag and ETag bind the blocks of a body together (RFC 8613 4.1.3.4.1, RFC 9175 3).
 *
 * A transfer replaces the endpoint's interface: the driver passes datagrams and the time to the transfer, and pulls
 * events only from it,
 *
 *     nacre_transfer_receive_many, nacre_transfer_next_event, nacre_transfer_transmit_many, nacre_transfer_deadline,
 *     nacre_transfer_expire
 *
 * and the application uses nacre_transfer_request, _cancel, _respond, _ignore, _defer_response, _remove_context and
 * _remove_rederivation instead of the endpoint's functions of those names. Everything else (nacre_endpoint_observe,
 * _changed, _confirmed, _ping, …) is called on the endpoint, with the `exchange` of the transfer's events.
 *
 * Sources, sinks, `done` and the callback of nacre_transfer_on_upload must not call functions of the transfer or of its
 * endpoint: record the event, and act on it after the call returns.
 *
 * A message that needs no blocks is the same on the wire as without a transfer. All state is in one block of memory
 * from the caller, divided into pools by the configuration; nothing is allocated later. */
#ifndef NACRE_TRANSFER_H
#define NACRE_TRANSFER_H

#include <nacre/base.h>
#include <nacre/coap.h>
#include <nacre/context.h>
#include <nacre/endpoint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    NACRE_MAX_BLOCK = 1024,     /* bytes (RFC 7959 2.2); a block is a power of two from 16 on */
    NACRE_MAX_BLOCKS = 1048576, /* in one body: the number has 20 bits. 1 GiB in blocks of 1024 bytes */
};
#define NACRE_SIZE_UNKNOWN UINT64_MAX

/* ---- Bodies in pieces -------------------------------------------------------------------------------------------- */

/* A body with random access. `read` writes the bytes from `offset` on to `buf` and sets `len`, which may be below
 * buf.cap only at the end of the body. The same offset may be read again, and must give the same bytes. When the size
 * is unknown, an offset after the end may be read, because the peer chooses it: `len` is then 0. An error ends the
 * exchange with that error. */
typedef struct nacre_source {
    nacre_err (*read)(void *user, uint64_t offset, nacre_buf buf, size_t *len); /* NULL: no source */
    void *user;
    uint64_t size; /* of the body in bytes, or NACRE_SIZE_UNKNOWN */
} nacre_source;

/* Receives the pieces of a body, in order and without gaps. A piece at `offset` 0 starts the body: earlier pieces are
 * void (the transfer was restarted). `total` is the announced size, or 0. An error of `write` ends the exchange with
 * that error; for uploads see `error` in nacre_upload. */
typedef struct nacre_sink {
    nacre_err (*write)(void *user, uint64_t offset, nacre_bytes piece, uint64_t total); /* NULL: no sink */
    void *user;
} nacre_sink;

/* ---- The object -------------------------------------------------------------------------------------------------- */

typedef struct nacre_transfer nacre_transfer;

/* Body cache: requests that are being assembled, and responses whose later blocks have not been fetched yet. The number at the end
 * of a comment is the default of a transfer, and of a server. */
typedef struct nacre_bodies_config {
    uint16_t num_bodies; /* at one time; 8, 16 */
    uint16_t
        bodies_per_peer; /* … of one security context, or one plain address; a quarter of num_bodies, at least 2. Plain ones
                                 together fill at most half of num_bodies, at least 2 */
    size_t
        max_body; /* bytes of a body that is held whole: 4.13 with Size1 above. Takes num_bodies times as much memory; 8192,
                        1048576 */
    uint32_t
        timeout_ms; /* a body without a new block for this long is dropped; 93000 (MAX_TRANSMIT_WAIT, RFC 7252 4.8.2) */
} nacre_bodies_config;

typedef struct nacre_transfer_config {
    size_t size;              /* set by nacre_transfer_config_default, see CONVENTIONS.md, "Configurations" */
    nacre_endpoint *endpoint; /* borrowed; initialised, and used by this transfer only */
    uint16_t
        num_client_exchanges; /* client transfers in flight; 0 means as many as the endpoint has client exchanges. An
                              observation uses one of those until it ends, and fetching the later blocks of a
                              notification another: configure more of them than observations, or the fetch waits */
    uint16_t block_size; /* the largest block sent or accepted, 16 to 1024; 0 means 1024. Blocks are smaller if the peer
                                 requests it, or if a protected one would exceed the endpoint's max_message */
    nacre_bodies_config bodies;
} nacre_transfer_config;

/* nacre_transfer_config_default: these defaults, for this endpoint. A number, size or time of 0 is then refused. */
nacre_transfer_config nacre_transfer_config_default(nacre_endpoint *endpoint);

/* nacre_transfer_size: bytes of memory for a transfer of that configuration (0: not possible), aligned as by malloc. */
size_t nacre_transfer_size(const nacre_transfer_config *config);

/* nacre_transfer_init: NACRE_OK; NACRE_ERR_BUFFER_TOO_SMALL (memory too small); NACRE_ERR_BAD_ARGUMENT (no endpoint, a
 * block size that is not a power of two from 16 to 1024, no or misaligned memory). */
NACRE_MUST_USE nacre_err nacre_transfer_init(nacre_transfer **transfer, void *memory, size_t size,
                                             const nacre_transfer_config *config);

/* nacre_transfer_wipe zeroes all memory of the transfer, after `done` of the uploads in pieces that are in progress.
 * The endpoint is unchanged. */
void nacre_transfer_wipe(nacre_transfer *transfer);
nacre_endpoint *nacre_transfer_endpoint(const nacre_transfer *transfer);

/* The driver's side: as nacre_endpoint_receive_many, _transmit_many, _deadline and _expire. */
size_t nacre_transfer_receive_many(nacre_transfer *transfer, const nacre_datagram *datagrams, size_t num,
                                   uint64_t now_ms);
size_t nacre_transfer_transmit_many(nacre_transfer *transfer, nacre_outgoing *out, size_t num, uint64_t now_ms);
uint64_t nacre_transfer_deadline(const nacre_transfer *transfer);
void nacre_transfer_expire(nacre_transfer *transfer, uint64_t now_ms);

/* nacre_transfer_next_event: false when there is none. Events are the endpoint's, with these differences:
 * REQUEST            the payload is the whole body, the options are those of the message that completed it. With a
 *                    Block2 option whose number is not 0, a later part of a response that is not cached is requested:
 *                    respond as to a new request, the transfer sends the part. `user` is that of the sink for an upload
 *                    in pieces, whose payload is empty; otherwise NULL
 * NOTIFY             respond with nacre_transfer_respond: the client fetches later blocks as of any response
 * RESPONSE, FAILED   `transfer_exchange` and `user` are those of nacre_transfer_request, `exchange` is none. A body in
 *                    several blocks is in the request's buffer, or went to its sink (the payload is then empty); the
 *                    options are those of the first block, without Block1 and Block2
 * NOTIFICATION       as RESPONSE, but the exchange continues. A body in several blocks is fetched first, unless a newer
 *                    notification replaces it. `err` not NACRE_OK: fetching failed, the message is empty; the
 *                    observation continues
 * Further errors of FAILED and NOTIFICATION, beside those of a source or a sink:
 * NACRE_ERR_BODY_CHANGED  the blocks belong to different bodies (another ETag), also after one restart
 * NACRE_ERR_BLOCKS        the peer's blocks violate RFC 7959: wrong number, size or order
 * NACRE_ERR_TOO_LONG      the response is longer than the request's buffer or 2^20 blocks, or comes in blocks for a
 *                         request with neither buffer nor sink; `message` is then its first block */
bool nacre_transfer_next_event(nacre_transfer *transfer, nacre_event *event);

/* ---- Client transfers -------------------------------------------------------------------------------------------- */

/* How the bodies of a request and its response are transferred. NULL, or all zero: the request's body is the message's
 * payload, and the response fits one message. */
typedef struct nacre_transfer_options {
    nacre_request_options request; /* of each block's exchange: its timeout_ms is for one block */
    nacre_source source;           /* instead of the payload */
    nacre_buf buf;                 /* for a response body in several blocks; borrowed until the exchange has ended */
    /* instead of `buf`: receives the bodies of 2.xx responses, even of one message; other bodies stay in the message */
    nacre_sink sink;
    /* the largest block in both directions, 16 to 1024 bytes, requested from the start (early Block2, RFC 7959 2.4).
     * 0: the configuration's; if that is 1024, no size is requested until the peer sends a block */
    uint16_t block_size;
} nacre_transfer_options;

/* nacre_transfer_request is nacre_endpoint_request for bodies of any size. Payload, source, buffer and sink are
 * borrowed until the exchange has ended; the options are copied.
 *
 *     request in blocks     has a new Request-Tag, which is never reused (RFC 9175 3.5.1), and Size1 if its size is
 *                           known. The peer may request smaller blocks at any time, also by 4.13; a 4.08 restarts the
 *                           body, once
 *     response in blocks    is fetched; if its ETag changes meanwhile, a safe request (GET, FETCH) is repeated once. A
 *                           first block with an Echo option is small because this address was not validated: later
 *                           blocks are requested in growing sizes
 *
 * Results as nacre_endpoint_request; NACRE_ERR_TOO_LONG also for a body above 2^20 blocks; NACRE_ERR_BAD_ARGUMENT also
 * for an invalid block size, for Observe with a source or a payload of several blocks, for options that include Block1,
 * Block2 or Request-Tag, and for both a payload and a source. */
NACRE_MUST_USE nacre_err nacre_transfer_request(nacre_transfer *transfer, nacre_transfer_exchange *exchange,
                                                const nacre_address *peer, nacre_context *context,
                                                const nacre_message *plain, const nacre_transfer_options *options,
                                                void *user);

/* nacre_transfer_give_up calls nacre_endpoint_give_up for the message in flight, if there is one. */
void nacre_transfer_give_up(nacre_transfer *transfer, nacre_transfer_exchange exchange);

/* nacre_transfer_cancel ends a client exchange without an event. */
void nacre_transfer_cancel(nacre_transfer *transfer, nacre_transfer_exchange exchange);

/* nacre_transfer_unobserve is nacre_endpoint_unobserve for an exchange of a transfer. */
NACRE_MUST_USE nacre_err nacre_transfer_unobserve(nacre_transfer *transfer, nacre_transfer_exchange exchange);

/* ---- Requests received ------------------------------------------------------------------------------------------- */

/* How the body of a response is sent. NULL, or all zero: the body is the message's payload. */
typedef struct nacre_response_options {
    /* instead of the payload; read only during the call. For each later block the application gets another REQUEST
     * event, so nothing is cached, and the body may have any size. A body above NACRE_MAX_BLOCK bytes needs an ETag
     * option that no other content of this resource ever had (RFC 9175 3.8); a shorter one gets one when the peer
     * requests smaller blocks. For methods other than GET and FETCH there are no further events: a body up to max_body
     * is read whole and cached */
    nacre_source source;
    uint16_t block_size; /* the largest block in bytes; 0: the configuration's */
} nacre_response_options;

/* nacre_transfer_respond is nacre_endpoint_respond for bodies of any size.
 *
 *     condition                          what is sent
 *     payload above one block            copied, cached for at most bodies.timeout_ms, and sent block by block
 *     … above max_body, or the cache     not cached: the application gets another REQUEST for each later block of a GET
 *     is full                            or FETCH
 *     … without an ETag option           an ETag is added: an HMAC of the body under a key of this transfer
 *     request with Block options         the matching Block options are added
 *     address not validated              blocks small enough for nacre_endpoint_fits, even if the client requested
 *                                        none, and shortened diagnostic texts; each later block has the allowance of
 *                                        its own request
 *     … and 16 bytes do not fit, or an   what nacre_endpoint_respond sends then: 4.01 with Echo, or the code alone
 *     unsafe request's body is not
 *     cached
 *
 * Results as nacre_endpoint_respond; NACRE_ERR_TOO_LONG also for a body above 2^20 blocks, and for one that must be
 * cached (methods other than GET and FETCH) and cannot be; NACRE_ERR_BAD_ARGUMENT also for a source of several blocks
 * and more than NACRE_MAX_BLOCK bytes without an ETag, and for both a payload and a source; and the error of a
 * source. */
NACRE_MUST_USE nacre_err nacre_transfer_respond(nacre_transfer *transfer, nacre_exchange exchange,
                                                const nacre_message *plain, const nacre_response_options *options);

/* nacre_transfer_ignore is nacre_endpoint_ignore; it also drops the request's body from the cache. */
void nacre_transfer_ignore(nacre_transfer *transfer, nacre_exchange exchange);

/* nacre_transfer_defer_response is nacre_endpoint_defer_response: the exchange stays valid until nacre_transfer_respond
 * or _ignore. A body that came in blocks stays valid until then; the rest of the message does not. */
NACRE_MUST_USE nacre_err nacre_transfer_defer_response(nacre_transfer *transfer, nacre_exchange exchange);

/* nacre_transfer_remove_context calls nacre_endpoint_remove_context, and drops the cached bodies of that context. */
void nacre_transfer_remove_context(nacre_transfer *transfer, nacre_context *context);

/* nacre_transfer_remove_rederivation calls nacre_endpoint_remove_rederivation (nacre/rederivation.h); requests with it
 * that wait for a free exchange fail with NACRE_ERR_NO_CONTEXT too. */
void nacre_transfer_remove_rederivation(nacre_transfer *transfer, nacre_rederivation *rederivation);

/* The reason for refusing an upload: a response code of class 4 or 5, and a static diagnostic text, or NULL. */
typedef struct nacre_upload_error {
    uint8_t code;
    const char *text;
} nacre_upload_error;

/* What to do with a body in blocks, decided at its first block, before anything is stored. The callback may set: */
typedef struct nacre_upload {
    uint8_t code;             /* 0: accept. Otherwise the response code of the refusal, and … */
    const char *text;         /* … a diagnostic text; static, may be NULL */
    uint64_t max_body;        /* 4.13 above this many bytes; 0: max_body for whole bodies, no limit for pieces */
    nacre_sink sink;          /* gets each piece as it arrives, nothing is cached. NULL: the body is assembled */
    void (*done)(void *user); /* called once with the sink's user when the upload has ended: by the response to its
                                 request, nacre_transfer_ignore, or earlier (timeout, replaced, error). May be NULL */
    /* read when the sink's `write` fails, before `done`: the response to that block (RFC 7959 2.9), which ends the
     * upload. NULL, or a code 0: 5.00 */
    const nacre_upload_error *error;
} nacre_upload;

/* nacre_transfer_on_upload sets the callback; `event` is the REQUEST of the first block (do not respond to it). Without
 * a callback each body is assembled, up to max_body.
 *
 * A body is identified by peer, security context, method, all options of the cache key, and Request-Tag (RFC 7959 2.5,
 * RFC 9175 3.4). The response to a block out of order is 4.08, to a body that is too large 4.13 with Size1. A peer at
 * its share replaces its own longest-idle body. When the cache is full, or plain bodies fill their half and the new one
 * is plain, the new one replaces the longest-idle body of the first row that has one:
 *
 *     the new body is protected    any plain body
 *     protected, or plain          of the same kind: one of a peer that has at least two more; or, if the peer of the
 *                                  new body has none, an idle one: an upload of which only the first block has arrived,
 *                                  one without a block for 3 seconds, a response to GET or FETCH
 *     protected, or plain          one of the same peer
 *
 * Delivered bodies are not replaced. If no row has a body, the response is 4.13, and Size1 is the size of one block
 * (RFC 7959 2.9.3: nothing can be stored now). */
typedef void (*nacre_on_upload)(void *user, const nacre_event *event, nacre_upload *upload);
void nacre_transfer_on_upload(nacre_transfer *transfer, nacre_on_upload on_upload, void *user);

#ifdef __cplusplus
}
#endif

#endif
