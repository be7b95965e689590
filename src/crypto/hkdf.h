/* SPDX-License-Identifier: MIT */
/* hkdf: the two halves of nacre_hkdf, to expand several values from one secret. */
#ifndef NACRE_CRYPTO_HKDF_H
#define NACRE_CRYPTO_HKDF_H

#include <nacre/crypto.h>

/* NACRE_OK; NACRE_ERR_UNSUPPORTED (no such hash); the errors of the provider's hmac. `prk` gets nacre_hash_len bytes; the
 * caller wipes them, on failure too. */
nacre_err nacre__hkdf_extract(const nacre_crypto *crypto, nacre_hash hash, nacre_bytes secret, nacre_bytes salt,
                              uint8_t prk[NACRE_MAX_HASH]);

/* Returns as nacre_hkdf; on failure `out` is wiped. */
nacre_err nacre__hkdf_expand(const nacre_crypto *crypto, nacre_hash hash, const uint8_t *prk, nacre_bytes info,
                             uint8_t *out, size_t len);

#endif
