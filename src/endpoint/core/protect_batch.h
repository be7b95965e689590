/* SPDX-License-Identifier: MIT */
/* protect_batch: responses encrypted in one batch. Each response is written with its plaintext in place; all are encrypted
 * together before anything is sent or their memory could be reused. */
#ifndef NACRE_ENDPOINT_CORE_PROTECT_BATCH_H
#define NACRE_ENDPOINT_CORE_PROTECT_BATCH_H

#include "endpoint/core/persist_waits.h"

/* A response written but not yet encrypted. */
typedef struct nacre__protect_job {
    nacre_protection protection;
    nacre_context *context;
    size_t *len; /* the response's length, in its owner */
} nacre__protect_job;

typedef struct nacre__protect_batch {
    const nacre__core *core;
    nacre__persist_waits *persist;
    nacre__protect_job *jobs; /* NACRE_BURST of them */
    size_t num;
} nacre__protect_batch;

void nacre__protect_batch_lay_out(nacre__protect_batch *batch, nacre__pool_layout *layout);

/* Begins to protect `response` into `buf`. On NACRE_OK `out` is its future location. `len` is kept until the flush; if the
 * cipher fails, `*len` becomes 0. Results as nacre_protect_response. */
nacre_err nacre__protect_batch_add(nacre__protect_batch *batch, nacre_context *context, nacre_request_id *id,
                                   nacre_bytes *out, nacre_buf buf, const nacre_message *response, size_t *len);

/* Encrypts all responses in the batch. */
void nacre__protect_batch_flush(nacre__protect_batch *batch);

#endif
