/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* restored_backup_test: snapshots of a directory, by copy or by hard links, are put back at random, as a whole or
 * sequence.json alone, while it is used, closed and killed. A refused state is adopted, and no number is sent twice. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "directory_send.h"
#include "scratch.h"
#include "support.h"

enum { SLOTS = 1 << 16, SEEDS = 20, STEPS = 80, SNAPSHOTS = 4 };

typedef struct world {
    uint64_t sent[SLOTS]; /* number + 1, hashed; shared with child processes that are killed */
    unsigned numbers, twice;
} world;

static world *w;
static char *scratch, dir_path[4200];
static struct {
    unsigned numbers, refused, put_back;
} counted;

static void on_the_wire(uint64_t number)
{
    size_t at = (size_t)((number ^ number >> 32) * 40503 % SLOTS);
    while (w->sent[at] != 0 && w->sent[at] != number + 1) at = (at + 1) % SLOTS;
    if (w->sent[at] != 0) w->twice++;
    w->sent[at] = number + 1;
    w->numbers++;
}

/* ---- Use ---- */

static nacre_directory *open_or_adopt(void)
{
    nacre_detail why = { "" };
    nacre_directory *dir = NULL;
    nacre_err err = nacre_directory_open(&dir, dir_path, test_crypto(), &why);
    if (err == NACRE_OK) return dir;
    if (err != NACRE_ERR_BAD_CONTEXT) fail_msg("%s", why.text);
    counted.refused++;
    if (nacre_directory_adopt(dir_path, NACRE_ROLE_NONE, 0, &why) != NACRE_OK) fail_msg("%s", why.text);
    assert_ok(nacre_directory_open(&dir, dir_path, test_crypto(), &why));
    return dir;
}

static void send_some(nacre_directory *dir, unsigned num)
{
    for (unsigned i = 0; i < num; i++) {
        uint64_t number;
        nacre_err served;
        const nacre_err err = directory_send(dir, &number, &served);
        if (served != NACRE_OK) _exit(1);
        if (err != NACRE_OK) _exit(2);
        on_the_wire(number);
    }
}

static void use_it(unsigned num, bool killed)
{
    nacre_directory_close(open_or_adopt(), NULL); /* refusals are counted here, not in the child */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        nacre_directory *dir = open_or_adopt();
        send_some(dir, num);
        _exit(!killed && nacre_directory_close(dir, NULL) != NACRE_OK ? 3 : 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- Snapshots ---- */

static const char *const names[] = { "secret.json", "settings.json", "sequence.json", "lock" };

static void copy_one(const char *from, const char *to, const char *name, bool linked)
{
    char a[4400], b[4400];
    snprintf(a, sizeof a, "%s/%s", from, name);
    snprintf(b, sizeof b, "%s/%s", to, name);
    (void)unlink(b);
    if (access(a, F_OK) != 0) return;
    if (linked) {
        assert_int_equal(link(a, b), 0);
        return;
    }
    char *text = scratch_read(from, name);
    scratch_write(to, name, text);
    free(text);
}

static void copy_all(const char *from, const char *to, bool linked)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) copy_one(from, to, names[i], linked);
}

static void path_of(char path[4300], unsigned number)
{
    snprintf(path, 4300, "%s/snapshot-%u", scratch, number);
}

static void take(unsigned number, bool linked)
{
    char path[4300];
    path_of(path, number);
    (void)mkdir(path, 0700);
    copy_all(dir_path, path, linked);
}

/* Puts back the whole directory, or sequence.json alone. */
static void put_back(unsigned number, bool whole, bool linked)
{
    char path[4300];
    struct stat st;
    path_of(path, number);
    if (stat(path, &st) != 0) return;
    counted.put_back++;
    if (!whole) {
        copy_one(path, dir_path, "sequence.json", linked);
        return;
    }
    scratch_remove(strdup(dir_path));
    assert_int_equal(mkdir(dir_path, 0700), 0);
    copy_all(path, dir_path, linked);
}

static void step(uint64_t *seed)
{
    const uint64_t r = test_random(seed);
    const unsigned num = 1 + (unsigned)(r >> 32) % 30, number = (unsigned)(r >> 40) % SNAPSHOTS;
    const bool linked = (r >> 50 & 1) != 0, whole = (r >> 51 & 1) != 0;
    switch (r % 8) {
    case 0: take(number, linked); break;
    case 1: put_back(number, whole, linked); break;
    case 2: use_it(num, true); break;
    default: use_it(num, false);
    }
}

/* On a file system without the metadata that identifies a copy, a copy is not detected (nacre_mark). */
static bool tells_copies(void)
{
    char *text = scratch_read(dir_path, "sequence.json");
    bool identity = strstr(text, "\"born\"") != NULL;
    free(text);
    return identity;
}

static void no_number_is_used_twice_whatever_is_put_back(void **state)
{
    (void)state;
    w = mmap(NULL, sizeof *w, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(w != MAP_FAILED);
    for (uint64_t first = 1; first <= SEEDS; first++) {
        uint64_t seed = first;
        scratch = scratch_make();
        scratch_mkdir(scratch, "device");
        snprintf(dir_path, sizeof dir_path, "%s", scratch_path(scratch, "device"));
        scratch_write(dir_path, "secret.json", "{\"secret_hex\": \"0102030405060708090a0b0c0d0e0f10\"}");
        scratch_write(dir_path, "settings.json", "{\"sender-id_hex\": \"01\", \"recipient-id_hex\": \"\"}");
        memset(w, 0, sizeof *w);
        use_it(1, false); /* before its first use a directory cannot be told from a copy: store.h */
        if (!tells_copies()) skip();
        for (int i = 0; i < STEPS; i++) {
            step(&seed);
            if (w->twice > 0) fail_msg("seed %d, step %d: a number was used twice", (int)first, i);
        }
        counted.numbers += w->numbers;
        scratch_remove(scratch);
    }
    (void)munmap(w, sizeof *w);
    print_message("           %u numbers, %u put back, %u refused and adopted\n", counted.numbers, counted.put_back,
                  counted.refused);
    assert_true(counted.numbers > 10000 && counted.put_back > 100 && counted.refused > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_teardown(no_number_is_used_twice_whatever_is_put_back,
                                                                  test_release) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
