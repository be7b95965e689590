/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* sqlite_full_disk_test: the disk under a database is full at each call in turn, for that call or until there is room again. Each
 * function reports it, no context stops, and once there is room everything works: no number that was sent comes again, no accepted
 * request is accepted again, and the database has just the changes that were reported as made. NACRE_PROVE=1 tries every call. */
#undef _FORTIFY_SOURCE /* its inline open() would conflict with ours */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "call_numbers.h"
#include "databases.h"
#include "one_identity.h"
#include "sampled.h"
#include "scratch.h"

enum { NUM_FILES = 4, MAX_FD = 1024, NUM = 3, MAX_NUMBERS = 4096, MAX_ACCEPTED = 16 };

static const char *const names[NUM_FILES] = { "fleet.db", "fleet.db-wal", "fleet.db-mark", "fleet.db-shm" };

/* ---- The disk ---- */

static struct {
    unsigned num_calls, full_at; /* 0: never */
    bool watched, stays_full;
    bool is_of_database[MAX_FD];
} disk;

static bool is_full(int fd)
{
    if (!disk.watched || fd < 0 || fd >= MAX_FD || !disk.is_of_database[fd]) return false;
    disk.num_calls++;
    const bool full =
        disk.full_at != 0 && (disk.stays_full ? disk.num_calls >= disk.full_at : disk.num_calls == disk.full_at);
    if (full) errno = ENOSPC;
    return full;
}

int open(const char *name, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    const int fd = (int)syscall(SYS_openat, AT_FDCWD, name, flags, mode);
    if (fd < 0 || fd >= MAX_FD) return fd;
    const char *slash = strrchr(name, '/');
    disk.is_of_database[fd] = false;
    for (int i = 0; (flags & O_PATH) == 0 && slash != NULL && i < NUM_FILES; i++)
        if (strcmp(slash + 1, names[i]) == 0) disk.is_of_database[fd] = true;
    return fd;
}

int close(int fd)
{
    if (fd >= 0 && fd < MAX_FD) disk.is_of_database[fd] = false;
    return (int)syscall(SYS_close, fd);
}

ssize_t pwrite(int fd, const void *from, size_t len, off_t at)
{
    return is_full(fd) ? -1 : syscall(SYS_pwrite64, fd, from, len, CALL_OFFSET(at));
}

int ftruncate(int fd, off_t len)
{
    return is_full(fd) ? -1 : (int)syscall(CALL_FTRUNCATE, fd, CALL_OFFSET(len));
}

int fdatasync(int fd)
{
    return is_full(fd) ? -1 : 0;
}

int fsync(int fd)
{
    return is_full(fd) ? -1 : 0;
}

/* ---- What is known on the wire, and what was reported ---- */

static char *scratch, path[4096];
static bool sent[NUM][MAX_NUMBERS];
static struct {
    int64_t id;
    size_t len;
    uint8_t bytes[128];
} accepted[MAX_ACCEPTED];
static size_t num_accepted;
static uint64_t num_active;
static unsigned num_failed; /* of all lives */

static void on_number(const nacre_context *ctx, uint64_t number)
{
    const int64_t id = nacre_sqlite_id(ctx);
    if (id > NUM) return;
    assert_true(number < MAX_NUMBERS);
    if (sent[id - 1][number]) fail_msg("full at %u: number %u twice", disk.full_at, (unsigned)number);
    sent[id - 1][number] = true;
}

/* NACRE_OK, or what a full disk may cause. */
static bool worked(nacre_err err, const nacre_detail *why)
{
    if (err == NACRE_OK) return true;
    if (err != NACRE_ERR_FILE && err != NACRE_ERR_NOT_YET)
        fail_msg("full at %u: %s: %s", disk.full_at, nacre_err_name(err), why->text);
    num_failed++;
    return false;
}

static void request(nacre_context *ctx, nacre_context *peer)
{
    const nacre_store store = nacre_sqlite_store(ctx);
    const nacre_detail none = { "" };
    if (!worked(fleet_request_one(peer, ctx, &store, NULL), &none)) return;
    const nacre_bytes datagram = fleet_last_request();
    assert_true(num_accepted < MAX_ACCEPTED && datagram.len <= sizeof accepted[0].bytes);
    accepted[num_accepted].id = nacre_sqlite_id(ctx);
    accepted[num_accepted].len = datagram.len;
    memcpy(accepted[num_accepted++].bytes, datagram.ptr, datagram.len);
}

static void end_one(nacre_sqlite *db, int64_t id, bool revokes)
{
    nacre_detail why = { "" };
    const nacre_err err = (revokes ? nacre_sqlite_revoke : nacre_sqlite_remove)(db, &id, 1, &why);
    if (worked(err, &why) || strstr(why.text, "are revoked, but") != NULL) num_active--;
}

