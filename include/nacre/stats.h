/* SPDX-License-Identifier: MIT */
/* stats: what an endpoint counts: messages by what became of them. nacre_endpoint_get_stats (endpoint.h) and
 * nacre_server_get_stats (server.h) return them. */
#ifndef NACRE_STATS_H
#define NACRE_STATS_H

#include <nacre/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Why messages were dropped without a response: X(NAME, "name"). `dropped` is their sum. */
#define NACRE_DROPPED_MAP(X)                                                                                           \
    /* no free entry in a pool */                                                                                      \
    X(SERVER_EXCHANGES, "server_exchanges") /* num_server_exchanges */                                                 \
    X(PENDING, "pending_requests")          /* requests that wait for a window to be stored: `burst` of them */        \
    X(LOOKUP, "lookups")                    /* requests that wait for a context: num_lookups, or blocks of one */      \
    X(EMPTY, "empty_messages")              /* ACK and RST of one burst */                                             \
    X(OUTER, "outer_blocks")                /* outer_block.num_messages, or longer than max_unfragmented */            \
    X(REDERIVATION, "rederivation")         /* the rederivation is busy */                                             \
    /* no token of a rate limit (nacre_admission_config) */                                                            \
    X(ECHO_RATE, "echo_challenge")                                                                                     \
    X(OVERSIZED_RATE, "oversized_response")                                                                            \
    X(REDERIVE_RATE, "rederivation_rate")                                                                              \
    /* not now: the retransmission is accepted */                                                                      \
    X(STORE, "store")                /* in outer blocks, while the store is written */                                 \
    X(RECOVERED, "recovered_window") /* another request has recovered the window meanwhile */                          \
    /* responses */                                                                                                    \
    X(STRAY, "stray_response")   /* matches no exchange */                                                             \
    X(STALE, "stale_response")   /* of an exchange that has ended, or an older notification */                         \
    X(OPTION, "critical_option") /* a NON with an unknown critical option */

/* Why protected messages were refused: X(NACRE_ERR_..., "name"); NACRE_REFUSED_OTHER: any other error. */
#define NACRE_REFUSED_MAP(X)                                                                                           \
    X(DECODE, "decode")                                                                                                \
    X(NO_CONTEXT, "no_context")                                                                                        \
    X(REPLAY, "replay")                                                                                                \
    X(PROTECTION_INVALID, "protection_invalid")                                                                        \
    X(CONTEXT_UNAVAILABLE, "context_unavailable")                                                                      \
    X(NOT_PROTECTED, "not_protected")     /* an unprotected response to a protected request */                         \
    X(UNAUTHENTICATED, "unauthenticated") /* … that is an error */

typedef enum nacre_dropped {
#define NACRE_DROPPED_ENUM(name, text) NACRE_DROPPED_##name,
    NACRE_DROPPED_MAP(NACRE_DROPPED_ENUM)
#undef NACRE_DROPPED_ENUM
        NACRE_NUM_DROPPED
} nacre_dropped;

typedef enum nacre_refused {
#define NACRE_REFUSED_ENUM(name, text) NACRE_REFUSED_##name,
    NACRE_REFUSED_MAP(NACRE_REFUSED_ENUM)
#undef NACRE_REFUSED_ENUM
        NACRE_REFUSED_OTHER,
    NACRE_NUM_REFUSED
} nacre_refused;

enum {
    NACRE_STATS_METHODS = 8,  /* indices are methods: 1 GET … 7 iPATCH; 0: others */
    NACRE_STATS_CODES = 0xc0, /* indices are response codes: 0x45 is 2.05 */
};

/* Counters, since the endpoint was made. All are uint64_t, so that two of these can be added word by word. */
typedef struct nacre_endpoint_stats {
    uint64_t received, malformed, duplicates, replays, unprotect_failures, no_context, requests, responses,
        retransmitted, sent, dropped, notifications, oversized;
    uint64_t protected_requests; /* of `requests`: those that verified */
    uint64_t repeated_responses; /* duplicates of requests that got the same response again */
    uint64_t sent_notifications; /* to observers, each counted once */
    uint64_t echo_challenges;    /* 4.01 with Echo: for a window (RFC 8613 B.1.2) or an address (RFC 9175 2.4) */
    uint64_t echo_proofs;        /* Echo values that came back and were valid where one was needed */
    uint64_t methods[NACRE_STATS_METHODS]; /* of `requests` */
    uint64_t responded[NACRE_STATS_CODES]; /* responses to requests, by code, each counted once */
    uint64_t refused[NACRE_NUM_REFUSED];   /* protected messages that did not verify */
    uint64_t dropped_for[NACRE_NUM_DROPPED];
} nacre_endpoint_stats;

#ifdef __cplusplus
}
#endif

#endif
