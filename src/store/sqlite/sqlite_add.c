/* SPDX-License-Identifier: MIT */
/* sqlite_add: adds contexts. No two rows have the same keys: an ended context that is added again uses its row, above its
 * numbers. */
#include "store/sqlite/sqlite_rows.h"

#include <string.h>

#include "base/hosted/detail.h"
#include "store/json/json.h"

/* ---- Parameters ---- */

static const char *problem_of_window(const nacre_directory_info *i)
{
    uint64_t words[NACRE_REPLAY_MAX / 64];
    nacre_replay window;
    if (i->window > NACRE_REPLAY_MAX) return "a window has at most 1024 numbers";
    const uint16_t size = i->window != 0 ? i->window : NACRE_REPLAY_DEFAULT;
    if (!i->window_known) return NULL;
    if (nacre_replay_init(&window, size, words) == NACRE_OK &&
        nacre_replay_import(&window, i->window_index, i->window_bits, (size + 7u) / 8) == NACRE_OK)
        return NULL;
    return "its replay window is impossible";
}

static const char *problem_of(const nacre_sqlite_context *c)
{
    const nacre_directory_info *i = &c->info;
    const size_t name_len = strnlen(c->name, sizeof c->name);
    if (i->aead == NULL || nacre_hash_len(i->hash) == 0) return "an algorithm or hash is missing";
    if (i->secret_len > sizeof i->secret || i->salt_len > sizeof i->salt) return "a secret or salt is too long";
    const size_t max_id = i->aead->nonce_len - 6u;
    if (i->sender_id_len > max_id || i->recipient_id_len > max_id) return "an ID is too long for its algorithm";
    if (i->sender_id_len == i->recipient_id_len && memcmp(i->sender_id, i->recipient_id, i->sender_id_len) == 0)
        return "its IDs are equal";
    if (i->id_context_len > sizeof i->id_context) return "its ID Context is too long";
    if (i->next_to_send > NACRE_SEQ_MAX + 1) return "its next number is above 2^40";
    if (name_len == sizeof c->name || !nacre__utf8_valid(nacre_bytes_of((const uint8_t *)c->name, name_len)))
        return "its name is too long or not UTF-8";
    return problem_of_window(i);
}

static bool has_keys(const nacre_sqlite_context *c)
{
    static const uint8_t zero[NACRE_MAX_KEY];
    return c->info.secret_len > 0 || (memcmp(c->sender_key, zero, c->info.aead->key_len) != 0 &&
                                      memcmp(c->recipient_key, zero, c->info.aead->key_len) != 0);
}

/* ---- The row ---- */

static void set_row(nacre__sqlite_row *row, const nacre_sqlite_context *c)
{
    const nacre_directory_info *i = &c->info;
    row->aead = i->aead;
    row->hash = i->hash;
    row->window = i->window != 0 ? i->window : NACRE_REPLAY_DEFAULT;
    memcpy(row->name, c->name, sizeof row->name);
    memcpy(row->sender_id, i->sender_id, row->sender_id_len = i->sender_id_len);
    memcpy(row->recipient_id, i->recipient_id, row->recipient_id_len = i->recipient_id_len);
    row->has_id_context = i->has_id_context;
    row->id_context_len = i->has_id_context ? i->id_context_len : 0;
    memcpy(row->id_context, i->id_context, row->id_context_len);
    nacre__sqlite_state *state = &row->state;
    state->next = i->next_to_send;
    state->window_known = i->window_known;
    if (!state->window_known) return;
    state->window_index = i->window_index;
    state->bits_len = (row->window + 7u) / 8;
    memcpy(state->bits, i->window_bits, state->bits_len);
}

