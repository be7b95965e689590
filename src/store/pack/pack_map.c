/* SPDX-License-Identifier: MIT */
/* pack_map: reads and checks a pack's file: the valid copy of the extent and of each page of states, and the content of each
 * entry. */
#include "store/pack/pack_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/hosted/detail.h"

enum { SKIP = 65536 }; /* numbers to skip if a state may be some steps old; a step is at most 10000 */

static uint64_t bytes_of(uint64_t pages)
{
    return pages * NACRE__PACK_PAGE;
}

/* ---- Head and extent ---- */

/* Counts a valid segment after the end of the extent: its extent was not written, or was damaged later. */
static void adopt(nacre__pack_map *map, const nacre__pack_file *file, uint64_t num_pages)
{
    uint8_t page[NACRE__PACK_PAGE];
    nacre__shape shape;
    uint64_t at = map->extent.num_pages;
    if (at >= num_pages || map->extent.num_segments >= NACRE__SEGMENTS_MAX) return;
    if (nacre__pack_get(file, page, bytes_of(at), sizeof page, NULL) != NACRE_OK) return;
    if (!nacre__shape_read(&shape, page, &map->id, at) || shape.number != map->extent.num_segments) return;
    if (nacre__segment_pages(&shape) > num_pages - at || map->extent.num_entries + shape.num_entries > NACRE_PACK_MAX)
        return;
    map->extent.num_pages += nacre__segment_pages(&shape);
    map->extent.num_entries += shape.num_entries;
    map->extent.num_segments++;
}

static nacre_err choose_extent(nacre__pack_map *map, const nacre__pack_file *file, const uint8_t *pages,
                               uint64_t num_pages, nacre_detail *why)
{
    nacre__extent copies[2] = { { 0 }, { 0 } };
    bool holds[2];
    for (unsigned side = 0; side < 2; side++)
        holds[side] =
            nacre__extent_read(&copies[side], pages + (side + 1) * NACRE__PACK_PAGE, &map->id, (uint64_t)side + 1);
    if (!holds[0] && !holds[1])
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: extent: both copies are damaged, one must be whole",
                           file->path);
    if (holds[0] && holds[1] && copies[0].generation == copies[1].generation)
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: extent: both copies have generation %llu, they must differ",
                           file->path, (unsigned long long)copies[0].generation);
    map->side = !holds[0] || (holds[1] && copies[1].generation > copies[0].generation);
    map->damaged = !holds[0] || !holds[1];
    map->extent = copies[map->side];
    if (map->damaged) adopt(map, file, num_pages);
    return NACRE_OK;
}

nacre_err nacre__pack_map_read(nacre__pack_map *map, const nacre__pack_file *file, nacre_detail *why)
{
    uint8_t pages[NACRE__PACK_FIRST_SEGMENT * NACRE__PACK_PAGE];
    uint64_t size = 0;
    memset(map, 0, sizeof *map);
    nacre_err err = nacre__pack_file_size(&size, file, why);
    if (err != NACRE_OK) return err;
    if (size < sizeof pages)
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                           "%s: found %llu bytes, a pack has at least %zu: it is none, or was cut short", file->path,
                           (unsigned long long)size, sizeof pages);
    err = nacre__pack_get(file, pages, 0, sizeof pages, why);
    if (err == NACRE_OK) err = nacre__head_read(&map->id, pages, file->path, why);
    if (err == NACRE_OK) err = choose_extent(map, file, pages, size / NACRE__PACK_PAGE, why);
    if (err != NACRE_OK) return err;
    if (size >= bytes_of(map->extent.num_pages)) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: found %llu bytes, %llu are expected: it was cut short",
                       file->path, (unsigned long long)size, (unsigned long long)bytes_of(map->extent.num_pages));
}

/* ---- Segments ---- */

uint64_t nacre__states_page(const nacre__shape *shape, uint64_t first_page, unsigned side, uint32_t page)
{
    return first_page + 1 + nacre__record_pages(shape) + (uint64_t)side * nacre__cell_pages(shape) + page;
}

uint64_t nacre__record_at(const nacre__shape *shape, uint64_t first_page, uint32_t index)
{
    return bytes_of(first_page + 1) + (uint64_t)index * shape->record_size;
}

