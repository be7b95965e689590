/* SPDX-License-Identifier: MIT */
/* loop_internal: loop functions for the client and the server only. */
#ifndef NACRE_IO_LOOP_INTERNAL_H
#define NACRE_IO_LOOP_INTERNAL_H

#include "io/loop_gauges.h"
#include "io/store_health.h"
#include "io/store_threads.h"

/* nacre__loop_touch: the endpoint was used outside a step; nacre_loop_deadline returns "now" until the next step. */
void nacre__loop_touch(nacre_loop *loop);

/* nacre__loop_share_stores: the loop uses a store health and store threads that it shares with other loops, instead of its own.
 * Before its first step. */
void nacre__loop_share_stores(nacre_loop *loop, nacre__store_health *health, nacre__store_threads *threads);

/* nacre__loop_find_stores: `find_store` gives the stores of contexts without nacre_loop_add_store. It is called by the loop's thread;
 * the loop keeps what it gives until nacre_loop_remove_store. */
void nacre__loop_find_stores(nacre_loop *loop,
                             bool (*find_store)(void *self, const nacre_context *ctx, nacre_store *store), void *self);

/* nacre__loop_on_lookup: `on_lookup` is called for each LOOKUP event (NULL: there are no contexts but those of the table), and requests
 * wait for their contexts from now on. nacre__loop_uses_context: whether the loop refers to a context; if not, it may be closed
 * after nacre_loop_remove_store. */
void nacre__loop_on_lookup(nacre_loop *loop,
                           void (*on_lookup)(void *self, nacre_endpoint *ep, const nacre_event *event), void *self);
bool nacre__loop_uses_context(nacre_loop *loop, const nacre_context *ctx);

/* nacre__loop_name_contexts sets where reports of the loop's own store health take the claims of a context from. */
void nacre__loop_name_contexts(nacre_loop *loop, const char *const *(*claims)(void *self, const nacre_context *ctx),
                               void *self);

/* nacre__loop_publish sets the loop's gauges before it waits. Any thread may read what nacre__loop_get_gauges returns, until the
 * loop is closed. */
void nacre__loop_publish(nacre_loop *loop);
const nacre__loop_gauges *nacre__loop_get_gauges(const nacre_loop *loop);

/* nacre__loop_set_wake: a step also ends when `fd` is readable, and nacre__loop_woken is then true for that step. The caller
 * reads `fd`. -1: none. */
void nacre__loop_set_wake(nacre_loop *loop, int fd);
bool nacre__loop_woken(const nacre_loop *loop);

/* nacre__loop_set_extra: `on_readable` is called in each step that finds `fd` readable. -1: none. */
void nacre__loop_set_extra(nacre_loop *loop, int fd, void (*on_readable)(void *user), void *user);

#endif
