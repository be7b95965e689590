/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* store_fuzzy_files_test: the files of a directory are damaged in every simple way: truncated at every byte, with every
 * bit flipped, and as editors do. Each case is an error with a text and no change on disk, or leaves a state no less
 * safe than before: numbers not lower, nothing accepted that was seen. A damaged digit may give another valid number,
 * which cannot be detected: such cases are counted, and must be damaged digits. */
#include "scratch.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

#define SECRET "{\"secret_hex\": \"0102030405060708090a0b0c0d0e0f10\",\n \"salt_hex\": \"9e7ca92223786340\"}\n"
#define SETTINGS                                                                                                       \
    "{\"sender-id_hex\": \"01\",\n \"recipient-id_ascii\": \"c\",\n \"algorithm\": \"AES-CCM-16-64-128\",\n"           \
    " \"kdf-hashfun\": \"sha256\",\n \"window\": 32,\n \"id-context_hex\": \"37cb\"}\n"
#define KNOWN   "{\"next-to-send\": 1370, \"received\": {\"index\": 208, \"bitfield\": 2147483657}}\n"
#define UNKNOWN "{\"next-to-send\": 4096, \"received\": \"unknown\"}\n"

#define OLDER_SETTINGS                                                                                                 \
    "{\"server-sender-id_hex\": \"01\",\n \"client-sender-id_ascii\": \"c\",\n \"algorithm\": "                        \
    "\"AES-CCM-64-64-128\",\n"                                                                                         \
    " \"window\": 32}\n"
#define OLDER_KNOWN                                                                                                    \
    "{\"used\": {\"01\": 1370, \"63\": 4}, \"seen\": {\"63\": [207, 208, 211, 239], \"01\": [-1]},"                    \
    " \"nacre\": {\"received\": {\"01\": \"unknown\"}}}\n"
#define OLDER_UNKNOWN                                                                                                  \
    "{\"used\": {\"01\": 4096}, \"seen\": {\"63\": [1099511627775]}, \"nacre\": {\"received\": {\"63\": "              \
    "\"unknown\"}}}\n"

static const char *const names[] = { "secret.json", "settings.json", "sequence.json" };

struct fixture {
    char *dir;
    const char *texts[COUNT(names)]; /* the files undamaged */
    nacre_directory_info good;
    nacre_role role;
    unsigned tried, refused, same, safer, digits;
};

static void set_texts(struct fixture *f, nacre_role role, const char *sequence)
{
    nacre_detail why;
    const char *const texts[] = { SECRET, role == NACRE_ROLE_NONE ? SETTINGS : OLDER_SETTINGS, sequence };
    f->role = role;
    for (size_t i = 0; i < COUNT(names); i++) {
        f->texts[i] = texts[i];
        scratch_write(f->dir, names[i], texts[i]);
    }
    assert_ok(nacre_directory_read_as(&f->good, f->dir, f->role, true, &why));
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    /* Thousands of small files that need not last: use memory. */
    if (scratch_exists("/dev", "shm")) setenv("TMPDIR", "/dev/shm", 0);
    f->dir = scratch_make();
    scratch_write(f->dir, "lock", "");
    set_texts(f, NACRE_ROLE_NONE, KNOWN);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    print_message("           %u damaged files: %u refused, %u the same, %u no less safe, %u damaged digits\n",
                  f->tried, f->refused, f->same, f->safer, f->digits);
    scratch_remove(f->dir);
    free(f);
    return test_release(state);
}

/* ---- Less safe states ---- */

static bool seen(const nacre_directory_info *info, uint64_t number)
{
    if (number < info->window_index) return true;
    uint64_t bit = number - info->window_index;
    return bit < info->window && (info->window_bits[bit / 8] >> (bit % 8) & 1) != 0;
}

/* Whether `info` would accept a number that the undamaged state has seen. */
static bool accepts_seen(const nacre_directory_info *info, const nacre_directory_info *good)
{
    if (!good->window_known) return info->window_known;
    if (!info->window_known) return false;
    for (uint64_t n = 0; n < good->window_index + good->window; n++)
        if (seen(good, n) && !seen(info, n)) return true;
    return false;
}

