/* SPDX-License-Identifier: MIT */
/* edhoc_credentials: CCSs read and written, ID_CRED_x, and tables of peers. */
#include "edhoc_ends.h"
#include "support.h"
#include <stdio.h>

#define SEND     NACRE_EDHOC_SEND
#define ABORTED  NACRE_EDHOC_ABORTED
#define NO_FAULT NACRE_EDHOC_FAULT_NONE

#define X32 "bbc34960526ea4d32e940cad2a234148ddc21791a12afbcbac93622046dd44f0"
#define Y32 "4519e257236b2a0ce2023f0931f1f386ca7afda64fcde0108c224c51eabf6072"

/* The first row is of RFC 9529 3.3; each that is refused differs from it in one thing. */
static const struct {
    const char *name, *ccs;
    bool good;
} rows[] = {
    { "as in RFC 9529", "a2026b6578616d706c652e65647508a101a501020241322001215820" X32 "225820" Y32, true },
    { "a cnf only", "a108a101a401022001215820" X32 "225820" Y32, true },
    { "y by its sign", "a108a101a401022001215820" X32 "22f5", true },
    { "no y, for key agreement", "a108a101a301022001215820" X32, true },
    { "X25519", "a108a101a301012004215820" X32, true },
    { "X25519 with y", "a108a101a401012004215820" X32 "22f5", false },
    { "EC2 of an OKP curve", "a108a101a301022004215820" X32, false },
    { "another curve", "a108a101a301012005215820" X32, false },
    { "x of 31 bytes", "a108a101a30102200121581f" X32, false },
    { "a private key", "a108a101a401022001215820" X32 "235820" Y32, false },
    { "no x", "a108a101a201022001", false },
    { "no cnf", "a1026161", false },
    { "cnf of something else", "a108a10241ff", false },
    { "a number", "01", false },
    { "a byte more", "a108a101a301022001215820" X32 "00", false },
    { "keys in another order", "a108a101a320010102215820" X32, false },
    { "a claim twice", "a208a101a301022001215820" X32 "08a101a301022001215820" X32, false },
    { "an other claim, not sorted", "a20c0108a101a301022001215820" X32, false },
    { "an other claim, sorted", "a208a101a301022001215820" X32 "0c01", true },
    { "nothing", "", false },
};

static void a_ccs_is_read_whole_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_edhoc_credential c = { .is_certificate = true };
        nacre_bytes ccs = test_hex(rows[i].ccs), kid;
        nacre_err err = nacre_edhoc_read_ccs(&c, &kid, ccs);
        assert_err_row(rows[i].name, err, rows[i].good ? NACRE_OK : NACRE_ERR_BAD_CREDENTIALS);
        assert_int_equal(c.is_certificate, err != NACRE_OK); /* untouched */
        if (rows[i].good) assert_int_equal(c.key.x.len, 32);
        for (size_t len = 0; rows[i].good && len < ccs.len; len++)
            assert_err(nacre_edhoc_read_ccs(&c, NULL, test_copy(nacre_bytes_of(ccs.ptr, len))),
                       NACRE_ERR_BAD_CREDENTIALS);
    }
}

static void a_written_ccs_is_read_as_the_same(void **state)
{
    (void)state;
    nacre_public_key key = { NACRE_P256, test_hex(X32), NACRE_Y_WHOLE, test_hex(Y32) };
    nacre_bytes out;
    nacre_buf buf = test_buf(107);
    assert_ok(nacre_edhoc_write_ccs(&out, buf, NACRE_STR("example.edu"), NACRE_STR("2"), &key));
    assert_bytes(out, test_hex(rows[0].ccs));
    for (size_t cap = 0; cap < out.len; cap++)
        assert_err(nacre_edhoc_write_ccs(&out, test_buf(cap), NACRE_STR("example.edu"), NACRE_STR("2"), &key),
                   NACRE_ERR_BUFFER_TOO_SMALL);
    key.y_form = NACRE_Y_ODD;
    assert_ok(nacre_edhoc_write_ccs(&out, buf, NACRE_ABSENT, NACRE_ABSENT, &key));
    assert_bytes(out, test_hex(rows[2].ccs));
    key.x.len = 31;
    assert_err(nacre_edhoc_write_ccs(&out, buf, NACRE_ABSENT, NACRE_ABSENT, &key), NACRE_ERR_BAD_ARGUMENT);
}

