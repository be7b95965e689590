/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* directory_test: the state on disk of an open context directory stays true through use, failing writes and killed
 * processes. */
#include "directories.h"
#include "write_points.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The life of a directory ---- */

static void an_unused_directory_stays_as_it_is(void **state)
{
    struct fixture *f = *state;
    close_ok(open_ok(f, f->client));
    assert_false(scratch_exists(f->client, "sequence.json"));
    scratch_write(f->client, "sequence.json", "{ \"next-to-send\":7,\"received\":{\"index\":null,\"bitfield\":null} }");
    close_ok(open_ok(f, f->client));
    scratch_expect(f->client, "sequence.json",
                   "{ \"next-to-send\":7,\"received\":{\"index\":null,\"bitfield\":null} }");
    assert_int_equal(nacre_directory_close(NULL, NULL), NACRE_OK);
    nacre_directory *dir = open_ok(f, f->server);
    assert_string_equal(nacre_directory_path(dir), f->server);
    close_ok(dir);
}

/* RFC 8613 B.1.1, B.1.2: while in use the state has reserved numbers and an unknown window; after a clean end it is
 * exact. */
static void the_state_is_pessimistic_in_between(void **state)
{
    struct fixture *f = *state;
    nacre_directory *client = open_ok(f, f->client), *server = open_ok(f, f->server);
    uint8_t bufs[3][64];
    nacre_bytes requests[3];

    assert_int_equal(protect(f, client, &requests[0], NACRE_BUF(bufs[0])), NACRE_ERR_NOT_YET);
    assert_false(scratch_exists(f->client, "sequence.json"));
    assert_int_equal(serve(client, NULL), NACRE_OK);
    scratch_expect(f->client, "sequence.json", STATE("10", EMPTY));
    for (size_t i = 0; i < 3; i++) assert_int_equal(protect(f, client, &requests[i], NACRE_BUF(bufs[i])), NACRE_OK);
    scratch_expect(f->client, "sequence.json", STATE("10", EMPTY));

    assert_int_equal(unprotect(f, server, requests[0]), NACRE_ERR_NOT_YET);
    assert_false(scratch_exists(f->server, "sequence.json"));
    assert_int_equal(serve(server, NULL), NACRE_OK);
    scratch_expect(f->server, "sequence.json", STATE("10", UNKNOWN)); /* both are persisted at once */
    assert_int_equal(unprotect(f, server, requests[0]), NACRE_OK);
    assert_int_equal(unprotect(f, server, requests[0]), NACRE_ERR_REPLAY);
    assert_int_equal(unprotect(f, server, requests[2]), NACRE_OK);

    struct stat st;
    assert_int_equal(stat(scratch_path(f->server, "sequence.json"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    close_ok(client);
    close_ok(server);
    scratch_expect(f->client, "sequence.json", STATE("3", EMPTY));
    scratch_expect(f->server, "sequence.json", STATE("0", "{\"index\": 0, \"bitfield\": 5}"));
    assert_int_equal(scratch_count(f->client, ".sequence-"), 0);

    server = open_ok(f, f->server);
    assert_int_equal(accept_request(f, server, requests[0]), NACRE_ERR_REPLAY); /* also across runs */
    assert_int_equal(accept_request(f, server, requests[2]), NACRE_ERR_REPLAY);
    assert_int_equal(accept_request(f, server, requests[1]), NACRE_OK);
    close_ok(server);
    scratch_expect(f->server, "sequence.json", STATE("0", "{\"index\": 0, \"bitfield\": 7}"));
}

static void an_unknown_window_stays_unknown(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[64];
    nacre_bytes request;
    nacre_directory *client = open_ok(f, f->client);
    assert_int_equal(serve(client, NULL), NACRE_OK);
    assert_int_equal(protect(f, client, &request, NACRE_BUF(buf)), NACRE_OK);
    close_ok(client);
    scratch_write(f->server, "sequence.json", STATE("0", UNKNOWN));
    nacre_directory *server = open_ok(f, f->server);
    assert_int_equal(accept_request(f, server, request), NACRE_ERR_REPLAY_ECHO); /* so the request has an Echo value */
    assert_int_equal(serve(server, NULL), NACRE_OK);
    scratch_expect(f->server, "sequence.json", STATE("10", UNKNOWN));
    close_ok(server);
    scratch_expect(f->server, "sequence.json", STATE("0", UNKNOWN));
}

static void numbers_end_after_the_last_one(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[64];
    nacre_bytes out;
    scratch_write(f->client, "sequence.json", STATE("1099511627775", EMPTY));
    nacre_directory *dir = open_ok(f, f->client);
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_OK);
    assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_ERR_CONTEXT_UNAVAILABLE);
    close_ok(dir);
    scratch_expect(f->client, "sequence.json", STATE("1099511627776", EMPTY));
    dir = open_ok(f, f->client);
    assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_ERR_CONTEXT_UNAVAILABLE);
    close_ok(dir);
}

