/* SPDX-License-Identifier: MIT */
/* detail: formats an error message and returns the error in one step. Hosted, unlike the rest of base, because it uses printf
 * formatting. */
#ifndef NACRE_BASE_HOSTED_DETAIL_H
#define NACRE_BASE_HOSTED_DETAIL_H

#include <nacre/base.h>

/* nacre__fail sets `why` (NULL is allowed) and returns `err`. Terminal control characters, from file names, files and peers,
 * become '?' (visible.h): a detail is one line of UTF-8. */
nacre_err nacre__fail(nacre_detail *why, nacre_err err, const char *format, ...) NACRE_PRINTF(3, 4);

#endif
