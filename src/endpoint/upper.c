/* SPDX-License-Identifier: MIT */
/* upper: calls from exchanges to the layers above. */
#include "endpoint/endpoint_struct.h"

static void request_left(void *self, nacre__client_exchange *exchange)
{
    nacre_endpoint *ep = self;
    nacre__rederivation_left(&ep->rederive, exchange);
}

static void blocks_dropped(void *self, nacre__client_exchange *exchange)
{
    nacre_endpoint *ep = self;
    nacre__outer_forget(&ep->outer, exchange);
}

static void registration_responded(void *self, nacre__server_exchange *exchange, nacre__separate_response *separate)
{
    nacre_endpoint *ep = self;
    nacre__observer_begun(&ep->observe, &ep->observe.observers[exchange->observer], separate);
}

static void registration_ended(void *self, nacre__server_exchange *exchange, nacre_err err)
{
    nacre_endpoint *ep = self;
    nacre__observer_end(&ep->observe, &ep->observe.observers[exchange->observer], err);
}

static void notification_ended(void *self, uint32_t observer, nacre_err err, bool is_acked)
{
    nacre_endpoint *ep = self;
    nacre__observer_settled(&ep->observe, &ep->observe.observers[observer], err, is_acked);
}

static void con_notification_left(void *self, nacre__separate_response *separate)
{
    nacre_endpoint *ep = self;
    nacre__con_notification_left(&ep->observe, separate);
}

static void share_left(void *self, const nacre_context *owner, const nacre_address *peer)
{
    nacre_endpoint *ep = self;
    nacre__share_left(&ep->observe, owner, peer);
}

void nacre__upper_init(nacre_endpoint *ep)
{
    ep->client_exchanges.upper =
        (nacre__client_upper){ .self = ep, .request_left = request_left, .blocks_dropped = blocks_dropped };
    ep->server_exchanges.upper = (nacre__server_upper){
        .self = ep,
        .registration_responded = registration_responded,
        .registration_ended = registration_ended,
        .notification_ended = notification_ended,
        .con_notification_left = con_notification_left,
        .share_left = share_left,
    };
}
