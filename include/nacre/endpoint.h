/* SPDX-License-Identifier: MIT */
/* endpoint: CoAP's message layer and the OSCORE transport in it, without any I/O (RFC 7252 4 and 5, RFC 8613 8).
 *
 * The driver passes in datagrams and the time, pulls events, sends the datagrams it is given, and keeps the deadline:
 *
 *     nacre_endpoint_receive_many   received datagrams; the bytes are borrowed until the next receive_many
 *     nacre_endpoint_next_event     requests, responses, failures, persist requests; until it returns false
 *     nacre_endpoint_respond, nacre_endpoint_request     from the application
 *     nacre_endpoint_transmit_many  datagrams to send; until it returns 0. It may queue events: pull again
 *     nacre_endpoint_deadline       when to call nacre_endpoint_expire at the latest
 *
 * A proxy may split protected messages into outer blocks (RFC 8613 4.1.3.4.2). Without the application's involvement the
 * endpoint reassembles them before OSCORE, on both sides, up to max_unfragmented bytes, and splits responses for proxies that
 * ask for it. A longer response to a request sent here is discarded; its timeout is FAILED, NACRE_ERR_TOO_LONG. Requests sent
 * here and notifications are never split outside (large bodies use inner blocks: nacre/transfer.h). A notification split by a
 * proxy is reassembled only if it answers a registration; the observation then continues by registering again whenever
 * Max-Age has passed.
 *
 * In plain and inner messages, elective options of an invalid length and surplus occurrences of a non-repeatable elective
 * option are dropped (RFC 7252 5.4.3, 5.4.5; not with opaque_oscore). Critical ones stay in requests; the application or its
 * site rejects them with 4.02.
 *
 * An endpoint is one block of the caller's memory, divided into pools by the configuration; nothing is allocated later. Time
 * is in milliseconds of any monotonic clock. One endpoint belongs to one thread. */
#ifndef NACRE_ENDPOINT_H
#define NACRE_ENDPOINT_H

#include <nacre/base.h>
#include <nacre/coap.h>
#include <nacre/context.h>
#include <nacre/crypto.h>
#include <nacre/exchange.h>
#include <nacre/oscore.h>
#include <nacre/stats.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a datagram comes from or goes to: opaque to the endpoint, compared byte by byte, flags included. Made by the driver;
 * for UDP it holds the socket address (nacre/address.h). */
enum {
    NACRE_ADDRESS_RELIABLE = 1, /* a connection without loss, duplication or reordering: CoAP over TCP (RFC 8323) */
};
typedef struct nacre_address {
    uint8_t len;   /* bytes used; 0: no address */
    uint8_t flags; /* NACRE_ADDRESS_… */
    uint8_t bytes[30];
} nacre_address;
bool nacre_address_equal(const nacre_address *a, const nacre_address *b);
bool nacre_address_is_reliable(const nacre_address *address);

/* Messages of a reliable peer go through the endpoint as NON in the form of datagrams, both ways; the stream layer turns them
 * into frames and back. They are sent once, never rejected with RST and never treated as duplicates; refused requests are
 * answered as if they were CON. */

/* Randomness, for message IDs, tokens and timers: fills `out` with `len` unpredictable bytes; cannot fail. */
typedef struct nacre_random {
    void (*fill)(void *self, uint8_t *out, size_t len);
    void *self;
} nacre_random;

/* RFC 7252 4.8; all zero gives the RFC's defaults. */
typedef struct nacre_timing {
    uint32_t ack_timeout_ms;          /* 2000 */
    uint32_t ack_random_factor_milli; /* 1500: the first wait is 1 to 1.5 times ack_timeout_ms */
    uint8_t max_retransmit;           /* 4 */
    uint32_t response_timeout_ms;     /* for a response after the request was acknowledged, or to a NON: 93000 */
    uint32_t exchange_lifetime_ms;    /* for how long duplicates are recognised: 247000 */
    uint32_t ack_delay_ms;            /* how long a deferred response may still be piggybacked: 100 */
} nacre_timing;

/* Locks for contexts shared by several endpoints, each with its own thread: `lock` waits until the caller holds all of
 * `contexts`, `unlock` releases them. A burst locks all of its contexts in one call, one of them perhaps twice, and unlocks
 * them before it locks others; taking them in a global order excludes deadlock. All NULL: not shared. */
