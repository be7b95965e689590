/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* A client and a server with a transfer each, and a forward proxy between them, on a network that loses, duplicates,
 * delays, reorders, damages and truncates, on a virtual clock: thousands of short seeded runs. Requests of every kind,
 * large bodies, observations and separate responses; direct or through the proxy, protected or not. Under all network
 * conditions:
 * - each exchange ends in exactly one outcome, and a protected response belongs to its request;
 * - no key and nonce are used twice;
 * - at the end every pool entry of all three is free.
 *
 * 2,000 runs; NACRE_SCENARIO_BATCHES sets another number, NACRE_SCENARIO_SEED the first seed. */
#include "free_entries.h"
#include "seal_log.h"

enum { JOBS = 6, MAX_BODY = 2600, HOPS = 24, MAX_DEFERRED = 8, NUM_OBSERVERS = 8, PATIENCE = 400, BUF_SIZE = 3000 };

typedef struct job {
    nacre_transfer_exchange exchange;
    uint8_t code;
    bool is_protected, observes, ended;
    unsigned notified;
    size_t len; /* of its body: requested by a GET, sent by the others */
    uint8_t buf[BUF_SIZE];
} job;

typedef struct hop {
    bool used;
    nacre_exchange requested;
} hop;

typedef struct stage {
    uint64_t seed;
    wire wire;
    party client, proxy, server;
    nacre_context *ours;
    job jobs[JOBS];
    hop hops[HOPS];
    nacre_exchange deferred[MAX_DEFERRED];
    nacre_observer observers[NUM_OBSERVERS];
    size_t num_deferred;
    chance chance;
    bool spoils;
} stage;

static uint8_t body[MAX_BODY];
static unsigned long completed, failed, notified, cancelled, relayed, observed;

#define THAT(s, condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) fail_msg("seed %llu: %s", (unsigned long long)(s)->seed, #condition);                        \
    } while (0)

/* ---- The server -------------------------------------------------------------------------------------------------- */

/* The path gives the length of the body that a GET receives; the other methods get a digest of what they sent. */
static void send_response(stage *s, nacre_exchange exchange, const nacre_message *request)
{
    uint8_t digest[8];
    nacre_message response = { .code = NACRE_CHANGED, .payload = NACRE_ARRAY(digest) };
    const nacre_bytes path = nacre_option_find(request->options, NACRE_OPT_URI_PATH);
    const uint64_t hash = plain_hash(request->payload);
    memcpy(digest, &hash, sizeof digest);
    if (request->code == NACRE_GET) {
        const size_t len = path.len == 2 ? (size_t)path.ptr[0] << 8 | path.ptr[1] : 0;
        response = (nacre_message){ .code = NACRE_CONTENT, .payload = { body, len < MAX_BODY ? len : MAX_BODY } };
    }
    if (nacre_transfer_respond(s->server.transfer, exchange, &response, NULL) != NACRE_OK)
        nacre_transfer_ignore(s->server.transfer, exchange);
}

static void respond_separately(stage *s)
{
    static const nacre_message response = { .code = NACRE_CONTENT, .payload = { body, 30 } };
    if (s->num_deferred == 0) return;
    const nacre_exchange exchange = s->deferred[--s->num_deferred];
    if (nacre_transfer_respond(s->server.transfer, exchange, &response, NULL) != NACRE_OK)
        nacre_transfer_ignore(s->server.transfer, exchange);
}

static void register_observer(stage *s, const nacre_event *event)
{
    for (size_t i = 0; i < NUM_OBSERVERS; i++) {
        if (!nacre_observer_is_none(s->observers[i])) continue;
        if (nacre_endpoint_observe(s->server.ep, &s->observers[i], event->exchange, NULL) == NACRE_OK) observed++;
        return;
    }
}

static void on_server(stage *s, const nacre_event *event)
{
    if (event->kind == NACRE_EVENT_OBSERVER_REMOVED) {
        for (size_t i = 0; i < NUM_OBSERVERS; i++)
            if (nacre_observer_equal(s->observers[i], event->observer)) s->observers[i] = NACRE_OBSERVER_NONE;
        return;
    }
    THAT(s, event->kind == NACRE_EVENT_REQUEST || event->kind == NACRE_EVENT_NOTIFY);
    if (event->kind == NACRE_EVENT_REQUEST) register_observer(s, event);
    if (event->message.code == NACRE_FETCH && s->num_deferred < MAX_DEFERRED && percent(&s->chance, 50) &&
        nacre_transfer_defer_response(s->server.transfer, event->exchange) == NACRE_OK)
        s->deferred[s->num_deferred++] = event->exchange;
    else send_response(s, event->exchange, &event->message);
}

