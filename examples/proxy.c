/* SPDX-License-Identifier: MIT */
/* proxy [--block-size N] ADDRESS: a CoAP forward proxy (RFC 7252 5.7). It forwards OSCORE messages end to end, unread,
 * and caches nothing.
 *
 * Requests carry Proxy-Uri, or Proxy-Scheme, Uri-Host and Uri-Port. One endpoint serves both sides, each with its own
 * message IDs and tokens. Blocks are forwarded one by one, in the sizes that the two ends choose; with --block-size (16
 * to 1024) the proxy joins each body and sends it in blocks of that size, as a proxy between links of different message
 * sizes does. For an OSCORE message these are outer blocks (RFC 8613 4.1.3.4.2). Observe is removed: a client that
 * observes through this proxy gets the present state only. Name lookups block the proxy. */
#include <nacre/nacre.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_HOPS = 64,
    MAX_TEXT = 1100,
    MAX_OPTIONS = 1400,
    MAX_BODY = 16384,
    HOP_LIMIT_REACHED = NACRE_CODE(5, 8),
    DEFAULT_HOPS = 16
};

/* A request being forwarded, with the client that waits for its response. */
typedef struct hop {
    bool used;
    nacre_exchange server_exchange;
    uint8_t request[MAX_BODY], response[MAX_BODY]; /* with --block-size */
} hop;

static hop hops[MAX_HOPS];
static uint16_t block_size; /* 0: blocks are forwarded one by one */
static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

/* ---- Options ----------------------------------------------------------------------------------------------------- */

/* RFC 7252 5.4.2: bit 1 marks an option that a proxy may forward only if it understands it. */
static bool is_unsafe(uint16_t number)
{
    return number & 2;
}

static bool is_understood(uint16_t number)
{
    static const uint16_t numbers[] = { NACRE_OPT_URI_HOST,     NACRE_OPT_OBSERVE,    NACRE_OPT_URI_PORT,
                                        NACRE_OPT_URI_PATH,     NACRE_OPT_MAX_AGE,    NACRE_OPT_URI_QUERY,
                                        NACRE_OPT_BLOCK1,       NACRE_OPT_BLOCK2,     NACRE_OPT_PROXY_URI,
                                        NACRE_OPT_PROXY_SCHEME, NACRE_OPT_NO_RESPONSE };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i] == number) return true;
    return false;
}

static bool has_unknown_unsafe(nacre_bytes options)
{
    nacre_option option;
    for (nacre_option_iter it = nacre_option_begin(options); nacre_option_next(&it, &option);)
        if (is_unsafe(option.number) && !is_understood(option.number)) return true;
    return false;
}

static bool has(nacre_bytes options, uint16_t number)
{
    return !nacre_is_absent(nacre_option_find(options, number));
}

/* ---- The target -------------------------------------------------------------------------------------------------- */

/* RFC 7252 6.5: the URI of the options, without path and query. */
static bool write_origin(char text[MAX_TEXT], nacre_bytes options)
{
    uint64_t port = 5683;
    nacre_bytes scheme = nacre_option_find(options, NACRE_OPT_PROXY_SCHEME);
    nacre_bytes host = nacre_option_find(options, NACRE_OPT_URI_HOST);
    nacre_bytes port_option = nacre_option_find(options, NACRE_OPT_URI_PORT);
    if (host.len == 0 || (!nacre_is_absent(port_option) && !nacre_option_uint(port_option, &port))) return false;
    bool is_bare_v6 = host.ptr[0] != '[' && memchr(host.ptr, ':', host.len) != NULL; /* some clients leave out [] */
    int len =
        snprintf(text, MAX_TEXT, "%.*s://%s%.*s%s:%u", (int)scheme.len, (const char *)scheme.ptr, is_bare_v6 ? "[" : "",
                 (int)host.len, (const char *)host.ptr, is_bare_v6 ? "]" : "", (unsigned)port);
    return port <= 65535 && len > 0 && len < MAX_TEXT;
}

