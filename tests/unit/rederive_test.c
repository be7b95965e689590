/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* rederive_test: both roles of RFC 8613 B.2, against computed bytes, with each of the four messages lost, duplicated
 * and late, and with two clients at once. */
#include "blocks.h"
#include "oscore/offer.h"
#include "oscore/request_id.h"
#include "support.h"

enum { N = NACRE_REDERIVE_NONCE };

static const uint8_t ones[N] = { 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11 };
static const uint8_t twos[N] = { 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22 };
static const uint8_t threes[N] = { 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33 };
static const uint8_t fours[N] = { 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44 };

static void wipe_rederived(void *what)
{
    nacre_context_wipe(&((nacre_rederived *)what)->context);
}

static nacre_rederived *new_rederived(void)
{
    size_t size, align;
    assert_ok(nacre_context_key_layout(test_crypto(), 0, &size, &align));
    nacre_rederived *index = test_alloc(sizeof *index);
    memset(index, 0, sizeof *index);
    index->key_buf = (nacre_buf){ test_alloc(size), size };
    memset(index->key_buf.ptr, 0, size);
    return index;
}

/* One side, as an endpoint holds it. */
typedef struct party {
    nacre_context_params material;
    nacre_rederived *derived, *spare;
    nacre_rederive_client client;
    nacre_request_id id;
} party;

static party a_party(test_end end)
{
    party p = { .material = test_params(1, end), .derived = new_rederived(), .spare = new_rederived() };
    test_keep(p.derived, wipe_rederived); /* after both entries: a context moves between their key buffers */
    test_keep(p.spare, wipe_rederived);
    return p;
}

enum { LIFETIME = 247000 };

static nacre_rederive_server a_server(void)
{
    nacre_rederive_server server;
    nacre_rederive_server_init(&server, test_fill(7, NACRE_REDERIVE_KEY).ptr, LIFETIME);
    return server;
}

static nacre_bytes request(party *c, const char *header)
{
    nacre_message plain = test_message(header); /* GET coap://…/oscore/hello/1, with MID and token */
    nacre_protect_options how = nacre_rederive_options(&c->client);
    nacre_buf buf = test_buf(128);
    nacre_bytes out = NACRE_ABSENT;
    assert_ok(nacre_protect_request(&c->derived->context, test_crypto(), &c->id, &out, buf, &plain, &how));
    return out;
}

static nacre_bytes first_request(party *c)
{
    assert_ok(nacre_rederive_begin(&c->client, c->derived, test_crypto(), &c->material, ones));
    return request(c, "410100017b b66f73636f7265 0568656c6c6f 0131");
}

static nacre_bytes second_request(party *c)
{
    return request(c, "410100027c b66f73636f7265 0568656c6c6f 0131");
}

static nacre_err offer(const nacre_rederive_server *server, party *s, nacre_bytes datagram, const uint8_t *s2,
                       bool ordinary, nacre_bytes *out)
{
    nacre_message outer = test_parse(datagram), header = outer;
    header.type = NACRE_ACK;
    return nacre_rederive_offer_r2(server, s->spare, out, test_buf(96),
                                   &(nacre_rederive_request_1){ .crypto = test_crypto(),
                                                                .material = &s->material,
                                                                .outer = &outer,
                                                                .header = &header,
                                                                .ordinary = ordinary,
                                                                .s2 = s2,
                                                                .now_ms = 0,
                                                                .scratch = test_buf(64) });
}

static nacre_err take_response(party *c, nacre_bytes datagram, const uint8_t *r3)
{
    nacre_message outer = test_parse(datagram);
    return nacre_rederive_response(&c->client, c->derived, c->spare, test_buf(64),
                                   &(nacre_rederive_response_1){ test_crypto(), &c->id, &outer, r3 });
}

static nacre_err accept_at(nacre_rederive_server *server, party *s, nacre_bytes datagram, uint64_t now_ms)
{
    nacre_message outer = test_parse(datagram), plain;
    return nacre_rederive_accept(server, s->derived, s->spare, &s->id, &plain, test_buf(64),
                                 &(nacre_rederive_request_2){ test_crypto(), &s->material, &outer, now_ms });
}

static nacre_err accept(nacre_rederive_server *server, party *s, nacre_bytes datagram)
{
    return accept_at(server, s, datagram, 0);
}

