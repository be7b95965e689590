/* SPDX-License-Identifier: MIT */
/* pack_state: the durable states of a pack's contexts.
 *
 * A change is made in an image of its page. A flush writes all changed pages, each over its old copy, and syncs once; then those
 * copies are the current ones. If it fails, the images stay, and are written to the same copies again: a current copy is never
 * overwritten before the other is durable. */
#include "store/pack/pack_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/hosted/detail.h"

enum { MAX_STEP = 20000 }; /* numbers: a damaged copy may have been some steps ahead of the other; see pack_map.c */

/* ---- Pages ---- */

static uint64_t copy_page(const nacre__segment *s, uint32_t page, unsigned side)
{
    return nacre__states_page(&s->shape, s->first_page, side, page);
}

/* Reads the current copy from the file. */
static nacre_err get_page(uint8_t *to, const nacre__segment *s, uint32_t p, nacre_detail *why)
{
    const nacre__pack_page *page = &s->pages[p];
    uint64_t generation = 0, number = copy_page(s, p, page->side);
    nacre_err err = nacre__pack_get(&s->pack->file, to, number * NACRE__PACK_PAGE, NACRE__PACK_PAGE, why);
    if (err == NACRE_ERR_BAD_CONTEXT) return nacre__pack_lose(s->pack, "cut short", why);
    if (err != NACRE_OK) return err;
    if (nacre__states_hold(&generation, to, &s->pack->id, number, s->shape.number, p) && generation == page->generation)
        return NACRE_OK;
    return nacre__pack_lose(s->pack, "written over", why);
}

nacre_err nacre__state_dirty(nacre__segment *s, uint32_t p, nacre_detail *why)
{
    nacre_pack *pack = s->pack;
    nacre__pack_page *page = &s->pages[p];
    if (page->image != NULL) return NACRE_OK;
    if (!nacre__pack_grow(&pack->dirty, pack->num_dirty, &pack->cap_dirty, sizeof *pack->dirty))
        return nacre__pack_no_memory(pack, why);
    uint8_t *image = malloc(NACRE__PACK_PAGE);
    if (image == NULL) return nacre__pack_no_memory(pack, why);
    nacre_err err = get_page(image, s, p, why);
    if (err != NACRE_OK) {
        free(image);
        return err;
    }
    page->image = image;
    pack->dirty[pack->num_dirty++] = (nacre__dirty){ s, p };
    return NACRE_OK;
}

uint8_t *nacre__state_cell(nacre__segment *s, uint32_t index, nacre_err *err, nacre_detail *why)
{
    uint32_t per_page = nacre__cells_per_page(&s->shape), p = index / per_page;
    *err = nacre__state_dirty(s, p, why);
    if (*err != NACRE_OK) return NULL;
    return s->pages[p].image + NACRE__PACK_CELLS_AT + (size_t)(index % per_page) * s->shape.cell_size;
}

/* The current copy must be the one read or written last; else another program has written to the file. It may not be durable: a
 * failed sync may have lost it although it can still be read, and no later sync helps. So it is written again before the first
 * write over the other copy. */
static nacre_err make_sure(nacre_pack *pack, nacre_detail *why)
{
    uint8_t page[NACRE__PACK_PAGE];
    bool any = false;
    nacre_err err = NACRE_OK;
    for (size_t i = 0; err == NACRE_OK && i < pack->num_dirty; i++) {
        const nacre__dirty *d = &pack->dirty[i];
        const nacre__pack_page *p = &d->segment->pages[d->page];
        uint64_t at = copy_page(d->segment, d->page, p->side) * NACRE__PACK_PAGE;
        err = get_page(page, d->segment, d->page, why);
        if (p->sure || err != NACRE_OK) continue;
        any = true;
        err = nacre__pack_put(&pack->file, page, at, sizeof page, why);
    }
    if (err == NACRE_OK && any) err = nacre__pack_sync(&pack->file, why);
    for (size_t i = 0; err == NACRE_OK && i < pack->num_dirty; i++)
        pack->dirty[i].segment->pages[pack->dirty[i].page].sure = true;
    return err;
}

