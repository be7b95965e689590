/* SPDX-License-Identifier: MIT */
/* sampled: samples exhaustive tests under AddressSanitizer, where each try takes five times as long. The Release build
 * tries everything, or, where that takes long, as much as is worth its time each day; NACRE_PROVE=1 (make prove) everything. */
#ifndef TEST_SAMPLED_H
#define TEST_SAMPLED_H

#include <stdlib.h>

#define PROVES (getenv("NACRE_PROVE") != NULL)

#if defined(__SANITIZE_ADDRESS__)
#define SAMPLED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SAMPLED 1
#endif
#endif
#ifndef SAMPLED
#define SAMPLED 0
#endif

/* Loops over `count` values for one of many calls, `at`: over all of them, or over one that depends on `at`. */
#define SAMPLED_FIRST(at, count) (SAMPLED ? (size_t)(at) % (count) : 0)
#define SAMPLED_STEP(count)      (SAMPLED ? (count) : 1)

#endif
