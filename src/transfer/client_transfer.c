/* SPDX-License-Identifier: MIT */
/* client_transfer: client requests and the sending of their bodies (RFC 7959 2.5, 3.2, Block1).
 *
 * A body that fits one message is sent without Block1. Otherwise each block is sent after the 2.31 to the one before. All
 * blocks carry one Request-Tag, never used before (RFC 9175 3.5.1): otherwise an attacker could delay a block of this body
 * and insert it into another. */
#include "transfer_internal.h"

#include <string.h>

/* ---- Starting and ending ------------------------------------------------------------------------------------------- */

static uint32_t index_of(const nacre_transfer *t, const nacre__client_transfer *client)
{
    return (uint32_t)(client - t->clients);
}

static bool is_open(const nacre__client_transfer *client)
{
    return client->state != NACRE__TRANSFER_FREE && client->state != NACRE__TRANSFER_ENDED;
}

/* Round robin, so that the bytes of an ended transfer stay readable as long as possible. */
static nacre__client_transfer *free_client(nacre_transfer *t)
{
    const uint32_t num = t->config.num_client_exchanges;
    for (uint32_t i = 0; i < num; i++) {
        nacre__client_transfer *client = &t->clients[(t->next_client + i) % num];
        if (is_open(client)) continue;
        t->next_client = (index_of(t, client) + 1) % num;
        return client;
    }
    return NULL;
}

static nacre_transfer_exchange new_exchange(const nacre_transfer *t, nacre__client_transfer *client)
{
    client->generation = (client->generation + 1) & (UINT32_MAX >> t->index_bits);
    if (client->generation == 0) client->generation = 1;
    return (nacre_transfer_exchange){ client->generation << t->index_bits | index_of(t, client) };
}

static void set_waiting(nacre_transfer *t, nacre__client_transfer *client, bool waiting)
{
    if (client->waiting == waiting) return;
    client->waiting = waiting;
    if (waiting) t->num_waiting++;
    else t->num_waiting--;
}

/* Cancels the message in flight; an observation stays. */
static void stop(nacre_transfer *t, nacre__client_transfer *client)
{
    set_waiting(t, client, false);
    if (client->current != 0 && client->current != client->observation) nacre_endpoint_cancel(t->ep, client->current);
    client->current = 0;
}

static void name(const nacre__client_transfer *client, nacre_event *event)
{
    event->exchange = 0;
    event->transfer_exchange = client->exchange;
    event->user = client->user;
}

/* Ends the transfer and delivers `event` with its message. After a notification the observation continues. */
bool nacre__client_transfer_end(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event)
{
    name(client, event);
    set_waiting(t, client, false);
    client->current = 0;
    client->state = client->notified ? NACRE__TRANSFER_OBSERVING : NACRE__TRANSFER_ENDED;
    if (client->notified) event->kind = NACRE_EVENT_NOTIFICATION;
    client->notified = false;
    return true;
}

bool nacre__client_transfer_fail(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event, nacre_err err)
{
    event->kind = NACRE_EVENT_FAILED;
    event->err = err;
    event->context = NULL;
    if (err != NACRE_ERR_TOO_LONG) event->message = (nacre_message){ .code = NACRE_EMPTY };
    return nacre__client_transfer_end(t, client, event);
}

/* ---- Sending ------------------------------------------------------------------------------------------------------- */

/* RFC 9175 3.5.1: a 64-bit counter from a random start, so that tags repeat neither within a run nor, for the same keys,
 * across restarts. */
static void new_tag(nacre_transfer *t, nacre__client_transfer *client)
{
    const uint64_t tag = t->next_tag++;
    for (size_t i = 0; i < NACRE__TAG_LEN; i++) client->tag[i] = (uint8_t)(tag >> (56 - 8 * i));
}

