/* SPDX-License-Identifier: MIT */
/* loader: one thread for all databases of a server. All lookups that wait at one time are one query of each database. */
#include "io/server/loader.h"
#include "base/hosted/detail.h"
#include "store/sqlite/sqlite_serve.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    AT_ONCE = 64,
    POLL_MS = 500,         /* between looks for changes of a database, while nothing is looked up */
    FORGET_MS = 60 * 1000, /* how long a kid without contexts is remembered */
    MAX_DATABASES = 16,
    MIN_MORE = 256 * 1024, /* bytes above the limit of the cache, while contexts that could go are in use */
    PAUSE = 7,             /* times the time that kids without contexts took */
};

/* One request that waits. */
typedef struct lookup {
    struct lookup *next;
    nacre__worker *worker;
    nacre_exchange exchange;
    nacre_err err; /* result */
    bool found;    /* a database has contexts for it */
    bool failed;   /* … or cannot be read, or one was not loaded, for lack of memory or space in the cache */
    uint8_t kid[NACRE_MAX_ID], kid_context[255];
    size_t kid_len, kid_context_len;
    bool has_kid_context;
} lookup;

/* Results for one worker. */
typedef struct results {
    nacre__task task; /* first */
    size_t num;
    struct {
        nacre_exchange exchange;
        nacre_err err;
    } all[AT_ONCE];
} results;

struct nacre__loader {
    nacre_server *server;
    nacre__kid_memo *memo;
    nacre__cache cache;
    atomic_uint_least64_t hits, misses;
    pthread_mutex_t lock; /* over all below */
    pthread_cond_t work;
    lookup *first, *last;
    nacre__database *databases[MAX_DATABASES];
    atomic_size_t num_databases; /* nacre__loader_count reads it without the lock */
    bool is_new;                 /* a database was added: what is remembered of kids is not true any more */
    pthread_t thread;
    bool is_running, ends;
};

/* ---- Queries ---------------------------------------------------------------------------------------------------------- */

static nacre_bytes kid_of(const lookup *l)
{
    return nacre_bytes_of(l->kid, l->kid_len);
}

static nacre_bytes kid_context_of(const lookup *l)
{
    return l->has_kid_context ? nacre_bytes_of(l->kid_context, l->kid_context_len) : NACRE_ABSENT;
}

/* One context: loaded, and let in, unless it is already. */
static void load_one(nacre__loader *loader, nacre__database *from, int64_t id, lookup *l)
{
    nacre_context *ctx = NULL;
    nacre_store store;
    nacre_detail why = { "" };
    nacre_err err = nacre_sqlite_load(from->db, &ctx, &id, 1, &why);
    if (err != NACRE_OK) nacre__server_warn(loader->server, why.text);
    if (err == NACRE_ERR_NO_MEMORY || err == NACRE_ERR_FILE) l->failed = true;
    if (err != NACRE_OK || ctx == NULL || nacre__server_find_store(loader->server, ctx, &store)) return;
    err = nacre__cache_put(&loader->cache, ctx, from);
    if (err == NACRE_OK) err = nacre__server_insert(loader->server, ctx, &why);
    else (void)nacre__fail(&why, err, "out of memory for a context");
    if (err == NACRE_OK) return;
    nacre__server_warn(loader->server, why.text);
    l->failed = l->failed || err == NACRE_ERR_NO_MEMORY;
    nacre__cache_take(&loader->cache, ctx);
    (void)!nacre__sqlite_unload_these(from->db, &ctx, 1, NULL); /* it was not used, so nothing is lost */
}

static bool is_full(const nacre__loader *loader)
{
    const size_t limit = loader->server->config.cache_bytes, more = limit / 8;
    return loader->cache.bytes > limit + (more > MIN_MORE ? more : MIN_MORE);
}

static void search(nacre__loader *loader, nacre__database *from, lookup *const *all, size_t num)
{
    nacre_sqlite_query queries[AT_ONCE];
    nacre_detail why = { "" };
    for (size_t i = 0; i < num; i++)
        queries[i] = (nacre_sqlite_query){ .kid = kid_of(all[i]), .kid_context = kid_context_of(all[i]) };
    const nacre_err err = nacre_sqlite_find(from->db, queries, num, &why);
    if (err != NACRE_OK && !from->is_unreadable) nacre__server_warn(loader->server, why.text);
    from->is_unreadable = err != NACRE_OK;
    for (size_t i = 0; i < num; i++) {
        if (err != NACRE_OK) all[i]->failed = true;
        for (size_t k = 0; err == NACRE_OK && k < queries[i].num_ids; k++) {
            all[i]->found = true;
            if (is_full(loader)) all[i]->failed = true;
            else load_one(loader, from, queries[i].ids[k], all[i]);
        }
    }
}

/* What was written by another program meanwhile may be about any kid. */
static void look_for_changes(nacre__loader *loader, nacre__database *const *databases, size_t num)
{
    bool any = false;
    for (size_t i = 0; i < num; i++) {
        uint64_t version = databases[i]->version;
        if (nacre__sqlite_data_version(databases[i]->db, &version, NULL) != NACRE_OK) continue;
        any = any || version != databases[i]->version;
        databases[i]->version = version;
    }
    if (any) nacre__kid_memo_forget_all(loader->memo);
}

