/* SPDX-License-Identifier: MIT */
/* ping: an empty CON, which a peer that is there rejects with RST (RFC 7252 4.3). It is a request without a request: a slot,
 * a MID and the retransmissions, no token on the wire and nothing to protect. */
#include "endpoint/endpoint_internal.h"

nacre_err nacre_endpoint_ping(nacre_endpoint *ep, nacre_exchange *exchange, const nacre_address *peer, void *user)
{
    static const nacre_message empty = { .type = NACRE_CON, .code = NACRE_EMPTY };
    nacre_bytes out;
    if (nacre_address_is_reliable(peer)) return NACRE_ERR_UNSUPPORTED;
    nacre__slot *slot = nacre__slot_new(ep, peer, user);
    if (slot == NULL) return NACRE_ERR_BUSY;
    const nacre_err err = nacre_message_write(&empty, &out, (nacre_buf){ slot->plain, ep->config.max_message });
    if (err != NACRE_OK) { /* cannot be: max_message is larger than a header */
        slot->exchange = 0;
        return err;
    }
    slot->plain_len = out.len;
    slot->t->type = NACRE_CON;
    slot->is_ping = true;
    nacre__slot_queue(ep, slot);
    *exchange = slot->exchange;
    return NACRE_OK;
}
