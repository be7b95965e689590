/* SPDX-License-Identifier: MIT */
/* arena: a chain of blocks; pieces come from the newest. */
#include "store/json/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#include <nacre/base.h>

enum { MIN_BLOCK = 8192, ALIGN = alignof(max_align_t) };

struct nacre__arena_block {
    struct nacre__arena_block *older;
    size_t cap, used;
    alignas(max_align_t) unsigned char bytes[];
};

static bool fits(const struct nacre__arena_block *block, size_t size)
{
    return block != NULL && size <= block->cap - block->used;
}

bool nacre__arena_reserve(struct nacre__arena_block **blocks, size_t size)
{
    if (fits(*blocks, size)) return true;
    size_t cap = size > MIN_BLOCK ? size : MIN_BLOCK;
    if (cap > SIZE_MAX - sizeof(struct nacre__arena_block)) return false;
    struct nacre__arena_block *block = calloc(1, sizeof *block + cap);
    if (block == NULL) return false;
    block->older = *blocks;
    block->cap = cap;
    *blocks = block;
    return true;
}

void *nacre__arena_take(struct nacre__arena_block **blocks, size_t size)
{
    if (size > SIZE_MAX - ALIGN) return NULL;
    size_t rounded = (size + ALIGN - 1) / ALIGN * ALIGN;
    if (!nacre__arena_reserve(blocks, rounded)) return NULL;
    void *piece = (*blocks)->bytes + (*blocks)->used;
    (*blocks)->used += rounded;
    return piece;
}

void nacre__arena_free(struct nacre__arena_block **blocks)
{
    while (*blocks != NULL) {
        struct nacre__arena_block *block = *blocks;
        *blocks = block->older;
        nacre_wipe(block->bytes, block->used);
        free(block);
    }
}
