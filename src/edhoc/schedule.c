/* SPDX-License-Identifier: MIT */
/* schedule: the key schedule of RFC 9528 4. */
#include "edhoc/schedule.h"
#include "crypto/hkdf.h"

/* RFC 9528 4.1.2: HKDF-Expand (RFC 5869 2.3) with info = label, context as a byte string, length. Contexts have credentials in
 * them, so they are hashed in parts. With `mix` the output is added to what is in `out`. */
static nacre_err expand(const nacre_edhoc *s, const uint8_t *prk, unsigned label, const nacre_bytes *context,
                        size_t num, uint8_t *out, size_t len, bool mix)
{
    const nacre_crypto *crypto = s->config->crypto;
    size_t hash_len = nacre__edhoc_hash_len(s), context_len = 0;
    uint8_t block[NACRE_MAX_HASH], head[2 * NACRE__EDHOC_MAX_HEAD], tail[NACRE__EDHOC_MAX_HEAD + 1];
    nacre_bytes parts[NACRE__EDHOC_MAX_CONTEXT + 3];
    for (size_t i = 0; i < num; i++) context_len += context[i].len;
    if (len > 255 * hash_len || context_len > UINT16_MAX) return NACRE_ERR_TOO_LONG;
    uint8_t *head_end = nacre__edhoc_put_head(head, NACRE__CBOR_UINT, label);
    head_end = nacre__edhoc_put_head(head_end, NACRE__CBOR_BYTES, context_len);
    uint8_t *counter = nacre__edhoc_put_head(tail, NACRE__CBOR_UINT, len);
    parts[1] = nacre_bytes_of(head, (size_t)(head_end - head));
    for (size_t i = 0; i < num; i++) parts[2 + i] = context[i];
    parts[2 + num] = nacre_bytes_of(tail, (size_t)(counter + 1 - tail));
    *counter = 0;
    nacre_err err = NACRE_OK;
    for (size_t done = 0; err == NACRE_OK && done < len; done += hash_len) {
        parts[0] = nacre_bytes_of(block, *counter == 0 ? 0 : hash_len);
        ++*counter;
        err =
            crypto->ops->hmac(crypto, (nacre_hash)s->suite->hash, nacre_bytes_of(prk, hash_len), parts, num + 3, block);
        if (err != NACRE_OK) break;
        size_t n = len - done < hash_len ? len - done : hash_len;
        if (mix)
            for (size_t i = 0; i < n; i++) out[done + i] ^= block[i];
        else memcpy(out + done, block, n);
    }
    if (err != NACRE_OK) nacre_wipe(out, len);
    nacre_wipe(block, sizeof block);
    return err;
}

nacre_err nacre__edhoc_kdf(const nacre_edhoc *s, const uint8_t *prk, unsigned label, const nacre_bytes *context,
                           size_t num, uint8_t *out, size_t len)
{
    return expand(s, prk, label, context, num, out, len, false);
}

nacre_err nacre__edhoc_kdf_th(const nacre_edhoc *s, const uint8_t *prk, unsigned label, const uint8_t *th, uint8_t *out,
                              size_t len)
{
    nacre_bytes context = nacre_bytes_of(th, nacre__edhoc_hash_len(s));
    return expand(s, prk, label, &context, 1, out, len, false);
}

nacre_err nacre__edhoc_keystream_2(const nacre_edhoc *s, const uint8_t *prk_2e, const uint8_t *th_2, uint8_t *text,
                                   size_t len)
{
    nacre_bytes context = nacre_bytes_of(th_2, nacre__edhoc_hash_len(s));
    return expand(s, prk_2e, NACRE__EDHOC_KEYSTREAM_2, &context, 1, text, len, true);
}

/* RFC 9528 4.1.1 */
nacre_err nacre__edhoc_extract(const nacre_edhoc *s, const uint8_t *salt, nacre_bytes secret, uint8_t *prk)
{
    uint8_t made[NACRE_MAX_HASH];
    size_t hash_len = nacre__edhoc_hash_len(s);
    nacre_err err = nacre__hkdf_extract(s->config->crypto, (nacre_hash)s->suite->hash, secret,
                                        nacre_bytes_of(salt, hash_len), made);
    if (err == NACRE_OK) memcpy(prk, made, hash_len);
    nacre_wipe(made, sizeof made);
    return err;
}

static nacre_err hash_of(const nacre_edhoc *s, const nacre_bytes *parts, size_t num, uint8_t *out)
{
    uint8_t made[NACRE_MAX_HASH]; /* `out` may be one of the parts */
    const nacre_pk *pk = s->config->pk;
    nacre_err err = pk->ops->hash(pk, (nacre_hash)s->suite->hash, parts, num, made);
    if (err == NACRE_OK) memcpy(out, made, nacre__edhoc_hash_len(s));
    return err;
}

/* RFC 9528 5.4.2: a CBOR sequence; certificates are byte strings, CCSs maps (RFC 9528 3.5.2). */
nacre_err nacre__edhoc_next_th(const nacre_edhoc *s, const uint8_t *th, nacre_bytes plaintext,
                               const nacre_edhoc_credential *credential, uint8_t *next)
{
    uint8_t th_head[NACRE__EDHOC_MAX_HEAD], head[NACRE__EDHOC_MAX_HEAD];
    size_t hash_len = nacre__edhoc_hash_len(s);
    const nacre_bytes parts[] = {
        nacre__edhoc_head(th_head, hash_len),
        { th, hash_len },
        plaintext,
        credential->is_certificate ? nacre__edhoc_head(head, credential->bytes.len) : NACRE_ABSENT,
        credential->bytes,
    };
    return hash_of(s, parts, sizeof parts / sizeof parts[0], next);
}

nacre_err nacre__edhoc_begin(const nacre_edhoc *s, const uint8_t *h_message_1, nacre_bytes g_y, const uint8_t *secret,
                             uint8_t *th_2, uint8_t *prk_2e)
{
    uint8_t g_head[NACRE__EDHOC_MAX_HEAD], h_head[NACRE__EDHOC_MAX_HEAD];
    size_t hash_len = nacre__edhoc_hash_len(s);
    const nacre_bytes parts[] = {
        nacre__edhoc_head(g_head, g_y.len), g_y, nacre__edhoc_head(h_head, hash_len), { h_message_1, hash_len }
    };
    nacre_err err = hash_of(s, parts, sizeof parts / sizeof parts[0], th_2);
    if (err == NACRE_OK) err = nacre__edhoc_extract(s, th_2, nacre_bytes_of(secret, g_y.len), prk_2e);
    return err;
}
