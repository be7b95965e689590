/* SPDX-License-Identifier: MIT */
/* reliable: what goes with a connection when it ends (RFC 8323 7.4: exchanges and observations belong to it). */
#include "endpoint/endpoint_struct.h"

static void end_requests(nacre_endpoint *ep, const nacre_address *peer)
{
    for (uint32_t i = 0; i < ep->core.config.num_client_exchanges; i++) {
        nacre__slot *slot = &ep->exchanges.slots[i];
        if (slot->state != NACRE__SLOT_FREE && slot->state != NACRE__SLOT_ENDED &&
            nacre_address_equal(&slot->peer, peer))
            nacre__slot_end(&ep->exchanges, slot, NACRE_ERR_UNREACHABLE, NULL);
    }
}

/* There is nobody to answer any more. */
static void end_answers(nacre_endpoint *ep, const nacre_address *peer)
{
    for (uint32_t i = 0; i < ep->core.config.num_server_exchanges; i++) {
        nacre__entry *entry = &ep->exchanges.entries[i];
        if (entry->state != NACRE__ENTRY_FREE && nacre_address_equal(&entry->record->peer, peer))
            nacre__server_exchange_release(&ep->exchanges, entry);
    }
    for (uint32_t i = 0; i < ep->core.config.num_transmissions; i++) {
        nacre__push *push = &ep->exchanges.pushes[i];
        if (nacre__push_is_used(push) && nacre_address_equal(&push->t->peer, peer))
            nacre__push_drop(&ep->exchanges, push);
    }
}

void nacre__peer_gone(nacre_endpoint *ep, const nacre_address *peer)
{
    end_requests(ep, peer);
    nacre__observers_gone(&ep->observe, NULL, peer, NACRE_ERR_UNREACHABLE); /* before what is on its way to them */
    end_answers(ep, peer);
    nacre__outer_peer_gone(&ep->outer, peer);
    nacre__echo_forget(&ep->kept_echos, NULL, peer);
}
