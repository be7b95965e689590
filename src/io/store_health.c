/* SPDX-License-Identifier: MIT */
/* store_health: a hash table of contexts, with linear probing. It holds only contexts whose stores fail, so that a
 * working store costs one read of a counter. */
#include "io/store_health.h"
#include "base/pointer_hash.h"

#include <stdlib.h>

enum { AGAIN_MS = 5000 }; /* minimum between STILL_FAILS reports */

nacre_err nacre__store_health_init(nacre__store_health *h)
{
    *h = (nacre__store_health){ .cap = 0 };
    return pthread_mutex_init(&h->lock, NULL) == 0 ? NACRE_OK : NACRE_ERR_NO_MEMORY;
}

void nacre__store_health_free(nacre__store_health *h)
{
    free(h->entries);
    (void)pthread_mutex_destroy(&h->lock);
}

void nacre__store_health_watch(nacre__store_health *h, nacre_on_store on_store, void *user)
{
    (void)pthread_mutex_lock(&h->lock);
    h->on_store = on_store;
    h->user = user;
    (void)pthread_mutex_unlock(&h->lock);
}

nacre_store_health nacre__store_health_get(const nacre__store_health *h)
{
    return (nacre_store_health){ .num_failures = atomic_load(&h->num_failures),
                                 .num_failing = atomic_load(&h->num_failing) };
}

/* ---- The table -------------------------------------------------------------------------------------------------------- */

static size_t home(const nacre__store_health *h, const nacre_context *ctx)
{
    return (size_t)(nacre__pointer_hash(ctx) >> 32) & (h->cap - 1);
}

/* The index of `ctx`, or of the free entry where it would be. */
static size_t index_of(const nacre__store_health *h, const nacre_context *ctx)
{
    size_t at = home(h, ctx);
    while (h->entries[at].ctx != NULL && h->entries[at].ctx != ctx) at = (at + 1) & (h->cap - 1);
    return at;
}

static bool grow(nacre__store_health *h)
{
    nacre__failing_store *old = h->entries;
    const size_t old_cap = h->cap, cap = old_cap != 0 ? 2 * old_cap : 8;
    nacre__failing_store *larger = calloc(cap, sizeof *larger);
    if (larger == NULL) return false;
    h->entries = larger;
    h->cap = cap;
    for (size_t i = 0; i < old_cap; i++)
        if (old[i].ctx != NULL) larger[index_of(h, old[i].ctx)] = old[i];
    free(old);
    return true;
}

/* True when `ctx` was not in the table. Out of memory: false, and the failure is counted but not reported as a
 * new one. */
static bool add(nacre__store_health *h, nacre_context *ctx, const void *finder)
{
    const size_t num = atomic_load(&h->num_failing);
    if (h->cap > 0 && h->entries[index_of(h, ctx)].ctx == ctx) return false;
    if (num + 1 > h->cap / 4 * 3 && !grow(h)) return false;
    h->entries[index_of(h, ctx)] = (nacre__failing_store){ .ctx = ctx, .finder = finder };
    atomic_store(&h->num_failing, num + 1);
    return true;
}

static bool take_out(nacre__store_health *h, const nacre_context *ctx)
{
    if (h->cap == 0) return false;
    size_t gap = index_of(h, ctx);
    const size_t mask = h->cap - 1;
    if (h->entries[gap].ctx == NULL) return false;
    for (size_t at = (gap + 1) & mask; h->entries[at].ctx != NULL; at = (at + 1) & mask) { /* close the gap */
        const size_t from_home = (at - home(h, h->entries[at].ctx)) & mask;
        if (from_home < ((at - gap) & mask)) continue;
        h->entries[gap] = h->entries[at];
        gap = at;
    }
    h->entries[gap] = (nacre__failing_store){ .ctx = NULL };
    atomic_fetch_sub(&h->num_failing, 1);
    return true;
}

nacre_context *nacre__store_next_failing(nacre__store_health *h, const void *finder, size_t *at)
{
    nacre_context *found = NULL;
    (void)pthread_mutex_lock(&h->lock);
    for (; *at < h->cap && found == NULL; ++*at)
        if (h->entries[*at].ctx != NULL && h->entries[*at].finder == finder) found = h->entries[*at].ctx;
    (void)pthread_mutex_unlock(&h->lock);
    return found;
}

