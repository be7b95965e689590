/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* amplification_test: how many bytes an unvalidated address is sent, how it is validated, and what captured requests
 * can cause (RFC 9175 2.4, 2.6; RFC 8613 B.1.2). */
#include "../scenario/outer.h"

static pair world;

static nacre_message body_of(size_t len)
{
    static uint8_t body[2000];
    return (nacre_message){ .code = NACRE_CONTENT, .payload = { body, len } };
}

static void respond(nacre_exchange exchange, size_t len)
{
    const nacre_message response = body_of(len);
    assert_int_equal(nacre_endpoint_respond(world.server.ep, exchange, &response), NACRE_OK);
}

static raw open_raw(bool is_protected, nacre_endpoint_config config)
{
    if (config.observe.num_observers == 0) config.observe.num_observers = 4;
    pair_open(&world, &config, &(pairing){ 0 });
    return raw_open(&world, is_protected ? world.ours : NULL);
}

/* Sends one request, responds with `len` bytes, and returns what is sent to the client. */
static nacre_message challenge_of(raw *r, uint8_t type, nacre_bytes options, size_t len, uint64_t now)
{
    static datagram d; /* the returned message points into it */
    respond(raw_requested(r, type, NACRE_GET, options, now).exchange, len);
    (void)raw_take(r, &d, now);
    return raw_read(r, &d);
}

static nacre_bytes echo_of(nacre_message challenge)
{
    static uint8_t memory[64];
    nacre_options options;
    nacre_bytes out = NACRE_ABSENT;
    const nacre_bytes echo = nacre_option_find(challenge.options, NACRE_OPT_ECHO);
    assert_int_equal(challenge.code, NACRE_UNAUTHORIZED);
    assert_int_equal(echo.len, 8);
    assert_int_equal(challenge.payload.len, 0);
    nacre_options_init(&options, NACRE_BUF(memory));
    nacre_options_add(&options, NACRE_OPT_ECHO, echo);
    assert_int_equal(nacre_options_finish(&options, &out), NACRE_OK);
    return out;
}

/* Without the context's lock, window_is_known returns a wrong value. */
static bool window_is_known;

static void take(void *self, nacre_context *const *contexts, size_t num)
{
    (void)self;
    if (num > 0) contexts[0]->replay.known = window_is_known;
}

static void give(void *self, nacre_context *const *contexts, size_t num)
{
    (void)self;
    if (num == 0) return;
    window_is_known = contexts[0]->replay.known;
    contexts[0]->replay.known = false;
}

/* With contexts of several threads, the window state that an Echo value is checked against is read under the lock. */
static void the_window_is_read_under_the_lock(void **state)
{
    (void)state;
    static const uint8_t echo[] = { 0xd8, 252 - 13, 1, 2, 3, 4, 5, 6, 7, 8 };
    raw r = open_raw(true, (nacre_endpoint_config){ .lock = { take, give, NULL } });
    window_is_known = true;
    give(NULL, &world.theirs, 1);
    assert_int_equal(challenge_of(&r, NACRE_CON, NACRE_ARRAY(echo), 20, 0).code, NACRE_CONTENT);
    assert_true(window_is_known);
    assert_int_equal(challenge_of(&r, NACRE_CON, NACRE_ABSENT, 400, 0).code,
                     NACRE_UNAUTHORIZED); /* an Echo option from another peer is not acted on */
    pair_close(&world);
}

/* RFC 9175 2.4 item 3, 2.6: 136 bytes are sent and 137 are not; sizes are those of whole datagrams. A protected
 * response counts with its longest Partial IV. */
