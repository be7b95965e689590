/* SPDX-License-Identifier: MIT */
/* rederivation: RFC 8613 B.2 in an endpoint. */
#ifndef NACRE_ENDPOINT_REDERIVE_REDERIVATION_H
#define NACRE_ENDPOINT_REDERIVE_REDERIVATION_H

#include "endpoint/exchange/client_exchange.h"
#include "endpoint/exchange/server_exchange.h"
#include <nacre/rederivation.h>

enum { NACRE__REDERIVATION_BUCKETS = 64 };

typedef struct nacre__rederivations {
    nacre__client_exchanges *client_exchanges;
    nacre__server_exchanges *server_exchanges;
    nacre__core *core;
    nacre_endpoint *endpoint; /* identifies where a nacre_rederivation was added */
    void (*remove_context)(nacre_endpoint *endpoint, nacre_context *context);
    nacre_rederivation *buckets[NACRE__REDERIVATION_BUCKETS];
    nacre_rederivation *with_news; /* with an event to be pulled */
} nacre__rederivations;

/* rederivation.c */
nacre_err nacre__rederivation_add(nacre__rederivations *d, nacre_rederivation *r);
void nacre__rederivation_remove(nacre__rederivations *d, nacre_rederivation *r);
void nacre__rederivation_forget(nacre__rederivations *d, nacre_rederivation *r);
void nacre__rederivations_wipe(nacre__rederivations *d);
bool nacre__rederivation_event(nacre__rederivations *d, nacre_event *event);
nacre_rederivation *nacre__rederivation_next(nacre__rederivations *d, nacre_rederivation *before, nacre_bytes kid);
void nacre__rederivation_retire(nacre__rederivations *d, nacre_rederivation *r);
void nacre__rederivation_established(nacre__rederivations *d, nacre_rederivation *r, const nacre_address *peer);

/* rederivation_client.c */
bool nacre__rederivation_may_request(const nacre__rederivations *d, const nacre_rederivation *r,
                                     const nacre_context *context);
nacre_context *nacre__rederivation_no_context(nacre_rederivation *r);
bool nacre__rederivation_choose(nacre__rederivations *d, nacre__client_exchange *exchange);
const nacre_protect_options *nacre__rederivation_how(const nacre__client_exchange *exchange,
                                                     nacre_protect_options *buf);
bool nacre__rederivation_response(nacre__rederivations *d, nacre__client_exchange *exchange,
                                  const nacre__received *received);
bool nacre__rederivation_verified(nacre__rederivations *d, nacre__client_exchange *exchange);
void nacre__rederivation_left(nacre__rederivations *d, const nacre__client_exchange *exchange);
void nacre__rederivation_yield(nacre__rederivations *d, nacre_rederivation *r);

/* rederivation_server.c */
nacre_context *nacre__rederivation_next_context(nacre__rederivations *d, nacre__received *received);
bool nacre__rederivation_is_past(const nacre__received *received);
void nacre__rederivation_proved(nacre__rederivations *d, const nacre__received *received);
bool nacre__rederivation_takes(nacre__rederivations *d, nacre__server_exchange *exchange, nacre__received *received);

#endif
