/* SPDX-License-Identifier: MIT */
/* whole: an endpoint, bare, with a transfer or with transfer and site on it, whose application, network, store and clock are
 * the input: a program of steps. The honest peer has the other end of the context, so that what it says, chosen by the input
 * too, is authenticated; everybody else says anything. What must hold:
 *
 *   - each exchange of ours ends in one event, and nothing comes after it; so does each observer, and each upload;
 *   - no key and nonce are used twice (the provider is wrapped and remembers), those of B.2 included;
 *   - time that is due is done with: no deadline stands in the past;
 *   - when it is over, every place of every pool has come back. */
#include "whole.h"

#include "nonces.h"
#include "renewing.h"

#include "endpoint/endpoint_struct.h"
#include "transfer/transfer_internal.h"

enum { MAX_MESSAGE = 300, MAX_SENT = 24, MAX_MADE = 24, NUM_OWN = 6, NUM_OPEN = 12, NUM_SEEN = 8, MAX_STEPS = 300 };
enum { NUM_REQUESTS = 3, NUM_ANSWERS = 6, NUM_PUSHES = 3, NUM_OBSERVERS = 3, NUM_BODIES = 3, BIG = 2000 };

typedef struct own {
    nacre_exchange exchange; /* 0: free */
    bool observes;
    uint8_t buf[BIG / 2];
} own;

typedef struct open_request {
    nacre_exchange exchange;
    bool later;
} open_request;

typedef struct world {
    nacre_endpoint *ep;
    nacre_transfer *transfer; /* or NULL */
    nacre_site *site;         /* or NULL */
    nacre_crypto crypto;      /* the wrapped one */
    nacre_context ctx, peer;  /* ours, and the other end */
    bool gone;                /* ours is wiped */
    nacre_table table;
    nacre_table_slot slots[4];
    uint64_t now, random;
    uint16_t mid;
    fuzz_input *in;
    nacre_bytes sent[MAX_SENT], made[MAX_MADE];
    uint8_t sent_to[MAX_SENT], made_by[MAX_MADE];
    size_t num_sent, num_made;
    own own[NUM_OWN];
    open_request open[NUM_OPEN];
    nacre_exchange observers[NUM_OBSERVERS];
    size_t num_uploads; /* under way */
    uint8_t policy;     /* of the site's handlers, and of sources and sinks */
    bool renews;
    renewing renewing; /* with the other side of B.2, if `renews` */
} world;

static world w;
static uint8_t big[BIG];

/* ---- Chance ------------------------------------------------------------------------------------------------------------ */

static void draw(void *self, uint8_t *out, size_t len)
{
    (void)self;
    for (size_t i = 0; i < len; i++) {
        w.random = w.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        out[i] = (uint8_t)(w.random >> 56);
    }
}

/* ---- Pieces of messages ------------------------------------------------------------------------------------------------ */

static nacre_address address(uint8_t which)
{
    which &= 3;
    return (nacre_address){
        .len = 2,
        .flags = which == 3 ? NACRE_ADDRESS_RELIABLE : 0,
        .bytes = { 'p', which } /* the last is a connection */
    };
}

static void add_paths(nacre_options *o, uint8_t which)
{
    static const char *const paths[] = { "a", "later", "up", "plain" };
    const char *path = paths[which & 3];
    nacre_options_add(o, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)path, strlen(path)));
}

/* Options as the next bytes of the input say: bits choose, further bytes are values. Sometimes all of it is the input's. */
static nacre_bytes options(bool of_request, int observe)
{
    nacre_options o;
    nacre_bytes out;
    fuzz_input *in = w.in;
    const uint8_t which = fuzz_u8(in), more = fuzz_u8(in);
    if (which == 0xff) {
        out = fuzz_take(in, fuzz_u8(in));
        if (fuzz_well_formed(out) && nacre_is_absent(nacre_option_find(out, NACRE_OPT_OSCORE))) return out;
    }
    nacre_options_init(&o, fuzz_room(200));
    if (which & 1) nacre_options_add(&o, NACRE_OPT_ETAG, fuzz_take(in, fuzz_u8(in) & 7));
    if (observe >= 0) nacre_options_add_uint(&o, NACRE_OPT_OBSERVE, (uint64_t)observe);
    if (of_request) add_paths(&o, which >> 6);
    if (!of_request && which & 64) nacre_options_add_uint(&o, NACRE_OPT_MAX_AGE, fuzz_u8(in));
    if (which & 2) nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, fuzz_uint(in, 1 + (which >> 7)));
    if (which & 4) nacre_options_add_uint(&o, NACRE_OPT_BLOCK1, fuzz_uint(in, 1 + (which >> 7)));
    if (which & 8) nacre_options_add_uint(&o, NACRE_OPT_SIZE2, fuzz_uint(in, 2));
    if (which & 16) nacre_options_add_uint(&o, NACRE_OPT_SIZE1, fuzz_uint(in, 2));
    if (more & 1) nacre_options_add(&o, NACRE_OPT_ECHO, NACRE_ARRAY(fuzz_echo));
    if (more & 2) nacre_options_add(&o, NACRE_OPT_ECHO, fuzz_take(in, fuzz_u8(in) & 31));
    if (more & 4) nacre_options_add_uint(&o, NACRE_OPT_NO_RESPONSE, fuzz_u8(in));
    if (which & 32) nacre_options_add(&o, NACRE_OPT_REQUEST_TAG, fuzz_take(in, fuzz_u8(in) & 7));
    if (more & 8) nacre_options_add(&o, 2049, NACRE_STR("?")); /* critical, and nobody knows it */
    return nacre_options_finish(&o, &out) == NACRE_OK ? out : NACRE_ABSENT;
}

