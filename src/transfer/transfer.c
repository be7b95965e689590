/* SPDX-License-Identifier: MIT */
/* transfer: memory layout, driver calls, and the dispatch of endpoint events to the files of this module. */
#include "endpoint/endpoint_driver.h"
#include "transfer_internal.h"
#include "base/config_size.h"
#include "base/pool_layout.h"
#include "coap/message.h"

#include <nacre/rederivation.h>

#include <string.h>

/* ---- Configuration and memory ------------------------------------------------------------------------------------- */

/* Replaces zero fields by their defaults. */
static void fill(nacre_transfer_config *config)
{
    if (config->num_client_exchanges == 0)
        config->num_client_exchanges = nacre_endpoint_get_config(config->endpoint)->num_client_exchanges;
    if (config->block_size == 0) config->block_size = NACRE_MAX_BLOCK;
    if (config->bodies.num_bodies == 0) config->bodies.num_bodies = 8;
    if (config->bodies.bodies_per_peer == 0) config->bodies.bodies_per_peer = config->bodies.num_bodies / 4;
    if (config->bodies.max_body == 0) config->bodies.max_body = 8192;
    if (config->bodies.timeout_ms == 0) config->bodies.timeout_ms = 93000; /* RFC 7252 4.8.2: MAX_TRANSMIT_WAIT */
    config->size = sizeof *config;
}

nacre_transfer_config nacre_transfer_config_default(nacre_endpoint *endpoint)
{
    nacre_transfer_config config = { .endpoint = endpoint };
    fill(&config);
    return config;
}

/* Applies defaults and checks the result. False: invalid. */
static bool resolve(nacre_transfer_config *c, uint8_t *max_szx)
{
    if (c->endpoint == NULL) return false;
    if (c->size == 0) fill(c);
    if (c->num_client_exchanges == 0 || c->bodies.num_bodies == 0 || c->bodies.max_body == 0) return false;
    if (c->bodies.bodies_per_peer == 0 && c->bodies.num_bodies >= 4) return false;
    if (c->bodies.bodies_per_peer < 2) c->bodies.bodies_per_peer = 2; /* a request body and its response */
    return c->bodies.timeout_ms != 0 && nacre__block_szx(max_szx, c->block_size);
}

static size_t body_buf(const nacre_transfer *t)
{
    const size_t max = SIZE_MAX - t->max_message;
    return t->config.bodies.max_body > max ? SIZE_MAX : t->config.bodies.max_body + t->max_message;
}

static size_t lay_out_all(nacre_transfer *t, uint8_t *base, uint8_t **client_bytes, uint8_t **body_bytes)
{
    const nacre_transfer_config *config = &t->config;
    nacre__pool_layout layout = { base, 0 };
    (void)nacre__lay_out(&layout, 1, sizeof(nacre_transfer));
    t->clients = nacre__lay_out(&layout, config->num_client_exchanges, sizeof(nacre__client_transfer));
    t->requests = nacre__lay_out(&layout, t->max_requests + 1, sizeof(nacre__server_request));
    t->deferred = nacre__lay_out(&layout, t->max_deferred, sizeof(nacre__server_request));
    t->bodies = nacre__lay_out(&layout, config->bodies.num_bodies, sizeof(nacre__body));
    *client_bytes = nacre__lay_out(&layout, config->num_client_exchanges, 2 * t->max_message);
    *body_bytes = nacre__lay_out(&layout, config->bodies.num_bodies, body_buf(t));
    t->options = nacre__lay_out(&layout, 1, t->max_message);
    t->piece = nacre__lay_out(&layout, 1, NACRE_MAX_BLOCK + 1);
    return layout.at;
}