static nacre_err set_keys(nacre__sqlite_row *row, const nacre_sqlite *db, const nacre_sqlite_context *c,
                          nacre_detail *why)
{
    nacre__sqlite_keys keys;
    const nacre_aead *aead = row->aead;
    nacre_err err = nacre__sqlite_keys_of(&keys, db, c, why);
    if (err == NACRE_OK)
        err =
            nacre__sqlite_fingerprint(row->fingerprint, db, aead, nacre_bytes_of(keys.sender_key, aead->key_len), why);
    if (err == NACRE_OK)
        err = nacre__sqlite_fingerprint(row->peer_fingerprint, db, aead,
                                        nacre_bytes_of(keys.recipient_key, aead->key_len), why);
    if (err == NACRE_OK)
        err = nacre__sqlite_keys_encode(db, row->blob, &row->blob_len, &keys, aead, row->fingerprint, why);
    nacre_wipe(&keys, sizeof keys);
    return err;
}

/* CONTEXT_INSERT and CONTEXT_REVIVE have the same parameters. */
static nacre_err write_row(nacre_sqlite *db, nacre__sqlite_statement which, const nacre__sqlite_row *row,
                           nacre_detail *why)
{
    int num_changed;
    sqlite3_stmt *stmt = nacre__sqlite_use(db, which);
    (void)sqlite3_bind_blob(stmt, 1, row->fingerprint, sizeof row->fingerprint, SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 2, row->peer_fingerprint, sizeof row->peer_fingerprint, SQLITE_STATIC);
    if (row->name[0] != '\0') (void)sqlite3_bind_text(stmt, 3, row->name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(stmt, 4, row->aead->cose);
    (void)sqlite3_bind_int(stmt, 5, (int)row->hash);
    (void)sqlite3_bind_int(stmt, 6, row->window);
    (void)sqlite3_bind_blob(stmt, 7, row->sender_id, (int)row->sender_id_len, SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 8, row->recipient_id, (int)row->recipient_id_len, SQLITE_STATIC);
    if (row->has_id_context) (void)sqlite3_bind_blob(stmt, 9, row->id_context, (int)row->id_context_len, SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 10, row->blob, (int)row->blob_len, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 11, nacre__sqlite_row_sum(db, row));
    (void)sqlite3_bind_int64(stmt, 12, row->id);
    const nacre_err err = nacre__sqlite_run(db, which, &num_changed, why);
    if (err != NACRE_OK || num_changed == 1) return err;
    return nacre__fail(why, NACRE_ERR_FILE, "%s: a row was not written", db->paths.path);
}

/* ---- One key, one context (RFC 8613 3.3) ---- */

static nacre_err has_row(nacre_sqlite *db, nacre__sqlite_statement which, bool *found, int64_t *id, nacre_detail *why)
{
    const nacre_err err = nacre__sqlite_step(db, which, found, why);
    if (err != NACRE_OK || !*found) return err;
    *id = sqlite3_column_int64(db->statements[which], 0);
    nacre__sqlite_reset(db, which);
    return NACRE_OK;
}

static nacre_err refuse_twin(const nacre_sqlite *db, const char *what, int64_t other, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_DUPLICATE_CONTEXT,
                       "%s: context %lld has the same %s; give each keys and a name of its own", db->paths.path,
                       (long long)other, what);
}

/* The Recipient Key in another row. Active, exported: each would accept what the other has seen. Removed: what that one has seen
 * is not known any more (RFC 8613 B.1.2). */
