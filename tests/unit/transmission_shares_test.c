/* SPDX-License-Identifier: MIT */
/* transmission_shares_test: what one client, and all plain ones, have of the deferred responses and notifications. */
#include "../scenario/blocks.h"
#include "endpoint/endpoint_struct.h"

enum { CLIENTS = 4, TRANSMISSIONS = 8, SHARE = 3, OBSERVED = 6 };

typedef struct fixture {
    party server, client; /* the client has all contexts */
    nacre_context *ctx[CLIENTS];
    uint64_t now;
} fixture;

static void begin(fixture *f)
{
    static const char *const names[CLIENTS] = { "c0", "c1", "c2", "c3" };
    const nacre_endpoint_config c = config_with(
        (nacre_endpoint_config){ .num_client_exchanges = 64,
                                 .num_transmissions = TRANSMISSIONS,
                                 .transmissions_per_peer = SHARE,
                                 .observe.num_observers = 1024, /* shares are counted by a hash of the owner */
                                 .observe.observers_per_peer = OBSERVED });
    memset(f, 0, sizeof *f);
    party_open(&f->server, "server", 1, &c);
    party_open(&f->client, "client", 2, &c);
    for (uint8_t i = 0; i < CLIENTS; i++) {
        const pairing how = { .client_id = names[i], .secret = i };
        f->ctx[i] = party_context(&f->client, &how, false);
        (void)party_context(&f->server, &how, true);
    }
}

static void end(fixture *f)
{
    party_close(&f->server);
    party_close(&f->client);
}

/* A request of client `i` (-1: plain) that reaches the server. */
static nacre_exchange requested(fixture *f, int i, bool observes)
{
    nacre_exchange exchange;
    const said s = SAID(.code = NACRE_GET, .path = "x", .observe = observes);
    const nacre_message m = said_message(&s);
    assert_int_equal(
        nacre_endpoint_request(f->client.ep, &exchange, &f->server.address, i < 0 ? NULL : f->ctx[i], &m, NULL),
        NACRE_OK);
    carry(&f->client, &f->server, f->now);
    return expect_event(&f->server, NACRE_EVENT_REQUEST).exchange;
}

static bool defers(fixture *f, int i, nacre_exchange *exchange)
{
    *exchange = requested(f, i, false);
    const nacre_err err = nacre_endpoint_defer_response(f->server.ep, *exchange);
    assert_true(err == NACRE_OK || err == NACRE_ERR_BUSY);
    return err == NACRE_OK;
}

static void respond(fixture *f, nacre_exchange exchange)
{
    const nacre_message m = { .code = NACRE_CONTENT };
    assert_int_equal(nacre_endpoint_respond(f->server.ep, exchange, &m), NACRE_OK);
}

/* Sends what is due; nothing of it arrives. */
static void lose_all(fixture *f)
{
    datagram d;
    while (party_take(&f->server, &d, f->now)) {}
}

static void client_that_keeps_requests_open_leaves_the_others_theirs(void **state)
{
    (void)state;
    fixture f;
    nacre_exchange open[SHARE], e;
    begin(&f);
    for (int i = 0; i < SHARE; i++) assert_true(defers(&f, 0, &open[i]));
    assert_false(defers(&f, 0, &e));
    for (int i = 0; i < SHARE; i++) assert_true(defers(&f, 1, &e));
    nacre_endpoint_ignore(f.server.ep, open[0]); /* one of its share comes back */
    assert_true(defers(&f, 0, &e));
    assert_false(defers(&f, 0, &e));
    assert_true(defers(&f, 2, &e));
    end(&f);
}

static void silent_client_leaves_the_others_theirs_and_gets_its_share_back(void **state)
{
    (void)state;
    fixture f;
    nacre_exchange open[SHARE], e;
    begin(&f);
    for (int i = 0; i < SHARE; i++) assert_true(defers(&f, 0, &open[i]));
    f.now = 200;
    nacre_endpoint_expire(f.server.ep, f.now); /* they are acknowledged: the responses are CON */
    for (int i = 0; i < SHARE; i++) respond(&f, open[i]);
    lose_all(&f);
    f.now = 300;
    assert_false(defers(&f, 0, &e));
    for (int i = 0; i < SHARE; i++) assert_true(defers(&f, 1, &e));
    for (uint64_t due; (due = nacre_endpoint_deadline(f.server.ep)) < 120000;) {
        f.now = due;
        nacre_endpoint_expire(f.server.ep, f.now);
        lose_all(&f);
    }
    assert_true(defers(&f, 0, &e));
    end(&f);
}

