/* SPDX-License-Identifier: MIT */
/* oscore: protect and unprotect one message (RFC 8613 4 to 8).
 *
 * The way of an exchange: the client calls nacre_protect_request and keeps the nacre_request_id with the exchange; the
 * server parses, finds the context with nacre_verify_start and nacre_table_find, calls nacre_unprotect_request and keeps
 * its own nacre_request_id; nacre_protect_response and, at the client, nacre_unprotect_response take that identity, which
 * binds the answer to its request. Nothing here allocates, blocks or keeps state outside the context and the identity.
 *
 * Failure, everywhere in this header: outputs are untouched, output room is wiped as far as it was written, and the
 * context is unchanged but for its counter of failed decryptions. One exception: when the cipher itself fails in
 * protect (NACRE_ERR_CRYPTO), the number handed to it stays spent, and the right to a request's nonce used. */
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

/* nacre_oscore_option_write: NACRE_OK; NACRE_ERR_BUFFER_TOO_SMALL; NACRE_ERR_BAD_ARGUMENT (Partial IV above 5 bytes or present and
 * empty, kid context above 255). */
NACRE_MUST_USE nacre_err nacre_oscore_option_write(const nacre_oscore_option *opt, nacre_bytes *out, nacre_buf room);

/* nacre_verify_start reads the OSCORE option of a message, so that the caller can pick the context.
 * NACRE_OK                `opt` is set; its slices live as long as the message
 * NACRE_ERR_NOT_PROTECTED there is no OSCORE option
 * NACRE_ERR_DECODE        it is malformed or there twice, or the message has no payload (RFC 8613 2); answer 4.02 */
NACRE_MUST_USE nacre_err nacre_verify_start(nacre_oscore_option *opt, const nacre_message *message);

/* The identity of one request, kept with its exchange until the last answer: what the AAD of every answer is made of.
 * It is moved, not copied: at most one holder has the right to answer with the request's own nonce, and using that right
 * ends it. nacre_request_id_dup gives a copy without the right. */
typedef struct nacre_request_id {
    const nacre_context *context; /* private: whose right to the nonce it is; compared, never followed */
    uint8_t keys[8]; /* … and of which keys, by their Common IV: a context's place may hold others later */
    uint8_t kid[NACRE_MAX_ID];
    uint8_t partial_iv[5];
    uint8_t kid_len, partial_iv_len;
    uint8_t flags;
} nacre_request_id;
nacre_request_id nacre_request_id_dup(const nacre_request_id *id);

/* How to protect; NULL, and all zero, is what RFC 8613 asks of a plain exchange. */
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

/* nacre_protect_size is room that is enough for protecting `plain` with `ctx`, in bytes; 0 when `plain` cannot be
 * protected, as nacre_protect_request will then say. */
size_t nacre_protect_size(const nacre_context *ctx, const nacre_message *plain, const nacre_protect_options *options);

/* nacre_protect_request protects a request and makes the datagram to send (RFC 8613 8.1): type, MID and token are
 * taken from `plain`, the code becomes POST, or FETCH with Observe. Spends one sequence number. Send these same bytes
 * again for a retransmission; never protect twice for that.
 * NACRE_OK                      `id` and `out` (the start of `room`) are set
 * NACRE_ERR_NOT_YET             the store must confirm numbers first (nacre_context_needs): try again afterwards
 * NACRE_ERR_CONTEXT_UNAVAILABLE numbers are used up: new keys are needed; or the context was stopped (nacre_context_stop)
 * NACRE_ERR_BUFFER_TOO_SMALL             `room` too small: nacre_protect_size
 * NACRE_ERR_NESTED              `plain` has an OSCORE option
 * NACRE_ERR_TOO_LONG            more plaintext than the algorithm takes, or a kid context above 255 bytes
 * NACRE_ERR_BAD_ARGUMENT        `plain` is no request, its options are not well-formed, or `crypto` is of another
 *                               provider than the context's keys
 * NACRE_ERR_UNSUPPORTED         the AAD is longer than the provider takes; or a Proxy-Uri option, in a core that was compiled
 *                               with NACRE_NO_PROXY_URI, which spares a small device 2.5 KB of text
 * NACRE_ERR_BAD_URI             a Proxy-Uri option that is no URI (it is split, RFC 8613 4.1.3.3); twice, or beside
 *                               Uri-Path or Uri-Query, it is NACRE_ERR_BAD_ARGUMENT (RFC 7252 5.10.2)
 * NACRE_ERR_CRYPTO              the library failed
 * In place: `room` may hold the payload, wherever in it; or the whole plain message at its start, as nacre_message_write
 * leaves it, when none of its options stays outside. Anything else in the room, and any of it beside a Proxy-Uri, is
 * NACRE_ERR_BAD_ARGUMENT. On success the plain message is gone. */