static int observe_of(uint8_t kind)
{
    return kind & 1 ? kind >> 1 & 1 : -1;
}

static nacre_bytes payload(void)
{
    const size_t len = (size_t)fuzz_u8(w.in) * 8;
    return len == 0 ? NACRE_ABSENT : nacre_bytes_of(big, len < BIG ? len : BIG);
}

/* ---- Sources, sinks and the site --------------------------------------------------------------------------------------- */

static nacre_err read_source(void *user, uint64_t offset, nacre_buf room, size_t *len)
{
    (void)user;
    if (w.policy % 16 == 15 && offset > 0) return NACRE_ERR_FILE;
    *len = 0;
    if (offset >= BIG) return NACRE_OK; /* somebody asks for a block behind the last */
    *len = BIG - offset < room.cap ? (size_t)(BIG - offset) : room.cap;
    memcpy(room.ptr, big + offset, *len);
    return NACRE_OK;
}

static nacre_err write_sink(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    uint64_t *at = user;
    (void)total;
    CHECK(offset == 0 || at == NULL || offset == *at); /* in order and without gaps */
    if (at != NULL) *at = offset + piece.len;
    return w.policy % 16 == 14 && offset > 0 ? NACRE_ERR_FILE : NACRE_OK;
}

static void upload_is_over(void *user)
{
    free(user);
    CHECK(w.num_uploads-- > 0);
}

static void on_upload(nacre_upload *upload)
{
    if (w.policy & 16) upload->code = NACRE_FORBIDDEN;
    if (w.policy & 32) upload->max_body = 100;
    if (upload->code != 0 || !(w.policy & 64)) return;
    uint64_t *at = calloc(1, sizeof *at);
    CHECK(at != NULL);
    w.num_uploads++;
    static const nacre_upload_error full = { NACRE_TOO_LARGE, "full" };
    *upload =
        (nacre_upload){ .sink = { write_sink, at }, .done = upload_is_over, .error = w.policy & 128 ? &full : NULL };
}

static void on_transfer_upload(void *user, const nacre_event *event, nacre_upload *upload)
{
    (void)user;
    CHECK(event->kind == NACRE_EVENT_REQUEST);
    on_upload(upload);
}

static void on_site_upload(void *user, const nacre_request *request, nacre_upload *upload)
{
    (void)user;
    (void)request;
    on_upload(upload);
}

static void ignore(nacre_exchange exchange)
{
    if (w.transfer != NULL) nacre_transfer_ignore(w.transfer, exchange);
    else nacre_endpoint_ignore(w.ep, exchange);
}

/* A handler that answers later may have been told no (all pushes are in use), which it does not hear. */
static bool is_over(nacre_exchange exchange)
{
    if (nacre__exchange_kind(exchange) == NACRE__OF_SERVER_EXCHANGE)
        return nacre__server_exchange_of(&w.ep->exchanges, exchange) == NULL;
    return nacre__observer_of(&w.ep->observe, exchange) == NULL;
}

static void keep_open(nacre_exchange exchange, bool later)
{
    for (size_t i = 0; i < NUM_OPEN; i++) {
        if (!w.open[i].later || !is_over(w.open[i].exchange)) continue;
        ignore(w.open[i].exchange); /* whose end it did not hear of */
        w.open[i] = (open_request){ 0 };
    }
    for (size_t i = 0; i < NUM_OPEN; i++) {
        if (w.open[i].exchange != 0) continue;
        w.open[i] = (open_request){ exchange, later };
        return;
    }
    for (size_t i = 0; i < NUM_OPEN; i++) {
        if (w.open[i].later) continue;
        w.open[i] = (open_request){ exchange, later };
        return;
    }
    fuzz_failed("more is answered later than there are pushes", __FILE__, __LINE__);
}

static void handle(void *user, const nacre_request *request, nacre_response *response)
{
    const bool is_later = user != NULL;
    response->code = w.policy & 1 ? NACRE_NOT_FOUND : NACRE_CONTENT;
    if (is_later && w.policy & 2) {
        response->deferred = true;
        keep_open(request->exchange, true);
        return;
    }
    if (w.policy & 4) {
        nacre_options_add(&response->options, NACRE_OPT_ETAG, NACRE_STR("e"));
        response->source = (nacre_source){ read_source, NULL, w.policy & 8 ? BIG : NACRE_SIZE_UNKNOWN };
    } else {
        response->payload = nacre_bytes_of(big, w.policy & 8 ? BIG : 20);
    }
}

/* ---- Events ------------------------------------------------------------------------------------------------------------ */

