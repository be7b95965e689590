/* SPDX-License-Identifier: MIT */
/* whole: an endpoint and the layers on it, under a program of steps from the input. See whole.c. */
#ifndef NACRE_FUZZ_WHOLE_H
#define NACRE_FUZZ_WHOLE_H

#include "fuzz.h"

typedef enum whole_role {
    WHOLE_SERVER, /* mostly requests of the peer and our responses */
    WHOLE_CLIENT, /* … our requests and the peer's responses */
} whole_role;

/* whole_run plays one input and ends everything. */
void whole_run(const uint8_t *data, size_t size, whole_role role);

#endif
