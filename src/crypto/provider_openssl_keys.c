/* SPDX-License-Identifier: MIT */
/* provider_openssl_keys: keys of nacre as EVP_PKEY of OpenSSL 3, and back. */
#include "crypto/openssl_keys.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <string.h>

static const struct {
    nacre_curve curve;
    const char *group; /* NULL: a raw key of `type` */
    int type;
} curves[] = {
    { NACRE_P256, "P-256", EVP_PKEY_EC },
    { NACRE_P384, "P-384", EVP_PKEY_EC },
    { NACRE_X25519, NULL, EVP_PKEY_X25519 },
    { NACRE_ED25519, NULL, EVP_PKEY_ED25519 },
};
enum { NUM_CURVES = sizeof curves / sizeof curves[0] };

/* The orders of the groups (SEC 2 2.4.2 and 2.5.1). OpenSSL signs with 0 and with the order. */
static const uint8_t order_p256[] = { 0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,    0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                      0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51 };
static const uint8_t order_p384[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a, 0x0d, 0xb2,
                                      0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73 };

/* Whether a private key of an EC curve is in 1 to order - 1, in constant time. */
static bool in_range(nacre_curve curve, const uint8_t *key, size_t len)
{
    const uint8_t *order = curve == NACRE_P256 ? order_p256 : order_p384;
    unsigned borrow = 0, any = 0;
    for (size_t i = len; i-- > 0;) {
        borrow = ((unsigned)key[i] - order[i] - borrow) >> 8 & 1;
        any |= key[i];
    }
    return (borrow != 0) & (any != 0);
}

static size_t row_of(nacre_curve curve)
{
    size_t row = 0;
    while (row < NUM_CURVES && curves[row].curve != curve) row++;
    return row;
}

const char *nacre__openssl_group(nacre_curve curve)
{
    size_t row = row_of(curve);
    return row < NUM_CURVES ? curves[row].group : NULL;
}

/* OSSL_PARAM takes non-const pointers and only reads here. */
static char *writable(const char *text)
{
    return (char *)(uintptr_t)text;
}

static EVP_PKEY *import(int selection, const OSSL_PARAM *params)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, selection, (OSSL_PARAM *)(uintptr_t)params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* The y coordinates of Ed25519's points of order 1, 2, 4 and 8 (RFC 8032 5.1.2), also those of p and more. With such a key one
 * signature fits many messages, or all, and OpenSSL accepts it. */
static bool has_low_order(const uint8_t *key)
{
    static const uint8_t order_8[2][32] = {
        { 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
          0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
        { 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
          0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
    };
    uint8_t y[32], zeros = 0, ones = 0xff;
    memcpy(y, key, sizeof y);
    y[31] &= 0x7f; /* the sign of x */
    if (memcmp(y, order_8[0], sizeof y) == 0 || memcmp(y, order_8[1], sizeof y) == 0) return true;
    for (size_t i = 1; i < 31; i++) zeros |= y[i], ones &= y[i];
    if (zeros == 0 && y[31] == 0) return y[0] <= 1;
    return ones == 0xff && y[31] == 0x7f && y[0] >= 0xec && y[0] <= 0xee; /* p - 1, p, p + 1 */
}

EVP_PKEY *nacre__openssl_public(const nacre_public_key *key)
{
    size_t row = row_of(key->curve), len = nacre_curve_len(key->curve);
    if (row == NUM_CURVES || key->x.len != len) return NULL;
    if (key->curve == NACRE_ED25519 && has_low_order(key->x.ptr)) return NULL;
    if (curves[row].group == NULL) return EVP_PKEY_new_raw_public_key(curves[row].type, NULL, key->x.ptr, len);
    if (key->y_form == NACRE_Y_WHOLE && key->y.len != len) return NULL;
    /* SEC 1 2.3.3: 02 and 03 with the sign of y, 04 with all of it. OpenSSL refuses x >= p and what is not on the curve. */
    uint8_t octets[1 + 2 * NACRE_MAX_COORDINATE] = { key->y_form == NACRE_Y_ODD ? 3 : 2 };
    size_t octets_len = 1 + len;
    memcpy(octets + 1, key->x.ptr, len);
    if (key->y_form == NACRE_Y_WHOLE) {
        octets[0] = 4;
        memcpy(octets + 1 + len, key->y.ptr, len);
        octets_len += len;
    }
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, writable(curves[row].group), 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, octets, octets_len), OSSL_PARAM_construct_end()
    };
    return import(EVP_PKEY_PUBLIC_KEY, params);
}

