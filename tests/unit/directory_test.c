/* SPDX-License-Identifier: MIT */
/* directory_test: context directories: what is read and refused, and that what is on disk stays true through failing
 * writes, killed processes, two openers and forks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nacre/nacre.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scratch.h"

/* ---- The write points: fsync and renameat of this program's own, which fail or end the process at the n-th call ---- */

static struct {
    unsigned calls;   /* so far */
    unsigned fail_at; /* this call fails with EIO; 0: none */
    unsigned exit_at; /* the process ends before this call; 0: none */
    bool exit_after;  /* … or behind it */
} points;

static bool point(void)
{
    points.calls++;
    if (points.calls == points.exit_at && !points.exit_after) _exit(9);
    if (points.calls != points.fail_at) return true;
    errno = EIO;
    return false;
}

static long behind(long result)
{
    if (points.calls == points.exit_at && points.exit_after) _exit(9);
    return result;
}

int fsync(int fd)
{
    return point() ? (int)behind(syscall(SYS_fsync, fd)) : -1;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return point() ? (int)behind(syscall(SYS_renameat2, from_fd, from, to_fd, to, 0)) : -1;
}

/* Once, between opening and locking: the holder removes the file and ends, as aiocoap does; and a third one may make it
 * anew. */
static const char *removed_before_flock;
static bool made_anew;

int flock(int fd, int operation)
{
    if (removed_before_flock != NULL) unlink(removed_before_flock);
    if (removed_before_flock != NULL && made_anew) close(open(removed_before_flock, O_CREAT | O_WRONLY, 0600));
    removed_before_flock = NULL;
    return (int)syscall(SYS_flock, fd, operation);
}

/* ---- Set-up: a scratch directory, a crypto instance, and the two sides of RFC 8613 C.1 in it ---- */

struct fixture {
    char *dir;
    nacre_crypto crypto;
    char client[4200], server[4200];
    int next_fd; /* the descriptor that would be given out next */
};

static int next_fd(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

#define SECRET "{\"secret_hex\": \"0102030405060708090a0b0c0d0e0f10\", \"salt_hex\": \"9e7ca92223786340\"}"
#define IDS    "\"sender-id_hex\": \"00\", \"recipient-id_hex\": \"01\""

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->dir = scratch_make();
    assert_int_equal(nacre_openssl_open(&f->crypto), NACRE_OK);
    snprintf(f->client, sizeof f->client, "%s/client", f->dir);
    snprintf(f->server, sizeof f->server, "%s/server", f->dir);
    scratch_mkdir(f->dir, "client");
    scratch_mkdir(f->dir, "server");
    scratch_write(f->client, "secret.json", SECRET);
    scratch_write(f->client, "settings.json", "{\"sender-id_hex\": \"\", \"recipient-id_hex\": \"01\"}");
    scratch_write(f->server, "secret.json", SECRET);
    scratch_write(f->server, "settings.json", "{\"sender-id_hex\": \"01\", \"recipient-id_hex\": \"\"}");
    memset(&points, 0, sizeof points);
    f->next_fd = next_fd();
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(next_fd(), f->next_fd); /* whatever happened, no descriptor was left open */
    nacre_openssl_close(&f->crypto);
    scratch_remove(f->dir);
    free(f);
    return 0;
}

static nacre_directory *open_ok(struct fixture *f, const char *path)
{
    nacre_directory *dir = NULL;
    nacre_detail why = { "" };
    if (nacre_directory_open(&dir, path, &f->crypto, &why) != NACRE_OK) fail_msg("%s", why.text);
    return dir;
}

static void close_ok(nacre_directory *dir)
{
    nacre_detail why = { "" };
    if (nacre_directory_close(dir, &why) != NACRE_OK) fail_msg("%s", why.text);
}

static nacre_err serve(nacre_directory *dir, nacre_detail *why)
{
    nacre_store store = nacre_directory_store(dir);
    return nacre_store_serve(&store, nacre_directory_context(dir), why);
}

static const nacre_message get_request = { NACRE_CON,   NACRE_GET,  1, { (const uint8_t *)"t", 1 },
                                           { NULL, 0 }, { NULL, 0 } };

static nacre_err protect(struct fixture *f, nacre_directory *dir, nacre_bytes *out, nacre_room room)
{
    nacre_request_id id;
    return nacre_protect_request(nacre_directory_context(dir), &f->crypto, &id, out, room, &get_request, NULL);
}

static nacre_err unprotect(struct fixture *f, nacre_directory *dir, nacre_bytes datagram)
{
    nacre_request_id id;
    nacre_message outer, plain;
    uint8_t room[256];
    assert_int_equal(nacre_message_parse(&outer, datagram), NACRE_OK);
    return nacre_unprotect_request(nacre_directory_context(dir), &f->crypto, &id, &plain, NACRE_ROOM(room), &outer);
}

