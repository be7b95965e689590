/* SPDX-License-Identifier: MIT */
/* serve_names: the names in a directory, for a listing. POSIX has no scandir that takes a descriptor. */
#include "serve_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void serve_names_free(serve_names *names)
{
    for (size_t i = 0; i < names->num; i++) free(names->name[i]);
    free(names->name);
    *names = (serve_names){ 0 };
}

static bool add(serve_names *names, const char *name)
{
    if ((names->num & (names->num - 1)) == 0) { /* full: 0, 1, 2, 4, 8 … */
        char **more = realloc(names->name, (names->num > 0 ? 2 * names->num : 1) * sizeof *more);
        if (more == NULL) return false;
        names->name = more;
    }
    names->name[names->num] = strdup(name);
    return names->name[names->num] != NULL && ++names->num > 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool serve_names_read(serve_names *names, int dir)
{
    const int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* a descriptor with its own position */
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    bool ok = stream != NULL;
    *names = (serve_names){ 0 };
    if (fd >= 0 && !ok) close(fd);
    for (const struct dirent *entry; ok && (errno = 0, entry = readdir(stream)) != NULL;)
        if (entry->d_name[0] != '.') ok = add(names, entry->d_name);
    if (errno != 0) ok = false;
    if (stream != NULL) closedir(stream);
    if (!ok) serve_names_free(names);
    else if (names->num > 1) qsort(names->name, names->num, sizeof *names->name, compare);
    return ok;
}
