/* SPDX-License-Identifier: MIT */
/* kept_echo: Echo values that servers sent, kept for the next request to them (RFC 9175 2.3).
 *
 * A value belongs to the address and the security context that it came from, goes there only, and once:
 *
 *     came                                               kept for               goes
 *     inside a protected response                        address and context    inside a protected request
 *     in clear: a plain response, or outside, or in an   address                in a plain request, or outside a
 *     unprotected error to a protected request                                  protected one
 *
 * One place for each pair, half of all places for either kind, so that values in clear, which are unauthenticated, displace no
 * others; the oldest of its kind is replaced. Only responses with a token of ours fill them. What a proxy forwards in clear
 * comes from servers that its address does not tell apart, and is not kept. An unprotected 4.01 with Echo does not repeat a
 * protected request by itself: its sender may be an attacker, and the request may have been carried out. */
#include "endpoint/endpoint_internal.h"

#include <string.h>

static bool is_kept_for(const nacre_endpoint *ep, const nacre__slot *slot, const nacre_context *context)
{
    return !slot->is_ping && (context != NULL || !(slot->via_proxy || ep->config.opaque_oscore));
}

static nacre__kept_echo *find(nacre_endpoint *ep, const nacre_address *peer, const nacre_context *context)
{
    for (size_t i = 0; i < NACRE__KEPT_ECHOS; i++) {
        nacre__kept_echo *kept = &ep->kept_echos[i];
        if (kept->len > 0 && kept->context == context && nacre_address_equal(&kept->peer, peer)) return kept;
    }
    return NULL;
}

static nacre__kept_echo *oldest(nacre_endpoint *ep, bool is_protected)
{
    enum { HALF = NACRE__KEPT_ECHOS / 2 };
    nacre__kept_echo *first = &ep->kept_echos[is_protected ? 0 : HALF], *oldest = first;
    for (size_t i = 1; i < HALF; i++) {
        nacre__kept_echo *kept = &first[i];
        if (oldest->len == 0) break;
        if (kept->len == 0 || kept->when < oldest->when) oldest = kept;
    }
    return oldest;
}

static void keep(nacre_endpoint *ep, const nacre__slot *slot, nacre_context *context, nacre_bytes options)
{
    const nacre_bytes echo = nacre_option_find(options, NACRE_OPT_ECHO);
    if (echo.len < 1 || echo.len > NACRE__MAX_ECHO || !is_kept_for(ep, slot, context)) return;
    nacre__kept_echo *kept = find(ep, &slot->peer, context);
    if (kept == NULL) kept = oldest(ep, context != NULL);
    *kept = (nacre__kept_echo){ .peer = slot->peer, .context = context, .when = ep->now_ms };
    kept->len = (uint8_t)echo.len;
    memcpy(kept->value, echo.ptr, echo.len);
}

/* A response that is believed as far as its exchange is protected. */
void nacre__echo_keep(nacre_endpoint *ep, const nacre__slot *slot, const nacre_message *answer)
{
    keep(ep, slot, slot->context, answer->options);
}

/* What stands outside of a verified response to a protected request, or in an unprotected one. */
void nacre__echo_keep_outer(nacre_endpoint *ep, const nacre__slot *slot, const nacre_message *outer)
{
    keep(ep, slot, NULL, outer->options);
}

static bool is_current(const nacre_endpoint *ep, const nacre__kept_echo *kept)
{
    return ep->now_ms < nacre__after(kept->when, ep->config.timing.exchange_lifetime_ms);
}

/* The slot's request is about to be written: it brings what is kept for it, if it has no value of its own and has room. */
void nacre__echo_bring(nacre_endpoint *ep, nacre__slot *slot)
{
    nacre_message plain;
    if (!is_kept_for(ep, slot, slot->context) || slot->repeated) return;
    nacre__kept_echo *kept = find(ep, &slot->peer, slot->context);
    if (kept == NULL) return;
    if (is_current(ep, kept) && nacre_message_parse(&plain, nacre_bytes_of(slot->plain, slot->plain_len)) == NACRE_OK &&
        !nacre__has_option(plain.options, NACRE_OPT_ECHO) &&
        nacre__slot_set_option(ep, slot, NACRE_OPT_ECHO, nacre_bytes_of(kept->value, kept->len)) != NACRE_OK)
        return; /* a shorter one may have room */
    kept->len = 0;
}

/* `datagram`, at the start of `room`, with the value beside its outer options (class U: the AAD has none of them). */
static nacre_err add_outside(nacre_endpoint *ep, nacre_bytes *datagram, nacre_buf room, nacre_bytes echo)
{
    nacre_message m;
    memcpy(ep->scratch, datagram->ptr, datagram->len);
    nacre_err err = nacre_message_parse(&m, nacre_bytes_of(ep->scratch, datagram->len));
    if (err == NACRE_OK) err = nacre__echo_add(ep, &m, echo);
    if (err == NACRE_OK && nacre_message_size(&m) > room.cap) err = NACRE_ERR_BUFFER_TOO_SMALL;
    return err == NACRE_OK ? nacre_message_write(&m, datagram, room) : err;
}

/* The slot's protected request was written, and goes out: it brings outside what is kept in clear, if it has room. */
void nacre__echo_bring_outer(nacre_endpoint *ep, const nacre__slot *slot, nacre_bytes *datagram, nacre_buf room)
{
    if (!is_kept_for(ep, slot, NULL)) return;
    nacre__kept_echo *kept = find(ep, &slot->peer, NULL);
    if (kept == NULL) return;
    if (is_current(ep, kept) && add_outside(ep, datagram, room, nacre_bytes_of(kept->value, kept->len)) != NACRE_OK)
        return;
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