/* ---- Results ---------------------------------------------------------------------------------------------------------- */

static void tell_worker(nacre__task *task, nacre__worker *worker)
{
    results *r = (results *)task;
    for (size_t i = 0; i < r->num; i++)
        nacre_endpoint_looked_up(nacre_loop_endpoint(worker->loop), r->all[i].exchange, r->all[i].err);
    free(r);
}

/* Without memory for it the requests wait until they are dropped. */
static void tell(nacre__worker *worker, lookup *const *all, size_t num)
{
    results *r = NULL;
    for (size_t i = 0; i < num; i++) {
        if (all[i]->worker != worker) continue;
        if (r == NULL) r = calloc(1, sizeof *r);
        if (r == NULL) return;
        r->all[r->num].exchange = all[i]->exchange;
        r->all[r->num++].err = all[i]->err;
    }
    if (r == NULL) return;
    r->task.run = tell_worker;
    nacre__worker_post(worker, &r->task);
}

static void judge(nacre__loader *loader, lookup *l)
{
    l->err = l->found ? NACRE_OK : l->failed ? NACRE_ERR_FILE : NACRE_ERR_NO_CONTEXT;
    if (!l->failed)
        nacre__kid_memo_put(loader->memo, kid_of(l), kid_context_of(l),
                            l->found ? NACRE__KID_HAS_ALL : NACRE__KID_HAS_NONE);
}

/* ---- The thread ------------------------------------------------------------------------------------------------------- */

static uint64_t clock_us(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0) return 0;
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void serve(nacre__loader *loader, lookup *const *all, size_t num, nacre__database *const *databases,
                  size_t num_databases)
{
    nacre_server *server = loader->server;
    const uint64_t began = clock_us(CLOCK_THREAD_CPUTIME_ID);
    size_t num_none = 0;
    look_for_changes(loader, databases, num_databases);
    for (size_t i = 0; i < num_databases; i++) search(loader, databases[i], all, num);
    for (size_t i = 0; i < num; i++) {
        judge(loader, all[i]);
        num_none += !all[i]->found;
    }
    for (size_t i = 0; i < server->num_workers; i++) tell(&server->workers[i], all, num);
    for (size_t i = 0; i < num; i++) free(all[i]);
    nacre__cache_shrink(&loader->cache, server, loader->memo, server->config.cache_bytes);
    const uint64_t pause = PAUSE * (clock_us(CLOCK_THREAD_CPUTIME_ID) - began) * num_none / (num > 0 ? num : 1);
    const struct timespec wait = { .tv_sec = (time_t)(pause / 1000000), .tv_nsec = (long)(pause % 1000000) * 1000 };
    if (num_none > 0) (void)nanosleep(&wait, NULL);
}

/* Waits for lookups, and takes some; 0: time to look for changes. The lock is held. */
static size_t take(nacre__loader *loader, lookup *all[AT_ONCE])
{
    size_t num = 0;
    struct timespec until;
    if (loader->first == NULL && !loader->ends) {
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += (long)POLL_MS * 1000000;
        if (until.tv_nsec >= 1000000000) until.tv_nsec -= 1000000000, until.tv_sec++;
        (void)pthread_cond_timedwait(&loader->work, &loader->lock, &until);
    }
    for (; num < AT_ONCE && loader->first != NULL; num++) {
        all[num] = loader->first;
        loader->first = all[num]->next;
    }
    return num;
}

static void *work(void *arg)
{
    nacre__loader *loader = arg;
    lookup *all[AT_ONCE];
    uint64_t forgot = clock_us(CLOCK_MONOTONIC);
    (void)pthread_mutex_lock(&loader->lock);
    while (!loader->ends) {
        const size_t num = take(loader, all), num_databases = loader->num_databases;
        nacre__database **databases = loader->databases; /* entries of this list do not change */
        const bool is_new = loader->is_new;
        loader->is_new = false;
        (void)pthread_mutex_unlock(&loader->lock);
        if (is_new || clock_us(CLOCK_MONOTONIC) - forgot > (uint64_t)FORGET_MS * 1000) {
            nacre__kid_memo_forget_all(loader->memo);
            forgot = clock_us(CLOCK_MONOTONIC);
        }
        if (num > 0) serve(loader, all, num, databases, num_databases);
        else look_for_changes(loader, databases, num_databases);
        (void)pthread_mutex_lock(&loader->lock);
    }
    (void)pthread_mutex_unlock(&loader->lock);
    return NULL;
}

/* ---- For workers ------------------------------------------------------------------------------------------------------ */

static void push(nacre__loader *loader, lookup *l)
{
    (void)pthread_mutex_lock(&loader->lock);
    if (loader->first != NULL) loader->last->next = l;
    else loader->first = l;
    loader->last = l;
    (void)pthread_cond_signal(&loader->work);
    (void)pthread_mutex_unlock(&loader->lock);
}

