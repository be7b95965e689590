/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* foreign_writer_test: while nacre has a directory open, another program, which knows only the file `lock`, removes it,
 * continues from the state and leaves. Whatever the order of writes and closes, and with the state behind a link for a
 * while: no number is sent twice, and nacre stops after each takeover. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "directory_send.h"
#include "scratch.h"
#include "support.h"

enum { MAX_NUMBERS = 1 << 18, SEEDS = 60, STEPS = 120 };

static char *scratch, dir_path[4200];
static bool sent[MAX_NUMBERS];
static nacre_directory *dir; /* NULL: not opened by nacre */
static bool taken;           /* the other program used the directory since nacre opened it */
static struct {
    unsigned numbers, takeovers, stops, links;
} counted;

static void on_the_wire(uint64_t number)
{
    assert_true(number < MAX_NUMBERS);
    if (sent[number]) fail_msg("number %d was used twice", (int)number);
    sent[number] = true;
    counted.numbers++;
}

/* ---- nacre ---- */

static void close_it(void)
{
    nacre_detail why;
    nacre_err err = dir != NULL ? nacre_directory_close(dir, &why) : NACRE_OK;
    if (!taken) assert_ok(err);
    if (err != NACRE_OK) assert_err(err, NACRE_ERR_LOCKED);
    dir = NULL;
    taken = false;
}

static void open_it(void)
{
    nacre_detail why;
    if (dir == NULL && nacre_directory_open(&dir, dir_path, test_crypto(), &why) != NACRE_OK) fail_msg("%s", why.text);
}

static void send_some(unsigned num)
{
    const nacre_context *ctx = nacre_directory_context(dir);
    for (unsigned i = 0; i < num; i++) {
        uint64_t number;
        nacre_err served;
        const nacre_err err = directory_send(dir, &number, &served);
        if (served != NACRE_OK) {
            assert_err(served, NACRE_ERR_LOCKED);
            assert_true(taken && nacre_context_is_stopped(ctx));
            counted.stops++;
        }
        if (nacre_context_is_stopped(ctx)) {
            assert_err(err, NACRE_ERR_CONTEXT_UNAVAILABLE);
            return;
        }
        assert_ok(err);
        on_the_wire(number);
    }
}

static void save(void)
{
    const nacre_store store = nacre_directory_store(dir);
    nacre_err err = nacre_store_save(&store, nacre_directory_context(dir), NULL);
    if (err != NACRE_OK) assert_true(taken && err == NACRE_ERR_LOCKED);
}

/* ---- The other program ---- */

static void put_state(unsigned long long next)
{
    char text[100], to[4300];
    snprintf(text, sizeof text, "{\"next-to-send\": %llu, \"received\": \"unknown\"}", next);
    scratch_write(dir_path, "new", text);
    snprintf(to, sizeof to, "%s", scratch_path(dir_path, "sequence.json"));
    assert_int_equal(rename(scratch_path(dir_path, "new"), to), 0);
}

static void take_over(unsigned num)
{
    unsigned long long next = 0;
    if (dir != NULL) (void)unlink(scratch_path(dir_path, "lock")); /* an earlier takeover may have stopped it */
    int fd = open(scratch_path(dir_path, "lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    char *text = scratch_read(dir_path, "sequence.json");
    if (text != NULL) assert_int_equal(sscanf(text, "{\"next-to-send\": %llu", &next), 1);
    free(text);
    put_state(next + num);
    for (unsigned i = 0; i < num; i++) on_the_wire(next + i);
    scratch_unlink(dir_path, "lock");
    close(fd);
    taken = taken || dir != NULL;
    counted.takeovers++;
}

/* For a while the state is a symbolic link to itself in another directory: it is neither read nor replaced. */
static void link_the_state(void)
{
    char aside[4300], name[4300];
    struct stat st;
    nacre_directory *other = NULL;
    close_it();
    snprintf(aside, sizeof aside, "%s", scratch_path(scratch, "aside"));
    snprintf(name, sizeof name, "%s", scratch_path(dir_path, "sequence.json"));
    if (rename(name, aside) != 0) return;
    assert_int_equal(symlink(aside, name), 0);
    assert_err(nacre_directory_open(&other, dir_path, test_crypto(), NULL), NACRE_ERR_BAD_CONTEXT);
    assert_true(lstat(name, &st) == 0 && S_ISLNK(st.st_mode));
    assert_int_equal(rename(aside, name), 0);
    counted.links++;
}

static void step(uint64_t *seed)
{
    const uint64_t r = test_random(seed);
    const unsigned num = 1 + (unsigned)(r >> 32) % 30;
    switch (r % 12) {
    case 0: take_over(num); break;
    case 1: close_it(); break;
    case 2: link_the_state(); break;
    case 3:
        open_it();
        save();
        break;
    default: open_it(); send_some(num);
    }
}

static void no_number_is_used_twice_by_two_programs(void **state)
{
    (void)state;
    for (uint64_t first = 1; first <= SEEDS; first++) {
        uint64_t seed = first;
        scratch = scratch_make();
        scratch_mkdir(scratch, "device");
        snprintf(dir_path, sizeof dir_path, "%s", scratch_path(scratch, "device"));
        scratch_write(dir_path, "secret.json", "{\"secret_hex\": \"0102030405060708090a0b0c0d0e0f10\"}");
        scratch_write(dir_path, "settings.json", "{\"sender-id_hex\": \"01\", \"recipient-id_hex\": \"\"}");
        memset(sent, 0, sizeof sent);
        for (int i = 0; i < STEPS; i++) step(&seed);
        close_it();
        scratch_remove(scratch);
    }
    print_message("           %u numbers, %u takeovers, %u stops, %u links\n", counted.numbers, counted.takeovers,
                  counted.stops, counted.links);
    assert_true(counted.numbers > 10000 && counted.takeovers > 100 && counted.stops > 50 && counted.links > 50);
}

int main(void)
{
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    const struct CMUnitTest tests[] = { cmocka_unit_test_teardown(no_number_is_used_twice_by_two_programs,
                                                                  test_release) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