static void unvalidated_addresses_get_136_bytes_and_not_137(void **state)
{
    (void)state;
    const struct {
        bool is_protected;
        size_t len, sent;
        bool passes;
    } rows[] = {
        { false, 129, 136, true }, { false, 130, 16, false }, { true, 112, 130, true }, { true, 113, 0, false }
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (uint8_t type = NACRE_CON; type <= NACRE_NON; type++) {
            raw r = open_raw(rows[i].is_protected, (nacre_endpoint_config){ 0 });
            datagram d;
            respond(raw_requested(&r, type, NACRE_GET, NACRE_ABSENT, 0).exchange, rows[i].len);
            assert_int_equal(raw_take(&r, &d, 0).type, type == NACRE_CON ? NACRE_ACK : NACRE_NON);
            if (rows[i].sent != 0) assert_int_equal(d.len, rows[i].sent);
            assert_true(d.len <= 136);
            assert_int_equal(raw_read(&r, &d).code, rows[i].passes ? NACRE_CONTENT : NACRE_UNAUTHORIZED);
            pair_close(&world);
        }
}

/* Up to three times the bytes received are sent when that is more than 136. */
static void unvalidated_addresses_get_three_times_the_received_bytes(void **state)
{
    (void)state;
    static const char path[] =
        "a path of one hundred bytes: 0123456789 0123456789 0123456789 0123456789 0123456789 012345";
    for (int over = 0; over < 2; over++) {
        raw r = open_raw(false, (nacre_endpoint_config){ 0 });
        datagram d;
        raw_request(&r, &d, NACRE_CON, NACRE_GET, raw_options(-1, path, -1), 0);
        const size_t most = 3 * d.len - 7; /* header, token, marker */
        respond(expect_event(&world.server, NACRE_EVENT_REQUEST).exchange, most + (size_t)over);
        const size_t came = d.len;
        assert_int_equal(raw_take(&r, &d, 0).code, over ? NACRE_UNAUTHORIZED : NACRE_CONTENT);
        if (!over) assert_int_equal(d.len, 3 * came);
        pair_close(&world);
    }
}

/* A response whose lower bound on the length is within the limit and whose upper bound is not is held back. */
static void longest_response_is_held_back(void **state)
{
    (void)state;
    static const nacre_endpoint_config config = { .max_message = 400, .observe.num_observers = 4 };
    for (int row = 0; row < 4; row++)
        for (size_t len = 340; len <= 400; len++) {
            const bool is_protected = row % 2 == 1, observes = row / 2 == 1;
            raw r = open_raw(is_protected, config);
            const nacre_bytes options = observes ? raw_options(0, NULL, -1) : NACRE_ABSENT;
            const nacre_exchange exchange = raw_requested(&r, NACRE_CON, NACRE_GET, options, 0).exchange;
            const nacre_message response = body_of(len);
            nacre_observer observer;
            datagram d;
            if (observes)
                assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, exchange, NULL), NACRE_OK);
            if (nacre_endpoint_respond(world.server.ep, exchange, &response) == NACRE_OK) {
                (void)raw_take(&r, &d, 0);
                assert_true(d.len <= 136);
            }
            pair_close(&world);
        }
}

/* A guessed ACK does not allow a day of notifications: the sixteenth requires another ACK, unless the registration is
 * protected or its address validated. */
static void unvalidated_observer_is_challenged_again(void **state)
{
    (void)state;
    for (int row = 0; row < 3; row++) {
        const bool is_protected = row == 1, is_validated = row == 2;
        raw r = open_raw(is_protected, (nacre_endpoint_config){ 0 });
        nacre_observer observer;
        if (is_validated)
            (void)challenge_of(&r, NACRE_CON, echo_of(challenge_of(&r, NACRE_CON, NACRE_ABSENT, 500, 0)), 20, 0);
        const nacre_event event = raw_requested(&r, NACRE_NON, NACRE_GET, raw_options(0, NULL, -1), 0);
        assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, event.exchange, NULL), NACRE_OK);
        respond(event.exchange, 10);
        datagram d;
        (void)raw_take(&r, &d, 0);
        for (int i = 0; i < 50; i++) {
            nacre_endpoint_changed(world.server.ep, observer);
            (void)expect_event(&world.server, NACRE_EVENT_NOTIFY);
            respond(notification_of(observer), 10);
            const nacre_message m = raw_take(&r, &d, 1000);
            const bool is_con = is_validated ? false : is_protected ? i == 0 : i % 16 == 0;
            assert_int_equal(m.type, is_con ? NACRE_CON : NACRE_NON);
            if (is_con) raw_empty(&r, NACRE_ACK, m.mid, 1000);
        }
        pair_close(&world);
    }
}

