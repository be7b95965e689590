/* SPDX-License-Identifier: MIT */
/* remote: the other side of an exchange: its security context and address.
 *
 * nacre_server_remote makes it for a handler's request, nacre_client_remote for a client's last request; programs that drive an
 * endpoint fill in the four fields. It is for logs and access rules; an
 * endpoint does not need it. */
#ifndef NACRE_REMOTE_H
#define NACRE_REMOTE_H

#include <nacre/base.h>
#include <nacre/context.h>
#include <nacre/endpoint.h>
#include <nacre/client.h>
#include <nacre/server.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_remote {
    const nacre_context *context; /* that protects the exchange; NULL: unprotected. Borrowed */
    nacre_address address;        /* of the peer; length 0: unknown */
    nacre_address local;          /* of this side; length 0 or a wildcard: unknown */
    const char *const *claims;    /* names, NULL-terminated; may be NULL. Borrowed */
} nacre_remote;

enum {
    NACRE_HOSTINFO_MAX = 72, /* fits "[fe80::1%3]:61616" */
    NACRE_URI_BASE_MAX = 96,
    NACRE_REMOTE_MAX_PAYLOAD = 1024, /* bytes of a body in one message */
    NACRE_REMOTE_MAX_SZX = 6,        /* blocks of 2^(6+4) bytes (RFC 7959 2.2) */
};

/* nacre_server_remote: the sender of a handler's request. */
nacre_remote nacre_server_remote(const nacre_server *server, const nacre_request *request);

/* nacre_client_remote: the destination and context of the client's last request; all zero before the first. Through a
 * proxy: the proxy's address and the server's context. The context is valid as long as the client. */
nacre_remote nacre_client_remote(const nacre_client *client);

/* "[2001:db8::1]:61616" or "192.0.2.1": host and port as in a URI, the port only when it is not 5683.
 * NACRE_OK; NACRE_ERR_ANONYMOUS_HOST: the address is unknown; `text` unchanged. The local address is also unknown when the
 * socket is bound to a wildcard: bind it to an address. */
NACRE_MUST_USE nacre_err nacre_remote_hostinfo(const nacre_remote *remote, char text[NACRE_HOSTINFO_MAX]);
NACRE_MUST_USE nacre_err nacre_remote_hostinfo_local(const nacre_remote *remote, char text[NACRE_HOSTINFO_MAX]);

/* "coap", or "coap+tcp" over a connection, protected or not (OSCORE has no scheme of its own). */
const char *nacre_remote_scheme(const nacre_remote *remote);

/* "coap://[2001:db8::1]:61616": scheme and hostinfo, to which a path can be added. Results as above. The zone of a link-local
 * address ("%3") is kept; it is valid only on this machine. */
NACRE_MUST_USE nacre_err nacre_remote_uri_base(const nacre_remote *remote, char text[NACRE_URI_BASE_MAX]);
NACRE_MUST_USE nacre_err nacre_remote_uri_base_local(const nacre_remote *remote, char text[NACRE_URI_BASE_MAX]);

/* nacre_remote_claims returns the authenticated names of the peer: those under which its context was added; none for an
 * unprotected exchange, whatever the field holds. Never NULL; NULL-terminated. */
const char *const *nacre_remote_claims(const nacre_remote *remote);

/* nacre_remote_has_claim: whether `name` is one of them. */
bool nacre_remote_has_claim(const nacre_remote *remote, const char *name);

/* Whether the address is a multicast address. Always false with a context: OSCORE is between two endpoints (RFC 8613 1). */
bool nacre_remote_is_multicast(const nacre_remote *remote);

/* nacre_remote_blockwise_key identifies the sender of a body's blocks: their address and the keys that protect
 * them. All bytes of a key are set, so keys can be compared and hashed as bytes. Different contexts have different keys;
 * a context that was loaded again keeps its key. */
typedef struct nacre_blockwise_key {
    nacre_address address;
    uint8_t is_protected, recipient_id_len;
    uint8_t recipient_id[NACRE_MAX_ID];
    uint8_t common_iv[NACRE_MAX_NONCE]; /* derived from the master secret: identifies the keys without revealing them */
} nacre_blockwise_key;
nacre_blockwise_key nacre_remote_blockwise_key(const nacre_remote *remote);

#ifdef __cplusplus
}
#endif

#endif
