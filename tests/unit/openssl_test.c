/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* openssl_test: the OpenSSL provider against published values and against CCM, GCM and ChaCha20/Poly1305 built here
 * from one-block AES, ChaCha20 and Poly1305. A failure leaves no plaintext, no key and no entry in OpenSSL's error
 * queue. */
#include "support.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* ---- The reference algorithms ---- */
static void aes_block(const nacre_aead *aead, const uint8_t *key, const uint8_t in[16], uint8_t out[16])
{
    const EVP_CIPHER *ecb = aead->key_len == 16   ? EVP_aes_128_ecb()
                            : aead->key_len == 24 ? EVP_aes_192_ecb()
                                                  : EVP_aes_256_ecb();
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    assert_non_null(ctx);
    assert_int_equal(EVP_EncryptInit_ex(ctx, ecb, NULL, key, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, out, &len, in, 16), 1);
    assert_int_equal(len, 16);
    EVP_CIPHER_CTX_free(ctx);
}

static void xor_into(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++) to[i] ^= from[i];
}

/* Big-endian, in the last `len` bytes of a block. */
static void put_end(uint8_t block[16], size_t len, uint64_t value)
{
    for (size_t i = 0; i < len; i++, value >>= 8) block[15 - i] = (uint8_t)value;
}

/* RFC 3610 2.2: the CBC-MAC continues over `bytes`, padded with zeros to whole blocks; `at` is the position in a
 * block. */
typedef struct cbc_mac {
    const nacre_aead *aead;
    const uint8_t *key;
    uint8_t x[16];
    size_t at;
} cbc_mac;

static void mac_add(cbc_mac *m, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        m->x[m->at++] ^= bytes[i];
        if (m->at < 16) continue;
        aes_block(m->aead, m->key, m->x, m->x);
        m->at = 0;
    }
}

static void mac_pad(cbc_mac *m)
{
    if (m->at > 0) aes_block(m->aead, m->key, m->x, m->x);
    m->at = 0;
}

static void counter_mode(const nacre_aead *aead, const uint8_t *key, uint8_t block[16], size_t counter_len,
                         uint64_t first, const uint8_t *in, size_t len, uint8_t *out)
{
    uint8_t stream[16];
    for (size_t i = 0; i < len; i++) {
        if (i % 16 == 0) {
            put_end(block, counter_len, first + i / 16);
            aes_block(aead, key, block, stream);
        }
        out[i] = in[i] ^ stream[i % 16];
    }
}

static void ccm(const nacre_aead *a, const uint8_t *key, const uint8_t *nonce, nacre_bytes aad, nacre_bytes in,
                uint8_t *out)
{
    size_t len_len = 15u - a->nonce_len;
    uint8_t block[16] = { 0 }, aad_head[2] = { (uint8_t)(aad.len >> 8), (uint8_t)aad.len }, tag[16];
    cbc_mac m = { .aead = a, .key = key };
    block[0] = (uint8_t)((aad.len > 0 ? 0x40 : 0) | ((a->tag_len - 2u) / 2u) << 3 | (len_len - 1));
    memcpy(block + 1, nonce, a->nonce_len);
    put_end(block, len_len, in.len);
    mac_add(&m, block, 16);
    if (aad.len > 0) {
        mac_add(&m, aad_head, 2);
        mac_add(&m, aad.ptr, aad.len);
        mac_pad(&m);
    }
    mac_add(&m, in.ptr, in.len);
    mac_pad(&m);
    memcpy(tag, m.x, 16);
    block[0] = (uint8_t)(len_len - 1);
    counter_mode(a, key, block, len_len, 1, in.ptr, in.len, out);
    put_end(block, len_len, 0);
    aes_block(a, key, block, block);
    xor_into(tag, block, a->tag_len);
    memcpy(out + in.len, tag, a->tag_len);
}

/* GHASH, NIST SP 800-38D 6.3 and 6.4, bit by bit. */
static void ghash_add(uint8_t y[16], const uint8_t h[16], const uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at < len; at += 16) {
        uint8_t z[16] = { 0 }, v[16];
        xor_into(y, bytes + at, len - at < 16 ? len - at : 16);
        memcpy(v, h, 16);
        for (size_t bit = 0; bit < 128; bit++) {
            if (y[bit / 8] >> (7 - bit % 8) & 1) xor_into(z, v, 16);
            bool odd = v[15] & 1;
            for (size_t i = 15; i > 0; i--) v[i] = (uint8_t)(v[i] >> 1 | v[i - 1] << 7);
            v[0] >>= 1;
            if (odd) v[0] ^= 0xe1;
        }
        memcpy(y, z, 16);
    }
}

