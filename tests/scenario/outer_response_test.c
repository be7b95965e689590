/* SPDX-License-Identifier: MIT */
/* A client fetches and joins a response that a proxy cut into outer blocks. A sender of such blocks without a key can
 * neither end an exchange with them nor use more than the bounded memory. */
#include "outer.h"

enum { MAX = 600 };

static char text[2000];

/* A client, and everything that its server and a proxy may send in response to one request. */
typedef struct cut {
    pair p;
    nacre_exchange exchange;
    datagram request, whole; /* the request, and the response before it is cut */
    datagram requested;      /* the client's latest message */
} cut;

static void open_cut(cut *c, uint8_t type, size_t len, const nacre_endpoint_config *config)
{
    static const nacre_endpoint_config usual = { .outer_block.num_messages = 4, .outer_block.max_unfragmented = MAX };
    for (size_t i = 0; i + 1 < sizeof text; i++) text[i] = (char)('a' + i % 23);
    pair_open(&c->p, config != NULL ? config : &usual, &(pairing){ 0 });
    nacre__validate(&c->p.server.ep->validation, &c->p.client.address);
    c->exchange = start(&c->p.client, &c->p.server, c->p.ours, type);
    (void)sent_request(&c->p, &c->request, 0);
    party_give(&c->p.server, &c->p.client, &c->request, 0);
    const nacre_event event = expect_event(&c->p.server, NACRE_EVENT_REQUEST);
    const nacre_message response = { .code = NACRE_CONTENT, .payload = nacre_bytes_of((const uint8_t *)text, len) };
    assert_int_equal(nacre_endpoint_respond(c->p.server.ep, event.exchange, &response), NACRE_OK);
    assert_true(party_take(&c->p.server, &c->whole, 0));
    c->requested = c->request;
}

/* Defects of a response block. */
typedef struct piece {
    size_t num;
    uint8_t szx;
    bool end;       /* without M (more) */
    bool more;      /* with M (more), always */
    size_t missing; /* bytes at its end */
    const char *etag, *oscore;
    uint8_t code;
    uint8_t type; /* 0: in the ACK */
    bool bare;    /* no OSCORE option */
} piece;

static void write_piece(const cut *c, datagram *d, const piece *b)
{
    uint8_t memory[128];
    nacre_options o;
    nacre_option option;
    nacre_message m = datagram_message(&c->whole);
    const nacre_message requested = datagram_message(&c->requested);
    const size_t size = (size_t)16 << b->szx, offset = b->num * size < m.payload.len ? b->num * size : 0;
    const bool more = b->more || (!b->end && m.payload.len - offset > size);
    nacre_options_init(&o, NACRE_BUF(memory));
    for (nacre_option_iter it = nacre_option_begin(m.options); nacre_option_next(&it, &option);)
        if (option.number == NACRE_OPT_OSCORE && b->oscore != NULL)
            nacre_options_add(&o, NACRE_OPT_OSCORE, nacre_bytes_of((const uint8_t *)b->oscore, strlen(b->oscore)));
        else if (!b->bare) nacre_options_add(&o, option.number, option.value);
    nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, b->num << 4 | (more ? 8 : 0) | b->szx);
    if (b->etag != NULL)
        nacre_options_add(&o, NACRE_OPT_ETAG, nacre_bytes_of((const uint8_t *)b->etag, strlen(b->etag)));
    assert_int_equal(nacre_options_finish(&o, &m.options), NACRE_OK);
    m.payload.ptr += offset;
    m.payload.len = (m.payload.len - offset > size ? size : m.payload.len - offset) - b->missing;
    m.type = b->type != 0 ? b->type : requested.type == NACRE_CON ? NACRE_ACK : NACRE_NON;
    m.mid = m.type == NACRE_ACK ? requested.mid : (uint16_t)(0x4000 + b->num);
    m.token = requested.token;
    if (b->code != 0) m.code = b->code;
    datagram_write(d, &m);
}

static void give_piece(cut *c, const piece *b, uint64_t now)
{
    datagram d;
    write_piece(c, &d, b);
    party_give(&c->p.client, &c->p.server, &d, now);
}

