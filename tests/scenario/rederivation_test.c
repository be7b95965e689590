/* SPDX-License-Identifier: MIT */
/* rederivation_test: two clients and a server derive new keys again and again (RFC 8613 B.2), over a link that loses,
 * duplicates, delays and reorders, while each of them forgets its keys now and then. Under all network conditions
 * (B24):
 * - each request ends in exactly one event, and is handled at most once;
 * - a response belongs to its request, under a context that the rederivation holds;
 * - lost keys are recovered from: most requests get a response, and the last of all does;
 * - at the end no endpoint has a pending timer. */
#include "rederiving.h"

enum { MAX_RECORDS = 600 };

typedef struct record {
    unsigned events, handled, client;
} record;

typedef struct stage {
    wire wire;
    party client[2], server;
    rederiving ours[2], theirs[2];
    record records[MAX_RECORDS];
    unsigned started, completed, news[2];
} stage;

static unsigned serial_of(nacre_bytes payload)
{
    unsigned serial = 0;
    for (size_t i = 0; i < payload.len; i++) serial = serial * 10 + (payload.ptr[i] - '0');
    return serial;
}

static void on_server(stage *s, const nacre_event *event)
{
    if (event->kind == NACRE_EVENT_REDERIVED) {
        s->news[0]++;
        return;
    }
    assert_int_equal(event->kind, NACRE_EVENT_REQUEST);
    const unsigned serial = serial_of(event->message.payload);
    assert_true(serial < s->started);
    record *r = &s->records[serial];
    assert_ptr_equal(event->context, nacre_rederivation_context(&s->theirs[r->client].rederivation));
    assert_int_equal(++r->handled, 1);
    const nacre_message response = { .code = NACRE_CONTENT, .payload = event->message.payload };
    assert_int_equal(nacre_endpoint_respond(s->server.ep, event->exchange, &response), NACRE_OK);
}

static void on_event(void *user, party *p, const nacre_event *event, uint64_t now)
{
    stage *s = user;
    (void)now;
    if (p == &s->server) {
        on_server(s, event);
        return;
    }
    const unsigned client = p == &s->client[1];
    if (event->kind == NACRE_EVENT_REDERIVED) {
        assert_ptr_equal(event->user, &s->ours[client]);
        s->news[1]++;
        return;
    }
    record *r = event->user;
    assert_int_equal(++r->events, 1);
    if (event->kind == NACRE_EVENT_RESPONSE) {
        assert_ptr_equal(event->context, nacre_rederivation_context(&s->ours[client].rederivation));
        assert_int_equal(serial_of(event->message.payload), (unsigned)(r - s->records));
        assert_int_equal(r->handled, 1);
        s->completed++;
        return;
    }
    assert_int_equal(event->kind, NACRE_EVENT_FAILED);
    if (event->err == NACRE_ERR_UNAUTHENTICATED)
        nacre_endpoint_rederive(p->ep, &s->ours[client].rederivation); /* the client's belief */
    else assert_true(event->err == NACRE_ERR_TIMEOUT || event->err == NACRE_ERR_NO_CONTEXT);
}

static void start_one(stage *s, unsigned client, uint8_t type)
{
    char text[12];
    nacre_exchange exchange;
    record *r = &s->records[s->started];
    *r = (record){ .client = client };
    snprintf(text, sizeof text, "%u", s->started);
    const nacre_message put = { .type = type,
                                .code = NACRE_PUT,
                                .payload = nacre_bytes_of((const uint8_t *)text, strlen(text)) };
    if (nacre_endpoint_request_with(s->client[client].ep, &exchange, &s->server.address, NULL, &put,
                                    &(nacre_request_options){ .rederivation = &s->ours[client].rederivation },
                                    r) == NACRE_OK)
        s->started++;
}

static void open_stage(stage *s, network sky, uint64_t seed)
{
    party_open(
        &s->server, "server", seed * 3,
        &(nacre_endpoint_config){ .num_server_exchanges = 2048, .admission.context_challenges_per_second = 100 });
    for (uint64_t i = 0; i < 2; i++) {
        party_open(&s->client[i], i == 0 ? "client a" : "client b", seed * 3 + 1 + i,
                   &(nacre_endpoint_config){ .congestion.nstart = (uint16_t)(i == 0 ? 1 : UINT16_MAX) });
        make_rederivation(&s->ours[i], &s->client[i], (uint8_t)i, i == 0 ? "a" : "b", "s", true, false);
        make_rederivation(&s->theirs[i], &s->server, (uint8_t)i, "s", i == 0 ? "a" : "b", false, true);
        assert_int_equal(nacre_endpoint_add_rederivation(s->client[i].ep, &s->ours[i].rederivation), NACRE_OK);
        assert_int_equal(nacre_endpoint_add_rederivation(s->server.ep, &s->theirs[i].rederivation), NACRE_OK);
        s->wire.parties[i] = &s->client[i];
    }
    s->wire.parties[2] = &s->server;
    s->wire.num_parties = 3;
    s->wire.network = sky;
    s->wire.chance.state = seed;
    s->wire.on_event = on_event;
    s->wire.user = s;
}

static void play(const char *name, network sky, unsigned least_completed, uint64_t seed)
{
    stage *s = calloc(1, sizeof *s);
    chance *c = &s->wire.chance;
    open_stage(s, sky, seed);
    for (int step = 0; step < 250; step++) {
        const unsigned client = draw(c) % 2;
        if (percent(c, 5)) nacre_endpoint_rederive(s->client[client].ep, &s->ours[client].rederivation);
        if (percent(c, 3)) nacre_endpoint_rederive(s->server.ep, &s->theirs[client].rederivation);
        start_one(s, client, percent(c, 20) ? NACRE_NON : NACRE_CON);
        for (uint64_t until = s->wire.now + draw(c) % 3000; s->wire.now < until && wire_step(&s->wire);) continue;
    }
    while (wire_step(&s->wire)) continue;
    for (unsigned i = 0; i < s->started; i++) assert_int_equal(s->records[i].events, 1);
    print_message("  %-22s seed %llu: %u of %u answered, new keys %u and %u times\n", name, (unsigned long long)seed,
                  s->completed, s->started, s->news[0], s->news[1]);
    assert_true(s->completed * 100 >= least_completed * s->started);
    s->wire.network = (network){ 0, 0, 0, 1, 5 };
    for (unsigned client = 0; client < 2;
         client++) { /* without loss the first may find that the server forgot; the second may not */
        for (int i = 0; i < 2; i++) {
            const unsigned before = s->completed;
            start_one(s, client, NACRE_CON);
            while (wire_step(&s->wire)) continue;
            if (i == 1) assert_int_equal(s->completed, before + 1);
        }
    }
    for (int i = 0; i < 3; i++) expect_quiet(s->wire.parties[i], s->wire.now);
    wire_close(&s->wire);
    for (int i = 0; i < 2; i++) {
        drop_rederivation(&s->ours[i], &s->client[i]);
        drop_rederivation(&s->theirs[i], &s->server);
    }
    for (int i = 0; i < 3; i++) party_close(s->wire.parties[i]);
    free(s);
}

static void rederivation_completes_under_loss_delay_and_duplication(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        play("calm", (network){ 0, 0, 0, 1, 5 }, 90, seed);
        play("doubled and reordered", (network){ 0, 50, 0, 1, 900 }, 75, seed);
        play("rain", (network){ 10, 10, 0, 5, 300 }, 75, seed);
        play("storm", (network){ 30, 30, 0, 5, 1500 }, 40, seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(rederivation_completes_under_loss_delay_and_duplication) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