/* unprotect, with the store's work in between when it is asked for. */
static nacre_err accept(struct fixture *f, nacre_directory *dir, nacre_bytes datagram)
{
    nacre_err err = unprotect(f, dir, datagram);
    if (err != NACRE_ERR_NOT_YET) return err;
    err = serve(dir, NULL);
    return err == NACRE_OK ? unprotect(f, dir, datagram) : err;
}

static void expect_file(const char *dir, const char *name, const char *wanted)
{
    char *text = scratch_read(dir, name);
    if (wanted == NULL) assert_null(text);
    else {
        assert_non_null(text);
        assert_string_equal(text, wanted);
    }
    free(text);
}

#define STATE(n, received) "{\"next-to-send\": " n ", \"received\": " received "}\n"
#define EMPTY              "{\"index\": 0, \"bitfield\": 0}"
#define UNKNOWN            "\"unknown\""

/* ---- Settings ---- */

static void settings_are_taken_or_refused(void **state)
{
    struct fixture *f = *state;
    /* `says` NULL is taken; otherwise each row differs in one thing from one that is taken. */
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
          "is \"AES-CCM-16-64-12\", which is none of" },                                    /* B1 */
        { SECRET, "{" IDS ", \"algorithm\": \"AES-CCM-16-64-1288\"}", "which is none of" }, /* B1 */
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
        { "{\"secret_he\": \"00\"}", "{" IDS "}", "\"secret\" is missing" },   /* B1: unknown names are left alone */
        { "{\"secret_hexa\": \"00\"}", "{" IDS "}", "\"secret\" is missing" }, /* B1 */
        { SECRET, "{" IDS ", \"salt_hex\": \"00\"}", "\"salt_hex\" was given already" },
        { SECRET, "{" IDS ", \"comment\": \"x\", \"secre\": 1, \"window_hexx\": [{}]}", NULL },
        { SECRET, "{" IDS ", \"id-context_hex\": \"\"}", NULL },
        { SECRET, "[]", "settings.json: an object is expected, found an array" },
        { SECRET, "", "settings.json: line 1: empty" },
        { SECRET, "{" IDS "} x", "settings.json: line 1: not JSON" },
        { SECRET, "{\r\n" IDS "\r\n}", NULL }, /* B2: DOS line ends, no final newline */
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
            nacre_directory *dir = open_ok(f, path); /* and the keys can be derived */
            close_ok(dir);
            continue;
        }
        if (err != NACRE_ERR_BAD_CONTEXT || strstr(why.text, rows[i].says) == NULL)
            fail_msg("row %zu: %s", i, why.text);
        assert_non_null(strstr(why.text, path));
        assert_memory_equal(&info, &before, sizeof info); /* untouched */
        nacre_directory *dir = NULL;
        assert_int_equal(nacre_directory_open(&dir, path, &f->crypto, NULL), NACRE_ERR_BAD_CONTEXT);
        assert_null(dir);
    }
    free(path);
}

/* Whatever is wrong with a secret, its text stays out of the error. */
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

static void all_data_arrive(void **state)
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
static void an_empty_id_context_is_one(void **state)
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

static void secrets_show_only_when_asked_for(void **state)
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

static void both_names_of_the_secret_file(void **state)
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

static void files_that_cannot_be_read(void **state)
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

static void states_are_taken_or_refused(void **state)
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
        { "{\"used\": {\"01\": 7}, \"seen\": {\"\": [1]}}", "this state is of the older layout", 0, false, 0, 0 },
        { "{\"next-to-send\": 1099511627775, \"received\": \"unknown\"}", NULL, NACRE_SEQ_MAX, false, 0, 0 },
        { "{\"next-to-send\": 1099511627776, \"received\": \"unknown\"}", NULL, NACRE_SEQ_MAX + 1, false, 0, 0 },
        /* the other library's last chunk may reach beyond the end */
        { "{\"next-to-send\": 1099511637776, \"received\": \"unknown\"}", NULL, NACRE_SEQ_MAX + 1, false, 0, 0 },
        { "{\"next-to-send\": 18446744073709551616, \"received\": \"unknown\"}", "next-to-send must be", 0, false, 0,
          0 },
        { "{\"next-to-send\": 7}", "no received", 0, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": null}", "received must be", 0, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": \"Unknown\"}", "received must be", 0, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": \"unknow\"}", "received must be", 0, false, 0, 0 }, /* B1 */
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
        expect_file(f->client, "sequence.json", rows[i].text); /* neither a refusal nor a look rewrites it */
    }
}

/* B7 */
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

/* A bitfield of 1024 bits, in and out, to the last digit. */
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
    uint8_t room[64];
    nacre_bytes out;
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    char wanted[700];
    snprintf(wanted, sizeof wanted, "{\"next-to-send\": 13, \"received\": %s}\n", received);
    expect_file(f->client, "sequence.json", wanted);
    assert_int_equal(protect(f, dir, &out, NACRE_ROOM(room)), NACRE_OK);
    close_ok(dir);
    snprintf(wanted, sizeof wanted, "{\"next-to-send\": 4, \"received\": %s}\n", received);
    expect_file(f->client, "sequence.json", wanted);
}

