/* SPDX-License-Identifier: MIT */
/* own: requests of ours, and their bodies on the way up (RFC 7959 2.5, 3.2, Block1).
 *
 * A body that fits one message goes as one, without Block1. Otherwise block after block, each when the one before it has
 * its 2.31; all with one Request-Tag that was never given before (RFC 9175 3.5.1), for an attacker who holds back blocks
 * could otherwise slip one of this body into another. */
#include "transfer_internal.h"

#include <string.h>

/* ---- Starting and ending ------------------------------------------------------------------------------------------- */

static uint32_t index_of(const nacre_transfer *t, const nacre__own *own)
{
    return (uint32_t)(own - t->own);
}

static bool is_open(const nacre__own *own)
{
    return own->state != NACRE__OWN_FREE && own->state != NACRE__OWN_ENDED;
}

/* Round, so that what an ended one left is seen as long as possible. */
static nacre__own *free_place(nacre_transfer *t)
{
    const uint32_t num = t->config.num_client_exchanges;
    for (uint32_t i = 0; i < num; i++) {
        nacre__own *own = &t->own[(t->next_own + i) % num];
        if (is_open(own)) continue;
        t->next_own = (index_of(t, own) + 1) % num;
        return own;
    }
    return NULL;
}

static nacre_transfer_exchange new_exchange(const nacre_transfer *t, nacre__own *own)
{
    own->generation = (own->generation + 1) & (UINT32_MAX >> t->index_bits);
    if (own->generation == 0) own->generation = 1;
    return (nacre_transfer_exchange){ own->generation << t->index_bits | index_of(t, own) };
}

static void set_waiting(nacre_transfer *t, nacre__own *own, bool waiting)
{
    if (own->waiting == waiting) return;
    own->waiting = waiting;
    if (waiting) t->num_waiting++;
    else t->num_waiting--;
}

/* Whatever was under way is not, any more; but for the observation. */
static void stop(nacre_transfer *t, nacre__own *own)
{
    set_waiting(t, own, false);
    if (own->current != 0 && own->current != own->observation) nacre_endpoint_cancel(t->ep, own->current);
    own->current = 0;
}

static void name(const nacre__own *own, nacre_event *event)
{
    event->exchange = 0;
    event->transfer_exchange = own->exchange;
    event->user = own->user;
}

/* The event becomes the application's, with the message that it has. An observation goes on after a notification. */
bool nacre__own_end(nacre_transfer *t, nacre__own *own, nacre_event *event)
{
    name(own, event);
    set_waiting(t, own, false);
    own->current = 0;
    own->state = own->notified ? NACRE__OWN_OBSERVING : NACRE__OWN_ENDED;
    if (own->notified) event->kind = NACRE_EVENT_NOTIFICATION;
    own->notified = false;
    return true;
}

bool nacre__own_fail(nacre_transfer *t, nacre__own *own, nacre_event *event, nacre_err err)
{
    event->kind = NACRE_EVENT_FAILED;
    event->err = err;
    event->context = NULL;
    if (err != NACRE_ERR_TOO_LONG) event->message = (nacre_message){ .code = NACRE_EMPTY };
    return nacre__own_end(t, own, event);
}

/* ---- Sending ------------------------------------------------------------------------------------------------------- */

/* RFC 9175 3.5.1: a counter from a random start, so that no value comes twice, and none that another life of this program
 * gave for the same keys. */
static void new_tag(nacre_transfer *t, nacre__own *own)
{
    const uint64_t tag = t->next_tag++;
    for (size_t i = 0; i < NACRE__TAG_LEN; i++) own->tag[i] = (uint8_t)(tag >> (56 - 8 * i));
}

