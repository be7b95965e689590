/* SPDX-License-Identifier: MIT */
/* unprotect_request: the server's side (RFC 8613 8.2). The input is the plaintext and the outer options of a request,
 * which the target encrypts with the client's key, so that the code that follows the tag check is reached; the target
 * computes the expected result itself. In raw mode the input is the datagram. In both, a failing call changes nothing,
 * and nothing is accepted twice.
 *
 *     0            flags: 1 raw, 2 with ID Context, 4 window unknown, 8 kid context sent, 16 flip one byte,
 *                  32 another kid
 *     1 … 5        the sequence number
 *     6, 7         length of token (modulo 9), length of outer options
 *     …            token, outer options, and the rest is the plaintext */
#include "fuzz.h"

#include "coap/message.h"

enum { RAW = 1, ID_CONTEXT = 2, UNKNOWN = 4, KID_CONTEXT = 8, SPOIL = 16, OTHER_KID = 32 };

static nacre_err unprotect(nacre_context *server, nacre_message *plain, const nacre_message *outer,
                           nacre_bytes datagram)
{
    nacre_request_id id, id_before;
    nacre_message plain_before;
    const nacre_context before = *server;
    memset(&id, 0x5a, sizeof id);
    memset(plain, 0x5a, sizeof *plain);
    memcpy(&id_before, &id, sizeof id);
    memcpy(&plain_before, plain, sizeof *plain);
    nacre_buf buf = fuzz_buf(datagram.len);
    nacre_err err = nacre_unprotect_request(server, fuzz_crypto(), &id, plain, buf, outer);
    if (err != NACRE_OK) CHECK(fuzz_is_clean(buf));
    if (err != NACRE_OK) {
        CHECK(fuzz_unchanged(&before, server));
        CHECK(memcmp(plain, &plain_before, sizeof *plain) == 0);
    }
    if (err != NACRE_OK && err != NACRE_ERR_REPLAY_ECHO) CHECK(memcmp(&id, &id_before, sizeof id) == 0);
    return err;
}

static void replay(nacre_context *server, const nacre_message *outer, nacre_bytes datagram)
{
    nacre_message plain;
    CHECK(unprotect(server, &plain, outer, datagram) == NACRE_ERR_REPLAY);
}

static void raw(fuzz_input *in, nacre_context *server)
{
    nacre_message outer, plain;
    nacre_bytes datagram = fuzz_rest(in);
    if (nacre_message_parse(&outer, datagram) != NACRE_OK) return;
    if (unprotect(server, &plain, &outer, datagram) != NACRE_OK) return;
    CHECK(nacre_code_is_request(plain.code));
    replay(server, &outer, datagram);
}

/* The expected result once the tag has verified. */
static nacre_err judge(nacre_message *inner, nacre_bytes plaintext, const nacre_context *server)
{
    if (plaintext.len == 0 || !nacre_code_is_request(plaintext.ptr[0])) return NACRE_ERR_PROTECTION_INVALID;
    inner->code = plaintext.ptr[0];
    nacre_bytes body = { plaintext.ptr + 1, plaintext.len - 1 };
    uint32_t seen;
    if (!nacre__body_parse(body, &inner->options, &inner->payload, &seen)) return NACRE_ERR_PROTECTION_INVALID;
    if (!nacre_is_absent(nacre_option_find(inner->options, NACRE_OPT_OSCORE))) return NACRE_ERR_PROTECTION_INVALID;
    nacre_bytes echo = nacre_option_find(inner->options, NACRE_OPT_ECHO);
    return server->replay.known || fuzz_same(echo, NACRE_ARRAY(fuzz_echo)) ? NACRE_OK : NACRE_ERR_REPLAY_ECHO;
}

static void sealed(fuzz_input *in, uint8_t flags, const nacre_context *client, nacre_context *server)
{
    uint64_t seq = fuzz_uint(in, 5);
    size_t token_len = fuzz_u8(in) % 9u, outer_len = fuzz_u8(in);
    nacre_bytes token = fuzz_take(in, token_len), outer = fuzz_take(in, outer_len), plaintext = fuzz_rest(in);
    if (!fuzz_well_formed(outer)) outer.len = 0;
    nacre_bytes kid = nacre_context_sender_id(client), piv = fuzz_partial_iv(seq);
    nacre_oscore_option option = { piv,
                                   flags & KID_CONTEXT ? NACRE_STR("\x37\xcb\xf3\x21\x00\x17\xa2\xd3") : NACRE_ABSENT,
                                   flags & OTHER_KID ? NACRE_STR("x") : kid };
    nacre_bytes value;
    CHECK(nacre_oscore_option_write(&option, &value, fuzz_buf(32)) == NACRE_OK);
    fuzz_sealed s = fuzz_seal(client, kid, piv, kid, piv, plaintext, outer, value, NACRE_POST, token);

    nacre_message inner, plain;
    nacre_err expected = judge(&inner, plaintext, server);
    if (flags & SPOIL) {
        ((uint8_t *)(uintptr_t)s.datagram.ptr)[s.datagram.len - 1 - seq % s.message.payload.len] ^= 1;
        expected = NACRE_ERR_PROTECTION_INVALID;
    }
    bool names = !(flags & OTHER_KID) && (!(flags & KID_CONTEXT) || !nacre_is_absent(nacre_context_id_context(server)));
    if (!names) expected = NACRE_ERR_NO_CONTEXT;
    if (!nacre_is_absent(nacre_option_find(outer, NACRE_OPT_OSCORE))) expected = NACRE_ERR_DECODE; /* a second time */
    bool was_known = server->replay.known;
    nacre_err err = unprotect(server, &plain, &s.message, s.datagram);
    CHECK(err == expected);
    if (err != NACRE_OK) return;
    CHECK(plain.code == inner.code && plain.mid == s.message.mid && plain.type == s.message.type);
    CHECK(fuzz_same(plain.token, token) && fuzz_same(plain.payload, inner.payload));
    fuzz_check_merged(plain.options, inner.options, outer);
    CHECK(nacre_replay_check(&server->replay, seq) == NACRE_ERR_REPLAY);
    CHECK(seq == NACRE_SEQ_MAX || nacre_replay_check(&server->replay, seq + 1) == NACRE_OK);
    if (seq > 0 && was_known && seq < NACRE_REPLAY_DEFAULT)
        CHECK(nacre_replay_check(&server->replay, seq - 1) == NACRE_OK);
    replay(server, &s.message, s.datagram);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = { data, data + size };
    uint8_t flags = fuzz_u8(&in);
    fuzz_pair pair = fuzz_contexts(flags & ID_CONTEXT ? 3 : 1);
    if (flags & UNKNOWN) CHECK(nacre_context_set_replay(&pair.server, false, 0, NULL, 0) == NACRE_OK);
    if (flags & RAW) raw(&in, &pair.server);
    else sealed(&in, flags, &pair.client, &pair.server);
    fuzz_release();
    return 0;
}
