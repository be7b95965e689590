/* SPDX-License-Identifier: MIT */
/* pack_identity: the identity of the file that a pack is used in. Of a pack and its copy, each may use numbers that the other has
 * used; so the extent gets the identity of its file, which no copy has (file_identity.h), before the first number is used. A pack
 * that was never used may be moved. */
#include "store/pack/pack_internal.h"

#include <string.h>

#include "base/hosted/detail.h"

nacre_err nacre__pack_check_identity(const nacre_pack *pack, nacre_detail *why)
{
    char identity[NACRE__FILE_IDENTITY_TEXT];
    nacre__file_identity_of(identity, pack->file.fd);
    if (nacre__file_identity_matches(identity, pack->extent.identity)) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                       "%s: was copied, moved or put back: this is not the file that it was used in, and numbers "
                       "may have been used since; run nacre adopt if none was used",
                       pack->path);
}

/* In both copies of the extent, so that the identity survives the loss of one. */
nacre_err nacre__pack_claim(nacre_pack *pack, nacre_detail *why)
{
    nacre__extent extent = pack->extent;
    nacre_err err = NACRE_OK;
    nacre__file_identity_of(extent.identity, pack->file.fd);
    if (strcmp(extent.identity, pack->extent.identity) != 0)
        for (int copy = 0; err == NACRE_OK && copy < 2; copy++) err = nacre__extent_put(pack, &extent, why);
    pack->is_claimed = err == NACRE_OK;
    return err;
}
