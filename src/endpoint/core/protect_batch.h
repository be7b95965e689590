/* SPDX-License-Identifier: MIT */
/* protect_batch: responses encrypted in one batch. What the application responds, one request after the other, is written and
 * waits with its plaintext in place; before anything goes out, or its memory could be used for something else, all that wait
 * are encrypted together. */
#ifndef NACRE_ENDPOINT_CORE_PROTECT_BATCH_H
#define NACRE_ENDPOINT_CORE_PROTECT_BATCH_H

#include "endpoint/core/persist_waits.h"

/* A response that is written and not yet encrypted. */
typedef struct nacre__protect_job {
    nacre_protection protection;
    nacre_context *context;
    size_t *len; /* of the response, where its owner keeps it */
} nacre__protect_job;

typedef struct nacre__protect_batch {
    const nacre__core *core;
    nacre__persist_waits *persist;
    nacre__protect_job *jobs; /* NACRE_BURST of them */
    size_t num;
} nacre__protect_batch;

void nacre__protect_batch_lay_out(nacre__protect_batch *batch, nacre__pool_layout *layout);

/* Begins to protect `response` into `room`. On NACRE_OK `out` is where it will stand; if its cipher fails in the end, `*len`,
 * which is kept until then, becomes 0. Results as nacre_protect_response. */
nacre_err nacre__protect_batch_add(nacre__protect_batch *batch, nacre_context *context, nacre_request_id *id,
                                   nacre_bytes *out, nacre_buf buf, const nacre_message *response, size_t *len);

/* Encrypts all that wait. */
void nacre__protect_batch_flush(nacre__protect_batch *batch);

#endif
