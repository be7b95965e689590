/* SPDX-License-Identifier: MIT */
/* A server receives protected requests in outer blocks, as a proxy cuts them, and serves responses in outer blocks on
 * request. An attacker without keys that reads and sends any datagram cannot disturb either. */
#include "outer.h"

enum { BLOCK = 64, SZX = 2, MAX = 600 };

static const nacre_endpoint_config config = { .outer_block.num_messages = 4, .outer_block.max_unfragmented = MAX };

static char text[2000];

static void open_pair(pair *p, raw *r, const nacre_endpoint_config *with)
{
    for (size_t i = 0; i + 1 < sizeof text; i++) text[i] = (char)('a' + i % 23);
    pair_open(p, with, &(pairing){ 0 });
    *r = raw_open(p, p->ours);
}

/* A protected POST with `len` bytes, before it is cut. */
static nacre_message make(raw *r, datagram *whole, size_t len)
{
    const nacre_message m = { .code = NACRE_POST, .payload = nacre_bytes_of((const uint8_t *)text, len) };
    nacre_bytes out;
    assert_int_equal(nacre_protect_request(r->ctx, &r->crypto, &r->id, &out, NACRE_BUF(whole->bytes), &m, NULL),
                     NACRE_OK);
    whole->len = out.len;
    return datagram_message(whole);
}

static size_t num_blocks(const nacre_message *whole)
{
    return (whole->payload.len + BLOCK - 1) / BLOCK;
}

/* Builds one block of it; each datagram has its own MID. */
static void give(raw *r, const nacre_message *whole, size_t num, const char *tag, uint64_t now)
{
    raw_give_block(r, whole, &(outer_block){ .num = num, .szx = SZX, .tag = tag }, now);
}

static void expect_continue(raw *r, size_t num, uint64_t now)
{
    datagram d;
    const nacre_message m = raw_take(r, &d, now);
    assert_int_equal(m.type, NACRE_ACK);
    assert_int_equal(m.mid, r->mid);
    assert_int_equal(m.code, NACRE_CONTINUE);
    assert_int_equal(m.payload.len, 0);
    assert_true(nacre_is_absent(nacre_option_find(m.options, NACRE_OPT_OSCORE)));
    assert_int_equal(number_of(nacre_option_find(m.options, NACRE_OPT_BLOCK1)), num << 4 | 8 | SZX);
    expect_quiet(r->server, now);
}

static nacre_message expect_code(raw *r, datagram *d, uint8_t code, uint64_t now)
{
    char a[5], b[5];
    const nacre_message m = raw_take(r, d, now);
    assert_string_equal(nacre_code_name(m.code, a), nacre_code_name(code, b));
    assert_int_equal(m.mid, r->mid);
    expect_quiet(r->server, now);
    return m;
}

static void give_all_but_last(raw *r, const nacre_message *whole, const char *tag, uint64_t now)
{
    for (size_t i = 0; i + 1 < num_blocks(whole); i++) {
        give(r, whole, i, tag, now);
        expect_continue(r, i, now);
    }
}

/* The joined request is delivered and answered, and the response verifies. */
static void expect_served(raw *r, size_t len, uint64_t now)
{
    datagram d;
    const nacre_event event = expect_event(r->server, NACRE_EVENT_REQUEST);
    assert_non_null(event.context);
    assert_int_equal(event.message.payload.len, len);
    assert_memory_equal(event.message.payload.ptr, text, len);
    assert_int_equal(event.message.options.len, 0); /* all outer-block entries are free */
    respond_text(r->server, event.exchange, "done");
    const nacre_message m = raw_take(r, &d, now);
    assert_int_equal(m.mid, r->mid);
    assert_payload(raw_read(r, &d), "done");
}

static void expect_lost(raw *r, const nacre_message *whole, size_t num, const char *tag, uint64_t now)
{
    datagram d;
    give(r, whole, num, tag, now);
    (void)expect_code(r, &d, NACRE_INCOMPLETE, now);
}

