/* SPDX-License-Identifier: MIT */
/* The serving side under an application and a network that act at random, with pools of a few entries. No freed or
 * foreign memory is touched (AddressSanitizer checks), each observer has one end, and at the end every pool entry is
 * free. */
#include "raw.h"

#include "endpoint/endpoint_struct.h"

enum { TRANSMISSIONS = 3, OBSERVERS = 4, NUM_RESPONSES = 8, OPEN = 64, CONTEXTS = 2 };

typedef struct open_exchange {
    nacre_exchange exchange;
    bool deferred;
} open_exchange;

static struct {
    pair pair;
    nacre_context *ours[CONTEXTS + 1], *theirs[CONTEXTS + 1]; /* the last pair is none: unprotected */
    bool removed[CONTEXTS + 1];
    raw raws[CONTEXTS + 1];
    datagram sent[OPEN]; /* some datagrams from the server */
    size_t num_sent;
    datagram requests[OPEN]; /* some datagrams to the server */
    uint8_t from[OPEN];
    size_t num_client_exchanges;
    open_exchange open[OPEN];
    size_t num_open;
    nacre_observer observers[OPEN];
    size_t num_observers;
    size_t begun, ended, dropped;
    chance chance;
    uint64_t now;
} w;

static size_t pick(size_t num)
{
    return (size_t)(draw(&w.chance) % num);
}

/* Stores one more; requests awaiting a separate response are never evicted. */
static size_t free_entry(void)
{
    if (w.num_open < OPEN) return w.num_open++;
    size_t at = pick(OPEN);
    while (w.open[at].deferred) at = (at + 1) % OPEN;
    return at;
}

static void forget_observer(nacre_observer observer)
{
    for (size_t i = 0; i < w.num_observers; i++)
        if (nacre_observer_equal(w.observers[i], observer)) w.observers[i] = w.observers[--w.num_observers];
}

static void events(void)
{
    for (nacre_event event; nacre_endpoint_next_event(w.pair.server.ep, &event);) {
        if (event.kind == NACRE_EVENT_PERSIST) {
            if (percent(&w.chance, 70)) serve_store(event.context);
            nacre_endpoint_confirmed(w.pair.server.ep, event.context,
                                     percent(&w.chance, 90) ? NACRE_OK : NACRE_ERR_FILE);
            continue;
        }
        if (event.kind == NACRE_EVENT_OBSERVER_REMOVED) {
            w.ended++;
            forget_observer(event.observer);
            continue;
        }
        w.open[free_entry()] = (open_exchange){ .exchange = event.exchange };
        if (event.kind != NACRE_EVENT_REQUEST || percent(&w.chance, 20)) continue;
        nacre_observer observer;
        if (nacre_endpoint_observe(w.pair.server.ep, &observer, event.exchange, NULL) != NACRE_OK) continue;
        w.begun++;
        w.observers[w.num_observers++] = observer;
    }
}

static void send_something(void)
{
    const size_t peer = pick(CONTEXTS + 1);
    static const uint8_t tokens[] = { 1, 2, 3 }, codes[] = { NACRE_GET, NACRE_GET, NACRE_FETCH, NACRE_POST };
    static const char *const paths[] = { "x", "y", NULL };
    raw *r = &w.raws[peer];
    if (peer < CONTEXTS && w.removed[peer]) return;
    r->token = nacre_bytes_of(&tokens[pick(3)], 1);
    r->address = address_named(pick(2) ? "near" : "far");
    const size_t at = w.num_client_exchanges < OPEN ? w.num_client_exchanges++ : pick(OPEN);
    w.from[at] = (uint8_t)peer;
    raw_request(r, &w.requests[at], pick(2) ? NACRE_CON : NACRE_NON, codes[pick(4)],
                raw_options((int)pick(4) - 1, paths[pick(3)], pick(8) == 0 ? 26 : -1), w.now);
}

static void send_response(void)
{
    static uint8_t body[1400];
    static const uint8_t codes[] = { NACRE_CONTENT, NACRE_CONTENT, NACRE_CONTENT, NACRE_NOT_FOUND, NACRE_GET };
    if (w.num_open == 0) return;
    const size_t at = pick(w.num_open);
    const nacre_exchange exchange = w.open[at].exchange;
    const nacre_message response = { .code = codes[pick(5)],
                                     .payload = { body, pick(4) ? pick(40) : pick(sizeof body) } };
    if (percent(&w.chance, 25) && nacre_endpoint_defer_response(w.pair.server.ep, exchange) == NACRE_OK) {
        w.open[at].deferred = true;
        return;
    }
    if (percent(&w.chance, 15)) nacre_endpoint_ignore(w.pair.server.ep, exchange);
    else if (nacre_endpoint_respond(w.pair.server.ep, exchange, &response) != NACRE_OK) return;
    w.open[at] = w.open[--w.num_open];
}

static void reply_something(void)
{
    if (w.num_sent == 0) return;
    const datagram *d = &w.sent[pick(w.num_sent)];
    raw *r = &w.raws[0];
    r->address = d->peer;
    raw_empty(r, percent(&w.chance, 75) ? NACRE_ACK : NACRE_RST, datagram_message(d).mid, w.now);
}

static void repeat_something(void)
{
    if (w.num_client_exchanges == 0) return;
    const size_t at = pick(w.num_client_exchanges);
    if (pick(2)) w.requests[at].bytes[3]++; /* another MID: a replay, or a new plain request */
    raw_give(&w.raws[w.from[at]], &w.requests[at], w.now);
}

