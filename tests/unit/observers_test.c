/* SPDX-License-Identifier: MIT */
/* observers_test: registrations, notifications, and every way in which an observation ends. */
#include "../scenario/raw.h"

#include "endpoint/endpoint_struct.h"

static pair world;

static raw open_with(nacre_context **ctx, bool is_protected, nacre_endpoint_config config)
{
    if (config.observe.num_observers == 0) config.observe.num_observers = 4;
    pair_open(&world, &config, &(pairing){ 0 });
    *ctx = is_protected ? world.ours : NULL;
    return raw_open(&world, *ctx);
}

static raw open_raw(bool is_protected)
{
    nacre_context *ctx;
    return open_with(&ctx, is_protected, (nacre_endpoint_config){ 0 });
}

/* Registers, and leaves the first response in `d`. */
static nacre_observer observed_as(raw *r, datagram *d, uint8_t type, const char *path, const char *text, uint64_t now)
{
    nacre_observer observer = NACRE_OBSERVER_NONE;
    const nacre_event event = raw_requested(r, type, NACRE_GET, raw_options(0, path, -1), now);
    assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, event.exchange, r), NACRE_OK);
    respond_text(&world.server, event.exchange, text);
    (void)raw_take(r, d, now);
    return observer;
}

static nacre_observer observed(raw *r, uint8_t type)
{
    datagram d;
    return observed_as(r, &d, type, "x", "one", 0);
}

/* Notifies one change: the notification is left in `d`, and its header is returned. */
static nacre_message notified(raw *r, nacre_observer observer, datagram *d, const char *text, uint64_t now)
{
    nacre_endpoint_expire(world.server.ep, now);
    nacre_endpoint_changed(world.server.ep, observer);
    const nacre_event event = expect_event(&world.server, NACRE_EVENT_NOTIFY);
    assert_int_equal(event.observer.number, observer.number);
    respond_text(&world.server, notification_of(observer), text);
    return raw_take(r, d, now);
}

static void expect_removed(nacre_observer observer, nacre_err err, void *user)
{
    const nacre_event event = expect_event(&world.server, NACRE_EVENT_OBSERVER_REMOVED);
    assert_int_equal(event.observer.number, observer.number);
    assert_string_equal(nacre_err_name(event.err), nacre_err_name(err));
    assert_ptr_equal(event.user, user);
    assert_int_equal(nacre_endpoint_defer_response(world.server.ep, notification_of(observer)), NACRE_ERR_STALE);
    nacre_endpoint_changed(world.server.ep, observer); /* the handle of an ended observation has no effect */
    nacre_event none;
    assert_false(nacre_endpoint_next_event(world.server.ep, &none));
}

static uint64_t observe_of(nacre_bytes options)
{
    uint64_t value = 0;
    const nacre_bytes option = nacre_option_find(options, NACRE_OPT_OBSERVE);
    assert_false(nacre_is_absent(option));
    assert_true(nacre_option_uint(option, &value));
    assert_in_range(value, 0, 0xffffff);
    return value;
}

static bool has_observe(nacre_bytes options)
{
    return !nacre_is_absent(nacre_option_find(options, NACRE_OPT_OBSERVE));
}

/* RFC 7641 3.2, 4.2; RFC 8613 4.1.3.5.2: the outer Observe counts up, the inner one is empty; RFC 8613 8.3.1: the first
 * response has the request's nonce, the others have their own Partial IVs, all bound to the registration. */
static void notifications_count_up_and_bind_to_the_registration(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        raw r = open_raw(is_protected);
        datagram d;
        const nacre_observer observer = observed_as(&r, &d, NACRE_CON, "x", "one", 1000);
        nacre_message outer = datagram_message(&d), plain = raw_read(&r, &d);
        assert_int_equal(outer.type, NACRE_ACK);
        assert_int_equal(outer.code, NACRE_CONTENT);
        uint64_t last = observe_of(outer.options);
        assert_payload(plain, "one");
        assert_true(has_observe(plain.options));
        if (is_protected) assert_int_equal(nacre_option_find(plain.options, NACRE_OPT_OBSERVE).len, 0);
        if (is_protected) assert_false(r.info.has_partial_iv);
        uint64_t piv = 0;
        for (int i = 0; i < 5; i++) {
            const char *text = i % 2 ? "more" : "and more";
            outer = notified(&r, observer, &d, text, 1000);
            plain = raw_read(&r, &d);
            assert_true(nacre_bytes_equal(outer.token, r.token));
            assert_payload(plain, text);
            assert_true(observe_of(outer.options) > last);
            last = observe_of(outer.options);
            assert_int_equal(outer.code, NACRE_CONTENT);
            assert_true(has_observe(plain.options));
            if (is_protected) assert_true(r.info.has_partial_iv && (i == 0 || r.info.partial_iv > piv));
            piv = r.info.partial_iv;
            if (outer.type == NACRE_CON) raw_empty(&r, NACRE_ACK, outer.mid, 1000);
        }
        expect_quiet(&world.server, 1000);
        assert_true(nacre_endpoint_deadline(world.server.ep) == UINT64_MAX);
        pair_close(&world);
    }
}

