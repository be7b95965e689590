/* SPDX-License-Identifier: MIT */
/* receive_test: messages that are no requests, and the limits of a burst. */
#include "../scenario/world.h"

/* ---- Messages that are no requests ------------------------------------------------------------------------------- */

static void messages_that_are_no_requests_are_rejected(void **state)
{
    (void)state;
    const struct {
        const char *name;
        size_t len;
        uint8_t bytes[12];
        bool rst;
    } rows[] = {
        { "ping", 4, { 0x40, 0x00, 0x12, 0x34 }, true },
        { "empty NON", 4, { 0x50, 0x00, 0x12, 0x34 }, false },
        { "unexpected empty ACK", 4, { 0x60, 0x00, 0x12, 0x34 }, false },
        { "unexpected RST", 4, { 0x70, 0x00, 0x12, 0x34 }, false },
        { "nothing", 0, { 0 }, false },
        { "three bytes", 3, { 0x40, 0x01, 0x12 }, false },
        { "version 0", 4, { 0x00, 0x01, 0x12, 0x34 }, false },
        { "version 2", 4, { 0x80, 0x01, 0x12, 0x34 }, false },
        { "CON, token cut off", 5, { 0x42, 0x01, 0x12, 0x34, 0x00 }, true },
        { "NON, token cut off", 5, { 0x52, 0x01, 0x12, 0x34, 0x00 }, false },
        { "CON, option cut off", 5, { 0x40, 0x01, 0x12, 0x34, 0xb2 }, true },
        { "CON, marker without payload", 5, { 0x40, 0x01, 0x12, 0x34, 0xff }, true },
        { "ACK, marker without payload", 5, { 0x60, 0x01, 0x12, 0x34, 0xff }, false },
        { "CON, empty with a token", 5, { 0x41, 0x00, 0x12, 0x34, 0x00 }, true },
        { "CON, class 1", 4, { 0x40, 0x20, 0x12, 0x34 }, true },
        { "CON, class 3", 4, { 0x40, 0x60, 0x12, 0x34 }, true },
        { "CON, class 6", 4, { 0x40, 0xc0, 0x12, 0x34 }, true },
        { "CON, signaling", 4, { 0x40, 0xe1, 0x12, 0x34 }, true },
        { "NON, signaling", 4, { 0x50, 0xe1, 0x12, 0x34 }, false },
        { "CON, unexpected response", 4, { 0x40, 0x45, 0x12, 0x34 }, true },
        { "NON, unexpected response", 4, { 0x50, 0x45, 0x12, 0x34 }, false },
        { "ACK with a request", 4, { 0x60, 0x01, 0x12, 0x34 }, false },
        { "RST with a request", 4, { 0x70, 0x01, 0x12, 0x34 }, false },
    };
    party p;
    party_open(&p, "p", 1, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        datagram d = { .len = rows[i].len }, out;
        memcpy(d.bytes, rows[i].bytes, sizeof rows[i].bytes);
        party_give(&p, &p, &d, 0);
        const bool responded = party_take(&p, &out, 0);
        if (responded != rows[i].rst) fail_msg("%s", rows[i].name);
        if (responded) {
            assert_int_equal(out.len, 4);
            assert_int_equal(datagram_message(&out).type, NACRE_RST);
            assert_int_equal(datagram_message(&out).mid, 0x1234);
        }
        expect_quiet(&p, 0);
    }
    party_close(&p);
}

/* ---- Options ----------------------------------------------------------------------------------------------------- */

/* A plain GET with `num` options: empty ETags, which are invalid and elective. */
static datagram with_options(uint8_t type, size_t num)
{
    datagram d = { .len = 4 + num };
    memcpy(d.bytes, (const uint8_t[]){ (uint8_t)(0x40 | type << 4), NACRE_GET, 0x12, 0x34 }, 4);
    for (size_t i = 0; i < num; i++) d.bytes[4 + i] = i == 0 ? 0x40 : 0x00;
    return d;
}

