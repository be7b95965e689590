/* SPDX-License-Identifier: MIT */
/* claims: the names under which a context was added. A list is never changed, because handlers of other threads may read it: a
 * changed one is a new list, and the old one is freed when no thread reads it any more. */
#ifndef NACRE_IO_CLAIMS_H
#define NACRE_IO_CLAIMS_H

#include <nacre/base.h>

typedef struct nacre__claims {
    struct nacre__claims *next; /* in a list of stale ones */
    size_t num;
    unsigned *maps; /* for each name, the number of the credentials that it comes from; 0: added by itself */
    char *names[];  /* NULL-terminated */
} nacre__claims;

/* nacre__claims_with: those of `old` (may be NULL), and `name`. nacre__claims_since: those of `old` that were added by themselves
 * or come from credentials number `map` or later. NULL: out of memory. */
nacre__claims *nacre__claims_with(const nacre__claims *old, const char *name, unsigned map);
nacre__claims *nacre__claims_since(const nacre__claims *old, unsigned map);
bool nacre__claims_has(const nacre__claims *claims, const char *name); /* `claims` may be NULL */
/* … so that nacre__claims_with would change nothing. */
bool nacre__claims_has_of(const nacre__claims *claims, const char *name, unsigned map);
void nacre__claims_free_all(nacre__claims *first); /* a list; NULL: none */

#endif
