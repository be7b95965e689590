/* SPDX-License-Identifier: MIT */
/* table: the AEADs and hashes that OSCORE can use (RFC 9053 4, RFC 8613 3.2), and the curves of EDHOC. Adding one is one row. */
#include <nacre/public_key.h>

/* CCM's length field has 15 - nonce length bytes; clamped to more than any CoAP message needs. */
enum { CCM_LONG_NONCE = 65535, NO_LIMIT = 0x7fffffff };

static const nacre_aead aeads[] = {
    { 1, 16, 12, 16, NO_LIMIT, "A128GCM" },
    { 2, 24, 12, 16, NO_LIMIT, "A192GCM" },
    { 3, 32, 12, 16, NO_LIMIT, "A256GCM" },
    { 10, 16, 13, 8, CCM_LONG_NONCE, "AES-CCM-16-64-128" },
    { 11, 32, 13, 8, CCM_LONG_NONCE, "AES-CCM-16-64-256" },
    { 12, 16, 7, 8, NO_LIMIT, "AES-CCM-64-64-128" },
    { 13, 32, 7, 8, NO_LIMIT, "AES-CCM-64-64-256" },
    { 24, 32, 12, 16, NO_LIMIT, "ChaCha20/Poly1305" },
    { 30, 16, 13, 16, CCM_LONG_NONCE, "AES-CCM-16-128-128" },
    { 31, 32, 13, 16, CCM_LONG_NONCE, "AES-CCM-16-128-256" },
    { 32, 16, 7, 16, NO_LIMIT, "AES-CCM-64-128-128" },
    { 33, 32, 7, 16, NO_LIMIT, "AES-CCM-64-128-256" },
};
enum { NUM_AEADS = sizeof aeads / sizeof aeads[0] };

static const struct {
    uint8_t len;
    const char *name;
} hashes[] = {
    [NACRE_SHA256] = { 32, "sha256" },
    [NACRE_SHA384] = { 48, "sha384" },
    [NACRE_SHA512] = { 64, "sha512" },
};
enum { NUM_HASHES = sizeof hashes / sizeof hashes[0] };

static bool same(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) a++, b++;
    return *a == *b;
}

const nacre_aead *nacre_aead_at(size_t index)
{
    return index < NUM_AEADS ? &aeads[index] : NULL;
}

const nacre_aead *nacre_aead_by_number(int cose)
{
    for (size_t i = 0; i < NUM_AEADS; i++)
        if (aeads[i].cose == cose) return &aeads[i];
    return NULL;
}

const nacre_aead *nacre_aead_by_name(const char *name)
{
    for (size_t i = 0; i < NUM_AEADS; i++)
        if (same(aeads[i].name, name)) return &aeads[i];
    return NULL;
}

size_t nacre_hash_len(nacre_hash hash)
{
    return (unsigned)hash < NUM_HASHES ? hashes[hash].len : 0;
}

const char *nacre_hash_name(nacre_hash hash)
{
    return (unsigned)hash < NUM_HASHES ? hashes[hash].name : "?";
}

bool nacre_hash_by_name(const char *name, nacre_hash *hash)
{
    for (unsigned i = 0; i < NUM_HASHES; i++) {
        if (!same(hashes[i].name, name)) continue;
        *hash = (nacre_hash)i;
        return true;
    }
    return false;
}

size_t nacre_curve_len(nacre_curve curve)
{
    switch (curve) {
    case NACRE_P256:
    case NACRE_X25519:
    case NACRE_ED25519: return 32;
    case NACRE_P384: return 48;
    case NACRE_CURVE_NONE: break;
    }
    return 0;
}
