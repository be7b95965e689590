/* SPDX-License-Identifier: MIT */
/* remote_peer_test: what nacre_remote reports about the peer of an exchange, at client and server. */
#include <nacre/remote.h>

#include "scratch.h"
#include "served.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static nacre_address address(const char *text)
{
    nacre_address made;
    nacre_detail why = { "" };
    if (nacre_address_resolve(&made, text, 5683, &why) != NACRE_OK) fail_msg("%s", why.text);
    return made;
}

static void addresses_have_names(void **state)
{
    (void)state;
    static const struct {
        const char *address, *hostinfo;
    } rows[] = {
        { "[::1]:5683", "[::1]" },
        { "[::1]:5684", "[::1]:5684" },
        { "[::1]:15683", "[::1]:15683" },
        { "[2001:db8::5683]:61616", "[2001:db8::5683]:61616" },
        { "192.0.2.1:5683", "192.0.2.1" },
        { "192.0.2.1:1", "192.0.2.1:1" },
        { "[::ffff:192.0.2.1]:5683", "192.0.2.1" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[NACRE_HOSTINFO_MAX], base[NACRE_URI_BASE_MAX], expected[NACRE_URI_BASE_MAX + 8];
        nacre_remote remote = { .address = address(rows[i].address) };
        assert_int_equal(nacre_remote_hostinfo(&remote, text), NACRE_OK);
        assert_string_equal(text, rows[i].hostinfo);
        (void)snprintf(expected, sizeof expected, "coap://%s", rows[i].hostinfo);
        assert_int_equal(nacre_remote_uri_base(&remote, base), NACRE_OK);
        assert_string_equal(base, expected);
        assert_string_equal(nacre_remote_scheme(&remote), "coap");

        remote.address.flags = NACRE_ADDRESS_RELIABLE; /* RFC 8323 8.1 */
        (void)snprintf(expected, sizeof expected, "coap+tcp://%s", rows[i].hostinfo);
        assert_int_equal(nacre_remote_uri_base(&remote, base), NACRE_OK);
        assert_string_equal(base, expected);
        assert_string_equal(nacre_remote_scheme(&remote), "coap+tcp");

        (void)snprintf(expected, sizeof expected, "coap://%s", rows[i].hostinfo);
        remote = (nacre_remote){ .local = address(rows[i].address) };
        assert_int_equal(nacre_remote_hostinfo_local(&remote, text), NACRE_OK);
        assert_string_equal(text, rows[i].hostinfo);
        assert_int_equal(nacre_remote_uri_base_local(&remote, base), NACRE_OK);
        assert_string_equal(base, expected);
    }
}

static void unknown_addresses_have_no_name(void **state)
{
    (void)state;
    char text[NACRE_URI_BASE_MAX] = "untouched";
    static const char *const wildcards[] = { "[::]:5683", "0.0.0.0:5683" };
    nacre_remote remote = { .context = NULL };
    for (int i = 0; i < 3; i++) {
        if (i < 2) remote.address = remote.local = address(wildcards[i]);
        else remote.address.len = remote.local.len = 0;
        assert_int_equal(nacre_remote_hostinfo(&remote, text), NACRE_ERR_ANONYMOUS_HOST);
        assert_int_equal(nacre_remote_hostinfo_local(&remote, text), NACRE_ERR_ANONYMOUS_HOST);
        assert_int_equal(nacre_remote_uri_base(&remote, text), NACRE_ERR_ANONYMOUS_HOST);
        assert_int_equal(nacre_remote_uri_base_local(&remote, text), NACRE_ERR_ANONYMOUS_HOST);
    }
    assert_string_equal(text, "untouched");
}

static void a_claim_needs_a_context(void **state)
{
    (void)state;
    static const char *const names[] = { ":client1", "coap://h/*", NULL };
    nacre_context context = { 0 };
    nacre_remote remote = { .context = &context, .claims = names };
    assert_true(nacre_remote_has_claim(&remote, ":client1"));
    assert_true(nacre_remote_has_claim(&remote, "coap://h/*"));
    assert_false(nacre_remote_has_claim(&remote, ":client"));
    assert_ptr_equal(nacre_remote_claims(&remote), names);
    remote.context = NULL; /* no identity is proven any more */
    assert_false(nacre_remote_has_claim(&remote, ":client1"));
    assert_null(nacre_remote_claims(&remote)[0]);
    remote = (nacre_remote){ .context = &context };
    assert_null(nacre_remote_claims(&remote)[0]);
}

static void multicast_addresses_are_recognised(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool is;
    } rows[] = { { "[ff02::fd]:5683", true },  { "224.0.1.187:5683", true },      { "239.255.255.255:1", true },
                 { "[fe02::fd]:5683", false }, { "223.255.255.255:5683", false }, { "240.0.0.1:5683", false } };
    nacre_context context = { 0 };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre_remote remote = { .address = address(rows[i].address) };
        assert_int_equal(nacre_remote_is_multicast(&remote), rows[i].is);
        remote.context = &context;
        assert_false(nacre_remote_is_multicast(&remote));
    }
    assert_int_equal(NACRE_REMOTE_MAX_PAYLOAD, 1024);
    assert_int_equal(NACRE_REMOTE_MAX_SZX, 6);
}

