/* SPDX-License-Identifier: MIT */
/* pack_read: reads the contexts of a pack without its lock. */
#include "store/pack/pack_internal.h"

#include <string.h>

enum { ATTEMPTS = 5 }; /* another process may be writing the page */

static size_t copy(uint8_t *to, nacre_bytes from)
{
    if (from.len > 0) memcpy(to, from.ptr, from.len);
    return from.len;
}

void nacre__pack_entry_describe(nacre_directory_info *info, const nacre__pack_entry *entry, bool elsewhere, bool reveal)
{
    const nacre__record *r = &entry->record;
    memset(info, 0, sizeof *info);
    info->aead = r->aead;
    info->hash = r->hash;
    info->window = r->window;
    info->has_id_context = !nacre_is_absent(r->id_context);
    info->id_context_len = copy(info->id_context, r->id_context);
    info->sender_id_len = copy(info->sender_id, r->sender_id);
    info->recipient_id_len = copy(info->recipient_id, r->recipient_id);
    info->next_to_send = entry->cell.next;
    info->window_known = entry->cell.known;
    info->window_index = entry->cell.index;
    if (entry->cell.known) memcpy(info->window_bits, entry->cell.bits, sizeof info->window_bits);
    info->has_state = true;
    info->elsewhere = elsewhere;
    if (!reveal) return;
    info->secret_len = copy(info->secret, r->secret);
    info->salt_len = copy(info->salt, r->salt);
}

typedef struct reading {
    nacre__pack_file file;
    nacre__pack_map map;
    bool reveal, elsewhere;
    nacre_pack_visit visit;
    void *user;
    nacre_detail *why;
} reading;

static nacre_err visit_segment(const reading *r, const nacre__segment_data *data, size_t first_entry)
{
    nacre__pack_entry entry;
    nacre_directory_info info;
    nacre_err err = NACRE_OK;
    for (uint32_t i = 0; err == NACRE_OK && i < data->shape.num_entries; i++) {
        err = nacre__segment_entry(&entry, data, &r->file, &r->map.id, i, first_entry, r->why);
        if (err != NACRE_OK || entry.cell.use != NACRE__IN_USE) continue;
        nacre__pack_entry_describe(&info, &entry, r->elsewhere, r->reveal);
        err = r->visit(r->user, first_entry + i, &info, r->why);
        nacre_wipe(&info, sizeof info);
    }
    return err;
}

static nacre_err visit_all(const reading *r)
{
    uint64_t page = NACRE__PACK_FIRST_SEGMENT;
    size_t index = 0;
    nacre_err err = NACRE_OK;
    for (uint32_t i = 0; err == NACRE_OK && i < r->map.extent.num_segments; i++) {
        nacre__segment_data data;
        err = NACRE_ERR_BAD_CONTEXT;
        for (int attempt = 0; attempt < ATTEMPTS && err == NACRE_ERR_BAD_CONTEXT; attempt++)
            err = nacre__segment_read(&data, &r->file, &r->map, i, page, r->why);
        if (err != NACRE_OK) return err;
        err = visit_segment(r, &data, index);
        page += nacre__segment_pages(&data.shape);
        index += data.shape.num_entries;
        nacre__segment_data_free(&data);
    }
    return err;
}

nacre_err nacre_pack_read(const char *path, bool reveal, nacre_pack_visit visit, void *user, nacre_detail *why)
{
    reading r = { .reveal = reveal, .visit = visit, .user = user, .why = why };
    nacre_err err = nacre__pack_file_open(&r.file, path, false, why);
    if (err != NACRE_OK) return err;
    err = NACRE_ERR_BAD_CONTEXT;
    for (int attempt = 0; attempt < ATTEMPTS && err == NACRE_ERR_BAD_CONTEXT; attempt++)
        err = nacre__pack_map_read(&r.map, &r.file, why);
    char identity[NACRE__FILE_IDENTITY_TEXT];
    nacre__file_identity_of(identity, r.file.fd);
    r.elsewhere = err == NACRE_OK && !nacre__file_identity_matches(identity, r.map.extent.identity);
    if (err == NACRE_OK) err = visit_all(&r);
    nacre__pack_file_close(&r.file);
    return err;
}
