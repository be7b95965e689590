/* SPDX-License-Identifier: MIT */
/* oscore_vectors_1: files of the format "oscore-vectors-1": contexts, positive and negative messages, Echo recovery,
 * replay windows. The oracle differs from RFC 8613 in places; the files name each, and here the RFC's side is taken. */
#include "vectors.h"

#include <stdlib.h>
#include <string.h>

/* ---- contexts ---- */
static nacre_context_params params_of(vec_run *run, yajl_val context)
{
    nacre_hash hash = NACRE_SHA256;
    const char *name = vec_text(run, context, "hash");
    if (!nacre_hash_by_name(name, &hash)) vec_differs(run, "hash: \"%s\" is not known", name);
    return vec_params(run, context, "cose_alg", "client_id", "server_id", hash);
}

static void context(vec_run *run, yajl_val root, yajl_val entry)
{
    if (!vec_members(run, entry,
                     "id algorithm cose_alg key_bytes iv_bytes tag_bytes hash master_secret master_salt id_context "
                     "client_id server_id client_key server_key common_iv info_client_key info_server_key "
                     "info_common_iv"))
        return;
    nacre_context_params client = params_of(run, entry);
    const nacre_aead *aead = nacre_aead_by_number(client.cose_aead);
    uint64_t id = vec_uint(run, entry, "id");
    if (vec_at(root, "contexts", (size_t)id) != entry) vec_differs(run, "id: is not its place in the list");
    if (!aead) vec_differs(run, "no AEAD algorithm %d", client.cose_aead);
    if (run->bad) return;
    const char *name = vec_text(run, entry, "algorithm");
    vec_same_text(run, "algorithm", name, aead->name);
    if (nacre_aead_by_name(name) != aead) vec_differs(run, "algorithm: not found by its name");
    vec_same_number(run, "key_bytes", vec_uint(run, entry, "key_bytes"), aead->key_len);
    vec_same_number(run, "iv_bytes", vec_uint(run, entry, "iv_bytes"), aead->nonce_len);
    vec_same_number(run, "tag_bytes", vec_uint(run, entry, "tag_bytes"), aead->tag_len);
    vec_derived expected = { vec_hex(run, entry, "info_client_key"), vec_hex(run, entry, "info_server_key"),
                             vec_hex(run, entry, "info_common_iv"),  vec_hex(run, entry, "client_key"),
                             vec_hex(run, entry, "server_key"),      vec_hex(run, entry, "common_iv") };
    if (!run->bad) vec_check_derived(run, &client, &expected);
    nacre_context_params server = vec_swapped(client);
    nacre_bytes key = expected.sender_key, info = expected.info_sender_key;
    expected.sender_key = expected.recipient_key, expected.info_sender_key = expected.info_recipient_key;
    expected.recipient_key = key, expected.info_recipient_key = info;
    if (!run->bad) vec_check_derived(run, &server, &expected);
}

/* client_of gives the client's parameters of the context that an entry names; NULL entry after a difference. */
static yajl_val client_of(vec_run *run, yajl_val root, yajl_val entry, nacre_context_params *client)
{
    yajl_val found = vec_at(root, "contexts", (size_t)vec_uint(run, entry, "context"));
    if (!found) vec_differs(run, "context: not in the list");
    else *client = params_of(run, found);
    return run->bad ? NULL : found;
}

/* ---- positive ---- */
static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0) return true;
    return false;
}

static nacre_bytes expected_datagram(vec_run *run, yajl_val entry)
{
    static const char *const known[] = { "Uri-Port kept outer", "Proxy-Scheme kept outer", "outer code 2.04", NULL };
    if (vec_has(entry, "differs") != vec_has(entry, "protected_rfc8613"))
        vec_differs(run, "differs and protected_rfc8613 go together");
    if (!vec_has(entry, "differs")) return vec_hex(run, entry, "protected");
    for (size_t i = 0; i < vec_array(run, entry, "differs"); i++) {
        yajl_val v = vec_at(entry, "differs", i);
        if (!YAJL_IS_STRING(v) || !is_one_of(YAJL_GET_STRING(v), known)) vec_differs(run, "differs: not understood");
    }
    return vec_hex(run, entry, "protected_rfc8613");
}