static void the_working_directory_may_change(void **state)
{
    struct fixture *f = *state;
    char *old = getcwd(NULL, 0);
    assert_int_equal(chdir(f->dir), 0);
    nacre_directory *dir = open_ok(f, "client");
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    close_ok(dir);
    assert_int_equal(chdir(old), 0);
    free(old);
    scratch_expect(f->client, "sequence.json", STATE("0", EMPTY));
}

/* ---- Failing writes ---- */

/* fsync of the file, rename and fsync of the directory fail once each: nothing is confirmed, no temporary file is left,
 * and the next attempt succeeds. */
static void a_failed_write_confirms_nothing(void **state)
{
    struct fixture *f = *state;
    static const char *const steps[] = { "make durable (fsync)", "replace (rename)",
                                         "make the directory durable (fsync)" };
    for (unsigned step = 1; step <= 3; step++) {
        uint8_t buf[64];
        nacre_bytes out;
        nacre_detail why = { "" };
        if (scratch_exists(f->client, "sequence.json")) scratch_unlink(f->client, "sequence.json");
        nacre_directory *dir = open_ok(f, f->client);
        points.calls = 0;
        points.fail_at = step;
        assert_int_equal(serve(dir, &why), NACRE_ERR_FILE);
        if (strstr(why.text, steps[step - 1]) == NULL || strstr(why.text, strerror(EIO)) == NULL)
            fail_msg("step %u: %s", step, why.text);
        assert_non_null(strstr(why.text, f->client));
        assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_ERR_NOT_YET);
        assert_int_equal(scratch_count(f->client, ".sequence-"), 0);
        if (step < 3) assert_false(scratch_exists(f->client, "sequence.json"));
        points.fail_at = 0;
        assert_int_equal(serve(dir, &why), NACRE_OK);
        scratch_expect(f->client, "sequence.json", STATE("10", EMPTY));
        assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_OK);
        close_ok(dir);
        scratch_expect(f->client, "sequence.json", STATE("1", EMPTY));
    }
}

static void a_failed_window_write_keeps_requests_waiting(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[64];
    nacre_bytes request;
    nacre_directory *client = open_ok(f, f->client), *server = open_ok(f, f->server);
    assert_int_equal(serve(client, NULL), NACRE_OK);
    assert_int_equal(protect(f, client, &request, NACRE_BUF(buf)), NACRE_OK);
    assert_int_equal(serve(server, NULL), NACRE_OK); /* the numbers */
    for (unsigned step = 1; step <= 3; step++) {
        assert_int_equal(unprotect(f, server, request), NACRE_ERR_NOT_YET);
        points.calls = 0;
        points.fail_at = step;
        assert_int_equal(serve(server, NULL), NACRE_ERR_FILE);
        points.fail_at = 0;
        assert_int_equal(unprotect(f, server, request), NACRE_ERR_NOT_YET);
    }
    assert_int_equal(serve(server, NULL), NACRE_OK);
    scratch_expect(f->server, "sequence.json", STATE("10", UNKNOWN));
    assert_int_equal(unprotect(f, server, request), NACRE_OK);
    close_ok(client);
    close_ok(server);
}

/* The rename succeeded and only its fsync failed: "unknown" may be on disk although the window is still known. The
 * close does not assume that the remembered state is on disk. */
static void a_half_done_write_is_overwritten(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[64];
    nacre_bytes request;
    nacre_directory *client = open_ok(f, f->client);
    assert_int_equal(serve(client, NULL), NACRE_OK);
    assert_int_equal(protect(f, client, &request, NACRE_BUF(buf)), NACRE_OK);
    close_ok(client);
    scratch_write(f->server, "sequence.json", STATE("0", EMPTY));
    nacre_directory *server = open_ok(f, f->server);
    nacre_store store = nacre_directory_store(server);
    points.calls = 0;
    points.fail_at = 3;
    assert_int_equal(store.ops->window_lost(store.self, NULL), NACRE_ERR_FILE);
    points.fail_at = 0;
    scratch_expect(f->server, "sequence.json", STATE("0", UNKNOWN));
    close_ok(server);
    scratch_expect(f->server, "sequence.json", STATE("0", EMPTY));
}

