/* SPDX-License-Identifier: MIT */
/* regressions_test: faults published of other implementations, in the combinations that the tests of single modules
 * leave out: the other direction, another option, bursts, or several exchanges at once. */
#include "blocks.h"
#include "support.h"

static void assert_same_message(nacre_message got, nacre_message expected)
{
    assert_bytes(test_datagram(&got), test_datagram(&expected));
}

/* A request and its response; the response once with the request's nonce and once with its own Partial IV. */
static void round_trip(nacre_context *client, nacre_context *server, nacre_bytes options, nacre_bytes payload)
{
    nacre_message request = test_request(NACRE_FETCH, options, payload);
    nacre_message response = test_response(NACRE_CONTENT, options, payload);
    nacre_request_id at_client, at_server;
    assert_same_message(test_unprotect_request(server, &at_server, test_protect_request(client, &at_client, &request)),
                        request);
    for (int fresh = 0; fresh <= 1; fresh++) {
        nacre_protect_options how = { .nonce = fresh ? NACRE_NONCE_NEW : NACRE_NONCE_REQUEST, .send_kid = fresh };
        assert_same_message(test_unprotect_response(client, &at_client, NULL,
                                                    test_protect_response(server, &at_server, &response, &how)),
                            response);
    }
}

/* RFC 8613 3.3: IDs of every length that an algorithm allows, up to the longest and one more, both ends in both
 * roles. */
static void ids_of_every_length_work(void **state)
{
    (void)state;
    const nacre_aead *aead;
    for (size_t a = 0; (aead = nacre_aead_at(a)) != NULL; a++) {
        size_t most = aead->nonce_len - 6u;
        for (size_t len = 0; len <= most + 1; len++)
            for (size_t id_context = 0; id_context <= 255; id_context += len == 0 ? 1 : 51) {
                nacre_context_params one = test_params(1, TEST_CLIENT), two = one;
                one.cose_aead = two.cose_aead = aead->cose;
                one.sender_id = two.recipient_id = test_fill(0xff, len);
                one.recipient_id = two.sender_id = test_fill(0x01, most);
                one.id_context = two.id_context = test_fill(0xee, id_context);
                if (len > most) {
                    nacre_context ctx;
                    assert_err(nacre_context_init(&ctx, test_crypto(), &one, test_buf(1000)), NACRE_ERR_BAD_ARGUMENT);
                    continue;
                }
                nacre_context *x = test_context(&one), *y = test_context(&two);
                round_trip(x, y, test_options(11, "61", 0), test_hex("01"));
                round_trip(y, x, test_options(11, "61", 0), test_hex("01"));
            }
        (void)test_release(NULL);
    }
}

/* The same request twice in one burst, and again in the next, is accepted once in every state of the context. */
static void replays_in_bursts_are_refused(void **state)
{
    (void)state;
    static uint64_t words[NACRE_REPLAY_MAX / 64];
    static const uint64_t numbers[] = { 0, 1, 255, 256, 65536, UINT64_C(1) << 32, NACRE_SEQ_MAX };
    for (unsigned combination = 0; combination < 16; combination++)
        for (size_t n = 0; n < COUNT(numbers); n++) {
            int vector = combination & 1 ? 3 : 1;
            nacre_context_params params = test_params(vector, TEST_CLIENT);
            params.next_seq = numbers[n];
            nacre_context *client = test_context(&params);
            params = test_params(vector, TEST_SERVER);
            if (combination & 2) params.echo = test_hex("0102030405060708");
            params.persistent = combination & 4;
            params.never_used = true;
            params.window = combination & 8 ? 1000 : 0;
            params.window_words = words;
            nacre_context *server = test_context(&params);
            nacre_context_confirm_window_lost(server); /* its store, if any, holds no known window */
            nacre_message get = test_request(NACRE_GET, NACRE_ABSENT, NACRE_ABSENT);
            nacre_request_id id, ids[4];
            nacre_bytes datagram = test_protect_request(client, &id, &get);
            nacre_message outer = test_parse(datagram);
            for (int burst = 0; burst < 2; burst++) {
                nacre_unprotect_item items[COUNT(ids)];
                memset(items, 0, sizeof items);
                for (size_t i = 0; i < COUNT(ids); i++)
                    items[i] = (nacre_unprotect_item){
                        .context = server, .id = &ids[i], .buf = test_buf(datagram.len), .outer = &outer
                    };
                nacre_unprotect_many(test_crypto(), items, COUNT(ids));
                for (size_t i = 0; i < COUNT(ids); i++)
                    assert_err(items[i].err, burst == 0 && i == 0 ? NACRE_OK : NACRE_ERR_REPLAY);
            }
            (void)test_release(NULL);
        }
}

