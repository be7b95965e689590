/* SPDX-License-Identifier: MIT */
/* pack_remove: ends a context. Its cell is marked first, durably; then its record is overwritten, except the marks that exclude
 * its keys. */
#include "store/pack/pack_internal.h"

#include <string.h>

#include "base/hosted/detail.h"

static nacre_err write_record(const nacre__segment *s, uint32_t index, const uint8_t *bytes, nacre_detail *why)
{
    return nacre__pack_put(&s->pack->file, bytes, nacre__record_at(&s->shape, s->first_page, index),
                           s->shape.record_size, why);
}

/* Reads a record that is not erased, or only in part. */
static nacre_err erase(const nacre__segment *s, uint32_t index, nacre_detail *why)
{
    uint8_t bytes[NACRE__RECORD_MAX], erased[NACRE__RECORD_MAX] = { 0 };
    const char *problem;
    nacre__record record;
    size_t size = s->shape.record_size;
    nacre_err err =
        nacre__pack_get(&s->pack->file, bytes, nacre__record_at(&s->shape, s->first_page, index), size, why);
    if (err != NACRE_OK) return err;
    if (nacre__record_read(&record, &problem, bytes, size, &s->pack->id, s->shape.number, index)) {
        record.removed = true;
        record.secret.len = record.salt.len = record.sender_key.len = record.recipient_key.len = 0;
        nacre__record_write(erased, size, &record, &s->pack->id, s->shape.number, index);
    }
    if (memcmp(bytes, erased, size) != 0) err = write_record(s, index, erased, why);
    nacre_wipe(bytes, sizeof bytes);
    return err;
}

nacre_err nacre__segment_erase(nacre__segment *s, nacre_detail *why)
{
    uint8_t page[NACRE__PACK_PAGE];
    nacre__cell cell;
    uint32_t per_page = nacre__cells_per_page(&s->shape);
    nacre_err err = NACRE_OK;
    for (uint32_t i = 0; err == NACRE_OK && i < s->num_taken; i++) {
        uint64_t number = nacre__states_page(&s->shape, s->first_page, s->pages[i / per_page].side, i / per_page);
        if (i % per_page == 0) err = nacre__pack_get(&s->pack->file, page, number * sizeof page, sizeof page, why);
        const uint8_t *at = page + NACRE__PACK_CELLS_AT + (size_t)(i % per_page) * s->shape.cell_size;
        if (err == NACRE_OK && nacre__cell_read(&cell, at, s->shape.cell_size) && cell.use == NACRE__REMOVED)
            err = erase(s, i, why);
    }
    return err == NACRE_OK ? nacre__pack_sync(&s->pack->file, why) : err;
}

/* Durable in both copies, or unchanged. */
static nacre_err mark_removed(nacre__packed *packed, nacre_detail *why)
{
    static const nacre__cell removed = { .use = NACRE__REMOVED, .next = NACRE_SEQ_MAX + 1 };
    uint8_t before[NACRE__CELL_MAX];
    nacre__segment *s = packed->segment;
    nacre_err err = NACRE_OK;
    for (int copy = 0; copy < 2; copy++) {
        uint8_t *at = nacre__state_cell(s, (uint32_t)(packed - s->contexts), &err, why);
        if (at == NULL) return err;
        if (copy == 0) memcpy(before, at, s->shape.cell_size);
        nacre__cell_write(at, s->shape.cell_size, &removed);
        err = nacre__state_flush(s->pack, why);
        if (err == NACRE_OK) continue;
        memcpy(at, before, s->shape.cell_size); /* the next flush rewrites the page */
        return err;
    }
    return NACRE_OK;
}

nacre_err nacre__pack_remove(nacre_pack *pack, nacre_context *ctx, nacre_detail *why)
{
    nacre_err err = nacre__pack_check_alone(pack, why);
    if (err != NACRE_OK) return err;
    nacre__packed *packed = nacre__pack_find(pack, ctx);
    if (packed == NULL || nacre_context_aead(ctx) == NULL)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "%s: that context is not in this pack", pack->path);
    nacre__record record = { .aead = nacre_context_aead(ctx),
                             .sender_id = nacre_context_sender_id(ctx),
                             .recipient_id = nacre_context_recipient_id(ctx),
                             .common_iv = nacre_context_common_iv(ctx) };
    err = nacre__pack_note_removed(pack, &record, why);
    if (err != NACRE_OK) return err;
    err = mark_removed(packed, why);
    if (err != NACRE_OK) {
        nacre__pack_stop_all_if_lost(pack);
        pack->num_removed -= 2;
        return err;
    }
    if (pack->has_table) nacre_table_remove(&pack->table, ctx);
    nacre__state_forget(pack, ctx);
    nacre_context_wipe(ctx);
    err = erase(packed->segment, (uint32_t)(packed - packed->segment->contexts), why);
    return err == NACRE_OK ? nacre__pack_sync(&pack->file, why) : err;
}
