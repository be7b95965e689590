/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* endpoint_offers_test: how long an R2 of RFC 8613 B.2 is valid at an endpoint: a request #2 that was held back, and
 * captured requests #1 that are sent again and again while the peer's delay is large. */
#include "../scenario/rederiving.h"

enum { LIFETIME = 247000, DAY = 86400000 };

static bool is_in_use(const rederiving *r, const uint8_t *id_context, size_t len)
{
    const nacre_context *context = nacre_rederivation_context(&r->rederivation);
    return context != NULL && nacre_bytes_equal(nacre_context_id_context(context), nacre_bytes_of(id_context, len));
}

/* ---- A request #2 that was held back ----------------------------------------------------------------------------- */

/* The client starts the procedure up to request #2, which is intercepted; then it gives up. */
static datagram hold_back_request_2(rederiving_pair *p, uint64_t now)
{
    const nacre_exchange exchange = request_rederiving(&p->client, &p->server, &p->ours, NACRE_CON);
    datagram d = next_of(&p->client, now);
    party_give(&p->server, &p->client, &d, now);
    d = next_of(&p->server, now);
    party_give(&p->client, &p->server, &d, now);
    d = next_of(&p->client, now);
    nacre_endpoint_cancel(p->client.ep, exchange);
    return d;
}

/* Client and server share one context: a request gets its response. */
static void expect_exchange(rederiving_pair *p, uint64_t now)
{
    const nacre_exchange exchange = request_rederiving(&p->client, &p->server, &p->ours, NACRE_CON);
    datagram d = next_of(&p->client, now);
    party_give(&p->server, &p->client, &d, now);
    respond_text(&p->server, expect_event(&p->server, NACRE_EVENT_REQUEST).exchange, "here");
    d = next_of(&p->server, now);
    party_give(&p->client, &p->server, &d, now);
    assert_int_equal(expect_event(&p->client, NACRE_EVENT_RESPONSE).exchange.number, exchange.number);
}

typedef enum meanwhile {
    NOTHING,
    AGREED,           /* the client has started anew, and both sides agreed */
    AGREED_AND_USED,  /* … and the context was used */
    AGREED_AS_CLIENT, /* the server has started, and both sides agreed */
    ADDED_ANEW,       /* the server's rederivation was removed and added again */
    MEANWHILES
} meanwhile;

static void pass_meanwhile(rederiving_pair *p, meanwhile what)
{
    datagram m[4];
    if (what == AGREED || what == AGREED_AND_USED) {
        (void)request_rederiving(&p->client, &p->server, &p->ours, NACRE_CON);
        renew_over(p, m, 0);
    }
    if (what == AGREED_AND_USED) expect_exchange(p, 0);
    if (what == AGREED_AS_CLIENT) {
        (void)request_rederiving(&p->server, &p->client, &p->theirs, NACRE_CON);
        for (int i = 0; i < 4; i++) {
            party *from = i % 2 == 0 ? &p->server : &p->client, *to = i % 2 == 0 ? &p->client : &p->server;
            m[i] = next_of(from, 0);
            party_give(to, from, &m[i], 0);
            if (i < 2) continue;
            expect_rederived(to, i == 2 ? &p->ours : &p->theirs);
            if (i == 2) respond_text(to, expect_event(to, NACRE_EVENT_REQUEST).exchange, "new");
            else assert_payload(expect_event(to, NACRE_EVENT_RESPONSE).message, "new");
        }
    }
    if (what == ADDED_ANEW) {
        drop_rederivation(&p->theirs, &p->server);
        make_rederivation(&p->theirs, &p->server, 5, "s", "c", true, true);
        assert_int_equal(nacre_endpoint_add_rederivation(p->server.ep, &p->theirs.rederivation), NACRE_OK);
    }
}

/* A valid request #2 is accepted once. An invalid one gets a 4.01, nothing is executed, and the context in use
 * stays. */
