/* SPDX-License-Identifier: MIT */
/* pieces: messages and their parts, built from the next bytes of the input. */
#include "world.h"

void whole_random(void *self, uint8_t *out, size_t len)
{
    (void)self;
    for (size_t i = 0; i < len; i++) {
        w.random = w.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        out[i] = (uint8_t)(w.random >> 56);
    }
}

nacre_address whole_address(uint8_t which)
{
    which &= 3;
    return (nacre_address){
        .len = 2,
        .flags = which == 3 ? NACRE_ADDRESS_RELIABLE : 0,
        .bytes = { 'p', which } /* the last is a connection */
    };
}

static void add_paths(nacre_options *o, uint8_t which)
{
    static const char *const paths[] = { "a", "later", "up", "plain" };
    const char *path = paths[which & 3];
    nacre_options_add(o, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)path, strlen(path)));
}

/* Options from the next bytes of the input: bits select them, further bytes are values. Sometimes the input gives all
 * option bytes. */
nacre_bytes whole_options(bool of_request, int observe)
{
    nacre_options o;
    nacre_bytes out;
    fuzz_input *in = w.in;
    const uint8_t which = fuzz_u8(in), more = fuzz_u8(in);
    if (which == 0xff) {
        out = fuzz_take(in, fuzz_u8(in));
        if (fuzz_well_formed(out) && nacre_is_absent(nacre_option_find(out, NACRE_OPT_OSCORE))) return out;
    }
    nacre_options_init(&o, fuzz_buf(200));
    if (which & 1) nacre_options_add(&o, NACRE_OPT_ETAG, fuzz_take(in, fuzz_u8(in) & 7));
    if (observe >= 0) nacre_options_add_uint(&o, NACRE_OPT_OBSERVE, (uint64_t)observe);
    if (of_request) add_paths(&o, which >> 6);
    if (!of_request && which & 64) nacre_options_add_uint(&o, NACRE_OPT_MAX_AGE, fuzz_u8(in));
    if (which & 2) nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, fuzz_uint(in, 1 + (which >> 7)));
    if (which & 4) nacre_options_add_uint(&o, NACRE_OPT_BLOCK1, fuzz_uint(in, 1 + (which >> 7)));
    if (which & 8) nacre_options_add_uint(&o, NACRE_OPT_SIZE2, fuzz_uint(in, 2));
    if (which & 16) nacre_options_add_uint(&o, NACRE_OPT_SIZE1, fuzz_uint(in, 2));
    if (more & 1) nacre_options_add(&o, NACRE_OPT_ECHO, NACRE_ARRAY(fuzz_echo));
    if (more & 2) nacre_options_add(&o, NACRE_OPT_ECHO, fuzz_take(in, fuzz_u8(in) & 31));
    if (more & 4) nacre_options_add_uint(&o, NACRE_OPT_NO_RESPONSE, fuzz_u8(in));
    if (which & 32) nacre_options_add(&o, NACRE_OPT_REQUEST_TAG, fuzz_take(in, fuzz_u8(in) & 7));
    if (more & 8) nacre_options_add(&o, 2049, NACRE_STR("?")); /* critical and unknown */
    return nacre_options_finish(&o, &out) == NACRE_OK ? out : NACRE_ABSENT;
}

int whole_observe_of(uint8_t kind)
{
    return kind & 1 ? kind >> 1 & 1 : -1;
}

nacre_bytes whole_payload(void)
{
    const size_t len = (size_t)fuzz_u8(w.in) * 8;
    return len == 0 ? NACRE_ABSENT : nacre_bytes_of(whole_big, len < BIG ? len : BIG);
}
