/* SPDX-License-Identifier: MIT */
/* kinds: one message of every kind that nacre sends, in clear and protected, in datagrams and in frames, to be read by
 * other programs.
 *
 *     kinds
 *         prints a line for each message: its kind, "udp" or "tcp", ">" from the client or "<" from the server, and the
 *         bytes in hex; the context's secret is 16 bytes 0x11, the client's Sender ID 0c, the server's 05, the ID
 *         Context 1234.
 *
 * Two endpoints with a transfer on each talk in memory; the clock moves only to reach a time-out. */
#include <nacre/nacre.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MESSAGE = 1280, MEMORY = 1 << 21, BIG = 2500, ROUNDS = 18 };

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "kinds: line %d: %s: does not hold\n", __LINE__, #condition);                              \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

typedef struct side {
    nacre_endpoint *ep;
    nacre_transfer *transfer;
    nacre_crypto crypto;
    nacre_context context;
    nacre_table table;
    nacre_table_slot slots[4];
    _Alignas(64) uint8_t keys[8192];
    nacre_stream stream;
    uint8_t in[4096], out[65536], bufs[2][MAX_MESSAGE];
    nacre_datagram held; /* the datagram of the last burst */
    uint8_t held_bytes[MAX_MESSAGE];
} side;

static side client, server;
static const char *kind;
static bool over_tcp, server_is_late, server_observes;
static uint64_t now = 1000, dice = 7;
static nacre_transfer_exchange last_exchange;
static nacre_exchange respond_separately, pinged;
static nacre_observer observer;
static unsigned ended, notified;
static uint8_t big[BIG], back[BIG];

static void draw(void *self, uint8_t *out, size_t len)
{
    (void)self;
    for (size_t i = 0; i < len; i++) {
        dice = dice * UINT64_C(6364136223846793005) + 1;
        out[i] = (uint8_t)(dice >> 56);
    }
}

static nacre_address address_of(const side *s)
{
    return (nacre_address){ .len = 1,
                            .flags = over_tcp ? NACRE_ADDRESS_RELIABLE : 0,
                            .bytes = { s == &client ? 'c' : 's' } };
}

static void show(const side *from, nacre_bytes bytes)
{
    if (bytes.len == 0) return;
    printf("%s %s %s ", kind, over_tcp ? "tcp" : "udp", from == &client ? ">" : "<");
    for (size_t i = 0; i < bytes.len; i++) printf("%02x", bytes.ptr[i]);
    printf("\n");
}

/* ---- Set-up and end ---------------------------------------------------------------------------------------------- */

static void open_side(side *s)
{
    static const uint8_t secret[16] = { 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                        0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11 };
    static const uint8_t ids[2][1] = { { 0x0c }, { 0x05 } }, id_context[] = { 0x12, 0x34 }, echo[8] = "echoecho";
    const bool is_server = s == &server;
    const nacre_context_params params = { .master_secret = { NACRE_ARRAY(secret), 0 },
                                          .sender_id = NACRE_ARRAY(ids[is_server]),
                                          .recipient_id = NACRE_ARRAY(ids[!is_server]),
                                          .id_context = NACRE_ARRAY(id_context),
                                          .echo = is_server ? NACRE_ARRAY(echo) : NACRE_ABSENT };
    MUST(nacre_openssl_open(&s->crypto) == NACRE_OK);
    MUST(nacre_context_init(&s->context, &s->crypto, &params, NACRE_BUF(s->keys)) == NACRE_OK);
    MUST(nacre_table_init(&s->table, s->slots, 4) == NACRE_OK);
    MUST(nacre_table_add(&s->table, &s->context) == NACRE_OK);
    if (is_server)
        MUST(nacre_context_set_replay(&s->context, false, 0, NULL, 0) == NACRE_OK); /* it requests an Echo value */
    const nacre_endpoint_config config = { .max_message = MAX_MESSAGE,
                                           .observe.num_observers = 4,
                                           .contexts = &s->table,
                                           .crypto = s->crypto,
                                           .random = { draw, NULL } };
    size_t size = nacre_endpoint_size(&config);
    void *memory = malloc(size);
    MUST(memory != NULL && nacre_endpoint_init(&s->ep, memory, size, &config) == NACRE_OK);
    const nacre_transfer_config transfer = { .endpoint = s->ep, .bodies.max_body = BIG };
    size = nacre_transfer_size(&transfer);
    memory = malloc(size);
    MUST(memory != NULL && nacre_transfer_init(&s->transfer, memory, size, &transfer) == NACRE_OK);
}

