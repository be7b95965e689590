/* SPDX-License-Identifier: MIT */
/* endpoint: one block of memory cut into pools by the configuration, and the events that are pulled from it. */
#include "endpoint/endpoint_internal.h"
#include "base/cutter.h"
#include "crypto/ops.h"

#include <string.h>

/* ---- Configuration and memory ------------------------------------------------------------------------------------- */

enum {
    MAX_OBSERVERS = 1 << 20,    /* so that a good part of an exchange number tells the times apart */
    MAX_UNFRAGMENTED = 1 << 20, /* more than any block number of 16 bytes needs would be no limit */
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
    if (t->ack_random_factor_milli < 1000) t->ack_random_factor_milli = 1000;
    if (t->max_retransmit == 0) t->max_retransmit = 4;
    else if (t->max_retransmit == 255) t->max_retransmit = 0;
    default_u32(&t->response_timeout_ms, 93000);
    default_u32(&t->exchange_lifetime_ms, 247000);
    default_u32(&t->ack_delay_ms, 100);
}

static bool config_defaults(nacre_endpoint_config *config)
{
    if (config->max_message == 0) config->max_message = 1280;
    default_u16(&config->num_client_exchanges, 16);
    default_u16(&config->num_server_exchanges, 64);
    default_u16(&config->burst, 32);
    default_u16(&config->num_transmissions, 16);
    default_u16(&config->observer_bytes, 256);
    default_u32(&config->observers_per_peer, config->num_observers / 4 > 16 ? config->num_observers / 4 : 16);
    default_u16(&config->num_peers, 256);
    default_u16(&config->nstart, 1); /* RFC 7252 4.7 */
    default_u32(&config->reregister_ms, 3600000);
    default_u16(&config->challenges_per_second, 128);
    default_u16(&config->context_challenges_per_second, 4);
    default_u16(&config->num_outer, 4);
    if (config->num_outer == UINT16_MAX || config->opaque_oscore) config->num_outer = 0;
    default_u32(&config->max_unfragmented, 4096);
    timing_defaults(&config->timing);
    if (config->max_unfragmented > MAX_UNFRAGMENTED) return false;
    return config->max_message >= 64 && config->max_message <= 65535 && config->num_observers <= MAX_OBSERVERS;
}

typedef struct bytes_of_pools {
    uint8_t *slots, *entries, *parked, *pushes, *observers, *outer;
} bytes_of_pools;

