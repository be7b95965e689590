/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* endpoint_test: memory and configuration, whole exchanges, handles and pool entries. */
#include "../scenario/world.h"

/* ---- Memory and configuration ------------------------------------------------------------------------------------ */

static nacre_endpoint_config good_config(party *p)
{
    return (nacre_endpoint_config){ .crypto = p->crypto, .random = { chance_fill, &p->chance } };
}

static void size_and_init_check_the_configuration(void **state)
{
    (void)state;
    party p;
    party_open(&p, "p", 1, NULL);
    nacre_endpoint_config good = good_config(&p);
    const size_t size = nacre_endpoint_size(&good);
    uint8_t *memory = malloc(size);
    nacre_endpoint *ep = NULL;
    assert_int_equal(nacre_endpoint_init(&ep, memory, size, &good), NACRE_OK);
    assert_non_null(ep);
    nacre_endpoint *untouched = NULL;
    assert_int_equal(nacre_endpoint_init(&untouched, memory, size - 1, &good), NACRE_ERR_BUFFER_TOO_SMALL);
    assert_int_equal(nacre_endpoint_init(&untouched, memory + 1, size, &good), NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(nacre_endpoint_init(&untouched, NULL, size, &good), NACRE_ERR_BAD_ARGUMENT);
    nacre_endpoint_config bad = good;
    bad.random.fill = NULL;
    assert_int_equal(nacre_endpoint_init(&untouched, memory, size, &bad), NACRE_ERR_BAD_ARGUMENT);
    bad = good;
    bad.crypto.ops = NULL;
    assert_int_equal(nacre_endpoint_init(&untouched, memory, size, &bad), NACRE_ERR_BAD_ARGUMENT);
    const struct {
        size_t max_message;
        bool ok;
    } rows[] = { { 63, false }, { 64, true }, { 65535, true }, { 65536, false }, { SIZE_MAX, false } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        nacre_endpoint_config c = good;
        c.max_message = rows[i].max_message;
        assert_int_equal(nacre_endpoint_size(&c) != 0, rows[i].ok);
        if (!rows[i].ok) assert_int_equal(nacre_endpoint_init(&untouched, memory, size, &c), NACRE_ERR_BAD_ARGUMENT);
    }
    assert_null(untouched);
    free(memory);
    party_close(&p);
}

/* The largest configuration has a size, or none where size_t cannot represent it. */
static void the_largest_configuration_has_a_size_or_none(void **state)
{
    (void)state;
    const nacre_endpoint_config most = {
        .max_message = 65535, .num_client_exchanges = 65535, .num_server_exchanges = 65535, .burst = 65535
    };
    const size_t size = nacre_endpoint_size(&most);
    if (sizeof(size_t) > 4) assert_true(size > (size_t)65535 * 65535 * 6);
    else assert_int_equal(size, 0);
}

static void wipe_clears_all_memory(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    const nacre_endpoint_config config = good_config(&p.client);
    const size_t size = nacre_endpoint_size(&config);
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    nacre_endpoint_wipe(p.client.ep);
    const uint8_t *memory = p.client.memory;
    for (size_t i = 0; i < size; i++) assert_int_equal(memory[i], 0);
    nacre_endpoint_wipe(NULL);
    pair_close(&p);
}

static void addresses_are_equal_by_length_bytes_and_flags(void **state)
{
    (void)state;
    const nacre_address a = address_named("abc"), b = address_named("abd"), shorter = address_named("ab");
    nacre_address wrong = a, reliable = a;
    wrong.len = 200;
    reliable.flags = NACRE_ADDRESS_RELIABLE;
    assert_true(nacre_address_equal(&a, &a));
    assert_false(nacre_address_equal(&a, &b));
    assert_false(nacre_address_equal(&a, &shorter));
    assert_false(nacre_address_equal(&wrong, &wrong));
    assert_false(nacre_address_equal(&a, &reliable));
    assert_true(nacre_address_equal(&reliable, &reliable));
    assert_true(nacre_address_is_reliable(&reliable));
    assert_false(nacre_address_is_reliable(&a));
}

/* ---- One exchange ------------------------------------------------------------------------------------------------ */

/* A protected CON and its piggybacked response, with each header checked (RFC 7252 5.2.1, RFC 8613 4.2); each side is
 * handed the other's message (RFC 8613 8.2 step 8, RFC 8613 8.4 step 7). */
static void one_exchange(pair *p, nacre_context *ctx, uint8_t type)
{
    datagram out, back;
    int side = 0;
    nacre_exchange exchange;
    nacre_message get = get_request(type);
    assert_int_equal(nacre_endpoint_request(p->client.ep, &exchange, &p->server.address, ctx, &get, &side), NACRE_OK);
    assert_true(party_take(&p->client, &out, 0));
    assert_true(nacre_address_equal(&out.peer, &p->server.address));
    const nacre_message sent = datagram_message(&out);
    assert_int_equal(sent.type, type);
    assert_int_equal(sent.code, ctx != NULL ? NACRE_POST : NACRE_GET);
    assert_int_equal(sent.token.len, 8);

    party_give(&p->server, &p->client, &out, 1);
    const nacre_event request = expect_event(&p->server, NACRE_EVENT_REQUEST);
    assert_ptr_equal(request.context, ctx != NULL ? p->theirs : NULL);
    assert_int_equal(request.message.code, NACRE_GET);
    assert_true(nacre_address_equal(&request.peer, &p->client.address));
    respond_text(&p->server, request.exchange, "hello");
    assert_true(party_take(&p->server, &back, 1));
    const nacre_message sent_response = datagram_message(&back);
    assert_int_equal(sent_response.type, type == NACRE_CON ? NACRE_ACK : NACRE_NON);
    if (type == NACRE_CON) assert_int_equal(sent_response.mid, sent.mid);
    assert_int_equal(sent_response.code, ctx != NULL ? NACRE_CHANGED : NACRE_CONTENT);
    assert_true(nacre_bytes_equal(sent_response.token, sent.token));

    party_give(&p->client, &p->server, &back, 2);
    const nacre_event response = expect_event(&p->client, NACRE_EVENT_RESPONSE);
    assert_int_equal(response.exchange.number, exchange.number);
    assert_ptr_equal(response.context, ctx);
    assert_ptr_equal(response.user, &side);
    assert_int_equal(response.message.code, NACRE_CONTENT);
    assert_payload(response.message, "hello");
    expect_quiet(&p->client, 2);
    expect_quiet(&p->server, 2);
    assert_true(nacre_endpoint_deadline(p->client.ep) == UINT64_MAX);
}

static void con_and_non_exchanges_complete_plain_and_protected(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    one_exchange(&p, p.ours, NACRE_CON);
    one_exchange(&p, p.ours, NACRE_NON);
    one_exchange(&p, NULL, NACRE_CON);
    one_exchange(&p, NULL, NACRE_NON);
    const nacre_endpoint_stats c = nacre_endpoint_get_stats(p.client.ep), s = nacre_endpoint_get_stats(p.server.ep);
    assert_int_equal(c.responses, 4);
    assert_int_equal(c.sent, 4);
    assert_int_equal(s.requests, 4);
    assert_int_equal(s.received, 4);
    pair_close(&p);
}

/* 100,000 exchanges in the same memory: no pool fills up, no handle is reused at once, and none is 0; with this many
 * entries the generations wrap three times. */
static void many_exchanges_reuse_the_same_memory(void **state)
{
    (void)state;
    pair p;
    pair_open(&p,
              &(nacre_endpoint_config){
                  .num_client_exchanges = 1, .num_server_exchanges = 40000, .max_message = 64, .burst = 1 },
              &(pairing){ 0 });
    nacre_exchange last = NACRE_EXCHANGE_NONE;
    for (int i = 0; i < 100000; i++) {
        datagram out;
        const nacre_exchange exchange = start(&p.client, &p.server, NULL, NACRE_NON);
        assert_int_not_equal(exchange.number, last.number);
        last = exchange;
        assert_true(party_take(&p.client, &out, 0));
        nacre_endpoint_cancel(p.client.ep, exchange);
    }
    one_exchange(&p, p.ours, NACRE_CON);
    pair_close(&p);
}

/* ---- Handles and pool entries ------------------------------------------------------------------------------------ */

static void a_full_pool_is_busy_and_ended_handles_are_stale(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .num_client_exchanges = 3 }, &(pairing){ 0 });
    nacre_exchange e[3], other = { 77 };
    const nacre_message get = get_request(NACRE_CON);
    for (int i = 0; i < 3; i++) e[i] = start(&p.client, &p.server, p.ours, NACRE_CON);
    assert_int_equal(nacre_endpoint_request(p.client.ep, &other, &p.server.address, p.ours, &get, NULL),
                     NACRE_ERR_BUSY);
    assert_int_equal(other.number, 77);
    nacre_endpoint_cancel(p.client.ep, e[1]);
    nacre_endpoint_cancel(p.client.ep, e[1]); /* it has ended: no effect */
    const nacre_exchange again = start(&p.client, &p.server, p.ours, NACRE_CON);
    assert_int_not_equal(again.number, e[1].number);
    nacre_endpoint_cancel(p.client.ep, e[1]); /* nor on the exchange that reuses its entry */
    datagram d;
    for (int i = 0; i < 3; i++) assert_true(party_take(&p.client, &d, 0));
    assert_false(party_take(&p.client, &d, 0));

    const nacre_message sent_response = { .code = NACRE_CONTENT };
    const nacre_exchange strangers[] = { { 0 }, { 1 }, e[0], { UINT32_MAX }, { UINT64_MAX }, { 3 } };
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        assert_int_equal(nacre_endpoint_respond(p.client.ep, strangers[i], &sent_response), NACRE_ERR_STALE);
        nacre_endpoint_ignore(p.client.ep, strangers[i]);
    }
    nacre_endpoint_cancel(p.client.ep, NACRE_EXCHANGE_NONE);
    nacre_endpoint_cancel(p.client.ep, (nacre_exchange){ UINT64_MAX });
    nacre_endpoint_cancel(p.client.ep, (nacre_exchange){ UINT64_MAX - 1 });
    pair_close(&p);
}

