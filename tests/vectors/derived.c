/* SPDX-License-Identifier: MIT */
/* derived: computed vectors: nonce edges, every AEAD, and the flows of Observe, Echo, B.2, Proxy-Uri and inner block-wise.
 * Messages come without their plain form: it is put together from plaintext and outer options. */
#include "vectors.h"
#include "oscore/offer.h"

#include <stdlib.h>
#include <string.h>

/* What this runner knows by name and nacre does not support yet. Nothing else is ever skipped. */
static const struct {
    const char *section, *id, *why;
} not_supported[] = {
    { "edhoc_then_oscore", "-", "EDHOC" },
    { "kudos_draft14", "-", "KUDOS" },
};

/* ---- nonces, RFC 8613 5.2 ---- */
static void nonce(vec_run *run, yajl_val root, yajl_val entry)
{
    (void)root;
    if (!vec_members(run, entry, "common_iv id_piv ssn partial_iv nonce")) return;
    nacre_bytes common_iv = vec_hex(run, entry, "common_iv"), partial_iv = vec_hex(run, entry, "partial_iv");
    vec_same_bytes(run, "partial_iv", vec_partial_iv(run, vec_uint(run, entry, "ssn")), partial_iv);
    int alg = 0; /* any that has nonces of this length */
    const nacre_aead *aead;
    for (size_t i = 0; (aead = nacre_aead_at(i)) != NULL; i++)
        if (aead->nonce_len == common_iv.len) alg = aead->cose;
    vec_same_bytes(run, "nonce", vec_hex(run, entry, "nonce"),
                   vec_nonce(run, alg, common_iv, vec_hex(run, entry, "id_piv"), partial_iv));
}

/* ---- contexts ---- */
typedef struct known_context {
    nacre_context_params client;
    vec_derived derived;
} known_context;

static bool context_named(vec_run *run, yajl_val owner, const char *name, known_context *c)
{
    yajl_val entry = vec_get(run, owner, name);
    if (!vec_members(run, entry,
                     "alg_aead hkdf master_secret master_salt id_context sender_id recipient_id sender_key "
                     "recipient_key common_iv"))
        return false;
    nacre_hash hash;
    (void)vec_hash_of_hkdf(run, entry, &hash);
    c->client = vec_params(run, entry, "alg_aead", "sender_id", "recipient_id", hash);
    memset(&c->derived, 0, sizeof c->derived);
    c->derived.sender_key = vec_hex(run, entry, "sender_key");
    c->derived.recipient_key = vec_hex(run, entry, "recipient_key");
    c->derived.common_iv = vec_hex(run, entry, "common_iv");
    return !run->bad;
}

static bool context_of(vec_run *run, yajl_val owner, known_context *c)
{
    return context_named(run, owner, "context_client", c);
}

static void check_context(vec_run *run, yajl_val owner)
{
    known_context c;
    if (context_of(run, owner, &c)) vec_check_derived(run, &c.client, &c.derived);
}

/* ---- one message ---- */
static bool is_oscore(const nacre_option *opt)
{
    return opt->number == NACRE_OPT_OSCORE;
}

static void add_all(nacre_options *to, nacre_bytes from, bool (*wanted)(const nacre_option *opt))
{
    nacre_option opt;
    for (nacre_option_iter it = nacre_option_begin(from); nacre_option_next(&it, &opt);)
        if (wanted(&opt)) nacre_options_add(to, opt.number, opt.value);
}

static bool is_outer(const nacre_option *opt)
{
    uint8_t flags = nacre_option_lookup(opt->number)->flags;
    return !is_oscore(opt) && (flags & NACRE_CLASS_U) && !(flags & NACRE_CLASS_E);
}

static bool is_inner(const nacre_option *opt)
{
    return !vec_is_observe(opt);
}

/* plain_of puts the unprotected message together. An Observe option takes its value from outside, where a notification's
 * is; a request's must be the same inside. */
