/* SPDX-License-Identifier: MIT */
/* client_transfer: the state of client requests with their bodies: what is in flight, what waits, and the event that ends
 * each. */
#include "transfer_internal.h"

void nacre__client_transfer_set_waiting(nacre_transfer *t, nacre__client_transfer *client, bool waiting)
{
    if (client->waiting == waiting) return;
    client->waiting = waiting;
    if (waiting) t->num_waiting++;
    else t->num_waiting--;
}

/* Cancels the message in flight; an observation stays. */
void nacre__client_transfer_stop(nacre_transfer *t, nacre__client_transfer *client)
{
    nacre__client_transfer_set_waiting(t, client, false);
    if (!nacre_exchange_is_none(client->current) && !nacre_exchange_equal(client->current, client->observation))
        nacre_endpoint_cancel(t->ep, client->current);
    client->current = NACRE_EXCHANGE_NONE;
}

/* The event becomes the transfer's. */
void nacre__client_transfer_name(const nacre__client_transfer *client, nacre_event *event)
{
    event->exchange = NACRE_EXCHANGE_NONE;
    event->transfer_exchange = client->exchange;
    event->user = client->user;
}

/* Ends the transfer and delivers `event` with its message. After a notification the observation continues. */
bool nacre__client_transfer_end(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event)
{
    nacre__client_transfer_name(client, event);
    nacre__client_transfer_set_waiting(t, client, false);
    client->current = NACRE_EXCHANGE_NONE;
    client->state = client->notified ? NACRE__TRANSFER_OBSERVING : NACRE__TRANSFER_ENDED;
    if (client->notified) event->kind = NACRE_EVENT_NOTIFICATION;
    client->notified = false;
    return true;
}

bool nacre__client_transfer_fail(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event, nacre_err err)
{
    event->kind = NACRE_EVENT_FAILED;
    event->err = err;
    event->context = NULL;
    if (err != NACRE_ERR_TOO_LONG) event->message = (nacre_message){ .code = NACRE_EMPTY };
    return nacre__client_transfer_end(t, client, event);
}

nacre_err nacre__client_transfer_hand_over(nacre_transfer *t, nacre__client_transfer *client,
                                           const nacre_message *message)
{
    const nacre_err err = nacre_endpoint_request_with(t->ep, &client->current, &client->peer, client->context, message,
                                                      &client->how, client);
    if (err == NACRE_OK) t->queued = true;
    return err;
}

/* Handles the result of sending the next message. False: sent or waiting; true: failed, `event` is FAILED. */
bool nacre__client_transfer_sent(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event, nacre_err err)
{
    if (err == NACRE_OK) return false;
    if (err == NACRE_ERR_BUSY) { /* no free exchange; nacre__client_transfer_resume retries */
        nacre__client_transfer_set_waiting(t, client, true);
        return false;
    }
    event->message = (nacre_message){ .code = NACRE_EMPTY };
    return nacre__client_transfer_fail(t, client, event, err);
}
