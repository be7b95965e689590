/* SPDX-License-Identifier: MIT */
/* dedup_records_test: which messages are recognised as duplicates, and which records are evicted first (RFC 7252 4.5),
 * without an endpoint. */
#include "endpoint/core/hash.h"
#include "endpoint/message/dedup.h"
#include "layers.h"

enum { RECORDS = 4, LIFETIME = 247000 };

typedef struct world {
    uint64_t chance;
    nacre__core core;
    nacre__dedup d;
    void *memory, *bytes;
} world;

static world *world_open(void)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->core = layer_core(&w->chance);
    nacre__pool_layout plan = { 0 };
    nacre__dedup_lay_out(&w->d, &plan, RECORDS);
    w->memory = calloc(1, plan.at);
    w->bytes = calloc(RECORDS, w->core.config.max_message);
    assert_true(w->memory != NULL && w->bytes != NULL);
    nacre__dedup_lay_out(&w->d, &(nacre__pool_layout){ .base = w->memory }, RECORDS);
    nacre__dedup_init(&w->d, &w->core, w->bytes);
    return w;
}

static void world_close(world *w)
{
    free(w->memory);
    free(w->bytes);
    free(w);
}

static nacre_datagram datagram(const uint8_t *byte, uint8_t peer)
{
    return (nacre_datagram){ .peer = layer_peer(peer), .bytes = { byte, 1 } };
}

static uint64_t hash_of(const world *w, const nacre_datagram *d)
{
    return nacre__peer_hash(&w->core, &d->peer, d->bytes);
}

static nacre__dedup_record *find(world *w, uint8_t byte, uint8_t peer, uint16_t mid)
{
    const nacre_datagram d = datagram(&byte, peer);
    return nacre__dedup_find(&w->d, &d, mid, hash_of(w, &d));
}

/* Stores the message in the next record; NULL when there is none. */
static nacre__dedup_record *add(world *w, uint8_t byte, uint8_t peer, uint16_t mid, uint64_t now)
{
    const nacre_datagram d = datagram(&byte, peer);
    nacre__dedup_record *record = nacre__dedup_next(&w->d, now);
    if (record != NULL) nacre__dedup_add(&w->d, record, &d, NACRE_CON, mid, hash_of(w, &d), now);
    return record;
}

static void message_is_recognised_by_peer_message_id_and_all_its_bytes(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__dedup_record *record = add(w, 'a', 1, 7, 0);
    assert_non_null(record);
    assert_ptr_equal(find(w, 'a', 1, 7), record);
    assert_null(find(w, 'b', 1, 7)); /* an expired record whose message ID is in use again */
    assert_null(find(w, 'a', 2, 7));
    assert_null(find(w, 'a', 1, 8));
    nacre__dedup_free(&w->d, record);
    assert_null(find(w, 'a', 1, 7));
    world_close(w);
}

static void record_expires_after_the_exchange_lifetime_unless_in_use(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__dedup_record *record = add(w, 'a', 1, 7, 100);
    assert_false(nacre__dedup_has_expired(&w->d, record, 100 + LIFETIME)); /* OPEN */
    record->may_be_dropped = true;                                         /* it waits for its store */
    assert_false(nacre__dedup_has_expired(&w->d, record, 100 + LIFETIME - 1));
    assert_true(nacre__dedup_has_expired(&w->d, record, 100 + LIFETIME));
    nacre__dedup_done(&w->d, record, NACRE__DEDUP_DONE);
    assert_false(nacre__dedup_has_expired(&w->d, record, 100 + LIFETIME - 1));
    record->in_queue = true;
    assert_false(nacre__dedup_has_expired(&w->d, record, 100 + LIFETIME));
    record->in_queue = false;
    assert_true(nacre__dedup_has_expired(&w->d, record, 100 + LIFETIME));
    world_close(w);
}

