/* SPDX-License-Identifier: MIT */
/* decimal: exact conversion of large whole numbers between decimal text and bytes; used for replay bitfields. */
#ifndef NACRE_STORE_DECIMAL_H
#define NACRE_STORE_DECIMAL_H

#include <nacre/base.h>

typedef enum nacre__decimal_result {
    NACRE__DECIMAL_OK,
    NACRE__DECIMAL_NOT_WHOLE, /* anything but digits: a sign, a fraction, an exponent, nothing at all */
    NACRE__DECIMAL_TOO_LARGE, /* more than num_bits bits */
} nacre__decimal_result;

/* nacre__decimal_to_bits reads `text` into `bits`, (num_bits + 7) / 8 bytes, least significant first. `bits` is left
 * unchanged unless the result is OK. `num_bits` is at most 1024. */
nacre__decimal_result nacre__decimal_to_bits(uint8_t *bits, size_t num_bits, const char *text, size_t len);

/* nacre__decimal_to_uint does the same for a number of at most 64 bits. */
nacre__decimal_result nacre__decimal_to_uint(uint64_t *value, const char *text, size_t len);

/* nacre__decimal_from_bits writes the number as a string. 1024 bits need 309 digits and a NUL. */
enum { NACRE__DECIMAL_MAX_TEXT = 310, NACRE__DECIMAL_MAX_BITS = 1024 };
void nacre__decimal_from_bits(char text[NACRE__DECIMAL_MAX_TEXT], const uint8_t *bits, size_t len);

#endif
