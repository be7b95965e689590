/* SPDX-License-Identifier: MIT */
/* loop: drives one endpoint over one UDP socket and, if asked to, over connections; serves the stores of its contexts. A
 * loop belongs to one thread. */
#ifndef NACRE_LOOP_H
#define NACRE_LOOP_H

#include <nacre/address.h>
#include <nacre/base.h>
#include <nacre/endpoint.h>
#include <nacre/pack.h>
#include <nacre/store.h>
#include <nacre/system.h>
#include <nacre/tcp.h>
#include <nacre/transfer.h>
#include <nacre/udp.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Called for every event of the endpoint but PERSIST, which the loop serves from the stores added to it. */
typedef void (*nacre_on_event)(void *user, nacre_endpoint *ep, const nacre_event *event);

/* The packet tap: called with every datagram that crosses the socket, and every message of a connection in its datagram form.
 * `bytes` live until it returns. `full_len` is bytes.len, or more when `bytes` are the start of a datagram that is longer than
 * the receive buffer; where the system does not tell its length, one more. */
typedef void (*nacre_on_datagram)(void *user, bool outgoing, const nacre_address *peer, nacre_bytes bytes,
                                  size_t full_len);

typedef struct nacre_loop nacre_loop;
/* nacre_loop_open makes an endpoint, and drives it. It takes over neither `udp` nor what `config` borrows: close the loop
 * before them. config->random may be empty: the system's.
 * NACRE_OK; NACRE_ERR_BAD_ARGUMENT (`config`, as nacre_endpoint_init); NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_loop_open(nacre_loop **loop, nacre_udp *udp, const nacre_endpoint_config *config,
                                         nacre_on_event on_event, void *user, nacre_detail *why);
/* nacre_loop_open_transfer: the same with a transfer on top of the endpoint; events come from the transfer. `transfer`'s
 * endpoint is set by the loop. NACRE_ERR_BAD_ARGUMENT also as nacre_transfer_init. */
typedef void (*nacre_on_transfer_event)(void *user, nacre_transfer *transfer, const nacre_event *event);
NACRE_MUST_USE nacre_err nacre_loop_open_transfer(nacre_loop **loop, nacre_udp *udp,
                                                  const nacre_endpoint_config *config,
                                                  const nacre_transfer_config *transfer,
                                                  nacre_on_transfer_event on_event, void *user, nacre_detail *why);
nacre_transfer *nacre_loop_transfer(nacre_loop *loop); /* NULL without one */
void nacre_loop_close(nacre_loop *loop);               /* NULL is allowed */
nacre_endpoint *nacre_loop_endpoint(nacre_loop *loop);

/* nacre_loop_add_tcp: the endpoint speaks to reliable addresses over these connections, beside the socket. `tcp` is borrowed
 * until the loop is closed. Without it, nobody with such an address can be reached.
 * NACRE_OK; NACRE_ERR_NO_MEMORY; NACRE_ERR_BAD_ARGUMENT (the loop has one; or its max_message is below the connections') */
NACRE_MUST_USE nacre_err nacre_loop_add_tcp(nacre_loop *loop, nacre_tcp *tcp);

/* nacre_loop_tap: sets the packet tap; NULL removes it. */
void nacre_loop_tap(nacre_loop *loop, nacre_on_datagram on_datagram, void *user);

/* nacre_loop_add_store: this store serves that context. NACRE_OK, NACRE_ERR_NO_MEMORY. */
NACRE_MUST_USE nacre_err nacre_loop_add_store(nacre_loop *loop, nacre_context *ctx, nacre_store store);
void nacre_loop_remove_store(nacre_loop *loop, nacre_context *ctx);

/* nacre_loop_add_pack: the contexts of this pack are served by it, with one sync for all that ask at once. The loop borrows
 * it; one that it has already changes nothing. NACRE_OK, NACRE_ERR_NO_MEMORY. */
