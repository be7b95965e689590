/* SPDX-License-Identifier: MIT */
/* server_refusal: received requests that are refused with an unprotected error response, or with silence. */
#include "endpoint/exchange/server_exchange.h"

#include <string.h>

static bool has_diagnostic(nacre_err err)
{
    return err == NACRE_ERR_DECODE || err == NACRE_ERR_NO_CONTEXT || err == NACRE_ERR_REPLAY ||
           err == NACRE_ERR_PROTECTION_INVALID;
}

static nacre_bytes text_of(nacre_err err)
{
    if (!has_diagnostic(err)) return NACRE_ABSENT;
    const char *text = nacre_err_text(err);
    return nacre_bytes_of((const uint8_t *)text, strlen(text));
}

/* RFC 8613 8.2, B.2: codes allowed unprotected in response to a protected request. Other errors are not reported. */
static bool is_unprotected_response(uint8_t code)
{
    return code == NACRE_BAD_REQUEST || code == NACRE_UNAUTHORIZED || code == NACRE_BAD_OPTION ||
           code == NACRE_UNAVAILABLE;
}

/* RFC 8613 8.2, 7.4: an unprotected error response to a CON and over a connection; silence to a NON, which expects none and
 * whose address may be forged. */
void nacre__response_refuse(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_err err,
                            nacre_bytes token)
{
    static const uint8_t max_age_0[] = { 0xd0, NACRE_OPT_MAX_AGE - 13 }; /* an empty uint */
    const bool unverified = exchange->state == NACRE__SERVER_NEW || exchange->state == NACRE__SERVER_PENDING;
    const uint8_t code = nacre_err_coap_code(err);
    nacre_message response = {
        .code = code != 0 ? code : NACRE_SERVER_ERROR,
        .options = err == NACRE_ERR_REPLAY ? NACRE_ARRAY(max_age_0) : NACRE_ABSENT,
        .payload = text_of(err),
    };
    nacre_bytes out = NACRE_ABSENT;
    if (!is_unprotected_response(response.code)) {
        nacre__response_empty(x, exchange);
        return;
    }
    if (exchange->record->type != NACRE_CON && !nacre_address_is_reliable(&exchange->record->peer)) {
        nacre__server_exchange_leave_buffers(x, exchange);
        nacre__server_exchange_release(x,
                                       exchange); /* keeps no record, since a duplicate would be refused just as well */
        return;
    }
    nacre__response_header(x, exchange, &response, token);
    if (nacre_message_write(&response, &out, nacre__response_buf(x, exchange)) != NACRE_OK) {
        /* RFC 8974 2.2.2: a token that nearly fills the message is returned with the code alone, which fits */
        response.options = response.payload = NACRE_ABSENT;
        if (nacre_message_write(&response, &out, nacre__response_buf(x, exchange)) != NACRE_OK) out.len = 0;
    }
    nacre__count_responded(x->core, response.code);
    nacre__server_exchange_leave_buffers(x, exchange);
    nacre__response_finish(x, exchange, out.len, unverified);
}

static nacre_bytes token_of(const nacre__server_exchanges *x, const nacre__server_exchange *exchange)
{
    nacre_message request;
    if (exchange->state == NACRE__SERVER_WAITING) {
        /* the token is in the plain response in its bytes, which the refusal overwrites */
        if (nacre_message_parse(&request, nacre_bytes_of(exchange->record->bytes, exchange->record->response_len)) !=
            NACRE_OK)
            return NACRE_ABSENT;
        memcpy(x->core->scratch, request.token.ptr, request.token.len);
        return nacre_bytes_of(x->core->scratch, request.token.len);
    }
    if (exchange->state == NACRE__SERVER_PENDING) {
        const nacre__pending_request *pending = &x->pending[exchange->pending];
        if (nacre_message_parse(&request, nacre_bytes_of(pending->bytes, pending->len)) != NACRE_OK)
            return NACRE_ABSENT;
        return request.token;
    }
    return exchange->message.token;
}

/* The store failed, or the context is removed: ends the exchange; a later respond returns NACRE_ERR_STALE. */
void nacre__response_withdraw(nacre__server_exchanges *x, nacre__server_exchange *exchange, nacre_err err)
{
    if (exchange->state == NACRE__SERVER_READY)
        nacre__queue_remove(x->events, NACRE__OF_SERVER_EXCHANGE, nacre__server_exchange_index(x, exchange));
    nacre__response_end_observer(x, exchange, err);
    if (exchange->acked) { /* nothing is sent: the client expects a response that verifies, or none */
        nacre__response_known_only(x, exchange);
        return;
    }
    nacre__response_refuse(x, exchange, err, token_of(x, exchange));
}
