/* SPDX-License-Identifier: MIT */
/* outer_block_client: fetches and joins responses that a proxy split into blocks (RFC 8613 4.1.3.4.2, 8.4.1, RFC 7959 2.4).
 *
 * The first block arrives in place of the response. Then the exchange requests the others one by one. Each request has the outer
 * options of the original, OSCORE included, Block2, no payload, and a new token and message ID, and is retransmitted as any
 * request. The last block completes the message, which is passed to OSCORE once, as if it had arrived whole.
 *
 * A block is unauthenticated: it never ends the exchange, which only its timers do. A block that does not match is dropped, and
 * the request for the right one goes on; one that exceeds max_unfragmented is dropped with those joined so far.
 *
 * Notifications are fetched if they answer a registration; others are dropped, because their token must stay. Requests sent
 * here have no outer blocks, because large bodies use inner ones: 2.31 is not expected. */
#include "endpoint/outer_block/outer_block.h"

#include <string.h>

static nacre__outer *entry_of(const nacre__outer_blocks *b, const nacre__client_exchange *exchange)
{
    return exchange->outer == NACRE__NONE ? NULL : &b->entries[exchange->outer];
}

/* The exchange no longer has an entry, and its own time limit applies again. */
static void leave_entry(nacre__client_exchange *exchange)
{
    exchange->outer = NACRE__NONE;
    exchange->t->give_up = exchange->give_up_before;
}

void nacre__outer_forget(nacre__outer_blocks *b, nacre__client_exchange *exchange)
{
    if (exchange->outer == NACRE__NONE) return;
    nacre__outer_drop(b, &b->entries[exchange->outer]);
    leave_entry(exchange);
}

/* Whether the block seems to be of the same message as the first one: RFC 7959 2.4. */
static bool belongs(const nacre__outer *entry, const nacre_message *m)
{
    const nacre_bytes head = nacre_bytes_of(entry->head, entry->head_len);
    return m->code == entry->code &&
           nacre_bytes_equal(nacre_option_find(head, NACRE_OPT_OSCORE),
                             nacre_option_find(m->options, NACRE_OPT_OSCORE)) &&
           nacre_bytes_equal(nacre_option_find(head, NACRE_OPT_ETAG), nacre_option_find(m->options, NACRE_OPT_ETAG));
}

static bool fits(const nacre__outer *entry, const nacre_message *m, nacre__block block)
{
    const size_t size = nacre__block_size(block.szx), so_far = entry != NULL ? entry->body_len : 0;
    if (m->payload.len == 0 || nacre__block_offset(block) != so_far) return false;
    if (block.more ? m->payload.len != size : m->payload.len > size) return false;
    return entry == NULL || belongs(entry, m);
}

/* Classifies a response to the exchange. The last block turns it into the whole message. */
nacre__received_kind nacre__outer_sort(nacre__outer_blocks *b, nacre__client_exchange *exchange,
                                       nacre__received *received)
{
    nacre__outer *entry = entry_of(b, exchange);
    nacre__block block;
    if (exchange->context == NULL || !nacre__received_has(received, NACRE_OPT_BLOCK2) ||
        !nacre__received_has(received, NACRE_OPT_OSCORE))
        return NACRE__RECEIVED_RESPONSE;
    const nacre_bytes value = nacre_option_find(received->outer.options, NACRE_OPT_BLOCK2);
    if (!nacre__block_read(&block, value)) return NACRE__RECEIVED_BLOCK;
    if (block.more || block.num > 0) {
        if (block.more || entry == NULL || !fits(entry, &received->outer, block)) return NACRE__RECEIVED_BLOCK;
        if (!nacre__outer_add(b, entry, received->outer.payload)) return NACRE__RECEIVED_BLOCK;
        nacre__outer_change(b, entry, NACRE__OUTER_TAKEN);
        received->joined = entry;
        received->buf = nacre__outer_buf(b, entry);
        received->outer.options = nacre_bytes_of(entry->head, entry->head_len);
        received->seen = UINT32_MAX; /* the first block's options were not scanned */
        received->outer.payload = nacre_bytes_of(entry->body, entry->body_len);
        leave_entry(exchange);
        return NACRE__RECEIVED_RESPONSE;
    }
    return entry == NULL ? NACRE__RECEIVED_RESPONSE
                         : NACRE__RECEIVED_BLOCK; /* block 0 is the only one, or arrives late */
}

