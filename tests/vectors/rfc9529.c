/* SPDX-License-Identifier: MIT */
/* rfc9529: the traces of EDHOC. Two sessions of nacre run with the ephemeral keys of a trace: each message, the keys for
 * OSCORE, and those after a key update are compared. Values in between are covered, because they are hashed into these. */
#include "vectors.h"
#include <nacre/edhoc_credentials.h>

#include <stdio.h>
#include <string.h>

/* The members of a trace that are compared or used, and those that these fix. */
#define FIXED_MEMBERS                                                                                                  \
    "METHOD_cbor SUITES_I_cbor G_X_cbor C_I_cbor EAD_1 G_Y_cbor C_R_cbor H_message_1_cbor Input_to_calculate_TH_2 "    \
    "H_message_1 TH_2 TH_2_cbor G_XY salt PRK_2e PRK_3e2m EAD_2 context_2 context_2_bstr info_for_MAC_2 MAC_2 "        \
    "MAC_2_cbor Message_to_be_signed_2_cbor? Signature_or_MAC_2 Signature_or_MAC_2_cbor PLAINTEXT_2 "                  \
    "info_for_KEYSTREAM_2 KEYSTREAM_2 CIPHERTEXT_2 PRK_4e3m Input_to_calculate_TH_3 TH_3 TH_3_cbor EAD_3 context_3 "   \
    "context_3_bstr info_for_MAC_3 MAC_3 MAC_3_cbor Message_to_be_signed_3_cbor? Signature_or_MAC_3 "                  \
    "Signature_or_MAC_3_cbor PLAINTEXT_3 A_3_cbor info_for_K_3 K_3 info_for_IV_3 IV_3 CIPHERTEXT_3 "                   \
    "Input_to_calculate_TH_4 TH_4 TH_4_cbor EAD_4 PLAINTEXT_4 A_4_cbor info_for_K_4 K_4 info_for_IV_4 IV_4 "           \
    "CIPHERTEXT_4 info_for_PRK_out info_for_PRK_exporter PRK_exporter info_for_OSCORE_Master_Secret "                  \
    "info_for_OSCORE_Master_Salt context_for_KeyUpdate_cbor PRK_exporter_after_KeyUpdate G_X_y? G_Y_y? "               \
    "info_for_SALT_3e2m? SALT_3e2m? G_RX? info_for_SALT_4e3m? SALT_4e3m? G_IY? first_METHOD_cbor? "                    \
    "first_SUITES_I_cbor? first_G_X_cbor? first_C_I_cbor? "
#define USED_MEMBERS                                                                                                   \
    "X G_X C_I message_1 Y G_Y C_R SK_R PK_R? PK_R_x? PK_R_y? ID_CRED_R_cbor CRED_R? CRED_R_cbor message_2 SK_I "      \
    "PK_I? "                                                                                                           \
    "PK_I_x? PK_I_y? ID_CRED_I_cbor CRED_I? CRED_I_cbor message_3 message_4 PRK_out Application_AEAD_Algorithm "       \
    "Application_Hash_Algorithm client_oscore_sender_id server_oscore_sender_id OSCORE_Master_Secret "                 \
    "OSCORE_Master_Salt context_for_KeyUpdate PRK_out_after_KeyUpdate OSCORE_Master_Secret_after_KeyUpdate "           \
    "OSCORE_Master_Salt_after_KeyUpdate first_X? first_G_X? first_C_I? first_message_1? error_SUITES_R? error?"

/* ---- A provider whose fresh keys are those of the trace ---- */
static nacre_pk_ops fixed_ops;
static nacre_pk real_pk;
static nacre_bytes next_key, next_x;

