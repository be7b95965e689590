/* SPDX-License-Identifier: MIT */
/* requests_test: which messages a client accepts as a response, and the repetition with Echo (RFC 8613 8.4, B.1.2). */
#include "../scenario/world.h"

/* ---- Accepted responses ------------------------------------------------------------------------------------------ */

/* RFC 8613 D.5.3, 8.4 step 2: the effect of an unprotected response. */
typedef enum outcome { GOES_ON, RESPONDED, UNAUTHENTICATED, NOT_PROTECTED } outcome;

/* Plain responses to a protected request, in each way they can arrive (the table in src/endpoint/responses.c). */
static void plain_responses_do_not_complete_protected_requests(void **state)
{
    (void)state;
    const struct {
        uint8_t code;
        outcome outcome;
    } rows[] = {
        { NACRE_BAD_REQUEST, UNAUTHENTICATED }, { NACRE_UNAUTHORIZED, UNAUTHENTICATED },
        { NACRE_BAD_OPTION, UNAUTHENTICATED },  { NACRE_METHOD_NOT_ALLOWED, UNAUTHENTICATED },
        { NACRE_UNAVAILABLE, UNAUTHENTICATED }, { NACRE_TOO_LARGE, UNAUTHENTICATED },
        { NACRE_CONTENT, NOT_PROTECTED },       { NACRE_CREATED, NOT_PROTECTED },
        { NACRE_CHANGED, NOT_PROTECTED },       { NACRE_NOT_FOUND, NOT_PROTECTED },
        { NACRE_SERVER_ERROR, NOT_PROTECTED },  { NACRE_FORBIDDEN, NOT_PROTECTED },
        { NACRE_BAD_GATEWAY, NOT_PROTECTED },
    };
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (uint8_t type = NACRE_CON; type <= NACRE_ACK; type++) {
            datagram d, back, extra;
            (void)start(&p.client, &p.server, p.ours, NACRE_CON);
            const nacre_message sent = sent_request(&p, &d, 0);
            datagram_write(&back, &(nacre_message){ .type = type,
                                                    .code = rows[i].code,
                                                    .mid = type == NACRE_ACK ? sent.mid : (uint16_t)(7 + i),
                                                    .token = sent.token,
                                                    .payload = NACRE_STR("says who?") });
            party_give(&p.client, &p.server, &back, 0);
            const nacre_event event = expect_event(&p.client, NACRE_EVENT_FAILED);
            assert_int_equal(event.err,
                             rows[i].outcome == UNAUTHENTICATED ? NACRE_ERR_UNAUTHENTICATED : NACRE_ERR_NOT_PROTECTED);
            assert_null(event.context); /* it is not verified */
            assert_int_equal(event.message.code, rows[i].code);
            assert_payload(event.message, "says who?");
            assert_int_equal(party_take(&p.client, &extra, 0), type == NACRE_CON);
            expect_quiet(&p.client, 0);
        }
    }
    pair_close(&p);
}

/* The state of a request when a plain response arrives. */
typedef enum before { SENT_ONCE, ACKNOWLEDGED, SENT_TWICE, SENT_TWICE_AND_ACKNOWLEDGED, NON_SENT, NUM_BEFORE } before;

/* Starts a request and returns the message sent. */
static nacre_message request_after(pair *p, datagram *d, before what)
{
    datagram copy;
    (void)start(&p->client, &p->server, p->ours, what == NON_SENT ? NACRE_NON : NACRE_CON);
    const nacre_message sent = sent_request(p, d, 0);
    if (what == SENT_TWICE || what == SENT_TWICE_AND_ACKNOWLEDGED) {
        nacre_endpoint_expire(p->client.ep, 3000);
        assert_true(party_take(&p->client, &copy, 3000));
        assert_true(datagram_same(&copy, d));
    }
    if (what == ACKNOWLEDGED || what == SENT_TWICE_AND_ACKNOWLEDGED) {
        datagram ack = empty_message(NACRE_ACK, sent.mid);
        party_give(&p->client, &p->server, &ack, 3000);
    }
    return sent;
}

static void give_plain(pair *p, const nacre_message *sent, uint8_t type, uint8_t code, const char *text, uint64_t now)
{
    datagram d, ack;
    const uint16_t mid = type == NACRE_ACK ? sent->mid : (uint16_t)(draw(&p->server.chance) | 1);
    datagram_write(&d, &(nacre_message){
                           .type = type,
                           .code = code,
                           .mid = mid,
                           .token = sent->token,
                           .payload = nacre_bytes_of((const uint8_t *)text, strlen(text)),
                       });
    party_give(&p->client, &p->server, &d, now);
    if (type == NACRE_CON) assert_true(party_take(&p->client, &ack, now));
}

