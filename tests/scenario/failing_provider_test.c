/* SPDX-License-Identifier: MIT */
/* B19: the error paths of the endpoint and of the layers above it. One script (requests, block-wise bodies, a separate
 * response, an observation, a context that needs its store) runs again and again; each run fails the next operation of
 * the provider, or the next persist request, on either side. Each exchange ends in one outcome, no nonce is used twice,
 * every pool entry is freed, and the next request succeeds. */
#include "free_entries.h"
#include "seal_log.h"

enum { BIG = 2500, EXCHANGES = 5 };
enum what { SEAL, OPEN, STORE, KINDS };

static struct {
    pair pair;
    uint64_t now;
    nacre_transfer_exchange exchanges[EXCHANGES + 1];
    nacre_exchange deferred;
    nacre_observer observer;
    unsigned ends[EXCHANGES + 1];
    bool last_completed;
    enum what what;
    unsigned long countdown; /* that operation fails; 0: none */
    bool failed;
} w;
static uint8_t big[BIG];

/* ---- Failures ---------------------------------------------------------------------------------------------------- */

static bool fails_now(enum what what)
{
    if (w.what != what || w.countdown == 0 || --w.countdown > 0) return false;
    w.failed = true;
    return true;
}

static void seal_or_fail(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num_jobs)
{
    seal_log_seal(crypto, jobs, num_jobs);
    for (size_t i = 0; i < num_jobs; i++)
        if (fails_now(SEAL)) jobs[i]->ok = false;
}

static void open_or_fail(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num_jobs)
{
    encryptions.at->open_many(crypto, jobs, num_jobs);
    for (size_t i = 0; i < num_jobs; i++)
        if (fails_now(OPEN)) jobs[i]->ok = false;
}

static void store(party *p, nacre_context *ctx)
{
    const bool fails = fails_now(STORE);
    if (!fails) serve_store(ctx);
    nacre_endpoint_confirmed(p->ep, ctx, fails ? NACRE_ERR_FILE : NACRE_OK);
}

/* ---- The script -------------------------------------------------------------------------------------------------- */

static nacre_err read_big(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    (void)user;
    *len = BIG - offset < buf.cap ? (size_t)(BIG - offset) : buf.cap;
    memcpy(buf.ptr, big + offset, *len);
    return NACRE_OK;
}

static void respond(const nacre_event *event)
{
    uint8_t buf[8];
    nacre_options o;
    nacre_message m = { .code = NACRE_CONTENT };
    const nacre_bytes path = nacre_option_find(event->message.options, NACRE_OPT_URI_PATH);
    const bool from_source = nacre_bytes_equal(path, NACRE_STR("s"));
    nacre_response_options how = { 0 };
    nacre_options_init(&o, NACRE_BUF(buf));
    if (from_source) nacre_options_add(&o, NACRE_OPT_ETAG, NACRE_STR("e"));
    if (from_source) how.source = (nacre_source){ read_big, NULL, BIG };
    if (nacre_bytes_equal(path, NACRE_STR("b"))) m.payload = NACRE_ARRAY(big);
    assert_int_equal(nacre_options_finish(&o, &m.options), NACRE_OK);
    if (nacre_transfer_respond(w.pair.server.transfer, event->exchange, &m, &how) != NACRE_OK)
        nacre_transfer_ignore(w.pair.server.transfer, event->exchange);
}

static void on_server(const nacre_event *event)
{
    const nacre_bytes path = nacre_option_find(event->message.options, NACRE_OPT_URI_PATH);
    if (event->kind == NACRE_EVENT_OBSERVER_REMOVED) {
        w.observer = NACRE_OBSERVER_NONE;
        return;
    }
    if (event->kind == NACRE_EVENT_REQUEST && nacre_bytes_equal(path, NACRE_STR("l"))) {
        assert_int_equal(nacre_transfer_defer_response(w.pair.server.transfer, event->exchange), NACRE_OK);
        w.deferred = event->exchange;
        return;
    }
    if (event->kind == NACRE_EVENT_REQUEST && nacre_bytes_equal(path, NACRE_STR("o")) &&
        nacre_observer_is_none(w.observer))
        (void)!nacre_endpoint_observe(w.pair.server.ep, &w.observer, event->exchange, NULL);
    respond(event);
}

static bool pull(party *p)
{
    bool any = false;
    for (nacre_event event; party_next_event(p, &event); any = true) {
        if (event.kind == NACRE_EVENT_PERSIST) {
            store(p, event.context);
        } else if (p == &w.pair.server) {
            on_server(&event);
        } else if (event.kind != NACRE_EVENT_NOTIFICATION) {
            unsigned *ends = event.user;
            ++*ends;
            w.last_completed = event.kind == NACRE_EVENT_RESPONSE && event.message.code == NACRE_CONTENT;
        }
    }
    return any;
}

