/* SPDX-License-Identifier: MIT */
/* burst_replay_test: a burst gives the verdicts of its messages one by one and leaves the same context state, also when
 * either of two messages with equal Partial IVs is tampered with (RFC 8613 7.4, 8.2 step 3). */
#include "support.h"

enum { ROUNDS = 300, BURSTS = 4, MOST = NACRE_BURST + 8, POOL = 12, KINDS = 5 };

static const char ECHO_VALUE[] = "4368747563686b61";

/* The servers of a round. They share kid and IDs; one has another secret. */
typedef enum kind { KNOWN, STORED, UNKNOWN, NO_ECHO, OTHER_SECRET } kind;

static size_t pick(uint64_t *state, size_t below)
{
    return (size_t)(test_random(state) % below);
}

static nacre_context *server_of(kind k)
{
    nacre_context_params params = test_params(1, TEST_SERVER);
    params.persistent = k == STORED;
    params.never_used = k == STORED;
    params.window = k == KNOWN ? 8 : 0; /* small, so that numbers leave it on the left */
    if (k != NO_ECHO) params.echo = test_hex(ECHO_VALUE);
    if (k == OTHER_SECRET) params.master_secret.bytes = test_hex("ffffffffffffffffffffffffffffffff");
    nacre_context *ctx = test_context(&params);
    if (k == UNKNOWN || k == NO_ECHO) assert_ok(nacre_context_set_replay(ctx, false, 0, NULL, 0));
    return ctx;
}

static void same_state(const nacre_context *a, const nacre_context *b)
{
    uint64_t index[2] = { 0, 0 };
    uint8_t bits[2][NACRE_REPLAY_MAX / 8] = { { 0 } };
    assert_int_equal(nacre_replay_export(nacre_context_replay(a), &index[0], bits[0]),
                     nacre_replay_export(nacre_context_replay(b), &index[1], bits[1]));
    assert_int_equal(index[0], index[1]);
    assert_memory_equal(bits[0], bits[1], sizeof bits[0]);
    assert_int_equal(nacre_context_failed_decryptions(a), nacre_context_failed_decryptions(b));
    assert_int_equal(nacre_context_needs(a).window_lost, nacre_context_needs(b).window_lost);
    assert_int_equal(a->has_echo, b->has_echo);
    assert_memory_equal(a->echo, b->echo, sizeof a->echo);
}

/* A request with that number, with or without an Echo value, or a message that verifies and is not a request. */
static nacre_bytes request_of(nacre_context *client, uint64_t number, size_t form)
{
    nacre_request_id id;
    client->next = number;
    nacre_bytes options = form == 1 ? test_options(252, ECHO_VALUE, 0) : NACRE_ABSENT;
    nacre_message plain = test_request(NACRE_PUT, options, test_fill((uint8_t)number, (size_t)(1 + number % 3)));
    nacre_bytes datagram = test_protect_request(client, &id, &plain);
    if (form != 2) return datagram;
    client->next = number;
    nacre_message response = test_response(NACRE_CONTENT, NACRE_ABSENT, NACRE_ABSENT);
    nacre_protect_options how = { .nonce = NACRE_NONCE_NEW, .send_kid = true };
    nacre_message outer = test_parse(test_protect_response(client, &id, &response, &how));
    outer.code = NACRE_POST;
    return test_datagram(&outer);
}

static nacre_message tampered(nacre_bytes datagram, size_t how)
{
    nacre_message m = test_parse(test_copy(datagram));
    if (how == 1) ((uint8_t *)(uintptr_t)m.payload.ptr)[m.payload.len - 1] ^= 1;
    if (how == 2) m.payload.len = 8;                                               /* too short to hold a code */
    if (how == 3) m.options = test_options(NACRE_OPT_OSCORE, "0900", 63, "00", 0); /* with another option beside it */
    return m;
}

typedef struct tally {
    size_t ok, replay, invalid, echo, not_yet, other;
} tally;

static void count(tally *t, nacre_err err)
{
    t->ok += err == NACRE_OK;
    t->replay += err == NACRE_ERR_REPLAY;
    t->invalid += err == NACRE_ERR_PROTECTION_INVALID;
    t->echo += err == NACRE_ERR_REPLAY_ECHO;
    t->not_yet += err == NACRE_ERR_NOT_YET;
    t->other += err == NACRE_ERR_BUFFER_TOO_SMALL || err == NACRE_ERR_DECODE;
}

