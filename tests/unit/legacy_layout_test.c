/* SPDX-License-Identifier: MIT */
/* legacy_layout_test: directories of the legacy layout: the keys that make one, roles, and a state that both sides may
 * share. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lone.h"

#define KEYS "\"secret_hex\": \"0102030405060708090a0b0c0d0e0f10\""
#define IDS  "\"client-sender-id_hex\": \"\", \"server-sender-id_hex\": \"01\""
#define CCM  "\"algorithm\": \"AES-CCM-16-64-128\""

static nacre_directory *open_as(struct fixture *f, nacre_role role)
{
    nacre_directory *dir = NULL;
    nacre_detail why = { "" };
    if (nacre_directory_open_as(&dir, f->dir, role, &f->crypto, &why) != NACRE_OK) fail_msg("%s", why.text);
    return dir;
}

static void close_ok(nacre_directory *dir)
{
    nacre_detail why = { "" };
    if (nacre_directory_close(dir, &why) != NACRE_OK) fail_msg("%s", why.text);
}

static void expect_state(struct fixture *f, const char *wanted)
{
    char *text = scratch_state(f->dir);
    assert_non_null(text);
    assert_string_equal(text, wanted);
    free(text);
}

/* ---- Settings ---- */

static void keys_and_roles_are_accepted_or_refused(void **state)
{
    struct fixture *f = *state;
    /* `says` NULL: accepted. */
    static const struct {
        const char *settings;
        nacre_role role;
        const char *says;
    } rows[] = {
        { "{" KEYS ", " IDS "}", NACRE_ROLE_CLIENT, NULL },
        { "{" KEYS ", " IDS "}", NACRE_ROLE_SERVER, NULL },
        { "{" KEYS ", " IDS "}", NACRE_ROLE_NONE, "role client or server" },
        { "{" KEYS ", " IDS "}", (nacre_role)3, "role client or server" },
        { "{" KEYS ", \"client-id_hex\": \"01\", \"server-id_hex\": \"00\", " CCM "}", NACRE_ROLE_CLIENT, NULL },
        { "{" KEYS ", \"client-id_hex\": \"01\", \"server-sender-id_hex\": \"00\"}", NACRE_ROLE_CLIENT, NULL },
        { "{" KEYS ", \"client-id_hex\": \"01\", " IDS "}", NACRE_ROLE_CLIENT, "was given already" },
        { "{" KEYS ", " IDS ", \"sender-id_hex\": \"00\"}", NACRE_ROLE_CLIENT, "are of two layouts" },
        { "{" KEYS ", " IDS ", \"recipient-id_hex\": \"00\"}", NACRE_ROLE_NONE, "are of two layouts" },
        { "{" KEYS ", \"sender-id_hex\": \"00\", \"recipient-id_hex\": \"01\"}", NACRE_ROLE_NONE, NULL },
        { "{" KEYS ", \"sender-id_hex\": \"00\", \"recipient-id_hex\": \"01\"}", NACRE_ROLE_CLIENT,
          "no role can be given" },
        { "{" KEYS "}", NACRE_ROLE_CLIENT, "\"sender-id\" is missing, and so are" },
        { "{" KEYS ", \"client-sender-id_hex\": \"\"}", NACRE_ROLE_CLIENT, "\"server-sender-id\" is missing" },
        { "{" KEYS ", \"client-sender-id_hex\": \"\"}", NACRE_ROLE_SERVER, "\"server-sender-id\" is missing" },
        { "{" KEYS ", \"client-sender-id_hex\": \"01\", \"server-sender-id_ascii\": \"\\u0001\"}", NACRE_ROLE_CLIENT,
          "need different IDs" },
        { "{" KEYS ", \"client-sender-id\": \"01\", \"server-sender-id_hex\": \"\"}", NACRE_ROLE_CLIENT,
          "needs a suffix" },
        { "{" KEYS ", \"client-sender-id_ascii\": \"a\", \"server-sender-id_hex\": \"01\"}", NACRE_ROLE_CLIENT, NULL },
        { "{" KEYS ", \"client-sender-id_ascii\": \"ab\", \"server-sender-id_hex\": \"01\"}", NACRE_ROLE_CLIENT,
          "has 2 bytes, at most 1 are allowed with this algorithm" }, /* AES-CCM-64-64-128 */
        { "{" KEYS ", \"client-sender-id_ascii\": \"ab\", \"server-sender-id_hex\": \"01\", " CCM "}",
          NACRE_ROLE_CLIENT, NULL },
        { "{" KEYS ", " IDS ", \"kdf-hashfun\": \"sha256\"}", NACRE_ROLE_CLIENT, NULL },
        { "{" KEYS ", " IDS ", \"kdf-hashfun\": \"sha512\"}", NACRE_ROLE_CLIENT, "must be \"sha256\"" },
        { "{" KEYS ", " IDS ", \"id-context_hex\": \"37cb\", \"window\": 64}", NACRE_ROLE_CLIENT, NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre_directory *dir = NULL;
        nacre_detail why = { "" };
        scratch_write(f->dir, "settings.json", rows[i].settings);
        nacre_err err = nacre_directory_open_as(&dir, f->dir, rows[i].role, &f->crypto, &why);
        if (rows[i].says == NULL && err != NACRE_OK) fail_msg("row %zu: %s", i, why.text);
        if (rows[i].says != NULL && (err != NACRE_ERR_BAD_CONTEXT || strstr(why.text, rows[i].says) == NULL))
            fail_msg("row %zu: %s", i, why.text);
        if (err == NACRE_OK) close_ok(dir);
        if (scratch_exists(f->dir, "sequence.json")) scratch_unlink(f->dir, "sequence.json");
    }
}

static void roles_cross_the_ids_and_defaults_differ(void **state)
{
    struct fixture *f = *state;
    nacre_directory_info client, server;
    scratch_write(f->dir, "settings.json", "{" KEYS ", " IDS "}");
    assert_int_equal(nacre_directory_read_as(&client, f->dir, NACRE_ROLE_CLIENT, false, NULL), NACRE_OK);
    assert_int_equal(nacre_directory_read_as(&server, f->dir, NACRE_ROLE_SERVER, false, NULL), NACRE_OK);
    assert_int_equal(client.layout, NACRE_LAYOUT_LEGACY);
    assert_int_equal(client.aead->cose, 12);
    assert_int_equal(client.sender_id_len, 0);
    assert_int_equal(client.recipient_id_len, 1);
    assert_int_equal(server.sender_id_len, 1);
    assert_int_equal(server.recipient_id_len, 0);
    assert_int_equal(nacre_directory_read(&client, f->dir, false, NULL), NACRE_ERR_BAD_CONTEXT);
}

/* ---- State ---- */

static void states_are_accepted_or_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text, *says;
        uint64_t next;
        bool known;
        uint64_t index;
        unsigned bits; /* the first of the window */
    } rows[] = {
        { NULL, NULL, 0, true, 0, 0 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"01\": [-1]}}", NULL, 7, true, 0, 0 },
        { "{\"used\": {\"\": \"7\"}, \"seen\": {\"01\": []}}", NULL, 7, true, 0, 0 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"01\": [-1, 0, 2]}}", NULL, 7, true, 0, 5 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"01\": [-1, 2, 0]}}", "in ascending order", 0, false, 0, 0 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"01\": [-1, 0, 0, 2]}}", "each once", 0, false, 0, 0 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"01\": [4, 6]}}", NULL, 7, true, 5, 2 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"01\": [0, 100]}}", NULL, 7, true, 69, 0x80000000 },
        { "{\"used\": {\"\": 7, \"01\": 9}, \"seen\": {\"01\": [4], \"\": [8]}}", NULL, 7, true, 5, 0 },
        { "{\"used\": {\"\": 1099511627776}, \"seen\": {\"01\": [4]}}", NULL, 1099511627776, true, 5, 0 },
        { "{\"used\": {\"\": 99999999999999999}, \"seen\": {\"01\": [4]}}", NULL, 1099511627776, true, 5, 0 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"01\": [1099511627775]}}", NULL, 7, false, 0, 0 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"01\": [4]}, \"nacre\": {\"received\": {\"01\": \"unknown\"}}}", NULL, 7,
          false, 0, 0 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"01\": [4]}, \"nacre\": {\"received\": {\"02\": \"unknown\"}}}", NULL, 7,
          true, 5, 0 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"01\": [4]}, \"nacre\": {\"received\": {\"01\": 1}}}",
          "\"received\" must hold \"unknown\"", 0, false, 0, 0 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"01\": [4]}, \"nacre\": 1}", "\"nacre\" must be an object", 0, false, 0,
          0 },
        { "{\"used\": {\"01\": 7}, \"seen\": {\"\": [4]}, \"nacre\": {\"unused\": [\"\"]}}", NULL, 0, true, 0, 0 },
        { "{\"used\": {\"01\": 7}, \"seen\": {\"\": [4]}}", "\"used\" has no entry for the ID \"\"", 0, false, 0, 0 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"\": [4]}}", "\"seen\" has no entry for the ID \"01\"", 0, false, 0, 0 },
        { "{\"used\": {\"\": -1}, \"seen\": {\"01\": []}}", "whole number", 0, false, 0, 0 },
        { "{\"used\": {\"\": 1.0}, \"seen\": {\"01\": []}}", "whole number", 0, false, 0, 0 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"01\": [-2]}}", "from -1 to 2^40 - 1, found -2", 0, false, 0, 0 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"01\": [1099511627776]}}", "from -1 to 2^40 - 1", 0, false, 0, 0 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"01\": [\"1\"]}}", "from -1 to 2^40 - 1", 0, false, 0, 0 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"01\": 1}}", "must hold an array", 0, false, 0, 0 },
        { "{\"used\": {\"\": 7}, \"seen\": []}", "\"seen\" must be an object", 0, false, 0, 0 },
        { "{\"used\": 7, \"seen\": {\"01\": [1]}}", "\"used\" must be an object, found 7", 0, false, 0, 0 },
        { "{\"used\": {\"\": 7}}", "no \"seen\"", 0, false, 0, 0 },
        { "{\"next-to-send\": 7, \"received\": \"unknown\"}", "this state is of the newest layout", 0, false, 0, 0 },
        { "{}", "no \"used\"", 0, false, 0, 0 },
        { "[]", "an object is expected", 0, false, 0, 0 },
        { "{\"used\": {\"\": 7}, \"seen\": {\"01\": [4", "line 1", 0, false, 0, 0 },
    };
    scratch_write(f->dir, "settings.json", "{" KEYS ", " IDS "}");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre_directory_info info;
        nacre_detail why = { "" };
        if (rows[i].text != NULL) scratch_write(f->dir, "sequence.json", rows[i].text);
        nacre_err err = nacre_directory_read_as(&info, f->dir, NACRE_ROLE_CLIENT, false, &why);
        if (rows[i].says != NULL) {
            if (err != NACRE_ERR_BAD_CONTEXT || strstr(why.text, rows[i].says) == NULL)
                fail_msg("row %zu: %s", i, why.text);
            continue;
        }
        if (err != NACRE_OK) fail_msg("row %zu: %s", i, why.text);
        unsigned bits = info.window_bits[0] | (unsigned)info.window_bits[1] << 8 | (unsigned)info.window_bits[2] << 16 |
                        (unsigned)info.window_bits[3] << 24;
        if (info.next_to_send != rows[i].next || info.window_known != rows[i].known ||
            (rows[i].known && (info.window_index != rows[i].index || bits != rows[i].bits)))
            fail_msg("row %zu: index %llu bits %x", i, (unsigned long long)info.window_index, bits);
    }
}

