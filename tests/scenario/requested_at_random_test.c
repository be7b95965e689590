/* SPDX-License-Identifier: MIT */
/* The requesting side under an application, a store, a peer and a network that act at random, with pools of a few
 * entries and forged ACK, RST and oversized datagrams. No freed or foreign memory is touched (AddressSanitizer checks),
 * each exchange has one end and no later event, no number protects two requests, and at the end no entry, wait or timer
 * remains. */
#include "world.h"

#include "endpoint/endpoint_struct.h"

enum { REQUESTS = 5, OPEN = 64, KEPT = 16, CONTEXTS = 2, STEPS = 2000 };

static struct {
    pair pair;
    nacre_context *ours[CONTEXTS + 1]; /* the last one: none */
    bool removed[CONTEXTS];
    datagram sent[KEPT], back[KEPT]; /* some datagrams that the client and the server sent */
    size_t num_sent, num_back;
    nacre_exchange open[OPEN]; /* the client's */
    size_t num_open;
    nacre_exchange requests[OPEN];
    nacre_observer observers[OPEN]; /* the server's */
    size_t num_requests, num_observers;
    nonce_log log;
    chance chance;
    uint64_t now;
} w;

static size_t pick(size_t num)
{
    return (size_t)(draw(&w.chance) % num);
}

/* Mostly the latest one. */
static size_t pick_late(size_t num)
{
    return pick(4) ? num - 1 : pick(num);
}

static bool take_out(nacre_exchange *list, size_t *num, nacre_exchange exchange)
{
    for (size_t i = 0; i < *num; i++) {
        if (!nacre_exchange_equal(list[i], exchange)) continue;
        list[i] = list[--*num];
        return true;
    }
    return false;
}

static bool is_open(nacre_exchange exchange)
{
    for (size_t i = 0; i < w.num_open; i++)
        if (nacre_exchange_equal(w.open[i], exchange)) return true;
    return false;
}

static void client_events(bool store_works)
{
    for (nacre_event event; nacre_endpoint_next_event(w.pair.client.ep, &event);) {
        switch (event.kind) {
        case NACRE_EVENT_PERSIST:
            if (!store_works && percent(&w.chance, 30)) continue; /* the store confirms later */
            if (store_works || percent(&w.chance, 70)) serve_store(event.context);
            nacre_endpoint_confirmed(w.pair.client.ep, event.context,
                                     store_works || percent(&w.chance, 90) ? NACRE_OK : NACRE_ERR_FILE);
            break;
        case NACRE_EVENT_RESPONSE:
        case NACRE_EVENT_PONG:
        case NACRE_EVENT_FAILED: assert_true(take_out(w.open, &w.num_open, event.exchange)); break;
        case NACRE_EVENT_NOTIFICATION:
        case NACRE_EVENT_OVERSIZED: assert_true(is_open(event.exchange)); break;
        default: fail_msg("no event of a client"); break;
        }
    }
}

static void request(void)
{
    static const uint8_t body[40];
    const size_t index = pick(CONTEXTS + 1);
    uint8_t buf[64];
    nacre_options options;
    nacre_exchange exchange;
    nacre_message plain = { .type = pick(3) ? NACRE_CON : NACRE_NON, .code = pick(4) ? NACRE_GET : NACRE_POST };
    const nacre_request_options how = { .timeout_ms = pick(5) == 0 ? 1 + (uint32_t)pick(5000) : 0 };
    if (index < CONTEXTS && w.removed[index]) return;
    nacre_options_init(&options, NACRE_BUF(buf));
    if (plain.code == NACRE_GET && pick(2)) nacre_options_add_uint(&options, NACRE_OPT_OBSERVE, 0);
    assert_int_equal(nacre_options_finish(&options, &plain.options), NACRE_OK);
    if (plain.code == NACRE_POST) plain.payload = nacre_bytes_of(body, pick(sizeof body));
    const nacre_err err = pick(10) == 0
                              ? nacre_endpoint_ping(w.pair.client.ep, &exchange, &w.pair.server.address, NULL)
                              : nacre_endpoint_request_with(w.pair.client.ep, &exchange, &w.pair.server.address,
                                                            w.ours[index], &plain, &how, NULL);
    if (err != NACRE_OK) return;
    assert_true(w.num_open < OPEN);
    w.open[w.num_open++] = exchange;
}

