/* SPDX-License-Identifier: MIT */
/* edhoc_hosted: private keys from files, and peers with certificates of authorities. */
#include "edhoc_ends.h"
#include "scratch.h"
#include "support.h"
#include "crypto/openssl_keys.h"
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[300];

static void write_file(nacre_bytes text, mode_t mode)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text.ptr, 1, text.len, file), text.len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

#define D "72cc4761dbd4c78f758931aa589d348d1ef874a7e303ede2f140dcf3e6aa4aac"
#define X "bbc34960526ea4d32e940cad2a234148ddc21791a12afbcbac93622046dd44f0"
#define Y "4519e257236b2a0ce2023f0931f1f386ca7afda64fcde0108c224c51eabf6072"

/* Keys of RFC 9529 3.3. */
static const struct {
    const char *name, *cose_key;
    nacre_err err;
} files[] = {
    { "as others write it", "a301022001235820" D, NACRE_OK },
    { "with a kid", "a4010202413220012358 20" D, NACRE_OK },
    { "with its public half", "a50102200121582 0" X "225820" Y "235820" D, NACRE_OK },
    { "with another public half", "a501022001215820" Y "225820" X "235820" D, NACRE_ERR_BAD_CREDENTIALS },
    { "with the sign of its y", "a50102200121582 0" X "22f4235820" D, NACRE_OK },
    { "with the other sign", "a50102200121582 0" X "22f5235820" D, NACRE_ERR_BAD_CREDENTIALS },
    { "a public key", "a401022001215820" X "225820" Y, NACRE_ERR_BAD_CREDENTIALS },
    { "keys in another order", "a320010102235820" D, NACRE_ERR_BAD_CREDENTIALS },
    { "a byte more", "a301022001235820" D "00", NACRE_ERR_BAD_CREDENTIALS },
    { "zero", "a3010220012358200000000000000000000000000000000000000000000000000000000000000000",
      NACRE_ERR_BAD_CREDENTIALS },
    { "an OKP key of P-256", "a301012001235820" D, NACRE_ERR_BAD_CREDENTIALS },
    { "X25519", "a301012004235820" D, NACRE_OK },
    { "nothing", "", NACRE_ERR_BAD_CREDENTIALS },
};

static nacre_bytes packed(const char *hex) /* spaces anywhere */
{
    char text[400];
    size_t len = 0;
    for (; *hex != '\0'; hex++)
        if (*hex != ' ') text[len++] = *hex;
    text[len] = '\0';
    return test_hex(text);
}

static void a_cose_key_is_read_from_its_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        nacre_key_file file;
        nacre_detail why = { "" };
        write_file(packed(files[i].cose_key), 0600);
        assert_err_row(files[i].name, nacre_key_file_load(&file, path, &why), files[i].err);
        if (files[i].err != NACRE_OK) {
            assert_non_null(strstr(why.text, path));
            continue;
        }
        assert_bytes(file.key.secret.bytes, test_hex(D));
        assert_int_equal(nacre_is_absent(file.kid), i != 1);
        nacre_key_file_wipe(&file);
        static const nacre_key_file none;
        assert_memory_equal(&file, &none, sizeof file);
    }
}

static void a_key_that_others_may_read_is_refused(void **state)
{
    (void)state;
    static const mode_t modes[] = { 0600, 0400, 0640, 0604, 0620, 0602, 0610 };
    for (size_t i = 0; i < COUNT(modes); i++) {
        nacre_key_file file;
        nacre_detail why;
        write_file(test_hex("a301022001235820" D), modes[i]);
        assert_err(nacre_key_file_load(&file, path, &why),
                   modes[i] == 0600 || modes[i] == 0400 ? NACRE_OK : NACRE_ERR_FILE);
        if (i >= 2) assert_non_null(strstr(why.text, "chmod 600"));
        assert_int_equal(unlink(path), 0);
    }
    nacre_key_file file;
    assert_err(nacre_key_file_load(&file, path, NULL), NACRE_ERR_FILE);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_err(nacre_key_file_load(&file, path, NULL), NACRE_ERR_FILE);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* does not wait for a writer */
    assert_err(nacre_key_file_load(&file, path, NULL), NACRE_ERR_FILE);
    assert_int_equal(unlink(path), 0);
}

