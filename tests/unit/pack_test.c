/* SPDX-License-Identifier: MIT */
/* Labels: cross slow */
/* pack_test: contexts are read back as they were added, state is durable before use and exact after a clean end, and
 * one process has a pack open. */
#include <nacre/pack.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "context/fields.h"
#include "one_identity.h"
#include "packs.h"
#include "scratch.h"

enum { MANY = 3000 };

static char *scratch, path[4096], copy[4096];

static int set_up(void **state)
{
    (void)state;
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.pack"));
    strcpy(copy, scratch_path(scratch, "copy.pack"));
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(scratch);
    return test_release(state);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static unsigned num_syncs;

/* Replaces the C library's. */
int fdatasync(int fd)
{
    (void)fd;
    num_syncs++;
    return 0;
}

/* The pack as on disk if the process died now: the open file's bytes, in a file that is not open. */
static nacre_pack *open_as_after_a_crash(void)
{
    pack_put_file(copy, pack_file(path));
    return pack_open(copy);
}

static nacre_err give(void *user, nacre_directory_info *out, size_t index, nacre_detail *why)
{
    (void)index, (void)why;
    *out = *(const nacre_directory_info *)user;
    return NACRE_OK;
}

static void check_same_keys(nacre_context *ctx, size_t index)
{
    nacre_directory_info info;
    pack_describe(&info, index);
    nacre_context *peer = pack_peer(&info);
    assert_bytes(nacre_context_recipient_id(ctx), nacre_bytes_of(info.recipient_id, info.recipient_id_len));
    assert_bytes(nacre_context_common_iv(ctx), nacre_context_common_iv(peer));
}

/* ---- Contexts are read back ---- */

static void any_number_of_contexts_is_read_back(void **state)
{
    (void)state;
    static const size_t numbers[] = { 0, 1, 2, 31, 32, 33, 168, 169, 170, 1000, MANY };
    for (size_t n = 0; n < COUNT(numbers); n++) {
        struct stat st;
        (void)unlink(path);
        pack_make(path, numbers[n]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        nacre_pack *pack = pack_open(path);
        assert_int_equal(nacre_pack_num(pack), numbers[n]);
        for (size_t i = 0; i < numbers[n]; i++) check_same_keys(nacre_pack_context_at(pack, i), i);
        assert_null(nacre_pack_context_at(pack, numbers[n]));
        assert_null(nacre_pack_context_at(pack, SIZE_MAX));
        pack_close(pack);
    }
}

static void contexts_added_one_by_one_are_read_back(void **state)
{
    (void)state;
    pack_make(path, 0);
    nacre_pack *pack = pack_open(path);
    nacre_context *first = NULL;
    for (size_t i = 0; i < 400; i++) {
        assert_ok(nacre_pack_add(pack, NULL, 1, pack_source, &i, NULL));
        if (i == 0) first = nacre_pack_context_at(pack, 0);
    }
    assert_ptr_equal(nacre_pack_context_at(pack, 0), first);
    pack_close(pack);
    pack = pack_open(path);
    assert_int_equal(nacre_pack_num(pack), 400);
    for (size_t i = 0; i < 400; i++) check_same_keys(nacre_pack_context_at(pack, i), i);
    pack_close(pack);
}

/* Contexts of all algorithms, hashes, windows and lengths. */
static void describe_shape(nacre_directory_info *info, size_t index)
{
    static const uint16_t windows[] = { 1, 32, 63, 64, 65, 129, 1000, 1024 };
    size_t num_aeads = 0;
    while (nacre_aead_at(num_aeads) != NULL) num_aeads++;
    pack_describe(info, index);
    info->aead = nacre_aead_at(index % num_aeads);
    info->hash = (nacre_hash)(index % 3);
    info->window = windows[index % COUNT(windows)];
    info->recipient_id_len = 1;
    info->sender_id_len = index % 2;
    if (info->recipient_id[0] == 1) info->recipient_id[0] = 0xff;
    info->has_id_context = index % 4 != 0;
    info->id_context_len = index % 4 == 1 ? 0 : index % 4 == 2 ? 8 : info->has_id_context ? 255 : 0;
    info->secret_len = index % 5 == 4 ? 256 : 16 + index % 16;
    info->salt_len = index % 5 == 3 ? 256 : index % 9;
}

static nacre_err shape_source(void *user, nacre_directory_info *info, size_t index, nacre_detail *why)
{
    (void)user, (void)why;
    describe_shape(info, index);
    return NACRE_OK;
}

static void contexts_of_any_shape_are_read_back(void **state)
{
    (void)state;
    enum { NUM = 120 };
    pack_make(path, 0);
    nacre_pack *pack = pack_open(path);
    assert_ok(nacre_pack_add(pack, NULL, NUM, shape_source, NULL, NULL));
    for (int opening = 0; opening < 2; opening++) {
        for (size_t i = 0; i < NUM; i++) {
            nacre_directory_info info;
            describe_shape(&info, i);
            nacre_context *ctx = nacre_pack_context_at(pack, i), *peer = pack_peer(&info);
            nacre_store store = nacre_pack_store(pack, ctx);
            peer->next = nacre__replay_index(nacre_context_replay(ctx)) + 2000 * (uint64_t)opening;
            assert_ok(pack_request_one(peer, ctx, &store, NULL));
            (void)pack_send_one(peer, ctx, &store);
            assert_bytes(nacre_context_id_context(ctx), nacre_context_id_context(peer));
        }
        pack_close(pack);
        pack = pack_open(path);
    }
    pack_close(pack);
}

/* ---- State ---- */

static void numbers_are_durable_before_use(void **state)
{
    (void)state;
    pack_make(path, 3);
    nacre_pack *pack = pack_open(path);
    nacre_directory_info info;
    pack_describe(&info, 1);
    nacre_context *ctx = nacre_pack_context_at(pack, 1), *peer = pack_peer(&info);
    nacre_store store = nacre_pack_store(pack, ctx);
    uint64_t last = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t number = pack_send_one(peer, ctx, &store);
        assert_true(i == 0 || number == last + 1);
        last = number;
        if (i % 10 != 0) continue;
        nacre_pack *crashed = open_as_after_a_crash(); /* RFC 8613 B.1.1 */
        assert_true(nacre_context_next_seq(nacre_pack_context_at(crashed, 1)) > number);
        assert_int_equal(nacre_context_next_seq(nacre_pack_context_at(crashed, 0)), 0);
        pack_close(crashed);
    }
    pack_close(pack);
    pack = pack_open(path);
    assert_int_equal(nacre_context_next_seq(nacre_pack_context_at(pack, 1)), last + 1);
    pack_close(pack);
}

static void windows_are_lost_before_use_and_exact_after_closing(void **state)
{
    (void)state;
    pack_make(path, 2);
    nacre_directory_info info;
    pack_describe(&info, 0);
    nacre_context *peer = pack_peer(&info);
    uint64_t seed = 7;
    bool seen[300] = { false };
    for (int life = 0; life < 20; life++) {
        nacre_pack *pack = pack_open(path);
        nacre_context *ctx = nacre_pack_context_at(pack, 0);
        nacre_store store = nacre_pack_store(pack, ctx);
        assert_true(nacre_context_replay(ctx)->known);
        for (int i = 0; i < 5; i++) {
            uint64_t number = (uint64_t)life * 10 + test_random(&seed) % 30;
            bool echo = true,
                 fresh = !seen[number] && nacre_replay_check(nacre_context_replay(ctx), number) == NACRE_OK;
            peer->next = number;
            nacre_err err = pack_request_one(peer, ctx, &store, &echo);
            assert_err(err, fresh ? NACRE_OK : NACRE_ERR_REPLAY);
            assert_false(echo);
            if (err == NACRE_OK) {
                seen[number] = true;
                nacre_pack *crashed = open_as_after_a_crash(); /* RFC 8613 B.1.2 */
                assert_false(nacre_context_replay(nacre_pack_context_at(crashed, 0))->known);
                assert_true(nacre_context_replay(nacre_pack_context_at(crashed, 1))->known);
                pack_close(crashed);
            }
        }
        uint64_t index = 0;
        uint8_t bits[4], again[4];
        assert_true(nacre_replay_export(nacre_context_replay(ctx), &index, bits));
        pack_close(pack);
        pack = pack_open(path);
        uint64_t index_again = 0;
        assert_true(nacre_replay_export(nacre_context_replay(nacre_pack_context_at(pack, 0)), &index_again, again));
        assert_int_equal(index, index_again);
        assert_memory_equal(bits, again, sizeof bits);
        pack_close(pack);
    }
}

static void after_a_crash_an_echo_is_required(void **state)
{
    (void)state;
    bool echo;
    pack_make(path, 1);
    nacre_directory_info info;
    pack_describe(&info, 0);
    nacre_context *peer = pack_peer(&info);
    nacre_pack *pack = pack_open(path);
    nacre_store store = nacre_pack_store(pack, nacre_pack_context_at(pack, 0));
    assert_ok(pack_request_one(peer, nacre_pack_context_at(pack, 0), &store, &echo));
    assert_false(echo);
    nacre_pack *crashed = open_as_after_a_crash();
    store = nacre_pack_store(crashed, nacre_pack_context_at(crashed, 0));
    assert_ok(pack_request_one(peer, nacre_pack_context_at(crashed, 0), &store, &echo));
    assert_true(echo);
    assert_ok(pack_request_one(peer, nacre_pack_context_at(crashed, 0), &store, &echo));
    assert_false(echo);
    pack_close(crashed);
    pack_close(pack);
}

static void a_state_is_added_with_its_context(void **state)
{
    (void)state;
    pack_make(path, 0);
    nacre_pack *pack = pack_open(path);
    nacre_directory_info info;
    pack_describe(&info, 0);
    info.next_to_send = NACRE_SEQ_MAX;
    info.window_index = 1000;
    info.window_bits[0] = 5;
    assert_ok(nacre_pack_add(pack, NULL, 1, give, &info, NULL));
    for (int opening = 0; opening < 2; opening++) {
        const nacre_context *ctx = nacre_pack_context_at(pack, 0);
        assert_int_equal(nacre_context_next_seq(ctx), NACRE_SEQ_MAX);
        assert_err(nacre_replay_check(nacre_context_replay(ctx), 1000), NACRE_ERR_REPLAY);
        assert_err(nacre_replay_check(nacre_context_replay(ctx), 1001), NACRE_OK);
        assert_err(nacre_replay_check(nacre_context_replay(ctx), 1002), NACRE_ERR_REPLAY);
        pack_close(pack);
        pack = pack_open(path);
    }
    pack_close(pack);
}

/* ---- Many at once ---- */

struct told {
    size_t num;
    nacre_err err;
};

static void on_commit(void *user, nacre_context *ctx, nacre_err err)
{
    struct told *t = user;
    if (err == NACRE_OK) assert_false(nacre_context_needs(ctx).blocked);
    t->num++;
    t->err = err;
}

static void one_commit_serves_many_requests(void **state)
{
    (void)state;
    struct told told = { 0, NACRE_ERR_STALE };
    pack_make(path, MANY);
    nacre_pack *pack = pack_open(path);
    assert_ok(nacre_pack_commit(pack, on_commit, &told, NULL));
    for (size_t i = 0; i < MANY; i += 3)
        assert_err(nacre_pack_request(pack, nacre_pack_context_at(pack, i), NULL), NACRE_ERR_NOT_YET);
    assert_int_equal(told.num, 0);
    assert_true(nacre_context_needs(nacre_pack_context_at(pack, 0)).blocked);
    nacre_bytes before = pack_file(path);
    pack_put_file(copy, before);
    nacre_pack *crashed = pack_open(copy);
    assert_int_equal(nacre_context_next_seq(nacre_pack_context_at(crashed, 0)), 0);
    pack_close(crashed);
    num_syncs = 0;
    assert_ok(nacre_pack_commit(pack, on_commit, &told, NULL));
    /* The first time, the pages and the extent that were read are synced first, and both copies of the extent record
     * the file if the system has birth times. */
    assert_int_equal(num_syncs, ONE_FS != 0 ? 5 : 2);
    assert_int_equal(told.num, MANY / 3);
    assert_ok(told.err);
    crashed = open_as_after_a_crash();
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(nacre_context_next_seq(nacre_pack_context_at(crashed, i)), i % 3 == 0 ? 10 : 0);
    pack_close(crashed);
    assert_ok(nacre_pack_request(pack, nacre_pack_context_at(pack, 0), NULL)); /* nothing to persist any more */
    for (size_t i = 0; i < MANY; i += 3) {
        nacre_context *ctx = nacre_pack_context_at(pack, i);
        ctx->next = 10, ctx->in_hand = 0;
        assert_err(nacre_pack_request(pack, ctx, NULL), NACRE_ERR_NOT_YET);
    }
    num_syncs = 0;
    assert_ok(nacre_pack_commit(pack, on_commit, &told, NULL));
    assert_int_equal(num_syncs, 1);
    nacre_context *other = test_context_of(1, TEST_SERVER);
    assert_err(nacre_pack_request(pack, other, NULL), NACRE_ERR_BAD_ARGUMENT);
    pack_close(pack);
}

/* ---- Adding, removing ---- */

static void a_context_is_added_once(void **state)
{
    (void)state;
    size_t first = 2, num_added = 9;
    nacre_detail why = { "" };
    pack_make(path, 5);
    nacre_pack *pack = pack_open(path);
    assert_err(nacre_pack_add(pack, &num_added, 1, pack_source, &first, &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "same nonces"));
    assert_int_equal(num_added, 0);
    first = 5;
    assert_ok(nacre_pack_add(pack, &num_added, 1, pack_source, &first, &why));
    nacre_directory_info info; /* another Recipient ID is not enough: Sender Key and Common IV are the same */
    pack_describe(&info, 2);
    info.recipient_id_len = 2;
    assert_err(nacre_pack_add(pack, NULL, 1, give, &info, NULL), NACRE_ERR_BAD_CONTEXT);
    info.sender_id[0] = 2; /* another Sender ID is */
    assert_ok(nacre_pack_add(pack, NULL, 1, give, &info, NULL));
    pack_describe(&info, 77);
    assert_err(nacre_pack_add(pack, &num_added, 2, give, &info, NULL), NACRE_ERR_BAD_CONTEXT);
    assert_int_equal(num_added, 1); /* the first of the two was added */
    assert_int_equal(nacre_pack_num(pack), 8);
    pack_close(pack);
}

/* RFC 8613 3.3: two Sender IDs with one peer would be two windows for its messages; so would one added after another
 * was removed. The other side of a context shares no key with it. */
static void a_second_window_under_one_recipient_key_is_refused(void **state)
{
    (void)state;
    nacre_detail why = { "" };
    nacre_directory_info info, side;
    pack_make(path, 3);
    nacre_pack *pack = pack_open(path);
    pack_describe(&info, 1);
    info.sender_id[0] = 9;
    assert_err(nacre_pack_add(pack, NULL, 1, give, &info, &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "Recipient ID"));
    pack_describe(&info, 1);
    side = info;
    memcpy(side.sender_id, info.recipient_id, sizeof side.sender_id);
    memcpy(side.recipient_id, info.sender_id, sizeof side.recipient_id);
    side.sender_id_len = info.recipient_id_len;
    side.recipient_id_len = info.sender_id_len;
    assert_ok(nacre_pack_add(pack, NULL, 1, give, &side, &why));
    assert_ok(nacre_pack_remove(pack, nacre_pack_context_at(pack, 1), &why));
    info.sender_id[0] = 9;
    for (int opened = 0; opened < 2; opened++) {
        assert_err(nacre_pack_add(pack, NULL, 1, give, &info, &why), NACRE_ERR_BAD_CONTEXT);
        pack_close(pack);
        pack = pack_open(path);
    }
    info.secret[15] ^= 1; /* other keys */
    assert_ok(nacre_pack_add(pack, NULL, 1, give, &info, &why));
    pack_close(pack);
}

static void invalid_descriptions_are_refused(void **state)
{
    (void)state;
    nacre_directory_info good, bad;
    pack_make(path, 0);
    nacre_pack *pack = pack_open(path);
    pack_describe(&good, 0);
    for (int i = 0; i < 10; i++) {
        bad = good;
        if (i == 0) bad.aead = NULL;
        if (i == 1) bad.secret_len = 0;
        if (i == 2) bad.secret_len = 257;
        if (i == 3) bad.window = NACRE_REPLAY_MAX + 1;
        if (i == 4) bad.sender_id_len = 8;
        if (i == 5) memcpy(bad.recipient_id, bad.sender_id, bad.recipient_id_len = bad.sender_id_len);
        if (i == 6) bad.next_to_send = NACRE_SEQ_MAX + 2;
        if (i == 7) bad.window_index = NACRE_SEQ_MAX + 2;
        if (i == 8) bad.window_bits[4] = 1;
        if (i == 9) bad.hash = (nacre_hash)3;
        nacre_bytes before = pack_file(path);
        nacre_detail why = { "" };
        assert_err(nacre_pack_add(pack, NULL, 1, give, &bad, &why), NACRE_ERR_BAD_CONTEXT);
        assert_true(why.text[0] != '\0');
        assert_bytes(pack_file(path), before);
    }
    assert_ok(nacre_pack_add(pack, NULL, 1, give, &good, NULL));
    pack_close(pack);
}

static bool contains(nacre_bytes haystack, const void *needle, size_t len)
{
    return memmem(haystack.ptr, haystack.len, needle, len) != NULL;
}

static void removed_contexts_stay_removed(void **state)
{
    (void)state;
    nacre_directory_info info;
    nacre_table *table;
    size_t cursor = 0, two = 2;
    pack_make(path, 5);
    pack_describe(&info, 2);
    nacre_pack *pack = pack_open(path);
    nacre_bytes kid = nacre_bytes_of(info.recipient_id, info.recipient_id_len);
    assert_ok(nacre_pack_table(pack, &table, NULL));
    nacre_context *ctx = nacre_pack_context_at(pack, 2);
    assert_ptr_equal(nacre_table_find(table, kid, NACRE_ABSENT, &cursor), ctx);
    assert_true(contains(pack_file(path), info.secret, 16));
    assert_ok(nacre_pack_remove(pack, ctx, NULL));
    assert_false(contains(pack_file(path), info.secret, 16));
    assert_null(nacre_pack_context_at(pack, 2));
    cursor = 0;
    assert_null(nacre_table_find(table, kid, NACRE_ABSENT, &cursor));
    assert_err(nacre_pack_remove(pack, ctx, NULL), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_pack_add(pack, NULL, 1, pack_source, &two, NULL), NACRE_ERR_BAD_CONTEXT);
    for (int opening = 0; opening < 2; opening++) {
        pack_close(pack);
        pack = pack_open(path);
        assert_int_equal(nacre_pack_num(pack), 5);
        for (size_t i = 0; i < 5; i++) assert_true((nacre_pack_context_at(pack, i) == NULL) == (i == 2));
        assert_err(nacre_pack_add(pack, NULL, 1, pack_source, &two, NULL), NACRE_ERR_BAD_CONTEXT);
    }
    pack_close(pack);
}

static void the_table_finds_the_packs_contexts(void **state)
{
    (void)state;
    nacre_table *table, *same;
    nacre_directory_info info;
    pack_make(path, MANY);
    nacre_pack *pack = pack_open(path);
    assert_ok(nacre_pack_table(pack, &table, NULL));
    for (size_t i = 0; i < 2 * (size_t)MANY; i++) {
        size_t cursor = 0;
        pack_describe(&info, i);
        if (i >= MANY && i % 100 == 0) assert_ok(nacre_pack_add(pack, NULL, 1, pack_source, &i, NULL));
        bool there = i < MANY || i % 100 == 0;
        const nacre_context *found =
            nacre_table_find(table, nacre_bytes_of(info.recipient_id, 4), NACRE_ABSENT, &cursor);
        assert_true((found != NULL) == there);
    }
    assert_ok(nacre_pack_table(pack, &same, NULL));
    assert_ptr_equal(table, same);
    /* More than an endpoint tries. */
    for (uint8_t i = 0; i <= NACRE_MAX_CANDIDATES; i++) {
        pack_describe(&info, 77777);
        info.sender_id[0] = 0x10;
        info.secret[15] = i;
        assert_err(nacre_pack_add(pack, NULL, 1, give, &info, NULL),
                   i < NACRE_MAX_CANDIDATES ? NACRE_OK : NACRE_ERR_UNSUPPORTED);
    }
    pack_close(pack);
    pack = pack_open(path);
    assert_ok(nacre_pack_table(pack, &table, NULL));
    pack_close(pack);
}

/* ---- Reading a pack ---- */

struct seen {
    size_t num;
    bool reveal;
};

static nacre_err look(void *user, size_t index, const nacre_directory_info *info, nacre_detail *why)
{
    struct seen *s = user;
    nacre_directory_info expected;
    (void)why;
    pack_describe(&expected, index);
    if (!s->reveal) {
        memset(expected.secret, 0, sizeof expected.secret);
        memset(expected.salt, 0, sizeof expected.salt);
        expected.secret_len = expected.salt_len = 0;
    }
    expected.has_state = true;
    if (index == 1) expected.next_to_send = 10;
    assert_memory_equal(info, &expected, sizeof expected);
    s->num++;
    return index == 4 ? NACRE_ERR_STALE : NACRE_OK;
}

static void reading_takes_no_lock(void **state)
{
    (void)state;
    pack_make(path, 4);
    nacre_pack *pack = pack_open(path);
    nacre_context *ctx = nacre_pack_context_at(pack, 1);
    nacre_store store = nacre_pack_store(pack, ctx);
    assert_ok(nacre_store_serve(&store, ctx, NULL));
    for (int reveal = 0; reveal < 2; reveal++) {
        struct seen seen = { 0, reveal != 0 };
        assert_ok(nacre_pack_read(path, seen.reveal, look, &seen, NULL));
        assert_int_equal(seen.num, 4);
    }
    size_t first = 4;
    assert_ok(nacre_pack_add(pack, NULL, 2, pack_source, &first, NULL));
    struct seen seen = { 0, false };
    assert_err(nacre_pack_read(path, false, look, &seen, NULL), NACRE_ERR_STALE);
    assert_int_equal(seen.num, 5);
    pack_close(pack);
}

/* ---- One process, one pack ---- */

static void one_process_has_a_pack_open(void **state)
{
    (void)state;
    nacre_pack *pack, *second = NULL;
    nacre_detail why = { "" };
    pack_make(path, 2);
    pack = pack_open(path);
    assert_err(nacre_pack_open(&second, path, test_crypto(), &why), NACRE_ERR_LOCKED);
    assert_null(second);
    pid_t child = fork();
    if (child == 0) {
        nacre_crypto crypto;
        nacre_err err = nacre_openssl_open(&crypto);
        if (err == NACRE_OK) err = nacre_pack_open(&second, path, &crypto, &why);
        _exit(err == NACRE_ERR_LOCKED ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pack_close(pack);
    pack_close(pack_open(path));
}

/* RFC 8613 7.2.1: two processes never count from one number. */
static int in_the_child(nacre_pack *pack, nacre_context *ctx, nacre_table *table, nacre_bytes kid)
{
    nacre_store store = nacre_pack_store(pack, ctx);
    size_t cursor = 0, first = 50;
    nacre_detail why = { "" };
    if (nacre_context_aead(ctx) != NULL || nacre_pack_context_at(pack, 0) != NULL) return 1;
    if (nacre_table_find(table, kid, NACRE_ABSENT, &cursor) != NULL) return 2;
    if (nacre_pack_request(pack, ctx, &why) != NACRE_ERR_LOCKED) return 3;
    if (store.ops->reserve(store.self, 100, &why) != NACRE_ERR_LOCKED) return 4;
    if (store.ops->window_lost(store.self, &why) != NACRE_ERR_LOCKED) return 5;
    if (store.ops->save(store.self, ctx, &why) != NACRE_ERR_LOCKED) return 6;
    if (nacre_pack_add(pack, NULL, 1, pack_source, &first, &why) != NACRE_ERR_LOCKED) return 7;
    if (nacre_pack_remove(pack, ctx, &why) != NACRE_ERR_LOCKED) return 8;
    if (nacre_pack_close(pack, &why) != NACRE_ERR_LOCKED) return 9;
    return 0;
}

static void a_forked_child_uses_no_context(void **state)
{
    (void)state;
    nacre_table *table;
    pack_make(path, 2);
    nacre_pack *pack = pack_open(path);
    assert_ok(nacre_pack_table(pack, &table, NULL));
    nacre_context *ctx = nacre_pack_context_at(pack, 0);
    nacre_store store = nacre_pack_store(pack, ctx);
    assert_ok(nacre_store_serve(&store, ctx, NULL));
    nacre_bytes before = pack_file(path);
    nacre_directory_info info;
    pack_describe(&info, 0);
    pid_t child = fork();
    if (child == 0) _exit(in_the_child(pack, ctx, table, nacre_bytes_of(info.recipient_id, 4)));
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(WIFEXITED(status));
    assert_bytes(pack_file(path), before);
    (void)pack_send_one(pack_peer(&info), ctx, &store);
    pack_close(pack);
}

static void creating_and_opening_check_the_file(void **state)
{
    (void)state;
    nacre_detail why = { "" };
    nacre_pack *pack = NULL;
    assert_err(nacre_pack_open(&pack, path, test_crypto(), &why), NACRE_ERR_FILE);
    assert_ok(nacre_pack_create(path, &why));
    nacre_bytes before = pack_file(path);
    assert_err(nacre_pack_create(path, &why), NACRE_ERR_FILE);
    assert_bytes(pack_file(path), before);
    assert_err(nacre_pack_create(scratch_path(scratch, "no/such/folder"), &why), NACRE_ERR_FILE);
    assert_int_equal(mkfifo(copy, 0600), 0);
    assert_err(nacre_pack_open(&pack, copy, test_crypto(), &why), NACRE_ERR_FILE);
    assert_err(nacre_pack_open(&pack, scratch, test_crypto(), &why), NACRE_ERR_FILE);
    assert_null(pack);
    assert_ok(nacre_pack_close(NULL, &why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(any_number_of_contexts_is_read_back),
        ROW(contexts_added_one_by_one_are_read_back),
        ROW(contexts_of_any_shape_are_read_back),
        ROW(numbers_are_durable_before_use),
        ROW(windows_are_lost_before_use_and_exact_after_closing),
        ROW(after_a_crash_an_echo_is_required),
        ROW(a_state_is_added_with_its_context),
        ROW(one_commit_serves_many_requests),
        ROW(a_context_is_added_once),
        ROW(a_second_window_under_one_recipient_key_is_refused),
        ROW(invalid_descriptions_are_refused),
        ROW(removed_contexts_stay_removed),
        ROW(the_table_finds_the_packs_contexts),
        ROW(reading_takes_no_lock),
        ROW(one_process_has_a_pack_open),
        ROW(a_forked_child_uses_no_context),
        ROW(creating_and_opening_check_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
