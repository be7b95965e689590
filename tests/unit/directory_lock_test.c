/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* directory_lock_test: one process at a time has a directory open: the lock shared with aiocoap, and forks. */
#include "directories.h"
#include "store/lock/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Once, between opening and locking: the holder removes the file and ends, as aiocoap does; a third process may create
 * it again. */
static const char *removed_before_flock;
static bool made_anew;
static int directory_locks_fail_with; /* errno, or 0 */

int flock(int fd, int operation)
{
    struct stat st;
    if (directory_locks_fail_with != 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        errno = directory_locks_fail_with;
        return -1;
    }
    if (removed_before_flock != NULL) unlink(removed_before_flock);
    if (removed_before_flock != NULL && made_anew) close(open(removed_before_flock, O_CREAT | O_WRONLY, 0600));
    removed_before_flock = NULL;
    return (int)syscall(SYS_flock, fd, operation);
}

/* ---- The lock ---- */

static void a_directory_has_one_opener_at_a_time(void **state)
{
    struct fixture *f = *state;
    nacre_directory *dir = open_ok(f, f->client), *second = NULL;
    nacre_detail why = { "" };
    scratch_write(f->client, "lock", "not ours to change");
    assert_int_equal(nacre_directory_open(&second, f->client, &f->crypto, &why), NACRE_ERR_LOCKED);
    assert_non_null(strstr(why.text, "client/lock: "));
    assert_null(second);
    close_ok(dir);
    close_ok(open_ok(f, f->client));
    scratch_expect(f->client, "lock", "not ours to change"); /* never removed, never cut */
}

/* A process that holds the lock as aiocoap does, and reports when it has it. */
static pid_t lock_in_child(struct fixture *f, long hold_ms, bool unlink_first)
{
    int fds[2];
    char byte = 'x';
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd = open(scratch_path(f->client, "lock"), O_RDWR | O_CREAT, 0600);
        if (flock(fd, LOCK_EX) != 0 || write(fds[1], &byte, 1) != 1) _exit(1);
        struct timespec hold = { hold_ms / 1000, hold_ms % 1000 * 1000000 };
        nanosleep(&hold, NULL);
        if (unlink_first) unlink(scratch_path(f->client, "lock"));
        _exit(0);
    }
    assert_int_equal(read(fds[0], &byte, 1), 1);
    close(fds[0]);
    close(fds[1]);
    return child;
}

static void the_error_names_the_process_that_holds_the_lock(void **state)
{
    struct fixture *f = *state;
    nacre_directory *dir = NULL;
    nacre_detail why = { "" };
    char named[64];
    pid_t child = lock_in_child(f, 60000, false);
    assert_int_equal(nacre_directory_open(&dir, f->client, &f->crypto, &why), NACRE_ERR_LOCKED);
    snprintf(named, sizeof named, "process %ld uses this directory", (long)child);
    if (strstr(why.text, named) == NULL && strstr(why.text, "another process uses this directory") == NULL)
        fail_msg("%s", why.text);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close_ok(open_ok(f, f->client));
}

static void opening_waits_for_a_short_holder(void **state)
{
    struct fixture *f = *state;
    pid_t child = lock_in_child(f, 300, false);
    close_ok(open_ok(f, f->client));
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* The holder removes the file that an opener waits for: a lock on that file would exclude no other process. */
static void a_removed_lock_file_does_not_count(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        removed_before_flock = scratch_path(f->client, "lock");
        made_anew = i == 1;
        nacre_directory *dir = open_ok(f, f->client), *second = NULL;
        assert_null(removed_before_flock);
        assert_true(scratch_exists(f->client, "lock"));
        assert_int_equal(nacre_directory_open(&second, f->client, &f->crypto, NULL), NACRE_ERR_LOCKED);
        close_ok(dir);
    }
    pid_t child = lock_in_child(f, 300, true);
    nacre_directory *dir = open_ok(f, f->client), *second = NULL;
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(nacre_directory_open(&second, f->client, &f->crypto, NULL), NACRE_ERR_LOCKED);
    close_ok(dir);
}