/* RFC 8613 4.1.3.4.2, 8.2.1: the blocks are joined and OSCORE sees one message. RFC 7959 2.5: the response repeats
 * Block1. */
static void blocks_are_joined(void **state)
{
    static const size_t lens[] = { 1, 55, 56, 57, 200, 500 };
    pair p;
    raw r;
    datagram whole, d;
    (void)state;
    open_pair(&p, &r, &config);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        const nacre_message m = make(&r, &whole, lens[i]);
        const size_t last = num_blocks(&m) - 1;
        give_all_but_last(&r, &m, "t", i);
        give(&r, &m, last, "t", i);
        const nacre_event event = expect_event(&p.server, NACRE_EVENT_REQUEST);
        assert_int_equal(event.message.payload.len, lens[i]);
        assert_memory_equal(event.message.payload.ptr, text, lens[i]);
        respond_text(&p.server, event.exchange, "done");
        const nacre_message back = raw_take(&r, &d, i);
        assert_int_equal(number_of(nacre_option_find(back.options, NACRE_OPT_BLOCK1)), last << 4 | SZX);
        assert_payload(raw_read(&r, &d), "done");
        expect_quiet(&p.server, i);
    }
    pair_close(&p);
}

/* Duplicates are detected before blocks are joined: a repeated block is joined once, and the whole is served once. */
static void duplicate_blocks_are_joined_once(void **state)
{
    pair p;
    raw r;
    datagram whole, first, again;
    (void)state;
    open_pair(&p, &r, &config);
    const nacre_message m = make(&r, &whole, 150);
    for (size_t i = 0; i < 3; i++) {
        give(&r, &m, i, "t", 0);
        if (i == 2) respond_text(&p.server, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange, "done");
        (void)raw_take(&r, &first, 0);
        r.mid--;
        give(&r, &m, i, "t", 1);
        (void)raw_take(&r, &again, 1);
        assert_true(datagram_same(&first, &again));
        expect_quiet(&p.server, 1);
    }
    pair_close(&p);
}

/* RFC 7959 2.9.2. Each row but the last has one block out of order; the blocks joined before it stay. */
static void blocks_out_of_order_are_refused(void **state)
{
    static const size_t wrong[] = { 0 /* none */, 3, 1 };
    pair p;
    raw r;
    datagram whole, d;
    (void)state;
    open_pair(&p, &r, &config);
    for (size_t i = 0; i < 3; i++) {
        const nacre_message m = make(&r, &whole, 300);
        give(&r, &m, 0, "t", i);
        expect_continue(&r, 0, i);
        give(&r, &m, 1, "t", i);
        expect_continue(&r, 1, i);
        if (wrong[i] > 0) {
            give(&r, &m, wrong[i], "t", i);
            const nacre_message back = expect_code(&r, &d, NACRE_INCOMPLETE, i);
            assert_int_equal(number_of(nacre_option_find(back.options, NACRE_OPT_BLOCK1)), wrong[i] << 4 | 8 | SZX);
        }
        for (size_t n = 2; n + 1 < num_blocks(&m); n++) {
            give(&r, &m, n, "t", i);
            expect_continue(&r, n, i);
        }
        give(&r, &m, num_blocks(&m) - 1, "t", i);
        expect_served(&r, 300, i);
    }
    pair_close(&p);
}

/* A second block 0 starts over without an error. */
static void a_second_block_0_starts_over(void **state)
{
    pair p;
    raw r;
    datagram whole;
    (void)state;
    open_pair(&p, &r, &config);
    const nacre_message m = make(&r, &whole, 150);
    give(&r, &m, 0, "t", 0);
    expect_continue(&r, 0, 0);
    give_all_but_last(&r, &m, "t", 0);
    give(&r, &m, 2, "t", 0);
    expect_served(&r, 150, 0);
    pair_close(&p);
}

