/* SPDX-License-Identifier: MIT */
/* place: a directory for the files that a measurement needs, in the current directory or in $NACRE_BENCH_DIR. */
#ifndef NACRE_BENCH_PLACE_H
#define NACRE_BENCH_PLACE_H

enum { PLACE_PATH = 512 };

void place_make(char path[PLACE_PATH]);
void place_remove(const char *path); /* with all that is in it */

#endif
