/* SPDX-License-Identifier: MIT */
/* rederivation: fresh contexts with a peer, agreed over an endpoint by RFC 8613 B.2 (message flow and single steps:
 * nacre/rederive.h). For devices that lose their sequence numbers or replay windows and have good randomness; both sides need
 * it, and the same secret.
 *
 *     nacre_rederivation r = { .material = …, .derived.key_buf = …, .spare.key_buf = …, .is_client = true };
 *     nacre_endpoint_add_rederivation(ep, &r)
 *     nacre_endpoint_request_with(ep, …, NULL, …, &(nacre_request_options){ .rederivation = &r }, …)
 *     NACRE_EVENT_REDERIVED    there is a context now; the request that triggered it continues
 *     nacre_endpoint_remove_rederivation(ep, &r)
 *
 * Ownership. A rederivation holds the context in use; the procedure replaces its keys, its address stays the same. The
 * endpoint owns it: not in the table but found by its Recipient ID, never persistent, not shared, wiped by
 * nacre_endpoint_remove_rederivation. An earlier context, `first`, stays the caller's: it is unused after
 * NACRE_EVENT_REDERIVED; take it out of the table, call nacre_endpoint_remove_context, wipe it.
 *
 * What ends. When new keys replace old ones, everything in flight under the old ones ends as by
 * nacre_endpoint_remove_context: requests sent and observers with NACRE_ERR_NO_CONTEXT; unanswered requests received get
 * 4.01, because the peer no longer has the old keys.
 *
 * Client. A request with `rederivation` is sent under the context in use. If there is none it is request #1, then
 * request #2; the endpoint draws R1 and R3. Other requests with this rederivation wait until a response to #2 has
 * verified. If the request fails, so does the procedure; the next request starts it again. A peer that has lost its
 * state starts the procedure in its response to an ordinary request under `first` (ID Context of at most 8 bytes); the
 * endpoint follows. Under a rederived context it cannot (the ID Context is too long) and responds unprotected:
 * NACRE_ERR_UNAUTHENTICATED, which proves nothing; to act on it, call nacre_endpoint_rederive.
 *
 * Requests under the context in use name it, by its ID Context in the kid context, on either side and as long as it is used:
 * the peer may have an older context under the same kid, unknown to the endpoint. That costs 25 bytes per request with an R2
 * made by nacre, 17 with one of 8 bytes. Received requests may omit the kid context.
 *
 * Server. Request #1 is answered with a protected 4.01 and a fresh R2, and is not delivered; request #2 is, under the new
 * context. While there is no context in use, an ordinary request serves as #1. Messages may be lost, duplicated and
 * reordered. An R2 is valid for timing.exchange_lifetime_ms, or up to 1 % less, and until a procedure with the peer
 * completes, on either side: a later request #2 gets a plain 4.01, is not delivered, and ends nothing. Offers take no memory,
 * so none displaces another.
 *
 * Rate. A request #1, or a request #2 with a valid R2, costs key derivations before its sender is verified. It takes a token of
 * its source (nacre_admission_config: source_per_second), else of its peer (context_challenges_per_second), else of all
 * (challenges_per_second); without one it is dropped, and its retransmission tries again. Forged and replayed requests change
 * nothing and take nothing of other sources; a peer whose source is flooded, or forged, has the other rates, at random.
 *
 * Copies of memory. A rederivation belongs to one process: after fork, or in a second machine started from the same image,
 * remove it and add it again before anything is received. Otherwise both copies accept the same request #2, and use one key
 * and nonce for two responses. */
#ifndef NACRE_REDERIVATION_H
#define NACRE_REDERIVATION_H

#include <nacre/base.h>
#include <nacre/endpoint.h>
#include <nacre/rederive.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All zero except what is set. It must not move while it is added. */
struct nacre_rederivation {
    /* algorithm, secret, salt, IDs; pointers are borrowed. Its ID Context, at most 8 bytes, is that of ordinary requests that
     * serve as #1 */
    nacre_context_params material;
    nacre_rederived derived, spare; /* set their key_buf, see nacre_context_key_layout; the rest is private */
    nacre_context *first;           /* an earlier context with this peer; NULL: none, or lost */
    bool is_client, is_server;      /* client, server: the roles the endpoint takes */
    void *user;                     /* passed with NACRE_EVENT_REDERIVED */

    nacre_endpoint *endpoint; /* private from here on */
    struct nacre_rederivation *next, *next_news;
    nacre_context *current; /* `first`, or in `derived`; NULL: none */
    nacre_rederive_client client;
    nacre_rederive_server offers;
    nacre_exchange leader; /* the request that carries the procedure; none: not in progress */
    uint64_t rate_limit;
    nacre_address peer;
    bool has_news;
};

/* nacre_endpoint_add_rederivation enables the procedure with this peer.
 * NACRE_OK                enabled
 * NACRE_ERR_BAD_ARGUMENT  added already; no role set; an ID Context above 8 bytes; material that nacre_context_init refuses,
 *                         or a misaligned key_buf
 * NACRE_ERR_BUFFER_TOO_SMALL       a key_buf too small
 * NACRE_ERR_UNSUPPORTED, NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY  as nacre_context_init */
NACRE_MUST_USE nacre_err nacre_endpoint_add_rederivation(nacre_endpoint *ep, nacre_rederivation *rederivation);

/* nacre_endpoint_remove_rederivation ends what is in flight with it, as above, and wipes its contexts, but not `first`. No
 * effect if it was not added. */
void nacre_endpoint_remove_rederivation(nacre_endpoint *ep, nacre_rederivation *rederivation);

/* nacre_rederivation_context: the context in use with this peer, or NULL. */
nacre_context *nacre_rederivation_context(const nacre_rederivation *rederivation);

/* nacre_endpoint_rederive: abandons the context in use, for example because the peer has lost it: exchanges in flight end,
 * and the next request starts the procedure. No effect while it is in progress. */
void nacre_endpoint_rederive(nacre_endpoint *ep, nacre_rederivation *rederivation);

#ifdef __cplusplus
}
#endif

#endif
