/* SPDX-License-Identifier: MIT */
/* sqlite_row: reads and writes rows of the tables contexts and state, with their sums. */
#include "store/sqlite/sqlite_rows.h"

#include <stdio.h>
#include <string.h>

#include "base/hosted/detail.h"
#include "base/siphash.h"

/* ---- Sums ---- */

static void sum_word(nacre__siphash *s, uint64_t word)
{
    nacre__siphash_word(s, word);
}

/* The length, then the bytes in words padded with zeros: different columns give different words. */
static void sum_bytes(nacre__siphash *s, const uint8_t *bytes, size_t len)
{
    sum_word(s, len);
    for (size_t at = 0; at < len; at += 8) {
        uint8_t word[8] = { 0 };
        memcpy(word, bytes + at, len - at < 8 ? len - at : 8);
        sum_word(s, nacre__load_le64(word));
    }
}

int64_t nacre__sqlite_row_sum(const nacre_sqlite *db, const nacre__sqlite_row *row)
{
    nacre__siphash s = nacre__siphash_start(db->hash_key);
    sum_word(&s, (uint64_t)row->id); /* by which its state is found */
    sum_word(&s, (uint64_t)row->status);
    sum_bytes(&s, row->fingerprint, sizeof row->fingerprint);
    sum_bytes(&s, row->peer_fingerprint, sizeof row->peer_fingerprint);
    sum_word(&s, (uint64_t)row->aead->cose);
    sum_word(&s, (uint64_t)row->hash);
    sum_word(&s, row->window);
    sum_bytes(&s, row->sender_id, row->sender_id_len);
    sum_bytes(&s, row->recipient_id, row->recipient_id_len);
    sum_word(&s, row->has_id_context);
    sum_bytes(&s, row->id_context, row->id_context_len);
    sum_bytes(&s, row->blob, row->blob_len);
    sum_word(&s, row->ceiling);
    return (int64_t)nacre__siphash_end(&s, 1);
}

int64_t nacre__sqlite_state_sum(const nacre_sqlite *db, int64_t id, const nacre__sqlite_state *state)
{
    nacre__siphash s = nacre__siphash_start(db->hash_key);
    sum_word(&s, (uint64_t)id);
    sum_word(&s, state->next);
    sum_word(&s, state->window_known);
    sum_word(&s, state->window_known ? state->window_index : 0);
    sum_bytes(&s, state->bits, state->window_known ? state->bits_len : 0);
    return (int64_t)nacre__siphash_end(&s, 2);
}

/* ---- Columns ---- */

/* False: longer than `cap`. */
static bool get_blob(uint8_t *to, size_t cap, size_t *len, sqlite3_stmt *stmt, int column)
{
    const int bytes = sqlite3_column_bytes(stmt, column);
    if (bytes < 0 || (size_t)bytes > cap) return false;
    *len = (size_t)bytes;
    if (bytes > 0) memcpy(to, sqlite3_column_blob(stmt, column), (size_t)bytes);
    return true;
}

static bool get_fixed(uint8_t *to, size_t len, sqlite3_stmt *stmt, int column)
{
    size_t found = 0;
    return get_blob(to, len, &found, stmt, column) && found == len;
}

static bool get_state(nacre__sqlite_state *state, sqlite3_stmt *stmt, int first)
{
    const sqlite3_int64 next = sqlite3_column_int64(stmt, first), index = sqlite3_column_int64(stmt, first + 1);
    *state = (nacre__sqlite_state){ .next = (uint64_t)next };
    state->window_known = sqlite3_column_type(stmt, first + 1) != SQLITE_NULL;
    if (next < 0 || (uint64_t)next > NACRE_SEQ_MAX + 1) return false;
    if (!state->window_known) return true;
    state->window_index = (uint64_t)index;
    return index >= 0 && (uint64_t)index <= NACRE_SEQ_MAX + 1 &&
           get_blob(state->bits, sizeof state->bits, &state->bits_len, stmt, first + 2);
}

static nacre_err damaged(const nacre_sqlite *db, int64_t id, const char *what, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                       "%s: context %lld: its %s is damaged, and is not used; revoke it and make new keys, or restore "
                       "a backup and run nacre fleet adopt",
                       db->paths.path, (long long)id, what);
}

