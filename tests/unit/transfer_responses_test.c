/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* transfer_responses_test: responses are split, cached, and read from sources, for scripted clients (RFC 7959 2.4). */
#include "../scenario/transfer_serving.h"

/* Kept, and cut: the application is asked once. */
static void responses_are_split(void **state)
{
    (void)state;
    for (int client = -1; client < 1; client++) {
        fixture f;
        begin(&f);
        const nacre_event event = reaches(&f, client, &GET(NO_BLOCK));
        respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 2500)));
        assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK2) + 1, BLOCK(0, 1, 6));
        assert_int_equal(option_of(&f.got, NACRE_OPT_SIZE2), 2500);
        assert_pattern(f.got.payload, 0, 1024);
        const int64_t etag = option_of(&f.got, NACRE_OPT_ETAG);
        assert_true(etag != -1);
        assert_int_equal(settled(&f, client, &GET(BLOCK(2, 0, 5))), NACRE_CONTENT); /* smaller ones from here on */
        assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK2) + 1, BLOCK(2, 1, 5));
        assert_pattern(f.got.payload, 1024, 512);
        assert_true(option_of(&f.got, NACRE_OPT_ETAG) == etag);
        assert_int_equal(settled(&f, client, &GET(BLOCK(5, 0, 5))), NACRE_BAD_REQUEST); /* there is no such block */
        assert_int_equal(settled(&f, client, &GET(BLOCK(4, 0, 5))), NACRE_CONTENT);
        assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK2) + 1, BLOCK(4, 0, 5));
        assert_pattern(f.got.payload, 2048, 452);
        assert_int_equal(f.num_requests, 1);
        end(&f);
    }
}

static void responses_that_fit_are_unchanged(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    nacre_event event = reaches(&f, 0, &GET(NO_BLOCK));
    respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 1024)));
    assert_int_equal(f.got.options.len, 0);
    event = reaches(&f, 0, &GET(BLOCK(0, 0, 6))); /* an early Block2 is returned */
    respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 1024)));
    assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK2) + 1, BLOCK(0, 0, 6));
    assert_int_equal(option_of(&f.got, NACRE_OPT_ETAG), -1);
    event = reaches(&f, 0, &GET(BLOCK(0, 0, 2)));
    respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 65)));
    assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK2) + 1, BLOCK(0, 1, 2));
    event = reaches(&f, 0, &GET(BLOCK(0, 0, 2))); /* an error's text is truncated, not sent in blocks */
    respond(&f, &event, &SAID(.code = NACRE_NOT_FOUND, .payload = pattern(0, 65)));
    assert_int_equal(f.got.options.len, 0);
    assert_pattern(f.got.payload, 0, 64);
    end(&f);
}

/* RFC 9175 3.8: the same content has the same ETag; other content, or another transfer, has another. */
static void etag_depends_on_content_and_transfer(void **state)
{
    (void)state;
    fixture f;
    int64_t seen[4];
    for (int i = 0; i < 2; i++) {
        begin(&f);
        f.server.chance.state += (uint64_t)i;
        if (i == 1) {
            nacre_transfer_wipe(f.server.transfer);
            free(f.server.transfer_memory);
            party_add_transfer(&f.server, NULL);
        }
        for (int j = 0; j < 2; j++) {
            const nacre_event event = reaches(&f, 0, &GET(NO_BLOCK));
            respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern((size_t)j, 1100)));
            seen[2 * i + j] = option_of(&f.got, NACRE_OPT_ETAG);
        }
        const nacre_event event = reaches(&f, 1, &GET(NO_BLOCK));
        respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 1100)));
        assert_true(option_of(&f.got, NACRE_OPT_ETAG) == seen[2 * i]);
        const nacre_event second = reaches(&f, 2, &GET(NO_BLOCK));
        respond(&f, &second, &SAID(.code = NACRE_CONTENT, .etag = "mine", .payload = pattern(0, 1100)));
        assert_true(nacre_bytes_equal(nacre_option_find(f.got.options, NACRE_OPT_ETAG), NACRE_STR("mine")));
        end(&f);
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++) assert_true(seen[i] != seen[j]);
}

/* A block that is not cached is requested again from the application, for GET and FETCH; another client's cache is not
 * used. */