/* Sets the pools of `ep` (whose config and maxima are set) to their places behind it. */
static size_t cut_all(nacre_endpoint *ep, uint8_t *base, bytes_of_pools *bytes)
{
    const nacre_endpoint_config *config = &ep->config;
    const size_t all = (size_t)config->num_client_exchanges + config->num_server_exchanges + config->num_transmissions;
    nacre__cutter c = { base, 0 };
    (void)nacre__cut(&c, 1, sizeof(nacre_endpoint));
    ep->slots = nacre__cut(&c, config->num_client_exchanges, sizeof(nacre__slot));
    ep->tokens = nacre__cut(&c, config->num_client_exchanges, sizeof(uint64_t));
    ep->entries = nacre__cut(&c, config->num_server_exchanges, sizeof(nacre__entry));
    nacre__dedup_cut(&ep->dedup, &c, config->num_server_exchanges);
    nacre__persist_waits_cut(&ep->persist_waits, &c, (uint32_t)all);
    ep->controls = nacre__cut(&c, ep->max_controls, sizeof(nacre__control));
    ep->items = nacre__cut(&c, config->burst, sizeof(nacre__item));
    ep->locked = nacre__cut(&c, config->burst, sizeof(nacre_context *));
    nacre__protect_batch_cut(&ep->protect_batch, &c);
    ep->jobs = nacre__cut(&c, config->burst, sizeof(nacre_unprotect_item));
    ep->notes = nacre__cut(&c, config->burst, sizeof(nacre__note));
    ep->events.refs = nacre__cut(&c, all, sizeof(nacre__ref));
    nacre__transmissions_cut(&ep->tx, &c, config->num_client_exchanges, config->num_transmissions, (uint32_t)all);
    ep->parked = nacre__cut(&c, ep->max_parked, sizeof(nacre__parked));
    ep->pushes = nacre__cut(&c, config->num_transmissions, sizeof(nacre__push));
    ep->observers = nacre__cut(&c, ep->max_observers, sizeof(nacre__observer));
    ep->token_buckets = nacre__cut(&c, ep->num_observer_buckets, sizeof(uint32_t));
    ep->mid_buckets = nacre__cut(&c, ep->num_observer_buckets, sizeof(uint32_t));
    ep->observer_counts = nacre__cut(&c, ep->num_observer_counts, sizeof(uint32_t));
    ep->stalled = nacre__cut(&c, ep->max_observers > 0 ? NACRE__STALLS : 0, sizeof(nacre__list));
    ep->num_con_notes = nacre__cut(&c, ep->max_observers > 0 ? NACRE__STALLS : 0, sizeof(uint32_t));
    nacre__address_validation_cut(&ep->validation, &c, config->num_peers);
    ep->outer = nacre__cut(&c, config->num_outer, sizeof(nacre__outer));
    nacre__rate_limits_cut(&ep->rate_limits, &c);
    bytes->slots = nacre__cut(&c, config->num_client_exchanges, 2 * config->max_message);
    bytes->entries = nacre__cut(&c, config->num_server_exchanges, config->max_message);
    ep->rooms = nacre__cut(&c, config->burst, config->max_message);
    bytes->parked = nacre__cut(&c, ep->max_parked, 2 * config->max_message);
    bytes->pushes = nacre__cut(&c, config->num_transmissions, config->max_message);
    bytes->observers = nacre__cut(&c, ep->max_observers, config->observer_bytes);
    bytes->outer = nacre__cut(&c, config->num_outer, 2 * (config->max_message + config->max_unfragmented));
    ep->scratch = nacre__cut(&c, 1, config->max_message);
    ep->options = nacre__cut(&c, 1, config->max_message);
    return c.at;
}

static void set_maxima(nacre_endpoint *ep)
{
    const nacre_endpoint_config *config = &ep->config;
    const uint32_t all =
        (uint32_t)config->num_client_exchanges + config->num_server_exchanges + config->num_transmissions;
    ep->max_observers = config->num_observers > 0 ? config->num_observers + 1 : 0;
    ep->num_observer_buckets = nacre__num_buckets_for(config->num_observers);
    ep->num_observer_counts = config->observers_per_peer < config->num_observers ? ep->num_observer_buckets : 0;
    if (ep->num_observer_counts > 0 && ep->num_observer_counts < NACRE__OBSERVER_COUNTS)
        ep->num_observer_counts = NACRE__OBSERVER_COUNTS;
    ep->events.cap = all;
    ep->max_controls = 2 * (uint32_t)config->burst; /* each datagram asks for one at most */
    ep->max_parked = config->burst < config->num_server_exchanges ? config->burst : config->num_server_exchanges;
    ep->numbers.index_bits[NACRE__OF_SLOT] = nacre__index_bits_for(config->num_client_exchanges);
    ep->numbers.index_bits[NACRE__OF_ENTRY] = nacre__index_bits_for(config->num_server_exchanges);
    ep->numbers.index_bits[NACRE__OF_OBSERVER] = nacre__index_bits_for(ep->max_observers);
}

size_t nacre_endpoint_size(const nacre_endpoint_config *config)
{
    nacre_endpoint plan = { .config = *config };
    if (!config_defaults(&plan.config)) return 0;
    set_maxima(&plan);
    bytes_of_pools bytes;
    const size_t size = cut_all(&plan, NULL, &bytes);
    return size == SIZE_MAX ? 0 : size;
}

