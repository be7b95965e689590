/* SPDX-License-Identifier: MIT */
/* interference: a table of what other programs do to an open store, each row followed by each of the store's writes. */
#ifndef NACRE_TEST_INTERFERENCE_H
#define NACRE_TEST_INTERFERENCE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <nacre/nacre.h>

typedef struct interference_table {
    size_t num_rows, num_writes; /* one more write than num_writes: the close */
    const char *(*name)(size_t row);
    int (*set_up)(void **state);
    int (*tear_down)(void **state);
    void (*one_case)(void *state, size_t row, size_t write);
} interference_table;

/* Runs each row with each write, in a fresh store. */
void interference_run(const interference_table *table);
/* `why` contains `told`, and says that the contexts are stopped. */
void interference_expect(const nacre_detail *why, const char *told);

#endif
