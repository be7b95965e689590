/* SPDX-License-Identifier: MIT */
/* opaque_forwarding_test: an endpoint forwards OSCORE messages unread between two that speak it. */
#include "../scenario/world.h"

/* The client's message as the forwarding party receives it. */
static void to_the_middle(pair *p, party *middle, nacre_exchange *exchange)
{
    datagram out;
    nacre_message get = get_request(NACRE_CON);
    assert_int_equal(nacre_endpoint_request(p->client.ep, exchange, &middle->address, p->ours, &get, NULL), NACRE_OK);
    assert_true(party_take(&p->client, &out, 0));
    party_give(middle, &p->client, &out, 1);
}

static void requests_and_responses_are_forwarded_unread(void **state)
{
    (void)state;
    pair p;
    party middle;
    datagram on_the_way;
    nacre_exchange exchange, onward;
    const nacre_endpoint_config config = { .opaque_oscore = true };
    pair_open(&p, NULL, &(pairing){ 0 });
    party_open(&middle, "m", 3, &config);
    to_the_middle(&p, &middle, &exchange);
    const nacre_event received = expect_event(&middle, NACRE_EVENT_REQUEST);
    assert_null(received.context);
    assert_int_equal(received.message.code, NACRE_POST);
    assert_false(nacre_is_absent(nacre_option_find(received.message.options, NACRE_OPT_OSCORE)));

    nacre_message plain = { .type = NACRE_CON, .code = received.message.code };
    plain.options = received.message.options;
    plain.payload = received.message.payload;
    assert_int_equal(nacre_endpoint_request(middle.ep, &onward, &p.server.address, NULL, &plain, NULL), NACRE_OK);
    assert_true(party_take(&middle, &on_the_way, 1));
    party_give(&p.server, &middle, &on_the_way, 2);
    const nacre_event request = expect_event(&p.server, NACRE_EVENT_REQUEST);
    assert_ptr_equal(request.context, p.theirs);
    respond_text(&p.server, request.exchange, "hello");
    assert_true(party_take(&p.server, &on_the_way, 2));

    /* The exchange with the client is still open: nothing has changed it. */
    party second;
    party_open(&second, "n", 4, &config);
    to_the_middle(&p, &second, &exchange);
    const nacre_event again = expect_event(&second, NACRE_EVENT_REQUEST);
    const nacre_message forwarded = datagram_message(&on_the_way);
    nacre_message back = { .code = forwarded.code, .options = forwarded.options, .payload = forwarded.payload };
    assert_false(nacre_is_absent(nacre_option_find(back.options, NACRE_OPT_OSCORE)));
    assert_int_equal(nacre_endpoint_respond(second.ep, again.exchange, &back), NACRE_OK);
    datagram to_client;
    assert_true(party_take(&second, &to_client, 2));
    party_give(&p.client, &second, &to_client, 3);
    expect_quiet(&p.client, 3); /* the response to another request: it does not verify */

    party_give(&middle, &p.server, &on_the_way, 3);
    const nacre_event response = expect_event(&middle, NACRE_EVENT_RESPONSE);
    assert_int_equal(response.exchange.number, onward.number);
    assert_null(response.context);
    assert_int_equal(response.message.code, NACRE_CHANGED);
    assert_false(nacre_is_absent(nacre_option_find(response.message.options, NACRE_OPT_OSCORE)));
    party_close(&second);
    party_close(&middle);
    pair_close(&p);
}

/* Without the switch the request is handled as OSCORE, and responses and requests must not carry the option. */
static void without_the_switch_oscore_is_processed(void **state)
{
    (void)state;
    pair p;
    party middle;
    datagram out;
    nacre_exchange exchange;
    pair_open(&p, NULL, &(pairing){ 0 });
    party_open(&middle, "m", 3, NULL);
    to_the_middle(&p, &middle, &exchange);
    assert_true(party_take(&middle, &out, 1));
    assert_int_equal(datagram_message(&out).code, NACRE_UNAUTHORIZED); /* RFC 8613 8.2 step 2 */

    uint8_t buf[16];
    nacre_options o;
    nacre_message plain = { .type = NACRE_CON, .code = NACRE_POST, .payload = NACRE_STR("x") };
    nacre_options_init(&o, NACRE_BUF(buf));
    nacre_options_add(&o, NACRE_OPT_OSCORE, NACRE_STR("\x09\x01"));
    assert_int_equal(nacre_options_finish(&o, &plain.options), NACRE_OK);
    assert_int_equal(nacre_endpoint_request(middle.ep, &exchange, &p.server.address, NULL, &plain, NULL),
                     NACRE_ERR_BAD_ARGUMENT);
    plain.options = NACRE_ABSENT;
    assert_int_equal(nacre_endpoint_request(middle.ep, &exchange, &p.server.address, NULL, &plain, NULL), NACRE_OK);
    party_close(&middle);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_and_responses_are_forwarded_unread),
        cmocka_unit_test(without_the_switch_oscore_is_processed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
