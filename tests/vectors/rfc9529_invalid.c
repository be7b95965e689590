/* SPDX-License-Identifier: MIT */
/* rfc9529_invalid: the messages of RFC 9529 4, each refused for its own reason. */
#include "edhoc/schedule.h"
#include "vectors.h"
#include <nacre/edhoc_credentials.h>

#include <stdio.h>
#include <string.h>

static const struct {
    const char *reason;
    nacre_edhoc_fault fault;
} reasons[] = {
    { "Surplus array encoding of message", NACRE_EDHOC_FAULT_TYPE },
    { "Surplus bstr encoding of connection identifier", NACRE_EDHOC_FAULT_CONNECTION_ID },
    { "Surplus array encoding of ciphersuite", NACRE_EDHOC_FAULT_SUITES },
    { "Text string encoding of ephemeral key", NACRE_EDHOC_FAULT_TYPE },
    { "Wrong number of CBOR sequence elements", NACRE_EDHOC_FAULT_ELEMENTS },
    { "Surplus map encoding of ID_CRED field", NACRE_EDHOC_FAULT_ID_CRED },
    { "Surplus bstr encoding of ID_CRED field", NACRE_EDHOC_FAULT_ID_CRED },
    { "Error in length of ephemeral key", NACRE_EDHOC_FAULT_KEY_LENGTH },
    { "Error in elliptic curve representation", NACRE_EDHOC_FAULT_KEY },
    { "Error in elliptic curve point", NACRE_EDHOC_FAULT_KEY },
    { "Curve point of low order", NACRE_EDHOC_FAULT_LOW_ORDER },
    { "Error in length of MAC", NACRE_EDHOC_FAULT_MAC_LENGTH },
    { "Error in elliptic curve encoding", NACRE_EDHOC_FAULT_KEY_LENGTH },
    { "Unnecessary long encoding", NACRE_EDHOC_FAULT_CBOR },
    { "Indefinite-length array encoding", NACRE_EDHOC_FAULT_CBOR },
};

static nacre_edhoc_found find_none(void *self, const nacre_edhoc_query *query, nacre_edhoc_credential *found,
                                   void **peer)
{
    (void)self, (void)query, (void)found, (void)peer;
    return NACRE_EDHOC_UNKNOWN;
}

typedef struct end {
    nacre_edhoc_config config;
    nacre_edhoc_identity identities[3];
    uint8_t keys[3][NACRE_MAX_COORDINATE];
} end;

static const uint8_t id_cred[] = { 0xa1, 0x04, 0x41, 0x32 }, ccs[] = { 0xa0 };

static void open_end(end *e, const nacre_crypto *crypto, const nacre_pk *pk, const int8_t *suites, size_t num)
{
    static const nacre_curve curves[] = { NACRE_P256, NACRE_P384, NACRE_X25519 };
    memset(e, 0, sizeof *e);
    for (size_t i = 0; i < 3; i++) {
        e->keys[i][0] = 0x40; /* any private key of the curve */
        e->keys[i][nacre_curve_len(curves[i]) - 1] = 1;
        e->identities[i].private_key.curve = curves[i];
        e->identities[i].private_key.secret.bytes = nacre_bytes_of(e->keys[i], nacre_curve_len(curves[i]));
        e->identities[i].uses = NACRE_EDHOC_AGREES;
        e->identities[i].id_cred = NACRE_ARRAY(id_cred);
        e->identities[i].credential.bytes = NACRE_ARRAY(ccs);
    }
    e->config = nacre_edhoc_config_default();
    e->config.crypto = crypto;
    e->config.pk = pk;
    e->config.suites = suites;
    e->config.num_suites = num;
    e->config.method = 3;
    e->config.methods = 1 << 3;
    e->config.identities = e->identities;
    e->config.num_identities = 3;
    e->config.trust.find = find_none;
}

/* A message_1 for a Responder that supports the suite in it. */
static nacre_edhoc_fault fault_of_message_1(vec_run *run, const nacre_pk *pk, nacre_bytes message)
{
    static const int8_t usual[] = { 2, 0 }, large[] = { 24 };
    static const uint8_t c_r[] = { 0x27 }, spare[] = { 0x26 };
    bool selects_24 = message.len > 5 && message.ptr[3] == 0x18 && message.ptr[4] == 24;
    end e;
    open_end(&e, run->crypto, pk, selects_24 ? large : usual, selects_24 ? 1 : 2);
    nacre_edhoc s;
    nacre_edhoc_result result = { .fault = NACRE_EDHOC_FAULT_NONE };
    uint8_t buf[256];
    if (!vec_same_err(run, "respond", NACRE_OK,
                      nacre_edhoc_respond(&s, &e.config, NACRE_ARRAY(c_r), NACRE_ARRAY(spare))))
        return NACRE_EDHOC_FAULT_NONE;
    (void)vec_same_err(run, "receive", NACRE_OK, nacre_edhoc_receive(&s, &result, NACRE_BUF(buf), message));
    vec_same_number(run, "verdict", NACRE_EDHOC_ABORTED, result.verdict);
    return result.fault;
}

