/* SPDX-License-Identifier: MIT */
/* write_guard_test: each write of a state first checks that this process still owns it. If not, nothing is written,
 * then or later, and the context is stopped; without the interference the same steps succeed. */
#include "directories.h"
#include "interference.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- Changes by another program to an open directory ---- */

static void replace(const char *dir, const char *name, const char *text)
{
    char to[4400];
    scratch_write(dir, "new", text);
    snprintf(to, sizeof to, "%s", scratch_path(dir, name));
    assert_int_equal(rename(scratch_path(dir, "new"), to), 0);
}

static void do_nothing(const char *dir)
{
    (void)dir;
}
static void read_it(const char *dir)
{
    nacre_directory_info info;
    assert_int_equal(nacre_directory_read(&info, dir, false, NULL), NACRE_OK);
}
static void touch_it(const char *dir)
{
    assert_int_equal(chmod(scratch_path(dir, "sequence.json"), 0644), 0);
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(dir, "sequence.json"), NULL, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(dir, "lock"), NULL, 0), 0);
}
static void remove_lock(const char *dir)
{
    scratch_unlink(dir, "lock");
}
static void replace_lock(const char *dir)
{
    replace(dir, "lock", "");
}
static void make_lock_a_link(const char *dir)
{
    char aside[4400];
    snprintf(aside, sizeof aside, "%s", scratch_path(dir, "aside"));
    assert_int_equal(rename(scratch_path(dir, "lock"), aside), 0);
    assert_int_equal(symlink("aside", scratch_path(dir, "lock")), 0);
}
static void remove_state(const char *dir)
{
    scratch_unlink(dir, "sequence.json");
}
static void put_older_state_back(const char *dir)
{
    replace(dir, "sequence.json", STATE("0", EMPTY));
}
static void put_newer_state_there(const char *dir)
{
    replace(dir, "sequence.json", STATE("5000", UNKNOWN));
}
static void copy_state_over_itself(const char *dir)
{
    char *text = scratch_read(dir, "sequence.json");
    replace(dir, "sequence.json", text);
    free(text);
}
static void edit_state_in_place(const char *dir)
{
    char byte = ' '; /* one byte, and no more */
    int fd = open(scratch_path(dir, "sequence.json"), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &byte, 1, lseek(fd, 0, SEEK_END) - 1), 1);
    close(fd);
}
static void lengthen_state_in_place(const char *dir)
{
    int fd = open(scratch_path(dir, "sequence.json"), O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, " ", 1), 1);
    close(fd);
}
static void empty_state_in_place(const char *dir)
{
    scratch_write(dir, "sequence.json", "");
}
static void make_state_a_link(const char *dir)
{
    char aside[4400];
    snprintf(aside, sizeof aside, "%s", scratch_path(dir, "aside"));
    assert_int_equal(rename(scratch_path(dir, "sequence.json"), aside), 0);
    assert_int_equal(symlink("aside", scratch_path(dir, "sequence.json")), 0);
}
static void remove_both(const char *dir)
{
    remove_lock(dir);
    remove_state(dir);
}

typedef struct interference {
    const char *name, *told; /* told: part of the error; NULL: no error */
    void (*happen)(const char *dir);
} interference;

static const interference all[] = {
    { "nothing happens", NULL, do_nothing },
    { "it is read", NULL, read_it },
    { "modes and times change", NULL, touch_it },
    { "lock is removed", "client/lock: was removed", remove_lock },
    { "lock is replaced", "client/lock: was replaced", replace_lock },
    { "lock becomes a link to itself", "client/lock: was replaced", make_lock_a_link },
    { "the state is removed", "client/sequence.json: was removed", remove_state },
    { "an older state is put back", "client/sequence.json: was replaced", put_older_state_back },
    { "a newer state is put there", "client/sequence.json: was replaced", put_newer_state_there },
    { "the state is copied over itself", "client/sequence.json: was replaced", copy_state_over_itself },
    { "the state is edited in place", "client/sequence.json: was edited", edit_state_in_place },
    { "the state is made longer", "client/sequence.json: was edited", lengthen_state_in_place },
    { "the state is emptied", "client/sequence.json: was edited", empty_state_in_place },
    { "the state becomes a link to itself", "client/sequence.json: was replaced", make_state_a_link },
    { "lock and state are removed", "client/lock: was removed", remove_both },
};

