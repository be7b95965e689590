/* SPDX-License-Identifier: MIT */
/* waiting: contexts whose store must make something durable first, and what waits for them (RFC 8613 B.1).
 *
 * Each such context is asked for by one PERSIST event, and not again until nacre_endpoint_confirmed. The pool has a place
 * for every slot, every entry and every push, so whatever waits has its question in it; questions ahead of time use
 * what is left. */
#include "endpoint_internal.h"

static bool slot_waits(const nacre__slot *slot, const nacre_context *context)
{
    return slot->state == NACRE__SLOT_WAITING && slot->context == context;
}

static bool entry_waits(const nacre__entry *entry, const nacre_context *context)
{
    return (entry->state == NACRE__ENTRY_PARKED || entry->state == NACRE__ENTRY_WAITING) && entry->context == context;
}

static bool somebody_waits(const nacre_endpoint *ep, const nacre_context *context)
{
    for (uint32_t i = 0; i < ep->config.num_requests; i++)
        if (slot_waits(&ep->slots[i], context)) return true;
    for (uint32_t i = ep->open.first; i != NACRE__NONE; i = ep->entries[i].next)
        if (entry_waits(&ep->entries[i], context)) return true;
    return nacre__pushes_wait(ep, context);
}

static void close_ask(nacre_endpoint *ep, const nacre_context *context)
{
    for (uint32_t i = 0; i < ep->num_asks; i++) {
        if (ep->asks[i].context != context) continue;
        ep->asks[i] = ep->asks[--ep->num_asks];
        return;
    }
}

/* Questions ahead of time have taken all places: the first of them gives way, and will be asked again when it must. */
static void make_place(nacre_endpoint *ep)
{
    for (uint32_t i = 0; i < ep->num_asks; i++) {
        if (somebody_waits(ep, ep->asks[i].context)) continue;
        ep->asks[i] = ep->asks[--ep->num_asks];
        return;
    }
}

static bool is_asked(const nacre_endpoint *ep, const nacre_context *context)
{
    for (uint32_t i = 0; i < ep->num_asks; i++)
        if (ep->asks[i].context == context) return true;
    return false;
}

/* Something waits on `context`. */
void nacre__ask_store(nacre_endpoint *ep, nacre_context *context)
{
    if (is_asked(ep, context)) return;
    if (ep->num_asks == ep->max_asks) make_place(ep);
    if (ep->num_asks == ep->max_asks) return; /* cannot be: there are no more waiters than places */
    ep->asks[ep->num_asks++] = (nacre__ask){ context, true };
}

/* `context` has just spent a number: ask for more before it runs dry. */
void nacre__ask_store_early(nacre_endpoint *ep, nacre_context *context)
{
    nacre__take(ep, context);
    const nacre_needs needs = nacre_context_needs(context);
    nacre__give(ep, context);
    if ((needs.reserve == 0 && !needs.window_lost) || ep->num_asks == ep->max_asks) return;
    nacre__ask_store(ep, context);
}

/* Whether what waits for the store can go on although the store failed: a store may fail in one of the two that a context
 * needs, and several endpoints may ask for one context. Decided by what is durable now, never by what was asked. */
bool nacre__has_number(nacre_endpoint *ep, nacre_context *context)
{
    nacre__take(ep, context);
    const nacre_needs needs = nacre_context_needs(context);
    nacre__give(ep, context);
    return !needs.blocked;
}

static bool has_durable_window(nacre_endpoint *ep, nacre_context *context)
{
    nacre__take(ep, context);
    const nacre_needs needs = nacre_context_needs(context);
    nacre__give(ep, context);
    return !needs.window_lost;
}

/* A request that waits was not accepted: it is refused in clear, and its nonce stays unused, for the same request may be
 * accepted later (RFC 8613 B.1.2). An answer that waits has no right to its request's nonce, or it would not wait. */
static bool entry_goes_on(nacre_endpoint *ep, const nacre__entry *entry)
{
    return entry->state == NACRE__ENTRY_PARKED ? has_durable_window(ep, entry->context)
                                               : nacre__has_number(ep, entry->context);
}

void nacre__endpoint_on_confirmed(nacre_endpoint *ep, void (*on_confirmed)(void *, nacre_context *, nacre_err),
                                  void *self)
{
    ep->on_confirmed = on_confirmed;
    ep->on_confirmed_self = self;
}

static void tell_driver(const nacre_endpoint *ep, nacre_context *context, nacre_err err)
{
    if (ep->on_confirmed != NULL) ep->on_confirmed(ep->on_confirmed_self, context, err);
}

void nacre_endpoint_confirmed(nacre_endpoint *ep, nacre_context *context, nacre_err err)
{
    tell_driver(ep, context, err);
    close_ask(ep, context);
    for (uint32_t i = 0; i < ep->config.num_requests; i++) {
        nacre__slot *slot = &ep->slots[i];
        if (!slot_waits(slot, context)) continue;
        if (err == NACRE_OK || nacre__has_number(ep, context)) nacre__slot_queue(ep, slot);
        else nacre__slot_end(ep, slot, err, NULL);
    }
    for (uint32_t i = ep->open.first, next; i != NACRE__NONE; i = next) {
        nacre__entry *entry = &ep->entries[i];
        next = entry->next; /* resuming may move it to another list */
        if (!entry_waits(entry, context)) continue;
        if (err == NACRE_OK || entry_goes_on(ep, entry)) nacre__answer_resume(ep, entry);
        else nacre__answer_withdraw(ep, entry, NACRE_ERR_NOT_YET);
    }
    nacre__pushes_confirmed(ep, context, err);
    if (err == NACRE_OK) nacre__observers_catch_up(ep, context);
}

void nacre_endpoint_context_gone(nacre_endpoint *ep, nacre_context *context)
{
    nacre__seals_flush(ep); /* with its key */
    tell_driver(ep, context, NACRE_ERR_NO_CONTEXT);
    close_ask(ep, context);
    nacre__echo_forget(ep, context, NULL);
    for (uint32_t i = 0; i < ep->config.num_requests; i++) {
        nacre__slot *slot = &ep->slots[i];
        if (slot->state != NACRE__SLOT_FREE && slot->context == context)
            nacre__slot_end(ep, slot, NACRE_ERR_NO_CONTEXT, NULL);
    }
    for (uint32_t i = ep->open.first, next; i != NACRE__NONE; i = next) {
        nacre__entry *entry = &ep->entries[i];
        next = entry->next;
        if (entry->context == context) nacre__answer_withdraw(ep, entry, NACRE_ERR_NO_CONTEXT);
    }
    nacre__observers_gone(ep, context, NULL, NACRE_ERR_NO_CONTEXT);
    nacre__pushes_confirmed(ep, context, NACRE_ERR_NO_CONTEXT);
}
