/* SPDX-License-Identifier: MIT */
/* pack_format: the bytes of a pack (docs/pack.md): pages with checksums, records, cells. No I/O. */
#ifndef NACRE_STORE_PACK_FORMAT_H
#define NACRE_STORE_PACK_FORMAT_H

#include <nacre/pack.h>

#include "store/file/file_identity.h"

enum {
    NACRE__PACK_PAGE = 4096,
    NACRE__PACK_VERSION = 1,
    NACRE__PACK_IDENTITY = 16,
    NACRE__PACK_FIRST_SEGMENT = 3, /* pages before it: head, two extents */
    NACRE__SEGMENT_MAX = 65536,    /* entries */
    NACRE__SEGMENTS_MAX = 4096,    /* NACRE_PACK_MAX entries need 256 of the largest; small ones grow */
    NACRE__RECORD_MAX = 896,       /* bytes: 16 + 2 * 7 + 255 + 256 + 256 + 13 + 2 * 32 + 8 and some zeros */
    NACRE__CELL_MAX = 16 + NACRE_REPLAY_MAX / 8,
    NACRE__PACK_CELLS_AT = 32, /* in a page of states */
    NACRE__PACK_SUM_AT = NACRE__PACK_PAGE - 8,
};

typedef struct nacre__pack_id {
    uint8_t bytes[NACRE__PACK_IDENTITY];
} nacre__pack_id;

bool nacre__is_blank(const uint8_t *bytes, size_t len); /* zeros only */

/* ---- Pages ---- */
void nacre__page_seal(uint8_t *page, const nacre__pack_id *id, uint64_t page_number); /* writes the checksum */

/* nacre__head_read: NACRE_OK; NACRE_ERR_BAD_CONTEXT, NACRE_ERR_UNSUPPORTED with the text of `why`. */
void nacre__head_write(uint8_t *page, const nacre__pack_id *id);
NACRE_MUST_USE nacre_err nacre__head_read(nacre__pack_id *id, const uint8_t *page, const char *path, nacre_detail *why);

typedef struct nacre__extent {
    uint64_t generation, num_pages, num_entries;
    uint32_t num_segments;
    char identity
        [NACRE__FILE_IDENTITY_TEXT]; /* of the file that it is used in (file_identity.h); "": not used yet, or unknown */
} nacre__extent;
void nacre__extent_write(uint8_t *page, const nacre__extent *extent, const nacre__pack_id *id, uint64_t page_number);
bool nacre__extent_read(nacre__extent *extent, const uint8_t *page, const nacre__pack_id *id, uint64_t page_number);

typedef struct nacre__shape { /* of a segment */
    uint32_t number, num_entries, record_size, cell_size;
} nacre__shape;
void nacre__shape_write(uint8_t *page, const nacre__shape *shape, const nacre__pack_id *id, uint64_t page_number);
bool nacre__shape_read(nacre__shape *shape, const uint8_t *page, const nacre__pack_id *id, uint64_t page_number);
uint32_t nacre__cells_per_page(const nacre__shape *shape);
uint32_t nacre__record_pages(const nacre__shape *shape);
uint32_t nacre__cell_pages(const nacre__shape *shape);    /* of one copy */
uint64_t nacre__segment_pages(const nacre__shape *shape); /* of the whole segment */

/* ---- Records ---- */
typedef struct nacre__record {
    const nacre_aead *aead;
    nacre_hash hash;
    uint16_t window;
    bool removed;
    nacre_bytes sender_id, recipient_id, id_context, secret, salt, common_iv, sender_key, recipient_key;
} nacre__record;
size_t nacre__record_size(const nacre__record *record); /* bytes in the file, a multiple of 8 */
void nacre__record_write(uint8_t *to, size_t size, const nacre__record *record, const nacre__pack_id *id,
                         uint32_t segment, uint32_t index);
/* Writes a record's checksum; nacre__record_write includes it. */
void nacre__record_seal(uint8_t *to, size_t size, const nacre__pack_id *id, uint32_t segment, uint32_t index);
/* nacre__record_read: the record's bytes point into `from`. On failure `problem` is a short description. */
bool nacre__record_read(nacre__record *record, const char **problem, const uint8_t *from, size_t size,
                        const nacre__pack_id *id, uint32_t segment, uint32_t index);

/* A short description of why a record with a correct checksum is invalid; NULL: it is valid. */
const char *nacre__record_problem(const nacre__record *record);
/* A hash of Sender ID and Common IV, never 0: contexts with the same pair have the same nonces. */
uint64_t nacre__nonce_mark(const nacre_aead *aead, nacre_bytes sender_id, nacre_bytes common_iv);
/* A hash of Recipient ID and Common IV, never 0: contexts with the same pair accept the same messages. */
uint64_t nacre__window_mark(const nacre_aead *aead, nacre_bytes recipient_id, nacre_bytes common_iv);

/* ---- Cells ---- */
typedef enum nacre__use { NACRE__EMPTY = 0, NACRE__IN_USE = 1, NACRE__REMOVED = 2 } nacre__use;
typedef struct nacre__cell {
    nacre__use use;
    bool known;
    uint64_t next, index;
    uint8_t bits[NACRE_REPLAY_MAX / 8];
} nacre__cell;
uint32_t nacre__cell_size(uint16_t window);
void nacre__cell_write(uint8_t *to, uint32_t size, const nacre__cell *cell);
bool nacre__cell_read(nacre__cell *cell, const uint8_t *from, uint32_t size);
bool nacre__cell_equal(const nacre__cell *a, const nacre__cell *b);

/* A page of states: its frame. The cells are between NACRE__PACK_CELLS_AT and the checksum. */
void nacre__states_frame(uint8_t *page, uint64_t generation, uint32_t segment, uint32_t number);
bool nacre__states_hold(uint64_t *generation, const uint8_t *page, const nacre__pack_id *id, uint64_t page_number,
                        uint32_t segment, uint32_t number);

#endif
