/* SPDX-License-Identifier: MIT */
/* pack_calls: records this program's calls on one file, so that power can be cut after each of them, and can make them
 * fail. They replace the C library's in the including program. Syncs are recorded only.
 *
 * After a power cut the disk holds everything that was synced, and of each unsynced write: all, nothing, or some of its
 * sectors; a page that was being written may hold garbage. A failed sync may have lost the earlier writes for good:
 * they can be read until the cut, later syncs do not make them durable, and only writing them again does. */
#ifndef TEST_PACK_CALLS_H
#define TEST_PACK_CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "call_numbers.h"

enum { CALL_MAX_OPS = 20000, CALL_MAX_FILE = 256 * 1024, CALL_MAX_OPEN = 256, CALL_PAGE = 4096, CALL_SECTOR = 512 };

typedef enum call_fault {
    CALL_NONE,
    CALL_ONCE,   /* fails without effect; a sync loses the writes it should make durable */
    CALL_DONE,   /* takes effect but reports failure */
    CALL_STICKY, /* fails, and all later ones do */
    CALL_SHORT,  /* a write writes half and reports that */
    NUM_CALL_FAULTS,
} call_fault;

typedef struct call_op {
    enum { OP_WRITE, OP_SYNC, OP_SYNC_FAILED } kind;
    size_t at, len;
    uint8_t *bytes;
} call_op;

static struct {
    bool on, dead; /* dead: the process counts as killed, only close still works */
    char path[4096];
    int fds[16];
    size_t num_fds;
    call_op ops[CALL_MAX_OPS];
    size_t num_ops;
    unsigned calls;
    struct {
        call_fault kind;
        unsigned at;
        int error;
        bool hit;
    } fault;
} calls;

static void calls_require(bool ok, const char *what)
{
    if (ok) return;
    perror(what);
    abort();
}

static void calls_begin(const char *path)
{
    for (size_t i = 0; i < calls.num_ops; i++) free(calls.ops[i].bytes);
    memset(&calls, 0, sizeof calls);
    snprintf(calls.path, sizeof calls.path, "%s", path);
    calls.on = true;
}

static bool call_is_ours(int fd)
{
    for (size_t i = 0; calls.on && i < calls.num_fds; i++)
        if (calls.fds[i] == fd) return true;
    return false;
}

/* Counts a call. False: it must fail with errno and have no effect. */
static bool call_enter(bool *fail_afterwards)
{
    *fail_afterwards = false;
    if (calls.dead) {
        errno = EIO;
        return false;
    }
    calls.calls++;
    bool hit = calls.fault.kind == CALL_STICKY ? calls.calls >= calls.fault.at : calls.calls == calls.fault.at;
    if (calls.fault.kind == CALL_NONE || calls.fault.kind == CALL_SHORT || !hit) return true;
    calls.fault.hit = true;
    errno = calls.fault.error;
    *fail_afterwards = calls.fault.kind == CALL_DONE;
    return *fail_afterwards;
}

static void call_note(int kind, size_t at, const void *bytes, size_t len)
{
    calls_require(calls.num_ops < CALL_MAX_OPS && at + len <= CALL_MAX_FILE, "calls: too much");
    call_op *op = &calls.ops[calls.num_ops++];
    memset(op, 0, sizeof *op);
    if (kind == OP_SYNC) op->kind = OP_SYNC;
    if (kind == OP_SYNC_FAILED) op->kind = OP_SYNC_FAILED;
    op->at = at;
    op->len = len;
    if (len == 0) return;
    op->bytes = malloc(len);
    calls_require(op->bytes != NULL, "calls: memory");
    memcpy(op->bytes, bytes, len);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    bool fails;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    bool ours = calls.on && strcmp(path, calls.path) == 0;
    if (ours && (!call_enter(&fails) || fails)) return -1;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (ours && fd >= 0) {
        calls_require(calls.num_fds < sizeof calls.fds / sizeof calls.fds[0], "calls: descriptors");
        calls.fds[calls.num_fds++] = fd;
    }
    return fd;
}

int close(int fd)
{
    for (size_t i = 0; i < calls.num_fds; i++)
        if (calls.fds[i] == fd) calls.fds[i] = calls.fds[--calls.num_fds];
    return (int)syscall(SYS_close, fd);
}

