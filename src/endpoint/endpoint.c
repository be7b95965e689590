/* SPDX-License-Identifier: MIT */
/* endpoint: configuration, one block of memory divided into pools, and events. */
#include "endpoint/endpoint_struct.h"
#include "coap/option_check.h"
#include "base/config_size.h"
#include "base/pool_layout.h"
#include "crypto/ops.h"

#include <string.h>

/* ---- Configuration and memory ------------------------------------------------------------------------------------- */

enum {
    MAX_OBSERVERS = 1 << 20,    /* a bound far above what one thread serves */
    MAX_UNFRAGMENTED = 1 << 20, /* the largest body in blocks of 16 bytes: no limit makes sense above it */
};

static void default_u32(uint32_t *field, uint32_t value)
{
    if (*field == 0) *field = value;
}

static void default_u16(uint16_t *field, uint16_t value)
{
    if (*field == 0) *field = value;
}

/* RFC 7252 4.8 */
static void timing_defaults(nacre_timing *t)
{
    default_u32(&t->ack_timeout_ms, 2000);
    default_u32(&t->ack_random_factor_milli, 1500);
    if (t->max_retransmit == 0) t->max_retransmit = 4;
    default_u32(&t->response_timeout_ms, 93000);
    default_u32(&t->exchange_lifetime_ms, 247000);
    default_u32(&t->ack_delay_ms, 100);
}

static void observe_defaults(nacre_observe_config *o)
{
    default_u32(&o->observers_per_peer, o->num_observers / 4 > 16 ? o->num_observers / 4 : 16);
    default_u16(&o->observer_bytes, 256);
    default_u32(&o->reregister_ms, 3600000);
    o->reregister = true;
}

/* Replaces 0 and false by the default. */
static void fill_defaults(nacre_endpoint_config *config)
{
    if (config->max_message == 0) config->max_message = 1280;
    default_u16(&config->num_client_exchanges, 16);
    default_u16(&config->num_server_exchanges, 64);
    default_u16(&config->burst, 32);
    default_u16(&config->num_transmissions, 16);
    default_u16(&config->transmissions_per_peer, config->num_transmissions > 16 ? config->num_transmissions / 4 : 4);
    observe_defaults(&config->observe);
    config->admission.amplification_limit = true;
    default_u16(&config->admission.num_peers, 256);
    default_u16(&config->admission.challenges_per_second, 256);
    default_u16(&config->admission.context_challenges_per_second, 4);
    default_u16(&config->admission.source_per_second, 1);
    default_u16(&config->congestion.nstart, 1); /* RFC 7252 4.7, 4.8 */
    default_u32(&config->congestion.probing_rate, 1);
    default_u16(&config->outer_block.num_messages, 4);
    default_u32(&config->outer_block.max_unfragmented, 4096);
    timing_defaults(&config->timing);
    config->size = sizeof *config;
}

nacre_endpoint_config nacre_endpoint_config_default(void)
{
    nacre_endpoint_config config = { .size = 0 };
    fill_defaults(&config);
    return config;
}

static bool is_possible(const nacre_endpoint_config *c)
{
    const nacre_timing *t = &c->timing;
    if (c->max_message < 64 || c->max_message > 65535) return false;
    if (c->outer_block.max_unfragmented > MAX_UNFRAGMENTED || c->observe.num_observers > MAX_OBSERVERS) return false;
    if (t->ack_timeout_ms == 0 || t->response_timeout_ms == 0 || t->exchange_lifetime_ms == 0) return false;
    if (c->num_client_exchanges == 0 || c->num_server_exchanges == 0 || c->num_transmissions == 0) return false;
    if (c->transmissions_per_peer == 0) return false;
    if (c->burst == 0 || c->admission.num_peers == 0 || c->congestion.nstart == 0 || c->observe.observers_per_peer == 0)
        return false;
    return c->congestion.probing_rate != 0 && c->admission.challenges_per_second != 0 &&
           c->admission.context_challenges_per_second != 0 && c->admission.source_per_second != 0;
}

/* Copies the configuration and resolves its defaults. False: invalid. */
static bool resolve(nacre_endpoint_config *config, const nacre_endpoint_config *from)
{
    if (!nacre__config_size_fits(from->size, sizeof *from)) return false;
    *config = *from;
    if (config->size == 0) fill_defaults(config);
    if (config->opaque_oscore) config->outer_block.num_messages = 0;
    if (config->timing.ack_random_factor_milli < 1000) config->timing.ack_random_factor_milli = 1000;
    return is_possible(config);
}