static own *own_of(uint32_t exchange)
{
    for (size_t i = 0; i < NUM_OWN; i++)
        if (w.own[i].exchange == exchange) return &w.own[i];
    fuzz_failed("an event is of an exchange that is open", __FILE__, __LINE__);
}

static void forget_observer(nacre_exchange observer)
{
    for (size_t i = 0; i < NUM_OBSERVERS; i++) {
        if (w.observers[i] != observer) continue;
        w.observers[i] = 0;
        return;
    }
    fuzz_failed("an observer ends once", __FILE__, __LINE__);
}

static void on_event(const nacre_event *e)
{
    own *mine;
    switch (e->kind) {
    case NACRE_EVENT_PERSIST: CHECK(!w.gone && e->context == &w.ctx); return;
    case NACRE_EVENT_REDERIVED:
        CHECK(w.renews && e->user == &w.renewing.ours && e->context == nacre_rederivation_context(&w.renewing.ours));
        return;
    case NACRE_EVENT_REQUEST:
    case NACRE_EVENT_NOTIFY:
    case NACRE_EVENT_OBSERVER_GONE:
        if (w.site != NULL) {
            const nacre_err err = nacre_site_respond(w.site, e);
            CHECK(err != NACRE_ERR_BAD_ARGUMENT && err != NACRE_ERR_BUFFER_TOO_SMALL);
        } else if (e->kind == NACRE_EVENT_OBSERVER_GONE) {
            forget_observer(e->exchange);
        } else {
            CHECK(fuzz_well_formed(e->message.options));
            keep_open(e->exchange, false);
        }
        return;
    case NACRE_EVENT_OVERSIZED: CHECK(e->oversized > MAX_MESSAGE && e->context == NULL); break;
    default: break;
    }
    mine = own_of(w.transfer != NULL ? e->transfer_exchange.number : e->exchange);
    CHECK(e->user == mine);
    if (e->kind == NACRE_EVENT_OVERSIZED) return;
    if (e->kind == NACRE_EVENT_NOTIFICATION) {
        CHECK(mine->observes);
        return;
    }
    CHECK((e->kind == NACRE_EVENT_FAILED) == (e->err != NACRE_OK));
    mine->exchange = 0;
}

static bool next_event(nacre_event *e)
{
    return w.transfer != NULL ? nacre_transfer_next_event(w.transfer, e) : nacre_endpoint_next_event(w.ep, e);
}

static void pull(void)
{
    for (nacre_event e; next_event(&e);) on_event(&e);
}

static void transmit(size_t most)
{
    while (most-- > 0) {
        nacre_outgoing out = { .buf = fuzz_room(MAX_MESSAGE) };
        nacre_message m;
        const size_t num = w.transfer != NULL ? nacre_transfer_transmit_many(w.transfer, &out, 1, w.now)
                                              : nacre_endpoint_transmit_many(w.ep, &out, 1, w.now);
        if (num == 0) break;
        CHECK(nacre_message_parse(&m, out.bytes) == NACRE_OK);
        const size_t at = w.num_sent < MAX_SENT ? w.num_sent++ : w.now % MAX_SENT;
        w.sent[at] = fuzz_copy(out.bytes);
        w.sent_to[at] = out.peer.bytes[1];
    }
    pull();
}

static void receive(uint8_t from, nacre_bytes datagram)
{
    nacre_datagram in = { .peer = address(from), .bytes = fuzz_copy(datagram) };
    if (datagram.len > MAX_MESSAGE && w.random & 1) { /* as a driver with a small buffer gives it */
        in.bytes = fuzz_copy(nacre_bytes_of(datagram.ptr, MAX_MESSAGE));
        in.full_len = datagram.len;
    }
    pull();
    for (size_t i = 0; i < NUM_OPEN; i++)
        if (!w.open[i].later) w.open[i].exchange = 0;
    CHECK((w.transfer != NULL ? nacre_transfer_receive_many(w.transfer, &in, 1, w.now)
                              : nacre_endpoint_receive_many(w.ep, &in, 1, w.now)) == 1);
    pull();
}

/* ---- Steps of the other side ------------------------------------------------------------------------------------------- */

static void anything(void)
{
    const uint8_t from = fuzz_u8(w.in);
    receive(from, fuzz_take(w.in, fuzz_u8(w.in)));
}

static void made(uint8_t by, nacre_bytes datagram, bool arrives)
{
    const size_t at = w.num_made < MAX_MADE ? w.num_made++ : w.now % MAX_MADE;
    w.made[at] = datagram;
    w.made_by[at] = by;
    if (arrives) receive(by, datagram);
}

