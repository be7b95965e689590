/* SPDX-License-Identifier: MIT */
/* sqlite: many contexts in an SQLite database, which other tools can read, back up and query. Hosted, as store.h. Needs a build
 * with libsqlite3; without it every function that can fail returns NACRE_ERR_UNSUPPORTED.
 *
 *     nacre_sqlite_create    makes an empty database
 *     nacre_sqlite_open      locks it
 *     nacre_sqlite_add       adds contexts; nacre_sqlite_import moves one from a directory into the database
 *     nacre_sqlite_find      the contexts that a request may mean
 *     nacre_sqlite_load      makes contexts ready to use
 *     nacre_sqlite_store     the store of a loaded context
 *     nacre_sqlite_remove    ends contexts; nacre_sqlite_revoke for good; nacre_sqlite_export moves one into a directory
 *     nacre_sqlite_close     writes the states and frees
 *
 * Files. DB is the database, in WAL mode; DB-wal and DB-shm are SQLite's; DB-mark has the lock and what detects old copies.
 * docs/fleet.md shows the tables, src/store/sqlite/schema.sql defines them. DB must be a regular file of this user with mode 0600
 * or less, without further names (hard links) and not a symbolic link, on a local file system: WAL does not work on a network.
 *
 * Durability, as with directories: numbers are stored as used before their use (RFC 8613 B.1.1), and a replay window as unknown
 * before the first request moves it (B.1.2). All requests that wait at one time are one transaction with one sync.
 *
 * Copies. An old copy of the database lists numbers as free that were used since. A used database therefore is refused until
 * nacre_sqlite_adopt if it was
 *   moved or copied to another file   its meta row names the file that it was used in (inode and birth time; nacre_mark_at says
 *                                     what the file system supports)
 *   overwritten ("cp backup live")    DB-mark counts the writes and has a random stamp, renewed at each open, at close, at most
 *                                     a minute after a write and with each checkpoint; the database has both, too
 *   without its DB-mark
 * Not detected: DB and DB-mark both overwritten in place with files of one backup; copies of a database that was never used;
 * images and snapshots of a whole file system. All of these use numbers twice. Back up with "sqlite3 DB '.backup FILE'".
 *
 * Keys are in the database in plain, or encrypted if it was created with a key-encryption key. That key protects the keys against
 * readers of the file and its backups, not the numbers against writers: who can write the file can make numbers repeat.
 *
 * A database belongs to the process that opened it, and to one thread at a time, except that several threads may use the stores of
 * its contexts. In the child of a fork its contexts are wiped and every call fails with NACRE_ERR_LOCKED; close it there too.
 *
 * Errors of all functions: NACRE_ERR_FILE (no permission, full disk, I/O: nothing was changed; try again), NACRE_ERR_BAD_CONTEXT
 * (damaged, not a database of nacre, or an old copy: `why` says which), NACRE_ERR_LOCKED (another process has it, or has changed
 * it: nothing is written any more, and each context is stopped at its next need; close it), NACRE_ERR_NO_MEMORY, NACRE_ERR_UNSUPPORTED (built without
 * SQLite). */
#ifndef NACRE_SQLITE_H
#define NACRE_SQLITE_H

#include <nacre/base.h>
#include <nacre/context.h>
#include <nacre/crypto.h>
#include <nacre/store.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_sqlite nacre_sqlite;

enum { NACRE_SQLITE_KEK = 32 /* bytes of a key-encryption key: AES-256-GCM */, NACRE_SQLITE_NAME = 64 };

typedef struct nacre_sqlite_config {
    size_t size;     /* set by nacre_sqlite_config_default, see CONVENTIONS.md, "Configurations" */
    nacre_bytes kek; /* NACRE_SQLITE_KEK random bytes, or absent: keys are stored in plain */
    bool
        read_only; /* of open: list, show, find and statistics, also while another process has it open; copies are not refused,
                        nothing is locked or written */
    uint16_t first_chunk, max_chunk; /* numbers reserved at a time (nacre_directory_options); 0: 10 and 10000 */
} nacre_sqlite_config;
nacre_sqlite_config nacre_sqlite_config_default(void);