static void init_pools(nacre_endpoint *ep, const bytes_of_pools *bytes)
{
    const size_t max = ep->config.max_message;
    for (uint32_t i = 0; i < ep->config.num_client_exchanges; i++) {
        ep->slots[i].plain = bytes->slots + 2 * max * i;
        ep->slots[i].t = &ep->tx.all[i];
        ep->slots[i].t->bytes = ep->slots[i].plain + max;
        ep->slots[i].outer = NACRE__NONE;
    }
    for (uint32_t i = 0; i < ep->max_parked; i++)
        ep->parked[i] = (nacre__parked){ .bytes = bytes->parked + 2 * max * i, .entry = NACRE__NONE };
    for (uint32_t i = 0; i < ep->config.num_transmissions; i++)
        ep->tx.all[ep->config.num_client_exchanges + i].bytes = bytes->pushes + max * i;
    for (uint32_t i = 0; i < ep->max_observers; i++)
        ep->observers[i].bytes = bytes->observers + (size_t)ep->config.observer_bytes * i;
    for (uint32_t i = 0; i < ep->config.num_outer; i++) {
        ep->outer[i].head = bytes->outer + 2 * (max + ep->config.max_unfragmented) * i;
        ep->outer[i].body = ep->outer[i].head + max;
        ep->outer[i].plain = ep->outer[i].body + ep->config.max_unfragmented;
    }
    nacre__dedup_init(&ep->dedup, &ep->core, bytes->entries);
    nacre__server_exchanges_init(ep);
    nacre__pushes_init(ep);
    nacre__observers_init(ep);
}

nacre_err nacre_endpoint_init(nacre_endpoint **out, void *memory, size_t size, const nacre_endpoint_config *config)
{
    nacre_endpoint plan = { .config = *config };
    if (!config_defaults(&plan.config) || config->random.fill == NULL || config->crypto.ops == NULL ||
        !nacre__crypto_ops_fit(config->crypto.ops) || memory == NULL || (uintptr_t)memory % _Alignof(max_align_t) != 0)
        return NACRE_ERR_BAD_ARGUMENT;
    set_maxima(&plan);
    bytes_of_pools bytes;
    plan.size = cut_all(&plan, NULL, &bytes);
    if (plan.size == SIZE_MAX || plan.size > size) return NACRE_ERR_BUFFER_TOO_SMALL;
    memset(memory, 0, plan.size);
    nacre_endpoint *ep = memory;
    *ep = plan;
    (void)cut_all(ep, memory, &bytes);
    ep->persist_waits.core = ep->protect_batch.core = &ep->core;
    ep->validation.core = ep->rate_limits.core = ep->reset_belief.core = &ep->core;
    ep->protect_batch.persist = &ep->persist_waits;
    ep->config.random.fill(ep->config.random.self, ep->core.hash_key, sizeof ep->core.hash_key);
    nacre__transmissions_init(&ep->tx, &ep->core);
    ep->config.random.fill(ep->config.random.self, ep->echo_key, sizeof ep->echo_key);
    init_pools(ep, &bytes);
    *out = ep;
    return NACRE_OK;
}

void nacre_endpoint_wipe(nacre_endpoint *ep)
{
    if (ep == NULL) return;
    nacre__renewals_wipe(ep);
    nacre_wipe(ep, ep->size);
}

const nacre_endpoint_config *nacre_endpoint_get_config(const nacre_endpoint *ep)
{
    return &ep->config;
}

nacre_endpoint_stats nacre_endpoint_get_stats(const nacre_endpoint *ep)
{
    return ep->stats;
}

/* ---- Small things that several files need ------------------------------------------------------------------------- */

bool nacre_address_equal(const nacre_address *a, const nacre_address *b)
{
    return a->len == b->len && a->flags == b->flags && a->len <= sizeof a->bytes &&
           memcmp(a->bytes, b->bytes, a->len) == 0;
}

bool nacre_address_is_reliable(const nacre_address *address)
{
    return (address->flags & NACRE_ADDRESS_RELIABLE) != 0;
}

size_t nacre__max_message_to(const nacre_endpoint *ep, const nacre_address *peer)
{
    const size_t max = ep->config.max_message;
    if (ep->config.limit.max_message == NULL) return max;
    const size_t taken = ep->config.limit.max_message(ep->config.limit.self, peer);
    return taken < max ? taken : max;
}

bool nacre__is_response_class(uint8_t code)
{
    return code >> 5 == 2 || code >> 5 == 4 || code >> 5 == 5; /* RFC 7252 3: the other classes are reserved */
}

bool nacre__has_option(nacre_bytes options, uint16_t number)
{
    return !nacre_is_absent(nacre_option_find(options, number));
}

