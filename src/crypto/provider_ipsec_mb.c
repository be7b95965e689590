/* SPDX-License-Identifier: MIT */
/* provider_ipsec_mb: the algorithms of the table over Intel's IPsec Multi-Buffer library, which runs the ciphers of a burst
 * side by side in the lanes of wide registers. A prepared key is a read-only key schedule in the caller's buffer. OpenSSL
 * computes HMAC, and messages beyond the library's limits. */
#include <nacre/crypto.h>

#ifdef NACRE_IPSEC_MB
#include <intel-ipsec-mb.h>
#include <stdlib.h>
#include <string.h>

enum {
    BURST = 32,
    MAX_CCM_AAD = 46,    /* two blocks beside the length: what the library takes */
    MAX_CCM_LEN = 65000, /* its lengths have 16 bits and count whole blocks */
    KEY_ALIGN = 16,
};

typedef struct ipsec_mb_instance {
    IMB_MGR *mgr;
    nacre_crypto openssl;
    uint8_t tags[BURST][NACRE_MAX_TAG]; /* computed tags of opened messages */
} ipsec_mb_instance;

typedef enum family { CCM_FAMILY, GCM_FAMILY, CHACHA_FAMILY } family;

static family family_of(const nacre_aead *aead)
{
    if (aead->cose == 24) return CHACHA_FAMILY;
    return aead->nonce_len == 12 ? GCM_FAMILY : CCM_FAMILY;
}

/* Selects the implementation for this processor; false if none beats OpenSSL: without AES instructions the library emulates
 * them. AVX-512 is skipped on purpose: it has sixteen lanes for the MAC of CCM, and for short CoAP messages filling and
 * draining them takes longer than the ciphers (docs/performance.md). */
static bool start(IMB_MGR *mgr)
{
    uint64_t has = mgr->features;
    if ((has & IMB_CPUFLAGS_AVX2) == IMB_CPUFLAGS_AVX2) init_mb_mgr_avx2(mgr);
    else if ((has & IMB_CPUFLAGS_AVX) == IMB_CPUFLAGS_AVX) init_mb_mgr_avx(mgr);
    else if ((has & IMB_CPUFLAGS_SSE) == IMB_CPUFLAGS_SSE) init_mb_mgr_sse(mgr);
    else return false;
    if ((mgr->features & IMB_FEATURE_SELF_TEST) != 0 && (mgr->features & IMB_FEATURE_SELF_TEST_PASS) == 0) return false;
    return imb_get_errno(mgr) == 0;
}

/* ---- Keys ---- */

static bool key_layout(const nacre_aead *aead, size_t *size, size_t *align)
{
    size_t rounds = aead->key_len / 4u + 6; /* FIPS 197 5: one round key each, and an initial one */
    *align = KEY_ALIGN;
    switch (family_of(aead)) {
    case CCM_FAMILY: *size = 16 * (rounds + 1); break;
    case GCM_FAMILY: *size = sizeof(struct gcm_key_data); break;
    case CHACHA_FAMILY: *size = aead->key_len; break;
    }
    return true;
}

static nacre_err key_init(const nacre_crypto *crypto, const nacre_aead *aead, nacre_direction direction, void *key,
                          const uint8_t *bytes)
{
    const ipsec_mb_instance *instance = crypto->instance;
    IMB_MGR *mgr = instance->mgr;
    _Alignas(16) uint8_t unused[16 * 15]; /* CCM and GCM never run AES backwards */
    (void)direction;
    if (nacre_aead_by_number(aead->cose) != aead) return NACRE_ERR_UNSUPPORTED; /* not a row of the table */
    switch (family_of(aead)) {
    case CHACHA_FAMILY: memcpy(key, bytes, aead->key_len); return NACRE_OK;
    case GCM_FAMILY:
        if (aead->key_len == 16) IMB_AES128_GCM_PRE(mgr, bytes, key);
        else if (aead->key_len == 24) IMB_AES192_GCM_PRE(mgr, bytes, key);
        else IMB_AES256_GCM_PRE(mgr, bytes, key);
        return NACRE_OK;
    case CCM_FAMILY:
        if (aead->key_len == 16) IMB_AES_KEYEXP_128(mgr, bytes, key, unused);
        else IMB_AES_KEYEXP_256(mgr, bytes, key, unused);
        nacre_wipe(unused, sizeof unused);
        return NACRE_OK;
    }
    return NACRE_ERR_UNSUPPORTED;
}

static void key_release(const nacre_aead *aead, void *key, size_t size)
{
    (void)aead;
    nacre_wipe(key, size);
}

