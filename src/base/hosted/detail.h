/* SPDX-License-Identifier: MIT */
/* detail: say what went wrong, for people, and return the error, in one step. Hosted, unlike the rest of base: it prints. */
#ifndef NACRE_BASE_HOSTED_DETAIL_H
#define NACRE_BASE_HOSTED_DETAIL_H

#include <nacre/base.h>

/* nacre__fail sets `why` (NULL is allowed) and gives `err` back. What steers a terminal, which file names, files and peers may
 * bring along, becomes '?' (visible.h): a detail is one line of UTF-8. */
nacre_err nacre__fail(nacre_detail *why, nacre_err err, const char *format, ...) NACRE_PRINTF(3, 4);

#endif