/* nacre_sqlite_is_built: whether this library was built with SQLite. */
bool nacre_sqlite_is_built(void);

/* nacre_sqlite_create makes an empty database, durably, mode 0600. `config` may be NULL; only `kek` is used.
 * NACRE_OK; NACRE_ERR_FILE (it exists, DB-wal of another exists, or it cannot be made; nothing remains);
 * NACRE_ERR_BAD_ARGUMENT (a kek of another length); NACRE_ERR_CRYPTO (no random bytes); the common errors above */
NACRE_MUST_USE nacre_err nacre_sqlite_create(const char *path, const nacre_sqlite_config *config,
                                             const nacre_crypto *crypto, nacre_detail *why);

/* nacre_sqlite_open opens it; `crypto` is kept and used by the calling thread. `config`: NULL means the defaults.
 * NACRE_OK               close it with nacre_sqlite_close
 * NACRE_ERR_LOCKED       another process has it open (after one second)
 * NACRE_ERR_BAD_CONTEXT  a copy (nacre_sqlite_adopt accepts it), damaged, not a database of nacre, or the kek is missing or wrong
 * NACRE_ERR_UNSUPPORTED  the schema of a newer version of nacre: update nacre; or built without SQLite
 * NACRE_ERR_BAD_ARGUMENT a kek of another length, chunks as in nacre_directory_open_with
 * NACRE_ERR_FILE         other users can read it, it is another user's, a link, on a network file system …
 * NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_sqlite_open(nacre_sqlite **db, const char *path, const nacre_sqlite_config *config,
                                           const nacre_crypto *crypto, nacre_detail *why);

/* nacre_sqlite_close writes the true states of all loaded contexts, wipes their keys, and frees, also when it
 * fails: the database keeps its earlier states, which is safe. NULL is allowed. */
nacre_err nacre_sqlite_close(nacre_sqlite *db, nacre_detail *why);

/* nacre_sqlite_adopt permits the use of a database that was copied, restored or moved, after which no other copy may be used.
 * Numbers of each context, and the limits kept of ended ones, continue NACRE_ADOPT_SKIP above what the database has, plus a random
 * number of the same size; windows become unknown (B.1.2). A context without as many numbers left is used up: replace its keys.
 * Contexts that were revoked after the copy was made are valid again: revoke them again. An interrupted call changes nothing.
 * Errors as nacre_sqlite_open. */
NACRE_MUST_USE nacre_err nacre_sqlite_adopt(const char *path, const nacre_sqlite_config *config,
                                            const nacre_crypto *crypto, nacre_detail *why);

/* ---- Contexts ----
 * A context has an id, which is never used again. When it ends its keys are erased; its row stays, with a keyed fingerprint of its
 * Sender Key and the numbers that may have been used:
 *   REMOVED, EXPORTED  the same keys may be added again: they continue above those numbers with an unknown window
 *   REVOKED            the same keys are refused */
typedef enum nacre_sqlite_status {
    NACRE_SQLITE_ACTIVE = 0,
    NACRE_SQLITE_REMOVED = 1,
    NACRE_SQLITE_REVOKED = 2,
    NACRE_SQLITE_EXPORTED = 3,
} nacre_sqlite_status;

typedef struct nacre_sqlite_context {
    int64_t id;                   /* given by the database; 0 to add */
    nacre_sqlite_status status;   /* not read to add */
    char name[NACRE_SQLITE_NAME]; /* UTF-8, unique among active contexts; "": none */
    /* Parameters and state; layout, role and has_state are not used, a window of 0 means 32. secret and salt are in listings only
     * with `reveal`. To add: secret and salt; or, without a secret, derived keys, as of an EDHOC exchange: such a context cannot
     * be exported. New keys: next_to_send 0 and window_known true. */
    nacre_directory_info info;
    uint8_t sender_key[NACRE_MAX_KEY], recipient_key[NACRE_MAX_KEY], common_iv[NACRE_MAX_NONCE];
} nacre_sqlite_context;

