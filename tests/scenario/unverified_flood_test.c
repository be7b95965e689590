/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* unverified_flood_test: an honest client competes with a flood of forged and captured requests for the work that a server does
 * before it has verified anything: RFC 8613 B.2, and the Echo recovery of B.1.2. The client gets through within
 * MOST_RETRANSMISSIONS, with the phases of the flood and of the client drawn from many seeds. */
#include "rederiving.h"

/* The number that nacre_admission_config and docs/assurance.md state: for both messages of B.2 together. */
enum { SEEDS = 12, WARM_UP_MS = 5000, MOST_RETRANSMISSIONS = 2 };

typedef struct flood {
    const char *name;
    unsigned per_second; /* of each network */
    unsigned networks;   /* number 1 and up */
    unsigned hosts;      /* of each */
    unsigned client_network, client_host;
    bool forged; /* its tag is wrong; else captured */
} flood;

static const flood floods[] = {
    { "forged, known kid, another network", 20, 1, 1, 100, 1, true },
    { "forged, known kid, the client's own address", 20, 1, 1, 1, 1, true },
    { "captured, another network", 8, 1, 1, 100, 1, false },
    { "captured, the client's own address", 8, 1, 1, 1, 1, false },
    { "forged, one network of many hosts", 200, 1, 1000, 100, 1, true },
    { "captured, one network of many hosts", 200, 1, 1000, 100, 1, false },
    { "forged, the client's own network", 200, 1, 50, 1, 1000, true },
    { "captured, the client's own network", 200, 1, 50, 1, 1000, false },
    { "captured, the client's own address", 200, 1, 1, 1, 1, false },
    { "forged, 64 networks", 20, 64, 64, 100, 1, true },
    { "captured, 64 networks", 8, 64, 64, 100, 1, false },
    { "forged, the client's own address", 300, 1, 1, 1, 1, true },
    { "captured, the client's own address", 300, 1, 1, 1, 1, false },
    { "forged, 2000 networks", 1, 2000, 64, 100, 1, true },
    { "captured, 2000 networks", 1, 2000, 64, 100, 1, false },
};

/* ---- Addresses: {network, host, port} ---------------------------------------------------------------------------- */

static nacre_bytes part(void *self, const nacre_address *peer, bool of_network)
{
    (void)self;
    return nacre_bytes_of(peer->bytes, of_network ? 2 : 4);
}

static nacre_address address_at(unsigned net, unsigned host, unsigned port)
{
    const unsigned words[] = { net, host, port };
    nacre_address a = { .len = 6 };
    for (int i = 0; i < 6; i++) a.bytes[i] = (uint8_t)(words[i / 2] >> 8 * (i % 2));
    return a;
}

/* ---- The flood ----------------------------------------------------------------------------------------------------- */

typedef struct contest {
    const flood *flood;
    party *client, *server;
    datagram template;
    chance chance;
    uint64_t now, next; /* us: of the flood */
    unsigned served;    /* responses to the client's request */
} contest;

static void give_from(contest *c, const nacre_address *from, const datagram *d)
{
    party_take_back(c->server);
    const nacre_datagram in = { .peer = *from, .bytes = party_lend(c->server, nacre_bytes_of(d->bytes, d->len)) };
    assert_int_equal(party_receive(c->server, &in, 1, c->now), 1);
}

/* Delivers the server's messages to the client's address; others are lost. */
static void let_server_act(contest *c)
{
    datagram d;
    nacre_event event;
    for (bool busy = true; busy;) {
        busy = false;
        for (; party_next_event(c->server, &event); busy = true)
            if (event.kind == NACRE_EVENT_REQUEST) respond_text(c->server, event.exchange, "ok");
        for (; party_take(c->server, &d, c->now); busy = true)
            if (nacre_address_equal(&d.peer, &c->client->address)) party_give(c->client, c->server, &d, c->now);
    }
}

static void let_client_act(contest *c)
{
    datagram d;
    nacre_event event;
    for (;;) {
        while (party_next_event(c->client, &event)) {
            if (event.kind == NACRE_EVENT_REDERIVED) continue;
            assert_int_equal(event.kind, NACRE_EVENT_RESPONSE);
            c->served++;
        }
        if (!party_take(c->client, &d, c->now)) return;
        give_from(c, &c->client->address, &d);
        let_server_act(c);
    }
}

static void send_one(contest *c)
{
    const uint64_t r = draw(&c->chance);
    datagram d = c->template;
    const nacre_address from =
        address_at(1 + (unsigned)(r % c->flood->networks), 1 + (unsigned)((r >> 16) % c->flood->hosts), 1);
    d.bytes[2] = (uint8_t)(r >> 32), d.bytes[3] = (uint8_t)(r >> 40);
    if (c->flood->forged) d.bytes[d.len - 1] ^= (uint8_t)(1 + (r >> 48) % 255);
    give_from(c, &from, &d);
    let_server_act(c);
}

