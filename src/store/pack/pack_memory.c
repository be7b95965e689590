/* SPDX-License-Identifier: MIT */
/* pack_memory: growing arrays, and the error without memory. */
#include "store/pack/pack_internal.h"

#include <stdlib.h>

#include "base/hosted/detail.h"

bool nacre__pack_grow(void *array, size_t num, size_t *cap, size_t size)
{
    void **elements = array;
    if (num < *cap) return true;
    size_t larger = *cap != 0 ? *cap * 2 : 16;
    void *grown = realloc(*elements, larger * size);
    if (grown == NULL) return false;
    *elements = grown;
    *cap = larger;
    return true;
}

nacre_err nacre__pack_no_memory(const nacre_pack *pack, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", pack->path);
}
