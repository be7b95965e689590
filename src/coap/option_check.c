/* SPDX-License-Identifier: MIT */
/* option_check: see option_check.h. */
#include "coap/option_check.h"

static bool within(uint32_t number, uint32_t len, bool repeated)
{
    if (number < NACRE__NUM_LIMITS) {
        const nacre__option_limits *l = &nacre__limits[number];
        return !l->known || (len - l->min_len <= l->span && !(repeated && l->once));
    }
    const nacre_option_info *info = nacre_option_lookup((uint16_t)number);
    return len >= info->min_len && len <= info->max_len && (!repeated || (info->flags & NACRE_REPEATABLE) != 0);
}

bool nacre__option_is_valid(const nacre_option *option, bool repeated)
{
    return within(option->number, (uint32_t)option->value.len, repeated);
}

bool nacre__option_must_reject(const nacre_option *option, bool repeated)
{
    if (!nacre_option_is_critical(option->number)) return false;
    if (option->number < NACRE__NUM_LIMITS && !nacre__limits[option->number].known) return true;
    if (option->number >= NACRE__NUM_LIMITS && nacre_option_lookup(option->number)->name == NULL) return true;
    return !nacre__option_is_valid(option, repeated);
}

uint32_t nacre__options_seen(nacre_bytes options)
{
    uint32_t number = 0, all = 0;
    if (options.len == 0) return 0;
    const uint8_t *at = options.ptr, *end = at + options.len;
    while (at != end) {
        const uint32_t before = number, delta = *at >> 4;
        uint32_t len = *at & 15u;
        if (delta < 13 && len < 13) { /* the common case */
            number += delta;
            at += 1 + len;
        } else {
            nacre_bytes value = NACRE_ABSENT;
            at = nacre__option_read(at, end, &number, &value);
            if (at == NULL) break; /* not well-formed */
            len = (uint32_t)value.len;
        }
        all |= NACRE__SEEN(number);
        if (!within(number, len, number == before)) all |= NACRE__SEEN_UNRECOGNISED;
    }
    return all;
}

/* Each option is read before it is overwritten; a dropped option's delta is added to the next one's header. */
size_t nacre__options_drop(uint8_t *to, nacre_bytes options)
{
    uint8_t *out = to;
    uint32_t last = 0, before = 0;
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option); before = option.number) {
        if (!nacre_option_is_critical(option.number) && !nacre__option_is_valid(&option, option.number == before))
            continue;
        out = nacre__option_head_write(out, option.number - last, option.value.len);
        nacre__move(out, option.value.ptr, option.value.len);
        out += option.value.len;
        last = option.number;
    }
    return (size_t)(out - to);
}