/* An unprotected response ends a request that was transmitted once and not acknowledged; any other goes on until a
 * verified response. */
static void unprotected_error_does_not_end_an_acknowledged_or_repeated_request(void **state)
{
    (void)state;
    const uint8_t codes[] = { NACRE_UNAUTHORIZED, NACRE_BAD_REQUEST, NACRE_BAD_OPTION, NACRE_METHOD_NOT_ALLOWED,
                              NACRE_UNAVAILABLE,  NACRE_NOT_FOUND,   NACRE_CONTENT };
    for (int what = SENT_ONCE; what < NUM_BEFORE; what++) {
        for (uint8_t type = NACRE_CON; type <= NACRE_ACK; type++) {
            for (size_t i = 0; i < sizeof codes; i++) {
                pair p;
                datagram d, back;
                pair_open(&p, NULL, &(pairing){ 0 });
                const nacre_message sent = request_after(&p, &d, (before)what);
                give_plain(&p, &sent, type, codes[i], "Replay detected", 4000);
                if (what == SENT_ONCE || what == NON_SENT) {
                    expect_failed(&p.client, i < 5 ? NACRE_ERR_UNAUTHENTICATED : NACRE_ERR_NOT_PROTECTED);
                } else {
                    expect_quiet(&p.client, 4000);
                    served(&p, &d, &back, "here", 5000);
                    party_give(&p.client, &p.server, &back, 5000);
                    assert_payload(expect_event(&p.client, NACRE_EVENT_RESPONSE).message, "here");
                }
                expect_quiet(&p.client, 5000);
                pair_close(&p);
            }
        }
    }
}

/* Without a verified response, the last unprotected one is reported when the time is up, whatever else failed to
 * verify; a long diagnostic payload is truncated. */
static void unprotected_error_is_reported_when_the_time_is_up(void **state)
{
    (void)state;
    char longer[101] = { 0 };
    memset(longer, 'x', 100);
    for (int row = 0; row < 6; row++) {
        pair p;
        datagram d, again;
        pair_open(&p, NULL, &(pairing){ 0 });
        const nacre_message sent = request_after(&p, &d, row < 3 ? ACKNOWLEDGED : SENT_TWICE);
        give_plain(&p, &sent, NACRE_NON, NACRE_BAD_OPTION, "no", 4000);
        give_plain(&p, &sent, NACRE_NON, row % 3 == 1 ? NACRE_CONTENT : NACRE_UNAUTHORIZED,
                   row % 3 == 2 ? longer : "me", 4100);
        datagram rst = empty_message(NACRE_RST, sent.mid);
        party_give(&p.client, &p.server, &rst, 4200);
        uint64_t due;
        while ((due = nacre_endpoint_deadline(p.client.ep)) != UINT64_MAX) {
            assert_true(due >= 4200);
            nacre_endpoint_expire(p.client.ep, due);
            assert_true(row >= 3 || !party_take(&p.client, &again, due));
            while (party_take(&p.client, &again, due)) continue;
        }
        const nacre_event event = expect_event(&p.client, NACRE_EVENT_FAILED);
        assert_int_equal(event.err, row % 3 == 1 ? NACRE_ERR_NOT_PROTECTED : NACRE_ERR_UNAUTHENTICATED);
        assert_int_equal(event.message.code, row % 3 == 1 ? NACRE_CONTENT : NACRE_UNAUTHORIZED);
        if (row % 3 == 2) assert_int_equal(event.message.payload.len, 62);
        else assert_payload(event.message, "me");
        pair_close(&p);
    }
}

