/* SPDX-License-Identifier: MIT */
/* deduplication_test: duplicates are detected before OSCORE, their memory is bounded, and how servers respond to what
 * does not verify. */
#include "../scenario/world.h"

#include "endpoint/core/hash.h"
#include "endpoint/endpoint_struct.h"

static void duplicate_con_gets_the_same_bytes(void **state)
{
    (void)state;
    pair p;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        pair_open(&p, NULL, &(pairing){ 0 });
        datagram d, first, again;
        (void)start(&p.client, &p.server, is_protected ? p.ours : NULL, NACRE_CON);
        (void)sent_request(&p, &d, 0);
        party_give(&p.server, &p.client, &d, 0);
        const nacre_event request = expect_event(&p.server, NACRE_EVENT_REQUEST);
        respond_text(&p.server, request.exchange, "once");
        assert_true(party_take(&p.server, &first, 0));
        for (uint64_t now = 1; now < 5; now++) {
            party_give(&p.server, &p.client, &d, now);
            assert_true(party_take(&p.server, &again, now));
            assert_true(datagram_same(&first, &again));
            expect_quiet(&p.server, now);
        }
        assert_int_equal(nacre_endpoint_get_stats(p.server.ep).duplicates, 4);
        assert_int_equal(nacre_endpoint_get_stats(p.server.ep).requests, 1);
        pair_close(&p);
    }
}

/* Duplicates that arrive faster than anything is sent get one response together, and no queue overflows. */
static void duplicates_before_the_next_send_get_one_response(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .num_server_exchanges = 1, .num_client_exchanges = 1 }, &(pairing){ 0 });
    datagram d, back;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    (void)sent_request(&p, &d, 0);
    party_give(&p.server, &p.client, &d, 0);
    respond_text(&p.server, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange, "x");
    for (int i = 0; i < 20; i++) party_give(&p.server, &p.client, &d, 0);
    assert_true(party_take(&p.server, &back, 0));
    expect_quiet(&p.server, 0);
    pair_close(&p);
}

static void duplicates_before_the_response_are_dropped(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram d, back;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    (void)sent_request(&p, &d, 0);
    const nacre_datagram burst[3] = { { .peer = p.client.address, .bytes = { d.bytes, d.len } },
                                      { .peer = p.client.address, .bytes = { d.bytes, d.len } },
                                      { .peer = p.client.address, .bytes = { d.bytes, d.len } } };
    assert_int_equal(nacre_endpoint_receive_many(p.server.ep, burst, 3, 0), 3);
    const nacre_event request = expect_event(&p.server, NACRE_EVENT_REQUEST);
    expect_quiet(&p.server, 0);
    respond_text(&p.server, request.exchange, "x");
    assert_true(party_take(&p.server, &back, 0));
    expect_quiet(&p.server, 0);
    assert_int_equal(nacre_endpoint_get_stats(p.server.ep).replays, 0); /* OSCORE processed one request */
    pair_close(&p);
}

static void duplicate_non_is_dropped(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram d, back;
    (void)start(&p.client, &p.server, NULL, NACRE_NON);
    (void)sent_request(&p, &d, 0);
    served(&p, &d, &back, "x", 0);
    party_give(&p.server, &p.client, &d, 1);
    expect_quiet(&p.server, 1);
    pair_close(&p);
}

static void ignored_con_is_acknowledged_again(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram d, back;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    (void)sent_request(&p, &d, 0);
    for (int i = 0; i < 3; i++) {
        party_give(&p.server, &p.client, &d, 0);
        if (i == 0) nacre_endpoint_ignore(p.server.ep, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange);
        assert_true(party_take(&p.server, &back, 0));
        assert_int_equal(back.len, 4);
        expect_quiet(&p.server, 0);
    }
    pair_close(&p);
}

/* ---- A duplicate has the same peer, MID and bytes ---------------------------------------------------------------- */

static datagram plain_request(uint8_t type, uint16_t mid, const char *payload)
{
    datagram d;
    datagram_write(&d, &(nacre_message){ .type = type,
                                         .code = NACRE_PUT,
                                         .mid = mid,
                                         .payload = nacre_bytes_of((const uint8_t *)payload, strlen(payload)) });
    return d;
}

