/* SPDX-License-Identifier: MIT */
/* fetch: the body of an answer that comes in blocks (RFC 7959 2.4, Block2).
 *
 * Each block is asked for by a request of its own. They belong together when code and ETag agree (RFC 8613 4.1.3.4.1, RFC
 * 9175 3.8); the offset of each must be just what is there already. */
#include "transfer_internal.h"

#include <string.h>

/* RFC 8132 2.1: the payload of a FETCH says what is asked for, in every block. Other bodies went already (RFC 7959 3.3). */
static nacre_err question(nacre_transfer *t, const nacre__own *own, nacre_bytes *payload)
{
    size_t len = 0;
    *payload = own->payload;
    if (own->source.read == NULL || own->len == 0) return NACRE_OK;
    const nacre_err err = own->source.read(own->source.user, 0, (nacre_buf){ t->piece, own->len }, &len);
    *payload = nacre_bytes_of(t->piece, len);
    return err;
}

nacre_err nacre__fetch_send(nacre_transfer *t, nacre__own *own)
{
    nacre_message message = { .type = own->type, .code = own->code };
    nacre_options o;
    const nacre__block block = { (uint32_t)(own->received >> (own->answer_szx + 4)), false, own->answer_szx };
    nacre_options_init(&o, (nacre_buf){ t->options, t->max_message });
    nacre__copy_options(&o, nacre_bytes_of(own->options, own->options_len), NACRE_OPT_OBSERVE);
    nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, nacre__block_value(block));
    /* RFC 9175 3.4: the answer belongs to the body that went up with this tag */
    if (own->in_blocks) nacre_options_add(&o, NACRE_OPT_REQUEST_TAG, NACRE_ARRAY(own->tag));
    nacre_err err = nacre_options_finish(&o, &message.options);
    if (err != NACRE_OK) return NACRE_ERR_TOO_LONG;
    if (own->code == NACRE_FETCH && !own->in_blocks) err = question(t, own, &message.payload);
    if (err != NACRE_OK) return err;
    return nacre__own_hand_over(t, own, &message);
}

/* ---- Pieces -------------------------------------------------------------------------------------------------------- */

static nacre_err put(nacre__own *own, nacre_bytes piece)
{
    if (own->sink.write != NULL) return own->sink.write(own->sink.user, own->received, piece, own->total);
    if (own->received > own->buf.cap || piece.len > own->buf.cap - own->received) return NACRE_ERR_TOO_LONG;
    if (piece.len > 0) memcpy(own->buf.ptr + own->received, piece.ptr, piece.len);
    return NACRE_OK;
}

/* What every block must agree with, taken from the first. */
static bool keep_first(nacre_transfer *t, nacre__own *own, const nacre_message *message)
{
    const nacre_bytes etag = nacre_option_find(message->options, NACRE_OPT_ETAG);
    const nacre_bytes size = nacre_option_find(message->options, NACRE_OPT_SIZE2);
    nacre_bytes out;
    nacre_options o;
    if (etag.len > sizeof own->etag) return false;
    own->answer_code = message->code;
    own->etag_len = (uint8_t)etag.len;
    if (etag.len > 0) memcpy(own->etag, etag.ptr, etag.len);
    if (!nacre_option_uint(size, &own->total)) own->total = 0;
    nacre_options_init(&o, (nacre_buf){ own->first, t->max_message });
    nacre__copy_options(&o, message->options, 0);
    if (nacre_options_finish(&o, &out) != NACRE_OK) return false;
    own->first_len = out.len;
    return true;
}

static bool same_body(const nacre__own *own, const nacre_message *message)
{
    const nacre_bytes etag = nacre_option_find(message->options, NACRE_OPT_ETAG);
    return message->code == own->answer_code && nacre_bytes_equal(etag, nacre_bytes_of(own->etag, own->etag_len));
}

/* RFC 7959 2.4: in order, whole, and never larger than before. */
static bool fits(const nacre__own *own, nacre__block block, size_t len)
{
    const size_t size = nacre__block_size(block.szx);
    if (block.szx > own->answer_szx || nacre__block_offset(block) != own->received) return false;
    return block.more ? len == size : len <= size;
}

static bool changed(nacre_transfer *t, nacre__own *own, nacre_event *event)
{
    if (own->restarted || !nacre_code_is_safe(own->code)) return nacre__own_fail(t, own, event, NACRE_ERR_BODY_CHANGED);
    own->restarted = true;
    return nacre__own_restart(t, own, event);
}

