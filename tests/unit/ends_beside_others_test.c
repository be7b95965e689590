/* SPDX-License-Identifier: MIT */
/* ends_beside_others_test: the end of a connection and the removal of a context visit what belongs to them, and few of the other
 * exchanges and separate responses. */
#include "../scenario/raw.h"
#include "endpoint/endpoint_struct.h"

enum {
    OTHERS = 1000,
    ENDING = 3,
    COLLIDING = 8,
    ALL = OTHERS + ENDING,
    CONTEXTS = 8,                   /* of the others */
    OF_TWO = 2 * OTHERS / CONTEXTS, /* two contexts may have the hash of a third */
};

static void open_large(pair *p)
{
    const nacre_endpoint_config large = { .max_message = 128,
                                          .num_client_exchanges = ALL,
                                          .num_server_exchanges = ALL,
                                          .num_transmissions = 2 * ALL, /* plain peers have half of them */
                                          .transmissions_per_peer = ALL,
                                          .congestion.nstart = ALL };
    pair_open(p, &large, &(pairing){ 0 });
}

static nacre_address connection(int i)
{
    char name[16];
    (void)snprintf(name, sizeof name, "c%d", i);
    nacre_address address = address_named(name);
    address.flags = NACRE_ADDRESS_RELIABLE;
    return address;
}

static void request(party *client, const nacre_address *peer, nacre_context *context)
{
    nacre_exchange exchange;
    const nacre_message get = { .type = NACRE_NON, .code = NACRE_GET };
    assert_int_equal(nacre_endpoint_request(client->ep, &exchange, peer, context, &get, NULL), NACRE_OK);
}

static void request_over(party *client, int i, nacre_context *context)
{
    const nacre_address peer = connection(i);
    request(client, &peer, context);
}

static void lose(party *p, int i)
{
    const nacre_address peer = connection(i);
    nacre_endpoint_unreachable(p->ep, &peer);
}

/* Contexts of other clients: the clients', or the server's. */
static void open_others(party *p, nacre_context *others[CONTEXTS], bool is_server)
{
    static const char *const names[CONTEXTS] = { "o0", "o1", "o2", "o3", "o4", "o5", "o6", "o7" };
    for (int i = 0; i < CONTEXTS; i++)
        others[i] = party_context(p, &(pairing){ .client_id = names[i], .secret = (uint8_t)(9 + i) }, is_server);
}

static uint32_t num_failed(party *p, nacre_err err)
{
    uint32_t num = 0;
    for (nacre_event event; party_next_event(p, &event); num++) {
        assert_int_equal(event.kind, NACRE_EVENT_FAILED);
        assert_int_equal(event.err, err);
    }
    return num;
}

static void a_lost_connection_visits_few_other_requests(void **state)
{
    (void)state;
    pair p;
    open_large(&p);
    const nacre_address ending = connection(OTHERS);
    for (int i = 0; i < OTHERS; i++) request_over(&p.client, i, p.ours);
    for (int i = 0; i < ENDING; i++) request(&p.client, &ending, p.ours);
    nacre__client_exchanges *x = &p.client.ep->client_exchanges;
    assert_in_range(nacre__client_exchanges_lose_peer(x, &ending, false), ENDING, ENDING + COLLIDING);
    assert_int_equal(num_failed(&p.client, NACRE_ERR_UNREACHABLE), ENDING);
    assert_in_range(nacre__client_exchanges_lose_peer(x, &ending, false), 0,
                    COLLIDING); /* released: no longer in the group */
    for (int i = 0; i < OTHERS; i++) lose(&p.client, i);
    assert_int_equal(num_failed(&p.client, NACRE_ERR_UNREACHABLE), OTHERS);
    pair_close(&p);
}

