/* SPDX-License-Identifier: MIT */
/* pack_table: all contexts of a pack in a table for an endpoint. Its slots are memory that a fork's child finds wiped. */
#include "store/pack/pack_internal.h"

#include "base/hosted/detail.h"
#include "store/wipe_on_fork.h"

enum { MIN_CONTEXTS = 48 };

static nacre_err add(nacre_table *table, const nacre_pack *pack, size_t index, nacre_context *ctx, nacre_detail *why)
{
    size_t cursor = 0;
    int num = 0;
    while (num < NACRE_MAX_CANDIDATES &&
           nacre_table_find(table, nacre_context_recipient_id(ctx), nacre_context_id_context(ctx), &cursor) != NULL)
        num++;
    nacre_err err = num < NACRE_MAX_CANDIDATES ? nacre_table_add(table, ctx) : NACRE_ERR_UNSUPPORTED;
    if (err == NACRE_OK) return NACRE_OK;
    if (num < NACRE_MAX_CANDIDATES)
        return nacre__fail(why, err, "%s: context %zu: cannot be put into the table: %s", pack->path, index,
                           nacre_err_text(err));
    return nacre__fail(why, err,
                       "%s: context %zu: is number %d with one Recipient ID and ID Context, too many to try for "
                       "each request; it needs a Recipient ID of its own",
                       pack->path, index, NACRE_MAX_CANDIDATES + 1);
}

/* A table for `num` contexts, with all that are there now. */
static nacre_err make(nacre_pack *pack, size_t num, nacre_detail *why)
{
    size_t num_slots = num < MIN_CONTEXTS ? nacre_table_num_slots(MIN_CONTEXTS) : nacre_table_num_slots(num);
    uint8_t *slots = nacre__wipe_on_fork_map(num_slots * sizeof(nacre_table_slot));
    if (slots == NULL) return nacre__pack_no_memory(pack, why);
    nacre_table table;
    nacre_err err = nacre_table_init(&table, (nacre_table_slot *)(void *)slots, num_slots);
    for (size_t i = 0; err == NACRE_OK && i < nacre_pack_num(pack); i++) {
        nacre_context *ctx = nacre_pack_context_at(pack, i);
        if (ctx != NULL) err = add(&table, pack, i, ctx, why);
    }
    if (err != NACRE_OK) {
        nacre__wipe_on_fork_unmap(slots, num_slots * sizeof(nacre_table_slot));
        return err;
    }
    nacre__wipe_on_fork_unmap(pack->slots, pack->slots_size);
    pack->slots = slots;
    pack->slots_size = num_slots * sizeof(nacre_table_slot);
    pack->table = table; /* an endpoint borrows this very struct */
    pack->has_table = true;
    return NACRE_OK;
}

nacre_err nacre_pack_table(nacre_pack *pack, nacre_table **table, nacre_detail *why)
{
    nacre_err err = pack->has_table ? NACRE_OK : make(pack, nacre_pack_num(pack), why);
    if (err == NACRE_OK) *table = &pack->table;
    return err;
}

nacre_err nacre__pack_table_add(nacre_pack *pack, size_t index, nacre_context *ctx, nacre_detail *why)
{
    return add(&pack->table, pack, index, ctx, why);
}

/* Grows by a quarter, so that adding contexts one by one does not rebuild the table each time. */
nacre_err nacre__pack_table_reserve(nacre_pack *pack, size_t num_more, nacre_detail *why)
{
    if (!pack->has_table || pack->table.num_contexts + num_more <= pack->table.num_slots / 4 * 3) return NACRE_OK;
    return make(pack, pack->table.num_contexts + pack->table.num_contexts / 4 + num_more, why);
}
