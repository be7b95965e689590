/* SPDX-License-Identifier: MIT */
/* vectors: what the files of the vector runner share.
 *
 * The runner's unit is the case: one entry of a section. vec_begin opens it, checks report what differs with
 * vec_differs, vec_end counts it as passed or failed and frees what it borrowed. A value that is missing, of the wrong
 * type or not understood is a difference like any other, so nothing passes unread. Accessors go on with a harmless
 * value after a difference; what they return lives until vec_end. */
#ifndef VECTORS_H
#define VECTORS_H

#include <nacre/nacre.h>
#include <yajl/yajl_tree.h>

typedef struct vec_run {
    const nacre_crypto *crypto;
    const char *file;
    const char *section; /* of the case at hand; NULL between cases */
    char id[96];
    bool bad;     /* the case at hand has a difference */
    void *memory; /* what the case at hand borrowed */
    size_t passed, failed, skipped;
} vec_run;

/* ---- cases: run.c ---- */
void vec_begin(vec_run *run, const char *section, const char *fmt, ...) NACRE_PRINTF(3, 4);
void vec_differs(vec_run *run, const char *fmt, ...) NACRE_PRINTF(2, 3);
void vec_end(vec_run *run);
void vec_skip(vec_run *run, const char *section, const char *id, const char *why);
void *vec_alloc(vec_run *run, size_t len); /* of exactly that size, so that sanitizers see each step too far */
nacre_bytes vec_copy(vec_run *run, nacre_bytes bytes);
void vec_same_bytes(vec_run *run, const char *what, nacre_bytes expected, nacre_bytes got);
void vec_same_number(vec_run *run, const char *what, uint64_t expected, uint64_t got);
void vec_same_text(vec_run *run, const char *what, const char *expected, const char *got);
bool vec_same_err(vec_run *run, const char *what, nacre_err expected, nacre_err got);

/* ---- JSON: json.c ---- */
/* vec_members compares an object's members with a list of names parted by spaces; "name?" may be absent. */
bool vec_members(vec_run *run, yajl_val object, const char *names);
bool vec_has(yajl_val object, const char *name);
bool vec_is_null(yajl_val object, const char *name);
yajl_val vec_get(vec_run *run, yajl_val object, const char *name);
nacre_bytes vec_hex(vec_run *run, yajl_val object, const char *name);
nacre_bytes vec_hex_or_null(vec_run *run, yajl_val object, const char *name); /* null is absent */
uint64_t vec_uint(vec_run *run, yajl_val object, const char *name);
uint64_t vec_uint_of(vec_run *run, yajl_val value, const char *what);
bool vec_bool(vec_run *run, yajl_val object, const char *name);
bool vec_bool_of(vec_run *run, yajl_val value, const char *what);
const char *vec_text(vec_run *run, yajl_val object, const char *name);
/* vec_array gives the number of elements; vec_at one of them. */
size_t vec_array(vec_run *run, yajl_val object, const char *name);
yajl_val vec_at(yajl_val object, const char *name, size_t index);
/* vec_check_about looks at "source" (text) and "notes" (texts), which say nothing that could be run. */
void vec_check_about(vec_run *run, yajl_val root);
/* vec_each runs a case for every entry of a list, which must have some, named by the entry's "id" or "name". */
typedef void vec_one(vec_run *run, yajl_val root, yajl_val entry);
void vec_each(vec_run *run, yajl_val root, const char *list, vec_one *one);
/* vec_bits reads a number of any size into `bits`, least significant byte first. */
void vec_bits(vec_run *run, yajl_val object, const char *name, uint8_t *bits, size_t len);

/* ---- One message and what it is made of: parts.c ---- */
typedef struct vec_parts {
    int alg;
    nacre_bytes common_iv;
    nacre_bytes id_piv, nonce_piv; /* what the nonce is made of */
    nacre_bytes request_kid, request_piv;
    nacre_oscore_option fields;
    nacre_bytes key, nonce, aad, option, plaintext;
    nacre_bytes message; /* the protected datagram */
} vec_parts;
void vec_check_parts(vec_run *run, const vec_parts *p);
/* vec_check_option writes `fields` and reads `option`, and compares both ways. */
void vec_check_option(vec_run *run, const nacre_oscore_option *fields, nacre_bytes option);
/* vec_seal is the bare AEAD: `in` sealed, or absent after a difference. */
nacre_bytes vec_seal(vec_run *run, int alg, nacre_bytes key, nacre_bytes nonce, nacre_bytes aad, nacre_bytes in);
nacre_bytes vec_nonce(vec_run *run, int alg, nacre_bytes common_iv, nacre_bytes id_piv, nacre_bytes partial_iv);
nacre_bytes vec_partial_iv(vec_run *run, uint64_t number);
uint64_t vec_partial_iv_number(nacre_bytes partial_iv);

