/* SPDX-License-Identifier: MIT */
/* address_test: which address texts are accepted and how each is printed. Numeric addresses and localhost only: no
 * resolver on the network is queried. */
#include <nacre/address.h>

#include "io/address.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

typedef struct row {
    const char *text;
    const char *displayed; /* NULL: NACRE_ERR_ADDRESS */
} row;

/* Each refused row follows an accepted one that differs in one thing. */
static const row rows[] = {
    { "127.0.0.1", "127.0.0.1:5683" },
    { "127.0.0.1:", NULL },
    { "127.0.0.1:0", "127.0.0.1:0" },
    { "127.0.0.1:65535", "127.0.0.1:65535" },
    { "127.0.0.1:65536", NULL },
    { "127.0.0.1:00080", "127.0.0.1:80" },
    { "127.0.0.1:000080", NULL },
    { "127.0.0.1:80x", NULL },
    { "127.0.0.1:+80", NULL },
    { "127.0.0.1: 80", NULL },
    { "::1", "[::1]:5683" },
    { "[::1]", "[::1]:5683" },
    { "[::1", NULL },
    { "[::1]:7", "[::1]:7" },
    { "[::1]7", NULL },
    { "[::1]:", NULL },
    { "[]:7", NULL },
    { "[127.0.0.1]:7", NULL },
    { "::", "[::]:5683" },
    { "2001:DB8:0:0::1", "[2001:db8::1]:5683" },
    { "[2001:db8::1]:9", "[2001:db8::1]:9" },
    { "::ffff:192.0.2.1", "192.0.2.1:5683" }, /* RFC 4291 2.5.5.2: one form per address */
    { "[::ffff:192.0.2.1]:9", "192.0.2.1:9" },
    { "", NULL },
    { ":5683", NULL },
};

static void accepted_texts_resolve_and_refused_ones_are_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre_address address = { .len = 3, .bytes = { 1, 2, 3 } };
        nacre_address before = address;
        nacre_detail why = { { 0 } };
        char text[72];
        nacre_err err = nacre_address_resolve(&address, rows[i].text, 5683, &why);
        if (rows[i].displayed == NULL) {
            if (err != NACRE_ERR_ADDRESS) fail_msg("'%s' gave %s", rows[i].text, nacre_err_name(err));
            assert_true(nacre_address_equal(&address, &before));
            assert_true(strlen(why.text) > 0);
            assert_null(strchr(why.text, '\n'));
            continue;
        }
        if (err != NACRE_OK) fail_msg("'%s' gave %s: %s", rows[i].text, nacre_err_name(err), why.text);
        nacre_address_text(&address, text);
        assert_string_equal(text, rows[i].displayed);
    }
}

static void the_error_text_may_be_left_out(void **state)
{
    nacre_address address;
    (void)state;
    assert_int_equal(nacre_address_resolve(&address, "", 5683, NULL), NACRE_ERR_ADDRESS);
    assert_int_equal(nacre_address_resolve(&address, "::1", 5683, NULL), NACRE_OK);
}

static void an_overlong_host_is_refused(void **state)
{
    char text[400];
    nacre_address address;
    (void)state;
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(nacre_address_resolve(&address, text, 5683, NULL), NACRE_ERR_ADDRESS);
}

static void control_characters_stay_out_of_the_text(void **state)
{
    nacre_address address;
    nacre_detail why;
    (void)state;
    assert_int_equal(nacre_address_resolve(&address, "a\033[2Jb\n:x", 5683, &why), NACRE_ERR_ADDRESS);
    for (const char *c = why.text; *c != '\0'; c++) assert_true((unsigned char)*c >= 0x20);
}

