/* SPDX-License-Identifier: MIT */
/* option_check_test: options of an impossible length, and surplus ones, count as unrecognised (RFC 7252 5.4.1, 5.4.3,
 * 5.4.5): elective ones are dropped, critical ones reject the message. In requests and responses, plain and inner. */
#include "../scenario/world.h"
#include <coap/option_check.h>
#include <nacre/site.h>

enum { BUF_SIZE = 1024 };

/* A list of options: pairs of number and length, ended by number 0; values count up. */
typedef struct listed {
    uint16_t number;
    size_t len;
} listed;

static nacre_bytes encode(nacre_buf buf, const listed *list)
{
    static const uint8_t value[300] = { 0x2a, 1, 2, 3, 4 };
    nacre_options o;
    nacre_bytes out;
    nacre_options_init(&o, buf);
    for (; list->number != 0; list++) nacre_options_add(&o, list->number, nacre_bytes_of(value, list->len));
    assert_int_equal(nacre_options_finish(&o, &out), NACRE_OK);
    return out;
}

static void same_options(nacre_bytes got, const listed *expected)
{
    uint8_t buf[BUF_SIZE];
    const nacre_bytes bytes = encode(NACRE_BUF(buf), expected);
    assert_int_equal(got.len, bytes.len);
    if (got.len > 0) assert_memory_equal(got.ptr, bytes.ptr, got.len);
}

/* Elective options: those sent, and those left. */
static const struct {
    listed sent[4], left[4];
} rows[] = {
    { { { 4, 8 }, { 4, 8 } }, { { 4, 8 }, { 4, 8 } } },
    { { { 4, 9 } }, { { 0, 0 } } },
    { { { 4, 0 } }, { { 0, 0 } } },
    { { { 4, 9 }, { 4, 1 } }, { { 4, 1 } } },
    { { { 12, 2 } }, { { 12, 2 } } },
    { { { 12, 4 } }, { { 0, 0 } } },
    { { { 12, 1 }, { 12, 1 } }, { { 12, 1 } } },
    { { { 14, 4 }, { 28, 4 } }, { { 14, 4 }, { 28, 4 } } },
    { { { 14, 5 }, { 28, 8 } }, { { 0, 0 } } },
    { { { 8, 255 }, { 8, 256 }, { 2000, 256 } }, { { 8, 255 }, { 2000, 256 } } },
    { { { 60, 5 }, { 292, 8 }, { 292, 9 } }, { { 292, 8 } } },
    { { { 258, 2 }, { 2000, 3 }, { 2000, 4 } }, { { 2000, 3 }, { 2000, 4 } } },
    { { { 4, 9 }, { 60, 4 }, { 252, 41 } }, { { 60, 4 } } },
};
enum { NUM_ROWS = sizeof rows / sizeof *rows };

static void elective_options_are_dropped_in_place_and_in_a_copy(void **state)
{
    (void)state;
    for (size_t i = 0; i < NUM_ROWS; i++) {
        uint8_t buf[1024], apart[1024];
        const nacre_bytes sent = encode(NACRE_BUF(buf), rows[i].sent);
        uint32_t seen = 0;
        (void)nacre__options_scan(sent.ptr, sent.ptr + sent.len, &seen);
        const uint32_t all = nacre__options_seen(sent);
        assert_int_equal(all & ~NACRE__SEEN_UNRECOGNISED, seen);
        const size_t len = nacre__options_drop(apart, sent);
        assert_int_equal((all & NACRE__SEEN_UNRECOGNISED) != 0, len != sent.len);
        same_options(nacre_bytes_of(apart, len), rows[i].left);
        same_options(nacre_bytes_of(buf, nacre__options_drop(buf, sent)), rows[i].left);
    }
}

/* Every number below 512 with each length up to 300: the table alone decides. */
static void the_table_decides(void **state)
{
    (void)state;
    static uint8_t buf[1024];
    for (uint16_t number = 1; number < 512; number++) {
        const nacre_option_info *info = nacre_option_lookup(number);
        for (size_t len = 0; len <= 300; len++) {
            const bool counts = len >= info->min_len && len <= info->max_len;
            const listed one[] = { { number, len }, { 0, 0 } }, two[] = { { number, len }, { number, len }, { 0, 0 } };
            uint32_t seen = nacre__options_seen(encode(NACRE_BUF(buf), one));
            if (number != 32) assert_int_equal((seen & NACRE__SEEN_UNRECOGNISED) == 0, counts);
            seen = nacre__options_seen(encode(NACRE_BUF(buf), two));
            if (number != 32)
                assert_int_equal((seen & NACRE__SEEN_UNRECOGNISED) == 0,
                                 counts && (info->flags & NACRE_REPEATABLE) != 0);
        }
    }
}