static void one_id_in_two_cases_is_refused(void **state)
{
    struct fixture *f = *state;
    nacre_directory_info info;
    nacre_detail why = { "" };
    scratch_write(f->dir, "settings.json", "{" KEYS ", \"client-id_hex\": \"ab\", \"server-id_hex\": \"01\"}");
    scratch_write(f->dir, "sequence.json", "{\"used\": {\"AB\": 7}, \"seen\": {\"01\": []}}");
    assert_int_equal(nacre_directory_read_as(&info, f->dir, NACRE_ROLE_CLIENT, false, &why), NACRE_OK);
    assert_int_equal(info.next_to_send, 7);
    scratch_write(f->dir, "sequence.json", "{\"used\": {\"AB\": 7, \"ab\": 8}, \"seen\": {\"01\": []}}");
    assert_int_equal(nacre_directory_read_as(&info, f->dir, NACRE_ROLE_CLIENT, false, &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "two entries"));
}

/* ---- Use ---- */

static nacre_bytes protect(struct fixture *f, nacre_directory *dir, nacre_buf buf)
{
    static const nacre_message get = { NACRE_CON, NACRE_GET, 1, { (const uint8_t *)"t", 1 }, { NULL, 0 }, { NULL, 0 } };
    nacre_request_id id;
    nacre_bytes out = NACRE_ABSENT;
    nacre_store store = nacre_directory_store(dir);
    assert_int_equal(nacre_store_serve(&store, nacre_directory_context(dir), NULL), NACRE_OK);
    assert_int_equal(nacre_protect_request(nacre_directory_context(dir), &f->crypto, &id, &out, buf, &get, NULL),
                     NACRE_OK);
    return out;
}

