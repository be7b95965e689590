/* SPDX-License-Identifier: MIT */
/* rederiving: the honest other side of RFC 8613 B.2, an endpoint of its own that asks and answers, so that the input reaches
 * what lies behind the procedure. It takes datagrams and gives them; what arrives, in which order, is the input's. */
#ifndef NACRE_FUZZ_REDERIVING_H
#define NACRE_FUZZ_REDERIVING_H

#include "fuzz.h"

typedef struct rederiving {
    nacre_endpoint *other;
    nacre_rederivation ours, theirs;
} rederiving;

/* `ours` takes both sides of the procedure. */
void rederiving_begin(rederiving *r, nacre_endpoint *ours, const nacre_crypto *crypto, nacre_random random,
                      size_t max_message);
/* Once the endpoint that `ours` was added to has ended. */
void rederiving_end(rederiving *r);

/* A datagram for the other side, from whom it knows as `us`; what it says to requests is the input's. */
void rederiving_hears(rederiving *r, const nacre_address *us, nacre_bytes datagram, fuzz_input *in, uint64_t now);
void rederiving_requests(rederiving *r, const nacre_address *us, fuzz_input *in);
/* The next datagram of the other side, to `us`; false: there is none. */
bool rederiving_says(rederiving *r, nacre_address *us, nacre_bytes *datagram, uint64_t now);
/* The other side forgets what it agreed on (bit 1 of `how`: without ending it in order). */
void rederiving_loses(rederiving *r, uint8_t how);

#endif