/* A duplicate gets what the limit allows at that time: the full response only while the address stays validated. */
static void duplicate_gets_no_more_than_its_address_may(void **state)
{
    (void)state;
    for (size_t len = 20; len <= 500; len += 480)
        for (uint64_t now = 246000; now <= 248000; now += 2000) {
            raw r = open_raw(true, (nacre_endpoint_config){ 0 });
            datagram d, first, again;
            assert_int_equal(
                challenge_of(&r, NACRE_CON, echo_of(challenge_of(&r, NACRE_CON, NACRE_ABSENT, 500, 0)), 500, 0).code,
                NACRE_CONTENT);
            raw_request(&r, &d, NACRE_CON, NACRE_GET, NACRE_ABSENT, 200000);
            respond(expect_event(&world.server, NACRE_EVENT_REQUEST).exchange, len);
            (void)raw_take(&r, &first, 200000);
            raw_give(&r, &d, now);
            const bool came = party_take(&world.server, &again, now);
            assert_int_equal(came, len == 20 || now < 247000);
            if (came) assert_true(datagram_same(&first, &again));
            pair_close(&world);
        }
}

/* A proxy's Block1 and Block2 are returned in the response, and their bytes count in each transmission. */
static void outer_block_counts_in_retransmissions(void **state)
{
    (void)state;
    static const outer_block blocks[] = { { .szx = 6 }, { .is_plain = true, .has_block2 = true, .block2 = 2 } };
    static const char path[] = "a path that makes the request of any length, and its allowance";
    for (size_t at = 0; at < 2 * 80 * sizeof path; at++) { /* block | length | path */
        const size_t len = 1 + at / 2 % 80;
        raw r = open_raw(true, (nacre_endpoint_config){ 0 });
        datagram whole, d;
        raw_write(&r, &whole, NACRE_CON, NACRE_GET, raw_options(-1, path + at / 160, -1));
        const nacre_message m = datagram_message(&whole);
        raw_write_block(&r, &d, &m, &blocks[at % 2]);
        const size_t most = 3 * d.len > 136 ? 3 * d.len : 136;
        raw_give(&r, &d, 0);
        const nacre_exchange exchange = expect_event(&world.server, NACRE_EVENT_REQUEST).exchange;
        assert_int_equal(nacre_endpoint_defer_response(world.server.ep, exchange), NACRE_OK);
        size_t sent = 0;
        for (uint64_t now = 100; now < 200000; now += 1000) {
            nacre_endpoint_expire(world.server.ep, now);
            for (; party_take(&world.server, &d, now); sent += d.len)
                if (sent == 0) respond(exchange, len);
        }
        assert_in_range(sent, 1, most);
        pair_close(&world);
    }
}

/* RFC 9175 2.3: an inner or outer Echo value brings the response; no further Echo is required until the validation
 * expires. */
static void echo_validates_the_address_for_a_while(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        raw r = open_raw(is_protected, (nacre_endpoint_config){ 0 });
        const nacre_bytes echo = echo_of(challenge_of(&r, NACRE_CON, NACRE_ABSENT, 500, 0));
        assert_int_equal(challenge_of(&r, NACRE_CON, echo, 500, 100).code, NACRE_CONTENT);
        assert_int_equal(challenge_of(&r, NACRE_NON, NACRE_ABSENT, 1000, 200000).code, NACRE_CONTENT);
        (void)echo_of(challenge_of(&r, NACRE_CON, NACRE_ABSENT, 500, 100 + 247000)); /* has expired */
        pair_close(&world);
    }
}

/* Values of another address, another time or another endpoint, and arbitrary ones, are refused. */
static void wrong_echo_values_are_refused(void **state)
{
    (void)state;
    enum { OTHER_ADDRESS = 1, LATE, BITS, SHORT, NOT_AT_ALL_WRONG };
    for (int row = OTHER_ADDRESS; row <= NOT_AT_ALL_WRONG; row++) {
        raw r = open_raw(true, (nacre_endpoint_config){ 0 });
        nacre_bytes echo = echo_of(challenge_of(&r, NACRE_CON, NACRE_ABSENT, 500, 0));
        uint64_t now = 130000;
        if (row == OTHER_ADDRESS) r.address = address_named("victim");
        if (row == LATE) now = 2 * 131072;
        if (row == BITS) ((uint8_t *)(uintptr_t)echo.ptr)[echo.len - 1] ^= 1;
        uint8_t shorter[9];
        memcpy(shorter, echo.ptr, sizeof shorter);
        shorter[0] = (uint8_t)(shorter[0] - 1); /* its length */
        if (row == SHORT) echo = NACRE_ARRAY(shorter);
        const uint8_t code = challenge_of(&r, NACRE_CON, echo, 500, now).code;
        assert_int_equal(code, row == NOT_AT_ALL_WRONG ? NACRE_CONTENT : NACRE_UNAUTHORIZED);
        pair_close(&world);
    }
}

