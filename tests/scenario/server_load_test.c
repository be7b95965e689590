/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* server_load_test: a server at full load, over a socket that drops datagrams both ways. Every request gets a response,
 * each response verifies and belongs to its request, and a repeated request gets the same bytes: no response is made
 * twice.
 *
 * 200,000 requests; NACRE_LOAD_REQUESTS sets another number. */
#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CONTEXTS = 512, /* round-robin, so that no replay window moves past a request that is lost repeatedly */
    OPEN = 64,
    LOSS_PERCENT = 2, /* of requests, and of responses */
    RETRY_MS = 4,
    MAX_DATAGRAM = 256,
};

static uint64_t state = 88172645463325252u;
static uint32_t chance(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static bool lost(void)
{
    return chance() % 100 < LOSS_PERCENT;
}

static uint64_t clock_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- Contexts ---- */

typedef struct side {
    nacre_context contexts[CONTEXTS];
    uint8_t ids[CONTEXTS][2];
} side;

static void make_side(side *s, bool is_client)
{
    static const uint8_t secret[16] = "a master secret";
    for (size_t i = 0; i < CONTEXTS; i++) {
        s->ids[i][0] = (uint8_t)i;
        s->ids[i][1] = (uint8_t)(i >> 8);
        size_t size, align;
        assert_int_equal(nacre_context_key_layout(test_crypto(), 0, &size, &align), NACRE_OK);
        const size_t buf = (size + align - 1) / align * align;
        uint8_t *keys = aligned_alloc(align, buf); /* lives as long as the process */
        assert_non_null(keys);
        const nacre_context_params params = {
            .master_secret = { .bytes = NACRE_ARRAY(secret) },
            .sender_id = is_client ? NACRE_ARRAY(s->ids[i]) : NACRE_STR("s"),
            .recipient_id = is_client ? NACRE_STR("s") : NACRE_ARRAY(s->ids[i]),
        };
        assert_int_equal(nacre_context_init(&s->contexts[i], test_crypto(), &params, (nacre_buf){ keys, buf }),
                         NACRE_OK);
    }
}

/* ---- The server ---- */

/* The response identifies its request: its payload, reversed. */
static void respond(void *user, nacre_endpoint *ep, const nacre_event *event)
{
    (void)user;
    if (event->kind != NACRE_EVENT_REQUEST) return;
    uint8_t back[16];
    const nacre_bytes in = event->message.payload;
    nacre_message out = { .code = NACRE_CHANGED, .payload = { back, in.len } };
    for (size_t i = 0; i < in.len && i < sizeof back; i++) back[i] = in.ptr[in.len - 1 - i];
    if (in.len > sizeof back || nacre_endpoint_respond(ep, event->exchange, &out) != NACRE_OK) _exit(3);
}

static void serve(int port_pipe)
{
    static side server;
    static nacre_table_slot slots[CONTEXTS * 2];
    nacre_table table;
    nacre_udp *udp;
    nacre_loop *loop;
    nacre_address local;
    nacre_detail why;
    make_side(&server, false);
    assert_int_equal(nacre_table_init(&table, slots, CONTEXTS * 2), NACRE_OK);
    for (size_t i = 0; i < CONTEXTS; i++) assert_int_equal(nacre_table_add(&table, &server.contexts[i]), NACRE_OK);
    assert_int_equal(nacre_address_resolve(&local, "127.0.0.1:0", 0, &why), NACRE_OK);
    assert_int_equal(nacre_udp_open(&udp, &local, &why), NACRE_OK);
    (void)nacre_udp_use_gso(udp);
    /* Keeps as many responses as can fall between a request and its retransmission. */
    const nacre_endpoint_config config = { .crypto = *test_crypto(),
                                           .contexts = &table,
                                           .num_server_exchanges = 65535,
                                           .max_message = MAX_DATAGRAM,
                                           .burst = 64 };
    assert_int_equal(nacre_loop_open(&loop, udp, &config, respond, NULL, &why), NACRE_OK);
    struct sockaddr_in name;
    socklen_t len = sizeof name;
    assert_int_equal(getsockname(nacre_udp_fd(udp), (struct sockaddr *)&name, &len), 0);
    assert_int_equal(write(port_pipe, &name.sin_port, sizeof name.sin_port), sizeof name.sin_port);
    while (getppid() != 1) assert_int_equal(nacre_loop_step(loop, 1000, &why), NACRE_OK);
}

/* ---- The client ---- */

typedef struct request {
    uint32_t number; /* the request's index; also its token and payload */
    nacre_request_id id;
    uint8_t bytes[MAX_DATAGRAM], dropped[MAX_DATAGRAM];
    size_t len, dropped_len; /* `dropped`: a response lost on its way here, to compare the next one with */
    uint64_t sent_ms;
    bool open;
} request;

typedef struct client {
    side side;
    int fd;
    request requests[OPEN];
    uint32_t next, total, completed, resent, compared;
} client;

static void send_it(client *c, request *r)
{
    r->sent_ms = clock_ms();
    if (!lost()) (void)send(c->fd, r->bytes, r->len, 0); /* a failed send counts as lost */
}

static void start(client *c, request *r)
{
    uint8_t payload[16], number[4];
    nacre_bytes out;
    *r = (request){ .number = c->next++, .open = true };
    for (int i = 0; i < 4; i++) number[i] = (uint8_t)(r->number >> (8 * i));
    for (int i = 0; i < 16; i++) payload[i] = (uint8_t)(number[i % 4] + i);
    const nacre_message plain = {
        .type = NACRE_CON,
        .code = NACRE_POST,
        .mid = (uint16_t)r->number,
        .token = NACRE_ARRAY(number),
        .payload = NACRE_ARRAY(payload),
    };
    assert_int_equal(nacre_protect_request(&c->side.contexts[r->number % CONTEXTS], test_crypto(), &r->id, &out,
                                           NACRE_BUF(r->bytes), &plain, NULL),
                     NACRE_OK);
    r->len = out.len;
    send_it(c, r);
}

static request *find(client *c, nacre_bytes token)
{
    assert_int_equal(token.len, 4);
    const uint32_t number = (uint32_t)(token.ptr[0] | token.ptr[1] << 8 | token.ptr[2] << 16) | (uint32_t)token.ptr[3]
                                                                                                    << 24;
    for (size_t i = 0; i < OPEN; i++)
        if (c->requests[i].open && c->requests[i].number == number) return &c->requests[i];
    return NULL; /* the second response to a request that was sent twice */
}

static void take(client *c, const uint8_t *bytes, size_t len)
{
    uint8_t buf[MAX_DATAGRAM];
    nacre_message outer, plain;
    assert_int_equal(nacre_message_parse(&outer, nacre_bytes_of(bytes, len)), NACRE_OK);
    request *r = find(c, outer.token);
    if (r == NULL) return;
    if (r->dropped_len != 0) { /* a repeated request gets the same bytes */
        assert_int_equal(len, r->dropped_len);
        assert_memory_equal(bytes, r->dropped, len);
        c->compared++;
    }
    if (lost()) {
        memcpy(r->dropped, bytes, len);
        r->dropped_len = len;
        return;
    }
    assert_int_equal(nacre_unprotect_response(&c->side.contexts[r->number % CONTEXTS], test_crypto(), &r->id, &plain,
                                              NULL, NACRE_BUF(buf), &outer),
                     NACRE_OK);
    assert_int_equal(plain.code, NACRE_CHANGED);
    assert_int_equal(plain.payload.len, 16);
    for (int i = 0; i < 16; i++)
        assert_int_equal(plain.payload.ptr[15 - i], (uint8_t)((uint8_t)(r->number >> (8 * (i % 4))) + i));
    r->open = false;
    c->completed++;
}

static void send_due(client *c)
{
    const uint64_t now = clock_ms();
    for (size_t i = 0; i < OPEN; i++) {
        request *r = &c->requests[i];
        if (r->open && now - r->sent_ms >= RETRY_MS) {
            send_it(c, r);
            c->resent++;
        } else if (!r->open && c->next < c->total) {
            start(c, r);
        }
    }
}

static void every_request_gets_one_response(void **unused)
{
    static client c;
    int ends[2];
    uint16_t port;
    (void)unused;
    const char *wanted = getenv("NACRE_LOAD_REQUESTS");
    c.total = wanted != NULL ? (uint32_t)strtoul(wanted, NULL, 10) : 200000;
    assert_int_equal(pipe(ends), 0);
    const pid_t server = fork();
    assert_true(server >= 0);
    if (server == 0) {
        serve(ends[1]);
        _exit(0);
    }
    assert_int_equal(read(ends[0], &port, sizeof port), sizeof port);
    make_side(&c.side, true);
    const struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = port, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    c.fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(connect(c.fd, (const struct sockaddr *)&to, sizeof to), 0);

    uint64_t last_progress = clock_ms();
    while (c.completed < c.total) {
        uint8_t datagram[MAX_DATAGRAM];
        struct pollfd fd = { .fd = c.fd, .events = POLLIN };
        const uint32_t before = c.completed;
        send_due(&c);
        (void)poll(&fd, 1, RETRY_MS);
        for (ssize_t len; (len = recv(c.fd, datagram, sizeof datagram, MSG_DONTWAIT)) > 0;)
            take(&c, datagram, (size_t)len);
        if (c.completed != before) last_progress = clock_ms();
        if (clock_ms() - last_progress > 20000) fail_msg("no answers any more after %u of %u", c.completed, c.total);
    }
    (void)kill(server, SIGKILL);
    (void)waitpid(server, NULL, 0);
    printf("%u requests answered, %u sent again, %u answers compared with the lost one\n", c.completed, c.resent,
           c.compared);
    /* about two in a hundred were lost each way, and nearly all lost responses were compared */
    assert_true(c.resent > c.total / 50);
    assert_true(c.compared > c.total / 100);
    (void)close(c.fd);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_request_gets_one_response) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
