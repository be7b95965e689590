/* SPDX-License-Identifier: MIT */
/* client_calls: client requests: begun, cancelled, given up, and observations that are left. */
#include "transfer_internal.h"

#include <string.h>

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
    if (++client->generation == 0) client->generation = 1;
    return (nacre_transfer_exchange){ (uint64_t)client->generation << 32 | index_of(t, client) };
}

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
    const uint32_t index = (uint32_t)exchange.number;
    if (nacre_transfer_exchange_is_none(exchange) || index >= t->config.num_client_exchanges) return NULL;
    nacre__client_transfer *client = &t->clients[index];
    return nacre_transfer_exchange_equal(client->exchange, exchange) && is_open(client) ? client : NULL;
}

void nacre_transfer_give_up(nacre_transfer *t, nacre_transfer_exchange exchange)
{
    const nacre__client_transfer *client = find(t, exchange);
    if (client != NULL && !nacre_exchange_is_none(client->current)) nacre_endpoint_give_up(t->ep, client->current);
}

void nacre_transfer_cancel(nacre_transfer *t, nacre_transfer_exchange exchange)
{
    nacre__client_transfer *client = find(t, exchange);
    if (client == NULL) return;
    nacre__client_transfer_stop(t, client);
    if (!nacre_exchange_is_none(client->observation)) nacre_endpoint_cancel(t->ep, client->observation);
    client->state = NACRE__TRANSFER_ENDED;
}

static bool is_registration(const nacre__client_transfer *client)
{
    uint64_t observe = 1;
    const nacre_bytes option =
        nacre_option_find(nacre_bytes_of(client->options, client->options_len), NACRE_OPT_OBSERVE);
    return !nacre_is_absent(option) && nacre_option_uint(option, &observe) && observe == 0;
}

/* The response had no Observe and its blocks are being fetched: the transfer ends by itself. */
static bool is_left_already(const nacre__client_transfer *client)
{
    return client->state == NACRE__TRANSFER_FETCHING && nacre_exchange_is_none(client->observation) &&
           is_registration(client);
}

/* The registration waits and was not sent: removes Observe from it, so that the server never registers it. */
static nacre_err leave_before_it_goes(nacre_transfer *t, nacre__client_transfer *client)
{
    nacre_bytes out;
    nacre_options o;
    if (!is_registration(client)) return NACRE_ERR_BAD_ARGUMENT;
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
    if (client->waiting && nacre_exchange_is_none(client->observation)) return leave_before_it_goes(t, client);
    const nacre_exchange registration =
        !nacre_exchange_is_none(client->observation) ? client->observation : client->current;
    const nacre_err err = nacre_endpoint_unobserve(t->ep, registration);
    if (err != NACRE_OK || nacre_exchange_is_none(client->observation)) return err;
    nacre__client_transfer_stop(t, client);
    client->state = NACRE__TRANSFER_OBSERVING;
    client->notified = false;
    t->queued = true;
    return NACRE_OK;
}
