/* SPDX-License-Identifier: MIT */
/* derived: computed vectors: nonce edges, every AEAD, and the flows of Observe, Echo, Proxy-Uri and inner block-wise.
 * Messages come without their plain form: it is put together from plaintext and outer options. */
#include "vectors.h"

#include <string.h>

/* What this runner knows by name and nacre does not support yet. Nothing else is ever skipped. */
static const struct {
    const char *section, *id, *why;
} not_supported[] = {
    { "appendix_b_2", "-", "re-derivation by RFC 8613 B.2" },
    { "edhoc_then_oscore", "-", "EDHOC" },
    { "kudos_draft14", "-", "KUDOS" },
};

/* ---- nonces ---- */
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

static bool context_of(vec_run *run, yajl_val owner, known_context *c)
{
    yajl_val entry = vec_get(run, owner, "context_client");
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

    nacre_room room = { NULL, outer->options.len + inner.options.len + 16 };
    room.ptr = vec_alloc(run, room.cap);
    nacre_options o;
    nacre_options_init(&o, room);
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
    nacre_bytes own = vec_hex_or_null(run, entry, "partial_iv");
    vec_parts p = {
        .alg = c->client.cose_aead,
        .common_iv = c->derived.common_iv,
        .id_piv = nacre_is_absent(own) || request ? c->client.sender_id : c->client.recipient_id,
        .nonce_piv = nacre_is_absent(own) ? vec_hex(run, entry, "request_piv") : own,
        .request_kid = vec_hex(run, entry, "request_kid"),
        .request_piv = vec_hex(run, entry, "request_piv"),
        .fields = { own, request ? c->client.id_context : NACRE_ABSENT, request ? c->client.sender_id : NACRE_ABSENT },
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
    nacre_bytes own = vec_hex_or_null(run, entry, "partial_iv"), request_piv = vec_hex(run, entry, "request_piv");
    if (request) {
        vec_same_bytes(run, "request_piv", own, request_piv);
        vec_check_request(run, &c->client, vec_partial_iv_number(own), NULL, protects ? plain : NACRE_ABSENT, datagram,
                          plain);
        return;
    }
    vec_response r = {
        .request_piv = request_piv,
        .partial_iv = own,
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
        yajl_val first = vec_at(owner, "flow", 0), answer = vec_at(owner, "flow", 1), again = vec_at(owner, "flow", 2);
        nacre_bytes plaintext = vec_hex(run, answer, "plaintext");
        vec_recovery r = {
            .client_seq = vec_partial_iv_number(vec_hex(run, first, "partial_iv")),
            .server_seq = vec_partial_iv_number(vec_hex(run, answer, "partial_iv")),
            .request1 = vec_hex(run, first, "message"),
            .response1 = vec_hex(run, answer, "message"),
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

static bool is_not_proxied(const nacre_option *opt)
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
    nacre_room room = { NULL, m.options.len + strlen(text) + 8 };
    room.ptr = vec_alloc(run, room.cap);
    nacre_options o;
    nacre_options_init(&o, room);
    add_all(&o, m.options, is_not_proxied);
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
    flow(run, root, "inner_block1_request_tag", "body context_client flow");
    block_body(run, root);
    proxy_uri(run, root);
    skip_not_supported(run, root);
}