typedef struct nacre_lock {
    void (*lock)(void *self, nacre_context *const *contexts, size_t num);
    void (*unlock)(void *self, nacre_context *const *contexts, size_t num);
    void *self;
} nacre_lock;

/* The largest message a peer accepts, where that may be less than max_message: announced per connection (RFC 8323 5.3.1). */
typedef struct nacre_limit {
    size_t (*max_message)(void *self, const nacre_address *peer); /* bytes in datagram form */
    void *self;
} nacre_limit;

/* Options of a request over UDP as it arrives: not those inside a protected one. With more it is malformed: a CON gets a RST, a
 * NON no response (RFC 7252 4.2, 4.3). */
enum { NACRE_MAX_REQUEST_OPTIONS = 64 };

typedef struct nacre_endpoint nacre_endpoint;

/* Observing, on both sides (RFC 7641). */
typedef struct nacre_observe_config {
    uint32_t num_observers;      /* clients that observe a resource, at most 2^20; 0: none */
    uint32_t observers_per_peer; /* … of one security context, or, unprotected, of one address; 16 */
    uint16_t observer_bytes;     /* for each, the largest plain registration kept; 256 */
    bool reregister;             /* own observations are registered again after Max-Age; true */
    uint32_t reregister_ms;      /* a protected observation is registered again at least this often, however often it is
                                    notified: notifications are as fresh as their registration (RFC 8613 7.3); 3600000 */
} nacre_observe_config;

/* Where an address belongs: `part` returns the part of peer->bytes that names its host, or with `network` the network from
 * which its holder can take addresses. NULL: each address is a host and a network of its own, which suits drivers whose peers
 * cannot choose ports. nacre_loop sets nacre_address_part. */
typedef struct nacre_origin {
    nacre_bytes (*part)(void *self, const nacre_address *peer, bool network);
    void *self;
} nacre_origin;

/* What peers get before they are verified. Verified messages take nothing of these rates. After a pause, four seconds' worth of
 * a rate may be used at once. Excess requests are dropped, and their retransmissions try again: with the defaults, a peer needs
 * at most 2 retransmissions for B.2 or an Echo recovery while its kid, or a captured request of it, is sent 300 times a second
 * from its own address, 200 times from other hosts of its network, or 2000 times from other networks. */
typedef struct nacre_admission_config {
    bool amplification_limit;       /* limits what is sent to an address that is not validated (RFC 9175 2.4); true.
                                       false: only if sources cannot be forged */
    uint16_t num_peers;             /* validated addresses remembered; 256 */
    uint16_t challenges_per_second; /* Echo challenges because the replay window is unknown (RFC 8613 B.1.2), for each
                                       context, the first to each Partial IV. Also, above the rates below and over all
                                       peers, key derivations for rederivation.h, and 4.13 to oversized requests; 256 */
    uint16_t
        context_challenges_per_second; /* further Echo challenges to the same Partial IV, which may be a replay, and
                                               key derivations, for each context; 4 */
    uint16_t source_per_second; /* such challenges, derivations and 4.13 together, for each host, and twice for each
                                   network; 1 */
    nacre_origin origin;
} nacre_admission_config;

/* Congestion control (RFC 7252 4.7). Reliable peers have no such limits. */
typedef struct nacre_congestion_config {
    uint16_t nstart; /* requests to one peer, CON or NON, neither acknowledged nor answered; others wait in order. A
                              NON counts for at most ack_timeout_ms. Also for CON notifications: further NOTIFY events for
                              that peer wait. 1 */
    uint32_t
        probing_rate; /* average bytes per second of NON requests and notifications to a peer from which nothing was
                              received since the first of them; bursts up to 16 * max_message bytes. A request that
                              exceeds it waits, and fails only by nacre_endpoint_cancel or its limit; a notification
                              becomes a CON (RFC 7641 4.5.1). Some 256 silent peers are tracked. 1; UINT32_MAX: no limit */
} nacre_congestion_config;

/* Protected messages in outer blocks (RFC 8613 4.1.3.4.2). */
typedef struct nacre_outer_block_config {
    uint16_t num_messages;     /* concurrent ones; two times (max_message + max_unfragmented) bytes each; 4. 0: none */
    uint32_t max_unfragmented; /* RFC 8613's MAX_UNFRAGMENTED_SIZE: the longest payload in bytes reassembled from outer
                                  blocks, at most 2^20; 4096 */
} nacre_outer_block_config;

