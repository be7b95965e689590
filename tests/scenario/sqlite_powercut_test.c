/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* sqlite_powercut_test: a server with its contexts in a database, and a disk that keeps only what was synced. Power is cut after
 * each call on the database, its log and its mark. Of each unsynced write the disk then has all, nothing, half of its sectors, or
 * garbage (but not in the header of the database). Whatever it has, the database opens without adoption; no number that was sent
 * comes again; no accepted request is accepted again; added contexts exist and ended ones do not. NACRE_PROVE=1 cuts after every
 * call. */
#undef _FORTIFY_SOURCE /* its inline open() would conflict with ours */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "call_numbers.h"
#include "databases.h"
#include "one_identity.h"
#include "sampled.h"
#include "scratch.h"

enum {
    DB,
    WAL,
    MARK,
    NUM_FILES,
    MAX_OPS = 8000,
    MAX_FILE = 4 << 20,
    MAX_FD = 1024,
    SECTOR = 512,
    NUM = 3,
    MAX_NUMBERS = 4096
};

static const char *const suffixes[NUM_FILES] = { "fleet.db", "fleet.db-wal", "fleet.db-mark" };

/* ---- Calls, recorded ---- */

typedef struct op {
    enum { WRITE, TRUNCATE, SYNC } kind;
    int file;
    size_t at, len;
    uint8_t *bytes;
} op;

static op ops[MAX_OPS];
static size_t num_ops;
static bool recording;
static int file_of[MAX_FD]; /* file + 1 */
static char *scratch, path[4096], copy_path[4096];

static void note(int kind, int fd, size_t at, size_t len, const void *bytes)
{
    if (!recording || fd < 0 || fd >= MAX_FD || file_of[fd] == 0) return;
    if (num_ops == MAX_OPS) abort();
    op *o = &ops[num_ops++];
    *o = (op){ .file = file_of[fd] - 1, .at = at, .len = len };
    if (kind == TRUNCATE) o->kind = TRUNCATE;
    if (kind == SYNC) o->kind = SYNC;
    if (bytes == NULL) return;
    o->bytes = malloc(len);
    if (o->bytes == NULL) abort();
    memcpy(o->bytes, bytes, len);
}

int open(const char *name, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    const int fd = (int)syscall(SYS_openat, AT_FDCWD, name, flags, mode);
    if (fd < 0 || fd >= MAX_FD) return fd;
    file_of[fd] = 0;
    const char *slash = strrchr(name, '/');
    for (int i = 0; (flags & O_PATH) == 0 && slash != NULL && i < NUM_FILES; i++)
        if (strcmp(slash + 1, suffixes[i]) == 0) file_of[fd] = i + 1;
    return fd;
}

int close(int fd)
{
    if (fd >= 0 && fd < MAX_FD) file_of[fd] = 0;
    return (int)syscall(SYS_close, fd);
}

ssize_t pwrite(int fd, const void *from, size_t len, off_t at)
{
    const ssize_t put = syscall(SYS_pwrite64, fd, from, len, CALL_OFFSET(at));
    if (put > 0) note(WRITE, fd, (size_t)at, (size_t)put, from);
    return put;
}

int ftruncate(int fd, off_t len)
{
    const int result = (int)syscall(CALL_FTRUNCATE, fd, CALL_OFFSET(len));
    if (result == 0) note(TRUNCATE, fd, 0, (size_t)len, NULL);
    return result;
}

int fdatasync(int fd)
{
    note(SYNC, fd, 0, 0, NULL);
    return 0;
}

int fsync(int fd)
{
    note(SYNC, fd, 0, 0, NULL);
    return 0;
}

/* ---- The disk ---- */

typedef struct image {
    uint8_t bytes[MAX_FILE];
    size_t len;
} image;

static image durable[NUM_FILES], state_of[NUM_FILES];
static const op *pending[NUM_FILES][MAX_OPS];
static size_t num_pending[NUM_FILES];

static void apply(image *f, const op *o)
{
    if (o->kind == TRUNCATE) {
        if (o->len > f->len) memset(f->bytes + f->len, 0, o->len - f->len);
        f->len = o->len;
    }
    if (o->kind != WRITE) return;
    if (o->at + o->len > MAX_FILE) abort();
    if (o->at > f->len) memset(f->bytes + f->len, 0, o->at - f->len);
    memcpy(f->bytes + o->at, o->bytes, o->len);
    if (o->at + o->len > f->len) f->len = o->at + o->len;
}

static void record_on_disk(const op *o)
{
    if (o->kind != SYNC) {
        pending[o->file][num_pending[o->file]++] = o;
        return;
    }
    for (size_t i = 0; i < num_pending[o->file]; i++) apply(&durable[o->file], pending[o->file][i]);
    num_pending[o->file] = 0;
}

