/* SPDX-License-Identifier: MIT */
/* x5t: certificates that a peer names by their hash (RFC 9360 2). */
#ifndef NACRE_EDHOC_X5T_H
#define NACRE_EDHOC_X5T_H

#include <nacre/edhoc.h>

/* Whether the hash of an x5t is one that nacre computes. */
bool nacre__edhoc_x5t_is_known(const nacre_edhoc_id *id);

/* Whether query->id, such an x5t, is of this DER certificate; also false when the provider fails. */
bool nacre__edhoc_x5t_is_of(const nacre_edhoc_query *query, nacre_bytes certificate);

#endif
