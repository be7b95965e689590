/* SPDX-License-Identifier: MIT */
/* directory_read: a context directory's files made into what they say. */
#ifndef NACRE_STORE_DIRECTORY_READ_H
#define NACRE_STORE_DIRECTORY_READ_H

#include "store/file/files.h"
#include "store/json/json.h"
#include "store/directory/sequence_file.h"

/* nacre__directory_load reads settings, secrets and state. `info` gets secret and salt as well: wipe it. `rest` is
 * sequence.json of the older layout, for the entries of others: free it. Returns as nacre_directory_read_as; both are all
 * zero on failure. Whether the state may be used is for the next two to say. */
NACRE_MUST_USE nacre_err nacre__directory_load(nacre_directory_info *info, nacre__json_doc *rest,
                                               const nacre__dirfd *dirfd, nacre_role role, nacre_detail *why);

/* NACRE_ERR_BAD_CONTEXT: there is no state, and the settings say that there is one. */
NACRE_MUST_USE nacre_err nacre__directory_check_state(const nacre_directory_info *info, const nacre__dirfd *dirfd,
                                                      nacre_detail *why);

/* NACRE_ERR_BAD_CONTEXT: the state is a copy, or an old one. */
NACRE_MUST_USE nacre_err nacre__directory_check_identity(const nacre_directory_info *info, const nacre__dirfd *dirfd,
                                                         nacre_detail *why);

/* What is noticed of copies there. */
nacre_mark nacre__directory_mark(const nacre__dirfd *dirfd);

/* nacre__directory_layout tells which layout the keys of the IDs make it. NACRE_OK; as nacre_directory_read. */
NACRE_MUST_USE nacre_err nacre__directory_layout(nacre_layout *layout, const nacre__dirfd *dirfd, nacre_detail *why);

#endif
