/* SPDX-License-Identifier: MIT */
/* edhoc: each state of a session, with a peer that is right up to there. The input is the message, changes to the right
 * message, or the plaintext of a message that is encrypted as it should be. Only the right message is accepted, a session that
 * ends is wiped, and one that goes on is unchanged. */
#include "fuzz.h"

#include "edhoc/encrypt0.h"
#include "edhoc/schedule.h"

enum { NUM_METHODS = 4, MAX = 512 };

typedef struct end {
    nacre_edhoc_config config;
    nacre_edhoc_identity identity;
    nacre_edhoc_known known;
    nacre_edhoc_peers peers;
    uint8_t key[32], x[32], y[32], ccs[128], id[8];
} end;

/* The sessions before each message, and that message. */
typedef struct moment {
    nacre_edhoc session;
    uint8_t message[MAX];
    size_t len;
} moment;

static struct {
    nacre_pk pk;
    end i[NUM_METHODS], r[NUM_METHODS];
    moment at[NUM_METHODS][4];
    nacre_edhoc responder[NUM_METHODS];   /* before message_3: TH_3 and PRK_3e2m */
    uint8_t secret_2[NUM_METHODS][2][48]; /* TH_2 and PRK_2e */
} world;

static const int8_t suite_2[] = { 2 };

static void set_end(end *e, uint8_t kid, unsigned method)
{
    memset(e->key, kid, sizeof e->key);
    e->identity.private_key = (nacre_private_key){ NACRE_P256, { NACRE_ARRAY(e->key), 0 } };
    e->identity.uses = NACRE_EDHOC_SIGNS | NACRE_EDHOC_AGREES;
    CHECK(nacre_public_key_of(&e->identity.private_key, e->x, e->y) == NACRE_OK);
    const nacre_public_key key = { NACRE_P256, NACRE_ARRAY(e->x), NACRE_Y_WHOLE, NACRE_ARRAY(e->y) };
    e->identity.credential.key = key;
    CHECK(nacre_edhoc_write_ccs(&e->identity.credential.bytes, NACRE_BUF(e->ccs), NACRE_ABSENT,
                                nacre_bytes_of(&e->key[0], 1), &key) == NACRE_OK);
    CHECK(nacre_edhoc_id_kid(&e->identity.id_cred, NACRE_BUF(e->id), nacre_bytes_of(&e->key[0], 1)) == NACRE_OK);
    e->config = nacre_edhoc_config_default();
    e->config.crypto = fuzz_crypto();
    e->config.pk = &world.pk;
    e->config.suites = suite_2;
    e->config.num_suites = 1;
    e->config.method = (uint8_t)method;
    e->config.methods = (uint8_t)(1u << method);
    e->config.message_4 = true;
    e->config.identities = &e->identity;
    e->config.num_identities = 1;
    e->peers = (nacre_edhoc_peers){ &e->known, 1, NULL };
    e->config.trust = nacre_edhoc_trust_peers(&e->peers);
}

static void know(end *e, const end *other)
{
    e->known = (nacre_edhoc_known){ other->identity.credential, nacre_bytes_of(&other->key[0], 1), NACRE_ABSENT, e };
}

static void keep(moment *at, const nacre_edhoc *session, nacre_bytes message)
{
    CHECK(message.len <= MAX);
    at->session = *session;
    memcpy(at->message, message.ptr, message.len);
    at->len = message.len;
}

static nacre_bytes pass(nacre_edhoc *s, const moment *at, uint8_t *buf)
{
    nacre_edhoc_result result;
    CHECK(nacre_edhoc_receive(s, &result, (nacre_buf){ buf, MAX }, nacre_bytes_of(at->message, at->len)) == NACRE_OK);
    CHECK(result.verdict == NACRE_EDHOC_SEND || result.verdict == NACRE_EDHOC_COMPLETE);
    return result.message;
}

/* A whole session, with what its states were. */
static void make(unsigned method)
{
    uint8_t buf[MAX], secret[32];
    nacre_edhoc i, r;
    nacre_bytes m;
    set_end(&world.i[method], 0x41, method);
    set_end(&world.r[method], 0x42, method);
    know(&world.i[method], &world.r[method]);
    know(&world.r[method], &world.i[method]);
    CHECK(nacre_edhoc_respond(&r, &world.r[method].config, NACRE_STR("r"), NACRE_STR("s")) == NACRE_OK);
    CHECK(nacre_edhoc_initiate(&i, &m, NACRE_BUF(buf), &world.i[method].config, NACRE_STR("i")) == NACRE_OK);
    moment *at = world.at[method];
    keep(&at[0], &r, m);
    keep(&at[1], &i, pass(&r, &at[0], buf));
    nacre_private_key key = nacre_ephemeral_key(&i.ephemeral);
    const nacre_bytes g_y = { at[1].message + (at[1].message[0] == 0x58 ? 2 : 3), 32 };
    CHECK(world.pk.ops->agree(&world.pk, &key, g_y, secret) == NACRE_OK);
    CHECK(nacre__edhoc_begin(&i, i.th, g_y, secret, world.secret_2[method][0], world.secret_2[method][1]) == NACRE_OK);
    world.responder[method] = r;
    keep(&at[2], &r, pass(&i, &at[1], buf));
    keep(&at[3], &i, pass(&r, &at[2], buf));
}

