/* SPDX-License-Identifier: MIT */
/* Labels: cross */
/* transfer_entries_test: how clients share the entries of the body cache, and which body is evicted. */
#include "../scenario/transfer_serving.h"

static bool goes_on(fixture *f, int client, const char *tag)
{
    return settled(f, client, &UP(1, 1, 0, tag)) == NACRE_CONTINUE;
}

static uint8_t starts(fixture *f, int client, const char *tag)
{
    f->now++;
    return settled(f, client, &UP(0, 1, 0, tag));
}

/* Four entries, two for each client. */
static void entries_are_shared(void **state)
{
    (void)state;
    const nacre_transfer_config config = { .bodies.num_bodies = 4, .bodies.bodies_per_peer = 2 };
    fixture f;
    begin_with(&f, &config);
    for (int i = 0; i < 3; i++) /* its own oldest is evicted */
        assert_int_equal(starts(&f, 0, i == 0 ? "a" : i == 1 ? "b" : "c"), NACRE_CONTINUE);
    assert_int_equal(starts(&f, 1, "a"), NACRE_CONTINUE);
    assert_int_equal(starts(&f, 1, "b"), NACRE_CONTINUE);
    assert_int_equal(starts(&f, 2, "a"), NACRE_CONTINUE); /* the oldest entry of a client with two is evicted: 0's b */
    assert_int_equal(starts(&f, 2, "b"), NACRE_CONTINUE); /* its second evicts its own first: no client has three */
    assert_false(goes_on(&f, 0, "a"));
    assert_false(goes_on(&f, 0, "b"));
    assert_true(goes_on(&f, 0, "c"));
    assert_true(goes_on(&f, 1, "a"));
    assert_true(goes_on(&f, 1, "b"));
    assert_true(goes_on(&f, 2, "b"));
    end(&f);
}

static bool goes_further(fixture *f, int client, unsigned block)
{
    return settled(f, client, &UP(block, 1, 0, "a")) == NACRE_CONTINUE;
}

/* RFC 7959 2.9.3 */
static void expect_no_entry(fixture *f, int client)
{
    assert_int_equal(starts(f, client, "a"), NACRE_TOO_LARGE);
    assert_int_equal(option_of(&f->got, NACRE_OPT_SIZE1), NACRE_MAX_BLOCK);
}

static void vanished_uploaders_give_way_to_a_verified_newcomer(void **state)
{
    (void)state;
    fixture f;
    begin_with(&f, &(nacre_transfer_config){ .bodies.num_bodies = 4, .bodies.bodies_per_peer = 2 });
    for (int i = 0; i < 5; i++) assert_int_equal(starts(&f, i, "a"), NACRE_CONTINUE);
    assert_false(goes_further(&f, 0, 1)); /* only its first block had come: 4 has the entry */
    for (int i = 1; i < 5; i++) assert_true(goes_further(&f, i, 1));
    end(&f);
}

static void bodies_in_progress_are_not_evicted_until_they_are_idle(void **state)
{
    (void)state;
    fixture f;
    begin_with(&f, &(nacre_transfer_config){ .bodies.num_bodies = 4, .bodies.bodies_per_peer = 2 });
    for (int i = 0; i < 4; i++) assert_int_equal(starts(&f, i, "a"), NACRE_CONTINUE);
    for (int i = 0; i < 4; i++) assert_true(goes_further(&f, i, 1));
    expect_no_entry(&f, 4);
    f.now += 2990;
    expect_no_entry(&f, 4);
    for (int i = 1; i < 4; i++) assert_true(goes_further(&f, i, 2));
    f.now += 20; /* 0 is idle for 3 seconds */
    expect_no_entry(&f, -1);
    assert_int_equal(starts(&f, 4, "a"), NACRE_CONTINUE);
    assert_true(goes_further(&f, 4, 1));
    expect_no_entry(&f, 5);
    assert_false(goes_further(&f, 0, 2));
    for (int i = 1; i < 4; i++) assert_true(goes_further(&f, i, 3));
    end(&f);
}

