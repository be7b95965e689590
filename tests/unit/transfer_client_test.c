/* SPDX-License-Identifier: MIT */
/* transfer_client_test: Block1 and Block2 of a client's requests against a scripted server. */
#include "../scenario/blocks.h"
#include "transfer/transfer_internal.h"

typedef struct fixture {
    pair p;
    nacre_transfer_exchange exchange;
    nacre_message last_request; /* the server's last received message */
    nacre_exchange at_server;
    uint8_t buf[70000];
} fixture;

static void begin(fixture *f, const nacre_endpoint_config *config)
{
    const nacre_endpoint_config c = config_unlimited(config != NULL ? *config : (nacre_endpoint_config){ 0 });
    pair_open(&f->p, &c, &(pairing){ 0 });
    party_add_transfer(&f->p.client, NULL);
}

static void end(fixture *f)
{
    nacre_event event;
    assert_false(party_next_event(&f->p.client, &event));
    pair_close(&f->p);
}

/* The client's next message, as the server receives it. */
static void arrives(fixture *f)
{
    carry(&f->p.client, &f->p.server, 0);
    const nacre_event event = expect_event(&f->p.server, NACRE_EVENT_REQUEST);
    f->last_request = event.message;
    f->at_server = event.exchange;
}

static nacre_err request_with(fixture *f, const said *s, nacre_transfer_options options)
{
    const nacre_message plain = said_message(s);
    if (options.buf.ptr == NULL && options.sink.write == NULL) options.buf = NACRE_BUF(f->buf);
    return nacre_transfer_request(f->p.client.transfer, &f->exchange, &f->p.server.address, f->p.ours, &plain, &options,
                                  f);
}

static void start_request(fixture *f, uint8_t code, size_t len, uint16_t block_size)
{
    const said s = SAID(.code = code, .path = "x", .payload = pattern(0, len));
    assert_int_equal(request_with(f, &s, (nacre_transfer_options){ .block_size = block_size }), NACRE_OK);
    arrives(f);
}

/* The server's response; its effect at the client is checked by the caller. */
static void respond(fixture *f, const said *s)
{
    const nacre_message m = said_message(s);
    assert_int_equal(nacre_endpoint_respond(f->p.server.ep, f->at_server, &m), NACRE_OK);
    carry(&f->p.server, &f->p.client, 0);
}

/* … and the client's next message. */
static void respond_and_next(fixture *f, const said *s)
{
    nacre_event event;
    respond(f, s);
    assert_false(party_next_event(&f->p.client, &event));
    arrives(f);
}

static nacre_event ends(fixture *f, nacre_event_kind kind, nacre_err err)
{
    const nacre_event event = expect_event(&f->p.client, kind);
    assert_string_equal(nacre_err_name(event.err), nacre_err_name(err));
    assert_int_equal(event.transfer_exchange.number, f->exchange.number);
    assert_int_equal(event.exchange.number, 0); /* the endpoint has exchanges of that number, too */
    assert_ptr_equal(event.user, f);
    return event;
}

static void expect_block(const fixture *f, int64_t block1, int64_t block2, size_t from, size_t len)
{
    assert_int_equal(option_of(&f->last_request, NACRE_OPT_BLOCK1) + 1, block1);
    assert_int_equal(option_of(&f->last_request, NACRE_OPT_BLOCK2) + 1, block2);
    assert_pattern(f->last_request.payload, from, len);
}

/* ---- Bodies in one message --------------------------------------------------------------------------------------- */

static void small_bodies_have_no_blocks(void **state)
{
    (void)state;
    const size_t sizes[] = { 0, 16, 1024 };
    for (size_t i = 0; i < 3; i++) {
        fixture f;
        begin(&f, NULL);
        start_request(&f, NACRE_POST, sizes[i], 0);
        assert_int_equal(f.last_request.options.len, 2); /* Uri-Path "x" and nothing else */
        assert_pattern(f.last_request.payload, 0, sizes[i]);
        respond(&f, &SAID(.code = NACRE_CONTENT, .etag = "e", .payload = pattern(0, 1024)));
        const nacre_event event = ends(&f, NACRE_EVENT_RESPONSE, NACRE_OK);
        assert_int_equal(event.message.options.len, 2);
        assert_pattern(event.message.payload, 0, 1024);
        end(&f);
    }
}

/* ---- Block1 ------------------------------------------------------------------------------------------------------ */

static uint64_t tag_of(const fixture *f)
{
    const nacre_bytes tag = nacre_option_find(f->last_request.options, NACRE_OPT_REQUEST_TAG);
    assert_int_equal(tag.len, 8);
    return number_of(tag);
}