/* ---- The next write ---- */

static nacre_err reserve_more(nacre_directory *dir, nacre_detail *why)
{
    nacre_store store = nacre_directory_store(dir);
    return store.ops->reserve(store.self, 4000, why);
}
static nacre_err lose_window(nacre_directory *dir, nacre_detail *why)
{
    nacre_store store = nacre_directory_store(dir);
    return store.ops->window_lost(store.self, why);
}
static nacre_err save(nacre_directory *dir, nacre_detail *why)
{
    nacre_store store = nacre_directory_store(dir);
    return nacre_store_save(&store, nacre_directory_context(dir), why);
}
static nacre_err (*const writes[])(nacre_directory *dir, nacre_detail *why) = { reserve_more, lose_window, save };
enum { NUM_WRITES = COUNT(writes) };

/* ---- The table ---- */

static void expect_stopped(struct fixture *f, nacre_directory *dir, nacre_bytes request)
{
    uint8_t buf[64];
    nacre_bytes out;
    nacre_stored state;
    nacre_store store = nacre_directory_store(dir);
    assert_true(nacre_context_is_stopped(nacre_directory_context(dir)));
    assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_ERR_CONTEXT_UNAVAILABLE); /* although reserved */
    assert_int_equal(accept_request(f, dir, request), NACRE_ERR_CONTEXT_UNAVAILABLE);
    assert_int_equal(nacre_store_load(&store, &state, NULL), NACRE_ERR_LOCKED);
}

/* Every later write fails with the same error, closing included, and late confirmations do not revive the context. */
static void expect_the_same_again(struct fixture *f, nacre_directory *dir, const nacre_detail *first)
{
    uint8_t buf[64];
    nacre_bytes out;
    nacre_detail again;
    for (size_t i = 0; i < NUM_WRITES; i++) {
        assert_int_equal(writes[i](dir, &again), NACRE_ERR_LOCKED);
        assert_string_equal(again.text, first->text);
        nacre_context_confirm_reserved(nacre_directory_context(dir), 100000);
        assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_ERR_CONTEXT_UNAVAILABLE);
    }
    assert_int_equal(nacre_directory_close(dir, &again), NACRE_ERR_LOCKED);
    assert_string_equal(again.text, first->text);
}

/* `write` NUM_WRITES: closing comes first. */
static void one_case(void *fixture, size_t row, size_t write)
{
    struct fixture *f = fixture;
    const interference *what = &all[row];
    uint8_t buf[64], request_buf[64];
    nacre_bytes out, request;
    nacre_detail why = { "" };
    nacre_directory *server = open_ok(f, f->server), *dir = open_ok(f, f->client);
    assert_int_equal(serve(server, NULL), NACRE_OK);
    assert_int_equal(protect(f, server, &request, NACRE_BUF(request_buf)), NACRE_OK);
    close_ok(server);
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_OK);
    what->happen(f->client);
    char *there = scratch_read(f->client, "sequence.json");
    nacre_err err = write < NUM_WRITES ? writes[write](dir, &why) : nacre_directory_close(dir, &why);
    assert_int_equal(err, what->told == NULL ? NACRE_OK : NACRE_ERR_LOCKED);
    if (what->told == NULL && write < NUM_WRITES) close_ok(dir);
    if (what->told != NULL) {
        interference_expect(&why, what->told);
        if (write < NUM_WRITES) expect_stopped(f, dir, request);
        if (write < NUM_WRITES) expect_the_same_again(f, dir, &why);
        char *then = scratch_read(f->client, "sequence.json");
        if (there != NULL) assert_string_equal(then, there);
        else assert_null(then);
        assert_int_equal(scratch_count(f->client, ".s"), 0);
        free(then);
    }
    free(there);
}

static const char *name_of(size_t row)
{
    return all[row].name;
}

static void a_state_that_is_not_ours_is_not_written(void **state)
{
    static const interference_table table = {
        COUNT(all), NUM_WRITES, name_of, directories_set_up, directories_tear_down, one_case,
    };
    (void)state;
    interference_run(&table);
}

