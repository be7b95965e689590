/* SPDX-License-Identifier: MIT */
/* encrypt0: the COSE_Encrypt0 of message_3 and message_4 (RFC 9528 5.4.2, 5.5.2). */
#include "edhoc/encrypt0.h"
#include "edhoc/schedule.h"

enum { LOCAL_KEY = 256 };

static const nacre_aead *aead_of(const nacre_edhoc *s)
{
    return nacre_aead_by_number(s->suite->aead);
}

size_t nacre__edhoc_sealed_offset(const nacre_edhoc *s, size_t len)
{
    return nacre__edhoc_head_len(len + aead_of(s)->tag_len);
}

size_t nacre__edhoc_sealed_len(const nacre_edhoc *s, size_t len)
{
    return nacre__edhoc_sealed_offset(s, len) + len + aead_of(s)->tag_len;
}

/* Enc_structure = [ "Encrypt0", h'', TH ] (RFC 9052 5.3) */
typedef struct enc_structure {
    uint8_t bytes[14 + NACRE__EDHOC_MAX_HASH];
    size_t len;
} enc_structure;

static void put_structure(enc_structure *to, const uint8_t *th, size_t hash_len)
{
    static const uint8_t start[] = { 0x83, 0x68, 'E', 'n', 'c', 'r', 'y', 'p', 't', '0', 0x40 };
    uint8_t *at = nacre__edhoc_put(to->bytes, nacre_bytes_of(start, sizeof start));
    at = nacre__edhoc_put_head(at, NACRE__CBOR_BYTES, hash_len);
    at = nacre__edhoc_put(at, nacre_bytes_of(th, hash_len));
    to->len = (size_t)(at - to->bytes);
}

/* Where the prepared key is: in the room given, aligned, or in `local`. */
static void *key_memory(const nacre_edhoc *s, uint8_t *local, size_t size, size_t align)
{
    uint8_t *start = size <= LOCAL_KEY ? local : s->config->key_buf.ptr;
    size_t cap = size <= LOCAL_KEY ? LOCAL_KEY + 16 : s->config->key_buf.cap;
    if (start == NULL) return NULL;
    size_t skip = (align - (uintptr_t)start % align) % align;
    return cap >= size && cap - size >= skip ? start + skip : NULL;
}

static nacre_err run(const nacre_edhoc *s, nacre_direction direction, unsigned number, const uint8_t *prk,
                     const uint8_t *th, nacre_aead_job *job)
{
    const nacre_crypto *crypto = s->config->crypto;
    const nacre_aead *aead = aead_of(s);
    uint8_t bytes[NACRE_MAX_KEY], nonce[NACRE_MAX_NONCE], local[LOCAL_KEY + 16];
    enc_structure aad;
    size_t size, align;
    if (!crypto->ops->key_layout(aead, &size, &align)) return NACRE_ERR_UNSUPPORTED;
    void *key = key_memory(s, local, size, align);
    if (key == NULL) return NACRE_ERR_UNSUPPORTED;
    put_structure(&aad, th, nacre__edhoc_hash_len(s));
    unsigned label = number == 3 ? NACRE__EDHOC_K_3 : NACRE__EDHOC_K_4;
    nacre_err err = nacre__edhoc_kdf_th(s, prk, label, th, bytes, aead->key_len);
    if (err == NACRE_OK) err = nacre__edhoc_kdf_th(s, prk, label + 1, th, nonce, aead->nonce_len);
    if (err == NACRE_OK) err = crypto->ops->key_init(crypto, aead, direction, key, bytes);
    if (err == NACRE_OK) {
        job->aead = aead;
        job->key = key;
        job->nonce = nonce;
        job->aad = nacre_bytes_of(aad.bytes, aad.len);
        bool ok = direction == NACRE_SEAL ? nacre_seal(crypto, job) : nacre_open(crypto, job);
        if (!ok) err = direction == NACRE_SEAL ? NACRE_ERR_CRYPTO : NACRE_ERR_PROTECTION_INVALID;
        crypto->ops->key_release(aead, key, size);
    }
    nacre_wipe(bytes, sizeof bytes);
    nacre_wipe(nonce, sizeof nonce);
    return err;
}

nacre_err nacre__edhoc_seal(const nacre_edhoc *s, unsigned number, const uint8_t *prk, const uint8_t *th,
                            uint8_t *message, size_t len)
{
    size_t offset = nacre__edhoc_sealed_offset(s, len);
    (void)nacre__edhoc_put_head(message, NACRE__CBOR_BYTES, len + aead_of(s)->tag_len);
    nacre_aead_job job = { .in = message + offset, .in_len = len, .out = message + offset };
    return run(s, NACRE_SEAL, number, prk, th, &job);
}

nacre_err nacre__edhoc_open(const nacre_edhoc *s, unsigned number, const uint8_t *prk, const uint8_t *th,
                            nacre_bytes *plaintext, uint8_t *out, nacre_bytes in)
{
    if (in.len < aead_of(s)->tag_len) return NACRE_ERR_PROTECTION_INVALID;
    nacre_aead_job job = { .in = in.ptr, .in_len = in.len, .out = out };
    nacre_err err = run(s, NACRE_OPEN, number, prk, th, &job);
    if (err == NACRE_OK) *plaintext = nacre_bytes_of(out, in.len - aead_of(s)->tag_len);
    return err;
}
