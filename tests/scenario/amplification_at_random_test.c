/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* Random requests from addresses that are never validated. Per request, the responses, acknowledgements and
 * retransmissions together are at most 136 bytes or three times the request's length; so is each notification with its
 * retransmissions (RFC 7252 11.3, RFC 9175 2.4 item 3). A validated peer shares the contexts and the pools. */
#include "raw.h"

enum {
    FORGED = 3,
    HONEST = FORGED,
    PEERS,
    CONTEXTS = 2,
    MAX_REQUESTS = 600,
    MOST_NOTES = 64,
    OPEN = 32,
    MOST_TOKEN = 30
};

typedef struct note {
    uint16_t mid;
    size_t spent;
} note;

/* The requests of one peer under one token. */
typedef struct tracked_request {
    size_t peer, len, allowance, credit, spent;
    uint16_t mid;
    bool observes;
    uint8_t token[MOST_TOKEN];
    size_t token_len;
    note notes[MOST_NOTES];
    size_t num_notes;
    datagram sent;
} tracked_request;

static struct {
    pair pair;
    party *server;
    nacre_context *ours[CONTEXTS];
    nacre_address peers[PEERS];
    tracked_request requests[MAX_REQUESTS];
    size_t num_requests;
    struct {
        nacre_exchange exchange;
        bool is_deferred;
    } open[OPEN];
    size_t num_open;
    nacre_observer observers[OPEN];
    size_t num_observers;
    uint16_t heard[PEERS][OPEN]; /* message IDs of the server */
    uint8_t echo[16];            /* the last one the honest peer received */
    size_t echo_len;
    uint16_t mid;
    chance chance;
    uint64_t now;
    size_t checked, notified, again, outer, validated;
    bool with_transfer;
    unsigned long long seed;
} w;

static size_t pick(size_t num)
{
    return (size_t)(draw(&w.chance) % num);
}

static bool may(unsigned p)
{
    return percent(&w.chance, p);
}

/* ---- Bytes sent per request -------------------------------------------------------------------------------------- */

static size_t allowance_of(size_t len)
{
    return 3 * len > 136 ? 3 * len : 136;
}

/* The request with this token and message ID; without one, the latest request with this token. */
static tracked_request *find(size_t peer, const nacre_message *m)
{
    tracked_request *last = NULL;
    for (size_t i = w.num_requests; i-- > 0;) {
        tracked_request *a = &w.requests[i];
        if (a->peer != peer) continue;
        const bool has_token = nacre_bytes_equal(m->token, nacre_bytes_of(a->token, a->token_len));
        if (a->mid == m->mid && (has_token || m->code == NACRE_EMPTY)) return a;
        if (last == NULL && has_token && m->code != NACRE_EMPTY) last = a;
    }
    return last;
}

static const tracked_request *last_of(const tracked_request *any)
{
    const nacre_message m = { .code = NACRE_GET, .token = { any->token, any->token_len } };
    return find(any->peer, &m);
}

static size_t *account_of(tracked_request *a, const nacre_message *m, size_t *limit)
{
    *limit = a->credit;
    if (!a->observes || m->mid == a->mid) return &a->spent;
    *limit = a->allowance;
    for (size_t i = 0; i < a->num_notes; i++)
        if (a->notes[i].mid == m->mid) return &a->notes[i].spent;
    note *n = &a->notes[a->num_notes++ % MOST_NOTES];
    *n = (note){ m->mid, 0 };
    if (a->num_notes > MOST_NOTES) a->num_notes = MOST_NOTES;
    w.notified++;
    return &n->spent;
}

static void check(size_t peer, const datagram *d)
{
    size_t limit;
    const nacre_message m = datagram_message(d);
    w.heard[peer][pick(OPEN)] = m.mid;
    if (peer == HONEST) {
        if (d->len > 3 * sizeof w.requests[0].sent.bytes / 4) w.validated++;
        return;
    }
    tracked_request *a = find(peer, &m);
    if (a == NULL) fail_msg("nothing asked for %u.%02u", m.code >> 5, m.code & 31u);
    size_t *spent = account_of(a, &m, &limit);
    if (*spent > 0) w.again++;
    *spent += d->len;
    w.checked++;
    if (*spent > limit)
        fail_msg("seed %llu: %zu bytes of %zu for one of %zu: code %u.%02u type %u protected %d", w.seed, *spent, limit,
                 a->len, m.code >> 5, m.code & 31u, m.type,
                 !nacre_is_absent(nacre_option_find(m.options, NACRE_OPT_OSCORE)));
}

