/* SPDX-License-Identifier: MIT */
/* nstart_test: how many requests are in flight to one peer (RFC 7252 4.7), and the order of those that wait. */
#include "../scenario/world.h"

enum { MANY = 6 };

typedef struct bench {
    pair p;
    nacre_exchange exchanges[MANY];
    datagram sent[MANY];
} bench;

static void open_bench(bench *b, uint16_t nstart)
{
    memset(b, 0, sizeof *b);
    pair_open(&b->p, &(nacre_endpoint_config){ .congestion.nstart = nstart }, &(pairing){ 0 });
}

/* Request number i, which its payload names. */
static void send_request(bench *b, unsigned i, const party *peer, nacre_context *ctx, uint8_t type)
{
    const uint8_t number = (uint8_t)('0' + i);
    const nacre_message put = { .type = type, .code = NACRE_PUT, .payload = nacre_bytes_of(&number, 1) };
    assert_int_equal(nacre_endpoint_request(b->p.client.ep, &b->exchanges[i], &peer->address, ctx, &put, NULL),
                     NACRE_OK);
}

/* The numbers of the requests that are sent now, in order. */
static void expect_sent(bench *b, const char *numbers, uint64_t now)
{
    char got[16] = { 0 };
    datagram d;
    for (size_t n = 0; party_take(&b->p.client, &d, now); n++) {
        const nacre_message m = datagram_message(&d);
        assert_true(n < sizeof got - 1);
        got[n] = m.code == NACRE_EMPTY ? 'p' : (char)m.payload.ptr[0];
        if (m.code != NACRE_EMPTY) b->sent[got[n] - '0'] = d;
    }
    assert_string_equal(got, numbers);
}

static void respond(bench *b, unsigned i, uint8_t type, uint64_t now)
{
    const nacre_message request = datagram_message(&b->sent[i]);
    datagram d;
    datagram_write(&d,
                   &(nacre_message){ .type = type, .code = NACRE_CHANGED, .mid = request.mid, .token = request.token });
    party_give(&b->p.client, &b->p.server, &d, now);
    assert_int_equal(expect_event(&b->p.client, NACRE_EVENT_RESPONSE).exchange.number, b->exchanges[i].number);
}

/* One at a time is the default; the next is sent as each gets its response, is acknowledged, given up or cancelled. */
static void one_request_is_in_flight_at_a_time(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, 1);
    for (unsigned i = 0; i < MANY; i++) send_request(&b, i, &b.p.server, NULL, NACRE_CON);
    expect_sent(&b, "0", 0);
    expect_sent(&b, "", 0);
    respond(&b, 0, NACRE_ACK, 100);
    expect_sent(&b, "1", 100);
    datagram ack = empty_message(NACRE_ACK, datagram_message(&b.sent[1]).mid);
    party_give(&b.p.client, &b.p.server, &ack, 200); /* acknowledged: its response may take time */
    expect_sent(&b, "2", 200);
    respond(&b, 1, NACRE_NON, 300);
    expect_sent(&b, "", 300);
    nacre_endpoint_cancel(b.p.client.ep, b.exchanges[2]);
    expect_sent(&b, "3", 300);
    nacre_endpoint_cancel(b.p.client.ep, b.exchanges[4]); /* while it waits */
    datagram rst = empty_message(NACRE_RST, datagram_message(&b.sent[3]).mid);
    party_give(&b.p.client, &b.p.server, &rst, 400);
    expect_failed(&b.p.client, NACRE_ERR_RESET);
    expect_sent(&b, "5", 400);
    respond(&b, 5, NACRE_ACK, 500);
    expect_quiet(&b.p.client, 500);
    assert_true(nacre_endpoint_deadline(b.p.client.ep) == UINT64_MAX);
    pair_close(&b.p);
}