typedef struct bytes_of_pools {
    uint8_t *clients, *sent, *servers, *pending, *observers, *outer;
} bytes_of_pools;

/* Lays out the pools of `ep`, whose config is set, after it. */
static size_t lay_out_all(nacre_endpoint *ep, uint8_t *base, bytes_of_pools *bytes)
{
    const nacre_endpoint_config *config = &ep->core.config;
    const size_t max = config->max_message;
    const uint32_t all =
        (uint32_t)config->num_client_exchanges + config->num_server_exchanges + config->num_transmissions;
    nacre__pool_layout layout = { base, 0 };
    (void)nacre__lay_out(&layout, 1, sizeof(nacre_endpoint));
    nacre__transmissions_lay_out(&ep->tx, &layout, config->num_client_exchanges, config->num_transmissions, all);
    nacre__dedup_lay_out(&ep->dedup, &layout, config->num_server_exchanges);
    nacre__empty_messages_lay_out(&ep->empty, &layout,
                                  2 * (uint32_t)config->burst); /* each datagram queues at most one */
    nacre__client_exchanges_lay_out(&ep->client_exchanges, &layout, config);
    nacre__server_exchanges_lay_out(&ep->server_exchanges, &layout, config);
    ep->events.cap = (uint32_t)config->num_client_exchanges + config->num_server_exchanges;
    ep->events.refs = nacre__lay_out(&layout, ep->events.cap, sizeof *ep->events.refs);
    nacre__persist_waits_lay_out(&ep->persist_waits, &layout, all);
    nacre__protect_batch_lay_out(&ep->protect_batch, &layout);
    nacre__address_validation_lay_out(&ep->validation, &layout, config->admission.num_peers);
    nacre__rate_limits_lay_out(&ep->rate_limits, &layout);
    nacre__outer_blocks_lay_out(&ep->outer, &layout, config);
    nacre__observe_server_lay_out(&ep->observe, &layout, config);
    ep->burst = nacre__lay_out(&layout, config->burst, sizeof(nacre__received));
    ep->locked = nacre__lay_out(&layout, config->burst, sizeof(nacre_context *));
    ep->jobs = nacre__lay_out(&layout, config->burst, sizeof(nacre_unprotect_item));
    ep->outers = nacre__lay_out(&layout, config->burst, sizeof(nacre__outer_options *));
    bytes->clients = nacre__lay_out(&layout, config->num_client_exchanges, max);
    bytes->sent = nacre__lay_out(&layout, (size_t)config->num_client_exchanges + config->num_transmissions, max);
    bytes->servers = nacre__lay_out(&layout, config->num_server_exchanges, max);
    ep->plaintexts = nacre__lay_out(&layout, config->burst, max);
    const size_t num_pending = (size_t)ep->server_exchanges.max_pending + ep->server_exchanges.num_lookups;
    bytes->pending = nacre__lay_out(&layout, num_pending, 2 * max);
    bytes->observers = nacre__lay_out(&layout, ep->observe.max, config->observe.observer_bytes);
    bytes->outer =
        nacre__lay_out(&layout, config->outer_block.num_messages, 2 * (max + config->outer_block.max_unfragmented));
    ep->core.scratch = nacre__lay_out(&layout, 1, max);
    ep->core.options = nacre__lay_out(&layout, 1, max);
    return layout.at;
}

size_t nacre_endpoint_size(const nacre_endpoint_config *config)
{
    nacre_endpoint plan = { .size = 0 };
    if (!resolve(&plan.core.config, config)) return 0;
    bytes_of_pools bytes;
    const size_t size = lay_out_all(&plan, NULL, &bytes);
    return size == SIZE_MAX ? 0 : size;
}

static void fill(nacre_endpoint *ep, uint8_t *bytes, size_t len)
{
    ep->core.config.random.fill(ep->core.config.random.self, bytes, len);
}

