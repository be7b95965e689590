/* SPDX-License-Identifier: MIT */
/* cache: contexts leave in rounds. The first worker tells which of some contexts were used since the last visit. The others leave the
 * table, so that nothing new begins with them, and each worker tells which it still refers to: these come back. The rest is
 * unloaded, with one sync. */
#include "io/server/cache.h"
#include "io/loop_internal.h"
#include "store/sqlite/sqlite_serve.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum {
    AT_ONCE = 64,
    WAIT_MS = 200,    /* for a worker; a handler may take longer, and then nothing leaves this time */
    TABLE_BYTES = 64, /* of a context, in the table, and in other tables by context */
};

nacre_err nacre__cache_put(nacre__cache *cache, nacre_context *ctx, nacre__database *from)
{
    if (cache->num == cache->cap) {
        const size_t cap = cache->cap != 0 ? 2 * cache->cap : 64;
        nacre__cached *larger = realloc(cache->all, cap * sizeof *larger);
        if (larger == NULL) return NACRE_ERR_NO_MEMORY;
        cache->all = larger;
        cache->cap = cap;
    }
    const size_t size = nacre__sqlite_size(ctx) + sizeof(nacre__cached) + TABLE_BYTES;
    cache->all[cache->num++] = (nacre__cached){ .ctx = ctx, .from = from, .size = size };
    cache->bytes += size;
    return NACRE_OK;
}

void nacre__cache_take(nacre__cache *cache, const nacre_context *ctx)
{
    if (cache->num == 0 || cache->all[cache->num - 1].ctx != ctx) return;
    cache->bytes -= cache->all[--cache->num].size;
}

void nacre__cache_free(nacre__cache *cache)
{
    free(cache->all);
    cache->all = NULL;
    cache->num = cache->cap = cache->bytes = 0;
}

/* ---- A round: shared with the workers' tasks; freed by whichever is last ---- */

typedef struct round round_of;
typedef struct visit {
    nacre__task task; /* first */
    round_of *owner;
} visit;
struct round {
    nacre_server *server;
    bool is_final; /* whether contexts are in use, not whether they were used */
    size_t num;
    nacre_context *contexts[AT_ONCE];
    uint64_t states[AT_ONCE];
    bool stays[AT_ONCE];
    pthread_mutex_t lock; /* over `stays` and … */
    pthread_cond_t done;
    size_t num_left, num_refs;
    visit visits[];
};

static void let_round(round_of *r)
{
    (void)pthread_mutex_lock(&r->lock);
    const bool is_last = --r->num_refs == 0;
    (void)pthread_mutex_unlock(&r->lock);
    if (!is_last) return;
    (void)pthread_cond_destroy(&r->done);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

static uint64_t bits_of(const nacre_replay *replay)
{
    uint64_t sum = replay->known;
    if (nacre_replay_words(replay->size) == 0) return sum + 2 * replay->bits;
    for (size_t i = 0; i < nacre_replay_words(replay->size); i++) sum = sum * 31 + replay->words[i];
    return sum;
}

/* Its numbers and its window in one word, which is not 0. */
static uint64_t state_of(const nacre_server *server, nacre_context *ctx)
{
    nacre__locks *locks = server->locks;
    if (locks != NULL) nacre__locks_take(locks, &ctx, 1);
    const nacre_replay *replay = nacre_context_replay(ctx);
    const uint64_t window = (uint64_t)replay->index_high << 32 | replay->index_low;
    const uint64_t state = (nacre_context_next_seq(ctx) * 3 + window * 5 + bits_of(replay) * 7) | 1;
    if (locks != NULL) nacre__locks_give(locks, &ctx, 1);
    return state;
}

static void visit_worker(nacre__task *task, nacre__worker *worker)
{
    round_of *r = ((visit *)task)->owner;
    bool stays[AT_ONCE] = { false };
    (void)pthread_mutex_lock(&r->lock);
    const bool is_open = r->num_left > 0;
    (void)pthread_mutex_unlock(&r->lock);
    for (size_t i = 0; is_open && i < r->num; i++) {
        if (r->is_final) {
            stays[i] = nacre__loop_uses_context(worker->loop, r->contexts[i]);
            if (!stays[i]) nacre_loop_remove_store(worker->loop, r->contexts[i]);
            continue;
        }
        const uint64_t state = state_of(r->server, r->contexts[i]);
        stays[i] = state != r->states[i];
        r->states[i] = state;
    }
    (void)pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->num; i++) r->stays[i] = r->stays[i] || stays[i];
    if (r->num_left > 0 && --r->num_left == 0) (void)pthread_cond_signal(&r->done);
    (void)pthread_mutex_unlock(&r->lock);
    let_round(r);
}

static round_of *new_round(nacre_server *server, bool is_final)
{
    round_of *r = calloc(1, sizeof *r + server->num_workers * sizeof r->visits[0]);
    if (r == NULL) return NULL;
    r->server = server;
    r->is_final = is_final;
    if (pthread_mutex_init(&r->lock, NULL) == 0) {
        if (pthread_cond_init(&r->done, NULL) == 0) return r;
        (void)pthread_mutex_destroy(&r->lock);
    }
    free(r);
    return NULL;
}

