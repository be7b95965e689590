/* SPDX-License-Identifier: MIT */
/* bytes: compares and wipes. */
#include <nacre/base.h>
#include "base/copy.h"

bool nacre_bytes_equal(nacre_bytes a, nacre_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool nacre_equal_ct(const uint8_t *a, const uint8_t *b, size_t len)
{
    size_t differ = 0;
#if !defined(__OPTIMIZE_SIZE__)
    for (; len >= sizeof differ; len -= sizeof differ, a += sizeof differ, b += sizeof differ) {
        size_t x, y;
        NACRE__COPY_FIXED(&x, a, sizeof x);
        NACRE__COPY_FIXED(&y, b, sizeof y);
        differ |= x ^ y;
    }
#endif
    for (size_t i = 0; i < len; i++) differ |= (size_t)(a[i] ^ b[i]);
    return differ == 0;
}

void nacre_wipe(void *ptr, size_t len)
{
#if defined(__GNUC__)
    if (len == 0) return;
    memset(ptr, 0, len);
    __asm__ __volatile__("" : : "r"(ptr) : "memory"); /* keeps the compiler from removing the wipe */
#else
    volatile uint8_t *p = ptr;
    while (len-- > 0) *p++ = 0;
#endif
}
