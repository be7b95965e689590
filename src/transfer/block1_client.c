/* SPDX-License-Identifier: MIT */
/* block1_client: responses while the body of a request is sent (RFC 7959 2.5, Block1). */
#include "transfer_internal.h"

/* RFC 7959 2.9.3: 4.13 with a smaller size in Block1 asks for that size. */
static bool is_smaller_wanted(const nacre__client_transfer *client, uint8_t code, bool has_block, nacre__block block)
{
    if (code != NACRE_TOO_LARGE || !has_block) return false;
    return block.szx < client->szx && client->len > nacre__block_size(block.szx);
}

/* A response to a block that is not the last. */
static bool take_continue(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event, bool has_block,
                          nacre__block block)
{
    const uint64_t num = client->offset >> (client->szx + 4);
    if (event->message.code >> 5 != 2) return nacre__block2_client_take(t, client, event); /* final */
    /* RFC 7959 2.3: 2.31, or a response to this block alone. Without Block1 the peer did not treat it as a block */
    if (!has_block || block.num != num || block.szx > client->szx)
        return nacre__client_transfer_fail(t, client, event, NACRE_ERR_BLOCKS);
    client->offset += client->len;
    client->szx = block.szx;
    return nacre__client_transfer_sent(t, client, event, nacre__client_transfer_send(t, client));
}

bool nacre__block1_client_take(nacre_transfer *t, nacre__client_transfer *client, nacre_event *event)
{
    const uint8_t code = event->message.code;
    bool has_block;
    nacre__block block = { 0 };
    if (!nacre__find_block(event->message.options, NACRE_OPT_BLOCK1, &has_block, &block))
        return nacre__client_transfer_fail(t, client, event, NACRE_ERR_BLOCKS);
    if (is_smaller_wanted(client, code, has_block, block)) {
        client->szx = block.szx;
        return nacre__client_transfer_restart(t, client, event);
    }
    if (!client->in_blocks) {
        if (code == NACRE_CONTINUE) return nacre__client_transfer_fail(t, client, event, NACRE_ERR_BLOCKS);
        return nacre__block2_client_take(t, client, event);
    }
    if (code == NACRE_INCOMPLETE && !client->restarted) { /* RFC 7959 2.9.2 */
        client->restarted = true;
        return nacre__client_transfer_restart(t, client, event);
    }
    if (client->more) return take_continue(t, client, event, has_block, block);
    const bool wrong = has_block && block.num != client->offset >> (client->szx + 4) && code >> 5 == 2;
    if (code == NACRE_CONTINUE || wrong) return nacre__client_transfer_fail(t, client, event, NACRE_ERR_BLOCKS);
    return nacre__block2_client_take(t, client, event);
}
