/* SPDX-License-Identifier: MIT */
/* derive: the three derivations of RFC 8613 3.2.1, by the provider if it holds the secrets. */
#include "context/derive.h"
#include "base/cbor_write.h"
#include "crypto/hkdf.h"

size_t nacre__info(uint8_t out[NACRE_MAX_INFO], nacre_bytes id, nacre_bytes id_context, int cose_alg, const char *type,
                   size_t length)
{
    uint8_t *at = nacre__cbor_head(out, NACRE__CBOR_ARRAY, 5);
    at = nacre__cbor_bytes(at, id);
    if (nacre_is_absent(id_context)) *at++ = NACRE__CBOR_NULL; /* no ID Context; an empty one is an empty byte string */
    else at = nacre__cbor_bytes(at, id_context);
    at = nacre__cbor_int(at, cose_alg);
    unsigned type_len = type[0] == 'K' ? 3 : 2; /* "Key", "IV": text without a NUL */
    at = nacre__cbor_head(at, NACRE__CBOR_TEXT, type_len);
    memcpy(at, type, type_len);
    at = nacre__cbor_head(at + type_len, NACRE__CBOR_UINT, (unsigned)length);
    return (size_t)(at - out);
}

nacre_err nacre__source_extract(nacre__source *s)
{
    const nacre_context_params *p = s->params;
    if (s->crypto->ops->derive != NULL) return NACRE_OK;
    return nacre__hkdf_extract(s->crypto, p->hash, p->master_secret.bytes, p->master_salt, s->prk);
}

void nacre__source_wipe(nacre__source *s)
{
    nacre_wipe(s, sizeof *s);
}

static nacre_derivation derivation(const nacre__source *s, nacre_bytes info)
{
    nacre_derivation d = { s->params->hash, s->params->master_secret, s->params->master_salt, info };
    return d;
}

static nacre_err derive_bytes(const nacre__source *s, nacre_bytes info, uint8_t *out, size_t len)
{
    nacre_derivation d = derivation(s, info);
    if (s->crypto->ops->derive != NULL) return s->crypto->ops->derive(s->crypto, &d, out, len);
    return nacre__hkdf_expand(s->crypto, d.hash, s->prk, d.info, out, len);
}

nacre_err nacre__derive_key(const nacre__source *s, nacre_bytes id, nacre_direction direction, void *key)
{
    uint8_t info[NACRE_MAX_INFO], bytes[NACRE_MAX_KEY];
    size_t len = nacre__info(info, id, s->params->id_context, s->aead->cose, "Key", s->aead->key_len);
    nacre_bytes info_bytes = { info, len };
    if (s->crypto->ops->key_derive != NULL) {
        nacre_derivation d = derivation(s, info_bytes);
        return s->crypto->ops->key_derive(s->crypto, s->aead, direction, key, &d);
    }
    nacre_err err = derive_bytes(s, info_bytes, bytes, s->aead->key_len);
    if (err == NACRE_OK) err = s->crypto->ops->key_init(s->crypto, s->aead, direction, key, bytes);
    nacre_wipe(bytes, sizeof bytes);
    return err;
}

nacre_err nacre__derive_common_iv(const nacre__source *s, uint8_t *common_iv)
{
    uint8_t info[NACRE_MAX_INFO];
    size_t len = nacre__info(info, NACRE_ABSENT, s->params->id_context, s->aead->cose, "IV", s->aead->nonce_len);
    return derive_bytes(s, nacre_bytes_of(info, len), common_iv, s->aead->nonce_len);
}