static void a_failed_close_leaves_the_pessimistic_state(void **state)
{
    struct fixture *f = *state;
    for (unsigned step = 1; step <= 2; step++) {
        uint8_t buf[64];
        nacre_bytes out;
        nacre_detail why = { "" };
        if (scratch_exists(f->client, "sequence.json")) scratch_unlink(f->client, "sequence.json");
        nacre_directory *dir = open_ok(f, f->client);
        assert_int_equal(serve(dir, &why), NACRE_OK);
        assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_OK);
        points.calls = 0;
        points.fail_at = step;
        assert_int_equal(nacre_directory_close(dir, &why), NACRE_ERR_FILE);
        points.fail_at = 0;
        assert_non_null(strstr(why.text, strerror(EIO)));
        scratch_expect(f->client, "sequence.json", STATE("10", EMPTY));
        assert_int_equal(scratch_count(f->client, ".sequence-"), 0);
        close_ok(open_ok(f, f->client)); /* unlocked nevertheless */
    }
}

static void a_removed_directory_is_an_error(void **state)
{
    struct fixture *f = *state;
    nacre_detail why = { "" };
    nacre_directory *dir = open_ok(f, f->client);
    scratch_unlink(f->client, "secret.json");
    scratch_unlink(f->client, "settings.json");
    scratch_unlink(f->client, "lock");
    assert_int_equal(rmdir(f->client), 0);
    assert_int_equal(serve(dir, &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, "cannot make a temporary file"));
    close_ok(dir); /* no number was used */
}

/* Left-over files of a key generation or a conversion are swept too: they may contain a secret. */
static void leftovers_of_a_crash_are_swept(void **state)
{
    struct fixture *f = *state;
    static const char *const ours[] = { ".sequence-abc234", ".secret-abc234", ".secrets-abc234", ".settings-abc234" };
    static const char *const others[] = { ".sequence-notours.json", "sequence-abc234", ".secret-abc2345" };
    for (size_t i = 0; i < 4; i++) scratch_write(f->client, ours[i], "half");
    for (size_t i = 0; i < 3; i++) scratch_write(f->client, others[i], "kept");
    close_ok(open_ok(f, f->client));
    for (size_t i = 0; i < 4; i++) assert_false(scratch_exists(f->client, ours[i]));
    for (size_t i = 0; i < 3; i++) assert_true(scratch_exists(f->client, others[i]));
}

/* An error about a state that cannot be written says what to do, and nothing is sent. */
static void errors_say_what_to_do(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int error;
        const char *advice;
    } rows[] = {
        { ENOSPC, "; make room on its file system" },
        { EDQUOT, "; make room on its file system" },
        { EROFS, "; mount its file system writable" },
        { EACCES, "; this user must be able to make files here" },
        { EPERM, "; this user must be able to make files here" },
        { EIO, "" },
    };
    nacre_directory *dir = open_ok(f, f->client);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (unsigned step = 1; step <= 3; step++) { /* fsync, rename, fsync of the directory */
            uint8_t buf[64];
            nacre_bytes out;
            nacre_detail why = { "" };
            char wanted[200];
            points.calls = 0;
            points.fail_at = step;
            points.error = rows[i].error;
            assert_int_equal(serve(dir, &why), NACRE_ERR_FILE);
            snprintf(wanted, sizeof wanted, ": %s%s", strerror(rows[i].error), rows[i].advice);
            if (strstr(why.text, wanted) == NULL || strstr(why.text, f->client) == NULL) fail_msg("%s", why.text);
            if (rows[i].advice[0] == '\0') assert_null(strchr(why.text, ';'));
            assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_ERR_NOT_YET);
        }
    memset(&points, 0, sizeof points);
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    close_ok(dir);
}

/* ---- Saving in between ---- */

