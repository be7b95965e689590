/* SPDX-License-Identifier: MIT */
/* proxy_target_test: which texts name a proxy. */
#include "support.h"

#include "io/client/proxy_target.h"

static void names_of_proxies_are_parsed(void **state)
{
    (void)state;
    static const struct {
        const char *proxy, *address;
        nacre_err err;
        bool reliable;
    } rows[] = {
        { "[::1]", "[::1]:5683", NACRE_OK, false },
        { "[::1]:7", "[::1]:7", NACRE_OK, false },
        { "127.0.0.1:7", "127.0.0.1:7", NACRE_OK, false },
        { "coap://[::1]", "[::1]:5683", NACRE_OK, false },
        { "coap://[::1]/", "[::1]:5683", NACRE_OK, false },
        { "coap+tcp://[::1]", "[::1]:5683", NACRE_OK, true },
        { "coap+tcp://127.0.0.1:7/", "127.0.0.1:7", NACRE_OK, true },
        { "coap://[fe80::1%251]:7", "[fe80::1%1]:7", NACRE_OK, false },
        { "coap+tcp://[fe80::1%251]", "[fe80::1%1]:5683", NACRE_OK, true },
        { "coap://[fe80::1%1]:7", "[fe80::1%1]:7", NACRE_OK, false },
        { "[fe80::1%1]", "[fe80::1%1]:5683", NACRE_OK, false },
        { "coaps+tcp://[::1]", NULL, NACRE_ERR_BAD_URI, false },
        { "http://[::1]", NULL, NACRE_ERR_BAD_URI, false },
        { "coap+tcp://", NULL, NACRE_ERR_BAD_URI, false },
        { "coap+tcp://[::1]/a", NULL, NACRE_ERR_BAD_URI, false },
        { "coap://", NULL, NACRE_ERR_BAD_URI, false },
        { "", NULL, NACRE_ERR_BAD_URI, false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_address address[NACRE__MAX_ADDRESSES];
        size_t num = 0;
        nacre_detail why = { { 0 } };
        char text[72];
        assert_err_row(rows[i].proxy, nacre__proxy_resolve(address, &num, rows[i].proxy, &why), rows[i].err);
        if (rows[i].err != NACRE_OK) {
            assert_true(why.text[0] != '\0');
            continue;
        }
        assert_int_equal(num, 1);
        nacre_address_text(address, text);
        assert_string_equal(text, rows[i].address);
        assert_int_equal(nacre_address_is_reliable(address), rows[i].reliable);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { TEST(names_of_proxies_are_parsed) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
