/* SPDX-License-Identifier: MIT */
/* echo: asking whoever sent a request to show that the address is theirs, before they get much (RFC 9175 2.4, 2.6).
 *
 * The value asked back is a MAC over the address and the time, under a key that dies with the endpoint, so nothing is kept
 * for those who never come back. It is good for two to four minutes. A request that brings it, or that has just shown its
 * freshness to a recovering replay window (RFC 8613 B.1.2: that value too was sent there and came back), makes its address
 * one that has shown itself.
 *
 * Who asks for something safe is asked to repeat it with the value. A request that changed something is not to be carried
 * out twice, so its answer waits for an empty CON to be answered (pushes.c) instead; and where no push is free, it is cut
 * down to its code.
 *
 * Not everybody knows Echo. Who holds a context, was asked, and asks again without a value gets the answer in that other way
 * too, if a push is to spare. */
#include "endpoint_internal.h"

#include <string.h>

enum { EPOCH_BITS = 17, VALUE_LEN = 8 }; /* an epoch is 131 seconds */

static nacre_err value_at(const nacre_endpoint *ep, const nacre_address *peer, uint64_t epoch, uint8_t *value)
{
    uint8_t mac[NACRE_MAX_HASH], head[10] = { peer->len, peer->flags };
    for (size_t i = 0; i < 8; i++) head[2 + i] = (uint8_t)(epoch >> 8 * i);
    const nacre_bytes parts[] = { NACRE_ARRAY(head), { peer->bytes, peer->len } };
    const nacre_err err = ep->config.crypto.ops->hmac(&ep->config.crypto, NACRE_SHA256, NACRE_ARRAY(ep->echo_key),
                                                      parts, sizeof parts / sizeof *parts, mac);
    if (err == NACRE_OK) memcpy(value, mac, VALUE_LEN);
    return err;
}

/* RFC 9175 2.3: a value of ours, for that address, of this epoch or the last. */
static bool is_ours(const nacre_endpoint *ep, const nacre_address *peer, nacre_bytes echo)
{
    uint8_t value[VALUE_LEN];
    const uint64_t now = ep->now_ms >> EPOCH_BITS;
    if (echo.len != VALUE_LEN || peer->len > sizeof peer->bytes) return false;
    for (uint64_t back = 0; back <= 1 && back <= now; back++)
        if (value_at(ep, peer, now - back, value) == NACRE_OK && nacre_equal_ct(echo.ptr, value, VALUE_LEN))
            return true;
    return false;
}

/* A request to deliver. */
void nacre__echo_heard(nacre_endpoint *ep, const nacre__item *item)
{
    const nacre_address *peer = &item->datagram->peer;
    const nacre_bytes echo = nacre_option_find(item->plain.options, NACRE_OPT_ECHO);
    if (nacre_is_absent(echo) || nacre__is_reached(ep, peer)) return;
    if (item->recovers || is_ours(ep, peer, echo)) nacre__reached(ep, peer);
    else nacre__reach_answered(ep, peer);
}

/* Whether `answer` is more than an address gets that has not shown itself. */
bool nacre__echo_wanted(const nacre_endpoint *ep, const nacre__entry *entry, const nacre_message *answer)
{
    enum { MOST_AROUND_IT = 48, OBSERVE = 6 }; /* header, OSCORE option, Observe, tag; Observe, on both sides */
    const size_t allowance = nacre__allowance(entry->datagram_len);
    const size_t bare = entry->message.token.len + answer->options.len + answer->payload.len;
    if (bare + MOST_AROUND_IT <= allowance || nacre__is_reached(ep, &entry->peer)) return false;
    nacre_message m = *answer;
    m.token = entry->message.token;
    size_t size = entry->context != NULL ? nacre_protect_size(entry->context, &m, NULL) : nacre_message_size(&m);
    if (entry->observer != NACRE__NONE) size += OBSERVE;
    return size > allowance && size <= ep->config.max_message; /* one that is too long in any case is refused */
}

/* RFC 9175 2.3: turns `answer` into 4.01 with Echo. Its option is then in the endpoint's memory. */
nacre_err nacre__echo_ask(nacre_endpoint *ep, const nacre__entry *entry, nacre_message *answer)
{
    uint8_t value[VALUE_LEN];
    nacre_options options;
    nacre_err err = value_at(ep, &entry->peer, ep->now_ms >> EPOCH_BITS, value);
    if (err != NACRE_OK) return err;
    *answer = (nacre_message){ .code = NACRE_UNAUTHORIZED };
    nacre_options_init(&options, (nacre_room){ ep->options, ep->config.max_message });
    nacre_options_add(&options, NACRE_OPT_ECHO, NACRE_ARRAY(value));
    return nacre_options_finish(&options, &answer->options);
}