static void a_request_with_more_options_than_the_limit_is_rejected(void **state)
{
    (void)state;
    enum { MOST = NACRE_MAX_REQUEST_OPTIONS };
    for (uint8_t type = NACRE_CON; type <= NACRE_NON; type++) {
        party p;
        datagram out;
        party_open(&p, "p", 1, NULL);
        const datagram more = with_options(type, MOST + 1), most = with_options(type, MOST);
        party_give(&p, &p, &more, 0);
        assert_int_equal(nacre_endpoint_get_stats(p.ep).malformed, 1);
        assert_int_equal(party_take(&p, &out, 0), type == NACRE_CON);
        if (type == NACRE_CON) assert_int_equal(datagram_message(&out).type, NACRE_RST);
        expect_quiet(&p, 0);
        party_give(&p, &p, &most, 0);
        respond_text(&p, expect_event(&p, NACRE_EVENT_REQUEST).exchange, "fine");
        assert_true(party_take(&p, &out, 0));
        expect_quiet(&p, 0);
        party_close(&p);
    }
}

/* What has verified may have more; so may a request over a connection, and a response. */
static void options_of_verified_requests_and_of_connections_are_not_limited(void **state)
{
    (void)state;
    enum { MORE = NACRE_MAX_REQUEST_OPTIONS + 1 };
    pair p;
    datagram d, out;
    uint8_t memory[2 * MORE];
    nacre_options o;
    nacre_message m = { .type = NACRE_CON, .code = NACRE_GET };
    pair_open(&p, NULL, &(pairing){ 0 });
    nacre_options_init(&o, NACRE_BUF(memory));
    for (size_t i = 0; i < MORE; i++) nacre_options_add(&o, NACRE_OPT_URI_PATH, NACRE_STR("a"));
    assert_int_equal(nacre_options_finish(&o, &m.options), NACRE_OK);
    nacre_exchange exchange;
    assert_int_equal(nacre_endpoint_request(p.client.ep, &exchange, &p.server.address, p.ours, &m, NULL), NACRE_OK);
    assert_true(party_take(&p.client, &d, 0));
    party_give(&p.server, &p.client, &d, 0);
    const nacre_event event = expect_event(&p.server, NACRE_EVENT_REQUEST);
    assert_non_null(event.context);
    const nacre_message response = { .code = NACRE_CONTENT, .options = m.options };
    assert_int_equal(nacre_endpoint_respond(p.server.ep, event.exchange, &response), NACRE_OK);
    assert_true(party_take(&p.server, &out, 0));
    party_give(&p.client, &p.server, &out, 0);
    (void)expect_event(&p.client, NACRE_EVENT_RESPONSE);
    p.client.address.flags |= NACRE_ADDRESS_RELIABLE;
    const datagram many = with_options(NACRE_CON, MORE);
    party_give(&p.server, &p.client, &many, 0);
    assert_null(expect_event(&p.server, NACRE_EVENT_REQUEST).context);
    pair_close(&p);
}

/* A datagram longer than max_message is not delivered; one byte less is. */
static void a_datagram_above_max_message_is_dropped(void **state)
{
    (void)state;
    party p;
    party_open(&p, "p", 1, &(nacre_endpoint_config){ .max_message = 64 });
    for (size_t len = 64; len <= 65; len++) {
        uint8_t payload[60];
        memset(payload, 'x', sizeof payload);
        datagram d;
        datagram_write(
            &d, &(nacre_message){ .type = NACRE_NON, .code = NACRE_PUT, .payload = nacre_bytes_of(payload, len - 5) });
        assert_int_equal(d.len, len);
        party_give(&p, &p, &d, 0);
        nacre_event event;
        assert_int_equal(nacre_endpoint_next_event(p.ep, &event), len == 64);
    }
    assert_int_equal(nacre_endpoint_get_stats(p.ep).oversized, 1);
    party_close(&p);
}

