/* SPDX-License-Identifier: MIT */
#include "endpoint/core/protect_batch.h"
#include "base/copy.h"

void nacre__protect_batch_lay_out(nacre__protect_batch *batch, nacre__pool_layout *layout)
{
    batch->jobs = nacre__lay_out(layout, NACRE_BURST, sizeof *batch->jobs);
}

/* Prefetches the key: with many contexts it is not cached, and the cipher runs only after the batch is written. */
static void prefetch_key(const nacre_protection *protection)
{
    enum { LINE = 64, SCHEDULE = 192 }; /* enough for AES-128 */
    for (size_t at = 0; at < SCHEDULE; at += LINE) NACRE__PREFETCH((const uint8_t *)protection->job.key + at);
}

nacre_err nacre__protect_batch_add(nacre__protect_batch *batch, nacre_context *context, nacre_request_id *id,
                                   nacre_bytes *out, nacre_buf buf, const nacre_message *response, size_t *len)
{
    if (batch->num == NACRE_BURST) nacre__protect_batch_flush(batch);
    nacre__protect_job *job = &batch->jobs[batch->num];
    nacre_protect_item item = { .context = context, .id = id, .buf = buf, .plain = response };
    nacre__context_lock(batch->core, context);
    /* RFC 8613 8.3, 8.3.1: with the request's nonce if the identity still has the right to it, which is once */
    const nacre_err err = nacre_protect_begin(&batch->core->config.crypto, &job->protection, &item);
    nacre__context_unlock(batch->core, context);
    if (err != NACRE_OK) return err;
    *out = item.out;
    prefetch_key(&job->protection);
    job->len = len;
    job->context = context;
    batch->num++;
    nacre__request_persist_early(batch->persist, context);
    return NACRE_OK;
}

void nacre__protect_batch_flush(nacre__protect_batch *batch)
{
    nacre_protection *protections[NACRE_BURST];
    nacre_context *contexts[NACRE_BURST];
    bool ok[NACRE_BURST];
    const size_t num = batch->num;
    const nacre_endpoint_config *config = &batch->core->config;
    const bool locked = config->lock.lock != NULL && !config->crypto.ops->keys_are_shareable;
    if (num == 0) return;
    for (size_t i = 0; i < num; i++) {
        protections[i] = &batch->jobs[i].protection;
        contexts[i] = batch->jobs[i].context;
    }
    if (locked) config->lock.lock(config->lock.self, contexts, num);
    nacre_protect_finish(&config->crypto, protections, ok, num);
    if (locked) config->lock.unlock(config->lock.self, contexts, num);
    for (size_t i = 0; i < num; i++)
        if (!ok[i]) *batch->jobs[i].len = 0;
    batch->num = 0;
}
