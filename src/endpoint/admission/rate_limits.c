/* SPDX-License-Identifier: MIT */
/* rate_limits: each Echo challenge spends a sender sequence number, and while the replay window is unknown each replay of a
 * captured request triggers one. So challenges are limited per context and in total; excess requests are dropped, and the
 * client retransmits. */
#include "endpoint/admission/rate_limits.h"
#include "base/pointer_hash.h"

enum { BURST_US = 4000000, CONTEXTS = 256 }; /* after a pause, four seconds' worth at once */

void nacre__rate_limits_lay_out(nacre__rate_limits *limits, nacre__pool_layout *layout)
{
    limits->of_contexts = nacre__lay_out(layout, CONTEXTS, sizeof *limits->of_contexts);
}

static bool may(nacre__token_bucket bucket, uint64_t now_us)
{
    return bucket <= now_us || bucket - now_us <= BURST_US;
}

static void take(nacre__token_bucket *bucket, uint64_t now_us, uint32_t per_second)
{
    if (*bucket < now_us) *bucket = now_us;
    *bucket += 1000000 / per_second;
}

static uint64_t us_of(uint64_t now_ms)
{
    return now_ms > UINT64_MAX / 2000 ? UINT64_MAX / 2 : now_ms * 1000;
}

bool nacre__token_take(nacre__token_bucket *bucket, uint64_t now_ms, uint32_t per_second)
{
    const uint64_t now_us = us_of(now_ms);
    if (!may(*bucket, now_us)) return false;
    take(bucket, now_us, per_second);
    return true;
}

/* Contexts whose hashes collide share a bucket. */
bool nacre__challenge_take(nacre__rate_limits *limits, const nacre_context *context)
{
    const uint64_t now_us = us_of(limits->core->now_ms);
    const nacre_endpoint_config *config = &limits->core->config;
    nacre__token_bucket *of_context = &limits->of_contexts[nacre__pointer_hash(context) >> 32 & (CONTEXTS - 1)];
    if (!may(limits->challenges, now_us) || !may(*of_context, now_us)) return false;
    take(&limits->challenges, now_us, config->admission.challenges_per_second);
    take(of_context, now_us, config->admission.context_challenges_per_second);
    return true;
}
