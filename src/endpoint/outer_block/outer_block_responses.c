/* SPDX-License-Identifier: MIT */
/* outer_block_responses: splits protected responses into the blocks that requests ask for (RFC 8613 4.1.3.4.2, RFC 7959 2.4, 2.5).
 *
 * A response is protected first, then split: the blocks are parts of one ciphertext. Block options are added at transmission,
 * around the bytes kept for duplicates. If the request has a Block2 smaller than the response, the first block is sent and the
 * whole is kept in an entry, from which later blocks are served without OSCORE or the application. Notifications are sent
 * whole. */
#include "endpoint/outer_block/outer_block.h"

#include <string.h>

enum {
    SMALL_SZX = 2
}; /* 64 bytes: such a message is below the smallest allowance of an address that is not validated */

/* RFC 9175 2.4: an address that is not validated gets at most small blocks. */
static uint8_t largest_for(const nacre__outer_blocks *b, const nacre_address *peer, uint8_t szx)
{
    return szx <= SMALL_SZX || nacre__is_validated(b->server_exchanges->validation, peer) ? szx : SMALL_SZX;
}

/* Writes `m` with the Block1 of its request, and with `block` of its payload; NULL: all of it. */
static bool write_with(nacre__outer_blocks *b, nacre_bytes *out, nacre_buf buf, const nacre_message *m,
                       const nacre__outer_block_request *block_request, const nacre__block *block)
{
    nacre_message part = *m;
    nacre_options o;
    nacre_options_init(&o, (nacre_buf){ b->core->options, b->core->config.max_message });
    nacre_option_iter it = nacre_option_begin(m->options);
    for (nacre_option option; nacre_option_next(&it, &option);) nacre_options_add(&o, option.number, option.value);
    if (block != NULL) {
        const size_t offset = (size_t)nacre__block_offset(*block), size = nacre__block_size(block->szx);
        const size_t left = m->payload.len - offset;
        nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, nacre__block_value(*block));
        part.payload = nacre_bytes_of(m->payload.ptr + offset, left < size ? left : size);
    }
    if (block_request != NULL && block_request->has_block1)
        nacre_options_add_uint(&o, NACRE_OPT_BLOCK1, block_request->block1);
    return nacre_options_finish(&o, &part.options) == NACRE_OK && nacre_message_write(&part, out, buf) == NACRE_OK;
}

/* Keeps the response for later blocks. False: no entry is free. */
static bool keep(nacre__outer_blocks *b, const nacre_address *peer, const nacre_message *m, uint64_t key)
{
    nacre__outer *entry = nacre__outer_find(b, NACRE__OUTER_CUT, peer, key);
    if (entry == NULL) entry = nacre__outer_take(b, NACRE__OUTER_CUT, peer, key);
    if (entry == NULL) return false;
    entry->body_len = 0; /* drops an earlier transmission or response: two Echo challenges are two responses */
    if (!nacre__outer_add(b, entry, m->payload)) {
        nacre__outer_drop(b, entry);
        return false;
    }
    entry->code = m->code;
    entry->head_len = m->options.len;
    memcpy(entry->head, m->options.ptr, m->options.len);
    return true;
}

/* Writes the response `bytes` to `out` with the blocks that its request asked for. False if it is sent unchanged: no blocks
 * requested, not protected, or no entry free. */
bool nacre__outer_write(nacre__outer_blocks *b, const nacre_address *peer, nacre__outer_block_request *block_request,
                        nacre_bytes bytes, nacre_outgoing *out)
{
    nacre_message m;
    if (!block_request->has_block1 && !block_request->has_block2) return false;
    const nacre_buf buf = { out->buf.ptr, nacre__max_message_to(b->core, peer) };
    out->peer = *peer;
    if (nacre_message_parse(&m, bytes) != NACRE_OK || !nacre__has_option(m.options, NACRE_OPT_OSCORE)) return false;
    if (!block_request->sized)
        block_request->szx = largest_for(b, peer, block_request->szx); /* once: retransmissions have the same bytes */
    block_request->sized = true;
    if (block_request->has_block2 && m.payload.len > nacre__block_size(block_request->szx) &&
        keep(b, peer, &m, block_request->key)) {
        nacre__block first = { 0, true, block_request->szx };
        for (; !write_with(b, &out->bytes, buf, &m, block_request, &first); first.szx--)
            if (first.szx == 0) return false;
        return true;
    }
    return block_request->has_block1 && write_with(b, &out->bytes, buf, &m, block_request, NULL);
}

/* Serves a later block of a kept response. */
void nacre__outer_serve(nacre__outer_blocks *b, nacre__server_exchange *exchange, const nacre__received *received,
                        nacre__block requested)
{
    const nacre_address *peer = &received->datagram->peer;
    nacre__outer *entry = nacre__outer_find(b, NACRE__OUTER_CUT, peer, exchange->block_request.key);
    const uint64_t offset = nacre__block_offset(requested);
    nacre_message response = { .code = NACRE_INCOMPLETE }; /* RFC 7959 2.9.2: no longer kept; start again */
    if (entry == NULL || offset >= entry->body_len) {
        if (entry != NULL) response.code = NACRE_BAD_REQUEST;
        nacre__response_unprotected(b->server_exchanges, exchange, &response, received->outer.token);
        return;
    }
    const uint8_t szx = largest_for(b, peer, requested.szx);
    const nacre__block block = { .num = (uint32_t)(offset >> (szx + 4)),
                                 .more = entry->body_len - offset > nacre__block_size(szx),
                                 .szx = szx };
    nacre_bytes out;
    if (!block.more) {
        entry->given = true;
        nacre__outer_used(b, entry);
    }
    response = (nacre_message){ .code = entry->code,
                                .options = nacre_bytes_of(entry->head, entry->head_len),
                                .payload = nacre_bytes_of(entry->body, entry->body_len) };
    if (write_with(b, &out, (nacre_buf){ b->core->scratch, nacre__max_message_to(b->core, peer) }, &response, NULL,
                   &block) &&
        nacre_message_parse(&response, out) == NACRE_OK) {
        nacre__response_unprotected(b->server_exchanges, exchange, &response, received->outer.token);
        return;
    }
    response = (nacre_message){ .code = NACRE_INCOMPLETE };
    nacre__response_unprotected(b->server_exchanges, exchange, &response, received->outer.token);
}
