/* SPDX-License-Identifier: MIT */
/* Labels: linux */
/* serve_file_test: a file that changes at each moment in which it is read. */
#include "scratch.h"
#include "serve_files.h"
#include "support.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int num_changes; /* still to come, one at each fstat */
static off_t len_after; /* … each leaves the file this long */

/* In place of the C library's: the file changes before it answers. */
int fstat(int fd, struct stat *st)
{
    static long ticks;
    if (num_changes > 0) {
        num_changes--;
        ticks++;
        (void)!ftruncate(fd, len_after);
    }
    if (fstatat(fd, "", st, AT_EMPTY_PATH) != 0) return -1;
    st->st_mtim.tv_sec += ticks;
    return 0;
}

/* Of another file of the tool: any Content-Format is accepted. */
bool serve_accepts(const nacre_request *request, nacre_response *response, unsigned format)
{
    (void)request, (void)response, (void)format;
    return true;
}

typedef struct served {
    uint8_t code;
    char text[64];
    size_t len;
    nacre_err err; /* of reading the body */
} served;

/* Serves the file, which is changed `changes` times meanwhile. */
static served serve(int changes)
{
    char *scratch = scratch_make();
    uint8_t options[64];
    serve_root root = { .crypto = *test_crypto() };
    const nacre_message message = { .code = NACRE_GET };
    const nacre_request request = { .message = &message };
    nacre_response response = { 0 };
    served a = { 0 };
    struct stat st;
    scratch_write(scratch, "file", "0123456789");
    const int fd = open(scratch_path(scratch, "file"), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    nacre_options_init(&response.options, NACRE_BUF(options));
    num_changes = changes;
    serve_respond_file(&root, fd, &st, "file", &request, &response);
    a.code = response.code;
    const nacre_buf buf = { (uint8_t *)a.text, (size_t)response.source.size };
    a.err = response.source.read(response.source.user, 0, buf, &a.len);
    num_changes = 0;
    response.done(response.source.user);
    scratch_remove(scratch);
    return a;
}

static void a_file_at_rest_is_served(void **state)
{
    (void)state;
    len_after = 10;
    const served a = serve(0);
    assert_int_equal(a.code, NACRE_CONTENT);
    assert_ok(a.err);
    assert_int_equal(a.len, 10);
    assert_string_equal(a.text, "0123456789");
}

static void a_file_that_changes_all_the_time_is_served_too(void **state)
{
    (void)state;
    len_after = 10;
    const served a = serve(1000);
    assert_int_equal(a.code, NACRE_CONTENT);
    assert_ok(a.err);
    assert_string_equal(a.text, "0123456789");
}

static void a_file_that_is_cut_while_it_is_read_has_its_new_length(void **state)
{
    (void)state;
    len_after = 4;
    const served a = serve(1000);
    assert_int_equal(a.code, NACRE_CONTENT);
    assert_ok(a.err);
    assert_int_equal(a.len, 4);
    assert_string_equal(a.text, "0123");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_at_rest_is_served),
        cmocka_unit_test(a_file_that_changes_all_the_time_is_served_too),
        cmocka_unit_test(a_file_that_is_cut_while_it_is_read_has_its_new_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
