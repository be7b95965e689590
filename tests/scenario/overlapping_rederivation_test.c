/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* overlapping_rederivation: overlapping runs of RFC 8613 B.2 under replay. Two boots of one device are alive at once;
 * another device begins with a context that the server has lost, while the server starts a procedure with it too; each
 * side forgets its keys now and then; some datagrams are held back; any earlier datagram is replayed at any time, under
 * another message ID, from its own address or another's, up to a day later. What must hold:
 * - no key is used with a nonce twice, on either side;
 * - no request #2 that was held back for long is handled;
 * - each request is handled at most once, and its response belongs to it;
 * - afterwards each peer can complete the procedure with the server. */
#include "key_log.h"
#include "rederiving.h"

enum {
    CLIENTS = 3,
    SERVER = CLIENTS,
    PARTIES,
    PEERS = 2,
    MAX_HEARD = 400,
    MAX_RECORDS = 600,
    DAY = 86400000,
    EXCHANGE_LIFETIME = 247000
};

/* A request #2 to the server, with the time of its first transmission. */
typedef struct request_2 {
    uint8_t r2_r3[NACRE_REDERIVE_R2 + NACRE_REDERIVE_NONCE];
    uint64_t at;
} request_2;

typedef struct heard {
    datagram d;
    party *from, *to;
} heard;

typedef struct stage {
    wire wire;
    party parties[PARTIES];
    rederiving ours[CLIENTS], theirs[PEERS]; /* clients 0 and 1 are peer 0: one device, two boots */
    heard heard[MAX_HEARD];
    size_t num_heard;
    request_2 requests_2[MAX_RECORDS];
    size_t num_requests_2;
    uint64_t next_order; /* index of the first datagram not yet recorded */
    unsigned executed[MAX_RECORDS], started, completed;
} stage;

static size_t replayed, agreements, executed_in_all;

static size_t peer_of(size_t client)
{
    return client < 2 ? 0 : 1;
}

static rederiving *rederivation_of(stage *s, const party *p, size_t client)
{
    return p == &s->parties[SERVER] ? &s->theirs[peer_of(client)] : &s->ours[client];
}

static unsigned serial_of(nacre_bytes payload)
{
    unsigned serial = 0;
    for (size_t i = 0; i < payload.len; i++) serial = serial * 10 + (payload.ptr[i] - '0');
    return serial;
}

/* The time of the first transmission of the request #2 with these R2 and R3; NULL: none. */
static request_2 *request_2_of(stage *s, nacre_bytes r2_r3)
{
    for (size_t i = 0; i < s->num_requests_2; i++)
        if (nacre_bytes_equal(NACRE_ARRAY(s->requests_2[i].r2_r3), r2_r3)) return &s->requests_2[i];
    return NULL;
}

/* A procedure in which the server acts as a server. */
static void expect_in_time(stage *s, const nacre_event *event, uint64_t now)
{
    const request_2 *sent = request_2_of(s, nacre_context_id_context(event->context));
    if (sent == NULL) return; /* the server's own */
    assert_true(now - sent->at <= EXCHANGE_LIFETIME);
    agreements++;
}

static void execute(stage *s, party *p, const nacre_event *event)
{
    const unsigned serial = serial_of(event->message.payload);
    const nacre_message response = { .code = NACRE_CONTENT, .payload = event->message.payload };
    assert_non_null(event->context);
    assert_true(serial < s->started);
    assert_int_equal(++s->executed[serial], 1);
    executed_in_all++;
    assert_int_equal(nacre_endpoint_respond(p->ep, event->exchange, &response), NACRE_OK);
}

static void on_event(void *user, party *p, const nacre_event *event, uint64_t now)
{
    stage *s = user;
    if (event->kind == NACRE_EVENT_REDERIVED) {
        if (p == &s->parties[SERVER]) expect_in_time(s, event, now);
    } else if (event->kind == NACRE_EVENT_REQUEST) {
        execute(s, p, event);
    } else if (event->kind == NACRE_EVENT_RESPONSE) {
        assert_int_equal(serial_of(event->message.payload), (unsigned *)event->user - s->executed);
        assert_int_equal(*(unsigned *)event->user, 1);
        s->completed++;
    } else {
        assert_int_equal(event->kind, NACRE_EVENT_FAILED);
        if (event->err != NACRE_ERR_UNAUTHENTICATED) return;
        for (size_t i = 0; i < CLIENTS; i++) /* the client's belief: it has the context */
            if (p == &s->parties[i] || p == &s->parties[SERVER])
                nacre_endpoint_rederive(p->ep, &rederivation_of(s, p, i)->rederivation);
    }
}