/* The size in the Block option against the payload's length; one change per row. */
static void blocks_of_wrong_size_are_refused(void **state)
{
    static const struct {
        outer_block block;
        uint8_t code;
    } rows[] = {
        { { .num = 0, .szx = SZX }, NACRE_CONTINUE },
        { { .num = 0, .szx = SZX, .cut = 1 }, NACRE_BAD_REQUEST },           /* one byte is missing */
        { { .num = 0, .szx = SZX, .raw = "\x0f" }, NACRE_BAD_REQUEST },      /* the reserved SZX */
        { { .num = 0, .szx = SZX, .raw = "\1\1\1\12" }, NACRE_BAD_REQUEST }, /* option value longer than 3 bytes */
        { { .num = 0, .szx = SZX, .block2 = 0x10 | SZX, .has_block2 = true }, NACRE_BAD_REQUEST },
    };
    pair p;
    raw r;
    datagram whole, d;
    (void)state;
    open_pair(&p, &r, &config);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const nacre_message m = make(&r, &whole, 150);
        raw_give_block(&r, &m, &rows[i].block, 0);
        (void)expect_code(&r, &d, rows[i].code, 0);
    }
    pair_close(&p);
}

/* RFC 8613 12.7, MAX_UNFRAGMENTED_SIZE: one byte more is too large, announced (Size1) or received; so is an endless
 * sequence of blocks. */
static void too_large_requests_are_refused(void **state)
{
    enum { AROUND = 1 + 1 + 8 }; /* code, payload marker, tag */
    pair p;
    raw r;
    datagram whole, d;
    (void)state;
    open_pair(&p, &r, &config);
    nacre_message m = make(&r, &whole, MAX - AROUND);
    assert_int_equal(m.payload.len, MAX);
    give_all_but_last(&r, &m, NULL, 0);
    give(&r, &m, num_blocks(&m) - 1, NULL, 0);
    expect_served(&r, MAX - AROUND, 0);

    m = make(&r, &whole, MAX - AROUND + 1);
    give_all_but_last(&r, &m, NULL, 0);
    give(&r, &m, num_blocks(&m) - 1, NULL, 0);
    nacre_message back = expect_code(&r, &d, NACRE_TOO_LARGE, 0);
    assert_int_equal(number_of(nacre_option_find(back.options, NACRE_OPT_SIZE1)), MAX);
    expect_lost(&r, &m, 1, NULL, 0); /* its entry is free */

    m = make(&r, &whole, 100);
    raw_give_block(&r, &m, &(outer_block){ .szx = SZX, .size1 = MAX }, 0);
    expect_continue(&r, 0, 0);
    raw_give_block(&r, &m, &(outer_block){ .szx = SZX, .size1 = MAX + 1 }, 0);
    (void)expect_code(&r, &d, NACRE_TOO_LARGE, 0);

    m = make(&r, &whole, 1000);
    for (size_t i = 0; i < MAX / BLOCK; i++) {
        raw_give_block(&r, &m, &(outer_block){ .num = i, .szx = SZX, .more = true }, 0);
        expect_continue(&r, i, 0);
    }
    raw_give_block(&r, &m, &(outer_block){ .num = MAX / BLOCK, .szx = SZX, .more = true }, 0);
    (void)expect_code(&r, &d, NACRE_TOO_LARGE, 0);
    pair_close(&p);
}

