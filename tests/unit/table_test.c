/* SPDX-License-Identifier: MIT */
/* Labels: slow cross */
/* table_test: finding a context by kid and kid context (RFC 8613 3.3, 5.1, 8.2 step 2). */
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX = 64 };

/* Each has its own keys. */
static nacre_context *context(const char *recipient_id, const char *id_context)
{
    static uint64_t num;
    nacre_context_params params = test_params(1, TEST_SERVER);
    uint8_t *salt = test_alloc(sizeof num);
    num++;
    memcpy(salt, &num, sizeof num);
    params.master_salt = nacre_bytes_of(salt, sizeof num);
    params.sender_id = test_hex("ffffffffffffff");
    params.recipient_id = test_hex(recipient_id);
    params.id_context = test_hex(id_context);
    return test_context(&params);
}

static nacre_table *table_of(size_t num_slots)
{
    nacre_table *table = test_alloc(sizeof *table);
    assert_ok(nacre_table_init(table, test_alloc(num_slots * sizeof(nacre_table_slot)), num_slots));
    return table;
}

static size_t find_all(const nacre_table *table, const char *kid, const char *kid_context, nacre_context *found[MAX])
{
    size_t cursor = 0, num = 0;
    nacre_context *ctx;
    while ((ctx = nacre_table_find(table, test_hex(kid), test_hex(kid_context), &cursor)) != NULL) {
        assert_true(num < MAX);
        found[num++] = ctx;
    }
    assert_null(nacre_table_find(table, test_hex(kid), test_hex(kid_context), &cursor)); /* and does not move on */
    return num;
}

static bool is_in(nacre_context *const *found, size_t num, const nacre_context *ctx)
{
    size_t times = 0;
    for (size_t i = 0; i < num; i++) times += found[i] == ctx;
    assert_true(times <= 1); /* each is yielded once */
    return times == 1;
}

static void init_refuses_invalid_arguments(void **state)
{
    (void)state;
    nacre_table table;
    nacre_table_slot slots[16];
    assert_err(nacre_table_init(&table, slots, 0), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_table_init(&table, slots, 1), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_table_init(&table, slots, (size_t)NACRE_TABLE_MAX_SLOTS + 1), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_table_init(&table, NULL, 16), NACRE_ERR_BAD_ARGUMENT);
    assert_ok(nacre_table_init(&table, slots, 2));
    assert_ok(nacre_table_init(&table, slots, 3));
    assert_ok(nacre_table_init(&table, slots, 16));
    nacre_context *found[MAX];
    assert_int_equal(find_all(&table, "", NULL, found), 0);
}

/* An absent kid context matches any; a present one must equal the ID Context; an empty one is not absent. */
static void kid_and_kid_context_select_contexts(void **state)
{
    (void)state;
    nacre_table *table = table_of(32);
    static const char *const id_contexts[] = { NULL, "", "aa", "aabb" };
    static const char *const kids[] = { "", "00", "01", "0100", "01020304050607" };
    nacre_context *all[COUNT(kids)][COUNT(id_contexts)], *found[MAX];
    for (size_t k = 0; k < COUNT(kids); k++)
        for (size_t c = 0; c < COUNT(id_contexts); c++)
            assert_ok(nacre_table_add(table, all[k][c] = context(kids[k], id_contexts[c])));
    for (size_t k = 0; k < COUNT(kids); k++) {
        size_t num = find_all(table, kids[k], NULL, found);
        assert_int_equal(num, COUNT(id_contexts));
        assert_ptr_equal(found[0], all[k][0]);
        for (size_t c = 0; c < COUNT(id_contexts); c++) assert_true(is_in(found, num, all[k][c]));
        for (size_t c = 1; c < COUNT(id_contexts); c++) {
            num = find_all(table, kids[k], id_contexts[c], found);
            assert_int_equal(num, 1);
            assert_ptr_equal(found[0], all[k][c]);
        }
        assert_int_equal(find_all(table, kids[k], "bb", found), 0);
    }
    assert_int_equal(find_all(table, "02", NULL, found), 0);
    assert_int_equal(find_all(table, "0102030405060708", NULL, found), 0); /* longer than any ID */
    assert_int_equal(find_all(table, "0001", NULL, found), 0);
}

