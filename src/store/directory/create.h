/* SPDX-License-Identifier: MIT */
/* create: see create.c. */
#ifndef NACRE_STORE_CREATE_H
#define NACRE_STORE_CREATE_H

/* nacre__directory_take_away removes a directory that nacre_directory_create has made, durably, and says nothing when it
 * cannot. Only what it makes is removed: a directory with anything else in it stays. */
void nacre__directory_take_away(const char *path);

#endif
