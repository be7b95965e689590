/* SPDX-License-Identifier: MIT */
/* client_response: what comes back to our requests, and which of it ends an exchange. An answer belongs to the exchange whose
 * token it carries:
 *
 *     request    answer                                  exchange
 *     protected  verifies                                ends: RESPONSE (or is repeated once, 4.01 with Echo)
 *     protected  does not verify                         goes on; a timeout later says PROTECTION_INVALID
 *     protected  plain 4.00 4.01 4.02 4.05 4.13 5.03     ends: FAILED, UNAUTHENTICATED, with what came; or waits
 *     protected  plain, from a proxy also 4.04 5.02      the same
 *                5.04 5.05
 *     protected  plain, any other                        ends: FAILED, NOT_PROTECTED, with what came; or waits
 *     protected  oversized: cut, nothing to verify       goes on, with an OVERSIZED event; a timeout later says OVERSIZED
 *     plain      plain                                   ends: RESPONSE (or is repeated once, 4.01 with Echo)
 *     plain      oversized                               ends: FAILED, OVERSIZED; a notification of an observation that
 *                                                        has begun is told as OVERSIZED, and it goes on
 *     plain      with an OSCORE option                   goes on; a timeout later says PROTECTION_INVALID
 *
 * What becomes of an observation is in observing.c.
 *
 * Plain answers wait when the request was acknowledged or was transmitted more than once: a peer without deduplication
 * takes a copy for a replay and says so in clear, while the real answer is on its way. The last one is kept as a hint, and
 * is told when the time is up and nothing has verified.
 *
 * A RST ends a plain exchange. A protected one goes on, because a RST carries nothing but our MID, which an attacker off the
 * path can guess in 65536 tries; RESET is what is said when nothing better came. An empty ACK carries no more, and ends the
 * retransmissions (RFC 7252 4.2): a forged one costs the retransmissions of that exchange, which then ends by its time;
 * message IDs that cannot be predicted (mids.c) are what stands against it. */
#include "endpoint/exchange/client_exchange.h"
#include "coap/option_check.h"
#include "endpoint/message/nstart.h"

#include <string.h>

/* The peer has the request: no more retransmissions, and the answer has its own time (RFC 7252 5.2.2). */
void nacre__client_exchange_acknowledged(nacre__exchanges *x, nacre__client_exchange *exchange, uint64_t now_ms)
{
    if (exchange->state == NACRE__CLIENT_OBSERVING && exchange->observation.due == NACRE__DUE_IN_ACK)
        exchange->observation.due = NACRE__DUE_SEPARATE; /* the answer to the registration may still come */
    if (!nacre__client_exchange_is_sent(exchange) || exchange->t->type != NACRE_CON) return;
    if (exchange->is_ping) { /* a RST is what RFC 7252 4.3 asks for, but this too shows that the peer is there */
        nacre__client_exchange_end(x, exchange, NACRE_OK, NULL);
        return;
    }
    nacre__nstart_leave(x->tx, exchange->t);
    nacre__client_exchange_pause(x, exchange);
    exchange->state = NACRE__CLIENT_ACKED;
    exchange->hints_wait = true;
    nacre__transmission_set_due(x->tx, exchange->t, nacre__after(now_ms, x->core->config.timing.response_timeout_ms));
}

void nacre__client_exchange_reset(nacre__exchanges *x, nacre__client_exchange *exchange)
{
    if (!nacre__client_exchange_waits(exchange)) return;
    if (exchange->is_ping) nacre__client_exchange_end(x, exchange, NACRE_OK, NULL);
    else if (exchange->context == NULL) nacre__client_exchange_end(x, exchange, NACRE_ERR_RESET, NULL);
    else if (exchange->last_reject == NACRE_OK) exchange->last_reject = NACRE_ERR_RESET;
}

static bool has_hint(const nacre__client_exchange *exchange)
{
    return exchange->last_reject == NACRE_ERR_UNAUTHENTICATED || exchange->last_reject == NACRE_ERR_NOT_PROTECTED;
}

void nacre__client_exchange_dropped(nacre__exchanges *x, nacre__client_exchange *exchange,
                                    const nacre__received *received, nacre_err err, uint64_t now_ms)
{
    x->core->stats.unprotect_failures++;
    if (!nacre__client_exchange_waits(exchange)) return;
    if (!has_hint(exchange)) exchange->last_reject = err;
    if (received->outer.type == NACRE_ACK) nacre__client_exchange_acknowledged(x, exchange, now_ms);
}

/* What servers say that cannot or will not unprotect: an unauthenticated hint (RFC 8613 8.2, D.5.3). 4.05 comes
 * from those that see a POST where OSCORE is not known. */
static bool is_plain_refusal(const nacre__client_exchange *exchange, uint8_t code)
{
    if (code == NACRE_BAD_REQUEST || code == NACRE_UNAUTHORIZED || code == NACRE_BAD_OPTION ||
        code == NACRE_METHOD_NOT_ALLOWED || code == NACRE_TOO_LARGE || code == NACRE_UNAVAILABLE)
        return true; /* 4.13: of what the server's buffer has the start of only */
    if (exchange->outer != NACRE__NONE && code == NACRE_INCOMPLETE) return true; /* the rest of its blocks is lost */
    return exchange->via_proxy && (code == NACRE_NOT_FOUND || code == NACRE_BAD_GATEWAY ||
                                   code == NACRE_GATEWAY_TIMEOUT || code == NACRE_PROXYING_NOT_SUPPORTED);
}