static void close_side(side *s)
{
    nacre_transfer_wipe(s->transfer);
    free(s->transfer);
    nacre_endpoint_wipe(s->ep);
    free(s->ep);
    nacre_context_wipe(&s->context);
    nacre_openssl_close(&s->crypto);
}

/* ---- Both sides -------------------------------------------------------------------------------------------------- */

static void respond(nacre_exchange exchange, const nacre_message *request)
{
    uint8_t buf[64];
    nacre_options o;
    nacre_message message = { .code = NACRE_CHANGED, .payload = NACRE_STR("done") };
    const nacre_bytes path = nacre_option_find(request->options, NACRE_OPT_URI_PATH);
    nacre_options_init(&o, NACRE_BUF(buf));
    if (request->code == NACRE_GET || request->code == NACRE_FETCH) {
        message.code = NACRE_CONTENT;
        nacre_options_add(&o, NACRE_OPT_ETAG, NACRE_STR("etag"));
        nacre_options_add_uint(&o, NACRE_OPT_CONTENT_FORMAT, 42);
        nacre_options_add_uint(&o, NACRE_OPT_MAX_AGE, 30);
        if (nacre_bytes_equal(path, NACRE_STR("big"))) message.payload = NACRE_ARRAY(big);
    } else if (request->code == NACRE_POST) {
        message.code = NACRE_CREATED;
        nacre_options_add(&o, NACRE_OPT_LOCATION_PATH, NACRE_STR("made"));
        nacre_options_add(&o, NACRE_OPT_LOCATION_QUERY, NACRE_STR("a=b"));
    } else if (request->code == NACRE_DELETE) {
        message = (nacre_message){ .code = NACRE_NOT_FOUND, .payload = NACRE_STR("there is no such thing") };
    }
    MUST(nacre_options_finish(&o, &message.options) == NACRE_OK);
    MUST(nacre_transfer_respond(server.transfer, exchange, &message, NULL) == NACRE_OK);
}

static void on_event(side *s, const nacre_event *event)
{
    if (event->kind == NACRE_EVENT_REQUEST && server_is_late) {
        MUST(nacre_transfer_defer_response(s->transfer, event->exchange) == NACRE_OK);
        respond_separately = event->exchange;
    } else if (event->kind == NACRE_EVENT_REQUEST) {
        if (server_observes && nacre_endpoint_observe(s->ep, &observer, event->exchange, NULL) != NACRE_OK)
            observer = NACRE_OBSERVER_NONE; /* a request with Observe 1, or for another block */
        respond(event->exchange, &event->message);
    } else if (event->kind == NACRE_EVENT_NOTIFY) {
        respond(event->exchange, &event->message);
    } else if (event->kind == NACRE_EVENT_NOTIFICATION) {
        notified++;
    } else if (event->kind != NACRE_EVENT_OBSERVER_REMOVED) {
        ended++;
    }
}

static void take(side *s)
{
    for (nacre_event event; nacre_transfer_next_event(s->transfer, &event);) on_event(s, &event);
}

static void give(side *from, side *to, nacre_bytes bytes)
{
    take(to);
    memcpy(to->held_bytes, bytes.ptr, bytes.len);
    to->held = (nacre_datagram){ .peer = address_of(from), .bytes = nacre_bytes_of(to->held_bytes, bytes.len) };
    MUST(nacre_transfer_receive_many(to->transfer, &to->held, 1, now) == 1);
    take(to);
}

