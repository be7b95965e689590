/* SPDX-License-Identifier: MIT */
/* whole: an endpoint with all that stands on it, under a program of steps that the input writes. See whole.c. */
#ifndef NACRE_FUZZ_WHOLE_H
#define NACRE_FUZZ_WHOLE_H

#include "fuzz.h"

typedef enum whole_role {
    WHOLE_SERVER, /* the steps are mostly the other side's requests and our answers */
    WHOLE_CLIENT, /* … our requests and the other side's answers */
} whole_role;

/* whole_run plays one input, and lets everything come to its end. */
void whole_run(const uint8_t *data, size_t size, whole_role role);

#endif
