/* SPDX-License-Identifier: MIT */
/* directory_read_test: which files of a context directory are accepted, and the error text of each that is refused. */
#include "directories.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Settings ---- */

static void settings_are_accepted_or_refused(void **state)
{
    struct fixture *f = *state;
    /* `says` NULL: accepted; every other row differs in one thing from an accepted one. */
    static const struct {
        const char *secret, *settings, *says;
    } rows[] = {
        { SECRET, "{" IDS "}", NULL },
        { NULL, "{" IDS "}", "\"secret\" is missing" },
        { NULL, "{" IDS ", \"secret_ascii\": \"Correct Horse Battery Staple\"}", NULL },
        { SECRET, NULL, "\"sender-id\" is missing" },
        { "{" IDS ", \"secret_hex\": \"00\"}", NULL, NULL },
        { NULL, NULL, "neither secret.json nor settings.json" },
        { SECRET, "{" IDS ", \"secret_hex\": \"00\"}", "\"secret_hex\" was given already, in line 1 of secret.json" },
        { "{\"secret_hex\": \"00\",\n\"secret_ascii\": \"a\"}", "{" IDS "}",
          "line 2: \"secret_ascii\" was given already" },
        { SECRET, "{" IDS ",\n" IDS "}", "is there twice" },
        { SECRET, "{\"sender-id_hex\": \"00\"}", "\"recipient-id\" is missing" },
        { SECRET, "{\"recipient-id_hex\": \"00\"}", "\"sender-id\" is missing" },
        { SECRET, "{\"sender-id_hex\": \"00\", \"recipient-id_hex\": \"\"}", NULL },
        { SECRET, "{\"sender-id_hex\": \"00\", \"recipient-id_hex\": \"00\"}", "is the same as the sender-id" },
        { SECRET, "{\"sender-id_hex\": \"\", \"recipient-id_ascii\": \"\"}", "is the same as the sender-id" },
        { SECRET, "{\"sender-id_hex\": \"61\", \"recipient-id_ascii\": \"a\"}", "is the same as the sender-id" },
        { SECRET, "{\"sender-id\": \"00\", \"recipient-id_hex\": \"01\"}", "needs a suffix" },
        { SECRET, "{\"sender-id_hex\": 0, \"recipient-id_hex\": \"01\"}", "\"sender-id_hex\" must be a string" },
        { SECRET, "{\"sender-id_hex\": null, \"recipient-id_hex\": \"01\"}", "\"sender-id_hex\" must be a string" },
        { SECRET, "{\"sender-id_hex\": \"0\", \"recipient-id_hex\": \"01\"}", "pairs of hex digits" },
        { SECRET, "{\"sender-id_hex\": \"0g\", \"recipient-id_hex\": \"01\"}", "pairs of hex digits" },
        { SECRET, "{\"sender-id_hex\": \"AbCd\", \"recipient-id_hex\": \"01\"}", NULL },
        { SECRET, "{\"sender-id_hex\": \"00112233445566\", \"recipient-id_hex\": \"01\"}", NULL },
        { SECRET, "{\"sender-id_hex\": \"0011223344556677\", \"recipient-id_hex\": \"01\"}",
          "\"sender-id_hex\" has 8 bytes, at most 7 are allowed with this algorithm" },
        { SECRET, "{\"sender-id_hex\": \"00\", \"recipient-id_ascii\": \"12345678\"}",
          "\"recipient-id_ascii\" has 8 bytes, at most 7" },
        { SECRET, "{" IDS ", \"algorithm\": \"AES-CCM-64-64-128\"}", NULL },
        { SECRET, "{\"sender-id_hex\": \"0011\", \"recipient-id_hex\": \"01\", \"algorithm\": \"AES-CCM-64-64-128\"}",
          "\"sender-id_hex\" has 2 bytes, at most 1" },
        { SECRET, "{\"sender-id_ascii\": \"\xc3\xa9\", \"recipient-id_hex\": \"01\"}", "not ASCII" },
        { SECRET, "{" IDS ", \"algorithm\": \"ChaCha20/Poly1305\"}", NULL },
        { SECRET, "{" IDS ", \"algorithm\": 24}", NULL },
        { SECRET, "{" IDS ", \"algorithm\": 4}", "is 4, which is none of A128GCM" },
        { SECRET, "{" IDS ", \"algorithm\": -1}", "which is none of" },
        { SECRET, "{" IDS ", \"algorithm\": 65560}", "which is none of" },      /* 24 + 2^16 */
        { SECRET, "{" IDS ", \"algorithm\": 4294967320}", "which is none of" }, /* 24 + 2^32 */
        { SECRET, "{" IDS ", \"algorithm\": 24.0}", "which is none of" },
        { SECRET, "{" IDS ", \"algorithm\": \"AES-CCM-16-64-12\"}",
          "is \"AES-CCM-16-64-12\", which is none of" },                                    /* truncated */
        { SECRET, "{" IDS ", \"algorithm\": \"AES-CCM-16-64-1288\"}", "which is none of" }, /* one more */
        { SECRET, "{" IDS ", \"algorithm\": \"\"}", "which is none of" },
        { SECRET, "{" IDS ", \"algorithm\": null}", "must be a name or a COSE number" },
        { SECRET, "{" IDS ", \"algorithm_ascii\": \"A128GCM\"}", "without a suffix" },
        { SECRET, "{" IDS ", \"kdf-hashfun\": \"sha384\"}", NULL },
        { SECRET, "{" IDS ", \"kdf-hashfun\": \"sha512\"}", NULL },
        { SECRET, "{" IDS ", \"kdf-hashfun\": \"sha1\"}", "must be \"sha256\", \"sha384\" or \"sha512\"" },
        { SECRET, "{" IDS ", \"kdf-hashfun\": \"sha25\"}", "must be \"sha256\"" },
        { SECRET, "{" IDS ", \"kdf-hashfun\": 256}", "must be \"sha256\"" },
        { SECRET, "{" IDS ", \"window\": 1}", NULL },
        { SECRET, "{" IDS ", \"window\": 1024}", NULL },
        { SECRET, "{" IDS ", \"window\": 0}", "\"window\" must be a whole number from 1 to 1024" },
        { SECRET, "{" IDS ", \"window\": 1025}", "from 1 to 1024" },
        { SECRET, "{" IDS ", \"window\": 65568}", "from 1 to 1024" },                /* 32 + 2^16 */
        { SECRET, "{" IDS ", \"window\": 18446744073709551648}", "from 1 to 1024" }, /* 32 + 2^64 */
        { SECRET, "{" IDS ", \"window\": -32}", "from 1 to 1024" },
        { SECRET, "{" IDS ", \"window\": 32.0}", "from 1 to 1024" },
        { SECRET, "{" IDS ", \"window\": \"32\"}", "from 1 to 1024" },
        { SECRET, "{" IDS ", \"window\": true}", "from 1 to 1024, found true" },
        { "{\"secret_hex\": \"\"}", "{" IDS "}", "\"secret_hex\" is empty" },
        { "{\"secret_hex\": \"00\"}", "{" IDS "}", NULL },
        { "{\"secret_hex\": \"0\"}", "{" IDS "}", "pairs of hex digits" },
        { "{\"secret_hex\": [\"0\"]}", "{" IDS "}", "must be a string" },
        { "{\"secret\": \"00\"}", "{" IDS "}", "\"secret_hex\" or \"secret_ascii\"" },
        { "{\"secret_he\": \"00\"}", "{" IDS "}", "\"secret\" is missing" },   /* unknown names are left alone */
        { "{\"secret_hexa\": \"00\"}", "{" IDS "}", "\"secret\" is missing" }, /* a longer name is another one */
        { SECRET, "{" IDS ", \"salt_hex\": \"00\"}", "\"salt_hex\" was given already" },
        { SECRET, "{" IDS ", \"comment\": \"x\", \"secre\": 1, \"window_hexx\": [{}]}", NULL },
        { SECRET, "{" IDS ", \"id-context_hex\": \"\"}", NULL },
        { SECRET, "[]", "settings.json: an object is expected, found an array" },
        { SECRET, "", "settings.json: line 1: empty" },
        { SECRET, "{" IDS "} x", "settings.json: line 1: not JSON" },
        { SECRET, "{\r\n" IDS "\r\n}", NULL }, /* DOS line ends, no final newline */
    };
    scratch_mkdir(f->dir, "d");
    const char *d = scratch_path(f->dir, "d");
    char *path = strdup(d);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre_directory_info info, before;
        nacre_detail why = { "" };
        if (scratch_exists(path, "secret.json")) scratch_unlink(path, "secret.json");
        if (scratch_exists(path, "settings.json")) scratch_unlink(path, "settings.json");
        if (rows[i].secret != NULL) scratch_write(path, "secret.json", rows[i].secret);
        if (rows[i].settings != NULL) scratch_write(path, "settings.json", rows[i].settings);
        memset(&info, 0x5a, sizeof info);
        memcpy(&before, &info, sizeof info);
        nacre_err err = nacre_directory_read(&info, path, false, &why);
        if (rows[i].says == NULL) {
            if (err != NACRE_OK) fail_msg("row %zu: %s", i, why.text);
            nacre_directory *dir = open_ok(f, path); /* and keys are derived from it */
            close_ok(dir);
            continue;
        }
        if (err != NACRE_ERR_BAD_CONTEXT || strstr(why.text, rows[i].says) == NULL)
            fail_msg("row %zu: %s", i, why.text);
        assert_non_null(strstr(why.text, path));
        assert_memory_equal(&info, &before, sizeof info); /* unchanged */
        nacre_directory *dir = NULL;
        assert_int_equal(nacre_directory_open(&dir, path, &f->crypto, NULL), NACRE_ERR_BAD_CONTEXT);
        assert_null(dir);
    }
    free(path);
}