/* A request that is given up after its last retransmission lets the next one be sent. */
static void a_timeout_lets_the_next_request_be_sent(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, 1);
    send_request(&b, 0, &b.p.server, NULL, NACRE_CON);
    send_request(&b, 1, &b.p.server, NULL, NACRE_CON);
    uint64_t now = 0;
    expect_sent(&b, "0", now);
    for (int i = 0; i < 4; i++) {
        nacre_endpoint_expire(b.p.client.ep, now = nacre_endpoint_deadline(b.p.client.ep));
        expect_sent(&b, "0", now);
    }
    nacre_endpoint_expire(b.p.client.ep, now = nacre_endpoint_deadline(b.p.client.ep));
    expect_sent(&b, "1", now);
    expect_failed(&b.p.client, NACRE_ERR_TIMEOUT);
    pair_close(&b.p);
}

/* The limit holds for each peer separately and is configurable; the default is one. */
static void nstart_limits_each_peer(void **state)
{
    (void)state;
    bench b;
    party other;
    party_open(&other, "other", 9, NULL);
    const struct {
        uint16_t nstart;
        const char *first;
    } rows[] = { { 1, "03" }, { 2, "013" }, { 3, "0123" }, { UINT16_MAX, "01234" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        open_bench(&b, rows[i].nstart);
        for (unsigned k = 0; k < 5; k++) send_request(&b, k, k == 3 ? &other : &b.p.server, NULL, NACRE_CON);
        expect_sent(&b, rows[i].first, 0);
        pair_close(&b.p);
    }

    nacre_endpoint *ep;
    party_open(&b.p.client, "client", 1, NULL);
    const nacre_endpoint_config config = { .crypto = b.p.client.crypto, .random = { chance_fill, &b.p.client.chance } };
    const size_t size = nacre_endpoint_size(&config);
    void *memory = malloc(size);
    assert_int_equal(nacre_endpoint_init(&ep, memory, size, &config), NACRE_OK);
    nacre_endpoint *const original = b.p.client.ep;
    b.p.client.ep = ep;
    send_request(&b, 0, &other, NULL, NACRE_CON);
    send_request(&b, 1, &other, NULL, NACRE_CON);
    expect_sent(&b, "0", 0);
    b.p.client.ep = original;
    free(memory);
    party_close(&b.p.client);
    party_close(&other);
}

/* A NON counts until its response, but not for ever, because the loss of one is not reported. */
static void non_counts_until_its_response_or_expiry(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, 1);
    for (unsigned i = 0; i < 5; i++) send_request(&b, i, &b.p.server, NULL, i == 2 ? NACRE_CON : NACRE_NON);
    expect_sent(&b, "0", 0);
    respond(&b, 0, NACRE_NON, 10);
    expect_sent(&b, "1", 10);
    assert_true(nacre_endpoint_deadline(b.p.client.ep) == 2010); /* ACK_TIMEOUT after it */
    nacre_endpoint_expire(b.p.client.ep, 2009);
    expect_sent(&b, "", 2009);
    nacre_endpoint_expire(b.p.client.ep, 2010);
    expect_sent(&b, "2", 2010);
    respond(&b, 1, NACRE_NON, 2020); /* its response may still arrive, but no other request is sent by it */
    expect_sent(&b, "", 2020);
    respond(&b, 2, NACRE_ACK, 2030);
    expect_sent(&b, "3", 2030);
    nacre_endpoint_expire(b.p.client.ep, 4030);
    expect_sent(&b, "4", 4030);
    assert_true(nacre_endpoint_deadline(b.p.client.ep) == 2030 + 93000); /* no request waits for NSTART any more */
    pair_close(&b.p);
}

