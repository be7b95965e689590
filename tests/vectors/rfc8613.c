/* SPDX-License-Identifier: MIT */
/* rfc8613: the vectors of RFC 8613 C.1 to C.8, and the examples of its sections: RFC 8613 5.4, 6.3, 11. */
#include "vectors.h"

#include <context/derive.h>
#include <oscore/aad.h>
#include <string.h>

/* by_id finds an entry of a list by its "id". */
static yajl_val by_id(vec_run *run, yajl_val root, const char *list, const char *id)
{
    for (size_t i = 0; i < vec_array(run, root, list); i++) {
        yajl_val entry = vec_at(root, list, i);
        if (vec_has(entry, "id") && strcmp(vec_text(run, entry, "id"), id) == 0) return entry;
    }
    vec_differs(run, "\"%s\" is no entry of %s", id, list);
    return NULL;
}

/* ---- C.1 to C.3 ---- */
static nacre_context_params params_of(vec_run *run, yajl_val entry)
{
    nacre_hash hash;
    (void)vec_hash_of_hkdf(run, entry, &hash);
    return vec_params(run, entry, "alg_aead", "sender_id", "recipient_id", hash);
}

static void key_derivation(vec_run *run, yajl_val root, yajl_val entry)
{
    (void)root;
    if (!vec_members(run, entry,
                     "id vector role alg_aead hkdf master_secret master_salt id_context sender_id recipient_id "
                     "info_sender_key info_recipient_key info_common_iv sender_key recipient_key common_iv "
                     "sender_nonce_piv0 recipient_nonce_piv0"))
        return;
    (void)vec_text(run, entry, "id");
    (void)vec_text(run, entry, "vector");
    const char *role = vec_text(run, entry, "role");
    if (strcmp(role, "client") != 0 && strcmp(role, "server") != 0) vec_differs(run, "role: neither client nor server");
    nacre_context_params params = params_of(run, entry);
    vec_derived expected = { vec_hex(run, entry, "info_sender_key"), vec_hex(run, entry, "info_recipient_key"),
                             vec_hex(run, entry, "info_common_iv"),  vec_hex(run, entry, "sender_key"),
                             vec_hex(run, entry, "recipient_key"),   vec_hex(run, entry, "common_iv") };
    if (run->bad) return;
    vec_check_derived(run, &params, &expected);
    nacre_bytes zero = vec_partial_iv(run, 0);
    vec_same_bytes(run, "sender_nonce_piv0", vec_hex(run, entry, "sender_nonce_piv0"),
                   vec_nonce(run, params.cose_aead, expected.common_iv, params.sender_id, zero));
    vec_same_bytes(run, "recipient_nonce_piv0", vec_hex(run, entry, "recipient_nonce_piv0"),
                   vec_nonce(run, params.cose_aead, expected.common_iv, params.recipient_id, zero));
}

/* ---- C.4 to C.8 ---- */
#define MESSAGE_MEMBERS                                                                                                \
    "id title context kind request alg_aead hkdf common_iv id_context sender_id sender_key sender_sequence_number "    \
    "unprotected partial_iv kid kid_context aad_array aad plaintext encryption_key nonce oscore_option ciphertext "    \
    "protected"

/* same_context compares what a message repeats of its context's entry. */
static void same_context(vec_run *run, yajl_val entry, yajl_val context)
{
    static const char *const hex[] = { "common_iv", "sender_id", "sender_key" };
    for (size_t i = 0; i < sizeof hex / sizeof *hex; i++)
        vec_same_bytes(run, hex[i], vec_hex(run, context, hex[i]), vec_hex(run, entry, hex[i]));
    vec_same_bytes(run, "id_context", vec_hex_or_null(run, context, "id_context"),
                   vec_hex_or_null(run, entry, "id_context"));
    vec_same_bytes(run, "encryption_key", vec_hex(run, context, "sender_key"), vec_hex(run, entry, "encryption_key"));
    vec_same_number(run, "alg_aead", vec_uint(run, context, "alg_aead"), vec_uint(run, entry, "alg_aead"));
    vec_same_text(run, "hkdf", vec_text(run, context, "hkdf"), vec_text(run, entry, "hkdf"));
}

static void check_aad_array(vec_run *run, nacre_bytes aad, nacre_bytes aad_array)
{
    static const uint8_t head[] = { 0x83, 0x68, 'E', 'n', 'c', 'r', 'y', 'p', 't', '0', 0x40 };
    size_t at = sizeof head + (aad_array.len < 24 ? 1 : 2); /* RFC 8613 5.4: aad_array as a byte string, at the end */
    if (aad.len < at || aad.len != at + aad_array.len) vec_differs(run, "aad_array: does not fill the AAD");
    else vec_same_bytes(run, "aad_array", aad_array, nacre_bytes_of(aad.ptr + at, aad.len - at));
}

