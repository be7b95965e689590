/* SPDX-License-Identifier: MIT */
/* edhoc_hosted: what EDHOC needs of a system: private keys from files, and peers with certificates (in libnacre, not in the
 * core). */
#ifndef NACRE_EDHOC_HOSTED_H
#define NACRE_EDHOC_HOSTED_H

#include <nacre/certificates.h>
#include <nacre/edhoc_credentials.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A private key from a file; `key` and `kid` point into it, so it is not moved. */
typedef struct nacre_key_file {
    nacre_private_key key;
    nacre_bytes kid;                     /* absent: the file has none */
    uint8_t bytes[NACRE_MAX_COORDINATE]; /* private */
    uint8_t kid_bytes[64];               /* private */
} nacre_key_file;

/* nacre_key_file_load reads a COSE_Key in deterministic CBOR, {1: 2, -1: 1, -4: d} with or without x and y, or a private key in
 * PEM without a passphrase. Only its owner, who is this user, may read or write the file (mode 0600 or 0400).
 * NACRE_OK
 * NACRE_ERR_FILE             cannot be read, no regular file, above 16384 bytes, or its mode or owner
 * NACRE_ERR_BAD_CREDENTIALS  not a private key of P-256, P-384, X25519 or Ed25519; d out of its range; with the public half of
 *                            another key; a kid above 64 bytes
 * NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_key_file_load(nacre_key_file *file, const char *path, nacre_detail *why);
void nacre_key_file_wipe(nacre_key_file *file);

/* Peers with certificates of trusted authorities: x5chain, and x5t of those in `bag`. For one session
 * at a time: `key` has the last peer's. */
typedef struct nacre_edhoc_authorities {
    const nacre_certificates *authorities;
    const char *name;       /* the peer's host name; NULL: any certificate of the authorities is accepted */
    const nacre_bytes *bag; /* DER certificates that peers refer to */
    size_t num_bag;
    nacre_certificate_key key; /* private */
    nacre_detail why;          /* of the last refusal */
} nacre_edhoc_authorities;

/* nacre_edhoc_trust_authorities makes trust.find of them. nacre_edhoc_peer gives `self`. At most 8 certificates are read. A
 * certificate with a key usage must permit digitalSignature or keyAgreement, as the method uses its key. */
nacre_edhoc_trust nacre_edhoc_trust_authorities(nacre_edhoc_authorities *self);

#ifdef __cplusplus
}
#endif

#endif
