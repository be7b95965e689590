/* SPDX-License-Identifier: MIT */
/* stores: hash table from context to store: open addressing with linear probing. */
#include "io/stores.h"
#include "base/pointer_hash.h"

#include <stdlib.h>

static size_t home(const nacre__stores *stores, const nacre_context *ctx)
{
    return (size_t)(nacre__pointer_hash(ctx) >> 32) & (stores->cap - 1);
}

/* The index of `ctx`, or of the free entry where it would be. */
static size_t index_of(const nacre__stores *stores, const nacre_context *ctx)
{
    size_t at = home(stores, ctx);
    while (stores->entries[at].ctx != NULL && stores->entries[at].ctx != ctx) at = (at + 1) & (stores->cap - 1);
    return at;
}

static nacre_err grow(nacre__stores *stores)
{
    nacre__stores larger = { .cap = stores->cap != 0 ? stores->cap * 2 : 8 };
    larger.num = stores->num;
    larger.num_waiting = stores->num_waiting;
    larger.entries = calloc(larger.cap, sizeof *larger.entries);
    if (larger.entries == NULL) return NACRE_ERR_NO_MEMORY;
    for (size_t i = 0; i < stores->cap; i++)
        if (stores->entries[i].ctx != NULL)
            larger.entries[index_of(&larger, stores->entries[i].ctx)] = stores->entries[i];
    free(stores->entries);
    *stores = larger;
    return NACRE_OK;
}

nacre_err nacre__stores_put(nacre__stores *stores, nacre_context *ctx, nacre_store store)
{
    nacre__store_entry *known = nacre__stores_find(stores, ctx);
    if (known != NULL) {
        known->store = store;
        return NACRE_OK;
    }
    if (stores->num + 1 > stores->cap / 4 * 3) {
        nacre_err err = grow(stores);
        if (err != NACRE_OK) return err;
    }
    stores->entries[index_of(stores, ctx)] = (nacre__store_entry){ .ctx = ctx, .store = store };
    stores->num++;
    return NACRE_OK;
}

nacre__store_entry *nacre__stores_find(const nacre__stores *stores, const nacre_context *ctx)
{
    if (stores->cap == 0) return NULL;
    nacre__store_entry *entry = &stores->entries[index_of(stores, ctx)];
    return entry->ctx != NULL ? entry : NULL;
}

void nacre__stores_remove(nacre__stores *stores, const nacre_context *ctx)
{
    nacre__store_entry *found = nacre__stores_find(stores, ctx);
    if (found == NULL) return;
    if (found->waiting) stores->num_waiting--;
    stores->num--;
    /* Close the gap: later entries that can be nearer to their home move up. */
    size_t gap = (size_t)(found - stores->entries), mask = stores->cap - 1;
    for (size_t at = (gap + 1) & mask; stores->entries[at].ctx != NULL; at = (at + 1) & mask) {
        size_t from_home = (at - home(stores, stores->entries[at].ctx)) & mask, from_gap = (at - gap) & mask;
        if (from_home < from_gap) continue;
        stores->entries[gap] = stores->entries[at];
        gap = at;
    }
    stores->entries[gap] = (nacre__store_entry){ 0 };
}

void nacre__stores_free(nacre__stores *stores)
{
    free(stores->entries);
    *stores = (nacre__stores){ 0 };
}
