/* SPDX-License-Identifier: MIT */
/* oversized_test: datagrams that the driver has only the start of, and those longer than max_message: each CON gets a
 * response, an ACK or a RST, and the user of a request is told both lengths. */
#include "../scenario/raw.h"
#include "../scenario/registration.h"
#include "coap/block.h"

enum { SMALL = 128 };
static const nacre_endpoint_config small = { .max_message = SMALL };

enum { WHOLE = 1280, LONG = 1300 };

/* Delivers `d` as a driver with a buffer of `cap` bytes does; 0: the whole datagram. One of WHOLE bytes is the start of
 * one of LONG. */
static void give_cut(party *p, const nacre_address *from, const datagram *d, size_t cap, uint64_t now)
{
    const size_t len = cap != 0 && cap < d->len ? cap : d->len;
    party_take_back(p);
    nacre_datagram in = { .peer = *from, .bytes = party_lend(p, nacre_bytes_of(d->bytes, len)) };
    if (cap != 0) in.full_len = d->len == WHOLE ? LONG : d->len;
    assert_int_equal(nacre_endpoint_receive_many(p->ep, &in, 1, now), 1);
}

static uint8_t filler[WHOLE];

static datagram message_of(nacre_message m, size_t len)
{
    datagram d;
    m.payload = nacre_bytes_of(filler, 1);
    m.payload.len = len - nacre_message_size(&m) + 1;
    datagram_write(&d, &m);
    assert_int_equal(d.len, len);
    return d;
}

static uint64_t size1_of(const nacre_message *m)
{
    uint64_t size = 0;
    const nacre_bytes value = nacre_option_find(m->options, NACRE_OPT_SIZE1);
    assert_false(nacre_is_absent(value));
    assert_true(nacre_option_uint(value, &size));
    return size;
}

/* Plain and OSCORE, CON and NON, whole and truncated: 4.13 with the payload that fits; one byte less than the limit is
 * delivered. */
static void oversized_request_gets_4_13_with_size1(void **state)
{
    (void)state;
    for (int row = 0; row < 8; row++) {
        const bool is_con = row & 1, is_protected = row & 2, is_cut = row & 4;
        pair p;
        pair_open(&p, &small, &(pairing){ 0 });
        nacre_message m = { .type = is_con ? NACRE_CON : NACRE_NON, .code = NACRE_POST, .mid = 0x1234 };
        static const uint8_t token[] = { 1, 2, 3 }, oscore[] = { 0x91, 0x09, 0x01, 'c' };
        m.token = NACRE_ARRAY(token);
        if (is_protected) m.options = NACRE_ARRAY(oscore);
        const datagram d = message_of(m, SMALL + 1);
        datagram back;
        give_cut(&p.server, &p.client.address, &d, is_cut ? SMALL : 0, 0);
        assert_true(party_take(&p.server, &back, 0));
        const nacre_message response = datagram_message(&back);
        assert_int_equal(response.type, is_con ? NACRE_ACK : NACRE_NON);
        assert_int_equal(response.code, NACRE_TOO_LARGE);
        assert_true(nacre_bytes_equal(response.token, m.token));
        if (is_con) assert_int_equal(response.mid, m.mid);
        assert_int_equal(size1_of(&response), SMALL - 4 - 3 - m.options.len - 1);
        assert_true(back.len < 16);
        expect_quiet(&p.server, 0);
        assert_int_equal(nacre_endpoint_get_stats(p.server.ep).oversized, 1);

        give_cut(&p.server, &p.client.address, &d, is_cut ? SMALL : 0, 1); /* a duplicate */
        assert_int_equal(party_take(&p.server, &back, 1), is_con);
        if (is_con) assert_int_equal(datagram_message(&back).code, NACRE_TOO_LARGE);

        m.mid++;
        const datagram fits = message_of(m, SMALL);
        if (!is_protected) {
            nacre_event event;
            give_cut(&p.server, &p.client.address, &fits, 0, 2);
            assert_true(party_next_event(&p.server, &event));
            assert_int_equal(event.kind, NACRE_EVENT_REQUEST);
        }
        pair_close(&p);
    }
}