/* The event carries the whole registration; an Observe option given by the application is not sent. */
static void the_event_carries_the_registration(void **state)
{
    (void)state;
    raw r = open_raw(true);
    datagram d;
    const nacre_observer observer = observed(&r, NACRE_CON);
    nacre_endpoint_changed(world.server.ep, observer);
    const nacre_event event = expect_event(&world.server, NACRE_EVENT_NOTIFY);
    assert_ptr_equal(event.context, world.theirs);
    assert_ptr_equal(event.user, &r);
    assert_true(nacre_address_equal(&event.peer, &r.address));
    assert_int_equal(event.message.code, NACRE_GET);
    assert_true(nacre_bytes_equal(event.message.token, r.token));
    assert_true(nacre_bytes_equal(nacre_option_find(event.message.options, NACRE_OPT_URI_PATH), NACRE_STR("x")));
    assert_true(has_observe(event.message.options));
    static const uint8_t options[] = { 0x41, 0xee, 0x21, 0x77, 0x81, 0x05 }; /* ETag, Observe, Max-Age */
    const nacre_message response = { .code = NACRE_CONTENT, .options = NACRE_ARRAY(options) };
    assert_int_equal(nacre_endpoint_respond(world.server.ep, notification_of(observer), &response), NACRE_OK);
    assert_int_equal(nacre_endpoint_respond(world.server.ep, notification_of(observer), &response), NACRE_ERR_STALE);
    assert_int_not_equal(observe_of(raw_take(&r, &d, 0).options), 0x77);
    const nacre_message plain = raw_read(&r, &d);
    static const uint8_t expected[] = { 0x41, 0xee, 0x20, 0x81, 0x05 };
    assert_true(nacre_bytes_equal(plain.options, NACRE_ARRAY(expected)));
    pair_close(&world);
}

/* RFC 7641 4.5.2: changes during a notification are notified once, when it has ended. */
static void changes_during_a_notification_are_notified_once(void **state)
{
    (void)state;
    raw r = open_raw(true);
    datagram d, again;
    const nacre_observer observer = observed(&r, NACRE_CON);
    for (int i = 0; i < 3; i++) nacre_endpoint_changed(world.server.ep, observer);
    (void)expect_event(&world.server, NACRE_EVENT_NOTIFY);
    nacre_endpoint_changed(world.server.ep, observer); /* possibly after the application has read its state */
    expect_quiet(&world.server, 0);
    respond_text(&world.server, notification_of(observer), "two");
    const nacre_message con = raw_take(&r, &d, 0);
    assert_int_equal(con.type, NACRE_CON); /* the address is not validated yet */
    expect_quiet(&world.server, 0);
    const uint64_t due = nacre_endpoint_deadline(world.server.ep);
    nacre_endpoint_expire(world.server.ep, due);
    assert_true(party_take(&world.server, &again, due));
    assert_true(datagram_same(&again, &d)); /* RFC 7641 4.5.2: the same bytes */
    expect_quiet(&world.server, due);
    raw_empty(&r, NACRE_ACK, con.mid, due);
    (void)expect_event(&world.server, NACRE_EVENT_NOTIFY);
    respond_text(&world.server, notification_of(observer), "three");
    const nacre_message non = raw_take(&r, &d, due); /* a new message: new MID, new Partial IV, and a NON */
    assert_int_equal(non.type, NACRE_NON);
    assert_int_not_equal(non.mid, con.mid);
    assert_payload(raw_read(&r, &d), "three");
    expect_quiet(&world.server, due);
    pair_close(&world);
}

/* RFC 7641 4.5: every sixteenth notification is a CON, and the first one after a day; for a registration by NON the
 * latter only. */
static void every_sixteenth_notification_is_a_con(void **state)
{
    (void)state;
    for (uint8_t type = NACRE_CON; type <= NACRE_NON; type++) {
        raw r = open_raw(true);
        datagram d;
        const nacre_observer observer = observed(&r, type);
        uint64_t now = 0;
        for (int i = 0; i < 50; i++) {
            const nacre_message m = notified(&r, observer, &d, "again", now += 300000);
            assert_int_equal(m.type, i == 0 || (type == NACRE_CON && i % 16 == 0) ? NACRE_CON : NACRE_NON);
            if (m.type == NACRE_CON) raw_empty(&r, NACRE_ACK, m.mid, now);
        }
        const nacre_message m = notified(&r, observer, &d, "tomorrow", now += 24 * 3600 * 1000);
        assert_int_equal(m.type, NACRE_CON);
        raw_empty(&r, NACRE_ACK, m.mid, now);
        assert_int_equal(notified(&r, observer, &d, "and on", now + 1000).type, NACRE_NON);
        pair_close(&world);
    }
}

/* RFC 7641 4.2: an error ends the observation, and is a CON, without Observe, with its own Partial IV (RFC 8613
 * 8.3.1). */
