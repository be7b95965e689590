/* SPDX-License-Identifier: MIT */
/* pack_load: a segment in memory: its contexts with their keys, in one mapping. */
#include "store/pack/pack_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/hosted/detail.h"
#include "store/random.h"
#include "store/wipe_on_fork.h"

/* ---- Memory ---- */

static size_t round_up(size_t size, size_t align)
{
    return (size + align - 1) / align * align;
}

nacre_err nacre__context_sizes_add(nacre__context_sizes *sizes, const nacre_pack *pack, const nacre__record *record,
                                   nacre_detail *why)
{
    size_t size = 0, align = 1;
    nacre_err err = nacre_context_key_layout(pack->crypto, record->aead->cose, &size, &align);
    if (err != NACRE_OK)
        return nacre__fail(why, err, "%s: the cryptography library (%s) does not have %s", pack->path,
                           pack->crypto->ops->name, record->aead->name);
    size = round_up(size, align < 16 ? 16 : align); /* consecutive keys are aligned for every algorithm */
    if (size > sizes->key) sizes->key = size;
    size_t words = nacre_replay_words(record->window) * sizeof(uint64_t);
    if (words > sizes->words) sizes->words = words;
    if (record->id_context.len > sizes->id) sizes->id = record->id_context.len;
    return NACRE_OK;
}

nacre__segment *nacre__segment_new(nacre_pack *pack, const nacre__shape *shape, uint64_t first_page, size_t first_entry,
                                   const nacre__context_sizes *sizes)
{
    enum { CACHE_LINE = 64 };
    nacre__segment *s = calloc(1, sizeof *s);
    if (s == NULL) return NULL;
    *s = (nacre__segment){ .pack = pack, .shape = *shape, .first_page = first_page, .first_entry = first_entry };
    s->key_size = sizes->key;
    s->words_size = sizes->words;
    s->id_size = sizes->id;
    size_t contexts = round_up(shape->num_entries * sizeof(nacre__packed), CACHE_LINE);
    size_t keys = round_up(shape->num_entries * sizes->key, CACHE_LINE), words = shape->num_entries * sizes->words;
    s->memory_size = contexts + keys + words + shape->num_entries * sizes->id; /* below 65536 times some KiB */
    s->memory = nacre__wipe_on_fork_map(s->memory_size);
    s->pages = calloc(nacre__cell_pages(shape), sizeof *s->pages);
    s->contexts = (nacre__packed *)(void *)s->memory;
    if (s->memory == NULL || s->pages == NULL) {
        nacre__segment_free(s);
        return NULL;
    }
    s->keys = s->memory + contexts;
    s->words = s->keys + keys;
    s->ids = s->words + words;
    return s;
}

void nacre__segment_free(nacre__segment *s)
{
    if (s == NULL) return;
    for (uint32_t i = 0; s->memory != NULL && i < s->num_taken; i++) nacre_context_wipe(&s->contexts[i].ctx);
    nacre__wipe_on_fork_unmap(s->memory, s->memory_size);
    for (uint32_t p = 0; s->pages != NULL && p < nacre__cell_pages(&s->shape); p++) free(s->pages[p].image);
    free(s->pages);
    free(s);
}

/* ---- One context ---- */

