/* SPDX-License-Identifier: MIT */
/* separate_shares: what one peer, and all plain ones, have of the separate responses.
 *
 * A peer is a security context, or the address of plain requests. It holds at most transmissions_per_peer, so that a client
 * that keeps requests open, or is silent while its responses are retransmitted, leaves the others theirs. Where requests can
 * be protected, plain ones hold at most half of all together; half of that is for addresses that are validated. */
#include "endpoint/core/hash.h"
#include "endpoint/exchange/server_exchange.h"

static bool is_owned_by(const nacre__separate_response *separate, const nacre_context *owner, const nacre_address *peer)
{
    return separate->is_counted && separate->owner == owner &&
           (owner != NULL || nacre_address_equal(&separate->t->peer, peer));
}

static uint32_t *count_of(const nacre__server_exchanges *x, const nacre_context *owner, const nacre_address *peer)
{
    const uint64_t hash = nacre__owner_hash(x->core, owner, peer);
    return &x->counts[(hash ^ hash >> 32) & (x->num_counts - 1)];
}

/* Of one owner. Those whose hashes collide share a count, which is only a bound. */
uint32_t nacre__separate_num_of(const nacre__server_exchanges *x, const nacre_context *owner, const nacre_address *peer)
{
    uint32_t num = 0;
    for (uint32_t i = 0; i < x->core->config.num_transmissions; i++) num += is_owned_by(&x->separates[i], owner, peer);
    return num;
}

static uint32_t half(const nacre__server_exchanges *x)
{
    const nacre_endpoint_config *config = &x->core->config;
    if (config->contexts == NULL || config->opaque_oscore) return config->num_transmissions; /* all are plain */
    return config->num_transmissions > 1 ? config->num_transmissions / 2U : 1;
}

/* Whether plain peers have less than their half. */
bool nacre__separate_plain_may(const nacre__server_exchanges *x)
{
    return x->num_plain < half(x);
}

/* Whether one may be used for an unvalidated sender: half of what plain peers have is for validated ones. */
bool nacre__separate_is_to_spare(const nacre__server_exchanges *x)
{
    return x->num_plain < (half(x) + 1) / 2;
}

bool nacre__separate_has_share(const nacre__server_exchanges *x, const nacre_context *owner, const nacre_address *peer)
{
    const uint32_t share = x->core->config.transmissions_per_peer;
    if (owner == NULL && !nacre__separate_plain_may(x)) return false;
    return *count_of(x, owner, peer) < share || nacre__separate_num_of(x, owner, peer) < share;
}

void nacre__separate_count(nacre__server_exchanges *x, nacre__separate_response *separate, const nacre_context *owner)
{
    separate->owner = owner;
    separate->is_counted = true;
    ++*count_of(x, owner, &separate->t->peer);
    x->num_plain += owner == NULL;
}

void nacre__separate_uncount(nacre__server_exchanges *x, nacre__separate_response *separate)
{
    if (!separate->is_counted) return;
    separate->is_counted = false;
    --*count_of(x, separate->owner, &separate->t->peer);
    x->num_plain -= separate->owner == NULL;
    if (x->upper.share_left != NULL) x->upper.share_left(x->upper.self, separate->owner, &separate->t->peer);
}