/* RFC 7959 2.5, RFC 9175 3.5.1: one tag for the blocks of a body, another for the next body. */
static void blocks_of_one_body_share_a_request_tag(void **state)
{
    (void)state;
    fixture f;
    uint64_t last = 0;
    begin(&f, NULL);
    for (int i = 0; i < 3; i++) {
        start_request(&f, NACRE_PUT, 2500, 0);
        const uint64_t tag = tag_of(&f);
        assert_true(tag != last);
        last = tag;
        expect_block(&f, BLOCK(0, 1, 6), NO_BLOCK, 0, 1024);
        assert_int_equal(option_of(&f.last_request, NACRE_OPT_SIZE1), 2500);
        respond_and_next(&f, &SAID(.code = NACRE_CONTINUE, .block1 = BLOCK(0, 1, 6)));
        expect_block(&f, BLOCK(1, 1, 6), NO_BLOCK, 1024, 1024);
        assert_int_equal(option_of(&f.last_request, NACRE_OPT_SIZE1), -1);
        assert_true(tag_of(&f) == tag);
        respond_and_next(&f, &SAID(.code = NACRE_CONTINUE, .block1 = BLOCK(1, 1, 6)));
        expect_block(&f, BLOCK(2, 0, 6), NO_BLOCK, 2048, 452);
        assert_true(tag_of(&f) == tag);
        respond(&f, &SAID(.code = NACRE_CHANGED, .block1 = BLOCK(2, 0, 6)));
        const nacre_event event = ends(&f, NACRE_EVENT_RESPONSE, NACRE_OK);
        assert_int_equal(event.message.code, NACRE_CHANGED);
        assert_int_equal(event.message.options.len, 0); /* no Block1 */
    }
    end(&f);
}

/* RFC 7959 2.3: smaller blocks from the present offset. */
static void smaller_block_sizes_are_followed(void **state)
{
    (void)state;
    fixture f;
    begin(&f, NULL);
    start_request(&f, NACRE_PUT, 2000, 0);
    respond_and_next(&f, &SAID(.code = NACRE_CONTINUE, .block1 = BLOCK(0, 1, 4)));
    expect_block(&f, BLOCK(4, 1, 4), NO_BLOCK, 1024, 256);
    respond_and_next(&f, &SAID(.code = NACRE_CONTINUE, .block1 = BLOCK(4, 1, 0)));
    expect_block(&f, BLOCK(80, 1, 0), NO_BLOCK, 1280, 16);
    nacre_transfer_cancel(f.p.client.transfer, f.exchange);
    nacre_transfer_cancel(f.p.client.transfer, f.exchange); /* it has ended */
    respond(&f, &SAID(.code = NACRE_CONTINUE, .block1 = BLOCK(80, 1, 0)));
    end(&f);
}

/* RFC 7959 2.9.3, also for a body without blocks. */
static void too_large_with_a_size_is_repeated_smaller(void **state)
{
    (void)state;
    const size_t sizes[] = { 1000, 2000 };
    for (size_t i = 0; i < 2; i++) {
        fixture f;
        begin(&f, NULL);
        start_request(&f, NACRE_PUT, sizes[i], 0);
        const uint64_t tag = i == 1 ? tag_of(&f) : 0;
        respond_and_next(&f, &SAID(.code = NACRE_TOO_LARGE, .block1 = BLOCK(0, i == 1, 5)));
        expect_block(&f, BLOCK(0, 1, 5), NO_BLOCK, 0, 512);
        assert_true(tag_of(&f) != tag);
        respond(&f, &SAID(.code = NACRE_TOO_LARGE, .block1 = BLOCK(0, 1, 5))); /* no smaller size: final */
        assert_int_equal(ends(&f, NACRE_EVENT_RESPONSE, NACRE_OK).message.code, NACRE_TOO_LARGE);
        end(&f);
    }
}

/* RFC 7959 2.9.2: the whole body is sent once more, with another tag; not twice. */
static void incomplete_restarts_the_upload_once(void **state)
{
    (void)state;
    fixture f;
    begin(&f, NULL);
    start_request(&f, NACRE_PUT, 2000, 0);
    const uint64_t tag = tag_of(&f);
    respond_and_next(&f, &SAID(.code = NACRE_CONTINUE, .block1 = BLOCK(0, 1, 6)));
    respond_and_next(&f, &SAID(.code = NACRE_INCOMPLETE, .block1 = BLOCK(1, 0, 6)));
    expect_block(&f, BLOCK(0, 1, 6), NO_BLOCK, 0, 1024);
    assert_true(tag_of(&f) != tag);
    respond(&f, &SAID(.code = NACRE_INCOMPLETE));
    assert_int_equal(ends(&f, NACRE_EVENT_RESPONSE, NACRE_OK).message.code, NACRE_INCOMPLETE);
    end(&f);
}