/* ---- The proxy --------------------------------------------------------------------------------------------------- */

static void proxy_says(stage *s, nacre_exchange exchange, const nacre_message *response)
{
    const nacre_message bad = { .code = NACRE_BAD_GATEWAY };
    if (nacre_endpoint_respond(s->proxy.ep, exchange, response) != NACRE_OK &&
        nacre_endpoint_respond(s->proxy.ep, exchange, &bad) != NACRE_OK)
        nacre_endpoint_ignore(s->proxy.ep, exchange);
}

/* RFC 7252 5.7.2: options meant for the proxy are removed; Observe too, since this proxy does not observe. */
static nacre_bytes passed_options(nacre_bytes options, nacre_buf buf)
{
    nacre_options o;
    nacre_option option;
    nacre_bytes out;
    nacre_options_init(&o, buf);
    for (nacre_option_iter it = nacre_option_begin(options); nacre_option_next(&it, &option);)
        if (option.number != NACRE_OPT_PROXY_SCHEME && option.number != NACRE_OPT_URI_HOST &&
            option.number != NACRE_OPT_OBSERVE)
            nacre_options_add(&o, option.number, option.value);
    return nacre_options_finish(&o, &out) == NACRE_OK ? out : NACRE_ABSENT;
}

static void pass_on(stage *s, const nacre_event *event)
{
    uint8_t buf[MAX_DATAGRAM];
    nacre_message onward = { .type = NACRE_CON, .code = event->message.code, .payload = event->message.payload };
    const nacre_message refusal = { .code = NACRE_PROXYING_NOT_SUPPORTED }, busy = { .code = NACRE_UNAVAILABLE };
    const nacre_bytes options = event->message.options;
    hop *h = NULL;
    for (size_t i = 0; i < HOPS; i++)
        if (!s->hops[i].used) h = &s->hops[i];
    if (!nacre_bytes_equal(nacre_option_find(options, NACRE_OPT_URI_HOST), NACRE_STR("server"))) {
        proxy_says(s, event->exchange, &refusal);
    } else if (h == NULL || nacre_endpoint_defer_response(s->proxy.ep, event->exchange) != NACRE_OK) {
        proxy_says(s, event->exchange, &busy);
    } else {
        nacre_exchange exchange;
        onward.options = passed_options(options, NACRE_BUF(buf));
        if (nacre_endpoint_request(s->proxy.ep, &exchange, &s->server.address, NULL, &onward, h) != NACRE_OK) {
            proxy_says(s, event->exchange, &busy);
            return;
        }
        *h = (hop){ true, event->exchange };
        relayed++;
    }
}

static void on_proxy(stage *s, const nacre_event *event)
{
    uint8_t buf[MAX_DATAGRAM];
    if (event->kind == NACRE_EVENT_REQUEST) {
        pass_on(s, event);
        return;
    }
    hop *h = event->user;
    THAT(s, event->kind == NACRE_EVENT_RESPONSE || event->kind == NACRE_EVENT_FAILED);
    THAT(s, h->used);
    nacre_message back = { .code = NACRE_GATEWAY_TIMEOUT };
    if (event->kind == NACRE_EVENT_RESPONSE) {
        back = (nacre_message){ .code = event->message.code, .payload = event->message.payload };
        back.options = passed_options(event->message.options, NACRE_BUF(buf));
    }
    proxy_says(s, h->requested, &back);
    h->used = false;
}

/* ---- The client -------------------------------------------------------------------------------------------------- */

static void check_response(const stage *s, const job *j, const nacre_message *message)
{
    uint64_t hash = plain_hash(nacre_bytes_of(body, j->len));
    if (j->code == NACRE_FETCH || message->code >> 5 != 2) return; /* those get a separate response */
    if (j->code == NACRE_GET) {
        THAT(s, message->payload.len == j->len);
        THAT(s, j->len == 0 || memcmp(message->payload.ptr, body, j->len) == 0);
        return;
    }
    if (j->len == 0) hash = plain_hash(NACRE_ABSENT);
    THAT(s, message->payload.len == sizeof hash && memcmp(message->payload.ptr, &hash, sizeof hash) == 0);
}