static void stop_something(void)
{
    if (w.num_open == 0) return;
    const size_t what = pick(3);
    const nacre_exchange exchange = w.open[pick(w.num_open)];
    if (what == 0) {
        nacre_endpoint_cancel(w.pair.client.ep, exchange);
        (void)take_out(w.open, &w.num_open, exchange);
    } else if (what == 1) {
        nacre_endpoint_give_up(w.pair.client.ep, exchange);
    } else {
        const nacre_err err = nacre_endpoint_unobserve(w.pair.client.ep, exchange);
        (void)err; /* of any kind */
    }
}

static void keep_datagram(datagram *list, size_t *num, const datagram *d)
{
    if (*num == KEPT) memmove(list, list + 1, --*num * sizeof *list);
    list[(*num)++] = *d;
}

static void log_request(const datagram *d)
{
    nacre_message m;
    nacre_oscore_option option;
    if (nacre_message_parse(&m, nacre_bytes_of(d->bytes, d->len)) != NACRE_OK ||
        nacre_verify_start(&option, &m) != NACRE_OK || nacre_is_absent(option.partial_iv))
        return;
    log_nonce(&w.log, option.kid.ptr[0], option.kid.ptr[0], number_of(option.partial_iv),
              plain_hash(nacre_bytes_of(d->bytes, d->len)));
}

static void client_sends(size_t most)
{
    for (size_t i = 0; i < most; i++) {
        datagram d;
        if (!party_take(&w.pair.client, &d, w.now)) return;
        log_request(&d);
        keep_datagram(w.sent, &w.num_sent, &d);
    }
}

static void keep(nacre_exchange *list, size_t *num, nacre_exchange exchange)
{
    if (*num == OPEN) memmove(list, list + 1, --*num * sizeof *list);
    list[(*num)++] = exchange;
}

static void keep_observer(nacre_observer observer)
{
    if (w.num_observers == OPEN) memmove(w.observers, w.observers + 1, --w.num_observers * sizeof *w.observers);
    w.observers[w.num_observers++] = observer;
}

static void forget_observer(nacre_observer observer)
{
    for (size_t i = 0; i < w.num_observers; i++)
        if (nacre_observer_equal(w.observers[i], observer)) w.observers[i] = w.observers[--w.num_observers];
}

static void server_events(void)
{
    for (nacre_event event; nacre_endpoint_next_event(w.pair.server.ep, &event);) {
        nacre_observer observer;
        if (event.kind == NACRE_EVENT_OBSERVER_REMOVED) forget_observer(event.observer);
        if (event.kind != NACRE_EVENT_REQUEST && event.kind != NACRE_EVENT_NOTIFY) continue;
        keep(w.requests, &w.num_requests, event.exchange);
        if (event.kind == NACRE_EVENT_REQUEST && percent(&w.chance, 70) &&
            nacre_endpoint_observe(w.pair.server.ep, &observer, event.exchange, NULL) == NACRE_OK)
            keep_observer(observer);
    }
}