static const char response_1[] = "614400017b9b1009482222222222222222ff91b40978ded9e641fb";
static const char response_1_with_piv[] = "614400017b 9c110009482222222222222222 ff47deecbaf6a01e06c3";

/* With an R2 of a server that is not nacre: 8 of its 22 bytes. */
static void messages_match_the_computed_bytes(void **unused)
{
    (void)unused;
    party c = a_party(TEST_CLIENT), s = a_party(TEST_SERVER);

    nacre_bytes request_1 = first_request(&c);
    assert_bytes(request_1,
                 test_hex("410200017b9c190009481111111111111111ff37b169902ebcfb0a13a4f909e0b449a7bac0da0336d37892"));
    nacre_bytes from_server_1 = NACRE_ABSENT;
    nacre_message outer = test_parse(request_1), header = outer, plain;
    header.type = NACRE_ACK;
    const nacre_rederive_request_1 first = {
        .crypto = test_crypto(), .material = &s.material, .outer = &outer, .header = &header, .scratch = test_buf(64)
    };
    assert_ok(nacre__rederive_response_1(s.spare, &from_server_1, test_buf(64), &first, NACRE_ARRAY(twos)));
    assert_bytes(from_server_1, test_hex(response_1));
    assert_ok(take_response(&c, from_server_1, threes));
    nacre_bytes request_2 = second_request(&c);
    assert_bytes(request_2, test_hex("410200027c9d071900115022222222222222223333333333333333"
                                     "ff89d4d0c2f8a8579954a746307f322ae9d15eaac26f62e8f2"));
    outer = test_parse(request_2);
    const nacre_rederive_request_2 confirmed = { test_crypto(), &s.material, &outer, 0 };
    assert_ok(nacre__rederive_take_2(s.derived, s.spare, &s.id, &plain, test_buf(64), &confirmed,
                                     test_join(NACRE_ARRAY(twos), NACRE_ARRAY(threes))));
    nacre_message response = test_message("614500027c c0 ff48656c6c6f20576f726c6421");
    nacre_bytes from_server_2 = test_protect_response(&s.derived->context, &s.id, &response, NULL);
    assert_bytes(from_server_2, test_hex("614400027c90ff2280ecae46d72f67c59d44a719fd40893ed74296deddc5"));
    test_unprotect_response(&c.derived->context, &c.id, NULL, from_server_2);
}

static void a_response_without_partial_iv_has_the_requests_literal_nonce(void **unused)
{
    (void)unused;
    party c = a_party(TEST_CLIENT);
    first_request(&c);
    assert_ok(take_response(&c, test_hex(response_1), threes));
}

/* The kid context field for an ID: a CBOR byte string in its shortest form. */
static nacre_bytes wrapped(nacre_bytes id)
{
    const uint8_t head[2] = { (uint8_t)(id.len < 24 ? 0x40 + id.len : 0x58), (uint8_t)id.len };
    return test_join(nacre_bytes_of(head, id.len < 24 ? 1 : 2), id);
}

/* Response #1 of a server that makes its own kind of R2, and responds with a Partial IV. */
static nacre_bytes others_response(nacre_bytes r2, nacre_bytes field)
{
    nacre_context_params params = test_params(1, TEST_SERVER);
    params.id_context = test_join(r2, NACRE_ARRAY(ones));
    nacre_context *second = test_context(&params);
    const nacre_protect_options how = { .kid_context_choice = NACRE_KID_CONTEXT_GIVEN,
                                        .kid_context = field,
                                        .nonce = NACRE_NONCE_NEW };
    const nacre_message response = test_message("618100017b");
    nacre_request_id id;
    nacre__request_id_make(&id, second, second->recipient_id, second->recipient_id_len, 0, 0);
    return test_protect_response(second, &id, &response, &how);
}

