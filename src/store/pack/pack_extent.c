/* SPDX-License-Identifier: MIT */
/* pack_extent: changes the extent of a pack: writes the other copy, which then is the current one. */
#include "store/pack/pack_internal.h"

/* Writes a copy of the extent, and syncs. */
static nacre_err put_extent(const nacre_pack *pack, unsigned side, const nacre__extent *extent, nacre_detail *why)
{
    uint8_t page[NACRE__PACK_PAGE];
    uint64_t number = 1u + side;
    nacre__extent_write(page, extent, &pack->id, number);
    nacre_err err = nacre__pack_put(&pack->file, page, number * NACRE__PACK_PAGE, sizeof page, why);
    return err == NACRE_OK ? nacre__pack_sync(&pack->file, why) : err;
}

nacre_err nacre__extent_put(nacre_pack *pack, const nacre__extent *extent, nacre_detail *why)
{
    nacre__extent next = *extent;
    nacre_err err = NACRE_OK;
    /* A failed sync may have lost the copy that was read; see make_sure in pack_state.c. */
    if (!pack->extent_sure) err = put_extent(pack, pack->extent_side, &pack->extent, why);
    pack->extent_sure = pack->extent_sure || err == NACRE_OK;
    next.generation = pack->extent.generation + 1;
    if (err == NACRE_OK) err = put_extent(pack, 1u - pack->extent_side, &next, why);
    if (err != NACRE_OK) return err;
    pack->extent = next;
    pack->extent_side = !pack->extent_side;
    return NACRE_OK;
}
