/* SPDX-License-Identifier: MIT */
/* outer_block_pool: bounded memory for OSCORE messages split, or requested in blocks, by a proxy (RFC 8613 4.1.3.4.2, 12.7).
 *
 * A proxy cannot read a protected message, but may send it in blocks (RFC 7959). A block is unauthenticated: only the whole
 * verifies. So there are num_outer entries of max_unfragmented bytes each, kept for an exchange lifetime, and shared as
 * follows:
 *
 *  - One peer has at most half of the entries; a new message of that peer then evicts its longest unused one.
 *  - When all are in use, responses sent to their end are evicted first, then the longest unused entry, those of addresses
 *    that are not validated first: forged traffic evicts forged traffic.
 *  - Responses being fetched are never evicted: they end with their exchange.
 *
 * A peer that loses its entry gets 4.08 and sends the blocks again. */
#include "endpoint/outer_block/outer_block.h"

#include <string.h>

void nacre__outer_blocks_lay_out(nacre__outer_blocks *b, nacre__pool_layout *layout,
                                 const nacre_endpoint_config *config)
{
    b->entries = nacre__lay_out(layout, config->outer_block.num_messages, sizeof *b->entries);
}

void nacre__outer_blocks_init(nacre__outer_blocks *b, uint8_t *bytes)
{
    const nacre_endpoint_config *config = &b->core->config;
    for (uint32_t i = 0; i < config->outer_block.num_messages; i++) {
        b->entries[i].head = bytes + 2 * (config->max_message + config->outer_block.max_unfragmented) * i;
        b->entries[i].body = b->entries[i].head + config->max_message;
        b->entries[i].plain = b->entries[i].body + config->outer_block.max_unfragmented;
    }
}

void nacre__outer_drop(nacre__outer *entry)
{
    entry->state = NACRE__OUTER_FREE;
    entry->body_len = entry->head_len = 0;
    entry->given = false;
}

/* A new burst begins: frees the messages joined in the last one. */
void nacre__outer_begin(nacre__outer_blocks *b)
{
    for (uint32_t i = 0; i < b->core->config.outer_block.num_messages; i++)
        if (b->entries[i].state == NACRE__OUTER_TAKEN) nacre__outer_drop(&b->entries[i]);
}

void nacre__outer_peer_lost(nacre__outer_blocks *b, const nacre_address *peer)
{
    for (uint32_t i = 0; i < b->core->config.outer_block.num_messages; i++)
        if (b->entries[i].state != NACRE__OUTER_TAKEN && nacre_address_equal(&b->entries[i].peer, peer))
            nacre__outer_drop(&b->entries[i]);
}

static bool may_give_way(const nacre__outer *entry)
{
    return entry->state == NACRE__OUTER_JOINING || entry->state == NACRE__OUTER_CUT;
}

static bool outlived(const nacre__outer_blocks *b, const nacre__outer *entry)
{
    return b->core->now_ms >= nacre__after(entry->touched, b->core->config.timing.exchange_lifetime_ms);
}

/* NULL when there is none. */
nacre__outer *nacre__outer_find(nacre__outer_blocks *b, nacre__outer_state state, const nacre_address *peer,
                                uint64_t key)
{
    for (uint32_t i = 0; i < b->core->config.outer_block.num_messages; i++) {
        nacre__outer *entry = &b->entries[i];
        if (entry->state != state || entry->key != key || !nacre_address_equal(&entry->peer, peer)) continue;
        if (outlived(b, entry)) {
            nacre__outer_drop(entry);
            return NULL;
        }
        entry->touched = b->core->now_ms;
        return entry;
    }
    return NULL;
}

/* Whether `one` is evicted before `other`. */
static bool goes_first(const nacre__outer_blocks *b, const nacre__outer *one, const nacre__outer *other)
{
    const bool is_known = nacre__is_validated(b->server_exchanges->validation, &one->peer);
    if (one->given != other->given) return one->given;
    if (is_known != nacre__is_validated(b->server_exchanges->validation, &other->peer)) return !is_known;
    return one->touched < other->touched;
}

/* The next entry to evict, of `peer`, or of all if NULL. */
static nacre__outer *first_to_go(nacre__outer_blocks *b, const nacre_address *peer)
{
    nacre__outer *first = NULL;
    for (uint32_t i = 0; i < b->core->config.outer_block.num_messages; i++) {
        nacre__outer *entry = &b->entries[i];
        if (!may_give_way(entry) || (peer != NULL && !nacre_address_equal(&entry->peer, peer))) continue;
        if (first == NULL || goes_first(b, entry, first)) first = entry;
    }
    return first;
}

/* An entry for `peer`; NULL when none is free or evictable. */
nacre__outer *nacre__outer_take(nacre__outer_blocks *b, nacre__outer_state state, const nacre_address *peer,
                                uint64_t key)
{
    const uint32_t share = (b->core->config.outer_block.num_messages + 1U) / 2;
    nacre__outer *entry = NULL;
    uint32_t num_of_peer = 0;
    for (uint32_t i = 0; i < b->core->config.outer_block.num_messages; i++) {
        nacre__outer *other = &b->entries[i];
        if (may_give_way(other) && outlived(b, other)) nacre__outer_drop(other);
        if (other->state == NACRE__OUTER_FREE) entry = other;
        else if (nacre_address_equal(&other->peer, peer)) num_of_peer++;
    }
    if (num_of_peer >= share) entry = first_to_go(b, peer);
    else if (entry == NULL) entry = first_to_go(b, NULL);
    if (entry == NULL) return NULL;
    nacre__outer_drop(entry);
    entry->state = state;
    entry->peer = *peer;
    entry->key = key;
    entry->touched = b->core->now_ms;
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
