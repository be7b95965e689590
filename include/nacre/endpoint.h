/* SPDX-License-Identifier: MIT */
/* endpoint: CoAP's message layer and the OSCORE transport in it, without any I/O (RFC 7252 4 and 5, RFC 8613 8).
 *
 * The driver brings datagrams and the time, takes events, hands datagrams out, and asks when it is wanted next:
 *
 *     nacre_endpoint_receive_many   what arrived; the bytes are borrowed until the next receive_many
 *     nacre_endpoint_next_event     requests to answer, answers, failures, what a store must do; until it says false
 *     nacre_endpoint_respond, nacre_endpoint_request     what the application wants
 *     nacre_endpoint_transmit_many  what to send; until it gives 0. It may queue events: look once more
 *     nacre_endpoint_deadline       when to call nacre_endpoint_expire at the latest
 *
 * A proxy may cut protected messages that it cannot read into outer blocks (RFC 8613 4.1.3.4.2). The endpoint puts them
 * together before OSCORE sees them, on both sides, up to max_unfragmented bytes, and cuts answers for proxies that ask for it;
 * the application sees nothing of that. An answer to us that would be longer is discarded: FAILED, NACRE_ERR_TOO_LONG, when
 * its time is over. Own requests are never cut outside (large bodies have inner blocks: nacre/transfer.h), nor are
 * notifications; what a proxy cuts of notifications is put together only where it answers a registration, and the
 * observation then goes on by registering again whenever Max-Age has passed.
 *
 * Of the options of a message, plain or inner, elective ones of a length that their number does not have, and surplus ones of
 * a number that comes once, are dropped before the application sees them (RFC 7252 5.4.3, 5.4.5; not with opaque_oscore).
 * Critical ones stay in requests, for the application or its site to refuse with 4.02.
 *
 * All of it lives in one block of memory from the caller, cut into pools by the configuration; nothing is allocated
 * later. Time is milliseconds of any clock that never goes back. One endpoint belongs to one thread. */
#ifndef NACRE_ENDPOINT_H
#define NACRE_ENDPOINT_H

#include <nacre/base.h>
#include <nacre/coap.h>
#include <nacre/context.h>
#include <nacre/crypto.h>
#include <nacre/oscore.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a datagram comes from or goes to: opaque to the endpoint, compared byte by byte, flags included. The driver makes
 * it; for UDP it holds the socket address (nacre/address.h). */
enum {
    NACRE_ADDRESS_RELIABLE = 1, /* a connection that loses, repeats and reorders nothing: CoAP over TCP (RFC 8323) */
};
typedef struct nacre_address {
    uint8_t len;   /* bytes used; 0: no address */
    uint8_t flags; /* NACRE_ADDRESS_… */
    uint8_t bytes[30];
} nacre_address;
bool nacre_address_equal(const nacre_address *a, const nacre_address *b);
bool nacre_address_is_reliable(const nacre_address *address);

/* Messages of a reliable peer go through the endpoint as NON in the form of datagrams, both ways; the stream layer turns them
 * into frames and back. They are sent once, never rejected with RST and never taken for duplicates; refused requests are
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
    uint32_t response_timeout_ms;     /* for an answer after the request was acknowledged, or to a NON: 93000 */
    uint32_t exchange_lifetime_ms;    /* for how long duplicates are recognised: 247000 */
    uint32_t ack_delay_ms; /* how long the answer to nacre_endpoint_defer_response may still go into the ACK: 100 */
} nacre_timing;

/* For contexts that several endpoints, each with its thread, share: `take` waits until these contexts are nobody else's,
 * `give` gives them back. A burst takes all of its contexts in one call, one of them perhaps twice, and takes no more before
 * it has given them back; so whoever takes them in one order everywhere runs into no deadlock. All NULL: not shared. */
typedef struct nacre_lock {
    void (*lock)(void *self, nacre_context *const *contexts, size_t num);
    void (*unlock)(void *self, nacre_context *const *contexts, size_t num);
    void *self;
} nacre_lock;

