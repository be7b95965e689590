/* SPDX-License-Identifier: MIT */
/* pack_share: see pack_share.h. Between a flush and what it confirms, a thread may have saved that context: the count of saves
 * tells, for both are done under the context's lock. */
#include "store/pack/pack_share.h"

#include <stdio.h>

#include "store/pack/pack_internal.h"

nacre_err nacre__pack_share_request(nacre__pack_request *request, nacre_pack *pack, nacre_context *ctx,
                                    nacre_detail *why)
{
    nacre_err err;
    *request = (nacre__pack_request){ .pack = pack, .ctx = ctx };
    nacre__packed *packed = nacre__state_asker(&request->needs, pack, ctx, &err, why);
    if (packed == NULL) return err;
    (void)pthread_mutex_lock(&pack->stores_lock);
    request->num_saves = pack->num_saves;
    err = nacre__state_note(packed, request->needs.reserve, request->needs.window_lost, why);
    (void)pthread_mutex_unlock(&pack->stores_lock);
    return err == NACRE_OK ? NACRE_ERR_NOT_YET : err;
}

void nacre__pack_label(char *label, size_t size, const nacre_pack *pack, const nacre_context *ctx)
{
    const nacre__packed *packed = nacre__pack_find(pack, ctx);
    if (packed == NULL) return;
    const size_t index = packed->segment->first_entry + (size_t)(packed - packed->segment->contexts);
    (void)snprintf(label, size, "%s, context %zu", pack->path, index);
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
nacre_err nacre__pack_share_confirm(const nacre__pack_request *request, nacre_detail *why)
{
    (void)pthread_mutex_lock(&request->pack->stores_lock);
    const bool was_saved = request->pack->num_saves != request->num_saves;
    (void)pthread_mutex_unlock(&request->pack->stores_lock);
    if (was_saved) {
        const nacre_store store = nacre_pack_store(request->pack, request->ctx);
        return nacre_store_serve(&store, request->ctx, why);
    }
    if (request->needs.reserve != 0) nacre_context_confirm_reserved(request->ctx, request->needs.reserve);
    if (request->needs.window_lost) nacre_context_confirm_window_lost(request->ctx);
    return NACRE_OK;
}
