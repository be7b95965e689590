/* SPDX-License-Identifier: MIT */
/* outer_block_server: joins protected requests that a proxy split into blocks (RFC 8613 4.1.3.4.2, 8.2.1, RFC 7959 2.5), and
 * records which blocks requests want in response.
 *
 * Blocks of one request have the same sender, OSCORE option (which has a Partial IV that no other request has) and
 * Request-Tag. All but the last get an unprotected response: 2.31 or an error. The last one completes the message, which is
 * passed to OSCORE once, as if it had arrived whole. Duplicate blocks are recognised earlier, like any datagram. */
#include "endpoint/outer_block/outer_block.h"
#include "coap/option_check.h"
#include "endpoint/core/hash.h"

#include <string.h>

/* The outer options used here. */
typedef struct outer_options {
    nacre_bytes oscore, block1, block2, size1;
    uint64_t tags; /* a hash of all Request-Tags */
} outer_options;

static uint64_t hash_tag(const nacre__outer_blocks *b, const nacre_address *peer, uint64_t before, nacre_bytes tag)
{
    uint8_t bytes[8 + 8] = { 0 };
    memcpy(bytes, &before, 8);
    if (tag.len > 8) tag.len = 8; /* RFC 9175 3.2.1: its maximum */
    if (tag.len > 0) memcpy(bytes + 8, tag.ptr, tag.len);
    return nacre__peer_hash(b->core, peer, nacre_bytes_of(bytes, 8 + tag.len)) | 1;
}

/* Saves a scan: nearly always OSCORE is the only option. */
static bool may_have_blocks(uint32_t seen)
{
    return (seen & (NACRE__SEEN(NACRE_OPT_BLOCK1) | NACRE__SEEN(NACRE_OPT_BLOCK2))) != 0;
}

static bool read_options(const nacre__outer_blocks *b, const nacre__received *received, outer_options *o)
{
    nacre_option_iter it = nacre_option_begin(received->outer.options);
    *o = (outer_options){ .tags = 0 };
    for (nacre_option option; nacre_option_next(&it, &option);) {
        switch (option.number) {
        case NACRE_OPT_OSCORE: o->oscore = option.value; break;
        case NACRE_OPT_BLOCK1: o->block1 = option.value; break;
        case NACRE_OPT_BLOCK2: o->block2 = option.value; break;
        case NACRE_OPT_SIZE1: o->size1 = option.value; break;
        case NACRE_OPT_REQUEST_TAG: o->tags = hash_tag(b, &received->datagram->peer, o->tags, option.value); break;
        default: break;
        }
    }
    return !nacre_is_absent(o->oscore) && (!nacre_is_absent(o->block1) || !nacre_is_absent(o->block2));
}

/* ---- Unprotected responses --------------------------------------------------------------------------------------- */

/* Sends an unprotected response to a block; always false, as nacre__outer_request. */
static bool respond(nacre__outer_blocks *b, nacre__server_exchange *exchange, const nacre__received *received,
                    uint8_t code, uint32_t block1, uint64_t size1)
{
    nacre_message response = { .code = code };
    nacre_options o;
    nacre_options_init(&o, (nacre_buf){ b->core->options, b->core->config.max_message });
    if (code == NACRE_CONTINUE || code == NACRE_INCOMPLETE) nacre_options_add_uint(&o, NACRE_OPT_BLOCK1, block1);
    if (size1 > 0) nacre_options_add_uint(&o, NACRE_OPT_SIZE1, size1);
    if (nacre_options_finish(&o, &response.options) != NACRE_OK) response.options = NACRE_ABSENT;
    nacre__response_unprotected(b->server_exchanges, exchange, &response, received->outer.token);
    return false;
}

/* RFC 7959 2.9.3, 4: suggests a size that fits. */
static bool refuse_too_large(nacre__outer_blocks *b, nacre__server_exchange *exchange, const nacre__received *received)
{
    return respond(b, exchange, received, NACRE_TOO_LARGE, 0, b->core->config.outer_block.max_unfragmented);
}

/* ---- Joining blocks ---------------------------------------------------------------------------------------------- */

/* Whether any context has the kid. Other blocks get no entry. */
static bool has_context(nacre_bytes value, nacre__is_for_us *is_for_us, void *self)
{
    nacre_oscore_option option;
    if (nacre_oscore_option_read(&option, value) != NACRE_OK) return false;
    if (nacre_is_absent(option.partial_iv) || nacre_is_absent(option.kid)) return false;
    return is_for_us(self, option.kid);
}

/* RFC 7959 2.2: all blocks but the last are full. RFC 8613 2: an OSCORE message has a payload. */
static bool is_whole(nacre__block block, size_t len)
{
    const size_t size = nacre__block_size(block.szx);
    return len > 0 && (block.more ? len == size : len <= size);
}