/* bits of `kind`: 1, 2 Observe; 4 NON; 8 in clear; 16 lost; the rest: the token */
static void peer_asks(void)
{
    static const uint8_t codes[] = { NACRE_GET, NACRE_GET, NACRE_FETCH, NACRE_PUT, NACRE_POST, NACRE_DELETE };
    const uint8_t from = fuzz_u8(w.in), kind = fuzz_u8(w.in);
    nacre_request_id id;
    nacre_bytes out;
    const uint8_t token[] = { 't', kind >> 5 };
    nacre_message m = { .type = kind & 4 || (from & 3) == 3 ? NACRE_NON : NACRE_CON,
                        .code = codes[fuzz_u8(w.in) % sizeof codes],
                        .mid = w.mid++,
                        .token = NACRE_ARRAY(token) };
    m.options = options(true, observe_of(kind));
    m.payload = payload();
    if (m.payload.len > 320) m.payload.len = 320; /* longer than MAX_MESSAGE, too */
    nacre_err err = kind & 8 ? nacre_message_write(&m, &out, fuzz_room(2000))
                             : nacre_protect_request(&w.peer, fuzz_crypto(), &id, &out, fuzz_room(2000), &m, NULL);
    if (err == NACRE_OK) made(from, out, !(kind & 16));
}

/* The same datagram again, or one with another message ID, or one with a bit changed. */
static void again(void)
{
    const uint8_t which = fuzz_u8(w.in), how = fuzz_u8(w.in);
    if (w.num_made == 0) return;
    const nacre_bytes datagram = fuzz_copy(w.made[which % w.num_made]);
    uint8_t *bytes = (uint8_t *)(uintptr_t)datagram.ptr;
    if (how & 4 && datagram.len >= 4) bytes[3] ^= 0x80;
    if (how & 8) bytes[fuzz_u8(w.in) % datagram.len] ^= (uint8_t)(1 << (how >> 4 & 7));
    receive(how & 1 ? how >> 1 : w.made_by[which % w.num_made], datagram);
}

/* ACK or RST for something that was sent. */
static void settle(void)
{
    const uint8_t which = fuzz_u8(w.in), how = fuzz_u8(w.in);
    nacre_message m;
    nacre_bytes out;
    if (w.num_sent == 0) return;
    CHECK(nacre_message_parse(&m, w.sent[which % w.num_sent]) == NACRE_OK);
    m = (nacre_message){ .type = how & 1 ? NACRE_RST : NACRE_ACK, .mid = m.mid };
    CHECK(nacre_message_write(&m, &out, fuzz_room(MAX_MESSAGE)) == NACRE_OK);
    receive(how & 2 ? how >> 2 : w.sent_to[which % w.num_sent], out);
}

/* The peer answers one of our requests, as often as the input likes; or, with bit 8, anybody does, in clear. */
static void peer_answers(void)
{
    static const uint8_t codes[] = { NACRE_CONTENT,    NACRE_CONTENT,   NACRE_CHANGED,    NACRE_CONTINUE,
                                     NACRE_INCOMPLETE, NACRE_TOO_LARGE, NACRE_CODE(4, 1), NACRE_NOT_FOUND };
    const uint8_t which = fuzz_u8(w.in), kind = fuzz_u8(w.in);
    nacre_message outer, plain, m;
    nacre_request_id id;
    nacre_bytes out;
    nacre_err err;
    if (w.num_sent == 0) return;
    const nacre_bytes sent = w.sent[which % w.num_sent];
    const uint8_t from = w.sent_to[which % w.num_sent];
    CHECK(nacre_message_parse(&outer, sent) == NACRE_OK);
    if (!nacre_code_is_request(outer.code)) return;
    const bool con = kind & 16, ack = kind & 4;
    m = (nacre_message){ .type = ack && outer.type == NACRE_CON ? NACRE_ACK
                                 : con && (from & 3) != 3       ? NACRE_CON
                                                                : NACRE_NON,
                         .code = codes[fuzz_u8(w.in) % sizeof codes],
                         .mid = ack ? outer.mid : w.mid++,
                         .token = outer.token };
    const int observe = kind & 1 ? fuzz_u8(w.in) : -1;
    m.options = options(false, observe);
    m.payload = payload();
    if (m.payload.len > 320) m.payload.len = 320;                           /* longer than MAX_MESSAGE, too */
    CHECK(nacre_context_set_replay(&w.peer, true, 0, NULL, 0) == NACRE_OK); /* it is asked as often as it answers */
    if (!(kind & 8) &&
        nacre_unprotect_request(&w.peer, fuzz_crypto(), &id, &plain, fuzz_room(sent.len), &outer) == NACRE_OK) {
        const nacre_protect_options how = { .nonce = kind & 32 ? NACRE_NONCE_NEW : NACRE_NONCE_AUTO };
        err = nacre_protect_response(&w.peer, fuzz_crypto(), &id, &out, fuzz_room(2000), &m, &how);
    } else {
        err = nacre_message_write(&m, &out, fuzz_room(2000));
    }
    if (err == NACRE_OK) made(from, out, !(kind & 64));
}

/* ---- Steps of the application ------------------------------------------------------------------------------------------ */

static void observe(nacre_exchange exchange)
{
    for (size_t i = 0; i < NUM_OBSERVERS; i++) {
        if (w.observers[i] != 0) continue;
        nacre_exchange observer = 0;
        if (nacre_endpoint_observe(w.ep, exchange, NULL, &observer) == NACRE_OK) w.observers[i] = observer;
        return;
    }
}