static nacre_bytes plain_of(vec_run *run, const nacre_message *outer, nacre_bytes plaintext)
{
    uint8_t *fake = vec_alloc(run, 3 + plaintext.len); /* the plaintext dressed as a datagram, to be parsed */
    nacre_message inner, plain = *outer;
    if (plaintext.len == 0) return NACRE_ABSENT;
    memcpy(fake, "\x40\0\0\0", 4);
    fake[1] = plaintext.ptr[0];
    memmove(fake + 4, plaintext.ptr + 1, plaintext.len - 1);
    if (!vec_parse(run, "plaintext", nacre_bytes_of(fake, 3 + plaintext.len), &inner)) return NACRE_ABSENT;

    nacre_buf buf = { NULL, outer->options.len + inner.options.len + 16 };
    buf.ptr = vec_alloc(run, buf.cap);
    nacre_options o;
    nacre_options_init(&o, buf);
    add_all(&o, outer->options, is_outer);
    add_all(&o, inner.options, is_inner);
    nacre_bytes inside = nacre_option_find(inner.options, NACRE_OPT_OBSERVE);
    nacre_bytes outside = nacre_option_find(outer->options, NACRE_OPT_OBSERVE);
    if (nacre_is_absent(inside) != nacre_is_absent(outside)) vec_differs(run, "Observe on one side only");
    else if (!nacre_is_absent(outside)) {
        nacre_options_add(&o, NACRE_OPT_OBSERVE, outside);
        if (nacre_code_is_request(inner.code)) vec_same_bytes(run, "Observe inside", outside, inside);
        else vec_same_number(run, "length of Observe inside", 0, inside.len);
    }
    (void)vec_same_err(run, "writing options", NACRE_OK, nacre_options_finish(&o, &plain.options));
    plain.code = inner.code;
    plain.payload = inner.payload;
    return vec_write(run, &plain);
}

#define STEP_MEMBERS "kind partial_iv request_kid request_piv nonce aad plaintext key ciphertext oscore_option message"

static void check_message_parts(vec_run *run, yajl_val entry, const known_context *c, bool request,
                                const nacre_message *outer)
{
    nacre_bytes local = vec_hex_or_null(run, entry, "partial_iv");
    vec_parts p = {
        .alg = c->client.cose_aead,
        .common_iv = c->derived.common_iv,
        .id_piv = nacre_is_absent(local) || request ? c->client.sender_id : c->client.recipient_id,
        .nonce_piv = nacre_is_absent(local) ? vec_hex(run, entry, "request_piv") : local,
        .request_kid = vec_hex(run, entry, "request_kid"),
        .request_piv = vec_hex(run, entry, "request_piv"),
        .fields = { local, request ? c->client.id_context : NACRE_ABSENT,
                    request ? c->client.sender_id : NACRE_ABSENT },
        .key = request ? c->derived.sender_key : c->derived.recipient_key,
        .nonce = vec_hex(run, entry, "nonce"),
        .aad = vec_hex(run, entry, "aad"),
        .option = vec_hex(run, entry, "oscore_option"),
        .plaintext = vec_hex(run, entry, "plaintext"),
        .message = vec_hex(run, entry, "message"),
    };
    vec_same_bytes(run, "key", p.key, vec_hex(run, entry, "key"));
    vec_same_bytes(run, "ciphertext", vec_hex(run, entry, "ciphertext"), outer->payload);
    vec_same_bytes(run, "request_kid", c->client.sender_id, p.request_kid);
    if (!run->bad) vec_check_parts(run, &p);
}