/* Runs until `end`, or, once the client has sent its request, until it is served. */
static void run(contest *c, uint64_t end, bool is_requested)
{
    const uint64_t step = 1000000 / (c->flood->per_second * c->flood->networks);
    for (; c->now < end && !(is_requested && c->served > 0); c->now++) {
        for (; c->next <= c->now * 1000; c->next += step) send_one(c);
        party_expire(c->server, c->now);
        party_expire(c->client, c->now);
        let_client_act(c);
    }
}

static uint64_t retransmitted(const party *p)
{
    return nacre_endpoint_get_stats(p->ep).retransmitted;
}

static contest contest_of(const flood *f, party *client, party *server, uint64_t seed)
{
    contest c = { .flood = f, .client = client, .server = server, .chance = { seed } };
    c.next = draw(&c.chance) % 1000000;
    client->address = address_at(f->client_network, f->client_host, 1);
    return c;
}

static uint64_t expect_served(contest *c)
{
    run(c, c->now + 60000, true);
    if (c->served != 1) fail_msg("%s: the client was not served", c->flood->name);
    return retransmitted(c->client);
}

static nacre_endpoint_config server_config(void)
{
    return (nacre_endpoint_config){ .admission.origin.part = part };
}

/* ---- RFC 8613 B.2 -------------------------------------------------------------------------------------------------- */

static uint64_t rederive_once(const flood *f, uint64_t seed)
{
    const nacre_endpoint_config config = server_config();
    rederiving_pair p;
    party earlier;
    rederiving of_earlier;
    party_open(&p.client, "client", seed * 3, NULL);
    party_open(&p.server, "server", seed * 3 + 1, &config);
    party_open(&earlier, "earlier", seed * 3 + 2, NULL); /* the client, before it lost its state */
    make_rederivation(&p.ours, &p.client, 5, "c", "s", true, false);
    make_rederivation(&of_earlier, &earlier, 5, "c", "s", true, false);
    make_rederivation(&p.theirs, &p.server, 5, "s", "c", false, true);
    assert_int_equal(nacre_endpoint_add_rederivation(p.client.ep, &p.ours.rederivation), NACRE_OK);
    assert_int_equal(nacre_endpoint_add_rederivation(earlier.ep, &of_earlier.rederivation), NACRE_OK);
    assert_int_equal(nacre_endpoint_add_rederivation(p.server.ep, &p.theirs.rederivation), NACRE_OK);
    contest c = contest_of(f, &p.client, &p.server, seed);
    (void)request_rederiving(&earlier, &p.server, &of_earlier, NACRE_CON);
    c.template = next_of(&earlier, 0);
    run(&c, WARM_UP_MS + draw(&c.chance) % 2000, false);
    (void)request_rederiving(&p.client, &p.server, &p.ours, NACRE_CON);
    const uint64_t num = expect_served(&c);
    close_rederiving(&p);
    drop_rederivation(&of_earlier, &earlier);
    party_close(&earlier);
    return num;
}

/* ---- RFC 8613 B.1.2 ------------------------------------------------------------------------------------------------ */

static uint64_t recover_once(const flood *f, uint64_t seed)
{
    const nacre_endpoint_config config = server_config();
    pair p;
    party_open(&p.client, "client", seed * 2, NULL);
    party_open(&p.server, "server", seed * 2 + 1, &config);
    p.ours = party_context(&p.client, &(pairing){ 0 }, false);
    p.theirs = party_context(&p.server, &(pairing){ .server_lost = true }, true);
    contest c = contest_of(f, &p.client, &p.server, seed);
    const nacre_exchange lost = start(&p.client, &p.server, p.ours, NACRE_CON);
    c.template = next_of(&p.client, 0);
    nacre_endpoint_cancel(p.client.ep, lost);
    run(&c, WARM_UP_MS + draw(&c.chance) % 2000, false);
    (void)start(&p.client, &p.server, p.ours, NACRE_CON);
    const uint64_t num = expect_served(&c);
    assert_true(nacre_context_replay(p.theirs)->known);
    pair_close(&p);
    return num;
}

static void contend(uint64_t (*once)(const flood *f, uint64_t seed))
{
    for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
        uint64_t most = 0;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            const uint64_t num = once(&floods[i], seed);
            if (num > most) most = num;
        }
        print_message("  %-45s %3u a second from %2u networks: at most %llu retransmissions\n", floods[i].name,
                      floods[i].per_second, floods[i].networks, (unsigned long long)most);
        assert_in_range(most, 0, MOST_RETRANSMISSIONS);
    }
}

static void client_rederives_under_floods_of_forged_and_captured_requests_1(void **state)
{
    (void)state;
    contend(rederive_once);
}

static void window_recovers_under_floods_of_forged_and_captured_requests(void **state)
{
    (void)state;
    contend(recover_once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_rederives_under_floods_of_forged_and_captured_requests_1),
        cmocka_unit_test(window_recovers_under_floods_of_forged_and_captured_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
