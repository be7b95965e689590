/* SPDX-License-Identifier: MIT */
/* pack_locked: the calls that change a pack, under its lock, because a store thread may write what its contexts need at the
 * same time. A child of fork may find the lock held by a thread that it does not have, and is refused without it. */
#include "store/pack/pack_internal.h"

#include <unistd.h>

static void lock(nacre_pack *pack)
{
    if (pack->owner == getpid()) (void)pthread_mutex_lock(&pack->stores_lock);
}

static nacre_err unlock(nacre_pack *pack, nacre_err err)
{
    if (pack->owner == getpid()) (void)pthread_mutex_unlock(&pack->stores_lock);
    return err;
}

nacre_err nacre_pack_request(nacre_pack *pack, nacre_context *ctx, nacre_detail *why)
{
    lock(pack);
    return unlock(pack, nacre__pack_request(pack, ctx, why));
}

nacre_err nacre_pack_commit(nacre_pack *pack, nacre_pack_on_commit on_commit, void *user, nacre_detail *why)
{
    lock(pack);
    return unlock(pack, nacre__pack_commit(pack, on_commit, user, why));
}

nacre_err nacre_pack_add(nacre_pack *pack, size_t *num_added, size_t num, nacre_pack_source source, void *user,
                         nacre_detail *why)
{
    lock(pack);
    return unlock(pack, nacre__pack_add(pack, num_added, num, source, user, why));
}

nacre_err nacre_pack_remove(nacre_pack *pack, nacre_context *ctx, nacre_detail *why)
{
    lock(pack);
    return unlock(pack, nacre__pack_remove(pack, ctx, why));
}

nacre_err nacre_pack_move_in(nacre_pack *pack, const char *dir, nacre_role role, nacre_detail *why)
{
    lock(pack);
    return unlock(pack, nacre__pack_move_in(pack, dir, role, why));
}

nacre_err nacre_pack_move_out(nacre_pack *pack, size_t index, const char *dir, nacre_detail *why)
{
    lock(pack);
    return unlock(pack, nacre__pack_move_out(pack, index, dir, why));
}