/* Observations and requests interleaved on one pair of contexts, in both directions at once: each response is accepted
 * for its own request and refused for all others. */
enum { EXCHANGES = 8 };
typedef struct in_flight {
    nacre_context *client, *server;
    nacre_request_id at_client, at_server;
    bool observes;
    nacre_notification_order order;
} in_flight;

static void notify(in_flight *all, size_t which, unsigned round, bool send_kid)
{
    in_flight *x = &all[which];
    nacre_bytes options = x->observes ? test_options(6, "05", 0) : NACRE_ABSENT;
    nacre_message response = test_response(NACRE_CONTENT, options, test_fill((uint8_t)(16 * which + round), 9)), plain;
    nacre_protect_options how = { .send_kid = send_kid };
    nacre_response_info info;
    nacre_bytes datagram = test_protect_response(x->server, &x->at_server, &response, &how);
    nacre_message outer = test_parse(datagram);
    for (size_t i = 0; i < EXCHANGES; i++) {
        if (i == which) continue;
        nacre_err err = nacre_unprotect_response(all[i].client, test_crypto(), &all[i].at_client, &plain, NULL,
                                                 test_buf(datagram.len), &outer);
        assert_true(err == NACRE_ERR_PROTECTION_INVALID || (send_kid && err == NACRE_ERR_NO_CONTEXT));
    }
    plain = test_unprotect_response(x->client, &x->at_client, &info, datagram);
    assert_bytes(plain.payload, response.payload);
    assert_int_equal(info.has_partial_iv, round > 0); /* the request's nonce serves once */
    if (!x->observes) return;
    assert_ok(nacre_notification_accept(&x->order, &info));
    assert_err(nacre_notification_accept(&x->order, &info), NACRE_ERR_REPLAY);
}

static void interleaved_responses_match_their_requests(void **state)
{
    (void)state;
    for (unsigned combination = 0; combination < 8; combination++) {
        int vector = 1 + (int)(combination % 3);
        nacre_context *ends[2] = { test_context_of(vector, TEST_CLIENT), test_context_of(vector, TEST_SERVER) };
        in_flight all[EXCHANGES];
        memset(all, 0, sizeof all);
        for (size_t i = 0; i < EXCHANGES; i++) {
            in_flight *x = &all[i];
            x->observes = (i + combination) % 3 != 0;
            x->client = ends[i % 2], x->server = ends[(i + 1) % 2];
            nacre_bytes options = x->observes ? test_options(6, "", 11, "61", 0) : test_options(11, "61", 0);
            nacre_message get = test_request(NACRE_GET, options, NACRE_ABSENT);
            (void)test_unprotect_request(x->server, &x->at_server,
                                         test_protect_request(x->client, &x->at_client, &get));
        }
        for (unsigned round = 0; round < 5; round++)
            for (size_t i = 0; i < EXCHANGES; i++) {
                size_t which = (i * 5 + combination) % EXCHANGES;
                if (round == 0 || all[which].observes) notify(all, which, round, combination & 1);
            }
        (void)test_release(NULL);
    }
}