static nacre_err unprotect(struct fixture *f, nacre_directory *dir, nacre_bytes datagram)
{
    nacre_request_id id;
    nacre_message outer, plain;
    uint8_t buf[256];
    nacre_store store = nacre_directory_store(dir);
    assert_int_equal(nacre_message_parse(&outer, datagram), NACRE_OK);
    nacre_context *ctx = nacre_directory_context(dir);
    nacre_err err = nacre_unprotect_request(ctx, &f->crypto, &id, &plain, NACRE_BUF(buf), &outer);
    if (err != NACRE_ERR_NOT_YET) return err;
    assert_int_equal(nacre_store_serve(&store, ctx, NULL), NACRE_OK);
    return nacre_unprotect_request(ctx, &f->crypto, &id, &plain, NACRE_BUF(buf), &outer);
}

/* Both sides use one directory in turn: each keeps what the other wrote. */
static void both_sides_share_one_state(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[2][256];
    scratch_write(f->dir, "settings.json", "{" KEYS ", " IDS "}");

    nacre_directory *dir = open_as(f, NACRE_ROLE_CLIENT);
    nacre_bytes first = protect(f, dir, NACRE_BUF(buf[0]));
    /* RFC 8613 B.1.1: ahead of use */
    expect_state(f, "{\"used\": {\"\": 10}, \"seen\": {\"01\": [-1]}, \"nacre\": {\"unused\": [\"01\"]}}\n");
    nacre_bytes second = protect(f, dir, NACRE_BUF(buf[1]));
    close_ok(dir);
    expect_state(f, "{\"used\": {\"\": 2}, \"seen\": {\"01\": [-1]}, \"nacre\": {\"unused\": [\"01\"]}}\n");

    dir = open_as(f, NACRE_ROLE_SERVER);
    assert_int_equal(unprotect(f, dir, second), NACRE_OK);
    /* RFC 8613 B.1.2: unknown first, so that a reader of "seen" alone accepts nothing */
    expect_state(f, "{\"used\": {\"01\": 10, \"\": 2}, \"seen\": {\"\": [1099511627775], \"01\": [-1]}, "
                    "\"nacre\": {\"received\": {\"\": \"unknown\"}}}\n");
    close_ok(dir);
    expect_state(f, "{\"used\": {\"01\": 0, \"\": 2}, \"seen\": {\"\": [-1, 1], \"01\": [-1]}}\n");

    dir = open_as(f, NACRE_ROLE_SERVER);
    assert_int_equal(unprotect(f, dir, second), NACRE_ERR_REPLAY);
    assert_int_equal(unprotect(f, dir, first), NACRE_OK);
    close_ok(dir);
    expect_state(f, "{\"used\": {\"01\": 0, \"\": 2}, \"seen\": {\"\": [-1, 0, 1], \"01\": [-1]}}\n");

    dir = open_as(f, NACRE_ROLE_CLIENT);
    assert_int_equal(nacre_context_next_seq(nacre_directory_context(dir)), 2);
    close_ok(dir);
}