/* Blocks of another sender, of another request, or under another Request-Tag (RFC 9175 3.4) are not joined. */
static void blocks_of_different_requests_are_not_joined(void **state)
{
    pair p;
    raw r;
    datagram one, two;
    (void)state;
    open_pair(&p, &r, &config);
    const nacre_message a = make(&r, &one, 150);
    const nacre_message b = make(&r, &two, 150);
    give(&r, &a, 0, "t", 0);
    expect_continue(&r, 0, 0);
    expect_lost(&r, &a, 1, "u", 0);
    expect_lost(&r, &a, 1, NULL, 0);
    expect_lost(&r, &b, 1, "t", 0);
    r.address = address_named("other");
    expect_lost(&r, &a, 1, "t", 0);
    r.address = p.client.address;
    give(&r, &a, 1, "t", 0);
    expect_continue(&r, 1, 0);

    /* a block of b sent as one of a: the joined message does not verify and changes nothing */
    datagram d;
    nacre_message swapped = a;
    swapped.payload = b.payload;
    give(&r, &swapped, 2, "t", 0);
    (void)expect_code(&r, &d, NACRE_BAD_REQUEST, 0);
    /* the same with the correct block is no replay: it was never accepted */
    give_all_but_last(&r, &a, "t", 0);
    give(&r, &a, 2, "t", 0);
    const nacre_event event = expect_event(&p.server, NACRE_EVENT_REQUEST);
    assert_memory_equal(event.message.payload.ptr, text, 150);
    pair_close(&p);
}

/* All blocks again under new message IDs: the replay window is checked once, when the request is complete. */
static void replayed_blocks_are_rejected_by_the_window(void **state)
{
    pair p;
    raw r;
    datagram whole, d;
    (void)state;
    open_pair(&p, &r, &config);
    const nacre_message m = make(&r, &whole, 150);
    give_all_but_last(&r, &m, "t", 0);
    give(&r, &m, 2, "t", 0);
    expect_served(&r, 150, 0);
    for (int from = 0; from < 2; from++) {
        const uint64_t replays = nacre_endpoint_get_stats(p.server.ep).replays;
        if (from == 1) r.address = address_named("other");
        give_all_but_last(&r, &m, "t", 1);
        assert_int_equal(nacre_endpoint_get_stats(p.server.ep).replays, replays);
        give(&r, &m, 2, "t", 1);
        (void)expect_code(&r, &d, NACRE_UNAUTHORIZED, 1);
        assert_int_equal(nacre_endpoint_get_stats(p.server.ep).replays, replays + 1);
    }
    pair_close(&p);
}

/* An unknown kid gets 4.01 at the first block and uses no entry. */
static void unknown_kid_is_refused_at_the_first_block(void **state)
{
    pair p;
    raw r;
    datagram whole, d;
    (void)state;
    open_pair(&p, &r, &config);
    nacre_context *strange = party_context(&p.client, &(pairing){ .client_id = "x", .secret = 9 }, false);
    r.ctx = strange;
    const nacre_message m = make(&r, &whole, 150);
    give(&r, &m, 0, "t", 0);
    (void)expect_code(&r, &d, NACRE_UNAUTHORIZED, 0);
    pair_close(&p);
}

/* Several senders have an entry each. A peer has at most half of the entries, and forged addresses can take only one
 * entry from validated ones. */
static void entries_are_shared(void **state)
{
    pair p;
    raw r;
    datagram wholes[5], flood, d;
    nacre_message m[5];
    (void)state;
    open_pair(&p, &r, &config);
    for (size_t i = 0; i < 5; i++) m[i] = make(&r, &wholes[i], 150);
    for (size_t i = 0; i < 3; i++) { /* a third request of one peer evicts its first */
        give(&r, &m[i], 0, "t", i);
        expect_continue(&r, 0, i);
    }
    expect_lost(&r, &m[0], 1, "t", 3);
    give(&r, &m[1], 1, "t", 3);
    expect_continue(&r, 1, 3);
    give(&r, &m[2], 1, "t", 4);
    expect_continue(&r, 1, 4);
    for (size_t i = 3; i < 5; i++) { /* other peers do not disturb it, nor it them */
        r.address = address_named(i == 3 ? "second" : "third");
        give(&r, &m[i], 0, "t", 5);
        expect_continue(&r, 0, 5);
    }
    const nacre_message forged = make(&r, &flood, 150);
    nacre__validate(&p.server.ep->validation, &p.client.address);
    for (int i = 0; i < 200; i++) {
        char name[12];
        (void)snprintf(name, sizeof name, "forged %d", i);
        r.address = address_named(name);
        give(&r, &forged, 0, "t", 6);
        (void)raw_take(&r, &d, 6);
    }
    r.address = p.client.address;
    for (size_t i = 1; i < 3; i++) {
        give(&r, &m[i], 2, "t", 7);
        const nacre_event event = expect_event(&p.server, NACRE_EVENT_REQUEST);
        assert_int_equal(event.message.payload.len, 150);
        respond_text(&p.server, event.exchange, "done");
        (void)raw_take(&r, &d, 7);
    }
    r.address = address_named("second"); /* it must start over, and can */
    expect_lost(&r, &m[3], 1, "t", 8);
    give_all_but_last(&r, &m[3], "t", 8);
    give(&r, &m[3], 2, "t", 8);
    assert_int_equal(expect_event(&p.server, NACRE_EVENT_REQUEST).message.payload.len, 150);
    pair_close(&p);
}