static void requests_and_responses_lose_unrecognised_options(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++)
        for (size_t i = 0; i < NUM_ROWS; i++) {
            uint8_t buf[1024];
            pair p;
            datagram d, back;
            nacre_exchange exchange;
            const nacre_endpoint_config config = config_unlimited((nacre_endpoint_config){ 0 });
            pair_open(&p, &config, &(pairing){ 0 });
            const nacre_message get = { .code = NACRE_GET, .options = encode(NACRE_BUF(buf), rows[i].sent) };
            assert_int_equal(nacre_endpoint_request(p.client.ep, &exchange, &p.server.address,
                                                    is_protected ? p.ours : NULL, &get, NULL),
                             NACRE_OK);
            (void)sent_request(&p, &d, 0);
            party_give(&p.server, &p.client, &d, 0);
            const nacre_event request = expect_event(&p.server, NACRE_EVENT_REQUEST);
            same_options(request.message.options, rows[i].left);
            const nacre_message response = { .code = NACRE_CONTENT, .options = get.options };
            assert_int_equal(nacre_endpoint_respond(p.server.ep, request.exchange, &response), NACRE_OK);
            if (party_take(&p.server, &back, 0)) { /* unless No-Response is among them */
                party_give(&p.client, &p.server, &back, 0);
                same_options(expect_event(&p.client, NACRE_EVENT_RESPONSE).message.options, rows[i].left);
            }
            pair_close(&p);
        }
}

/* RFC 7641 4.1: an Observe option of four bytes counts as absent, in a registration and in its response. */
static void observe_of_four_bytes_counts_as_absent(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        static const listed four[] = { { NACRE_OPT_OBSERVE, 4 }, { 0, 0 } }, none[] = { { 0, 0 } };
        uint8_t buf[32];
        pair p;
        datagram d;
        nacre_exchange exchange;
        pair_open(&p, &(nacre_endpoint_config){ .observe.num_observers = 2 }, &(pairing){ 0 });
        const nacre_message get = { .code = NACRE_GET, .options = encode(NACRE_BUF(buf), four) };
        assert_int_equal(
            nacre_endpoint_request(p.client.ep, &exchange, &p.server.address, is_protected ? p.ours : NULL, &get, NULL),
            NACRE_OK);
        (void)sent_request(&p, &d, 0);
        party_give(&p.server, &p.client, &d, 0);
        same_options(expect_event(&p.server, NACRE_EVENT_REQUEST).message.options, none);
        pair_close(&p);
    }
}

static const listed foreign[][3] = { { { 2001, 0 } },
                                     { { NACRE_OPT_ACCEPT, 3 } },
                                     { { NACRE_OPT_URI_HOST, 3 }, { NACRE_OPT_URI_HOST, 3 } } };
enum { NUM_FOREIGN = sizeof foreign / sizeof *foreign };

/* Responses: a CON gets RST and ends its exchange; a NON is ignored, and the exchange goes on. */
static void separate_responses_are_rejected(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++)
        for (size_t i = 0; i < NUM_FOREIGN; i++) {
            uint8_t buf[32];
            pair p;
            datagram d, back;
            pair_open(&p, NULL, &(pairing){ 0 });
            const nacre_message bad = { .code = NACRE_CONTENT, .options = encode(NACRE_BUF(buf), foreign[i]) };
            (void)start(&p.client, &p.server, is_protected ? p.ours : NULL, NACRE_CON);
            (void)sent_request(&p, &d, 0);
            party_give(&p.server, &p.client, &d, 0);
            const nacre_event request = expect_event(&p.server, NACRE_EVENT_REQUEST);
            assert_int_equal(nacre_endpoint_defer_response(p.server.ep, request.exchange), NACRE_OK);
            nacre_endpoint_expire(p.server.ep, 100); /* the empty ACK */
            while (party_take(&p.server, &back, 100)) party_give(&p.client, &p.server, &back, 100);
            assert_int_equal(nacre_endpoint_respond(p.server.ep, request.exchange, &bad), NACRE_OK);
            assert_true(party_take(&p.server, &back, 100));
            assert_int_equal(datagram_message(&back).type, NACRE_CON);
            for (int copy = 0; copy < 2; copy++) {
                party_give(&p.client, &p.server, &back, 100);
                if (copy == 0) expect_failed(&p.client, NACRE_ERR_CRITICAL_OPTION);
                assert_true(party_take(&p.client, &d, 100));
                assert_int_equal(datagram_message(&d).type, NACRE_RST);
                assert_int_equal(datagram_message(&d).mid, datagram_message(&back).mid);
            }
            expect_quiet(&p.client, 100);
            pair_close(&p);
        }
}

