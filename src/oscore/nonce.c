/* SPDX-License-Identifier: MIT */
/* nonce: see nonce.h. */
#include "oscore/nonce.h"
#include "base/copy.h"

static void xor_before(uint8_t *end, nacre_bytes bytes)
{
    uint8_t *at = end - bytes.len;
    for (size_t i = 0; i < bytes.len; i++) at[i] ^= bytes.ptr[i];
}

void nacre__nonce(uint8_t nonce[NACRE_MAX_NONCE], const nacre_aead *aead, const uint8_t *common_iv, nacre_bytes id_piv,
                  nacre_bytes partial_iv)
{
    uint8_t *end = nonce + aead->nonce_len;
    NACRE__COPY_FIXED(nonce, common_iv, NACRE_MAX_NONCE);
    nonce[0] ^= (uint8_t)id_piv.len;
    xor_before(end - 5, id_piv);
    xor_before(end, partial_iv);
}
