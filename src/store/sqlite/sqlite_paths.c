/* SPDX-License-Identifier: MIT */
/* sqlite_paths: checks the file of a database: regular, of this user, private, with one name, on a local file system. */
#include "store/sqlite/sqlite_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hosted/detail.h"

#ifdef __linux__
#include <sys/vfs.h>

/* File systems that more than one machine may write, where WAL's shared memory does not work, and FUSE, which may be one. */
static const char *network_name(int fd)
{
    static const struct {
        uint32_t magic;
        const char *name;
    } kinds[] = {
        { 0x6969, "NFS" },       { 0x517b, "SMB" },      { 0xff534d42, "CIFS" },   { 0xfe534d42, "SMB" },
        { 0x5346414f, "AFS" },   { 0x73757245, "Coda" }, { 0x564c, "NCP" },        { 0x01021997, "9P" },
        { 0x00c36400, "Ceph" },  { 0x65735546, "FUSE" }, { 0x0bd00bd0, "Lustre" }, { 0x47504653, "GPFS" },
        { 0x7461636f, "OCFS2" }, { 0x01161970, "GFS2" },
    };
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0) return NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if ((uint32_t)fs.f_type == kinds[i].magic) return kinds[i].name;
    return NULL;
}
#else
static const char *network_name(int fd)
{
    (void)fd;
    return NULL;
}
#endif

static nacre_err no_memory(const char *path, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", path);
}

/* Resolves DB's directory, which may be reached by a link. DB itself may not: nacre__sqlite_paths_open refuses that. */
static nacre_err resolve(nacre__sqlite_paths *paths, char *dir_copy, const char *name, nacre_detail *why)
{
    char directory[PATH_MAX];
    if (realpath(dirname(dir_copy), directory) == NULL)
        return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot find its directory: %s", paths->path, strerror(errno));
    const size_t size = strlen(directory) + strlen(name) + 8;
    paths->real = malloc(size);
    paths->mark = malloc(size);
    paths->log = malloc(size);
    if (paths->real == NULL || paths->mark == NULL || paths->log == NULL) return no_memory(paths->path, why);
    const char *slash = strcmp(directory, "/") == 0 ? "" : "/";
    (void)snprintf(paths->real, size, "%s%s%s", directory, slash, name);
    (void)snprintf(paths->mark, size, "%s-mark", paths->real);
    (void)snprintf(paths->log, size, "%s-wal", paths->real);
    return NACRE_OK;
}

nacre_err nacre__sqlite_paths_find(nacre__sqlite_paths *paths, const char *path, nacre_detail *why)
{
    *paths = (nacre__sqlite_paths){ .path = path, .fd = -1, .log_fd = -1 };
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return nacre__fail(why, NACRE_ERR_FILE, "'%s' is not the name of a database file", path);
    char *copy = strdup(path);
    if (copy == NULL) return no_memory(path, why);
    const nacre_err err = resolve(paths, copy, name, why);
    free(copy);
    if (err != NACRE_OK) nacre__sqlite_paths_free(paths);
    return err;
}

void nacre__sqlite_paths_free(nacre__sqlite_paths *paths)
{
    if (paths->fd >= 0) close(paths->fd);
    if (paths->log_fd >= 0) close(paths->log_fd);
    free(paths->real);
    free(paths->mark);
    free(paths->log);
    *paths = (nacre__sqlite_paths){ .fd = -1, .log_fd = -1 };
}

/* ---- The file ---- */

static nacre_err refuse(const nacre__sqlite_paths *paths, const char *text, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_FILE, "%s: %s", paths->path, text);
}

static nacre_err check_file(const nacre__sqlite_paths *paths, const struct stat *st, nacre_detail *why)
{
    if (S_ISLNK(st->st_mode)) return refuse(paths, "is a symbolic link; give the path of the file itself", why);
    if (!S_ISREG(st->st_mode)) return refuse(paths, "is not a regular file", why);
    if (st->st_uid != geteuid()) return refuse(paths, "belongs to another user; run as its owner", why);
    if ((st->st_mode & 077) != 0)
        return refuse(paths, "other users can read or write it, and it has keys; run chmod 600 on it", why);
    if (st->st_nlink != 1)
        return refuse(paths, "has another name (a hard link), under which it could be used a second time; remove that",
                      why);
    return NACRE_OK;
}

static nacre_err cannot_open(const nacre__sqlite_paths *paths, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot open: %s%s", paths->path, strerror(errno),
                       errno == ENOENT ? "; nacre fleet create makes one" : nacre__sqlite_advice(errno));
}

nacre_err nacre__sqlite_paths_open(nacre__sqlite_paths *paths, nacre_detail *why)
{
    struct stat st, held;
    if (lstat(paths->real, &st) != 0) return cannot_open(paths, why);
    nacre_err err = check_file(paths, &st, why);
    if (err != NACRE_OK) return err;
#ifdef O_PATH
    const int fd = open(paths->real, O_PATH | O_NOFOLLOW | O_CLOEXEC);
#else
    const int fd = dup(STDERR_FILENO); /* the path is compared by lstat alone */
#endif
    if (fd < 0) return cannot_open(paths, why);
    paths->fd = fd;
#ifdef O_PATH
    if (fstat(fd, &held) != 0 || held.st_ino != st.st_ino || held.st_dev != st.st_dev)
        return refuse(paths, "was replaced at this moment; try again", why);
#else
    (void)held;
#endif
    const char *network = network_name(fd);
    if (network == NULL) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_FILE,
                       "%s: is on a network file system (%s), where SQLite's log does not work; put it on a local one",
                       paths->path, network);
}

nacre_err nacre__sqlite_paths_check_beside(const nacre__sqlite_paths *paths, const char *suffix, nacre_detail *why)
{
    char name[PATH_MAX + 16];
    struct stat st;
    (void)snprintf(name, sizeof name, "%s%s", paths->real, suffix);
    if (lstat(name, &st) != 0 || (S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == geteuid())) return NACRE_OK;
    const char *what = S_ISLNK(st.st_mode)    ? "is a symbolic link"
                       : !S_ISREG(st.st_mode) ? "is not a regular file"
                       : st.st_nlink != 1     ? "has another name (a hard link)"
                                              : "belongs to another user";
    return nacre__fail(why, NACRE_ERR_FILE, "%s: %s, and is not used; find out what made it, and remove it", name,
                       what);
}

nacre_err nacre__sqlite_paths_open_log(nacre__sqlite_paths *paths, nacre_detail *why)
{
#ifdef O_PATH
    paths->log_fd = open(paths->log, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (paths->log_fd < 0) return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot open: %s", paths->log, strerror(errno));
#else
    (void)paths, (void)why;
#endif
    return NACRE_OK;
}

nacre_err nacre__sqlite_paths_check(const char *path, int fd, nacre_detail *why)
{
#ifdef O_PATH
    struct stat named, held;
    const bool is_there = lstat(path, &named) == 0;
    if (is_there && fstat(fd, &held) == 0 && named.st_dev == held.st_dev && named.st_ino == held.st_ino)
        return NACRE_OK;
    if (!is_there && errno != ENOENT)
        return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot look at it before writing: %s%s", path, strerror(errno),
                           nacre__sqlite_advice(errno));
    return nacre__fail(why, NACRE_ERR_LOCKED, "%s: was %s while it was open", path,
                       is_there ? "replaced" : "moved or removed");
#else
    (void)path, (void)fd, (void)why;
    return NACRE_OK;
#endif
}
