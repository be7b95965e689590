/* SPDX-License-Identifier: MIT */
/* transfer_ends_test: transfers that end midway: contexts and rederivations whose requests wait for an entry,
 * registrations given up before they are sent, observers with a deferred response; and exchanges that are not the
 * transfer's. */
#include "../scenario/blocks.h"
#include "../scenario/rederiving.h"
#include "transfer/transfer_internal.h"

/* ---- A client whose observations use all entries of its endpoint ------------------------------------------------- */

typedef struct fixture {
    pair p;
    nacre_context *other; /* a second context of the client's */
    rederiving ours, theirs;
    nacre_transfer_exchange exchanges[2];
    nacre_observer observers[2];
    uint8_t buf[4096];
} fixture;

static void open(fixture *f)
{
    const nacre_endpoint_config config =
        config_once(config_unlimited((nacre_endpoint_config){ .num_client_exchanges = 2, .observe.num_observers = 2 }));
    const pairing second = { .client_id = "c2", .server_id = "s2", .secret = 9 };
    memset(f, 0, sizeof *f);
    pair_open(&f->p, &config, &(pairing){ 0 });
    f->other = party_context(&f->p.client, &second, false);
    (void)party_context(&f->p.server, &second, true);
    make_rederivation(&f->ours, &f->p.client, 5, "cr", "sr", true, false);
    make_rederivation(&f->theirs, &f->p.server, 5, "sr", "cr", false, true);
    assert_int_equal(nacre_endpoint_add_rederivation(f->p.client.ep, &f->ours.rederivation), NACRE_OK);
    assert_int_equal(nacre_endpoint_add_rederivation(f->p.server.ep, &f->theirs.rederivation), NACRE_OK);
    party_add_transfer(&f->p.client, NULL);
}

static void close(fixture *f)
{
    drop_rederivation(&f->ours, &f->p.client);
    drop_rederivation(&f->theirs, &f->p.server);
    pair_close(&f->p);
}

/* Delivers all messages in both directions; returns the server's REQUEST event, if any. */
static nacre_event talk(fixture *f)
{
    nacre_event event, request = { .exchange = 0 };
    for (bool any = true; any;) {
        datagram d;
        any = false;
        while (party_take(&f->p.client, &d, 0)) {
            party_give(&f->p.server, &f->p.client, &d, 0);
            while (party_next_event(&f->p.server, &event))
                if (event.kind == NACRE_EVENT_REQUEST) request = event;
            any = true;
            if (!nacre_exchange_is_none(request.exchange)) return request;
        }
        while (party_take(&f->p.server, &d, 0)) {
            party_give(&f->p.client, &f->p.server, &d, 0);
            any = true;
        }
    }
    return request;
}

static void respond(fixture *f, nacre_exchange exchange, const said *s)
{
    const nacre_message m = said_message(s);
    assert_int_equal(nacre_endpoint_respond(f->p.server.ep, exchange, &m), NACRE_OK);
    (void)talk(f);
}

/* An observation, registered and notified once. */
static void observe(fixture *f, int which, nacre_context *context, nacre_rederivation *rederivation)
{
    const nacre_message get = said_message(&SAID(.code = NACRE_GET, .path = "x", .observe = true));
    const nacre_transfer_options how = { .request = { .rederivation = rederivation }, .buf = NACRE_BUF(f->buf) };
    assert_int_equal(nacre_transfer_request(f->p.client.transfer, &f->exchanges[which], &f->p.server.address, context,
                                            &get, &how, NULL),
                     NACRE_OK);
    const nacre_event request = talk(f);
    assert_int_not_equal(request.exchange.number, 0);
    assert_int_equal(nacre_endpoint_observe(f->p.server.ep, &f->observers[which], request.exchange, NULL), NACRE_OK);
    respond(f, request.exchange, &SAID(.code = NACRE_CONTENT, .etag = "1", .payload = pattern(0, 5)));
    if (rederivation != NULL) (void)expect_event(&f->p.client, NACRE_EVENT_REDERIVED);
    assert_pattern(expect_event(&f->p.client, NACRE_EVENT_NOTIFICATION).message.payload, 0, 5);
}

/* A notification in blocks, the second of which cannot be requested: the observations use all entries. */
static void notify_in_blocks(fixture *f, int which)
{
    nacre_event event;
    nacre_endpoint_changed(f->p.server.ep, f->observers[which]);
    event = expect_event(&f->p.server, NACRE_EVENT_NOTIFY);
    respond(f, event.exchange,
            &SAID(.code = NACRE_CONTENT, .etag = "2", .block2 = BLOCK(0, 1, 6), .payload = pattern(0, 1024)));
    assert_false(party_next_event(&f->p.client, &event));
    assert_int_equal(f->p.client.transfer->num_waiting, 1);
}

