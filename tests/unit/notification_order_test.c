/* SPDX-License-Identifier: MIT */
/* notification_order_test: the response to the newest registration is the present state; the order of notifications
 * (RFC 7641 3.4) starts again there. */
#include "../scenario/registration.h"

enum { V = 1000 }; /* the value of the last notification before the new registration */

/* A plain observation that received value V and has just registered again. */
static uint64_t open_rederiving(observed *o)
{
    register_one(o, NULL, true, 0);
    hear(o, say(o, (saying){ .text = "before", .observe = V, .max_age = 10 }), 0);
    expect_notified(o, "before");
    return renew(o);
}

static void hear_and_acknowledge(observed *o, saying s, const char *told, uint64_t now)
{
    hear(o, say(o, s), now);
    if (told != NULL) expect_notified(o, told);
    if (s.type == CON) expect_empty(o, NACRE_ACK, (uint16_t)(o->next_mid - 1), now);
    expect_nothing(o, now);
}

static void acknowledge(observed *o, uint64_t now)
{
    datagram ack = empty_message(NACRE_ACK, o->mid);
    hear(o, ack, now);
}

/* Nothing is retransmitted until the next registration is due, and that gets its response, too. */
static void expect_registered(observed *o, uint64_t now)
{
    assert_in_range(nacre_endpoint_deadline(o->p.client.ep), now + 65000, now + 75001);
    const uint64_t next = renew(o);
    hear_and_acknowledge(o, (saying){ .text = "again", .observe = 1 }, "again", next);
}

/* Piggybacked, separate after an empty ACK, and separate without one; CON and NON; the value is the same, lower, or
 * higher. Without any ACK a lower one may be a late notification: the registration goes on. */
static void response_to_a_new_registration_is_the_present_state(void **state)
{
    (void)state;
    const uint32_t values[] = { V, V - 1, 0, 1, V + 1, (V + (1 << 23)) & 0xffffff, 0xffffff };
    const uint8_t types[] = { 0, CON, NON };
    for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
        for (size_t t = 0; t < 3; t++) {
            for (int acked = 0; acked < (types[t] != 0 ? 2 : 1); acked++) {
                observed o;
                const uint64_t now = open_rederiving(&o);
                if (acked) acknowledge(&o, now);
                const bool is_late = types[t] != 0 && !acked && values[v] != V && values[v] != V + 1;
                hear_and_acknowledge(&o, (saying){ .type = types[t], .text = "now", .observe = values[v] },
                                     is_late ? NULL : "now", now);
                if (is_late) hear_and_acknowledge(&o, (saying){ .text = "now", .observe = V }, "now", now);
                expect_registered(&o, now);
                pair_close(&o.p);
            }
        }
    }
}

/* After it the order continues from its value: later notifications are reported, older ones from before it are not. */
static void order_starts_again_with_the_response(void **state)
{
    (void)state;
    const struct {
        uint32_t response, next;
        bool is_told;
    } rows[] = {
        { V, V + 1, true }, { V, V, false },         { V, V - 1, false }, { 5, 6, true },         { 5, 5, false },
        { 5, 4, false },    { V + 2, V + 1, false }, { V + 2, V, false }, { V + 2, V + 3, true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int how = 0; how < 3; how++) { /* piggybacked; separate; separate after an empty ACK */
            observed o;
            if (how == 1 && rows[i].response < V) continue;
            const uint64_t now = open_rederiving(&o);
            if (how == 2) acknowledge(&o, now);
            hear_and_acknowledge(&o, (saying){ .type = how == 0 ? 0 : CON, .text = "now", .observe = rows[i].response },
                                 "now", now);
            hear_and_acknowledge(&o, (saying){ .type = NON, .text = "next", .observe = rows[i].next },
                                 rows[i].is_told ? "next" : NULL, now + 10);
            pair_close(&o.p);
        }
    }
}

