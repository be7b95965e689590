/* SPDX-License-Identifier: MIT */
/* sqlite_internal: shared by the files of the database of contexts. */
#ifndef NACRE_STORE_SQLITE_INTERNAL_H
#define NACRE_STORE_SQLITE_INTERNAL_H

#include <nacre/sqlite.h>

#include <pthread.h>
#include <sqlite3.h>
#include <sys/types.h>

#include "store/file/file_identity.h"
#include "store/sqlite/sqlite_statements.h"

enum {
    NACRE__SQLITE_SCHEMA_VERSION = 1,
    NACRE__SQLITE_APPLICATION = 0x6e616372, /* "nacr", in the database's header */
    NACRE__SQLITE_ID = 16,
    NACRE__SQLITE_FINGERPRINT = 16,
    NACRE__SQLITE_FINGERPRINT_KEY = 32,
    NACRE__SQLITE_STAMPS = 4,
    NACRE__SQLITE_BUSY_MS = 5000,
    NACRE__SQLITE_MAX_KEYS = 2 * (2 + 256) + 2 * NACRE_MAX_KEY + NACRE_MAX_NONCE + 1,
    NACRE__SQLITE_MAX_BLOB = NACRE__SQLITE_MAX_KEYS + 12 + 16, /* with nonce and tag */
};

typedef enum nacre__sqlite_statement {
#define NACRE__SQLITE_ENUM(name, text) NACRE__SQLITE_##name,
    NACRE__SQLITE_STATEMENTS(NACRE__SQLITE_ENUM)
#undef NACRE__SQLITE_ENUM
        NACRE__SQLITE_NUM_STATEMENTS
} nacre__sqlite_statement;

/* ---- The path: sqlite_paths.c ---- */
typedef struct nacre__sqlite_paths {
    const char *path; /* as given, for messages */
    char *real;       /* the resolved path of its directory, "/" and its name */
    char *mark, *log; /* real + "-mark", real + "-wal" */
    int fd;           /* DB, by O_PATH: closing any other descriptor would drop SQLite's locks; -1: none */
    int log_fd;       /* DB-wal in the same way */
} nacre__sqlite_paths;
/* nacre__sqlite_paths_find resolves the path; the file need not exist. NACRE_OK; NACRE_ERR_FILE; NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre__sqlite_paths_find(nacre__sqlite_paths *paths, const char *path, nacre_detail *why);
/* nacre__sqlite_paths_open checks the file (kind, owner, mode, links, file system) and opens `fd`. NACRE_OK; NACRE_ERR_FILE */
NACRE_MUST_USE nacre_err nacre__sqlite_paths_open(nacre__sqlite_paths *paths, nacre_detail *why);
/* nacre__sqlite_paths_check_beside refuses a link, or another kind of file, at DB with this suffix. NACRE_OK also if there is none;
 * NACRE_ERR_FILE */
NACRE_MUST_USE nacre_err nacre__sqlite_paths_check_beside(const nacre__sqlite_paths *paths, const char *suffix,
                                                          nacre_detail *why);
/* nacre__sqlite_paths_open_log opens `log_fd`, once SQLite has made DB-wal. NACRE_OK; NACRE_ERR_FILE */
NACRE_MUST_USE nacre_err nacre__sqlite_paths_open_log(nacre__sqlite_paths *paths, nacre_detail *why);
/* NACRE_OK; NACRE_ERR_LOCKED: `path` no longer names the file of `fd`; NACRE_ERR_FILE. */
NACRE_MUST_USE nacre_err nacre__sqlite_paths_check(const char *path, int fd, nacre_detail *why);
void nacre__sqlite_paths_free(nacre__sqlite_paths *paths);

/* ---- DB-mark: sqlite_mark.c ---- */
typedef struct nacre__sqlite_mark {
    bool found; /* there is a valid record; if not, the rest is zero */
    uint64_t serial;
    uint8_t database[NACRE__SQLITE_ID];
    uint32_t stamps[NACRE__SQLITE_STAMPS]; /* the database's header has one of these; 0: unused */
    uint64_t writes;                       /* the database has at least as many; 0: unknown */
} nacre__sqlite_mark;
/* nacre__sqlite_mark_lock opens the file, makes it if needed, and locks it, waiting up to a second.
 * NACRE_OK; NACRE_ERR_LOCKED; NACRE_ERR_FILE */
