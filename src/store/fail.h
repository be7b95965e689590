/* SPDX-License-Identifier: MIT */
/* fail: say what went wrong, for people, and return the error, in one step. */
#ifndef NACRE_STORE_FAIL_H
#define NACRE_STORE_FAIL_H

#include <nacre/store.h>

/* nacre__store_fail sets `why` (NULL is allowed) and gives `err` back. Control characters, which file names and files
 * may bring along, become '?': a detail is one line. */
nacre_err nacre__store_fail(nacre_detail *why, nacre_err err, const char *format, ...) NACRE_PRINTF(3, 4);

/* nacre__store_advice says what to do about an errno, as the end of a text: "; …", or "" where there is nothing to say. */
const char *nacre__store_advice(int number);

#endif