static bool plan(nacre_transfer *t, const nacre_transfer_config *config)
{
    if (!nacre__config_size_fits(config->size, sizeof *config)) return false;
    *t = (nacre_transfer){ .config = *config, .ep = config->endpoint };
    if (!resolve(&t->config, &t->max_szx)) return false;
    const nacre_endpoint_config *below = nacre_endpoint_get_config(t->ep);
    t->max_message = below->max_message;
    t->max_requests = 2 * (uint32_t)below->burst; /* those of a burst, and those released by a persist */
    t->max_deferred = below->num_transmissions;
    return true;
}

size_t nacre_transfer_size(const nacre_transfer_config *config)
{
    nacre_transfer t;
    uint8_t *client_bytes, *body_bytes;
    if (!plan(&t, config)) return 0;
    const size_t size = lay_out_all(&t, NULL, &client_bytes, &body_bytes);
    return size == SIZE_MAX ? 0 : size;
}

static void init_pools(nacre_transfer *t, uint8_t *client_bytes, uint8_t *body_bytes)
{
    for (size_t i = 0; i < t->config.num_client_exchanges; i++) {
        t->clients[i].options = client_bytes + 2 * t->max_message * i;
        t->clients[i].first = t->clients[i].options + t->max_message;
    }
    for (size_t i = 0; i < t->config.bodies.num_bodies; i++) {
        t->bodies[i].options = body_bytes + body_buf(t) * i;
        t->bodies[i].bytes = t->bodies[i].options + t->max_message;
    }
}

static uint64_t random_number(nacre_transfer *t)
{
    const nacre_random *random = &nacre_endpoint_get_config(t->ep)->random;
    uint8_t bytes[8];
    uint64_t value;
    random->fill(random->self, bytes, sizeof bytes);
    memcpy(&value, bytes, sizeof value);
    return value;
}

nacre_err nacre_transfer_init(nacre_transfer **out, void *memory, size_t size, const nacre_transfer_config *config)
{
    nacre_transfer planned;
    uint8_t *client_bytes, *body_bytes;
    if (!plan(&planned, config) || memory == NULL || (uintptr_t)memory % _Alignof(max_align_t) != 0)
        return NACRE_ERR_BAD_ARGUMENT;
    planned.size = lay_out_all(&planned, NULL, &client_bytes, &body_bytes);
    if (planned.size == SIZE_MAX || planned.size > size) return NACRE_ERR_BUFFER_TOO_SMALL;
    nacre_transfer *t = memory;
    *t = planned;
    (void)lay_out_all(t, memory, &client_bytes, &body_bytes);
    memset(t->clients, 0, t->config.num_client_exchanges * sizeof *t->clients);
    memset(t->bodies, 0, t->config.bodies.num_bodies * sizeof *t->bodies);
    init_pools(t, client_bytes, body_bytes);
    t->next_tag = random_number(t);
    const nacre_random *random = &nacre_endpoint_get_config(t->ep)->random;
    random->fill(random->self, t->hash_key, sizeof t->hash_key);
    random->fill(random->self, t->etag_key, sizeof t->etag_key);
    *out = t;
    return NACRE_OK;
}

void nacre_transfer_wipe(nacre_transfer *t)
{
    if (t == NULL) return;
    for (size_t i = 0; i < t->config.bodies.num_bodies; i++) nacre__body_release(t, &t->bodies[i]);
    nacre_wipe(t, t->size);
}

nacre_endpoint *nacre_transfer_endpoint(const nacre_transfer *t)
{
    return t->ep;
}

void nacre_transfer_on_upload(nacre_transfer *t, nacre_on_upload on_upload, void *user)
{
    t->on_upload = on_upload;
    t->on_upload_user = user;
}

/* ---- The driver's side -------------------------------------------------------------------------------------------- */

/* Ends the views of pending requests and releases the bodies delivered with them. */
static void forget_requests(nacre_transfer *t)
{
    while (t->num_requests > 0) {
        const uint32_t body = t->requests[--t->num_requests].body;
        if (body != NACRE__NO_BODY) nacre__body_release(t, &t->bodies[body]);
    }
}