/* Connects each part to the parts below it. */
static void connect(nacre_endpoint *ep)
{
    nacre__core *core = &ep->core;
    nacre__client_exchanges *client = &ep->client_exchanges;
    nacre__server_exchanges *server = &ep->server_exchanges;
    ep->persist_waits.core = core;
    ep->protect_batch.core = core;
    ep->protect_batch.persist = &ep->persist_waits;
    ep->empty.core = core;
    ep->validation.core = core;
    ep->rate_limits.core = core;
    ep->reset_belief.core = core;
    ep->echo.core = core;
    ep->echo.validation = &ep->validation;
    ep->kept_echos.core = core;
    client->core = server->core = core;
    client->persist = server->persist = &ep->persist_waits;
    client->tx = server->tx = &ep->tx;
    client->dedup = server->dedup = &ep->dedup;
    client->events = server->events = &ep->events;
    client->kept_echos = &ep->kept_echos;
    server->batch = &ep->protect_batch;
    server->empty = &ep->empty;
    server->validation = &ep->validation;
    server->rate_limits = &ep->rate_limits;
    server->reset_belief = &ep->reset_belief;
    server->echo = &ep->echo;
    ep->outer.client_exchanges = ep->rederive.client_exchanges = client;
    ep->outer.server_exchanges = ep->rederive.server_exchanges = ep->observe.x = server;
    ep->outer.core = ep->observe.core = ep->rederive.core = core;
    ep->rederive.endpoint = ep;
    ep->rederive.remove_context = nacre_endpoint_remove_context;
    nacre__upper_init(ep);
}

static void init_parts(nacre_endpoint *ep, const bytes_of_pools *bytes)
{
    fill(ep, ep->core.hash_key, sizeof ep->core.hash_key);
    nacre__transmissions_init(&ep->tx, &ep->core);
    fill(ep, ep->echo.key, sizeof ep->echo.key);
    for (uint32_t i = 0; i < ep->tx.num; i++) ep->tx.all[i].bytes = bytes->sent + ep->core.config.max_message * i;
    nacre__dedup_init(&ep->dedup, &ep->core, bytes->servers);
    nacre__client_exchanges_init(&ep->client_exchanges, bytes->clients);
    nacre__server_exchanges_init(&ep->server_exchanges, bytes->pending);
    nacre__outer_blocks_init(&ep->outer, bytes->outer);
    nacre__observe_server_init(&ep->observe, bytes->observers);
}

nacre_err nacre_endpoint_init(nacre_endpoint **out, void *memory, size_t size, const nacre_endpoint_config *config)
{
    nacre_endpoint plan = { .size = 0 };
    if (!resolve(&plan.core.config, config) || config->random.fill == NULL || config->crypto.ops == NULL ||
        !nacre__crypto_ops_fit(config->crypto.ops) || memory == NULL || (uintptr_t)memory % _Alignof(max_align_t) != 0)
        return NACRE_ERR_BAD_ARGUMENT;
    bytes_of_pools bytes;
    plan.size = lay_out_all(&plan, NULL, &bytes);
    if (plan.size == SIZE_MAX || plan.size > size) return NACRE_ERR_BUFFER_TOO_SMALL;
    memset(memory, 0, plan.size);
    nacre_endpoint *ep = memory;
    *ep = plan;
    (void)lay_out_all(ep, memory, &bytes);
    connect(ep);
    init_parts(ep, &bytes);
    *out = ep;
    return NACRE_OK;
}

void nacre_endpoint_wipe(nacre_endpoint *ep)
{
    if (ep == NULL) return;
    nacre__rederivations_wipe(&ep->rederive);
    nacre_wipe(ep, ep->size);
}

const nacre_endpoint_config *nacre_endpoint_get_config(const nacre_endpoint *ep)
{
    return &ep->core.config;
}

nacre_endpoint_stats nacre_endpoint_get_stats(const nacre_endpoint *ep)
{
    uint64_t words[NACRE__NUM_COUNTERS];
    nacre_endpoint_stats stats;
    for (size_t i = 0; i < NACRE__NUM_COUNTERS; i++)
        words[i] = atomic_load_explicit(&ep->core.counters[i], memory_order_relaxed);
    memcpy(&stats, words, sizeof stats);
    return stats;
}

uint32_t nacre__endpoint_num_observers(const nacre_endpoint *ep)
{
    return ep->observe.num_observing;
}

/* ---- Events ------------------------------------------------------------------------------------------------------- */

static bool persist_event(nacre_endpoint *ep, nacre_event *event)
{
    nacre_context *context = nacre__persist_event(&ep->persist_waits);
    if (context == NULL) return false;
    *event = (nacre_event){ .kind = NACRE_EVENT_PERSIST, .context = context };
    return true;
}

void nacre__endpoint_on_verified(nacre_endpoint *ep, void (*on_verified)(void *, const nacre_address *), void *self)
{
    ep->on_verified = on_verified;
    ep->on_verified_self = self;
}

