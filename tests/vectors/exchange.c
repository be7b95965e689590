/* SPDX-License-Identifier: MIT */
/* exchange: contexts made of a vector's input, and messages sent through protect and unprotect in both directions. */
#include "vectors.h"

#include <context/derive.h>
#include <stdlib.h>
#include <string.h>

bool vec_context_open(vec_run *run, vec_context *c, const nacre_context_params *params)
{
    memset(c, 0, sizeof *c);
    size_t size, align;
    if (!vec_same_err(run, "room for the keys", NACRE_OK,
                      nacre_context_key_layout(run->crypto, params->cose_aead, &size, &align)))
        return false;
    size_t cap = (size / align + 1) * align;
    c->keys = aligned_alloc(align, cap);
    nacre_buf buf = { c->keys, cap };
    return vec_same_err(run, "making the context", NACRE_OK, nacre_context_init(&c->ctx, run->crypto, params, buf));
}

void vec_context_close(vec_context *c)
{
    nacre_context_wipe(&c->ctx);
    free(c->keys);
    memset(c, 0, sizeof *c);
}

nacre_context_params vec_swapped(nacre_context_params params)
{
    nacre_bytes id = params.sender_id;
    params.sender_id = params.recipient_id;
    params.recipient_id = id;
    return params;
}

nacre_context_params vec_from(nacre_context_params params, uint64_t next_seq)
{
    params.next_seq = next_seq;
    return params;
}

bool vec_hash_of_hkdf(vec_run *run, yajl_val object, nacre_hash *hash)
{
    static const struct {
        const char *name;
        nacre_hash hash;
    } names[] = { { "HKDF SHA-256", NACRE_SHA256 },
                  { "HKDF SHA-384", NACRE_SHA384 },
                  { "HKDF SHA-512", NACRE_SHA512 } };
    const char *text = vec_text(run, object, "hkdf");
    *hash = NACRE_SHA256;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i].name) == 0) {
            *hash = names[i].hash;
            return true;
        }
    vec_differs(run, "hkdf: \"%s\" is not known", text);
    return false;
}

nacre_context_params vec_params(vec_run *run, yajl_val object, const char *alg, const char *sender,
                                const char *recipient, nacre_hash hash)
{
    uint64_t number = vec_uint(run, object, alg);
    if (number == 0 || number > INT16_MAX) vec_differs(run, "%s: no AEAD algorithm", alg);
    nacre_context_params params = {
        .cose_aead = number > INT16_MAX ? -1 : (int)number,
        .hash = hash,
        .master_secret.bytes = vec_hex(run, object, "master_secret"),
        .master_salt = vec_hex_or_null(run, object, "master_salt"),
        .id_context = vec_hex_or_null(run, object, "id_context"),
        .sender_id = vec_hex(run, object, sender),
        .recipient_id = vec_hex(run, object, recipient),
    };
    return params;
}

/* check_derivation compares info and what HKDF makes of it. */
static void check_derivation(vec_run *run, const nacre_context_params *params, nacre_bytes id, const char *type,
                             nacre_bytes expected_info, nacre_bytes expected)
{
    uint8_t info[NACRE_MAX_INFO];
    size_t len = nacre__info(info, id, params->id_context, params->cose_aead, type, expected.len);
    if (!nacre_is_absent(expected_info)) vec_same_bytes(run, "info", expected_info, nacre_bytes_of(info, len));
    nacre_buf out = { vec_alloc(run, expected.len), expected.len };
    if (vec_same_err(run, "HKDF", NACRE_OK,
                     nacre_hkdf(run->crypto, params->hash, params->master_secret.bytes, params->master_salt,
                                nacre_bytes_of(info, len), out.ptr, out.cap)))
        vec_same_bytes(run, type, expected, nacre_bytes_of(out.ptr, out.cap));
}

/* probe makes by hand the smallest protected request: GET without options, Partial IV 0. What protect makes must equal
 * it, and unprotect must take it, only if the context holds the right keys. */
