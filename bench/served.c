/* SPDX-License-Identifier: MIT */
/* served: requests over loopback, plain and protected, beside a bare echo of datagrams of the same size. The server has one
 * core, the client the other; the client's requests are protected before the clock starts, or its own core would be what is
 * measured. What the server's core spends on a request stands beside it: where the client is the slower of the two, only
 * that shows what protection costs. */
#include "bench.h"
#include "net/echo.h"
#include "net/load.h"

#include <nacre/nacre.h>

#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_REQUEST = 128, NUM_FLOWS = 1000, MOST_REQUESTS = 100000 };

static void must(nacre_err err, const char *what)
{
    if (err != NACRE_OK) (void)fprintf(stderr, "served: %s\n", nacre_err_text(err));
    bench_check(err == NACRE_OK, what);
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu % (size_t)sysconf(_SC_NPROCESSORS_ONLN), &set);
    (void)sched_setaffinity(0, sizeof set, &set); /* where it is forbidden, there is a little more noise */
}

/* ---- Contexts: one a flow, both sides --------------------------------------------------------------------------------- */

typedef struct pair {
    nacre_context client, server;
    uint8_t id[4];
} pair;

static pair *pairs;

static void make_side(nacre_context *ctx, const nacre_crypto *crypto, nacre_bytes mine, nacre_bytes theirs)
{
    static const uint8_t secret[16] = "0123456789abcdef";
    size_t size, align;
    must(nacre_context_key_room(crypto, 0, &size, &align), "key room");
    const nacre_context_params params = {
        .master_secret = { .bytes = NACRE_ARRAY(secret) },
        .sender_id = mine,
        .recipient_id = theirs,
        .window = 64,
    };
    must(nacre_context_init(ctx, crypto, &params, (nacre_room){ bench_alloc(size), size }), "context");
}

static void make_pairs(const nacre_crypto *crypto, size_t num)
{
    static const uint8_t server_id[] = { 's' };
    pairs = bench_alloc(num * sizeof *pairs);
    for (size_t i = 0; i < num; i++) {
        pair *p = &pairs[i];
        for (int b = 0; b < 4; b++) p->id[b] = (uint8_t)(i >> (8 * b));
        make_side(&p->client, crypto, NACRE_ARRAY(p->id), NACRE_ARRAY(server_id));
        make_side(&p->server, crypto, NACRE_ARRAY(server_id), NACRE_ARRAY(p->id));
    }
}

/* ---- Servers, each a process ------------------------------------------------------------------------------------------ */

typedef enum kind { ECHO_ONE, ECHO_BURST, ECHO_RUNS, SERVE_BURST, SERVE_RUNS } kind;

typedef struct server {
    pid_t pid;
    uint16_t port;
} server;

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    response->code = NACRE_CONTENT;
    response->payload = NACRE_STR("sixteen bytes of");
}

static const nacre_resource resources[] = { { .path = "/a", .handler = hello, .flags = NACRE_RESOURCE_PLAIN } };

static nacre_site *site;

static void on_event(void *user, nacre_transfer *transfer, const nacre_event *event)
{
    (void)user, (void)transfer;
    if (event->kind == NACRE_EVENT_REQUEST) must(nacre_site_answer(site, event), "answer");
}

static void serve_nacre(int port_pipe, bool runs, const nacre_crypto *crypto, size_t num_pairs)
{
    nacre_detail why;
    nacre_address local;
    nacre_udp *udp;
    nacre_loop *loop;
    nacre_table table;
    size_t num_slots = 16;
    while (num_slots < 2 * num_pairs) num_slots *= 2;
    nacre_table_slot *slots = bench_alloc(num_slots * sizeof *slots);
    must(nacre_table_init(&table, slots, num_slots), "table");
    for (size_t i = 0; i < num_pairs; i++) must(nacre_table_add(&table, &pairs[i].server), "table");
    must(nacre_address_resolve(&local, "127.0.0.1:0", 0, &why), "address");
    must(nacre_udp_open(&udp, &local, &why), "socket");
    if (runs) bench_check(nacre_udp_use_runs(udp), "the system has no runs of datagrams");
    const nacre_endpoint_config config = {
        .crypto = *crypto, .contexts = &table, .num_answers = 256, .burst = 64, .max_message = 1280
    };
    const nacre_transfer_config transfer = { .num_bodies = 4 };
    must(nacre_loop_open_transfer(&loop, udp, &config, &transfer, on_event, NULL, &why), "loop");
    const nacre_site_config on_top = { .transfer = nacre_loop_transfer(loop) };
    const size_t size = nacre_site_size(&on_top);
    must(nacre_site_init(&site, bench_alloc(size), size, &on_top), "site");
    nacre_site_set_resources(site, resources, 1);
    struct sockaddr_in name;
    socklen_t len = sizeof name;
    bench_check(getsockname(nacre_udp_fd(udp), (struct sockaddr *)&name, &len) == 0, "getsockname");
    bench_check(write(port_pipe, &name.sin_port, sizeof name.sin_port) > 0, "pipe");
    for (;;) must(nacre_loop_step(loop, 1000, &why), "step");
}

