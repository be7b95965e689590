/* SPDX-License-Identifier: MIT */
/* block2_client: fetches a response body block by block (RFC 7959 2.4, Block2).
 *
 * Each block has its own request. Blocks belong to one body if code and ETag agree (RFC 8613 4.1.3.4.1, RFC 9175 3.8); the
 * offset of each must equal the number of bytes received so far. */
#include "transfer_internal.h"

#include <string.h>

/* ---- Pieces -------------------------------------------------------------------------------------------------------- */

static nacre_err put(nacre__client_transfer *client, nacre_bytes piece)
{
    if (client->sink.write != NULL)
        return client->sink.write(client->sink.user, client->received, piece, client->total);
    if (client->received > client->buf.cap || piece.len > client->buf.cap - client->received) return NACRE_ERR_TOO_LONG;
    if (piece.len > 0) memcpy(client->buf.ptr + client->received, piece.ptr, piece.len);
    return NACRE_OK;
}

/* Keeps code, ETag, size and options of the first block; later blocks are compared with them. */
static bool keep_first(nacre_transfer *t, nacre__client_transfer *client, const nacre_message *message)
{
    const nacre_bytes etag = nacre_option_find(message->options, NACRE_OPT_ETAG);
    const nacre_bytes size = nacre_option_find(message->options, NACRE_OPT_SIZE2);
    nacre_bytes out;
    nacre_options o;
    if (etag.len > sizeof client->etag) return false;
    client->response_code = message->code;
    client->etag_len = (uint8_t)etag.len;
    if (etag.len > 0) memcpy(client->etag, etag.ptr, etag.len);
    if (!nacre_option_uint(size, &client->total)) client->total = 0;
    nacre_options_init(&o, (nacre_buf){ client->first, t->max_message });
    nacre__copy_options(&o, message->options, 0);
    if (nacre_options_finish(&o, &out) != NACRE_OK) return false;
    client->first_len = out.len;
    return true;
}

static bool same_body(const nacre__client_transfer *client, const nacre_message *message)
{
    const nacre_bytes etag = nacre_option_find(message->options, NACRE_OPT_ETAG);
    return message->code == client->response_code &&
           nacre_bytes_equal(etag, nacre_bytes_of(client->etag, client->etag_len));
}

/* RFC 7959 2.4: in order, of full size unless last, and never larger than the block before. */
static bool fits(const nacre__client_transfer *client, nacre__block block, size_t len)
{
    const size_t size = nacre__block_size(block.szx);
    if (block.szx > client->response_szx || nacre__block_offset(block) != client->received) return false;
    return block.more ? len == size : len <= size;
}

static bool changed(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event)
{
    if (client->restarted || !nacre_code_is_safe(client->code))
        return nacre__client_transfer_fail(t, client, event, NACRE_ERR_BODY_CHANGED);
    client->restarted = true;
    return nacre__client_transfer_restart(t, client, event);
}

/* ---- Responses ----------------------------------------------------------------------------------------------------- */

/* The body is complete. */
static bool deliver(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event)
{
    event->message.options = nacre_bytes_of(client->first, client->first_len);
    if (client->sink.write != NULL) event->message.payload = NACRE_ABSENT;
    else if (client->received > event->message.payload.len)
        event->message.payload = nacre_bytes_of(client->buf.ptr, (size_t)client->received);
    return nacre__client_transfer_end(t, client, event);
}

/* A response of one message. If there is a sink, it receives the payload. */
static bool deliver_one(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event, bool has_block)
{
    if (has_block || !nacre_is_absent(nacre_option_find(event->message.options, NACRE_OPT_BLOCK1))) {
        if (!keep_first(t, client, &event->message))
            return nacre__client_transfer_fail(t, client, event, NACRE_ERR_BLOCKS);
        event->message.options = nacre_bytes_of(client->first, client->first_len);
    }
    if (client->sink.write != NULL && event->message.code >> 5 == 2) {
        const nacre_bytes piece = event->message.payload;
        const nacre_err err = client->sink.write(client->sink.user, 0, piece, piece.len);
        if (err != NACRE_OK) return nacre__client_transfer_fail(t, client, event, err);
        event->message.payload = NACRE_ABSENT;
    }
    return nacre__client_transfer_end(t, client, event);
}

/* The block size to request next. A first block with an Echo option is small because the server has not validated our address
 * (RFC 9175 2.3, RFC 7252 11.3). The next request validates it, so the size grows as far as the offset's alignment allows,
 * until the server returns a smaller block. */
static uint8_t next_szx(nacre__client_transfer *client, const nacre_event *event, nacre__block block)
{
    uint8_t szx = block.szx < client->max_szx ? block.szx : client->max_szx;
    if (block.num == 0 && !nacre_is_absent(nacre_option_find(event->message.options, NACRE_OPT_ECHO)))
        client->grows = true;
    else if (block.szx < client->response_szx) client->grows = false;
    while (client->grows && szx < client->max_szx && client->received % nacre__block_size(szx + 1U) == 0) szx++;
    return szx;
}

static bool take_block(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event, nacre__block block)
{
    const nacre_bytes piece = event->message.payload;
    if (!fits(client, block, piece.len)) return nacre__client_transfer_fail(t, client, event, NACRE_ERR_BLOCKS);
    if (client->received == 0 && !keep_first(t, client, &event->message))
        return nacre__client_transfer_fail(t, client, event, NACRE_ERR_BLOCKS);
    if (client->received > 0 && !same_body(client, &event->message)) return changed(t, client, event);
    if (client->sink.write == NULL && client->total > client->buf.cap)
        return nacre__client_transfer_fail(t, client, event, NACRE_ERR_TOO_LONG);
    const nacre_err err = put(client, piece);
    if (err != NACRE_OK) return nacre__client_transfer_fail(t, client, event, err);
    client->state = NACRE__TRANSFER_FETCHING;
    client->received += piece.len;
    client->response_szx = next_szx(client, event, block);
    if (!block.more) return deliver(t, client, event);
    if (block.num == NACRE__MAX_BLOCK_NUM || client->received >> (client->response_szx + 4) > NACRE__MAX_BLOCK_NUM)
        return nacre__client_transfer_fail(t, client, event, NACRE_ERR_TOO_LONG);
    return nacre__client_transfer_sent(t, client, event, nacre__client_transfer_send(t, client));
}

bool nacre__block2_client_take(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event)
{
    const bool fetching = client->received > 0;
    bool has_block;
    nacre__block block = { 0 };
    if (event->message.code >> 5 != 2) {
        /* RFC 7959 2.9.2: restarted once, and only if the method is safe: others would be executed twice */
        if (!fetching || event->message.code != NACRE_INCOMPLETE || client->restarted ||
            !nacre_code_is_safe(client->code))
            return deliver_one(t, client, event, false);
        client->restarted = true;
        return nacre__client_transfer_restart(t, client, event);
    }
    if (!nacre__find_block(event->message.options, NACRE_OPT_BLOCK2, &has_block, &block))
        return nacre__client_transfer_fail(t, client, event, NACRE_ERR_BLOCKS);
    if (!fetching && (!has_block || (!block.more && block.num == 0))) return deliver_one(t, client, event, has_block);
    if (!has_block) return nacre__client_transfer_fail(t, client, event, NACRE_ERR_BLOCKS);
    return take_block(t, client, event, block);
}