/* The valid copy may be some steps older than the damaged one. */
bool nacre__page_make_pessimistic(uint8_t *image, const nacre__shape *shape)
{
    for (uint32_t i = 0; i < nacre__cells_per_page(shape); i++) {
        nacre__cell cell;
        uint8_t *at = image + NACRE__PACK_CELLS_AT + (size_t)i * shape->cell_size;
        if (!nacre__cell_read(&cell, at, shape->cell_size)) return false;
        if (cell.use != NACRE__IN_USE) continue;
        cell.next = cell.next > NACRE_SEQ_MAX + 1 - SKIP ? NACRE_SEQ_MAX + 1 : cell.next + SKIP;
        cell.known = false;
        nacre__cell_write(at, shape->cell_size, &cell);
    }
    return true;
}

static nacre_err choose_copy(nacre__segment_data *d, const nacre__pack_file *file, const nacre__pack_id *id, uint32_t p,
                             nacre_detail *why)
{
    const uint8_t *copies[2] = { d->states + bytes_of(p), d->states + bytes_of(nacre__cell_pages(&d->shape) + p) };
    uint64_t generations[2] = { 0, 0 };
    bool holds[2];
    for (unsigned side = 0; side < 2; side++)
        holds[side] = nacre__states_hold(&generations[side], copies[side], id,
                                         nacre__states_page(&d->shape, d->first_page, side, p), d->shape.number, p);
    if ((!holds[0] && !holds[1]) || (holds[0] && holds[1] && generations[0] == generations[1]))
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: segment %u, page %u of states: %s", file->path,
                           (unsigned)d->shape.number, (unsigned)p,
                           holds[0] ? "both copies have one generation, they must differ"
                                    : "both copies are damaged, one must be whole; its contexts need new keys");
    nacre__pack_page *page = &d->pages[p];
    page->side = !holds[0] || (holds[1] && generations[1] > generations[0]);
    page->generation = generations[page->side];
    if (holds[0] && holds[1]) return NACRE_OK;
    page->sure = true;
    page->image = malloc(NACRE__PACK_PAGE);
    if (page->image == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", file->path);
    memcpy(page->image, copies[page->side], NACRE__PACK_PAGE);
    if (nacre__page_make_pessimistic(page->image, &d->shape)) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: segment %u, page %u of states: says what cannot be", file->path,
                       (unsigned)d->shape.number, (unsigned)p);
}

static nacre_err read_shape(nacre__segment_data *d, const nacre__pack_file *file, const nacre__pack_map *map,
                            uint32_t number, nacre_detail *why)
{
    uint8_t page[NACRE__PACK_PAGE];
    nacre_err err = nacre__pack_get(file, page, bytes_of(d->first_page), sizeof page, why);
    if (err != NACRE_OK) return err;
    if (!nacre__shape_read(&d->shape, page, &map->id, d->first_page) || d->shape.number != number)
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: head of segment %u (page %llu): is damaged", file->path,
                           (unsigned)number, (unsigned long long)d->first_page);
    uint64_t left = map->extent.num_pages - d->first_page;
    if (nacre__segment_pages(&d->shape) <= left) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                       "%s: head of segment %u: found %llu pages, %llu are left in the file", file->path,
                       (unsigned)number, (unsigned long long)nacre__segment_pages(&d->shape), (unsigned long long)left);
}

/* NULL: no memory, or more bytes than size_t counts on a 32-bit machine. */
static uint8_t *alloc_pages(size_t *len, uint64_t pages)
{
    *len = (size_t)bytes_of(pages);
    return *len == bytes_of(pages) ? malloc(*len) : NULL;
}

static nacre_err read_body(nacre__segment_data *d, const nacre__pack_file *file, const nacre__pack_map *map,
                           nacre_detail *why)
{
    uint32_t cell_pages = nacre__cell_pages(&d->shape);
    d->records = alloc_pages(&d->records_len, nacre__record_pages(&d->shape));
    d->states = alloc_pages(&d->states_len, 2 * (uint64_t)cell_pages);
    d->pages = calloc(cell_pages, sizeof *d->pages);
    if (d->records == NULL || d->states == NULL || d->pages == NULL)
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", file->path);
    uint64_t at = bytes_of(d->first_page + 1);
    nacre_err err = nacre__pack_get(file, d->records, at, d->records_len, why);
    if (err == NACRE_OK) err = nacre__pack_get(file, d->states, at + d->records_len, d->states_len, why);
    for (uint32_t p = 0; err == NACRE_OK && p < cell_pages; p++) err = choose_copy(d, file, &map->id, p, why);
    return err;
}