/* Socket addresses convert in both directions, on both kinds of sockets; a mapped address comes back as IPv4. */
static void socket_addresses_convert_both_ways(void **state)
{
    static const char *const texts[] = { "127.0.0.1:9", "192.0.2.255:65535", "[::1]:9", "[2001:db8::ffff]:1" };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (int ipv6 = 0; ipv6 < 2; ipv6++) {
            nacre_address address, back;
            struct sockaddr_storage sa;
            assert_int_equal(nacre_address_resolve(&address, texts[i], 0, NULL), NACRE_OK);
            socklen_t len = nacre__address_to(&sa, &address, ipv6 != 0);
            if (!ipv6 && nacre__address_is_ipv6(&address)) {
                assert_int_equal(len, 0);
                continue;
            }
            assert_int_equal(len, ipv6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
            assert_true(nacre__address_from(&back, (const struct sockaddr *)&sa, len));
            assert_true(nacre_address_equal(&address, &back));
        }
}

static void a_flow_label_makes_no_difference(void **state)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    nacre_address plain, labelled, other;
    (void)state;
    assert_true(nacre__address_from(&plain, (const struct sockaddr *)&in6, sizeof in6));
    in6.sin6_flowinfo = htonl(0x12345);
    assert_true(nacre__address_from(&labelled, (const struct sockaddr *)&in6, sizeof in6));
    assert_true(nacre_address_equal(&plain, &labelled));
    in6.sin6_port = htons(10);
    assert_true(nacre__address_from(&other, (const struct sockaddr *)&in6, sizeof in6));
    assert_false(nacre_address_equal(&plain, &other));
}

/* Only link-local addresses keep a scope. */
static void only_link_local_addresses_have_a_scope(void **state)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
    nacre_address one, two;
    char text[72];
    (void)state;
    for (int local = 0; local < 2; local++) {
        assert_int_equal(inet_pton(AF_INET6, local ? "fe80::1" : "2001:db8::1", &in6.sin6_addr), 1);
        in6.sin6_scope_id = 1;
        assert_true(nacre__address_from(&one, (const struct sockaddr *)&in6, sizeof in6));
        in6.sin6_scope_id = 2;
        assert_true(nacre__address_from(&two, (const struct sockaddr *)&in6, sizeof in6));
        assert_int_equal(nacre_address_equal(&one, &two), !local);
    }
    nacre_address_text(&two, text);
    assert_string_equal(text, "[fe80::1%2]:9");
    struct sockaddr_storage sa;
    assert_int_equal(nacre__address_to(&sa, &two, true), sizeof in6);
    memcpy(&in6, &sa, sizeof in6);
    assert_int_equal(in6.sin6_scope_id, 2);
}

static void other_families_are_refused(void **state)
{
    struct sockaddr_storage sa = { .ss_family = AF_UNIX };
    struct sockaddr_in in = { .sin_family = AF_INET };
    nacre_address address, none = { 0 };
    char text[72];
    (void)state;
    assert_false(nacre__address_from(&address, (const struct sockaddr *)&sa, sizeof sa));
    assert_false(nacre__address_from(&address, (const struct sockaddr *)&in, sizeof in - 1));
    assert_true(nacre__address_from(&address, (const struct sockaddr *)&in, sizeof in));
    nacre_address_text(&none, text);
    assert_string_equal(text, "(no address)");
}

static void wildcard_addresses_are_recognised(void **state)
{
    static const struct {
        const char *text;
        bool is_wildcard;
    } table[] = { { "0.0.0.0:1", true }, { "0.0.0.1:1", false }, { "[::]:1", true }, { "[::1]:1", false } };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        nacre_address address;
        char text[72];
        assert_int_equal(nacre_address_resolve(&address, table[i].text, 0, NULL), NACRE_OK);
        assert_int_equal(nacre__address_is_wildcard(&address), table[i].is_wildcard);
        nacre__address_any_v4(&address);
        nacre_address_text(&address, text);
        assert_string_equal(text, i == 2 ? "0.0.0.0:1" : table[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_texts_resolve_and_refused_ones_are_errors),
        cmocka_unit_test(the_error_text_may_be_left_out),
        cmocka_unit_test(an_overlong_host_is_refused),
        cmocka_unit_test(control_characters_stay_out_of_the_text),
        cmocka_unit_test(socket_addresses_convert_both_ways),
        cmocka_unit_test(a_flow_label_makes_no_difference),
        cmocka_unit_test(only_link_local_addresses_have_a_scope),
        cmocka_unit_test(other_families_are_refused),
        cmocka_unit_test(wildcard_addresses_are_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
