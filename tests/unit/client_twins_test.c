/* SPDX-License-Identifier: MIT */
/* client_twins_test: RFC 8613 3.3: credentials in which two contexts have one Sender Key, or one Recipient Key, are
 * refused before the first protected request, although only one of the two would be opened: the next run would open the
 * other, and both would count from 0. */
#include "greeter.h"
#include "pair.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct fixture {
    pair pair;
    served s;
    nacre_credentials *map;
    unsigned datagrams; /* sent */
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    pair_make(&f->pair);
    f->s = greeter_start_one("[::1]:0", f->pair.server);
    assert_ok(nacre_credentials_new(&f->map));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    nacre_credentials_free(f->map);
    pair_remove(&f->pair);
    free(f);
    return test_release(state);
}

/* One more directory with the client's parameters, modified by `change`. */
static const char *more(const fixture *f, const char *name, void (*change)(nacre_directory_info *info))
{
    char *path = test_alloc(300);
    nacre_directory_info info;
    nacre_detail why;
    (void)snprintf(path, 300, "%s/%s", f->pair.dir, name);
    assert_ok(nacre_directory_read(&info, f->pair.client, true, &why));
    info.has_state = false;
    if (change != NULL) change(&info);
    if (nacre_directory_create(path, &info, &why) != NACRE_OK) fail_msg("%s", why.text);
    return path;
}

static void other_recipient(nacre_directory_info *info)
{
    info->recipient_id[0] = 9;
}

static void other_sender(nacre_directory_info *info)
{
    info->sender_id[0] = 9;
}

static void other_secret(nacre_directory_info *info)
{
    info->secret[0] ^= 1;
}

static void id_context(nacre_directory_info *info)
{
    info->has_id_context = true;
    info->id_context_len = 1;
}

static void entry(fixture *f, const char *pattern, const char *directory)
{
    char whole[200];
    (void)snprintf(whole, sizeof whole, "%s%s", pattern[0] == '/' ? f->s.origin : "", pattern);
    assert_ok(nacre_credentials_set_directory(f->map, whole, directory, NACRE_ROLE_NONE, NULL));
}

static void see(void *user, bool outgoing, const nacre_address *peer, nacre_bytes bytes, size_t full_len)
{
    (void)full_len;
    fixture *f = user;
    (void)peer, (void)bytes;
    f->datagrams += outgoing;
}

static nacre_client *open_client(fixture *f)
{
    const nacre_client_options options = { .credentials = f->map, .on_datagram = see, .user = f };
    f->datagrams = 0;
    return pair_open(&options);
}

static nacre_err request(fixture *f, nacre_client *client, const char *path, nacre_detail *why)
{
    nacre_reply reply;
    return pair_get(client, &reply, served_uri(&f->s, path), why);
}

/* One request of a client of its own. */
static nacre_err request_once(fixture *f, const char *path, nacre_detail *why)
{
    nacre_client *client = open_client(f);
    nacre_err err = request(f, client, path, why);
    pair_close(client);
    return err;
}

static void expect_refusal(fixture *f, const char *path, const char *name, const char *other)
{
    nacre_detail why;
    assert_err(request_once(f, path, &why), NACRE_ERR_DUPLICATE_CONTEXT);
    if (strstr(why.text, name) == NULL || strstr(why.text, other) == NULL)
        fail_msg("'%s' does not name %s and %s", why.text, name, other);
    assert_int_equal(f->datagrams, 0);
}

static void expect_ok(fixture *f, const char *path)
{
    nacre_detail why;
    if (request_once(f, path, &why) != NACRE_OK) fail_msg("%s: %s", path, why.text);
    assert_int_equal(f->datagrams, 1);
}

/* ---- The rows ---- */

static void two_directories_with_one_key_send_nothing(void **state)
{
    static const struct {
        const char *name;
        void (*change)(nacre_directory_info *info);
        bool refused;
    } rows[] = { { "copy", NULL, true },
                 { "other_recipient", other_recipient, true },
                 { "other_sender", other_sender, true },
                 { "other_secret", other_secret, false },
                 { "id_context", id_context, false } };
    fixture *f = *state;
    entry(f, "/hello", f->pair.client);
    for (size_t i = 0; i < COUNT(rows); i++) {
        entry(f, "coap://[2001:db8::7]*", more(f, rows[i].name, rows[i].change)); /* for another server */
        if (rows[i].refused) expect_refusal(f, "/hello", f->pair.client, rows[i].name);
        else expect_ok(f, "/hello");
    }
}

/* Neither matters: which of the two a run would open, or that the request needs neither. */
static void twins_are_refused_whichever_directory_a_request_needs(void **state)
{
    fixture *f = *state;
    entry(f, "/hello", f->pair.client);
    entry(f, "/who", more(f, "copy", NULL));
    entry(f, "/third", more(f, "third", other_secret));
    expect_refusal(f, "/hello", f->pair.client, "copy");
    expect_refusal(f, "/who", f->pair.client, "copy");
    expect_refusal(f, "/third", f->pair.client, "copy");
}