nacre_err nacre__segment_read(nacre__segment_data *data, const nacre__pack_file *file, const nacre__pack_map *map,
                              uint32_t number, uint64_t first_page, nacre_detail *why)
{
    nacre__segment_data d = { .first_page = first_page };
    if (first_page >= map->extent.num_pages)
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: extent: counts %u segments, found %u", file->path,
                           (unsigned)map->extent.num_segments, (unsigned)number);
    nacre_err err = read_shape(&d, file, map, number, why);
    if (err == NACRE_OK) err = read_body(&d, file, map, why);
    if (err == NACRE_OK) *data = d;
    else nacre__segment_data_free(&d);
    return err;
}

void nacre__segment_data_free(nacre__segment_data *d)
{
    for (uint32_t p = 0; d->pages != NULL && p < nacre__cell_pages(&d->shape); p++) free(d->pages[p].image);
    if (d->records != NULL) nacre_wipe(d->records, d->records_len);
    free(d->records);
    free(d->states);
    free(d->pages);
    *d = (nacre__segment_data){ .first_page = 0 };
}

/* ---- Entries ---- */

static const uint8_t *cell_at(const nacre__segment_data *d, uint32_t index)
{
    uint32_t per_page = nacre__cells_per_page(&d->shape), p = index / per_page;
    const nacre__pack_page *page = &d->pages[p];
    const uint8_t *bytes = page->image != NULL
                               ? page->image
                               : d->states + bytes_of((uint64_t)page->side * nacre__cell_pages(&d->shape) + p);
    return bytes + NACRE__PACK_CELLS_AT + (size_t)(index % per_page) * d->shape.cell_size;
}

static nacre_err bad_entry(const nacre__pack_file *file, size_t index, const char *what, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: context %zu: %s", file->path, index, what);
}

static bool window_fits(const nacre__cell *cell, uint16_t window)
{
    for (unsigned bit = window; bit < NACRE_REPLAY_MAX; bit++)
        if (cell->known && (cell->bits[bit / 8] >> bit % 8 & 1) != 0) return false;
    return true;
}

nacre_err nacre__segment_entry(nacre__pack_entry *entry, const nacre__segment_data *d, const nacre__pack_file *file,
                               const nacre__pack_id *id, uint32_t number, size_t first_entry, nacre_detail *why)
{
    const char *problem = NULL;
    nacre__pack_entry p = { .has_record = false };
    if (!nacre__cell_read(&p.cell, cell_at(d, number), d->shape.cell_size))
        return bad_entry(file, first_entry + number, "its state says what cannot be", why);
    const uint8_t *record = d->records + (size_t)number * d->shape.record_size;
    if (p.cell.use != NACRE__EMPTY)
        p.has_record =
            nacre__record_read(&p.record, &problem, record, d->shape.record_size, id, d->shape.number, number);
    if (p.cell.use == NACRE__REMOVED && !p.has_record) p.blank = nacre__is_blank(record, d->shape.record_size);
    if (p.cell.use == NACRE__IN_USE && !p.has_record) {
        char text[80] = "its record is damaged: ";
        strncat(text, problem, sizeof text - strlen(text) - 1);
        return bad_entry(file, first_entry + number, text, why);
    }
    if (p.cell.use == NACRE__IN_USE && nacre__cell_size(p.record.window) > d->shape.cell_size)
        return bad_entry(file, first_entry + number, "its window does not fit into its state", why);
    if (p.cell.use == NACRE__IN_USE && !window_fits(&p.cell, p.record.window))
        return bad_entry(file, first_entry + number, "its state has bits beyond its window", why);
    /* An erased record with a state "in use": the state is one step old, because a record is erased last. */
    if (p.has_record && p.record.removed) p.cell.use = NACRE__REMOVED;
    *entry = p;
    return NACRE_OK;
}
