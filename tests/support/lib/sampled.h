/* SPDX-License-Identifier: MIT */
/* sampled: what a test that tries everything leaves out under the address sanitizer, where each try takes five times as long.
 * The Release build tries everything. */
#ifndef TEST_SAMPLED_H
#define TEST_SAMPLED_H

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

/* Loops over `count` values for one of many calls, `at`: all of them, or the one whose turn it is. */
#define SAMPLED_FIRST(at, count) (SAMPLED ? (size_t)(at) % (count) : 0)
#define SAMPLED_STEP(count)      (SAMPLED ? (count) : 1)

#endif
