/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* context_test: from parameters to keys, which parameters are refused, and that failures leave no key material (RFC
 * 8613 3.1 to 3.3). */
#include "support.h"

#include <context/derive.h>
#include <stdlib.h>

/* RFC 8613 C.1 to C.3: the Common IV of each; the keys are checked by the vectors' messages. */
static void common_ivs_and_queries_match_the_rfc(void **state)
{
    (void)state;
    static const char *const common_iv[] = { "4622d4dd6d944168eefb54987c", "be35ae297d2dace910c52e99f9",
                                             "2ca58fb85ff1b81c0b7181b85e" };
    for (int vector = 1; vector <= 3; vector++)
        for (int end = TEST_CLIENT; end <= TEST_SERVER; end++) {
            nacre_context_params params = test_params(vector, (test_end)end);
            params.next_seq = 77;
            const nacre_context *ctx = test_context(&params);
            assert_bytes(nacre_context_common_iv(ctx), test_hex(common_iv[vector - 1]));
            assert_bytes(nacre_context_sender_id(ctx), params.sender_id);
            assert_bytes(nacre_context_recipient_id(ctx), params.recipient_id);
            assert_bytes(nacre_context_id_context(ctx), params.id_context);
            assert_int_equal(nacre_context_aead(ctx)->cose, 10);
            assert_int_equal(nacre_context_next_seq(ctx), 77);
            assert_int_equal(nacre_context_failed_decryptions(ctx), 0);
            assert_ok(nacre_replay_check(nacre_context_replay(ctx), 0));
        }
}

/* RFC 8613 3.2.2: numbers start at 0, and the window is empty. */
static void numbers_start_at_0_with_an_empty_window(void **state)
{
    (void)state;
    const nacre_context *ctx = test_context_of(1, TEST_SERVER);
    uint64_t index = 1;
    uint8_t bits[NACRE_REPLAY_DEFAULT / 8];
    assert_int_equal(nacre_context_next_seq(ctx), 0);
    assert_int_equal(nacre_context_replay(ctx)->size, NACRE_REPLAY_DEFAULT);
    assert_true(nacre_replay_export(nacre_context_replay(ctx), &index, bits));
    assert_int_equal(index, 0);
    for (size_t i = 0; i < sizeof bits; i++) assert_int_equal(bits[i], 0);
}