static void we_answer(void)
{
    static const uint8_t codes[] = { NACRE_CONTENT, NACRE_CONTENT, NACRE_CONTENT, NACRE_CHANGED, NACRE_NOT_FOUND, 0 };
    const uint8_t which = fuzz_u8(w.in), how = fuzz_u8(w.in);
    open_request *o = &w.open[which % NUM_OPEN];
    for (size_t i = 0; i < NUM_OPEN && o->exchange == 0; i++) o = &w.open[i];
    if (o->exchange == 0) return;
    if (how & 1 && w.site == NULL) observe(o->exchange);
    if (how & 2) {
        const nacre_err err = w.transfer != NULL ? nacre_transfer_defer_response(w.transfer, o->exchange)
                                                 : nacre_endpoint_defer_response(w.ep, o->exchange);
        if (err == NACRE_OK) o->later = true;
        return;
    }
    if (how & 4) {
        ignore(o->exchange);
        *o = (open_request){ 0 };
        return;
    }
    nacre_message m = { .code = codes[fuzz_u8(w.in) % sizeof codes] };
    m.options = options(false, how & 8 ? 3 : -1);
    m.payload = payload();
    nacre_err err;
    if (w.transfer == NULL) {
        err = nacre_endpoint_respond(w.ep, o->exchange, &m);
    } else {
        nacre_response_options answer = { .block_size = (uint16_t)(how & 16 ? 16 : 0) };
        if (how & 32) {
            answer.source = (nacre_source){ read_source, NULL, how & 64 ? BIG : NACRE_SIZE_UNKNOWN };
            m.payload = NACRE_ABSENT;
        }
        err = nacre_transfer_respond(w.transfer, o->exchange, &m, &answer);
    }
    if (err == NACRE_OK || err == NACRE_ERR_STALE) *o = (open_request){ 0 };
}

static void changed(void)
{
    static const char *const paths[] = { "/a", "/later", "/up", "/plain" };
    const uint8_t which = fuzz_u8(w.in);
    if (w.site != NULL) {
        nacre_site_changed(w.site, paths[which & 3]);
        return;
    }
    nacre_exchange *observer = &w.observers[which % NUM_OBSERVERS];
    if (*observer == 0) return;
    if (!(which & 128)) {
        nacre_endpoint_changed(w.ep, *observer);
        return;
    }
    pull(); /* its end may be on its way */
    if (*observer != 0) nacre_endpoint_drop_observer(w.ep, *observer);
    *observer = 0;
}

/* bits of `kind`: 1, 2 Observe; 4 NON; 8 in clear; 16 a source; 32 a sink; 64 room; 128 the largest body */
static void we_ask(void)
{
    static const uint8_t codes[] = { NACRE_GET, NACRE_GET, NACRE_FETCH, NACRE_PUT, NACRE_POST };
    const uint8_t to = fuzz_u8(w.in), kind = fuzz_u8(w.in);
    own *mine = NULL;
    for (size_t i = 0; i < NUM_OWN; i++)
        if (w.own[i].exchange == 0) mine = &w.own[i];
    if (mine == NULL) return;
    const bool renews = w.renews && to & 64;
    nacre_context *context = kind & 8 || w.gone || renews ? NULL : &w.ctx;
    const nacre_address peer = address(to);
    nacre_message m = { .type = kind & 4 ? NACRE_NON : NACRE_CON, .code = codes[fuzz_u8(w.in) % sizeof codes] };
    m.options = options(true, observe_of(kind));
    m.payload = kind & 128 ? nacre_bytes_of(big, BIG) : payload();
    nacre_transfer_options how = { .request = { .via_proxy = to & 4, .timeout_ms = to & 8 ? 5000 : 0 } };
    if (renews) how.request.rederivation = &w.renewing.ours;
    if (kind & 16) how.source = (nacre_source){ read_source, NULL, to & 16 ? BIG : NACRE_SIZE_UNKNOWN };
    if (kind & 32) how.sink = (nacre_sink){ write_sink, NULL };
    if (kind & 64) how.buf = NACRE_BUF(mine->buf);
    if (to & 32) how.block_size = 16;
    if (kind & 16) m.payload = NACRE_ABSENT;
    nacre_exchange exchange = 0;
    nacre_transfer_exchange whole = { 0 };
    const nacre_err err = w.transfer != NULL
                              ? nacre_transfer_request(w.transfer, &whole, &peer, context, &m, &how, mine)
                              : nacre_endpoint_request_with(w.ep, &exchange, &peer, context, &m, mine, &how.request);
    if (w.transfer != NULL) exchange = whole.number;
    CHECK((err == NACRE_OK) == (exchange != 0));
    if (err != NACRE_OK) return;
    uint64_t value = 1;
    const nacre_bytes option = nacre_option_find(m.options, NACRE_OPT_OBSERVE);
    mine->exchange = exchange;
    mine->observes = !nacre_is_absent(option) && nacre_option_uint(option, &value) && value == 0;
}