static void check_message(vec_run *run, yajl_val entry, const known_context *c, bool protects)
{
    const char *kind = vec_text(run, entry, "kind");
    bool request = strcmp(kind, "request") == 0;
    nacre_bytes datagram = vec_hex(run, entry, "message");
    nacre_message outer, m;
    if (!request && strcmp(kind, "response") != 0) vec_differs(run, "kind: neither request nor response");
    if (run->bad || !vec_parse(run, "message", datagram, &outer)) return;
    check_message_parts(run, entry, c, request, &outer);
    nacre_bytes plain = plain_of(run, &outer, vec_hex(run, entry, "plaintext"));
    if (run->bad || !vec_parse(run, "the plain message", plain, &m)) return;
    nacre_bytes local = vec_hex_or_null(run, entry, "partial_iv"), request_piv = vec_hex(run, entry, "request_piv");
    if (request) {
        vec_same_bytes(run, "request_piv", local, request_piv);
        vec_check_request(run, &c->client, vec_partial_iv_number(local), NULL, protects ? plain : NACRE_ABSENT,
                          datagram, plain);
        return;
    }
    vec_response r = {
        .request_piv = request_piv,
        .partial_iv = local,
        .plain = plain,
        .datagram = datagram,
        .unprotected = vec_without(run, &m, vec_is_observe),
        .has_observe = !nacre_is_absent(nacre_option_find(m.options, NACRE_OPT_OBSERVE)),
    };
    vec_check_response(run, &c->client, &r);
}

/* ---- all_aead ---- */
static void each_aead(vec_run *run, yajl_val root, yajl_val entry)
{
    (void)root;
    if (!vec_members(run, entry, "aead_name tag_length context_client request response")) return;
    known_context c;
    check_context(run, entry);
    if (!context_of(run, entry, &c)) return;
    const nacre_aead *aead = nacre_aead_by_number(c.client.cose_aead);
    vec_same_text(run, "aead_name", vec_text(run, entry, "aead_name"), aead->name);
    vec_same_number(run, "tag_length", vec_uint(run, entry, "tag_length"), aead->tag_len);
    yajl_val request = vec_get(run, entry, "request"), response = vec_get(run, entry, "response");
    if (vec_members(run, request, STEP_MEMBERS)) check_message(run, request, &c, true);
    if (vec_members(run, response, STEP_MEMBERS)) check_message(run, response, &c, true);
}

/* ---- flows ---- */
static void flow(vec_run *run, yajl_val root, const char *section, const char *members)
{
    vec_begin(run, section, "context_client");
    yajl_val owner = vec_get(run, root, section);
    if (vec_members(run, owner, members)) check_context(run, owner);
    size_t len = vec_array(run, owner, "flow");
    if (len == 0) vec_differs(run, "flow: no steps");
    vec_end(run);
    for (size_t i = 0; i < len; i++) {
        yajl_val step = vec_at(owner, "flow", i);
        known_context c;
        vec_begin(run, section, "step %zu", i + 1);
        if (vec_members(run, step, "step " STEP_MEMBERS) && context_of(run, owner, &c)) {
            (void)vec_text(run, step, "step");
            check_message(run, step, &c, true);
        }
        vec_end(run);
    }
}

static nacre_bytes plain_of_step(vec_run *run, yajl_val step)
{
    nacre_message outer;
    if (!vec_parse(run, "message", vec_hex(run, step, "message"), &outer)) return NACRE_ABSENT;
    return plain_of(run, &outer, vec_hex(run, step, "plaintext"));
}

/* The four messages of echo_b_1_2 as one exchange with a server that does not know its window. The last step answers with
 * the request's nonce, which nacre never does after a recovery (RFC 8613 B.1.2 leaves it open): its bytes are checked as
 * a step, and not here. */
