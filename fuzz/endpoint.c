/* SPDX-License-Identifier: MIT */
/* endpoint: an endpoint with a context receives any datagrams in any order, on a clock that the input moves. Its honest
 * peer is hand-made, with the other end of the context; all other peers send input bytes. What must hold:
 *
 *   - a request is delivered as protected only if the peer made it, and once;
 *   - a response is delivered as protected only if the peer made it for that exchange, and once; an unprotected one
 *     never completes a protected request;
 *   - secret payloads leave in protected messages only; no number is used for two datagrams;
 *   - a notification is delivered only for an open observation, and as protected only if the peer made it for that
 *     observation;
 *   - after expire, no deadline is in the past. */
#include "fuzz.h"

enum { MAX_MESSAGE = 256, MAX_MADE = 64, MAX_SENT = 64, MAX_HEARD = 16, NUM_REQUESTS = 4, MARK_LEN = 4 };

typedef struct client_request {
    nacre_exchange exchange; /* none: free */
    bool protected, observes, is_ping;
    bool responded; /* the peer has made a response */
    uint32_t response_mark;
} client_request;

/* A request of the endpoint that the peer received and may still respond to. */
typedef struct heard {
    nacre_request_id id;
    nacre_bytes token;
    uint32_t mark;
} heard;

typedef struct world {
    fuzz_pair pair; /* server: the endpoint's; client: the peer's */
    nacre_endpoint *ep;
    nacre_table table;
    nacre_table_slot slots[4];
    uint64_t now, random;
    uint32_t next_mark, next_request_mark;
    bool requests_made[MAX_MADE], requests_seen[MAX_MADE]; /* by mark */
    nacre_bytes made[MAX_MADE];                            /* protected datagrams of the peer */
    size_t num_made;
    nacre_bytes sent[MAX_SENT]; /* the endpoint's */
    size_t num_sent;
    client_request requests[NUM_REQUESTS];
    heard heard[MAX_HEARD];
    size_t num_heard;
    bool reliable; /* one of the addresses is a connection */
    nacre_event pending;
    bool has_pending;
} world;

static const nacre_bytes secret = { (const uint8_t *)"only for the peer's eyes", 24 };

static void draw(void *self, uint8_t *out, size_t len)
{
    world *w = self;
    for (size_t i = 0; i < len; i++) {
        w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        out[i] = (uint8_t)(w->random >> 56);
    }
}

static nacre_address address(const world *w, uint8_t which)
{
    const bool reliable = w->reliable && (which & 3) == 3;
    return (nacre_address){ .len = 2, .flags = reliable ? NACRE_ADDRESS_RELIABLE : 0, .bytes = { 'p', which & 3 } };
}

/* A secret payload that identifies its message. */
static nacre_bytes marked(uint32_t mark)
{
    uint8_t payload[MARK_LEN + 32];
    for (int i = 0; i < MARK_LEN; i++) payload[i] = (uint8_t)(mark >> 8 * i);
    memcpy(payload + MARK_LEN, secret.ptr, secret.len);
    return fuzz_copy(nacre_bytes_of(payload, MARK_LEN + secret.len));
}

static uint32_t mark_of(nacre_bytes payload)
{
    uint32_t mark = 0;
    CHECK(payload.len == MARK_LEN + secret.len && memcmp(payload.ptr + MARK_LEN, secret.ptr, secret.len) == 0);
    for (int i = 0; i < MARK_LEN; i++) mark |= (uint32_t)payload.ptr[i] << 8 * i;
    return mark;
}

/* ---- What comes out ---- */

static client_request *request_of(world *w, nacre_exchange exchange)
{
    for (size_t i = 0; i < NUM_REQUESTS; i++)
        if (nacre_exchange_equal(w->requests[i].exchange, exchange)) return &w->requests[i];
    fuzz_failed("an event is of an exchange that is open", __FILE__, __LINE__);
}

static void on_request(world *w, const nacre_event *e)
{
    if (e->context == NULL) return;
    CHECK(e->context == &w->pair.server);
    uint32_t mark = mark_of(e->message.payload);
    CHECK(mark < MAX_MADE && w->requests_made[mark]); /* only the peer made it */
    CHECK(!w->requests_seen[mark]);                   /* never twice */
    w->requests_seen[mark] = true;
}

