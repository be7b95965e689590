/* SPDX-License-Identifier: MIT */
/* serve_sweep: removes temporary files of PUT left by processes that ended during a write.
 *
 * A temporary file is locked while it is written. One that can be locked is stale: it is removed if it has our name pattern,
 * our owner and one link. Other names that begin with ".nacre-" are left alone. */
#include "serve_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { MAX_DEPTH = 64, NAME_LEN = sizeof SERVE_TEMPORARY - 1 + 16 };

static bool is_temporary_name(const char *name)
{
    const size_t start = strlen(SERVE_TEMPORARY);
    return strncmp(name, SERVE_TEMPORARY, start) == 0 && strlen(name) == NAME_LEN &&
           strspn(name + start, "0123456789abcdef") == NAME_LEN - start;
}

static void sweep_file(int dir, const char *name)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) return;
    if (st.st_uid != geteuid() || st.st_nlink != 1) return;
    const int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) (void)unlinkat(dir, name, 0);
    (void)close(fd);
}

static bool may_be_directory(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN);
}

/* Takes ownership of `fd`. Directories that hold contexts are skipped, since nothing is written there. */
static void sweep(int fd, unsigned depth) /* NOLINT(misc-no-recursion): over directories that exist, and bounded */
{
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        (void)close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (is_temporary_name(entry->d_name)) sweep_file(fd, entry->d_name);
        if (!may_be_directory(entry) || depth == MAX_DEPTH) continue;
        const int below = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0 && serve_holds_context(below)) (void)close(below);
        else if (below >= 0) sweep(below, depth + 1);
    }
    (void)closedir(stream);
}

void serve_sweep(int root)
{
    const int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) sweep(fd, 0);
}