/* The later blocks of a response are lost: a safe request is repeated once, an unsafe one is not carried out twice. */
static void a_response_lost_half_way_is_requested_again_if_safe(void **state)
{
    (void)state;
    const said first = SAID(.code = NACRE_CONTENT, .etag = "v1", .block2 = BLOCK(0, 1, 6), .payload = pattern(0, 1024));
    fixture f;
    begin(&f, NULL);
    start_request(&f, NACRE_GET, 0, 0);
    respond_and_next(&f, &first);
    respond_and_next(&f, &SAID(.code = NACRE_INCOMPLETE));
    expect_block(&f, NO_BLOCK, NO_BLOCK, 0, 0); /* from the start */
    respond_and_next(&f, &first);
    respond(&f, &SAID(.code = NACRE_INCOMPLETE));
    assert_int_equal(ends(&f, NACRE_EVENT_RESPONSE, NACRE_OK).message.code, NACRE_INCOMPLETE);
    start_request(&f, NACRE_POST, 0, 0);
    respond_and_next(&f, &first);
    respond(&f, &SAID(.code = NACRE_INCOMPLETE));
    assert_int_equal(ends(&f, NACRE_EVENT_RESPONSE, NACRE_OK).message.code, NACRE_INCOMPLETE);
    end(&f);
}

