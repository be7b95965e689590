/* SPDX-License-Identifier: MIT */
/* pack_record: makes a record from the description of a context: checks it and derives its keys. */
#include "store/pack/pack_internal.h"

#include "context/derive.h"

/* RFC 8613 3.2.1; as bytes, which nacre_context_init does not return. */
static nacre_err derive(const nacre_crypto *crypto, const nacre_directory_info *info, nacre_bytes id, const char *type,
                        uint8_t *out, size_t len)
{
    uint8_t bytes[NACRE_MAX_INFO];
    nacre_bytes id_context =
        info->has_id_context ? nacre_bytes_of(info->id_context, info->id_context_len) : NACRE_ABSENT;
    nacre_derivation d = { .hash = info->hash,
                           .secret.bytes = nacre_bytes_of(info->secret, info->secret_len),
                           .salt = nacre_bytes_of(info->salt, info->salt_len) };
    d.info = nacre_bytes_of(bytes, nacre__info(bytes, id, id_context, info->aead->cose, type, len));
    if (crypto->ops->derive != NULL) return crypto->ops->derive(crypto, &d, out, len);
    return nacre_hkdf(crypto, d.hash, d.secret.bytes, d.salt, d.info, out, len);
}

nacre_err nacre__record_of(nacre__record *record, nacre__derived *derived, const nacre_crypto *crypto,
                           const nacre_directory_info *info)
{
    if (info->aead == NULL || info->id_context_len > sizeof info->id_context) return NACRE_ERR_BAD_CONTEXT;
    nacre__record r = {
        .aead = info->aead,
        .hash = info->hash,
        .window = info->window != 0 ? info->window : NACRE_REPLAY_DEFAULT,
        .sender_id = nacre_bytes_of(info->sender_id, info->sender_id_len),
        .recipient_id = nacre_bytes_of(info->recipient_id, info->recipient_id_len),
        .id_context = info->has_id_context ? nacre_bytes_of(info->id_context, info->id_context_len) : NACRE_ABSENT,
        .secret = nacre_bytes_of(info->secret, info->secret_len),
        .salt = nacre_bytes_of(info->salt, info->salt_len),
        .common_iv = nacre_bytes_of(derived->common_iv, info->aead->nonce_len),
        .sender_key = nacre_bytes_of(derived->sender_key, info->aead->key_len),
        .recipient_key = nacre_bytes_of(derived->recipient_key, info->aead->key_len),
    };
    if (nacre__record_problem(&r) != NULL) return NACRE_ERR_BAD_CONTEXT;
    nacre_err err = derive(crypto, info, NACRE_ABSENT, "IV", derived->common_iv, r.common_iv.len);
    if (err == NACRE_OK) err = derive(crypto, info, r.sender_id, "Key", derived->sender_key, r.sender_key.len);
    if (err == NACRE_OK) err = derive(crypto, info, r.recipient_id, "Key", derived->recipient_key, r.recipient_key.len);
    if (err == NACRE_OK) *record = r;
    else nacre_wipe(derived, sizeof *derived);
    return err;
}