static nacre_bytes probe(vec_run *run, const nacre_context_params *params, nacre_bytes id, nacre_bytes key,
                         nacre_bytes common_iv)
{
    static const uint8_t zero[1], get[1] = { NACRE_GET };
    nacre_bytes piv = NACRE_ARRAY(zero);
    uint8_t aad[32], option[1 + 1 + NACRE_MAX_ID] = { 0x09, 0 }, alg = (uint8_t)params->cose_aead;
    if (id.len > NACRE_MAX_ID) return NACRE_ABSENT;
    static const uint8_t head[] = { 0x83, 0x68, 'E', 'n', 'c', 'r', 'y', 'p', 't', '0', 0x40 };
    memcpy(aad, head, sizeof head);
    size_t at = sizeof head + 1; /* behind the head of aad_array's byte string */
    memcpy(aad + at, "\x85\x01\x81", 3), at += 3;
    if (alg >= 24) aad[at++] = 0x18;
    aad[at++] = alg;
    aad[at++] = (uint8_t)(0x40 + id.len);
    memcpy(aad + at, id.ptr, id.len), at += id.len;
    memcpy(aad + at, "\x41\x00\x40", 3), at += 3;
    aad[sizeof head] = (uint8_t)(0x40 + (at - sizeof head - 1));
    memcpy(option + 2, id.ptr, id.len);

    nacre_bytes sealed = vec_seal(run, params->cose_aead, key, vec_nonce(run, params->cose_aead, common_iv, id, piv),
                                  nacre_bytes_of(aad, at), NACRE_ARRAY(get));
    uint8_t *option_bytes = vec_alloc(run, 1 + 2 + id.len);
    option_bytes[0] = (uint8_t)(0x92 + id.len);
    memcpy(option_bytes + 1, option, 2 + id.len);
    nacre_message m = {
        .type = NACRE_CON, .code = NACRE_POST, .mid = 0x1234, .options = { option_bytes, 3 + id.len }, .payload = sealed
    };
    return vec_write(run, &m);
}

static void check_context_keys(vec_run *run, const nacre_context_params *params, const vec_derived *expected)
{
    vec_context c;
    if (vec_context_open(run, &c, params)) {
        vec_same_bytes(run, "the context's Common IV", expected->common_iv, nacre_context_common_iv(&c.ctx));
        nacre_message get = { .type = NACRE_CON, .code = NACRE_GET, .mid = 0x1234 };
        nacre_protect_options bare = { .kid_context_choice = NACRE_KID_CONTEXT_NEVER };
        nacre_request_id id;
        nacre_bytes out;
        nacre_bytes sent = probe(run, params, params->sender_id, expected->sender_key, expected->common_iv);
        nacre_buf buf = { vec_alloc(run, 64), 64 };
        if (vec_same_err(run, "protecting with the Sender Key", NACRE_OK,
                         nacre_protect_request(&c.ctx, run->crypto, &id, &out, buf, &get, &bare)))
            vec_same_bytes(run, "message under the Sender Key", sent, out);
        nacre_bytes received = probe(run, params, params->recipient_id, expected->recipient_key, expected->common_iv);
        nacre_message outer, plain;
        if (vec_parse(run, "the probe", received, &outer))
            (void)vec_same_err(run, "unprotecting with the Recipient Key", NACRE_OK,
                               nacre_unprotect_request(&c.ctx, run->crypto, &id, &plain, buf, &outer));
    }
    vec_context_close(&c);
}

void vec_check_derived(vec_run *run, const nacre_context_params *params, const vec_derived *expected)
{
    if (params->id_context.len > 255 || params->sender_id.len > NACRE_MAX_ID ||
        params->recipient_id.len > NACRE_MAX_ID) {
        vec_differs(run, "an ID longer than any context takes");
        return;
    }
    static const uint8_t none[1];
    nacre_bytes empty = { none, 0 };
    check_derivation(run, params, params->sender_id, "Key", expected->info_sender_key, expected->sender_key);
    check_derivation(run, params, params->recipient_id, "Key", expected->info_recipient_key, expected->recipient_key);
    check_derivation(run, params, empty, "IV", expected->info_common_iv, expected->common_iv);
    check_context_keys(run, params, expected);
}