/* The client requests block `num` and nothing else. */
static void expect_requested(cut *c, size_t num, uint8_t szx, uint64_t now)
{
    const nacre_message before = datagram_message(&c->requested), first = datagram_message(&c->request);
    uint8_t token[8];
    nacre_event event;
    memcpy(token, before.token.ptr, 8);
    const uint16_t mid = before.mid;
    assert_false(party_next_event(&c->p.client, &event));
    assert_true(party_take(&c->p.client, &c->requested, now));
    const nacre_message m = datagram_message(&c->requested);
    assert_int_equal(m.code, first.code);
    assert_int_equal(m.type, first.type);
    assert_int_not_equal(m.mid, mid);
    assert_int_equal(m.token.len, 8);
    assert_memory_not_equal(m.token.ptr, token, 8);
    assert_int_equal(m.payload.len, 0);
    assert_true(nacre_bytes_equal(nacre_option_find(m.options, NACRE_OPT_OSCORE),
                                  nacre_option_find(first.options, NACRE_OPT_OSCORE)));
    assert_int_equal(number_of(nacre_option_find(m.options, NACRE_OPT_BLOCK2)), num << 4 | szx);
    expect_quiet(&c->p.client, now);
}

static void expect_response(cut *c, size_t len)
{
    const nacre_event event = expect_event(&c->p.client, NACRE_EVENT_RESPONSE);
    assert_int_equal(event.exchange.number, c->exchange.number);
    assert_ptr_equal(event.context, c->p.ours);
    assert_int_equal(event.message.code, NACRE_CONTENT);
    assert_int_equal(event.message.options.len, 0); /* all outer-block entries are free */
    assert_int_equal(event.message.payload.len, len);
    assert_memory_equal(event.message.payload.ptr, text, len);
}

static size_t num_pieces(const cut *c, uint8_t szx)
{
    return (datagram_message(&c->whole).payload.len + ((size_t)16 << szx) - 1) >> (szx + 4);
}

static void give_up_to(cut *c, size_t num, uint8_t szx, uint64_t now)
{
    for (size_t i = 0; i < num; i++) {
        give_piece(c, &(piece){ .num = i, .szx = szx }, now);
        expect_requested(c, i + 1, szx, now);
    }
}

/* No block is requested any more: the exchange waits until it times out. */
static void expect_end(cut *c, nacre_err err)
{
    datagram d;
    nacre_event event;
    for (;;) {
        const uint64_t due = nacre_endpoint_deadline(c->p.client.ep);
        assert_true(due < 600000);
        nacre_endpoint_expire(c->p.client.ep, due);
        while (party_take(&c->p.client, &d, due)) {}
        if (party_next_event(&c->p.client, &event)) break;
    }
    assert_int_equal(event.kind, NACRE_EVENT_FAILED);
    assert_string_equal(nacre_err_name(event.err), nacre_err_name(err));
    expect_quiet(&c->p.client, 600000);
    for (uint32_t i = 0; i < c->p.client.ep->core.config.outer_block.num_messages; i++)
        assert_true(c->p.client.ep->outer.entries[i].state == NACRE__OUTER_FREE ||
                    c->p.client.ep->outer.entries[i].state == NACRE__OUTER_TAKEN);
}

/* RFC 8613 4.1.3.4.2, 8.4.1, RFC 7959 2.4 */
static void blocks_are_fetched(void **state)
{
    static const size_t lens[] = { 7, 100, 500 };
    (void)state;
    for (uint8_t type = NACRE_CON; type <= NACRE_NON; type++)
        for (uint8_t szx = 0; szx < 4; szx++)
            for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
                cut c;
                open_cut(&c, type, lens[i], NULL);
                const size_t last = num_pieces(&c, szx) - 1;
                give_up_to(&c, last, szx, 0);
                give_piece(&c, &(piece){ .num = last, .szx = szx }, 0);
                expect_response(&c, lens[i]);
                expect_quiet(&c.p.client, 0);
                pair_close(&c.p);
            }
}

