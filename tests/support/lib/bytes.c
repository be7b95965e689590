/* SPDX-License-Identifier: MIT */
/* bytes: blocks of exact size, hex, and checks that print the difference. */
#include "support.h"
#include "blocks.h"

#include <stdio.h>
#include <stdlib.h>

void *test_alloc(size_t len)
{
    void *bytes = malloc(len ? len : 1);
    assert_non_null(bytes);
    test_keep(bytes, free);
    return bytes;
}

nacre_bytes test_copy(nacre_bytes bytes)
{
    if (nacre_is_absent(bytes)) return NACRE_ABSENT;
    uint8_t *copy = test_alloc(bytes.len);
    if (bytes.len) memcpy(copy, bytes.ptr, bytes.len);
    return nacre_bytes_of(copy, bytes.len);
}

static unsigned digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;
    assert_non_null(at);
    return (unsigned)(at - digits);
}

nacre_bytes test_hex(const char *hex)
{
    if (!hex) return NACRE_ABSENT;
    size_t digits = 0;
    for (const char *at = hex; *at; at++) digits += *at != ' ';
    uint8_t *bytes = test_alloc(digits / 2);
    size_t len = 0;
    for (const char *at = hex; *at;) {
        if (*at == ' ') {
            at++;
            continue;
        }
        bytes[len++] = (uint8_t)(digit(at[0]) << 4 | digit(at[1]));
        at += 2;
    }
    return nacre_bytes_of(bytes, len);
}

nacre_bytes test_fill(uint8_t byte, size_t len)
{
    uint8_t *bytes = test_alloc(len);
    memset(bytes, byte, len);
    return nacre_bytes_of(bytes, len);
}

enum { UNTOUCHED = 0xa5 };

nacre_buf test_buf(size_t cap)
{
    nacre_buf buf = { test_alloc(cap), cap };
    memset(buf.ptr, UNTOUCHED, cap);
    return buf;
}

bool test_buf_is_untouched(nacre_buf buf)
{
    for (size_t i = 0; i < buf.cap; i++)
        if (buf.ptr[i] != UNTOUCHED) return false;
    return true;
}

bool test_buf_is_clean(nacre_buf buf)
{
    for (size_t i = 0; i < buf.cap; i++)
        if (buf.ptr[i] != UNTOUCHED && buf.ptr[i] != 0) return false;
    return true;
}

nacre_bytes test_join(nacre_bytes a, nacre_bytes b)
{
    uint8_t *bytes = test_alloc(a.len + b.len);
    if (a.len) memcpy(bytes, a.ptr, a.len);
    if (b.len) memcpy(bytes + a.len, b.ptr, b.len);
    return nacre_bytes_of(bytes, a.len + b.len);
}

uint64_t test_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void print_bytes(const char *what, nacre_bytes b)
{
    fprintf(stderr, "  %s %s", what, nacre_is_absent(b) ? "absent" : "");
    for (size_t i = 0; i < b.len; i++) fprintf(stderr, "%02x", b.ptr[i]);
    fputc('\n', stderr);
}

void test_bytes_equal(const char *row, nacre_bytes got, nacre_bytes expected, const char *file, int line)
{
    if (nacre_is_absent(got) == nacre_is_absent(expected) && got.len == expected.len &&
        (got.len == 0 || memcmp(got.ptr, expected.ptr, got.len) == 0))
        return;
    fprintf(stderr, "%s: bytes differ\n", row);
    print_bytes("expected", expected);
    print_bytes("got     ", got);
    _fail(file, line);
}

void test_err_equal(const char *row, nacre_err got, nacre_err expected, const char *file, int line)
{
    if (got == expected) return;
    fprintf(stderr, "%s: expected %s, got %s\n", row, nacre_err_name(expected), nacre_err_name(got));
    _fail(file, line);
}