static nacre_err fixed_generate(const nacre_pk *pk, nacre_curve curve, nacre_ephemeral *key, uint8_t *x)
{
    (void)pk;
    if (next_key.len != nacre_curve_len(curve) || next_x.len != next_key.len) return NACRE_ERR_CRYPTO;
    *key = (nacre_ephemeral){ .curve = curve, .len = (uint8_t)next_key.len };
    memcpy(key->bytes, next_key.ptr, next_key.len);
    memcpy(x, next_x.ptr, next_x.len);
    return NACRE_OK;
}

typedef struct side {
    nacre_edhoc session;
    nacre_edhoc_config config;
    nacre_edhoc_identity identity;
    nacre_edhoc_known known; /* the other side */
    nacre_edhoc_peers peers;
    nacre_bytes x, y;
} side;

typedef struct trace {
    vec_run *run;
    yajl_val values;
    nacre_pk pk;
    int8_t suites[2];
    nacre_edhoc_identity identities[2]; /* of the Initiator; the second for the suite of its first message */
    side initiator, responder;
    uint8_t buf[1024];
} trace;

static nacre_bytes hex(const trace *t, const char *name)
{
    return vec_hex(t->run, t->values, name);
}

static void set_credential(const trace *t, nacre_edhoc_credential *c, const char *side_name)
{
    char name[24];
    snprintf(name, sizeof name, "CRED_%s", side_name);
    if (vec_has(t->values, name)) { /* a certificate, and not only its CBOR */
        snprintf(name, sizeof name, "PK_%s", side_name);
        c->key = (nacre_public_key){ .curve = NACRE_ED25519, .x = hex(t, name) };
        snprintf(name, sizeof name, "CRED_%s", side_name);
        c->bytes = hex(t, name);
        c->is_certificate = true;
        return;
    }
    snprintf(name, sizeof name, "CRED_%s_cbor", side_name);
    nacre_bytes ccs = hex(t, name);
    (void)vec_same_err(t->run, name, NACRE_OK, nacre_edhoc_read_ccs(c, NULL, ccs));
    snprintf(name, sizeof name, "PK_%s_x", side_name);
    vec_same_bytes(t->run, name, hex(t, name), c->key.x);
    snprintf(name, sizeof name, "PK_%s_y", side_name);
    vec_same_bytes(t->run, name, hex(t, name), c->key.y);
}

static void set_side(trace *t, side *s, const char *side_name, unsigned method, unsigned uses)
{
    char name[24];
    set_credential(t, &s->identity.credential, side_name);
    snprintf(name, sizeof name, "ID_CRED_%s_cbor", side_name);
    s->identity.id_cred = hex(t, name);
    snprintf(name, sizeof name, "SK_%s", side_name);
    s->identity.private_key.curve = s->identity.credential.key.curve;
    s->identity.private_key.secret.bytes = hex(t, name);
    s->identity.uses = (uint8_t)uses;
    s->config = nacre_edhoc_config_default();
    s->config.crypto = t->run->crypto;
    s->config.pk = &t->pk;
    s->config.method = (uint8_t)method;
    s->config.methods = (uint8_t)(1u << method);
    s->config.message_4 = true;
    s->config.identities = &s->identity;
    s->config.num_identities = 1;
    s->peers = (nacre_edhoc_peers){ &s->known, 1, NULL };
    s->config.trust = nacre_edhoc_trust_peers(&s->peers);
}

/* The other side's credential, by the kid of its ID_CRED, which is {4: h'..'} with one byte, or by x5t. */
static void know(side *s, const side *other)
{
    s->known = (nacre_edhoc_known){ .credential = other->identity.credential };
    if (!other->identity.credential.is_certificate)
        s->known.kid = nacre_bytes_of(other->identity.id_cred.ptr + 3, other->identity.id_cred.len - 3);
}