/* A request that waits for its store is overtaken by others, and is first when the store confirms. */
static void a_request_that_waits_for_its_store_is_overtaken(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, 1);
    const pairing how = { .client_id = "x", .secret = 1, .client_persistent = true };
    nacre_context *slow = party_context(&b.p.client, &how, false);
    send_request(&b, 0, &b.p.server, slow, NACRE_CON);
    for (unsigned i = 1; i < 4; i++) send_request(&b, i, &b.p.server, NULL, NACRE_CON);
    expect_sent(&b, "1", 0);
    assert_ptr_equal(expect_event(&b.p.client, NACRE_EVENT_PERSIST).context, slow);
    serve_store(slow);
    nacre_endpoint_confirmed(b.p.client.ep, slow, NACRE_OK);
    expect_sent(&b, "", 1);
    respond(&b, 1, NACRE_ACK, 2);
    datagram d;
    assert_true(party_take(&b.p.client, &d, 2));
    assert_int_equal(datagram_message(&d).code, NACRE_POST); /* 0, protected */
    nacre_endpoint_cancel(b.p.client.ep, b.exchanges[0]);
    expect_sent(&b, "2", 3);
    nacre_endpoint_remove_context(b.p.client.ep, slow);
    pair_close(&b.p);
}

/* The repetition with Echo keeps its NSTART share; an observation that waits for notifications has none. A ping
 * counts. */
static void echo_repetitions_and_pings_count_and_observations_do_not(void **state)
{
    (void)state;
    static const uint8_t echo[] = { 0xd1, 0xef, 'e' }, observe[] = { 0x60 };
    bench b;
    datagram d;
    nacre_exchange exchange;
    open_bench(&b, 1);
    send_request(&b, 0, &b.p.server, NULL, NACRE_CON);
    const nacre_message get = { .type = NACRE_CON, .code = NACRE_GET, .options = NACRE_ARRAY(observe) };
    assert_int_equal(nacre_endpoint_request(b.p.client.ep, &exchange, &b.p.server.address, NULL, &get, NULL), NACRE_OK);
    assert_int_equal(nacre_endpoint_ping(b.p.client.ep, &b.exchanges[1], &b.p.server.address, NULL), NACRE_OK);
    send_request(&b, 2, &b.p.server, NULL, NACRE_CON);
    expect_sent(&b, "0", 0);
    nacre_message m = datagram_message(&b.sent[0]);
    datagram_write(&d, &(nacre_message){ NACRE_ACK, NACRE_UNAUTHORIZED, m.mid, m.token, NACRE_ARRAY(echo), { 0 } });
    party_give(&b.p.client, &b.p.server, &d, 0);
    expect_sent(&b, "0", 0);
    assert_false(nacre_is_absent(nacre_option_find(datagram_message(&b.sent[0]).options, NACRE_OPT_ECHO)));
    respond(&b, 0, NACRE_ACK, 0);
    assert_true(party_take(&b.p.client, &d, 0));
    m = datagram_message(&d);
    assert_int_equal(m.code, NACRE_GET);
    datagram notification;
    datagram_write(&notification,
                   &(nacre_message){ NACRE_ACK, NACRE_CONTENT, m.mid, m.token, NACRE_ARRAY(observe), { 0 } });
    party_give(&b.p.client, &b.p.server, &notification, 0);
    (void)expect_event(&b.p.client, NACRE_EVENT_NOTIFICATION);
    expect_sent(&b, "p", 0);
    nacre_endpoint_cancel(b.p.client.ep, b.exchanges[1]);
    expect_sent(&b, "2", 0);
    pair_close(&b.p);
}