/* An error about a secret never quotes its text. */
static void secrets_stay_out_of_errors(void **state)
{
    struct fixture *f = *state;
    static const char *const rows[] = {
        "{\"secret_hex\": \"abcdeg\"}",
        "{\"secret_hex\": \"abcde\"}",
        "{\"secret_hex\": 123456}",
        "{\"secret_ascii\": \"abcde\xc3\xa9\"}",
        "{\"secret\": \"abcdef\"}",
        "{\"secret_hex\": [\"abcdef\"]}",
        "{\"secret_hex\": \"abcdef\" \"abcdef\"}",
        "{\"secret_hex\": \"abcdef",
        "{\"secret_hex\": \"00\", \"salt_hex\": \"abcdex\"}",
        "{\"secret_hex\": \"abcdef\", \"secret_ascii\": \"abcdef\"}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre_directory_info info;
        nacre_detail why = { "" };
        scratch_write(f->client, "secret.json", rows[i]);
        assert_int_equal(nacre_directory_read(&info, f->client, true, &why), NACRE_ERR_BAD_CONTEXT);
        if (strstr(why.text, "abc") != NULL || strstr(why.text, "123") != NULL) fail_msg("row %zu: %s", i, why.text);
        assert_non_null(strstr(why.text, "secret.json"));
    }
}

