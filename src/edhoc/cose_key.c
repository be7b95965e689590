/* SPDX-License-Identifier: MIT */
/* cose_key: COSE_Keys of curves (RFC 9052 7, RFC 9053 7). */
#include "edhoc/cose_key.h"

static void read_y(nacre__reader *r, nacre_public_key *key)
{
    nacre__cbor_item item;
    if (nacre__cbor_peek(r) == NACRE__CBOR_BYTES) {
        key->y = nacre__cbor_read_string(r, NACRE__CBOR_BYTES);
        key->y_form = NACRE_Y_WHOLE;
    } else if (nacre__cbor_read_head(r, &item) && item.major == NACRE__CBOR_SIMPLE && item.value <= NACRE__CBOR_TRUE) {
        key->y_form = item.value == NACRE__CBOR_TRUE ? NACRE_Y_ODD : NACRE_Y_EVEN;
    } else r->bad = true;
}

static bool is_consistent(const nacre__cose_key *key, int32_t kty)
{
    const nacre_public_key *p = &key->public_key;
    bool is_ec = p->curve == NACRE_P256 || p->curve == NACRE_P384;
    size_t len = nacre_curve_len(p->curve);
    if (len == 0 || kty != (is_ec ? NACRE__COSE_EC2 : NACRE__COSE_OKP)) return false;
    if (nacre_is_absent(p->x) && nacre_is_absent(key->d)) return false;
    if (p->y_form != NACRE_Y_ABSENT && (!is_ec || nacre_is_absent(p->x))) return false;
    return (nacre_is_absent(p->x) || p->x.len == len) && (p->y_form != NACRE_Y_WHOLE || p->y.len == len) &&
           (nacre_is_absent(key->d) || key->d.len == len);
}

bool nacre__read_cose_key(nacre__cose_key *key, nacre_bytes in)
{
    nacre__reader whole = nacre__reader_of(in), r = whole;
    nacre__cose_key read = { .kid = NACRE_ABSENT };
    int32_t kty = 0;
    (void)nacre__cbor_read_item(&whole); /* sorted, without duplicates */
    size_t num = nacre__cbor_read_size(&r, NACRE__CBOR_MAP);
    for (size_t i = 0; i < num && !whole.bad && !r.bad; i++) {
        if (nacre__cbor_peek(&r) > NACRE__CBOR_NEGATIVE) { /* a text label, of an application */
            (void)nacre__cbor_read_item(&r);
            (void)nacre__cbor_read_item(&r);
            continue;
        }
        switch (nacre__cbor_read_int(&r)) {
        case NACRE__COSE_KTY: kty = nacre__cbor_read_int(&r); break;
        case NACRE__COSE_KID: read.kid = nacre__cbor_read_string(&r, NACRE__CBOR_BYTES); break;
        case NACRE__COSE_CRV: read.public_key.curve = (nacre_curve)nacre__cbor_read_int(&r); break;
        case NACRE__COSE_X: read.public_key.x = nacre__cbor_read_string(&r, NACRE__CBOR_BYTES); break;
        case NACRE__COSE_Y: read_y(&r, &read.public_key); break;
        case NACRE__COSE_D: read.d = nacre__cbor_read_string(&r, NACRE__CBOR_BYTES); break;
        default: (void)nacre__cbor_read_item(&r); break;
        }
    }
    if (whole.bad || r.bad || nacre__left(&r) > 0 || !is_consistent(&read, kty)) return false;
    *key = read;
    return true;
}
