/* SPDX-License-Identifier: MIT */
/* stream: CoAP over a byte stream such as TCP (RFC 8323), one connection, without any I/O.
 *
 * A stream stands between a connection's bytes and an endpoint. Messages have the form of datagrams on the endpoint's
 * side (nacre_message_parse, type NON, a message ID that means nothing), so that the endpoint needs to know no second
 * form; token, options and payload are the same bytes on both sides. What RFC 8323 5 calls signaling stays inside.
 *
 *     nacre_stream_input, _received   bytes that arrived, read to where the stream wants them
 *     nacre_stream_next               messages for the endpoint, and what the peer has to say; until it says false
 *     nacre_stream_processed          what _next gave has been worked on
 *     nacre_stream_send               messages of the endpoint
 *     nacre_stream_output, _sent      bytes to write
 *     nacre_stream_deadline           when to call nacre_stream_expire at the latest
 *     nacre_stream_is_over            close the connection
 *
 * All memory is the caller's and bounded: room for what arrived, and room for what is to be written. A peer that does
 * not read gets nothing more to answer: _next gives no message while its answer might find no room.
 *
 * Nothing here is authenticated. OSCORE protects requests and responses as it does in datagrams; signaling travels in
 * clear, so whoever is on the path can end a connection, and nothing worse: no key, number or window depends on it. */
#ifndef NACRE_STREAM_H
#define NACRE_STREAM_H

#include <nacre/base.h>
#include <nacre/coap.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Signaling codes and their options (RFC 8323 5.1, 11.2; RFC 8974 6.1). Option numbers mean something else under each code. */
enum {
    NACRE_SIGNAL_CSM = NACRE_CODE(7, 1),
    NACRE_SIGNAL_PING = NACRE_CODE(7, 2),
    NACRE_SIGNAL_PONG = NACRE_CODE(7, 3),
    NACRE_SIGNAL_RELEASE = NACRE_CODE(7, 4),
    NACRE_SIGNAL_ABORT = NACRE_CODE(7, 5),
};
enum {
    NACRE_CSM_MAX_MESSAGE_SIZE = 2,
    NACRE_CSM_BLOCK_WISE_TRANSFER = 4,
    NACRE_CSM_EXTENDED_TOKEN_LENGTH = 6,
    NACRE_PING_CUSTODY = 2, /* in Pong too */
    NACRE_RELEASE_ALTERNATIVE_ADDRESS = 2,
    NACRE_RELEASE_HOLD_OFF = 4,
    NACRE_ABORT_BAD_CSM_OPTION = 2,
};

/* What a connection may cost and how long it may take. */
typedef struct nacre_stream_config {
    size_t size;             /* set by nacre_stream_config_default, see CONVENTIONS.md, "Configurations" */
    size_t max_message;      /* the largest message either way, in bytes of its datagram form; 0 means 1280 */
    uint32_t max_token;      /* the longest token of a request that is taken; 0 means 8 */
    bool block_wise;         /* tell the peer that block-wise transfer is understood. Then no more than 1152 bytes are
                                  announced, for more would mean BERT blocks (RFC 8323 5.3.2), which nacre has not */
    uint32_t csm_timeout_ms; /* for the peer's first message; 0 means 10000 */
    uint32_t
        stall_timeout_ms;   /* for the rest of a message that has begun, for the peer to take any byte of what is to be
                                  written, and for its Pong to a Ping of the stream's own; 0 means 30000 */
    uint32_t ping_after_ms; /* a peer silent for so long is pinged, and given up without a Pong; 0: never */
    uint32_t idle_ms;       /* after so long without a request or response either way, and none of our requests
                                  waiting, the connection is released; 0: never */
    uint32_t close_timeout_ms; /* for the end, once either side has asked for it; 0 means 10000 */
} nacre_stream_config;

nacre_stream_config nacre_stream_config_default(void);

/* What the peer has announced; before its first message the RFC's base values. */
typedef struct nacre_stream_peer {
    bool has_settings;    /* its first message has come */
    bool block_wise;      /* it understands block-wise transfer */
    uint32_t max_message; /* bytes of one message on the wire that it takes: 1152 until it says otherwise */
    uint32_t max_token;   /* bytes of a request's token that it takes: 8 until it says otherwise */
} nacre_stream_peer;