/* How large a message a peer takes, where that may be less than max_message: over a connection it says so (RFC 8323 5.3.1). */
typedef struct nacre_limit {
    size_t (*max_message)(void *self, const nacre_address *peer); /* bytes in datagram form */
    void *self;
} nacre_limit;

typedef struct nacre_endpoint nacre_endpoint;

typedef struct nacre_endpoint_config {
    size_t size;                   /* set by nacre_endpoint_config_default, see CONVENTIONS.md, "Configurations" */
    size_t max_message;            /* the largest datagram, sent or received, in bytes; 0 means 1280 */
    uint16_t num_client_exchanges; /* own requests in flight; 0 means 16 */
    uint16_t
        num_server_exchanges; /* requests of others remembered for duplicates, with their answers; 0 means 64. When all are
                              in use the oldest answered one gives way, and a duplicate of it is then left to the
                              replay window */
    uint16_t burst;           /* datagrams taken by one receive_many; 0 means 32 */
    uint16_t
        num_transmissions;  /* separate answers and notifications that are held or on their way, max_message bytes each;
                              0 means 16 */
    uint32_t num_observers; /* clients that observe a resource, at most 2^20; 0 means none */
    uint32_t observers_per_peer; /* … of one security context, or of one address where nothing is protected; 0 means a
                                       quarter of num_observers, at least 16 */
    uint16_t observer_bytes;     /* for each, the largest registration that is kept, plain; 0 means 256 */
    uint16_t num_peers;          /* validated addresses that are remembered; 0 means 256 */
    uint16_t challenges_per_second; /* requests answered with an Echo challenge because a replay window is not known
                                       (RFC 8613 B.1.2), over all contexts; above that, silence. 0 means 128 */
    uint16_t context_challenges_per_second; /* … and for each context; 0 means 4 */
    bool no_amplification_limit;            /* send any length to any address: only where senders cannot be forged */
    /* carry OSCORE options like any other and look into nothing: for proxies, which pass on what they cannot read, and for
     * playing a server that does not know OSCORE. `contexts` is not used; plain messages, and their answers, may then have
     * the option */
    bool opaque_oscore;
    uint16_t nstart; /* RFC 7252 4.7: own requests, CON or NON, that may be on their way to one peer and neither
                              acknowledged nor answered; others wait in order. A NON counts for ack_timeout_ms at most.
                              As many CON notifications may be: further NOTIFY events for that peer wait.
                              0 means 1. Reliable peers have no limit */
    uint32_t
        probing_rate;   /* RFC 7252 4.7: bytes per second of NON requests and notifications to a peer from which nothing
                              was received since the first of them, on average; 16 * max_message bytes may go at once.
                              A request that exceeds it waits, and fails only by nacre_endpoint_cancel or its limit; a
                              notification becomes a CON (RFC 7641 4.5.1). Of silent peers some 256 are remembered.
                              0 means 1; UINT32_MAX: no limit. Reliable peers have none */
    bool no_reregister; /* observations are not registered again when their Max-Age has passed */
    uint32_t reregister_ms; /* a protected observation is registered again at the latest after this time, however often
                               it is notified, for its freshness (RFC 8613 7.3); 0 means one hour */
    uint16_t num_outer;     /* protected messages at a time that a proxy cut into blocks, or wants in blocks; two times
                              (max_message + max_unfragmented) bytes each; 0 means 4 */
    uint32_t max_unfragmented; /* RFC 8613's MAX_UNFRAGMENTED_SIZE: the longest payload in bytes that is put together
                                  from outer blocks, at most 2^20; 0 means 4096 */
    nacre_timing timing;
    const nacre_table *contexts; /* whom requests may come from; NULL: protected requests get 4.01. Borrowed; may grow
                                    and shrink between calls */
    nacre_crypto crypto;         /* copied; its instance is borrowed */
    nacre_random random;
    nacre_lock lock;
    nacre_limit
        limit; /* what is larger is NACRE_ERR_TOO_LONG, as above max_message; empty: max_message for everybody */
} nacre_endpoint_config;