static void a_save_in_between_writes_the_exact_state(void **state)
{
    struct fixture *f = *state;
    uint8_t bufs[2][64], buf[64];
    nacre_bytes requests[2], out;
    nacre_directory *client = open_ok(f, f->client), *server = open_ok(f, f->server);
    nacre_store client_store = nacre_directory_store(client), server_store = nacre_directory_store(server);
    assert_int_equal(serve(client, NULL), NACRE_OK);
    assert_int_equal(protect(f, client, &requests[0], NACRE_BUF(bufs[0])), NACRE_OK);
    /* by the function, and by the table: the context reserves again before it goes on */
    assert_int_equal(nacre_store_save(&client_store, nacre_directory_context(client), NULL), NACRE_OK);
    scratch_expect(f->client, "sequence.json", STATE("1", EMPTY));
    assert_int_equal(protect(f, client, &requests[1], NACRE_BUF(bufs[1])), NACRE_ERR_NOT_YET);
    assert_int_equal(serve(client, NULL), NACRE_OK);
    scratch_expect(f->client, "sequence.json", STATE("21", EMPTY));
    assert_int_equal(protect(f, client, &requests[1], NACRE_BUF(bufs[1])), NACRE_OK);
    assert_int_equal(client_store.ops->save(client_store.self, nacre_directory_context(client), NULL), NACRE_OK);
    scratch_expect(f->client, "sequence.json", STATE("2", EMPTY));
    assert_int_equal(protect(f, client, &out, NACRE_BUF(buf)), NACRE_ERR_NOT_YET);

    assert_int_equal(accept_request(f, server, requests[0]), NACRE_OK);
    scratch_expect(f->server, "sequence.json", STATE("10", UNKNOWN));
    assert_int_equal(nacre_store_save(&server_store, nacre_directory_context(server), NULL), NACRE_OK);
    scratch_expect(f->server, "sequence.json", STATE("0", "{\"index\": 0, \"bitfield\": 1}"));
    assert_int_equal(unprotect(f, server, requests[1]), NACRE_ERR_NOT_YET);
    assert_int_equal(serve(server, NULL), NACRE_OK);
    scratch_expect(f->server, "sequence.json", STATE("20", UNKNOWN));
    assert_int_equal(unprotect(f, server, requests[1]), NACRE_OK);
    close_ok(client);
    close_ok(server);
    scratch_expect(f->server, "sequence.json", STATE("0", "{\"index\": 0, \"bitfield\": 3}"));
}

/* A save whose fsync failed may leave less on disk than is remembered: it is overwritten before the context goes on. */
static void a_half_done_save_is_overwritten(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[64];
    nacre_bytes out;
    nacre_directory *dir = open_ok(f, f->client);
    nacre_store store = nacre_directory_store(dir);
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_OK);
    for (unsigned step = 1; step <= 3; step++) {
        points.calls = 0;
        points.fail_at = step;
        assert_int_equal(nacre_store_save(&store, nacre_directory_context(dir), NULL), NACRE_ERR_FILE);
        points.fail_at = 0;
        if (step < 3) scratch_expect(f->client, "sequence.json", STATE("10", EMPTY));
        else scratch_expect(f->client, "sequence.json", STATE("1", EMPTY));
        assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_ERR_NOT_YET);
    }
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    scratch_expect(f->client, "sequence.json", STATE("21", EMPTY));
    assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_OK);
    close_ok(dir);
    scratch_expect(f->client, "sequence.json", STATE("2", EMPTY));
}

/* ---- Killed processes ---- */

/* In a child that ends at write point `exit_at`: opens, uses numbers, sends each to the parent before going on, and
 * closes. */
static void use_numbers(struct fixture *f, int pipe_fd, unsigned exit_at, bool exit_after)
{
    uint8_t buf[64];
    nacre_bytes out;
    nacre_directory *dir = NULL;
    memset(&points, 0, sizeof points);
    points.exit_at = exit_at;
    points.exit_after = exit_after;
    if (nacre_directory_open(&dir, f->client, &f->crypto, NULL) != NACRE_OK) _exit(1);
    for (int i = 0; i < 25; i++) {
        uint64_t number = nacre_context_next_seq(nacre_directory_context(dir));
        if (serve(dir, NULL) != NACRE_OK) _exit(2);
        if (protect(f, dir, &out, NACRE_BUF(buf)) != NACRE_OK) _exit(3);
        if (write(pipe_fd, &number, sizeof number) != (ssize_t)sizeof number) _exit(4);
    }
    if (nacre_directory_close(dir, NULL) != NACRE_OK) _exit(5);
    _exit(0);
}

