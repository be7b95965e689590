/* SPDX-License-Identifier: MIT */
/* sqlite: many contexts in an SQLite database, which other tools can read, back up and query. Hosted, as store.h. Needs a build
 * with libsqlite3; without it nacre_sqlite_create, _open, _adopt and _check return NACRE_ERR_UNSUPPORTED.
 *
 *     nacre_sqlite_create    makes an empty database
 *     nacre_sqlite_open      opens and locks it
 *     nacre_sqlite_add       adds contexts; nacre_sqlite_import moves one from a directory into the database
 *     nacre_sqlite_find      gives the contexts that may have protected a request
 *     nacre_sqlite_load      makes contexts ready to use
 *     nacre_sqlite_store     gives the store of a loaded context
 *     nacre_sqlite_remove    ends contexts; nacre_sqlite_revoke ends them for good; nacre_sqlite_export moves one into a directory
 *     nacre_sqlite_close     writes the states and frees
 *
 * Files. DB is the database, in WAL mode; DB-wal and DB-shm are SQLite's; DB-mark is the lock, and has what detects old copies.
 * docs/fleet.md shows the tables, src/store/sqlite/schema.sql defines them. DB must be a regular file of this user with mode 0600
 * or less, not a symbolic link, without further names (hard links), and on a local file system, because WAL does not work on a
 * network file system.
 *
 * Durability, as with directories: sequence numbers are stored as used before they are used (RFC 8613 B.1.1), and a replay window
 * is stored as unknown before the first request moves it (B.1.2). All store requests that wait at one time are one transaction with
 * one sync.
 *
 * Copies. In an old copy of the database, numbers that were used since are free, and two copies of a new one begin at the same
 * number. A database that was opened, except with read_only, is therefore refused, until nacre_sqlite_adopt, after these:
 *   moved or copied to another file   its meta row names the file that was opened (inode and birth time; nacre_mark_at says
 *                                     what the file system supports)
 *   overwritten ("cp backup live")    DB-mark and the database both have the number of writes and a random stamp, which is renewed
 *                                     at each open, at close, with each checkpoint, and before a write when it is a minute old
 *   separated from its DB-mark
 * Not detected: DB and DB-mark both overwritten in place with files of one backup; copies of a database that was never
 * opened, which is empty; images and snapshots of a whole file system. All of these use numbers twice. Back up with "sqlite3 DB '.backup FILE'", which makes a
 * file that others can read under a usual umask: set 077.
 *
 * Keys are stored in plain, or encrypted if the database was created with a key-encryption key. That protects the keys from readers
 * of the file and its backups. It does not protect sequence numbers: a program that can write the file can make them repeat.
 *
 * A database belongs to the process that opened it. One thread at a time may call the functions below; the stores of its
 * contexts may be used by several. In the child of a fork its contexts are wiped and every call fails with NACRE_ERR_LOCKED;
 * close it there too.
 *
 * Common errors, of all functions. Unless said otherwise nothing was changed; `why`, which may be NULL, has the reason in one line.
 * NACRE_ERR_FILE          no permission, full disk, I/O error: remove the cause and try again
 * NACRE_ERR_BAD_CONTEXT   damaged: restore a backup and adopt it, or give the context new keys
 * NACRE_ERR_LOCKED        another program has changed the files, or this is the child of a fork: nothing is written any more,
 *                         and each context stops when it next needs the store; close the database
 * NACRE_ERR_BAD_ARGUMENT  a function that changes something, or loads, and the database is open with read_only
 * NACRE_ERR_CRYPTO        no random bytes, or the cryptography library failed
 * NACRE_ERR_NO_MEMORY */
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

enum {
    NACRE_SQLITE_KEK = 32,  /* bytes of a key-encryption key: AES-256-GCM */
    NACRE_SQLITE_NAME = 64, /* bytes of a name, with the final 0 */
};

typedef struct nacre_sqlite_config {
    size_t size;     /* set by nacre_sqlite_config_default, see CONVENTIONS.md, "Configurations" */
    nacre_bytes kek; /* NACRE_SQLITE_KEK random bytes, copied; or absent: keys are stored in plain */
    /* For nacre_sqlite_open: only nacre_sqlite_find, _list and _get_stats may be called, also while another process has the
     * database open. Copies are not refused; nothing is locked or written; without `kek`, encrypted keys are not revealed. */
    bool read_only;
    uint16_t first_chunk,
        max_chunk; /* sequence numbers reserved at a time (nacre_directory_options); 0: 10 and 10000 */
} nacre_sqlite_config;
nacre_sqlite_config nacre_sqlite_config_default(void);

/* nacre_sqlite_is_built: whether this library was built with SQLite. */
bool nacre_sqlite_is_built(void);