/* Empty messages have a queue of their own; what does not fit is lost, as on the network. */
void nacre__send_empty(nacre_endpoint *ep, const nacre_address *peer, uint8_t type, uint16_t mid)
{
    if (ep->num_controls == ep->max_controls) {
        ep->stats.dropped++;
        return;
    }
    const uint32_t at = (ep->first_control + ep->num_controls++) % ep->max_controls;
    ep->controls[at] = (nacre__control){ .peer = *peer, .mid = mid, .type = type };
}

/* ---- Events ------------------------------------------------------------------------------------------------------- */

static bool persist_event(nacre_endpoint *ep, nacre_event *event)
{
    nacre_context *context = nacre__persist_event(&ep->persist_waits);
    if (context == NULL) return false;
    *event = (nacre_event){ .kind = NACRE_EVENT_PERSIST, .context = context };
    return true;
}

/* RFC 8613 8.4 step 7, for answers. */
static void slot_event(nacre_endpoint *ep, nacre__slot *slot, nacre_event *event)
{
    *event = (nacre_event){
        .kind = slot->err != NACRE_OK ? NACRE_EVENT_FAILED
                : slot->is_ping       ? NACRE_EVENT_PONG
                                      : NACRE_EVENT_RESPONSE,
        .err = slot->err,
        .exchange = slot->exchange,
        .context = slot->err == NACRE_OK ? slot->context : NULL, /* it vouches for answers only */
        .peer = slot->peer,
        .message = slot->message,
        .user = slot->user,
        .oversized = slot->err == NACRE_ERR_OVERSIZED ? slot->oversized : 0,
    };
    nacre__slot_release(ep, slot);
}

/* RFC 7967 2.1: the classes of answers that the client is not interested in. */
static uint8_t unwanted_by(const nacre_message *request)
{
    uint64_t value = 0;
    const nacre_bytes option = nacre_option_find(request->options, NACRE_OPT_NO_RESPONSE);
    return option.len <= 1 && nacre_option_uint(option, &value) ? (uint8_t)value : 0;
}

/* RFC 8613 8.2 step 8: from here on it is a request like any other. */
static void entry_event(nacre_endpoint *ep, nacre__entry *entry, nacre_event *event)
{
    entry->state = NACRE__ENTRY_DELIVERED;
    entry->method = entry->message.code;
    entry->has_echo =
        (entry->seen & NACRE__SEEN(NACRE_OPT_ECHO)) != 0 && nacre__has_option(entry->message.options, NACRE_OPT_ECHO);
    entry->unwanted = entry->seen & NACRE__SEEN(NACRE_OPT_NO_RESPONSE) ? unwanted_by(&entry->message) : 0;
    /* now, not when it arrived: the registration may have come in the same burst */
    if (entry->seen & NACRE__SEEN(NACRE_OPT_OBSERVE)) nacre__observer_cancel(ep, entry);
    event->kind = NACRE_EVENT_REQUEST; /* one by one: clearing it first would take longer than all of this */
    event->err = NACRE_OK;
    event->exchange = entry->exchange;
    event->context = entry->context;
    event->peer = entry->record->peer;
    event->message = entry->message;
    event->user = NULL;
}

/* True while a queued event's message points into memory that the next burst would overwrite. */
bool nacre__events_view_messages(const nacre_endpoint *ep)
{
    if (ep->first_note < ep->num_notes) return true;
    for (uint32_t i = 0; i < ep->events.num; i++) {
        const nacre__ref ref = nacre__queue_at(&ep->events, i);
        if (ref.kind == NACRE__OF_ENTRY || ep->slots[ref.index].message.code != NACRE_EMPTY) return true;
    }
    return false;
}

bool nacre_endpoint_next_event(nacre_endpoint *ep, nacre_event *event)
{
    nacre__ref ref;
    if (persist_event(ep, event) || nacre__observers_gone_event(ep, event)) return true;
    if (nacre__renewal_event(ep, event)) return true;
    if (nacre__observation_next_note(ep, event)) return true; /* before the end of its exchange */
    if (!nacre__queue_pop(&ep->events, &ref)) return nacre__observers_notify_event(ep, event);
    if (ref.kind == NACRE__OF_ENTRY) entry_event(ep, &ep->entries[ref.index], event);
    else slot_event(ep, &ep->slots[ref.index], event);
    return true;
}