static void responses_to_another_block_are_refused(void **state)
{
    (void)state;
    const struct {
        const char *name;
        said s;
        bool good;
    } rows[] = {
        { "2.31", SAID(.code = NACRE_CONTINUE, .block1 = BLOCK(0, 1, 6)), true },
        { "2.04 for this block alone", SAID(.code = NACRE_CHANGED, .block1 = BLOCK(0, 0, 6)), true },
        { "another number", SAID(.code = NACRE_CONTINUE, .block1 = BLOCK(1, 1, 6)), false },
        { "no Block1", SAID(.code = NACRE_CONTINUE), false },
        { "2.04 without Block1", SAID(.code = NACRE_CHANGED), false },
        { "a number of a smaller size", SAID(.code = NACRE_CONTINUE, .block1 = BLOCK(2, 1, 5)), false },
        { "a reserved size", SAID(.code = NACRE_CONTINUE, .block1 = BLOCK(0, 1, 7)), false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture f;
        nacre_event event;
        begin(&f, NULL);
        start_request(&f, NACRE_PUT, 2000, 0);
        respond(&f, &rows[i].s);
        if (!rows[i].good) (void)ends(&f, NACRE_EVENT_FAILED, NACRE_ERR_BLOCKS);
        else if (party_next_event(&f.p.client, &event)) fail_msg("%s: %s", rows[i].name, nacre_err_name(event.err));
        end(&f);
    }
    /* to the last block */
    fixture f;
    begin(&f, NULL);
    start_request(&f, NACRE_PUT, 1500, 0);
    respond_and_next(&f, &SAID(.code = NACRE_CONTINUE, .block1 = BLOCK(0, 1, 6)));
    respond(&f, &SAID(.code = NACRE_CONTINUE, .block1 = BLOCK(1, 0, 6)));
    (void)ends(&f, NACRE_EVENT_FAILED, NACRE_ERR_BLOCKS);
    end(&f);
}

/* RFC 8613 4.1.3.4.1: protected blocks that fit the datagram. */
static void blocks_fit_the_datagram(void **state)
{
    (void)state;
    const size_t sizes[] = { 100, 150, 200, 300, 340, 600, 1000, 1280 };
    for (size_t i = 0; i < 8; i++) {
        fixture f;
        begin(&f, &(nacre_endpoint_config){ .max_message = sizes[i] });
        const said s = SAID(.code = NACRE_PUT, .payload = pattern(0, 5000));
        datagram d;
        assert_int_equal(request_with(&f, &s, (nacre_transfer_options){ 0 }), NACRE_OK);
        assert_true(party_take(&f.p.client, &d, 0));
        party_give(&f.p.server, &f.p.client, &d, 0);
        f.last_request = expect_event(&f.p.server, NACRE_EVENT_REQUEST).message;
        const size_t block = f.last_request.payload.len;
        assert_int_equal((size_t)16 << (option_of(&f.last_request, NACRE_OPT_BLOCK1) & 7), block);
        if (block < 1024) assert_true(d.len + block + 12 > sizes[i]); /* the next size would not, within a margin */
        end(&f);
    }
}

/* ---- Block2 ------------------------------------------------------------------------------------------------------ */

static void responses_are_assembled_from_blocks(void **state)
{
    (void)state;
    fixture f;
    begin(&f, NULL);
    start_request(&f, NACRE_GET, 0, 0);
    expect_block(&f, NO_BLOCK, NO_BLOCK, 0, 0);
    respond_and_next(&f, &SAID(.code = NACRE_CONTENT, .etag = "v", .block2 = BLOCK(0, 1, 6), .size2 = 2100,
                               .payload = pattern(0, 1024)));
    expect_block(&f, NO_BLOCK, BLOCK(1, 0, 6), 0, 0);
    assert_int_equal(option_of(&f.last_request, NACRE_OPT_REQUEST_TAG), -1);
    /* the server may switch to smaller ones */
    respond_and_next(
        &f, &SAID(.code = NACRE_CONTENT, .etag = "v", .block2 = BLOCK(2, 1, 5), .payload = pattern(1024, 512)));
    expect_block(&f, NO_BLOCK, BLOCK(3, 0, 5), 0, 0);
    respond(&f, &SAID(.code = NACRE_CONTENT, .etag = "v", .block2 = BLOCK(3, 0, 5), .payload = pattern(1536, 500)));
    const nacre_event event = ends(&f, NACRE_EVENT_RESPONSE, NACRE_OK);
    assert_pattern(event.message.payload, 0, 2036);
    assert_int_equal(option_of(&event.message, NACRE_OPT_BLOCK2), -1);
    assert_int_equal(option_of(&event.message, NACRE_OPT_SIZE2), 2100);
    end(&f);
}

/* RFC 7959 2.4, and the response in blocks to a request in blocks keeps its tag (RFC 9175 3.4). */
static void early_negotiation_and_blocks_after_block1_work(void **state)
{
    (void)state;
    fixture f;
    begin(&f, NULL);
    start_request(&f, NACRE_GET, 0, 64);
    expect_block(&f, NO_BLOCK, BLOCK(0, 0, 2), 0, 0);
    respond(&f, &SAID(.code = NACRE_CONTENT, .block2 = BLOCK(0, 0, 2), .payload = pattern(0, 20)));
    (void)ends(&f, NACRE_EVENT_RESPONSE, NACRE_OK);
    start_request(&f, NACRE_POST, 100, 64);
    expect_block(&f, BLOCK(0, 1, 2), NO_BLOCK, 0, 64);
    const uint64_t tag = tag_of(&f);
    respond_and_next(&f, &SAID(.code = NACRE_CONTINUE, .block1 = BLOCK(0, 1, 2)));
    expect_block(&f, BLOCK(1, 0, 2), BLOCK(0, 0, 2), 64, 36);
    respond_and_next(&f, &SAID(.code = NACRE_CHANGED, .block1 = BLOCK(1, 0, 2), .block2 = BLOCK(0, 1, 2),
                               .payload = pattern(0, 64)));
    expect_block(&f, NO_BLOCK, BLOCK(1, 0, 2), 0, 0);
    assert_true(tag_of(&f) == tag);
    respond(&f, &SAID(.code = NACRE_CHANGED, .block2 = BLOCK(1, 0, 2), .payload = pattern(64, 5)));
    assert_pattern(ends(&f, NACRE_EVENT_RESPONSE, NACRE_OK).message.payload, 0, 69);
    end(&f);
}

/* RFC 8132 2.1: a FETCH repeats its payload in each request. */
static void fetch_repeats_its_payload(void **state)
{
    (void)state;
    fixture f;
    begin(&f, NULL);
    start_request(&f, NACRE_FETCH, 40, 0);
    respond_and_next(&f, &SAID(.code = NACRE_CONTENT, .block2 = BLOCK(0, 1, 0), .payload = pattern(0, 16)));
    expect_block(&f, NO_BLOCK, BLOCK(1, 0, 0), 0, 40);
    end(&f);
}

/* RFC 7959 2.4: blocks of two bodies are never joined. Safe requests are repeated once. */
static void another_etag_restarts_a_safe_request(void **state)
{
    (void)state;
    const said first = SAID(.code = NACRE_CONTENT, .etag = "v1", .block2 = BLOCK(0, 1, 6), .payload = pattern(0, 1024));
    const said others[] = {
        SAID(.code = NACRE_CONTENT, .etag = "v2", .block2 = BLOCK(1, 0, 6), .payload = pattern(1024, 9)),
        SAID(.code = NACRE_CONTENT, .block2 = BLOCK(1, 0, 6), .payload = pattern(1024, 9)),
        SAID(.code = NACRE_CHANGED, .etag = "v1", .block2 = BLOCK(1, 0, 6), .payload = pattern(1024, 9)),
    };
    for (size_t i = 0; i < 3; i++) {
        fixture f;
        begin(&f, NULL);
        start_request(&f, NACRE_GET, 0, 0);
        respond_and_next(&f, &first);
        respond_and_next(&f, &others[i]);
        expect_block(&f, NO_BLOCK, NO_BLOCK, 0, 0); /* from the start */
        respond_and_next(&f, &first);
        respond(&f, &others[i]);
        (void)ends(&f, NACRE_EVENT_FAILED, NACRE_ERR_BODY_CHANGED);
        start_request(&f, NACRE_POST, 0, 0);
        respond_and_next(&f, &first);
        respond(&f, &others[i]);
        (void)ends(&f, NACRE_EVENT_FAILED, NACRE_ERR_BODY_CHANGED);
        end(&f);
    }
}

static void responses_with_another_block_are_refused(void **state)
{
    (void)state;
    const struct {
        const char *name;
        said s;
        nacre_err err;
    } rows[] = {
        { "right", SAID(.code = NACRE_CONTENT, .block2 = BLOCK(1, 0, 5), .payload = pattern(512, 512)), NACRE_OK },
        { "right, and empty", SAID(.code = NACRE_CONTENT, .block2 = BLOCK(1, 0, 5)), NACRE_OK },
        { "the first again", SAID(.code = NACRE_CONTENT, .block2 = BLOCK(0, 1, 5), .payload = pattern(0, 512)),
          NACRE_ERR_BLOCKS },
        { "one left out", SAID(.code = NACRE_CONTENT, .block2 = BLOCK(2, 0, 5), .payload = pattern(1024, 9)),
          NACRE_ERR_BLOCKS },
        { "larger blocks", SAID(.code = NACRE_CONTENT, .block2 = BLOCK(1, 0, 6), .payload = pattern(1024, 9)),
          NACRE_ERR_BLOCKS },
        { "a short one with more", SAID(.code = NACRE_CONTENT, .block2 = BLOCK(1, 1, 5), .payload = pattern(512, 511)),
          NACRE_ERR_BLOCKS },
        { "a long one", SAID(.code = NACRE_CONTENT, .block2 = BLOCK(1, 0, 5), .payload = pattern(512, 513)),
          NACRE_ERR_BLOCKS },
        { "no Block2", SAID(.code = NACRE_CONTENT, .payload = pattern(512, 9)), NACRE_ERR_BLOCKS },
        { "a reserved size", SAID(.code = NACRE_CONTENT, .block2 = BLOCK(1, 0, 7), .payload = pattern(512, 9)),
          NACRE_ERR_BLOCKS },
        { "an error", SAID(.code = NACRE_NOT_FOUND), NACRE_OK },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture f;
        begin(&f, NULL);
        start_request(&f, NACRE_GET, 0, 0);
        respond_and_next(&f, &SAID(.code = NACRE_CONTENT, .block2 = BLOCK(0, 1, 5), .payload = pattern(0, 512)));
        respond(&f, &rows[i].s);
        const nacre_event event =
            expect_event(&f.p.client, rows[i].err == NACRE_OK ? NACRE_EVENT_RESPONSE : NACRE_EVENT_FAILED);
        if (event.err != rows[i].err) fail_msg("%s: %s", rows[i].name, nacre_err_name(event.err));
        end(&f);
    }
}

static void responses_above_the_limit_are_refused(void **state)
{
    (void)state;
    fixture f;
    const said first =
        SAID(.code = NACRE_CONTENT, .block2 = BLOCK(0, 1, 6), .size2 = 1500, .payload = pattern(0, 1024));
    const said unsaid = SAID(.code = NACRE_CONTENT, .block2 = BLOCK(0, 1, 6), .payload = pattern(0, 1024));
    const said get = SAID(.code = NACRE_GET);
    const struct {
        size_t cap;
        const said *first;
        bool at_once;
    } rows[] = { { 1500, &first, false }, { 1499, &first, true }, { 1023, &unsaid, true }, { 0, &unsaid, true } };
    for (size_t i = 0; i < 4; i++) {
        begin(&f, NULL);
        const nacre_transfer_options options = { .buf = { f.buf, rows[i].cap } };
        assert_int_equal(request_with(&f, &get, options), NACRE_OK);
        arrives(&f);
        if (rows[i].at_once) {
            respond(&f, rows[i].first);
            assert_pattern(ends(&f, NACRE_EVENT_FAILED, NACRE_ERR_TOO_LONG).message.payload, 0, 1024);
        } else {
            respond_and_next(&f, rows[i].first);
            respond(&f, &SAID(.code = NACRE_CONTENT, .block2 = BLOCK(1, 0, 6), .payload = pattern(1024, 476)));
            assert_pattern(ends(&f, NACRE_EVENT_RESPONSE, NACRE_OK).message.payload, 0, 1500);
        }
        end(&f);
    }
}

/* Without Size2 only the blocks tell how long the body is. The buffer is a block of exactly its size. */
static void a_body_without_size2_never_leaves_its_buffer(void **state)
{
    (void)state;
    const struct {
        size_t cap, second;
        bool fits;
    } rows[] = { { 1024, 0, true },    { 1024, 1, false },    { 1500, 476, true },
                 { 1500, 477, false }, { 2047, 1024, false }, { 2048, 1024, true } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture f;
        begin(&f, NULL);
        uint8_t *buf = malloc(rows[i].cap);
        assert_non_null(buf);
        const said get = SAID(.code = NACRE_GET);
        assert_int_equal(request_with(&f, &get, (nacre_transfer_options){ .buf = { buf, rows[i].cap } }), NACRE_OK);
        arrives(&f);
        respond_and_next(&f, &SAID(.code = NACRE_CONTENT, .block2 = BLOCK(0, 1, 6), .payload = pattern(0, 1024)));
        respond(&f, &SAID(.code = NACRE_CONTENT, .block2 = BLOCK(1, 0, 6), .payload = pattern(1024, rows[i].second)));
        if (rows[i].fits)
            assert_pattern(ends(&f, NACRE_EVENT_RESPONSE, NACRE_OK).message.payload, 0, 1024 + rows[i].second);
        else (void)ends(&f, NACRE_EVENT_FAILED, NACRE_ERR_TOO_LONG);
        end(&f);
        free(buf);
    }
}

static nacre_err swallow(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    (void)user, (void)offset, (void)piece, (void)total;
    return NACRE_OK;
}

/* RFC 7959 2.2: the block number has 20 bits, and does not wrap. */
static void block_numbers_do_not_wrap(void **state)
{
    (void)state;
    for (uint32_t last = 0xffffe; last <= 0xfffff; last++) {
        fixture f;
        begin(&f, NULL);
        const said get = SAID(.code = NACRE_GET);
        assert_int_equal(request_with(&f, &get, (nacre_transfer_options){ .sink = { swallow, NULL } }), NACRE_OK);
        arrives(&f);
        respond_and_next(&f, &SAID(.code = NACRE_CONTENT, .block2 = BLOCK(0, 1, 0), .payload = pattern(0, 16)));
        f.p.client.transfer->clients[0].received = (uint64_t)last * 16;
        respond(&f, &SAID(.code = NACRE_CONTENT, .block2 = BLOCK(last, 1, 0), .payload = pattern(0, 16)));
        nacre_event event;
        const bool ended = party_next_event(&f.p.client, &event);
        assert_int_equal(ended, last == 0xfffff);
        if (ended) assert_int_equal(event.err, NACRE_ERR_TOO_LONG);
        end(&f);
    }
}

/* ---- The application's side -------------------------------------------------------------------------------------- */

static nacre_err read_zeros(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    const uint64_t size = *(const uint64_t *)user;
    const uint64_t left = offset < size ? size - offset : 0;
    *len = left < buf.cap ? (size_t)left : buf.cap;
    memset(buf.ptr, 0, *len);
    return NACRE_OK;
}

static void invalid_requests_are_refused(void **state)
{
    (void)state;
    fixture f;
    uint64_t size = 16777217;
    begin(&f, NULL);
    const said get = SAID(.code = NACRE_GET), with_block1 = SAID(.code = NACRE_PUT, .block1 = BLOCK(0, 0, 6)),
               with_block2 = SAID(.code = NACRE_GET, .block2 = BLOCK(0, 0, 6)),
               with_tag = SAID(.code = NACRE_PUT, .tag = "t"),
               with_payload = SAID(.code = NACRE_PUT, .payload = pattern(0, 1)),
               observe = SAID(.code = NACRE_FETCH, .observe = true, .payload = pattern(0, 1025)),
               observe_small = SAID(.code = NACRE_FETCH, .observe = true, .payload = pattern(0, 1024));
    const nacre_transfer_options none = { 0 };
    assert_int_equal(request_with(&f, &with_block1, none), NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(request_with(&f, &with_block2, none), NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(request_with(&f, &with_tag, none), NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(request_with(&f, &observe, none), NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(request_with(&f, &get, (nacre_transfer_options){ .block_size = 48 }), NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(request_with(&f, &with_payload, (nacre_transfer_options){ .source = { read_zeros, &size, 1 } }),
                     NACRE_ERR_BAD_ARGUMENT);
    const nacre_transfer_options long_source = { .block_size = 16, .source = { read_zeros, &size, 16777217 } };
    assert_int_equal(request_with(&f, &get, long_source), NACRE_ERR_TOO_LONG); /* 2^20 blocks and a byte */
    const nacre_transfer_options just = { .block_size = 16, .source = { read_zeros, &size, 16777216 } };
    assert_int_equal(request_with(&f, &get, just), NACRE_OK);
    assert_int_equal(request_with(&f, &observe_small, none), NACRE_OK);
    for (int i = 2; i < 16; i++) assert_int_equal(request_with(&f, &get, none), NACRE_OK);
    assert_int_equal(request_with(&f, &get, none), NACRE_ERR_BUSY);
    nacre_transfer_cancel(f.p.client.transfer, f.exchange);
    assert_int_equal(request_with(&f, &get, none), NACRE_OK);
    end(&f);
}

/* The endpoint's entries are used by other exchanges for a while. */
static void a_transfer_waits_for_an_entry(void **state)
{
    (void)state;
    fixture f;
    nacre_exchange other;
    begin(&f, &(nacre_endpoint_config){ .num_client_exchanges = 1, .congestion.nstart = UINT16_MAX });
    start_request(&f, NACRE_PUT, 1500, 0);
    respond(&f, &SAID(.code = NACRE_CONTINUE, .block1 = BLOCK(0, 1, 6)));
    nacre_event event;
    assert_true(nacre_endpoint_next_event(f.p.client.ep, &event)); /* without the transfer */
    const nacre_message get = { .type = NACRE_CON, .code = NACRE_GET };
    assert_int_equal(nacre_endpoint_request(f.p.client.ep, &other, &f.p.server.address, NULL, &get, NULL), NACRE_OK);
    assert_false(nacre__client_transfer_event(f.p.client.transfer, &event));
    assert_false(party_next_event(&f.p.client, &event));
    nacre_endpoint_cancel(f.p.client.ep, other);
    assert_false(party_next_event(&f.p.client, &event));
    arrives(&f);
    expect_block(&f, BLOCK(1, 0, 6), NO_BLOCK, 1024, 476);
    end(&f);
}

/* The outcome of one block's exchange is the outcome of the whole transfer. */
static void a_lost_block_fails_the_transfer(void **state)
{
    (void)state;
    fixture f;
    datagram d;
    begin(&f, NULL);
    start_request(&f, NACRE_PUT, 1500, 0);
    respond(&f, &SAID(.code = NACRE_CONTINUE, .block1 = BLOCK(0, 1, 6)));
    nacre_event event;
    assert_false(party_next_event(&f.p.client, &event));
    assert_int_equal(nacre_transfer_deadline(f.p.client.transfer), 0); /* it wants to transmit */
    uint64_t now = 0;
    while (!party_next_event(&f.p.client, &event)) {
        while (party_take(&f.p.client, &d, now)) {}
        now = party_deadline(&f.p.client);
        assert_true(now != UINT64_MAX);
        party_expire(&f.p.client, now);
    }
    assert_int_equal(event.kind, NACRE_EVENT_FAILED);
    assert_int_equal(event.err, NACRE_ERR_TIMEOUT);
    assert_int_equal(event.transfer_exchange.number, f.exchange.number);
    end(&f);
}

/* ---- Observing --------------------------------------------------------------------------------------------------- */

static nacre_observer observer;

static void notify(fixture *f, const said *s)
{
    nacre_event event;
    nacre_endpoint_changed(f->p.server.ep, observer);
    assert_true(nacre_endpoint_next_event(f->p.server.ep, &event));
    assert_int_equal(event.kind, NACRE_EVENT_NOTIFY);
    f->at_server = event.exchange;
    respond(f, s);
}

/* RFC 7959 3.4: the rest of a notification is fetched without Observe; a newer one replaces it. */
static void notifications_are_fetched_in_blocks(void **state)
{
    (void)state;
    fixture f;
    datagram ack;
    begin(&f, &(nacre_endpoint_config){ .observe.num_observers = 1, .congestion.nstart = UINT16_MAX });
    const said get = SAID(.code = NACRE_GET, .path = "x", .observe = true);
    assert_int_equal(request_with(&f, &get, (nacre_transfer_options){ 0 }), NACRE_OK);
    arrives(&f);
    assert_int_equal(nacre_endpoint_observe(f.p.server.ep, &observer, f.at_server, NULL), NACRE_OK);
    const said first = SAID(.code = NACRE_CONTENT, .etag = "v1", .block2 = BLOCK(0, 1, 6), .payload = pattern(0, 1024));
    respond_and_next(&f, &first);
    assert_int_equal(option_of(&f.last_request, NACRE_OPT_OBSERVE), -1);
    expect_block(&f, NO_BLOCK, BLOCK(1, 0, 6), 0, 0);
    respond(&f, &SAID(.code = NACRE_CONTENT, .etag = "v1", .block2 = BLOCK(1, 0, 6), .payload = pattern(1024, 100)));
    nacre_event event = ends(&f, NACRE_EVENT_NOTIFICATION, NACRE_OK);
    assert_pattern(event.message.payload, 0, 1124);
    assert_true(option_of(&event.message, NACRE_OPT_OBSERVE) >= 0);

    const said short_one = SAID(.code = NACRE_CONTENT, .etag = "v2", .payload = pattern(0, 5));
    notify(&f, &short_one);
    assert_pattern(ends(&f, NACRE_EVENT_NOTIFICATION, NACRE_OK).message.payload, 0, 5);
    while (party_take(&f.p.client, &ack, 0)) party_give(&f.p.server, &f.p.client, &ack, 0);

    /* one that cannot be fetched: the observation goes on */
    notify(&f, &first);
    assert_false(party_next_event(&f.p.client, &event));
    while (party_take(&f.p.client, &ack, 0)) party_give(&f.p.server, &f.p.client, &ack, 0);
    f.at_server = expect_event(&f.p.server, NACRE_EVENT_REQUEST).exchange;
    respond(&f, &SAID(.code = NACRE_CONTENT, .etag = "v1", .block2 = BLOCK(2, 0, 6), .payload = pattern(0, 1)));
    (void)ends(&f, NACRE_EVENT_NOTIFICATION, NACRE_ERR_BLOCKS);

    /* a newer one arrives during a fetch */
    notify(&f, &first);
    assert_false(party_next_event(&f.p.client, &event));
    while (party_take(&f.p.client, &ack, 0)) party_give(&f.p.server, &f.p.client, &ack, 0);
    f.at_server = expect_event(&f.p.server, NACRE_EVENT_REQUEST).exchange;
    const nacre_exchange fetching = f.at_server;
    notify(&f, &short_one);
    assert_pattern(ends(&f, NACRE_EVENT_NOTIFICATION, NACRE_OK).message.payload, 0, 5);
    nacre_endpoint_ignore(f.p.server.ep, fetching);

    assert_int_equal(nacre_transfer_unobserve(f.p.client.transfer, f.exchange), NACRE_OK);
    while (party_take(&f.p.client, &ack, 0)) party_give(&f.p.server, &f.p.client, &ack, 0);
    while (party_next_event(&f.p.server, &event))
        if (event.kind == NACRE_EVENT_REQUEST) f.at_server = event.exchange;
    respond(&f, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 3)));
    while (party_take(&f.p.server, &ack, 0)) party_give(&f.p.client, &f.p.server, &ack, 0);
    assert_pattern(ends(&f, NACRE_EVENT_RESPONSE, NACRE_OK).message.payload, 0, 3);
    assert_int_equal(nacre_transfer_unobserve(f.p.client.transfer, f.exchange), NACRE_ERR_STALE);
    end(&f);
}

/* The server accepts no observation, and its response has blocks: unobserving during the fetch leaves nothing open. */
static void unobserving_without_an_observation_leaves_nothing(void **state)
{
    (void)state;
    for (int observes = 0; observes < 2; observes++) {
        fixture f;
        begin(&f, NULL);
        const said get = SAID(.code = NACRE_GET, .path = "x", .observe = observes == 1);
        assert_int_equal(request_with(&f, &get, (nacre_transfer_options){ 0 }), NACRE_OK);
        arrives(&f);
        respond_and_next(
            &f, &SAID(.code = NACRE_CONTENT, .etag = "v1", .block2 = BLOCK(0, 1, 6), .payload = pattern(0, 1024)));
        assert_int_equal(nacre_transfer_unobserve(f.p.client.transfer, f.exchange),
                         observes ? NACRE_OK : NACRE_ERR_BAD_ARGUMENT);
        respond(&f,
                &SAID(.code = NACRE_CONTENT, .etag = "v1", .block2 = BLOCK(1, 0, 6), .payload = pattern(1024, 100)));
        assert_pattern(ends(&f, NACRE_EVENT_RESPONSE, NACRE_OK).message.payload, 0, 1124);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_bodies_have_no_blocks),
        cmocka_unit_test(blocks_of_one_body_share_a_request_tag),
        cmocka_unit_test(smaller_block_sizes_are_followed),
        cmocka_unit_test(too_large_with_a_size_is_repeated_smaller),
        cmocka_unit_test(incomplete_restarts_the_upload_once),
        cmocka_unit_test(a_response_lost_half_way_is_requested_again_if_safe),
        cmocka_unit_test(responses_to_another_block_are_refused),
        cmocka_unit_test(blocks_fit_the_datagram),
        cmocka_unit_test(responses_are_assembled_from_blocks),
        cmocka_unit_test(early_negotiation_and_blocks_after_block1_work),
        cmocka_unit_test(fetch_repeats_its_payload),
        cmocka_unit_test(another_etag_restarts_a_safe_request),
        cmocka_unit_test(responses_with_another_block_are_refused),
        cmocka_unit_test(responses_above_the_limit_are_refused),
        cmocka_unit_test(block_numbers_do_not_wrap),
        cmocka_unit_test(a_body_without_size2_never_leaves_its_buffer),
        cmocka_unit_test(invalid_requests_are_refused),
        cmocka_unit_test(a_transfer_waits_for_an_entry),
        cmocka_unit_test(a_lost_block_fails_the_transfer),
        cmocka_unit_test(notifications_are_fetched_in_blocks),
        cmocka_unit_test(unobserving_without_an_observation_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
