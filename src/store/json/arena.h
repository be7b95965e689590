/* SPDX-License-Identifier: MIT */
/* arena: memory allocated piece by piece, wiped and freed as a whole. */
#ifndef NACRE_STORE_ARENA_H
#define NACRE_STORE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct nacre__arena_block;

/* nacre__arena_take gives `size` bytes, all zero and aligned for anything, or NULL. `blocks` starts as NULL. */
void *nacre__arena_take(struct nacre__arena_block **blocks, size_t size);

/* nacre__arena_reserve: after it, pieces of `size` bytes in all, each rounded up to alignof(max_align_t), cannot fail. False:
 * out of memory. */
bool nacre__arena_reserve(struct nacre__arena_block **blocks, size_t size);

void nacre__arena_free(struct nacre__arena_block **blocks);

#endif
