/* SPDX-License-Identifier: MIT */
/* pack_share: see pack_share.h. */
#include "store/pack/pack_share.h"

#include <stdio.h>

#include "store/pack/pack_internal.h"

void nacre__pack_label(char *label, size_t size, const nacre_pack *pack, const nacre_context *ctx)
{
    const nacre__packed *packed = nacre__pack_find(pack, ctx);
    if (packed == NULL) return;
    const size_t index = packed->segment->first_entry + (size_t)(packed - packed->segment->contexts);
    (void)snprintf(label, size, "%s, context %zu", pack->path, index);
}

bool nacre__pack_share_is_lost(const nacre_pack *pack)
{
    return nacre__pack_check_lost(pack, NULL) != NACRE_OK;
}
