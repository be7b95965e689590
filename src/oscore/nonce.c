/* SPDX-License-Identifier: MIT */
/* nonce: see nonce.h. */
#include "oscore/nonce.h"
#include <string.h>

void nacre__nonce(uint8_t nonce[NACRE_MAX_NONCE], const nacre_aead *aead, const uint8_t *common_iv, nacre_bytes id_piv,
                  nacre_bytes partial_iv)
{
    size_t len = aead->nonce_len;
    memcpy(nonce, common_iv, NACRE_MAX_NONCE); /* a fixed size, which costs two moves and no call */
    nonce[0] ^= (uint8_t)id_piv.len;
    for (size_t i = 0; i < id_piv.len; i++) nonce[len - 5 - id_piv.len + i] ^= id_piv.ptr[i];
    for (size_t i = 0; i < partial_iv.len; i++) nonce[len - partial_iv.len + i] ^= partial_iv.ptr[i];
}
