/* SPDX-License-Identifier: MIT */
/* sqlite_rows: the rows of contexts and states, and adding and ending contexts inside a transaction. */
#ifndef NACRE_STORE_SQLITE_ROWS_H
#define NACRE_STORE_SQLITE_ROWS_H

#include "store/sqlite/sqlite_internal.h"

/* ---- Rows: sqlite_row.c ---- */
typedef struct nacre__sqlite_state {
    uint64_t next;
    bool window_known;
    uint64_t window_index;
    uint8_t bits[NACRE_REPLAY_MAX / 8];
    size_t bits_len;
} nacre__sqlite_state;
typedef struct nacre__sqlite_row {
    int64_t id;
    nacre_sqlite_status status;
    uint8_t fingerprint[NACRE__SQLITE_FINGERPRINT], peer_fingerprint[NACRE__SQLITE_FINGERPRINT];
    char name[NACRE_SQLITE_NAME];
    const nacre_aead *aead;
    nacre_hash hash;
    uint16_t window;
    uint8_t sender_id[NACRE_MAX_ID], recipient_id[NACRE_MAX_ID], id_context[255];
    size_t sender_id_len, recipient_id_len, id_context_len;
    bool has_id_context;
    uint8_t blob[NACRE__SQLITE_MAX_BLOB];
    size_t blob_len;
    uint64_t ceiling;
    bool is_whole;             /* though its state may be damaged */
    nacre__sqlite_state state; /* of an active context */
} nacre__sqlite_row;           /* wipe it */
/* nacre__sqlite_row_read copies the present row of a statement. NACRE_OK; NACRE_ERR_BAD_CONTEXT: damaged */
NACRE_MUST_USE nacre_err nacre__sqlite_row_read(nacre__sqlite_row *row, nacre_sqlite *db, sqlite3_stmt *stmt,
                                                nacre_detail *why);
/* nacre__sqlite_row_repair replaces parameters that are impossible, so that a damaged row can be written, with an end. */
void nacre__sqlite_row_repair(nacre__sqlite_row *row);
/* nacre__sqlite_row_find and nacre__sqlite_row_by_fingerprint read one row; `row` is set only if it is found: what can be read if it
 * is damaged, and `is_whole` tells whether only its state is. */
NACRE_MUST_USE nacre_err nacre__sqlite_row_find(nacre__sqlite_row *row, bool *found, nacre_sqlite *db, int64_t id,
                                                nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__sqlite_row_by_fingerprint(nacre__sqlite_row *row, bool *found, nacre_sqlite *db,
                                                          const uint8_t *fingerprint, nacre_detail *why);
int64_t nacre__sqlite_row_sum(const nacre_sqlite *db, const nacre__sqlite_row *row);
int64_t nacre__sqlite_state_sum(const nacre_sqlite *db, int64_t id, const nacre__sqlite_state *state);
void nacre__sqlite_row_describe(nacre_sqlite_context *context, const nacre__sqlite_row *row);
NACRE_MUST_USE nacre_err nacre__sqlite_row_reveal(nacre_sqlite_context *context, const nacre_sqlite *db,
                                                  const nacre__sqlite_row *row, nacre_detail *why);

/* The state of an active context, read, and written with one of the STATE statements. */
NACRE_MUST_USE nacre_err nacre__sqlite_state_read(nacre__sqlite_state *state, bool *found, nacre_sqlite *db, int64_t id,
                                                  nacre_detail *why);
/* `which`: STATE_INSERT, STATE_RAISE, or STATE_SET, which replaces a state whose next number is `expected`. */
NACRE_MUST_USE nacre_err nacre__sqlite_state_write(nacre_sqlite *db, nacre__sqlite_statement which, int64_t id,
                                                   const nacre__sqlite_state *state, uint64_t expected,
                                                   int *num_changed, nacre_detail *why);

/* ---- Adding and ending: sqlite_add.c, sqlite_remove.c; inside a transaction ---- */
/* `moves`: it comes from its directory, whose state it has. */
NACRE_MUST_USE nacre_err nacre__sqlite_add_one(nacre_sqlite *db, int64_t *id, const nacre_sqlite_context *context,
                                               bool moves, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre__sqlite_end_one(nacre_sqlite *db, int64_t id, nacre_sqlite_status status,
                                               nacre_detail *why);
/* After the commit: stops the context if it is loaded. */
void nacre__sqlite_stop(nacre_sqlite *db, int64_t id);

#endif