/* Moves the frames that `from` has to write to `to`, and passes their messages on as datagrams. */
static void cross(side *from, side *to)
{
    const nacre_bytes bytes = nacre_stream_output(&from->stream);
    nacre_stream_event event;
    if (bytes.len == 0) return;
    show(from, bytes);
    const nacre_buf buf = nacre_stream_input(&to->stream);
    MUST(buf.cap >= bytes.len);
    memcpy(buf.ptr, bytes.ptr, bytes.len);
    nacre_stream_sent(&from->stream, bytes.len, now);
    nacre_stream_received(&to->stream, bytes.len, now);
    while (nacre_stream_next(&to->stream, &event, NACRE_BUF(to->bufs[0]), now)) {
        if (event.kind == NACRE_STREAM_MESSAGE) give(from, to, event.bytes);
        nacre_stream_processed(&to->stream);
    }
}

static bool transmit(side *from, side *to)
{
    nacre_outgoing out = { .buf = NACRE_BUF(from->bufs[1]) };
    if (nacre_transfer_transmit_many(from->transfer, &out, 1, now) == 0) return false;
    if (over_tcp) {
        MUST(nacre_stream_send(&from->stream, out.bytes, now) == NACRE_OK);
        cross(from, to);
        cross(to, from);
    } else {
        show(from, out.bytes);
        give(from, to, out.bytes);
    }
    take(from);
    return true;
}

static void settle(void)
{
    for (bool busy = true; busy;) {
        take(&client);
        take(&server);
        busy = transmit(&client, &server);
        busy = transmit(&server, &client) || busy;
    }
}

static void pass(uint64_t ms)
{
    now += ms;
    nacre_transfer_expire(client.transfer, now);
    nacre_transfer_expire(server.transfer, now);
    settle();
}

/* ---- The kinds --------------------------------------------------------------------------------------------------- */

typedef struct request_kind {
    const char *name;
    uint8_t type, code;
    const char *path;
    int observe, no_response; /* -1, 0: absent */
    bool proxy_uri, proxy_scheme, every_option, is_big;
} request_kind;

static void request_of(const request_kind *a, bool is_protected)
{
    uint8_t buf[512];
    nacre_options o;
    nacre_message m = { .type = a->type, .code = a->code };
    const nacre_address peer = address_of(&server);
    kind = a->name;
    nacre_options_init(&o, NACRE_BUF(buf));
    if (a->every_option) {
        nacre_options_add(&o, NACRE_OPT_IF_MATCH, NACRE_STR("etag"));
        nacre_options_add(&o, NACRE_OPT_URI_HOST, NACRE_STR("pearl.example"));
        nacre_options_add(&o, NACRE_OPT_IF_NONE_MATCH, nacre_bytes_of(buf, 0));
    }
    if (a->proxy_scheme) nacre_options_add(&o, NACRE_OPT_URI_HOST, NACRE_STR("pearl.example"));
    if (a->observe >= 0) nacre_options_add_uint(&o, NACRE_OPT_OBSERVE, (uint64_t)a->observe);
    if (a->every_option || a->proxy_scheme) nacre_options_add_uint(&o, NACRE_OPT_URI_PORT, 61616);
    if (a->path != NULL)
        nacre_options_add(&o, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)a->path, strlen(a->path)));
    if (a->every_option) {
        nacre_options_add_uint(&o, NACRE_OPT_CONTENT_FORMAT, 0);
        nacre_options_add(&o, NACRE_OPT_URI_QUERY, NACRE_STR("layers=3"));
        nacre_options_add_uint(&o, NACRE_OPT_HOP_LIMIT, 16);
        nacre_options_add_uint(&o, NACRE_OPT_ACCEPT, 42);
        nacre_options_add_uint(&o, NACRE_OPT_SIZE2, 0);
    }
    if (a->proxy_uri) nacre_options_add(&o, NACRE_OPT_PROXY_URI, NACRE_STR("coap://pearl.example:61616/a?b=c"));
    if (a->proxy_scheme) nacre_options_add(&o, NACRE_OPT_PROXY_SCHEME, NACRE_STR("coap"));
    if (a->no_response != 0) nacre_options_add_uint(&o, NACRE_OPT_NO_RESPONSE, (uint64_t)a->no_response);
    MUST(nacre_options_finish(&o, &m.options) == NACRE_OK);
    if (a->code != NACRE_GET && a->code != NACRE_DELETE) m.payload = a->is_big ? NACRE_ARRAY(big) : NACRE_STR("pearl");
    const nacre_transfer_options how = { .buf = NACRE_BUF(back) };
    MUST(nacre_transfer_request(client.transfer, &last_exchange, &peer, is_protected ? &client.context : NULL, &m, &how,
                                NULL) == NACRE_OK);
    settle();
}