/* An entry expires when no further block arrives. */
static void entries_expire(void **state)
{
    pair p;
    raw r;
    datagram whole;
    (void)state;
    open_pair(&p, &r, &config);
    const nacre_message m = make(&r, &whole, 150);
    give(&r, &m, 0, "t", 0);
    expect_continue(&r, 0, 0);
    give(&r, &m, 1, "t", 246000);
    expect_continue(&r, 1, 246000);
    expect_lost(&r, &m, 2, "t", 246000 + 247000);
    pair_close(&p);
}

/* All blocks arrive in one burst and later requests in that burst need their entries: a completed request stays
 * intact. */
static void a_request_completed_in_a_burst_stays_intact(void **state)
{
    pair p;
    raw r;
    datagram whole, blocks[3];
    nacre_datagram in[3] = { { .full_len = 0 } };
    (void)state;
    open_pair(&p, &r, &(nacre_endpoint_config){ .outer_block.num_messages = 1, .outer_block.max_unfragmented = MAX });
    const nacre_message a = make(&r, &whole, 100);
    datagram other;
    const nacre_message b = make(&r, &other, 100);
    raw_write_block(&r, &blocks[0], &a, &(outer_block){ .num = 0, .szx = SZX });
    raw_write_block(&r, &blocks[1], &a, &(outer_block){ .num = 1, .szx = SZX });
    raw_write_block(&r, &blocks[2], &b, &(outer_block){ .num = 0, .szx = SZX });
    for (size_t i = 0; i < 3; i++)
        in[i] = (nacre_datagram){ .peer = r.address,
                                  .bytes = party_lend(&p.server, nacre_bytes_of(blocks[i].bytes, blocks[i].len)) };
    assert_int_equal(nacre_endpoint_receive_many(p.server.ep, in, 3, 0), 3);
    const nacre_event event = expect_event(&p.server, NACRE_EVENT_REQUEST);
    assert_int_equal(event.message.payload.len, 100);
    assert_memory_equal(event.message.payload.ptr, text, 100);
    datagram d;
    assert_int_equal(raw_take(&r, &d, 0).code, NACRE_CONTINUE);
    assert_int_equal(raw_take(&r, &d, 0).code, NACRE_UNAVAILABLE);
    pair_close(&p);
}

/* RFC 8613 B.1: the first request needs the window durably unknown: the last block is retransmitted until it is. */
static void the_last_block_waits_for_the_store(void **state)
{
    pair p;
    raw r;
    datagram whole;
    (void)state;
    for (size_t i = 0; i + 1 < sizeof text; i++) text[i] = (char)('a' + i % 23);
    pair_open(&p, &config, &(pairing){ .server_persistent = true, .server_stored = true });
    serve_store(p.theirs);
    p.theirs->window_on_disk = true;
    r = raw_open(&p, p.ours);
    const nacre_message m = make(&r, &whole, 150);
    give_all_but_last(&r, &m, "t", 0);
    give(&r, &m, 2, "t", 0);
    const nacre_event event = expect_event(&p.server, NACRE_EVENT_PERSIST);
    expect_quiet(&p.server, 0);
    serve_store(event.context);
    nacre_endpoint_confirmed(p.server.ep, event.context, NACRE_OK);
    expect_quiet(&p.server, 0);
    r.mid--;
    give(&r, &m, 2, "t", 2000); /* the same datagram */
    expect_served(&r, 150, 2000);
    pair_close(&p);
}