static void tell_verified(const nacre_endpoint *ep, const nacre_event *event)
{
    if (ep->on_verified != NULL && event->context != NULL) ep->on_verified(ep->on_verified_self, &event->peer);
}

/* RFC 8613 8.4 step 7, for responses. */
static void client_event(nacre_endpoint *ep, nacre__client_exchange *exchange, nacre_event *event)
{
    *event = (nacre_event){
        .kind = exchange->err != NACRE_OK ? NACRE_EVENT_FAILED
                : exchange->is_ping       ? NACRE_EVENT_PONG
                                          : NACRE_EVENT_RESPONSE,
        .err = exchange->err,
        .exchange = { exchange->number },
        .context = exchange->err == NACRE_OK ? exchange->context : NULL, /* set only if it verified the response */
        .peer = exchange->peer,
        .message = exchange->message,
        .user = exchange->user,
        .oversized = exchange->err == NACRE_ERR_OVERSIZED ? exchange->oversized : 0,
    };
    nacre__client_exchange_release(&ep->client_exchanges, exchange);
}

/* RFC 7967 2.1: the response classes the client does not want. */
static uint8_t unwanted_by(const nacre_message *request)
{
    uint64_t value = 0;
    const nacre_bytes option = nacre_option_find(request->options, NACRE_OPT_NO_RESPONSE);
    return option.len <= 1 && nacre_option_uint(option, &value) ? (uint8_t)value : 0;
}

/* RFC 8613 8.2 step 8: from here on it is handled like any request. */
static void server_event(nacre_endpoint *ep, nacre__server_exchange *exchange, nacre_event *event)
{
    exchange->state = NACRE__SERVER_DELIVERED;
    exchange->method = exchange->message.code;
    exchange->has_echo = (exchange->seen & NACRE__SEEN(NACRE_OPT_ECHO)) != 0 &&
                         nacre__has_option(exchange->message.options, NACRE_OPT_ECHO);
    exchange->unwanted = exchange->seen & NACRE__SEEN(NACRE_OPT_NO_RESPONSE) ? unwanted_by(&exchange->message) : 0;
    /* not on arrival: the registration may be in the same burst */
    if (exchange->seen & NACRE__SEEN(NACRE_OPT_OBSERVE)) nacre__observer_cancel(&ep->observe, exchange);
    event->kind = NACRE_EVENT_REQUEST; /* field by field: clearing it all first would take longer */
    event->err = NACRE_OK;
    event->exchange.number = exchange->number;
    event->context = exchange->context;
    event->peer = exchange->record->peer;
    event->message = exchange->message;
    event->user = NULL;
}

/* True while a queued event's message points into memory that the next burst would overwrite. */
bool nacre__events_view_messages(const nacre_endpoint *ep)
{
    if (ep->client_exchanges.first_note < ep->client_exchanges.num_notes) return true;
    for (uint32_t i = 0; i < ep->events.num; i++) {
        const nacre__ref ref = nacre__queue_at(&ep->events, i);
        if (ref.kind == NACRE__OF_SERVER_EXCHANGE || ep->client_exchanges.all[ref.index].message.code != NACRE_EMPTY)
            return true;
    }
    return false;
}

static void lookup_event(nacre_endpoint *ep, nacre_event *event)
{
    const nacre__server_exchange *exchange = nacre__lookup_next(&ep->server_exchanges);
    *event =
        (nacre_event){ .kind = NACRE_EVENT_LOOKUP, .exchange = { exchange->number }, .peer = exchange->record->peer };
}

bool nacre_endpoint_next_event(nacre_endpoint *ep, nacre_event *event)
{
    nacre__ref ref;
    if (persist_event(ep, event) || nacre__observers_ended_event(&ep->observe, event)) return true;
    if (nacre__rederivation_event(&ep->rederive, event)) return true;
    if (ep->server_exchanges.num_unasked > 0) {
        lookup_event(ep, event);
        return true;
    }
    if (nacre__observation_next_note(&ep->client_exchanges, event))
        return true; /* before the event that ends its exchange */
    if (!nacre__queue_pop(&ep->events, &ref)) return nacre__observers_notify_event(&ep->observe, event);
    if (ref.kind == NACRE__OF_SERVER_EXCHANGE) server_event(ep, &ep->server_exchanges.all[ref.index], event);
    else client_event(ep, &ep->client_exchanges.all[ref.index], event);
    tell_verified(ep, event);
    return true;
}
