/* SPDX-License-Identifier: MIT */
/* table of the context room: finding a context by kid and kid context (RFC 8613 3.3, 5.1, 8.2 step 2). */
#include "support.h"

#include <sys/mman.h>
#include <unistd.h>

enum { MAX = 64 };

static nacre_context *context(const char *recipient_id, const char *id_context)
{
    nacre_context_params params = test_params(1, TEST_SERVER);
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
    assert_null(nacre_table_find(table, test_hex(kid), test_hex(kid_context), &cursor)); /* and stays at the end */
    return num;
}

static bool is_in(nacre_context *const *found, size_t num, const nacre_context *ctx)
{
    size_t times = 0;
    for (size_t i = 0; i < num; i++) times += found[i] == ctx;
    assert_true(times <= 1); /* each is yielded once */
    return times == 1;
}

static void test_init_refuses(void **state)
{
    (void)state;
    nacre_table table;
    nacre_table_slot slots[16];
    assert_err(nacre_table_init(&table, slots, 0), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_table_init(&table, slots, 3), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_table_init(&table, slots, 12), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_table_init(&table, NULL, 16), NACRE_ERR_BAD_ARGUMENT);
    assert_ok(nacre_table_init(&table, slots, 16));
    nacre_context *found[MAX];
    assert_int_equal(find_all(&table, "", NULL, found), 0);
}

/* kid context: absent, any will do; present, it must be the ID Context; present and empty is not absent. */
static void test_kid_and_kid_context(void **state)
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
        for (size_t c = 0; c < COUNT(id_contexts); c++) assert_true(is_in(found, num, all[k][c]));
        for (size_t c = 1; c < COUNT(id_contexts); c++) {
            num = find_all(table, kids[k], id_contexts[c], found);
            assert_int_equal(num, 1);
            assert_ptr_equal(found[0], all[k][c]);
        }
        assert_int_equal(find_all(table, kids[k], "bb", found), 0);
    }
    assert_int_equal(find_all(table, "02", NULL, found), 0);
    assert_int_equal(find_all(table, "0102030405060708", NULL, found), 0); /* B5: longer than any ID */
    assert_int_equal(find_all(table, "0001", NULL, found), 0);
}

static void test_several_contexts_of_one_kid_and_no_kid_context(void **state)
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

static void test_full_and_twice(void **state)
{
    (void)state;
    for (size_t slots = 4; slots <= 64; slots *= 2) {
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
        assert_err(err, NACRE_ERR_NO_ROOM);
        assert_int_equal(num, slots / 4 * 3);                    /* three quarters full */
        assert_int_equal(find_all(table, "fe", NULL, found), 0); /* a search still ends */
        nacre_table_remove(table, first);
        assert_ok(nacre_table_add(table, first));
        assert_err(nacre_table_add(table, first), NACRE_ERR_BAD_ARGUMENT);
    }
}

/* Additions and removals in random order, with many contexts on few kids: always exactly those that are in are found. */
static void test_random_additions_and_removals(void **state)
{
    (void)state;
    enum { NUM = 48, KIDS = 6 };
    static const char *const kids[KIDS] = { "", "01", "02", "0102", "ff00ff", "01020304050607" };
    static const char *const id_contexts[] = { NULL, "", "cc" };
    nacre_table *table = table_of(64);
    nacre_context *all[NUM], *found[MAX];
    bool in[NUM] = { false };
    for (size_t i = 0; i < NUM; i++) all[i] = context(kids[i % KIDS], id_contexts[i / KIDS % 3]);
    uint64_t random = 3;
    for (int step = 0; step < 3000; step++) {
        size_t i = test_random(&random) % NUM;
        if (in[i]) {
            nacre_table_remove(table, all[i]);
            in[i] = false;
            nacre_table_remove(table, all[i]); /* not in any more: changes nothing */
        } else {
            assert_ok(nacre_table_add(table, all[i]));
            in[i] = true;
        }
        if (step % 10) continue;
        for (size_t k = 0; k < KIDS; k++)
            for (size_t c = 0; c < COUNT(id_contexts); c++) {
                size_t num = find_all(table, kids[k], id_contexts[c], found), expected = 0;
                for (size_t j = 0; j < NUM; j++) {
                    bool fits = in[j] && j % KIDS == k && (c == 0 || j / KIDS % 3 == c);
                    expected += fits;
                    assert_int_equal(is_in(found, num, all[j]), fits);
                }
                assert_int_equal(num, expected);
            }
    }
}

/* Many queries at once find what single searches find, in the same order, also when each goes on by its cursor; among
 * them kids that nobody has, absent ones and ones too long. */
static void test_many_at_once(void **state)
{
    (void)state;
    enum { NUM = 40, QUERIES = 75 };
    static const char *const kids[] = { "", "01", "02", "0102", "ff00ff", "01020304050607", "03", "0102030405060708" };
    static const char *const id_contexts[] = { NULL, "", "cc", "dd" };
    nacre_table *table = table_of(64);
    for (size_t i = 0; i < NUM; i++) assert_ok(nacre_table_add(table, context(kids[i % 6], id_contexts[i / 6 % 3])));
    uint64_t random = 9;
    for (int round = 0; round < 50; round++) {
        nacre_table_query queries[QUERIES];
        size_t cursors[QUERIES] = { 0 }, num = test_random(&random) % (QUERIES + 1), some = 1, seen = 0;
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

/* A kid that nobody has is not found without a look at any context: they may as well not be readable. */
static void test_unknown_kids_read_no_context(void **state)
{
    (void)state;
    enum { NUM = 3000, SLOTS = 4096 };
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (NUM * sizeof(nacre_context) + page - 1) / page * page;
    nacre_context *all = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(all, MAP_FAILED);
    nacre_table *table = table_of(SLOTS);
    nacre_context *one = context("000000", NULL);
    for (size_t i = 0; i < NUM; i++) {
        all[i] = *one;
        all[i].recipient_id[0] = (uint8_t)(i >> 8), all[i].recipient_id[1] = (uint8_t)i;
        assert_ok(nacre_table_add(table, &all[i]));
    }
    assert_int_equal(mprotect(all, size, PROT_NONE), 0);
    for (uint32_t i = 0; i < 100000; i++) {
        uint8_t kid[4] = { 1, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };
        size_t cursor = 0;
        assert_null(nacre_table_find(table, NACRE_ARRAY(kid), NACRE_ABSENT, &cursor));
        nacre_table_query query = { NACRE_ARRAY(kid), NACRE_ABSENT, 0, one };
        nacre_table_find_many(table, &query, 1);
        assert_null(query.context);
    }
    assert_int_equal(mprotect(all, size, PROT_READ), 0);
    uint8_t known[3] = { 1, 2, 0 };
    size_t cursor = 0;
    assert_ptr_equal(nacre_table_find(table, NACRE_ARRAY(known), NACRE_ABSENT, &cursor), &all[0x102]);
    assert_int_equal(munmap(all, size), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_init_refuses),
        TEST(test_kid_and_kid_context),
        TEST(test_several_contexts_of_one_kid_and_no_kid_context),
        TEST(test_full_and_twice),
        TEST(test_random_additions_and_removals),
        TEST(test_many_at_once),
        TEST(test_unknown_kids_read_no_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
