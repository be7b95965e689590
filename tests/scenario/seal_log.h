/* SPDX-License-Identifier: MIT */
/* seal_log: a provider that remembers each key and nonce that it sealed with, and fails the test when one comes again. That
 * sees what no datagram shows: messages that were sealed and never sent, and both sides of a proxy, where tokens change. */
#ifndef NACRE_TESTS_SEAL_LOG_H
#define NACRE_TESTS_SEAL_LOG_H

#include "world.h"

enum { SEAL_ROWS = 1 << 16 };
typedef struct seal_row {
    const void *key; /* NULL: free */
    uint8_t nonce[NACRE_MAX_NONCE];
} seal_row;
typedef struct seal_log {
    nacre_crypto_ops ops;       /* put this into a party's configuration: crypto.ops */
    const nacre_crypto_ops *at; /* the real ones */
    seal_row rows[SEAL_ROWS];
    size_t num;
} seal_log;
static seal_log seals;

static inline void seal_log_add(const nacre_aead_job *job)
{
    seal_row row = { .key = job->key };
    memcpy(row.nonce, job->nonce, job->aead->nonce_len);
    size_t at = (size_t)plain_hash(NACRE_ARRAY(row.nonce)) % SEAL_ROWS;
    for (; seals.rows[at].key != NULL; at = (at + 1) % SEAL_ROWS)
        if (seals.rows[at].key == row.key && memcmp(seals.rows[at].nonce, row.nonce, sizeof row.nonce) == 0)
            fail_msg("a nonce was used twice");
    seals.rows[at] = row;
    assert_true(++seals.num < SEAL_ROWS / 2);
}

static inline void seal_log_seal(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num_jobs)
{
    for (size_t i = 0; i < num_jobs; i++) seal_log_add(jobs[i]);
    seals.at->seal_many(crypto, jobs, num_jobs);
}

/* Begins anew: with keys of the last run at the same places nothing would fit. */
static inline const nacre_crypto_ops *seal_log_begin(void)
{
    nacre_crypto real;
    if (seals.num > 0) memset(seals.rows, 0, sizeof seals.rows);
    seals.num = 0;
    if (seals.at == NULL) {
        assert_int_equal(nacre_openssl_open(&real), NACRE_OK);
        seals.at = real.ops;
        seals.ops = *real.ops;
        seals.ops.seal_many = seal_log_seal;
        nacre_openssl_close(&real);
    }
    return &seals.ops;
}

#endif