/* RFC 8613 B.2: R2 is the server's choice, and may contain a MAC. */
static void an_r2_of_another_length_is_accepted(void **unused)
{
    (void)unused;
    static const struct {
        size_t len;
        nacre_err err;
    } rows[] = {
        { 0, NACRE_ERR_NO_CONTEXT },
        { 1, NACRE_OK },
        { 8, NACRE_OK },
        { 15, NACRE_OK },
        { 16, NACRE_OK },
        { 23, NACRE_OK },
        { 24, NACRE_OK },
        { NACRE_REDERIVE_MAX_R2, NACRE_OK },
        { NACRE_REDERIVE_MAX_R2 + 1, NACRE_ERR_NO_CONTEXT },
    };
    static const uint8_t r2[NACRE_REDERIVE_MAX_R2 + 1] = { 1, 2, 3 };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const nacre_bytes id = nacre_bytes_of(r2, rows[i].len), id_3 = test_join(id, NACRE_ARRAY(threes));
        party c = a_party(TEST_CLIENT);
        first_request(&c);
        assert_err(take_response(&c, others_response(id, wrapped(id)), threes), rows[i].err);
        if (rows[i].err != NACRE_OK) continue;
        nacre_context_params params = test_params(1, TEST_CLIENT);
        params.id_context = id_3;
        assert_bytes(nacre_context_common_iv(&c.derived->context), nacre_context_common_iv(test_context(&params)));
        assert_bytes(nacre_context_id_context(&c.derived->context), id_3);
        nacre_oscore_option option;
        nacre_message outer = test_parse(second_request(&c));
        assert_ok(nacre_verify_start(&option, &outer));
        assert_bytes(option.kid_context, wrapped(id_3));
    }
}

/* The kid context must be exactly one CBOR byte string: the row with one passes. */
static void a_badly_wrapped_r2_is_refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *field;
        nacre_err err;
    } rows[] = {
        { "442a2a2a2a", NACRE_OK },
        { "452a2a2a2a", NACRE_ERR_NO_CONTEXT },   /* too short */
        { "432a2a2a2a", NACRE_ERR_NO_CONTEXT },   /* too long */
        { "642a2a2a2a", NACRE_ERR_NO_CONTEXT },   /* a text string */
        { "58042a2a2a2a", NACRE_ERR_NO_CONTEXT }, /* not the shortest form */
        { "2a2a2a2a", NACRE_ERR_NO_CONTEXT },     /* not wrapped */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        party c = a_party(TEST_CLIENT);
        first_request(&c);
        const nacre_bytes response = others_response(test_hex("2a2a2a2a"), test_hex(rows[i].field));
        assert_err(take_response(&c, response, threes), rows[i].err);
    }
}

static void forged_and_foreign_responses_change_nothing(void **unused)
{
    (void)unused;
    party c = a_party(TEST_CLIENT);
    first_request(&c);
    nacre_bytes good = test_hex(response_1_with_piv);
    for (size_t bit = 5 * 8; bit < good.len * 8; bit++) { /* after header and token, which are not protected */
        nacre_bytes bad = test_copy(good);
        ((uint8_t *)(uintptr_t)bad.ptr)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        nacre_message outer;
        if (nacre_message_parse(&outer, bad) != NACRE_OK) continue;
        const nacre_context *before = test_snapshot(&c.derived->context);
        nacre_rederive_client client = c.client;
        assert_int_not_equal(take_response(&c, bad, threes), NACRE_OK);
        assert_true(test_same(before, &c.derived->context));
        assert_memory_equal(&client, &c.client, sizeof client);
    }
    nacre_bytes no_kid_context = test_hex("614400017b 920100 ff47deecbaf6a01e06c3");
    assert_err(take_response(&c, no_kid_context, threes), NACRE_ERR_NO_CONTEXT);
    assert_ok(take_response(&c, good, threes));
    assert_err(take_response(&c, good, fours), NACRE_ERR_BAD_ARGUMENT); /* duplicated: accepted once */
}

static void expect_wiped(const nacre_rederived *r)
{
    static const nacre_context none;
    assert_memory_equal(&r->context, &none, sizeof none);
    for (size_t i = 0; i < r->key_buf.cap; i++) assert_int_equal(r->key_buf.ptr[i], 0);
}

static nacre_bytes with_a_wrong_tag(nacre_bytes datagram)
{
    nacre_bytes wrong = test_copy(datagram);
    ((uint8_t *)(uintptr_t)wrong.ptr)[wrong.len - 1] ^= 1;
    return wrong;
}

