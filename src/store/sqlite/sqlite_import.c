/* SPDX-License-Identifier: MIT */
/* sqlite_import: moves a directory's context into the database, so that its numbers are never usable in both.
 *
 *     1  DIR/moved.json: the database, the next number       nacre refuses DIR
 *     2  DIR/sequence.json: numbers used up, window unknown  other programs fail too
 *     3  the database has the context
 *     4  DIR/moved.json: completed
 *
 * After an interruption before 2, the state in DIR is valid and the move begins again. After 2, the number in moved.json is
 * valid, because DIR cannot be used any more. After 3 the database has the context. */
#include "store/sqlite/sqlite_import.h"
#include "store/sqlite/sqlite_rows.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "store/directory/directory_read.h"
#include "store/directory/moved.h"
#include "store/lock/lock.h"

typedef struct move {
    nacre_sqlite *db;
    nacre__dirfd dirfd;
    nacre_role role;
    nacre__moved found;           /* DIR/moved.json */
    nacre_sqlite_context context; /* with secrets */
    int64_t id;
    nacre_detail *why;
} move;

static void identity_of(char hex[NACRE__MOVED_IDENTITY + 1], const nacre_sqlite *db)
{
    nacre_hex_encode(hex, NACRE_ARRAY(db->database));
}

static nacre_err write_moved(const move *m, uint64_t next, bool completed)
{
    char identity[NACRE__MOVED_IDENTITY + 1];
    identity_of(identity, m->db);
    return nacre__moved_write(&m->dirfd, m->db->paths.path, identity, next, completed, m->why);
}

static nacre_err refuse(const move *m, const char *text)
{
    return nacre__fail(m->why, NACRE_ERR_BAD_CONTEXT, "%s: %s", m->dirfd.path, text);
}

/* ---- Steps 1 and 2 ---- */

/* Writes numbers used up and window unknown, by closing the directory. */
static nacre_err exhaust(nacre_directory *dir, nacre_detail *why)
{
    nacre_context *ctx = nacre_directory_context(dir);
    ctx->next = NACRE_SEQ_MAX + 1;
    ctx->in_hand = 0;
    nacre_err err = nacre_context_set_replay(ctx, false, 0, NULL, 0);
    nacre_err closed = nacre_directory_close(dir, why);
    return err == NACRE_OK ? closed : err;
}

static nacre_err read_directory(move *m)
{
    return nacre_directory_read_as(&m->context.info, m->dirfd.path, m->role, true, m->why);
}

static nacre_err disarm(move *m)
{
    nacre_directory *dir;
    nacre_err err = nacre_directory_open_as(&dir, m->dirfd.path, m->role, m->db->crypto, m->why);
    if (err != NACRE_OK) return err;
    err = read_directory(m); /* under the lock of the open directory */
    if (err == NACRE_OK) err = write_moved(m, m->context.info.next_to_send, false);
    if (err == NACRE_OK) return exhaust(dir, m->why);
    (void)nacre_directory_close(dir, NULL); /* unchanged */
    return err;
}

/* What the database has of this Sender Key: the id of the active context, 0: none; whether it was exported since this move began:
 * then its numbers are above those in moved.json, as each export begins with a number of its own. */
static nacre_err find_row(move *m, int64_t *id, bool *was_exported)
{
    nacre__sqlite_keys keys;
    nacre__sqlite_row row;
    uint8_t fingerprint[NACRE__SQLITE_FINGERPRINT];
    const nacre_aead *aead = m->context.info.aead;
    bool found = false;
    *id = 0;
    *was_exported = false;
    nacre_err err = nacre__sqlite_keys_of(&keys, m->db, &m->context, m->why);
    if (err == NACRE_OK)
        err =
            nacre__sqlite_fingerprint(fingerprint, m->db, aead, nacre_bytes_of(keys.sender_key, aead->key_len), m->why);
    nacre_wipe(&keys, sizeof keys);
    if (err == NACRE_OK) err = nacre__sqlite_row_by_fingerprint(&row, &found, m->db, fingerprint, m->why);
    if (err != NACRE_OK || !found) return err;
    if (row.status == NACRE_SQLITE_ACTIVE) *id = row.id;
    *was_exported = row.status == NACRE_SQLITE_EXPORTED && row.ceiling > m->found.next_to_send;
    nacre_wipe(&row, sizeof row);
    return NACRE_OK;
}

/* Adds it in a transaction that is rolled back: whether the database accepts it, before DIR is changed. */
static nacre_err rehearse(move *m)
{
    int64_t id = 0;
    nacre_err err = nacre__sqlite_begin(m->db, m->why);
    if (err != NACRE_OK) return err;
    err = nacre__sqlite_add_one(m->db, &id, &m->context, true, m->why);
    (void)!nacre__sqlite_end(m->db, err == NACRE_OK ? NACRE_ERR_STALE : err, NULL);
    return err;
}

static nacre_err start(move *m)
{
    nacre_err err = read_directory(m);
    if (err == NACRE_OK) err = rehearse(m);
    return err == NACRE_OK ? disarm(m) : err;
}

