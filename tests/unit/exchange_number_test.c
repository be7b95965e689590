/* SPDX-License-Identifier: MIT */
/* exchange_number_test: handles carry kind, index and generation. */
#include "endpoint/core/exchange_number.h"
#include "layers.h"

static void numbers_of_one_entry_do_not_repeat_for_2_to_the_32(void **state)
{
    (void)state;
    uint32_t generation = 0;
    const uint64_t first = nacre__number_new(&generation, NACRE__OF_OBSERVER, 7);
    for (int i = 0; i < 100000; i++) assert_true(nacre__number_new(&generation, NACRE__OF_OBSERVER, 7) != first);
    generation = UINT32_MAX - 1;
    assert_true(nacre__number_new(&generation, NACRE__OF_OBSERVER, 7) != first);
    assert_true(nacre__number_new(&generation, NACRE__OF_OBSERVER, 7) == first); /* never generation 0 */
}

static void number_names_entry_and_kind(void **state)
{
    (void)state;
    static const uint32_t indices[] = { 0, 1, 65535, (1 << 20) - 1, (1 << 30) - 1 };
    for (uint8_t kind = NACRE__OF_CLIENT_EXCHANGE; kind <= NACRE__OF_OBSERVER; kind++)
        for (size_t i = 0; i < sizeof indices / sizeof *indices; i++) {
            uint32_t generation = 0;
            const uint64_t number = nacre__number_new(&generation, kind, indices[i]);
            assert_true(number != 0);
            assert_int_equal(nacre__number_kind(number), kind);
            assert_int_equal(nacre__number_index(number, kind), indices[i]);
            assert_int_equal(nacre__number_index(number, (uint8_t)((kind + 1) % 3)), NACRE__NONE);
        }
    assert_int_equal(nacre__number_index(0, NACRE__OF_CLIENT_EXCHANGE), NACRE__NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_one_entry_do_not_repeat_for_2_to_the_32),
        cmocka_unit_test(number_names_entry_and_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
