/* SPDX-License-Identifier: MIT */
/* atomic_file_test: a file is replaced as a whole or stays as it was, and what is not known of it is said. */
#include "directories.h"
#include "write_points.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/file/files.h"

/* fsync of the file, rename, fsync of the folder: only behind the rename it is uncertain which text is there. */
static void a_failure_says_what_is_certain(void **state)
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
        nacre__folder folder;
        nacre_detail why = { "" };
        bool uncertain = !rows[i].uncertain;
        scratch_write(f->client, "file.json", "old");
        assert_int_equal(nacre__folder_open(&folder, f->client, &why), NACRE_OK);
        points.calls = 0;
        points.fail_at = rows[i].fail_at;
        assert_int_equal(nacre__file_replace(&folder, "file.json", "new", &uncertain, &why), rows[i].err);
        points.fail_at = 0;
        assert_int_equal(uncertain, rows[i].uncertain);
        scratch_expect(f->client, "file.json", rows[i].text);
        assert_int_equal(scratch_count(f->client, ".file-"), 0);
        nacre__folder_close(&folder);
    }
}

static void an_abandoned_file_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    nacre__folder folder;
    nacre__new_file file;
    bool uncertain = true;
    struct stat st;
    assert_int_equal(nacre__folder_open(&folder, f->client, NULL), NACRE_OK);
    assert_int_equal(nacre__file_begin(&file, &folder, "file.json", NULL), NACRE_OK);
    assert_int_equal(scratch_count(f->client, ".file-"), 1);
    nacre__file_abandon(&file);
    assert_int_equal(scratch_count(f->client, ".file-"), 0);
    assert_false(scratch_exists(f->client, "file.json"));

    assert_int_equal(nacre__file_begin(&file, &folder, "file.json", NULL), NACRE_OK);
    assert_int_equal(nacre__file_commit(&file, "text", &uncertain, NULL), NACRE_OK);
    assert_false(uncertain);
    scratch_expect(f->client, "file.json", "text");
    assert_int_equal(stat(scratch_path(f->client, "file.json"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    nacre__folder_close(&folder);
}

/* The name that a file's text has for its file is that of the file which is then read. */
static void a_file_is_born_once(void **state)
{
    struct fixture *f = *state;
    nacre__folder folder;
    nacre__new_file file, second;
    nacre__file read;
    char born[NACRE__BORN_TEXT];
    bool found, uncertain;
    assert_int_equal(nacre__folder_open(&folder, f->client, NULL), NACRE_OK);
    assert_int_equal(nacre__file_begin(&file, &folder, "file.json", NULL), NACRE_OK);
    assert_int_equal(nacre__file_begin(&second, &folder, "file.json", NULL), NACRE_OK);
    if (file.born[0] != '\0') assert_string_not_equal(file.born, second.born);
    nacre__file_abandon(&second);
    assert_int_equal(nacre__file_commit(&file, "text", &uncertain, NULL), NACRE_OK);
    assert_int_equal(nacre__file_read_born(&read, born, &found, &folder, "file.json", 100, NULL), NACRE_OK);
    assert_true(found);
    assert_string_equal(born, file.born);
    nacre__file_free(&read);
    assert_int_equal(nacre__file_read_born(&read, born, &found, &folder, "none.json", 100, NULL), NACRE_OK);
    assert_false(found);
    assert_string_equal(born, "");
    nacre__folder_close(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_failure_says_what_is_certain),
        TEST(an_abandoned_file_leaves_nothing),
        TEST(a_file_is_born_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
