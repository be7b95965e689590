/* SPDX-License-Identifier: MIT */
/* observe_client: requests of ours with Observe 0, and the notifications that they bring (RFC 7641 3, RFC 8613 4.1.3.5, 8.4.2).
 *
 *     request, Observe 0 ---> first notification ---> OBSERVING, notified ---> an answer without Observe, or an error
 *                                                      |        ^               code: the end
 *                                    Max-Age has passed|        |answered
 *                                                      v        |
 *                                                 the same request, new Partial IV, same token
 *
 * One nacre_request_id binds all notifications of a registration; their order is that of their Partial IVs. While a new
 * registration, or Observe 1, is on its way there are two: the server may answer to either. The old one counts until an
 * answer to the new one has verified, and what comes for it afterwards does not verify. After Observe 1 it is ignored
 * from the start. The first answer to a registration starts the order anew: it is bound to that request, so that it is the
 * present state whatever its Partial IV.
 *
 * Where nothing is protected the Observe values decide (RFC 7641 3.4), and a connection's order (RFC 8323 7.1). The answer
 * to our newest registration is the present state there too, and the order starts again with it: its value is the same when
 * nothing has changed, and lower when the server was restarted. */
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

/* What Observe 1 takes more than Observe 0, inside and outside: the way out must not be too long. */
size_t nacre__observation_extra(const nacre_message *plain)
{
    return wants_observe(plain) ? 2 : 0;
}

/* ---- Identities ---------------------------------------------------------------------------------------------------- */

/* A plain registration goes out. */
void nacre__observation_plain(nacre__client_exchange *exchange)
{
    exchange->observation.due = NACRE__DUE_IN_ACK;
    exchange->observation.before = exchange->observation.value;
}

/* The request is about to go out as `id`. */
void nacre__observation_sent(nacre__client_exchange *exchange)
{
    nacre__observation *o = &exchange->observation;
    if (o->changing || !(o->begun || o->leaving)) return;
    o->old = exchange->id;
    o->changing = true;
}

/* The identity to try next on an answer, NULL when there is none. What comes in the ACK of a request is its answer, what
 * comes by itself is likely older. */
const nacre_request_id *nacre__observation_id(const nacre__client_exchange *exchange, const nacre__received *received)
{
    const nacre__observation *o = &exchange->observation;
    if (!o->changing) return received->tried == 0 ? &exchange->id : NULL;
    if (received->tried > 1) return NULL;
    return (received->tried == 0) == (received->outer.type == NACRE_ACK) ? &exchange->id : &o->old;
}

/* ---- Order --------------------------------------------------------------------------------------------------------- */

/* RFC 8613 7.4.1: the first answer to a registration gives the notification number. */
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

/* Whether the message is the answer to our newest registration though its value is not newer: the same when nothing has
 * changed, or one before that which was known when the registration went out. One between that and a notification that came
 * in the meantime is overtaken. A message of its own is known for the answer after an empty ACK; before it, an older one is a
 * notification that is late. */
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

/* RFC 7641 3.4: newer, or so late that the numbers have gone round; the order starts again with the answer to our newest
 * registration. RFC 8323 7.1: over a connection the value says nothing. */
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
    /* before any ACK it may be a notification that crossed the registration: the answer may follow */
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

/* Between unobserve and its answer, notifications are no news. What answers Observe 1 was asked after that went out, and
 * has its identity; without protection, it has no Observe or comes in the ACK. */
bool nacre__observation_ignores(const nacre__client_exchange *exchange, const nacre__received *received)
{
    if (!exchange->observation.leaving) return false;
    if (!nacre__client_exchange_waits(exchange)) return true;
    if (exchange->context != NULL) return received->is_old;
    return received->outer.type != NACRE_ACK && nacre__has_option(received->outer.options, NACRE_OPT_OBSERVE);
}

/* RFC 7641 3.3.1: 5 to 15 seconds after Max-Age, so that the observers of a server do not all come at once. RFC 8613 7.3:
 * now and then in any case, for a notification is only as fresh as the request that it is bound to. */
static void watch(nacre__exchanges *x, nacre__client_exchange *exchange, const nacre_message *notification,
                  uint64_t now_ms)
{
    const nacre_bytes max_age = nacre_option_find(notification->options, NACRE_OPT_MAX_AGE);
    const uint64_t seconds = nacre_is_absent(max_age) ? 60 : uint_of(max_age) & UINT32_MAX;
    uint64_t due = nacre__after(now_ms, seconds * 1000 + 5000 + nacre__core_random(x->core) % 10001);
    const uint64_t latest = nacre__after(exchange->observation.registered_at, x->core->config.reregister_ms);
    if (exchange->context != NULL && x->core->config.reregister_ms != UINT32_MAX && latest < due) due = latest;
    nacre__transmission_set_due(x->tx, exchange->t, x->core->config.no_reregister ? NACRE__NEVER : due);
}