static void on_end(world *w, const nacre_event *e)
{
    client_request *request = request_of(w, e->exchange);
    if (e->kind == NACRE_EVENT_NOTIFICATION) {
        CHECK(request->observes && (e->context != NULL) == request->protected);
        if (request->protected) CHECK(request->responded && mark_of(e->message.payload) == request->response_mark);
        return;
    }
    CHECK((e->kind == NACRE_EVENT_PONG) == (request->is_ping && e->err == NACRE_OK));
    if (e->kind == NACRE_EVENT_PONG) {
        CHECK(e->context == NULL);
    } else if (e->kind == NACRE_EVENT_RESPONSE) {
        CHECK((e->context != NULL) == request->protected);
        if (request->protected) CHECK(request->responded && mark_of(e->message.payload) == request->response_mark);
    } else {
        CHECK(e->err != NACRE_OK && e->context == NULL);
    }
    *request = (client_request){ 0 };
}

static void pull(world *w)
{
    nacre_event e;
    while (nacre_endpoint_next_event(w->ep, &e)) {
        CHECK(e.kind != NACRE_EVENT_PERSIST); /* the contexts are volatile */
        if (e.kind == NACRE_EVENT_REQUEST) {
            on_request(w, &e);
            w->pending = e;
            w->has_pending = true;
        } else {
            on_end(w, &e);
        }
    }
}

static bool is_part(const nacre_message *m)
{
    return !nacre_is_absent(nacre_option_find(m->options, NACRE_OPT_BLOCK2));
}

static void check_sent(world *w, nacre_bytes datagram)
{
    nacre_message m, other;
    nacre_oscore_option a, b;
    CHECK(nacre_message_parse(&m, datagram) == NACRE_OK && datagram.len <= MAX_MESSAGE);
    CHECK(!fuzz_contains(datagram, secret));
    if (nacre_verify_start(&a, &m) != NACRE_OK || nacre_is_absent(a.partial_iv) || is_part(&m)) return;
    for (size_t i = 0; i < w->num_sent; i++) {
        CHECK(nacre_message_parse(&other, w->sent[i]) == NACRE_OK);
        if (nacre_verify_start(&b, &other) != NACRE_OK || nacre_is_absent(b.partial_iv) || is_part(&other)) continue;
        if (fuzz_same(a.partial_iv, b.partial_iv)) CHECK(fuzz_same(datagram, w->sent[i]));
    }
}

static void transmit(world *w)
{
    for (;;) {
        nacre_outgoing out = { .buf = fuzz_buf(MAX_MESSAGE) };
        if (nacre_endpoint_transmit_many(w->ep, &out, 1, w->now) == 0) break;
        check_sent(w, out.bytes);
        if (w->num_sent < MAX_SENT) w->sent[w->num_sent++] = fuzz_copy(out.bytes);
    }
    pull(w);
}

/* ---- What the input can do ---- */

static void receive(world *w, uint8_t from, nacre_bytes datagram)
{
    const nacre_datagram in = { .peer = address(w, from), .bytes = fuzz_copy(datagram) };
    pull(w);
    w->has_pending = false;
    CHECK(nacre_endpoint_receive_many(w->ep, &in, 1, w->now) == 1);
    pull(w);
}

static void keep(world *w, nacre_bytes datagram)
{
    if (w->num_made < MAX_MADE) w->made[w->num_made++] = datagram;
}

/* The peer sends a request. */
static void peer_request(world *w, fuzz_input *in, bool lost)
{
    uint8_t from = fuzz_u8(in), kind = fuzz_u8(in);
    if (w->next_mark == MAX_MADE) return;
    uint32_t mark = w->next_mark++;
    nacre_bytes token = fuzz_take(in, kind >> 4 & 7), out;
    nacre_message m = { .type = kind & 1, .code = NACRE_PUT, .mid = fuzz_u8(in), .token = token };
    nacre_request_id id;
    m.payload = marked(mark);
    uint8_t echo[NACRE_ECHO_LEN + 3]; /* the peer may have received the Echo value */
    nacre_options options;
    nacre_options_init(&options, NACRE_BUF(echo));
    if (kind & 2) nacre_options_add(&options, NACRE_OPT_ECHO, NACRE_ARRAY(fuzz_echo));
    CHECK(nacre_options_finish(&options, &m.options) == NACRE_OK);
    CHECK(nacre_protect_request(&w->pair.client, fuzz_crypto(), &id, &out, fuzz_buf(MAX_MESSAGE), &m, NULL) ==
          NACRE_OK);
    w->requests_made[mark] = true;
    keep(w, out);
    if (!lost) receive(w, from, out);
}

