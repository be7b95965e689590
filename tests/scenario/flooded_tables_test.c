/* SPDX-License-Identifier: MIT */
/* flooded_tables_test: an attacker fills one table of a server while an honest peer needs it (docs/assurance.md). */
#include "raw.h"

enum { ATTACKERS = 16, SMALL = 128 };

static pair world;

static nacre_address attacker_at(unsigned i)
{
    char name[16];
    (void)snprintf(name, sizeof name, "a%u", i);
    return address_named(name);
}

/* ---- RST that match nothing ---------------------------------------------------------------------------------------- */

/* Registers and gets a notification, a CON that is not acknowledged yet. */
static nacre_message notified(raw *r, nacre_observer *observer)
{
    datagram d;
    const nacre_event event = raw_requested(r, NACRE_CON, NACRE_GET, raw_options(0, "x", -1), 0);
    assert_int_equal(nacre_endpoint_observe(world.server.ep, observer, event.exchange, r), NACRE_OK);
    respond_text(&world.server, event.exchange, "one");
    (void)raw_take(r, &d, 0);
    nacre_endpoint_changed(world.server.ep, *observer);
    (void)expect_event(&world.server, NACRE_EVENT_NOTIFY);
    respond_text(&world.server, notification_of(*observer), "two");
    const nacre_message m = raw_take(r, &d, 0);
    assert_int_equal(m.type, NACRE_CON);
    return m;
}

static void send_resets(raw *r, uint16_t other_than)
{
    for (uint16_t i = 1; i <= 50; i++) raw_empty(r, NACRE_RST, (uint16_t)(other_than + i), 0);
}

/* The client's own RST ends the observation at once, unless RST with its own address are forged: then the time-out does. */
static void client_rejects_a_notification_while_others_send_resets(void **state)
{
    (void)state;
    for (int forged = 0; forged < 2; forged++) {
        pair_open(&world, &(nacre_endpoint_config){ .observe.num_observers = 4 }, &(pairing){ 0 });
        raw r = raw_open(&world, world.ours), attacker = raw_open(&world, NULL);
        nacre_observer observer = NACRE_OBSERVER_NONE;
        const uint16_t mid = notified(&r, &observer).mid;
        for (unsigned i = 0; i < ATTACKERS; i++) {
            attacker.address = attacker_at(i);
            send_resets(&attacker, mid);
        }
        if (forged == 1) send_resets(&r, mid);
        raw_empty(&r, NACRE_RST, mid, 0);
        nacre_event event = { .err = NACRE_OK };
        bool ends = party_next_event(&world.server, &event);
        assert_int_equal(ends, forged == 0);
        for (uint64_t due; !ends && (due = party_deadline(&world.server)) != UINT64_MAX;) {
            datagram d;
            party_expire(&world.server, due);
            while (party_take(&world.server, &d, due)) continue;
            ends = party_next_event(&world.server, &event);
        }
        assert_int_equal(event.kind, NACRE_EVENT_OBSERVER_REMOVED);
        assert_string_equal(nacre_err_name(event.err),
                            nacre_err_name(forged == 0 ? NACRE_ERR_RESET : NACRE_ERR_TIMEOUT));
        pair_close(&world);
    }
}

/* ---- Validated addresses ------------------------------------------------------------------------------------------- */

/* A response that only a validated address gets. */
static void respond_long(nacre_exchange exchange)
{
    static const uint8_t payload[500];
    const nacre_message response = { .code = NACRE_CONTENT, .payload = NACRE_ARRAY(payload) };
    assert_int_equal(nacre_endpoint_respond(world.server.ep, exchange, &response), NACRE_OK);
}

static nacre_message get_long(raw *r, nacre_bytes options, datagram *d, uint64_t now)
{
    respond_long(raw_requested(r, NACRE_CON, NACRE_GET, options, now).exchange);
    return raw_take(r, d, now);
}

