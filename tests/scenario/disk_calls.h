/* SPDX-License-Identifier: MIT */
/* disk_calls: replaces the C library's file-system calls in the including program. Calls below a root folder are
 * recorded for the disk model and can be made to fail at the n-th one. They reach the system by syscall(), which works
 * with sanitizers too. Syncs are recorded only; the model decides their effect. */
#ifndef TEST_DISK_CALLS_H
#define TEST_DISK_CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "call_numbers.h"
#include "disk_model.h"

typedef enum fault_kind {
    FAULT_NONE,
    FAULT_ONCE,   /* that call fails without effect */
    FAULT_DONE,   /* that call takes effect but reports failure */
    FAULT_STICKY, /* that call and all later ones fail */
    FAULT_SHORT,  /* that call, if a write, writes half and reports that */
    NUM_FAULTS,
} fault_kind;

enum { CALLS_MAX_FD = 256, CALLS_MAX_OPS = 4096, NOT_OURS = -1 };

static struct {
    bool on;   /* calls are written down, counted and made to fail */
    bool dead; /* the process counts as killed: only close still works */
    char root[4096];
    disk *live; /* what the disk holds now */
    disk_op *ops;
    size_t num_ops;
    unsigned calls; /* so far */
    struct {
        fault_kind kind;
        unsigned at; /* the number of the call, from 1 */
        int error;
        bool hit;
    } fault;
    int nodes[CALLS_MAX_FD]; /* by descriptor: its node plus one; 0: outside the root */
} calls;

static void calls_require(bool ok, const char *what)
{
    if (ok) return;
    perror(what);
    abort();
}

/* calls_begin starts recording on top of `base`, the present content of the folder `root`. */
static void calls_begin(const char *root, const disk *base)
{
    if (calls.ops == NULL) calls.ops = calloc(CALLS_MAX_OPS, sizeof *calls.ops);
    calls_require(calls.ops != NULL, "calls: memory");
    snprintf(calls.root, sizeof calls.root, "%s", root);
    disk_free(calls.live);
    calls.live = disk_copy(base);
    calls.num_ops = calls.calls = 0;
    memset(calls.nodes, 0, sizeof calls.nodes);
    memset(&calls.fault, 0, sizeof calls.fault);
    calls.dead = false;
    calls.on = true;
}

static void calls_end(void)
{
    calls.on = false;
}

static void calls_free(void)
{
    disk_free(calls.live);
    free(calls.ops);
    memset(&calls, 0, sizeof calls);
}

static void write_down(const disk_op *op)
{
    calls_require(calls.num_ops < CALLS_MAX_OPS, "calls: too many");
    calls.ops[calls.num_ops++] = *op;
    disk_apply(calls.live, op, DISK_HONEST);
}

static int node_of(int fd)
{
    return calls.on && fd >= 0 && fd < CALLS_MAX_FD ? calls.nodes[fd] - 1 : NOT_OURS;
}

/* Counts a call. False: the call must have no effect and fail with errno. */
static bool enter(bool *fail_afterwards)
{
    *fail_afterwards = false;
    if (calls.dead) {
        errno = EIO;
        return false;
    }
    calls.calls++;
    bool hit = calls.fault.kind == FAULT_STICKY ? calls.calls >= calls.fault.at : calls.calls == calls.fault.at;
    if (calls.fault.kind == FAULT_NONE || calls.fault.kind == FAULT_SHORT || !hit) return true;
    calls.fault.hit = true;
    if (calls.fault.kind == FAULT_DONE) *fail_afterwards = true;
    else errno = calls.fault.error;
    return *fail_afterwards;
}

static long leave(long result, bool fail_afterwards)
{
    if (!fail_afterwards || result < 0) return result;
    errno = calls.fault.error;
    return -1;
}

/* Directory and last name of a path. False: outside the root. */
static bool resolve(int at, const char *path, int *dir, char name[DISK_MAX_NAME])
{
    char part[4096];
    *dir = NOT_OURS;
    if (!calls.on) return false;
    if (path[0] == '/') {
        size_t len = strlen(calls.root);
        if (strncmp(path, calls.root, len) != 0 || (path[len] != '/' && path[len] != '\0')) return false;
        *dir = DISK_ROOT;
        path += len;
    } else if (at >= 0) *dir = node_of(at);
    if (*dir == NOT_OURS) return false;
    snprintf(part, sizeof part, "%s", path);
    snprintf(name, DISK_MAX_NAME, ".");
    char *rest = NULL;
    for (char *p = strtok_r(part, "/", &rest); p != NULL; p = strtok_r(NULL, "/", &rest)) {
        if (strcmp(name, ".") != 0) *dir = disk_lookup(calls.live, *dir, name);
        calls_require(*dir != DISK_ABSENT, "calls: path");
        calls_require((size_t)snprintf(name, DISK_MAX_NAME, "%s", p) < DISK_MAX_NAME, "calls: name");
    }
    return true;
}