NACRE_MUST_USE nacre_err nacre_protect_request(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id,
                                               nacre_bytes *out, nacre_buf room, const nacre_message *plain,
                                               const nacre_protect_options *options);

/* nacre_protect_response protects an answer to the request `id` (RFC 8613 8.3): the code becomes 2.04, or 2.05 with
 * Observe. May spend a sequence number, and then returns as nacre_protect_request does; also
 * NACRE_ERR_NONCE_USED   NACRE_NONCE_REQUEST was asked for, and the right is gone or never was there
 * NACRE_ERR_BAD_ARGUMENT also when `plain` is no response, or the kid of `id` is longer than this context's nonce allows:
 *                        it is of a request of another context */
NACRE_MUST_USE nacre_err nacre_protect_response(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id,
                                                nacre_bytes *out, nacre_buf room, const nacre_message *plain,
                                                const nacre_protect_options *options);

/* nacre_unprotect_request verifies and decrypts a request (RFC 8613 8.2) into `room`, which needs the size of the
 * message and must not overlap it. The replay window moves only when the tag has verified.
 * NACRE_OK                     `plain` is set: header and token of the outer message, inner code, inner options merged
 *                              with the outer ones that stay (Uri-Host …), payload. Slices point into `room`, the token
 *                              into the outer message. `id` is set
 * NACRE_ERR_NOT_PROTECTED      no OSCORE option
 * NACRE_ERR_DECODE             malformed option, no Partial IV or kid, no payload: 4.02
 * NACRE_ERR_NO_CONTEXT         the kid or kid context is not this context's: try another, or 4.01
 * NACRE_ERR_REPLAY             seen before, too old, or the window is uninitialised and the context has no Echo value: 4.01
 * NACRE_ERR_REPLAY_ECHO        the tag verified, but the window is uninitialised and the request has not the Echo value:
 *                              `id` is set; answer with nacre_protect_echo and do not act on the request
 * NACRE_ERR_PROTECTION_INVALID the tag does not match, or the plaintext is no request: 4.00
 * NACRE_ERR_NOT_YET            the tag verified, but the store must forget its window first (nacre_context_needs): try
 *                              the same bytes again afterwards
 * NACRE_ERR_CONTEXT_UNAVAILABLE (stopped: 5.03), NACRE_ERR_BUFFER_TOO_SMALL, NACRE_ERR_BAD_ARGUMENT (`crypto` of another provider) */
NACRE_MUST_USE nacre_err nacre_unprotect_request(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id,
                                                 nacre_message *plain, nacre_buf room, const nacre_message *outer);

/* nacre_protect_echo makes the protected 4.01 with the context's Echo value that a request gets which returned
 * NACRE_ERR_REPLAY_ECHO (RFC 8613 B.1.2), with a new Partial IV. `header` gives type, MID and token; its code, options
 * and payload are ignored. Returns as nacre_protect_response; NACRE_ERR_BAD_ARGUMENT when the context has no Echo value. */