/* The number at the end of a comment is the default. */
typedef struct nacre_endpoint_config {
    size_t size;                   /* set by nacre_endpoint_config_default, see CONVENTIONS.md, "Configurations" */
    size_t max_message;            /* the largest datagram, sent or received, in bytes; 1280 */
    uint16_t num_client_exchanges; /* requests sent here in flight; 16 */
    uint16_t
        num_server_exchanges;   /* received requests kept for deduplication, with their responses. When all are in use
                                      the oldest answered one is evicted, and a duplicate of it is left to the replay
                                      window; 64 */
    uint16_t num_transmissions; /* separate responses and notifications, held or in flight, max_message bytes each; 16.
                              Where there are `contexts`, plain peers have at most half of them together; those whose
                              address is not validated at most half of that */
    uint16_t transmissions_per_peer; /* … of one security context, or, unprotected, of one address; a quarter of
                                        num_transmissions, at least 4 */
    uint16_t burst;                  /* datagrams taken by one receive_many; 32 */
    nacre_observe_config observe;
    nacre_admission_config admission;
    nacre_congestion_config congestion;
    nacre_outer_block_config outer_block;
    nacre_timing timing;
    /* treat the OSCORE option like any other: for proxies that forward protected messages, and to emulate a server without
     * OSCORE. `contexts` is not used; plain messages and their responses may carry the option */
    bool opaque_oscore;
    const nacre_table *contexts; /* the contexts of peers that send requests; NULL: protected requests get 4.01.
                                    Borrowed; contexts may be added and removed between calls */
    nacre_crypto crypto;         /* copied; its instance is borrowed */
    nacre_random random;
    nacre_lock lock;
    nacre_limit
        limit; /* larger messages are NACRE_ERR_TOO_LONG, as above max_message; empty: max_message applies to all peers */
    /* protected requests that may wait for a context (nacre_endpoint_looked_up), two times max_message bytes each; one host has at
     * most half of them. 0: none waits */
    uint16_t num_lookups;
} nacre_endpoint_config;

/* nacre_endpoint_config_default: the defaults above; contexts, crypto, random, lock and limit are empty, num_observers and
 * num_lookups are 0, observers_per_peer 16. Pools and rates of 0 are refused, except num_observers, num_messages,
 * max_unfragmented and num_lookups. */
nacre_endpoint_config nacre_endpoint_config_default(void);

/* nacre_endpoint_size: bytes of memory that an endpoint of this configuration takes (0: invalid configuration). The memory
 * must be aligned as by malloc. */
size_t nacre_endpoint_size(const nacre_endpoint_config *config);

/* nacre_endpoint_init: NACRE_OK; NACRE_ERR_BUFFER_TOO_SMALL (memory too small); NACRE_ERR_BAD_ARGUMENT (a max_message below 64
 * or above 65535, no random, no crypto or one whose table is of another version, no or misaligned memory). */
NACRE_MUST_USE nacre_err nacre_endpoint_init(nacre_endpoint **ep, void *memory, size_t size,
                                             const nacre_endpoint_config *config);

/* nacre_endpoint_wipe overwrites the endpoint's memory. Exchanges in flight end without an event. */
void nacre_endpoint_wipe(nacre_endpoint *ep);

/* A datagram longer than the driver's buffer is passed too: `bytes` is its start, `full_len` its full length, or any length
 * above bytes.len where the system only reports truncation. 64 bytes are enough for its header and token. */
typedef struct nacre_datagram {
    nacre_address peer;
    nacre_bytes bytes;
    size_t full_len; /* at most bytes.len (such as 0): `bytes` is complete */
} nacre_datagram;

/* nacre_endpoint_receive_many takes up to `burst` datagrams (returns how many) received at `now_ms`: it parses them,
 * recognises duplicates before OSCORE (RFC 7252 4.5), finds contexts, decrypts, and queues events. Call it only after
 * next_event has returned false: while an event with a message is queued it takes nothing and returns 0. Requests pulled but
 * not answered count as ignored from here on. Malformed datagrams are dropped or answered with RST. An unprotected response
 * to a protected request never ends its exchange with RESPONSE.
 *
 * A datagram that is truncated, or longer than max_message, is oversized; its header and token decide:
 *
 *     oversized        what is sent                                    the exchange
 *     request          4.13 with Size1, the payload that fits          none begins; answered at most at the
 *                      (RFC 7959 4), and a smaller Block1 where it     rates of nacre_admission_config
 *                      has a larger one (2.9.3)
 *     response to a    ACK to a CON                                    plain: FAILED, NACRE_ERR_OVERSIZED
 *     request sent here                                                protected: an OVERSIZED event. The exchange
 *                                                                      continues, because the datagram cannot be
 *                                                                      verified; a timeout is then NACRE_ERR_OVERSIZED
 *     anything else    RST to a CON                                    */
