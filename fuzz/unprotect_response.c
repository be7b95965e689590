/* SPDX-License-Identifier: MIT */
/* unprotect_response: a client's side (RFC 8613 8.4), with the same two modes as unprotect_request. A response is bound
 * to its request: a response to another request never verifies.
 *
 *     0            flags: 1 raw, 2 with ID Context, 4 a Partial IV of its own, 8 kid context sent, 16 flip one byte,
 *                  32 kid sent, 64 the response to another request
 *     1 … 5        the sequence number
 *     6            length of outer options
 *     …            outer options, and the rest is the plaintext */
#include "fuzz.h"

#include "coap/message.h"
#include "oscore/request_id.h"

enum { RAW = 1, ID_CONTEXT = 2, RESPONSE_PIV = 4, KID_CONTEXT = 8, SPOIL = 16, KID = 32, OTHER_REQUEST = 64 };

static nacre_err unprotect(nacre_context *client, const nacre_request_id *id, nacre_message *plain,
                           nacre_response_info *info, const nacre_message *outer, nacre_bytes datagram)
{
    nacre_message plain_before;
    nacre_response_info info_before;
    const nacre_context before = *client;
    memset(plain, 0x5a, sizeof *plain);
    memset(info, 0x5a, sizeof *info);
    memcpy(&plain_before, plain, sizeof *plain);
    memcpy(&info_before, info, sizeof *info);
    nacre_buf buf = fuzz_buf(datagram.len);
    nacre_err err = nacre_unprotect_response(client, fuzz_crypto(), id, plain, info, buf, outer);
    if (err != NACRE_OK) CHECK(fuzz_is_clean(buf));
    CHECK(fuzz_unchanged(&before, client));
    if (err == NACRE_OK) {
        CHECK(before.failed == client->failed && nacre_code_is_response(plain->code));
        return err;
    }
    CHECK(memcmp(plain, &plain_before, sizeof *plain) == 0);
    CHECK(memcmp(info, &info_before, sizeof *info) == 0);
    return err;
}

static bool readable(nacre_message *inner, nacre_bytes plaintext)
{
    if (plaintext.len == 0 || !nacre_code_is_response(plaintext.ptr[0])) return false;
    inner->code = plaintext.ptr[0];
    nacre_bytes body = { plaintext.ptr + 1, plaintext.len - 1 };
    uint32_t seen;
    return nacre__body_parse(body, &inner->options, &inner->payload, &seen) &&
           nacre_is_absent(nacre_option_find(inner->options, NACRE_OPT_OSCORE));
}

static void sealed(fuzz_input *in, uint8_t flags, fuzz_pair *pair, const nacre_request_id *id)
{
    uint64_t seq = fuzz_uint(in, 5);
    nacre_bytes outer = fuzz_take(in, fuzz_u8(in)), plaintext = fuzz_rest(in), value;
    if (!fuzz_well_formed(outer)) outer.len = 0;
    bool response_piv = flags & RESPONSE_PIV;
    nacre_bytes kid = nacre__request_kid(id), request_piv = nacre__request_piv(id);
    if (flags & OTHER_REQUEST) request_piv = fuzz_partial_iv(seq | 1);
    nacre_bytes server_id = nacre_context_sender_id(&pair->server);
    nacre_oscore_option option = { response_piv ? fuzz_partial_iv(seq) : NACRE_ABSENT,
                                   flags & KID_CONTEXT ? NACRE_STR("\x37\xcb\xf3\x21\x00\x17\xa2\xd3") : NACRE_ABSENT,
                                   flags & KID ? server_id : NACRE_ABSENT };
    CHECK(nacre_oscore_option_write(&option, &value, fuzz_buf(32)) == NACRE_OK);
    fuzz_sealed s =
        fuzz_seal(&pair->server, response_piv ? server_id : kid, response_piv ? option.partial_iv : request_piv, kid,
                  request_piv, plaintext, outer, value, NACRE_CHANGED, NACRE_STR("\x4a"));

    nacre_message inner, plain;
    nacre_response_info info;
    nacre_err expected = readable(&inner, plaintext) ? NACRE_OK : NACRE_ERR_PROTECTION_INVALID;
    if (flags & SPOIL) ((uint8_t *)(uintptr_t)s.datagram.ptr)[s.datagram.len - 1 - seq % s.message.payload.len] ^= 1;
    if (flags & (SPOIL | OTHER_REQUEST)) expected = NACRE_ERR_PROTECTION_INVALID;
    if ((flags & KID_CONTEXT) && nacre_is_absent(nacre_context_id_context(&pair->client)))
        expected = NACRE_ERR_NO_CONTEXT;
    if (!nacre_is_absent(nacre_option_find(outer, NACRE_OPT_OSCORE))) expected = NACRE_ERR_DECODE; /* a second time */
    nacre_err err = unprotect(&pair->client, id, &plain, &info, &s.message, s.datagram);
    CHECK(err == expected);
    if (err != NACRE_OK) return;
    CHECK(info.has_partial_iv == response_piv && (!response_piv || info.partial_iv == seq));
    CHECK(plain.code == inner.code && fuzz_same(plain.payload, inner.payload));
    fuzz_check_merged(plain.options, inner.options, outer);
}

static void raw(fuzz_input *in, nacre_context *client, const nacre_request_id *id)
{
    nacre_message outer, plain;
    nacre_response_info info;
    nacre_bytes datagram = fuzz_rest(in);
    if (nacre_message_parse(&outer, datagram) == NACRE_OK) (void)unprotect(client, id, &plain, &info, &outer, datagram);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = { data, data + size };
    uint8_t flags = fuzz_u8(&in);
    fuzz_pair pair = fuzz_contexts(flags & ID_CONTEXT ? 3 : 1);
    nacre_request_id id;
    nacre__request_id_make(&id, &pair.client, pair.client.sender_id, pair.client.sender_id_len, 0x14, 0); /* C.7 */
    if (flags & RAW) raw(&in, &pair.client, &id);
    else sealed(&in, flags, &pair, &id);
    fuzz_release();
    return 0;
}
