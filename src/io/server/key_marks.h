/* SPDX-License-Identifier: MIT */
/* key_marks: which Sender Keys a server has, as marks (context/key_mark.h): 8 bytes each, in a hash table with linear probing.
 * A mark may be in more than once. All zero is an empty one. */
#ifndef NACRE_IO_KEY_MARKS_H
#define NACRE_IO_KEY_MARKS_H

#include <nacre/base.h>

typedef struct nacre__key_marks {
    uint64_t *slots; /* 0: free */
    size_t cap, num; /* at most three quarters are used */
} nacre__key_marks;

/* nacre__key_marks_reserve makes room for `num` more. NACRE_OK, NACRE_ERR_NO_MEMORY: nothing has changed. */
NACRE_MUST_USE nacre_err nacre__key_marks_reserve(nacre__key_marks *marks, size_t num);
void nacre__key_marks_put(nacre__key_marks *marks, uint64_t mark); /* there is room */
bool nacre__key_marks_has(const nacre__key_marks *marks, uint64_t mark);
void nacre__key_marks_remove(nacre__key_marks *marks, uint64_t mark); /* once; one that is not in changes nothing */
void nacre__key_marks_free(nacre__key_marks *marks);

#endif
