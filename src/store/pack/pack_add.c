/* SPDX-License-Identifier: MIT */
/* pack_add: adds contexts to a pack.
 *
 * First, segments of empty entries are added: each segment is written and synced, then the extent. Then a batch of records is
 * written and synced, and then their cells, as "in use", which adds the contexts. */
#include "store/pack/pack_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/hosted/detail.h"
#include "store/random.h"

enum { RUN = 4096, FEW = 32 }; /* contexts in a batch; the fewest entries of a segment */

typedef struct draft {
    nacre_directory_info info;
    nacre__derived derived;
    nacre__record record; /* points into both */
    nacre__cell cell;
} draft;

typedef struct adding {
    nacre_pack *pack;
    nacre_pack_source source;
    void *user;
    size_t num, at; /* all contexts to add; the first one of this batch */
    draft *drafts;  /* at most RUN */
    size_t num_drafts;
    uint64_t *marks; /* nonce and window marks of present, removed and new contexts: open addressing, 0 is free */
    size_t num_marks;
    nacre_detail *why;
} adding;

/* ---- No nonce twice, and no message accepted twice ---- */

static bool put_mark(adding *a, uint64_t mark)
{
    size_t mask = a->num_marks - 1, at = (size_t)mark & mask;
    for (; a->marks[at] != 0; at = (at + 1) & mask)
        if (a->marks[at] == mark) return false;
    a->marks[at] = mark;
    return true;
}

static bool collect_marks(adding *a)
{
    nacre_pack *pack = a->pack;
    size_t num_entries = nacre_pack_num(pack), needed = 2 * num_entries + pack->num_removed + 2 * a->num;
    for (a->num_marks = 64; a->num_marks / 2 < needed;) a->num_marks *= 2;
    a->marks = calloc(a->num_marks, sizeof *a->marks);
    if (a->marks == NULL) return false;
    for (size_t i = 0; i < pack->num_removed; i++) (void)put_mark(a, pack->removed[i]);
    for (size_t i = 0; i < num_entries; i++) {
        const nacre_context *ctx = nacre_pack_context_at(pack, i);
        if (ctx == NULL) continue;
        const nacre_aead *aead = nacre_context_aead(ctx);
        const nacre_bytes iv = nacre_context_common_iv(ctx);
        (void)put_mark(a, nacre__nonce_mark(aead, nacre_context_sender_id(ctx), iv));
        (void)put_mark(a, nacre__window_mark(aead, nacre_context_recipient_id(ctx), iv));
    }
    return true;
}

/* ---- Drafts ---- */

static nacre_err refuse(const adding *a, size_t index, nacre_err err, const char *what)
{
    return nacre__fail(a->why, err, "%s: adding context %zu of %zu: %s", a->pack->path, index + 1, a->num, what);
}

static const char *bad_state(const nacre_directory_info *info, uint16_t window)
{
    if (info->next_to_send > NACRE_SEQ_MAX + 1) return "its next number is above 2^40";
    if (!info->window_known) return NULL;
    if (info->window_index > NACRE_SEQ_MAX + 1) return "its window's index is above 2^40";
    for (unsigned bit = window; bit < NACRE_REPLAY_MAX; bit++)
        if ((info->window_bits[bit / 8] >> bit % 8 & 1) != 0) return "its window has bits beyond its size";
    return NULL;
}

static nacre_err take_one(adding *a, draft *d, size_t index)
{
    memset(d, 0, sizeof *d);
    nacre_err err = a->source(a->user, &d->info, index, a->why);
    if (err != NACRE_OK) return err;
    err = nacre__record_of(&d->record, &d->derived, a->pack->crypto, &d->info);
    if (err == NACRE_ERR_BAD_CONTEXT)
        return refuse(a, index, err, "an algorithm, hash, window, secret, salt or ID is missing or not allowed");
    if (err != NACRE_OK) return refuse(a, index, err, nacre_err_text(err));
    const char *problem = bad_state(&d->info, d->record.window);
    if (problem != NULL) return refuse(a, index, NACRE_ERR_BAD_CONTEXT, problem);
    if (!put_mark(a, nacre__nonce_mark(d->record.aead, d->record.sender_id, d->record.common_iv)))
        return refuse(a, index, NACRE_ERR_BAD_CONTEXT,
                      "the pack has, or had, a context with its Sender ID and keys: both would use the same nonces");
    if (!put_mark(a, nacre__window_mark(d->record.aead, d->record.recipient_id, d->record.common_iv)))
        return refuse(
            a, index, NACRE_ERR_BAD_CONTEXT,
            "the pack has, or had, a context with its Recipient ID and keys: each would accept what the other "
            "has seen");
    d->cell = (nacre__cell){ .use = NACRE__IN_USE, .known = d->info.window_known, .next = d->info.next_to_send };
    if (!d->cell.known) return NACRE_OK;
    d->cell.index = d->info.window_index;
    memcpy(d->cell.bits, d->info.window_bits, sizeof d->cell.bits);
    return NACRE_OK;
}

