/* SPDX-License-Identifier: MIT */
/* pack_format: writes and reads the pages, records and cells of a pack (docs/pack.md). */
#include "store/pack/pack_format.h"

#include <string.h>

#include "base/hosted/detail.h"

static void put(uint8_t *to, uint64_t value, size_t len)
{
    for (size_t i = 0; i < len; i++) to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *from, size_t len)
{
    uint64_t value = 0;
    for (size_t i = len; i-- > 0;) value = value << 8 | from[i];
    return value;
}

bool nacre__is_blank(const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++) any |= bytes[i];
    return any == 0;
}

/* ---- Checksums ---- */

/* Each step is invertible, so that inputs that differ in one word only have different sums. */
static uint64_t hash_word(uint64_t h, uint64_t word)
{
    h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

static uint64_t sum(const nacre__pack_id *id, uint64_t where, const uint8_t *bytes, size_t len)
{
    uint64_t h = UINT64_C(0x6e61637265706b31);
    h = hash_word(h, get(id->bytes, 8));
    h = hash_word(h, get(id->bytes + 8, 8));
    h = hash_word(h, where);
    for (size_t i = 0; i + 8 <= len; i += 8) h = hash_word(h, get(bytes + i, 8));
    return h;
}

void nacre__page_seal(uint8_t *page, const nacre__pack_id *id, uint64_t page_number)
{
    put(page + NACRE__PACK_SUM_AT, sum(id, page_number, page, NACRE__PACK_SUM_AT), 8);
}

static bool page_holds(const uint8_t *page, const char *magic, const nacre__pack_id *id, uint64_t page_number)
{
    return memcmp(page, magic, 8) == 0 &&
           get(page + NACRE__PACK_SUM_AT, 8) == sum(id, page_number, page, NACRE__PACK_SUM_AT);
}

static void start(uint8_t *page, const char *magic)
{
    memset(page, 0, NACRE__PACK_PAGE);
    memcpy(page, magic, 8);
}

/* ---- Head ---- */

static const nacre__pack_id no_id; /* the head's checksum: the identity is inside */

void nacre__head_write(uint8_t *page, const nacre__pack_id *id)
{
    start(page, "NACREPCK");
    put(page + 8, NACRE__PACK_VERSION, 4);
    put(page + 12, NACRE__PACK_PAGE, 4);
    memcpy(page + 16, id->bytes, NACRE__PACK_IDENTITY);
    nacre__page_seal(page, &no_id, 0);
}

nacre_err nacre__head_read(nacre__pack_id *id, const uint8_t *page, const char *path, nacre_detail *why)
{
    if (nacre__is_blank(page, NACRE__PACK_PAGE))
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                           "%s: head: found zeros only: this pack was never completed; remove it and make it anew",
                           path);
    if (memcmp(page, "NACREPCK", 8) != 0)
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: head: is not a pack: it does not begin with NACREPCK",
                           path);
    if (!page_holds(page, "NACREPCK", &no_id, 0))
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: head: is damaged: its checksum does not hold", path);
    uint64_t version = get(page + 8, 4), page_size = get(page + 12, 4);
    if (version != NACRE__PACK_VERSION)
        return nacre__fail(why, NACRE_ERR_UNSUPPORTED,
                           "%s: head: found format version %u, only %d is known here; use the nacre that wrote it",
                           path, (unsigned)version, (int)NACRE__PACK_VERSION);
    if (page_size != NACRE__PACK_PAGE || !nacre__is_blank(page + 32, NACRE__PACK_SUM_AT - 32))
        return nacre__fail(why, NACRE_ERR_UNSUPPORTED, "%s: head: found pages of %u bytes, %d are allowed", path,
                           (unsigned)page_size, (int)NACRE__PACK_PAGE);
    memcpy(id->bytes, page + 16, NACRE__PACK_IDENTITY);
    return NACRE_OK;
}

/* ---- Extent ---- */

enum { IDENTITY_AT = 40 };

