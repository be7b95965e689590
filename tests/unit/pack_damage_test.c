/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* pack_damage_test: with any byte of a pack damaged, or truncated to any length, the file is refused and unchanged, or
 * opens in its true state or a pessimistic one: never with a lower number, never with another known window. */
#include <nacre/pack.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "packs.h"
#include "scratch.h"
#include "store/pack/pack_format.h"

#if defined(__SANITIZE_ADDRESS__)
#define STEP 7 /* distance in bytes */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STEP 7
#endif
#endif
#ifndef STEP
#define STEP 1
#endif

enum { NUM = 3, PAGE = NACRE__PACK_PAGE, SKIP = 65536 };

/* The file of a few contexts: head, two extents, the segment's head, records, states twice. */
enum { HEAD, EXTENT_0, EXTENT_1, SEGMENT, RECORDS, STATES_0, STATES_1, NUM_PAGES };

static char *scratch, path[4096];
static nacre_bytes whole;
static uint64_t next[NUM];

static int set_up(void **state)
{
    (void)state;
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.pack"));
    pack_make(path, NUM);
    nacre_pack *pack = pack_open(path);
    for (size_t i = 0; i < NUM; i++) {
        nacre_directory_info info;
        pack_describe(&info, i);
        nacre_context *ctx = nacre_pack_context_at(pack, i), *peer = pack_peer(&info);
        nacre_store store = nacre_pack_store(pack, ctx);
        for (size_t n = 0; n < 5 * i; n++) (void)pack_send_one(peer, ctx, &store);
        assert_ok(pack_request_one(peer, ctx, &store, NULL));
        next[i] = nacre_context_next_seq(ctx);
    }
    pack_close(pack);
    whole = pack_file(path);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(scratch);
    return test_release(state);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

typedef enum verdict { REFUSED, EXACT, PESSIMISTIC } verdict;

static nacre_bytes flipped(size_t at, uint8_t mask)
{
    static uint8_t bytes[NUM_PAGES * PAGE];
    memcpy(bytes, whole.ptr, whole.len);
    bytes[at] ^= mask;
    return nacre_bytes_of(bytes, whole.len);
}

static bool file_is(nacre_bytes bytes)
{
    static uint8_t found[NUM_PAGES * PAGE + 1];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(found, 1, sizeof found, file);
    (void)fclose(file);
    return len == bytes.len && memcmp(found, bytes.ptr, len) == 0;
}

static verdict judge(nacre_pack *pack)
{
    verdict v = EXACT;
    assert_int_equal(nacre_pack_num(pack), NUM);
    for (size_t i = 0; i < NUM; i++) {
        const nacre_context *ctx = nacre_pack_context_at(pack, i);
        assert_non_null(ctx);
        const nacre_replay *window = nacre_context_replay(ctx);
        if (window->known && nacre_context_next_seq(ctx) == next[i]) {
            assert_err(nacre_replay_check(window, 0), NACRE_ERR_REPLAY);
            assert_err(nacre_replay_check(window, 1), NACRE_OK);
            continue;
        }
        assert_true(nacre_context_next_seq(ctx) >= next[i] && nacre_context_next_seq(ctx) >= SKIP);
        assert_false(window->known);
        v = PESSIMISTIC;
    }
    return v;
}

static verdict try_out(nacre_bytes bytes, nacre_err *err)
{
    nacre_pack *pack = NULL;
    nacre_detail why = { "" };
    pack_put_file(path, bytes);
    *err = nacre_pack_open(&pack, path, test_crypto(), &why);
    if (*err != NACRE_OK) {
        assert_true(*err == NACRE_ERR_BAD_CONTEXT || *err == NACRE_ERR_UNSUPPORTED);
        assert_non_null(strstr(why.text, path)); /* it names the file */
        assert_true(strlen(why.text) > strlen(path) + 8);
        assert_true(file_is(bytes));
        return REFUSED;
    }
    verdict v = judge(pack);
    pack_close(pack);
    pack = pack_open(path); /* it is repaired, with the same content */
    assert_int_equal(judge(pack), v);
    pack_close(pack);
    return v;
}

static size_t records_end(void)
{
    nacre__shape shape;
    nacre__pack_id id;
    memcpy(id.bytes, whole.ptr + 16, sizeof id.bytes);
    assert_true(nacre__shape_read(&shape, whole.ptr + SEGMENT * PAGE, &id, SEGMENT));
    return RECORDS * PAGE + NUM * shape.record_size;
}

static verdict expected(size_t at)
{
    size_t page = at / PAGE;
    if (page == HEAD || page == SEGMENT) return REFUSED;
    if (page == RECORDS) return at < records_end() ? REFUSED : EXACT;
    return page >= STATES_0 ? PESSIMISTIC : EXACT;
}

static void any_damaged_byte_is_detected_or_harmless(void **state)
{
    (void)state;
    unsigned seen[3] = { 0, 0, 0 };
    assert_int_equal(whole.len, NUM_PAGES * PAGE);
    nacre_err err;
    assert_int_equal(try_out(whole, &err), EXACT);
    for (size_t at = 0; at < whole.len; at += STEP) {
        uint8_t mask = (uint8_t)(at % 3 == 0 ? 0xffu : 1u << at % 8);
        verdict v = try_out(flipped(at, mask), &err);
        if (v != expected(at)) fail_msg("byte %zu: verdict %d, expected %d", at, (int)v, (int)expected(at));
        seen[v]++;
    }
    print_message("           %u refused, %u exact, %u pessimistic\n", seen[REFUSED], seen[EXACT], seen[PESSIMISTIC]);
}

/* Both copies damaged: the pack is refused. */
static void damage_to_both_copies_is_refused(void **state)
{
    (void)state;
    static const size_t pairs[][2] = { { EXTENT_0, EXTENT_1 }, { STATES_0, STATES_1 } };
    nacre_err err;
    for (size_t i = 0; i < COUNT(pairs); i++)
        for (size_t at = 0; at < PAGE; at += 41) {
            uint8_t *bytes = test_alloc(whole.len);
            memcpy(bytes, whole.ptr, whole.len);
            bytes[pairs[i][0] * PAGE + at] ^= 1;
            assert_int_not_equal(try_out(nacre_bytes_of(bytes, whole.len), &err), REFUSED);
            memcpy(bytes, whole.ptr, whole.len);
            bytes[pairs[i][0] * PAGE + at] ^= 1;
            bytes[pairs[i][1] * PAGE + at] ^= 1;
            assert_int_equal(try_out(nacre_bytes_of(bytes, whole.len), &err), REFUSED);
        }
}

static void any_truncation_is_detected_or_harmless(void **state)
{
    (void)state;
    nacre_err err;
    for (size_t len = 0; len < whole.len; len += STEP)
        assert_int_equal(try_out(nacre_bytes_of(whole.ptr, len), &err), REFUSED);
    uint8_t *longer = test_alloc(whole.len + PAGE); /* possible remains of an interrupted addition */
    memcpy(longer, whole.ptr, whole.len);
    memset(longer + whole.len, 0xee, PAGE);
    nacre_pack *pack = NULL;
    pack_put_file(path, nacre_bytes_of(longer, whole.len + PAGE));
    pack = pack_open(path);
    assert_int_equal(judge(pack), EXACT);
    pack_close(pack);
}

/* A page of another pack, or of another position, is not used. */
static void pages_of_others_are_not_used(void **state)
{
    (void)state;
    nacre_err err;
    uint8_t *bytes = test_alloc(whole.len);
    for (size_t from = EXTENT_0; from < NUM_PAGES; from++)
        for (size_t to = EXTENT_0; to < NUM_PAGES; to++) {
            if (from == to) continue;
            memcpy(bytes, whole.ptr, whole.len);
            memcpy(bytes + to * PAGE, whole.ptr + from * PAGE, PAGE);
            verdict v = try_out(nacre_bytes_of(bytes, whole.len), &err);
            assert_int_equal(v, expected(to * PAGE));
        }
    char other[4096];
    strcpy(other, scratch_path(scratch, "other.pack"));
    pack_make(other, NUM);
    nacre_bytes foreign = pack_file(other);
    for (size_t page = EXTENT_0; page < NUM_PAGES; page++) {
        memcpy(bytes, whole.ptr, whole.len);
        memcpy(bytes + page * PAGE, foreign.ptr + page * PAGE, PAGE);
        assert_int_equal(try_out(nacre_bytes_of(bytes, whole.len), &err), expected(page * PAGE));
    }
}

/* A head with a valid checksum from a future version. */
static void future_versions_are_refused(void **state)
{
    (void)state;
    static const nacre__pack_id nobody;
    nacre_err err;
    for (uint8_t version = 0; version < 4; version++) {
        uint8_t *bytes = test_alloc(whole.len);
        memcpy(bytes, whole.ptr, whole.len);
        bytes[8] = version;
        nacre__page_seal(bytes, &nobody, 0);
        verdict v = try_out(nacre_bytes_of(bytes, whole.len), &err);
        assert_int_equal(v, version == NACRE__PACK_VERSION ? EXACT : REFUSED);
        if (v == REFUSED) assert_err(err, NACRE_ERR_UNSUPPORTED);
    }
}

/* Values that no writer produces, under valid checksums, are refused, or ignored where nothing depends on them. */
static void invalid_values_are_refused_or_ignored(void **state)
{
    (void)state;
    nacre__pack_id id;
    nacre_err err;
    unsigned refused = 0;
    memcpy(id.bytes, whole.ptr + 16, sizeof id.bytes);
    for (size_t page = EXTENT_0; page < NUM_PAGES; page++)
        for (size_t at = 8; page != RECORDS && at < 80; at++) {
            uint8_t *bytes = test_alloc(whole.len);
            memcpy(bytes, whole.ptr, whole.len);
            bytes[page * PAGE + at] ^= 0xff;
            nacre__page_seal(bytes + page * PAGE, &id, page);
            pack_put_file(path, nacre_bytes_of(bytes, whole.len));
            nacre_pack *pack = NULL;
            err = nacre_pack_open(&pack, path, test_crypto(), NULL);
            if (err == NACRE_OK) pack_close(pack);
            else refused++;
        }
    assert_true(refused > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(any_damaged_byte_is_detected_or_harmless),
        ROW(damage_to_both_copies_is_refused),
        ROW(any_truncation_is_detected_or_harmless),
        ROW(pages_of_others_are_not_used),
        ROW(future_versions_are_refused),
        ROW(invalid_values_are_refused_or_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
