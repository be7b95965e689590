/* SPDX-License-Identifier: MIT */
/* kid_memo: an entry is 48 bits of the hash, 14 bits of the epoch, and the fact. */
#include "io/server/kid_memo.h"
#include "base/siphash.h"

#include <string.h>

enum { EPOCHS = 0x3fff };

void nacre__kid_memo_init(nacre__kid_memo *memo, const uint8_t hash_key[16])
{
    memcpy(memo->hash_key, hash_key, sizeof memo->hash_key);
    atomic_init(&memo->epoch, 1);
}

static uint64_t hash_of(const nacre__kid_memo *memo, nacre_bytes kid, nacre_bytes kid_context)
{
    nacre__siphash s = nacre__siphash_start(memo->hash_key);
    nacre__siphash_word(&s, (uint64_t)kid.len << 1 | !nacre_is_absent(kid_context));
    nacre__siphash_words(&s, kid);
    if (!nacre_is_absent(kid_context)) nacre__siphash_words(&s, kid_context);
    return nacre__siphash_end(&s, kid_context.len);
}

static uint64_t entry_of(const nacre__kid_memo *memo, uint64_t hash, nacre__kid_fact fact)
{
    return (hash & ~UINT64_C(0xffff)) | (uint64_t)(atomic_load(&memo->epoch) & EPOCHS) << 2 | (uint64_t)fact;
}

nacre__kid_fact nacre__kid_memo_get(const nacre__kid_memo *memo, nacre_bytes kid, nacre_bytes kid_context)
{
    const uint64_t hash = hash_of(memo, kid, kid_context);
    const uint64_t entry = atomic_load(&memo->entries[hash % NACRE__KID_MEMO_SIZE]);
    for (unsigned fact = NACRE__KID_HAS_NONE; fact <= NACRE__KID_HAS_ALL; fact++)
        if (entry == entry_of(memo, hash, (nacre__kid_fact)fact)) return (nacre__kid_fact)fact;
    return NACRE__KID_NOT_KNOWN;
}

void nacre__kid_memo_put(nacre__kid_memo *memo, nacre_bytes kid, nacre_bytes kid_context, nacre__kid_fact fact)
{
    const uint64_t hash = hash_of(memo, kid, kid_context);
    atomic_store(&memo->entries[hash % NACRE__KID_MEMO_SIZE], entry_of(memo, hash, fact));
}

void nacre__kid_memo_forget_all(nacre__kid_memo *memo)
{
    /* An entry that is written at this moment, of what was read before, may have the new epoch: the caller writes entries in the same
     * thread. After all epochs an old entry would be valid again. */
    const unsigned next = (atomic_load(&memo->epoch) + 1) & EPOCHS;
    if (next == 0)
        for (size_t i = 0; i < NACRE__KID_MEMO_SIZE; i++) atomic_store(&memo->entries[i], 0);
    atomic_store(&memo->epoch, next != 0 ? next : 1);
}
