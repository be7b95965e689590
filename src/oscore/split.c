/* SPDX-License-Identifier: MIT */
/* split: see split.h. The measuring walk and the writing walk make the same choices through `sides_of`. */
#include "oscore/split.h"
#include "coap/option_codec.h"

typedef struct sides {
    bool inner, outer;
    nacre_bytes inner_value;
} sides;

static sides sides_of(const nacre_option *opt, bool is_request)
{
    uint8_t class = nacre_option_lookup(opt->number)->flags & (NACRE_CLASS_E | NACRE_CLASS_U);
    sides s = { class != NACRE_CLASS_U, class == NACRE_CLASS_U, opt->value };
    if (opt->number == NACRE_OPT_OBSERVE) { /* RFC 8613 4.1.3.5: both; inside, a notification's value is empty */
        s.outer = true;
        if (!is_request) s.inner_value.len = 0;
    }
    return s;
}

nacre_err nacre__split_measure(nacre__split *split, const nacre_message *plain, nacre_bytes oscore, bool is_request)
{
    nacre__split s = { plain->options, oscore, is_request, false, true, 0, 0 };
    uint32_t outer_last = 0, inner_last = 0;
    bool placed = false;
    nacre_option opt;
    nacre_option_iter it = nacre_option_begin(plain->options);
    while (nacre_option_next(&it, &opt)) {
        if (opt.number == NACRE_OPT_OSCORE) return NACRE_ERR_NESTED;
        if (opt.number == NACRE_OPT_PROXY_URI) return NACRE_ERR_UNSUPPORTED;
        sides side = sides_of(&opt, is_request);
        if (side.inner) {
            s.inner_len += nacre__option_size(opt.number - inner_last, side.inner_value.len);
            inner_last = opt.number;
        }
        if (!side.outer) continue;
        s.all_inner = false;
        if (opt.number == NACRE_OPT_OBSERVE) s.has_observe = true;
        if (!placed && opt.number > NACRE_OPT_OSCORE) {
            s.outer_len += nacre__option_size(NACRE_OPT_OSCORE - outer_last, oscore.len);
            outer_last = NACRE_OPT_OSCORE;
            placed = true;
        }
        s.outer_len += nacre__option_size(opt.number - outer_last, opt.value.len);
        outer_last = opt.number;
    }
    if (nacre_option_bad(&it)) return NACRE_ERR_BAD_ARGUMENT;
    if (!placed) s.outer_len += nacre__option_size(NACRE_OPT_OSCORE - outer_last, oscore.len);
    *split = s;
    return NACRE_OK;
}

void nacre__split_write(const nacre__split *s, uint8_t *outer, uint8_t *inner)
{
    nacre__option_writer out = { outer, 0 }, in = { inner, 0 };
    if (s->all_inner) {
        if (s->options.len > 0) memcpy(inner, s->options.ptr, s->options.len);
        nacre__option_write(&out, NACRE_OPT_OSCORE, s->oscore);
        return;
    }
    bool placed = false;
    nacre_option opt;
    for (nacre_option_iter it = nacre_option_begin(s->options); nacre_option_next(&it, &opt);) {
        sides side = sides_of(&opt, s->is_request);
        if (side.inner) nacre__option_write(&in, opt.number, side.inner_value);
        if (!side.outer) continue;
        if (!placed && opt.number > NACRE_OPT_OSCORE) {
            nacre__option_write(&out, NACRE_OPT_OSCORE, s->oscore);
            placed = true;
        }
        nacre__option_write(&out, opt.number, opt.value);
    }
    if (!placed) nacre__option_write(&out, NACRE_OPT_OSCORE, s->oscore);
}

bool nacre__stays_outer(uint16_t number)
{
    uint8_t class = nacre_option_lookup(number)->flags & (NACRE_CLASS_E | NACRE_CLASS_U);
    return class == NACRE_CLASS_U && number != NACRE_OPT_OSCORE; /* step 7: the OSCORE option itself is removed */
}

size_t nacre__merge_bound(nacre_bytes outer)
{
    nacre_option opt;
    for (nacre_option_iter it = nacre_option_begin(outer); nacre_option_next(&it, &opt);)
        if (nacre__stays_outer(opt.number)) return outer.len;
    return 0;
}

/* The next outer option that stays; false at the end. */
static bool next_kept(nacre_option_iter *it, nacre_option *opt)
{
    while (nacre_option_next(it, opt))
        if (nacre__stays_outer(opt->number)) return true;
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
