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
    free(p->wishes);
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

/* ---- Packs: what their contexts ask for is taken down while the events are taken, and committed behind the last of them ---- */

static bool make_place(nacre__persist *p)
{
    if (p->num_wishes < p->cap_wishes) return true;
    const size_t cap = p->cap_wishes != 0 ? 2 * p->cap_wishes : 16;
    nacre__pack_wish *larger = realloc(p->wishes, cap * sizeof *larger);
    if (larger == NULL) return false;
    p->wishes = larger;
    p->cap_wishes = cap;
    return true;
}

/* Where other loops have the pack too. */
static nacre_err ask_shared(nacre__persist *p, nacre_pack *pack, nacre_context *ctx, nacre_detail *why)
{
    if (!make_place(p)) return nacre__store_fail(why, NACRE_ERR_NO_MEMORY, "out of memory for what a context asks for");
    take(p, ctx);
    const nacre_err err = nacre__pack_share_ask(&p->wishes[p->num_wishes], pack, ctx, why);
    give(p, ctx);
    if (err == NACRE_ERR_NOT_YET) p->num_wishes++;
    return err;
}

static void serve_from_pack(nacre__persist *p, nacre_endpoint *ep, nacre_pack *pack, nacre_context *ctx)
{
    nacre_detail why = { { 0 } };
    const nacre_err err = p->lock.take != NULL ? ask_shared(p, pack, ctx, &why) : nacre_pack_ask(pack, ctx, &why);
    if (err == NACRE_ERR_NOT_YET) return;
    if (err != NACRE_OK) p->failure = why;
    nacre_endpoint_confirmed(ep, ctx, err);
}

static void on_pack_commit(void *user, nacre_context *ctx, nacre_err err)
{
    nacre_endpoint_confirmed(user, ctx, err);
}

/* No context's lock is held while the disk writes: the other loops go on. */
static void commit_shared(nacre__persist *p, nacre_endpoint *ep, nacre_pack *pack)
{
    nacre_detail why = { { 0 } };
    bool any = false;
    for (size_t i = 0; i < p->num_wishes && !any; i++) any = p->wishes[i].pack == pack;
    if (!any) return;
    const nacre_err flushed = nacre__pack_share_flush(pack, &why);
    if (flushed != NACRE_OK) p->failure = why;
    for (size_t i = 0; i < p->num_wishes; i++) {
        const nacre__pack_wish *wish = &p->wishes[i];
        if (wish->pack != pack) continue;
        nacre_err err = flushed;
        if (err == NACRE_OK) {
            take(p, wish->ctx);
            err = nacre__pack_share_confirm(wish, &why);
            give(p, wish->ctx);
            if (err != NACRE_OK) p->failure = why;
        }
        nacre_endpoint_confirmed(ep, wish->ctx, err);
    }
}

void nacre__persist_commit(nacre__persist *p, nacre_endpoint *ep)
{
    nacre_detail why = { { 0 } };
    for (size_t i = 0; i < p->num_packs && p->lock.take == NULL; i++)
        if (nacre_pack_commit(p->packs[i], on_pack_commit, ep, &why) != NACRE_OK) p->failure = why;
    for (size_t i = 0; i < p->num_packs && p->num_wishes > 0; i++) commit_shared(p, ep, p->packs[i]);
    p->num_wishes = 0;
}

/* ---- Stores, and either ---- */

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
