/* SPDX-License-Identifier: MIT */
/* stats_test: what an endpoint counts, and under which names. */
#include "../scenario/world.h"

#include "endpoint/core/core.h"

static uint64_t sum(const uint64_t *counters, size_t num)
{
    uint64_t all = 0;
    for (size_t i = 0; i < num; i++) all += counters[i];
    return all;
}

static nacre_endpoint_stats stats_of(const party *p)
{
    return nacre_endpoint_get_stats(p->ep);
}

/* One exchange; the datagram of the request is in `d`. */
static void exchange(pair *p, datagram *d, bool is_protected, uint64_t now)
{
    datagram back;
    (void)start(&p->client, &p->server, is_protected ? p->ours : NULL, NACRE_CON);
    (void)sent_request(p, d, now);
    party_give(&p->server, &p->client, d, now);
    respond_text(&p->server, expect_event(&p->server, NACRE_EVENT_REQUEST).exchange, "x");
    assert_true(party_take(&p->server, &back, now));
    party_give(&p->client, &p->server, &back, now);
    (void)expect_event(&p->client, NACRE_EVENT_RESPONSE);
}

static void requests_count_by_method_and_responses_by_code(void **state)
{
    (void)state;
    pair p;
    datagram d, back;
    pair_open(&p, NULL, &(pairing){ 0 });
    exchange(&p, &d, true, 0);
    exchange(&p, &d, false, 0);
    for (int i = 0; i < 3; i++) party_give(&p.server, &p.client, &d, 1);
    assert_true(party_take(&p.server, &back, 1));
    const nacre_endpoint_stats s = stats_of(&p.server);
    assert_int_equal(s.requests, 2);
    assert_int_equal(s.protected_requests, 1);
    assert_int_equal(s.methods[NACRE_GET], 2);
    assert_int_equal(sum(s.methods, NACRE_STATS_METHODS), s.requests);
    assert_int_equal(s.responded[NACRE_CONTENT], 2);
    assert_int_equal(sum(s.responded, NACRE_STATS_CODES), 2); /* not once more for each duplicate */
    assert_int_equal(s.duplicates, 3);
    assert_int_equal(s.repeated_responses, 3);
    assert_int_equal(sum(s.refused, NACRE_NUM_REFUSED), 0);
    assert_int_equal(stats_of(&p.client).responses, 2);
    pair_close(&p);
}

static void refused_requests_count_by_error(void **state)
{
    (void)state;
    pair p;
    datagram d, back;
    pair_open(&p, &(nacre_endpoint_config){ .num_server_exchanges = 1 }, &(pairing){ 0 });
    datagram first;
    exchange(&p, &first, true, 0);
    exchange(&p, &d, true, 0); /* takes the record of the first */
    party_give(&p.server, &p.client, &first, 1);
    assert_true(party_take(&p.server, &back, 1));
    nacre_endpoint_stats s = stats_of(&p.server);
    assert_int_equal(s.refused[NACRE_REFUSED_REPLAY], 1);
    assert_int_equal(s.responded[NACRE_UNAUTHORIZED], 1);

    d.bytes[d.len - 1] ^= 1;
    d.bytes[3] ^= 1; /* another message ID */
    party_give(&p.server, &p.client, &d, 2);
    assert_true(party_take(&p.server, &back, 2));
    s = stats_of(&p.server);
    assert_int_equal(s.refused[NACRE_REFUSED_PROTECTION_INVALID] + s.refused[NACRE_REFUSED_REPLAY], 2);
    assert_int_equal(sum(s.refused, NACRE_NUM_REFUSED), s.replays + s.no_context + s.unprotect_failures);
    pair_close(&p);
}

static void each_error_has_its_counter_and_the_others_share_one(void **state)
{
    (void)state;
    nacre__core core;
    memset(&core, 0, sizeof core);
    static const nacre_err errors[] = {
#define ROW(name, text) NACRE_ERR_##name,
        NACRE_REFUSED_MAP(ROW)
#undef ROW
            NACRE_ERR_CRYPTO
    };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) nacre__count_refused(&core, errors[i]);
    for (size_t i = 0; i < NACRE_NUM_REFUSED; i++) assert_int_equal(atomic_load(&NACRE__COUNTER(&core, refused)[i]), 1);
    for (unsigned code = 0; code < 256; code++) nacre__count_responded(&core, (uint8_t)code); /* also none of CoAP's */
    for (unsigned code = 0; code < NACRE_STATS_CODES; code++)
        assert_int_equal(atomic_load(&NACRE__COUNTER(&core, responded)[code]), 1);
    for (size_t i = 0; i < NACRE_NUM_DROPPED; i++)
        assert_int_equal(atomic_load(&NACRE__COUNTER(&core, dropped_for)[i]), 0);
}

static void dropped_messages_count_by_reason(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .num_server_exchanges = 2 }, &(pairing){ 0 });
    uint8_t d[3][4] = { { 0x40, NACRE_GET, 0, 1 }, { 0x40, NACRE_GET, 0, 2 }, { 0x40, NACRE_GET, 0, 3 } };
    nacre_datagram burst[3] = { { .full_len = 0 } };
    for (int i = 0; i < 3; i++) burst[i] = (nacre_datagram){ .peer = p.client.address, .bytes = { d[i], sizeof d[i] } };
    assert_int_equal(nacre_endpoint_receive_many(p.server.ep, burst, 3, 0), 3);
    nacre_endpoint_stats s = stats_of(&p.server);
    assert_int_equal(s.dropped_for[NACRE_DROPPED_SERVER_EXCHANGES], 1);
    assert_int_equal(sum(s.dropped_for, NACRE_NUM_DROPPED), s.dropped);

    d[0][1] = NACRE_CONTENT; /* a response that nothing waits for */
    const nacre_datagram stray = { .peer = p.server.address, .bytes = { d[0], sizeof d[0] } };
    assert_int_equal(nacre_endpoint_receive_many(p.client.ep, &stray, 1, 0), 1);
    s = stats_of(&p.client);
    assert_int_equal(s.dropped_for[NACRE_DROPPED_STRAY], 1);
    assert_int_equal(s.dropped, 1);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_count_by_method_and_responses_by_code),
        cmocka_unit_test(refused_requests_count_by_error),
        cmocka_unit_test(each_error_has_its_counter_and_the_others_share_one),
        cmocka_unit_test(dropped_messages_count_by_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