static const char *const kinds[] = { "P-256", "P-384", "X25519", "ED25519" };

static EVP_PKEY *fresh(size_t kind)
{
    return kind < 2 ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", kinds[kind]) : EVP_PKEY_Q_keygen(NULL, NULL, kinds[kind]);
}

static void a_key_in_pem_is_read_and_an_encrypted_one_refused(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < COUNT(kinds); kind++)
        for (int encrypted = 0; encrypted < 2; encrypted++) {
            EVP_PKEY *key = fresh(kind);
            FILE *out = fopen(path, "w");
            char passphrase[] = "x";
            assert_int_equal(PEM_write_PKCS8PrivateKey(out, key, encrypted ? EVP_aes_128_cbc() : NULL,
                                                       encrypted ? passphrase : NULL, encrypted ? 1 : 0, NULL, NULL),
                             1);
            assert_int_equal(fclose(out), 0);
            assert_int_equal(chmod(path, 0600), 0);
            nacre_key_file file;
            assert_err_row(kinds[kind], nacre_key_file_load(&file, path, NULL),
                           encrypted ? NACRE_ERR_BAD_CREDENTIALS : NACRE_OK);
            if (!encrypted) {
                uint8_t bytes[NACRE_MAX_COORDINATE];
                assert_true(nacre__openssl_private_bytes(key, file.key.curve, bytes));
                assert_memory_equal(bytes, file.bytes, nacre_curve_len(file.key.curve));
            }
            EVP_PKEY_free(key);
        }
}

/* An EC PRIVATE KEY (RFC 5915) has its public half as well. */
static void a_key_in_pem_with_another_public_half_is_refused(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < 2; kind++)
        for (int swapped = 0; swapped < 2; swapped++) {
            EVP_PKEY *key = fresh(kind), *other = fresh(kind);
            unsigned char *der = NULL, point[1 + 2 * NACRE_MAX_COORDINATE];
            size_t point_len;
            int len = i2d_PrivateKey(key, &der);
            assert_true(len > 0);
            assert_int_equal(EVP_PKEY_get_octet_string_param(other, "pub", point, sizeof point, &point_len), 1);
            if (swapped) memcpy(der + len - point_len, point, point_len); /* the last element */
            FILE *out = fopen(path, "w");
            assert_true(PEM_write(out, "EC PRIVATE KEY", "", der, len) > 0);
            assert_int_equal(fclose(out), 0);
            assert_int_equal(chmod(path, 0600), 0);
            nacre_key_file file;
            assert_err_row(kinds[kind], nacre_key_file_load(&file, path, NULL),
                           swapped ? NACRE_ERR_BAD_CREDENTIALS : NACRE_OK);
            OPENSSL_free(der);
            EVP_PKEY_free(key);
            EVP_PKEY_free(other);
        }
}

/* ---- Certificates ---- */
typedef struct issued {
    X509 *certificate;
    EVP_PKEY *key;
    nacre_bytes der;
} issued;

/* What the next certificates have. */
static struct {
    bool no_san, sha1;
    const char *usage;
} special;