size_t nacre_endpoint_receive_many(nacre_endpoint *ep, const nacre_datagram *datagrams, size_t num, uint64_t now_ms);

/* Later versions add kinds: ignore unknown ones. */
typedef enum nacre_event_kind {
    NACRE_EVENT_REQUEST =
        1, /* answer it with nacre_endpoint_respond or nacre_endpoint_ignore before the next receive_many, or call
                                nacre_endpoint_defer_response before that */
    NACRE_EVENT_RESPONSE, /* the response to a request sent; the exchange has ended */
    NACRE_EVENT_FAILED,   /* a request sent ended without a response, for the reason `err`; the exchange has ended. With
                                NACRE_ERR_UNAUTHENTICATED (4.00, 4.01, 4.02, 4.05, 4.13, 5.03) and
                                NACRE_ERR_NOT_PROTECTED (any other code) `message` is the unprotected response: a hint
                                only. It ends a request that was transmitted once and not acknowledged. Otherwise the
                                exchange continues, because a peer without deduplication may refuse a copy and answer
                                the request; the timeout then reports the last hint: its code, and up to 62 bytes of its
                                diagnostic payload. With NACRE_ERR_CRITICAL_OPTION it is the response, which has an
                                unknown critical option (a NON is ignored, the exchange continues: RFC 7252 5.4.1).
                                NACRE_ERR_PROTECTION_INVALID is a timeout after responses that did not verify;
                                NACRE_ERR_RESET of a protected request a timeout after a RST, which is unauthenticated
                                (of a plain one it is the RST itself, RFC 7252 4.2) */
    NACRE_EVENT_PERSIST,  /* the context needs its store: nacre_context_needs. Serve it, confirm, and then call
                                nacre_endpoint_confirmed */
    NACRE_EVENT_NOTIFY,   /* send the current state to `observer`: answer `exchange` as if the registration,
                           `message`, had just arrived: nacre_endpoint_respond, _ignore (nothing now) or
                           _defer_response, with the same deadlines. `context` protects the notification */
    NACRE_EVENT_OBSERVER_REMOVED, /* the observation has ended, and `observer` with it. `err`: NACRE_OK (cancelled by the
                                client, ended by the last response, or its request was not answered), NACRE_ERR_STALE
                                (registered again), _RESET, _TIMEOUT (a CON notification was not acknowledged),
                                _NO_CONTEXT (nacre_endpoint_remove_context), _UNREACHABLE, _BUSY (evicted: plain, and
                                never confirmed), or the error of protection or of its store */
    NACRE_EVENT_NOTIFICATION, /* a representation for a request sent with Observe 0, including the first; the exchange
                                  continues. In order: older ones than the last are dropped */
    NACRE_EVENT_REDERIVED, /* RFC 8613 B.2 (nacre/rederivation.h): `context` is new, agreed with `peer`; `user` is the
                              rederivation's. All exchanges of its predecessor have ended */
    NACRE_EVENT_PONG,      /* the peer responded to nacre_endpoint_ping; the exchange has ended */
    NACRE_EVENT_OVERSIZED, /* a datagram with the token of a protected request sent here, or of an observation, plain
                                or not, had `oversized` bytes, more than max_message: an unauthenticated hint. The
                                exchange continues. Ask for (smaller) blocks (RFC 7959), or raise max_message */
    NACRE_EVENT_LOOKUP, /* a protected request, `exchange`, that no context in `contexts` verifies, waits: add the contexts that
                              may have protected it (nacre_endpoint_looked_up_kid), and call nacre_endpoint_looked_up. Only with
                              num_lookups */
} nacre_event_kind;

