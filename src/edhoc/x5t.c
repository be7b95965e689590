/* SPDX-License-Identifier: MIT */
/* x5t: see x5t.h. */
#include "edhoc/x5t.h"
#include "base/copy.h"

/* RFC 9360 2: COSE numbers. */
enum { SHA_256_64 = -15, SHA_256 = -16 };

bool nacre__edhoc_x5t_is_known(const nacre_edhoc_id *id)
{
    return id->hash_alg == SHA_256_64 || id->hash_alg == SHA_256;
}

bool nacre__edhoc_x5t_is_of(const nacre_edhoc_query *query, nacre_bytes certificate)
{
    uint8_t hash[NACRE_MAX_HASH];
    const nacre_edhoc_id *id = query->id;
    size_t len = id->hash_alg == SHA_256 ? 32 : 8;
    return id->value.len == len && query->pk->ops->hash(query->pk, NACRE_SHA256, &certificate, 1, hash) == NACRE_OK &&
           memcmp(hash, id->value.ptr, len) == 0;
}