static void server_responds(void)
{
    static const uint8_t body[1100];
    static const uint8_t codes[] = { NACRE_CONTENT, NACRE_CONTENT, NACRE_CHANGED, NACRE_NOT_FOUND, NACRE_UNAUTHORIZED };
    uint8_t buf[64];
    nacre_options options;
    if (w.num_requests == 0) return;
    const nacre_exchange exchange = w.requests[pick_late(w.num_requests)];
    nacre_message response = { .code = codes[pick(5)] };
    if (pick(4) == 0 && nacre_endpoint_defer_response(w.pair.server.ep, exchange) == NACRE_OK) return;
    nacre_options_init(&options, NACRE_BUF(buf));
    if (pick(2)) nacre_options_add_uint(&options, NACRE_OPT_MAX_AGE, pick(100));
    if (pick(3) == 0) nacre_options_add(&options, NACRE_OPT_ECHO, nacre_bytes_of(body, 1 + pick(40)));
    if (pick(30) == 0) nacre_options_add(&options, 65001, NACRE_STR("critical"));
    assert_int_equal(nacre_options_finish(&options, &response.options), NACRE_OK);
    response.payload = nacre_bytes_of(body, pick(6) ? pick(40) : pick(sizeof body));
    if (nacre_endpoint_respond(w.pair.server.ep, exchange, &response) != NACRE_OK)
        nacre_endpoint_ignore(w.pair.server.ep, exchange);
    (void)take_out(w.requests, &w.num_requests, exchange);
}

static void server_hears(void)
{
    if (w.num_sent == 0) return;
    party_give(&w.pair.server, &w.pair.client, &w.sent[pick_late(w.num_sent)], w.now);
    server_events();
}

static void server_sends(void)
{
    datagram d;
    while (party_take(&w.pair.server, &d, w.now)) keep_datagram(w.back, &w.num_back, &d);
}

/* Delivers datagrams of the server in any order, repeated or cut short. */
static void client_hears(void)
{
    if (w.num_back == 0) return;
    client_events(false);
    const datagram *d = &w.back[pick_late(w.num_back)];
    party_take_back(&w.pair.client);
    nacre_datagram in = { .peer = w.pair.server.address,
                          .bytes = party_lend(&w.pair.client, nacre_bytes_of(d->bytes, d->len)) };
    if (pick(8) == 0) in.full_len = d->len + pick(2000);
    assert_int_equal(party_receive(&w.pair.client, &in, 1, w.now), 1);
}

/* An ACK, a RST or an unprotected response to a message sent, or to a predicted message ID. */
static void client_hears_forged(void)
{
    static const uint8_t codes[] = { NACRE_EMPTY, NACRE_EMPTY, NACRE_UNAUTHORIZED, NACRE_UNAVAILABLE, NACRE_CONTENT };
    if (w.num_sent == 0) return;
    client_events(false);
    nacre_message m = datagram_message(&w.sent[pick(w.num_sent)]);
    datagram d;
    m.code = codes[pick(5)];
    m.type = m.code == NACRE_EMPTY || pick(2) ? (uint8_t)(pick(3) ? NACRE_ACK : NACRE_RST) : NACRE_CON;
    m.mid = (uint16_t)(m.mid + (pick(3) == 0 ? pick(6) : 0));
    m.options = m.payload = NACRE_ABSENT;
    if (m.code == NACRE_EMPTY) m.token = NACRE_ABSENT;
    datagram_write(&d, &m);
    party_give(&w.pair.client, &w.pair.server, &d, w.now);
}

static void context_removed(void)
{
    const size_t index = pick(CONTEXTS);
    if (w.removed[index] || !percent(&w.chance, 1)) return;
    w.removed[index] = true;
    nacre_table_remove(&w.pair.client.table, w.ours[index]);
    nacre_endpoint_remove_context(w.pair.client.ep, w.ours[index]);
    nacre_context_wipe(w.ours[index]);
}

static void time_passes(void)
{
    w.now += pick(8) ? pick(500) : pick(60000);
    nacre_endpoint_expire(w.pair.client.ep, w.now);
    nacre_endpoint_expire(w.pair.server.ep, w.now);
}

static void store_confirms(void)
{
    const size_t index = pick(CONTEXTS);
    if (w.removed[index]) return;
    if (pick(5)) serve_store(w.ours[index]);
    nacre_endpoint_confirmed(w.pair.client.ep, w.ours[index], pick(9) ? NACRE_OK : NACRE_ERR_FILE);
}

