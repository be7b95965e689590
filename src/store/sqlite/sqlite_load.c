/* SPDX-License-Identifier: MIT */
/* sqlite_load: makes contexts from rows, and saves and wipes them at the end. */
#include "store/sqlite/sqlite_label.h"
#include "store/sqlite/sqlite_loaded.h"
#include "store/sqlite/sqlite_rows.h"
#include "store/sqlite/sqlite_serve.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "store/batch.h"
#include "store/random.h"

static nacre_err init(nacre__sqlite_loaded *loaded, const nacre__sqlite_memory *memory, const nacre__sqlite_row *row,
                      const nacre__sqlite_keys *keys)
{
    const nacre_sqlite *db = loaded->db;
    uint8_t echo[NACRE_ECHO_LEN];
    if (!nacre__store_random(echo, sizeof echo)) return NACRE_ERR_CRYPTO;
    if (row->id_context_len > 0) memcpy(memory->id_context, row->id_context, row->id_context_len);
    const nacre_context_params params = {
        .cose_aead = row->aead->cose,
        .hash = row->hash,
        .id_context = row->has_id_context ? nacre_bytes_of(memory->id_context, row->id_context_len) : NACRE_ABSENT,
        .sender_id = nacre_bytes_of(row->sender_id, row->sender_id_len),
        .recipient_id = nacre_bytes_of(row->recipient_id, row->recipient_id_len),
        .window = row->window,
        .window_words = memory->window_words,
        .next_seq = row->state.next,
        .persistent = true,
        .first_chunk = db->first_chunk,
        .max_chunk = db->max_chunk,
        .echo = NACRE_ARRAY(echo), /* both roles may receive requests */
    };
    const nacre_derived_keys derived = { nacre_bytes_of(keys->sender_key, row->aead->key_len),
                                         nacre_bytes_of(keys->recipient_key, row->aead->key_len),
                                         nacre_bytes_of(keys->common_iv, row->aead->nonce_len) };
    nacre_err err = nacre_context_init_derived(&loaded->ctx, db->crypto, &params, &derived,
                                               (nacre_buf){ memory->keys, memory->keys_size });
    if (err != NACRE_OK) return err;
    return nacre_context_set_replay(&loaded->ctx, row->state.window_known, row->state.window_index, row->state.bits,
                                    (row->window + 7u) / 8);
}

static nacre_err make(nacre__sqlite_loaded **out, nacre_sqlite *db, const nacre__sqlite_row *row, nacre_detail *why)
{
    nacre__sqlite_keys keys;
    nacre__sqlite_memory memory = { .words = nacre_replay_words(row->window),
                                    .id_context_len = row->id_context_len,
                                    .name_size = row->name[0] != '\0' ? strlen(row->name) + 1 : 0 };
    nacre_err err = nacre_context_key_layout(db->crypto, row->aead->cose, &memory.keys_size, &memory.keys_align);
    if (err != NACRE_OK)
        return nacre__fail(why, err, "%s: context %lld: the cryptography library (%s) does not have %s", db->paths.path,
                           (long long)row->id, db->crypto->ops->name, row->aead->name);
    err = nacre__sqlite_keys_decode(db, &keys, nacre_bytes_of(row->blob, row->blob_len), row->aead, row->fingerprint,
                                    row->id, why);
    if (err != NACRE_OK) return err;
    nacre__sqlite_loaded *loaded = nacre__sqlite_loaded_new(db, &memory);
    err = loaded == NULL ? NACRE_ERR_NO_MEMORY : init(loaded, &memory, row, &keys);
    nacre_wipe(&keys, sizeof keys);
    if (err != NACRE_OK)
        (void)nacre__fail(why, err, "%s: context %lld: cannot prepare it: %s", db->paths.path, (long long)row->id,
                          nacre_err_text(err));
    else {
        loaded->id = row->id;
        loaded->floor = loaded->next = row->state.next;
        loaded->window = row->window;
        if (memory.name_size > 0) loaded->claims[0] = memcpy(memory.name, row->name, memory.name_size);
        err = nacre__sqlite_loaded_put(db, loaded, why);
    }
    if (err == NACRE_OK) *out = loaded;
    else if (loaded != NULL) nacre__sqlite_loaded_free(loaded);
    return err;
}