static nacre_bytes step(trace *t, side *to, const char *name, nacre_edhoc_verdict verdict, nacre_edhoc_fault fault,
                        nacre_bytes in)
{
    nacre_edhoc_result result = { .verdict = NACRE_EDHOC_IGNORED };
    (void)vec_same_err(t->run, name, NACRE_OK, nacre_edhoc_receive(&to->session, &result, NACRE_BUF(t->buf), in));
    vec_same_text(t->run, "fault", nacre_edhoc_fault_text(fault), nacre_edhoc_fault_text(result.fault));
    vec_same_number(t->run, name, verdict, result.verdict);
    return vec_copy(t->run, result.message);
}

static void check_context(trace *t, side *s, const char *secret, const char *salt)
{
    nacre_edhoc_secrets secrets;
    nacre_context_params params = { .cose_aead = 0 };
    bool initiates = s == &t->initiator;
    if (!vec_same_err(t->run, "context", NACRE_OK, nacre_edhoc_context(&s->session, &params, &secrets))) return;
    vec_same_number(t->run, "algorithm", vec_uint(t->run, t->values, "Application_AEAD_Algorithm"),
                    (uint64_t)params.cose_aead);
    vec_same_number(t->run, "hash", NACRE_SHA256, params.hash);
    vec_same_bytes(t->run, secret, hex(t, secret), params.master_secret.bytes);
    vec_same_bytes(t->run, salt, hex(t, salt), params.master_salt);
    vec_same_bytes(t->run, "sender ID", hex(t, initiates ? "client_oscore_sender_id" : "server_oscore_sender_id"),
                   params.sender_id);
    vec_same_bytes(t->run, "recipient ID", hex(t, initiates ? "server_oscore_sender_id" : "client_oscore_sender_id"),
                   params.recipient_id);
}

static void check_keys(trace *t, side *s)
{
    vec_same_bytes(t->run, "PRK_out", hex(t, "PRK_out"), nacre_bytes_of(s->session.prk_out, 32));
    check_context(t, s, "OSCORE_Master_Secret", "OSCORE_Master_Salt");
    (void)vec_same_err(t->run, "key update", NACRE_OK,
                       nacre_edhoc_key_update(&s->session, hex(t, "context_for_KeyUpdate")));
    vec_same_bytes(t->run, "PRK_out_after_KeyUpdate", hex(t, "PRK_out_after_KeyUpdate"),
                   nacre_bytes_of(s->session.prk_out, 32));
    check_context(t, s, "OSCORE_Master_Secret_after_KeyUpdate", "OSCORE_Master_Salt_after_KeyUpdate");
}

static void use(const trace *t, const char *key, const char *x)
{
    next_key = hex(t, key);
    next_x = hex(t, x);
}

/* The first message of the trace with method 3 is refused for its suite. */
static nacre_bytes begin(trace *t)
{
    nacre_bytes message = NACRE_ABSENT;
    bool is_refused = vec_has(t->values, "first_X");
    use(t, is_refused ? "first_X" : "X", is_refused ? "first_G_X" : "G_X");
    nacre_bytes c_i = hex(t, is_refused ? "first_C_I" : "C_I");
    (void)vec_same_err(
        t->run, "initiate", NACRE_OK,
        nacre_edhoc_initiate(&t->initiator.session, &message, NACRE_BUF(t->buf), &t->initiator.config, c_i));
    message = vec_copy(t->run, message);
    if (!is_refused) return message;
    vec_same_bytes(t->run, "first_message_1", hex(t, "first_message_1"), message);
    nacre_bytes error = step(t, &t->responder, "error", NACRE_EDHOC_ABORTED, NACRE_EDHOC_FAULT_SUITE, message);
    vec_same_bytes(t->run, "error", hex(t, "error"), error);
    /* the trace has another C_I the second time, which nacre keeps; so it is set here */
    nacre_bytes second = hex(t, "C_I");
    memcpy(t->initiator.session.c_i, second.ptr, second.len);
    t->initiator.session.c_i_len = (uint8_t)second.len;
    use(t, "X", "G_X");
    return step(t, &t->initiator, "error", NACRE_EDHOC_SEND, NACRE_EDHOC_FAULT_NONE, error);
}

