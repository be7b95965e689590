/* SPDX-License-Identifier: MIT */
/* sqlite_mark: DB-mark, the file beside a database that is its lock, and records what the database must have at least.
 *
 *     at      lines
 *     0, 512  mark SERIAL DATABASE STAMP STAMP STAMP STAMP SUM    in turn, each synced: a power cut leaves the other
 *     1024    writes COUNT SUM                                  after each transaction, not synced
 *
 * Hexadecimal. A stamp is a random number in the header of the database file (user_version). The file's own header, without DB-wal,
 * changes only in a checkpoint, which has a new stamp; so an old copy written over the file is found even beside the DB-wal of
 * the newer one. The count finds copies that are younger than the stamp. After a power cut it may be missing, or lower than the
 * database's, never higher: it is written once the transaction is durable. */
#include "store/sqlite/sqlite_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "store/file/files.h"

enum { SERIAL_AT = 0, OTHER_SERIAL_AT = 512, COUNT_AT = 1024, LINE = 160 };

static uint64_t checksum(const char *text) /* FNV-1a */
{
    uint64_t sum = UINT64_C(14695981039346656037);
    for (; *text != '\0'; text++) sum = (sum ^ (uint8_t)*text) * UINT64_C(1099511628211);
    return sum;
}

/* ---- Reading ---- */

/* Reads the line at `at` and cuts off its checksum. False: none, or damaged. */
static bool get_line(char line[LINE], int fd, off_t at)
{
    uint64_t sum;
    const ssize_t len = pread(fd, line, LINE - 1, at);
    if (len <= 0) return false;
    line[len] = '\0';
    char *end = strchr(line, '\n');
    if (end == NULL) return false;
    *end = '\0';
    char *last = strrchr(line, ' ');
    if (last == NULL || sscanf(last, " %" SCNx64, &sum) != 1) return false;
    *last = '\0';
    return checksum(line) == sum;
}

static bool get_mark(nacre__sqlite_mark *mark, int fd, off_t at)
{
    char line[LINE], hex[2 * NACRE__SQLITE_ID + 1];
    nacre_bytes id;
    if (!get_line(line, fd, at)) return false;
    if (sscanf(line, "mark %" SCNx64 " %32s %" SCNx32 " %" SCNx32 " %" SCNx32 " %" SCNx32, &mark->serial, hex,
               &mark->stamps[0], &mark->stamps[1], &mark->stamps[2], &mark->stamps[3]) != 6)
        return false;
    mark->found =
        nacre_hex_decode(&id, (nacre_buf){ mark->database, sizeof mark->database }, hex, strlen(hex)) == NACRE_OK &&
        id.len == NACRE__SQLITE_ID;
    return mark->found;
}

nacre_err nacre__sqlite_mark_read(nacre__sqlite_mark *mark, int fd, const nacre__sqlite_paths *paths, nacre_detail *why)
{
    nacre__sqlite_mark one = { .found = false }, other = { .found = false };
    char line[LINE];
    *mark = one;
    const int opened = fd >= 0 ? -1 : open(paths->mark, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && opened < 0 && errno == ENOENT) return NACRE_OK;
    if (fd < 0 && opened < 0)
        return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot read: %s", paths->mark, strerror(errno));
    const int from = fd >= 0 ? fd : opened;
    const bool has_one = get_mark(&one, from, SERIAL_AT), has_other = get_mark(&other, from, OTHER_SERIAL_AT);
    if (has_one && (!has_other || one.serial > other.serial)) *mark = one;
    else if (has_other) *mark = other;
    if (mark->found && get_line(line, from, COUNT_AT) && sscanf(line, "writes %" SCNx64, &mark->writes) != 1)
        mark->writes = 0;
    if (opened >= 0) close(opened);
    return NACRE_OK;
}

bool nacre__sqlite_mark_has(const nacre__sqlite_mark *mark, uint32_t stamp)
{
    for (int i = 0; i < NACRE__SQLITE_STAMPS; i++)
        if (stamp != 0 && mark->stamps[i] == stamp) return true;
    return false;
}