/* ---- Reports ---------------------------------------------------------------------------------------------------------- */

static void tell(nacre__store_health *h, nacre_store_state state, nacre_context *ctx, nacre_err err, const char *text)
{
    if (h->on_store == NULL) return;
    const nacre_store_report report = { .state = state,
                                        .context = ctx,
                                        .claims = h->claims != NULL ? h->claims(h->claims_self, ctx) : NULL,
                                        .err = err,
                                        .text = text,
                                        .num_failing = atomic_load(&h->num_failing),
                                        .num_failures = atomic_load(&h->num_failures) };
    h->on_store(h->user, &report);
}

static void note_failure(nacre__store_health *h, nacre_context *ctx, const void *finder, nacre_err err,
                         const nacre_detail *why)
{
    const char *text = why->text[0] != '\0' ? why->text : nacre_err_text(err);
    const uint64_t now = nacre_clock_ms();
    atomic_fetch_add(&h->num_failures, 1);
    const bool begins = add(h, ctx, finder);
    if (!begins && now - h->told_at < AGAIN_MS) return;
    h->told_at = now;
    tell(h, begins ? NACRE_STORE_FAILS : NACRE_STORE_STILL_FAILS, ctx, err, text);
}

void nacre__failed(nacre__store_health *h, nacre_context *ctx, const void *finder, nacre_err err,
                   const nacre_detail *why)
{
    if (h == NULL) return;
    (void)pthread_mutex_lock(&h->lock);
    note_failure(h, ctx, finder, err, why);
    (void)pthread_mutex_unlock(&h->lock);
}

void nacre__report_failure(nacre__store_health *h, nacre_context *ctx, const void *finder, nacre_err err,
                           const nacre_detail *why)
{
    (void)pthread_mutex_lock(&h->lock);
    note_failure(h, ctx, finder, err, why);
    h->num_late++;
    nacre__failing_store *entry = h->cap > 0 ? &h->entries[index_of(h, ctx)] : NULL;
    if (entry != NULL && entry->ctx != NULL) {
        entry->late = h->num_late;
        entry->err = err;
    }
    (void)pthread_mutex_unlock(&h->lock);
}

uint64_t nacre__store_num_late(nacre__store_health *h)
{
    if (h == NULL) return 0;
    (void)pthread_mutex_lock(&h->lock);
    const uint64_t num = h->num_late;
    (void)pthread_mutex_unlock(&h->lock);
    return num;
}

nacre_err nacre__failed_since(nacre__store_health *h, const nacre_context *ctx, uint64_t num_late)
{
    if (h == NULL || atomic_load(&h->num_failing) == 0) return NACRE_OK;
    (void)pthread_mutex_lock(&h->lock);
    const nacre__failing_store *entry = &h->entries[index_of(h, ctx)];
    const nacre_err err = entry->ctx != NULL && entry->late > num_late ? entry->err : NACRE_OK;
    (void)pthread_mutex_unlock(&h->lock);
    return err;
}

void nacre__store_found_by(nacre__store_health *h, const nacre_context *ctx, const void *finder)
{
    (void)pthread_mutex_lock(&h->lock);
    nacre__failing_store *entry = h->cap > 0 ? &h->entries[index_of(h, ctx)] : NULL;
    if (entry != NULL && entry->ctx != NULL) entry->finder = finder;
    (void)pthread_mutex_unlock(&h->lock);
}

bool nacre__store_worked(nacre__store_health *h, nacre_context *ctx)
{
    if (h == NULL || atomic_load(&h->num_failing) == 0) return false;
    (void)pthread_mutex_lock(&h->lock);
    const bool failed = take_out(h, ctx);
    if (failed) tell(h, NACRE_STORE_WORKS, ctx, NACRE_OK, "");
    (void)pthread_mutex_unlock(&h->lock);
    return failed;
}

void nacre__store_forget(nacre__store_health *h, const nacre_context *ctx)
{
    if (h == NULL || atomic_load(&h->num_failing) == 0) return;
    (void)pthread_mutex_lock(&h->lock);
    (void)take_out(h, ctx);
    (void)pthread_mutex_unlock(&h->lock);
}