static void a_request_takes_one_response(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram d, back;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    assert_true(party_take(&p.client, &d, 0));
    party_give(&p.server, &p.client, &d, 0);
    const nacre_event request = expect_event(&p.server, NACRE_EVENT_REQUEST);
    nacre_message sent_response = { .code = NACRE_GET };
    assert_int_equal(nacre_endpoint_respond(p.server.ep, request.exchange, &sent_response), NACRE_ERR_BAD_ARGUMENT);
    sent_response.code = NACRE_EMPTY;
    assert_int_equal(nacre_endpoint_respond(p.server.ep, request.exchange, &sent_response), NACRE_ERR_BAD_ARGUMENT);
    static const uint8_t nested[] = { 0x90 }, broken[] = { 0xff };
    sent_response.code = NACRE_CONTENT;
    sent_response.options = NACRE_ARRAY(nested);
    assert_int_equal(nacre_endpoint_respond(p.server.ep, request.exchange, &sent_response), NACRE_ERR_BAD_ARGUMENT);
    sent_response.options = NACRE_ARRAY(broken);
    assert_int_equal(nacre_endpoint_respond(p.server.ep, request.exchange, &sent_response), NACRE_ERR_BAD_ARGUMENT);
    sent_response.options = NACRE_ABSENT;
    static uint8_t big[1280];
    sent_response.payload = NACRE_ARRAY(big);
    assert_int_equal(nacre_endpoint_respond(p.server.ep, request.exchange, &sent_response), NACRE_ERR_TOO_LONG);
    respond_text(&p.server, request.exchange, "short enough"); /* the exchange stays open meanwhile */
    assert_int_equal(nacre_endpoint_respond(p.server.ep, request.exchange, &sent_response), NACRE_ERR_STALE);
    assert_true(party_take(&p.server, &back, 0));
    expect_quiet(&p.server, 0);
    party_give(&p.client, &p.server, &back, 0);
    const nacre_event response = expect_event(&p.client, NACRE_EVENT_RESPONSE);
    assert_payload(response.message, "short enough");
    pair_close(&p);
}

