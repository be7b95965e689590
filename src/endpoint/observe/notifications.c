/* SPDX-License-Identifier: MIT */
/* notifications: sends notifications to observers (RFC 7641 4.2 to 4.5, RFC 8613 4.1.3.5).
 *
 * A change only marks the observer: changes while a notification is in flight coalesce. A NOTIFY event comes when the mark is
 * set, the last notification is settled and a separate response is free; the application then responds with the current
 * state. */
#include "endpoint/core/hash.h"
#include "endpoint/observe/observe_server.h"

enum { EVERY = 16 }; /* every 16th notification is a CON */
#define A_DAY_MS (24 * 60 * 60 * UINT64_C(1000))

/* Between notifications: IDLE or PENDING. */
static void rest(nacre__observe_server *s, nacre__observer *o)
{
    const bool is_known = o->is_confirmed || o->context != NULL;
    o->separate = NACRE__NONE;
    if (o->changed) nacre__observer_set(s, o, is_known ? NACRE__OBSERVER_PENDING : NACRE__OBSERVER_CHANGED);
    else nacre__observer_set(s, o, is_known ? NACRE__OBSERVER_IDLE : NACRE__OBSERVER_FRESH);
}

void nacre__observer_changed(nacre__observe_server *s, nacre__observer *o)
{
    o->changed = true;
    if (o->state == NACRE__OBSERVER_IDLE || o->state == NACRE__OBSERVER_FRESH) rest(s, o);
}

/* RFC 7641 4.5: after a RST to the last notification of a protected observer the next one is a CON, sent with the current
 * state if nothing changed. Guessed RST cause at most one per quarter of the exchange lifetime. */
static void check(nacre__observe_server *s, nacre__observer *o)
{
    if (o->is_checked || s->core->now_ms < o->next_check) return;
    o->is_checked = true;
    o->next_check = nacre__after(s->core->now_ms, s->core->config.timing.exchange_lifetime_ms / 4);
    nacre__observer_changed(s, o);
}

/* RFC 7641 3.6, 4.2: a RST to a notification ends a plain observation. For a protected one it is unauthenticated: the next
 * notification is a CON, whose outcome decides. */
bool nacre__observer_reset(nacre__observe_server *s, const nacre_address *peer, uint16_t mid)
{
    nacre__observer *o = nacre__observer_by_mid(s, peer, mid);
    if (o == NULL) return false;
    if (o->context != NULL) check(s, o);
    else nacre__observer_end(s, o, NACRE_ERR_RESET);
    return true;
}

static void validate(const nacre__observe_server *s, nacre__observer *o)
{
    if (!o->is_validated && nacre__is_validated(s->x->validation, &o->peer)) o->is_validated = o->is_confirmed = true;
}

/* Its request was answered with 2.xx, in `separate`, or at once if NULL. */
void nacre__observer_begun(nacre__observe_server *s, nacre__observer *o, nacre__separate_response *separate)
{
    o->server = NACRE__NONE;
    if (separate == NULL) {
        rest(s, o);
        return;
    }
    separate->observer = nacre__observer_index(s, o);
    o->separate = nacre__separate_index(s->x, separate);
    nacre__observer_set(s, o, NACRE__OBSERVER_BUSY);
}

/* Its separate response is done and released: sent as NON or acknowledged (NACRE_OK), rejected, or timed out; then the client
 * counts as gone (RFC 7641 4.5). */
void nacre__observer_settled(nacre__observe_server *s, nacre__observer *o, nacre_err err, bool is_acked)
{
    if (is_acked) nacre__observer_confirmed(o);
    o->separate = NACRE__NONE;
    if (err != NACRE_OK) {
        nacre__observer_end(s, o, err);
        return;
    }
    validate(s, o);
    rest(s, o);
}

/* A notification could not be protected because the store failed: the observer stays (RFC 7641 4.2: it must see the final
 * state), and is notified at the next change, or when the store confirms something. False: it is not a notification. */
bool nacre__notification_missed(nacre__observe_server *s, nacre__separate_response *separate)
{
    if (separate->observer == NACRE__NONE) return false;
    nacre__observer *o = &s->observers[separate->observer];
    if (!o->has_mid) return false; /* it is the response to the registration */
    nacre__separate_drop(s->x, separate);
    o->missed = s->any_missed = true;
    rest(s, o);
    return true;
}

/* The store of `context` works again. */
void nacre__observers_catch_up(nacre__observe_server *s, const nacre_context *context)
{
    if (!s->any_missed) return;
    s->any_missed = false;
    for (uint32_t i = 0; i < s->max; i++) {
        nacre__observer *o = &s->observers[i];
        if (!o->missed) continue;
        if (o->context != context) {
            s->any_missed = true;
            continue;
        }
        o->missed = false;
        nacre__observer_changed(s, o);
    }
}

