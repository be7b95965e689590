/* SPDX-License-Identifier: MIT */
/* endpoint_driver: what io/ asks of an endpoint beside its public header. */
#ifndef NACRE_ENDPOINT_DRIVER_H
#define NACRE_ENDPOINT_DRIVER_H

#include <nacre/endpoint.h>

/* `on_confirmed` hears of each nacre_endpoint_confirmed, and of contexts that are removed (NACRE_ERR_NO_CONTEXT), before the
 * endpoint acts on it: the driver learns what stores told the endpoint themselves. */
void nacre__endpoint_on_confirmed(nacre_endpoint *ep, void (*on_confirmed)(void *, nacre_context *, nacre_err),
                                  void *self);

#endif