static bool less_safe(const nacre_directory_info *info, const nacre_directory_info *good)
{
    return info->next_to_send < good->next_to_send || accepts_seen(info, good);
}

static bool equal(const nacre_directory_info *a, const nacre_directory_info *b)
{
    return a->aead == b->aead && a->hash == b->hash && a->window == b->window &&
           a->has_id_context == b->has_id_context && a->id_context_len == b->id_context_len &&
           memcmp(a->id_context, b->id_context, sizeof a->id_context) == 0 && a->sender_id_len == b->sender_id_len &&
           memcmp(a->sender_id, b->sender_id, sizeof a->sender_id) == 0 && a->recipient_id_len == b->recipient_id_len &&
           memcmp(a->recipient_id, b->recipient_id, sizeof a->recipient_id) == 0 &&
           a->next_to_send == b->next_to_send && a->window_known == b->window_known &&
           a->window_index == b->window_index && memcmp(a->window_bits, b->window_bits, sizeof a->window_bits) == 0 &&
           a->has_state == b->has_state && a->secret_len == b->secret_len &&
           memcmp(a->secret, b->secret, sizeof a->secret) == 0 && a->salt_len == b->salt_len &&
           memcmp(a->salt, b->salt, sizeof a->salt) == 0;
}

/* ---- One damaged file ---- */

struct damage {
    size_t file;
    nacre_bytes text;
    bool digit; /* only digits of one number were damaged */
    const char *what;
    size_t at;
};

static void broken(const struct damage *d, const char *rule)
{
    fail_msg("%s, %s at %zu: %s\n%.*s", names[d->file], d->what, d->at, rule, (int)d->text.len,
             (const char *)d->text.ptr);
}

/* The three files are unchanged, and the only other one is the lock. */
static void check_untouched(const struct fixture *f, const struct damage *d)
{
    static uint8_t bytes[70 * 1024];
    for (size_t i = 0; i < COUNT(names); i++) {
        FILE *file = fopen(scratch_path(f->dir, names[i]), "rb");
        assert_non_null(file);
        nacre_bytes is = { bytes, fread(bytes, 1, sizeof bytes, file) };
        fclose(file);
        nacre_bytes was = nacre_bytes_of((const uint8_t *)f->texts[i], strlen(f->texts[i]));
        if (i == d->file) was = d->text;
        if (is.len != was.len || (is.len > 0 && memcmp(is.ptr, was.ptr, is.len) != 0)) broken(d, "a file has changed");
    }
    if (scratch_count(f->dir, "") != COUNT(names) + 3) broken(d, "a file has come or gone"); /* ".", "..", "lock" */
}

/* One line that names a file. */
static bool is_clear(nacre_err err, const nacre_detail *why)
{
    if (err != NACRE_ERR_BAD_CONTEXT && err != NACRE_ERR_FILE) return false;
    for (const char *c = why->text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) return false;
    return strchr(why->text, '/') != NULL;
}

static void open_and_close(struct fixture *f, const struct damage *d, nacre_err read)
{
    nacre_directory *dir = NULL;
    nacre_detail why = { "" };
    nacre_err err = nacre_directory_open_as(&dir, f->dir, f->role, test_crypto(), &why);
    if (read != NACRE_OK) {
        if (err != read || dir != NULL || !is_clear(err, &why)) broken(d, "open differs from read");
        return;
    }
    if (err != NACRE_OK) broken(d, why.text);
    if (nacre_directory_close(dir, &why) != NACRE_OK) broken(d, why.text);
}

static void sort_out(struct fixture *f, const struct damage *d, const nacre_directory_info *info)
{
    if (less_safe(info, &f->good)) {
        if (!d->digit) broken(d, "less safe, and not by a damaged digit");
        f->digits++;
    } else if (equal(info, &f->good)) f->same++;
    else f->safer++;
}

static nacre_err try_damage(struct fixture *f, const struct damage *d)
{
    nacre_detail why = { "" };
    nacre_directory_info info, before;
    memset(&info, 0x5a, sizeof info);
    memcpy(&before, &info, sizeof info);
    scratch_write_bytes(f->dir, names[d->file], d->text.ptr, d->text.len);
    f->tried++;
    nacre_err err = nacre_directory_read_as(&info, f->dir, f->role, true, &why);
    if (err == NACRE_OK) sort_out(f, d, &info);
    else {
        f->refused++;
        if (!is_clear(err, &why)) broken(d, why.text);
        if (memcmp(&before, &info, sizeof info) != 0) broken(d, "the output was touched");
    }
    open_and_close(f, d, err);
    check_untouched(f, d);
    scratch_write(f->dir, names[d->file], f->texts[d->file]);
    return err;
}

