/* SPDX-License-Identifier: MIT */
/* directory_owner_test: directories in which a program may write its state and nothing else: secrets and settings
 * belong to another user, and the sticky bit prevents replacing other users' files. Needs root, to act as two users;
 * each attempt is a process that has dropped its privileges. */
#include "directories.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534, AS_IT_SHOULD_BE = 0 };

static void give(const char *dir, const char *name, uid_t uid, mode_t mode)
{
    const char *path = name != NULL ? scratch_path(dir, name) : dir;
    assert_int_equal(chown(path, uid, NOBODY), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void become_nobody(void)
{
    gid_t group = NOBODY;
    if (setgroups(1, &group) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0) _exit(100);
    if (setuid(0) == 0) _exit(101); /* the privileges cannot be regained */
}

/* Uses the directory as user `nobody`. Returns 0, or the step that failed: 1 opening, 2 the store, 3 closing. */
static int attempt(struct fixture *f, int numbers, nacre_detail *why)
{
    nacre_directory *dir = NULL;
    uint8_t buf[64];
    nacre_bytes out;
    if (nacre_directory_open(&dir, f->client, &f->crypto, why) != NACRE_OK) return 1;
    for (int i = 0; i < numbers; i++) {
        if (serve(dir, why) != NACRE_OK) {
            bool sends = protect(f, dir, &out, NACRE_BUF(buf)) == NACRE_OK;
            (void)!nacre_directory_close(dir, NULL);
            return sends ? 102 : 2;
        }
        if (protect(f, dir, &out, NACRE_BUF(buf)) != NACRE_OK) _exit(103);
    }
    return nacre_directory_close(dir, why) == NACRE_OK ? AS_IT_SHOULD_BE : 3;
}

static int use_as_nobody(struct fixture *f, int numbers, nacre_detail *why)
{
    int fds[2], status = 0;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        nacre_detail said = { "" };
        become_nobody();
        int result = attempt(f, numbers, &said);
        if (write(fds[1], &said, sizeof said) != (ssize_t)sizeof said) _exit(104);
        _exit(result);
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], why, sizeof *why), sizeof *why);
    close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* A directory of root in which user `nobody` may write its state only: 1777, secrets readable by the group. */
static void prepare(struct fixture *f)
{
    if (geteuid() != 0) skip();
    assert_int_equal(chmod(f->dir, 0755), 0);
    give(f->client, NULL, 0, 01777);
    give(f->client, "secret.json", 0, 0640);
    give(f->client, "settings.json", 0, 0640);
    if (scratch_exists(f->client, "sequence.json")) scratch_unlink(f->client, "sequence.json");
    if (scratch_exists(f->client, "lock")) scratch_unlink(f->client, "lock");
}

static void expect_owner(struct fixture *f, const char *name, uid_t uid)
{
    struct stat st;
    assert_int_equal(stat(scratch_path(f->client, name), &st), 0);
    assert_int_equal(st.st_uid, uid);
}

static void write_permission_for_the_state_alone_is_enough(void **state)
{
    struct fixture *f = *state;
    nacre_detail why;
    prepare(f);
    if (use_as_nobody(f, 3, &why) != AS_IT_SHOULD_BE) fail_msg("%s", why.text);
    scratch_expect(f->client, "sequence.json", STATE("3", EMPTY));
    if (use_as_nobody(f, 15, &why) != AS_IT_SHOULD_BE) fail_msg("%s", why.text);
    scratch_expect(f->client, "sequence.json", STATE("18", EMPTY));
    expect_owner(f, "secret.json", 0);
    expect_owner(f, "settings.json", 0);
    expect_owner(f, "sequence.json", NOBODY);
    scratch_expect(f->client, "secret.json", SECRET);
    assert_int_equal(scratch_count(f->client, ".sequence-"), 0);
}

/* A state that root created and changed the owner of, and left-over files of root: they are swept where that is
 * allowed, and do no harm otherwise. */
static void a_state_created_by_root_is_used(void **state)
{
    struct fixture *f = *state;
    nacre_detail why;
    prepare(f);
    scratch_write(f->client, "sequence.json", STATE("7", EMPTY));
    give(f->client, "sequence.json", NOBODY, 0600);
    scratch_write(f->client, ".sequence-abc234", "root's");
    if (use_as_nobody(f, 2, &why) != AS_IT_SHOULD_BE) fail_msg("%s", why.text);
    scratch_expect(f->client, "sequence.json", STATE("9", EMPTY));
    assert_true(scratch_exists(f->client, ".sequence-abc234"));
}

/* Each row is the first test's setup with one difference: what fails, and with which error text. */
static void missing_permissions_are_errors(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name; /* file owned by root; NULL: the directory itself */
        mode_t mode;
        int fails; /* as use_as_nobody */
        const char *says;
    } rows[] = {
        { "settings.json", 0640, AS_IT_SHOULD_BE, "" },
        { "lock", 0644, AS_IT_SHOULD_BE, "" }, /* read permission is enough */
        { "lock", 0600, 1, "client/lock: cannot lock: Permission denied; this user must be able to make files here" },
        { "sequence.json", 0644, 2,
          "client/sequence.json: cannot replace (rename): Operation not permitted; this user" },
        { "sequence.json", 0600, 1, "client/sequence.json: cannot read: Permission denied" },
        { "secret.json", 0600, 1, "client/secret.json: cannot read: Permission denied" },
        { NULL, 0755, 1, "client/lock: cannot lock: Permission denied; this user must be able to make files here" },
        { NULL, 0750, 1, "client/lock: cannot lock: Permission denied" },
        { NULL, 0700, 1, "client: cannot open directory: Permission denied" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre_detail why;
        prepare(f);
        if (rows[i].name != NULL && strcmp(rows[i].name, "lock") == 0) scratch_write(f->client, "lock", "");
        if (rows[i].name != NULL && strcmp(rows[i].name, "sequence.json") == 0)
            scratch_write(f->client, "sequence.json", STATE("0", EMPTY));
        give(f->client, rows[i].name, 0, rows[i].mode);
        int result = use_as_nobody(f, 1, &why);
        if (result != rows[i].fails || strstr(why.text, rows[i].says) == NULL)
            fail_msg("row %zu: %d, %s", i, result, why.text);
    }
}

/* The lock belongs to another user and no file can be created: no state can be kept, so nothing is sent. */
static void a_directory_without_write_permission_sends_nothing(void **state)
{
    struct fixture *f = *state;
    nacre_detail why;
    prepare(f);
    scratch_write(f->client, "lock", "");
    give(f->client, "lock", 0, 0644);
    scratch_write(f->client, "sequence.json", STATE("5", EMPTY));
    give(f->client, "sequence.json", NOBODY, 0600);
    give(f->client, NULL, 0, 0755);
    assert_int_equal(use_as_nobody(f, 1, &why), 2);
    assert_non_null(
        strstr(why.text, "client/sequence.json: cannot make a temporary file beside it: Permission denied; "));
    scratch_expect(f->client, "sequence.json", STATE("5", EMPTY));
}

int main(void)
{
    if (geteuid() != 0) {
        printf("skipped: only root can be two users\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        TEST(write_permission_for_the_state_alone_is_enough),
        TEST(a_state_created_by_root_is_used),
        TEST(missing_permissions_are_errors),
        TEST(a_directory_without_write_permission_sends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
