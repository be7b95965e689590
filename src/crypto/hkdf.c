/* SPDX-License-Identifier: MIT */
/* hkdf: extract and expand (RFC 5869) over a provider's HMAC. */
#include "crypto/hkdf.h"
#include <string.h>

/* RFC 5869 2.2: without a salt the key is HashLen zeros, equivalent to an empty HMAC key (RFC 2104 2). */
nacre_err nacre__hkdf_extract(const nacre_crypto *crypto, nacre_hash hash, nacre_bytes secret, nacre_bytes salt,
                              uint8_t prk[NACRE_MAX_HASH])
{
    if (nacre_hash_len(hash) == 0) return NACRE_ERR_UNSUPPORTED;
    return crypto->ops->hmac(crypto, hash, salt, &secret, 1, prk);
}

nacre_err nacre__hkdf_expand(const nacre_crypto *crypto, nacre_hash hash, const uint8_t *prk, nacre_bytes info,
                             uint8_t *out, size_t len)
{
    uint8_t block[NACRE_MAX_HASH];
    size_t hash_len = nacre_hash_len(hash), done = 0;
    nacre_err err = len > 255 * hash_len ? NACRE_ERR_TOO_LONG : NACRE_OK; /* RFC 5869 2.3 */
    for (uint8_t counter = 1; err == NACRE_OK && done < len; counter++) {
        nacre_bytes parts[3] = { { block, counter == 1 ? 0 : hash_len }, info, { &counter, 1 } };
        err = crypto->ops->hmac(crypto, hash, nacre_bytes_of(prk, hash_len), parts, 3, block);
        size_t n = len - done < hash_len ? len - done : hash_len;
        if (err == NACRE_OK) memcpy(out + done, block, n);
        done += n;
    }
    if (err != NACRE_OK) nacre_wipe(out, len);
    nacre_wipe(block, sizeof block);
    return err;
}

nacre_err nacre_hkdf(const nacre_crypto *crypto, nacre_hash hash, nacre_bytes secret, nacre_bytes salt,
                     nacre_bytes info, uint8_t *out, size_t len)
{
    uint8_t prk[NACRE_MAX_HASH];
    nacre_err err = nacre_hash_len(hash) > 0 && len > 255 * nacre_hash_len(hash) ? NACRE_ERR_TOO_LONG : NACRE_OK;
    if (err == NACRE_OK) err = nacre__hkdf_extract(crypto, hash, secret, salt, prk);
    if (err == NACRE_OK) err = nacre__hkdf_expand(crypto, hash, prk, info, out, len);
    else nacre_wipe(out, len);
    nacre_wipe(prk, sizeof prk);
    return err;
}