/* The entry of a completed request is reused: the old handle does not respond to the new request. */
static void old_number_in_a_reused_entry(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .num_server_exchanges = 1 }, &(pairing){ 0 });
    datagram d, back;
    const nacre_message sent_response = { .code = NACRE_CONTENT };
    (void)start(&p.client, &p.server, NULL, NACRE_CON);
    (void)sent_request(&p, &d, 0);
    party_give(&p.server, &p.client, &d, 0);
    const nacre_exchange first = expect_event(&p.server, NACRE_EVENT_REQUEST).exchange;
    respond_text(&p.server, first, "first");
    assert_true(party_take(&p.server, &back, 0));
    (void)start(&p.client, &p.server, NULL, NACRE_CON);
    (void)sent_request(&p, &d, 0);
    party_give(&p.server, &p.client, &d, 0);
    const nacre_exchange second = expect_event(&p.server, NACRE_EVENT_REQUEST).exchange;
    assert_int_not_equal(first.number, second.number);
    assert_int_equal(nacre_endpoint_respond(p.server.ep, first, &sent_response), NACRE_ERR_STALE);
    nacre_endpoint_ignore(p.server.ep, first);
    expect_quiet(&p.server, 0);
    const uint8_t no_responses[] = { NACRE_EMPTY, NACRE_GET, NACRE_CODE(1, 0), NACRE_CODE(3, 0), NACRE_CODE(7, 1) };
    for (size_t i = 0; i < sizeof no_responses; i++) {
        const nacre_message wrong = { .code = no_responses[i] };
        assert_int_equal(nacre_endpoint_respond(p.server.ep, second, &wrong), NACRE_ERR_BAD_ARGUMENT);
    }
    assert_int_equal(nacre_endpoint_respond(p.server.ep, second, &sent_response), NACRE_OK);
    pair_close(&p);
}

