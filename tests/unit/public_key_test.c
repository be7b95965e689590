/* SPDX-License-Identifier: MIT */
/* public_key: the provider over OpenSSL, against the vectors of RFC 7748, RFC 8032, RFC 6979 and RFC 9529. */
/* Labels: cross */
#include "support.h"

static nacre_pk pk;

static int open_pk(void **state)
{
    (void)state;
    return nacre_openssl_pk_open(&pk) == NACRE_OK ? 0 : -1;
}

static int close_pk(void **state)
{
    (void)state;
    nacre_openssl_pk_close(&pk);
    nacre_openssl_pk_close(&pk); /* twice is allowed */
    return 0;
}

static nacre_private_key private_of(nacre_curve curve, const char *hex)
{
    nacre_private_key key = { curve, { test_hex(hex), 0 } };
    return key;
}

static const struct {
    const char *name;
    nacre_curve curve;
    const char *key, *peer, *secret;
} agreements[] = {
    { "RFC 7748 5.2", NACRE_X25519, "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
      "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
      "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552" },
    { "RFC 9529 2.2", NACRE_X25519, "892ec28e5cb6669108470539500b705e60d008d347c5817ee9f3327c8a87bb03",
      "dc88d2d51da5ed67fc4616356bc8ca74ef9ebe8b387e623a360ba480b9b29d1c",
      "e5cdf3a986cdac5b7bf04691e2b07c08e71f53998d8f842b7c3fb4d839cf7b28" },
    { "RFC 9529 3.4", NACRE_P256, "368ec1f69aeb659ba37d5a8d45b21bdc0299dceaa8ef235f3ca42ce3530f9525",
      "419701d7f00a26c2dc587a36dd752549f33763c893422c8ea0f955a13a4ff5d5",
      "2f0cb7e860ba538fbf5c8bded009f6259b4b628fe1eb7dbe9378e5ecf7a824ba" },
};

static void agreement_gives_the_secret_of_the_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(agreements); i++) {
        nacre_private_key key = private_of(agreements[i].curve, agreements[i].key);
        nacre_buf secret = test_buf(nacre_curve_len(key.curve));
        assert_err_row(agreements[i].name, pk.ops->agree(&pk, &key, test_hex(agreements[i].peer), secret.ptr),
                       NACRE_OK);
        assert_bytes_row(agreements[i].name, nacre_bytes_of(secret.ptr, secret.cap), test_hex(agreements[i].secret));
    }
}

/* NIST SP 800-56A 5.6.2.3.4, RFC 7748 6.1. The first row of each curve differs from its rows below in the point only. */
static const struct {
    const char *name;
    nacre_curve curve;
    const char *peer;
    nacre_err err;
} points[] = {
    { "a point", NACRE_P256, "419701d7f00a26c2dc587a36dd752549f33763c893422c8ea0f955a13a4ff5d5", NACRE_OK },
    { "x = p", NACRE_P256, "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
      NACRE_ERR_BAD_PUBLIC_KEY },
    { "x = p + 5, where 5 is on the curve", NACRE_P256,
      "ffffffff00000001000000000000000000000001000000000000000000000004", NACRE_ERR_BAD_PUBLIC_KEY },
    { "x = 5", NACRE_P256, "0000000000000000000000000000000000000000000000000000000000000005", NACRE_OK },
    { "not on the curve", NACRE_P256, "a04e73601df544a70ba7ea1e57030f7d4b4eb7f673924e58d54ca77a5e7d4d4a",
      NACRE_ERR_BAD_PUBLIC_KEY },
    { "short", NACRE_P256, "d9697725d23a688b12d1c7e0108a08c9f71a85a09c20814976ab21122248fc", NACRE_ERR_BAD_PUBLIC_KEY },
    { "X25519", NACRE_X25519, "dc88d2d51da5ed67fc4616356bc8ca74ef9ebe8b387e623a360ba480b9b29d1c", NACRE_OK },
    { "zero", NACRE_X25519, "0000000000000000000000000000000000000000000000000000000000000000",
      NACRE_ERR_BAD_PUBLIC_KEY },
    { "one", NACRE_X25519, "0100000000000000000000000000000000000000000000000000000000000000",
      NACRE_ERR_BAD_PUBLIC_KEY },
    { "p", NACRE_X25519, "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", NACRE_ERR_BAD_PUBLIC_KEY },
    { "order 8", NACRE_X25519, "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      NACRE_ERR_BAD_PUBLIC_KEY },
};

static void points_are_validated(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(points); i++) {
        nacre_private_key key = private_of(points[i].curve, agreements[points[i].curve == NACRE_P256 ? 2 : 0].key);
        nacre_buf secret = test_buf(32);
        assert_err_row(points[i].name, pk.ops->agree(&pk, &key, test_hex(points[i].peer), secret.ptr), points[i].err);
        assert_int_equal(test_buf_is_untouched(secret), points[i].err != NACRE_OK);
    }
}

