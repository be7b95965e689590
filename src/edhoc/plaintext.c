/* SPDX-License-Identifier: MIT */
/* plaintext: what PLAINTEXT_2 and PLAINTEXT_3 have in common (RFC 9528 5.3.2, 5.4.2). */
#include "edhoc/method.h"
#include "edhoc/plaintext.h"

static nacre_bytes ead_of(const nacre_edhoc *s, nacre_edhoc_role role)
{
    return s->config->send_ead[role == NACRE_EDHOC_RESPONDER ? 1 : 2];
}

size_t nacre__edhoc_plaintext_len(const nacre_edhoc *s, nacre_edhoc_role role, const nacre_edhoc_identity *identity)
{
    size_t proof_len = nacre__edhoc_proof_len(s, role);
    return nacre__edhoc_id_cred_len(identity->id_cred) + nacre__edhoc_head_len(proof_len) + proof_len +
           ead_of(s, role).len;
}

nacre_err nacre__edhoc_write_plaintext(const nacre_edhoc *s, nacre__edhoc_claim *claim,
                                       const nacre_edhoc_identity *identity, nacre_bytes peer_x, const uint8_t *prk,
                                       uint8_t *next, uint8_t *at)
{
    size_t proof_len = nacre__edhoc_proof_len(s, claim->role);
    claim->id_cred.head_len = 0;
    claim->id_cred.rest = identity->id_cred;
    claim->credential = &identity->credential;
    claim->ead = ead_of(s, claim->role);
    at = nacre__edhoc_put_id_cred(at, identity->id_cred);
    at = nacre__edhoc_put_head(at, NACRE__CBOR_BYTES, proof_len);
    nacre_err err = nacre__edhoc_prove(s, claim, &identity->private_key, peer_x, prk, next, at);
    (void)nacre__edhoc_put(at + proof_len, claim->ead);
    return err;
}

static nacre_edhoc_fault fault_of(nacre_edhoc_found found)
{
    if (found == NACRE_EDHOC_UNKNOWN) return NACRE_EDHOC_FAULT_CREDENTIAL;
    return found == NACRE_EDHOC_NO_SUCH_KIND ? NACRE_EDHOC_FAULT_ID_KIND : NACRE_EDHOC_FAULT_NOT_TRUSTED;
}

/* RFC 9528 9.2: without this, an endpoint in both roles that trusts its own credential, as one of an authority or on first use,
 * completes a session with itself. */
static bool is_of_this_endpoint(const nacre_edhoc_config *config, const nacre_edhoc_credential *found)
{
    for (size_t i = 0; i < config->num_identities; i++)
        if (found->bytes.len > 0 && nacre_bytes_equal(config->identities[i].credential.bytes, found->bytes))
            return true;
    return false;
}

/* RFC 9528 3.5.3: several credentials may have one kid, and are tried. Others name one, or carry it. */
static nacre_err find_peer(const nacre_edhoc *s, nacre__edhoc_claim *claim, const nacre_edhoc_id *id,
                           const nacre_ephemeral *ephemeral, nacre_bytes proof, const uint8_t *prk, uint8_t *next,
                           nacre_edhoc_credential *credential, void **peer, nacre_edhoc_fault *fault)
{
    const nacre_edhoc_trust *trust = &s->config->trust;
    bool is_static = nacre__edhoc_is_static(claim->role, s->method);
    nacre_edhoc_query query = { .role = (nacre_edhoc_role)s->role,
                                .method = s->method,
                                .suite = s->suite,
                                .curve = (nacre_curve)(is_static ? s->suite->curve : s->suite->signs),
                                .id = id,
                                .ead = claim->ead,
                                .pk = s->config->pk };
    nacre_edhoc_fault last = NACRE_EDHOC_FAULT_CREDENTIAL;
    unsigned attempts = id->kind == NACRE_EDHOC_ID_KID ? NACRE_EDHOC_MAX_ATTEMPTS : 1;
    for (; query.attempt < attempts; query.attempt++) {
        nacre_edhoc_credential one = { .is_certificate = false };
        void *its_peer = NULL;
        nacre_edhoc_found found = trust->find(trust->self, &query, &one, &its_peer);
        if (found != NACRE_EDHOC_FOUND) {
            if (query.attempt == 0 || found != NACRE_EDHOC_UNKNOWN) last = fault_of(found);
            break;
        }
        if (is_of_this_endpoint(s->config, &one)) {
            last = NACRE_EDHOC_FAULT_NOT_TRUSTED;
            continue;
        }
        claim->credential = &one;
        nacre_err err = nacre__edhoc_verify(s, claim, ephemeral, proof, prk, next);
        claim->credential = NULL;
        if (err == NACRE_OK) {
            *credential = one;
            *peer = its_peer;
            return NACRE_OK;
        }
        if (err == NACRE_ERR_BAD_SIGNATURE) last = NACRE_EDHOC_FAULT_AUTHENTICATION;
        else if (err == NACRE_ERR_BAD_PUBLIC_KEY) last = NACRE_EDHOC_FAULT_CREDENTIAL_KEY;
        else if (err == NACRE_ERR_TOO_LONG) last = NACRE_EDHOC_FAULT_TOO_LONG;
        else return err;
    }
    return nacre__edhoc_refuse(fault, last);
}

nacre_err nacre__edhoc_read_plaintext(const nacre_edhoc *s, nacre__edhoc_claim *claim, nacre__reader *r,
                                      const nacre_ephemeral *ephemeral, const uint8_t *prk, uint8_t *next,
                                      nacre_edhoc_credential *credential, void **peer, nacre_edhoc_fault *fault)
{
    nacre_edhoc_id id;
    nacre_edhoc_fault first = nacre__edhoc_read_id_cred(r, &id, &claim->id_cred);
    if (first != NACRE_EDHOC_FAULT_NONE) return nacre__edhoc_refuse(fault, first);
    unsigned major = nacre__cbor_peek(r);
    if (major == 8) return nacre__edhoc_refuse(fault, NACRE_EDHOC_FAULT_ELEMENTS);
    if (major != NACRE__CBOR_BYTES) return nacre__edhoc_refuse(fault, NACRE_EDHOC_FAULT_TYPE);
    nacre_bytes proof = nacre__cbor_read_string(r, NACRE__CBOR_BYTES);
    claim->ead = nacre__read(r, nacre__left(r));
    if (r->bad || !nacre__edhoc_is_ead(claim->ead)) return nacre__edhoc_refuse(fault, NACRE_EDHOC_FAULT_CBOR);
    /* RFC 9528 9.8: fields of the wrong length end the session. */
    if (proof.len != nacre__edhoc_proof_len(s, claim->role))
        return nacre__edhoc_refuse(fault, NACRE_EDHOC_FAULT_MAC_LENGTH);
    if (!nacre__edhoc_read_ead(s->config, claim->role == NACRE_EDHOC_RESPONDER ? 2 : 3, claim->ead))
        return nacre__edhoc_refuse(fault, NACRE_EDHOC_FAULT_EAD);
    return find_peer(s, claim, &id, ephemeral, proof, prk, next, credential, peer, fault);
}
