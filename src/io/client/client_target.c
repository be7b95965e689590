/* SPDX-License-Identifier: MIT */
/* client_target: destination, context and options of a request. */
#include "coap/uri.h"
#include "io/address.h"
#include "io/client/client_internal.h"
#include "io/client/proxy_target.h"
#include "io/client/uri_fault.h"
#include "base/hosted/detail.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { COAP_PORT = 5683 }; /* the scheme's default: nacre_uri_options omits Uri-Port for it */

nacre_err nacre__target_parse(const nacre_client *client, nacre__target *to, const char *text, nacre_detail *why)
{
    nacre_bytes bytes = nacre_bytes_of((const uint8_t *)text, strlen(text));
    /* A proxy may support other schemes. */
    nacre_err err = client->proxy != NULL ? nacre__uri_parse_any(&to->uri, bytes) : nacre_uri_parse(&to->uri, bytes);
    to->text = text;
    if (err == NACRE_ERR_UNSUPPORTED)
        return nacre__fail(why, err,
                           "'%s' has a scheme that nacre does not speak: write coap:// or coap+tcp://HOST[:PORT]/PATH",
                           text);
    if (err != NACRE_OK)
        return nacre__fail(why, err, "'%s' is no CoAP URI: %s; write coap://HOST[:PORT]/PATH[?QUERY]", text,
                           nacre__uri_fault(text));
    return NACRE_OK;
}

/* RFC 8613 8.1 step 1 */
nacre_err nacre__target_context(nacre_client *client, nacre__target *to, nacre_detail *why)
{
    nacre_credential credential = { .kind = NACRE_CREDENTIAL_DIRECTORY,
                                    .name = client->context_dir,
                                    .directory = client->context_dir };
    to->ctx = NULL;
    if (client->credentials != NULL) {
        nacre_err err = nacre_credentials_find(client->credentials, &credential, to->text, why);
        if (err == NACRE_ERR_NO_CREDENTIALS)
            return nacre__fail(why, err, "the credentials have no entry for '%s', so nothing was sent; add one",
                               to->text);
        if (err != NACRE_OK) return err;
        if (credential.kind == NACRE_CREDENTIAL_PLAIN) return NACRE_OK;
        err = nacre__client_compare(client, why);
        if (err != NACRE_OK) return err;
    } else if (client->context_dir == NULL) {
        return NACRE_OK;
    }
    to->ctx_name = credential.directory != NULL ? credential.directory : credential.name;
    return nacre__context_set_use(&client->context_set, &to->ctx, NULL, &credential, client->options.role,
                                  &client->crypto, client->loop, why);
}

void nacre__target_take(const nacre_client *client, nacre__target *to, size_t at)
{
    char text[72];
    to->peer = to->others[at];
    nacre_address_text(&to->peer, text);
    (void)snprintf(to->peer_text, sizeof to->peer_text, "%s%s", client->proxy != NULL ? "the proxy " : "", text);
}

/* The literal, or the decoded Uri-Host. A literal has at most one '%', that of a scope, written "%25" in a URI (RFC 6874 2).
 * Credentials are matched with the same reading, so that the request is not sent on another interface. */
static bool put_host(char out[256], nacre_bytes host, bool is_literal)
{
    if (host.len == 0 || host.len >= 256 || memchr(host.ptr, '\0', host.len) != NULL) return false;
    memcpy(out, host.ptr, host.len);
    out[host.len] = '\0';
    char *scope = is_literal ? strchr(out, '%') : NULL;
    if (scope == NULL) return true;
    if (strncmp(scope, "%25", 3) != 0 || scope[3] == '\0' || strchr(scope + 1, '%') != NULL) return false;
    memmove(scope + 1, scope + 3, strlen(scope + 3) + 1);
    return true;
}

/* RFC 7252 8: responses to a group request come from other addresses, but here they are matched by address. RFC 8613 1: OSCORE
 * is between two endpoints. */
static nacre_err check_is_one_host(const nacre__target *to, const char *text, nacre_detail *why)
{
    for (size_t i = 0; i < to->num_others; i++) {
        const nacre_address *a = &to->others[i];
        if (nacre__address_is_wildcard(a))
            return nacre__fail(why, NACRE_ERR_BAD_URI,
                               "'%s' names no host: 0.0.0.0 and [::] stand for any address; write one", text);
        if (nacre__address_is_one_host(a)) continue;
        return nacre__fail(why, NACRE_ERR_UNSUPPORTED, "'%s' is for a group, and nothing was sent: %s; ask one host",
                           text,
                           to->ctx != NULL ? "OSCORE protects between two (for groups there is Group OSCORE)"
                                           : "requests go to one host at a time");
    }
    return NACRE_OK;
}