static void keep_echo(const datagram *d)
{
    const nacre_message m = datagram_message(d);
    const nacre_bytes echo = nacre_option_find(m.options, NACRE_OPT_ECHO);
    if (nacre_is_absent(echo) || echo.len > sizeof w.echo) return;
    memcpy(w.echo, echo.ptr, echo.len);
    w.echo_len = echo.len;
}

static void drain(void)
{
    for (datagram d; party_take(w.server, &d, w.now);) {
        size_t peer = 0;
        while (!nacre_address_equal(&w.peers[peer], &d.peer)) assert_true(++peer < PEERS);
        check(peer, &d);
        if (peer == HONEST) keep_echo(&d);
    }
}

/* ---- The application --------------------------------------------------------------------------------------------- */

static nacre_message any_response(void)
{
    static const uint8_t codes[] = { NACRE_CONTENT,   NACRE_CONTENT, NACRE_CONTENT,     NACRE_CHANGED,
                                     NACRE_NOT_FOUND, NACRE_VALID,   NACRE_UNAVAILABLE, NACRE_TOO_LARGE };
    static uint8_t memory[256], body[1200];
    nacre_options o;
    nacre_message m = { .code = codes[pick(sizeof codes)] };
    nacre_options_init(&o, NACRE_BUF(memory));
    if (may(40)) nacre_options_add(&o, NACRE_OPT_ETAG, nacre_bytes_of(body, 1 + pick(8)));
    if (may(10)) nacre_options_add(&o, NACRE_OPT_LOCATION_PATH, nacre_bytes_of(body, pick(120)));
    if (may(30)) nacre_options_add_uint(&o, NACRE_OPT_CONTENT_FORMAT, pick(70000));
    if (may(20)) nacre_options_add_uint(&o, NACRE_OPT_MAX_AGE, draw(&w.chance) & 0xffffffff);
    assert_int_equal(nacre_options_finish(&o, &m.options), NACRE_OK);
    m.payload = nacre_bytes_of(body, may(50) ? pick(160) : pick(sizeof body));
    return m;
}

static nacre_err say(nacre_exchange exchange, const nacre_message *m)
{
    return w.with_transfer ? nacre_transfer_respond(w.server->transfer, exchange, m, NULL)
                           : nacre_endpoint_respond(w.server->ep, exchange, m);
}

static void respond(nacre_exchange exchange)
{
    const nacre_message m = any_response();
    const nacre_err err = say(exchange, &m);
    if (err == NACRE_OK || err == NACRE_ERR_STALE) return;
    const nacre_message sorry = { .code = NACRE_SERVER_ERROR };
    (void)say(exchange, &sorry);
}

static nacre_err defer(nacre_exchange exchange)
{
    return w.with_transfer ? nacre_transfer_defer_response(w.server->transfer, exchange)
                           : nacre_endpoint_defer_response(w.server->ep, exchange);
}

static void decide(nacre_exchange exchange)
{
    if (may(30) && w.num_open < OPEN && defer(exchange) == NACRE_OK) {
        w.open[w.num_open++].exchange = exchange;
        return;
    }
    if (may(3)) nacre_endpoint_ignore(w.server->ep, exchange);
    else respond(exchange);
}

static void events(void)
{
    for (nacre_event event; party_next_event(w.server, &event);) {
        nacre_observer observer;
        switch (event.kind) {
        case NACRE_EVENT_PERSIST:
            if (may(80)) serve_store(event.context);
            nacre_endpoint_confirmed(w.server->ep, event.context, may(90) ? NACRE_OK : NACRE_ERR_FILE);
            break;
        case NACRE_EVENT_REQUEST:
            if (may(90) && w.num_observers < OPEN &&
                nacre_endpoint_observe(w.server->ep, &observer, event.exchange, NULL) == NACRE_OK)
                w.observers[w.num_observers++] = observer;
            decide(event.exchange);
            break;
        case NACRE_EVENT_NOTIFY: decide(event.exchange); break;
        case NACRE_EVENT_OBSERVER_REMOVED:
            for (size_t i = 0; i < w.num_observers; i++)
                if (nacre_observer_equal(w.observers[i], event.observer))
                    w.observers[i] = w.observers[--w.num_observers];
            break;
        default: break;
        }
        drain();
    }
}