static void take_something(size_t most)
{
    for (size_t i = 0; i < most; i++) {
        datagram d;
        if (!party_take(&w.pair.server, &d, w.now)) return;
        if (d.len >= 4) w.sent[w.num_sent < OPEN ? w.num_sent++ : pick(OPEN)] = d;
    }
}

static void context_goes(void)
{
    const size_t peer = pick(CONTEXTS);
    if (w.removed[peer] || !percent(&w.chance, 2)) return;
    w.removed[peer] = true;
    nacre_table_remove(&w.pair.server.table, w.theirs[peer]);
    nacre_endpoint_remove_context(w.pair.server.ep, w.theirs[peer]);
    nacre_context_wipe(w.theirs[peer]);
}

static void do_something(void)
{
    const size_t what = pick(100);
    if (what < 25) send_something();
    else if (what < 50) send_response();
    else if (what < 60) reply_something();
    else if (what < 65) repeat_something();
    else if (what < 80) take_something(1 + pick(4));
    else if (what < 90 && w.num_observers > 0)
        nacre_endpoint_changed(w.pair.server.ep, w.observers[pick(w.num_observers)]);
    else if (what < 91 && w.num_observers > 0) {
        const nacre_observer observer = w.observers[pick(w.num_observers)];
        nacre_endpoint_drop_observer(w.pair.server.ep, observer);
        forget_observer(observer);
        w.dropped++;
    } else if (what < 99) {
        w.now += pick(4) ? pick(200) : pick(40000);
        nacre_endpoint_expire(w.pair.server.ep, w.now);
    } else context_goes();
    events();
}

/* Every request is answered or ignored, and time passes until nothing waits any more. */
static void come_to_rest(void)
{
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < w.num_open; i++) nacre_endpoint_ignore(w.pair.server.ep, w.open[i].exchange);
        take_something(100);
        for (int i = 0; i <= CONTEXTS; i++)
            if (w.theirs[i] != NULL && !w.removed[i]) {
                serve_store(w.theirs[i]);
                nacre_endpoint_confirmed(w.pair.server.ep, w.theirs[i], NACRE_OK);
            }
        for (nacre_event event; nacre_endpoint_next_event(w.pair.server.ep, &event);) {
            if (event.kind == NACRE_EVENT_OBSERVER_REMOVED) {
                w.ended++;
                forget_observer(event.observer);
            } else if (event.kind != NACRE_EVENT_PERSIST) nacre_endpoint_ignore(w.pair.server.ep, event.exchange);
        }
        w.now += 100000;
        nacre_endpoint_expire(w.pair.server.ep, w.now);
    }
    assert_true(nacre_endpoint_deadline(w.pair.server.ep) == UINT64_MAX);
    expect_quiet(&w.pair.server, w.now);
}

static void every_entry_is_free_again(void)
{
    nacre_endpoint *ep = w.pair.server.ep;
    raw *r = &w.raws[CONTEXTS];
    assert_int_equal(w.begun, w.ended + w.dropped + w.num_observers); /* each ends once */
    for (size_t i = 0; i < w.num_observers; i++) nacre_endpoint_drop_observer(ep, w.observers[i]);
    static const uint8_t tokens[] = { 11, 12, 13, 14 };
    for (int i = 0; i < OBSERVERS; i++) {
        nacre_observer observer;
        r->token = nacre_bytes_of(&tokens[i], 1);
        const nacre_event event = raw_requested(r, NACRE_NON, NACRE_GET, raw_options(0, NULL, -1), w.now);
        assert_int_equal(nacre_endpoint_observe(ep, &observer, event.exchange, NULL), NACRE_OK);
        respond_text(&w.pair.server, event.exchange, "x");
        take_something(1);
        expect_quiet(&w.pair.server, w.now);
    }
    nacre__validate(&ep->validation, &r->address); /* otherwise it would get half of what plain peers get */
    for (int i = 0; i < TRANSMISSIONS + 1; i++)
        assert_int_equal(
            nacre_endpoint_defer_response(ep, raw_requested(r, NACRE_NON, NACRE_GET, NACRE_ABSENT, w.now).exchange),
            i < TRANSMISSIONS / 2 ? NACRE_OK : NACRE_ERR_BUSY);
}

static void run(uint64_t seed)
{
    memset(&w, 0, sizeof w);
    w.chance.state = seed;
    pair_open(&w.pair,
              &(nacre_endpoint_config){ .num_transmissions = TRANSMISSIONS,
                                        .observe.num_observers = OBSERVERS,
                                        .num_server_exchanges = NUM_RESPONSES,
                                        .observe.observer_bytes = 64 },
              &(pairing){ .server_persistent = true, .first_chunk = 1 });
    w.ours[0] = w.pair.ours, w.theirs[0] = w.pair.theirs;
    const pairing how = { .client_id = "d", .secret = 1, .server_persistent = true, .server_lost = true };
    w.ours[1] = party_context(&w.pair.client, &how, false);
    w.theirs[1] = party_context(&w.pair.server, &how, true);
    for (int i = 0; i <= CONTEXTS; i++) {
        w.raws[i] = raw_open(&w.pair, w.ours[i]);
        w.raws[i].mid = (uint16_t)(i << 12);
    }
    for (int i = 0; i < 3000; i++) do_something();
    come_to_rest();
    every_entry_is_free_again();
    pair_close(&w.pair);
}

static void random_requests_leave_no_entry_in_use(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_requests_leave_no_entry_in_use) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