/* The bytes of the block at own->offset, and whether more follow. */
static nacre_err read_piece(nacre_transfer *t, const nacre__own *own, size_t size, nacre_bytes *piece, bool *more)
{
    if (own->source.read == NULL) {
        const uint64_t left = own->size - own->offset;
        const size_t len = left < size ? (size_t)left : size;
        *piece = nacre_is_absent(own->payload) ? NACRE_ABSENT : nacre_bytes_of(own->payload.ptr + own->offset, len);
        *more = left > len;
        return NACRE_OK;
    }
    size_t len = 0, wanted = size; /* one byte more tells whether it is the last, where the size is not known */
    if (own->size == NACRE_SIZE_UNKNOWN) wanted = size + 1;
    else if (own->size - own->offset < size) wanted = (size_t)(own->size - own->offset);
    nacre_err err = NACRE_OK;
    if (wanted > 0) err = own->source.read(own->source.user, own->offset, (nacre_buf){ t->piece, wanted }, &len);
    if (err != NACRE_OK) return err;
    if (len > wanted) return NACRE_ERR_BAD_ARGUMENT;
    const bool ended = len < wanted;
    *more = !ended && (own->size == NACRE_SIZE_UNKNOWN || own->offset + len < own->size);
    *piece = nacre_bytes_of(t->piece, len < size ? len : size);
    return NACRE_OK;
}

nacre_err nacre__own_hand_over(nacre_transfer *t, nacre__own *own, const nacre_message *message)
{
    const nacre_err err =
        nacre_endpoint_request_with(t->ep, &own->current, &own->peer, own->context, message, own, &own->how);
    if (err == NACRE_OK) t->queued = true;
    return err;
}

static nacre_err send_block(nacre_transfer *t, nacre__own *own, uint8_t szx)
{
    nacre_bytes piece;
    bool more;
    nacre_err err = read_piece(t, own, nacre__block_size(szx), &piece, &more);
    if (err != NACRE_OK) return err;
    const bool in_blocks = own->in_blocks || more || own->offset > 0;
    const uint64_t num = own->offset >> (szx + 4);
    const bool fits = own->size == NACRE_SIZE_UNKNOWN || own->size <= (uint64_t)NACRE_MAX_BLOCKS << (szx + 4);
    if (!fits || num > NACRE__MAX_BLOCK_NUM || (more && num == NACRE__MAX_BLOCK_NUM)) return NACRE_ERR_BLOCKS;
    nacre_message message = { .type = own->type, .code = own->code, .payload = piece };
    message.options = nacre_bytes_of(own->options, own->options_len);
    if (in_blocks || own->early) {
        nacre_options o;
        nacre_options_init(&o, (nacre_buf){ t->options, t->max_message });
        nacre__copy_options(&o, message.options, 0);
        /* RFC 7959 2.4: small blocks of the answer, from the first on */
        if (own->early && !more) nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, own->max_szx);
        if (in_blocks) {
            if (!own->in_blocks) new_tag(t, own);
            own->in_blocks = true;
            const nacre__block block = { (uint32_t)num, more, szx };
            nacre_options_add_uint(&o, NACRE_OPT_BLOCK1, nacre__block_value(block));
            if (num == 0 && own->size != NACRE_SIZE_UNKNOWN) /* RFC 7959 4 */
                nacre_options_add_uint(&o, NACRE_OPT_SIZE1, own->size);
            nacre_options_add(&o, NACRE_OPT_REQUEST_TAG, NACRE_ARRAY(own->tag));
        }
        err = nacre_options_finish(&o, &message.options);
        if (err != NACRE_OK) return NACRE_ERR_TOO_LONG;
    }
    err = nacre__own_hand_over(t, own, &message);
    if (err != NACRE_OK) return err;
    own->szx = szx;
    own->len = piece.len;
    own->more = more;
    return NACRE_OK;
}

/* RFC 8613 4.1.3.4.1: a block that does not fit a protected message becomes a smaller one. */
nacre_err nacre__own_send(nacre_transfer *t, nacre__own *own)
{
    if (own->state == NACRE__OWN_FETCHING) return nacre__fetch_send(t, own);
    nacre_err err = NACRE_ERR_TOO_LONG;
    for (int szx = own->szx; err == NACRE_ERR_TOO_LONG && szx >= 0; szx--) err = send_block(t, own, (uint8_t)szx);
    return err == NACRE_ERR_BLOCKS ? NACRE_ERR_TOO_LONG : err;
}

/* What came of sending the next message: nothing to tell (false), or the end. */
bool nacre__own_sent(nacre_transfer *t, nacre__own *own, nacre_event *event, nacre_err err)
{
    if (err == NACRE_OK) return false;
    if (err == NACRE_ERR_BUSY) { /* somebody else has the place; nacre__own_resume tries again */
        set_waiting(t, own, true);
        return false;
    }
    event->message = (nacre_message){ .code = NACRE_EMPTY };
    return nacre__own_fail(t, own, event, err);
}

