/* SPDX-License-Identifier: MIT */
/* later: answers that the application gives in its own time (RFC 7252 5.2.2).
 *
 * The entry stays in the memory of duplicates, and a push is held for what will be said: the request's token waits in its
 * bytes. A CON gets its empty ACK when the application has not answered within a short time, or a duplicate shows that its
 * sender has waited long enough; the answer is then a message of its own. Until then it goes into the ACK as ever. */
#include "endpoint/exchange/server_exchange.h"

#include <string.h>

/* Holds a push for what will be said, and the token with it. NACRE_ERR_BUSY: there is none. */
static nacre_err hold(nacre__exchanges *x, nacre__entry *entry)
{
    nacre__push *push = nacre__push_take(x);
    if (push == NULL) return NACRE_ERR_BUSY;
    const nacre_bytes token = entry->message.token;
    if (token.len > 0) memcpy(push->t->bytes, token.ptr, token.len);
    entry->message = (nacre_message){ .token = { push->t->bytes, token.len } };
    entry->push = nacre__push_index(x, push);
    entry->state = NACRE__ENTRY_LATER;
    push->t->peer = entry->record->peer;
    push->entry = nacre__entry_index(x, entry);
    return NACRE_OK;
}

nacre_err nacre__later_defer(nacre__exchanges *x, nacre__entry *entry)
{
    if (entry->state == NACRE__ENTRY_LATER) return NACRE_OK;
    const bool may_be_forged = entry->context == NULL && !nacre__is_validated(x->validation, &entry->record->peer);
    if (may_be_forged && !nacre__push_is_to_spare(x)) return NACRE_ERR_BUSY;
    const nacre_err err = hold(x, entry);
    if (err == NACRE_OK && entry->record->type == NACRE_CON)
        nacre__transmission_set_due(x->tx, x->pushes[entry->push].t,
                                    nacre__after(x->core->now_ms, x->core->config.timing.ack_delay_ms));
    return err;
}

/* RFC 7252 5.2.2: we have the request, and the answer comes by itself. Once more for each duplicate. */
void nacre__later_acknowledge(nacre__exchanges *x, nacre__entry *entry)
{
    entry->acked = true;
    nacre__transmission_set_due(x->tx, x->pushes[entry->push].t, NACRE__NEVER);
    nacre__send_empty(x->empty, &entry->record->peer, NACRE_ACK, entry->record->mid);
}

/* The entry goes on without its push. */
void nacre__later_end(nacre__exchanges *x, nacre__entry *entry)
{
    if (entry->push != NACRE__NONE) nacre__push_drop(x, &x->pushes[entry->push]);
    entry->push = NACRE__NONE;
}

/* The separate answer, as CON or NON like the request. The entry must have a push; it keeps it on failure. */
nacre_err nacre__later_send(nacre__exchanges *x, nacre__entry *entry, nacre_message *answer)
{
    nacre__push *push = &x->pushes[entry->push];
    const nacre_bytes token = entry->message.token;
    if (token.len > 0) memcpy(x->core->scratch, token.ptr, token.len); /* the answer is written over it */
    answer->type = entry->record->type;
    answer->token = nacre_bytes_of(x->core->scratch, token.len);
    push->allowance = nacre__allowance(entry->record->datagram_len);
    push->spent = entry->acked ? NACRE__HEADER_LEN : 0; /* the ACK */
    push->wish = entry->wish;
    const nacre_err err = nacre__push_send(x, push, entry->context, &entry->id, answer);
    if (err != NACRE_OK) {
        if (token.len > 0) memcpy(push->t->bytes, x->core->scratch, token.len);
        return err;
    }
    entry->push = NACRE__NONE;
    if (entry->observer != NACRE__NONE) x->upper.registration_answered(x->upper.self, entry, push);
    entry->observer = NACRE__NONE;
    nacre__answer_known_only(x, entry);
    return NACRE_OK;
}