/* RFC 7252 5.5.2: a payload with a Content-Format is no diagnostic text. */
static void a_hint_with_a_content_format_has_no_text(void **state)
{
    (void)state;
    for (int row = 0; row < 2; row++) {
        pair p;
        datagram d, again;
        pair_open(&p, NULL, &(pairing){ 0 });
        const nacre_message sent = request_after(&p, &d, ACKNOWLEDGED);
        nacre_message error = { .type = NACRE_NON, .code = NACRE_UNAUTHORIZED, .mid = 9, .token = sent.token };
        error.payload = NACRE_STR("{}");
        if (row == 1) error.options = NACRE_STR("\xc1\x32"); /* Content-Format 50 */
        datagram_write(&again, &error);
        party_give(&p.client, &p.server, &again, 4000);
        for (uint64_t due; (due = nacre_endpoint_deadline(p.client.ep)) != UINT64_MAX;) {
            nacre_endpoint_expire(p.client.ep, due);
            while (party_take(&p.client, &again, due)) continue;
        }
        const nacre_event event = expect_event(&p.client, NACRE_EVENT_FAILED);
        assert_int_equal(event.message.code, NACRE_UNAUTHORIZED);
        assert_int_equal(event.message.payload.len, row == 0 ? 2 : 0);
        pair_close(&p);
    }
}

/* A plain error in the ACK of a copy acknowledges it: it is not transmitted a third time. */
static void unprotected_error_in_an_ack_ends_the_retransmissions(void **state)
{
    (void)state;
    for (uint8_t type = NACRE_NON; type <= NACRE_ACK; type++) {
        pair p;
        datagram d, again;
        pair_open(&p, NULL, &(pairing){ 0 });
        const nacre_message sent = request_after(&p, &d, SENT_TWICE);
        give_plain(&p, &sent, type, NACRE_UNAUTHORIZED, "", 4000);
        nacre_endpoint_expire(p.client.ep, 30000);
        assert_int_equal(party_take(&p.client, &again, 30000), type != NACRE_ACK);
        pair_close(&p);
    }
}

/* nacre_endpoint_give_up reports at once what the timeout would report. */
static void giving_up_reports_the_hint(void **state)
{
    (void)state;
    for (int row = 0; row < 2; row++) {
        pair p;
        datagram d;
        pair_open(&p, NULL, &(pairing){ 0 });
        const nacre_exchange exchange = start(&p.client, &p.server, p.ours, NACRE_CON);
        const nacre_message sent = sent_request(&p, &d, 0);
        datagram ack = empty_message(NACRE_ACK, sent.mid);
        party_give(&p.client, &p.server, &ack, 0);
        if (row == 1) give_plain(&p, &sent, NACRE_CON, NACRE_UNAUTHORIZED, "", 10);
        nacre_endpoint_give_up(p.client.ep, exchange);
        expect_failed(&p.client, row == 1 ? NACRE_ERR_UNAUTHENTICATED : NACRE_ERR_TIMEOUT);
        nacre_endpoint_give_up(p.client.ep, exchange); /* it has ended */
        expect_quiet(&p.client, 10);
        pair_close(&p);
    }
}

/* A proxy sends its own errors, which it cannot protect: with via_proxy they are hints, otherwise no responses. Codes
 * that only a server can send are treated as before. */
static void plain_errors_of_proxies_are_hints(void **state)
{
    (void)state;
    const struct {
        uint8_t code;
        bool is_proxys;
    } rows[] = {
        { NACRE_NOT_FOUND, true },
        { NACRE_BAD_GATEWAY, true },
        { NACRE_GATEWAY_TIMEOUT, true },
        { NACRE_CONTENT, false },
        { NACRE_PROXYING_NOT_SUPPORTED, true },
        { NACRE_SERVER_ERROR, false },
        { NACRE_FORBIDDEN, false },
    };
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int via_proxy = 0; via_proxy < 2; via_proxy++) {
            datagram d, back;
            nacre_exchange exchange;
            const nacre_message get = get_request(NACRE_CON);
            assert_int_equal(nacre_endpoint_request_with(p.client.ep, &exchange, &p.server.address, p.ours, &get,
                                                         &(nacre_request_options){ .via_proxy = via_proxy }, NULL),
                             NACRE_OK);
            const nacre_message sent = sent_request(&p, &d, 0);
            datagram_write(&back, &(nacre_message){ NACRE_ACK, rows[i].code, sent.mid, sent.token, { 0 }, { 0 } });
            party_give(&p.client, &p.server, &back, 0);
            expect_failed(&p.client,
                          via_proxy && rows[i].is_proxys ? NACRE_ERR_UNAUTHENTICATED : NACRE_ERR_NOT_PROTECTED);
        }
    }
    pair_close(&p);
}

