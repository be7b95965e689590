/* SPDX-License-Identifier: MIT */
/* client_bodies_test: large bodies between the client and the server over loopback, whole and in pieces. */
#include "pair.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIB = 1024 * 1024 };

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) * 7 + (offset >> 16));
}

/* ---- The server -------------------------------------------------------------------------------------------------- */

static void echo(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    response->code = NACRE_CHANGED;
    response->payload = request->message->payload;
}

static nacre_err read_pattern(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    (void)user;
    for (size_t i = 0; i < buf.cap; i++) buf.ptr[i] = byte_at(offset + i);
    *len = buf.cap;
    return NACRE_OK;
}

/* /pattern?SIZE by offset; each block is requested from the handler. */
static void pattern(void *user, const nacre_request *request, nacre_response *response)
{
    char text[24] = "";
    (void)user;
    const nacre_bytes query = nacre_option_find(request->message->options, NACRE_OPT_URI_QUERY);
    if (query.len < sizeof text) memcpy(text, query.ptr, query.len);
    response->code = NACRE_CONTENT;
    nacre_options_add(&response->options, NACRE_OPT_ETAG, query);
    response->source = (nacre_source){ read_pattern, NULL, strtoull(text, NULL, 10) };
}

/* /count takes pieces and returns how many bytes were right. */
typedef struct counted {
    uint64_t len, right;
} counted;

static nacre_err count_piece(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    counted *c = user;
    (void)total;
    if (offset == 0) *c = (counted){ 0 };
    for (size_t i = 0; i < piece.len; i++) c->right += piece.ptr[i] == byte_at(offset + i);
    c->len = offset + piece.len;
    return NACRE_OK;
}

static void on_upload(void *user, const nacre_request *request, nacre_upload *upload)
{
    (void)request;
    upload->sink = (nacre_sink){ count_piece, user };
}

static void count(void *user, const nacre_request *request, nacre_response *response)
{
    char text[64];
    const counted *c = user;
    (void)snprintf(text, sizeof text, "%llu %llu %d", (unsigned long long)c->len, (unsigned long long)c->right,
                   request->upload == user && request->message->payload.len == 0);
    nacre_response_text(response, NACRE_CHANGED, text);
}

typedef struct fixture {
    pair pair;
    served s;
} fixture;

