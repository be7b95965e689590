/* SPDX-License-Identifier: MIT */
/* detail: say what went wrong, for people, and return the error, in one step. Hosted, unlike the rest of base: it prints. */
#ifndef NACRE_BASE_HOSTED_DETAIL_H
#define NACRE_BASE_HOSTED_DETAIL_H

#include <nacre/base.h>

/* nacre__fail sets `why` (NULL is allowed) and gives `err` back. Control characters, which file names and files may bring along,
 * become '?': a detail is one line. */
nacre_err nacre__fail(nacre_detail *why, nacre_err err, const char *format, ...) NACRE_PRINTF(3, 4);

#endif
