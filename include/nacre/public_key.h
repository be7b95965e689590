/* SPDX-License-Identifier: MIT */
/* public_key: public-key cryptography of EDHOC, and its provider interface.
 *
 * nacre implements no curve. A provider is a const table of operations and an instance of one thread, as in crypto.h; it is
 * a table of its own, so that AEADs may come from another library (IPsec-MB, say) than keys and hashes.
 *
 * Curves have their COSE numbers (RFC 9053 7.1). Points of P-256 and P-384 are their x coordinate (compact representation,
 * RFC 9528 3.7); a signature's public key needs y as well, whole or as its sign. All numbers are big-endian and of full
 * length; X25519 and Ed25519 have the byte order of RFC 7748 and RFC 8032. */
#ifndef NACRE_PUBLIC_KEY_H
#define NACRE_PUBLIC_KEY_H

#include <nacre/crypto.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum nacre_curve {
    NACRE_CURVE_NONE = 0,
    NACRE_P256 = 1,    /* agreement; ES256 */
    NACRE_P384 = 2,    /* agreement; ES384 */
    NACRE_X25519 = 4,  /* agreement */
    NACRE_ED25519 = 6, /* EdDSA */
} nacre_curve;

enum { NACRE_MAX_COORDINATE = 48, NACRE_MAX_SIGNATURE = 96 };

/* Bytes of a coordinate, of a private key, and of a shared secret: 32 or 48; 0 for another value. A signature has twice
 * as many. */
size_t nacre_curve_len(nacre_curve curve);

/* What is known of a point's y. A COSE_Key has the whole, or its sign as false or true (RFC 9053 7.1.1). */
typedef enum nacre_y_form { NACRE_Y_ABSENT = 0, NACRE_Y_EVEN, NACRE_Y_ODD, NACRE_Y_WHOLE } nacre_y_form;

typedef struct nacre_public_key {
    nacre_curve curve;
    nacre_bytes x; /* nacre_curve_len bytes */
    nacre_y_form y_form;
    nacre_bytes y; /* if whole */
} nacre_public_key;

/* A private key: nacre_curve_len bytes, or a handle that the provider defines. */
typedef struct nacre_private_key {
    nacre_curve curve;
    nacre_secret secret;
} nacre_private_key;

/* A private key of one session, by value. With `len` 0 it is a handle. */
typedef struct nacre_ephemeral {
    uint64_t handle;
    nacre_curve curve;
    uint8_t len;
    uint8_t bytes[NACRE_MAX_COORDINATE];
} nacre_ephemeral;

/* The same key as a nacre_private_key, which borrows its bytes. */
static inline nacre_private_key nacre_ephemeral_key(const nacre_ephemeral *e)
{
    nacre_private_key key = { e->curve, { { e->len > 0 ? e->bytes : NULL, e->len }, e->handle } };
    return key;
}

typedef struct nacre_pk nacre_pk;

enum { NACRE_PK_OPS_VERSION = 1 };

typedef struct nacre_pk_ops {
    size_t size;      /* sizeof(nacre_pk_ops), and … */
    uint32_t version; /* … NACRE_PK_OPS_VERSION: CONVENTIONS.md, "Tables of functions" */
    const char *name; /* "openssl" */

    /* Whether the provider has the curve, for all that it is used for. */
    bool (*has)(const nacre_pk *pk, nacre_curve curve);
    /* The hash of the concatenated parts; nacre_hash_len bytes. NACRE_OK, NACRE_ERR_UNSUPPORTED, NACRE_ERR_CRYPTO. */
    nacre_err (*hash)(const nacre_pk *pk, nacre_hash hash, const nacre_bytes *parts, size_t num_parts, uint8_t *out);
    /* A fresh key pair: P-256, P-384 or X25519. `x` gets nacre_curve_len bytes.
     * NACRE_OK, NACRE_ERR_UNSUPPORTED, NACRE_ERR_CRYPTO */
    nacre_err (*generate)(const nacre_pk *pk, nacre_curve curve, nacre_ephemeral *key, uint8_t *x);
    /* Releases a generated key that is a handle. NULL: there are none. The caller wipes `key`. */
    void (*discard)(const nacre_pk *pk, nacre_ephemeral *key);
    /* The shared secret (x coordinate) of a private key and a peer's point. The peer's point is validated: in range, on the
     * curve, not of low order (NIST SP 800-56A 5.6.2.3, RFC 7748 6.1). `secret` gets nacre_curve_len bytes.
     * NACRE_OK, NACRE_ERR_BAD_PUBLIC_KEY, NACRE_ERR_UNSUPPORTED, NACRE_ERR_CRYPTO */
    nacre_err (*agree)(const nacre_pk *pk, const nacre_private_key *key, nacre_bytes peer_x, uint8_t *secret);
    /* Signs the concatenated parts with EdDSA, ES256 or ES384 (RFC 9053 2), by the key's curve.
     * NACRE_OK, NACRE_ERR_UNSUPPORTED, NACRE_ERR_CRYPTO */
    nacre_err (*sign)(const nacre_pk *pk, const nacre_private_key *key, const nacre_bytes *parts, size_t num_parts,
                      uint8_t *signature);
    /* NACRE_OK, NACRE_ERR_BAD_SIGNATURE, NACRE_ERR_BAD_PUBLIC_KEY (no point, low order, or y is absent), NACRE_ERR_UNSUPPORTED,
     * NACRE_ERR_CRYPTO */
    nacre_err (*verify)(const nacre_pk *pk, const nacre_public_key *key, const nacre_bytes *parts, size_t num_parts,
                        nacre_bytes signature);
} nacre_pk_ops;

struct nacre_pk {
    const nacre_pk_ops *ops;
    void *instance; /* of one thread; defined by the provider */
};

/* nacre_openssl_pk_open opens the provider over OpenSSL 3 (in libnacre, not in the core), an instance for the calling
 * thread; close it with nacre_openssl_pk_close. Its handles are EVP_PKEY pointers that the caller keeps, cast to uint64_t:
 * so a key may stay in a PKCS #11 token.
 * NACRE_OK, NACRE_ERR_NO_MEMORY, NACRE_ERR_CRYPTO (the library lacks SHA-256, for example by FIPS policy) */
NACRE_MUST_USE nacre_err nacre_openssl_pk_open(nacre_pk *pk);
void nacre_openssl_pk_close(nacre_pk *pk);

/* nacre_public_key_of computes the public key of a private key; `x` and `y` get nacre_curve_len bytes each, and `y` is not
 * written where the curve has none. Over OpenSSL; for tools and tests.
 * NACRE_OK, NACRE_ERR_UNSUPPORTED, NACRE_ERR_CRYPTO (not a private key of the curve) */
NACRE_MUST_USE nacre_err nacre_public_key_of(const nacre_private_key *key, uint8_t *x, uint8_t *y);

#ifdef __cplusplus
}
#endif

#endif
