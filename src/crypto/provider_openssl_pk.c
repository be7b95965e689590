/* SPDX-License-Identifier: MIT */
/* provider_openssl_pk: hashes, key agreement and signatures over OpenSSL 3. Keys are bytes that are imported for each
 * operation, or EVP_PKEY of the caller. */
#include "crypto/openssl_keys.h"
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { NUM_HASHES = 3 };

typedef struct openssl_pk_instance {
    EVP_MD *hashes[NUM_HASHES]; /* in the order of nacre_hash */
} openssl_pk_instance;

static nacre_err failed(nacre_err err)
{
    ERR_clear_error(); /* a forged message must not fill the queue of this thread */
    return err;
}

static bool has(const nacre_pk *pk, nacre_curve curve)
{
    const openssl_pk_instance *instance = pk->instance;
    if (curve == NACRE_P384) return instance->hashes[NACRE_SHA384] != NULL;
    return nacre_curve_len(curve) > 0;
}

static const EVP_MD *digest_of(const openssl_pk_instance *instance, nacre_hash hash)
{
    return (unsigned)hash < NUM_HASHES ? instance->hashes[hash] : NULL;
}

static nacre_err hash_parts(const nacre_pk *pk, nacre_hash hash, const nacre_bytes *parts, size_t num_parts,
                            uint8_t *out)
{
    const EVP_MD *digest = digest_of(pk->instance, hash);
    if (digest == NULL) return NACRE_ERR_UNSUPPORTED;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestInit_ex2(ctx, digest, NULL) == 1;
    for (size_t i = 0; ok && i < num_parts; i++)
        ok = parts[i].len == 0 || EVP_DigestUpdate(ctx, parts[i].ptr, parts[i].len) == 1;
    ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? NACRE_OK : failed(NACRE_ERR_CRYPTO);
}

static nacre_err generate(const nacre_pk *pk, nacre_curve curve, nacre_ephemeral *key, uint8_t *x)
{
    (void)pk;
    const char *group = nacre__openssl_group(curve);
    if (group == NULL && curve != NACRE_X25519) return NACRE_ERR_UNSUPPORTED;
    EVP_PKEY *fresh =
        group != NULL ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", group) : EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    nacre_ephemeral made = { .curve = curve, .len = (uint8_t)nacre_curve_len(curve) };
    bool ok = fresh != NULL && nacre__openssl_private_bytes(fresh, curve, made.bytes) &&
              nacre__openssl_public_bytes(fresh, curve, x, NULL);
    EVP_PKEY_free(fresh);
    if (ok) *key = made;
    nacre_wipe(&made, sizeof made);
    return ok ? NACRE_OK : failed(NACRE_ERR_CRYPTO);
}

static nacre_err agree(const nacre_pk *pk, const nacre_private_key *key, nacre_bytes peer_x, uint8_t *secret)
{
    (void)pk;
    size_t len = nacre_curve_len(key->curve), written = len;
    if (len == 0 || key->curve == NACRE_ED25519) return NACRE_ERR_UNSUPPORTED;
    nacre_public_key peer = { .curve = key->curve, .x = peer_x };
    EVP_PKEY *public_key = nacre__openssl_public(&peer);
    if (public_key == NULL) return failed(NACRE_ERR_BAD_PUBLIC_KEY);
    EVP_PKEY *private_key = nacre__openssl_private(key);
    EVP_PKEY_CTX *ctx = private_key != NULL ? EVP_PKEY_CTX_new_from_pkey(NULL, private_key, NULL) : NULL;
    uint8_t agreed[NACRE_MAX_COORDINATE] = { 0 };
    static const uint8_t zeros[NACRE_MAX_COORDINATE];
    nacre_err err = NACRE_ERR_CRYPTO;
    /* The import has validated the point, and the cofactor of these curves is 1; X25519 is validated by its result. */
    if (ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer_ex(ctx, public_key, 0) == 1) {
        bool derived = EVP_PKEY_derive(ctx, agreed, &written) == 1 && written == len;
        if (!derived && key->curve == NACRE_X25519) err = NACRE_ERR_BAD_PUBLIC_KEY; /* its only cause: all zero */
        else if (derived) err = nacre_equal_ct(agreed, zeros, len) ? NACRE_ERR_BAD_PUBLIC_KEY : NACRE_OK;
    }
    if (err == NACRE_OK) memcpy(secret, agreed, len);
    nacre_wipe(agreed, sizeof agreed);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(private_key);
    EVP_PKEY_free(public_key);
    return err == NACRE_OK ? err : failed(err);
}

/* OpenSSL's EdDSA takes its message in one piece. NULL without memory. */
static uint8_t *joined(const nacre_bytes *parts, size_t num_parts, size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < num_parts; i++) *len += parts[i].len;
    uint8_t *whole = malloc(*len + 1), *at = whole;
    for (size_t i = 0; whole != NULL && i < num_parts; i++) {
        if (parts[i].len > 0) memcpy(at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
    }
    return whole;
}

/* A DER signature as r and s of full length, and back (RFC 9053 2.1). */
static bool to_raw(const uint8_t *der, size_t der_len, uint8_t *raw, size_t len)
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)der_len);
    bool ok = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, (int)len) == (int)len &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + len, (int)len) == (int)len;
    ECDSA_SIG_free(sig);
    return ok;
}

static uint8_t *to_der(const uint8_t *raw, size_t len, int *der_len)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, (int)len, NULL), *s = BN_bin2bn(raw + len, (int)len, NULL);
    uint8_t *der = NULL;
    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* the signature has them */
        *der_len = i2d_ECDSA_SIG(sig, &der);
        if (*der_len <= 0) der = NULL;
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return der;
}