size_t nacre_transfer_receive_many(nacre_transfer *t, const nacre_datagram *datagrams, size_t num, uint64_t now_ms)
{
    t->now = now_ms;
    const size_t taken = nacre_endpoint_receive_many(t->ep, datagrams, num, now_ms);
    if (taken > 0) forget_requests(t);
    return taken;
}

size_t nacre_transfer_transmit_many(nacre_transfer *t, nacre_outgoing *out, size_t num, uint64_t now_ms)
{
    t->now = now_ms;
    const size_t sent = nacre_endpoint_transmit_many(t->ep, out, num, now_ms);
    if (sent < num) t->queued = false;
    return sent;
}

bool nacre__transfer_queued(const nacre_transfer *t)
{
    return t->queued;
}

/* Messages that the transfer queued itself are due now: no event tells the driver about them. */
uint64_t nacre_transfer_deadline(const nacre_transfer *t)
{
    if (t->queued) return 0;
    const uint64_t below = nacre_endpoint_deadline(t->ep), client = nacre__body_cache_deadline(t);
    return below < client ? below : client;
}

void nacre_transfer_expire(nacre_transfer *t, uint64_t now_ms)
{
    t->now = now_ms;
    nacre_endpoint_expire(t->ep, now_ms);
    nacre__body_cache_expire(t);
}

/* DELIVERED bodies stay: the application reads them, and its response releases them. */
static void forget_bodies(nacre_transfer *t, const nacre_context *context)
{
    for (size_t i = 0; i < t->config.bodies.num_bodies; i++) {
        nacre__body *body = &t->bodies[i];
        if (body->key.context == context && body->kind != NACRE__BODY_DELIVERED) nacre__body_release(t, body);
    }
}

bool nacre__transfer_uses_context(nacre_transfer *t, const nacre_context *context)
{
    for (size_t i = 0; i < t->config.bodies.num_bodies; i++)
        if (t->bodies[i].kind != NACRE__BODY_FREE && t->bodies[i].key.context == context) return true;
    return nacre__endpoint_uses_context(t->ep, context);
}

void nacre_transfer_remove_context(nacre_transfer *t, nacre_context *context)
{
    forget_bodies(t, context);
    nacre__client_transfer_lose(t, context, NULL);
    nacre_endpoint_remove_context(t->ep, context);
}

void nacre_transfer_remove_rederivation(nacre_transfer *t, nacre_rederivation *rederivation)
{
    forget_bodies(t, &rederivation->derived.context);
    nacre__client_transfer_lose(t, NULL, rederivation);
    nacre_endpoint_remove_rederivation(t->ep, rederivation);
}

/* ---- Requests of peers --------------------------------------------------------------------------------------------- */

/* RFC 7252 5.4.3, 5.4.5: true if the option must be treated as unknown; Block1 and Block2 are critical. */
static bool is_foreign(nacre_bytes options, uint16_t number)
{
    uint16_t last = 0;
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option); last = option.number)
        if (option.number == number && nacre__option_must_reject(&option, last == number)) return true;
    return false;
}

/* Reads Block1 and Block2 into `request`; false: malformed or repeated. Most messages have neither and return early. */
static bool find_blocks(nacre__server_request *request, nacre_bytes options)
{
    uint32_t seen;
    if (options.len == 0 || nacre__options_scan(options.ptr, options.ptr + options.len, &seen) == NULL) return true;
    if ((seen & (NACRE__SEEN(NACRE_OPT_BLOCK1) | NACRE__SEEN(NACRE_OPT_BLOCK2))) == 0) return true;
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option) && option.number <= NACRE_OPT_BLOCK1;) {
        if (option.number == NACRE_OPT_BLOCK2) {
            if (request->has_block2 || !nacre__block_read(&request->block2, option.value)) return false;
            request->has_block2 = true;
        } else if (option.number == NACRE_OPT_BLOCK1) {
            if (request->has_block1 || !nacre__block_read(&request->block1, option.value)) return false;
            request->has_block1 = true;
        }
    }
    return true;
}

