/* SPDX-License-Identifier: MIT */
/* rederive: fresh contexts from an old master secret, agreed with two exchanges (RFC 8613 Appendix B.2). For a device that
 * lost its sequence numbers or replay window and has good randomness; both sides need it.
 *
 *     client                                       server
 *       |  request #1, context 1 = derive(R1)         |     kid context: R1
 *       |-------------------------------------------->|
 *       |  4.01, context 2 = derive(R2 | R1)          |     kid context: R2
 *       |<--------------------------------------------|
 *       |  request #2, context 3 = derive(R2 | R3)    |     kid context: R2 | R3
 *       |-------------------------------------------->|     each R2 offered so far is void from here on
 *       |  answer, context 3                          |
 *       |<--------------------------------------------|
 *
 * Contexts 1 and 2 live only as long as this takes. Context 3 is volatile: after a boot it is made anew. In the kid context
 * field the IDs travel wrapped as a CBOR byte string; in the derivation they are raw. Nothing here allocates: contexts and
 * their key room are the caller's; so are R1, R3 and S2, from a good random source, new for each call. `material` gives
 * algorithm, secret, salt and IDs; its id_context counts only where an ordinary request serves as #1, its sequence numbers
 * and window memory never.
 *
 * After response #2 both sides use context 3. Requests should go on naming it, by its ID Context R2 | R3, raw, in the kid
 * context, as nacre_protect_request does unless it is told otherwise: a server that also keeps an older context under the
 * same kid may look at that one only when no kid context comes.
 */
#ifndef NACRE_REDERIVE_H
#define NACRE_REDERIVE_H

#include <nacre/base.h>
#include <nacre/context.h>
#include <nacre/oscore.h>

#ifdef __cplusplus
extern "C" {
#endif

/* R1 and R3 have NACRE_REDERIVE_NONCE bytes, and so must those of a peer. An R2 made here has NACRE_REDERIVE_R2 bytes; a
 * client takes one of 1 to NACRE_REDERIVE_MAX_R2, because its form is the server's choice (RFC 8613 B.2). */
enum {
    NACRE_REDERIVE_NONCE = 8,
    NACRE_REDERIVE_S2 = 7,
    NACRE_REDERIVE_R2 = 16,
    NACRE_REDERIVE_KEY = 32,
    NACRE_REDERIVE_MAX_R2 = 32,
    NACRE_REDERIVE_MAX_ID = NACRE_REDERIVE_MAX_R2 + NACRE_REDERIVE_NONCE
};

/* A context with the memory that it needs for an ID Context of its own. `key_buf` is as nacre_context_key_layout says. All
 * zero but for the key room before its first use; wipe `context` when it ends. */
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
    bool waiting; /* for response #1 */
} nacre_rederive_client;

/* nacre_rederive_begin makes context 1 in `own`: protect the request with it, with the options of nacre_rederive_options.
 * NACRE_OK, or as nacre_context_init. */
NACRE_MUST_USE nacre_err nacre_rederive_begin(nacre_rederive_client *client, nacre_rederived *own,
                                              const nacre_crypto *crypto, const nacre_context_params *material,
                                              const uint8_t r1[NACRE_REDERIVE_NONCE]);

/* nacre_rederive_follow is for a request of an ordinary context, `first`, that was answered by a response with a kid context:
 * the server may have lost its state and started the procedure, which nacre_rederive_response tells.
 * NACRE_OK                 go on with nacre_rederive_response; `own` may be empty there
 * NACRE_ERR_BAD_ARGUMENT   first's ID Context is longer than 8 bytes, which this procedure does not take */
NACRE_MUST_USE nacre_err nacre_rederive_follow(nacre_rederive_client *client, const nacre_context_params *material,
                                               const nacre_context *first);

/* The options to give to nacre_protect_request for the next request: kid context R1, or R2 | R3. They point into `client`.
 * Once an answer to request #2 has verified, they are no longer needed. */
nacre_protect_options nacre_rederive_options(const nacre_rederive_client *client);

/* nacre_rederive_response takes response #1: verifies it with context 2, which lives in `spare` for that long, and puts
 * context 3 in the place of context 1. Then protect the request again, with nacre_rederive_options.
 * NACRE_OK                     `own` is context 3
 * NACRE_ERR_NOT_PROTECTED, NACRE_ERR_DECODE, NACRE_ERR_PROTECTION_INVALID, … as nacre_unprotect_response, and
 * NACRE_ERR_NO_CONTEXT         it has no kid context of the right form
 * NACRE_ERR_BAD_ARGUMENT       response #1 was taken already
 * On failure nothing has changed but `spare`, which is wiped: drop the answer and wait on. `room` is as for
 * nacre_unprotect_response; what it holds is wiped, for the answer is no more than a signal. */
NACRE_MUST_USE nacre_err nacre_rederive_response(nacre_rederive_client *client, nacre_rederived *own,
                                                 nacre_rederived *spare, const nacre_crypto *crypto,
                                                 const nacre_request_id *request_1, nacre_buf room,
                                                 const nacre_message *outer, const uint8_t r3[NACRE_REDERIVE_NONCE]);