/* nacre_sqlite_create makes an empty database, durably, with mode 0600. `config` may be NULL; only `kek` is used.
 * NACRE_OK                open it with nacre_sqlite_open
 * NACRE_ERR_FILE          `path` exists, or DB-wal or DB-journal of another database; or it cannot be made, and nothing remains
 * NACRE_ERR_BAD_ARGUMENT  a smaller configuration, a kek of another length, first_chunk above max_chunk or that above 10000
 * NACRE_ERR_UNSUPPORTED   built without SQLite, or `crypto` has no AES-256-GCM
 * NACRE_ERR_LOCKED        another process creates it at this moment
 * the common errors */
NACRE_MUST_USE nacre_err nacre_sqlite_create(const char *path, const nacre_sqlite_config *config,
                                             const nacre_crypto *crypto, nacre_detail *why);

/* nacre_sqlite_open opens a database. `crypto` must outlive it. `config`: NULL means the defaults.
 * NACRE_OK               close it with nacre_sqlite_close
 * NACRE_ERR_LOCKED       it is open elsewhere, or in this process, and stayed so for a second; stop the other user
 * NACRE_ERR_BAD_CONTEXT  a copy (nacre_sqlite_adopt accepts it), damaged, not a database of nacre, or the kek is missing or wrong
 * NACRE_ERR_UNSUPPORTED  the schema of a newer version of nacre: update nacre; built without SQLite; no AES-256-GCM for a kek
 * NACRE_ERR_BAD_ARGUMENT a smaller configuration, a kek of another length, first_chunk above max_chunk or that above 10000
 * NACRE_ERR_FILE         it does not exist, other users can read it, it is another user's, a link, on a network file system …
 * NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_sqlite_open(nacre_sqlite **db, const char *path, const nacre_sqlite_config *config,
                                           const nacre_crypto *crypto, nacre_detail *why);

/* nacre_sqlite_close writes the present states of all loaded contexts, wipes them and frees the database. Remove the contexts
 * from tables and endpoints first. On failure it is closed too; states that were not written are safe: unused numbers are
 * skipped and windows unknown at the next open. NULL is allowed. The common errors. */
nacre_err nacre_sqlite_close(nacre_sqlite *db, nacre_detail *why);

/* nacre_sqlite_adopt permits the use of a database that was copied, restored or moved. No other copy may be used afterwards. The
 * sequence numbers of each context, ended ones included, continue NACRE_ADOPT_SKIP plus a random number below 2^32 above those in
 * the database; windows become unknown (B.1.2). A context with fewer numbers left is used up: replace its keys. Contexts that were
 * revoked after the copy was made are valid again: revoke them again. After an interruption call it again. Errors as
 * nacre_sqlite_open. A context with a damaged state is used up too; one with a damaged row is refused as before. */
NACRE_MUST_USE nacre_err nacre_sqlite_adopt(const char *path, const nacre_sqlite_config *config,
                                            const nacre_crypto *crypto, nacre_detail *why);

/* ---- Contexts ----
 * Each context has an id, which is never given to other keys. When a context ends, its keys are erased; its row stays, with a keyed
 * fingerprint of its Sender Key and the sequence number below which all may have been used:
 *   REMOVED   the same two keys may be added again: they get the same id, continue at that number, and the window is unknown
 *   EXPORTED  the same, but only by nacre_sqlite_import of the directory, or with its next number: not as new keys
 *   REVOKED   the same keys are refused
 * Another Sender Key with the Recipient Key of an ended context: its window is unknown if that one was removed; otherwise it is
 * refused. Its Sender Key with another Recipient Key is refused. */
typedef enum nacre_sqlite_status {
    NACRE_SQLITE_ACTIVE = 0,
    NACRE_SQLITE_REMOVED = 1,
    NACRE_SQLITE_REVOKED = 2,
    NACRE_SQLITE_EXPORTED = 3,
} nacre_sqlite_status;

typedef struct nacre_sqlite_context {
    int64_t id;                   /* assigned by the database, from 1 on; ignored by nacre_sqlite_add */
    nacre_sqlite_status status;   /* ignored by nacre_sqlite_add */
    char name[NACRE_SQLITE_NAME]; /* UTF-8, unique among active contexts; "": none */
    /* Parameters and state; layout, role and has_state are not used, and a window of 0 means 32. Listings have secret, salt and
     * keys only with `reveal`. nacre_sqlite_add needs the secret, and the salt if there is one; or, without a secret, the three
     * derived keys, as from an EDHOC exchange: such a context cannot be exported. For new keys next_to_send is 0 and
     * window_known true. */
    nacre_directory_info info;
    uint8_t sender_key[NACRE_MAX_KEY], recipient_key[NACRE_MAX_KEY], common_iv[NACRE_MAX_NONCE];
} nacre_sqlite_context;