static void all_contexts_of_one_kid_are_found(void **state)
{
    (void)state;
    nacre_table *table = table_of(8);
    nacre_context *all[6], *found[MAX];
    for (size_t i = 0; i < COUNT(all); i++) assert_ok(nacre_table_add(table, all[i] = context("07", NULL)));
    size_t num = find_all(table, "07", NULL, found);
    assert_int_equal(num, COUNT(all));
    for (size_t i = 0; i < COUNT(all); i++) assert_true(is_in(found, num, all[i]));
    assert_int_equal(find_all(table, "07", "", found), 0);
}

static void the_computed_size_is_enough(void **state)
{
    (void)state;
    static const uint8_t id_contexts[60][2];
    for (size_t num = 0; num < COUNT(id_contexts); num++) {
        nacre_table *table = table_of(nacre_table_num_slots(num));
        for (size_t i = 0; i < num; i++) {
            nacre_context *ctx = context("07", NULL);
            ctx->id_context = id_contexts[i];
            ctx->id_context_len = (uint8_t)(i % 3);
            assert_ok(nacre_table_add(table, ctx));
        }
        assert_in_range(nacre_table_num_slots(num), num, num + num / 3 + 2);
    }
}

static void a_full_table_and_a_second_addition_are_refused(void **state)
{
    (void)state;
    for (size_t slots = 4; slots <= 68; slots += slots < 12 ? 1 : 7) {
        nacre_table *table = table_of(slots);
        nacre_context *first = context("00", NULL), *found[MAX];
        assert_ok(nacre_table_add(table, first));
        assert_err(nacre_table_add(table, first), NACRE_ERR_BAD_ARGUMENT);
        size_t num = 1;
        nacre_err err = NACRE_OK;
        while (!err) {
            char id[3] = { "0123456789abcdef"[num / 16], "0123456789abcdef"[num % 16], 0 };
            err = nacre_table_add(table, context(id, NULL));
            if (!err) num++;
        }
        assert_err(err, NACRE_ERR_BUFFER_TOO_SMALL);
        assert_int_equal(num, slots - (slots + 3) / 4);          /* three quarters full */
        assert_int_equal(find_all(table, "fe", NULL, found), 0); /* a search still ends */
        nacre_table_remove(table, first);
        assert_ok(nacre_table_add(table, first));
        assert_err(nacre_table_add(table, first), NACRE_ERR_BAD_ARGUMENT);
    }
}

/* For a request without kid context, contexts without ID Context are tried first, in any order of addition, and also
 * after the context through which the others are found is removed. */
static void contexts_without_id_context_are_tried_first(void **state)
{
    (void)state;
    static const char *const id_contexts[] = { "aa", NULL, "bb", "", NULL, "cc", "dd" };
    nacre_table *table = table_of(11);
    nacre_context *all[COUNT(id_contexts)], *found[MAX];
    for (size_t i = 0; i < COUNT(all); i++) assert_ok(nacre_table_add(table, all[i] = context("07", id_contexts[i])));
    for (size_t out = 0; out < COUNT(all); out++) {
        nacre_table_remove(table, all[out]);
        size_t num = find_all(table, "07", NULL, found), num_without = 0;
        assert_int_equal(num, COUNT(all) - 1);
        for (size_t i = 0; i < COUNT(all); i++) assert_int_equal(is_in(found, num, all[i]), i != out);
        while (num_without < num && nacre_is_absent(nacre_context_id_context(found[num_without]))) num_without++;
        assert_int_equal(num_without, id_contexts[out] == NULL ? 1 : 2);
        assert_int_equal(find_all(table, "07", id_contexts[out], found), id_contexts[out] == NULL ? num : 0);
        assert_ok(nacre_table_add(table, all[out]));
    }
}

/* Additions and removals in random order, with many contexts on few kids: always exactly the present contexts are
 * found, in tables of any size. */
