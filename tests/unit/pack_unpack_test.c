/* SPDX-License-Identifier: MIT */
/* pack_unpack_test: a context is moved out of a pack into a directory with its state; however the move ended, only one
 * of both has it. */
#include <nacre/pack.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "packs.h"
#include "scratch.h"

enum { NUM = 40, AT = 5 };
static char *scratch, path[4096], dir[4096], hidden[4096];
static nacre_directory_info info;
static nacre_context *peer;

static int set_up(void **state)
{
    (void)state;
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.pack"));
    strcpy(dir, scratch_path(scratch, "device"));
    strcpy(hidden, scratch_path(scratch, ".device.unpacked"));
    pack_make(path, NUM);
    pack_describe(&info, AT);
    peer = pack_peer(&info);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(scratch);
    return test_release(state);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static bool exists(const char *what)
{
    struct stat st;
    return lstat(what, &st) == 0;
}

/* The pack with a context that has sent three requests and accepted one. */
static nacre_pack *open_used(nacre_bytes *accepted)
{
    nacre_pack *pack = pack_open(path);
    nacre_context *ctx = nacre_pack_context_at(pack, AT);
    const nacre_store store = nacre_pack_store(pack, ctx);
    for (int i = 0; i < 3; i++) (void)pack_send_one(peer, ctx, &store);
    assert_ok(pack_request_one(peer, ctx, &store, NULL));
    *accepted = test_copy(pack_last_request());
    return pack;
}

/* The directory continues where the pack stopped: the next number is `next`, and the accepted request is a replay. */
static void check_directory(uint64_t next, nacre_bytes accepted)
{
    nacre_directory *opened;
    nacre_detail why = { "" };
    assert_false(exists(hidden));
    if (nacre_directory_open(&opened, dir, test_crypto(), &why) != NACRE_OK) fail_msg("%s", why.text);
    nacre_context *ctx = nacre_directory_context(opened);
    const nacre_store store = nacre_directory_store(opened);
    assert_err(pack_replay(ctx, &store, accepted), NACRE_ERR_REPLAY);
    assert_int_equal(pack_send_one(peer, ctx, &store), next);
    assert_ok(pack_request_one(peer, ctx, &store, NULL));
    assert_ok(nacre_directory_close(opened, &why));
}

static void check_pack(nacre_pack *pack)
{
    assert_null(nacre_pack_context_at(pack, AT));
    for (size_t i = 0; i < NUM; i++) assert_int_equal(nacre_pack_context_at(pack, i) == NULL, i == AT);
}

static void the_state_moves_with_the_context(void **state)
{
    (void)state;
    nacre_bytes accepted, secret = nacre_bytes_of(info.secret, info.secret_len);
    nacre_directory_info found;
    nacre_detail why = { "" };
    nacre_pack *pack = open_used(&accepted), *other;
    assert_non_null(memmem(pack_file(path).ptr, pack_file(path).len, secret.ptr, secret.len));
    if (nacre_pack_move_out(pack, AT, dir, &why) != NACRE_OK) fail_msg("%s", why.text);
    check_pack(pack);
    assert_null(memmem(pack_file(path).ptr, pack_file(path).len, secret.ptr, secret.len));
    assert_ok(nacre_directory_read(&found, dir, true, &why));
    assert_bytes(nacre_bytes_of(found.secret, found.secret_len), secret);
    assert_bytes(nacre_bytes_of(found.salt, found.salt_len), nacre_bytes_of(info.salt, info.salt_len));
    assert_true(found.window_known && found.sequence_required && !found.elsewhere);
    check_directory(3, accepted);
    assert_err(nacre_pack_move_in(pack, dir, NACRE_ROLE_NONE, &why), NACRE_ERR_BAD_CONTEXT); /* it had it before */
    pack_close(pack);
    pack = pack_open(path);
    check_pack(pack);
    pack_close(pack);
    check_directory(4, accepted);
    assert_ok(nacre_pack_create(scratch_path(scratch, "other.pack"), &why));
    other = pack_open(scratch_path(scratch, "other.pack"));
    assert_ok(nacre_pack_move_in(other, dir, NACRE_ROLE_NONE, &why));
    assert_int_equal(nacre_context_next_seq(nacre_pack_context_at(other, 0)), 5);
    pack_close(other);
}

/* Killed between any two steps, the move is completed by the same call. */
static void an_interrupted_move_is_completed(void **state)
{
    (void)state;
    nacre_detail why = { "" };
    for (int step = 0; step < 4; step++) {
        nacre_bytes accepted, before;
        if (step > 0) {
            tear_down(NULL);
            set_up(NULL);
        }
        pack_close(open_used(&accepted));
        before = test_copy(pack_file(path));
        nacre_pack *pack = pack_open(path);
        assert_ok(nacre_pack_move_out(pack, AT, dir, &why));
        pack_close(pack);
        if (step < 3) assert_int_equal(rename(dir, hidden), 0);
        if (step < 2) pack_put_file(path, before);            /* the pack still has it, */
        if (step == 0) scratch_unlink(hidden, "secret.json"); /* and the directory is incomplete */
        pack = pack_open(path);
        if (step == 2) { /* another context neither gets its name nor replaces it */
            assert_err(nacre_pack_move_out(pack, AT + 1, dir, &why), NACRE_ERR_BAD_CONTEXT);
            assert_true(exists(hidden) && !exists(dir) && nacre_pack_context_at(pack, AT + 1) != NULL);
        }
        nacre_err err = nacre_pack_move_out(pack, AT, dir, &why);
        if (step == 3) assert_err(err, NACRE_ERR_FILE); /* it was complete */
        else if (err != NACRE_OK) fail_msg("step %d: %s", step, why.text);
        check_pack(pack);
        pack_close(pack);
        check_directory(3, accepted);
    }
}

static void a_refusal_changes_nothing(void **state)
{
    (void)state;
    nacre_bytes accepted;
    nacre_detail why = { "" };
    nacre_directory_info foreign;
    pack_close(open_used(&accepted));
    nacre_bytes before = test_copy(pack_file(path));
    nacre_pack *pack = pack_open(path);
    assert_err(nacre_pack_move_out(pack, NUM, dir, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_pack_move_out(pack, SIZE_MAX, dir, &why), NACRE_ERR_BAD_ARGUMENT);
    static const char *const no_names[] = { "", "/", ".", "..", "a/..", "a/../" };
    for (size_t i = 0; i < COUNT(no_names); i++)
        assert_err_row(no_names[i], nacre_pack_move_out(pack, AT, no_names[i], &why), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_pack_move_out(pack, AT, scratch_path(scratch, "none/device"), &why), NACRE_ERR_FILE);
    assert_err(nacre_pack_move_out(pack, AT, path, &why), NACRE_ERR_FILE);
    assert_int_equal(symlink("nowhere", dir), 0);
    assert_err(nacre_pack_move_out(pack, AT, dir, &why), NACRE_ERR_FILE);
    assert_int_equal(unlink(dir), 0);
    /* another program's file under the hidden name */
    scratch_write(scratch, ".device.unpacked", "a file");
    assert_err(nacre_pack_move_out(pack, AT, dir, &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, "in the way"));
    scratch_unlink(scratch, ".device.unpacked");
    pack_describe(&foreign, NUM + 7);
    assert_ok(nacre_directory_create(hidden, &foreign, NULL));
    assert_int_equal(rename(scratch_path(hidden, "sequence.json"), scratch_path(scratch, "sequence.json")), 0);
    assert_err(nacre_pack_move_out(pack, AT, dir, &why), NACRE_ERR_FILE); /* damaged: possibly the only copy */
    assert_true(exists(scratch_path(hidden, "secret.json")));
    assert_int_equal(rename(scratch_path(scratch, "sequence.json"), scratch_path(hidden, "sequence.json")), 0);
    assert_err(nacre_pack_move_out(pack, AT, dir, &why), NACRE_ERR_BAD_CONTEXT);
    assert_true(exists(hidden));
    assert_int_equal(rename(hidden, scratch_path(scratch, "foreign")), 0);
    pid_t child = fork();
    if (child == 0) _exit(nacre_pack_move_out(pack, AT, dir, NULL) == NACRE_ERR_LOCKED ? 0 : 1);
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pack_close(pack);
    assert_bytes(pack_file(path), before);
    assert_false(exists(dir) || exists(hidden));
    pack = pack_open(path);
    assert_ok(nacre_pack_move_out(pack, AT, scratch_path(scratch, "device/"), &why)); /* a trailing '/' has no effect */
    check_pack(pack);
    pack_close(pack);
    check_directory(3, accepted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(the_state_moves_with_the_context),
        ROW(an_interrupted_move_is_completed),
        ROW(a_refusal_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
