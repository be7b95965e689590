/* SPDX-License-Identifier: MIT */
/* renewal: what the files that carry out RFC 8613 B.2 ask of each other. */
#ifndef NACRE_ENDPOINT_RENEWAL_H
#define NACRE_ENDPOINT_RENEWAL_H

#include "endpoint/endpoint_internal.h"

/* renewal.c */
nacre_rederivation *nacre__renewal_next(nacre_endpoint *ep, nacre_rederivation *before, nacre_bytes kid);
void nacre__renewal_retire(nacre_endpoint *ep, nacre_rederivation *r);
void nacre__renewal_established(nacre_endpoint *ep, nacre_rederivation *r, const nacre_address *peer);

/* renewal_client.c */
void nacre__renewal_yield(nacre_endpoint *ep, nacre_rederivation *r);

#endif