/* True when `d` is taken for a new request; it is then responded to. */
static bool is_new(party *p, const party *from, const datagram *d, uint64_t now)
{
    nacre_event event;
    datagram out;
    party_give(p, from, d, now);
    const bool fresh = nacre_endpoint_next_event(p->ep, &event);
    if (fresh) respond_text(p, event.exchange, "x");
    while (party_take(p, &out, now)) {}
    return fresh;
}

static void duplicates_have_the_same_peer_mid_and_bytes(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    const datagram base = plain_request(NACRE_CON, 7, "abcdefgh12345");
    assert_true(is_new(&p.server, &p.client, &base, 0));
    assert_false(is_new(&p.server, &p.client, &base, 0));
    assert_true(is_new(&p.server, &p.server, &base, 0)); /* another peer */
    assert_false(is_new(&p.server, &p.server, &base, 0));
    const datagram other_mid = plain_request(NACRE_CON, 8, "abcdefgh12345");
    assert_true(is_new(&p.server, &p.client, &other_mid, 0));
    for (size_t i = 5; i < base.len; i++) { /* fast clients reuse a MID: each byte of the payload counts */
        datagram changed = base;
        changed.bytes[i] ^= 0x80;
        assert_true(is_new(&p.server, &p.client, &changed, 0));
    }
    for (size_t len = 6; len < base.len; len++) {
        datagram shorter = base;
        shorter.len = len;
        assert_true(is_new(&p.server, &p.client, &shorter, 0));
    }
    pair_close(&p);
}

static void record_expires_after_exchange_lifetime(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    const datagram d = plain_request(NACRE_CON, 7, "x");
    assert_true(is_new(&p.server, &p.client, &d, 1000));
    assert_false(is_new(&p.server, &p.client, &d, 1000 + 246999));
    assert_true(is_new(&p.server, &p.client, &d, 1000 + 247000)); /* RFC 7252 4.8.2 */
    assert_false(is_new(&p.server, &p.client, &d, 1000 + 247001));
    pair_close(&p);
}

/* ---- The bounded memory ------------------------------------------------------------------------------------------ */

static void oldest_completed_is_evicted(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .num_server_exchanges = 3 }, &(pairing){ 0 });
    datagram d[5];
    for (uint16_t i = 0; i < 5; i++) d[i] = plain_request(NACRE_CON, i, "x");
    for (int i = 0; i < 3; i++) assert_true(is_new(&p.server, &p.client, &d[i], 0));
    for (int i = 0; i < 3; i++) assert_false(is_new(&p.server, &p.client, &d[i], 0));
    assert_true(is_new(&p.server, &p.client, &d[3], 0)); /* evicts 0 */
    for (int i = 1; i < 4; i++) assert_false(is_new(&p.server, &p.client, &d[i], 0));
    assert_true(is_new(&p.server, &p.client, &d[0], 0)); /* evicts 1 */
    assert_true(is_new(&p.server, &p.client, &d[1], 0));
    assert_false(is_new(&p.server, &p.client, &d[3], 0));
    pair_close(&p);
}

/* The replay window rejects duplicates whose record was evicted: none is executed twice. */
static void replay_window_rejects_duplicates_of_evicted_records(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .num_server_exchanges = 1 }, &(pairing){ 0 });
    datagram d[2], back;
    for (int i = 0; i < 2; i++) {
        (void)start(&p.client, &p.server, p.ours, NACRE_CON);
        (void)sent_request(&p, &d[i], 0);
        assert_true(is_new(&p.server, &p.client, &d[i], 0));
    }
    party_give(&p.server, &p.client, &d[0], 1);
    nacre_event event;
    assert_false(nacre_endpoint_next_event(p.server.ep, &event));
    assert_true(party_take(&p.server, &back, 1));
    assert_int_equal(datagram_message(&back).code, NACRE_UNAUTHORIZED);
    assert_payload(datagram_message(&back), "Replay detected");
    assert_int_equal(nacre_endpoint_get_stats(p.server.ep).replays, 1);
    pair_close(&p);
}

