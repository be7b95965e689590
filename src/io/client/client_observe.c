/* SPDX-License-Identifier: MIT */
/* client_observe: a client's observation, from registration to deregistration (RFC 7641). */
#include "io/client/client_internal.h"
#include "base/hosted/detail.h"
#include "io/loop_internal.h"

enum { LEAVE_MS = 5000 }; /* wait for the response to a deregistration */

static void enter(nacre__call *call, nacre__stage next)
{
    call->stage = next;
    call->stage_ms = nacre_clock_ms();
}

/* Makes `made` of `options` (may be NULL) and Observe 0. */
static nacre_err add_observe(nacre_options *made, nacre_buf buf, uint8_t method, const nacre_options *options,
                             nacre_detail *why)
{
    nacre_bytes given = NACRE_ABSENT;
    const nacre_err err = options != NULL ? nacre_options_finish(options, &given) : NACRE_OK;
    if (err != NACRE_OK || (method != NACRE_GET && method != NACRE_FETCH))
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "only GET and FETCH observe, with options that fit");
    nacre_options_init(made, buf);
    nacre_option_iter it = nacre_option_begin(given);
    for (nacre_option option; nacre_option_next(&it, &option);) nacre_options_add(made, option.number, option.value);
    nacre_options_add_uint(made, NACRE_OPT_OBSERVE, 0);
    return NACRE_OK;
}

/* Deregisters; the response ends the exchange. */
static void leave(nacre__call *call)
{
    nacre_transfer *transfer = nacre_loop_transfer(call->client->loop);
    enter(call, NACRE__LEAVING);
    if (nacre_transfer_unobserve(transfer, call->exchange) == NACRE_OK) return;
    nacre_transfer_cancel(transfer, call->exchange);
    call->done = true;
    call->result = NACRE_OK;
}

static void notified(nacre__call *call, const nacre_event *event)
{
    bool is_protected = event->context != NULL;
    if (call->leaves) {
        call->leaves = false;
        leave(call);
        return;
    }
    /* A notification not fetched whole is followed by others. RFC 8613 8.4: an unprotected one is not a notification. */
    if (call->stage == NACRE__LEAVING || event->err != NACRE_OK || is_protected != (call->to.ctx != NULL)) return;
    if (call->stage == NACRE__WAITING) enter(call, NACRE__OBSERVING);
    call->num_callbacks++;
    nacre__call_back(call);
    nacre__call_keep_reply(call, &event->message, is_protected);
    bool go_on = !call->is_cancelled && call->stage != NACRE__LEAVING &&
                 call->observing->on_notification(call->observing->user, &call->reply);
    nacre__call_forget_body(call);
    if (!nacre__call_end_callback(call)) return;
    if (!go_on && call->stage != NACRE__LEAVING) leave(call);
}

/* Does what is due and returns how long to wait for the next event. False: the observation is over. */
static bool observe_on(nacre__call *call, uint32_t *wait_ms)
{
    const nacre_client *client = call->client;
    const uint64_t passed = nacre_clock_ms() - call->stage_ms;
    uint64_t limit = call->stage == NACRE__WAITING     ? call->timeout_ms
                     : call->stage == NACRE__OBSERVING ? call->observing->duration_ms
                                                       : (uint32_t)LEAVE_MS;
    *wait_ms = NACRE__STOP_MS; /* bounds the delay of a signal that arrives just before the wait */
    if (limit != 0 && limit - passed < NACRE__STOP_MS && passed < limit) *wait_ms = (uint32_t)(limit - passed);
    if (call->stage == NACRE__OBSERVING && (client->stopped || (limit != 0 && passed >= limit))) leave(call);
    else if (client->stopped && call->stage == NACRE__WAITING) return false;
    else if (limit != 0 && passed >= limit) return false;
    return true;
}

static nacre_err wait_observing(nacre__call *call, nacre_detail *why)
{
    uint32_t wait_ms;
    enter(call, NACRE__WAITING);
    while (!call->done || nacre__call_away(call)) {
        nacre_err err = NACRE_OK;
        bool over = !observe_on(call, &wait_ms);
        if (!over && !call->done) nacre__call_try_again(call);
        if (!over && !call->done) err = nacre_client_step(call->client, wait_ms, why);
        if (!over && err == NACRE_OK) continue;
        if (err == NACRE_OK && call->stage == NACRE__WAITING && !call->client->stopped)
            return nacre__call_out_of_time(call, why);
        nacre__call_cancel(call);
        if (err != NACRE_OK) return err;
        call->done = true;
        call->result = NACRE_OK;
    }
    /* The response to a deregistration is optional. */
    return call->stage == NACRE__LEAVING ? NACRE_OK : call->result;
}

