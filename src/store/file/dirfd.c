/* SPDX-License-Identifier: MIT */
/* dirfd: a directory held open, so that all its files are accessed through one descriptor. */
#include "store/file/files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "store/advice.h"

nacre_err nacre__dirfd_open(nacre__dirfd *dirfd, const char *path, nacre_detail *why)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot open directory: %s", path, strerror(errno));
    *dirfd = (nacre__dirfd){ .fd = fd, .path = path };
    return NACRE_OK;
}

void nacre__dirfd_close(nacre__dirfd *dirfd)
{
    if (dirfd->fd >= 0) close(dirfd->fd);
    dirfd->fd = -1;
}

nacre_err nacre__dirfd_sync(const nacre__dirfd *dirfd, nacre_detail *why)
{
    if (fsync(dirfd->fd) == 0) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot make the directory durable (fsync): %s%s", dirfd->path,
                       strerror(errno), nacre__store_advice(errno));
}

nacre_err nacre__dirfd_sync_parent(const char *path, nacre_detail *why)
{
    nacre__dirfd parent = { .fd = -1 };
    char *copy = strdup(path);
    if (copy == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory");
    nacre_err err = nacre__dirfd_open(&parent, dirname(copy), why);
    if (err == NACRE_OK) {
        err = nacre__dirfd_sync(&parent, why);
        nacre__dirfd_close(&parent);
    }
    free(copy);
    return err;
}