/* RFC 8613 B.1.2: one Echo serves the window and the address. */
static void one_echo_validates_the_address_and_recovers_the_window(void **state)
{
    (void)state;
    pair_open(&world, NULL, &(pairing){ .server_lost = true });
    raw r = raw_open(&world, world.ours);
    datagram d;
    raw_request(&r, &d, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0);
    (void)raw_take(&r, &d, 0);
    const nacre_bytes echo = echo_of(raw_read(&r, &d));
    assert_int_equal(challenge_of(&r, NACRE_CON, echo, 1000, 10).code, NACRE_CONTENT);
    /* the value is used up and does not validate another address */
    r.address = address_named("victim");
    assert_int_equal(challenge_of(&r, NACRE_CON, echo, 1000, 10).code, NACRE_UNAUTHORIZED);
    pair_close(&world);
}

/* In one burst, a request with a wrong value is not validated by the right value of another. */
static void an_echo_in_a_burst_validates_one_request_only(void **state)
{
    (void)state;
    for (size_t burst = 1; burst <= 2; burst++) {
        pair_open(&world, NULL, &(pairing){ .server_lost = true });
        raw r = raw_open(&world, world.ours);
        datagram d[2];
        raw_request(&r, &d[0], NACRE_CON, NACRE_GET, NACRE_ABSENT, 0);
        (void)raw_take(&r, &d[0], 0);
        const nacre_bytes echo = echo_of(raw_read(&r, &d[0]));
        const nacre_address from[] = { r.address, address_named("victim") };
        nacre_request_id ids[2];
        for (size_t i = 0; i < 2; i++) {
            ((uint8_t *)(uintptr_t)echo.ptr)[echo.len - 1] ^= (uint8_t)i; /* the second one is wrong */
            raw_write(&r, &d[i], NACRE_CON, NACRE_GET, echo);
            ids[i] = nacre_request_id_dup(&r.id);
        }
        for (size_t i = 0; i < 2; i += burst) {
            nacre_datagram in[2] = { { .full_len = 0 } };
            party_take_back(r.server);
            for (size_t k = 0; k < burst; k++)
                in[k] = (nacre_datagram){ .peer = from[i + k],
                                          .bytes = party_lend(r.server, nacre_bytes_of(d[i + k].bytes, d[i + k].len)) };
            assert_int_equal(nacre_endpoint_receive_many(r.server->ep, in, burst, 10), burst);
            for (size_t k = i; k < i + burst; k++) {
                datagram response;
                r.address = from[k];
                respond(expect_event(&world.server, NACRE_EVENT_REQUEST).exchange, 1000);
                (void)raw_take(&r, &response, 10);
                assert_int_equal(raw_read_as(&r, &ids[k], &response).code, k == 0 ? NACRE_CONTENT : NACRE_UNAUTHORIZED);
            }
        }
        pair_close(&world);
    }
}

/* A response with our token validates its address; an ACK or a RST with our message ID does not. */
static void message_id_validates_no_address(void **state)
{
    (void)state;
    enum { BY_ACK, BY_RST, BY_ACK_OF_A_REQUEST, BY_RST_OF_A_REQUEST, BY_TOKEN, NUM };
    for (int row = 0; row < NUM; row++) {
        raw r = open_raw(true, (nacre_endpoint_config){ 0 });
        datagram d;
        if (row <= BY_RST) {
            const nacre_exchange exchange = raw_requested(&r, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0).exchange;
            assert_int_equal(nacre_endpoint_defer_response(world.server.ep, exchange), NACRE_OK);
            nacre_endpoint_expire(world.server.ep, 100);
            raw_expect_empty(&r, NACRE_ACK, r.mid, 100);
            respond(exchange, 1);
            raw_empty(&r, row == BY_ACK ? NACRE_ACK : NACRE_RST, raw_take(&r, &d, 100).mid, 100);
        } else {
            const nacre_message get = get_request(NACRE_CON);
            nacre_exchange exchange;
            assert_int_equal(nacre_endpoint_request(world.server.ep, &exchange, &r.address, NULL, &get, NULL),
                             NACRE_OK);
            const nacre_message m = raw_take(&r, &d, 0);
            assert_int_equal(m.token.len, 8); /* of random bits */
            const nacre_message pong = { .type = NACRE_ACK, .code = NACRE_CONTENT, .mid = m.mid, .token = m.token };
            datagram response;
            datagram_write(&response, &pong);
            if (row == BY_TOKEN) raw_give(&r, &response, 0);
            else raw_empty(&r, row == BY_ACK_OF_A_REQUEST ? NACRE_ACK : NACRE_RST, m.mid, 0);
            if (row == BY_TOKEN) (void)expect_event(&world.server, NACRE_EVENT_RESPONSE);
            if (row == BY_RST_OF_A_REQUEST) (void)expect_event(&world.server, NACRE_EVENT_FAILED);
        }
        assert_int_equal(challenge_of(&r, NACRE_CON, NACRE_ABSENT, 1000, 100).code,
                         row == BY_TOKEN ? NACRE_CONTENT : NACRE_UNAUTHORIZED);
        pair_close(&world);
    }
}