/* ---- The first write after opening ---- */

static void put_a_state_there(const char *dir)
{
    scratch_write(dir, "sequence.json", STATE("7", EMPTY));
}

/* A directory that had no state when it was opened is new only as long as it has none. */
static void a_state_that_appears_is_not_overwritten(void **state)
{
    struct fixture *f = *state;
    nacre_detail why = { "" };
    nacre_directory *dir = open_ok(f, f->client);
    put_a_state_there(f->client);
    assert_int_equal(serve(dir, &why), NACRE_ERR_LOCKED);
    assert_non_null(strstr(why.text, "client/sequence.json: was made"));
    assert_int_equal(nacre_directory_close(dir, NULL), NACRE_ERR_LOCKED);
    scratch_expect(f->client, "sequence.json", STATE("7", EMPTY));
    close_ok(open_ok(f, f->client));
}

/* Saving with another context's numbers does not lower this one's. */
static void numbers_never_go_down(void **state)
{
    struct fixture *f = *state;
    nacre_detail why = { "" };
    scratch_write(f->client, "sequence.json", STATE("40", EMPTY));
    nacre_directory *dir = open_ok(f, f->client), *server = open_ok(f, f->server);
    nacre_store store = nacre_directory_store(dir);
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    assert_int_equal(store.ops->save(store.self, nacre_directory_context(server), &why), NACRE_ERR_LOCKED);
    assert_non_null(strstr(why.text, "would go down from 40 to 0"));
    assert_int_equal(nacre_directory_close(dir, NULL), NACRE_ERR_LOCKED);
    scratch_expect(f->client, "sequence.json", STATE("50", EMPTY));
    close_ok(server);
}

/* ---- A renamed directory is the same one ---- */

static void a_renamed_directory_goes_on(void **state)
{
    struct fixture *f = *state;
    nacre_directory *dir = open_ok(f, f->client);
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    assert_int_equal(rename(f->client, scratch_path(f->dir, "moved")), 0);
    scratch_mkdir(f->dir, "client"); /* another directory has its name */
    scratch_write(f->client, "sequence.json", "not ours");
    close_ok(dir);
    scratch_expect(f->client, "sequence.json", "not ours");
    scratch_expect(scratch_path(f->dir, "moved"), "sequence.json", STATE("0", EMPTY));
}

/* ---- Other processes ---- */

/* The steps of a program that locks `lock` only, as aiocoap does. */
static int use_as_aiocoap_does(const char *dir)
{
    int fd = open(scratch_path(dir, "lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) return 1;
    replace(dir, "sequence.json", STATE("900", EMPTY));
    return unlink(scratch_path(dir, "lock"));
}

static int use_as_nacre_does(const char *dir)
{
    nacre_crypto crypto;
    nacre_directory *opened = NULL;
    if (nacre_openssl_open(&crypto) != NACRE_OK) return 1;
    nacre_err err = nacre_directory_open(&opened, dir, &crypto, NULL);
    nacre_openssl_close(&crypto);
    return err == NACRE_ERR_LOCKED && opened == NULL ? 0 : 1;
}

static void in_another_process(int (*use)(const char *dir), const char *dir)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(use(dir));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_program_that_has_taken_over_keeps_its_numbers(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[64];
    nacre_bytes out;
    nacre_detail why = { "" };
    nacre_directory *dir = open_ok(f, f->client);
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_OK);
    scratch_unlink(f->client, "lock");
    in_another_process(use_as_nacre_does, f->client); /* is refused: the directory is locked as well */
    scratch_unlink(f->client, "lock");
    in_another_process(use_as_aiocoap_does, f->client);
    assert_int_equal(nacre_directory_close(dir, &why), NACRE_ERR_LOCKED);
    assert_non_null(strstr(why.text, "client/lock: was removed"));
    scratch_expect(f->client, "sequence.json", STATE("900", EMPTY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_that_is_not_ours_is_not_written),
        TEST(a_state_that_appears_is_not_overwritten),
        TEST(numbers_never_go_down),
        TEST(a_renamed_directory_goes_on),
        TEST(a_program_that_has_taken_over_keeps_its_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
