/* SPDX-License-Identifier: MIT */
#include "edhoc_ends.h"
#include "support.h"

static const struct {
    nacre_curve curve;
    uint8_t use;
} kinds[EDHOC_NUM_KEYS] = {
    { NACRE_P256, NACRE_EDHOC_SIGNS | NACRE_EDHOC_AGREES },
    { NACRE_P384, NACRE_EDHOC_SIGNS | NACRE_EDHOC_AGREES },
    { NACRE_X25519, NACRE_EDHOC_AGREES },
    { NACRE_ED25519, NACRE_EDHOC_SIGNS },
    { NACRE_CURVE_NONE, 0 }, /* for tests that add one */
};

const nacre_pk *edhoc_pk(void)
{
    static nacre_pk pk;
    if (pk.ops == NULL) assert_ok(nacre_openssl_pk_open(&pk));
    return &pk;
}

static void make_key(edhoc_end *end, size_t k, uint8_t seed)
{
    nacre_edhoc_identity *identity = &end->identities[k];
    nacre_public_key *key = &identity->credential.key;
    size_t len = nacre_curve_len(kinds[k].curve);
    bool has_y = kinds[k].curve == NACRE_P256 || kinds[k].curve == NACRE_P384;
    memset(end->keys[k][0], seed, len);
    identity->private_key.curve = kinds[k].curve;
    identity->private_key.secret.bytes = nacre_bytes_of(end->keys[k][0], len);
    identity->uses = kinds[k].use;
    assert_ok(nacre_public_key_of(&identity->private_key, end->keys[k][1], end->keys[k][2]));
    *key = (nacre_public_key){ .curve = kinds[k].curve, .x = { end->keys[k][1], len } };
    if (has_y) key->y_form = NACRE_Y_WHOLE, key->y = nacre_bytes_of(end->keys[k][2], len);
}

static void make_credential(edhoc_end *end, size_t k, edhoc_style style, const char *name)
{
    nacre_edhoc_identity *identity = &end->identities[k];
    nacre_edhoc_credential *c = &identity->credential;
    nacre_buf bytes = NACRE_BUF(end->credentials[k]), id = NACRE_BUF(end->ids[k]);
    const uint8_t kid[] = { (uint8_t)name[0], (uint8_t)k };
    nacre_bytes subject = nacre_bytes_of((const uint8_t *)name, strlen(name));
    c->is_certificate = style >= BY_X5T;
    if (c->is_certificate) {
        memset(bytes.ptr, name[0] + (int)k, 150);
        c->bytes = nacre_bytes_of(bytes.ptr, 150);
    } else assert_ok(nacre_edhoc_write_ccs(&c->bytes, bytes, subject, NACRE_ARRAY(kid), &c->key));
    switch (style) {
    case BY_KID: assert_ok(nacre_edhoc_id_kid(&identity->id_cred, id, NACRE_ARRAY(kid))); break;
    case BY_VALUE: assert_ok(nacre_edhoc_id_kccs(&identity->id_cred, id, c->bytes)); break;
    case BY_X5T: assert_ok(nacre_edhoc_id_x5t(&identity->id_cred, id, edhoc_pk(), c->bytes)); break;
    case BY_X5CHAIN: assert_ok(nacre_edhoc_id_x5chain(&identity->id_cred, id, &c->bytes, 1)); break;
    default: assert_ok(nacre_edhoc_id_x5u(&identity->id_cred, id, subject)); break;
    }
}

static void know(edhoc_end *end, const edhoc_end *other, const char *name)
{
    for (size_t k = 0; k + 1 < EDHOC_NUM_KEYS; k++) {
        end->known[k].credential = other->identities[k].credential;
        uint8_t *kid = test_alloc(2);
        kid[0] = (uint8_t)name[0];
        kid[1] = (uint8_t)k;
        end->known[k].kid = nacre_bytes_of(kid, 2);
        end->known[k].uri = nacre_bytes_of((const uint8_t *)name, strlen(name));
        end->known[k].peer = (void *)(uintptr_t)other;
    }
    end->peers = (nacre_edhoc_peers){ end->known, EDHOC_NUM_KEYS - 1, NULL };
}

static void configure(edhoc_end *end, unsigned method, int suite)
{
    end->suite = (int8_t)suite;
    end->config = nacre_edhoc_config_default();
    end->config.crypto = test_crypto();
    end->config.pk = edhoc_pk();
    end->config.suites = &end->suite;
    end->config.num_suites = 1;
    end->config.method = (uint8_t)method;
    end->config.methods = 0xf;
    end->config.message_4 = true;
    end->config.identities = end->identities;
    end->config.num_identities = EDHOC_NUM_KEYS - 1;
    end->config.trust = nacre_edhoc_trust_peers(&end->peers);
}

