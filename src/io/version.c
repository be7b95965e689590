/* SPDX-License-Identifier: MIT */
/* version: which nacre this is. */
#include <nacre/io.h>

const char *nacre_version(void)
{
    return NACRE_VERSION;
}