NACRE_MUST_USE nacre_err nacre_loop_add_pack(nacre_loop *loop, nacre_pack *pack);

/* ---- Stores that fail ----
 * A store that fails (a full disk, a directory that is not ours any more) stops what needs it and nothing else: accepted
 * requests are answered with their own nonces, and numbers in hand are used (nacre_endpoint_confirmed has the table). The loop
 * tries stores that fail again every five seconds, so that it ends by itself, without a restart and without a request. */
typedef enum nacre_store_state {
    NACRE_STORE_FAILS = 1,   /* the store of `context` fails, and did not before */
    NACRE_STORE_STILL_FAILS, /* it was tried again in vain: one such report in five seconds, over all contexts */
    NACRE_STORE_WORKS,       /* the store of `context` works again */
} nacre_store_state;
typedef struct nacre_store_report {
    nacre_store_state state;
    const nacre_context *context;
    const char *const
        *claims;        /* its names (nacre_server_claims); NULL: none, as for contexts of packs and of a bare loop */
    nacre_err err;      /* the store's; NACRE_OK when it works */
    const char *text;   /* one line, as nacre_detail: what, where, what to do; "" when it works */
    size_t num_failing; /* contexts whose store fails now */
    uint64_t num_failures; /* calls of stores that failed, since the start */
} nacre_store_report;
/* Called by the thread whose loop asked the store; with several workers by any of them, one at a time. `report` and what it
 * points to live until it returns. A store that flaps is reported each time: a program that logs must limit its lines
 * (num_failing says how many contexts a line stands for). The callback may ask for claims and for the health, and calls nothing
 * else of the loop, the client or the server that reports. */
typedef void (*nacre_on_store)(void *user, const nacre_store_report *report);
typedef struct nacre_store_health {
    uint64_t num_failures; /* as in the report; a context that goes is not failing any more */
    size_t num_failing;
} nacre_store_health;

/* nacre_loop_on_store sets the callback for these reports; NULL removes it. nacre_loop_store_health may be called by any thread. */
void nacre_loop_on_store(nacre_loop *loop, nacre_on_store on_store, void *user);
nacre_store_health nacre_loop_store_health(const nacre_loop *loop);

/* nacre_loop_store_failed is for stores that take their time: one that said NACRE_ERR_NOT_YET could not do it after
 * all. `err` is neither NACRE_OK nor NACRE_ERR_NOT_YET; `text`, one line, is copied (NULL: the error's). What waits for
 * the store ends within some 20 ms. Any thread may call it, with no lock of the context held, while the loop is open.
 * nacre_endpoint_confirmed, from the loop's thread, does so at once and is reported as well, without a text. */
void nacre_loop_store_failed(nacre_loop *loop, nacre_context *ctx, nacre_err err, const char *text);

/* nacre_loop_step waits until something is to be done, at most `max_wait_ms`, and does it. NACRE_OK; NACRE_ERR_ADDRESS when
 * the socket failed for good. A store's failure goes to the exchanges that waited, its text to nacre_loop_store_failure. */
NACRE_MUST_USE nacre_err nacre_loop_step(nacre_loop *loop, uint32_t max_wait_ms, nacre_detail *why);

/* A loop inside of another one (poll, epoll, libuv, libevent): wait for these descriptors until that time, and then call
 * nacre_loop_step with 0. Both may be different after each step, and after each call of the endpoint or the transfer outside of
 * a step, which a step follows at once.
 * nacre_loop_fds       how many descriptors there are; the first `num` of them are in `fds`
 * nacre_loop_deadline  in milliseconds of nacre_clock_ms; in the past: now; UINT64_MAX: never */
size_t nacre_loop_fds(nacre_loop *loop, nacre_fd *fds, size_t num);
uint64_t nacre_loop_deadline(const nacre_loop *loop);

const char *nacre_loop_store_failure(const nacre_loop *loop); /* the last one's text; "" for none */

#ifdef __cplusplus
}
#endif

#endif