static void check_parts(vec_run *run, yajl_val entry, yajl_val context_entry, nacre_bytes datagram,
                        const nacre_context_params *client, nacre_bytes request_kid, nacre_bytes request_piv)
{
    bool request = vec_has(entry, "kid_context_sent");
    bool has_piv = request || vec_bool(run, entry, "own_partial_iv");
    uint64_t number = has_piv ? vec_uint(run, entry, "sequence_number") : 0;
    vec_parts p = {
        .alg = client->cose_aead,
        .common_iv = vec_hex(run, context_entry, "common_iv"),
        .id_piv = !has_piv || request ? client->sender_id : client->recipient_id,
        .nonce_piv = has_piv ? vec_partial_iv(run, number) : request_piv,
        .request_kid = request_kid,
        .request_piv = request_piv,
        .fields = { has_piv ? vec_partial_iv(run, number) : NACRE_ABSENT, NACRE_ABSENT, NACRE_ABSENT },
        .key = vec_hex(run, context_entry, request ? "client_key" : "server_key"),
        .nonce = vec_hex(run, entry, "nonce"),
        .aad = vec_hex(run, entry, "aad"),
        .option = vec_hex(run, entry, "oscore_option"),
        .plaintext = vec_hex(run, entry, "inner"),
        .message = datagram,
    };
    if (request) {
        p.fields.kid = client->sender_id;
        if (vec_bool(run, entry, "kid_context_sent")) p.fields.kid_context = client->id_context;
    } else {
        if (vec_bool(run, entry, "kid_sent")) p.fields.kid = client->recipient_id;
    }
    nacre_bytes external = vec_hex(run, entry, "external_aad");
    if (external.len >= p.aad.len) vec_differs(run, "external_aad: longer than the AAD");
    else
        vec_same_bytes(run, "external_aad", external,
                       nacre_bytes_of(p.aad.ptr + p.aad.len - external.len, external.len));
    if (!run->bad) vec_check_parts(run, &p);
}

/* The oracle does not give back the outer options, nor an Observe of 1 (RFC 8613 8.2 step 7 keeps them). */
static bool lost_by_oracle(const nacre_option *opt)
{
    uint64_t value;
    if (vec_is_observe(opt)) return !nacre_option_uint(opt->value, &value) || value != 0;
    return opt->number == NACRE_OPT_URI_HOST || opt->number == NACRE_OPT_URI_PORT ||
           opt->number == NACRE_OPT_PROXY_SCHEME;
}

static bool not_sent_by_oracle(const nacre_option *opt)
{
    return opt->number == NACRE_OPT_URI_PORT || opt->number == NACRE_OPT_PROXY_SCHEME;
}

static void positive_request(vec_run *run, yajl_val root, yajl_val entry)
{
    nacre_context_params client;
    yajl_val context_entry = client_of(run, root, entry, &client);
    if (!context_entry) return;
    nacre_bytes plain = vec_hex(run, entry, "plain"), datagram = expected_datagram(run, entry);
    uint64_t seq = vec_uint(run, entry, "sequence_number");
    nacre_bytes piv = vec_hex(run, entry, "partial_iv");
    vec_same_bytes(run, "partial_iv", vec_partial_iv(run, seq), piv);
    nacre_protect_options bare = { .kid_context_choice = NACRE_KID_CONTEXT_NEVER };
    bool with_kid_context = vec_bool(run, entry, "kid_context_sent");
    if (with_kid_context && nacre_is_absent(client.id_context)) vec_differs(run, "kid_context_sent: there is none");
    if (run->bad) return;
    check_parts(run, entry, context_entry, datagram, &client, client.sender_id, piv);
    vec_check_request(run, &client, seq, with_kid_context ? NULL : &bare, plain, datagram, plain);
    nacre_message m;
    if (vec_parse(run, "plain", plain, &m)) /* so that what the oracle gave back is what was compared above */
        vec_same_bytes(run, "unprotected", vec_hex(run, entry, "unprotected"), vec_without(run, &m, lost_by_oracle));
    if (!vec_has(entry, "differs") || !vec_parse(run, "plain", plain, &m)) return;
    vec_check_request(run, &client, seq, NULL, NACRE_ABSENT, vec_hex(run, entry, "protected"),
                      vec_without(run, &m, not_sent_by_oracle)); /* other outer bytes, the same request */
}

