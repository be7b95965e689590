/* SPDX-License-Identifier: MIT */
/* advice: see advice.h. */
#include "store/advice.h"

#include <errno.h>

const char *nacre__store_advice(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT: return "; make room on its file system";
    case EROFS: return "; mount its file system writable";
    case EACCES:
    case EPERM: return "; this user must be able to make files here, to replace sequence.json and to read lock";
    default: return "";
    }
}
