/* SPDX-License-Identifier: MIT */
/* contexts: the effects of nacre_endpoint_confirmed and nacre_endpoint_remove_context. */
#include "endpoint/endpoint_struct.h"

void nacre__endpoint_on_confirmed(nacre_endpoint *ep, void (*on_confirmed)(void *, nacre_context *, nacre_err),
                                  void *self)
{
    ep->on_confirmed = on_confirmed;
    ep->on_confirmed_self = self;
}

void nacre__endpoint_share_table(nacre_endpoint *ep, nacre_lock lock)
{
    ep->table_lock = lock;
}

static void tell_driver(const nacre_endpoint *ep, nacre_context *context, nacre_err err)
{
    if (ep->on_confirmed != NULL) ep->on_confirmed(ep->on_confirmed_self, context, err);
}

static void separate_confirmed(nacre_endpoint *ep, nacre__separate_response *separate, nacre_err err)
{
    if (!nacre__separate_confirmed(&ep->server_exchanges, separate, err) &&
        !nacre__notification_missed(&ep->observe, separate))
        nacre__separate_ended(&ep->server_exchanges, separate, err);
}

/* With an `err` the store failed: only messages that need nothing but durable state continue. */
static void resume(nacre_endpoint *ep, nacre__ref waiter, nacre_context *context, nacre_err err)
{
    if (waiter.kind == NACRE__OF_SERVER_EXCHANGE) {
        nacre__request_confirmed(&ep->server_exchanges, &ep->server_exchanges.all[waiter.index], err);
    } else if (waiter.kind == NACRE__OF_TRANSMISSION) {
        separate_confirmed(ep, nacre__separate_of(&ep->server_exchanges, &ep->tx.all[waiter.index]), err);
    } else if (err == NACRE_OK || nacre__has_number(&ep->core, context)) {
        nacre__client_exchange_queue(&ep->client_exchanges, &ep->client_exchanges.all[waiter.index]);
    } else {
        nacre__client_exchange_end(&ep->client_exchanges, &ep->client_exchanges.all[waiter.index], err, NULL);
    }
}

void nacre_endpoint_confirmed(nacre_endpoint *ep, nacre_context *context, nacre_err err)
{
    nacre__ref waiter;
    tell_driver(ep, context, err);
    nacre__persist_confirmed(&ep->persist_waits, context);
    while (nacre__persist_next(&ep->persist_waits, &waiter)) resume(ep, waiter, context, err);
    if (err == NACRE_OK) nacre__observers_catch_up(&ep->observe, context);
}

void nacre_endpoint_remove_context(nacre_endpoint *ep, nacre_context *context)
{
    nacre__ref waiter;
    nacre__protect_batch_flush(&ep->protect_batch); /* needs its key */
    tell_driver(ep, context, NACRE_ERR_NO_CONTEXT);
    nacre__persist_confirmed(&ep->persist_waits, context);
    nacre__echo_forget(&ep->kept_echos, context, NULL);
    (void)nacre__client_exchanges_lose_context(&ep->client_exchanges, context);
    (void)nacre__server_exchanges_lose_context(&ep->server_exchanges, context);
    (void)nacre__observers_end_all(&ep->observe, context, NULL, NACRE_ERR_NO_CONTEXT);
    while (nacre__persist_next(&ep->persist_waits, &waiter)) resume(ep, waiter, context, NACRE_ERR_NO_CONTEXT);
}