/* The right message, with bytes exchanged, cut off, or more. */
static nacre_bytes changed(fuzz_input *in, const moment *at)
{
    nacre_buf buf = fuzz_buf(at->len + 8);
    memcpy(buf.ptr, at->message, at->len);
    size_t len = at->len;
    for (uint8_t num = fuzz_u8(in) & 7; num > 0; num--) buf.ptr[fuzz_uint(in, 2) % at->len] ^= fuzz_u8(in);
    uint8_t cut = fuzz_u8(in);
    if (cut < 8) memset(buf.ptr + len, fuzz_u8(in), cut), len += cut;
    else if (cut < 32) len -= cut % len;
    return fuzz_copy(nacre_bytes_of(buf.ptr, len));
}

/* The input as the plaintext of message_2 or message_3, with everything else right. */
static nacre_bytes encrypted(unsigned method, unsigned number, nacre_bytes plaintext)
{
    nacre_buf buf = fuzz_buf(plaintext.len + 64);
    const moment *at = &world.at[method][number - 1];
    if (number == 2) {
        size_t head = at->message[0] == 0x58 ? 2 : 3;
        uint8_t *g_y = nacre__cbor_head(buf.ptr, NACRE__CBOR_BYTES, (unsigned)plaintext.len + 32);
        memcpy(g_y, at->message + head, 32);
        memcpy(g_y + 32, plaintext.ptr, plaintext.len);
        CHECK(nacre__edhoc_keystream_2(&at->session, world.secret_2[method][1], world.secret_2[method][0], g_y + 32,
                                       plaintext.len) == NACRE_OK);
        return fuzz_copy(nacre_bytes_of(buf.ptr, (size_t)(g_y + 32 - buf.ptr) + plaintext.len));
    }
    const nacre_edhoc *r = &world.responder[method];
    memcpy(buf.ptr + nacre__edhoc_sealed_offset(r, plaintext.len), plaintext.ptr, plaintext.len);
    CHECK(nacre__edhoc_seal(r, 3, r->prk, r->th, buf.ptr, plaintext.len) == NACRE_OK);
    return fuzz_copy(nacre_bytes_of(buf.ptr, nacre__edhoc_sealed_len(r, plaintext.len)));
}

static void receive(const moment *at, unsigned number, nacre_bytes message, size_t cap)
{
    static const nacre_edhoc ended;
    nacre_edhoc s = at->session;
    nacre_edhoc_result result;
    nacre_buf buf = fuzz_buf(cap);
    nacre_err err = nacre_edhoc_receive(&s, &result, buf, message);
    CHECK(err == NACRE_OK || err == NACRE_ERR_BUFFER_TOO_SMALL);
    if (err != NACRE_OK) return;
    bool is_right = fuzz_same(message, nacre_bytes_of(at->message, at->len));
    switch (result.verdict) {
    case NACRE_EDHOC_SEND:
    case NACRE_EDHOC_COMPLETE: CHECK(number == 1 || is_right); break; /* another message_1 is another session */
    case NACRE_EDHOC_IGNORED: CHECK(memcmp(&s, &at->session, sizeof s) == 0 && !is_right); break;
    case NACRE_EDHOC_ABORTED:
        CHECK(memcmp(&s, &ended, sizeof s) == 0 && result.fault != NACRE_EDHOC_FAULT_NONE && !is_right);
        break;
    }
    if (!nacre_is_absent(result.message)) CHECK(result.message.ptr == buf.ptr && result.message.len <= buf.cap);
    nacre_edhoc_wipe(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (world.pk.ops == NULL) {
        CHECK(nacre_openssl_pk_open(&world.pk) == NACRE_OK);
        for (unsigned method = 0; method < NUM_METHODS; method++) make(method);
    }
    fuzz_input in = { data, data + size };
    uint8_t which = fuzz_u8(&in);
    unsigned method = which & 3, number = (which >> 2 & 3) + 1, kind = which >> 4 & 3;
    size_t cap = which & 0x40 ? fuzz_uint(&in, 2) % MAX : 1024;
    const moment *at = &world.at[method][number - 1];
    nacre_bytes message = kind == 0 ? changed(&in, at) : fuzz_rest(&in);
    if (message.len > 60000) message.len = 60000;
    if (kind == 1 && (number == 2 || number == 3) && message.len < 8000) message = encrypted(method, number, message);
    receive(at, number, message, cap);
    fuzz_release();
    return 0;
}
