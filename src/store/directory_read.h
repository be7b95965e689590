/* SPDX-License-Identifier: MIT */
/* directory_read: a context directory's files made into what they say. */
#ifndef NACRE_STORE_DIRECTORY_READ_H
#define NACRE_STORE_DIRECTORY_READ_H

#include "store/files.h"
#include "store/sequence_file.h"

/* nacre__directory_load reads settings, secrets and state. `info` gets secret and salt as well: wipe it. Returns as
 * nacre_directory_read; `info` is all zero on failure. */
NACRE_MUST_USE nacre_err nacre__directory_load(nacre_directory_info *info, const nacre__folder *folder,
                                               nacre_detail *why);

#endif