typedef struct nacre_stream {
    nacre_stream_config config; /* private, all of it */
    nacre_stream_peer peer;
    nacre_buf in, out;
    size_t in_at, in_len, out_at, out_len;
    uint64_t clock, started, heard, talked, partial_since, output_since, closing_since, pinged;
    uint32_t owed, outstanding, unprocessed;
    uint16_t mid, bad_csm_option;
    bool is_closing, released_by_us, released_by_peer, no_more_input, is_pinged, has_ended, by_peer, end_is_told;
    nacre_err err;
    size_t text_len;
    uint8_t text[64];
} nacre_stream;

/* The rooms that a stream needs at least. More input room means fewer reads; more output room means that more answers
 * may be on their way to a peer that reads slowly. */
size_t nacre_stream_input_size(const nacre_stream_config *config);
size_t nacre_stream_output_size(const nacre_stream_config *config);

/* nacre_stream_init begins a connection, whoever opened it; its first message, the CSM, is in the output at once. Both rooms
 * are borrowed until the end, and must not overlap.
 * NACRE_OK; NACRE_ERR_BUFFER_TOO_SMALL (a room is too small); NACRE_ERR_BAD_ARGUMENT (a max_message below 64 or above 2^24, a
 * max_token of 1 to 7 or above 65804). */
NACRE_MUST_USE nacre_err nacre_stream_init(nacre_stream *s, nacre_buf input, nacre_buf output,
                                           const nacre_stream_config *config, uint64_t now_ms);

/* nacre_stream_wipe overwrites the stream and both rooms. */
void nacre_stream_wipe(nacre_stream *s);

/* ---- Bytes ---------------------------------------------------------------------------------------------------------- */

/* nacre_stream_input is where to read the next bytes to. Without room (cap 0) do not read: messages wait to be taken, or
 * the connection has ended. It is valid until the next call of any function but the queries. */
nacre_buf nacre_stream_input(nacre_stream *s);

/* nacre_stream_received: `len` bytes were put at the start of that room. */
void nacre_stream_received(nacre_stream *s, size_t len, uint64_t now_ms);

/* nacre_stream_finished: the peer will send nothing more (end of file). What it has asked before is still answered. */
void nacre_stream_finished(nacre_stream *s, uint64_t now_ms);

/* nacre_stream_output is what is to be written now; nacre_stream_sent: the first `len` bytes of it have been. */
nacre_bytes nacre_stream_output(const nacre_stream *s);
void nacre_stream_sent(nacre_stream *s, size_t len, uint64_t now_ms);

/* nacre_stream_is_over: the end was told, and all is written that is to be: close the connection. */
bool nacre_stream_is_over(const nacre_stream *s);

/* ---- Messages --------------------------------------------------------------------------------------------------------- */
/* Later versions add kinds: ignore those that you do not know. */
typedef enum nacre_stream_event_kind {
    NACRE_STREAM_MESSAGE = 1, /* `bytes` is a request or response in datagram form */
    NACRE_STREAM_PONG,     /* the answer to a Ping: `bytes` is its token; `custody`: all that was sent before the Ping
                                 has been processed */
    NACRE_STREAM_RELEASED, /* the peer wants the connection to end, after what is under way: ask nothing more on it. `bytes`
                                 is a text for people, `alternatives` options with number NACRE_RELEASE_ALTERNATIVE_ADDRESS
                                 (nacre_option_begin), whose values are where to go instead ("host:port"), not
                                 authenticated. `hold_off_s`: do not connect again for so many seconds */
    NACRE_STREAM_ENDED, /* the last event. `err` says why, `bytes` is a text for people. `by_peer`: an Abort of its, else
                                 the stream's own finding, which the peer is told where that makes sense.
                                     NACRE_OK                  in good order: released, or closed with nothing open
                                     NACRE_ERR_RESET           the peer sent an Abort; `bad_csm_option` names the option that
                                                               it could not take, or is 0
                                     NACRE_ERR_UNREACHABLE     the peer closed while it owed answers, or before its CSM
                                     NACRE_ERR_TIMEOUT         a deadline passed: no CSM, half a message, nothing read, no Pong
                                     NACRE_ERR_MALFORMED       not RFC 8323: the first message no CSM, an impossible header
                                                               or option, a token longer than announced
                                     NACRE_ERR_CRITICAL_OPTION a signaling option that must be understood and is not
                                     NACRE_ERR_TOO_LONG        a message larger than max_message
                                     NACRE_ERR_STALE           nacre_stream_abort was called */
} nacre_stream_event_kind;

