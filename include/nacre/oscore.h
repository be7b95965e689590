/* SPDX-License-Identifier: MIT */
/* oscore: protect and unprotect one message (RFC 8613 4 to 8).
 *
 *   client  nacre_protect_request; keeps the nacre_request_id with the exchange; nacre_unprotect_response
 *   server  nacre_verify_start and nacre_table_find select the context; nacre_unprotect_request; keeps its own
 *           nacre_request_id; nacre_protect_response
 *
 * The nacre_request_id binds a response to its request. Nothing here allocates, blocks or keeps state outside the context
 * and the nacre_request_id.
 *
 * Failure, everywhere in this header: outputs are untouched, what was written to an output buffer is wiped, and the
 * context is unchanged except for its counter of failed decryptions. One exception: when the cipher itself fails in
 * protect (NACRE_ERR_CRYPTO), the sequence number, or the right to the request's nonce, stays spent. */
#ifndef NACRE_OSCORE_H
#define NACRE_OSCORE_H

#include <nacre/base.h>
#include <nacre/coap.h>
#include <nacre/context.h>
#include <nacre/crypto.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The value of the OSCORE option (RFC 8613 6.1). Each part absent or present; kid and kid_context may be present and
 * empty. */
typedef struct nacre_oscore_option {
    nacre_bytes partial_iv;  /* 1 to 5 bytes */
    nacre_bytes kid_context; /* 0 to 255 bytes */
    nacre_bytes kid;         /* the rest */
} nacre_oscore_option;

/* nacre_oscore_option_read: NACRE_OK; NACRE_ERR_DECODE for reserved flag bits, a Partial IV of 6 or 7 bytes or with
 * leading zeros, parts that run past the end, bytes left over without a kid, a single zero byte. The slices point into
 * `value`. */
NACRE_MUST_USE nacre_err nacre_oscore_option_read(nacre_oscore_option *opt, nacre_bytes value);

/* nacre_oscore_option_write: NACRE_OK; NACRE_ERR_BUFFER_TOO_SMALL; NACRE_ERR_BAD_ARGUMENT (a Partial IV above 5 bytes, or
 * present and empty; a kid context above 255). */
NACRE_MUST_USE nacre_err nacre_oscore_option_write(const nacre_oscore_option *opt, nacre_bytes *out, nacre_buf buf);

/* nacre_verify_start reads the OSCORE option of a message, so that the caller can select the context.
 * NACRE_OK                `opt` is set; its slices live as long as the message
 * NACRE_ERR_NOT_PROTECTED there is no OSCORE option
 * NACRE_ERR_DECODE        it is malformed or repeated, or the message has no payload (RFC 8613 2); respond with 4.02 */
NACRE_MUST_USE nacre_err nacre_verify_start(nacre_oscore_option *opt, const nacre_message *message);

/* The identity of one request: input of the AAD of every response to it. Keep it with the exchange until the last response.
 * Move it, do not copy it: only one holder may use the request's nonce for a response, once. nacre_request_id_dup gives a
 * copy without that right. */
typedef struct nacre_request_id {
    const nacre_context *context; /* private: the context that may use the nonce; compared, never dereferenced */
    uint8_t keys[8];              /* … and its keys, by their Common IV: the memory may hold another context later */
    uint8_t kid[NACRE_MAX_ID];
    uint8_t partial_iv[5];
    uint8_t kid_len, partial_iv_len;
    uint8_t flags;
} nacre_request_id;
nacre_request_id nacre_request_id_dup(const nacre_request_id *id);

/* How to protect. NULL, or all zero: the defaults of RFC 8613. */
typedef enum nacre_kid_context_choice {
    NACRE_KID_CONTEXT_AUTO = 0, /* requests: the ID Context when there is one; responses: none */
    NACRE_KID_CONTEXT_NEVER,
    NACRE_KID_CONTEXT_GIVEN, /* the bytes in `kid_context`, at most 255 */
} nacre_kid_context_choice;
typedef enum nacre_nonce_choice {
    NACRE_NONCE_AUTO = 0, /* the request's, when the identity still has the right to it; else a new Partial IV */
    NACRE_NONCE_NEW,      /* a new Partial IV; the right stays with the identity */
    NACRE_NONCE_REQUEST,  /* the request's, or NACRE_ERR_NONCE_USED */
} nacre_nonce_choice;
typedef struct nacre_protect_options {
    nacre_kid_context_choice kid_context_choice;
    nacre_bytes kid_context;
    nacre_nonce_choice nonce; /* responses */
    bool send_kid;            /* responses: put the Sender ID into the option (requests always have it) */
} nacre_protect_options;

/* nacre_protect_size: bytes that are enough to protect `plain` with `ctx`; 0 when `plain` cannot be protected, in which case
 * nacre_protect_request returns the error. */
size_t nacre_protect_size(const nacre_context *ctx, const nacre_message *plain, const nacre_protect_options *options);