/* Sets `context`, which is all zero, to number `index` of those to add, and returns NACRE_OK or an error that ends
 * nacre_sqlite_add. It must not call the database. `context` is wiped afterwards. */
typedef nacre_err (*nacre_sqlite_source)(void *user, nacre_sqlite_context *context, size_t index, nacre_detail *why);

/* nacre_sqlite_add adds `num` contexts in one transaction: all, or none. `ids`: NULL, or `num` elements.
 * NACRE_OK                     durable; nacre_sqlite_load makes them ready to use
 * NACRE_ERR_DUPLICATE_CONTEXT  an active context has the same Sender Key or the same Recipient Key (RFC 8613 3.3), or the name
 * NACRE_ERR_BAD_CONTEXT        invalid parameters, or the keys were revoked, or exported and not moved back
 * NACRE_ERR_UNSUPPORTED        the cryptography library lacks the algorithm; or NACRE_MAX_CANDIDATES contexts have this
 *                              Recipient ID and ID Context already
 * what `source` returns; the common errors */
NACRE_MUST_USE nacre_err nacre_sqlite_add(nacre_sqlite *db, int64_t *ids, size_t num, nacre_sqlite_source source,
                                          void *user, nacre_detail *why);

/* nacre_sqlite_find sets the ids of the active contexts that each query matches, as nacre_table_find. The common errors. */
typedef struct nacre_sqlite_query {
    nacre_bytes kid, kid_context;      /* borrowed. kid absent: no context; kid_context absent: of any ID Context */
    int64_t ids[NACRE_MAX_CANDIDATES]; /* result */
    size_t num_ids;                    /* result */
} nacre_sqlite_query;
NACRE_MUST_USE nacre_err nacre_sqlite_find(nacre_sqlite *db, nacre_sqlite_query *queries, size_t num,
                                           nacre_detail *why);

/* nacre_sqlite_load makes contexts ready to use, with keys and state. `contexts` has `num` elements: the context of each id,
 * also if it was loaded before, or NULL if no active context has that id. The database owns them; each is valid until
 * nacre_sqlite_unload or nacre_sqlite_close.
 * NACRE_OK
 * NACRE_ERR_BAD_CONTEXT  some contexts are damaged: their elements are NULL, all others are loaded. `why` has the id of the first;
 *                        load a context alone for its own text
 * NACRE_ERR_UNSUPPORTED  the same, of contexts whose algorithm the cryptography library lacks
 * the other common errors: all elements are NULL, and this call has loaded nothing */
NACRE_MUST_USE nacre_err nacre_sqlite_load(nacre_sqlite *db, nacre_context **contexts, const int64_t *ids, size_t num,
                                           nacre_detail *why);

/* nacre_sqlite_load_all loads every active context and calls `on_context` for each. `ctx` NULL: one that is damaged or whose algorithm
 * is missing; `why` has its id, and NACRE_OK goes on without it. An error that `on_context` returns ends the loading and is
 * returned; contexts loaded until then stay loaded. NACRE_OK; the common errors */
