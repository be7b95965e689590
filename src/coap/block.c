/* SPDX-License-Identifier: MIT */
/* block: reads the value of Block1 and Block2 (RFC 7959 2.2). */
#include "block.h"

bool nacre__block_read(nacre__block *block, nacre_bytes value)
{
    uint64_t number = 0;
    if (value.len > 3 || !nacre_option_uint(value, &number) || (number & 7) == 7) return false;
    *block = (nacre__block){ (uint32_t)(number >> 4), (number & 8) != 0, (uint8_t)(number & 7) };
    return true;
}

bool nacre__block_szx(uint8_t *szx, size_t size)
{
    for (unsigned i = 0; i <= NACRE__MAX_SZX; i++) {
        if (nacre__block_size((uint8_t)i) != size) continue;
        *szx = (uint8_t)i;
        return true;
    }
    return false;
}
