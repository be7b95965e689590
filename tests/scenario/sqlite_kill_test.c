/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* sqlite_kill_test: a server with its contexts in a database is killed at random moments, over many lives. A log in shared memory
 * has every number that was sent: none comes twice; and every request that was accepted: none is accepted again. Contexts are
 * saved in batches, added, removed and revoked meanwhile. NACRE_PROVE=1 takes 1500 lives. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "databases.h"
#include "sampled.h"
#include "scratch.h"

enum { LIVES = 60, LIVES_TO_PROVE = 1500, NUM = 6, MAX_NUMBERS = 1 << 20, MAX_REQUESTS = 1 << 16 };

typedef struct wire {
    atomic_uchar sent[NUM][MAX_NUMBERS];
    atomic_uchar accepted[NUM][MAX_REQUESTS]; /* by the peer's number */
    atomic_uint peer_next[NUM];
    atomic_uint num_opened, num_sent, num_accepted, num_batches;
    atomic_int twice, again; /* violations */
} wire;

static wire *shared;
static char *scratch, path[4096];

static void on_number(const nacre_context *ctx, uint64_t number)
{
    const size_t i = (size_t)nacre_sqlite_id(ctx) - 1;
    if (i >= NUM || number >= MAX_NUMBERS) return;
    if (atomic_exchange(&shared->sent[i][number], 1) != 0) atomic_fetch_add(&shared->twice, 1);
    atomic_fetch_add(&shared->num_sent, 1);
}

/* The peer's numbers are in shared memory too: it lives on. */
static void request_one(nacre_context *ctx, nacre_context *peer, size_t i)
{
    const nacre_store store = nacre_sqlite_store(ctx);
    peer->next = atomic_fetch_add(&shared->peer_next[i], 4);
    const uint64_t first = peer->next;
    if (first + 4 >= MAX_REQUESTS || fleet_request_one(peer, ctx, &store, NULL) != NACRE_OK) return;
    const nacre_bytes datagram = fleet_last_request();
    uint64_t number = 0;
    if (!test_number(&number, datagram)) return;
    if (atomic_exchange(&shared->accepted[i][number], 1) != 0) atomic_fetch_add(&shared->again, 1);
    atomic_fetch_add(&shared->num_accepted, 1);
    if (fleet_replay(ctx, &store, datagram) == NACRE_OK) atomic_fetch_add(&shared->again, 1);
}

/* A request of an earlier life, with a number that was accepted: must not be accepted. */
static void replay_old(nacre_context *ctx, nacre_context *peer, size_t i, uint64_t *seed)
{
    const nacre_store store = nacre_sqlite_store(ctx);
    const unsigned next = atomic_load(&shared->peer_next[i]);
    if (next < 8) return;
    const uint64_t number = test_random(seed) % next;
    if (atomic_load(&shared->accepted[i][number]) == 0) return;
    uint8_t buffer[256];
    nacre_request_id id;
    nacre_bytes out;
    nacre_message m = { NACRE_CON, NACRE_GET, 7, NACRE_ABSENT, NACRE_ABSENT, NACRE_ABSENT };
    const uint64_t before = peer->next;
    peer->next = number;
    if (nacre_protect_request(peer, test_crypto(), &id, &out, NACRE_BUF(buffer), &m, NULL) == NACRE_OK &&
        fleet_replay(ctx, &store, out) == NACRE_OK)
        atomic_fetch_add(&shared->again, 1);
    peer->next = before;
}

static void some_saves(nacre_sqlite *db, nacre_context **contexts)
{
    nacre_store stores[NUM];
    for (size_t i = 0; i < NUM; i++) stores[i] = nacre_sqlite_store(contexts[i]);
    if (nacre_store_save_many(stores, contexts, NUM, NULL) == NACRE_OK) atomic_fetch_add(&shared->num_batches, 1);
    (void)db;
}