/* with_observe gives the plain response as protect wants it: its Observe option has the value to be sent outside. */
static nacre_bytes with_observe(vec_run *run, nacre_bytes plain, uint64_t outer)
{
    nacre_message m;
    if (!vec_parse(run, "plain", plain, &m)) return plain;
    nacre_buf buf = { NULL, m.options.len + 8 };
    buf.ptr = vec_alloc(run, buf.cap);
    nacre_options o;
    nacre_options_init(&o, buf);
    nacre_option opt;
    for (nacre_option_iter it = nacre_option_begin(m.options); nacre_option_next(&it, &opt);) {
        if (vec_is_observe(&opt)) nacre_options_add_uint(&o, NACRE_OPT_OBSERVE, outer);
        else nacre_options_add(&o, opt.number, opt.value);
    }
    (void)vec_same_err(run, "writing options", NACRE_OK, nacre_options_finish(&o, &m.options));
    return vec_write(run, &m);
}

static void check_observe_reported(vec_run *run, yajl_val entry, uint64_t seq, bool has_piv)
{
    if (vec_is_null(entry, "outer_observe") != vec_is_null(entry, "observe_reported"))
        vec_differs(run, "outer_observe and observe_reported go together");
    yajl_val v = vec_get(run, entry, "observe_reported");
    if (has_piv && !YAJL_IS_NULL(v))
        vec_same_number(run, "observe_reported", seq, vec_uint_of(run, v, "observe_reported"));
    else if (!YAJL_IS_NULL(v) && !(YAJL_IS_NUMBER(v) && strcmp(YAJL_GET_NUMBER(v), "-1") == 0))
        vec_differs(run, "observe_reported: -1 is expected without a Partial IV");
}

static void positive_response(vec_run *run, yajl_val root, yajl_val entry)
{
    nacre_context_params client;
    yajl_val context_entry = client_of(run, root, entry, &client), request = vec_get(run, entry, "request");
    if (!context_entry || !vec_members(run, request, "kid partial_iv outer_code")) return;
    bool has_piv = vec_bool(run, entry, "own_partial_iv");
    uint64_t seq = has_piv ? vec_uint(run, entry, "sequence_number") : 0;
    if (!has_piv && !vec_is_null(entry, "sequence_number")) vec_differs(run, "sequence_number: not null");
    const char *outer_code = vec_text(run, request, "outer_code");
    if (strcmp(outer_code, "0.02") != 0 && strcmp(outer_code, "0.05") != 0) vec_differs(run, "outer_code: not known");
    vec_same_bytes(run, "the client's ID", client.sender_id, vec_hex(run, request, "kid"));
    vec_response r = {
        .request_piv = vec_hex(run, request, "partial_iv"),
        .partial_iv = has_piv ? vec_partial_iv(run, seq) : NACRE_ABSENT,
        .send_kid = vec_bool(run, entry, "kid_sent"),
        .plain = vec_hex(run, entry, "plain"),
        .datagram = expected_datagram(run, entry),
        .unprotected = vec_hex(run, entry, "unprotected"),
        .has_observe = !vec_is_null(entry, "outer_observe"),
    };
    if (vec_has(entry, "differs")) r.received = vec_hex(run, entry, "protected");
    if (r.has_observe) r.plain = with_observe(run, r.plain, vec_uint(run, entry, "outer_observe"));
    check_observe_reported(run, entry, seq, has_piv);
    if (run->bad) return;
    check_parts(run, entry, context_entry, r.datagram, &client, client.sender_id, r.request_piv);
    vec_check_response(run, &client, &r);
}

static void positive(vec_run *run, yajl_val root, yajl_val entry)
{
    static const char request[] = "name type context sequence_number partial_iv kid_context_sent plain inner "
                                  "external_aad aad nonce oscore_option protected protected_rfc8613? differs? "
                                  "unprotected";
    static const char response[] = "name type context request own_partial_iv sequence_number kid_sent plain inner "
                                   "external_aad aad nonce oscore_option protected protected_rfc8613? differs? "
                                   "unprotected outer_observe observe_reported";
    const char *type = vec_text(run, entry, "type");
    bool is_request = strcmp(type, "request") == 0;
    if (!is_request && strcmp(type, "response") != 0) vec_differs(run, "type: neither request nor response");
    if (!vec_members(run, entry, is_request ? request : response)) return;
    (void)vec_text(run, entry, "name");
    if (is_request) positive_request(run, root, entry);
    else positive_response(run, root, entry);
}