static nacre_err init(nacre__segment *s, uint32_t index, const nacre__record *record, const nacre__cell *cell,
                      const uint8_t *echo)
{
    nacre__packed *packed = &s->contexts[index];
    const nacre_crypto *crypto = s->pack->crypto;
    nacre_bytes id_context = record->id_context;
    if (!nacre_is_absent(id_context)) {
        id_context.ptr = s->ids + index * s->id_size;
        if (id_context.len > 0) memcpy(s->ids + index * s->id_size, record->id_context.ptr, id_context.len);
    }
    nacre_context_params params = {
        .cose_aead = record->aead->cose,
        .hash = record->hash,
        .id_context = id_context,
        .sender_id = record->sender_id,
        .recipient_id = record->recipient_id,
        .window = record->window,
        .window_words =
            nacre_replay_words(record->window) == 0 ? NULL : (uint64_t *)(void *)(s->words + index * s->words_size),
        .next_seq = cell->next,
        .persistent = true,
        .echo = nacre_bytes_of(echo, NACRE_ECHO_LEN), /* both roles may receive requests */
    };
    const nacre_derived_keys derived = { record->sender_key, record->recipient_key, record->common_iv };
    nacre_err err = nacre_context_init_derived(&packed->ctx, crypto, &params, &derived,
                                               (nacre_buf){ s->keys + index * s->key_size, s->key_size });
    if (err != NACRE_OK) return err;
    packed->segment = s;
    err = nacre_context_set_replay(&packed->ctx, cell->known, cell->index, cell->bits, (record->window + 7u) / 8);
    if (err != NACRE_OK) nacre_context_wipe(&packed->ctx);
    return err;
}

nacre_err nacre__packed_make(nacre__segment *s, uint32_t index, const nacre__record *record, const nacre__cell *cell,
                             const uint8_t echo[NACRE_ECHO_LEN], nacre_detail *why)
{
    nacre_err err = init(s, index, record, cell, echo);
    if (err == NACRE_OK) return NACRE_OK;
    return nacre__fail(why, err, "%s: context %zu: cannot prepare its keys of %s with %s: %s", s->pack->path,
                       s->first_entry + index, record->aead->name, s->pack->crypto->ops->name, nacre_err_text(err));
}

nacre_err nacre__pack_note_removed(nacre_pack *pack, const nacre__record *record, nacre_detail *why)
{
    if (!nacre__pack_grow(&pack->removed, pack->num_removed + 1, &pack->cap_removed, sizeof *pack->removed))
        return nacre__pack_no_memory(pack, why);
    pack->removed[pack->num_removed++] = nacre__nonce_mark(record->aead, record->sender_id, record->common_iv);
    pack->removed[pack->num_removed++] = nacre__window_mark(record->aead, record->recipient_id, record->common_iv);
    return NACRE_OK;
}

/* ---- One segment ---- */

/* Sizes and number of the entries of a segment. */
typedef struct measured {
    nacre__context_sizes sizes;
    uint32_t num_taken;
    bool any_removed, erase; /* erase: the record of a removed context is still to be erased */
} measured;

static nacre_err measure(measured *m, const nacre_pack *pack, const nacre__segment_data *data, size_t first_entry,
                         nacre_detail *why)
{
    nacre__pack_entry entry;
    memset(m, 0, sizeof *m);
    for (uint32_t i = 0; i < data->shape.num_entries; i++) {
        nacre_err err = nacre__segment_entry(&entry, data, &pack->file, &pack->id, i, first_entry, why);
        if (err == NACRE_OK && entry.cell.use == NACRE__IN_USE)
            err = nacre__context_sizes_add(&m->sizes, pack, &entry.record, why);
        if (err != NACRE_OK) return err;
        if (entry.cell.use != NACRE__EMPTY) m->num_taken = i + 1;
        if (entry.cell.use != NACRE__REMOVED) continue;
        m->any_removed = true;
        if (!entry.blank && !(entry.has_record && entry.record.removed)) m->erase = true;
    }
    return NACRE_OK;
}

static nacre_err prepare(nacre__segment *s, const nacre__segment_data *data, nacre_detail *why)
{
    enum { BATCH = 512 };
    uint8_t echo[BATCH * NACRE_ECHO_LEN];
    nacre__pack_entry entry;
    nacre_err err = NACRE_OK;
    for (uint32_t i = 0; err == NACRE_OK && i < s->num_taken; i++) {
        if (i % BATCH == 0 && !nacre__store_random(echo, sizeof echo))
            return nacre__fail(why, NACRE_ERR_CRYPTO, "%s: the system gives no random bytes", s->pack->path);
        err = nacre__segment_entry(&entry, data, &s->pack->file, &s->pack->id, i, s->first_entry, why);
        if (err == NACRE_OK && entry.cell.use == NACRE__IN_USE)
            err = nacre__packed_make(s, i, &entry.record, &entry.cell, echo + i % BATCH * NACRE_ECHO_LEN, why);
    }
    return err;
}