bool vec_parse(vec_run *run, const char *what, nacre_bytes datagram, nacre_message *m)
{
    nacre_err err = nacre_message_parse(m, datagram);
    if (!err) return true;
    vec_differs(run, "%s: %s", what, nacre_err_name(err));
    return false;
}

nacre_bytes vec_write(vec_run *run, const nacre_message *m)
{
    nacre_buf buf = { NULL, nacre_message_size(m) };
    buf.ptr = vec_alloc(run, buf.cap);
    nacre_bytes out = NACRE_ABSENT;
    (void)vec_same_err(run, "writing a message", NACRE_OK, nacre_message_write(m, &out, buf));
    return out;
}

bool vec_is_observe(const nacre_option *opt)
{
    return opt->number == NACRE_OPT_OBSERVE;
}

nacre_bytes vec_without(vec_run *run, const nacre_message *m, bool (*drop)(const nacre_option *opt))
{
    nacre_buf buf = { NULL, m->options.len + 8 }; /* a delta that spans a dropped option may take two bytes more */
    buf.ptr = vec_alloc(run, buf.cap);
    nacre_options kept;
    nacre_options_init(&kept, buf);
    nacre_option opt;
    for (nacre_option_iter it = nacre_option_begin(m->options); nacre_option_next(&it, &opt);)
        if (!drop(&opt)) nacre_options_add(&kept, opt.number, opt.value);
    nacre_message copy = *m;
    if (!vec_same_err(run, "writing options", NACRE_OK, nacre_options_finish(&kept, &copy.options)))
        return NACRE_ABSENT;
    return vec_write(run, &copy);
}

static nacre_buf buf_of(vec_run *run, size_t len)
{
    nacre_buf buf = { vec_alloc(run, len), len };
    return buf;
}

static bool protect_request(vec_run *run, vec_context *c, nacre_request_id *id, nacre_bytes *out, nacre_bytes plain,
                            const nacre_protect_options *options)
{
    nacre_message m;
    if (!vec_parse(run, "the plain request", plain, &m)) return false;
    nacre_buf buf = buf_of(run, nacre_protect_size(&c->ctx, &m, options));
    return vec_same_err(run, "protect_request", NACRE_OK,
                        nacre_protect_request(&c->ctx, run->crypto, id, out, buf, &m, options));
}

static bool protect_response(vec_run *run, vec_context *c, nacre_request_id *id, nacre_bytes *out, nacre_bytes plain,
                             const nacre_protect_options *options)
{
    nacre_message m;
    if (!vec_parse(run, "the plain response", plain, &m)) return false;
    nacre_buf buf = buf_of(run, nacre_protect_size(&c->ctx, &m, options));
    return vec_same_err(run, "protect_response", NACRE_OK,
                        nacre_protect_response(&c->ctx, run->crypto, id, out, buf, &m, options));
}

static nacre_err unprotect_request(vec_run *run, vec_context *c, nacre_request_id *id, nacre_message *plain,
                                   nacre_bytes datagram)
{
    nacre_message outer;
    if (!vec_parse(run, "the protected request", datagram, &outer)) return NACRE_ERR_MALFORMED;
    return nacre_unprotect_request(&c->ctx, run->crypto, id, plain, buf_of(run, datagram.len), &outer);
}

static nacre_err unprotect_response(vec_run *run, vec_context *c, const nacre_request_id *id, nacre_message *plain,
                                    nacre_response_info *info, nacre_bytes datagram)
{
    nacre_message outer;
    if (!vec_parse(run, "the protected response", datagram, &outer)) return NACRE_ERR_MALFORMED;
    return nacre_unprotect_response(&c->ctx, run->crypto, id, plain, info, buf_of(run, datagram.len), &outer);
}