static nacre_err hmac(const nacre_crypto *crypto, nacre_hash hash, nacre_bytes key, const nacre_bytes *parts,
                      size_t num_parts, uint8_t *mac)
{
    const ipsec_mb_instance *instance = crypto->instance;
    return instance->openssl.ops->hmac(&instance->openssl, hash, key, parts, num_parts, mac);
}

/* ---- Messages beyond the library's limits ------------------------------------------------------------------------ */

static bool is_beyond(const nacre_aead_job *job)
{
    return family_of(job->aead) == CCM_FAMILY && (job->aad.len > MAX_CCM_AAD || job->in_len > MAX_CCM_LEN);
}

/* An AES key schedule begins with the key (FIPS 197 5.2). */
static void by_openssl(const ipsec_mb_instance *instance, nacre_direction direction, nacre_aead_job *job)
{
    const nacre_crypto *openssl = &instance->openssl;
    void *handle[1]; /* OpenSSL's prepared key */
    size_t size, align;
    nacre_aead_job copy = *job;
    job->ok = false;
    if (!openssl->ops->key_layout(job->aead, &size, &align) || size > sizeof handle) return;
    if (openssl->ops->key_init(openssl, job->aead, direction, handle, job->key) != NACRE_OK) return;
    copy.key = handle;
    job->ok = direction == NACRE_SEAL ? nacre_seal(openssl, &copy) : nacre_open(openssl, &copy);
    openssl->ops->key_release(job->aead, handle, size);
}

/* ---- Bursts ---- */

static const struct {
    IMB_CIPHER_MODE cipher;
    IMB_HASH_ALG mac;
    bool mac_of_plaintext; /* so the MAC is first when sealing, last when opening */
} modes[] = {
    [CCM_FAMILY] = { IMB_CIPHER_CCM, IMB_AUTH_AES_CCM, true },
    [GCM_FAMILY] = { IMB_CIPHER_GCM, IMB_AUTH_AES_GMAC, false },
    [CHACHA_FAMILY] = { IMB_CIPHER_CHACHA20_POLY1305, IMB_AUTH_CHACHA20_POLY1305, false },
};

static void fill(IMB_JOB *to, nacre_aead_job *job, nacre_direction direction, uint8_t *tag)
{
    const nacre_aead *aead = job->aead;
    to->enc_keys = to->dec_keys = job->key;
    to->key_len_in_bytes = aead->key_len;
    to->src = job->in != NULL ? job->in : tag; /* an empty message may have no pointer */
    to->dst = job->out;
    to->cipher_start_src_offset_in_bytes = to->hash_start_src_offset_in_bytes = 0;
    to->msg_len_to_cipher_in_bytes = to->msg_len_to_hash_in_bytes =
        direction == NACRE_SEAL ? job->in_len : job->in_len - aead->tag_len;
    to->iv = job->nonce;
    to->iv_len_in_bytes = aead->nonce_len;
    to->auth_tag_output = tag;
    to->auth_tag_output_len_in_bytes = aead->tag_len;
    to->cipher_direction = direction == NACRE_SEAL ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    to->user_data = job;
    family kind = family_of(aead);
    bool mac_first = modes[kind].mac_of_plaintext == (direction == NACRE_SEAL);
    to->cipher_mode = modes[kind].cipher;
    to->hash_alg = modes[kind].mac;
    to->chain_order = mac_first ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
    switch (kind) {
    case CCM_FAMILY:
        to->u.CCM.aad = job->aad.ptr;
        to->u.CCM.aad_len_in_bytes = job->aad.len;
        break;
    case GCM_FAMILY:
        to->u.GCM.aad = job->aad.ptr;
        to->u.GCM.aad_len_in_bytes = job->aad.len;
        break;
    case CHACHA_FAMILY:
        to->u.CHACHA20_POLY1305.aad = job->aad.ptr;
        to->u.CHACHA20_POLY1305.aad_len_in_bytes = job->aad.len;
        break;
    }
}

static void settle(const IMB_JOB *done)
{
    nacre_aead_job *job = done->user_data;
    bool ok = done->status == IMB_STATUS_COMPLETED;
    if (done->cipher_direction == IMB_DIR_DECRYPT) {
        size_t tag_len = job->aead->tag_len, plain_len = job->in_len - tag_len;
        ok = ok && nacre_equal_ct(done->auth_tag_output, job->in + plain_len, tag_len);
        if (!ok) nacre_wipe(job->out, plain_len);
    }
    job->ok = ok;
}

