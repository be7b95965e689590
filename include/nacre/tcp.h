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
    /* both directions together; 0 means 64. When all are in use, a newcomer takes the entry of the longest-idle accepted
     * connection on which nothing has verified, which gets an Abort; where there is none, it is closed. Verified ones leave an
     * eighth (one at least) for newcomers: beyond that, one that verifies replaces the longest-idle verified one,
     * which is sent a Release */
    uint16_t num_connections;
    uint16_t
        connections_per_host; /* … of one IPv4 address or IPv6 /64, by the same rules; 0 means a quarter, at least 16 */
    size_t input_bytes;       /* input buffer per connection; 0 means 8192 */
    /* output buffer per connection; 0 means 32768. While a response does not fit, the peer's requests are not processed until
     * it reads; when it does not read notifications and separate responses, the connection is
     * aborted */
    size_t output_bytes;
    uint32_t connect_timeout_ms; /* 0 means 10000 */
    nacre_stream_config stream;  /* ping_after_ms: 0 means 120000 here */
} nacre_tcp_config;

/* nacre_tcp_config_default: these defaults, also in `stream`, with ping_after_ms 120000. There 0 then means never. */
nacre_tcp_config nacre_tcp_config_default(void);

/* The connections of one endpoint. A peer's address has the flag NACRE_ADDRESS_RELIABLE. A request to such an address uses
 * the existing connection, whichever side opened it, or else a new one; a response uses its request's connection.
 * Release and Hold-Off of a peer are followed; Alternative-Address is not. */
typedef struct nacre_tcp nacre_tcp;
/* NACRE_OK; NACRE_ERR_BAD_ARGUMENT (config->stream, as nacre_stream_init); NACRE_ERR_NO_MEMORY. `config` may be NULL. */
NACRE_MUST_USE nacre_err nacre_tcp_open(nacre_tcp **tcp, const nacre_tcp_config *config, nacre_detail *why);
/* nacre_tcp_listen accepts connections at `local` ("[::]" is dual stack). NACRE_OK; NACRE_ERR_ADDRESS names address and reason;
 * NACRE_ERR_BAD_ARGUMENT when it listens already. */
NACRE_MUST_USE nacre_err nacre_tcp_listen(nacre_tcp *tcp, const nacre_address *local, nacre_detail *why);
/* nacre_tcp_close sends Release and closes all connections without waiting. Close the loop first. NULL is allowed. */
void nacre_tcp_close(nacre_tcp *tcp);
nacre_address nacre_tcp_local(const nacre_tcp *tcp); /* length 0: not listening */
size_t nacre_tcp_num_connections(const nacre_tcp *tcp);

#ifdef __cplusplus
}
#endif

#endif