static void random_additions_and_removals(size_t num_slots, int num_steps)
{
    enum { NUM = 48, KIDS = 4 };
    const size_t num_most = num_slots - (num_slots + 3) / 4;
    static const char *const kids[KIDS] = { "", "01", "02", "01020304050607" };
    static const char *const id_contexts[] = { NULL, "", "cc", "0102030405060708", "0102030405060709aa", "c1", "c2" };
    nacre_table *table = table_of(num_slots);
    nacre_context *all[NUM], *found[MAX];
    bool in[NUM] = { false };
    for (size_t i = 0; i < NUM; i++) all[i] = context(kids[i % KIDS], id_contexts[i / KIDS % COUNT(id_contexts)]);
    uint64_t random = num_slots;
    for (int step = 0; step < num_steps; step++) {
        size_t i = (size_t)(test_random(&random) % NUM);
        if (in[i]) {
            nacre_table_remove(table, all[i]);
            in[i] = false;
            nacre_table_remove(table, all[i]); /* absent: no effect */
        } else if (table->num_contexts < num_most) {
            assert_ok(nacre_table_add(table, all[i]));
            assert_err(nacre_table_add(table, all[i]), NACRE_ERR_BAD_ARGUMENT);
            in[i] = true;
        }
        if (step % 10) continue;
        for (size_t k = 0; k < KIDS; k++)
            for (size_t c = 0; c < COUNT(id_contexts); c++) {
                size_t num = find_all(table, kids[k], id_contexts[c], found), expected = 0;
                for (size_t j = 0; j < NUM; j++) {
                    bool fits = in[j] && j % KIDS == k && (c == 0 || j / KIDS % COUNT(id_contexts) == c);
                    expected += fits;
                    assert_int_equal(is_in(found, num, all[j]), fits);
                }
                assert_int_equal(num, expected);
            }
    }
}

static void random_additions_and_removals_are_exact(void **state)
{
    (void)state;
    for (size_t num_slots = 64; num_slots <= 80; num_slots += 5) random_additions_and_removals(num_slots, 3000);
}

/* Small tables are searched without SipHash, and entries after the last whole group one by one. */
static void tables_of_every_small_size_find_their_contexts(void **state)
{
    (void)state;
    for (size_t num_slots = 2; num_slots <= 40; num_slots++) random_additions_and_removals(num_slots, 500);
}

/* Many queries at once find what single searches find, in the same order, also when each continues by its cursor; among
 * them unknown, absent and overlong kids. */
static void many_queries_at_once_equal_single_ones(void **state)
{
    (void)state;
    enum { NUM = 40, QUERIES = 75 };
    static const char *const kids[] = { "", "01", "02", "0102", "ff00ff", "01020304050607", "03", "0102030405060708" };
    static const char *const id_contexts[] = { NULL, "", "cc", "dd", "ee", "ff" };
    nacre_table *table = table_of(60);
    for (size_t i = 0; i < NUM; i++) assert_ok(nacre_table_add(table, context(kids[i % 6], id_contexts[i / 6 % 5])));
    uint64_t random = 9;
    for (int round = 0; round < 50; round++) {
        nacre_table_query queries[QUERIES];
        size_t cursors[QUERIES] = { 0 }, num = (size_t)(test_random(&random) % (QUERIES + 1)), some = 1, seen = 0;
        for (size_t i = 0; i < num; i++) {
            const char *kid = kids[test_random(&random) % COUNT(kids)];
            nacre_bytes kid_context = test_hex(id_contexts[test_random(&random) % COUNT(id_contexts)]);
            queries[i] = (nacre_table_query){ i % 9 == 8 ? NACRE_ABSENT : test_hex(kid), kid_context, 0, NULL };
        }
        while (some > 0) {
            some = 0;
            nacre_table_find_many(table, queries, num);
            for (size_t i = 0; i < num; i++) {
                assert_ptr_equal(queries[i].context,
                                 nacre_table_find(table, queries[i].kid, queries[i].kid_context, &cursors[i]));
                some += queries[i].context != NULL;
            }
            seen += some;
        }
        assert_true(num < 20 || seen > num / 2);
    }
}

/* ---- The number of contexts read: each sits on a protected page, and every read is counted ---- */

