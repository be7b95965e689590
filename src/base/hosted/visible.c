/* SPDX-License-Identifier: MIT */
/* visible: see visible.h. */
#include "base/hosted/visible.h"

#include <string.h>

/* U+061C, U+200E, U+200F and U+202A to U+202E, U+2066 to U+2069 change the direction; U+2028 and U+2029 end a line. */
static bool steers(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

size_t nacre__visible(nacre_bytes in)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const uint8_t first = in.ptr[0];
    const size_t len = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
    if (len == 0 || len > in.len) return 0;
    uint32_t c = len == 1 ? first : first & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (in.ptr[i] >> 6 != 2) return 0;
        c = c << 6 | (in.ptr[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || steers(c)) return 0;
    return len;
}

void nacre__make_visible(char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        size_t len = nacre__visible(nacre_bytes_of((const uint8_t *)text, left));
        if (len == 0) {
            *text = '?';
            len = 1;
        }
        text += len;
        left -= len;
    }
}
