/* SPDX-License-Identifier: MIT */
/* seal_log: a provider that records each key and nonce used for encryption and fails the test on a repetition. This
 * includes messages that are encrypted and never sent, and both sides of a proxy, where tokens change. */
#ifndef NACRE_TESTS_SEAL_LOG_H
#define NACRE_TESTS_SEAL_LOG_H

#include "world.h"

enum { SEAL_ROWS = 1 << 16 };
typedef struct seal_row {
    const void *key; /* NULL: free */
    uint8_t nonce[NACRE_MAX_NONCE];
} seal_row;
typedef struct seal_log {
    nacre_crypto_ops ops;       /* for a party's configuration: crypto.ops */
    const nacre_crypto_ops *at; /* the wrapped operations */
    seal_row rows[SEAL_ROWS];
    size_t num;
} seal_log;
static seal_log encryptions;

static inline void seal_log_add(const nacre_aead_job *job)
{
    seal_row row = { .key = job->key };
    memcpy(row.nonce, job->nonce, job->aead->nonce_len);
    size_t at = (size_t)plain_hash(NACRE_ARRAY(row.nonce)) % SEAL_ROWS;
    for (; encryptions.rows[at].key != NULL; at = (at + 1) % SEAL_ROWS)
        if (encryptions.rows[at].key == row.key && memcmp(encryptions.rows[at].nonce, row.nonce, sizeof row.nonce) == 0)
            fail_msg("a nonce was used twice");
    encryptions.rows[at] = row;
    assert_true(++encryptions.num < SEAL_ROWS / 2);
}

static inline void seal_log_seal(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num_jobs)
{
    for (size_t i = 0; i < num_jobs; i++) seal_log_add(jobs[i]);
    encryptions.at->seal_many(crypto, jobs, num_jobs);
}

/* Clears the log: keys of the last run at the same addresses would not match. */
static inline const nacre_crypto_ops *seal_log_begin(void)
{
    nacre_crypto real;
    if (encryptions.num > 0) memset(encryptions.rows, 0, sizeof encryptions.rows);
    encryptions.num = 0;
    if (encryptions.at == NULL) {
        assert_int_equal(nacre_openssl_open(&real), NACRE_OK);
        encryptions.at = real.ops;
        encryptions.ops = *real.ops;
        encryptions.ops.seal_many = seal_log_seal;
        nacre_openssl_close(&real);
    }
    return &encryptions.ops;
}

#endif
