/* SPDX-License-Identifier: MIT */
/* claims: the names under which a context was added. A list is never changed, because handlers of other threads may read it: a
 * changed one is a new list, and the old one is freed when no thread reads it any more. */
#ifndef NACRE_IO_CLAIMS_H
#define NACRE_IO_CLAIMS_H

#include <nacre/base.h>

typedef struct nacre__claims {
    struct nacre__claims *next; /* in a list of stale ones */
    size_t num;
    unsigned *
        generations; /* for each name, the generation of credentials that it comes from (nacre__context_set); 0: added by itself */
    char *names[]; /* NULL-terminated */
} nacre__claims;

/* nacre__claims_with: those of `old` (may be NULL), and `name`. nacre__claims_since: those of `old` that were added by themselves
 * or come from credentials of `generation` or a later one. NULL: out of memory. */
nacre__claims *nacre__claims_with(const nacre__claims *old, const char *name, unsigned generation);
nacre__claims *nacre__claims_since(const nacre__claims *old, unsigned generation);
bool nacre__claims_has(const nacre__claims *claims, const char *name); /* `claims` may be NULL */
/* The same, from credentials of `generation` or added by itself: nacre__claims_with would change nothing. */
bool nacre__claims_has_of(const nacre__claims *claims, const char *name, unsigned generation);
void nacre__claims_free_all(nacre__claims *first); /* a list; NULL: none */

#endif
