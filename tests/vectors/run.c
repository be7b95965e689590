/* SPDX-License-Identifier: MIT */
/* run: cases and their differences. One line is printed for each difference: file, section, id, and what differs. */
#include "vectors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Borrowed memory is a list of blocks; the caller's part starts behind the link, and ends where malloc's block ends. */
typedef struct block {
    struct block *next;
    max_align_t bytes[];
} block;

void vec_begin(vec_run *run, const char *section, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    run->section = section;
    run->bad = false;
    (void)vsnprintf(run->id, sizeof run->id, fmt, args);
    va_end(args);
}

void vec_differs(vec_run *run, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    run->bad = true;
    printf("FAILED %s: %s: %s: ", run->file, run->section, run->id);
    vprintf(fmt, args);
    putchar('\n');
    va_end(args);
}

void vec_end(vec_run *run)
{
    block *b = run->memory;
    while (b) {
        block *next = b->next;
        free(b);
        b = next;
    }
    run->memory = NULL;
    if (run->bad) run->failed++;
    else run->passed++;
    run->section = NULL;
}

void vec_skip(vec_run *run, const char *section, const char *id, const char *why)
{
    run->skipped++;
    printf("skipped %s: %s: %s: %s\n", run->file, section, id, why);
}

void *vec_alloc(vec_run *run, size_t len)
{
    block *b = malloc(sizeof *b + len);
    if (!b) {
        fputs("vectors: out of memory\n", stderr);
        exit(1);
    }
    b->next = run->memory;
    run->memory = b;
    return b->bytes;
}

nacre_bytes vec_copy(vec_run *run, nacre_bytes bytes)
{
    uint8_t *copy = vec_alloc(run, bytes.len);
    if (bytes.len) memcpy(copy, bytes.ptr, bytes.len);
    return nacre_bytes_of(copy, bytes.len);
}

static const char *hex_text(vec_run *run, nacre_bytes b)
{
    if (nacre_is_absent(b)) return "absent";
    char *text = vec_alloc(run, 2 * b.len + 3), *at = text;
    *at++ = '"';
    for (size_t i = 0; i < b.len; i++) at += sprintf(at, "%02x", b.ptr[i]);
    *at++ = '"';
    *at = 0;
    return text;
}

void vec_same_bytes(vec_run *run, const char *what, nacre_bytes expected, nacre_bytes got)
{
    if (nacre_is_absent(expected) == nacre_is_absent(got) && expected.len == got.len &&
        (expected.len == 0 || memcmp(expected.ptr, got.ptr, expected.len) == 0))
        return;
    vec_differs(run, "%s: expected %s, got %s", what, hex_text(run, expected), hex_text(run, got));
}

void vec_same_number(vec_run *run, const char *what, uint64_t expected, uint64_t got)
{
    if (expected != got)
        vec_differs(run, "%s: expected %llu, got %llu", what, (unsigned long long)expected, (unsigned long long)got);
}

void vec_same_text(vec_run *run, const char *what, const char *expected, const char *got)
{
    if (strcmp(expected, got) != 0) vec_differs(run, "%s: expected %s, got %s", what, expected, got);
}

bool vec_same_err(vec_run *run, const char *what, nacre_err expected, nacre_err got)
{
    if (expected == got) return true;
    vec_differs(run, "%s: expected %s, got %s", what, expected ? nacre_err_name(expected) : "success",
                got ? nacre_err_name(got) : "success");
    return false;
}
