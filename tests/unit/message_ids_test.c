/* SPDX-License-Identifier: MIT */
/* message_ids_test: message IDs of one peer reveal nothing about another's (RFC 7252 4.4, 11.4), without an
 * endpoint. */
#include "endpoint/message/message_ids.h"
#include "layers.h"

static void message_ids_of_a_peer_count_up_by_one_and_wrap_after_65536(void **state)
{
    (void)state;
    uint64_t chance = 1;
    const nacre__core core = layer_core(&chance);
    nacre__message_ids ids;
    nacre__message_ids_init(&ids, &core);
    const nacre_address peer = layer_peer(1);
    const uint16_t first = nacre__message_id_next(&ids, &peer);
    for (uint32_t i = 1; i < 65536; i++) assert_int_equal(nacre__message_id_next(&ids, &peer), (uint16_t)(first + i));
    assert_int_equal(nacre__message_id_next(&ids, &peer), first);
}

static void each_peer_has_an_unpredictable_first_message_id(void **state)
{
    (void)state;
    unsigned near = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        uint64_t chance = seed;
        const nacre__core core = layer_core(&chance);
        nacre__message_ids ids;
        nacre__message_ids_init(&ids, &core);
        const nacre_address one = layer_peer(1), two = layer_peer(2);
        const uint16_t a = nacre__message_id_next(&ids, &one), b = nacre__message_id_next(&ids, &two);
        near += (uint16_t)(a - b + 64) < 128;
    }
    assert_true(near <= 5); /* 0.4 of 200 expected by chance */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_ids_of_a_peer_count_up_by_one_and_wrap_after_65536),
        cmocka_unit_test(each_peer_has_an_unpredictable_first_message_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