/* The context of the next block is removed while the block waits for an entry. It must neither be sent under removed
 * keys nor be read from freed memory: the transfer and its observation end. */
static void a_waiting_block_ends_with_its_context(void **state)
{
    (void)state;
    for (int row = 0; row < 3; row++) { /* the context is removed; the rederivation; neither */
        fixture f;
        datagram d;
        nacre_event event;
        open(&f);
        observe(&f, 0, row == 1 ? NULL : f.p.ours, row == 1 ? &f.ours.rederivation : NULL);
        observe(&f, 1, f.other, NULL);
        notify_in_blocks(&f, 0);
        if (row == 0) {
            nacre_table_remove(&f.p.client.table, f.p.ours);
            nacre_transfer_remove_context(f.p.client.transfer, f.p.ours);
            nacre_context_wipe(f.p.ours);
        } else if (row == 1) {
            nacre_transfer_remove_rederivation(f.p.client.transfer, &f.ours.rederivation);
            memset(&f.ours.rederivation, 0x55, sizeof f.ours.rederivation); /* as memory that is reused */
        }
        nacre_transfer_cancel(f.p.client.transfer, f.exchanges[1]);
        if (row < 2) {
            event = expect_event(&f.p.client, NACRE_EVENT_NOTIFICATION); /* the one whose fetch was open */
            assert_int_equal(event.err, NACRE_ERR_NO_CONTEXT);
            assert_int_equal(event.transfer_exchange.number, f.exchanges[0].number);
            expect_failed(&f.p.client, NACRE_ERR_NO_CONTEXT);
            expect_quiet(&f.p.client, 0);
            if (row == 1) memset(&f.ours.rederivation, 0, sizeof f.ours.rederivation);
        } else {
            assert_false(party_next_event(&f.p.client, &event));
            assert_true(party_take(&f.p.client, &d, 0)); /* it goes on */
        }
        assert_int_equal(f.p.client.transfer->num_waiting, 0);
        close(&f);
    }
}

/* ---- Leaving ----------------------------------------------------------------------------------------------------- */

/* The response was no notification, its blocks did not belong together, and when the transfer starts again all entries
 * are in use: there is no registration, and there will be none. */
static void unobserving_before_the_registration_is_sent_ends_it(void **state)
{
    (void)state;
    for (int leaves = 0; leaves < 2; leaves++) {
        fixture f;
        nacre_event event;
        nacre_exchange taken[2];
        open(&f);
        const nacre_message get = said_message(&SAID(.code = NACRE_GET, .path = "x", .observe = true));
        const nacre_transfer_options how = { .buf = NACRE_BUF(f.buf) };
        nacre_transfer *t = f.p.client.transfer;
        assert_int_equal(nacre_transfer_request(t, &f.exchanges[0], &f.p.server.address, f.p.ours, &get, &how, NULL),
                         NACRE_OK);
        respond(&f, talk(&f).exchange,
                &SAID(.code = NACRE_CONTENT, .etag = "1", .block2 = BLOCK(0, 1, 6), .payload = pattern(0, 1024)));
        assert_false(party_next_event(&f.p.client, &event));
        const nacre_message second = said_message(
            &SAID(.code = NACRE_CONTENT, .etag = "2", .block2 = BLOCK(1, 0, 6), .payload = pattern(1024, 3)));
        assert_int_equal(nacre_endpoint_respond(f.p.server.ep, talk(&f).exchange, &second), NACRE_OK);
        carry(&f.p.server, &f.p.client, 0);
        assert_true(nacre_endpoint_next_event(f.p.client.ep, &event)); /* without the transfer */
        for (int i = 0; i < 2; i++)
            assert_int_equal(nacre_endpoint_ping(f.p.client.ep, &taken[i], &f.p.server.address, NULL), NACRE_OK);
        assert_false(nacre__client_transfer_event(t, &event));
        assert_int_equal(t->num_waiting, 1);
        if (leaves) {
            assert_int_equal(nacre_transfer_unobserve(t, f.exchanges[0]), NACRE_OK);
            assert_int_equal(nacre_transfer_unobserve(t, (nacre_transfer_exchange){ f.exchanges[0].number + 1 }),
                             NACRE_ERR_STALE);
        }
        for (int i = 0; i < 2; i++) nacre_endpoint_cancel(f.p.client.ep, taken[i]);
        assert_false(party_next_event(&f.p.client, &event));
        const nacre_event request = talk(&f);
        assert_int_equal(option_of(&request.message, NACRE_OPT_OBSERVE), leaves ? -1 : 0);
        respond(&f, request.exchange, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 7)));
        assert_pattern(expect_event(&f.p.client, NACRE_EVENT_RESPONSE).message.payload, 0, 7);
        close(&f);
    }
}