/* Requests for blocks are retransmitted as any request, and their responses may be separate. */
static void each_block_is_an_exchange(void **state)
{
    cut c;
    datagram again, d;
    (void)state;
    open_cut(&c, NACRE_CON, 100, NULL);
    give_up_to(&c, 1, 2, 0);
    nacre_endpoint_expire(c.p.client.ep, 3000);
    assert_true(party_take(&c.p.client, &again, 3000));
    assert_true(datagram_same(&again, &c.requested));
    d = empty_message(NACRE_ACK, datagram_message(&c.requested).mid);
    party_give(&c.p.client, &c.p.server, &d, 3000);
    write_piece(&c, &d, &(piece){ .num = 1, .szx = 2, .type = NACRE_NON });
    d.bytes[0] &= 0xcf; /* CON */
    party_give(&c.p.client, &c.p.server, &d, 3000);
    expect_response(&c, 100);
    assert_true(party_take(&c.p.client, &d, 3000));
    assert_int_equal(datagram_message(&d).type, NACRE_ACK);
    expect_quiet(&c.p.client, 3000);
    pair_close(&c.p);
}

/* RFC 7959 2.3: later blocks may be smaller. */
static void a_response_may_continue_in_smaller_blocks(void **state)
{
    cut c;
    (void)state;
    open_cut(&c, NACRE_CON, 120, NULL);
    give_piece(&c, &(piece){ .num = 0, .szx = 2 }, 0);
    expect_requested(&c, 1, 2, 0);
    give_piece(&c, &(piece){ .num = 4, .szx = 0 }, 0);
    expect_requested(&c, 5, 0, 0);
    for (size_t i = 5; i + 1 < num_pieces(&c, 0); i++) {
        give_piece(&c, &(piece){ .num = i, .szx = 0 }, 0);
        expect_requested(&c, i + 1, 0, 0);
    }
    give_piece(&c, &(piece){ .num = num_pieces(&c, 0) - 1, .szx = 0 }, 0);
    expect_response(&c, 120);
    pair_close(&c.p);
}

/* A block that does not fit is dropped; the correct one is still accepted. */
static void wrong_blocks_are_dropped(void **state)
{
    static const struct {
        const char *name;
        piece wrong;
    } rows[] = {
        { "a block further on", { .num = 2, .szx = 2, .etag = "e" } },
        { "the first again", { .num = 0, .szx = 2, .etag = "e" } },
        { "the first as all there is", { .num = 0, .szx = 2, .etag = "e", .end = true } },
        { "another entity tag", { .num = 1, .szx = 2, .etag = "f" } },
        { "no entity tag", { .num = 1, .szx = 2 } },
        { "too short", { .num = 1, .szx = 2, .etag = "e", .missing = 1 } },
        { "empty", { .num = 1, .szx = 2, .etag = "e", .missing = 64 } },
        { "another OSCORE option", { .num = 1, .szx = 2, .etag = "e", .oscore = "\1\5" } },
        { "another code", { .num = 1, .szx = 2, .etag = "e", .code = NACRE_CONTENT } },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cut c;
        open_cut(&c, NACRE_NON, 150, NULL);
        give_piece(&c, &(piece){ .num = 0, .szx = 2, .etag = "e" }, 0);
        expect_requested(&c, 1, 2, 0);
        give_piece(&c, &rows[i].wrong, 0);
        nacre_event event;
        datagram d;
        if (party_next_event(&c.p.client, &event) || party_take(&c.p.client, &d, 0)) fail_msg("%s", rows[i].name);
        give_piece(&c, &(piece){ .num = 1, .szx = 2, .etag = "e" }, 0);
        expect_requested(&c, 2, 2, 0);
        give_piece(&c, &(piece){ .num = 2, .szx = 2, .etag = "e" }, 0);
        expect_response(&c, 150);
        pair_close(&c.p);
    }
}

/* The same at the start: a block other than the first starts nothing, and a whole response is accepted. */
static void a_wrong_first_block_starts_nothing(void **state)
{
    static const piece rows[] = {
        { .num = 1, .szx = 2 },
        { .num = 2, .szx = 2 },
        { .num = 0, .szx = 2, .missing = 1 },
        { .num = 0, .szx = 6, .more = true },
    };
    cut c;
    (void)state;
    open_cut(&c, NACRE_NON, 150, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        give_piece(&c, &rows[i], 0);
        expect_quiet(&c.p.client, 0);
    }
    give_piece(&c, &(piece){ .num = 0, .szx = 6 }, 0); /* block 0 with M clear */
    expect_response(&c, 150);
    pair_close(&c.p);
}