/* The peer responds to a request of the endpoint, once. */
static void peer_response(world *w, fuzz_input *in)
{
    uint8_t which = fuzz_u8(in), from = fuzz_u8(in), kind = fuzz_u8(in);
    if (w->num_sent == 0) return;
    nacre_message outer, plain, response;
    nacre_request_id id;
    nacre_bytes sent = w->sent[which % w->num_sent], out;
    CHECK(nacre_message_parse(&outer, sent) == NACRE_OK);
    if (!nacre_code_is_request(outer.code) ||
        nacre_unprotect_request(&w->pair.client, fuzz_crypto(), &id, &plain, fuzz_buf(sent.len), &outer) != NACRE_OK)
        return;
    uint32_t mark = mark_of(plain.payload); /* the endpoint's requests carry the mark of their response */
    for (size_t i = 0; i < NUM_REQUESTS; i++)
        if (!nacre_exchange_is_none(w->requests[i].exchange) && w->requests[i].response_mark == mark)
            w->requests[i].responded = true;
    response = (nacre_message){ .type = kind & 1   ? NACRE_ACK
                                        : kind & 2 ? NACRE_CON
                                                   : NACRE_NON,
                                .code = NACRE_CONTENT,
                                .mid = kind & 1 ? outer.mid : kind,
                                .token = outer.token,
                                .payload = marked(mark) };
    static const uint8_t observe[] = { 0x60 };
    if (kind & 8) response.options = NACRE_ARRAY(observe);
    const nacre_protect_options how = { .nonce = kind & 4 ? NACRE_NONCE_NEW : NACRE_NONCE_AUTO };
    CHECK(nacre_protect_response(&w->pair.client, fuzz_crypto(), &id, &out, fuzz_buf(MAX_MESSAGE), &response, &how) ==
          NACRE_OK);
    if (w->num_heard < MAX_HEARD)
        w->heard[w->num_heard++] = (heard){ nacre_request_id_dup(&id), fuzz_copy(outer.token), mark };
    keep(w, out);
    receive(w, from, out);
}

/* The peer sends a notification for a request of the endpoint, observing or not, in time or late. */
static void peer_notify(world *w, fuzz_input *in)
{
    static const uint8_t observe[] = { 0x60 }, aged[] = { 0x60, 0x81, 1 }; /* Max-Age 1 */
    uint8_t which = fuzz_u8(in), from = fuzz_u8(in), kind = fuzz_u8(in);
    if (w->num_heard == 0) return;
    heard *h = &w->heard[which % w->num_heard];
    nacre_bytes out;
    nacre_message m = { .type = kind & 1, .code = NACRE_CONTENT, .mid = kind, .token = h->token };
    m.payload = marked(h->mark);
    if (kind & 2) m.options = kind & 4 ? NACRE_ARRAY(aged) : NACRE_ARRAY(observe);
    if (kind & 8) m.code = NACRE_SERVER_ERROR;
    const nacre_protect_options how = { .nonce = NACRE_NONCE_NEW };
    CHECK(nacre_protect_response(&w->pair.client, fuzz_crypto(), &h->id, &out, fuzz_buf(MAX_MESSAGE), &m, &how) ==
          NACRE_OK);
    keep(w, out);
    if (kind & 16) receive(w, from, out);
}

/* An unprotected response to a request of the endpoint, with the request's token. */
static void spoof_response(world *w, fuzz_input *in)
{
    uint8_t which = fuzz_u8(in), from = fuzz_u8(in), type = fuzz_u8(in) & 3, code = fuzz_u8(in);
    if (w->num_sent == 0) return;
    nacre_message m;
    nacre_bytes out;
    CHECK(nacre_message_parse(&m, w->sent[which % w->num_sent]) == NACRE_OK);
    m = (nacre_message){ .type = type, .code = code, .mid = m.mid, .token = m.token };
    if (code != NACRE_EMPTY) m.payload = fuzz_take(in, 3);
    else m.token.len = 0;
    CHECK(nacre_message_write(&m, &out, fuzz_buf(MAX_MESSAGE)) == NACRE_OK);
    receive(w, from, out);
}

static void again(world *w, fuzz_input *in, bool spoil)
{
    uint8_t which = fuzz_u8(in), from = fuzz_u8(in);
    if (w->num_made == 0) return;
    nacre_bytes datagram = fuzz_copy(w->made[which % w->num_made]);
    if (spoil) ((uint8_t *)(uintptr_t)datagram.ptr)[fuzz_u8(in) % datagram.len] ^= fuzz_u8(in);
    receive(w, from, datagram);
}

/* Sends one outer block of a message of the peer (RFC 8613 4.1.3.4.2); a response's block has the token of a request of
 * the endpoint. Whatever blocks are joined, a delivered message is one that the peer made. */