static void a_removed_context_visits_few_other_requests(void **state)
{
    (void)state;
    pair p;
    open_large(&p);
    nacre_context *others[CONTEXTS];
    open_others(&p.client, others, false);
    for (int i = 0; i < OTHERS; i++) request(&p.client, &p.server.address, others[i % CONTEXTS]);
    for (int i = 0; i < ENDING; i++) request(&p.client, &p.server.address, p.ours);
    nacre__client_exchanges *x = &p.client.ep->client_exchanges;
    assert_in_range(nacre__client_exchanges_lose_context(x, p.ours), ENDING, ENDING + OF_TWO);
    assert_int_equal(num_failed(&p.client, NACRE_ERR_NO_CONTEXT), ENDING);
    assert_in_range(nacre__client_exchanges_lose_context(x, p.ours), 0, OF_TWO); /* released: no longer in the group */
    for (int i = 0; i < CONTEXTS; i++) nacre_endpoint_remove_context(p.client.ep, others[i]);
    assert_int_equal(num_failed(&p.client, NACRE_ERR_NO_CONTEXT), OTHERS);
    pair_close(&p);
}

/* Delivers a request of connection `i`, and defers its response. */
static void deferred_request(raw *r, int i, nacre_context *ctx)
{
    r->address = connection(i);
    r->ctx = ctx;
    const nacre_event event = raw_requested(r, NACRE_NON, NACRE_GET, NACRE_ABSENT, 0);
    assert_int_equal(nacre_endpoint_defer_response(r->server->ep, event.exchange), NACRE_OK);
}

static void a_lost_connection_visits_few_other_responses(void **state)
{
    (void)state;
    pair p;
    open_large(&p);
    raw r = raw_open(&p, NULL);
    const nacre_address ending = connection(OTHERS);
    for (int i = 0; i < ALL; i++) deferred_request(&r, i < OTHERS ? i : OTHERS, NULL);
    nacre__server_exchanges *x = &p.server.ep->server_exchanges;
    assert_in_range(nacre__server_exchanges_lose_peer(x, &ending), ENDING, ENDING + 2 * COLLIDING);
    assert_in_range(nacre__server_exchanges_lose_peer(x, &ending), 0, 2 * COLLIDING);
    assert_int_equal(p.server.ep->tx.num_free, 2 * ALL - OTHERS);
    for (int i = 0; i < OTHERS; i++) lose(&p.server, i);
    assert_int_equal(p.server.ep->tx.num_free, 2 * ALL);
    pair_close(&p);
}

/* Requests whose responses are deferred are visited by no further burst. */
static void a_burst_visits_no_deferred_requests_of_others(void **state)
{
    (void)state;
    pair p;
    open_large(&p);
    raw r = raw_open(&p, NULL);
    uint32_t num_open = 0;
    for (int i = 0; i < OTHERS; i++) deferred_request(&r, i, NULL);
    const nacre__dedup *d = &p.server.ep->dedup;
    for (uint32_t i = d->lists[NACRE__DEDUP_OPEN].first; i != NACRE__NONE; i = d->records[i].link.next) num_open++;
    assert_int_equal(num_open, 1); /* of the last burst */
    pair_close(&p);
}

static void a_removed_context_visits_few_other_responses(void **state)
{
    (void)state;
    pair p;
    open_large(&p);
    raw r = raw_open(&p, NULL);
    nacre_context *others[CONTEXTS], *theirs[CONTEXTS];
    open_others(&p.client, others, false);
    open_others(&p.server, theirs, true);
    for (int i = 0; i < OTHERS; i++) deferred_request(&r, i, others[i % CONTEXTS]);
    for (int i = 0; i < ENDING; i++) deferred_request(&r, OTHERS, p.ours);
    nacre__server_exchanges *x = &p.server.ep->server_exchanges;
    assert_in_range(nacre__server_exchanges_lose_context(x, p.theirs), ENDING, ENDING + OF_TWO);
    assert_in_range(nacre__server_exchanges_lose_context(x, p.theirs), 0, OF_TWO);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_connection_visits_few_other_requests),
        cmocka_unit_test(a_removed_context_visits_few_other_requests),
        cmocka_unit_test(a_lost_connection_visits_few_other_responses),
        cmocka_unit_test(a_burst_visits_no_deferred_requests_of_others),
        cmocka_unit_test(a_removed_context_visits_few_other_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
