/* SPDX-License-Identifier: MIT */
/* unvalidated_blocks_test: unvalidated addresses get responses of any length, block by block, each within the allowance
 * of its request (RFC 7252 11.3, RFC 7959 2.4, RFC 9175 2.3, 2.4); in clear and protected, for clients without Echo
 * support. */
#include "../scenario/raw.h"

enum { MAX = 3000 };

static pair world;
static uint8_t body[MAX];
static size_t num_requested; /* requests seen by the application */

typedef enum body_kind {
    WHOLE,
    SOURCE,
    SOURCE_ALONE,
    NUM_KINDS
} body_kind; /* a source with an ETag, and one without */

static raw open_raw(bool is_protected, nacre_endpoint_config config)
{
    config.observe.num_observers = 4;
    for (size_t i = 0; i < MAX; i++) body[i] = (uint8_t)(i * 31 + i / 256);
    pair_open(&world, &config, &(pairing){ 0 });
    party_add_transfer(&world.server, NULL);
    num_requested = 0;
    return raw_open(&world, is_protected ? world.ours : NULL);
}

static nacre_err read_body(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    const size_t size = *(const size_t *)user;
    *len = offset >= size ? 0 : size - (size_t)offset < buf.cap ? size - (size_t)offset : buf.cap;
    if (*len > 0) memcpy(buf.ptr, body + offset, *len);
    return NACRE_OK;
}

static void respond(const nacre_event *event, uint8_t code, size_t len, body_kind kind)
{
    static const uint8_t etag[] = { 0x42, 7, 7 };
    nacre_message m = { .code = code };
    nacre_response_options options = { .source = { NULL, NULL, 0 } };
    if (kind == WHOLE) m.payload = nacre_bytes_of(body, len);
    else options.source = (nacre_source){ read_body, &len, len };
    if (kind == SOURCE) m.options = NACRE_ARRAY(etag);
    assert_int_equal(nacre_transfer_respond(world.server.transfer, event->exchange, &m, &options), NACRE_OK);
}

static void give(raw *r, const datagram *d, uint64_t now)
{
    party_take_back(r->server);
    const nacre_datagram in = { .peer = r->address, .bytes = party_lend(r->server, nacre_bytes_of(d->bytes, d->len)) };
    assert_int_equal(party_receive(r->server, &in, 1, now), 1);
}

static size_t allowance(size_t in)
{
    return in * 3 > 136 ? in * 3 : 136;
}

static nacre_bytes with(const nacre_bytes *options, int64_t block2, nacre_bytes echo)
{
    static uint8_t memory[300];
    nacre_options o;
    nacre_bytes out = NACRE_ABSENT;
    nacre_options_init(&o, NACRE_BUF(memory));
    nacre_option_iter it = nacre_option_begin(*options);
    for (nacre_option option; nacre_option_next(&it, &option);) nacre_options_add(&o, option.number, option.value);
    if (block2 >= 0) nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, (uint64_t)block2);
    if (!nacre_is_absent(echo)) nacre_options_add(&o, NACRE_OPT_ECHO, echo);
    assert_int_equal(nacre_options_finish(&o, &out), NACRE_OK);
    return out;
}

/* One request and its response, which stays within the allowance unless that is lifted. */
static nacre_message exchanged(raw *r, uint8_t code, nacre_bytes options, size_t len, body_kind kind, bool is_lifted)
{
    static datagram in, out;
    nacre_event event;
    raw_write(r, &in, NACRE_CON, code, options);
    give(r, &in, 0);
    if (party_next_event(&world.server, &event)) {
        assert_int_equal(event.kind, NACRE_EVENT_REQUEST);
        num_requested++;
        respond(&event, NACRE_CONTENT, len, kind);
    }
    assert_true(party_take(&world.server, &out, 0));
    if (!is_lifted) assert_true(out.len <= allowance(in.len));
    return raw_read(r, &out);
}

static nacre_bytes option(const nacre_message *m, uint16_t number)
{
    return nacre_option_find(m->options, number);
}

static uint64_t number_in(nacre_bytes value)
{
    uint64_t n = 0;
    assert_true(nacre_option_uint(value, &n));
    return n;
}

/* Fetches the whole body as a client without Echo support; returns the number of requests. `block2` is the first one
 * requested, or -1. */
