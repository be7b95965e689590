/* SPDX-License-Identifier: MIT */
/* allowance: bytes sent to an address that is not validated (RFC 9175 2.4 item 3, RFC 7252 11.3).
 *
 * A response may have three times the bytes of its request, at least 136, over all transmissions; each notification as much
 * as the response to its registration. Longer ones are not sent: the transfer sends a slice that fits (Block2). Without a
 * slice, or if none fits, a safe request gets 4.01 with Echo and is repeated with the value; other methods, and errors, get
 * the code alone, because a request that was carried out must not be repeated. */
#include "coap/block.h"
#include "endpoint/exchange/server_exchange.h"

enum {
    MOST_AROUND = 48, /* header, OSCORE option, Observe, tag, Block1 */
};

/* Upper bound of the size of `response` with that token. */
static size_t size_of(const nacre_context *context, const nacre_message *response, nacre_bytes token)
{
    nacre_message m = *response;
    m.token = token;
    return context != NULL ? nacre_protect_size(context, &m, NULL) : nacre_message_size(&m);
}

static size_t bare_size(const nacre_message *response, nacre_bytes token)
{
    return token.len + response->options.len + response->payload.len + MOST_AROUND;
}

/* Whether `response` is too long for any address. A lower bound, because such a response is not checked against the
 * allowance, and so must certainly be refused later. */
static bool is_too_long(const nacre__server_exchanges *x, const nacre_message *response, nacre_bytes token)
{
    return NACRE__HEADER_LEN + token.len + response->payload.len > x->core->config.max_message;
}

/* Whether `response` and `extra` bytes exceed `allowance`, and `peer` is not validated. */
bool nacre__response_exceeds(const nacre__server_exchanges *x, const nacre_context *context, const nacre_address *peer,
                             const nacre_message *response, nacre_bytes token, size_t allowance, size_t extra)
{
    if (bare_size(response, token) + extra <= allowance || nacre__is_validated(x->validation, peer)) return false;
    return size_of(context, response, token) + extra > allowance && !is_too_long(x, response, token);
}

/* The same for the sender of the request. */
bool nacre__server_exchange_exceeds(const nacre__server_exchanges *x, const nacre__server_exchange *exchange,
                                    const nacre_message *response, size_t extra)
{
    const nacre_bytes token = exchange->message.token;
    size_t allowance = nacre__allowance(exchange->record->datagram_len);
    if (exchange->acked) allowance -= NACRE__HEADER_LEN; /* the ACK counts */
    if (bare_size(response, token) + extra <= allowance) return false;
    extra +=
        nacre__outer_most(&exchange->block_request) + (exchange->observer != NACRE__NONE ? NACRE__OBSERVE_OPTIONS : 0);
    return nacre__response_exceeds(x, exchange->context, &exchange->record->peer, response, token, allowance, extra);
}

/* ---- Slices ----------------------------------------------------------------------------------------------------------
 * A block with more to follow offers an Echo value to an address that is not validated (RFC 9175 2.3 allows it in any
 * response): the request for the next block may return it. */

bool nacre__is_slice(const nacre_message *response)
{
    nacre__block block;
    const nacre_bytes value = nacre_option_find(response->options, NACRE_OPT_BLOCK2);
    return response->code >> 5 == 2 && !nacre_is_absent(value) && nacre__block_read(&block, value) && block.more &&
           !nacre__has_option(response->options, NACRE_OPT_ECHO);
}

bool nacre__server_exchange_offers(const nacre__server_exchanges *x, const nacre__server_exchange *exchange,
                                   const nacre_message *response)
{
    return response->options.len > 0 && nacre__is_slice(response) &&
           !nacre__is_validated(x->validation, &exchange->record->peer) &&
           !nacre__server_exchange_exceeds(x, exchange, response, NACRE__ECHO_OPTION);
}

/* RFC 9175 2.3: a peer that has sent an Echo in this context is challenged instead of getting a slice, but only once: a
 * request with an invalid value gets the slice. */
bool nacre__server_exchange_knows_echo(const nacre__server_exchanges *x, const nacre__server_exchange *exchange)
{
    if (exchange->context == NULL || exchange->has_echo || !nacre_code_is_safe(exchange->method)) return false;
    nacre__context_lock(x->core, exchange->context);
    const bool knows = exchange->context->peer_sent_echo;
    nacre__context_unlock(x->core, exchange->context);
    return knows;
}

/* Reduces `response` to its code, and Block1 if present (RFC 7959 2.5). The option is then in the endpoint's memory. */
nacre_err nacre__response_bare(const nacre__core *core, nacre_message *response)
{
    const nacre_bytes block1 = nacre_option_find(response->options, NACRE_OPT_BLOCK1);
    nacre_options options;
    *response = (nacre_message){ .code = response->code };
    nacre_options_init(&options, (nacre_buf){ core->options, core->config.max_message });
    if (!nacre_is_absent(block1)) nacre_options_add(&options, NACRE_OPT_BLOCK1, block1);
    return nacre_options_finish(&options, &response->options);
}
