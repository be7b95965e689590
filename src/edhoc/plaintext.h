/* SPDX-License-Identifier: MIT */
/* plaintext: what PLAINTEXT_2 and PLAINTEXT_3 have in common: ID_CRED_x, Signature_or_MAC_x, ? EAD_x; and the peer that they
 * name. */
#ifndef NACRE_EDHOC_PLAINTEXT_H
#define NACRE_EDHOC_PLAINTEXT_H

#include "edhoc/authenticate.h"

/* Of this endpoint. `at` has room for nacre__edhoc_plaintext_len bytes; claim->id_cred, credential and ead are set here.
 * `next` becomes the next PRK. */
size_t nacre__edhoc_plaintext_len(const nacre_edhoc *s, nacre_edhoc_role role, const nacre_edhoc_identity *identity);
nacre_err nacre__edhoc_write_plaintext(const nacre_edhoc *s, nacre__edhoc_claim *claim,
                                       const nacre_edhoc_identity *identity, nacre_bytes peer_x, const uint8_t *prk,
                                       uint8_t *next, uint8_t *at);

/* Of the peer: reads the rest of a plaintext, gives EAD to the application, finds the credential, and verifies.
 * NACRE_OK: `credential` and *peer are set. NACRE_ERR_PROTECTION_INVALID: see `fault`. Others are this endpoint's. */
nacre_err nacre__edhoc_read_plaintext(const nacre_edhoc *s, nacre__edhoc_claim *claim, nacre__reader *r,
                                      const nacre_ephemeral *ephemeral, const uint8_t *prk, uint8_t *next,
                                      nacre_edhoc_credential *credential, void **peer, nacre_edhoc_fault *fault);

#endif