static void on_client(stage *s, const nacre_event *event)
{
    job *j = event->user;
    if (event->kind == NACRE_EVENT_REQUEST) { /* a response with a damaged code */
        THAT(s, s->spoils && event->context == NULL);
        nacre_transfer_ignore(s->client.transfer, event->exchange);
        return;
    }
    THAT(s, j->exchange.number == event->transfer_exchange.number);
    THAT(s, !j->ended);
    if (event->kind == NACRE_EVENT_NOTIFICATION) {
        THAT(s, j->observes);
        if (event->err == NACRE_OK && j->is_protected) check_response(s, j, &event->message);
        j->notified++;
        notified++;
        return;
    }
    THAT(s, event->kind == NACRE_EVENT_RESPONSE || event->kind == NACRE_EVENT_FAILED);
    j->ended = true;
    if (event->kind == NACRE_EVENT_FAILED) {
        failed++;
        return;
    }
    completed++;
    THAT(s, (event->context != NULL) == j->is_protected);
    if (j->is_protected || !s->spoils) check_response(s, j, &event->message);
}

static void on_event(void *user, party *p, const nacre_event *event, uint64_t now)
{
    stage *s = user;
    (void)now;
    if (p == &s->server) on_server(s, event);
    else if (p == &s->proxy) on_proxy(s, event);
    else on_client(s, event);
}

static void start_job(stage *s, job *j)
{
    static const uint8_t codes[] = { NACRE_GET, NACRE_GET, NACRE_PUT, NACRE_POST, NACRE_FETCH };
    chance *c = &s->chance;
    const bool by_proxy = percent(c, 50);
    uint8_t options[64];
    nacre_options o;
    *j = (job){ .code = codes[draw(c) % 5], .is_protected = percent(c, 70) };
    j->observes = j->code == NACRE_GET && percent(c, 40);
    j->len = (size_t)(percent(c, 60) ? draw(c) % 60 : draw(c) % MAX_BODY);
    const uint8_t path[2] = { (uint8_t)(j->len >> 8), (uint8_t)j->len };
    nacre_message m = { .type = percent(c, 85) ? NACRE_CON : NACRE_NON, .code = j->code };
    nacre_options_init(&o, NACRE_BUF(options));
    if (by_proxy) nacre_options_add(&o, NACRE_OPT_URI_HOST, NACRE_STR("server"));
    if (j->observes) nacre_options_add_uint(&o, NACRE_OPT_OBSERVE, 0);
    nacre_options_add(&o, NACRE_OPT_URI_PATH, NACRE_ARRAY(path));
    if (by_proxy) nacre_options_add(&o, NACRE_OPT_PROXY_SCHEME, NACRE_STR("coap"));
    assert_int_equal(nacre_options_finish(&o, &m.options), NACRE_OK);
    if (j->code != NACRE_GET && j->len > 0) m.payload = nacre_bytes_of(body, j->len);
    const nacre_transfer_options how = { .request.via_proxy = by_proxy,
                                         .request.timeout_ms = percent(c, 10) ? 3000 : 0,
                                         .buf = NACRE_BUF(j->buf),
                                         .block_size = percent(c, 30) ? 256 : 0 };
    assert_int_equal(nacre_transfer_request(s->client.transfer, &j->exchange,
                                            by_proxy ? &s->proxy.address : &s->server.address,
                                            j->is_protected ? s->ours : NULL, &m, &how, j),
                     NACRE_OK);
}

/* ---- A run ------------------------------------------------------------------------------------------------------- */

static void open_all(stage *s)
{
    const nacre_crypto_ops *ops = seal_log_begin();
    const uint16_t nstart = percent(&s->chance, 50) ? 1 : UINT16_MAX;
    const nacre_endpoint_config config = { .crypto.ops = ops,
                                           .observe.num_observers = NUM_OBSERVERS,
                                           .num_client_exchanges = 2 * JOBS,
                                           .congestion.nstart = nstart,
                                           .num_transmissions = MAX_DEFERRED,
                                           .max_message = percent(&s->chance, 50) ? 1280 : 600 };
    const nacre_endpoint_config carrier = { .opaque_oscore = true,
                                            .num_client_exchanges = HOPS,
                                            .num_transmissions = HOPS };
    const pairing how = { .secret = (uint8_t)s->seed, .server_lost = percent(&s->chance, 30) };
    party_open(&s->client, "client", 3 * s->seed, &config);
    party_open(&s->proxy, "proxy", 3 * s->seed + 1, &carrier);
    party_open(&s->server, "server", 3 * s->seed + 2, &config);
    s->ours = party_context(&s->client, &how, false);
    (void)party_context(&s->server, &how, true);
    party_add_transfer(&s->client, NULL);
    party_add_transfer(&s->server, NULL);
    s->wire.parties[0] = &s->client;
    s->wire.parties[1] = &s->proxy;
    s->wire.parties[2] = &s->server;
    s->wire.num_parties = 3;
    s->wire.chance.state = s->seed;
    s->wire.on_event = on_event;
    s->wire.user = s;
    s->wire.network = (network){ .loss = (unsigned)(draw(&s->chance) % 25),
                                 .doubling = (unsigned)(draw(&s->chance) % 25),
                                 .spoiling = percent(&s->chance, 30) ? 4 : 0,
                                 .min_delay = 1,
                                 .max_delay = 1 + draw(&s->chance) % 1500 };
    s->wire.cutting = percent(&s->chance, 30) ? 4 : 0;
    s->spoils = s->wire.network.spoiling > 0 || s->wire.cutting > 0;
}