/* Contexts 1 and 2, and what verified nothing, exist during one call only. */
static void the_spare_context_is_wiped_after_each_message(void **unused)
{
    (void)unused;
    nacre_rederive_server server = a_server();
    party c = a_party(TEST_CLIENT), s = a_party(TEST_SERVER);
    nacre_bytes request_1 = first_request(&c), response = NACRE_ABSENT;
    assert_err(offer(&server, &s, with_a_wrong_tag(request_1), twos, false, &response), NACRE_ERR_PROTECTION_INVALID);
    expect_wiped(s.spare);
    assert_ok(offer(&server, &s, request_1, twos, false, &response));
    expect_wiped(s.spare);
    assert_err(take_response(&c, with_a_wrong_tag(response), threes), NACRE_ERR_PROTECTION_INVALID);
    expect_wiped(c.spare);
    assert_ok(take_response(&c, response, threes));
    expect_wiped(c.spare); /* with context 1, whose place context 3 has taken */
    nacre_bytes request_2 = second_request(&c);
    assert_err(accept(&server, &s, with_a_wrong_tag(request_2)), NACRE_ERR_PROTECTION_INVALID);
    expect_wiped(s.spare);
    assert_ok(accept(&server, &s, request_2));
    expect_wiped(s.spare);
    assert_non_null(s.derived->context.keys);
}

/* A second copy of request #1 gets its own R2; either may be used, each once. */
static void duplicated_late_and_lost_requests_complete_once(void **unused)
{
    (void)unused;
    nacre_rederive_server server = a_server();
    party c = a_party(TEST_CLIENT), s = a_party(TEST_SERVER);
    nacre_bytes request_1 = first_request(&c), lost = NACRE_ABSENT, late = NACRE_ABSENT;
    assert_ok(offer(&server, &s, request_1, twos, false, &lost)); /* response #1 lost: the client retransmits */
    assert_ok(offer(&server, &s, request_1, fours, false, &late));
    assert_ok(take_response(&c, late, threes));
    assert_err(take_response(&c, lost, threes), NACRE_ERR_BAD_ARGUMENT); /* arrives after all */
    nacre_bytes request_2 = second_request(&c);
    assert_ok(accept(&server, &s, request_2));
    party other = a_party(TEST_SERVER);
    other.material = s.material;
    assert_err(accept(&server, &other, request_2), NACRE_ERR_NO_CONTEXT); /* duplicated: R2 is used up */
    nacre_request_id id;
    nacre_message plain, outer = test_parse(request_2);
    outer.mid++;
    nacre_err err = nacre_unprotect_request(&s.derived->context, test_crypto(), &id, &plain, test_buf(64), &outer);
    assert_true(err == NACRE_ERR_REPLAY || err == NACRE_ERR_NO_CONTEXT); /* nor does the new context accept it again */
    assert_ok(
        offer(&server, &s, request_1, threes, false, &late)); /* request #1 replayed: one more offer, nothing else */
    assert_ok(nacre_replay_check(nacre_context_replay(&s.derived->context), 1));
}

static void a_forged_second_request_leaves_the_offer(void **unused)
{
    (void)unused;
    nacre_rederive_server server = a_server();
    party c = a_party(TEST_CLIENT), s = a_party(TEST_SERVER);
    nacre_bytes response = NACRE_ABSENT;
    assert_ok(offer(&server, &s, first_request(&c), twos, false, &response));
    assert_ok(take_response(&c, response, threes));
    nacre_bytes good = second_request(&c), bad = test_copy(good);
    ((uint8_t *)(uintptr_t)bad.ptr)[bad.len - 1] ^= 1;
    assert_err(accept(&server, &s, bad), NACRE_ERR_PROTECTION_INVALID);
    for (size_t i = 0; i < NACRE_REDERIVE_R2; i++) { /* after header, token, and the option up to R2 */
        bad = test_copy(good);
        ((uint8_t *)(uintptr_t)bad.ptr)[12 + i] ^= 1;
        assert_err(accept(&server, &s, bad), NACRE_ERR_NO_CONTEXT);
    }
    assert_ok(accept(&server, &s, good));
}

static void a_forged_first_request_makes_no_offer(void **unused)
{
    (void)unused;
    nacre_rederive_server server = a_server();
    party c = a_party(TEST_CLIENT), s = a_party(TEST_SERVER);
    nacre_bytes good = first_request(&c), bad = test_copy(good), response = NACRE_ABSENT;
    ((uint8_t *)(uintptr_t)bad.ptr)[bad.len - 1] ^= 1;
    assert_err(offer(&server, &s, bad, twos, false, &response), NACRE_ERR_PROTECTION_INVALID);
    assert_true(nacre_is_absent(response));
    assert_ok(offer(&server, &s, good, twos, false, &response));
}

