/* SPDX-License-Identifier: MIT */
/* lone: one empty directory in a scratch directory, for tests that write its files themselves. */
#ifndef NACRE_TEST_LONE_H
#define NACRE_TEST_LONE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <nacre/nacre.h>

#include "scratch.h"

struct fixture {
    char *root, *dir;
    nacre_crypto crypto;
};

/* cmocka set-up and teardown. */
int lone_set_up(void **state);
int lone_tear_down(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, lone_set_up, lone_tear_down)

#endif
