/* SPDX-License-Identifier: MIT */
/* create: see create.c. */
#ifndef NACRE_STORE_CREATE_H
#define NACRE_STORE_CREATE_H

/* nacre__directory_take_away durably removes a directory made by nacre_directory_create; errors are ignored. Only the files
 * that nacre_directory_create makes are removed: a directory with others stays. */
void nacre__directory_take_away(const char *path);

#endif
