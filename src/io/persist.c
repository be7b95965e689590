/* SPDX-License-Identifier: MIT */
/* persist: persist requests of contexts, to the store threads in batches, or to stores one by one. */
#include "io/persist.h"
#include "base/hosted/detail.h"
#include "store/batch.h"

#include <stdlib.h>
#include <string.h>

void nacre__persist_free(nacre__persist *p)
{
    if (p->inbox.is_open) nacre__store_threads_cancel_all(p->threads, &p->inbox);
    nacre__store_inbox_close(&p->inbox);
    for (nacre__store_job *next, *job = p->ready.first; job != NULL; job = next) {
        next = job->next;
        nacre__store_job_free(job);
    }
    nacre__stores_free(&p->stores);
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

/* Ends the job of a context that is removed. */
static void cancel(nacre__persist *p, nacre__store_entry *entry)
{
    nacre__store_job *job = entry->job;
    if (job == NULL) return;
    entry->job = NULL;
    p->num_jobs--;
    if (nacre__store_jobs_drop(&p->ready, job)) nacre__store_job_free(job);
    else nacre__store_threads_cancel(p->threads, job);
}

void nacre__persist_forget(nacre__persist *p, const nacre_context *ctx)
{
    nacre__store_entry *entry = nacre__stores_find(&p->stores, ctx);
    if (entry != NULL) cancel(p, entry);
    nacre__stores_remove(&p->stores, ctx);
    nacre__store_forget(p->health, ctx);
}

bool nacre__persist_uses(const nacre__persist *p, const nacre_context *ctx)
{
    const nacre__store_entry *entry = nacre__stores_find(&p->stores, ctx);
    return entry != NULL && (entry->job != NULL || entry->waiting);
}

void nacre__persist_on_confirmed(void *self, nacre_context *ctx, nacre_err err)
{
    nacre__persist *p = self;
    nacre_detail why = { { 0 } };
    if (p->telling) return;
    nacre__store_entry *entry = nacre__stores_find(&p->stores, ctx);
    if (err == NACRE_ERR_NO_CONTEXT) {
        if (entry != NULL) cancel(p, entry);
        nacre__store_forget(p->health, ctx);
        return;
    }
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
    *waits = entry != NULL && (entry->waiting || entry->job != NULL);
    return entry != NULL;
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

/* ---- Store threads ---------------------------------------------------------------------------------------------------- */

static void make_job(nacre__persist *p, nacre_endpoint *ep, nacre__store_entry *entry)
{
    nacre_context *ctx = entry->ctx;
    nacre_detail why = { { 0 } };
    take(p, ctx);
    const nacre__store_needs submitted = nacre__store_needs_of(ctx);
    give(p, ctx);
    if (submitted.needs.reserve == 0 && !submitted.needs.window_lost) {
        tell(p, ep, ctx, NACRE_OK, &why);
        return;
    }
    nacre__store_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        tell(p, ep, ctx, nacre__fail(&why, NACRE_ERR_NO_MEMORY, "out of memory for what a context asks for"), &why);
        return;
    }
    job->request = (nacre_store_request){ .self = entry->store.self,
                                          .ceiling = submitted.needs.reserve,
                                          .window_lost = submitted.needs.window_lost };
    job->store = entry->store;
    job->ctx = ctx;
    job->submitted = submitted;
    job->inbox = &p->inbox;
    entry->job = job;
    p->num_jobs++;
    nacre__store_jobs_add(&p->ready, job);
}

/* Another program has taken over the state of this context. */
static void stop(const nacre__persist *p, nacre_context *ctx)
{
    take(p, ctx);
    nacre_context_stop(ctx);
    give(p, ctx);
}

/* RFC 8613 B.1.1, B.1.2. False: the state was saved meanwhile, which is to be asked again. */
static bool confirm(const nacre__persist *p, const nacre__store_job *job)
{
    take(p, job->ctx);
    const bool confirmed = nacre__store_needs_confirm(job->ctx, &job->submitted);
    give(p, job->ctx);
    return confirmed;
}

/* Ends a job with its error, and frees it. */
static void finish(nacre__persist *p, nacre_endpoint *ep, nacre__store_job *job)
{
    nacre_context *ctx = job->ctx;
    nacre_err err = job->err;
    nacre_detail why = { { 0 } };
    nacre__store_entry *entry = nacre__stores_find(&p->stores, ctx);
    entry->job = NULL;
    p->num_jobs--;
    if (err != NACRE_OK) (void)nacre__fail(&why, err, "%s", job->text != NULL ? job->text : nacre_err_text(err));
    if (err == NACRE_ERR_LOCKED) stop(p, ctx);
    const bool again = err == NACRE_OK && !confirm(p, job);
    nacre__store_job_free(job);
    if (again) nacre__persist_serve(p, ep, ctx);
    else tell(p, ep, ctx, err, &why);
}

void nacre__persist_push(nacre__persist *p, nacre_endpoint *ep)
{
    if (p->ready.first == NULL || nacre__store_threads_push(p->threads, &p->ready) == NACRE_OK) return;
    nacre__store_job *next, *job = p->ready.first; /* in a child of fork */
    p->ready = (nacre__store_jobs){ NULL, NULL };
    for (; job != NULL; job = next) {
        next = job->next;
        job->err = NACRE_ERR_LOCKED;
        job->text = strdup("the store threads belong to the process before a fork; open the context after forking");
        finish(p, ep, job);
    }
}

void nacre__persist_take(nacre__persist *p, nacre_endpoint *ep)
{
    if (p->num_jobs == 0) return;
    nacre__store_job *job = nacre__store_threads_take(p->threads, &p->inbox);
    for (nacre__store_job *next; job != NULL; job = next) {
        next = job->next;
        finish(p, ep, job);
    }
}

int nacre__persist_fd(const nacre__persist *p)
{
    return p->num_jobs > 0 ? p->inbox.read_fd : -1;
}

/* ---- Serving ---------------------------------------------------------------------------------------------------------- */

/* Without descriptors for an inbox, stores are called in this thread. */
static bool has_threads(nacre__persist *p, const nacre_store *store)
{
    return p->threads != NULL && nacre__store_has_submit(store->ops) && nacre__store_inbox_open(&p->inbox) == NACRE_OK;
}

static void take_time(nacre__persist *p, const nacre_needs *needs, uint64_t took_us)
{
    if (p->threads == NULL) return;
    if (needs->reserve != 0) nacre__store_times_add(&p->threads->times, NACRE_STORE_RESERVE, took_us);
    if (needs->window_lost) nacre__store_times_add(&p->threads->times, NACRE_STORE_WINDOW, took_us);
}

/* In this thread. The endpoint is told NACRE_OK only once the store has confirmed that the state is durable: persist before
 * use. */
static void serve_here(nacre__persist *p, nacre_endpoint *ep, nacre__store_entry *entry)
{
    nacre_context *ctx = entry->ctx;
    nacre_detail why = { { 0 } };
    const uint64_t began_us = nacre__store_clock_us();
    entry->num_late = nacre__store_num_late(p->health);
    take(p, ctx);
    const nacre_needs needs = nacre_context_needs(ctx);
    const nacre_err err = nacre_store_serve(&entry->store, ctx, &why);
    give(p, ctx);
    set_waiting(p, entry, err == NACRE_ERR_NOT_YET);
    if (err != NACRE_ERR_NOT_YET) take_time(p, &needs, nacre__store_clock_us() - began_us);
    if (err != NACRE_ERR_NOT_YET) tell(p, ep, ctx, err, &why);
}

static nacre__store_entry *find_entry(nacre__persist *p, nacre_context *ctx)
{
    nacre_store store;
    nacre__store_entry *entry = nacre__stores_find(&p->stores, ctx);
    if (entry != NULL || p->find_store == NULL || !p->find_store(p->find_store_self, ctx, &store)) return entry;
    return nacre__stores_put(&p->stores, ctx, store) == NACRE_OK ? nacre__stores_find(&p->stores, ctx) : NULL;
}

void nacre__persist_serve(nacre__persist *p, nacre_endpoint *ep, nacre_context *ctx)
{
    nacre__store_entry *entry = find_entry(p, ctx);
    nacre_detail why = { { 0 } };
    if (entry == NULL) {
        tell(p, ep, ctx, nacre__fail(&why, NACRE_ERR_FILE, "no store was added for a context that needs one"), &why);
        return;
    }
    if (entry->job != NULL) return; /* its result is the answer */
    if (has_threads(p, &entry->store)) make_job(p, ep, entry);
    else serve_here(p, ep, entry);
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
