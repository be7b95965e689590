/* SPDX-License-Identifier: MIT */
/* authenticate: MAC_2 and MAC_3, and the signatures over them (RFC 9528 5.3.2, 5.4.2). */
#include "edhoc/authenticate.h"
#include "edhoc/method.h"
#include "base/copy.h"
#include "edhoc/schedule.h"

static bool is_static(const nacre_edhoc *s, nacre_edhoc_role role)
{
    return nacre__edhoc_is_static(role, s->method);
}

size_t nacre__edhoc_proof_len(const nacre_edhoc *s, nacre_edhoc_role role)
{
    return is_static(s, role) ? s->suite->mac_len : 2 * nacre_curve_len((nacre_curve)s->suite->signs);
}

static size_t mac_len(const nacre_edhoc *s, nacre_edhoc_role role)
{
    return is_static(s, role) ? s->suite->mac_len : nacre__edhoc_hash_len(s);
}

/* << TH, CRED, ? EAD >> */
enum { NUM_AAD = 5 };
typedef struct heads {
    uint8_t th[NACRE__EDHOC_MAX_HEAD], credential[NACRE__EDHOC_MAX_HEAD], id[NACRE__EDHOC_MAX_HEAD];
    uint8_t aad[NACRE__EDHOC_MAX_HEAD], mac[NACRE__EDHOC_MAX_HEAD + NACRE__EDHOC_MAX_HASH];
} heads;

static size_t put_aad(const nacre_edhoc *s, const nacre__edhoc_claim *claim, heads *h, nacre_bytes *parts)
{
    const nacre_edhoc_credential *c = claim->credential;
    size_t hash_len = nacre__edhoc_hash_len(s), len = 0;
    parts[0] = nacre__edhoc_head(h->th, hash_len);
    parts[1] = nacre_bytes_of(claim->th, hash_len);
    parts[2] = c->is_certificate ? nacre__edhoc_head(h->credential, c->bytes.len) : NACRE_ABSENT;
    parts[3] = c->bytes;
    parts[4] = claim->ead;
    for (size_t i = 0; i < NUM_AAD; i++) len += parts[i].len;
    return len;
}

/* context_2 and context_3 */
static nacre_err compute_mac(const nacre_edhoc *s, const nacre__edhoc_claim *claim, const uint8_t *prk, uint8_t *mac)
{
    heads h;
    nacre_bytes parts[3 + NUM_AAD] = { claim->c_r,
                                       { claim->id_cred.head, claim->id_cred.head_len },
                                       claim->id_cred.rest };
    (void)put_aad(s, claim, &h, parts + 3);
    unsigned label = claim->role == NACRE_EDHOC_RESPONDER ? NACRE__EDHOC_MAC_2 : NACRE__EDHOC_MAC_3;
    return nacre__edhoc_kdf(s, prk, label, parts, 3 + NUM_AAD, mac, mac_len(s, claim->role));
}

/* The Sig_structure of COSE_Sign1 (RFC 9052 4.4), in parts. */
enum { NUM_SIGNED = 6 + NUM_AAD };
static nacre_err put_signed(const nacre_edhoc *s, const nacre__edhoc_claim *claim, const uint8_t *mac, heads *h,
                            nacre_bytes *parts)
{
    size_t id_len = claim->id_cred.head_len + claim->id_cred.rest.len, hash_len = nacre__edhoc_hash_len(s);
    size_t aad_len = put_aad(s, claim, h, parts + 5);
    if (id_len > UINT16_MAX || aad_len > UINT16_MAX) return NACRE_ERR_TOO_LONG;
    static const uint8_t start[] = { 0x84, 0x6a, 'S', 'i', 'g', 'n', 'a', 't', 'u', 'r', 'e', '1' };
    parts[0] = nacre_bytes_of(start, sizeof start);
    parts[1] = nacre__edhoc_head(h->id, id_len);
    parts[2] = nacre_bytes_of(claim->id_cred.head, claim->id_cred.head_len);
    parts[3] = claim->id_cred.rest;
    parts[4] = nacre__edhoc_head(h->aad, aad_len);
    uint8_t *at = nacre__edhoc_put_head(h->mac, NACRE__CBOR_BYTES, hash_len);
    at = nacre__edhoc_put(at, nacre_bytes_of(mac, hash_len));
    parts[5 + NUM_AAD] = nacre_bytes_of(h->mac, (size_t)(at - h->mac));
    return NACRE_OK;
}