static void the_roles_exclude_each_other(void **state)
{
    struct fixture *f = *state;
    nacre_directory *other = NULL;
    scratch_write(f->dir, "settings.json", "{" KEYS ", " IDS "}");
    nacre_directory *dir = open_as(f, NACRE_ROLE_CLIENT);
    assert_int_equal(nacre_directory_open_as(&other, f->dir, NACRE_ROLE_SERVER, &f->crypto, NULL), NACRE_ERR_LOCKED);
    close_ok(dir);
    close_ok(open_as(f, NACRE_ROLE_SERVER));
}

/* Entries of others beside ours stay, including unknown members. */
static void entries_of_others_stay(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[256];
    scratch_write(f->dir, "settings.json", "{" KEYS ", " IDS "}");
    scratch_write(f->dir, "sequence.json",
                  "{\"used\": {\"\": 7, \"01\": 9, \"zz\\\"\": [1]}, \"seen\": {\"01\": [3, 5], \"\": [0, 2]},"
                  " \"nacre\": {\"received\": {\"\": \"unknown\", \"05\": \"unknown\"}, \"unused\": [\"07\"]}}");
    nacre_directory *dir = open_as(f, NACRE_ROLE_CLIENT);
    (void)protect(f, dir, NACRE_BUF(buf));
    close_ok(dir);
    expect_state(f, "{\"used\": {\"\": 8, \"01\": 9, \"zz\\\"\": [1]}, \"seen\": {\"01\": [3, 5], \"\": [0, 2]}, "
                    "\"nacre\": {\"received\": {\"\": \"unknown\", \"05\": \"unknown\"}, \"unused\": [\"07\"]}}\n");
}