/* ---- Responses in blocks ----------------------------------------------------------------------------------------- */

/* Sends a request for a response in blocks of 2^(szx + 4) bytes; leaves the event. */
static nacre_event request_block(raw *r, datagram *request, uint8_t szx, uint64_t now)
{
    datagram whole;
    const nacre_message m = make(r, &whole, 20);
    raw_write_block(r, request, &m, &(outer_block){ .is_plain = true, .has_block2 = true, .block2 = szx });
    raw_give(r, request, now);
    return expect_event(r->server, NACRE_EVENT_REQUEST);
}

/* Requests block `num` of the response to `request`. */
static nacre_message request_more(raw *r, const datagram *request, datagram *d, size_t num, uint8_t szx, uint64_t now)
{
    const nacre_message m = datagram_message(request);
    datagram next;
    nacre_message without = m;
    without.payload = NACRE_ABSENT;
    raw_write_block(r, &next, &without,
                    &(outer_block){ .is_plain = true, .has_block2 = true, .block2 = (uint32_t)(num << 4 | szx) });
    raw_give(r, &next, now);
    return raw_take(r, d, now);
}

static void respond_long(party *p, nacre_exchange exchange, size_t len)
{
    const nacre_message response = { .code = NACRE_CONTENT, .payload = nacre_bytes_of((const uint8_t *)text, len) };
    assert_int_equal(nacre_endpoint_respond(p->ep, exchange, &response), NACRE_OK);
}

/* Joins the blocks as a client does; `d` holds the first. */
static void expect_all(raw *r, const datagram *request, datagram *d, size_t len, uint8_t szx, uint64_t now)
{
    datagram joined = { .len = 0 };
    uint8_t body[MAX_DATAGRAM];
    size_t at = 0;
    nacre_message m = datagram_message(d);
    const nacre_message first = m;
    datagram last = *d;
    for (size_t num = 0;; num++) {
        const uint64_t value = number_of(nacre_option_find(m.options, NACRE_OPT_BLOCK2));
        assert_int_equal(value & ~UINT64_C(8), num << 4 | szx);
        assert_true(m.payload.len <= (size_t)16 << szx);
        memcpy(body + at, m.payload.ptr, m.payload.len);
        at += m.payload.len;
        if ((value & 8) == 0) break;
        assert_int_equal(m.payload.len, (size_t)16 << szx);
        m = request_more(r, request, &last, num + 1, szx, now);
        assert_int_equal(m.code, first.code);
    }
    nacre_message whole = first;
    whole.payload = nacre_bytes_of(body, at);
    datagram_write(&joined, &whole);
    const nacre_message plain = raw_read(r, &joined);
    assert_int_equal(plain.payload.len, len);
    assert_memory_equal(plain.payload.ptr, text, len);
}

/* RFC 7959 2.4, RFC 8613 4.1.3.4.2: parts of one ciphertext; the application is called once. */
static void responses_are_cut(void **state)
{
    pair p;
    raw r;
    datagram request, d, again;
    (void)state;
    open_pair(&p, &r, &config);
    for (uint8_t szx = 0; szx < 5; szx++) {
        nacre__validate(&p.server.ep->validation, &r.address);
        const nacre_event event = request_block(&r, &request, szx, szx);
        respond_long(&p.server, event.exchange, 400);
        const uint64_t seq = nacre_context_next_seq(p.theirs);
        (void)raw_take(&r, &d, szx);
        raw_give(&r, &request, szx); /* a duplicate gets the first block again */
        (void)raw_take(&r, &again, szx);
        assert_true(datagram_same(&d, &again));
        expect_all(&r, &request, &d, 400, szx, szx);
        expect_quiet(&p.server, szx);
        assert_int_equal(nacre_context_next_seq(p.theirs), seq);
    }
    /* a response that fits one block is sent whole */
    const nacre_event event = request_block(&r, &request, 4, 9);
    respond_long(&p.server, event.exchange, 20);
    assert_true(nacre_is_absent(nacre_option_find(raw_take(&r, &d, 9).options, NACRE_OPT_BLOCK2)));
    (void)raw_read(&r, &d);
    pair_close(&p);
}