static void burst_is_bounded(void **state)
{
    (void)state;
    party p;
    party_open(&p, "p", 1, &(nacre_endpoint_config){ .burst = 3 });
    static const uint8_t ping[] = { 0x40, 0, 0, 1 };
    nacre_datagram burst[5] = { { .full_len = 0 } };
    for (int i = 0; i < 5; i++) burst[i] = (nacre_datagram){ .peer = p.address, .bytes = NACRE_ARRAY(ping) };
    assert_int_equal(nacre_endpoint_receive_many(p.ep, burst, 5, 0), 3);
    assert_int_equal(nacre_endpoint_receive_many(p.ep, burst, 0, 0), 0);
    assert_int_equal(nacre_endpoint_receive_many(p.ep, burst + 3, 2, 0), 2);
    datagram d;
    for (int i = 0; i < 5; i++) assert_true(party_take(&p, &d, 0));
    assert_false(party_take(&p, &d, 0));
    for (int i = 0; i < 4; i++) (void)nacre_endpoint_receive_many(p.ep, burst, 3, 0); /* transmit is not called */
    assert_true(nacre_endpoint_get_stats(p.ep).dropped > 0);
    party_close(&p);
}

/* transmit_many writes only into buffers that are large enough. */
static void transmit_skips_small_buffers(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    uint8_t buf[1280];
    nacre_outgoing out = { .buf = { buf, 1279 } };
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    assert_int_equal(nacre_endpoint_transmit_many(p.client.ep, &out, 1, 0), 0);
    assert_int_equal(nacre_context_next_seq(p.ours), 0);
    out.buf.cap = 1280;
    assert_int_equal(nacre_endpoint_transmit_many(p.client.ep, &out, 1, 0), 1);
    assert_int_equal(nacre_context_next_seq(p.ours), 1);
    pair_close(&p);
}

/* RFC 8613 8.2 step 2: more requests than are looked up at once, each with several candidate contexts, and one with an
 * unknown kid. Each gets its own response. */
static void requests_with_one_kid_get_one_response_each(void **state)
{
    (void)state;
    enum { CONTEXTS = 8, REQUESTS = NACRE_BURST + 9 };
    static datagram d[REQUESTS];
    static nacre_datagram burst[REQUESTS];
    const nacre_endpoint_config config = { .num_client_exchanges = REQUESTS, .burst = REQUESTS };
    nacre_context *ours[CONTEXTS], *theirs[CONTEXTS];
    party client, server;
    party_open(&client, "client", 1, &config);
    party_open(&server, "server", 2, &config);
    for (uint8_t i = 0; i < CONTEXTS; i++) {
        const pairing how = { .secret = i };
        ours[i] = party_context(&client, &how, false);
        theirs[i] = party_context(&server, &how, true);
    }
    nacre_context *stranger = party_context(&client, &(pairing){ .client_id = "x", .secret = 99 }, false);
    for (size_t i = 0; i < REQUESTS; i++) {
        (void)start(&client, &server, i == 5 ? stranger : ours[i % CONTEXTS], NACRE_CON);
        assert_true(party_take(&client, &d[i], 0));
        burst[i] = (nacre_datagram){ .peer = client.address, .bytes = { d[i].bytes, d[i].len } };
    }
    assert_int_equal(party_receive(&server, burst, REQUESTS, 0), REQUESTS);
    for (size_t i = 0; i < REQUESTS; i++)
        if (i != 5) assert_ptr_equal(expect_event(&server, NACRE_EVENT_REQUEST).context, theirs[i % CONTEXTS]);
    const nacre_endpoint_stats stats = nacre_endpoint_get_stats(server.ep);
    assert_int_equal(stats.requests, REQUESTS - 1);
    assert_int_equal(stats.no_context, 1);
    party_close(&client);
    party_close(&server);
}

/* ---- No state between the items of a burst ----------------------------------------------------------------------- */

