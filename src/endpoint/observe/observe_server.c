/* SPDX-License-Identifier: MIT */
/* observe_server: registration and end of observers (RFC 7641 4.1).
 *
 * An observer keeps its plain registration, for the token of notifications and to match later registrations and
 * cancellations, and the request's identity, to which protected notifications are bound, without the right to its nonce (RFC
 * 8613 8.3.1). Observers are hashed by peer and token, and by peer and MID of the last notification; each is in the list of
 * its state. */
#include "endpoint/core/hash.h"
#include "endpoint/observe/observe_server.h"

/* ---- Lists --------------------------------------------------------------------------------------------------------- */

/* The list of stalled observers of a context, or else of `peer`; those whose hashes collide share one. */
uint32_t nacre__stall_of(const nacre__observe_server *s, const nacre_context *context, const nacre_address *peer)
{
    const uint64_t hash = nacre__owner_hash(s->core, context, peer);
    return (uint32_t)(hash ^ hash >> 32) % NACRE__STALLS;
}

static nacre__list *list_of(nacre__observe_server *s, const nacre__observer *o)
{
    if (o->state == NACRE__OBSERVER_STALLED) return &s->stalled[o->stall];
    return &s->lists[o->state];
}

/* Moves it to the end of the list of its new state. */
void nacre__observer_set(nacre__observe_server *s, nacre__observer *o, nacre__observer_state state)
{
    const uint32_t self = nacre__observer_index(s, o);
    nacre__list_remove(s->links, list_of(s, o), self);
    o->state = state;
    nacre__list_append(s->links, list_of(s, o), self);
}

uint32_t nacre__max_observers(const nacre_endpoint_config *config)
{
    return config->observe.num_observers > 0 ? config->observe.num_observers + 1 : 0;
}

static uint32_t num_counts_for(const nacre_endpoint_config *config, uint32_t num_buckets)
{
    if (config->observe.observers_per_peer >= config->observe.num_observers) return 0;
    return num_buckets > NACRE__OBSERVER_COUNTS ? num_buckets : NACRE__OBSERVER_COUNTS;
}

void nacre__observe_server_lay_out(nacre__observe_server *s, nacre__pool_layout *layout,
                                   const nacre_endpoint_config *config)
{
    const uint32_t num_buckets = nacre__num_buckets_for(config->observe.num_observers);
    s->max = nacre__max_observers(config);
    s->by_token.num_buckets = s->by_mid.num_buckets = num_buckets;
    s->num_counts = num_counts_for(config, num_buckets);
    s->observers = nacre__lay_out(layout, s->max, sizeof *s->observers);
    s->by_token.buckets = nacre__lay_out(layout, num_buckets, sizeof(uint32_t));
    s->by_mid.buckets = nacre__lay_out(layout, num_buckets, sizeof(uint32_t));
    nacre__groups_lay_out(&s->by_peer, layout, s->max);
    nacre__groups_lay_out(&s->by_context, layout, s->max);
    s->counts = nacre__lay_out(layout, s->num_counts, sizeof(uint32_t));
    s->stalled = nacre__lay_out(layout, s->max > 0 ? NACRE__STALLS + 1 : 0, sizeof(nacre__list));
    s->num_con_notifications = nacre__lay_out(layout, s->max > 0 ? NACRE__STALLS : 0, sizeof(uint32_t));
}

void nacre__observe_server_init(nacre__observe_server *s, uint8_t *bytes)
{
    const size_t stride = sizeof *s->observers;
    s->links = (nacre__links){ &s->observers->link, stride };
    s->by_token.links = (nacre__links){ &s->observers->token_chain, stride };
    s->by_mid.links = (nacre__links){ &s->observers->mid_chain, stride };
    nacre__groups_init(&s->by_peer, &s->observers->peer_link, stride);
    nacre__groups_init(&s->by_context, &s->observers->context_link, stride);
    nacre__chains_init(&s->by_token);
    nacre__chains_init(&s->by_mid);
    for (size_t i = 0; i < NACRE__OBSERVER_STATES; i++) s->lists[i] = NACRE__LIST_EMPTY;
    for (size_t i = 0; s->max > 0 && i <= NACRE__STALLS; i++) s->stalled[i] = NACRE__LIST_EMPTY;
    for (uint32_t i = 0; i < s->max; i++) {
        s->observers[i].bytes = bytes + (size_t)s->core->config.observe.observer_bytes * i;
        s->observers[i].server = s->observers[i].separate = NACRE__NONE;
        nacre__list_append(s->links, &s->lists[NACRE__OBSERVER_FREE], i);
    }
}