static unsigned fetched(raw *r, uint8_t code, nacre_bytes options, int64_t block2, size_t len, body_kind kind)
{
    uint8_t got[MAX];
    size_t at = 0;
    unsigned requests = 0;
    int64_t body_want = block2;
    for (bool more = true; more; requests++) {
        const nacre_message m = exchanged(r, code, with(&options, body_want, NACRE_ABSENT), len, kind, false);
        assert_int_equal(m.code, NACRE_CONTENT);
        assert_true(at + m.payload.len <= len);
        if (m.payload.len > 0) memcpy(got + at, m.payload.ptr, m.payload.len);
        const nacre_bytes block = option(&m, NACRE_OPT_BLOCK2);
        const uint64_t value = nacre_is_absent(block) ? 0 : number_in(block);
        const uint64_t szx = value & 7;
        if (!nacre_is_absent(block)) assert_int_equal((value >> 4) << (szx + 4), at);
        if (block2 >= 0) assert_true(szx <= (uint64_t)(block2 & 7));
        at += m.payload.len;
        more = (value & 8) != 0;
        if (more) assert_false(nacre_is_absent(option(&m, NACRE_OPT_ETAG)));
        body_want = (int64_t)((at >> (szx + 4)) << 4 | szx);
    }
    assert_int_equal(at, len);
    assert_memory_equal(got, body, len);
    return requests;
}

/* Each way to give a body, each length, each requested block size, safe or not. The application carries a POST out
 * once. */
static void client_without_echo_gets_the_whole_body(void **state)
{
    (void)state;
    static const size_t lengths[] = { 0, 16, 100, 137, 500, 1024, 2500 };
    static const int64_t body_wants[] = { -1, 6, 2, 0 };
    for (int is_protected = 0; is_protected < 2; is_protected++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
            for (size_t w = 0; w < sizeof body_wants / sizeof *body_wants; w++)
                for (body_kind kind = WHOLE; kind < NUM_KINDS; kind++) {
                    raw r;
                    if (kind != SOURCE_ALONE || lengths[i] <= 1024) { /* a longer one needs an ETag */
                        r = open_raw(is_protected, (nacre_endpoint_config){ 0 });
                        (void)fetched(&r, NACRE_GET, raw_options(-1, "x", -1), body_wants[w], lengths[i], kind);
                        pair_close(&world);
                    }
                    r = open_raw(is_protected, (nacre_endpoint_config){ 0 });
                    (void)fetched(&r, NACRE_POST, raw_options(-1, "x", -1), body_wants[w], lengths[i], kind);
                    assert_int_equal(num_requested, 1);
                    pair_close(&world);
                }
}

/* A request with a body in blocks gets its response like any other. */
static void upload_gets_its_response_in_slices(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        raw r = open_raw(is_protected, (nacre_endpoint_config){ 0 });
        static const uint8_t first[] = { 0xd1, 27 - 13, 0x08 },
                             last[] = { 0xd1, 27 - 13, 0x10 }; /* 16 bytes and none */
        datagram d, out;
        for (int i = 0; i < 2; i++) {
            nacre_message m = { .code = NACRE_POST, .token = r.token, .mid = ++r.mid };
            m.options = i == 0 ? NACRE_ARRAY(first) : NACRE_ARRAY(last);
            m.payload = nacre_bytes_of(body, i == 0 ? 16 : 1);
            nacre_bytes bytes;
            if (r.ctx == NULL) assert_int_equal(nacre_message_write(&m, &bytes, NACRE_BUF(d.bytes)), NACRE_OK);
            else
                assert_int_equal(nacre_protect_request(r.ctx, &r.crypto, &r.id, &bytes, NACRE_BUF(d.bytes), &m, NULL),
                                 NACRE_OK);
            d.len = bytes.len;
            give(&r, &d, 0);
            nacre_event event;
            assert_int_equal(party_next_event(&world.server, &event), i == 1); /* the transfer sends 2.31 by itself */
            if (i == 1) respond(&event, NACRE_CHANGED, 2500, is_protected ? SOURCE : WHOLE);
            assert_true(party_take(&world.server, &out, 0));
            assert_true(out.len <= allowance(d.len));
        }
        const nacre_message m = raw_read(&r, &out);
        assert_int_equal(m.code, NACRE_CHANGED);
        assert_int_equal(number_in(option(&m, NACRE_OPT_BLOCK1)), 0x10);
        const uint64_t szx = number_in(option(&m, NACRE_OPT_BLOCK2)) & 7;
        assert_true(number_in(option(&m, NACRE_OPT_BLOCK2)) & 8);
        assert_in_range(m.payload.len, 16, 64);
        assert_memory_equal(m.payload.ptr, body, m.payload.len);
        num_requested = 0;
        for (size_t at = m.payload.len; at < 2500;) { /* and the rest of it, block by block */
            const nacre_bytes body_want =
                with(&(nacre_bytes){ NULL, 0 }, (int64_t)((at >> (szx + 4)) << 4 | szx), NACRE_ABSENT);
            const nacre_message next = exchanged(&r, NACRE_POST, body_want, 0, WHOLE, false);
            assert_int_equal(next.code, NACRE_CHANGED);
            assert_memory_equal(next.payload.ptr, body + at, next.payload.len);
            at += next.payload.len;
        }
        assert_int_equal(num_requested, 0); /* it was carried out once */
        pair_close(&world);
    }
}

