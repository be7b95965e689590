/* SPDX-License-Identifier: MIT */
/* rederivation_lifetime_test: rederivations are added to an endpoint, and removed in each step of the procedure. */
#include "../scenario/rederiving_steps.h"

static void invalid_rederivations_are_refused(void **state)
{
    (void)state;
    rederiving_pair p;
    rederiving r;
    open_rederiving(&p, NULL);
    nacre_exchange exchange;
    const nacre_message get = get_request(NACRE_CON);
    for (int row = 0; row < 7; row++) {
        static const uint8_t nine[9];
        make_rederivation(&r, &p.client, 1, "x", row == 4 ? "x" : "y", true, true);
        nacre_err expected = NACRE_ERR_BAD_ARGUMENT;
        const size_t buf = r.rederivation.derived.key_buf.cap;
        if (row == 1) r.rederivation.is_client = r.rederivation.is_server = false;
        if (row == 2) r.rederivation.material.id_context = NACRE_ARRAY(nine);
        if (row == 3) r.rederivation.spare.key_buf.cap = 0;
        if (row == 3) expected = NACRE_ERR_BUFFER_TOO_SMALL;
        if (row == 5) r.rederivation.material.cose_aead = 999;
        if (row == 5) expected = NACRE_ERR_UNSUPPORTED;
        if (row == 0 || row == 6) expected = NACRE_OK;
        if (row == 6) r.rederivation.material.id_context = nacre_bytes_of(nine, 8);
        assert_string_equal(nacre_err_name(nacre_endpoint_add_rederivation(p.client.ep, &r.rederivation)),
                            nacre_err_name(expected));
        if (expected == NACRE_OK)
            assert_int_equal(nacre_endpoint_add_rederivation(p.client.ep, &r.rederivation), NACRE_ERR_BAD_ARGUMENT);
        else
            assert_int_equal(nacre_endpoint_request_with(p.client.ep, &exchange, &p.server.address, NULL, &get,
                                                         &(nacre_request_options){ .rederivation = &r.rederivation },
                                                         NULL),
                             NACRE_ERR_BAD_ARGUMENT);
        r.rederivation.spare.key_buf.cap = buf;
        drop_rederivation(&r, &p.client);
    }
    nacre_context *ctx = party_context(&p.client, &(pairing){ .secret = 7 }, false);
    assert_int_equal(nacre_endpoint_request_with(p.client.ep, &exchange, &p.server.address, ctx, &get,
                                                 &(nacre_request_options){ .rederivation = &p.ours.rederivation },
                                                 NULL),
                     NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(nacre_endpoint_request_with(p.server.ep, &exchange, &p.client.address, NULL, &get,
                                                 &(nacre_request_options){ .rederivation = &p.theirs.rederivation },
                                                 NULL),
                     NACRE_ERR_BAD_ARGUMENT); /* it is for servers only */
    close_rederiving(&p);
}

/* Removing ends what is in flight, on either side and at each step, and messages that arrive later have no effect. */
static void removing_ends_exchanges_at_each_step(void **state)
{
    (void)state;
    for (int step = 0; step < 4; step++) {
        rederiving_pair p;
        open_rederiving(&p, NULL);
        datagram d;
        nacre_event event;
        for (int i = 0; i < 3; i++) (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
        for (int i = 0; i < step; i++) {
            d = next_of(i % 2 == 0 ? &p.client : &p.server, 0);
            party_give(i % 2 == 0 ? &p.server : &p.client, i % 2 == 0 ? &p.client : &p.server, &d, 0);
        }
        nacre_endpoint_remove_rederivation(p.client.ep, &p.ours.rederivation);
        nacre_endpoint_remove_rederivation(p.client.ep, &p.ours.rederivation); /* removing once is enough */
        for (int i = 0; i < 3; i++) expect_failed(&p.client, NACRE_ERR_NO_CONTEXT);
        assert_null(nacre_rederivation_context(&p.ours.rederivation));
        nacre_endpoint_remove_rederivation(p.server.ep, &p.theirs.rederivation);
        assert_null(nacre_rederivation_context(&p.theirs.rederivation));
        assert_false(nacre_endpoint_next_event(p.server.ep, &event));
        while (party_take(&p.server, &d, 0)) party_give(&p.client, &p.server, &d, 0);
        expect_quiet(&p.client, 0);
        if (step == 2) { /* it may be added again, and works as before */
            assert_int_equal(nacre_endpoint_add_rederivation(p.client.ep, &p.ours.rederivation), NACRE_OK);
            assert_int_equal(nacre_endpoint_add_rederivation(p.server.ep, &p.theirs.rederivation), NACRE_OK);
            datagram m[4];
            (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
            renew_over(&p, m, 0);
        }
        close_rederiving(&p);
    }
}

/* Keys that are removed before their event is pulled are not reported: the event would have no context. */
static void removed_keys_are_not_reported(void **state)
{
    (void)state;
    for (int rederives = 0; rederives < 2; rederives++) {
        rederiving_pair p;
        open_rederiving(&p, NULL);
        datagram d;
        (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
        for (int i = 0; i < 4; i++) {
            d = next_of(i % 2 == 0 ? &p.client : &p.server, 0);
            party_give(i % 2 == 0 ? &p.server : &p.client, i % 2 == 0 ? &p.client : &p.server, &d, 0);
            if (i != 2) continue;
            expect_rederived(&p.server, &p.theirs);
            respond_text(&p.server, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange, "new");
        }
        if (rederives) {
            nacre_endpoint_rederive(p.client.ep, &p.ours.rederivation);
            expect_failed(&p.client, NACRE_ERR_NO_CONTEXT);
        } else {
            expect_rederived(&p.client, &p.ours);
            assert_payload(expect_event(&p.client, NACRE_EVENT_RESPONSE).message, "new");
        }
        expect_quiet(&p.client, 0);
        close_rederiving(&p);
    }
}

/* Closing the endpoint first wipes the contexts. */
static void closing_the_endpoint_wipes_the_contexts(void **state)
{
    (void)state;
    rederiving_pair p;
    open_rederiving(&p, NULL);
    datagram m[4];
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    renew_over(&p, m, 0);
    party_close(&p.client);
    assert_null(p.ours.rederivation.derived.context.aead);
    for (int i = 0; i < 2; i++) free(p.ours.keys[i]);
    drop_rederivation(&p.theirs, &p.server);
    party_close(&p.server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invalid_rederivations_are_refused),
        cmocka_unit_test(removing_ends_exchanges_at_each_step),
        cmocka_unit_test(removed_keys_are_not_reported),
        cmocka_unit_test(closing_the_endpoint_wipes_the_contexts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