/* RFC 8613 3.2.1: lengths that change the CBOR head, and an empty ID Context, which differs from an absent one. */
static void info_is_encoded_in_shortest_form(void **state)
{
    (void)state;
    static const struct {
        const char *id, *id_context;
        int alg;
        const char *type;
        size_t len;
        const char *info;
    } rows[] = {
        { "", NULL, 10, "Key", 16, "85 40 f6 0a 634b6579 10" },
        { "", "", 10, "Key", 16, "85 40 40 0a 634b6579 10" },
        { "01", NULL, 10, "IV", 13, "85 4101 f6 0a 624956 0d" },
        { "01020304050607", NULL, 24, "Key", 32, "85 4701020304050607 f6 1818 634b6579 1820" },
        { "", NULL, 1, "Key", 24, "85 40 f6 01 634b6579 1818" },
        { "", "37cbf3210017a2d3", 33, "IV", 7, "85 40 4837cbf3210017a2d3 1821 624956 07" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t out[NACRE_MAX_INFO];
        size_t len = nacre__info(out, test_hex(rows[i].id), test_hex(rows[i].id_context), rows[i].alg, rows[i].type,
                                 rows[i].len);
        assert_bytes_row(rows[i].info, nacre_bytes_of(out, len), test_hex(rows[i].info));
    }
    static const struct {
        size_t len;
        const char *head;
    } contexts[] = { { 23, "57" }, { 24, "5818" }, { 255, "58ff" } };
    for (size_t i = 0; i < COUNT(contexts); i++) {
        uint8_t out[NACRE_MAX_INFO];
        nacre_bytes id = test_fill(1, 7), id_context = test_fill(2, contexts[i].len);
        size_t len = nacre__info(out, id, id_context, 33, "Key", 32);
        nacre_bytes expected = test_join(test_join(test_hex("8547 01010101010101"), test_hex(contexts[i].head)),
                                         test_join(id_context, test_hex("1821 634b6579 1820")));
        assert_bytes(nacre_bytes_of(out, len), expected);
    }
}

/* Absent and empty Master Salt are the same; absent and empty ID Context are not (RFC 8613 3.2.1). */
static void absent_and_empty_differ_for_the_id_context_only(void **state)
{
    (void)state;
    nacre_context_params params = test_params(2, TEST_CLIENT);
    nacre_bytes without = nacre_context_common_iv(test_context(&params));
    params.master_salt = test_hex("");
    assert_bytes(nacre_context_common_iv(test_context(&params)), without);
    params.master_salt = test_hex("0000"); /* HMAC fills keys with zeros */
    assert_bytes(nacre_context_common_iv(test_context(&params)), without);
    params.id_context = test_hex("");
    const nacre_context *empty = test_context(&params);
    assert_false(nacre_bytes_equal(nacre_context_common_iv(empty), without));
    assert_bytes(nacre_context_id_context(empty), test_hex(""));
}

static bool all_zero(const nacre_context *ctx)
{
    for (size_t i = 0; i < sizeof *ctx; i++)
        if (((const uint8_t *)ctx)[i]) return false;
    return true;
}

static nacre_err init(const nacre_context_params *params)
{
    nacre_context ctx;
    size_t size, align;
    memset(&ctx, 0x77, sizeof ctx); /* the previous content does not matter */
    nacre_err err = nacre_context_key_layout(test_crypto(), params->cose_aead, &size, &align);
    if (err) assert_ok(nacre_context_key_layout(test_crypto(), 10, &size, &align)); /* the algorithm is refused */
    nacre_buf keys = { aligned_alloc(align, size), size };
    err = nacre_context_init(&ctx, test_crypto(), params, keys);
    if (err) assert_true(all_zero(&ctx));
    nacre_context_wipe(&ctx);
    assert_true(all_zero(&ctx));
    free(keys.ptr);
    return err;
}

static uint64_t window_words[NACRE_REPLAY_MAX / 64];

static void change(nacre_context_params *p, const char *name, bool good)
{
    if (!strcmp(name, "algorithm")) p->cose_aead = good ? 30 : 29;
    if (!strcmp(name, "negative algorithm")) p->cose_aead = good ? 10 : -10;
    if (!strcmp(name, "hash")) p->hash = good ? NACRE_SHA512 : (nacre_hash)3;
    if (!strcmp(name, "sender ID")) p->sender_id = test_fill(9, good ? 7 : 8);
    if (!strcmp(name, "recipient ID")) p->recipient_id = test_fill(9, good ? 7 : 8);
    if (!strcmp(name, "long sender ID")) p->sender_id = test_fill(9, good ? 7 : 65536 + 7);
    if (!strcmp(name, "IDs equal")) p->sender_id = test_hex(good ? "02" : "01"), p->recipient_id = test_hex("01");
    if (!strcmp(name, "IDs empty")) p->sender_id = good ? test_hex("00") : NACRE_ABSENT, p->recipient_id = test_hex("");
    if (!strcmp(name, "ID Context")) p->id_context = test_fill(9, good ? 255 : 256);
    if (!strcmp(name, "window")) p->window = good ? 1024 : 1025, p->window_words = window_words;
    if (!strcmp(name, "window memory")) p->window = 65, p->window_words = good ? window_words : NULL;
    if (!strcmp(name, "next number")) p->next_seq = NACRE_SEQ_MAX + (good ? 1 : 2);
    if (!strcmp(name, "short Echo")) p->echo = test_fill(9, good ? 8 : 7);
    if (!strcmp(name, "long Echo")) p->echo = test_fill(9, good ? 8 : 9);
    if (!strcmp(name, "empty Echo")) p->echo = good ? NACRE_ABSENT : test_hex("");
}

static void invalid_parameters_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        nacre_err err;
    } rows[] = {
        { "algorithm", NACRE_ERR_UNSUPPORTED },      { "negative algorithm", NACRE_ERR_UNSUPPORTED },
        { "hash", NACRE_ERR_UNSUPPORTED },           { "sender ID", NACRE_ERR_BAD_ARGUMENT },
        { "recipient ID", NACRE_ERR_BAD_ARGUMENT },  { "long sender ID", NACRE_ERR_BAD_ARGUMENT },
        { "IDs equal", NACRE_ERR_BAD_ARGUMENT },     { "IDs empty", NACRE_ERR_BAD_ARGUMENT },
        { "ID Context", NACRE_ERR_BAD_ARGUMENT },    { "window", NACRE_ERR_BAD_ARGUMENT },
        { "window memory", NACRE_ERR_BAD_ARGUMENT }, { "next number", NACRE_ERR_BAD_ARGUMENT },
        { "short Echo", NACRE_ERR_BAD_ARGUMENT },    { "long Echo", NACRE_ERR_BAD_ARGUMENT },
        { "empty Echo", NACRE_ERR_BAD_ARGUMENT },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_context_params bad = test_params(1, TEST_CLIENT), good = test_params(1, TEST_CLIENT);
        change(&bad, rows[i].name, false);
        change(&good, rows[i].name, true);
        assert_err_row(rows[i].name, init(&bad), rows[i].err);
        assert_err_row(rows[i].name, init(&good), NACRE_OK);
    }
}

