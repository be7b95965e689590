/* SPDX-License-Identifier: MIT */
/* rederivation: RFC 8613 B.2, carried out by an endpoint. */
#ifndef NACRE_ENDPOINT_REDERIVE_REDERIVATION_H
#define NACRE_ENDPOINT_REDERIVE_REDERIVATION_H

#include "endpoint/exchange/client_exchange.h"
#include "endpoint/exchange/server_exchange.h"
#include <nacre/rederivation.h>

enum { NACRE__RENEWAL_BUCKETS = 64 };

typedef struct nacre__rederivations {
    nacre__exchanges *x;
    nacre__core *core;
    nacre_endpoint *endpoint; /* by which the caller's nacre_rederivation knows where it was added */
    void (*context_gone)(nacre_endpoint *endpoint, nacre_context *context);
    nacre_rederivation *buckets[NACRE__RENEWAL_BUCKETS];
    nacre_rederivation *renewed; /* of which there is news */
} nacre__rederivations;

/* rederivation.c */
nacre_err nacre__renewal_add(nacre__rederivations *d, nacre_rederivation *r);
void nacre__renewal_remove(nacre__rederivations *d, nacre_rederivation *r);
void nacre__renewal_forget(nacre__rederivations *d, nacre_rederivation *r);
void nacre__renewals_wipe(nacre__rederivations *d);
bool nacre__renewal_event(nacre__rederivations *d, nacre_event *event);
nacre_rederivation *nacre__renewal_next(nacre__rederivations *d, nacre_rederivation *before, nacre_bytes kid);
void nacre__renewal_retire(nacre__rederivations *d, nacre_rederivation *r);
void nacre__renewal_established(nacre__rederivations *d, nacre_rederivation *r, const nacre_address *peer);

/* rederivation_client.c */
bool nacre__renewal_may_ask(const nacre__rederivations *d, const nacre_rederivation *r, const nacre_context *context);
nacre_context *nacre__renewal_no_context(nacre_rederivation *r);
bool nacre__renewal_choose(nacre__rederivations *d, nacre__slot *slot);
const nacre_protect_options *nacre__renewal_how(const nacre__slot *slot, nacre_protect_options *room);
bool nacre__renewal_answer(nacre__rederivations *d, nacre__slot *slot, const nacre__item *item);
bool nacre__renewal_verified(nacre__rederivations *d, nacre__slot *slot);
void nacre__renewal_left(nacre__rederivations *d, const nacre__slot *slot);
void nacre__renewal_yield(nacre__rederivations *d, nacre_rederivation *r);

/* rederivation_server.c */
nacre_context *nacre__renewal_next_context(nacre__rederivations *d, nacre__item *item);
bool nacre__renewal_is_past(const nacre__item *item);
void nacre__renewal_proved(nacre__rederivations *d, const nacre__item *item);
bool nacre__renewal_takes(nacre__rederivations *d, nacre__entry *entry, nacre__item *item);

#endif