/* Blocks of the responses to two requests are never joined. */
static void blocks_of_two_exchanges_are_not_joined(void **state)
{
    static const nacre_endpoint_config config = { .outer_block.num_messages = 4, .outer_block.max_unfragmented = MAX };
    cut c;
    datagram two;
    (void)state;
    open_cut(&c, NACRE_CON, 100, &config);
    (void)start(&c.p.client, &c.p.server, c.p.ours, NACRE_CON);
    datagram request;
    (void)sent_request(&c.p, &request, 0);
    party_give(&c.p.server, &c.p.client, &request, 0);
    const nacre_message response = { .code = NACRE_CONTENT, .payload = nacre_bytes_of((const uint8_t *)text, 100) };
    assert_int_equal(
        nacre_endpoint_respond(c.p.server.ep, expect_event(&c.p.server, NACRE_EVENT_REQUEST).exchange, &response),
        NACRE_OK);
    assert_true(party_take(&c.p.server, &two, 0));
    give_up_to(&c, 1, 2, 0);
    c.whole = two;
    give_piece(&c, &(piece){ .num = 1, .szx = 2 }, 0); /* equal in all unprotected fields */
    expect_quiet(&c.p.client, 0);
    pair_close(&c.p);

    open_cut(&c, NACRE_CON, 100, &config); /* without a valid response that is the reason reported */
    give_up_to(&c, 1, 2, 0);
    c.whole.bytes[c.whole.len - 1] ^= 1;
    give_piece(&c, &(piece){ .num = 1, .szx = 2 }, 0);
    expect_end(&c, NACRE_ERR_PROTECTION_INVALID);
    pair_close(&c.p);
}

/* RFC 8613 12.7, MAX_UNFRAGMENTED_SIZE: too large a response is discarded, and reported when the exchange times out. So
 * is an endless sequence of blocks. */
static void too_large_responses_are_discarded(void **state)
{
    enum { AROUND = 1 + 1 + 8 };
    cut c;
    (void)state;
    open_cut(&c, NACRE_CON, MAX - AROUND, NULL);
    const size_t last = num_pieces(&c, 2) - 1;
    give_up_to(&c, last, 2, 0);
    give_piece(&c, &(piece){ .num = last, .szx = 2 }, 0);
    expect_response(&c, MAX - AROUND);
    pair_close(&c.p);

    open_cut(&c, NACRE_CON, MAX - AROUND + 1, NULL);
    give_up_to(&c, last, 2, 0);
    give_piece(&c, &(piece){ .num = last, .szx = 2 }, 0);
    expect_end(&c, NACRE_ERR_TOO_LONG);
    pair_close(&c.p);

    open_cut(&c, NACRE_CON, 1000, NULL);
    for (size_t i = 0; i < MAX / 64; i++) {
        give_piece(&c, &(piece){ .num = i, .szx = 2, .more = true }, 0);
        expect_requested(&c, i + 1, 2, 0);
    }
    give_piece(&c, &(piece){ .num = MAX / 64, .szx = 2, .more = true }, 0);
    expect_end(&c, NACRE_ERR_TOO_LONG);
    pair_close(&c.p);
}

/* A response that arrives too slowly in blocks ends with the exchange's lifetime. */
static void slow_blocks_end_with_the_exchange_lifetime(void **state)
{
    cut c;
    uint64_t now = 0;
    size_t i = 0;
    (void)state;
    open_cut(&c, NACRE_NON, 590 - 10, NULL);
    for (; now < 246000; i++, now += 40000) {
        nacre_endpoint_expire(c.p.client.ep, now);
        give_piece(&c, &(piece){ .num = i, .szx = 0 }, now);
        expect_requested(&c, i + 1, 0, now);
    }
    assert_true(nacre_endpoint_deadline(c.p.client.ep) == 247000);
    nacre_endpoint_expire(c.p.client.ep, 247000);
    expect_failed(&c.p.client, NACRE_ERR_TIMEOUT);
    pair_close(&c.p);
}

