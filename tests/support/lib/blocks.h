/* SPDX-License-Identifier: MIT */
/* blocks: the list of what test_release gives back. */
#ifndef TEST_BLOCKS_H
#define TEST_BLOCKS_H

/* test_keep has `release` called on `what` by test_release, the latest first. */
void test_keep(void *what, void (*release)(void *what));

#endif
