/* SPDX-License-Identifier: MIT */
/* encrypt0: the COSE_Encrypt0 of message_3 and message_4 (RFC 9528 5.4.2, 5.5.2). */
#ifndef NACRE_EDHOC_ENCRYPT0_H
#define NACRE_EDHOC_ENCRYPT0_H

#include "edhoc/parts.h"

/* Bytes of the message for a plaintext of `len`. */
size_t nacre__edhoc_sealed_len(const nacre_edhoc *s, size_t len);
/* The offset of the plaintext in it. */
size_t nacre__edhoc_sealed_offset(const nacre_edhoc *s, size_t len);

/* Encrypts the plaintext that is at its offset in `message` already, and writes the head before it. `number` is 3 or 4, with
 * PRK_3e2m and TH_3, or PRK_4e3m and TH_4. The provider's errors; NACRE_ERR_UNSUPPORTED: the key needs config->key_buf */
nacre_err nacre__edhoc_seal(const nacre_edhoc *s, unsigned number, const uint8_t *prk, const uint8_t *th,
                            uint8_t *message, size_t len);

/* Decrypts `in` into `out`, which has room for as many bytes. NACRE_ERR_PROTECTION_INVALID: the tag does not match; `out` is
 * wiped. */
nacre_err nacre__edhoc_open(const nacre_edhoc *s, unsigned number, const uint8_t *prk, const uint8_t *th,
                            nacre_bytes *plaintext, uint8_t *out, nacre_bytes in);

#endif