bool nacre__own_resume(nacre_transfer *t, nacre_event *event)
{
    for (uint32_t i = 0; i < t->config.num_client_exchanges && t->num_waiting > 0; i++) {
        nacre__own *own = &t->own[i];
        if (!own->waiting) continue;
        const nacre_err err = own->is_lost ? NACRE_ERR_NO_CONTEXT : nacre__own_send(t, own);
        if (err == NACRE_ERR_BUSY) return false;
        set_waiting(t, own, false);
        if (err == NACRE_OK) continue;
        *event = (nacre_event){ .peer = own->peer };
        return nacre__own_fail(t, own, event, err);
    }
    return false;
}

/* A context, or with NULL a renewal, is about to go. What is under way with it the endpoint ends; what waits for a place has
 * nothing there, and must not be sent any more. */
void nacre__own_lose(nacre_transfer *t, const nacre_context *context, const nacre_rederivation *renewal)
{
    for (uint32_t i = 0; i < t->config.num_client_exchanges; i++) {
        nacre__own *own = &t->own[i];
        if (own->waiting && (context != NULL ? own->context == context : own->how.rederivation == renewal))
            own->is_lost = true;
    }
}

/* All of it once more, as a body of its own; of a notification, its representation, but not the registration. */
bool nacre__own_restart(nacre_transfer *t, nacre__own *own, nacre_event *event)
{
    own->state = own->notified ? NACRE__OWN_FETCHING : NACRE__OWN_SENDING;
    own->offset = 0;
    own->received = 0;
    own->in_blocks = false;
    own->answer_szx = own->early ? own->max_szx : NACRE__MAX_SZX;
    return nacre__own_sent(t, own, event, nacre__own_send(t, own));
}

/* ---- What the application says ------------------------------------------------------------------------------------- */

static nacre_err check_options(nacre_bytes options)
{
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number == NACRE_OPT_BLOCK1 || option.number == NACRE_OPT_BLOCK2 ||
            option.number == NACRE_OPT_REQUEST_TAG)
            return NACRE_ERR_BAD_ARGUMENT;
    return nacre_option_bad(&it) ? NACRE_ERR_BAD_ARGUMENT : NACRE_OK;
}

static nacre_err set_up(nacre_transfer *t, nacre__own *own, const nacre_message *plain,
                        const nacre_transfer_options *options)
{
    static const nacre_transfer_options none;
    if (options == NULL) options = &none;
    uint8_t szx = t->max_szx;
    const nacre_err err = check_options(plain->options);
    if (err != NACRE_OK) return err;
    if (options->source.read != NULL && plain->payload.len > 0) return NACRE_ERR_BAD_ARGUMENT;
    const bool observes = !nacre_is_absent(nacre_option_find(plain->options, NACRE_OPT_OBSERVE));
    if (observes && (options->source.read != NULL || plain->payload.len > t->config.block_size))
        return NACRE_ERR_BAD_ARGUMENT;
    if (options->block_size != 0 && !nacre__block_szx(&szx, options->block_size)) return NACRE_ERR_BAD_ARGUMENT;
    if (plain->options.len > t->max_message) return NACRE_ERR_TOO_LONG;
    own->type = plain->type;
    own->code = plain->code;
    own->options_len = plain->options.len;
    if (plain->options.len > 0) memcpy(own->options, plain->options.ptr, plain->options.len);
    own->payload = plain->payload;
    own->source = options->source;
    own->size = options->source.read != NULL ? options->source.size : plain->payload.len;
    own->buf = options->buf;
    own->sink = options->sink;
    own->max_szx = szx < t->max_szx ? szx : t->max_szx;
    own->how = options->request;
    own->early = options->block_size != 0 || t->max_szx < NACRE__MAX_SZX;
    own->szx = own->max_szx;
    own->answer_szx = own->early ? own->max_szx : NACRE__MAX_SZX;
    return NACRE_OK;
}

