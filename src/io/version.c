/* SPDX-License-Identifier: MIT */
/* version: which nacre this is. */
#include <nacre/nacre.h>

const char *nacre_version(void)
{
    return NACRE_VERSION;
}