static nacre_err check_peers(nacre_sqlite *db, nacre__sqlite_row *row, nacre_detail *why)
{
    sqlite3_stmt *stmt = nacre__sqlite_use(db, NACRE__SQLITE_PEERS);
    (void)sqlite3_bind_blob(stmt, 1, row->peer_fingerprint, sizeof row->peer_fingerprint, SQLITE_STATIC);
    (void)sqlite3_bind_blob(stmt, 2, row->fingerprint, sizeof row->fingerprint, SQLITE_STATIC);
    for (bool found = true;;) {
        const nacre_err err = nacre__sqlite_step(db, NACRE__SQLITE_PEERS, &found, why);
        if (err != NACRE_OK || !found) return err;
        const int64_t id = sqlite3_column_int64(stmt, 0), status = sqlite3_column_int64(stmt, 1);
        row->state.window_known = false;
        if (status == NACRE_SQLITE_REMOVED) continue;
        nacre__sqlite_reset(db, NACRE__SQLITE_PEERS);
        if (status == NACRE_SQLITE_ACTIVE)
            return refuse_twin(db, "Recipient Key, so that each would accept what the other has seen", id, why);
        return nacre__fail(
            why, NACRE_ERR_BAD_CONTEXT,
            "%s: its Recipient Key is that of context %lld, which was revoked or exported; make new keys",
            db->paths.path, (long long)id);
    }
}

static nacre_err check_peers_and_name(nacre_sqlite *db, nacre__sqlite_row *row, nacre_detail *why)
{
    bool found = false;
    int64_t id = 0;
    nacre_err err = check_peers(db, row, why);
    if (err != NACRE_OK || row->name[0] == '\0') return err;
    (void)sqlite3_bind_text(nacre__sqlite_use(db, NACRE__SQLITE_BY_NAME), 1, row->name, -1, SQLITE_STATIC);
    err = has_row(db, NACRE__SQLITE_BY_NAME, &found, &id, why);
    return err == NACRE_OK && found ? refuse_twin(db, "name", id, why) : err;
}

/* An endpoint tries at most NACRE_MAX_CANDIDATES contexts for a request. */
static nacre_err check_candidates(nacre_sqlite *db, const nacre__sqlite_row *row, nacre_detail *why)
{
    const nacre__sqlite_statement which = row->has_id_context ? NACRE__SQLITE_BY_KID_CONTEXT : NACRE__SQLITE_BY_KID;
    sqlite3_stmt *stmt = nacre__sqlite_use(db, which);
    (void)sqlite3_bind_blob(stmt, 1, row->recipient_id, (int)row->recipient_id_len, SQLITE_STATIC);
    (void)sqlite3_bind_int(stmt, 2, NACRE_MAX_CANDIDATES);
    if (row->has_id_context) (void)sqlite3_bind_blob(stmt, 3, row->id_context, (int)row->id_context_len, SQLITE_STATIC);
    nacre_err err = NACRE_OK;
    bool found = true;
    int num = 0;
    while (err == NACRE_OK && found) {
        err = nacre__sqlite_step(db, which, &found, why);
        num += found;
    }
    if (err != NACRE_OK || num < NACRE_MAX_CANDIDATES) return err;
    return nacre__fail(why, NACRE_ERR_UNSUPPORTED,
                       "%s: %d contexts have this Recipient ID and ID Context already, too many to try for each "
                       "request; give it an ID of its own",
                       db->paths.path, num);
}

/* Finds the row with the same Sender Key, `was`, and refuses it unless it may be added again. The numbers of an exported one
 * continue in its directory: only the move back (`moves`) may add it. */
static nacre_err check_sender(nacre_sqlite *db, const nacre__sqlite_row *row, bool moves, nacre__sqlite_row *was,
                              bool *found, nacre_detail *why)
{
    const nacre_err err = nacre__sqlite_row_by_fingerprint(was, found, db, row->fingerprint, why);
    if (err != NACRE_OK || !*found) return err;
    if (was->status == NACRE_SQLITE_ACTIVE)
        return refuse_twin(db, "Sender Key, so that both would use the same nonces", was->id, why);
    if (was->status == NACRE_SQLITE_REVOKED)
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: these keys were revoked (context %lld); make new ones",
                           db->paths.path, (long long)was->id);
    if (memcmp(was->peer_fingerprint, row->peer_fingerprint, sizeof row->peer_fingerprint) != 0)
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                           "%s: its Sender Key is that of context %lld, which had another Recipient Key; make new keys",
                           db->paths.path, (long long)was->id);
    if (moves || was->status != NACRE_SQLITE_EXPORTED || row->state.next >= was->ceiling) return NACRE_OK;
    return nacre__fail(
        why, NACRE_ERR_BAD_CONTEXT,
        "%s: these keys were exported (context %lld), and their directory may have used them since; move "
        "it back with nacre fleet import",
        db->paths.path, (long long)was->id);
}

