/* SPDX-License-Identifier: MIT */
/* provider_x509: X.509 certificates over OpenSSL. */
#include "base/hosted/detail.h"
#include "crypto/openssl_keys.h"
#include <nacre/certificates.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Of OpenSSL: 112 bits, which excludes signatures with SHA-1 and RSA keys below 2048 bits. */
enum { AUTH_LEVEL = 2 };

struct nacre_certificates {
    X509_STORE *store;
};

static nacre_err failed(nacre_err err)
{
    ERR_clear_error();
    return err;
}

static X509 *parse(nacre_bytes der)
{
    const unsigned char *at = der.ptr;
    if (der.len == 0 || der.len > LONG_MAX) return NULL;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.len);
    if (certificate != NULL && at == der.ptr + der.len) return certificate;
    X509_free(certificate);
    return NULL;
}

static bool read_key(nacre_certificate_key *key, X509 *certificate)
{
    const EVP_PKEY *pkey = X509_get0_pubkey(certificate);
    nacre_certificate_key read = { .curve = pkey != NULL ? nacre__openssl_curve(pkey) : NACRE_CURVE_NONE };
    bool is_ec = nacre__openssl_group(read.curve) != NULL;
    if (read.curve == NACRE_CURVE_NONE || !nacre__openssl_public_bytes(pkey, read.curve, read.x, is_ec ? read.y : NULL))
        return false;
    uint32_t usage = X509_get_key_usage(certificate); /* all bits without the extension */
    read.may_sign = (usage & KU_DIGITAL_SIGNATURE) != 0;
    read.may_agree = (usage & KU_KEY_AGREEMENT) != 0;
    *key = read;
    return true;
}

nacre_public_key nacre_certificate_public_key(const nacre_certificate_key *key)
{
    size_t len = nacre_curve_len(key->curve);
    nacre_public_key made = { .curve = key->curve, .x = { key->x, len } };
    if (nacre__openssl_group(key->curve) != NULL) {
        made.y_form = NACRE_Y_WHOLE;
        made.y = nacre_bytes_of(key->y, len);
    }
    return made;
}

nacre_err nacre_certificate_read(nacre_certificate_key *key, nacre_bytes der)
{
    X509 *certificate = parse(der);
    bool ok = certificate != NULL && read_key(key, certificate);
    X509_free(certificate);
    return ok ? NACRE_OK : failed(NACRE_ERR_BAD_CREDENTIALS);
}

nacre_err nacre_certificates_open(nacre_certificates **authorities, const char *pem_file, nacre_detail *why)
{
    nacre_certificates *opened = calloc(1, sizeof *opened);
    if (opened == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", pem_file);
    opened->store = X509_STORE_new();
    if (opened->store == NULL || X509_STORE_load_file(opened->store, pem_file) != 1) {
        nacre_certificates_close(opened);
        return nacre__fail(why, failed(NACRE_ERR_FILE), "%s: cannot be read as certificates in PEM", pem_file);
    }
    *authorities = opened;
    return NACRE_OK;
}

void nacre_certificates_close(nacre_certificates *authorities)
{
    if (authorities == NULL) return;
    X509_STORE_free(authorities->store);
    free(authorities);
}

static STACK_OF(X509) * parse_all(const nacre_bytes *more, size_t num_more)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    for (size_t i = 0; chain != NULL && i < num_more; i++) {
        X509 *one = parse(more[i]);
        if (one != NULL && sk_X509_push(chain, one) > 0) continue;
        X509_free(one);
        sk_X509_pop_free(chain, X509_free);
        chain = NULL;
    }
    return chain;
}

static nacre_err check(const nacre_certificates *authorities, X509 *certificate, STACK_OF(X509) * chain,
                       const char *name, nacre_detail *why)
{
    /* OpenSSL takes "" for no name, and a dot at the start for every host of a domain */
    if (name != NULL && (name[0] == '\0' || name[0] == '.'))
        return nacre__fail(why, NACRE_ERR_BAD_CREDENTIALS, "certificate refused: \"%s\" is not the name of a host",
                           name);
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (ctx == NULL || X509_STORE_CTX_init(ctx, authorities->store, certificate, chain) != 1) {
        X509_STORE_CTX_free(ctx);
        return nacre__fail(why, failed(NACRE_ERR_NO_MEMORY), "out of memory for a certificate");
    }
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
    bool ok = (name == NULL || X509_VERIFY_PARAM_set1_host(param, name, 0) == 1) && X509_verify_cert(ctx) == 1;
    int error = X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    if (ok) return NACRE_OK;
    return nacre__fail(why, failed(NACRE_ERR_BAD_CREDENTIALS), "certificate refused: %s",
                       X509_verify_cert_error_string(error));
}

nacre_err nacre_certificates_check(const nacre_certificates *authorities, nacre_certificate_key *key, nacre_bytes der,
                                   const nacre_bytes *more, size_t num_more, const char *name, nacre_detail *why)
{
    nacre_certificate_key read;
    X509 *certificate = parse(der);
    STACK_OF(X509) *chain = parse_all(more, num_more);
    nacre_err err;
    if (certificate == NULL || chain == NULL || !read_key(&read, certificate))
        err = nacre__fail(why, failed(NACRE_ERR_BAD_CREDENTIALS), "not a DER certificate with a key that EDHOC uses");
    else err = check(authorities, certificate, chain, name, why);
    if (err == NACRE_OK) *key = read;
    sk_X509_pop_free(chain, X509_free);
    X509_free(certificate);
    return err;
}
