/* SPDX-License-Identifier: MIT */
/* pack_identity_test: a used pack records the identity of its file: copies are refused until they are adopted. */
#include <nacre/pack.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "packs.h"
#include "scratch.h"
#include "store/file/file_identity.h"

enum { NUM = 300, STEP = 65536 };
static char *scratch, path[4096], copy[4096];

static int set_up(void **state)
{
    (void)state;
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.pack"));
    strcpy(copy, scratch_path(scratch, "copy.pack"));
    pack_make(path, NUM);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(scratch);
    return test_release(state);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* Skips where the file system has no stable file identity: copies are not detected there. */
static void need_births(void)
{
    char identity[NACRE__FILE_IDENTITY_TEXT];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    nacre__file_identity_of(identity, fileno(file));
    (void)fclose(file);
    if (identity[0] == '\0') skip();
}

/* Context `at` sends three requests. */
static void use(nacre_pack *pack, size_t at)
{
    nacre_directory_info info;
    nacre_context *ctx = nacre_pack_context_at(pack, at);
    const nacre_store store = nacre_pack_store(pack, ctx);
    pack_describe(&info, at);
    nacre_context *peer = pack_peer(&info);
    for (int i = 0; i < 3; i++) (void)pack_send_one(peer, ctx, &store);
}

static void expect_refused(const char *file)
{
    nacre_pack *pack = NULL;
    nacre_detail why = { "" };
    nacre_bytes before = pack_file(file);
    assert_err(nacre_pack_open(&pack, file, test_crypto(), &why), NACRE_ERR_BAD_CONTEXT);
    assert_null(pack);
    assert_non_null(strstr(why.text, "was copied"));
    assert_non_null(strstr(why.text, "nacre adopt"));
    assert_bytes(pack_file(file), before);
}

static nacre_err count_elsewhere(void *user, size_t index, const nacre_directory_info *info, nacre_detail *why)
{
    (void)index, (void)why;
    *(size_t *)user += info->elsewhere;
    return NACRE_OK;
}

static size_t num_elsewhere(const char *file)
{
    size_t num = 0;
    assert_ok(nacre_pack_read(file, false, count_elsewhere, &num, NULL));
    return num;
}

static void an_unused_pack_may_be_copied(void **state)
{
    (void)state;
    size_t first = NUM;
    nacre_pack *pack = pack_open(path);
    assert_ok(nacre_pack_add(pack, NULL, 5, pack_source, &first, NULL));
    assert_ok(nacre_pack_remove(pack, nacre_pack_context_at(pack, 3), NULL));
    pack_close(pack);
    pack_put_file(copy, pack_file(path));
    assert_int_equal(num_elsewhere(copy), 0);
    pack_close(pack_open(copy));
}

static void a_copy_of_a_used_pack_is_refused(void **state)
{
    (void)state;
    need_births();
    nacre_pack *pack = pack_open(path);
    use(pack, 1);
    pack_put_file(copy, pack_file(path)); /* while it is open */
    expect_refused(copy);
    pack_close(pack);
    pack_put_file(copy, pack_file(path)); /* and closed */
    expect_refused(copy);
    assert_int_equal(num_elsewhere(copy), NUM);
    assert_int_equal(num_elsewhere(path), 0);
    size_t first = NUM;
    pack = pack_open(path);
    assert_ok(nacre_pack_add(pack, NULL, 500, pack_source, &first, NULL)); /* which writes the extent again */
    pack_close(pack);
    pack_put_file(copy, pack_file(path));
    expect_refused(copy);
    pack_close(pack_open(path));
    assert_int_equal(rename(path, copy), 0); /* the same file by another name */
    pack_close(pack_open(copy));
}

/* Any use counts, not only sequence numbers. */
static void a_received_request_counts_as_use(void **state)
{
    (void)state;
    need_births();
    nacre_directory_info info;
    pack_describe(&info, 2);
    nacre_context *peer = pack_peer(&info);
    nacre_pack *pack = pack_open(path);
    nacre_context *ctx = nacre_pack_context_at(pack, 2);
    const nacre_store store = nacre_pack_store(pack, ctx);
    assert_ok(pack_request_one(peer, ctx, &store, NULL));
    pack_close(pack);
    pack_put_file(copy, pack_file(path));
    expect_refused(copy);
}

static void one_of_both_extents_is_enough(void **state)
{
    (void)state;
    need_births();
    enum { PAGE = 4096 };
    nacre_pack *pack = pack_open(path);
    use(pack, 1);
    pack_close(pack);
    for (size_t lost = 1; lost <= 2; lost++) {
        nacre_bytes whole = pack_file(path);
        uint8_t *bytes = malloc(whole.len);
        assert_non_null(bytes);
        memcpy(bytes, whole.ptr, whole.len);
        memset(bytes + lost * PAGE, 0xff, PAGE);
        pack_put_file(copy, nacre_bytes_of(bytes, whole.len));
        free(bytes);
        expect_refused(copy);
    }
}

static void an_adopted_copy_opens(void **state)
{
    (void)state;
    need_births();
    nacre_detail why = { "" };
    nacre_pack *pack = pack_open(path);
    use(pack, 1);
    assert_err(nacre_pack_adopt(path, test_crypto(), &why), NACRE_ERR_LOCKED);
    pack_close(pack);
    assert_int_equal(rename(path, copy), 0);
    pack_put_file(path, pack_file(copy)); /* moved to another path */
    expect_refused(path);
    if (nacre_pack_adopt(path, test_crypto(), &why) != NACRE_OK) fail_msg("%s", why.text);
    pack = pack_open(path);
    for (size_t i = 0; i < NUM; i++) {
        const nacre_context *ctx = nacre_pack_context_at(pack, i);
        assert_int_equal(nacre_context_next_seq(ctx), STEP + (i == 1 ? 3 : 0));
        assert_false(nacre_context_replay(ctx)->known);
    }
    use(pack, 1);
    pack_close(pack);
    pack_close(pack_open(path));
    pack_put_file(copy, pack_file(path));
    expect_refused(copy);
    pack_put_file(copy, NACRE_STR("no pack at all"));
    assert_err(nacre_pack_adopt(copy, test_crypto(), &why), NACRE_ERR_BAD_CONTEXT);
    assert_err(nacre_pack_adopt(scratch_path(scratch, "none"), test_crypto(), &why), NACRE_ERR_FILE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(an_unused_pack_may_be_copied),
        ROW(a_copy_of_a_used_pack_is_refused),
        ROW(a_received_request_counts_as_use),
        ROW(one_of_both_extents_is_enough),
        ROW(an_adopted_copy_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