static void an_error_response_ends_the_observation(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        raw r = open_raw(is_protected);
        datagram d, again;
        const nacre_observer observer = observed(&r, NACRE_NON);
        nacre_endpoint_changed(world.server.ep, observer);
        (void)expect_event(&world.server, NACRE_EVENT_NOTIFY);
        assert_int_equal(nacre_endpoint_respond(world.server.ep, notification_of(observer),
                                                &(nacre_message){ .code = NACRE_NOT_FOUND }),
                         NACRE_OK);
        expect_removed(observer, NACRE_OK, &r);
        const nacre_message outer = raw_take(&r, &d, 0);
        assert_int_equal(outer.type, NACRE_CON);
        assert_false(has_observe(outer.options));
        const nacre_message plain = raw_read(&r, &d);
        assert_int_equal(plain.code, NACRE_NOT_FOUND);
        assert_false(has_observe(plain.options));
        if (is_protected) assert_true(r.info.has_partial_iv);
        const uint64_t due = nacre_endpoint_deadline(world.server.ep); /* retransmitted until acknowledged */
        nacre_endpoint_expire(world.server.ep, due);
        assert_true(party_take(&world.server, &again, due) && datagram_same(&again, &d));
        raw_empty(&r, NACRE_ACK, outer.mid, due);
        assert_true(nacre_endpoint_deadline(world.server.ep) == UINT64_MAX);
        pair_close(&world);
    }
}

/* RFC 7641 3.6, 4.5: the other ends. Each row has a neighbour that leaves the observation alone. A RST to a protected
 * NON brings a CON, and a RST to that ends the observation. */
static void rst_to_a_notification_ends_the_observation(void **state)
{
    (void)state;
    for (int row = 0; row < 4; row++) {
        const bool by_con = row % 2 == 1, is_protected = row < 2;
        raw r = open_raw(is_protected);
        datagram d;
        const nacre_observer observer = observed(&r, NACRE_CON);
        nacre_message m = notified(&r, observer, &d, "two", 0);
        if (!by_con) {
            raw_empty(&r, NACRE_ACK, m.mid, 0);
            m = notified(&r, observer, &d, "three", 0);
        }
        assert_int_equal(m.type, by_con ? NACRE_CON : NACRE_NON);
        raw_empty(&r, NACRE_RST, (uint16_t)(m.mid + 1), 0);
        const nacre_address ours = r.address;
        r.address = address_named("stranger");
        raw_empty(&r, NACRE_RST, m.mid, 0);
        r.address = ours;
        expect_quiet(&world.server, 0);
        raw_empty(&r, NACRE_RST, m.mid, 0);
        if (is_protected && !by_con) {
            assert_int_equal(expect_event(&world.server, NACRE_EVENT_NOTIFY).observer.number, observer.number);
            respond_text(&world.server, notification_of(observer), "three");
            m = raw_take(&r, &d, 0);
            assert_int_equal(m.type, NACRE_CON);
            raw_empty(&r, NACRE_RST, m.mid, 0);
        }
        expect_removed(observer, NACRE_ERR_RESET, &r);
        raw_empty(&r, NACRE_RST, m.mid, 0); /* its duplicate */
        expect_quiet(&world.server, 0);
        assert_true(nacre_endpoint_deadline(world.server.ep) == UINT64_MAX);
        pair_close(&world);
    }
}

static void a_timeout_ends_the_observation(void **state)
{
    (void)state;
    raw r = open_raw(true);
    datagram d;
    const nacre_observer observer = observed(&r, NACRE_CON);
    (void)notified(&r, observer, &d, "two", 0);
    nacre_endpoint_changed(world.server.ep, observer);
    for (int i = 0; i < 4; i++) {
        const uint64_t due = nacre_endpoint_deadline(world.server.ep);
        nacre_endpoint_expire(world.server.ep, due);
        assert_true(party_take(&world.server, &d, due));
        expect_quiet(&world.server, due);
    }
    nacre_endpoint_expire(world.server.ep, nacre_endpoint_deadline(world.server.ep));
    expect_removed(observer, NACRE_ERR_TIMEOUT, &r);
    assert_true(nacre_endpoint_deadline(world.server.ep) == UINT64_MAX);
    pair_close(&world);
}

/* RFC 7641 3.6: Observe 1 under the same token ends a plain observation, with nothing else; RFC 8613 4.1.3.5: a
 * protected one, with the same options. A notification in flight is not retransmitted. */
