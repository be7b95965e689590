/* SPDX-License-Identifier: MIT */
/* transfer: a body of 64 MiB over loopback in blocks of 1024 bytes (RFC 7959), down by GET and up by PUT, plain and
 * protected, each block one exchange, one after the other; against as many echoes of a datagram as long as a protected
 * block. An operation is a block. --quick: 1 MiB. */
#include "bench.h"
#include "net/pairs.h"
#include "net/serve.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK = 1024, OVERHEAD = 48, FULL = 64 * 1024, QUICK = 1024 /* blocks */ };

static nacre_crypto crypto;
static nacre_table table;
static uint64_t num_blocks;

static void must(nacre_err err, const char *what)
{
    if (err != NACRE_OK) (void)fprintf(stderr, "transfer: %s\n", nacre_err_text(err));
    bench_check(err == NACRE_OK, what);
}

/* ---- The body: each byte identifies its block, so that a missing or misplaced block is detected ------------------ */

static uint8_t byte_of(uint64_t offset)
{
    return (uint8_t)(offset / BLOCK * 7);
}

static nacre_err read_body(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    const uint64_t size = num_blocks * BLOCK, left = offset < size ? size - offset : 0;
    (void)user;
    *len = left < buf.cap ? (size_t)left : buf.cap;
    memset(buf.ptr, byte_of(offset), *len);
    return NACRE_OK;
}

/* `user` counts the bytes received. */
static nacre_err write_body(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    uint64_t *came = user;
    (void)total;
    if (offset == 0) *came = 0;
    if (offset != *came || piece.ptr[0] != byte_of(offset) || piece.ptr[piece.len - 1] != byte_of(offset))
        return NACRE_ERR_BODY_CHANGED;
    *came += piece.len;
    return NACRE_OK;
}

/* ---- The server -------------------------------------------------------------------------------------------------- */

static nacre_site *site;
static uint64_t received;

static void give(void *user, const nacre_request *request, nacre_response *response)
{
    static const uint8_t etag[] = { 1 };
    (void)user;
    if (request->message->code == NACRE_PUT) {
        response->code = received == num_blocks * BLOCK ? NACRE_CHANGED : NACRE_BAD_REQUEST;
        return;
    }
    response->code = NACRE_CONTENT;
    nacre_options_add(&response->options, NACRE_OPT_ETAG, NACRE_ARRAY(etag));
    response->source = (nacre_source){ .read = read_body, .size = num_blocks * BLOCK };
}

static void take(void *user, const nacre_request *request, nacre_upload *upload)
{
    (void)user, (void)request;
    upload->sink = (nacre_sink){ .write = write_body, .user = &received };
}

static void on_event(void *user, nacre_transfer *transfer, const nacre_event *event)
{
    (void)user, (void)transfer;
    if (event->kind == NACRE_EVENT_REQUEST) must(nacre_site_respond(site, event), "answer");
}

static void serve(const void *arg, int ready)
{
    static const nacre_resource resource = {
        .path = "/body", .handler = give, .on_upload = take, .flags = NACRE_RESOURCE_PLAIN
    };
    nacre_detail why;
    nacre_address local;
    nacre_udp *udp;
    nacre_loop *loop;
    char text[72];
    (void)arg;
    must(nacre_address_resolve(&local, "127.0.0.1:0", 0, &why), "address");
    must(nacre_udp_open(&udp, &local, &why), "socket");
    nacre_endpoint_config config = nacre_endpoint_config_default();
    config.crypto = crypto;
    config.contexts = &table;
    config.admission.amplification_limit = false;
    must(nacre_loop_open_transfer(&loop, udp, &config, &(nacre_transfer_config){ 0 }, on_event, NULL, &why), "loop");
    const nacre_site_config on_top = { .transfer = nacre_loop_transfer(loop) };
    const size_t size = nacre_site_size(&on_top);
    must(nacre_site_init(&site, bench_alloc(size), size, &on_top), "site");
    nacre_site_set_resources(site, &resource, 1);
    local = nacre_udp_local(udp);
    nacre_address_text(&local, text);
    process_ready(ready, (uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10));
    for (;;) must(nacre_loop_step(loop, 1000, &why), "step");
}

/* ---- The client -------------------------------------------------------------------------------------------------- */

typedef struct client {
    nacre_udp *udp;
    nacre_loop *loop;
    nacre_address server;
    bool done;
    uint64_t came;
} client;

/* One way to move the body, and the server's processor time for it. */
typedef struct way {
    client *by;             /* NULL: echoes */
    nacre_context *context; /* NULL: plain */
    uint8_t code;           /* GET or PUT */
    process server;
    int echo;
    double seconds;
    uint64_t blocks;
} way;

static void on_response(void *user, nacre_transfer *transfer, const nacre_event *event)
{
    client *c = user;
    (void)transfer;
    must(event->err, "the transfer");
    bench_check(event->kind == NACRE_EVENT_RESPONSE && event->message.code >> 5 == 2, "the body did not arrive");
    c->done = true;
}

static void open_client(client *c, uint16_t port)
{
    nacre_detail why;
    nacre_address local;
    char server[32];
    *c = (client){ .udp = NULL };
    (void)snprintf(server, sizeof server, "127.0.0.1:%u", (unsigned)port);
    must(nacre_address_resolve(&c->server, server, 0, &why), "address");
    must(nacre_address_resolve(&local, "127.0.0.1:0", 0, &why), "address");
    must(nacre_udp_open(&c->udp, &local, &why), "socket");
    const nacre_endpoint_config config = { .crypto = crypto };
    must(nacre_loop_open_transfer(&c->loop, c->udp, &config, &(nacre_transfer_config){ 0 }, on_response, c, &why),
         "loop");
}