/* Reads what can be read, also of a damaged row. */
static bool get_row(nacre__sqlite_row *row, sqlite3_stmt *stmt)
{
    const sqlite3_int64 status = sqlite3_column_int64(stmt, 1), hash = sqlite3_column_int64(stmt, 6),
                        window = sqlite3_column_int64(stmt, 7), ceiling = sqlite3_column_int64(stmt, 12);
    const unsigned char *name = sqlite3_column_text(stmt, 4);
    memset(row, 0, sizeof *row);
    row->id = sqlite3_column_int64(stmt, 0);
    row->status = (nacre_sqlite_status)status;
    row->aead = nacre_aead_by_number(sqlite3_column_int(stmt, 5));
    row->hash = (nacre_hash)hash;
    row->window = (uint16_t)window;
    row->ceiling = (uint64_t)ceiling;
    row->has_id_context = sqlite3_column_type(stmt, 10) != SQLITE_NULL;
    if (name != NULL) (void)snprintf(row->name, sizeof row->name, "%s", (const char *)name);
    bool ok = status >= 0 && status <= NACRE_SQLITE_EXPORTED && row->aead != NULL && hash >= 0 &&
              hash <= NACRE_SHA512 && window > 0 && window <= NACRE_REPLAY_MAX && ceiling >= 0;
    ok &= get_fixed(row->fingerprint, sizeof row->fingerprint, stmt, 2);
    ok &= get_fixed(row->peer_fingerprint, sizeof row->peer_fingerprint, stmt, 3);
    ok &= get_blob(row->sender_id, sizeof row->sender_id, &row->sender_id_len, stmt, 8);
    ok &= get_blob(row->recipient_id, sizeof row->recipient_id, &row->recipient_id_len, stmt, 9);
    ok &= get_blob(row->id_context, sizeof row->id_context, &row->id_context_len, stmt, 10);
    ok &= get_blob(row->blob, sizeof row->blob, &row->blob_len, stmt, 11);
    return ok;
}

nacre_err nacre__sqlite_row_read(nacre__sqlite_row *row, nacre_sqlite *db, sqlite3_stmt *stmt, nacre_detail *why)
{
    const int64_t id = sqlite3_column_int64(stmt, 0);
    if (!get_row(row, stmt) || nacre__sqlite_row_sum(db, row) != sqlite3_column_int64(stmt, 13))
        return damaged(db, id, "row", why);
    row->is_whole = true;
    if (row->status != NACRE_SQLITE_ACTIVE) return NACRE_OK;
    if (sqlite3_column_type(stmt, 14) == SQLITE_NULL || !get_state(&row->state, stmt, 14) ||
        nacre__sqlite_state_sum(db, id, &row->state) != sqlite3_column_int64(stmt, 17))
        return damaged(db, id, "state", why);
    return NACRE_OK;
}

void nacre__sqlite_row_repair(nacre__sqlite_row *row)
{
    if (row->aead == NULL) row->aead = nacre_aead_by_number(NACRE_AES_CCM_16_64_128);
    if (row->hash > NACRE_SHA512) row->hash = NACRE_SHA256;
    if (row->window == 0 || row->window > NACRE_REPLAY_MAX) row->window = NACRE_REPLAY_DEFAULT;
}

/* ---- Rows ---- */

static nacre_err read_one(nacre__sqlite_row *row, bool *found, nacre_sqlite *db, nacre__sqlite_statement which,
                          nacre_detail *why)
{
    nacre_err err = nacre__sqlite_step(db, which, found, why);
    if (err != NACRE_OK || !*found) return err;
    err = nacre__sqlite_row_read(row, db, db->statements[which], why);
    nacre__sqlite_reset(db, which);
    return err;
}

nacre_err nacre__sqlite_row_find(nacre__sqlite_row *row, bool *found, nacre_sqlite *db, int64_t id, nacre_detail *why)
{
    (void)sqlite3_bind_int64(nacre__sqlite_use(db, NACRE__SQLITE_BY_ID), 1, id);
    return read_one(row, found, db, NACRE__SQLITE_BY_ID, why);
}

nacre_err nacre__sqlite_row_by_fingerprint(nacre__sqlite_row *row, bool *found, nacre_sqlite *db,
                                           const uint8_t *fingerprint, nacre_detail *why)
{
    (void)sqlite3_bind_blob(nacre__sqlite_use(db, NACRE__SQLITE_BY_FINGERPRINT), 1, fingerprint,
                            NACRE__SQLITE_FINGERPRINT, SQLITE_STATIC);
    return read_one(row, found, db, NACRE__SQLITE_BY_FINGERPRINT, why);
}

