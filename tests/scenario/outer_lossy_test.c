/* SPDX-License-Identifier: MIT */
/* A client, a proxy that cuts protected messages into small outer blocks (RFC 8613 4.1.3.4.2), and a server, over
 * networks that lose, duplicate, delay and reorder, in hundreds of seeded runs. Bodies above 1024 bytes have inner
 * blocks too. Every body arrives whole or its exchange ends in one error; the server never sees a partial body, nor a
 * request twice. */
#include "endpoint/endpoint_struct.h"
#include "world.h"

enum { ROUNDS = 250, BODIES = 3, MAX_BODY = 3000, HOPS = 16, CARRIED = 8192 };

typedef struct job {
    size_t len;
    uint8_t code;
    unsigned ends, served;
    uint8_t back[MAX_BODY];
} job;

/* A request that the proxy forwards. */
typedef struct hop {
    nacre_exchange requested; /* 0: free */
    uint8_t up[CARRIED], down[CARRIED];
} hop;

typedef struct run {
    pair p;
    party proxy;
    job jobs[BODIES];
    hop hops[HOPS];
    uint16_t block_size;
    unsigned wrong;
    bool spoilt;
} run;

static uint8_t bodies[BODIES][MAX_BODY];
static unsigned long whole, failed, outer_blocks;

static bool is_body(nacre_bytes got)
{
    return got.len == 0 || (got.ptr[0] < BODIES && memcmp(got.ptr, bodies[got.ptr[0]], got.len) == 0);
}

/* ---- The server -------------------------------------------------------------------------------------------------- */

static void serve(run *r, const nacre_event *event)
{
    nacre_transfer *t = r->p.server.transfer;
    nacre_message response = { .code = NACRE_CHANGED, .payload = event->message.payload };
    const nacre_bytes path = nacre_option_find(event->message.options, NACRE_OPT_URI_PATH);
    if (event->context == NULL) { /* damaged: the OSCORE option is gone */
        nacre_transfer_ignore(t, event->exchange);
        return;
    }
    job *j = &r->jobs[path.ptr[0] - '0'];
    if (!is_body(event->message.payload) || (j->code == NACRE_POST && event->message.payload.len != j->len)) r->wrong++;
    j->served++;
    if (j->code == NACRE_GET) {
        response.code = NACRE_CONTENT;
        response.payload = nacre_bytes_of(bodies[path.ptr[0] - '0'], j->len);
    }
    if (nacre_transfer_respond(t, event->exchange, &response, NULL) != NACRE_OK)
        nacre_transfer_ignore(t, event->exchange);
}

/* ---- The proxy: it has no contexts and ignores OSCORE ------------------------------------------------------------ */

static void copy_carried(nacre_options *o, nacre_bytes options)
{
    nacre_option option;
    for (nacre_option_iter it = nacre_option_begin(options); nacre_option_next(&it, &option);)
        if (option.number != NACRE_OPT_BLOCK1 && option.number != NACRE_OPT_BLOCK2 &&
            option.number != NACRE_OPT_REQUEST_TAG && option.number != NACRE_OPT_SIZE1 &&
            option.number != NACRE_OPT_SIZE2)
            nacre_options_add(o, option.number, option.value);
}

static bool carry_on(run *r, const nacre_event *event)
{
    nacre_message m = { .type = NACRE_CON, .code = event->message.code };
    uint8_t buf[MAX_DATAGRAM];
    nacre_options o;
    nacre_transfer_exchange exchange;
    hop *h = NULL;
    for (int i = 0; i < HOPS; i++)
        if (nacre_exchange_is_none(r->hops[i].requested)) h = &r->hops[i];
    if (h == NULL || event->message.payload.len > CARRIED) return false;
    memcpy(h->up, event->message.payload.ptr, event->message.payload.len);
    m.payload = nacre_bytes_of(h->up, event->message.payload.len);
    nacre_options_init(&o, NACRE_BUF(buf));
    copy_carried(&o, event->message.options);
    if (nacre_options_finish(&o, &m.options) != NACRE_OK) return false;
    const nacre_transfer_options how = { .buf = NACRE_BUF(h->down), .block_size = r->block_size };
    if (nacre_transfer_defer_response(r->proxy.transfer, event->exchange) != NACRE_OK) return false;
    if (nacre_transfer_request(r->proxy.transfer, &exchange, &r->p.server.address, NULL, &m, &how, h) != NACRE_OK)
        return false;
    h->requested = event->exchange;
    return true;
}