static nacre_err wait_and_tell(nacre__call *call, nacre_detail *why)
{
    nacre_err err = wait_observing(call, why);
    nacre__call_end(call);
    if (call->stage == NACRE__LEAVING || call->client->stopped) call->reply = (nacre_reply){ 0 };
    if (err == NACRE_ERR_TIMEOUT && call->oversized != 0) err = NACRE_ERR_OVERSIZED;
    return err == NACRE_ERR_ADDRESS ? err : nacre__call_explain(call, err, why);
}

/* ---- Observations that do not wait ----------------------------------------------------------------------------------- */

static nacre_err end_result(nacre__call *call)
{
    if (call->stage == NACRE__LEAVING) call->reply = (nacre_reply){ 0 };
    return call->stage == NACRE__LEAVING ? NACRE_OK : call->result;
}

static void ended(nacre__call *call)
{
    call->num_callbacks++;
    const bool goes_on = nacre__call_away(call);
    if (nacre__call_end_callback(call) && !goes_on) nacre__call_conclude(call, end_result(call));
}

static uint64_t deadline(const nacre__call *call)
{
    if (call->done) return 0;
    const uint32_t limit = call->stage == NACRE__LEAVING ? (uint32_t)LEAVE_MS : call->observing->duration_ms;
    const uint64_t end = limit != 0 ? call->stage_ms + limit : UINT64_MAX;
    return call->again_ms != 0 && call->again_ms < end ? call->again_ms : end;
}

static void expire(nacre__call *call)
{
    const uint32_t limit = call->stage == NACRE__LEAVING ? (uint32_t)LEAVE_MS : call->observing->duration_ms;
    const bool is_over = limit != 0 && nacre_clock_ms() - call->stage_ms >= limit;
    nacre__loop_touch(call->client->loop);
    if (call->done) {
        ended(call);
    } else if (is_over && call->stage == NACRE__LEAVING) { /* the response to a deregistration is optional */
        nacre_transfer_cancel(nacre_loop_transfer(call->client->loop), call->exchange);
        nacre__call_conclude(call, end_result(call));
    } else if (is_over) {
        leave(call);
    } else {
        nacre__call_try_again(call);
    }
}

static const nacre__observation_steps steps = { deadline, expire, ended };

nacre_err nacre_client_start_observe(nacre_client *client, nacre_client_call *call,
                                     const nacre_client_request_config *request, const nacre_observe_options *observing,
                                     nacre_detail *why)
{
    uint8_t buf[NACRE__CLIENT_OPTIONS];
    nacre_options with_observe;
    nacre__call_plan plan = { .options = &with_observe, .observing = observing, .notified = notified, .steps = &steps };
    nacre_err err = nacre__call_plan_of(&plan, request, why);
    if (err == NACRE_OK) err = add_observe(&with_observe, NACRE_BUF(buf), plan.method, request->options, why);
    if (err != NACRE_OK) return err;
    err = nacre__client_start(client, call, request, plan, why);
    nacre_wipe(buf, sizeof buf);
    return err;
}

void nacre_client_unobserve(nacre_client *client, nacre_client_call call)
{
    nacre__call *at = nacre__call_of(client, call);
    if (at == NULL || at->observing == NULL || at->stage == NACRE__LEAVING) return;
    nacre__loop_touch(client->loop);
    at->leaves = client->is_reading_or_writing && at->num_callbacks > 0;
    if (at->leaves) enter(at, NACRE__LEAVING);
    else leave(at);
}

/* ---- Observations that wait ------------------------------------------------------------------------------------------ */

nacre_err nacre_client_observe(nacre_client *client, nacre_reply *reply, const nacre_client_request_config *request,
                               const nacre_observe_options *observing, nacre_detail *why)
{
    uint8_t buf[NACRE__CLIENT_OPTIONS];
    nacre_options with_observe;
    nacre__call_plan plan = {
        .options = &with_observe, .observing = observing, .notified = notified, .wait = wait_and_tell
    };
    nacre_err err = nacre__call_plan_of(&plan, request, why);
    if (err == NACRE_OK) err = add_observe(&with_observe, NACRE_BUF(buf), plan.method, request->options, why);
    if (err != NACRE_OK) return err;
    err = nacre__client_wait(client, reply, &plan, why);
    nacre_wipe(buf, sizeof buf);
    return err;
}
