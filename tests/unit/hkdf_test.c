/* SPDX-License-Identifier: MIT */
/* hkdf_test: extract and expand (RFC 5869), with that RFC's vectors for SHA-256, over the provider's HMAC. */
#include "support.h"

static const struct {
    const char *name;
    nacre_hash hash;
    const char *secret, *salt, *info, *okm;
} rows[] = {
    { "RFC 5869 A.1", NACRE_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
      "f0f1f2f3f4f5f6f7f8f9", "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865" },
    { "RFC 5869 A.2", NACRE_SHA256,
      "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637"
      "3839"
      "3a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
      "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f9091929394959697"
      "9899"
      "9a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
      "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7"
      "e8e9"
      "eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8"
      "3677"
      "93a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87" },
    { "RFC 5869 A.3, empty salt", NACRE_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8" },
    { "RFC 5869 A.3, absent salt and info", NACRE_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", NULL, NULL,
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8" },
    { "input of RFC 5869 A.1, sha384", NACRE_SHA384, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
      "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
      "9b5097a86038b805309076a44b3a9f38063e25b516dcbf369f394cfab43685f748b6457763e4f0204fc5d95d1da3e62587b2"
      "2eb8943d0fab6bb631a2fe9df1a68c6ce5d56116a52005b3f122b88b39b7251fcd6c44d3ef25f20ed96802bf1b2c1d98bf74"
      "a9acc64e0cd810767f725273e94061578dc4298c70a3925338932bfc263066313b43a40e23b76b0d29a59e552adbd325b6d7" },
    { "input of RFC 5869 A.1, sha512", NACRE_SHA512, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
      "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
      "832390086cda71fb47625bb5ceb168e4c8e26a1a16ed34d9fc7fe92c1481579338da362cb8d9f925d7cbcce0dff7098769cf"
      "15959867d571c1715450cb530137be3fb62f3cf32b84feba8f1eb1b563e20d9749b8640b8264c4b69b14ad5199115e1d609c"
      "83c6940ce5b4214a0c79946983547a35cdcc17e0daf31b647dec0d0e6142b1deaa036b348422068ca66631c0ca5586485a27" },
};

static nacre_err hkdf(size_t row, uint8_t *out, size_t len)
{
    return nacre_hkdf(test_crypto(), rows[row].hash, test_hex(rows[row].secret), test_hex(rows[row].salt),
                      test_hex(rows[row].info), out, len);
}

static void rfc_5869_vectors_match(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_bytes expected = test_hex(rows[i].okm);
        nacre_buf out = test_buf(expected.len);
        assert_err_row(rows[i].name, hkdf(i, out.ptr, out.cap), NACRE_OK);
        assert_bytes_row(rows[i].name, nacre_bytes_of(out.ptr, out.cap), expected);
    }
}

/* Each length gives a prefix of the longest output, and writes no further. */
static void every_length_is_a_prefix_of_the_longest(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_bytes expected = test_hex(rows[i].okm);
        for (size_t len = 0; len <= expected.len; len++) {
            nacre_buf out = test_buf(len);
            assert_ok(hkdf(i, out.ptr, len));
            assert_bytes_row(rows[i].name, nacre_bytes_of(out.ptr, len), nacre_bytes_of(expected.ptr, len));
        }
    }
}

/* RFC 5869 2.3: at most 255 blocks. */
static void output_is_at_most_255_blocks(void **state)
{
    (void)state;
    for (int hash = NACRE_SHA256; hash <= NACRE_SHA512; hash++) {
        size_t most = 255 * nacre_hash_len((nacre_hash)hash);
        nacre_buf out = test_buf(most + 1);
        nacre_bytes secret = test_hex("00");
        assert_ok(nacre_hkdf(test_crypto(), (nacre_hash)hash, secret, NACRE_ABSENT, NACRE_ABSENT, out.ptr, most));
        assert_int_equal(out.ptr[most], 0xa5);
        assert_err(nacre_hkdf(test_crypto(), (nacre_hash)hash, secret, NACRE_ABSENT, NACRE_ABSENT, out.ptr, most + 1),
                   NACRE_ERR_TOO_LONG);
        for (size_t i = 0; i <= most; i++) assert_int_equal(out.ptr[i], 0); /* on failure `out` is wiped */
    }
}

/* An error of the provider's HMAC at any call is returned, and no key material stays. */
static int calls_left;

static nacre_err failing_hmac(const nacre_crypto *crypto, nacre_hash hash, nacre_bytes key, const nacre_bytes *parts,
                              size_t num_parts, uint8_t *mac)
{
    (void)crypto;
    if (calls_left-- == 0) return NACRE_ERR_CRYPTO;
    return test_crypto()->ops->hmac(test_crypto(), hash, key, parts, num_parts, mac);
}

static void a_failing_hmac_leaves_no_key_material(void **state)
{
    (void)state;
    nacre_crypto_ops ops = *test_crypto()->ops;
    nacre_crypto failing = { &ops, NULL };
    ops.hmac = failing_hmac;
    for (int call = 0; call < 5; call++) {
        nacre_buf out = test_buf(100);
        calls_left = call;
        assert_err(nacre_hkdf(&failing, NACRE_SHA256, test_hex("01"), NACRE_ABSENT, test_hex("02"), out.ptr, out.cap),
                   NACRE_ERR_CRYPTO);
        for (size_t i = 0; i < out.cap; i++) assert_int_equal(out.ptr[i], 0);
    }
    nacre_buf out = test_buf(100);
    calls_left = 5; /* extract and four blocks */
    assert_ok(nacre_hkdf(&failing, NACRE_SHA256, test_hex("01"), NACRE_ABSENT, test_hex("02"), out.ptr, out.cap));
}

static void hashes_have_names_and_lengths(void **state)
{
    (void)state;
    static const struct {
        nacre_hash hash;
        const char *name;
        size_t len;
    } hashes[] = { { NACRE_SHA256, "sha256", 32 }, { NACRE_SHA384, "sha384", 48 }, { NACRE_SHA512, "sha512", 64 } };
    for (size_t i = 0; i < COUNT(hashes); i++) {
        nacre_hash found = (nacre_hash)9;
        assert_int_equal(nacre_hash_len(hashes[i].hash), hashes[i].len);
        assert_string_equal(nacre_hash_name(hashes[i].hash), hashes[i].name);
        assert_true(nacre_hash_by_name(hashes[i].name, &found));
        assert_int_equal(found, hashes[i].hash);
    }
    static const char *const unknown[] = { "", "sha", "sha25", "sha2560", "SHA256", "sha1", "md5" };
    for (size_t i = 0; i < COUNT(unknown); i++) {
        nacre_hash untouched = (nacre_hash)9;
        assert_false(nacre_hash_by_name(unknown[i], &untouched));
        assert_int_equal(untouched, 9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rfc_5869_vectors_match),        TEST(every_length_is_a_prefix_of_the_longest),
        TEST(output_is_at_most_255_blocks),  TEST(a_failing_hmac_leaves_no_key_material),
        TEST(hashes_have_names_and_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
