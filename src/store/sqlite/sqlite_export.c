/* SPDX-License-Identifier: MIT */
/* sqlite_export: moves a context from the database into a directory, so that its numbers are never usable in both.
 *
 *     1  the database skips a number, so that each attempt begins with one of its own
 *     2  a complete directory with it is made beside DIR, under a hidden name
 *     3  the context is ended in the database
 *     4  the directory is renamed to DIR
 *
 * After an interruption before 3 is durable, the database has the context, and the hidden directory is made again. After that,
 * only the hidden directory has it, and the same call renames it. A hidden directory of an attempt before that one has another
 * number than the ended context, and is refused. */
#include "store/sqlite/sqlite_loaded.h"
#include "store/sqlite/sqlite_rows.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "store/directory/create.h"
#include "store/file/files.h"

typedef struct moving {
    nacre_sqlite *db;
    int64_t id;
    const char *dir;
    char hidden[PATH_MAX]; /* "directory/.name.exported" */
    nacre_detail *why;
} moving;

static bool is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 || errno != ENOENT;
}

static nacre_err name_hidden(moving *m)
{
    size_t len = strlen(m->dir);
    while (len > 1 && m->dir[len - 1] == '/') len--;
    size_t start = len;
    while (start > 0 && m->dir[start - 1] != '/') start--;
    const char *name = m->dir + start;
    const size_t name_len = len - start;
    const bool none = name_len == 0 || (name_len <= 2 && strspn(name, ".") >= name_len) || name[0] == '/';
    if (none) return nacre__fail(m->why, NACRE_ERR_BAD_ARGUMENT, "'%s' is no name for a new directory", m->dir);
    const int made =
        snprintf(m->hidden, sizeof m->hidden, "%.*s.%.*s.exported", (int)start, m->dir, (int)name_len, name);
    if (made > 0 && (size_t)made < sizeof m->hidden) return NACRE_OK;
    return nacre__fail(m->why, NACRE_ERR_BAD_ARGUMENT, "%.200s: the path is too long", m->dir);
}

static nacre_err no_context(const moving *m)
{
    return nacre__fail(m->why, NACRE_ERR_BAD_ARGUMENT, "%s: there is no active context %lld (nacre fleet list)",
                       m->db->paths.path, (long long)m->id);
}

/* ---- 1 and 2 ---- */

/* Without a number left two attempts are alike: neither can send, and neither may know what was received. */
static nacre_err skip_number(const moving *m, nacre__sqlite_row *row)
{
    const uint64_t before = row->state.next;
    nacre__sqlite_loaded *loaded = nacre__sqlite_loaded_find(m->db, m->id);
    if (before > NACRE_SEQ_MAX) {
        row->state.window_known = false;
        return NACRE_OK;
    }
    nacre_err err = nacre__sqlite_begin(m->db, m->why);
    if (err != NACRE_OK) return err;
    row->state.next = before + 1;
    err = nacre__sqlite_state_write(m->db, NACRE__SQLITE_STATE_RAISE, m->id, &row->state, before, NULL, m->why);
    err = nacre__sqlite_end(m->db, err, m->why);
    if (loaded != NULL && err == NACRE_OK) loaded->next = row->state.next;
    if (loaded != NULL && err != NACRE_OK) loaded->is_uncertain = true;
    return err;
}

/* The directory begins with the row's next number, which is above all that a loaded context has reserved. */
static nacre_err make_hidden(const moving *m, const nacre__sqlite_row *row)
{
    nacre_sqlite_context context;
    nacre__sqlite_row_describe(&context, row);
    nacre_err err = nacre__sqlite_row_reveal(&context, m->db, row, m->why);
    if (err == NACRE_OK && context.info.secret_len == 0)
        err = nacre__fail(m->why, NACRE_ERR_UNSUPPORTED,
                          "%s: context %lld: only its derived keys are known, and a directory needs its secret",
                          m->db->paths.path, (long long)m->id);
    if (err == NACRE_OK) err = nacre_directory_create(m->hidden, &context.info, m->why);
    nacre_wipe(&context, sizeof context);
    return err;
}

/* ---- 3 and 4 ---- */

static nacre_err end_context(const moving *m)
{
    nacre_err err = nacre__sqlite_begin(m->db, m->why);
    if (err != NACRE_OK) return err;
    err = nacre__sqlite_end_one(m->db, m->id, NACRE_SQLITE_EXPORTED, m->why);
    return nacre__sqlite_end(m->db, err, m->why);
}

static nacre_err rename_hidden(const moving *m)
{
    if (is_there(m->dir) || rename(m->hidden, m->dir) != 0)
        return nacre__fail(m->why, NACRE_ERR_FILE, "%s: cannot give it its name, it is in %s: %s", m->dir, m->hidden,
                           strerror(errno));
    return nacre__dirfd_sync_parent(m->dir, m->why);
}

/* ---- Interrupted ---- */

