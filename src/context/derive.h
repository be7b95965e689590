/* SPDX-License-Identifier: MIT */
/* derive: Sender Key, Recipient Key and Common IV from the master secret (RFC 8613 3.2.1). */
#ifndef NACRE_CONTEXT_DERIVE_H
#define NACRE_CONTEXT_DERIVE_H

#include <nacre/context.h>

enum { NACRE_MAX_ID_CONTEXT = 255, NACRE_MAX_INFO = 1 + (1 + NACRE_MAX_ID) + (2 + NACRE_MAX_ID_CONTEXT) + 3 + 4 + 2 };

/* Writes `info` = [id, id_context or null, alg, type, L]; `type` is "Key" or "IV". Returns its length. */
size_t nacre__info(uint8_t out[NACRE_MAX_INFO], nacre_bytes id, nacre_bytes id_context, int cose_alg, const char *type,
                   size_t length);

/* Input of the derivations: the parameters, their AEAD, and the HKDF PRK, extracted once for all three values; no PRK if the
 * provider holds the secrets. */
typedef struct nacre__source {
    const nacre_crypto *crypto;
    const nacre_aead *aead;
    const nacre_context_params *params;
    uint8_t prk[NACRE_MAX_HASH];
} nacre__source;

/* Call nacre__source_wipe at the end, whatever the results. */
nacre_err nacre__source_extract(nacre__source *source);
void nacre__source_wipe(nacre__source *source);

nacre_err nacre__derive_key(const nacre__source *source, nacre_bytes id, nacre_direction direction, void *key);
nacre_err nacre__derive_common_iv(const nacre__source *source, uint8_t *common_iv);

#endif
