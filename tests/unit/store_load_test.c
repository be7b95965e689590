/* SPDX-License-Identifier: MIT */
/* store_load_test: the state that stores report, step by step, for a directory and for a context of a database. */
#include <sys/wait.h>
#include <unistd.h>

#include "fleet.h"
#include "scratch.h"

static void expect(const nacre_store *store, uint64_t next_seq, bool window_known, uint8_t seen)
{
    nacre_stored got;
    nacre_detail why = { "" };
    if (nacre_store_load(store, &got, &why) != NACRE_OK) fail_msg("%s", why.text);
    assert_int_equal(got.next_seq, next_seq);
    assert_int_equal(got.window_known, window_known);
    assert_int_equal(got.window_index, 0);
    for (size_t i = 0; i < sizeof got.window_bits; i++) assert_int_equal(got.window_bits[i], i == 0 ? seen : 0);
}

static void check(nacre_context *ctx, const nacre_store *store, nacre_context *peer)
{
    expect(store, 0, true, 0);
    assert_int_equal(fleet_send_one(peer, ctx, store), 0);
    expect(store, 10, true, 0);
    assert_ok(fleet_request_one(peer, ctx, store, NULL));
    expect(store, 10, false, 0);
    assert_ok(nacre_store_save(store, ctx, NULL));
    expect(store, 1, true, 1);
    assert_int_equal(fleet_send_one(peer, ctx, store), 1);
    nacre_stored got = { .next_seq = 77 };
    pid_t child = fork(); /* the child finds the context wiped */
    if (child == 0) {
        nacre_err err = nacre_store_load(store, &got, NULL);
        _exit(err == NACRE_OK || err == NACRE_ERR_LOCKED ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void the_store_of_a_directory_reports_its_state(void **state)
{
    (void)state;
    char *scratch = scratch_make();
    const char *path = scratch_path(scratch, "device");
    nacre_directory *dir;
    nacre_directory_info info;
    fleet_describe(&info, 1);
    assert_ok(nacre_directory_create(path, &info, NULL));
    assert_ok(nacre_directory_open(&dir, path, test_crypto(), NULL));
    const nacre_store store = nacre_directory_store(dir);
    check(nacre_directory_context(dir), &store, fleet_peer(&info));
    assert_ok(nacre_directory_close(dir, NULL));
    scratch_remove(scratch);
}

static void the_store_of_a_database_reports_its_state(void **state)
{
    (void)state;
    if (!nacre_sqlite_is_built()) {
        print_message("SKIPPED: this build has no SQLite\n");
        skip();
    }
    char *scratch = scratch_make();
    const char *path = scratch_path(scratch, "fleet.db");
    nacre_sqlite *db;
    nacre_directory_info infos[3];
    for (size_t i = 0; i < 3; i++) fleet_describe(&infos[i], i);
    fleet_database(path, infos, 3);
    assert_ok(nacre_sqlite_open(&db, path, NULL, test_crypto(), NULL));
    const int64_t id = 2;
    nacre_context *ctx = NULL;
    assert_ok(nacre_sqlite_load(db, &ctx, &id, 1, NULL));
    const nacre_store store = nacre_sqlite_store(ctx);
    check(ctx, &store, fleet_peer(&infos[1]));
    assert_ok(nacre_sqlite_close(db, NULL));
    scratch_remove(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_store_of_a_directory_reports_its_state, test_release),
        cmocka_unit_test_teardown(the_store_of_a_database_reports_its_state, test_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
