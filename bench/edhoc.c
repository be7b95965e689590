/* SPDX-License-Identifier: MIT */
/* edhoc: a handshake of EDHOC, both ends, three messages and a context's parameters. The baseline is its cryptography alone,
 * through the same providers: key generations, agreements and signatures, and as many HMACs and hashes as it makes. */
#include "bench.h"
#include <nacre/nacre.h>
#include <stdio.h>
#include <string.h>

typedef struct end {
    nacre_edhoc_config config;
    nacre_edhoc_identity identity;
    nacre_edhoc_known known;
    nacre_edhoc_peers peers;
    uint8_t key[32], x[32], y[32], ccs[128], id[8];
} end;

typedef struct pair {
    nacre_crypto crypto;
    nacre_pk pk;
    int8_t suite;
    unsigned method;
    nacre_curve curve, signs;
    end i, r;
    size_t num_hmac, num_hash, num_aead; /* of one handshake, counted */
} pair;

/* ---- What one handshake makes of small operations ---- */
static nacre_crypto real;
static nacre_pk real_pk;
static size_t num_hmac, num_hash, num_aead;

static nacre_err count_hmac(const nacre_crypto *crypto, nacre_hash hash, nacre_bytes key, const nacre_bytes *parts,
                            size_t num_parts, uint8_t *mac)
{
    (void)crypto;
    num_hmac++;
    return real.ops->hmac(&real, hash, key, parts, num_parts, mac);
}
static nacre_err count_key(const nacre_crypto *crypto, const nacre_aead *aead, nacre_direction direction, void *key,
                           const uint8_t *bytes)
{
    (void)crypto;
    num_aead++;
    return real.ops->key_init(&real, aead, direction, key, bytes);
}
static nacre_err count_hash(const nacre_pk *pk, nacre_hash hash, const nacre_bytes *parts, size_t num, uint8_t *out)
{
    (void)pk;
    num_hash++;
    return real_pk.ops->hash(&real_pk, hash, parts, num, out);
}

static void set_end(pair *p, end *e, uint8_t kid)
{
    bool agrees = p->method == 3;
    nacre_public_key key = { .curve = agrees ? p->curve : p->signs };
    memset(e, 0, sizeof *e);
    memset(e->key, kid, sizeof e->key);
    e->identity.private_key = (nacre_private_key){ key.curve, { NACRE_ARRAY(e->key), 0 } };
    e->identity.uses = NACRE_EDHOC_SIGNS | NACRE_EDHOC_AGREES;
    bench_check(nacre_public_key_of(&e->identity.private_key, e->x, e->y) == NACRE_OK, "key");
    key.x = NACRE_ARRAY(e->x);
    if (key.curve == NACRE_P256) key.y_form = NACRE_Y_WHOLE, key.y = NACRE_ARRAY(e->y);
    e->identity.credential.key = key;
    bench_check(nacre_edhoc_write_ccs(&e->identity.credential.bytes, NACRE_BUF(e->ccs), NACRE_ABSENT,
                                      nacre_bytes_of(e->key, 1), &key) == NACRE_OK,
                "ccs");
    bench_check(nacre_edhoc_id_kid(&e->identity.id_cred, NACRE_BUF(e->id), nacre_bytes_of(e->key, 1)) == NACRE_OK,
                "id");
    e->config = nacre_edhoc_config_default();
    e->config.crypto = &p->crypto;
    e->config.pk = &p->pk;
    e->config.suites = &p->suite;
    e->config.num_suites = 1;
    e->config.method = (uint8_t)p->method;
    e->config.methods = (uint8_t)(1u << p->method);
    e->config.identities = &e->identity;
    e->config.num_identities = 1;
    e->peers = (nacre_edhoc_peers){ &e->known, 1, NULL };
    e->config.trust = nacre_edhoc_trust_peers(&e->peers);
}

static void run_handshake(void *arg, size_t n)
{
    pair *p = arg;
    bool ok = true;
    for (size_t k = 0; k < n; k++) {
        nacre_edhoc i, r;
        nacre_edhoc_result result;
        nacre_edhoc_secrets secrets;
        nacre_context_params params;
        uint8_t at_i[256], at_r[256];
        nacre_bytes m;
        ok = nacre_edhoc_respond(&r, &p->r.config, NACRE_STR("r"), NACRE_STR("s")) == NACRE_OK &&
             nacre_edhoc_initiate(&i, &m, NACRE_BUF(at_i), &p->i.config, NACRE_STR("i")) == NACRE_OK &&
             nacre_edhoc_receive(&r, &result, NACRE_BUF(at_r), m) == NACRE_OK &&
             nacre_edhoc_receive(&i, &result, NACRE_BUF(at_i), result.message) == NACRE_OK &&
             nacre_edhoc_receive(&r, &result, NACRE_BUF(at_r), result.message) == NACRE_OK &&
             nacre_edhoc_context(&i, &params, &secrets) == NACRE_OK &&
             nacre_edhoc_context(&r, &params, &secrets) == NACRE_OK && ok;
        nacre_edhoc_wipe(&i);
        nacre_edhoc_wipe(&r);
    }
    bench_check(ok, "handshake");
}