/* ---- The network ------------------------------------------------------------------------------------------------- */

static void give(size_t peer, const datagram *d)
{
    party_take_back(w.server);
    const nacre_datagram in = { .peer = w.peers[peer],
                                .bytes = party_lend(w.server, nacre_bytes_of(d->bytes, d->len)) };
    while (party_receive(w.server, &in, 1, w.now) == 0) events();
    drain();
    events();
    drain();
}

static tracked_request *new_request(size_t peer, uint16_t mid)
{
    if (w.num_requests == MAX_REQUESTS) return NULL;
    tracked_request *a = &w.requests[w.num_requests++];
    memset(a, 0, sizeof *a);
    a->peer = peer;
    a->mid = mid;
    a->token_len = may(90) ? 4 + pick(5) : 4 + pick(MOST_TOKEN - 3);
    chance_fill(&w.chance, a->token, a->token_len);
    return a;
}

static void pay(tracked_request *a, size_t len)
{
    a->len = len;
    a->credit += allowance_of(len);
    if (allowance_of(len) > a->allowance) a->allowance = allowance_of(len);
}

static uint32_t any_block(bool is_first)
{
    return (uint32_t)((is_first ? 0 : pick(6)) << 4 | pick(7));
}

static nacre_bytes any_options(tracked_request *a, uint8_t code)
{
    static uint8_t memory[400], path[200];
    nacre_options o;
    nacre_bytes out = NACRE_ABSENT;
    const bool observable = code == NACRE_GET || code == NACRE_FETCH;
    nacre_options_init(&o, NACRE_BUF(memory));
    if (observable && (a->observes || may(30))) {
        nacre_options_add_uint(&o, NACRE_OPT_OBSERVE, a->observes && may(60));
        a->observes = true;
    }
    nacre_options_add(&o, NACRE_OPT_URI_PATH, nacre_bytes_of(path, may(70) ? pick(12) : pick(sizeof path)));
    if (may(20)) nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, any_block(may(50)));
    if (code == NACRE_PUT && may(30))
        nacre_options_add_uint(&o, NACRE_OPT_BLOCK1, any_block(may(60)) | (may(60) ? 8 : 0));
    if (a->peer == HONEST && w.echo_len > 0 && may(70)) {
        nacre_options_add(&o, NACRE_OPT_ECHO, nacre_bytes_of(w.echo, w.echo_len));
    } else if (may(10)) nacre_options_add(&o, NACRE_OPT_ECHO, nacre_bytes_of(path, 8));
    if (may(5)) nacre_options_add_uint(&o, NACRE_OPT_NO_RESPONSE, 2);
    assert_int_equal(nacre_options_finish(&o, &out), NACRE_OK);
    return out;
}

/* Outer blocks of a protected message, as a proxy adds them. */
static void add_outer(nacre_message *m, nacre_options *o)
{
    nacre_option option;
    static const uint16_t first[] = { NACRE_OPT_BLOCK2, NACRE_OPT_BLOCK1 };
    const bool has[] = { may(60), may(60) };
    nacre_option_iter it = nacre_option_begin(m->options);
    while (nacre_option_next(&it, &option)) nacre_options_add(o, option.number, option.value);
    for (size_t i = 0; i < 2; i++)
        if (has[i])
            nacre_options_add_uint(o, first[i], i == 0 ? any_block(may(70)) : pick(7)); /* Block1 0/0/szx: the whole */
    assert_int_equal(nacre_options_finish(o, &m->options), NACRE_OK);
    w.outer++;
}