/* The same codes are the response to a plain request. */
static void plain_responses_complete_plain_requests(void **state)
{
    (void)state;
    const uint8_t codes[] = { NACRE_CONTENT, NACRE_UNAUTHORIZED, NACRE_SERVER_ERROR };
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    for (size_t i = 0; i < sizeof codes; i++) {
        datagram d, back;
        (void)start(&p.client, &p.server, NULL, NACRE_CON);
        const nacre_message sent = sent_request(&p, &d, 0);
        datagram_write(&back, &(nacre_message){ NACRE_ACK, codes[i], sent.mid, sent.token, { 0 }, { 0 } });
        party_give(&p.client, &p.server, &back, 0);
        const nacre_event event = expect_event(&p.client, NACRE_EVENT_RESPONSE);
        assert_int_equal(event.message.code, codes[i]);
        assert_null(event.context);
    }
    pair_close(&p);
}

/* Responses that match nothing: wrong token, wrong MID of an ACK, wrong peer, a reserved class, a RST with content.
 * Each row leaves the exchange open, and the right response then ends it. */
static void responses_that_match_nothing_are_dropped(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram d, back, out;
    (void)start(&p.client, &p.server, NULL, NACRE_CON);
    const nacre_message sent = sent_request(&p, &d, 0);
    const nacre_message right = { NACRE_ACK, NACRE_CONTENT, sent.mid, sent.token, { 0 }, { 0 } };
    uint8_t other_token[8] = { 0 };
    for (int row = 0; row < 7; row++) {
        nacre_message wrong = right;
        if (row == 0) wrong.mid++;
        if (row == 1) wrong.token = NACRE_ARRAY(other_token);
        if (row == 2) wrong.token.len = 7;
        if (row == 3) wrong.type = NACRE_RST;
        if (row == 4) wrong.code = NACRE_CODE(3, 1);
        if (row == 5) wrong.token = NACRE_ABSENT;
        datagram_write(&back, &wrong);
        party_give(&p.client, row == 6 ? &p.client : &p.server, &back, 0);
        expect_quiet(&p.client, 0);
    }
    /* RFC 7252 4.2: an unexpected CON is rejected */
    nacre_message con = right;
    con.type = NACRE_CON;
    con.token = NACRE_ARRAY(other_token);
    datagram_write(&back, &con);
    party_give(&p.client, &p.server, &back, 0);
    assert_true(party_take(&p.client, &out, 0));
    assert_int_equal(datagram_message(&out).type, NACRE_RST);
    datagram_write(&back, &right);
    party_give(&p.client, &p.server, &back, 0);
    (void)expect_event(&p.client, NACRE_EVENT_RESPONSE);
    pair_close(&p);
}

/* RFC 8613 8.4 step 8: a response that does not verify is dropped, but its ACK counts; the timeout reports the
 * reason. */
static void a_response_that_does_not_verify_is_dropped(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram d, back, good;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    (void)sent_request(&p, &d, 0);
    served(&p, &d, &back, "hello", 0);
    good = back;
    back.bytes[back.len - 1] ^= 1;
    party_give(&p.client, &p.server, &back, 50);
    expect_quiet(&p.client, 50);
    assert_true(nacre_endpoint_deadline(p.client.ep) == 50 + 93000); /* acknowledged */
    nacre_endpoint_expire(p.client.ep, 93050);
    expect_failed(&p.client, NACRE_ERR_PROTECTION_INVALID);
    assert_int_equal(nacre_endpoint_get_stats(p.client.ep).unprotect_failures, 1);

    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    (void)sent_request(&p, &d, 100000);
    served(&p, &d, &back, "hello", 100000);
    good = back;
    back.bytes[back.len - 1] ^= 1;
    party_give(&p.client, &p.server, &back, 100000);
    expect_quiet(&p.client, 100000);
    party_give(&p.client, &p.server, &good, 100001); /* the genuine one still ends it */
    assert_payload(expect_event(&p.client, NACRE_EVENT_RESPONSE).message, "hello");
    pair_close(&p);
}