static void unverified_records_are_evicted_first_then_the_oldest_completed(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__dedup_record *records[RECORDS];
    for (uint8_t i = 0; i < RECORDS; i++) records[i] = add(w, i, 1, i, 0);
    assert_null(nacre__dedup_next(&w->d, 0)); /* all are in use */
    nacre__dedup_done(&w->d, records[2], NACRE__DEDUP_DONE);
    nacre__dedup_done(&w->d, records[0], NACRE__DEDUP_DONE);
    nacre__dedup_done(&w->d, records[3], NACRE__DEDUP_UNAUTHENTICATED);
    assert_ptr_equal(add(w, 10, 1, 10, 0), records[3]);
    assert_null(find(w, 3, 1, 3));
    assert_ptr_equal(add(w, 11, 1, 11, 0), records[2]);
    records[0]->in_queue = true; /* its response is not sent yet */
    assert_null(add(w, 12, 1, 12, 0));
    records[0]->in_queue = false;
    assert_ptr_equal(add(w, 12, 1, 12, 0), records[0]);
    assert_ptr_equal(find(w, 12, 1, 12), records[0]);
    assert_ptr_equal(find(w, 1, 1, 1), records[1]);
    world_close(w);
}

static void waiting_message_is_dropped_when_its_sender_has_given_up(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__dedup_record *records[RECORDS];
    for (uint8_t i = 0; i < RECORDS; i++) records[i] = add(w, i, 1, i, 0);
    records[1]->may_be_dropped = true;
    assert_null(nacre__dedup_next(&w->d, LIFETIME - 1));
    assert_ptr_equal(nacre__dedup_next(&w->d, LIFETIME), records[1]);
    world_close(w);
}

static void held_record_is_in_use_until_it_is_done(void **state)
{
    (void)state;
    world *w = world_open();
    nacre__dedup_record *records[RECORDS];
    for (uint8_t i = 0; i < RECORDS; i++) records[i] = add(w, i, 1, i, 0);
    nacre__dedup_hold(&w->d, records[2]);
    assert_null(nacre__dedup_next(&w->d, LIFETIME));
    assert_ptr_equal(find(w, 2, 1, 2), records[2]);
    records[1]->may_be_dropped = records[2]->may_be_dropped = true;
    assert_false(nacre__dedup_has_expired(&w->d, records[2], LIFETIME - 1));
    assert_ptr_equal(nacre__dedup_next(&w->d, LIFETIME), records[2]); /* held for longer than the others */
    nacre__dedup_reopen(&w->d, records[2]);
    assert_ptr_equal(nacre__dedup_next(&w->d, LIFETIME), records[1]);
    nacre__dedup_hold(&w->d, records[2]);
    nacre__dedup_done(&w->d, records[2], NACRE__DEDUP_DONE);
    assert_ptr_equal(nacre__dedup_next(&w->d, 0), records[2]);
    world_close(w);
}

/* Thousands of messages through few records: each newest is found, and no hash chain keeps evicted ones. */
static void newest_messages_are_found_after_thousands_of_others(void **state)
{
    (void)state;
    world *w = world_open();
    for (uint32_t i = 0; i < 20000; i++) {
        nacre__dedup_record *record = add(w, (uint8_t)i, (uint8_t)(i % 3), (uint16_t)i, i);
        assert_non_null(record);
        nacre__dedup_done(&w->d, record, NACRE__DEDUP_DONE);
        for (uint32_t back = 0; back <= i && back < 2 * RECORDS; back++) {
            const uint32_t k = i - back;
            const bool found = find(w, (uint8_t)k, (uint8_t)(k % 3), (uint16_t)k) != NULL;
            assert_int_equal(found, back < RECORDS);
        }
    }
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_is_recognised_by_peer_message_id_and_all_its_bytes),
        cmocka_unit_test(record_expires_after_the_exchange_lifetime_unless_in_use),
        cmocka_unit_test(unverified_records_are_evicted_first_then_the_oldest_completed),
        cmocka_unit_test(waiting_message_is_dropped_when_its_sender_has_given_up),
        cmocka_unit_test(held_record_is_in_use_until_it_is_done),
        cmocka_unit_test(newest_messages_are_found_after_thousands_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
