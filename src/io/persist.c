/* SPDX-License-Identifier: MIT */
/* persist: what contexts ask of their stores, one by one, or of their packs, all at once. */
#include "io/persist.h"
#include "store/fail.h"

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
    if (p->lock.take != NULL) p->lock.take(p->lock.self, &ctx, 1);
}

static void give(const nacre__persist *p, nacre_context *ctx)
{
    if (p->lock.take != NULL) p->lock.give(p->lock.self, &ctx, 1);
}

static nacre_pack *pack_of(const nacre__persist *p, const nacre_context *ctx)
{
    for (size_t i = 0; i < p->num_packs; i++)
        if (nacre_pack_holds(p->packs[i], ctx)) return p->packs[i];
    return NULL;
}

/* What the contexts of packs ask for is taken down while the events are taken, and committed behind the last of them. Where
 * other loops have the pack too, each context is served by itself. */
static void serve_from_pack(nacre__persist *p, nacre_endpoint *ep, nacre_pack *pack, nacre_context *ctx)
{
    nacre_detail why = { { 0 } };
    nacre_err err;
    if (p->lock.take != NULL) {
        const nacre_store store = nacre_pack_store(pack, ctx);
        take(p, ctx);
        err = nacre_store_serve(&store, ctx, &why);
        give(p, ctx);
    } else err = nacre_pack_ask(pack, ctx, &why);
    if (err == NACRE_ERR_NOT_YET) return;
    if (err != NACRE_OK) p->failure = why;
    nacre_endpoint_confirmed(ep, ctx, err);
}

static void on_pack_commit(void *user, nacre_context *ctx, nacre_err err)
{
    nacre_endpoint_confirmed(user, ctx, err);
}

void nacre__persist_commit(nacre__persist *p, nacre_endpoint *ep)
{
    nacre_detail why = { { 0 } };
    for (size_t i = 0; i < p->num_packs && p->lock.take == NULL; i++)
        if (nacre_pack_commit(p->packs[i], on_pack_commit, ep, &why) != NACRE_OK) p->failure = why;
}

/* The endpoint hears NACRE_OK only once the store has said that it is durable: persist before use. */
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
    take(p, ctx);
    if (entry == NULL) (void)nacre__store_fail(&why, err, "no store was added for a context that needs one");
    else err = nacre_store_serve(&entry->store, ctx, &why);
    give(p, ctx);
    if (entry != NULL) set_waiting(p, entry, err == NACRE_ERR_NOT_YET);
    if (err == NACRE_ERR_NOT_YET) return;
    if (err != NACRE_OK) p->failure = why;
    nacre_endpoint_confirmed(ep, ctx, err);
}

static bool needs_nothing(const nacre__persist *p, nacre_context *ctx)
{
    take(p, ctx);
    nacre_needs needs = nacre_context_needs(ctx);
    give(p, ctx);
    return needs.reserve == 0 && !needs.window_lost;
}

void nacre__persist_look(nacre__persist *p, nacre_endpoint *ep)
{
    for (size_t i = 0; i < p->stores.cap && p->stores.num_waiting > 0; i++) {
        nacre__store_entry *entry = &p->stores.entries[i];
        if (entry->ctx == NULL || !entry->waiting || !needs_nothing(p, entry->ctx)) continue;
        set_waiting(p, entry, false);
        nacre_endpoint_confirmed(ep, entry->ctx, NACRE_OK);
    }
}
