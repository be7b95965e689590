/* SPDX-License-Identifier: MIT */
/* notification_test: which notifications are accepted, by the order in which their Partial IVs arrive. */
#include "support.h"

enum { NONE = -1 }; /* no Partial IV */

static void notifications_are_ordered_by_partial_iv(void **unused) /* RFC 8613 7.4.1 */
{
    (void)unused;
    static const struct {
        const char *row;
        int64_t partial_iv[5];
        bool delivered[5];
    } rows[] = {
        { "in order", { NONE, 0, 1, 2, 300 }, { true, true, true, true, true } },
        { "the first has one already", { 7, 8, 9, 10, 11 }, { true, true, true, true, true } },
        { "repeated", { NONE, 5, 5, 6, 5 }, { true, true, false, true, false } },
        { "zero repeated", { 0, 0, 1, 0, 2 }, { true, false, true, false, true } },
        { "late", { NONE, 5, 4, 6, 3 }, { true, true, false, true, false } },
        { "two without", { NONE, NONE, 0, NONE, 1 }, { true, false, true, false, true } },
        { "without one after one with", { 3, NONE, 4, 5, 6 }, { true, false, true, true, true } },
        { "a jump to the last number", { 0, (int64_t)NACRE_SEQ_MAX, 1, 2, 3 }, { true, true, false, false, false } },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_notification_order order = { 0 };
        for (size_t k = 0; k < COUNT(rows[i].partial_iv); k++) {
            nacre_response_info info = { rows[i].partial_iv[k] != NONE, (uint64_t)rows[i].partial_iv[k] };
            nacre_notification_order before = order;
            nacre_err err = nacre_notification_accept(&order, &info);
            assert_err_row(rows[i].row, err, rows[i].delivered[k] ? NACRE_OK : NACRE_ERR_REPLAY);
            if (err != NACRE_OK) assert_int_equal(order.number, before.number);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { TEST(notifications_are_ordered_by_partial_iv) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