static void observe_1_with_the_same_token_ends_the_observation(void **state)
{
    (void)state;
    static const uint8_t other[] = { 0x99 };
    const struct {
        const char *path;
        bool other_token, other_method, is_protected, ends;
    } rows[] = {
        { "x", false, false, true, true },  { "x", false, false, false, true }, { "y", false, false, true, false },
        { "y", false, false, false, true }, { "x", true, false, true, false },  { "x", true, false, false, false },
        { "x", false, true, true, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        raw r = open_raw(rows[i].is_protected);
        datagram d;
        const nacre_observer observer = observed(&r, NACRE_CON);
        nacre_endpoint_changed(world.server.ep, observer);
        (void)expect_event(&world.server, NACRE_EVENT_NOTIFY);
        respond_text(&world.server, notification_of(observer), "on its way");
        const nacre_request_id registration = r.id;
        if (rows[i].other_token) r.token = NACRE_ARRAY(other);
        const nacre_event event = raw_requested(&r, NACRE_CON, rows[i].other_method ? NACRE_FETCH : NACRE_GET,
                                                raw_options(1, rows[i].path, -1), 0);
        if (rows[i].ends) expect_removed(observer, NACRE_OK, &r);
        else (void)raw_take(&r, &d, 0);
        if (!rows[i].ends) assert_payload(raw_read_as(&r, &registration, &d), "on its way");
        respond_text(&world.server, event.exchange, "the end");
        assert_false(has_observe(raw_take(&r, &d, 0).options));
        assert_payload(raw_read(&r, &d), "the end");
        expect_quiet(&world.server, 0);
        pair_close(&world);
    }
}

/* RFC 7641 3.6, 5.6 of RFC 7252: ETag, Echo and No-Response may differ. */
static void a_cancellation_may_differ_in_unrelated_options(void **state)
{
    (void)state;
    raw r = open_raw(true);
    datagram d;
    const nacre_observer observer = observed_as(&r, &d, NACRE_CON, "x", "one", 0);
    (void)raw_requested(&r, NACRE_CON, NACRE_GET, raw_options(1, "x", 26), 0);
    expect_removed(observer, NACRE_OK, &r);
    pair_close(&world);
}

/* Both in one burst: the cancellation is the later one. */
static void a_cancellation_in_the_same_burst_counts(void **state)
{
    (void)state;
    raw r = open_raw(true);
    uint8_t bytes[2][256];
    nacre_datagram burst[2] = { { .full_len = 0 } };
    nacre_request_id id;
    for (int i = 0; i < 2; i++) {
        const nacre_message m = {
            .code = NACRE_GET, .mid = (uint16_t)(50 + i), .token = r.token, .options = raw_options(i, "x", -1)
        };
        burst[i].peer = r.address;
        assert_int_equal(nacre_protect_request(r.ctx, &r.crypto, &id, &burst[i].bytes, NACRE_BUF(bytes[i]), &m, NULL),
                         NACRE_OK);
    }
    assert_int_equal(nacre_endpoint_receive_many(world.server.ep, burst, 2, 0), 2);
    nacre_observer observer;
    const nacre_event event = expect_event(&world.server, NACRE_EVENT_REQUEST);
    assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, event.exchange, &r), NACRE_OK);
    respond_text(&world.server, event.exchange, "one");
    (void)expect_event(&world.server, NACRE_EVENT_REQUEST);
    expect_removed(observer, NACRE_OK, &r);
    pair_close(&world);
}

/* RFC 7641 4.1: a second registration replaces the first, even when all entries are in use. */
static void a_second_registration_replaces_the_first(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        nacre_context *ctx;
        raw r = open_with(&ctx, is_protected, (nacre_endpoint_config){ .observe.num_observers = 1 });
        datagram d;
        nacre_observer observer = observed_as(&r, &d, NACRE_CON, "x", "one", 5000);
        uint64_t last = observe_of(datagram_message(&d).options);
        for (int i = 0; i < 5; i++) {
            const nacre_observer newer = observed_as(&r, &d, NACRE_CON, "x", "one", 6000 + (uint64_t)i);
            assert_true(observe_of(datagram_message(&d).options) > last);
            last = observe_of(datagram_message(&d).options);
            expect_removed(observer, NACRE_ERR_STALE, &r);
            observer = newer;
        }
        const nacre_message m = notified(&r, observer, &d, "two", 7000);
        assert_payload(raw_read(&r, &d), "two"); /* bound to the newest registration */
        raw_empty(&r, NACRE_ACK, m.mid, 7000);
        pair_close(&world);
    }
}

/* RFC 8613 4.1.3.5: a protected client may use one token for two resources; each observation is bound to its own
 * request. In clear the token alone identifies it. */
static void two_resources_may_share_a_token_when_protected(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        raw r = open_raw(is_protected);
        datagram d;
        const nacre_observer x = observed_as(&r, &d, NACRE_CON, "x", "x1", 0);
        const nacre_request_id id_of_x = r.id;
        const nacre_observer y = observed_as(&r, &d, NACRE_CON, "y", "y1", 0);
        if (is_protected) {
            nacre_message m = notified(&r, x, &d, "x2", 0);
            assert_payload(raw_read_as(&r, &id_of_x, &d), "x2");
            raw_empty(&r, NACRE_ACK, m.mid, 0);
        } else {
            expect_removed(x, NACRE_ERR_STALE, &r);
        }
        (void)notified(&r, y, &d, "y2", 0);
        assert_payload(raw_read(&r, &d), "y2");
        pair_close(&world);
    }
}

/* Each peer has its own share: a peer that has used it up gets a response without Observe, and the other entries stay
 * free for others. An ended or replaced observation counts at most once. */
