/* SPDX-License-Identifier: MIT */
/* transmit: what is to be sent, written into the caller's rooms; the first time, requests are protected here. */
#include "endpoint/endpoint_struct.h"

#include <string.h>

static void copy_out(nacre_outgoing *out, const nacre_address *peer, const uint8_t *bytes, size_t len)
{
    memcpy(out->buf.ptr, bytes, len);
    out->peer = *peer;
    out->bytes = nacre_bytes_of(out->buf.ptr, len);
}

static bool token_in_use(const nacre_endpoint *ep, uint64_t token)
{
    for (uint32_t i = 0; i < ep->core.config.num_client_exchanges; i++)
        if (ep->exchanges.tokens[i] == token) return true;
    return false;
}

/* RFC 7252 5.3.1: random, so that only who saw the request can answer it. */
static uint64_t new_token(nacre_endpoint *ep)
{
    uint64_t token;
    do {
        token = nacre__core_random(&ep->core);
    } while (token_in_use(ep, token) || token == 0);
    return token;
}

static nacre_err write_request(nacre_endpoint *ep, nacre__slot *slot, nacre_bytes *out, nacre_buf room,
                               const nacre_message *plain)
{
    if (slot->context == NULL) return nacre_message_write(plain, out, room);
    nacre_request_id id;
    nacre_protect_options how;
    nacre__context_lock(&ep->core, slot->context);
    const nacre_err err = nacre_protect_request(slot->context, &ep->core.config.crypto, &id, out, room, plain,
                                                nacre__renewal_how(slot, &how));
    nacre__context_unlock(&ep->core, slot->context);
    if (err != NACRE_OK) return err == NACRE_ERR_BUFFER_TOO_SMALL ? NACRE_ERR_TOO_LONG : err;
    nacre__slot_bring_outer_echo(&ep->exchanges, slot, out, room);
    nacre__observation_sent(slot);
    slot->id = id;
    nacre__persist_ask_early(&ep->persist_waits, slot->context);
    return NACRE_OK;
}

/* The first transmission, or the first of the repetition with Echo, or of what an observation has to say further. False:
 * nothing to send after all. */
static bool transmit_new(nacre_endpoint *ep, nacre__slot *slot, nacre_outgoing *out, uint64_t now_ms)
{
    uint64_t token =
        ep->exchanges
            .tokens[nacre__slot_index(&ep->exchanges, slot)]; /* RFC 7641 3.3.1, 3.6: an observation keeps it */
    nacre_message plain;
    const bool is_next = slot->outer != NACRE__NONE; /* the question for the next block of an answer */
    if (!nacre__nstart_enter(&ep->tx, slot->t, now_ms) || (!is_next && !nacre__renewal_choose(&ep->rederive, slot)))
        return false;
    if (token == 0) token = new_token(ep);
    if (!is_next) nacre__slot_bring_echo(&ep->exchanges, slot);
    nacre_err err = nacre_message_parse(&plain, nacre_bytes_of(slot->plain, slot->plain_len));
    plain.mid = nacre__new_mid(&ep->tx, &slot->peer);
    if (!slot->is_ping) plain.token = nacre_bytes_of((const uint8_t *)&token, sizeof token);
    const nacre_buf room = { out->buf.ptr,
                             nacre__max_message_to(&ep->core, &slot->peer) }; /* it may be less than at the start */
    if (err == NACRE_OK && is_next)
        err = nacre__outer_write_next(&ep->outer, slot, &out->bytes, room, plain.mid, plain.token);
    else if (err == NACRE_OK) err = write_request(ep, slot, &out->bytes, room, &plain);
    if (err == NACRE_ERR_NOT_YET) {
        nacre__slot_wait(&ep->exchanges, slot);
        nacre__persist_join(&ep->persist_waits, slot->context, NACRE__OF_SLOT, nacre__slot_index(&ep->exchanges, slot));
        return false;
    }
    if (err != NACRE_OK) {
        nacre__slot_end(&ep->exchanges, slot, err, NULL);
        return false;
    }
    out->peer = slot->peer;
    if (slot->context == NULL) nacre__observation_plain(slot);
    /* a block of the answer or a notification has acknowledged the exchange; under the token of a message that was repeated
     * with Echo, an answer may still be to that one */
    if (is_next || slot->observation.begun) slot->hints_wait = true;
    else if (ep->exchanges.tokens[nacre__slot_index(&ep->exchanges, slot)] == 0 || !slot->repeated)
        slot->hints_wait = false;
    nacre__slot_set_token(&ep->exchanges, slot, token);
    if (slot->t->type == NACRE_CON || slot->context != NULL) memcpy(slot->t->bytes, out->bytes.ptr, out->bytes.len);
    slot->t->len = out->bytes.len;
    nacre__transmission_set_mid(&ep->tx, slot->t, plain.mid);
    nacre__transmission_sent(&ep->tx, slot->t, now_ms);
    return true;
}

static bool transmit_slot(nacre_endpoint *ep, nacre__slot *slot, nacre_outgoing *out, uint64_t now_ms)
{
    if (slot->t->state == NACRE__TRANSMISSION_QUEUED) return transmit_new(ep, slot, out, now_ms);
    copy_out(out, &slot->peer, slot->t->bytes, slot->t->len); /* RFC 7252 4.2: the same bytes */
    slot->hints_wait = true;
    nacre__transmission_sent(&ep->tx, slot->t, now_ms);
    ep->core.stats.retransmitted++;
    return true;
}

static bool transmit_entry(nacre_endpoint *ep, nacre__entry *entry, nacre_outgoing *out)
{
    const nacre_bytes answer = nacre_bytes_of(entry->record->bytes, entry->record->response_len);
    entry->record->in_queue = false;
    if (entry->record->response_len == 0) return false; /* its cipher failed */
    if (!nacre__outer_write(&ep->outer, &entry->record->peer, &entry->wish, answer, out))
        copy_out(out, &entry->record->peer, entry->record->bytes, entry->record->response_len);
    return true;
}

static bool transmit_one(nacre_endpoint *ep, nacre__ref ref, nacre_outgoing *out, uint64_t now_ms)
{
    if (ref.kind == NACRE__OF_ENTRY) return transmit_entry(ep, &ep->exchanges.entries[ref.index], out);
    if (ref.index < ep->tx.num_requests) return transmit_slot(ep, &ep->exchanges.slots[ref.index], out, now_ms);
    return nacre__push_transmit(&ep->exchanges, nacre__push_of(&ep->exchanges, &ep->tx.all[ref.index]), out, now_ms);
}

size_t nacre_endpoint_transmit_many(nacre_endpoint *ep, nacre_outgoing *out, size_t num, uint64_t now_ms)
{
    size_t n = 0;
    nacre__ref ref;
    ep->core.now_ms = now_ms;
    nacre__slots_limit(&ep->exchanges, now_ms);
    nacre__protect_batch_flush(&ep->protect_batch);
    while (n < num && out[n].buf.ptr != NULL && out[n].buf.cap >= ep->core.config.max_message) {
        if (nacre__empty_messages_next(&ep->empty, &out[n])) {
            n++;
            continue;
        }
        if (!nacre__transmissions_next(&ep->tx, &ref)) break;
        if (transmit_one(ep, ref, &out[n], now_ms)) n++;
    }
    ep->core.stats.sent += n;
    return n;
}
