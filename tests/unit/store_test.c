/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* store_test: the requests of a context, the results of a store, and the confirmations, with the store in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <nacre/nacre.h>
#include <stdlib.h>
#include <string.h>

struct side {
    nacre_context ctx;
    nacre_memory memory;
    nacre_store store;
    void *keys;
    size_t keys_size;
};

struct fixture {
    nacre_crypto crypto;
    struct side client, server;
};

/* As after a restart: the context starts from the stored state. */
static void restart(struct fixture *f, struct side *side, nacre_bytes sender_id, nacre_bytes recipient_id)
{
    nacre_stored stored;
    assert_int_equal(nacre_store_load(&side->store, &stored, NULL), NACRE_OK);
    nacre_context_wipe(&side->ctx);
    nacre_context_params params = {
        .master_secret = { .bytes = NACRE_STR("sixteen bytes ..") },
        .sender_id = sender_id,
        .recipient_id = recipient_id,
        .next_seq = stored.next_seq,
        .persistent = true,
        .echo = NACRE_STR("8 bytes."),
    };
    assert_int_equal(nacre_context_init(&side->ctx, &f->crypto, &params, (nacre_buf){ side->keys, side->keys_size }),
                     NACRE_OK);
    assert_int_equal(nacre_context_set_replay(&side->ctx, stored.window_known, stored.window_index, stored.window_bits,
                                              NACRE_REPLAY_DEFAULT / 8),
                     NACRE_OK);
}

static void make_side(struct fixture *f, struct side *side, nacre_bytes sender_id, nacre_bytes recipient_id)
{
    size_t size = 0, align = 0;
    assert_int_equal(nacre_context_key_layout(&f->crypto, NACRE_AES_CCM_16_64_128, &size, &align), NACRE_OK);
    side->keys = aligned_alloc(align, (size + align - 1) / align * align);
    assert_non_null(side->keys);
    side->keys_size = size;
    nacre_context_params params = {
        .master_secret = { .bytes = NACRE_STR("sixteen bytes ..") },
        .sender_id = sender_id,
        .recipient_id = recipient_id,
        .persistent = true,
        .never_used = true,
        .echo = NACRE_STR("8 bytes."),
    };
    assert_int_equal(nacre_context_init(&side->ctx, &f->crypto, &params, (nacre_buf){ side->keys, size }), NACRE_OK);
    side->store = nacre_memory_store(&side->memory);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(nacre_openssl_open(&f->crypto), NACRE_OK);
    make_side(f, &f->client, NACRE_STR("c"), NACRE_STR("s"));
    make_side(f, &f->server, NACRE_STR("s"), NACRE_STR("c"));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    nacre_context_wipe(&f->client.ctx);
    nacre_context_wipe(&f->server.ctx);
    nacre_openssl_close(&f->crypto);
    free(f->client.keys);
    free(f->server.keys);
    free(f);
    return 0;
}

