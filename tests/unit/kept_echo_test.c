/* SPDX-License-Identifier: MIT */
/* kept_echo: an Echo value of any response goes with the next request to the address and the security context that it came
 * from, once (RFC 9175 2.3). */
#include "../scenario/world.h"

static const uint8_t echo_option[] = { 0xd3, 0xef, 'a', 'b', 'c' };

/* One request of the client's, and an answer with those options; the Echo value that the request had. */
static nacre_bytes asked(pair *p, const nacre_address *peer, nacre_context *ours, nacre_bytes answer_options,
                         uint64_t now)
{
    static uint8_t kept[40];
    const nacre_message get = get_request(NACRE_CON);
    nacre_exchange exchange;
    datagram d, back;
    assert_int_equal(nacre_endpoint_request(p->client.ep, &exchange, peer, ours, &get, NULL), NACRE_OK);
    assert_true(party_take(&p->client, &d, now));
    if (!nacre_address_equal(peer, &p->server.address)) { /* nothing answers there */
        nacre_endpoint_cancel(p->client.ep, exchange);
        return nacre_option_find(datagram_message(&d).options, NACRE_OPT_ECHO).len > 0 ? NACRE_STR("some")
                                                                                       : NACRE_ABSENT;
    }
    party_give(&p->server, &p->client, &d, now);
    const nacre_event request = expect_event(&p->server, NACRE_EVENT_REQUEST);
    const nacre_bytes echo = nacre_option_find(request.message.options, NACRE_OPT_ECHO);
    const nacre_bytes copy = nacre_is_absent(echo) ? NACRE_ABSENT : nacre_bytes_of(kept, echo.len);
    if (echo.len > 0) memcpy(kept, echo.ptr, echo.len);
    const nacre_message answer = { .code = NACRE_CONTENT, .options = answer_options };
    assert_int_equal(nacre_endpoint_respond(p->server.ep, request.exchange, &answer), NACRE_OK);
    assert_true(party_take(&p->server, &back, now));
    party_give(&p->client, &p->server, &back, now);
    (void)expect_event(&p->client, NACRE_EVENT_RESPONSE);
    return copy;
}

static void value_of_a_success_goes_with_the_next_request_once(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        pair p;
        pair_open(&p, NULL, &(pairing){ 0 });
        nacre_context *ctx = is_protected ? p.ours : NULL;
        assert_true(nacre_is_absent(asked(&p, &p.server.address, ctx, NACRE_ARRAY(echo_option), 0)));
        assert_true(nacre_bytes_equal(asked(&p, &p.server.address, ctx, NACRE_ABSENT, 0), NACRE_STR("abc")));
        assert_true(nacre_is_absent(asked(&p, &p.server.address, ctx, NACRE_ABSENT, 0)));
        pair_close(&p);
    }
}

/* What came inside goes inside, what came in clear goes in clear, and neither to another address, nor late. */
static void value_goes_nowhere_else(void **state)
{
    (void)state;
    enum { OTHER_PROTECTION, ELSEWHERE, LATE, IN_TIME, NUM };
    for (int is_protected = 0; is_protected < 2; is_protected++)
        for (int row = OTHER_PROTECTION; row < NUM; row++) {
            pair p;
            pair_open(&p, NULL, &(pairing){ 0 });
            nacre_context *ctx = is_protected ? p.ours : NULL, *other = is_protected ? NULL : p.ours;
            const nacre_address elsewhere = address_named("elsewhere");
            (void)asked(&p, &p.server.address, ctx, NACRE_ARRAY(echo_option), 0);
            const nacre_bytes got =
                row == OTHER_PROTECTION ? asked(&p, &p.server.address, other, NACRE_ABSENT, 0)
                : row == ELSEWHERE      ? asked(&p, &elsewhere, NULL, NACRE_ABSENT, 0)
                                   : asked(&p, &p.server.address, ctx, NACRE_ABSENT, row == LATE ? 248000 : 246000);
            assert_int_equal(got.len, row == IN_TIME ? 3 : 0);
            if (row < LATE) assert_int_equal(asked(&p, &p.server.address, ctx, NACRE_ABSENT, 0).len, 3);
            pair_close(&p);
        }
}

/* A context that goes takes its value along: another may stand in its place. */
static void value_goes_with_its_context(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    (void)asked(&p, &p.server.address, p.ours, NACRE_ARRAY(echo_option), 0);
    nacre_endpoint_context_gone(p.client.ep, p.ours);
    assert_true(nacre_is_absent(asked(&p, &p.server.address, p.ours, NACRE_ABSENT, 0)));
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_of_a_success_goes_with_the_next_request_once),
        cmocka_unit_test(value_goes_nowhere_else),
        cmocka_unit_test(value_goes_with_its_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