static uint8_t *pages; /* one context per page */
static size_t page_size, num_pages;
static volatile size_t num_read;

static void on_read(int signal_number, siginfo_t *info, void *machine)
{
    (void)signal_number;
    (void)machine;
    size_t page = (size_t)((uint8_t *)info->si_addr - pages) / page_size;
    if (page >= num_pages || mprotect(pages + page * page_size, page_size, PROT_READ) != 0) abort();
    num_read++;
}

static void watch_reads(bool on)
{
    struct sigaction action = { .sa_sigaction = on_read, .sa_flags = SA_SIGINFO };
    if (!on) action = (struct sigaction){ .sa_handler = SIG_DFL };
    assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
    assert_int_equal(mprotect(pages, num_pages * page_size, on ? PROT_NONE : PROT_READ | PROT_WRITE), 0);
}

/* Copies of one context with other IDs, one per page. */
static nacre_context *context_on_page(size_t i)
{
    return (nacre_context *)(void *)(pages + i * page_size);
}

static void open_pages(size_t num)
{
    const nacre_context *one = context("00", NULL);
    page_size = (size_t)sysconf(_SC_PAGESIZE);
    num_pages = num;
    pages = mmap(NULL, num * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    for (size_t i = 0; i < num; i++) *context_on_page(i) = *one;
}

static void close_pages(void)
{
    assert_int_equal(munmap(pages, num_pages * page_size), 0);
}

static void put_number(uint8_t *to, size_t len, size_t number)
{
    for (size_t i = len; i > 0; i--, number >>= 8) to[i - 1] = (uint8_t)number;
}

/* Searches for a number of kids or kid contexts; returns how many contexts were read. */
static size_t reads_of(const nacre_table *table, size_t num, bool by_context, size_t first,
                       nacre_context *const *wanted)
{
    size_t sum = 0;
    for (size_t i = 0; i < num; i++) {
        uint8_t kid[3] = { 9, 9, 9 }, kid_context[9] = { 0 };
        nacre_table_query query = { .kid = NACRE_ARRAY(kid) };
        if (by_context) query.kid_context = NACRE_ARRAY(kid_context);
        put_number(by_context ? kid_context : kid, by_context ? 9 : 3, first + i);
        watch_reads(true);
        num_read = 0;
        size_t cursor = 0;
        const nacre_context *found = nacre_table_find(table, query.kid, query.kid_context, &cursor);
        sum += num_read;
        nacre_table_find_many(table, &query, 1);
        watch_reads(false);
        assert_ptr_equal(found, wanted != NULL ? wanted[i] : NULL);
        assert_ptr_equal(query.context, found);
    }
    return sum;
}

/* An unknown kid is rejected without reading any context, except where tags match by chance. */
static void unknown_kids_read_no_context(void **state)
{
    (void)state;
    enum { NUM = 1500, QUERIES = 5000 };
    nacre_table *table = table_of(2000);
    nacre_context *all[NUM];
    open_pages(NUM);
    for (size_t i = 0; i < NUM; i++) {
        all[i] = context_on_page(i);
        all[i]->recipient_id_len = 3;
        put_number(all[i]->recipient_id, 3, 7000 + i);
        assert_ok(nacre_table_add(table, all[i]));
    }
    assert_in_range(reads_of(table, NUM, false, 7000, all), NUM, NUM + NUM / 100);
    assert_in_range(reads_of(table, QUERIES, false, 7000 + NUM, NULL), 0, QUERIES / 100);
    close_pages();
}

/* Many contexts with one kid: finding, missing, adding or removing one does not read the others. (RFC 8613 3.3: the ID
 * Context tells them apart.) */
static void many_contexts_of_one_kid_are_not_read(void **state)
{
    (void)state;
    enum { NUM = 1500 };
    static uint8_t id_contexts[NUM][9];
    nacre_table *table = table_of(2000);
    nacre_context *all[NUM];
    size_t sum = 0;
    open_pages(NUM);
    for (size_t i = 0; i < NUM; i++) {
        all[i] = context_on_page(i);
        all[i]->recipient_id_len = 3;
        memset(all[i]->recipient_id, 9, 3);
        put_number(id_contexts[i], 9, 7000 + i);
        all[i]->id_context = id_contexts[i];
        all[i]->id_context_len = 9;
    }
    for (size_t i = 0; i < NUM; i++) {
        watch_reads(true);
        num_read = 0;
        nacre_err err = nacre_table_add(table, all[i]);
        sum += num_read;
        watch_reads(false);
        assert_ok(err);
    }
    assert_in_range(sum, NUM, 2 * NUM + NUM / 50); /* itself, and the one through which the others are found */
    assert_in_range(reads_of(table, NUM, true, 7000, all), NUM, 2 * NUM + NUM / 50);
    assert_in_range(reads_of(table, NUM, true, 7000 + NUM, NULL), NUM, NUM + NUM / 50);
    sum = 0;
    for (size_t i = 0; i < NUM; i++) {
        watch_reads(true);
        num_read = 0;
        nacre_table_remove(table, all[i * 7 % NUM]);
        sum += num_read;
        watch_reads(false);
        size_t cursor = 0, num = 0;
        while (i % 100 == 0 && nacre_table_find(table, nacre_context_recipient_id(all[0]), NACRE_ABSENT, &cursor))
            num++;
        assert_int_equal(num, i % 100 == 0 ? NUM - i - 1 : 0);
    }
    assert_in_range(sum, NUM, 8 * NUM); /* and those after it that move up */
    assert_int_equal(table->num_contexts, 0);
    close_pages();
}

/* ---- One Recipient Key, two windows ---- */

static nacre_context *with(nacre_context_params params, const char *sender_id, const char *recipient_id,
                           const char *id_context)
{
    params.sender_id = test_hex(sender_id);
    params.recipient_id = test_hex(recipient_id);
    params.id_context = test_hex(id_context);
    return test_context(&params);
}

/* RFC 8613 3.3: a number that one window has seen would be accepted by a second one under the same Recipient Key. */
static void a_second_window_under_one_recipient_key_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *what, *sender_id, *recipient_id, *id_context;
        bool other_secret;
        nacre_err err;
    } rows[] = {
        { "the same", "01", "07", NULL, false, NACRE_ERR_DUPLICATE_CONTEXT },
        { "another Sender ID", "02", "07", NULL, false, NACRE_ERR_DUPLICATE_CONTEXT },
        { "another Recipient ID", "01", "08", NULL, false, NACRE_OK },
        { "the other side", "07", "01", NULL, false, NACRE_OK },
        { "another secret", "01", "07", NULL, true, NACRE_OK },
        { "an empty ID Context", "01", "07", "", false, NACRE_OK },
        { "an ID Context", "01", "07", "aa", false, NACRE_OK },
        { "it once more", "01", "07", "aa", false, NACRE_ERR_DUPLICATE_CONTEXT },
        { "a second ID Context", "01", "07", "bb", false, NACRE_OK },
        { "it once more", "02", "07", "bb", false, NACRE_ERR_DUPLICATE_CONTEXT },
        { "an ID Context of another secret", "01", "07", "bb", true, NACRE_OK },
        { "the first once more", "01", "07", NULL, false, NACRE_ERR_DUPLICATE_CONTEXT },
    };
    nacre_table *table = table_of(32);
    nacre_context_params params = test_params(1, TEST_SERVER), other = params;
    other.master_secret.bytes = test_hex("0102030405060708090a0b0c0d0e0f11");
    size_t num = 1;
    assert_ok(nacre_table_add(table, with(params, "01", "07", NULL)));
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_context *ctx =
            with(rows[i].other_secret ? other : params, rows[i].sender_id, rows[i].recipient_id, rows[i].id_context);
        assert_err_row(rows[i].what, nacre_table_add(table, ctx), rows[i].err);
        num += rows[i].err == NACRE_OK;
        assert_int_equal(table->num_contexts, num);
    }
}

