/* SPDX-License-Identifier: MIT */
/* rederiving: the honest peer of RFC 8613 B.2, an endpoint that sends requests and responds, so that the input reaches
 * the code that follows the procedure. The input decides which of its datagrams arrive, in which order. */
#ifndef NACRE_FUZZ_REDERIVING_H
#define NACRE_FUZZ_REDERIVING_H

#include "fuzz.h"

typedef struct rederiving {
    nacre_endpoint *other;
    nacre_rederivation ours, theirs;
} rederiving;

/* `ours` runs both sides of the procedure. */
void rederiving_begin(rederiving *r, nacre_endpoint *ours, const nacre_crypto *crypto, nacre_random random,
                      size_t max_message);
/* Called after the end of the endpoint that `ours` was added to. */
void rederiving_end(rederiving *r);

/* Delivers a datagram to the peer, from the address it knows as `us`; the input decides its responses. */
void rederiving_hears(rederiving *r, const nacre_address *us, nacre_bytes datagram, fuzz_input *in, uint64_t now);
void rederiving_requests(rederiving *r, const nacre_address *us, fuzz_input *in);
/* The peer's next datagram to `us`; false: none. */
bool rederiving_says(rederiving *r, nacre_address *us, nacre_bytes *datagram, uint64_t now);
/* The peer forgets the agreed context (bit 1 of `how`: without ending it in order). */
void rederiving_loses(rederiving *r, uint8_t how);

#endif