/* nacre_endpoint_config_default: everything said above, but contexts, crypto, random, lock and limit, which are empty, and
 * num_observers, which is 0; observers_per_peer is 16. Pools and rates of 0 are refused, but those of num_observers, num_outer
 * and max_unfragmented. */
nacre_endpoint_config nacre_endpoint_config_default(void);

/* nacre_endpoint_size tells how many bytes of memory an endpoint of that configuration takes (0: not possible). The
 * memory must be aligned as malloc aligns. */
size_t nacre_endpoint_size(const nacre_endpoint_config *config);

/* nacre_endpoint_init: NACRE_OK; NACRE_ERR_BUFFER_TOO_SMALL (memory too small); NACRE_ERR_BAD_ARGUMENT (a max_message below 64
 * or above 65535, no random, no crypto or one whose table is of another version, no or misaligned memory). */
NACRE_MUST_USE nacre_err nacre_endpoint_init(nacre_endpoint **ep, void *memory, size_t size,
                                             const nacre_endpoint_config *config);

/* nacre_endpoint_wipe overwrites all that passed through. Exchanges in flight end without an event. */
void nacre_endpoint_wipe(nacre_endpoint *ep);

/* An exchange, by number: of a request that we sent, or of one that we are to answer. Numbers are not used again soon; an
 * ended one is recognised (NACRE_ERR_STALE). 0 is never an exchange. */
typedef uint32_t nacre_exchange;

/* A request of a transfer (nacre/transfer.h), which takes several exchanges of its endpoint. Of another type, for the numbers of
 * both overlap. All zero is never one. */
typedef struct nacre_transfer_exchange {
    uint32_t number;
} nacre_transfer_exchange;

/* A datagram that was longer than the driver's buffer is given too: `bytes` is its start, `full_len` the length that it had, or
 * any length above bytes.len where the system only says that it was cut. 64 bytes are enough for its header and token. */
typedef struct nacre_datagram {
    nacre_address peer;
    nacre_bytes bytes;
    size_t full_len; /* at most bytes.len (0, say): `bytes` is all of it */
} nacre_datagram;

/* nacre_endpoint_receive_many takes up to `burst` datagrams (returns how many) that arrived at `now_ms`: it parses,
 * recognises duplicates before OSCORE (RFC 7252 4.5), finds contexts, decrypts, and queues events. Call it only when
 * next_event has said false: while an event with a message waits to be pulled it takes nothing and returns 0, and
 * requests that were pulled but not answered count as ignored from here on. Malformed datagrams are dropped or answered
 * with RST, unprotected answers to protected requests never end an exchange as an answer.
 *
 * A datagram that is cut, or longer than max_message, is oversized; what it is shows in its header and token:
 *
 *     oversized        what is sent                                    what becomes of the exchange
 *     request          4.13 with Size1, the payload that fits          none begins; at most challenges_per_second
 *                      (RFC 7959 4), and a smaller Block1 where it     are answered, others are dropped
 *                      has a larger one (2.9.3)
 *     response to a    ACK to a CON                                    plain: FAILED, NACRE_ERR_OVERSIZED
 *     request of ours                                                  protected: an OVERSIZED event; it goes on, for
 *                                                                      nothing of it can be verified, and a timeout is
 *                                                                      then NACRE_ERR_OVERSIZED
 *     anything else    RST to a CON                                    */
size_t nacre_endpoint_receive_many(nacre_endpoint *ep, const nacre_datagram *datagrams, size_t num, uint64_t now_ms);

