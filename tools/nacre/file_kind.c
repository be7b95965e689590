/* SPDX-License-Identifier: MIT */
/* file_kind: tells a database from a context directory by what its path leads to. */
#include <sys/stat.h>

#include "tool.h"

bool tool_is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}
