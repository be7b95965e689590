/* SPDX-License-Identifier: MIT */
/* pack_move: a directory whose context was moved into a pack. */
#ifndef NACRE_STORE_PACK_MOVE_H
#define NACRE_STORE_PACK_MOVE_H

#include "store/file/files.h"

/* nacre__moved_check refuses a directory that has a moved.json, whole or not.
 * NACRE_OK; NACRE_ERR_BAD_CONTEXT; NACRE_ERR_FILE */
NACRE_MUST_USE nacre_err nacre__moved_check(const nacre__folder *folder, nacre_detail *why);

#endif
