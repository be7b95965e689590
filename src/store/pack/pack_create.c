/* SPDX-License-Identifier: MIT */
/* pack_create: makes an empty pack. The head is written last, so that a file left by a crash cannot be opened. */
#include "store/pack/pack_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "store/file/files.h"
#include "store/random.h"

static nacre_err write_all(const nacre__pack_file *file, const nacre__pack_id *id, nacre_detail *why)
{
    uint8_t pages[NACRE__PACK_FIRST_SEGMENT * NACRE__PACK_PAGE];
    nacre__extent extent = { .num_pages = NACRE__PACK_FIRST_SEGMENT };
    memset(pages, 0, NACRE__PACK_PAGE);
    for (uint64_t page = 1; page <= 2; page++, extent.generation++)
        nacre__extent_write(pages + page * NACRE__PACK_PAGE, &extent, id, page);
    nacre_err err = nacre__pack_put(file, pages, 0, sizeof pages, why);
    if (err == NACRE_OK) err = nacre__pack_sync(file, why);
    nacre__head_write(pages, id);
    if (err == NACRE_OK) err = nacre__pack_put(file, pages, 0, NACRE__PACK_PAGE, why);
    return err == NACRE_OK ? nacre__pack_sync(file, why) : err;
}

/* The directory of a path. False: the path is too long. */
static bool directory_of(char dirfd[PATH_MAX], const char *path)
{
    char copy[PATH_MAX];
    if ((size_t)snprintf(copy, sizeof copy, "%s", path) >= sizeof copy) return false;
    snprintf(dirfd, PATH_MAX, "%s", dirname(copy));
    return true;
}

static nacre_err sync_directory(const char *path, nacre_detail *why)
{
    char name[PATH_MAX];
    nacre__dirfd dirfd;
    if (!directory_of(name, path)) return nacre__fail(why, NACRE_ERR_FILE, "%.200s: the path is too long", path);
    nacre_err err = nacre__dirfd_open(&dirfd, name, why);
    if (err != NACRE_OK) return err;
    err = nacre__dirfd_sync(&dirfd, why);
    nacre__dirfd_close(&dirfd);
    return err;
}

nacre_err nacre_pack_create(const char *path, nacre_detail *why)
{
    nacre__pack_id id;
    if (!nacre__store_random(id.bytes, sizeof id.bytes))
        return nacre__fail(why, NACRE_ERR_CRYPTO, "%s: the system gives no random bytes", path);
    nacre__pack_file file = { open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), path, -1 };
    if (file.fd < 0) return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot make the pack: %s", path, strerror(errno));
    nacre_err err = write_all(&file, &id, why);
    nacre__pack_file_close(&file);
    if (err == NACRE_OK) err = sync_directory(path, why);
    if (err != NACRE_OK) (void)unlink(path);
    return err;
}