bool vec_exchange_open(vec_run *run, vec_exchange *x, const nacre_context_params *client, uint64_t request_piv,
                       uint64_t server_next_seq)
{
    static const uint8_t get[] = { 0x40, NACRE_GET, 0x12, 0x34 };
    memset(x, 0, sizeof *x);
    nacre_context_params at_client = vec_from(*client, request_piv);
    nacre_context_params at_server = vec_from(vec_swapped(*client), server_next_seq);
    nacre_bytes datagram;
    nacre_message plain;
    return vec_context_open(run, &x->client, &at_client) && vec_context_open(run, &x->server, &at_server) &&
           protect_request(run, &x->client, &x->at_client, &datagram, NACRE_ARRAY(get), NULL) &&
           vec_same_err(run, "unprotecting the request answered", NACRE_OK,
                        unprotect_request(run, &x->server, &x->at_server, &plain, datagram));
}

void vec_exchange_close(vec_exchange *x)
{
    vec_context_close(&x->client);
    vec_context_close(&x->server);
}

void vec_check_request(vec_run *run, const nacre_context_params *client, uint64_t seq,
                       const nacre_protect_options *options, nacre_bytes plain, nacre_bytes datagram,
                       nacre_bytes unprotected)
{
    vec_context c = { 0 }, s = { 0 };
    nacre_context_params at_client = vec_from(*client, seq), at_server = vec_swapped(*client);
    nacre_request_id id;
    nacre_bytes out;
    nacre_message m;
    if (!nacre_is_absent(plain) && vec_context_open(run, &c, &at_client)) {
        if (protect_request(run, &c, &id, &out, plain, options)) vec_same_bytes(run, "protected", datagram, out);
        vec_same_number(run, "next sequence number", seq + 1, nacre_context_next_seq(&c.ctx));
    }
    if (vec_context_open(run, &s, &at_server) &&
        vec_same_err(run, "unprotect_request", NACRE_OK, unprotect_request(run, &s, &id, &m, datagram)))
        vec_same_bytes(run, "unprotected", unprotected, vec_write(run, &m));
    vec_context_close(&c);
    vec_context_close(&s);
}

static void check_received(vec_run *run, vec_exchange *x, const vec_response *r, nacre_bytes datagram)
{
    nacre_message m;
    nacre_response_info info = { 0 };
    if (!vec_same_err(run, "unprotect_response", NACRE_OK,
                      unprotect_response(run, &x->client, &x->at_client, &m, &info, datagram)))
        return;
    vec_same_bytes(run, "unprotected", r->unprotected, vec_without(run, &m, vec_is_observe));
    vec_same_number(run, "has Observe", r->has_observe,
                    !nacre_is_absent(nacre_option_find(m.options, NACRE_OPT_OBSERVE)));
    vec_same_number(run, "has a Partial IV", !nacre_is_absent(r->partial_iv), info.has_partial_iv);
    if (info.has_partial_iv) vec_same_number(run, "Partial IV", vec_partial_iv_number(r->partial_iv), info.partial_iv);
}

void vec_check_response(vec_run *run, const nacre_context_params *client, const vec_response *r)
{
    bool has_piv = !nacre_is_absent(r->partial_iv);
    uint64_t seq = has_piv ? vec_partial_iv_number(r->partial_iv) : 0;
    vec_exchange x;
    nacre_bytes out;
    nacre_protect_options options = { .nonce = has_piv ? NACRE_NONCE_NEW : NACRE_NONCE_REQUEST,
                                      .send_kid = r->send_kid };
    if (vec_exchange_open(run, &x, client, vec_partial_iv_number(r->request_piv), seq)) {
        if (protect_response(run, &x.server, &x.at_server, &out, r->plain, &options))
            vec_same_bytes(run, "protected", r->datagram, out);
        vec_same_number(run, "next sequence number", seq + (has_piv ? 1 : 0), nacre_context_next_seq(&x.server.ctx));
        check_received(run, &x, r, r->datagram);
        if (!nacre_is_absent(r->received)) check_received(run, &x, r, r->received);
    }
    vec_exchange_close(&x);
}

