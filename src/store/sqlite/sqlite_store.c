/* SPDX-License-Identifier: MIT */
/* sqlite_store: makes the state of loaded contexts durable before use (RFC 8613 B.1.1, B.1.2). All requests of a call are one
 * transaction.
 *
 * Each request reads its row, compares it with what was written last, and replaces it if it is unchanged. If the row is gone (its
 * context ended), or another program has changed it, the context is stopped. */
#include "store/sqlite/sqlite_loaded.h"
#include "store/sqlite/sqlite_rows.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "store/batch.h"

static nacre_err stopped(const nacre__sqlite_loaded *l, const char *what, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_LOCKED, "%s: context %lld %s, and is stopped", l->db->paths.path,
                       (long long)l->id, what);
}

/* After a failed commit the row may be the one before it or the one that it wrote. */
static nacre_err read_state(nacre__sqlite_state *state, nacre__sqlite_loaded *l, nacre_detail *why)
{
    bool found = false;
    const nacre_err err = nacre__sqlite_state_read(state, &found, l->db, l->id, why);
    if (err != NACRE_OK) return err;
    if (!found) return stopped(l, "was removed from the database", why);
    if (state->next == l->next || (l->is_uncertain && state->next >= l->floor)) return NACRE_OK;
    return stopped(l, "was changed in the database by another program", why);
}

static nacre_err replace(const nacre__sqlite_loaded *l, nacre__sqlite_statement which, const nacre__sqlite_state *state,
                         uint64_t expected, nacre_detail *why)
{
    int num_changed;
    const nacre_err err = nacre__sqlite_state_write(l->db, which, l->id, state, expected, &num_changed, why);
    if (err != NACRE_OK || num_changed == 1) return err;
    return stopped(l, "was changed in the database by another program", why);
}

static nacre_err write_needs(nacre__sqlite_loaded *l, uint64_t ceiling, bool window_lost, uint64_t *next,
                             nacre_detail *why)
{
    nacre__sqlite_state state;
    nacre_err err = read_state(&state, l, why);
    if (err != NACRE_OK) return err;
    const uint64_t before = state.next;
    const bool raises = ceiling > before, forgets = window_lost && state.window_known;
    *next = raises ? ceiling : before;
    if (!raises && !forgets) return NACRE_OK;
    state.next = *next;
    if (forgets) state.window_known = false;
    return replace(l, raises ? NACRE__SQLITE_STATE_RAISE : NACRE__SQLITE_STATE_SET, &state, before, why);
}

static nacre_err write_save(nacre__sqlite_loaded *l, const nacre_stored *saved, uint64_t *next, nacre_detail *why)
{
    nacre__sqlite_state state, old;
    nacre_err err = read_state(&old, l, why);
    if (err != NACRE_OK) return err;
    if (saved->next_seq < l->floor) return stopped(l, "would use numbers again", why);
    state = (nacre__sqlite_state){ .next = saved->next_seq, .window_known = saved->window_known };
    if (state.window_known) {
        state.window_index = saved->window_index;
        state.bits_len = (l->window + 7u) / 8;
        memcpy(state.bits, saved->window_bits, state.bits_len);
    }
    *next = state.next;
    const bool is_same = old.next == state.next && old.window_known == state.window_known &&
                         (!state.window_known || (old.window_index == state.window_index &&
                                                  memcmp(old.bits, state.bits, state.bits_len) == 0));
    return is_same ? NACRE_OK : replace(l, NACRE__SQLITE_STATE_SET, &state, old.next, why);
}

static nacre_err write_one(const nacre_store_request *request, uint64_t *next, nacre_detail *why)
{
    nacre__sqlite_loaded *l = request->self;
    return request->state != NULL ? write_save(l, request->state, next, why)
                                  : write_needs(l, request->ceiling, request->window_lost, next, why);
}

/* ---- A batch ---- */

typedef struct outcome {
    nacre_err err;
    uint64_t next;
} outcome;

