/* SPDX-License-Identifier: MIT */
/* option_classes: see option_classes.h. Measuring and writing are the same walk, without and with an output. */
#include "oscore/option_classes.h"
#include "coap/message.h"
#include "oscore/option.h"

/* Options of class U only: one bit each for numbers below 64, the others by name. Unknown numbers are class E (RFC 8613 4.1).
 * A test compares this with the option table. */
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

/* RFC 8613 4.1.1, 4.1.2, 4.1.3.1, 4.1.3.6: an option of both classes (Max-Age, No-Response …) goes inside, where it has its
 * end-to-end meaning. */
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

bool nacre__all_inner(nacre_bytes options)
{
    static const uint32_t not_only_inner =
        NACRE__SEEN(NACRE_OPT_URI_HOST) | NACRE__SEEN(NACRE_OPT_OBSERVE) | NACRE__SEEN(NACRE_OPT_URI_PORT) |
        NACRE__SEEN(NACRE_OPT_OSCORE) | NACRE__SEEN(NACRE_OPT_HOP_LIMIT) | NACRE__SEEN(NACRE_OPT_EDHOC) |
        NACRE__SEEN(NACRE_OPT_PROXY_URI) | NACRE__SEEN(NACRE_OPT_PROXY_SCHEME) | NACRE__SEEN(NACRE_OPT_PROXY_CRI);
    uint32_t seen;
    if (options.len == 0) return true;
    const uint8_t *end = options.ptr + options.len;
    return nacre__options_scan(options.ptr, end, &seen) == end && (seen & not_only_inner) == 0;
}

/* A list being written: `at` is NULL while measuring. */
typedef struct list {
    uint8_t *at;
    size_t len;
    uint32_t last;
} list;

static void add(list *l, uint32_t number, nacre_bytes value)
{
    l->len += nacre__option_size(number - l->last, value.len);
    if (l->at != NULL) {
        uint8_t *at = nacre__option_head_write(l->at, number - l->last, value.len);
        nacre__move(at, value.ptr, value.len); /* a merge may move within one buffer */
        l->at = at + value.len;
    }
    l->last = number;
}

static void add_oscore(list *l, const nacre__option_classes *s)
{
    l->len += nacre__option_size(NACRE_OPT_OSCORE - l->last, s->oscore_len);
    if (l->at != NULL) {
        l->at = nacre__option_head_write(l->at, NACRE_OPT_OSCORE - l->last, s->oscore_len);
        l->at = nacre__oscore_option_put(l->at, &s->oscore);
    }
    l->last = NACRE_OPT_OSCORE;
}

/* Copies each option to its side or sides, and inserts the OSCORE option. */
static nacre_err walk(nacre__option_classes *s, list *outer, list *inner)
{
    bool placed = false;
    nacre_option opt;
    nacre_option_iter it = nacre_option_begin(s->options);
    while (nacre_option_next(&it, &opt)) {
        if (opt.number == NACRE_OPT_OSCORE) return NACRE_ERR_NESTED; /* RFC 8613 4.1.3.7 */
        sides side = sides_of(&opt, s->is_request);
        if (side.inner) add(inner, opt.number, side.inner_value);
        if (!side.outer) continue;
        if (opt.number == NACRE_OPT_OBSERVE) s->has_observe = true;
        if (!placed && opt.number > NACRE_OPT_OSCORE) {
            add_oscore(outer, s);
            placed = true;
        }
        add(outer, opt.number, opt.value);
    }
    if (!placed) add_oscore(outer, s);
    return nacre_option_bad(&it) ? NACRE_ERR_BAD_ARGUMENT : NACRE_OK;
}

nacre_err nacre__option_classes_measure_both(nacre__option_classes *s)
{
    list outer = { NULL, 0, 0 }, inner = { NULL, 0, 0 };
    nacre_err err = walk(s, &outer, &inner);
    s->outer_len = outer.len;
    s->inner_len = inner.len;
    return err;
}

void nacre__option_classes_write_both(nacre__option_classes *s, uint8_t *outer, uint8_t *inner)
{
    list out = { outer, 0, 0 }, in = { inner, 0, 0 };
    (void)walk(s, &out, &in); /* measured before, so it cannot fail */
}

/* Whether an outer option keeps its meaning after decryption: class U only, because outer class E options are discarded
 * (RFC 8613 8.2 step 1, 8.4 step 1). */
static bool stays_outer(uint16_t number)
{
    return number != NACRE_OPT_OSCORE && nacre__only_outer(number); /* step 7: the OSCORE option itself is removed */
}

/* A position in one of the two lists. */
typedef struct cursor {
    const uint8_t *at, *end; /* after the next option, and after the list */
    uint32_t number;
    nacre_bytes value;
    bool any; /* whether there is a next one */
} cursor;

static cursor cursor_of(nacre_bytes options)
{
    nacre_option_iter it = nacre_option_begin(options);
    cursor c = { it.at, it.end, 0, NACRE_ABSENT, true };
    return c;
}

static void next(cursor *c, bool only_kept)
{
    do {
        const uint8_t *end = c->at == c->end ? NULL : nacre__option_read(c->at, c->end, &c->number, &c->value);
        c->any = end != NULL;
        c->at = end;
    } while (c->any && only_kept && !stays_outer((uint16_t)c->number));
}

size_t nacre__merge(uint8_t *out, nacre_bytes inner, nacre_bytes outer)
{
    list l = { out, 0, 0 };
    cursor in = cursor_of(inner), kept = cursor_of(outer);
    uint32_t last_inner = 0; /* no outer option that stays has number 0 */
    next(&in, false);
    next(&kept, true);
    while (in.any || kept.any) {
        if (in.any && (!kept.any || in.number <= kept.number)) {
            last_inner = in.number;
            add(&l, in.number, in.value);
            next(&in, false);
        } else {
            if (kept.number != last_inner) add(&l, kept.number, kept.value);
            next(&kept, true);
        }
    }
    return l.len;
}
