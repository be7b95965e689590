/* SPDX-License-Identifier: MIT */
/* pack_adopt: makes a copied or moved pack usable (pack_identity.c). */
#include "store/pack/pack_internal.h"

/* States first: after an interruption the pack still has to be adopted. */
nacre_err nacre_pack_adopt(const char *path, const nacre_crypto *crypto, nacre_detail *why)
{
    nacre_pack *pack;
    nacre_err err = nacre__pack_open(&pack, path, true, crypto, why);
    if (err != NACRE_OK) return err;
    err = nacre__state_give_up(pack, why);
    if (err == NACRE_OK) err = nacre__pack_claim(pack, why);
    nacre__pack_release(pack);
    return err;
}