void nacre__extent_write(uint8_t *page, const nacre__extent *extent, const nacre__pack_id *id, uint64_t page_number)
{
    start(page, "NACREEXT");
    put(page + 8, extent->generation, 8);
    put(page + 16, extent->num_pages, 8);
    put(page + 24, extent->num_entries, 8);
    put(page + 32, extent->num_segments, 4);
    memcpy(page + IDENTITY_AT, extent->identity, NACRE__FILE_IDENTITY_TEXT);
    nacre__page_seal(page, id, page_number);
}

bool nacre__extent_read(nacre__extent *extent, const uint8_t *page, const nacre__pack_id *id, uint64_t page_number)
{
    if (!page_holds(page, "NACREEXT", id, page_number)) return false;
    nacre__extent read = { get(page + 8, 8), get(page + 16, 8), get(page + 24, 8), (uint32_t)get(page + 32, 4), "" };
    memcpy(read.identity, page + IDENTITY_AT, NACRE__FILE_IDENTITY_TEXT);
    *extent = read;
    return read.identity[NACRE__FILE_IDENTITY_TEXT - 1] == '\0' && read.num_entries <= NACRE_PACK_MAX &&
           read.num_segments <= NACRE__SEGMENTS_MAX && read.num_pages >= NACRE__PACK_FIRST_SEGMENT &&
           read.num_pages < UINT64_C(1) << 40;
}

/* ---- Segments ---- */

void nacre__shape_write(uint8_t *page, const nacre__shape *shape, const nacre__pack_id *id, uint64_t page_number)
{
    start(page, "NACRESEG");
    put(page + 8, shape->number, 4);
    put(page + 12, shape->num_entries, 4);
    put(page + 16, shape->record_size, 4);
    put(page + 20, shape->cell_size, 4);
    nacre__page_seal(page, id, page_number);
}

bool nacre__shape_read(nacre__shape *shape, const uint8_t *page, const nacre__pack_id *id, uint64_t page_number)
{
    if (!page_holds(page, "NACRESEG", id, page_number)) return false;
    nacre__shape read = { (uint32_t)get(page + 8, 4), (uint32_t)get(page + 12, 4), (uint32_t)get(page + 16, 4),
                          (uint32_t)get(page + 20, 4) };
    *shape = read;
    return read.num_entries >= 1 && read.num_entries <= NACRE__SEGMENT_MAX && read.record_size % 8 == 0 &&
           read.record_size >= 24 && read.record_size <= NACRE__RECORD_MAX && read.cell_size % 8 == 0 &&
           read.cell_size >= 24 && read.cell_size <= NACRE__CELL_MAX;
}

uint32_t nacre__cells_per_page(const nacre__shape *shape)
{
    return (NACRE__PACK_SUM_AT - NACRE__PACK_CELLS_AT) / shape->cell_size;
}

uint32_t nacre__record_pages(const nacre__shape *shape)
{
    return (shape->num_entries * shape->record_size + NACRE__PACK_PAGE - 1) / NACRE__PACK_PAGE; /* at most 57 MiB */
}

uint32_t nacre__cell_pages(const nacre__shape *shape)
{
    return (shape->num_entries + nacre__cells_per_page(shape) - 1) / nacre__cells_per_page(shape);
}

uint64_t nacre__segment_pages(const nacre__shape *shape)
{
    return 1 + (uint64_t)nacre__record_pages(shape) + 2 * (uint64_t)nacre__cell_pages(shape);
}

/* ---- Records ---- */

enum { HAS_ID_CONTEXT = 1, IS_REMOVED = 2, RECORD_BYTES_AT = 16 };

static uint64_t entry_number(uint32_t segment, uint32_t index)
{
    return UINT64_C(1) << 63 | (uint64_t)segment << 32 | index;
}

