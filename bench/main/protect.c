/* SPDX-License-Identifier: MIT */
/* protect, the program: the cases of bench/protect.c with each available provider. */
#include "protect.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    bench *b = bench_start(argc, argv, "protect", PROTECT_TITLE);
    const char *name;
    for (size_t i = 0; (name = protect_provider(i)) != NULL; i++)
        if (protect_compare(b, name) != NACRE_OK) fprintf(stderr, "bench: no provider %s on this machine\n", name);
    return bench_finish(b);
}