static void fresh_keys_agree_and_differ(void **state)
{
    (void)state;
    static const nacre_curve curves[] = { NACRE_P256, NACRE_P384, NACRE_X25519 };
    for (size_t i = 0; i < COUNT(curves); i++) {
        nacre_ephemeral a, b;
        size_t len = nacre_curve_len(curves[i]);
        nacre_buf ax = test_buf(len), bx = test_buf(len), ab = test_buf(len), ba = test_buf(len);
        assert_ok(pk.ops->generate(&pk, curves[i], &a, ax.ptr));
        assert_ok(pk.ops->generate(&pk, curves[i], &b, bx.ptr));
        assert_memory_not_equal(ax.ptr, bx.ptr, len);
        nacre_private_key key_a = nacre_ephemeral_key(&a), key_b = nacre_ephemeral_key(&b);
        assert_ok(pk.ops->agree(&pk, &key_a, nacre_bytes_of(bx.ptr, len), ab.ptr));
        assert_ok(pk.ops->agree(&pk, &key_b, nacre_bytes_of(ax.ptr, len), ba.ptr));
        assert_bytes(nacre_bytes_of(ab.ptr, len), nacre_bytes_of(ba.ptr, len));
    }
    nacre_ephemeral untouched = { .len = 7 };
    nacre_buf x = test_buf(32);
    assert_err(pk.ops->generate(&pk, NACRE_ED25519, &untouched, x.ptr), NACRE_ERR_UNSUPPORTED);
    assert_err(pk.ops->generate(&pk, NACRE_CURVE_NONE, &untouched, x.ptr), NACRE_ERR_UNSUPPORTED);
    assert_int_equal(untouched.len, 7);
}

static const struct {
    const char *name;
    nacre_curve curve;
    const char *key, *x, *y, *message, *signature;
} signatures[] = {
    { "RFC 8032 7.1 test 2", NACRE_ED25519, "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", NULL, "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
    { "RFC 6979 A.2.5", NACRE_P256, "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
      "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
      "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299", "73616d706c65",
      "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
      "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8" },
    { "RFC 6979 A.2.6", NACRE_P384,
      "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5",
      "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a254515480bc13",
      "8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720",
      "73616d706c65",
      "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46"
      "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8" },
};

static nacre_public_key public_of(size_t i)
{
    nacre_public_key key = { signatures[i].curve, test_hex(signatures[i].x), NACRE_Y_ABSENT, NACRE_ABSENT };
    if (signatures[i].y != NULL) key.y_form = NACRE_Y_WHOLE, key.y = test_hex(signatures[i].y);
    return key;
}

static nacre_err verify_parts(const nacre_public_key *key, nacre_bytes message, nacre_bytes signature)
{
    size_t half = message.len / 2;
    const nacre_bytes parts[] = { { message.ptr, half }, NACRE_ABSENT, { message.ptr + half, message.len - half } };
    return pk.ops->verify(&pk, key, parts, COUNT(parts), signature);
}

static void signatures_of_the_vectors_verify_and_no_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(signatures); i++) {
        nacre_public_key key = public_of(i);
        nacre_bytes message = test_hex(signatures[i].message), signature = test_hex(signatures[i].signature);
        assert_err_row(signatures[i].name, verify_parts(&key, message, signature), NACRE_OK);
        for (size_t at = 0; at < signature.len; at++) {
            uint8_t *bit = (uint8_t *)(uintptr_t)(signature.ptr + at);
            *bit ^= 1;
            assert_err_row(signatures[i].name, verify_parts(&key, message, signature), NACRE_ERR_BAD_SIGNATURE);
            *bit ^= 1;
        }
        assert_err(verify_parts(&key, NACRE_STR("other"), signature), NACRE_ERR_BAD_SIGNATURE);
        signature.len--;
        assert_err(verify_parts(&key, message, signature), NACRE_ERR_BAD_SIGNATURE);
        signature.len++;
        if (signatures[i].y == NULL) continue;
        bool odd = key.y.ptr[key.y.len - 1] & 1;
        key.y_form = odd ? NACRE_Y_ODD : NACRE_Y_EVEN; /* RFC 9053 7.1.1: the sign suffices … */
        assert_err_row(signatures[i].name, verify_parts(&key, message, signature), NACRE_OK);
        key.y_form = odd ? NACRE_Y_EVEN : NACRE_Y_ODD; /* … and counts */
        assert_err_row(signatures[i].name, verify_parts(&key, message, signature), NACRE_ERR_BAD_SIGNATURE);
        key.y_form = NACRE_Y_ABSENT;
        assert_err_row(signatures[i].name, verify_parts(&key, message, signature), NACRE_ERR_BAD_PUBLIC_KEY);
    }
}