/* Later versions add kinds: ignore those that you do not know. */
typedef enum nacre_event_kind {
    NACRE_EVENT_REQUEST =
        1, /* answer it with nacre_endpoint_respond or nacre_endpoint_ignore before the next receive_many, or say
                                nacre_endpoint_defer_response before that */
    NACRE_EVENT_RESPONSE, /* the answer to our request; the exchange has ended */
    NACRE_EVENT_FAILED,   /* our request ended without an answer: `err` says why; the exchange has ended. With
                                NACRE_ERR_UNAUTHENTICATED (4.00, 4.01, 4.02, 4.05, 4.13, 5.03) and NACRE_ERR_NOT_PROTECTED (any
                                other code) `message` is what came without protection: a hint, no more. It ends a
                                request that was transmitted once and not acknowledged; otherwise the exchange goes on,
                                for a peer without deduplication may refuse a copy and answer the request, and the last
                                hint comes at the timeout: its code, and up to 62 bytes of its diagnostic payload. With
                                NACRE_ERR_CRITICAL_OPTION it is the answer that has an option nacre does not know
                                (in a NON, which is ignored, the exchange goes on: RFC 7252 5.4.1).
                                NACRE_ERR_PROTECTION_INVALID is a timeout, and answers had come that did not verify;
                                NACRE_ERR_RESET of a protected request one at which a RST had come, which anybody can
                                send (of a plain one it is the RST itself, RFC 7252 4.2) */
    NACRE_EVENT_PERSIST,  /* the context needs its store: nacre_context_needs. Serve it, confirm, and then call
                                nacre_endpoint_confirmed */
    NACRE_EVENT_NOTIFY, /* an observer is to hear the present state: answer `exchange`, the observer's number, as if its
                                registration, `message`, had just come: nacre_endpoint_respond, _ignore (nothing now) or
                                _defer_response, with the same deadlines. `context` protects what it is sent */
    NACRE_EVENT_OBSERVER_GONE, /* the observation has ended, and its number with it. `err`: NACRE_OK (cancelled by the
                                client, or the last answer said so, or its request was not answered), NACRE_ERR_STALE
                                (registered anew), _RESET, _TIMEOUT (a CON notification was not acknowledged),
                                _NO_CONTEXT (nacre_endpoint_remove_context), _UNREACHABLE, _BUSY (it gave way: plain, and
                                never confirmed), or what protecting or its store failed of */
    NACRE_EVENT_NOTIFICATION,  /* a representation for a request of ours with Observe 0, the first one too; the exchange
                                goes on. In order: older ones than the last are not shown */
    NACRE_EVENT_REDERIVED, /* RFC 8613 B.2 (nacre/rederivation.h): `context` is new, agreed with `peer`; `user` is the
                                rederivation's. What was in flight under the one before it has ended */
    NACRE_EVENT_PONG,      /* the peer answered nacre_endpoint_ping; the exchange has ended */
    NACRE_EVENT_OVERSIZED, /* a datagram with the token of a protected request of ours, or of an observation, plain ones too,
                                had `oversized` bytes, more than max_message: a hint, which anybody on the path may have sent. The exchange goes on. Ask in
                                blocks, or in smaller ones (RFC 7959), or make max_message larger */
} nacre_event_kind;

typedef struct nacre_event {
    nacre_event_kind kind;
    nacre_err err;
    nacre_exchange exchange; /* the endpoint's; 0: of a transfer's request, it is: */
    nacre_transfer_exchange transfer_exchange;
    nacre_context *context; /* REQUEST, RESPONSE, NOTIFICATION: it verified the message; NULL: not protected.
                               FAILED: NULL */
    nacre_address peer;
    nacre_message message; /* plain; valid until the next receive_many; of NOTIFY as long as the observer is there */
    void *user;            /* as given to nacre_endpoint_request or nacre_endpoint_observe */
    size_t oversized; /* OVERSIZED, and FAILED with NACRE_ERR_OVERSIZED: bytes of the response, more than max_message;
                              not set otherwise */
} nacre_event;

/* nacre_endpoint_next_event: false when there is none. */
bool nacre_endpoint_next_event(nacre_endpoint *ep, nacre_event *event);

