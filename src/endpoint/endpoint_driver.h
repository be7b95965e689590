/* SPDX-License-Identifier: MIT */
/* endpoint_driver: what io/ uses beside the public header. */
#ifndef NACRE_ENDPOINT_DRIVER_H
#define NACRE_ENDPOINT_DRIVER_H

#include <nacre/endpoint.h>

/* `on_confirmed` is called at each nacre_endpoint_confirmed, and for each removed context (NACRE_ERR_NO_CONTEXT), before the
 * endpoint acts: so the driver also sees confirmations that stores make directly. */
void nacre__endpoint_on_confirmed(nacre_endpoint *ep, void (*on_confirmed)(void *, nacre_context *, nacre_err),
                                  void *self);

/* Other threads change the table of contexts while they hold `lock`. It is called without contexts, around each search: once for
 * a burst, unless contexts share a kid. A context that was found is used until the call of the endpoint ends. */
void nacre__endpoint_share_table(nacre_endpoint *ep, nacre_lock lock);

/* nacre__endpoint_uses_context: whether an exchange, an observation or a persist request refers to the context. If not, it may be
 * wiped without nacre_endpoint_remove_context. */
bool nacre__endpoint_uses_context(nacre_endpoint *ep, const nacre_context *context);

/* nacre__endpoint_pause_lookups: no more requests wait for contexts, as without num_lookups, or they do again. */
void nacre__endpoint_pause_lookups(nacre_endpoint *ep, bool is_paused);

/* `on_verified` is called for each request and response that has verified, with its peer, when its event is pulled. */
void nacre__endpoint_on_verified(nacre_endpoint *ep, void (*on_verified)(void *, const nacre_address *), void *self);

/* nacre__endpoint_num_observers: observers of resources at present. The endpoint's thread. */
uint32_t nacre__endpoint_num_observers(const nacre_endpoint *ep);

#endif