static bool may_be_forged(const nacre__observer *o)
{
    return o->context == NULL && !o->is_validated;
}

/* RFC 7641 4.5.1, RFC 7252 4.7: a notification that exceeds PROBING_RATE is sent as CON, and waits for its ACK. */
static bool probes_too_fast(const nacre__observe_server *s, const nacre__observer *o)
{
    const uint64_t now_ms = s->core->now_ms;
    return nacre__probing_may_at(&s->x->tx->probing, &o->peer, now_ms) > now_ms;
}

/* RFC 7641 4.5: an occasional CON checks that the client still listens. RFC 7641 7: until one is acknowledged all are CON,
 * because the registration's source may be forged. An ACK may be guessed: a plain registration whose address is not validated
 * gets a CON every sixteenth time, however it registered, so each needs another guess. */
static bool is_con_due(const nacre__observe_server *s, const nacre__observer *o, bool is_final)
{
    if (nacre_address_is_reliable(&o->peer)) return false; /* RFC 8323 7.1: there are no ACKs */
    return is_final || o->is_checked || !o->is_confirmed || s->core->now_ms >= nacre__after(o->last_con, A_DAY_MS) ||
           ((o->con || may_be_forged(o)) && o->since_con >= EVERY - 1) || probes_too_fast(s, o);
}

/* ---- One CON at a time -----------------------------------------------------------------------------------------------
 * RFC 7252 4.7: at most NSTART in flight per peer. This protects the path and the pool: a client that is gone holds one
 * transmission until that is given up, however many observations it has. */

static bool exceeds_nstart(const nacre__observe_server *s, const nacre__observer *o)
{
    uint32_t num = 0;
    if (s->core->config.congestion.nstart == UINT16_MAX || !is_con_due(s, o, false)) return false;
    if (s->num_con_notifications[nacre__stall_of(s, NULL, &o->peer)] < s->core->config.congestion.nstart) return false;
    for (uint32_t i = 0; i < s->core->config.num_transmissions; i++)
        num += s->x->separates[i].is_con_notification && nacre_address_equal(&s->x->separates[i].t->peer, &o->peer);
    return num >= s->core->config.congestion.nstart;
}

/* One less is in flight to `peer`. */
static void go_on(nacre__observe_server *s, const nacre_address *peer)
{
    for (uint32_t i = s->stalled[nacre__stall_of(s, NULL, peer)].first, next; i != NACRE__NONE; i = next) {
        next = s->observers[i].link.next;
        if (nacre_address_equal(&s->observers[i].peer, peer)) rest(s, &s->observers[i]);
    }
}

/* Marks it as a CON notification, which counts for NSTART of its peer. */
static void set_con_notification(nacre__observe_server *s, nacre__separate_response *separate, bool is_con_notification)
{
    if (separate->is_con_notification == is_con_notification) return;
    uint32_t *num = &s->num_con_notifications[nacre__stall_of(s, NULL, &separate->t->peer)];
    separate->is_con_notification = is_con_notification;
    *num = is_con_notification ? *num + 1 : *num - 1;
    if (!is_con_notification) go_on(s, &separate->t->peer);
}

void nacre__con_notification_left(nacre__observe_server *s, nacre__separate_response *separate)
{
    set_con_notification(s, separate, false);
}

/* ---- Shares ---------------------------------------------------------------------------------------------------------- */

/* A separate response of that owner has ended: another of its observers may be notified; all, if it was the last, because then
 * no other end follows. */
void nacre__share_left(nacre__observe_server *s, const nacre_context *owner, const nacre_address *peer)
{
    const uint32_t first = s->max > 0 ? s->stalled[nacre__stall_of(s, owner, peer)].first : NACRE__NONE;
    const bool was_last = first != NACRE__NONE && nacre__separate_num_of(s->x, owner, peer) == 0;
    for (uint32_t i = first, next; i != NACRE__NONE; i = next) {
        nacre__observer *o = &s->observers[i];
        next = o->link.next;
        if (o->context != owner || (owner == NULL && !nacre_address_equal(&o->peer, peer))) continue;
        rest(s, o);
        if (!was_last) return;
    }
}

/* Why it cannot be notified now: the list to wait in, or NONE. */
static uint32_t obstacle(const nacre__observe_server *s, const nacre__observer *o)
{
    if (o->context == NULL && !nacre__separate_plain_may(s->x)) return NACRE__STALLS;
    if (!nacre__separate_has_share(s->x, o->context, &o->peer)) return nacre__stall_of(s, o->context, &o->peer);
    return exceeds_nstart(s, o) ? nacre__stall_of(s, NULL, &o->peer) : NACRE__NONE;
}