/* The bytes of the block at client->offset, and whether more follow. */
static nacre_err read_piece(nacre_transfer *t, const nacre__client_transfer *client, size_t size, nacre_bytes *piece,
                            bool *more)
{
    if (client->source.read == NULL) {
        const uint64_t left = client->size - client->offset;
        const size_t len = left < size ? (size_t)left : size;
        *piece =
            nacre_is_absent(client->payload) ? NACRE_ABSENT : nacre_bytes_of(client->payload.ptr + client->offset, len);
        *more = left > len;
        return NACRE_OK;
    }
    size_t len = 0, wanted = size; /* size unknown: read one byte more to see if it is the last */
    if (client->size == NACRE_SIZE_UNKNOWN) wanted = size + 1;
    else if (client->size - client->offset < size) wanted = (size_t)(client->size - client->offset);
    nacre_err err = NACRE_OK;
    if (wanted > 0)
        err = client->source.read(client->source.user, client->offset, (nacre_buf){ t->piece, wanted }, &len);
    if (err != NACRE_OK) return err;
    if (len > wanted) return NACRE_ERR_BAD_ARGUMENT;
    const bool ended = len < wanted;
    *more = !ended && (client->size == NACRE_SIZE_UNKNOWN || client->offset + len < client->size);
    *piece = nacre_bytes_of(t->piece, len < size ? len : size);
    return NACRE_OK;
}

nacre_err nacre__client_transfer_hand_over(nacre_transfer *t, nacre__client_transfer *client,
                                           const nacre_message *message)
{
    const nacre_err err = nacre_endpoint_request_with(t->ep, &client->current, &client->peer, client->context, message,
                                                      client, &client->how);
    if (err == NACRE_OK) t->queued = true;
    return err;
}

static nacre_err send_block(nacre_transfer *t, nacre__client_transfer *client, uint8_t szx)
{
    nacre_bytes piece;
    bool more;
    nacre_err err = read_piece(t, client, nacre__block_size(szx), &piece, &more);
    if (err != NACRE_OK) return err;
    const bool in_blocks = client->in_blocks || more || client->offset > 0;
    const uint64_t num = client->offset >> (szx + 4);
    const bool fits = client->size == NACRE_SIZE_UNKNOWN || client->size <= (uint64_t)NACRE_MAX_BLOCKS << (szx + 4);
    if (!fits || num > NACRE__MAX_BLOCK_NUM || (more && num == NACRE__MAX_BLOCK_NUM)) return NACRE_ERR_BLOCKS;
    nacre_message message = { .type = client->type, .code = client->code, .payload = piece };
    message.options = nacre_bytes_of(client->options, client->options_len);
    if (in_blocks || client->early) {
        nacre_options o;
        nacre_options_init(&o, (nacre_buf){ t->options, t->max_message });
        nacre__copy_options(&o, message.options, 0);
        /* RFC 7959 2.4: limits the response's block size from the first block on */
        if (client->early && !more) nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, client->max_szx);
        if (in_blocks) {
            if (!client->in_blocks) new_tag(t, client);
            client->in_blocks = true;
            const nacre__block block = { (uint32_t)num, more, szx };
            nacre_options_add_uint(&o, NACRE_OPT_BLOCK1, nacre__block_value(block));
            if (num == 0 && client->size != NACRE_SIZE_UNKNOWN) /* RFC 7959 4 */
                nacre_options_add_uint(&o, NACRE_OPT_SIZE1, client->size);
            nacre_options_add(&o, NACRE_OPT_REQUEST_TAG, NACRE_ARRAY(client->tag));
        }
        err = nacre_options_finish(&o, &message.options);
        if (err != NACRE_OK) return NACRE_ERR_TOO_LONG;
    }
    err = nacre__client_transfer_hand_over(t, client, &message);
    if (err != NACRE_OK) return err;
    client->szx = szx;
    client->len = piece.len;
    client->more = more;
    return NACRE_OK;
}

/* RFC 8613 4.1.3.4.1: halves the block size until the protected message fits. */
nacre_err nacre__client_transfer_send(nacre_transfer *t, nacre__client_transfer *client)
{
    if (client->state == NACRE__TRANSFER_FETCHING) return nacre__block2_client_send(t, client);
    nacre_err err = NACRE_ERR_TOO_LONG;
    for (int szx = client->szx; err == NACRE_ERR_TOO_LONG && szx >= 0; szx--) err = send_block(t, client, (uint8_t)szx);
    return err == NACRE_ERR_BLOCKS ? NACRE_ERR_TOO_LONG : err;
}

