/* SPDX-License-Identifier: MIT */
#include "endpoint/exchange/received.h"
#include "coap/option_check.h"

uint32_t nacre__received_drop_options(const nacre__core *core, const nacre__received *received, nacre_message *message)
{
    const nacre_bytes options = message->options;
    const uint32_t seen = nacre__options_seen(options);
    if ((seen & NACRE__SEEN_UNRECOGNISED) == 0 || core->config.opaque_oscore) return seen;
    const bool is_ours = message != &received->outer && received->context != NULL;
    uint8_t *to = is_ours ? (uint8_t *)(uintptr_t)options.ptr : received->buf.ptr;
    message->options = nacre_bytes_of(to, nacre__options_drop(to, options));
    return seen;
}
