/* SPDX-License-Identifier: MIT */
/* plain: CoAP without OSCORE, to test nacre's messages, blocks and observations against peers without OSCORE. `nacre
 * serve` refuses them: it serves only peers with a context.
 *
 *     plain serve ADDRESS
 *         serves over UDP and TCP, and prints "listening coap://ADDRESS" and "listening coap+tcp://ADDRESS" when it is
 *         ready: /hello is a text; POST to /made is answered with a Location-Path; /body is any bytes, PUT replaces
 *         them and notifies observers; /closed requires OSCORE, so it always refuses. Until interrupted.
 *     plain observe URI NUM
 *         observes, prints NUM representations, one per line, and cancels; exit 1 if they do not arrive in a minute. */
#include <nacre/nacre.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- serve ------------------------------------------------------------------------------------------------------- */

enum { MAX_BODY = 1 << 20, MAX_URI = 512, PATIENCE_MS = 60000, STEP_MS = 200 };

static nacre_server *server;
static struct {
    uint8_t bytes[MAX_BODY], coming[MAX_BODY];
    size_t len, coming_len;
} body;

static void on_signal(int number)
{
    (void)number;
    nacre_server_stop(server);
}

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    if (request->message->code == NACRE_GET) nacre_response_text(response, NACRE_CONTENT, "Hello World!");
    else nacre_response_text(response, NACRE_METHOD_NOT_ALLOWED, "only GET");
}

/* POST creates "a/b" below and returns its location. */
static void made(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    response->code = request->message->code == NACRE_POST ? NACRE_CREATED : NACRE_METHOD_NOT_ALLOWED;
    if (response->code != NACRE_CREATED) return;
    nacre_options_add(&response->options, NACRE_OPT_LOCATION_PATH, NACRE_STR("made"));
    nacre_options_add(&response->options, NACRE_OPT_LOCATION_PATH, NACRE_STR("a/b"));
}

static nacre_err take_piece(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    (void)user;
    (void)total;
    if (offset + piece.len > MAX_BODY) return NACRE_ERR_TOO_LONG;
    if (piece.len > 0) memcpy(body.coming + offset, piece.ptr, piece.len);
    body.coming_len = (size_t)offset + piece.len;
    return NACRE_OK;
}

static void take_body(void *user, const nacre_request *request, nacre_upload *upload)
{
    (void)request;
    upload->max_body = MAX_BODY;
    upload->sink = (nacre_sink){ take_piece, user };
}

static void handle_body(void *user, const nacre_request *request, nacre_response *response)
{
    const nacre_message *message = request->message;
    if (message->code == NACRE_GET) {
        response->code = NACRE_CONTENT;
        response->payload = nacre_bytes_of(body.bytes, body.len);
        return;
    }
    if (message->code != NACRE_PUT) {
        nacre_response_text(response, NACRE_METHOD_NOT_ALLOWED, "only GET and PUT");
        return;
    }
    if (request->upload == NULL) (void)take_piece(user, 0, message->payload, 0);
    memcpy(body.bytes, body.coming, body.coming_len);
    body.len = body.coming_len;
    response->code = NACRE_CHANGED;
    nacre_server_changed(server, "/body");
}

static nacre_err add_resources(void)
{
    static const nacre_resource resources[] = {
        { .path = "/hello", .handler = hello, .flags = NACRE_RESOURCE_PLAIN },
        { .path = "/made", .handler = made, .flags = NACRE_RESOURCE_PLAIN },
        { .path = "/body",
          .handler = handle_body,
          .user = &body, /* for a block-wise body, the sink's user notifies */
          .flags = NACRE_RESOURCE_PLAIN | NACRE_RESOURCE_OBSERVABLE,
          .on_upload = take_body },
        { .path = "/closed", .handler = hello },
    };
    nacre_err err = NACRE_OK;
    for (size_t i = 0; i < sizeof resources / sizeof resources[0] && err == NACRE_OK; i++)
        err = nacre_server_add_resource(server, &resources[i]);
    return err;
}

static nacre_err serve(const char *address, nacre_detail *why)
{
    char text[72];
    nacre_err err = nacre_server_open(&server, address, why);
    if (err != NACRE_OK) return err;
    const nacre_address udp = nacre_server_local(server);
    nacre_address_text(&udp, text);
    err = nacre_server_listen_tcp(server, text, why); /* the same port */
    if (err == NACRE_OK) err = add_resources();
    if (err == NACRE_OK) {
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        printf("listening coap://%s\nlistening coap+tcp://%s\n", text, text);
        fflush(stdout);
        err = nacre_server_run(server, why);
    }
    nacre_err closed = nacre_server_close(server, NULL);
    return err != NACRE_OK ? err : closed;
}

/* ---- observe ----------------------------------------------------------------------------------------------------- */