/* RFC 7959 2.9.3: a block that is too large gets a response with a Block1 that fits. */
static void oversized_block_is_requested_in_smaller_ones(void **state)
{
    (void)state;
    pair p;
    datagram back;
    uint8_t buf[16];
    nacre_options o;
    nacre_message m = { .type = NACRE_CON, .code = NACRE_PUT, .mid = 7 };
    pair_open(&p, &small, &(pairing){ 0 });
    nacre_options_init(&o, NACRE_BUF(buf));
    nacre_options_add_uint(&o, NACRE_OPT_BLOCK1, nacre__block_value((nacre__block){ 0, true, 6 }));
    assert_int_equal(nacre_options_finish(&o, &m.options), NACRE_OK);
    const datagram d = message_of(m, 1040);
    give_cut(&p.server, &p.client.address, &d, SMALL, 0);
    assert_true(party_take(&p.server, &back, 0));
    const nacre_message response = datagram_message(&back);
    nacre__block block;
    assert_int_equal(response.code, NACRE_TOO_LARGE);
    assert_true(nacre__block_read(&block, nacre_option_find(response.options, NACRE_OPT_BLOCK1)));
    assert_int_equal(block.szx, 2); /* 64 bytes */
    pair_close(&p);
}

/* Malformed messages and unexpected responses: RST to a CON, no response to a NON. */
static void oversized_datagram_of_no_exchange_is_rejected(void **state)
{
    (void)state;
    static const uint8_t heads[][4] = {
        { 0x40, 0x00, 1, 1 }, /* empty, with something after it */
        { 0x40, 0x45, 1, 1 }, /* a response */
        { 0x40, 0xe1, 1, 1 }, /* signaling */
        { 0x4f, 0x01, 1, 1 }, /* a reserved token length */
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        for (int is_con = 0; is_con < 2; is_con++) {
            party p;
            datagram d = { .len = WHOLE }, back;
            party_open(&p, "p", 1, NULL);
            memcpy(d.bytes, heads[i], 4);
            if (!is_con) d.bytes[0] |= 0x10;
            give_cut(&p, &p.address, &d, WHOLE, 0);
            assert_int_equal(party_take(&p, &back, 0), is_con);
            if (is_con) assert_int_equal(datagram_message(&back).type, NACRE_RST);
            expect_quiet(&p, 0);
            party_close(&p);
        }
    }
}

/* A flood of them is rate-limited like other unverified requests. */
static void responses_to_oversized_requests_are_rate_limited(void **state)
{
    (void)state;
    party p;
    unsigned responses = 0;
    party_open(&p, "p", 1, &(nacre_endpoint_config){ .max_message = SMALL, .admission.challenges_per_second = 1 });
    for (uint16_t mid = 0; mid < 50; mid++) {
        datagram back;
        const datagram d = message_of((nacre_message){ .type = NACRE_CON, .code = NACRE_GET, .mid = mid }, WHOLE);
        give_cut(&p, &p.address, &d, SMALL, 0);
        while (party_take(&p, &back, 0)) responses++;
    }
    assert_in_range(responses, 15, 15 + 5); /* of its source, and of all */
    party_close(&p);
}

static datagram oversized_response(const nacre_message *sent, uint8_t type)
{
    const nacre_message m = {
        .type = type, .code = NACRE_CONTENT, .mid = type == NACRE_ACK ? sent->mid : 0x4321, .token = sent->token
    };
    return message_of(m, WHOLE);
}

static const uint8_t response_types[] = { NACRE_ACK, NACRE_CON, NACRE_NON };

static void expect_acknowledged(party *p, uint8_t type, uint64_t now)
{
    datagram ack;
    assert_int_equal(party_take(p, &ack, now), type == NACRE_CON);
    if (type == NACRE_CON) assert_int_equal(datagram_message(&ack).type, NACRE_ACK);
}

