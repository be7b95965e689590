/* SPDX-License-Identifier: MIT */
/* nonces: see nonces.h. Keys are identified by their bytes, seen by key_init: a fresh key may have the address of an
 * old one and must not be taken for it. */
#include "nonces.h"

enum { KEY = 32, MAX_BUFS = 64 };

typedef struct used {
    uint8_t key[KEY], nonce[NACRE_MAX_NONCE];
} used;

static nacre_crypto_ops ops;
static struct {
    struct {
        const void *buf;
        uint8_t key[KEY];
    } bufs[MAX_BUFS]; /* the present key of each */
    size_t num_bufs;
    used *used;
    size_t num, cap;
    unsigned broken;
} n;

static nacre_err key_init(const nacre_crypto *crypto, const nacre_aead *aead, nacre_direction direction, void *key,
                          const uint8_t *bytes)
{
    size_t at = 0;
    (void)crypto;
    while (at < n.num_bufs && n.bufs[at].buf != key) at++;
    CHECK(at < MAX_BUFS);
    if (at == n.num_bufs) n.num_bufs++;
    n.bufs[at].buf = key;
    memset(n.bufs[at].key, 0, KEY);
    memcpy(n.bufs[at].key, bytes, aead->key_len);
    return fuzz_crypto()->ops->key_init(fuzz_crypto(), aead, direction, key, bytes);
}

static void remember(const nacre_aead_job *job)
{
    used now = { .key = { 0 } };
    size_t at = 0;
    while (at < n.num_bufs && n.bufs[at].buf != job->key) at++;
    CHECK(at < n.num_bufs);
    memcpy(now.key, n.bufs[at].key, KEY);
    memcpy(now.nonce, job->nonce, job->aead->nonce_len);
    for (size_t i = 0; i < n.num; i++) CHECK(memcmp(&n.used[i], &now, sizeof now) != 0);
    if (n.num == n.cap) {
        n.cap = n.cap == 0 ? 256 : 2 * n.cap;
        n.used = realloc(n.used, n.cap * sizeof *n.used);
        CHECK(n.used != NULL);
    }
    n.used[n.num++] = now;
}

static void seal_many(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num_jobs)
{
    (void)crypto;
    fuzz_crypto()->ops->seal_many(fuzz_crypto(), jobs, num_jobs);
    for (size_t i = 0; i < num_jobs; i++) {
        remember(jobs[i]);
        if (n.broken > 0 && n.broken-- % 2 == 0) jobs[i]->ok = false;
    }
}

nacre_crypto nonces_begin(void)
{
    memset(&n, 0, sizeof n);
    ops = *fuzz_crypto()->ops;
    CHECK(ops.key_derive == NULL); /* it would bypass key_init */
    ops.key_init = key_init;
    ops.seal_many = seal_many;
    return (nacre_crypto){ &ops, fuzz_crypto()->instance };
}

void nonces_break(unsigned num)
{
    n.broken = num;
}

void nonces_end(void)
{
    nacre_wipe(n.bufs, sizeof n.bufs);
    free(n.used);
    n.used = NULL;
}