static void round_trip(void)
{
    client_sends(2);
    server_hears();
    server_responds();
    server_sends();
    client_hears();
    client_events(false);
    if (w.num_observers == 0 || pick(3) != 0) return;
    nacre_endpoint_changed(w.pair.server.ep, w.observers[w.num_observers - 1]);
    server_events();
    server_responds();
    server_sends();
    client_hears();
}

static void do_something(void)
{
    const size_t what = pick(100);
    if (pick(3) == 0) round_trip();
    if (what < 20) request();
    else if (what < 24) stop_something();
    else if (what < 40) client_sends(1 + pick(4));
    else if (what < 50) server_hears();
    else if (what < 62) server_responds();
    else if (what < 72) server_sends();
    else if (what < 82) client_hears();
    else if (what < 86) client_hears_forged();
    else if (what < 90 && w.num_observers > 0) {
        nacre_endpoint_changed(w.pair.server.ep, w.observers[pick(w.num_observers)]);
        server_events();
    } else if (what < 94) time_passes();
    else if (what < 97) store_confirms();
    else if (what < 98 && pick(10) == 0) nacre_endpoint_unreachable(w.pair.client.ep, &w.pair.server.address);
    else context_removed();
    if (pick(2)) client_events(false);
}

/* The peer is removed, the store works, observations are cancelled, and time passes until nothing waits any more. */
static void come_to_rest(void)
{
    for (int round = 0; round < 100; round++) {
        for (size_t i = 0; i < CONTEXTS; i++)
            if (!w.removed[i]) {
                serve_store(w.ours[i]);
                nacre_endpoint_confirmed(w.pair.client.ep, w.ours[i], NACRE_OK);
            }
        client_events(true);
        for (size_t i = 0; i < w.num_open; i++) {
            const nacre_err err = nacre_endpoint_unobserve(w.pair.client.ep, w.open[i]);
            (void)err; /* may be invalid */
        }
        client_sends(100);
        w.now += 100000;
        nacre_endpoint_expire(w.pair.client.ep, w.now);
    }
    client_events(true);
}

static void nothing_is_left(void)
{
    const nacre_endpoint *ep = w.pair.client.ep;
    assert_int_equal(w.num_open, 0);
    assert_int_equal(ep->tx.num_held, 0);
    assert_int_equal(ep->tx.num_timers, 0);
    assert_int_equal(ep->tx.queue.num, 0);
    assert_int_equal(ep->persist_waits.num_waits, 0);
    assert_int_equal(ep->client_exchanges.num_tokens, 0);
    for (uint32_t i = 0; i < ep->tx.num_requests; i++) {
        assert_int_equal(ep->client_exchanges.all[i].state, NACRE__CLIENT_FREE);
        assert_false(ep->tx.all[i].outstanding);
        assert_false(ep->tx.all[i].has_mid);
    }
    expect_quiet(&w.pair.client, w.now);
}

static void run(uint64_t seed)
{
    memset(&w, 0, sizeof w);
    w.chance.state = seed;
    pair_open(&w.pair,
              &(nacre_endpoint_config){ .num_client_exchanges = REQUESTS,
                                        .observe.num_observers = 4,
                                        .num_transmissions = 4,
                                        .num_server_exchanges = 8,
                                        .congestion.nstart = (uint16_t)(seed % 3 == 0 ? UINT16_MAX : seed % 3) },
              &(pairing){ .client_persistent = true, .first_chunk = 1 });
    const pairing how = { .client_id = "d", .secret = 1, .client_persistent = true, .server_lost = true };
    w.ours[0] = w.pair.ours;
    w.ours[1] = party_context(&w.pair.client, &how, false);
    (void)party_context(&w.pair.server, &how, true);
    for (int i = 0; i < STEPS; i++) do_something();
    come_to_rest();
    nothing_is_left();
    pair_close(&w.pair);
}

static void each_exchange_has_one_end_and_leaves_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_exchange_has_one_end_and_leaves_nothing) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
