/* SPDX-License-Identifier: MIT */
/* transmit: writes messages into the caller's buffers; requests are protected here when first transmitted. */
#include "endpoint/endpoint_struct.h"

#include <string.h>

static void copy_out(nacre_outgoing *out, const nacre_address *peer, const uint8_t *bytes, size_t len)
{
    memcpy(out->buf.ptr, bytes, len);
    out->peer = *peer;
    out->bytes = nacre_bytes_of(out->buf.ptr, len);
}

static bool token_in_use(const nacre_endpoint *ep, uint64_t token)
{
    for (uint32_t i = 0; i < ep->core.config.num_client_exchanges; i++)
        if (ep->client_exchanges.tokens[i] == token) return true;
    return false;
}

/* RFC 7252 5.3.1: random, so that only a peer that saw the request can answer it. */
static uint64_t new_token(nacre_endpoint *ep)
{
    uint64_t token;
    do {
        token = nacre__core_random(&ep->core);
    } while (token_in_use(ep, token) || token == 0);
    return token;
}

static nacre_err write_request(nacre_endpoint *ep, nacre__client_exchange *exchange, nacre_bytes *out, nacre_buf buf,
                               const nacre_message *plain)
{
    if (exchange->context == NULL) return nacre_message_write(plain, out, buf);
    nacre_request_id id;
    nacre_protect_options how;
    nacre__context_lock(&ep->core, exchange->context);
    const nacre_err err = nacre_protect_request(exchange->context, &ep->core.config.crypto, &id, out, buf, plain,
                                                nacre__rederivation_how(exchange, &how));
    nacre__context_unlock(&ep->core, exchange->context);
    if (err != NACRE_OK) return err == NACRE_ERR_BUFFER_TOO_SMALL ? NACRE_ERR_TOO_LONG : err;
    nacre__client_exchange_bring_outer_echo(&ep->client_exchanges, exchange, out, buf);
    nacre__observation_sent(exchange);
    exchange->id = id;
    nacre__request_persist_early(&ep->persist_waits, exchange->context);
    return NACRE_OK;
}

/* The first transmission of a request, its repetition with Echo, or a new (de)registration. False: nothing to send. */
static bool transmit_new(nacre_endpoint *ep, nacre__client_exchange *exchange, nacre_outgoing *out, uint64_t now_ms)
{
    uint64_t token = ep->client_exchanges.tokens[nacre__client_exchange_index(
        &ep->client_exchanges, exchange)]; /* RFC 7641 3.3.1, 3.6: an observation keeps its token */
    nacre_message plain;
    const bool is_next = exchange->outer != NACRE__NONE; /* the request for the next block of a response */
    if (!nacre__nstart_enter(&ep->tx, exchange->t, now_ms) ||
        (!is_next && !nacre__rederivation_choose(&ep->rederive, exchange)))
        return false;
    if (token == 0) token = new_token(ep);
    if (!is_next) nacre__client_exchange_bring_echo(&ep->client_exchanges, exchange);
    nacre_err err = nacre_message_parse(&plain, nacre_bytes_of(exchange->plain, exchange->plain_len));
    plain.mid = nacre__new_mid(&ep->tx, &exchange->peer);
    if (!exchange->is_ping) plain.token = nacre_bytes_of((const uint8_t *)&token, sizeof token);
    const nacre_buf buf = { out->buf.ptr,
                            nacre__max_message_to(&ep->core, &exchange->peer) }; /* may have shrunk since the request */
    if (err == NACRE_OK && is_next)
        err = nacre__outer_write_next(&ep->outer, exchange, &out->bytes, buf, plain.mid, plain.token);
    else if (err == NACRE_OK) err = write_request(ep, exchange, &out->bytes, buf, &plain);
    if (err == NACRE_ERR_NOT_YET) { /* requests queued before it took the last numbers */
        nacre__client_exchange_wait_for_store(&ep->client_exchanges, exchange);
        return false;
    }
    if (err != NACRE_OK) {
        nacre__client_exchange_end(&ep->client_exchanges, exchange, err, NULL);
        return false;
    }
    out->peer = exchange->peer;
    if (exchange->context == NULL) nacre__observation_plain(exchange);
    /* a block of the response or a notification has acknowledged the exchange; after a repetition with Echo a response may
     * still answer the first copy */
    if (is_next || exchange->observation.begun) exchange->hints_wait = true;
    else if (ep->client_exchanges.tokens[nacre__client_exchange_index(&ep->client_exchanges, exchange)] == 0 ||
             !exchange->repeated)
        exchange->hints_wait = false;
    nacre__client_exchange_set_token(&ep->client_exchanges, exchange, token);
    if (exchange->t->type == NACRE_CON || exchange->context != NULL)
        memcpy(exchange->t->bytes, out->bytes.ptr, out->bytes.len);
    exchange->t->len = out->bytes.len;
    nacre__transmission_set_mid(&ep->tx, exchange->t, plain.mid);
    if (exchange->t->type == NACRE_NON) nacre__probing_sent(&ep->tx.probing, &exchange->peer, out->bytes.len, now_ms);
    nacre__transmission_sent(&ep->tx, exchange->t, now_ms);
    return true;
}

