/* SPDX-License-Identifier: MIT */
/* observe_client: requests sent with Observe 0, and their notifications (RFC 7641 3, RFC 8613 4.1.3.5, 8.4.2).
 *
 *     request, Observe 0 ---> first notification ---> OBSERVING, notified ---> response without Observe, or error
 *                                                      |        ^               code: the end
 *                                    Max-Age has passed|        |answered
 *                                                      v        |
 *                                                 the same request, new Partial IV, same token
 *
 * One nacre_request_id binds all notifications of a registration; their order is that of their Partial IVs. While a new
 * registration, or Observe 1, is in flight there are two: the server may respond to either. The old one counts until a
 * response to the new one has verified; later messages for it do not verify. After Observe 1 it is ignored at once. The first
 * response to a registration restarts the order: it is bound to that request, so it is the current state whatever its Partial
 * IV.
 *
 * Unprotected notifications are ordered by Observe value (RFC 7641 3.4), or by the connection (RFC 8323 7.1). The response to
 * the newest registration is the current state there too and restarts the order: its value is the same if nothing has
 * changed, and lower after a restart of the server. */
#include "endpoint/observe/observe_client.h"
#include "endpoint/message/nstart.h"

static uint64_t uint_of(nacre_bytes value)
{
    uint64_t n = 0;
    for (size_t i = 0; i < value.len && i < 8; i++) n = n << 8 | value.ptr[i];
    return n;
}

/* Observe 0 in a method that can be observed (RFC 7641 2, RFC 8132 2.4). */
static bool wants_observe(const nacre_message *plain)
{
    const nacre_bytes value = nacre_option_find(plain->options, NACRE_OPT_OBSERVE);
    return !nacre_is_absent(value) && uint_of(value) == 0 && (plain->code == NACRE_GET || plain->code == NACRE_FETCH);
}

void nacre__observation_init(nacre__client_exchange *exchange, const nacre_message *plain)
{
    exchange->observation.wanted = wants_observe(plain);
}

/* Bytes that Observe 1 takes beyond Observe 0, inside and outside: reserved so that the deregistration fits. */
size_t nacre__observation_extra(const nacre_message *plain)
{
    return wants_observe(plain) ? 2 : 0;
}

/* ---- Identities ---------------------------------------------------------------------------------------------------- */

/* A plain registration is sent. */
void nacre__observation_plain(nacre__client_exchange *exchange)
{
    exchange->observation.due = NACRE__DUE_IN_ACK;
    exchange->observation.before = exchange->observation.value;
}

/* The request is about to be sent as `id`. */
void nacre__observation_sent(nacre__client_exchange *exchange)
{
    nacre__observation *o = &exchange->observation;
    if (o->changing || !(o->begun || o->leaving)) return;
    o->old = exchange->id;
    o->changing = true;
}

/* The identity to try next on a response, or NULL. A piggybacked response belongs to the request acknowledged; a separate one
 * is likely older. */
const nacre_request_id *nacre__observation_id(const nacre__client_exchange *exchange, const nacre__received *received)
{
    const nacre__observation *o = &exchange->observation;
    if (!o->changing) return received->tried == 0 ? &exchange->id : NULL;
    if (received->tried > 1) return NULL;
    return (received->tried == 0) == (received->outer.type == NACRE_ACK) ? &exchange->id : &o->old;
}

/* ---- Order --------------------------------------------------------------------------------------------------------- */

/* RFC 8613 7.4.1: the first response to a registration sets the notification number. */
static bool is_next_protected(nacre__observation *o, const nacre__received *received)
{
    nacre_notification_order order = o->order;
    const bool is_first = o->changing && !received->is_old;
    if (is_first) order = (nacre_notification_order){ 0 };
    if (nacre_notification_accept(&order, &received->info) != NACRE_OK) return false;
    o->order = order;
    if (is_first) o->changing = false;
    return true;
}

static bool is_ahead(uint32_t value, uint32_t of)
{
    const uint32_t ahead = (value - of) & 0xffffff;
    return ahead > 0 && ahead < UINT32_C(1) << 23;
}

/* Whether the message is the response to the newest registration though its value is not newer: the same (nothing has
 * changed), or older than the one known when the registration was sent. A value between that and a later notification is
 * outdated. A separate message counts as the response only after an empty ACK; before, an older value is a late
 * notification. */
static bool is_present_state(const nacre__client_exchange *exchange, const nacre__received *received, uint32_t value)
{
    const nacre__observation *o = &exchange->observation;
    const bool in_ack = received->outer.type == NACRE_ACK;
    if (!nacre__client_exchange_waits(exchange) && o->due != (in_ack ? NACRE__DUE_IN_ACK : NACRE__DUE_SEPARATE))
        return false;
    if (value == o->value) return true;
    if (nacre__client_exchange_is_sent(exchange) && !in_ack) return false;
    return value != o->before && !is_ahead(value, o->before);
}

