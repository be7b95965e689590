/* SPDX-License-Identifier: MIT */
/* atomic_file: replaces a file as a whole, so that a power loss at any moment leaves the old text or the new one.
 *
 *     write temporary file -> fsync it -> rename over the old one -> fsync the directory
 *
 * The first fsync orders the contents before the rename; the second makes the rename durable. */
#include "store/file/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "store/advice.h"
#include "store/random.h"

enum { RANDOM_CHARS = 6, MAX_NAME = NACRE__TEMPORARY_NAME, ATTEMPTS = 100 };

static nacre_err fail(const nacre__dirfd *dirfd, const char *name, const char *step, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_FILE, "%s/%s: cannot %s: %s%s", dirfd->path, name, step, strerror(errno),
                       nacre__store_advice(errno));
}

/* "sequence.json" -> ".sequence-"; the result is its length. */
static size_t temporary_prefix(char prefix[MAX_NAME], const char *name)
{
    int stem = (int)strcspn(name, ".");
    if (stem > MAX_NAME - RANDOM_CHARS - 3) stem = MAX_NAME - RANDOM_CHARS - 3;
    return (size_t)snprintf(prefix, MAX_NAME, ".%.*s-", stem, name);
}

/* As mkostemp, but relative to the directory. -1 with errno. */
static int open_temporary(const nacre__dirfd *dirfd, const char *name, char temporary[MAX_NAME])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    size_t len = temporary_prefix(temporary, name);
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        uint8_t random[RANDOM_CHARS];
        if (!nacre__store_random(random, sizeof random)) return -1;
        for (size_t i = 0; i < RANDOM_CHARS; i++) temporary[len + i] = letters[random[i] & 31];
        temporary[len + RANDOM_CHARS] = '\0';
        int fd = openat(dirfd->fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
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

/* Writes and syncs. NULL, or the name of the step that failed, with errno. */
static const char *fill(int fd, const char *text)
{
    if (!write_all(fd, text)) return "write";
    return fsync(fd) == 0 ? NULL : "make durable (fsync)";
}

nacre_err nacre__file_begin(nacre__new_file *file, const nacre__dirfd *dirfd, const char *name, nacre_detail *why)
{
    *file = (nacre__new_file){ .dirfd = dirfd, .name = name, .fd = -1 };
    nacre_err err = nacre__guard_check(dirfd, why);
    if (err != NACRE_OK) return err;
    file->fd = open_temporary(dirfd, name, file->temporary);
    if (file->fd < 0) return fail(dirfd, name, "make a temporary file beside it", why);
    nacre__file_identity_of(file->identity, file->fd);
    return NACRE_OK;
}

/* A rename that reports failure may still have been done. */
static bool has_its_name(const nacre__new_file *file)
{
    struct stat made, named;
    return fstat(file->fd, &made) == 0 && fstatat(file->dirfd->fd, file->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           made.st_dev == named.st_dev && made.st_ino == named.st_ino;
}

/* The new file has its name: updates the guard with `bytes`, a copy of its text (NULL: no guard), and syncs. */
static nacre_err settle(nacre__new_file *file, char *bytes, nacre_detail *why)
{
    if (bytes != NULL) nacre__guard_set(file->dirfd->guard, file->fd, (uint8_t *)bytes, strlen(bytes));
    else close(file->fd);
    file->fd = -1;
    return nacre__dirfd_sync(file->dirfd, why);
}

/* `renamed` is set if the name leads to the new file, whatever is returned. */
static nacre_err give_name(nacre__new_file *file, const char *text, bool *renamed, nacre_detail *why)
{
    const nacre__dirfd *dirfd = file->dirfd;
    const char *failed = fill(file->fd, text);
    *renamed = false;
    if (failed != NULL) return fail(dirfd, file->name, failed, why);
    nacre_err err = nacre__guard_check(dirfd, why); /* as late as possible */
    if (err != NACRE_OK) return err;
    *renamed = renameat(dirfd->fd, file->temporary, dirfd->fd, file->name) == 0;
    if (*renamed) return NACRE_OK;
    err = fail(dirfd, file->name, "replace (rename)", why);
    *renamed = has_its_name(file);
    return err;
}

nacre_err nacre__file_commit(nacre__new_file *file, const char *text, bool *uncertain, nacre_detail *why)
{
    const nacre__dirfd *dirfd = file->dirfd;
    const bool is_guarded = dirfd->guard != NULL && strcmp(file->name, "sequence.json") == 0;
    char *bytes = is_guarded ? strdup(text) : NULL;
    bool renamed = false;
    *uncertain = false;
    nacre_err err = is_guarded && bytes == NULL ? nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory")
                                                : give_name(file, text, &renamed, why);
    if (!renamed) {
        free(bytes);
        nacre__file_abandon(file);
        return err;
    }
    nacre_err synced = settle(file, bytes, err == NACRE_OK ? why : NULL);
    *uncertain = err != NACRE_OK || synced != NACRE_OK;
    return err == NACRE_OK ? synced : err;
}

void nacre__file_abandon(nacre__new_file *file)
{
    close(file->fd);
    file->fd = -1;
    unlinkat(file->dirfd->fd, file->temporary, 0);
}

nacre_err nacre__file_replace(const nacre__dirfd *dirfd, const char *name, const char *text, bool *uncertain,
                              nacre_detail *why)
{
    nacre__new_file file;
    *uncertain = false;
    nacre_err err = nacre__file_begin(&file, dirfd, name, why);
    return err == NACRE_OK ? nacre__file_commit(&file, text, uncertain, why) : err;
}

void nacre__file_sweep(const nacre__dirfd *dirfd, const char *name)
{
    char prefix[MAX_NAME];
    size_t len = temporary_prefix(prefix, name);
    int fd = openat(dirfd->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0) close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (strncmp(entry->d_name, prefix, len) == 0 && strlen(entry->d_name) == len + RANDOM_CHARS)
            unlinkat(dirfd->fd, entry->d_name, 0);
    closedir(dir);
}
