/* SPDX-License-Identifier: MIT */
/* application_steps: steps of the application. */
#include "world.h"

static void observe(nacre_exchange exchange)
{
    for (size_t i = 0; i < NUM_OBSERVERS; i++) {
        if (!nacre_observer_is_none(w.observers[i])) continue;
        nacre_observer observer;
        if (nacre_endpoint_observe(w.ep, &observer, exchange, NULL) == NACRE_OK) w.observers[i] = observer;
        return;
    }
}

void whole_we_respond(void)
{
    static const uint8_t codes[] = { NACRE_CONTENT, NACRE_CONTENT, NACRE_CONTENT, NACRE_CHANGED, NACRE_NOT_FOUND, 0 };
    const uint8_t which = fuzz_u8(w.in), how = fuzz_u8(w.in);
    open_request *o = &w.open[which % NUM_OPEN];
    for (size_t i = 0; i < NUM_OPEN && nacre_exchange_is_none(o->exchange); i++) o = &w.open[i];
    if (nacre_exchange_is_none(o->exchange)) return;
    if (how & 1 && w.site == NULL) observe(o->exchange);
    if (how & 2) {
        const nacre_err err = w.transfer != NULL ? nacre_transfer_defer_response(w.transfer, o->exchange)
                                                 : nacre_endpoint_defer_response(w.ep, o->exchange);
        if (err == NACRE_OK) o->deferred = true;
        return;
    }
    if (how & 4) {
        whole_ignore(o->exchange);
        *o = (open_request){ 0 };
        return;
    }
    nacre_message m = { .code = codes[fuzz_u8(w.in) % sizeof codes] };
    m.options = whole_options(false, how & 8 ? 3 : -1);
    m.payload = whole_payload();
    nacre_err err;
    if (w.transfer == NULL) {
        err = nacre_endpoint_respond(w.ep, o->exchange, &m);
    } else {
        nacre_response_options response = { .block_size = (uint16_t)(how & 16 ? 16 : 0) };
        if (how & 32) {
            response.source = (nacre_source){ whole_read_source, NULL, how & 64 ? BIG : NACRE_SIZE_UNKNOWN };
            m.payload = NACRE_ABSENT;
        }
        err = nacre_transfer_respond(w.transfer, o->exchange, &m, &response);
    }
    if (err == NACRE_OK || err == NACRE_ERR_STALE) *o = (open_request){ 0 };
}

void whole_resource_changes(void)
{
    static const char *const paths[] = { "/a", "/later", "/up", "/plain" };
    const uint8_t which = fuzz_u8(w.in);
    if (w.site != NULL) {
        nacre_site_changed(w.site, paths[which & 3]);
        return;
    }
    nacre_observer *observer = &w.observers[which % NUM_OBSERVERS];
    if (nacre_observer_is_none(*observer)) return;
    if (!(which & 128)) {
        nacre_endpoint_changed(w.ep, *observer);
        return;
    }
    whole_pull(); /* its end may be pending */
    if (!nacre_observer_is_none(*observer)) nacre_endpoint_drop_observer(w.ep, *observer);
    *observer = NACRE_OBSERVER_NONE;
}

/* bits of `kind`: 1, 2 Observe; 4 NON; 8 unprotected; 16 a source; 32 a sink; 64 a buffer; 128 the largest body */
void whole_we_request(void)
{
    static const uint8_t codes[] = { NACRE_GET, NACRE_GET, NACRE_FETCH, NACRE_PUT, NACRE_POST };
    const uint8_t to = fuzz_u8(w.in), kind = fuzz_u8(w.in);
    client_request *mine = NULL;
    for (size_t i = 0; i < NUM_CLIENT_REQUESTS; i++)
        if (w.requests[i].exchange == 0) mine = &w.requests[i];
    if (mine == NULL) return;
    const bool rederives = w.rederives && to & 64;
    nacre_context *context = kind & 8 || w.removed || rederives ? NULL : &w.ctx;
    const nacre_address peer = whole_address(to);
    nacre_message m = { .type = kind & 4 ? NACRE_NON : NACRE_CON, .code = codes[fuzz_u8(w.in) % sizeof codes] };
    m.options = whole_options(true, whole_observe_of(kind));
    m.payload = kind & 128 ? nacre_bytes_of(whole_big, BIG) : whole_payload();
    nacre_transfer_options how = { .request = { .via_proxy = to & 4, .timeout_ms = to & 8 ? 5000 : 0 } };
    if (rederives) how.request.rederivation = &w.rederiving.ours;
    if (kind & 16) how.source = (nacre_source){ whole_read_source, NULL, to & 16 ? BIG : NACRE_SIZE_UNKNOWN };
    if (kind & 32) how.sink = (nacre_sink){ whole_write_sink, NULL };
    if (kind & 64) how.buf = NACRE_BUF(mine->buf);
    if (to & 32) how.block_size = 16;
    if (kind & 16) m.payload = NACRE_ABSENT;
    nacre_exchange exchange = NACRE_EXCHANGE_NONE;
    nacre_transfer_exchange whole = { 0 };
    const nacre_err err = w.transfer != NULL
                              ? nacre_transfer_request(w.transfer, &whole, &peer, context, &m, &how, mine)
                              : nacre_endpoint_request_with(w.ep, &exchange, &peer, context, &m, &how.request, mine);
    if (w.transfer != NULL) exchange.number = whole.number;
    CHECK((err == NACRE_OK) == !nacre_exchange_is_none(exchange));
    if (err != NACRE_OK) return;
    uint64_t value = 1;
    const nacre_bytes option = nacre_option_find(m.options, NACRE_OPT_OBSERVE);
    mine->exchange = exchange.number;
    mine->observes = !nacre_is_absent(option) && nacre_option_uint(option, &value) && value == 0;
}

void whole_we_leave(void)
{
    const uint8_t which = fuzz_u8(w.in);
    client_request *mine = &w.requests[which % NUM_CLIENT_REQUESTS];
    if (mine->exchange == 0) return;
    if (which & 64) {
        const nacre_err err = w.transfer != NULL
                                  ? nacre_transfer_unobserve(w.transfer, (nacre_transfer_exchange){ mine->exchange })
                                  : nacre_endpoint_unobserve(w.ep, (nacre_exchange){ mine->exchange });
        CHECK(err != NACRE_OK || mine->observes);
        return;
    }
    whole_pull(); /* it may have ended */
    if (mine->exchange == 0) return;
    if (w.transfer != NULL) nacre_transfer_cancel(w.transfer, (nacre_transfer_exchange){ mine->exchange });
    else nacre_endpoint_cancel(w.ep, (nacre_exchange){ mine->exchange });
    mine->exchange = 0;
}

void whole_ping_or_lose(void)
{
    const uint8_t which = fuzz_u8(w.in);
    const nacre_address peer = whole_address(which);
    if (which & 64 || w.transfer != NULL) {
        nacre_endpoint_unreachable(w.ep, &peer);
        whole_pull();
        return;
    }
    for (size_t i = 0; i < NUM_CLIENT_REQUESTS; i++) {
        if (w.requests[i].exchange != 0) continue;
        nacre_exchange exchange;
        if (nacre_endpoint_ping(w.ep, &exchange, &peer, &w.requests[i]) == NACRE_OK) {
            w.requests[i].exchange = exchange.number;
            w.requests[i].observes = false;
        }
        return;
    }
}