/* RFC 8613 3.3: the longest ID is the nonce's length less 6, for every algorithm. */
static void ids_are_up_to_nonce_length_less_6(void **state)
{
    (void)state;
    const nacre_aead *aead;
    for (size_t i = 0; (aead = nacre_aead_at(i)) != NULL; i++)
        for (size_t len = 0; len <= 9; len++) {
            nacre_context_params p = test_params(1, TEST_CLIENT);
            p.cose_aead = aead->cose;
            p.sender_id = test_fill(0xff, len);
            p.recipient_id = test_hex("00");
            assert_err_row(aead->name, init(&p), len + 6 <= aead->nonce_len ? NACRE_OK : NACRE_ERR_BAD_ARGUMENT);
        }
}

static void key_buffers_are_checked_and_wiped(void **state)
{
    (void)state;
    nacre_context_params params = test_params(1, TEST_CLIENT);
    size_t size = 0, align = 0;
    assert_ok(nacre_context_key_layout(test_crypto(), 0, &size, &align)); /* 0 means 10 */
    assert_true(size > 0 && align > 0);
    uint8_t *buf = aligned_alloc(64, (size + 128) / 64 * 64);
    nacre_context ctx;
    assert_err(nacre_context_init(&ctx, test_crypto(), &params, (nacre_buf){ NULL, size }), NACRE_ERR_BAD_ARGUMENT);
    assert_true(all_zero(&ctx));
    if (align > 1)
        assert_err(nacre_context_init(&ctx, test_crypto(), &params, (nacre_buf){ buf + 1, size }),
                   NACRE_ERR_BAD_ARGUMENT);
    for (size_t cap = 0; cap < size; cap++) {
        assert_err(nacre_context_init(&ctx, test_crypto(), &params, (nacre_buf){ buf, cap }),
                   NACRE_ERR_BUFFER_TOO_SMALL);
        assert_true(all_zero(&ctx));
    }
    assert_ok(nacre_context_init(&ctx, test_crypto(), &params, (nacre_buf){ buf, size }));
    nacre_context_wipe(&ctx);
    for (size_t i = 0; i < size; i++) assert_int_equal(buf[i], 0); /* no prepared key stays */
    assert_true(all_zero(&ctx));
    nacre_context_wipe(&ctx); /* wiping twice is allowed */
    free(buf);
    size_t old_size = size, old_align = align;
    assert_err(nacre_context_key_layout(test_crypto(), 9, &size, &align), NACRE_ERR_UNSUPPORTED);
    assert_int_equal(size, old_size);
    assert_int_equal(align, old_align);
}

