/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* Two transfers over a network that loses, duplicates, delays and reorders, in thousands of seeded runs: every body
 * arrives whole or its exchange ends in exactly one error, and no nonce is used twice. */
#include "world.h"

enum { ROUNDS = 2500, BODIES = 4, MAX_BODY = 6000 };

typedef struct job {
    size_t len;
    uint8_t code;
    unsigned ends;
    bool whole;
    uint8_t back[MAX_BODY];
} job;

typedef struct run {
    job jobs[BODIES];
    unsigned requests, wrong_at_server;
} run;

static uint8_t bodies[BODIES][MAX_BODY];
static unsigned long whole, failed, refused;

/* Each body identifies itself, so that mixed blocks are detected. */
static void fill(chance *c, int index, size_t len)
{
    chance_fill(c, bodies[index], len);
    if (len > 0) bodies[index][0] = (uint8_t)index;
}

static bool is_body(nacre_bytes got)
{
    if (got.len == 0) return true;
    const int index = got.ptr[0];
    return index < BODIES && memcmp(got.ptr, bodies[index], got.len) == 0;
}

static void serve(run *r, party *p, const nacre_event *event)
{
    nacre_message response = { .code = NACRE_CHANGED, .payload = event->message.payload };
    r->requests++;
    if (event->context == NULL) { /* damaged: the OSCORE option is gone */
        nacre_transfer_ignore(p->transfer, event->exchange);
        return;
    }
    if (!is_body(event->message.payload)) r->wrong_at_server++;
    if (event->message.code == NACRE_GET) {
        const nacre_bytes path = nacre_option_find(event->message.options, NACRE_OPT_URI_PATH);
        const job *j = &r->jobs[path.ptr[0] - '0'];
        response.code = NACRE_CONTENT;
        response.payload = nacre_bytes_of(bodies[path.ptr[0] - '0'], j->len);
    }
    if (nacre_transfer_respond(p->transfer, event->exchange, &response, NULL) != NACRE_OK) {
        refused++;
        nacre_transfer_ignore(p->transfer, event->exchange);
    }
}

static void on_event(void *user, party *p, const nacre_event *event, uint64_t now)
{
    run *r = user;
    (void)now;
    if (event->kind == NACRE_EVENT_REQUEST) {
        serve(r, p, event);
        return;
    }
    job *j = event->user;
    j->ends++;
    if (event->kind != NACRE_EVENT_RESPONSE || event->message.code >> 5 != 2) {
        failed++;
        return;
    }
    const int index = (int)(j - r->jobs);
    j->whole = event->message.payload.len == j->len &&
               (j->len == 0 || memcmp(event->message.payload.ptr, bodies[index], j->len) == 0);
    if (!j->whole) fail_msg("body %d of %zu bytes came as %zu others", index, j->len, event->message.payload.len);
    whole++;
}

static void start_job(pair *p, run *r, chance *c, int index)
{
    static const uint8_t codes[] = { NACRE_GET, NACRE_POST, NACRE_PUT };
    static const uint16_t blocks[] = { 0, 1024, 512, 256, 64 };
    const uint8_t name = (uint8_t)('0' + index);
    uint8_t buf[8];
    nacre_options o;
    nacre_transfer_exchange exchange;
    job *j = &r->jobs[index];
    j->len = (size_t)(draw(c) % (percent(c, 50) ? 1100 : MAX_BODY));
    j->code = codes[draw(c) % 3];
    fill(c, index, j->len);
    nacre_message m = { .type = percent(c, 90) ? NACRE_CON : NACRE_NON, .code = j->code };
    nacre_options_init(&o, NACRE_BUF(buf));
    nacre_options_add(&o, NACRE_OPT_URI_PATH, nacre_bytes_of(&name, 1));
    assert_int_equal(nacre_options_finish(&o, &m.options), NACRE_OK);
    if (j->code != NACRE_GET) m.payload = nacre_bytes_of(bodies[index], j->len);
    const nacre_transfer_options options = { .buf = NACRE_BUF(j->back), .block_size = blocks[draw(c) % 5] };
    assert_int_equal(
        nacre_transfer_request(p->client.transfer, &exchange, &p->server.address, p->ours, &m, &options, j), NACRE_OK);
}

static unsigned num_open(const run *r)
{
    unsigned num = 0;
    for (int i = 0; i < BODIES; i++) num += r->jobs[i].ends == 0;
    return num;
}

static void one_run(uint64_t seed, nonce_log *log)
{
    static wire w;
    static run r;
    pair p;
    chance c = { seed * 77 + 1 };
    const nacre_endpoint_config config = { .max_message = percent(&c, 50) ? 1280 : 400, .congestion.nstart = 4 };
    memset(&r, 0, sizeof r);
    memset(log, 0, sizeof *log);
    pair_open(&p, &config, &(pairing){ .secret = (uint8_t)seed });
    party_add_transfer(&p.client, NULL);
    party_add_transfer(&p.server, &(nacre_transfer_config){ .bodies.num_bodies = 8, .bodies.bodies_per_peer = 8 });
    w = (wire){ .parties = { &p.client, &p.server }, .num_parties = 2, .on_event = on_event, .user = &r, .log = log };
    w.chance.state = seed;
    w.network = (network){ .loss = (unsigned)(draw(&c) % 30), .doubling = (unsigned)(draw(&c) % 20), .max_delay = 200 };
    w.network.spoiling = percent(&c, 20) ? 5 : 0;
    if (w.network.spoiling > 0) w.log = NULL; /* it finds requests by token, which may be damaged */
    for (int i = 0; i < BODIES; i++) start_job(&p, &r, &c, i);
    while (num_open(&r) > 0)
        if (!wire_step(&w) && num_open(&r) > 0) fail_msg("seed %llu: nothing goes on", (unsigned long long)seed);
    for (int i = 0; i < 20; i++) (void)wire_step(&w); /* datagrams in flight */
    for (int i = 0; i < BODIES; i++)
        if (r.jobs[i].ends != 1)
            fail_msg("seed %llu: body %d ended %u times", (unsigned long long)seed, i, r.jobs[i].ends);
    assert_int_equal(r.wrong_at_server, 0);
    wire_close(&w);
    pair_close(&p);
}

static void bodies_arrive_or_fail_once(void **state)
{
    static nonce_log log;
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) one_run(seed, &log);
    print_message("%lu whole, %lu failed, %lu not kept\n", whole, failed, refused);
    assert_int_equal(whole + failed, (unsigned long)ROUNDS * BODIES);
    assert_true(whole > (unsigned long)ROUNDS * BODIES * 8 / 10);
    assert_true(failed > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(bodies_arrive_or_fail_once) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