/* ---- negative ---- */
/* What each kind of bad message must come to. A bit flipped somewhere in an option may hit any of its parts. */
static const struct kind {
    const char *name;
    nacre_err allowed[3];
} kinds[] = {
    { "ct_flip", { NACRE_ERR_PROTECTION_INVALID } },
    { "tag_flip", { NACRE_ERR_PROTECTION_INVALID } },
    { "piv_flip", { NACRE_ERR_PROTECTION_INVALID } },
    { "flag_flip", { NACRE_ERR_DECODE, NACRE_ERR_NO_CONTEXT } },
    { "option_flip_any", { NACRE_ERR_DECODE, NACRE_ERR_NO_CONTEXT, NACRE_ERR_PROTECTION_INVALID } },
    { "option_truncated", { NACRE_ERR_DECODE } },
    { "piv_truncated", { NACRE_ERR_DECODE } },
    { "option_empty", { NACRE_ERR_DECODE } },
    { "kidctx_length_missing", { NACRE_ERR_DECODE } },
    { "kidctx_too_short", { NACRE_ERR_DECODE } },
    { "reserved_bit", { NACRE_ERR_DECODE } },
    { "reserved_group_bit", { NACRE_ERR_DECODE } },
    { "piv_length_reserved", { NACRE_ERR_DECODE } },
    { "piv_leading_zero", { NACRE_ERR_DECODE } },
    { "piv_absent", { NACRE_ERR_DECODE } },
    { "replay_same", { NACRE_ERR_REPLAY } },
    { "replay_below_window", { NACRE_ERR_REPLAY } },
    { "replay_bad_tag_no_echo", { NACRE_ERR_REPLAY } },
    { "replay_bad_tag_with_echo", { NACRE_ERR_REPLAY } },
    { "replay_with_echo", { NACRE_ERR_REPLAY } },
    { "window_unknown_no_echo", { NACRE_ERR_REPLAY } },
    { "window_unknown_echo", { NACRE_ERR_REPLAY_ECHO } },
    { "window_unknown_wrong_echo", { NACRE_ERR_REPLAY_ECHO } },
    { "window_unknown_bad_tag", { NACRE_ERR_PROTECTION_INVALID } },
    { "wrong_kid", { NACRE_ERR_NO_CONTEXT } },
    { "kid_is_own", { NACRE_ERR_NO_CONTEXT } },
    { "kid_flag_missing", { NACRE_ERR_DECODE } },
    { "kid_context_wrong", { NACRE_ERR_NO_CONTEXT } },
    { "other_id_context", { NACRE_ERR_PROTECTION_INVALID } },
    { "wrong_master_secret", { NACRE_ERR_PROTECTION_INVALID } },
    { "too_short", { NACRE_ERR_PROTECTION_INVALID } },
    { "cut_by_one", { NACRE_ERR_PROTECTION_INVALID } },
    { "one_more", { NACRE_ERR_PROTECTION_INVALID } },
    { "not_oscore", { NACRE_ERR_NOT_PROTECTED } },
    { "outer_method", { NACRE_OK } }, /* RFC 8613 8.2 step 1: the outer code is discarded */
    { "inner_broken", { NACRE_ERR_PROTECTION_INVALID } },
    { "r_tag_flip", { NACRE_ERR_PROTECTION_INVALID } },
    { "r_other_request", { NACRE_ERR_PROTECTION_INVALID } },
    { "r_no_option", { NACRE_ERR_NOT_PROTECTED } },
    { "r_option_dropped_to_empty", { NACRE_ERR_PROTECTION_INVALID } },
    { "r_piv_added", { NACRE_ERR_PROTECTION_INVALID } },
    { "r_wrong_kid", { NACRE_ERR_NO_CONTEXT } },
    { "r_wrong_kid_context", { NACRE_ERR_NO_CONTEXT } },
    { "r_reserved", { NACRE_ERR_DECODE } },
    { "r_flag_zero_byte_tail", { NACRE_ERR_DECODE } },
    { "r_reflected_request", { NACRE_ERR_PROTECTION_INVALID } },
    { "r_too_short", { NACRE_ERR_PROTECTION_INVALID } },
};