static issued issue(const char *name, size_t kind, const issued *by, bool is_ca, long from_now)
{
    issued made = { X509_new(), fresh(kind), NACRE_ABSENT };
    static long serial = 1;
    X509_set_version(made.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), from_now - 86400);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), from_now);
    X509_NAME *subject = X509_get_subject_name(made.certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(made.certificate, by != NULL ? X509_get_subject_name(by->certificate) : subject);
    X509_set_pubkey(made.certificate, made.key);
    char san[100];
    (void)snprintf(san, sizeof san, "DNS:%s.example", name);
    X509_EXTENSION *extensions[] = {
        X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "CA:FALSE"),
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san),
        X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, special.usage != NULL ? special.usage : "keyCertSign")
    };
    for (size_t i = 0; i < COUNT(extensions); i++) {
        if ((i != 1 || !special.no_san) && (i != 2 || special.usage != NULL))
            X509_add_ext(made.certificate, extensions[i], -1);
        X509_EXTENSION_free(extensions[i]);
    }
    EVP_PKEY *signer = by != NULL ? by->key : made.key;
    bool is_ed = EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519;
    assert_true(X509_sign(made.certificate, signer, is_ed ? NULL : special.sha1 ? EVP_sha1() : EVP_sha256()) > 0);
    unsigned char *der = NULL;
    int len = i2d_X509(made.certificate, &der);
    assert_true(len > 0);
    made.der = test_copy(nacre_bytes_of(der, (size_t)len));
    OPENSSL_free(der);
    return made;
}

static void discard(issued *one)
{
    X509_free(one->certificate);
    EVP_PKEY_free(one->key);
}

static nacre_certificates *trusting(const issued *root)
{
    FILE *out = fopen(path, "w");
    nacre_certificates *authorities;
    assert_int_equal(PEM_write_X509(out, root->certificate), 1);
    assert_int_equal(fclose(out), 0);
    assert_ok(nacre_certificates_open(&authorities, path, NULL));
    return authorities;
}

/* The Initiator of a pair gets that certificate, with its key and the chain. */
static void carry(edhoc_pair *p, const issued *one, const nacre_bytes *chain, size_t num)
{
    nacre_edhoc_identity *identity = &p->i.identities[0];
    uint8_t *id = test_alloc(4000);
    assert_true(nacre__openssl_private_bytes(one->key, NACRE_P256, p->i.keys[0][0]));
    identity->private_key.secret.bytes = nacre_bytes_of(p->i.keys[0][0], 32);
    identity->credential.bytes = one->der;
    identity->credential.is_certificate = true;
    assert_ok(nacre_edhoc_id_x5chain(&identity->id_cred, (nacre_buf){ id, 4000 }, chain, num));
}

static nacre_edhoc_fault fault_with(nacre_edhoc_authorities *a, unsigned method, const issued *one,
                                    const nacre_bytes *chain, size_t num)
{
    edhoc_pair *p = edhoc_pair_of(method, 2, BY_X5CHAIN);
    uint8_t buf[4000];
    nacre_edhoc_result result;
    p->r.config.trust = nacre_edhoc_trust_authorities(a);
    carry(p, one, chain, num);
    nacre_bytes m = edhoc_step(p, &p->r, edhoc_begin(p), NACRE_EDHOC_SEND, NACRE_EDHOC_FAULT_NONE);
    assert_ok(nacre_edhoc_receive(&p->i.session, &result, NACRE_BUF(buf), m));
    m = test_copy(result.message);
    assert_ok(nacre_edhoc_receive(&p->r.session, &result, NACRE_BUF(buf), m));
    if (result.fault == NACRE_EDHOC_FAULT_NONE) assert_ptr_equal(nacre_edhoc_peer(&p->r.session), a);
    return result.fault;
}

