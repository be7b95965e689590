/* SPDX-License-Identifier: MIT */
/* provider_openssl: the algorithms of the table over OpenSSL 3. A prepared key is an EVP_CIPHER_CTX that holds the key
 * schedule; per message only the nonce is set. It is modified in use, so threads must not share it. */
#include <nacre/crypto.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <limits.h>
#include <stdlib.h>

enum { MAX_AEADS = 16 };

typedef struct openssl_instance {
    EVP_MAC *hmac;
    EVP_CIPHER *ciphers[MAX_AEADS]; /* in the order of the AEAD table */
} openssl_instance;

/* OpenSSL's name for a row: the family by the COSE number, the size by the key. */
static const char *cipher_name(const nacre_aead *aead)
{
    static const char *const gcm[] = { "AES-128-GCM", "AES-192-GCM", "AES-256-GCM" };
    if (aead->cose >= 1 && aead->cose <= 3) return gcm[aead->cose - 1];
    if (aead->cose == 24) return "ChaCha20-Poly1305";
    return aead->key_len == 16 ? "AES-128-CCM" : "AES-256-CCM";
}

/* Clears OpenSSL's error queue of this thread: forged messages would fill it, and later readers, such as TLS in the same
 * thread, would take the entries for their own. */
static bool failed(void)
{
    ERR_clear_error();
    return false;
}

static bool is_ccm(const nacre_aead *aead)
{
    return aead->nonce_len != 12;
}

static bool key_layout(const nacre_aead *aead, size_t *size, size_t *align)
{
    (void)aead;
    *size = sizeof(EVP_CIPHER_CTX *);
    *align = _Alignof(EVP_CIPHER_CTX *);
    return true;
}

static EVP_CIPHER *cipher_of(const openssl_instance *instance, const nacre_aead *aead)
{
    for (size_t i = 0; i < MAX_AEADS && nacre_aead_at(i) != NULL; i++)
        if (nacre_aead_at(i) == aead) return instance->ciphers[i];
    return NULL;
}

static nacre_err key_init(const nacre_crypto *crypto, const nacre_aead *aead, nacre_direction direction, void *key,
                          const uint8_t *bytes)
{
    EVP_CIPHER *cipher = cipher_of(crypto->instance, aead);
    if (cipher == NULL) return NACRE_ERR_UNSUPPORTED;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL) {
        (void)failed();
        return NACRE_ERR_NO_MEMORY;
    }
    int seal = direction == NACRE_SEAL;
    bool ok = EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, seal, NULL) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, aead->nonce_len, NULL) == 1 &&
              (!is_ccm(aead) || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, aead->tag_len, NULL) == 1) &&
              EVP_CipherInit_ex2(ctx, NULL, bytes, NULL, seal, NULL) == 1;
    if (!ok) {
        EVP_CIPHER_CTX_free(ctx);
        (void)failed();
        return NACRE_ERR_CRYPTO;
    }
    *(EVP_CIPHER_CTX **)key = ctx;
    return NACRE_OK;
}

static void key_release(const nacre_aead *aead, void *key, size_t size)
{
    (void)aead;
    EVP_CIPHER_CTX_free(*(EVP_CIPHER_CTX **)key); /* wipes the key schedule */
    nacre_wipe(key, size);
}

static nacre_err hmac(const nacre_crypto *crypto, nacre_hash hash, nacre_bytes key, const nacre_bytes *parts,
                      size_t num_parts, uint8_t *mac)
{
    static const char *const digests[] = { "SHA256", "SHA384", "SHA512" };
    const openssl_instance *instance = crypto->instance;
    if ((unsigned)hash >= sizeof digests / sizeof digests[0]) return NACRE_ERR_UNSUPPORTED;
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(instance->hmac);
    if (ctx == NULL) {
        (void)failed();
        return NACRE_ERR_NO_MEMORY;
    }
    char name[8]; /* OSSL_PARAM takes a non-const string but only reads it */
    for (size_t i = 0; i < sizeof name; i++) {
        name[i] = digests[hash][i];
        if (name[i] == '\0') break;
    }
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                            OSSL_PARAM_construct_end() };
    static const uint8_t no_key[1]; /* a NULL key would keep the previous one */
    bool ok = EVP_MAC_init(ctx, key.len > 0 ? key.ptr : no_key, key.len, params) == 1;
    for (size_t i = 0; ok && i < num_parts; i++)
        ok = parts[i].len == 0 || EVP_MAC_update(ctx, parts[i].ptr, parts[i].len) == 1;
    size_t len = 0;
    ok = ok && EVP_MAC_final(ctx, mac, &len, nacre_hash_len(hash)) == 1 && len == nacre_hash_len(hash);
    EVP_MAC_CTX_free(ctx);
    if (!ok) (void)failed();
    return ok ? NACRE_OK : NACRE_ERR_CRYPTO;
}

