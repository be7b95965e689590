/* SPDX-License-Identifier: MIT */
/* client_events: events of the endpoint for client transfers, and transfers that wait for a free exchange. */
#include "transfer_internal.h"

bool nacre__client_transfer_resume(nacre_transfer *t, nacre_event *event)
{
    for (uint32_t i = 0; i < t->config.num_client_exchanges && t->num_waiting > 0; i++) {
        nacre__client_transfer *client = &t->clients[i];
        if (!client->waiting) continue;
        const nacre_err err = client->is_lost ? NACRE_ERR_NO_CONTEXT : nacre__client_transfer_send(t, client);
        if (err == NACRE_ERR_BUSY) return false;
        nacre__client_transfer_set_waiting(t, client, false);
        if (err == NACRE_OK) continue;
        *event = (nacre_event){ .peer = client->peer };
        return nacre__client_transfer_fail(t, client, event, err);
    }
    return false;
}

/* A context, or with NULL a rederivation, is about to be removed. The endpoint fails exchanges in flight; transfers that wait
 * have no exchange there, so they are marked and fail instead of being sent. */
void nacre__client_transfer_lose(nacre_transfer *t, const nacre_context *context,
                                 const nacre_rederivation *rederivation)
{
    for (uint32_t i = 0; i < t->config.num_client_exchanges; i++) {
        nacre__client_transfer *client = &t->clients[i];
        if (client->waiting &&
            (context != NULL ? client->context == context : client->how.rederivation == rederivation))
            client->is_lost = true;
    }
}

/* RFC 7959 3.4, RFC 7641 3.4: a newer representation replaces the one being fetched. */
static bool take_notification(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event)
{
    client->observation = event->exchange;
    nacre__client_transfer_stop(t, client);
    client->state = NACRE__TRANSFER_OBSERVING;
    client->notified = true;
    client->restarted = false;
    client->received = 0;
    client->response_szx = client->early ? client->max_szx : NACRE__MAX_SZX;
    return nacre__block2_client_take(t, client, event);
}

/* The registration's final response, or its failure. */
static void end_observation(nacre_transfer *t, nacre__client_transfer *client)
{
    nacre__client_transfer_stop(t, client);
    client->observation = NACRE_EXCHANGE_NONE;
    client->notified = false;
    client->state = NACRE__TRANSFER_SENDING;
    client->received = 0;
}

/* The transfer that owns the event's exchange. NULL: a request or ping that the application gave to the endpoint directly. */
static nacre__client_transfer *client_of(const nacre_transfer *t, const nacre_event *event)
{
    const uintptr_t at = (uintptr_t)event->user, first = (uintptr_t)t->clients;
    return at >= first && at - first < t->config.num_client_exchanges * sizeof *t->clients ? event->user : NULL;
}

bool nacre__client_transfer_event(nacre_transfer *t, nacre_event *event)
{
    nacre__client_transfer *client = client_of(t, event);
    if (client == NULL) return true;
    if (event->kind == NACRE_EVENT_OVERSIZED) { /* the transfer continues */
        nacre__client_transfer_name(client, event);
        return true;
    }
    if (event->kind == NACRE_EVENT_NOTIFICATION) return take_notification(t, client, event);
    if (!nacre_exchange_is_none(client->observation) && nacre_exchange_equal(client->observation, event->exchange))
        end_observation(t, client);
    client->current = NACRE_EXCHANGE_NONE;
    if (event->kind == NACRE_EVENT_FAILED) return nacre__client_transfer_end(t, client, event);
    if (client->state == NACRE__TRANSFER_FETCHING) return nacre__block2_client_take(t, client, event);
    return nacre__block1_client_take(t, client, event);
}
