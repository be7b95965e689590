/* SPDX-License-Identifier: MIT */
/* loop: drives one endpoint over one UDP socket and, optionally, connections, and serves the stores of its contexts. A
 * loop belongs to one thread. */
#ifndef NACRE_LOOP_H
#define NACRE_LOOP_H

#include <nacre/address.h>
#include <nacre/base.h>
#include <nacre/endpoint.h>
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
 * the receive buffer; where the system does not report its length, one more. */
typedef void (*nacre_on_datagram)(void *user, bool outgoing, const nacre_address *peer, nacre_bytes bytes,
                                  size_t full_len);

typedef struct nacre_loop nacre_loop;
/* nacre_loop_open makes an endpoint and drives it. `udp` and what `config` borrows stay the caller's: close the loop
 * before them. An empty config->random means the system's.
 * NACRE_OK; NACRE_ERR_BAD_ARGUMENT (`config`, as nacre_endpoint_init); NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_loop_open(nacre_loop **loop, nacre_udp *udp, const nacre_endpoint_config *config,
                                         nacre_on_event on_event, void *user, nacre_detail *why);
/* nacre_loop_open_transfer: the same with a transfer on top of the endpoint; events come from the transfer. The loop sets the
 * transfer's endpoint. Also NACRE_ERR_BAD_ARGUMENT as nacre_transfer_init. */
typedef void (*nacre_on_transfer_event)(void *user, nacre_transfer *transfer, const nacre_event *event);
NACRE_MUST_USE nacre_err nacre_loop_open_transfer(nacre_loop **loop, nacre_udp *udp,
                                                  const nacre_endpoint_config *config,
                                                  const nacre_transfer_config *transfer,
                                                  nacre_on_transfer_event on_event, void *user, nacre_detail *why);
nacre_transfer *nacre_loop_transfer(nacre_loop *loop); /* NULL: none */
void nacre_loop_close(nacre_loop *loop);               /* NULL is allowed */
nacre_endpoint *nacre_loop_endpoint(nacre_loop *loop);

/* nacre_loop_add_tcp: the endpoint uses these connections for reliable addresses, beside the socket. `tcp` is borrowed
 * until the loop is closed. Without it reliable addresses are unreachable.
 * NACRE_OK; NACRE_ERR_NO_MEMORY; NACRE_ERR_BAD_ARGUMENT (the loop has one; or its max_message is below the connections') */
NACRE_MUST_USE nacre_err nacre_loop_add_tcp(nacre_loop *loop, nacre_tcp *tcp);

/* nacre_loop_tap: sets the packet tap; NULL removes it. */
void nacre_loop_tap(nacre_loop *loop, nacre_on_datagram on_datagram, void *user);

/* nacre_loop_add_store: `store` serves `ctx`. A store with `submit`, as directories and databases have, is written by a store thread,
 * and the loop does not wait for it; any other is called in the loop's thread. NACRE_OK, NACRE_ERR_NO_MEMORY.
 * nacre_loop_remove_store waits for a write of it that has begun; before the context or its directory is closed. */
NACRE_MUST_USE nacre_err nacre_loop_add_store(nacre_loop *loop, nacre_context *ctx, nacre_store store);
void nacre_loop_remove_store(nacre_loop *loop, nacre_context *ctx);

/* ---- Stores that fail ----
 * A store that fails (a full disk, a directory taken over by another process) stops only what needs it: accepted requests get
 * responses with their own nonces, and reserved numbers are used (nacre_endpoint_confirmed has the table). The loop
 * retries failing stores every five seconds, so that recovery needs neither a restart nor a request. */
typedef enum nacre_store_state {
    NACRE_STORE_FAILS = 1,   /* the store of `context` fails, and worked before */
    NACRE_STORE_STILL_FAILS, /* a retry failed: at most one such report in five seconds, over all contexts */
    NACRE_STORE_WORKS,       /* the store of `context` works again */
} nacre_store_state;
typedef struct nacre_store_report {
    nacre_store_state state;
    const nacre_context *context;
    const char *const
        *claims;      /* its names (nacre_server_claims); NULL: none, as for contexts of databases and of a bare loop */
    nacre_err err;    /* the store's; NACRE_OK when it works */
    const char *text; /* one line, as nacre_detail: what, where, what to do; "" when it works */
    size_t num_failing;    /* contexts whose store fails at present */
    uint64_t num_failures; /* failed calls of stores since the start */
} nacre_store_report;
/* Called by the thread whose loop called the store; with several workers by any of them, one at a time. `report` and what it
 * points to are valid until it returns. Each failure of a flapping store is reported: a program that logs must rate-limit its
 * lines (num_failing is the number of contexts a line covers). The callback may query claims and health, and must not call
 * anything else of the loop, client or server that reports. */
typedef void (*nacre_on_store)(void *user, const nacre_store_report *report);
typedef struct nacre_store_health {
    uint64_t num_failures; /* as in the report; a removed context no longer counts as failing */
    size_t num_failing;
} nacre_store_health;

/* nacre_loop_on_store sets the callback for these reports; NULL removes it. Any thread may call nacre_loop_store_health. */
void nacre_loop_on_store(nacre_loop *loop, nacre_on_store on_store, void *user);
nacre_store_health nacre_loop_store_health(const nacre_loop *loop);

/* nacre_loop_store_failed is for asynchronous stores: one that returned NACRE_ERR_NOT_YET has failed. `err` is neither
 * NACRE_OK nor NACRE_ERR_NOT_YET; `text`, one line, is copied (NULL: the error's). Exchanges that wait for
 * the store end within some 20 ms. Any thread may call it while the loop is open, holding no lock of the context.
 * nacre_endpoint_confirmed, from the loop's thread, acts at once and is reported as well, without a text. */
void nacre_loop_store_failed(nacre_loop *loop, nacre_context *ctx, nacre_err err, const char *text);

/* nacre_loop_step waits at most `max_wait_ms` for work, and does it. A store's failure goes to the exchanges that waited, its
 * text to nacre_loop_store_failure.
 * NACRE_OK; NACRE_ERR_ADDRESS (the socket failed permanently); NACRE_ERR_BUSY (called from a callback of this loop) */
NACRE_MUST_USE nacre_err nacre_loop_step(nacre_loop *loop, uint32_t max_wait_ms, nacre_detail *why);

/* A loop inside another one (poll, epoll, libuv, libevent): wait for these descriptors until the deadline, then call
 * nacre_loop_step with 0. Both may change in each step and in each call of the endpoint or the transfer outside a step;
 * call nacre_loop_step right after such a call.
 * nacre_loop_fds       returns the number of descriptors; the first `num` of them are in `fds`
 * nacre_loop_deadline  milliseconds of nacre_clock_ms; in the past: now; UINT64_MAX: never */
size_t nacre_loop_fds(nacre_loop *loop, nacre_fd *fds, size_t num);
uint64_t nacre_loop_deadline(const nacre_loop *loop);

const char *nacre_loop_store_failure(const nacre_loop *loop); /* of the last failure; "": none */

#ifdef __cplusplus
}
#endif

#endif