/* An interrupted move. `m->id` is set if the database has the context. */
static nacre_err resume(move *m)
{
    bool was_exported = false;
    nacre_err err = nacre__lock_probe(&m->dirfd, m->why);
    if (err == NACRE_OK) err = read_directory(m);
    if (err == NACRE_OK) err = find_row(m, &m->id, &was_exported);
    if (err != NACRE_OK || m->id != 0) return err;
    if (m->found.completed) return refuse(m, "was moved into this database, and removed from it since");
    if (m->context.info.next_to_send > NACRE_SEQ_MAX) {
        if (was_exported) return refuse(m, "was moved into this database, and exported from it since");
        m->context.info.next_to_send = m->found.next_to_send;
        m->context.info.window_known = false; /* RFC 8613 B.1.2 */
        return NACRE_OK;
    }
    if (unlinkat(m->dirfd.fd, "moved.json", 0) != 0)
        return nacre__fail(m->why, NACRE_ERR_FILE, "%s/moved.json: cannot remove", m->dirfd.path);
    return start(m);
}

static nacre_err refuse_elsewhere(const move *m)
{
    return refuse(m, m->found.completed ? "was moved elsewhere (moved.json says which)"
                                        : "its move elsewhere was interrupted (moved.json says which); finish that");
}

static nacre_err take(move *m)
{
    char identity[NACRE__MOVED_IDENTITY + 1];
    nacre_err err = nacre__moved_read(&m->found, &m->dirfd, m->why);
    if (err != NACRE_OK) return err;
    if (!m->found.found) return start(m);
    identity_of(identity, m->db);
    if (strcmp(identity, m->found.identity) == 0) return resume(m);
    return refuse_elsewhere(m);
}

/* ---- Steps 3 and 4 ---- */

static nacre_err add(move *m)
{
    nacre_err err = nacre__sqlite_begin(m->db, m->why);
    if (err != NACRE_OK) return err;
    err = nacre__sqlite_add_one(m->db, &m->id, &m->context, true, m->why);
    return nacre__sqlite_end(m->db, err, m->why);
}

/* ---- All steps ---- */

static nacre_err import(move *m)
{
    nacre_err err = take(m);
    if (err == NACRE_OK && m->id == 0) err = add(m);
    if (err == NACRE_OK && !m->found.completed) err = write_moved(m, NACRE_SEQ_MAX + 1, true);
    return err;
}

nacre_err nacre_sqlite_import(nacre_sqlite *db, int64_t *id, const char *dir, nacre_role role, const char *name,
                              nacre_detail *why)
{
    move m = { .db = db, .role = role, .why = why };
    if (name != NULL && strlen(name) >= sizeof m.context.name)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "'%.80s': a name has at most %d bytes", name,
                           (int)NACRE_SQLITE_NAME - 1);
    (void)snprintf(m.context.name, sizeof m.context.name, "%s", name != NULL ? name : "");
    nacre_err err = nacre__sqlite_enter(db, true, why);
    if (err != NACRE_OK) return err;
    err = nacre__dirfd_open(&m.dirfd, dir, why);
    if (err == NACRE_OK) {
        err = import(&m);
        nacre__dirfd_close(&m.dirfd);
    }
    nacre__sqlite_leave(db);
    nacre_wipe(&m.context, sizeof m.context);
    if (err == NACRE_OK && id != NULL) *id = m.id;
    return err;
}

/* ---- Several directories ---- */

/* In a transaction that is rolled back. A move that was interrupted, or is complete, has been examined by its beginning. */
static nacre_err rehearse_one(move *m)
{
    char identity[NACRE__MOVED_IDENTITY + 1];
    int64_t id = 0;
    nacre_err err = nacre__moved_read(&m->found, &m->dirfd, m->why);
    if (err != NACRE_OK) return err;
    identity_of(identity, m->db);
    if (m->found.found && strcmp(identity, m->found.identity) == 0) return NACRE_OK;
    if (m->found.found) return refuse_elsewhere(m);
    err = nacre__lock_probe(&m->dirfd, m->why);
    if (err == NACRE_OK) err = read_directory(m);
    return err == NACRE_OK ? nacre__sqlite_add_one(m->db, &id, &m->context, true, m->why) : err;
}

static nacre_err rehearse_directory(nacre_sqlite *db, const char *dir, nacre_role role, nacre_detail *why)
{
    nacre_detail reason = { "" };
    move m = { .db = db, .role = role, .why = &reason };
    nacre_err err = nacre__dirfd_open(&m.dirfd, dir, &reason);
    if (err == NACRE_OK) {
        err = rehearse_one(&m);
        nacre__dirfd_close(&m.dirfd);
    }
    nacre_wipe(&m.context, sizeof m.context);
    if (err == NACRE_OK) return NACRE_OK;
    const bool is_named = strstr(reason.text, dir) != NULL;
    return nacre__fail(why, err, "%s%s%s", is_named ? "" : dir, is_named ? "" : ": ", reason.text);
}

nacre_err nacre__sqlite_import_rehearse(nacre_sqlite *db, char *const *dirs, size_t num, nacre_role role,
                                        nacre_detail *why)
{
    nacre_err err = nacre__sqlite_enter(db, true, why);
    if (err != NACRE_OK) return err;
    err = nacre__sqlite_begin(db, why);
    if (err == NACRE_OK) {
        for (size_t i = 0; err == NACRE_OK && i < num; i++) err = rehearse_directory(db, dirs[i], role, why);
        (void)!nacre__sqlite_end(db, err == NACRE_OK ? NACRE_ERR_STALE : err, NULL);
    }
    nacre__sqlite_leave(db);
    return err;
}
