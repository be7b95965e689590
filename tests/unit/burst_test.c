/* SPDX-License-Identifier: MIT */
/* burst_test: protect_many and unprotect_many give what the single calls give for each message, whatever a burst
 * mixes. */
#include "support.h"

enum { ROUNDS = 60, MOST = 80 /* more than two times NACRE_BURST */ };

/* One message of the burst, with everything twice: for the single calls and for the burst. */
typedef struct twin {
    nacre_message plain;
    nacre_protect_options options;
    nacre_request_id id[2];
    nacre_buf buf[2];
    nacre_bytes out[2];
    nacre_err err[2];
} twin;

static size_t pick(uint64_t *state, size_t below)
{
    return (size_t)(test_random(state) % below);
}

static nacre_message some_request(uint64_t *state)
{
    static const char *const payloads[] = { "", "61", "0102030405060708090a0b0c0d0e0f10" };
    nacre_bytes options = NACRE_ABSENT;
    nacre_options o;
    nacre_options_init(&o, test_buf(64));
    nacre_options_add(&o, NACRE_OPT_URI_PATH, NACRE_STR("a"));
    if (pick(state, 3) == 0) nacre_options_add(&o, NACRE_OPT_URI_HOST, NACRE_STR("h"));
    if (pick(state, 4) == 0) nacre_options_add(&o, NACRE_OPT_OBSERVE, NACRE_ABSENT);
    if (pick(state, 9) == 0) nacre_options_add(&o, NACRE_OPT_OSCORE, NACRE_ABSENT); /* fails: NESTED */
    assert_ok(nacre_options_finish(&o, &options));
    uint8_t code = pick(state, 12) == 0 ? NACRE_CONTENT : NACRE_GET; /* a response without the right: fails */
    return test_request(code, options, test_hex(payloads[pick(state, COUNT(payloads))]));
}

static void protecting_a_burst_equals_protecting_one_by_one(void **unused)
{
    (void)unused;
    uint64_t state = 1;
    size_t spent = 0, failed = 0;
    for (int round = 0; round < ROUNDS; round++) {
        nacre_context *one[2] = { test_context_of(1, TEST_CLIENT), test_context_of(3, TEST_CLIENT) };
        nacre_context *many[2] = { test_context_of(1, TEST_CLIENT), test_context_of(3, TEST_CLIENT) };
        size_t num = pick(&state, MOST);
        twin *twins = test_alloc(MOST * sizeof *twins);
        nacre_protect_item *items = test_alloc(MOST * sizeof *items);
        memset(twins, 0, MOST * sizeof *twins);
        memset(items, 0, MOST * sizeof *items);
        for (size_t i = 0; i < num; i++) {
            twin *t = &twins[i];
            size_t which = pick(&state, 2), cap = pick(&state, 8) == 0 ? 20 : 120; /* 20: NO_BUF */
            t->plain = some_request(&state);
            t->options.nonce = (nacre_nonce_choice)pick(&state, 3);
            for (int side = 0; side < 2; side++) t->buf[side] = test_buf(cap);
            if (nacre_code_is_request(t->plain.code))
                t->err[0] = nacre_protect_request(one[which], test_crypto(), &t->id[0], &t->out[0], t->buf[0],
                                                  &t->plain, &t->options);
            else
                t->err[0] = nacre_protect_response(one[which], test_crypto(), &t->id[0], &t->out[0], t->buf[0],
                                                   &t->plain, &t->options);
            items[i] = (nacre_protect_item){
                .context = many[which], .id = &t->id[1], .buf = t->buf[1], .plain = &t->plain, .options = &t->options
            };
        }
        nacre_protect_many(test_crypto(), items, num);
        for (size_t i = 0; i < num; i++) {
            assert_err(items[i].err, twins[i].err[0]);
            if (items[i].err == NACRE_OK) assert_bytes(items[i].out, twins[i].out[0]);
            spent += items[i].err == NACRE_OK;
            failed += items[i].err != NACRE_OK;
        }
        for (int c = 0; c < 2; c++) assert_int_equal(nacre_context_next_seq(one[c]), nacre_context_next_seq(many[c]));
        test_release(NULL);
    }
    assert_true(spent > 500 && failed > 100); /* both outcomes occurred */
}

/* A burst as a server may receive it: fresh, repeated and forged requests, those of other contexts, and messages
 * without OSCORE. */