static bool transmit_request(nacre_endpoint *ep, nacre__client_exchange *exchange, nacre_outgoing *out, uint64_t now_ms)
{
    if (exchange->t->state == NACRE__TRANSMISSION_QUEUED) return transmit_new(ep, exchange, out, now_ms);
    copy_out(out, &exchange->peer, exchange->t->bytes, exchange->t->len); /* RFC 7252 4.2: the same bytes */
    exchange->hints_wait = true;
    nacre__transmission_sent(&ep->tx, exchange->t, now_ms);
    NACRE__COUNT(&ep->core, retransmitted);
    return true;
}

/* In outer blocks, or as it is. */
static void write_response(nacre_endpoint *ep, const nacre_address *peer, nacre__outer_block_request *block_request,
                           nacre_bytes response, nacre_outgoing *out)
{
    if (!nacre__outer_write(&ep->outer, peer, block_request, response, out))
        copy_out(out, peer, response.ptr, response.len);
}

static bool transmit_response(nacre_endpoint *ep, nacre__server_exchange *exchange, nacre_outgoing *out)
{
    const nacre_bytes response = nacre_bytes_of(exchange->record->bytes, exchange->record->response_len);
    exchange->record->in_queue = false;
    if (exchange->record->response_len == 0) return false; /* the cipher failed */
    write_response(ep, &exchange->record->peer, &exchange->block_request, response, out);
    return true;
}

static bool transmit_separate(nacre_endpoint *ep, nacre__separate_response *separate, nacre_outgoing *out,
                              uint64_t now_ms)
{
    const nacre_bytes response = nacre_bytes_of(separate->t->bytes, separate->t->len);
    write_response(ep, &separate->t->peer, &separate->block_request, response, out);
    return nacre__separate_transmit(&ep->server_exchanges, separate, out, now_ms);
}

static bool transmit_one(nacre_endpoint *ep, nacre__ref ref, nacre_outgoing *out, uint64_t now_ms)
{
    if (ref.kind == NACRE__OF_SERVER_EXCHANGE) return transmit_response(ep, &ep->server_exchanges.all[ref.index], out);
    if (ref.index < ep->tx.num_requests) return transmit_request(ep, &ep->client_exchanges.all[ref.index], out, now_ms);
    return transmit_separate(ep, nacre__separate_of(&ep->server_exchanges, &ep->tx.all[ref.index]), out, now_ms);
}

size_t nacre_endpoint_transmit_many(nacre_endpoint *ep, nacre_outgoing *out, size_t num, uint64_t now_ms)
{
    size_t n = 0;
    nacre__ref ref;
    ep->core.now_ms = now_ms;
    nacre__client_exchanges_limit(&ep->client_exchanges, now_ms);
    nacre__protect_batch_flush(&ep->protect_batch);
    while (n < num && out[n].buf.ptr != NULL && out[n].buf.cap >= ep->core.config.max_message) {
        if (nacre__empty_messages_next(&ep->empty, &out[n])) {
            n++;
            continue;
        }
        if (!nacre__transmissions_next(&ep->tx, &ref)) break;
        if (transmit_one(ep, ref, &out[n], now_ms)) n++;
    }
    nacre__counter_add(NACRE__COUNTER(&ep->core, sent), n);
    return n;
}