/* Half, because nothing of a plain request is verified; half of that, if the address is not validated. */
static void plain_clients_have_half(void **state)
{
    (void)state;
    static const char *const addresses[] = { "p0", "p1", "p2", "p3", "p4", "p5" };
    for (int is_validated = 0; is_validated < 2; is_validated++) {
        fixture f;
        nacre_exchange e;
        unsigned num = 0;
        begin(&f);
        for (size_t i = 0; i < 6; i++) {
            f.client.address = address_named(addresses[i]);
            if (is_validated) nacre__validate(&f.server.ep->validation, &f.client.address);
            num += defers(&f, -1, &e);
            num += defers(&f, -1, &e);
        }
        assert_int_equal(num, is_validated ? TRANSMISSIONS / 2 : TRANSMISSIONS / 4);
        f.client.address = address_named("client");
        for (int i = 0; i < SHARE; i++) assert_true(defers(&f, 0, &e));
        assert_true(defers(&f, 1, &e));
        end(&f);
    }
}

static void plain_address_has_a_share(void **state)
{
    (void)state;
    fixture f;
    nacre_exchange e;
    begin(&f);
    nacre__validate(&f.server.ep->validation, &f.client.address);
    for (int i = 0; i < SHARE; i++) assert_true(defers(&f, -1, &e));
    assert_false(defers(&f, -1, &e));
    f.client.address = address_named("another");
    nacre__validate(&f.server.ep->validation, &f.client.address);
    assert_true(defers(&f, -1, &e));
    end(&f);
}

/* ---- Observers ----------------------------------------------------------------------------------------------------------- */

static void observe(fixture *f, int client, nacre_observer *observers)
{
    for (int i = 0; i < OBSERVED; i++) {
        datagram d;
        const nacre_exchange e = requested(f, client, true);
        assert_int_equal(nacre_endpoint_observe(f->server.ep, &observers[i], e, NULL), NACRE_OK);
        respond(f, e);
        assert_true(party_take(&f->server, &d, f->now));
        party_give(&f->client, &f->server, &d, f->now);
        (void)expect_event(&f->client, NACRE_EVENT_NOTIFICATION);
    }
}

/* The notifications that are asked for now, by context; each is answered. */
static void tell(fixture *f, unsigned num[CLIENTS])
{
    nacre_event event;
    memset(num, 0, CLIENTS * sizeof *num);
    while (nacre_endpoint_next_event(f->server.ep, &event)) {
        if (event.kind != NACRE_EVENT_NOTIFY) continue;
        for (int i = 0; i < CLIENTS; i++) num[i] += event.context == &f->server.contexts[i];
        respond(f, event.exchange);
    }
}

static void observers_of_a_silent_client_do_not_silence_others(void **state)
{
    (void)state;
    fixture f;
    nacre_observer observers[2][OBSERVED];
    unsigned num[CLIENTS], told = 0;
    begin(&f);
    observe(&f, 0, observers[0]);
    observe(&f, 1, observers[1]);
    for (int i = 0; i < OBSERVED; i++) nacre_endpoint_changed(f.server.ep, observers[0][i]);
    tell(&f, num);
    assert_int_equal(num[0], SHARE);
    lose_all(&f);
    for (int i = 0; i < OBSERVED; i++) nacre_endpoint_changed(f.server.ep, observers[1][i]);
    for (int round = 0; round < OBSERVED; round++) { /* its CON are acknowledged: all are told */
        datagram d;
        tell(&f, num);
        assert_true(num[0] == 0 && num[1] <= SHARE);
        told += num[1];
        while (party_take(&f.server, &d, f.now)) {
            party_give(&f.client, &f.server, &d, f.now);
            nacre_event event;
            while (nacre_endpoint_next_event(f.client.ep, &event)) {}
            while (party_take(&f.client, &d, f.now)) party_give(&f.server, &f.client, &d, f.now);
        }
    }
    assert_int_equal(told, OBSERVED);
    end(&f);
}

static void stalled_observers_are_told_when_their_share_is_back(void **state)
{
    (void)state;
    fixture f;
    nacre_observer observers[OBSERVED];
    unsigned num[CLIENTS], told = 0;
    begin(&f);
    observe(&f, 0, observers);
    for (int i = 0; i < OBSERVED; i++) nacre_endpoint_changed(f.server.ep, observers[i]);
    tell(&f, num);
    told = num[0];
    lose_all(&f);
    for (uint64_t due;
         (due = nacre_endpoint_deadline(f.server.ep)) < 400000;) { /* no ACK comes: those that are told end */
        f.now = due;
        nacre_endpoint_expire(f.server.ep, f.now);
        lose_all(&f);
        tell(&f, num);
        told += num[0];
        lose_all(&f);
    }
    assert_int_equal(told, OBSERVED);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_that_keeps_requests_open_leaves_the_others_theirs),
        cmocka_unit_test(silent_client_leaves_the_others_theirs_and_gets_its_share_back),
        cmocka_unit_test(plain_clients_have_half),
        cmocka_unit_test(plain_address_has_a_share),
        cmocka_unit_test(observers_of_a_silent_client_do_not_silence_others),
        cmocka_unit_test(stalled_observers_are_told_when_their_share_is_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
