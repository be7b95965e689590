/* SPDX-License-Identifier: MIT */
/* openssl_keys: keys of nacre as EVP_PKEY of OpenSSL 3, and back. For the providers over OpenSSL only. */
#ifndef NACRE_CRYPTO_OPENSSL_KEYS_H
#define NACRE_CRYPTO_OPENSSL_KEYS_H

#include <nacre/public_key.h>
#include <openssl/evp.h>

/* OpenSSL's name of the curve for EC keys; NULL for others. */
const char *nacre__openssl_group(nacre_curve curve);

/* A validated point (of X25519: any); NULL if it is none. Without y, one of the two points with that x. Free with EVP_PKEY_free. */
EVP_PKEY *nacre__openssl_public(const nacre_public_key *key);

/* The key from its bytes, or another reference to the EVP_PKEY of a handle; NULL on failure. */
EVP_PKEY *nacre__openssl_private(const nacre_private_key *key);

/* nacre_curve_len bytes of each; `y` may be NULL. False if the key is of another curve, or does not show them. */
bool nacre__openssl_private_bytes(const EVP_PKEY *key, nacre_curve curve, uint8_t *bytes);
bool nacre__openssl_public_bytes(const EVP_PKEY *key, nacre_curve curve, uint8_t *x, uint8_t *y);

/* The curve of a key; NACRE_CURVE_NONE for others. */
nacre_curve nacre__openssl_curve(const EVP_PKEY *key);

#endif
