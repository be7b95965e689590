/* SPDX-License-Identifier: MIT */
/* cose_key: COSE_Keys of curves (RFC 9052 7, RFC 9053 7). */
#ifndef NACRE_EDHOC_COSE_KEY_H
#define NACRE_EDHOC_COSE_KEY_H

#include "edhoc/parts.h"

enum {
    NACRE__COSE_KTY = 1,
    NACRE__COSE_KID = 2,
    NACRE__COSE_CRV = -1,
    NACRE__COSE_X = -2,
    NACRE__COSE_Y = -3,
    NACRE__COSE_D = -4
};
enum { NACRE__COSE_OKP = 1, NACRE__COSE_EC2 = 2 };

typedef struct nacre__cose_key {
    nacre_public_key public_key; /* x is empty if it is not in the key */
    nacre_bytes kid, d;          /* absent if not in it */
} nacre__cose_key;

/* Reads a key in deterministic CBOR, all of `in`. False: not a key, of another curve, with neither x nor d, a number of the
 * wrong length, or OKP with y. The key borrows from `in`. Points are validated where they are used. */
bool nacre__read_cose_key(nacre__cose_key *key, nacre_bytes in);

#endif
