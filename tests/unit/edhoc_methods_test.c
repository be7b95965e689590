/* SPDX-License-Identifier: MIT */
/* edhoc_methods: every method, cipher suite and kind of credential (RFC 9528 3.2, 3.5, 3.6), and what becomes of a session in
 * which one byte of a message is another. */
/* Labels: cross */
#include "edhoc_ends.h"
#include "support.h"

static const int8_t suites[] = { 0, 1, 2, 3, 4, 5, 6, 24 };

static void each_method_suite_and_credential_gives_one_context(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(suites); s++)
        for (unsigned method = 0; method < 4; method++)
            for (int style = 0; style < NUM_STYLES; style++) {
                edhoc_pair *p = edhoc_pair_of(method, suites[s], (edhoc_style)style);
                p->i.config.message_4 = p->r.config.message_4 = (style + (int)method) % 2 == 0;
                edhoc_complete(p);
                edhoc_agree(p);
                assert_int_equal(nacre_edhoc_selected_suite(&p->r.session)->number, suites[s]);
            }
}

/* RFC 9528 3.6: the length of a MAC is the suite's where a static key authenticates, of a signature the curve's. */
static void messages_have_the_lengths_of_the_method(void **state)
{
    (void)state;
    static const size_t message_2[] = { 2 + 32 + 1 + 3 + 2 + 64, 2 + 32 + 1 + 3 + 1 + 8 };
    for (unsigned method = 0; method < 4; method++) {
        edhoc_pair *p = edhoc_pair_of(method, 2, BY_KID);
        nacre_bytes message = edhoc_step(p, &p->r, edhoc_begin(p), NACRE_EDHOC_SEND, NACRE_EDHOC_FAULT_NONE);
        assert_int_equal(message.len, message_2[method & 1]);
    }
}

/* A flipped bit in message_1 or message_2 ends the session before anything is complete. */
static void corrupt_early(edhoc_pair *p, bool second, size_t at, uint8_t mask)
{
    nacre_bytes message = edhoc_begin(p);
    if (second) message = edhoc_step(p, &p->r, message, NACRE_EDHOC_SEND, NACRE_EDHOC_FAULT_NONE);
    ((uint8_t *)(uintptr_t)message.ptr)[at] ^= mask;
    nacre_edhoc_result result = edhoc_receive(p, second ? &p->i : &p->r, message);
    if (!second && result.verdict == NACRE_EDHOC_SEND) result = edhoc_receive(p, &p->i, test_copy(result.message));
    /* what begins with a number could be an error message, and is none */
    bool is_number = second && message.ptr[0] >> 5 <= 1;
    assert_int_equal(result.verdict, is_number ? NACRE_EDHOC_IGNORED : NACRE_EDHOC_ABORTED);
    assert_int_not_equal(result.fault, NACRE_EDHOC_FAULT_NONE);
    assert_false(nacre_edhoc_is_complete(&p->r.session));
    assert_false(nacre_edhoc_is_complete(&p->i.session));
    nacre_edhoc_wipe(&p->r.session);
    nacre_edhoc_wipe(&p->i.session);
}

static size_t length_of(edhoc_pair *p, bool second)
{
    nacre_bytes message = edhoc_begin(p);
    return second ? edhoc_step(p, &p->r, message, NACRE_EDHOC_SEND, NACRE_EDHOC_FAULT_NONE).len : message.len;
}

static void a_corrupt_message_1_or_2_ends_the_session(void **state)
{
    (void)state;
    static const struct {
        unsigned method;
        int suite;
        edhoc_style style;
    } rows[] = { { 3, 2, BY_KID }, { 0, 0, BY_X5T }, { 1, 6, BY_X5U }, { 2, 0, BY_VALUE } };
    for (size_t i = 0; i < COUNT(rows); i++) {
        edhoc_pair *p = edhoc_pair_of(rows[i].method, rows[i].suite, rows[i].style);
        for (int second = 0; second < 2; second++) {
            size_t len = length_of(p, second != 0);
            for (size_t at = 0; at < len; at++) corrupt_early(p, second != 0, at, (uint8_t)(1u << (at % 8)));
        }
    }
    edhoc_pair *p = edhoc_pair_of(3, 0, BY_KID);
    for (int second = 0; second < 2; second++)
        for (size_t len = length_of(p, second != 0), bit = 0; bit < 8 * len; bit++)
            corrupt_early(p, second != 0, bit / 8, (uint8_t)(1u << (bit % 8)));
}

/* RFC 9528 9.7: message_3 and message_4 are encrypted with authentication, so what is not theirs is ignored. */
static void a_corrupt_message_3_or_4_is_ignored_and_the_session_goes_on(void **state)
{
    (void)state;
    for (unsigned method = 0; method < 4; method++) {
        edhoc_pair *p = edhoc_pair_of(method, 2, BY_KID);
        nacre_bytes message = edhoc_step(p, &p->r, edhoc_begin(p), NACRE_EDHOC_SEND, NACRE_EDHOC_FAULT_NONE);
        message = edhoc_step(p, &p->i, message, NACRE_EDHOC_SEND, NACRE_EDHOC_FAULT_NONE);
        for (int number = 3; number <= 4; number++) {
            edhoc_end *to = number == 3 ? &p->r : &p->i;
            nacre_edhoc before = to->session;
            for (size_t bit = 0; bit < 8 * message.len; bit++) {
                uint8_t *byte = (uint8_t *)(uintptr_t)message.ptr + bit / 8, was = *byte;
                *byte = (uint8_t)(*byte ^ (1u << (bit % 8)));
                if (*byte >> 5 > 1 || bit >= 8)
                    assert_int_equal(edhoc_receive(p, to, message).verdict, NACRE_EDHOC_IGNORED);
                *byte = was;
            }
            for (size_t len = 0; len < message.len; len++)
                assert_int_equal(edhoc_receive(p, to, nacre_bytes_of(message.ptr, len)).verdict, NACRE_EDHOC_IGNORED);
            assert_memory_equal(&before, &to->session, sizeof before);
            message = edhoc_step(p, to, message, number == 3 ? NACRE_EDHOC_SEND : NACRE_EDHOC_COMPLETE,
                                 NACRE_EDHOC_FAULT_NONE);
        }
        edhoc_agree(p);
    }
}

/* A suite's identity must fit its method: 25 is not supported, and neither are private suites (RFC 9528 10.2). */
static void suites_that_are_not_supported_have_no_row(void **state)
{
    (void)state;
    static const int8_t none[] = { 7, 25, -21, -24, 23 };
    for (size_t i = 0; i < COUNT(none); i++) assert_null(nacre_edhoc_suite_by_number(none[i]));
    for (size_t i = 0; i < COUNT(suites); i++)
        assert_int_equal(nacre_edhoc_suite_by_number(suites[i])->number, suites[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_method_suite_and_credential_gives_one_context),
        TEST(messages_have_the_lengths_of_the_method),
        TEST(a_corrupt_message_1_or_2_ends_the_session),
        TEST(a_corrupt_message_3_or_4_is_ignored_and_the_session_goes_on),
        TEST(suites_that_are_not_supported_have_no_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