/* The next observer to notify, or NONE. */
static uint32_t next_to_tell(nacre__observe_server *s)
{
    while (s->max > 0) {
        const uint32_t plain = s->stalled[NACRE__STALLS].first;
        if (plain != NACRE__NONE && nacre__separate_plain_may(s->x)) rest(s, &s->observers[plain]);
        uint32_t first = s->lists[NACRE__OBSERVER_PENDING].first;
        if (first == NACRE__NONE && nacre__separate_is_to_spare(s->x)) first = s->lists[NACRE__OBSERVER_CHANGED].first;
        if (first == NACRE__NONE) return first;
        const uint32_t stall = obstacle(s, &s->observers[first]);
        if (stall == NACRE__NONE) return first;
        s->observers[first].stall = stall;
        nacre__observer_set(s, &s->observers[first], NACRE__OBSERVER_STALLED);
    }
    return NACRE__NONE;
}

/* ---- Events -------------------------------------------------------------------------------------------------------- */

static nacre_event event_of(const nacre__observer *o, nacre_event_kind kind)
{
    return (nacre_event){
        .kind = kind, .observer = { o->number }, .context = o->context, .peer = o->peer, .user = o->user
    };
}

/* Ends are reported first, because they free observers. */
bool nacre__observers_ended_event(nacre__observe_server *s, nacre_event *event)
{
    const uint32_t first = s->lists[NACRE__OBSERVER_ENDED].first;
    if (first == NACRE__NONE) return false;
    nacre__observer *o = &s->observers[first];
    *event = event_of(o, NACRE_EVENT_OBSERVER_REMOVED);
    event->err = o->err;
    nacre__observer_free(s, o);
    return true;
}

bool nacre__observers_notify_event(nacre__observe_server *s, nacre_event *event)
{
    if (s->x->tx->num_free == 0) return false;
    const uint32_t first = next_to_tell(s);
    if (first == NACRE__NONE) return false;
    nacre__observer *o = &s->observers[first];
    nacre__separate_response *separate = nacre__separate_take(s->x, o->context, &o->peer);
    if (separate == NULL) return false;
    separate->observer = first;
    set_con_notification(s, separate, is_con_due(s, o, false));
    o->separate = nacre__separate_index(s->x, separate);
    o->changed = false;
    nacre__observer_set(s, o, NACRE__OBSERVER_DELIVERED);
    *event = event_of(o, NACRE_EVENT_NOTIFY);
    event->exchange.number = o->number;
    return nacre_message_parse(&event->message, nacre_bytes_of(o->bytes, o->len)) == NACRE_OK;
}

/* A new burst begins: unanswered NOTIFY events count as ignored. */
void nacre__observers_close_delivered(nacre__observe_server *s)
{
    for (uint32_t i = s->lists[NACRE__OBSERVER_DELIVERED].first, next; i != NACRE__NONE; i = next) {
        next = s->observers[i].link.next;
        nacre__observer_ignore(s, s->observers[i].number);
    }
}

/* ---- Responses --------------------------------------------------------------------------------------------------- */

/* The observer with that number, if its NOTIFY event is open. */
static nacre__observer *delivered(nacre__observe_server *s, uint64_t number)
{
    nacre__observer *o = nacre__observer_of(s, number);
    if (o == NULL || o->separate == NACRE__NONE || !nacre__separate_is_held(&s->x->separates[o->separate])) return NULL;
    return o;
}

nacre_err nacre__observer_defer(nacre__observe_server *s, uint64_t number)
{
    nacre__observer *o = delivered(s, number);
    if (o == NULL) return NACRE_ERR_STALE;
    set_con_notification(s, &s->x->separates[o->separate], false); /* a deferred one does not block others */
    nacre__observer_set(s, o, NACRE__OBSERVER_BUSY);
    return NACRE_OK;
}

void nacre__observer_ignore(nacre__observe_server *s, uint64_t number)
{
    nacre__observer *o = delivered(s, number);
    if (o == NULL) return;
    nacre__separate_drop(s->x, &s->x->separates[o->separate]);
    rest(s, o);
}

/* RFC 7641 3.4, 4.4: 24 bits that increase by one or with the clock, whichever is more, so that a new registration under the
 * same token continues above the old one. */
static uint32_t next_number(const nacre__observer *o, uint64_t now_ms)
{
    const uint32_t by_clock = (uint32_t)now_ms & 0xffffff, by_one = (o->observe_value + 1) & 0xffffff;
    return ((by_clock - by_one) & 0xffffff) < 0x800000 ? by_clock : by_one;
}

/* Sets Observe in `response`, replacing any; its options are then in the endpoint's memory. If protected, the value is
 * outside, and the inner one empty (RFC 8613 4.1.3.5.2). */