static const request_kind request_kinds[] = {
    { "GET", NACRE_CON, NACRE_GET, "small", -1, 0, false, false, false, false },
    { "GET-NON", NACRE_NON, NACRE_GET, "small", -1, 0, false, false, false, false },
    { "POST", NACRE_CON, NACRE_POST, "small", -1, 0, false, false, false, false },
    { "PUT", NACRE_CON, NACRE_PUT, "small", -1, 0, false, false, false, false },
    { "DELETE", NACRE_CON, NACRE_DELETE, "small", -1, 0, false, false, false, false },
    { "FETCH", NACRE_CON, NACRE_FETCH, "small", -1, 0, false, false, false, false },
    { "PATCH", NACRE_CON, NACRE_PATCH, "small", -1, 0, false, false, false, false },
    { "iPATCH", NACRE_NON, NACRE_IPATCH, "small", -1, 0, false, false, false, false },
    { "every-option", NACRE_CON, NACRE_PUT, "small", -1, 0, false, false, true, false },
    { "Proxy-Uri", NACRE_CON, NACRE_GET, NULL, -1, 0, true, false, false, false },
    { "Proxy-Scheme", NACRE_CON, NACRE_GET, "small", -1, 0, false, true, false, false },
    { "Block1", NACRE_CON, NACRE_PUT, "up", -1, 0, false, false, false, true },
    { "Block2", NACRE_CON, NACRE_GET, "big", -1, 0, false, false, false, false },
    { "Block1-Block2", NACRE_CON, NACRE_FETCH, "big", -1, 0, false, false, false, true },
};

static void cancel(void)
{
    nacre_transfer_cancel(client.transfer, last_exchange);
    settle();
}

static void observation(bool is_protected, bool in_blocks)
{
    const request_kind a = { "Observe", NACRE_CON, NACRE_GET, in_blocks ? "big" : "small", 0, 0, false,
                             false,     false,     false };
    const unsigned before = notified;
    server_observes = true;
    request_of(&a, is_protected);
    for (int i = 0; i < ROUNDS; i++) { /* mostly NON, sometimes CON */
        nacre_endpoint_changed(server.ep, observer);
        settle();
    }
    MUST(notified == before + 1 + ROUNDS);
    kind = "Observe-1";
    MUST(nacre_transfer_unobserve(client.transfer, last_exchange) == NACRE_OK);
    settle();
    if (!over_tcp) { /* a client that no longer observes sends RST */
        kind = "RST";
        request_of(&a, is_protected);
        cancel();
        kind = "RST";
        nacre_endpoint_changed(server.ep, observer);
        settle();
    }
    server_observes = false;
}

static void separate_response(bool is_protected)
{
    const request_kind a = { "separate", NACRE_CON, NACRE_FETCH, "small", -1, 0, false, false, false, false };
    const nacre_message said = { .code = NACRE_CONTENT, .payload = NACRE_STR("at last") };
    server_is_late = true;
    request_of(&a, is_protected);
    pass(500);
    server_is_late = false;
    MUST(nacre_transfer_respond(server.transfer, respond_separately, &said, NULL) == NACRE_OK);
    settle();
}

static void no_response(bool is_protected)
{
    const request_kind a = { "No-Response", NACRE_CON, NACRE_PUT, "small", -1, 26, false, false, false, false };
    const request_kind b = { "No-Response", NACRE_CON, NACRE_PUT, "small", -1, 2, false, false, false, false };
    request_of(&a, is_protected);
    request_of(&b, is_protected); /* this one gets no response */
    cancel();
}

