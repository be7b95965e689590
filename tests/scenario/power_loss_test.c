/* SPDX-License-Identifier: MIT */
/* power_loss_test: two peers whose stores confirm at once or later, fail now and then, wholly or by half, and save
 * during use, over a lossy link whose requests are captured and replayed, in this life or a later one; both peers lose
 * power again and again (RFC 8613 B.1). What must hold:
 * - no key and nonce are used for two different datagrams, over all lives of both peers (the log is not cleared);
 * - a handler runs at most once per request, over all lives of the server;
 * - each request of a client that stays alive until its end ends in one event. */
#include "world.h"

enum { LIVES = 60, PER_LIFE = 40, CAPTURED = 24 };

/* The state after a power cut: what the store was given and has confirmed. */
typedef struct durable {
    uint64_t ceiling;
    bool window_known;
    uint64_t window_index;
    uint8_t window_bits[4];
} durable;

/* A slow store: at `at` it performs the requests made until then. */
typedef struct question {
    party *side;
    nacre_context *ctx;
    uint64_t at;
} question;

typedef struct record {
    unsigned events, handled, life;
} record;

typedef struct stage {
    wire wire;
    party client, server;
    nacre_context *ours, *theirs;
    durable client_disk, server_disk;
    question questions[16];
    size_t num_questions;
    record records[LIVES * PER_LIFE];
    unsigned started, completed, store_failures, half_failures, saves, replayed, life;
    datagram captured[CAPTURED];
    nonce_log log;
} stage;

static void on_request(stage *s, const nacre_event *event)
{
    unsigned serial;
    char text[32] = "";
    assert_true(event->message.payload.len < sizeof text);
    memcpy(text, event->message.payload.ptr, event->message.payload.len);
    assert_int_equal(sscanf(text, "request %u", &serial), 1);
    assert_ptr_equal(event->context, s->theirs);
    assert_int_equal(++s->records[serial].handled, 1);
    const nacre_message response = { .code = NACRE_CONTENT, .payload = event->message.payload };
    assert_int_equal(nacre_endpoint_respond(s->server.ep, event->exchange, &response), NACRE_OK);
}

/* First the disk, then the confirmation to the context: power may be cut in between. */
static void serve_events(stage *s, const question *q)
{
    durable *disk = q->side == &s->client ? &s->client_disk : &s->server_disk;
    const nacre_needs needs = nacre_context_needs(q->ctx);
    const bool fails = percent(&s->wire.chance, 15);
    const bool reserves = needs.reserve != 0 && (!fails || percent(&s->wire.chance, 25));
    const bool gives_up = needs.window_lost && (!fails || percent(&s->wire.chance, 25));
    s->store_failures += fails;
    s->half_failures += fails && (reserves || gives_up);
    if (reserves) disk->ceiling = needs.reserve;
    if (gives_up) disk->window_known = false;
    if (reserves) nacre_context_confirm_reserved(q->ctx, needs.reserve);
    if (gives_up) nacre_context_confirm_window_lost(q->ctx);
    nacre_endpoint_confirmed(q->side->ep, q->ctx, fails ? NACRE_ERR_FILE : NACRE_OK);
}

static void on_event(void *user, party *p, const nacre_event *event, uint64_t now)
{
    stage *s = user;
    if (event->kind == NACRE_EVENT_PERSIST) {
        for (size_t i = 0; i < s->num_questions; i++)
            assert_ptr_not_equal(s->questions[i].ctx, event->context); /* requested once until confirmed */
        assert_true(s->num_questions < 16);
        const question q = { p, event->context, now + draw(&s->wire.chance) % 3000 };
        if (percent(&s->wire.chance, 30)) serve_events(s, &q);
        else s->questions[s->num_questions++] = q;
    } else if (event->kind == NACRE_EVENT_REQUEST) {
        on_request(s, event);
    } else {
        record *r = event->user;
        assert_int_equal(r->life, s->life);
        assert_int_equal(++r->events, 1);
        if (event->kind == NACRE_EVENT_RESPONSE && event->message.code == NACRE_CONTENT) {
            assert_int_equal(r->handled, 1);
            s->completed++;
        }
    }
}

/* After a successful save the disk holds the saved state, after a failed one the earlier state; either way the context
 * makes its persist requests anew. */
static void save(stage *s, bool is_server)
{
    durable *disk = is_server ? &s->server_disk : &s->client_disk;
    nacre_context *ctx = is_server ? s->theirs : s->ours;
    nacre_context_before_save(ctx);
    s->saves++;
    if (percent(&s->wire.chance, 30)) return;
    disk->ceiling = nacre_context_next_seq(ctx);
    if (is_server)
        disk->window_known = nacre_replay_export(nacre_context_replay(ctx), &disk->window_index, disk->window_bits);
}

/* Captures a request in flight, or replays a captured one under another MID. */
static void capture_and_replay(stage *s)
{
    datagram *d = &s->captured[draw(&s->wire.chance) % CAPTURED];
    if (s->wire.num_air > 0 && percent(&s->wire.chance, 20)) {
        const flying *f = &s->wire.air[draw(&s->wire.chance) % s->wire.num_air];
        if (f->to != &s->server || f->len > sizeof d->bytes) return;
        d->len = f->len;
        memcpy(d->bytes, f->bytes, f->len);
    } else if (d->len > 4 && percent(&s->wire.chance, 20)) {
        d->bytes[3]++;
        s->replayed++;
        wire_fly(&s->wire, &s->client, &s->server, nacre_bytes_of(d->bytes, d->len));
    }
}

