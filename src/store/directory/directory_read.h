/* SPDX-License-Identifier: MIT */
/* directory_read: reads the files of a context directory. */
#ifndef NACRE_STORE_DIRECTORY_READ_H
#define NACRE_STORE_DIRECTORY_READ_H

#include "store/file/files.h"
#include "store/json/json.h"
#include "store/directory/sequence_file.h"

/* nacre__directory_load reads settings, secrets and state. `info` includes secret and salt: wipe it. `rest` is the legacy
 * layout's sequence.json, to preserve the entries of other IDs: free it. Both are all zero on failure. Returns as
 * nacre_directory_read_as. The next two functions check whether the state may be used. */
NACRE_MUST_USE nacre_err nacre__directory_load(nacre_directory_info *info, nacre__json_doc *rest,
                                               const nacre__dirfd *dirfd, nacre_role role, nacre_detail *why);

/* NACRE_ERR_BAD_CONTEXT: the state is missing, but the settings require it. */
NACRE_MUST_USE nacre_err nacre__directory_check_state(const nacre_directory_info *info, const nacre__dirfd *dirfd,
                                                      nacre_detail *why);

/* NACRE_ERR_BAD_CONTEXT: the state is a copy or outdated. */
NACRE_MUST_USE nacre_err nacre__directory_check_identity(const nacre_directory_info *info, const nacre__dirfd *dirfd,
                                                         nacre_detail *why);

/* Which copies of the directory can be detected on its file system. */
nacre_mark nacre__directory_mark(const nacre__dirfd *dirfd);

/* nacre__directory_layout gives the layout, by the member names of the IDs. NACRE_OK; as nacre_directory_read. */
NACRE_MUST_USE nacre_err nacre__directory_layout(nacre_layout *layout, const nacre__dirfd *dirfd, nacre_detail *why);

#endif