/* On an error the `num_drafts` drafts before it are still added. */
static nacre_err take_run(adding *a)
{
    nacre_err err = NACRE_OK;
    for (a->num_drafts = 0; a->num_drafts < RUN && a->at + a->num_drafts < a->num; a->num_drafts++) {
        err = take_one(a, &a->drafts[a->num_drafts], a->at + a->num_drafts);
        if (err != NACRE_OK) break;
    }
    return err;
}

/* ---- Segments ---- */

/* Writes head and empty cells; the records stay holes. */
static nacre_err write_segment(const nacre__segment *s, nacre_detail *why)
{
    const nacre_pack *pack = s->pack;
    uint8_t page[NACRE__PACK_PAGE];
    nacre__shape_write(page, &s->shape, &pack->id, s->first_page);
    nacre_err err = nacre__pack_put(&pack->file, page, s->first_page * NACRE__PACK_PAGE, sizeof page, why);
    for (unsigned side = 0; side < 2; side++)
        for (uint32_t p = 0; err == NACRE_OK && p < nacre__cell_pages(&s->shape); p++) {
            uint64_t number = nacre__states_page(&s->shape, s->first_page, side, p);
            memset(page, 0, sizeof page);
            nacre__states_frame(page, 1u - side, s->shape.number, p);
            nacre__page_seal(page, &pack->id, number);
            err = nacre__pack_put(&pack->file, page, number * NACRE__PACK_PAGE, sizeof page, why);
        }
    for (uint32_t p = 0; p < nacre__cell_pages(&s->shape); p++) {
        s->pages[p].generation = 1;
        s->pages[p].sure = true;
    }
    return err == NACRE_OK ? nacre__pack_sync(&pack->file, why) : err;
}

/* The written segment belongs to the pack when the extent includes it. After a failed write the extent may include it or not:
 * the same extent is written again before any other change after its end. */
static nacre_err adopt(nacre_pack *pack, nacre_detail *why)
{
    nacre__segment *s = pack->unsure;
    if (s == NULL) return NACRE_OK;
    if (!nacre__pack_grow(&pack->segments, pack->num_segments, &pack->cap_segments, sizeof(nacre__segment *)))
        return nacre__pack_no_memory(pack, why);
    nacre__extent extent = pack->extent;
    extent.num_pages = s->first_page + nacre__segment_pages(&s->shape);
    extent.num_entries = s->first_entry + s->shape.num_entries;
    extent.num_segments = s->shape.number + 1;
    nacre_err err = nacre__extent_put(pack, &extent, why);
    if (err != NACRE_OK) return err;
    pack->segments[pack->num_segments++] = s;
    pack->unsure = NULL;
    return NACRE_OK;
}

/* The sizes that a segment needs for the drafts from `from` on. */
static nacre_err needs_of(nacre__shape *shape, nacre__context_sizes *sizes, const adding *a, size_t from, size_t to)
{
    nacre_err err = NACRE_OK;
    for (size_t i = from; err == NACRE_OK && i < to; i++) {
        const nacre__record *r = &a->drafts[i].record;
        uint32_t record = (uint32_t)nacre__record_size(r), cell = nacre__cell_size(r->window);
        if (record > shape->record_size) shape->record_size = record;
        if (cell > shape->cell_size) shape->cell_size = cell;
        err = nacre__context_sizes_add(sizes, a->pack, r, a->why);
    }
    return err;
}

