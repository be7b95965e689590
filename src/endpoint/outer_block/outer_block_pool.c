/* SPDX-License-Identifier: MIT */
/* outer_block_pool: bounded memory for OSCORE messages in outer blocks (RFC 8613 4.1.3.4.2, 12.7).
 *
 * A proxy cannot read a protected message, but may send it in blocks (RFC 7959). A block is unauthenticated: only the whole
 * verifies. So there are num_outer entries of max_unfragmented bytes each, kept for an exchange lifetime, and shared as
 * follows:
 *
 *  - When all are in use, completely sent responses are evicted first, then entries of addresses that are not validated, so that
 *    forged traffic evicts forged traffic, then others; of each kind the one that was not used for longest.
 *  - One peer has at most half of the entries; at that limit a new message of the peer evicts one of its own.
 *  - Responses being fetched are never evicted: they end with their exchange.
 *
 * A peer that loses its entry gets 4.08 and sends the blocks again.
 *
 * Any sender can send first blocks. The cost of one therefore does not depend on the number of entries: there are lists in the
 * order of eviction, a hash by key, and counting the entries of a peer takes as many steps as it has. */
#include "endpoint/outer_block/outer_block.h"

#include <string.h>

void nacre__outer_blocks_lay_out(nacre__outer_blocks *b, nacre__pool_layout *layout,
                                 const nacre_endpoint_config *config)
{
    const uint32_t num = config->outer_block.num_messages;
    b->entries = nacre__lay_out(layout, num, sizeof *b->entries);
    b->by_key.num_buckets = nacre__num_buckets_for(num);
    b->by_key.buckets = nacre__lay_out(layout, b->by_key.num_buckets, sizeof *b->by_key.buckets);
    nacre__groups_lay_out(&b->by_peer, layout, num);
}

void nacre__outer_blocks_init(nacre__outer_blocks *b, uint8_t *bytes)
{
    const nacre_endpoint_config *config = &b->core->config;
    b->links = (nacre__links){ &b->entries->link, sizeof *b->entries };
    b->by_key.links = (nacre__links){ &b->entries->chain, sizeof *b->entries };
    nacre__chains_init(&b->by_key);
    nacre__groups_init(&b->by_peer, &b->entries->peer_link, sizeof *b->entries);
    for (size_t i = 0; i < NACRE__OUTER_CLASSES; i++) b->lists[i] = NACRE__LIST_EMPTY;
    for (uint32_t i = 0; i < config->outer_block.num_messages; i++) {
        b->entries[i].head = bytes + 2 * (config->max_message + config->outer_block.max_unfragmented) * i;
        b->entries[i].body = b->entries[i].head + config->max_message;
        b->entries[i].plain = b->entries[i].body + config->outer_block.max_unfragmented;
        nacre__list_append(b->links, &b->lists[NACRE__OUTER_IN_FREE], i);
    }
}

/* ---- Lists --------------------------------------------------------------------------------------------------------- */

static uint32_t index_of(const nacre__outer_blocks *b, const nacre__outer *entry)
{
    return (uint32_t)(entry - b->entries);
}

static nacre__outer_class class_of(const nacre__outer_blocks *b, const nacre__outer *entry)
{
    switch (entry->state) {
    case NACRE__OUTER_FREE: return NACRE__OUTER_IN_FREE;
    case NACRE__OUTER_TAKEN: return NACRE__OUTER_IN_TAKEN;
    case NACRE__OUTER_FETCHING: return NACRE__OUTER_IN_FETCHING;
    case NACRE__OUTER_JOINING:
    case NACRE__OUTER_CUT: break;
    }
    if (entry->given) return NACRE__OUTER_IN_GIVEN;
    return nacre__is_validated(b->server_exchanges->validation, &entry->peer) ? NACRE__OUTER_IN_VALIDATED
                                                                              : NACRE__OUTER_IN_UNVALIDATED;
}