static nacre_err next_id(nacre_sqlite *db, int64_t *id, nacre_detail *why)
{
    bool found = false;
    (void)nacre__sqlite_use(db, NACRE__SQLITE_NEXT_ID);
    return has_row(db, NACRE__SQLITE_NEXT_ID, &found, id, why);
}

static nacre_err insert(nacre_sqlite *db, int64_t *id, nacre__sqlite_row *row, bool moves, nacre_detail *why)
{
    nacre__sqlite_row was = { .id = 0 };
    bool found = false;
    nacre_err err = check_sender(db, row, moves, &was, &found, why);
    if (err == NACRE_OK) err = check_peers_and_name(db, row, why);
    if (err == NACRE_OK) err = check_candidates(db, row, why);
    if (err != NACRE_OK) return err;
    if (found) { /* what was received since is not known (RFC 8613 B.1.2) */
        row->state.window_known = false;
        if (was.ceiling > row->state.next) row->state.next = was.ceiling;
    }
    row->id = was.id;
    if (!found) err = next_id(db, &row->id, why);
    if (err == NACRE_OK)
        err = write_row(db, found ? NACRE__SQLITE_CONTEXT_REVIVE : NACRE__SQLITE_CONTEXT_INSERT, row, why);
    if (err != NACRE_OK) return err;
    *id = row->id;
    return nacre__sqlite_state_write(db, NACRE__SQLITE_STATE_INSERT, *id, &row->state, 0, NULL, why);
}

nacre_err nacre__sqlite_add_one(nacre_sqlite *db, int64_t *id, const nacre_sqlite_context *context, bool moves,
                                nacre_detail *why)
{
    nacre__sqlite_row row;
    size_t size, align;
    const char *problem = problem_of(context);
    if (problem == NULL && !has_keys(context)) problem = "it has neither a secret nor keys";
    if (problem != NULL) return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: cannot add: %s", db->paths.path, problem);
    if (nacre_context_key_layout(db->crypto, context->info.aead->cose, &size, &align) != NACRE_OK)
        return nacre__fail(why, NACRE_ERR_UNSUPPORTED, "%s: the cryptography library (%s) does not have %s",
                           db->paths.path, db->crypto->ops->name, context->info.aead->name);
    memset(&row, 0, sizeof row);
    set_row(&row, context);
    nacre_err err = set_keys(&row, db, context, why);
    if (err == NACRE_OK) err = insert(db, id, &row, moves, why);
    nacre_wipe(&row, sizeof row);
    return err;
}

nacre_err nacre_sqlite_add(nacre_sqlite *db, int64_t *ids, size_t num, nacre_sqlite_source source, void *user,
                           nacre_detail *why)
{
    nacre_sqlite_context context;
    nacre_err err = nacre__sqlite_enter(db, true, why);
    if (err != NACRE_OK) return err;
    err = nacre__sqlite_begin(db, why);
    if (err == NACRE_OK) {
        for (size_t i = 0; err == NACRE_OK && i < num; i++) {
            int64_t id = 0;
            memset(&context, 0, sizeof context);
            err = source(user, &context, i, why);
            if (err == NACRE_OK) err = nacre__sqlite_add_one(db, &id, &context, false, why);
            if (err == NACRE_OK && ids != NULL) ids[i] = id;
            nacre_wipe(&context, sizeof context);
        }
        err = nacre__sqlite_end(db, err, why);
    }
    nacre__sqlite_leave(db);
    return err;
}