/* A refused context is not added, and the first one stays; after that is removed, the other is accepted. */
static void a_refusal_leaves_the_table_unchanged(void **state)
{
    (void)state;
    nacre_table *table = table_of(8);
    const nacre_context_params params = test_params(1, TEST_SERVER);
    nacre_context *first = test_context(&params), *twin = test_context(&params), *found[MAX];
    assert_ok(nacre_table_add(table, first));
    assert_err(nacre_table_add(table, twin), NACRE_ERR_DUPLICATE_CONTEXT);
    nacre_table_remove(table, twin);
    assert_int_equal(find_all(table, "", NULL, found), 1);
    assert_ptr_equal(found[0], first);
    nacre_table_remove(table, first);
    assert_ok(nacre_table_add(table, twin));
}

/* IDs that collide under the key zero are found under any key; positions depend on the key. */
static void positions_depend_on_the_hash_key(void **state)
{
    enum { SLOTS = 1000, CONTEXTS = 500, KEYS = 3 };
    (void)state;
    nacre_table *tables[KEYS];
    nacre_context *all[CONTEXTS], *found[MAX];
    for (size_t k = 0; k < KEYS; k++) {
        const uint8_t key[NACRE_TABLE_HASH_KEY] = { [15] = (uint8_t)k };
        tables[k] = table_of(SLOTS);
        if (k > 0) assert_ok(nacre_table_set_hash_key(tables[k], key));
    }
    for (size_t i = 0; i < CONTEXTS; i++) {
        char kid[] = "00000000", id_context[] = "000000";
        snprintf(kid, sizeof kid, "%08x", (unsigned)(i / 2));
        snprintf(id_context, sizeof id_context, "%06x", (unsigned)i);
        all[i] = context(kid, id_context);
        for (size_t k = 0; k < KEYS; k++) assert_ok(nacre_table_add(tables[k], all[i]));
    }
    size_t same = 0;
    for (size_t i = 0; i < SLOTS; i++)
        same += tables[0]->slots[i].context != NULL && tables[0]->slots[i].context == tables[1]->slots[i].context;
    assert_true(same < CONTEXTS / 50);
    for (size_t k = 0; k < KEYS; k++) {
        for (size_t i = 0; i < CONTEXTS; i++) {
            char kid[] = "00000000", id_context[] = "000000";
            snprintf(kid, sizeof kid, "%08x", (unsigned)(i / 2));
            snprintf(id_context, sizeof id_context, "%06x", (unsigned)i);
            assert_int_equal(find_all(tables[k], kid, id_context, found), 1);
            assert_ptr_equal(found[0], all[i]);
            assert_int_equal(find_all(tables[k], kid, NULL, found), 2);
            if (i % 3 != 0) continue;
            nacre_table_remove(tables[k], all[i]);
            assert_ok(nacre_table_add(tables[k], all[i]));
        }
    }
}

