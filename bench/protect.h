/* SPDX-License-Identifier: MIT */
/* protect: the cases of bench/protect.c, for the program of that name and for `nacre bench`. */
#ifndef NACRE_BENCH_PROTECT_H
#define NACRE_BENCH_PROTECT_H

#include "bench.h"
#include <nacre/nacre.h>

#define PROTECT_TITLE "protect and unprotect, AES-CCM-16-64-128, against the bare cipher"

/* protect_compare runs all cases with one provider. Labels are "PROVIDER, OPERATION, ROW", where ROW is "16 B"
 * (payload) or "burst of 32"; for each row the four operations follow one another: protect request, unprotect request,
 * protect response, unprotect response. Under each label come the bare cipher and then nacre. NACRE_OK;
 * NACRE_ERR_BAD_ARGUMENT (no provider has that name); the error of opening the provider */
enum { PROTECT_NUM_OPERATIONS = 4, PROTECT_NUM_COMPARISONS = PROTECT_NUM_OPERATIONS * (5 + 7) };
nacre_err protect_compare(bench *b, const char *name);

const char *protect_provider(size_t i); /* the name of provider number i; NULL after the last */

#endif