static void close_client(client *c)
{
    nacre_loop_close(c->loop);
    nacre_udp_close(c->udp);
}

static void move_once(client *c, const way *w)
{
    uint8_t path[16];
    nacre_options options;
    nacre_transfer_exchange exchange;
    nacre_message request = { .type = NACRE_CON, .code = w->code };
    nacre_transfer_options how = { 0 };
    request.payload = NACRE_ABSENT;
    nacre_options_init(&options, NACRE_BUF(path));
    nacre_options_add(&options, NACRE_OPT_URI_PATH, NACRE_STR("body"));
    must(nacre_options_finish(&options, &request.options), "options");
    if (w->code == NACRE_PUT) how.source = (nacre_source){ .read = read_body, .size = num_blocks * BLOCK };
    else how.sink = (nacre_sink){ .write = write_body, .user = &c->came };
    c->done = false;
    must(nacre_transfer_request(nacre_loop_transfer(c->loop), &exchange, &c->server, w->context, &request, &how, NULL),
         "request");
    while (!c->done) must(nacre_loop_step(c->loop, 1000, NULL), "step");
    bench_check(w->code == NACRE_PUT || c->came == num_blocks * BLOCK, "a part of the body is missing");
}

static void echo_many(int fd, size_t n)
{
    uint8_t datagram[BLOCK + OVERHEAD] = { 0 };
    for (size_t i = 0; i < n; i++) {
        datagram[0] = (uint8_t)i;
        bench_check(send(fd, datagram, sizeof datagram, 0) == (ssize_t)sizeof datagram &&
                        recv(fd, datagram, sizeof datagram, 0) == (ssize_t)sizeof datagram && datagram[0] == (uint8_t)i,
                    "an echo is lost");
    }
}

static void run_way(void *arg, size_t n)
{
    way *w = arg;
    const double before = process_seconds(w->server);
    if (w->by == NULL) echo_many(w->echo, n);
    for (uint64_t done = 0; w->by != NULL && done < n; done += num_blocks) move_once(w->by, w);
    w->seconds += process_seconds(w->server) - before;
    w->blocks += n;
}

static int open_echo(uint16_t port)
{
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_port = htons(port),
                                    .sin_addr = { htonl(INADDR_LOOPBACK) } };
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bench_check(fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) == 0, "socket");
    return fd;
}

static void report(bench *b, const char *label, const bench_case *c, const way *echo)
{
    char text[64];
    const way *w = c->arg;
    const bench_result *r = bench_find(b, label, c->name);
    if (r == NULL) return;
    const double rate = BLOCK / r->value * 1e3; /* bytes per ns are GB/s */
    (void)snprintf(text, sizeof text, "%s: rate", c->name);
    bench_value(b, label, text, rate, "MB/s", 0);
    (void)snprintf(text, sizeof text, "%s: server's core", c->name);
    bench_value_against(b, label, text, 1e9 * w->seconds / (double)w->blocks, "ns",
                        w == echo ? 0 : 1e9 * echo->seconds / (double)echo->blocks);
}

static void compare(bench *b, const char *method, const way *echo, const way *down_or_up, pair *pairs)
{
    way ways[3] = { *echo, *down_or_up, *down_or_up };
    char label[32];
    const size_t all = (size_t)num_blocks;
    const bench_case cases[] = {
        { .name = "echo", .run = run_way, .arg = &ways[0], .step = all / 16, .wall_clock = true },
        { .name = "nacre, plain", .run = run_way, .arg = &ways[1], .step = all, .wall_clock = true },
        { .name = "nacre, protected", .run = run_way, .arg = &ways[2], .step = all, .wall_clock = true },
    };
    ways[2].context = &pairs[0].client;
    (void)snprintf(label, sizeof label, "%s, %zu MiB", method, all * BLOCK / 1048576);
    if (!bench_wanted(b, label)) return;
    bench_compare(b, label, cases, 3);
    for (size_t i = 0; i < 3; i++) report(b, label, &cases[i], &ways[0]);
}

int main(int argc, char **argv)
{
    bench *b = bench_start(argc, argv, "transfer", "a body in blocks of 1024 bytes over loopback UDP");
    client c;
    num_blocks = bench_is_quick(b) ? QUICK : FULL;
    bench_limit(b, 60);
    must(nacre_provider_open(&crypto), "provider");
    pair *pairs = pairs_open(&crypto, 1);
    serve_table(&table, pairs, 1);
    const process server = process_fork(serve, NULL, PROCESS_SERVER_CORE);
    const process echo = serve_start(&(serve_config){ .kind = SERVE_ECHO_ONE });
    process_pin(PROCESS_CLIENT_CORE);
    const int fd = open_echo(echo.port);
    open_client(&c, server.port);
    const way echoes = { .server = echo, .echo = fd };
    compare(b, "GET", &echoes, &(way){ .by = &c, .server = server, .code = NACRE_GET }, pairs);
    compare(b, "PUT", &echoes, &(way){ .by = &c, .server = server, .code = NACRE_PUT }, pairs);
    close_client(&c);
    (void)close(fd);
    process_stop(server);
    process_stop(echo);
    serve_table_close(&table);
    pairs_close(pairs, 1);
    nacre_provider_close(&crypto);
    return bench_finish(b);
}
