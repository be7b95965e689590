/* SPDX-License-Identifier: MIT */
/* certificates: X.509 certificates over OpenSSL, for EDHOC (hosted: in libnacre, not in the core). */
#ifndef NACRE_CERTIFICATES_H
#define NACRE_CERTIFICATES_H

#include <nacre/public_key.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The public key of a certificate, by value. */
typedef struct nacre_certificate_key {
    nacre_curve curve;
    uint8_t x[NACRE_MAX_COORDINATE], y[NACRE_MAX_COORDINATE];
    bool may_sign, may_agree; /* by its key usage (RFC 5280 4.2.1.3); both if it states none */
} nacre_certificate_key;

/* The same as a nacre_public_key, which borrows it. */
nacre_public_key nacre_certificate_public_key(const nacre_certificate_key *key);

/* nacre_certificate_read reads the key of a DER certificate and checks nothing else: for certificates that are known.
 * NACRE_OK, NACRE_ERR_BAD_CREDENTIALS (no certificate, bytes after it, or a key of another kind) */
NACRE_MUST_USE nacre_err nacre_certificate_read(nacre_certificate_key *key, nacre_bytes der);

/* Authorities that are trusted. nacre_certificates_open reads a PEM file of one or more certificates.
 * NACRE_OK, NACRE_ERR_FILE, NACRE_ERR_NO_MEMORY */
typedef struct nacre_certificates nacre_certificates;
NACRE_MUST_USE nacre_err nacre_certificates_open(nacre_certificates **authorities, const char *pem_file,
                                                 nacre_detail *why);
void nacre_certificates_close(nacre_certificates *authorities);

/* nacre_certificates_check checks a certificate up to a trusted authority, over the certificates in `more`, at the present
 * time, and for `name` (a host name in its subject alternative names, not in its subject; NULL: any certificate). Signatures
 * with SHA-1 and RSA keys below 2048 bits are refused. Revocation is not checked, and the key usage is the caller's to check.
 * NACRE_OK, NACRE_ERR_BAD_CREDENTIALS (see `why`; also if `name` is empty or begins with a dot), NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_certificates_check(const nacre_certificates *authorities, nacre_certificate_key *key,
                                                  nacre_bytes der, const nacre_bytes *more, size_t num_more,
                                                  const char *name, nacre_detail *why);

#ifdef __cplusplus
}
#endif

#endif