/* One request's error ends its context only, unless SQLite itself failed: then nothing is written. */
static nacre_err write_all(nacre_store_request *const *requests, outcome *outcomes, size_t num, nacre_detail *why)
{
    for (size_t i = 0; i < num; i++) {
        nacre_detail reason = { "" };
        outcomes[i].err = write_one(requests[i], &outcomes[i].next, &reason);
        if (outcomes[i].err != NACRE_OK && outcomes[i].err != NACRE_ERR_LOCKED &&
            outcomes[i].err != NACRE_ERR_BAD_CONTEXT)
            return nacre__fail(why, outcomes[i].err, "%s", reason.text);
    }
    return NACRE_OK;
}

static void settle(nacre_store_request *const *requests, const outcome *outcomes, size_t num, nacre_err err)
{
    for (size_t i = 0; i < num; i++) {
        nacre__sqlite_loaded *l = requests[i]->self;
        if (err != NACRE_OK) {
            l->is_uncertain = true;
            continue;
        }
        if (outcomes[i].err != NACRE_OK) continue;
        l->is_uncertain = false;
        l->next = outcomes[i].next;
        if (requests[i]->state != NULL) l->floor = l->next;
    }
}

static nacre_err write_batch(nacre_sqlite *db, nacre_store_request *const *requests, outcome *outcomes, size_t num,
                             nacre_detail *why)
{
    nacre_err err = nacre__sqlite_begin(db, why);
    if (err != NACRE_OK) return err; /* nothing was written */
    err = write_all(requests, outcomes, num, why);
    err = nacre__sqlite_end(db, err, why);
    settle(requests, outcomes, num, err);
    return err;
}

static void report_all(nacre_store_request *const *requests, const outcome *outcomes, size_t num, nacre_err err,
                       const nacre_detail *why)
{
    for (size_t i = 0; i < num; i++) {
        if (err != NACRE_OK) nacre_store_done(requests[i], err, why->text);
        else if (outcomes[i].err == NACRE_ERR_LOCKED)
            nacre_store_done(requests[i], NACRE_ERR_LOCKED,
                             "the context was removed from the database or changed by another program, and is stopped");
        else if (outcomes[i].err != NACRE_OK)
            nacre_store_done(requests[i], outcomes[i].err, "the context's state in the database is damaged");
        else nacre_store_done(requests[i], NACRE_OK, NULL);
    }
}

static void submit(nacre_store_request *const *requests, size_t num)
{
    nacre_detail why = { "the database belongs to the process before a fork; open it after forking" };
    const nacre__sqlite_loaded *first = requests[0]->self;
    nacre_sqlite *db = first->db; /* NULL: wiped by a fork */
    outcome *outcomes = calloc(num, sizeof *outcomes);
    nacre_err err = outcomes != NULL ? NACRE_ERR_LOCKED : NACRE_ERR_NO_MEMORY;
    if (outcomes == NULL) (void)nacre__fail(&why, NACRE_ERR_NO_MEMORY, "out of memory for store requests");
    else if (db != NULL) {
        err = nacre__sqlite_enter(db, true, &why);
        if (err == NACRE_OK) {
            err = write_batch(db, requests, outcomes, num, &why);
            nacre__sqlite_leave(db);
        }
    }
    report_all(requests, outcomes, num, err, &why);
    free(outcomes);
}

static const void *batch_of(void *self)
{
    const nacre__sqlite_loaded *l = self;
    return l->db;
}

static nacre_err load(void *self, nacre_stored *out, nacre_detail *why)
{
    nacre__sqlite_loaded *l = self;
    nacre__sqlite_state state = { .next = 0 };
    if (l->db == NULL) return nacre__fail(why, NACRE_ERR_LOCKED, "the database was opened before a fork");
    nacre_sqlite *db = l->db;
    nacre_err err = nacre__sqlite_enter(db, true, why);
    if (err != NACRE_OK) return err;
    err = l->is_uncertain
              ? nacre__fail(why, NACRE_ERR_FILE, "%s: a write failed, so its content is uncertain", db->paths.path)
              : read_state(&state, l, why);
    nacre__sqlite_leave(db);
    if (err != NACRE_OK) return err;
    out->next_seq = state.next;
    out->window_known = state.window_known;
    out->window_index = state.window_index;
    memcpy(out->window_bits, state.bits, sizeof out->window_bits);
    return NACRE_OK;
}