typedef struct nacre_event {
    nacre_event_kind kind;
    nacre_err err;
    /* the one that the event belongs to; the others are none. NOTIFY has an exchange and an observer */
    nacre_exchange exchange;                   /* of the endpoint */
    nacre_observer observer;                   /* NOTIFY, OBSERVER_REMOVED */
    nacre_transfer_exchange transfer_exchange; /* RESPONSE, FAILED and NOTIFICATION of a transfer */
    nacre_context *context; /* REQUEST, RESPONSE, NOTIFICATION: verified the message; NULL: not protected.
                               FAILED: NULL */
    nacre_address peer;
    nacre_message message; /* plain; valid until the next receive_many; of NOTIFY while the observer exists */
    void *user;            /* as given to nacre_endpoint_request or nacre_endpoint_observe */
    size_t oversized; /* OVERSIZED, and FAILED with NACRE_ERR_OVERSIZED: bytes of the response, more than max_message;
                              not set otherwise */
} nacre_event;

/* nacre_endpoint_next_event: false when there is none. */
bool nacre_endpoint_next_event(nacre_endpoint *ep, nacre_event *event);

/* nacre_endpoint_request starts an exchange. From `plain` it takes type (CON or NON), code, options and payload; token and
 * MID are the endpoint's. With `context` the request is protected when it is transmitted; without, it is sent unprotected.
 * The context is borrowed until the exchange ends. It ends with one event: RESPONSE or FAILED. On a protected 4.01 with Echo
 * the request is repeated once with the Echo value (RFC 8613 B.1.2). An Echo value in any other response is added to the next
 * request to that address in that context (unprotected if it was received so), unless that has one (RFC 9175 2.3): once,
 * within exchange_lifetime_ms; the newest 16 are kept.
 * NACRE_OK                `exchange` is set
 * NACRE_ERR_BUSY          num_client_exchanges are in flight: try after one has ended
 * NACRE_ERR_TOO_LONG      does not fit max_message, or what the peer takes, when protected
 * NACRE_ERR_BAD_ARGUMENT  no request code, type ACK or RST, options not well-formed or with an OSCORE option among them
 * The endpoint does not compare contexts: no two of the caller's may share a Sender Key or a Recipient Key
 * (RFC 8613 3.3; nacre_context_same_sender_key and nacre_context_same_recipient_key check).
 * Later protection errors (NACRE_ERR_CONTEXT_UNAVAILABLE …) are reported as FAILED. A request that waits for its store has
 * no timeout: nacre_endpoint_confirmed ends the wait. */
NACRE_MUST_USE nacre_err nacre_endpoint_request(nacre_endpoint *ep, nacre_exchange *exchange, const nacre_address *peer,
                                                nacre_context *context, const nacre_message *plain, void *user);

/* More about a request; all zero is nacre_endpoint_request. */
typedef struct nacre_rederivation nacre_rederivation;
typedef struct nacre_request_options {
    /* `peer` is a proxy: errors that proxies originate (4.04, 5.02, 5.04, 5.05) end a protected exchange
     * with NACRE_ERR_UNAUTHENTICATED too, not with NACRE_ERR_NOT_PROTECTED */
    bool via_proxy;
    /* time for the response or the first notification, from the next transmit_many, waits for a store or for other requests
     * included; then FAILED, NACRE_ERR_TIMEOUT. 0: the configured timing applies */
    uint32_t timeout_ms;
    /* the request is protected with the current context of this rederivation, which it first agrees on if need be
     * (nacre/rederivation.h); `context` is NULL then. Excess length may be found later: FAILED, NACRE_ERR_TOO_LONG */
    nacre_rederivation *rederivation;
} nacre_request_options;

/* nacre_endpoint_request_with is nacre_endpoint_request with options (NULL: none), and returns the same;
 * NACRE_ERR_BAD_ARGUMENT also for a rederivation that is not added to this endpoint, has not `is_client` set, or is combined
 * with a context. */
NACRE_MUST_USE nacre_err nacre_endpoint_request_with(nacre_endpoint *ep, nacre_exchange *exchange,
                                                     const nacre_address *peer, nacre_context *context,
                                                     const nacre_message *plain, const nacre_request_options *options,
                                                     void *user);

