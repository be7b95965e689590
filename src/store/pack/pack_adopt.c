/* SPDX-License-Identifier: MIT */
/* pack_adopt: a copy of a pack becomes the one that is used (pack_identity.c). */
#include "store/pack/pack_internal.h"

/* The states first: interrupted, the pack is still one that has to be adopted. */
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