nacre_err nacre_transfer_request(nacre_transfer *t, nacre_transfer_exchange *exchange, const nacre_address *peer,
                                 nacre_context *context, const nacre_message *plain,
                                 const nacre_transfer_options *options, void *user)
{
    nacre__own *own = free_place(t);
    if (own == NULL) return NACRE_ERR_BUSY;
    nacre__own fresh = { .generation = own->generation, .options = own->options, .first = own->first };
    fresh.peer = *peer;
    fresh.context = context;
    fresh.user = user;
    nacre_err err = set_up(t, &fresh, plain, options);
    if (err != NACRE_OK) return err;
    fresh.state = NACRE__OWN_SENDING;
    *own = fresh;
    err = nacre__own_send(t, own);
    if (err != NACRE_OK) {
        own->state = NACRE__OWN_ENDED;
        return err;
    }
    own->exchange = new_exchange(t, own);
    *exchange = own->exchange;
    return NACRE_OK;
}

static nacre__own *find(nacre_transfer *t, nacre_transfer_exchange exchange)
{
    const uint32_t index = exchange.number & ((UINT32_C(1) << t->index_bits) - 1);
    if (exchange.number == 0 || index >= t->config.num_client_exchanges) return NULL;
    nacre__own *own = &t->own[index];
    return own->exchange.number == exchange.number && is_open(own) ? own : NULL;
}

void nacre_transfer_give_up(nacre_transfer *t, nacre_transfer_exchange exchange)
{
    const nacre__own *own = find(t, exchange);
    if (own != NULL && own->current != 0) nacre_endpoint_give_up(t->ep, own->current);
}

void nacre_transfer_cancel(nacre_transfer *t, nacre_transfer_exchange exchange)
{
    nacre__own *own = find(t, exchange);
    if (own == NULL) return;
    stop(t, own);
    if (own->observation != 0) nacre_endpoint_cancel(t->ep, own->observation);
    own->state = NACRE__OWN_ENDED;
}

static bool asks_to_observe(const nacre__own *own)
{
    uint64_t observe = 1;
    const nacre_bytes option = nacre_option_find(nacre_bytes_of(own->options, own->options_len), NACRE_OPT_OBSERVE);
    return !nacre_is_absent(option) && nacre_option_uint(option, &observe) && observe == 0;
}

/* The answer had no Observe, and what is under way are its blocks: it ends by itself, as nobody asked for more. */
static bool is_left_already(const nacre__own *own)
{
    return own->state == NACRE__OWN_FETCHING && own->observation == 0 && asks_to_observe(own);
}

/* It is to be made anew, and waits for a place: nobody observes yet, and nobody will. */
static nacre_err leave_before_it_goes(nacre_transfer *t, nacre__own *own)
{
    nacre_bytes out;
    nacre_options o;
    if (!asks_to_observe(own)) return NACRE_ERR_BAD_ARGUMENT;
    nacre_options_init(&o, (nacre_buf){ t->options, t->max_message });
    nacre__copy_options(&o, nacre_bytes_of(own->options, own->options_len), NACRE_OPT_OBSERVE);
    const nacre_err err = nacre_options_finish(&o, &out);
    if (err != NACRE_OK) return err; /* cannot be: they are fewer than there were */
    memcpy(own->options, out.ptr, out.len);
    own->options_len = out.len;
    return NACRE_OK;
}

nacre_err nacre_transfer_unobserve(nacre_transfer *t, nacre_transfer_exchange exchange)
{
    nacre__own *own = find(t, exchange);
    if (own == NULL) return NACRE_ERR_STALE;
    if (is_left_already(own)) return NACRE_OK;
    if (own->waiting && own->observation == 0) return leave_before_it_goes(t, own);
    const nacre_exchange registration = own->observation != 0 ? own->observation : own->current;
    const nacre_err err = nacre_endpoint_unobserve(t->ep, registration);
    if (err != NACRE_OK || own->observation == 0) return err;
    stop(t, own);
    own->state = NACRE__OWN_OBSERVING;
    own->notified = false;
    t->queued = true;
    return NACRE_OK;
}

/* ---- Answers on the way up ----------------------------------------------------------------------------------------- */