/* Handles the result of sending the next message. False: sent or waiting; true: failed, `event` is FAILED. */
bool nacre__client_transfer_sent(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event, nacre_err err)
{
    if (err == NACRE_OK) return false;
    if (err == NACRE_ERR_BUSY) { /* no free exchange; nacre__client_transfer_resume retries */
        set_waiting(t, client, true);
        return false;
    }
    event->message = (nacre_message){ .code = NACRE_EMPTY };
    return nacre__client_transfer_fail(t, client, event, err);
}

bool nacre__client_transfer_resume(nacre_transfer *t, nacre_event *event)
{
    for (uint32_t i = 0; i < t->config.num_client_exchanges && t->num_waiting > 0; i++) {
        nacre__client_transfer *client = &t->clients[i];
        if (!client->waiting) continue;
        const nacre_err err = client->is_lost ? NACRE_ERR_NO_CONTEXT : nacre__client_transfer_send(t, client);
        if (err == NACRE_ERR_BUSY) return false;
        set_waiting(t, client, false);
        if (err == NACRE_OK) continue;
        *event = (nacre_event){ .peer = client->peer };
        return nacre__client_transfer_fail(t, client, event, err);
    }
    return false;
}

/* A context, or with NULL a rederivation, is about to be removed. The endpoint fails exchanges in flight; transfers that wait
 * have no exchange there, so they are marked and fail instead of being sent. */
void nacre__client_transfer_lose(nacre_transfer *t, const nacre_context *context,
                                 const nacre_rederivation *rederivation)
{
    for (uint32_t i = 0; i < t->config.num_client_exchanges; i++) {
        nacre__client_transfer *client = &t->clients[i];
        if (client->waiting &&
            (context != NULL ? client->context == context : client->how.rederivation == rederivation))
            client->is_lost = true;
    }
}

/* Starts again from the first block, as a new body. For a notification only its representation is fetched again; the
 * registration stays. */
bool nacre__client_transfer_restart(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event)
{
    client->state = client->notified ? NACRE__TRANSFER_FETCHING : NACRE__TRANSFER_SENDING;
    client->offset = 0;
    client->received = 0;
    client->in_blocks = false;
    client->response_szx = client->early ? client->max_szx : NACRE__MAX_SZX;
    return nacre__client_transfer_sent(t, client, event, nacre__client_transfer_send(t, client));
}

/* ---- Calls of the application -------------------------------------------------------------------------------------- */

static nacre_err check_options(nacre_bytes options)
{
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number == NACRE_OPT_BLOCK1 || option.number == NACRE_OPT_BLOCK2 ||
            option.number == NACRE_OPT_REQUEST_TAG)
            return NACRE_ERR_BAD_ARGUMENT;
    return nacre_option_bad(&it) ? NACRE_ERR_BAD_ARGUMENT : NACRE_OK;
}

static nacre_err set_up(nacre_transfer *t, nacre__client_transfer *client, const nacre_message *plain,
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
    client->type = plain->type;
    client->code = plain->code;
    client->options_len = plain->options.len;
    if (plain->options.len > 0) memcpy(client->options, plain->options.ptr, plain->options.len);
    client->payload = plain->payload;
    client->source = options->source;
    client->size = options->source.read != NULL ? options->source.size : plain->payload.len;
    client->buf = options->buf;
    client->sink = options->sink;
    client->max_szx = szx < t->max_szx ? szx : t->max_szx;
    client->how = options->request;
    client->early = options->block_size != 0 || t->max_szx < NACRE__MAX_SZX;
    client->szx = client->max_szx;
    client->response_szx = client->early ? client->max_szx : NACRE__MAX_SZX;
    return NACRE_OK;
}

