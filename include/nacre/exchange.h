/* SPDX-License-Identifier: MIT */
/* exchange: handles of exchanges, observers and requests of a transfer. Each is a type of its own, so that a handle of one layer
 * is not taken for one of another. Handles are copied freely. The number of an ended one is not used again for the next
 * 2^32 - 2 of its pool entry, so that a stale handle is recognised; all zero is none. */
#ifndef NACRE_EXCHANGE_H
#define NACRE_EXCHANGE_H

#include <nacre/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An exchange of an endpoint: a request sent, or one received, or a notification, to be responded to. */
typedef struct nacre_exchange {
    uint64_t number;
} nacre_exchange;

/* A client that observes a resource of this endpoint (nacre_endpoint_observe). */
typedef struct nacre_observer {
    uint64_t number;
} nacre_observer;

/* A request of a transfer (nacre/transfer.h), which takes several exchanges of its endpoint. */
typedef struct nacre_transfer_exchange {
    uint64_t number;
} nacre_transfer_exchange;

#define NACRE_EXCHANGE_NONE          (NACRE_VALUE(nacre_exchange){ 0 })
#define NACRE_OBSERVER_NONE          (NACRE_VALUE(nacre_observer){ 0 })
#define NACRE_TRANSFER_EXCHANGE_NONE (NACRE_VALUE(nacre_transfer_exchange){ 0 })

static inline bool nacre_exchange_is_none(nacre_exchange exchange)
{
    return exchange.number == 0;
}

static inline bool nacre_exchange_equal(nacre_exchange a, nacre_exchange b)
{
    return a.number == b.number;
}

static inline bool nacre_observer_is_none(nacre_observer observer)
{
    return observer.number == 0;
}

static inline bool nacre_observer_equal(nacre_observer a, nacre_observer b)
{
    return a.number == b.number;
}

static inline bool nacre_transfer_exchange_is_none(nacre_transfer_exchange exchange)
{
    return exchange.number == 0;
}

static inline bool nacre_transfer_exchange_equal(nacre_transfer_exchange a, nacre_transfer_exchange b)
{
    return a.number == b.number;
}

#ifdef __cplusplus
}
#endif

#endif