static nacre_err write_images(nacre_pack *pack, nacre_detail *why)
{
    nacre_err err = NACRE_OK;
    for (size_t i = 0; err == NACRE_OK && i < pack->num_dirty; i++) {
        const nacre__dirty *d = &pack->dirty[i];
        nacre__pack_page *page = &d->segment->pages[d->page];
        uint64_t number = copy_page(d->segment, d->page, 1u - page->side);
        nacre__states_frame(page->image, page->generation + 1, d->segment->shape.number, d->page);
        nacre__page_seal(page->image, &pack->id, number);
        err = nacre__pack_put(&pack->file, page->image, number * NACRE__PACK_PAGE, NACRE__PACK_PAGE, why);
    }
    return err == NACRE_OK ? nacre__pack_sync(&pack->file, why) : err;
}

nacre_err nacre__state_flush(nacre_pack *pack, nacre_detail *why)
{
    nacre_err err = nacre__pack_check_owner(pack, why);
    if (err != NACRE_OK || pack->num_dirty == 0) return err;
    err = nacre__pack_check_file(pack, why);
    if (err == NACRE_OK) err = make_sure(pack, why);
    if (err == NACRE_OK && pack->is_used && !pack->is_claimed) err = nacre__pack_claim(pack, why);
    if (err == NACRE_OK) err = write_images(pack, why);
    if (err != NACRE_OK) return err;
    for (size_t i = 0; i < pack->num_dirty; i++) {
        nacre__pack_page *page = &pack->dirty[i].segment->pages[pack->dirty[i].page];
        page->side = !page->side;
        page->generation++;
        free(page->image);
        page->image = NULL;
    }
    pack->num_dirty = 0;
    return NACRE_OK;
}

/* ---- Requests of contexts ---- */

nacre_err nacre__state_note(nacre__packed *packed, uint64_t ceiling, bool window_lost, nacre_detail *why)
{
    nacre__segment *s = packed->segment;
    nacre__cell cell;
    nacre_err err = NACRE_OK;
    uint8_t *at = nacre__state_cell(s, (uint32_t)(packed - s->contexts), &err, why);
    if (at == NULL) return err;
    if (!nacre__cell_read(&cell, at, s->shape.cell_size) || cell.use != NACRE__IN_USE)
        return nacre__fail(why, NACRE_ERR_FILE, "%s: context %zu: is not in use", s->pack->path,
                           s->first_entry + (size_t)(packed - s->contexts));
    if (ceiling > cell.next && ceiling - cell.next > MAX_STEP)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "%s: context %zu: asks for more than %d numbers at once",
                           s->pack->path, s->first_entry + (size_t)(packed - s->contexts), (int)MAX_STEP);
    if (ceiling > cell.next) cell.next = ceiling;
    if (window_lost) cell.known = false;
    nacre__cell_write(at, s->shape.cell_size, &cell);
    s->pack->is_used = true;
    return NACRE_OK;
}

nacre__packed *nacre__state_asker(nacre_needs *needs, nacre_pack *pack, nacre_context *ctx, nacre_err *err,
                                  nacre_detail *why)
{
    nacre__packed *packed = nacre__pack_find(pack, ctx);
    *err = nacre__pack_check_owner(pack, why);
    if (*err != NACRE_OK && packed != NULL) nacre__pack_stop_if_lost(packed);
    if (*err != NACRE_OK) return NULL;
    if (packed == NULL) {
        *err = nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "%s: that context is not in this pack", pack->path);
        return NULL;
    }
    *needs = nacre_context_needs(ctx);
    return needs->reserve == 0 && !needs->window_lost ? NULL : packed;
}

