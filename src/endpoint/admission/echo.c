/* SPDX-License-Identifier: MIT */
/* echo: Echo values, by which an address is validated (RFC 9175 2.3, 2.4, 2.6).
 *
 * The value asked back is a MAC over the address and the time, under a key that dies with the endpoint, so nothing is kept
 * for addresses that never come back. It is good for two to four minutes. A request that brings it, or that has just shown its
 * freshness to a recovering replay window (RFC 8613 B.1.2: that value too was sent there and came back), validates its
 * address. */
#include "endpoint/endpoint_internal.h"

#include <string.h>

enum { EPOCH_BITS = 17, VALUE_LEN = NACRE__ECHO_LEN }; /* an epoch is 131 seconds */

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
    const nacre_bytes outer =
        nacre_option_find(item->outer.options, NACRE_OPT_ECHO); /* of what was given out in clear */
    if (!nacre_is_absent(echo) && item->context != NULL) {
        nacre__take(ep, item->context);
        item->context->peer_sent_echo = true;
        nacre__give(ep, item->context);
    }
    if (nacre__is_validated(&ep->validation, peer)) return;
    if ((item->recovers && !nacre_is_absent(echo)) || is_ours(ep, peer, echo) || is_ours(ep, peer, outer))
        nacre__validate(&ep->validation, peer);
}

/* The value for that address; absent when its cipher fails. */
nacre_bytes nacre__echo_for(const nacre_endpoint *ep, const nacre_address *peer, uint8_t value[NACRE__ECHO_LEN])
{
    if (value_at(ep, peer, ep->now_ms >> EPOCH_BITS, value) != NACRE_OK) return NACRE_ABSENT;
    return nacre_bytes_of(value, VALUE_LEN);
}

/* RFC 9175 2.3: the value beside the options of `answer`, which are then in the endpoint's memory. */
nacre_err nacre__echo_add(nacre_endpoint *ep, nacre_message *answer, nacre_bytes echo)
{
    nacre_options options;
    nacre_options_init(&options, (nacre_buf){ ep->options, ep->config.max_message });
    nacre_option_iter it = nacre_option_begin(answer->options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        nacre_options_add(&options, option.number, option.value);
    nacre_options_add(&options, NACRE_OPT_ECHO, echo);
    return nacre_options_finish(&options, &answer->options);
}

/* Turns `answer` into 4.01 with Echo. */
nacre_err nacre__echo_ask(nacre_endpoint *ep, const nacre_address *peer, nacre_message *answer)
{
    uint8_t value[VALUE_LEN];
    const nacre_bytes echo = nacre__echo_for(ep, peer, value);
    if (nacre_is_absent(echo)) return NACRE_ERR_CRYPTO;
    *answer = (nacre_message){ .code = NACRE_UNAUTHORIZED };
    return nacre__echo_add(ep, answer, echo);
}
