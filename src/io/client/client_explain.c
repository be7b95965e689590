/* SPDX-License-Identifier: MIT */
/* client_explain: the error text of a request that failed. */
#include "io/client/client_internal.h"
#include "io/tcp_internal.h"
#include "base/hosted/detail.h"

#include <string.h>

/* A context is stopped when another program may use its state; the text of its store says since when and why. */
static bool explain_stopped(const nacre__call *call, nacre_detail *why)
{
    nacre_stored ignored;
    const nacre__key *key =
        call->to.ctx != NULL ? nacre__context_set_find(&call->client->context_set, call->to.ctx) : NULL;
    return key != NULL && key->store.ops != NULL && nacre_context_is_stopped(call->to.ctx) &&
           nacre_store_load(&key->store, &ignored, why) == NACRE_ERR_LOCKED;
}

/* RFC 8613 8.2: the diagnostic of a server that refuses a protected request, and which side to check if it is genuine. */
static const char *hint(nacre_bytes diagnostic)
{
    static const struct {
        const char *said, *hint;
    } hints[] = {
        { "Security context not found",
          "; if it is the peer's, look at the peer: none of its contexts has as Recipient ID "
          "the Sender ID of this one, and the same ID Context" },
        { "Decryption failed",
          "; if it is the peer's, compare both sides: secret, salt, algorithm or ID Context differ" },
        { "Replay detected",
          "; if it is the peer's, look at this side: its sequence numbers were used before, as after a "
          "restored backup" },
    };
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        const nacre_bytes said = nacre_bytes_of((const uint8_t *)hints[i].said, strlen(hints[i].said));
        if (nacre_bytes_equal(diagnostic, said)) return hints[i].hint;
    }
    return "";
}

/* RFC 8613 8.2; RFC 7959 4: Size1 in a 4.13 is the longest message that the server accepts. */
static nacre_err explain_unauthenticated(const nacre__call *call, const char *peer, nacre_detail *why)
{
    char buf[5];
    uint64_t size = 0;
    const nacre_err err = NACRE_ERR_UNAUTHENTICATED;
    const nacre_bytes size1 = nacre_option_find(call->reply.options, NACRE_OPT_SIZE1);
    const char *code = nacre_code_name(call->reply.code, buf);
    if (call->reply.code == NACRE_TOO_LARGE && size1.len > 0 && nacre_option_uint(size1, &size))
        return nacre__fail(why, err,
                           "%s answered %s without protection, so it is not verified: the server takes at most "
                           "%llu bytes a message; send smaller blocks",
                           peer, code, (unsigned long long)size);
    const char *look_at = call->reply.code == NACRE_UNAVAILABLE
                              ? "; if it is the peer's, its context is stopped or its store fails: its log says why"
                              : hint(call->reply.payload);
    return nacre__fail(why, err, "%s answered %s without protection, so it cannot be verified%s", peer, code, look_at);
}

/* NACRE_ERR_OVERSIZED, not the caller's NACRE_ERR_TOO_LONG: the request was sent, so the peer chose the length. */
static nacre_err explain_long_exchange(const nacre__call *call, const char *peer, nacre_detail *why)
{
    if (call->has_response)
        return nacre__fail(why, NACRE_ERR_OVERSIZED, "the answer from %s is longer than the %zu bytes that are taken",
                           peer, call->client->options.limits.max_body);
    return nacre__fail(why, NACRE_ERR_OVERSIZED,
                       "%s takes or sends blocks so small that the body needs more than there can be (RFC 7959)", peer);
}

/* A connection that ended before the response, or during the observation. */
static const char *end_moment(const nacre__call *call)
{
    return call->stage == NACRE__OBSERVING ? "" : " before it answered";
}

/* NACRE_ERR_MALFORMED: the peer broke RFC 8323. */
static nacre_err explain_end(const nacre__call *call, const nacre__tcp_end *end, const char *peer, nacre_detail *why)
{
    static const char other_port[] = "; is this the port of coap+tcp, without TLS?";
    const char *colon = end->text[0] != '\0' ? ": " : "", *advice = end->was_silent ? other_port : "";
    switch (end->err) {
    case NACRE_ERR_RESET:
        return nacre__fail(why, NACRE_ERR_RESET, "%s aborted the connection%s%s", peer, colon, end->text);
    case NACRE_ERR_TIMEOUT:
        return nacre__fail(why, NACRE_ERR_TIMEOUT, "%s was too slow on this connection%s%s%s", peer, colon, end->text,
                           advice);
    case NACRE_ERR_UNREACHABLE:
        return nacre__fail(why, NACRE_ERR_UNREACHABLE, "%s closed the connection%s%s%s%s", peer, end_moment(call),
                           colon, end->text, advice);
    default:
        return nacre__fail(why, NACRE_ERR_MALFORMED, "%s does not speak CoAP over TCP (RFC 8323)%s%s%s", peer, colon,
                           end->text, advice);
    case NACRE_ERR_TOO_LONG:
        return nacre__fail(why, NACRE_ERR_MALFORMED,
                           "%s sent a message that is longer than this side announced in its CSM%s%s", peer, colon,
                           end->text);
    }
}

/* Size of the request as one message, or with the smallest block of its body; a lower bound, as block options vary in length. */
static size_t request_size(const nacre__call *call, bool in_blocks)
{
    enum { SMALLEST = 16, BLOCK1 = 2, REQUEST_TAG = 10, OBSERVE = 2 };
    static const uint8_t some[SMALLEST] = { 0 };
    nacre_message m = call->plain;
    m.token = nacre_bytes_of(some, 8);
    if (in_blocks) m.payload = NACRE_ARRAY(some);
    const size_t size = call->to.ctx != NULL ? nacre_protect_size(call->to.ctx, &m, NULL) : nacre_message_size(&m);
    return size + (in_blocks ? BLOCK1 + REQUEST_TAG : 0) + (call->observing != NULL ? OBSERVE : 0);
}