/* RFC 9175 2.2: a peer's Echo value of 1 to 40 bytes arrives and is returned unchanged, with any token. */
static void an_echo_of_every_length_is_returned(void **state)
{
    (void)state;
    static const size_t tokens[] = { 0, 8, 13, 300 };
    for (size_t t = 0; t < COUNT(tokens); t++)
        for (size_t len = 1; len <= 40; len++) {
            test_exchange x = test_exchange_of(1);
            nacre_options o;
            nacre_bytes options, echo = test_fill((uint8_t)len, len);
            nacre_options_init(&o, test_buf(60));
            nacre_options_add(&o, NACRE_OPT_ECHO, echo);
            assert_ok(nacre_options_finish(&o, &options));
            nacre_message challenge = test_response(NACRE_UNAUTHORIZED, options, NACRE_ABSENT);
            nacre_message again = test_request(NACRE_GET, options, NACRE_ABSENT), got;
            challenge.token = again.token = test_fill(0xff, tokens[t]);
            got = test_unprotect_response(x.client, &x.at_client, NULL,
                                          test_protect_response(x.server, &x.at_server, &challenge, NULL));
            assert_same_message(got, challenge);
            nacre_request_id id;
            nacre_bytes datagram = test_protect_request(x.client, &id, &again);
            assert_bytes(nacre_option_find(test_parse(datagram).options, NACRE_OPT_ECHO), NACRE_ABSENT); /* inner */
            assert_same_message(test_unprotect_request(x.server, &id, datagram), again);
            (void)test_release(NULL);
        }
}

/* Deltas and lengths where their encoding changes, values and payloads full of 0xff, in both directions; the longest
 * values need an algorithm that takes them. Also more options than any table of fixed size holds. */
static void extended_options_arrive_both_ways(void **state)
{
    (void)state;
    static const uint16_t deltas[] = { 12, 13, 268, 269, 270, 65535 };
    static const size_t lengths[] = { 0, 12, 13, 268, 269, 270, 65804 };
    for (size_t first = 0; first < COUNT(deltas); first++)
        for (size_t l = 0; l < COUNT(lengths); l++) {
            nacre_context_params params[2] = { test_params(1, TEST_CLIENT), test_params(1, TEST_SERVER) };
            params[0].cose_aead = params[1].cose_aead = 1;
            nacre_context *client = test_context(&params[0]), *server = test_context(&params[1]);
            nacre_options o;
            nacre_bytes options;
            nacre_options_init(&o, test_buf(2 * lengths[l] + 400));
            nacre_options_add(&o, deltas[first], test_fill(0xff, lengths[l])); /* two extended ones in a row */
            if (deltas[first] < 65535)
                nacre_options_add(&o, (uint16_t)(deltas[first] + 280), test_fill(0xff, lengths[l]));
            nacre_options_add(&o, NACRE_OPT_URI_HOST, test_fill(0xff, lengths[l] < 255 ? lengths[l] : 255));
            assert_ok(nacre_options_finish(&o, &options));
            round_trip(client, server, options, test_fill(0xff, l));
            round_trip(server, client, options, test_fill(0xff, l));
            (void)test_release(NULL);
        }
    test_exchange x = test_exchange_of(3);
    nacre_options o;
    nacre_bytes options;
    nacre_options_init(&o, test_buf(30000));
    for (size_t i = 0; i < 5000; i++)
        nacre_options_add(&o, (uint16_t)(i < 2500 ? 11 : 2000 + i), test_fill(0xff, i % 4));
    assert_ok(nacre_options_finish(&o, &options));
    round_trip(x.client, x.server, options, test_hex("ff"));
    round_trip(x.server, x.client, options, test_hex("ff"));
}

/* A forged message longer than the algorithm takes is refused, and the next valid one is accepted, where one library's
 * cipher would have corrupted its key. Both directions, singly and in a burst. */
