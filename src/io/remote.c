/* SPDX-License-Identifier: MIT */
/* remote: properties of the other side of an exchange, from its address and its context. */
#include <nacre/remote.h>

#include <stdio.h>
#include <string.h>

#include "io/address.h"

static bool is_known(const nacre_address *address)
{
    return address->len != 0 && !nacre__address_is_wildcard(address);
}

/* RFC 7252 6.5 step 7: the default port is left out. */
static nacre_err hostinfo(char text[NACRE_HOSTINFO_MAX], const nacre_address *address)
{
    static const char standard[] = ":5683";
    char made[72];
    if (!is_known(address)) return NACRE_ERR_ANONYMOUS_HOST;
    nacre_address_text(address, made);
    size_t len = strlen(made), port_len = sizeof standard - 1;
    if (len > port_len && strcmp(made + len - port_len, standard) == 0) made[len - port_len] = '\0';
    memcpy(text, made, strlen(made) + 1);
    return NACRE_OK;
}

nacre_err nacre_remote_hostinfo(const nacre_remote *remote, char text[NACRE_HOSTINFO_MAX])
{
    return hostinfo(text, &remote->address);
}

nacre_err nacre_remote_hostinfo_local(const nacre_remote *remote, char text[NACRE_HOSTINFO_MAX])
{
    return hostinfo(text, &remote->local);
}

const char *nacre_remote_scheme(const nacre_remote *remote)
{
    return nacre_address_is_reliable(&remote->address) ? "coap+tcp" : "coap"; /* RFC 8323 8.1 */
}

static nacre_err uri_base(const nacre_remote *remote, char text[NACRE_URI_BASE_MAX], const nacre_address *address)
{
    char host[NACRE_HOSTINFO_MAX];
    nacre_err err = hostinfo(host, address);
    if (err == NACRE_OK) (void)snprintf(text, NACRE_URI_BASE_MAX, "%s://%s", nacre_remote_scheme(remote), host);
    return err;
}

nacre_err nacre_remote_uri_base(const nacre_remote *remote, char text[NACRE_URI_BASE_MAX])
{
    return uri_base(remote, text, &remote->address);
}

nacre_err nacre_remote_uri_base_local(const nacre_remote *remote, char text[NACRE_URI_BASE_MAX])
{
    return uri_base(remote, text, &remote->local);
}

const char *const *nacre_remote_claims(const nacre_remote *remote)
{
    static const char *const none[] = { NULL };
    return remote->context != NULL && remote->claims != NULL ? remote->claims : none;
}

bool nacre_remote_has_claim(const nacre_remote *remote, const char *name)
{
    for (const char *const *claim = nacre_remote_claims(remote); *claim != NULL; claim++)
        if (strcmp(*claim, name) == 0) return true;
    return false;
}

bool nacre_remote_is_multicast(const nacre_remote *remote)
{
    return remote->context == NULL && nacre__address_is_multicast(&remote->address);
}

nacre_blockwise_key nacre_remote_blockwise_key(const nacre_remote *remote)
{
    nacre_blockwise_key key;
    memset(&key, 0, sizeof key);
    key.address = remote->address;
    memset(key.address.bytes + key.address.len, 0, sizeof key.address.bytes - key.address.len);
    if (remote->context == NULL) return key;
    nacre_bytes id = nacre_context_recipient_id(remote->context), iv = nacre_context_common_iv(remote->context);
    key.is_protected = 1;
    key.recipient_id_len = (uint8_t)id.len;
    if (id.len > 0) memcpy(key.recipient_id, id.ptr, id.len);
    memcpy(key.common_iv, iv.ptr, iv.len);
    return key;
}