static void certificates_of_an_authority_are_trusted_and_no_others(void **state)
{
    (void)state;
    issued root = issue("root", 0, NULL, true, 86400), other = issue("other", 0, NULL, true, 86400);
    issued middle = issue("middle", 3, &root, true, 86400), leaf = issue("leaf", 0, &middle, false, 86400);
    issued expired = issue("leaf", 0, &root, false, -10), not_ca = issue("sub", 0, &leaf, false, 86400);
    issued edwards = issue("leaf", 3, &root, false, 86400);
    nacre_edhoc_authorities a = { .authorities = trusting(&root) }, wrong = { .authorities = trusting(&other) };
    const nacre_bytes chain[] = { leaf.der, middle.der }, bad[] = { not_ca.der, leaf.der, middle.der };
    for (unsigned method = 0; method < 4; method++) {
        assert_int_equal(fault_with(&a, method, &leaf, chain, 2), NACRE_EDHOC_FAULT_NONE);
        assert_int_equal(fault_with(&a, method, &leaf, chain, 1), NACRE_EDHOC_FAULT_NOT_TRUSTED); /* no middle */
        assert_int_equal(fault_with(&wrong, method, &leaf, chain, 2), NACRE_EDHOC_FAULT_NOT_TRUSTED);
        assert_int_equal(fault_with(&a, method, &expired, &expired.der, 1), NACRE_EDHOC_FAULT_NOT_TRUSTED);
        assert_non_null(strstr(a.why.text, "expired"));
        assert_int_equal(fault_with(&a, method, &not_ca, bad, 3), NACRE_EDHOC_FAULT_NOT_TRUSTED);
        assert_int_equal(fault_with(&a, method, &leaf, &edwards.der, 1), NACRE_EDHOC_FAULT_NOT_TRUSTED);
        assert_int_equal(fault_with(&a, method, &other, chain, 2),
                         NACRE_EDHOC_FAULT_AUTHENTICATION); /* another's key */
    }
    a.name = "leaf.example";
    assert_int_equal(fault_with(&a, 0, &leaf, chain, 2), NACRE_EDHOC_FAULT_NONE);
    a.name = "root.example";
    assert_int_equal(fault_with(&a, 0, &leaf, chain, 2), NACRE_EDHOC_FAULT_NOT_TRUSTED);
    nacre_certificates_close((nacre_certificates *)(uintptr_t)a.authorities);
    nacre_certificates_close((nacre_certificates *)(uintptr_t)wrong.authorities);
    issued *all[] = { &root, &other, &middle, &leaf, &expired, &not_ca, &edwards };
    for (size_t i = 0; i < COUNT(all); i++) discard(all[i]);
}

/* The name is in the subject alternative names, and a name that is none is not "any". */
static void a_host_name_is_that_of_the_certificate(void **state)
{
    (void)state;
    issued root = issue("root", 0, NULL, true, 86400), leaf = issue("leaf", 0, &root, false, 86400);
    special.no_san = true;
    issued subject = issue("leaf.example", 0, &root, false, 86400);
    special.no_san = false;
    static const struct {
        const char *name;
        nacre_err named, in_subject;
    } rows[] = {
        { NULL, NACRE_OK, NACRE_OK },
        { "leaf.example", NACRE_OK, NACRE_ERR_BAD_CREDENTIALS },
        { "other.example", NACRE_ERR_BAD_CREDENTIALS, NACRE_ERR_BAD_CREDENTIALS },
        { "", NACRE_ERR_BAD_CREDENTIALS, NACRE_ERR_BAD_CREDENTIALS },
        { ".example", NACRE_ERR_BAD_CREDENTIALS, NACRE_ERR_BAD_CREDENTIALS },
    };
    nacre_certificates *authorities = trusting(&root);
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_certificate_key key;
        nacre_detail why;
        assert_err(nacre_certificates_check(authorities, &key, leaf.der, NULL, 0, rows[i].name, &why), rows[i].named);
        assert_err(nacre_certificates_check(authorities, &key, subject.der, NULL, 0, rows[i].name, &why),
                   rows[i].in_subject);
    }
    nacre_certificates_close(authorities);
    issued *all[] = { &root, &leaf, &subject };
    for (size_t i = 0; i < COUNT(all); i++) discard(all[i]);
}