/* nacre_endpoint_request starts an exchange. From `plain` it takes type (CON or NON), code, options and payload; token
 * and MID are the endpoint's. With `context` the request is protected, when it is transmitted; without, it goes in clear.
 * The context is borrowed until the exchange ends. It ends with one event: RESPONSE or FAILED. An answer 4.01 with Echo
 * that is protected is answered once by repeating the request with the Echo value (RFC 8613 B.1.2). An Echo value in any other
 * response goes with the next request to that address in that context, or in clear when it came so, unless that has one
 * (RFC 9175 2.3): once, within exchange_lifetime_ms; 16 are kept, the newest.
 * NACRE_OK                `exchange` is set
 * NACRE_ERR_BUSY          num_client_exchanges are in flight: try after one has ended
 * NACRE_ERR_TOO_LONG      does not fit max_message, or what the peer takes, when protected
 * NACRE_ERR_BAD_ARGUMENT  no request code, type ACK or RST, options not well-formed or with an OSCORE option among them
 * The endpoint does not compare contexts with each other: no two of the caller's may have one Sender Key, or one Recipient Key
 * (RFC 8613 3.3; nacre_context_same_sender_key and nacre_context_same_recipient_key tell).
 * What protecting fails of later (NACRE_ERR_CONTEXT_UNAVAILABLE …) comes as FAILED. A request that waits for its store has
 * no timeout: nacre_endpoint_confirmed ends the wait. */
NACRE_MUST_USE nacre_err nacre_endpoint_request(nacre_endpoint *ep, nacre_exchange *exchange, const nacre_address *peer,
                                                nacre_context *context, const nacre_message *plain, void *user);

/* More about a request; all zero is nacre_endpoint_request. */
typedef struct nacre_rederivation nacre_rederivation;
typedef struct nacre_request_options {
    /* `peer` is a proxy: the errors that proxies make by themselves (4.04, 5.02, 5.04, 5.05) end a protected exchange
     * with NACRE_ERR_UNAUTHENTICATED too, not with NACRE_ERR_NOT_PROTECTED */
    bool via_proxy;
    /* until the answer, or the first notification, counted from the next transmit_many, waiting for a store or for other
     * requests included: then FAILED, NACRE_ERR_TIMEOUT. 0: the configured timing decides */
    uint32_t timeout_ms;
    /* the request is protected with the context that this rederivation has, or brings about (nacre/rederivation.h); `context` is NULL
     * then. That it is too long may show later: FAILED, NACRE_ERR_TOO_LONG */
    nacre_rederivation *rederivation;
} nacre_request_options;

/* nacre_endpoint_request_with is nacre_endpoint_request with options (NULL: none), and returns the same;
 * NACRE_ERR_BAD_ARGUMENT also for a rederivation that is not added to this endpoint, does not ask, or comes with a context. */
NACRE_MUST_USE nacre_err nacre_endpoint_request_with(nacre_endpoint *ep, nacre_exchange *exchange,
                                                     const nacre_address *peer, nacre_context *context,
                                                     const nacre_message *plain, void *user,
                                                     const nacre_request_options *options);

/* ---- Observing (RFC 7641, RFC 8613 4.1.3.5) -------------------------------------------------------------------------
 * A GET or FETCH with Observe 0 asks for an observation. Each answer 2.xx with Observe is a NOTIFICATION; an answer without
 * it, or with an error code, is a RESPONSE and ends the exchange, at once (a server that does not let itself be observed)
 * or later. The exchange keeps its place among num_client_exchanges until then.
 *  - Notifications are ordered by Partial IV, or, where nothing is protected, by RFC 7641 3.4. What does not verify, or
 *    comes without protection, neither ends the observation nor triggers anything. A CON gets its ACK in any case.
 *  - When Max-Age and 5 to 15 seconds more have passed without a notification, the endpoint registers again by itself, with
 *    the same token and a new Partial IV, as a CON (config: no_reregister, reregister_ms). Notifications of the old
 *    registration are taken until the first answer to the new one has verified, and not any more after that. A registration
 *    that is not answered ends the exchange: FAILED.
 *  - A verified 4.01 with Echo to any request says that its server was restarted and has lost its observers (RFC 8613 B.1.2):
 *    observations in that context, and plain ones at that address, are registered again at once, at most once in 30 seconds
 *    for this reason (config: no_reregister).
 *  - It ends by nacre_endpoint_unobserve, or by nacre_endpoint_cancel: then the next notification gets RST. */

