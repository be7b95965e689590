/* SPDX-License-Identifier: MIT */
#include "endpoint/core/persist_waits.h"

void nacre__persist_waits_lay_out(nacre__persist_waits *p, nacre__pool_layout *layout, uint32_t max)
{
    p->max = max;
    p->requests = nacre__lay_out(layout, max, sizeof *p->requests);
    p->waits = nacre__lay_out(layout, max, sizeof *p->waits);
}

/* ---- Requests ------------------------------------------------------------------------------------------------------ */

static bool has_waiter(const nacre__persist_waits *p, const nacre_context *context)
{
    for (uint32_t i = 0; i < p->num_waits; i++)
        if (p->waits[i].context == context) return true;
    return false;
}

/* All entries are in use by early requests: drops the first; it is made again when something waits. */
static void drop_early_request(nacre__persist_waits *p)
{
    for (uint32_t i = 0; i < p->num_requests; i++) {
        if (has_waiter(p, p->requests[i].context)) continue;
        p->requests[i] = p->requests[--p->num_requests];
        return;
    }
}

static bool is_requested(const nacre__persist_waits *p, const nacre_context *context)
{
    for (uint32_t i = 0; i < p->num_requests; i++)
        if (p->requests[i].context == context) return true;
    return false;
}

bool nacre__persist_refers_to(const nacre__persist_waits *p, const nacre_context *context)
{
    return is_requested(p, context) || has_waiter(p, context);
}

void nacre__request_persist(nacre__persist_waits *p, nacre_context *context)
{
    if (is_requested(p, context)) return;
    if (p->num_requests == p->max) drop_early_request(p);
    if (p->num_requests == p->max) return; /* unreachable: there are at least as many entries as waiters */
    p->requests[p->num_requests++] = (nacre__persist_request){ context, true };
}

void nacre__request_persist_early(nacre__persist_waits *p, nacre_context *context)
{
    nacre__context_lock(p->core, context);
    const nacre_needs needs = nacre_context_needs(context);
    nacre__context_unlock(p->core, context);
    if ((needs.reserve == 0 && !needs.window_lost) || p->num_requests == p->max) return;
    nacre__request_persist(p, context);
}

nacre_context *nacre__persist_event(nacre__persist_waits *p)
{
    for (uint32_t i = 0; i < p->num_requests; i++) {
        if (!p->requests[i].pending) continue;
        p->requests[i].pending = false;
        return p->requests[i].context;
    }
    return NULL;
}

/* ---- Waiters ------------------------------------------------------------------------------------------------------- */

void nacre__persist_join(nacre__persist_waits *p, nacre_context *context, uint8_t kind, uint32_t index)
{
    p->waits[p->num_waits++] = (nacre__persist_wait){ context, { kind, index }, false };
    nacre__request_persist(p, context);
}

static void remove_at(nacre__persist_waits *p, uint32_t at)
{
    p->num_waits--;
    memmove(&p->waits[at], &p->waits[at + 1], (p->num_waits - at) * sizeof *p->waits);
}

void nacre__persist_leave(nacre__persist_waits *p, uint8_t kind, uint32_t index)
{
    for (uint32_t i = 0; i < p->num_waits; i++) {
        if (p->waits[i].waiter.kind != kind || p->waits[i].waiter.index != index) continue;
        remove_at(p, i);
        return;
    }
}

void nacre__persist_confirmed(nacre__persist_waits *p, const nacre_context *context)
{
    for (uint32_t i = 0; i < p->num_requests; i++) {
        if (p->requests[i].context != context) continue;
        p->requests[i] = p->requests[--p->num_requests];
        break;
    }
    for (uint32_t i = 0; i < p->num_waits; i++)
        if (p->waits[i].context == context) p->waits[i].released = true;
}

bool nacre__persist_next(nacre__persist_waits *p, nacre__ref *waiter)
{
    for (uint32_t i = 0; i < p->num_waits; i++) {
        if (!p->waits[i].released) continue;
        *waiter = p->waits[i].waiter;
        remove_at(p, i);
        return true;
    }
    return false;
}

/* ---- Durable state ----------------------------------------------------------------------------------------------- */

bool nacre__has_number(const nacre__core *core, nacre_context *context)
{
    nacre__context_lock(core, context);
    const nacre_needs needs = nacre_context_needs(context);
    nacre__context_unlock(core, context);
    return !needs.blocked;
}

bool nacre__has_durable_window(const nacre__core *core, nacre_context *context)
{
    nacre__context_lock(core, context);
    const nacre_needs needs = nacre_context_needs(context);
    nacre__context_unlock(core, context);
    return !needs.window_lost;
}
