/* SPDX-License-Identifier: MIT */
/* connection_lost: what ends with a connection (RFC 8323 7.4: its exchanges and observations). */
#include "endpoint/endpoint_struct.h"

void nacre__peer_lost(nacre_endpoint *ep, const nacre_address *peer)
{
    (void)nacre__client_exchanges_lose_peer(&ep->client_exchanges, peer, false);
    (void)nacre__observers_end_all(&ep->observe, NULL, peer,
                                   NACRE_ERR_UNREACHABLE); /* before the transmissions to them */
    (void)nacre__server_exchanges_lose_peer(&ep->server_exchanges, peer);
    nacre__outer_peer_lost(&ep->outer, peer);
    nacre__echo_forget(&ep->kept_echos, NULL, peer);
}