static void give_up_observing(stage *s, const job *j)
{
    if (!j->observes || j->ended) return;
    const nacre_err err = nacre_transfer_unobserve(s->client.transfer, j->exchange);
    THAT(s, err == NACRE_OK || err == NACRE_ERR_STALE); /* its end may be pending */
}

/* One action other than responding. */
static void do_something(stage *s)
{
    const size_t what = (size_t)(draw(&s->chance) % 10);
    job *j = &s->jobs[draw(&s->chance) % JOBS];
    if (what < 3) respond_separately(s);
    else if (what < 6) {
        const nacre_observer observer = s->observers[draw(&s->chance) % NUM_OBSERVERS];
        if (!nacre_observer_is_none(observer)) nacre_endpoint_changed(s->server.ep, observer);
    } else if (what < 8 && j->notified > 1) {
        give_up_observing(s, j);
    } else if (what == 8 && !j->ended && percent(&s->chance, 5)) {
        nacre_event event; /* its end may be pending */
        while (nacre_transfer_next_event(s->client.transfer, &event)) on_client(s, &event);
        if (j->ended) return;
        nacre_transfer_cancel(s->client.transfer, j->exchange);
        j->ended = true;
        cancelled++;
    }
}

static bool is_over(const stage *s)
{
    for (int i = 0; i < JOBS; i++)
        if (!s->jobs[i].ended) return false;
    return true;
}

static void one_run(uint64_t seed)
{
    static stage s;
    memset(&s, 0, sizeof s);
    s.seed = seed;
    s.chance.state = seed * 31;
    open_all(&s);
    for (int i = 0; i < JOBS; i++) start_job(&s, &s.jobs[i]);
    for (int steps = 0; !is_over(&s); steps++) {
        do_something(&s);
        for (int i = 0; i < JOBS && steps > PATIENCE; i++)
            give_up_observing(&s, &s.jobs[i]); /* the observation is over */
        if (!wire_step(&s.wire) && s.num_deferred == 0 && !is_over(&s))
            fail_msg("seed %llu: nothing goes on", (unsigned long long)seed);
        THAT(&s, steps < 100000);
    }
    while (s.num_deferred > 0) respond_separately(&s);
    while (wire_step(&s.wire)) /* datagrams in flight, and waits for late duplicates */
        while (s.num_deferred > 0) respond_separately(&s);
    expect_quiet(&s.client, s.wire.now);
    assert_all_entries_are_free(&s.client);
    assert_all_entries_are_free(&s.proxy);
    assert_all_entries_are_free(&s.server);
    for (size_t i = 0; i < HOPS; i++) THAT(&s, !s.hops[i].used);
    wire_close(&s.wire);
    party_close(&s.client);
    party_close(&s.proxy);
    party_close(&s.server);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void each_exchange_ends_once_and_frees_its_entries(void **state)
{
    const uint64_t num_rounds = number_from("NACRE_SCENARIO_RUNS", 2000), first = number_from("NACRE_SCENARIO_SEED", 1);
    (void)state;
    for (size_t i = 0; i < sizeof body; i++) body[i] = (uint8_t)(i * 31 + (i >> 8));
    for (uint64_t seed = first; seed < first + num_rounds; seed++) one_run(seed);
    print_message(
        "%lu answered, %lu failed, %lu cancelled; %lu notifications of %lu observers; %lu through the proxy\n",
        completed, failed, cancelled, notified, observed, relayed);
    assert_int_equal(completed + failed + cancelled, num_rounds * JOBS);
    if (num_rounds < 100) return; /* the runs must exercise each of these */
    assert_true(completed > num_rounds * JOBS / 2 && failed > 0 && cancelled > 0);
    assert_true(notified > num_rounds / 4 && relayed > num_rounds);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_exchange_ends_once_and_frees_its_entries) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