/* An unprotected response in between is a hint only (4.08: the rest is lost). It does not end the exchange, whose first
 * block acknowledged the request, before its lifetime ends. */
static void unprotected_error_does_not_end_the_fetching_of_blocks(void **state)
{
    (void)state;
    static const uint8_t codes[] = { NACRE_INCOMPLETE, NACRE_UNAUTHORIZED, NACRE_UNAVAILABLE, NACRE_CONTENT };
    for (size_t i = 0; i < sizeof codes; i++)
        for (int row = 0; row < 4; row++) { /* CON and NON; the block arrives, or does not */
            cut c;
            open_cut(&c, row & 1 ? NACRE_NON : NACRE_CON, 150, NULL);
            give_up_to(&c, 1, 2, 0);
            give_piece(&c, &(piece){ .num = 1, .szx = 2, .bare = true, .code = codes[i] }, 0);
            expect_quiet(&c.p.client, 0);
            if (row & 2) {
                expect_end(&c, codes[i] == NACRE_CONTENT ? NACRE_ERR_NOT_PROTECTED : NACRE_ERR_UNAUTHENTICATED);
            } else {
                give_piece(&c, &(piece){ .num = 1, .szx = 2 }, 1);
                expect_requested(&c, 2, 2, 1);
                give_piece(&c, &(piece){ .num = 2, .szx = 2 }, 1);
                expect_response(&c, 150);
            }
            pair_close(&c.p);
        }
}

/* Many responses in blocks at once: one peer has at most half of the entries; the first blocks of the others find an
 * entry when they are retransmitted. */
static void entries_are_shared(void **state)
{
    enum { NUM = 3 };
    static cut c[NUM];
    pair *p = &c[0].p;
    (void)state;
    open_cut(&c[0], NACRE_CON, 100, NULL);
    for (size_t i = 1; i < NUM; i++) {
        c[i].p = *p; /* evictable */
        c[i].exchange = start(&p->client, &p->server, p->ours, NACRE_CON);
        (void)sent_request(p, &c[i].request, 0);
        c[i].requested = c[i].request;
        party_give(&p->server, &p->client, &c[i].request, 0);
        const nacre_message response = { .code = NACRE_CONTENT, .payload = nacre_bytes_of((const uint8_t *)text, 100) };
        assert_int_equal(
            nacre_endpoint_respond(p->server.ep, expect_event(&p->server, NACRE_EVENT_REQUEST).exchange, &response),
            NACRE_OK);
        assert_true(party_take(&p->server, &c[i].whole, 0));
    }
    datagram d;
    for (size_t i = 0; i < NUM; i++) {
        write_piece(&c[i], &d, &(piece){ .num = 0, .szx = 2 });
        party_give(&p->client, &p->server, &d, 0);
        if (i < 2) assert_true(party_take(&p->client, &c[i].requested, 0));
        else expect_quiet(&p->client, 0);
    }
    write_piece(&c[0], &d, &(piece){ .num = 1, .szx = 2 });
    party_give(&p->client, &p->server, &d, 0);
    assert_int_equal(expect_event(&p->client, NACRE_EVENT_RESPONSE).exchange.number, c[0].exchange.number);
    nacre_endpoint_expire(p->client.ep, 3000); /* it was not acknowledged */
    bool again = false;
    while (party_take(&p->client, &d, 3000)) again |= datagram_same(&d, &c[2].request);
    assert_true(again);
    write_piece(&c[2], &d, &(piece){ .num = 0, .szx = 2 });
    party_give(&p->client, &p->server, &d, 3000);
    assert_true(party_take(&p->client, &c[2].requested, 3000));
    write_piece(&c[2], &d, &(piece){ .num = 1, .szx = 2 });
    party_give(&p->client, &p->server, &d, 3000);
    assert_int_equal(expect_event(&p->client, NACRE_EVENT_RESPONSE).exchange.number, c[2].exchange.number);
    pair_close(p);
}