static bool is_understood(const nacre_message *response)
{
    uint16_t last = 0;
    nacre_option_iter it = nacre_option_begin(response->options);
    for (nacre_option option; nacre_option_next(&it, &option); last = option.number)
        if (nacre__option_is_foreign(&option, option.number == last)) return false;
    return true;
}

/* RFC 7252 5.4.1: an answer with a critical option that is not understood is rejected: a NON is ignored, and the exchange goes
 * on; a CON gets a RST in place of its ACK, and what it answers ends, as with a piggybacked one. */
bool nacre__client_exchange_rejects(nacre__exchanges *x, nacre__client_exchange *exchange,
                                    const nacre__received *received, const nacre_message *response)
{
    enum { ACK_TO_RST = (NACRE_ACK ^ NACRE_RST) << 4 };
    if (is_understood(response)) return false;
    if (received->outer.type == NACRE_NON && !nacre_address_is_reliable(&exchange->peer)) {
        x->core->stats.dropped++;
        if (nacre__client_exchange_waits(exchange)) exchange->last_reject = NACRE_ERR_CRITICAL_OPTION;
        return true;
    }
    if (received->ack != 0) x->servers[received->ack - 1].record->bytes[0] ^= ACK_TO_RST; /* for its duplicates too */
    x->core->stats.responses++;
    nacre__client_exchange_end(x, exchange, NACRE_ERR_CRITICAL_OPTION, response);
    return true;
}

bool nacre__client_exchange_request_has(const nacre__client_exchange *exchange, uint16_t number)
{
    nacre_message plain;
    if (nacre_message_parse(&plain, nacre_bytes_of(exchange->plain, exchange->plain_len)) != NACRE_OK) return false;
    return nacre__has_option(plain.options, number);
}

static bool has_challenge(const nacre_message *response, nacre_bytes *echo)
{
    *echo = nacre_option_find(response->options, NACRE_OPT_ECHO);
    return response->code == NACRE_UNAUTHORIZED && echo->len >= 1 && echo->len <= NACRE__MAX_ECHO;
}

/* Whether the answer asks for the request again, with Echo, and it was not repeated yet. */
bool nacre__client_exchange_is_challenged(const nacre__client_exchange *exchange, const nacre_message *response)
{
    nacre_bytes echo;
    return has_challenge(response, &echo) && !exchange->repeated;
}

/* RFC 8613 B.1.2, RFC 9175 2.3: a 4.01 with Echo asks for the same request again, with the value. Done once. To a protected
 * request it must have verified. */
bool nacre__client_exchange_repeats(nacre__exchanges *x, nacre__client_exchange *exchange,
                                    const nacre_message *response)
{
    nacre_bytes echo;
    if (!has_challenge(response, &echo)) return false;
    if (exchange->repeated)
        return !nacre__client_exchange_waits(exchange) &&
               exchange->state != NACRE__CLIENT_OBSERVING; /* doubled, before it goes again */
    if (exchange->context == NULL && x->core->config.opaque_oscore)
        return false; /* a proxy's client is the one to answer it */
    if (nacre__client_exchange_set_option(x, exchange, NACRE_OPT_ECHO, echo) != NACRE_OK) return false;
    exchange->repeated = true;
    if (!exchange->observation.begun) {
        nacre__client_exchange_again(x, exchange);
        return true;
    }
    exchange->last_reject = NACRE_OK;
    nacre__client_exchange_pause(x, exchange);
    nacre__client_exchange_queue(x, exchange);
    return true;
}

/* RFC 8613 8.4 step 2, and section 2: without protection it is no answer. It is kept for the end of the exchange; a payload
 * with a Content-Format is no diagnostic text (RFC 7252 5.5.2). */
static void keep_hint(nacre__exchanges *x, nacre__client_exchange *exchange, const nacre__received *received,
                      nacre_err err, uint64_t now_ms)
{
    const nacre_message *m = &received->outer;
    const bool is_text = m->payload.len > 0 && !nacre__has_option(m->options, NACRE_OPT_CONTENT_FORMAT);
    x->core->stats.unprotect_failures++;
    if (exchange->last_reject != NACRE_ERR_TOO_LONG) exchange->last_reject = err;
    exchange->hint.code = m->code;
    exchange->hint.len = !is_text ? 0 : (uint8_t)(m->payload.len < NACRE__MAX_HINT ? m->payload.len : NACRE__MAX_HINT);
    if (exchange->hint.len > 0) memcpy(exchange->hint.text, m->payload.ptr, exchange->hint.len);
    if (m->type == NACRE_ACK) nacre__client_exchange_acknowledged(x, exchange, now_ms);
}

/* An unprotected answer to a protected request that waits: a hint, or its end. */
void nacre__client_exchange_unprotected(nacre__exchanges *x, nacre__client_exchange *exchange,
                                        const nacre__received *received, uint64_t now_ms)
{
    const nacre_message *response = &received->outer;
    const nacre_err err =
        is_plain_refusal(exchange, response->code) ? NACRE_ERR_UNAUTHENTICATED : NACRE_ERR_NOT_PROTECTED;
    if (exchange->hints_wait) keep_hint(x, exchange, received, err, now_ms);
    else nacre__client_exchange_end(x, exchange, err, response);
}
