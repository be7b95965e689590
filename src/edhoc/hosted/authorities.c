/* SPDX-License-Identifier: MIT */
/* authorities: peers with X.509 certificates of trusted authorities (RFC 9528 D.3, RFC 9360). */
#include "base/hosted/detail.h"
#include "edhoc/method.h"
#include "edhoc/parts.h"
#include "edhoc/x5t.h"
#include <nacre/edhoc_hosted.h>

enum { MAX_CHAIN = 8 };

static nacre_edhoc_found check(nacre_edhoc_authorities *a, const nacre_edhoc_query *query, nacre_bytes certificate,
                               const nacre_bytes *more, size_t num_more, nacre_edhoc_credential *found, void **peer)
{
    nacre_err err = nacre_certificates_check(a->authorities, &a->key, certificate, more, num_more, a->name, &a->why);
    if (err != NACRE_OK) return NACRE_EDHOC_NOT_TRUSTED;
    if (a->key.curve != query->curve) {
        (void)nacre__fail(&a->why, NACRE_ERR_BAD_CREDENTIALS, "certificate refused: its key is of another curve");
        return NACRE_EDHOC_NOT_TRUSTED;
    }
    nacre_edhoc_role role = query->role == NACRE_EDHOC_INITIATOR ? NACRE_EDHOC_RESPONDER : NACRE_EDHOC_INITIATOR;
    if (!(nacre__edhoc_is_static(role, query->method) ? a->key.may_agree : a->key.may_sign)) {
        (void)nacre__fail(&a->why, NACRE_ERR_BAD_CREDENTIALS, "certificate refused: its key usage excludes the method");
        return NACRE_EDHOC_NOT_TRUSTED;
    }
    *found = (nacre_edhoc_credential){ certificate, true, nacre_certificate_public_key(&a->key) };
    *peer = a;
    return NACRE_EDHOC_FOUND;
}

static nacre_edhoc_found find_chain(nacre_edhoc_authorities *a, const nacre_edhoc_query *query,
                                    nacre_edhoc_credential *found, void **peer)
{
    nacre_bytes more[MAX_CHAIN - 1];
    size_t num = 0;
    nacre__reader r = nacre__reader_of(query->id->more);
    while (nacre__left(&r) > 0 && !r.bad) {
        if (num == MAX_CHAIN - 1) {
            (void)nacre__fail(&a->why, NACRE_ERR_BAD_CREDENTIALS, "more than %d certificates", (int)MAX_CHAIN);
            return NACRE_EDHOC_NOT_TRUSTED;
        }
        more[num++] = nacre__cbor_read_string(&r, NACRE__CBOR_BYTES);
    }
    return check(a, query, query->id->value, more, num, found, peer);
}

static nacre_edhoc_found find(void *self, const nacre_edhoc_query *query, nacre_edhoc_credential *found, void **peer)
{
    nacre_edhoc_authorities *a = self;
    const nacre_edhoc_id *id = query->id;
    if (id->kind == NACRE_EDHOC_ID_X5CHAIN) return find_chain(a, query, found, peer);
    if (id->kind != NACRE_EDHOC_ID_X5T || !nacre__edhoc_x5t_is_known(id)) {
        (void)nacre__fail(&a->why, NACRE_ERR_BAD_CREDENTIALS, "not a chain of certificates, nor a SHA-256 hash of one");
        return NACRE_EDHOC_NO_SUCH_KIND;
    }
    for (size_t i = 0; i < a->num_bag; i++)
        if (nacre__edhoc_x5t_is_of(query, a->bag[i])) return check(a, query, a->bag[i], NULL, 0, found, peer);
    (void)nacre__fail(&a->why, NACRE_ERR_BAD_CREDENTIALS, "no certificate with the hash that the peer sent");
    return NACRE_EDHOC_UNKNOWN;
}

nacre_edhoc_trust nacre_edhoc_trust_authorities(nacre_edhoc_authorities *self)
{
    nacre_edhoc_trust trust = { self, find };
    return trust;
}
