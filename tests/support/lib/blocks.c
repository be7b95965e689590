/* SPDX-License-Identifier: MIT */
/* blocks: one list for the running test, latest first. */
#include "blocks.h"
#include "support.h"

#include <stdlib.h>

typedef struct block {
    struct block *next;
    void *what;
    void (*release)(void *what);
} block;

static block *blocks;

void test_keep(void *what, void (*release)(void *what))
{
    block *b = malloc(sizeof *b);
    assert_non_null(b);
    *b = (block){ blocks, what, release };
    blocks = b;
}

int test_release(void **state)
{
    (void)state;
    while (blocks) {
        block *next = blocks->next;
        blocks->release(blocks->what);
        free(blocks);
        blocks = next;
    }
    return 0;
}