/* A provider that fails at its n-th call: no key stays, and prepared keys are released (checked by the sanitizer). */
static int calls_left;
static int prepared;

static nacre_err failing_hmac(const nacre_crypto *crypto, nacre_hash hash, nacre_bytes key, const nacre_bytes *parts,
                              size_t num_parts, uint8_t *mac)
{
    (void)crypto;
    if (calls_left-- == 0) return NACRE_ERR_CRYPTO;
    return test_crypto()->ops->hmac(test_crypto(), hash, key, parts, num_parts, mac);
}

static nacre_err failing_key_init(const nacre_crypto *crypto, const nacre_aead *aead, nacre_direction direction,
                                  void *key, const uint8_t *bytes)
{
    (void)crypto;
    if (calls_left-- == 0) return NACRE_ERR_NO_MEMORY;
    prepared++;
    return test_crypto()->ops->key_init(test_crypto(), aead, direction, key, bytes);
}

static void counted_release(const nacre_aead *aead, void *key, size_t size)
{
    prepared--;
    test_crypto()->ops->key_release(aead, key, size);
}

static void a_failing_provider_call_leaves_no_keys(void **state)
{
    (void)state;
    nacre_crypto_ops ops = *test_crypto()->ops;
    nacre_crypto failing = { &ops, NULL };
    ops.hmac = failing_hmac;
    ops.key_init = failing_key_init;
    ops.key_release = counted_release;
    nacre_context_params params = test_params(3, TEST_CLIENT);
    size_t size, align;
    assert_ok(nacre_context_key_layout(&failing, 10, &size, &align));
    uint8_t *buf = aligned_alloc(align, size);
    nacre_context ctx;
    nacre_err err = NACRE_ERR_CRYPTO;
    int calls = 0;
    for (; err; calls++) {
        memset(&ctx, 0x77, sizeof ctx);
        prepared = 0;
        calls_left = calls;
        err = nacre_context_init(&ctx, &failing, &params, (nacre_buf){ buf, size });
        if (!err) break;
        assert_true(err == NACRE_ERR_CRYPTO || err == NACRE_ERR_NO_MEMORY);
        assert_true(all_zero(&ctx));
        assert_int_equal(prepared, 0);
    }
    assert_true(calls >= 6); /* an HMAC to extract, at least one for each of three values, and two keys */
    assert_int_equal(prepared, 2);
    nacre_context_wipe(&ctx);
    assert_int_equal(prepared, 0);
    free(buf);
}

/* RFC 8613 C.1.1: the keys of the client. */
static nacre_derived_keys client_keys(void)
{
    return (nacre_derived_keys){ .sender_key = test_hex("f0910ed7295e6ad4b54fc793154302ff"),
                                 .recipient_key = test_hex("ffb14e093c94c9cac9471648b4f98710"),
                                 .common_iv = test_hex("4622d4dd6d944168eefb54987c") };
}

static void derived_keys_give_the_context_of_their_secret(void **state)
{
    (void)state;
    nacre_context_params params = test_params(1, TEST_CLIENT);
    const nacre_derived_keys keys = client_keys();
    params.master_secret.bytes = params.master_salt = NACRE_ABSENT;
    params.next_seq = 77;
    size_t size, align;
    assert_ok(nacre_context_key_layout(test_crypto(), 10, &size, &align));
    uint8_t *buf = aligned_alloc(align, size), protected_buf[256], plain_buf[256];
    nacre_context ctx, *of_secret = test_context_of(1, TEST_CLIENT), *server = test_context_of(1, TEST_SERVER);
    assert_ok(nacre_context_init_derived(&ctx, test_crypto(), &params, &keys, (nacre_buf){ buf, size }));
    assert_int_equal(nacre_context_next_seq(&ctx), 77);
    assert_true(nacre_context_same_sender_key(&ctx, of_secret) && nacre_context_same_recipient_key(&ctx, of_secret));
    const nacre_message plain = { .code = NACRE_GET, .payload = NACRE_STR("here") };
    nacre_request_id id, server_id;
    nacre_bytes datagram;
    nacre_message outer, inner;
    assert_ok(nacre_protect_request(&ctx, test_crypto(), &id, &datagram, NACRE_BUF(protected_buf), &plain, NULL));
    assert_ok(nacre_message_parse(&outer, datagram));
    assert_ok(nacre_unprotect_request(server, test_crypto(), &server_id, &inner, NACRE_BUF(plain_buf), &outer));
    assert_bytes(inner.payload, plain.payload);
    nacre_context_wipe(&ctx);
    free(buf);
}