static void each_peer_has_a_share_of_the_entries(void **state)
{
    (void)state;
    enum { SHARE = 3 };
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        nacre_context *ctx;
        raw r =
            open_with(&ctx, is_protected,
                      (nacre_endpoint_config){
                          .observe.num_observers = 8, .observe.observers_per_peer = SHARE, .num_transmissions = 8 });
        static const uint8_t tokens[SHARE + 1] = { 1, 2, 3, 4 };
        nacre_observer observers[SHARE], none = NACRE_OBSERVER_NONE;
        datagram d;
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < SHARE; i++) {
                r.token = nacre_bytes_of(&tokens[i], 1);
                const nacre_observer before = observers[i];
                observers[i] = observed_as(&r, &d, NACRE_CON, "x", "one", 0);
                if (round == 1) expect_removed(before, NACRE_ERR_STALE, &r); /* the same once more */
            }
            r.token = nacre_bytes_of(&tokens[SHARE], 1);
            nacre_event event = raw_requested(&r, NACRE_CON, NACRE_GET, raw_options(0, "x", -1), 0);
            assert_int_equal(nacre_endpoint_observe(world.server.ep, &none, event.exchange, &r), NACRE_ERR_BUSY);
            respond_text(&world.server, event.exchange, "no");
            (void)raw_take(&r, &d, 0);
            assert_true(nacre_is_absent(nacre_option_find(raw_read(&r, &d).options, NACRE_OPT_OBSERVE)));
            if (round == 1) /* each end frees its share */
                for (int i = 0; i < SHARE; i++) nacre_endpoint_drop_observer(world.server.ep, observers[i]);
        }
        /* The same address with other keys, or another address. Two peers in some hundred share a counter: then the
         * next name is used. */
        static const char *const names[][2] = { { "c2", "s2" }, { "c3", "s3" }, { "c4", "s4" } };
        nacre_err err = NACRE_ERR_BUSY;
        for (size_t i = 0; i < sizeof names / sizeof names[0] && err == NACRE_ERR_BUSY; i++) {
            raw other = r;
            const pairing another = { .client_id = names[i][0], .server_id = names[i][1], .secret = 3 };
            if (!is_protected) other.address = address_named(names[i][0]);
            else {
                other.ctx = party_context(&world.client, &another, false);
                (void)party_context(&world.server, &another, true);
            }
            nacre_event event = raw_requested(&other, NACRE_CON, NACRE_GET, raw_options(0, "x", -1), 0);
            err = nacre_endpoint_observe(world.server.ep, &observers[0], event.exchange, &other);
            respond_text(&world.server, event.exchange, "one");
            (void)raw_take(&other, &d, 0);
        }
        assert_int_equal(err, NACRE_OK);
        assert_int_equal(none.number, 0);
        pair_close(&world);
    }
}

/* Requests that register nothing, and registrations that do not fit. */
static void invalid_registrations_are_refused(void **state)
{
    (void)state;
    nacre_context *ctx;
    raw r = open_with(&ctx, true, (nacre_endpoint_config){ .observe.num_observers = 1, .observe.observer_bytes = 16 });
    nacre_observer observer = NACRE_OBSERVER_NONE;
    const struct {
        uint8_t code;
        int observe;
        const char *path;
        nacre_err err;
    } rows[] = {
        { NACRE_GET, 0, "x", NACRE_OK },
        { NACRE_FETCH, 0, "x", NACRE_OK },
        { NACRE_GET, -1, "x", NACRE_ERR_BAD_ARGUMENT },
        { NACRE_GET, 1, "x", NACRE_ERR_BAD_ARGUMENT },
        { NACRE_GET, 2, "x", NACRE_ERR_BAD_ARGUMENT },
        { NACRE_POST, 0, "x", NACRE_ERR_BAD_ARGUMENT },
        { NACRE_PUT, 0, "x", NACRE_ERR_BAD_ARGUMENT },
        { NACRE_GET, 0, "12345678", NACRE_OK }, /* 16 bytes */
        { NACRE_GET, 0, "123456789", NACRE_ERR_TOO_LONG },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        datagram d;
        const nacre_event event =
            raw_requested(&r, NACRE_CON, rows[i].code, raw_options(rows[i].observe, rows[i].path, -1), 0);
        assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, event.exchange, NULL), rows[i].err);
        if (rows[i].err == NACRE_OK)
            assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, event.exchange, NULL),
                             NACRE_ERR_BAD_ARGUMENT);
        respond_text(&world.server, event.exchange, "one");
        assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, event.exchange, NULL), NACRE_ERR_STALE);
        assert_int_equal(has_observe(raw_take(&r, &d, 0).options), rows[i].err == NACRE_OK);
        if (rows[i].err == NACRE_OK) nacre_endpoint_drop_observer(world.server.ep, observer);
        expect_quiet(&world.server, 0);
    }
    pair_close(&world);
}