/* ---- Observing (RFC 7641, RFC 8613 4.1.3.5) -------------------------------------------------------------------------
 * A GET or FETCH with Observe 0 starts an observation. Each 2.xx response with Observe is a NOTIFICATION; a response without
 * it, or with an error code, is a RESPONSE and ends the exchange, at once (the server does not support observation) or later.
 * Until then the exchange counts among num_client_exchanges.
 *  - Notifications are ordered by Partial IV, or, unprotected, by RFC 7641 3.4. Messages that do not verify, or are
 *    unprotected, have no effect on a protected observation. A CON gets its ACK in any case.
 *  - When Max-Age and 5 to 15 seconds more have passed without a notification, the endpoint registers again by itself, with
 *    the same token and a new Partial IV, as a CON (config: observe.reregister, observe.reregister_ms). Notifications of the old
 *    registration are accepted until the first response to the new one has verified. An unanswered registration ends the
 *    exchange: FAILED.
 *  - A verified 4.01 with Echo to any request indicates that the server restarted and lost its observers (RFC 8613 B.1.2):
 *    observations in that context, and plain ones at that address, are registered again at once, at most once in 30 seconds
 *    (config: observe.reregister).
 *  - It ends by nacre_endpoint_unobserve, or by nacre_endpoint_cancel; after the latter the next notification gets RST. */

/* nacre_endpoint_unobserve deregisters: the request is sent again with Observe 1 and the same token. Its response ends the
 * exchange: RESPONSE or FAILED; there are no NOTIFICATION events in between. A second call has no effect.
 * NACRE_OK; NACRE_ERR_STALE (the exchange has ended); NACRE_ERR_BAD_ARGUMENT (it is no request with Observe 0) */
NACRE_MUST_USE nacre_err nacre_endpoint_unobserve(nacre_endpoint *ep, nacre_exchange exchange);

/* nacre_endpoint_ping sends an empty CON (RFC 7252 4.3), which counts among num_client_exchanges: PONG when the peer rejects
 * it, as it should, or acknowledges it; else FAILED. Both are unauthenticated.
 * NACRE_OK; NACRE_ERR_BUSY; NACRE_ERR_UNSUPPORTED (a reliable peer: its stream has a ping of its own) */
NACRE_MUST_USE nacre_err nacre_endpoint_ping(nacre_endpoint *ep, nacre_exchange *exchange, const nacre_address *peer,
                                             void *user);

/* nacre_endpoint_give_up ends a client exchange as if it had timed out: FAILED, with the last unauthenticated hint if there
 * was one. Others are ignored. */
void nacre_endpoint_give_up(nacre_endpoint *ep, nacre_exchange exchange);

/* nacre_endpoint_cancel ends a client exchange without an event; a late response gets RST or is dropped. */
void nacre_endpoint_cancel(nacre_endpoint *ep, nacre_exchange exchange);

/* nacre_endpoint_respond answers a request: code, options and payload from `plain`. The response is protected if the request
 * was, piggybacked if that was a CON, and kept for duplicates. Exceptions:
 *
 *     condition                                         what is sent
 *     No-Response of the request names the class of     nothing (RFC 7967)
 *     the response
 *     address not validated, response above 136 bytes   2.xx to a GET or FETCH: 4.01 with Echo; the client repeats the
 *     and three times the request (RFC 9175 2.4)        request with the value. Other methods, which must not be
 *                                                       repeated, and errors: the code alone
 *
 * Call nacre_endpoint_fits first and split what does not fit, as a transfer does. All transmissions of a separate response
 * count together: once the next would exceed the limit, no more are sent.
 *
 * An address is validated for exchange_lifetime_ms when it returns an Echo value or a token issued here. A message ID proves
 * nothing: 65,536 small datagrams guess it. To an address that is not validated, a Block2 block with more to follow carries
 * an Echo value if that fits; the request for the next block may then validate the address.
 *
 *     NACRE_OK                      also in the exceptions above, and when the response waits for the store
 *     NACRE_ERR_STALE               no such request
 *     NACRE_ERR_BAD_ARGUMENT        no response code, options not well-formed or with an OSCORE option among them
 *     NACRE_ERR_TOO_LONG, NACRE_ERR_CONTEXT_UNAVAILABLE, _CRYPTO, _UNSUPPORTED     from protecting
 *
 * On failure, except STALE, the exchange stays open: send a shorter response, or ignore it. */
NACRE_MUST_USE nacre_err nacre_endpoint_respond(nacre_endpoint *ep, nacre_exchange exchange,
                                                const nacre_message *plain);

/* nacre_endpoint_fits: whether nacre_endpoint_respond would send `plain` unchanged. False if the address is not validated and
 * `plain` exceeds its allowance: respond with a block (Block2), as a transfer does (nacre/transfer.h). A 2.xx with more
 * blocks to follow counts with the Echo value added to it. True also for ended exchanges, and for a GET or FETCH in a context
 * whose peer has sent an Echo before, because it will be challenged. */
