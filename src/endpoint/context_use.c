/* SPDX-License-Identifier: MIT */
/* context_use: whether anything refers to a context. */
#include "endpoint/endpoint_struct.h"

static bool server_uses(const nacre__server_exchanges *x, const nacre_context *context)
{
    for (uint32_t i = x->dedup->lists[NACRE__DEDUP_OPEN].first; i != NACRE__NONE; i = x->all[i].record->link.next)
        if (x->all[i].context == context) return true;
    uint32_t i = nacre__group_first(&x->by_context, nacre__group_of_context(context));
    for (; i != NACRE__NONE; i = nacre__group_next(&x->by_context, i))
        if (x->all[i].context == context) return true;
    for (i = 0; i < x->core->config.num_transmissions; i++) {
        const nacre__separate_response *separate = &x->separates[i];
        if (separate->context == context || (separate->owner == context && separate->is_counted)) return true;
    }
    return false;
}

static bool client_uses(const nacre__client_exchanges *x, const nacre_context *context)
{
    uint32_t i = nacre__group_first(&x->by_context, nacre__group_of_context(context));
    while (i != NACRE__NONE && x->all[i].context != context) i = nacre__group_next(&x->by_context, i);
    return i != NACRE__NONE;
}

static bool is_observed(const nacre__observe_server *s, const nacre_context *context)
{
    uint32_t i = nacre__group_first(&s->by_context, nacre__group_of_context(context));
    while (i != NACRE__NONE && s->observers[i].context != context) i = nacre__group_next(&s->by_context, i);
    return i != NACRE__NONE;
}

bool nacre__endpoint_uses_context(nacre_endpoint *ep, const nacre_context *context)
{
    nacre__protect_batch_flush(&ep->protect_batch);
    return server_uses(&ep->server_exchanges, context) || client_uses(&ep->client_exchanges, context) ||
           is_observed(&ep->observe, context) || nacre__persist_refers_to(&ep->persist_waits, context);
}

void nacre__endpoint_pause_lookups(nacre_endpoint *ep, bool is_paused)
{
    ep->lookups_are_paused = is_paused;
}