/* RFC 8323 5.3.1: the peer's CSM sets Max-Message-Size; before it arrives the limit is 1152 bytes. */
static nacre_err explain_too_long(const nacre__call *call, nacre_detail *why)
{
    const nacre_err err = NACRE_ERR_TOO_LONG;
    const bool in_blocks = call->source.read != NULL || call->plain.payload.len > NACRE_MAX_BLOCK;
    const bool over_tcp = nacre_address_is_reliable(&call->to.peer);
    const size_t size = request_size(call, in_blocks);
    size_t max = NACRE__CLIENT_MESSAGE;
    if (over_tcp && nacre__tcp_max_message(call->client->tcp, &call->to.peer) < max)
        max = nacre__tcp_max_message(call->client->tcp, &call->to.peer);
    if (call->done && size <= max) return explain_long_exchange(call, call->to.peer_text, why); /* it was sent */
    return nacre__fail(why, err, "the request has %s%zu bytes%s, %s%s %zu: nothing was sent; shorten its options",
                       in_blocks ? "at least " : "", size, call->to.ctx != NULL ? " when protected" : "",
                       over_tcp ? call->to.peer_text : "a datagram may have",
                       over_tcp ? " takes (Max-Message-Size)" : "", max);
}

nacre_err nacre__call_explain(nacre__call *call, nacre_err err, nacre_detail *why)
{
    const char *peer = call->to.peer_text, *dir = call->to.ctx_name != NULL ? call->to.ctx_name : "";
    const char *store = nacre_loop_store_failure(call->client->loop);
    if (err == NACRE_ERR_LOCKED || err == NACRE_ERR_CONTEXT_UNAVAILABLE)
        if (explain_stopped(call, why)) return NACRE_ERR_LOCKED;
    const nacre__tcp_end *end = nacre__tcp_watched_end(&call->watch);
    if (err == NACRE_ERR_UNREACHABLE && end != NULL) return explain_end(call, end, peer, why);
    if (err != NACRE_OK && call->is_given_up)
        return nacre__fail(why, err, "the transfer with %s was given up: its body could not be read or written", peer);
    switch (err) {
    case NACRE_OK: return err;
    case NACRE_ERR_BAD_URI:
        return nacre__fail(why, err, "'%s' cannot go into a protected request; look at its path and query",
                           call->to.text);
    case NACRE_ERR_TIMEOUT:
        if (call->client->stopped && call->on_done == NULL)
            return nacre__fail(why, err, "stopped before the answer from %s came", peer);
        return nacre__fail(why, err, "no answer from %s; is a CoAP server running there%s?", peer,
                           call->to.ctx != NULL ? ", and does it have the other side of this context" : "");
    case NACRE_ERR_UNREACHABLE:
        if (nacre_address_is_reliable(&call->to.peer) && !nacre__tcp_was_refused(&call->watch))
            return nacre__fail(why, err, "%s reset the connection%s", peer, end_moment(call));
        return nacre__fail(why, err, "%s cannot be reached: nothing listens there, or there is no way to it", peer);
    case NACRE_ERR_RESET:
        return nacre__fail(why, err, "%s rejected the message (RST): it does not take this kind of request", peer);
    case NACRE_ERR_UNAUTHENTICATED: return explain_unauthenticated(call, peer, why);
    case NACRE_ERR_OVERSIZED:
        return nacre__fail(why, err,
                           "the answer from %s has %zu bytes%s, this endpoint takes %d: ask in blocks "
                           "(a block size of 512 or less)",
                           peer, call->oversized, call->to.ctx != NULL ? " (not verified)" : "",
                           (int)NACRE__CLIENT_MESSAGE);
    case NACRE_ERR_NOT_PROTECTED: {
        char buf[5];
        return nacre__fail(why, err, "%s answered %s without protection, which is no answer to a protected request",
                           peer, nacre_code_name(call->reply.code, buf));
    }
    case NACRE_ERR_PROTECTION_INVALID:
        return nacre__fail(
            why, err, "cannot verify the answer from %s: wrong keys, or not the peer of the context '%s'", peer, dir);
    case NACRE_ERR_CONTEXT_UNAVAILABLE:
        return nacre__fail(why, err, "the sequence numbers of '%s' are used up; make a new context", dir);
    case NACRE_ERR_TOO_LONG: return explain_too_long(call, why);
    case NACRE_ERR_BODY_CHANGED:
        return nacre__fail(why, err, "what %s serves there changes faster than it can be fetched; try again", peer);
    case NACRE_ERR_BLOCKS: return nacre__fail(why, err, "%s sends blocks that do not make a body (RFC 7959)", peer);
    case NACRE_ERR_CRITICAL_OPTION:
        return nacre__fail(why, err, "the answer from %s has a critical option that this side does not understand",
                           peer);
    case NACRE_ERR_NESTED:
    case NACRE_ERR_BAD_ARGUMENT:
        return nacre__fail(
            why, err, "this request cannot be sent to %s: a method from GET to iPATCH, and no OSCORE option", peer);
    case NACRE_ERR_FILE:
        if (store[0] != '\0') return nacre__fail(why, err, "%s", store);
        return nacre__fail(why, err, "the state in '%s' cannot be written, so nothing was sent", dir);
    default: return nacre__fail(why, err, "the request to %s failed: %s", peer, nacre_err_text(err));
    }
}
