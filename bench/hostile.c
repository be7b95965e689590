/* SPDX-License-Identifier: MIT */
/* hostile: what one message of each flood costs a server, from its receipt to the response, if any: endpoint, transfer and site
 * as those of `nacre serve`, without sockets. The messages are those of `floods`. The first case is the cheapest to refuse;
 * "plain GET" is what an unprotected request costs anyway. bench/instructions.sh BUILD_DIR hostile message counts instructions. */
#include "bench.h"
#include "net/flood.h"
#include "net/pairs.h"
#include "net/serve.h"

#include <stdlib.h>
#include <string.h>

enum { BURST = 64, BUF_SIZE = 1280, NUM_PAIRS = 16, NUM_RESPONSES = 4096, NUM_OUTER = 16, PER_MS = 256 };

static nacre_crypto crypto;
static nacre_table table;
static pair *pairs;

/* ---- A server in memory -------------------------------------------------------------------------------------------------- */

typedef struct server {
    nacre_endpoint *ep;
    nacre_transfer *transfer;
    nacre_site *site;
    void *memory[3];
    flood_write *write;
    uint8_t (*bytes)[FLOOD_MOST]; /* FLOOD_DATAGRAMS of them */
    size_t lens[FLOOD_DATAGRAMS];
    uint8_t (*bufs)[BUF_SIZE]; /* BURST of them */
    uint64_t num;              /* messages so far */
    uint64_t num_responses;
} server;

static void fill(void *self, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) out[i] = (uint8_t)bench_random(self);
}

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    response->code = NACRE_CONTENT;
    response->payload = NACRE_STR("sixteen bytes of");
}

static const nacre_resource resources[] = {
    { .path = "/a", .handler = hello, .flags = NACRE_RESOURCE_PLAIN },
    { .path = "/sensors/temperature", .handler = hello },
};

static void open_server(server *s, flood_write *write)
{
    static uint64_t chance;
    const nacre_endpoint_config config = { .crypto = crypto,
                                           .contexts = &table,
                                           .random = { fill, &chance },
                                           .burst = BURST,
                                           .num_server_exchanges = NUM_RESPONSES,
                                           .outer_block.num_messages = NUM_OUTER };
    *s = (server){ .write = write };
    const size_t size = nacre_endpoint_size(&config);
    s->memory[0] = bench_alloc(size);
    bench_check(nacre_endpoint_init(&s->ep, s->memory[0], size, &config) == NACRE_OK, "an endpoint");
    const nacre_transfer_config transfer = { .endpoint = s->ep };
    const size_t transfer_size = nacre_transfer_size(&transfer);
    s->memory[1] = bench_alloc(transfer_size);
    bench_check(nacre_transfer_init(&s->transfer, s->memory[1], transfer_size, &transfer) == NACRE_OK, "a transfer");
    const nacre_site_config site = { .transfer = s->transfer };
    const size_t site_size = nacre_site_size(&site);
    s->memory[2] = bench_alloc(site_size);
    bench_check(nacre_site_init(&s->site, s->memory[2], site_size, &site) == NACRE_OK, "a site");
    nacre_site_set_resources(s->site, resources, sizeof resources / sizeof *resources);
    s->bytes = bench_alloc(FLOOD_DATAGRAMS * sizeof *s->bytes);
    s->bufs = bench_alloc(BURST * sizeof *s->bufs);
    for (size_t i = 0; i < FLOOD_DATAGRAMS; i++) s->lens[i] = write(s->bytes[i], i, pairs, &crypto);
}

static void close_server(server *s)
{
    nacre_transfer_wipe(s->transfer);
    nacre_endpoint_wipe(s->ep);
    for (size_t i = 0; i < 3; i++) free(s->memory[i]);
    free(s->bytes);
    free(s->bufs);
}

/* ---- Messages ------------------------------------------------------------------------------------------------------------ */

/* Datagrams of one burst have one source, as those of `floods`. */
static void receive(server *s, size_t num)
{
    nacre_datagram in[BURST] = { 0 };
    const uint8_t source = (uint8_t)(s->num / BURST % FLOOD_SOURCES);
    for (size_t i = 0; i < num; i++) {
        const uint64_t n = s->num++;
        uint8_t *bytes = s->bytes[n % FLOOD_DATAGRAMS];
        bytes[2] = (uint8_t)(n >> 8);
        bytes[3] = (uint8_t)n;
        in[i] = (nacre_datagram){ .peer = { .len = 6, .bytes = { 192, 0, 2, source, 0x16, 0x33 } },
                                  .bytes = nacre_bytes_of(bytes, s->lens[n % FLOOD_DATAGRAMS]) };
    }
    bench_check(nacre_transfer_receive_many(s->transfer, in, num, 1000 + s->num / PER_MS) == num, "a burst");
}

static void serve(server *s, size_t num)
{
    nacre_event event;
    nacre_outgoing out[BURST];
    receive(s, num);
    while (nacre_transfer_next_event(s->transfer, &event))
        if (event.kind == NACRE_EVENT_REQUEST)
            bench_check(nacre_site_respond(s->site, &event) == NACRE_OK, "a response");
    for (size_t sent = BURST; sent == BURST;) {
        for (size_t i = 0; i < BURST; i++) out[i] = (nacre_outgoing){ .buf = { s->bufs[i], BUF_SIZE } };
        sent = nacre_transfer_transmit_many(s->transfer, out, BURST, 1000 + s->num / PER_MS);
        s->num_responses += sent;
    }
}

static void run(void *arg, size_t n)
{
    for (size_t done = 0; done < n; done += BURST) serve(arg, n - done < BURST ? n - done : BURST);
}

/* Fills the server's pools first: what is measured is the flood, not its beginning. */
static void prepare(void *arg, size_t n)
{
    server *s = arg;
    (void)n;
    if (s->num < 2 * (uint64_t)FLOOD_DATAGRAMS) run(s, 2 * FLOOD_DATAGRAMS);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        flood_write *write;
    } floods[] = {
        { "random kid", flood_random_kid },
        { "known kid, wrong tag", flood_wrong_tag },
        { "replays", flood_replay },
        { "huge Partial IV", flood_huge_sequence },
        { "partial outer Block1", flood_outer_block1 },
        { "plain GET", flood_plain },
        { "/.well-known/core", flood_core },
        { "/.well-known/core, 170 filters", flood_core_filters },
        { "170 unknown options", flood_unknown_options },
    };
    enum { NUM = sizeof floods / sizeof *floods };
    static server servers[NUM];
    bench_case cases[NUM];
    bench *b =
        bench_start(argc, argv, "hostile", "one message of each flood, in memory, against one of an unknown kid");
    bench_check(nacre_provider_open(&crypto) == NACRE_OK, "provider");
    pairs = pairs_open(&crypto, NUM_PAIRS);
    serve_table(&table, pairs, NUM_PAIRS);
    for (size_t i = 0; i < NUM; i++) {
        open_server(&servers[i], floods[i].write);
        cases[i] =
            (bench_case){ .name = floods[i].name, .prepare = prepare, .run = run, .arg = &servers[i], .step = BURST };
        if (i > 0) cases[i].goal = 10;
    }
    bench_compare(b, "one message", cases, NUM);
    for (size_t i = 0; i < NUM; i++) close_server(&servers[i]);
    serve_table_close(&table);
    pairs_close(pairs, NUM_PAIRS);
    nacre_provider_close(&crypto);
    return bench_finish(b);
}
