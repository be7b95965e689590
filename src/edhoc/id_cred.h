/* SPDX-License-Identifier: MIT */
/* id_cred: ID_CRED_x (RFC 9528 3.5.3): a COSE header map that names a credential or carries it. */
#ifndef NACRE_EDHOC_ID_CRED_H
#define NACRE_EDHOC_ID_CRED_H

#include "edhoc/parts.h"

/* A map in two parts: what the compact form of a kid leaves out, and the rest. */
typedef struct nacre__edhoc_map {
    uint8_t head[2 + NACRE__EDHOC_MAX_HEAD];
    uint8_t head_len;
    nacre_bytes rest;
} nacre__edhoc_map;

/* The kid of a map that has only that; absent for others. */
nacre_bytes nacre__edhoc_only_kid(nacre_bytes map);

/* Length of a map as it is in a plaintext, and that form (RFC 9528 3.5.3.2). */
size_t nacre__edhoc_id_cred_len(nacre_bytes map);
uint8_t *nacre__edhoc_put_id_cred(uint8_t *to, nacre_bytes map);

/* Reads it from a plaintext: what it says, and the map for the transcript. */
nacre_edhoc_fault nacre__edhoc_read_id_cred(nacre__reader *r, nacre_edhoc_id *id, nacre__edhoc_map *map);

#endif