typedef struct watch {
    nacre_transfer_exchange exchange;
    unsigned wanted, seen;
    bool over;
    nacre_err err;
} watch;

static void on_event(void *user, nacre_transfer *transfer, const nacre_event *event)
{
    watch *w = user;
    if (event->kind == NACRE_EVENT_NOTIFICATION && event->err == NACRE_OK && w->seen < w->wanted) {
        printf("%.*s\n", (int)event->message.payload.len, (const char *)event->message.payload.ptr);
        fflush(stdout);
        if (++w->seen == w->wanted) w->err = nacre_transfer_unobserve(transfer, w->exchange);
    }
    if (event->kind != NACRE_EVENT_RESPONSE && event->kind != NACRE_EVENT_FAILED) return;
    w->over = true;
    if (event->kind == NACRE_EVENT_FAILED) w->err = event->err;
    else if (w->seen < w->wanted) w->err = NACRE_ERR_UNSUPPORTED; /* the resource is not observable */
}

static nacre_err register_at(nacre_loop *loop, watch *w, const nacre_uri *uri, const nacre_address *peer)
{
    static uint8_t buf[MAX_BODY];
    uint8_t options[MAX_URI];
    nacre_options o;
    nacre_message get = { .type = NACRE_CON, .code = NACRE_GET };
    nacre_options_init(&o, NACRE_BUF(options));
    nacre_options_add_uint(&o, NACRE_OPT_OBSERVE, 0);
    nacre_err err = nacre_uri_options(&o, uri);
    if (err == NACRE_OK) err = nacre_options_finish(&o, &get.options);
    if (err != NACRE_OK) return err;
    const nacre_transfer_options how = { .buf = NACRE_BUF(buf) };
    return nacre_transfer_request(nacre_loop_transfer(loop), &w->exchange, peer, NULL, &get, &how, NULL);
}

static nacre_err watch_for(nacre_loop *loop, const watch *w, nacre_detail *why)
{
    const uint64_t until = nacre_clock_ms() + PATIENCE_MS;
    while (!w->over) {
        if (nacre_clock_ms() > until) return NACRE_ERR_TIMEOUT;
        const nacre_err err = nacre_loop_step(loop, STEP_MS, why);
        if (err != NACRE_OK) return err;
    }
    return w->err;
}

static nacre_err observe(const char *text, unsigned num, nacre_detail *why)
{
    char host[300];
    nacre_uri uri;
    nacre_address peer;
    nacre_udp *udp = NULL;
    nacre_tcp *tcp = NULL;
    nacre_loop *loop = NULL;
    watch w = { .wanted = num };
    nacre_endpoint_config config = { 0 };
    nacre_err err = nacre_uri_parse(&uri, nacre_bytes_of((const uint8_t *)text, strlen(text)));
    if (err != NACRE_OK || uri.host.len > 255) return NACRE_ERR_BAD_URI;
    snprintf(host, sizeof host, memchr(uri.host.ptr, ':', uri.host.len) != NULL ? "[%.*s]:%u" : "%.*s:%u",
             (int)uri.host.len, (const char *)uri.host.ptr, (unsigned)uri.port);
    err = nacre_address_resolve(&peer, host, uri.port, why);
    if (err != NACRE_OK) return err;
    if (uri.is_tcp) peer.flags = NACRE_ADDRESS_RELIABLE;
    err = nacre_openssl_open(&config.crypto);
    if (err != NACRE_OK) return err;
    err = nacre_udp_open(&udp, NULL, why);
    if (err == NACRE_OK) err = nacre_tcp_open(&tcp, NULL, why);
    if (err == NACRE_OK)
        err = nacre_loop_open_transfer(&loop, udp, &config, &(nacre_transfer_config){ 0 }, on_event, &w, why);
    if (err == NACRE_OK) err = nacre_loop_add_tcp(loop, tcp);
    if (err == NACRE_OK) err = register_at(loop, &w, &uri, &peer);
    if (err == NACRE_OK) err = watch_for(loop, &w, why);
    nacre_loop_close(loop);
    nacre_tcp_close(tcp);
    nacre_udp_close(udp);
    nacre_openssl_close(&config.crypto);
    return err;
}

int main(int argc, char **argv)
{
    nacre_detail why = { { 0 } };
    nacre_err err;
    if (argc == 3 && strcmp(argv[1], "serve") == 0) {
        err = serve(argv[2], &why);
    } else if (argc == 4 && strcmp(argv[1], "observe") == 0) {
        err = observe(argv[2], (unsigned)strtoul(argv[3], NULL, 10), &why);
    } else {
        fprintf(stderr, "usage: plain serve ADDRESS | plain observe URI NUM\n");
        return 2;
    }
    if (err != NACRE_OK) fprintf(stderr, "plain: %s: %s\n", nacre_err_text(err), why.text);
    return err != NACRE_OK;
}