static void recovery(vec_run *run, yajl_val root)
{
    yajl_val owner = vec_get(run, root, "echo_b_1_2");
    known_context c;
    vec_begin(run, "echo_b_1_2", "recovery");
    if (context_of(run, owner, &c) && vec_array(run, owner, "flow") >= 3) {
        yajl_val first = vec_at(owner, "flow", 0), response = vec_at(owner, "flow", 1),
                 again = vec_at(owner, "flow", 2);
        nacre_bytes plaintext = vec_hex(run, response, "plaintext");
        vec_recovery r = {
            .client_seq = vec_partial_iv_number(vec_hex(run, first, "partial_iv")),
            .server_seq = vec_partial_iv_number(vec_hex(run, response, "partial_iv")),
            .request1 = vec_hex(run, first, "message"),
            .response1 = vec_hex(run, response, "message"),
            .request2 = vec_hex(run, again, "message"),
            .request2_plain = plain_of_step(run, again),
        };
        if (plaintext.len < NACRE_ECHO_LEN) vec_differs(run, "plaintext: too short for an Echo value");
        else r.echo = nacre_bytes_of(plaintext.ptr + plaintext.len - NACRE_ECHO_LEN, NACRE_ECHO_LEN);
        vec_context server = { 0 };
        if (!run->bad) (void)vec_check_recovery(run, &server, &c.client, &r);
        vec_context_close(&server);
    } else vec_differs(run, "flow: too few steps");
    vec_end(run);
}

static void block_body(vec_run *run, yajl_val root)
{
    yajl_val owner = vec_get(run, root, "inner_block1_request_tag");
    vec_begin(run, "inner_block1_request_tag", "body");
    nacre_bytes body = vec_hex(run, owner, "body");
    size_t at = 0;
    for (size_t i = 0; i < vec_array(run, owner, "flow"); i++) {
        yajl_val step = vec_at(owner, "flow", i);
        nacre_message m;
        if (strcmp(vec_text(run, step, "kind"), "request") != 0) continue;
        if (!vec_parse(run, "the plain message", plain_of_step(run, step), &m)) break;
        if (m.payload.len > body.len - at) vec_differs(run, "body: the blocks are longer");
        else vec_same_bytes(run, "block", nacre_bytes_of(body.ptr + at, m.payload.len), m.payload);
        if (run->bad) break;
        at += m.payload.len;
    }
    if (!run->bad) vec_same_number(run, "length of all blocks", body.len, at);
    vec_end(run);
}

static bool is_origin_form(const nacre_option *opt)
{
    return opt->number != NACRE_OPT_PROXY_URI && opt->number != NACRE_OPT_URI_PATH &&
           opt->number != NACRE_OPT_URI_QUERY;
}

/* RFC 8613 4.1.3.3: protect splits the original Proxy-Uri; unprotect gives what became of it. */
static void check_proxy_uri(vec_run *run, yajl_val owner, const known_context *c)
{
    yajl_val request = vec_get(run, owner, "request");
    const char *text = vec_text(run, owner, "original_proxy_uri");
    nacre_message m;
    if (!vec_members(run, request, STEP_MEMBERS)) return;
    check_message(run, request, c, false);
    nacre_bytes split = plain_of_step(run, request);
    if (run->bad || !vec_parse(run, "the split request", split, &m)) return;
    nacre_buf buf = { NULL, m.options.len + strlen(text) + 8 };
    buf.ptr = vec_alloc(run, buf.cap);
    nacre_options o;
    nacre_options_init(&o, buf);
    add_all(&o, m.options, is_origin_form);
    nacre_options_add(&o, NACRE_OPT_PROXY_URI, nacre_bytes_of((const uint8_t *)text, strlen(text)));
    (void)vec_same_err(run, "writing options", NACRE_OK, nacre_options_finish(&o, &m.options));
    vec_check_request(run, &c->client, vec_partial_iv_number(vec_hex(run, request, "partial_iv")), NULL,
                      vec_write(run, &m), vec_hex(run, request, "message"), split);
}

static void proxy_uri(vec_run *run, yajl_val root)
{
    yajl_val owner = vec_get(run, root, "proxy_uri");
    known_context c;
    vec_begin(run, "proxy_uri", "request");
    check_context(run, owner);
    if (vec_members(run, owner, "original_proxy_uri context_client request") && context_of(run, owner, &c))
        check_proxy_uri(run, owner, &c);
    vec_end(run);
}