static nacre_err make_segment(adding *a, size_t from)
{
    nacre_pack *pack = a->pack;
    nacre__shape shape = { .number = (uint32_t)pack->num_segments };
    nacre__context_sizes sizes = { 0, 0, 0 };
    size_t to_come = a->num - a->at - from, quarter = (size_t)(pack->extent.num_entries / 4);
    size_t num_entries = to_come > quarter ? to_come : quarter; /* adding one by one makes few segments */
    if (num_entries < FEW) num_entries = FEW;
    if (num_entries > NACRE__SEGMENT_MAX) num_entries = NACRE__SEGMENT_MAX;
    if (num_entries > NACRE_PACK_MAX - pack->extent.num_entries)
        num_entries = (size_t)(NACRE_PACK_MAX - pack->extent.num_entries);
    if (num_entries == 0 || pack->num_segments >= NACRE__SEGMENTS_MAX)
        return refuse(a, a->at + from, NACRE_ERR_TOO_LONG, "the pack has no places left");
    nacre_err err = needs_of(&shape, &sizes, a, from, a->num_drafts);
    if (err != NACRE_OK) return err;
    shape.num_entries = (uint32_t)num_entries;
    nacre__segment *s =
        nacre__segment_new(pack, &shape, pack->extent.num_pages, (size_t)pack->extent.num_entries, &sizes);
    if (s == NULL) return nacre__pack_no_memory(pack, a->why);
    err = write_segment(s, a->why);
    if (err != NACRE_OK) {
        nacre__segment_free(s);
        return err;
    }
    pack->unsure = s;
    return adopt(pack, a->why);
}

/* The number of drafts from `from` on that fit into the last segment. */
static size_t fitting(const adding *a, size_t from)
{
    if (a->pack->num_segments == 0) return 0;
    const nacre__segment *s = a->pack->segments[a->pack->num_segments - 1];
    size_t num = 0;
    while (from + num < a->num_drafts && s->num_taken + num < s->shape.num_entries) {
        nacre__shape shape = { .number = 0 };
        nacre__context_sizes sizes = { 0, 0, 0 };
        if (needs_of(&shape, &sizes, a, from + num, from + num + 1) != NACRE_OK) break;
        if (shape.record_size > s->shape.record_size || shape.cell_size > s->shape.cell_size ||
            sizes.key > s->key_size || sizes.words > s->words_size || sizes.id > s->id_size)
            break;
        num++;
    }
    return num;
}

/* ---- Entries ---- */

/* The pages of the cells may have been written or not; they are rewritten before these entries are used again. If a page cannot
 * be read for that, no more contexts are added: its cells may be "in use" with the states of these contexts. */
static void take_back(nacre__segment *s, uint32_t first, uint32_t num)
{
    static const nacre__cell empty;
    for (uint32_t i = first; i < first + num; i++) {
        nacre_context *ctx = &s->contexts[i].ctx;
        nacre_err err = NACRE_OK;
        uint8_t *at = nacre__state_cell(s, i, &err, NULL);
        if (s->pack->has_table && nacre_context_aead(ctx) != NULL) nacre_table_remove(&s->pack->table, ctx);
        nacre_context_wipe(ctx);
        if (at != NULL) nacre__cell_write(at, s->shape.cell_size, &empty);
        else s->pack->adds_no_more = true;
    }
    s->num_taken = first;
}

static nacre_err make_contexts(const adding *a, nacre__segment *s, uint32_t first, const draft *drafts, uint32_t num)
{
    uint8_t echo[NACRE_ECHO_LEN];
    nacre_err err = NACRE_OK;
    for (uint32_t i = 0; err == NACRE_OK && i < num; i++) {
        if (!nacre__store_random(echo, sizeof echo))
            return nacre__fail(a->why, NACRE_ERR_CRYPTO, "%s: the system gives no random bytes", s->pack->path);
        err = nacre__packed_make(s, first + i, &drafts[i].record, &drafts[i].cell, echo, a->why);
        if (err == NACRE_OK && s->pack->has_table)
            err = nacre__pack_table_add(s->pack, s->first_entry + first + i, &s->contexts[first + i].ctx, a->why);
    }
    return err;
}

