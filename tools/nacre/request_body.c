/* SPDX-License-Identifier: MIT */
/* request_body: payloads from files and pipes, responses into files, and the progress line of long transfers. */
#include "request_body.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Payloads --------------------------------------------------------------------------------------------------------- */

static nacre_err read_at(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    const request_payload *payload = user;
    size_t got = 0;
    while (got < buf.cap) {
        const ssize_t n = pread(payload->fd, buf.ptr + got, buf.cap - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return NACRE_ERR_FILE;
        if (n == 0) break;
        got += (size_t)n;
    }
    *len = got;
    return NACRE_OK;
}

static nacre_err read_memory(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    const request_payload *payload = user;
    const size_t left = payload->bytes.len - (size_t)offset;
    *len = left < buf.cap ? left : buf.cap;
    memcpy(buf.ptr, payload->bytes.ptr + offset, *len);
    return NACRE_OK;
}

nacre_source request_payload_source(request_payload *payload)
{
    if (payload->source.read != NULL || payload->bytes.len == 0) return payload->source;
    return (nacre_source){ read_memory, payload, payload->bytes.len };
}

/* Reads more of a pipe; TOOL_OK with *more false at its end. */
static bool read_more(request_payload *payload, bool *more)
{
    if (payload->bytes.len == payload->cap) {
        const size_t cap = payload->cap == 0 ? 4096 : payload->cap * 2;
        uint8_t *larger = malloc(cap); /* realloc would leave an unwiped copy */
        if (larger == NULL) return false;
        if (payload->memory != NULL) memcpy(larger, payload->memory, payload->cap);
        if (payload->memory != NULL) nacre_wipe(payload->memory, payload->cap);
        free(payload->memory);
        payload->memory = larger;
        payload->cap = cap;
    }
    const ssize_t n = read(payload->fd, payload->memory + payload->bytes.len, payload->cap - payload->bytes.len);
    if (n < 0 && errno != EINTR) return false;
    *more = n != 0;
    payload->bytes = nacre_bytes_of(payload->memory, payload->bytes.len + (n > 0 ? (size_t)n : 0));
    return true;
}

static int read_pipe(request_payload *payload, const char *command)
{
    for (bool more = true; more;) {
        if (!read_more(payload, &more))
            return tool_fail(command, NACRE_ERR_FILE, "cannot read the payload from '%s': %s", payload->path,
                             strerror(errno));
        if (payload->bytes.len > REQUEST_MAX_BODY)
            return tool_fail(command, NACRE_ERR_TOO_LONG,
                             "the payload from '%s' is longer than %d bytes; put it into a file", payload->path,
                             (int)REQUEST_MAX_BODY);
    }
    return TOOL_OK;
}

static int open_file(request_payload *payload, const char *command, const char *path)
{
    struct stat st;
    payload->path = path;
    payload->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (payload->fd < 0 || fstat(payload->fd, &st) != 0)
        return tool_fail(command, NACRE_ERR_FILE, "cannot read the payload from '%s': %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return tool_fail(command, NACRE_ERR_FILE, "cannot read the payload from '%s': it is a directory", path);
    if (!S_ISREG(st.st_mode) || payload->fd == STDIN_FILENO) return read_pipe(payload, command);
    payload->source = (nacre_source){ read_at, payload, (uint64_t)st.st_size };
    return TOOL_OK;
}

int request_payload_open(request_payload *payload, const char *command, const char *text, const char *file)
{
    *payload = (request_payload){ .fd = -1 };
    if (text != NULL && text[0] == '@') file = text + 1;
    if (file != NULL) {
        const int result = open_file(payload, command, file);
        if (result != TOOL_OK) request_payload_close(payload);
        return result;
    }
    if (text != NULL) payload->bytes = nacre_bytes_of((const uint8_t *)text, strlen(text));
    return TOOL_OK;
}

void request_payload_close(request_payload *payload)
{
    if (payload->fd > STDIN_FILENO) (void)close(payload->fd);
    if (payload->memory != NULL) nacre_wipe(payload->memory, payload->cap);
    free(payload->memory);
    *payload = (request_payload){ .fd = -1 };
}

/* ---- Output ----------------------------------------------------------------------------------------------------------- */

static int fail_output(const request_output *output)
{
    return tool_fail(output->command, NACRE_ERR_FILE, "cannot write '%s': %s", output->path, strerror(errno));
}

/* The open standard output, by the name /dev/stdout or its own: the file that the shell opened must not be replaced. */
static bool is_stdout(const struct stat *st)
{
    struct stat out;
    return fstat(STDOUT_FILENO, &out) == 0 && out.st_dev == st->st_dev && out.st_ino == st->st_ino;
}

/* Sets target and temporary name. Symbolic links are followed, so that the target is replaced and not the link. */
static bool name_files(request_output *output, bool is_there)
{
    char *real = is_there ? realpath(output->path, NULL) : NULL;
    if (is_there && real == NULL) return false;
    const char *target = is_there ? real : output->path;
    const size_t len = strlen(target);
    const bool fits = len + sizeof ".XXXXXX" <= sizeof output->temporary;
    if (fits) {
        (void)snprintf(output->target, sizeof output->target, "%s", target);
        (void)snprintf(output->temporary, sizeof output->temporary, "%.*s.XXXXXX", (int)len, target);
    } else errno = ENAMETOOLONG;
    free(real);
    return fits;
}

int request_output_open(request_output *output, const char *command, const char *path)
{
    struct stat st;
    *output = (request_output){ .command = command, .path = path, .fd = -1 };
    if (path == NULL) return TOOL_OK;
    const bool is_there = stat(path, &st) == 0;
    if (is_there && (is_stdout(&st) || !S_ISREG(st.st_mode))) { /* a pipe or device cannot be replaced */
        output->fd = is_stdout(&st) ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
                                    : open(path, O_WRONLY | O_CLOEXEC);
        return output->fd >= 0 ? TOOL_OK : fail_output(output);
    }
    if (!name_files(output, is_there)) return fail_output(output);
    output->fd = mkstemp(output->temporary);
    if (output->fd >= 0) return TOOL_OK;
    output->temporary[0] = '\0';
    return fail_output(output);
}

/* A sink: a second offset 0 means that the body starts again. */
nacre_err request_output_write(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    const request_output *output = user;
    size_t done = 0;
    (void)total;
    if (offset == 0 && output->temporary[0] != '\0' && ftruncate(output->fd, 0) != 0) return NACRE_ERR_FILE;
    while (done < piece.len) {
        const ssize_t n = output->temporary[0] != '\0'
                              ? pwrite(output->fd, piece.ptr + done, piece.len - done, (off_t)(offset + done))
                              : write(output->fd, piece.ptr + done, piece.len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return NACRE_ERR_FILE;
        done += (size_t)n;
    }
    return NACRE_OK;
}

/* The body is complete: renames it to the target, with the permissions of a new file or of the replaced one. fsync comes first:
 * a power cut leaves the old or the new file, and late errors of a full disk or a file server are reported here. */
int request_output_keep(request_output *output)
{
    struct stat st;
    if (output->temporary[0] == '\0') return TOOL_OK;
    const mode_t mask = umask(0);
    (void)umask(mask);
    const mode_t mode = stat(output->target, &st) == 0 ? st.st_mode & 0777 : 0666 & ~mask;
    if (fchmod(output->fd, mode) != 0 || fsync(output->fd) != 0 || rename(output->temporary, output->target) != 0)
        return fail_output(output);
    output->temporary[0] = '\0';
    return TOOL_OK;
}

void request_output_close(request_output *output)
{
    if (output->fd >= 0) (void)close(output->fd);
    if (output->temporary[0] != '\0') (void)unlink(output->temporary);
    output->fd = -1;
}

/* ---- Progress --------------------------------------------------------------------------------------------------------- */

enum { BAR = 30, EVERY_MS = 100, QUIET_MS = 500 };

static uint64_t first_ms, last_ms; /* the tool does one transfer at a time */
static bool is_displayed;

static void draw(bool outgoing, uint64_t done, uint64_t total)
{
    char bar[BAR + 1] = "";
    const char *way = outgoing ? "sent" : "received";
    if (total == 0 || done > total) {
        fprintf(stderr, "\r\x1b[K%s %" PRIu64 " KiB", way, done / 1024);
        return;
    }
    for (unsigned i = 0; i < BAR; i++) bar[i] = i < done * BAR / total ? '#' : '.';
    fprintf(stderr, "\r\x1b[K[%s] %3u%%  %s %" PRIu64 " of %" PRIu64 " KiB", bar, (unsigned)(done * 100 / total), way,
            done / 1024, total / 1024);
}

void request_progress(void *user, bool outgoing, uint64_t done, uint64_t total)
{
    const uint64_t now = nacre_clock_ms();
    (void)user;
    if (first_ms == 0) first_ms = now;
    if (now - first_ms < QUIET_MS || now - last_ms < EVERY_MS) return; /* none for short transfers */
    last_ms = now;
    is_displayed = true;
    draw(outgoing, done, total);
    (void)fflush(stderr);
}

void request_progress_end(void)
{
    if (!is_displayed) return;
    is_displayed = false;
    fprintf(stderr, "\r\x1b[K");
    (void)fflush(stderr);
}