static void one_burst(uint64_t *state, nacre_context *const one[KINDS], nacre_context *const many[KINDS],
                      const nacre_bytes *pool, tally *seen)
{
    nacre_unprotect_item items[MOST];
    nacre_message outer[MOST], plain[MOST];
    nacre_request_id ids[2][MOST];
    nacre_err errs[MOST];
    size_t num = 1 + pick(state, MOST), fault = pick(state, 3);
    memset(items, 0, sizeof items);
    memset(ids, 0, sizeof ids);
    for (size_t i = 0; i < num; i++) {
        const size_t k = pick(state, KINDS), cap = fault == 1 && pick(state, 6) == 0 ? 1 : 64;
        outer[i] = tampered(pool[pick(state, POOL)], fault == 0 || pick(state, 3) > 0 ? 0 : 1 + pick(state, 3));
        errs[i] = nacre_unprotect_request(one[k], test_crypto(), &ids[0][i], &plain[i], test_buf(cap), &outer[i]);
        items[i] = (nacre_unprotect_item){
            .context = many[k], .id = &ids[1][i], .buf = test_buf(cap), .outer = &outer[i], .is_response = false
        };
        count(seen, errs[i]);
    }
    nacre_unprotect_many(test_crypto(), items, num);
    for (size_t i = 0; i < num; i++) {
        assert_err(items[i].err, errs[i]);
        if (items[i].err == NACRE_OK) assert_bytes(test_datagram(&items[i].plain), test_datagram(&plain[i]));
        else assert_true(test_buf_is_clean(items[i].buf));
        ids[0][i].context = ids[1][i].context = NULL;
        assert_memory_equal(&ids[0][i], &ids[1][i], offsetof(nacre_request_id, flags) + 1); /* the rest is padding */
    }
    for (size_t k = 0; k < KINDS; k++) same_state(one[k], many[k]);
}

/* Few numbers, so that most of a burst are duplicates; contexts live over several bursts, and their stores confirm in
 * between. */
static void a_burst_gives_the_verdicts_of_single_messages(void **unused)
{
    (void)unused;
    uint64_t state = 20;
    tally seen = { 0 };
    for (int round = 0; round < ROUNDS; round++) {
        nacre_context *client = test_context_of(1, TEST_CLIENT), *one[KINDS], *many[KINDS];
        for (size_t k = 0; k < KINDS; k++) one[k] = server_of((kind)k), many[k] = server_of((kind)k);
        for (int burst = 0; burst < BURSTS; burst++) {
            nacre_bytes pool[POOL];
            for (size_t i = 0; i < POOL; i++) pool[i] = request_of(client, pick(&state, 14), pick(&state, 8));
            one_burst(&state, one, many, pool, &seen);
            if (pick(&state, 2) == 0) continue;
            nacre_context_confirm_window_lost(one[STORED]);
            nacre_context_confirm_window_lost(many[STORED]);
        }
        test_release(NULL);
    }
    assert_true(seen.ok > 500 && seen.replay > 500 && seen.invalid > 500);
    assert_true(seen.echo > 100 && seen.not_yet > 100 && seen.other > 100);
}

/* Fixed cases: which of two copies in one burst is tampered with, and how. */
static void a_tampered_copy_of_an_accepted_request_is_a_replay(void **unused)
{
    (void)unused;
    static const struct {
        size_t first, second; /* how each is tampered with */
        nacre_err errs[2];
        uint32_t failed;
    } rows[] = {
        { 0, 0, { NACRE_OK, NACRE_ERR_REPLAY }, 0 },
        { 0, 1, { NACRE_OK, NACRE_ERR_REPLAY }, 0 },
        { 0, 2, { NACRE_OK, NACRE_ERR_REPLAY }, 0 },
        { 1, 0, { NACRE_ERR_PROTECTION_INVALID, NACRE_OK }, 1 },
        { 2, 0, { NACRE_ERR_PROTECTION_INVALID, NACRE_OK }, 0 },
        { 1, 1, { NACRE_ERR_PROTECTION_INVALID, NACRE_ERR_PROTECTION_INVALID }, 2 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_context *client = test_context_of(1, TEST_CLIENT), *server = test_context_of(1, TEST_SERVER);
        nacre_bytes datagram = request_of(client, 5, 0);
        nacre_message outer[] = { tampered(datagram, rows[i].first), tampered(datagram, rows[i].second) };
        nacre_request_id ids[2];
        nacre_unprotect_item items[2];
        memset(items, 0, sizeof items);
        for (size_t k = 0; k < 2; k++)
            items[k] = (nacre_unprotect_item){
                .context = server, .id = &ids[k], .buf = test_buf(64), .outer = &outer[k], .is_response = false
            };
        nacre_unprotect_many(test_crypto(), items, 2);
        for (size_t k = 0; k < 2; k++) assert_err(items[k].err, rows[i].errs[k]);
        assert_int_equal(nacre_context_failed_decryptions(server), rows[i].failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_burst_gives_the_verdicts_of_single_messages),
        TEST(a_tampered_copy_of_an_accepted_request_is_a_replay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