/* The secret is written last. */
static bool is_half_made(const char *hidden)
{
    nacre__dirfd dirfd;
    if (nacre__dirfd_open(&dirfd, hidden, NULL) != NACRE_OK) return false;
    const bool half = faccessat(dirfd.fd, "secret.json", F_OK, 0) != 0 && errno == ENOENT;
    nacre__dirfd_close(&dirfd);
    return half;
}

/* `is_last`: the attempt that ended the context in the database. */
static nacre_err status_of_hidden(const moving *m, int64_t *id, nacre_sqlite_status *status, bool *is_last)
{
    nacre_sqlite_context context;
    nacre__sqlite_keys keys;
    nacre__sqlite_row row;
    uint8_t fingerprint[NACRE__SQLITE_FINGERPRINT];
    bool found = false;
    memset(&context, 0, sizeof context);
    if (nacre_directory_read(&context.info, m->hidden, true, NULL) != NACRE_OK)
        return nacre__fail(m->why, NACRE_ERR_FILE, "%s: is in the way; check what it is, and remove it", m->hidden);
    const nacre_aead *aead = context.info.aead;
    nacre_err err = nacre__sqlite_keys_of(&keys, m->db, &context, m->why);
    if (err == NACRE_OK)
        err =
            nacre__sqlite_fingerprint(fingerprint, m->db, aead, nacre_bytes_of(keys.sender_key, aead->key_len), m->why);
    const uint64_t next = context.info.next_to_send;
    nacre_wipe(&keys, sizeof keys);
    nacre_wipe(&context, sizeof context);
    if (err == NACRE_OK) err = nacre__sqlite_row_by_fingerprint(&row, &found, m->db, fingerprint, m->why);
    if (err != NACRE_OK) return err;
    *id = found ? row.id : 0;
    *status = found ? row.status : NACRE_SQLITE_REMOVED;
    *is_last = found && row.status == NACRE_SQLITE_EXPORTED && row.ceiling == next;
    if (found) nacre_wipe(&row, sizeof row);
    return NACRE_OK;
}

/* What an interrupted call has left. `is_only_copy`: the database no longer has the context. */
static nacre_err check_hidden(const moving *m, bool *is_only_copy)
{
    int64_t id = 0;
    nacre_sqlite_status status = NACRE_SQLITE_ACTIVE;
    *is_only_copy = false;
    if (!is_there(m->hidden)) return NACRE_OK;
    if (is_half_made(m->hidden)) nacre__directory_take_away(m->hidden); /* the database has the context */
    if (!is_there(m->hidden)) return NACRE_OK;
    const nacre_err err = status_of_hidden(m, &id, &status, is_only_copy);
    if (err != NACRE_OK) return err;
    if (id != m->id)
        return nacre__fail(m->why, NACRE_ERR_BAD_CONTEXT,
                           "%s: is in the way: another context on its way out of a database; finish that first",
                           m->hidden);
    if (status == NACRE_SQLITE_ACTIVE) nacre__directory_take_away(m->hidden);
    if (status == NACRE_SQLITE_ACTIVE || *is_only_copy) return NACRE_OK;
    return nacre__fail(m->why, NACRE_ERR_BAD_CONTEXT,
                       "%s: is in the way: its context was exported elsewhere since, removed or revoked; remove it",
                       m->hidden);
}

static nacre_err export_context(moving *m)
{
    nacre__sqlite_row row;
    bool is_only_copy = false, found = false;
    nacre_err err = name_hidden(m);
    if (err != NACRE_OK) return err;
    if (is_there(m->dir))
        return nacre__fail(m->why, NACRE_ERR_FILE, "%s: is there already; give a name that is free", m->dir);
    err = check_hidden(m, &is_only_copy);
    if (err != NACRE_OK || is_only_copy) return err == NACRE_OK ? rename_hidden(m) : err;
    err = nacre__sqlite_row_find(&row, &found, m->db, m->id, m->why);
    if (err != NACRE_OK) return err;
    if (!found || row.status != NACRE_SQLITE_ACTIVE) return no_context(m);
    err = skip_number(m, &row);
    if (nacre__sqlite_loaded_find(m->db, m->id) != NULL) row.state.window_known = false;
    if (err == NACRE_OK) err = make_hidden(m, &row);
    nacre_wipe(&row, sizeof row);
    if (err == NACRE_OK) err = end_context(m);
    if (err != NACRE_OK) return err;
    nacre__sqlite_stop(m->db, m->id);
    return rename_hidden(m);
}

nacre_err nacre_sqlite_export(nacre_sqlite *db, int64_t id, const char *dir, nacre_detail *why)
{
    moving m = { .db = db, .id = id, .dir = dir, .why = why };
    nacre_err err = nacre__sqlite_enter(db, true, why);
    if (err != NACRE_OK) return err;
    err = export_context(&m);
    nacre__sqlite_leave(db);
    return err;
}