/* ---- Keys for block-wise transfer -------------------------------------------------------------------------------- */

static nacre_context *derive(nacre_bytes secret, nacre_bytes recipient_id)
{
    nacre_context_params params = { .master_secret = { .bytes = secret },
                                    .sender_id = NACRE_STR("s"),
                                    .recipient_id = recipient_id };
    return test_context(&params);
}

static bool same(const nacre_remote *a, const nacre_remote *b)
{
    nacre_blockwise_key x = nacre_remote_blockwise_key(a), y = nacre_remote_blockwise_key(b);
    return memcmp(&x, &y, sizeof x) == 0;
}

static void blockwise_keys_tell_peers_apart(void **state)
{
    (void)state;
    nacre_remote one = { .address = address("[::1]:1"),
                         .context = derive(NACRE_STR("0123456789abcdef"), NACRE_STR("r")) };
    nacre_remote other = one;
    other.local = address("[::1]:3");
    other.address.bytes[sizeof other.address.bytes - 1] = 1; /* beyond the bytes in use */
    assert_true(same(&one, &other));
    other.context = derive(NACRE_STR("0123456789abcdef"), NACRE_STR("r")); /* loaded again */
    assert_true(same(&one, &other));
    other.address = address("[::1]:2");
    assert_false(same(&one, &other));
    other = one;
    other.context = derive(NACRE_STR("0123456789abcdef"), NACRE_STR("q"));
    assert_false(same(&one, &other));
    other.context = derive(NACRE_STR("fedcba9876543210"), NACRE_STR("r"));
    assert_false(same(&one, &other));
    other.context = NULL;
    assert_false(same(&one, &other));
    one.context = NULL;
    assert_true(same(&one, &other));
}

/* ---- Over the wire ----------------------------------------------------------------------------------------------- */

typedef struct fixture {
    char *dir;
    char file[300];
} fixture;

static int set_up(void **state)
{
    fixture *f = test_alloc(sizeof *f);
    f->dir = scratch_make();
    for (int i = 0; i < 2; i++) {
        char client[300], server[300];
        const nacre_generate_options options = { .id_context = i == 0 ? NACRE_STR("one") : NACRE_STR("two") };
        (void)snprintf(client, sizeof client, "%s/client%d", f->dir, i);
        (void)snprintf(server, sizeof server, "%s/server%d", f->dir, i);
        assert_int_equal(nacre_directory_generate(client, server, &options, NULL), NACRE_OK);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    served_end();
    scratch_remove(f->dir);
    return test_release(state);
}

/* Responds with the peer: hostinfo, our uri_base, and the claims. */
static void describe_peer(void *user, const nacre_request *request, nacre_response *response)
{
    nacre_remote remote = nacre_server_remote(user, request);
    char text[400], host[NACRE_HOSTINFO_MAX], base[NACRE_URI_BASE_MAX];
    if (nacre_remote_hostinfo(&remote, host) != NACRE_OK || nacre_remote_uri_base_local(&remote, base) != NACRE_OK)
        return;
    (void)snprintf(text, sizeof text, "%s%s", strncmp(host, "[::1]:", 6) == 0 ? "" : host, base);
    for (const char *const *claim = nacre_remote_claims(&remote); *claim != NULL; claim++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), " %s", *claim);
    nacre_response_text(response, NACRE_CONTENT, text);
}

static void fill(nacre_server *server, void *user)
{
    fixture *f = user;
    nacre_detail why = { "" };
    const nacre_resource resource = {
        .path = "/who", .handler = describe_peer, .user = server, .flags = NACRE_RESOURCE_PLAIN
    };
    char path[300];
    (void)snprintf(path, sizeof path, "%s/server1", f->dir);
    if (nacre_server_add_credentials(server, f->file, &why) != NACRE_OK ||
        nacre_server_add_context(server, path, &why) != NACRE_OK ||
        nacre_server_add_resource(server, &resource) != NACRE_OK) {
        fprintf(stderr, "%s\n", why.text);
        exit(3);
    }
}