/* All requests use one pool entry: an exchange leaves no state to the next. */
static void a_reused_entry_starts_clean(void **state)
{
    (void)state;
    static const uint8_t challenge[] = { 0xd1, 0xef, 'e' }; /* Echo, one byte */
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .num_client_exchanges = 1 }, &(pairing){ 0 });
    datagram d, back;
    uint64_t now = 0;
    for (int i = 0; i < 2; i++) {
        (void)start(&p.client, &p.server, p.ours, NACRE_NON);
        (void)sent_request(&p, &d, now);
        if (i == 0) { /* a spoilt response */
            served(&p, &d, &back, "x", now);
            back.bytes[back.len - 1] ^= 1;
            party_give(&p.client, &p.server, &back, now);
        }
        nacre_endpoint_expire(p.client.ep, now += 93000);
        expect_failed(&p.client, i == 0 ? NACRE_ERR_PROTECTION_INVALID : NACRE_ERR_TIMEOUT);
    }
    for (int i = 0; i < 2; i++) { /* each is repeated once with the Echo value */
        (void)start(&p.client, &p.server, p.ours, NACRE_CON);
        (void)sent_request(&p, &d, now);
        party_give(&p.server, &p.client, &d, now);
        const nacre_event request = expect_event(&p.server, NACRE_EVENT_REQUEST);
        const nacre_message response = { .code = NACRE_UNAUTHORIZED, .options = NACRE_ARRAY(challenge) };
        assert_int_equal(nacre_endpoint_respond(p.server.ep, request.exchange, &response), NACRE_OK);
        assert_true(party_take(&p.server, &back, now));
        party_give(&p.client, &p.server, &back, now);
        (void)sent_request(&p, &d, now);
        served(&p, &d, &back, "y", now);
        party_give(&p.client, &p.server, &back, now);
        assert_payload(expect_event(&p.client, NACRE_EVENT_RESPONSE).message, "y");
    }
    pair_close(&p);
}

/* The right peer's response to another request is not accepted for this one. */
static void a_response_to_another_request_is_refused(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram a, b, response_a, response_b, swapped;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    const nacre_message sent_a = sent_request(&p, &a, 0), sent_b = sent_request(&p, &b, 0);
    served(&p, &a, &response_a, "a", 0);
    served(&p, &b, &response_b, "b", 0);
    nacre_message m = datagram_message(&response_a);
    m.token = sent_b.token;
    m.mid = sent_b.mid;
    datagram_write(&swapped, &m);
    party_give(&p.client, &p.server, &swapped, 0);
    expect_quiet(&p.client, 0);
    party_give(&p.client, &p.server, &response_b, 0);
    assert_payload(expect_event(&p.client, NACRE_EVENT_RESPONSE).message, "b");
    party_give(&p.client, &p.server, &response_a, 0);
    assert_payload(expect_event(&p.client, NACRE_EVENT_RESPONSE).message, "a");
    assert_int_not_equal(sent_a.mid, sent_b.mid);
    pair_close(&p);
}

/* A plain request does not accept a response with an OSCORE option. */
static void a_protected_response_does_not_complete_a_plain_request(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram d, back;
    static const uint8_t oscore[] = { 0x90 };
    (void)start(&p.client, &p.server, NULL, NACRE_CON);
    const nacre_message sent = sent_request(&p, &d, 0);
    datagram_write(&back, &(nacre_message){ NACRE_ACK, NACRE_CHANGED, sent.mid, sent.token, NACRE_ARRAY(oscore),
                                            NACRE_STR("0123456789") });
    party_give(&p.client, &p.server, &back, 0);
    expect_quiet(&p.client, 0);
    assert_true(nacre_endpoint_deadline(p.client.ep) == 93000);
    nacre_endpoint_expire(p.client.ep, 93000);
    expect_failed(&p.client, NACRE_ERR_PROTECTION_INVALID);
    pair_close(&p);
}

/* RFC 7252 5.4.1: an unknown critical option rejects the response; an unknown elective one does not. */
static void an_unknown_critical_option_rejects_a_response(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    for (uint16_t number = 2000; number <= 2001; number++) {
        datagram d, back;
        uint8_t buf[8];
        nacre_options o;
        nacre_options_init(&o, NACRE_BUF(buf));
        nacre_options_add(&o, number, NACRE_ABSENT);
        nacre_message response = { .code = NACRE_CONTENT };
        assert_int_equal(nacre_options_finish(&o, &response.options), NACRE_OK);
        (void)start(&p.client, &p.server, p.ours, NACRE_CON);
        (void)sent_request(&p, &d, 0);
        party_give(&p.server, &p.client, &d, 0);
        const nacre_event request = expect_event(&p.server, NACRE_EVENT_REQUEST);
        assert_int_equal(nacre_endpoint_respond(p.server.ep, request.exchange, &response), NACRE_OK);
        assert_true(party_take(&p.server, &back, 0));
        party_give(&p.client, &p.server, &back, 0);
        if (number & 1) expect_failed(&p.client, NACRE_ERR_CRITICAL_OPTION);
        else (void)expect_event(&p.client, NACRE_EVENT_RESPONSE);
    }
    pair_close(&p);
}