/* Moves the entry to the end of the list that its state belongs to. */
static void enlist(nacre__outer_blocks *b, nacre__outer *entry)
{
    nacre__list_remove(b->links, &b->lists[entry->class], index_of(b, entry));
    entry->class = class_of(b, entry);
    nacre__list_append(b->links, &b->lists[entry->class], index_of(b, entry));
}

void nacre__outer_change(nacre__outer_blocks *b, nacre__outer *entry, nacre__outer_state state)
{
    entry->state = state;
    enlist(b, entry);
}

/* The entry is now the last to be evicted, in its list and among those of its peer. */
void nacre__outer_used(nacre__outer_blocks *b, nacre__outer *entry)
{
    entry->touched = b->core->now_ms;
    nacre__group_remove(&b->by_peer, entry->peer_hash, index_of(b, entry));
    nacre__group_add(&b->by_peer, entry->peer_hash, index_of(b, entry));
    enlist(b, entry);
}

void nacre__outer_drop(nacre__outer_blocks *b, nacre__outer *entry)
{
    if (entry->state != NACRE__OUTER_FREE) {
        nacre__chain_remove(&b->by_key, entry->key, index_of(b, entry));
        nacre__group_remove(&b->by_peer, entry->peer_hash, index_of(b, entry));
    }
    entry->body_len = entry->head_len = 0;
    entry->given = false;
    nacre__outer_change(b, entry, NACRE__OUTER_FREE);
}

/* ---- Ends ---------------------------------------------------------------------------------------------------------- */

/* A new burst begins: frees the messages joined in the last one. */
void nacre__outer_begin(nacre__outer_blocks *b)
{
    while (b->lists[NACRE__OUTER_IN_TAKEN].first != NACRE__NONE)
        nacre__outer_drop(b, &b->entries[b->lists[NACRE__OUTER_IN_TAKEN].first]);
}

static bool is_of(const nacre__outer *entry, const nacre_address *peer, uint64_t hash)
{
    return entry->peer_hash == hash && nacre_address_equal(&entry->peer, peer);
}

void nacre__outer_peer_lost(nacre__outer_blocks *b, const nacre_address *peer)
{
    const uint64_t hash = nacre__group_of_peer(b->core, peer);
    for (uint32_t i = nacre__group_first(&b->by_peer, hash), next; i != NACRE__NONE; i = next) {
        next = nacre__group_next(&b->by_peer, i);
        if (b->entries[i].state != NACRE__OUTER_TAKEN && is_of(&b->entries[i], peer, hash))
            nacre__outer_drop(b, &b->entries[i]);
    }
}

static bool is_expired(const nacre__outer_blocks *b, const nacre__outer *entry)
{
    return b->core->now_ms >= nacre__after(entry->touched, b->core->config.timing.exchange_lifetime_ms);
}

/* ---- Finding and taking -------------------------------------------------------------------------------------------- */

/* NULL if there is none, or the exchange lifetime has passed since its last use. */
nacre__outer *nacre__outer_find(nacre__outer_blocks *b, nacre__outer_state state, const nacre_address *peer,
                                uint64_t key)
{
    for (uint32_t i = nacre__chain_first(&b->by_key, key); i != NACRE__NONE; i = nacre__chain_next(&b->by_key, i)) {
        nacre__outer *entry = &b->entries[i];
        if (entry->state != state || entry->key != key || !nacre_address_equal(&entry->peer, peer)) continue;
        if (is_expired(b, entry)) {
            nacre__outer_drop(b, entry);
            return NULL;
        }
        nacre__outer_used(b, entry);
        return entry;
    }
    return NULL;
}

/* The first one of a list, or NULL. */
static nacre__outer *first_of(const nacre__outer_blocks *b, nacre__outer_class class)
{
    const uint32_t first = b->lists[class].first;
    return first == NACRE__NONE ? NULL : &b->entries[first];
}

