/* SPDX-License-Identifier: MIT */
/* remote: the other side of an exchange, as a value made of a security context and the address behind it.
 *
 * nacre_server_remote makes it for a request that a handler got, nacre_client_remote for the last request of a client, and
 * whoever drives an endpoint fills in the four fields. It is for saying who that was, to people and to access rules; an
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
    const nacre_context *context; /* that protects what is exchanged; NULL: nothing does. Borrowed */
    nacre_address address;        /* of the other side; length 0: not known */
    nacre_address local;          /* ours, toward it; length 0, or a wildcard: not known */
    const char *const *claims;    /* names, a NULL behind the last; may be NULL. Borrowed */
} nacre_remote;

enum {
    NACRE_HOSTINFO_MAX = 72, /* room for "[fe80::1%3]:61616" and its like */
    NACRE_URI_BASE_MAX = 96,
    NACRE_REMOTE_MAX_PAYLOAD = 1024, /* bytes in one message, for bodies that go in one piece */
    NACRE_REMOTE_MAX_SZX = 6,        /* blocks of 2^(6+4) bytes (RFC 7959 2.2) */
};

/* nacre_server_remote: who sent the request that a handler was given. */
nacre_remote nacre_server_remote(const nacre_server *server, const nacre_request *request);

/* nacre_client_remote: whom the client's last request went to, and with which context; all zero before the first. Through a
 * proxy that is the proxy's address and the server's context. Its context lives as long as the client. */
nacre_remote nacre_client_remote(const nacre_client *client);

/* "[2001:db8::1]:61616" or "192.0.2.1": host and port as in a URI, the port only when it is not 5683.
 * NACRE_OK; NACRE_ERR_ANONYMOUS_HOST: no address is known; `text` unchanged. The local one also when our side is bound to
 * any address: open it on a certain one. */
NACRE_MUST_USE nacre_err nacre_remote_hostinfo(const nacre_remote *remote, char text[NACRE_HOSTINFO_MAX]);
NACRE_MUST_USE nacre_err nacre_remote_hostinfo_local(const nacre_remote *remote, char text[NACRE_HOSTINFO_MAX]);

/* "coap", or "coap+tcp" over a connection, whatever protects it (RFC 8613 has no scheme of its own). */
const char *nacre_remote_scheme(const nacre_remote *remote);

/* "coap://[2001:db8::1]:61616": scheme and hostinfo, to which a path can be added. Results as above. The zone of a link-local
 * address ("%3") stays in; it means nothing on other machines. */
NACRE_MUST_USE nacre_err nacre_remote_uri_base(const nacre_remote *remote, char text[NACRE_URI_BASE_MAX]);
NACRE_MUST_USE nacre_err nacre_remote_uri_base_local(const nacre_remote *remote, char text[NACRE_URI_BASE_MAX]);

/* nacre_remote_claims gives what is proven of who the other side is: the names under which its context was added; none for
 * what is not protected, whatever the field says. Never NULL; a NULL behind the last. */
const char *const *nacre_remote_claims(const nacre_remote *remote);

/* nacre_remote_has_claim: whether `name` is one of them. */
bool nacre_remote_has_claim(const nacre_remote *remote, const char *name);

/* Whether the address is that of many. With a context never: OSCORE is between two (RFC 8613 1). */
bool nacre_remote_is_multicast(const nacre_remote *remote);

/* nacre_remote_blockwise_key says what blocks of one body must have in common: the address they come from, and whose keys
 * protect them. All bytes of a key are set, so that keys may be compared and hashed as bytes. Keys of two contexts differ, and
 * a context that was loaded again has the same one. */
typedef struct nacre_blockwise_key {
    nacre_address address;
    uint8_t is_protected, recipient_id_len;
    uint8_t recipient_id[NACRE_MAX_ID];
    uint8_t common_iv[NACRE_MAX_NONCE]; /* derived from the master secret: tells its keys, and gives none away */
} nacre_blockwise_key;
nacre_blockwise_key nacre_remote_blockwise_key(const nacre_remote *remote);

#ifdef __cplusplus
}
#endif

#endif