static bool is_announced_too_large(const nacre__outer_blocks *b, const outer_options *o)
{
    uint64_t size = 0;
    return !nacre_is_absent(o->size1) && nacre_option_uint(o->size1, &size) &&
           size > b->core->config.outer_block.max_unfragmented;
}

/* The last block has arrived: continues as an ordinary message. */
static bool complete(nacre__outer_blocks *b, nacre__received *received, nacre__outer *entry)
{
    nacre__outer_change(b, entry, NACRE__OUTER_TAKEN);
    received->outer.payload = nacre_bytes_of(entry->body, entry->body_len);
    received->joined = entry;
    received->buf = nacre__outer_buf(b, entry);
    return true;
}

static bool take_block(nacre__outer_blocks *b, nacre__server_exchange *exchange, nacre__received *received,
                       nacre__block block, const outer_options *o)
{
    const nacre_address *peer = &received->datagram->peer;
    const uint64_t key = exchange->block_request.key ^ o->tags;
    const nacre_bytes piece = received->outer.payload;
    if (!is_whole(block, piece.len)) return respond(b, exchange, received, NACRE_BAD_REQUEST, 0, 0);
    if (is_announced_too_large(b, o)) return refuse_too_large(b, exchange, received);
    nacre__outer *entry = nacre__outer_find(b, NACRE__OUTER_JOINING, peer, key);
    if (block.num == 0) { /* RFC 7959 2.5: a new first block replaces earlier ones */
        if (entry == NULL) entry = nacre__outer_take(b, NACRE__OUTER_JOINING, peer, key);
        if (entry == NULL) return respond(b, exchange, received, NACRE_UNAVAILABLE, 0, 0);
        entry->body_len = 0;
    } else if (entry == NULL || entry->body_len != nacre__block_offset(block)) {
        /* RFC 7959 2.9.2; earlier blocks stay, because this one is unauthenticated */
        return respond(b, exchange, received, NACRE_INCOMPLETE, nacre__block_value(block), 0);
    }
    entry->before = entry->body_len;
    if (!nacre__outer_add(b, entry, piece)) {
        nacre__outer_drop(b, entry);
        return refuse_too_large(b, exchange, received);
    }
    if (!block.more) return complete(b, received, entry);
    return respond(b, exchange, received, NACRE_CONTINUE, nacre__block_value(block), 0);
}

/* RFC 8613 8.2.1: outer blocks are joined before OSCORE. True: `received` is a whole message. False: the block got a
 * response, or is dropped. */
bool nacre__outer_request(nacre__outer_blocks *b, nacre__server_exchange *exchange, nacre__received *received,
                          nacre__is_for_us *is_for_us, void *self)
{
    nacre__outer_block_request *block_request = &exchange->block_request;
    outer_options o;
    nacre__block block1 = { 0 }, block2 = { 0 };
    if (b->core->config.opaque_oscore || !may_have_blocks(received->seen) || !read_options(b, received, &o))
        return true;
    const bool has_block1 = !nacre_is_absent(o.block1), has_block2 = !nacre_is_absent(o.block2);
    if ((has_block1 && !nacre__block_read(&block1, o.block1)) || (has_block2 && !nacre__block_read(&block2, o.block2)))
        return respond(b, exchange, received, NACRE_BAD_REQUEST, 0, 0);
    block_request->key = nacre__peer_hash(b->core, &received->datagram->peer, o.oscore);
    if (has_block2 && block2.num > 0) {
        if (has_block1) return respond(b, exchange, received, NACRE_BAD_REQUEST, 0, 0);
        nacre__outer_serve(b, exchange, received, block2);
        return false;
    }
    block_request->has_block1 = has_block1;
    block_request->block1 = nacre__block_value(block1);
    block_request->has_block2 = has_block2; /* RFC 7959 2.4: early negotiation */
    block_request->szx = block2.szx;
    /* without a matching context it is refused like any message, now and not when complete */
    if (!has_block1 || (block1.num == 0 && !block1.more) || !has_context(o.oscore, is_for_us, self)) return true;
    return take_block(b, exchange, received, block1, &o);
}

/* Removes the last block, which its sender retransmits; earlier blocks stay. */
void nacre__outer_put_back(nacre__outer_blocks *b, nacre__outer *entry)
{
    nacre__outer_change(b, entry, NACRE__OUTER_JOINING);
    entry->body_len = entry->before;
}

/* The request waits for the store; it is accepted when the last block is retransmitted. */
void nacre__outer_put_off(nacre__outer_blocks *b, nacre__server_exchange *exchange, const nacre__received *received)
{
    nacre__request_persist(b->server_exchanges->persist, received->context);
    if (nacre_address_is_reliable(&exchange->record->peer)) { /* which retransmits nothing */
        nacre__response_refuse(b->server_exchanges, exchange, NACRE_ERR_NOT_YET, received->outer.token);
        return;
    }
    nacre__count_dropped(b->core, NACRE_DROPPED_STORE);
    nacre__server_exchange_release(b->server_exchanges, exchange);
}