ssize_t pread(int fd, void *to, size_t len, off_t at)
{
    bool fails;
    if (call_is_ours(fd) && (!call_enter(&fails) || fails)) return -1;
    return syscall(SYS_pread64, fd, to, len, CALL_OFFSET(at));
}

ssize_t pwrite(int fd, const void *from, size_t len, off_t at)
{
    bool fails = false, ours = call_is_ours(fd);
    if (ours && !call_enter(&fails)) return -1;
    if (ours && calls.fault.kind == CALL_SHORT && calls.calls == calls.fault.at) {
        calls.fault.hit = true;
        len = (len + 1) / 2;
    }
    ssize_t put = syscall(SYS_pwrite64, fd, from, len, CALL_OFFSET(at));
    if (ours && put > 0) call_note(OP_WRITE, (size_t)at, from, (size_t)put);
    if (!fails) return put;
    errno = calls.fault.error;
    return -1;
}

int fdatasync(int fd)
{
    bool fails = false;
    if (!call_is_ours(fd)) return 0;
    if (calls.dead) {
        errno = EIO;
        return -1;
    }
    bool done = call_enter(&fails);
    int reason = errno;
    call_note(done ? OP_SYNC : OP_SYNC_FAILED, 0, NULL, 0);
    errno = reason;
    return done && !fails ? 0 : -1;
}

/* ---- The disk ---- */

typedef struct call_disk {
    uint8_t durable[CALL_MAX_FILE];
    size_t len;                         /* durable */
    const call_op *open[CALL_MAX_OPEN]; /* unsynced writes */
    bool lost[CALL_MAX_OPEN];           /* no sync makes it durable any more */
    size_t num_open;
} call_disk;

static void call_put(uint8_t *bytes, size_t *len, const call_op *op)
{
    memcpy(bytes + op->at, op->bytes, op->len);
    if (op->at + op->len > *len) *len = op->at + op->len;
}

/* A durable write settles older unsynced writes below it. */
static void call_settle(call_disk *d, const call_op *op)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->num_open; i++) {
        const call_op *o = d->open[i];
        bool covered = d->lost[i] && o->at >= op->at && o->at + o->len <= op->at + op->len;
        if (covered) continue;
        d->open[kept] = o;
        d->lost[kept++] = d->lost[i];
    }
    d->num_open = kept;
}

static void call_apply(call_disk *d, const call_op *op)
{
    if (op->kind == OP_WRITE) {
        calls_require(d->num_open < CALL_MAX_OPEN, "calls: open writes");
        d->open[d->num_open] = op;
        d->lost[d->num_open++] = false;
        return;
    }
    for (size_t i = 0; op->kind == OP_SYNC_FAILED && i < d->num_open; i++) d->lost[i] = true;
    if (op->kind == OP_SYNC_FAILED) return;
    for (size_t i = 0; i < d->num_open;) {
        const call_op *o = d->open[i];
        if (d->lost[i]) {
            i++;
            continue;
        }
        call_put(d->durable, &d->len, o);
        memmove(&d->open[i], &d->open[i + 1], (d->num_open - i - 1) * sizeof d->open[0]);
        memmove(&d->lost[i], &d->lost[i + 1], (d->num_open - i - 1) * sizeof d->lost[0]);
        d->num_open--;
        call_settle(d, o);
        i = 0;
    }
}

typedef enum call_fate { FATE_NOTHING, FATE_ALL, FATE_FIRST_HALF, FATE_LAST_HALF, FATE_RUBBISH, NUM_FATES } call_fate;

static void call_fall(uint8_t *bytes, size_t *len, const call_op *op, call_fate fate)
{
    size_t half = op->len / 2 / CALL_SECTOR * CALL_SECTOR;
    if (half == 0) half = op->len / 2 / 8 * 8;
    call_op part = *op;
    if (fate == FATE_NOTHING) return;
    if (fate == FATE_FIRST_HALF) part.len = half;
    if (fate == FATE_LAST_HALF) {
        part.at += half;
        part.bytes += half;
        part.len -= half;
    }
    call_put(bytes, len, &part);
    if (fate == FATE_RUBBISH && op->at % CALL_PAGE == 0 && op->len == CALL_PAGE) memset(bytes + op->at, 0xee, op->len);
}

static void call_write_file(const char *path, const uint8_t *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    calls_require(file != NULL && fwrite(bytes, 1, len, file) == len && fclose(file) == 0, path);
}

#endif