/* Responses kept for later blocks are in the same pool. */
static void vanished_downloaders_give_way_to_a_verified_upload(void **state)
{
    (void)state;
    fixture f;
    begin_with(&f, &(nacre_transfer_config){ .bodies.num_bodies = 4, .bodies.bodies_per_peer = 2 });
    for (int i = 0; i < 4; i++) {
        const nacre_event event = reaches(&f, i, &GET(NO_BLOCK));
        respond(&f, &event, &SAID(.code = NACRE_CONTENT, .payload = pattern(0, 2000)));
    }
    f.now++;
    assert_int_equal(starts(&f, 4, "a"), NACRE_CONTINUE);
    assert_true(goes_further(&f, 4, 1));
    expect_no_entry(&f, -1);
    end(&f);
}

static void from(fixture *f, const char *address)
{
    f->client.address = address_named(address);
}

/* Addresses cost nothing: plain bodies fill at most half, give way to protected ones, and never take from them. */
static void plain_bodies_fill_half_and_give_way(void **state)
{
    (void)state;
    fixture f;
    static const char *const addresses[] = { "client", "p1", "p2", "p3", "p4" };
    begin_with(&f, &(nacre_transfer_config){ .bodies.num_bodies = 6, .bodies.bodies_per_peer = 2 });
    for (size_t i = 0; i < 4; i++) {
        from(&f, addresses[i]);
        assert_int_equal(starts(&f, -1, "a"), NACRE_CONTINUE);
    }
    from(&f, addresses[0]);
    assert_false(goes_further(&f, -1, 1)); /* it gave way to the fourth, of the plain half */
    for (size_t i = 1; i < 4; i++) {
        from(&f, addresses[i]);
        assert_true(goes_further(&f, -1, 1));
    }
    from(&f, addresses[4]);
    expect_no_entry(&f, -1);
    from(&f, "client");
    for (int i = 0; i < 6; i++) {
        assert_int_equal(starts(&f, i, "a"), NACRE_CONTINUE);
        assert_true(goes_further(&f, i, 1));
    }
    expect_no_entry(&f, -1);
    f.now += 5000;
    expect_no_entry(&f, -1); /* protected ones are idle, and stay */
    for (int i = 0; i < 6; i++) assert_true(goes_further(&f, i, 2));
    end(&f);
}

static void plain_address_at_its_share_leaves_other_addresses_theirs(void **state)
{
    (void)state;
    fixture f;
    begin_with(&f, &(nacre_transfer_config){ .bodies.num_bodies = 8, .bodies.bodies_per_peer = 2 });
    from(&f, "p1");
    assert_int_equal(starts(&f, -1, "a"), NACRE_CONTINUE);
    from(&f, "client");
    for (int i = 0; i < 9; i++)
        assert_int_equal(starts(&f, -1, i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "c"), NACRE_CONTINUE);
    from(&f, "p1");
    assert_true(goes_on(&f, -1, "a"));
    end(&f);
}

static void removing_a_context_frees_its_bodies(void **state)
{
    (void)state;
    fixture f;
    begin_with(&f, &(nacre_transfer_config){ .bodies.num_bodies = 2 });
    assert_int_equal(starts(&f, 0, "a"), NACRE_CONTINUE);
    assert_int_equal(starts(&f, 1, "a"), NACRE_CONTINUE);
    nacre_table_remove(&f.server.table, &f.server.contexts[0]);
    nacre_transfer_remove_context(f.server.transfer, &f.server.contexts[0]);
    assert_int_equal(starts(&f, 2, "a"), NACRE_CONTINUE); /* its entry is free */
    assert_true(goes_on(&f, 1, "a"));
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_shared),
        cmocka_unit_test(vanished_uploaders_give_way_to_a_verified_newcomer),
        cmocka_unit_test(bodies_in_progress_are_not_evicted_until_they_are_idle),
        cmocka_unit_test(vanished_downloaders_give_way_to_a_verified_upload),
        cmocka_unit_test(plain_bodies_fill_half_and_give_way),
        cmocka_unit_test(plain_address_at_its_share_leaves_other_addresses_theirs),
        cmocka_unit_test(removing_a_context_frees_its_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