/* The registration is answered. */
static void settle(nacre__exchanges *x, nacre__client_exchange *exchange, uint64_t now_ms)
{
    nacre__nstart_leave(x->tx, exchange->t);
    nacre__client_exchange_pause(x, exchange);
    exchange->state = NACRE__CLIENT_OBSERVING;
    exchange->last_reject = NACRE_OK;
    exchange->repeated = false;
    exchange->t->give_up = NACRE__NEVER;
    exchange->observation.registered_at = now_ms;
}

/* An answer that may be believed: true when the observation takes it, false when it is the end of the exchange. */
bool nacre__observation_takes(nacre__exchanges *x, nacre__client_exchange *exchange, const nacre__received *received,
                              const nacre_message *response, uint64_t now_ms)
{
    nacre__observation *o = &exchange->observation;
    if (!o->wanted || o->leaving || !is_notification(response)) return false;
    if (exchange->context != NULL ? !is_next_protected(o, received) : !is_next_plain(exchange, received, now_ms)) {
        x->core->stats.dropped++;
        return true;
    }
    o->begun = true;
    if (nacre__client_exchange_waits(exchange) && !o->changing) settle(x, exchange, now_ms);
    if (exchange->state == NACRE__CLIENT_OBSERVING) watch(x, exchange, response, now_ms);
    x->notes[x->num_notes++] = (nacre__note){ .number = exchange->number,
                                              .index = nacre__client_exchange_index(x, exchange),
                                              .message = *response };
    x->core->stats.notifications++;
    return true;
}

/* The start of a plain message, the rest of which there was no room for: true when it is a notification of an observation that
 * has begun, which goes on: the next state may be shorter. Its value is not taken for the order, which is not the one that was
 * told last. */
bool nacre__observation_survives(nacre__exchanges *x, nacre__client_exchange *exchange, const nacre__received *received,
                                 uint64_t now_ms)
{
    const nacre__observation *o = &exchange->observation;
    if (!o->begun || o->leaving || !is_notification(&received->outer)) return false;
    if (nacre__client_exchange_waits(exchange)) settle(x, exchange, now_ms);
    if (exchange->state == NACRE__CLIENT_OBSERVING) watch(x, exchange, &received->outer, now_ms);
    return true;
}

/* The next notification of this burst whose exchange is still what it was. */
bool nacre__observation_next_note(nacre__exchanges *x, nacre_event *event)
{
    while (x->first_note < x->num_notes) {
        const nacre__note *note = &x->notes[x->first_note++];
        const nacre__client_exchange *exchange = &x->clients[note->index];
        const bool lost_context = exchange->state == NACRE__CLIENT_ENDED && exchange->err == NACRE_ERR_NO_CONTEXT;
        if (exchange->number != note->number || exchange->observation.leaving || lost_context) continue;
        *event = (nacre_event){
            .kind = note->oversized != 0 ? NACRE_EVENT_OVERSIZED : NACRE_EVENT_NOTIFICATION,
            .exchange = exchange->number,
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

/* ---- Again, and no more -------------------------------------------------------------------------------------------- */

/* The request goes out once more, with `value` for Observe and without an Echo that has served. */
static nacre_err send_anew(nacre__exchanges *x, nacre__client_exchange *exchange, nacre_bytes value)
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

/* RFC 7641 3.3.1. As a CON, whatever the first one was: a NON that is lost is not sent again. */
void nacre__observation_renew(nacre__exchanges *x, nacre__client_exchange *exchange)
{
    static const uint8_t nothing;
    if (!nacre_address_is_reliable(&exchange->peer)) exchange->t->type = NACRE_CON;
    const nacre_err err = send_anew(x, exchange, nacre_bytes_of(&nothing, 0));
    if (err != NACRE_OK) nacre__client_exchange_end(x, exchange, err, NULL);
}

/* One context is one server, wherever it is reached; a plain observation is known by its address, unless that is a proxy's. */
static bool is_same_server(const nacre__client_exchange *a, const nacre__client_exchange *b)
{
    if (a->context == b->context) return true;
    return b->context == NULL && !a->via_proxy && !b->via_proxy && nacre_address_equal(&a->peer, &b->peer);
}

/* RFC 8613 B.1.2: a server that asks for an Echo has lost its replay window, and with it, most likely, its observers. They
 * register again now. A challenge may have another reason, and may come often: once in NACRE__CHALLENGE_MS each. */
void nacre__observations_challenged(nacre__exchanges *x, const nacre__client_exchange *challenged, uint64_t now_ms)
{
    for (uint32_t i = 0; i < x->core->config.num_client_exchanges && !x->core->config.no_reregister; i++) {
        nacre__client_exchange *exchange = &x->clients[i];
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
nacre_err nacre__observation_leave(nacre__exchanges *x, nacre__client_exchange *exchange)
{
    static const uint8_t deregister[] = { 1 };
    if (!exchange->observation.wanted) return NACRE_ERR_BAD_ARGUMENT;
    if (exchange->observation.leaving) return NACRE_OK;
    const nacre_err err = send_anew(x, exchange, NACRE_ARRAY(deregister));
    if (err == NACRE_OK) exchange->observation.leaving = true;
    return err;
}
