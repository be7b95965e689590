/* SPDX-License-Identifier: MIT */
/* derive: making a context from its master secret (RFC 8613 3.2), and ending it. The baseline is the minimum of HKDF:
 * four HMAC-SHA-256, one to extract and one for each of Sender Key, Recipient Key and Common IV. */
#include "bench.h"
#include <nacre/nacre.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct position {
    nacre_crypto crypto;
    int cose_aead;
    nacre_buf keys;
    uint32_t count;
} position;

static void run_hmac(void *arg, size_t n)
{
    position *p = arg;
    static const uint8_t key[32], info[24];
    uint8_t mac[NACRE_MAX_HASH];
    const nacre_bytes parts[1] = { NACRE_ARRAY(info) };
    bool ok = true;
    for (size_t i = 0; i < 4 * n; i++)
        ok = p->crypto.ops->hmac(&p->crypto, NACRE_SHA256, NACRE_ARRAY(key), parts, 1, mac) == NACRE_OK && ok;
    bench_check(ok, "hmac");
}

static void run_context(void *arg, size_t n)
{
    position *p = arg;
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        static const uint8_t secret[16] = { 1 }, salt[8] = { 2 };
        uint8_t kid[4] = { 0, (uint8_t)(p->count >> 16), (uint8_t)(p->count >> 8), (uint8_t)p->count };
        nacre_context ctx;
        nacre_context_params params = { .cose_aead = p->cose_aead,
                                        .master_secret.bytes = NACRE_ARRAY(secret),
                                        .master_salt = NACRE_ARRAY(salt),
                                        .sender_id = NACRE_STR("s"),
                                        .recipient_id = NACRE_ARRAY(kid) };
        p->count++;
        ok = nacre_context_init(&ctx, &p->crypto, &params, p->keys) == NACRE_OK && ok;
        nacre_context_wipe(&ctx);
    }
    bench_check(ok, "context");
}

static void measure(bench *b, const char *name, nacre_err (*open)(nacre_crypto *crypto))
{
    static const int aeads[] = { 10, 30, 1, 24 };
    position p = { .count = 1 };
    if (open(&p.crypto) != NACRE_OK) return;
    for (size_t i = 0; i < sizeof aeads / sizeof aeads[0]; i++) {
        size_t size, align;
        char label[64];
        p.cose_aead = aeads[i];
        bench_check(nacre_context_key_layout(&p.crypto, p.cose_aead, &size, &align) == NACRE_OK, "no such algorithm");
        p.keys = (nacre_buf){ bench_alloc(size), size };
        snprintf(label, sizeof label, "%s, %s", name, nacre_aead_by_number(p.cose_aead)->name);
        const bench_case cases[] = {
            { .name = "four times HMAC", .run = run_hmac, .arg = &p },
            { .name = "context made and wiped", .run = run_context, .arg = &p },
        };
        bench_compare(b, label, cases, 2);
        free(p.keys.ptr);
    }
    nacre_provider_close(&p.crypto);
}

int main(int argc, char **argv)
{
    bench *b = bench_start(argc, argv, "derive", "contexts from master secrets");
    measure(b, "openssl", nacre_openssl_open);
    measure(b, "ipsec_mb", nacre_ipsec_mb_open);
    return bench_finish(b);
}