/* RFC 8613 8.4.2: Observe in the response to a request that had none. */
static void a_response_with_uninvited_observe_is_dropped(void **state)
{
    (void)state;
    static const uint8_t observe[] = { 0x60 };
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    for (int observes = 0; observes < 2; observes++) {
        datagram d, back;
        nacre_exchange exchange;
        nacre_message get = get_request(NACRE_CON);
        if (observes) get.options = NACRE_ARRAY(observe);
        assert_int_equal(nacre_endpoint_request(p.client.ep, &exchange, &p.server.address, p.ours, &get, NULL),
                         NACRE_OK);
        (void)sent_request(&p, &d, 0);
        party_give(&p.server, &p.client, &d, 0);
        const nacre_event request = expect_event(&p.server, NACRE_EVENT_REQUEST);
        const nacre_message response = { .code = NACRE_CONTENT, .options = NACRE_ARRAY(observe) };
        assert_int_equal(nacre_endpoint_respond(p.server.ep, request.exchange, &response), NACRE_OK);
        assert_true(party_take(&p.server, &back, 0));
        party_give(&p.client, &p.server, &back, 0);
        if (observes) (void)expect_event(&p.client, NACRE_EVENT_NOTIFICATION);
        else expect_quiet(&p.client, 0);
    }
    pair_close(&p);
}

/* A separate response: empty ACK first, then a CON that is acknowledged, and acknowledged again after the end. */
static void a_separate_response_is_acknowledged(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    for (int spoilt = 0; spoilt < 2; spoilt++) {
        datagram d, piggybacked, separate, out;
        (void)start(&p.client, &p.server, p.ours, NACRE_CON);
        const nacre_message sent = sent_request(&p, &d, 0);
        datagram ack = empty_message(NACRE_ACK, sent.mid);
        party_give(&p.client, &p.server, &ack, 0);
        served(&p, &d, &piggybacked, "in my own time", 0);
        nacre_message m = datagram_message(&piggybacked);
        m.type = NACRE_CON;
        m.mid = (uint16_t)(500 + spoilt);
        datagram_write(&separate, &m);
        if (spoilt) separate.bytes[separate.len - 1] ^= 1;
        for (int i = 0; i < 3; i++) {
            party_give(&p.client, &p.server, &separate, 1000);
            if (i == 0 && !spoilt)
                assert_payload(expect_event(&p.client, NACRE_EVENT_RESPONSE).message, "in my own time");
            assert_true(party_take(&p.client, &out, 1000)); /* also when it does not verify */
            assert_int_equal(out.len, 4);
            assert_int_equal(datagram_message(&out).type, NACRE_ACK);
            assert_int_equal(datagram_message(&out).mid, m.mid);
            expect_quiet(&p.client, 1000);
        }
        assert_int_equal(nacre_context_failed_decryptions(p.ours), spoilt); /* duplicates are not decrypted again */
    }
    pair_close(&p);
}

/* ---- Echo (RFC 8613 B.1.2) --------------------------------------------------------------------------------------- */

/* The server lost its window: challenge, repetition, response, with three Partial IVs and three bindings. */
static void an_echo_challenge_is_completed(void **state)
{
    (void)state;
    for (uint8_t type = NACRE_CON; type <= NACRE_NON; type++) {
        for (int persistent = 0; persistent < 2; persistent++) {
            pair p;
            pair_open(&p, NULL, &(pairing){ .server_lost = true, .server_persistent = persistent, .first_chunk = 1 });
            datagram first, challenge, again, response;
            (void)start(&p.client, &p.server, p.ours, type);
            const nacre_message sent = sent_request(&p, &first, 0);
            party_give(&p.server, &p.client, &first, 0);
            if (persistent) { /* the challenge needs its own number, and waits for it */
                assert_false(party_take(&p.server, &challenge, 0));
                (void)expect_event(&p.server, NACRE_EVENT_PERSIST);
                serve_store(p.theirs);
                nacre_endpoint_confirmed(p.server.ep, p.theirs, NACRE_OK);
            }
            assert_true(party_take(&p.server, &challenge, 0)); /* to a NON too */
            assert_int_equal(datagram_message(&challenge).type, type == NACRE_CON ? NACRE_ACK : NACRE_NON);
            nacre_event event;
            while (nacre_endpoint_next_event(p.server.ep, &event)) {
                assert_int_equal(event.kind, NACRE_EVENT_PERSIST); /* never the request itself */
                serve_store(p.theirs);
                nacre_endpoint_confirmed(p.server.ep, p.theirs, NACRE_OK);
            }
            party_give(&p.client, &p.server, &challenge, 0);
            assert_false(nacre_endpoint_next_event(p.client.ep, &event));
            const nacre_message repeated = sent_request(&p, &again, 0);
            assert_int_equal(repeated.type, type);
            assert_int_not_equal(repeated.mid, sent.mid);
            assert_false(nacre_bytes_equal(repeated.token, sent.token));
            assert_int_equal(nacre_context_next_seq(p.ours), 2);
            party_give(&p.client, &p.server, &challenge, 0); /* a late duplicate has no effect */
            expect_quiet(&p.client, 0);
            party_give(&p.server, &p.client, &again, 0);
            const nacre_event request = expect_event(&p.server, NACRE_EVENT_REQUEST);
            assert_int_equal(request.message.code, NACRE_GET);
            respond_text(&p.server, request.exchange, "fresh");
            assert_true(party_take(&p.server, &response, 0));
            party_give(&p.client, &p.server, &response, 0);
            assert_payload(expect_event(&p.client, NACRE_EVENT_RESPONSE).message, "fresh");
            pair_close(&p);
        }
    }
}