/* 0, or the code of the error response. `text` is the buffer of the URI. */
static uint8_t find_target(nacre_uri *uri, char text[MAX_TEXT], nacre_bytes options)
{
    nacre_bytes proxy_uri = nacre_option_find(options, NACRE_OPT_PROXY_URI);
    bool has_uri_options = has(options, NACRE_OPT_URI_HOST) || has(options, NACRE_OPT_URI_PORT) ||
                           has(options, NACRE_OPT_URI_PATH) || has(options, NACRE_OPT_URI_QUERY);
    if (nacre_is_absent(proxy_uri) && !has(options, NACRE_OPT_PROXY_SCHEME)) return NACRE_NOT_FOUND;
    if (!nacre_is_absent(proxy_uri)) {
        if (has_uri_options || proxy_uri.len >= MAX_TEXT) return NACRE_BAD_OPTION; /* RFC 7252 5.10.2 */
        memcpy(text, proxy_uri.ptr, proxy_uri.len);
        text[proxy_uri.len] = '\0';
    } else if (!write_origin(text, options)) {
        return NACRE_BAD_REQUEST;
    }
    nacre_err err = nacre_uri_parse(uri, nacre_bytes_of((const uint8_t *)text, strlen(text)));
    if (err == NACRE_ERR_UNSUPPORTED) return NACRE_PROXYING_NOT_SUPPORTED;
    return err == NACRE_OK ? 0 : NACRE_BAD_REQUEST;
}

static uint8_t find_address(nacre_address *address, const nacre_uri *uri)
{
    char host[300];
    bool is_v6 = uri->host_is_ip && memchr(uri->host.ptr, ':', uri->host.len) != NULL;
    if (uri->host.len > 255) return NACRE_BAD_REQUEST;
    snprintf(host, sizeof host, is_v6 ? "[%.*s]:%u" : "%.*s:%u", (int)uri->host.len, (const char *)uri->host.ptr,
             (unsigned)uri->port);
    return nacre_address_resolve(address, host, uri->port, NULL) == NACRE_OK ? 0 : NACRE_BAD_GATEWAY;
}

/* ---- Forwarding -------------------------------------------------------------------------------------------------- */

/* RFC 8768 3: decrements the hop limit, which ends loops. */
static uint8_t add_hop_limit(nacre_options *o, nacre_bytes options)
{
    uint64_t hops_left = DEFAULT_HOPS + 1;
    nacre_bytes option = nacre_option_find(options, NACRE_OPT_HOP_LIMIT);
    if (!nacre_is_absent(option) && (option.len != 1 || !nacre_option_uint(option, &hops_left) || hops_left == 0))
        return NACRE_BAD_REQUEST;
    if (hops_left == 1) return HOP_LIMIT_REACHED;
    nacre_options_add_uint(o, NACRE_OPT_HOP_LIMIT, hops_left - 1);
    return 0;
}

/* RFC 9175 3.4, RFC 7959 2.2: these options belong to one hop when the proxy makes the blocks. */
static bool is_of_blocks(uint16_t n)
{
    return n == NACRE_OPT_BLOCK1 || n == NACRE_OPT_BLOCK2 || n == NACRE_OPT_SIZE1 || n == NACRE_OPT_SIZE2 ||
           n == NACRE_OPT_REQUEST_TAG;
}

/* All options except those for the proxy; Uri-Host stays if it is a name (RFC 7252 6.4). */
static void copy_options(nacre_options *o, nacre_bytes options, bool keep_host)
{
    nacre_option option;
    for (nacre_option_iter it = nacre_option_begin(options); nacre_option_next(&it, &option);) {
        uint16_t n = option.number;
        if (n == NACRE_OPT_PROXY_URI || n == NACRE_OPT_PROXY_SCHEME || n == NACRE_OPT_URI_PORT ||
            n == NACRE_OPT_HOP_LIMIT || n == NACRE_OPT_OBSERVE || (n == NACRE_OPT_URI_HOST && !keep_host) ||
            (block_size != 0 && is_of_blocks(n)))
            continue;
        nacre_options_add(o, n, option.value);
    }
}

static hop *free_hop(void)
{
    for (int i = 0; i < MAX_HOPS; i++)
        if (!hops[i].used) return &hops[i];
    return NULL;
}

/* The same four calls for single messages, and for bodies that are joined and cut. */
typedef struct carrier {
    nacre_endpoint *ep;
    nacre_transfer *transfer; /* NULL: single messages */
} carrier;