static void fall(image *f, const op *o, unsigned fate)
{
    const size_t half = o->len / 2 / SECTOR * SECTOR;
    op part = *o;
    const bool is_header = o->file == DB && o->at == 0;
    if (fate == 0) return;
    if (o->kind == WRITE && fate == 1 && half > 0) part.len = half;
    if (o->kind == WRITE && fate == 2 && half > 0) part.at += half, part.bytes += half, part.len -= half;
    apply(f, &part);
    if (o->kind == WRITE && fate == 3 && !is_header) memset(f->bytes + o->at, 0xee, o->len);
}

static void put_file(const char *name, const image *f)
{
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(f->bytes, 1, f->len, file), f->len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(name, 0600), 0);
}

/* `way`: 0 all unsynced writes are there, 1 none, others at random. */
static void put_state(unsigned way, uint64_t *seed)
{
    char name[4200];
    for (int i = 0; i < NUM_FILES; i++) {
        image *f = &state_of[i];
        f->len = durable[i].len;
        memcpy(f->bytes, durable[i].bytes, f->len);
        for (size_t n = 0; n < num_pending[i]; n++)
            fall(f, pending[i][n], way == 0 ? 4 : way == 1 ? 0 : (unsigned)(test_random(seed) % 5));
        (void)snprintf(name, sizeof name, "%s%s", copy_path, suffixes[i] + strlen("fleet.db"));
        if (i == WAL && f->len == 0) (void)unlink(name);
        else put_file(name, f);
    }
    (void)snprintf(name, sizeof name, "%s-shm", copy_path);
    (void)unlink(name);
}

static void read_file(int i)
{
    const nacre_bytes bytes = file_bytes(scratch_path(scratch, suffixes[i]));
    assert_true(bytes.len <= MAX_FILE);
    memcpy(durable[i].bytes, bytes.ptr, bytes.len);
    durable[i].len = bytes.len;
}

/* ---- What is known on the wire, with the number of calls before it ---- */

static size_t sent_at[NUM][MAX_NUMBERS];
static struct {
    int64_t id;
    size_t at, len;
    uint8_t bytes[128];
} accepted[256];
static size_t num_accepted;
static struct {
    int64_t id;
    bool is_there;
    size_t from, at; /* may be so from, is so at */
} changes[64];
static size_t num_changes;

static void on_number(const nacre_context *ctx, uint64_t number)
{
    const int64_t id = nacre_sqlite_id(ctx);
    if (!recording || id > NUM) return;
    assert_true(number < MAX_NUMBERS);
    assert_int_equal(sent_at[id - 1][number], SIZE_MAX);
    sent_at[id - 1][number] = num_ops;
}

static void request(nacre_context *ctx, nacre_context *peer)
{
    const nacre_store store = nacre_sqlite_store(ctx);
    assert_ok(fleet_request_one(peer, ctx, &store, NULL));
    const nacre_bytes datagram = fleet_last_request();
    assert_true(num_accepted < COUNT(accepted) && datagram.len <= sizeof accepted[0].bytes);
    accepted[num_accepted].id = nacre_sqlite_id(ctx);
    accepted[num_accepted].at = num_ops;
    accepted[num_accepted].len = datagram.len;
    memcpy(accepted[num_accepted++].bytes, datagram.ptr, datagram.len);
}

static void change(int64_t id, bool is_there, size_t from)
{
    assert_true(num_changes < COUNT(changes));
    changes[num_changes].id = id;
    changes[num_changes].is_there = is_there;
    changes[num_changes].from = from;
    changes[num_changes++].at = num_ops;
}

static int64_t add(nacre_sqlite *db, size_t index)
{
    int64_t id = 0;
    const size_t from = num_ops;
    assert_ok(nacre_sqlite_add(db, &id, 1, db_source, &index, NULL));
    change(id, true, from);
    return id;
}

/* One life; `clean`: it ends with a close, else as a killed process does. */
static void live(unsigned n, nacre_context *const *local_peers, bool clean)
{
    nacre_context *contexts[NUM];
    nacre_store stores[NUM];
    nacre_sqlite *db = db_open(path);
    for (int64_t id = 1; id <= NUM; id++) {
        contexts[id - 1] = db_load(db, id);
        stores[id - 1] = nacre_sqlite_store(contexts[id - 1]);
    }
    for (int i = 0; i < 25; i++) assert_ok(fleet_try_to_send(contexts[0], &stores[0]));
    request(contexts[0], local_peers[0]);
    request(contexts[1], local_peers[1]);
    assert_ok(nacre_store_save_many(stores, contexts, NUM, NULL));
    request(contexts[0], local_peers[0]);
    const int64_t id = add(db, 100 + 10 * n);
    assert_ok(fleet_try_to_send(contexts[2], &stores[2]));
    size_t from = num_ops;
    assert_ok(nacre_sqlite_remove(db, &id, 1, NULL));
    change(id, false, from);
    const int64_t second = add(db, 101 + 10 * n);
    from = num_ops;
    assert_ok(nacre_sqlite_revoke(db, &second, 1, NULL));
    change(second, false, from);
    (void)add(db, 102 + 10 * n);
    for (int i = 0; i < 15; i++) assert_ok(fleet_try_to_send(contexts[1], &stores[1]));
    request(contexts[1], local_peers[1]);
    if (clean) {
        db_close(db);
        return;
    }
    recording = false; /* what its end would write never came */
    for (int i = 0; i < NUM_FILES; i++) read_file(i);
    for (int i = 0; i < NUM; i++) nacre_context_stop(contexts[i]);
    (void)nacre_sqlite_close(db, NULL);
    for (int i = 0; i < NUM_FILES; i++) put_file(scratch_path(scratch, suffixes[i]), &durable[i]);
    recording = true;
}