/* Steps that CCM and the others share; CCM needs the message length first (RFC 3610 2.2). */
static bool start(EVP_CIPHER_CTX *ctx, const nacre_aead_job *job, int message_len)
{
    int n;
    return EVP_CipherInit_ex(ctx, NULL, NULL, NULL, job->nonce, -1) == 1 &&
           (!is_ccm(job->aead) || EVP_CipherUpdate(ctx, NULL, &n, NULL, message_len) == 1) &&
           (job->aad.len == 0 || EVP_CipherUpdate(ctx, NULL, &n, job->aad.ptr, (int)job->aad.len) == 1);
}

static bool seal(const nacre_aead_job *job)
{
    EVP_CIPHER_CTX *ctx = *(EVP_CIPHER_CTX **)job->key;
    int len = 0, rest = 0;
    if (job->in_len > job->aead->max_len || job->in_len > INT_MAX) return false;
    bool ok = start(ctx, job, (int)job->in_len) &&
              EVP_EncryptUpdate(ctx, job->out, &len, job->in, (int)job->in_len) == 1 &&
              EVP_EncryptFinal_ex(ctx, job->out + len, &rest) == 1 && (size_t)(len + rest) == job->in_len &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, job->aead->tag_len, job->out + job->in_len) == 1;
    return ok || failed();
}

static bool open_one(const nacre_aead_job *job)
{
    EVP_CIPHER_CTX *ctx = *(EVP_CIPHER_CTX **)job->key;
    int len = 0, rest = 0;
    if (job->in_len < job->aead->tag_len || job->in_len - job->aead->tag_len > INT_MAX) return false;
    size_t plain_len = job->in_len - job->aead->tag_len;
    /* If the length exceeds the length field, OpenSSL's CCM fails with the key half set up, and no later message would
     * open. */
    if (plain_len > job->aead->max_len) return false;
    /* The tag is only read; OpenSSL's parameter is not const. */
    void *tag = (void *)(uintptr_t)(job->in + plain_len);
    bool ok = start(ctx, job, (int)plain_len) &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, job->aead->tag_len, tag) == 1 &&
              EVP_DecryptUpdate(ctx, job->out, &len, job->in, (int)plain_len) == 1;
    if (ok && !is_ccm(job->aead)) ok = EVP_DecryptFinal_ex(ctx, job->out + len, &rest) == 1; /* CCM checked above */
    if (ok) return true;
    nacre_wipe(job->out, plain_len);
    return failed();
}

static void seal_many(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num_jobs)
{
    (void)crypto;
    for (size_t i = 0; i < num_jobs; i++) jobs[i]->ok = seal(jobs[i]);
}

static void open_many(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num_jobs)
{
    (void)crypto;
    for (size_t i = 0; i < num_jobs; i++) jobs[i]->ok = open_one(jobs[i]);
}

static const nacre_crypto_ops ops = {
    .size = sizeof(nacre_crypto_ops),
    .version = NACRE_CRYPTO_OPS_VERSION,
    .name = "openssl",
    .keys_are_shareable = false,
    .key_layout = key_layout,
    .key_init = key_init,
    .key_release = key_release,
    .hmac = hmac,
    .seal_many = seal_many,
    .open_many = open_many,
};

nacre_err nacre_openssl_open(nacre_crypto *crypto)
{
    openssl_instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) return NACRE_ERR_NO_MEMORY;
    nacre_crypto opened = { &ops, instance };
    instance->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    bool all = instance->hmac != NULL;
    for (size_t i = 0; i < MAX_AEADS && nacre_aead_at(i) != NULL; i++) {
        instance->ciphers[i] = EVP_CIPHER_fetch(NULL, cipher_name(nacre_aead_at(i)), NULL);
        all = all && instance->ciphers[i] != NULL;
    }
    if (!all) (void)failed();
    /* Policy may disable single ciphers; the mandatory one and HMAC are required. */
    if (instance->hmac == NULL || cipher_of(instance, nacre_aead_by_number(NACRE_AES_CCM_16_64_128)) == NULL) {
        nacre_openssl_close(&opened);
        return NACRE_ERR_CRYPTO;
    }
    *crypto = opened;
    return NACRE_OK;
}

void nacre_openssl_close(nacre_crypto *crypto)
{
    openssl_instance *instance = crypto->instance;
    if (instance == NULL) return;
    EVP_MAC_free(instance->hmac);
    for (size_t i = 0; i < MAX_AEADS; i++) EVP_CIPHER_free(instance->ciphers[i]);
    free(instance);
    crypto->instance = NULL;
}
