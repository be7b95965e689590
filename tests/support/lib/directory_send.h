/* SPDX-License-Identifier: MIT */
/* directory_send: sends requests with the context of an open directory. */
#ifndef NACRE_TEST_DIRECTORY_SEND_H
#define NACRE_TEST_DIRECTORY_SEND_H

#include "support.h"

/* One GET: the store serves the persist request with the result `served`; then the request is protected. On NACRE_OK
 * `number` is its Partial IV. */
nacre_err directory_send(nacre_directory *dir, uint64_t *number, nacre_err *served);

#endif
