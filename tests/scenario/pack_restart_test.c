/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* pack_restart_test: processes open one pack, use its contexts, and are killed at any moment or close it in order. Over
 * all of them, no number is used twice and no request is accepted twice. */
#include <nacre/pack.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "packs.h"
#include "scratch.h"

enum { LIVES = 200, NUM = 400, USED = 5, MAX_NUMBERS = 1 << 20 };

static char *scratch, path[4096];
static uint8_t sent[USED][MAX_NUMBERS / 8], taken[USED][MAX_NUMBERS / 8];

typedef struct note {
    uint32_t context, accepted;
    uint64_t number;
} note;

static int to_parent;
static size_t present;

static void tell(uint32_t accepted, uint64_t number)
{
    note n = { (uint32_t)present, accepted, number };
    if (write(to_parent, &n, sizeof n) != sizeof n) _exit(9);
}

static void on_number(const nacre_context *ctx, uint64_t number)
{
    (void)ctx;
    tell(0, number);
}

/* The peer's request with that number, whether it sent one or not. */
static nacre_bytes request_number(nacre_context *peer, uint64_t number)
{
    static uint8_t buffer[256];
    static const uint8_t token[] = { 0x0a, 0x0b };
    nacre_message m = { NACRE_CON, NACRE_GET, 7, NACRE_ARRAY(token), NACRE_ABSENT, NACRE_ABSENT };
    nacre_request_id id;
    nacre_bytes out = NACRE_ABSENT;
    peer->next = number;
    if (nacre_protect_request(peer, test_crypto(), &id, &out, NACRE_BUF(buffer), &m, NULL) != NACRE_OK) _exit(7);
    return out;
}

static nacre_context *context_of(nacre_pack *pack, size_t used)
{
    return nacre_pack_context_at(pack, used * (NUM - 1) / (USED - 1));
}

/* In ascending order, so that a window taken from an older life would accept them. */
static void replay_the_last_life(nacre_pack *pack, nacre_context *peer, size_t used, int life)
{
    nacre_context *ctx = context_of(pack, used);
    nacre_store store = nacre_pack_store(pack, ctx);
    present = used;
    for (uint64_t step = 0; step < 60; step++) {
        uint64_t old = 1000 * (uint64_t)life + 2 * step;
        if (pack_replay(ctx, &store, request_number(peer, old)) == NACRE_OK) tell(1, old);
    }
}

/* One life; it closes in order after some steps unless it is killed before. */
static void live(int life)
{
    uint64_t seed = (uint64_t)life;
    nacre_context *peers[USED];
    nacre_pack *pack = pack_open(path);
    pack_on_number = on_number;
    for (size_t i = 0; i < USED; i++) {
        nacre_directory_info info;
        pack_describe(&info, i * (NUM - 1) / (USED - 1));
        peers[i] = pack_peer(&info);
    }
    replay_the_last_life(pack, peers[life % USED], (size_t)life % USED, life);
    for (int step = 0; step < 150; step++) {
        present = (size_t)(test_random(&seed) % USED);
        nacre_context *ctx = context_of(pack, present), *peer = peers[present];
        nacre_store store = nacre_pack_store(pack, ctx);
        if (test_random(&seed) % 2 == 0) {
            if (pack_try_to_send(ctx, &store) != NACRE_OK) _exit(8);
            continue;
        }
        if (test_random(&seed) % 2 == 0) { /* a peer's numbers only rise */
            peer->next = 1000 * (uint64_t)(life + 1) + 2 * (uint64_t)step;
            if (pack_request_one(peer, ctx, &store, NULL) == NACRE_OK) tell(1, nacre_context_next_seq(peer) - 1);
            continue;
        }
        uint64_t lives_ago = test_random(&seed) % 4,
                 base = lives_ago > (uint64_t)life ? 0 : (uint64_t)life + 1 - lives_ago;
        uint64_t old = 1000 * base + test_random(&seed) % (lives_ago == 0 ? 2 * (uint64_t)step + 2 : 300);
        if (pack_replay(ctx, &store, request_number(peer, old)) == NACRE_OK) tell(1, old);
    }
    pack_close(pack);
    _exit(0);
}

static bool mark(uint8_t *bits, uint64_t number)
{
    bool was = (bits[number / 8] >> number % 8 & 1) != 0;
    bits[number / 8] |= (uint8_t)(1u << number % 8);
    return !was;
}

static void killed_processes_reuse_no_number(void **state)
{
    (void)state;
    unsigned numbers = 0, accepted = 0, killed = 0;
    uint64_t seed = 1;
    for (int life = 0; life < LIVES; life++) {
        int ends[2], status = 0;
        note n;
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0) {
            (void)close(ends[0]);
            to_parent = ends[1];
            live(life);
        }
        (void)close(ends[1]);
        if (test_random(&seed) % 4 != 0) {
            (void)usleep((useconds_t)(test_random(&seed) % 4000));
            (void)kill(child, SIGKILL);
        }
        while (read(ends[0], &n, sizeof n) == (ssize_t)sizeof n) {
            assert_true(n.context < USED && n.number < MAX_NUMBERS);
            if (!mark(n.accepted ? taken[n.context] : sent[n.context], n.number))
                fail_msg("life %d: %s %llu of context %u twice", life, n.accepted ? "request" : "number",
                         (unsigned long long)n.number, (unsigned)n.context);
            if (n.accepted) accepted++;
            else numbers++;
        }
        (void)close(ends[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        killed += WIFSIGNALED(status);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    }
    assert_true(killed > LIVES / 8 && numbers > 1000 && accepted > 100);
    print_message("           %d lives, %u of them killed: %u numbers, %u requests accepted\n", (int)LIVES, killed,
                  numbers, accepted);
}

static int set_up(void **state)
{
    (void)state;
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.pack"));
    pack_make(path, NUM);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(scratch);
    return test_release(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(killed_processes_reuse_no_number, set_up,
                                                                        tear_down) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
