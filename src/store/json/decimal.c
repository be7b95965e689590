/* SPDX-License-Identifier: MIT */
/* decimal: schoolbook multiplication and division by ten, for numbers of up to 1024 bits. */
#include "store/json/decimal.h"

#include <string.h>

/* number := number * 10 + digit; false: overflow. */
static bool push_digit(uint8_t *number, size_t len, unsigned digit)
{
    unsigned carry = digit;
    for (size_t i = 0; i < len; i++) {
        unsigned sum = number[i] * 10u + carry;
        number[i] = (uint8_t)(sum & 0xff);
        carry = sum >> 8;
    }
    return carry == 0;
}

/* number := number / 10; returns the remainder. */
static unsigned pop_digit(uint8_t *number, size_t len)
{
    unsigned rest = 0;
    for (size_t i = len; i-- > 0;) {
        unsigned sum = rest << 8 | number[i];
        number[i] = (uint8_t)(sum / 10);
        rest = sum % 10;
    }
    return rest;
}

static bool is_zero(const uint8_t *number, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (number[i] != 0) return false;
    return true;
}

static bool is_whole(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < '0' || text[i] > '9') return false;
    return len > 0;
}

nacre__decimal_result nacre__decimal_to_bits(uint8_t *bits, size_t num_bits, const char *text, size_t len)
{
    uint8_t number[NACRE__DECIMAL_MAX_BITS / 8] = { 0 };
    size_t num_bytes = (num_bits + 7) / 8;
    if (!is_whole(text, len)) return NACRE__DECIMAL_NOT_WHOLE;
    if (num_bytes > sizeof number) return NACRE__DECIMAL_TOO_LARGE;
    for (size_t i = 0; i < len; i++)
        if (!push_digit(number, num_bytes, (unsigned)(text[i] - '0'))) return NACRE__DECIMAL_TOO_LARGE;
    if (num_bits % 8 != 0 && number[num_bytes - 1] >> (num_bits % 8) != 0) return NACRE__DECIMAL_TOO_LARGE;
    memcpy(bits, number, num_bytes);
    return NACRE__DECIMAL_OK;
}

nacre__decimal_result nacre__decimal_to_uint(uint64_t *value, const char *text, size_t len)
{
    uint8_t bytes[8];
    nacre__decimal_result result = nacre__decimal_to_bits(bytes, 64, text, len);
    if (result != NACRE__DECIMAL_OK) return result;
    uint64_t number = 0;
    for (size_t i = sizeof bytes; i-- > 0;) number = number << 8 | bytes[i];
    *value = number;
    return NACRE__DECIMAL_OK;
}

void nacre__decimal_from_bits(char text[NACRE__DECIMAL_MAX_TEXT], const uint8_t *bits, size_t len)
{
    uint8_t number[NACRE__DECIMAL_MAX_BITS / 8] = { 0 };
    char reversed[NACRE__DECIMAL_MAX_TEXT];
    size_t num_digits = 0;
    memcpy(number, bits, len < sizeof number ? len : sizeof number);
    do reversed[num_digits++] = (char)('0' + pop_digit(number, sizeof number));
    while (!is_zero(number, sizeof number));
    for (size_t i = 0; i < num_digits; i++) text[i] = reversed[num_digits - 1 - i];
    text[num_digits] = '\0';
}
