/* SPDX-License-Identifier: MIT */
/* lookup_test: requests that wait for a context which the table does not have yet (num_lookups). */
#include "../scenario/world.h"
#include "support.h"

static const nacre_endpoint_config with_lookups = { .num_lookups = 4, .num_server_exchanges = 16 };

/* The server's side is not in its table. */
static void open_without_context(pair *p, const nacre_endpoint_config *config, const pairing *how)
{
    pair_open(p, config, how);
    nacre_table_remove(&p->server.table, p->theirs);
}

static nacre_exchange arrives(pair *p, uint8_t type, datagram *d)
{
    (void)start(&p->client, &p->server, p->ours, type);
    assert_true(party_take(&p->client, d, 0));
    party_give(&p->server, &p->client, d, 0);
    return expect_event(&p->server, NACRE_EVENT_LOOKUP).exchange;
}

static void expect_code(pair *p, uint8_t code)
{
    datagram d;
    assert_true(party_take(&p->server, &d, 0));
    assert_int_equal(datagram_message(&d).code, code);
}

static void a_request_waits_for_its_context_and_is_delivered(void **state)
{
    (void)state;
    pair p;
    datagram d, back;
    nacre_bytes kid, kid_context;
    open_without_context(&p, &with_lookups, &(pairing){ 0 });
    const nacre_exchange waiting = arrives(&p, NACRE_CON, &d);
    assert_ok(nacre_endpoint_looked_up_kid(p.server.ep, waiting, &kid, &kid_context));
    assert_true(nacre_bytes_equal(kid, nacre_context_sender_id(p.ours)));
    assert_true(nacre_is_absent(kid_context));
    expect_quiet(&p.server, 0);
    party_give(&p.server, &p.client, &d, 0); /* a retransmission is no second lookup */
    expect_quiet(&p.server, 0);
    assert_ok(nacre_table_add(&p.server.table, p.theirs));
    nacre_endpoint_looked_up(p.server.ep, waiting, NACRE_OK);
    const nacre_event event = expect_event(&p.server, NACRE_EVENT_REQUEST);
    assert_ptr_equal(event.context, p.theirs);
    respond_text(&p.server, event.exchange, "found");
    assert_true(party_take(&p.server, &back, 0));
    party_give(&p.client, &p.server, &back, 0);
    assert_payload(expect_event(&p.client, NACRE_EVENT_RESPONSE).message, "found");
    assert_err(nacre_endpoint_looked_up_kid(p.server.ep, waiting, &kid, &kid_context), NACRE_ERR_STALE);
    nacre_endpoint_looked_up(p.server.ep, waiting, NACRE_OK); /* no effect */
    expect_quiet(&p.server, 0);
    pair_close(&p);
}

static void a_request_without_a_context_is_refused_as_without_lookups(void **state)
{
    static const struct {
        nacre_err err;
        uint8_t type, code; /* 0: silence */
    } rows[] = {
        { NACRE_ERR_NO_CONTEXT, NACRE_CON, NACRE_UNAUTHORIZED },
        { NACRE_ERR_NO_CONTEXT, NACRE_NON, 0 },
        { NACRE_ERR_FILE, NACRE_CON, NACRE_UNAVAILABLE },
        { NACRE_ERR_FILE, NACRE_NON, 0 },
        { NACRE_OK, NACRE_CON, NACRE_UNAUTHORIZED }, /* but the table has none */
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        pair p;
        datagram d;
        open_without_context(&p, &with_lookups, &(pairing){ 0 });
        nacre_endpoint_looked_up(p.server.ep, arrives(&p, rows[i].type, &d), rows[i].err);
        if (rows[i].code != 0) expect_code(&p, rows[i].code);
        expect_quiet(&p.server, 0);
        pair_close(&p);
    }
}