static void fill(nacre_server *server, void *user)
{
    static counted counter;
    const nacre_resource resources[] = {
        { .path = "/echo", .handler = echo },
        { .path = "/pattern", .handler = pattern },
        { .path = "/count", .handler = count, .user = &counter, .on_upload = on_upload }
    };
    const fixture *f = user;
    if (nacre_server_add_context(server, f->pair.server, NULL) != NACRE_OK) exit(3);
    for (size_t i = 0; i < COUNT(resources); i++)
        if (nacre_server_add_resource(server, &resources[i]) != NACRE_OK) exit(4);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (f == NULL) return -1;
    pair_make(&f->pair);
    f->s = served_start("[::1]:0", fill, f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    served_stop(&f->s);
    pair_remove(&f->pair);
    free(f);
    return 0;
}

/* ---- The client -------------------------------------------------------------------------------------------------- */

static nacre_client *open_client(const fixture *f, nacre_client_options options)
{
    options.context_dir = f->pair.client;
    options.timeout_ms = 60000;
    return pair_open(&options);
}

static const char *uri(const fixture *f, const char *path)
{
    return served_uri(&f->s, path);
}

static void expect_pattern(nacre_bytes got, size_t len)
{
    assert_int_equal(got.len, len);
    for (size_t i = 0; i < len; i++)
        if (got.ptr[i] != byte_at(i)) fail_msg("byte %zu is wrong", i);
}

static void whole_bodies_arrive_both_ways(void **state)
{
    static uint8_t body[MIB];
    const uint16_t block_sizes[] = { 0, 1024, 512 };
    nacre_detail why = { { 0 } };
    for (size_t i = 0; i < MIB; i++) body[i] = byte_at(i);
    for (size_t i = 0; i < 3; i++) {
        nacre_client *client = open_client(*state, (nacre_client_options){ .limits.block_size = block_sizes[i] });
        nacre_reply reply = { 0 };
        const nacre_err err =
            nacre_client_request(client, &reply, NACRE_PUT, uri(*state, "/echo"), NULL, NACRE_ARRAY(body), &why);
        if (err != NACRE_OK) fail_msg("%s", why.text);
        assert_int_equal(reply.code, NACRE_CHANGED);
        assert_true(reply.is_protected);
        expect_pattern(reply.payload, MIB);
        pair_close(client);
    }
}

static void handlers_respond_by_offset(void **state)
{
    nacre_client *client = open_client(*state, (nacre_client_options){ 0 });
    nacre_detail why = { { 0 } };
    const size_t sizes[] = { 0, 1, 1024, 1025, 100000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char path[40];
        nacre_reply reply = { 0 };
        (void)snprintf(path, sizeof path, "/pattern?%zu", sizes[i]);
        assert_int_equal(nacre_client_request(client, &reply, NACRE_GET, uri(*state, path), NULL, NACRE_ABSENT, &why),
                         NACRE_OK);
        assert_int_equal(reply.code, NACRE_CONTENT);
        expect_pattern(reply.payload, sizes[i]);
    }
    pair_close(client);
}

/* Both ends work in pieces, and the size is not known at the start. */
static nacre_err read_some(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    const uint64_t size = *(const uint64_t *)user;
    *len = size - offset < buf.cap ? (size_t)(size - offset) : buf.cap;
    for (size_t i = 0; i < *len; i++) buf.ptr[i] = byte_at(offset + i);
    return NACRE_OK;
}

static nacre_err request_in_pieces(nacre_client *client, nacre_reply *reply, uint8_t method, const char *at,
                                   const nacre_source *source, const nacre_sink *sink, nacre_detail *why)
{
    nacre_client_request_config request = nacre_client_request_config_default();
    request.method = method;
    request.uri = at;
    request.source = source;
    request.sink = sink;
    return nacre_client_request_with(client, reply, &request, why);
}

static void pieces_arrive_both_ways(void **state)
{
    nacre_client *client = open_client(*state, (nacre_client_options){ 0 });
    nacre_detail why = { { 0 } };
    uint64_t size = 3 * MIB + 5;
    nacre_reply reply = { 0 };
    const nacre_source source = { read_some, &size, NACRE_SIZE_UNKNOWN };
    assert_int_equal(request_in_pieces(client, &reply, NACRE_PUT, uri(*state, "/count"), &source, NULL, &why),
                     NACRE_OK);
    assert_memory_equal(reply.payload.ptr, "3145733 3145733 1", 17);

    counted c = { 0 };
    const nacre_sink sink = { count_piece, &c };
    assert_int_equal(request_in_pieces(client, &reply, NACRE_GET, uri(*state, "/pattern?2500000"), NULL, &sink, &why),
                     NACRE_OK);
    assert_int_equal(c.len, 2500000);
    assert_int_equal(c.right, 2500000);
    assert_int_equal(reply.payload.len, 0);
    pair_close(client);
}

static nacre_err refuse_to_read(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    (void)user, (void)buf, (void)len;
    return offset < 5000 ? read_pattern(user, offset, buf, len) : NACRE_ERR_FILE;
}

static nacre_err refuse_to_write(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    (void)piece, (void)total;
    return offset < 5000 ? NACRE_OK : *(const nacre_err *)user;
}

/* An error from a source or a sink ends the request; the client goes on with the next. */
static void an_error_of_a_source_or_sink_ends_the_request(void **state)
{
    nacre_client *client = open_client(*state, (nacre_client_options){ .limits.max_body = 4000 });
    nacre_detail why = { { 0 } };
    nacre_reply reply = { 0 }, before = reply;
    const nacre_source source = { refuse_to_read, NULL, 100000 };
    nacre_err refusal = NACRE_ERR_NO_MEMORY;
    const nacre_sink sink = { refuse_to_write, &refusal };
    assert_int_equal(request_in_pieces(client, &reply, NACRE_PUT, uri(*state, "/count"), &source, NULL, &why),
                     NACRE_ERR_FILE);
    assert_int_equal(request_in_pieces(client, &reply, NACRE_GET, uri(*state, "/pattern?9999"), NULL, &sink, &why),
                     NACRE_ERR_NO_MEMORY);
    refusal = NACRE_ERR_TOO_LONG; /* the sink's own error, not the peer's NACRE_ERR_OVERSIZED */
    assert_int_equal(request_in_pieces(client, &reply, NACRE_GET, uri(*state, "/pattern?9999"), NULL, &sink, &why),
                     NACRE_ERR_TOO_LONG);
    assert_non_null(strstr(why.text, "could not be read or written"));
    assert_int_equal(
        nacre_client_request(client, &reply, NACRE_GET, uri(*state, "/pattern?4001"), NULL, NACRE_ABSENT, &why),
        NACRE_ERR_OVERSIZED);
    assert_non_null(strstr(why.text, "4000"));
    assert_memory_equal(&before, &reply, sizeof reply);
    assert_int_equal(
        nacre_client_request(client, &reply, NACRE_GET, uri(*state, "/pattern?4000"), NULL, NACRE_ABSENT, &why),
        NACRE_OK);
    expect_pattern(reply.payload, 4000);
    pair_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whole_bodies_arrive_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(handlers_respond_by_offset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pieces_arrive_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_error_of_a_source_or_sink_ends_the_request, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