static void validate(raw *r, uint64_t now)
{
    datagram d, back;
    uint8_t memory[64];
    nacre_options options;
    nacre_bytes echo;
    const nacre_message challenge = get_long(r, NACRE_ABSENT, &d, now);
    assert_int_equal(challenge.code, NACRE_UNAUTHORIZED);
    nacre_options_init(&options, NACRE_BUF(memory));
    nacre_options_add(&options, NACRE_OPT_ECHO, nacre_option_find(challenge.options, NACRE_OPT_ECHO));
    assert_int_equal(nacre_options_finish(&options, &echo), NACRE_OK);
    assert_int_equal(get_long(r, echo, &back, now).code, NACRE_CONTENT);
}

/* One exchange of the client; returns how many datagrams it took. */
static unsigned get_once(uint64_t now)
{
    unsigned num = 0;
    nacre_event event;
    datagram d;
    (void)start(&world.client, &world.server, world.ours, NACRE_CON);
    while (party_take(&world.client, &d, now)) {
        num++;
        party_give(&world.server, &world.client, &d, now);
        while (party_next_event(&world.server, &event)) respond_long(event.exchange);
        assert_true(party_take(&world.server, &d, now));
        party_give(&world.client, &world.server, &d, now);
    }
    event = expect_event(&world.client, NACRE_EVENT_RESPONSE);
    assert_int_equal(event.message.code, NACRE_CONTENT);
    assert_int_equal(event.message.payload.len, 500);
    return num;
}

/* The client's address is evicted, and costs it one more message, its repetition with Echo. */
static void client_is_served_while_others_validate_addresses(void **state)
{
    (void)state;
    pair_open(&world, &(nacre_endpoint_config){ .admission.num_peers = 16 }, &(pairing){ 0 });
    raw attacker = raw_open(&world, NULL);
    unsigned num = 0, evicted = 0;
    for (unsigned round = 0; round < 20; round++) {
        const unsigned datagrams = get_once(round * 100);
        assert_in_range(datagrams, 1, 2);
        evicted += round > 0 && datagrams == 2;
        assert_int_equal(get_once(round * 100 + 1), 1);
        for (unsigned i = 0; i < 8 * ATTACKERS; i++) {
            attacker.address = attacker_at(num++);
            validate(&attacker, round * 100 + 50);
        }
    }
    assert_true(evicted > 10); /* the flood did fill the table */
    pair_close(&world);
}

/* ---- Requests that are too long ------------------------------------------------------------------------------------ */

static bool gets_4_13(raw *r, uint64_t now)
{
    static const uint8_t payload[SMALL];
    datagram d, back;
    datagram_write(&d, &(nacre_message){
                           .type = NACRE_CON, .code = NACRE_POST, .mid = ++r->mid, .payload = NACRE_ARRAY(payload) });
    raw_give(r, &d, now);
    if (!party_take(&world.server, &back, now)) return false;
    assert_int_equal(datagram_message(&back).code, NACRE_TOO_LARGE);
    return true;
}

/* 4.13 in response to the first transmission, because a flood from other sources takes nothing of the client's. */
static void client_gets_4_13_while_others_send_oversized_requests(void **state)
{
    (void)state;
    pair_open(&world, &(nacre_endpoint_config){ .max_message = SMALL }, &(pairing){ 0 });
    raw attacker = raw_open(&world, NULL), client = raw_open(&world, NULL);
    unsigned sent = 0, responses = 0;
    for (uint64_t now = 0; now < 20000; now++) {
        attacker.address = attacker_at((unsigned)(now % ATTACKERS));
        sent++;
        responses += gets_4_13(&attacker, now);
        if (now % 5000 == 4999) assert_true(gets_4_13(&client, now));
    }
    assert_true(responses < sent / 2); /* the flood did take all that is there */
    pair_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_rejects_a_notification_while_others_send_resets),
        cmocka_unit_test(client_is_served_while_others_validate_addresses),
        cmocka_unit_test(client_gets_4_13_while_others_send_oversized_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