static void we_leave(void)
{
    const uint8_t which = fuzz_u8(w.in);
    own *mine = &w.own[which % NUM_OWN];
    if (mine->exchange == 0) return;
    if (which & 64) {
        const nacre_err err = w.transfer != NULL
                                  ? nacre_transfer_unobserve(w.transfer, (nacre_transfer_exchange){ mine->exchange })
                                  : nacre_endpoint_unobserve(w.ep, mine->exchange);
        CHECK(err != NACRE_OK || mine->observes);
        return;
    }
    pull(); /* it may have ended */
    if (mine->exchange == 0) return;
    if (w.transfer != NULL) nacre_transfer_cancel(w.transfer, (nacre_transfer_exchange){ mine->exchange });
    else nacre_endpoint_cancel(w.ep, mine->exchange);
    mine->exchange = 0;
}

static void ping_or_lose(void)
{
    const uint8_t which = fuzz_u8(w.in);
    const nacre_address peer = address(which);
    if (which & 64 || w.transfer != NULL) {
        nacre_endpoint_unreachable(w.ep, &peer);
        pull();
        return;
    }
    for (size_t i = 0; i < NUM_OWN; i++) {
        if (w.own[i].exchange != 0) continue;
        nacre_exchange exchange;
        if (nacre_endpoint_ping(w.ep, &exchange, &peer, &w.own[i]) == NACRE_OK) {
            w.own[i].exchange = exchange;
            w.own[i].observes = false;
        }
        return;
    }
}

/* ---- RFC 8613 B.2 ------------------------------------------------------------------------------------------------------ */

static void other_hears(void)
{
    const uint8_t which = fuzz_u8(w.in);
    if (w.num_sent == 0) return;
    const size_t at = which & 128 ? w.num_sent - 1 : which % w.num_sent;
    nacre_address us = address(w.sent_to[at]);
    us.bytes[0] = 'u';
    renewing_hears(&w.renewing, &us, w.sent[at], w.in, w.now);
}

/* Bit 1 of `how`: what it says is lost, and may come later. */
static void other_says(uint8_t how)
{
    nacre_address us;
    nacre_bytes datagram;
    for (int i = 0; i < 3 && renewing_says(&w.renewing, &us, &datagram, w.now); i++)
        made(us.bytes[1], datagram, !(how & 1));
}

static void renew_or_forget(uint8_t how)
{
    if (how & 1) {
        nacre_endpoint_rederive(w.ep, &w.renewing.ours);
    } else {
        if (w.transfer != NULL) nacre_transfer_remove_rederivation(w.transfer, &w.renewing.ours);
        else nacre_endpoint_remove_rederivation(w.ep, &w.renewing.ours);
        CHECK(nacre_endpoint_add_rederivation(w.ep, &w.renewing.ours) == NACRE_OK);
    }
    pull();
}

static void renewal_step(void)
{
    const uint8_t what = fuzz_u8(w.in);
    nacre_address us = address(what >> 4);
    us.bytes[0] = 'u';
    switch (what & 15) {
    case 0: renew_or_forget(what >> 4); break;
    case 1: renewing_loses(&w.renewing, what >> 4); break;
    case 2:
    case 3: renewing_asks(&w.renewing, &us, w.in); break;
    case 4:
    case 5:
    case 6:
    case 7: other_hears(); break;
    case 8:
    case 9: other_says(what >> 4); break;
    default: /* one round trip */
        transmit(SIZE_MAX);
        other_hears();
        other_says(what >> 4);
    }
}

/* ---- The store, and time ----------------------------------------------------------------------------------------------- */

static void serve_store(uint8_t how)
{
    if (w.gone) return;
    const nacre_needs needs = nacre_context_needs(&w.ctx);
    const bool fails = how & 1;
    if (!fails && needs.reserve != 0) nacre_context_confirm_reserved(&w.ctx, needs.reserve);
    if (!fails && needs.window_lost) nacre_context_confirm_window_lost(&w.ctx);
    nacre_endpoint_confirmed(w.ep, &w.ctx, fails ? NACRE_ERR_FILE : NACRE_OK);
    pull();
}

static void context_goes(void)
{
    if (w.gone || fuzz_u8(w.in) != 'g') return;
    nacre_table_remove(&w.table, &w.ctx);
    if (w.transfer != NULL) nacre_transfer_remove_context(w.transfer, &w.ctx);
    else nacre_endpoint_remove_context(w.ep, &w.ctx);
    nacre_context_wipe(&w.ctx);
    w.gone = true;
    pull();
}

static uint64_t deadline(void)
{
    return w.transfer != NULL ? nacre_transfer_deadline(w.transfer) : nacre_endpoint_deadline(w.ep);
}

static void expire(uint64_t now)
{
    w.now = now;
    if (w.transfer != NULL) nacre_transfer_expire(w.transfer, w.now);
    else nacre_endpoint_expire(w.ep, w.now);
    pull();
}

static void pass_time(void)
{
    const uint8_t how = fuzz_u8(w.in);
    const uint64_t due = deadline();
    if (how == 0 && due != UINT64_MAX && due > w.now) expire(due);
    else expire(w.now + (uint64_t)how * how * 8);
    for (int i = 0; i < 8 && deadline() <= w.now; i++) transmit(SIZE_MAX); /* events may lead to more to send */
    transmit(SIZE_MAX);
    CHECK(deadline() > w.now);
}