/* ---- Every byte ---- */

static void cut_everywhere(struct fixture *f, size_t file)
{
    size_t len = strlen(f->texts[file]);
    for (size_t at = 0; at < len; at++) {
        struct damage d = { file, nacre_bytes_of((const uint8_t *)f->texts[file], at), false, "cut off", at };
        nacre_err err = try_damage(f, &d);
        if (at < len - 1) assert_err(err, NACRE_ERR_BAD_CONTEXT); /* every byte but the final newline matters */
        else assert_ok(err);
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Flipped bits, and bytes replaced by JSON's special characters, omitted or doubled. */
static void damage_every_byte(struct fixture *f, size_t file)
{
    static const char put_in[] = "0123456789-+.eE \t\r\n\"\\/{}[],:ntfx\x7f\xc3";
    uint8_t text[1024];
    size_t len = strlen(f->texts[file]);
    for (size_t at = 0; at < len; at++) {
        char was = f->texts[file][at];
        struct damage d = { file, nacre_bytes_of(text, len), is_digit(was), "bit turned", at };
        for (unsigned mask = 1; mask < 256; mask++) { /* all eight bits, and all other values too */
            if (mask & (mask - 1) && was != '"' && !d.digit) continue;
            memcpy(text, f->texts[file], len);
            text[at] = (uint8_t)(text[at] ^ mask);
            (void)try_damage(f, &d);
        }
        d.what = "put in";
        d.text.len = len + 1;
        for (const char *c = put_in; *c != '\0'; c++) { /* before the byte */
            memcpy(text, f->texts[file], at);
            text[at] = (uint8_t)*c;
            memcpy(text + at + 1, f->texts[file] + at, len - at);
            bool behind_digit = at > 0 && is_digit(f->texts[file][at - 1]);
            d.digit = is_digit(*c) && (is_digit(was) || behind_digit);
            if (*c == ',') d.digit = is_digit(was) && behind_digit; /* in a list, one number becomes two */
            (void)try_damage(f, &d);
        }
        d.what = "left out";
        d.text.len = len - 1;
        d.digit = is_digit(was);
        memcpy(text, f->texts[file], at);
        memcpy(text + at, f->texts[file] + at + 1, len - at - 1);
        (void)try_damage(f, &d);
    }
}

static void a_damaged_secret_is_refused_or_safe(void **state)
{
    cut_everywhere(*state, 0);
    damage_every_byte(*state, 0);
    assert_int_equal(((struct fixture *)*state)->digits, 0); /* other keys, the same state */
}

static void damaged_settings_are_refused_or_safe(void **state)
{
    cut_everywhere(*state, 1);
    damage_every_byte(*state, 1);
    assert_int_equal(((struct fixture *)*state)->digits, 0);
}

static void a_damaged_state_is_refused_or_safe(void **state)
{
    struct fixture *f = *state;
    cut_everywhere(f, 2);
    damage_every_byte(f, 2);
    assert_true(f->digits > 0 && f->refused > f->digits);
}

static void a_damaged_state_with_an_unknown_window_is_refused_or_safe(void **state)
{
    struct fixture *f = *state;
    set_texts(f, NACRE_ROLE_NONE, UNKNOWN);
    cut_everywhere(f, 2);
    damage_every_byte(f, 2);
    assert_true(f->digits > 0 && f->refused > f->digits);
}

static void damaged_older_settings_are_refused_or_safe(void **state)
{
    struct fixture *f = *state;
    set_texts(f, NACRE_ROLE_SERVER, OLDER_KNOWN);
    cut_everywhere(f, 1);
    damage_every_byte(f, 1);
    assert_int_equal(f->digits, 0);
}

static void a_damaged_older_state_is_refused_or_safe(void **state)
{
    static const char *const texts[] = { OLDER_KNOWN, OLDER_UNKNOWN };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        set_texts(f, NACRE_ROLE_SERVER, texts[i]);
        cut_everywhere(f, 2);
        damage_every_byte(f, 2);
    }
    assert_true(f->digits > 0 && f->refused > f->digits);
}

/* ---- Damage by editors and accidents ---- */

static nacre_bytes with_crlf(nacre_bytes text)
{
    uint8_t *bytes = test_alloc(2 * text.len);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\n') bytes[len++] = '\r';
        bytes[len++] = text.ptr[i];
    }
    return nacre_bytes_of(bytes, len);
}