NACRE_MUST_USE nacre_err nacre_protect_echo(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id,
                                            nacre_bytes *out, nacre_buf room, const nacre_message *header);

/* What a response says beside its message: its Partial IV, which orders notifications (RFC 8613 7.4.1). */
typedef struct nacre_response_info {
    bool has_partial_iv;
    uint64_t partial_iv;
} nacre_response_info;

/* The order of notifications at a client: one for each observation, all zero at its start (RFC 8613 7.4.1). Call
 * nacre_notification_accept for every verified answer to the registration that has an Observe option.
 * NACRE_OK          newer than all before: deliver it
 * NACRE_ERR_REPLAY  seen before, older than one delivered, or a second one without a Partial IV: drop it; `order` unchanged
 * An observation stays what it is after a drop; it ends with an answer without Observe. */
typedef struct nacre_notification_order {
    uint64_t number; /* private: the Notification Number */
    bool has_number, any;
} nacre_notification_order;
NACRE_MUST_USE nacre_err nacre_notification_accept(nacre_notification_order *order, const nacre_response_info *info);

/* nacre_unprotect_response verifies and decrypts an answer to the request `id` (RFC 8613 8.4). Room and slices as in
 * nacre_unprotect_request. It does not look at replays: an answer is bound to its request, and the caller ends the
 * exchange or orders notifications by `info` (may be NULL).
 * NACRE_OK                     `plain` (and `info`) set
 * NACRE_ERR_NOT_PROTECTED      no OSCORE option: at best a hint that nobody vouches for
 * NACRE_ERR_DECODE, NACRE_ERR_NO_CONTEXT (it names another kid or kid context), NACRE_ERR_PROTECTION_INVALID: drop it
 * NACRE_ERR_BUFFER_TOO_SMALL, NACRE_ERR_BAD_ARGUMENT as above; the latter also when the kid of `id` is longer than this context's
 *                              nonce allows: it is of a request of another context */
NACRE_MUST_USE nacre_err nacre_unprotect_response(nacre_context *ctx, const nacre_crypto *crypto,
                                                  const nacre_request_id *id, nacre_message *plain,
                                                  nacre_response_info *info, nacre_buf room,
                                                  const nacre_message *outer);

/* ---- Bursts ----------------------------------------------------------------------------------------------------------
 * The same, for many messages at once, so that a provider can run many ciphers side by side. Results are those of the
 * single calls in the order of the items; items may share a context, and of two requests with one Partial IV in a burst
 * the second is a replay once the first is accepted, and is not counted as a failed decryption, whatever became of its
 * tag. Two items must not share a request identity or room. The calls work in pieces of NACRE_BURST items and take about
 * 250 bytes of stack for each item of a piece. */
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

/* A message between the two steps of its protection, for who makes messages one by one and has their ciphers run in one
 * burst. It is not moved or copied between them; the context and the room stay where they are, and the room holds the
 * message in clear. */
typedef struct nacre_protection {
    nacre_aead_job job; /* private */
    uint8_t nonce[NACRE_MAX_NONCE];
    uint8_t aad[NACRE_MAX_AAD];
    nacre_request_id own;
    bool is_request;
    nacre_buf used;
} nacre_protection;

/* nacre_protect_begin is the first step, for a request or a response: results, and what is spent, as with
 * nacre_protect_request and nacre_protect_response. On NACRE_OK `out` says where the message will stand. */
NACRE_MUST_USE nacre_err nacre_protect_begin(nacre_context *ctx, const nacre_crypto *crypto, nacre_protection *p,
                                             nacre_request_id *id, nacre_bytes *out, nacre_buf room,
                                             const nacre_message *plain, const nacre_protect_options *options);

/* nacre_protect_finish is the second, for up to NACRE_BURST messages; `ok` says for each whether it stands in its room
 * now. The room of one that does not is wiped: the provider failed. */
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