static void send_request(stage *s, size_t client, bool by_server, uint8_t type)
{
    char text[12];
    nacre_exchange exchange;
    party *from = &s->parties[by_server ? SERVER : client], *to = &s->parties[by_server ? client : SERVER];
    if (s->started == MAX_RECORDS) return;
    snprintf(text, sizeof text, "%u", s->started);
    const nacre_message put = { .type = type,
                                .code = NACRE_PUT,
                                .payload = nacre_bytes_of((const uint8_t *)text, strlen(text)) };
    const nacre_request_options how = { .rederivation = &rederivation_of(s, from, client)->rederivation };
    if (nacre_endpoint_request_with(from->ep, &exchange, &to->address, NULL, &put, &how, &s->executed[s->started]) ==
        NACRE_OK)
        s->started++;
}

static void note_request_2(stage *s, nacre_bytes bytes)
{
    nacre_message m;
    nacre_oscore_option option;
    enum { LEN = NACRE_REDERIVE_R2 + NACRE_REDERIVE_NONCE };
    if (nacre_message_parse(&m, bytes) != NACRE_OK || nacre_verify_start(&option, &m) != NACRE_OK) return;
    if (nacre_rederive_recognise(&option) != NACRE_REDERIVE_REQUEST_2) return;
    const nacre_bytes r2_r3 = nacre_bytes_of(option.kid_context.ptr + option.kid_context.len - LEN, LEN);
    if (request_2_of(s, r2_r3) != NULL) return;
    assert_true(s->num_requests_2 < MAX_RECORDS);
    request_2 *sent = &s->requests_2[s->num_requests_2++];
    memcpy(sent->r2_r3, r2_r3.ptr, LEN);
    sent->at = s->wire.now;
}

/* The attacker records all datagrams, drops some, and delivers some, again or for the first time. */
static void hear(stage *s)
{
    for (size_t i = 0; i < s->wire.num_air; i++) {
        const flying *f = &s->wire.air[i];
        if (f->order < s->next_order) continue;
        if (f->to == &s->parties[SERVER]) note_request_2(s, nacre_bytes_of(f->bytes, f->len));
        heard *h = &s->heard[s->num_heard < MAX_HEARD ? s->num_heard++ : draw(&s->wire.chance) % MAX_HEARD];
        *h = (heard){ .from = f->from, .to = f->to };
        memcpy(h->d.bytes, f->bytes, f->len);
        h->d.len = f->len;
        if (!percent(&s->wire.chance, 10)) continue;
        free(f->bytes);
        s->wire.air[i--] = s->wire.air[--s->wire.num_air];
    }
    s->next_order = s->wire.order;
}

static void replay(stage *s)
{
    chance *c = &s->wire.chance;
    if (s->num_heard == 0) return;
    heard h = s->heard[draw(c) % s->num_heard];
    if (percent(c, 80)) h.d.bytes[2] ^= (uint8_t)draw(c);
    if (percent(c, 30)) h.from = &s->parties[draw(c) % PARTIES];
    if (h.from == h.to) return;
    wire_fly(&s->wire, h.from, h.to, nacre_bytes_of(h.d.bytes, h.d.len));
    s->next_order = s->wire.order; /* the recipient's own datagrams */
    replayed++;
}

static void forget_now_and_then(stage *s)
{
    chance *c = &s->wire.chance;
    const size_t client = (size_t)(draw(c) % CLIENTS);
    if (percent(c, 8)) nacre_endpoint_rederive(s->parties[client].ep, &s->ours[client].rederivation);
    if (percent(c, 5)) nacre_endpoint_rederive(s->parties[SERVER].ep, &s->theirs[peer_of(client)].rederivation);
    if (percent(c, 3)) { /* a restart, as far as B.2 is concerned */
        nacre_rederivation *r = &s->theirs[peer_of(client)].rederivation;
        nacre_endpoint_remove_rederivation(s->parties[SERVER].ep, r);
        assert_int_equal(nacre_endpoint_add_rederivation(s->parties[SERVER].ep, r), NACRE_OK);
    }
}