/* Has the first `num_workers` do their visits. False: one of them is busy; what it finds is ignored. */
static bool visit_workers(round_of *r, size_t num_workers)
{
    struct timespec until;
    r->num_left = num_workers;
    r->num_refs = num_workers + 1;
    for (size_t i = 0; i < num_workers; i++) {
        r->visits[i] = (visit){ { NULL, visit_worker }, r };
        nacre__worker_post(&r->server->workers[i], &r->visits[i].task);
    }
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_MS / 1000;
    until.tv_nsec += WAIT_MS % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_nsec -= 1000000000, until.tv_sec++;
    (void)pthread_mutex_lock(&r->lock);
    int error = 0;
    while (r->num_left > 0 && error != ETIMEDOUT) error = pthread_cond_timedwait(&r->done, &r->lock, &until);
    const bool is_done = r->num_left == 0;
    r->num_left = 0; /* from here on nothing is written */
    (void)pthread_mutex_unlock(&r->lock);
    return is_done;
}

/* ---- Leaving ---- */

static void forget_kid(nacre__kid_memo *memo, const nacre_context *ctx)
{
    const nacre_bytes kid = nacre_context_recipient_id(ctx), id_context = nacre_context_id_context(ctx);
    nacre__kid_memo_put(memo, kid, NACRE_ABSENT, NACRE__KID_NOT_KNOWN);
    if (!nacre_is_absent(id_context)) nacre__kid_memo_put(memo, kid, id_context, NACRE__KID_NOT_KNOWN);
}

static void unload(nacre__database *from, nacre_context *const *contexts, size_t num, nacre_server *server)
{
    nacre_detail why = { "" };
    if (num > 0 && nacre__sqlite_unload_these(from->db, contexts, num, &why) != NACRE_OK)
        nacre__server_warn(server, why.text);
}

/* Those of the round that no worker refers to leave the server; `at`: where they are in the cache, in ascending order. */
static size_t take_out(nacre__cache *cache, const round_of *r, const size_t *at)
{
    nacre_context *leaving[AT_ONCE];
    nacre__database *from = NULL;
    size_t num = 0, num_unloaded = 0;
    for (size_t i = r->num; i > 0; i--) { /* from the end: the last entry moves into each gap */
        nacre__cached *entry = &cache->all[at[i - 1]];
        if (r->stays[i - 1]) {
            nacre__server_put_back(r->server, entry->ctx);
            continue;
        }
        if (entry->from != from) unload(from, leaving, num, r->server);
        if (entry->from != from) num = 0;
        from = entry->from;
        nacre__server_forget(r->server, entry->ctx);
        leaving[num++] = entry->ctx;
        cache->bytes -= entry->size;
        *entry = cache->all[--cache->num];
        num_unloaded++;
        (void)atomic_fetch_add(&cache->num_evicted, 1);
    }
    unload(from, leaving, num, r->server);
    return num_unloaded;
}

/* The next contexts under the hand that were not used since its last visit. */
static size_t choose(nacre__cache *cache, nacre_server *server, size_t chosen[AT_ONCE])
{
    round_of *r = new_round(server, false);
    size_t at[AT_ONCE] = { 0 }, num = 0;
    if (r == NULL) return 0;
    for (; r->num < AT_ONCE && r->num < cache->num; r->num++) {
        if (cache->hand >= cache->num) cache->hand = 0;
        at[r->num] = cache->hand++;
        r->contexts[r->num] = cache->all[at[r->num]].ctx;
        r->states[r->num] = cache->all[at[r->num]].state;
    }
    if (visit_workers(r, 1))
        for (size_t i = 0; i < r->num; i++) {
            cache->all[at[i]].state = r->states[i];
            if (!r->stays[i]) chosen[num++] = at[i];
        }
    let_round(r);
    return num;
}

static int ascending(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

static size_t evict(nacre__cache *cache, nacre_server *server, nacre__kid_memo *memo)
{
    size_t chosen[AT_ONCE] = { 0 }, num_unloaded = 0;
    const size_t num = choose(cache, server, chosen);
    if (num == 0) return 0;
    round_of *r = new_round(server, true);
    if (r == NULL) return 0;
    qsort(chosen, num, sizeof chosen[0], ascending);
    for (; r->num < num; r->num++) {
        r->contexts[r->num] = cache->all[chosen[r->num]].ctx;
        forget_kid(memo, r->contexts[r->num]); /* before, or a request would be told that the table has all */
        nacre__server_take_back(server, r->contexts[r->num]);
    }
    const bool is_done = visit_workers(r, server->num_workers);
    (void)pthread_mutex_lock(&r->lock);
    for (size_t i = 0; !is_done && i < r->num; i++) r->stays[i] = true;
    (void)pthread_mutex_unlock(&r->lock);
    num_unloaded = take_out(cache, r, chosen);
    let_round(r);
    return num_unloaded;
}

void nacre__cache_shrink(nacre__cache *cache, nacre_server *server, nacre__kid_memo *memo, size_t limit)
{
    size_t num_visited = 0;
    while (cache->bytes > limit && num_visited < 2 * cache->num + AT_ONCE) {
        const size_t num_unloaded = evict(cache, server, memo);
        num_visited = num_unloaded > 0 ? 0 : num_visited + AT_ONCE;
    }
}