static bool serve_questions(stage *s)
{
    bool any = false;
    for (size_t i = 0; i < s->num_questions;) {
        if (s->questions[i].at > s->wire.now) {
            i++;
            continue;
        }
        const question q = s->questions[i];
        s->questions[i] = s->questions[--s->num_questions];
        serve_events(s, &q);
        any = true;
    }
    return any;
}

/* Only a store can make progress: advance to the first one's completion time. */
static void wait_for_store(stage *s)
{
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < s->num_questions; i++)
        if (s->questions[i].at < first) first = s->questions[i].at;
    if (first != UINT64_MAX && first > s->wire.now) s->wire.now = first;
}

/* A life begins with the state on disk: after a clean close the server knows its window. */
static void begin_life(stage *s, unsigned life)
{
    const pairing how = {
        .client_persistent = true,
        .server_persistent = true,
        .first_chunk = 4,
        .server_lost = !s->server_disk.window_known,
        .next_seq = { s->client_disk.ceiling, s->server_disk.ceiling },
    };
    const nacre_endpoint_config config = { .num_server_exchanges = 256 };
    s->life = life;
    party_open(&s->client, "client", 1000 + life, NULL);
    party_open(&s->server, "server", 2000 + life, &config);
    s->ours = party_context(&s->client, &how, false);
    s->theirs = party_context(&s->server, &how, true);
    if (s->server_disk.window_known) {
        assert_int_equal(
            nacre_context_set_replay(s->theirs, true, s->server_disk.window_index, s->server_disk.window_bits, 4),
            NACRE_OK);
        s->theirs->window_on_disk = true;
    }
    s->wire.parties[0] = &s->client;
    s->wire.parties[1] = &s->server;
    s->wire.num_parties = 2;
}

/* After a clean close the disk holds the final state; after a power cut, the last confirmed one. */
static void end_life(stage *s, bool clean)
{
    durable *disk = &s->server_disk;
    if (clean) {
        s->client_disk.ceiling = nacre_context_next_seq(s->ours);
        disk->ceiling = nacre_context_next_seq(s->theirs);
        disk->window_known =
            nacre_replay_export(nacre_context_replay(s->theirs), &disk->window_index, disk->window_bits);
    }
    s->num_questions = 0;
    party_close(&s->client);
    party_close(&s->server); /* datagrams in flight stay, and reach the next life */
}

static bool start_one(stage *s)
{
    char text[32];
    record *r = &s->records[s->started];
    *r = (record){ .life = s->life };
    snprintf(text, sizeof text, "request %u", s->started);
    const nacre_message put = { .type = percent(&s->wire.chance, 30) ? NACRE_NON : NACRE_CON,
                                .code = NACRE_PUT,
                                .payload = nacre_bytes_of((const uint8_t *)text, strlen(text)) };
    nacre_exchange exchange;
    const nacre_err err = nacre_endpoint_request(s->client.ep, &exchange, &s->server.address, s->ours, &put, r);
    if (err == NACRE_ERR_BUSY) return false;
    assert_int_equal(err, NACRE_OK);
    s->started++;
    return true;
}

/* Runs until all exchanges have ended or power is cut. True for a clean close. */
static bool live(stage *s, uint64_t power_goes_at)
{
    unsigned begun = 0;
    for (bool more = true; more;) {
        while (begun < PER_LIFE && start_one(s)) begun++;
        if (begun < PER_LIFE) capture_and_replay(s);
        if (percent(&s->wire.chance, 1)) save(s, percent(&s->wire.chance, 50));
        more = wire_step(&s->wire);
        if (!more) wait_for_store(s);
        if (s->wire.now >= power_goes_at) return false;
        more = serve_questions(s) || more || begun < PER_LIFE;
    }
    for (unsigned i = s->started - begun; i < s->started; i++) assert_int_equal(s->records[i].events, 1);
    return true;
}

static void restarts_reuse_no_number_and_accept_no_replay(void **state)
{
    (void)state;
    stage *s = calloc(1, sizeof *s);
    unsigned clean_ends = 0, known_starts = 0;
    s->wire.network = (network){ 10, 20, 0, 5, 600 };
    s->wire.chance.state = 77;
    s->wire.on_event = on_event;
    s->wire.user = s;
    s->wire.log = &s->log;
    s->server_disk.window_known = true; /* new keys: nothing received under them */
    for (unsigned life = 0; life < LIVES; life++) {
        known_starts += s->server_disk.window_known;
        begin_life(s, life);
        const bool clean = live(s, life % 3 == 2 ? UINT64_MAX : s->wire.now + draw(&s->wire.chance) % 30000);
        end_life(s, clean);
        clean_ends += clean;
    }
    print_message(
        "  %u started, %u answered, %u store failures, %u of them by half, %u saves, %u replayed, %u clean ends, "
        "%u nonces, %llu s\n",
        s->started, s->completed, s->store_failures, s->half_failures, s->saves, s->replayed, clean_ends,
        (unsigned)s->log.num, (unsigned long long)(s->wire.now / 1000));
    assert_true(s->completed * 4 >= s->started); /* a run must complete some requests */
    assert_true(s->store_failures > 20 && s->half_failures > 5 && s->saves > 20 && s->replayed > 200);
    assert_true(clean_ends >= LIVES / 3 && known_starts > 5);
    wire_close(&s->wire);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(restarts_reuse_no_number_and_accept_no_replay) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