/* RFC 7641 3.4: newer, or so late that the numbers have wrapped; the response to the newest registration restarts the order.
 * RFC 8323 7.1: over a connection the value is meaningless. */
static bool is_next_plain(nacre__client_exchange *exchange, const nacre__received *received, uint64_t now_ms)
{
    nacre__observation *o = &exchange->observation;
    const nacre_bytes bytes = nacre_option_find(received->outer.options, NACRE_OPT_OBSERVE);
    if (bytes.len > 3) return false;
    const uint32_t value = (uint32_t)uint_of(bytes);
    const bool is_newer = is_ahead(value, o->value) || now_ms > nacre__after(o->value_at, 128000);
    if (o->begun && !is_newer && !is_present_state(exchange, received, value) &&
        !nacre_address_is_reliable(&received->datagram->peer))
        return false;
    /* before any ACK it may be a notification that crossed the registration: the response may follow */
    const bool may_cross = is_newer && nacre__client_exchange_is_sent(exchange) && received->outer.type != NACRE_ACK;
    if (!may_cross) o->due = NACRE__DUE_NOT;
    o->value = value;
    o->value_at = now_ms;
    return true;
}

/* ---- Notifications ------------------------------------------------------------------------------------------------- */

static bool is_notification(const nacre_message *response)
{
    return response->code >> 5 == 2 && nacre__has_option(response->options, NACRE_OPT_OBSERVE); /* RFC 7641 4.2 */
}

/* Between unobserve and its response, notifications are ignored. The response to Observe 1 has the identity of that request;
 * if plain, it has no Observe or comes in the ACK. */
bool nacre__observation_ignores(const nacre__client_exchange *exchange, const nacre__received *received)
{
    if (!exchange->observation.leaving) return false;
    if (!nacre__client_exchange_waits(exchange)) return true;
    if (exchange->context != NULL) return received->is_old;
    return received->outer.type != NACRE_ACK && nacre__has_option(received->outer.options, NACRE_OPT_OBSERVE);
}

/* RFC 7641 3.3.1: 5 to 15 seconds after Max-Age, so that the observers of a server do not register all at once. RFC 8613 7.3:
 * at intervals in any case, because a notification is only as fresh as the request that it is bound to. */
static void watch(nacre__client_exchanges *x, nacre__client_exchange *exchange, const nacre_message *notification,
                  uint64_t now_ms)
{
    const nacre_bytes max_age = nacre_option_find(notification->options, NACRE_OPT_MAX_AGE);
    const uint64_t seconds = nacre_is_absent(max_age) ? 60 : uint_of(max_age) & UINT32_MAX;
    uint64_t due = nacre__after(now_ms, seconds * 1000 + 5000 + nacre__core_random(x->core) % 10001);
    const uint64_t latest = nacre__after(exchange->observation.registered_at, x->core->config.observe.reregister_ms);
    if (exchange->context != NULL && x->core->config.observe.reregister_ms != UINT32_MAX && latest < due) due = latest;
    nacre__transmission_set_due(x->tx, exchange->t, x->core->config.observe.reregister ? due : NACRE__NEVER);
}

/* The registration is answered. */
static void settle(nacre__client_exchanges *x, nacre__client_exchange *exchange, uint64_t now_ms)
{
    nacre__nstart_leave(x->tx, exchange->t);
    nacre__client_exchange_pause(x, exchange);
    exchange->state = NACRE__CLIENT_OBSERVING;
    exchange->last_reject = NACRE_OK;
    exchange->repeated = false;
    exchange->t->give_up = NACRE__NEVER;
    exchange->observation.registered_at = now_ms;
}

/* Takes an accepted response: true if it belongs to the observation, false if it ends the exchange. */
bool nacre__observation_takes(nacre__client_exchanges *x, nacre__client_exchange *exchange,
                              const nacre__received *received, const nacre_message *response, uint64_t now_ms)
{
    nacre__observation *o = &exchange->observation;
    if (!o->wanted || o->leaving || !is_notification(response)) return false;
    if (exchange->context != NULL ? !is_next_protected(o, received) : !is_next_plain(exchange, received, now_ms)) {
        nacre__count_dropped(x->core, NACRE_DROPPED_STALE);
        return true;
    }
    o->begun = true;
    if (nacre__client_exchange_waits(exchange) && !o->changing) settle(x, exchange, now_ms);
    if (exchange->state == NACRE__CLIENT_OBSERVING) watch(x, exchange, response, now_ms);
    x->notes[x->num_notes++] = (nacre__note){ .number = exchange->number,
                                              .index = nacre__client_exchange_index(x, exchange),
                                              .message = *response };
    NACRE__COUNT(x->core, notifications);
    return true;
}

/* The start of an oversized plain message: true if it is a notification of an established observation, which continues,
 * because the next state may be shorter. Its Observe value does not count for the order, because its state was not
 * delivered. */