/* ---- By message ID --------------------------------------------------------------------------------------------------- */

static uint64_t hash_of_mid(const nacre__observe_server *s, const nacre_address *peer, uint16_t mid)
{
    const uint8_t bytes[2] = { (uint8_t)(mid >> 8), (uint8_t)mid };
    return nacre__peer_hash(s->core, peer, NACRE_ARRAY(bytes));
}

static void unset_mid(nacre__observe_server *s, nacre__observer *o)
{
    if (o->has_mid) nacre__chain_remove(&s->by_mid, o->mid_hash, nacre__observer_index(s, o));
    o->has_mid = false;
}

/* Sets the message ID of the last notification, which a RST may name. */
void nacre__observer_set_mid(nacre__observe_server *s, nacre__observer *o, uint16_t mid)
{
    unset_mid(s, o);
    o->mid = mid;
    o->mid_hash = hash_of_mid(s, &o->peer, mid);
    o->has_mid = true;
    nacre__chain_add(&s->by_mid, o->mid_hash, nacre__observer_index(s, o));
}

/* ---- Shares ----------------------------------------------------------------------------------------------------------
 * One peer must not use all observers. A peer is a security context, because it cannot multiply its keys; unprotected, an
 * address. */

static uint32_t *count_of(const nacre__observe_server *s, const nacre_context *context, const nacre_address *peer)
{
    const uint64_t hash = nacre__owner_hash(s->core, context, peer);
    return &s->counts[(hash ^ hash >> 32) & (s->num_counts - 1)];
}

static void count(const nacre__observe_server *s, const nacre__observer *o, bool one_more)
{
    if (s->num_counts == 0) return;
    uint32_t *num = count_of(s, o->context, &o->peer);
    *num = one_more ? *num + 1 : *num - 1;
}

static bool has_its_share(const nacre__observe_server *s, const nacre__server_exchange *exchange)
{
    return s->num_counts > 0 &&
           *count_of(s, exchange->context, &exchange->record->peer) >= s->core->config.observe.observers_per_peer;
}

/* ---- The same client, the same registration ------------------------------------------------------------------------ */

/* RFC 7641 3.6, RFC 7252 5.6: options that do not distinguish registrations. */
static bool is_beside_the_key(uint16_t number)
{
    return number == NACRE_OPT_OBSERVE || number == NACRE_OPT_ETAG || number == NACRE_OPT_NO_RESPONSE ||
           (number & 0x1e) == 0x1c;
}

static bool next_of_key(nacre_option_iter *it, nacre_option *option)
{
    while (nacre_option_next(it, option))
        if (!is_beside_the_key(option->number)) return true;
    return false;
}

static bool same_key(const nacre_message *a, const nacre_message *b)
{
    nacre_option_iter in_a = nacre_option_begin(a->options), in_b = nacre_option_begin(b->options);
    nacre_option x, y;
    if (a->code != b->code || !nacre_bytes_equal(a->payload, b->payload)) return false;
    for (;;) {
        const bool has_x = next_of_key(&in_a, &x), has_y = next_of_key(&in_b, &y);
        if (!has_x || !has_y) return has_x == has_y;
        if (x.number != y.number || !nacre_bytes_equal(x.value, y.value)) return false;
    }
}

/* RFC 7641 4.1: a plain registration is identified by the client's address and the token. RFC 8613 4.1.3.5: a protected one
 * also by the context and the encrypted options, because the token is not authenticated. */
static bool is_same(const nacre__observer *o, const nacre__server_exchange *exchange, uint64_t token_hash)
{
    nacre_message kept;
    return o->token_hash == token_hash && o->context == exchange->context &&
           nacre_address_equal(&o->peer, &exchange->record->peer) &&
           nacre_message_parse(&kept, nacre_bytes_of(o->bytes, o->len)) == NACRE_OK &&
           nacre_bytes_equal(kept.token, exchange->message.token) &&
           (o->context == NULL || same_key(&kept, &exchange->message));
}

static nacre__observer *find(nacre__observe_server *s, const nacre__server_exchange *exchange)
{
    const uint64_t hash = nacre__peer_hash(s->core, &exchange->record->peer, exchange->message.token);
    for (uint32_t i = nacre__chain_first(&s->by_token, hash); i != NACRE__NONE; i = nacre__chain_next(&s->by_token, i))
        if (is_same(&s->observers[i], exchange, hash)) return &s->observers[i];
    return NULL;
}