static void derived_keys_of_another_length_are_refused(void **state)
{
    (void)state;
    const nacre_context_params params = test_params(1, TEST_CLIENT);
    size_t size, align;
    assert_ok(nacre_context_key_layout(test_crypto(), 10, &size, &align));
    uint8_t *buf = aligned_alloc(align, size);
    for (int row = 0; row <= 6; row++) {
        nacre_derived_keys keys = client_keys();
        nacre_bytes *const part[] = { &keys.sender_key, &keys.recipient_key, &keys.common_iv };
        if (row > 0 && row <= 3) part[row - 1]->len--;
        if (row > 3) *part[row - 4] = NACRE_ABSENT;
        nacre_context ctx;
        memset(&ctx, 0x77, sizeof ctx);
        const nacre_err err = nacre_context_init_derived(&ctx, test_crypto(), &params, &keys, (nacre_buf){ buf, size });
        assert_err(err, row == 0 ? NACRE_OK : NACRE_ERR_BAD_ARGUMENT);
        if (row > 0) assert_true(all_zero(&ctx));
        nacre_context_wipe(&ctx);
    }
    free(buf);
}

static void a_provider_that_fails_leaves_no_derived_key(void **state)
{
    (void)state;
    nacre_crypto_ops ops = *test_crypto()->ops;
    nacre_crypto failing = { &ops, NULL };
    ops.key_init = failing_key_init;
    ops.key_release = counted_release;
    const nacre_context_params params = test_params(1, TEST_CLIENT);
    const nacre_derived_keys keys = client_keys();
    size_t size, align;
    assert_ok(nacre_context_key_layout(&failing, 10, &size, &align));
    uint8_t *buf = aligned_alloc(align, size);
    for (int calls = 0; calls <= 2; calls++) {
        nacre_context ctx;
        prepared = 0;
        calls_left = calls;
        const nacre_err err = nacre_context_init_derived(&ctx, &failing, &params, &keys, (nacre_buf){ buf, size });
        assert_true(calls < 2 ? err != NACRE_OK && all_zero(&ctx) : err == NACRE_OK);
        assert_int_equal(prepared, calls < 2 ? 0 : 2);
        nacre_context_wipe(&ctx);
    }
    assert_int_equal(prepared, 0);
    free(buf);
}

static size_t huge;

static bool huge_layout(const nacre_aead *aead, size_t *size, size_t *align)
{
    bool known = test_crypto()->ops->key_layout(aead, size, align);
    *size = huge;
    return known;
}

/* A context stores the offset of its second key in 16 bits. */
static void keys_from_64_kib_are_unsupported(void **state)
{
    (void)state;
    nacre_crypto_ops ops = *test_crypto()->ops;
    nacre_crypto with_huge = { &ops, test_crypto()->instance };
    ops.key_layout = huge_layout;
    const nacre_context_params params = test_params(1, TEST_CLIENT);
    for (huge = 65536 - 16; huge <= 65536; huge += 16) {
        size_t size, align;
        nacre_context ctx;
        const nacre_err expected = huge < 65536 ? NACRE_OK : NACRE_ERR_UNSUPPORTED;
        const nacre_buf keys = { aligned_alloc(16, 2 * huge), 2 * huge };
        assert_err(nacre_context_key_layout(&with_huge, 10, &size, &align), expected);
        assert_err(nacre_context_init(&ctx, &with_huge, &params, keys), expected);
        nacre_context_wipe(&ctx);
        free(keys.ptr);
    }
}