nacre_err nacre_transfer_request(nacre_transfer *t, nacre_transfer_exchange *exchange, const nacre_address *peer,
                                 nacre_context *context, const nacre_message *plain,
                                 const nacre_transfer_options *options, void *user)
{
    nacre__client_transfer *client = free_client(t);
    if (client == NULL) return NACRE_ERR_BUSY;
    nacre__client_transfer fresh = { .generation = client->generation,
                                     .options = client->options,
                                     .first = client->first };
    fresh.peer = *peer;
    fresh.context = context;
    fresh.user = user;
    nacre_err err = set_up(t, &fresh, plain, options);
    if (err != NACRE_OK) return err;
    fresh.state = NACRE__TRANSFER_SENDING;
    *client = fresh;
    err = nacre__client_transfer_send(t, client);
    if (err != NACRE_OK) {
        client->state = NACRE__TRANSFER_ENDED;
        return err;
    }
    client->exchange = new_exchange(t, client);
    *exchange = client->exchange;
    return NACRE_OK;
}

static nacre__client_transfer *find(nacre_transfer *t, nacre_transfer_exchange exchange)
{
    const uint32_t index = exchange.number & ((UINT32_C(1) << t->index_bits) - 1);
    if (exchange.number == 0 || index >= t->config.num_client_exchanges) return NULL;
    nacre__client_transfer *client = &t->clients[index];
    return client->exchange.number == exchange.number && is_open(client) ? client : NULL;
}

void nacre_transfer_give_up(nacre_transfer *t, nacre_transfer_exchange exchange)
{
    const nacre__client_transfer *client = find(t, exchange);
    if (client != NULL && client->current != 0) nacre_endpoint_give_up(t->ep, client->current);
}

void nacre_transfer_cancel(nacre_transfer *t, nacre_transfer_exchange exchange)
{
    nacre__client_transfer *client = find(t, exchange);
    if (client == NULL) return;
    stop(t, client);
    if (client->observation != 0) nacre_endpoint_cancel(t->ep, client->observation);
    client->state = NACRE__TRANSFER_ENDED;
}

static bool asks_to_observe(const nacre__client_transfer *client)
{
    uint64_t observe = 1;
    const nacre_bytes option =
        nacre_option_find(nacre_bytes_of(client->options, client->options_len), NACRE_OPT_OBSERVE);
    return !nacre_is_absent(option) && nacre_option_uint(option, &observe) && observe == 0;
}

/* The response had no Observe and its blocks are being fetched: the transfer ends by itself. */
static bool is_left_already(const nacre__client_transfer *client)
{
    return client->state == NACRE__TRANSFER_FETCHING && client->observation == 0 && asks_to_observe(client);
}

/* The registration waits and was not sent: removes Observe from it, so that the server never registers it. */
static nacre_err leave_before_it_goes(nacre_transfer *t, nacre__client_transfer *client)
{
    nacre_bytes out;
    nacre_options o;
    if (!asks_to_observe(client)) return NACRE_ERR_BAD_ARGUMENT;
    nacre_options_init(&o, (nacre_buf){ t->options, t->max_message });
    nacre__copy_options(&o, nacre_bytes_of(client->options, client->options_len), NACRE_OPT_OBSERVE);
    const nacre_err err = nacre_options_finish(&o, &out);
    if (err != NACRE_OK) return err; /* cannot happen: the options only shrink */
    memcpy(client->options, out.ptr, out.len);
    client->options_len = out.len;
    return NACRE_OK;
}

nacre_err nacre_transfer_unobserve(nacre_transfer *t, nacre_transfer_exchange exchange)
{
    nacre__client_transfer *client = find(t, exchange);
    if (client == NULL) return NACRE_ERR_STALE;
    if (is_left_already(client)) return NACRE_OK;
    if (client->waiting && client->observation == 0) return leave_before_it_goes(t, client);
    const nacre_exchange registration = client->observation != 0 ? client->observation : client->current;
    const nacre_err err = nacre_endpoint_unobserve(t->ep, registration);
    if (err != NACRE_OK || client->observation == 0) return err;
    stop(t, client);
    client->state = NACRE__TRANSFER_OBSERVING;
    client->notified = false;
    t->queued = true;
    return NACRE_OK;
}

/* ---- Responses while the request is sent --------------------------------------------------------------------------- */

