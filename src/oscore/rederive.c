/* SPDX-License-Identifier: MIT */
/* rederive: the two exchanges of RFC 8613 B.2, client and server. Message flow: rederive.h. */
#include "oscore/offer.h"
#include "oscore/unprotect.h"
#include <string.h>

enum { N = NACRE_REDERIVE_NONCE, R2_R3 = NACRE_REDERIVE_R2 + N, CBOR_BYTES = 0x40, ONE_BYTE_LEN = 0x18 };

/* ---- Both roles -------------------------------------------------------------------------------------------------- */

/* A volatile context whose numbers and window start empty. `with` is wiped first if it held one. */
static nacre_err derive_with(nacre_rederived *with, const nacre_crypto *crypto, const nacre_context_params *material,
                             nacre_bytes id_context)
{
    nacre_context_params p = *material;
    nacre_context_wipe(&with->context);
    p.id_context = id_context;
    p.next_seq = 0;
    p.persistent = false;
    p.echo = NACRE_ABSENT;
    p.window_words = NULL;
    if (p.window > 64) p.window = 64; /* larger ones need memory from the caller */
    return nacre_context_init(&with->context, crypto, &p, with->key_buf);
}

/* A context whose ID Context is a | b, raw (RFC 8613 B.2). */
static nacre_err derive(nacre_rederived *with, const nacre_crypto *crypto, const nacre_context_params *material,
                        nacre_bytes a, nacre_bytes b)
{
    memcpy(with->id_context, a.ptr, a.len);
    if (b.len > 0) memcpy(with->id_context + a.len, b.ptr, b.len);
    return derive_with(with, crypto, material, nacre_bytes_of(with->id_context, a.len + b.len));
}

/* Moves the context in `from` to `to`, with its key_buf, and wipes the former content of `to`. */
static void take_over(nacre_rederived *to, nacre_rederived *from)
{
    nacre_rederived held = *to;
    *to = *from;
    *from = held;
    to->context.id_context = to->id_context;
    nacre_context_wipe(&from->context);
    nacre_wipe(&held, sizeof held);
}

/* The bytes inside the kid context field, which is a CBOR byte string in its shortest form (RFC 8949 4.2.1); absent
 * otherwise. */
static nacre_bytes unwrap(nacre_bytes field)
{
    const size_t head = field.len > ONE_BYTE_LEN ? 2 : 1;
    if (field.len < head) return NACRE_ABSENT;
    const size_t len = field.len - head;
    const bool fits = head == 1
                          ? field.ptr[0] == (CBOR_BYTES | len)
                          : field.ptr[0] == (CBOR_BYTES | ONE_BYTE_LEN) && field.ptr[1] == len && len >= ONE_BYTE_LEN;
    return fits && len > 0 ? nacre_bytes_of(field.ptr + head, len) : NACRE_ABSENT;
}

static nacre_bytes unwrap_of(nacre_bytes field, size_t len)
{
    const nacre_bytes inside = unwrap(field);
    return inside.len == len ? inside : NACRE_ABSENT;
}

/* The inverse; returns the field's length. */
static size_t wrap(uint8_t *field, const uint8_t *id, size_t len)
{
    uint8_t *at = field;
    *at++ = (uint8_t)(CBOR_BYTES | (len < ONE_BYTE_LEN ? len : ONE_BYTE_LEN));
    if (len >= ONE_BYTE_LEN) *at++ = (uint8_t)len;
    memcpy(at, id, len);
    return (size_t)(at - field) + len;
}

static const nacre__unprotect_how wrapped = { .any_kid_context = true };

/* ---- Client ---- */

static void set_field(nacre_rederive_client *client, const uint8_t *id, size_t len)
{
    client->field_len = (uint8_t)wrap(client->field, id, len);
}

static void wait_for_response(nacre_rederive_client *client, const nacre_context_params *material,
                              const nacre_context *first)
{
    nacre_bytes id_1 = nacre_context_id_context(first);
    client->material = material;
    if (id_1.len > 0) memcpy(client->id_1, id_1.ptr, id_1.len);
    client->id_1_len = (uint8_t)id_1.len;
    memcpy(client->common_iv, first->common_iv, sizeof client->common_iv);
    client->field_len = 0;
    client->waiting = true;
}