/* ---- Re-derivation, RFC 8613 B.2 ---- */
static const char *const b2_contexts[] = { "first (ID1=R1)", "second (R2||ID1)", "third (R2||R3)" };
enum { FIRST, SECOND, THIRD, NUM_B2_CONTEXTS };

typedef struct b2 {
    yajl_val owner;
    known_context contexts[NUM_B2_CONTEXTS];
    nacre_bytes r1, r2, r3;
} b2;

static nacre_bytes joined(vec_run *run, nacre_bytes a, nacre_bytes b)
{
    uint8_t *bytes = vec_alloc(run, a.len + b.len);
    memcpy(bytes, a.ptr, a.len);
    memcpy(bytes + a.len, b.ptr, b.len);
    return nacre_bytes_of(bytes, a.len + b.len);
}

/* The kid context field: a CBOR byte string of what is shorter than 24 bytes. */
static nacre_bytes wrapped(vec_run *run, nacre_bytes id)
{
    uint8_t *bytes = vec_alloc(run, 1 + id.len);
    bytes[0] = (uint8_t)(0x40 | id.len);
    memcpy(bytes + 1, id.ptr, id.len);
    return nacre_bytes_of(bytes, 1 + id.len);
}

static bool b2_open(vec_run *run, yajl_val root, b2 *b)
{
    b->owner = vec_get(run, root, "appendix_b_2");
    yajl_val contexts = vec_get(run, b->owner, "contexts_client");
    b->r1 = vec_hex(run, b->owner, "R1");
    b->r2 = vec_hex(run, b->owner, "R2");
    b->r3 = vec_hex(run, b->owner, "R3");
    if (b->r1.len != NACRE_REDERIVE_NONCE || b->r2.len != NACRE_REDERIVE_NONCE || b->r3.len != NACRE_REDERIVE_NONCE)
        vec_differs(run, "R1, R2, R3: not of 8 bytes");
    for (size_t i = 0; i < NUM_B2_CONTEXTS; i++)
        if (!context_named(run, contexts, b2_contexts[i], &b->contexts[i])) return false;
    return !run->bad;
}

static void b2_check_contexts(vec_run *run, yajl_val root)
{
    b2 b;
    vec_begin(run, "appendix_b_2", "contexts_client");
    yajl_val owner = vec_get(run, root, "appendix_b_2");
    if (vec_members(run, owner,
                    "R1 R2 R3 note contexts_client request_1 response_1 response_1_with_piv request_2 response_2") &&
        b2_open(run, root, &b)) {
        yajl_val contexts = vec_get(run, owner, "contexts_client"); /* all names were found: so there are no others */
        vec_same_number(run, "members of contexts_client", NUM_B2_CONTEXTS, contexts->u.object.len);
        (void)vec_text(run, owner, "note");
        nacre_bytes ids[] = { b.r1, joined(run, b.r2, b.r1), joined(run, b.r2, b.r3) };
        for (size_t i = 0; i < NUM_B2_CONTEXTS; i++) {
            vec_same_bytes(run, "id_context", ids[i], b.contexts[i].client.id_context);
            vec_check_derived(run, &b.contexts[i].client, &b.contexts[i].derived);
        }
    }
    vec_end(run);
}

/* Which context seals a message, which made the nonce of an answer without a Partial IV, and what the kid context field
 * holds. */
static const struct b2_message {
    const char *name;
    int sealed_by, nonce_of;
    bool request, r1, r2, r3;
} b2_messages[] = {
    { "request_1", FIRST, FIRST, true, true, false, false },
    { "response_1", SECOND, FIRST, false, false, true, false },
    { "response_1_with_piv", SECOND, SECOND, false, false, true, false },
    { "request_2", THIRD, THIRD, true, false, true, true },
    { "response_2", THIRD, THIRD, false, false, false, false },
};

