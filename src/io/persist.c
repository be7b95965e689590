/* SPDX-License-Identifier: MIT */
/* persist: persist requests of contexts, to stores one by one, to packs in batches. */
#include "io/persist.h"
#include "base/hosted/detail.h"

#include <stdlib.h>

nacre_err nacre__persist_add_pack(nacre__persist *p, nacre_pack *pack)
{
    for (size_t i = 0; i < p->num_packs; i++)
        if (p->packs[i] == pack) return NACRE_OK;
    nacre_pack **packs = realloc(p->packs, (p->num_packs + 1) * sizeof(nacre_pack *));
    if (packs == NULL) return NACRE_ERR_NO_MEMORY;
    p->packs = packs;
    p->packs[p->num_packs++] = pack;
    return NACRE_OK;
}

void nacre__persist_free(nacre__persist *p)
{
    nacre__stores_free(&p->stores);
    free(p->packs);
    free(p->requests);
}

static void set_waiting(nacre__persist *p, nacre__store_entry *entry, bool waiting)
{
    if (entry->waiting == waiting) return;
    entry->waiting = waiting;
    if (waiting) p->stores.num_waiting++;
    else p->stores.num_waiting--;
}

static void take(const nacre__persist *p, nacre_context *ctx)
{
    if (p->lock.lock != NULL) p->lock.lock(p->lock.self, &ctx, 1);
}

static void give(const nacre__persist *p, nacre_context *ctx)
{
    if (p->lock.lock != NULL) p->lock.unlock(p->lock.self, &ctx, 1);
}

static nacre_pack *pack_of(const nacre__persist *p, const nacre_context *ctx)
{
    for (size_t i = 0; i < p->num_packs; i++)
        if (nacre_pack_holds(p->packs[i], ctx)) return p->packs[i];
    return NULL;
}

/* ---- Packs: requests are queued while events are taken, and committed after the last event ----------------------------- */

static bool grow(nacre__persist *p)
{
    if (p->num_requests < p->cap_requests) return true;
    const size_t cap = p->cap_requests != 0 ? 2 * p->cap_requests : 16;
    nacre__pack_request *larger = realloc(p->requests, cap * sizeof *larger);
    if (larger == NULL) return false;
    p->requests = larger;
    p->cap_requests = cap;
    return true;
}

/* For a pack shared with other loops. */
static nacre_err request_shared(nacre__persist *p, nacre_pack *pack, nacre_context *ctx, nacre_detail *why)
{
    if (!grow(p)) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for what a context asks for");
    take(p, ctx);
    const nacre_err err = nacre__pack_share_request(&p->requests[p->num_requests], pack, ctx, why);
    give(p, ctx);
    if (err == NACRE_ERR_NOT_YET) p->num_requests++;
    return err;
}

/* ---- Results --------------------------------------------------------------------------------------------------------- */

enum { RETRY_MS = 5000, RETRY_AT_ONCE = 16 };

static void note(nacre__persist *p, nacre_context *ctx, nacre_err err, const nacre_detail *why)
{
    if (err == NACRE_OK) {
        /* the cause, a full disk for instance, may have stopped other stores too */
        if (nacre__store_worked(p->health, ctx)) p->retry_at = 0;
        return;
    }
    p->failure = *why;
    p->retry_at = nacre_clock_ms() + RETRY_MS;
    p->retry_failed = true;
    nacre__failed(p->health, ctx, p, err, why);
}

static void tell_endpoint(nacre__persist *p, nacre_endpoint *ep, nacre_context *ctx, nacre_err err)
{
    p->telling = true;
    nacre_endpoint_confirmed(ep, ctx, err);
    p->telling = false;
}

/* Records the result and reports it to the endpoint. No lock of a context is held. */
static void tell(nacre__persist *p, nacre_endpoint *ep, nacre_context *ctx, nacre_err err, const nacre_detail *why)
{
    note(p, ctx, err, why);
    tell_endpoint(p, ep, ctx, err);
}

