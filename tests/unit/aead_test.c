/* SPDX-License-Identifier: MIT */
/* aead_test: the AEAD table and the default provider: the twelve COSE AEADs are found by number and name, seal and
 * open. */
#include "support.h"

#include <stdlib.h>

static const struct {
    int cose;
    uint8_t key_len, nonce_len, tag_len;
    const char *name;
} rows[] = {
    { 1, 16, 12, 16, "A128GCM" },
    { 2, 24, 12, 16, "A192GCM" },
    { 3, 32, 12, 16, "A256GCM" },
    { 10, 16, 13, 8, "AES-CCM-16-64-128" },
    { 11, 32, 13, 8, "AES-CCM-16-64-256" },
    { 12, 16, 7, 8, "AES-CCM-64-64-128" },
    { 13, 32, 7, 8, "AES-CCM-64-64-256" },
    { 24, 32, 12, 16, "ChaCha20/Poly1305" },
    { 30, 16, 13, 16, "AES-CCM-16-128-128" },
    { 31, 32, 13, 16, "AES-CCM-16-128-256" },
    { 32, 16, 7, 16, "AES-CCM-64-128-128" },
    { 33, 32, 7, 16, "AES-CCM-64-128-256" },
};

static void the_table_has_each_algorithm_by_number_and_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const nacre_aead *aead = nacre_aead_at(i);
        assert_non_null(aead);
        assert_int_equal(aead->cose, rows[i].cose);
        assert_int_equal(aead->key_len, rows[i].key_len);
        assert_int_equal(aead->nonce_len, rows[i].nonce_len);
        assert_int_equal(aead->tag_len, rows[i].tag_len);
        assert_string_equal(aead->name, rows[i].name);
        assert_ptr_equal(nacre_aead_by_number(rows[i].cose), aead);
        assert_ptr_equal(nacre_aead_by_name(rows[i].name), aead);
        assert_true(aead->nonce_len <= NACRE_MAX_NONCE && aead->nonce_len - 6 <= NACRE_MAX_ID);
        assert_true(aead->key_len <= NACRE_MAX_KEY && aead->tag_len <= NACRE_MAX_TAG);
        if (aead->nonce_len == 13) assert_int_equal(aead->max_len, 65535); /* CCM with a length field of 2 bytes */
    }
    assert_null(nacre_aead_at(COUNT(rows)));
    assert_null(nacre_aead_at(SIZE_MAX));
}

static void unknown_numbers_and_names_are_not_found(void **state)
{
    (void)state;
    static const int numbers[] = { 0, 4, 9, 14, 23, 25, 29, 34, -1, 266, 65546, INT32_MIN, INT32_MAX };
    for (size_t i = 0; i < COUNT(numbers); i++) assert_null(nacre_aead_by_number(numbers[i]));
    static const char *const names[] = { "", "A128", "A128GCMx", "a128gcm", "AES-CCM-16-64-12", "AES-CCM-16-64-1288" };
    for (size_t i = 0; i < COUNT(names); i++) assert_null(nacre_aead_by_name(names[i]));
}

typedef struct prepared {
    const nacre_aead *aead;
    void *seal_key, *open_key;
    size_t size;
} prepared;

static prepared prepare(const nacre_aead *aead, const uint8_t *key)
{
    const nacre_crypto_ops *ops = test_crypto()->ops;
    prepared p = { .aead = aead };
    size_t align;
    assert_true(ops->key_layout(aead, &p.size, &align));
    size_t cap = (p.size + align - 1) / align * align;
    p.seal_key = aligned_alloc(align, cap);
    p.open_key = aligned_alloc(align, cap);
    assert_ok(ops->key_init(test_crypto(), aead, NACRE_SEAL, p.seal_key, key));
    assert_ok(ops->key_init(test_crypto(), aead, NACRE_OPEN, p.open_key, key));
    return p;
}

static void release(prepared *p)
{
    test_crypto()->ops->key_release(p->aead, p->seal_key, p->size);
    test_crypto()->ops->key_release(p->aead, p->open_key, p->size);
    for (size_t i = 0; i < p->size; i++) assert_int_equal(((uint8_t *)p->seal_key)[i], 0); /* the key buffer is wiped */
    free(p->seal_key);
    free(p->open_key);
}

static nacre_aead_job job_of(const prepared *p, nacre_bytes nonce, nacre_bytes aad, nacre_bytes in, uint8_t *out)
{
    nacre_aead_job job = { p->aead, p->open_key, nonce.ptr, aad, in.ptr, in.len, out, true };
    return job;
}

static nacre_bytes seal(const prepared *p, nacre_bytes nonce, nacre_bytes aad, nacre_bytes in)
{
    nacre_buf out = test_buf(in.len + p->aead->tag_len);
    nacre_aead_job job = job_of(p, nonce, aad, in, out.ptr);
    job.key = p->seal_key;
    assert_true(nacre_seal(test_crypto(), &job));
    return nacre_bytes_of(out.ptr, out.cap);
}

static nacre_bytes sequence(size_t len)
{
    uint8_t *bytes = test_alloc(len);
    for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(i * 7 + 1);
    return nacre_bytes_of(bytes, len);
}

