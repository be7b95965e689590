/* SPDX-License-Identifier: MIT */
/* message_ids: a guessed message ID lets an attacker acknowledge or reject a message in another peer's name (RFC 7252 11.4),
 * so the IDs sent to one peer must not reveal those sent to others.
 *
 * A keyed hash assigns peers to buckets; each bucket counts from a random start. A peer's ID is the count plus an offset of
 * its own: the XOR of random words selected by other parts of the hash. So peers of a bucket share a count, which bounds the
 * memory, but see unrelated IDs: a gap reveals that others are served, not their IDs. An ID does not repeat within 65536
 * messages of a bucket (RFC 7252 4.4). */
#include "endpoint/message/message_ids.h"
#include "endpoint/core/hash.h"

void nacre__message_ids_init(nacre__message_ids *ids, const nacre__core *core)
{
    const nacre_random *random = &core->config.random;
    ids->core = core;
    random->fill(random->self, (uint8_t *)ids->counts, sizeof ids->counts);
    random->fill(random->self, (uint8_t *)ids->offsets, sizeof ids->offsets);
}

static uint16_t offset_for(const nacre__message_ids *ids, uint64_t hash)
{
    uint16_t offset = 0;
    for (uint32_t i = 0; i < NACRE__MESSAGE_ID_OFFSETS; i++)
        offset ^= ids->offsets[i][hash >> (40 + 8 * i) & (NACRE__MESSAGE_ID_BUCKETS - 1)];
    return offset;
}

uint16_t nacre__message_id_next(nacre__message_ids *ids, const nacre_address *peer)
{
    const uint64_t hash = nacre__peer_hash(ids->core, peer, NACRE_ABSENT);
    return (uint16_t)(ids->counts[(hash ^ hash >> 32) % NACRE__MESSAGE_ID_BUCKETS]++ + offset_for(ids, hash));
}