/* The user's time limit of a request runs while the request is queued. */
static void timeout_elapses_while_a_request_is_queued(void **state)
{
    (void)state;
    bench b;
    open_bench(&b, 1);
    for (unsigned i = 0; i < 2; i++) {
        const nacre_message get = get_request(NACRE_CON);
        assert_int_equal(nacre_endpoint_request_with(b.p.client.ep, &b.exchanges[i], &b.p.server.address, b.p.ours,
                                                     &get, &(nacre_request_options){ .timeout_ms = 1000 + 500 * i },
                                                     NULL),
                         NACRE_OK);
    }
    datagram d;
    assert_true(nacre_endpoint_deadline(b.p.client.ep) == UINT64_MAX);
    assert_true(party_take(&b.p.client, &d, 70));
    expect_quiet(&b.p.client, 70);
    assert_true(nacre_endpoint_deadline(b.p.client.ep) == 1070);
    nacre_endpoint_expire(b.p.client.ep, 1069);
    expect_quiet(&b.p.client, 1069);
    nacre_endpoint_expire(b.p.client.ep, 1070);
    expect_failed(&b.p.client, NACRE_ERR_TIMEOUT);
    assert_true(party_take(&b.p.client, &d, 1070));
    assert_true(nacre_endpoint_deadline(b.p.client.ep) == 1570);
    nacre_endpoint_expire(b.p.client.ep, 1570);
    expect_failed(&b.p.client, NACRE_ERR_TIMEOUT);
    expect_quiet(&b.p.client, 1570);
    assert_true(nacre_endpoint_deadline(b.p.client.ep) == UINT64_MAX);
    pair_close(&b.p);
}

/* Random sequences: each peer's requests are sent in order, and no more than NSTART CONs are in flight. */
static void random_sequences_keep_order_and_limit(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        const uint16_t nstart = (uint16_t)(1 + seed % 3);
        chance c = { seed };
        pair p;
        pair_open(&p, &(nacre_endpoint_config){ .congestion.nstart = nstart, .num_client_exchanges = 12 },
                  &(pairing){ 0 });
        enum { STEPS = 600 };
        struct {
            nacre_exchange exchange;
            uint16_t mid;
            uint8_t token[8];
            bool sent, ended;
        } *r = calloc(STEPS, sizeof *r);
        unsigned sent = 0, out = 0, next = 0, served = 0;
        for (int step = 0; step < STEPS; step++) {
            datagram d;
            const uint32_t number = sent;
            const nacre_message put = { .code = NACRE_PUT,
                                        .payload = nacre_bytes_of((const uint8_t *)&number, sizeof number) };
            if (percent(&c, 70) &&
                nacre_endpoint_request(p.client.ep, &r[sent].exchange, &p.server.address, NULL, &put, NULL) == NACRE_OK)
                sent++;
            while (party_take(&p.client, &d, 0)) {
                uint32_t which;
                const nacre_message m = datagram_message(&d);
                memcpy(&which, m.payload.ptr, sizeof which);
                while (next < which && r[next].ended) next++; /* cancelled while it was queued */
                assert_int_equal(which, next);
                next++;
                r[which].sent = true;
                r[which].mid = m.mid;
                memcpy(r[which].token, m.token.ptr, 8);
                assert_true(++out <= nstart);
            }
            const unsigned which = sent == 0 ? 0 : (unsigned)(draw(&c) % sent);
            if (sent == 0 || r[which].ended) continue;
            if (r[which].sent && percent(&c, 60)) {
                datagram_write(&d, &(nacre_message){ .type = NACRE_ACK,
                                                     .code = NACRE_CHANGED,
                                                     .mid = r[which].mid,
                                                     .token = NACRE_ARRAY(r[which].token) });
                party_give(&p.client, &p.server, &d, 0);
                (void)expect_event(&p.client, NACRE_EVENT_RESPONSE);
            } else if (percent(&c, 30)) {
                nacre_endpoint_cancel(p.client.ep, r[which].exchange);
            } else {
                continue;
            }
            r[which].ended = true;
            out -= r[which].sent;
            served++;
        }
        assert_true(served > 30);
        free(r);
        pair_close(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_request_is_in_flight_at_a_time),
        cmocka_unit_test(a_timeout_lets_the_next_request_be_sent),
        cmocka_unit_test(nstart_limits_each_peer),
        cmocka_unit_test(non_counts_until_its_response_or_expiry),
        cmocka_unit_test(a_request_that_waits_for_its_store_is_overtaken),
        cmocka_unit_test(echo_repetitions_and_pings_count_and_observations_do_not),
        cmocka_unit_test(timeout_elapses_while_a_request_is_queued),
        cmocka_unit_test(random_sequences_keep_order_and_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