static void requests_are_dropped_when_all_records_are_in_use(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .num_server_exchanges = 2 }, &(pairing){ 0 });
    datagram d[3];
    nacre_datagram burst[3] = { { .full_len = 0 } };
    for (uint16_t i = 0; i < 3; i++) {
        d[i] = plain_request(NACRE_CON, i, "x");
        burst[i] = (nacre_datagram){ .peer = p.client.address, .bytes = { d[i].bytes, d[i].len } };
    }
    assert_int_equal(nacre_endpoint_receive_many(p.server.ep, burst, 3, 0), 3);
    for (int i = 0; i < 2; i++) respond_text(&p.server, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange, "x");
    nacre_event event;
    assert_false(nacre_endpoint_next_event(p.server.ep, &event));
    assert_int_equal(nacre_endpoint_get_stats(p.server.ep).dropped, 1);
    /* both responses are queued: they are not evicted before they are sent */
    party_give(&p.server, &p.client, &d[2], 0);
    assert_false(nacre_endpoint_next_event(p.server.ep, &event));
    datagram out;
    assert_true(party_take(&p.server, &out, 0));
    party_give(&p.server, &p.client, &d[2], 0);
    respond_text(&p.server, expect_event(&p.server, NACRE_EVENT_REQUEST).exchange, "x");
    pair_close(&p);
}

/* Requests that wait for a store that never confirms are dropped once their senders have given up. */
static void requests_for_a_dead_store_are_dropped_in_time(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .num_server_exchanges = 1 }, &(pairing){ .server_stored = true });
    datagram d;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    (void)sent_request(&p, &d, 0);
    party_give(&p.server, &p.client, &d, 0);
    (void)expect_event(&p.server, NACRE_EVENT_PERSIST);
    const datagram other = plain_request(NACRE_CON, 1, "x");
    assert_false(is_new(&p.server, &p.client, &other, 246999));
    assert_true(is_new(&p.server, &p.client, &other, 247000));
    serve_store(p.theirs);
    nacre_endpoint_confirmed(p.server.ep, p.theirs, NACRE_OK);
    expect_quiet(&p.server, 247000);
    pair_close(&p);
}

/* Forged requests evict forged ones, and no responses that may be requested again. */
static void unverified_records_are_evicted_first(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .num_server_exchanges = 4 }, &(pairing){ 0 });
    datagram good[3], responses[3], forged, out;
    for (int i = 0; i < 3; i++) {
        (void)start(&p.client, &p.server, p.ours, NACRE_CON);
        (void)sent_request(&p, &good[i], 0);
        served(&p, &good[i], &responses[i], "x", 0);
    }
    forged = good[0];
    for (int i = 0; i < 50; i++) {
        forged.bytes[forged.len - 1]++;
        forged.bytes[3]++;
        party_give(&p.server, &p.client, &forged, 0);
        assert_true(party_take(&p.server, &out, 0));
    }
    for (int i = 0; i < 3; i++) {
        party_give(&p.server, &p.client, &good[i], 0);
        assert_true(party_take(&p.server, &out, 0));
        assert_true(datagram_same(&out, &responses[i]));
    }
    pair_close(&p);
}

/* Among thousands of records each message is found, and no other. */
static void each_of_thousands_of_records_is_found(void **state)
{
    (void)state;
    enum { NUM = 5000 };
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .num_server_exchanges = NUM, .max_message = 64 }, &(pairing){ 0 });
    uint8_t buf[64];
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < NUM; i++) {
            char text[16];
            nacre_event event;
            nacre_outgoing out = { .buf = NACRE_BUF(buf) };
            snprintf(text, sizeof text, "%u", (unsigned)i);
            const datagram d = plain_request(NACRE_CON, (uint16_t)(i % 16), text); /* 16 MIDs for all of them */
            const nacre_datagram in = { .peer = p.client.address, .bytes = { d.bytes, d.len } };
            assert_int_equal(nacre_endpoint_receive_many(p.server.ep, &in, 1, 0), 1);
            assert_int_equal(nacre_endpoint_next_event(p.server.ep, &event), pass == 0);
            const nacre_message response = { .code = NACRE_CONTENT, .payload = event.message.payload };
            if (pass == 0) assert_int_equal(nacre_endpoint_respond(p.server.ep, event.exchange, &response), NACRE_OK);
            assert_int_equal(nacre_endpoint_transmit_many(p.server.ep, &out, 1, 0), 1);
            nacre_message m;
            assert_int_equal(nacre_message_parse(&m, out.bytes), NACRE_OK);
            assert_payload(m, text);
        }
    }
    assert_int_equal(nacre_endpoint_get_stats(p.server.ep).duplicates, NUM);
    pair_close(&p);
}

/* ---- What does not verify (RFC 8613 8.2, 7.4) -------------------------------------------------------------------- */

