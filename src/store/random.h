/* SPDX-License-Identifier: MIT */
/* random: bytes for secrets, Echo values and temporary names. */
#ifndef NACRE_STORE_RANDOM_H
#define NACRE_STORE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* nacre__store_random fills `out` from the system's generator; early in boot it blocks until that is seeded. False: failed. */
bool nacre__store_random(uint8_t *out, size_t len);

#endif