/* The map is hashed with a head of 3 bytes: what it is of may be as long as fits, and no longer. */
static void an_id_cred_is_at_most_65535_bytes(void **state)
{
    (void)state;
    static uint8_t long_one[UINT16_MAX], large[3 * UINT16_MAX];
    const nacre_bytes fits = { long_one, UINT16_MAX - 7 }, half = { long_one, UINT16_MAX / 2 };
    const nacre_bytes one_more = { long_one, UINT16_MAX - 4 };
    const nacre_bytes chain[] = { half, half, half };
    nacre_buf buf = NACRE_BUF(large);
    nacre_bytes out;
    assert_ok(nacre_edhoc_id_kid(&out, buf, fits));
    assert_err(nacre_edhoc_id_kid(&out, buf, one_more), NACRE_ERR_BAD_ARGUMENT);
    assert_ok(nacre_edhoc_id_x5chain(&out, buf, &fits, 1));
    assert_err(nacre_edhoc_id_x5chain(&out, buf, &one_more, 1), NACRE_ERR_BAD_ARGUMENT);
    assert_ok(nacre_edhoc_id_x5u(&out, buf, nacre_bytes_of(long_one, UINT16_MAX - 9)));
    assert_err(nacre_edhoc_id_x5u(&out, buf, one_more), NACRE_ERR_BAD_ARGUMENT);
    assert_err(nacre_edhoc_id_x5chain(&out, buf, chain, 3), NACRE_ERR_BAD_ARGUMENT);
}

/* RFC 9528 3.5.3: more than one peer may have a kid; the one whose key authenticates is found, up to the limit. */
static void peers_of_one_kid_are_each_tried(void **state)
{
    (void)state;
    for (size_t before = 0; before <= NACRE_EDHOC_MAX_ATTEMPTS; before++)
        for (unsigned method = 0; method <= 3; method += 3) {
            edhoc_pair *p = edhoc_pair_of(method, 2, BY_KID);
            nacre_edhoc_known known[NACRE_EDHOC_MAX_ATTEMPTS + 1];
            for (size_t i = 0; i < before; i++) { /* another key of the curve */
                known[i] = (nacre_edhoc_known){ .kid = p->r.known[0].kid };
                assert_ok(nacre_edhoc_read_ccs(&known[i].credential, NULL, test_hex(rows[0].ccs)));
            }
            known[before] = p->r.known[0];
            p->r.peers = (nacre_edhoc_peers){ known, before + 1, NULL };
            nacre_bytes m = edhoc_step(p, &p->r, edhoc_begin(p), SEND, NO_FAULT);
            m = edhoc_step(p, &p->i, m, SEND, NO_FAULT);
            bool found = before < NACRE_EDHOC_MAX_ATTEMPTS;
            (void)edhoc_step(p, &p->r, m, found ? SEND : ABORTED, found ? NO_FAULT : NACRE_EDHOC_FAULT_AUTHENTICATION);
            if (found) assert_ptr_equal(nacre_edhoc_peer(&p->r.session), p->r.known[0].peer);
        }
}

static nacre_bytes message_3(edhoc_pair *p)
{
    nacre_bytes m = edhoc_step(p, &p->r, edhoc_begin(p), SEND, NO_FAULT);
    return edhoc_step(p, &p->i, m, SEND, NO_FAULT);
}

static void a_key_of_the_table_is_accepted_in_any_ccs(void **state)
{
    (void)state;
    edhoc_pair *p = edhoc_pair_of(3, 2, BY_VALUE);
    nacre_edhoc_known known = { .credential = { .key = p->r.known[0].credential.key }, .peer = p };
    p->r.peers = (nacre_edhoc_peers){ &known, 1, NULL };
    (void)edhoc_step(p, &p->r, message_3(p), SEND, NO_FAULT);
    assert_ptr_equal(nacre_edhoc_peer(&p->r.session), p);
    known.credential.key.x = p->i.known[0].credential.key.x;
    (void)edhoc_step(p, &p->r, message_3(p), ABORTED, NACRE_EDHOC_FAULT_NOT_TRUSTED);
}

