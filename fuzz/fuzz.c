/* SPDX-License-Identifier: MIT */
/* fuzz: see fuzz.h. */
#include "fuzz.h"

#include <sys/stat.h>
#include <unistd.h>

#include "context/sequence.h"
#include "oscore/aad.h"
#include "oscore/nonce.h"

_Noreturn void fuzz_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

/* ---- Memory ---- */

static struct {
    void **blocks;
    size_t num, cap;
} kept;

static void *keep(void *memory)
{
    CHECK(memory != NULL);
    if (kept.num == kept.cap) {
        kept.cap = kept.cap == 0 ? 64 : 2 * kept.cap;
        kept.blocks = realloc(kept.blocks, kept.cap * sizeof *kept.blocks);
        CHECK(kept.blocks != NULL);
    }
    return kept.blocks[kept.num++] = memory;
}

void *fuzz_alloc(size_t len)
{
    return keep(malloc(len)); /* for 0 bytes too: a pointer that must not be read */
}

void fuzz_release(void)
{
    while (kept.num > 0) free(kept.blocks[--kept.num]);
}

nacre_buf fuzz_buf(size_t cap)
{
    nacre_buf buf = { fuzz_alloc(cap), cap };
    memset(buf.ptr, 0xa5, cap);
    return buf;
}

bool fuzz_is_clean(nacre_buf buf)
{
    for (size_t i = 0; i < buf.cap; i++)
        if (buf.ptr[i] != 0xa5 && buf.ptr[i] != 0) return false;
    return true;
}

nacre_bytes fuzz_copy(nacre_bytes bytes)
{
    uint8_t *copy = fuzz_alloc(bytes.len);
    if (bytes.len > 0) memcpy(copy, bytes.ptr, bytes.len);
    return nacre_bytes_of(copy, bytes.len);
}

/* ---- Input ---- */