static void a_forged_giant_does_not_spoil_the_key(void **state)
{
    (void)state;
    for (size_t len = 65535 + 8; len <= 65536 + 9; len++)
        for (int burst = 0; burst <= 1; burst++) {
            test_exchange x = test_exchange_of(1);
            nacre_message giant = test_request(NACRE_POST, test_options(9, "0905", 0), test_fill(1, len)), plain;
            nacre_request_id id;
            nacre_err err;
            nacre_unprotect_item item = { .context = x.server, .id = &id, .buf = test_buf(len), .outer = &giant };
            if (burst) nacre_unprotect_many(test_crypto(), &item, 1);
            err = burst ? item.err : nacre_unprotect_request(x.server, test_crypto(), &id, &plain, item.buf, &giant);
            assert_err(err, NACRE_ERR_PROTECTION_INVALID);
            giant.code = NACRE_CHANGED, giant.options = test_options(9, "0105", 0);
            err = nacre_unprotect_response(x.client, test_crypto(), &x.at_client, &plain, NULL, item.buf, &giant);
            assert_err(err, NACRE_ERR_PROTECTION_INVALID);
            round_trip(x.client, x.server, test_options(11, "61", 0), test_hex("01"));
            (void)test_release(NULL);
        }
}

/* ---- Rederivation ---- */
enum { N = NACRE_REDERIVE_NONCE, MESSAGES = 4 };
typedef enum fate { ARRIVES, LOST, DOUBLED, LATE, NUM_FATES } fate;

typedef struct side {
    nacre_context_params material;
    nacre_rederived derived, spare;
} side;

static void wipe_side(void *what)
{
    side *s = what;
    nacre_context_wipe(&s->derived.context);
    nacre_context_wipe(&s->spare.context);
}

static side *side_of(test_end end)
{
    size_t size = 0, align = 0;
    assert_ok(nacre_context_key_layout(test_crypto(), 0, &size, &align));
    uint8_t *keys[2] = { test_alloc(size), test_alloc(size) };
    side *s = test_alloc(sizeof *s);
    memset(s, 0, sizeof *s);
    s->material = test_params(1, end);
    s->derived.key_buf = (nacre_buf){ keys[0], size };
    s->spare.key_buf = (nacre_buf){ keys[1], size };
    test_keep(s, wipe_side);
    return s;
}

typedef struct procedure {
    side *c, *s;
    nacre_rederive_client client;
    nacre_rederive_server server;
    nacre_request_id id_1, id_2, at_server;
    uint8_t next_random;
    nacre_bytes sent[MESSAGES];
} procedure;

static const uint8_t *nonce_of(procedure *p)
{
    return test_fill(++p->next_random, N).ptr;
}

/* Each returns the receiver's verdict and leaves the next message in `sent`. */
static nacre_err receive_1(procedure *p)
{
    nacre_message outer = test_parse(p->sent[0]);
    return nacre_rederive_offer_r2(&p->server, &p->s->spare, &p->sent[1], test_buf(64),
                                   &(nacre_rederive_request_1){ .crypto = test_crypto(),
                                                                .material = &p->s->material,
                                                                .outer = &outer,
                                                                .header = &outer,
                                                                .ordinary = false,
                                                                .s2 = nonce_of(p),
                                                                .now_ms = 0,
                                                                .scratch = test_buf(64) });
}

static nacre_err receive_2(procedure *p, nacre_bytes datagram)
{
    nacre_message outer = test_parse(datagram), plain = test_request(NACRE_PUT, NACRE_ABSENT, test_hex("01"));
    nacre_err err =
        nacre_rederive_response(&p->client, &p->c->derived, &p->c->spare, test_buf(64),
                                &(nacre_rederive_response_1){ test_crypto(), &p->id_1, &outer, nonce_of(p) });
    if (err != NACRE_OK) return err;
    nacre_protect_options how = nacre_rederive_options(&p->client);
    assert_ok(nacre_protect_request(&p->c->derived.context, test_crypto(), &p->id_2, &p->sent[2], test_buf(64), &plain,
                                    &how));
    return NACRE_OK;
}

static nacre_err receive_3(procedure *p)
{
    nacre_message outer = test_parse(p->sent[2]), plain;
    nacre_err err = nacre_rederive_accept(&p->server, &p->s->derived, &p->s->spare, &p->at_server, &plain, test_buf(64),
                                          &(nacre_rederive_request_2){ test_crypto(), &p->s->material, &outer, 0 });
    if (err != NACRE_OK) return err;
    nacre_message response = test_response(NACRE_CHANGED, NACRE_ABSENT, test_hex("02"));
    p->sent[3] = test_protect_response(&p->s->derived.context, &p->at_server, &response, NULL);
    return NACRE_OK;
}

