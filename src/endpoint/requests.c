/* SPDX-License-Identifier: MIT */
/* requests: the application's calls on requests that it sends. */
#include "endpoint/endpoint_struct.h"

nacre_err nacre_endpoint_request_with(nacre_endpoint *ep, nacre_exchange *handle, const nacre_address *peer,
                                      nacre_context *context, const nacre_message *plain,
                                      const nacre_request_options *options, void *user)
{
    static const nacre_request_options none;
    nacre__client_exchange *exchange;
    if (options == NULL) options = &none;
    if (!nacre__rederivation_may_request(&ep->rederive, options->rederivation, context)) return NACRE_ERR_BAD_ARGUMENT;
    const nacre_err err = nacre__client_exchange_start(&ep->client_exchanges, &exchange, peer, context, plain, user,
                                                       nacre__observation_extra(plain));
    if (err != NACRE_OK) return err;
    exchange->rederivation = options->rederivation;
    if (exchange->rederivation != NULL)
        nacre__client_exchange_set_context(&ep->client_exchanges, exchange,
                                           nacre__rederivation_no_context(exchange->rederivation));
    exchange->via_proxy = options->via_proxy;
    exchange->limit = options->timeout_ms;
    if (exchange->limit != 0) ep->client_exchanges.num_unlimited++;
    nacre__observation_init(exchange, plain);
    nacre__client_exchange_queue(&ep->client_exchanges, exchange);
    handle->number = exchange->number;
    return NACRE_OK;
}

nacre_err nacre_endpoint_request(nacre_endpoint *ep, nacre_exchange *handle, const nacre_address *peer,
                                 nacre_context *context, const nacre_message *plain, void *user)
{
    return nacre_endpoint_request_with(ep, handle, peer, context, plain, NULL, user);
}

nacre_err nacre_endpoint_ping(nacre_endpoint *ep, nacre_exchange *handle, const nacre_address *peer, void *user)
{
    nacre__client_exchange *exchange;
    const nacre_err err = nacre__client_exchange_start_ping(&ep->client_exchanges, &exchange, peer, user);
    if (err == NACRE_OK) handle->number = exchange->number;
    return err;
}

void nacre_endpoint_cancel(nacre_endpoint *ep, nacre_exchange exchange)
{
    nacre__client_exchange *found = nacre__client_exchange_of(&ep->client_exchanges, exchange.number);
    if (found != NULL) nacre__client_exchange_cancel(&ep->client_exchanges, found);
}

void nacre_endpoint_give_up(nacre_endpoint *ep, nacre_exchange exchange)
{
    nacre__client_exchange *found = nacre__client_exchange_of(&ep->client_exchanges, exchange.number);
    if (found != NULL && found->state != NACRE__CLIENT_ENDED)
        nacre__client_exchange_give_up(&ep->client_exchanges, found);
}

nacre_err nacre_endpoint_unobserve(nacre_endpoint *ep, nacre_exchange handle)
{
    nacre__client_exchange *exchange = nacre__client_exchange_of(&ep->client_exchanges, handle.number);
    if (exchange == NULL || exchange->state == NACRE__CLIENT_ENDED) return NACRE_ERR_STALE;
    return nacre__observation_leave(&ep->client_exchanges, exchange);
}

void nacre_endpoint_unreachable(nacre_endpoint *ep, const nacre_address *peer)
{
    if (nacre_address_is_reliable(peer)) {
        nacre__peer_lost(ep, peer);
        return;
    }
    (void)nacre__client_exchanges_lose_peer(&ep->client_exchanges, peer, true);
}

/* ---- RFC 8613 B.2 -------------------------------------------------------------------------------------------------- */

nacre_err nacre_endpoint_add_rederivation(nacre_endpoint *ep, nacre_rederivation *r)
{
    return nacre__rederivation_add(&ep->rederive, r);
}

void nacre_endpoint_remove_rederivation(nacre_endpoint *ep, nacre_rederivation *r)
{
    if (r->endpoint == ep) nacre__rederivation_remove(&ep->rederive, r);
}

void nacre_endpoint_rederive(nacre_endpoint *ep, nacre_rederivation *r)
{
    if (r->endpoint == ep) nacre__rederivation_forget(&ep->rederive, r);
}
