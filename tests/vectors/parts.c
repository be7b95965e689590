/* SPDX-License-Identifier: MIT */
/* parts: nonce, AAD, option and ciphertext of one message, each computed by itself, apart from protect and unprotect. */
#include "vectors.h"

#include <context/derive.h>
#include <context/sequence.h>
#include <oscore/aad.h>
#include <oscore/nonce.h>
#include <stdlib.h>
#include <string.h>

nacre_bytes vec_partial_iv(vec_run *run, uint64_t number)
{
    size_t len = 1;
    while (len < 8 && number >> (8 * len)) len++;
    uint8_t *p = vec_alloc(run, len);
    for (size_t i = 0; i < len; i++) p[i] = (uint8_t)(number >> (8 * (len - 1 - i)));
    return nacre_bytes_of(p, len);
}

uint64_t vec_partial_iv_number(nacre_bytes partial_iv)
{
    uint64_t n = 0;
    for (size_t i = 0; i < partial_iv.len; i++) n = n << 8 | partial_iv.ptr[i];
    return n;
}

nacre_bytes vec_nonce(vec_run *run, int alg, nacre_bytes common_iv, nacre_bytes id_piv, nacre_bytes partial_iv)
{
    const nacre_aead *aead = nacre_aead_by_number(alg);
    if (!aead) {
        vec_differs(run, "no AEAD algorithm %d", alg);
        return NACRE_ABSENT;
    }
    if (common_iv.len != aead->nonce_len || id_piv.len > (size_t)(aead->nonce_len - 6) || partial_iv.len > 5) {
        vec_differs(run, "Common IV, ID or Partial IV of a length that %s does not have", aead->name);
        return NACRE_ABSENT;
    }
    uint8_t *nonce = vec_alloc(run, NACRE_MAX_NONCE);
    uint8_t *iv = vec_alloc(run, NACRE_MAX_NONCE); /* as a context holds it: of the longest nonce's size */
    memset(iv, 0, NACRE_MAX_NONCE);
    memcpy(iv, common_iv.ptr, common_iv.len);
    nacre__nonce(nonce, aead, iv, id_piv, nacre__partial_iv_number(partial_iv));
    return nacre_bytes_of(nonce, aead->nonce_len);
}

/* job does one AEAD operation with a key of its own. */
static bool job(vec_run *run, nacre_direction direction, nacre_bytes key, nacre_aead_job *j)
{
    size_t size, align;
    const nacre_crypto_ops *ops = run->crypto->ops;
    if (!ops->key_layout(j->aead, &size, &align)) {
        vec_differs(run, "the provider does not have %s", j->aead->name);
        return false;
    }
    if (size == 0) size = 1;
    j->key = aligned_alloc(align, (size + align - 1) / align * align);
    if (!j->key) abort();
    bool done = false;
    if (vec_same_err(run, "preparing the key", NACRE_OK,
                     ops->key_init(run->crypto, j->aead, direction, j->key, key.ptr))) {
        done = direction == NACRE_SEAL ? nacre_seal(run->crypto, j) : nacre_open(run->crypto, j);
        ops->key_release(j->aead, j->key, size);
    }
    free(j->key);
    return done;
}

static bool fits(vec_run *run, const nacre_aead *aead, int alg, nacre_bytes key, nacre_bytes nonce)
{
    if (!aead) vec_differs(run, "no AEAD algorithm %d", alg);
    else if (key.len != aead->key_len || nonce.len != aead->nonce_len)
        vec_differs(run, "key or nonce of a length that %s does not have", aead->name);
    else return true;
    return false;
}

nacre_bytes vec_seal(vec_run *run, int alg, nacre_bytes key, nacre_bytes nonce, nacre_bytes aad, nacre_bytes in)
{
    const nacre_aead *aead = nacre_aead_by_number(alg);
    if (!fits(run, aead, alg, key, nonce)) return NACRE_ABSENT;
    uint8_t *out = vec_alloc(run, in.len + aead->tag_len);
    nacre_aead_job j = { .aead = aead, .nonce = nonce.ptr, .aad = aad, .in = in.ptr, .in_len = in.len, .out = out };
    if (!job(run, NACRE_SEAL, key, &j)) {
        vec_differs(run, "the AEAD refuses to seal");
        return NACRE_ABSENT;
    }
    return nacre_bytes_of(out, in.len + aead->tag_len);
}

static nacre_bytes open_(vec_run *run, int alg, nacre_bytes key, nacre_bytes nonce, nacre_bytes aad, nacre_bytes in)
{
    const nacre_aead *aead = nacre_aead_by_number(alg);
    if (!fits(run, aead, alg, key, nonce)) return NACRE_ABSENT;
    if (in.len < aead->tag_len) {
        vec_differs(run, "ciphertext shorter than a tag");
        return NACRE_ABSENT;
    }
    uint8_t *out = vec_alloc(run, in.len); /* the tag's room too: a provider may decrypt in place */
    nacre_aead_job j = { .aead = aead, .nonce = nonce.ptr, .aad = aad, .in = in.ptr, .in_len = in.len, .out = out };
    if (!job(run, NACRE_OPEN, key, &j)) {
        vec_differs(run, "the AEAD refuses to open");
        return NACRE_ABSENT;
    }
    return nacre_bytes_of(out, in.len - aead->tag_len);
}

void vec_check_option(vec_run *run, const nacre_oscore_option *fields, nacre_bytes option)
{
    nacre_oscore_option read;
    if (vec_same_err(run, "reading the option", NACRE_OK, nacre_oscore_option_read(&read, option))) {
        vec_same_bytes(run, "Partial IV in the option", fields->partial_iv, read.partial_iv);
        vec_same_bytes(run, "kid context in the option", fields->kid_context, read.kid_context);
        vec_same_bytes(run, "kid in the option", fields->kid, read.kid);
    }
    nacre_buf buf = { vec_alloc(run, option.len), option.len }; /* exactly as large as it should become */
    nacre_bytes written;
    if (vec_same_err(run, "writing the option", NACRE_OK, nacre_oscore_option_write(fields, &written, buf)))
        vec_same_bytes(run, "option written", option, written);
}

void vec_check_parts(vec_run *run, const vec_parts *p)
{
    vec_same_bytes(run, "nonce", p->nonce, vec_nonce(run, p->alg, p->common_iv, p->id_piv, p->nonce_piv));
    if (p->request_kid.len <= NACRE_MAX_ID && p->request_piv.len <= 5) {
        uint8_t aad[NACRE_MAX_AAD];
        size_t len = nacre__aad(aad, p->alg, p->request_kid, p->request_piv);
        vec_same_bytes(run, "AAD", p->aad, nacre_bytes_of(aad, len));
    } else vec_differs(run, "request kid or Partial IV too long");
    vec_check_option(run, &p->fields, p->option);

    nacre_message m;
    if (!vec_parse(run, "the protected message", p->message, &m)) return;
    nacre_bytes option = nacre_option_find(m.options, NACRE_OPT_OSCORE);
    vec_same_bytes(run, "option in the message", p->option, option);
    vec_same_bytes(run, "ciphertext", m.payload, vec_seal(run, p->alg, p->key, p->nonce, p->aad, p->plaintext));
    vec_same_bytes(run, "plaintext", p->plaintext, open_(run, p->alg, p->key, p->nonce, p->aad, m.payload));
}