/* ---- The life of a directory ---- */

static void an_unused_directory_stays_as_it_is(void **state)
{
    struct fixture *f = *state;
    close_ok(open_ok(f, f->client));
    assert_false(scratch_exists(f->client, "sequence.json"));
    scratch_write(f->client, "sequence.json", "{ \"next-to-send\":7,\"received\":{\"index\":null,\"bitfield\":null} }");
    close_ok(open_ok(f, f->client));
    expect_file(f->client, "sequence.json", "{ \"next-to-send\":7,\"received\":{\"index\":null,\"bitfield\":null} }");
    assert_int_equal(nacre_directory_close(NULL, NULL), NACRE_OK);
    nacre_directory *dir = open_ok(f, f->server);
    assert_string_equal(nacre_directory_path(dir), f->server);
    close_ok(dir);
}

/* RFC 8613 B.1.1, B.1.2: numbers ahead, the window unknown while in use; the truth after a clean end. */
static void the_state_is_pessimistic_in_between(void **state)
{
    struct fixture *f = *state;
    nacre_directory *client = open_ok(f, f->client), *server = open_ok(f, f->server);
    uint8_t rooms[3][64];
    nacre_bytes requests[3];

    assert_int_equal(protect(f, client, &requests[0], NACRE_ROOM(rooms[0])), NACRE_ERR_NOT_YET);
    assert_false(scratch_exists(f->client, "sequence.json"));
    assert_int_equal(serve(client, NULL), NACRE_OK);
    expect_file(f->client, "sequence.json", STATE("10", EMPTY));
    for (size_t i = 0; i < 3; i++) assert_int_equal(protect(f, client, &requests[i], NACRE_ROOM(rooms[i])), NACRE_OK);
    expect_file(f->client, "sequence.json", STATE("10", EMPTY));

    assert_int_equal(unprotect(f, server, requests[0]), NACRE_ERR_NOT_YET);
    assert_false(scratch_exists(f->server, "sequence.json"));
    assert_int_equal(serve(server, NULL), NACRE_OK);
    expect_file(f->server, "sequence.json", STATE("10", UNKNOWN)); /* both needs at once */
    assert_int_equal(unprotect(f, server, requests[0]), NACRE_OK);
    assert_int_equal(unprotect(f, server, requests[0]), NACRE_ERR_REPLAY);
    assert_int_equal(unprotect(f, server, requests[2]), NACRE_OK);

    struct stat st;
    assert_int_equal(stat(scratch_path(f->server, "sequence.json"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    close_ok(client);
    close_ok(server);
    expect_file(f->client, "sequence.json", STATE("3", EMPTY));
    expect_file(f->server, "sequence.json", STATE("0", "{\"index\": 0, \"bitfield\": 5}"));
    assert_int_equal(scratch_count(f->client, ".sequence-"), 0);

    server = open_ok(f, f->server);
    assert_int_equal(accept(f, server, requests[0]), NACRE_ERR_REPLAY); /* B12: also across runs */
    assert_int_equal(accept(f, server, requests[2]), NACRE_ERR_REPLAY);
    assert_int_equal(accept(f, server, requests[1]), NACRE_OK);
    close_ok(server);
    expect_file(f->server, "sequence.json", STATE("0", "{\"index\": 0, \"bitfield\": 7}"));
}

static void an_unknown_window_stays_unknown(void **state)
{
    struct fixture *f = *state;
    uint8_t room[64];
    nacre_bytes request;
    nacre_directory *client = open_ok(f, f->client);
    assert_int_equal(serve(client, NULL), NACRE_OK);
    assert_int_equal(protect(f, client, &request, NACRE_ROOM(room)), NACRE_OK);
    close_ok(client);
    scratch_write(f->server, "sequence.json", STATE("0", UNKNOWN));
    nacre_directory *server = open_ok(f, f->server);
    assert_int_equal(accept(f, server, request), NACRE_ERR_REPLAY_ECHO); /* so an Echo value is there */
    assert_int_equal(serve(server, NULL), NACRE_OK);
    expect_file(f->server, "sequence.json", STATE("10", UNKNOWN));
    close_ok(server);
    expect_file(f->server, "sequence.json", STATE("0", UNKNOWN));
}

static void numbers_end_where_they_end(void **state)
{
    struct fixture *f = *state;
    uint8_t room[64];
    nacre_bytes out;
    scratch_write(f->client, "sequence.json", STATE("1099511627775", EMPTY));
    nacre_directory *dir = open_ok(f, f->client);
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    assert_int_equal(protect(f, dir, &out, NACRE_ROOM(room)), NACRE_OK);
    assert_int_equal(protect(f, dir, &out, NACRE_ROOM(room)), NACRE_ERR_CONTEXT_UNAVAILABLE);
    close_ok(dir);
    expect_file(f->client, "sequence.json", STATE("1099511627776", EMPTY));
    dir = open_ok(f, f->client);
    assert_int_equal(protect(f, dir, &out, NACRE_ROOM(room)), NACRE_ERR_CONTEXT_UNAVAILABLE);
    close_ok(dir);
}

static void the_working_directory_may_change(void **state)
{
    struct fixture *f = *state;
    char *old = getcwd(NULL, 0);
    assert_int_equal(chdir(f->dir), 0);
    nacre_directory *dir = open_ok(f, "client");
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    close_ok(dir);
    assert_int_equal(chdir(old), 0);
    free(old);
    expect_file(f->client, "sequence.json", STATE("0", EMPTY));
}

/* ---- Failing writes ---- */

/* fsync of the file, rename, fsync of the folder, each once: nothing is confirmed, nothing is left lying about, and the
 * next attempt succeeds. */
static void a_failed_write_confirms_nothing(void **state)
{
    struct fixture *f = *state;
    static const char *const steps[] = { "make durable (fsync)", "replace (rename)",
                                         "make the directory durable (fsync)" };
    for (unsigned step = 1; step <= 3; step++) {
        uint8_t room[64];
        nacre_bytes out;
        nacre_detail why = { "" };
        if (scratch_exists(f->client, "sequence.json")) scratch_unlink(f->client, "sequence.json");
        nacre_directory *dir = open_ok(f, f->client);
        points.calls = 0;
        points.fail_at = step;
        assert_int_equal(serve(dir, &why), NACRE_ERR_FILE);
        if (strstr(why.text, steps[step - 1]) == NULL || strstr(why.text, strerror(EIO)) == NULL)
            fail_msg("step %u: %s", step, why.text);
        assert_non_null(strstr(why.text, f->client));
        assert_int_equal(protect(f, dir, &out, NACRE_ROOM(room)), NACRE_ERR_NOT_YET);
        assert_int_equal(scratch_count(f->client, ".sequence-"), 0);
        if (step < 3) assert_false(scratch_exists(f->client, "sequence.json"));
        points.fail_at = 0;
        assert_int_equal(serve(dir, &why), NACRE_OK);
        expect_file(f->client, "sequence.json", STATE("10", EMPTY));
        assert_int_equal(protect(f, dir, &out, NACRE_ROOM(room)), NACRE_OK);
        close_ok(dir);
        expect_file(f->client, "sequence.json", STATE("1", EMPTY));
    }
}

static void a_failed_window_write_keeps_requests_waiting(void **state)
{
    struct fixture *f = *state;
    uint8_t room[64];
    nacre_bytes request;
    nacre_directory *client = open_ok(f, f->client), *server = open_ok(f, f->server);
    assert_int_equal(serve(client, NULL), NACRE_OK);
    assert_int_equal(protect(f, client, &request, NACRE_ROOM(room)), NACRE_OK);
    assert_int_equal(serve(server, NULL), NACRE_OK); /* the numbers */
    for (unsigned step = 1; step <= 3; step++) {
        assert_int_equal(unprotect(f, server, request), NACRE_ERR_NOT_YET);
        points.calls = 0;
        points.fail_at = step;
        assert_int_equal(serve(server, NULL), NACRE_ERR_FILE);
        points.fail_at = 0;
        assert_int_equal(unprotect(f, server, request), NACRE_ERR_NOT_YET);
    }
    assert_int_equal(serve(server, NULL), NACRE_OK);
    expect_file(f->server, "sequence.json", STATE("10", UNKNOWN));
    assert_int_equal(unprotect(f, server, request), NACRE_OK);
    close_ok(client);
    close_ok(server);
}

/* The rename was done and only its durability failed: "unknown" may be on disk although nobody gave the window up. The
 * close does not take the state that it remembers for the one on disk. */
static void a_half_done_write_is_written_over(void **state)
{
    struct fixture *f = *state;
    uint8_t room[64];
    nacre_bytes request;
    nacre_directory *client = open_ok(f, f->client);
    assert_int_equal(serve(client, NULL), NACRE_OK);
    assert_int_equal(protect(f, client, &request, NACRE_ROOM(room)), NACRE_OK);
    close_ok(client);
    scratch_write(f->server, "sequence.json", STATE("0", EMPTY));
    nacre_directory *server = open_ok(f, f->server);
    nacre_store store = nacre_directory_store(server);
    points.calls = 0;
    points.fail_at = 3;
    assert_int_equal(store.ops->window_lost(store.self, NULL), NACRE_ERR_FILE);
    points.fail_at = 0;
    expect_file(f->server, "sequence.json", STATE("0", UNKNOWN));
    close_ok(server);
    expect_file(f->server, "sequence.json", STATE("0", EMPTY));
}

static void a_failed_close_leaves_the_pessimistic_state(void **state)
{
    struct fixture *f = *state;
    for (unsigned step = 1; step <= 2; step++) {
        uint8_t room[64];
        nacre_bytes out;
        nacre_detail why = { "" };
        if (scratch_exists(f->client, "sequence.json")) scratch_unlink(f->client, "sequence.json");
        nacre_directory *dir = open_ok(f, f->client);
        assert_int_equal(serve(dir, &why), NACRE_OK);
        assert_int_equal(protect(f, dir, &out, NACRE_ROOM(room)), NACRE_OK);
        points.calls = 0;
        points.fail_at = step;
        assert_int_equal(nacre_directory_close(dir, &why), NACRE_ERR_FILE);
        points.fail_at = 0;
        assert_non_null(strstr(why.text, strerror(EIO)));
        expect_file(f->client, "sequence.json", STATE("10", EMPTY));
        assert_int_equal(scratch_count(f->client, ".sequence-"), 0);
        close_ok(open_ok(f, f->client)); /* unlocked all the same */
    }
}

static void a_directory_that_went_away(void **state)
{
    struct fixture *f = *state;
    nacre_detail why = { "" };
    nacre_directory *dir = open_ok(f, f->client);
    scratch_unlink(f->client, "secret.json");
    scratch_unlink(f->client, "settings.json");
    scratch_unlink(f->client, "lock");
    assert_int_equal(rmdir(f->client), 0);
    assert_int_equal(serve(dir, &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, "cannot make a temporary file"));
    close_ok(dir); /* nothing was used */
}

static void leftovers_of_a_crash_are_swept(void **state)
{
    struct fixture *f = *state;
    scratch_write(f->client, ".sequence-abc234", "half");
    scratch_write(f->client, ".sequence-notours.json", "kept");
    scratch_write(f->client, "sequence-abc234", "kept");
    close_ok(open_ok(f, f->client));
    assert_false(scratch_exists(f->client, ".sequence-abc234"));
    assert_true(scratch_exists(f->client, ".sequence-notours.json"));
    assert_true(scratch_exists(f->client, "sequence-abc234"));
}

/* ---- Killed processes ---- */

/* In a child that ends at write point `exit_at`: open, use numbers, tell each to the parent before going on; close. */
static void use_numbers(struct fixture *f, int pipe_fd, unsigned exit_at, bool exit_after)
{
    uint8_t room[64];
    nacre_bytes out;
    nacre_directory *dir = NULL;
    memset(&points, 0, sizeof points);
    points.exit_at = exit_at;
    points.exit_after = exit_after;
    if (nacre_directory_open(&dir, f->client, &f->crypto, NULL) != NACRE_OK) _exit(1);
    for (int i = 0; i < 25; i++) {
        uint64_t number = nacre_context_next_seq(nacre_directory_context(dir));
        if (serve(dir, NULL) != NACRE_OK) _exit(2);
        if (protect(f, dir, &out, NACRE_ROOM(room)) != NACRE_OK) _exit(3);
        if (write(pipe_fd, &number, sizeof number) != (ssize_t)sizeof number) _exit(4);
    }
    if (nacre_directory_close(dir, NULL) != NACRE_OK) _exit(5);
    _exit(0);
}

/* B16: kill at every write point, before and behind it, one run after the other on one directory: no number twice. */
static void no_number_is_used_twice(void **state)
{
    struct fixture *f = *state;
    uint64_t next_free = 0;
    unsigned killed = 0;
    for (unsigned run = 0; run < 40; run++) {
        int fds[2], status = 0;
        assert_int_equal(pipe(fds), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) use_numbers(f, fds[1], run / 2 % 16 + 1, run % 2 != 0);
        close(fds[1]);
        for (uint64_t number; read(fds[0], &number, sizeof number) == (ssize_t)sizeof number; next_free = number + 1)
            assert_true(number >= next_free);
        close(fds[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9);
        if (WEXITSTATUS(status) == 9) killed++;
        if (WEXITSTATUS(status) == 0) { /* a clean end wastes none */
            nacre_directory_info info;
            assert_int_equal(nacre_directory_read(&info, f->client, false, NULL), NACRE_OK);
            assert_true(info.next_to_send == next_free);
        }
    }
    assert_true(killed >= 20);
    assert_true(next_free >= 25);
}

static void receive(struct fixture *f, const nacre_bytes *requests, size_t num, int pipe_fd, unsigned exit_at,
                    bool exit_after)
{
    nacre_directory *dir = NULL;
    memset(&points, 0, sizeof points);
    points.exit_at = exit_at;
    points.exit_after = exit_after;
    if (nacre_directory_open(&dir, f->server, &f->crypto, NULL) != NACRE_OK) _exit(1);
    for (size_t i = 0; i < num; i++) {
        nacre_err err = accept(f, dir, requests[i]);
        uint8_t number = (uint8_t)i;
        if (err == NACRE_OK && write(pipe_fd, &number, 1) != 1) _exit(4);
        if (err != NACRE_OK && err != NACRE_ERR_REPLAY && err != NACRE_ERR_REPLAY_ECHO) _exit(6);
    }
    if (nacre_directory_close(dir, NULL) != NACRE_OK) _exit(5);
    _exit(0);
}

/* The same for received requests: none is accepted twice, whenever the server dies. */
static void no_request_is_accepted_twice(void **state)
{
    struct fixture *f = *state;
    enum { NUM = 12 };
    uint8_t rooms[NUM][64];
    nacre_bytes requests[NUM];
    nacre_directory *client = open_ok(f, f->client);
    for (size_t i = 0; i < NUM; i++) {
        assert_int_equal(serve(client, NULL), NACRE_OK);
        assert_int_equal(protect(f, client, &requests[i], NACRE_ROOM(rooms[i])), NACRE_OK);
    }
    close_ok(client);
    for (unsigned first = 1; first <= 12; first++) {
        bool accepted[NUM] = { false };
        if (scratch_exists(f->server, "sequence.json")) scratch_unlink(f->server, "sequence.json");
        for (unsigned run = 0; run < 4; run++) {
            int fds[2], status = 0;
            assert_int_equal(pipe(fds), 0);
            pid_t child = fork();
            assert_true(child >= 0);
            /* killed somewhere in the first run, later, or not at all */
            if (child == 0) receive(f, requests, 3 + 3 * run, fds[1], run == 3 ? 0 : first + run, first % 2 != 0);
            close(fds[1]);
            for (uint8_t number; read(fds[0], &number, 1) == 1;) {
                assert_false(accepted[number]);
                accepted[number] = true;
            }
            close(fds[0]);
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9));
        }
    }
}

/* ---- The lock ---- */

static void one_opener_at_a_time(void **state)
{
    struct fixture *f = *state;
    nacre_directory *dir = open_ok(f, f->client), *second = NULL;
    nacre_detail why = { "" };
    scratch_write(f->client, "lock", "not ours to change");
    assert_int_equal(nacre_directory_open(&second, f->client, &f->crypto, &why), NACRE_ERR_LOCKED);
    assert_non_null(strstr(why.text, "client/lock: "));
    assert_null(second);
    close_ok(dir);
    close_ok(open_ok(f, f->client));
    expect_file(f->client, "lock", "not ours to change"); /* never removed, never cut */
}

/* A process that holds the lock as aiocoap does, and tells when it has it. */
static pid_t lock_in_child(struct fixture *f, long hold_ms, bool unlink_first)
{
    int fds[2];
    char byte = 'x';
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd = open(scratch_path(f->client, "lock"), O_RDWR | O_CREAT, 0600);
        if (flock(fd, LOCK_EX) != 0 || write(fds[1], &byte, 1) != 1) _exit(1);
        struct timespec hold = { hold_ms / 1000, hold_ms % 1000 * 1000000 };
        nanosleep(&hold, NULL);
        if (unlink_first) unlink(scratch_path(f->client, "lock"));
        _exit(0);
    }
    assert_int_equal(read(fds[0], &byte, 1), 1);
    close(fds[0]);
    close(fds[1]);
    return child;
}

static void another_process_is_named(void **state)
{
    struct fixture *f = *state;
    nacre_directory *dir = NULL;
    nacre_detail why = { "" };
    char named[64];
    pid_t child = lock_in_child(f, 60000, false);
    assert_int_equal(nacre_directory_open(&dir, f->client, &f->crypto, &why), NACRE_ERR_LOCKED);
    snprintf(named, sizeof named, "process %ld uses this directory", (long)child);
    if (strstr(why.text, named) == NULL && strstr(why.text, "another process uses this directory") == NULL)
        fail_msg("%s", why.text);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close_ok(open_ok(f, f->client));
}

static void a_short_holder_is_waited_for(void **state)
{
    struct fixture *f = *state;
    pid_t child = lock_in_child(f, 300, false);
    close_ok(open_ok(f, f->client));
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* The file that we wait for is removed by its holder: a lock on it would exclude nobody. */
static void a_removed_lock_file_does_not_count(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        removed_before_flock = scratch_path(f->client, "lock");
        made_anew = i == 1;
        nacre_directory *dir = open_ok(f, f->client), *second = NULL;
        assert_null(removed_before_flock);
        assert_true(scratch_exists(f->client, "lock"));
        assert_int_equal(nacre_directory_open(&second, f->client, &f->crypto, NULL), NACRE_ERR_LOCKED);
        close_ok(dir);
    }
    pid_t child = lock_in_child(f, 300, true);
    nacre_directory *dir = open_ok(f, f->client), *second = NULL;
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(nacre_directory_open(&second, f->client, &f->crypto, NULL), NACRE_ERR_LOCKED);
    close_ok(dir);
}

static void a_link_is_no_lock(void **state)
{
    struct fixture *f = *state;
    nacre_directory *dir = NULL;
    assert_int_equal(symlink("/dev/null", scratch_path(f->client, "lock")), 0);
    assert_int_equal(nacre_directory_open(&dir, f->client, &f->crypto, NULL), NACRE_ERR_FILE);
}

/* After a fork, the child must neither reserve numbers nor write an older truth over the parent's newer one. */
static void a_forked_child_writes_nothing(void **state)
{
    struct fixture *f = *state;
    uint8_t room[64];
    nacre_bytes out;
    int status = 0;
    nacre_directory *dir = open_ok(f, f->client);
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    assert_int_equal(protect(f, dir, &out, NACRE_ROOM(room)), NACRE_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* nor use the numbers that are left, for the parent uses them too */
        bool protects = protect(f, dir, &out, NACRE_ROOM(room)) == NACRE_OK;
        _exit(!protects && nacre_directory_close(dir, NULL) == NACRE_ERR_LOCKED ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(protect(f, dir, &out, NACRE_ROOM(room)), NACRE_OK);
    expect_file(f->client, "sequence.json", STATE("10", EMPTY));
    close_ok(dir);
    expect_file(f->client, "sequence.json", STATE("2", EMPTY));
}

/* ---- Fresh pairs ---- */

static void a_pair_talks(void **state)
{
    struct fixture *f = *state;
    char a[4200], b[4200];
    snprintf(a, sizeof a, "%s/a", f->dir);
    snprintf(b, sizeof b, "%s/b/", f->dir);
    const nacre_aead *aead;
    for (size_t i = 0; (aead = nacre_aead_at(i)) != NULL; i++) {
        nacre_generate_options options = { aead, i % 2 == 0 ? NACRE_ABSENT : NACRE_STR("context") };
        nacre_detail why = { "" };
        if (nacre_directory_generate(a, b, &options, &why) != NACRE_OK) fail_msg("%s", why.text);
        nacre_directory_info info;
        assert_int_equal(nacre_directory_read(&info, a, true, NULL), NACRE_OK);
        assert_ptr_equal(info.aead, aead);
        assert_int_equal(info.secret_len, aead->key_len == 16 ? 16 : 32);
        assert_int_equal(info.salt_len, 8);
        assert_int_equal(info.has_id_context, i % 2 != 0);
        assert_int_equal(info.id_context_len, i % 2 == 0 ? 0 : 7);
        assert_true(info.sender_id_len == 1 && info.sender_id[0] == 0);
        assert_true(info.recipient_id_len == 1 && info.recipient_id[0] == 1);

        nacre_directory *client = open_ok(f, a), *server = open_ok(f, b);
        uint8_t room[64];
        nacre_bytes request;
        assert_int_equal(serve(client, NULL), NACRE_OK);
        assert_int_equal(protect(f, client, &request, NACRE_ROOM(room)), NACRE_OK);
        assert_int_equal(accept(f, server, request), NACRE_OK);
        close_ok(client);
        close_ok(server);

        static const char *const files[] = { "secret.json", "settings.json", "sequence.json", "lock" };
        for (size_t j = 0; j < 4; j++) {
            struct stat st;
            assert_int_equal(stat(scratch_path(a, files[j]), &st), 0);
            assert_int_equal(st.st_mode & 07777, 0600);
            scratch_unlink(a, files[j]);
            scratch_unlink(b, files[j]);
        }
        struct stat st;
        assert_int_equal(stat(a, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        assert_int_equal(rmdir(a), 0); /* nothing else is in there */
        assert_int_equal(rmdir(b), 0);
    }
}

/* RFC 8613 12.3: no two pairs have one secret. */
static void pairs_differ(void **state)
{
    struct fixture *f = *state;
    nacre_directory_info one, two;
    char paths[4][4200];
    for (size_t i = 0; i < 4; i++) snprintf(paths[i], sizeof paths[i], "%s/p%zu", f->dir, i);
    assert_int_equal(nacre_directory_generate(paths[0], paths[1], NULL, NULL), NACRE_OK);
    assert_int_equal(nacre_directory_generate(paths[2], paths[3], NULL, NULL), NACRE_OK);
    assert_int_equal(nacre_directory_read(&one, paths[0], true, NULL), NACRE_OK);
    assert_int_equal(nacre_directory_read(&two, paths[2], true, NULL), NACRE_OK);
    assert_int_equal(one.secret_len, 16);
    assert_memory_not_equal(one.secret, two.secret, 16);
    assert_memory_not_equal(one.salt, two.salt, 8);
    assert_int_equal(nacre_directory_read(&two, paths[1], true, NULL), NACRE_OK);
    assert_memory_equal(one.secret, two.secret, 16);
    assert_memory_equal(one.salt, two.salt, 8);
}

static void a_pair_is_both_or_none(void **state)
{
    struct fixture *f = *state;
    char a[4200], b[4200];
    nacre_detail why = { "" };
    snprintf(a, sizeof a, "%s/a", f->dir);
    snprintf(b, sizeof b, "%s/b", f->dir);
    /* each of the 4 files takes three write points, the two parents one each */
    for (unsigned step = 1; step <= 14; step++) {
        points.calls = 0;
        points.fail_at = step;
        assert_int_equal(nacre_directory_generate(a, b, NULL, &why), NACRE_ERR_FILE);
        assert_non_null(strstr(why.text, strerror(EIO)));
        assert_false(scratch_exists(f->dir, "a"));
        assert_false(scratch_exists(f->dir, "b"));
    }
    points.calls = 0;
    points.fail_at = 15;
    assert_int_equal(nacre_directory_generate(a, b, NULL, &why), NACRE_OK);
    assert_int_equal(points.calls, 14);
}

static void a_pair_replaces_nothing(void **state)
{
    struct fixture *f = *state;
    char a[4200], same[4200];
    nacre_detail why = { "" };
    snprintf(a, sizeof a, "%s/a", f->dir);
    snprintf(same, sizeof same, "%s/./a", f->dir);
    assert_int_equal(nacre_directory_generate(f->client, a, NULL, &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, strerror(EEXIST)));
    assert_non_null(strstr(why.text, f->client));
    assert_false(scratch_exists(f->dir, "a"));
    assert_int_equal(nacre_directory_generate(a, f->server, NULL, &why), NACRE_ERR_FILE);
    assert_false(scratch_exists(f->dir, "a"));
    expect_file(f->client, "secret.json", SECRET);
    expect_file(f->server, "secret.json", SECRET);
    assert_int_equal(nacre_directory_generate(scratch_path(f->dir, "no/a"), a, NULL, &why), NACRE_ERR_FILE);
    assert_false(scratch_exists(f->dir, "a"));
    assert_int_equal(nacre_directory_generate(a, a, NULL, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(nacre_directory_generate(a, scratch_path(f->dir, "a//"), NULL, &why), NACRE_ERR_BAD_ARGUMENT);
    assert_non_null(strstr(why.text, "given for both sides"));
    assert_int_equal(nacre_directory_generate(a, same, NULL, &why), NACRE_ERR_FILE);
    assert_false(scratch_exists(f->dir, "a"));

    nacre_aead stranger = *nacre_aead_by_number(10);
    nacre_generate_options options = { &stranger, NACRE_ABSENT };
    assert_int_equal(nacre_directory_generate(a, f->server, &options, &why), NACRE_ERR_BAD_ARGUMENT);
    uint8_t long_id[256] = { 0 };
    options = (nacre_generate_options){ NULL, NACRE_ARRAY(long_id) };
    assert_int_equal(nacre_directory_generate(a, scratch_path(f->dir, "b"), &options, &why), NACRE_ERR_BAD_ARGUMENT);
    options.id_context.len = 255;
    assert_int_equal(nacre_directory_generate(a, scratch_path(f->dir, "b"), &options, &why), NACRE_OK);
    close_ok(open_ok(f, a));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(settings_are_taken_or_refused),
        TEST(secrets_stay_out_of_errors),
        TEST(all_data_arrive),
        TEST(an_empty_id_context_is_one),
        TEST(secrets_show_only_when_asked_for),
        TEST(both_names_of_the_secret_file),
        TEST(secrets_of_256_bytes_are_the_longest),
        TEST(files_that_cannot_be_read),
        TEST(states_are_taken_or_refused),
        TEST(a_state_cut_off_anywhere_is_refused),
        TEST(large_windows_are_exact),
        TEST(an_unused_directory_stays_as_it_is),
        TEST(the_state_is_pessimistic_in_between),
        TEST(an_unknown_window_stays_unknown),
        TEST(numbers_end_where_they_end),
        TEST(the_working_directory_may_change),
        TEST(a_failed_write_confirms_nothing),
        TEST(a_failed_window_write_keeps_requests_waiting),
        TEST(a_half_done_write_is_written_over),
        TEST(a_failed_close_leaves_the_pessimistic_state),
        TEST(a_directory_that_went_away),
        TEST(leftovers_of_a_crash_are_swept),
        TEST(no_number_is_used_twice),
        TEST(no_request_is_accepted_twice),
        TEST(one_opener_at_a_time),
        TEST(another_process_is_named),
        TEST(a_short_holder_is_waited_for),
        TEST(a_removed_lock_file_does_not_count),
        TEST(a_link_is_no_lock),
        TEST(a_forked_child_writes_nothing),
        TEST(a_pair_talks),
        TEST(pairs_differ),
        TEST(a_pair_is_both_or_none),
        TEST(a_pair_replaces_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