/* RFC 7959 2.9.3: 4.13 with a Block1 of a smaller size asks for that size. */
static bool is_smaller_wanted(const nacre__own *own, uint8_t code, bool has_block, nacre__block block)
{
    if (code != NACRE_TOO_LARGE || !has_block) return false;
    return block.szx < own->szx && own->len > nacre__block_size(block.szx);
}

/* An answer to a block that others follow. */
static bool take_continue(nacre_transfer *t, nacre__own *own, nacre_event *event, bool has_block, nacre__block block)
{
    const uint64_t num = own->offset >> (own->szx + 4);
    if (event->message.code >> 5 != 2) return nacre__fetch_take(t, own, event); /* the peer's last word */
    /* RFC 7959 2.3: 2.31, or the answer to this block alone. Without Block1 the peer did not see that it is a part */
    if (!has_block || block.num != num || block.szx > own->szx) return nacre__own_fail(t, own, event, NACRE_ERR_BLOCKS);
    own->offset += own->len;
    own->szx = block.szx;
    return nacre__own_sent(t, own, event, nacre__own_send(t, own));
}

static bool take_answer(nacre_transfer *t, nacre__own *own, nacre_event *event)
{
    const uint8_t code = event->message.code;
    bool has_block;
    nacre__block block = { 0 };
    if (!nacre__find_block(event->message.options, NACRE_OPT_BLOCK1, &has_block, &block))
        return nacre__own_fail(t, own, event, NACRE_ERR_BLOCKS);
    if (is_smaller_wanted(own, code, has_block, block)) {
        own->szx = block.szx;
        return nacre__own_restart(t, own, event);
    }
    if (!own->in_blocks) {
        if (code == NACRE_CONTINUE) return nacre__own_fail(t, own, event, NACRE_ERR_BLOCKS);
        return nacre__fetch_take(t, own, event);
    }
    if (code == NACRE_INCOMPLETE && !own->restarted) { /* RFC 7959 2.9.2 */
        own->restarted = true;
        return nacre__own_restart(t, own, event);
    }
    if (own->more) return take_continue(t, own, event, has_block, block);
    const bool wrong = has_block && block.num != own->offset >> (own->szx + 4) && code >> 5 == 2;
    if (code == NACRE_CONTINUE || wrong) return nacre__own_fail(t, own, event, NACRE_ERR_BLOCKS);
    return nacre__fetch_take(t, own, event);
}

/* RFC 7959 3.4, RFC 7641 3.4: a newer representation takes the place of the one that is being fetched. */
static bool take_notification(nacre_transfer *t, nacre__own *own, nacre_event *event)
{
    own->observation = event->exchange;
    stop(t, own);
    own->state = NACRE__OWN_OBSERVING;
    own->notified = true;
    own->restarted = false;
    own->received = 0;
    own->answer_szx = own->early ? own->max_szx : NACRE__MAX_SZX;
    return nacre__fetch_take(t, own, event);
}

/* The registration's last answer, or its failure. */
static void end_observation(nacre_transfer *t, nacre__own *own)
{
    stop(t, own);
    own->observation = 0;
    own->notified = false;
    own->state = NACRE__OWN_SENDING;
    own->received = 0;
}

/* Whose exchange it is; NULL: of a request or a ping that was given to the endpoint past the transfer. */
static nacre__own *own_of(const nacre_transfer *t, const nacre_event *event)
{
    const uintptr_t at = (uintptr_t)event->user, first = (uintptr_t)t->own;
    return at >= first && at - first < t->config.num_client_exchanges * sizeof *t->own ? event->user : NULL;
}

bool nacre__own_event(nacre_transfer *t, nacre_event *event)
{
    nacre__own *own = own_of(t, event);
    if (own == NULL) return true;
    if (event->kind == NACRE_EVENT_OVERSIZED) { /* what is under way goes on */
        name(own, event);
        return true;
    }
    if (event->kind == NACRE_EVENT_NOTIFICATION) return take_notification(t, own, event);
    if (own->observation != 0 && own->observation == event->exchange) end_observation(t, own);
    own->current = 0;
    if (event->kind == NACRE_EVENT_FAILED) return nacre__own_end(t, own, event);
    if (own->state == NACRE__OWN_FETCHING) return nacre__fetch_take(t, own, event);
    return take_answer(t, own, event);
}