nacre_err nacre_rederive_begin(nacre_rederive_client *client, nacre_rederived *derived, const nacre_crypto *crypto,
                               const nacre_context_params *material, const uint8_t r1[N])
{
    nacre_err err = derive(derived, crypto, material, nacre_bytes_of(r1, N), NACRE_ABSENT);
    if (err != NACRE_OK) return err;
    wait_for_response(client, material, &derived->context);
    set_field(client, r1, N);
    return NACRE_OK;
}

nacre_err nacre_rederive_follow(nacre_rederive_client *client, const nacre_context_params *material,
                                const nacre_context *first)
{
    if (nacre_context_id_context(first).len > N) return NACRE_ERR_BAD_ARGUMENT;
    wait_for_response(client, material, first);
    return NACRE_OK;
}

nacre_protect_options nacre_rederive_options(const nacre_rederive_client *client)
{
    nacre_protect_options options = { .kid_context_choice = NACRE_KID_CONTEXT_GIVEN,
                                      .kid_context = { client->field, client->field_len } };
    return options;
}

nacre_err nacre_rederive_response(nacre_rederive_client *client, nacre_rederived *derived, nacre_rederived *spare,
                                  nacre_buf buf, const nacre_rederive_response_1 *response)
{
    const nacre_crypto *crypto = response->crypto;
    const nacre_message *outer = response->outer;
    nacre_oscore_option option;
    if (!client->waiting) return NACRE_ERR_BAD_ARGUMENT;
    nacre_err err = nacre_verify_start(&option, outer);
    if (err != NACRE_OK) return err;
    nacre_bytes r2 = unwrap(option.kid_context); /* RFC 8613 B.2: its length is the server's choice */
    if (nacre_is_absent(r2) || r2.len > NACRE_REDERIVE_MAX_R2) return NACRE_ERR_NO_CONTEXT;

    nacre_message plain;
    const nacre__unprotect_how how = { .any_kid_context = true, .request_common_iv = client->common_iv };
    err = derive(spare, crypto, client->material, r2, nacre_bytes_of(client->id_1, client->id_1_len));
    if (err == NACRE_OK)
        err = nacre__unprotect_response(&spare->context, crypto, response->request, &plain, NULL, buf, outer, &how);
    if (err == NACRE_OK) {
        nacre_wipe(buf.ptr, buf.cap);
        err = derive(spare, crypto, client->material, r2, nacre_bytes_of(response->r3, N));
    }
    if (err != NACRE_OK) {
        nacre_context_wipe(&spare->context);
        return err;
    }
    take_over(derived, spare);
    set_field(client, derived->id_context, r2.len + N);
    client->waiting = false;
    return NACRE_OK;
}

/* ---- Server ---- */

void nacre_rederive_server_init(nacre_rederive_server *server, const uint8_t key[NACRE_REDERIVE_KEY],
                                uint32_t lifetime_ms)
{
    memcpy(server->key, key, NACRE_REDERIVE_KEY);
    server->generation = 0;
    server->lifetime_ms = lifetime_ms;
}

void nacre_rederive_void_offers(nacre_rederive_server *server)
{
    server->generation++;
}

nacre_rederive_step nacre_rederive_recognise(const nacre_oscore_option *option)
{
    if (!nacre_is_absent(unwrap_of(option->kid_context, N))) return NACRE_REDERIVE_REQUEST_1;
    if (!nacre_is_absent(unwrap_of(option->kid_context, R2_R3))) return NACRE_REDERIVE_REQUEST_2;
    return NACRE_REDERIVE_NONE;
}

static nacre_err write_response_1(nacre_rederived *spare, const nacre_crypto *crypto, nacre_request_id *id,
                                  nacre_bytes *out, nacre_buf buf, const nacre_message *header, nacre_bytes r2)
{
    uint8_t field[2 + NACRE_REDERIVE_MAX_R2];
    nacre_message plain = {
        .type = header->type, .code = NACRE_UNAUTHORIZED, .mid = header->mid, .token = header->token
    };
    nacre_protect_options how = { .kid_context_choice = NACRE_KID_CONTEXT_GIVEN,
                                  .kid_context = { field, wrap(field, r2.ptr, r2.len) },
                                  .nonce = NACRE_NONCE_REQUEST };
    return nacre_protect_response(&spare->context, crypto, id, out, buf, &plain, &how);
}