/* ---- Exchanges of others ----------------------------------------------------------------------------------------- */

/* A ping is the endpoint's, and so is its outcome. */
static void pings_pass(void **state)
{
    (void)state;
    for (int there = 0; there < 2; there++) {
        fixture f;
        datagram d;
        nacre_event event;
        nacre_exchange ping;
        int user;
        open(&f);
        assert_int_equal(nacre_endpoint_ping(f.p.client.ep, &ping, &f.p.server.address, &user), NACRE_OK);
        assert_true(party_take(&f.p.client, &d, 0));
        if (there) {
            party_give(&f.p.server, &f.p.client, &d, 0);
            carry(&f.p.server, &f.p.client, 0);
        } else {
            nacre_endpoint_unreachable(f.p.client.ep, &f.p.server.address);
        }
        event = expect_event(&f.p.client, there ? NACRE_EVENT_PONG : NACRE_EVENT_FAILED);
        assert_int_equal(event.err, there ? NACRE_OK : NACRE_ERR_UNREACHABLE);
        assert_int_equal(event.exchange.number, ping.number);
        assert_ptr_equal(event.user, &user);
        close(&f);
    }
}

/* ---- Deferred responses ------------------------------------------------------------------------------------------ */

/* The observer ends before its deferred response: only OBSERVER_REMOVED, or the program that removed it, says so, and
 * nothing of the request is left. */
static void a_deferred_response_ends_with_its_observer(void **state)
{
    (void)state;
    enum { TRANSMISSIONS = 2 };
    for (int drops = 0; drops < 2; drops++) {
        pair p;
        datagram d;
        nacre_event event;
        const nacre_endpoint_config config =
            config_unlimited((nacre_endpoint_config){ .observe.num_observers = 1, .num_transmissions = TRANSMISSIONS });
        pair_open(&p, &config, &(pairing){ 0 });
        party_add_transfer(&p.server, NULL);
        const nacre_message get = said_message(&SAID(.code = NACRE_GET, .path = "x", .observe = true));
        const nacre_message content = said_message(&SAID(.code = NACRE_CONTENT));
        for (int i = 0; i < 3 * TRANSMISSIONS; i++) {
            nacre_exchange exchange;
            nacre_observer observer;
            assert_int_equal(nacre_endpoint_request(p.client.ep, &exchange, &p.server.address, p.ours, &get, NULL),
                             NACRE_OK);
            carry(&p.client, &p.server, 0);
            event = expect_event(&p.server, NACRE_EVENT_REQUEST);
            assert_int_equal(nacre_endpoint_observe(p.server.ep, &observer, event.exchange, NULL), NACRE_OK);
            assert_int_equal(nacre_transfer_respond(p.server.transfer, event.exchange, &content, NULL), NACRE_OK);
            carry(&p.server, &p.client, 0);
            (void)expect_event(&p.client, NACRE_EVENT_NOTIFICATION);
            nacre_endpoint_changed(p.server.ep, observer);
            event = expect_event(&p.server, NACRE_EVENT_NOTIFY);
            assert_int_equal(nacre_transfer_defer_response(p.server.transfer, event.exchange), NACRE_OK);
            if (drops) {
                nacre_endpoint_drop_observer(p.server.ep, observer);
            } else {
                assert_int_equal(nacre_endpoint_unobserve(p.client.ep, exchange), NACRE_OK);
                carry(&p.client, &p.server, 0);
                nacre_transfer_ignore(p.server.transfer, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange);
                (void)expect_event(&p.server, NACRE_EVENT_OBSERVER_REMOVED);
            }
            nacre_endpoint_cancel(p.client.ep, exchange);
            assert_int_equal(nacre_transfer_respond(p.server.transfer, event.exchange, &content, NULL),
                             NACRE_ERR_STALE);
            while (party_take(&p.server, &d, 0)) {}
        }
        assert_true(p.server.transfer->num_deferred <= (drops ? TRANSMISSIONS : 0));
        pair_close(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_waiting_block_ends_with_its_context),
        cmocka_unit_test(unobserving_before_the_registration_is_sent_ends_it),
        cmocka_unit_test(pings_pass),
        cmocka_unit_test(a_deferred_response_ends_with_its_observer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