/* A plain request ends, and both lengths are reported. */
static void oversized_response_ends_a_plain_request(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof response_types; i++) {
        pair p;
        datagram d;
        pair_open(&p, NULL, &(pairing){ 0 });
        (void)start(&p.client, &p.server, NULL, NACRE_CON);
        const nacre_message sent = sent_request(&p, &d, 0);
        const datagram back = oversized_response(&sent, response_types[i]);
        give_cut(&p.client, &p.server.address, &back, WHOLE, 0);
        const nacre_event event = expect_event(&p.client, NACRE_EVENT_FAILED);
        assert_int_equal(event.err, NACRE_ERR_OVERSIZED);
        assert_int_equal(event.oversized, LONG);
        expect_acknowledged(&p.client, response_types[i], 0);
        expect_quiet(&p.client, 0);
        pair_close(&p);
    }
}

/* A protected request reports it and goes on: a verified response follows, or the timeout names the reason. */
static void oversized_datagram_never_ends_a_protected_request(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof response_types; i++) {
        for (int is_responded = 0; is_responded < 2; is_responded++) {
            pair p;
            datagram d, response;
            pair_open(&p, NULL, &(pairing){ 0 });
            (void)start(&p.client, &p.server, p.ours, NACRE_CON);
            const nacre_message sent = sent_request(&p, &d, 0);
            const datagram back = oversized_response(&sent, response_types[i]);
            give_cut(&p.client, &p.server.address, &back, WHOLE, 0);
            nacre_event event = expect_event(&p.client, NACRE_EVENT_OVERSIZED);
            assert_int_equal(event.oversized, LONG);
            assert_null(event.context);
            expect_acknowledged(&p.client, response_types[i], 0);
            expect_quiet(&p.client, 0);
            if (is_responded) {
                served(&p, &d, &response, "yes", 1);
                party_give(&p.client, &p.server, &response, 1);
                event = expect_event(&p.client, NACRE_EVENT_RESPONSE);
                assert_payload(event.message, "yes");
                assert_ptr_equal(event.context, p.ours);
            } else {
                for (uint64_t now = 0; (now = party_deadline(&p.client)) != UINT64_MAX;) {
                    party_expire(&p.client, now);
                    while (party_take(&p.client, &d, now)) {}
                }
                event = expect_event(&p.client, NACRE_EVENT_FAILED);
                assert_int_equal(event.err, NACRE_ERR_OVERSIZED);
                assert_int_equal(event.oversized, LONG);
            }
            pair_close(&p);
        }
    }
}

/* A response under another token, or from another address, belongs to no exchange. */
static void oversized_response_of_another_is_rejected(void **state)
{
    (void)state;
    for (int row = 0; row < 2; row++) {
        pair p;
        datagram d, back;
        pair_open(&p, NULL, &(pairing){ 0 });
        (void)start(&p.client, &p.server, NULL, NACRE_CON);
        const nacre_message sent = sent_request(&p, &d, 0);
        datagram forged = oversized_response(&sent, NACRE_CON);
        if (row == 0) forged.bytes[5] ^= 1;
        give_cut(&p.client, row == 0 ? &p.server.address : &p.client.address, &forged, WHOLE, 0);
        assert_true(party_take(&p.client, &back, 0));
        assert_int_equal(datagram_message(&back).type, NACRE_RST);
        expect_quiet(&p.client, 0);
        pair_close(&p);
    }
}

static datagram oversized_notification(observed *o, uint8_t type, uint8_t code)
{
    static const uint8_t plain[] = { 0x61, 200 }, protected[] = { 0x60, 0x32, 0x01, 0xff }; /* Observe; and OSCORE */
    nacre_message m = { .type = type, .code = code, .token = NACRE_ARRAY(o->token) };
    m.mid = type == NACRE_ACK ? o->mid : o->next_mid++;
    if (code == NACRE_CONTENT) m.options = o->plain ? NACRE_ARRAY(plain) : NACRE_ARRAY(protected);
    return message_of(m, WHOLE);
}

static void expect_oversized(observed *o)
{
    const nacre_event event = expect_event(&o->p.client, NACRE_EVENT_OVERSIZED);
    assert_int_equal(event.exchange.number, o->exchange.number);
    assert_int_equal(event.oversized, LONG);
    assert_null(event.context);
}

