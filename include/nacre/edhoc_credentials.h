/* SPDX-License-Identifier: MIT */
/* edhoc_credentials: credentials of EDHOC read and written, and tables of peers. Freestanding and without allocation;
 * edhoc_hosted.h has what needs files or OpenSSL.
 *
 * Raw public keys are a CCS (RFC 9528 3.5.2): a CBOR map of claims with a COSE_Key in `cnf`. Both ends need the same bytes,
 * so a CCS is kept and passed on as bytes, and never made again from its parts. CWTs and C509 certificates are not read. */
#ifndef NACRE_EDHOC_CREDENTIALS_H
#define NACRE_EDHOC_CREDENTIALS_H

#include <nacre/edhoc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* nacre_edhoc_read_ccs reads a CCS in deterministic CBOR with one public key: P-256 or P-384 (EC2), X25519 or Ed25519 (OKP).
 * `credential` and `kid` (absent if the key has none; NULL is allowed) borrow from `ccs`.
 * NACRE_OK, NACRE_ERR_BAD_CREDENTIALS (not such a map; a private key in it) */
NACRE_MUST_USE nacre_err nacre_edhoc_read_ccs(nacre_edhoc_credential *credential, nacre_bytes *kid, nacre_bytes ccs);

/* nacre_edhoc_write_ccs makes one: {2: subject, 8: {1: key}}, without the subject if it is absent, and the kid likewise.
 * NACRE_OK, NACRE_ERR_BUFFER_TOO_SMALL, NACRE_ERR_BAD_ARGUMENT (the key's curve or lengths; a subject or kid above 65535
 * bytes) */
NACRE_MUST_USE nacre_err nacre_edhoc_write_ccs(nacre_bytes *ccs, nacre_buf buf, nacre_bytes subject, nacre_bytes kid,
                                               const nacre_public_key *key);

/* ID_CRED_x of a nacre_edhoc_identity: {4: kid}, {14: ccs}, {34: [-15, hash]} (SHA-256, its first 8 bytes), {33: certificate or
 * certificates, that of this endpoint first}, {35: uri}.
 * NACRE_OK, NACRE_ERR_BUFFER_TOO_SMALL, NACRE_ERR_BAD_ARGUMENT (more than 65535 bytes, or nothing to identify by); of x5t also the
 * errors of the provider's hash */
NACRE_MUST_USE nacre_err nacre_edhoc_id_kid(nacre_bytes *id_cred, nacre_buf buf, nacre_bytes kid);
NACRE_MUST_USE nacre_err nacre_edhoc_id_kccs(nacre_bytes *id_cred, nacre_buf buf, nacre_bytes ccs);
NACRE_MUST_USE nacre_err nacre_edhoc_id_x5t(nacre_bytes *id_cred, nacre_buf buf, const nacre_pk *pk,
                                            nacre_bytes certificate);
NACRE_MUST_USE nacre_err nacre_edhoc_id_x5chain(nacre_bytes *id_cred, nacre_buf buf, const nacre_bytes *certificates,
                                                size_t num);
NACRE_MUST_USE nacre_err nacre_edhoc_id_x5u(nacre_bytes *id_cred, nacre_buf buf, nacre_bytes uri);

/* ---- A table of known peers -------------------------------------------------------------------------------------- */
typedef struct nacre_edhoc_known {
    /* with its key. Without bytes: any CCS with this key, sent by value, is accepted */
    nacre_edhoc_credential credential;
    nacre_bytes kid; /* absent: not found by kid */
    nacre_bytes uri; /* absent: not found by x5u */
    void *peer;      /* what nacre_edhoc_peer gives */
} nacre_edhoc_known;

/* A CCS that was accepted on first use: the first `len` bytes of `ccs`. Longer ones than `ccs` are not accepted. */
typedef struct nacre_edhoc_first_use {
    uint16_t len;
    uint8_t ccs[254];
} nacre_edhoc_first_use;

typedef struct nacre_edhoc_peers {
    const nacre_edhoc_known *known;
    size_t num;
    /* Trust on first use (RFC 9528 D.5, unauthenticated operation): a CCS by value that is not in the table is accepted and kept
     * here, and nacre_edhoc_peer gives this pointer. Any peer that reaches this endpoint is accepted. Put its key into the table
     * after the session: later sessions are then with the same key. A CCS is kept before it is authenticated: read it only where
     * nacre_edhoc_peer gives it, before another session begins with this table. For one session at a time; NULL: unknown peers
     * are refused. */
    nacre_edhoc_first_use *trust_on_first_use;
} nacre_edhoc_peers;

/* nacre_edhoc_trust_peers makes trust.find of a table, which it borrows and reads in each nacre_edhoc_receive: entries may change between
 * these. Peers are compared one by one, which is quick for some hundred; an application with more has a find of its own. */
nacre_edhoc_trust nacre_edhoc_trust_peers(nacre_edhoc_peers *peers);

#ifdef __cplusplus
}
#endif

#endif