/* A registration whose response is an error, or that is ignored or never completed, makes no observer. */
static void a_registration_without_success_makes_no_observer(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        raw r = open_raw(true);
        datagram d;
        nacre_observer observer;
        const nacre_event event = raw_requested(&r, NACRE_CON, NACRE_GET, raw_options(0, "x", -1), 0);
        assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, event.exchange, &r), NACRE_OK);
        nacre_endpoint_changed(world.server.ep, observer);
        expect_quiet(&world.server, 0); /* not before the response */
        if (i == 0) {
            const nacre_message error = { .code = NACRE_NOT_FOUND };
            assert_int_equal(nacre_endpoint_respond(world.server.ep, event.exchange, &error), NACRE_OK);
            assert_false(has_observe(raw_take(&r, &d, 0).options));
            assert_false(has_observe(raw_read(&r, &d).options));
        } else if (i == 1) {
            nacre_endpoint_ignore(world.server.ep, event.exchange);
        } else {
            raw_empty(&r, NACRE_ACK, 1, 0);
        }
        expect_removed(observer, NACRE_OK, &r);
        pair_close(&world);
    }
}

/* A separate response to the registration starts the observation, and no notification is sent before it. */
static void a_deferred_response_starts_the_observation(void **state)
{
    (void)state;
    for (int is_lost = 0; is_lost < 2; is_lost++) {
        raw r = open_raw(true);
        datagram d;
        nacre_observer observer;
        const nacre_event event = raw_requested(&r, NACRE_CON, NACRE_GET, raw_options(0, "x", -1), 0);
        assert_int_equal(nacre_endpoint_observe(world.server.ep, &observer, event.exchange, &r), NACRE_OK);
        assert_int_equal(nacre_endpoint_defer_response(world.server.ep, event.exchange), NACRE_OK);
        nacre_endpoint_expire(world.server.ep, 100);
        raw_expect_empty(&r, NACRE_ACK, r.mid, 100);
        nacre_endpoint_changed(world.server.ep, observer);
        expect_quiet(&world.server, 100);
        respond_text(&world.server, event.exchange, "one");
        const nacre_message m = raw_take(&r, &d, 100);
        assert_true(has_observe(m.options));
        assert_payload(raw_read(&r, &d), "one");
        expect_quiet(&world.server, 100);
        raw_empty(&r, is_lost ? NACRE_RST : NACRE_ACK, m.mid, 200);
        if (is_lost) {
            expect_removed(observer, NACRE_ERR_RESET, &r);
        } else {
            (void)expect_event(&world.server, NACRE_EVENT_NOTIFY);
            respond_text(&world.server, notification_of(observer), "two");
            assert_int_equal(raw_take(&r, &d, 200).type, NACRE_NON);
        }
        pair_close(&world);
    }
}

/* A NOTIFY event without a response, ignored, deferred, or with an invalid response. */
static void notify_gets_another_response(void **state)
{
    (void)state;
    nacre_context *ctx;
    static uint8_t body[1300];
    raw r = open_with(&ctx, true, (nacre_endpoint_config){ .num_transmissions = 1 });
    nacre_endpoint *ep = world.server.ep;
    datagram d;
    const nacre_observer observer = observed(&r, NACRE_CON);
    const nacre_message too_long = { .code = NACRE_CONTENT, .payload = NACRE_ARRAY(body) };
    const nacre_message no_response = { .code = NACRE_GET };
    for (int i = 0; i < 3; i++) { /* the one transmission is freed each time */
        nacre_endpoint_changed(ep, observer);
        (void)expect_event(&world.server, NACRE_EVENT_NOTIFY);
        assert_int_equal(nacre_endpoint_respond(ep, notification_of(observer), &too_long), NACRE_ERR_TOO_LONG);
        assert_int_equal(nacre_endpoint_respond(ep, notification_of(observer), &no_response), NACRE_ERR_BAD_ARGUMENT);
        if (i == 0) nacre_endpoint_ignore(ep, notification_of(observer));
        if (i == 1) raw_empty(&r, NACRE_ACK, 1, 0);
        if (i == 2) assert_int_equal(nacre_endpoint_defer_response(ep, notification_of(observer)), NACRE_OK);
        if (i == 2) raw_empty(&r, NACRE_ACK, 1, 0);
        expect_quiet(&world.server, 0);
        assert_int_equal(nacre_endpoint_respond(ep, notification_of(observer), &no_response), NACRE_ERR_BAD_ARGUMENT);
        const nacre_message response = { .code = NACRE_CONTENT };
        assert_int_equal(nacre_endpoint_respond(ep, notification_of(observer), &response),
                         i == 2 ? NACRE_OK : NACRE_ERR_STALE);
    }
    (void)raw_take(&r, &d, 0);
    pair_close(&world);
}

