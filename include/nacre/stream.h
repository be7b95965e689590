/* SPDX-License-Identifier: MIT */
/* stream: CoAP over a byte stream such as TCP (RFC 8323), one connection, without any I/O.
 *
 * A stream is between a connection's bytes and an endpoint. On the endpoint's side messages are datagrams
 * (nacre_message_parse, type NON, an unused message ID), so that the endpoint handles one format; token, options and payload
 * are the same bytes on both sides. The stream handles signaling messages (RFC 8323 5) itself.
 *
 *     nacre_stream_input, _received   the buffer for received bytes; how many were read into it
 *     nacre_stream_next               the next message for the endpoint, or event of the connection, until it returns false
 *     nacre_stream_processed          the messages from _next have been processed
 *     nacre_stream_send               messages of the endpoint
 *     nacre_stream_output, _sent      bytes to write
 *     nacre_stream_deadline           when to call nacre_stream_expire at the latest
 *     nacre_stream_is_over            close the connection
 *
 * All memory is the caller's and bounded: an input and an output buffer. If a peer does not read, its requests are not
 * processed: _next returns no message while the output buffer may be too small for its response.
 *
 * Nothing here is authenticated. OSCORE protects requests and responses as in datagrams; signaling messages are unprotected, so
 * an attacker on the path can end a connection. No key, number or window depends on them. */
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

/* Limits of a connection, in bytes and in time. */
typedef struct nacre_stream_config {
    size_t size;        /* set by nacre_stream_config_default, see CONVENTIONS.md, "Configurations" */
    size_t max_message; /* the largest message either way, in bytes of its datagram form; 0 means 1280 */
    uint32_t max_token; /* the longest accepted token of a request; 0 means 8 */
    bool block_wise;    /* announce Block-Wise-Transfer, and a Max-Message-Size of at most 1152, because more would mean
                             BERT blocks (RFC 8323 5.3.2), which are not supported */
    uint32_t csm_timeout_ms;   /* for the peer's first message; 0 means 10000 */
    uint32_t stall_timeout_ms; /* for the rest of a message, the progress of output, and a Pong; 0 means 30000 */
    uint32_t ping_after_ms;    /* without a message from the peer; no Pong ends the connection. 0: no Pings */
    uint32_t idle_ms;          /* without a request or response either way, and with none of our requests outstanding,
                                    until the connection is released; 0: never */
    uint32_t close_timeout_ms; /* for closing, after either side has released the connection; 0 means 10000 */
} nacre_stream_config;

nacre_stream_config nacre_stream_config_default(void);

