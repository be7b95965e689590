/* SPDX-License-Identifier: MIT */
/* ccs: raw public keys as CWT Claims Sets (RFC 8392, RFC 8747 3.2, RFC 9053 7). */
#include "edhoc/cose_key.h"
#include <nacre/edhoc_credentials.h>

enum { CLAIM_SUB = 2, CLAIM_CNF = 8, CNF_COSE_KEY = 1 };

/* The value of a key of a map that is well-formed; absent if it has none. */
static nacre_bytes member(nacre_bytes map, int32_t wanted)
{
    nacre__reader r = nacre__reader_of(map);
    size_t num = nacre__cbor_read_size(&r, NACRE__CBOR_MAP);
    for (size_t i = 0; i < num && !r.bad; i++) {
        bool is_number = nacre__cbor_peek(&r) <= NACRE__CBOR_NEGATIVE;
        nacre__reader key = r;
        (void)nacre__cbor_read_item(&r);
        nacre_bytes value = nacre__cbor_read_item(&r);
        if (is_number && nacre__cbor_read_int(&key) == wanted && !key.bad) return value;
    }
    return NACRE_ABSENT;
}

nacre_err nacre_edhoc_read_ccs(nacre_edhoc_credential *credential, nacre_bytes *kid, nacre_bytes ccs)
{
    nacre__cose_key key;
    nacre__reader r = nacre__reader_of(ccs);
    bool is_map = nacre__cbor_peek(&r) == NACRE__CBOR_MAP;
    (void)nacre__cbor_read_item(&r);
    if (!is_map || r.bad || nacre__left(&r) > 0) return NACRE_ERR_BAD_CREDENTIALS;
    nacre_bytes cnf = member(ccs, CLAIM_CNF);
    if (cnf.len == 0 || cnf.ptr[0] >> 5 != NACRE__CBOR_MAP) return NACRE_ERR_BAD_CREDENTIALS;
    if (!nacre__read_cose_key(&key, member(cnf, CNF_COSE_KEY)) || key.public_key.x.len == 0 || key.d.len > 0)
        return NACRE_ERR_BAD_CREDENTIALS;
    *credential = (nacre_edhoc_credential){ .bytes = ccs, .key = key.public_key };
    if (kid != NULL) *kid = key.kid;
    return NACRE_OK;
}

/* A writer that counts past the end of its buffer. */
typedef struct writer {
    nacre_buf buf;
    size_t len;
} writer;

static void put(writer *w, nacre_bytes bytes)
{
    if (w->len <= w->buf.cap && bytes.len <= w->buf.cap - w->len && bytes.len > 0)
        memcpy(w->buf.ptr + w->len, bytes.ptr, bytes.len);
    w->len += bytes.len;
}

static void put_head(writer *w, unsigned major, size_t value)
{
    uint8_t head[NACRE__EDHOC_MAX_HEAD];
    put(w, nacre_bytes_of(head, (size_t)(nacre__cbor_head(head, major, (unsigned)value) - head)));
}

static void put_int(writer *w, int value)
{
    put_head(w, value < 0 ? (unsigned)NACRE__CBOR_NEGATIVE : (unsigned)NACRE__CBOR_UINT,
             (size_t)(value < 0 ? -1 - value : value));
}

static void put_string(writer *w, unsigned major, nacre_bytes bytes)
{
    put_head(w, major, bytes.len);
    put(w, bytes);
}

static nacre_err finish(const writer *w, nacre_bytes *out)
{
    if (w->len > w->buf.cap) return NACRE_ERR_BUFFER_TOO_SMALL;
    *out = nacre_bytes_of(w->buf.ptr, w->len);
    return NACRE_OK;
}

/* Of an ID_CRED_x, which is hashed with a head of at most 3 bytes. */
static nacre_err finish_id(const writer *w, nacre_bytes *out)
{
    return w->len > UINT16_MAX ? NACRE_ERR_BAD_ARGUMENT : finish(w, out);
}

static void put_y(writer *w, const nacre_public_key *key)
{
    put_int(w, NACRE__COSE_Y);
    if (key->y_form == NACRE_Y_WHOLE) put_string(w, NACRE__CBOR_BYTES, key->y);
    else put_head(w, NACRE__CBOR_SIMPLE, key->y_form == NACRE_Y_ODD ? NACRE__CBOR_TRUE : NACRE__CBOR_FALSE);
}