/* nacre_protect_request protects a request and writes the datagram to send (RFC 8613 8.1): type, message ID and token are
 * those of `plain`, the code becomes POST, or FETCH with Observe. Uses one sequence number. To retransmit, send the same
 * bytes again; do not protect again.
 * NACRE_OK                      `id` and `out` (the start of `buf`) are set
 * NACRE_ERR_NOT_YET             the store must confirm numbers first (nacre_context_needs): try again afterwards
 * NACRE_ERR_CONTEXT_UNAVAILABLE sequence numbers are exhausted: new keys are needed; or the context was stopped
 * NACRE_ERR_BUFFER_TOO_SMALL             `buf` too small: nacre_protect_size
 * NACRE_ERR_NESTED              `plain` has an OSCORE option
 * NACRE_ERR_TOO_LONG            more plaintext than the algorithm allows, or a kid context above 255 bytes
 * NACRE_ERR_BAD_ARGUMENT        `plain` is no request, its options are not well-formed, or `crypto` is of another
 *                               provider than the context's keys
 * NACRE_ERR_UNSUPPORTED         the AAD is longer than the provider allows; or a Proxy-Uri option in a core compiled with
 *                               NACRE_NO_PROXY_URI, which saves 2.5 KB of code
 * NACRE_ERR_BAD_URI             a Proxy-Uri option that is no URI (it is split, RFC 8613 4.1.3.3); twice, or beside
 *                               Uri-Path or Uri-Query, it is NACRE_ERR_BAD_ARGUMENT (RFC 7252 5.10.2)
 * NACRE_ERR_CRYPTO              the library failed
 * In place: `buf` may hold the payload, at any offset; or the whole plain message at its start, as nacre_message_write
 * writes it, when all of its options are inner ones. Any other overlap, and any overlap with a Proxy-Uri option, is
 * NACRE_ERR_BAD_ARGUMENT. On success the plain message is overwritten. */
NACRE_MUST_USE nacre_err nacre_protect_request(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id,
                                               nacre_bytes *out, nacre_buf buf, const nacre_message *plain,
                                               const nacre_protect_options *options);

/* nacre_protect_response protects a response to the request `id` (RFC 8613 8.3): the code becomes 2.04, or 2.05 with
 * Observe. May use a sequence number. Returns as nacre_protect_request; also
 * NACRE_ERR_NONCE_USED   NACRE_NONCE_REQUEST was requested, and `id` does not have the right to the nonce
 * NACRE_ERR_BAD_ARGUMENT also when `plain` is no response, or the kid of `id` is longer than this context's nonce allows:
 *                        the request belongs to another context */
NACRE_MUST_USE nacre_err nacre_protect_response(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id,
                                                nacre_bytes *out, nacre_buf buf, const nacre_message *plain,
                                                const nacre_protect_options *options);

/* nacre_unprotect_request verifies and decrypts a request (RFC 8613 8.2) into `buf`, which needs as many bytes as the
 * message and must not overlap it. The replay window is updated only after the tag has been verified.
 * NACRE_OK                     `plain` is set: header and token of the outer message, inner code, inner options merged
 *                              with the outer ones that are kept (Uri-Host …), payload. Slices point into `buf`, the token
 *                              into the outer message. `id` is set
 * NACRE_ERR_NOT_PROTECTED      no OSCORE option
 * NACRE_ERR_DECODE             malformed option, no Partial IV or kid, no payload: 4.02
 * NACRE_ERR_NO_CONTEXT         the kid or kid context is not this context's: try another, or 4.01
 * NACRE_ERR_REPLAY             seen before, too old, or the window is uninitialised and the context has no Echo value: 4.01
 * NACRE_ERR_REPLAY_ECHO        the tag verified, but the window is uninitialised and the request lacks the Echo value:
 *                              `id` is set; respond with nacre_protect_echo and do not process the request
 * NACRE_ERR_PROTECTION_INVALID the tag does not match, or the plaintext is not a request: 4.00
 * NACRE_ERR_NOT_YET            the tag verified, but the store must first drop its replay window (nacre_context_needs):
 *                              process the same bytes again afterwards
 * NACRE_ERR_CONTEXT_UNAVAILABLE stopped (nacre_context_stop): 5.03
 * NACRE_ERR_BUFFER_TOO_SMALL, NACRE_ERR_BAD_ARGUMENT (`crypto` of another provider) */
NACRE_MUST_USE nacre_err nacre_unprotect_request(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id,
                                                 nacre_message *plain, nacre_buf buf, const nacre_message *outer);

/* nacre_protect_echo makes the protected 4.01 with the context's Echo value: the response to a request that returned
 * NACRE_ERR_REPLAY_ECHO (RFC 8613 B.1.2). It has a new Partial IV. `header` gives type, MID and token; its code, options
 * and payload are ignored. The request's Partial IV counts as seen from then on: its sender repeats the request under another
 * one, and after the recovery a copy of the first would be processed too. Returns as nacre_protect_response;
 * NACRE_ERR_BAD_ARGUMENT when the context has no Echo value, as after the recovery: do not respond, and a copy of the request
 * is accepted. */
