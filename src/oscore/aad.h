/* SPDX-License-Identifier: MIT */
/* aad: the additional authenticated data (RFC 8613 5.4), as the Enc_structure that goes into the AEAD. */
#ifndef NACRE_OSCORE_AAD_H
#define NACRE_OSCORE_AAD_H

#include <nacre/crypto.h>

/* Gives the length. `request_kid` and `request_piv` are those of the request, for its answers too. */
size_t nacre__aad(uint8_t out[NACRE_MAX_AAD], int cose_alg, nacre_bytes request_kid, nacre_bytes request_piv);

#endif
