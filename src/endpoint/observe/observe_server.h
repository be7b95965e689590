/* SPDX-License-Identifier: MIT */
/* observe_server: observers of resources, and their notifications (RFC 7641 4). */
#ifndef NACRE_ENDPOINT_OBSERVE_OBSERVE_SERVER_H
#define NACRE_ENDPOINT_OBSERVE_OBSERVE_SERVER_H

#include "endpoint/core/groups.h"
#include "endpoint/exchange/server_exchange.h"

enum {
    NACRE__STALLS = 64,
    NACRE__OBSERVER_COUNTS = 256, /* at least, if there is a quota */
};

/* One registration of a client for a resource.
 *
 *     FREE -> REGISTERING -> IDLE -> PENDING -> DELIVERED -> BUSY -> IDLE or PENDING
 *     REGISTERING  its request is not answered yet        PENDING    changed; waits for a separate response
 *     DELIVERED    the application has the NOTIFY event   BUSY       its separate response is in flight
 * PENDING may become STALLED while another CON would exceed NSTART (RFC 7252 4.7), or another separate response the share of its
 * peer. Each state ends in GONE, until its event
 * is pulled. FRESH and CHANGED are IDLE and PENDING of an unconfirmed plain registration: its address may be forged, so it is
 * served last. */
typedef enum nacre__observer_state {
    NACRE__OBSERVER_FREE = 0,
    NACRE__OBSERVER_REGISTERING,
    NACRE__OBSERVER_FRESH,
    NACRE__OBSERVER_IDLE,
    NACRE__OBSERVER_CHANGED,
    NACRE__OBSERVER_PENDING,
    NACRE__OBSERVER_STALLED,
    NACRE__OBSERVER_DELIVERED,
    NACRE__OBSERVER_BUSY,
    NACRE__OBSERVER_ENDED,
    NACRE__OBSERVER_STATES,
} nacre__observer_state;

typedef struct nacre__observer {
    nacre__observer_state state;
    uint64_t number;
    uint32_t generation;
    nacre__link link;                    /* in the list of its state */
    nacre__link peer_link, context_link; /* in their groups; the latter only if protected */
    uint32_t token_chain, mid_chain;     /* hash chains */
    uint64_t token_hash, mid_hash;
    nacre_address peer;
    nacre_context *context; /* NULL: not protected */
    nacre_request_id id;    /* without the right to the request's nonce */
    void *user;
    uint8_t *bytes; /* observer_bytes: the plain registration */
    size_t len;
    uint64_t last_con;         /* ms */
    uint32_t server, separate; /* REGISTERING; DELIVERED and BUSY */
    uint32_t stall;            /* STALLED: its list */
    uint32_t observe_value;    /* the last value of Observe */
    uint16_t mid;              /* of the last notification */
    uint8_t since_con;
    bool con, has_mid, changed;
    bool is_confirmed;   /* validated, or a CON notification was acknowledged: NON allowed (RFC 7641 7) */
    bool is_validated;   /* its address was validated during the observation: no allowance */
    bool is_checked;     /* RST to a protected one: the next notification is a CON, and decides */
    bool missed;         /* a notification was dropped because the store failed */
    uint64_t next_check; /* ms: no check before */
    nacre_err err;       /* GONE: why */
} nacre__observer;

typedef struct nacre__observe_server {
    nacre__server_exchanges *x;
    nacre__core *core;
    nacre__observer *observers;
    nacre__list lists[NACRE__OBSERVER_STATES];
    nacre__links links;
    nacre__chains by_token, by_mid;
    nacre__groups by_peer, by_context; /* those that have not ended */
    nacre__list *stalled; /* NACRE__STALLS lists of observers, by context or peer, and one of all plain ones … */
    uint32_t *num_con_notifications; /* … and CON notifications in flight, by peer */
    uint32_t *counts;                /* of observers, by peer; collisions share one */
    uint32_t num_counts;             /* a power of two; 0: no quota */
    bool any_missed;                 /* an observer may have `missed` set */
    uint32_t max, num_observing;     /* entries, one more than config.num_observers; those that have not ended */
} nacre__observe_server;

uint32_t nacre__max_observers(const nacre_endpoint_config *config);
void nacre__observe_server_lay_out(nacre__observe_server *s, nacre__pool_layout *layout,
                                   const nacre_endpoint_config *config);
/* `bytes`: observer_bytes per observer. */
void nacre__observe_server_init(nacre__observe_server *s, uint8_t *bytes);

/* observe_server.c */
uint32_t nacre__stall_of(const nacre__observe_server *s, const nacre_context *context, const nacre_address *peer);
void nacre__observer_set(nacre__observe_server *s, nacre__observer *observer, nacre__observer_state state);
nacre__observer *nacre__observer_of(const nacre__observe_server *s, uint64_t number);
static inline uint32_t nacre__observer_index(const nacre__observe_server *s, const nacre__observer *observer)
{
    return (uint32_t)(observer - s->observers);
}
nacre_err nacre__observer_register(nacre__observe_server *s, nacre__server_exchange *exchange, void *user,
                                   uint64_t *number);
void nacre__observer_release(nacre__observe_server *s, uint64_t number);
void nacre__observer_free(nacre__observe_server *s, nacre__observer *observer);
void nacre__observer_end(nacre__observe_server *s, nacre__observer *observer, nacre_err err);
void nacre__observer_cancel(nacre__observe_server *s, const nacre__server_exchange *exchange);
nacre__observer *nacre__observer_by_mid(const nacre__observe_server *s, const nacre_address *peer, uint16_t mid);
void nacre__observer_set_mid(nacre__observe_server *s, nacre__observer *observer, uint16_t mid);
uint32_t nacre__observers_end_all(nacre__observe_server *s, const nacre_context *context, const nacre_address *peer,
                                  nacre_err err);

/* notifications.c */
bool nacre__observer_reset(nacre__observe_server *s, const nacre_address *peer, uint16_t mid);
void nacre__observer_changed(nacre__observe_server *s, nacre__observer *observer);
static inline void nacre__observer_confirmed(nacre__observer *observer) /* a CON to it was acknowledged */
{
    observer->is_confirmed = true;
    observer->is_checked = false;
}
nacre_err nacre__observe_add(nacre__observe_server *s, nacre__observer *observer, nacre_message *response,
                             nacre_bytes echo);
void nacre__observer_begun(nacre__observe_server *s, nacre__observer *observer, nacre__separate_response *separate);
void nacre__observer_settled(nacre__observe_server *s, nacre__observer *observer, nacre_err err, bool is_acked);
bool nacre__notification_missed(nacre__observe_server *s, nacre__separate_response *separate);
void nacre__con_notification_left(nacre__observe_server *s, nacre__separate_response *separate);
void nacre__share_left(nacre__observe_server *s, const nacre_context *owner, const nacre_address *peer);
void nacre__observers_catch_up(nacre__observe_server *s, const nacre_context *context);
bool nacre__observers_ended_event(nacre__observe_server *s, nacre_event *event);
bool nacre__observers_notify_event(nacre__observe_server *s, nacre_event *event);
nacre_err nacre__observer_respond(nacre__observe_server *s, uint64_t number, const nacre_message *plain);
void nacre__observer_ignore(nacre__observe_server *s, uint64_t number);
nacre_err nacre__observer_defer(nacre__observe_server *s, uint64_t number);
void nacre__observers_close_delivered(nacre__observe_server *s);
bool nacre__observer_exceeds(const nacre__observe_server *s, const nacre__observer *o, const nacre_message *response,
                             size_t extra);

#endif