static void a_context_of_the_same_kid_that_does_not_verify_leads_to_a_lookup_too(void **state)
{
    (void)state;
    pair p;
    datagram d;
    open_without_context(&p, &with_lookups, &(pairing){ 0 });
    (void)party_context(&p.server, &(pairing){ .secret = 1 }, true); /* with the same IDs; in the table */
    nacre_exchange waiting = arrives(&p, NACRE_CON, &d);
    nacre_endpoint_looked_up(p.server.ep, waiting, NACRE_ERR_NO_CONTEXT);
    expect_code(&p, NACRE_BAD_REQUEST); /* as without: it does not verify */
    waiting = arrives(&p, NACRE_CON, &d);
    assert_ok(nacre_table_add(&p.server.table, p.theirs));
    nacre_endpoint_looked_up(p.server.ep, waiting, NACRE_OK);
    assert_ptr_equal(expect_event(&p.server, NACRE_EVENT_REQUEST).context, p.theirs);
    pair_close(&p);
}

static void a_found_context_may_have_to_wait_for_its_store(void **state)
{
    (void)state;
    pair p;
    datagram d;
    open_without_context(&p, &with_lookups, &(pairing){ .server_persistent = true, .server_stored = true });
    const nacre_exchange waiting = arrives(&p, NACRE_CON, &d);
    assert_ok(nacre_table_add(&p.server.table, p.theirs));
    nacre_endpoint_looked_up(p.server.ep, waiting, NACRE_OK);
    assert_ptr_equal(expect_event(&p.server, NACRE_EVENT_PERSIST).context, p.theirs);
    expect_quiet(&p.server, 0);
    serve_store(p.theirs);
    nacre_endpoint_confirmed(p.server.ep, p.theirs, NACRE_OK);
    assert_ptr_equal(expect_event(&p.server, NACRE_EVENT_REQUEST).context, p.theirs);
    pair_close(&p);
}

static void one_host_has_half_of_the_entries_and_the_rest_is_dropped(void **state)
{
    (void)state;
    pair p;
    datagram d;
    party other;
    nacre_exchange waiting[2];
    open_without_context(&p, &with_lookups, &(pairing){ 0 });
    party_open(&other, "other", 3, NULL);
    nacre_context *others = party_context(&other, &(pairing){ .client_id = "o" }, false);
    for (int i = 0; i < 2; i++) waiting[i] = arrives(&p, NACRE_NON, &d);
    (void)start(&p.client, &p.server, p.ours, NACRE_NON);
    assert_true(party_take(&p.client, &d, 0));
    party_give(&p.server, &p.client, &d, 0);
    expect_quiet(&p.server, 0); /* the third of four */
    (void)start(&other, &p.server, others, NACRE_CON);
    datagram from_other;
    assert_true(party_take(&other, &from_other, 0));
    party_give(&p.server, &other, &from_other, 0);
    (void)expect_event(&p.server, NACRE_EVENT_LOOKUP);
    nacre_endpoint_looked_up(p.server.ep, waiting[0], NACRE_ERR_NO_CONTEXT);
    party_give(&p.server, &p.client, &d, 0); /* its retransmission is new */
    (void)expect_event(&p.server, NACRE_EVENT_LOOKUP);
    party_close(&other);
    pair_close(&p);
}

static void without_lookups_nothing_waits(void **state)
{
    (void)state;
    pair p;
    datagram d;
    open_without_context(&p, NULL, &(pairing){ 0 });
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    assert_true(party_take(&p.client, &d, 0));
    party_give(&p.server, &p.client, &d, 0);
    expect_code(&p, NACRE_UNAUTHORIZED);
    expect_quiet(&p.server, 0);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_waits_for_its_context_and_is_delivered),
        TEST(a_request_without_a_context_is_refused_as_without_lookups),
        TEST(a_context_of_the_same_kid_that_does_not_verify_leads_to_a_lookup_too),
        TEST(a_found_context_may_have_to_wait_for_its_store),
        TEST(one_host_has_half_of_the_entries_and_the_rest_is_dropped),
        TEST(without_lookups_nothing_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