/* RFC 8613 B.1.1, B.1.2 */
nacre_err nacre__pack_request(nacre_pack *pack, nacre_context *ctx, nacre_detail *why)
{
    nacre_needs needs;
    nacre_err err;
    nacre__packed *packed = nacre__state_asker(&needs, pack, ctx, &err, why);
    if (packed == NULL) return err;
    if (!nacre__pack_grow(&pack->requested, pack->num_requested, &pack->cap_requested, sizeof *pack->requested))
        return nacre__pack_no_memory(pack, why);
    err = nacre__state_note(packed, needs.reserve, needs.window_lost, why);
    nacre__pack_stop_all_if_lost(pack);
    if (err != NACRE_OK) return err;
    pack->requested[pack->num_requested++] = (nacre__requested){ ctx, needs.reserve, needs.window_lost };
    return NACRE_ERR_NOT_YET;
}

nacre_err nacre__pack_commit(nacre_pack *pack, nacre_pack_on_commit on_commit, void *user, nacre_detail *why)
{
    if (pack->num_requested == 0) return NACRE_OK;
    nacre_err err = nacre__state_flush(pack, why);
    nacre__pack_stop_all_if_lost(pack);
    /* The callback may request again, for the next commit. */
    nacre__requested *requested = pack->requested;
    size_t num = pack->num_requested, cap = pack->cap_requested;
    pack->requested = NULL;
    pack->num_requested = pack->cap_requested = 0;
    for (size_t i = 0; i < num; i++) {
        if (err == NACRE_OK && requested[i].reserve != 0)
            nacre_context_confirm_reserved(requested[i].ctx, requested[i].reserve);
        if (err == NACRE_OK && requested[i].window_lost) nacre_context_confirm_window_lost(requested[i].ctx);
    }
    for (size_t i = 0; on_commit != NULL && i < num; i++) on_commit(user, requested[i].ctx, err);
    if (pack->requested == NULL) {
        pack->requested = requested; /* reused */
        pack->cap_requested = cap;
    } else free(requested);
    return err;
}

void nacre__state_forget(nacre_pack *pack, const nacre_context *ctx)
{
    size_t kept = 0;
    for (size_t i = 0; i < pack->num_requested; i++)
        if (pack->requested[i].ctx != ctx) pack->requested[kept++] = pack->requested[i];
    pack->num_requested = kept;
}

/* ---- The exact state ---- */

nacre__cell nacre__cell_of(const nacre_context *ctx)
{
    nacre__cell cell = { .use = NACRE__IN_USE, .next = nacre_context_next_seq(ctx) };
    cell.known = nacre_replay_export(nacre_context_replay(ctx), &cell.index, cell.bits);
    return cell;
}

static bool is_there(const nacre__segment *s, uint32_t index)
{
    return index < s->num_taken && nacre_context_aead(&s->contexts[index].ctx) != NULL;
}

static nacre_err save_page(nacre__segment *s, uint32_t p, nacre_detail *why)
{
    uint8_t now[NACRE__PACK_PAGE];
    const uint8_t *page = s->pages[p].image != NULL ? s->pages[p].image : now;
    uint32_t per_page = nacre__cells_per_page(&s->shape), size = s->shape.cell_size;
    nacre_err err = s->pages[p].image != NULL ? NACRE_OK : get_page(now, s, p, why);
    for (uint32_t i = 0; err == NACRE_OK && i < per_page; i++) {
        nacre__cell stored, cell;
        if (!is_there(s, p * per_page + i)) continue;
        cell = nacre__cell_of(&s->contexts[p * per_page + i].ctx);
        if (!nacre__cell_read(&stored, page + NACRE__PACK_CELLS_AT + (size_t)i * size, size)) continue;
        if (nacre__cell_equal(&stored, &cell)) continue;
        uint8_t *at = nacre__state_cell(s, p * per_page + i, &err, why);
        if (at == NULL) continue;
        nacre__cell_write(at, size, &cell);
        s->pack->is_used = true;
    }
    return err;
}

