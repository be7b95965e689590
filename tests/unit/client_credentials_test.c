/* SPDX-License-Identifier: MIT */
/* client_credentials_test: what a client with credentials sends, and that nothing is sent without a matching entry. */
#include "pair.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct fixture {
    pair pair;
    served s;
    unsigned datagrams, in_clear; /* sent */
} fixture;

static void open_to_all(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    nacre_response_text(response, NACRE_CONTENT, request->context != NULL ? "protected" : "plain");
}

static void fill(nacre_server *server, void *user)
{
    fixture *f = user;
    const nacre_resource resource = { .path = "/x", .handler = open_to_all, .flags = NACRE_RESOURCE_PLAIN };
    const nacre_resource other = { .path = "/y", .handler = open_to_all, .flags = NACRE_RESOURCE_PLAIN };
    if (nacre_server_add_context(server, f->pair.server, NULL) != NACRE_OK ||
        nacre_server_add_resource(server, &resource) != NACRE_OK ||
        nacre_server_add_resource(server, &other) != NACRE_OK)
        exit(3);
}

static int set_up(void **state)
{
    fixture *f = test_alloc(sizeof *f);
    memset(f, 0, sizeof *f);
    pair_make(&f->pair);
    f->s = served_start("[::1]:0", fill, f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    pair_remove(&f->pair);
    return test_release(state);
}

static void see(void *user, bool outgoing, const nacre_address *peer, nacre_bytes bytes, size_t full_len)
{
    (void)full_len;
    fixture *f = user;
    nacre_message message;
    (void)peer;
    if (!outgoing || nacre_message_parse(&message, bytes) != NACRE_OK) return;
    f->datagrams++;
    if (nacre_is_absent(nacre_option_find(message.options, NACRE_OPT_OSCORE))) f->in_clear++;
}

/* One request of a client with a map; returns its outcome. */
static const char *request(fixture *f, const nacre_credentials *c, const char *path)
{
    static char text[32];
    nacre_client *client;
    nacre_reply reply;
    nacre_detail why = { "" };
    const nacre_client_options options = { .credentials = c, .on_datagram = see, .user = f };
    f->datagrams = f->in_clear = 0;
    assert_int_equal(nacre_client_open(&client, &options, &why), NACRE_OK);
    nacre_err err = nacre_client_request(client, &reply, NACRE_GET, served_uri(&f->s, path), NULL, NACRE_ABSENT, &why);
    if (err != NACRE_OK) {
        assert_true(strlen(why.text) > 10);
        (void)snprintf(text, sizeof text, "%s", nacre_err_name(err));
    } else {
        (void)snprintf(text, sizeof text, "%.*s", (int)reply.payload.len, (const char *)reply.payload.ptr);
        assert_int_equal(reply.is_protected, strcmp(text, "protected") == 0);
    }
    assert_int_equal(nacre_client_close(client, &why), NACRE_OK);
    return text;
}

static nacre_credentials *map_of(const fixture *f, const char *path, const char *directory)
{
    nacre_credentials *c;
    char pattern[300];
    (void)snprintf(pattern, sizeof pattern, "%s%s", f->s.origin, path);
    assert_int_equal(nacre_credentials_new(&c), NACRE_OK);
    if (directory != NULL)
        assert_int_equal(nacre_credentials_set_directory(c, pattern, directory, NACRE_ROLE_NONE, NULL), NACRE_OK);
    else assert_int_equal(nacre_credentials_set_plain(c, pattern, NULL), NACRE_OK);
    return c;
}

static void without_an_entry_nothing_is_sent(void **state)
{
    fixture *f = *state;
    nacre_credentials *c = map_of(f, "/x", f->pair.client);
    assert_string_equal(request(f, c, "/x"), "protected");
    assert_int_equal(f->datagrams, 1);
    assert_int_equal(f->in_clear, 0);
    assert_string_equal(request(f, c, "/y"), "NACRE_ERR_NO_CREDENTIALS");
    assert_string_equal(request(f, c, "/x?q"), "NACRE_ERR_NO_CREDENTIALS");
    assert_int_equal(f->datagrams, 0);
    nacre_credentials_free(c);
    assert_int_equal(nacre_credentials_new(&c), NACRE_OK);
    assert_string_equal(request(f, c, "/x"), "NACRE_ERR_NO_CREDENTIALS"); /* an empty map also counts as a map */
    assert_int_equal(f->datagrams, 0);
    nacre_credentials_free(c);
}

static void requests_in_clear_need_an_entry_that_allows_it(void **state)
{
    fixture *f = *state;
    nacre_credentials *c = map_of(f, "/x*", NULL);
    assert_string_equal(request(f, c, "/x"), "plain");
    assert_int_equal(f->in_clear, 1);
    assert_string_equal(request(f, c, "/y"), "NACRE_ERR_NO_CREDENTIALS");
    assert_int_equal(f->datagrams, 0);
    nacre_credentials_free(c);
}

static void entries_without_a_usable_context_send_nothing(void **state)
{
    fixture *f = *state;
    nacre_credentials *c = map_of(f, "/x", "/nowhere/at/all");
    assert_string_equal(request(f, c, "/x"), "NACRE_ERR_FILE");
    nacre_credentials_free(c);
    c = map_of(f, "/z", NULL);
    assert_int_equal(nacre_credentials_set_alias(c, "coap://*", ":gone", NULL), NACRE_OK);
    assert_string_equal(request(f, c, "/x"), "NACRE_ERR_BAD_CREDENTIALS");
    assert_int_equal(f->datagrams, 0);
    nacre_credentials_free(c);
}

/* A context that the program opened with its own store; the map only refers to it. The client takes the provider that
 * it was opened with. */
static void a_context_of_the_program_is_used_through_its_entry(void **state)
{
    fixture *f = *state;
    for (int fastest = 0; fastest < 2; fastest++) {
        nacre_credentials *c;
        nacre_directory *dir;
        nacre_crypto crypto;
        nacre_detail why = { "" };
        assert_int_equal(fastest ? nacre_provider_open(&crypto) : nacre_openssl_open(&crypto), NACRE_OK);
        if (nacre_directory_open(&dir, f->pair.client, &crypto, &why) != NACRE_OK) fail_msg("%s", why.text);
        const uint64_t before = nacre_context_next_seq(nacre_directory_context(dir));
        assert_int_equal(nacre_credentials_new(&c), NACRE_OK);
        assert_int_equal(nacre_credentials_set_alias(c, "coap://[::1]*", ":mine", NULL), NACRE_OK);
        assert_int_equal(
            nacre_credentials_set_context(c, ":mine", nacre_directory_context(dir), nacre_directory_store(dir), NULL),
            NACRE_OK);
        for (int i = 0; i < 2; i++) { /* it outlives the client that used it */
            assert_string_equal(request(f, c, "/x"), "protected");
            assert_int_equal(f->in_clear, 0);
        }
        nacre_credentials_free(c);
        assert_true(nacre_context_next_seq(nacre_directory_context(dir)) == before + 2);
        assert_int_equal(nacre_directory_close(dir, &why), NACRE_OK);
        nacre_provider_close(&crypto);
    }
}

int main(void)
{
#define SERVED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        SERVED(without_an_entry_nothing_is_sent),
        SERVED(requests_in_clear_need_an_entry_that_allows_it),
        SERVED(entries_without_a_usable_context_send_nothing),
        SERVED(a_context_of_the_program_is_used_through_its_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