/* A request without a response before the next burst counts as ignored: its message is no longer valid. */
static void a_request_without_a_response_counts_as_ignored(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram d, e, back;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    assert_true(party_take(&p.client, &d, 0));
    assert_true(party_take(&p.client, &e, 0));
    party_give(&p.server, &p.client, &d, 0);
    const nacre_datagram next = { .peer = p.client.address, .bytes = { e.bytes, e.len } };
    assert_int_equal(nacre_endpoint_receive_many(p.server.ep, &next, 1, 0), 0); /* the event is not pulled yet */
    const nacre_event first = expect_event(&p.server, NACRE_EVENT_REQUEST);
    party_give(&p.server, &p.client, &e, 0);
    const nacre_message sent_response = { .code = NACRE_CONTENT };
    assert_int_equal(nacre_endpoint_respond(p.server.ep, first.exchange, &sent_response), NACRE_ERR_STALE);
    assert_true(party_take(&p.server, &back, 0));
    assert_int_equal(back.len, 4);
    assert_int_equal(datagram_message(&back).type, NACRE_ACK);
    assert_int_equal(datagram_message(&back).mid, datagram_message(&d).mid);
    const nacre_event second = expect_event(&p.server, NACRE_EVENT_REQUEST);
    nacre_endpoint_ignore(p.server.ep, second.exchange);
    assert_true(party_take(&p.server, &back, 0));
    assert_int_equal(back.len, 4); /* empty, never protected */
    expect_quiet(&p.server, 0);
    pair_close(&p);
}

static void invalid_requests_are_refused(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .max_message = 128 }, &(pairing){ 0 });
    static const uint8_t nested[] = { 0x90 }, broken[] = { 0x1f, 0x00 }, path[] = { 0xb1, 'x' };
    static uint8_t big[128];
    const nacre_message rows[] = {
        { .type = NACRE_ACK, .code = NACRE_GET },
        { .type = NACRE_RST, .code = NACRE_GET },
        { .type = NACRE_CON, .code = NACRE_EMPTY },
        { .type = NACRE_CON, .code = NACRE_CONTENT },
        { .type = NACRE_CON, .code = NACRE_GET, .options = NACRE_ARRAY(nested) },
        { .type = NACRE_CON, .code = NACRE_GET, .options = NACRE_ARRAY(broken) },
    };
    nacre_exchange exchange = { 77 };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int is_protected = 0; is_protected < 2; is_protected++)
            assert_int_equal(nacre_endpoint_request(p.client.ep, &exchange, &p.server.address,
                                                    is_protected ? p.ours : NULL, &rows[i], NULL),
                             NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(exchange.number, 77);
    nacre_message put = { .type = NACRE_CON, .code = NACRE_PUT, .options = NACRE_ARRAY(path) };
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        size_t longest = 0;
        for (size_t len = 0; len <= sizeof big; len++) {
            put.payload = nacre_bytes_of(big, len);
            const nacre_err err = nacre_endpoint_request(p.client.ep, &exchange, &p.server.address,
                                                         is_protected ? p.ours : NULL, &put, NULL);
            if (err == NACRE_OK) {
                datagram d;
                assert_true(party_take(&p.client, &d, 0)); /* an accepted message is sent: nothing fails later */
                assert_true(d.len <= 128);
                longest = len;
                nacre_endpoint_cancel(p.client.ep, exchange);
            } else {
                assert_int_equal(err, NACRE_ERR_TOO_LONG);
            }
        }
        assert_true(longest > 80);
        assert_true(longest < 128 - 14);
    }
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size_and_init_check_the_configuration),
        cmocka_unit_test(the_largest_configuration_has_a_size_or_none),
        cmocka_unit_test(wipe_clears_all_memory),
        cmocka_unit_test(addresses_are_equal_by_length_bytes_and_flags),
        cmocka_unit_test(con_and_non_exchanges_complete_plain_and_protected),
        cmocka_unit_test(many_exchanges_reuse_the_same_memory),
        cmocka_unit_test(a_full_pool_is_busy_and_ended_handles_are_stale),
        cmocka_unit_test(a_request_takes_one_response),
        cmocka_unit_test(old_number_in_a_reused_entry),
        cmocka_unit_test(a_request_without_a_response_counts_as_ignored),
        cmocka_unit_test(invalid_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