static void every_setting_is_read(void **state)
{
    struct fixture *f = *state;
    nacre_directory_info info;
    scratch_write(
        f->client, "settings.json",
        "{\"sender-id_ascii\": \"ab\", \"recipient-id_hex\": \"C0ffee\", \"id-context_hex\": \"37cbf3210017a2d3\",\n"
        " \"algorithm\": \"A128GCM\", \"kdf-hashfun\": \"sha512\", \"window\": 100}");
    scratch_write(f->client, "sequence.json", STATE("77", "{\"index\": 5, \"bitfield\": 6}"));
    assert_int_equal(nacre_directory_read(&info, f->client, true, NULL), NACRE_OK);
    assert_int_equal(info.aead->cose, 1);
    assert_int_equal(info.hash, NACRE_SHA512);
    assert_int_equal(info.window, 100);
    assert_int_equal(info.sender_id_len, 2);
    assert_memory_equal(info.sender_id, "ab", 2);
    assert_int_equal(info.recipient_id_len, 3);
    assert_memory_equal(info.recipient_id, "\xc0\xff\xee", 3);
    assert_true(info.has_id_context);
    assert_int_equal(info.id_context_len, 8);
    assert_memory_equal(info.id_context, "\x37\xcb\xf3\x21\x00\x17\xa2\xd3", 8);
    assert_int_equal(info.secret_len, 16);
    assert_memory_equal(info.secret, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10", 16);
    assert_int_equal(info.salt_len, 8);
    assert_memory_equal(info.salt, "\x9e\x7c\xa9\x22\x23\x78\x63\x40", 8);
    assert_true(info.has_state);
    assert_int_equal(info.next_to_send, 77);
    assert_true(info.window_known);
    assert_int_equal(info.window_index, 5);
    assert_int_equal(info.window_bits[0], 6);
}

/* RFC 8613 3.2.1: no ID Context and an empty one are two different contexts. */
static void an_empty_id_context_differs_from_none(void **state)
{
    struct fixture *f = *state;
    nacre_directory_info info;
    uint8_t common_iv[2][NACRE_MAX_NONCE];
    static const char *const settings[] = { "{" IDS "}", "{" IDS ", \"id-context_hex\": \"\"}" };
    for (size_t i = 0; i < 2; i++) {
        scratch_write(f->client, "settings.json", settings[i]);
        assert_int_equal(nacre_directory_read(&info, f->client, false, NULL), NACRE_OK);
        assert_int_equal(info.has_id_context, i);
        assert_int_equal(info.id_context_len, 0);
        nacre_directory *dir = open_ok(f, f->client);
        assert_int_equal(nacre_is_absent(nacre_context_id_context(nacre_directory_context(dir))), i == 0);
        memcpy(common_iv[i], nacre_context_common_iv(nacre_directory_context(dir)).ptr, NACRE_MAX_NONCE);
        close_ok(dir);
    }
    assert_memory_not_equal(common_iv[0], common_iv[1], NACRE_MAX_NONCE);
}

static void secrets_are_revealed_only_on_request(void **state)
{
    struct fixture *f = *state;
    nacre_directory_info info;
    static const uint8_t zeros[256];
    assert_int_equal(nacre_directory_read(&info, f->client, false, NULL), NACRE_OK);
    assert_int_equal(info.secret_len, 0);
    assert_int_equal(info.salt_len, 0);
    assert_memory_equal(info.secret, zeros, sizeof info.secret);
    assert_memory_equal(info.salt, zeros, sizeof info.salt);
    assert_false(info.has_id_context);
    assert_false(info.has_state);
    assert_true(info.window_known);
    assert_int_equal(info.window, 32);
    assert_int_equal(info.aead->cose, 10);
}

static void the_secret_file_has_two_names(void **state)
{
    struct fixture *f = *state;
    nacre_directory_info info;
    nacre_detail why;
    scratch_unlink(f->client, "secret.json");
    scratch_write(f->client, "secrets.json", SECRET);
    assert_int_equal(nacre_directory_read(&info, f->client, true, NULL), NACRE_OK);
    assert_int_equal(info.secret_len, 16);
    scratch_write(f->client, "secret.json", "{}");
    assert_int_equal(nacre_directory_read(&info, f->client, true, NULL), NACRE_OK);
    scratch_write(f->client, "secret.json", "{\"salt_hex\": \"00\"}");
    assert_int_equal(nacre_directory_read(&info, f->client, true, &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "secrets.json: line 1: \"salt_hex\" was given already, in line 1 of secret.json"));
}

static void secrets_of_256_bytes_are_the_longest(void **state)
{
    struct fixture *f = *state;
    char text[600];
    nacre_directory_info info;
    nacre_detail why;
    for (int len = 256; len <= 257; len++) {
        int at = snprintf(text, sizeof text, "{\"secret_hex\": \"");
        for (int i = 0; i < len; i++) at += snprintf(text + at, sizeof text - (size_t)at, "ab");
        snprintf(text + at, sizeof text - (size_t)at, "\"}");
        scratch_write(f->client, "secret.json", text);
        nacre_err err = nacre_directory_read(&info, f->client, true, &why);
        assert_int_equal(err, len == 256 ? NACRE_OK : NACRE_ERR_BAD_CONTEXT);
    }
    assert_non_null(strstr(why.text, "has 257 bytes, at most 256"));
    assert_null(strstr(why.text, "abab"));
}

/* Booleans, numbers, hex and names longer than any expected size. Up to `longest` bytes are accepted; a row of 0 starts
 * one byte too long. */
static void overlong_values_are_accepted_or_refused_by_length(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *file, *before, *unit, *after; /* `unit` is repeated to the length wanted */
        size_t longest;
    } rows[] = {
        { "settings.json", "{" IDS ", \"sequence-required\": ", "false", "}", 5 },
        { "settings.json", "{" IDS ", \"sequence-required\": false", "e", "}", 0 },
        { "settings.json", "{" IDS ", \"window\": ", "9", "}", 3 },
        { "settings.json", "{" IDS ", \"window\": 1", "0", "}", 3 },
        { "settings.json", "{" IDS ", \"algorithm\": 1", "0", "}", 1 },
        { "settings.json", "{" IDS ", \"algorithm\": \"A128GCM", "M", "\"}", 0 },
        { "settings.json", "{" IDS ", \"kdf-hashfun\": \"sha256", "6", "\"}", 0 },
        { "settings.json", "{\"recipient-id_hex\": \"01\", \"sender-id_hex\": \"", "00", "\"}", 14 },
        { "settings.json", "{" IDS ", \"id-context_hex\": \"", "00", "\"}",
          2 * sizeof((nacre_directory_info *)NULL)->id_context },
        { "secret.json", "{\"salt_hex\": \"", "ff", "\", \"secret_hex\": \"00\"}", 512 },
        { "sequence.json", "{\"received\": \"unknown\", \"next-to-send\": ", "1", "}", 20 },
        { "sequence.json", "{\"received\": \"unknown", "n", "\", \"next-to-send\": 1}", 0 },
        { "sequence.json", "{\"next-to-send\": 1, \"received\": {\"index\": 0, \"bitfield\": ", "1", "}}", 10 },
    };
    static char text[6000];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *const kept = scratch_read(f->client, rows[i].file);
        const size_t unit_len = strlen(rows[i].unit);
        const size_t from = rows[i].longest > unit_len ? rows[i].longest - unit_len : unit_len;
        bool was_taken = rows[i].longest == 0;
        for (size_t len = from; len <= 5000; len += len < from + 20 * unit_len ? unit_len : len) {
            nacre_directory_info info;
            nacre_detail why = { "" };
            size_t at = (size_t)snprintf(text, sizeof text, "%s", rows[i].before);
            for (size_t n = 0; n < len; n += unit_len) at += (size_t)snprintf(text + at, 8, "%s", rows[i].unit);
            (void)snprintf(text + at, sizeof text - at, "%s", rows[i].after);
            scratch_write(f->client, rows[i].file, text);
            const nacre_err err = nacre_directory_read(&info, f->client, true, &why);
            if (err != (len <= rows[i].longest ? NACRE_OK : NACRE_ERR_BAD_CONTEXT))
                fail_msg("row %zu, %zu bytes: %s: %s", i, len, nacre_err_name(err), why.text);
            was_taken = was_taken || err == NACRE_OK;
            if (err == NACRE_OK) continue;
            assert_non_null(strstr(why.text, rows[i].file));
            nacre_directory *dir = NULL;
            assert_int_equal(nacre_directory_open(&dir, f->client, &f->crypto, NULL), NACRE_ERR_BAD_CONTEXT);
        }
        assert_true(was_taken);
        if (kept != NULL) scratch_write(f->client, rows[i].file, kept);
        else scratch_unlink(f->client, rows[i].file);
        free(kept);
        close_ok(open_ok(f, f->client)); /* the previous state is still valid */
    }
}

