/* SPDX-License-Identifier: MIT */
/* atomic_file: replace a file as a whole, so that a power loss at any moment leaves the old text or the new one.
 *
 *     write temporary file -> fsync it -> rename over the old one -> fsync the folder
 *
 * The first fsync keeps the rename from overtaking the contents, the second makes the rename itself last. */
#include "store/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/fail.h"
#include "store/random.h"

enum { RANDOM_CHARS = 6, MAX_NAME = 64, ATTEMPTS = 100 };

static nacre_err fail(const nacre__folder *folder, const char *name, const char *step, nacre_detail *why)
{
    return nacre__store_fail(why, NACRE_ERR_FILE, "%s/%s: cannot %s: %s", folder->path, name, step, strerror(errno));
}

/* "sequence.json" -> ".sequence-"; the result is its length. */
static size_t temporary_prefix(char prefix[MAX_NAME], const char *name)
{
    int stem = (int)strcspn(name, ".");
    if (stem > MAX_NAME - RANDOM_CHARS - 3) stem = MAX_NAME - RANDOM_CHARS - 3;
    return (size_t)snprintf(prefix, MAX_NAME, ".%.*s-", stem, name);
}

/* As mkostemp, but relative to the folder. -1 with errno. */
static int open_temporary(const nacre__folder *folder, const char *name, char temporary[MAX_NAME])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    size_t len = temporary_prefix(temporary, name);
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        uint8_t random[RANDOM_CHARS];
        if (!nacre__store_random(random, sizeof random)) return -1;
        for (size_t i = 0; i < RANDOM_CHARS; i++) temporary[len + i] = letters[random[i] & 31];
        temporary[len + RANDOM_CHARS] = '\0';
        int fd = openat(folder->fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

static bool write_all(int fd, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t put = write(fd, text, left);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        text += put;
        left -= (size_t)put;
    }
    return true;
}

/* Writes, makes durable and closes; NULL, or what could not be done, with errno. */
static const char *fill(int fd, const char *text)
{
    const char *failed = NULL;
    if (!write_all(fd, text)) failed = "write";
    else if (fsync(fd) != 0) failed = "make durable (fsync)";
    int reason = errno;
    if (close(fd) != 0 && failed == NULL) return "close";
    errno = reason;
    return failed;
}

nacre_err nacre__file_replace(const nacre__folder *folder, const char *name, const char *text, bool *uncertain,
                              nacre_detail *why)
{
    char temporary[MAX_NAME];
    *uncertain = false;
    int fd = open_temporary(folder, name, temporary);
    if (fd < 0) return fail(folder, name, "make a temporary file beside it", why);
    const char *failed = fill(fd, text);
    if (failed == NULL && renameat(folder->fd, temporary, folder->fd, name) != 0) failed = "replace (rename)";
    if (failed != NULL) {
        nacre_err err = fail(folder, name, failed, why);
        unlinkat(folder->fd, temporary, 0);
        return err;
    }
    nacre_err err = nacre__folder_sync(folder, why);
    *uncertain = err != NACRE_OK;
    return err;
}

void nacre__file_sweep(const nacre__folder *folder, const char *name)
{
    char prefix[MAX_NAME];
    size_t len = temporary_prefix(prefix, name);
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0) close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (strncmp(entry->d_name, prefix, len) == 0 && strlen(entry->d_name) == len + RANDOM_CHARS)
            unlinkat(folder->fd, entry->d_name, 0);
    closedir(dir);
}
