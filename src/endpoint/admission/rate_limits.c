/* SPDX-License-Identifier: MIT */
/* pace: how many Echo challenges go out (RFC 8613 B.1.2). Each spends a sender sequence number, and a captured request sent
 * again and again asks for one each time, for a window that is not known cannot tell. So there are so many in a second,
 * for each context and over all; what is above gets silence, and who means it asks again. */
#include "endpoint/endpoint_internal.h"
#include "base/pointer_hash.h"

enum { AT_ONCE_US = 4000000 }; /* what may go out at once after a pause: as many as in four seconds */

/* A place's time is when the next one would be due, were they spread evenly; it may run ahead of the clock a little. */
static bool may(uint64_t place, uint64_t now_us)
{
    return place <= now_us || place - now_us <= AT_ONCE_US;
}

static void take(uint64_t *place, uint64_t now_us, uint32_t per_second)
{
    if (*place < now_us) *place = now_us;
    *place += 1000000 / per_second;
}

/* Contexts that fall together share a pace. */
static uint64_t *place_of(const nacre_endpoint *ep, const nacre_context *context)
{
    return &ep->paces[nacre__pointer_hash(context) >> 32 & (NACRE__PACES - 1)];
}

static uint64_t us_of(uint64_t now_ms)
{
    return now_ms > UINT64_MAX / 2000 ? UINT64_MAX / 2 : now_ms * 1000;
}

/* One more at `place`, of so many in a second, if it may be. */
bool nacre__pace_takes(uint64_t *place, uint64_t now_ms, uint32_t per_second)
{
    const uint64_t now_us = us_of(now_ms);
    if (!may(*place, now_us)) return false;
    take(place, now_us, per_second);
    return true;
}

bool nacre__pace_allows(nacre_endpoint *ep, const nacre_context *context)
{
    const uint64_t now_us = us_of(ep->now_ms);
    uint64_t *place = place_of(ep, context);
    if (!may(ep->pace, now_us) || !may(*place, now_us)) return false;
    take(&ep->pace, now_us, ep->config.challenges_per_second);
    take(place, now_us, ep->config.context_challenges_per_second);
    return true;
}