/* Removing `lock` of an open directory does not let a second process in: the directory itself is locked as well. */
static void removing_the_lock_file_lets_no_second_process_in(void **state)
{
    struct fixture *f = *state;
    nacre_detail why = { "" };
    nacre__dirfd dirfd;
    nacre__guard guard = NACRE__GUARD_NONE;
    nacre_directory *dir = open_ok(f, f->client), *second = NULL;
    assert_int_equal(nacre__dirfd_open(&dirfd, f->client, &why), NACRE_OK);
    assert_int_equal(unlink(scratch_path(f->client, "lock")), 0);
    assert_int_equal(nacre_directory_open(&second, f->client, &f->crypto, &why), NACRE_ERR_LOCKED);
    assert_non_null(strstr(why.text, "client: this process has the directory open already"));
    assert_int_equal(nacre_directory_adopt(f->client, NACRE_ROLE_NONE, 5, &why), NACRE_ERR_LOCKED);
    assert_int_equal(nacre_directory_convert(f->client, NACRE_LAYOUT_LEGACY, NACRE_ROLE_CLIENT, &why),
                     NACRE_ERR_LOCKED);
    assert_int_equal(unlink(scratch_path(f->client, "lock")), 0); /* each of them created it again */
    assert_int_equal(nacre__lock_probe(&dirfd, &why), NACRE_ERR_LOCKED);
    (void)nacre_directory_close(dir, NULL);
    assert_int_equal(nacre__lock_probe(&dirfd, &why), NACRE_OK);
    assert_int_equal(nacre__lock_take(&dirfd, &guard, &why), NACRE_OK); /* the probe has released its lock */
    nacre__guard_release(&guard);
    nacre__dirfd_close(&dirfd);
    close_ok(open_ok(f, f->client));
}

/* Some file systems cannot lock directories; there the file alone protects. */
static void a_file_system_without_directory_locks_is_accepted(void **state)
{
    struct fixture *f = *state;
    static const int reasons[] = { EBADF, EINVAL, ENOLCK, ENOSYS, EOPNOTSUPP };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        nacre_directory *second = NULL;
        directory_locks_fail_with = reasons[i];
        nacre_directory *dir = open_ok(f, f->client);
        assert_int_equal(nacre_directory_open(&second, f->client, &f->crypto, NULL), NACRE_ERR_LOCKED);
        close_ok(dir);
    }
    nacre_directory *dir = NULL;
    directory_locks_fail_with = EIO;
    assert_int_equal(nacre_directory_open(&dir, f->client, &f->crypto, NULL), NACRE_ERR_FILE);
    directory_locks_fail_with = 0;
    close_ok(open_ok(f, f->client));
}

static void expect_no_lock(struct fixture *f)
{
    nacre_directory *dir = NULL;
    nacre_detail why = { "" };
    nacre__dirfd dirfd;
    assert_int_equal(nacre_directory_open(&dir, f->client, &f->crypto, &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, "lock: is not a regular file; remove it"));
    assert_int_equal(nacre__dirfd_open(&dirfd, f->client, NULL), NACRE_OK);
    assert_int_equal(nacre__lock_probe(&dirfd, &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, "lock: is not a regular file; remove it"));
    nacre__dirfd_close(&dirfd);
}

/* Something other than a regular file is refused as lock; following the error's advice helps. */
static void a_lock_that_is_no_regular_file_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(symlink("/dev/null", scratch_path(f->client, "lock")), 0);
    expect_no_lock(f);
    assert_int_equal(unlink(scratch_path(f->client, "lock")), 0);
    assert_int_equal(mkfifo(scratch_path(f->client, "lock"), 0600), 0);
    expect_no_lock(f);
    assert_int_equal(unlink(scratch_path(f->client, "lock")), 0);
    scratch_mkdir(f->client, "lock");
    expect_no_lock(f);
    assert_int_equal(rmdir(scratch_path(f->client, "lock")), 0);
    close_ok(open_ok(f, f->client));
}

/* After a fork, the child must neither reserve numbers nor overwrite the parent's newer state. */
static void a_forked_child_writes_nothing(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[64];
    nacre_bytes out;
    int status = 0;
    nacre_directory *dir = open_ok(f, f->client);
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* nor use the remaining numbers, which the parent uses */
        bool protects = protect(f, dir, &out, NACRE_BUF(buf)) == NACRE_OK;
        _exit(!protects && nacre_directory_close(dir, NULL) == NACRE_ERR_LOCKED ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_OK);
    scratch_expect(f->client, "sequence.json", STATE("10", EMPTY));
    close_ok(dir);
    scratch_expect(f->client, "sequence.json", STATE("2", EMPTY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_directory_has_one_opener_at_a_time),
        TEST(the_error_names_the_process_that_holds_the_lock),
        TEST(opening_waits_for_a_short_holder),
        TEST(a_removed_lock_file_does_not_count),
        TEST(removing_the_lock_file_lets_no_second_process_in),
        TEST(a_file_system_without_directory_locks_is_accepted),
        TEST(a_lock_that_is_no_regular_file_is_refused),
        TEST(a_forked_child_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