static nacre_bytes as_utf16(nacre_bytes text)
{
    uint8_t *bytes = test_alloc(2 * text.len + 2);
    bytes[0] = 0xff, bytes[1] = 0xfe;
    for (size_t i = 0; i < text.len; i++) bytes[2 * i + 2] = text.ptr[i], bytes[2 * i + 3] = 0;
    return nacre_bytes_of(bytes, 2 * text.len + 2);
}

static nacre_bytes spaces_before(nacre_bytes text, size_t whole)
{
    return test_join(test_fill(' ', whole - text.len), text);
}

static nacre_err try_text(struct fixture *f, size_t file, nacre_bytes text, const char *what)
{
    struct damage d = { file, text, false, what, 0 };
    return try_damage(f, &d);
}

static void damage_whole_files(struct fixture *f)
{
    f->same = 0;
    for (size_t i = 0; i < COUNT(names); i++) {
        nacre_bytes text = nacre_bytes_of((const uint8_t *)f->texts[i], strlen(f->texts[i]));
        nacre_bytes twice = test_join(text, text);
        assert_ok(try_text(f, i, text, "nothing"));
        assert_ok(try_text(f, i, with_crlf(text), "CR LF"));
        assert_ok(try_text(f, i, spaces_before(text, 64 * 1024), "64 KiB"));
        assert_int_equal(f->same, 3 * (i + 1));
        assert_err(try_text(f, i, spaces_before(text, 64 * 1024 + 1), "a byte more"), NACRE_ERR_FILE);
        assert_err(try_text(f, i, test_join(test_hex("efbbbf"), text), "BOM"), NACRE_ERR_BAD_CONTEXT);
        assert_err(try_text(f, i, as_utf16(text), "UTF-16"), NACRE_ERR_BAD_CONTEXT);
        assert_err(try_text(f, i, test_join(text, test_fill(0, 512)), "NULs behind"), NACRE_ERR_BAD_CONTEXT);
        assert_err(try_text(f, i, test_fill(0, text.len), "NULs only"), NACRE_ERR_BAD_CONTEXT);
        assert_err(try_text(f, i, test_fill(0xff, text.len), "erased flash"), NACRE_ERR_BAD_CONTEXT);
        assert_err(try_text(f, i, twice, "the file twice"), NACRE_ERR_BAD_CONTEXT);
        assert_err(try_text(f, i, test_fill('[', 60000), "nested"), NACRE_ERR_BAD_CONTEXT);
        assert_err(try_text(f, i, test_join(test_fill('[', 30000), test_fill(']', 30000)), "nested and closed"),
                   NACRE_ERR_BAD_CONTEXT);
        assert_err(try_text(f, i, NACRE_STR(" \n"), "white space"), NACRE_ERR_BAD_CONTEXT);
        assert_err(try_text(f, i, NACRE_STR("{}"), "an empty object"), NACRE_ERR_BAD_CONTEXT);
        assert_err(try_text(f, i, NACRE_STR("[]"), "an array"), NACRE_ERR_BAD_CONTEXT);
        assert_err(try_text(f, i, NACRE_STR("null"), "null"), NACRE_ERR_BAD_CONTEXT);
    }
}

static void damaged_whole_files_are_refused_or_safe(void **state)
{
    struct fixture *f = *state;
    damage_whole_files(f);
    set_texts(f, NACRE_ROLE_SERVER, OLDER_KNOWN);
    damage_whole_files(f);
}

