/* SPDX-License-Identifier: MIT */
/* block: the value of Block1 and Block2 (RFC 7959 2.2).
 *
 *      0 to 20 bits    1   3
 *     +--------------+---+-----+
 *     |  NUM         | M | SZX |     a block has 2^(SZX + 4) bytes, and starts NUM times that far into the body
 *     +--------------+---+-----+     */
#ifndef NACRE_COAP_BLOCK_H
#define NACRE_COAP_BLOCK_H

#include <nacre/coap.h>

enum { NACRE__MAX_SZX = 6, NACRE__MAX_BLOCK_NUM = 0xfffff };

typedef struct nacre__block {
    uint32_t num;
    bool more;
    uint8_t szx;
} nacre__block;

/* nacre__block_read: false for more than 3 bytes, and for the reserved SZX 7. */
bool nacre__block_read(nacre__block *block, nacre_bytes value);

static inline uint32_t nacre__block_value(nacre__block block)
{
    return block.num << 4 | (block.more ? 8u : 0u) | block.szx;
}

static inline size_t nacre__block_size(uint8_t szx)
{
    return (size_t)16 << szx;
}

static inline uint64_t nacre__block_offset(nacre__block block)
{
    return (uint64_t)block.num << (block.szx + 4);
}

/* nacre__block_szx gives the SZX of blocks of `size` bytes; false when no block has that size. */
bool nacre__block_szx(uint8_t *szx, size_t size);

#endif