/* ---- After a cut ---- */

static void examine_contexts(nacre_sqlite *db, size_t cut)
{
    for (int64_t id = 1; id <= NUM; id++) {
        nacre_context *ctx = db_load(db, id);
        for (uint64_t n = nacre_context_next_seq(ctx); n < MAX_NUMBERS; n++)
            if (sent_at[id - 1][n] <= cut) fail_msg("cut %zu: context %d would send %d again", cut, (int)id, (int)n);
    }
    for (size_t i = 0; i < num_accepted; i++) {
        if (accepted[i].at > cut) continue;
        nacre_context *ctx = db_load(db, accepted[i].id);
        const nacre_store store = nacre_sqlite_store(ctx);
        if (fleet_replay(ctx, &store, nacre_bytes_of(accepted[i].bytes, accepted[i].len)) == NACRE_OK)
            fail_msg("cut %zu: request %zu is accepted again", cut, i);
    }
}

static void examine_changes(nacre_sqlite *db, size_t cut)
{
    for (size_t i = 0; i < num_changes; i++) {
        nacre_context *ctx;
        bool is_last = true;
        for (size_t k = i + 1; k < num_changes; k++)
            if (changes[k].id == changes[i].id && changes[k].from <= cut) is_last = false;
        if (changes[i].at > cut || !is_last) continue;
        assert_ok(nacre_sqlite_load(db, &ctx, &changes[i].id, 1, NULL));
        if ((ctx != NULL) != changes[i].is_there) fail_msg("cut %zu: change %zu did not last", cut, i);
    }
}

static void examine(size_t cut)
{
    for (int opening = 0; opening < 2; opening++) {
        nacre_detail why = { "" };
        nacre_sqlite *db;
        if (nacre_sqlite_open(&db, copy_path, NULL, test_crypto(), &why) != NACRE_OK)
            fail_msg("cut %zu, opening %d: %s", cut, opening, why.text);
        examine_contexts(db, cut);
        examine_changes(db, cut);
        db_close(db);
    }
}

static void power_cuts_lose_nothing_and_reuse_nothing(void **state)
{
    (void)state;
    nacre_context *local_peers[NUM];
    unsigned num_states = 0;
    uint64_t seed = 5;
    memset(sent_at, 0xff, sizeof sent_at);
    for (int64_t id = 1; id <= NUM; id++) local_peers[id - 1] = db_peer(id);
    for (int i = 0; i < NUM_FILES; i++) read_file(i);
    static image first[NUM_FILES];
    memcpy(first, durable, sizeof first);
    fleet_on_number = on_number;
    recording = true;
    for (unsigned n = 0; n < 3; n++) live(n, local_peers, n != 1);
    recording = false;
    memcpy(durable, first, sizeof first);
    const size_t step = PROVES ? 1 : SAMPLED ? 14 : 5; /* no divisor of the calls of one life */
    for (size_t cut = 0; cut <= num_ops; cut++) {
        for (unsigned way = 0; cut % step == 0 && way < 4; way++) {
            put_state(way, &seed);
            examine(cut);
            num_states++;
        }
        if (cut < num_ops) record_on_disk(&ops[cut]);
    }
    print_message("           %zu calls, %u states of the disk opened twice\n", num_ops, num_states);
    assert_true(num_ops > 100);
    for (size_t i = 0; i < num_ops; i++) free(ops[i].bytes);
}

static int set_up(void **state)
{
    (void)state;
    if (access("/dev/shm", W_OK) == 0) (void)setenv("TMPDIR", "/dev/shm", 1); /* syncs are the test's */
    scratch = scratch_make();
    scratch_mkdir(scratch, "copy");
    strcpy(path, scratch_path(scratch, "fleet.db"));
    strcpy(copy_path, scratch_path(scratch, "copy/fleet.db"));
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
        cmocka_unit_test_setup_teardown(power_cuts_lose_nothing_and_reuse_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
