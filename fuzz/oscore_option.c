/* SPDX-License-Identifier: MIT */
/* oscore_option: a decoded value encodes to the same bytes; encoded parts decode to the same parts. */
#include "fuzz.h"

static bool same_part(nacre_bytes a, nacre_bytes b)
{
    return nacre_is_absent(a) == nacre_is_absent(b) && fuzz_same(a, b);
}

/* RFC 8613 6.1, implemented a second time: what must be refused. */
static bool allowed(nacre_bytes v)
{
    if (v.len == 0) return true;
    size_t n = v.ptr[0] & 7, left = v.len - 1;
    if (v.ptr[0] == 0 || v.ptr[0] >= 0x20 || n > 5 || n > left) return false;
    if (n > 1 && v.ptr[1] == 0) return false;
    left -= n;
    if (v.ptr[0] & 0x10) {
        if (left == 0 || v.ptr[1 + n] > left - 1) return false;
        left -= 1u + v.ptr[1 + n];
    }
    return left == 0 || (v.ptr[0] & 8) != 0;
}

static void read_and_write(nacre_bytes value)
{
    nacre_oscore_option opt, before;
    memset(&opt, 0x5a, sizeof opt);
    memcpy(&before, &opt, sizeof opt);
    nacre_err err = nacre_oscore_option_read(&opt, value);
    CHECK(err == (allowed(value) ? NACRE_OK : NACRE_ERR_DECODE));
    if (err != NACRE_OK) {
        CHECK(memcmp(&opt, &before, sizeof opt) == 0);
        return;
    }
    nacre_bytes out = NACRE_ABSENT;
    if (value.len > 0)
        CHECK(nacre_oscore_option_write(&opt, &out, fuzz_buf(value.len - 1)) == NACRE_ERR_BUFFER_TOO_SMALL);
    CHECK(nacre_oscore_option_write(&opt, &out, fuzz_buf(value.len)) == NACRE_OK);
    CHECK(fuzz_same(out, value));
}

static void write_and_read(fuzz_input *in)
{
    uint8_t which = fuzz_u8(in);
    nacre_oscore_option opt = { NACRE_ABSENT, NACRE_ABSENT, NACRE_ABSENT }, back;
    if (which & 1) opt.partial_iv = fuzz_take(in, which >> 4 & 7);
    if (which & 2) opt.kid_context = fuzz_take(in, (size_t)fuzz_u8(in) + (which >> 7));
    if (which & 4) opt.kid = fuzz_rest(in);
    nacre_bytes out = NACRE_ABSENT;
    nacre_err err = nacre_oscore_option_write(&opt, &out, fuzz_buf(600 + opt.kid.len));
    size_t n = opt.partial_iv.len;
    if (((which & 1) && (n == 0 || n > 5)) || opt.kid_context.len > 255) {
        CHECK(err == NACRE_ERR_BAD_ARGUMENT && nacre_is_absent(out));
        return;
    }
    CHECK(err == NACRE_OK);
    err = nacre_oscore_option_read(&back, out);
    if (n > 1 && opt.partial_iv.ptr[0] == 0) { /* the writer does not check the number */
        CHECK(err == NACRE_ERR_DECODE);
        return;
    }
    CHECK(err == NACRE_OK);
    CHECK(same_part(back.partial_iv, opt.partial_iv) && same_part(back.kid_context, opt.kid_context) &&
          same_part(back.kid, opt.kid));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = { data, data + size };
    read_and_write(fuzz_copy(nacre_bytes_of(data, size)));
    write_and_read(&in);
    fuzz_release();
    return 0;
}