/* After a kill, numbers are skipped and no request is accepted without an Echo, whichever program reads the file. */
static void after_a_crash_nothing_is_accepted(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[2][256];
    scratch_write(f->dir, "settings.json", "{" KEYS ", " IDS "}");
    nacre_directory *dir = open_as(f, NACRE_ROLE_CLIENT);
    nacre_bytes first = protect(f, dir, NACRE_BUF(buf[0])), second = protect(f, dir, NACRE_BUF(buf[1]));
    close_ok(dir);
    dir = open_as(f, NACRE_ROLE_SERVER);
    assert_int_equal(unprotect(f, dir, first), NACRE_OK);
    char *crashed = scratch_state(f->dir);
    close_ok(dir);
    scratch_write(f->dir, "sequence.json", crashed);
    free(crashed);
    dir = open_as(f, NACRE_ROLE_SERVER);
    assert_int_equal(unprotect(f, dir, first), NACRE_ERR_REPLAY_ECHO);
    assert_int_equal(unprotect(f, dir, second), NACRE_ERR_REPLAY_ECHO);
    close_ok(dir);
    /* Without the added member, as a program of that time would write it: the list alone decides. */
    scratch_write(f->dir, "sequence.json", "{\"used\": {\"01\": 0}, \"seen\": {\"\": [1099511627775]}}");
    dir = open_as(f, NACRE_ROLE_SERVER);
    assert_int_equal(unprotect(f, dir, first), NACRE_ERR_REPLAY_ECHO);
    close_ok(dir);
}

