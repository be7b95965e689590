/* SPDX-License-Identifier: MIT */
/* outer_pool_cost_test: any sender can send first outer blocks under a known kid, and their cost does not grow with the number of
 * entries for such messages. */
#include "../scenario/outer.h"

#include <time.h>

enum { SZX = 2 };
static const uint32_t NUM = 4000;

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The time of NUM first blocks, each from another address, once all `num` entries are in use. */
static double first_blocks_at(uint16_t num)
{
    static pair p;
    datagram whole, d;
    pair_open(&p,
              &(nacre_endpoint_config){
                  .max_message = 256, .outer_block.num_messages = num, .outer_block.max_unfragmented = 64 },
              &(pairing){ 0 });
    raw r = raw_open(&p, p.ours);
    static const uint8_t payload[200];
    const nacre_message m = { .code = NACRE_POST, .payload = NACRE_ARRAY(payload) };
    nacre_bytes out;
    assert_int_equal(nacre_protect_request(r.ctx, &r.crypto, &r.id, &out, NACRE_BUF(whole.bytes), &m, NULL), NACRE_OK);
    whole.len = out.len;
    const nacre_message message = datagram_message(&whole);
    double start = 0;
    for (uint32_t i = 0; i < NUM + num; i++) {
        char name[16];
        if (i == num) start = seconds();
        (void)snprintf(name, sizeof name, "p%u", i);
        r.address = address_named(name);
        raw_give_block(&r, &message, &(outer_block){ .num = 0, .szx = SZX }, i / 64);
        assert_int_equal(raw_take(&r, &d, i / 64).code, NACRE_CONTINUE);
    }
    const double took = seconds() - start;
    uint32_t joining = 0;
    for (uint32_t i = 0; i < num; i++) joining += p.server.ep->outer.entries[i].state == NACRE__OUTER_JOINING;
    assert_int_equal(joining, num);
    pair_close(&p);
    return took;
}

/* If a first block were compared with every entry, the second run would take some hundred times as long as the first. */
static void time_of_a_first_block_does_not_grow_with_entries(void **state)
{
    (void)state;
    const double few = first_blocks_at(4), many = first_blocks_at(4000);
    print_message("%u first blocks beside 4: %.1f ms, beside 4000: %.1f ms\n", NUM, few * 1e3, many * 1e3);
    assert_true(many < 10 * few);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_of_a_first_block_does_not_grow_with_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
