/* SPDX-License-Identifier: MIT */
/* outer: one outer block of a protected message as a proxy sends it (RFC 8613 4.1.3.4.2), with each possible defect. */
#ifndef NACRE_TESTS_OUTER_H
#define NACRE_TESTS_OUTER_H

#include "endpoint/endpoint_struct.h"
#include "raw.h"

typedef struct outer_block {
    size_t num;
    uint8_t szx;
    bool more;       /* set on the last block too; that block is then filled up with the payload's start */
    size_t cut;      /* bytes missing at the end */
    const char *tag; /* Request-Tag, one byte; NULL: none */
    const char *raw; /* Block1 value as given */
    uint64_t size1;  /* 0: none */
    bool has_block2;
    uint32_t block2;
    bool is_plain; /* no Block1: the whole payload */
} outer_block;

/* Uses the next MID. */
static inline void raw_write_block(raw *r, datagram *d, const nacre_message *whole, const outer_block *b)
{
    uint8_t memory[128];
    nacre_options o;
    nacre_message m = *whole;
    nacre_option option;
    nacre_options_init(&o, NACRE_BUF(memory));
    for (nacre_option_iter it = nacre_option_begin(whole->options); nacre_option_next(&it, &option);)
        if (option.number != NACRE_OPT_BLOCK2) nacre_options_add(&o, option.number, option.value);
    if (!b->is_plain) {
        const size_t size = (size_t)16 << b->szx;
        size_t offset = b->num * size;
        if (offset >= whole->payload.len) offset = 0;
        const bool more = b->more || whole->payload.len - offset > size;
        m.payload.ptr += offset;
        m.payload.len = (more ? size : whole->payload.len - offset) - b->cut;
        if (b->raw != NULL)
            nacre_options_add(&o, NACRE_OPT_BLOCK1, nacre_bytes_of((const uint8_t *)b->raw, strlen(b->raw)));
        else nacre_options_add_uint(&o, NACRE_OPT_BLOCK1, b->num << 4 | (more ? 8 : 0) | b->szx);
    }
    if (b->has_block2) nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, b->block2);
    if (b->size1 > 0) nacre_options_add_uint(&o, NACRE_OPT_SIZE1, b->size1);
    if (b->tag != NULL) nacre_options_add(&o, NACRE_OPT_REQUEST_TAG, nacre_bytes_of((const uint8_t *)b->tag, 1));
    assert_int_equal(nacre_options_finish(&o, &m.options), NACRE_OK);
    m.type = NACRE_CON;
    m.mid = ++r->mid;
    m.token = r->token;
    datagram_write(d, &m);
}

static inline void raw_give_block(raw *r, const nacre_message *whole, const outer_block *b, uint64_t now)
{
    datagram d;
    raw_write_block(r, &d, whole, b);
    raw_give(r, &d, now);
}

#endif