/* Each refused row has an accepted neighbour that differs in the named thing. */
static void edited_states_are_accepted_or_refused(void **state)
{
    static const struct {
        const char *name, *text;
        nacre_err err;
    } rows[] = {
        { "as it was", KNOWN, NACRE_OK },
        { "other members", "{\"next-to-send\": 1370, \"x\": {\"y\": [1]}, \"received\": \"unknown\"}", NACRE_OK },
        { "a key twice", "{\"next-to-send\": 1370, \"next-to-send\": 1370, \"received\": \"unknown\"}",
          NACRE_ERR_BAD_CONTEXT },
        { "a key twice, the lower last", "{\"next-to-send\": 1370, \"received\": \"unknown\", \"next-to-send\": 1}",
          NACRE_ERR_BAD_CONTEXT },
        { "a key twice, once by escapes",
          "{\"next-to-send\": 1370, \"next\\u002dto-send\": 1, \"received\": \"unknown\"}", NACRE_ERR_BAD_CONTEXT },
        { "index twice",
          "{\"next-to-send\": 1370, \"received\": {\"index\": 208, \"index\": 0, \"bitfield\": 2147483657}}",
          NACRE_ERR_BAD_CONTEXT },
        { "received twice", "{\"next-to-send\": 1370, \"received\": \"unknown\", \"received\": {\"index\": 0}}",
          NACRE_ERR_BAD_CONTEXT },
        { "other members twice", "{\"next-to-send\": 1370, \"x\": 1, \"x\": 1, \"received\": \"unknown\"}",
          NACRE_ERR_BAD_CONTEXT },
        { "16 levels", "{\"x\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]],\"next-to-send\":1370,\"received\":\"unknown\"}",
          NACRE_OK },
        { "17 levels", "{\"x\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]],\"next-to-send\":1370,\"received\":\"unknown\"}",
          NACRE_ERR_BAD_CONTEXT },
        { "2^64 - 1", "{\"next-to-send\": 18446744073709551615, \"received\": \"unknown\"}", NACRE_OK },
        { "2^40 as a string", "{\"next-to-send\": \"1099511627776\", \"received\": \"unknown\"}", NACRE_OK },
        { "negative", "{\"next-to-send\": -1, \"received\": \"unknown\"}", NACRE_ERR_BAD_CONTEXT },
        { "a fraction", "{\"next-to-send\": 1370.0, \"received\": \"unknown\"}", NACRE_ERR_BAD_CONTEXT },
        { "an exponent", "{\"next-to-send\": 1370e2, \"received\": \"unknown\"}", NACRE_ERR_BAD_CONTEXT },
        { "hex", "{\"next-to-send\": 0x55a, \"received\": \"unknown\"}", NACRE_ERR_BAD_CONTEXT },
        { "a leading zero", "{\"next-to-send\": 01370, \"received\": \"unknown\"}", NACRE_ERR_BAD_CONTEXT },
        { "a boolean", "{\"next-to-send\": true, \"received\": \"unknown\"}", NACRE_ERR_BAD_CONTEXT },
        { "NaN", "{\"next-to-send\": NaN, \"received\": \"unknown\"}", NACRE_ERR_BAD_CONTEXT },
        { "a comment", "{/* */\"next-to-send\": 1370, \"received\": \"unknown\"}", NACRE_ERR_BAD_CONTEXT },
        { "a final comma", "{\"next-to-send\": 1370, \"received\": \"unknown\",}", NACRE_ERR_BAD_CONTEXT },
        { "another case", "{\"Next-To-Send\": 1370, \"received\": \"unknown\"}", NACRE_ERR_BAD_CONTEXT },
        { "an index of 2^40", "{\"next-to-send\": 1370, \"received\": {\"index\": 1099511627776, \"bitfield\": 0}}",
          NACRE_OK },
        { "an index above", "{\"next-to-send\": 1370, \"received\": {\"index\": 1099511627777, \"bitfield\": 0}}",
          NACRE_ERR_BAD_CONTEXT },
        { "32 bits", "{\"next-to-send\": 1370, \"received\": {\"index\": 208, \"bitfield\": 4294967295}}", NACRE_OK },
        { "33 bits", "{\"next-to-send\": 1370, \"received\": {\"index\": 208, \"bitfield\": 4294967296}}",
          NACRE_ERR_BAD_CONTEXT },
        { "half a window", "{\"next-to-send\": 1370, \"received\": {\"index\": 208}}", NACRE_ERR_BAD_CONTEXT },
        { "the other half", "{\"next-to-send\": 1370, \"received\": {\"bitfield\": 1}}", NACRE_ERR_BAD_CONTEXT },
        { "half null", "{\"next-to-send\": 1370, \"received\": {\"index\": 208, \"bitfield\": null}}",
          NACRE_ERR_BAD_CONTEXT },
        { "both null", "{\"next-to-send\": 1370, \"received\": {\"index\": null, \"bitfield\": null}}", NACRE_OK },
        { "no window", "{\"next-to-send\": 1370, \"received\": null}", NACRE_ERR_BAD_CONTEXT },
        { "another word", "{\"next-to-send\": 1370, \"received\": \"Unknown\"}", NACRE_ERR_BAD_CONTEXT },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_bytes text = nacre_bytes_of((const uint8_t *)rows[i].text, strlen(rows[i].text));
        assert_err_row(rows[i].name, try_text(f, 2, text, rows[i].name), rows[i].err);
    }
}