static nacre_err defer(const carrier *c, nacre_exchange exchange)
{
    return c->transfer == NULL ? nacre_endpoint_defer_response(c->ep, exchange)
                               : nacre_transfer_defer_response(c->transfer, exchange);
}

static void ignore(const carrier *c, nacre_exchange exchange)
{
    if (c->transfer == NULL) nacre_endpoint_ignore(c->ep, exchange);
    else nacre_transfer_ignore(c->transfer, exchange);
}

static nacre_err respond(const carrier *c, nacre_exchange exchange, const nacre_message *message)
{
    const nacre_response_options how = { .block_size = block_size };
    return c->transfer == NULL ? nacre_endpoint_respond(c->ep, exchange, message)
                               : nacre_transfer_respond(c->transfer, exchange, message, &how);
}

/* The transfer keeps both bodies until the response arrives. */
static nacre_err request(const carrier *c, const nacre_address *address, nacre_message *message, hop *h)
{
    nacre_exchange exchange;
    nacre_transfer_exchange transfer_exchange;
    const nacre_transfer_options how = { .buf = { h->response, sizeof h->response }, .block_size = block_size };
    if (c->transfer == NULL) return nacre_endpoint_request(c->ep, &exchange, address, NULL, message, h);
    if (message->payload.len > sizeof h->request) return NACRE_ERR_TOO_LONG;
    if (message->payload.len > 0) {
        memcpy(h->request, message->payload.ptr, message->payload.len);
        message->payload.ptr = h->request;
    }
    return nacre_transfer_request(c->transfer, &transfer_exchange, address, NULL, message, &how, h);
}

/* 0: it was forwarded. */
static uint8_t pass_on(const carrier *c, const nacre_event *event)
{
    char text[MAX_TEXT];
    uint8_t buf[MAX_OPTIONS];
    nacre_uri uri;
    nacre_options o;
    nacre_address address;
    nacre_bytes options = event->message.options;
    if (has_unknown_unsafe(options)) return NACRE_BAD_OPTION; /* RFC 7252 5.7.1 */
    uint8_t code = find_target(&uri, text, options);
    if (code == 0) code = find_address(&address, &uri);
    if (code != 0) return code;

    nacre_options_init(&o, NACRE_BUF(buf));
    code = add_hop_limit(&o, options);
    if (code != 0) return code;
    copy_options(&o, options, !uri.host_is_ip);
    if (has(options, NACRE_OPT_PROXY_URI)) {
        uri.port = 5683; /* the default port: no Uri-Port option is added */
        if (nacre_uri_options(&o, &uri) != NACRE_OK) return NACRE_BAD_REQUEST;
    }
    nacre_message onward = { .type = NACRE_CON, .code = event->message.code, .payload = event->message.payload };
    if (nacre_options_finish(&o, &onward.options) != NACRE_OK) return NACRE_TOO_LARGE;

    hop *h = free_hop();
    if (h == NULL || defer(c, event->exchange) != NACRE_OK) return NACRE_UNAVAILABLE;
    nacre_err err = request(c, &address, &onward, h);
    if (err != NACRE_OK) return err == NACRE_ERR_TOO_LONG ? NACRE_TOO_LARGE : NACRE_UNAVAILABLE;
    h->used = true;
    h->server_exchange = event->exchange;
    return 0;
}

/* ---- Responses --------------------------------------------------------------------------------------------------- */

static void respond_code(const carrier *c, nacre_exchange exchange, uint8_t code)
{
    const nacre_message plain = { .code = code };
    if (respond(c, exchange, &plain) != NACRE_OK) ignore(c, exchange);
}

static void pass_back(const carrier *c, const hop *h, const nacre_message *message)
{
    uint8_t buf[MAX_OPTIONS];
    nacre_options o;
    nacre_message back = { .code = message->code, .payload = message->payload };
    nacre_options_init(&o, NACRE_BUF(buf));
    copy_options(&o, message->options, true);
    if (has_unknown_unsafe(message->options) || nacre_options_finish(&o, &back.options) != NACRE_OK ||
        respond(c, h->server_exchange, &back) != NACRE_OK)
        respond_code(c, h->server_exchange, NACRE_BAD_GATEWAY);
}

