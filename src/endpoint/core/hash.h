/* SPDX-License-Identifier: MIT */
/* hash: a keyed hash over an address and bytes, for tables filled by peers. */
#ifndef NACRE_ENDPOINT_CORE_HASH_H
#define NACRE_ENDPOINT_CORE_HASH_H

#include "endpoint/core/core.h"

/* The encoding is injective: different pairs are different words. */
uint64_t nacre__peer_hash(const nacre__core *core, const nacre_address *peer, nacre_bytes bytes);

/* Of whom a share is counted for: a security context, because a peer cannot multiply its keys; NULL: the address. */
uint64_t nacre__owner_hash(const nacre__core *core, const nacre_context *context, const nacre_address *peer);

#endif