/* ---- Contexts and exchanges: exchange.c ---- */
typedef struct vec_context {
    nacre_context ctx;
    void *keys;
} vec_context;
bool vec_context_open(vec_run *run, vec_context *c, const nacre_context_params *params);
void vec_context_close(vec_context *c);
nacre_context_params vec_swapped(nacre_context_params params); /* the other end's view */
nacre_context_params vec_from(nacre_context_params params, uint64_t next_seq);
nacre_context_params vec_params(vec_run *run, yajl_val object, const char *alg, const char *sender,
                                const char *recipient, nacre_hash hash);
bool vec_hash_of_hkdf(vec_run *run, yajl_val object, nacre_hash *hash); /* the member "hkdf": "HKDF SHA-256" … */

/* What a context derived, against the expected keys: info, HKDF, and the keys that the context prepared. */
typedef struct vec_derived {
    nacre_bytes info_sender_key, info_recipient_key, info_common_iv; /* absent: not given */
    nacre_bytes sender_key, recipient_key, common_iv;
} vec_derived;
void vec_check_derived(vec_run *run, const nacre_context_params *params, const vec_derived *expected);

/* One request from a client (whose parameters are given) with that Partial IV, verified by a server: both identities. */
typedef struct vec_exchange {
    vec_context client, server;
    nacre_request_id at_client, at_server;
} vec_exchange;
bool vec_exchange_open(vec_run *run, vec_exchange *x, const nacre_context_params *client, uint64_t request_piv,
                       uint64_t server_next_seq);
void vec_exchange_close(vec_exchange *x);

/* Protect `plain` in its own way and compare with `datagram`; unprotect `datagram` and compare with `plain`. */
void vec_check_request(vec_run *run, const nacre_context_params *client, uint64_t seq,
                       const nacre_protect_options *options, nacre_bytes plain, nacre_bytes datagram,
                       nacre_bytes unprotected);
typedef struct vec_response {
    nacre_bytes request_piv;
    nacre_bytes partial_iv; /* absent: the request's nonce */
    bool send_kid;
    nacre_bytes plain;       /* to be protected, the outer Observe value in its Observe option */
    nacre_bytes datagram;    /* as protect makes it */
    nacre_bytes unprotected; /* as unprotect gives it, Observe left out */
    bool has_observe;
    nacre_bytes received; /* a further datagram that unprotects to the same; absent: none */
} vec_response;
void vec_check_response(vec_run *run, const nacre_context_params *client, const vec_response *r);

/* Recovery of the replay window by Echo, RFC 8613 B.1.2. */
typedef struct vec_recovery {
    nacre_bytes echo;
    uint64_t client_seq, server_seq;
    nacre_bytes request1, response1, request2, request2_plain;
    nacre_bytes response2, response2_plain; /* absent: not looked at */
} vec_recovery;
/* On success the server is left open for the caller, who closes it in any case. */
bool vec_check_recovery(vec_run *run, vec_context *server, const nacre_context_params *client, const vec_recovery *r);

/* Messages. vec_parse makes a difference of one that is malformed. */
bool vec_parse(vec_run *run, const char *what, nacre_bytes datagram, nacre_message *m);
nacre_bytes vec_write(vec_run *run, const nacre_message *m);
/* vec_without makes a copy of a message without the options that `drop` names. */
nacre_bytes vec_without(vec_run *run, const nacre_message *m, bool (*drop)(const nacre_option *opt));
bool vec_is_observe(const nacre_option *opt);

/* ---- Files: a function for each kind ---- */
void vec_rfc8613(vec_run *run, yajl_val root);
void vec_oscore_vectors_1(vec_run *run, yajl_val root);
void vec_derived_json(vec_run *run, yajl_val root);
void vec_rfc9529(vec_run *run, yajl_val root);
void vec_rfc9529_invalid(vec_run *run, yajl_val root, const nacre_pk *pk);

#endif
