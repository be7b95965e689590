/* SPDX-License-Identifier: MIT */
/* split: which options of a plain message go inside and which stay outside (RFC 8613 4.1), and the way back. */
#ifndef NACRE_OSCORE_OPTION_CLASSES_H
#define NACRE_OSCORE_OPTION_CLASSES_H

#include <nacre/oscore.h>
#include "coap/option_codec.h"
#include "oscore/option.h"

/* What splitting a message will give, in bytes. */
typedef struct nacre__option_classes {
    nacre_bytes options;        /* the plain message's */
    nacre_oscore_option oscore; /* the OSCORE option, for the outer side … */
    size_t oscore_len;          /* … and the length of its value */
    bool is_request;
    bool has_observe;
    bool all_inner; /* nothing but the OSCORE option goes outside: the inner options are the plain ones as they are */
    size_t outer_len, inner_len;
} nacre__option_classes;

/* Whether all options of a plain message go inside, and nowhere else: the rule, and cheap to know. False says nothing yet:
 * they may be malformed, too. */
bool nacre__all_inner(nacre_bytes options);

/* Where options go to both sides. */
nacre_err nacre__option_classes_measure_both(nacre__option_classes *classes);
void nacre__option_classes_write_both(nacre__option_classes *classes, uint8_t *outer, uint8_t *inner);

/* Measures split->options with split->oscore, split->is_request and split->all_inner, which is what nacre__all_inner says;
 * sets the rest.
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

/* Merges inner options and the outer ones that stay in number order at `out`; gives the length. `inner` may lie behind
 * `out` in the same room, by at least outer.len bytes: writing never overtakes reading, because each delta of the
 * merged list is at most the delta that the option had in its own. An outer option whose number is there inside is left
 * out: what is authenticated wins. */
size_t nacre__merge(uint8_t *out, nacre_bytes inner, nacre_bytes outer);

#endif
