/* SPDX-License-Identifier: MIT */
/* Labels: slow cross */
/* lossy_network_test: two clients and a server over a link that loses, duplicates, delays and reorders, on a virtual
 * clock. Under all network conditions:
 * - each request ends in exactly one event;
 * - a handler runs at most once per verified request, and exactly once per answered request;
 * - a response belongs to its request;
 * - no key and nonce are used for two different datagrams (RFC 8613 D.4);
 * - at the end no endpoint has a pending timer. */
#include "world.h"

enum { MAX_RECORDS = 4000 };
typedef struct record {
    unsigned events, handled;
    bool is_protected;
} record;

typedef struct run {
    const char *name;
    network network;
    nacre_endpoint_config config; /* the server's */
    unsigned exchanges;           /* each client's */
    unsigned plain, non;          /* percent */
    unsigned least_completed;     /* percent of requests that must complete */
    uint16_t window;              /* 0: 32 */
    uint16_t nstart;              /* of the clients; 0: no limit */
} run;

typedef struct stage {
    wire wire;
    party client[2], server;
    nacre_context *ctx[2];
    record records[MAX_RECORDS];
    unsigned started, completed, failed, handled;
    bool spoils;
    nonce_log log;
} stage;

static unsigned serial_of(nacre_bytes payload)
{
    unsigned serial = 0;
    for (size_t i = 0; i < payload.len; i++)
        if (payload.ptr[i] >= '0' && payload.ptr[i] <= '9') serial = serial * 10 + (payload.ptr[i] - '0');
    return serial;
}

static void on_request(stage *s, const nacre_event *event)
{
    char text[32];
    nacre_message response = { .code = NACRE_CONTENT };
    const unsigned serial = serial_of(event->message.payload);
    if (s->spoils && event->context == NULL) { /* a protected request lost its OSCORE option on the way */
        nacre_endpoint_ignore(s->server.ep, event->exchange);
        return;
    }
    assert_true(serial < s->started);
    assert_int_equal(s->records[serial].is_protected, event->context != NULL);
    if (++s->records[serial].handled != 1)
        fail_msg("request %u, %s, handled %u times", serial, event->context != NULL ? "protected" : "plain",
                 s->records[serial].handled);
    s->handled++;
    snprintf(text, sizeof text, "answer to %u", serial);
    response.payload = nacre_bytes_of((const uint8_t *)text, strlen(text));
    assert_int_equal(nacre_endpoint_respond(s->server.ep, event->exchange, &response), NACRE_OK);
}

static void on_event(void *user, party *p, const nacre_event *event, uint64_t now)
{
    stage *s = user;
    (void)now;
    if (event->kind == NACRE_EVENT_REQUEST) {
        assert_ptr_equal(p, &s->server);
        on_request(s, event);
        return;
    }
    record *r = event->user;
    assert_ptr_not_equal(p, &s->server);
    assert_int_equal(++r->events, 1);
    if (event->kind == NACRE_EVENT_FAILED) {
        if (!s->spoils) assert_true(event->err == NACRE_ERR_TIMEOUT || event->err == NACRE_ERR_UNAUTHENTICATED);
        s->failed++;
        return;
    }
    assert_int_equal(event->kind, NACRE_EVENT_RESPONSE);
    assert_int_equal(event->context != NULL, r->is_protected);
    if (event->message.code == NACRE_CONTENT) {
        assert_int_equal(serial_of(event->message.payload), (unsigned)(r - s->records));
        assert_int_equal(r->handled, 1);
        s->completed++;
    }
}

static bool start_one(stage *s, const run *r, int which)
{
    char text[32];
    record *rec = &s->records[s->started];
    *rec = (record){ .is_protected = !percent(&s->wire.chance, r->plain) };
    snprintf(text, sizeof text, "request %u", s->started);
    const nacre_message put = { .type = percent(&s->wire.chance, r->non) ? NACRE_NON : NACRE_CON,
                                .code = NACRE_PUT,
                                .payload = nacre_bytes_of((const uint8_t *)text, strlen(text)) };
    nacre_exchange exchange;
    const nacre_err err = nacre_endpoint_request(s->client[which].ep, &exchange, &s->server.address,
                                                 rec->is_protected ? s->ctx[which] : NULL, &put, rec);
    if (err == NACRE_ERR_BUSY) return false;
    assert_int_equal(err, NACRE_OK);
    s->started++;
    return true;
}

