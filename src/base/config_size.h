/* SPDX-License-Identifier: MIT */
/* config_size: whether a configuration that begins with its size can be read (CONVENTIONS.md, "Configurations"). Checked before the
 * rest is read or copied, because a program that was compiled with an older header has a shorter struct. */
#ifndef NACRE_BASE_CONFIG_SIZE_H
#define NACRE_BASE_CONFIG_SIZE_H

#include <stdbool.h>
#include <stddef.h>

/* `full`: sizeof the library's struct. 0: made by an initialiser. Longer ones have fields of a later version, which are not read. */
static inline bool nacre__config_size_fits(size_t size, size_t full)
{
    return size == 0 || size >= full;
}

#endif
