/* SPDX-License-Identifier: MIT */
/* rederived_kid_context_test: requests under a context of RFC 8613 B.2 carry its kid context, because a server may also
 * have an older context under the same kid, and may use that one when there is no kid context. */
#include "../scenario/rederiving.h"

/* Delivers `d` and returns what the other side sends next. */
static datagram give(party *to, const party *from, const datagram *d)
{
    party_give(to, from, d, 0);
    for (nacre_event event; nacre_endpoint_next_event(to->ep, &event);)
        if (event.kind == NACRE_EVENT_REQUEST || event.kind == NACRE_EVENT_NOTIFY)
            respond_text(to, event.exchange, "state");
    return next_of(to, 0);
}

static nacre_bytes kid_context_of(const datagram *d)
{
    nacre_oscore_option option;
    const nacre_message m = datagram_message(d);
    assert_int_equal(nacre_verify_start(&option, &m), NACRE_OK);
    return option.kid_context;
}

static void expect_named(const datagram *d, const rederiving *r)
{
    const nacre_bytes id_context = nacre_context_id_context(nacre_rederivation_context(&r->rederivation));
    assert_true(id_context.len > 0 && nacre_bytes_equal(kid_context_of(d), id_context));
}

static void agree(rederiving_pair *p)
{
    datagram m[4];
    (void)request_rederiving(&p->client, &p->server, &p->ours, NACRE_CON);
    renew_over(p, m, 0);
}

static void open_agreed(rederiving_pair *p)
{
    open_rederiving(p, &(nacre_endpoint_config){ .observe.num_observers = 2 });
    p->theirs.rederivation.is_client = true;
    agree(p);
}

static void requests_name_their_context(void **state)
{
    (void)state;
    for (uint8_t type = NACRE_CON; type <= NACRE_NON; type++) {
        rederiving_pair p;
        open_agreed(&p);
        for (int i = 0; i < 3; i++) { /* the first, and each one after it */
            (void)request_rederiving(&p.client, &p.server, &p.ours, type);
            const datagram request = next_of(&p.client, 0), response = give(&p.server, &p.client, &request);
            expect_named(&request, &p.ours);
            assert_true(nacre_is_absent(kid_context_of(&response)));
            party_give(&p.client, &p.server, &response, 0);
            (void)expect_event(&p.client, NACRE_EVENT_RESPONSE);
        }
        close_rederiving(&p);
    }
}

/* Requests of the side that responded in the procedure. */
static void requests_of_the_other_side_name_it_too(void **state)
{
    (void)state;
    rederiving_pair p;
    open_agreed(&p);
    (void)request_rederiving(&p.server, &p.client, &p.theirs, NACRE_CON);
    const datagram request = next_of(&p.server, 0), response = give(&p.client, &p.server, &request);
    expect_named(&request, &p.theirs);
    assert_true(nacre_is_absent(kid_context_of(&response)));
    party_give(&p.server, &p.client, &response, 0);
    (void)expect_event(&p.server, NACRE_EVENT_RESPONSE);
    close_rederiving(&p);
}

/* A registration and its cancellation carry it; what the server sends has no kid context. */
static void an_observation_names_it_each_time(void **state)
{
    (void)state;
    static const uint8_t observe[] = { 0x60 };
    const nacre_message get = { .type = NACRE_CON, .code = NACRE_GET, .options = NACRE_ARRAY(observe) };
    nacre_exchange exchange;
    nacre_observer observer;
    nacre_event event;
    rederiving_pair p;
    open_agreed(&p);
    assert_int_equal(nacre_endpoint_request_with(p.client.ep, &exchange, &p.server.address, NULL, &get,
                                                 &(nacre_request_options){ .rederivation = &p.ours.rederivation },
                                                 NULL),
                     NACRE_OK);
    datagram d = next_of(&p.client, 0);
    expect_named(&d, &p.ours);
    party_give(&p.server, &p.client, &d, 0);
    const nacre_exchange registration = expect_event(&p.server, NACRE_EVENT_REQUEST).exchange;
    assert_int_equal(nacre_endpoint_observe(p.server.ep, &observer, registration, NULL), NACRE_OK);
    respond_text(&p.server, registration, "state");
    d = next_of(&p.server, 0);
    assert_true(nacre_is_absent(kid_context_of(&d)));
    party_give(&p.client, &p.server, &d, 0);
    (void)expect_event(&p.client, NACRE_EVENT_NOTIFICATION);
    nacre_endpoint_changed(p.server.ep, observer);
    assert_true(nacre_endpoint_next_event(p.server.ep, &event) && event.kind == NACRE_EVENT_NOTIFY);
    respond_text(&p.server, event.exchange, "changed");
    d = next_of(&p.server, 0);
    assert_true(nacre_is_absent(kid_context_of(&d)));
    party_give(&p.client, &p.server, &d, 0);
    (void)expect_event(&p.client, NACRE_EVENT_NOTIFICATION);
    while (party_take(&p.client, &d, 0)) continue; /* an ACK, if it was CON */
    assert_int_equal(nacre_endpoint_unobserve(p.client.ep, exchange), NACRE_OK);
    d = next_of(&p.client, 0);
    expect_named(&d, &p.ours);
    close_rederiving(&p);
}

/* A server has the older context in its table, under the same kid: with the kid context it finds the new one only,
 * without it the old one. Requests under the older context are unchanged. */
static void the_kid_context_selects_the_new_context(void **state)
{
    (void)state;
    rederiving_pair p;
    size_t cursor = 0;
    open_rederiving(&p, NULL);
    nacre_context *before = party_context(&p.server, &(pairing){ .secret = 5 }, true),
                  *ours = party_context(&p.client, &(pairing){ .secret = 5 }, false);
    agree(&p);
    const nacre_bytes kid = nacre_bytes_of((const uint8_t *)"c", 1);
    assert_ptr_equal(nacre_table_find(&p.server.table, kid, NACRE_ABSENT, &cursor), before);
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    datagram d = next_of(&p.client, 0);
    cursor = 0;
    assert_null(nacre_table_find(&p.server.table, kid, kid_context_of(&d), &cursor));
    d = give(&p.server, &p.client, &d);
    party_give(&p.client, &p.server, &d, 0);
    assert_payload(expect_event(&p.client, NACRE_EVENT_RESPONSE).message, "state");
    (void)start(&p.client, &p.server, ours, NACRE_CON);
    d = next_of(&p.client, 0);
    assert_true(nacre_is_absent(kid_context_of(&d)));
    close_rederiving(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_name_their_context),
        cmocka_unit_test(requests_of_the_other_side_name_it_too),
        cmocka_unit_test(an_observation_names_it_each_time),
        cmocka_unit_test(the_kid_context_selects_the_new_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
