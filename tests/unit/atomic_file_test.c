/* SPDX-License-Identifier: MIT */
/* atomic_file_test: a file is replaced as a whole or stays unchanged, and an uncertain outcome is reported. */
#include "directories.h"
#include "write_points.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/file/files.h"

/* fsync of the file, rename, fsync of the directory: only after the rename is it uncertain which text is on disk. */
static void a_failure_reports_whether_the_text_is_certain(void **state)
{
    struct fixture *f = *state;
    static const struct {
        unsigned fail_at;
        nacre_err err;
        bool uncertain;
        const char *text;
    } rows[] = {
        { 0, NACRE_OK, false, "new" },      { 1, NACRE_ERR_FILE, false, "old" }, { 2, NACRE_ERR_FILE, false, "old" },
        { 3, NACRE_ERR_FILE, true, "new" }, { 4, NACRE_OK, false, "new" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre__dirfd dirfd;
        nacre_detail why = { "" };
        bool uncertain = !rows[i].uncertain;
        scratch_write(f->client, "file.json", "old");
        assert_int_equal(nacre__dirfd_open(&dirfd, f->client, &why), NACRE_OK);
        points.calls = 0;
        points.fail_at = rows[i].fail_at;
        assert_int_equal(nacre__file_replace(&dirfd, "file.json", "new", &uncertain, &why), rows[i].err);
        points.fail_at = 0;
        assert_int_equal(uncertain, rows[i].uncertain);
        scratch_expect(f->client, "file.json", rows[i].text);
        assert_int_equal(scratch_count(f->client, ".file-"), 0);
        nacre__dirfd_close(&dirfd);
    }
}

static void an_abandoned_file_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    nacre__dirfd dirfd;
    nacre__new_file file;
    bool uncertain = true;
    struct stat st;
    assert_int_equal(nacre__dirfd_open(&dirfd, f->client, NULL), NACRE_OK);
    assert_int_equal(nacre__file_begin(&file, &dirfd, "file.json", NULL), NACRE_OK);
    assert_int_equal(scratch_count(f->client, ".file-"), 1);
    nacre__file_abandon(&file);
    assert_int_equal(scratch_count(f->client, ".file-"), 0);
    assert_false(scratch_exists(f->client, "file.json"));

    assert_int_equal(nacre__file_begin(&file, &dirfd, "file.json", NULL), NACRE_OK);
    assert_int_equal(nacre__file_commit(&file, "text", &uncertain, NULL), NACRE_OK);
    assert_false(uncertain);
    scratch_expect(f->client, "file.json", "text");
    assert_int_equal(stat(scratch_path(f->client, "file.json"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    nacre__dirfd_close(&dirfd);
}

/* The file identity written in the text is that of the file which is read back. */
static void a_file_keeps_its_identity(void **state)
{
    struct fixture *f = *state;
    nacre__dirfd dirfd;
    nacre__new_file file, second;
    nacre__file read;
    char identity[NACRE__FILE_IDENTITY_TEXT];
    bool found, uncertain;
    assert_int_equal(nacre__dirfd_open(&dirfd, f->client, NULL), NACRE_OK);
    assert_int_equal(nacre__file_begin(&file, &dirfd, "file.json", NULL), NACRE_OK);
    assert_int_equal(nacre__file_begin(&second, &dirfd, "file.json", NULL), NACRE_OK);
    if (file.identity[0] != '\0') assert_string_not_equal(file.identity, second.identity);
    nacre__file_abandon(&second);
    assert_int_equal(nacre__file_commit(&file, "text", &uncertain, NULL), NACRE_OK);
    assert_int_equal(nacre__file_read_identity(&read, identity, &found, &dirfd, "file.json", 100, NULL), NACRE_OK);
    assert_true(found);
    assert_string_equal(identity, file.identity);
    nacre__file_free(&read);
    assert_int_equal(nacre__file_read_identity(&read, identity, &found, &dirfd, "none.json", 100, NULL), NACRE_OK);
    assert_false(found);
    assert_string_equal(identity, "");
    nacre__dirfd_close(&dirfd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_failure_reports_whether_the_text_is_certain),
        TEST(an_abandoned_file_leaves_nothing),
        TEST(a_file_keeps_its_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