static const struct kind *kind_of(vec_run *run, yajl_val entry)
{
    const char *name = vec_text(run, entry, "kind");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(name, kinds[i].name) == 0) return &kinds[i];
    vec_differs(run, "kind: \"%s\" is not known", name);
    return NULL;
}

static bool allows(const struct kind *kind, nacre_err err)
{
    for (size_t i = 0; i < 3; i++)
        if (kind->allowed[i] == err && (i == 0 || err)) return true;
    return false;
}

/* check_codes: the CoAP answer that the error leads to is one that the file lists. Where our reading and the file's differ,
 * both are right: a discarded outer code, and a Partial IV with leading zeros taken as malformed. */
static void check_codes(vec_run *run, yajl_val entry, const struct kind *kind, nacre_err err)
{
    size_t len = vec_array(run, entry, "rfc8613_codes");
    bool listed = len == 0;
    for (size_t i = 0; i < len; i++) {
        yajl_val v = vec_at(entry, "rfc8613_codes", i);
        const char *text = YAJL_IS_STRING(v) ? YAJL_GET_STRING(v) : "";
        unsigned long class_ = strtoul(text, NULL, 10), detail = strlen(text) == 4 ? strtoul(text + 2, NULL, 10) : 99;
        if (strlen(text) != 4 || text[1] != '.' || class_ > 5 || detail > 31)
            vec_differs(run, "rfc8613_codes: no code");
        listed |= nacre_err_coap_code(err) == (class_ << 5 | detail);
    }
    if (err && !listed && strcmp(kind->name, "piv_leading_zero") != 0)
        vec_differs(run, "%s answers with none of rfc8613_codes", nacre_err_name(err));
}

/* dispatch_err is what a server comes to, which picks the context first: verify_start, the table, unprotect. */
static nacre_err dispatch_err(vec_run *run, vec_context *server, const nacre_message *outer, nacre_err unprotect)
{
    nacre_table_slot slots[2];
    nacre_table table;
    nacre_oscore_option opt;
    size_t cursor = 0;
    nacre_err err = nacre_verify_start(&opt, outer);
    if (err || nacre_is_absent(opt.kid)) return err ? err : unprotect;
    if (!vec_same_err(run, "making a table", NACRE_OK, nacre_table_init(&table, slots, 2)) ||
        !vec_same_err(run, "adding to the table", NACRE_OK, nacre_table_add(&table, &server->ctx)))
        return unprotect;
    return nacre_table_find(&table, opt.kid, opt.kid_context, &cursor) ? unprotect : NACRE_ERR_NO_CONTEXT;
}

static void check_dispatch(vec_run *run, yajl_val entry, const nacre_message *outer)
{
    static const char *const stages[] = { "verify_start", "find_oscore", "unprotect", NULL };
    yajl_val dispatch = vec_get(run, entry, "dispatch");
    if (YAJL_IS_NULL(dispatch) || !vec_members(run, dispatch, "stage exception message is_protection_invalid")) return;
    const char *stage = vec_text(run, dispatch, "stage");
    (void)vec_text(run, dispatch, "exception");
    (void)vec_text(run, dispatch, "message");
    (void)vec_bool(run, dispatch, "is_protection_invalid");
    if (!is_one_of(stage, stages)) vec_differs(run, "dispatch: stage \"%s\" is not known", stage);
    nacre_oscore_option opt;
    if (strcmp(stage, "verify_start") == 0 && nacre_verify_start(&opt, outer) == NACRE_OK)
        vec_differs(run, "verify_start takes what the oracle's does not");
}

/* check_response reads what the oracle's server answers; null is silence, a text a remark. Whether it is protected decides
 * which members are there; check_server_response compares those that nacre must make too. */
static void check_response(vec_run *run, yajl_val entry, const char *name)
{
    yajl_val response = vec_get(run, entry, name);
    if (YAJL_IS_NULL(response) || YAJL_IS_STRING(response) ||
        !vec_members(run, response, "code payload max_age oscore protected_payload"))
        return;
    bool protected_ = !vec_is_null(response, "oscore");
    (void)vec_text(run, response, "code");
    (void)vec_hex_or_null(run, response, "oscore");
    (void)vec_hex_or_null(run, response, "protected_payload");
    if (!vec_is_null(response, "max_age")) (void)vec_uint(run, response, "max_age");
    if (!vec_is_null(response, "payload")) (void)vec_text(run, response, "payload");
    if (protected_ != vec_is_null(response, "payload") || protected_ == vec_is_null(response, "protected_payload"))
        vec_differs(run, "%s: protected and unprotected at once", name);
}