/* RFC 9175 2.3: a slice carries an Echo value, and the next request with it gets as much as it requests. */
static void slice_offers_an_echo(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++)
        for (int is_brought = 0; is_brought < 2; is_brought++) {
            raw r = open_raw(is_protected, (nacre_endpoint_config){ 0 });
            const nacre_bytes options = raw_options(-1, "x", -1);
            nacre_message m = exchanged(&r, NACRE_GET, options, 1000, WHOLE, false);
            uint8_t value[8];
            assert_int_equal(option(&m, NACRE_OPT_ECHO).len, sizeof value);
            memcpy(value, option(&m, NACRE_OPT_ECHO).ptr, sizeof value);
            m = exchanged(&r, NACRE_GET, with(&options, -1, is_brought ? NACRE_ARRAY(value) : NACRE_ABSENT), 1000,
                          WHOLE, is_brought);
            assert_int_equal(m.code, NACRE_CONTENT);
            if (is_brought) assert_int_equal(m.payload.len, 1000);
            else assert_in_range(m.payload.len, 16, 64);
            assert_int_equal(nacre_is_absent(option(&m, NACRE_OPT_ECHO)), is_brought);
            pair_close(&world);
        }
}

/* A security context gets a 4.01 with Echo if its peer has sent an Echo before, and not twice in a row; other contexts
 * never do. */
static void echo_is_required_of_a_peer_with_echo_support(void **state)
{
    (void)state;
    enum { NEVER_SENT_ONE, SENT_ONE, SENT_ONE_POST, SENT_ONE_IN_CLEAR, BRINGS_A_WRONG_ONE, NUM };
    for (int row = NEVER_SENT_ONE; row < NUM; row++) {
        raw r = open_raw(row != SENT_ONE_IN_CLEAR, (nacre_endpoint_config){ 0 });
        const nacre_bytes options = raw_options(-1, "x", -1);
        static const uint8_t wrong[8] = { 1, 2, 3 };
        if (row != NEVER_SENT_ONE)
            (void)exchanged(&r, NACRE_GET, with(&options, -1, NACRE_ARRAY(wrong)), 5, WHOLE, false);
        r.address = address_named("another port");
        const nacre_bytes echo = row == BRINGS_A_WRONG_ONE ? NACRE_ARRAY(wrong) : NACRE_ABSENT;
        const nacre_message m =
            exchanged(&r, row == SENT_ONE_POST ? NACRE_POST : NACRE_GET, with(&options, -1, echo), 1000, WHOLE, false);
        assert_int_equal(m.code, row == SENT_ONE ? NACRE_UNAUTHORIZED : NACRE_CONTENT);
        assert_int_equal(option(&m, NACRE_OPT_ECHO).len, 8);
        assert_int_equal(m.payload.len > 0, row != SENT_ONE);
        pair_close(&world);
    }
}

/* When not even 16 bytes fit after the options, a safe request gets an Echo challenge, and any other its code. */
static void a_slice_that_does_not_fit_is_replaced_by_its_code(void **state)
{
    (void)state;
    static uint8_t options[2 + 120] = { 0x8d, 120 - 13 }; /* a long Location-Path */
    for (int is_protected = 0; is_protected < 2; is_protected++)
        for (int is_safe = 0; is_safe < 2; is_safe++) {
            raw r = open_raw(is_protected, (nacre_endpoint_config){ 0 });
            datagram in, out;
            raw_write(&r, &in, NACRE_CON, is_safe ? NACRE_GET : NACRE_POST, NACRE_ABSENT);
            give(&r, &in, 0);
            const nacre_event event = expect_event(&world.server, NACRE_EVENT_REQUEST);
            const nacre_message m = { .code = NACRE_CONTENT, .options = NACRE_ARRAY(options), .payload = { body, 50 } };
            assert_int_equal(nacre_transfer_respond(world.server.transfer, event.exchange, &m, NULL), NACRE_OK);
            assert_true(party_take(&world.server, &out, 0));
            assert_true(out.len <= allowance(in.len));
            const nacre_message plain = raw_read(&r, &out);
            assert_int_equal(plain.code, is_safe ? NACRE_UNAUTHORIZED : NACRE_CONTENT);
            assert_int_equal(plain.payload.len, 0);
            pair_close(&world);
        }
}