/* Lists longer than the window: a number in the list is never fresh, also after it is written back. */
static void long_lists_never_accept_a_seen_number(void **state)
{
    struct fixture *f = *state;
    static const unsigned windows[] = { 1, 31, 32, 64, 65, 1024 };
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        char text[8192], settings[256];
        uint64_t words[2][NACRE_REPLAY_MAX / 64];
        nacre_replay ours, again;
        nacre_directory_info info;
        snprintf(settings, sizeof settings, "{" KEYS ", " IDS ", \"window\": %u}", windows[i]);
        scratch_write(f->dir, "settings.json", settings);
        size_t at = (size_t)snprintf(text, sizeof text, "{\"used\": {\"\": 0}, \"seen\": {\"01\": [10");
        for (unsigned n = 12; n < 800; n += 2 + n % 3) /* 10, the listed numbers and all below 10 were seen */
            at += (size_t)snprintf(text + at, sizeof text - at, ", %u", n);
        snprintf(text + at, sizeof text - at, "]}}");
        scratch_write(f->dir, "sequence.json", text);
        assert_int_equal(nacre_directory_read_as(&info, f->dir, NACRE_ROLE_CLIENT, false, NULL), NACRE_OK);
        assert_true(info.window_known);
        assert_int_equal(nacre_replay_init(&ours, info.window, words[0]), NACRE_OK);
        assert_int_equal(nacre_replay_init(&again, info.window, words[1]), NACRE_OK);
        size_t len = ((size_t)info.window + 7) / 8;
        assert_int_equal(nacre_replay_import(&ours, info.window_index, info.window_bits, len), NACRE_OK);
        bool seen[1000] = { false };
        for (unsigned n = 0; n <= 10; n++) seen[n] = true;
        for (unsigned n = 12; n < 800; n += 2 + n % 3) seen[n] = true;
        unsigned fresh = 0;
        for (unsigned n = 0; n < 1000; n++) {
            if (nacre_replay_check(&ours, n) != NACRE_OK) continue;
            assert_false(seen[n]);
            fresh++;
        }
        assert_true(fresh >= 200);
        /* written and read again: exactly the same window */
        nacre_directory *dir = open_as(f, NACRE_ROLE_CLIENT);
        uint8_t buf[256];
        (void)protect(f, dir, NACRE_BUF(buf));
        close_ok(dir);
        assert_int_equal(nacre_directory_read_as(&info, f->dir, NACRE_ROLE_CLIENT, false, NULL), NACRE_OK);
        assert_int_equal(nacre_replay_import(&again, info.window_index, info.window_bits, len), NACRE_OK);
        for (unsigned n = 0; n < 2000; n++)
            assert_int_equal(nacre_replay_check(&ours, n), nacre_replay_check(&again, n));
    }
}

/* Every prefix of the state, and every byte of it changed, is accepted or refused, without a crash or a changed
 * file. */
static void damaged_states_are_read_safely(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "{\"used\": {\"\": 7, \"01\": 9}, \"seen\": {\"01\": [3, 5], \"\": [0]},"
                               " \"nacre\": {\"received\": {\"\": \"unknown\"}, \"unused\": [\"07\"]}}";
    scratch_write(f->dir, "settings.json", "{" KEYS ", " IDS "}");
    for (size_t i = 0; i < sizeof text - 1; i++) {
        nacre_directory_info info;
        char damaged[sizeof text];
        scratch_write_bytes(f->dir, "sequence.json", text, i);
        assert_int_equal(nacre_directory_read_as(&info, f->dir, NACRE_ROLE_CLIENT, false, NULL), NACRE_ERR_BAD_CONTEXT);
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(damaged, text, sizeof text);
            damaged[i] = (char)(damaged[i] ^ (1 << bit));
            scratch_write_bytes(f->dir, "sequence.json", damaged, sizeof text - 1);
            nacre_err err = nacre_directory_read_as(&info, f->dir, NACRE_ROLE_CLIENT, false, NULL);
            assert_true(err == NACRE_OK || err == NACRE_ERR_BAD_CONTEXT);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_and_roles_are_accepted_or_refused),
        TEST(roles_cross_the_ids_and_defaults_differ),
        TEST(states_are_accepted_or_refused),
        TEST(one_id_in_two_cases_is_refused),
        TEST(both_sides_share_one_state),
        TEST(the_roles_exclude_each_other),
        TEST(entries_of_others_stay),
        TEST(after_a_crash_nothing_is_accepted),
        TEST(long_lists_never_accept_a_seen_number),
        TEST(damaged_states_are_read_safely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
