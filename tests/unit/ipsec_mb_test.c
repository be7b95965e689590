/* SPDX-License-Identifier: MIT */
/* ipsec_mb_test: the IPsec-MB provider gives the results of the OpenSSL one in mixed bursts, also beyond the library's
 * limits, writes nothing outside its buffers, and leaves nothing of failed jobs. ipsec_mb_everything_test shows that
 * each algorithm is right. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

static nacre_crypto mb;

typedef struct key_pair {
    const nacre_aead *aead;
    void *mb[2], *openssl[2]; /* by nacre_direction */
} key_pair;

static void *prepared(const nacre_crypto *crypto, const nacre_aead *aead, nacre_direction direction,
                      const uint8_t *bytes)
{
    size_t size, align;
    assert_true(crypto->ops->key_layout(aead, &size, &align));
    void *buf = aligned_alloc(align, (size + align - 1) / align * align);
    assert_non_null(buf);
    assert_ok(crypto->ops->key_init(crypto, aead, direction, buf, bytes));
    return buf;
}

static void release(const nacre_crypto *crypto, const nacre_aead *aead, void *buf)
{
    size_t size, align;
    assert_true(crypto->ops->key_layout(aead, &size, &align));
    crypto->ops->key_release(aead, buf, size);
    for (size_t i = 0; i < size; i++) assert_int_equal(((const uint8_t *)buf)[i], 0); /* no key is left in its buffer */
    free(buf);
}

static key_pair keys_of(const nacre_aead *aead, uint64_t *random)
{
    uint8_t bytes[NACRE_MAX_KEY];
    key_pair k = { .aead = aead };
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)test_random(random);
    for (int d = 0; d < 2; d++) {
        k.mb[d] = prepared(&mb, aead, (nacre_direction)d, bytes);
        k.openssl[d] = prepared(test_crypto(), aead, (nacre_direction)d, bytes);
    }
    return k;
}

static void release_keys(key_pair *k)
{
    for (int d = 0; d < 2; d++) {
        release(&mb, k->aead, k->mb[d]);
        release(test_crypto(), k->aead, k->openssl[d]);
    }
}

static nacre_bytes random_bytes(uint64_t *random, size_t len)
{
    uint8_t *bytes = test_alloc(len);
    for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)test_random(random);
    return nacre_bytes_of(bytes, len);
}

/* One message, its buffer followed by a guard area, and the result of OpenSSL. */
enum { FENCE = 32, FENCE_BYTE = 0xa5 };
typedef struct message {
    const key_pair *keys;
    nacre_bytes nonce, aad, plain;
    uint8_t *sealed, *out, *expected;
    size_t sealed_len;
    bool forged;
} message;

static message some_message(const key_pair *keys, uint64_t *random, size_t len, size_t aad_len)
{
    message m = { .keys = keys, .sealed_len = len + keys->aead->tag_len };
    m.nonce = random_bytes(random, keys->aead->nonce_len);
    m.aad = random_bytes(random, aad_len);
    m.plain = random_bytes(random, len);
    m.sealed = test_alloc(m.sealed_len + FENCE);
    m.out = test_alloc(len + FENCE);
    m.expected = test_alloc(m.sealed_len);
    memset(m.sealed, FENCE_BYTE, m.sealed_len + FENCE);
    memset(m.out, FENCE_BYTE, len + FENCE);
    nacre_aead_job job = { keys->aead, keys->openssl[NACRE_SEAL], m.nonce.ptr, m.aad, m.plain.ptr, len, m.expected,
                           false };
    assert_true(nacre_seal(test_crypto(), &job));
    return m;
}

static void assert_fence(const uint8_t *bytes)
{
    for (size_t i = 0; i < FENCE; i++) assert_int_equal(bytes[i], FENCE_BYTE);
}