static void uncached_blocks_are_requested_again(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    nacre_event event = reaches(&f, 0, &GET(NO_BLOCK));
    respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, MAX_BODY + 1)));
    const int64_t etag = option_of(&f.got, NACRE_OPT_ETAG);
    event = reaches(&f, 0, &GET(BLOCK(1, 0, 6)));
    respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, MAX_BODY + 1)));
    assert_pattern(f.got.payload, 1024, 1024);
    assert_true(option_of(&f.got, NACRE_OPT_ETAG) == etag);
    event = reaches(&f, 0, &GET(BLOCK(9, 0, 6)));
    respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, MAX_BODY + 1)));
    assert_int_equal(f.got.code, NACRE_BAD_REQUEST);
    event = reaches(&f, 0, &GET(NO_BLOCK));
    respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 2000)));
    event = reaches(&f, 1, &GET(BLOCK(1, 0, 6))); /* another client */
    respond(&f, &event, &SAID(.code = NACRE_FORBIDDEN));
    assert_int_equal(f.got.code, NACRE_FORBIDDEN);
    assert_int_equal(settled(&f, 0, &GET(BLOCK(1, 0, 6))), NACRE_CONTENT);
    /* with POST it would be another operation */
    const said post = SAID(.code = NACRE_POST, .path = "x");
    event = reaches(&f, 0, &post);
    const nacre_message longer = { .code = NACRE_CHANGED, .payload = pattern(0, MAX_BODY + 1) };
    assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &longer, NULL), NACRE_ERR_TOO_LONG);
    respond(&f, &event, &SAID(.code = NACRE_CHANGED, .payload = pattern(0, MAX_BODY)));
    assert_int_equal(settled(&f, 0, &SAID(.code = NACRE_POST, .path = "x", .block2 = BLOCK(1, 0, 6))), NACRE_CHANGED);
    assert_pattern(f.got.payload, 1024, 1024);
    f.now += 93000;
    party_expire(&f.server, f.now);
    assert_int_equal(settled(&f, 0, &SAID(.code = NACRE_POST, .path = "x", .block2 = BLOCK(2, 0, 6))),
                     NACRE_INCOMPLETE);
    end(&f);
}

/* RFC 8132 2.1: two FETCH payloads of one client at one resource. */
static void fetches_with_other_payloads_are_cached_apart(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    said q = SAID(.code = NACRE_FETCH, .path = "x", .payload = pattern(0, 5));
    nacre_event event = reaches(&f, 0, &q);
    respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 1500)));
    q.block2 = BLOCK(1, 0, 6);
    q.payload = pattern(1, 5);
    event = reaches(&f, 0, &q); /* not from the body cached for the other */
    nacre_transfer_ignore(f.server.transfer, event.exchange);
    q.payload = NACRE_ABSENT;
    carry(&f.server, &f.client, 0); /* the empty ACK */
    assert_int_equal(settled(&f, 0, &q), NACRE_CONTENT);
    assert_pattern(f.got.payload, 1024, 476);
    end(&f);
}

static nacre_err read_pattern(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    const size_t size = *(const size_t *)user;
    const size_t left = offset < size ? size - (size_t)offset : 0;
    *len = left < buf.cap ? left : buf.cap;
    memcpy(buf.ptr, pattern((size_t)offset, *len).ptr, *len);
    return size == 99999 ? NACRE_ERR_FILE : NACRE_OK;
}

static void responses_come_from_a_source(void **state)
{
    (void)state;
    const bool is_known[] = { true, false };
    for (int k = 0; k < 2; k++) {
        fixture f;
        begin(&f);
        size_t size = 2500;
        nacre_response_options how = { .source = { read_pattern, &size, is_known[k] ? size : NACRE_SIZE_UNKNOWN } };
        for (uint32_t i = 0; i < 3; i++) {
            const nacre_event event = reaches(&f, 0, &GET(i == 0 ? NO_BLOCK : BLOCK(i, 0, 6)));
            const nacre_message with = said_message(&SAID(.code = NACRE_CONTENT, .etag = "e"));
            assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &with, &how), NACRE_OK);
            gets(&f);
            assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK2) + 1, BLOCK(i, i < 2, 6));
            assert_int_equal(option_of(&f.got, NACRE_OPT_SIZE2), is_known[k] && i == 0 ? 2500 : -1);
            assert_pattern(f.got.payload, 1024 * i, i < 2 ? 1024 : 452);
        }
        nacre_event event = reaches(&f, 0, &GET(BLOCK(3, 0, 6))); /* there is no such block, known or not */
        const nacre_message behind = said_message(&SAID(.code = NACRE_CONTENT, .etag = "e"));
        assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &behind, &how), NACRE_OK);
        gets(&f);
        assert_int_equal(f.got.code, NACRE_BAD_REQUEST);
        event = reaches(&f, 0, &GET(NO_BLOCK));
        const nacre_message without = { .code = NACRE_CONTENT };
        assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &without, &how),
                         NACRE_ERR_BAD_ARGUMENT); /* blocks without an ETag */
        size = 1024;
        if (is_known[k]) how.source.size = size;
        assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &without, &how), NACRE_OK);
        gets(&f);
        assert_int_equal(f.got.options.len, 0);
        event = reaches(&f, 0, &GET(NO_BLOCK));
        size = 99999;
        assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &without, &how), NACRE_ERR_FILE);
        end(&f);
    }
}

/* A short source without an ETag, in blocks that the client chose: 16 bytes, and as many as there are. They have one
 * ETag, the same as that of the body given whole. */