static nacre_bytes b2_field(vec_run *run, const b2 *b, const struct b2_message *m)
{
    if (m->r1) return wrapped(run, b->r1);
    if (m->r3) return wrapped(run, joined(run, b->r2, b->r3));
    return m->r2 ? wrapped(run, b->r2) : NACRE_ABSENT;
}

static void b2_check_parts(vec_run *run, const b2 *b, const struct b2_message *m)
{
    yajl_val entry = vec_get(run, b->owner, m->name);
    if (!vec_members(run, entry, STEP_MEMBERS)) return;
    const known_context *c = &b->contexts[m->sealed_by];
    nacre_bytes local = vec_hex_or_null(run, entry, "partial_iv"), request_piv = vec_hex(run, entry, "request_piv");
    nacre_message outer;
    vec_parts p = {
        .alg = c->client.cose_aead,
        .common_iv = b->contexts[m->nonce_of].derived.common_iv,
        .id_piv = m->request || nacre_is_absent(local) ? c->client.sender_id : c->client.recipient_id,
        .nonce_piv = nacre_is_absent(local) ? request_piv : local,
        .request_kid = vec_hex(run, entry, "request_kid"),
        .request_piv = request_piv,
        .fields = { local, b2_field(run, b, m), m->request ? c->client.sender_id : NACRE_ABSENT },
        .key = m->request ? c->derived.sender_key : c->derived.recipient_key,
        .nonce = vec_hex(run, entry, "nonce"),
        .aad = vec_hex(run, entry, "aad"),
        .option = vec_hex(run, entry, "oscore_option"),
        .plaintext = vec_hex(run, entry, "plaintext"),
        .message = vec_hex(run, entry, "message"),
    };
    vec_same_text(run, "kind", vec_text(run, entry, "kind"), m->request ? "request" : "response");
    vec_same_bytes(run, "key", p.key, vec_hex(run, entry, "key"));
    vec_same_bytes(run, "request_kid", c->client.sender_id, p.request_kid);
    if (m->request) vec_same_bytes(run, "request_piv", local, request_piv);
    if (vec_parse(run, "message", p.message, &outer))
        vec_same_bytes(run, "ciphertext", vec_hex(run, entry, "ciphertext"), outer.payload);
    if (!run->bad) vec_check_parts(run, &p);
}

/* One end of the procedure: two places for contexts, which change their key rooms. */
typedef struct b2_end {
    nacre_context_params material;
    nacre_rederived derived, spare;
    void *keys[2];
    nacre_request_id id;
} b2_end;

static bool b2_end_open(vec_run *run, b2_end *end, nacre_context_params material)
{
    size_t size = 0, align = 1;
    memset(end, 0, sizeof *end);
    end->material = material;
    end->material.id_context = NACRE_ABSENT;
    if (!vec_same_err(run, "key room", NACRE_OK,
                      nacre_context_key_layout(run->crypto, material.cose_aead, &size, &align)))
        return false;
    for (size_t i = 0; i < 2; i++) end->keys[i] = aligned_alloc(align, (size + align - 1) / align * align);
    end->derived.key_buf = (nacre_buf){ end->keys[0], size };
    end->spare.key_buf = (nacre_buf){ end->keys[1], size };
    if (end->keys[0] != NULL && end->keys[1] != NULL) return true;
    vec_differs(run, "out of memory");
    return false;
}

static void b2_end_close(b2_end *end)
{
    nacre_context_wipe(&end->derived.context);
    nacre_context_wipe(&end->spare.context);
    free(end->keys[0]);
    free(end->keys[1]);
}

/* What a step is, parsed: its protected message, and its plain one. */
typedef struct b2_step {
    nacre_bytes datagram, plain_datagram;
    nacre_message outer, plain;
} b2_step;