/* A page whose other copy was damaged is dirty at once. */
static nacre_err take_pages(nacre__segment *s, nacre__segment_data *data, nacre_detail *why)
{
    nacre_err err = NACRE_OK;
    for (uint32_t p = 0; err == NACRE_OK && p < nacre__cell_pages(&s->shape); p++) {
        s->pages[p] = data->pages[p];
        data->pages[p].image = NULL;
        if (s->pages[p].image == NULL) continue;
        uint8_t *image = s->pages[p].image;
        s->pages[p].image = NULL;
        err = nacre__state_dirty(s, p, why);
        if (err == NACRE_OK) memcpy(s->pages[p].image, image, NACRE__PACK_PAGE);
        free(image);
    }
    return err;
}

/* The keys of removed contexts stay excluded, and their cells are set to the end of the numbers. */
static nacre_err settle_removed(nacre__segment *s, const nacre__segment_data *data, nacre_detail *why)
{
    nacre__pack_entry entry;
    nacre_err err = NACRE_OK;
    for (uint32_t i = 0; err == NACRE_OK && i < s->num_taken; i++) {
        err = nacre__segment_entry(&entry, data, &s->pack->file, &s->pack->id, i, s->first_entry, why);
        if (err != NACRE_OK || entry.cell.use != NACRE__REMOVED) continue;
        if (entry.has_record) err = nacre__pack_note_removed(s->pack, &entry.record, why);
        if (err != NACRE_OK || entry.cell.next > NACRE_SEQ_MAX) continue;
        uint8_t *at = nacre__state_cell(s, i, &err, why);
        entry.cell = (nacre__cell){ .use = NACRE__REMOVED, .next = NACRE_SEQ_MAX + 1 };
        if (at != NULL) nacre__cell_write(at, s->shape.cell_size, &entry.cell);
    }
    return err;
}

static nacre_err build(nacre__segment *s, nacre__segment_data *data, const measured *m, nacre_detail *why)
{
    s->num_taken = m->num_taken;
    nacre_err err = prepare(s, data, why);
    if (err == NACRE_OK) err = take_pages(s, data, why);
    if (err == NACRE_OK && m->any_removed) err = settle_removed(s, data, why);
    return err;
}

nacre_err nacre__segment_load(nacre_pack *pack, const nacre__pack_map *map, bool *erase, nacre_detail *why)
{
    nacre__segment_data data;
    measured m;
    const nacre__segment *last = pack->num_segments > 0 ? pack->segments[pack->num_segments - 1] : NULL;
    uint64_t first_page =
        last != NULL ? last->first_page + nacre__segment_pages(&last->shape) : NACRE__PACK_FIRST_SEGMENT;
    size_t first_entry = last != NULL ? last->first_entry + last->shape.num_entries : 0;
    if (!nacre__pack_grow(&pack->segments, pack->num_segments, &pack->cap_segments, sizeof(nacre__segment *)))
        return nacre__pack_no_memory(pack, why);
    nacre_err err = nacre__segment_read(&data, &pack->file, map, (uint32_t)pack->num_segments, first_page, why);
    if (err != NACRE_OK) return err;
    nacre__segment *s = NULL;
    err = measure(&m, pack, &data, first_entry, why);
    if (err == NACRE_OK) {
        s = nacre__segment_new(pack, &data.shape, first_page, first_entry, &m.sizes);
        err = s != NULL ? NACRE_OK : nacre__pack_no_memory(pack, why);
    }
    if (s != NULL) { /* now owned by the pack */
        pack->segments[pack->num_segments++] = s;
        *erase = *erase || m.erase;
        err = build(s, &data, &m, why);
    }
    nacre__segment_data_free(&data);
    return err;
}
