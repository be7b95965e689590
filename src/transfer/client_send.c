/* SPDX-License-Identifier: MIT */
/* client_send: the next message of a client transfer: a block of the request's body (RFC 7959 2.5, 3.2, Block1), or the request
 * for a block of the response's (2.4, Block2).
 *
 * A body that fits one message is sent without Block1. Otherwise each block is sent after the 2.31 to the one before. All
 * blocks carry one Request-Tag, never used before (RFC 9175 3.5.1): otherwise an attacker could delay a block of this body
 * and insert it into another. */
#include "transfer_internal.h"

/* ---- Block1 ---- */

/* RFC 9175 3.5.1: a 64-bit counter from a random start, so that tags repeat neither within a run nor, for the same keys,
 * across restarts. */
static void new_tag(nacre_transfer *t, nacre__client_transfer *client)
{
    const uint64_t tag = t->next_tag++;
    for (size_t i = 0; i < NACRE__TAG_LEN; i++) client->tag[i] = (uint8_t)(tag >> (56 - 8 * i));
}

/* The bytes of the block at client->offset, and whether more follow. */
static nacre_err read_piece(nacre_transfer *t, const nacre__client_transfer *client, size_t size, nacre_bytes *piece,
                            bool *more)
{
    if (client->source.read == NULL) {
        const uint64_t left = client->size - client->offset;
        const size_t len = left < size ? (size_t)left : size;
        *piece =
            nacre_is_absent(client->payload) ? NACRE_ABSENT : nacre_bytes_of(client->payload.ptr + client->offset, len);
        *more = left > len;
        return NACRE_OK;
    }
    size_t len = 0, wanted = size; /* size unknown: read one byte more to see if it is the last */
    if (client->size == NACRE_SIZE_UNKNOWN) wanted = size + 1;
    else if (client->size - client->offset < size) wanted = (size_t)(client->size - client->offset);
    nacre_err err = NACRE_OK;
    if (wanted > 0)
        err = client->source.read(client->source.user, client->offset, (nacre_buf){ t->piece, wanted }, &len);
    if (err != NACRE_OK) return err;
    if (len > wanted) return NACRE_ERR_BAD_ARGUMENT;
    const bool ended = len < wanted;
    *more = !ended && (client->size == NACRE_SIZE_UNKNOWN || client->offset + len < client->size);
    *piece = nacre_bytes_of(t->piece, len < size ? len : size);
    return NACRE_OK;
}

static nacre_err send_block(nacre_transfer *t, nacre__client_transfer *client, uint8_t szx)
{
    nacre_bytes piece;
    bool more;
    nacre_err err = read_piece(t, client, nacre__block_size(szx), &piece, &more);
    if (err != NACRE_OK) return err;
    const bool in_blocks = client->in_blocks || more || client->offset > 0;
    const uint64_t num = client->offset >> (szx + 4);
    const bool fits = client->size == NACRE_SIZE_UNKNOWN || client->size <= (uint64_t)NACRE_MAX_BLOCKS << (szx + 4);
    if (!fits || num > NACRE__MAX_BLOCK_NUM || (more && num == NACRE__MAX_BLOCK_NUM)) return NACRE_ERR_BLOCKS;
    nacre_message message = { .type = client->type, .code = client->code, .payload = piece };
    message.options = nacre_bytes_of(client->options, client->options_len);
    if (in_blocks || client->early) {
        nacre_options o;
        nacre_options_init(&o, (nacre_buf){ t->options, t->max_message });
        nacre__copy_options(&o, message.options, 0);
        /* RFC 7959 2.4: limits the response's block size from the first block on */
        if (client->early && !more) nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, client->max_szx);
        if (in_blocks) {
            if (!client->in_blocks) new_tag(t, client);
            client->in_blocks = true;
            const nacre__block block = { (uint32_t)num, more, szx };
            nacre_options_add_uint(&o, NACRE_OPT_BLOCK1, nacre__block_value(block));
            if (num == 0 && client->size != NACRE_SIZE_UNKNOWN) /* RFC 7959 4 */
                nacre_options_add_uint(&o, NACRE_OPT_SIZE1, client->size);
            nacre_options_add(&o, NACRE_OPT_REQUEST_TAG, NACRE_ARRAY(client->tag));
        }
        err = nacre_options_finish(&o, &message.options);
        if (err != NACRE_OK) return NACRE_ERR_TOO_LONG;
    }
    err = nacre__client_transfer_hand_over(t, client, &message);
    if (err != NACRE_OK) return err;
    client->szx = szx;
    client->len = piece.len;
    client->more = more;
    return NACRE_OK;
}

/* ---- Block2 ---- */

/* RFC 8132 2.1: the payload of a FETCH is part of the query, so every block request repeats it. Other methods send their
 * body once, before the response is fetched (RFC 7959 3.3). */
static nacre_err repeat_payload(nacre_transfer *t, const nacre__client_transfer *client, nacre_bytes *payload)
{
    size_t len = 0;
    *payload = client->payload;
    if (client->source.read == NULL || client->len == 0) return NACRE_OK;
    const nacre_err err = client->source.read(client->source.user, 0, (nacre_buf){ t->piece, client->len }, &len);
    *payload = nacre_bytes_of(t->piece, len);
    return err;
}

static nacre_err request_block(nacre_transfer *t, nacre__client_transfer *client)
{
    nacre_message message = { .type = client->type, .code = client->code };
    nacre_options o;
    const nacre__block block = { (uint32_t)(client->received >> (client->response_szx + 4)), false,
                                 client->response_szx };
    nacre_options_init(&o, (nacre_buf){ t->options, t->max_message });
    nacre__copy_options(&o, nacre_bytes_of(client->options, client->options_len), NACRE_OPT_OBSERVE);
    nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, nacre__block_value(block));
    /* RFC 9175 3.4: the response belongs to the request body sent with this tag */
    if (client->in_blocks) nacre_options_add(&o, NACRE_OPT_REQUEST_TAG, NACRE_ARRAY(client->tag));
    nacre_err err = nacre_options_finish(&o, &message.options);
    if (err != NACRE_OK) return NACRE_ERR_TOO_LONG;
    if (client->code == NACRE_FETCH && !client->in_blocks) err = repeat_payload(t, client, &message.payload);
    if (err != NACRE_OK) return err;
    return nacre__client_transfer_hand_over(t, client, &message);
}

/* ---- Either ---- */

/* RFC 8613 4.1.3.4.1: halves the block size until the protected message fits. */
nacre_err nacre__client_transfer_send(nacre_transfer *t, nacre__client_transfer *client)
{
    if (client->state == NACRE__TRANSFER_FETCHING) return request_block(t, client);
    nacre_err err = NACRE_ERR_TOO_LONG;
    for (int szx = client->szx; err == NACRE_ERR_TOO_LONG && szx >= 0; szx--) err = send_block(t, client, (uint8_t)szx);
    return err == NACRE_ERR_BLOCKS ? NACRE_ERR_TOO_LONG : err;
}

/* Starts again from the first block, as a new body. For a notification only its representation is fetched again; the
 * registration stays. */
bool nacre__client_transfer_restart(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event)
{
    client->state = client->notified ? NACRE__TRANSFER_FETCHING : NACRE__TRANSFER_SENDING;
    client->offset = 0;
    client->received = 0;
    client->in_blocks = false;
    client->response_szx = client->early ? client->max_szx : NACRE__MAX_SZX;
    return nacre__client_transfer_sent(t, client, event, nacre__client_transfer_send(t, client));
}