static void outer_block(world *w, fuzz_input *in)
{
    uint8_t which = fuzz_u8(in), from = fuzz_u8(in), num = fuzz_u8(in), kind = fuzz_u8(in), extra = fuzz_u8(in);
    uint8_t memory[MAX_MESSAGE];
    nacre_message m, sent;
    nacre_options o;
    nacre_option option;
    nacre_bytes out;
    if (w->num_made == 0) return;
    CHECK(nacre_message_parse(&m, w->made[which % w->num_made]) == NACRE_OK);
    const uint8_t szx = kind & 1;
    const size_t size = (size_t)16 << szx, offset = (num & 15) * size;
    const bool is_request = nacre_code_is_request(m.code), continues = kind & 2;
    nacre_options_init(&o, NACRE_BUF(memory));
    for (nacre_option_iter it = nacre_option_begin(m.options); nacre_option_next(&it, &option);)
        nacre_options_add(&o, option.number, option.value);
    const bool more = m.payload.len > offset + size || (kind & 4);
    const uint32_t value = (uint32_t)(num & 15) << 4 | (more ? 8U : 0U) | szx;
    if (is_request && !continues) nacre_options_add_uint(&o, NACRE_OPT_BLOCK1, value);
    if (!is_request || continues || (kind & 8))
        nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, is_request ? extra & 0x71 : value);
    if (kind & 16) nacre_options_add(&o, NACRE_OPT_REQUEST_TAG, nacre_bytes_of(&kind, 1));
    CHECK(nacre_options_finish(&o, &m.options) == NACRE_OK);
    if (is_request && continues) {
        if (kind & 32) m.payload = NACRE_ABSENT;
    } else if (offset < m.payload.len) {
        m.payload.ptr += offset;
        m.payload.len = m.payload.len - offset < size ? m.payload.len - offset : size;
    }
    m.mid = fuzz_u8(in);
    if (!is_request && w->num_sent > 0) {
        CHECK(nacre_message_parse(&sent, w->sent[extra % w->num_sent]) == NACRE_OK);
        m.token = sent.token;
        m.type = kind & 32 ? NACRE_ACK : NACRE_NON;
        if (kind & 32) m.mid = sent.mid;
    }
    if (nacre_message_write(&m, &out, fuzz_buf(MAX_MESSAGE)) == NACRE_OK) receive(w, from, out);
}

static client_request *free_request(world *w)
{
    client_request *request = NULL;
    for (size_t i = 0; i < NUM_REQUESTS; i++)
        if (nacre_exchange_is_none(w->requests[i].exchange)) request = &w->requests[i];
    return request;
}

static void ping(world *w, fuzz_input *in)
{
    const nacre_address peer = address(w, fuzz_u8(in));
    client_request *request = free_request(w);
    nacre_exchange exchange;
    if (request == NULL) return;
    nacre_err err = nacre_endpoint_ping(w->ep, &exchange, &peer, NULL);
    CHECK(err == NACRE_OK || err == NACRE_ERR_BUSY || err == NACRE_ERR_UNSUPPORTED);
    if (err == NACRE_OK) *request = (client_request){ .exchange = exchange, .is_ping = true };
}

static void unobserve(world *w, fuzz_input *in)
{
    client_request *request = &w->requests[fuzz_u8(in) % NUM_REQUESTS];
    if (nacre_exchange_is_none(request->exchange)) return;
    nacre_err err = nacre_endpoint_unobserve(w->ep, request->exchange);
    CHECK(request->observes ? err == NACRE_OK || err == NACRE_ERR_STALE
                            : err == NACRE_ERR_BAD_ARGUMENT || err == NACRE_ERR_STALE);
}

static void start_request(world *w, fuzz_input *in)
{
    static const uint8_t observe[] = { 0x60 };
    uint8_t to = fuzz_u8(in), kind = fuzz_u8(in);
    client_request *request = free_request(w);
    if (request == NULL) return;
    uint32_t mark = w->next_request_mark++;
    bool is_protected = kind & 2;
    nacre_message m = { .type = kind & 1, .code = NACRE_GET, .payload = is_protected ? marked(mark) : NACRE_ABSENT };
    nacre_exchange exchange;
    const nacre_address peer = address(w, to);
    const nacre_request_options options = { .via_proxy = kind & 8, .timeout_ms = kind & 16 ? 500 : 0 };
    if (kind & 4) m.options = NACRE_ARRAY(observe);
    nacre_err err =
        nacre_endpoint_request_with(w->ep, &exchange, &peer, is_protected ? &w->pair.server : NULL, &m, &options, NULL);
    CHECK(err == NACRE_OK || err == NACRE_ERR_BUSY);
    if (err == NACRE_OK)
        *request = (client_request){
            .exchange = exchange, .protected = is_protected, .observes = kind & 4, .response_mark = mark
        };
}

