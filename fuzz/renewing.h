/* SPDX-License-Identifier: MIT */
/* renewing: the honest other side of RFC 8613 B.2, an endpoint of its own that asks and answers, so that the input reaches
 * what lies behind the procedure. It takes datagrams and gives them; what arrives, in which order, is the input's. */
#ifndef NACRE_FUZZ_RENEWING_H
#define NACRE_FUZZ_RENEWING_H

#include "fuzz.h"

typedef struct renewing {
    nacre_endpoint *other;
    nacre_rederivation ours, theirs;
} renewing;

/* `ours` takes both sides of the procedure. */
void renewing_begin(renewing *r, nacre_endpoint *ours, const nacre_crypto *crypto, nacre_random random,
                    size_t max_message);
/* Once the endpoint that `ours` was added to has ended. */
void renewing_end(renewing *r);

/* A datagram for the other side, from whom it knows as `us`; what it says to requests is the input's. */
void renewing_hears(renewing *r, const nacre_address *us, nacre_bytes datagram, fuzz_input *in, uint64_t now);
void renewing_asks(renewing *r, const nacre_address *us, fuzz_input *in);
/* The next datagram of the other side, to `us`; false: there is none. */
bool renewing_says(renewing *r, nacre_address *us, nacre_bytes *datagram, uint64_t now);
/* The other side forgets what it agreed on (bit 1 of `how`: without ending it in order). */
void renewing_loses(renewing *r, uint8_t how);

#endif