static void two_clients_rederive_at_once(void **unused)
{
    (void)unused;
    nacre_rederive_server server_a = a_server(), server_b;
    nacre_rederive_server_init(&server_b, test_fill(8, NACRE_REDERIVE_KEY).ptr, LIFETIME);
    party a = a_party(TEST_CLIENT), b = a_party(TEST_CLIENT), for_a = a_party(TEST_SERVER),
          for_b = a_party(TEST_SERVER);
    static const uint8_t other_secret[16] = { 9 };
    b.material.master_secret.bytes = for_b.material.master_secret.bytes = NACRE_ARRAY(other_secret);
    nacre_bytes to_a = NACRE_ABSENT, to_b = NACRE_ABSENT;
    assert_ok(offer(&server_a, &for_a, first_request(&a), twos, false, &to_a));
    assert_ok(offer(&server_b, &for_b, first_request(&b), fours, false, &to_b));
    assert_err(take_response(&a, to_b, threes), NACRE_ERR_PROTECTION_INVALID); /* swapped */
    assert_ok(take_response(&b, to_b, threes));
    assert_ok(take_response(&a, to_a, threes));
    nacre_bytes second_a = second_request(&a);
    assert_err(accept(&server_b, &for_b, second_a), NACRE_ERR_NO_CONTEXT); /* an offer is for one peer */
    assert_ok(accept(&server_b, &for_b, second_request(&b)));
    assert_ok(accept(&server_a, &for_a, second_a)); /* and another peer's agreement does not end it */
}

/* ---- Offers, and requests #2 that were held back ---- */

/* Another procedure of the same client, with its own party, up to request #2. */
static nacre_bytes run_up_to_request_2(const nacre_rederive_server *server, party *s, const uint8_t *s2)
{
    party c = a_party(TEST_CLIENT);
    nacre_bytes response = NACRE_ABSENT;
    assert_ok(offer(server, s, first_request(&c), s2, false, &response));
    assert_ok(take_response(&c, response, s2)); /* R3 need only differ */
    return second_request(&c);
}

/* A request #2 is held back, and then delivered: at once, after a newer agreement (as a server, as a client of the same
 * peer), or late. A refused one leaves the context in use unchanged. */
static void a_held_back_request_2_is_accepted_only_in_its_time(void **unused)
{
    (void)unused;
    static const struct {
        enum { NONE, AS_SERVER, AS_CLIENT, RESTARTED } meanwhile;
        uint64_t after_ms;
        nacre_err err;
    } rows[] = {
        { NONE, 0, NACRE_OK },
        { NONE, 240000, NACRE_OK },
        { NONE, LIFETIME, NACRE_ERR_NO_CONTEXT },
        { NONE, 86400000, NACRE_ERR_NO_CONTEXT },
        { AS_SERVER, 0, NACRE_ERR_NO_CONTEXT },
        { AS_SERVER, 86400000, NACRE_ERR_NO_CONTEXT },
        { AS_CLIENT, 0, NACRE_ERR_NO_CONTEXT },
        { RESTARTED, 0, NACRE_ERR_NO_CONTEXT },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_rederive_server server = a_server();
        party s = a_party(TEST_SERVER);
        assert_ok(accept(&server, &s, run_up_to_request_2(&server, &s, ones))); /* the context in use */
        const nacre_bytes held_back = run_up_to_request_2(&server, &s, twos);
        if (rows[i].meanwhile == AS_SERVER) assert_ok(accept(&server, &s, run_up_to_request_2(&server, &s, fours)));
        if (rows[i].meanwhile == AS_CLIENT) nacre_rederive_void_offers(&server);
        if (rows[i].meanwhile == RESTARTED)
            nacre_rederive_server_init(&server, test_fill(8, NACRE_REDERIVE_KEY).ptr, LIFETIME);
        const nacre_context *before = test_snapshot(&s.derived->context);
        assert_err(accept_at(&server, &s, held_back, rows[i].after_ms), rows[i].err);
        assert_int_equal(test_same(before, &s.derived->context), rows[i].err != NACRE_OK);
        assert_err(accept_at(&server, &s, held_back, rows[i].after_ms), NACRE_ERR_NO_CONTEXT); /* and never twice */
        assert_ok(accept(&server, &s, run_up_to_request_2(&server, &s, threes))); /* the peer is not locked out */
    }
}