static void a_provider_whose_table_is_of_another_version_is_refused(void **state)
{
    (void)state;
    const nacre_context_params params = test_params(1, TEST_CLIENT);
    for (int row = 0; row <= 2; row++) {
        nacre_crypto_ops ops = *test_crypto()->ops;
        const nacre_crypto crypto = { &ops, test_crypto()->instance };
        uint8_t buf[1];
        size_t size, align;
        nacre_context ctx;
        if (row == 1) ops.version++;
        if (row == 2) ops.size--;
        const nacre_err expected = row == 0 ? NACRE_OK : NACRE_ERR_UNSUPPORTED;
        assert_err(nacre_context_key_layout(&crypto, 10, &size, &align), expected);
        if (row > 0) assert_err(nacre_context_init(&ctx, &crypto, &params, NACRE_BUF(buf)), NACRE_ERR_UNSUPPORTED);
    }
}

static void set_replay_replaces_the_window(void **state)
{
    (void)state;
    nacre_context *ctx = test_context_of(1, TEST_SERVER);
    assert_ok(nacre_context_set_replay(ctx, true, 100, (const uint8_t[]){ 1 }, 1));
    assert_err(nacre_replay_check(nacre_context_replay(ctx), 100), NACRE_ERR_REPLAY);
    assert_ok(nacre_replay_check(nacre_context_replay(ctx), 101));
    const nacre_context *before = test_snapshot(ctx);
    assert_err(nacre_context_set_replay(ctx, true, 0, (const uint8_t[]){ 0, 0, 0, 0, 1 }, 5), NACRE_ERR_BAD_ARGUMENT);
    assert_true(test_same(before, ctx));
    assert_ok(nacre_context_set_replay(ctx, false, 0, NULL, 0));
    assert_err(nacre_replay_check(nacre_context_replay(ctx), 101), NACRE_ERR_REPLAY_ECHO);
}

/* ---- Contexts with one key: two counters, or two windows, under it ---- */

typedef struct twin {
    const char *what;
    bool same_sender, same_recipient;
    nacre_context_params params;
} twin;

/* Each row differs from the first context in the one thing that it names. */
static size_t twins(twin rows[16])
{
    const nacre_context_params first = test_params(3, TEST_CLIENT);
    size_t num = 0;
    rows[num++] = (twin){ "nothing", true, true, first };
    rows[num] = (twin){ "window and next number", true, true, first };
    rows[num].params.window = 64;
    rows[num++].params.next_seq = 5;
    rows[num] = (twin){ "salt, by zeros that HMAC puts there too", true, true, first };
    rows[num++].params.master_salt = test_hex("9e7ca922237863400000");
    rows[num] = (twin){ "Recipient ID", true, false, first };
    rows[num++].params.recipient_id = test_hex("02");
    rows[num] = (twin){ "Sender ID", false, true, first };
    rows[num++].params.sender_id = test_hex("02");
    rows[num++] = (twin){ "side", false, false, test_params(3, TEST_SERVER) };
    rows[num] = (twin){ "secret", false, false, first };
    rows[num++].params.master_secret.bytes = test_hex("0102030405060708090a0b0c0d0e0f11");
    rows[num] = (twin){ "salt", false, false, first };
    rows[num++].params.master_salt = NACRE_ABSENT;
    rows[num] = (twin){ "ID Context", false, false, first };
    rows[num++].params.id_context = test_hex("37cbf3210017a2d4");
    rows[num] = (twin){ "ID Context, absent", false, false, first };
    rows[num++].params.id_context = NACRE_ABSENT;
    rows[num] = (twin){ "ID Context, empty", false, false, first };
    rows[num++].params.id_context = test_hex("");
    rows[num] = (twin){ "algorithm", false, false, first };
    rows[num++].params.cose_aead = 30; /* AES-CCM-16-128-128 */
    rows[num] = (twin){ "hash", false, false, first };
    rows[num++].params.hash = NACRE_SHA512;
    return num;
}