static void a_held_back_request_2_executes_nothing_after_its_time(void **state)
{
    (void)state;
    static const uint64_t times[] = { 0, 240000, LIFETIME, DAY };
    for (meanwhile what = NOTHING; what < MEANWHILES; what++) {
        for (size_t t = 0; t < 4; t++) {
            const bool stands = what == NOTHING && times[t] < LIFETIME;
            rederiving_pair p;
            nacre_event event;
            open_rederiving(&p, NULL);
            p.ours.rederivation.is_server = p.theirs.rederivation.is_client = true;
            const datagram held_back = hold_back_request_2(&p, 0);
            pass_meanwhile(&p, what);
            uint8_t before[NACRE_REDERIVE_MAX_ID] = { 0 };
            const nacre_context *in_use = nacre_rederivation_context(&p.theirs.rederivation);
            const nacre_bytes id = in_use != NULL ? nacre_context_id_context(in_use) : NACRE_ABSENT;
            if (id.len > 0) memcpy(before, id.ptr, id.len);
            for (int copy = 0; copy < 2; copy++) {
                datagram d = held_back, out;
                d.bytes[2] ^= (uint8_t)(copy + 1); /* not a duplicate by its message ID */
                party_give(&p.server, &p.client, &d, times[t]);
                if (stands && copy == 0) {
                    expect_rederived(&p.server, &p.theirs);
                    respond_text(&p.server, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange, "late");
                } else {
                    assert_false(nacre_endpoint_next_event(p.server.ep, &event));
                }
                out = next_of(&p.server, times[t]);
                if (!stands) assert_payload(datagram_message(&out), "Security context not found");
                if (!stands)
                    assert_true(in_use == NULL ? nacre_rederivation_context(&p.theirs.rederivation) == NULL
                                               : is_in_use(&p.theirs, before, id.len));
            }
            if (what >= AGREED && what <= AGREED_AS_CLIENT) expect_exchange(&p, times[t]);
            else { /* the peer is not locked out */ datagram m[4];
                (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
                renew_over(&p, m, times[t]);
            }
            close_rederiving(&p);
        }
    }
}

/* Two procedures of one peer at once, as after a lost request #1: completing either ends the other. */
static void of_two_procedures_the_first_request_2_counts(void **state)
{
    (void)state;
    for (int newer = 0; newer < 2; newer++) {
        rederiving_pair p;
        nacre_event event;
        open_rederiving(&p, NULL);
        datagram second[2], out;
        for (int i = 0; i < 2; i++) second[i] = hold_back_request_2(&p, 0);
        party_give(&p.server, &p.client, &second[newer], 0);
        expect_rederived(&p.server, &p.theirs);
        respond_text(&p.server, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange, "first");
        out = next_of(&p.server, 0);
        party_give(&p.server, &p.client, &second[1 - newer], 0);
        assert_false(nacre_endpoint_next_event(p.server.ep, &event));
        out = next_of(&p.server, 0);
        assert_payload(datagram_message(&out), "Security context not found");
        close_rederiving(&p);
    }
}

/* The lifetime is that of the endpoint's configuration. */
static void an_offer_has_the_lifetime_of_the_configuration(void **state)
{
    (void)state;
    static const struct {
        uint64_t after_ms;
        nacre_event_kind kind; /* 0: none */
    } rows[] = { { 9800, NACRE_EVENT_REDERIVED }, { 10000, 0 } };
    for (size_t i = 0; i < 2; i++) {
        rederiving_pair p;
        nacre_event event = { 0 };
        open_rederiving(&p, &(nacre_endpoint_config){ .timing.exchange_lifetime_ms = 10000 });
        const datagram held_back = hold_back_request_2(&p, 0);
        party_give(&p.server, &p.client, &held_back, rows[i].after_ms);
        assert_int_equal(nacre_endpoint_next_event(p.server.ep, &event), rows[i].kind != 0);
        assert_int_equal(event.kind, rows[i].kind);
        close_rederiving(&p);
    }
}

/* The key of the offers is wiped when the rederivation, or the endpoint, ends. */
static void the_key_of_the_offers_is_wiped(void **state)
{
    (void)state;
    static const uint8_t zeros[NACRE_REDERIVE_KEY];
    for (int endpoint_ends = 0; endpoint_ends < 2; endpoint_ends++) {
        rederiving_pair p;
        open_rederiving(&p, NULL);
        const uint8_t *key = p.theirs.rederivation.offers.key;
        assert_memory_not_equal(key, zeros, sizeof zeros);
        assert_memory_not_equal(key, p.ours.rederivation.offers.key, sizeof zeros); /* different from every other */
        if (endpoint_ends) nacre_endpoint_wipe(p.server.ep);
        else nacre_endpoint_remove_rederivation(p.server.ep, &p.theirs.rederivation);
        assert_memory_equal(key, zeros, sizeof zeros);
        close_rederiving(&p);
    }
}

/* ---- Requests #1 that were captured ------------------------------------------------------------------------------ */

enum { MAX_CAPTURED = 64, ONE_WAY = 30000 };

/* Captures requests #1 of boots that were not completed. */
static void capture(datagram *captured, size_t num, party *p, const party *server, rederiving *r)
{
    for (size_t i = 0; i < num; i++) {
        const nacre_exchange exchange = request_rederiving(p, server, r, NACRE_NON);
        captured[i] = next_of(p, 0);
        nacre_endpoint_cancel(p->ep, exchange);
    }
}

typedef struct storm {
    const datagram *captured;
    size_t num;
    uint64_t every_ms, count;
    party *server;
    party attacker; /* only its address is used */
} storm;

/* What the storm has to send at `now`, under message IDs that are no duplicates. */
static void rage(storm *s, uint64_t now)
{
    datagram d;
    if (s->num == 0 || now % s->every_ms != 0) return;
    d = s->captured[s->count % s->num];
    s->count++;
    d.bytes[2] = (uint8_t)(s->count >> 8);
    d.bytes[3] = (uint8_t)s->count;
    party_give(s->server, &s->attacker, &d, now);
}

typedef struct slow_datagram {
    datagram d;
    bool to_server;
    uint64_t at;
} slow_datagram;

/* The client rederives with a delay of 30 seconds each way while the storms go on. True: its request got a response. */
static bool rederives_through(rederiving_pair *p, storm *storms, size_t num_storms)
{
    enum { STEP = 10, BEGINS = 60000, PATIENCE = 400000, IN_THE_AIR = 64 };
    static slow_datagram air[IN_THE_AIR];
    size_t num = 0;
    for (uint64_t now = 0; now < PATIENCE; now += STEP) {
        datagram d;
        nacre_event event;
        if (now == BEGINS) (void)request_rederiving(&p->client, &p->server, &p->ours, NACRE_CON);
        for (size_t i = 0; i < num_storms; i++) rage(&storms[i], now);
        nacre_endpoint_expire(p->client.ep, now);
        nacre_endpoint_expire(p->server.ep, now);
        for (int to_server = 0; to_server < 2; to_server++) {
            while (party_take(to_server ? &p->client : &p->server, &d, now)) {
                if (!to_server && !nacre_address_equal(&d.peer, &p->client.address)) continue;
                assert_true(num < IN_THE_AIR);
                air[num++] = (slow_datagram){ d, to_server, now + ONE_WAY };
            }
        }
        for (size_t i = 0; i < num; i++) {
            if (air[i].at > now) continue;
            const slow_datagram landed = air[i];
            air[i--] = air[--num];
            party_give(landed.to_server ? &p->server : &p->client, landed.to_server ? &p->client : &p->server,
                       &landed.d, now);
            while (nacre_endpoint_next_event(p->server.ep, &event))
                if (event.kind == NACRE_EVENT_REQUEST) respond_text(&p->server, event.exchange, "new");
            while (nacre_endpoint_next_event(p->client.ep, &event)) {
                if (event.kind == NACRE_EVENT_RESPONSE) return true;
                assert_int_equal(event.kind, NACRE_EVENT_REDERIVED);
            }
        }
    }
    return false;
}

/* Of this peer or of another, one or many, once a second or a hundred times. */
static void captured_requests_1_do_not_keep_a_slow_peer_from_rederiving(void **state)
{
    (void)state;
    static const struct {
        size_t ours, of_other; /* number of captured requests */
        uint64_t every_ms;
    } rows[] = {
        { 0, 0, 1000 },
        { 1, 0, 1000 },
        { MAX_CAPTURED, 0, 1000 },
        { 1, 0, 10 },
        { MAX_CAPTURED, 0, 10 },
        { 0, MAX_CAPTURED, 1000 },
        { 0, MAX_CAPTURED, 10 },
        { 1, 1, 10 },
    };
    static datagram captured[2][MAX_CAPTURED];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rederiving_pair p;
        rederiving theirs_of_other, of_other;
        party other;
        open_rederiving(&p, NULL);
        party_open(&other, "other", 9, NULL);
        make_rederivation(&of_other, &other, 9, "o", "s", true, false);
        make_rederivation(&theirs_of_other, &p.server, 9, "s", "o", false, true);
        assert_int_equal(nacre_endpoint_add_rederivation(other.ep, &of_other.rederivation), NACRE_OK);
        assert_int_equal(nacre_endpoint_add_rederivation(p.server.ep, &theirs_of_other.rederivation), NACRE_OK);
        capture(captured[0], rows[i].ours, &p.client, &p.server, &p.ours);
        capture(captured[1], rows[i].of_other, &other, &p.server, &of_other);
        storm storms[2] = {
            { captured[0], rows[i].ours, rows[i].every_ms, 0, &p.server, { .address = address_named("one attacker") } },
            { captured[1], rows[i].of_other, rows[i].every_ms, 0, &p.server, { .address = address_named("another") } },
        };
        if (!rederives_through(&p, storms, 2)) fail_msg("storm %zu: the peer cannot rederive", i);
        drop_rederivation(&of_other, &other);
        drop_rederivation(&theirs_of_other, &p.server);
        party_close(&other);
        close_rederiving(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_held_back_request_2_executes_nothing_after_its_time),
        cmocka_unit_test(of_two_procedures_the_first_request_2_counts),
        cmocka_unit_test(an_offer_has_the_lifetime_of_the_configuration),
        cmocka_unit_test(the_key_of_the_offers_is_wiped),
        cmocka_unit_test(captured_requests_1_do_not_keep_a_slow_peer_from_rederiving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