static void serve_echo(int port_pipe, kind what)
{
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof name;
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    bench_check(fd >= 0 && bind(fd, (const struct sockaddr *)&name, sizeof name) == 0 &&
                    getsockname(fd, (struct sockaddr *)&name, &len) == 0 &&
                    write(port_pipe, &name.sin_port, sizeof name.sin_port) > 0,
                "socket");
    if (what == ECHO_ONE) echo_one(fd);
    else if (what == ECHO_BURST) echo_burst(fd);
    else echo_runs(fd);
}

static server start(kind what, const nacre_crypto *crypto, size_t num_pairs)
{
    int ends[2];
    server s = { 0 };
    uint16_t port = 0;
    bench_check(pipe(ends) == 0 && (s.pid = fork()) >= 0, "fork");
    if (s.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it must not outlive the measurement */
        pin(0);
        if (what >= SERVE_BURST) serve_nacre(ends[1], what == SERVE_RUNS, crypto, num_pairs);
        else serve_echo(ends[1], what);
        _exit(1);
    }
    (void)close(ends[1]);
    bench_check(read(ends[0], &port, sizeof port) == sizeof port, "the server did not start");
    (void)close(ends[0]);
    s.port = ntohs(port);
    return s;
}

static void stop(server s)
{
    (void)kill(s.pid, SIGKILL);
    (void)waitpid(s.pid, NULL, 0);
}