static void change(nacre_sqlite *db, size_t index)
{
    int64_t ids[2];
    nacre_detail why = { "" };
    const nacre_err err = nacre_sqlite_add(db, ids, 2, db_source, &index, &why);
    if (!worked(err, &why)) return;
    num_active += 2;
    end_one(db, ids[0], false);
    end_one(db, ids[1], true);
}

/* ---- Lives ---- */

static nacre_sqlite *open_on_any_disk(void)
{
    nacre_detail why = { "" };
    nacre_sqlite *db = NULL;
    if (worked(nacre_sqlite_open(&db, path, NULL, test_crypto(), &why), &why)) return db;
    disk.watched = false; /* there is room again */
    return db_open(path);
}

static void use(nacre_sqlite *db, nacre_context **contexts, nacre_context *const *peers, size_t index)
{
    nacre_store stores[NUM];
    nacre_detail why = { "" };
    for (int i = 0; i < NUM; i++) stores[i] = nacre_sqlite_store(contexts[i]);
    for (int i = 0; i < 25; i++) (void)worked(fleet_try_to_send(contexts[0], &stores[0]), &why);
    request(contexts[0], peers[0]);
    request(contexts[1], peers[1]);
    (void)worked(nacre_store_save_many(stores, contexts, NUM, &why), &why);
    request(contexts[0], peers[0]);
    change(db, index);
    for (int i = 0; i < 15; i++) (void)worked(fleet_try_to_send(contexts[2], &stores[2]), &why);
    for (int i = 0; i < NUM; i++)
        if (nacre_context_is_stopped(contexts[i])) fail_msg("full at %u: context %d is stopped", disk.full_at, i);
}

static void examine(void)
{
    nacre_sqlite_stats stats;
    nacre_sqlite *db = db_open(path);
    assert_ok(nacre_sqlite_get_stats(db, &stats, NULL));
    if (stats.num_active != num_active)
        fail_msg("full at %u: %u active contexts, not %u", disk.full_at, (unsigned)stats.num_active,
                 (unsigned)num_active);
    for (int64_t id = 1; id <= NUM; id++)
        for (uint64_t n = nacre_context_next_seq(db_load(db, id)); n < MAX_NUMBERS; n++)
            if (sent[id - 1][n]) fail_msg("full at %u: %u would be sent again", disk.full_at, (unsigned)n);
    for (size_t i = 0; i < num_accepted; i++) {
        nacre_context *ctx = db_load(db, accepted[i].id);
        const nacre_store store = nacre_sqlite_store(ctx);
        if (fleet_replay(ctx, &store, nacre_bytes_of(accepted[i].bytes, accepted[i].len)) == NACRE_OK)
            fail_msg("full at %u: request %u is accepted again", disk.full_at, (unsigned)i);
    }
    db_close(db);
}

static nacre_bytes first[NUM_FILES - 1]; /* the files before each life */

static void live(unsigned full_at, bool stays_full)
{
    nacre_context *contexts[NUM], *peers[NUM];
    for (int i = 0; i < NUM_FILES - 1; i++) file_put(scratch_path(scratch, names[i]), first[i]);
    memset(sent, 0, sizeof sent);
    num_accepted = 0;
    num_active = NUM;
    disk.full_at = full_at;
    disk.stays_full = stays_full;
    disk.num_calls = 0;
    disk.watched = true;
    nacre_sqlite *db = open_on_any_disk();
    for (int64_t id = 1; id <= NUM; id++) {
        contexts[id - 1] = db_load(db, id);
        peers[id - 1] = db_peer(id);
    }
    use(db, contexts, peers, 100);
    disk.watched = false;
    const unsigned before = num_failed;
    use(db, contexts, peers, 200);
    assert_int_equal(num_failed, before); /* with room all of it works */
    disk.watched = !stays_full;           /* a close that fails in the middle has written what it could */
    (void)!nacre_sqlite_close(db, NULL);
    disk.watched = false;
    examine();
}

static void a_full_disk_at_any_call_loses_and_reuses_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < NUM_FILES - 1; i++) first[i] = test_copy(file_bytes(scratch_path(scratch, names[i])));
    fleet_on_number = on_number;
    live(0, false);
    assert_int_equal(num_failed, 0);
    const unsigned num_calls = disk.num_calls, step = PROVES ? 1 : SAMPLED ? 11 : 5;
    for (unsigned at = 1; at <= num_calls; at += step) {
        live(at, false);
        live(at, true);
    }
    fleet_on_number = NULL;
    print_message("           full at each of %u calls, every %u; %u calls of functions failed\n", num_calls, step,
                  num_failed);
    assert_true(num_calls > 50 && num_failed > num_calls / step);
}

static int set_up(void **state)
{
    (void)state;
    if (access("/dev/shm", W_OK) == 0) (void)setenv("TMPDIR", "/dev/shm", 1); /* syncs are the test's */
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, names[0]));
    db_make(path, NUM);
    db_close(db_open(path));
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(scratch);
    return test_release(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_disk_at_any_call_loses_and_reuses_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
