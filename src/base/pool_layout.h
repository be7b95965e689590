/* SPDX-License-Identifier: MIT */
/* pool_layout: one block of memory, cut into pools: once without a block, to learn its size, once for good. The sum never wraps: it
 * sticks at SIZE_MAX. */
#ifndef NACRE_BASE_POOL_LAYOUT_H
#define NACRE_BASE_POOL_LAYOUT_H

#include <nacre/base.h>

typedef struct nacre__pool_layout {
    uint8_t *base; /* NULL: only the size is wanted; else aligned as malloc aligns */
    size_t at;
} nacre__pool_layout;

/* The place of `num` things of `size` bytes, aligned as malloc aligns; NULL while only the size is wanted. */
static inline void *nacre__lay_out(nacre__pool_layout *layout, size_t num, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    if (layout->at > SIZE_MAX - align) {
        layout->at = SIZE_MAX;
        return NULL;
    }
    const size_t start = (layout->at + align - 1) / align * align;
    if (size != 0 && num > (SIZE_MAX - start) / size) {
        layout->at = SIZE_MAX;
        return NULL;
    }
    layout->at = start + num * size;
    return layout->base == NULL ? NULL : layout->base + start;
}

#endif