static void carry_back(run *r, const nacre_event *event)
{
    hop *h = event->user;
    nacre_message m = { .code = NACRE_GATEWAY_TIMEOUT };
    uint8_t buf[MAX_DATAGRAM];
    nacre_options o;
    nacre_options_init(&o, NACRE_BUF(buf));
    if (event->kind == NACRE_EVENT_RESPONSE) {
        copy_carried(&o, event->message.options);
        m = (nacre_message){ .code = event->message.code, .payload = event->message.payload };
        assert_int_equal(nacre_options_finish(&o, &m.options), NACRE_OK);
    }
    const nacre_response_options how = { .block_size = r->block_size };
    if (nacre_transfer_respond(r->proxy.transfer, h->requested, &m, &how) != NACRE_OK)
        nacre_transfer_ignore(r->proxy.transfer, h->requested);
    h->requested = NACRE_EXCHANGE_NONE;
}

static void carry(run *r, const nacre_event *event)
{
    if (event->kind != NACRE_EVENT_REQUEST) {
        carry_back(r, event);
        return;
    }
    const nacre_message full = { .code = NACRE_UNAVAILABLE };
    if (!carry_on(r, event) && nacre_transfer_respond(r->proxy.transfer, event->exchange, &full, NULL) != NACRE_OK)
        nacre_transfer_ignore(r->proxy.transfer, event->exchange);
}

/* ---- The client -------------------------------------------------------------------------------------------------- */

static void on_event(void *user, party *p, const nacre_event *event, uint64_t now)
{
    run *r = user;
    (void)now;
    if (p == &r->p.server) {
        serve(r, event);
        return;
    }
    if (p == &r->proxy) {
        carry(r, event);
        return;
    }
    if (event->kind == NACRE_EVENT_REQUEST) { /* only damaged messages ask it for that */
        nacre_transfer_ignore(p->transfer, event->exchange);
        return;
    }
    job *j = event->user;
    const int index = (int)(j - r->jobs);
    j->ends++;
    if (event->kind != NACRE_EVENT_RESPONSE || event->message.code >> 5 != 2) {
        failed++;
        return;
    }
    assert_non_null(event->context);
    if (event->message.payload.len != j->len ||
        (j->len > 0 && memcmp(event->message.payload.ptr, bodies[index], j->len) != 0))
        fail_msg("body %d of %zu bytes came as %zu others", index, j->len, event->message.payload.len);
    whole++;
}