/* An application's own 4.01 with Echo is repeated once; the second is the response. An Echo option of ours is
 * replaced. */
static void a_request_is_repeated_once_with_echo(void **state)
{
    (void)state;
    const struct {
        size_t len;
        bool repeated;
    } rows[] = { { 0, false }, { 1, true }, { 8, true }, { 40, true }, { 41, false } };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        pair p;
        pair_open(&p, NULL, &(pairing){ 0 });
        datagram d, back;
        uint8_t echo[41], buf[64], request_buf[16];
        memset(echo, 'e', sizeof echo);
        nacre_options o;
        nacre_options_init(&o, NACRE_BUF(buf));
        nacre_options_add(&o, NACRE_OPT_ECHO, nacre_bytes_of(echo, rows[row].len));
        nacre_message challenge = { .code = NACRE_UNAUTHORIZED };
        assert_int_equal(nacre_options_finish(&o, &challenge.options), NACRE_OK);
        nacre_options_init(&o, NACRE_BUF(request_buf));
        nacre_options_add(&o, NACRE_OPT_URI_PATH, NACRE_STR("x"));
        nacre_options_add(&o, NACRE_OPT_ECHO, NACRE_STR("old"));
        nacre_options_add(&o, NACRE_OPT_REQUEST_TAG, NACRE_STR("t"));
        nacre_message get = { .type = NACRE_CON, .code = NACRE_FETCH, .payload = NACRE_STR("body") };
        assert_int_equal(nacre_options_finish(&o, &get.options), NACRE_OK);
        nacre_exchange exchange;
        assert_int_equal(nacre_endpoint_request(p.client.ep, &exchange, &p.server.address, p.ours, &get, NULL),
                         NACRE_OK);
        const int rounds = rows[row].repeated ? 2 : 1;
        for (int round = 0; round < rounds; round++) {
            (void)sent_request(&p, &d, 0);
            party_give(&p.server, &p.client, &d, 0);
            const nacre_event request = expect_event(&p.server, NACRE_EVENT_REQUEST);
            const nacre_bytes got = nacre_option_find(request.message.options, NACRE_OPT_ECHO);
            if (round == 0) assert_true(nacre_bytes_equal(got, NACRE_STR("old")));
            else assert_true(nacre_bytes_equal(got, nacre_bytes_of(echo, rows[row].len)));
            int num_options = 0;
            nacre_option_iter it = nacre_option_begin(request.message.options);
            for (nacre_option option; nacre_option_next(&it, &option);) num_options++;
            assert_int_equal(num_options, 3);
            assert_payload(request.message, "body");
            assert_int_equal(nacre_endpoint_respond(p.server.ep, request.exchange, &challenge), NACRE_OK);
            assert_true(party_take(&p.server, &back, 0));
            party_give(&p.client, &p.server, &back, 0);
        }
        const nacre_event response = expect_event(&p.client, NACRE_EVENT_RESPONSE);
        assert_int_equal(response.message.code, NACRE_UNAUTHORIZED);
        assert_int_equal(response.exchange.number, exchange.number);
        expect_quiet(&p.client, 0);
        pair_close(&p);
    }
}