static void write_request(tracked_request *a, uint8_t type, uint8_t code)
{
    static uint8_t body[400], memory[500];
    nacre_bytes out = NACRE_ABSENT;
    nacre_message m = { .type = type, .code = code, .mid = a->mid, .token = { a->token, a->token_len } };
    m.options = any_options(a, code);
    if (code != NACRE_GET) m.payload = nacre_bytes_of(body, may(60) ? pick(40) : pick(sizeof body));
    if (may(50)) {
        datagram_write(&a->sent, &m);
        return;
    }
    nacre_request_id id;
    assert_int_equal(nacre_protect_request(w.ours[pick(CONTEXTS)], &w.pair.client.crypto, &id, &out,
                                           NACRE_BUF(a->sent.bytes), &m, NULL),
                     NACRE_OK);
    a->sent.len = out.len;
    if (!may(40)) return;
    nacre_options o;
    datagram whole = a->sent;
    nacre_options_init(&o, NACRE_BUF(memory));
    m = datagram_message(&whole);
    add_outer(&m, &o);
    datagram_write(&a->sent, &m);
}

static void send_new_request(void)
{
    static const uint8_t codes[] = { NACRE_GET, NACRE_GET, NACRE_FETCH, NACRE_PUT };
    const size_t peer = pick(PEERS);
    tracked_request *a = NULL;
    for (size_t i = 0; i < w.num_requests && may(30); i++) { /* an observing request, under its token */
        tracked_request *other = &w.requests[pick(w.num_requests)];
        if (other->observes && other->peer == peer) a = other;
    }
    const tracked_request *before = a == NULL ? NULL : last_of(a);
    a = new_request(peer, ++w.mid);
    if (a == NULL) return;
    if (before != NULL) { /* bytes still to be sent count towards this request */
        *a = *before;
        a->mid = w.mid;
        a->spent = a->credit = 0;
        a->observes = true;
    }
    write_request(a, may(75) ? NACRE_CON : NACRE_NON, codes[pick(sizeof codes)]);
    if (a->sent.len > 5 && may(5))
        a->sent.bytes[may(50) ? 1 : a->sent.len - 1 - pick(a->sent.len - 5)] ^= (uint8_t)(1 << pick(8));
    if (may(3)) a->sent.len = pick(a->sent.len) + 1;
    nacre_message m;
    if (nacre_message_parse(&m, nacre_bytes_of(a->sent.bytes, a->sent.len)) == NACRE_OK) {
        a->mid = m.mid;
        a->token_len = m.token.len < sizeof a->token ? m.token.len : sizeof a->token;
        memcpy(a->token, m.token.ptr, a->token_len);
    } else if (a->sent.len >= 4) a->mid = (uint16_t)(a->sent.bytes[2] << 8 | a->sent.bytes[3]);
    pay(a, a->sent.len);
    give(peer, &a->sent);
}

static void repeat_request(void)
{
    if (w.num_requests == 0) return;
    const size_t from = w.num_requests > 20 && may(80) ? w.num_requests - 20 : 0;
    tracked_request *a = &w.requests[from + pick(w.num_requests - from)];
    if (a->sent.len == 0) return;
    pay(a, a->sent.len);
    give(a->peer, &a->sent);
}

/* A captured protected request arrives from this peer's address. */
static void capture(void)
{
    if (w.num_requests == 0) return;
    const tracked_request *old = &w.requests[pick(w.num_requests)];
    const size_t peer = pick(PEERS);
    if (old->peer == peer || old->sent.len == 0 || w.num_requests == MAX_REQUESTS) return;
    const nacre_message m = { .code = NACRE_GET, .mid = old->mid, .token = { old->token, old->token_len } };
    tracked_request *a = find(peer, &m);
    if (a == NULL || a->mid != old->mid) {
        const tracked_request *before = a;
        a = &w.requests[w.num_requests++];
        *a = before != NULL ? *before : *old;
        a->sent = old->sent;
        a->mid = old->mid;
        a->observes = old->observes || before != NULL;
        a->peer = peer;
        a->spent = a->credit = 0;
        if (before == NULL) a->num_notes = 0;
    }
    pay(a, a->sent.len);
    give(peer, &a->sent);
}

static void send_empty(void)
{
    const size_t peer = pick(PEERS);
    const uint8_t type = (uint8_t)pick(4);
    const uint16_t mid = may(80) ? w.heard[peer][pick(OPEN)] : (uint16_t)draw(&w.chance);
    if (type > NACRE_NON) {
        const datagram d = empty_message(type, mid);
        give(peer, &d);
        return;
    }
    tracked_request *a = new_request(peer, ++w.mid);
    if (a == NULL) return;
    a->sent = empty_message(type, a->mid);
    pay(a, a->sent.len);
    give(peer, &a->sent);
}