static void a_table_with_contexts_keeps_its_hash_key(void **state)
{
    (void)state;
    static const uint8_t key[NACRE_TABLE_HASH_KEY] = { 1 };
    nacre_table *table = table_of(8);
    nacre_context *ctx = context("01", "aa"), *found[MAX];
    assert_ok(nacre_table_add(table, ctx));
    assert_err(nacre_table_set_hash_key(table, key), NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(find_all(table, "01", "aa", found), 1);
    nacre_table_remove(table, ctx);
    assert_ok(nacre_table_set_hash_key(table, key));
    assert_ok(nacre_table_add(table, ctx));
    assert_int_equal(find_all(table, "01", "aa", found), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(init_refuses_invalid_arguments),
        TEST(kid_and_kid_context_select_contexts),
        TEST(all_contexts_of_one_kid_are_found),
        TEST(contexts_without_id_context_are_tried_first),
        TEST(the_computed_size_is_enough),
        TEST(a_full_table_and_a_second_addition_are_refused),
        TEST(random_additions_and_removals_are_exact),
        TEST(tables_of_every_small_size_find_their_contexts),
        TEST(a_second_window_under_one_recipient_key_is_refused),
        TEST(a_refusal_leaves_the_table_unchanged),
        TEST(many_queries_at_once_equal_single_ones),
        TEST(unknown_kids_read_no_context),
        TEST(many_contexts_of_one_kid_are_not_read),
        TEST(positions_depend_on_the_hash_key),
        TEST(a_table_with_contexts_keeps_its_hash_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