/* RFC 8613 5.2, 5.3, 5.4, 6.2, 8.1 steps 2 to 4, 8.3 steps 2 to 4: each part of a message by itself. */
static void message_parts(vec_run *run, yajl_val entry, nacre_bytes request_kid, nacre_bytes request_piv)
{
    nacre_bytes partial_iv = vec_hex_or_null(run, entry, "partial_iv");
    bool has_piv = !nacre_is_absent(partial_iv);
    vec_parts p = {
        .alg = (int)(vec_uint(run, entry, "alg_aead") & 0xff),
        .common_iv = vec_hex(run, entry, "common_iv"),
        .id_piv = has_piv ? vec_hex(run, entry, "sender_id") : request_kid,
        .nonce_piv = has_piv ? partial_iv : request_piv,
        .request_kid = request_kid,
        .request_piv = request_piv,
        .fields = { partial_iv, vec_hex_or_null(run, entry, "kid_context"), vec_hex_or_null(run, entry, "kid") },
        .key = vec_hex(run, entry, "encryption_key"),
        .nonce = vec_hex(run, entry, "nonce"),
        .aad = vec_hex(run, entry, "aad"),
        .option = vec_hex(run, entry, "oscore_option"),
        .plaintext = vec_hex(run, entry, "plaintext"),
        .message = vec_hex(run, entry, "protected"),
    };
    check_aad_array(run, p.aad, vec_hex(run, entry, "aad_array"));
    nacre_message m;
    if (vec_parse(run, "protected", p.message, &m))
        vec_same_bytes(run, "ciphertext", vec_hex(run, entry, "ciphertext"), m.payload);
    if (!run->bad) vec_check_parts(run, &p);
}

/* RFC 8613 8.1 steps 1 to 5, 8.2 steps 2 to 7: the whole, both ways. */
static void check_request(vec_run *run, yajl_val entry, nacre_context_params client)
{
    if (!vec_is_null(entry, "request")) vec_differs(run, "request: a request answers no request");
    nacre_bytes piv = vec_hex(run, entry, "partial_iv");
    uint64_t seq = vec_uint(run, entry, "sender_sequence_number");
    vec_same_bytes(run, "partial_iv", vec_partial_iv(run, seq), piv);
    vec_same_bytes(run, "kid", vec_hex(run, entry, "sender_id"), vec_hex(run, entry, "kid"));
    message_parts(run, entry, vec_hex(run, entry, "kid"), piv);
    nacre_bytes plain = vec_hex(run, entry, "unprotected");
    nacre_protect_options bare = { .kid_context_choice = NACRE_KID_CONTEXT_NEVER };
    bool with_kid_context = !vec_is_null(entry, "kid_context");
    if (!run->bad)
        vec_check_request(run, &client, seq, with_kid_context ? NULL : &bare, plain, vec_hex(run, entry, "protected"),
                          plain);
}

/* RFC 8613 8.3 steps 1 to 5, 8.4 steps 2 to 6: the whole, both ways. */
static void check_response(vec_run *run, yajl_val root, yajl_val entry, nacre_context_params server)
{
    yajl_val request = by_id(run, root, "messages", vec_text(run, entry, "request"));
    if (!request || !vec_members(run, request, MESSAGE_MEMBERS)) return;
    nacre_bytes plain = vec_hex(run, entry, "unprotected");
    nacre_context_params client = vec_swapped(server);
    vec_response r = {
        .request_piv = vec_hex(run, request, "partial_iv"),
        .partial_iv = vec_hex_or_null(run, entry, "partial_iv"),
        .send_kid = !vec_is_null(entry, "kid"),
        .plain = plain,
        .datagram = vec_hex(run, entry, "protected"),
        .unprotected = plain,
    };
    uint64_t seq = vec_uint(run, entry, "sender_sequence_number");
    if (!nacre_is_absent(r.partial_iv)) vec_same_bytes(run, "partial_iv", vec_partial_iv(run, seq), r.partial_iv);
    vec_same_bytes(run, "the client's ID", client.sender_id, vec_hex(run, request, "kid"));
    if (!vec_is_null(entry, "kid_context")) vec_differs(run, "kid_context: not expected in a response");
    message_parts(run, entry, vec_hex(run, request, "kid"), r.request_piv);
    if (!run->bad) vec_check_response(run, &client, &r);
}

static void message(vec_run *run, yajl_val root, yajl_val entry)
{
    if (!vec_members(run, entry, MESSAGE_MEMBERS)) return;
    (void)vec_text(run, entry, "id");
    (void)vec_text(run, entry, "title");
    yajl_val context = by_id(run, root, "key_derivation", vec_text(run, entry, "context"));
    if (!context) return;
    nacre_context_params params = params_of(run, context);
    same_context(run, entry, context);
    const char *kind = vec_text(run, entry, "kind");
    if (run->bad) return;
    if (strcmp(kind, "request") == 0) check_request(run, entry, params);
    else if (strcmp(kind, "response") == 0) check_response(run, root, entry, params);
    else vec_differs(run, "kind: neither request nor response");
}

