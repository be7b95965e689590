/* SPDX-License-Identifier: MIT */
/* hkdf: extract and expand (RFC 5869) over a provider's HMAC. */
#include <nacre/crypto.h>
#include <string.h>

nacre_err nacre_hkdf(const nacre_crypto *crypto, nacre_hash hash, nacre_bytes secret, nacre_bytes salt,
                     nacre_bytes info, uint8_t *out, size_t len)
{
    uint8_t prk[NACRE_MAX_HASH], block[NACRE_MAX_HASH];
    size_t hash_len = nacre_hash_len(hash), done = 0;
    if (len > 255 * hash_len) { /* RFC 5869 2.3; a hash that the table lacks has length 0 */
        nacre_wipe(out, len);
        return hash_len == 0 ? NACRE_ERR_UNSUPPORTED : NACRE_ERR_TOO_LONG;
    }

    /* RFC 5869 2.2: without a salt the key is HashLen zeros, which HMAC makes of an empty key too (RFC 2104 2). */
    nacre_err err = crypto->ops->hmac(crypto, hash, salt, &secret, 1, prk);
    for (uint8_t counter = 1; err == NACRE_OK && done < len; counter++) {
        nacre_bytes parts[3] = { { block, counter == 1 ? 0 : hash_len }, info, { &counter, 1 } };
        err = crypto->ops->hmac(crypto, hash, nacre_bytes_of(prk, hash_len), parts, 3, block);
        size_t n = len - done < hash_len ? len - done : hash_len;
        if (err == NACRE_OK) memcpy(out + done, block, n);
        done += n;
    }
    if (err != NACRE_OK) nacre_wipe(out, len);
    nacre_wipe(prk, sizeof prk);
    nacre_wipe(block, sizeof block);
    return err;
}