/* A handler runs once. Its long response is replaced by the code, with the Block1 option that the request expects. */
static void handlers_run_once_when_their_response_is_too_long(void **state)
{
    (void)state;
    for (uint8_t type = NACRE_CON; type <= NACRE_NON; type++)
        for (int is_protected = 0; is_protected < 2; is_protected++)
            for (int is_deferred = 0; is_deferred < 2; is_deferred++) {
                raw r = open_raw(is_protected, (nacre_endpoint_config){ 0 });
                datagram d;
                static const uint8_t block1[] = { 0xd1, 27 - 13, 0x06 };
                const nacre_exchange exchange = raw_requested(&r, type, NACRE_POST, NACRE_ABSENT, 0).exchange;
                if (is_deferred) {
                    assert_int_equal(nacre_endpoint_defer_response(world.server.ep, exchange), NACRE_OK);
                    nacre_endpoint_expire(world.server.ep, 100);
                    if (type == NACRE_CON) raw_expect_empty(&r, NACRE_ACK, r.mid, 100);
                }
                nacre_message response = body_of(1000);
                response.options = NACRE_ARRAY(block1);
                assert_int_equal(nacre_endpoint_respond(world.server.ep, exchange, &response), NACRE_OK);
                const nacre_message m = raw_take(&r, &d, 100);
                assert_int_equal(m.type, type == NACRE_NON ? NACRE_NON : is_deferred ? NACRE_CON : NACRE_ACK);
                const nacre_message plain = raw_read(&r, &d);
                assert_int_equal(plain.code, NACRE_CONTENT);
                assert_int_equal(plain.payload.len, 0);
                assert_true(nacre_bytes_equal(plain.options, NACRE_ARRAY(block1)));
                if (m.type == NACRE_CON) raw_empty(&r, NACRE_ACK, m.mid, 100);
                assert_true(nacre_endpoint_deadline(world.server.ep) == UINT64_MAX);
                expect_quiet(&world.server, 100);
                pair_close(&world);
            }
}

/* A separate response or a notification is retransmitted only within the limit; its timers run on regardless, and an
 * ACK still ends it. */
static void retransmissions_count_against_the_allowance(void **state)
{
    (void)state;
    for (int is_observer = 0; is_observer < 2; is_observer++)
        for (int is_acked = 0; is_acked < 2; is_acked++) {
            raw r = open_raw(false, (nacre_endpoint_config){ 0 });
            datagram d, first;
            nacre_exchange exchange =
                raw_requested(&r, NACRE_CON, NACRE_GET, raw_options(is_observer ? 0 : -1, NULL, -1), 0).exchange;
            if (is_observer) {
                nacre_observer observer;
                assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, exchange, NULL), NACRE_OK);
                respond(exchange, 1);
                (void)raw_take(&r, &d, 0);
                exchange = notification_of(observer);
                nacre_endpoint_changed(world.server.ep, observer);
                (void)expect_event(&world.server, NACRE_EVENT_NOTIFY);
            } else {
                assert_int_equal(nacre_endpoint_defer_response(world.server.ep, exchange), NACRE_OK);
                nacre_endpoint_expire(world.server.ep, 100);
                raw_expect_empty(&r, NACRE_ACK, r.mid, 100);
            }
            respond(exchange, 50);
            const uint16_t mid = raw_take(&r, &first, 100).mid;
            size_t bytes = first.len + (is_observer ? 0 : 4), again = 0;
            for (int i = 0; i < (is_acked ? 4 : 5); i++) {
                const uint64_t due = nacre_endpoint_deadline(world.server.ep);
                nacre_endpoint_expire(world.server.ep, due);
                if (!party_take(&world.server, &d, due)) continue;
                assert_true(datagram_same(&d, &first));
                bytes += d.len;
                again++;
            }
            assert_int_equal(again, 1);
            assert_true(bytes <= 136);
            if (is_acked) raw_empty(&r, NACRE_ACK, mid, 50000);
            else if (is_observer)
                assert_int_equal(expect_event(&world.server, NACRE_EVENT_OBSERVER_REMOVED).err, NACRE_ERR_TIMEOUT);
            assert_true(nacre_endpoint_deadline(world.server.ep) == UINT64_MAX);
            expect_quiet(&world.server, 100000);
            pair_close(&world);
        }
}