static nacre_err receive_4(procedure *p)
{
    nacre_message outer = test_parse(p->sent[3]), plain;
    return nacre_unprotect_response(&p->c->derived.context, test_crypto(), &p->id_2, &plain, NULL, test_buf(64),
                                    &outer);
}

static void run_procedure(procedure *p, const fate *fates)
{
    nacre_message get = test_request(NACRE_GET, NACRE_ABSENT, NACRE_ABSENT);
    nacre_rederive_server_init(&p->server, test_fill(9, NACRE_REDERIVE_KEY).ptr, 247000);
    assert_ok(nacre_rederive_begin(&p->client, &p->c->derived, test_crypto(), &p->c->material, nonce_of(p)));
    nacre_protect_options how = nacre_rederive_options(&p->client);
    assert_ok(
        nacre_protect_request(&p->c->derived.context, test_crypto(), &p->id_1, &p->sent[0], test_buf(64), &get, &how));
    /* request #1: a lost one is retransmitted unchanged; a duplicated one gets two responses, either of which is
     * usable */
    assert_ok(receive_1(p));
    nacre_bytes other_response = p->sent[1];
    if (fates[0] == DOUBLED) assert_ok(receive_1(p));
    /* response #1: lost, the request comes again and makes a new offer */
    if (fates[1] == LOST) assert_ok(receive_1(p));
    assert_ok(receive_2(p, p->sent[1]));
    if (fates[1] == DOUBLED) assert_err(receive_2(p, p->sent[1]), NACRE_ERR_BAD_ARGUMENT);
    if (fates[1] == LATE) assert_err(receive_2(p, other_response), NACRE_ERR_BAD_ARGUMENT);
    if (fates[0] == LATE) assert_ok(receive_1(p)); /* request #1 again, after its response: one more offer */
    /* request #2 */
    assert_ok(receive_3(p));
    nacre_bytes response_2 = p->sent[3];
    if (fates[2] == DOUBLED) assert_err(receive_3(p), NACRE_ERR_NO_CONTEXT); /* R2 is used up */
    if (fates[0] == LATE) assert_ok(receive_1(p));
    if (fates[2] == LATE) assert_err(receive_3(p), NACRE_ERR_NO_CONTEXT);
    /* response #2: lost, the client sends another request under context 3, which both sides have */
    if (fates[3] != LOST) assert_ok(receive_4(p));
    round_trip(&p->c->derived.context, &p->s->derived.context, NACRE_ABSENT, test_hex("03"));
    if (fates[3] == DOUBLED || fates[3] == LATE) {
        p->sent[3] = response_2; /* bound to its request: the exchange has ended, and its caller drops it */
        assert_ok(receive_4(p));
    }
    assert_err(receive_3(p), NACRE_ERR_NO_CONTEXT);
    round_trip(&p->s->derived.context, &p->c->derived.context, NACRE_ABSENT,
               test_hex("04")); /* and with the roles swapped */
}

/* RFC 8613 B.2: each of the four messages arrives, is lost, duplicated or late, in every combination, and the two sides
 * end with the same context. */
static void rederivation_survives_every_fate_of_every_message(void **state)
{
    (void)state;
    for (unsigned n = 0; n < NUM_FATES * NUM_FATES * NUM_FATES * NUM_FATES; n++) {
        fate fates[MESSAGES] = { (fate)(n % 4), (fate)(n / 4 % 4), (fate)(n / 16 % 4), (fate)(n / 64) };
        procedure p = { .c = side_of(TEST_CLIENT), .s = side_of(TEST_SERVER) };
        run_procedure(&p, fates);
        (void)test_release(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ids_of_every_length_work),
        TEST(replays_in_bursts_are_refused),
        TEST(interleaved_responses_match_their_requests),
        TEST(an_echo_of_every_length_is_returned),
        TEST(extended_options_arrive_both_ways),
        TEST(a_forged_giant_does_not_spoil_the_key),
        TEST(rederivation_survives_every_fate_of_every_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