/* The order of the bytes in a record. */
static size_t parts(const nacre__record *r, nacre_bytes out[8])
{
    const nacre_bytes all[8] = { r->sender_id, r->recipient_id, r->id_context, r->secret,
                                 r->salt,      r->common_iv,    r->sender_key, r->recipient_key };
    size_t len = 0;
    for (size_t i = 0; i < 8; i++) {
        out[i] = all[i];
        len += all[i].len;
    }
    return len;
}

void nacre__record_seal(uint8_t *to, size_t size, const nacre__pack_id *id, uint32_t segment, uint32_t index)
{
    put(to + size - 8, sum(id, entry_number(segment, index), to, size - 8), 8);
}

size_t nacre__record_size(const nacre__record *record)
{
    nacre_bytes all[8];
    return (RECORD_BYTES_AT + parts(record, all) + 7) / 8 * 8 + 8;
}

void nacre__record_write(uint8_t *to, size_t size, const nacre__record *record, const nacre__pack_id *id,
                         uint32_t segment, uint32_t index)
{
    nacre_bytes all[8];
    memset(to, 0, size);
    put(to, (uint16_t)record->aead->cose, 2);
    put(to + 2, (nacre_is_absent(record->id_context) ? 0u : HAS_ID_CONTEXT) | (record->removed ? IS_REMOVED : 0u), 2);
    put(to + 4, record->window, 2);
    to[6] = (uint8_t)record->hash;
    to[7] = (uint8_t)record->sender_id.len;
    to[8] = (uint8_t)record->recipient_id.len;
    to[9] = (uint8_t)record->id_context.len;
    put(to + 10, record->secret.len, 2);
    put(to + 12, record->salt.len, 2);
    uint8_t *at = to + RECORD_BYTES_AT;
    (void)parts(record, all);
    for (size_t i = 0; i < 8; i++) {
        if (all[i].len > 0) memcpy(at, all[i].ptr, all[i].len);
        at += all[i].len;
    }
    nacre__record_seal(to, size, id, segment, index);
}

static nacre_bytes take(const uint8_t **at, size_t len)
{
    nacre_bytes bytes = { *at, len };
    *at += len;
    return bytes;
}

/* The checksum verifies that these bytes were written; this verifies that they are a valid record. */
const char *nacre__record_problem(const nacre__record *r)
{
    if (nacre_hash_len(r->hash) == 0) return "its hash is not known";
    if (r->window == 0 || r->window > NACRE_REPLAY_MAX) return "its window is not 1 to 1024";
    if (r->sender_id.len > r->aead->nonce_len - 6u || r->recipient_id.len > r->aead->nonce_len - 6u)
        return "an ID is too long for the algorithm";
    if (nacre_bytes_equal(r->sender_id, r->recipient_id)) return "its two IDs are the same";
    if (r->secret.len > 256 || r->salt.len > 256) return "its secret or salt is longer than 256 bytes";
    if (r->secret.len == 0 && !r->removed) return "its secret is empty";
    return NULL;
}

bool nacre__record_read(nacre__record *record, const char **problem, const uint8_t *from, size_t size,
                        const nacre__pack_id *id, uint32_t segment, uint32_t index)
{
    nacre__record r = { .hash = (nacre_hash)from[6], .window = (uint16_t)get(from + 4, 2) };
    uint64_t flags = get(from + 2, 2);
    *problem = "its checksum does not hold";
    if (get(from + size - 8, 8) != sum(id, entry_number(segment, index), from, size - 8)) return false;
    *problem = "its algorithm is not known";
    r.aead = nacre_aead_by_number((int16_t)(uint16_t)get(from, 2));
    if (r.aead == NULL) return false;
    r.removed = (flags & IS_REMOVED) != 0;
    size_t key_len = r.removed ? 0 : r.aead->key_len;
    const size_t secret_len = (size_t)get(from + 10, 2), salt_len = (size_t)get(from + 12, 2);
    const size_t len = (size_t)from[7] + from[8] + from[9] + secret_len + salt_len + r.aead->nonce_len + 2 * key_len;
    *problem = "its lengths do not fit";
    if (flags > 3 || len > size - RECORD_BYTES_AT - 8) return false;
    const uint8_t *at = from + RECORD_BYTES_AT;
    r.sender_id = take(&at, from[7]);
    r.recipient_id = take(&at, from[8]);
    r.id_context = take(&at, from[9]);
    if ((flags & HAS_ID_CONTEXT) == 0) r.id_context = NACRE_ABSENT;
    r.secret = take(&at, secret_len);
    r.salt = take(&at, salt_len);
    r.common_iv = take(&at, r.aead->nonce_len);
    r.sender_key = take(&at, key_len);
    r.recipient_key = take(&at, key_len);
    *problem = nacre__record_problem(&r);
    if (*problem != NULL) return false;
    *record = r;
    return true;
}