/* An ACK that the network duplicates is reported once. */
static void duplicate_response_is_reported_once(void **state)
{
    (void)state;
    observed o;
    const uint64_t now = open_rederiving(&o);
    datagram response = say(&o, (saying){ .text = "now", .observe = 5 });
    hear(&o, response, now);
    expect_notified(&o, "now");
    hear_and_acknowledge(&o, (saying){ .type = NON, .text = "newer", .observe = 6 }, "newer", now);
    hear(&o, response, now);
    expect_nothing(&o, now);
    pair_close(&o.p);
}

/* A notification crosses the registration, and the response comes after it: in the ACK, or separate after an empty one;
 * a message that is older than the notification and not the response is not reported. */
static void response_counts_after_a_crossing_notification(void **state)
{
    (void)state;
    const uint32_t responses[] = { V + 1, V + 2, V, 3 };
    for (size_t i = 0; i < sizeof responses / sizeof *responses; i++) {
        for (int row = 0; row < 6; row++) {
            const bool is_con = row & 1;
            const int how = row / 2;
            observed o;
            const uint64_t now = open_rederiving(&o);
            hear_and_acknowledge(&o, (saying){ .type = is_con ? CON : NON, .text = "crossed", .observe = V + 1 },
                                 "crossed", now);
            hear_and_acknowledge(&o, (saying){ .type = NON, .text = "old", .observe = V }, NULL, now);
            if (how == 1) acknowledge(&o, now);
            const bool is_told = responses[i] == V + 2 || (how < 2 && responses[i] != V); /* newer than V */
            hear_and_acknowledge(&o, (saying){ .type = how == 0 ? 0 : NON, .text = "now", .observe = responses[i] },
                                 is_told ? "now" : NULL, now);
            if (is_told)
                hear_and_acknowledge(&o, (saying){ .type = NON, .text = "old", .observe = responses[i] }, NULL, now);
            expect_registered(&o, now);
            pair_close(&o.p);
        }
    }
}

/* A RST to a registration that counts as responded to ends nothing. */
static void reset_after_a_crossing_notification_ends_nothing(void **state)
{
    (void)state;
    observed o;
    const uint64_t now = open_rederiving(&o);
    hear_and_acknowledge(&o, (saying){ .type = NON, .text = "crossed", .observe = V + 1 }, "crossed", now);
    datagram rst = empty_message(NACRE_RST, o.mid);
    hear(&o, rst, now);
    expect_nothing(&o, now);
    pair_close(&o.p);
}

/* RFC 8613 7.4.1: a protected response to a new registration is bound to it and restarts the notification number;
 * within one registration a lower number is old. */
static void protected_response_restarts_the_notification_number(void **state)
{
    (void)state;
    const uint8_t types[] = { 0, CON, NON };
    for (int row = 0; row < 3; row++) {     /* the request's nonce; a higher number; a lower one */
        for (int how = 0; how < 6; how++) { /* piggybacked, separate; after an empty ACK, and without */
            observed o;
            const uint8_t type = types[how / 2];
            if (how == 1) continue;
            observe_one(&o, NULL, false, 0);
            o.p.theirs->next = 50;
            hear(&o, say(&o, (saying){ .type = NON, .text = "fifty", .new_piv = true }), 0);
            expect_notified(&o, "fifty");
            const uint64_t now = renew(&o);
            if (how & 1) acknowledge(&o, now);
            if (row == 2) o.p.theirs->next = 20;
            datagram response = say(&o, (saying){ .type = type, .text = "now", .new_piv = row > 0 });
            datagram late = say(&o, (saying){ .type = NON, .text = "late", .new_piv = true });
            datagram newer = say(&o, (saying){ .type = NON, .text = "later", .new_piv = true });
            hear(&o, response, now);
            expect_notified(&o, "now");
            if (type == CON) expect_empty(&o, NACRE_ACK, (uint16_t)(o.next_mid - 3), now);
            hear(&o, newer, now);
            expect_notified(&o, "later");
            hear(&o, late, now);
            hear(&o, response, now);
            if (type == CON) expect_empty(&o, NACRE_ACK, (uint16_t)(o.next_mid - 3), now); /* received twice */
            expect_nothing(&o, now);
            (void)renew(&o);
            pair_close(&o.p);
        }
    }
}

