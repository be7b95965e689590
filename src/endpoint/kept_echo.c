/* SPDX-License-Identifier: MIT */
/* kept_echo: Echo values that servers sent, kept for the next request to them (RFC 9175 2.3).
 *
 * A value belongs to the address and the security context that it came from, goes there only, and once: what came inside a
 * protected response goes inside a protected request, what came in clear goes in clear. One place for each of the two, so
 * many in all, the oldest gives way; only responses with a token of ours fill them. What a proxy forwards in clear comes from
 * servers that its address does not tell apart, and is not kept. */
#include "endpoint_internal.h"

#include <string.h>

static bool is_kept_for(const nacre_endpoint *ep, const nacre__slot *slot)
{
    return !slot->is_ping && (slot->context != NULL || !(slot->via_proxy || ep->config.opaque_oscore));
}

static nacre__kept_echo *find(nacre_endpoint *ep, const nacre_address *peer, const nacre_context *context)
{
    for (size_t i = 0; i < NACRE__KEPT_ECHOS; i++) {
        nacre__kept_echo *kept = &ep->kept_echos[i];
        if (kept->len > 0 && kept->context == context && nacre_address_equal(&kept->peer, peer)) return kept;
    }
    return NULL;
}

static nacre__kept_echo *oldest(nacre_endpoint *ep)
{
    nacre__kept_echo *oldest = &ep->kept_echos[0];
    for (size_t i = 1; i < NACRE__KEPT_ECHOS; i++) {
        nacre__kept_echo *kept = &ep->kept_echos[i];
        if (oldest->len == 0) break;
        if (kept->len == 0 || kept->when < oldest->when) oldest = kept;
    }
    return oldest;
}

/* A response that is believed as far as its exchange is protected. */
void nacre__echo_keep(nacre_endpoint *ep, const nacre__slot *slot, const nacre_message *answer)
{
    const nacre_bytes echo = nacre_option_find(answer->options, NACRE_OPT_ECHO);
    if (echo.len < 1 || echo.len > NACRE__MAX_ECHO || !is_kept_for(ep, slot)) return;
    nacre__kept_echo *kept = find(ep, &slot->peer, slot->context);
    if (kept == NULL) kept = oldest(ep);
    *kept = (nacre__kept_echo){ .peer = slot->peer, .context = slot->context, .when = ep->now_ms };
    kept->len = (uint8_t)echo.len;
    memcpy(kept->value, echo.ptr, echo.len);
}

/* The slot's request is about to be written: it brings what is kept for it, if it has no value of its own and has room. */
void nacre__echo_bring(nacre_endpoint *ep, nacre__slot *slot)
{
    nacre_message plain;
    if (!is_kept_for(ep, slot) || slot->repeated) return;
    nacre__kept_echo *kept = find(ep, &slot->peer, slot->context);
    if (kept == NULL) return;
    const bool is_current = ep->now_ms < nacre__after(kept->when, ep->config.timing.exchange_lifetime_ms);
    if (is_current && nacre_message_parse(&plain, nacre_bytes_of(slot->plain, slot->plain_len)) == NACRE_OK &&
        !nacre__has_option(plain.options, NACRE_OPT_ECHO) &&
        nacre__slot_set_option(ep, slot, NACRE_OPT_ECHO, nacre_bytes_of(kept->value, kept->len)) != NACRE_OK)
        return; /* a shorter one may have room */
    kept->len = 0;
}

/* A context, or with NULL a peer, has gone. */
void nacre__echo_forget(nacre_endpoint *ep, const nacre_context *context, const nacre_address *peer)
{
    for (size_t i = 0; i < NACRE__KEPT_ECHOS; i++) {
        nacre__kept_echo *kept = &ep->kept_echos[i];
        if (context != NULL ? kept->context == context : nacre_address_equal(&kept->peer, peer)) kept->len = 0;
    }
}