/* `*out` NULL: there is none. `*is_new`: loaded by this call. */
static nacre_err load_one(nacre__sqlite_loaded **out, bool *is_new, nacre_sqlite *db, int64_t id, nacre_detail *why)
{
    nacre__sqlite_row row;
    bool found = false;
    *is_new = false;
    *out = nacre__sqlite_loaded_find(db, id);
    if (*out != NULL) return NACRE_OK;
    nacre_err err = nacre__sqlite_row_find(&row, &found, db, id, why);
    if (err == NACRE_OK && found && row.status == NACRE_SQLITE_ACTIVE) {
        err = make(out, db, &row, why);
        *is_new = err == NACRE_OK && *out != NULL;
    }
    nacre_wipe(&row, sizeof row);
    return err;
}

/* An error of one context only. */
static bool is_verdict(nacre_err err)
{
    return err == NACRE_ERR_BAD_CONTEXT || err == NACRE_ERR_UNSUPPORTED;
}

static void unload_new(nacre_context **contexts, size_t num)
{
    for (size_t i = 0; i < num; i++) {
        nacre__sqlite_loaded *one = (nacre__sqlite_loaded *)contexts[i];
        if (one != NULL && one->is_new) nacre__sqlite_loaded_free(one);
    }
}

static void settle_new(nacre_context *const *contexts, size_t num)
{
    for (size_t i = 0; i < num; i++)
        if (contexts[i] != NULL) ((nacre__sqlite_loaded *)contexts[i])->is_new = false;
}

/* `*verdict`: the first of those that concern one context, with its text in `why`. */
static nacre_err load_many(nacre_sqlite *db, nacre_context **contexts, const int64_t *ids, size_t num,
                           nacre_err *verdict, nacre_detail *why)
{
    for (size_t i = 0; i < num; i++) {
        nacre__sqlite_loaded *loaded = NULL;
        nacre_detail reason = { "" };
        bool is_new;
        const nacre_err err = load_one(&loaded, &is_new, db, ids[i], &reason);
        if (err == NACRE_OK && loaded != NULL) contexts[i] = &loaded->ctx;
        if (err == NACRE_OK && is_new) loaded->is_new = true;
        if (err != NACRE_OK && *verdict == NACRE_OK) (void)nacre__fail(why, err, "%s", reason.text);
        if (err != NACRE_OK && !is_verdict(err)) return nacre__fail(why, err, "%s", reason.text);
        if (*verdict == NACRE_OK) *verdict = err;
    }
    return NACRE_OK;
}

nacre_err nacre_sqlite_load(nacre_sqlite *db, nacre_context **contexts, const int64_t *ids, size_t num,
                            nacre_detail *why)
{
    nacre_err verdict = NACRE_OK;
    for (size_t i = 0; i < num; i++) contexts[i] = NULL;
    nacre_err err = nacre__sqlite_enter(db, true, why);
    if (err != NACRE_OK) return err;
    err = load_many(db, contexts, ids, num, &verdict, why);
    if (err == NACRE_OK) settle_new(contexts, num);
    else unload_new(contexts, num);
    for (size_t i = 0; err != NACRE_OK && i < num; i++) contexts[i] = NULL;
    nacre__sqlite_leave(db);
    return err == NACRE_OK ? verdict : err;
}

/* ---- All ---- */

enum { BATCH = 256 };

static nacre_err next_ids(int64_t ids[BATCH], size_t *num, nacre_sqlite *db, int64_t after, nacre_detail *why)
{
    nacre_err err = nacre__sqlite_enter(db, true, why);
    *num = 0;
    if (err != NACRE_OK) return err;
    sqlite3_stmt *stmt = nacre__sqlite_use(db, NACRE__SQLITE_ACTIVE_IDS);
    (void)sqlite3_bind_int64(stmt, 1, after);
    (void)sqlite3_bind_int(stmt, 2, BATCH);
    for (bool found = true; err == NACRE_OK && found;) {
        err = nacre__sqlite_step(db, NACRE__SQLITE_ACTIVE_IDS, &found, why);
        if (found) ids[(*num)++] = sqlite3_column_int64(stmt, 0);
    }
    nacre__sqlite_leave(db);
    return err;
}