/* Captured requests #1, the same one or many from old boots, evict no offer. */
static void captured_requests_1_leave_the_offer(void **unused)
{
    (void)unused;
    for (int many = 0; many < 2; many++) {
        nacre_rederive_server server = a_server();
        party c = a_party(TEST_CLIENT), s = a_party(TEST_SERVER);
        nacre_bytes response = NACRE_ABSENT, more = NACRE_ABSENT;
        assert_ok(offer(&server, &s, first_request(&c), twos, false, &response));
        for (uint8_t i = 0; i < 200; i++) {
            party old = a_party(TEST_CLIENT);
            const uint8_t r1[N] = { many ? i : 0, 9 };
            assert_ok(nacre_rederive_begin(&old.client, old.derived, test_crypto(), &old.material, r1));
            assert_ok(offer(&server, &s, request(&old, "410100027c b66f73636f7265"), &r1[0], false, &more));
        }
        assert_ok(take_response(&c, response, threes));
        assert_ok(accept(&server, &s, second_request(&c)));
    }
}

/* Response #1 has the nonce of its request: under equal keys two responses would share key and nonce. */
static void each_copy_of_a_request_1_gets_a_response_under_new_keys(void **unused)
{
    (void)unused;
    nacre_rederive_server server = a_server();
    party c = a_party(TEST_CLIENT), s = a_party(TEST_SERVER);
    const nacre_bytes request_1 = first_request(&c);
    nacre_bytes responses[2] = { NACRE_ABSENT, NACRE_ABSENT };
    assert_ok(offer(&server, &s, request_1, twos, false, &responses[0]));
    assert_ok(offer(&server, &s, request_1, fours, false, &responses[1]));
    const nacre_message one = test_parse(responses[0]), other = test_parse(responses[1]);
    assert_int_equal(one.payload.len, other.payload.len);
    assert_memory_not_equal(one.payload.ptr, other.payload.ptr, one.payload.len);
}

/* The server has lost its state: an ordinary request serves as #1, its ID Context as ID1. */
static void the_server_may_start_the_procedure(void **unused)
{
    (void)unused;
    for (int vector = 1; vector <= 3; vector += 2) { /* without and with an ID Context */
        nacre_rederive_server server = a_server();
        party c = a_party(TEST_CLIENT), s = a_party(TEST_SERVER);
        c.material = test_params(vector, TEST_CLIENT);
        s.material = test_params(vector, TEST_SERVER);
        nacre_context *ordinary = test_context_of(vector, TEST_CLIENT);
        nacre_message plain = test_message("410100017b b66f73636f7265");
        nacre_bytes request_1 = test_protect_request(ordinary, &c.id, &plain), response = NACRE_ABSENT;
        assert_err(offer(&server, &s, request_1, twos, false, &response), NACRE_ERR_NO_CONTEXT);
        assert_ok(offer(&server, &s, request_1, twos, true, &response));
        nacre_oscore_option option;
        nacre_message outer = test_parse(response);
        assert_ok(nacre_verify_start(&option, &outer));
        assert_int_equal(option.kid_context.len, 1 + NACRE_REDERIVE_R2);
        assert_ok(nacre_rederive_follow(&c.client, &c.material, ordinary));
        assert_ok(take_response(&c, response, threes));
        assert_ok(accept(&server, &s, second_request(&c)));
    }
    nacre_context_params params = test_params(1, TEST_CLIENT);
    party c = a_party(TEST_CLIENT);
    params.id_context = test_fill(1, N + 1);
    assert_err(nacre_rederive_follow(&c.client, &c.material, test_context(&params)), NACRE_ERR_BAD_ARGUMENT);
    params.id_context = test_fill(1, N);
    assert_ok(nacre_rederive_follow(&c.client, &c.material, test_context(&params)));
}

