/* SPDX-License-Identifier: MIT */
/* pool_layout: divides a block of memory into pools: a first run without a block computes its size. The sum saturates at
 * SIZE_MAX. */
#ifndef NACRE_BASE_POOL_LAYOUT_H
#define NACRE_BASE_POOL_LAYOUT_H

#include <nacre/base.h>

typedef struct nacre__pool_layout {
    uint8_t *base; /* NULL: compute only the size; else aligned as by malloc */
    size_t at;
} nacre__pool_layout;

/* The address of `num` objects of `size` bytes, aligned as by malloc; NULL while computing the size. */
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