bool nacre_endpoint_fits(nacre_endpoint *ep, nacre_exchange exchange, const nacre_message *plain);

/* nacre_endpoint_ignore ends a request without a response; a CON gets an empty ACK. */
void nacre_endpoint_ignore(nacre_endpoint *ep, nacre_exchange exchange);

/* nacre_endpoint_defer_response keeps a REQUEST or NOTIFY open beyond the next receive_many: nacre_endpoint_respond and
 * _ignore take the same exchange at any time from now on. One of them must be called, because the exchange holds one of
 * num_transmissions and one of num_server_exchanges until then; configure more of the latter. The event's message is still
 * only valid until the next receive_many. A CON request gets an empty ACK if there is no response after ack_delay_ms; the
 * response is then a separate CON, retransmitted until acknowledged (RFC 7252 5.2.2).
 * NACRE_OK; NACRE_ERR_BUSY (all num_transmissions are in use, or transmissions_per_peer by this peer, or half of them by plain
 * peers, for a plain request; a quarter if its address is not validated: answer now, with 5.03 if need be); NACRE_ERR_STALE */
NACRE_MUST_USE nacre_err nacre_endpoint_defer_response(nacre_endpoint *ep, nacre_exchange exchange);

/* ---- Observe server (RFC 7641, RFC 8613 4.1.3.5) --------------------------------------------------------------------
 * A GET or FETCH with Observe 0 that the application takes as a registration becomes an observer.
 * The endpoint then adds Observe to the 2.xx response of that request, replacing any it has, and to each notification.
 *  - Each NOTIFY event requests the current state; changes in between are not queued, and one notification per observer
 *    is in flight. How often to notify is up to the application (RFC 7641 4.5.1). No-Response of a registration is
 *    ignored.
 *  - A response other than 2.xx is sent and ends the observation; OBSERVER_REMOVED follows every end. A client that sends
 *    Observe 1 is removed before its request is delivered; answer that as any other.
 *  - Notifications are CON until one is acknowledged or the client's address is validated, then every sixteenth, the first
 *    after a day (for a registration that was NON, protected or from a validated address, the latter only) and the last;
 *    else NON.
 *  - To an address that is not validated each has at most the bytes of the response to the registration
 *    (nacre_endpoint_fits); a longer one is sent as 4.01 with Echo, which ends the observation until the client registers
 *    with the value.
 *  - A RST ends a plain observation. A protected one is checked: one NOTIFY event follows and is answered as CON. Its timeout
 *    ends the observation; so does a RST, if at most four unmatched RST came from that address within exchange_lifetime_ms
 *    (an attacker that sends five leaves only the timeout). A guessed ACK ends the retransmissions of a CON; the next
 *    notification or registration then replaces a lost one.
 *
 * nacre_endpoint_observe takes a delivered request, before it is answered, as a registration; one of the same client under
 * the same token (protected: with the same context and the same options too) ends and gets its OBSERVER_REMOVED.
 * NACRE_OK                `observer` is set, `user` is in its events; now answer the request
 * NACRE_ERR_BUSY          num_observers exist, or observers_per_peer of this peer: answer without observing. A plain one
 *                         that was never confirmed (no CON acknowledged, address not validated) is evicted in the
 *                         former case
 * NACRE_ERR_TOO_LONG      the request is longer than observer_bytes: answer without observing
 * NACRE_ERR_BAD_ARGUMENT  the request has no Observe 0, is no GET or FETCH, or is already registered
 * NACRE_ERR_STALE         no such request, or nacre_endpoint_defer_response came first */
NACRE_MUST_USE nacre_err nacre_endpoint_observe(nacre_endpoint *ep, nacre_observer *observer, nacre_exchange exchange,
                                                void *user);

/* nacre_endpoint_changed: the observed resource has changed. The NOTIFY event comes when a transmission is free and the
 * previous notification is settled. An ended observer is ignored. */
void nacre_endpoint_changed(nacre_endpoint *ep, nacre_observer observer);

/* nacre_endpoint_drop_observer removes an observer without a message or an event. To inform the client, answer its NOTIFY
 * with an error instead. */
void nacre_endpoint_drop_observer(nacre_endpoint *ep, nacre_observer observer);