/* The memory of a context is reused. A request ID from before has no right to a nonce of the new keys. */
static void a_request_id_does_not_outlive_its_keys(void **unused)
{
    (void)unused;
    nacre_rederive_server server = a_server();
    party c = a_party(TEST_CLIENT), s = a_party(TEST_SERVER);
    nacre_bytes response = NACRE_ABSENT;
    assert_ok(offer(&server, &s, first_request(&c), twos, false, &response));
    assert_ok(take_response(&c, response, threes));
    assert_ok(accept(&server, &s, second_request(&c))); /* Partial IV 0, no response yet */
    nacre_request_id old = s.id;
    assert_ok(offer(&server, &s, first_request(&c), ones, false, &response));
    assert_ok(take_response(&c, response, fours));
    assert_ok(accept(&server, &s, second_request(&c))); /* Partial IV 0 again, of other keys, in the same memory */

    nacre_message late = test_response(NACRE_CONTENT, NACRE_ABSENT, test_hex("01"));
    nacre_protect_options reuse = { .nonce = NACRE_NONCE_REQUEST };
    nacre_bytes out;
    assert_err(nacre_protect_response(&s.derived->context, test_crypto(), &old, &out, test_buf(64), &late, &reuse),
               NACRE_ERR_NONCE_USED);
    assert_ok(nacre_protect_response(&s.derived->context, test_crypto(), &s.id, &out, test_buf(64), &late, &reuse));
}

/* Anyone who has seen R2 can forge a request #2: until it verifies, the context in use stays. */
static void a_forged_second_request_leaves_the_context(void **unused)
{
    (void)unused;
    nacre_rederive_server server = a_server();
    party c = a_party(TEST_CLIENT), s = a_party(TEST_SERVER);
    nacre_bytes response = NACRE_ABSENT;
    assert_ok(offer(&server, &s, first_request(&c), twos, false, &response));
    assert_ok(take_response(&c, response, threes));
    assert_ok(accept(&server, &s, second_request(&c)));
    assert_ok(offer(&server, &s, first_request(&c), ones, false, &response));
    assert_ok(take_response(&c, response, fours));
    nacre_bytes forged = test_copy(second_request(&c));
    ((uint8_t *)(uintptr_t)forged.ptr)[forged.len - 1] ^= 1;
    const nacre_context *before = test_snapshot(&s.derived->context);
    assert_err(accept(&server, &s, forged), NACRE_ERR_PROTECTION_INVALID);
    assert_true(test_same(before, &s.derived->context));
}

static void kid_contexts_are_classified(void **unused)
{
    (void)unused;
    static const struct {
        const char *kid_context;
        nacre_rederive_step step;
    } rows[] = {
        { NULL, NACRE_REDERIVE_NONE },
        { "", NACRE_REDERIVE_NONE },
        { "1111111111111111", NACRE_REDERIVE_NONE }, /* not wrapped */
        { "481111111111111111", NACRE_REDERIVE_REQUEST_1 },
        { "48111111111111111122", NACRE_REDERIVE_NONE },
        { "4711111111111111", NACRE_REDERIVE_NONE },
        { "681111111111111111", NACRE_REDERIVE_NONE },                 /* a text string */
        { "5011111111111111112222222222222222", NACRE_REDERIVE_NONE }, /* an R2 that is not of our length */
        { "5818111111111111111111111111111111112222222222222222", NACRE_REDERIVE_REQUEST_2 },
        { "5817111111111111111111111111111111112222222222222222", NACRE_REDERIVE_NONE },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_oscore_option option = { NACRE_ABSENT, test_hex(rows[i].kid_context), NACRE_ABSENT };
        assert_int_equal(nacre_rederive_recognise(&option), rows[i].step);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_match_the_computed_bytes),
        TEST(a_response_without_partial_iv_has_the_requests_literal_nonce),
        TEST(an_r2_of_another_length_is_accepted),
        TEST(a_badly_wrapped_r2_is_refused),
        TEST(forged_and_foreign_responses_change_nothing),
        TEST(duplicated_late_and_lost_requests_complete_once),
        TEST(the_spare_context_is_wiped_after_each_message),
        TEST(a_forged_second_request_leaves_the_offer),
        TEST(a_forged_first_request_makes_no_offer),
        TEST(two_clients_rederive_at_once),
        TEST(a_held_back_request_2_is_accepted_only_in_its_time),
        TEST(captured_requests_1_leave_the_offer),
        TEST(each_copy_of_a_request_1_gets_a_response_under_new_keys),
        TEST(the_server_may_start_the_procedure),
        TEST(a_request_id_does_not_outlive_its_keys),
        TEST(a_forged_second_request_leaves_the_context),
        TEST(kid_contexts_are_classified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
