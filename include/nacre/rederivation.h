/* SPDX-License-Identifier: MIT */
/* rederivation: fresh contexts with a peer, agreed over an endpoint by RFC 8613 B.2 (nacre/rederive.h has the drawing and the
 * steps; this carries them out). For devices that lose their sequence numbers or replay windows and have good randomness;
 * both sides need it, and the same secret.
 *
 *     nacre_rederivation r = { .material = …, .own.key_buf = …, .spare.key_buf = …, .asks = true };
 *     nacre_endpoint_add_rederivation(ep, &r)
 *     nacre_endpoint_request_with(ep, …, NULL, …, &(nacre_request_options){ .rederivation = &r })
 *     NACRE_EVENT_REDERIVED    there is a context now; the request that brought it about goes on to its answer
 *     nacre_endpoint_remove_rederivation(ep, &r)
 *
 * Whose context. A rederivation has one place for the context in use, which the procedure fills: the context's address is the
 * same ever after, its keys are not. It is the endpoint's: not in the table, found by its Recipient ID nonetheless, never
 * persistent, wiped by nacre_endpoint_remove_rederivation, shared with nobody. A context from before, `first`, stays the
 * caller's: when RENEWED comes it is not used any more; take it out of the table, call nacre_endpoint_remove_context, wipe it.
 *
 * What ends. When new keys take the place of old ones, all that was in flight under the old ones ends as by
 * nacre_endpoint_remove_context: our requests with NACRE_ERR_NO_CONTEXT, observers too; requests of others that are not
 * answered get 4.01. Whoever sent them cannot read an answer with the old keys any more, or has lost them.
 *
 * Asking (client). A request with `rederivation` goes out under the context in use. When there is none it is request #1, and
 * request #2 after that, with the endpoint's own randomness; other requests with this rederivation wait until an answer to #2 has
 * verified. When the request fails, so has the procedure, and the next one begins it anew. When the peer has lost its state
 * it starts the procedure in answer to an ordinary request under `first` (ID Context of at most 8 bytes); the endpoint
 * follows. Under a context that came out of this procedure that is not possible (its ID Context is too long): such a peer
 * answers without protection, NACRE_ERR_UNAUTHENTICATED, which proves nothing; whoever believes it calls
 * nacre_endpoint_rederive.
 *
 * Requests under the context in use name it, by its ID Context in the kid context, on either side and for as long as it is used:
 * the peer may have an older context under the same kid, which is never told to the endpoint. That costs 25 bytes for each
 * request where the R2 is of nacre's making, 17 where it has 8 bytes. Without the kid context a request is found, too.
 *
 * Answering (server). Request #1 is answered with a protected 4.01 and a fresh R2, and is not delivered; request #2 is, under
 * the new context. While there is no context in use, an ordinary request serves as #1. Messages may be lost, doubled and
 * reordered. An R2 stands for timing.exchange_lifetime_ms, or up to 1 % less, and until an agreement with the peer has been
 * reached, on either side: a request #2 that comes later is answered by a plain 4.01, is not delivered, and ends nothing.
 * Offers take no memory, so that none pushes another out.
 *
 * Rate. Requests #1 cost key derivations. Each peer may send context_challenges_per_second of them, all peers together
 * challenges_per_second; above its own rate a peer draws on a second rate of challenges_per_second for all. What exceeds
 * these is dropped, and a retransmission tries again. Captured requests #1 are answered within these rates, to whoever sent
 * them; they change nothing, and cost the peer nothing below about challenges_per_second in all.
 *
 * Copies of memory. A rederivation belongs to one process: after fork, or in a second machine started from the same image, remove
 * it and add it again before anything is received. Otherwise both copies accept the same request #2, and use one key and
 * nonce for two answers. */
#ifndef NACRE_REDERIVATION_H
#define NACRE_REDERIVATION_H

#include <nacre/base.h>
#include <nacre/endpoint.h>
#include <nacre/rederive.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All zero but for what is set. It must stay where it is while it is added. */
struct nacre_rederivation {
    /* algorithm, secret, salt, IDs; what it points to is borrowed. Its ID Context, of at most 8 bytes, is that of ordinary
     * requests that serve as #1 */
    nacre_context_params material;
    nacre_rederived own, spare; /* set their key rooms, as nacre_context_key_layout says; the rest is private */
    nacre_context *first;       /* the context with this peer from before; NULL: there is none, or it is lost */
    bool asks, answers;         /* which sides of the procedure the endpoint takes */
    void *user;                 /* comes with NACRE_EVENT_REDERIVED */

    nacre_endpoint *endpoint; /* private from here on */
    struct nacre_rederivation *next, *next_news;
    nacre_context *current; /* `first`, or in `own`; NULL: none */
    nacre_rederive_client client;
    nacre_rederive_server offers;
    nacre_exchange leader; /* the request that carries the procedure; 0: it is not under way */
    uint64_t pace;
    nacre_address peer;
    bool has_news;
};

/* nacre_endpoint_add_rederivation: the endpoint carries out the procedure with this peer from now on.
 * NACRE_OK                as said above
 * NACRE_ERR_BAD_ARGUMENT  added already; neither side to take; an ID Context above 8 bytes; material that
 *                         nacre_context_init refuses, or misaligned key rooms
 * NACRE_ERR_BUFFER_TOO_SMALL       key rooms too small
 * NACRE_ERR_UNSUPPORTED, NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY  as nacre_context_init */
NACRE_MUST_USE nacre_err nacre_endpoint_add_rederivation(nacre_endpoint *ep, nacre_rederivation *rederivation);

/* nacre_endpoint_remove_rederivation ends what is in flight with it, as said above, and wipes its contexts, but not `first`. One
 * that was not added changes nothing. */
void nacre_endpoint_remove_rederivation(nacre_endpoint *ep, nacre_rederivation *rederivation);

/* nacre_rederivation_context: the context in use with this peer; NULL while there is none. */
nacre_context *nacre_rederivation_context(const nacre_rederivation *rederivation);

/* nacre_endpoint_rederive: the context in use is not trusted any more, say because its peer has forgotten it: what is in flight
 * ends, and the next request begins the procedure. Nothing happens while it is under way. */
void nacre_endpoint_rederive(nacre_endpoint *ep, nacre_rederivation *rederivation);

#ifdef __cplusplus
}
#endif

#endif
