/* SPDX-License-Identifier: MIT */
/* rederive: fresh contexts from an old master secret, agreed in two exchanges (RFC 8613 Appendix B.2). For a device that
 * lost its sequence numbers or replay window and has good randomness; both sides need it.
 *
 *     client                                       server
 *       |  request #1, context 1 = derive(R1)         |     kid context: R1
 *       |-------------------------------------------->|
 *       |  4.01, context 2 = derive(R2 | R1)          |     kid context: R2
 *       |<--------------------------------------------|
 *       |  request #2, context 3 = derive(R2 | R3)    |     kid context: R2 | R3
 *       |-------------------------------------------->|     all R2 offered so far become void
 *       |  response, context 3                        |
 *       |<--------------------------------------------|
 *
 * Contexts 1 and 2 exist only during the procedure. Context 3 is volatile: derived again after a boot. In the kid
 * context field the IDs are wrapped as a CBOR byte string; in the derivation they are raw. Nothing here allocates: the
 * caller supplies contexts and their key_buf, and R1, R3 and S2 from a good random source, new for each call.
 * `material` gives algorithm, secret, salt and IDs; its id_context is used only where an ordinary request serves as #1,
 * its sequence numbers and window memory never.
 *
 * After response #2 both sides use context 3. Requests should keep naming it, by its ID Context R2 | R3, raw, in the kid
 * context, as nacre_protect_request does by default: without a kid context, a server that keeps an older context under the
 * same kid may try only that one.
 */
#ifndef NACRE_REDERIVE_H
#define NACRE_REDERIVE_H

#include <nacre/base.h>
#include <nacre/context.h>
#include <nacre/oscore.h>

