/* SPDX-License-Identifier: MIT */
/* credentials: which security context protects requests for which URI, and the name by which the peer of a context is known.
 *
 * A map from URI patterns, and from names that begin with ':', to credentials. It is read from a JSON file in aiocoap's format
 * (nacre_credentials_load), or built by calls (nacre_credentials_new and _set_…). A client looks up the URI of each request
 * (nacre_credentials_find); a request without an entry is not sent, and never sent in clear. A server iterates over it
 * (nacre_credentials_next). A map belongs to one thread at a time; clients and servers borrow it.
 *
 *     { "coap://[::1]*":       { "oscore": { "basedir": "phone" } },
 *       "coap://lamp.example*": ":lamp",
 *       ":lamp":                { "oscore": { "basedir": "lamps/one" } },
 *       "coap://open.example*": { "plain": {} } }
 *
 * (In a file, write a '/' between host and '*', which a C comment cannot contain: "coap://h*" also matches "coap://host".)
 *
 * Patterns. A pattern matches a whole URI with its query; '*' matches any run of characters, including '/'. The longest
 * matching pattern is used, among equally long ones the first. Matching has two steps:
 *   1. the URI and the patterns in the normal form of RFC 7252 6.5: "coap://h" is "coap://h/", scheme and host in lower case,
 *      minimal percent-encoding, dot segments resolved (RFC 3986 5.2.4). A pattern with %2A, or with a dot segment after a
 *      '*', is refused with NACRE_ERR_BAD_CREDENTIALS
 *   2. when nothing matches, or only a plain entry: the same without regard to case in scheme and host, the spelling of
 *      addresses ("[::1]", "[0::1]"; "127.0.0.1", "127.1", "[::ffff:127.0.0.1]"), a dot after a name, zeros before a port,
 *      and the scheme's default port. Names are not resolved: "localhost" does not match "127.0.0.1"
 *
 * Aliases. A value ":name" refers to the entry of that name, in any number of steps.
 *
 * One key, one context. Two entries must not have contexts with one Sender Key (equal secret, salt, ID Context and Sender
 * ID), because each would count its own numbers. A client checks all entries before its first protected request, and again
 * when the map has changed; a server checks each that is added. Both refuse with NACRE_ERR_DUPLICATE_CONTEXT and name both
 * entries.
 *
 * Plain. Only such an entry lets a request be sent in clear, and only when both steps find it. */
#ifndef NACRE_CREDENTIALS_H
#define NACRE_CREDENTIALS_H

#include <nacre/base.h>
#include <nacre/context.h>
#include <nacre/store.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_credentials nacre_credentials;

typedef enum nacre_credential_kind {
    NACRE_CREDENTIAL_DIRECTORY = 1, /* a context directory */
    NACRE_CREDENTIAL_CONTEXT,       /* a context made by the program */
    NACRE_CREDENTIAL_PLAIN,         /* no protection, explicitly */
} nacre_credential_kind;

/* The content of an entry. Strings live until the entry is set again or removed, or the map is freed. */
typedef struct nacre_credential {
    nacre_credential_kind kind;
    const char *name;       /* the entry, after all aliases: ":lamp", or a pattern. The peer of this context is known by
                               it (nacre/remote.h) */
    const char *directory;  /* DIRECTORY: its path, */
    nacre_role role;        /* and the role to open it in; NACRE_ROLE_NONE: the entry does not say */
    nacre_context *context; /* CONTEXT: borrowed, */
    nacre_store store;      /* with its store; `ops` NULL: none, the context is volatile */
} nacre_credential;

/* nacre_credentials_load reads a JSON file, of at most 1 MiB. Its values: an object with one member, the credential's type;
 * a string ":name"; or null, which is no entry. Types:
 *   "oscore"  { "basedir": DIR, "role": "client" | "server" }: DIR is relative to the file; "contextfile" is an older name
 *             of basedir; "role" is for directories of the legacy layout
 *   "plain"   { }
 *   "dtls" "tlscert" "edhoc-oscore" "any-of" "all-of"   of other security layers: such an entry is read, and requests
 *             that it matches are refused. Byte strings in "dtls" are {"hex": "00-01:02 03"} or {"ascii": TEXT}
 * NACRE_OK                  free it with nacre_credentials_free
 * NACRE_ERR_BAD_CREDENTIALS something is not understood, or an alias has no target or is circular. Nothing is ignored,
 *                           because a request could then be sent in clear
 * NACRE_ERR_FILE, NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_credentials_load(nacre_credentials **credentials, const char *path, nacre_detail *why);

/* nacre_credentials_new makes an empty map: no request may be sent. NACRE_OK, NACRE_ERR_NO_MEMORY. */
NACRE_MUST_USE nacre_err nacre_credentials_new(nacre_credentials **credentials);
void nacre_credentials_free(nacre_credentials *credentials); /* NULL is allowed */

/* Set the entry of a pattern or ":name", replacing an existing one (the new one counts as the last). `name` and paths are
 * copied; a context and the memory of its store are borrowed as long as the map, or a client or server that has it, is used;
 * make the context with nacre_provider_open, as they do. Directories are relative to the working directory.
 * NACRE_OK; NACRE_ERR_BAD_CREDENTIALS (an empty name or path, an alias target without ':', a pattern with a
 * malformed percent-encoding or %2A); NACRE_ERR_NO_MEMORY. On failure the map is unchanged. */
NACRE_MUST_USE nacre_err nacre_credentials_set_directory(nacre_credentials *credentials, const char *name,
                                                         const char *directory, nacre_role role, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre_credentials_set_context(nacre_credentials *credentials, const char *name,
                                                       nacre_context *context, nacre_store store, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre_credentials_set_alias(nacre_credentials *credentials, const char *name,
                                                     const char *alias, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre_credentials_set_plain(nacre_credentials *credentials, const char *name,
                                                     nacre_detail *why);
/* nacre_credentials_remove removes an entry, if it exists. */
void nacre_credentials_remove(nacre_credentials *credentials, const char *name);

/* nacre_credentials_find finds the entry that protects a request for `uri`.
 * NACRE_OK                  `found` is set; with NACRE_CREDENTIAL_PLAIN the request may be sent in clear
 * NACRE_ERR_NO_CREDENTIALS  no entry matches: do not send
 * NACRE_ERR_UNSUPPORTED     its entry is for another security layer: do not send
 * NACRE_ERR_BAD_CREDENTIALS its entry is an alias without target or a circular one (maps built by calls): do not send
 * NACRE_ERR_BAD_URI         "." or ".." in its path: resolve it first, because it names another URI
 * NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_credentials_find(const nacre_credentials *credentials, nacre_credential *found,
                                                const char *uri, nacre_detail *why);

/* nacre_credentials_next iterates over all directories and contexts in the order of their entries, without aliases. Start with
 * *cursor = 0; false: no more. One directory may be under several names. */
bool nacre_credentials_next(const nacre_credentials *credentials, nacre_credential *found, size_t *cursor);

#ifdef __cplusplus
}
#endif

#endif