static void a_credentials_file_is_compared_like_a_map(void **state)
{
    fixture *f = *state;
    nacre_detail why;
    char text[400], path[300];
    (void)more(f, "copy", NULL);
    for (int twin = 0; twin < 2; twin++) {
        (void)snprintf(text, sizeof text,
                       "{\"%s*\": {\"oscore\": {\"basedir\": \"client\"}}, \"coap://[2001:db8::7]*\": \":other\", "
                       "\":other\": {\"oscore\": {\"basedir\": \"%s\"}}}",
                       f->s.origin, twin ? "copy" : "./client");
        scratch_write(f->pair.dir, "c.json", text);
        (void)snprintf(path, sizeof path, "%s/c.json", f->pair.dir);
        nacre_client *client = pair_open(&(nacre_client_options){ .credentials_file = path, .timing = pair_quick });
        assert_err(request(f, client, "/hello", &why), twin ? NACRE_ERR_DUPLICATE_CONTEXT : NACRE_OK);
        if (twin && (strstr(why.text, "/client") == NULL || strstr(why.text, "/copy") == NULL ||
                     strstr(why.text, ":other") == NULL))
            fail_msg("%s", why.text);
        pair_close(client);
    }
}

/* A directory that cannot be opened has no counter; its own error is reported when it is used. Requests in clear need
 * no keys. */
static void unreadable_directories_are_skipped(void **state)
{
    fixture *f = *state;
    nacre_detail why;
    entry(f, "/hello", f->pair.client);
    entry(f, "/who", "/nowhere/at/all");
    expect_ok(f, "/hello");
    assert_err(request_once(f, "/who", &why), NACRE_ERR_FILE);
    scratch_mkdir(f->pair.dir, "empty");
    entry(f, "/who", scratch_path(f->pair.dir, "empty"));
    expect_ok(f, "/hello");
}

static void one_directory_under_several_names_is_accepted(void **state)
{
    fixture *f = *state;
    char other[400];
    (void)snprintf(other, sizeof other, "%s/../client/.", f->pair.client);
    entry(f, "/hello", f->pair.client);
    entry(f, "/who", other);
    expect_ok(f, "/hello");
    expect_ok(f, "/who");
    entry(f, "/third", more(f, "copy", NULL));
    expect_refusal(f, "/who", "client", "copy");
}

/* A map may change between two requests; an open context still counts after its entry is removed. */
static void a_map_that_changed_is_compared_again(void **state)
{
    fixture *f = *state;
    nacre_detail why;
    char pattern[200];
    (void)snprintf(pattern, sizeof pattern, "%s/hello", f->s.origin);
    entry(f, "/hello", f->pair.client);
    nacre_client *client = open_client(f);
    assert_ok(request(f, client, "/hello", &why));
    entry(f, "/who", more(f, "copy", NULL));
    assert_err(request(f, client, "/hello", &why), NACRE_ERR_DUPLICATE_CONTEXT);
    nacre_credentials_remove(f->map, pattern);
    assert_err(request(f, client, "/who", &why), NACRE_ERR_DUPLICATE_CONTEXT);
    entry(f, "/hello", f->pair.client);
    entry(f, "/who", more(f, "another", other_secret));
    assert_ok(request(f, client, "/hello", &why));
    pair_close(client);
}

/* A context that the program made is compared with a directory that has its keys. */
static void a_context_of_the_program_is_compared_too(void **state)
{
    fixture *f = *state;
    nacre_crypto crypto;
    nacre_directory *dir;
    nacre_detail why;
    assert_ok(nacre_provider_open(&crypto));
    assert_ok(nacre_directory_open(&dir, f->pair.client, &crypto, &why));
    assert_ok(
        nacre_credentials_set_context(f->map, ":mine", nacre_directory_context(dir), nacre_directory_store(dir), NULL));
    assert_ok(nacre_credentials_set_alias(f->map, "coap://*", ":mine", NULL));
    entry(f, "/who", more(f, "another", other_secret));
    expect_ok(f, "/hello");
    entry(f, "/who", more(f, "copy", NULL));
    expect_refusal(f, "/hello", ":mine", "copy");
    assert_ok(nacre_directory_close(dir, &why));
    nacre_provider_close(&crypto);
}

/* Both sides in one map: a client's Sender Key is its server's Recipient Key, so no key is shared. The legacy layout
 * has both in one directory, and a copy of it shares a key where the role is the same. */
static void the_two_sides_of_one_context_are_accepted(void **state)
{
    static const char *const settings = "{\"client-sender-id_hex\": \"63\", \"server-sender-id_hex\": \"73\"}";
    fixture *f = *state;
    static const char *const names[] = { "older", "older_copy" };
    entry(f, "/hello", f->pair.client);
    entry(f, "coap://a/", f->pair.server);
    for (int i = 0; i < 2; i++) {
        scratch_mkdir(f->pair.dir, names[i]);
        const char *path = scratch_path(f->pair.dir, names[i]);
        char kept[300];
        (void)snprintf(kept, sizeof kept, "%s", path);
        scratch_write(kept, "secret.json", "{\"secret_hex\": \"0102030405060708090a0b0c0d0e0f10\"}");
        scratch_write(kept, "settings.json", settings);
        assert_ok(nacre_credentials_set_directory(f->map, i == 0 ? "coap://b/" : "coap://c/", kept,
                                                  i == 0 ? NACRE_ROLE_CLIENT : NACRE_ROLE_SERVER, NULL));
    }
    expect_ok(f, "/hello");
    assert_ok(nacre_credentials_set_directory(f->map, "coap://c/", scratch_path(f->pair.dir, "older_copy"),
                                              NACRE_ROLE_CLIENT, NULL));
    expect_refusal(f, "/hello", "older", "older_copy");
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVED(two_directories_with_one_key_send_nothing),
        SERVED(twins_are_refused_whichever_directory_a_request_needs),
        SERVED(a_credentials_file_is_compared_like_a_map),
        SERVED(unreadable_directories_are_skipped),
        SERVED(one_directory_under_several_names_is_accepted),
        SERVED(a_map_that_changed_is_compared_again),
        SERVED(a_context_of_the_program_is_compared_too),
        SERVED(the_two_sides_of_one_context_are_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
