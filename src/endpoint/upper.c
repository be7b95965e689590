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

static void notification_ended(void *self, uint32_t observer, nacre_err err)
{
    nacre_endpoint *ep = self;
    nacre__observer_settled(&ep->observe, &ep->observe.observers[observer], err);
}

static bool notification_missed(void *self, nacre__separate_response *separate)
{
    nacre_endpoint *ep = self;
    return nacre__notification_missed(&ep->observe, separate);
}

static void notification_acked(void *self, uint32_t observer)
{
    nacre_endpoint *ep = self;
    nacre__observer_confirmed(&ep->observe.observers[observer]);
}

static void con_notification_left(void *self, nacre__separate_response *separate)
{
    nacre_endpoint *ep = self;
    nacre__con_notification_left(&ep->observe, separate);
}

static bool write_in_blocks(void *self, const nacre_address *peer, nacre__outer_block_request *block_request,
                            nacre_bytes bytes, nacre_outgoing *out)
{
    nacre_endpoint *ep = self;
    return nacre__outer_write(&ep->outer, peer, block_request, bytes, out);
}

void nacre__upper_init(nacre_endpoint *ep)
{
    ep->exchanges.upper = (nacre__upper){
        .self = ep,
        .request_left = request_left,
        .blocks_dropped = blocks_dropped,
        .registration_responded = registration_responded,
        .registration_ended = registration_ended,
        .notification_ended = notification_ended,
        .notification_missed = notification_missed,
        .notification_acked = notification_acked,
        .con_notification_left = con_notification_left,
        .write_in_blocks = write_in_blocks,
    };
}