/* ---- Ending -------------------------------------------------------------------------------------------------------- */

void nacre__observer_free(nacre__observe_server *s, nacre__observer *o)
{
    o->number = 0;
    o->user = NULL;
    nacre__observer_set(s, o, NACRE__OBSERVER_FREE);
}

static void join_groups(const nacre__observe_server *s, const nacre__observer *o)
{
    const uint32_t self = nacre__observer_index(s, o);
    nacre__group_add(&s->by_peer, nacre__group_of_peer(s->core, &o->peer), self);
    if (o->context != NULL) nacre__group_add(&s->by_context, nacre__group_of_context(o->context), self);
}

static void leave_groups(const nacre__observe_server *s, const nacre__observer *o)
{
    const uint32_t self = nacre__observer_index(s, o);
    nacre__group_remove(&s->by_peer, nacre__group_of_peer(s->core, &o->peer), self);
    if (o->context != NULL) nacre__group_remove(&s->by_context, nacre__group_of_context(o->context), self);
}

/* Every observer ends here, and queues its event. Transmissions to it are dropped. */
void nacre__observer_end(nacre__observe_server *s, nacre__observer *o, nacre_err err)
{
    if (o->separate != NACRE__NONE) nacre__separate_drop(s->x, &s->x->separates[o->separate]);
    if (o->server != NACRE__NONE) s->x->all[o->server].observer = NACRE__NONE;
    o->separate = o->server = NACRE__NONE;
    nacre__chain_remove(&s->by_token, o->token_hash, nacre__observer_index(s, o));
    unset_mid(s, o);
    leave_groups(s, o);
    count(s, o, false);
    nacre_wipe(o->bytes, o->len);
    o->context = NULL;
    o->missed = false;
    o->err = err;
    s->num_observing--;
    nacre__observer_set(s, o, NACRE__OBSERVER_ENDED);
}

/* RFC 7641 3.6: deregistration: the request of the registration with Observe 1. */
void nacre__observer_cancel(nacre__observe_server *s, const nacre__server_exchange *exchange)
{
    uint64_t value;
    const nacre_bytes option = nacre_option_find(exchange->message.options, NACRE_OPT_OBSERVE);
    if (nacre_is_absent(option) || !nacre_option_uint(option, &value) || value != 1) return;
    nacre__observer *o = find(s, exchange);
    if (o != NULL) nacre__observer_end(s, o, NACRE_OK);
}

/* The observer whose last notification has that message ID, or NULL. */
nacre__observer *nacre__observer_by_mid(const nacre__observe_server *s, const nacre_address *peer, uint16_t mid)
{
    const uint64_t hash = hash_of_mid(s, peer, mid);
    for (uint32_t i = nacre__chain_first(&s->by_mid, hash); i != NACRE__NONE; i = nacre__chain_next(&s->by_mid, i)) {
        nacre__observer *o = &s->observers[i];
        if (o->mid == mid && o->mid_hash == hash && nacre_address_equal(&o->peer, peer)) return o;
    }
    return NULL;
}

/* Ends all observers of a removed context, or, if NULL, of a lost peer; returns how many entries it has visited. */
uint32_t nacre__observers_end_all(nacre__observe_server *s, const nacre_context *context, const nacre_address *peer,
                                  nacre_err err)
{
    const nacre__groups *groups = context != NULL ? &s->by_context : &s->by_peer;
    const uint64_t hash = context != NULL ? nacre__group_of_context(context) : nacre__group_of_peer(s->core, peer);
    uint32_t visited = 0;
    for (uint32_t i = nacre__group_first(groups, hash), next; i != NACRE__NONE; i = next, visited++) {
        nacre__observer *o = &s->observers[i];
        next = nacre__group_next(groups, i);
        if (context != NULL ? o->context == context : nacre_address_equal(&o->peer, peer))
            nacre__observer_end(s, o, err);
    }
    return visited;
}

/* ---- Registering --------------------------------------------------------------------------------------------------- */

static bool registers(const nacre_message *request)
{
    uint64_t value;
    const nacre_bytes option = nacre_option_find(request->options, NACRE_OPT_OBSERVE);
    return (request->code == NACRE_GET || request->code == NACRE_FETCH) && !nacre_is_absent(option) &&
           nacre_option_uint(option, &value) && value == 0;
}