/* ---- Section 5.4 ---- */
static void aad_example(vec_run *run, yajl_val entry)
{
    if (!vec_members(run, entry, "alg_aead request_kid request_piv class_i_options aad_array external_aad aad")) return;
    nacre_bytes kid = vec_hex(run, entry, "request_kid"), piv = vec_hex(run, entry, "request_piv");
    nacre_bytes array = vec_hex(run, entry, "aad_array"), external = vec_hex(run, entry, "external_aad");
    nacre_bytes expected = vec_hex(run, entry, "aad");
    uint64_t alg = vec_uint(run, entry, "alg_aead");
    vec_same_number(run, "length of class_i_options", 0, vec_hex(run, entry, "class_i_options").len);
    if (kid.len > NACRE_MAX_ID || piv.len > 5 || alg > 255)
        vec_differs(run, "kid, Partial IV or algorithm not allowed");
    if (run->bad) return;
    uint8_t aad[NACRE_MAX_AAD];
    vec_same_bytes(run, "aad", expected, nacre_bytes_of(aad, nacre__aad(aad, (int)alg, kid, piv)));
    check_aad_array(run, expected, array);
    if (external.len > expected.len) vec_differs(run, "external_aad: longer than the AAD");
    else
        vec_same_bytes(run, "external_aad", external,
                       nacre_bytes_of(expected.ptr + expected.len - external.len, external.len));
    vec_same_number(run, "length of external_aad", array.len + (array.len < 24 ? 1 : 2), external.len);
}

/* ---- Section 6.3 ---- */
static size_t cbor_bstr(nacre_bytes b)
{
    return b.len + (b.len < 24 ? 1 : 2);
}

/* The untagged COSE_Encrypt0 that the option stands for: array of 3, empty protected header, map, ciphertext. */
static size_t cose_len(const nacre_oscore_option *opt, nacre_bytes ciphertext)
{
    size_t len = 1 + 1 + 1 + cbor_bstr(ciphertext);
    if (!nacre_is_absent(opt->kid)) len += 1 + cbor_bstr(opt->kid);
    if (!nacre_is_absent(opt->partial_iv)) len += 1 + cbor_bstr(opt->partial_iv);
    if (!nacre_is_absent(opt->kid_context)) len += 1 + cbor_bstr(opt->kid_context);
    return len;
}

static void header_compression(vec_run *run, yajl_val root, yajl_val entry)
{
    if (!vec_members(run, entry, "n kind kid partial_iv kid_context ciphertext cose_len option")) return;
    if (vec_at(root, "header_compression_6_3", (size_t)vec_uint(run, entry, "n") - 1) != entry)
        vec_differs(run, "n: is not its place in the list");
    nacre_oscore_option opt = { vec_hex_or_null(run, entry, "partial_iv"), vec_hex_or_null(run, entry, "kid_context"),
                                vec_hex_or_null(run, entry, "kid") };
    nacre_bytes option = vec_hex(run, entry, "option");
    nacre_bytes ciphertext = vec_hex(run, entry, "ciphertext");
    const char *kind = vec_text(run, entry, "kind");
    bool request = strcmp(kind, "request") == 0;
    if (!request && strcmp(kind, "response") != 0) vec_differs(run, "kind: neither request nor response");
    if (request && (nacre_is_absent(opt.kid) || nacre_is_absent(opt.partial_iv)))
        vec_differs(run, "a request needs kid and Partial IV");
    vec_same_number(run, "cose_len", vec_uint(run, entry, "cose_len"), cose_len(&opt, ciphertext));
    if (!run->bad) vec_check_option(run, &opt, option);
}

/* ---- Section 11 ---- */
static void http_header(vec_run *run, yajl_val root, yajl_val entry)
{
    (void)root;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    static const uint8_t zero[1];
    if (!vec_members(run, entry, "option oscore_header")) return;
    nacre_bytes option = vec_hex(run, entry, "option");
    nacre_oscore_option read;
    (void)vec_same_err(run, "reading the option", NACRE_OK, nacre_oscore_option_read(&read, option));
    if (option.len == 0) option = NACRE_ARRAY(zero); /* RFC 8613 11.2: an empty option is sent as one zero byte */
    char *header = vec_alloc(run, option.len / 3 * 4 + 5), *at = header;
    for (size_t i = 0; i < option.len; i += 3) {
        uint32_t group = 0;
        size_t n = option.len - i < 3 ? option.len - i : 3;
        for (size_t j = 0; j < 3; j++) group = group << 8 | (j < n ? option.ptr[i + j] : 0);
        for (size_t j = 0; j <= n; j++) *at++ = digits[group >> (18 - 6 * j) & 63];
    }
    *at = 0;
    vec_same_text(run, "oscore_header", vec_text(run, entry, "oscore_header"), header);
}

void vec_rfc8613(vec_run *run, yajl_val root)
{
    vec_begin(run, "file", "members");
    (void)vec_members(run, root,
                      "source notes key_derivation messages aad_example_5_4 header_compression_6_3 http_header_11");
    vec_check_about(run, root);
    vec_end(run);
    vec_each(run, root, "key_derivation", key_derivation);
    vec_each(run, root, "messages", message);
    vec_begin(run, "aad_example_5_4", "-");
    aad_example(run, vec_get(run, root, "aad_example_5_4"));
    vec_end(run);
    vec_each(run, root, "header_compression_6_3", header_compression);
    vec_each(run, root, "http_header_11", http_header);
}