typedef struct nacre_stream_event {
    nacre_stream_event_kind kind;
    nacre_err err;
    bool custody, by_peer;
    uint16_t bad_csm_option;
    uint32_t hold_off_s;
    nacre_bytes bytes, alternatives; /* in the room given to nacre_stream_next */
} nacre_stream_event;

/* nacre_stream_next gives the next event; what it carries is written to `buf`, of at least max_message bytes. False: there
 * is none now. That may be because the output has to be written first, or because a Ping with Custody waits for
 * nacre_stream_processed. */
bool nacre_stream_next(nacre_stream *s, nacre_stream_event *event, nacre_buf buf, uint64_t now_ms);

/* nacre_stream_processed: all messages that came from _next so far have been worked on (RFC 8323 5.4.1). Until it is called,
 * room for an answer is kept for each of them. */
void nacre_stream_processed(nacre_stream *s);

/* nacre_stream_send puts a message, given as a datagram, into the output. What only datagrams have (ACK, RST, empty messages)
 * is taken and not sent.
 * NACRE_OK              it is on its way
 * NACRE_ERR_BUFFER_TOO_SMALL     the output is full: write, and try again
 * NACRE_ERR_TOO_LONG    larger than the peer takes, now; or its token is. Nothing was sent
 * NACRE_ERR_UNREACHABLE the connection has ended, or it is a request and the connection is about to end
 * NACRE_ERR_MALFORMED, NACRE_ERR_BAD_ARGUMENT  no datagram; neither request nor response */
NACRE_MUST_USE nacre_err nacre_stream_send(nacre_stream *s, nacre_bytes datagram, uint64_t now_ms);

/* ---- Signals ------------------------------------------------------------------------------------------------------------ */

/* nacre_stream_ping asks for a sign of life; with `custody` one that comes when everything before it has been processed.
 * NACRE_OK; NACRE_ERR_BUFFER_TOO_SMALL; NACRE_ERR_TOO_LONG (a token above 8 bytes); NACRE_ERR_UNREACHABLE. */
NACRE_MUST_USE nacre_err nacre_stream_ping(nacre_stream *s, nacre_bytes token, bool custody, uint64_t now_ms);

/* nacre_stream_release asks the peer to end the connection when it is ready; what is under way is still answered. `alternative`
 * ("host:port", up to 255 bytes) may be absent, `hold_off_s` 0 (up to 2^24 - 1). Once is enough: later calls do nothing.
 * NACRE_OK; NACRE_ERR_BUFFER_TOO_SMALL; NACRE_ERR_TOO_LONG; NACRE_ERR_UNREACHABLE. */
NACRE_MUST_USE nacre_err nacre_stream_release(nacre_stream *s, nacre_bytes alternative, uint32_t hold_off_s,
                                              uint64_t now_ms);

/* nacre_stream_abort ends the connection now, and tells the peer why in a text of up to 64 bytes. */
void nacre_stream_abort(nacre_stream *s, const char *text, uint64_t now_ms);

/* ---- Time and state ------------------------------------------------------------------------------------------------------ */
uint64_t nacre_stream_deadline(const nacre_stream *s); /* UINT64_MAX for never */
void nacre_stream_expire(nacre_stream *s, uint64_t now_ms);

nacre_stream_peer nacre_stream_get_peer(const nacre_stream *s);
bool nacre_stream_is_closing(const nacre_stream *s); /* ended, or about to: nothing new can be asked */
bool nacre_stream_has_ended(const nacre_stream *s);

/* nacre_stream_quiet_since: the time of the last request or response; UINT64_MAX while one is under way. Observations do not
 * count as under way. */
uint64_t nacre_stream_quiet_since(const nacre_stream *s);

#ifdef __cplusplus
}
#endif

#endif