/* nacre_endpoint_unobserve ends an observation in order: the request goes out again with Observe 1 and the same token. The
 * answer ends the exchange: RESPONSE, or FAILED as ever; there are no more NOTIFICATION events in between. Calling it twice
 * is as good as once.
 * NACRE_OK; NACRE_ERR_STALE (the exchange has ended); NACRE_ERR_BAD_ARGUMENT (it is no request with Observe 0) */
NACRE_MUST_USE nacre_err nacre_endpoint_unobserve(nacre_endpoint *ep, nacre_exchange exchange);

/* nacre_endpoint_ping sends an empty CON (RFC 7252 4.3), which takes a place among num_client_exchanges: PONG when the peer rejects
 * it, as it should, or acknowledges it; else FAILED. Nobody vouches for either.
 * NACRE_OK; NACRE_ERR_BUSY; NACRE_ERR_UNSUPPORTED (a reliable peer: its stream has a ping of its own) */
NACRE_MUST_USE nacre_err nacre_endpoint_ping(nacre_endpoint *ep, nacre_exchange *exchange, const nacre_address *peer,
                                             void *user);

/* nacre_endpoint_give_up ends an exchange of ours as if its time were up: FAILED, with what came and was not trusted, if
 * anything did. A number that is not an open exchange of ours is ignored. */
void nacre_endpoint_give_up(nacre_endpoint *ep, nacre_exchange exchange);

/* nacre_endpoint_cancel ends an exchange of ours without an event; a late answer gets RST or is dropped. */
void nacre_endpoint_cancel(nacre_endpoint *ep, nacre_exchange exchange);

/* nacre_endpoint_respond answers a request: code, options and payload from `plain`. The answer is protected when the
 * request was, piggybacked when that was a CON, and kept for duplicates. Three things may become of it instead: nothing,
 * when the request's No-Response names its class (RFC 7967); and to an address that is not validated, where the answer has more
 * than 136 bytes and three times the request's (RFC 9175 2.4): a 4.01 with Echo for a 2.xx to a GET or FETCH, which may come
 * again with the value; for other methods, which must not be repeated, and for errors the code alone. Ask
 * nacre_endpoint_fits first, and cut what does not fit, as a transfer does. All transmissions of a separate answer count
 * together: where the next would be too much, none is sent any more.
 * An address is validated for exchange_lifetime_ms by an Echo value of ours, or by a response with a token of ours. A message
 * ID proves nothing: 65,536 small datagrams guess it. A block that says that others follow (Block2) offers an Echo value to an
 * address that is not validated, where that fits too; so the request for the next block may validate it.
 * NACRE_OK (also in these cases, and when the answer waits for the store); NACRE_ERR_STALE; NACRE_ERR_BAD_ARGUMENT (no
 * response code, options not well-formed or with an OSCORE option among them); NACRE_ERR_TOO_LONG;
 * NACRE_ERR_CONTEXT_UNAVAILABLE, _CRYPTO, _UNSUPPORTED from protecting. On failure the exchange stays open: answer with
 * something shorter, or ignore it. */
NACRE_MUST_USE nacre_err nacre_endpoint_respond(nacre_endpoint *ep, nacre_exchange exchange,
                                                const nacre_message *plain);