static void every_length_round_trips_also_in_place(void **state)
{
    (void)state;
    for (size_t a = 0; a < COUNT(rows); a++) {
        prepared p = prepare(nacre_aead_at(a), sequence(rows[a].key_len).ptr);
        nacre_bytes nonce = sequence(rows[a].nonce_len), aad = sequence(21);
        for (size_t len = 0; len <= 70; len++) {
            nacre_bytes plain = sequence(len), sealed = seal(&p, nonce, aad, plain);
            uint8_t *in_place = test_alloc(sealed.len);
            if (len) memcpy(in_place, plain.ptr, len);
            nacre_aead_job job = job_of(&p, nonce, aad, nacre_bytes_of(in_place, len), in_place);
            job.key = p.seal_key;
            assert_true(nacre_seal(test_crypto(), &job));
            assert_bytes(nacre_bytes_of(in_place, sealed.len), sealed);
            nacre_buf out = test_buf(len);
            job = job_of(&p, nonce, aad, sealed, out.ptr);
            assert_true(nacre_open(test_crypto(), &job));
            assert_bytes(nacre_bytes_of(out.ptr, len), plain);
            job = job_of(&p, nonce, aad, sealed, in_place);
            job.in = in_place;
            assert_true(nacre_open(test_crypto(), &job));
            assert_bytes(nacre_bytes_of(in_place, len), plain);
            (void)memset(in_place, 0, sealed.len);
        }
        release(&p);
        (void)test_release(NULL);
    }
}

static void assert_refused(const prepared *p, nacre_bytes nonce, nacre_bytes aad, nacre_bytes sealed)
{
    size_t len = sealed.len < p->aead->tag_len ? 0 : sealed.len - p->aead->tag_len;
    nacre_buf out = test_buf(len);
    nacre_aead_job job = job_of(p, nonce, aad, sealed, out.ptr);
    assert_false(nacre_open(test_crypto(), &job));
    assert_true(test_buf_is_clean(out)); /* the output buffer holds no plaintext */
}

/* RFC 8613 12.6: with one bit of nonce, AAD, ciphertext or tag flipped, opening fails; the intact message still opens
 * afterwards. */
static void every_flipped_bit_and_truncation_is_refused(void **state)
{
    (void)state;
    for (size_t a = 0; a < COUNT(rows); a++) {
        prepared p = prepare(nacre_aead_at(a), sequence(rows[a].key_len).ptr);
        nacre_bytes parts[3] = { sequence(rows[a].nonce_len), sequence(21) };
        parts[2] = seal(&p, parts[0], parts[1], sequence(20));
        for (size_t part = 0; part < 3; part++)
            for (size_t bit = 0; bit < 8 * parts[part].len; bit++) {
                nacre_bytes m[3] = { parts[0], parts[1], parts[2] };
                m[part] = test_copy(parts[part]);
                ((uint8_t *)(uintptr_t)m[part].ptr)[bit / 8] ^= (uint8_t)(1u << bit % 8);
                assert_refused(&p, m[0], m[1], m[2]);
            }
        for (size_t len = 0; len < parts[2].len; len++)
            assert_refused(&p, parts[0], parts[1], test_copy(nacre_bytes_of(parts[2].ptr, len)));
        nacre_buf out = test_buf(20);
        nacre_aead_job job = job_of(&p, parts[0], parts[1], parts[2], out.ptr);
        assert_true(nacre_open(test_crypto(), &job));
        assert_bytes(nacre_bytes_of(out.ptr, 20), sequence(20));
        release(&p);
        (void)test_release(NULL);
    }
}

/* In a burst with jobs of different algorithms, each succeeds or fails by itself. */
static void jobs_of_a_burst_succeed_or_fail_by_themselves(void **state)
{
    (void)state;
    prepared p[COUNT(rows)];
    nacre_aead_job jobs[COUNT(rows)], *list[COUNT(rows)];
    nacre_buf out[COUNT(rows)];
    for (size_t a = 0; a < COUNT(rows); a++) {
        p[a] = prepare(nacre_aead_at(a), sequence(rows[a].key_len).ptr);
        nacre_bytes nonce = sequence(rows[a].nonce_len), sealed = seal(&p[a], nonce, sequence(5), sequence(a));
        if (a % 3 == 1) ((uint8_t *)(uintptr_t)sealed.ptr)[0] ^= 1;
        out[a] = test_buf(a);
        jobs[a] = job_of(&p[a], nonce, sequence(5), sealed, out[a].ptr);
        list[a] = &jobs[a];
    }
    test_crypto()->ops->open_many(test_crypto(), list, COUNT(rows));
    for (size_t a = 0; a < COUNT(rows); a++) {
        assert_int_equal(jobs[a].ok, a % 3 != 1);
        if (jobs[a].ok) assert_bytes(nacre_bytes_of(out[a].ptr, a), sequence(a));
        release(&p[a]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_table_has_each_algorithm_by_number_and_name), TEST(unknown_numbers_and_names_are_not_found),
        TEST(every_length_round_trips_also_in_place),          TEST(every_flipped_bit_and_truncation_is_refused),
        TEST(jobs_of_a_burst_succeed_or_fail_by_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