NACRE_MUST_USE nacre_err nacre__sqlite_mark_lock(int *fd, const nacre__sqlite_paths *paths, nacre_detail *why);
/* nacre__sqlite_mark_read: `fd` -1: opens the file for reading; a missing file is not found. NACRE_OK; NACRE_ERR_FILE */
NACRE_MUST_USE nacre_err nacre__sqlite_mark_read(nacre__sqlite_mark *mark, int fd, const nacre__sqlite_paths *paths,
                                                 nacre_detail *why);
/* nacre__sqlite_mark_put makes all of `mark` but its number of writes durable, and counts up its serial. */
NACRE_MUST_USE nacre_err nacre__sqlite_mark_put(nacre__sqlite_mark *mark, int fd, const nacre__sqlite_paths *paths,
                                                nacre_detail *why);
/* Whether the header of the database may have this stamp. */
bool nacre__sqlite_mark_has(const nacre__sqlite_mark *mark, uint32_t stamp);
/* nacre__sqlite_mark_count writes the number of writes, without a sync: it need not survive a power cut. */
NACRE_MUST_USE nacre_err nacre__sqlite_mark_count(nacre__sqlite_mark *mark, uint64_t writes, int fd,
                                                  const nacre__sqlite_paths *paths, nacre_detail *why);

/* ---- An open database ---- */
typedef struct nacre__sqlite_loaded nacre__sqlite_loaded;
typedef struct nacre__sqlite_slab nacre__sqlite_slab;

struct nacre_sqlite {
    nacre__sqlite_paths paths;
    sqlite3 *conn, *holder; /* `holder` reads, so that no other program moves DB-wal into the database; NULL: none */
    sqlite3_stmt *statements[NACRE__SQLITE_NUM_STATEMENTS];
    pthread_mutex_t lock; /* over all below */
    pid_t owner;
    bool read_only;
    const nacre_crypto *crypto;
    uint16_t first_chunk, max_chunk;

    uint8_t database[NACRE__SQLITE_ID], hash_key[16], fingerprint_key[NACRE__SQLITE_FINGERPRINT_KEY];
    void *kek[2]; /* prepared for NACRE_SEAL and NACRE_OPEN; NULL: none */
    size_t kek_size;

    int mark_fd; /* locked; -1: none */
    nacre__sqlite_mark mark;
    uint64_t writes;     /* in the database */
    uint64_t stamped_ms; /* when the stamp was renewed */
    int num_frames;      /* in DB-wal */
    bool must_renew;     /* a renewal failed: the next transaction begins with one */
    bool must_erase;     /* DB-wal may have keys that were revoked: it must be emptied */
    bool claims;         /* the present transaction sets the identity */
    bool is_used, is_encrypted;
    bool is_copied;    /* an old or another copy, open for reading only */
    nacre_detail lost; /* the error that stopped all writes; "": none */

    nacre__sqlite_loaded **loaded; /* hash table by id: open addressing, NULL is free */
    size_t cap_loaded, num_loaded;
    nacre__sqlite_slab *slabs;
};

/* ---- The connection: sqlite_connection.c ---- */
NACRE_MUST_USE nacre_err nacre__sqlite_connect(nacre_sqlite *db, bool create, nacre_detail *why);
/* nacre__sqlite_prepare compiles the statements, once the tables are there. */
NACRE_MUST_USE nacre_err nacre__sqlite_prepare(nacre_sqlite *db, nacre_detail *why);
void nacre__sqlite_disconnect(nacre_sqlite *db);
/* nacre__sqlite_use_log makes sure that the database is in WAL mode, which another program may have ended. */
NACRE_MUST_USE nacre_err nacre__sqlite_use_log(nacre_sqlite *db, nacre_detail *why);
/* nacre__sqlite_hold_log begins a read transaction beside those of `conn`: checkpoints of other programs stop at it.
 * nacre__sqlite_let_log ends it, for one of nacre's own. */