static void by_hand(const char *name, const nacre_message *m)
{
    uint8_t buf[MAX_MESSAGE];
    nacre_bytes out;
    kind = name;
    MUST(nacre_message_write(m, &out, NACRE_BUF(buf)) == NACRE_OK);
    show(&client, out);
    give(&client, &server, out);
    settle();
}

/* What a server sends to unknown peers, and in response to pings. */
static void refusals(void)
{
    static const uint8_t token[300], empty_kid[] = { 0x92, 0x09, 0x07 }, wrong[] = { 0x93, 0x09, 0x07, 0xee },
                                     bad[] = { 0x91, 0xe0 }, critical[] = { 0xd0, 0xec }; /* number 249 */
    const nacre_address peer = address_of(&server);
    nacre_message m = { .type = NACRE_CON, .code = NACRE_POST, .mid = 1, .token = NACRE_STR("tok") };
    m.payload = NACRE_STR("no ciphertext at all");
    m.options = NACRE_ARRAY(empty_kid);
    by_hand("4.01", &m);
    m.options = NACRE_ARRAY(bad);
    m.mid++;
    by_hand("4.02", &m);
    m.options = NACRE_ARRAY(wrong);
    m.mid++;
    by_hand("4.01", &m);
    m.options = NACRE_ARRAY(critical);
    m.mid++;
    by_hand("critical", &m);
    m.options = NACRE_ABSENT;
    m.token = nacre_bytes_of(token, 20);
    m.mid++;
    by_hand("extended-token", &m);
    m.token = NACRE_ARRAY(token);
    m.mid++;
    by_hand("extended-token", &m);
    kind = "ping";
    MUST(nacre_endpoint_ping(client.ep, &pinged, &peer, NULL) == NACRE_OK);
    settle();
}

/* A response too long for an unvalidated address is a 4.01 with Echo; so is the first response under an unknown
 * window. */
static void echoes(void)
{
    const request_kind a = { "Echo", NACRE_CON, NACRE_FETCH, "big", -1, 0, false, false, false, false };
    request_of(&a, false);
    request_of(&a, true);
}

static void all(bool is_protected)
{
    for (size_t i = 0; i < sizeof request_kinds / sizeof request_kinds[0]; i++) {
        const unsigned before = ended;
        request_of(&request_kinds[i], is_protected);
        MUST(ended == before + 1);
    }
    observation(is_protected, false);
    observation(is_protected, true);
    separate_response(is_protected);
    no_response(is_protected);
}

static void connect(void)
{
    const nacre_stream_config config = { .block_wise = true };
    over_tcp = true;
    kind = "CSM";
    MUST(nacre_stream_init(&client.stream, NACRE_BUF(client.in), NACRE_BUF(client.out), &config, now) == NACRE_OK);
    MUST(nacre_stream_init(&server.stream, NACRE_BUF(server.in), NACRE_BUF(server.out), &config, now) == NACRE_OK);
    cross(&client, &server);
    cross(&server, &client);
}

static void hang_up(bool abruptly)
{
    if (abruptly) {
        kind = "Abort";
        nacre_stream_abort(&server.stream, "enough", now);
        cross(&server, &client);
        return;
    }
    kind = "Ping";
    MUST(nacre_stream_ping(&client.stream, NACRE_STR("ping"), true, now) == NACRE_OK);
    cross(&client, &server);
    cross(&server, &client);
    kind = "Release";
    MUST(nacre_stream_release(&client.stream, NACRE_STR("pearl.example:5683"), 20, now) == NACRE_OK);
    cross(&client, &server);
    cross(&server, &client);
}

int main(void)
{
    for (size_t i = 0; i < sizeof big; i++) big[i] = (uint8_t)('a' + i % 26);
    open_side(&client);
    open_side(&server);
    echoes();
    all(false);
    all(true);
    refusals();
    connect();
    all(false);
    all(true);
    hang_up(false);
    connect();
    hang_up(true);
    close_side(&client);
    close_side(&server);
    return 0;
}
