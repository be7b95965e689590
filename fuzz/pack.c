/* SPDX-License-Identifier: MIT */
/* pack: a damaged pack file. The input changes bytes of a valid one, four bytes per change: the position (3) and the
 * new value; then the checksum of the page or record is corrected unless the first byte of the input is odd. The next
 * two bytes truncate the file. A pack that opens gives only values in range, and the same after a close. */
#include "fuzz.h"

#include "context/fields.h"
#include "store/pack/pack_format.h"

enum { NUM = 2, PAGES = 7, LEN = PAGES * NACRE__PACK_PAGE, SEGMENT = 3, RECORDS = 4 };

static nacre_err source(void *user, nacre_directory_info *info, size_t index, nacre_detail *why)
{
    (void)user, (void)why;
    info->aead = nacre_aead_by_number(NACRE_AES_CCM_16_64_128);
    info->window = index == 0 ? 32 : 65;
    info->window_known = true;
    info->sender_id_len = 1;
    info->recipient_id_len = 2;
    info->recipient_id[0] = (uint8_t)index;
    info->has_id_context = index == 1;
    info->id_context_len = index * 3;
    info->secret_len = 16 + index;
    info->next_to_send = 1000 * index;
    return NACRE_OK;
}

static const char *path(void)
{
    static char text[512];
    CHECK((size_t)snprintf(text, sizeof text, "%s/fleet.pack", fuzz_directory()) < sizeof text);
    return text;
}

static const uint8_t *good(void)
{
    static uint8_t bytes[LEN];
    static bool made;
    if (made) return bytes;
    nacre_pack *pack;
    CHECK(nacre_pack_create(path(), NULL) == NACRE_OK);
    CHECK(nacre_pack_open(&pack, path(), fuzz_crypto(), NULL) == NACRE_OK);
    CHECK(nacre_pack_add(pack, NULL, NUM, source, NULL, NULL) == NACRE_OK);
    CHECK(nacre_pack_close(pack, NULL) == NACRE_OK);
    FILE *file = fopen(path(), "rb");
    CHECK(file != NULL && fread(bytes, 1, LEN, file) == LEN && fgetc(file) == EOF && fclose(file) == 0);
    fuzz_remove_file("fleet.pack");
    made = true;
    return bytes;
}

static void seal(uint8_t *bytes, size_t at)
{
    static const nacre__pack_id no_id;
    nacre__pack_id id;
    nacre__shape shape;
    size_t page = at / NACRE__PACK_PAGE;
    memcpy(id.bytes, good() + 16, sizeof id.bytes);
    if (page != RECORDS) {
        nacre__page_seal(bytes + page * NACRE__PACK_PAGE, page == 0 ? &no_id : &id, page);
        return;
    }
    CHECK(nacre__shape_read(&shape, good() + (size_t)SEGMENT * NACRE__PACK_PAGE, &id, SEGMENT));
    size_t index = at % NACRE__PACK_PAGE / shape.record_size;
    if (index < NUM)
        nacre__record_seal(bytes + (size_t)RECORDS * NACRE__PACK_PAGE + index * shape.record_size, shape.record_size,
                           &id, 0, (uint32_t)index);
}

static void check_context(const nacre_context *ctx)
{
    const nacre_aead *aead = nacre_context_aead(ctx);
    CHECK(nacre_context_next_seq(ctx) <= NACRE_SEQ_MAX + 1);
    CHECK(nacre_context_sender_id(ctx).len <= aead->nonce_len - 6u);
    CHECK(nacre_context_recipient_id(ctx).len <= aead->nonce_len - 6u);
    CHECK(!fuzz_same(nacre_context_sender_id(ctx), nacre_context_recipient_id(ctx)));
    CHECK(nacre_context_replay(ctx)->size >= 1 && nacre_context_replay(ctx)->size <= NACRE_REPLAY_MAX);
}

typedef struct said {
    size_t num, there;
    uint64_t next, index;
    bool known;
} said;

static said check_open(nacre_pack *pack)
{
    nacre_table *table;
    said s = { .num = nacre_pack_num(pack) };
    CHECK(s.num <= NACRE_PACK_MAX);
    for (size_t i = 0; i < s.num; i++) {
        const nacre_context *ctx = nacre_pack_context_at(pack, i);
        if (ctx == NULL) continue;
        check_context(ctx);
        s.there++;
        s.next += nacre_context_next_seq(ctx);
        s.known = s.known || nacre_context_replay(ctx)->known;
        s.index += nacre__replay_index(nacre_context_replay(ctx));
    }
    CHECK(nacre_pack_table(pack, &table, NULL) == NACRE_OK && table->num_contexts == s.there);
    return s;
}

static void check_refused(nacre_err err, const nacre_detail *why, nacre_bytes bytes)
{
    static uint8_t found[LEN + 1];
    FILE *file = fopen(path(), "rb");
    CHECK(file != NULL);
    size_t len = fread(found, 1, sizeof found, file);
    CHECK(fclose(file) == 0);
    CHECK(err == NACRE_ERR_BAD_CONTEXT || err == NACRE_ERR_UNSUPPORTED);
    CHECK(fuzz_same(nacre_bytes_of(found, len), bytes));
    fuzz_check_detail(why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = { data, data + size };
    uint8_t *bytes = fuzz_alloc(LEN);
    memcpy(bytes, good(), LEN);
    bool sealed = (fuzz_u8(&in) & 1) == 0;
    size_t cut = fuzz_uint(&in, 2), len = cut < LEN ? LEN - cut : 0;
    while (in.end - in.at >= 4) {
        size_t at = fuzz_uint(&in, 3) % LEN;
        bytes[at] = fuzz_u8(&in);
        if (sealed) seal(bytes, at);
    }
    fuzz_write_file("fleet.pack", nacre_bytes_of(bytes, len));

    nacre_pack *pack = NULL;
    nacre_detail why = { "" };
    nacre_err err = nacre_pack_open(&pack, path(), fuzz_crypto(), &why);
    if (err == NACRE_OK) {
        said first = check_open(pack);
        CHECK(nacre_pack_close(pack, &why) == NACRE_OK);
        CHECK(nacre_pack_open(&pack, path(), fuzz_crypto(), &why) == NACRE_OK);
        said again = check_open(pack);
        CHECK(first.num == again.num && first.there == again.there && first.next == again.next &&
              first.known == again.known && first.index == again.index);
        CHECK(nacre_pack_close(pack, &why) == NACRE_OK);
    } else check_refused(err, &why, nacre_bytes_of(bytes, len));
    fuzz_remove_file("fleet.pack");
    fuzz_release();
    return 0;
}
