/* SPDX-License-Identifier: MIT */
/* oversized: requests longer than the driver's buffer or max_message. Responses are in client_response.c. */
#include "endpoint/exchange/server_exchange.h"
#include "coap/block.h"

/* Bytes of payload that fit after the same options, up to max_message. If the options are truncated, a block's size. */
static size_t payload_taken(const nacre__server_exchanges *x, const nacre__received *received)
{
    enum { HEADROOM = 64 };
    const size_t max = x->core->config.max_message;
    if (nacre_is_absent(received->outer.payload)) return max > HEADROOM ? max - HEADROOM : 0;
    const size_t at = (size_t)(received->outer.payload.ptr - received->datagram->bytes.ptr);
    return max > at ? max - at : 0;
}

static uint8_t szx_for(size_t len)
{
    uint8_t szx = 0;
    while (szx < NACRE__MAX_SZX && nacre__block_size(szx + 1) <= len) szx++;
    return szx;
}

/* RFC 7959 2.9.3: a smaller SZX in a Block1 with the number of the request's suggests blocks of that size. Without Block1 in
 * the request 4.13 alone suggests blocks. */
static void add_block1(nacre_options *o, const nacre__received *received, size_t taken)
{
    nacre__block block;
    const nacre_bytes value = nacre_option_find(received->outer.options, NACRE_OPT_BLOCK1);
    if (nacre_is_absent(value) || !nacre__block_read(&block, value) || szx_for(taken) >= block.szx) return;
    block.szx = szx_for(taken);
    nacre_options_add_uint(o, NACRE_OPT_BLOCK1, nacre__block_value(block));
}

/* RFC 7252 5.9.2.9, RFC 7959 4: 4.13 with Size1, to a NON too, because it is much shorter than the request. */
void nacre__oversized_request(nacre__server_exchanges *x, nacre__server_exchange *exchange,
                              const nacre__received *received)
{
    uint8_t buf[24];
    nacre_options o;
    nacre_message response = { .code = NACRE_TOO_LARGE };
    const size_t taken = payload_taken(x, received);
    NACRE__COUNT(x->core, oversized);
    if (!nacre__oversized_take(x->rate_limits, &exchange->record->peer)) {
        nacre__count_dropped(x->core, NACRE_DROPPED_OVERSIZED_RATE);
        nacre__server_exchange_release(x, exchange);
        return;
    }
    nacre_options_init(&o, NACRE_BUF(buf));
    add_block1(&o, received, taken);
    nacre_options_add_uint(&o, NACRE_OPT_SIZE1, taken);
    if (nacre_options_finish(&o, &response.options) != NACRE_OK) response.options = NACRE_ABSENT;
    response.token = received->outer.token;
    if (nacre_message_size(&response) > x->core->config.max_message) response.options = NACRE_ABSENT;
    if (nacre_message_size(&response) > x->core->config.max_message) { /* an extended token: RFC 8974 2.2.2 */
        if (exchange->record->type == NACRE_CON)
            nacre__send_empty(x->empty, &exchange->record->peer, NACRE_RST, exchange->record->mid);
        nacre__server_exchange_release(x, exchange);
        return;
    }
    nacre__response_unprotected(x, exchange, &response, received->outer.token);
}