/* The first block: takes an entry, for as long as an exchange may last. */
static nacre__outer *begin(nacre__outer_blocks *b, nacre__client_exchange *exchange, const nacre__received *received,
                           uint64_t now_ms)
{
    nacre__outer *entry = nacre__outer_take(b, NACRE__OUTER_FETCHING, &exchange->peer, exchange->number);
    if (entry == NULL) return NULL;
    entry->code = received->outer.code;
    entry->head_len = received->outer.options.len;
    memcpy(entry->head, received->outer.options.ptr, received->outer.options.len);
    exchange->outer = (uint32_t)(entry - b->entries);
    exchange->give_up_before = exchange->t->give_up;
    const uint64_t latest = nacre__after(now_ms, b->core->config.timing.exchange_lifetime_ms);
    if (latest < exchange->t->give_up) exchange->t->give_up = latest;
    return entry;
}

static void request_next(nacre__outer_blocks *b, nacre__client_exchange *exchange, const nacre__outer *entry,
                         uint8_t szx)
{
    exchange->next_block = nacre__block_value((nacre__block){ (uint32_t)(entry->body_len >> (szx + 4)), false, szx });
    exchange->last_reject = NACRE_OK;
    nacre__client_exchange_pause(b->client_exchanges, exchange);
    nacre__client_exchange_set_token(b->client_exchanges, exchange, 0);
    nacre__client_exchange_queue(b->client_exchanges, exchange);
}

/* A block that is not the last, or was not requested. */
void nacre__outer_block(nacre__outer_blocks *b, nacre__client_exchange *exchange, const nacre__received *received,
                        uint64_t now_ms)
{
    nacre__outer *entry = entry_of(b, exchange);
    nacre__block block;
    const nacre_bytes value = nacre_option_find(received->outer.options, NACRE_OPT_BLOCK2);
    if (!nacre__client_exchange_waits(exchange) || !nacre__block_read(&block, value) ||
        !fits(entry, &received->outer, block)) {
        nacre__count_dropped(b->core, NACRE_DROPPED_OUTER);
        if (nacre__client_exchange_waits(exchange) && exchange->last_reject == NACRE_OK)
            exchange->last_reject = NACRE_ERR_PROTECTION_INVALID;
        return;
    }
    if (entry == NULL && exchange->last_reject != NACRE_ERR_TOO_LONG) entry = begin(b, exchange, received, now_ms);
    if (entry == NULL) { /* not acknowledged: the retransmission may find a free one */
        nacre__count_dropped(b->core, NACRE_DROPPED_OUTER);
        return;
    }
    if (block.more && nacre__outer_add(b, entry, received->outer.payload)) {
        request_next(b, exchange, entry, block.szx);
        return;
    }
    /* RFC 8613 4.1.3.4.2: discards what exceeds the maximum */
    nacre__outer_forget(b, exchange);
    exchange->last_reject = NACRE_ERR_TOO_LONG;
    nacre__count_dropped(b->core, NACRE_DROPPED_OUTER);
}

/* The request for the next block: the previous request without its payload. */
nacre_err nacre__outer_write_next(nacre__outer_blocks *b, const nacre__client_exchange *exchange, nacre_bytes *out,
                                  nacre_buf buf, uint16_t mid, nacre_bytes token)
{
    nacre_message m;
    nacre_options o;
    nacre_err err = nacre_message_parse(&m, nacre_bytes_of(exchange->t->bytes, exchange->t->len));
    if (err != NACRE_OK) return err;
    nacre_options_init(&o, (nacre_buf){ b->core->options, b->core->config.max_message });
    nacre__outer_copy_options(&o, m.options);
    nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, exchange->next_block);
    err = nacre_options_finish(&o, &m.options);
    if (err != NACRE_OK) return err;
    m.mid = mid;
    m.token = token;
    m.payload = NACRE_ABSENT;
    return nacre_message_write(&m, out, buf);
}
