/* SPDX-License-Identifier: MIT */
/* blocks: the list of what test_release frees. */
#ifndef TEST_BLOCKS_H
#define TEST_BLOCKS_H

/* test_keep makes test_release call `release` on `what`, latest first. */
void test_keep(void *what, void (*release)(void *what));

#endif
