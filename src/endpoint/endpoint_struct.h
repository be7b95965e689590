/* SPDX-License-Identifier: MIT */
/* endpoint_struct: the whole endpoint, visible only to its coordinators, the files of this folder. */
#ifndef NACRE_ENDPOINT_ENDPOINT_STRUCT_H
#define NACRE_ENDPOINT_ENDPOINT_STRUCT_H

#include "endpoint/endpoint_driver.h"
#include "endpoint/message/nstart.h"
#include "endpoint/observe/observe_client.h"
#include "endpoint/observe/observe_server.h"
#include "endpoint/outer_block/outer_block.h"
#include "endpoint/rederive/rederivation.h"

struct nacre_endpoint {
    nacre__core core;
    size_t size; /* of the whole block */
    nacre__persist_waits persist_waits;
    nacre__protect_batch protect_batch;

    nacre__transmissions tx; /* message/ */
    nacre__dedup dedup;
    nacre__empty_messages empty;

    nacre__address_validation validation; /* admission/ */
    nacre__rate_limits rate_limits;
    nacre__reset_belief reset_belief;
    nacre__echo echo;
    nacre__kept_echos kept_echos;

    nacre__queue events; /* of exchange/ */
    nacre__client_exchanges client_exchanges;
    nacre__server_exchanges server_exchanges;
    nacre__outer_blocks outer;
    nacre__observe_server observe;
    nacre__rederivations rederive;

    nacre__received *burst; /* one burst: receive.c */
    nacre_unprotect_item *jobs;
    const nacre__outer_options **outers;                                     /* of the jobs */
    nacre_context **locked;                                                  /* burst: of the jobs */
    uint8_t *plaintexts;                                                     /* burst times max_message: plaintexts */
    void (*on_confirmed)(void *self, nacre_context *context, nacre_err err); /* nacre__endpoint_on_confirmed; or NULL */
    void *on_confirmed_self;
    nacre_lock table_lock;                                      /* nacre__endpoint_share_table; or NULL */
    bool lookups_are_paused;                                    /* nacre__endpoint_pause_lookups */
    bool holds_table;                                           /* the table is locked for the rest of the burst */
    uint32_t table_changes;                                     /* its num_changes at the last search */
    void (*on_verified)(void *self, const nacre_address *peer); /* nacre__endpoint_on_verified; or NULL */
    void *on_verified_self;
};

void nacre__peer_lost(nacre_endpoint *ep, const nacre_address *peer); /* connection_lost.c */
void nacre__client_exchange_responded(nacre_endpoint *ep, nacre__client_exchange *exchange,
                                      const nacre__received *received, uint64_t now_ms); /* responses.c */
void nacre__client_exchange_oversized(nacre_endpoint *ep, nacre__client_exchange *exchange,
                                      const nacre__received *received, uint64_t now_ms);
bool nacre__endpoint_keep_for_lookup(nacre_endpoint *ep, nacre__server_exchange *exchange,
                                     const nacre__received *received); /* lookup.c */
bool nacre__try_next_context(nacre_err err);                           /* receive.c */
nacre_err nacre__nearest_error(nacre_err a, nacre_err b);
bool nacre__events_view_messages(const nacre_endpoint *ep); /* endpoint.c */
void nacre__upper_init(nacre_endpoint *ep);                 /* upper.c */

#endif
