/* SPDX-License-Identifier: MIT */
/* authenticate: MAC_2 and MAC_3, and the signatures over them (RFC 9528 5.3.2, 5.4.2). */
#ifndef NACRE_EDHOC_AUTHENTICATE_H
#define NACRE_EDHOC_AUTHENTICATE_H

#include "edhoc/id_cred.h"

/* What one side authenticates, of message_2 (role Responder) or message_3. */
typedef struct nacre__edhoc_claim {
    nacre_edhoc_role role;
    nacre_bytes c_r; /* of message_2, as encoded; else empty */
    nacre__edhoc_map id_cred;
    const uint8_t *th; /* TH_2 or TH_3 */
    const nacre_edhoc_credential *credential;
    nacre_bytes ead;
} nacre__edhoc_claim;

/* Bytes of Signature_or_MAC. */
size_t nacre__edhoc_proof_len(const nacre_edhoc *s, nacre_edhoc_role role);

/* Writes Signature_or_MAC of this endpoint to `proof`. `prk` is PRK_2e or PRK_3e2m, `next` becomes PRK_3e2m or PRK_4e3m;
 * `peer_x` is the peer's ephemeral key. The provider's errors; `next` is wiped by the caller in any case. */
nacre_err nacre__edhoc_prove(const nacre_edhoc *s, const nacre__edhoc_claim *claim, const nacre_private_key *key,
                             nacre_bytes peer_x, const uint8_t *prk, uint8_t *next, uint8_t *proof);

/* Verifies that of the peer with the key of claim->credential; `ephemeral` is this endpoint's.
 * NACRE_OK, NACRE_ERR_BAD_SIGNATURE, NACRE_ERR_BAD_PUBLIC_KEY (of the credential), the provider's errors */
nacre_err nacre__edhoc_verify(const nacre_edhoc *s, const nacre__edhoc_claim *claim, const nacre_ephemeral *ephemeral,
                              nacre_bytes proof, const uint8_t *prk, uint8_t *next);

#endif