/* Within an observation, plain or protected, as CON or NON or as the response to a new registration: it is acknowledged
 * and reported, and the observation goes on: the next state is reported, and the next registration made. */
static void oversized_notification_leaves_the_observation(void **state)
{
    (void)state;
    for (int row = 0; row < 12; row++) {
        const bool is_plain = row & 1, is_rederived = row & 2;
        const uint8_t type = response_types[row / 4];
        observed o;
        if (type == NACRE_ACK && !is_rederived) continue;
        observe_one(&o, NULL, is_plain, 0);
        const uint64_t now = is_rederived ? renew(&o) : 1;
        const datagram d = oversized_notification(&o, type, NACRE_CONTENT);
        give_cut(&o.p.client, &o.p.server.address, &d, WHOLE, now);
        expect_oversized(&o);
        expect_acknowledged(&o.p.client, type, now);
        expect_nothing(&o, now);
        hear(&o, say(&o, (saying){ .type = NON, .text = "shorter", .observe = 11, .new_piv = !is_rederived }), now + 1);
        expect_notified(&o, "shorter");
        (void)renew(&o);
        pair_close(&o.p);
    }
}

/* A new registration that NSTART holds back is sent as soon as NSTART allows, whatever arrives meanwhile. */
static void oversized_notification_delays_no_registration_that_is_held(void **state)
{
    (void)state;
    static const nacre_endpoint_config one_at_a_time = { .congestion.nstart = 1 };
    observed o;
    datagram d;
    observe_one(&o, &one_at_a_time, true, 0);
    const uint64_t due = nacre_endpoint_deadline(o.p.client.ep);
    (void)start(&o.p.client, &o.p.server, NULL, NACRE_NON);
    assert_true(party_take(&o.p.client, &d, due - 1)); /* it counts for ACK_TIMEOUT */
    nacre_endpoint_expire(o.p.client.ep, due);
    assert_false(party_take(&o.p.client, &d, due));
    d = oversized_notification(&o, NACRE_NON, NACRE_CONTENT);
    give_cut(&o.p.client, &o.p.server.address, &d, WHOLE, due + 1);
    expect_oversized(&o);
    nacre_endpoint_expire(o.p.client.ep, due + 1999);
    take(&o, due + 1999);
    assert_int_equal(o.observe, 0);
    pair_close(&o.p);
}

/* Nor does a forged one end a protected observation; an oversized error ends a plain one only. */
static void oversized_error_ends_a_plain_observation_only(void **state)
{
    (void)state;
    for (int is_plain = 0; is_plain < 2; is_plain++) {
        observed o;
        observe_one(&o, NULL, is_plain, 0);
        const datagram d = oversized_notification(&o, NACRE_CON, NACRE_NOT_FOUND);
        give_cut(&o.p.client, &o.p.server.address, &d, WHOLE, 1);
        if (is_plain) expect_failed(&o.p.client, NACRE_ERR_OVERSIZED);
        else expect_oversized(&o);
        expect_acknowledged(&o.p.client, NACRE_CON, 1);
        if (!is_plain) {
            hear(&o, say(&o, (saying){ .type = NON, .text = "shorter", .new_piv = true }), 2);
            expect_notified(&o, "shorter");
        }
        pair_close(&o.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oversized_request_gets_4_13_with_size1),
        cmocka_unit_test(oversized_block_is_requested_in_smaller_ones),
        cmocka_unit_test(oversized_datagram_of_no_exchange_is_rejected),
        cmocka_unit_test(responses_to_oversized_requests_are_rate_limited),
        cmocka_unit_test(oversized_response_ends_a_plain_request),
        cmocka_unit_test(oversized_datagram_never_ends_a_protected_request),
        cmocka_unit_test(oversized_response_of_another_is_rejected),
        cmocka_unit_test(oversized_notification_leaves_the_observation),
        cmocka_unit_test(oversized_notification_delays_no_registration_that_is_held),
        cmocka_unit_test(oversized_error_ends_a_plain_observation_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
