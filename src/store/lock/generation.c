/* SPDX-License-Identifier: MIT */
/* generation: see generation.h. A record is one line of text padded with spaces: the number in 20 digits, the next number to
 * send in 13, and a checksum in 16 hex digits. */
#include "store/lock/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "store/advice.h"

enum { RECORD = 64, NUM_RECORDS = 2, DIGITS = 20, NEXT_DIGITS = 13 };

static nacre_err fail(const nacre__dirfd *dirfd, const char *what, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_FILE, "%s/lock: cannot %s: %s%s", dirfd->path, what, strerror(errno),
                       nacre__store_advice(errno));
}

/* ---- Records ---- */

static uint64_t checksum(const char *text) /* FNV-1a */
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++) sum = (sum ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return sum;
}

static void render(char record[RECORD + 1], nacre__generation count)
{
    char digits[2 * DIGITS + 2], line[2 * RECORD];
    snprintf(digits, sizeof digits, "%0*" PRIu64 " %0*" PRIu64, DIGITS, count.number, NEXT_DIGITS, count.next_to_send);
    snprintf(line, sizeof line, "generation %s %016" PRIx64, digits, checksum(digits));
    snprintf(record, RECORD + 1, "%-*.*s\n", RECORD - 1, RECORD - 1, line);
}

/* 0, 0 unless the record is byte for byte as render would write it. */
static nacre__generation parse(const char *record)
{
    static const char name[] = "generation ";
    char rendered[RECORD + 1], digits[DIGITS + 1] = "", next[NEXT_DIGITS + 1] = "";
    memcpy(digits, record + strlen(name), DIGITS);
    memcpy(next, record + strlen(name) + DIGITS + 1, NEXT_DIGITS);
    const nacre__generation count = { strtoull(digits, NULL, 10), strtoull(next, NULL, 10) };
    render(rendered, count);
    return memcmp(record, rendered, RECORD) == 0 ? count : (nacre__generation){ 0, 0 };
}

static nacre_err read_records(nacre__generation *count, int fd, const nacre__dirfd *dirfd, nacre_detail *why)
{
    char text[NUM_RECORDS * RECORD] = "";
    *count = (nacre__generation){ 0, 0 };
    for (size_t len = 0; len < sizeof text;) {
        ssize_t got = pread(fd, text + len, sizeof text - len, (off_t)len);
        if (got == 0) break;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(dirfd, "read", why);
        len += (size_t)got;
    }
    for (size_t i = 0; i < NUM_RECORDS; i++) {
        const nacre__generation found = parse(text + i * RECORD);
        if (found.number > count->number) *count = found;
    }
    return NACRE_OK;
}

static nacre_err put_record(int fd, nacre__generation count, const nacre__dirfd *dirfd, nacre_detail *why)
{
    char record[RECORD + 1];
    render(record, count);
    off_t at = (off_t)(count.number % NUM_RECORDS) * RECORD;
    for (size_t len = 0; len < RECORD;) {
        ssize_t put = pwrite(fd, record + len, RECORD - len, at + (off_t)len);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail(dirfd, "write", why);
        len += (size_t)put;
    }
    return fdatasync(fd) == 0 ? NACRE_OK : fail(dirfd, "make durable (fdatasync)", why);
}

/* Another user's lock file was opened for reading only. */
static bool is_writable(int fd)
{
    return fd >= 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
}

/* ---- The count ---- */

nacre_err nacre__generation_read(nacre__generation *count, const nacre__dirfd *dirfd, nacre_detail *why)
{
    *count = (nacre__generation){ 0, 0 };
    int fd = openat(dirfd->fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == EACCES || errno == ELOOP || errno == ENXIO)) return NACRE_OK;
    if (fd < 0) return fail(dirfd, "open", why);
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) { /* nacre__lock_take reports it */
        close(fd);
        return NACRE_OK;
    }
    nacre_err err = read_records(count, fd, dirfd, why);
    close(fd);
    return err;
}

nacre_err nacre__generation_open(nacre__generation_writer *writer, const nacre__dirfd *dirfd, int lock_fd,
                                 nacre__generation state, nacre_detail *why)
{
    nacre__generation found;
    *writer = (nacre__generation_writer){ .fd = lock_fd, .open = true };
    if (!is_writable(lock_fd)) return NACRE_OK;
    nacre_err err = read_records(&found, lock_fd, dirfd, why);
    if (err != NACRE_OK) return err;
    /* A power loss may still undo the rename of the state, which must not leave it below the count: sync first. */
    if (found.number < state.number) err = nacre__dirfd_sync(dirfd, why);
    if (err == NACRE_OK && found.number < state.number) err = put_record(lock_fd, state, dirfd, why);
    writer->number = found.number < state.number ? state.number : found.number;
    return err;
}

nacre_err nacre__generation_next(uint64_t *number, nacre__generation_writer *writer, const nacre__dirfd *dirfd,
                                 nacre_detail *why)
{
    nacre__generation found;
    *number = 0;
    if (!is_writable(writer->fd)) return NACRE_OK;
    nacre_err err = read_records(&found, writer->fd, dirfd, why);
    if (err != NACRE_OK) return err;
    if (writer->open && found.number > writer->number)
        return nacre__fail(why, NACRE_ERR_LOCKED,
                           "%s/lock: another program has used this context since, here or in a snapshot that "
                           "shares this file; end both, and make new keys (nacre keygen)",
                           dirfd->path);
    if (writer->number < found.number) writer->number = found.number;
    *number = ++writer->number;
    return NACRE_OK;
}

nacre_err nacre__generation_put(const nacre__generation_writer *writer, uint64_t number, const nacre__dirfd *dirfd,
                                nacre_detail *why)
{
    const nacre__generation count = { number, writer->next_to_send };
    return number > 0 ? put_record(writer->fd, count, dirfd, why) : NACRE_OK;
}

bool nacre__generation_is_writable(const nacre__dirfd *dirfd)
{
    return faccessat(dirfd->fd, "lock", R_OK | W_OK, 0) == 0 || errno == ENOENT;
}