/* Sets `context`, which is all zero, to number `index` of those to add. It is wiped afterwards. */
typedef nacre_err (*nacre_sqlite_source)(void *user, nacre_sqlite_context *context, size_t index, nacre_detail *why);

/* nacre_sqlite_add adds `num` contexts in one transaction: all, or none. `ids`: NULL, or `num` elements.
 * NACRE_OK
 * NACRE_ERR_DUPLICATE_CONTEXT  an active context has the same Sender Key or the same Recipient Key (RFC 8613 3.3), or the name
 * NACRE_ERR_BAD_CONTEXT        invalid parameters, or the keys were revoked
 * NACRE_ERR_UNSUPPORTED        an algorithm; or NACRE_MAX_CANDIDATES have this Recipient ID and ID Context already
 * what `source` returns; the common errors */
NACRE_MUST_USE nacre_err nacre_sqlite_add(nacre_sqlite *db, int64_t *ids, size_t num, nacre_sqlite_source source,
                                          void *user, nacre_detail *why);

/* nacre_sqlite_find gives the active contexts that each query allows, as nacre_table_find: at most NACRE_MAX_CANDIDATES. */
typedef struct nacre_sqlite_query {
    nacre_bytes kid, kid_context;
    int64_t ids[NACRE_MAX_CANDIDATES]; /* set */
    size_t num_ids;                    /* set */
} nacre_sqlite_query;
NACRE_MUST_USE nacre_err nacre_sqlite_find(nacre_sqlite *db, nacre_sqlite_query *queries, size_t num,
                                           nacre_detail *why);

/* nacre_sqlite_load makes contexts ready to use, with keys and state; one that is loaded already is given again. NULL: there is no
 * active context with that id. They live until nacre_sqlite_unload or close. On failure none was loaded by this call. */
NACRE_MUST_USE nacre_err nacre_sqlite_load(nacre_sqlite *db, nacre_context **contexts, const int64_t *ids, size_t num,
                                           nacre_detail *why);

