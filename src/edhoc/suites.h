/* SPDX-License-Identifier: MIT */
/* suites: cipher suites, and lists of them in messages. */
#ifndef NACRE_EDHOC_SUITES_H
#define NACRE_EDHOC_SUITES_H

#include "edhoc/parts.h"

/* What a list says to an endpoint with certain suites. NACRE__EDHOC_NO_INDEX: none of them. */
enum { NACRE__EDHOC_NO_INDEX = 255 };
typedef struct nacre__edhoc_suites {
    int32_t last;  /* the selected one of SUITES_I */
    uint8_t first; /* index, in the configuration, of the list's first suite that is in it … */
    uint8_t best;  /* … and the lowest index of all */
} nacre__edhoc_suites;

/* Reads `suites` = [2* int] / int (RFC 9528 5.2.1, 6.3). */
nacre_edhoc_fault nacre__edhoc_read_suites(nacre__reader *r, nacre__edhoc_suites *list,
                                           const nacre_edhoc_config *config);

/* Writes the first `num` suites of the configuration; at most 2 bytes each and one more. */
uint8_t *nacre__edhoc_put_suites(uint8_t *to, const nacre_edhoc_config *config, size_t num);

/* Whether the configuration can be used: its size, suites, and the providers' curves. */
nacre_err nacre__edhoc_check_config(const nacre_edhoc_config *config);

#endif