/* Killed before and after every write point, one run after the other on one directory, no process uses a number
 * twice. */
static void no_number_is_used_twice(void **state)
{
    struct fixture *f = *state;
    uint64_t next_free = 0;
    unsigned killed = 0;
    for (unsigned run = 0; run < 40; run++) {
        int fds[2], status = 0;
        assert_int_equal(pipe(fds), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) use_numbers(f, fds[1], run / 2 % 16 + 1, run % 2 != 0);
        close(fds[1]);
        for (uint64_t number; read(fds[0], &number, sizeof number) == (ssize_t)sizeof number; next_free = number + 1)
            assert_true(number >= next_free);
        close(fds[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9);
        if (WEXITSTATUS(status) == 9) killed++;
        if (WEXITSTATUS(status) == 0) { /* a clean end skips none */
            nacre_directory_info info;
            assert_int_equal(nacre_directory_read(&info, f->client, false, NULL), NACRE_OK);
            assert_true(info.next_to_send == next_free);
        }
    }
    assert_true(killed >= 20);
    assert_true(next_free >= 25);
}

static void receive(struct fixture *f, const nacre_bytes *requests, size_t num, int pipe_fd, unsigned exit_at,
                    bool exit_after)
{
    nacre_directory *dir = NULL;
    memset(&points, 0, sizeof points);
    points.exit_at = exit_at;
    points.exit_after = exit_after;
    if (nacre_directory_open(&dir, f->server, &f->crypto, NULL) != NACRE_OK) _exit(1);
    for (size_t i = 0; i < num; i++) {
        nacre_err err = accept_request(f, dir, requests[i]);
        uint8_t number = (uint8_t)i;
        if (err == NACRE_OK && write(pipe_fd, &number, 1) != 1) _exit(4);
        if (err != NACRE_OK && err != NACRE_ERR_REPLAY && err != NACRE_ERR_REPLAY_ECHO) _exit(6);
    }
    if (nacre_directory_close(dir, NULL) != NACRE_OK) _exit(5);
    _exit(0);
}

/* No received request is accepted twice, wherever the server is killed. */
static void no_request_is_accepted_twice(void **state)
{
    struct fixture *f = *state;
    enum { NUM = 12 };
    uint8_t bufs[NUM][64];
    nacre_bytes requests[NUM];
    nacre_directory *client = open_ok(f, f->client);
    for (size_t i = 0; i < NUM; i++) {
        assert_int_equal(serve(client, NULL), NACRE_OK);
        assert_int_equal(protect(f, client, &requests[i], NACRE_BUF(bufs[i])), NACRE_OK);
    }
    close_ok(client);
    for (unsigned first = 1; first <= 12; first++) {
        bool accepted[NUM] = { false };
        if (scratch_exists(f->server, "sequence.json")) scratch_unlink(f->server, "sequence.json");
        for (unsigned run = 0; run < 4; run++) {
            int fds[2], status = 0;
            assert_int_equal(pipe(fds), 0);
            pid_t child = fork();
            assert_true(child >= 0);
            /* killed somewhere in the first run, later, or not at all */
            if (child == 0) receive(f, requests, 3 + 3 * run, fds[1], run == 3 ? 0 : first + run, first % 2 != 0);
            close(fds[1]);
            for (uint8_t number; read(fds[0], &number, 1) == 1;) {
                assert_false(accepted[number]);
                accepted[number] = true;
            }
            close(fds[0]);
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unused_directory_stays_as_it_is),
        TEST(the_state_is_pessimistic_in_between),
        TEST(an_unknown_window_stays_unknown),
        TEST(numbers_end_after_the_last_one),
        TEST(the_working_directory_may_change),
        TEST(a_failed_write_confirms_nothing),
        TEST(a_failed_window_write_keeps_requests_waiting),
        TEST(a_half_done_write_is_overwritten),
        TEST(a_failed_close_leaves_the_pessimistic_state),
        TEST(a_removed_directory_is_an_error),
        TEST(leftovers_of_a_crash_are_swept),
        TEST(errors_say_what_to_do),
        TEST(a_save_in_between_writes_the_exact_state),
        TEST(a_half_done_save_is_overwritten),
        TEST(no_number_is_used_twice),
        TEST(no_request_is_accepted_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
