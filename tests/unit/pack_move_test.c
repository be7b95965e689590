/* SPDX-License-Identifier: MIT */
/* pack_move_test: a directory is moved into a pack with its state, and is unusable afterwards, however the move
 * ended. */
#include <nacre/pack.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "packs.h"
#include "scratch.h"

static char *scratch, path[4096], dir[4096];
static nacre_directory_info info; /* of the directory */

static int set_up(void **state)
{
    (void)state;
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.pack"));
    strcpy(dir, scratch_path(scratch, "device"));
    pack_make(path, 2);
    pack_describe(&info, 7);
    info.has_state = true;
    info.next_to_send = 123;
    info.window_index = 40;
    info.window_bits[0] = 6;
    assert_ok(nacre_directory_create(dir, &info, NULL));
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(scratch);
    return test_release(state);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static void check_there(nacre_pack *pack, bool window_known)
{
    const nacre_context *ctx = nacre_pack_context_at(pack, 2);
    assert_non_null(ctx);
    assert_int_equal(nacre_pack_num(pack), 3);
    assert_int_equal(nacre_context_next_seq(ctx), 123);
    assert_int_equal(nacre_context_replay(ctx)->known, window_known);
    if (!window_known) return;
    assert_err(nacre_replay_check(nacre_context_replay(ctx), 39), NACRE_ERR_REPLAY);
    assert_err(nacre_replay_check(nacre_context_replay(ctx), 40), NACRE_OK);
    assert_err(nacre_replay_check(nacre_context_replay(ctx), 41), NACRE_ERR_REPLAY);
}

/* nacre does not open it; other programs find no number left, and no window. */
static void check_useless(void)
{
    nacre_directory *opened = NULL;
    nacre_detail why = { "" };
    nacre_directory_info found;
    assert_err(nacre_directory_open(&opened, dir, test_crypto(), &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "moved.json"));
    assert_null(opened);
    assert_ok(nacre_directory_read(&found, dir, false, &why));
    assert_int_equal(found.next_to_send, NACRE_SEQ_MAX + 1);
    assert_false(found.window_known);
    assert_int_equal(nacre_directory_adopt(dir, NACRE_ROLE_NONE, 0, &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "moved.json"));
    for (int to = 0; to < 2; to++) {
        why.text[0] = '\0';
        assert_int_equal(
            nacre_directory_convert(dir, to == 0 ? NACRE_LAYOUT_NEWEST : NACRE_LAYOUT_LEGACY, NACRE_ROLE_CLIENT, &why),
            NACRE_ERR_BAD_CONTEXT);
        assert_non_null(strstr(why.text, "moved.json"));
    }
}

static void the_state_moves_with_the_context(void **state)
{
    (void)state;
    nacre_detail why = { "" };
    nacre_pack *pack = pack_open(path);
    nacre_err err = nacre_pack_move_in(pack, dir, NACRE_ROLE_NONE, &why);
    if (err != NACRE_OK) fail_msg("%s", why.text);
    check_there(pack, true);
    check_useless();
    nacre_context *ctx = nacre_pack_context_at(pack, 2), *peer = pack_peer(&info);
    nacre_store store = nacre_pack_store(pack, ctx);
    assert_int_equal(pack_send_one(peer, ctx, &store), 123);
    assert_ok(nacre_pack_move_in(pack, dir, NACRE_ROLE_NONE, &why)); /* it is already in the pack */
    assert_int_equal(nacre_pack_num(pack), 3);
    pack_close(pack);
    pack = pack_open(path);
    assert_int_equal(nacre_context_next_seq(nacre_pack_context_at(pack, 2)), 124);
    pack_close(pack);
}

static void the_legacy_layout_moves_by_role(void **state)
{
    (void)state;
    nacre_detail why = { "" };
    assert_ok(nacre_directory_convert(dir, NACRE_LAYOUT_LEGACY, NACRE_ROLE_SERVER, &why));
    nacre_pack *pack = pack_open(path);
    assert_err(nacre_pack_move_in(pack, dir, NACRE_ROLE_NONE, &why), NACRE_ERR_BAD_CONTEXT); /* the side is not given */
    assert_ok(nacre_pack_move_in(pack, dir, NACRE_ROLE_SERVER, &why));
    check_there(pack, true);
    nacre_directory *opened = NULL;
    assert_err(nacre_directory_open_as(&opened, dir, NACRE_ROLE_SERVER, test_crypto(), &why), NACRE_ERR_BAD_CONTEXT);
    pack_close(pack);
}

static void an_open_directory_is_not_moved(void **state)
{
    (void)state;
    nacre_directory *opened = NULL;
    nacre_detail why = { "" };
    nacre_pack *pack = pack_open(path);
    assert_ok(nacre_directory_open(&opened, dir, test_crypto(), &why));
    assert_err(nacre_pack_move_in(pack, dir, NACRE_ROLE_NONE, &why), NACRE_ERR_LOCKED);
    assert_int_equal(nacre_pack_num(pack), 2);
    assert_ok(nacre_directory_close(opened, &why));
    assert_ok(nacre_directory_open(&opened, dir, test_crypto(), &why));
    assert_int_equal(nacre_context_next_seq(nacre_directory_context(opened)), 123);
    assert_ok(nacre_directory_close(opened, &why));
    assert_ok(nacre_pack_move_in(pack, dir, NACRE_ROLE_NONE, &why));
    pack_close(pack);
}

/* A context that the pack has, or had, is refused under another directory, which stays unchanged. */
static void a_context_of_the_pack_is_not_added_again(void **state)
{
    (void)state;
    char second[4096];
    nacre_detail why = { "" };
    nacre_pack *pack = pack_open(path);
    pack_describe(&info, 1);
    info.has_state = true;
    strcpy(second, scratch_path(scratch, "second"));
    assert_ok(nacre_directory_create(second, &info, NULL));
    for (int removed = 0; removed < 2; removed++) {
        assert_err(nacre_pack_move_in(pack, second, NACRE_ROLE_NONE, &why), NACRE_ERR_BAD_CONTEXT);
        assert_non_null(strstr(why.text, "same nonces"));
        assert_false(scratch_exists(second, "moved.json"));
        if (removed == 0) assert_ok(nacre_pack_remove(pack, nacre_pack_context_at(pack, 1), &why));
    }
    pack_close(pack);
}

/* ---- Interrupted ---- */

static nacre_bytes keep(const char *name)
{
    char *text = scratch_read(dir, name);
    nacre_bytes copy = test_copy(nacre_bytes_of((const uint8_t *)text, strlen(text)));
    free(text);
    return copy;
}

static void put_back(const char *name, nacre_bytes text)
{
    scratch_write_bytes(dir, name, text.ptr, text.len);
}

/* The files as a move leaves them when it ends after each of its steps. */
static void an_interrupted_move_is_completed(void **state)
{
    (void)state;
    nacre_detail why = { "" };
    nacre_bytes before = keep("sequence.json"), pack_before = pack_file(path);
    nacre_pack *pack = pack_open(path);
    assert_ok(nacre_pack_move_in(pack, dir, NACRE_ROLE_NONE, &why));
    pack_close(pack);
    nacre_bytes useless = keep("sequence.json"), pack_after = pack_file(path), completed = keep("moved.json");
    char begun[512];
    snprintf(begun, sizeof begun, "%.*s", (int)completed.len, (const char *)completed.ptr);
    char *at = strstr(begun, "1099511627776");
    assert_non_null(at);
    memcpy(at, "          123", 13);
    at = strstr(begun, "true");
    assert_non_null(at);
    snprintf(at, 16, "false}\n");
    for (int step = 1; step <= 3; step++) {
        nacre_directory *opened = NULL;
        scratch_write(dir, "moved.json", begun);
        put_back("sequence.json", step >= 2 ? useless : before);
        scratch_unlink(dir, "lock"); /* with the write count of the complete move */
        pack_put_file(path, step >= 3 ? pack_after : pack_before);
        assert_err(nacre_directory_open(&opened, dir, test_crypto(), &why), NACRE_ERR_BAD_CONTEXT);
        pack = pack_open(path);
        nacre_err err = nacre_pack_move_in(pack, dir, NACRE_ROLE_NONE, &why);
        if (err != NACRE_OK) fail_msg("after step %d: %s", step, why.text);
        check_there(pack, step != 2);
        check_useless();
        assert_ok(nacre_pack_move_in(pack, dir, NACRE_ROLE_NONE, &why));
        check_there(pack, step != 2);
        if (step == 3) { /* it is not added again */
            assert_ok(nacre_pack_remove(pack, nacre_pack_context_at(pack, 2), &why));
            assert_err(nacre_pack_move_in(pack, dir, NACRE_ROLE_NONE, &why), NACRE_ERR_BAD_CONTEXT);
        }
        pack_close(pack);
    }
    /* Another pack must not complete the move: the first one may have the context. */
    char other[4096];
    strcpy(other, scratch_path(scratch, "other.pack"));
    pack_make(other, 0);
    scratch_write(dir, "moved.json", begun);
    pack = pack_open(other);
    assert_err(nacre_pack_move_in(pack, dir, NACRE_ROLE_NONE, &why), NACRE_ERR_BAD_CONTEXT);
    scratch_write(dir, "moved.json", "{}");
    assert_err(nacre_pack_move_in(pack, dir, NACRE_ROLE_NONE, &why), NACRE_ERR_BAD_CONTEXT);
    assert_int_equal(nacre_pack_num(pack), 0);
    pack_close(pack);
}

/* A context that the pack must not take is refused before anything changes: the directory stays usable. */
static void a_directory_with_a_key_of_the_pack_stays_usable(void **state)
{
    (void)state;
    nacre_detail why = { "" };
    nacre_directory *opened;
    nacre_pack *pack = pack_open(path);
    const char *twin = scratch_path(scratch, "twin");
    for (int is_distinct = 0; is_distinct < 2; is_distinct++) {
        pack_describe(&info, 1);
        if (is_distinct) info.recipient_id[3] = 9; /* the same Sender Key */
        else info.sender_id[0] = 9;                /* the same Recipient Key */
        assert_ok(nacre_directory_create(twin, &info, NULL));
        assert_err(nacre_pack_move_in(pack, twin, NACRE_ROLE_NONE, &why), NACRE_ERR_BAD_CONTEXT);
        assert_false(scratch_exists(twin, "moved.json"));
        assert_ok(nacre_directory_open(&opened, twin, test_crypto(), &why));
        assert_int_equal(nacre_context_next_seq(nacre_directory_context(opened)), 0);
        assert_ok(nacre_directory_close(opened, &why));
        twin = scratch_path(scratch, "second");
    }
    assert_int_equal(nacre_pack_num(pack), 2);
    pack_close(pack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(the_state_moves_with_the_context), ROW(the_legacy_layout_moves_by_role),
        ROW(an_open_directory_is_not_moved),   ROW(a_context_of_the_pack_is_not_added_again),
        ROW(an_interrupted_move_is_completed), ROW(a_directory_with_a_key_of_the_pack_stays_usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