static void gcm(const nacre_aead *a, const uint8_t *key, const uint8_t *nonce, nacre_bytes aad, nacre_bytes in,
                uint8_t *out)
{
    uint8_t h[16] = { 0 }, y[16] = { 0 }, block[16] = { 0 }, lengths[16] = { 0 };
    aes_block(a, key, h, h);
    memcpy(block, nonce, 12);
    counter_mode(a, key, block, 4, 2, in.ptr, in.len, out);
    ghash_add(y, h, aad.ptr, aad.len);
    ghash_add(y, h, out, in.len);
    put_end(lengths, 8, 8 * in.len);
    lengths[6] = (uint8_t)(8 * aad.len >> 8), lengths[7] = (uint8_t)(8 * aad.len);
    ghash_add(y, h, lengths, 16);
    put_end(block, 4, 1);
    aes_block(a, key, block, block);
    xor_into(y, block, 16);
    memcpy(out + in.len, y, 16);
}

static void chacha20(const uint8_t *key, const uint8_t *nonce, uint8_t counter, const uint8_t *in, size_t len,
                     uint8_t *out)
{
    uint8_t iv[16] = { counter };
    memcpy(iv + 4, nonce, 12);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_chacha20(), NULL, key, iv), 1);
    assert_true(len == 0 || EVP_EncryptUpdate(ctx, out, &n, in, (int)len) == 1);
    EVP_CIPHER_CTX_free(ctx);
}

/* RFC 8439 2.8. */
static void chacha20_poly1305(const uint8_t *key, const uint8_t *nonce, nacre_bytes aad, nacre_bytes in, uint8_t *out)
{
    static const uint8_t zeros[32];
    uint8_t mac_key[32], lengths[16] = { 0 };
    size_t mac_len = 0;
    chacha20(key, nonce, 0, zeros, 32, mac_key);
    chacha20(key, nonce, 1, in.ptr, in.len, out);
    for (size_t i = 0; i < 4; i++)
        lengths[i] = (uint8_t)(aad.len >> 8 * i), lengths[8 + i] = (uint8_t)(in.len >> 8 * i);
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "POLY1305", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    assert_int_equal(EVP_MAC_init(ctx, mac_key, 32, NULL), 1);
    assert_int_equal(EVP_MAC_update(ctx, aad.ptr, aad.len), 1);
    assert_int_equal(EVP_MAC_update(ctx, zeros, (16 - aad.len % 16) % 16), 1);
    assert_int_equal(EVP_MAC_update(ctx, out, in.len), 1);
    assert_int_equal(EVP_MAC_update(ctx, zeros, (16 - in.len % 16) % 16), 1);
    assert_int_equal(EVP_MAC_update(ctx, lengths, 16), 1);
    assert_int_equal(EVP_MAC_final(ctx, out + in.len, &mac_len, 16), 1);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
}

static nacre_bytes anew(const nacre_aead *a, const uint8_t *key, const uint8_t *nonce, nacre_bytes aad, nacre_bytes in)
{
    uint8_t *out = test_alloc(in.len + a->tag_len);
    if (a->cose <= 3) gcm(a, key, nonce, aad, in, out);
    else if (a->cose == 24) chacha20_poly1305(key, nonce, aad, in, out);
    else ccm(a, key, nonce, aad, in, out);
    return nacre_bytes_of(out, in.len + a->tag_len);
}

/* ---- The provider ---- */
typedef struct keys {
    const nacre_aead *aead;
    uint8_t bytes[NACRE_MAX_KEY];
    void *seal, *open;
    size_t size;
} keys;

static void *key_buf(const nacre_aead *aead, size_t *size)
{
    size_t align = 0;
    assert_true(test_crypto()->ops->key_layout(aead, size, &align));
    void *buf = aligned_alloc(align, (*size + align - 1) / align * align);
    assert_non_null(buf);
    return buf;
}

