/* SPDX-License-Identifier: MIT */
#include "endpoint/core/core.h"

bool nacre_address_equal(const nacre_address *a, const nacre_address *b)
{
    return a->len == b->len && a->flags == b->flags && a->len <= sizeof a->bytes &&
           memcmp(a->bytes, b->bytes, a->len) == 0;
}

bool nacre_address_is_reliable(const nacre_address *address)
{
    return (address->flags & NACRE_ADDRESS_RELIABLE) != 0;
}

size_t nacre__max_message_to(const nacre__core *core, const nacre_address *peer)
{
    const size_t max = core->config.max_message;
    if (core->config.limit.max_message == NULL) return max;
    const size_t taken = core->config.limit.max_message(core->config.limit.self, peer);
    return taken < max ? taken : max;
}
