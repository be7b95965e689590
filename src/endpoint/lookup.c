/* SPDX-License-Identifier: MIT */
/* lookup: requests that no context of the table verifies, until the application has looked for others. */
#include "endpoint/endpoint_struct.h"

/* RFC 8613 8.2 step 2: contexts that are not in the table yet may match, unless as many as are tried have not verified. */
static bool may_have_others(const nacre__received *received)
{
    if (received->tried == NACRE_MAX_CANDIDATES || received->joined != NULL) return false;
    return received->err == NACRE_ERR_NO_CONTEXT || received->err == NACRE_ERR_PROTECTION_INVALID ||
           received->err == NACRE_ERR_REPLAY || received->err == NACRE_ERR_CONTEXT_UNAVAILABLE;
}

/* True: the request waits, or is dropped because too many do. */
bool nacre__endpoint_keep_for_lookup(nacre_endpoint *ep, nacre__server_exchange *exchange,
                                     const nacre__received *received)
{
    nacre__server_exchanges *x = &ep->server_exchanges;
    if (x->num_lookups == 0 || ep->lookups_are_paused || !may_have_others(received)) return false;
    if (!nacre__lookup_keep(x, exchange, received)) nacre__lookup_drop(x, exchange, false);
    return true;
}

nacre_err nacre_endpoint_looked_up_kid(const nacre_endpoint *ep, nacre_exchange exchange, nacre_bytes *kid,
                                       nacre_bytes *kid_context)
{
    const nacre__server_exchange *found = nacre__lookup_of(&ep->server_exchanges, exchange.number);
    if (found == NULL) return NACRE_ERR_STALE;
    const nacre__pending_request *pending = &ep->server_exchanges.pending[found->pending];
    *kid = pending->kid;
    *kid_context = pending->kid_context;
    return NACRE_OK;
}

/* ---- Trying again ---------------------------------------------------------------------------------------------------- */

static size_t find_candidates(nacre_endpoint *ep, nacre_context *found[NACRE_MAX_CANDIDATES],
                              const nacre__pending_request *pending)
{
    const nacre_lock *lock = &ep->table_lock;
    const nacre_table *contexts = ep->core.config.contexts;
    size_t num = 0, cursor = 0;
    if (lock->lock != NULL) lock->lock(lock->self, NULL, 0);
    while (contexts != NULL && num < NACRE_MAX_CANDIDATES) {
        nacre_context *context = nacre_table_find(contexts, pending->kid, pending->kid_context, &cursor);
        if (context == NULL) break;
        found[num++] = context;
    }
    if (lock->lock != NULL) lock->unlock(lock->self, NULL, 0);
    return num;
}

static nacre_err unprotect(nacre_endpoint *ep, nacre_context *context, nacre__received *received)
{
    nacre__context_lock(&ep->core, context);
    received->recovers = !nacre_context_replay(context)->known;
    const nacre_err err = nacre_unprotect_request(context, &ep->core.config.crypto, &received->id, &received->plain,
                                                  received->buf, &received->outer);
    nacre__context_unlock(&ep->core, context);
    return err;
}

static void try_all(nacre_endpoint *ep, nacre__received *received, const nacre__pending_request *pending)
{
    nacre_context *found[NACRE_MAX_CANDIDATES];
    const size_t num = find_candidates(ep, found, pending);
    received->err = num == 0 ? NACRE_ERR_NO_CONTEXT : received->err;
    for (size_t i = 0; i < num; i++) {
        const nacre_err err = unprotect(ep, found[i], received);
        if (nacre__try_next_context(err)) {
            received->err = nacre__nearest_error(received->err, err);
            continue;
        }
        received->context = found[i];
        received->err = err;
        return;
    }
}

static void try_again(nacre_endpoint *ep, nacre__server_exchange *exchange)
{
    nacre__server_exchanges *x = &ep->server_exchanges;
    const nacre__pending_request *pending = &x->pending[exchange->pending];
    const nacre_datagram datagram = nacre__lookup_begin(x, exchange);
    nacre__received received = { .kind = NACRE__RECEIVED_REQUEST, .datagram = &datagram, .err = NACRE_ERR_NO_CONTEXT };
    received.buf = (nacre_buf){ pending->bytes + ep->core.config.max_message, ep->core.config.max_message };
    nacre_err err = nacre__message_parse(&received.outer, &received.seen, datagram.bytes, SIZE_MAX);
    if (err == NACRE_OK) err = nacre__outer_read(&received.read, &received.outer);
    if (err != NACRE_OK) received.err = err; /* unreachable: it was read before */
    else try_all(ep, &received, pending);
    nacre__request_settle(x, exchange, &received);
}

void nacre_endpoint_looked_up(nacre_endpoint *ep, nacre_exchange exchange, nacre_err err)
{
    nacre__server_exchanges *x = &ep->server_exchanges;
    nacre__server_exchange *found = nacre__lookup_of(x, exchange.number);
    if (found == NULL) return;
    if (err == NACRE_OK && found->block_request.has_block1) { /* joined with the others once it is retransmitted */
        (void)nacre__lookup_begin(x, found);
        nacre__lookup_drop(x, found, true);
    } else if (err == NACRE_OK) {
        try_again(ep, found);
    } else {
        const nacre_err reason = x->pending[found->pending].err;
        (void)nacre__lookup_begin(x, found);
        if (err == NACRE_ERR_NO_CONTEXT) nacre__request_count_refusal(x, reason);
        nacre__response_withdraw(x, found, err == NACRE_ERR_NO_CONTEXT ? reason : NACRE_ERR_NOT_YET);
    }
}