static void first_use_is_trusted_only_on_request(void **state)
{
    (void)state;
    edhoc_pair *p = edhoc_pair_of(3, 2, BY_VALUE);
    nacre_edhoc_first_use kept = { .len = 0 };
    p->r.peers = (nacre_edhoc_peers){ NULL, 0, NULL };
    (void)edhoc_step(p, &p->r, message_3(p), ABORTED, NACRE_EDHOC_FAULT_NOT_TRUSTED);
    p->r.peers.trust_on_first_use = &kept;
    (void)edhoc_step(p, &p->r, message_3(p), SEND, NO_FAULT);
    assert_ptr_equal(nacre_edhoc_peer(&p->r.session), &kept);
    assert_bytes(nacre_bytes_of(kept.ccs, kept.len), p->i.identities[0].credential.bytes);
    /* what was kept is a table entry, and no reference that is unknown is trusted */
    nacre_edhoc_known known = { .peer = p };
    assert_ok(nacre_edhoc_read_ccs(&known.credential, NULL, nacre_bytes_of(kept.ccs, kept.len)));
    p->r.peers = (nacre_edhoc_peers){ &known, 1, NULL };
    (void)edhoc_step(p, &p->r, message_3(p), SEND, NO_FAULT);
    p = edhoc_pair_of(3, 2, BY_KID);
    p->r.peers = (nacre_edhoc_peers){ NULL, 0, &kept };
    (void)edhoc_step(p, &p->r, message_3(p), ABORTED, NACRE_EDHOC_FAULT_CREDENTIAL);
}

/* RFC 9528 9.2: an endpoint in both roles, whose messages are reflected to it. */
static void an_endpoint_does_not_complete_a_session_with_itself(void **state)
{
    (void)state;
    for (int style = 0; style < NUM_STYLES; style++)
        for (int first_use = 0; first_use < (style == BY_VALUE ? 2 : 1); first_use++) {
            edhoc_pair *p = edhoc_pair_of(3, 2, (edhoc_style)style);
            nacre_edhoc_first_use kept;
            p->i.config.identities = p->r.identities; /* what the Responder has, and the Initiator trusts */
            if (first_use) p->i.peers = (nacre_edhoc_peers){ NULL, 0, &kept };
            nacre_bytes m = edhoc_step(p, &p->r, edhoc_begin(p), SEND, NO_FAULT);
            (void)edhoc_step(p, &p->i, m, ABORTED, NACRE_EDHOC_FAULT_NOT_TRUSTED);
        }
    /* a peer with the same kid is another one */
    edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
    nacre_edhoc_known known[] = { p->r.known[0], p->r.known[0] };
    known[0].credential = p->r.identities[0].credential;
    p->r.peers = (nacre_edhoc_peers){ known, 2, NULL };
    (void)edhoc_step(p, &p->r, message_3(p), SEND, NO_FAULT);
    assert_ptr_equal(nacre_edhoc_peer(&p->r.session), known[1].peer);
}

/* A credential that the peer does not hold the key of. */
static void another_key_under_the_same_name_does_not_authenticate(void **state)
{
    (void)state;
    for (unsigned method = 0; method < 4; method++)
        for (int style = 0; style < NUM_STYLES; style++) {
            edhoc_pair *p = edhoc_pair_of(method, 2, (edhoc_style)style);
            p->r.known[0].credential.key = p->r.identities[0].credential.key;
            (void)edhoc_step(p, &p->r, message_3(p), ABORTED, NACRE_EDHOC_FAULT_AUTHENTICATION);
            p = edhoc_pair_of(method, 2, (edhoc_style)style);
            p->i.known[0].credential.key = p->i.identities[0].credential.key;
            nacre_bytes m = edhoc_step(p, &p->r, edhoc_begin(p), SEND, NO_FAULT);
            (void)edhoc_step(p, &p->i, m, ABORTED, NACRE_EDHOC_FAULT_AUTHENTICATION);
        }
}