/* One protected request, modified in one way. */
typedef enum spoiling {
    NOTHING,
    RESERVED_BIT,
    LONG_PARTIAL_IV,
    NO_KID,
    NO_PARTIAL_IV,
    NO_PAYLOAD,
    OTHER_KID,
    OTHER_TAG,
    OTHER_PARTIAL_IV,
    SEEN_BEFORE,
    SHORT_PAYLOAD,
} spoiling;

static void spoil(datagram *d, spoiling how)
{
    nacre_message m = datagram_message(d);
    const nacre_bytes value = nacre_option_find(m.options, NACRE_OPT_OSCORE);
    uint8_t option[32], buf[64], payload[64], token[8];
    size_t len = value.len;
    memcpy(option, value.ptr, value.len); /* 09 PIV 'c' */
    memcpy(payload, m.payload.ptr, m.payload.len);
    memcpy(token, m.token.ptr, m.token.len);
    m.payload.ptr = payload;
    m.token.ptr = token;
    switch (how) {
    case NOTHING: break;
    case RESERVED_BIT: option[0] |= 0x40; break;
    case LONG_PARTIAL_IV: option[0] = 0x0e; break;
    case NO_KID:
        option[0] = 0x01;
        len = 2;
        break;
    case NO_PARTIAL_IV:
        option[0] = 0x08;
        option[1] = 'c';
        len = 2;
        break;
    case NO_PAYLOAD: m.payload.len = 0; break;
    case OTHER_KID: option[2] = 'x'; break;
    case OTHER_TAG: payload[m.payload.len - 1] ^= 1; break;
    case OTHER_PARTIAL_IV: option[1] = 200; break;
    case SEEN_BEFORE: m.mid++; break;
    case SHORT_PAYLOAD: m.payload.len = 8; break;
    }
    nacre_options o;
    nacre_options_init(&o, NACRE_BUF(buf));
    nacre_options_add(&o, NACRE_OPT_OSCORE, nacre_bytes_of(option, len));
    assert_int_equal(nacre_options_finish(&o, &m.options), NACRE_OK);
    datagram_write(d, &m);
}

static void refusals_are_repeated_for_duplicates(void **state)
{
    (void)state;
    const struct {
        spoiling how;
        uint8_t code; /* 0: delivered */
        const char *text;
    } rows[] = {
        { NOTHING, 0, NULL },
        { RESERVED_BIT, NACRE_BAD_OPTION, "Failed to decode COSE" },
        { LONG_PARTIAL_IV, NACRE_BAD_OPTION, "Failed to decode COSE" },
        { NO_KID, NACRE_BAD_OPTION, "Failed to decode COSE" },
        { NO_PARTIAL_IV, NACRE_BAD_OPTION, "Failed to decode COSE" },
        { NO_PAYLOAD, NACRE_BAD_OPTION, "Failed to decode COSE" },
        { OTHER_KID, NACRE_UNAUTHORIZED, "Security context not found" },
        { OTHER_TAG, NACRE_BAD_REQUEST, "Decryption failed" },
        { OTHER_PARTIAL_IV, NACRE_BAD_REQUEST, "Decryption failed" },
        { SHORT_PAYLOAD, NACRE_BAD_REQUEST, "Decryption failed" },
        { SEEN_BEFORE, NACRE_UNAUTHORIZED, "Replay detected" },
    };
    for (uint8_t type = NACRE_CON; type <= NACRE_NON; type++) {
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            pair p;
            pair_open(&p, NULL, &(pairing){ 0 });
            datagram d, back, again;
            (void)start(&p.client, &p.server, p.ours, type);
            (void)sent_request(&p, &d, 0);
            if (rows[i].how == SEEN_BEFORE) assert_true(is_new(&p.server, &p.client, &d, 0));
            spoil(&d, rows[i].how);
            const nacre_message sent = datagram_message(&d);
            if (rows[i].code == 0) {
                assert_true(is_new(&p.server, &p.client, &d, 0));
                pair_close(&p);
                continue;
            }
            party_give(&p.server, &p.client, &d, 0);
            nacre_event event;
            assert_false(nacre_endpoint_next_event(p.server.ep, &event));
            assert_int_equal(party_take(&p.server, &back, 0), type == NACRE_CON); /* silence to NON */
            if (type == NACRE_CON) {
                const nacre_message response = datagram_message(&back);
                assert_int_equal(response.type, NACRE_ACK);
                assert_int_equal(response.mid, sent.mid);
                assert_int_equal(response.code, rows[i].code);
                assert_true(nacre_bytes_equal(response.token, sent.token));
                assert_payload(response, rows[i].text);
                const nacre_bytes max_age = nacre_option_find(response.options, NACRE_OPT_MAX_AGE);
                assert_int_equal(!nacre_is_absent(max_age), rows[i].how == SEEN_BEFORE); /* RFC 8613 7.4 */
                assert_int_equal(max_age.len, 0);
                party_give(&p.server, &p.client, &d, 0);
                assert_true(party_take(&p.server, &again, 0));
                assert_true(datagram_same(&back, &again));
            }
            const nacre_endpoint_stats s = nacre_endpoint_get_stats(p.server.ep);
            assert_int_equal(s.replays + s.no_context + s.unprotect_failures, 1);
            /* a forgery with a large Partial IV does not move the window */
            assert_int_equal(nacre_replay_check(nacre_context_replay(p.theirs), 1), NACRE_OK);
            pair_close(&p);
        }
    }
}

