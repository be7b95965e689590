/* SPDX-License-Identifier: MIT */
/* detail: see detail.h. */
#include "base/hosted/detail.h"
#include "base/hosted/visible.h"

#include <stdarg.h>
#include <stdio.h>

nacre_err nacre__fail(nacre_detail *why, nacre_err err, const char *format, ...)
{
    if (why == NULL) return err;
    va_list args;
    va_start(args, format);
    if (vsnprintf(why->text, sizeof why->text, format, args) < 0) why->text[0] = '\0';
    va_end(args);
    nacre__make_visible(why->text);
    return err;
}