static uint64_t mark_of(const nacre_aead *aead, nacre_bytes id, nacre_bytes common_iv, nacre_direction direction)
{
    uint8_t bytes[32] = { 0 };
    bytes[0] = (uint8_t)id.len;
    if (id.len > 0) memcpy(bytes + 1, id.ptr, id.len);
    memcpy(bytes + 8, common_iv.ptr, common_iv.len);
    put(bytes + 24, (uint16_t)aead->cose, 2);
    bytes[26] = direction == NACRE_OPEN;
    uint64_t mark = sum(&no_id, 0, bytes, sizeof bytes);
    return mark != 0 ? mark : 1;
}

uint64_t nacre__nonce_mark(const nacre_aead *aead, nacre_bytes sender_id, nacre_bytes common_iv)
{
    return mark_of(aead, sender_id, common_iv, NACRE_SEAL);
}

uint64_t nacre__window_mark(const nacre_aead *aead, nacre_bytes recipient_id, nacre_bytes common_iv)
{
    return mark_of(aead, recipient_id, common_iv, NACRE_OPEN);
}

/* ---- Cells ---- */

uint32_t nacre__cell_size(uint16_t window)
{
    return 16 + (window + 63u) / 64 * 8;
}

void nacre__cell_write(uint8_t *to, uint32_t size, const nacre__cell *cell)
{
    put(to, cell->next, 6);
    to[6] = (uint8_t)cell->use;
    to[7] = cell->known;
    put(to + 8, cell->known ? cell->index : 0, 8);
    if (cell->known) memcpy(to + 16, cell->bits, size - 16);
    else memset(to + 16, 0, size - 16);
}

bool nacre__cell_read(nacre__cell *cell, const uint8_t *from, uint32_t size)
{
    nacre__cell c = { (nacre__use)from[6], from[7] != 0, get(from, 6), get(from + 8, 8), { 0 } };
    memcpy(c.bits, from + 16, size - 16);
    if (from[6] > NACRE__REMOVED || from[7] > 1 || c.next > NACRE_SEQ_MAX + 1 || c.index > NACRE_SEQ_MAX + 1)
        return false;
    *cell = c;
    return true;
}

bool nacre__cell_equal(const nacre__cell *a, const nacre__cell *b)
{
    return a->use == b->use && a->known == b->known && a->next == b->next && a->index == b->index &&
           memcmp(a->bits, b->bits, sizeof a->bits) == 0;
}

void nacre__states_frame(uint8_t *page, uint64_t generation, uint32_t segment, uint32_t number)
{
    memcpy(page, "NACRECEL", 8);
    put(page + 8, generation, 8);
    put(page + 16, segment, 4);
    put(page + 20, number, 4);
    memset(page + 24, 0, 8);
}

bool nacre__states_hold(uint64_t *generation, const uint8_t *page, const nacre__pack_id *id, uint64_t page_number,
                        uint32_t segment, uint32_t number)
{
    if (!page_holds(page, "NACRECEL", id, page_number) || get(page + 16, 4) != segment || get(page + 20, 4) != number)
        return false;
    *generation = get(page + 8, 8);
    return true;
}
