/* SPDX-License-Identifier: MIT */
/* free_entries: checks that every pool entry of an idle party is free. A leak in an endpoint or a transfer is a pool
 * entry, since they have no other memory. */
#ifndef NACRE_TESTS_FREE_ENTRIES_H
#define NACRE_TESTS_FREE_ENTRIES_H

#include "world.h"

#include "endpoint/endpoint_struct.h"
#include "transfer/transfer_internal.h"

/* Observers stay registered; every other entry is freed. */
static inline void assert_all_entries_are_free(const party *p)
{
    const nacre_endpoint *ep = p->ep;
    for (uint32_t i = 0; i < ep->core.config.num_client_exchanges; i++) {
        assert_int_equal(ep->client_exchanges.all[i].state, NACRE__CLIENT_FREE);
        assert_true(ep->client_exchanges.tokens[i] == 0);
    }
    for (uint32_t i = 0; i < ep->core.config.num_server_exchanges; i++)
        assert_true(ep->server_exchanges.all[i].state == NACRE__SERVER_FREE ||
                    ep->server_exchanges.all[i].state == NACRE__SERVER_RESPONDED);
    for (uint32_t i = 0; i < ep->server_exchanges.max_pending; i++)
        assert_true(ep->server_exchanges.pending[i].server == NACRE__NONE);
    assert_true(ep->dedup.lists[NACRE__DEDUP_OPEN].first == NACRE__NONE);
    assert_true(ep->dedup.lists[NACRE__DEDUP_HELD].first == NACRE__NONE);
    assert_int_equal(ep->tx.num_held, 0);
    assert_int_equal(ep->client_exchanges.num_unlimited, 0);
    assert_int_equal(ep->persist_waits.num_requests, 0);
    assert_int_equal(ep->persist_waits.num_waits, 0);
    assert_int_equal(ep->empty.num, 0);
    assert_int_equal(ep->protect_batch.num, 0);
    assert_int_equal(ep->events.num, 0);
    assert_int_equal(ep->tx.queue.num, 0);
    assert_int_equal(ep->tx.num_timers, 0);
    assert_int_equal(ep->tx.num_free, ep->core.config.num_transmissions);
    const nacre_transfer *t = p->transfer;
    if (t == NULL) return;
    for (uint32_t i = 0; i < t->config.num_client_exchanges; i++)
        assert_true(t->clients[i].state == NACRE__TRANSFER_FREE || t->clients[i].state == NACRE__TRANSFER_ENDED);
    assert_int_equal(t->num_waiting, 0);
    assert_int_equal(t->num_deferred, 0);
    assert_int_equal(t->num_bodies_used, 0);
}

#endif
