/* SPDX-License-Identifier: MIT */
/* wipe_on_fork_test: a forked child uses no context of its parent, whether or not the kernel wipes memory. The
 * program's own madvise replaces the C library's. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fleet.h"
#include "scratch.h"

typedef enum advice { REAL, REFUSED, IGNORED } advice;
static advice kernel;

int madvise(void *at, size_t size, int what)
{
    if (kernel == IGNORED) return 0; /* as an emulator that ignores advice does */
    if (kernel == REAL) return (int)syscall(SYS_madvise, at, size, what);
    errno = EINVAL; /* as Linux before 4.14 does */
    return -1;
}

/* The parent's reserved numbers must not be used by the child. */
static bool can_protect(nacre_context *ctx)
{
    uint8_t buf[128];
    nacre_bytes out;
    nacre_request_id id;
    const nacre_message get = { .type = NACRE_CON, .code = NACRE_GET };
    return nacre_protect_request(ctx, test_crypto(), &id, &out, NACRE_BUF(buf), &get, NULL) == NACRE_OK;
}

static void expect_wiped_in_child(nacre_context *ctx)
{
    assert_true(can_protect(ctx));
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(can_protect(ctx) ? 1 : nacre_context_aead(ctx) != NULL ? 2 : 0);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(can_protect(ctx)); /* the parent goes on */
}

static void directory(void)
{
    char *scratch = scratch_make();
    nacre_directory *dir[2];
    nacre_directory_info info;
    for (size_t i = 0; i < 2; i++) {
        fleet_describe(&info, i);
        const char *path = scratch_path(scratch, i == 0 ? "device" : "another");
        assert_ok(nacre_directory_create(path, &info, NULL));
        assert_ok(nacre_directory_open(&dir[i], path, test_crypto(), NULL));
        const nacre_store store = nacre_directory_store(dir[i]);
        assert_ok(nacre_store_serve(&store, nacre_directory_context(dir[i]), NULL));
    }
    expect_wiped_in_child(nacre_directory_context(dir[0]));
    expect_wiped_in_child(nacre_directory_context(dir[1]));
    assert_ok(nacre_directory_close(dir[0], NULL)); /* the other one stays protected */
    expect_wiped_in_child(nacre_directory_context(dir[1]));
    assert_ok(nacre_directory_close(dir[1], NULL));
    scratch_remove(scratch);
}

static void database(void)
{
    if (!nacre_sqlite_is_built()) {
        print_message("SKIPPED for databases: this build has no SQLite\n");
        return;
    }
    char *scratch = scratch_make();
    const char *path = scratch_path(scratch, "fleet.db");
    nacre_sqlite *db;
    nacre_directory_info infos[2];
    for (size_t i = 0; i < 2; i++) fleet_describe(&infos[i], i);
    fleet_database(path, infos, 2);
    assert_ok(nacre_sqlite_open(&db, path, NULL, test_crypto(), NULL));
    for (int64_t id = 1; id <= 2; id++) {
        nacre_context *ctx = NULL;
        assert_ok(nacre_sqlite_load(db, &ctx, &id, 1, NULL));
        const nacre_store store = nacre_sqlite_store(ctx);
        assert_ok(nacre_store_serve(&store, ctx, NULL));
        expect_wiped_in_child(ctx);
    }
    assert_ok(nacre_sqlite_close(db, NULL));
    scratch_remove(scratch);
}

/* The positive case: the kernel wipes, or the fallback applies. */
static void a_child_uses_no_context_where_the_kernel_decides(void **state)
{
    (void)state;
    kernel = REAL;
    directory();
    database();
}

/* Linux before 4.14, and other systems. */
static void a_child_uses_no_context_where_the_kernel_refuses_to_wipe(void **state)
{
    (void)state;
    kernel = REFUSED;
    directory();
    database();
}

/* qemu-user before 8.0. */
static void a_child_uses_no_context_where_advice_is_accepted_and_ignored(void **state)
{
    (void)state;
    kernel = IGNORED;
    directory();
    database();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_child_uses_no_context_where_the_kernel_decides),
        TEST(a_child_uses_no_context_where_the_kernel_refuses_to_wipe),
        TEST(a_child_uses_no_context_where_advice_is_accepted_and_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
