/* SPDX-License-Identifier: MIT */
/* world: shared by the files of a whole run: the state of one input, and the steps. */
#ifndef NACRE_FUZZ_WORLD_H
#define NACRE_FUZZ_WORLD_H

#include "fuzz.h"
#include "nonces.h"
#include "rederiving.h"

#include "endpoint/endpoint_struct.h"
#include "transfer/transfer_internal.h"

enum {
    MAX_MESSAGE = 300,
    MAX_SENT = 24,
    MAX_MADE = 24,
    NUM_CLIENT_REQUESTS = 6,
    NUM_OPEN = 12,
    NUM_SEEN = 8,
    MAX_STEPS = 300
};
enum { NUM_REQUESTS = 3, NUM_RESPONSES = 6, NUM_TRANSMISSIONS = 3, NUM_OBSERVERS = 3, NUM_BODIES = 3, BIG = 2000 };

typedef struct client_request {
    uint64_t exchange; /* the number of the exchange, or of the transfer's; 0: free */
    bool observes;
    uint8_t buf[BIG / 2];
} client_request;

typedef struct open_request {
    nacre_exchange exchange;
    bool deferred;
} open_request;

typedef struct whole_world {
    nacre_endpoint *ep;
    nacre_transfer *transfer; /* or NULL */
    nacre_site *site;         /* or NULL */
    nacre_crypto crypto;      /* the wrapped one */
    nacre_context ctx, peer;  /* ours, and the peer's */
    bool removed;             /* ours is wiped */
    nacre_table table;
    nacre_table_slot slots[4];
    uint64_t now, random;
    uint16_t mid;
    fuzz_input *in;
    nacre_bytes sent[MAX_SENT], made[MAX_MADE];
    uint8_t sent_to[MAX_SENT], made_by[MAX_MADE];
    size_t num_sent, num_made;
    client_request requests[NUM_CLIENT_REQUESTS];
    open_request open[NUM_OPEN];
    nacre_observer observers[NUM_OBSERVERS];
    size_t num_block1; /* under way */
    uint8_t policy;    /* of the site's handlers, and of sources and sinks */
    bool rederives;
    rederiving rederiving; /* with the peer of B.2, if `rederives` */
} whole_world;

extern whole_world w;
extern uint8_t whole_big[BIG]; /* the longest body */

/* pieces.c */
void whole_random(void *self, uint8_t *out, size_t len);
nacre_address whole_address(uint8_t which);
nacre_bytes whole_options(bool of_request, int observe);
int whole_observe_of(uint8_t kind);
nacre_bytes whole_payload(void);

/* handlers.c */
nacre_err whole_read_source(void *user, uint64_t offset, nacre_buf buf, size_t *len);
nacre_err whole_write_sink(void *user, uint64_t offset, nacre_bytes piece, uint64_t total);
void whole_on_upload(void *user, const nacre_event *event, nacre_upload *upload);
void whole_ignore(nacre_exchange exchange);
void whole_keep_open(nacre_exchange exchange, bool deferred);
void whole_make_site(void);

/* events.c */
void whole_pull(void);
void whole_transmit(size_t most);
void whole_receive(uint8_t from, nacre_bytes datagram);

/* peer_steps.c */
void whole_anything_arrives(void);
void whole_peer_sends(uint8_t by, nacre_bytes datagram, bool arrives);
void whole_peer_requests(void);
void whole_peer_repeats(void);
void whole_peer_settles(void);
void whole_peer_responds(void);

/* application_steps.c */
void whole_we_respond(void);
void whole_resource_changes(void);
void whole_we_request(void);
void whole_we_leave(void);
void whole_ping_or_lose(void);

/* rederivation_steps.c */
void whole_rederivation_step(void);

/* time.c */
void whole_serve_store(uint8_t how);
void whole_context_goes(void);
uint64_t whole_deadline(void);
void whole_expire(uint64_t now);
void whole_pass_time(void);

/* begin.c */
void whole_begin(uint8_t flags);

/* end.c */
void whole_end(void);

#endif
