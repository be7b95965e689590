/* SPDX-License-Identifier: MIT */
/* error_message: ERR_CODE, ERR_INFO (RFC 9528 6). */
#ifndef NACRE_EDHOC_ERROR_MESSAGE_H
#define NACRE_EDHOC_ERROR_MESSAGE_H

#include "edhoc/suites.h"

/* Messages but message_1 begin with a byte string, errors with a number. */
static inline bool nacre__edhoc_may_be_error(nacre_bytes in)
{
    return in.len > 0 && in.ptr[0] >> 5 <= NACRE__CBOR_NEGATIVE;
}

/* Reads one; false if it is none: a code of 0, ERR_INFO of another type than the code's, or more than two items. */
bool nacre__edhoc_read_error(nacre_bytes in, int32_t *code, nacre_bytes *info);

/* Writes the one for a fault; absent if it does not fit, or if there is none for the fault. */
nacre_bytes nacre__edhoc_write_error(const nacre_edhoc_config *config, nacre_buf buf, nacre_edhoc_fault fault);

#endif
