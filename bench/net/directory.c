/* SPDX-License-Identifier: MIT */
/* directory: see directory.h. */
#include "directory.h"
#include "bench.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

void directory_make(char path[DIRECTORY_PATH])
{
    const char *base = getenv("NACRE_BENCH_DIR");
    const int len = snprintf(path, DIRECTORY_PATH - 64, "%s/nacre-bench-XXXXXX", base != NULL ? base : ".");
    bench_check(len < DIRECTORY_PATH - 64 && mkdtemp(path) != NULL, "a directory for contexts (NACRE_BENCH_DIR)");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    (void)remove(path);
    return 0;
}

void directory_remove(const char *path)
{
    (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