/* options_as_sent: whether a request carries the kid context is its own business; do as the vector does. */
static nacre_protect_options options_as_sent(vec_run *run, nacre_bytes datagram)
{
    nacre_protect_options options = { .kid_context_choice = NACRE_KID_CONTEXT_NEVER };
    nacre_message m;
    nacre_oscore_option opt;
    if (vec_parse(run, "the request", datagram, &m) &&
        vec_same_err(run, "the request's option", NACRE_OK, nacre_verify_start(&opt, &m)) &&
        !nacre_is_absent(opt.kid_context))
        options.kid_context_choice = NACRE_KID_CONTEXT_AUTO;
    return options;
}

/* RFC 8613 B.1.2: the request whose window is not known is answered 4.01 with Echo and its own Partial IV. */
static bool first_half(vec_run *run, vec_context *client, vec_context *server, const vec_recovery *r)
{
    static const uint8_t get[] = { 0x40, NACRE_GET, 0x12, 0x34 };
    nacre_request_id at_client, at_server;
    nacre_bytes out;
    nacre_message m, header;
    nacre_buf buf = buf_of(run, r->response1.len);
    if (!protect_request(run, client, &at_client, &out, NACRE_ARRAY(get), NULL) ||
        !vec_parse(run, "response1", r->response1, &header) ||
        !vec_same_err(run, "request1", NACRE_ERR_REPLAY_ECHO,
                      unprotect_request(run, server, &at_server, &m, r->request1)) ||
        !vec_same_err(run, "protect_echo", NACRE_OK,
                      nacre_protect_echo(&server->ctx, run->crypto, &at_server, &out, buf, &header)))
        return false;
    vec_same_bytes(run, "response1", r->response1, out);
    if (!vec_same_err(run, "response1 at the client", NACRE_OK,
                      unprotect_response(run, client, &at_client, &m, NULL, r->response1)))
        return false;
    vec_same_number(run, "code of response1", NACRE_UNAUTHORIZED, m.code);
    vec_same_bytes(run, "Echo in response1", r->echo, nacre_option_find(m.options, NACRE_OPT_ECHO));
    vec_same_number(run, "payload of response1", 0, m.payload.len);
    return true;
}

static bool second_half(vec_run *run, vec_context *client, vec_context *server, const vec_recovery *r)
{
    nacre_request_id at_client, at_server;
    nacre_protect_options options = options_as_sent(run, r->request2);
    nacre_bytes out;
    nacre_message m;
    if (!protect_request(run, client, &at_client, &out, r->request2_plain, &options)) return false;
    vec_same_bytes(run, "request2", r->request2, out);
    if (!vec_same_err(run, "request2 at the server", NACRE_OK,
                      unprotect_request(run, server, &at_server, &m, r->request2)))
        return false;
    vec_same_bytes(run, "request2 unprotected", r->request2_plain, vec_write(run, &m));
    if (nacre_is_absent(r->response2)) return true;
    if (!protect_response(run, server, &at_server, &out, r->response2_plain, NULL)) return false;
    vec_same_bytes(run, "response2", r->response2, out);
    if (!vec_same_err(run, "response2 at the client", NACRE_OK,
                      unprotect_response(run, client, &at_client, &m, NULL, r->response2)))
        return false;
    vec_same_bytes(run, "response2 unprotected", r->response2_plain, vec_write(run, &m));
    return true;
}

bool vec_check_recovery(vec_run *run, vec_context *server, const nacre_context_params *client, const vec_recovery *r)
{
    vec_context c = { 0 };
    nacre_context_params at_client = vec_from(*client, r->client_seq);
    nacre_context_params at_server = vec_from(vec_swapped(*client), r->server_seq);
    at_server.echo = r->echo;
    memset(server, 0, sizeof *server);
    bool done = vec_context_open(run, &c, &at_client) && vec_context_open(run, server, &at_server) &&
                vec_same_err(run, "forgetting the window", NACRE_OK,
                             nacre_context_set_replay(&server->ctx, false, 0, NULL, 0)) &&
                first_half(run, &c, server, r) && second_half(run, &c, server, r);
    vec_context_close(&c);
    return done;
}