/* RFC 5280 4.2.1.3, RFC 9528 3.5.2: the Initiator signs in methods 0 and 1. */
static void a_key_is_used_as_its_certificate_permits(void **state)
{
    (void)state;
    issued root = issue("root", 0, NULL, true, 86400);
    nacre_edhoc_authorities a = { .authorities = trusting(&root) };
    static const struct {
        const char *usage;
        bool signs, agrees;
    } rows[] = {
        { NULL, true, true },
        { "digitalSignature", true, false },
        { "keyAgreement", false, true },
        { "digitalSignature,keyAgreement", true, true },
        { "keyEncipherment", false, false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        special.usage = rows[i].usage;
        issued leaf = issue("leaf", 0, &root, false, 86400);
        special.usage = NULL;
        for (unsigned method = 0; method < 4; method++)
            assert_int_equal(fault_with(&a, method, &leaf, &leaf.der, 1), (method < 2 ? rows[i].signs : rows[i].agrees)
                                                                              ? NACRE_EDHOC_FAULT_NONE
                                                                              : NACRE_EDHOC_FAULT_NOT_TRUSTED);
        discard(&leaf);
    }
    nacre_certificates_close((nacre_certificates *)(uintptr_t)a.authorities);
    discard(&root);
}

static void a_signature_with_sha_1_is_refused(void **state)
{
    (void)state;
    issued root = issue("root", 0, NULL, true, 86400), good = issue("leaf", 0, &root, false, 86400);
    special.sha1 = true;
    issued weak = issue("leaf", 0, &root, false, 86400);
    special.sha1 = false;
    nacre_certificates *authorities = trusting(&root);
    nacre_certificate_key key;
    nacre_detail why;
    assert_ok(nacre_certificates_check(authorities, &key, good.der, NULL, 0, NULL, &why));
    assert_err(nacre_certificates_check(authorities, &key, weak.der, NULL, 0, NULL, &why), NACRE_ERR_BAD_CREDENTIALS);
    nacre_certificates_close(authorities);
    issued *all[] = { &root, &good, &weak };
    for (size_t i = 0; i < COUNT(all); i++) discard(all[i]);
}

static void a_certificate_is_read_whole_or_refused(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < COUNT(kinds); kind++) {
        issued root = issue("root", 0, NULL, true, 86400), one = issue("one", kind, &root, false, 86400);
        nacre_certificate_key key;
        uint8_t x[NACRE_MAX_COORDINATE];
        assert_ok(nacre_certificate_read(&key, one.der));
        assert_true(nacre__openssl_public_bytes(one.key, key.curve, x, NULL));
        assert_bytes(nacre_certificate_public_key(&key).x, nacre_bytes_of(x, nacre_curve_len(key.curve)));
        for (size_t len = 0; len < one.der.len; len += 5)
            assert_err(nacre_certificate_read(&key, test_copy(nacre_bytes_of(one.der.ptr, len))),
                       NACRE_ERR_BAD_CREDENTIALS);
        assert_err(nacre_certificate_read(&key, test_join(one.der, test_hex("00"))), NACRE_ERR_BAD_CREDENTIALS);
        discard(&root);
        discard(&one);
    }
    nacre_certificates *none = NULL;
    nacre_detail why;
    write_file(NACRE_STR("no certificate"), 0600);
    assert_err(nacre_certificates_open(&none, path, &why), NACRE_ERR_FILE);
    nacre_certificates_close(none);
}

int main(void)
{
    char directory[] = "/tmp/nacre-edhoc-XXXXXX";
    const struct CMUnitTest tests[] = {
        TEST(a_cose_key_is_read_from_its_file),
        TEST(a_key_that_others_may_read_is_refused),
        TEST(a_key_in_pem_is_read_and_an_encrypted_one_refused),
        TEST(a_key_in_pem_with_another_public_half_is_refused),
        TEST(certificates_of_an_authority_are_trusted_and_no_others),
        TEST(a_host_name_is_that_of_the_certificate),
        TEST(a_key_is_used_as_its_certificate_permits),
        TEST(a_signature_with_sha_1_is_refused),
        TEST(a_certificate_is_read_whole_or_refused),
    };
    if (mkdtemp(directory) == NULL) return 1;
    (void)snprintf(path, sizeof path, "%s/key", directory);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    (void)rmdir(directory);
    return failed;
}