/* An error's text is truncated to the allowance, and keeps its code. */
static void error_texts_are_truncated(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        raw r = open_raw(is_protected, (nacre_endpoint_config){ 0 });
        datagram in, out;
        raw_write(&r, &in, NACRE_CON, NACRE_GET, NACRE_ABSENT);
        give(&r, &in, 0);
        const nacre_event event = expect_event(&world.server, NACRE_EVENT_REQUEST);
        respond(&event, NACRE_NOT_FOUND, 700, WHOLE);
        assert_true(party_take(&world.server, &out, 0));
        assert_true(out.len <= allowance(in.len));
        const nacre_message plain = raw_read(&r, &out);
        assert_int_equal(plain.code, NACRE_NOT_FOUND);
        assert_in_range(plain.payload.len, 16, 128);
        pair_close(&world);
    }
}

/* First responses of observations, and notifications, are slices too; the client fetches the rest. */
static void observations_are_sent_in_slices(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++)
        for (body_kind kind = WHOLE; kind <= SOURCE; kind++) {
            raw r = open_raw(is_protected, (nacre_endpoint_config){ 0 });
            datagram in, out;
            nacre_observer observer;
            raw_write(&r, &in, NACRE_CON, NACRE_GET, raw_options(0, "x", -1));
            give(&r, &in, 0);
            const nacre_event event = expect_event(&world.server, NACRE_EVENT_REQUEST);
            assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, event.exchange, NULL), NACRE_OK);
            respond(&event, NACRE_CONTENT, 700, kind);
            for (int i = 0; i < 3; i++) {
                const nacre_request_id id = nacre_request_id_dup(&r.id);
                assert_true(party_take(&world.server, &out, 0));
                assert_true(out.len <= allowance(in.len));
                const nacre_message outer = datagram_message(&out), m = raw_read(&r, &out);
                assert_int_equal(m.code, NACRE_CONTENT);
                assert_false(nacre_is_absent(option(&m, NACRE_OPT_OBSERVE)));
                assert_true(number_in(option(&m, NACRE_OPT_BLOCK2)) & 8);
                if (outer.type == NACRE_CON) {
                    const datagram ack = empty_message(NACRE_ACK, outer.mid);
                    give(&r, &ack, 0);
                }
                r.token = NACRE_STR("other");
                (void)fetched(&r, NACRE_GET, raw_options(-1, "x", -1), 2, 700, kind);
                r.token = NACRE_ARRAY(((const uint8_t[]){ 0x70, 0x71 }));
                r.id = id;
                nacre_endpoint_changed(world.server.ep, observer);
                const nacre_event notify = expect_event(&world.server, NACRE_EVENT_NOTIFY);
                respond(&notify, NACRE_CONTENT, 700, kind);
            }
            pair_close(&world);
        }
}

/* On a connection, and without a limit, nothing is truncated. */
static void nothing_is_truncated_without_a_limit(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++)
        for (int is_reliable = 0; is_reliable < 2; is_reliable++) {
            nacre_endpoint_config config = config_with((nacre_endpoint_config){ 0 });
            config.admission.amplification_limit = is_reliable;
            raw r = open_raw(is_protected, config);
            if (is_reliable) r.address.flags = NACRE_ADDRESS_RELIABLE;
            const nacre_message m = exchanged(&r, NACRE_GET, raw_options(-1, "x", -1), 1000, WHOLE, true);
            assert_int_equal(m.payload.len, 1000);
            assert_true(nacre_is_absent(option(&m, NACRE_OPT_ECHO)));
            pair_close(&world);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_without_echo_gets_the_whole_body),
        cmocka_unit_test(upload_gets_its_response_in_slices),
        cmocka_unit_test(slice_offers_an_echo),
        cmocka_unit_test(echo_is_required_of_a_peer_with_echo_support),
        cmocka_unit_test(a_slice_that_does_not_fit_is_replaced_by_its_code),
        cmocka_unit_test(error_texts_are_truncated),
        cmocka_unit_test(observations_are_sent_in_slices),
        cmocka_unit_test(nothing_is_truncated_without_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