/* The peer's CSM; before it arrives, the base values of RFC 8323 5.3. */
typedef struct nacre_stream_peer {
    bool has_settings;    /* its CSM has arrived */
    bool block_wise;      /* it supports block-wise transfer */
    uint32_t max_message; /* bytes of one message on the wire that it accepts: 1152 until its CSM */
    uint32_t max_token;   /* bytes of a request's token that it accepts: 8 until its CSM */
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

/* The least sizes of the buffers. A larger input buffer saves reads; a larger output buffer holds more responses for a peer
 * that reads slowly. */
size_t nacre_stream_input_size(const nacre_stream_config *config);
size_t nacre_stream_output_size(const nacre_stream_config *config);

/* nacre_stream_init begins a connection, as client or server; its first message, the CSM, is in the output at once. Both
 * buffers are borrowed until nacre_stream_wipe, and must not overlap.
 * NACRE_OK; NACRE_ERR_BUFFER_TOO_SMALL (one of the two); NACRE_ERR_BAD_ARGUMENT (a max_message below 64 or above 2^24, a
 * max_token of 1 to 7 or above 65804). */
NACRE_MUST_USE nacre_err nacre_stream_init(nacre_stream *s, nacre_buf input, nacre_buf output,
                                           const nacre_stream_config *config, uint64_t now_ms);

/* nacre_stream_wipe overwrites the stream and both buffers. */
void nacre_stream_wipe(nacre_stream *s);

/* ---- Bytes ---------------------------------------------------------------------------------------------------------- */

/* nacre_stream_input returns the buffer for the next bytes. If its cap is 0, do not read: messages wait for nacre_stream_next,
 * or the connection has ended. It is valid until the next call of any function but the queries. */
nacre_buf nacre_stream_input(nacre_stream *s);

/* nacre_stream_received: `len` bytes were written to the start of that buffer. */
void nacre_stream_received(nacre_stream *s, size_t len, uint64_t now_ms);

/* nacre_stream_finished: the peer sends nothing more (end of file). Its earlier requests are still responded to. */
void nacre_stream_finished(nacre_stream *s, uint64_t now_ms);

/* nacre_stream_output returns the bytes to write; nacre_stream_sent: the first `len` of them have been written. */
nacre_bytes nacre_stream_output(const nacre_stream *s);
void nacre_stream_sent(nacre_stream *s, size_t len, uint64_t now_ms);

/* nacre_stream_is_over: ENDED was delivered and the output is written: close the connection. */
bool nacre_stream_is_over(const nacre_stream *s);

/* ---- Messages --------------------------------------------------------------------------------------------------------- */
/* Later versions add kinds: ignore those that you do not know. */
typedef enum nacre_stream_event_kind {
    NACRE_STREAM_MESSAGE = 1, /* `bytes` is a request or response in datagram form */
    NACRE_STREAM_PONG, /* the Pong to a Ping: `bytes` is its token; `custody`: the peer has processed all messages sent
                                 before the Ping */
    NACRE_STREAM_RELEASED, /* the peer releases the connection: send no further request. Outstanding ones are still responded
                                 to. `bytes` is a diagnostic text, `alternatives` options with number
                                 NACRE_RELEASE_ALTERNATIVE_ADDRESS (nacre_option_begin): addresses to connect to instead
                                 ("host:port"), not authenticated. `hold_off_s`: do not connect again for so many seconds */
    NACRE_STREAM_ENDED, /* the last event. `err` is the reason, `bytes` a diagnostic text. `by_peer`: the peer sent an Abort;
                                 else the stream ended the connection, and sent one where possible.
                                     NACRE_OK                  released, or closed without outstanding requests
                                     NACRE_ERR_RESET           the peer sent an Abort; `bad_csm_option` is the option that it
                                                               rejected, or 0
                                     NACRE_ERR_UNREACHABLE     the peer closed with responses outstanding, or before its CSM
                                     NACRE_ERR_TIMEOUT         a deadline passed: no CSM, a partial message, nothing read, no
                                                               Pong
                                     NACRE_ERR_MALFORMED       not RFC 8323: the first message is not a CSM, an invalid header
                                                               or option, a token longer than announced
                                     NACRE_ERR_CRITICAL_OPTION an unknown critical option of a signaling message
                                     NACRE_ERR_TOO_LONG        a message larger than max_message
                                     NACRE_ERR_STALE           nacre_stream_abort was called */
} nacre_stream_event_kind;

typedef struct nacre_stream_event {
    nacre_stream_event_kind kind;
    nacre_err err;
    bool custody, by_peer;
    uint16_t bad_csm_option;
    uint32_t hold_off_s;
    nacre_bytes bytes, alternatives; /* in the buffer given to nacre_stream_next */
} nacre_stream_event;

/* nacre_stream_next returns the next event, with its bytes in `buf`, which has at least max_message bytes. False: none now,
 * possibly because the output has to be written first, or because a Ping with Custody waits for nacre_stream_processed. */
bool nacre_stream_next(nacre_stream *s, nacre_stream_event *event, nacre_buf buf, uint64_t now_ms);

/* nacre_stream_processed: all messages from _next so far have been processed (RFC 8323 5.4.1). Until it is called, space for a
 * response is reserved for each of them. */
void nacre_stream_processed(nacre_stream *s);

/* nacre_stream_send appends a message, given as a datagram, to the output. Messages that only datagrams have (ACK, RST, empty
 * ones) are discarded.
 * NACRE_OK                    it is in the output
 * NACRE_ERR_BUFFER_TOO_SMALL  the output is full: write, and try again
 * NACRE_ERR_TOO_LONG          the message or its token is longer than the peer accepts now; nothing was sent
 * NACRE_ERR_UNREACHABLE       the connection has ended, or it is a request and the connection is closing
 * NACRE_ERR_MALFORMED         not a datagram
 * NACRE_ERR_BAD_ARGUMENT      neither request nor response */
NACRE_MUST_USE nacre_err nacre_stream_send(nacre_stream *s, nacre_bytes datagram, uint64_t now_ms);

/* ---- Signals ------------------------------------------------------------------------------------------------------------ */

/* nacre_stream_ping sends a Ping; with `custody` its Pong arrives when the peer has processed all earlier messages.
 * NACRE_OK; NACRE_ERR_BUFFER_TOO_SMALL; NACRE_ERR_TOO_LONG (a token above 8 bytes); NACRE_ERR_UNREACHABLE. */
NACRE_MUST_USE nacre_err nacre_stream_ping(nacre_stream *s, nacre_bytes token, bool custody, uint64_t now_ms);

/* nacre_stream_release sends a Release: the connection closes when outstanding requests have their responses. `alternative`
 * ("host:port", up to 255 bytes) may be absent, `hold_off_s` 0 (up to 2^24 - 1). Later calls do nothing.
 * NACRE_OK; NACRE_ERR_BUFFER_TOO_SMALL; NACRE_ERR_TOO_LONG; NACRE_ERR_UNREACHABLE. */
NACRE_MUST_USE nacre_err nacre_stream_release(nacre_stream *s, nacre_bytes alternative, uint32_t hold_off_s,
                                              uint64_t now_ms);

/* nacre_stream_abort ends the connection now, with an Abort whose diagnostic text has up to 64 bytes. */
void nacre_stream_abort(nacre_stream *s, const char *text, uint64_t now_ms);

/* ---- Time and state ------------------------------------------------------------------------------------------------------ */
uint64_t nacre_stream_deadline(const nacre_stream *s); /* UINT64_MAX for never */
void nacre_stream_expire(nacre_stream *s, uint64_t now_ms);

nacre_stream_peer nacre_stream_get_peer(const nacre_stream *s);
bool nacre_stream_is_closing(const nacre_stream *s); /* ended or released: no further request can be sent */
bool nacre_stream_has_ended(const nacre_stream *s);

/* nacre_stream_quiet_since: the time of the last request or response; UINT64_MAX while a request is outstanding. Observations
 * do not count as outstanding. */
uint64_t nacre_stream_quiet_since(const nacre_stream *s);

#ifdef __cplusplus
}
#endif

#endif