static disk_op op_on(disk_op_kind kind, int dir, const char *name)
{
    disk_op op = { .kind = kind, .dir = dir, .node = DISK_ABSENT };
    snprintf(op.name, sizeof op.name, "%s", name);
    return op;
}

static int now_at(int dir, const char *name)
{
    return strcmp(name, ".") == 0 ? dir : disk_lookup(calls.live, dir, name);
}

static int open_any(int at, const char *path, int flags, mode_t mode)
{
    int dir;
    bool fails;
    char name[DISK_MAX_NAME];
    if (!resolve(at, path, &dir, name)) {
        int other = (int)syscall(SYS_openat, at, path, flags, mode);
        if (calls.on && other >= 0 && other < CALLS_MAX_FD) calls.nodes[other] = 0;
        return other;
    }
    if (!enter(&fails)) return -1;
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (fd < 0) return fd;
    calls_require(fd < CALLS_MAX_FD, "calls: descriptors");
    disk_op op = op_on(DISK_CREATE, dir, name);
    if (now_at(dir, name) == DISK_ABSENT) write_down(&op);
    else if (flags & O_TRUNC) {
        op.kind = DISK_TRUNCATE;
        op.node = now_at(dir, name);
        write_down(&op);
    }
    calls.nodes[fd] = now_at(dir, name) + 1;
    if (!fails) return fd;
    syscall(SYS_close, fd);
    return (int)leave(0, fails);
}

static int remove_any(int at, const char *path, int flags)
{
    int dir;
    bool fails;
    char name[DISK_MAX_NAME];
    if (!resolve(at, path, &dir, name)) return (int)syscall(SYS_unlinkat, at, path, flags);
    if (!enter(&fails)) return -1;
    long result = syscall(SYS_unlinkat, at, path, flags);
    disk_op op = op_on(DISK_REMOVE, dir, name);
    if (result == 0) write_down(&op);
    return (int)leave(result, fails);
}

static int move_any(int from_at, const char *from, int to_at, const char *to, bool link_only)
{
    int dir, to_dir;
    bool fails;
    char name[DISK_MAX_NAME], to_name[DISK_MAX_NAME];
    bool ours = resolve(from_at, from, &dir, name);
    bool to_ours = resolve(to_at, to, &to_dir, to_name);
    calls_require(ours == to_ours, "calls: a move over the root");
    if (ours && !enter(&fails)) return -1;
    long result = link_only ? syscall(SYS_linkat, from_at, from, to_at, to, 0)
                            : syscall(SYS_renameat2, from_at, from, to_at, to, 0);
    if (!ours) return (int)result;
    disk_op op = op_on(link_only ? DISK_LINK : DISK_RENAME, dir, name);
    op.to_dir = to_dir;
    snprintf(op.to_name, sizeof op.to_name, "%s", to_name);
    if (result == 0) write_down(&op);
    return (int)leave(result, fails);
}

static int sync_any(int fd)
{
    bool fails;
    disk_op op = { .kind = DISK_SYNC, .node = node_of(fd) };
    if (op.node == NOT_OURS) return 0;
    if (!enter(&fails)) return -1;
    write_down(&op);
    return (int)leave(0, fails);
}

/* ---- The calls ---- */

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_any(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_any(at, path, flags, mode);
}

ssize_t read(int fd, void *buffer, size_t len)
{
    bool fails;
    if (node_of(fd) == NOT_OURS) return syscall(SYS_read, fd, buffer, len);
    if (!enter(&fails)) return -1;
    return leave(syscall(SYS_read, fd, buffer, len), fails);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    bool fails;
    disk_op op = { .kind = DISK_APPEND, .node = node_of(fd) };
    if (op.node == NOT_OURS) return syscall(SYS_write, fd, bytes, len);
    if (!enter(&fails)) return -1;
    if (calls.fault.kind == FAULT_SHORT && calls.calls == calls.fault.at) {
        calls.fault.hit = true;
        len = (len + 1) / 2;
    }
    long put = syscall(SYS_write, fd, bytes, len);
    calls_require(put >= 0 && put <= DISK_MAX_FILE, "calls: write");
    op.len = (size_t)put;
    memcpy(op.bytes, bytes, op.len);
    write_down(&op);
    return leave(put, fails);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    bool fails;
    disk_op op = { .kind = DISK_WRITE, .node = node_of(fd), .at = (size_t)at };
    if (op.node == NOT_OURS) return syscall(SYS_pwrite64, fd, bytes, len, CALL_OFFSET(at));
    if (!enter(&fails)) return -1;
    if (calls.fault.kind == FAULT_SHORT && calls.calls == calls.fault.at) {
        calls.fault.hit = true;
        len = (len + 1) / 2;
    }
    long put = syscall(SYS_pwrite64, fd, bytes, len, CALL_OFFSET(at));
    calls_require(put >= 0 && put + at <= DISK_MAX_FILE, "calls: pwrite");
    op.len = (size_t)put;
    memcpy(op.bytes, bytes, op.len);
    write_down(&op);
    return leave(put, fails);
}