static void short_sources_in_small_blocks(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 16, 17, 60, 1024 };
    for (int is_known = 0; is_known < 2; is_known++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (uint8_t szx = 0; szx < 7; szx++) {
                fixture f;
                begin(&f);
                size_t size = sizes[i];
                const uint32_t block = UINT32_C(16) << szx, last = size == 0 ? 0 : ((uint32_t)size - 1) / block;
                const nacre_response_options how = { .source = { read_pattern, &size,
                                                                 is_known ? size : NACRE_SIZE_UNKNOWN } };
                const nacre_message plain = { .code = NACRE_CONTENT };
                nacre_event event = reaches(&f, 0, &GET(BLOCK(0, 0, szx)));
                assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &plain, &how), NACRE_OK);
                gets(&f);
                assert_int_equal(f.got.code, NACRE_CONTENT);
                assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK2) + 1, BLOCK(0, last > 0, szx));
                assert_pattern(f.got.payload, 0, last > 0 ? block : size);
                const int64_t etag = option_of(&f.got, NACRE_OPT_ETAG);
                assert_true((etag != -1) == (last > 0));
                if (last > 0) assert_int_equal(settled(&f, 0, &GET(BLOCK(last, 0, szx))), NACRE_CONTENT);
                assert_pattern(f.got.payload, (size_t)last * block, size - (size_t)last * block);
                assert_true(option_of(&f.got, NACRE_OPT_ETAG) == etag);
                event = reaches(&f, 1, &GET(BLOCK(0, 0, szx)));
                respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, size)));
                assert_true(option_of(&f.got, NACRE_OPT_ETAG) == etag);
                end(&f);
            }
}

/* The response to a body in blocks is deferred, and sent in blocks. */
static void deferred_response_to_blocks_is_sent_in_blocks(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    assert_int_equal(settled(&f, 0, &UP(0, 1, 6, "t")), NACRE_CONTINUE);
    const nacre_event event = reaches(&f, 0, &UP(1, 0, 6, "t"));
    assert_int_equal(nacre_transfer_defer_response(f.server.transfer, event.exchange), NACRE_OK);
    assert_int_equal(nacre_transfer_defer_response(f.server.transfer, event.exchange), NACRE_ERR_STALE);
    const nacre_event other = reaches(&f, 1, &GET(NO_BLOCK)); /* another burst */
    assert_pattern(event.message.payload, 0, 1031);           /* its memory stays valid */
    respond(&f, &other, &SAID(.code = NACRE_CONTENT));
    respond(&f, &event, &SAID(.code = NACRE_CHANGED, .payload = event.message.payload));
    expect_block1(&f, BLOCK(1, 0, 6));
    assert_int_equal(option_of(&f.got, NACRE_OPT_BLOCK2) + 1, BLOCK(0, 1, 6));
    const said rest = SAID(.code = NACRE_PUT, .path = "x", .tag = "t", .block2 = BLOCK(1, 0, 6));
    assert_int_equal(settled(&f, 0, &rest), NACRE_CHANGED);
    assert_pattern(f.got.payload, 1024, 7);
    const nacre_message again = { .code = NACRE_CHANGED };
    assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &again, NULL), NACRE_ERR_STALE);
    end(&f);
}

/* A request without a response before the next burst ends, and its body with it. */
static void a_request_without_a_response_ends(void **state)
{
    (void)state;
    fixture f;
    begin_with(&f, &(nacre_transfer_config){ .bodies.num_bodies = 1 });
    for (int i = 0; i < 3; i++) {
        assert_int_equal(settled(&f, 0, &UP(0, 1, 6, "t")), NACRE_CONTINUE);
        const nacre_event event = reaches(&f, 0, &UP(1, 0, 6, "t"));
        if (i == 2) break;
        if (i == 0) nacre_transfer_ignore(f.server.transfer, event.exchange);
        else nacre_transfer_ignore(f.server.transfer, reaches(&f, 1, &GET(NO_BLOCK)).exchange);
        const nacre_message m = { .code = NACRE_CHANGED };
        assert_int_equal(nacre_transfer_respond(f.server.transfer, event.exchange, &m, NULL), NACRE_ERR_STALE);
        datagram d;
        while (party_take(&f.server, &d, 0)) party_give(&f.client, &f.server, &d, 0);
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responses_are_split),
        cmocka_unit_test(responses_that_fit_are_unchanged),
        cmocka_unit_test(etag_depends_on_content_and_transfer),
        cmocka_unit_test(uncached_blocks_are_requested_again),
        cmocka_unit_test(fetches_with_other_payloads_are_cached_apart),
        cmocka_unit_test(responses_come_from_a_source),
        cmocka_unit_test(short_sources_in_small_blocks),
        cmocka_unit_test(deferred_response_to_blocks_is_sent_in_blocks),
        cmocka_unit_test(a_request_without_a_response_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