static void unprotecting_a_burst_equals_unprotecting_one_by_one(void **unused)
{
    (void)unused;
    uint64_t state = 2;
    size_t seen[4] = { 0 }; /* OK, REPLAY, PROTECTION_INVALID, other */
    for (int round = 0; round < ROUNDS; round++) {
        nacre_context *client = test_context_of(1, TEST_CLIENT);
        nacre_context *one = test_context_of(1, TEST_SERVER), *many = test_context_of(1, TEST_SERVER);
        size_t num = 1 + pick(&state, MOST - 1);
        twin *twins = test_alloc(MOST * sizeof *twins);
        nacre_message *outer = test_alloc(MOST * sizeof *outer);
        nacre_unprotect_item *items = test_alloc(MOST * sizeof *items);
        memset(twins, 0, MOST * sizeof *twins);
        memset(items, 0, MOST * sizeof *items);
        for (size_t i = 0; i < num; i++) {
            twin *t = &twins[i];
            nacre_message plain = test_request(NACRE_GET, NACRE_ABSENT, test_hex("6869"));
            nacre_request_id id;
            nacre_bytes datagram = test_protect_request(client, &id, &plain);
            size_t fate = pick(&state, 8);
            if (fate == 0 && i > 0) { /* the same Partial IV twice, possibly in one burst */
                outer[i] = outer[i - 1];
            } else {
                if (fate == 1) ((uint8_t *)(uintptr_t)datagram.ptr)[datagram.len - 1] ^= 1;
                outer[i] = fate == 2 ? plain : test_parse(datagram);
            }
            for (int side = 0; side < 2; side++) t->buf[side] = test_buf(64);
            nacre_message got;
            t->err[0] = nacre_unprotect_request(one, test_crypto(), &t->id[0], &got, t->buf[0], &outer[i]);
            if (t->err[0] == NACRE_OK) t->out[0] = test_datagram(&got);
            items[i] = (nacre_unprotect_item){
                .context = many, .id = &t->id[1], .buf = t->buf[1], .outer = &outer[i], .is_response = false
            };
        }
        nacre_unprotect_many(test_crypto(), items, num);
        for (size_t i = 0; i < num; i++) {
            assert_err(items[i].err, twins[i].err[0]);
            if (items[i].err == NACRE_OK) assert_bytes(test_datagram(&items[i].plain), twins[i].out[0]);
            if (items[i].err != NACRE_OK) assert_true(test_buf_is_clean(twins[i].buf[1]));
            seen[items[i].err == NACRE_OK                       ? 0
                 : items[i].err == NACRE_ERR_REPLAY             ? 1
                 : items[i].err == NACRE_ERR_PROTECTION_INVALID ? 2
                                                                : 3]++;
        }
        uint64_t index[2];
        uint8_t bits[2][4];
        assert_true(nacre_replay_export(nacre_context_replay(one), &index[0], bits[0]));
        assert_true(nacre_replay_export(nacre_context_replay(many), &index[1], bits[1]));
        assert_int_equal(index[0], index[1]);
        assert_memory_equal(bits[0], bits[1], sizeof bits[0]);
        test_release(NULL);
    }
    for (size_t i = 0; i < COUNT(seen); i++) assert_true(seen[i] > 20);
}

static void responses_in_a_burst_match_their_requests(void **unused)
{
    (void)unused;
    enum { NUM = 40 };
    nacre_context *client = test_context_of(1, TEST_CLIENT), *server = test_context_of(1, TEST_SERVER);
    nacre_request_id at_client[NUM], at_server[NUM];
    nacre_message outer[NUM];
    nacre_unprotect_item items[NUM];
    memset(items, 0, sizeof items);
    for (size_t i = 0; i < NUM; i++) {
        nacre_message plain = test_request(NACRE_GET, NACRE_ABSENT, NACRE_ABSENT);
        test_unprotect_request(server, &at_server[i], test_protect_request(client, &at_client[i], &plain));
        nacre_message response = test_response(NACRE_CONTENT, NACRE_ABSENT, test_fill((uint8_t)i, 3));
        outer[i] = test_parse(test_protect_response(server, &at_server[i], &response, NULL));
    }
    for (size_t i = 0; i < NUM; i++) {
        size_t of = i == 7 ? 8 : i; /* one is tried against another's request */
        items[i] = (nacre_unprotect_item){
            .context = client, .id = &at_client[of], .buf = test_buf(32), .outer = &outer[i], .is_response = true
        };
    }
    nacre_unprotect_many(test_crypto(), items, NUM);
    for (size_t i = 0; i < NUM; i++) {
        assert_err(items[i].err, i == 7 ? NACRE_ERR_PROTECTION_INVALID : NACRE_OK);
        if (i != 7) assert_bytes(items[i].plain.payload, test_fill((uint8_t)i, 3));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(protecting_a_burst_equals_protecting_one_by_one),
        TEST(unprotecting_a_burst_equals_unprotecting_one_by_one),
        TEST(responses_in_a_burst_match_their_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