/* Frees entries that were not used for an exchange lifetime. These are at the fronts of the lists. */
static void drop_expired(nacre__outer_blocks *b)
{
    for (nacre__outer_class class = NACRE__OUTER_IN_GIVEN; class < NACRE__OUTER_CLASSES; class ++)
        for (nacre__outer *entry; (entry = first_of(b, class)) != NULL && is_expired(b, entry);)
            nacre__outer_drop(b, entry);
}

/* Whether `peer` has all of its share; `*first` is its entry to evict then, or NULL. */
static bool has_full_share(const nacre__outer_blocks *b, const nacre_address *peer, uint64_t hash, nacre__outer **first)
{
    const uint32_t share = (b->core->config.outer_block.num_messages + 1U) / 2;
    uint32_t num = 0;
    *first = NULL;
    for (uint32_t i = nacre__group_first(&b->by_peer, hash); i != NACRE__NONE; i = nacre__group_next(&b->by_peer, i)) {
        nacre__outer *entry = &b->entries[i];
        if (!is_of(entry, peer, hash)) continue;
        num++;
        if (entry->class < NACRE__OUTER_IN_GIVEN) continue;
        if (*first == NULL || (entry->given && !(*first)->given)) *first = entry;
    }
    return num >= share;
}

/* A free entry, or the first to be evicted; NULL: none. Moves entries whose address was validated since their last use to the list
 * of such, each once. */
static nacre__outer *next_entry(nacre__outer_blocks *b)
{
    nacre__outer *entry = first_of(b, NACRE__OUTER_IN_FREE);
    if (entry == NULL) entry = first_of(b, NACRE__OUTER_IN_GIVEN);
    if (entry != NULL) return entry;
    for (; (entry = first_of(b, NACRE__OUTER_IN_UNVALIDATED)) != NULL; enlist(b, entry))
        if (class_of(b, entry) == NACRE__OUTER_IN_UNVALIDATED) return entry;
    return first_of(b, NACRE__OUTER_IN_VALIDATED);
}

/* An entry for `peer`; NULL when none is free or evictable. */
nacre__outer *nacre__outer_take(nacre__outer_blocks *b, nacre__outer_state state, const nacre_address *peer,
                                uint64_t key)
{
    const uint64_t hash = nacre__group_of_peer(b->core, peer);
    nacre__outer *entry;
    drop_expired(b);
    if (!has_full_share(b, peer, hash, &entry)) entry = next_entry(b);
    if (entry == NULL) return NULL;
    nacre__outer_drop(b, entry);
    entry->peer = *peer;
    entry->peer_hash = hash;
    entry->key = key;
    entry->touched = b->core->now_ms;
    nacre__chain_add(&b->by_key, key, index_of(b, entry));
    nacre__group_add(&b->by_peer, hash, index_of(b, entry));
    nacre__outer_change(b, entry, state);
    return entry;
}

/* Appends `piece`. False: more than max_unfragmented. */
bool nacre__outer_add(const nacre__outer_blocks *b, nacre__outer *entry, nacre_bytes piece)
{
    if (piece.len > b->core->config.outer_block.max_unfragmented - entry->body_len) return false;
    if (piece.len > 0) memcpy(entry->body + entry->body_len, piece.ptr, piece.len);
    entry->body_len += piece.len;
    return true;
}

/* The buffer for the plaintext of the joined message. */
nacre_buf nacre__outer_buf(const nacre__outer_blocks *b, const nacre__outer *entry)
{
    return (nacre_buf){ entry->plain, b->core->config.max_message + b->core->config.outer_block.max_unfragmented };
}

/* Copies `options`, except the block options and those that belong to them. */
void nacre__outer_copy_options(nacre_options *o, nacre_bytes options)
{
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        if (option.number != NACRE_OPT_BLOCK1 && option.number != NACRE_OPT_BLOCK2 &&
            option.number != NACRE_OPT_SIZE1 && option.number != NACRE_OPT_SIZE2 &&
            option.number != NACRE_OPT_REQUEST_TAG && option.number != NACRE_OPT_OBSERVE)
            nacre_options_add(o, option.number, option.value);
}