/* No name is looked up in place of an invalid literal. */
static bool is_address(const char *host)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    const size_t len = strcspn(host, "%");
    if (memchr(host, ':', len) == NULL) return true; /* IPv4: checked by nacre_uri_parse */
    if (len >= sizeof text) return false;
    memcpy(text, host, len);
    text[len] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

/* Resolves the URI's host, which must not be a group. */
static nacre_err resolve_host(nacre__target *to, nacre_bytes options, nacre_detail *why)
{
    nacre_bytes host = to->uri.host_is_ip ? to->uri.host : nacre_option_find(options, NACRE_OPT_URI_HOST);
    if (!put_host(to->host, host, to->uri.host_is_ip))
        return nacre__fail(why, NACRE_ERR_BAD_URI, "'%s' has no usable host: %s", to->text,
                           to->uri.host_is_ip ? nacre__uri_fault(to->text) : "it has at most 255 bytes, and no NUL");
    if (to->uri.host_is_ip && !is_address(to->host))
        return nacre__fail(why, NACRE_ERR_BAD_URI, "'%s' has no usable host: '%s' is no IPv6 address", to->text,
                           to->host);
    nacre_err err = nacre__resolve_all(to->others, &to->num_others, to->host, to->uri.port, why);
    for (size_t i = 0; err == NACRE_OK && to->uri.is_tcp && i < to->num_others; i++)
        to->others[i].flags = NACRE_ADDRESS_RELIABLE;
    return err == NACRE_OK ? check_is_one_host(to, to->text, why) : err;
}

/* Names and scopes of literals are resolved by the proxy; a multicast address is a group everywhere. */
static nacre_err check_target_host(nacre__target *to, nacre_detail *why)
{
    if (!to->uri.host_is_ip || !put_host(to->host, to->uri.host, true)) return NACRE_OK;
    to->host[strcspn(to->host, "%")] = '\0';
    if (nacre__resolve_all(to->others, &to->num_others, to->host, to->uri.port, NULL) != NACRE_OK) return NACRE_OK;
    return check_is_one_host(to, to->text, why);
}

static nacre_err resolve_proxy(const nacre_client *client, nacre__target *to, nacre_detail *why)
{
    nacre_err err = check_target_host(to, why);
    if (err == NACRE_OK) err = nacre__proxy_resolve(to->others, &to->num_others, client->proxy, why);
    return err == NACRE_OK ? check_is_one_host(to, client->proxy, why) : err;
}

static nacre_err take_given(nacre__target *to, const nacre_address *address, nacre_detail *why)
{
    to->others[0] = *address;
    to->num_others = 1;
    if (to->uri.is_tcp) to->others[0].flags = NACRE_ADDRESS_RELIABLE;
    return check_is_one_host(to, to->text, why);
}

nacre_err nacre__target_peer(const nacre_client *client, nacre__target *to, nacre_bytes options,
                             const nacre_address *address, nacre_detail *why)
{
    const nacre_err err = address != NULL         ? take_given(to, address, why)
                          : client->proxy != NULL ? resolve_proxy(client, to, why)
                                                  : resolve_host(to, options, why);
    if (err == NACRE_OK) nacre__target_take(client, to, 0);
    return err;
}

nacre_err nacre__target_options(const nacre_client *client, nacre_bytes *made, nacre_options *o,
                                const nacre__target *to, const nacre_options *more, nacre_detail *why)
{
    nacre_bytes given = NACRE_ABSENT;
    nacre_uri uri = to->uri;
    uri.port = COAP_PORT; /* RFC 7252 6.4 step 7: no Uri-Port, because the request goes to the URI's port */
    nacre_err err = client->proxy != NULL
                        ? nacre__proxy_target_options(o, &to->uri, to->text, client->options.proxy_uri)
                        : nacre_uri_options(o, &uri);
    if (err != NACRE_OK)
        return nacre__fail(why, err, "'%s' cannot be sent: %s", to->text, nacre__uri_long_part(&to->uri));
    if (more != NULL) err = nacre_options_finish(more, &given);
    nacre_option_iter it = nacre_option_begin(given);
    for (nacre_option option; err == NACRE_OK && nacre_option_next(&it, &option);)
        nacre_options_add(o, option.number, option.value);
    if (err == NACRE_OK) err = nacre_options_finish(o, made);
    if (err != NACRE_OK)
        return nacre__fail(why, NACRE_ERR_TOO_LONG,
                           "the options of the request have more than %d bytes, a message may have %d: nothing was "
                           "sent; shorten them",
                           (int)NACRE__CLIENT_OPTIONS, (int)NACRE__CLIENT_MESSAGE);
    return NACRE_OK;
}
