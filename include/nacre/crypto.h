/* SPDX-License-Identifier: MIT */
/* crypto: algorithms of OSCORE, and the provider interface.
 *
 * nacre implements no cipher and no hash. A provider is a const table of operations over a cryptography library and an
 * instance that belongs to one thread. There is no global state: every call that needs cryptography takes the calling
 * thread's `nacre_crypto`. A context keeps a pointer to the table that prepared its keys. */
#ifndef NACRE_CRYPTO_H
#define NACRE_CRYPTO_H

#include <nacre/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    NACRE_MAX_NONCE = 13, /* bytes, over all AEADs of the table */
    NACRE_MAX_KEY = 32,
    NACRE_MAX_TAG = 16,
    NACRE_MAX_ID = 7, /* Sender and Recipient ID: nonce length - 6 (RFC 8613 3.3) */
    NACRE_MAX_HASH = 64,
    NACRE_MAX_AAD = 32, /* the Enc_structure of OSCORE with the longest kid and Partial IV (RFC 8613 5.4) */
};

/* One row of the COSE AEAD table (RFC 9053 4). Names are those of settings.json. */
typedef struct nacre_aead {
    int16_t cose;      /* COSE algorithm number, 10 for AES-CCM-16-64-128 */
    uint8_t key_len;   /* bytes */
    uint8_t nonce_len; /* bytes, 7 to 13 */
    uint8_t tag_len;   /* bytes, 8 or 16 */
    uint32_t max_len;  /* plaintext bytes in one message, by the algorithm's length field */
    const char *name;
} nacre_aead;

/* Lookup by COSE number or by name; NULL when the table has no such row. nacre_aead_at gives row `index`, or NULL. */
const nacre_aead *nacre_aead_by_number(int cose);
const nacre_aead *nacre_aead_by_name(const char *name);
const nacre_aead *nacre_aead_at(size_t index);

#define NACRE_AES_CCM_16_64_128 10 /* mandatory to implement, and the default (RFC 8613 3.2) */

/* Hashes for HKDF. Names as in settings.json: "sha256" … */
typedef enum nacre_hash { NACRE_SHA256 = 0, NACRE_SHA384 = 1, NACRE_SHA512 = 2 } nacre_hash;
size_t nacre_hash_len(nacre_hash hash); /* 32, 48, 64 bytes */
const char *nacre_hash_name(nacre_hash hash);
bool nacre_hash_by_name(const char *name, nacre_hash *hash);

/* One AEAD operation, RFC 5116. seal: `in_len` bytes become in_len + tag_len; open: the reverse. `in` and `out` may be
 * the same pointer, or must not overlap. `ok` is the result: false on seal means that the library failed; on open, that
 * the tag did not match or the library failed, and the output holds no plaintext. */
typedef struct nacre_aead_job {
    const nacre_aead *aead;
    void *key;            /* as prepared by key_init of the same provider */
    const uint8_t *nonce; /* aead->nonce_len bytes */
    nacre_bytes aad;
    const uint8_t *in;
    size_t in_len;
    uint8_t *out;
    bool ok;
} nacre_aead_job;

/* A secret: its bytes, or, with `bytes` absent, a handle that the provider defines (a key in a secure element). */
typedef struct nacre_secret {
    nacre_bytes bytes;
    uint64_t handle;
} nacre_secret;

/* Input of one derivation: HKDF with `hash`, `secret` as input keying material, `salt` (absent: zeros), and
 * `info` (RFC 8613 3.2.1). */
typedef struct nacre_derivation {
    nacre_hash hash;
    nacre_secret secret;
    nacre_bytes salt, info;
} nacre_derivation;

typedef struct nacre_crypto nacre_crypto;
typedef enum nacre_direction { NACRE_SEAL, NACRE_OPEN } nacre_direction;

enum { NACRE_CRYPTO_OPS_VERSION = 1 };

