/* SPDX-License-Identifier: MIT */
/* split: see split.h. The measuring walk and the writing walk make the same choices through `sides_of`. */
#include "oscore/split.h"
#include "coap/option_codec.h"
#include "oscore/option.h"

/* Class U only, among the options that exist: one bit each for numbers below 64, the others by name. A number that is
 * not known is class E (RFC 8613 4.1). The option table says the same at more length; a test holds the two together. */
#define BIT(number) (UINT64_C(1) << (number))
static const uint64_t only_outer_below_64 = BIT(NACRE_OPT_URI_HOST) | BIT(NACRE_OPT_URI_PORT) | BIT(NACRE_OPT_OSCORE) |
                                            BIT(NACRE_OPT_HOP_LIMIT) | BIT(NACRE_OPT_EDHOC) | BIT(NACRE_OPT_PROXY_URI) |
                                            BIT(NACRE_OPT_PROXY_SCHEME);

bool nacre__only_outer(uint16_t number)
{
    if (number < 64) return only_outer_below_64 >> number & 1;
    return number == NACRE_OPT_PROXY_CRI || number == NACRE_OPT_PROXY_SCHEME_NUMBER;
}

typedef struct sides {
    bool inner, outer;
    nacre_bytes inner_value;
} sides;

/* RFC 8613 4.1.1, 4.1.2, 4.1.3.1, 4.1.3.6: an option of both classes (Max-Age, No-Response …) goes inside, for there it
 * has its meaning end to end. */
static sides sides_of(const nacre_option *opt, bool is_request)
{
    bool outer = nacre__only_outer(opt->number);
    sides s = { !outer, outer, opt->value };
    if (opt->number == NACRE_OPT_OBSERVE) { /* RFC 8613 4.1.3.5, 4.1.3.5.2: both; inside, a notification's is empty */
        s.outer = true;
        if (!is_request) s.inner_value.len = 0;
    }
    return s;
}

nacre_err nacre__split_measure(nacre__split *s)
{
    uint32_t outer_last = 0, inner_last = 0;
    size_t outer_len = 0, inner_len = 0;
    bool placed = false, has_observe = false, all_inner = true;
    nacre_option opt;
    nacre_option_iter it = nacre_option_begin(s->options);
    s->oscore_len = nacre__oscore_option_size(&s->oscore);
    while (nacre_option_next(&it, &opt)) {
        if (opt.number == NACRE_OPT_OSCORE) return NACRE_ERR_NESTED; /* RFC 8613 4.1.3.7 */
        sides side = sides_of(&opt, s->is_request);
        if (side.inner) {
            inner_len += nacre__option_size(opt.number - inner_last, side.inner_value.len);
            inner_last = opt.number;
        }
        if (!side.outer) continue;
        all_inner = false;
        if (opt.number == NACRE_OPT_OBSERVE) has_observe = true;
        if (!placed && opt.number > NACRE_OPT_OSCORE) {
            outer_len += nacre__option_size(NACRE_OPT_OSCORE - outer_last, s->oscore_len);
            outer_last = NACRE_OPT_OSCORE;
            placed = true;
        }
        outer_len += nacre__option_size(opt.number - outer_last, opt.value.len);
        outer_last = opt.number;
    }
    if (nacre_option_bad(&it)) return NACRE_ERR_BAD_ARGUMENT;
    if (!placed) outer_len += nacre__option_size(NACRE_OPT_OSCORE - outer_last, s->oscore_len);
    s->has_observe = has_observe;
    s->all_inner = all_inner;
    s->outer_len = outer_len;
    s->inner_len = inner_len;
    return NACRE_OK;
}

static void write_oscore(nacre__option_writer *w, const nacre__split *s)
{
    w->at = nacre__option_head_write(w->at, NACRE_OPT_OSCORE - w->last, s->oscore_len);
    w->at = nacre__oscore_option_put(w->at, &s->oscore);
    w->last = NACRE_OPT_OSCORE;
}

void nacre__split_write(const nacre__split *s, uint8_t *outer, uint8_t *inner)
{
    nacre__option_writer out = { outer, 0 }, in = { inner, 0 };
    if (s->all_inner) {
        if (s->options.len > 0) memmove(inner, s->options.ptr, s->options.len);
        write_oscore(&out, s);
        return;
    }
    bool placed = false;
    nacre_option opt;
    for (nacre_option_iter it = nacre_option_begin(s->options); nacre_option_next(&it, &opt);) {
        sides side = sides_of(&opt, s->is_request);
        if (side.inner) nacre__option_write(&in, opt.number, side.inner_value);
        if (!side.outer) continue;
        if (!placed && opt.number > NACRE_OPT_OSCORE) {
            write_oscore(&out, s);
            placed = true;
        }
        nacre__option_write(&out, opt.number, opt.value);
    }
    if (!placed) write_oscore(&out, s);
}

/* RFC 8613 8.2 step 1, 8.4 step 1: what is class E is not taken from outside. */
static bool stays_outer(uint16_t number)
{
    return number != NACRE_OPT_OSCORE && nacre__only_outer(number); /* step 7: the OSCORE option itself is removed */
}

size_t nacre__merge_bound(nacre_bytes outer)
{
    nacre_option opt;
    for (nacre_option_iter it = nacre_option_begin(outer); nacre_option_next(&it, &opt);)
        if (stays_outer(opt.number)) return outer.len;
    return 0;
}

/* The next outer option that stays; false at the end. */
static bool next_kept(nacre_option_iter *it, nacre_option *opt)
{
    while (nacre_option_next(it, opt))
        if (stays_outer(opt->number)) return true;
    return false;
}

size_t nacre__merge(uint8_t *out, nacre_bytes inner, nacre_bytes outer)
{
    nacre__option_writer w = { out, 0 };
    nacre_option_iter in = nacre_option_begin(inner), kept = nacre_option_begin(outer);
    nacre_option a, b;
    uint32_t last_inner = 0; /* no option has number 0 that stays outer */
    bool has_a = nacre_option_next(&in, &a), has_b = next_kept(&kept, &b);
    while (has_a || has_b) {
        if (has_a && (!has_b || a.number <= b.number)) {
            nacre__option_write(&w, a.number, a.value);
            last_inner = a.number;
            has_a = nacre_option_next(&in, &a);
        } else {
            if (b.number != last_inner) nacre__option_write(&w, b.number, b.value);
            has_b = next_kept(&kept, &b);
        }
    }
    return (size_t)(w.at - out);
}