static void count_operations(pair *p)
{
    nacre_crypto_ops ops = *p->crypto.ops;
    nacre_pk_ops pk_ops = *p->pk.ops;
    real = p->crypto;
    real_pk = p->pk;
    ops.hmac = count_hmac;
    ops.key_init = count_key;
    pk_ops.hash = count_hash;
    num_hmac = num_hash = num_aead = 0;
    p->crypto.ops = &ops;
    p->pk.ops = &pk_ops;
    run_handshake(p, 1);
    p->crypto = real;
    p->pk = real_pk;
    p->num_hmac = num_hmac;
    p->num_hash = num_hash;
    p->num_aead = num_aead;
}

static bool run_small(const pair *p)
{
    const nacre_aead *aead = nacre_aead_by_number(10);
    const nacre_bytes parts[1] = { { p->i.ccs, 80 } };
    uint8_t mac[NACRE_MAX_HASH], text[40] = { 0 }, nonce[NACRE_MAX_NONCE] = { 0 };
    void *key[1];
    bool ok = true;
    for (size_t k = 0; k < p->num_hmac; k++)
        ok = p->crypto.ops->hmac(&p->crypto, NACRE_SHA256, NACRE_ARRAY(p->i.key), parts, 1, mac) == NACRE_OK && ok;
    for (size_t k = 0; k < p->num_hash; k++)
        ok = p->pk.ops->hash(&p->pk, NACRE_SHA256, parts, 1, mac) == NACRE_OK && ok;
    for (size_t k = 0; k < p->num_aead; k++) {
        nacre_aead_job job = { aead, key, nonce, { p->i.ccs, 45 }, text, 20, text, false };
        ok = p->crypto.ops->key_init(&p->crypto, aead, NACRE_SEAL, key, p->i.key) == NACRE_OK &&
             nacre_seal(&p->crypto, &job) && ok;
        p->crypto.ops->key_release(aead, key, sizeof key);
    }
    return ok;
}

/* Two key generations, and with static keys six key agreements; with signatures two of them, two signatures, verified. */
static void run_operations(void *arg, size_t n)
{
    pair *p = arg;
    const nacre_pk_ops *ops = p->pk.ops;
    const nacre_bytes message[1] = { { p->i.ccs, 128 } };
    bool ok = true;
    for (size_t k = 0; k < n; k++) {
        uint8_t x[2][32], secret[32], signature[64];
        nacre_ephemeral key[2];
        for (size_t j = 0; j < 2; j++) ok = ops->generate(&p->pk, p->curve, &key[j], x[j]) == NACRE_OK && ok;
        for (size_t j = 0; j < (p->method == 3 ? 6u : 2u); j++) {
            nacre_private_key private_key = nacre_ephemeral_key(&key[j & 1]);
            ok = ops->agree(&p->pk, &private_key, NACRE_ARRAY(x[1 - (j & 1)]), secret) == NACRE_OK && ok;
        }
        ok = run_small(p) && ok;
        for (size_t j = 0; p->method == 0 && j < 2; j++) {
            ok = ops->sign(&p->pk, &p->i.identity.private_key, message, 1, signature) == NACRE_OK &&
                 ops->verify(&p->pk, &p->i.identity.credential.key, message, 1, NACRE_ARRAY(signature)) == NACRE_OK &&
                 ok;
        }
    }
    bench_check(ok, "operations");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *label;
        unsigned method;
        int8_t suite;
        nacre_curve curve, signs;
    } rows[] = {
        { "static keys, P-256 (method 3, suite 2)", 3, 2, NACRE_P256, NACRE_P256 },
        { "signatures, P-256 (method 0, suite 2)", 0, 2, NACRE_P256, NACRE_P256 },
        { "static keys, X25519 (method 3, suite 0)", 3, 0, NACRE_X25519, NACRE_ED25519 },
        { "signatures, Ed25519 (method 0, suite 0)", 0, 0, NACRE_X25519, NACRE_ED25519 },
    };
    bench *b = bench_start(argc, argv, "edhoc", "a handshake of EDHOC, both ends");
    pair p;
    bench_check(nacre_openssl_open(&p.crypto) == NACRE_OK && nacre_openssl_pk_open(&p.pk) == NACRE_OK, "provider");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        p.method = rows[i].method;
        p.suite = rows[i].suite;
        p.curve = rows[i].curve;
        p.signs = rows[i].signs;
        set_end(&p, &p.i, 0x41);
        set_end(&p, &p.r, 0x42);
        p.i.known = (nacre_edhoc_known){ p.r.identity.credential, nacre_bytes_of(p.r.key, 1), NACRE_ABSENT, &p };
        p.r.known = (nacre_edhoc_known){ p.i.identity.credential, nacre_bytes_of(p.i.key, 1), NACRE_ABSENT, &p };
        count_operations(&p);
        const bench_case cases[] = { { .name = "its cryptography", .run = run_operations, .arg = &p },
                                     { .name = "the handshake", .run = run_handshake, .arg = &p, .goal = 1.1 } };
        bench_compare(b, rows[i].label, cases, sizeof cases / sizeof cases[0]);
    }
    nacre_openssl_pk_close(&p.pk);
    nacre_openssl_close(&p.crypto);
    return bench_finish(b);
}
