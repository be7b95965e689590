/* SPDX-License-Identifier: MIT */
/* client_start: requests that do not wait: started, found by their handle, and cancelled. */
#include "io/client/client_internal.h"
#include "base/config_size.h"
#include "base/hosted/detail.h"

#include <stdlib.h>
#include <string.h>

static nacre_err copy_payload(nacre__call *call, nacre_detail *why)
{
    if (call->given.len == 0) return NACRE_OK;
    call->given_copy = malloc(call->given.len);
    if (call->given_copy == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a request");
    memcpy(call->given_copy, call->given.ptr, call->given.len);
    call->given.ptr = call->given_copy;
    return NACRE_OK;
}

nacre_err nacre__call_plan_of(nacre__call_plan *plan, const nacre_client_request_config *request, nacre_detail *why)
{
    if (!nacre__config_size_fits(request->size, sizeof *request))
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "the request has %zu bytes, not %zu: compile the program anew",
                           request->size, sizeof *request);
    if (request->uri == NULL) return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "a request has a uri");
    plan->method = request->size == 0 && request->method == 0 ? NACRE_GET : request->method;
    plan->uri = request->uri;
    if (plan->options == NULL) plan->options = request->options;
    plan->payload = request->payload;
    plan->source = request->source;
    plan->sink = request->sink;
    plan->address = request->address;
    plan->timeout_ms = request->timeout_ms;
    return NACRE_OK;
}

/* `plan` has what `request` has not. */
nacre_err nacre__client_start(nacre_client *client, nacre_client_call *call, const nacre_client_request_config *request,
                              nacre__call_plan plan, nacre_detail *why)
{
    nacre__call *made = NULL;
    nacre_err err = nacre__call_plan_of(&plan, request, why);
    if (err != NACRE_OK) return err;
    if (request->on_done == NULL)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "a request that does not wait has on_done");
    if (client->is_reading_or_writing)
        return nacre__fail(why, NACRE_ERR_BUSY, "a source or sink of this client runs: start the request after it");
    err = nacre__call_make(client, &made, &plan, why);
    if (err != NACRE_OK || made == NULL) return err;
    err = copy_payload(made, why);
    if (plan.observing != NULL) {
        made->observe_options = *plan.observing;
        made->observing = &made->observe_options;
    }
    if (err == NACRE_OK) err = nacre__call_send(made, why);
    if (err != NACRE_OK) {
        nacre__call_free(made);
        return err;
    }
    made->on_done = request->on_done;
    made->user = request->user;
    made->number = ++client->last_number != 0 ? client->last_number : ++client->last_number;
    if (call != NULL) call->number = made->number;
    return NACRE_OK;
}

nacre_err nacre_client_start(nacre_client *client, nacre_client_call *call, const nacre_client_request_config *request,
                             nacre_detail *why)
{
    return nacre__client_start(client, call, request, (nacre__call_plan){ .options = NULL }, why);
}

nacre_client_request_config nacre_client_request_config_default(void)
{
    return (nacre_client_request_config){ .size = sizeof(nacre_client_request_config), .method = NACRE_GET };
}

nacre__call *nacre__call_of(const nacre_client *client, nacre_client_call call)
{
    nacre__call *at = client->calls;
    while (at != NULL && (at->number != call.number || call.number == 0)) at = at->next;
    return at;
}

void nacre_client_cancel(nacre_client *client, nacre_client_call call)
{
    nacre__call *at = nacre__call_of(client, call);
    if (at == NULL) return;
    if (at->num_callbacks > 0) {
        at->is_cancelled = true;
        return;
    }
    nacre__call_cancel(at);
    nacre__call_free(at);
}

size_t nacre_client_num_in_flight(const nacre_client *client)
{
    return client->num_calls;
}
