/* SPDX-License-Identifier: MIT */
/* export: keys for applications (RFC 9528 4.2, A.1, H). */
#include "edhoc/schedule.h"

enum { LABEL_SECRET = 0, LABEL_SALT = 1 };

/* RFC 9528 4.2.1 */
static nacre_err export(const nacre_edhoc *s, unsigned label, nacre_bytes context, uint8_t *out, size_t len)
{
    uint8_t prk[NACRE__EDHOC_MAX_HASH];
    nacre_err err = nacre__edhoc_kdf(s, s->prk_out, NACRE__EDHOC_PRK_EXPORTER, NULL, 0, prk, nacre__edhoc_hash_len(s));
    if (err == NACRE_OK) err = nacre__edhoc_kdf(s, prk, label, &context, 1, out, len);
    else nacre_wipe(out, len);
    nacre_wipe(prk, sizeof prk);
    return err;
}

nacre_err nacre_edhoc_export(const nacre_edhoc *s, uint32_t label, nacre_bytes context, uint8_t *out, size_t len)
{
    if (s->state != NACRE__EDHOC_COMPLETED) return NACRE_ERR_STALE;
    if (label <= LABEL_SALT || label > UINT16_MAX) return NACRE_ERR_BAD_ARGUMENT;
    if (len > UINT16_MAX) return NACRE_ERR_TOO_LONG;
    return export(s, (unsigned)label, context, out, len);
}

nacre_err nacre_edhoc_key_update(nacre_edhoc *s, nacre_bytes context)
{
    uint8_t next[NACRE__EDHOC_MAX_HASH];
    if (s->state != NACRE__EDHOC_COMPLETED) return NACRE_ERR_STALE;
    nacre_err err = nacre__edhoc_kdf(s, s->prk_out, NACRE__EDHOC_UPDATE, &context, 1, next, nacre__edhoc_hash_len(s));
    if (err == NACRE_OK) {
        memcpy(s->prk_out, next, nacre__edhoc_hash_len(s));
        s->context_made = false;
    }
    nacre_wipe(next, sizeof next);
    return err;
}

nacre_err nacre_edhoc_context(nacre_edhoc *s, nacre_context_params *params, nacre_edhoc_secrets *secrets)
{
    if (s->state != NACRE__EDHOC_COMPLETED || s->context_made) return NACRE_ERR_STALE;
    const nacre_aead *aead = nacre_aead_by_number(s->suite->app_aead);
    nacre_edhoc_secrets made;
    nacre_err err = export(s, LABEL_SECRET, NACRE_ABSENT, made.master_secret, aead->key_len);
    if (err == NACRE_OK) err = export(s, LABEL_SALT, NACRE_ABSENT, made.master_salt, sizeof made.master_salt);
    if (err == NACRE_OK) {
        bool initiates = s->role == NACRE_EDHOC_INITIATOR;
        nacre_bytes c_i = nacre_edhoc_c_i(s), c_r = nacre_edhoc_c_r(s);
        *secrets = made;
        *params = (nacre_context_params){ .cose_aead = aead->cose,
                                          .hash = (nacre_hash)s->suite->hash,
                                          .master_secret = { { secrets->master_secret, aead->key_len }, 0 },
                                          .master_salt = NACRE_ARRAY(secrets->master_salt),
                                          .sender_id = initiates ? c_r : c_i,
                                          .recipient_id = initiates ? c_i : c_r };
        s->context_made = true;
    }
    nacre_wipe(&made, sizeof made);
    return err;
}