static void start_job(run *r, chance *c, int index)
{
    const uint8_t name = (uint8_t)('0' + index);
    uint8_t buf[8];
    nacre_options o;
    nacre_transfer_exchange exchange;
    job *j = &r->jobs[index];
    j->len = (size_t)(draw(c) % (percent(c, 50) ? 1000 : MAX_BODY));
    j->code = percent(c, 50) ? NACRE_GET : NACRE_POST;
    chance_fill(c, bodies[index], j->len);
    bodies[index][0] = (uint8_t)index;
    nacre_message m = { .type = percent(c, 90) ? NACRE_CON : NACRE_NON, .code = j->code };
    nacre_options_init(&o, NACRE_BUF(buf));
    nacre_options_add(&o, NACRE_OPT_URI_PATH, nacre_bytes_of(&name, 1));
    assert_int_equal(nacre_options_finish(&o, &m.options), NACRE_OK);
    if (j->code == NACRE_POST) m.payload = nacre_bytes_of(bodies[index], j->len);
    const nacre_transfer_options how = { .buf = NACRE_BUF(j->back), .request.via_proxy = true };
    assert_int_equal(nacre_transfer_request(r->p.client.transfer, &exchange, &r->proxy.address, r->p.ours, &m, &how, j),
                     NACRE_OK);
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

static unsigned num_open(const run *r)
{
    unsigned num = 0;
    for (int i = 0; i < BODIES; i++) num += r->jobs[i].ends == 0;
    return num;
}

/* Entries in use, sampled: shows that runs use the outer-block code. */
static void count_entries(const party *p)
{
    for (uint32_t i = 0; i < p->ep->core.config.outer_block.num_messages; i++)
        outer_blocks += p->ep->outer.entries[i].state != NACRE__OUTER_FREE;
}

static void one_run(uint64_t seed)
{
    static wire w;
    static run r;
    static const uint16_t sizes[] = { 64, 64, 128, 16, 512 };
    chance c = { seed * 91 + 5 };
    memset(&r, 0, sizeof r);
    r.block_size = sizes[draw(&c) % 5];
    pair_open(&r.p, &(nacre_endpoint_config){ .congestion.nstart = 4, .outer_block.num_messages = 8 },
              &(pairing){ .secret = (uint8_t)seed });
    party_open(
        &r.proxy, "proxy", seed + 7,
        &(nacre_endpoint_config){ .opaque_oscore = true, .num_transmissions = HOPS, .num_server_exchanges = 256 });
    /* the server keeps its responses for long: a forgotten one would be requested anew and served twice */
    party_add_transfer(&r.p.client, NULL);
    party_add_transfer(
        &r.p.server,
        &(nacre_transfer_config){ .bodies.num_bodies = 8, .bodies.bodies_per_peer = 8, .bodies.timeout_ms = 900000 });
    party_add_transfer(&r.proxy, &(nacre_transfer_config){ .bodies.num_bodies = HOPS, .bodies.bodies_per_peer = HOPS });
    w = (wire){ .parties = { &r.p.client, &r.p.server, &r.proxy }, .num_parties = 3, .on_event = on_event, .user = &r };
    w.chance.state = seed;
    w.network = (network){ .loss = (unsigned)(draw(&c) % 10), .doubling = (unsigned)(draw(&c) % 20), .max_delay = 200 };
    r.spoilt = percent(&c, 20);
    w.network.spoiling = r.spoilt ? 1 : 0;
    for (int i = 0; i < BODIES; i++) start_job(&r, &c, i);
    while (num_open(&r) > 0) {
        if (!wire_step(&w) && num_open(&r) > 0) fail_msg("seed %llu: nothing goes on", (unsigned long long)seed);
        count_entries(&r.p.client);
        count_entries(&r.p.server);
    }
    for (int i = 0; i < 20; i++) (void)wire_step(&w); /* datagrams in flight */
    for (int i = 0; i < BODIES; i++) {
        const job *j = &r.jobs[i];
        if (j->ends != 1) fail_msg("seed %llu: body %d ended %u times", (unsigned long long)seed, i, j->ends);
        if (j->code == NACRE_POST && j->served > 1)
            fail_msg("seed %llu: body %d was served %u times", (unsigned long long)seed, i, j->served);
    }
    assert_int_equal(r.wrong, 0);
    wire_close(&w);
    party_close(&r.proxy);
    pair_close(&r.p);
}

static void bodies_arrive_whole_or_fail_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) one_run(seed);
    print_message("%lu whole, %lu failed\n", whole, failed);
    assert_int_equal(whole + failed, (unsigned long)ROUNDS * BODIES);
    assert_true(whole > (unsigned long)ROUNDS * BODIES * 8 / 10);
    assert_true(outer_blocks > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(bodies_arrive_whole_or_fail_once) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
