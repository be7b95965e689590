/* SPDX-License-Identifier: MIT */
/* version: the library's version. */
#include <nacre/nacre.h>

const char *nacre_version(void)
{
    return NACRE_VERSION;
}
