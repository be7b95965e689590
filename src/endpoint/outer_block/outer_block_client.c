/* SPDX-License-Identifier: MIT */
/* outer_fetch: answers that a proxy cut into blocks, fetched and put together (RFC 8613 4.1.3.4.2, 8.4.1, RFC 7959 2.4).
 *
 * The first block comes in place of the answer. From then on the slot asks for one block after the other: the OSCORE option
 * and the other outer options of its request, Block2, no payload, each under a token and a message ID of its own, sent again
 * as any request. The last block makes the message, which goes to OSCORE as if it had come whole, once.
 *
 * Nobody vouches for a block. One that does not fit is dropped, and the question for the right one goes on; so is one that
 * would be too much, and with it the rest. None of them ends the exchange, its timers do.
 *
 * Notifications are fetched where they answer a registration; others are dropped, for their token must stay. Requests of
 * ours are never cut outside, so there is no 2.31 to be heard: large ones have inner blocks. */
#include "endpoint/outer_block/outer_block.h"

#include <string.h>

static nacre__outer *place_of(const nacre__outer_blocks *b, const nacre__slot *slot)
{
    return slot->outer == NACRE__NONE ? NULL : &b->places[slot->outer];
}

/* What the slot put together is lost, or is somebody else's to look at. */
static void leave_place(nacre__slot *slot)
{
    slot->outer = NACRE__NONE;
    slot->t->give_up = slot->give_up_before;
}

void nacre__outer_forget(nacre__outer_blocks *b, nacre__slot *slot)
{
    if (slot->outer == NACRE__NONE) return;
    nacre__outer_drop(&b->places[slot->outer]);
    leave_place(slot);
}

/* Same message as the first block was cut from, as far as anybody can tell: RFC 7959 2.4. */
static bool belongs(const nacre__outer *place, const nacre_message *m)
{
    const nacre_bytes head = nacre_bytes_of(place->head, place->head_len);
    return m->code == place->code &&
           nacre_bytes_equal(nacre_option_find(head, NACRE_OPT_OSCORE),
                             nacre_option_find(m->options, NACRE_OPT_OSCORE)) &&
           nacre_bytes_equal(nacre_option_find(head, NACRE_OPT_ETAG), nacre_option_find(m->options, NACRE_OPT_ETAG));
}

static bool fits(const nacre__outer *place, const nacre_message *m, nacre__block block)
{
    const size_t size = nacre__block_size(block.szx), so_far = place != NULL ? place->body_len : 0;
    if (m->payload.len == 0 || nacre__block_offset(block) != so_far) return false;
    if (block.more ? m->payload.len != size : m->payload.len > size) return false;
    return place == NULL || belongs(place, m);
}

/* An answer to the slot: what kind it is. The last block turns it into the whole message. */
nacre__item_kind nacre__outer_sort(nacre__outer_blocks *b, nacre__slot *slot, nacre__item *item)
{
    const nacre_bytes value = nacre_option_find(item->outer.options, NACRE_OPT_BLOCK2);
    nacre__outer *place = place_of(b, slot);
    nacre__block block;
    if (nacre_is_absent(value) || slot->context == NULL || !nacre__has_option(item->outer.options, NACRE_OPT_OSCORE))
        return NACRE__ITEM_RESPONSE;
    if (!nacre__block_read(&block, value)) return NACRE__ITEM_BLOCK;
    if (block.more || block.num > 0) {
        if (block.more || place == NULL || !fits(place, &item->outer, block)) return NACRE__ITEM_BLOCK;
        if (!nacre__outer_add(b, place, item->outer.payload)) return NACRE__ITEM_BLOCK;
        place->state = NACRE__OUTER_TAKEN;
        item->place = place;
        item->room = nacre__outer_room(b, place);
        item->outer.options = nacre_bytes_of(place->head, place->head_len);
        item->outer.payload = nacre_bytes_of(place->body, place->body_len);
        leave_place(slot);
        return NACRE__ITEM_RESPONSE;
    }
    return place == NULL ? NACRE__ITEM_RESPONSE : NACRE__ITEM_BLOCK; /* block 0 is all there is, or comes late */
}

/* The first block: a place for what follows, as long as an exchange may last. */
static nacre__outer *begin(nacre__outer_blocks *b, nacre__slot *slot, const nacre__item *item, uint64_t now_ms)
{
    nacre__outer *place = nacre__outer_take(b, NACRE__OUTER_FETCHING, &slot->peer, slot->exchange);
    if (place == NULL) return NULL;
    place->code = item->outer.code;
    place->head_len = item->outer.options.len;
    memcpy(place->head, item->outer.options.ptr, item->outer.options.len);
    slot->outer = (uint32_t)(place - b->places);
    slot->give_up_before = slot->t->give_up;
    const uint64_t latest = nacre__after(now_ms, b->core->config.timing.exchange_lifetime_ms);
    if (latest < slot->t->give_up) slot->t->give_up = latest;
    return place;
}

static void ask_for_next(nacre__outer_blocks *b, nacre__slot *slot, const nacre__outer *place, uint8_t szx)
{
    slot->next_block = nacre__block_value((nacre__block){ (uint32_t)(place->body_len >> (szx + 4)), false, szx });
    slot->doubt = NACRE_OK;
    nacre__slot_pause(b->x, slot);
    nacre__slot_set_token(b->x, slot, 0);
    nacre__slot_queue(b->x, slot);
}

/* A block that is not the last, or not what was asked for. */
void nacre__outer_block(nacre__outer_blocks *b, nacre__slot *slot, const nacre__item *item, uint64_t now_ms)
{
    nacre__outer *place = place_of(b, slot);
    nacre__block block;
    const nacre_bytes value = nacre_option_find(item->outer.options, NACRE_OPT_BLOCK2);
    if (!nacre__slot_waits(slot) || !nacre__block_read(&block, value) || !fits(place, &item->outer, block)) {
        b->core->stats.dropped++;
        if (nacre__slot_waits(slot) && slot->doubt == NACRE_OK) slot->doubt = NACRE_ERR_PROTECTION_INVALID;
        return;
    }
    if (place == NULL && slot->doubt != NACRE_ERR_TOO_LONG) place = begin(b, slot, item, now_ms);
    if (place == NULL) { /* it is not acknowledged either: sent again, it may find one */
        b->core->stats.dropped++;
        return;
    }
    if (block.more && nacre__outer_add(b, place, item->outer.payload)) {
        ask_for_next(b, slot, place, block.szx);
        return;
    }
    /* RFC 8613 4.1.3.4.2: discarded */
    nacre__outer_forget(b, slot);
    slot->doubt = NACRE_ERR_TOO_LONG;
    b->core->stats.dropped++;
}

/* The question for the next block: what was asked for before, without what it carried. */
nacre_err nacre__outer_write_next(nacre__outer_blocks *b, const nacre__slot *slot, nacre_bytes *out, nacre_buf room,
                                  uint16_t mid, nacre_bytes token)
{
    nacre_message m;
    nacre_options o;
    nacre_err err = nacre_message_parse(&m, nacre_bytes_of(slot->t->bytes, slot->t->len));
    if (err != NACRE_OK) return err;
    nacre_options_init(&o, (nacre_buf){ b->core->options, b->core->config.max_message });
    nacre__outer_copy_options(&o, m.options);
    nacre_options_add_uint(&o, NACRE_OPT_BLOCK2, slot->next_block);
    err = nacre_options_finish(&o, &m.options);
    if (err != NACRE_OK) return err;
    m.mid = mid;
    m.token = token;
    m.payload = NACRE_ABSENT;
    return nacre_message_write(&m, out, room);
}