nacre_store nacre_sqlite_store(nacre_context *ctx)
{
    static const nacre_store_ops ops = {
        .size = sizeof ops, .version = NACRE_STORE_OPS_VERSION, .load = load, .submit = submit, .batch = batch_of
    };
    return (nacre_store){ &ops, ctx };
}

/* ---- At the end ---- */

static void ignore(nacre_store_request *request, nacre_err err, const char *text)
{
    (void)request, (void)err, (void)text;
}

enum { CHUNK = 1024 };

typedef struct chunk {
    nacre_store_request all[CHUNK], *list[CHUNK];
    nacre_stored states[CHUNK];
    outcome outcomes[CHUNK];
} chunk;

static void add_to_chunk(chunk *c, size_t *num, nacre__sqlite_loaded *l)
{
    if (nacre_context_is_stopped(&l->ctx)) return;
    nacre_context_before_save(&l->ctx);
    c->states[*num] = nacre__stored_of(&l->ctx);
    c->all[*num] = (nacre_store_request){ .self = l, .state = &c->states[*num], .on_done = ignore };
    c->list[*num] = &c->all[*num];
    ++*num;
}

/* The present states of the next contexts; returns their number. */
static size_t fill_chunk(chunk *c, const nacre_sqlite *db, size_t *cursor)
{
    size_t num = 0;
    for (nacre__sqlite_loaded *l; num < CHUNK && (l = nacre__sqlite_loaded_next(db, cursor)) != NULL;)
        add_to_chunk(c, &num, l);
    return num;
}

static nacre_err save_chunk(nacre_sqlite *db, chunk *c, size_t num, nacre_detail *why)
{
    nacre_err err = write_batch(db, c->list, c->outcomes, num, why);
    for (size_t i = 0; err == NACRE_OK && i < num; i++)
        if (c->outcomes[i].err != NACRE_OK)
            err = nacre__fail(why, c->outcomes[i].err, "%s: the state of context %lld was not written", db->paths.path,
                              (long long)((nacre__sqlite_loaded *)c->all[i].self)->id);
    return err;
}

/* The caller holds the lock. */
nacre_err nacre__sqlite_save_these(nacre_sqlite *db, nacre_context *const *contexts, size_t num, nacre_detail *why)
{
    chunk *c = malloc(sizeof *c);
    if (c == NULL)
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory to save its contexts", db->paths.path);
    nacre_err err = NACRE_OK;
    for (size_t at = 0; at < num;) {
        size_t in_chunk = 0;
        for (; at < num && in_chunk < CHUNK; at++) add_to_chunk(c, &in_chunk, (nacre__sqlite_loaded *)contexts[at]);
        const nacre_err saved = in_chunk > 0 ? save_chunk(db, c, in_chunk, err == NACRE_OK ? why : NULL) : NACRE_OK;
        if (err == NACRE_OK) err = saved;
    }
    free(c);
    return err;
}

nacre_err nacre__sqlite_save_all(nacre_sqlite *db, nacre_detail *why)
{
    size_t cursor = 0, num;
    if (db->num_loaded == 0) return NACRE_OK;
    chunk *c = malloc(sizeof *c);
    if (c == NULL)
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory to save its contexts", db->paths.path);
    nacre_err err = NACRE_OK;
    while ((num = fill_chunk(c, db, &cursor)) > 0) {
        const nacre_err saved = save_chunk(db, c, num, err == NACRE_OK ? why : NULL);
        if (err == NACRE_OK) err = saved;
    }
    free(c);
    return err;
}
