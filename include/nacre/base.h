/* SPDX-License-Identifier: MIT */
/* base: byte slices, buffers, errors, wiping. Every other module uses this one.
 *
 * nacre_bytes is a borrowed slice to read, nacre_buf a borrowed buffer to write. A nacre_bytes whose `ptr` is NULL is
 * *absent*; one with `len` 0 and any other `ptr` is *present and empty*. The two differ for ID Context, kid and kid
 * context, as in the RFC; everywhere else both count as empty. CONVENTIONS.md has the rules for every function:
 * ownership, threads, failure. */
#ifndef NACRE_BASE_H
#define NACRE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define NACRE_MUST_USE          __attribute__((warn_unused_result))
#define NACRE_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define NACRE_MUST_USE
#define NACRE_PRINTF(fmt, args)
#endif

typedef struct nacre_bytes {
    const uint8_t *ptr;
    size_t len;
} nacre_bytes;

typedef struct nacre_buf {
    uint8_t *ptr;
    size_t cap;
} nacre_buf;

/* Makes a value of a type: a compound literal or cast in C, the bare type in C++. */
#ifdef __cplusplus
#define NACRE_VALUE(type)         type
#define NACRE_BYTES_OF_STR(chars) reinterpret_cast<const uint8_t *>(chars)
#else
#define NACRE_VALUE(type)         (type)
#define NACRE_BYTES_OF_STR(chars) (const uint8_t *)(chars)
#endif

#define NACRE_ABSENT (NACRE_VALUE(nacre_bytes){ NULL, 0 })

/* NACRE_STR makes the bytes of a string literal, without its NUL. */
#define NACRE_STR(literal) (NACRE_VALUE(nacre_bytes) NACRE_STR_INIT(literal))

/* The slice (NACRE_ARRAY) or buffer (NACRE_BUF) of a whole uint8_t array. */
#define NACRE_ARRAY(a) (NACRE_VALUE(nacre_bytes) NACRE_ARRAY_INIT(a))
#define NACRE_BUF(a)   (NACRE_VALUE(nacre_buf) NACRE_ARRAY_INIT(a))

/* The same as initializers, for objects of static storage duration: ISO C allows no compound literal there.
 * NACRE_ARRAY_INIT initializes both nacre_bytes and nacre_buf. */
#define NACRE_STR_INIT(literal)                                                                                        \
    {                                                                                                                  \
        NACRE_BYTES_OF_STR("" literal), sizeof(literal) - 1                                                            \
    }
#define NACRE_ARRAY_INIT(a)                                                                                            \
    {                                                                                                                  \
        (a), sizeof(a)                                                                                                 \
    }

static inline nacre_bytes nacre_bytes_of(const uint8_t *ptr, size_t len)
{
    nacre_bytes b = { ptr, len };
    return b;
}

static inline bool nacre_is_absent(nacre_bytes b)
{
    return b.ptr == NULL;
}

/* nacre_bytes_equal compares lengths and contents. Not constant-time: for public data only. */
bool nacre_bytes_equal(nacre_bytes a, nacre_bytes b);

/* nacre_equal_ct compares `len` bytes in constant time: for secrets, tags and Echo values. */
bool nacre_equal_ct(const uint8_t *a, const uint8_t *b, size_t len);

/* nacre_wipe zeroes `len` bytes; the compiler may not remove it. `ptr` may be NULL when `len` is 0. */
void nacre_wipe(void *ptr, size_t len);

/* The one list of errors: X(NAME, value, CoAP response code or 0, text).
 *
 *   -1xx  the received message is invalid         -4xx  files, memory or addresses of this host
 *   -2xx  the call is wrong; fix the caller       -5xx  the exchange with the peer failed
 *   -3xx  the present state does not allow it
 *
 * The CoAP code is the response code of a server where RFC 8613 8.2 names
 * one. The texts of DECODE, NO_CONTEXT, REPLAY and PROTECTION_INVALID are the RFC's diagnostic payloads. */