static void carry_all(void)
{
    party *const parties[2] = { &w.pair.client, &w.pair.server };
    for (bool busy = true; busy;) {
        busy = false;
        for (int i = 0; i < 2; i++) {
            datagram d;
            busy = pull(parties[i]) || busy;
            for (; party_take(parties[i], &d, w.now); busy = true) {
                (void)pull(parties[!i]);
                party_give(parties[!i], parties[i], &d, w.now);
                (void)pull(parties[!i]);
            }
        }
    }
}

static void pass(uint64_t ms)
{
    w.now += ms;
    party_expire(&w.pair.client, w.now);
    party_expire(&w.pair.server, w.now);
    carry_all();
}

static void send_request(int which, uint8_t code, const char *path)
{
    static uint8_t back[BIG];
    uint8_t buf[16];
    nacre_options o;
    nacre_message m = { .type = NACRE_CON, .code = code };
    nacre_options_init(&o, NACRE_BUF(buf));
    if (path[0] == 'o') nacre_options_add_uint(&o, NACRE_OPT_OBSERVE, 0);
    nacre_options_add(&o, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)path, 1));
    assert_int_equal(nacre_options_finish(&o, &m.options), NACRE_OK);
    if (code == NACRE_PUT) m.payload = NACRE_ARRAY(big);
    const nacre_transfer_options how = { .buf = NACRE_BUF(back) };
    assert_int_equal(nacre_transfer_request(w.pair.client.transfer, &w.exchanges[which], &w.pair.server.address,
                                            w.pair.ours, &m, &how, &w.ends[which]),
                     NACRE_OK);
    carry_all();
}

static void tell_the_story(void)
{
    send_request(0, NACRE_GET, "b");
    send_request(1, NACRE_PUT, "p");
    send_request(2, NACRE_GET, "s");
    send_request(3, NACRE_GET, "l");
    pass(500);
    if (!nacre_exchange_is_none(w.deferred)) {
        const nacre_message late = { .code = NACRE_CONTENT, .payload = NACRE_STR("late") };
        if (nacre_transfer_respond(w.pair.server.transfer, w.deferred, &late, NULL) != NACRE_OK)
            nacre_transfer_ignore(w.pair.server.transfer, w.deferred);
    }
    carry_all();
    send_request(4, NACRE_GET, "o");
    for (int i = 0; i < 3; i++) {
        if (!nacre_observer_is_none(w.observer)) nacre_endpoint_changed(w.pair.server.ep, w.observer);
        carry_all();
    }
    const nacre_err err = nacre_transfer_unobserve(w.pair.client.transfer, w.exchanges[4]);
    assert_true(err == NACRE_OK || (w.failed && err == NACRE_ERR_STALE));
    for (int i = 0; i < 60; i++) pass(20000);
}

/* False: the script made too few operations for the failure to happen. */
static bool one_telling(enum what what, unsigned long countdown)
{
    memset(&w, 0, sizeof w);
    w.what = what;
    w.countdown = countdown;
    nacre_crypto_ops ops = *seal_log_begin();
    ops.seal_many = seal_or_fail;
    ops.open_many = open_or_fail;
    pair_open(
        &w.pair, &(nacre_endpoint_config){ .crypto.ops = &ops, .observe.num_observers = 1, .num_transmissions = 2 },
        &(pairing){ .client_persistent = true, .server_persistent = true, .first_chunk = 1, .server_lost = true });
    party_add_transfer(&w.pair.client, NULL);
    party_add_transfer(&w.pair.server, NULL);
    tell_the_story();
    for (int i = 0; i < EXCHANGES; i++)
        if (w.ends[i] != 1) fail_msg("kind %d, number %lu: exchange %d ended %u times", what, countdown, i, w.ends[i]);
    const bool failed = w.failed;
    w.countdown = 0;
    send_request(EXCHANGES, NACRE_GET, "b"); /* nothing fails from here on */
    pass(1000);
    assert_int_equal(w.ends[EXCHANGES], 1);
    assert_true(w.last_completed);
    if (!nacre_observer_is_none(w.observer)) nacre_endpoint_drop_observer(w.pair.server.ep, w.observer);
    for (int i = 0; i < 10; i++) pass(100000);
    assert_all_entries_are_free(&w.pair.client);
    assert_all_entries_are_free(&w.pair.server);
    pair_close(&w.pair);
    return failed;
}

static void each_failing_operation_ends_in_one_outcome(void **state)
{
    (void)state;
    for (enum what what = SEAL; what < KINDS; what++) {
        unsigned long number = 1;
        while (one_telling(what, number)) number++;
        print_message("%lu %s failed in turn\n", number - 1,
                      what == SEAL   ? "seals"
                      : what == OPEN ? "opens"
                                     : "wishes to a store");
        assert_true(number > 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_failing_operation_ends_in_one_outcome) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
