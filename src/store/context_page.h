/* SPDX-License-Identifier: MIT */
/* context_page: memory for one context that does not survive a fork. Two processes that count from the same number would
 * use nonces twice, so the child finds the context all zero: it protects and unprotects nothing. */
#ifndef NACRE_STORE_CONTEXT_PAGE_H
#define NACRE_STORE_CONTEXT_PAGE_H

#include <nacre/context.h>

/* An all-zero context; NULL without memory. Where the system cannot wipe on fork (anything but Linux from 4.14 on), the
 * child has a copy, and only the store's writes stop it. */
nacre_context *nacre__context_page(void);

/* Wipes the context and gives its page back; NULL is allowed. */
void nacre__context_page_free(nacre_context *ctx);

#endif