typedef struct nacre_crypto_ops {
    size_t size;      /* sizeof(nacre_crypto_ops), and … */
    uint32_t version; /* … NACRE_CRYPTO_OPS_VERSION: CONVENTIONS.md, "Tables of functions" */
    const char *name; /* "openssl" */
    size_t max_aad;   /* the longest AAD in bytes; 0 for no limit */
    /* True: seal and open only read prepared keys, so threads may use one key concurrently. False: a context that is
     * shared between threads is locked during protect and unprotect. */
    bool keys_are_shareable;

    /* Size and alignment of a prepared key. False: this provider does not have the algorithm. */
    bool (*key_layout)(const nacre_aead *aead, size_t *size, size_t *align);
    /* Prepare a key (aead->key_len bytes) at `key`. NACRE_OK, NACRE_ERR_UNSUPPORTED, NACRE_ERR_CRYPTO,
     * NACRE_ERR_NO_MEMORY; nothing to release on failure. */
    nacre_err (*key_init)(const nacre_crypto *crypto, const nacre_aead *aead, nacre_direction direction, void *key,
                          const uint8_t *bytes);
    /* Release what key_init took and wipe `key`. */
    void (*key_release)(const nacre_aead *aead, void *key, size_t size);

    /* HMAC over the concatenated parts, RFC 2104. `key` may be empty. `mac` has nacre_hash_len bytes. */
    nacre_err (*hmac)(const nacre_crypto *crypto, nacre_hash hash, nacre_bytes key, const nacre_bytes *parts,
                      size_t num_parts, uint8_t *mac);
    /* For secrets that are handles: derive bytes, and derive a prepared key without exposing it. Both NULL: the core
     * uses HKDF over `hmac`, and key_init. */
    nacre_err (*derive)(const nacre_crypto *crypto, const nacre_derivation *d, uint8_t *out, size_t len);
    nacre_err (*key_derive)(const nacre_crypto *crypto, const nacre_aead *aead, nacre_direction direction, void *key,
                            const nacre_derivation *d);

    /* A batch; each job succeeds or fails by itself. Jobs of one batch may differ in algorithm and key. */
    void (*seal_many)(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num_jobs);
    void (*open_many)(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num_jobs);
} nacre_crypto_ops;

struct nacre_crypto {
    const nacre_crypto_ops *ops;
    void *instance; /* of one thread; defined by the provider */
};

/* nacre_seal and nacre_open run one operation. */
static inline bool nacre_seal(const nacre_crypto *crypto, nacre_aead_job *job)
{
    crypto->ops->seal_many(crypto, &job, 1);
    return job->ok;
}
static inline bool nacre_open(const nacre_crypto *crypto, nacre_aead_job *job)
{
    crypto->ops->open_many(crypto, &job, 1);
    return job->ok;
}

/* nacre_hkdf is HKDF extract and expand (RFC 5869) over the provider's HMAC; `len` at most 255 hashes.
 * NACRE_OK; NACRE_ERR_TOO_LONG; what the provider's hmac returns. On failure `out` is wiped. */
NACRE_MUST_USE nacre_err nacre_hkdf(const nacre_crypto *crypto, nacre_hash hash, nacre_bytes secret, nacre_bytes salt,
                                    nacre_bytes info, uint8_t *out, size_t len);

/* The provider over OpenSSL 3 (in libnacre, not in the core). nacre_openssl_open makes an instance for the calling
 * thread; close it with nacre_openssl_close, after the contexts that it prepared keys for.
 * NACRE_OK, NACRE_ERR_NO_MEMORY, NACRE_ERR_CRYPTO (the library lacks an algorithm, for example by FIPS policy) */
NACRE_MUST_USE nacre_err nacre_openssl_open(nacre_crypto *crypto);
void nacre_openssl_close(nacre_crypto *crypto);

/* The provider over Intel's IPsec Multi-Buffer library, for x86-64: it processes the messages of a batch in parallel lanes,
 * with the same results as OpenSSL. Available when nacre was built with that library. Prepared keys are key schedules in
 * the caller's memory: 176 or 240 bytes each with AES-CCM, above a kilobyte with AES-GCM. An instance belongs to one
 * thread; close it with nacre_ipsec_mb_close. Contexts do not refer to the instance: any instance of this provider may
 * process their messages.
 * NACRE_OK
 * NACRE_ERR_UNSUPPORTED  not built in, or the processor has no AES instructions: open another provider
 * NACRE_ERR_NO_MEMORY, NACRE_ERR_CRYPTO (from OpenSSL, which computes HMAC and processes messages too long for the library) */
NACRE_MUST_USE nacre_err nacre_ipsec_mb_open(nacre_crypto *crypto);
void nacre_ipsec_mb_close(nacre_crypto *crypto);

/* nacre_provider_open opens the fastest provider that is built in and that this processor can run; crypto->ops->name is its
 * name. Close it with nacre_provider_close.
 * NACRE_OK, or as nacre_openssl_open */
NACRE_MUST_USE nacre_err nacre_provider_open(nacre_crypto *crypto);
void nacre_provider_close(nacre_crypto *crypto);

#ifdef __cplusplus
}
#endif

#endif
