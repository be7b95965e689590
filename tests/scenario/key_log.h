/* SPDX-License-Identifier: MIT */
/* key_log: a provider that records the key bytes and the nonce of each encryption and counts repetitions. Unlike
 * seal_log.h it recognises a key that was derived a second time. */
#ifndef NACRE_TESTS_KEY_LOG_H
#define NACRE_TESTS_KEY_LOG_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <nacre/crypto.h>

enum { LOG_SLOTS = 1 << 20, MAX_KEYS = 20000, MAX_BUFS = 64 };

typedef struct seal_entry {
    uint32_t key; /* index in `keys` plus one; 0: free */
    uint8_t nonce[NACRE_MAX_NONCE];
    uint64_t content;
} seal_entry;

typedef struct known_key {
    uint8_t bytes[NACRE_MAX_KEY];
    uint8_t len;
} known_key;

/* Keys are compared by their bytes: after a restart the same key has another address, or another key has the old
 * address. */
static struct key_log {
    seal_entry *entries;
    known_key *keys;
    uint32_t num_keys;
    struct {
        const void *buf;
        uint32_t key;
    } bufs[MAX_BUFS];
    size_t num_bufs;
    size_t sealed, repeated, repeated_with_another_content, unknown_keys;
} encryptions;

static const nacre_crypto_ops *real;

static inline void key_log_free(void)
{
    free(encryptions.entries);
    free(encryptions.keys);
    memset(&encryptions, 0, sizeof encryptions);
}

static inline void key_log_clear(void)
{
    key_log_free();
    encryptions.entries = calloc(LOG_SLOTS, sizeof *encryptions.entries);
    encryptions.keys = calloc(MAX_KEYS, sizeof *encryptions.keys);
    assert_true(encryptions.entries != NULL && encryptions.keys != NULL);
}

static inline uint64_t key_log_mix(uint64_t hash, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return (hash ^ hash >> 29) * UINT64_C(0xbf58476d1ce4e5b9) + len;
}

static inline uint32_t key_number(const uint8_t *bytes, uint8_t len)
{
    uint32_t at = 0;
    while (at < encryptions.num_keys &&
           (encryptions.keys[at].len != len || memcmp(encryptions.keys[at].bytes, bytes, len) != 0))
        at++;
    if (at < encryptions.num_keys) return at + 1;
    assert_true(at < MAX_KEYS);
    memcpy(encryptions.keys[at].bytes, bytes, len);
    encryptions.keys[at].len = len;
    return ++encryptions.num_keys;
}

static inline nacre_err logged_key_init(const nacre_crypto *crypto, const nacre_aead *aead, nacre_direction direction,
                                        void *key, const uint8_t *bytes)
{
    nacre_err err = real->key_init(crypto, aead, direction, key, bytes);
    if (err != NACRE_OK || direction != NACRE_SEAL) return err;
    assert_true(encryptions.num_bufs < MAX_BUFS);
    encryptions.bufs[encryptions.num_bufs].buf = key;
    encryptions.bufs[encryptions.num_bufs++].key = key_number(bytes, aead->key_len);
    return NACRE_OK;
}

static inline void logged_key_release(const nacre_aead *aead, void *key, size_t size)
{
    for (size_t i = 0; i < encryptions.num_bufs; i++)
        if (encryptions.bufs[i].buf == key) encryptions.bufs[i--] = encryptions.bufs[--encryptions.num_bufs];
    real->key_release(aead, key, size);
}

static inline void log_seal(const nacre_aead_job *job)
{
    seal_entry e = { 0 };
    for (size_t i = 0; i < encryptions.num_bufs; i++)
        if (encryptions.bufs[i].buf == job->key) e.key = encryptions.bufs[i].key;
    if (e.key == 0) encryptions.unknown_keys++;
    memcpy(e.nonce, job->nonce, job->aead->nonce_len);
    e.content =
        key_log_mix(key_log_mix(UINT64_C(0xcbf29ce484222325), job->aad.ptr, job->aad.len), job->in, job->in_len);
    size_t at = (size_t)key_log_mix(e.key, e.nonce, sizeof e.nonce) % LOG_SLOTS;
    assert_true(++encryptions.sealed < LOG_SLOTS / 4 * 3);
    for (; encryptions.entries[at].key != 0; at = (at + 1) % LOG_SLOTS) {
        const seal_entry *old = &encryptions.entries[at];
        if (old->key != e.key || memcmp(old->nonce, e.nonce, sizeof e.nonce) != 0) continue;
        encryptions.repeated++;
        if (old->content != e.content) encryptions.repeated_with_another_content++;
        return;
    }
    encryptions.entries[at] = e;
}

static inline void logged_seal_many(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num_jobs)
{
    for (size_t i = 0; i < num_jobs; i++) log_seal(jobs[i]); /* before the call: the cipher works in place */
    real->seal_many(crypto, jobs, num_jobs);
}

/* `ops`, with each encryption recorded. */
static inline const nacre_crypto_ops *key_log_ops(const nacre_crypto_ops *ops)
{
    static nacre_crypto_ops logged;
    real = ops;
    logged = *ops;
    logged.key_init = logged_key_init;
    logged.key_release = logged_key_release;
    logged.seal_many = logged_seal_many;
    return &logged;
}

#endif
