/* SPDX-License-Identifier: MIT */
/* nonce: the AEAD nonce (RFC 8613 5.2).
 *
 *       <- nonce length - 6 B -> <- 5 B ->
 *    +---+-----------------------+---------+
 *    | S |      padded ID_PIV    | padded  |  XOR  Common IV
 *    |   |                       |   PIV   |
 *    +---+-----------------------+---------+
 * S is the length of ID_PIV, the Sender ID of the side that made the Partial IV. */
#ifndef NACRE_OSCORE_NONCE_H
#define NACRE_OSCORE_NONCE_H

#include <nacre/crypto.h>

/* `common_iv` has NACRE_MAX_NONCE bytes, of which nonce_len are used. `id_piv` is at most nonce_len - 6 bytes, checked by the
 * callers. `seq` is the Partial IV's number. */
void nacre__nonce(uint8_t nonce[NACRE_MAX_NONCE], const nacre_aead *aead, const uint8_t *common_iv, nacre_bytes id_piv,
                  uint64_t seq);

#endif