/* nacre_endpoint_fits tells, before nacre_endpoint_respond, whether that would send `plain` as it is to this exchange: false
 * where the address is not validated and `plain` is more than it may get. Something shorter is then better: a block of it
 * (Block2), as a transfer cuts it (nacre/transfer.h); an answer 2.xx whose Block2 says that others follow counts with the Echo
 * value that is offered in it. True also for a GET or FETCH in a security context whose peer has sent an Echo before: it will be
 * asked for one; and for exchanges that have ended. */
bool nacre_endpoint_fits(nacre_endpoint *ep, nacre_exchange exchange, const nacre_message *plain);

/* nacre_endpoint_ignore ends a request that is not to be answered; a CON gets an empty ACK. */
void nacre_endpoint_ignore(nacre_endpoint *ep, nacre_exchange exchange);

/* nacre_endpoint_defer_response keeps a REQUEST or NOTIFY open beyond the next receive_many: nacre_endpoint_respond and _ignore
 * take the same number at any time from now on, and one of them must be called, for the exchange holds one of num_transmissions
 * and one of num_server_exchanges until then: let there be more of the latter. The event's message goes as ever: copy what you need
 * of it. A CON request gets its empty ACK when there is no answer after ack_delay_ms; the answer is then a CON of its own,
 * sent again until it is acknowledged (RFC 7252 5.2.2).
 * NACRE_OK; NACRE_ERR_BUSY (all num_transmissions are in use, or half of them for a plain request whose sender's address is not
 * validated: answer now, with 5.03 if need be); NACRE_ERR_STALE */
NACRE_MUST_USE nacre_err nacre_endpoint_defer_response(nacre_endpoint *ep, nacre_exchange exchange);

/* ---- Observing, the side that is observed (RFC 7641, RFC 8613 4.1.3.5) -----------------------------------------------
 * A GET or FETCH with Observe 0 that the application takes as a registration becomes an observer with a number of its own.
 * The endpoint then adds Observe to the 2.xx answer of that request, whatever the answer has of it, and to each
 * notification. Each NOTIFY event is one chance to say the present state; changes in between are not queued. An answer that
 * is not 2.xx ends the observation: the client hears it, and OBSERVER_GONE follows, as for any other end. Notifications are
 * CON until one is acknowledged or the client's address is validated, then every sixteenth and the first after a day (for a
 * registration that was NON, protected or from a validated address, the latter only), and the last; else NON. To an address that is not validated each has no more
 * bytes than the answer to the registration: nacre_endpoint_fits; what is longer goes as 4.01 with Echo, and ends the
 * observation until the client registers with the value. A RST ends a plain observation. A protected one it only puts to the
 * test: one NOTIFY event comes and is answered as CON, whose time-out ends it, or a RST while at most four RST that matched
 * nothing came from there in exchange_lifetime_ms (with five, any sender can bring it about that the time-out alone counts).
 * A guessed ACK ends the retransmissions of a CON; a notification that was lost is then made up for by the next, or by the
 * next registration. One is under way at a time for each observer. How often changes are
 * worth telling is the application's to decide (RFC 7641 4.5.1). A client that sends Observe 1 is taken off before its
 * request is delivered; answer that as any other. No-Response of a registration is not heeded.
 *
 * nacre_endpoint_observe takes a delivered request, before it is answered, as a registration; one of the same client under
 * the same token (protected: with the same context and the same options too) ends and gets its OBSERVER_GONE.
 * NACRE_OK                `observer` is set, `user` comes back in its events; now answer the request
 * NACRE_ERR_BUSY          num_observers are there, or observers_per_peer of this peer: answer without observing. A plain one
 *                         that was never confirmed (no CON acknowledged, address not validated) gives way to the former
 * NACRE_ERR_TOO_LONG      the request is longer than observer_bytes: answer without observing
 * NACRE_ERR_BAD_ARGUMENT  the request has no Observe 0, is no GET or FETCH, or is taken already
 * NACRE_ERR_STALE         no such request, or nacre_endpoint_defer_response came first */
NACRE_MUST_USE nacre_err nacre_endpoint_observe(nacre_endpoint *ep, nacre_exchange exchange, void *user,
                                                nacre_exchange *observer);

