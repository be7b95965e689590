/* SPDX-License-Identifier: MIT */
/* schedule: the key schedule (RFC 9528 4). */
#ifndef NACRE_EDHOC_SCHEDULE_H
#define NACRE_EDHOC_SCHEDULE_H

#include "edhoc/parts.h"

/* Labels of EDHOC_KDF (RFC 9528 4.1.2, H). */
enum {
    NACRE__EDHOC_KEYSTREAM_2 = 0,
    NACRE__EDHOC_SALT_3E2M = 1,
    NACRE__EDHOC_MAC_2 = 2,
    NACRE__EDHOC_K_3 = 3,
    NACRE__EDHOC_IV_3 = 4,
    NACRE__EDHOC_SALT_4E3M = 5,
    NACRE__EDHOC_MAC_3 = 6,
    NACRE__EDHOC_PRK_OUT = 7,
    NACRE__EDHOC_K_4 = 8,
    NACRE__EDHOC_IV_4 = 9,
    NACRE__EDHOC_PRK_EXPORTER = 10,
    NACRE__EDHOC_UPDATE = 11
};
enum { NACRE__EDHOC_MAX_CONTEXT = 8 }; /* parts */

/* EDHOC_KDF with a context in parts. NACRE_OK, NACRE_ERR_TOO_LONG, the provider's errors; on failure `out` is wiped. */
nacre_err nacre__edhoc_kdf(const nacre_edhoc *s, const uint8_t *prk, unsigned label, const nacre_bytes *context,
                           size_t num, uint8_t *out, size_t len);
/* The same with the transcript hash as the context. */
nacre_err nacre__edhoc_kdf_th(const nacre_edhoc *s, const uint8_t *prk, unsigned label, const uint8_t *th, uint8_t *out,
                              size_t len);
/* Encrypts or decrypts PLAINTEXT_2 (RFC 9528 5.3.2). NACRE_ERR_TOO_LONG: above 255 hashes; appendix G is not supported. */
nacre_err nacre__edhoc_keystream_2(const nacre_edhoc *s, const uint8_t *prk_2e, const uint8_t *th_2, uint8_t *text,
                                   size_t len);
nacre_err nacre__edhoc_extract(const nacre_edhoc *s, const uint8_t *salt, nacre_bytes secret, uint8_t *prk);

/* H(th, plaintext, credential): TH_3 and TH_4 (RFC 9528 5.4.2). */
nacre_err nacre__edhoc_next_th(const nacre_edhoc *s, const uint8_t *th, nacre_bytes plaintext,
                               const nacre_edhoc_credential *credential, uint8_t *next);
/* TH_2 and PRK_2e (RFC 9528 5.3.2, 4.1.1.1). `secret` is G_XY. */
nacre_err nacre__edhoc_begin(const nacre_edhoc *s, const uint8_t *h_message_1, nacre_bytes g_y, const uint8_t *secret,
                             uint8_t *th_2, uint8_t *prk_2e);

#endif