/* When all entries are in use, a plain observer of an unvalidated address is evicted, and no other. */
static void plain_observer_of_an_unvalidated_address_is_replaced_first(void **state)
{
    (void)state;
    for (int is_protected = 0; is_protected < 2; is_protected++) {
        nacre_context *ctx;
        raw r = open_with(&ctx, is_protected, (nacre_endpoint_config){ .observe.num_observers = 3 });
        datagram d;
        nacre_observer observers[3], more;
        static const uint8_t tokens[] = { 1, 2, 3, 4, 5, 6 };
        for (int i = 0; i < 3; i++) {
            r.token = nacre_bytes_of(&tokens[i], 1);
            observers[i] = observed(&r, NACRE_CON);
        }
        if (!is_protected) {
            r.token = nacre_bytes_of(&tokens[3], 1);
            more = observed(&r, NACRE_CON);
            expect_removed(observers[0], NACRE_ERR_BUSY, &r); /* the oldest */
            observers[0] = more;
            nacre_endpoint_changed(world.server.ep, observers[0]); /* also one that waits for its notification */
        }
        for (int i = 0; i < 3; i++) {
            const nacre_message m = notified(&r, observers[i], &d, "are you there?", 0);
            if (m.type == NACRE_CON) raw_empty(&r, NACRE_ACK, m.mid, 0);
        }
        r.token = nacre_bytes_of(&tokens[4], 1);
        const nacre_event event = raw_requested(&r, NACRE_CON, NACRE_GET, raw_options(0, "x", -1), 0);
        assert_int_equal(nacre_endpoint_observe(world.server.ep, &more, event.exchange, &r), NACRE_ERR_BUSY);
        respond_text(&world.server, event.exchange, "not observed");
        assert_false(has_observe(raw_take(&r, &d, 0).options));
        expect_quiet(&world.server, 0);
        pair_close(&world);
    }
}

/* Plain registrations from forged addresses: half of the transmissions wait for them, and the other half serves
 * confirmed observers. */
static void forged_registrations_get_half_of_the_transmissions(void **state)
{
    (void)state;
    nacre_context *ctx;
    raw r = open_with(&ctx, true, (nacre_endpoint_config){ .observe.num_observers = 30, .num_transmissions = 8 });
    raw forged = raw_open(&world, NULL);
    forged.mid = 0x3000;
    datagram d;
    nacre_observer others[20];
    for (uint8_t i = 0; i < 20; i++) {
        const char name[] = { 'v', (char)('a' + i), 0 };
        forged.address = address_named(name);
        others[i] = observed(&forged, NACRE_CON);
    }
    const nacre_observer observer = observed(&r, NACRE_CON);
    for (int i = 0; i < 20; i++) nacre_endpoint_changed(world.server.ep, others[i]);
    for (int i = 0; i < 2; i++)
        respond_text(&world.server, expect_event(&world.server, NACRE_EVENT_NOTIFY).exchange, "x");
    nacre_event none;
    assert_false(nacre_endpoint_next_event(world.server.ep, &none));
    while (party_take(&world.server, &d, 0)) assert_int_equal(datagram_message(&d).type, NACRE_CON);
    for (int i = 0; i < 10; i++) {
        const nacre_message m = notified(&r, observer, &d, "y", 0);
        if (m.type == NACRE_CON) raw_empty(&r, NACRE_ACK, m.mid, 0);
    }
    pair_close(&world);
}

static void removing_the_context_ends_its_observations(void **state)
{
    (void)state;
    raw r = open_raw(true);
    datagram d;
    raw plain = raw_open(&world, NULL);
    plain.mid = 0x2000;
    const nacre_observer clear = observed(&plain, NACRE_CON), observer = observed(&r, NACRE_CON);
    nacre_endpoint_changed(world.server.ep, observer);
    (void)expect_event(&world.server, NACRE_EVENT_NOTIFY);
    nacre_endpoint_remove_context(world.server.ep, world.theirs);
    assert_int_equal(
        nacre_endpoint_respond(world.server.ep, notification_of(observer), &(nacre_message){ .code = NACRE_CONTENT }),
        NACRE_ERR_STALE);
    expect_removed(observer, NACRE_ERR_NO_CONTEXT, &r);
    (void)notified(&plain, clear, &d, "still here", 0);
    nacre_endpoint_drop_observer(world.server.ep, clear);
    expect_quiet(&world.server, 0);
    assert_true(nacre_endpoint_deadline(world.server.ep) == UINT64_MAX); /* its notification in flight is removed too */
    pair_close(&world);
}

/* RFC 8613 B.1: notifications wait for the store like anything else. When it fails, the notification is dropped and the
 * observer stays: RFC 7641 4.2, it must receive the present state in the end, and does when the store works again. */