/* A server's error, other than no response at all. */
static bool is_bad(nacre_err err)
{
    return err == NACRE_ERR_RESET || err == NACRE_ERR_BLOCKS || err == NACRE_ERR_BODY_CHANGED ||
           err == NACRE_ERR_TOO_LONG;
}

static void handle(const carrier *c, const nacre_event *event)
{
    hop *h = event->user;
    if (event->kind == NACRE_EVENT_REQUEST) {
        uint8_t code = pass_on(c, event);
        if (code != 0) respond_code(c, event->exchange, code);
        return;
    }
    if (event->kind != NACRE_EVENT_RESPONSE && event->kind != NACRE_EVENT_FAILED) return;
    if (event->kind == NACRE_EVENT_RESPONSE || event->err == NACRE_ERR_CRITICAL_OPTION)
        pass_back(c, h, &event->message); /* critical options are for the client to understand */
    else respond_code(c, h->server_exchange, is_bad(event->err) ? NACRE_BAD_GATEWAY : NACRE_GATEWAY_TIMEOUT);
    h->used = false;
}

static void on_event(void *user, nacre_endpoint *ep, const nacre_event *event)
{
    const carrier c = { .ep = ep };
    (void)user;
    handle(&c, event);
}

static void on_transfer_event(void *user, nacre_transfer *transfer, const nacre_event *event)
{
    const carrier c = { .ep = nacre_transfer_endpoint(transfer), .transfer = transfer };
    (void)user;
    handle(&c, event);
}

/* ---- Running ----------------------------------------------------------------------------------------------------- */

static nacre_err open_loop(nacre_loop **loop, nacre_udp *udp, const nacre_endpoint_config *config, nacre_detail *why)
{
    const nacre_transfer_config bodies = { .block_size = block_size,
                                           .bodies.num_bodies = MAX_HOPS,
                                           .bodies.bodies_per_peer = MAX_HOPS,
                                           .bodies.max_body = MAX_BODY };
    if (block_size == 0) return nacre_loop_open(loop, udp, config, on_event, NULL, why);
    return nacre_loop_open_transfer(loop, udp, config, &bodies, on_transfer_event, NULL, why);
}

static int run(nacre_udp *udp, const nacre_endpoint_config *config, nacre_detail *why)
{
    char text[72];
    nacre_loop *loop;
    if (open_loop(&loop, udp, config, why) != NACRE_OK) return 1;
    nacre_address local = nacre_udp_local(udp);
    nacre_address_text(&local, text);
    printf("listening coap://%s\n", text);
    fflush(stdout);
    nacre_err err = NACRE_OK;
    while (err == NACRE_OK && !stopped) err = nacre_loop_step(loop, 200, why);
    nacre_loop_close(loop);
    return err != NACRE_OK;
}

/* A power of two from 16 to 1024. */
static bool read_block_size(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);
    block_size = value >= 16 && value <= 1024 && (value & (value - 1)) == 0 && *end == '\0' ? (uint16_t)value : 0;
    return block_size != 0;
}

int main(int argc, char **argv)
{
    nacre_detail why = { { 0 } };
    nacre_address local;
    nacre_udp *udp;
    /* `num_transmissions`: the number of pending separate responses; all responses are separate. */
    nacre_endpoint_config config = { .num_client_exchanges = MAX_HOPS,
                                     .num_transmissions = MAX_HOPS,
                                     .opaque_oscore = true };
    bool well_said = argc == 2 || (argc == 4 && strcmp(argv[1], "--block-size") == 0 && read_block_size(argv[2]));
    if (!well_said) return fprintf(stderr, "usage: proxy [--block-size 16|32|64|128|256|512|1024] ADDRESS\n"), 2;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (nacre_openssl_open(&config.crypto) != NACRE_OK) return fprintf(stderr, "proxy: OpenSSL refuses\n"), 1;
    int result = 1;
    if (nacre_address_resolve(&local, argv[argc - 1], 5683, &why) == NACRE_OK &&
        nacre_udp_open(&udp, &local, &why) == NACRE_OK) {
        result = run(udp, &config, &why);
        nacre_udp_close(udp);
    }
    nacre_openssl_close(&config.crypto);
    if (result != 0) fprintf(stderr, "proxy: %s\n", why.text);
    return result;
}
