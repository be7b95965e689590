/* SPDX-License-Identifier: MIT */
/* provider_openssl_pem: private keys in PEM, read by OpenSSL. */
#include "crypto/openssl_keys.h"
#include "crypto/openssl_pem.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <limits.h>

/* In place of OpenSSL's own, which would ask on the terminal. */
static int no_passphrase(char *buf, int size, int writes, void *user)
{
    (void)buf, (void)size, (void)writes, (void)user;
    return -1;
}

/* The public half that the file may have is that of the private one. */
static bool is_pair(EVP_PKEY *key)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool ok = ctx != NULL && EVP_PKEY_pairwise_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

bool nacre__openssl_read_pem(nacre_curve *curve, uint8_t bytes[NACRE_MAX_COORDINATE], nacre_bytes text)
{
    BIO *bio = text.len <= INT_MAX ? BIO_new_mem_buf(text.ptr, (int)text.len) : NULL;
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    nacre_curve of = key != NULL ? nacre__openssl_curve(key) : NACRE_CURVE_NONE;
    bool ok = of != NACRE_CURVE_NONE && is_pair(key) && nacre__openssl_private_bytes(key, of, bytes);
    if (ok) *curve = of;
    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return ok;
}