/* The credential is in the transcript: another CRED with the same key, known by the same kid, does not verify. */
static void another_credential_with_the_same_key_does_not_authenticate(void **state)
{
    (void)state;
    for (unsigned method = 0; method < 4; method++) {
        edhoc_pair *p = edhoc_pair_of(method, 2, BY_KID);
        p->r.known[0].credential.bytes = test_hex(rows[0].ccs);
        (void)edhoc_step(p, &p->r, message_3(p), ABORTED, NACRE_EDHOC_FAULT_AUTHENTICATION);
    }
}

static const struct {
    const char *name, *id_cred;
    nacre_edhoc_fault fault;
} ids[] = {
    { "x5t by SHA-256/64", "a11822822e4879f2a41b510c1f9b", NACRE_EDHOC_FAULT_CREDENTIAL },
    { "x5t by another hash", "a118228238294879f2a41b510c1f9b", NACRE_EDHOC_FAULT_ID_KIND },
    { "x5t by the name of a hash", "a118228261614879f2a41b510c1f9b", NACRE_EDHOC_FAULT_ID_KIND },
    { "x5u", "a11823d8206161", NACRE_EDHOC_FAULT_CREDENTIAL },
    { "x5u that is no URI", "a118236161", NACRE_EDHOC_FAULT_ID_KIND },
    { "x5chain", "a1182141aa", NACRE_EDHOC_FAULT_NOT_TRUSTED },
    { "x5chain of two", "a118218241aa41bb", NACRE_EDHOC_FAULT_NOT_TRUSTED },
    { "x5chain of one in an array", "a118218141aa", NACRE_EDHOC_FAULT_ID_KIND },
    { "kccs that is no CCS", "a10ea0", NACRE_EDHOC_FAULT_NOT_TRUSTED },
    { "kccs that is no map", "a10e01", NACRE_EDHOC_FAULT_ID_KIND },
    { "kcwt, which is not read", "a10d8441a0a041014102", NACRE_EDHOC_FAULT_ID_KIND },
    { "c5t, which is not read", "a116822e4879f2a41b510c1f9b", NACRE_EDHOC_FAULT_ID_KIND },
    { "two parameters", "a2044101182101", NACRE_EDHOC_FAULT_ID_KIND },
    { "two parameters, not sorted", "a218214101044101", NACRE_EDHOC_FAULT_ID_KIND },
    { "one twice", "a2044101044102", NACRE_EDHOC_FAULT_CBOR },
    { "none", "a0", NACRE_EDHOC_FAULT_ID_KIND },
    { "a text label", "a1616101", NACRE_EDHOC_FAULT_ID_KIND },
    { "an array", "80", NACRE_EDHOC_FAULT_TYPE },
};

/* What an Initiator sends as its ID_CRED, and a Responder says of it. */
static void each_form_of_id_cred_has_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ids); i++) {
        edhoc_pair *p = edhoc_pair_of(3, 2, BY_KID);
        p->i.identities[0].id_cred = test_hex(ids[i].id_cred);
        nacre_edhoc_result result = edhoc_receive(p, &p->r, message_3(p));
        if (result.fault != ids[i].fault) fail_msg("%s: %s", ids[i].name, nacre_edhoc_fault_text(result.fault));
        assert_int_equal(result.verdict, ABORTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_ccs_is_read_whole_or_refused),
        TEST(a_written_ccs_is_read_as_the_same),
        TEST(an_id_cred_is_at_most_65535_bytes),
        TEST(peers_of_one_kid_are_each_tried),
        TEST(a_key_of_the_table_is_accepted_in_any_ccs),
        TEST(first_use_is_trusted_only_on_request),
        TEST(an_endpoint_does_not_complete_a_session_with_itself),
        TEST(another_key_under_the_same_name_does_not_authenticate),
        TEST(another_credential_with_the_same_key_does_not_authenticate),
        TEST(each_form_of_id_cred_has_its_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
