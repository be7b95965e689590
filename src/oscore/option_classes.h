/* SPDX-License-Identifier: MIT */
/* option_classes: splits the options of a plain message into inner and outer ones (RFC 8613 4.1), and merges them again. */
#ifndef NACRE_OSCORE_OPTION_CLASSES_H
#define NACRE_OSCORE_OPTION_CLASSES_H

#include <nacre/oscore.h>
#include "coap/option_codec.h"
#include "oscore/option.h"

/* The result of splitting a message, in bytes. */
typedef struct nacre__option_classes {
    nacre_bytes options;        /* the plain message's */
    nacre_oscore_option oscore; /* the OSCORE option, for the outer side … */
    size_t oscore_len;          /* … and the length of its value */
    bool is_request;
    bool has_observe;
    bool all_inner; /* only OSCORE goes outside: the inner options are the unchanged plain ones */
    size_t outer_len, inner_len;
} nacre__option_classes;

/* A fast check whether all options of a plain message go only inside, the common case. False is inconclusive: they may also
 * be malformed. */
bool nacre__all_inner(nacre_bytes options);

/* For options that go to both sides. */
nacre_err nacre__option_classes_measure_both(nacre__option_classes *classes);
void nacre__option_classes_write_both(nacre__option_classes *classes, uint8_t *outer, uint8_t *inner);

/* Measures classes->options with classes->oscore, classes->is_request and classes->all_inner (the result of
 * nacre__all_inner); sets the other fields.
 * NACRE_OK; NACRE_ERR_NESTED, NACRE_ERR_BAD_ARGUMENT (not well-formed). */
static inline nacre_err nacre__option_classes_measure(nacre__option_classes *classes)
{
    classes->oscore_len = nacre__oscore_option_size(&classes->oscore);
    classes->has_observe = false;
    if (!classes->all_inner) return nacre__option_classes_measure_both(classes);
    classes->inner_len = classes->options.len;
    classes->outer_len = nacre__option_size(NACRE_OPT_OSCORE, classes->oscore_len);
    return NACRE_OK;
}

/* Writes outer_len bytes at `outer` and inner_len bytes at `inner`. */
static inline void nacre__option_classes_write(nacre__option_classes *classes, uint8_t *outer, uint8_t *inner)
{
    if (!classes->all_inner) {
        nacre__option_classes_write_both(classes, outer, inner);
        return;
    }
    nacre__move(inner, classes->options.ptr, classes->options.len);
    outer = nacre__option_head_write(outer, NACRE_OPT_OSCORE, classes->oscore_len);
    nacre__oscore_option_put(outer, &classes->oscore);
}

/* Merges inner options and the outer ones that stay in number order at `out`; returns the length. `inner` may follow `out` in
 * the same buffer, by at least outer.len bytes: writing never overtakes reading, because no delta of the merged list exceeds
 * that in the option's own list. An outer option whose number occurs inside is left out: the authenticated one wins. */
size_t nacre__merge(uint8_t *out, nacre_bytes inner, nacre_bytes outer);

#endif
