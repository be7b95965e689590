/* SPDX-License-Identifier: MIT */
/* loop_internal: what the server needs of a loop beside the public calls. */
#ifndef NACRE_IO_LOOP_INTERNAL_H
#define NACRE_IO_LOOP_INTERNAL_H

#include "io/store_health.h"

/* nacre__loop_touch: something was asked of the endpoint from outside a step: nacre_loop_deadline says now. */
void nacre__loop_touch(nacre_loop *loop);

/* nacre__loop_share_health: what becomes of stores is noted there, with other loops, in place of the loop's own. */
void nacre__loop_share_health(nacre_loop *loop, nacre__store_health *health);

/* nacre__loop_name_contexts: reports of the loop's own stores name contexts so. */
void nacre__loop_name_contexts(nacre_loop *loop, const char *const *(*claims)(void *self, const nacre_context *ctx),
                               void *self);

/* nacre__loop_set_wake: a step also ends when `fd` becomes readable, and then nacre__loop_woken is true of that step; who
 * reads it is the caller's business. -1: none. */
void nacre__loop_set_wake(nacre_loop *loop, int fd);
bool nacre__loop_woken(const nacre_loop *loop);

/* nacre__loop_set_extra: `on_readable` is called in each step that finds `fd` readable. -1: none. */
void nacre__loop_set_extra(nacre_loop *loop, int fd, void (*on_readable)(void *user), void *user);

#endif