static void play(const run *r, uint64_t seed)
{
    stage *s = calloc(1, sizeof *s);
    party_open(&s->server, "server", seed * 3, &r->config);
    for (uint64_t i = 0; i < 2; i++) {
        const pairing how = { .client_id = i == 0 ? "a" : "b", .secret = (uint8_t)i, .window = r->window };
        party_open(&s->client[i], i == 0 ? "client a" : "client b", seed * 3 + 1 + i,
                   &(nacre_endpoint_config){ .congestion.nstart = r->nstart });
        s->ctx[i] = party_context(&s->client[i], &how, false);
        (void)party_context(&s->server, &how, true);
        s->wire.parties[i] = &s->client[i];
    }
    s->wire.parties[2] = &s->server;
    s->wire.num_parties = 3;
    s->wire.network = r->network;
    s->wire.chance.state = seed;
    s->wire.on_event = on_event;
    s->wire.user = s;
    s->wire.log = r->network.spoiling == 0 ? &s->log : NULL;
    s->spoils = r->network.spoiling > 0;
    unsigned begun[2] = { 0, 0 };
    do {
        for (int i = 0; i < 2; i++)
            while (begun[i] < r->exchanges && start_one(s, r, i)) begun[i]++;
    } while (wire_step(&s->wire));

    assert_int_equal(s->started, 2 * r->exchanges);
    for (unsigned i = 0; i < s->started; i++) assert_int_equal(s->records[i].events, 1);
    print_message("  %-28s seed %llu: %u answered, %u failed, %u handled, %u nonces, %llu s\n", r->name,
                  (unsigned long long)seed, s->completed, s->failed, s->handled, (unsigned)s->log.num,
                  (unsigned long long)(s->wire.now / 1000));
    assert_true(s->completed * 100 >= r->least_completed * s->started);
    for (int i = 0; i < 2; i++) expect_quiet(&s->client[i], s->wire.now);
    expect_quiet(&s->server, s->wire.now);
    wire_close(&s->wire);
    party_close(&s->client[0]);
    party_close(&s->client[1]);
    party_close(&s->server);
    free(s);
}

/* The duplicate cache holds all of a run unless the name says otherwise; then all requests are protected, because plain
 * ones have no other duplicate detection. `least_completed` allows for losses: a CON has five transmissions, a NON one.
 * A retransmission left of a window of 32 is a replay to the server (RFC 8613 7.4); a larger window avoids that. */
static const run rows[] = {
    { "calm", { 0, 0, 0, 1, 5 }, { 0 }, 1500, 0, 0, 100, 0, 0 },
    { "calm, mixed", { 0, 0, 0, 1, 5 }, { 0 }, 1500, 30, 30, 100, 0, 0 },
    { "doubled and reordered", { 0, 50, 0, 1, 400 }, { .num_server_exchanges = 4096 }, 1500, 30, 30, 99, 0, 0 },
    { "rain", { 10, 10, 0, 5, 300 }, { .num_server_exchanges = 4096 }, 1500, 20, 0, 94, 0, 0 },
    { "rain, window of 1024", { 10, 10, 0, 5, 300 }, { .num_server_exchanges = 4096 }, 1500, 20, 0, 99, 1024, 0 },
    { "storm", { 35, 30, 0, 5, 2500 }, { .num_server_exchanges = 4096 }, 1000, 20, 20, 50, 0, 0 },
    { "storm, memory of two", { 35, 30, 0, 5, 2500 }, { .num_server_exchanges = 2 }, 1000, 0, 20, 20, 0, 0 },
    { "bursts of one", { 20, 20, 0, 5, 50 }, { .burst = 1, .num_server_exchanges = 4096 }, 1000, 20, 20, 60, 0, 0 },
    { "rain, one at a time", { 10, 10, 0, 5, 300 }, { .num_server_exchanges = 4096 }, 1500, 20, 0, 99, 0, 1 },
    { "storm, one at a time", { 35, 30, 0, 5, 2500 }, { .num_server_exchanges = 4096 }, 1000, 20, 20, 50, 0, 1 },
    { "bits fall over", { 5, 10, 30, 5, 100 }, { .num_server_exchanges = 4096 }, 1500, 0, 20, 30, 0, 0 },
};

static void exchanges_complete_under_loss_delay_and_duplication(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (uint64_t seed = 1; seed <= 3; seed++) play(&rows[i], seed + 100 * i);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(exchanges_complete_under_loss_delay_and_duplication) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
