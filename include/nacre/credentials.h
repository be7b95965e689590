/* SPDX-License-Identifier: MIT */
/* credentials: which security context is for which URI, and under which name a context's owner is known.
 *
 * A map from patterns over URIs, and from names that begin with ':', to credentials. It is read from a JSON file as
 * aiocoap has it (nacre_credentials_load), or built by hand (nacre_credentials_new and _set_…). A client asks it for the
 * URI of each request (nacre_credentials_find): what has no entry is not sent, and never sent in clear. A server walks it
 * (nacre_credentials_next). One map belongs to one thread at a time; clients and servers borrow it.
 *
 *     { "coap://[::1]*":       { "oscore": { "basedir": "phone" } },
 *       "coap://lamp.example*": ":lamp",
 *       ":lamp":                { "oscore": { "basedir": "lamps/one" } },
 *       "coap://open.example*": { "plain": {} } }
 *
 * (After a host one would write a '/' before the '*', which C does not allow in here: "coap://h*" is "coap://host", too.)
 *
 * Patterns. A pattern covers a whole URI with its query, '*' in it any run of characters, '/' too; nothing else is
 * special. The longest pattern that fits wins, of equally long ones the first. The URI is looked at as RFC 7252 6.5 writes
 * it: "coap://h" is "coap://h/", scheme and host in lower case, nothing percent-encoded that need not be, dot segments
 * resolved (RFC 3986 5.2.4). So are the percent-encoding and the dot segments of a pattern; %2A, and a dot segment after a
 * '*', are refused with NACRE_ERR_BAD_CREDENTIALS. When no pattern fits that, or none but one that is plain,
 * they are tried again without regard to case in scheme and host, to how an address is spelled ("[::1]", "[0::1]";
 * "127.0.0.1", "127.1", "[::ffff:127.0.0.1]"), to a dot behind a name and zeros before a port, and with the scheme's
 * default port left out or put in. What a name stands for is not looked up: "localhost" is not "127.0.0.1" here.
 *
 * Aliases. A value ":name" stands for the entry of that name, over any number of steps.
 *
 * One key, one context. Two entries for two servers may not hold contexts with one Sender Key (the same secret, salt,
 * ID Context and Sender ID): each would count its own numbers. A client compares all entries before its first protected
 * request, and again when the map has changed; a server, as it takes them in. Both refuse with
 * NACRE_ERR_DUPLICATE_CONTEXT and name the two.
 *
 * Plain. Only an entry of this kind lets a request go in clear, and only when both ways of looking at the URI say so. */
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
    NACRE_CREDENTIAL_CONTEXT,       /* a context that the program made */
    NACRE_CREDENTIAL_PLAIN,         /* no protection, by name */
} nacre_credential_kind;

/* What an entry holds. Strings live until the entry is set again or removed, or the map is freed. */
typedef struct nacre_credential {
    nacre_credential_kind kind;
    const char *name;       /* the entry that holds it, behind all aliases: ":lamp", or a pattern. It is the claim that
                               who uses this context is known by (nacre/remote.h) */
    const char *directory;  /* DIRECTORY: its path, */
    nacre_role role;        /* and the role to open it in; NACRE_ROLE_NONE: the entry does not say */
    nacre_context *context; /* CONTEXT: borrowed, */
    nacre_store store;      /* with the store behind it; `ops` NULL: none, the context is volatile */
} nacre_credential;

/* nacre_credentials_load reads a JSON file, of at most 1 MiB. Its values: an object with one member, the credential's type;
 * a string ":name"; or null, which is no entry. Types:
 *   "oscore"  { "basedir": DIR, "role": "client" | "server" }: DIR is relative to the file; "contextfile" is an older name
 *             of basedir; "role" is for directories of the older layout
 *   "plain"   { }
 *   "dtls" "tlscert" "edhoc-oscore" "any-of" "all-of"   are for other security layers: such an entry can be there, and
 *             requests that it covers are refused. Byte strings in "dtls" are {"hex": "00-01:02 03"} or {"ascii": TEXT}
 * NACRE_OK                  free it with nacre_credentials_free
 * NACRE_ERR_BAD_CREDENTIALS something is not understood, or an alias leads nowhere or round in a circle: nothing is passed
 *                           over, for a request must not go out in clear because its entry was
 * NACRE_ERR_FILE, NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_credentials_load(nacre_credentials **credentials, const char *path, nacre_detail *why);

/* nacre_credentials_new makes an empty map: nothing may be sent. NACRE_OK, NACRE_ERR_NO_MEMORY. */
NACRE_MUST_USE nacre_err nacre_credentials_new(nacre_credentials **credentials);
void nacre_credentials_free(nacre_credentials *credentials); /* NULL is allowed */

/* These set the entry of a pattern or ":name", in place of one that was there (it then counts as the newest). `name` and
 * paths are copied; a context and what its store points to are borrowed as long as anybody uses the map, or a client or
 * server that was given it; make it with nacre_provider_open, as they do. Directories are relative to the working directory.
 * NACRE_OK; NACRE_ERR_BAD_CREDENTIALS (an empty name or path, an alias to what does not begin with ':', a pattern with
 * a percent sign that encodes nothing, or with %2A); NACRE_ERR_NO_MEMORY. On failure the map is as before. */
NACRE_MUST_USE nacre_err nacre_credentials_set_directory(nacre_credentials *credentials, const char *name,
                                                         const char *directory, nacre_role role, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre_credentials_set_context(nacre_credentials *credentials, const char *name,
                                                       nacre_context *context, nacre_store store, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre_credentials_set_alias(nacre_credentials *credentials, const char *name,
                                                     const char *alias, nacre_detail *why);
NACRE_MUST_USE nacre_err nacre_credentials_set_plain(nacre_credentials *credentials, const char *name,
                                                     nacre_detail *why);
/* nacre_credentials_remove takes an entry away; one that is not there changes nothing. */
void nacre_credentials_remove(nacre_credentials *credentials, const char *name);

/* nacre_credentials_find says what a request for `uri` is to be protected with.
 * NACRE_OK                  `found` is set; with NACRE_CREDENTIAL_PLAIN the request may go in clear
 * NACRE_ERR_NO_CREDENTIALS  no entry covers it: do not send
 * NACRE_ERR_UNSUPPORTED     its entry is for another security layer: do not send
 * NACRE_ERR_BAD_CREDENTIALS its entry is an alias that leads nowhere or round in a circle (maps built by hand): do not send
 * NACRE_ERR_BAD_URI         "." and ".." in its path: what it leads to is another URI's; resolve it first
 * NACRE_ERR_NO_MEMORY */
NACRE_MUST_USE nacre_err nacre_credentials_find(const nacre_credentials *credentials, nacre_credential *found,
                                                const char *uri, nacre_detail *why);

/* nacre_credentials_next walks all directories and contexts in the order of their entries, aliases left out, for a server.
 * Start with *cursor = 0; false ends. One directory may be there under several names. */
bool nacre_credentials_next(const nacre_credentials *credentials, nacre_credential *found, size_t *cursor);

#ifdef __cplusplus
}
#endif

#endif
