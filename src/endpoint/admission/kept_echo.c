/* SPDX-License-Identifier: MIT */
/* kept_echo: a value is sent once, and only to the address and security context that it came from:
 *
 *     received                                           kept for               sent
 *     inside a protected response                        address and context    inside a protected request
 *     unprotected: in a plain response, outside, or in   address                in a plain request, or outside a
 *     an unprotected error to a protected request                               protected one
 *
 * One entry per pair, half of the entries for either kind, so that unprotected values displace no protected ones; the oldest
 * of its kind is replaced. Only responses with a valid token fill entries. Unprotected values from a proxy are not kept,
 * because its address stands for several servers. An unprotected 4.01 with Echo does not repeat a protected request: it may
 * come from an attacker, and the request may have been carried out. */
#include "endpoint/admission/kept_echo.h"

static nacre__kept_echo *find(nacre__kept_echos *k, const nacre_address *peer, const nacre_context *context)
{
    for (size_t i = 0; i < NACRE__KEPT_ECHOS; i++) {
        nacre__kept_echo *kept = &k->all[i];
        if (kept->len > 0 && kept->context == context && nacre_address_equal(&kept->peer, peer)) return kept;
    }
    return NULL;
}

static nacre__kept_echo *oldest(nacre__kept_echos *k, bool is_protected)
{
    enum { HALF = NACRE__KEPT_ECHOS / 2 };
    nacre__kept_echo *first = &k->all[is_protected ? 0 : HALF], *oldest = first;
    for (size_t i = 1; i < HALF; i++) {
        nacre__kept_echo *kept = &first[i];
        if (oldest->len == 0) break;
        if (kept->len == 0 || kept->when < oldest->when) oldest = kept;
    }
    return oldest;
}

void nacre__echo_keep(nacre__kept_echos *k, const nacre_address *peer, nacre_context *context, nacre_bytes options)
{
    const nacre_bytes echo = nacre_option_find(options, NACRE_OPT_ECHO);
    if (echo.len < 1 || echo.len > NACRE__MAX_ECHO) return;
    nacre__kept_echo *kept = find(k, peer, context);
    if (kept == NULL) kept = oldest(k, context != NULL);
    *kept = (nacre__kept_echo){ .peer = *peer, .context = context, .when = k->core->now_ms };
    kept->len = (uint8_t)echo.len;
    memcpy(kept->value, echo.ptr, echo.len);
}

nacre__kept_echo *nacre__kept_echo_find(nacre__kept_echos *k, const nacre_address *peer, const nacre_context *context)
{
    nacre__kept_echo *kept = find(k, peer, context);
    if (kept == NULL) return NULL;
    if (k->core->now_ms < nacre__after(kept->when, k->core->config.timing.exchange_lifetime_ms)) return kept;
    kept->len = 0;
    return NULL;
}

void nacre__echo_forget(nacre__kept_echos *k, const nacre_context *context, const nacre_address *peer)
{
    for (size_t i = 0; i < NACRE__KEPT_ECHOS; i++) {
        nacre__kept_echo *kept = &k->all[i];
        if (context != NULL ? kept->context == context : nacre_address_equal(&kept->peer, peer)) kept->len = 0;
    }
}
