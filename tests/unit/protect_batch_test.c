/* SPDX-License-Identifier: MIT */
/* protect_batch_test: responses are encrypted in one batch, nothing is sent in clear when a cipher fails, no memory is
 * reused before it is encrypted, and shared contexts are accessed under their lock only. */
#include "endpoint/endpoint_struct.h"

#include "../scenario/world.h"

/* ---- A provider that counts bursts and can fail ------------------------------------------------------------------ */

static const nacre_crypto_ops *real;
static nacre_crypto_ops counting;
static size_t bursts, largest;
static bool failing;

static void seal_many(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num)
{
    bursts++;
    if (num > largest) largest = num;
    for (size_t i = 0; failing && i < num; i++) jobs[i]->ok = false; /* and the plaintext stays */
    if (!failing) real->seal_many(crypto, jobs, num);
}

static void counted(party *p)
{
    real = p->crypto.ops;
    counting = *real;
    counting.seal_many = seal_many;
    p->crypto.ops = &counting;
    p->ep->core.config.crypto.ops = &counting;
}

enum { MANY = NACRE_BURST + 9 };

typedef struct encryptions {
    pair p;
    nacre_exchange exchanges[MANY];
} encryptions;

static encryptions *batch_open(bool observed)
{
    encryptions *s = calloc(1, sizeof *s);
    assert_non_null(s);
    const nacre_endpoint_config config =
        config_unlimited((nacre_endpoint_config){ .num_client_exchanges = MANY,
                                                  .num_server_exchanges = 2 * MANY,
                                                  .burst = 64,
                                                  .num_transmissions = 4,
                                                  .observe.num_observers = observed ? 4 : 0 });
    party_open(&s->p.client, "client", 1, &config);
    party_open(&s->p.server, "server", 2, &config);
    counted(&s->p.server);
    s->p.ours = party_context(&s->p.client, &(pairing){ .window = 64 }, false);
    s->p.theirs = party_context(&s->p.server, &(pairing){ .window = 64 }, true);
    bursts = largest = 0;
    failing = false;
    return s;
}

static void batch_close(encryptions *s)
{
    s->p.server.crypto.ops = real; /* it closes itself */
    for (size_t i = 0; i < s->p.server.num_contexts; i++) s->p.server.contexts[i].ops = real;
    pair_close(&s->p);
    free(s);
}

/* Delivers `num` requests to the server; their events are in `exchanges`. */
static void bring(encryptions *s, size_t num)
{
    static datagram d[MANY];
    static nacre_datagram in[MANY];
    for (size_t i = 0; i < num; i++) {
        (void)start(&s->p.client, &s->p.server, s->p.ours, NACRE_CON);
        assert_true(party_take(&s->p.client, &d[i], 0));
        in[i] = (nacre_datagram){ .peer = s->p.client.address, .bytes = { d[i].bytes, d[i].len } };
    }
    assert_int_equal(party_receive(&s->p.server, in, num, 0), num);
    for (size_t i = 0; i < num; i++) s->exchanges[i] = expect_event(&s->p.server, NACRE_EVENT_REQUEST).exchange;
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static void many_responses_are_one_batch(void **state)
{
    (void)state;
    encryptions *s = batch_open(false);
    bring(s, MANY);
    for (size_t i = 0; i < MANY; i++) respond_text(&s->p.server, s->exchanges[i], "here");
    datagram back;
    for (size_t i = 0; i < MANY; i++) {
        assert_true(party_take(&s->p.server, &back, 0));
        party_give(&s->p.client, &s->p.server, &back, 0);
        assert_payload(expect_event(&s->p.client, NACRE_EVENT_RESPONSE).message, "here");
    }
    assert_int_equal(bursts, 2); /* a full batch, and the rest */
    assert_int_equal(largest, NACRE_BURST);
    batch_close(s);
}

/* When a cipher fails nothing is sent, above all not its plaintext; when it works, the response is sent. */
static void a_failed_cipher_sends_nothing(void **state)
{
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        encryptions *s = batch_open(false);
        datagram back;
        bring(s, 2);
        failing = fails;
        for (size_t i = 0; i < 2; i++) respond_text(&s->p.server, s->exchanges[i], "a secret");
        assert_int_equal(party_take(&s->p.server, &back, 0), !fails);
        for (uint32_t i = 0; fails && i < s->p.server.ep->core.config.num_server_exchanges; i++)
            for (size_t at = 0; at + 8 < MAX_DATAGRAM; at++)
                assert_memory_not_equal(s->p.server.ep->server_exchanges.all[i].record->bytes + at, "a secret", 8);
        batch_close(s);
    }
}

/* A queued request is encrypted before its context is removed or its entry reused. */
static void ciphers_run_before_their_memory_is_reused(void **state)
{
    (void)state;
    encryptions *s = batch_open(false);
    bring(s, 1);
    respond_text(&s->p.server, s->exchanges[0], "here");
    assert_int_equal(bursts, 0);
    nacre_endpoint_remove_context(s->p.server.ep, s->p.theirs);
    assert_int_equal(bursts, 1);
    batch_close(s);

    s = batch_open(false);
    bring(s, 1);
    respond_text(&s->p.server, s->exchanges[0], "here");
    bring(s, 1); /* the next burst may reuse the first one's entry */
    assert_int_equal(bursts, 1);
    batch_close(s);
}