#ifdef __cplusplus
extern "C" {
#endif

/* R1 and R3 have NACRE_REDERIVE_NONCE bytes, those of a peer too. An R2 made here has NACRE_REDERIVE_R2 bytes; a client
 * accepts 1 to NACRE_REDERIVE_MAX_R2, because its form is the server's choice (RFC 8613 B.2). */
enum {
    NACRE_REDERIVE_NONCE = 8,
    NACRE_REDERIVE_S2 = 7,
    NACRE_REDERIVE_R2 = 16,
    NACRE_REDERIVE_KEY = 32,
    NACRE_REDERIVE_MAX_R2 = 32,
    NACRE_REDERIVE_MAX_ID = NACRE_REDERIVE_MAX_R2 + NACRE_REDERIVE_NONCE
};

/* A context with memory for its own ID Context. For `key_buf` see nacre_context_key_layout. All zero except key_buf before
 * its first use; wipe `context` at the end. */
typedef struct nacre_rederived {
    nacre_context context;
    uint8_t id_context[NACRE_REDERIVE_MAX_ID];
    nacre_buf key_buf;
} nacre_rederived;

/* ---- Client ---- */
typedef struct nacre_rederive_client {
    const nacre_context_params *material; /* private; borrowed until the end */
    uint8_t id_1[NACRE_REDERIVE_NONCE];   /* R1, or the ID Context of an ordinary request #1 */
    uint8_t id_1_len;
    uint8_t common_iv[NACRE_MAX_NONCE];       /* of context 1 */
    uint8_t field[2 + NACRE_REDERIVE_MAX_ID]; /* the kid context field to send */
    uint8_t field_len;
    bool waiting; /* response #1 is outstanding */
} nacre_rederive_client;

/* nacre_rederive_begin derives context 1 in `derived`: protect the request with it and the options of nacre_rederive_options.
 * NACRE_OK, or as nacre_context_init. */
NACRE_MUST_USE nacre_err nacre_rederive_begin(nacre_rederive_client *client, nacre_rederived *derived,
                                              const nacre_crypto *crypto, const nacre_context_params *material,
                                              const uint8_t r1[NACRE_REDERIVE_NONCE]);

/* nacre_rederive_follow: a request under an ordinary context, `first`, got a response with a kid context: the server may have
 * lost its state and started the procedure; nacre_rederive_response decides.
 * NACRE_OK                 continue with nacre_rederive_response; `derived` may be empty there
 * NACRE_ERR_BAD_ARGUMENT   first's ID Context is longer than 8 bytes */
NACRE_MUST_USE nacre_err nacre_rederive_follow(nacre_rederive_client *client, const nacre_context_params *material,
                                               const nacre_context *first);

/* Options of nacre_protect_request for the next request: kid context R1, or R2 | R3. They point into `client`, and are needed
 * until a response to request #2 has verified. */
nacre_protect_options nacre_rederive_options(const nacre_rederive_client *client);

typedef struct nacre_rederive_response_1 {
    const nacre_crypto *crypto;
    const nacre_request_id *request; /* identity of request #1 */
    const nacre_message *outer;      /* the response, as received */
    const uint8_t *r3;               /* NACRE_REDERIVE_NONCE random bytes */
} nacre_rederive_response_1;

/* nacre_rederive_response takes response #1: verifies it with context 2, held in `spare` meanwhile, and replaces context 1 by
 * context 3. Then protect the request again, with nacre_rederive_options.
 * NACRE_OK                     `derived` is context 3
 * NACRE_ERR_NOT_PROTECTED, NACRE_ERR_DECODE, NACRE_ERR_PROTECTION_INVALID, … as nacre_unprotect_response, and
 * NACRE_ERR_NO_CONTEXT         it has no kid context of the right form
 * NACRE_ERR_BAD_ARGUMENT       response #1 was taken already
 * On failure only `spare` changes (wiped): drop the response and keep waiting. `buf` is as for nacre_unprotect_response; its
 * content is wiped, because the response is only a signal. */
NACRE_MUST_USE nacre_err nacre_rederive_response(nacre_rederive_client *client, nacre_rederived *derived,
                                                 nacre_rederived *spare, nacre_buf buf,
                                                 const nacre_rederive_response_1 *response);

/* ---- Server ----
 *
 * An offer is an R2 in a response #1. It is not stored: R2 consists of S2, which is random, and a MAC over S2, the time and a
 * generation, by which the server recognises it (RFC 8613 B.2). However many requests #1 arrive, replayed or not, no offer
 * displaces another.
 *
 *     an offer                                                         is valid until …
 *     of this server object (its key is made at each start)            the object is wiped or initialised again
 *     by age                                                           lifetime_ms have passed; from 1 s on, up to
 *                                                                      1 % earlier
 *     of this generation                                               nacre_rederive_accept has taken a request #2, or
 *                                                                      nacre_rederive_void_offers was called
 *
 * A copy of the process's memory (fork, an image of a virtual machine) copies the key: two processes would then accept
 * the same request #2, and answer it differently under the same key and nonce. Initialise the server again in the copy
 * before use. */
typedef struct nacre_rederive_server {
    uint8_t key[NACRE_REDERIVE_KEY]; /* private */
    uint64_t generation;
    uint32_t lifetime_ms; /* 0: makes and accepts no offers */
} nacre_rederive_server;

/* nacre_rederive_server_init: one for each peer. `key` comes from a good random source, new at each start: never stored,
 * never shared. `lifetime_ms` is how long an offer is valid; EXCHANGE_LIFETIME (RFC 7252 4.8.2, 247 s) covers late and
 * retransmitted messages. Wipe the object with nacre_wipe at the end. */
void nacre_rederive_server_init(nacre_rederive_server *server, const uint8_t key[NACRE_REDERIVE_KEY],
                                uint32_t lifetime_ms);

/* nacre_rederive_void_offers voids all offers so far. A device that is also a client of the same peer calls it when a
 * response to its own request #2 has verified, because an earlier request #2 of the peer would end the new context. */
void nacre_rederive_void_offers(nacre_rederive_server *server);

/* Whether a message's kid context has the form of R1 (8 bytes, wrapped) or R2 | R3 (24 bytes, wrapped). A server looks for an
 * ordinary context first, then for input material with that kid. */
typedef enum nacre_rederive_step {
    NACRE_REDERIVE_NONE = 0,
    NACRE_REDERIVE_REQUEST_1,
    NACRE_REDERIVE_REQUEST_2,
} nacre_rederive_step;
nacre_rederive_step nacre_rederive_recognise(const nacre_oscore_option *option);

typedef struct nacre_rederive_request_1 {
    const nacre_crypto *crypto;
    const nacre_context_params *material;
    const nacre_message *outer;  /* the request, as received */
    const nacre_message *header; /* type, MID and token of the response */
    bool ordinary;     /* an ordinary request, made with the ID Context of `material`, serves as #1: the server
                                    has lost its state and starts the procedure */
    const uint8_t *s2; /* NACRE_REDERIVE_S2 random bytes */
    uint64_t now_ms;   /* of a monotonic clock, the same as for nacre_rederive_accept */
    nacre_buf scratch; /* for the request's plaintext, as nacre_unprotect_request */
} nacre_rederive_request_1;

/* nacre_rederive_offer_r2 verifies request #1 with context 1 and writes response #1, at the start of `buf`, with context 2 and
 * an R2 made of `s2` (`spare` holds both contexts meanwhile). The request is not acted on; `server` does not change.
 * NACRE_OK                send `out`
 * NACRE_ERR_BAD_ARGUMENT  `ordinary`, and the ID Context of `material` is longer than 8 bytes; or `server` is not initialised
 * NACRE_ERR_NO_CONTEXT    the kid context does not have the form of R1
 * others                  as nacre_context_init, nacre_unprotect_request and nacre_protect_response; no offer was made */
NACRE_MUST_USE nacre_err nacre_rederive_offer_r2(const nacre_rederive_server *server, nacre_rederived *spare,
                                                 nacre_bytes *out, nacre_buf buf,
                                                 const nacre_rederive_request_1 *request);

typedef struct nacre_rederive_request_2 {
    const nacre_crypto *crypto;
    const nacre_context_params *material;
    const nacre_message *outer; /* the request, as received */
    uint64_t now_ms;
} nacre_rederive_request_2;

/* nacre_rederive_accept takes request #2: its R2 must be an offer of `server` valid at `now_ms`. The request is verified with
 * context 3, derived in `spare`; then context 3 replaces that in `derived` and all offers to this peer become void, so that
 * copies of the request (RFC 8613 B.2) and earlier requests #2 fail.
 * NACRE_OK             `derived`, `id`, `plain` are set: deliver it, respond with derived->context, and use that from now on.
 *                      Earlier contexts end now
 * NACRE_ERR_NO_CONTEXT no such offer, or no longer valid: respond 4.01; nothing has changed
 * others               as nacre_unprotect_request; `derived` is unchanged, `spare` wiped, the offer still valid */
NACRE_MUST_USE nacre_err nacre_rederive_accept(nacre_rederive_server *server, nacre_rederived *derived,
                                               nacre_rederived *spare, nacre_request_id *id, nacre_message *plain,
                                               nacre_buf buf, const nacre_rederive_request_2 *request);

#ifdef __cplusplus
}
#endif

#endif