/* A server without contexts refuses protected requests. */
static void a_server_without_contexts_refuses_protected_requests(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    nacre_table_remove(&p.server.table, p.theirs);
    datagram d, back;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    (void)sent_request(&p, &d, 0);
    party_give(&p.server, &p.client, &d, 0);
    assert_true(party_take(&p.server, &back, 0));
    assert_payload(datagram_message(&back), "Security context not found");
    party_give(&p.client, &p.server, &back, 0);
    expect_failed(&p.client, NACRE_ERR_UNAUTHENTICATED);
    pair_close(&p);

    party alone;
    party_open(&alone, "alone", 3, NULL);
    nacre_endpoint_config config = { .crypto = alone.crypto, .random = { chance_fill, &alone.chance } };
    const size_t size = nacre_endpoint_size(&config);
    void *memory = malloc(size);
    nacre_endpoint *ep;
    assert_int_equal(nacre_endpoint_init(&ep, memory, size, &config), NACRE_OK);
    const nacre_datagram in = { .peer = alone.address, .bytes = { d.bytes, d.len } };
    assert_int_equal(nacre_endpoint_receive_many(ep, &in, 1, 0), 1);
    nacre_outgoing out = { .buf = NACRE_BUF(back.bytes) };
    assert_int_equal(nacre_endpoint_transmit_many(ep, &out, 1, 0), 1);
    back.len = out.bytes.len;
    assert_payload(datagram_message(&back), "Security context not found");
    free(memory);
    party_close(&alone);
}

/* RFC 8613 3.3: several contexts with one kid are tried in turn, also when the window of one has seen the number, up to
 * a limit, so that the cost of a kid is bounded. */
static void contexts_with_one_kid_are_each_tried(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ .secret = 0 });
    nacre_context *ours[12] = { p.ours };
    datagram d, back;
    for (uint8_t i = 1; i < 8; i++) {
        const pairing how = { .secret = i };
        ours[i] = party_context(&p.client, &how, false);
        (void)party_context(&p.server, &how, true);
    }
    for (int round = 0; round < 3; round++) { /* all use the same numbers */
        for (int i = 0; i < 8; i++) {
            (void)start(&p.client, &p.server, ours[i], NACRE_CON);
            (void)sent_request(&p, &d, 0);
            served(&p, &d, &back, "x", 0);
            party_give(&p.client, &p.server, &back, 0);
            assert_ptr_equal(expect_event(&p.client, NACRE_EVENT_RESPONSE).context, ours[i]);
        }
    }
    for (uint8_t i = 8; i < 12; i++) {
        const pairing how = { .secret = i };
        ours[i] = party_context(&p.client, &how, false);
        (void)party_context(&p.server, &how, true);
    }
    int found = 0;
    for (int i = 0; i < 12; i++) {
        (void)start(&p.client, &p.server, ours[i], NACRE_CON);
        (void)sent_request(&p, &d, 0);
        found += is_new(&p.server, &p.client, &d, 0);
    }
    assert_int_equal(found, 8);
    pair_close(&p);
}

/* Two endpoints hash one datagram differently, and so do peers of one address that differ in its flags: hashes that a
 * peer learns or computes elsewhere are of no use. */