edhoc_pair *edhoc_pair_of(unsigned method, int suite, edhoc_style style)
{
    static edhoc_pair keys; /* the keys are computed once */
    edhoc_pair *p = test_alloc(sizeof *p);
    bool first = keys.i.identities[0].uses == 0;
    if (first)
        for (size_t k = 0; k + 1 < EDHOC_NUM_KEYS; k++) {
            make_key(&keys.i, k, (uint8_t)(0x11 + k));
            make_key(&keys.r, k, (uint8_t)(0x21 + k));
        }
    *p = keys;
    for (size_t k = 0; k + 1 < EDHOC_NUM_KEYS; k++) { /* credentials and IDs are in the pair itself */
        make_credential(&p->i, k, style, "initiator");
        make_credential(&p->r, k, style, "responder");
    }
    know(&p->i, &p->r, "responder");
    know(&p->r, &p->i, "initiator");
    configure(&p->i, method, suite);
    configure(&p->r, method, suite);
    return p;
}

nacre_bytes edhoc_begin(edhoc_pair *p)
{
    static const uint8_t c_i[] = { 1 }, c_r[] = { 2 }, spare[] = { 3 };
    nacre_bytes message;
    assert_ok(nacre_edhoc_respond(&p->r.session, &p->r.config, NACRE_ARRAY(c_r), NACRE_ARRAY(spare)));
    assert_ok(nacre_edhoc_initiate(&p->i.session, &message, NACRE_BUF(p->i_buf), &p->i.config, NACRE_ARRAY(c_i)));
    return test_copy(message);
}

nacre_edhoc_result edhoc_receive(edhoc_pair *p, edhoc_end *to, nacre_bytes in)
{
    nacre_edhoc_result result;
    nacre_buf buf = to == &p->i ? NACRE_BUF(p->i_buf) : NACRE_BUF(p->r_buf);
    assert_ok(nacre_edhoc_receive(&to->session, &result, buf, in));
    return result;
}

nacre_bytes edhoc_step(edhoc_pair *p, edhoc_end *to, nacre_bytes in, nacre_edhoc_verdict verdict,
                       nacre_edhoc_fault fault)
{
    nacre_edhoc_result result = edhoc_receive(p, to, in);
    assert_string_equal(nacre_edhoc_fault_text(result.fault), nacre_edhoc_fault_text(fault));
    assert_int_equal(result.verdict, verdict);
    return nacre_is_absent(result.message) ? NACRE_ABSENT : test_copy(result.message);
}

void edhoc_complete(edhoc_pair *p)
{
    nacre_bytes message = edhoc_begin(p);
    message = edhoc_step(p, &p->r, message, NACRE_EDHOC_SEND, NACRE_EDHOC_FAULT_NONE);
    message = edhoc_step(p, &p->i, message, NACRE_EDHOC_SEND, NACRE_EDHOC_FAULT_NONE);
    bool four = p->r.config.message_4;
    message = edhoc_step(p, &p->r, message, four ? NACRE_EDHOC_SEND : NACRE_EDHOC_COMPLETE, NACRE_EDHOC_FAULT_NONE);
    if (four) (void)edhoc_step(p, &p->i, message, NACRE_EDHOC_COMPLETE, NACRE_EDHOC_FAULT_NONE);
}

void edhoc_agree(edhoc_pair *p)
{
    nacre_edhoc_secrets at_i, at_r;
    nacre_context_params i, r;
    assert_ok(nacre_edhoc_context(&p->i.session, &i, &at_i));
    assert_ok(nacre_edhoc_context(&p->r.session, &r, &at_r));
    assert_bytes(i.master_secret.bytes, r.master_secret.bytes);
    assert_bytes(i.master_salt, r.master_salt);
    assert_int_equal(i.cose_aead, r.cose_aead);
    assert_int_equal(i.hash, r.hash);
    assert_bytes(i.sender_id, r.recipient_id);
    assert_bytes(r.sender_id, i.recipient_id);
    assert_bytes(i.recipient_id, nacre_edhoc_c_i(&p->i.session));
    assert_err(nacre_edhoc_context(&p->i.session, &i, &at_i), NACRE_ERR_STALE);
    assert_err(nacre_edhoc_context(&p->r.session, &r, &at_r), NACRE_ERR_STALE);
    assert_ptr_equal(nacre_edhoc_peer(&p->i.session), p->i.known[0].peer);
    assert_ptr_equal(nacre_edhoc_peer(&p->r.session), p->r.known[0].peer);
}
