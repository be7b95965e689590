/* SPDX-License-Identifier: MIT */
/* client_step: the deadlines of the calls in flight, and one step of the client. */
#include "io/client/client_internal.h"
#include "io/loop_internal.h"
#include "base/hosted/detail.h"

static uint64_t observation_deadline(const nacre__call *call)
{
    return call->steps != NULL && call->stage != NACRE__WAITING ? call->steps->deadline(call) : UINT64_MAX;
}

uint64_t nacre__calls_deadline(const nacre_client *client)
{
    uint64_t deadline = UINT64_MAX;
    for (const nacre__call *c = client->calls; c != NULL; c = c->next)
        if (nacre__call_has_deadline(c) && !c->is_late && c->deadline < deadline) deadline = c->deadline;
        else if (observation_deadline(c) < deadline) deadline = observation_deadline(c);
    return deadline;
}

void nacre__calls_expire(nacre_client *client)
{
    const uint64_t now = nacre_clock_ms();
    for (nacre__call *c = client->calls; c != NULL; c = c->next) {
        if (!nacre__call_has_deadline(c) || c->is_late || c->deadline > now) continue;
        c->is_late = true;
        nacre_transfer_give_up(nacre_loop_transfer(client->loop), c->exchange);
        nacre__loop_touch(client->loop);
    }
    for (nacre__call *c = client->calls; c != NULL;) { /* restarts: a callback may change the list */
        const bool is_due = observation_deadline(c) <= now;
        if (is_due) c->steps->expire(c);
        c = is_due ? client->calls : c->next;
    }
}

/* Removes and returns a late call from those in flight; NULL: none. */
static nacre__call *take_late(nacre_client *client)
{
    nacre__call **at = &client->calls;
    while (*at != NULL && (!nacre__call_has_deadline(*at) || !(*at)->is_late)) at = &(*at)->next;
    nacre__call *call = *at;
    if (call == NULL) return NULL;
    *at = call->next;
    client->num_calls--;
    return call;
}

/* Calls that nacre_transfer_give_up did not end: no message was in flight. Restarts: a callback may change the list. */
void nacre__calls_end_late(nacre_client *client)
{
    for (nacre__call *call; (call = take_late(client)) != NULL;) {
        nacre_transfer_cancel(nacre_loop_transfer(client->loop), call->exchange);
        nacre__call_conclude(call, NACRE_ERR_TIMEOUT);
    }
}

nacre_err nacre_client_step(nacre_client *client, uint32_t max_wait_ms, nacre_detail *why)
{
    if (client->is_stepping)
        return nacre__fail(why, NACRE_ERR_BUSY, "a callback of this client runs: it can start, and not wait");
    client->is_stepping = true;
    nacre__calls_expire(client);
    const uint64_t now = nacre_clock_ms(), deadline = nacre__calls_deadline(client);
    const uint64_t left = deadline > now ? deadline - now : 0;
    const nacre_err err = nacre_loop_step(client->loop, left < max_wait_ms ? (uint32_t)left : max_wait_ms, why);
    if (err == NACRE_OK) nacre__calls_end_late(client);
    client->is_stepping = false;
    return err;
}

size_t nacre_client_fds(nacre_client *client, nacre_fd *fds, size_t num)
{
    return nacre_loop_fds(client->loop, fds, num);
}

uint64_t nacre_client_deadline(const nacre_client *client)
{
    const uint64_t calls_deadline = nacre__calls_deadline(client), loop = nacre_loop_deadline(client->loop);
    return calls_deadline < loop ? calls_deadline : loop;
}