/* RFC 9175 2.3: a plain request is repeated with the Echo value too, once. */
static void a_plain_request_is_repeated_with_echo(void **state)
{
    (void)state;
    static const uint8_t challenge[] = { 0xd3, 0xef, 'a', 'b', 'c' };
    pair p;
    pair_open(&p, NULL, &(pairing){ 0 });
    datagram d, back;
    (void)start(&p.client, &p.server, NULL, NACRE_CON);
    for (int i = 0; i < 2; i++) {
        const nacre_message sent = sent_request(&p, &d, 0);
        const nacre_bytes echo = nacre_option_find(sent.options, NACRE_OPT_ECHO);
        assert_int_equal(sent.code, NACRE_GET);
        assert_int_equal(echo.len, i == 0 ? 0 : 3);
        if (i > 0) assert_memory_equal(echo.ptr, "abc", 3);
        datagram_write(&back, &(nacre_message){
                                  NACRE_ACK, NACRE_UNAUTHORIZED, sent.mid, sent.token, NACRE_ARRAY(challenge), { 0 } });
        party_give(&p.client, &p.server, &back, 0);
    }
    assert_int_equal(expect_event(&p.client, NACRE_EVENT_RESPONSE).message.code, NACRE_UNAUTHORIZED);
    expect_quiet(&p.client, 0);
    pair_close(&p);
}

/* When the Echo value does not fit, the 4.01 is the response. */
static void a_challenge_that_does_not_fit_is_the_response(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, &(nacre_endpoint_config){ .max_message = 128 }, &(pairing){ .server_lost = true });
    static uint8_t payload[128];
    nacre_message put = { .type = NACRE_CON, .code = NACRE_PUT };
    nacre_exchange exchange;
    for (size_t len = sizeof payload;; len--) {
        put.payload = nacre_bytes_of(payload, len);
        if (nacre_endpoint_request(p.client.ep, &exchange, &p.server.address, p.ours, &put, NULL) == NACRE_OK) break;
    }
    datagram d, back;
    (void)sent_request(&p, &d, 0);
    party_give(&p.server, &p.client, &d, 0);
    assert_true(party_take(&p.server, &back, 0));
    party_give(&p.client, &p.server, &back, 0);
    assert_int_equal(expect_event(&p.client, NACRE_EVENT_RESPONSE).message.code, NACRE_UNAUTHORIZED);
    expect_quiet(&p.client, 0);
    pair_close(&p);
}

/* A server without an Echo value cannot challenge: it treats the request as a replay. */
static void a_server_without_an_echo_value_refuses_as_replay(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, NULL, &(pairing){ .server_lost = true, .no_echo = true });
    datagram d, back;
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    (void)sent_request(&p, &d, 0);
    party_give(&p.server, &p.client, &d, 0);
    expect_quiet(&p.client, 0);
    assert_true(party_take(&p.server, &back, 0));
    assert_int_equal(datagram_message(&back).code, NACRE_UNAUTHORIZED);
    assert_payload(datagram_message(&back), "Replay detected");
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_responses_do_not_complete_protected_requests),
        cmocka_unit_test(unprotected_error_does_not_end_an_acknowledged_or_repeated_request),
        cmocka_unit_test(unprotected_error_is_reported_when_the_time_is_up),
        cmocka_unit_test(unprotected_error_in_an_ack_ends_the_retransmissions),
        cmocka_unit_test(giving_up_reports_the_hint),
        cmocka_unit_test(plain_errors_of_proxies_are_hints),
        cmocka_unit_test(plain_responses_complete_plain_requests),
        cmocka_unit_test(responses_that_match_nothing_are_dropped),
        cmocka_unit_test(a_response_that_does_not_verify_is_dropped),
        cmocka_unit_test(a_hint_with_a_content_format_has_no_text),
        cmocka_unit_test(a_reused_entry_starts_clean),
        cmocka_unit_test(a_response_to_another_request_is_refused),
        cmocka_unit_test(a_protected_response_does_not_complete_a_plain_request),
        cmocka_unit_test(an_unknown_critical_option_rejects_a_response),
        cmocka_unit_test(a_response_with_uninvited_observe_is_dropped),
        cmocka_unit_test(a_separate_response_is_acknowledged),
        cmocka_unit_test(an_echo_challenge_is_completed),
        cmocka_unit_test(a_request_is_repeated_once_with_echo),
        cmocka_unit_test(a_plain_request_is_repeated_with_echo),
        cmocka_unit_test(a_challenge_that_does_not_fit_is_the_response),
        cmocka_unit_test(a_server_without_an_echo_value_refuses_as_replay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