NACRE__NOT_INLINE static nacre_err sign(const nacre_edhoc *s, const nacre__edhoc_claim *claim,
                                        const nacre_private_key *key, const uint8_t *mac, uint8_t *proof)
{
    heads h;
    nacre_bytes parts[NUM_SIGNED];
    nacre_err err = put_signed(s, claim, mac, &h, parts);
    if (err == NACRE_OK) err = s->config->pk->ops->sign(s->config->pk, key, parts, NUM_SIGNED, proof);
    nacre_wipe(&h, sizeof h);
    return err;
}

NACRE__NOT_INLINE static nacre_err verify(const nacre_edhoc *s, const nacre__edhoc_claim *claim, const uint8_t *mac,
                                          nacre_bytes proof)
{
    heads h;
    nacre_bytes parts[NUM_SIGNED];
    nacre_err err = put_signed(s, claim, mac, &h, parts);
    const nacre_public_key *key = &claim->credential->key;
    if (err == NACRE_OK) err = s->config->pk->ops->verify(s->config->pk, key, parts, NUM_SIGNED, proof);
    nacre_wipe(&h, sizeof h);
    return err;
}

/* PRK_3e2m and PRK_4e3m (RFC 9528 4.1.1.2, 4.1.1.3). */
static nacre_err next_prk(const nacre_edhoc *s, const nacre__edhoc_claim *claim, const uint8_t *secret,
                          const uint8_t *prk, uint8_t *next)
{
    size_t hash_len = nacre__edhoc_hash_len(s);
    if (!is_static(s, claim->role)) {
        memcpy(next, prk, hash_len);
        return NACRE_OK;
    }
    unsigned label = claim->role == NACRE_EDHOC_RESPONDER ? NACRE__EDHOC_SALT_3E2M : NACRE__EDHOC_SALT_4E3M;
    uint8_t salt[NACRE__EDHOC_MAX_HASH];
    nacre_err err = nacre__edhoc_kdf_th(s, prk, label, claim->th, salt, hash_len);
    if (err == NACRE_OK)
        err =
            nacre__edhoc_extract(s, salt, nacre_bytes_of(secret, nacre_curve_len((nacre_curve)s->suite->curve)), next);
    nacre_wipe(salt, sizeof salt);
    return err;
}

nacre_err nacre__edhoc_prove(const nacre_edhoc *s, const nacre__edhoc_claim *claim, const nacre_private_key *key,
                             nacre_bytes peer_x, const uint8_t *prk, uint8_t *next, uint8_t *proof)
{
    const nacre_pk *pk = s->config->pk;
    uint8_t secret[NACRE_MAX_COORDINATE] = { 0 }, mac[NACRE__EDHOC_MAX_HASH];
    bool agrees = is_static(s, claim->role);
    nacre_err err = agrees ? pk->ops->agree(pk, key, peer_x, secret) : NACRE_OK;
    if (err == NACRE_OK) err = next_prk(s, claim, secret, prk, next);
    if (err == NACRE_OK) err = compute_mac(s, claim, next, mac);
    if (err == NACRE_OK && agrees) memcpy(proof, mac, s->suite->mac_len);
    if (err == NACRE_OK && !agrees) err = sign(s, claim, key, mac, proof);
    nacre_wipe(secret, sizeof secret);
    nacre_wipe(mac, sizeof mac);
    return err;
}

nacre_err nacre__edhoc_verify(const nacre_edhoc *s, const nacre__edhoc_claim *claim, const nacre_ephemeral *ephemeral,
                              nacre_bytes proof, const uint8_t *prk, uint8_t *next)
{
    const nacre_pk *pk = s->config->pk;
    const nacre_public_key *key = &claim->credential->key;
    uint8_t secret[NACRE_MAX_COORDINATE] = { 0 }, mac[NACRE__EDHOC_MAX_HASH];
    bool agrees = is_static(s, claim->role);
    unsigned curve = agrees ? s->suite->curve : s->suite->signs;
    if ((unsigned)key->curve != curve) return NACRE_ERR_BAD_PUBLIC_KEY;
    nacre_private_key private_key = nacre_ephemeral_key(ephemeral);
    nacre_err err = agrees ? pk->ops->agree(pk, &private_key, key->x, secret) : NACRE_OK;
    if (err == NACRE_OK) err = next_prk(s, claim, secret, prk, next);
    if (err == NACRE_OK) err = compute_mac(s, claim, next, mac);
    if (err == NACRE_OK && agrees)
        err = nacre_equal_ct(mac, proof.ptr, s->suite->mac_len) ? NACRE_OK : NACRE_ERR_BAD_SIGNATURE;
    if (err == NACRE_OK && !agrees) err = verify(s, claim, mac, proof);
    nacre_wipe(secret, sizeof secret);
    nacre_wipe(mac, sizeof mac);
    return err;
}