static void a_notification_that_its_store_fails_is_made_up_for(void **state)
{
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        pair_open(&world, &(nacre_endpoint_config){ .observe.num_observers = 1 },
                  &(pairing){ .server_persistent = true, .first_chunk = 5 });
        raw r = raw_open(&world, world.ours);
        datagram d;
        nacre_context_confirm_window_lost(world.theirs);
        const nacre_observer observer = observed(&r, NACRE_CON);
        nacre_event event;
        (void)nacre_endpoint_next_event(world.server.ep, &event); /* requested early */
        nacre_endpoint_changed(world.server.ep, observer);
        (void)expect_event(&world.server, NACRE_EVENT_NOTIFY);
        respond_text(&world.server, notification_of(observer), "when it is durable");
        assert_false(party_take(&world.server, &d, 0));
        if (fails) {
            nacre_endpoint_confirmed(world.server.ep, world.theirs, NACRE_ERR_FILE);
            expect_quiet(&world.server, 0);                    /* no loop of failures, and nothing in clear */
            nacre_endpoint_changed(world.server.ep, observer); /* the next change is tried, and fails as well */
            (void)expect_event(&world.server, NACRE_EVENT_NOTIFY);
            respond_text(&world.server, notification_of(observer), "when it is durable");
            (void)expect_event(&world.server, NACRE_EVENT_PERSIST);
            nacre_endpoint_confirmed(world.server.ep, world.theirs, NACRE_ERR_FILE);
            expect_quiet(&world.server, 0);
        }
        serve_store(world.theirs);
        nacre_endpoint_confirmed(world.server.ep, world.theirs, NACRE_OK);
        if (fails) {
            assert_int_equal(expect_event(&world.server, NACRE_EVENT_NOTIFY).observer.number, observer.number);
            respond_text(&world.server, notification_of(observer), "the present state");
        }
        (void)raw_take(&r, &d, 0);
        assert_payload(raw_read(&r, &d), fails ? "the present state" : "when it is durable");
        nacre_endpoint_confirmed(world.server.ep, world.theirs, NACRE_OK); /* confirming once is enough */
        expect_quiet(&world.server, 0);
        pair_close(&world);
    }
}

/* RFC 7252 4.4: the message ID of a notification that waits for its store is in use; 4.2: what was not sent is neither
 * acknowledged nor reset. */
static void a_notification_that_waits_for_its_store_keeps_its_message_id(void **state)
{
    (void)state;
    pair_open(&world, &(nacre_endpoint_config){ .observe.num_observers = 1 },
              &(pairing){ .server_persistent = true, .first_chunk = 5 });
    nacre_endpoint *ep = world.server.ep;
    raw r = raw_open(&world, world.ours);
    datagram d;
    nacre_event event;
    nacre_context_confirm_window_lost(world.theirs);
    const nacre_observer observer = observed(&r, NACRE_CON);
    (void)nacre_endpoint_next_event(ep, &event); /* requested early */
    nacre_endpoint_changed(ep, observer);
    (void)expect_event(&world.server, NACRE_EVENT_NOTIFY);
    respond_text(&world.server, notification_of(observer), "when it is durable");
    assert_false(party_take(&world.server, &d, 0));
    const uint16_t mid = ep->observe.observers[0].mid;
    for (int i = 0; i < 65536; i++) assert_int_not_equal(nacre__new_mid(&ep->tx, &r.address), mid);
    raw_empty(&r, NACRE_ACK, mid, 0);
    raw_empty(&r, NACRE_RST, mid, 0);
    assert_false(ep->observe.observers[0].is_checked);
    serve_store(world.theirs);
    nacre_endpoint_confirmed(ep, world.theirs, NACRE_OK);
    assert_int_equal(raw_take(&r, &d, 0).mid, mid);
    assert_payload(raw_read(&r, &d), "when it is durable");
    raw_empty(&r, NACRE_ACK, mid, 0);
    expect_quiet(&world.server, 0);
    assert_true(nacre_endpoint_deadline(ep) == UINT64_MAX);
    pair_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_notification_that_waits_for_its_store_keeps_its_message_id),
        cmocka_unit_test(notifications_count_up_and_bind_to_the_registration),
        cmocka_unit_test(the_event_carries_the_registration),
        cmocka_unit_test(changes_during_a_notification_are_notified_once),
        cmocka_unit_test(every_sixteenth_notification_is_a_con),
        cmocka_unit_test(an_error_response_ends_the_observation),
        cmocka_unit_test(rst_to_a_notification_ends_the_observation),
        cmocka_unit_test(a_timeout_ends_the_observation),
        cmocka_unit_test(observe_1_with_the_same_token_ends_the_observation),
        cmocka_unit_test(a_cancellation_may_differ_in_unrelated_options),
        cmocka_unit_test(a_cancellation_in_the_same_burst_counts),
        cmocka_unit_test(a_second_registration_replaces_the_first),
        cmocka_unit_test(two_resources_may_share_a_token_when_protected),
        cmocka_unit_test(each_peer_has_a_share_of_the_entries),
        cmocka_unit_test(invalid_registrations_are_refused),
        cmocka_unit_test(a_registration_without_success_makes_no_observer),
        cmocka_unit_test(a_deferred_response_starts_the_observation),
        cmocka_unit_test(notify_gets_another_response),
        cmocka_unit_test(plain_observer_of_an_unvalidated_address_is_replaced_first),
        cmocka_unit_test(forged_registrations_get_half_of_the_transmissions),
        cmocka_unit_test(removing_the_context_ends_its_observations),
        cmocka_unit_test(a_notification_that_its_store_fails_is_made_up_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