/* The client requests the second block, and both blocks are reported. */
static void fetch_second_block(observed *o, const char *told, uint64_t now)
{
    datagram d;
    uint8_t buf[MAX_DATAGRAM], token[8];
    const nacre_request_id id = o->id;
    nacre_event event;
    assert_false(party_next_event(&o->p.client, &event));
    nacre_message m = sent_request(&o->p, &d, now);
    const nacre_message outer = m;
    if (!o->plain)
        assert_int_equal(nacre_unprotect_request(o->p.theirs, &o->p.server.crypto, &o->id, &m, NACRE_BUF(buf), &outer),
                         NACRE_OK);
    assert_true(nacre_is_absent(nacre_option_find(m.options, NACRE_OPT_OBSERVE)));
    assert_true(nacre_bytes_equal(nacre_option_find(m.options, NACRE_OPT_BLOCK2), NACRE_STR("\x10")));
    memcpy(token, o->token, 8);
    memcpy(o->token, m.token.ptr, 8);
    o->mid = m.mid;
    hear(o, say(o, (saying){ .text = "end", .no_observe = true, .block2 = "\x10" }), now);
    expect_notified(o, told);
    memcpy(o->token, token, 8);
    o->id = id;
}

/* The response of a restarted server, with a lower number, comes in blocks, and so do the notifications after it; plain
 * and protected, piggybacked and separate. */
static void blocks_follow_a_restarted_server(void **state)
{
    (void)state;
    static const uint8_t observe[] = { 0x60 };
    const uint8_t types[] = { 0, CON, NON };
    for (int row = 0; row < 6; row++) {
        observed o;
        uint8_t buf[64];
        nacre_message get = get_request(NACRE_CON);
        get.options = NACRE_ARRAY(observe);
        open_observed(&o, NULL, row & 1);
        party_add_transfer(&o.p.client, NULL);
        const nacre_transfer_options how = { .buf = NACRE_BUF(buf) };
        nacre_transfer_exchange exchange;
        assert_int_equal(nacre_transfer_request(o.p.client.transfer, &exchange, &o.p.server.address,
                                                o.plain ? NULL : o.p.ours, &get, &how, &o),
                         NACRE_OK);
        take(&o, 0);
        o.p.theirs->next = 50;
        hear(&o, say(&o, (saying){ .text = "before", .observe = V, .new_piv = true }), 0);
        expect_notified(&o, "before");
        const uint64_t now = renew(&o);
        o.p.theirs->next = 20;
        const uint8_t type = types[row / 2];
        if (type != 0) acknowledge(&o, now);
        const saying first = {
            .type = type, .text = "sixteen bytes, +", .observe = 5, .new_piv = true, .block2 = "\x08"
        };
        hear(&o, say(&o, first), now);
        nacre_event event;
        assert_false(party_next_event(&o.p.client, &event));
        if (type == CON) expect_empty(&o, NACRE_ACK, (uint16_t)(o.next_mid - 1), now);
        fetch_second_block(&o, "sixteen bytes, +end", now);
        const saying next = {
            .type = NON, .text = "sixteen others +", .observe = 6, .new_piv = true, .block2 = "\x08"
        };
        hear(&o, say(&o, next), now + 1);
        fetch_second_block(&o, "sixteen others +end", now + 1);
        pair_close(&o.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(response_to_a_new_registration_is_the_present_state),
        cmocka_unit_test(order_starts_again_with_the_response),
        cmocka_unit_test(duplicate_response_is_reported_once),
        cmocka_unit_test(response_counts_after_a_crossing_notification),
        cmocka_unit_test(reset_after_a_crossing_notification_ends_nothing),
        cmocka_unit_test(protected_response_restarts_the_notification_number),
        cmocka_unit_test(blocks_follow_a_restarted_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