void nacre__persist_report_failure(nacre__persist *p, nacre_context *ctx, nacre_err err, const char *text)
{
    nacre_detail why = { { 0 } };
    (void)nacre__fail(&why, err, "%s", text != NULL ? text : "");
    nacre__report_failure(p->health, ctx, p, err, &why);
}

void nacre__persist_forget(nacre__persist *p, const nacre_context *ctx)
{
    nacre__stores_remove(&p->stores, ctx);
    nacre__store_forget(p->health, ctx);
}

void nacre__persist_on_confirmed(void *self, nacre_context *ctx, nacre_err err)
{
    nacre__persist *p = self;
    nacre_detail why = { { 0 } };
    if (p->telling) return;
    if (err == NACRE_ERR_NO_CONTEXT) {
        nacre__store_forget(p->health, ctx);
        return;
    }
    nacre__store_entry *entry = nacre__stores_find(&p->stores, ctx);
    if (entry != NULL) set_waiting(p, entry, false);
    if (err != NACRE_OK) (void)nacre__fail(&why, err, "the store of a context failed: %s", nacre_err_text(err));
    note(p, ctx, err, &why);
}

uint64_t nacre__persist_deadline(const nacre__persist *p)
{
    return p->health != NULL && atomic_load(&p->health->num_failing) > 0 ? p->retry_at : UINT64_MAX;
}

static bool has_store(const nacre__persist *p, const nacre_context *ctx, bool *waits)
{
    const nacre__store_entry *entry = nacre__stores_find(&p->stores, ctx);
    *waits = entry != NULL && entry->waiting;
    return entry != NULL || pack_of(p, ctx) != NULL;
}

void nacre__persist_retry(nacre__persist *p, nacre_endpoint *ep, uint64_t now_ms)
{
    if (nacre__persist_deadline(p) > now_ms) return;
    const bool is_rest = p->retry_from > 0;
    p->retry_at = now_ms + RETRY_MS;
    p->retry_failed = false;
    for (int i = 0; i < RETRY_AT_ONCE && !p->retry_failed; i++) {
        bool waits;
        nacre_context *ctx = nacre__store_next_failing(p->health, p, &p->retry_from);
        if (ctx == NULL) {
            p->retry_from = 0;
            if (is_rest) p->retry_at = now_ms; /* scan from the start: entries moved there when others were removed */
            return;
        }
        if (!has_store(p, ctx, &waits)) nacre__store_forget(p->health, ctx);
        else if (!waits) nacre__persist_serve(p, ep, ctx);
    }
}

/* ---- Packs: commit ---------------------------------------------------------------------------------------------------- */

static void serve_from_pack(nacre__persist *p, nacre_endpoint *ep, nacre_pack *pack, nacre_context *ctx)
{
    nacre_detail why = { { 0 } };
    const nacre_err err =
        p->lock.lock != NULL ? request_shared(p, pack, ctx, &why) : nacre_pack_request(pack, ctx, &why);
    if (err != NACRE_ERR_NOT_YET) tell(p, ep, ctx, err, &why);
}

/* A commit in progress. */
typedef struct commit {
    nacre__persist *p;
    nacre_endpoint *ep;
    nacre_detail why; /* set before the callbacks */
} commit;

static void on_pack_commit(void *user, nacre_context *ctx, nacre_err err)
{
    const commit *c = user;
    tell(c->p, c->ep, ctx, err, &c->why);
}

/* Another program has taken over the pack's file. */
static void stop_all(const nacre__persist *p, nacre_pack *pack)
{
    for (size_t i = 0; i < nacre_pack_num(pack); i++) {
        nacre_context *ctx = nacre_pack_context_at(pack, i);
        if (ctx == NULL) continue;
        take(p, ctx);
        nacre_context_stop(ctx);
        give(p, ctx);
    }
}