/* Seals all in one burst, forges some, opens all in one burst. */
static void through(message *m, size_t num, uint64_t *random)
{
    nacre_aead_job jobs[200];
    nacre_aead_job *burst[200];
    for (size_t i = 0; i < num; i++) {
        jobs[i] = (nacre_aead_job){ m[i].keys->aead, m[i].keys->mb[NACRE_SEAL],
                                    m[i].nonce.ptr,  m[i].aad,
                                    m[i].plain.ptr,  m[i].plain.len,
                                    m[i].sealed,     false };
        burst[i] = &jobs[i];
    }
    mb.ops->seal_many(&mb, burst, num);
    for (size_t i = 0; i < num; i++) {
        assert_true(jobs[i].ok);
        assert_memory_equal(m[i].sealed, m[i].expected, m[i].sealed_len);
        assert_fence(m[i].sealed + m[i].sealed_len);
        m[i].forged = test_random(random) % 4 == 0;
        if (m[i].forged) m[i].sealed[test_random(random) % m[i].sealed_len] ^= (uint8_t)(1u << test_random(random) % 8);
        jobs[i].key = m[i].keys->mb[NACRE_OPEN];
        jobs[i].in = m[i].sealed;
        jobs[i].in_len = m[i].sealed_len;
        jobs[i].out = m[i].out;
        jobs[i].ok = !jobs[i].ok;
    }
    mb.ops->open_many(&mb, burst, num);
    for (size_t i = 0; i < num; i++) {
        assert_int_equal(jobs[i].ok, !m[i].forged);
        assert_fence(m[i].out + m[i].plain.len);
        if (!m[i].forged) assert_memory_equal(m[i].out, m[i].plain.ptr, m[i].plain.len);
        else
            for (size_t b = 0; b < m[i].plain.len; b++) assert_int_equal(m[i].out[b], 0); /* nothing of the plaintext */
    }
}

static void mixed_bursts_match_openssl(void **state)
{
    (void)state;
    enum { KEYS = 48 };
    uint64_t random = 1;
    key_pair keys[KEYS];
    size_t num_aeads = 0;
    while (nacre_aead_at(num_aeads) != NULL) num_aeads++;
    for (size_t i = 0; i < KEYS; i++) keys[i] = keys_of(nacre_aead_at(i % num_aeads), &random);
    for (size_t round = 0; round < 300; round++) {
        message m[200];
        size_t num = (size_t)(1 + test_random(&random) % (round % 3 == 0 ? 200 : 40));
        for (size_t i = 0; i < num; i++)
            m[i] = some_message(&keys[test_random(&random) % KEYS], &random, (size_t)(test_random(&random) % 90),
                                (size_t)(test_random(&random) % 70)); /* some above the library's limit for CCM */
        through(m, num, &random);
        (void)test_release(NULL);
    }
    for (size_t i = 0; i < KEYS; i++) release_keys(&keys[i]);
}

/* AAD on both sides of the library's limit, alone and among others: the same bytes. */
static void aad_at_the_librarys_limit_matches_openssl(void **state)
{
    (void)state;
    uint64_t random = 2;
    const nacre_aead *aead;
    for (size_t a = 0; (aead = nacre_aead_at(a)) != NULL; a++) {
        key_pair keys = keys_of(aead, &random);
        message m[5];
        for (size_t i = 0; i < 5; i++) m[i] = some_message(&keys, &random, 20, 44 + i);
        through(m, 5, &random);
        for (size_t i = 0; i < 5; i++) through(&m[i], 1, &random);
        release_keys(&keys);
        (void)test_release(NULL);
    }
}

/* Lengths on both sides of the library's limits, up to each algorithm's maximum; one byte more is refused. */
static void lengths_at_the_librarys_limits_match_openssl(void **state)
{
    (void)state;
    static const size_t lengths[] = { 4096, 16384, 64999, 65000, 65001, 65519, 65534, 65535 };
    uint64_t random = 3;
    const nacre_aead *aead;
    for (size_t a = 0; (aead = nacre_aead_at(a)) != NULL; a++) {
        key_pair keys = keys_of(aead, &random);
        for (size_t i = 0; i < COUNT(lengths); i++) {
            message m = some_message(&keys, &random, lengths[i], 20);
            through(&m, 1, &random);
            (void)test_release(NULL);
        }
        if (aead->max_len == 65535) {
            nacre_buf in = test_buf(65536 + NACRE_MAX_TAG), out = test_buf(65536 + NACRE_MAX_TAG);
            uint8_t nonce[NACRE_MAX_NONCE] = { 0 };
            nacre_aead_job job = { aead, keys.mb[NACRE_SEAL], nonce, NACRE_ABSENT, in.ptr, 65536, out.ptr, true };
            assert_false(nacre_seal(&mb, &job));
            job.in_len = 65536u + aead->tag_len;
            job.key = keys.mb[NACRE_OPEN];
            job.ok = true;
            assert_false(nacre_open(&mb, &job));
            assert_true(test_buf_is_clean(out));
        }
        release_keys(&keys);
        (void)test_release(NULL);
    }
}

