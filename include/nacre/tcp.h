/* SPDX-License-Identifier: MIT */
/* tcp: the connections of one endpoint (CoAP over TCP, RFC 8323). They belong to one thread. */
#ifndef NACRE_TCP_H
#define NACRE_TCP_H

#include <nacre/address.h>
#include <nacre/base.h>
#include <nacre/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_tcp_config {
    size_t size; /* set by nacre_tcp_config_default, see CONVENTIONS.md, "Configurations" */
    /* at a time, both ways together; 0 means 64. When all are in use, a further one is closed at once, and the one that has
     * been quiet for the longest is asked to go. One host (IPv4 address, IPv6 /64) gets in up to three quarters of them */
    uint16_t num_connections;
    size_t input_bytes; /* kept of what a peer has sent, per connection; 0 means 8192 */
    /* kept for a peer that reads slowly, per connection; 0 means 32768. A peer whose requests cannot be answered for want of
     * it is not served until it reads; one that does not read what comes by itself (notifications, late answers) loses its
     * connection */
    size_t output_bytes;
    uint32_t connect_timeout_ms; /* 0 means 10000 */
    nacre_stream_config stream;  /* its ping_after_ms: 0 means 120000 here */
} nacre_tcp_config;

/* nacre_tcp_config_default: all of that; `stream` is begun, too, and its ping_after_ms is 120000. 0 there is never, then. */
nacre_tcp_config nacre_tcp_config_default(void);

/* The connections of one endpoint. A peer's address has the flag NACRE_ADDRESS_RELIABLE. A request to such an address goes
 * over the connection that there is, whoever opened it, and else over a new one; what others ask is answered where it was
 * asked. A peer's Release is followed, its Hold-Off too; an alternative address that it names is not. */
typedef struct nacre_tcp nacre_tcp;
/* NACRE_OK; NACRE_ERR_BAD_ARGUMENT (config->stream, as nacre_stream_init); NACRE_ERR_NO_MEMORY. `config` may be NULL. */
NACRE_MUST_USE nacre_err nacre_tcp_open(nacre_tcp **tcp, const nacre_tcp_config *config, nacre_detail *why);
/* nacre_tcp_listen takes connections at `local` ("[::]" is dual stack). NACRE_OK; NACRE_ERR_ADDRESS names address and reason;
 * NACRE_ERR_BAD_ARGUMENT when it listens already. */
NACRE_MUST_USE nacre_err nacre_tcp_listen(nacre_tcp *tcp, const nacre_address *local, nacre_detail *why);
/* nacre_tcp_close releases and closes all connections, without waiting for anybody. Close the loop first. NULL is allowed. */
void nacre_tcp_close(nacre_tcp *tcp);
nacre_address nacre_tcp_local(const nacre_tcp *tcp); /* length 0 when it does not listen */
size_t nacre_tcp_num_connections(const nacre_tcp *tcp);

#ifdef __cplusplus
}
#endif

#endif
