/* SPDX-License-Identifier: MIT */
/* key_marks: the Sender Keys of a server's contexts, as 8-byte marks (context/key_mark.h) in a hash table with linear probing.
 * A mark may be in it more than once. All zero is an empty table. */
#ifndef NACRE_IO_KEY_MARKS_H
#define NACRE_IO_KEY_MARKS_H

#include <nacre/base.h>

typedef struct nacre__key_marks {
    uint64_t *slots; /* 0: free */
    size_t cap, num; /* load factor at most 3/4 */
} nacre__key_marks;

/* nacre__key_marks_reserve reserves space for `num` more. NACRE_OK; NACRE_ERR_NO_MEMORY: unchanged. */
NACRE_MUST_USE nacre_err nacre__key_marks_reserve(nacre__key_marks *marks, size_t num);
void nacre__key_marks_put(nacre__key_marks *marks, uint64_t mark); /* space must be reserved */
bool nacre__key_marks_has(const nacre__key_marks *marks, uint64_t mark);
void nacre__key_marks_remove(nacre__key_marks *marks, uint64_t mark); /* removes one; no effect when absent */
void nacre__key_marks_free(nacre__key_marks *marks);

#endif
