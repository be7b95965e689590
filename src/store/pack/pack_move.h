/* SPDX-License-Identifier: MIT */
/* pack_move: a directory whose context was moved into a pack. */
#ifndef NACRE_STORE_PACK_MOVE_H
#define NACRE_STORE_PACK_MOVE_H

#include <nacre/pack.h>

/* nacre__pack_check_in checks, without changes, that nacre_pack_move_in can begin with this directory, or that the pack has its
 * context already. Errors as there. */
NACRE_MUST_USE nacre_err nacre__pack_check_in(nacre_pack *pack, const char *dir, nacre_role role, nacre_detail *why);

#endif