/* ---- Beginning and end ------------------------------------------------------------------------------------------------- */

static void make_context(nacre_context *ctx, const nacre_crypto *crypto, bool is_peer, bool persistent)
{
    static const uint8_t secret[16] = { 1, 2, 3 }, ids[2][1] = { { 'e' }, { 'p' } };
    const nacre_context_params params = { .master_secret.bytes = NACRE_ARRAY(secret),
                                          .sender_id = NACRE_ARRAY(ids[is_peer]),
                                          .recipient_id = NACRE_ARRAY(ids[!is_peer]),
                                          .persistent = persistent,
                                          .never_used = true,
                                          .first_chunk = persistent ? 2 : 0,
                                          .max_chunk = persistent ? 4 : 0,
                                          .echo = NACRE_ARRAY(fuzz_echo) };
    size_t size, align;
    CHECK(nacre_context_key_layout(crypto, 0, &size, &align) == NACRE_OK);
    CHECK(align <= _Alignof(max_align_t));
    CHECK(nacre_context_init(ctx, crypto, &params, (nacre_buf){ fuzz_alloc(size), size }) == NACRE_OK);
}

static void make_site(void)
{
    static const nacre_resource resources[] = {
        { .path = "/a", .handler = handle, .flags = NACRE_RESOURCE_OBSERVABLE },
        { .path = "/later", .handler = handle, .user = &w, .flags = NACRE_RESOURCE_OBSERVABLE },
        { .path = "/up", .handler = handle, .on_upload = on_site_upload, .flags = NACRE_RESOURCE_SUBTREE },
        { .path = "/plain",
          .handler = handle,
          .flags = NACRE_RESOURCE_PLAIN | NACRE_RESOURCE_OBSERVABLE,
          .on_upload = on_site_upload },
    };
    const nacre_site_config config = { .transfer = w.transfer };
    const size_t size = nacre_site_size(&config);
    CHECK(nacre_site_init(&w.site, fuzz_alloc(size), size, &config) == NACRE_OK);
    nacre_site_set_resources(w.site, resources, sizeof resources / sizeof resources[0]);
}

/* bits of `flags`: 1 a transfer; 2 a site on it; 4 a store; 8 the window is not known; 16 NSTART of 1, and two observers
 * for each; 32 no limit for
 * strangers; 64 observations are not registered again; 128 a peer for B.2, or with 8 carry OSCORE without looking into it */
static void begin(uint8_t flags)
{
    memset(&w, 0, sizeof w);
    for (size_t i = 0; i < BIG; i++) big[i] = (uint8_t)(i * 7);
    w.crypto = nonces_begin();
    make_context(&w.ctx, &w.crypto, false, flags & 4);
    make_context(&w.peer, fuzz_crypto(), true, false);
    if (flags & 8) CHECK(nacre_context_set_replay(&w.ctx, false, 0, NULL, 0) == NACRE_OK);
    CHECK(nacre_table_init(&w.table, w.slots, 4) == NACRE_OK);
    CHECK(nacre_table_add(&w.table, &w.ctx) == NACRE_OK);
    const nacre_endpoint_config config = { .max_message = MAX_MESSAGE,
                                           .num_client_exchanges = NUM_REQUESTS,
                                           .num_server_exchanges = NUM_ANSWERS,
                                           .burst = 2,
                                           .num_transmissions = NUM_PUSHES,
                                           .num_observers = NUM_OBSERVERS,
                                           .observers_per_peer = flags & 16 ? 2 : 0,
                                           .observer_bytes = 80,
                                           .num_peers = 2,
                                           .no_amplification_limit = flags & 32,
                                           .opaque_oscore = (flags & 128) && (flags & 8),
                                           .nstart = flags & 16 ? 1 : UINT16_MAX,
                                           .no_reregister = flags & 64,
                                           .contexts = &w.table,
                                           .crypto = w.crypto,
                                           .random = { draw, NULL } };
    size_t size = nacre_endpoint_size(&config);
    CHECK(size > 0);
    CHECK(nacre_endpoint_init(&w.ep, fuzz_alloc(size), size, &config) == NACRE_OK);
    w.renews = (flags & 128) && !(flags & 8);
    if (w.renews) renewing_begin(&w.renewing, w.ep, &w.crypto, config.random, MAX_MESSAGE);
    if (!(flags & 3)) return;
    const nacre_transfer_config transfer = {
        .endpoint = w.ep, .num_bodies = NUM_BODIES, .bodies_per_peer = 2, .max_body = 600
    };
    size = nacre_transfer_size(&transfer);
    CHECK(nacre_transfer_init(&w.transfer, fuzz_alloc(size), size, &transfer) == NACRE_OK);
    nacre_transfer_on_upload(w.transfer, on_transfer_upload, NULL);
    if (flags & 2) make_site();
}