EVP_PKEY *nacre__openssl_private(const nacre_private_key *key)
{
    size_t row = row_of(key->curve), len = nacre_curve_len(key->curve);
    if (row == NUM_CURVES) return NULL;
    if (nacre_is_absent(key->secret.bytes)) {
        EVP_PKEY *kept = (EVP_PKEY *)(uintptr_t)key->secret.handle;
        return kept != NULL && EVP_PKEY_up_ref(kept) == 1 ? kept : NULL;
    }
    if (key->secret.bytes.len != len) return NULL;
    if (curves[row].group == NULL)
        return EVP_PKEY_new_raw_private_key(curves[row].type, NULL, key->secret.bytes.ptr, len);
    if (!in_range(key->curve, key->secret.bytes.ptr, len)) return NULL;
    uint8_t native[NACRE_MAX_COORDINATE]; /* integers of OSSL_PARAM have the byte order of the machine */
    const uint16_t one = 1;
    bool little = *(const uint8_t *)&one == 1;
    for (size_t i = 0; i < len; i++) native[i] = key->secret.bytes.ptr[little ? len - 1 - i : i];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, writable(curves[row].group), 0),
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native, len), OSSL_PARAM_construct_end()
    };
    EVP_PKEY *made = import(EVP_PKEY_KEYPAIR, params);
    nacre_wipe(native, sizeof native);
    return made;
}

bool nacre__openssl_private_bytes(const EVP_PKEY *key, nacre_curve curve, uint8_t *bytes)
{
    size_t len = nacre_curve_len(curve), written = len;
    if (nacre__openssl_curve(key) != curve) return false;
    if (nacre__openssl_group(curve) == NULL)
        return EVP_PKEY_get_raw_private_key(key, bytes, &written) == 1 && written == len;
    BIGNUM *number = NULL;
    bool ok = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &number) == 1 &&
              BN_bn2binpad(number, bytes, (int)len) == (int)len;
    BN_clear_free(number);
    return ok;
}

static bool coordinate(const EVP_PKEY *key, const char *name, uint8_t *bytes, size_t len)
{
    BIGNUM *number = NULL;
    bool ok = EVP_PKEY_get_bn_param(key, name, &number) == 1 && BN_bn2binpad(number, bytes, (int)len) == (int)len;
    BN_free(number);
    return ok;
}

bool nacre__openssl_public_bytes(const EVP_PKEY *key, nacre_curve curve, uint8_t *x, uint8_t *y)
{
    size_t len = nacre_curve_len(curve), written = len;
    if (nacre__openssl_curve(key) != curve) return false;
    if (nacre__openssl_group(curve) == NULL)
        return EVP_PKEY_get_raw_public_key(key, x, &written) == 1 && written == len;
    return coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, x, len) &&
           (y == NULL || coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y, y, len));
}

nacre_curve nacre__openssl_curve(const EVP_PKEY *key)
{
    char group[32];
    int type = EVP_PKEY_get_base_id(key);
    if (type == EVP_PKEY_X25519) return NACRE_X25519;
    if (type == EVP_PKEY_ED25519) return NACRE_ED25519;
    if (type != EVP_PKEY_EC || EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1) return NACRE_CURVE_NONE;
    if (strcmp(group, "P-256") == 0 || strcmp(group, "prime256v1") == 0) return NACRE_P256;
    if (strcmp(group, "P-384") == 0 || strcmp(group, "secp384r1") == 0) return NACRE_P384;
    return NACRE_CURVE_NONE;
}

/* A private key without its public half, as EC keys are imported above: the point is the key times the generator. */
static bool multiply(const nacre_private_key *key, const EVP_PKEY *pkey, uint8_t *x, uint8_t *y)
{
    int len = (int)nacre_curve_len(key->curve);
    EC_GROUP *group = EC_GROUP_new_by_curve_name(key->curve == NACRE_P256 ? NID_X9_62_prime256v1 : NID_secp384r1);
    EC_POINT *point = group != NULL ? EC_POINT_new(group) : NULL;
    BIGNUM *scalar = NULL, *bn_x = BN_new(), *bn_y = BN_new();
    bool ok = point != NULL && bn_x != NULL && bn_y != NULL &&
              EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) == 1 &&
              EC_POINT_mul(group, point, scalar, NULL, NULL, NULL) == 1 &&
              EC_POINT_get_affine_coordinates(group, point, bn_x, bn_y, NULL) == 1 &&
              BN_bn2binpad(bn_x, x, len) == len && BN_bn2binpad(bn_y, y, len) == len;
    BN_clear_free(scalar);
    BN_free(bn_x);
    BN_free(bn_y);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    return ok;
}

nacre_err nacre_public_key_of(const nacre_private_key *key, uint8_t *x, uint8_t *y)
{
    size_t row = row_of(key->curve), len = nacre_curve_len(key->curve);
    if (row == NUM_CURVES) return NACRE_ERR_UNSUPPORTED;
    uint8_t made_x[NACRE_MAX_COORDINATE], made_y[NACRE_MAX_COORDINATE];
    EVP_PKEY *pkey = nacre__openssl_private(key);
    bool is_ec = curves[row].group != NULL;
    bool ok = pkey != NULL && (nacre__openssl_public_bytes(pkey, key->curve, made_x, is_ec ? made_y : NULL) ||
                               (is_ec && multiply(key, pkey, made_x, made_y)));
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    if (!ok) return NACRE_ERR_CRYPTO;
    memcpy(x, made_x, len);
    if (is_ec) memcpy(y, made_y, len);
    return NACRE_OK;
}
