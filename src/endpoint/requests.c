/* SPDX-License-Identifier: MIT */
/* requests: what the application asks for of requests of its own. */
#include "endpoint/endpoint_struct.h"

nacre_err nacre_endpoint_request_with(nacre_endpoint *ep, nacre_exchange *exchange, const nacre_address *peer,
                                      nacre_context *context, const nacre_message *plain, void *user,
                                      const nacre_request_options *options)
{
    static const nacre_request_options none;
    nacre__slot *slot;
    if (options == NULL) options = &none;
    if (!nacre__renewal_may_ask(&ep->rederive, options->rederivation, context)) return NACRE_ERR_BAD_ARGUMENT;
    const nacre_err err =
        nacre__slot_start(&ep->exchanges, &slot, peer, context, plain, user, nacre__observation_extra(plain));
    if (err != NACRE_OK) return err;
    slot->rederivation = options->rederivation;
    if (slot->rederivation != NULL) slot->context = nacre__renewal_no_context(slot->rederivation);
    slot->via_proxy = options->via_proxy;
    slot->limit = options->timeout_ms;
    if (slot->limit != 0) ep->exchanges.num_unlimited++;
    nacre__observation_init(slot, plain);
    nacre__slot_queue(&ep->exchanges, slot);
    *exchange = slot->exchange;
    return NACRE_OK;
}

nacre_err nacre_endpoint_request(nacre_endpoint *ep, nacre_exchange *exchange, const nacre_address *peer,
                                 nacre_context *context, const nacre_message *plain, void *user)
{
    return nacre_endpoint_request_with(ep, exchange, peer, context, plain, user, NULL);
}

nacre_err nacre_endpoint_ping(nacre_endpoint *ep, nacre_exchange *exchange, const nacre_address *peer, void *user)
{
    nacre__slot *slot;
    const nacre_err err = nacre__slot_start_ping(&ep->exchanges, &slot, peer, user);
    if (err == NACRE_OK) *exchange = slot->exchange;
    return err;
}

void nacre_endpoint_cancel(nacre_endpoint *ep, nacre_exchange exchange)
{
    nacre__slot *slot = nacre__slot_of(&ep->exchanges, exchange);
    if (slot != NULL) nacre__slot_cancel(&ep->exchanges, slot);
}

void nacre_endpoint_give_up(nacre_endpoint *ep, nacre_exchange exchange)
{
    nacre__slot *slot = nacre__slot_of(&ep->exchanges, exchange);
    if (slot != NULL && slot->state != NACRE__SLOT_ENDED) nacre__slot_give_up(&ep->exchanges, slot);
}

nacre_err nacre_endpoint_unobserve(nacre_endpoint *ep, nacre_exchange exchange)
{
    nacre__slot *slot = nacre__slot_of(&ep->exchanges, exchange);
    if (slot == NULL || slot->state == NACRE__SLOT_ENDED) return NACRE_ERR_STALE;
    return nacre__observation_leave(&ep->exchanges, slot);
}

void nacre_endpoint_unreachable(nacre_endpoint *ep, const nacre_address *peer)
{
    if (nacre_address_is_reliable(peer)) {
        nacre__peer_gone(ep, peer);
        return;
    }
    for (uint32_t i = 0; i < ep->core.config.num_client_exchanges; i++) {
        nacre__slot *slot = &ep->exchanges.slots[i];
        if (nacre__slot_is_sent(slot) && nacre_address_equal(&slot->peer, peer))
            nacre__slot_end(&ep->exchanges, slot, NACRE_ERR_UNREACHABLE, NULL);
    }
}

/* ---- RFC 8613 B.2 -------------------------------------------------------------------------------------------------- */

nacre_err nacre_endpoint_add_rederivation(nacre_endpoint *ep, nacre_rederivation *r)
{
    return nacre__renewal_add(&ep->rederive, r);
}

void nacre_endpoint_remove_rederivation(nacre_endpoint *ep, nacre_rederivation *r)
{
    nacre__renewal_remove(&ep->rederive, r);
}

void nacre_endpoint_rederive(nacre_endpoint *ep, nacre_rederivation *r)
{
    nacre__renewal_forget(&ep->rederive, r);
}