static void unreadable_files_are_errors(void **state)
{
    struct fixture *f = *state;
    nacre_directory_info info;
    nacre_detail why;
    nacre_directory *dir = NULL;
    assert_int_equal(nacre_directory_read(&info, scratch_path(f->dir, "none"), false, &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, "none: cannot open directory: No such file"));
    assert_int_equal(nacre_directory_open(&dir, scratch_path(f->dir, "none"), &f->crypto, &why), NACRE_ERR_FILE);
    assert_int_equal(nacre_directory_open(&dir, scratch_path(f->client, "secret.json"), &f->crypto, &why),
                     NACRE_ERR_FILE);
    scratch_unlink(f->client, "settings.json");
    assert_int_equal(mkfifo(scratch_path(f->client, "settings.json"), 0600), 0);
    assert_int_equal(nacre_directory_open(&dir, f->client, &f->crypto, &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, "settings.json: not a regular file"));
    scratch_unlink(f->client, "settings.json");
    enum { LARGE = 64 * 1024 };
    char spaces[LARGE + 1];
    memset(spaces, ' ', sizeof spaces);
    memcpy(spaces, "{" IDS "}", strlen("{" IDS "}"));
    scratch_write_bytes(f->client, "settings.json", spaces, LARGE);
    close_ok(open_ok(f, f->client));
    scratch_write_bytes(f->client, "settings.json", spaces, LARGE + 1);
    assert_int_equal(nacre_directory_open(&dir, f->client, &f->crypto, &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, "65537 bytes, at most 65536"));
    assert_null(dir);
}