NACRE_MUST_USE nacre_err nacre__sqlite_hold_log(nacre_sqlite *db, nacre_detail *why);
void nacre__sqlite_let_log(nacre_sqlite *db);
/* Runs SQL text, and ignores its results. */
NACRE_MUST_USE nacre_err nacre__sqlite_exec(nacre_sqlite *db, const char *text, nacre_detail *why);
/* nacre__sqlite_use resets a statement and returns it, ready to bind. */
sqlite3_stmt *nacre__sqlite_use(nacre_sqlite *db, nacre__sqlite_statement which);
/* nacre__sqlite_run steps a statement without results and resets it. `num_changed` may be NULL. */
NACRE_MUST_USE nacre_err nacre__sqlite_run(nacre_sqlite *db, nacre__sqlite_statement which, int *num_changed,
                                           nacre_detail *why);
/* nacre__sqlite_step: `*row` tells whether there is one. Without a row, or on failure, the statement is reset. */
NACRE_MUST_USE nacre_err nacre__sqlite_step(nacre_sqlite *db, nacre__sqlite_statement which, bool *row,
                                            nacre_detail *why);
void nacre__sqlite_reset(nacre_sqlite *db, nacre__sqlite_statement which);
/* What to do about an errno of DB, DB-mark or DB-wal, as nacre__store_advice. */
const char *nacre__sqlite_advice(int number);
/* nacre__sqlite_fail returns the error of nacre for SQLite's `code`; its text is "cannot `doing`", the reason and advice. */
nacre_err nacre__sqlite_fail(const nacre_sqlite *db, int code, const char *doing, nacre_detail *why);
/* The stamp in the header of the file itself, without DB-wal. */
NACRE_MUST_USE nacre_err nacre__sqlite_stamp_of_file(nacre_sqlite *db, uint32_t *stamp, uint32_t *application,
                                                     nacre_detail *why);

/* ---- The stamp: sqlite_stamp.c ---- */
/* nacre__sqlite_renew gives the database a new stamp and moves DB-wal into it; `truncate`: also empties DB-wal, if no
 * reader keeps it; `must_erase` waits for readers, and fails if they stay. */
NACRE_MUST_USE nacre_err nacre__sqlite_renew(nacre_sqlite *db, bool truncate, nacre_detail *why);
bool nacre__sqlite_is_stamp_due(const nacre_sqlite *db);
/* nacre__sqlite_replace_mark makes DB-mark this database's, with the stamp of its file and no other.
 * nacre__sqlite_start_mark does so if it is not yet. */