void nacre__loader_on_lookup(void *self, nacre_endpoint *ep, const nacre_event *event)
{
    nacre__worker *worker = self;
    nacre__loader *loader = worker->loader;
    nacre_bytes kid, kid_context;
    if (nacre_endpoint_looked_up_kid(ep, event->exchange, &kid, &kid_context) != NACRE_OK) return;
    const bool is_possible = kid.len <= NACRE_MAX_ID && kid_context.len <= 255;
    const nacre__kid_fact fact =
        is_possible ? nacre__kid_memo_get(loader->memo, kid, kid_context) : NACRE__KID_HAS_NONE;
    (void)atomic_fetch_add(fact != NACRE__KID_NOT_KNOWN ? &loader->hits : &loader->misses, 1);
    if (fact != NACRE__KID_NOT_KNOWN) {
        nacre_endpoint_looked_up(ep, event->exchange, fact == NACRE__KID_HAS_ALL ? NACRE_OK : NACRE_ERR_NO_CONTEXT);
        return;
    }
    lookup *l = calloc(1, sizeof *l);
    if (l == NULL) {
        nacre_endpoint_looked_up(ep, event->exchange, NACRE_ERR_NO_MEMORY);
        return;
    }
    l->worker = worker;
    l->exchange = event->exchange;
    l->kid_len = kid.len;
    if (kid.len > 0) memcpy(l->kid, kid.ptr, kid.len);
    l->has_kid_context = !nacre_is_absent(kid_context);
    l->kid_context_len = kid_context.len;
    if (kid_context.len > 0) memcpy(l->kid_context, kid_context.ptr, kid_context.len);
    push(loader, l);
}

nacre__loader_counts nacre__loader_count(const nacre__loader *loader)
{
    if (loader == NULL) return (nacre__loader_counts){ 0 };
    return (nacre__loader_counts){ .hits = atomic_load(&loader->hits),
                                   .misses = atomic_load(&loader->misses),
                                   .evictions = atomic_load(&loader->cache.num_evicted),
                                   .num_databases = atomic_load(&loader->num_databases) };
}

/* ---- Life ------------------------------------------------------------------------------------------------------------- */

nacre_err nacre__loader_open(nacre__loader **out, nacre_server *server)
{
    const nacre_random random = nacre_entropy();
    uint8_t hash_key[16];
    nacre__loader *loader = calloc(1, sizeof *loader);
    if (loader == NULL) return NACRE_ERR_NO_MEMORY;
    loader->server = server;
    loader->memo = calloc(1, sizeof *loader->memo);
    if (loader->memo != NULL && pthread_mutex_init(&loader->lock, NULL) == 0) {
        if (pthread_cond_init(&loader->work, NULL) == 0) {
            random.fill(random.self, hash_key, sizeof hash_key);
            nacre__kid_memo_init(loader->memo, hash_key);
            *out = loader;
            return NACRE_OK;
        }
        (void)pthread_mutex_destroy(&loader->lock);
    }
    free(loader->memo);
    free(loader);
    return NACRE_ERR_NO_MEMORY;
}

/* Signals are for the program's threads. */
static int start(nacre__loader *loader)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&loader->thread, NULL, work, loader);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

nacre_err nacre__loader_add(nacre__loader *loader, nacre__database *database)
{
    nacre_err err = nacre__sqlite_data_version(database->db, &database->version, NULL);
    if (err != NACRE_OK) return err;
    (void)pthread_mutex_lock(&loader->lock);
    if (loader->num_databases == MAX_DATABASES) err = NACRE_ERR_UNSUPPORTED;
    if (err == NACRE_OK && !loader->is_running && start(loader) != 0) err = NACRE_ERR_NO_MEMORY;
    if (err == NACRE_OK) {
        loader->is_running = loader->is_new = true;
        loader->databases[loader->num_databases++] = database;
        (void)pthread_cond_signal(&loader->work);
    }
    (void)pthread_mutex_unlock(&loader->lock);
    return err;
}

void nacre__loader_stop(nacre__loader *loader)
{
    if (loader == NULL || !loader->is_running) return;
    (void)pthread_mutex_lock(&loader->lock);
    loader->ends = true;
    (void)pthread_cond_signal(&loader->work);
    (void)pthread_mutex_unlock(&loader->lock);
    (void)pthread_join(loader->thread, NULL);
    loader->is_running = false;
}

nacre_err nacre__loader_close(nacre__loader *loader, nacre_detail *why)
{
    nacre_err err = NACRE_OK;
    if (loader == NULL) return NACRE_OK;
    for (lookup *next, *l = loader->first; l != NULL; l = next) {
        next = l->next;
        free(l);
    }
    for (size_t i = 0; i < loader->num_databases; i++) {
        nacre__database *database = loader->databases[i];
        const nacre_err closed = nacre_sqlite_close(database->db, err == NACRE_OK ? why : NULL);
        if (err == NACRE_OK) err = closed;
        nacre_provider_close(&database->crypto);
        free(database);
    }
    nacre__cache_free(&loader->cache);
    free(loader->memo);
    (void)pthread_cond_destroy(&loader->work);
    (void)pthread_mutex_destroy(&loader->lock);
    free(loader);
    return err;
}
