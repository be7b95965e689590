/* SPDX-License-Identifier: MIT */
/* fail: the text of an error, kept to one line. */
#include "store/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

nacre_err nacre__store_fail(nacre_detail *why, nacre_err err, const char *format, ...)
{
    if (why == NULL) return err;
    va_list args;
    va_start(args, format);
    if (vsnprintf(why->text, sizeof why->text, format, args) < 0) why->text[0] = '\0';
    va_end(args);
    for (char *c = why->text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    return err;
}

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
