/* SPDX-License-Identifier: MIT */
/* end: everything ends, and every pool entry is free. */
#include "world.h"

static void all_entries_are_free(void)
{
    const nacre_endpoint *ep = w.ep;
    for (uint32_t i = 0; i < ep->core.config.num_client_exchanges; i++) {
        CHECK(ep->client_exchanges.all[i].state == NACRE__CLIENT_FREE);
        CHECK(ep->client_exchanges.tokens[i] == 0);
    }
    CHECK(ep->tx.num_held == 0 && ep->client_exchanges.num_unlimited == 0);
    for (uint32_t i = 0; i < ep->core.config.num_server_exchanges; i++)
        CHECK(ep->server_exchanges.all[i].state == NACRE__SERVER_FREE ||
              ep->server_exchanges.all[i].state == NACRE__SERVER_RESPONDED);
    CHECK(ep->dedup.lists[NACRE__DEDUP_OPEN].first == NACRE__NONE);
    for (uint32_t i = 0; i < ep->server_exchanges.max_pending; i++)
        CHECK(ep->server_exchanges.pending[i].server == NACRE__NONE);
    CHECK(ep->tx.num_free == ep->core.config.num_transmissions && ep->tx.num_timers == 0);
    CHECK(ep->server_exchanges.num_plain == 0);
    CHECK(ep->persist_waits.num_requests == 0 && ep->persist_waits.num_waits == 0);
    CHECK(ep->empty.num == 0 && ep->protect_batch.num == 0);
    CHECK(ep->events.num == 0 && ep->tx.queue.num == 0 &&
          ep->client_exchanges.first_note == ep->client_exchanges.num_notes);
    CHECK(ep->observe.num_observing == 0);
    for (uint32_t i = 0; i < ep->observe.num_counts; i++) CHECK(ep->observe.counts[i] == 0);
    const nacre_transfer *t = w.transfer;
    if (t == NULL) return;
    CHECK(t->num_waiting == 0 && t->num_deferred == 0 && t->num_bodies_used == 0);
    for (uint32_t i = 0; i < t->config.num_client_exchanges; i++)
        CHECK(t->clients[i].state == NACRE__TRANSFER_FREE || t->clients[i].state == NACRE__TRANSFER_ENDED);
}

/* No datagram arrives any more, the store works, and everything that waits for the application is refused. */
void whole_end(void)
{
    nonces_break(0);
    w.policy = 0;
    for (int round = 0; round < 40; round++) {
        for (size_t i = 0; i < NUM_OPEN; i++) {
            if (!nacre_exchange_is_none(w.open[i].exchange)) whole_ignore(w.open[i].exchange);
            w.open[i] = (open_request){ 0 };
        }
        whole_serve_store(0);
        whole_transmit(SIZE_MAX);
        whole_expire(w.now + 50000 + (uint64_t)round * 50000);
    }
    /* An observation lasts until its server does not respond; without re-registration it lasts for ever. */
    for (size_t i = 0; i < NUM_CLIENT_REQUESTS; i++) {
        CHECK(w.requests[i].exchange == 0 || (w.requests[i].observes && !w.ep->core.config.observe.reregister));
        if (w.requests[i].exchange == 0) continue;
        if (w.transfer != NULL) nacre_transfer_cancel(w.transfer, (nacre_transfer_exchange){ w.requests[i].exchange });
        else nacre_endpoint_cancel(w.ep, (nacre_exchange){ w.requests[i].exchange });
    }
    for (uint32_t i = 0; i < w.ep->observe.max; i++) { /* an observer without notifications stays */
        const nacre__observer *o = &w.ep->observe.observers[i];
        if (o->state != NACRE__OBSERVER_FREE) nacre_endpoint_drop_observer(w.ep, (nacre_observer){ o->number });
    }
    whole_transmit(SIZE_MAX);
    CHECK(whole_deadline() == UINT64_MAX);
    all_entries_are_free();
    CHECK(w.num_block1 == 0);
}