bool nacre__observation_survives(nacre__client_exchanges *x, nacre__client_exchange *exchange,
                                 const nacre__received *received, uint64_t now_ms)
{
    const nacre__observation *o = &exchange->observation;
    if (!o->begun || o->leaving || !is_notification(&received->outer)) return false;
    if (nacre__client_exchange_waits(exchange)) settle(x, exchange, now_ms);
    if (exchange->state == NACRE__CLIENT_OBSERVING) watch(x, exchange, &received->outer, now_ms);
    return true;
}

/* The next notification of this burst whose exchange still exists. */
bool nacre__observation_next_note(nacre__client_exchanges *x, nacre_event *event)
{
    while (x->first_note < x->num_notes) {
        const nacre__note *note = &x->notes[x->first_note++];
        const nacre__client_exchange *exchange = &x->all[note->index];
        const bool lost_context = exchange->state == NACRE__CLIENT_ENDED && exchange->err == NACRE_ERR_NO_CONTEXT;
        if (exchange->number != note->number || exchange->observation.leaving || lost_context) continue;
        *event = (nacre_event){
            .kind = note->oversized != 0 ? NACRE_EVENT_OVERSIZED : NACRE_EVENT_NOTIFICATION,
            .exchange = { exchange->number },
            .context = note->oversized != 0 ? NULL : exchange->context,
            .peer = exchange->peer,
            .message = note->message,
            .user = exchange->user,
            .oversized = note->oversized,
        };
        return true;
    }
    return false;
}

/* ---- Registering again and deregistering ------------------------------------------------------------------------- */

/* Sends the request again, with `value` for Observe and without a used Echo. */
static nacre_err send_anew(nacre__client_exchanges *x, nacre__client_exchange *exchange, nacre_bytes value)
{
    nacre__nstart_leave(x->tx, exchange->t);
    nacre__client_exchange_pause(x, exchange);
    nacre_err err = nacre__client_exchange_set_option(x, exchange, NACRE_OPT_ECHO, NACRE_ABSENT);
    if (err == NACRE_OK) err = nacre__client_exchange_set_option(x, exchange, NACRE_OPT_OBSERVE, value);
    if (err != NACRE_OK) return err;
    exchange->repeated = false;
    exchange->last_reject = NACRE_OK;
    exchange->t->order = x->tx->next_order++;
    nacre__client_exchange_queue(x, exchange);
    return NACRE_OK;
}

/* RFC 7641 3.3.1. Registers again, always as CON, because a lost NON is not retransmitted. */
void nacre__observation_renew(nacre__client_exchanges *x, nacre__client_exchange *exchange)
{
    static const uint8_t nothing;
    if (!nacre_address_is_reliable(&exchange->peer)) exchange->t->type = NACRE_CON;
    const nacre_err err = send_anew(x, exchange, nacre_bytes_of(&nothing, 0));
    if (err != NACRE_OK) nacre__client_exchange_end(x, exchange, err, NULL);
}

/* A context identifies a server at any address; plain observations are identified by address, unless that is a proxy's. */
static bool is_same_server(const nacre__client_exchange *a, const nacre__client_exchange *b)
{
    if (a->context == b->context) return true;
    return b->context == NULL && !a->via_proxy && !b->via_proxy && nacre_address_equal(&a->peer, &b->peer);
}

/* RFC 8613 B.1.2: a server that sends an Echo challenge has lost its replay window and most likely its observers: registers
 * again now. A challenge may have other reasons and be frequent, so at most once in NACRE__CHALLENGE_MS per observation. */
void nacre__observations_challenged(nacre__client_exchanges *x, const nacre__client_exchange *challenged,
                                    uint64_t now_ms)
{
    for (uint32_t i = 0; i < x->core->config.num_client_exchanges && x->core->config.observe.reregister; i++) {
        nacre__client_exchange *exchange = &x->all[i];
        uint64_t *next = &exchange->observation.next_challenge;
        if (exchange == challenged || exchange->state != NACRE__CLIENT_OBSERVING ||
            !is_same_server(challenged, exchange))
            continue;
        const uint64_t due = *next > now_ms ? *next : now_ms;
        if (exchange->t->due <= due) continue;
        nacre__transmission_set_due(x->tx, exchange->t, due);
        *next = nacre__after(due, NACRE__CHALLENGE_MS);
    }
}

/* RFC 7641 3.6, RFC 8613 4.1.3.5.1 */
nacre_err nacre__observation_leave(nacre__client_exchanges *x, nacre__client_exchange *exchange)
{
    static const uint8_t deregister[] = { 1 };
    if (!exchange->observation.wanted) return NACRE_ERR_BAD_ARGUMENT;
    if (exchange->observation.leaving) return NACRE_OK;
    const nacre_err err = send_anew(x, exchange, NACRE_ARRAY(deregister));
    if (err == NACRE_OK) exchange->observation.leaving = true;
    return err;
}