/* The same for a separate response. */
static void separate_responses_are_cut(void **state)
{
    pair p;
    raw r;
    datagram request, d;
    (void)state;
    open_pair(&p, &r, &config);
    nacre__validate(&p.server.ep->validation, &r.address);
    const nacre_event event = request_block(&r, &request, 1, 0);
    assert_int_equal(nacre_endpoint_defer_response(p.server.ep, event.exchange), NACRE_OK);
    nacre_endpoint_expire(p.server.ep, 1000);
    raw_expect_empty(&r, NACRE_ACK, r.mid, 1000);
    respond_long(&p.server, event.exchange, 300);
    assert_int_equal(raw_take(&r, &d, 1000).type, NACRE_CON);
    raw_empty(&r, NACRE_ACK, datagram_message(&d).mid, 1000);
    expect_all(&r, &request, &d, 300, 1, 1000);
    pair_close(&p);
}

/* Both: the request in blocks, and its response too. */
static void request_and_response_are_both_cut(void **state)
{
    pair p;
    raw r;
    datagram whole, d;
    (void)state;
    open_pair(&p, &r, &config);
    nacre__validate(&p.server.ep->validation, &r.address);
    const nacre_message m = make(&r, &whole, 150);
    give_all_but_last(&r, &m, "t", 0);
    raw_give_block(&r, &m, &(outer_block){ .num = 2, .szx = SZX, .tag = "t", .has_block2 = true, .block2 = 1 }, 0);
    respond_long(&p.server, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange, 300);
    assert_int_equal(number_of(nacre_option_find(raw_take(&r, &d, 0).options, NACRE_OPT_BLOCK1)), 2 << 4 | SZX);
    expect_all(&r, &whole, &d, 300, 1, 0);
    pair_close(&p);
}

/* Blocks past the end, of another peer's response, of a response never given, and of an evicted one are refused. */
static void blocks_past_the_end_are_refused(void **state)
{
    pair p;
    raw r;
    datagram request, d;
    (void)state;
    open_pair(&p, &r, &config);
    nacre__validate(&p.server.ep->validation, &r.address);
    respond_long(&p.server, request_block(&r, &request, 2, 0).exchange, 300);
    (void)raw_take(&r, &d, 0);
    assert_int_equal(request_more(&r, &request, &d, 4, 2, 0).code, NACRE_CHANGED);
    assert_int_equal(request_more(&r, &request, &d, 5, 2, 0).code, NACRE_BAD_REQUEST);
    assert_int_equal(request_more(&r, &request, &d, 0xfffff, 6, 0).code, NACRE_BAD_REQUEST);
    r.address = address_named("other");
    assert_int_equal(request_more(&r, &request, &d, 1, 2, 0).code, NACRE_INCOMPLETE);
    r.address = p.client.address;
    assert_int_equal(request_more(&r, &request, &d, 1, 2, 246999).code, NACRE_CHANGED);
    assert_int_equal(request_more(&r, &request, &d, 1, 2, 246999 + 247000).code, NACRE_INCOMPLETE);
    pair_close(&p);
}