int ftruncate(int fd, off_t len)
{
    bool fails;
    disk_op op = { .kind = DISK_TRUNCATE, .node = node_of(fd), .len = (size_t)len };
    if (op.node == NOT_OURS) return (int)syscall(CALL_FTRUNCATE, fd, CALL_OFFSET(len));
    if (!enter(&fails)) return -1;
    long result = syscall(CALL_FTRUNCATE, fd, CALL_OFFSET(len));
    if (result == 0) write_down(&op);
    return (int)leave(result, fails);
}

int close(int fd)
{
    bool fails = false, ours = node_of(fd) != NOT_OURS;
    if (ours) calls.nodes[fd] = 0;
    bool failed = ours && !calls.dead && !enter(&fails);
    int reason = errno;
    long result = syscall(SYS_close, fd); /* the descriptor is closed even if close reports failure */
    if (failed) errno = reason;
    return failed ? -1 : (int)leave(result, fails);
}

/* Reading calls change nothing on the disk but can fail like the others. */
ssize_t pread(int fd, void *buffer, size_t len, off_t at)
{
    bool fails;
    if (node_of(fd) == NOT_OURS) return syscall(SYS_pread64, fd, buffer, len, CALL_OFFSET(at));
    if (!enter(&fails)) return -1;
    return leave(syscall(SYS_pread64, fd, buffer, len, CALL_OFFSET(at)), fails);
}

int fstat(int fd, struct stat *st)
{
    bool fails;
    if (node_of(fd) == NOT_OURS) return (int)call_stat(fd, "", st, AT_EMPTY_PATH);
    if (!enter(&fails)) return -1;
    return (int)leave(call_stat(fd, "", st, AT_EMPTY_PATH), fails);
}

int fstatat(int at, const char *restrict path, struct stat *restrict st, int flags)
{
    int dir;
    bool fails;
    char name[DISK_MAX_NAME];
    if (!resolve(at, path, &dir, name)) return (int)call_stat(at, path, st, flags);
    if (!enter(&fails)) return -1;
    return (int)leave(call_stat(at, path, st, flags), fails);
}

int flock(int fd, int operation)
{
    bool fails;
    if (node_of(fd) == NOT_OURS) return (int)syscall(SYS_flock, fd, operation);
    if (!enter(&fails)) return -1;
    return (int)leave(syscall(SYS_flock, fd, operation), fails);
}

int fsync(int fd)
{
    return sync_any(fd);
}

int fdatasync(int fd)
{
    return sync_any(fd);
}

int mkdirat(int at, const char *path, mode_t mode)
{
    int dir;
    bool fails;
    char name[DISK_MAX_NAME];
    if (!resolve(at, path, &dir, name)) return (int)syscall(SYS_mkdirat, at, path, mode);
    if (!enter(&fails)) return -1;
    long result = syscall(SYS_mkdirat, at, path, mode);
    disk_op op = op_on(DISK_MKDIR, dir, name);
    if (result == 0) write_down(&op);
    return (int)leave(result, fails);
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

int unlinkat(int at, const char *path, int flags)
{
    return remove_any(at, path, flags);
}

int unlink(const char *path)
{
    return remove_any(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return remove_any(AT_FDCWD, path, AT_REMOVEDIR);
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    return move_any(from_at, from, to_at, to, false);
}

int rename(const char *from, const char *to)
{
    return move_any(AT_FDCWD, from, AT_FDCWD, to, false);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
    (void)flags;
    return move_any(from_at, from, to_at, to, true);
}

int link(const char *from, const char *to)
{
    return move_any(AT_FDCWD, from, AT_FDCWD, to, true);
}

/* A disk state is laid out in new files, which file identity would take for copies; so files report no birth time. */
int fstatfs(int fd, struct statfs *fs)
{
    (void)fd, (void)fs;
    errno = ENOSYS;
    return -1;
}

#endif
