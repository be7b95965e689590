/* SPDX-License-Identifier: MIT */
/* echo: a value is a MAC over the address and the time, under a key of this endpoint, so no state is kept per address. It is
 * valid for two to four minutes. A request validates its address by returning it, or by proving its freshness to a recovering
 * replay window (RFC 8613 B.1.2: that value was sent there and returned too). */
#include "endpoint/admission/echo.h"

enum { EPOCH_BITS = 17, VALUE_LEN = NACRE__ECHO_LEN }; /* an epoch is 131 seconds */

static nacre_err value_at(const nacre__echo *echo, const nacre_address *peer, uint64_t epoch, uint8_t *value)
{
    uint8_t mac[NACRE_MAX_HASH], head[10] = { peer->len, peer->flags };
    for (size_t i = 0; i < 8; i++) head[2 + i] = (uint8_t)(epoch >> 8 * i);
    const nacre_bytes parts[] = { NACRE_ARRAY(head), { peer->bytes, peer->len } };
    const nacre_err err = echo->core->config.crypto.ops->hmac(
        &echo->core->config.crypto, NACRE_SHA256, NACRE_ARRAY(echo->key), parts, sizeof parts / sizeof *parts, mac);
    if (err == NACRE_OK) memcpy(value, mac, VALUE_LEN);
    return err;
}

/* RFC 9175 2.3: a value issued here, for that address, in this epoch or the last. */
static bool is_ours(const nacre__echo *echo, const nacre_address *peer, nacre_bytes claimed)
{
    uint8_t value[VALUE_LEN];
    const uint64_t now = echo->core->now_ms >> EPOCH_BITS;
    if (claimed.len != VALUE_LEN || peer->len > sizeof peer->bytes) return false;
    for (uint64_t back = 0; back <= 1 && back <= now; back++)
        if (value_at(echo, peer, now - back, value) == NACRE_OK && nacre_equal_ct(claimed.ptr, value, VALUE_LEN))
            return true;
    return false;
}

void nacre__echo_heard(nacre__echo *echo, const nacre_address *peer, nacre_context *context, nacre_bytes inner,
                       nacre_bytes outer, bool recovers)
{
    const bool has_inner = !nacre_is_absent(inner);
    if (has_inner && context != NULL) {
        nacre__context_lock(echo->core, context);
        context->peer_sent_echo = true;
        nacre__context_unlock(echo->core, context);
    }
    const bool has_recovered = recovers && has_inner;
    const bool is_validated = nacre__is_validated(echo->validation, peer);
    if (!has_recovered && (is_validated || !(is_ours(echo, peer, inner) || is_ours(echo, peer, outer)))) return;
    NACRE__COUNT(echo->core, echo_proofs);
    if (!is_validated) nacre__validate(echo->validation, peer);
}

nacre_bytes nacre__echo_for(const nacre__echo *echo, const nacre_address *peer, uint8_t value[NACRE__ECHO_LEN])
{
    if (value_at(echo, peer, echo->core->now_ms >> EPOCH_BITS, value) != NACRE_OK) return NACRE_ABSENT;
    return nacre_bytes_of(value, VALUE_LEN);
}

nacre_err nacre__echo_add(const nacre__core *core, nacre_message *response, nacre_bytes value)
{
    nacre_options options;
    nacre_options_init(&options, (nacre_buf){ core->options, core->config.max_message });
    nacre_option_iter it = nacre_option_begin(response->options);
    for (nacre_option option; nacre_option_next(&it, &option);)
        nacre_options_add(&options, option.number, option.value);
    nacre_options_add(&options, NACRE_OPT_ECHO, value);
    return nacre_options_finish(&options, &response->options);
}

nacre_err nacre__echo_challenge(const nacre__echo *echo, const nacre_address *peer, nacre_message *response)
{
    uint8_t value[VALUE_LEN];
    const nacre_bytes fresh = nacre__echo_for(echo, peer, value);
    if (nacre_is_absent(fresh)) return NACRE_ERR_CRYPTO;
    *response = (nacre_message){ .code = NACRE_UNAUTHORIZED };
    return nacre__echo_add(echo->core, response, fresh);
}
