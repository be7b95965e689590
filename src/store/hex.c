/* SPDX-License-Identifier: MIT */
/* hex: pairs of hex digits to bytes and back. */
#include <nacre/store.h>

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool is_hex(const char *text, size_t text_len)
{
    if (text_len % 2 != 0) return false;
    for (size_t i = 0; i < text_len; i++)
        if (digit_value(text[i]) < 0) return false;
    return true;
}

nacre_err nacre_hex_decode(nacre_bytes *out, nacre_buf buf, const char *text, size_t text_len)
{
    /* Checked as a whole first, so that `buf` is unchanged on failure. */
    if (!is_hex(text, text_len)) return NACRE_ERR_BAD_HEX;
    size_t len = text_len / 2;
    if (len > buf.cap) return NACRE_ERR_BUFFER_TOO_SMALL;
    for (size_t i = 0; i < len; i++)
        buf.ptr[i] = (uint8_t)(digit_value(text[2 * i]) * 16 + digit_value(text[2 * i + 1]));
    *out = nacre_bytes_of(buf.ptr, len);
    return NACRE_OK;
}

void nacre_hex_encode(char *text, nacre_bytes bytes)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len; i++) {
        text[2 * i] = digits[bytes.ptr[i] >> 4];
        text[2 * i + 1] = digits[bytes.ptr[i] & 15];
    }
    text[2 * bytes.len] = '\0';
}