/* nacre_sqlite_load_all loads every active context and calls `on_context` for each; an error of it ends the loading. */
typedef nacre_err (*nacre_sqlite_on_context)(void *user, nacre_context *ctx, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre_sqlite_load_all(nacre_sqlite *db, nacre_sqlite_on_context on_context, void *user,
                                               nacre_detail *why);

/* The store of a loaded context, its id, its name ("": none), and the database's path. */
nacre_store nacre_sqlite_store(nacre_context *ctx);
int64_t nacre_sqlite_id(const nacre_context *ctx);
const char *nacre_sqlite_path(const nacre_sqlite *db);

/* nacre_sqlite_unload writes the true state of a loaded context and wipes it. Remove it from tables and endpoints first.
 * NACRE_OK, or why its state was not written, which is safe: it is wiped all the same */
nacre_err nacre_sqlite_unload(nacre_sqlite *db, nacre_context *ctx, nacre_detail *why);

/* nacre_sqlite_remove ends active contexts with these ids, in one transaction. Loaded ones are stopped (nacre_context_stop), and
 * must still be unloaded. nacre_sqlite_revoke ends them for good and then overwrites their keys in the log too
 * (wal_checkpoint TRUNCATE).
 * NACRE_OK
 * NACRE_ERR_BAD_ARGUMENT  one of them is not an active context; nothing has changed. Revoking a removed or exported one is
 *                         allowed
 * NACRE_ERR_FILE of revoke, with `why` "… are revoked": done, but their keys may still be in DB-wal; nacre_sqlite_close or the
 *                         next revocation tries to overwrite them again */
NACRE_MUST_USE nacre_err nacre_sqlite_remove(nacre_sqlite *db, const int64_t *ids, size_t num, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre_sqlite_revoke(nacre_sqlite *db, const int64_t *ids, size_t num, nacre_detail *why);

/* nacre_sqlite_list calls `visit` for each context with an id above `after`, in the order of ids, at most `max` (0: all).
 * `ended`: also removed, revoked and exported ones. `reveal`: with keys. An error of `visit` ends the listing. `visit` must not call
 * the database. */
typedef struct nacre_sqlite_filter {
    size_t size; /* sizeof the struct, or 0; see CONVENTIONS.md, "Options" */
    int64_t after;
    size_t max;
    bool ended, reveal;
} nacre_sqlite_filter;
typedef nacre_err (*nacre_sqlite_visit)(void *user, const nacre_sqlite_context *context, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre_sqlite_list(nacre_sqlite *db, const nacre_sqlite_filter *filter,
                                           nacre_sqlite_visit visit, void *user, nacre_detail *why);

/* nacre_sqlite_import moves a directory's context, with its present state, into the database; `name` may be NULL. The directory
 * must not be open and cannot be used afterwards: nacre refuses it, and for other programs its numbers are used up. After an
 * interruption the same call completes the move. `id` may be NULL. `role` as in nacre_directory_open_as.
 * NACRE_OK (now or already in the database); errors as nacre_directory_open and nacre_sqlite_add */
NACRE_MUST_USE nacre_err nacre_sqlite_import(nacre_sqlite *db, int64_t *id, const char *dir, nacre_role role,
                                             const char *name, nacre_detail *why);

/* nacre_sqlite_export moves an active context, with its state, into a new directory (nacre_directory_create). As with
 * nacre_sqlite_remove, a loaded one is stopped. After an interruption the same call completes the move; a hidden directory beside
 * `dir` is its working copy: never use that.
 * NACRE_OK
 * NACRE_ERR_BAD_ARGUMENT  no active context with that id; `dir` is not a name for a directory
 * NACRE_ERR_UNSUPPORTED   only its derived keys are known
 * NACRE_ERR_FILE          `dir` exists or cannot be made; the common errors */
NACRE_MUST_USE nacre_err nacre_sqlite_export(nacre_sqlite *db, int64_t id, const char *dir, nacre_detail *why);

/* ---- Condition ---- */
typedef struct nacre_sqlite_stats {
    uint64_t num_active, num_removed, num_revoked, num_exported;
    uint64_t num_loaded;    /* by this handle */
    uint64_t num_exhausted; /* active contexts without numbers left */
    uint64_t num_writes;    /* transactions since the database was made */
    uint64_t file_size;     /* bytes, without DB-wal */
    bool used;              /* numbers were reserved: copies are refused from then on */
    bool encrypted;         /* has a key-encryption key */
    bool elsewhere;         /* a copy; only with read_only */
    nacre_mark mark;        /* which copies are detected here */
} nacre_sqlite_stats;
NACRE_MUST_USE nacre_err nacre_sqlite_get_stats(nacre_sqlite *db, nacre_sqlite_stats *stats, nacre_detail *why);

/* nacre_sqlite_check reads everything, changes nothing, and calls `on_problem` with one line for each problem: damaged pages and
 * rows, a copy, weaknesses of permissions. It works while another process has the database open. Without the kek of `config`, keys
 * are not checked. NACRE_OK: it was read; `num_problems` counts the lines (may be NULL). */
typedef void (*nacre_sqlite_on_problem)(void *user, const char *text);
NACRE_MUST_USE nacre_err nacre_sqlite_check(const char *path, const nacre_sqlite_config *config,
                                            const nacre_crypto *crypto, nacre_sqlite_on_problem on_problem, void *user,
                                            size_t *num_problems, nacre_detail *why);

#ifdef __cplusplus
}
#endif

#endif
