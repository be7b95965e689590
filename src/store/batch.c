/* SPDX-License-Identifier: MIT */
/* batch: see batch.h. A wait may end in another thread, where the store calls nacre_store_done. */
#include "store/batch.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/hosted/detail.h"

void nacre_store_done(nacre_store_request *request, nacre_err err, const char *text)
{
    request->on_done(request, err, text != NULL ? text : nacre_err_text(err));
}

nacre_stored nacre__stored_of(const nacre_context *ctx)
{
    nacre_stored state = { .next_seq = nacre_context_next_seq(ctx) };
    state.window_known = nacre_replay_export(nacre_context_replay(ctx), &state.window_index, state.window_bits);
    return state;
}

/* ---- Waiting ---- */

typedef struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t done;
    size_t num_open;
    nacre_err err; /* the first */
    nacre_detail *why;
} waiter;

/* A request that is waited for. */
typedef struct waited {
    nacre_store_request request; /* first */
    waiter *waiter;
    nacre_stored state;
    nacre_context *ctx; /* of a save */
    const nacre_store *store;
    bool is_submitted;
    nacre_err err;
} waited;

static void on_done(nacre_store_request *request, nacre_err err, const char *text)
{
    waited *one = (waited *)request;
    waiter *w = one->waiter;
    (void)pthread_mutex_lock(&w->lock);
    one->err = err;
    if (err != NACRE_OK && w->err == NACRE_OK) w->err = nacre__fail(w->why, err, "%s", text);
    if (--w->num_open == 0) (void)pthread_cond_signal(&w->done);
    (void)pthread_mutex_unlock(&w->lock);
}

static bool start(waiter *w, nacre_detail *why)
{
    *w = (waiter){ .why = why };
    if (pthread_mutex_init(&w->lock, NULL) != 0) return false;
    if (pthread_cond_init(&w->done, NULL) == 0) return true;
    (void)pthread_mutex_destroy(&w->lock);
    return false;
}

static nacre_err finish(waiter *w)
{
    (void)pthread_mutex_lock(&w->lock);
    while (w->num_open > 0) (void)pthread_cond_wait(&w->done, &w->lock);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_cond_destroy(&w->done);
    (void)pthread_mutex_destroy(&w->lock);
    return w->err;
}

nacre_err nacre__store_submit_and_wait(const nacre_store_ops *ops, nacre_store_request *request, nacre_detail *why)
{
    waiter w;
    if (!nacre__store_has_submit(ops))
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "the store's table of functions lacks reserve, window_lost or save");
    if (!start(&w, why)) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a store's request");
    waited one = { .request = *request, .waiter = &w };
    nacre_store_request *const requests[] = { &one.request };
    one.request.on_done = on_done;
    w.num_open = 1;
    ops->submit(requests, 1);
    return finish(&w);
}

/* ---- Many ---- */

/* Submits request `first` and all after it with the same batch. `batch`: room for them. */
static void submit_batch(waited *all, size_t first, size_t num, nacre_store_request **batch)
{
    const nacre_store *store = all[first].store;
    const void *id = nacre__store_batch(store);
    size_t num_batch = 0;
    for (size_t i = first; i < num && (i == first || store->ops->batch != NULL); i++) {
        if (all[i].is_submitted || all[i].store->ops != store->ops || nacre__store_batch(all[i].store) != id) continue;
        all[i].is_submitted = true;
        batch[num_batch++] = &all[i].request;
    }
    store->ops->submit(batch, num_batch);
}

static nacre_err save_by_submit(waited *all, size_t num, nacre_store_request **batch, nacre_detail *why)
{
    waiter w;
    if (!start(&w, why)) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for saves");
    w.num_open = num;
    for (size_t i = 0; i < num; i++) all[i].waiter = &w;
    for (size_t i = 0; i < num; i++)
        if (!all[i].is_submitted) submit_batch(all, i, num, batch);
    return finish(&w);
}

nacre_err nacre_store_save_many(const nacre_store *stores, nacre_context *const *contexts, size_t num,
                                nacre_detail *why)
{
    waited *all = calloc(num + 1, sizeof *all);
    nacre_store_request **batch = calloc(num + 1, sizeof *batch);
    nacre_err first = NACRE_OK;
    size_t num_all = 0;
    for (size_t i = 0; all != NULL && batch != NULL && i < num; i++) {
        if (!nacre__store_has_submit(stores[i].ops)) {
            const nacre_err err = nacre_store_save(&stores[i], contexts[i], first == NACRE_OK ? why : NULL);
            if (first == NACRE_OK) first = err;
            continue;
        }
        waited *w = &all[num_all++];
        nacre_context_before_save(contexts[i]);
        *w = (waited){ .state = nacre__stored_of(contexts[i]), .ctx = contexts[i], .store = &stores[i] };
        w->request = (nacre_store_request){ .self = stores[i].self, .state = &w->state, .on_done = on_done };
    }
    if (all == NULL || batch == NULL) first = nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for saves");
    else if (num_all > 0) {
        const nacre_err err = save_by_submit(all, num_all, batch, first == NACRE_OK ? why : NULL);
        if (first == NACRE_OK) first = err;
        for (size_t i = 0; i < num_all; i++)
            if (all[i].err == NACRE_ERR_LOCKED) nacre_context_stop(all[i].ctx);
    }
    free(batch);
    free(all);
    return first;
}