#define NACRE_ERR_MAP(X)                                                                                               \
    X(DECODE, -101, 0x82, "Failed to decode COSE")                     /* RFC 8613 8.2 step 2 */                       \
    X(NO_CONTEXT, -102, 0x81, "Security context not found")            /* RFC 8613 8.2 step 2 */                       \
    X(REPLAY, -103, 0x81, "Replay detected")                           /* RFC 8613 7.4 */                              \
    X(PROTECTION_INVALID, -104, 0x80, "Decryption failed")             /* RFC 8613 8.2 step 6 */                       \
    X(REPLAY_ECHO, -105, 0x81, "Replay window unknown, Echo required") /* RFC 8613 B.1.2 */                            \
    X(NOT_PROTECTED, -106, 0x81, "Message has no OSCORE option")       /* RFC 8613 8.4 step 2 */                       \
    X(MALFORMED, -107, 0x80, "Malformed CoAP message")                 /* RFC 7252 3 */                                \
    X(CRITICAL_OPTION, -108, 0x82, "Critical option not understood")   /* RFC 7252 5.4.1 */                            \
    X(BAD_PUBLIC_KEY, -109, 0x80, "Public key not on its curve, or of low order")                                      \
    X(BAD_SIGNATURE, -110, 0x80, "Signature not verified")                                                             \
    X(BUFFER_TOO_SMALL, -201, 0xa0, "Output buffer too small")                                                         \
    X(BAD_ARGUMENT, -202, 0, "Argument not allowed")                                                                   \
    X(TOO_LONG, -203, 0x8d, "Longer than allowed")                                                                     \
    X(UNSUPPORTED, -204, 0, "Not supported")                                                                           \
    X(NESTED, -205, 0, "Message has an OSCORE option already")                    /* RFC 8613 4.1.3.7 */               \
    X(NONCE_USED, -206, 0, "The request's nonce was used for a response already") /* RFC 8613 8.3 */                   \
    X(BAD_URI, -207, 0, "URI not understood")                                     /* RFC 7252 6 */                     \
    X(BAD_HEX, -208, 0, "Not a string of hex digit pairs")                                                             \
    X(CONTEXT_UNAVAILABLE, -301, 0xa3, "Sender sequence numbers are used up") /* RFC 8613 7.2.1 */                     \
    X(NOT_YET, -302, 0xa3, "Waiting for the store to confirm")                                                         \
    X(BUSY, -303, 0xa3, "No free entry for another exchange")                                                          \
    X(CRYPTO, -304, 0xa0, "The cryptography library refused")                                                          \
    X(STALE, -305, 0, "That exchange has ended")                                                                       \
    X(FILE, -401, 0xa0, "File not usable")                                                                             \
    X(BAD_CONTEXT, -402, 0, "Context directory not understood")                                                        \
    X(LOCKED, -403, 0, "Context directory is in use")                                                                  \
    X(NO_MEMORY, -404, 0xa0, "Out of memory")                                                                          \
    X(ADDRESS, -405, 0, "Address or port not usable")                                                                  \
    X(NO_CREDENTIALS, -406, 0, "No credentials for this URI")                                                          \
    X(BAD_CREDENTIALS, -407, 0, "Credentials file not understood")                                                     \
    X(DUPLICATE_CONTEXT, -408, 0, "Another context has the same keys") /* RFC 8613 3.3 */                              \
    X(TIMEOUT, -501, 0, "No response")                                 /* RFC 7252 4.2 */                              \
    X(RESET, -502, 0, "The peer rejected the message (RST)")           /* RFC 7252 4.2 */                              \
    X(UNREACHABLE, -503, 0, "The peer cannot be reached")                                                              \
    X(UNAUTHENTICATED, -504, 0, "The peer responded without protection") /* RFC 8613 8.4 */                            \
    X(ANONYMOUS_HOST, -505, 0, "No address known to name this host")                                                   \
    X(BODY_CHANGED, -510, 0, "The body changed while it was fetched") /* RFC 7959 2.4 */                               \
    X(BLOCKS, -511, 0, "The peer's blocks do not make a body")        /* RFC 7959 2.3 */                               \
    X(OVERSIZED, -512, 0, "The peer's message is longer than this endpoint accepts")

typedef enum nacre_err {
    NACRE_OK = 0,
#define NACRE_ERR_ENUM(name, value, coap, text) NACRE_ERR_##name = (value),
    NACRE_ERR_MAP(NACRE_ERR_ENUM)
#undef NACRE_ERR_ENUM
} nacre_err;

/* Name ("NACRE_ERR_REPLAY"), text ("Replay detected") and CoAP response code of a server (0: none) for an error. A value that
 * is not in the list gives "NACRE_ERR_?", "unknown error" and 0. */
const char *nacre_err_name(nacre_err err);
const char *nacre_err_text(nacre_err err);
uint8_t nacre_err_coap_code(nacre_err err);

/* nacre_err_is_protection_invalid: whether `err` means that a message cannot be trusted: DECODE, REPLAY, REPLAY_ECHO or
 * PROTECTION_INVALID. */
bool nacre_err_is_protection_invalid(nacre_err err);

/* An error message for people: one line with what failed, where, and what to do, without a final dot or newline. It is
 * UTF-8 without control characters: those in names and texts are shown as '?'. Functions that take a nacre_detail set it
 * whenever they return an error; NULL is allowed. */
typedef struct nacre_detail {
    char text[512];
} nacre_detail;

#ifdef __cplusplus
}
#endif

#endif