/* ---- sequence.json ---- */

static void states_are_accepted_or_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text, *says;
        uint64_t next;
        bool known;
        uint64_t index;
        uint8_t bits0;
    } rows[] = {
        { "{\"next-to-send\": 0, \"received\": " EMPTY "}", NULL, 0, true, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": \"unknown\"}", NULL, 7, false, 0, 0 },
        { "{\"received\": \"unknown\", \"next-to-send\": 7}", NULL, 7, false, 0, 0 },
        { "{\"next-to-send\": \"7\", \"received\": \"unknown\"}", NULL, 7, false, 0, 0 },
        { "{\"next-to-send\": \"7x\", \"received\": \"unknown\"}", "next-to-send must be", 0, false, 0, 0 },
        { "{\"next-to-send\": \"\", \"received\": \"unknown\"}", "next-to-send must be", 0, false, 0, 0 },
        { "{\"next-to-send\": \"-7\", \"received\": \"unknown\"}", "next-to-send must be", 0, false, 0, 0 },
        { "{\"next-to-send\": -1, \"received\": \"unknown\"}", "next-to-send must be", 0, false, 0, 0 },
        { "{\"next-to-send\": 7.0, \"received\": \"unknown\"}", "next-to-send must be", 0, false, 0, 0 },
        { "{\"next-to-send\": 7e0, \"received\": \"unknown\"}", "next-to-send must be", 0, false, 0, 0 },
        { "{\"next-to-send\": null, \"received\": \"unknown\"}", "next-to-send must be", 0, false, 0, 0 },
        { "{\"next-to-send\": true, \"received\": \"unknown\"}", "next-to-send must be", 0, false, 0, 0 },
        { "{\"received\": \"unknown\"}", "no next-to-send", 0, false, 0, 0 },
        { "{\"used\": {\"01\": 7}, \"seen\": {\"\": [1]}}", "this state is of the legacy layout", 0, false, 0, 0 },
        { "{\"next-to-send\": 1099511627775, \"received\": \"unknown\"}", NULL, NACRE_SEQ_MAX, false, 0, 0 },
        { "{\"next-to-send\": 1099511627776, \"received\": \"unknown\"}", NULL, NACRE_SEQ_MAX + 1, false, 0, 0 },
        /* the last chunk of aiocoap may reach beyond the end */
        { "{\"next-to-send\": 1099511637776, \"received\": \"unknown\"}", NULL, NACRE_SEQ_MAX + 1, false, 0, 0 },
        { "{\"next-to-send\": 18446744073709551616, \"received\": \"unknown\"}", "next-to-send must be", 0, false, 0,
          0 },
        { "{\"next-to-send\": 7}", "no received", 0, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": null}", "received must be", 0, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": \"Unknown\"}", "received must be", 0, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": \"unknow\"}", "received must be", 0, false, 0, 0 }, /* truncated */
        { "{\"next-to-send\": 7, \"received\": []}", "received must be", 0, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": {}}", "must have index and bitfield", 0, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": {\"index\": 1}}", "must have index and bitfield", 0, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": {\"bitfield\": 1}}", "must have index and bitfield", 0, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": {\"index\": 1, \"bitfield\": 5}}", NULL, 7, true, 1, 5 },
        { "{\"next-to-send\": 7, \"received\": {\"index\": null, \"bitfield\": null}}", NULL, 7, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": {\"index\": null, \"bitfield\": 0}}", "index must be", 0, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": {\"index\": 0, \"bitfield\": null}}", "bitfield must be", 0, false, 0,
          0 },
        { "{\"next-to-send\": 7, \"received\": {\"index\": \"1\", \"bitfield\": 5}}", "index must be", 0, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": {\"index\": 1, \"bitfield\": \"5\"}}", "bitfield must be", 0, false, 0,
          0 },
        { "{\"next-to-send\": 7, \"received\": {\"index\": -1, \"bitfield\": 5}}", "index must be", 0, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": {\"index\": 1, \"bitfield\": -5}}", "bitfield must be", 0, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": {\"index\": 1, \"bitfield\": 5.5}}", "bitfield must be", 0, false, 0,
          0 },
        { "{\"next-to-send\": 7, \"received\": {\"index\": 1099511627776, \"bitfield\": 0}}", NULL, 7, true,
          NACRE_SEQ_MAX + 1, 0 },
        { "{\"next-to-send\": 7, \"received\": {\"index\": 1099511627777, \"bitfield\": 0}}", "index must be", 0, false,
          0, 0 },
        { "{\"next-to-send\": 7, \"received\": {\"index\": 1, \"bitfield\": 4294967295}}", NULL, 7, true, 1, 0xff },
        { "{\"next-to-send\": 7, \"received\": {\"index\": 1, \"bitfield\": 4294967296}}",
          "more bits than the window of 32", 0, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": \"unknown\", \"next-to-send\": 8}", "is there twice", 0, false, 0, 0 },
        { "[]", "an object is expected", 0, false, 0, 0 },
        { "", "empty", 0, false, 0, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre_directory_info info;
        nacre_detail why = { "" };
        scratch_write(f->client, "sequence.json", rows[i].text);
        nacre_err err = nacre_directory_read(&info, f->client, false, &why);
        if (rows[i].says != NULL) {
            if (err != NACRE_ERR_BAD_CONTEXT || strstr(why.text, rows[i].says) == NULL)
                fail_msg("row %zu: %s", i, why.text);
            assert_non_null(strstr(why.text, "client/sequence.json: line 1: "));
            nacre_directory *dir = NULL;
            assert_int_equal(nacre_directory_open(&dir, f->client, &f->crypto, NULL), NACRE_ERR_BAD_CONTEXT);
        } else {
            if (err != NACRE_OK) fail_msg("row %zu: %s", i, why.text);
            assert_true(info.has_state && info.next_to_send == rows[i].next && info.window_known == rows[i].known);
            assert_true(info.window_index == rows[i].index && info.window_bits[0] == rows[i].bits0);
            nacre_directory *dir = open_ok(f, f->client);
            assert_true(nacre_context_next_seq(nacre_directory_context(dir)) == rows[i].next);
            close_ok(dir);
        }
        scratch_expect(f->client, "sequence.json", rows[i].text); /* neither a refusal nor reading rewrites it */
    }
}

