/* SPDX-License-Identifier: MIT */
/* lane_program_test: the hash of a source, and the length of the program. The kernel's part is in udp_lane_test. */
#include "io/lane_program.h"
#include "support.h"

#ifdef __linux__
#include <linux/filter.h>
#endif

enum { KEYS = 1000, WORDS = 4, AT_HOST = 3, TOP = 0x80 };

static nacre__lane_key random_key(uint64_t *chance)
{
    return (nacre__lane_key){ (uint32_t)test_random(chance), (uint32_t)test_random(chance) | 1,
                              (uint32_t)test_random(chance) | 1 };
}

/* An odd factor leaves the highest bit's difference as it is, and a shift by `shift` adds one lower bit: a difference of both in
 * the next word cancels it, whatever the key. */
static unsigned num_cancelled(size_t word, unsigned shift)
{
    unsigned num = 0;
    uint64_t chance = 7;
    for (int i = 0; i < KEYS; i++) {
        const nacre__lane_key key = random_key(&chance);
        nacre_address one = { .len = 23, .bytes = { 6 } }, other;
        for (size_t at = 1; at < AT_HOST + 4 * WORDS; at++) one.bytes[at] = (uint8_t)test_random(&chance);
        other = one;
        uint8_t *first = other.bytes + AT_HOST + 4 * word, *second = first + 4;
        first[0] ^= TOP;
        second[0] ^= TOP;
        second[shift / 8] ^= (uint8_t)(TOP >> shift % 8);
        num += nacre__lane_hash(&key, &one) == nacre__lane_hash(&key, &other);
    }
    return num;
}

static void a_sender_that_chooses_its_address_cannot_have_the_hash_of_another(void **state)
{
    (void)state;
    for (size_t word = 0; word + 1 < WORDS; word++)
        for (unsigned shift = 1; shift < 32; shift++) assert_int_equal(num_cancelled(word, shift), 0);
}

static void longest_program_fits(void **state)
{
    (void)state;
#ifdef __linux__
    static struct sock_filter program[NACRE__LANE_PROGRAM + 1];
    static uint32_t hashes[NACRE__LANE_PEERS];
    size_t longest = 0;
    uint64_t chance = 8;
    const nacre__lane_key key = random_key(&chance);
    for (size_t num = 0; num <= NACRE__LANE_PEERS; num++) {
        for (size_t i = 0; i < num; i++) hashes[i] = (uint32_t)test_random(&chance);
        const size_t len = nacre__lane_program(program, &key, 64, hashes, num);
        if (len > longest) longest = len;
    }
    assert_in_range(longest, NACRE__LANE_PEERS, NACRE__LANE_PROGRAM);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sender_that_chooses_its_address_cannot_have_the_hash_of_another),
        TEST(longest_program_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