static void add_and_end(nacre_sqlite *db, uint64_t *seed)
{
    size_t index = 1000 + (size_t)(test_random(seed) % 100000);
    int64_t id = 0;
    if (nacre_sqlite_add(db, &id, 1, db_source, &index, NULL) != NACRE_OK) return;
    if (test_random(seed) % 2 == 0) (void)!nacre_sqlite_remove(db, &id, 1, NULL);
    else (void)!nacre_sqlite_revoke(db, &id, 1, NULL);
}

/* Never ends by itself. */
static void live(uint64_t seed)
{
    const int64_t ids[NUM] = { 1, 2, 3, 4, 5, 6 };
    nacre_context *contexts[NUM], *local_peers[NUM];
    nacre_detail why = { "" };
    nacre_sqlite *db = NULL;
    fleet_on_number = on_number;
    if (nacre_sqlite_open(&db, path, NULL, test_crypto(), &why) != NACRE_OK ||
        nacre_sqlite_load(db, contexts, ids, NUM, &why) != NACRE_OK) {
        (void)fprintf(stderr, "life: %s\n", why.text);
        _exit(1);
    }
    for (size_t i = 0; i < NUM; i++) local_peers[i] = db_peer(ids[i]);
    atomic_fetch_add(&shared->num_opened, 1);
    for (;;) {
        const size_t i = (size_t)(test_random(&seed) % NUM);
        const nacre_store store = nacre_sqlite_store(contexts[i]);
        switch (test_random(&seed) % 16) {
        case 0: some_saves(db, contexts); break;
        case 1: add_and_end(db, &seed); break;
        case 2: replay_old(contexts[i], local_peers[i], i, &seed); break;
        case 3:
        case 4:
        case 5: request_one(contexts[i], local_peers[i], i); break;
        case 6:
            if (nacre_sqlite_unload(db, contexts[i], &why) != NACRE_OK ||
                nacre_sqlite_load(db, &contexts[i], &ids[i], 1, &why) != NACRE_OK)
                _exit(2);
            break;
        default: (void)!fleet_try_to_send(contexts[i], &store);
        }
    }
}

static void sleep_ms(long ms)
{
    (void)nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* Most lives are ended while they send, however slow the machine is, and each fourth one perhaps while it opens the database. */
static void let_live(unsigned n, unsigned num_opened, long ms)
{
    if (n % 4 != 0)
        for (int i = 0; i < 5000 && atomic_load(&shared->num_opened) == num_opened; i++) sleep_ms(1);
    sleep_ms(ms);
}

static void no_number_and_no_request_comes_twice_over_many_kills(void **state)
{
    (void)state;
    uint64_t seed = 11;
    const unsigned num_lives = PROVES ? LIVES_TO_PROVE : LIVES;
    for (unsigned n = 0; n < num_lives; n++) {
        int status = 0;
        const uint64_t life = test_random(&seed);
        const long ms = (long)(test_random(&seed) % 60) + 1;
        const unsigned num_opened = atomic_load(&shared->num_opened);
        (void)fflush(NULL);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) live(life);
        let_live(n, num_opened, ms);
        (void)kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSIGNALED(status)) fail_msg("life %u ended with %d", n, WEXITSTATUS(status));
        assert_int_equal(atomic_load(&shared->twice), 0);
        assert_int_equal(atomic_load(&shared->again), 0);
    }
    print_message("           %u lives: %u numbers sent, %u requests accepted, %u batches of saves\n", num_lives,
                  atomic_load(&shared->num_sent), atomic_load(&shared->num_accepted),
                  atomic_load(&shared->num_batches));
    assert_true(atomic_load(&shared->num_sent) > 100 && atomic_load(&shared->num_accepted) > 20);
}

static int set_up(void **state)
{
    (void)state;
    /* A kill loses nothing that was written, synced or not: memory will do, and is faster. */
    if (access("/dev/shm", W_OK) == 0) (void)setenv("TMPDIR", "/dev/shm", 1);
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.db"));
    db_make(path, NUM);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    return 0;
}

static int tear_down(void **state)
{
    (void)munmap(shared, sizeof *shared);
    scratch_remove(scratch);
    return test_release(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_number_and_no_request_comes_twice_over_many_kills, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