nacre_err nacre_edhoc_write_ccs(nacre_bytes *ccs, nacre_buf buf, nacre_bytes subject, nacre_bytes kid,
                                const nacre_public_key *key)
{
    size_t len = nacre_curve_len(key->curve);
    bool is_ec = key->curve == NACRE_P256 || key->curve == NACRE_P384, has_y = is_ec && key->y_form != NACRE_Y_ABSENT;
    if (len == 0 || key->x.len != len || subject.len > UINT16_MAX || kid.len > UINT16_MAX ||
        (has_y && key->y_form == NACRE_Y_WHOLE && key->y.len != len))
        return NACRE_ERR_BAD_ARGUMENT;
    writer w = { buf, 0 };
    put_head(&w, NACRE__CBOR_MAP, nacre_is_absent(subject) ? 1 : 2);
    if (!nacre_is_absent(subject)) {
        put_int(&w, CLAIM_SUB);
        put_string(&w, NACRE__CBOR_TEXT, subject);
    }
    put_int(&w, CLAIM_CNF);
    put_head(&w, NACRE__CBOR_MAP, 1);
    put_int(&w, CNF_COSE_KEY);
    put_head(&w, NACRE__CBOR_MAP, 3u + (nacre_is_absent(kid) ? 0u : 1u) + (has_y ? 1u : 0u));
    put_int(&w, NACRE__COSE_KTY);
    put_int(&w, is_ec ? NACRE__COSE_EC2 : NACRE__COSE_OKP);
    if (!nacre_is_absent(kid)) {
        put_int(&w, NACRE__COSE_KID);
        put_string(&w, NACRE__CBOR_BYTES, kid);
    }
    put_int(&w, NACRE__COSE_CRV);
    put_int(&w, (int)key->curve);
    put_int(&w, NACRE__COSE_X);
    put_string(&w, NACRE__CBOR_BYTES, key->x);
    if (has_y) put_y(&w, key);
    return finish(&w, ccs);
}

/* ---- ID_CRED_x (RFC 9528 3.5.3) ---- */
static writer begin_id(nacre_buf buf, int label)
{
    writer w = { buf, 0 };
    put_head(&w, NACRE__CBOR_MAP, 1);
    put_int(&w, label);
    return w;
}

nacre_err nacre_edhoc_id_kid(nacre_bytes *id_cred, nacre_buf buf, nacre_bytes kid)
{
    if (kid.len > UINT16_MAX) return NACRE_ERR_BAD_ARGUMENT;
    writer w = begin_id(buf, 4);
    put_string(&w, NACRE__CBOR_BYTES, kid);
    return finish_id(&w, id_cred);
}

nacre_err nacre_edhoc_id_kccs(nacre_bytes *id_cred, nacre_buf buf, nacre_bytes ccs)
{
    nacre_edhoc_credential credential;
    nacre_err err = nacre_edhoc_read_ccs(&credential, NULL, ccs);
    if (err != NACRE_OK) return err == NACRE_ERR_BAD_CREDENTIALS ? NACRE_ERR_BAD_ARGUMENT : err;
    writer w = begin_id(buf, 14);
    put(&w, ccs);
    return finish_id(&w, id_cred);
}

nacre_err nacre_edhoc_id_x5t(nacre_bytes *id_cred, nacre_buf buf, const nacre_pk *pk, nacre_bytes certificate)
{
    uint8_t hash[NACRE_MAX_HASH];
    if (certificate.len == 0) return NACRE_ERR_BAD_ARGUMENT;
    nacre_err err = pk->ops->hash(pk, NACRE_SHA256, &certificate, 1, hash);
    if (err != NACRE_OK) return err;
    writer w = begin_id(buf, 34);
    put_head(&w, NACRE__CBOR_ARRAY, 2);
    put_int(&w, -15);
    put_string(&w, NACRE__CBOR_BYTES, nacre_bytes_of(hash, 8));
    return finish_id(&w, id_cred);
}

nacre_err nacre_edhoc_id_x5chain(nacre_bytes *id_cred, nacre_buf buf, const nacre_bytes *certificates, size_t num)
{
    writer w = begin_id(buf, 33);
    if (num == 0 || num > UINT16_MAX) return NACRE_ERR_BAD_ARGUMENT;
    if (num > 1) put_head(&w, NACRE__CBOR_ARRAY, num);
    for (size_t i = 0; i < num; i++) {
        if (certificates[i].len == 0 || certificates[i].len > UINT16_MAX || w.len > UINT16_MAX)
            return NACRE_ERR_BAD_ARGUMENT;
        put_string(&w, NACRE__CBOR_BYTES, certificates[i]);
    }
    return finish_id(&w, id_cred);
}

nacre_err nacre_edhoc_id_x5u(nacre_bytes *id_cred, nacre_buf buf, nacre_bytes uri)
{
    if (uri.len == 0 || uri.len > UINT16_MAX) return NACRE_ERR_BAD_ARGUMENT;
    writer w = begin_id(buf, 35);
    put_head(&w, NACRE__CBOR_TAG, 32);
    put_string(&w, NACRE__CBOR_TEXT, uri);
    return finish_id(&w, id_cred);
}
