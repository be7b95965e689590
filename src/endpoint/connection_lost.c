/* SPDX-License-Identifier: MIT */
/* connection_lost: what ends with a connection (RFC 8323 7.4: its exchanges and observations). */
#include "endpoint/endpoint_struct.h"

static void end_requests(nacre_endpoint *ep, const nacre_address *peer)
{
    for (uint32_t i = 0; i < ep->core.config.num_client_exchanges; i++) {
        nacre__client_exchange *exchange = &ep->client_exchanges.all[i];
        if (exchange->state != NACRE__CLIENT_FREE && exchange->state != NACRE__CLIENT_ENDED &&
            nacre_address_equal(&exchange->peer, peer))
            nacre__client_exchange_end(&ep->client_exchanges, exchange, NACRE_ERR_UNREACHABLE, NULL);
    }
}

static void end_responses(nacre_endpoint *ep, const nacre_address *peer)
{
    for (uint32_t i = 0; i < ep->core.config.num_server_exchanges; i++) {
        nacre__server_exchange *exchange = &ep->server_exchanges.all[i];
        if (exchange->state != NACRE__SERVER_FREE && nacre_address_equal(&exchange->record->peer, peer))
            nacre__server_exchange_release(&ep->server_exchanges, exchange);
    }
    for (uint32_t i = 0; i < ep->core.config.num_transmissions; i++) {
        nacre__separate_response *separate = &ep->server_exchanges.separates[i];
        if (nacre__separate_is_used(separate) && nacre_address_equal(&separate->t->peer, peer))
            nacre__separate_drop(&ep->server_exchanges, separate);
    }
}

void nacre__peer_lost(nacre_endpoint *ep, const nacre_address *peer)
{
    end_requests(ep, peer);
    (void)nacre__observers_end_all(&ep->observe, NULL, peer,
                                   NACRE_ERR_UNREACHABLE); /* before the transmissions to them */
    end_responses(ep, peer);
    nacre__outer_peer_lost(&ep->outer, peer);
    nacre__echo_forget(&ep->kept_echos, NULL, peer);
}
