/* SPDX-License-Identifier: MIT */
/* support: shared by the unit tests of the core. Everything returned lives until test_release, which is meant as a
 * test's teardown. Bytes and buffers are blocks of exactly their size, so that sanitizers detect each overrun. */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <nacre/nacre.h>
#include <string.h>

int test_release(void **state);
#define TEST(function) cmocka_unit_test_teardown(function, test_release)

/* ---- bytes: bytes.c ---- */
#define COUNT(array) (sizeof(array) / sizeof *(array))
void *test_alloc(size_t len);
nacre_bytes test_copy(nacre_bytes bytes);
nacre_bytes test_hex(const char *hex); /* NULL is absent, "" is empty; spaces are skipped */
nacre_bytes test_fill(uint8_t byte, size_t len);
nacre_buf test_buf(size_t cap); /* filled with 0xa5, so that writes are visible */
bool test_buf_is_untouched(nacre_buf buf);
bool test_buf_is_clean(nacre_buf buf); /* each byte is wiped or as test_buf left it */
nacre_bytes test_join(nacre_bytes a, nacre_bytes b);
uint64_t test_random(uint64_t *state); /* SplitMix64: the same numbers in every run */

/* The checks print the row's name, and errors by name. */
void test_bytes_equal(const char *row, nacre_bytes got, nacre_bytes expected, const char *file, int line);
void test_err_equal(const char *row, nacre_err got, nacre_err expected, const char *file, int line);
#define assert_bytes(got, expected)          test_bytes_equal("", (got), (expected), __FILE__, __LINE__)
#define assert_bytes_row(row, got, expected) test_bytes_equal((row), (got), (expected), __FILE__, __LINE__)
#define assert_err(got, expected)            test_err_equal("", (got), (expected), __FILE__, __LINE__)
#define assert_err_row(row, got, expected)   test_err_equal((row), (got), (expected), __FILE__, __LINE__)
#define assert_ok(got)                       test_err_equal("", (got), NACRE_OK, __FILE__, __LINE__)

/* ---- messages: messages.c ---- */
/* test_message parses a datagram in hex; it must be well-formed. */
nacre_message test_message(const char *hex);
nacre_message test_parse(nacre_bytes datagram);
nacre_bytes test_datagram(const nacre_message *m);
/* The sequence number of a protected datagram; false if it carries none. */
bool test_number(uint64_t *number, nacre_bytes datagram);
/* test_options encodes options given as (number, hex) pairs, ended by number 0; equal numbers in order, any order else. */
nacre_bytes test_options(int number, ...);
nacre_message test_request(uint8_t code, nacre_bytes options, nacre_bytes payload);
nacre_message test_response(uint8_t code, nacre_bytes options, nacre_bytes payload);

/* ---- contexts: contexts.c ---- */
const nacre_crypto *test_crypto(void);
typedef enum test_end { TEST_CLIENT, TEST_SERVER } test_end;
/* RFC 8613 C.1, C.2, C.3: `vector` is 1, 2 or 3. */
nacre_context_params test_params(int vector, test_end end);
nacre_context *test_context(const nacre_context_params *params); /* in a key buffer of exactly the required size */
nacre_context *test_context_of(int vector, test_end end);
/* What a failing call must leave unchanged: take a snapshot, compare afterwards. */
const nacre_context *test_snapshot(const nacre_context *ctx);
bool test_same(const nacre_context *before, const nacre_context *ctx);
bool test_same_but_failed(const nacre_context *before, const nacre_context *ctx, uint32_t failures);

/* Protects or unprotects one message: must succeed; results live until test_release. */
nacre_bytes test_protect_request(nacre_context *ctx, nacre_request_id *id, const nacre_message *plain);
nacre_bytes test_protect_response(nacre_context *ctx, nacre_request_id *id, const nacre_message *plain,
                                  const nacre_protect_options *options);
nacre_message test_unprotect_request(nacre_context *ctx, nacre_request_id *id, nacre_bytes datagram);
nacre_message test_unprotect_response(nacre_context *ctx, const nacre_request_id *id, nacre_response_info *info,
                                      nacre_bytes datagram);
/* An exchange: client and server of a vector, and the identities of one request between them. */
typedef struct test_exchange {
    nacre_context *client, *server;
    nacre_request_id at_client, at_server;
    nacre_bytes request; /* the protected datagram */
} test_exchange;
test_exchange test_exchange_of(int vector);

#endif