/* A PLAINTEXT_2 is encrypted as the Responder of that session would: everything else in it is right. */
static nacre_bytes encrypted(vec_run *run, const nacre_pk *pk, const nacre_edhoc *initiator, nacre_bytes g_x,
                             nacre_bytes plaintext)
{
    uint8_t g_y[32], secret[32], th_2[48], prk_2e[48];
    nacre_ephemeral key;
    bool ok = pk->ops->generate(pk, NACRE_P256, &key, g_y) == NACRE_OK;
    nacre_private_key private_key = nacre_ephemeral_key(&key);
    ok = ok && pk->ops->agree(pk, &private_key, g_x, secret) == NACRE_OK &&
         nacre__edhoc_begin(initiator, initiator->th, NACRE_ARRAY(g_y), secret, th_2, prk_2e) == NACRE_OK;
    uint8_t *message = vec_alloc(run, 3 + 32 + plaintext.len), *at = message;
    at = nacre__cbor_head(at, NACRE__CBOR_BYTES, (unsigned)(32 + plaintext.len));
    at = nacre__edhoc_put(at, NACRE_ARRAY(g_y));
    (void)nacre__edhoc_put(at, plaintext);
    ok = ok && nacre__edhoc_keystream_2(initiator, prk_2e, th_2, at, plaintext.len) == NACRE_OK;
    if (!ok) vec_differs(run, "the message cannot be made");
    return nacre_bytes_of(message, (size_t)(at - message) + plaintext.len);
}

static nacre_edhoc_fault fault_of_message_2(vec_run *run, const nacre_pk *pk, nacre_bytes message, bool is_plaintext)
{
    static const int8_t suites[] = { 2 };
    static const uint8_t c_i[] = { 0x0e };
    end e;
    open_end(&e, run->crypto, pk, suites, 1);
    nacre_edhoc s;
    nacre_edhoc_result result = { .fault = NACRE_EDHOC_FAULT_NONE };
    nacre_bytes message_1;
    uint8_t buf[256], g_x[32];
    if (!vec_same_err(run, "initiate", NACRE_OK,
                      nacre_edhoc_initiate(&s, &message_1, NACRE_BUF(buf), &e.config, NACRE_ARRAY(c_i))))
        return NACRE_EDHOC_FAULT_NONE;
    memcpy(g_x, message_1.ptr + 4, sizeof g_x); /* 03 02 58 20 … */
    if (is_plaintext) message = encrypted(run, pk, &s, NACRE_ARRAY(g_x), message);
    (void)vec_same_err(run, "receive", NACRE_OK, nacre_edhoc_receive(&s, &result, NACRE_BUF(buf), message));
    vec_same_number(run, "verdict", NACRE_EDHOC_ABORTED, result.verdict);
    return result.fault;
}

static const nacre_pk *provider;

static void invalid(vec_run *run, yajl_val root, yajl_val entry)
{
    (void)root;
    if (!vec_members(run, entry, "what reason bytes hex length_label_matches")) return;
    const char *what = vec_text(run, entry, "what"), *reason = vec_text(run, entry, "reason");
    nacre_bytes message = vec_hex(run, entry, "hex");
    vec_same_number(run, "bytes", vec_uint(run, entry, "bytes"), message.len);
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (strcmp(reasons[i].reason, reason) != 0) continue;
        nacre_edhoc_fault fault = strcmp(what, "message_1") == 0
                                      ? fault_of_message_1(run, provider, message)
                                      : fault_of_message_2(run, provider, message, strcmp(what, "PLAINTEXT_2") == 0);
        vec_same_text(run, reason, nacre_edhoc_fault_text(reasons[i].fault), nacre_edhoc_fault_text(fault));
        return;
    }
    vec_differs(run, "no fault is known for \"%s\"", reason);
}

void vec_rfc9529_invalid(vec_run *run, yajl_val root, const nacre_pk *pk)
{
    provider = pk;
    vec_each(run, root, "invalid", invalid);
}
