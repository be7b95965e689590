/* SPDX-License-Identifier: MIT */
/* ping: an empty CON, which a live peer rejects with RST (RFC 7252 4.3). It uses a client exchange, a MID and
 * retransmissions, but no token and no protection. */
#include "endpoint/exchange/client_exchange.h"

nacre_err nacre__client_exchange_start_ping(nacre__client_exchanges *x, nacre__client_exchange **out,
                                            const nacre_address *peer, void *user)
{
    static const nacre_message empty = { .type = NACRE_CON, .code = NACRE_EMPTY };
    nacre_bytes bytes;
    if (nacre_address_is_reliable(peer)) return NACRE_ERR_UNSUPPORTED;
    nacre__client_exchange *exchange = nacre__client_exchange_new(x, peer, user);
    if (exchange == NULL) return NACRE_ERR_BUSY;
    const nacre_err err =
        nacre_message_write(&empty, &bytes, (nacre_buf){ exchange->plain, x->core->config.max_message });
    if (err != NACRE_OK) { /* unreachable: max_message is larger than a header */
        nacre__client_exchange_discard(x, exchange);
        return err;
    }
    exchange->plain_len = bytes.len;
    exchange->t->type = NACRE_CON;
    exchange->is_ping = true;
    nacre__client_exchange_queue(x, exchange);
    *out = exchange;
    return NACRE_OK;
}
