/* SPDX-License-Identifier: MIT */
/* key_marks: a set of marks, open addressing with linear probing. */
#include "io/server/key_marks.h"

#include <stdlib.h>

/* Marks are already hashes. */
static size_t home(const nacre__key_marks *marks, uint64_t mark)
{
    return (size_t)((mark >> 32) * marks->cap >> 32);
}

static size_t after(const nacre__key_marks *marks, size_t at)
{
    return at + 1 < marks->cap ? at + 1 : 0;
}

static size_t distance(const nacre__key_marks *marks, size_t from, size_t to)
{
    return to >= from ? to - from : to + marks->cap - from;
}

/* The index of the mark, or of the free entry where its search ends. */
static size_t find(const nacre__key_marks *marks, uint64_t mark)
{
    size_t at = home(marks, mark);
    while (marks->slots[at] != 0 && marks->slots[at] != mark) at = after(marks, at);
    return at;
}

void nacre__key_marks_put(nacre__key_marks *marks, uint64_t mark)
{
    size_t at = home(marks, mark);
    while (marks->slots[at] != 0) at = after(marks, at);
    marks->slots[at] = mark;
    marks->num++;
}

nacre_err nacre__key_marks_reserve(nacre__key_marks *marks, size_t num)
{
    if (marks->num + num <= marks->cap / 4 * 3) return NACRE_OK;
    nacre__key_marks larger = { .cap = (marks->num + num) / 3 * 4 + 8 };
    if (larger.cap < 2 * marks->cap) larger.cap = 2 * marks->cap;
    if (larger.cap > UINT32_MAX) return NACRE_ERR_NO_MEMORY;
    larger.slots = calloc(larger.cap, sizeof *larger.slots);
    if (larger.slots == NULL) return NACRE_ERR_NO_MEMORY;
    for (size_t i = 0; i < marks->cap; i++)
        if (marks->slots[i] != 0) nacre__key_marks_put(&larger, marks->slots[i]);
    free(marks->slots);
    *marks = larger;
    return NACRE_OK;
}

bool nacre__key_marks_has(const nacre__key_marks *marks, uint64_t mark)
{
    return marks->cap != 0 && marks->slots[find(marks, mark)] != 0;
}

void nacre__key_marks_remove(nacre__key_marks *marks, uint64_t mark)
{
    if (!nacre__key_marks_has(marks, mark)) return;
    size_t gap = find(marks, mark);
    marks->num--;
    for (size_t at = after(marks, gap); marks->slots[at] != 0; at = after(marks, at)) {
        if (distance(marks, home(marks, marks->slots[at]), at) < distance(marks, gap, at)) continue;
        marks->slots[gap] = marks->slots[at];
        gap = at;
    }
    marks->slots[gap] = 0;
}

void nacre__key_marks_free(nacre__key_marks *marks)
{
    free(marks->slots);
    *marks = (nacre__key_marks){ 0 };
}