static bool sign_with(const openssl_pk_instance *instance, EVP_PKEY *key, nacre_curve curve, nacre_bytes message,
                      uint8_t *signature)
{
    size_t len = nacre_curve_len(curve), written = 2 * len;
    uint8_t der[2 * NACRE_MAX_COORDINATE + 16];
    const char *digest = curve == NACRE_ED25519 ? NULL : curve == NACRE_P384 ? "SHA384" : "SHA256";
    (void)instance;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, NULL, key, NULL) == 1;
    if (ok && curve == NACRE_ED25519)
        ok = EVP_DigestSign(ctx, signature, &written, message.ptr, message.len) == 1 && written == 2 * len;
    else if (ok) {
        written = sizeof der;
        ok = EVP_DigestSign(ctx, der, &written, message.ptr, message.len) == 1 && to_raw(der, written, signature, len);
    }
    EVP_MD_CTX_free(ctx);
    return ok;
}

static bool can_sign(nacre_curve curve)
{
    return curve == NACRE_P256 || curve == NACRE_P384 || curve == NACRE_ED25519;
}

static nacre_err sign(const nacre_pk *pk, const nacre_private_key *key, const nacre_bytes *parts, size_t num_parts,
                      uint8_t *signature)
{
    if (!can_sign(key->curve)) return NACRE_ERR_UNSUPPORTED;
    size_t len;
    uint8_t *message = joined(parts, num_parts, &len);
    if (message == NULL) return NACRE_ERR_NO_MEMORY;
    EVP_PKEY *private_key = nacre__openssl_private(key);
    bool ok = private_key != NULL &&
              sign_with(pk->instance, private_key, key->curve, nacre_bytes_of(message, len), signature);
    EVP_PKEY_free(private_key);
    nacre_wipe(message, len);
    free(message);
    return ok ? NACRE_OK : failed(NACRE_ERR_CRYPTO);
}

static nacre_err verify_with(EVP_PKEY *key, nacre_curve curve, nacre_bytes message, nacre_bytes signature)
{
    const char *digest = curve == NACRE_ED25519 ? NULL : curve == NACRE_P384 ? "SHA384" : "SHA256";
    int der_len = 0;
    uint8_t *der = curve == NACRE_ED25519 ? NULL : to_der(signature.ptr, signature.len / 2, &der_len);
    nacre_bytes form = der != NULL ? nacre_bytes_of(der, (size_t)der_len) : signature;
    nacre_err err = NACRE_ERR_CRYPTO;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx != NULL && (curve == NACRE_ED25519 || der != NULL) &&
        EVP_DigestVerifyInit_ex(ctx, NULL, digest, NULL, NULL, key, NULL) == 1)
        err = EVP_DigestVerify(ctx, form.ptr, form.len, message.ptr, message.len) == 1 ? NACRE_OK
                                                                                       : NACRE_ERR_BAD_SIGNATURE;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(der);
    return err;
}

static nacre_err verify(const nacre_pk *pk, const nacre_public_key *key, const nacre_bytes *parts, size_t num_parts,
                        nacre_bytes signature)
{
    (void)pk;
    if (!can_sign(key->curve)) return NACRE_ERR_UNSUPPORTED;
    if (signature.len != 2 * nacre_curve_len(key->curve)) return NACRE_ERR_BAD_SIGNATURE;
    if (key->curve != NACRE_ED25519 && key->y_form == NACRE_Y_ABSENT) return NACRE_ERR_BAD_PUBLIC_KEY;
    EVP_PKEY *public_key = nacre__openssl_public(key);
    if (public_key == NULL) return failed(NACRE_ERR_BAD_PUBLIC_KEY);
    size_t len;
    uint8_t *message = joined(parts, num_parts, &len);
    nacre_err err = message == NULL ? NACRE_ERR_NO_MEMORY
                                    : verify_with(public_key, key->curve, nacre_bytes_of(message, len), signature);
    EVP_PKEY_free(public_key);
    if (message != NULL) nacre_wipe(message, len); /* has the MAC */
    free(message);
    return err == NACRE_OK ? err : failed(err);
}

static const nacre_pk_ops ops = {
    .size = sizeof(nacre_pk_ops),
    .version = NACRE_PK_OPS_VERSION,
    .name = "openssl",
    .has = has,
    .hash = hash_parts,
    .generate = generate,
    .agree = agree,
    .sign = sign,
    .verify = verify,
};

nacre_err nacre_openssl_pk_open(nacre_pk *pk)
{
    static const char *const names[NUM_HASHES] = { "SHA256", "SHA384", "SHA512" };
    openssl_pk_instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) return NACRE_ERR_NO_MEMORY;
    nacre_pk opened = { &ops, instance };
    for (size_t i = 0; i < NUM_HASHES; i++) instance->hashes[i] = EVP_MD_fetch(NULL, names[i], NULL);
    if (instance->hashes[NACRE_SHA256] == NULL) {
        nacre_openssl_pk_close(&opened);
        return failed(NACRE_ERR_CRYPTO);
    }
    *pk = opened;
    return NACRE_OK;
}

void nacre_openssl_pk_close(nacre_pk *pk)
{
    openssl_pk_instance *instance = pk->instance;
    if (instance == NULL) return;
    for (size_t i = 0; i < NUM_HASHES; i++) EVP_MD_free(instance->hashes[i]);
    free(instance);
    pk->instance = NULL;
}
