/* SPDX-License-Identifier: MIT */
/* openssl_pem: private keys in PEM, read by OpenSSL. */
#ifndef NACRE_CRYPTO_OPENSSL_PEM_H
#define NACRE_CRYPTO_OPENSSL_PEM_H

#include <nacre/public_key.h>

/* The key, nacre_curve_len bytes; false if it is encrypted, of another kind, with another's public half, or none. The caller wipes `bytes`. */
bool nacre__openssl_read_pem(nacre_curve *curve, uint8_t bytes[NACRE_MAX_COORDINATE], nacre_bytes text);

#endif