nacre_err nacre__observe_add(nacre__observe_server *s, nacre__observer *o, nacre_message *response, nacre_bytes echo)
{
    nacre_options options;
    nacre_bytes out;
    nacre_options_init(&options, (nacre_buf){ s->core->options, s->core->config.max_message });
    nacre_option_iter it = nacre_option_begin(response->options);
    o->observe_value = next_number(o, s->core->now_ms);
    bool added = false;
    for (nacre_option option; nacre_option_next(&it, &option);) {
        if (option.number == NACRE_OPT_OBSERVE) continue;
        if (!added && option.number > NACRE_OPT_OBSERVE) {
            nacre_options_add_uint(&options, NACRE_OPT_OBSERVE, o->observe_value);
            added = true;
        }
        nacre_options_add(&options, option.number, option.value);
    }
    if (!added) nacre_options_add_uint(&options, NACRE_OPT_OBSERVE, o->observe_value);
    if (!nacre_is_absent(echo)) nacre_options_add(&options, NACRE_OPT_ECHO, echo);
    const nacre_err err = nacre_options_finish(&options, &out);
    if (err != NACRE_OK) return NACRE_ERR_TOO_LONG;
    response->options = out;
    return NACRE_OK;
}

static void count(const nacre__observe_server *s, nacre__observer *o, uint8_t type)
{
    if (type == NACRE_CON) o->last_con = s->core->now_ms;
    if (type == NACRE_CON) o->since_con = 0;
    else if (o->since_con < EVERY) o->since_con++;
}

static bool is_success(const nacre_message *response)
{
    return response->code >> 5 == 2;
}

/* Whether `response` and `extra` bytes exceed the observer's allowance: as much as for its registration. */
bool nacre__observer_exceeds(const nacre__observe_server *s, const nacre__observer *o, const nacre_message *response,
                             size_t extra)
{
    nacre_message kept;
    if (o->is_validated || nacre_message_parse(&kept, nacre_bytes_of(o->bytes, o->len)) != NACRE_OK) return false;
    return nacre__response_exceeds(s->x, o->context, &o->peer, response, kept.token, nacre__allowance(o->len),
                                   NACRE__OBSERVE_OPTIONS + extra);
}

static bool offers(const nacre__observe_server *s, const nacre__observer *o, const nacre_message *response)
{
    return response->options.len > 0 && nacre__is_slice(response) && !nacre__is_validated(s->x->validation, &o->peer) &&
           !nacre__observer_exceeds(s, o, response, NACRE__ECHO_OPTION);
}

/* RFC 7641 4.2: sends the current state. Any code but 2.xx ends the observation: an error, or 4.01 with Echo if it exceeds
 * the allowance. */
nacre_err nacre__observer_respond(nacre__observe_server *s, uint64_t number, const nacre_message *plain)
{
    nacre__observer *o = delivered(s, number);
    if (o == NULL) return NACRE_ERR_STALE;
    nacre__separate_response *separate = &s->x->separates[o->separate];
    nacre_message response = *plain, kept;
    uint8_t value[NACRE__ECHO_LEN];
    nacre_bytes echo = NACRE_ABSENT;
    nacre_request_id id = nacre_request_id_dup(&o->id); /* RFC 8613 8.3.1: each has its own Partial IV */
    nacre_err err = nacre_message_parse(&kept, nacre_bytes_of(o->bytes, o->len));
    if (err == NACRE_OK && nacre__observer_exceeds(s, o, plain, 0))
        err = is_success(plain) ? nacre__echo_challenge(s->x->echo, &o->peer, &response)
                                : nacre__response_bare(s->core, &response);
    else if (offers(s, o, plain)) echo = nacre__echo_for(s->x->echo, &o->peer, value);
    const bool is_final = !is_success(&response);
    if (err == NACRE_OK && !is_final) err = nacre__observe_add(s, o, &response, echo);
    if (err != NACRE_OK) return err;
    response.token = kept.token;
    response.type = is_con_due(s, o, is_final) ? NACRE_CON : NACRE_NON;
    validate(s, o);
    separate->is_validated = o->is_validated;
    separate->allowance = nacre__allowance(o->len);
    err = nacre__separate_send(s->x, separate, o->context, &id, &response);
    if (err != NACRE_OK) return err;
    set_con_notification(s, separate, response.type == NACRE_CON);
    count(s, o, response.type);
    NACRE__COUNT(s->core, sent_notifications);
    nacre__observer_set(s, o, NACRE__OBSERVER_BUSY);
    nacre__observer_set_mid(s, o, response.mid);
    if (!is_final) return NACRE_OK;
    separate->observer = o->separate = NACRE__NONE; /* detached: it is transmitted on its own */
    nacre__observer_end(s, o, NACRE_OK);
    return NACRE_OK;
}