/* ---- Writing ---- */

static nacre_err put_line(const char *line, off_t at, int fd, const nacre__sqlite_paths *paths, nacre_detail *why)
{
    char text[LINE + 24];
    const int len = snprintf(text, sizeof text, "%s %016" PRIx64 "\n", line, checksum(line));
    const ssize_t put = pwrite(fd, text, (size_t)len, at);
    if (put == len) return NACRE_OK;
    const int reason = put < 0 ? errno : ENOSPC;
    return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot write: %s%s", paths->mark, strerror(reason),
                       nacre__sqlite_advice(reason));
}

nacre_err nacre__sqlite_mark_put(nacre__sqlite_mark *mark, int fd, const nacre__sqlite_paths *paths, nacre_detail *why)
{
    char line[LINE], hex[2 * NACRE__SQLITE_ID + 1];
    nacre_hex_encode(hex, NACRE_ARRAY(mark->database));
    (void)snprintf(line, sizeof line, "mark %" PRIx64 " %s %" PRIx32 " %" PRIx32 " %" PRIx32 " %" PRIx32,
                   mark->serial + 1, hex, mark->stamps[0], mark->stamps[1], mark->stamps[2], mark->stamps[3]);
    const off_t at = (mark->serial + 1) % 2 == 0 ? SERIAL_AT : OTHER_SERIAL_AT;
    const nacre_err err = put_line(line, at, fd, paths, why);
    if (err != NACRE_OK) return err;
    if (fsync(fd) != 0)
        return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot make it durable (fsync): %s%s", paths->mark,
                           strerror(errno), nacre__sqlite_advice(errno));
    mark->serial++;
    mark->found = true;
    return NACRE_OK;
}

nacre_err nacre__sqlite_mark_count(nacre__sqlite_mark *mark, uint64_t writes, int fd, const nacre__sqlite_paths *paths,
                                   nacre_detail *why)
{
    char line[LINE];
    (void)snprintf(line, sizeof line, "writes %016" PRIx64, writes);
    const nacre_err err = put_line(line, COUNT_AT, fd, paths, why);
    if (err == NACRE_OK) mark->writes = writes;
    return err;
}

/* ---- Locking ---- */

static nacre_err check_mark_file(int fd, const nacre__sqlite_paths *paths, nacre_detail *why)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 022) == 0 &&
        st.st_nlink == 1)
        return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_FILE,
                       "%s: must be a file of this user that only it can write, with one name; run chmod 600 on it",
                       paths->mark);
}

static nacre_err take_lock(int fd, const nacre__sqlite_paths *paths, nacre_detail *why)
{
    enum { TRIES = 20, PAUSE_NS = 50 * 1000 * 1000 };
    for (int i = 0; i < TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) return nacre__sqlite_paths_check(paths->mark, fd, why);
        if (errno != EWOULDBLOCK && errno != EINTR)
            return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot lock: %s", paths->mark, strerror(errno));
        (void)nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
    }
    return nacre__fail(why, NACRE_ERR_LOCKED,
                       "%s: another server or command has this database open; stop it first, or use that one",
                       paths->path);
}

nacre_err nacre__sqlite_mark_lock(int *out, const nacre__sqlite_paths *paths, nacre_detail *why)
{
    nacre_err err = NACRE_OK;
    int fd = open(paths->mark, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        fd = open(paths->mark, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0) err = nacre__dirfd_sync_parent(paths->mark, why);
    }
    if (fd < 0)
        return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot open: %s%s", paths->mark, strerror(errno),
                           nacre__sqlite_advice(errno));
    if (err == NACRE_OK) err = check_mark_file(fd, paths, why);
    if (err == NACRE_OK) err = take_lock(fd, paths, why);
    if (err != NACRE_OK) close(fd);
    else *out = fd;
    return err;
}
