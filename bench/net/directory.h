/* SPDX-License-Identifier: MIT */
/* directory: a directory for the files of a measurement, in the current directory or in $NACRE_BENCH_DIR. */
#ifndef NACRE_BENCH_DIRECTORY_H
#define NACRE_BENCH_DIRECTORY_H

enum { DIRECTORY_PATH = 512 };

void directory_make(char path[DIRECTORY_PATH]);
void directory_remove(const char *path); /* and its content */

#endif