static void what_a_key_signs_its_public_key_verifies(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(signatures); i++) {
        nacre_private_key key = private_of(signatures[i].curve, signatures[i].key);
        nacre_public_key public_key = public_of(i);
        nacre_bytes message = NACRE_STR("any message");
        nacre_buf made = test_buf(2 * nacre_curve_len(key.curve));
        assert_ok(pk.ops->sign(&pk, &key, &message, 1, made.ptr));
        assert_err_row(signatures[i].name, verify_parts(&public_key, message, nacre_bytes_of(made.ptr, made.cap)),
                       NACRE_OK);
        nacre_buf x = test_buf(nacre_curve_len(key.curve)), y = test_buf(nacre_curve_len(key.curve));
        assert_ok(nacre_public_key_of(&key, x.ptr, y.ptr));
        assert_bytes_row(signatures[i].name, nacre_bytes_of(x.ptr, x.cap), public_key.x);
        if (signatures[i].y != NULL) assert_bytes_row(signatures[i].name, nacre_bytes_of(y.ptr, y.cap), public_key.y);
        else assert_true(test_buf_is_untouched(y));
    }
}

/* R is the neutral element and S zero: with a key of low order this is a signature of each message, or of some. */
static void a_signature_key_of_low_order_is_refused(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    };
    static const uint8_t signature[64] = { 1 };
    for (size_t i = 0; i < COUNT(keys); i++)
        for (uint8_t n = 0; n < 100; n++) {
            const nacre_bytes message = { &n, 1 };
            const nacre_public_key key = { .curve = NACRE_ED25519, .x = test_hex(keys[i]) };
            assert_err_row(keys[i], pk.ops->verify(&pk, &key, &message, 1, NACRE_ARRAY(signature)),
                           NACRE_ERR_BAD_PUBLIC_KEY);
        }
}

static void private_keys_out_of_range_are_refused(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", /* the order */
        "01"
    };
    for (size_t i = 0; i < COUNT(keys); i++) {
        nacre_private_key key = private_of(NACRE_P256, keys[i]);
        nacre_buf x = test_buf(32), y = test_buf(32), signature = test_buf(64);
        nacre_bytes message = NACRE_STR("m");
        assert_err(nacre_public_key_of(&key, x.ptr, y.ptr), NACRE_ERR_CRYPTO);
        assert_true(test_buf_is_untouched(x));
        assert_err(pk.ops->sign(&pk, &key, &message, 1, signature.ptr), NACRE_ERR_CRYPTO);
    }
}

static void hashes_are_of_the_joined_parts(void **state)
{
    (void)state;
    static const struct {
        nacre_hash hash;
        const char *of_abc;
    } rows[] = {
        { NACRE_SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { NACRE_SHA384,
          "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7" },
    };
    const nacre_bytes parts[] = { NACRE_STR("a"), NACRE_ABSENT, NACRE_STR("bc") };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_buf out = test_buf(nacre_hash_len(rows[i].hash));
        assert_ok(pk.ops->hash(&pk, rows[i].hash, parts, COUNT(parts), out.ptr));
        assert_bytes(nacre_bytes_of(out.ptr, out.cap), test_hex(rows[i].of_abc));
    }
    nacre_buf none = test_buf(8);
    assert_err(pk.ops->hash(&pk, (nacre_hash)9, parts, COUNT(parts), none.ptr), NACRE_ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(agreement_gives_the_secret_of_the_vectors),
        TEST(points_are_validated),
        TEST(fresh_keys_agree_and_differ),
        TEST(signatures_of_the_vectors_verify_and_no_others),
        TEST(what_a_key_signs_its_public_key_verifies),
        TEST(a_signature_key_of_low_order_is_refused),
        TEST(private_keys_out_of_range_are_refused),
        TEST(hashes_are_of_the_joined_parts),
    };
    return cmocka_run_group_tests(tests, open_pk, close_pk);
}