static double cpu_of(server s)
{
    clockid_t clock;
    struct timespec t = { 0 };
    if (clock_getcpuclockid(s.pid, &clock) == 0) (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- Requests --------------------------------------------------------------------------------------------------------- */

typedef struct batch {
    uint8_t *bytes; /* MAX_REQUEST for each */
    load_request *requests;
} batch;

static uint16_t next_mid;

static void make_batch(batch *b, const nacre_crypto *crypto, size_t num, size_t flows, bool con, bool is_protected)
{
    uint8_t option_bytes[32];
    nacre_options options;
    nacre_message plain = { .type = con ? NACRE_CON : NACRE_NON, .code = NACRE_GET };
    nacre_options_init(&options, NACRE_ROOM(option_bytes));
    nacre_options_add(&options, NACRE_OPT_URI_PATH, NACRE_STR("a"));
    must(nacre_options_finish(&options, &plain.options), "options");
    plain.payload = NACRE_ABSENT;
    for (size_t i = 0; i < num; i++) {
        const uint8_t token[4] = { (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };
        const nacre_room room = { b->bytes + i * MAX_REQUEST, MAX_REQUEST };
        nacre_bytes out;
        plain.token = NACRE_ARRAY(token);
        plain.mid = next_mid++;
        if (is_protected) {
            nacre_request_id id;
            must(nacre_protect_request(&pairs[i % flows].client, crypto, &id, &out, room, &plain, NULL), "protect");
        } else {
            must(nacre_message_write(&plain, &out, room), "write");
        }
        b->requests[i] = (load_request){ out.ptr, (uint16_t)out.len };
    }
}

/* ---- Cases ------------------------------------------------------------------------------------------------------------ */

typedef struct row {
    const char *label;
    kind echo, nacre;
    bool con;
    size_t outstanding, flows;
    double goal; /* protected, over the echo's time */
} row;

static const row rows[] = {
    { "NON, 1 outstanding", ECHO_ONE, SERVE_RUNS, false, 1, 1, 1 / 0.9 },
    { "CON, 1 outstanding", ECHO_ONE, SERVE_RUNS, true, 1, 1, 1 / 0.9 },
    { "NON, 64 outstanding, 1 flow", ECHO_BURST, SERVE_RUNS, false, 64, 1, 1 / 0.9 },
    { "CON, 64 outstanding, 1 flow", ECHO_BURST, SERVE_RUNS, true, 64, 1, 1 / 0.9 },
    { "NON, 64 outstanding, 1 flow, no runs", ECHO_BURST, SERVE_BURST, false, 64, 1, 0 },
    { "CON, 64 outstanding, 1 flow, no runs", ECHO_BURST, SERVE_BURST, true, 64, 1, 0 },
    { "NON, 64 outstanding, 1000 flows", ECHO_BURST, SERVE_RUNS, false, 64, NUM_FLOWS, 1 / 0.9 },
    { "CON, 64 outstanding, 1000 flows", ECHO_BURST, SERVE_RUNS, true, 64, NUM_FLOWS, 1 / 0.9 },
    { "NON, 64 outstanding, 1 flow, client sends runs", ECHO_RUNS, SERVE_RUNS, false, 64, 1, 1 / 0.5 },
    { "CON, 64 outstanding, 1 flow, client sends runs", ECHO_RUNS, SERVE_RUNS, true, 64, 1, 1 / 0.5 },
};

/* One case: which server is asked for what. */
typedef struct ask {
    const row *row;
    const nacre_crypto *crypto;
    server server;
    load *load;
    batch *batch;
    bool is_protected;
    double cpu; /* seconds of the server's core, in all */
    uint64_t requests, resent;
} ask;

static void prepare(void *arg, size_t n)
{
    ask *a = arg;
    make_batch(a->batch, a->crypto, n, a->row->flows, a->row->con, a->is_protected);
}

static void run(void *arg, size_t n)
{
    ask *a = arg;
    const double before = cpu_of(a->server);
    const load_result result = load_run(a->load, a->batch->requests, n, NULL, NULL);
    a->cpu += cpu_of(a->server) - before;
    a->requests += n;
    a->resent += result.resent;
}

static void measure(bench *b, const row *r, const nacre_crypto *crypto, batch *room)
{
    static const char *const names[] = { "bare echo", "nacre, plain", "nacre, protected" };
    static const char *const cpu_names[] = { "server's core, bare echo", "server's core, plain",
                                             "server's core, protected" };
    ask asks[3];
    bench_case cases[3];
    const size_t step = 100 * r->outstanding; /* long enough for one wake-up more or less not to matter */
    const server echo = start(r->echo, crypto, 0), nacre = start(r->nacre, crypto, r->flows);
    for (size_t i = 0; i < 3; i++) {
        asks[i] = (ask){ r, crypto, i == 0 ? echo : nacre, NULL, room, i != 1, 0, 0, 0 };
        const load_config config = { asks[i].server.port, r->flows, r->outstanding, r->echo == ECHO_RUNS, i != 0 };
        asks[i].load = load_open(&config);
        cases[i] = (bench_case){
            .name = names[i],
            .prepare = prepare,
            .run = run,
            .arg = &asks[i],
            .max_n = MOST_REQUESTS / step * step,
            .step = step,
            .wall_clock = true,
            .goal = i == 2 ? r->goal : 0,
        };
    }
    bench_compare(b, r->label, cases, 3);
    for (size_t i = 0; i < 3; i++) {
        if (asks[i].requests > 0)
            bench_value(b, r->label, cpu_names[i], 1e9 * asks[i].cpu / (double)asks[i].requests, "ns per request", 0);
        if (asks[i].resent > 0) bench_value(b, r->label, "sent again", (double)asks[i].resent, "requests", 0);
        load_close(asks[i].load);
    }
    stop(echo);
    stop(nacre);
}

int main(int argc, char **argv)
{
    bench *b = bench_start(argc, argv, "served", "requests served over loopback UDP, one core for the server");
    nacre_crypto crypto;
    batch room = { bench_alloc((size_t)MOST_REQUESTS * MAX_REQUEST),
                   bench_alloc(MOST_REQUESTS * sizeof(load_request)) };
    must(nacre_provider_open(&crypto), "provider");
    make_pairs(&crypto, NUM_FLOWS);
    pin(1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (bench_wanted(b, rows[i].label)) measure(b, &rows[i], &crypto, &room);
    free(room.bytes);
    free(room.requests);
    nacre_provider_close(&crypto);
    return bench_finish(b);
}