typedef enum kind_of_datagram {
    PROTECTED,
    PLAIN,
    UNKNOWN_KID,
    NO_PARTIAL_IV,
    MALFORMED,
    PING,
    RESPONSE,
    KINDS
} kind_of_datagram;

static datagram one_of(pair *p, kind_of_datagram kind, uint16_t mid)
{
    static const uint8_t unknown_kid[] = { 0x93, 0x09, 0x01, 0x77, 0xff, 1 }, no_partial_iv[] = { 0x91, 0x08, 0xff, 1 };
    datagram d = { .len = 4, .bytes = { 0x40, NACRE_POST, (uint8_t)(mid >> 8), (uint8_t)mid } };
    const uint8_t *rest = kind == UNKNOWN_KID ? unknown_kid : no_partial_iv;
    const size_t len = kind == UNKNOWN_KID ? sizeof unknown_kid : sizeof no_partial_iv;
    if (kind == PROTECTED) {
        const nacre_exchange exchange = start(&p->client, &p->server, p->ours, NACRE_NON);
        (void)sent_request(p, &d, 0);
        nacre_endpoint_cancel(p->client.ep, exchange);
    } else if (kind == UNKNOWN_KID || kind == NO_PARTIAL_IV) {
        memcpy(d.bytes + 4, rest, len);
        d.len += len;
    } else if (kind == MALFORMED) {
        d.bytes[d.len++] = 0xff;
    } else if (kind != PLAIN) {
        d.bytes[1] = kind == PING ? NACRE_EMPTY : NACRE_CONTENT;
    }
    return d;
}

/* The outcome: code and type of the response to a refused datagram, or whether its request is protected. */
static int outcome(pair *p, kind_of_datagram kind)
{
    static uint16_t mid;
    datagram d = one_of(p, kind, mid++), out;
    nacre_event event;
    int result = 0;
    party_give(&p->server, &p->client, &d, 0);
    if (nacre_endpoint_next_event(p->server.ep, &event)) {
        assert_int_equal(event.kind, NACRE_EVENT_REQUEST);
        result = event.context == p->theirs ? 1 : event.context == NULL ? 2 : 3;
        nacre_endpoint_ignore(p->server.ep, event.exchange);
    }
    while (party_take(&p->server, &out, 0))
        result = result * 65536 + datagram_message(&out).type * 256 + datagram_message(&out).code;
    return result;
}

/* After any other kind, each kind of datagram has the outcome that it has alone. */
static void datagrams_do_not_affect_the_next(void **state)
{
    (void)state;
    pair p;
    int alone[KINDS];
    for (kind_of_datagram kind = 0; kind < KINDS; kind++) {
        pair_open(&p, NULL, &(pairing){ 0 });
        alone[kind] = outcome(&p, kind);
        pair_close(&p);
    }
    assert_int_equal(alone[PROTECTED], 1);
    assert_int_equal(alone[PLAIN] / 65536, 2);
    assert_int_equal(alone[UNKNOWN_KID] % 256, NACRE_UNAUTHORIZED);
    assert_int_equal(alone[NO_PARTIAL_IV] % 256, NACRE_BAD_OPTION);
    pair_open(&p, NULL, &(pairing){ 0 });
    for (kind_of_datagram first = 0; first < KINDS; first++)
        for (kind_of_datagram second = 0; second < KINDS; second++) {
            assert_int_equal(outcome(&p, first), alone[first]);
            assert_int_equal(outcome(&p, second), alone[second]);
        }
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_that_are_no_requests_are_rejected),
        cmocka_unit_test(a_request_with_more_options_than_the_limit_is_rejected),
        cmocka_unit_test(options_of_verified_requests_and_of_connections_are_not_limited),
        cmocka_unit_test(a_datagram_above_max_message_is_dropped),
        cmocka_unit_test(burst_is_bounded),
        cmocka_unit_test(transmit_skips_small_buffers),
        cmocka_unit_test(requests_with_one_kid_get_one_response_each),
        cmocka_unit_test(datagrams_do_not_affect_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
