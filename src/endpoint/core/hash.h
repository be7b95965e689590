/* SPDX-License-Identifier: MIT */
/* hash: the keyed hash under which what peers send is kept, over an address and bytes. */
#ifndef NACRE_ENDPOINT_CORE_HASH_H
#define NACRE_ENDPOINT_CORE_HASH_H

#include "endpoint/core/core.h"

/* No two pairs of an address and bytes are hashed as the same words. */
uint64_t nacre__peer_hash(const nacre__core *core, const nacre_address *peer, nacre_bytes bytes);

#endif