static void expect(const char *context_dir, const served *s, const char *claims)
{
    nacre_client *client;
    nacre_reply reply;
    nacre_detail why = { "" };
    char expected[400], host[NACRE_HOSTINFO_MAX];
    const nacre_client_options options = { .context_dir = context_dir };
    assert_int_equal(nacre_client_open(&client, &options, &why), NACRE_OK);
    nacre_remote remote = nacre_client_remote(client);
    assert_int_equal(nacre_remote_hostinfo(&remote, host), NACRE_ERR_ANONYMOUS_HOST);
    if (nacre_client_request(client, &reply, NACRE_GET, served_uri(s, "/who"), NULL, NACRE_ABSENT, &why) != NACRE_OK)
        fail_msg("%s", why.text);
    (void)snprintf(expected, sizeof expected, "%s%s", s->origin, claims);
    assert_int_equal(reply.payload.len, strlen(expected));
    assert_memory_equal(reply.payload.ptr, expected, reply.payload.len);

    remote = nacre_client_remote(client);
    assert_int_equal(nacre_remote_hostinfo(&remote, host), NACRE_OK);
    assert_string_equal(host, s->hostinfo);
    assert_int_equal(nacre_remote_hostinfo_local(&remote, host), NACRE_ERR_ANONYMOUS_HOST); /* any address */
    if (context_dir != NULL) assert_true(nacre_remote_has_claim(&remote, context_dir));
    else assert_null(nacre_remote_claims(&remote)[0]);
    assert_int_equal(nacre_client_close(client, &why), NACRE_OK);
}

static void servers_see_the_remote_address(void **state)
{
    fixture *f = *state;
    char client[300], also[400];
    scratch_write(f->dir, "s.json",
                  "{\":client0\": {\"oscore\": {\"basedir\": \"server0\"}},\n"
                  " \":same\": {\"oscore\": {\"basedir\": \"./server0/\"}}, \":alias\": \":client0\",\n"
                  " \":client1\": {\"oscore\": {\"basedir\": \"server1\"}}}");
    (void)snprintf(f->file, sizeof f->file, "%s/s.json", f->dir);
    served s = served_start("[::1]:0", fill, f);
    (void)snprintf(client, sizeof client, "%s/client0", f->dir);
    expect(client, &s, " :client0 :same");
    (void)snprintf(client, sizeof client, "%s/client1", f->dir);
    (void)snprintf(also, sizeof also, " :client1 %s/server1", f->dir);
    expect(client, &s, also);
    expect(NULL, &s, "");
    served_stop(&s);
}

/* Clients and servers use the provider of nacre_provider_open. */
static void clients_take_the_fastest_provider(void **state)
{
    fixture *f = *state;
    char dir[300];
    nacre_client *client;
    nacre_reply reply;
    nacre_crypto fastest;
    nacre_detail why = { "" };
    scratch_write(f->dir, "s.json", "{\":client0\": {\"oscore\": {\"basedir\": \"server0\"}}}");
    (void)snprintf(f->file, sizeof f->file, "%s/s.json", f->dir);
    (void)snprintf(dir, sizeof dir, "%s/client0", f->dir);
    served s = served_start("[::1]:0", fill, f);
    assert_int_equal(nacre_provider_open(&fastest), NACRE_OK);
    assert_int_equal(nacre_client_open(&client, &(nacre_client_options){ .context_dir = dir }, &why), NACRE_OK);
    if (nacre_client_request(client, &reply, NACRE_GET, served_uri(&s, "/who"), NULL, NACRE_ABSENT, &why) != NACRE_OK)
        fail_msg("%s", why.text);
    assert_true(reply.is_protected);
    assert_string_equal(nacre_client_remote(client).context->ops->name, fastest.ops->name);
    assert_int_equal(nacre_client_close(client, &why), NACRE_OK);
    nacre_provider_close(&fastest);
    served_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_have_names),
        cmocka_unit_test(unknown_addresses_have_no_name),
        cmocka_unit_test(a_claim_needs_a_context),
        cmocka_unit_test(multicast_addresses_are_recognised),
        TEST(blockwise_keys_tell_peers_apart),
        cmocka_unit_test_setup_teardown(servers_see_the_remote_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(clients_take_the_fastest_provider, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
