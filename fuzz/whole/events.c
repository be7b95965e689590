/* SPDX-License-Identifier: MIT */
/* events: the endpoint's events, input and output; each event belongs to an open exchange. */
#include "world.h"

static client_request *request_of(uint64_t exchange)
{
    for (size_t i = 0; i < NUM_CLIENT_REQUESTS; i++)
        if (w.requests[i].exchange == exchange) return &w.requests[i];
    fuzz_failed("an event is of an exchange that is open", __FILE__, __LINE__);
}

static void forget_observer(nacre_observer observer)
{
    for (size_t i = 0; i < NUM_OBSERVERS; i++) {
        if (!nacre_observer_equal(w.observers[i], observer)) continue;
        w.observers[i] = NACRE_OBSERVER_NONE;
        return;
    }
    fuzz_failed("an observer ends once", __FILE__, __LINE__);
}

static void on_event(const nacre_event *e)
{
    client_request *mine;
    switch (e->kind) {
    case NACRE_EVENT_PERSIST: CHECK(!w.removed && e->context == &w.ctx); return;
    case NACRE_EVENT_REDERIVED:
        CHECK(w.rederives && e->user == &w.rederiving.ours &&
              e->context == nacre_rederivation_context(&w.rederiving.ours));
        return;
    case NACRE_EVENT_REQUEST:
    case NACRE_EVENT_NOTIFY:
    case NACRE_EVENT_OBSERVER_REMOVED:
        if (w.site != NULL) {
            const nacre_err err = nacre_site_respond(w.site, e);
            CHECK(err != NACRE_ERR_BAD_ARGUMENT && err != NACRE_ERR_BUFFER_TOO_SMALL);
        } else if (e->kind == NACRE_EVENT_OBSERVER_REMOVED) {
            forget_observer(e->observer);
        } else {
            CHECK(fuzz_well_formed(e->message.options));
            whole_keep_open(e->exchange, false);
        }
        return;
    case NACRE_EVENT_OVERSIZED: CHECK(e->oversized > MAX_MESSAGE && e->context == NULL); break;
    default: break;
    }
    mine = request_of(w.transfer != NULL ? e->transfer_exchange.number : e->exchange.number);
    CHECK(e->user == mine);
    if (e->kind == NACRE_EVENT_OVERSIZED) return;
    if (e->kind == NACRE_EVENT_NOTIFICATION) {
        CHECK(mine->observes);
        return;
    }
    CHECK((e->kind == NACRE_EVENT_FAILED) == (e->err != NACRE_OK));
    mine->exchange = 0;
}

static bool next_event(nacre_event *e)
{
    return w.transfer != NULL ? nacre_transfer_next_event(w.transfer, e) : nacre_endpoint_next_event(w.ep, e);
}

void whole_pull(void)
{
    for (nacre_event e; next_event(&e);) on_event(&e);
}

void whole_transmit(size_t most)
{
    while (most-- > 0) {
        nacre_outgoing out = { .buf = fuzz_buf(MAX_MESSAGE) };
        nacre_message m;
        const size_t num = w.transfer != NULL ? nacre_transfer_transmit_many(w.transfer, &out, 1, w.now)
                                              : nacre_endpoint_transmit_many(w.ep, &out, 1, w.now);
        if (num == 0) break;
        CHECK(nacre_message_parse(&m, out.bytes) == NACRE_OK);
        const size_t at = w.num_sent < MAX_SENT ? w.num_sent++ : w.now % MAX_SENT;
        w.sent[at] = fuzz_copy(out.bytes);
        w.sent_to[at] = out.peer.bytes[1];
    }
    whole_pull();
}

void whole_receive(uint8_t from, nacre_bytes datagram)
{
    nacre_datagram in = { .peer = whole_address(from), .bytes = fuzz_copy(datagram) };
    if (datagram.len > MAX_MESSAGE && w.random & 1) { /* as a driver with a small buffer delivers it */
        in.bytes = fuzz_copy(nacre_bytes_of(datagram.ptr, MAX_MESSAGE));
        in.full_len = datagram.len;
    }
    whole_pull();
    for (size_t i = 0; i < NUM_OPEN; i++)
        if (!w.open[i].deferred) w.open[i].exchange = NACRE_EXCHANGE_NONE;
    CHECK((w.transfer != NULL ? nacre_transfer_receive_many(w.transfer, &in, 1, w.now)
                              : nacre_endpoint_receive_many(w.ep, &in, 1, w.now)) == 1);
    whole_pull();
}