static bool b2_step_of(vec_run *run, const b2 *b, const char *name, b2_step *step)
{
    yajl_val entry = vec_get(run, b->owner, name);
    step->datagram = vec_hex(run, entry, "message");
    step->plain_datagram = plain_of_step(run, entry);
    return !run->bad && vec_parse(run, name, step->datagram, &step->outer) &&
           vec_parse(run, "the plain message", step->plain_datagram, &step->plain);
}

static nacre_buf b2_buf(vec_run *run)
{
    enum { ENOUGH = 256 };
    nacre_buf buf = { vec_alloc(run, ENOUGH), ENOUGH };
    return buf;
}

static void b2_check_derived(vec_run *run, const b2 *b, const b2_end *end, int which)
{
    const known_context *c = &b->contexts[which];
    vec_same_bytes(run, "ID Context", c->client.id_context, nacre_context_id_context(&end->derived.context));
    vec_same_bytes(run, "Common IV", c->derived.common_iv, nacre_context_common_iv(&end->derived.context));
}

static void b2_client_sends(vec_run *run, const b2 *b, b2_end *client, const nacre_rederive_client *state,
                            const char *name)
{
    b2_step step;
    nacre_protect_options how = nacre_rederive_options(state);
    nacre_bytes out;
    if (b2_step_of(run, b, name, &step) &&
        vec_same_err(run, "protect_request", NACRE_OK,
                     nacre_protect_request(&client->derived.context, run->crypto, &client->id, &out, b2_buf(run),
                                           &step.plain, &how)))
        vec_same_bytes(run, name, step.datagram, out);
}

/* The client's way, up to request #2, with either form of response #1. */
static bool b2_client_goes(vec_run *run, const b2 *b, b2_end *client, const char *response)
{
    nacre_rederive_client state;
    b2_step step;
    if (!b2_end_open(run, client, b->contexts[FIRST].client) ||
        !vec_same_err(run, "begin", NACRE_OK,
                      nacre_rederive_begin(&state, &client->derived, run->crypto, &client->material, b->r1.ptr)))
        return false;
    b2_check_derived(run, b, client, FIRST);
    b2_client_sends(run, b, client, &state, "request_1");
    if (!b2_step_of(run, b, response, &step) ||
        !vec_same_err(
            run, response, NACRE_OK,
            nacre_rederive_response(&state, &client->derived, &client->spare, b2_buf(run),
                                    &(nacre_rederive_response_1){ run->crypto, &client->id, &step.outer, b->r3.ptr })))
        return false;
    b2_check_derived(run, b, client, THIRD);
    b2_client_sends(run, b, client, &state, "request_2");
    return !run->bad;
}

/* Request #1 is answered with the R2 of the vector, which is not one of nacre's making, in a response that has the nonce of
 * request #1: a server of nacre sends no other. */
static bool b2_server_offers(vec_run *run, const b2 *b, b2_end *server)
{
    b2_step request, response;
    nacre_bytes out;
    if (!b2_step_of(run, b, "request_1", &request) || !b2_step_of(run, b, "response_1", &response) ||
        !vec_same_err(run, "answer_1", NACRE_OK,
                      nacre__rederive_response_1(&server->spare, &out, b2_buf(run),
                                                 &(nacre_rederive_request_1){ .crypto = run->crypto,
                                                                              .material = &server->material,
                                                                              .outer = &request.outer,
                                                                              .header = &response.outer,
                                                                              .scratch = b2_buf(run) },
                                                 b->r2)))
        return false;
    vec_same_bytes(run, "response_1", response.datagram, out);
    vec_same_number(run, "code of response #1", NACRE_UNAUTHORIZED, response.plain.code);
    return !run->bad;
}

