/* SPDX-License-Identifier: MIT */
/* options: options added in any order come out as a stable sort by number gives them; the builder reports a full buffer
 * exactly if the result does not fit. The second half of the input is read as unchecked options. */
#include "fuzz.h"

enum { MAX_OPTIONS = 64 };
typedef struct model {
    nacre_option options[MAX_OPTIONS];
    size_t num;
} model;

static void model_add(model *m, uint16_t number, nacre_bytes value)
{
    size_t at = m->num++;
    for (; at > 0 && m->options[at - 1].number > number; at--) m->options[at] = m->options[at - 1];
    m->options[at] = (nacre_option){ number, value };
}

static size_t extension(size_t number)
{
    return number < 13 ? 0 : number < 269 ? 1 : 2;
}

static size_t model_size(const model *m)
{
    size_t size = 0, last = 0;
    for (size_t i = 0; i < m->num; i++) {
        const nacre_option *o = &m->options[i];
        size += 1 + extension(o->number - last) + extension(o->value.len) + o->value.len;
        last = o->number;
    }
    return size;
}

static void check_equal(const model *m, nacre_bytes encoded)
{
    nacre_option opt;
    size_t at = 0;
    nacre_option_iter it = nacre_option_begin(encoded);
    for (; nacre_option_next(&it, &opt); at++) {
        CHECK(at < m->num);
        CHECK(opt.number == m->options[at].number && fuzz_same(opt.value, m->options[at].value));
    }
    CHECK(at == m->num && !nacre_option_bad(&it));
}

static void add(fuzz_input *in, nacre_options *o, model *m)
{
    uint16_t number = (uint16_t)fuzz_uint(in, 2);
    uint8_t how = fuzz_u8(in);
    if (how == 255) {
        uint64_t value = fuzz_uint(in, 8), read = ~value;
        uint8_t bytes[8];
        nacre_options_add_uint(o, number, value);
        size_t len = 0;
        while (len < 8 && value >> (8 * len) != 0) len++;
        for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(value >> (8 * (len - 1 - i)));
        model_add(m, number, fuzz_copy(nacre_bytes_of(bytes, len)));
        CHECK(nacre_option_uint(nacre_bytes_of(bytes, len), &read) && read == value);
        return;
    }
    nacre_bytes value = fuzz_take(in, how < 250 ? how : how * (size_t)4);
    nacre_options_add(o, number, value);
    model_add(m, number, value);
}

static void build(fuzz_input *in)
{
    model m = { .num = 0 };
    nacre_options o;
    nacre_bytes out = NACRE_ABSENT;
    size_t cap = fuzz_uint(in, 2), num = fuzz_u8(in) % (MAX_OPTIONS + 1);
    nacre_options_init(&o, fuzz_buf(cap));
    for (size_t i = 0; i < num && in->at < in->end; i++) add(in, &o, &m);
    nacre_err err = nacre_options_finish(&o, &out);
    if (model_size(&m) > cap) {
        CHECK(err == NACRE_ERR_BUFFER_TOO_SMALL && nacre_is_absent(out));
    } else {
        CHECK(err == NACRE_OK && out.len == model_size(&m));
        check_equal(&m, out);
    }
}

static void walk(nacre_bytes bytes)
{
    nacre_option opt;
    size_t used = 0;
    nacre_option_iter it = nacre_option_begin(bytes);
    for (uint16_t last = 0; nacre_option_next(&it, &opt); last = opt.number) {
        CHECK(opt.number >= last);
        CHECK(opt.value.ptr >= bytes.ptr && opt.value.len <= (size_t)(bytes.ptr + bytes.len - opt.value.ptr));
        used += 1 + opt.value.len;
    }
    CHECK(used <= bytes.len);
    CHECK(!nacre_option_next(&it, &opt)); /* the end is final */
    nacre_option_find(bytes, NACRE_OPT_URI_PATH);
    char path[64];
    nacre_err err = nacre_path_text(bytes, path, sizeof path);
    CHECK(memchr(path, '\0', sizeof path) != NULL && (err == NACRE_OK) == (path[0] == '/'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = { data, data + size };
    build(&in);
    walk(fuzz_rest(&in));
    fuzz_release();
    return 0;
}