/* A context that cannot be loaded is loaded again by itself, for its own text. */
static nacre_err give(nacre_sqlite *db, nacre_context *ctx, int64_t id, nacre_sqlite_on_context on_context, void *user,
                      nacre_detail *why)
{
    nacre_detail reason = { "" };
    const nacre_err err = ctx == NULL ? nacre_sqlite_load(db, &ctx, &id, 1, &reason) : NACRE_OK;
    if (err == NACRE_OK && ctx != NULL) return on_context(user, ctx, why);
    if (err == NACRE_OK) return NACRE_OK; /* ended meanwhile */
    (void)nacre__fail(why, err, "%s", reason.text);
    return is_verdict(err) ? on_context(user, NULL, why) : err;
}

nacre_err nacre_sqlite_load_all(nacre_sqlite *db, nacre_sqlite_on_context on_context, void *user, nacre_detail *why)
{
    nacre_context *contexts[BATCH];
    int64_t ids[BATCH], after = 0;
    size_t num = BATCH;
    nacre_err err = NACRE_OK;
    while (err == NACRE_OK && num == BATCH) {
        err = next_ids(ids, &num, db, after, why);
        if (err != NACRE_OK || num == 0) break;
        after = ids[num - 1];
        err = nacre_sqlite_load(db, contexts, ids, num, why);
        if (is_verdict(err)) err = NACRE_OK;
        for (size_t i = 0; err == NACRE_OK && i < num; i++) err = give(db, contexts[i], ids[i], on_context, user, why);
    }
    return err;
}

nacre_err nacre_sqlite_unload(nacre_sqlite *db, nacre_context *ctx, nacre_detail *why)
{
    nacre__sqlite_loaded *loaded = (nacre__sqlite_loaded *)ctx;
    if (loaded->db == NULL) return NACRE_OK; /* wiped by a fork */
    const nacre_store store = nacre_sqlite_store(ctx);
    const nacre_err err = nacre_context_is_stopped(ctx) ? NACRE_OK : nacre_store_save(&store, ctx, why);
    (void)pthread_mutex_lock(&db->lock);
    nacre__sqlite_loaded_free(loaded);
    (void)pthread_mutex_unlock(&db->lock);
    return err;
}

nacre_err nacre__sqlite_unload_these(nacre_sqlite *db, nacre_context *const *contexts, size_t num, nacre_detail *why)
{
    nacre_err err = nacre__sqlite_enter(db, true, why);
    if (err == NACRE_OK) err = nacre__sqlite_save_these(db, contexts, num, why);
    else if (db->owner != getpid()) return err;
    else (void)pthread_mutex_lock(&db->lock);
    for (size_t i = 0; i < num; i++) nacre__sqlite_loaded_free((nacre__sqlite_loaded *)contexts[i]);
    nacre__sqlite_leave(db);
    return err;
}

const char *const *nacre__sqlite_claims(const nacre_context *ctx)
{
    const nacre__sqlite_loaded *loaded = (const nacre__sqlite_loaded *)ctx;
    return loaded->claims[0] != NULL ? loaded->claims : NULL;
}

bool nacre__sqlite_has(const nacre_store *store)
{
    return store->ops == nacre_sqlite_store(NULL).ops;
}

int64_t nacre_sqlite_id(const nacre_context *ctx)
{
    return ((const nacre__sqlite_loaded *)ctx)->id;
}

void nacre__sqlite_label(char *label, size_t size, const nacre_context *ctx)
{
    const nacre__sqlite_loaded *loaded = (const nacre__sqlite_loaded *)ctx;
    (void)snprintf(label, size, "%.150s, context %lld", loaded->db->paths.path, (long long)loaded->id);
}