static void non_responses_are_ignored(void **state)
{
    (void)state;
    for (size_t i = 0; i < NUM_FOREIGN; i++) {
        uint8_t buf[32];
        pair p;
        datagram d, back;
        pair_open(&p, NULL, &(pairing){ 0 });
        (void)start(&p.client, &p.server, NULL, NACRE_NON);
        const nacre_message sent = sent_request(&p, &d, 0);
        nacre_message response = { .type = NACRE_NON, .code = NACRE_CONTENT, .mid = 7, .token = sent.token };
        response.options = encode(NACRE_BUF(buf), foreign[i]);
        datagram_write(&back, &response);
        party_give(&p.client, &p.server, &back, 0);
        expect_quiet(&p.client, 0);
        response.options = NACRE_ABSENT;
        response.mid = 8;
        datagram_write(&back, &response);
        party_give(&p.client, &p.server, &back, 0);
        assert_int_equal(expect_event(&p.client, NACRE_EVENT_RESPONSE).message.code, NACRE_CONTENT);
        pair_close(&p);
    }
}

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    nacre_response_text(response, NACRE_CONTENT, "hello");
}

/* Requests to a site: a CON gets 4.02, a NON no response; also Block options of impossible length, which the transfer
 * reads first. */
static void requests_are_refused_or_ignored(void **state)
{
    (void)state;
    static const nacre_resource resource = { .path = "/", .handler = hello };
    static const listed blocks[][3] = { { { NACRE_OPT_BLOCK1, 4 } }, { { NACRE_OPT_BLOCK2, 4 } } };
    for (int non = 0; non < 2; non++)
        for (size_t i = 0; i < NUM_FOREIGN + 2; i++) {
            const bool is_block = i >= NUM_FOREIGN;
            uint8_t buf[32];
            pair p;
            datagram d, back;
            nacre_event event;
            nacre_site *site;
            nacre_exchange exchange;
            pair_open(&p, NULL, &(pairing){ 0 });
            party_add_transfer(&p.server, NULL);
            const nacre_site_config config = { .transfer = p.server.transfer };
            void *memory = malloc(nacre_site_size(&config));
            assert_int_equal(nacre_site_init(&site, memory, nacre_site_size(&config), &config), NACRE_OK);
            nacre_site_set_resources(site, &resource, 1);
            const nacre_message get = { .type = non ? NACRE_NON : NACRE_CON,
                                        .code = NACRE_GET,
                                        .options =
                                            encode(NACRE_BUF(buf), is_block ? blocks[i - NUM_FOREIGN] : foreign[i]) };
            assert_int_equal(nacre_endpoint_request(p.client.ep, &exchange, &p.server.address, p.ours, &get, NULL),
                             NACRE_OK);
            (void)sent_request(&p, &d, 0);
            party_give(&p.server, &p.client, &d, 0);
            if (party_next_event(&p.server, &event)) assert_int_equal(nacre_site_respond(site, &event), NACRE_OK);
            const bool responded = party_take(&p.server, &back, 0);
            assert_int_equal(responded, !non);
            if (responded) {
                party_give(&p.client, &p.server, &back, 0);
                assert_int_equal(expect_event(&p.client, NACRE_EVENT_RESPONSE).message.code, NACRE_BAD_OPTION);
            }
            pair_close(&p);
            free(memory);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elective_options_are_dropped_in_place_and_in_a_copy),
        cmocka_unit_test(the_table_decides),
        cmocka_unit_test(requests_and_responses_lose_unrecognised_options),
        cmocka_unit_test(observe_of_four_bytes_counts_as_absent),
        cmocka_unit_test(separate_responses_are_rejected),
        cmocka_unit_test(non_responses_are_ignored),
        cmocka_unit_test(requests_are_refused_or_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