static nacre_err write_records(const adding *a, const nacre__segment *s, uint32_t first, const draft *drafts,
                               uint32_t num)
{
    size_t size = s->shape.record_size, len = num * size;
    uint8_t *bytes = malloc(len);
    if (bytes == NULL) return nacre__pack_no_memory(s->pack, a->why);
    for (uint32_t i = 0; i < num; i++)
        nacre__record_write(bytes + i * size, size, &drafts[i].record, &s->pack->id, s->shape.number, first + i);
    nacre_err err =
        nacre__pack_put(&s->pack->file, bytes, nacre__record_at(&s->shape, s->first_page, first), len, a->why);
    if (err == NACRE_OK) err = nacre__pack_sync(&s->pack->file, a->why);
    nacre_wipe(bytes, len);
    free(bytes);
    return err;
}

static nacre_err write_cells(const adding *a, nacre__segment *s, uint32_t first, const draft *drafts, uint32_t num)
{
    nacre_err err = NACRE_OK;
    /* Into both copies: after the loss of one, the other may be one step old, but not empty. */
    for (int copy = 0; copy < 2; copy++) {
        for (uint32_t i = 0; err == NACRE_OK && i < num; i++) {
            uint8_t *at = nacre__state_cell(s, first + i, &err, a->why);
            if (at != NULL) nacre__cell_write(at, s->shape.cell_size, &drafts[i].cell);
        }
        if (err == NACRE_OK) err = nacre__state_flush(s->pack, a->why);
    }
    return err;
}

static nacre_err put_run(const adding *a, size_t from, uint32_t num)
{
    nacre__segment *s = a->pack->segments[a->pack->num_segments - 1];
    const draft *drafts = a->drafts + from;
    uint32_t first = s->num_taken;
    /* Clears what a failed attempt may have left in the cells, before the records are overwritten. */
    nacre_err err = nacre__state_flush(a->pack, a->why);
    if (err != NACRE_OK) return err;
    err = nacre__pack_table_reserve(a->pack, num, a->why);
    if (err != NACRE_OK) return err;
    s->num_taken += num;
    err = make_contexts(a, s, first, drafts, num);
    if (err == NACRE_OK) err = write_records(a, s, first, drafts, num);
    if (err == NACRE_OK) err = write_cells(a, s, first, drafts, num);
    if (err != NACRE_OK) take_back(s, first, num);
    return err;
}

static nacre_err put_all(adding *a, size_t *num_added)
{
    nacre_err err = adopt(a->pack, a->why);
    for (size_t from = 0; err == NACRE_OK && from < a->num_drafts;) {
        size_t num = fitting(a, from);
        err = num == 0 ? make_segment(a, from) : put_run(a, from, (uint32_t)num);
        if (err != NACRE_OK) return err;
        from += num;
        *num_added += num;
    }
    return err;
}

static nacre_err add_all(adding *a, size_t *num_added)
{
    nacre_err err = NACRE_OK;
    while (err == NACRE_OK && a->at < a->num) {
        nacre_err taken = take_run(a);
        nacre_detail *why = a->why;
        if (taken != NACRE_OK) a->why = NULL; /* the first error is reported */
        err = put_all(a, num_added);
        a->why = why;
        if (taken != NACRE_OK) err = taken;
        a->at += a->num_drafts;
    }
    return err;
}

nacre_err nacre__pack_add(nacre_pack *pack, size_t *num_added, size_t num, nacre_pack_source source, void *user,
                          nacre_detail *why)
{
    adding a = { .pack = pack, .source = source, .user = user, .num = num, .why = why };
    size_t num_drafts = num < RUN ? num : RUN, added = 0;
    if (num_added != NULL) *num_added = 0;
    nacre_err err = nacre__pack_check_alone(pack, why);
    if (err != NACRE_OK || num == 0) return err;
    if (pack->adds_no_more)
        return refuse(&a, 0, NACRE_ERR_FILE,
                      "what an earlier attempt left is not known; close the pack and open it again");
    if (num > NACRE_PACK_MAX) return refuse(&a, 0, NACRE_ERR_TOO_LONG, "a pack has no places for as many");
    a.drafts = calloc(num_drafts, sizeof *a.drafts);
    err = a.drafts != NULL && collect_marks(&a) ? add_all(&a, &added) : nacre__pack_no_memory(pack, why);
    if (a.drafts != NULL) nacre_wipe(a.drafts, num_drafts * sizeof *a.drafts);
    free(a.drafts);
    free(a.marks);
    if (num_added != NULL) *num_added = added;
    nacre__pack_stop_all_if_lost(pack);
    return err;
}