uint8_t fuzz_u8(fuzz_input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

uint64_t fuzz_uint(fuzz_input *in, size_t num_bytes)
{
    uint64_t number = 0;
    while (num_bytes-- > 0) number = number << 8 | fuzz_u8(in);
    return number;
}

nacre_bytes fuzz_take(fuzz_input *in, size_t len)
{
    size_t left = (size_t)(in->end - in->at);
    nacre_bytes bytes = { in->at, len < left ? len : left };
    in->at += bytes.len;
    return fuzz_copy(bytes);
}

nacre_bytes fuzz_rest(fuzz_input *in)
{
    return fuzz_take(in, SIZE_MAX);
}

/* ---- Messages ---- */

bool fuzz_same(nacre_bytes a, nacre_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool fuzz_contains(nacre_bytes haystack, nacre_bytes needle)
{
    return memmem(haystack.ptr, haystack.len, needle.ptr, needle.len) != NULL;
}

bool fuzz_well_formed(nacre_bytes options)
{
    nacre_option opt;
    nacre_option_iter it = nacre_option_begin(options);
    while (nacre_option_next(&it, &opt)) {}
    return !nacre_option_bad(&it);
}

static bool next_of(nacre_option_iter *it, nacre_option *opt, uint16_t number)
{
    while (nacre_option_next(it, opt))
        if (opt->number == number) return true;
    return false;
}

bool fuzz_same_values(nacre_bytes a, nacre_bytes b, uint16_t number)
{
    nacre_option x, y;
    nacre_option_iter in_a = nacre_option_begin(a), in_b = nacre_option_begin(b);
    for (;;) {
        bool more_a = next_of(&in_a, &x, number), more_b = next_of(&in_b, &y, number);
        if (more_a != more_b) return false;
        if (!more_a) return true;
        if (!fuzz_same(x.value, y.value)) return false;
    }
}

bool fuzz_outer_only(uint16_t number)
{
    unsigned classes = nacre_option_lookup(number)->flags & (NACRE_CLASS_E | NACRE_CLASS_U);
    return classes == NACRE_CLASS_U;
}

void fuzz_check_merged(nacre_bytes merged, nacre_bytes inner, nacre_bytes outer)
{
    nacre_option opt;
    nacre_option_iter it;
    CHECK(fuzz_well_formed(merged));
    for (it = nacre_option_begin(inner); nacre_option_next(&it, &opt);)
        CHECK(fuzz_same_values(merged, inner, opt.number)); /* everything authenticated is present, and nothing else */
    for (it = nacre_option_begin(outer); nacre_option_next(&it, &opt);) {
        if (!nacre_is_absent(nacre_option_find(inner, opt.number))) continue;
        bool stays = fuzz_outer_only(opt.number) && opt.number != NACRE_OPT_OSCORE;
        CHECK(fuzz_same_values(merged, stays ? outer : NACRE_ABSENT, opt.number));
    }
    for (it = nacre_option_begin(merged); nacre_option_next(&it, &opt);)
        CHECK(!nacre_is_absent(nacre_option_find(inner, opt.number)) ||
              !nacre_is_absent(nacre_option_find(outer, opt.number)));
}

/* ---- Contexts ---- */

const uint8_t fuzz_echo[NACRE_ECHO_LEN] = { 'E', 'c', 'h', 'o', '8', '6', '1', '3' };

static nacre_crypto crypto;

const nacre_crypto *fuzz_crypto(void)
{
    if (crypto.ops == NULL) CHECK(nacre_openssl_open(&crypto) == NACRE_OK);
    return &crypto;
}

static void make(nacre_context *ctx, int vector, bool is_server)
{
    static const uint8_t secret[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 }, server_id[] = { 1 };
    static const uint8_t salt[] = { 0x9e, 0x7c, 0xa9, 0x22, 0x23, 0x78, 0x63, 0x40 };
    static const uint8_t id_context[] = { 0x37, 0xcb, 0xf3, 0x21, 0x00, 0x17, 0xa2, 0xd3 };
    nacre_context_params params = { .master_secret.bytes = NACRE_ARRAY(secret),
                                    .master_salt = NACRE_ARRAY(salt),
                                    .id_context = vector == 3 ? NACRE_ARRAY(id_context) : NACRE_ABSENT,
                                    .echo = NACRE_ARRAY(fuzz_echo) };
    if (is_server) params.sender_id = NACRE_ARRAY(server_id);
    else params.recipient_id = NACRE_ARRAY(server_id);
    size_t size, align;
    CHECK(nacre_context_key_layout(fuzz_crypto(), 0, &size, &align) == NACRE_OK);
    nacre_buf keys = { aligned_alloc(align, (size + align - 1) / align * align), size };
    CHECK(keys.ptr != NULL);
    CHECK(nacre_context_init(ctx, fuzz_crypto(), &params, keys) == NACRE_OK);
}

fuzz_pair fuzz_contexts(int vector)
{
    static fuzz_pair made[2];
    fuzz_pair *pair = &made[vector == 3];
    if (pair->client.aead == NULL) {
        make(&pair->client, vector, false);
        make(&pair->server, vector, true);
    }
    return *pair; /* prepared keys are only read, so copies of a fresh context may share them */
}

bool fuzz_unchanged(const nacre_context *before, const nacre_context *after)
{
    nacre_context same;
    memcpy(&same, before, sizeof same);
    same.failed = after->failed;
    return memcmp(&same, after, sizeof same) == 0;
}

nacre_bytes fuzz_partial_iv(uint64_t seq)
{
    uint8_t piv[5];
    return fuzz_copy(nacre_bytes_of(piv, nacre__partial_iv(piv, seq)));
}

fuzz_sealed fuzz_seal(const nacre_context *maker, nacre_bytes maker_id, nacre_bytes piv, nacre_bytes request_kid,
                      nacre_bytes request_piv, nacre_bytes plaintext, nacre_bytes outer, nacre_bytes oscore_value,
                      uint8_t code, nacre_bytes token)
{
    uint8_t nonce[NACRE_MAX_NONCE], aad[NACRE_MAX_AAD];
    nacre__nonce(nonce, maker->aead, maker->common_iv, maker_id, nacre__partial_iv_number(piv));
    size_t aad_len = nacre__aad(aad, maker->aead->cose, request_kid, request_piv);
    nacre_buf sealed = fuzz_buf(plaintext.len + maker->aead->tag_len);
    nacre_aead_job job = { .aead = maker->aead,
                           .key = maker->keys,
                           .nonce = nonce,
                           .aad = nacre_bytes_of(aad, aad_len),
                           .in = plaintext.ptr,
                           .in_len = plaintext.len,
                           .out = sealed.ptr };
    CHECK(nacre_seal(fuzz_crypto(), &job));

    nacre_options options;
    nacre_option opt;
    nacre_options_init(&options, fuzz_buf(outer.len + oscore_value.len + 8));
    for (nacre_option_iter it = nacre_option_begin(outer); nacre_option_next(&it, &opt);)
        nacre_options_add(&options, opt.number, opt.value);
    nacre_options_add(&options, NACRE_OPT_OSCORE, oscore_value);
    nacre_message m = { .type = NACRE_CON, .code = code, .mid = 0x1234, .token = token };
    CHECK(nacre_options_finish(&options, &m.options) == NACRE_OK);
    m.payload = nacre_bytes_of(sealed.ptr, sealed.cap);

    fuzz_sealed out;
    CHECK(nacre_message_write(&m, &out.datagram, fuzz_buf(nacre_message_size(&m))) == NACRE_OK);
    CHECK(nacre_message_parse(&out.message, out.datagram) == NACRE_OK);
    return out;
}

/* ---- Files ---- */

static char directory[256];

static void remove_directory(void)
{
    static const char *const names[] = { "settings.json", "secret.json",      "secrets.json",
                                         "sequence.json", "credentials.json", "lock" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) fuzz_remove_file(names[i]);
    rmdir(directory);
}

const char *fuzz_directory(void)
{
    if (directory[0] != '\0') return directory;
    struct stat st;
    const char *parent = getenv("TMPDIR");
    if (parent == NULL) parent = stat("/dev/shm", &st) == 0 && S_ISDIR(st.st_mode) ? "/dev/shm" : "/tmp";
    CHECK((size_t)snprintf(directory, sizeof directory, "%s/nacre-fuzz-XXXXXX", parent) < sizeof directory);
    CHECK(mkdtemp(directory) != NULL);
    CHECK(atexit(remove_directory) == 0);
    return directory;
}

static const char *path_of(char path[512], const char *name)
{
    snprintf(path, 512, "%s/%s", fuzz_directory(), name);
    return path;
}

void fuzz_write_file(const char *name, nacre_bytes text)
{
    char path[512];
    FILE *file = fopen(path_of(path, name), "wb");
    CHECK(file != NULL);
    CHECK(text.len == 0 || fwrite(text.ptr, text.len, 1, file) == 1);
    CHECK(fclose(file) == 0);
}

void fuzz_remove_file(const char *name)
{
    char path[512];
    unlink(path_of(path, name));
}

void fuzz_check_detail(const nacre_detail *why)
{
    size_t len = strnlen(why->text, sizeof why->text);
    CHECK(len > 0 && len < sizeof why->text);
    for (size_t i = 0; i < len; i++) CHECK((unsigned char)why->text[i] >= 0x20 && why->text[i] != 0x7f);
}
