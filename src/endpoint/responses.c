/* SPDX-License-Identifier: MIT */
/* responses: passes a response through the layers: rederivation, observation, exchange. */
#include "endpoint/endpoint_struct.h"

/* RFC 8613 B.1.2: a server that sends an Echo challenge may have lost its observers too. */
static bool repeats(nacre_endpoint *ep, nacre__client_exchange *exchange, const nacre_message *response,
                    uint64_t now_ms)
{
    if (nacre__client_exchange_is_challenged(exchange, response) && exchange->context != NULL)
        nacre__observations_challenged(&ep->client_exchanges, exchange, now_ms);
    return nacre__client_exchange_repeats(&ep->client_exchanges, exchange, response);
}

static void responded(nacre_endpoint *ep, nacre__client_exchange *exchange, const nacre__received *received,
                      const nacre_message *response, uint64_t now_ms)
{
    if (nacre__observation_ignores(exchange, received)) {
        nacre__count_dropped(&ep->core, NACRE_DROPPED_STALE);
        return;
    }
    if (nacre__client_exchange_rejects(&ep->client_exchanges, exchange, received, response) ||
        repeats(ep, exchange, response, now_ms))
        return;
    nacre__client_exchange_keep_echo(&ep->client_exchanges, exchange, response);
    if (nacre__observation_takes(&ep->client_exchanges, exchange, received, response, now_ms)) return;
    NACRE__COUNT(&ep->core, responses);
    nacre__client_exchange_end(&ep->client_exchanges, exchange, NACRE_OK, response);
}

static void verified_response(nacre_endpoint *ep, nacre__client_exchange *exchange, const nacre__received *received,
                              uint64_t now_ms)
{
    nacre__client_exchange_keep_outer_echo(&ep->client_exchanges, exchange, &received->outer);
    /* RFC 8613 8.4.2: a notification to a request without Observe */
    if (nacre__has_option(received->plain.options, NACRE_OPT_OBSERVE) &&
        !nacre__client_exchange_request_has(exchange, NACRE_OPT_OBSERVE))
        nacre__client_exchange_dropped(&ep->client_exchanges, exchange, received, NACRE_ERR_PROTECTION_INVALID, now_ms);
    else if (received->is_old && !exchange->observation.changing)
        nacre__count_dropped(&ep->core, NACRE_DROPPED_STALE); /* the new registration was answered in this burst */
    else if (!nacre__rederivation_verified(&ep->rederive, exchange))
        nacre__client_exchange_dropped(&ep->client_exchanges, exchange, received, NACRE_ERR_PROTECTION_INVALID, now_ms);
    else responded(ep, exchange, received, &received->plain, now_ms);
}

static void plain_response(nacre_endpoint *ep, nacre__client_exchange *exchange, const nacre__received *received,
                           uint64_t now_ms)
{
    const nacre_message *response = &received->outer;
    if (exchange->context == NULL) {
        responded(ep, exchange, received, response, now_ms);
        return;
    }
    nacre__client_exchange_keep_outer_echo(&ep->client_exchanges, exchange, response);
    if (!nacre__client_exchange_waits(exchange)) {
        /* RFC 8613 8.4.2: neither a notification nor the end of the observation */
        nacre__client_exchange_dropped(&ep->client_exchanges, exchange, received, NACRE_ERR_NOT_PROTECTED, now_ms);
    } else {
        nacre__client_exchange_unprotected(&ep->client_exchanges, exchange, received, now_ms);
    }
}

/* Takes a response with the exchange's token; `received` has the result of verification. */
void nacre__client_exchange_responded(nacre_endpoint *ep, nacre__client_exchange *exchange,
                                      const nacre__received *received, uint64_t now_ms)
{
    const bool has_oscore = nacre__received_has(received, NACRE_OPT_OSCORE);
    if (!has_oscore || (exchange->context == NULL && ep->core.config.opaque_oscore))
        plain_response(ep, exchange, received, now_ms);
    else if (exchange->context == NULL)
        nacre__client_exchange_dropped(&ep->client_exchanges, exchange, received, NACRE_ERR_PROTECTION_INVALID, now_ms);
    else if (received->err == NACRE_OK) verified_response(ep, exchange, received, now_ms);
    else if (nacre__rederivation_response(&ep->rederive, exchange, received)) return;
    else nacre__client_exchange_dropped(&ep->client_exchanges, exchange, received, received->err, now_ms);
}

/* Takes the start of an oversized response with the exchange's token. It cannot be verified. */
void nacre__client_exchange_oversized(nacre_endpoint *ep, nacre__client_exchange *exchange,
                                      const nacre__received *received, uint64_t now_ms)
{
    const bool is_protected = exchange->context != NULL || exchange->rederivation != NULL;
    if (nacre__observation_ignores(exchange, received)) {
        nacre__count_dropped(&ep->core, NACRE_DROPPED_STALE);
        return;
    }
    NACRE__COUNT(&ep->core, oversized);
    exchange->oversized = received->oversized;
    if (!is_protected && !nacre__observation_survives(&ep->client_exchanges, exchange, received, now_ms)) {
        nacre__client_exchange_end(&ep->client_exchanges, exchange, NACRE_ERR_OVERSIZED, NULL);
        return;
    }
    ep->client_exchanges.notes[ep->client_exchanges.num_notes++] =
        (nacre__note){ .number = exchange->number, .index = received->index, .oversized = received->oversized };
    if (is_protected)
        nacre__client_exchange_dropped(&ep->client_exchanges, exchange, received, NACRE_ERR_OVERSIZED, now_ms);
}
