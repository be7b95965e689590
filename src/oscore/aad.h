/* SPDX-License-Identifier: MIT */
/* aad: the additional authenticated data (RFC 8613 5.4), as the Enc_structure passed to the AEAD. */
#ifndef NACRE_OSCORE_AAD_H
#define NACRE_OSCORE_AAD_H

#include <nacre/oscore.h>
#include "base/copy.h"

/* Returns the length. `request` is the identity of the request, also for its responses. */
size_t nacre__aad_of(uint8_t out[NACRE_MAX_AAD], int cose_alg, const nacre_request_id *request);

/* The same from a kid of at most 7 and a Partial IV of at most 5 bytes. */
static inline size_t nacre__aad(uint8_t out[NACRE_MAX_AAD], int cose_alg, nacre_bytes kid, nacre_bytes partial_iv)
{
    nacre_request_id id = { .kid_len = (uint8_t)kid.len, .partial_iv_len = (uint8_t)partial_iv.len };
    nacre__put(id.kid, kid.ptr, kid.len & 7);
    nacre__put(id.partial_iv, partial_iv.ptr, partial_iv.len < 5 ? partial_iv.len : 5);
    return nacre__aad_of(out, cose_alg, &id);
}

#endif