/* RFC 8613 3.3: two counters under one Sender Key, or two windows under one Recipient Key, are detected by comparing
 * keys. */
static void one_key_in_two_contexts_is_detected(void **state)
{
    (void)state;
    twin rows[16];
    const size_t num = twins(rows);
    const nacre_context *first = test_context_of(3, TEST_CLIENT);
    for (size_t i = 0; i < num; i++) {
        const nacre_context *other = test_context(&rows[i].params);
        if (nacre_context_same_sender_key(first, other) != rows[i].same_sender ||
            nacre_context_same_sender_key(other, first) != rows[i].same_sender)
            fail_msg("%s: Sender Key", rows[i].what);
        if (nacre_context_same_recipient_key(first, other) != rows[i].same_recipient ||
            nacre_context_same_recipient_key(other, first) != rows[i].same_recipient)
            fail_msg("%s: Recipient Key", rows[i].what);
    }
}

/* A salt longer than a block of the hash, and that salt's hash, are one HMAC key: both derive the same keys. */
static void one_key_from_two_spellings_of_a_salt_is_detected(void **state)
{
    (void)state;
    nacre_context_params long_salt = test_params(1, TEST_CLIENT), hashed = long_salt;
    long_salt.master_salt = test_fill(0x61, 65); /* its SHA-256 */
    hashed.master_salt = test_hex("635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0");
    assert_true(nacre_context_same_sender_key(test_context(&long_salt), test_context(&hashed)));
}

/* The shortest nonces have 7 bytes, which allows IDs of one byte: that is enough to tell contexts apart. */
static void contexts_of_every_algorithm_are_told_apart(void **state)
{
    (void)state;
    const nacre_aead *aead;
    for (size_t i = 0; (aead = nacre_aead_at(i)) != NULL; i++) {
        nacre_context_params one = test_params(1, TEST_CLIENT), other = one;
        one.cose_aead = other.cose_aead = aead->cose;
        other.master_salt = test_hex("00");
        assert_true(nacre_context_same_sender_key(test_context(&one), test_context(&one)));
        assert_true(nacre_context_same_recipient_key(test_context(&one), test_context(&one)));
        assert_false(nacre_context_same_sender_key(test_context(&one), test_context(&other)));
        assert_false(nacre_context_same_recipient_key(test_context(&one), test_context(&other)));
    }
}

static void a_context_without_keys_equals_no_other(void **state)
{
    (void)state;
    const nacre_context none = { .aead = NULL }, *ctx = test_context_of(1, TEST_CLIENT);
    assert_true(nacre_context_same_sender_key(ctx, ctx));
    assert_true(nacre_context_same_recipient_key(ctx, ctx));
    assert_false(nacre_context_same_sender_key(&none, &none));
    assert_false(nacre_context_same_recipient_key(&none, &none));
    assert_false(nacre_context_same_sender_key(&none, ctx));
    assert_false(nacre_context_same_recipient_key(ctx, &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(common_ivs_and_queries_match_the_rfc),
        TEST(numbers_start_at_0_with_an_empty_window),
        TEST(info_is_encoded_in_shortest_form),
        TEST(absent_and_empty_differ_for_the_id_context_only),
        TEST(invalid_parameters_are_refused),
        TEST(ids_are_up_to_nonce_length_less_6),
        TEST(key_buffers_are_checked_and_wiped),
        TEST(a_failing_provider_call_leaves_no_keys),
        TEST(derived_keys_give_the_context_of_their_secret),
        TEST(derived_keys_of_another_length_are_refused),
        TEST(a_provider_that_fails_leaves_no_derived_key),
        TEST(keys_from_64_kib_are_unsupported),
        TEST(a_provider_whose_table_is_of_another_version_is_refused),
        TEST(set_replay_replaces_the_window),
        TEST(one_key_in_two_contexts_is_detected),
        TEST(one_key_from_two_spellings_of_a_salt_is_detected),
        TEST(contexts_of_every_algorithm_are_told_apart),
        TEST(a_context_without_keys_equals_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