static bool b2_server_accepts(vec_run *run, const b2 *b, b2_end *server)
{
    b2_step request, response;
    nacre_message plain;
    nacre_bytes out;
    if (!b2_step_of(run, b, "request_2", &request) || !b2_step_of(run, b, "response_2", &response) ||
        !vec_same_err(
            run, "take_2", NACRE_OK,
            nacre__rederive_take_2(&server->derived, &server->spare, &server->id, &plain, b2_buf(run),
                                   &(nacre_rederive_request_2){ run->crypto, &server->material, &request.outer, 0 },
                                   joined(run, b->r2, b->r3))))
        return false;
    b2_check_derived(run, b, server, THIRD);
    vec_same_bytes(run, "request_2 unprotected", request.plain_datagram, vec_write(run, &plain));
    if (vec_same_err(run, "protect_response", NACRE_OK,
                     nacre_protect_response(&server->derived.context, run->crypto, &server->id, &out, b2_buf(run),
                                            &response.plain, NULL)))
        vec_same_bytes(run, "response_2", response.datagram, out);
    return !run->bad;
}

static void b2_client(vec_run *run, const b2 *b, const char *response)
{
    b2_end client = { 0 };
    b2_step last;
    nacre_message plain;
    if (b2_client_goes(run, b, &client, response) && b2_step_of(run, b, "response_2", &last) &&
        vec_same_err(run, "response_2", NACRE_OK,
                     nacre_unprotect_response(&client.derived.context, run->crypto, &client.id, &plain, NULL,
                                              b2_buf(run), &last.outer)))
        vec_same_bytes(run, "response_2 unprotected", last.plain_datagram, vec_write(run, &plain));
    b2_end_close(&client);
}

static void b2_server(vec_run *run, const b2 *b)
{
    b2_end server = { 0 };
    if (b2_end_open(run, &server, vec_swapped(b->contexts[FIRST].client)) && b2_server_offers(run, b, &server))
        (void)b2_server_accepts(run, b, &server);
    b2_end_close(&server);
}

static void rederivation(vec_run *run, yajl_val root)
{
    b2 b;
    b2_check_contexts(run, root);
    for (size_t i = 0; i < sizeof b2_messages / sizeof *b2_messages; i++) {
        vec_begin(run, "appendix_b_2", "%s", b2_messages[i].name);
        if (b2_open(run, root, &b)) b2_check_parts(run, &b, &b2_messages[i]);
        vec_end(run);
    }
    static const char *const responses[] = { "response_1", "response_1_with_piv" };
    for (size_t i = 0; i < 2; i++) {
        vec_begin(run, "appendix_b_2", "client, %s", responses[i]);
        if (b2_open(run, root, &b)) b2_client(run, &b, responses[i]);
        vec_end(run);
    }
    vec_begin(run, "appendix_b_2", "server");
    if (b2_open(run, root, &b)) b2_server(run, &b);
    vec_end(run);
}

static void skip_not_supported(vec_run *run, yajl_val root)
{
    for (size_t i = 0; i < sizeof not_supported / sizeof *not_supported; i++) {
        const char *section = not_supported[i].section;
        vec_begin(run, section, "%s", not_supported[i].id);
        if (YAJL_IS_OBJECT(vec_get(run, root, section))) {
            vec_skip(run, section, not_supported[i].id, not_supported[i].why);
            continue;
        }
        vec_differs(run, "not an object");
        vec_end(run);
    }
}

void vec_derived_json(vec_run *run, yajl_val root)
{
    vec_begin(run, "file", "members");
    (void)vec_members(run, root,
                      "source notes nonces all_aead observe echo_b_1_2 appendix_b_2 proxy_uri inner_block1_request_tag "
                      "edhoc_then_oscore kudos_draft14");
    vec_check_about(run, root);
    vec_end(run);
    vec_each(run, root, "nonces", nonce);
    vec_each(run, root, "all_aead", each_aead);
    flow(run, root, "observe", "context_client flow");
    flow(run, root, "echo_b_1_2", "context_client flow");
    recovery(run, root);
    rederivation(run, root);
    flow(run, root, "inner_block1_request_tag", "body context_client flow");
    block_body(run, root);
    proxy_uri(run, root);
    skip_not_supported(run, root);
}
