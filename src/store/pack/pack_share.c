/* SPDX-License-Identifier: MIT */
/* pack_share: see pack_share.h. Between a flush and what it confirms, a thread may have saved that context: the count of saves
 * tells, for both are done under the context's lock. */
#include "store/pack/pack_share.h"

#include <stdio.h>

#include "store/pack/pack_internal.h"

nacre_err nacre__pack_share_ask(nacre__pack_wish *wish, nacre_pack *pack, nacre_context *ctx, nacre_detail *why)
{
    nacre_err err;
    *wish = (nacre__pack_wish){ .pack = pack, .ctx = ctx };
    nacre__packed *packed = nacre__state_asker(&wish->needs, pack, ctx, &err, why);
    if (packed == NULL) return err;
    (void)pthread_mutex_lock(&pack->stores_lock);
    wish->num_saves = pack->num_saves;
    err = nacre__state_note(packed, wish->needs.reserve, wish->needs.window_lost, why);
    (void)pthread_mutex_unlock(&pack->stores_lock);
    return err == NACRE_OK ? NACRE_ERR_NOT_YET : err;
}

void nacre__pack_label(char *label, size_t size, const nacre_pack *pack, const nacre_context *ctx)
{
    const nacre__packed *packed = nacre__pack_find(pack, ctx);
    if (packed == NULL) return;
    const size_t place = packed->segment->first_place + (size_t)(packed - packed->segment->contexts);
    (void)snprintf(label, size, "%s, context %zu", pack->path, place);
}

/* When nothing is left to write, another thread's flush has made it durable: what failed would be there still. */
nacre_err nacre__pack_share_flush(nacre_pack *pack, nacre_detail *why)
{
    (void)pthread_mutex_lock(&pack->stores_lock);
    const nacre_err err = nacre__state_flush(pack, why);
    (void)pthread_mutex_unlock(&pack->stores_lock);
    return err;
}

bool nacre__pack_share_is_lost(const nacre_pack *pack)
{
    return nacre__pack_check_lost(pack, NULL) != NACRE_OK;
}

/* RFC 8613 B.1.1, B.1.2 */
nacre_err nacre__pack_share_confirm(const nacre__pack_wish *wish, nacre_detail *why)
{
    (void)pthread_mutex_lock(&wish->pack->stores_lock);
    const bool was_saved = wish->pack->num_saves != wish->num_saves;
    (void)pthread_mutex_unlock(&wish->pack->stores_lock);
    if (was_saved) {
        const nacre_store store = nacre_pack_store(wish->pack, wish->ctx);
        return nacre_store_serve(&store, wish->ctx, why);
    }
    if (wish->needs.reserve != 0) nacre_context_confirm_reserved(wish->ctx, wish->needs.reserve);
    if (wish->needs.window_lost) nacre_context_confirm_window_lost(wish->ctx);
    return NACRE_OK;
}