/* A registration whose response exceeds the limit gets an Echo challenge, and there is no observer yet. */
static void registration_with_a_long_response_requires_echo(void **state)
{
    (void)state;
    raw r = open_raw(true, (nacre_endpoint_config){ 0 });
    nacre_observer observer;
    datagram d;
    const nacre_event event = raw_requested(&r, NACRE_CON, NACRE_GET, raw_options(0, "x", -1), 0);
    assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, event.exchange, NULL), NACRE_OK);
    respond(event.exchange, 500);
    const nacre_message outer = raw_take(&r, &d, 0);
    assert_true(nacre_is_absent(nacre_option_find(outer.options, NACRE_OPT_OBSERVE)));
    (void)echo_of(raw_read(&r, &d));
    assert_int_equal(expect_event(&world.server, NACRE_EVENT_OBSERVER_REMOVED).observer.number, observer.number);
    expect_quiet(&world.server, 0);
    pair_close(&world);
}

/* Nothing is held back where the limit is off, or where the source cannot be forged. */
static void nothing_is_held_back_without_a_limit(void **state)
{
    (void)state;
    for (int row = 0; row < 3; row++) {
        nacre_endpoint_config config = config_with((nacre_endpoint_config){ 0 });
        config.admission.amplification_limit = row != 0;
        raw r = open_raw(true, config);
        if (row == 1) r.address.flags = NACRE_ADDRESS_RELIABLE;
        assert_int_equal(challenge_of(&r, NACRE_NON, NACRE_ABSENT, 1000, 0).code,
                         row < 2 ? NACRE_CONTENT : NACRE_UNAUTHORIZED);
        pair_close(&world);
    }
}

/* The table of validated addresses is bounded: after ten thousand, the newest is still known. */
static void memory_of_validated_addresses_is_bounded(void **state)
{
    (void)state;
    raw r = open_raw(false, (nacre_endpoint_config){ .admission.num_peers = 16 });
    nacre_bytes echo;
    for (int i = 0; i < 10000; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%d", i);
        r.address = address_named(name);
        const uint64_t now = (uint64_t)i * 10;
        echo = echo_of(challenge_of(&r, NACRE_CON, NACRE_ABSENT, 500, now));
        assert_int_equal(challenge_of(&r, NACRE_CON, echo, 500, now).code, NACRE_CONTENT);
        assert_int_equal(challenge_of(&r, NACRE_CON, NACRE_ABSENT, 500, now).code, NACRE_CONTENT);
    }
    r.address = address_named("n0");
    (void)echo_of(challenge_of(&r, NACRE_CON, NACRE_ABSENT, 500, 100000));
    pair_close(&world);
}

/* ---- Captured requests ------------------------------------------------------------------------------------------- */

/* NON copies under new message IDs each bring a challenge to an unknown window, and each challenge uses a number. */
static void challenges_are_rate_limited(void **state)
{
    (void)state;
    pair_open(&world, &(nacre_endpoint_config){ .admission.context_challenges_per_second = 2 },
              &(pairing){ .server_lost = true });
    raw r = raw_open(&world, world.ours);
    datagram d, out;
    uint64_t sent = 0;
    raw_request(&r, &d, NACRE_NON, NACRE_GET, NACRE_ABSENT, 0);
    for (uint64_t ms = 0; ms < 20000; ms += 10) {
        while (party_take(&world.server, &out, ms)) sent++;
        d.bytes[2]++, d.bytes[3] = (uint8_t)(ms / 10); /* another MID */
        raw_give(&r, &d, ms);
    }
    while (party_take(&world.server, &out, 20000)) sent++;
    assert_in_range(sent, 40, 52); /* two a second, up to eight at once, and one to the number's first use */
    assert_int_equal(nacre_context_next_seq(world.theirs), sent);
    /* after a pause the next one gets a challenge, which recovers the window */
    raw_request(&r, &d, NACRE_CON, NACRE_GET, NACRE_ABSENT, 30000);
    (void)raw_take(&r, &out, 30000);
    const nacre_bytes echo = echo_of(raw_read(&r, &out));
    (void)raw_requested(&r, NACRE_CON, NACRE_GET, echo, 30001);
    pair_close(&world);
}