/* Cancelled half-way: the entry is free, and the late block is ignored. */
static void cancelling_frees_the_entry_and_ignores_late_blocks(void **state)
{
    cut c;
    (void)state;
    open_cut(&c, NACRE_NON, 150,
             &(nacre_endpoint_config){ .outer_block.num_messages = 1, .outer_block.max_unfragmented = MAX });
    give_up_to(&c, 1, 2, 0);
    assert_int_equal(c.p.client.ep->outer.entries[0].state, NACRE__OUTER_FETCHING);
    nacre_endpoint_cancel(c.p.client.ep, c.exchange);
    assert_int_equal(c.p.client.ep->outer.entries[0].state, NACRE__OUTER_FREE);
    give_piece(&c, &(piece){ .num = 1, .szx = 2 }, 0);
    expect_quiet(&c.p.client, 0);
    pair_close(&c.p);
}

/* Outer-block handling leaves a plain request alone: its blocks reach the application. */
static void plain_responses_pass(void **state)
{
    pair p;
    datagram request, d;
    uint8_t memory[16];
    nacre_options o;
    (void)state;
    pair_open(&p, NULL, &(pairing){ 0 });
    (void)start(&p.client, &p.server, NULL, NACRE_CON);
    nacre_message m = sent_request(&p, &request, 0);
    m.type = NACRE_ACK;
    m.code = NACRE_CONTENT;
    nacre_options_init(&o, NACRE_BUF(memory));
    nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, 8);
    assert_int_equal(nacre_options_finish(&o, &m.options), NACRE_OK);
    m.payload = NACRE_STR("0123456789abcdef");
    datagram_write(&d, &m);
    party_give(&p.client, &p.server, &d, 0);
    assert_int_equal(expect_event(&p.client, NACRE_EVENT_RESPONSE).message.payload.len, 16);
    pair_close(&p);
}

/* RFC 8613 B.1.2: the 4.01 with Echo arrives in blocks, too; the request is repeated as after a whole 4.01. */
static void an_echo_challenge_in_blocks_is_followed(void **state)
{
    cut c;
    datagram d;
    (void)state;
    for (size_t i = 0; i + 1 < sizeof text; i++) text[i] = (char)('a' + i % 23);
    pair_open(&c.p, &(nacre_endpoint_config){ .outer_block.num_messages = 2 }, &(pairing){ .server_lost = true });
    c.exchange = start(&c.p.client, &c.p.server, c.p.ours, NACRE_CON);
    (void)sent_request(&c.p, &c.request, 0);
    party_give(&c.p.server, &c.p.client, &c.request, 0);
    assert_true(party_take(&c.p.server, &c.whole, 0));
    c.requested = c.request;
    give_up_to(&c, 1, 0, 0);
    give_piece(&c, &(piece){ .num = 1, .szx = 0 }, 0);
    (void)sent_request(&c.p, &d, 0);
    assert_true(datagram_message(&d).payload.len > 0);
    served(&c.p, &d, &c.whole, "fresh", 0);
    party_give(&c.p.client, &c.p.server, &c.whole, 0);
    assert_payload(expect_event(&c.p.client, NACRE_EVENT_RESPONSE).message, "fresh");
    pair_close(&c.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_fetched),
        cmocka_unit_test(each_block_is_an_exchange),
        cmocka_unit_test(a_response_may_continue_in_smaller_blocks),
        cmocka_unit_test(wrong_blocks_are_dropped),
        cmocka_unit_test(a_wrong_first_block_starts_nothing),
        cmocka_unit_test(blocks_of_two_exchanges_are_not_joined),
        cmocka_unit_test(too_large_responses_are_discarded),
        cmocka_unit_test(slow_blocks_end_with_the_exchange_lifetime),
        cmocka_unit_test(unprotected_error_does_not_end_the_fetching_of_blocks),
        cmocka_unit_test(entries_are_shared),
        cmocka_unit_test(cancelling_frees_the_entry_and_ignores_late_blocks),
        cmocka_unit_test(plain_responses_pass),
        cmocka_unit_test(an_echo_challenge_in_blocks_is_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
