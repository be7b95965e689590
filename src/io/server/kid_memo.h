/* SPDX-License-Identifier: MIT */
/* kid_memo: what the databases of a server are known to have for a kid and kid context: nothing, or nothing but what is in the table
 * of contexts. 65,536 entries of 8 bytes, by a keyed hash; an entry overwrites another one. Any thread may read and write. */
#ifndef NACRE_IO_KID_MEMO_H
#define NACRE_IO_KID_MEMO_H

#include <nacre/base.h>

#include <stdatomic.h>

enum { NACRE__KID_MEMO_SIZE = 65536 };

typedef enum nacre__kid_fact {
    NACRE__KID_NOT_KNOWN = 0,
    NACRE__KID_HAS_NONE, /* no context */
    NACRE__KID_HAS_ALL,  /* all contexts are in the table, or are not served */
} nacre__kid_fact;

typedef struct nacre__kid_memo {
    uint8_t hash_key[16];
    atomic_uint epoch; /* entries of others are void */
    atomic_uint_least64_t entries[NACRE__KID_MEMO_SIZE];
} nacre__kid_memo;

void nacre__kid_memo_init(nacre__kid_memo *memo, const uint8_t hash_key[16]); /* its memory is all zero */
nacre__kid_fact nacre__kid_memo_get(const nacre__kid_memo *memo, nacre_bytes kid, nacre_bytes kid_context);
void nacre__kid_memo_put(nacre__kid_memo *memo, nacre_bytes kid, nacre_bytes kid_context, nacre__kid_fact fact);
void nacre__kid_memo_forget_all(nacre__kid_memo *memo);

#endif