/* Numbers of up to tens of thousands of digits, in each place that takes one. */
static void huge_numbers_are_never_misread(void **state)
{
    static const struct {
        nacre_role role;
        size_t file;
        const char *before, *behind;
        bool may_be_large;
    } entries[] = {
        { NACRE_ROLE_NONE, 2, "{\"next-to-send\": ", ", \"received\": \"unknown\"}", true },
        { NACRE_ROLE_NONE, 2, "{\"next-to-send\": 1370, \"received\": {\"index\": ", ", \"bitfield\": 0}}", false },
        { NACRE_ROLE_NONE, 2, "{\"next-to-send\": 1370, \"received\": {\"index\": 240, \"bitfield\": ", "}}", false },
        { NACRE_ROLE_NONE, 1, "{\"sender-id_hex\": \"01\", \"recipient-id_ascii\": \"c\", \"window\": ", "}", false },
        { NACRE_ROLE_NONE, 1, "{\"sender-id_hex\": \"01\", \"recipient-id_ascii\": \"c\", \"algorithm\": ", "}",
          false },
        { NACRE_ROLE_NONE, 1,
          "{\"sender-id_hex\": \"01\", \"recipient-id_ascii\": \"c\", \"sequence-chunk-limit\": ", "}", false },
        { NACRE_ROLE_SERVER, 2, "{\"used\": {\"01\": ", "}, \"seen\": {\"63\": [1099511627775]}}", true },
        { NACRE_ROLE_SERVER, 2, "{\"used\": {\"01\": 1370}, \"seen\": {\"63\": [", "]}}", false },
        { NACRE_ROLE_SERVER, 2, "{\"used\": {\"01\": 1370}, \"seen\": {\"63\": [239, ", "]}}", false },
    };
    static const size_t lengths[] = { 13, 14, 15, 18, 19, 20, 21, 38, 39, 40, 308, 309, 310, 400, 5000, 65000 };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(entries); i++) {
        set_texts(f, entries[i].role, entries[i].role == NACRE_ROLE_NONE ? KNOWN : OLDER_KNOWN);
        for (size_t l = 0; l < COUNT(lengths); l++) {
            nacre_bytes before = nacre_bytes_of((const uint8_t *)entries[i].before, strlen(entries[i].before));
            nacre_bytes behind = nacre_bytes_of((const uint8_t *)entries[i].behind, strlen(entries[i].behind));
            nacre_bytes text = test_join(test_join(before, test_fill('9', lengths[l])), behind);
            nacre_err err = try_text(f, entries[i].file, text, "a huge number");
            if (!entries[i].may_be_large) assert_err(err, NACRE_ERR_BAD_CONTEXT);
        }
    }
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_damaged_secret_is_refused_or_safe),
        ROW(damaged_settings_are_refused_or_safe),
        ROW(a_damaged_state_is_refused_or_safe),
        ROW(a_damaged_state_with_an_unknown_window_is_refused_or_safe),
        ROW(damaged_older_settings_are_refused_or_safe),
        ROW(a_damaged_older_state_is_refused_or_safe),
        ROW(damaged_whole_files_are_refused_or_safe),
        ROW(edited_states_are_accepted_or_refused),
        ROW(huge_numbers_are_never_misread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