typedef nacre_err (*nacre_sqlite_on_context)(void *user, nacre_context *ctx, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre_sqlite_load_all(nacre_sqlite *db, nacre_sqlite_on_context on_context, void *user,
                                               nacre_detail *why);

/* nacre_sqlite_store and nacre_sqlite_id: the store and the id of a loaded context. nacre_sqlite_path: as given to
 * nacre_sqlite_open, valid until nacre_sqlite_close. */
nacre_store nacre_sqlite_store(nacre_context *ctx);
int64_t nacre_sqlite_id(const nacre_context *ctx);
const char *nacre_sqlite_path(const nacre_sqlite *db);

/* nacre_sqlite_unload writes the present state of a loaded context and wipes it. Remove it from tables and endpoints first. On
 * failure it is wiped too, and the state that was not written is safe, as with nacre_sqlite_close. NACRE_OK; the common errors */
nacre_err nacre_sqlite_unload(nacre_sqlite *db, nacre_context *ctx, nacre_detail *why);

/* nacre_sqlite_remove ends the active contexts with these ids, all or none, in one transaction. Loaded ones are stopped
 * (nacre_context_stop), and must still be unloaded. nacre_sqlite_revoke ends contexts for good, also removed and exported ones and
 * damaged ones, and then overwrites their keys in the log too (wal_checkpoint TRUNCATE).
 * NACRE_OK
 * NACRE_ERR_BAD_ARGUMENT  one of the ids has no active context; nothing has changed
 * NACRE_ERR_FILE          of revoke, with `why` "the contexts are revoked, but …": they are, but their keys may still be in DB-wal;
 *                         nacre_sqlite_close and the next revocation overwrite them
 * the common errors */
NACRE_MUST_USE nacre_err nacre_sqlite_remove(nacre_sqlite *db, const int64_t *ids, size_t num, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre_sqlite_revoke(nacre_sqlite *db, const int64_t *ids, size_t num, nacre_detail *why);

/* nacre_sqlite_list calls `visit` for each context that `filter` allows, in the order of ids; NULL: each active one. An error that `visit`
 * returns ends the listing and is returned. `visit` must not call the database; `context` is valid until it returns.
 * NACRE_OK
 * NACRE_ERR_BAD_CONTEXT   damaged contexts were left out, or with `reveal` the kek is missing; `why` has the id of the first
 * NACRE_ERR_BAD_ARGUMENT  a filter of another size
 * the common errors */
typedef struct nacre_sqlite_filter {
    size_t size;   /* sizeof the struct, or 0; see CONVENTIONS.md, "Options" */
    int64_t after; /* only ids above it */
    size_t max;    /* 0: all */
    bool ended;    /* also removed, revoked and exported contexts */
    bool reveal;   /* with secret, salt and keys */
} nacre_sqlite_filter;
typedef nacre_err (*nacre_sqlite_visit)(void *user, const nacre_sqlite_context *context, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre_sqlite_list(nacre_sqlite *db, const nacre_sqlite_filter *filter,
                                           nacre_sqlite_visit visit, void *user, nacre_detail *why);

/* nacre_sqlite_import moves a directory's context, with its present state, into the database. The directory must not be open, and
 * cannot be used afterwards: nacre refuses it, and for other programs its numbers are used up. `id` and `name` may be NULL;
 * `role` as in nacre_directory_open_as. After an interruption the same call completes the move.
 * NACRE_OK                it is in the database, now or since an earlier call
 * NACRE_ERR_BAD_ARGUMENT  a name of NACRE_SQLITE_NAME bytes or more
 * errors as nacre_directory_open and nacre_sqlite_add */
NACRE_MUST_USE nacre_err nacre_sqlite_import(nacre_sqlite *db, int64_t *id, const char *dir, nacre_role role,
                                             const char *name, nacre_detail *why);

/* nacre_sqlite_export moves an active context, with its state, into a new directory (nacre_directory_create). A loaded one is
 * stopped, as by nacre_sqlite_remove, and its window in the directory is unknown. After an interruption the same call completes
 * the move; until then a hidden directory beside `dir`, ".NAME.exported", belongs to it: never use that. One that is left of an
 * attempt before another export is refused: remove it.
 * NACRE_OK
 * NACRE_ERR_BAD_ARGUMENT  no active context has that id; `dir` is no name for a directory, or too long
 * NACRE_ERR_UNSUPPORTED   only its derived keys are known
 * NACRE_ERR_FILE          `dir` exists or cannot be made
 * NACRE_ERR_BAD_CONTEXT   the hidden directory has another context: `why` says what to do
 * the common errors */
NACRE_MUST_USE nacre_err nacre_sqlite_export(nacre_sqlite *db, int64_t id, const char *dir, nacre_detail *why);

/* ---- Condition ---- */
typedef struct nacre_sqlite_stats {
    uint64_t num_active, num_removed, num_revoked, num_exported;
    uint64_t num_loaded;    /* contexts loaded now */
    uint64_t num_exhausted; /* active contexts without sequence numbers left */
    uint64_t num_writes;    /* transactions since the database was made */
    uint64_t file_size;     /* bytes, without DB-wal */
    bool used;              /* it was opened for writing: copies are refused from then on */
    bool encrypted;         /* has a key-encryption key */
    bool copied;            /* a copy that nacre_sqlite_open refuses; only with read_only */
    nacre_mark mark;        /* which copies are detected here */
} nacre_sqlite_stats;
/* nacre_sqlite_get_stats sets `stats`. NACRE_OK; the common errors, `stats` unchanged */
NACRE_MUST_USE nacre_err nacre_sqlite_get_stats(nacre_sqlite *db, nacre_sqlite_stats *stats, nacre_detail *why);

/* nacre_sqlite_check reads everything, changes nothing, and calls `on_problem` with one line for each problem: damaged pages
 * and rows, a copy, a file system on which copies are not detected. It works while another process has the database open.
 * `config` may be NULL; without its kek, encrypted keys are not checked. `num_problems` may be NULL.
 * NACRE_OK: it was read, and num_problems counts the lines; otherwise errors as nacre_sqlite_open */
typedef void (*nacre_sqlite_on_problem)(void *user, const char *text);
NACRE_MUST_USE nacre_err nacre_sqlite_check(const char *path, const nacre_sqlite_config *config,
                                            const nacre_crypto *crypto, nacre_sqlite_on_problem on_problem, void *user,
                                            size_t *num_problems, nacre_detail *why);

#ifdef __cplusplus
}
#endif

#endif
