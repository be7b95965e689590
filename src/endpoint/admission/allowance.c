/* SPDX-License-Identifier: MIT */
/* allowance: what an address gets that is not validated (RFC 9175 2.4 item 3, RFC 7252 11.3).
 *
 * The answer to a request may have three times its bytes, and 136 in any case, all its transmissions together; each
 * notification may have as much as the answer to its registration. What is longer is not sent: the transfer cuts a
 * slice of it that fits (Block2), and where none is cut or none fits, a safe request gets 4.01 with Echo and comes again
 * with the value; any other, and any error, gets its code alone, for a request that was carried out must not be
 * repeated. */
#include "coap/block.h"
#include "endpoint/endpoint_internal.h"

enum {
    MOST_AROUND = 48, /* header, OSCORE option, Observe, tag, Block1 */
    OBSERVE = 6,      /* on both sides */
    ECHO = 2 + NACRE__ECHO_LEN,
};

/* The most bytes that `answer` may take, with a token of that length. */
static size_t size_of(const nacre_context *context, const nacre_message *answer, nacre_bytes token)
{
    nacre_message m = *answer;
    m.token = token;
    return context != NULL ? nacre_protect_size(context, &m, NULL) : nacre_message_size(&m);
}

static size_t bare_size(const nacre_message *answer, nacre_bytes token)
{
    return token.len + answer->options.len + answer->payload.len + MOST_AROUND;
}

/* One that is too long for any address is refused as such. The bound is a low one: what is called too long here is not held
 * back, so it must be certain that it is not sent. */
static bool is_too_long(const nacre_endpoint *ep, const nacre_message *answer, nacre_bytes token)
{
    return NACRE__HEADER_LEN + token.len + answer->payload.len > ep->config.max_message;
}

/* Whether `answer` and `extra` bytes are more than the sender of the request may get. */
bool nacre__entry_exceeds(const nacre_endpoint *ep, const nacre__entry *entry, const nacre_message *answer,
                          size_t extra)
{
    const nacre_bytes token = entry->message.token;
    size_t allowance = nacre__allowance(entry->record->datagram_len);
    if (entry->acked) allowance -= NACRE__HEADER_LEN; /* the ACK went there */
    if (bare_size(answer, token) + extra <= allowance || nacre__is_validated(&ep->validation, &entry->record->peer))
        return false;
    size_t size = size_of(entry->context, answer, token) + nacre__outer_most(&entry->wish) + extra;
    if (entry->observer != NACRE__NONE) size += OBSERVE;
    return size > allowance && !is_too_long(ep, answer, token);
}

/* … than an observer may get at once. */
bool nacre__observer_exceeds(const nacre_endpoint *ep, const nacre__observer *o, const nacre_message *answer,
                             size_t extra)
{
    nacre_message kept;
    if (nacre_message_parse(&kept, nacre_bytes_of(o->bytes, o->len)) != NACRE_OK) return false;
    const size_t allowance = nacre__allowance(o->len);
    if (bare_size(answer, kept.token) + extra <= allowance || o->is_validated ||
        nacre__is_validated(&ep->validation, &o->peer))
        return false;
    const size_t size = size_of(o->context, answer, kept.token) + OBSERVE + extra;
    return size > allowance && !is_too_long(ep, answer, kept.token);
}

/* ---- Slices ----------------------------------------------------------------------------------------------------------
 * A block that others follow offers an Echo value to an address that is not validated (RFC 9175 2.3 allows it in any
 * response): the request for the next block may bring it. */

bool nacre__is_slice(const nacre_message *answer)
{
    nacre__block block;
    const nacre_bytes value = nacre_option_find(answer->options, NACRE_OPT_BLOCK2);
    return answer->code >> 5 == 2 && !nacre_is_absent(value) && nacre__block_read(&block, value) && block.more &&
           !nacre__has_option(answer->options, NACRE_OPT_ECHO);
}

bool nacre__entry_offers(const nacre_endpoint *ep, const nacre__entry *entry, const nacre_message *answer)
{
    return answer->options.len > 0 && nacre__is_slice(answer) &&
           !nacre__is_validated(&ep->validation, &entry->record->peer) &&
           !nacre__entry_exceeds(ep, entry, answer, ECHO);
}

bool nacre__observer_offers(const nacre_endpoint *ep, const nacre__observer *o, const nacre_message *answer)
{
    return answer->options.len > 0 && nacre__is_slice(answer) && !nacre__is_validated(&ep->validation, &o->peer) &&
           !nacre__observer_exceeds(ep, o, answer, ECHO);
}

/* RFC 9175 2.3: a security context whose peer has sent an Echo is asked for one in the place of a slice, but not twice: what
 * came with a value that is not good here is served as any. */
static bool knows_echo(const nacre_endpoint *ep, const nacre__entry *entry)
{
    if (entry->context == NULL || entry->has_echo || !nacre_code_is_safe(entry->method)) return false;
    nacre__take(ep, entry->context);
    const bool knows = entry->context->peer_sent_echo;
    nacre__give(ep, entry->context);
    return knows;
}

bool nacre_endpoint_fits(nacre_endpoint *ep, nacre_exchange exchange, const nacre_message *plain)
{
    const nacre__entry *entry = nacre__answer_entry(ep, exchange);
    const nacre__observer *o = entry == NULL ? nacre__observer_of(ep, exchange) : NULL;
    const size_t extra = nacre__is_slice(plain) ? ECHO : 0;
    if (o != NULL) return !nacre__observer_exceeds(ep, o, plain, extra);
    return entry == NULL || !nacre__entry_exceeds(ep, entry, plain, extra) || knows_echo(ep, entry);
}

/* Makes `answer` its code alone, with Block1 where it has that (RFC 7959 2.5). The option is then in the endpoint's memory. */
nacre_err nacre__answer_bare(nacre_endpoint *ep, nacre_message *answer)
{
    const nacre_bytes block1 = nacre_option_find(answer->options, NACRE_OPT_BLOCK1);
    nacre_options options;
    *answer = (nacre_message){ .code = answer->code };
    nacre_options_init(&options, (nacre_buf){ ep->options, ep->config.max_message });
    if (!nacre_is_absent(block1)) nacre_options_add(&options, NACRE_OPT_BLOCK1, block1);
    return nacre_options_finish(&options, &answer->options);
}