/* nacre_endpoint_confirmed: the store served a PERSIST event; waiting messages continue. With `err` other than NACRE_OK the
 * store failed: messages that need only durable state continue, the others end:
 *
 *     what waits on the context                       while the store fails
 *     client request                                  FAILED with `err`
 *     request that was not accepted (its window is    5.03 unprotected to a CON, silence to a NON; its nonce stays
 *     still held by the store)                        unused, because it may be accepted later
 *     accepted request                                does not wait: it is answered with its own nonce
 *     response to a request with Echo, which          a Partial IV already reserved; else unprotected 5.03, or
 *     gives no right to its nonce                     silence to a NON and after the empty ACK of a separate response
 *     notification                                    dropped; the observer stays; NOTIFY follows with the next
 *                                                     change, or when the store of its context confirms something
 *
 * Nothing has to be reopened: the next message that needs the store requests it again. */
void nacre_endpoint_confirmed(nacre_endpoint *ep, nacre_context *context, nacre_err err);

/* nacre_endpoint_remove_context: a context is about to be wiped (take it out of the table first); its exchanges end with
 * NACRE_ERR_NO_CONTEXT, and received CON requests are answered with that error. */
void nacre_endpoint_remove_context(nacre_endpoint *ep, nacre_context *context);

/* ---- Contexts that come when they are needed ----
 * With num_lookups, a request that no context of the table verifies is not refused at once: a LOOKUP event asks for its context, and
 * the request waits without a response, until nacre_endpoint_looked_up or exchange_lifetime_ms. Many may wait at one time, also for
 * the same kid. Requests beyond num_lookups, or the share of a host, are dropped: their retransmissions try again. Blocks of
 * a request that a proxy has split are dropped too, after their lookup. Nothing in such a request is verified: bound the work
 * that it causes. */

/* nacre_endpoint_looked_up_kid sets the kid and kid context (absent: none) of a request that waits for its context; they are valid
 * until the next call of the endpoint. NACRE_OK; NACRE_ERR_STALE: it does not wait any more */
NACRE_MUST_USE nacre_err nacre_endpoint_looked_up_kid(const nacre_endpoint *ep, nacre_exchange exchange,
                                                      nacre_bytes *kid, nacre_bytes *kid_context);

/* nacre_endpoint_looked_up ends the wait: at any time, in any order, also while other events are pulled. No effect on an exchange
 * that does not wait.
 * NACRE_OK              the table has its contexts: each is tried, as for a request that has just arrived
 * NACRE_ERR_NO_CONTEXT  there are no others: it is refused as without num_lookups
 * others                the search failed: 5.03 unprotected to a CON, silence to a NON */
void nacre_endpoint_looked_up(nacre_endpoint *ep, nacre_exchange exchange, nacre_err err);

/* nacre_endpoint_unreachable: `peer` is unreachable (ICMP); unacknowledged requests to it end with NACRE_ERR_UNREACHABLE. For
 * a reliable peer the connection is lost: all requests to it and observations end so, and its own requests become stale
 * without a response. */
void nacre_endpoint_unreachable(nacre_endpoint *ep, const nacre_address *peer);

/* One datagram to send. The driver provides the buffer; the endpoint sets peer and bytes (at the start of the buffer). */
typedef struct nacre_outgoing {
    nacre_buf buf; /* at least max_message bytes */
    nacre_address peer;
    nacre_bytes bytes;
} nacre_outgoing;

/* nacre_endpoint_transmit_many protects and writes up to `num` datagrams to send at `now_ms`; returns how many. It stops at a
 * buffer below max_message bytes. Timers start here. */
size_t nacre_endpoint_transmit_many(nacre_endpoint *ep, nacre_outgoing *out, size_t num, uint64_t now_ms);

/* nacre_endpoint_deadline: when to call nacre_endpoint_expire; UINT64_MAX: never. */
uint64_t nacre_endpoint_deadline(const nacre_endpoint *ep);

/* nacre_endpoint_expire queues due retransmissions for transmit_many, and events for timeouts. */
void nacre_endpoint_expire(nacre_endpoint *ep, uint64_t now_ms);

/* nacre_endpoint_get_stats may be called by any thread while the endpoint exists. Each counter is read whole, but not all of them
 * at one instant. */
nacre_endpoint_stats nacre_endpoint_get_stats(const nacre_endpoint *ep);

/* nacre_endpoint_get_config: as given to nacre_endpoint_init, with the defaults filled in. */
const nacre_endpoint_config *nacre_endpoint_get_config(const nacre_endpoint *ep);

#ifdef __cplusplus
}
#endif

#endif