/* RFC 9175 2.4: an unvalidated address gets small blocks whatever size it requests: at most 136 bytes. */
static void unvalidated_addresses_get_small_blocks(void **state)
{
    pair p;
    raw r;
    datagram request, d;
    (void)state;
    open_pair(&p, &r, &config);
    nacre__validate(&p.server.ep->validation, &r.address);
    respond_long(&p.server, request_block(&r, &request, 4, 0).exchange, 400);
    (void)raw_take(&r, &d, 0);
    assert_int_equal(request_more(&r, &request, &d, 1, 3, 246000).payload.len, 128);
    const nacre_message m = request_more(&r, &request, &d, 1, 3, 247000 + 100); /* validated long ago */
    assert_int_equal(m.payload.len, 64);
    assert_true(d.len <= 136);
    assert_int_equal(number_of(nacre_option_find(m.options, NACRE_OPT_BLOCK2)), 2 << 4 | 8 | 2);
    pair_close(&p);
}

/* Plain requests with Block options pass unchanged; so does OSCORE through an endpoint that does not open it. */
static void plain_and_unopened_blocks_pass(void **state)
{
    pair p;
    raw r;
    datagram whole;
    (void)state;
    open_pair(&p, &r, &config);
    nacre_message m = make(&r, &whole, 150);
    m.options = NACRE_ABSENT;
    give(&r, &m, 0, "t", 0);
    const nacre_event event = expect_event(&p.server, NACRE_EVENT_REQUEST);
    assert_null(event.context);
    assert_int_equal(event.message.payload.len, BLOCK);
    pair_close(&p);
    open_pair(&p, &r, &(nacre_endpoint_config){ .opaque_oscore = true });
    m = make(&r, &whole, 150);
    give(&r, &m, 1, "t", 0);
    assert_int_equal(expect_event(&p.server, NACRE_EVENT_REQUEST).message.payload.len, BLOCK);
    pair_close(&p);
}

static void the_configuration_bounds_the_outer_blocks(void **state)
{
    (void)state;
    const nacre_endpoint_config few = { .outer_block.num_messages = 1, .outer_block.max_unfragmented = 100 };
    nacre_endpoint_config none = nacre_endpoint_config_default();
    none.outer_block.num_messages = 0;
    const nacre_endpoint_config most = { .outer_block.num_messages = 1, .outer_block.max_unfragmented = 1 << 20 };
    const nacre_endpoint_config above = { .outer_block.num_messages = 1,
                                          .outer_block.max_unfragmented = (1 << 20) + 1 };
    assert_true(nacre_endpoint_size(&few) > nacre_endpoint_size(&none));
    assert_true(nacre_endpoint_size(&most) > nacre_endpoint_size(&few));
    assert_int_equal(nacre_endpoint_size(&above), 0);

    pair p;
    raw r;
    datagram whole, d;
    open_pair(&p, &r, &none);
    const nacre_message m = make(&r, &whole, 150);
    give(&r, &m, 0, "t", 0);
    (void)expect_code(&r, &d, NACRE_UNAVAILABLE, 0);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_joined),
        cmocka_unit_test(duplicate_blocks_are_joined_once),
        cmocka_unit_test(blocks_out_of_order_are_refused),
        cmocka_unit_test(a_second_block_0_starts_over),
        cmocka_unit_test(blocks_of_wrong_size_are_refused),
        cmocka_unit_test(too_large_requests_are_refused),
        cmocka_unit_test(blocks_of_different_requests_are_not_joined),
        cmocka_unit_test(replayed_blocks_are_rejected_by_the_window),
        cmocka_unit_test(unknown_kid_is_refused_at_the_first_block),
        cmocka_unit_test(entries_are_shared),
        cmocka_unit_test(entries_expire),
        cmocka_unit_test(a_request_completed_in_a_burst_stays_intact),
        cmocka_unit_test(the_last_block_waits_for_the_store),
        cmocka_unit_test(responses_are_cut),
        cmocka_unit_test(separate_responses_are_cut),
        cmocka_unit_test(request_and_response_are_both_cut),
        cmocka_unit_test(blocks_past_the_end_are_refused),
        cmocka_unit_test(unvalidated_addresses_get_small_blocks),
        cmocka_unit_test(plain_and_unopened_blocks_pass),
        cmocka_unit_test(the_configuration_bounds_the_outer_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