static void respond(trace *t)
{
    static const uint8_t spare[] = { 0x77, 0x77 };
    (void)vec_same_err(
        t->run, "respond", NACRE_OK,
        nacre_edhoc_respond(&t->responder.session, &t->responder.config, hex(t, "C_R"), NACRE_ARRAY(spare)));
}

static void run_trace(trace *t)
{
    respond(t);
    nacre_bytes message = begin(t);
    vec_same_bytes(t->run, "message_1", hex(t, "message_1"), message);
    if (vec_has(t->values, "first_X")) respond(t); /* the refused session has ended */
    use(t, "Y", "G_Y");
    message = step(t, &t->responder, "message_1", NACRE_EDHOC_SEND, NACRE_EDHOC_FAULT_NONE, message);
    vec_same_bytes(t->run, "message_2", hex(t, "message_2"), message);
    message = step(t, &t->initiator, "message_2", NACRE_EDHOC_SEND, NACRE_EDHOC_FAULT_NONE, message);
    vec_same_bytes(t->run, "message_3", hex(t, "message_3"), message);
    message = step(t, &t->responder, "message_3", NACRE_EDHOC_SEND, NACRE_EDHOC_FAULT_NONE, message);
    vec_same_bytes(t->run, "message_4", hex(t, "message_4"), message);
    (void)step(t, &t->initiator, "message_4", NACRE_EDHOC_COMPLETE, NACRE_EDHOC_FAULT_NONE, message);
    check_keys(t, &t->initiator);
    check_keys(t, &t->responder);
}

static void method(vec_run *run, yajl_val root, const char *name)
{
    vec_begin(run, name, "messages and keys");
    yajl_val entry = vec_get(run, root, name);
    trace t = { .run = run, .values = entry != NULL ? vec_get(run, entry, "values") : NULL };
    if (t.values != NULL &&
        vec_members(run, entry,
                    "rfc_section method selected_suite edhoc_aead edhoc_hash mac_length_static_dh ecdh_curve signature "
                    "credentials message_lengths values") &&
        vec_members(run, t.values, FIXED_MEMBERS USED_MEMBERS)) {
        unsigned number = (unsigned)vec_uint(run, entry, "method");
        unsigned uses = number == 0 ? NACRE_EDHOC_SIGNS : NACRE_EDHOC_AGREES;
        fixed_ops = *real_pk.ops;
        fixed_ops.generate = fixed_generate;
        t.pk = (nacre_pk){ &fixed_ops, real_pk.instance };
        set_side(&t, &t.initiator, "I", number, uses);
        set_side(&t, &t.responder, "R", number, uses);
        know(&t.initiator, &t.responder);
        know(&t.responder, &t.initiator);
        bool is_refused = vec_has(t.values, "first_X");
        int8_t suite = (int8_t)vec_uint(run, entry, "selected_suite");
        t.identities[0] = t.identities[1] = t.initiator.identity;
        t.identities[1].private_key.curve = NACRE_X25519;
        t.initiator.config.identities = t.identities;
        t.initiator.config.num_identities = 2;
        t.suites[0] = is_refused ? 6 : suite;
        t.suites[1] = suite;
        t.initiator.config.suites = t.suites;
        t.initiator.config.num_suites = is_refused ? 2 : 1;
        t.responder.config.suites = &t.suites[1];
        t.responder.config.num_suites = 1;
        run_trace(&t);
    }
    vec_end(run);
}

void vec_rfc9529(vec_run *run, yajl_val root)
{
    vec_check_about(run, root);
    if (nacre_openssl_pk_open(&real_pk) != NACRE_OK) {
        vec_begin(run, "method0", "-");
        vec_differs(run, "no provider of public keys");
        vec_end(run);
        return;
    }
    method(run, root, "method0");
    method(run, root, "method3");
    vec_rfc9529_invalid(run, root, &real_pk);
    nacre_openssl_pk_close(&real_pk);
}