void nacre__sqlite_row_describe(nacre_sqlite_context *context, const nacre__sqlite_row *row)
{
    memset(context, 0, sizeof *context);
    context->id = row->id;
    context->status = row->status;
    memcpy(context->name, row->name, sizeof context->name);
    nacre_directory_info *i = &context->info;
    i->aead = row->aead;
    i->hash = row->hash;
    i->window = row->window;
    i->has_state = true;
    i->has_id_context = row->has_id_context;
    memcpy(i->id_context, row->id_context, i->id_context_len = row->id_context_len);
    memcpy(i->sender_id, row->sender_id, i->sender_id_len = row->sender_id_len);
    memcpy(i->recipient_id, row->recipient_id, i->recipient_id_len = row->recipient_id_len);
    i->next_to_send = row->status == NACRE_SQLITE_ACTIVE ? row->state.next : row->ceiling;
    i->window_known = row->status == NACRE_SQLITE_ACTIVE && row->state.window_known;
    if (!i->window_known) return;
    i->window_index = row->state.window_index;
    memcpy(i->window_bits, row->state.bits, row->state.bits_len);
}

nacre_err nacre__sqlite_row_reveal(nacre_sqlite_context *context, const nacre_sqlite *db, const nacre__sqlite_row *row,
                                   nacre_detail *why)
{
    nacre__sqlite_keys keys;
    if (row->status != NACRE_SQLITE_ACTIVE) return NACRE_OK;
    const nacre_err err = nacre__sqlite_keys_decode(db, &keys, nacre_bytes_of(row->blob, row->blob_len), row->aead,
                                                    row->fingerprint, row->id, why);
    if (err != NACRE_OK) return err;
    memcpy(context->info.secret, keys.secret, context->info.secret_len = keys.secret_len);
    memcpy(context->info.salt, keys.salt, context->info.salt_len = keys.salt_len);
    memcpy(context->sender_key, keys.sender_key, sizeof context->sender_key);
    memcpy(context->recipient_key, keys.recipient_key, sizeof context->recipient_key);
    memcpy(context->common_iv, keys.common_iv, sizeof context->common_iv);
    nacre_wipe(&keys, sizeof keys);
    return NACRE_OK;
}

/* ---- State ---- */

nacre_err nacre__sqlite_state_read(nacre__sqlite_state *state, bool *found, nacre_sqlite *db, int64_t id,
                                   nacre_detail *why)
{
    sqlite3_stmt *stmt = nacre__sqlite_use(db, NACRE__SQLITE_STATE);
    (void)sqlite3_bind_int64(stmt, 1, id);
    const nacre_err err = nacre__sqlite_step(db, NACRE__SQLITE_STATE, found, why);
    if (err != NACRE_OK || !*found) return err;
    const bool ok =
        get_state(state, stmt, 0) && nacre__sqlite_state_sum(db, id, state) == sqlite3_column_int64(stmt, 3);
    nacre__sqlite_reset(db, NACRE__SQLITE_STATE);
    return ok ? NACRE_OK : damaged(db, id, "state", why);
}

nacre_err nacre__sqlite_state_write(nacre_sqlite *db, nacre__sqlite_statement which, int64_t id,
                                    const nacre__sqlite_state *state, uint64_t expected, int *num_changed,
                                    nacre_detail *why)
{
    sqlite3_stmt *stmt = nacre__sqlite_use(db, which);
    (void)sqlite3_bind_int64(stmt, 1, id);
    (void)sqlite3_bind_int64(stmt, 2, (sqlite3_int64)state->next);
    if (state->window_known) {
        (void)sqlite3_bind_int64(stmt, 3, (sqlite3_int64)state->window_index);
        (void)sqlite3_bind_blob(stmt, 4, state->bits, (int)state->bits_len, SQLITE_STATIC);
    }
    (void)sqlite3_bind_int64(stmt, 5, nacre__sqlite_state_sum(db, id, state));
    if (which == NACRE__SQLITE_STATE_SET) (void)sqlite3_bind_int64(stmt, 6, (sqlite3_int64)expected);
    return nacre__sqlite_run(db, which, num_changed, why);
}
