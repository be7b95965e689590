/* SPDX-License-Identifier: MIT */
/* blocks: builds and reads single block-wise messages, so that a test can play one side of a transfer. Each result is
 * valid until the next call that makes the same kind. */
#ifndef NACRE_TESTS_BLOCKS_H
#define NACRE_TESTS_BLOCKS_H

#include "world.h"

/* A Block option's value plus one; 0 is "absent". */
#define BLOCK(num, more, szx) ((int64_t)(num)*16 + ((more) ? 8 : 0) + (szx) + 1)
enum { NO_BLOCK = 0 };

/* The options of a block-wise message; 0 and NULL leave an option out. */
typedef struct said {
    uint8_t code;
    int64_t block1, block2; /* BLOCK(…) */
    const char *tag, *etag, *path;
    uint64_t size1, size2;
    bool observe; /* Observe 0 */
    nacre_bytes payload;
} said;
#define SAID(...) ((said){ __VA_ARGS__ })

static inline nacre_bytes text_bytes(const char *text)
{
    return nacre_bytes_of((const uint8_t *)text, strlen(text));
}

static inline nacre_message said_message(const said *s)
{
    static uint8_t buf[256];
    nacre_options o;
    nacre_message m = { .type = NACRE_CON, .code = s->code, .payload = s->payload };
    nacre_options_init(&o, NACRE_BUF(buf));
    if (s->etag != NULL) nacre_options_add(&o, NACRE_OPT_ETAG, text_bytes(s->etag));
    if (s->observe) nacre_options_add_uint(&o, NACRE_OPT_OBSERVE, 0);
    if (s->path != NULL) nacre_options_add(&o, NACRE_OPT_URI_PATH, text_bytes(s->path));
    if (s->block2 != 0) nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, (uint64_t)s->block2 - 1);
    if (s->block1 != 0) nacre_options_add_uint(&o, NACRE_OPT_BLOCK1, (uint64_t)s->block1 - 1);
    if (s->size2 != 0) nacre_options_add_uint(&o, NACRE_OPT_SIZE2, s->size2);
    if (s->size1 != 0) nacre_options_add_uint(&o, NACRE_OPT_SIZE1, s->size1);
    if (s->tag != NULL) nacre_options_add(&o, NACRE_OPT_REQUEST_TAG, text_bytes(s->tag));
    assert_int_equal(nacre_options_finish(&o, &m.options), NACRE_OK);
    return m;
}

/* The option as a number, -1 if absent. */
static inline int64_t option_of(const nacre_message *m, uint16_t number)
{
    uint64_t value = 0;
    const nacre_bytes bytes = nacre_option_find(m->options, number);
    if (nacre_is_absent(bytes)) return -1;
    assert_true(nacre_option_uint(bytes, &value));
    return (int64_t)value;
}

static inline nacre_bytes pattern(size_t from, size_t len)
{
    static uint8_t bytes[100000];
    if (bytes[1] == 0)
        for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 31 + (i >> 8) * 7 + 1);
    assert_true(from + len <= sizeof bytes);
    return nacre_bytes_of(bytes + from, len);
}

static inline void assert_pattern(nacre_bytes got, size_t from, size_t len)
{
    assert_int_equal(got.len, len);
    if (len > 0) assert_memory_equal(got.ptr, pattern(from, len).ptr, len);
}

/* Delivers the one datagram that `from` sends to `to`; leaves `to`'s events to be pulled. */
static inline void carry(party *from, party *to, uint64_t now)
{
    datagram d;
    assert_true(party_take(from, &d, now));
    party_give(to, from, &d, now);
}

#endif
