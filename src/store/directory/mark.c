/* SPDX-License-Identifier: MIT */
/* mark: which copies of a directory or database can be detected on its file system. */
#include <nacre/store.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/directory/directory_read.h"
#include "store/lock/generation.h"

static nacre_mark mark_of(nacre__file_identity_kind kind, bool counts)
{
    if (kind == NACRE__FILE_IDENTITY_NOTHING) return NACRE_MARK_NONE;
    if (!counts) return NACRE_MARK_NO_GENERATION;
    return kind == NACRE__FILE_IDENTITY_INODE ? NACRE_MARK_NO_BIRTH : NACRE_MARK_FULL;
}

static nacre__file_identity_kind kind_at(int fd)
{
    char identity[NACRE__FILE_IDENTITY_TEXT];
    nacre__file_identity_of(identity, fd);
    return nacre__file_identity_kind_of(identity);
}

nacre_mark nacre__directory_mark(const nacre__dirfd *dirfd)
{
    int fd = openat(dirfd->fd, "sequence.json", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
    nacre_mark mark = mark_of(kind_at(fd >= 0 ? fd : dirfd->fd), nacre__generation_is_writable(dirfd));
    if (fd >= 0) close(fd);
    return mark;
}

nacre_mark nacre_mark_at(const char *path)
{
    struct stat st;
    nacre_mark mark = NACRE_MARK_NONE;
    int how = O_RDONLY;
#ifdef O_PATH /* closing another descriptor of a database that this process has open would drop its locks */
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) how = O_PATH;
#endif
    int fd = open(path, how | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return mark;
    if (fstat(fd, &st) == 0)
        mark = S_ISDIR(st.st_mode) ? nacre__directory_mark(&(nacre__dirfd){ .fd = fd, .path = path })
                                   : mark_of(kind_at(fd), true);
    close(fd);
    return mark;
}

const char *nacre_mark_text(nacre_mark mark)
{
    switch (mark) {
    case NACRE_MARK_FULL: return NULL;
    case NACRE_MARK_NO_BIRTH:
        return "this file system tells no time of birth: a backup that is put back as a whole may not be noticed";
    case NACRE_MARK_NO_GENERATION:
        return "lock is another user's or read-only: a snapshot made of hard links that is put back may not be noticed";
    default:
        return "this file system gives a file no lasting identity: a copy, or a backup that is put back as a whole, is "
               "not "
               "noticed";
    }
}