nacre_err nacre__state_give_up(nacre_pack *pack, nacre_detail *why)
{
    nacre_err err = nacre__pack_check_owner(pack, why);
    for (size_t i = 0; err == NACRE_OK && i < pack->num_segments; i++) {
        nacre__segment *s = pack->segments[i];
        for (uint32_t p = 0; err == NACRE_OK && p < nacre__cell_pages(&s->shape); p++) {
            err = nacre__state_dirty(s, p, why);
            if (err == NACRE_OK && !nacre__page_make_pessimistic(s->pages[p].image, &s->shape))
                err = nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: segment %u, page %u of states: says what cannot be",
                                  pack->path, (unsigned)s->shape.number, (unsigned)p);
        }
    }
    return err == NACRE_OK ? nacre__state_flush(pack, why) : err;
}

nacre_err nacre__state_save_all(nacre_pack *pack, nacre_detail *why)
{
    nacre_err err = nacre__pack_check_owner(pack, why);
    for (size_t i = 0; err == NACRE_OK && i < pack->num_segments; i++) {
        nacre__segment *s = pack->segments[i];
        for (uint32_t p = 0; err == NACRE_OK && p < nacre__cell_pages(&s->shape); p++)
            if (p * nacre__cells_per_page(&s->shape) < s->num_taken) err = save_page(s, p, why);
    }
    return err == NACRE_OK ? nacre__state_flush(pack, why) : err;
}

/* ---- One context ---- */

static nacre_err check(nacre__packed *packed, nacre_detail *why)
{
    if (packed != NULL && packed->segment != NULL) {
        nacre__pack_stop_if_lost(packed);
        return nacre__pack_check_owner(packed->segment->pack, why);
    }
    return nacre__fail(why, NACRE_ERR_LOCKED,
                       "the pack of this context was opened before a fork, or is another one; open it after forking");
}

static nacre_err note_and_flush(nacre__packed *packed, uint64_t ceiling, bool window_lost, nacre_detail *why)
{
    nacre_err err = check(packed, why);
    if (err != NACRE_OK) return err;
    nacre_pack *pack = packed->segment->pack;
    (void)pthread_mutex_lock(&pack->stores_lock);
    err = nacre__state_note(packed, ceiling, window_lost, why);
    if (err == NACRE_OK) err = nacre__state_flush(pack, why);
    (void)pthread_mutex_unlock(&pack->stores_lock);
    nacre__pack_stop_if_lost(packed);
    return err;
}

/* RFC 8613 B.1.1 */
static nacre_err store_reserve(void *self, uint64_t ceiling, nacre_detail *why)
{
    return note_and_flush(self, ceiling, false, why);
}

/* RFC 8613 B.1.2 */
static nacre_err store_window_lost(void *self, nacre_detail *why)
{
    return note_and_flush(self, 0, true, why);
}

/* For one context; the caller flushes. */
static nacre_err note_save(nacre__packed *packed, const nacre__cell *cell, nacre_detail *why)
{
    nacre__segment *s = packed->segment;
    nacre_err err = NACRE_OK;
    nacre__state_forget(s->pack, &packed->ctx); /* an earlier request is not confirmed after this */
    uint8_t *at = nacre__state_cell(s, (uint32_t)(packed - s->contexts), &err, why);
    if (at == NULL) return err;
    nacre__cell_write(at, s->shape.cell_size, cell);
    s->pack->is_used = true;
    return NACRE_OK;
}

static nacre_err store_save(void *self, const nacre_context *ctx, nacre_detail *why)
{
    nacre__packed *packed = self;
    nacre_err err = check(packed, why);
    if (err != NACRE_OK) return err;
    nacre_pack *pack = packed->segment->pack;
    const nacre__cell cell = nacre__cell_of(ctx);
    (void)pthread_mutex_lock(&pack->stores_lock);
    err = note_save(packed, &cell, why);
    if (err == NACRE_OK) err = nacre__state_flush(pack, why);
    (void)pthread_mutex_unlock(&pack->stores_lock);
    nacre__pack_stop_if_lost(packed);
    return err;
}