nacre_err nacre__rederive_response_1(nacre_rederived *spare, nacre_bytes *out, nacre_buf buf,
                                     const nacre_rederive_request_1 *request, nacre_bytes r2)
{
    const nacre_crypto *crypto = request->crypto;
    const nacre_context_params *material = request->material;
    nacre_oscore_option option;
    nacre_message plain;
    nacre_request_id id;
    nacre_err err = nacre_verify_start(&option, request->outer);
    if (err != NACRE_OK) return err;
    nacre_bytes id_1 = request->ordinary ? material->id_context : unwrap_of(option.kid_context, N);
    if (id_1.len > N) return NACRE_ERR_BAD_ARGUMENT;
    if (nacre_is_absent(id_1) && !request->ordinary) return NACRE_ERR_NO_CONTEXT;

    err = derive_with(spare, crypto, material, id_1);
    if (err == NACRE_OK)
        err =
            nacre__unprotect_request(&spare->context, crypto, &id, &plain, request->scratch, request->outer, &wrapped);
    if (err == NACRE_OK) {
        uint8_t common_iv[NACRE_MAX_NONCE];
        nacre_wipe(request->scratch.ptr, request->scratch.cap);
        memcpy(common_iv, spare->context.common_iv, sizeof common_iv);
        err = derive(spare, crypto, material, r2, id_1);
        /* Response #1 has the nonce of request #1, byte for byte, with the Common IV of context 1: as in other
         * implementations, not all of which accept a Partial IV here. Safe, because the key is new with each R2 and protects
         * only this message. */
        if (err == NACRE_OK) memcpy(spare->context.common_iv, common_iv, sizeof common_iv);
        nacre_wipe(common_iv, sizeof common_iv);
    }
    if (err == NACRE_OK) err = write_response_1(spare, crypto, &id, out, buf, request->header, r2);
    nacre_context_wipe(&spare->context);
    return err;
}

nacre_err nacre_rederive_offer_r2(const nacre_rederive_server *server, nacre_rederived *spare, nacre_bytes *out,
                                  nacre_buf buf, const nacre_rederive_request_1 *request)
{
    uint8_t r2[NACRE_REDERIVE_R2];
    const nacre_err err = nacre__offer_make(server, request->crypto, r2, request->s2, request->now_ms);
    if (err != NACRE_OK) return err;
    return nacre__rederive_response_1(spare, out, buf, request, NACRE_ARRAY(r2));
}

nacre_err nacre__rederive_take_2(nacre_rederived *derived, nacre_rederived *spare, nacre_request_id *id,
                                 nacre_message *plain, nacre_buf buf, const nacre_rederive_request_2 *request,
                                 nacre_bytes r2_r3)
{
    nacre_request_id verified;
    nacre_err err = derive(spare, request->crypto, request->material, r2_r3, NACRE_ABSENT);
    if (err == NACRE_OK)
        err =
            nacre__unprotect_request(&spare->context, request->crypto, &verified, plain, buf, request->outer, &wrapped);
    if (err != NACRE_OK) {
        nacre_context_wipe(&spare->context);
        return err;
    }
    take_over(derived, spare);
    verified.context = &derived->context; /* the right to the nonce moves with the keys */
    *id = verified;
    return NACRE_OK;
}

bool nacre__offer_is_named(const nacre_rederive_server *server, const nacre_crypto *crypto,
                           const nacre_oscore_option *option, uint64_t now_ms)
{
    const nacre_bytes r2_r3 = unwrap_of(option->kid_context, R2_R3);
    return !nacre_is_absent(r2_r3) && nacre__offer_check(server, crypto, r2_r3.ptr, now_ms) == NACRE_OK;
}

nacre_err nacre_rederive_accept(nacre_rederive_server *server, nacre_rederived *derived, nacre_rederived *spare,
                                nacre_request_id *id, nacre_message *plain, nacre_buf buf,
                                const nacre_rederive_request_2 *request)
{
    nacre_oscore_option option;
    nacre_err err = nacre_verify_start(&option, request->outer);
    if (err != NACRE_OK) return err;
    const nacre_bytes r2_r3 = unwrap_of(option.kid_context, R2_R3);
    if (nacre_is_absent(r2_r3)) return NACRE_ERR_NO_CONTEXT;
    err = nacre__offer_check(server, request->crypto, r2_r3.ptr, request->now_ms);
    if (err == NACRE_OK) err = nacre__rederive_take_2(derived, spare, id, plain, buf, request, r2_r3);
    if (err == NACRE_OK) nacre_rederive_void_offers(server); /* a copy of this request must fail */
    return err;
}