/* ---- Shared contexts --------------------------------------------------------------------------------------------- */

static int held; /* number of locks held */
static size_t taken;

static void take(void *self, nacre_context *const *contexts, size_t num)
{
    assert_int_equal(held, 0); /* never two at a time, to exclude deadlocks */
    assert_true(num > 0 && contexts[0] != NULL);
    held++;
    taken++;
    (void)self;
}

static void give(void *self, nacre_context *const *contexts, size_t num)
{
    (void)self, (void)contexts, (void)num;
    held--;
    assert_int_equal(held, 0);
}

static void checked_seal_many(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num)
{
    assert_int_equal(held, 1);
    real->seal_many(crypto, jobs, num);
}

static void checked_open_many(const nacre_crypto *crypto, nacre_aead_job *const *jobs, size_t num)
{
    assert_int_equal(held, 1);
    real->open_many(crypto, jobs, num);
}

/* Requests, responses, Echo, waiting for the store: every cipher runs under the lock, and every lock is released. */
static void shared_contexts_are_locked(void **state)
{
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        pair p;
        datagram d, back;
        const nacre_endpoint_config config = config_unlimited((nacre_endpoint_config){ .lock = { take, give, NULL } });
        held = 0;
        taken = 0;
        party_open(&p.client, "client", 1, &config);
        party_open(&p.server, "server", 2, &config);
        real = p.client.crypto.ops;
        counting = *real;
        counting.seal_many = checked_seal_many;
        counting.open_many = checked_open_many;
        p.client.crypto.ops = p.server.crypto.ops = &counting;
        p.client.ep->core.config.crypto.ops = p.server.ep->core.config.crypto.ops = &counting;
        const pairing how = { .server_lost = lost, .server_persistent = true, .client_persistent = true };
        p.ours = party_context(&p.client, &how, false);
        p.theirs = party_context(&p.server, &how, true);
        (void)start(&p.client, &p.server, p.ours, NACRE_CON);
        bool responded = false;
        for (int round = 0; !responded && round < 30; round++) {
            nacre_event event;
            while (party_next_event(&p.server, &event)) {
                if (event.kind == NACRE_EVENT_PERSIST) {
                    serve_store(event.context);
                    nacre_endpoint_confirmed(p.server.ep, event.context, NACRE_OK);
                } else {
                    respond_text(&p.server, event.exchange, "here");
                }
            }
            while (party_next_event(&p.client, &event)) {
                if (event.kind == NACRE_EVENT_PERSIST) {
                    serve_store(event.context);
                    nacre_endpoint_confirmed(p.client.ep, event.context, NACRE_OK);
                } else {
                    assert_int_equal(event.kind, NACRE_EVENT_RESPONSE);
                    responded = true;
                }
            }
            while (party_take(&p.client, &d, 0)) party_give(&p.server, &p.client, &d, 0);
            while (party_take(&p.server, &back, 0)) party_give(&p.client, &p.server, &back, 0);
        }
        assert_true(responded);
        assert_int_equal(held, 0);
        assert_true(taken > 4);
        p.client.crypto.ops = p.server.crypto.ops = real;
        p.ours->ops = p.theirs->ops = real;
        pair_close(&p);
    }
}

/* Another thread may recover the window while this one waits for the lock: then no Echo value validates the address
 * (RFC 8613 B.1.2, RFC 9175 2.4). The same request to a window that it recovers does. */
static void recovered_elsewhere(void *self, nacre_context *const *contexts, size_t num)
{
    const bool *elsewhere = self;
    if (*elsewhere && num == 1) contexts[0]->replay.known = true;
}

static void given(void *self, nacre_context *const *contexts, size_t num)
{
    (void)self, (void)contexts, (void)num;
}

static void window_is_read_under_the_lock(void **state)
{
    (void)state;
    for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
        bool is_elsewhere = elsewhere == 1;
        pair p;
        datagram d;
        uint8_t bytes[2 + NACRE_ECHO_LEN];
        nacre_options options;
        nacre_message get = get_request(NACRE_CON);
        nacre_exchange exchange;
        pair_open(&p, &(nacre_endpoint_config){ .lock = { recovered_elsewhere, given, &is_elsewhere } },
                  &(pairing){ .server_lost = true });
        nacre_options_init(&options, NACRE_BUF(bytes));
        nacre_options_add(&options, NACRE_OPT_ECHO, NACRE_ARRAY(p.theirs->echo));
        assert_int_equal(nacre_options_finish(&options, &get.options), NACRE_OK);
        assert_int_equal(nacre_endpoint_request(p.client.ep, &exchange, &p.server.address, p.ours, &get, NULL),
                         NACRE_OK);
        (void)sent_request(&p, &d, 0);
        party_give(&p.server, &p.client, &d, 0);
        (void)expect_event(&p.server, NACRE_EVENT_REQUEST);
        assert_int_equal(nacre__is_validated(&p.server.ep->validation, &p.client.address), elsewhere == 0);
        pair_close(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_responses_are_one_batch),
        cmocka_unit_test(a_failed_cipher_sends_nothing),
        cmocka_unit_test(ciphers_run_before_their_memory_is_reused),
        cmocka_unit_test(shared_contexts_are_locked),
        cmocka_unit_test(window_is_read_under_the_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
