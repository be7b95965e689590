/* SPDX-License-Identifier: MIT */
/* options: reads a list of options, and builds one in any order (RFC 7252 3.1, 3.2). */
#include "coap/option_codec.h"

nacre_option_iter nacre_option_begin(nacre_bytes options)
{
    static const uint8_t nothing[1];
    const uint8_t *at = options.ptr != NULL ? options.ptr : nothing;
    nacre_option_iter it = { at, at + options.len, 0, false };
    return it;
}

bool nacre_option_next(nacre_option_iter *it, nacre_option *opt)
{
    if (it->at == it->end) return false;
    nacre_bytes value;
    uint32_t number = it->number;
    const uint8_t *next =
        *it->at == NACRE__PAYLOAD_MARKER ? NULL : nacre__option_read(it->at, it->end, &number, &value);
    if (next == NULL) {
        it->bad = true;
        it->at = it->end;
        return false;
    }
    it->at = next;
    it->number = number;
    opt->number = (uint16_t)number;
    opt->value = value;
    return true;
}

nacre_bytes nacre_option_find(nacre_bytes options, uint16_t number)
{
    nacre_option opt;
    for (nacre_option_iter it = nacre_option_begin(options); nacre_option_next(&it, &opt) && opt.number <= number;)
        if (opt.number == number) return opt.value;
    return NACRE_ABSENT;
}

bool nacre_option_uint(nacre_bytes value, uint64_t *out)
{
    if (value.len > 8) return false;
    uint64_t n = 0;
    for (size_t i = 0; i < value.len; i++) n = n << 8 | value.ptr[i];
    *out = n;
    return true;
}

void nacre_options_init(nacre_options *o, nacre_buf buf)
{
    o->buf = buf;
    o->len = 0;
    o->last = 0;
    o->err = NACRE_OK;
}

/* Inserts an option at the end, or before the first with a larger number, whose delta and header shrink then. Returns where
 * the value goes; NULL if the list is, or becomes, bad. */
uint8_t *nacre__options_reserve(nacre_options *o, uint16_t number, size_t len)
{
    uint8_t *at = o->buf.ptr, *end = o->buf.ptr + o->len;
    uint32_t before = o->last, next_number = 0;
    size_t old_head = 0, new_head = 0;
    nacre_bytes next = { end, 0 };
    if (o->err == NACRE_OK && len > NACRE__OPTION_VALUE_MAX) o->err = NACRE_ERR_TOO_LONG;
    if (o->err != NACRE_OK) return NULL;
    if (number >= o->last) at = end;
    else { /* terminates: o->last is larger than `number` */
        for (before = 0;; before = next_number) {
            const uint8_t *behind = nacre__option_read(at, end, &next_number, &next);
            if (next_number > number) break;
            at += behind - at;
        }
        old_head = (size_t)(next.ptr - at);
        new_head = nacre__option_size(next_number - number, next.len) - next.len;
    }
    size_t new_size = nacre__option_size(number - before, len);
    if (new_size + new_head > o->buf.cap - o->len + old_head) {
        o->err = NACRE_ERR_BUFFER_TOO_SMALL;
        return NULL;
    }
    if (old_head > 0) memmove(at + new_size + new_head, next.ptr, (size_t)(end - next.ptr));
    else o->last = number;
    at = nacre__option_head_write(at, number - before, len);
    if (old_head > 0) nacre__option_head_write(at + len, next_number - number, next.len);
    o->len = o->len + new_size + new_head - old_head;
    return at;
}

void nacre_options_add(nacre_options *o, uint16_t number, nacre_bytes value)
{
    uint8_t *at = nacre__options_reserve(o, number, value.len);
    if (at != NULL) nacre__move(at, value.ptr, value.len);
}

void nacre_options_add_uint(nacre_options *o, uint16_t number, uint64_t value)
{
    uint8_t bytes[8];
    size_t len = 0; /* RFC 7252 3.2: no leading zeros, zero is the empty value */
    for (int shift = 56; shift >= 0; shift -= 8)
        if (len > 0 || value >> shift != 0) bytes[len++] = (uint8_t)(value >> shift);
    nacre_options_add(o, number, nacre_bytes_of(bytes, len));
}

nacre_err nacre_options_finish(const nacre_options *o, nacre_bytes *out)
{
    if (o->err == NACRE_OK) *out = nacre_bytes_of(o->buf.ptr, o->len);
    return o->err;
}