/* The receiver, in the state that the entry gives. */
static bool open_receiver(vec_run *run, yajl_val entry, nacre_context_params params, vec_context *c, bool *known)
{
    yajl_val state = vec_get(run, entry, "state");
    memset(c, 0, sizeof *c);
    if (!vec_members(run, state, "window echo_recovery receiver_sequence_number")) return false;
    params.next_seq = vec_uint(run, state, "receiver_sequence_number");
    params.echo = vec_hex_or_null(run, state, "echo_recovery");
    yajl_val window = vec_get(run, state, "window");
    uint64_t index = 0;
    uint8_t bits[NACRE_REPLAY_MAX / 8] = { 0 };
    *known = !YAJL_IS_NULL(window);
    params.window = 32;
    if (*known) {
        if (!vec_members(run, window, "size index bitfield")) return false;
        vec_same_number(run, "window size", params.window, vec_uint(run, window, "size"));
        index = vec_uint(run, window, "index");
        vec_bits(run, window, "bitfield", bits, 4);
    }
    if (run->bad || !vec_context_open(run, c, &params)) return false;
    return vec_same_err(run, "setting the window", NACRE_OK,
                        nacre_context_set_replay(&c->ctx, *known, index, bits, *known ? 4 : 0));
}

static void check_unchanged(vec_run *run, const nacre_context *before, const nacre_context *after)
{
    nacre_context same;
    memcpy(&same, before, sizeof same);
    same.failed = after->failed;
    if (memcmp(&same, after, sizeof same) != 0) vec_differs(run, "the context changed");
}

static void check_server_response(vec_run *run, yajl_val entry, vec_context *server, nacre_request_id *id,
                                  const nacre_message *outer)
{
    yajl_val response = vec_get(run, entry, "server_con");
    if (!vec_members(run, response, "code payload max_age oscore protected_payload")) return;
    uint8_t buf[128];
    nacre_bytes out;
    nacre_message m;
    if (!vec_same_err(run, "protect_echo", NACRE_OK,
                      nacre_protect_echo(&server->ctx, run->crypto, id, &out, NACRE_BUF(buf), outer)) ||
        !vec_parse(run, "the answer with Echo", out, &m))
        return;
    vec_same_bytes(run, "option of the answer", vec_hex(run, response, "oscore"),
                   nacre_option_find(m.options, NACRE_OPT_OSCORE));
    vec_same_bytes(run, "payload of the answer", vec_hex(run, response, "protected_payload"), m.payload);
    vec_same_text(run, "code of the answer", vec_text(run, response, "code"), "2.04");
}

static void negative_request(vec_run *run, yajl_val root, yajl_val entry, const struct kind *kind)
{
    nacre_context_params client;
    nacre_bytes datagram = vec_hex(run, entry, "protected");
    nacre_message outer, plain;
    vec_context c = { 0 };
    nacre_request_id id;
    bool known;
    if (!client_of(run, root, entry, &client) || !vec_parse(run, "protected", datagram, &outer)) return;
    check_dispatch(run, entry, &outer);
    check_response(run, entry, "server_con");
    check_response(run, entry, "server_non");
    if (open_receiver(run, entry, vec_swapped(client), &c, &known)) {
        nacre_context before;
        memcpy(&before, &c.ctx, sizeof before); /* padding too: it is compared */
        nacre_buf buf = { vec_alloc(run, datagram.len), datagram.len };
        nacre_err err = nacre_unprotect_request(&c.ctx, run->crypto, &id, &plain, buf, &outer);
        if (!allows(kind, err)) vec_differs(run, "unexpected: %s", err ? nacre_err_name(err) : "accepted");
        if (err) check_unchanged(run, &before, &c.ctx);
        check_codes(run, entry, kind, dispatch_err(run, &c, &outer, err));
        if (err == NACRE_ERR_REPLAY_ECHO &&
            !nacre_is_absent(vec_hex_or_null(run, vec_get(run, entry, "state"), "echo_recovery")))
            check_server_response(run, entry, &c, &id, &outer);
    }
    vec_context_close(&c);
}