NACRE_MUST_USE nacre_err nacre_protect_echo(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id,
                                            nacre_bytes *out, nacre_buf buf, const nacre_message *header);

/* The Partial IV of a response, if it has one; it orders notifications (RFC 8613 7.4.1). */
typedef struct nacre_response_info {
    bool has_partial_iv;
    uint64_t partial_iv;
} nacre_response_info;

/* Order of notifications at a client: one object for each observation, all zero at its start (RFC 8613 7.4.1). Call
 * nacre_notification_accept for every verified response with an Observe option.
 * NACRE_OK          newer than all accepted before: deliver it
 * NACRE_ERR_REPLAY  a duplicate, older than an accepted one, or a second one without a Partial IV: drop it; `order` unchanged
 * Dropping one does not end the observation; a response without Observe does. */
typedef struct nacre_notification_order {
    uint64_t number; /* private: the Notification Number */
    bool has_number, any;
} nacre_notification_order;
NACRE_MUST_USE nacre_err nacre_notification_accept(nacre_notification_order *order, const nacre_response_info *info);

/* nacre_unprotect_response verifies and decrypts a response to the request `id` (RFC 8613 8.4). Buffer and slices as in
 * nacre_unprotect_request. It does not check for replays: a response is bound to its request, and the caller ends the
 * exchange, or orders notifications by `info` (may be NULL).
 * NACRE_OK                     `plain` (and `info`) set
 * NACRE_ERR_NOT_PROTECTED      no OSCORE option: unauthenticated, at best a hint
 * NACRE_ERR_DECODE, NACRE_ERR_NO_CONTEXT (it names another kid or kid context), NACRE_ERR_PROTECTION_INVALID: drop it
 * NACRE_ERR_BUFFER_TOO_SMALL, NACRE_ERR_BAD_ARGUMENT as above; the latter also when the kid of `id` is longer than this context's
 *                              nonce allows: the request belongs to another context */
NACRE_MUST_USE nacre_err nacre_unprotect_response(nacre_context *ctx, const nacre_crypto *crypto,
                                                  const nacre_request_id *id, nacre_message *plain,
                                                  nacre_response_info *info, nacre_buf buf, const nacre_message *outer);

/* ---- Bursts ----------------------------------------------------------------------------------------------------------
 * The same for many messages, so that a provider can run their ciphers in parallel. Results are those of the single calls
 * in the order of the items. Items may share a context. Of two requests with one Partial IV, the second is a replay when
 * the first is accepted, and does not count as a failed decryption even if its tag does not match. Two items must not
 * share a nacre_request_id or buffer. Items are processed NACRE_BURST at a time, with about 250 bytes of stack each. */
enum { NACRE_BURST = 32 };

typedef struct nacre_protect_item {
    nacre_context *context;
    nacre_request_id *id; /* request: set on NACRE_OK; response: of the request that it answers */
    nacre_buf buf;
    const nacre_message *plain;           /* a request or a response */
    const nacre_protect_options *options; /* may be NULL */
    nacre_bytes out;                      /* set on NACRE_OK */
    nacre_err err;                        /* as nacre_protect_request and nacre_protect_response */
} nacre_protect_item;
void nacre_protect_many(const nacre_crypto *crypto, nacre_protect_item *items, size_t num);

/* A message between the two steps of its protection: for callers that make messages one by one and encrypt them in one
 * batch. Do not move or copy it between the steps; context and buffer must stay valid, and the buffer holds the message
 * in clear. */
typedef struct nacre_protection {
    nacre_aead_job job; /* private */
    uint8_t nonce[NACRE_MAX_NONCE];
    uint8_t aad[NACRE_MAX_AAD];
    nacre_request_id new_id;
    bool is_request;
    nacre_buf used;
} nacre_protection;

/* nacre_protect_begin is the first step for one item. Results and use of sequence numbers are those of nacre_protect_many; on
 * NACRE_OK, `out` is where the message will be. */
NACRE_MUST_USE nacre_err nacre_protect_begin(const nacre_crypto *crypto, nacre_protection *p, nacre_protect_item *item);

/* nacre_protect_finish is the second step, for up to NACRE_BURST messages. `ok` is set for each message: whether it
 * succeeded; when the provider fails, the buffer is wiped. */
void nacre_protect_finish(const nacre_crypto *crypto, nacre_protection *const *protections, bool *ok, size_t num);

typedef struct nacre_unprotect_item {
    nacre_context *context;
    nacre_request_id *id; /* request: set as nacre_unprotect_request sets it; response: of our request, only read */
    nacre_buf buf;
    const nacre_message *outer;
    bool is_response;
    nacre_message plain;      /* set on NACRE_OK */
    nacre_response_info info; /* responses: set on NACRE_OK */
    nacre_err err;            /* as nacre_unprotect_request and nacre_unprotect_response */
} nacre_unprotect_item;
void nacre_unprotect_many(const nacre_crypto *crypto, nacre_unprotect_item *items, size_t num);

#ifdef __cplusplus
}
#endif

#endif