/* ---- Server ----
 *
 * An offer is an R2 in a response #1. It is kept nowhere: R2 is made of S2, which is random, and a MAC over S2, the time and
 * a generation, so that the server recognises it (RFC 8613 B.2). However many requests #1 arrive, captured
 * ones too, no offer displaces another.
 *
 *     an offer                                                         stands, until …
 *     of this server object (its key is made at each start)            the object is wiped or initialised anew
 *     in time                                                          lifetime_ms have passed; of 1 s and more, up to
 *                                                                      1 % earlier
 *     of this generation                                               nacre_rederive_accept has taken a request #2, or
 *                                                                      nacre_rederive_void_offers was called
 *
 * A copy of the process's memory (fork, an image of a virtual machine) copies the key: two processes would then accept the
 * same request #2, and answer it differently under the same key and nonce. Initialise the server anew in the copy, before it
 * is used. */
typedef struct nacre_rederive_server {
    uint8_t key[NACRE_REDERIVE_KEY]; /* private */
    uint64_t generation;
    uint32_t lifetime_ms; /* 0: makes no offers, and accepts none */
} nacre_rederive_server;

/* nacre_rederive_server_init: one for each peer. `key` comes from a good random source, new at each start: never stored,
 * never shared. `lifetime_ms` is how long an offer stands; EXCHANGE_LIFETIME (RFC 7252 4.8.2, 247 s) is enough for each
 * message to be retransmitted and late. Wipe the object with nacre_wipe when it ends. */
void nacre_rederive_server_init(nacre_rederive_server *server, const uint8_t key[NACRE_REDERIVE_KEY],
                                uint32_t lifetime_ms);

/* nacre_rederive_void_offers: the offers so far are void. For a device that is client of the same peer too: call it when an
 * answer to its own request #2 has verified, because a request #2 of the peer from before would end the new context. */
void nacre_rederive_void_offers(nacre_rederive_server *server);

/* Whether a message's kid context has the form of R1 (8 bytes, wrapped) or R2 | R3 (24 bytes, wrapped). A server looks for
 * an ordinary context first, and for input material with that kid then. */
typedef enum nacre_rederive_step {
    NACRE_REDERIVE_NONE = 0,
    NACRE_REDERIVE_REQUEST_1,
    NACRE_REDERIVE_REQUEST_2,
} nacre_rederive_step;
nacre_rederive_step nacre_rederive_recognise(const nacre_oscore_option *option);

/* nacre_rederive_offer_r2 takes request #1, verifies it with context 1 and makes response #1 with context 2 and an R2 made of
 * `s2` (both contexts live in `spare` for that long). The request itself is not acted on, and `server` does not change.
 * `header` gives the answer's type, MID and token. `now_ms` is of a clock that never goes back, the same one as for
 * nacre_rederive_accept. With `ordinary` an ordinary request serves as #1, made with the ID Context of `material`: the server
 * has lost its state, and starts the procedure.
 * NACRE_OK                send `out`
 * NACRE_ERR_BAD_ARGUMENT  `ordinary`, and the ID Context of `material` is longer than 8 bytes; or `server` is not initialised
 * NACRE_ERR_NO_CONTEXT    the kid context has not the form of R1
 * others                  as nacre_context_init, nacre_unprotect_request and nacre_protect_response; no offer was made */
NACRE_MUST_USE nacre_err nacre_rederive_offer_r2(const nacre_rederive_server *server, nacre_rederived *spare,
                                                 const nacre_crypto *crypto, const nacre_context_params *material,
                                                 bool ordinary, nacre_bytes *out, nacre_buf room, nacre_buf scratch,
                                                 const nacre_message *outer, const nacre_message *header,
                                                 const uint8_t s2[NACRE_REDERIVE_S2], uint64_t now_ms);

/* nacre_rederive_accept takes request #2: its R2 must be an offer of `server` that stands at `now_ms`; context 3 is made in
 * `spare` and the request verified with it. Then it takes the place of what `own` held, and all offers to this peer are void:
 * a copy of the request fails (RFC 8613 B.2), and so does any other request #2 from before.
 * NACRE_OK             `own`, `id`, `plain` are set: deliver it, answer with own->context, and use that from now on. The
 *                      contexts that came before it end now
 * NACRE_ERR_NO_CONTEXT no such offer, or it does not stand any more: 4.01, and nothing has changed
 * others               as nacre_unprotect_request; `own` is as it was, `spare` wiped, and the offer stands */
NACRE_MUST_USE nacre_err nacre_rederive_accept(nacre_rederive_server *server, nacre_rederived *own,
                                               nacre_rederived *spare, const nacre_crypto *crypto,
                                               const nacre_context_params *material, nacre_request_id *id,
                                               nacre_message *plain, nacre_buf room, const nacre_message *outer,
                                               uint64_t now_ms);

#ifdef __cplusplus
}
#endif

#endif
