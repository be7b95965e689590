/* SPDX-License-Identifier: MIT */
/* lone: one directory that the test fills. */
#include "lone.h"

#include <stdlib.h>
#include <string.h>

int lone_set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->root = scratch_make();
    scratch_mkdir(f->root, "d");
    f->dir = strdup(scratch_path(f->root, "d"));
    assert_int_equal(nacre_openssl_open(&f->crypto), NACRE_OK);
    *state = f;
    return 0;
}

int lone_tear_down(void **state)
{
    struct fixture *f = *state;
    nacre_openssl_close(&f->crypto);
    scratch_remove(f->root);
    free(f->dir);
    free(f);
    return 0;
}