static bool lengths_ok(const nacre_aead_job *job, nacre_direction direction)
{
    size_t tag_len = direction == NACRE_SEAL ? 0 : job->aead->tag_len;
    return job->in_len >= tag_len && job->in_len - tag_len <= job->aead->max_len;
}

/* At most BURST jobs, all for the library. */
static void run(ipsec_mb_instance *instance, nacre_direction direction, nacre_aead_job *const *jobs, uint32_t num)
{
    IMB_MGR *mgr = instance->mgr;
    IMB_JOB *burst[BURST];
    uint32_t done = 0;
    if (IMB_GET_NEXT_BURST(mgr, num, burst) == num) {
        for (uint32_t i = 0; i < num; i++)
            fill(burst[i], jobs[i], direction,
                 direction == NACRE_SEAL ? jobs[i]->out + jobs[i]->in_len : instance->tags[i]);
        for (uint32_t now = IMB_SUBMIT_BURST_NOCHECK(mgr, num, burst); now > 0 || done == 0;) {
            for (uint32_t i = 0; i < now; i++) settle(burst[i]);
            done += now;
            if (done >= num) break;
            now = IMB_FLUSH_BURST(mgr, num - done, burst);
            if (now == 0) break;
        }
    }
    if (done != num) { /* refused: jobs of this burst must not remain queued */
        (void)start(mgr);
        for (uint32_t i = 0; i < num; i++) jobs[i]->ok = false;
        if (direction == NACRE_OPEN)
            for (uint32_t i = 0; i < num; i++) nacre_wipe(jobs[i]->out, jobs[i]->in_len - jobs[i]->aead->tag_len);
    }
    if (direction == NACRE_OPEN) nacre_wipe(instance->tags, num * sizeof instance->tags[0]); /* secret: valid tags */
}

static void run_many(const nacre_crypto *crypto, nacre_direction direction, nacre_aead_job *const *jobs,
                     size_t num_jobs)
{
    nacre_aead_job *ready[BURST];
    uint32_t num = 0;
    for (size_t i = 0; i < num_jobs; i++) {
        jobs[i]->ok = false;
        if (!lengths_ok(jobs[i], direction)) continue;
        if (is_beyond(jobs[i])) by_openssl(crypto->instance, direction, jobs[i]);
        else ready[num++] = jobs[i];
        if (num < BURST) continue;
        run(crypto->instance, direction, ready, num);
        num = 0;
    }
    if (num > 0) run(crypto->instance, direction, ready, num);
}

static void seal_many(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num_jobs)
{
    run_many(crypto, NACRE_SEAL, jobs, num_jobs);
}

static void open_many(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num_jobs)
{
    run_many(crypto, NACRE_OPEN, jobs, num_jobs);
}

static const nacre_crypto_ops ops = {
    .size = sizeof(nacre_crypto_ops),
    .version = NACRE_CRYPTO_OPS_VERSION,
    .name = "ipsec_mb",
    .keys_are_shareable = true,
    .key_layout = key_layout,
    .key_init = key_init,
    .key_release = key_release,
    .hmac = hmac,
    .seal_many = seal_many,
    .open_many = open_many,
};

nacre_err nacre_ipsec_mb_open(nacre_crypto *crypto)
{
    ipsec_mb_instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) return NACRE_ERR_NO_MEMORY;
    nacre_err err = nacre_openssl_open(&instance->openssl);
    if (err == NACRE_OK) {
        instance->mgr = alloc_mb_mgr(0);
        if (instance->mgr == NULL) err = NACRE_ERR_NO_MEMORY;
        else if (!start(instance->mgr)) err = NACRE_ERR_UNSUPPORTED;
    }
    nacre_crypto opened = { &ops, instance };
    if (err != NACRE_OK) {
        nacre_ipsec_mb_close(&opened);
        return err;
    }
    *crypto = opened;
    return NACRE_OK;
}

void nacre_ipsec_mb_close(nacre_crypto *crypto)
{
    ipsec_mb_instance *instance = crypto->instance;
    if (instance == NULL) return;
    if (instance->openssl.ops != NULL) nacre_openssl_close(&instance->openssl);
    if (instance->mgr != NULL) {
        nacre_wipe(instance->mgr, imb_get_mb_mgr_size()); /* the lanes hold data of the last messages */
        free_mb_mgr(instance->mgr);
    }
    free(instance);
    crypto->instance = NULL;
}

#else

nacre_err nacre_ipsec_mb_open(nacre_crypto *crypto)
{
    (void)crypto;
    return NACRE_ERR_UNSUPPORTED;
}

void nacre_ipsec_mb_close(nacre_crypto *crypto)
{
    crypto->instance = NULL;
}

#endif