NACRE_MUST_USE nacre_err nacre__sqlite_replace_mark(nacre_sqlite *db, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__sqlite_start_mark(nacre_sqlite *db, nacre_detail *why);

/* ---- Old copies: sqlite_fresh.c ---- */
/* nacre__sqlite_read_meta reads the row of meta and checks the schema's version. */
NACRE_MUST_USE nacre_err nacre__sqlite_read_meta(nacre_sqlite *db, char identity[NACRE__FILE_IDENTITY_TEXT],
                                                 nacre_bytes *kek, uint8_t kek_buf[64], nacre_detail *why);
/* nacre__sqlite_check_fresh: NACRE_OK; NACRE_ERR_BAD_CONTEXT: an old or another copy; NACRE_ERR_FILE */
NACRE_MUST_USE nacre_err nacre__sqlite_check_fresh(nacre_sqlite *db, const char *identity, nacre_detail *why);
/* nacre__sqlite_check_ours, before each write. NACRE_OK; NACRE_ERR_LOCKED: replaced by another program, now or before;
 * NACRE_ERR_BAD_ARGUMENT: open for reading only; NACRE_ERR_FILE */
NACRE_MUST_USE nacre_err nacre__sqlite_check_ours(nacre_sqlite *db, nacre_detail *why);

/* nacre__sqlite_stop_writes: `what` has happened, so nothing is written any more. Returns NACRE_ERR_LOCKED. */
nacre_err nacre__sqlite_stop_writes(nacre_sqlite *db, const nacre_detail *what, nacre_detail *why);

/* ---- Transactions: sqlite_transaction.c ---- */
/* A write transaction. nacre__sqlite_begin renews the stamp when due.
 * nacre__sqlite_end commits if `err` is NACRE_OK and otherwise rolls back; returns `err`, or why the commit failed. */
NACRE_MUST_USE nacre_err nacre__sqlite_begin(nacre_sqlite *db, nacre_detail *why);
/* nacre__sqlite_claim, in a transaction: once it is committed the database belongs to this file, and copies are refused. */
NACRE_MUST_USE nacre_err nacre__sqlite_claim(nacre_sqlite *db, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__sqlite_end(nacre_sqlite *db, nacre_err err, nacre_detail *why);
/* All reads between these two see the same state of the database. nacre__sqlite_end_read returns `err`, or why it failed. */
NACRE_MUST_USE nacre_err nacre__sqlite_begin_read(nacre_sqlite *db, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__sqlite_end_read(nacre_sqlite *db, nacre_err err, nacre_detail *why);
/* nacre__sqlite_enter locks the database for a public function, after checking the process; `writes`: nacre__sqlite_check_ours
 * too. On failure it is not locked. nacre__sqlite_leave unlocks. */
NACRE_MUST_USE nacre_err nacre__sqlite_enter(nacre_sqlite *db, bool writes, nacre_detail *why);
void nacre__sqlite_leave(nacre_sqlite *db);

/* ---- Opening: sqlite_object.c, sqlite_open.c ---- */
typedef enum nacre__sqlite_use_as {
    NACRE__SQLITE_AS_CONFIGURED,
    NACRE__SQLITE_TO_ADOPT, /* copies are not refused; written, whatever read_only is */
    NACRE__SQLITE_TO_CHECK, /* read only */
} nacre__sqlite_use_as;
/* Checks a configuration. Errors as nacre_sqlite_open. */
NACRE_MUST_USE nacre_err nacre__sqlite_check_config(const nacre_sqlite_config *config, const char *path,
                                                    nacre_detail *why);
/* nacre__sqlite_allocate resolves the path and opens nothing. nacre__sqlite_release closes and frees without writing. */
NACRE_MUST_USE nacre_err nacre__sqlite_allocate(nacre_sqlite **db, const char *path, const nacre_sqlite_config *config,
                                                nacre__sqlite_use_as use, const nacre_crypto *crypto,
                                                nacre_detail *why);
void nacre__sqlite_release(nacre_sqlite *db);
NACRE_MUST_USE nacre_err nacre__sqlite_open(nacre_sqlite **db, const char *path, const nacre_sqlite_config *config,
                                            nacre__sqlite_use_as use, const nacre_crypto *crypto, nacre_detail *why);

/* ---- Keys: sqlite_keys.c ---- */
typedef struct nacre__sqlite_keys {
    uint8_t sender_key[NACRE_MAX_KEY], recipient_key[NACRE_MAX_KEY], common_iv[NACRE_MAX_NONCE];
    uint8_t secret[256], salt[256];
    size_t secret_len, salt_len;
} nacre__sqlite_keys; /* wipe it */
NACRE_MUST_USE nacre_err nacre__sqlite_kek_set(nacre_sqlite *db, nacre_bytes kek, nacre_detail *why);
void nacre__sqlite_kek_free(nacre_sqlite *db);
NACRE_MUST_USE nacre_err nacre__sqlite_kek_proof(nacre_sqlite *db, uint8_t proof[64], size_t *len, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__sqlite_kek_check(nacre_sqlite *db, nacre_bytes proof, nacre_detail *why);
/* nacre__sqlite_keys_of takes or derives the keys of a context. Errors as nacre_sqlite_add. */
NACRE_MUST_USE nacre_err nacre__sqlite_keys_of(nacre__sqlite_keys *keys, const nacre_sqlite *db,
                                               const nacre_sqlite_context *context, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__sqlite_fingerprint(uint8_t out[NACRE__SQLITE_FINGERPRINT], const nacre_sqlite *db,
                                                   const nacre_aead *aead, nacre_bytes key, nacre_detail *why);
/* The column "keys" of a row with this fingerprint. */
NACRE_MUST_USE nacre_err nacre__sqlite_keys_encode(const nacre_sqlite *db, uint8_t blob[NACRE__SQLITE_MAX_BLOB],
                                                   size_t *len, const nacre__sqlite_keys *keys, const nacre_aead *aead,
                                                   const uint8_t *fingerprint, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__sqlite_keys_decode(const nacre_sqlite *db, nacre__sqlite_keys *keys, nacre_bytes blob,
                                                   const nacre_aead *aead, const uint8_t *fingerprint, int64_t id,
                                                   nacre_detail *why);

#endif