static void negative_response(vec_run *run, yajl_val root, yajl_val entry, const struct kind *kind)
{
    nacre_context_params client;
    nacre_bytes datagram = vec_hex(run, entry, "protected");
    nacre_message outer, plain;
    yajl_val request = vec_get(run, entry, "request");
    if (!client_of(run, root, entry, &client) || !vec_parse(run, "protected", datagram, &outer) ||
        !vec_members(run, request, "kid partial_iv"))
        return;
    vec_same_bytes(run, "the client's ID", client.sender_id, vec_hex(run, request, "kid"));
    vec_context c = { 0 };
    vec_exchange x;
    bool known;
    if (vec_exchange_open(run, &x, &client, vec_partial_iv_number(vec_hex(run, request, "partial_iv")), 0) &&
        open_receiver(run, entry, client, &c, &known)) {
        nacre_context before;
        memcpy(&before, &c.ctx, sizeof before); /* padding too: it is compared */
        nacre_buf buf = { vec_alloc(run, datagram.len), datagram.len };
        nacre_err err = nacre_unprotect_response(&c.ctx, run->crypto, &x.at_client, &plain, NULL, buf, &outer);
        if (!allows(kind, err)) vec_differs(run, "unexpected: %s", err ? nacre_err_name(err) : "accepted");
        check_unchanged(run, &before, &c.ctx);
    }
    vec_context_close(&c);
    vec_exchange_close(&x);
}

static void negative(vec_run *run, yajl_val root, yajl_val entry)
{
    const char *type = vec_text(run, entry, "type");
    bool is_request = strcmp(type, "request") == 0;
    if (!is_request && strcmp(type, "response") != 0) vec_differs(run, "type: neither request nor response");
    if (!vec_members(run, entry,
                     is_request ? "name type kind mutation context state protected unprotect dispatch server_con "
                                  "server_non rfc8613_codes"
                                : "name type kind mutation context request state protected unprotect"))
        return;
    (void)vec_text(run, entry, "mutation");
    yajl_val unprotect = vec_get(run, entry, "unprotect");
    if (!YAJL_IS_NULL(unprotect) && vec_members(run, unprotect, "exception message is_protection_invalid")) {
        (void)vec_text(run, unprotect, "exception");
        (void)vec_text(run, unprotect, "message");
        (void)vec_bool(run, unprotect, "is_protection_invalid");
    }
    const struct kind *kind = kind_of(run, entry);
    if (!kind) return;
    if (is_request != (strncmp(kind->name, "r_", 2) != 0)) vec_differs(run, "kind: does not go with the type");
    else if (is_request) negative_request(run, root, entry, kind);
    else negative_response(run, root, entry, kind);
}

/* ---- windows ---- */
/* check_window compares a window with {index, bitfield}. The same set of seen numbers may be written with the lowest
 * ones in the bitfield or below the index, so both sides are brought to a bitfield whose lowest bit is clear. */
static void canonical(uint64_t *index, uint8_t *bits, size_t len)
{
    while (bits[0] & 1) {
        for (size_t i = 0; i < len; i++) bits[i] = (uint8_t)(bits[i] >> 1 | (i + 1 < len ? bits[i + 1] << 7 : 0));
        ++*index;
    }
}

static void check_window(vec_run *run, const nacre_replay *w, uint16_t size, yajl_val expected)
{
    uint8_t want[NACRE_REPLAY_MAX / 8], got[NACRE_REPLAY_MAX / 8];
    size_t len = (size + 7u) / 8;
    uint64_t want_index = vec_uint(run, expected, "index"), got_index = 0;
    vec_bits(run, expected, "bitfield", want, len);
    memset(got, 0, sizeof got);
    if (run->bad) return;
    if (!nacre_replay_export(w, &got_index, got)) {
        vec_differs(run, "the window is uninitialised");
        return;
    }
    canonical(&want_index, want, len);
    canonical(&got_index, got, len);
    vec_same_number(run, "index", want_index, got_index);
    vec_same_bytes(run, "bitfield (low byte first)", nacre_bytes_of(want, len), nacre_bytes_of(got, len));
}