/* ---- Answers ------------------------------------------------------------------------------------------------------- */

/* All is there. */
static bool deliver(nacre_transfer *t, nacre__own *own, nacre_event *event)
{
    event->message.options = nacre_bytes_of(own->first, own->first_len);
    if (own->sink.write != NULL) event->message.payload = NACRE_ABSENT;
    else if (own->received > event->message.payload.len)
        event->message.payload = nacre_bytes_of(own->buf.ptr, (size_t)own->received);
    return nacre__own_end(t, own, event);
}

/* An answer of one message; a sink gets its body all the same. */
static bool deliver_one(nacre_transfer *t, nacre__own *own, nacre_event *event, bool has_block)
{
    if (has_block || !nacre_is_absent(nacre_option_find(event->message.options, NACRE_OPT_BLOCK1))) {
        if (!keep_first(t, own, &event->message)) return nacre__own_fail(t, own, event, NACRE_ERR_BLOCKS);
        event->message.options = nacre_bytes_of(own->first, own->first_len);
    }
    if (own->sink.write != NULL && event->message.code >> 5 == 2) {
        const nacre_bytes piece = event->message.payload;
        const nacre_err err = own->sink.write(own->sink.user, 0, piece, piece.len);
        if (err != NACRE_OK) return nacre__own_fail(t, own, event, err);
        event->message.payload = NACRE_ABSENT;
    }
    return nacre__own_end(t, own, event);
}

/* The size to ask for next. RFC 9175 2.3, RFC 7252 11.3: where the first block is small and offers an Echo value, the server does
 * not know our address, which the next request brings; from then on each is as large as its place allows, as long as the server
 * goes along. */
static uint8_t next_szx(nacre__own *own, const nacre_event *event, nacre__block block)
{
    uint8_t szx = block.szx < own->max_szx ? block.szx : own->max_szx;
    if (block.num == 0 && !nacre_is_absent(nacre_option_find(event->message.options, NACRE_OPT_ECHO)))
        own->grows = true;
    else if (block.szx < own->answer_szx) own->grows = false;
    while (own->grows && szx < own->max_szx && own->received % nacre__block_size(szx + 1U) == 0) szx++;
    return szx;
}

static bool take_block(nacre_transfer *t, nacre__own *own, nacre_event *event, nacre__block block)
{
    const nacre_bytes piece = event->message.payload;
    if (!fits(own, block, piece.len)) return nacre__own_fail(t, own, event, NACRE_ERR_BLOCKS);
    if (own->received == 0 && !keep_first(t, own, &event->message))
        return nacre__own_fail(t, own, event, NACRE_ERR_BLOCKS);
    if (own->received > 0 && !same_body(own, &event->message)) return changed(t, own, event);
    if (own->sink.write == NULL && own->total > own->buf.cap) return nacre__own_fail(t, own, event, NACRE_ERR_TOO_LONG);
    const nacre_err err = put(own, piece);
    if (err != NACRE_OK) return nacre__own_fail(t, own, event, err);
    own->state = NACRE__OWN_FETCHING;
    own->received += piece.len;
    own->answer_szx = next_szx(own, event, block);
    if (!block.more) return deliver(t, own, event);
    if (block.num == NACRE__MAX_BLOCK_NUM || own->received >> (own->answer_szx + 4) > NACRE__MAX_BLOCK_NUM)
        return nacre__own_fail(t, own, event, NACRE_ERR_TOO_LONG);
    return nacre__own_sent(t, own, event, nacre__own_send(t, own));
}

bool nacre__fetch_take(nacre_transfer *t, nacre__own *own, nacre_event *event)
{
    const bool fetching = own->received > 0;
    bool has_block;
    nacre__block block = { 0 };
    if (event->message.code >> 5 != 2) {
        /* RFC 7959 2.9.2: begun again once, but never what would be carried out twice by that */
        if (!fetching || event->message.code != NACRE_INCOMPLETE || own->restarted || !nacre_code_is_safe(own->code))
            return deliver_one(t, own, event, false);
        own->restarted = true;
        return nacre__own_restart(t, own, event);
    }
    if (!nacre__find_block(event->message.options, NACRE_OPT_BLOCK2, &has_block, &block))
        return nacre__own_fail(t, own, event, NACRE_ERR_BLOCKS);
    if (!fetching && (!has_block || (!block.more && block.num == 0))) return deliver_one(t, own, event, has_block);
    if (!has_block) return nacre__own_fail(t, own, event, NACRE_ERR_BLOCKS);
    return take_block(t, own, event, block);
}
