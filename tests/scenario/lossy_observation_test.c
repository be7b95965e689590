/* SPDX-License-Identifier: MIT */
/* lossy_observation_test: clients observe a counter on a server, over a link that loses, duplicates, delays and
 * reorders. Under all network conditions:
 * - the values an observer sees never go back, and the final one is the counter's last value (RFC 7641 1.3);
 * - each observation ends in exactly one event, at the client and at the server;
 * - no key and nonce are used for two different datagrams;
 * - at the end no endpoint has a pending timer. */
#include "world.h"

enum { WATCHES = 6, MAX_AGE = 20 };

typedef struct watch {
    nacre_exchange exchange;
    party *client;
    unsigned last, seen, ends;
    bool is_plain;
} watch;

typedef struct stage {
    wire wire;
    party client[2], server;
    nacre_context *ctx[2];
    watch watches[WATCHES];
    unsigned counter, begun, ended;
    nacre_observer observers[256];
    size_t num_observers;
    nonce_log log;
} stage;

static unsigned number_in(nacre_bytes payload)
{
    unsigned n = 0;
    for (size_t i = 0; i < payload.len; i++) n = n * 10 + (payload.ptr[i] - '0');
    return n;
}

static void tell(stage *s, nacre_exchange exchange)
{
    char text[12];
    static const uint8_t max_age[] = { 0xd1, NACRE_OPT_MAX_AGE - 13, MAX_AGE };
    snprintf(text, sizeof text, "%u", s->counter);
    const nacre_message response = { .code = NACRE_CONTENT,
                                     .options = NACRE_ARRAY(max_age),
                                     .payload = nacre_bytes_of((const uint8_t *)text, strlen(text)) };
    assert_int_equal(nacre_endpoint_respond(s->server.ep, exchange, &response), NACRE_OK);
}

static void on_server(stage *s, const nacre_event *event)
{
    uint64_t value = 9;
    if (event->kind == NACRE_EVENT_OBSERVER_REMOVED) {
        s->ended++;
        for (size_t i = 0; i < s->num_observers; i++)
            if (nacre_observer_equal(s->observers[i], event->observer))
                s->observers[i] = s->observers[--s->num_observers];
        return;
    }
    if (event->kind == NACRE_EVENT_REQUEST) {
        const nacre_bytes observe = nacre_option_find(event->message.options, NACRE_OPT_OBSERVE);
        assert_true(nacre_option_uint(observe, &value));
        if (value == 0) {
            assert_true(s->num_observers < 256);
            assert_int_equal(
                nacre_endpoint_observe(s->server.ep, &s->observers[s->num_observers], event->exchange, NULL), NACRE_OK);
            s->num_observers++;
            s->begun++;
        }
    } else {
        assert_int_equal(event->kind, NACRE_EVENT_NOTIFY);
    }
    tell(s, event->exchange);
}

static void on_event(void *user, party *p, const nacre_event *event, uint64_t now)
{
    stage *s = user;
    (void)now;
    if (p == &s->server) {
        on_server(s, event);
        return;
    }
    watch *w = event->user;
    assert_int_equal(event->exchange.number, w->exchange.number);
    assert_int_equal(w->ends, 0);
    if (event->kind == NACRE_EVENT_NOTIFICATION) {
        const unsigned n = number_in(event->message.payload);
        assert_int_equal(event->context == NULL, w->is_plain);
        assert_true(n >= w->last);
        w->last = n;
        w->seen++;
        return;
    }
    w->ends++;
    if (event->kind == NACRE_EVENT_FAILED) assert_int_equal(event->err, NACRE_ERR_TIMEOUT);
    else assert_int_equal(event->kind, NACRE_EVENT_RESPONSE);
}

static void begin(stage *s, watch *w, unsigned which)
{
    static const uint8_t observe[] = { 0x60 };
    const nacre_message get = { .type = which % 3 == 2 ? NACRE_NON : NACRE_CON,
                                .code = NACRE_GET,
                                .options = NACRE_ARRAY(observe) };
    w->client = &s->client[which % 2];
    w->is_plain = which >= 4;
    assert_int_equal(nacre_endpoint_request(w->client->ep, &w->exchange, &s->server.address,
                                            w->is_plain ? NULL : s->ctx[which % 2], &get, w),
                     NACRE_OK);
}