static void places_have_come_back(void)
{
    const nacre_endpoint *ep = w.ep;
    for (uint32_t i = 0; i < ep->core.config.num_client_exchanges; i++) {
        CHECK(ep->exchanges.clients[i].state == NACRE__CLIENT_FREE);
        CHECK(ep->exchanges.tokens[i] == 0);
    }
    CHECK(ep->tx.num_held == 0 && ep->exchanges.num_unlimited == 0);
    for (uint32_t i = 0; i < ep->core.config.num_server_exchanges; i++)
        CHECK(ep->exchanges.servers[i].state == NACRE__SERVER_FREE ||
              ep->exchanges.servers[i].state == NACRE__SERVER_RESPONDED);
    CHECK(ep->dedup.lists[NACRE__DEDUP_OPEN].first == NACRE__NONE);
    for (uint32_t i = 0; i < ep->exchanges.max_pending; i++) CHECK(ep->exchanges.pending[i].server == NACRE__NONE);
    CHECK(ep->tx.num_free == ep->core.config.num_transmissions && ep->tx.num_timers == 0);
    CHECK(ep->persist_waits.num_requests == 0 && ep->persist_waits.num_waits == 0);
    CHECK(ep->empty.num == 0 && ep->protect_batch.num == 0);
    CHECK(ep->exchanges.events.num == 0 && ep->tx.queue.num == 0 &&
          ep->exchanges.first_note == ep->exchanges.num_notes);
    CHECK(ep->observe.num_observing == 0);
    for (uint32_t i = 0; i < ep->observe.num_counts; i++) CHECK(ep->observe.counts[i] == 0);
    const nacre_transfer *t = w.transfer;
    if (t == NULL) return;
    CHECK(t->num_waiting == 0 && t->num_deferred == 0 && t->num_bodies_used == 0);
    for (uint32_t i = 0; i < t->config.num_client_exchanges; i++)
        CHECK(t->clients[i].state == NACRE__TRANSFER_FREE || t->clients[i].state == NACRE__TRANSFER_ENDED);
}

/* Nobody says anything any more, the store works, all that waits for the application is turned down. */
static void end(void)
{
    nonces_break(0);
    w.policy = 0;
    for (int round = 0; round < 40; round++) {
        for (size_t i = 0; i < NUM_OPEN; i++) {
            if (w.open[i].exchange != 0) ignore(w.open[i].exchange);
            w.open[i] = (open_request){ 0 };
        }
        serve_store(0);
        transmit(SIZE_MAX);
        expire(w.now + 50000 + (uint64_t)round * 50000);
    }
    /* An observation goes on until its server has not answered; one that registers no more goes on for ever. */
    for (size_t i = 0; i < NUM_OWN; i++) {
        CHECK(w.own[i].exchange == 0 || (w.own[i].observes && w.ep->core.config.no_reregister));
        if (w.own[i].exchange == 0) continue;
        if (w.transfer != NULL) nacre_transfer_cancel(w.transfer, (nacre_transfer_exchange){ w.own[i].exchange });
        else nacre_endpoint_cancel(w.ep, w.own[i].exchange);
    }
    for (uint32_t i = 0; i < w.ep->observe.max; i++) { /* whoever observes and hears nothing stays */
        const nacre__observer *o = &w.ep->observe.observers[i];
        if (o->state != NACRE__OBSERVER_FREE) nacre_endpoint_drop_observer(w.ep, o->number);
    }
    transmit(SIZE_MAX);
    CHECK(deadline() == UINT64_MAX);
    places_have_come_back();
    CHECK(w.num_uploads == 0);
}

static void step(whole_role role)
{
    static const uint8_t sides[2][16] = {
        { 0, 1, 1, 1, 1, 2, 3, 5, 5, 5, 6, 10, 11, 12, 13, 14 },
        { 0, 7, 7, 7, 8, 2, 3, 4, 4, 4, 4, 10, 11, 9, 13, 14 },
    };
    const uint8_t which = fuzz_u8(w.in);
    if (w.renews && which & 16) {
        renewal_step();
        return;
    }
    switch (sides[role][which & 15]) {
    case 0: anything(); break;
    case 1: peer_asks(); break;
    case 2: again(); break;
    case 3: settle(); break;
    case 4: peer_answers(); break;
    case 5: we_answer(); break;
    case 6: changed(); break;
    case 7: we_ask(); break;
    case 8: we_leave(); break;
    case 9: ping_or_lose(); break;
    case 10: transmit(1U + (fuzz_u8(w.in) & 3)); break;
    case 11: pass_time(); break;
    case 12: w.policy = fuzz_u8(w.in); break;
    case 13: serve_store(fuzz_u8(w.in)); break;
    default: nonces_break(fuzz_u8(w.in) & 3); context_goes();
    }
}

void whole_run(const uint8_t *data, size_t size, whole_role role)
{
    fuzz_input in = { data, data + size };
    begin(fuzz_u8(&in));
    w.in = &in;
    for (int i = 0; i < MAX_STEPS && in.at < in.end; i++) step(role);
    in.at = in.end;
    end();
    nacre_transfer_wipe(w.transfer);
    nacre_endpoint_wipe(w.ep);
    if (w.renews) renewing_end(&w.renewing);
    if (!w.gone) nacre_context_wipe(&w.ctx);
    nacre_context_wipe(&w.peer);
    nonces_end();
    fuzz_release();
}
