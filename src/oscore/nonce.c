/* SPDX-License-Identifier: MIT */
/* nonce: see nonce.h. */
#include "oscore/nonce.h"
#include "base/copy.h"

void nacre__nonce(uint8_t nonce[NACRE_MAX_NONCE], const nacre_aead *aead, const uint8_t *common_iv, nacre_bytes id_piv,
                  uint64_t seq)
{
    NACRE__COPY_FIXED(nonce, common_iv, NACRE_MAX_NONCE);
    uint8_t *piv = nonce + aead->nonce_len - 5, *id = piv - id_piv.len;
    nonce[0] ^= (uint8_t)id_piv.len;
    for (size_t i = 0; i < id_piv.len; i++) id[i] ^= id_piv.ptr[i];
    piv[0] ^= (uint8_t)(seq >> 32);
    nacre__put_u32(piv + 1, nacre__get_u32(piv + 1) ^ (uint32_t)seq);
}