static void cancel(world *w, fuzz_input *in)
{
    client_request *request = &w->requests[fuzz_u8(in) % NUM_REQUESTS];
    if (nacre_exchange_is_none(request->exchange)) return;
    pull(w);
    if (!nacre_exchange_is_none(request->exchange)) nacre_endpoint_cancel(w->ep, request->exchange);
    *request = (client_request){ 0 };
}

static void respond(world *w, fuzz_input *in)
{
    uint8_t kind = fuzz_u8(in);
    if (!w->has_pending) return;
    w->has_pending = false;
    if (kind == 0) {
        nacre_endpoint_ignore(w->ep, w->pending.exchange);
        return;
    }
    nacre_message m = { .code = NACRE_CONTENT, .payload = w->pending.context != NULL ? secret : NACRE_STR("hello") };
    nacre_err err = nacre_endpoint_respond(w->ep, w->pending.exchange, &m);
    CHECK(err == NACRE_OK || err == NACRE_ERR_STALE || err == NACRE_ERR_TOO_LONG);
}

static void pass_time(world *w, fuzz_input *in)
{
    uint8_t how = fuzz_u8(in);
    uint64_t deadline = nacre_endpoint_deadline(w->ep);
    if (how == 0 && deadline != UINT64_MAX && deadline > w->now) w->now = deadline;
    else w->now += (uint64_t)how * how * 8;
    nacre_endpoint_expire(w->ep, w->now);
    pull(w);
    transmit(w);
    CHECK(nacre_endpoint_deadline(w->ep) > w->now);
}

static void lose_connection(world *w)
{
    const nacre_address peer = address(w, 3);
    nacre_endpoint_unreachable(w->ep, &peer);
    pull(w);
}

static void step(world *w, fuzz_input *in)
{
    const uint8_t what = fuzz_u8(in);
    if (what >= 240) {
        outer_block(w, in);
        return;
    }
    switch (what % 16) {
    case 0: receive(w, fuzz_u8(in), fuzz_take(in, fuzz_u8(in))); break;
    case 1: peer_request(w, in, false); break;
    case 2: peer_request(w, in, true); break;
    case 3: peer_response(w, in); break;
    case 4: spoof_response(w, in); break;
    case 5: again(w, in, false); break;
    case 6: again(w, in, true); break;
    case 7: start_request(w, in); break;
    case 8: cancel(w, in); break;
    case 9: respond(w, in); break;
    case 10: pass_time(w, in); break;
    case 11: peer_notify(w, in); break;
    case 12: unobserve(w, in); break;
    case 13: ping(w, in); break;
    case 14: lose_connection(w); break;
    default: transmit(w); break;
    }
}

static void open(world *w, uint8_t flags)
{
    memset(w, 0, sizeof *w);
    w->pair = fuzz_contexts(1);
    w->reliable = flags & 4;
    if (flags & 1) CHECK(nacre_context_set_replay(&w->pair.server, false, 0, NULL, 0) == NACRE_OK);
    CHECK(nacre_table_init(&w->table, w->slots, 4) == NACRE_OK);
    CHECK(nacre_table_add(&w->table, &w->pair.server) == NACRE_OK);
    const nacre_endpoint_config config = { .max_message = MAX_MESSAGE,
                                           .num_client_exchanges = 2,
                                           .num_server_exchanges = 3,
                                           .burst = 4,
                                           .congestion.nstart = flags & 2 ? UINT16_MAX : 1,
                                           .outer_block.num_messages = 2,
                                           .outer_block.max_unfragmented = 128,
                                           .contexts = &w->table,
                                           .crypto = *fuzz_crypto(),
                                           .random = { draw, w } };
    size_t size = nacre_endpoint_size(&config);
    CHECK(size > 0);
    CHECK(nacre_endpoint_init(&w->ep, fuzz_alloc(size), size, &config) == NACRE_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static world w;
    fuzz_input in = { data, data + size };
    open(&w, fuzz_u8(&in));
    for (int i = 0; i < 200 && in.at < in.end; i++) step(&w, &in);
    transmit(&w);
    nacre_endpoint_wipe(w.ep);
    fuzz_release();
    return 0;
}
