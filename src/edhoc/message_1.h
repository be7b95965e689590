/* SPDX-License-Identifier: MIT */
/* message_1: METHOD, SUITES_I, G_X, C_I, ? EAD_1 (RFC 9528 5.2). */
#ifndef NACRE_EDHOC_MESSAGE_1_H
#define NACRE_EDHOC_MESSAGE_1_H

#include "edhoc/suites.h"

typedef struct nacre__edhoc_message_1 {
    int32_t method;
    nacre__edhoc_suites suites;
    nacre_bytes g_x, c_i, ead;
} nacre__edhoc_message_1;

/* Reads it as far as it can be without a choice of suite: the length of G_X is not looked at. */
nacre_edhoc_fault nacre__edhoc_read_message_1(nacre__edhoc_message_1 *m, const nacre_edhoc_config *config,
                                              nacre_bytes in);

/* Writes message_1 of a session with config->suites[selected], and keeps its hash and key in `s`; on failure `s` is
 * unchanged. */
nacre_err nacre__edhoc_write_message_1(nacre_edhoc *s, nacre_bytes *out, nacre_buf buf, unsigned selected);

#endif
