/* SPDX-License-Identifier: MIT */
/* message_ids: a guessed message ID acknowledges or rejects a message in another's name (RFC 7252 11.4), so the IDs that one
 * peer sees must not tell those that others see.
 *
 * Peers are spread over buckets by a keyed hash, and each bucket counts from a random start. A peer sees the count plus an
 * offset of its own: the XOR of random words that other parts of the hash choose. So two peers of one bucket share a count,
 * which bounds the memory, and see unrelated IDs; that one's ID moves by more than one tells it that others are served, and not
 * under which IDs. The count keeps an ID from coming back to a peer within its 65536 messages (RFC 7252 4.4). */
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