/* RFC 7959 2.9.3: 4.13 with a smaller size in Block1 asks for that size. */
static bool is_smaller_wanted(const nacre__client_transfer *client, uint8_t code, bool has_block, nacre__block block)
{
    if (code != NACRE_TOO_LARGE || !has_block) return false;
    return block.szx < client->szx && client->len > nacre__block_size(block.szx);
}

/* A response to a block that is not the last. */
static bool take_continue(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event, bool has_block,
                          nacre__block block)
{
    const uint64_t num = client->offset >> (client->szx + 4);
    if (event->message.code >> 5 != 2) return nacre__block2_client_take(t, client, event); /* final */
    /* RFC 7959 2.3: 2.31, or a response to this block alone. Without Block1 the peer did not treat it as a block */
    if (!has_block || block.num != num || block.szx > client->szx)
        return nacre__client_transfer_fail(t, client, event, NACRE_ERR_BLOCKS);
    client->offset += client->len;
    client->szx = block.szx;
    return nacre__client_transfer_sent(t, client, event, nacre__client_transfer_send(t, client));
}

static bool take_response(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event)
{
    const uint8_t code = event->message.code;
    bool has_block;
    nacre__block block = { 0 };
    if (!nacre__find_block(event->message.options, NACRE_OPT_BLOCK1, &has_block, &block))
        return nacre__client_transfer_fail(t, client, event, NACRE_ERR_BLOCKS);
    if (is_smaller_wanted(client, code, has_block, block)) {
        client->szx = block.szx;
        return nacre__client_transfer_restart(t, client, event);
    }
    if (!client->in_blocks) {
        if (code == NACRE_CONTINUE) return nacre__client_transfer_fail(t, client, event, NACRE_ERR_BLOCKS);
        return nacre__block2_client_take(t, client, event);
    }
    if (code == NACRE_INCOMPLETE && !client->restarted) { /* RFC 7959 2.9.2 */
        client->restarted = true;
        return nacre__client_transfer_restart(t, client, event);
    }
    if (client->more) return take_continue(t, client, event, has_block, block);
    const bool wrong = has_block && block.num != client->offset >> (client->szx + 4) && code >> 5 == 2;
    if (code == NACRE_CONTINUE || wrong) return nacre__client_transfer_fail(t, client, event, NACRE_ERR_BLOCKS);
    return nacre__block2_client_take(t, client, event);
}

/* RFC 7959 3.4, RFC 7641 3.4: a newer representation replaces the one being fetched. */
static bool take_notification(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event)
{
    client->observation = event->exchange;
    stop(t, client);
    client->state = NACRE__TRANSFER_OBSERVING;
    client->notified = true;
    client->restarted = false;
    client->received = 0;
    client->response_szx = client->early ? client->max_szx : NACRE__MAX_SZX;
    return nacre__block2_client_take(t, client, event);
}

/* The registration's final response, or its failure. */
static void end_observation(nacre_transfer *t, nacre__client_transfer *client)
{
    stop(t, client);
    client->observation = 0;
    client->notified = false;
    client->state = NACRE__TRANSFER_SENDING;
    client->received = 0;
}

/* The transfer that owns the event's exchange. NULL: a request or ping that the application gave to the endpoint directly. */
static nacre__client_transfer *client_of(const nacre_transfer *t, const nacre_event *event)
{
    const uintptr_t at = (uintptr_t)event->user, first = (uintptr_t)t->clients;
    return at >= first && at - first < t->config.num_client_exchanges * sizeof *t->clients ? event->user : NULL;
}

bool nacre__client_transfer_event(nacre_transfer *t, nacre_event *event)
{
    nacre__client_transfer *client = client_of(t, event);
    if (client == NULL) return true;
    if (event->kind == NACRE_EVENT_OVERSIZED) { /* the transfer continues */
        name(client, event);
        return true;
    }
    if (event->kind == NACRE_EVENT_NOTIFICATION) return take_notification(t, client, event);
    if (client->observation != 0 && client->observation == event->exchange) end_observation(t, client);
    client->current = 0;
    if (event->kind == NACRE_EVENT_FAILED) return nacre__client_transfer_end(t, client, event);
    if (client->state == NACRE__TRANSFER_FETCHING) return nacre__block2_client_take(t, client, event);
    return take_response(t, client, event);
}