static void each_endpoint_has_its_hash_key(void **state)
{
    (void)state;
    const nacre_address peer = address_named("client");
    nacre_address reliable = peer;
    reliable.flags = NACRE_ADDRESS_RELIABLE;
    party a, b;
    party_open(&a, "server", 1, NULL);
    party_open(&b, "server", 2, NULL);
    assert_true(nacre__peer_hash(&a.ep->core, &peer, NACRE_STR("datagram")) !=
                nacre__peer_hash(&b.ep->core, &peer, NACRE_STR("datagram")));
    assert_true(nacre__peer_hash(&a.ep->core, &peer, NACRE_ABSENT) !=
                nacre__peer_hash(&a.ep->core, &reliable, NACRE_ABSENT));
    party_close(&a);
    party_close(&b);
}

/* Datagrams of one length that differ in any one bit have different hashes, and so have two of which one is a prefix of
 * the other; equal ones have equal hashes. */
static void each_bit_changes_the_hash(void **state)
{
    (void)state;
    enum { LONGEST = 40 };
    const nacre_address peer = address_named("client");
    uint8_t bytes[LONGEST] = { 0 };
    uint64_t before = 0;
    party p;
    party_open(&p, "server", 1, NULL);
    for (size_t len = 0; len <= LONGEST; len++) {
        const nacre_bytes all = nacre_bytes_of(bytes, len);
        const uint64_t hash = nacre__peer_hash(&p.ep->core, &peer, all);
        assert_true(hash == nacre__peer_hash(&p.ep->core, &peer, all));
        assert_true(len == 0 || hash != before);
        before = hash;
        for (size_t bit = 0; bit < 8 * len; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_true(nacre__peer_hash(&p.ep->core, &peer, all) != hash);
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    party_close(&p);
}

/* Changes of two words that cancel out in a hash that multiplies by an odd factor, whatever the factor is. */
static void changes_do_not_cancel_out_in_the_hash(void **state)
{
    (void)state;
    enum { WORDS = 5, SHIFTS = 64 };
    const nacre_address peer = address_named("client");
    uint8_t bytes[8 * WORDS];
    party p;
    party_open(&p, "server", 1, NULL);
    memset(bytes, 0x5a, sizeof bytes);
    const uint64_t hash = nacre__peer_hash(&p.ep->core, &peer, NACRE_ARRAY(bytes));
    for (size_t i = 0; i + 1 < WORDS; i++) {
        for (size_t shift = 1; shift < SHIFTS; shift++) {
            const uint64_t first = UINT64_C(1) << 63, second = first | first >> shift;
            uint8_t changed[sizeof bytes];
            uint64_t word[2];
            memcpy(changed, bytes, sizeof bytes);
            memcpy(word, changed + 8 * i, sizeof word);
            word[0] ^= first;
            word[1] ^= second;
            memcpy(changed + 8 * i, word, sizeof word);
            assert_true(nacre__peer_hash(&p.ep->core, &peer, NACRE_ARRAY(changed)) != hash);
        }
    }
    party_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(duplicate_con_gets_the_same_bytes),
        cmocka_unit_test(duplicates_before_the_next_send_get_one_response),
        cmocka_unit_test(duplicates_before_the_response_are_dropped),
        cmocka_unit_test(duplicate_non_is_dropped),
        cmocka_unit_test(ignored_con_is_acknowledged_again),
        cmocka_unit_test(duplicates_have_the_same_peer_mid_and_bytes),
        cmocka_unit_test(record_expires_after_exchange_lifetime),
        cmocka_unit_test(oldest_completed_is_evicted),
        cmocka_unit_test(replay_window_rejects_duplicates_of_evicted_records),
        cmocka_unit_test(requests_are_dropped_when_all_records_are_in_use),
        cmocka_unit_test(requests_for_a_dead_store_are_dropped_in_time),
        cmocka_unit_test(unverified_records_are_evicted_first),
        cmocka_unit_test(each_of_thousands_of_records_is_found),
        cmocka_unit_test(refusals_are_repeated_for_duplicates),
        cmocka_unit_test(a_server_without_contexts_refuses_protected_requests),
        cmocka_unit_test(contexts_with_one_kid_are_each_tried),
        cmocka_unit_test(each_endpoint_has_its_hash_key),
        cmocka_unit_test(each_bit_changes_the_hash),
        cmocka_unit_test(changes_do_not_cancel_out_in_the_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