/* A state truncated at any byte is refused. */
static void a_state_cut_off_anywhere_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "{\"next-to-send\": 1234, \"received\": {\"index\": 5, \"bitfield\": 4294967295}}";
    for (size_t len = 0; len < sizeof text - 1; len++) {
        nacre_directory_info info;
        scratch_write_bytes(f->client, "sequence.json", text, len);
        assert_int_equal(nacre_directory_read(&info, f->client, false, NULL), NACRE_ERR_BAD_CONTEXT);
    }
}

/* A bitfield of 1024 bits is read and written exactly, to the last digit. */
static void large_windows_are_exact(void **state)
{
    struct fixture *f = *state;
    /* 2^1023 + 2^64 + 2^63 + 2^53 + 1 */
    char received[600], text[700];
    snprintf(received, sizeof received, "{\"index\": 100, \"bitfield\": %s}",
             "89884656743115795386465259539451236680898848947115328636715040578866337902750481566354238661203"
             "76801056005693993569667882939488440720831124642371531973706218888394671243274263815110980062304"
             "70597265414760425028844190753411712314407369565552704136185816752553422931491199736229692398581"
             "52445357288121931137025");
    snprintf(text, sizeof text, "{\"next-to-send\": 3, \"received\": %s}\n", received);
    scratch_write(f->client, "settings.json",
                  "{\"sender-id_hex\": \"\", \"recipient-id_hex\": \"01\", \"window\": 1024}");
    scratch_write(f->client, "sequence.json", text);
    nacre_directory *dir = open_ok(f, f->client);
    const nacre_replay *window = nacre_context_replay(nacre_directory_context(dir));
    assert_int_equal(nacre_replay_check(window, 99), NACRE_ERR_REPLAY);
    assert_int_equal(nacre_replay_check(window, 100), NACRE_ERR_REPLAY); /* 2^0 */
    assert_int_equal(nacre_replay_check(window, 101), NACRE_OK);
    assert_int_equal(nacre_replay_check(window, 100 + 1023), NACRE_ERR_REPLAY); /* 2^1023 */
    assert_int_equal(nacre_replay_check(window, 100 + 1024), NACRE_OK);
    uint8_t buf[64];
    nacre_bytes out;
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    char wanted[700];
    snprintf(wanted, sizeof wanted, "{\"next-to-send\": 13, \"received\": %s}\n", received);
    scratch_expect(f->client, "sequence.json", wanted);
    assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_OK);
    close_ok(dir);
    snprintf(wanted, sizeof wanted, "{\"next-to-send\": 4, \"received\": %s}\n", received);
    scratch_expect(f->client, "sequence.json", wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(settings_are_accepted_or_refused),
        TEST(secrets_stay_out_of_errors),
        TEST(every_setting_is_read),
        TEST(an_empty_id_context_differs_from_none),
        TEST(secrets_are_revealed_only_on_request),
        TEST(the_secret_file_has_two_names),
        TEST(secrets_of_256_bytes_are_the_longest),
        TEST(overlong_values_are_accepted_or_refused_by_length),
        TEST(unreadable_files_are_errors),
        TEST(states_are_accepted_or_refused),
        TEST(a_state_cut_off_anywhere_is_refused),
        TEST(large_windows_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