/* No lock of a context is held while the disk writes, so that other loops go on. */
static void commit_shared(nacre__persist *p, nacre_endpoint *ep, nacre_pack *pack)
{
    nacre_detail why = { { 0 } };
    bool any = false;
    for (size_t i = 0; i < p->num_requests && !any; i++) any = p->requests[i].pack == pack;
    if (!any) return;
    const nacre_err flushed = nacre__pack_share_flush(pack, &why);
    if (nacre__pack_share_is_lost(pack)) stop_all(p, pack);
    for (size_t i = 0; i < p->num_requests; i++) {
        const nacre__pack_request *request = &p->requests[i];
        if (request->pack != pack) continue;
        nacre_err err = flushed;
        if (err == NACRE_OK) {
            take(p, request->ctx);
            err = nacre__pack_share_confirm(request, &why);
            give(p, request->ctx);
        }
        tell(p, ep, request->ctx, err, &why);
    }
}

void nacre__persist_commit(nacre__persist *p, nacre_endpoint *ep)
{
    commit c = { .p = p, .ep = ep };
    for (size_t i = 0; i < p->num_packs && p->lock.lock == NULL; i++)
        if (nacre_pack_commit(p->packs[i], on_pack_commit, &c, &c.why) != NACRE_OK) p->failure = c.why;
    for (size_t i = 0; i < p->num_packs && p->num_requests > 0; i++) commit_shared(p, ep, p->packs[i]);
    p->num_requests = 0;
}

/* ---- Stores and packs ---- */

/* The endpoint is told NACRE_OK only once the store has confirmed that the state is durable: persist before use. */
void nacre__persist_serve(nacre__persist *p, nacre_endpoint *ep, nacre_context *ctx)
{
    nacre__store_entry *entry = nacre__stores_find(&p->stores, ctx);
    nacre_detail why = { { 0 } };
    nacre_err err = NACRE_ERR_FILE;
    nacre_pack *pack = entry == NULL ? pack_of(p, ctx) : NULL;
    if (pack != NULL) {
        serve_from_pack(p, ep, pack, ctx);
        return;
    }
    if (entry != NULL) entry->num_late = nacre__store_num_late(p->health);
    take(p, ctx);
    if (entry == NULL) (void)nacre__fail(&why, err, "no store was added for a context that needs one");
    else err = nacre_store_serve(&entry->store, ctx, &why);
    give(p, ctx);
    if (entry != NULL) set_waiting(p, entry, err == NACRE_ERR_NOT_YET);
    if (err != NACRE_ERR_NOT_YET) tell(p, ep, ctx, err, &why);
}

static bool needs_nothing(const nacre__persist *p, nacre_context *ctx)
{
    take(p, ctx);
    nacre_needs needs = nacre_context_needs(ctx);
    give(p, ctx);
    return needs.reserve == 0 && !needs.window_lost;
}

/* A late failure has been reported already. */
static void end_wait(nacre__persist *p, nacre_endpoint *ep, nacre__store_entry *entry, nacre_err err)
{
    nacre_context *ctx = entry->ctx;
    set_waiting(p, entry, false);
    if (err == NACRE_OK) {
        note(p, ctx, err, NULL);
    } else {
        nacre__store_found_by(p->health, ctx, p);
        p->retry_at = nacre_clock_ms() + RETRY_MS;
    }
    tell_endpoint(p, ep, ctx, err);
}

void nacre__persist_look(nacre__persist *p, nacre_endpoint *ep)
{
    for (size_t i = 0; i < p->stores.cap && p->stores.num_waiting > 0; i++) {
        nacre__store_entry *entry = &p->stores.entries[i];
        if (entry->ctx == NULL || !entry->waiting) continue;
        const nacre_err err = nacre__failed_since(p->health, entry->ctx, entry->num_late);
        if (err != NACRE_OK || needs_nothing(p, entry->ctx)) end_wait(p, ep, entry, err);
    }
}