static void stray_response(void)
{
    tracked_request *a = new_request(pick(PEERS), ++w.mid);
    if (a == NULL) return;
    datagram_write(&a->sent, &(nacre_message){ .type = (uint8_t)pick(2),
                                               .code = NACRE_CONTENT,
                                               .mid = a->mid,
                                               .token = { a->token, a->token_len } });
    pay(a, a->sent.len);
    give(a->peer, &a->sent);
}

static void let_time_pass(void)
{
    static const uint32_t steps[] = { 1, 100, 1000, 3000, 10000, 100000 };
    const uint64_t step = pick(steps[pick(6)]) + 1;
    w.now = w.now < UINT64_MAX - step ? w.now + step : UINT64_MAX;
    party_expire(w.server, w.now);
    drain();
    events();
    drain();
}

static void respond_separately(void)
{
    if (w.num_open == 0) return;
    const size_t at = pick(w.num_open);
    const nacre_exchange exchange = w.open[at].exchange;
    w.open[at] = w.open[--w.num_open];
    respond(exchange);
    drain();
}

static void change(void)
{
    for (size_t i = 0; i < w.num_observers; i++)
        if (may(50)) nacre_endpoint_changed(w.server->ep, w.observers[i]);
    events();
    drain();
}

/* ---- The run ----------------------------------------------------------------------------------------------------- */

static void open_world(uint64_t seed)
{
    static const char *const names[PEERS] = { "a", "b", "c", "honest" };
    static const char *const ids[CONTEXTS] = { "c", "d" };
    static const uint64_t starts[] = { 0, UINT32_MAX - UINT32_C(1000000), UINT64_MAX - UINT32_C(1000000) };
    const bool with_transfer = seed % 2 == 1;
    const size_t checked = w.checked, notified = w.notified, again = w.again, outer = w.outer, validated = w.validated;
    memset(&w, 0, sizeof w);
    w.checked = checked, w.notified = notified, w.again = again, w.outer = outer, w.validated = validated;
    w.chance.state = w.seed = seed;
    const nacre_endpoint_config config = { .observe.num_observers = 8,
                                           .num_transmissions = may(50) ? 4 : 16,
                                           .num_server_exchanges = may(50) ? 8 : 64,
                                           .max_message = 1280 };
    const pairing how = { .server_persistent = may(50), .server_lost = may(30), .first_chunk = 4 };
    pair_open(&w.pair, &config, &how);
    w.server = &w.pair.server;
    w.with_transfer = with_transfer;
    w.now = seed % 8 < 3 ? starts[seed % 8] : 0; /* the clock may stop at any deadline */
    w.ours[0] = w.pair.ours;
    pairing other = { .client_id = ids[1], .secret = 7 };
    w.ours[1] = party_context(&w.pair.client, &other, false);
    (void)party_context(w.server, &other, true);
    if (with_transfer) party_add_transfer(w.server, NULL);
    for (size_t i = 0; i < PEERS; i++) w.peers[i] = address_named(names[i]);
}

static void step(void)
{
    const size_t what = pick(100);
    if (what < 40) send_new_request();
    else if (what < 50) repeat_request();
    else if (what < 54) capture();
    else if (what < 66) send_empty();
    else if (what < 68) stray_response();
    else if (what < 80) let_time_pass();
    else if (what < 90) respond_separately();
    else change();
}

static void bytes_sent_per_request_stay_within_the_limit(void **state)
{
    (void)state;
    const char *seeds = getenv("AMPLIFICATION_SEEDS");
    const uint64_t num = seeds != NULL ? strtoull(seeds, NULL, 10) : 100;
    for (uint64_t seed = 1; seed <= num; seed++) {
        open_world(seed);
        for (int i = 0; i < 1500; i++) step();
        pair_close(&w.pair);
    }
    assert_true(w.checked > 100 * num && w.notified > 10 * num && w.again > 10 * num && w.outer > 10 * num);
    assert_true(w.validated > num);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_sent_per_request_stay_within_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