/* First challenges to Partial IVs have a rate of their own. */
static void first_challenges_are_rate_limited(void **state)
{
    (void)state;
    pair_open(&world, &(nacre_endpoint_config){ .admission.challenges_per_second = 1 },
              &(pairing){ .server_lost = true });
    raw r = raw_open(&world, world.ours);
    datagram d;
    int sent = 0;
    for (int i = 0; i < 50; i++) {
        raw_request(&r, &d, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0);
        sent += party_take(&world.server, &d, 0);
    }
    assert_in_range(sent, 3, 5);
    pair_close(&world);
}

/* A CON that got no response is challenged when it is retransmitted: it is not taken for a duplicate. */
static void con_without_a_response_is_challenged_when_retransmitted(void **state)
{
    (void)state;
    pair_open(&world, &(nacre_endpoint_config){ .admission.challenges_per_second = 1 },
              &(pairing){ .server_lost = true });
    raw r = raw_open(&world, world.ours);
    datagram d, out;
    do raw_request(&r, &d, NACRE_CON, NACRE_GET, NACRE_ABSENT, 0);
    while (party_take(&world.server, &out, 0));
    raw_give(&r, &d, 4000);
    (void)raw_take(&r, &out, 4000);
    (void)echo_of(raw_read(&r, &out));
    pair_close(&world);
}

/* While the store is asked to mark the window unknown, one copy of a request waits, however often it is received. */
static void one_copy_of_a_request_waits_for_the_store(void **state)
{
    (void)state;
    for (int is_copy = 0; is_copy < 2; is_copy++) {
        pair_open(&world, &(nacre_endpoint_config){ .burst = 2 }, &(pairing){ .server_stored = true });
        raw r = raw_open(&world, world.ours);
        datagram d;
        raw_request(&r, &d, NACRE_NON, NACRE_GET, NACRE_ABSENT, 0);
        (void)expect_event(&world.server, NACRE_EVENT_PERSIST);
        for (int i = 0; i < 100; i++) {
            d.bytes[2]++;
            raw_give(&r, &d, 0);
        }
        if (is_copy) raw_request(&r, &d, NACRE_NON, NACRE_GET, NACRE_ABSENT, 0); /* the other entry is free for it */
        serve_store(world.theirs);
        nacre_endpoint_confirmed(world.server.ep, world.theirs, NACRE_OK);
        for (int i = 0; i < 1 + is_copy; i++) (void)expect_event(&world.server, NACRE_EVENT_REQUEST);
        expect_quiet(&world.server, 0);
        pair_close(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_is_read_under_the_lock),
        cmocka_unit_test(unvalidated_addresses_get_136_bytes_and_not_137),
        cmocka_unit_test(unvalidated_addresses_get_three_times_the_received_bytes),
        cmocka_unit_test(longest_response_is_held_back),
        cmocka_unit_test(outer_block_counts_in_retransmissions),
        cmocka_unit_test(unvalidated_observer_is_challenged_again),
        cmocka_unit_test(duplicate_gets_no_more_than_its_address_may),
        cmocka_unit_test(echo_validates_the_address_for_a_while),
        cmocka_unit_test(wrong_echo_values_are_refused),
        cmocka_unit_test(one_echo_validates_the_address_and_recovers_the_window),
        cmocka_unit_test(an_echo_in_a_burst_validates_one_request_only),
        cmocka_unit_test(message_id_validates_no_address),
        cmocka_unit_test(handlers_run_once_when_their_response_is_too_long),
        cmocka_unit_test(retransmissions_count_against_the_allowance),
        cmocka_unit_test(registration_with_a_long_response_requires_echo),
        cmocka_unit_test(nothing_is_held_back_without_a_limit),
        cmocka_unit_test(memory_of_validated_addresses_is_bounded),
        cmocka_unit_test(challenges_are_rate_limited),
        cmocka_unit_test(first_challenges_are_rate_limited),
        cmocka_unit_test(con_without_a_response_is_challenged_when_retransmitted),
        cmocka_unit_test(one_copy_of_a_request_waits_for_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
