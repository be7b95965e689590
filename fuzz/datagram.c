/* SPDX-License-Identifier: MIT */
/* datagram: what nacre_message_parse accepts has one encoding: read and written again, the bytes are the same. */
#include "fuzz.h"

static bool within(nacre_bytes part, nacre_bytes whole)
{
    return part.ptr >= whole.ptr && part.len <= whole.len && (size_t)(part.ptr - whole.ptr) <= whole.len - part.len;
}

static void walk(nacre_bytes options, nacre_bytes datagram)
{
    nacre_option opt;
    uint16_t last = 0;
    size_t num = 0;
    nacre_option_iter it = nacre_option_begin(options);
    for (; nacre_option_next(&it, &opt); num++) {
        CHECK(opt.number >= last);
        CHECK(within(opt.value, datagram));
        CHECK(nacre_option_lookup(opt.number) != NULL);
        nacre_bytes first = nacre_option_find(options, opt.number);
        CHECK(opt.number == last && num > 0 ? !nacre_is_absent(first) : first.ptr == opt.value.ptr);
        uint64_t number;
        CHECK(nacre_option_uint(opt.value, &number) == (opt.value.len <= 8));
        last = opt.number;
    }
    CHECK(!nacre_option_bad(&it)); /* parsing has checked all options */
    CHECK(num <= options.len);
}

/* The builder makes the same options. */
static nacre_bytes rebuilt(nacre_bytes options)
{
    nacre_options o;
    nacre_option opt;
    nacre_bytes out;
    nacre_options_init(&o, fuzz_buf(options.len));
    for (nacre_option_iter it = nacre_option_begin(options); nacre_option_next(&it, &opt);)
        nacre_options_add(&o, opt.number, opt.value);
    CHECK(nacre_options_finish(&o, &out) == NACRE_OK);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre_bytes datagram = fuzz_copy(nacre_bytes_of(data, size)), out = NACRE_ABSENT;
    nacre_message m, before;
    memset(&m, 0x5a, sizeof m);
    memcpy(&before, &m, sizeof m);
    if (nacre_message_parse(&m, datagram) != NACRE_OK) {
        CHECK(memcmp(&m, &before, sizeof m) == 0);
    } else {
        CHECK(within(m.token, datagram) && within(m.options, datagram) && within(m.payload, datagram));
        CHECK(m.code != NACRE_EMPTY || size == 4);
        walk(m.options, datagram);
        CHECK(fuzz_same(rebuilt(m.options), m.options));
        CHECK(nacre_message_size(&m) == size);
        CHECK(nacre_message_write(&m, &out, fuzz_buf(size - 1)) == NACRE_ERR_BUFFER_TOO_SMALL && nacre_is_absent(out));
        CHECK(nacre_message_write(&m, &out, fuzz_buf(size)) == NACRE_OK);
        CHECK(fuzz_same(out, datagram));
        char name[5];
        CHECK(nacre_code_name(m.code, name) != NULL);
    }
    fuzz_release();
    return 0;
}