static nacre_err protect(struct fixture *f, nacre_bytes *out, nacre_buf buf)
{
    static const nacre_message get = { NACRE_CON, NACRE_GET, 1, { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
    nacre_request_id id;
    return nacre_protect_request(&f->client.ctx, &f->crypto, &id, out, buf, &get, NULL);
}

static nacre_err unprotect(struct fixture *f, nacre_bytes datagram)
{
    nacre_request_id id;
    nacre_message outer, plain;
    uint8_t buf[128];
    assert_int_equal(nacre_message_parse(&outer, datagram), NACRE_OK);
    return nacre_unprotect_request(&f->server.ctx, &f->crypto, &id, &plain, NACRE_BUF(buf), &outer);
}

static void reserved_numbers_are_confirmed(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[64];
    nacre_bytes out;
    assert_int_equal(protect(f, &out, NACRE_BUF(buf)), NACRE_ERR_NOT_YET);
    assert_int_equal(nacre_store_serve(&f->client.store, &f->client.ctx, NULL), NACRE_OK);
    assert_int_equal(f->client.memory.num_reserve, 1);
    assert_int_equal(f->client.memory.num_window_lost, 0);
    assert_true(f->client.memory.next_seq == 10);
    assert_int_equal(protect(f, &out, NACRE_BUF(buf)), NACRE_OK);
    /* nothing to persist: the store is not called */
    assert_int_equal(nacre_store_serve(&f->client.store, &f->client.ctx, NULL), NACRE_OK);
    assert_int_equal(f->client.memory.num_reserve, 1);
}

static void a_refusal_is_passed_on(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[64];
    nacre_bytes out;
    nacre_detail why = { "" };
    f->client.memory.result = NACRE_ERR_FILE;
    assert_int_equal(nacre_store_serve(&f->client.store, &f->client.ctx, &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, "NACRE_ERR_FILE"));
    assert_true(f->client.memory.requested == 10);
    assert_true(f->client.memory.next_seq == 0);
    assert_int_equal(protect(f, &out, NACRE_BUF(buf)), NACRE_ERR_NOT_YET);
    f->client.memory.result = NACRE_OK;
    assert_int_equal(nacre_store_serve(&f->client.store, &f->client.ctx, &why), NACRE_OK);
    assert_int_equal(protect(f, &out, NACRE_BUF(buf)), NACRE_OK);
}

static void an_asynchronous_confirmation_is_awaited(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[64];
    nacre_bytes out;
    f->client.memory.result = NACRE_ERR_NOT_YET;
    assert_int_equal(nacre_store_serve(&f->client.store, &f->client.ctx, NULL), NACRE_ERR_NOT_YET);
    assert_int_equal(protect(f, &out, NACRE_BUF(buf)), NACRE_ERR_NOT_YET);
    nacre_context_confirm_reserved(&f->client.ctx, f->client.memory.requested);
    assert_int_equal(protect(f, &out, NACRE_BUF(buf)), NACRE_OK);
}

static void the_window_is_given_up_first(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[64];
    nacre_bytes out;
    assert_int_equal(nacre_store_serve(&f->client.store, &f->client.ctx, NULL), NACRE_OK);
    assert_int_equal(protect(f, &out, NACRE_BUF(buf)), NACRE_OK);

    static const nacre_err results[] = { NACRE_ERR_FILE, NACRE_ERR_NOT_YET };
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(unprotect(f, out), NACRE_ERR_NOT_YET);
        f->server.memory.result = results[i];
        assert_int_equal(nacre_store_serve(&f->server.store, &f->server.ctx, NULL), results[i]);
        assert_int_equal(f->server.memory.num_window_lost, i + 1);
        assert_int_equal(f->server.memory.num_reserve, i + 1); /* numbers are reserved even so */
        assert_false(f->server.memory.window_lost);
    }
    f->server.memory.result = NACRE_OK;
    assert_int_equal(nacre_store_serve(&f->server.store, &f->server.ctx, NULL), NACRE_OK);
    assert_true(f->server.memory.window_lost);
    assert_int_equal(unprotect(f, out), NACRE_OK);
    assert_int_equal(unprotect(f, out), NACRE_ERR_REPLAY);
}

/* When the store's two results differ, the more severe one counts, with its text. */
static nacre_err lost_result, reserve_result;
static nacre_err differ_reserve(void *self, uint64_t ceiling, nacre_detail *why)
{
    (void)self, (void)ceiling;
    if (why != NULL) strcpy(why->text, "reserve");
    return reserve_result;
}
static nacre_err differ_lost(void *self, nacre_detail *why)
{
    (void)self;
    if (why != NULL) strcpy(why->text, "lost");
    return lost_result;
}

static void the_more_severe_result_counts(void **state)
{
    struct fixture *f = *state;
    static const struct {
        nacre_err lost, reserve, result;
        const char *text;
    } rows[] = {
        { NACRE_ERR_NOT_YET, NACRE_ERR_NOT_YET, NACRE_ERR_NOT_YET, NULL },
        { NACRE_OK, NACRE_ERR_NOT_YET, NACRE_ERR_NOT_YET, NULL },
        { NACRE_ERR_NOT_YET, NACRE_OK, NACRE_ERR_NOT_YET, NULL },
        { NACRE_OK, NACRE_ERR_FILE, NACRE_ERR_FILE, "reserve" },
        { NACRE_ERR_FILE, NACRE_OK, NACRE_ERR_FILE, "lost" },
        { NACRE_ERR_NOT_YET, NACRE_ERR_FILE, NACRE_ERR_FILE, "reserve" },
        { NACRE_ERR_FILE, NACRE_ERR_NOT_YET, NACRE_ERR_FILE, "lost" },
        { NACRE_ERR_FILE, NACRE_ERR_NO_MEMORY, NACRE_ERR_FILE, "lost" },
        { NACRE_ERR_NO_MEMORY, NACRE_ERR_FILE, NACRE_ERR_NO_MEMORY, "lost" },
    };
    static const nacre_store_ops ops = {
        .size = sizeof ops, .version = NACRE_STORE_OPS_VERSION, .reserve = differ_reserve, .window_lost = differ_lost
    };
    const nacre_store store = { &ops, NULL };
    uint8_t buf[64];
    nacre_bytes out;
    assert_int_equal(nacre_store_serve(&f->client.store, &f->client.ctx, NULL), NACRE_OK);
    assert_int_equal(protect(f, &out, NACRE_BUF(buf)), NACRE_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre_detail why = { "" };
        tear_down(state); /* a fresh server each time, because confirmations last */
        set_up(state);
        f = *state;
        assert_int_equal(unprotect(f, out), NACRE_ERR_NOT_YET);
        lost_result = rows[i].lost;
        reserve_result = rows[i].reserve;
        assert_int_equal(nacre_store_serve(&store, &f->server.ctx, &why), rows[i].result);
        if (rows[i].text != NULL) assert_string_equal(why.text, rows[i].text);
    }
}

static void saving_stores_the_exact_state(void **state)
{
    struct fixture *f = *state;
    uint8_t bufs[3][64];
    nacre_bytes out[3];
    assert_int_equal(nacre_store_serve(&f->client.store, &f->client.ctx, NULL), NACRE_OK);
    for (size_t i = 0; i < 3; i++) assert_int_equal(protect(f, &out[i], NACRE_BUF(bufs[i])), NACRE_OK);
    assert_int_equal(unprotect(f, out[0]), NACRE_ERR_NOT_YET);
    assert_int_equal(nacre_store_serve(&f->server.store, &f->server.ctx, NULL), NACRE_OK);
    assert_int_equal(unprotect(f, out[0]), NACRE_OK);
    assert_int_equal(unprotect(f, out[2]), NACRE_OK);

    nacre_store store = f->client.store;
    assert_int_equal(store.ops->save(store.self, &f->client.ctx, NULL), NACRE_OK);
    assert_true(f->client.memory.next_seq == 3);
    store = f->server.store;
    f->server.memory.result = NACRE_ERR_FILE;
    assert_int_equal(store.ops->save(store.self, &f->server.ctx, NULL), NACRE_ERR_FILE);
    assert_true(f->server.memory.window_lost);
    f->server.memory.result = NACRE_OK;
    assert_int_equal(store.ops->save(store.self, &f->server.ctx, NULL), NACRE_OK);
    assert_false(f->server.memory.window_lost);
    assert_true(f->server.memory.window_index == 0);
    assert_int_equal(f->server.memory.window_bits[0], 5);
    assert_int_equal(f->server.memory.num_save, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* A save in between has a lower number than was reserved: what follows waits for the store again, on both sides. */
static void a_save_in_between_revokes_reservations(void **state)
{
    struct fixture *f = *state;
    uint8_t bufs[2][64];
    nacre_bytes requests[2];
    assert_int_equal(nacre_store_serve(&f->client.store, &f->client.ctx, NULL), NACRE_OK);
    assert_int_equal(protect(f, &requests[0], NACRE_BUF(bufs[0])), NACRE_OK);
    assert_int_equal(nacre_store_save(&f->client.store, &f->client.ctx, NULL), NACRE_OK);
    assert_true(f->client.memory.next_seq == 1);
    assert_int_equal(protect(f, &requests[1], NACRE_BUF(bufs[1])), NACRE_ERR_NOT_YET);
    assert_int_equal(nacre_store_serve(&f->client.store, &f->client.ctx, NULL), NACRE_OK);
    assert_true(f->client.memory.next_seq > 1);
    assert_int_equal(protect(f, &requests[1], NACRE_BUF(bufs[1])), NACRE_OK);

    assert_int_equal(unprotect(f, requests[0]), NACRE_ERR_NOT_YET);
    assert_int_equal(nacre_store_serve(&f->server.store, &f->server.ctx, NULL), NACRE_OK);
    assert_true(f->server.memory.window_lost);
    assert_int_equal(unprotect(f, requests[0]), NACRE_OK);
    assert_int_equal(nacre_store_save(&f->server.store, &f->server.ctx, NULL), NACRE_OK);
    assert_false(f->server.memory.window_lost);
    assert_int_equal(f->server.memory.window_bits[0], 1);
    assert_int_equal(unprotect(f, requests[1]), NACRE_ERR_NOT_YET); /* RFC 8613 B.1.2: unknown first, again */
    assert_int_equal(unprotect(f, requests[0]), NACRE_ERR_REPLAY);
    assert_int_equal(nacre_store_serve(&f->server.store, &f->server.ctx, NULL), NACRE_OK);
    assert_true(f->server.memory.window_lost);
    assert_int_equal(unprotect(f, requests[1]), NACRE_OK);
}

/* Also when it fails, because it may have been written. */
static void a_failed_save_confirms_nothing_either(void **state)
{
    struct fixture *f = *state;
    uint8_t buf[64];
    nacre_bytes out;
    nacre_detail why = { "" };
    assert_int_equal(nacre_store_serve(&f->client.store, &f->client.ctx, NULL), NACRE_OK);
    assert_int_equal(protect(f, &out, NACRE_BUF(buf)), NACRE_OK);
    f->client.memory.result = NACRE_ERR_FILE;
    assert_int_equal(nacre_store_save(&f->client.store, &f->client.ctx, &why), NACRE_ERR_FILE);
    assert_int_equal(protect(f, &out, NACRE_BUF(buf)), NACRE_ERR_NOT_YET);
    f->client.memory.result = NACRE_OK;
    assert_int_equal(nacre_store_serve(&f->client.store, &f->client.ctx, NULL), NACRE_OK);
    assert_int_equal(protect(f, &out, NACRE_BUF(buf)), NACRE_OK);
}

/* After a crash numbers go on above the reserved ones and the window is unknown; after a clean end both go on
 * exactly. */
static void the_stored_state_is_loaded(void **state)
{
    struct fixture *f = *state;
    uint8_t bufs[2][64];
    nacre_bytes out[2];
    const nacre_bytes c = NACRE_STR("c"), s = NACRE_STR("s");
    restart(f, &f->client, c, s); /* nothing is stored: new keys */
    restart(f, &f->server, s, c);
    assert_int_equal(nacre_context_next_seq(&f->client.ctx), 0);
    assert_true(nacre_context_replay(&f->server.ctx)->known);
    assert_int_equal(nacre_store_serve(&f->client.store, &f->client.ctx, NULL), NACRE_OK);
    assert_int_equal(protect(f, &out[0], NACRE_BUF(bufs[0])), NACRE_OK);
    assert_int_equal(unprotect(f, out[0]), NACRE_ERR_NOT_YET);
    assert_int_equal(nacre_store_serve(&f->server.store, &f->server.ctx, NULL), NACRE_OK);
    assert_int_equal(unprotect(f, out[0]), NACRE_OK);
    for (int clean = 1; clean >= 0; clean--) {
        if (clean) assert_int_equal(nacre_store_save(&f->client.store, &f->client.ctx, NULL), NACRE_OK);
        if (clean) assert_int_equal(nacre_store_save(&f->server.store, &f->server.ctx, NULL), NACRE_OK);
        restart(f, &f->client, c, s);
        restart(f, &f->server, s, c);
        assert_int_equal(nacre_context_next_seq(&f->client.ctx), clean ? 1 : 11);
        assert_int_equal(nacre_context_replay(&f->server.ctx)->known, clean);
        assert_int_equal(unprotect(f, out[0]), clean ? NACRE_ERR_REPLAY : NACRE_ERR_REPLAY_ECHO);
        assert_int_equal(protect(f, &out[1], NACRE_BUF(bufs[1])), NACRE_ERR_NOT_YET);
        assert_int_equal(nacre_store_serve(&f->client.store, &f->client.ctx, NULL), NACRE_OK);
        assert_int_equal(protect(f, &out[1], NACRE_BUF(bufs[1])), NACRE_OK);
        if (!clean) continue;
        assert_int_equal(unprotect(f, out[1]), NACRE_ERR_NOT_YET);
        assert_int_equal(nacre_store_serve(&f->server.store, &f->server.ctx, NULL), NACRE_OK);
        assert_int_equal(unprotect(f, out[1]), NACRE_OK);
    }
}

static nacre_stored given;

static nacre_err give(void *self, nacre_stored *state, nacre_detail *why)
{
    (void)self, (void)why;
    *state = given;
    return NACRE_OK;
}

static void invalid_states_are_not_loaded(void **state)
{
    (void)state;
    static const struct {
        nacre_stored given;
        nacre_err err;
    } rows[] = {
        { { .next_seq = NACRE_SEQ_MAX + 1 }, NACRE_OK },
        { { .next_seq = NACRE_SEQ_MAX + 2 }, NACRE_ERR_BAD_CONTEXT },
        { { .window_known = true, .window_index = NACRE_SEQ_MAX + 1 }, NACRE_OK },
        { { .window_known = true, .window_index = NACRE_SEQ_MAX + 2 }, NACRE_ERR_BAD_CONTEXT },
        { { .window_known = false, .window_index = NACRE_SEQ_MAX + 2 }, NACRE_OK },
    };
    static const nacre_store_ops gives = { .size = sizeof gives, .version = NACRE_STORE_OPS_VERSION, .load = give };
    static const nacre_store_ops gives_not = { .size = sizeof gives_not, .version = NACRE_STORE_OPS_VERSION };
    const nacre_store store = { &gives, NULL }, without = { &gives_not, NULL };
    nacre_stored got = { .next_seq = 77 };
    nacre_detail why = { "" };
    assert_int_equal(nacre_store_load(&without, &got, &why), NACRE_ERR_UNSUPPORTED);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        got.next_seq = 77;
        given = rows[i].given;
        assert_int_equal(nacre_store_load(&store, &got, &why), rows[i].err);
        assert_int_equal(got.next_seq, rows[i].err == NACRE_OK ? given.next_seq : 77);
    }
    nacre_memory memory = { .result = NACRE_ERR_FILE };
    const nacre_store failing = nacre_memory_store(&memory);
    assert_int_equal(nacre_store_load(&failing, &got, &why), NACRE_ERR_FILE);
}

static nacre_err never(void)
{
    fail_msg("a function of a table of another version was called");
    return NACRE_OK;
}
static nacre_err never_reserve(void *self, uint64_t ceiling, nacre_detail *why)
{
    (void)self, (void)ceiling, (void)why;
    return never();
}
static nacre_err never_lost(void *self, nacre_detail *why)
{
    (void)self, (void)why;
    return never();
}
static nacre_err never_save(void *self, const nacre_context *ctx, nacre_detail *why)
{
    (void)self, (void)ctx, (void)why;
    return never();
}
static nacre_err never_load(void *self, nacre_stored *state, nacre_detail *why)
{
    (void)self, (void)state, (void)why;
    return never();
}

/* An all-zero head, a later version, and a table that is too short are refused. */
static void a_table_of_another_version_is_not_called(void **state)
{
    struct fixture *f = *state;
    static const struct {
        size_t size;
        uint32_t version;
    } rows[] = { { 0, 0 },
                 { sizeof(nacre_store_ops), NACRE_STORE_OPS_VERSION + 1 },
                 { offsetof(nacre_store_ops, submit) - 1, NACRE_STORE_OPS_VERSION } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const nacre_store_ops ops = { .size = rows[i].size,
                                      .version = rows[i].version,
                                      .reserve = never_reserve,
                                      .window_lost = never_lost,
                                      .save = never_save,
                                      .load = never_load };
        const nacre_store store = { &ops, NULL };
        nacre_stored got = { .next_seq = 77 };
        nacre_detail why = { "" };
        assert_int_equal(nacre_store_serve(&store, &f->server.ctx, &why), NACRE_ERR_BAD_ARGUMENT);
        assert_non_null(strstr(why.text, "version"));
        assert_int_equal(nacre_store_save(&store, &f->server.ctx, &why), NACRE_ERR_BAD_ARGUMENT);
        assert_int_equal(nacre_store_load(&store, &got, &why), NACRE_ERR_BAD_ARGUMENT);
        assert_int_equal(got.next_seq, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_stored_state_is_loaded),
        TEST(invalid_states_are_not_loaded),
        TEST(reserved_numbers_are_confirmed),
        TEST(a_refusal_is_passed_on),
        TEST(an_asynchronous_confirmation_is_awaited),
        TEST(the_window_is_given_up_first),
        TEST(the_more_severe_result_counts),
        TEST(saving_stores_the_exact_state),
        TEST(a_save_in_between_revokes_reservations),
        TEST(a_failed_save_confirms_nothing_either),
        TEST(a_table_of_another_version_is_not_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
