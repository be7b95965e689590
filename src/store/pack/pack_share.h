/* SPDX-License-Identifier: MIT */
/* pack_share: used by io besides the stores of a pack. Any thread may call these. */
#ifndef NACRE_STORE_PACK_SHARE_H
#define NACRE_STORE_PACK_SHARE_H

#include <nacre/pack.h>

/* nacre__pack_label writes "PATH, context INDEX" for a context of this pack; for others nothing. */
void nacre__pack_label(char *label, size_t size, const nacre_pack *pack, const nacre_context *ctx);

/* nacre__pack_share_is_lost: another program has changed or replaced the file; nothing is written any more. */
bool nacre__pack_share_is_lost(const nacre_pack *pack);

#endif