/* A free entry, or that of the oldest unconfirmed plain observer: registrations from forged addresses cannot hold all entries
 * for ever. There is one entry more than observers, because an ended one keeps its entry until its event is pulled. */
static nacre__observer *entry(nacre__observe_server *s)
{
    if (s->num_observing == s->core->config.observe.num_observers) {
        uint32_t fresh = s->lists[NACRE__OBSERVER_FRESH].first;
        if (fresh == NACRE__NONE) fresh = s->lists[NACRE__OBSERVER_CHANGED].first;
        if (fresh == NACRE__NONE) return NULL;
        nacre__observer_end(s, &s->observers[fresh], NACRE_ERR_BUSY);
    }
    const uint32_t free = s->lists[NACRE__OBSERVER_FREE].first;
    return free == NACRE__NONE ? NULL : &s->observers[free];
}

/* Keeps the request, which is known to fit. */
static void keep(nacre__observe_server *s, nacre__observer *o, nacre__server_exchange *exchange)
{
    nacre_bytes out = NACRE_ABSENT;
    if (nacre_message_write(&exchange->message, &out,
                            (nacre_buf){ o->bytes, s->core->config.observe.observer_bytes }) != NACRE_OK)
        out.len = 0;
    o->len = out.len;
    o->peer = exchange->record->peer;
    o->context = exchange->context;
    o->id = nacre_request_id_dup(&exchange->id); /* RFC 8613 8.3.1: the nonce belongs to the first response */
    o->token_hash = nacre__peer_hash(s->core, &exchange->record->peer, exchange->message.token);
    nacre__chain_add(&s->by_token, o->token_hash, nacre__observer_index(s, o));
    exchange->observer = nacre__observer_index(s, o);
    o->server = nacre__server_exchange_index(s->x, exchange);
    join_groups(s, o);
    count(s, o, true);
}

nacre_err nacre__observer_register(nacre__observe_server *s, nacre__server_exchange *exchange, void *user,
                                   uint64_t *number)
{
    if (exchange->state != NACRE__SERVER_DELIVERED) return NACRE_ERR_STALE;
    if (!registers(&exchange->message) || exchange->observer != NACRE__NONE) return NACRE_ERR_BAD_ARGUMENT;
    if (nacre_message_size(&exchange->message) > s->core->config.observe.observer_bytes) return NACRE_ERR_TOO_LONG;
    /* RFC 7641 4.1: a second registration of one client under one token replaces the first */
    nacre__observer *old = find(s, exchange);
    if (old != NULL) nacre__observer_end(s, old, NACRE_ERR_STALE);
    if (has_its_share(s, exchange)) return NACRE_ERR_BUSY;
    nacre__observer *o = entry(s);
    if (o == NULL) return NACRE_ERR_BUSY;
    keep(s, o, exchange);
    o->user = user;
    o->observe_value = (uint32_t)s->core->now_ms & 0xffffff;
    o->last_con = s->core->now_ms;
    o->since_con = 0;
    o->con = exchange->record->type == NACRE_CON;
    o->is_validated = o->is_confirmed = nacre__is_validated(s->x->validation, &o->peer);
    o->changed = o->is_checked = false;
    o->next_check = 0;
    s->num_observing++;
    o->number = nacre__number_new(&o->generation, NACRE__OF_OBSERVER, nacre__observer_index(s, o));
    nacre__observer_set(s, o, NACRE__OBSERVER_REGISTERING);
    *number = o->number;
    return NACRE_OK;
}

/* The observer with that number; NULL if it has ended. */
nacre__observer *nacre__observer_of(const nacre__observe_server *s, uint64_t number)
{
    const uint32_t index = nacre__number_index(number, NACRE__OF_OBSERVER);
    if (index >= s->max) return NULL;
    nacre__observer *o = &s->observers[index];
    return o->number == number && o->state != NACRE__OBSERVER_ENDED ? o : NULL;
}

void nacre__observer_release(nacre__observe_server *s, uint64_t number)
{
    const uint32_t index = nacre__number_index(number, NACRE__OF_OBSERVER);
    if (index >= s->max) return;
    nacre__observer *o = &s->observers[index];
    if (o->number != number) return;
    if (o->state != NACRE__OBSERVER_ENDED) nacre__observer_end(s, o, NACRE_OK);
    nacre__observer_free(s, o);
}