static keys keys_of(const nacre_aead *aead, uint64_t seed)
{
    keys k = { .aead = aead };
    for (size_t i = 0; i < aead->key_len; i++) k.bytes[i] = (uint8_t)test_random(&seed);
    k.seal = key_buf(aead, &k.size);
    k.open = key_buf(aead, &k.size);
    assert_ok(test_crypto()->ops->key_init(test_crypto(), aead, NACRE_SEAL, k.seal, k.bytes));
    assert_ok(test_crypto()->ops->key_init(test_crypto(), aead, NACRE_OPEN, k.open, k.bytes));
    return k;
}

static void release(keys *k)
{
    void *bufs[] = { k->seal, k->open };
    for (size_t r = 0; r < 2; r++) {
        test_crypto()->ops->key_release(k->aead, bufs[r], k->size);
        for (size_t i = 0; i < k->size; i++) assert_int_equal(((uint8_t *)bufs[r])[i], 0); /* the buffer is wiped */
        free(bufs[r]);
    }
}

static nacre_aead_job job_of(const keys *k, nacre_direction direction, const uint8_t *nonce, nacre_bytes aad,
                             const uint8_t *in, size_t in_len, uint8_t *out)
{
    nacre_aead_job job = {
        k->aead, direction == NACRE_SEAL ? k->seal : k->open, nonce, aad, in, in_len, out, direction == NACRE_OPEN
    };
    return job;
}

static nacre_bytes random_bytes(uint64_t *random, size_t len)
{
    uint8_t *bytes = test_alloc(len);
    for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)test_random(random);
    return nacre_bytes_of(bytes, len);
}

static void assert_no_openssl_error(void)
{
    assert_int_equal(ERR_peek_error(), 0);
}

/* Sealing and opening, into another buffer and in place, give the reference result. */
static void assert_agrees(const keys *k, const uint8_t *nonce, nacre_bytes aad, nacre_bytes plain, nacre_bytes sealed)
{
    nacre_buf out = test_buf(sealed.len), back = test_buf(plain.len);
    nacre_aead_job job = job_of(k, NACRE_SEAL, nonce, aad, plain.ptr, plain.len, out.ptr);
    assert_true(nacre_seal(test_crypto(), &job));
    assert_bytes(nacre_bytes_of(out.ptr, out.cap), sealed);
    job = job_of(k, NACRE_OPEN, nonce, aad, sealed.ptr, sealed.len, back.ptr);
    assert_true(nacre_open(test_crypto(), &job));
    assert_bytes(nacre_bytes_of(back.ptr, back.cap), plain);

    uint8_t *in_place = test_alloc(sealed.len);
    if (plain.len > 0) memcpy(in_place, plain.ptr, plain.len);
    job = job_of(k, NACRE_SEAL, nonce, aad, in_place, plain.len, in_place);
    assert_true(nacre_seal(test_crypto(), &job));
    assert_bytes(nacre_bytes_of(in_place, sealed.len), sealed);
    job = job_of(k, NACRE_OPEN, nonce, aad, in_place, sealed.len, in_place);
    assert_true(nacre_open(test_crypto(), &job));
    assert_bytes(nacre_bytes_of(in_place, plain.len), plain);
    assert_no_openssl_error();
}