static void open_stage(stage *s, network sky, uint64_t seed, const nacre_crypto_ops *ops)
{
    static const char *const names[PARTIES] = { "boot 1", "boot 2", "other", "server" };
    static const char *const ids[PEERS] = { "a", "b" };
    for (size_t i = 0; i < PARTIES; i++) {
        party_open(&s->parties[i], names[i], seed * PARTIES + i, &(nacre_endpoint_config){ .crypto.ops = ops });
        s->wire.parties[i] = &s->parties[i];
    }
    for (size_t i = 0; i < CLIENTS; i++)
        make_rederivation(&s->ours[i], &s->parties[i], (uint8_t)(5 + peer_of(i)), ids[peer_of(i)], "s", true, i == 2);
    for (size_t i = 0; i < PEERS; i++)
        make_rederivation(&s->theirs[i], &s->parties[SERVER], (uint8_t)(5 + i), "s", ids[i], i == 1, true);
    s->ours[2].rederivation.first = party_context(&s->parties[2], &(pairing){ .secret = 6, .client_id = "b" }, false);
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(nacre_endpoint_add_rederivation(s->parties[i].ep, &s->ours[i].rederivation), NACRE_OK);
    for (size_t i = 0; i < PEERS; i++)
        assert_int_equal(nacre_endpoint_add_rederivation(s->parties[SERVER].ep, &s->theirs[i].rederivation), NACRE_OK);
    s->wire.num_parties = PARTIES;
    s->wire.network = sky;
    s->wire.chance.state = seed;
    s->wire.on_event = on_event;
    s->wire.user = s;
}

static void close_stage(stage *s)
{
    wire_close(&s->wire);
    for (size_t i = 0; i < CLIENTS; i++) drop_rederivation(&s->ours[i], &s->parties[i]);
    for (size_t i = 0; i < PEERS; i++) drop_rederivation(&s->theirs[i], &s->parties[SERVER]);
    for (size_t i = 0; i < PARTIES; i++) party_close(&s->parties[i]);
}

/* One step; all datagrams sent are recorded first. */
static bool heard_step(stage *s)
{
    for (size_t i = 0; i < PARTIES; i++) wire_settle(&s->wire, &s->parties[i]);
    hear(s);
    return wire_step(&s->wire);
}

static void play(stage *s)
{
    chance *c = &s->wire.chance;
    for (int step = 0; step < 120; step++) {
        const size_t client = (size_t)(draw(c) % CLIENTS);
        forget_now_and_then(s);
        send_request(s, client, client == 2 && percent(c, 40), percent(c, 30) ? NACRE_NON : NACRE_CON);
        for (uint64_t until = s->wire.now + draw(c) % 4000; s->wire.now < until && heard_step(s);)
            if (percent(c, 30)) replay(s);
        if (percent(c, 5)) s->wire.now += percent(c, 50) ? DAY : 200000;
    }
    while (heard_step(s)) continue;
    for (int i = 0; i < 100; i++) { /* all recorded datagrams are old by then */
        replay(s);
        if (i % 10 == 0) s->wire.now += percent(c, 50) ? DAY : 100000;
        while (wire_step(&s->wire)) continue;
    }
}

/* No peer is locked out: without loss, the first request may find its context or the server's missing, the next ones
 * succeed. */
static void expect_renewable(stage *s)
{
    s->wire.network = (network){ 0, 0, 0, 1, 5 };
    for (size_t client = 0; client < CLIENTS; client++) {
        const unsigned before = s->completed;
        for (int i = 0; i < 2 && s->completed == before; i++) {
            send_request(s, client, false, NACRE_CON);
            while (wire_step(&s->wire)) continue;
        }
        assert_int_equal(s->completed, before + 1);
    }
}

static void replays_between_overlapping_procedures_do_nothing(void **state)
{
    (void)state;
    static const network skies[] = { { 0, 0, 0, 1, 5 }, { 0, 50, 0, 1, 900 }, { 30, 30, 0, 5, 1500 } };
    nacre_crypto crypto;
    assert_int_equal(nacre_openssl_open(&crypto), NACRE_OK);
    const nacre_crypto_ops *ops = key_log_ops(crypto.ops);
    for (uint64_t seed = 1; seed <= 240; seed++) {
        stage *s = calloc(1, sizeof *s);
        key_log_clear();
        open_stage(s, skies[seed % 3], seed, ops);
        play(s);
        expect_renewable(s);
        close_stage(s);
        free(s);
        assert_int_equal(encryptions.num_bufs, 0);
        assert_int_equal(encryptions.unknown_keys, 0);
        assert_int_equal(encryptions.repeated, 0);
        assert_true(encryptions.sealed > 100);
    }
    nacre_openssl_close(&crypto);
    key_log_free();
    print_message("  %zu requests executed, %zu replays, %zu agreements\n", executed_in_all, replayed, agreements);
    assert_true(executed_in_all > 10000 && replayed > 30000 && agreements > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(replays_between_overlapping_procedures_do_nothing) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