/* In a burst, ciphertext too short for a tag is refused and the others are opened. */
static void ciphertext_too_short_for_a_tag_is_refused(void **state)
{
    (void)state;
    uint64_t random = 4;
    const nacre_aead *aead;
    for (size_t a = 0; (aead = nacre_aead_at(a)) != NULL; a++) {
        key_pair keys = keys_of(aead, &random);
        message m = some_message(&keys, &random, 12, 20);
        uint8_t out[2][64];
        nacre_aead_job jobs[2];
        nacre_aead_job *burst[2] = { &jobs[0], &jobs[1] };
        for (size_t i = 0; i < 2; i++)
            jobs[i] = (nacre_aead_job){ aead,       keys.mb[NACRE_OPEN], m.nonce.ptr, m.aad,
                                        m.expected, m.sealed_len,        out[i],      i == 0 };
        jobs[0].in_len = aead->tag_len - 1u;
        mb.ops->open_many(&mb, burst, 2);
        assert_false(jobs[0].ok);
        assert_true(jobs[1].ok);
        release_keys(&keys);
        (void)test_release(NULL);
    }
}

/* Contexts of this provider in the core: an exchange with a context over OpenSSL, and another instance for the same
 * keys. */
static void contexts_of_both_providers_interoperate(void **state)
{
    (void)state;
    nacre_context_params params = test_params(1, TEST_CLIENT);
    size_t size, align;
    nacre_context client;
    nacre_crypto second;
    assert_ok(nacre_context_key_layout(&mb, 0, &size, &align));
    nacre_buf keys = { aligned_alloc(align, size), size };
    assert_ok(nacre_context_init(&client, &mb, &params, keys));
    assert_ok(nacre_ipsec_mb_open(&second));
    nacre_context *server = test_context_of(1, TEST_SERVER);
    for (int i = 0; i < 4; i++) {
        const nacre_crypto *crypto = i % 2 == 0 ? &mb : &second;
        nacre_message plain = test_request(NACRE_GET, NACRE_ABSENT, test_hex("6869")), got;
        nacre_request_id at_client, at_server;
        nacre_bytes sent;
        assert_ok(nacre_protect_request(&client, crypto, &at_client, &sent, test_buf(100), &plain, NULL));
        nacre_message outer = test_parse(sent);
        assert_ok(nacre_unprotect_request(server, test_crypto(), &at_server, &got, test_buf(100), &outer));
        assert_bytes(got.payload, plain.payload);
        nacre_message response = test_response(NACRE_CONTENT, NACRE_ABSENT, test_hex("6f6b"));
        outer = test_parse(test_protect_response(server, &at_server, &response, NULL));
        assert_ok(nacre_unprotect_response(&client, crypto, &at_client, &got, NULL, test_buf(100), &outer));
        assert_bytes(got.payload, response.payload);
    }
    nacre_ipsec_mb_close(&second);
    nacre_ipsec_mb_close(&second); /* closing twice is allowed */
    nacre_context_wipe(&client);
    free(keys.ptr);
}

static void the_default_provider_is_ipsec_mb(void **state)
{
    (void)state;
    nacre_crypto best;
    assert_ok(nacre_provider_open(&best));
    assert_string_equal(best.ops->name, "ipsec_mb");
    nacre_provider_close(&best);
    assert_null(best.instance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mixed_bursts_match_openssl),
        TEST(aad_at_the_librarys_limit_matches_openssl),
        TEST(lengths_at_the_librarys_limits_match_openssl),
        TEST(ciphertext_too_short_for_a_tag_is_refused),
        TEST(contexts_of_both_providers_interoperate),
        TEST(the_default_provider_is_ipsec_mb),
    };
    if (nacre_ipsec_mb_open(&mb) == NACRE_ERR_UNSUPPORTED) {
        puts("no IPsec-MB in this build, or not for this processor: skipped");
        return 77;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    nacre_ipsec_mb_close(&mb);
    return failed;
}
