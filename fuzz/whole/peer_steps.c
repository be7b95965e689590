/* SPDX-License-Identifier: MIT */
/* peer_steps: steps of the peer. */
#include "world.h"

void whole_anything_arrives(void)
{
    const uint8_t from = fuzz_u8(w.in);
    whole_receive(from, fuzz_take(w.in, fuzz_u8(w.in)));
}

void whole_peer_sends(uint8_t by, nacre_bytes datagram, bool arrives)
{
    const size_t at = w.num_made < MAX_MADE ? w.num_made++ : w.now % MAX_MADE;
    w.made[at] = datagram;
    w.made_by[at] = by;
    if (arrives) whole_receive(by, datagram);
}

/* bits of `kind`: 1, 2 Observe; 4 NON; 8 unprotected; 16 lost; the rest: the token */
void whole_peer_requests(void)
{
    static const uint8_t codes[] = { NACRE_GET, NACRE_GET, NACRE_FETCH, NACRE_PUT, NACRE_POST, NACRE_DELETE };
    const uint8_t from = fuzz_u8(w.in), kind = fuzz_u8(w.in);
    nacre_request_id id;
    nacre_bytes out;
    const uint8_t token[] = { 't', kind >> 5 };
    nacre_message m = { .type = kind & 4 || (from & 3) == 3 ? NACRE_NON : NACRE_CON,
                        .code = codes[fuzz_u8(w.in) % sizeof codes],
                        .mid = w.mid++,
                        .token = NACRE_ARRAY(token) };
    m.options = whole_options(true, whole_observe_of(kind));
    m.payload = whole_payload();
    if (m.payload.len > 320) m.payload.len = 320; /* may exceed MAX_MESSAGE */
    nacre_err err = kind & 8 ? nacre_message_write(&m, &out, fuzz_buf(2000))
                             : nacre_protect_request(&w.peer, fuzz_crypto(), &id, &out, fuzz_buf(2000), &m, NULL);
    if (err == NACRE_OK) whole_peer_sends(from, out, !(kind & 16));
}

/* The same datagram again, with another message ID, or with one bit flipped. */
void whole_peer_repeats(void)
{
    const uint8_t which = fuzz_u8(w.in), how = fuzz_u8(w.in);
    if (w.num_made == 0) return;
    const nacre_bytes datagram = fuzz_copy(w.made[which % w.num_made]);
    uint8_t *bytes = (uint8_t *)(uintptr_t)datagram.ptr;
    if (how & 4 && datagram.len >= 4) bytes[3] ^= 0x80;
    if (how & 8) bytes[fuzz_u8(w.in) % datagram.len] ^= (uint8_t)(1 << (how >> 4 & 7));
    whole_receive(how & 1 ? how >> 1 : w.made_by[which % w.num_made], datagram);
}

/* ACK or RST for a message sent. */
void whole_peer_settles(void)
{
    const uint8_t which = fuzz_u8(w.in), how = fuzz_u8(w.in);
    nacre_message m;
    nacre_bytes out;
    if (w.num_sent == 0) return;
    CHECK(nacre_message_parse(&m, w.sent[which % w.num_sent]) == NACRE_OK);
    m = (nacre_message){ .type = how & 1 ? NACRE_RST : NACRE_ACK, .mid = m.mid };
    CHECK(nacre_message_write(&m, &out, fuzz_buf(MAX_MESSAGE)) == NACRE_OK);
    whole_receive(how & 2 ? how >> 2 : w.sent_to[which % w.num_sent], out);
}

/* The peer responds to a request of the endpoint, as often as the input says; with bit 8, an unprotected response. */
void whole_peer_responds(void)
{
    static const uint8_t codes[] = { NACRE_CONTENT,    NACRE_CONTENT,   NACRE_CHANGED,    NACRE_CONTINUE,
                                     NACRE_INCOMPLETE, NACRE_TOO_LARGE, NACRE_CODE(4, 1), NACRE_NOT_FOUND };
    const uint8_t which = fuzz_u8(w.in), kind = fuzz_u8(w.in);
    nacre_message outer, plain, m;
    nacre_request_id id;
    nacre_bytes out;
    nacre_err err;
    if (w.num_sent == 0) return;
    const nacre_bytes sent = w.sent[which % w.num_sent];
    const uint8_t from = w.sent_to[which % w.num_sent];
    CHECK(nacre_message_parse(&outer, sent) == NACRE_OK);
    if (!nacre_code_is_request(outer.code)) return;
    const bool con = kind & 16, ack = kind & 4;
    m = (nacre_message){ .type = ack && outer.type == NACRE_CON ? NACRE_ACK
                                 : con && (from & 3) != 3       ? NACRE_CON
                                                                : NACRE_NON,
                         .code = codes[fuzz_u8(w.in) % sizeof codes],
                         .mid = ack ? outer.mid : w.mid++,
                         .token = outer.token };
    const int observe = kind & 1 ? fuzz_u8(w.in) : -1;
    m.options = whole_options(false, observe);
    m.payload = whole_payload();
    if (m.payload.len > 320) m.payload.len = 320; /* may exceed MAX_MESSAGE */
    CHECK(nacre_context_set_replay(&w.peer, true, 0, NULL, 0) ==
          NACRE_OK); /* resets the window: one request may be answered several times */
    if (!(kind & 8) &&
        nacre_unprotect_request(&w.peer, fuzz_crypto(), &id, &plain, fuzz_buf(sent.len), &outer) == NACRE_OK) {
        const nacre_protect_options how = { .nonce = kind & 32 ? NACRE_NONCE_NEW : NACRE_NONCE_AUTO };
        err = nacre_protect_response(&w.peer, fuzz_crypto(), &id, &out, fuzz_buf(2000), &m, &how);
    } else {
        err = nacre_message_write(&m, &out, fuzz_buf(2000));
    }
    if (err == NACRE_OK) whole_peer_sends(from, out, !(kind & 64));
}