static void run_until(stage *s, uint64_t until)
{
    while (s->wire.now < until && wire_step(&s->wire)) continue;
    if (s->wire.now < until) s->wire.now = until;
}

static void open_stage(stage *s, network sky, uint16_t nstart, uint64_t seed)
{
    party_open(
        &s->server, "server", seed * 3,
        &(nacre_endpoint_config){ .observe.num_observers = 64, .num_server_exchanges = 1024, .num_transmissions = 8 });
    for (uint64_t i = 0; i < 2; i++) {
        const pairing how = { .client_id = i == 0 ? "a" : "b", .secret = (uint8_t)i, .window = 1024 };
        party_open(&s->client[i], i == 0 ? "client a" : "client b", seed * 3 + 1 + i,
                   &(nacre_endpoint_config){ .congestion.nstart = nstart });
        s->ctx[i] = party_context(&s->client[i], &how, false);
        (void)party_context(&s->server, &how, true);
        s->wire.parties[i] = &s->client[i];
    }
    s->wire.parties[2] = &s->server;
    s->wire.num_parties = 3;
    s->wire.network = sky;
    s->wire.chance.state = seed;
    s->wire.on_event = on_event;
    s->wire.user = s;
    s->wire.log = &s->log;
}

static void play(const char *name, network sky, uint16_t nstart, uint64_t seed)
{
    stage *s = calloc(1, sizeof *s);
    unsigned seen = 0, ended = 0;
    open_stage(s, sky, nstart, seed);
    for (unsigned i = 0; i < WATCHES; i++) begin(s, &s->watches[i], i);
    for (int change = 0; change < 150; change++) {
        run_until(s, s->wire.now + draw(&s->wire.chance) % 4000);
        s->counter++;
        for (size_t i = 0; i < s->num_observers; i++) nacre_endpoint_changed(s->server.ep, s->observers[i]);
    }
    run_until(s, s->wire.now + 400 * 1000); /* long enough for several re-registrations */
    for (unsigned i = 0; i < WATCHES; i++) {
        watch *w = &s->watches[i];
        seen += w->seen;
        ended += w->ends;
        if (w->ends > 0) continue; /* registration lost to the network conditions */
        assert_int_equal(w->last, s->counter);
        if (i % 2 == 0) assert_int_equal(nacre_endpoint_unobserve(w->client->ep, w->exchange), NACRE_OK);
        else nacre_endpoint_cancel(w->client->ep, w->exchange);
    }
    run_until(s, s->wire.now + 400 * 1000);
    for (unsigned n = 0; n < 40 && s->num_observers > 0;
         n++) { /* a silent observer gets one more notification, then is removed */
        for (size_t i = 0; i < s->num_observers; i++) nacre_endpoint_changed(s->server.ep, s->observers[i]);
        run_until(s, s->wire.now + 400 * 1000);
    }
    for (unsigned i = 0; i < WATCHES; i += 2) assert_int_equal(s->watches[i].ends, 1);
    print_message("  %-22s seed %llu: %u notifications, %u ended early, %u registrations, %u nonces\n", name,
                  (unsigned long long)seed, seen, ended, s->begun, (unsigned)s->log.num);
    assert_int_equal(s->num_observers, 0);
    assert_int_equal(s->ended, s->begun);
    while (wire_step(&s->wire)) continue;
    for (int i = 0; i < 3; i++) expect_quiet(s->wire.parties[i], s->wire.now);
    wire_close(&s->wire);
    for (int i = 0; i < 3; i++) party_close(s->wire.parties[i]);
    free(s);
}

static void observations_survive_loss_delay_and_duplication(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        play("calm", (network){ 0, 0, 0, 1, 5 }, 0, seed);
        play("calm, one at a time", (network){ 0, 0, 0, 1, 5 }, 1, seed);
        play("doubled and reordered", (network){ 0, 50, 0, 1, 900 }, 0, seed);
        play("rain", (network){ 10, 10, 0, 5, 300 }, 0, seed);
        play("storm", (network){ 30, 30, 0, 5, 1500 }, 1, seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(observations_survive_loss_delay_and_duplication) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