/* ---- Many contexts ---- */

static nacre_err note_request(const nacre_store_request *request, nacre_detail *why)
{
    const nacre_stored *state = request->state;
    if (state == NULL) return nacre__state_note(request->self, request->ceiling, request->window_lost, why);
    nacre__cell cell = { .use = NACRE__IN_USE, .next = state->next_seq, .known = state->window_known };
    cell.index = state->window_index;
    memcpy(cell.bits, state->window_bits, sizeof cell.bits);
    return note_save(request->self, &cell, why);
}

/* A request that cannot be recorded fails alone; the others share one sync. Contexts are changed by their own loops. */
static void store_submit(nacre_store_request *const *requests, size_t num)
{
    nacre_pack *pack = ((nacre__packed *)requests[0]->self)->segment->pack;
    nacre_detail why = { "" }, reason = { "" };
    bool *is_noted = calloc(num, sizeof *is_noted);
    (void)pthread_mutex_lock(&pack->stores_lock);
    nacre_err err = is_noted != NULL ? nacre__pack_check_owner(pack, &why) : nacre__pack_no_memory(pack, &why);
    const bool any = is_noted != NULL && err == NACRE_OK;
    for (size_t i = 0; any && i < num; i++) {
        const nacre_err noted = note_request(requests[i], &reason);
        is_noted[i] = noted == NACRE_OK;
        if (noted != NACRE_OK) nacre_store_done(requests[i], noted, reason.text);
    }
    if (any) err = nacre__state_flush(pack, &why);
    (void)pthread_mutex_unlock(&pack->stores_lock);
    for (size_t i = 0; i < num; i++)
        if (!any || is_noted[i]) nacre_store_done(requests[i], err, err != NACRE_OK ? why.text : NULL);
    free(is_noted);
}

static const void *store_batch(void *self)
{
    return ((nacre__packed *)self)->segment->pack;
}

static nacre_err load_one(const nacre__packed *packed, nacre_stored *state, nacre_detail *why)
{
    uint8_t page[NACRE__PACK_PAGE];
    nacre__cell cell;
    const nacre__segment *s = packed->segment;
    const uint32_t index = (uint32_t)(packed - s->contexts), per_page = nacre__cells_per_page(&s->shape);
    nacre_err err = get_page(page, s, index / per_page, why);
    if (err != NACRE_OK) return err;
    const uint8_t *at = page + NACRE__PACK_CELLS_AT + (size_t)(index % per_page) * s->shape.cell_size;
    if (!nacre__cell_read(&cell, at, s->shape.cell_size) || cell.use != NACRE__IN_USE)
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: context %zu: is not in use", s->pack->path,
                           s->first_entry + index);
    state->next_seq = cell.next;
    state->window_known = cell.known;
    if (!cell.known) return NACRE_OK;
    state->window_index = cell.index;
    memcpy(state->window_bits, cell.bits, sizeof state->window_bits);
    return NACRE_OK;
}

static nacre_err store_load(void *self, nacre_stored *state, nacre_detail *why)
{
    nacre__packed *packed = self;
    nacre_err err = check(packed, why);
    if (err != NACRE_OK) return err;
    nacre_pack *pack = packed->segment->pack;
    (void)pthread_mutex_lock(&pack->stores_lock);
    err = load_one(packed, state, why);
    (void)pthread_mutex_unlock(&pack->stores_lock);
    return err;
}

nacre_store nacre_pack_store(nacre_pack *pack, nacre_context *ctx)
{
    static const nacre_store_ops ops = { .size = sizeof ops,
                                         .version = NACRE_STORE_OPS_VERSION,
                                         .reserve = store_reserve,
                                         .window_lost = store_window_lost,
                                         .save = store_save,
                                         .load = store_load,
                                         .submit = store_submit,
                                         .batch = store_batch };
    return (nacre_store){ &ops, nacre__pack_find(pack, ctx) };
}