/* nacre_endpoint_changed: what the observer looks at is not what it was told. Its NOTIFY event comes when a push is free
 * and the notification before it is settled. A number that has ended changes nothing. */
void nacre_endpoint_changed(nacre_endpoint *ep, nacre_exchange observer);

/* nacre_endpoint_drop_observer forgets an observer without a message and without an event. To let it know, answer its
 * NOTIFY with an error instead. */
void nacre_endpoint_drop_observer(nacre_endpoint *ep, nacre_exchange observer);

/* nacre_endpoint_confirmed: the store served what a PERSIST event asked for; what waited goes on. With `err` not NACRE_OK the
 * store failed. What the context can do with what is durable goes on all the same; the rest ends:
 *
 *     what waits on the context                       while the store fails
 *     own request                                     FAILED with `err`
 *     request that was not accepted (its window is    5.03 in clear when it was CON, silence when NON; its nonce stays
 *     still held by the store)                        unused, for the same request may be accepted later
 *     accepted request                                does not wait: it is answered with its own nonce
 *     answer to a request that came with Echo, which  a Partial IV that is in hand; without one 5.03 in clear, or
 *     gives no right to its nonce                     silence to a NON and after the empty ACK of a separate response
 *     notification                                    dropped; the observer stays, and has its NOTIFY event with its next
 *                                                     change, or when the store of its context confirms something
 *
 * Nothing has to be opened anew: the next message that needs the store asks again. */
void nacre_endpoint_confirmed(nacre_endpoint *ep, nacre_context *context, nacre_err err);

/* nacre_endpoint_remove_context: a context is about to be wiped (take it out of the table first); its exchanges end with
 * NACRE_ERR_NO_CONTEXT, and requests of others that are CON get the answer of that error. */
void nacre_endpoint_remove_context(nacre_endpoint *ep, nacre_context *context);

/* nacre_endpoint_unreachable: the driver learned (ICMP) that nothing sent to `peer` arrives; requests to it that have
 * not been acknowledged end with NACRE_ERR_UNREACHABLE. Of a reliable peer it says that the connection is gone: all our
 * requests to it, observations too, end like that, and what it asked is stale and is not answered. */
void nacre_endpoint_unreachable(nacre_endpoint *ep, const nacre_address *peer);

/* One datagram to send. The driver gives room; the endpoint sets peer and bytes (at the start of the room). */
typedef struct nacre_outgoing {
    nacre_buf buf; /* at least max_message bytes */
    nacre_address peer;
    nacre_bytes bytes;
} nacre_outgoing;

/* nacre_endpoint_transmit_many protects and writes what is to be sent at `now_ms`, up to `num` datagrams; returns how
 * many. It stops at a room below max_message bytes. Timers start here. */
size_t nacre_endpoint_transmit_many(nacre_endpoint *ep, nacre_outgoing *out, size_t num, uint64_t now_ms);

/* nacre_endpoint_deadline: the time at which nacre_endpoint_expire wants to be called; UINT64_MAX for never. */
uint64_t nacre_endpoint_deadline(const nacre_endpoint *ep);

/* nacre_endpoint_expire does what is due: queues retransmissions for transmit_many, and events for what timed out. */
void nacre_endpoint_expire(nacre_endpoint *ep, uint64_t now_ms);

/* Counters, since init. */
typedef struct nacre_endpoint_stats {
    uint64_t received, malformed, duplicates, replays, unprotect_failures, no_context, requests, responses,
        retransmitted, sent, dropped, notifications, oversized;
} nacre_endpoint_stats;
nacre_endpoint_stats nacre_endpoint_get_stats(const nacre_endpoint *ep);

/* nacre_endpoint_get_config: as given to nacre_endpoint_init, with the defaults filled in. */
const nacre_endpoint_config *nacre_endpoint_get_config(const nacre_endpoint *ep);

#ifdef __cplusplus
}
#endif

#endif