/* RFC 3610 8 packet vector 1, NIST's test case 2 of GCM, RFC 8439 2.8.2: by the provider and by the reference. */
static void provider_and_reference_give_the_published_values(void **state)
{
    (void)state;
    static const struct {
        int cose;
        const char *key, *nonce, *aad, *plain, *sealed;
    } rows[] = {
        { 10, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf", "00000003020100a0a1a2a3a4a5", "0001020304050607",
          "08090a0b0c0d0e0f101112131415161718191a1b1c1d1e",
          "588c979a61c663d2f066d0c2c0f989806d5f6b61dac384 17e8d12cfdf926e0" },
        { 1, "00000000000000000000000000000000", "000000000000000000000000", "", "00000000000000000000000000000000",
          "0388dace60b6a392f328c2b971b2fe78 ab6e47d42cec13bdf53a67b21257bddf" },
        { 24, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "070000004041424344454647",
          "50515253c0c1c2c3c4c5c6c7",
          "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f756c64206f"
          "6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73637265656e20776f756c6420"
          "62652069742e",
          "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e06"
          "0b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d265"
          "86cec64b6116 1ae10b594f09e26a7e902ecbd0600691" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const nacre_aead *aead = nacre_aead_by_number(rows[i].cose);
        keys k = { .aead = aead };
        memcpy(k.bytes, test_hex(rows[i].key).ptr, aead->key_len);
        k.seal = key_buf(aead, &k.size), k.open = key_buf(aead, &k.size);
        assert_ok(test_crypto()->ops->key_init(test_crypto(), aead, NACRE_SEAL, k.seal, k.bytes));
        assert_ok(test_crypto()->ops->key_init(test_crypto(), aead, NACRE_OPEN, k.open, k.bytes));
        nacre_bytes aad = test_hex(rows[i].aad), plain = test_hex(rows[i].plain), sealed = test_hex(rows[i].sealed);
        assert_agrees(&k, test_hex(rows[i].nonce).ptr, aad, plain, sealed);
        assert_bytes(anew(aead, k.bytes, test_hex(rows[i].nonce).ptr, aad, plain), sealed);
        release(&k);
    }
}

/* One key over all lengths, with a new nonce and an AAD of another length each time. */
static void every_length_of_every_algorithm_matches_the_reference(void **state)
{
    (void)state;
    const nacre_aead *aead;
    uint64_t random = 4;
    for (size_t a = 0; (aead = nacre_aead_at(a)) != NULL; a++) {
        keys k = keys_of(aead, a + 1);
        for (size_t len = 0; len <= 70; len++) {
            nacre_bytes plain = random_bytes(&random, len), aad = random_bytes(&random, len * 7 % (NACRE_MAX_AAD + 1));
            nacre_bytes nonce = random_bytes(&random, aead->nonce_len);
            assert_agrees(&k, nonce.ptr, aad, plain, anew(aead, k.bytes, nonce.ptr, aad, plain));
        }
        release(&k);
        (void)test_release(NULL);
    }
}

/* Messages of all kinds under one key, with failures among them, give the results that each gives alone. */
static void one_key_serves_many_messages(void **state)
{
    (void)state;
    const nacre_aead *aead;
    uint64_t random = 5;
    for (size_t a = 0; (aead = nacre_aead_at(a)) != NULL; a++) {
        keys k = keys_of(aead, a + 100);
        for (int i = 0; i < 1500; i++) {
            nacre_bytes plain = random_bytes(&random, (size_t)(test_random(&random) % 60)),
                        aad = random_bytes(&random, 21);
            nacre_bytes nonce = random_bytes(&random, aead->nonce_len);
            nacre_buf sealed = test_buf(plain.len + aead->tag_len), out = test_buf(plain.len);
            nacre_aead_job job = job_of(&k, NACRE_SEAL, nonce.ptr, aad, plain.ptr, plain.len, sealed.ptr);
            assert_true(nacre_seal(test_crypto(), &job));
            size_t broken = (size_t)(test_random(&random) % sealed.cap);
            bool forge = test_random(&random) % 3 == 0;
            if (forge) sealed.ptr[broken] ^= 0x10;
            job = job_of(&k, NACRE_OPEN, nonce.ptr, aad, sealed.ptr, sealed.cap, out.ptr);
            assert_int_equal(nacre_open(test_crypto(), &job), !forge);
            if (!forge) assert_bytes(nacre_bytes_of(out.ptr, out.cap), plain);
            else assert_true(test_buf_is_clean(out));
            if (i % 100 == 0 && !forge)
                assert_bytes(anew(aead, k.bytes, nonce.ptr, aad, plain), nacre_bytes_of(sealed.ptr, sealed.cap));
            if (i % 100 == 0) (void)test_release(NULL);
        }
        assert_no_openssl_error();
        release(&k);
    }
}

/* A tag mismatch returns false and leaves no plaintext in the buffer and no queued error, into another buffer and in
 * place. */
static void a_tag_mismatch_leaves_nothing(void **state)
{
    (void)state;
    const nacre_aead *aead;
    uint64_t random = 6;
    for (size_t a = 0; (aead = nacre_aead_at(a)) != NULL; a++) {
        keys k = keys_of(aead, a + 200);
        for (size_t len = 0; len <= 70; len++) {
            nacre_bytes plain = random_bytes(&random, len), aad = random_bytes(&random, 21);
            nacre_bytes nonce = random_bytes(&random, aead->nonce_len);
            nacre_bytes good = anew(aead, k.bytes, nonce.ptr, aad, plain), bad = test_copy(good);
            ((uint8_t *)(uintptr_t)bad.ptr)[len + len % aead->tag_len] ^= 0x80;
            nacre_buf out = test_buf(len);
            nacre_aead_job job = job_of(&k, NACRE_OPEN, nonce.ptr, aad, bad.ptr, bad.len, out.ptr);
            assert_false(nacre_open(test_crypto(), &job));
            assert_no_openssl_error();
            for (size_t i = 0; i < len; i++) assert_int_equal(out.ptr[i], 0);
            uint8_t *in_place = test_alloc(bad.len);
            memcpy(in_place, bad.ptr, bad.len);
            job = job_of(&k, NACRE_OPEN, nonce.ptr, aad, in_place, bad.len, in_place);
            assert_false(nacre_open(test_crypto(), &job));
            assert_no_openssl_error();
            for (size_t i = 0; i < len; i++) assert_int_equal(in_place[i], 0);
            job = job_of(&k, NACRE_OPEN, nonce.ptr, aad, good.ptr, good.len, out.ptr);
            assert_true(nacre_open(test_crypto(), &job)); /* differs in one bit from the refused one */
            assert_bytes(nacre_bytes_of(out.ptr, len), plain);
        }
        for (size_t len = 0; len < aead->tag_len; len++) { /* shorter than a tag */
            nacre_bytes in = random_bytes(&random, len), nonce = random_bytes(&random, aead->nonce_len);
            nacre_buf out = test_buf(0);
            nacre_aead_job job = job_of(&k, NACRE_OPEN, nonce.ptr, NACRE_ABSENT, in.ptr, in.len, out.ptr);
            assert_false(nacre_open(test_crypto(), &job));
        }
        assert_no_openssl_error();
        release(&k);
        (void)test_release(NULL);
    }
}

/* CCM with nonces of 13 bytes has a length field of two bytes: 65535 succeeds, 65536 is refused, in both directions;
 * afterwards the key still works. */
static void messages_above_the_limit_are_refused(void **state)
{
    (void)state;
    const nacre_aead *aead;
    for (size_t a = 0; (aead = nacre_aead_at(a)) != NULL; a++) {
        if (aead->max_len != 65535) continue;
        keys k = keys_of(aead, a + 300);
        nacre_bytes nonce = test_fill(1, aead->nonce_len), plain = test_fill(2, 65536);
        nacre_buf sealed = test_buf(65536 + 16), out = test_buf(65536);
        nacre_aead_job job = job_of(&k, NACRE_SEAL, nonce.ptr, nonce, plain.ptr, 65536, sealed.ptr);
        assert_false(nacre_seal(test_crypto(), &job));
        assert_true(test_buf_is_clean(sealed));
        job = job_of(&k, NACRE_OPEN, nonce.ptr, nonce, plain.ptr, 65536, out.ptr);
        assert_false(nacre_open(test_crypto(), &job));
        nacre_bytes much = test_fill(3, 65536u + aead->tag_len);
        job = job_of(&k, NACRE_OPEN, nonce.ptr, nonce, much.ptr, much.len, out.ptr);
        assert_false(nacre_open(test_crypto(), &job));
        assert_true(test_buf_is_clean(out));
        assert_no_openssl_error();
        job = job_of(&k, NACRE_SEAL, nonce.ptr, nonce, plain.ptr, 65535, sealed.ptr);
        assert_true(nacre_seal(test_crypto(), &job));
        job = job_of(&k, NACRE_OPEN, nonce.ptr, nonce, sealed.ptr, 65535u + aead->tag_len, out.ptr);
        assert_true(nacre_open(test_crypto(), &job));
        assert_memory_equal(out.ptr, plain.ptr, 65535);
        release(&k);
    }
}

/* Jobs of all algorithms in one burst, in an order that mixes them, some forged, several with one key. */
static void a_mixed_burst_matches_the_reference(void **state)
{
    (void)state;
    enum { ALGORITHMS = 12, EACH = 5, NUM = ALGORITHMS * EACH };
    keys k[ALGORITHMS];
    nacre_aead_job jobs[NUM], *list[NUM];
    nacre_bytes plain[NUM], nonce[NUM], expected[NUM];
    nacre_buf out[NUM];
    uint64_t random = 7;
    for (size_t a = 0; a < ALGORITHMS; a++) k[a] = keys_of(nacre_aead_at(a), a + 400);
    for (size_t i = 0; i < NUM; i++) {
        const keys *key = &k[i * 7 % ALGORITHMS];
        plain[i] = random_bytes(&random, i);
        nonce[i] = random_bytes(&random, key->aead->nonce_len);
        expected[i] = anew(key->aead, key->bytes, nonce[i].ptr, nonce[i], plain[i]);
        out[i] = test_buf(expected[i].len);
        jobs[i] = job_of(key, NACRE_SEAL, nonce[i].ptr, nonce[i], plain[i].ptr, plain[i].len, out[i].ptr);
        list[i] = &jobs[i];
    }
    test_crypto()->ops->seal_many(test_crypto(), list, NUM);
    for (size_t i = 0; i < NUM; i++) {
        const keys *key = &k[i * 7 % ALGORITHMS];
        assert_true(jobs[i].ok);
        assert_bytes(nacre_bytes_of(out[i].ptr, out[i].cap), expected[i]);
        if (i % 4 == 1) out[i].ptr[i % out[i].cap] ^= 1;
        nacre_buf back = test_buf(plain[i].len);
        jobs[i] = job_of(key, NACRE_OPEN, nonce[i].ptr, nonce[i], out[i].ptr, out[i].cap, back.ptr);
    }
    test_crypto()->ops->open_many(test_crypto(), list, NUM);
    for (size_t i = 0; i < NUM; i++) {
        assert_int_equal(jobs[i].ok, i % 4 != 1);
        if (jobs[i].ok) assert_bytes(nacre_bytes_of(jobs[i].out, plain[i].len), plain[i]);
        else
            for (size_t j = 0; j < plain[i].len; j++) assert_int_equal(jobs[i].out[j], 0);
    }
    for (size_t a = 0; a < ALGORITHMS; a++) release(&k[a]);
    assert_no_openssl_error();
}

/* Jobs refused before OpenSSL is called, and an algorithm outside the table, queue no error. */
static void other_failures_queue_nothing(void **state)
{
    (void)state;
    const nacre_crypto_ops *ops = test_crypto()->ops;
    uint8_t mac[NACRE_MAX_HASH], key[NACRE_MAX_KEY] = { 0 };
    nacre_bytes part = NACRE_STR("part");
    nacre_aead other = *nacre_aead_by_number(10);
    size_t size = 0;
    void *buf = key_buf(&other, &size);
    assert_err(ops->hmac(test_crypto(), (nacre_hash)3, part, &part, 1, mac), NACRE_ERR_UNSUPPORTED);
    assert_err(ops->key_init(test_crypto(), &other, NACRE_SEAL, buf, key), NACRE_ERR_UNSUPPORTED);
    assert_ok(ops->hmac(test_crypto(), NACRE_SHA256, part, &part, 1, mac));
    assert_no_openssl_error();
    free(buf);
}

/* A separate instance opens and closes, and closing again has no effect. */
static void instance_opens_and_closes_twice(void **state)
{
    (void)state;
    nacre_crypto crypto;
    if (strcmp(test_crypto()->ops->name, "openssl") != 0) skip(); /* NACRE_TEST_PROVIDER selects another */
    assert_ok(nacre_openssl_open(&crypto));
    assert_no_openssl_error();
    assert_ptr_equal(crypto.ops, test_crypto()->ops);
    assert_ptr_not_equal(crypto.instance, test_crypto()->instance);
    nacre_openssl_close(&crypto);
    nacre_openssl_close(&crypto);
    assert_no_openssl_error();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(provider_and_reference_give_the_published_values),
        TEST(every_length_of_every_algorithm_matches_the_reference),
        TEST(one_key_serves_many_messages),
        TEST(a_tag_mismatch_leaves_nothing),
        TEST(messages_above_the_limit_are_refused),
        TEST(a_mixed_burst_matches_the_reference),
        TEST(other_failures_queue_nothing),
        TEST(instance_opens_and_closes_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
