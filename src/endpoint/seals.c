/* SPDX-License-Identifier: MIT */
/* seals: answers whose ciphers run together. What the application answers, one request after the other, is written and
 * waits with its plaintext in place; before anything goes out, or its memory could be used for something else, the ciphers
 * of all that wait run in one burst. */
#include "endpoint_internal.h"
#include "base/copy.h"

/* With many contexts its key is far away: it is asked for now, and the cipher runs when the others have been written. */
static void fetch_key(const nacre_protection *protection)
{
    enum { LINE = 64, SCHEDULE = 192 }; /* enough for AES-128 */
    for (size_t at = 0; at < SCHEDULE; at += LINE) NACRE__PREFETCH((const uint8_t *)protection->job.key + at);
}

/* Begins to protect `answer` into `room`. On NACRE_OK `out` is where it will stand; when its cipher fails in the end,
 * `*len`, which is kept until then, becomes 0. Results as nacre_protect_response. */
nacre_err nacre__seal(nacre_endpoint *ep, nacre_context *context, nacre_request_id *id, nacre_bytes *out,
                      nacre_room room, const nacre_message *answer, size_t *len)
{
    if (ep->num_seals == NACRE_BURST) nacre__seals_flush(ep);
    nacre__seal_job *seal = &ep->seals[ep->num_seals];
    nacre__take(ep, context);
    /* RFC 8613 8.3, 8.3.1: with the request's nonce when the identity has the right to it, and that is once */
    const nacre_err err =
        nacre_protect_begin(context, &ep->config.crypto, &seal->protection, id, out, room, answer, NULL);
    nacre__give(ep, context);
    if (err != NACRE_OK) return err;
    fetch_key(&seal->protection);
    seal->len = len;
    seal->context = context;
    ep->num_seals++;
    nacre__ask_store_early(ep, context);
    return NACRE_OK;
}

void nacre__seals_flush(nacre_endpoint *ep)
{
    nacre_protection *protections[NACRE_BURST];
    nacre_context *contexts[NACRE_BURST];
    bool ok[NACRE_BURST];
    const size_t num = ep->num_seals;
    const bool locked = ep->config.lock.take != NULL && !ep->config.crypto.ops->keys_are_shareable;
    if (num == 0) return;
    for (size_t i = 0; i < num; i++) {
        protections[i] = &ep->seals[i].protection;
        contexts[i] = ep->seals[i].context;
    }
    if (locked) ep->config.lock.take(ep->config.lock.self, contexts, num);
    nacre_protect_finish(&ep->config.crypto, protections, ok, num);
    if (locked) ep->config.lock.give(ep->config.lock.self, contexts, num);
    for (size_t i = 0; i < num; i++)
        if (!ok[i]) *ep->seals[i].len = 0;
    ep->num_seals = 0;
}