/* offer gives numbers to a window, each with the verdict expected. */
static void offer(vec_run *run, nacre_replay *w, yajl_val entry, const char *list)
{
    for (size_t i = 0; i < vec_array(run, entry, list); i++) {
        yajl_val pair = vec_at(entry, list, i);
        if (!YAJL_IS_ARRAY(pair) || pair->u.array.len != 2) {
            vec_differs(run, "%s: not a pair of number and verdict", list);
            return;
        }
        uint64_t seq = vec_uint_of(run, pair->u.array.values[0], list);
        bool accepted = vec_bool_of(run, pair->u.array.values[1], list);
        nacre_err expected = accepted ? NACRE_OK : NACRE_ERR_REPLAY;
        nacre_err checked = nacre_replay_check(w, seq), err = nacre_replay_accept(w, seq);
        if (checked != expected || err != expected)
            vec_differs(run, "%s: number %llu (place %zu): expected %s", list, (unsigned long long)seq, i + 1,
                        accepted ? "accepted" : "refused");
    }
}

static void window(vec_run *run, yajl_val root, yajl_val entry)
{
    (void)root;
    if (!vec_members(run, entry, "name size start freshly_seen ops final")) return;
    (void)vec_text(run, entry, "name");
    uint64_t size = vec_uint(run, entry, "size");
    yajl_val final = vec_get(run, entry, "final");
    if (size < 1 || size > NACRE_REPLAY_MAX) vec_differs(run, "size: not allowed");
    if (run->bad || !vec_members(run, final, "index bitfield")) return;
    uint64_t *words = vec_alloc(run, nacre_replay_words((uint16_t)size) * sizeof *words);
    nacre_replay w;
    if (!vec_same_err(run, "making the window", NACRE_OK, nacre_replay_init(&w, (uint16_t)size, words))) return;
    const char *start = vec_text(run, entry, "start");
    if (strcmp(start, "freshly_seen") == 0) {
        nacre_replay_forget(&w);
        nacre_replay_set_fresh(&w, vec_uint(run, entry, "freshly_seen"));
    } else if (strcmp(start, "empty") != 0 || !vec_is_null(entry, "freshly_seen"))
        vec_differs(run, "start: not understood");
    offer(run, &w, entry, "ops");
    if (!run->bad) check_window(run, &w, (uint16_t)size, final);
}

/* ---- echo ---- */
static void echo(vec_run *run, yajl_val root, yajl_val entry)
{
    if (!vec_members(run, entry,
                     "name context echo client_sequence_number server_sequence_number request1 response1 request2 "
                     "window_after request2_unprotected response2 response2_plain later"))
        return;
    nacre_context_params client;
    if (!client_of(run, root, entry, &client)) return;
    vec_recovery r = {
        .echo = vec_hex(run, entry, "echo"),
        .client_seq = vec_uint(run, entry, "client_sequence_number"),
        .server_seq = vec_uint(run, entry, "server_sequence_number"),
        .request1 = vec_hex(run, entry, "request1"),
        .response1 = vec_hex(run, entry, "response1"),
        .request2 = vec_hex(run, entry, "request2"),
        .request2_plain = vec_hex(run, entry, "request2_unprotected"),
        .response2 = vec_hex(run, entry, "response2"),
        .response2_plain = vec_hex(run, entry, "response2_plain"),
    };
    yajl_val after = vec_get(run, entry, "window_after");
    if (run->bad || !vec_members(run, after, "index bitfield")) return;
    vec_context server;
    if (vec_check_recovery(run, &server, &client, &r)) {
        nacre_replay w = *nacre_context_replay(&server.ctx); /* 32 numbers: nothing outside of the struct */
        check_window(run, &w, 32, after);
        offer(run, &w, entry, "later");
    }
    vec_context_close(&server);
}

void vec_oscore_vectors_1(vec_run *run, yajl_val root)
{
    static const char *const lists[] = { "contexts", "positive", "negative", "echo", "windows" };
    vec_begin(run, "file", "members");
    (void)vec_members(run, root, "format seed oracle counts contexts positive negative echo windows");
    vec_same_text(run, "format", "oscore-vectors-1", vec_text(run, root, "format"));
    yajl_val counts = vec_get(run, root, "counts");
    if (vec_members(run, counts, "contexts positive negative echo windows"))
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
            vec_same_number(run, lists[i], vec_uint(run, counts, lists[i]), vec_array(run, root, lists[i]));
    vec_end(run);
    vec_each(run, root, "contexts", context);
    vec_each(run, root, "positive", positive);
    vec_each(run, root, "negative", negative);
    vec_each(run, root, "echo", echo);
    vec_each(run, root, "windows", window);
}