/* Responds with an error; returns false so that a caller can return it. */
static bool refuse(nacre_transfer *t, const nacre__server_request *request, uint8_t code, const char *text)
{
    nacre__respond_code(t, request, code, text, 0);
    return false;
}

/* A request for a later block. False: responded from the cache, or refused because the body is no longer kept. */
static bool take_next_block(nacre_transfer *t, const nacre__server_request *request)
{
    if (nacre__respond_from_cache(t, request)) return false;
    if (nacre_code_is_safe(request->event.message.code)) return true;
    /* RFC 7959 2.9.2: executing an unsafe method again would be another operation */
    return refuse(t, request, NACRE_INCOMPLETE, "that answer is not kept any more");
}

/* Copies field by field: a whole-struct copy of a just-written event stalls on store forwarding. */
static void begin_request(nacre__server_request *request, const nacre_event *event)
{
    request->event.kind = event->kind;
    request->event.err = event->err;
    request->event.exchange = event->exchange;
    request->event.context = event->context;
    request->event.peer = event->peer;
    request->event.message = event->message;
    request->event.user = event->user;
    request->has_block1 = request->has_block2 = request->is_deferred = false;
    request->block1 = request->block2 = (nacre__block){ 0 };
    request->body = NACRE__NO_BODY; /* key and payload_hash are set if it is deferred */
}

/* False: the transfer responded itself; the application gets no event. */
static bool take_request(nacre_transfer *t, nacre_event *event)
{
    nacre__server_request *request = &t->requests[t->num_requests];
    begin_request(request, event);
    if (event->kind == NACRE_EVENT_REQUEST) event->user = NULL;
    const bool well_formed = find_blocks(request, event->message.options);
    if (!well_formed || (request->has_block1 && request->has_block2 && request->block2.num > 0)) {
        const nacre_bytes options = event->message.options;
        const bool foreign = is_foreign(options, NACRE_OPT_BLOCK1) || is_foreign(options, NACRE_OPT_BLOCK2);
        request->has_block1 = request->has_block2 = false;
        if (foreign && event->message.type == NACRE_NON && !nacre_address_is_reliable(&event->peer)) {
            nacre_endpoint_ignore(t->ep, event->exchange); /* RFC 7252 5.4.1 */
            return false;
        }
        return refuse(t, request, foreign ? NACRE_BAD_OPTION : NACRE_BAD_REQUEST, "Block options that cannot be");
    }
    if (request->has_block1 && (request->block1.num > 0 || request->block1.more) &&
        !nacre__block1_server_take(t, request, event))
        return false;
    if (request->has_block2 && request->block2.num > 0 && !take_next_block(t, request)) return false;
    if (t->num_requests < t->max_requests) {
        t->num_requests++;
        return true;
    }
    if (request->body == NACRE__NO_BODY) return true; /* a response of one message needs no entry */
    nacre__body_release(t, &t->bodies[request->body]);
    return refuse(t, request, NACRE_UNAVAILABLE, "too many requests at once");
}

bool nacre_transfer_next_event(nacre_transfer *t, nacre_event *event)
{
    if (t->num_waiting > 0 && nacre__client_transfer_resume(t, event)) return true;
    while (nacre_endpoint_next_event(t->ep, event)) {
        switch (event->kind) {
        case NACRE_EVENT_REQUEST:
        case NACRE_EVENT_NOTIFY:
            if (take_request(t, event)) return true;
            break;
        case NACRE_EVENT_RESPONSE:
        case NACRE_EVENT_FAILED:
        case NACRE_EVENT_NOTIFICATION:
        case NACRE_EVENT_OVERSIZED:
            if (nacre__client_transfer_event(t, event)) return true;
            break;
        case NACRE_EVENT_OBSERVER_REMOVED: nacre__forget_observer(t, event->observer); return true;
        default: return true;
        }
    }
    return t->num_waiting > 0 && nacre__client_transfer_resume(t, event);
}
