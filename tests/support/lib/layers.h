/* SPDX-License-Identifier: MIT */
/* layers: shared by the tests of an endpoint's parts: a core with RFC 7252's timing and a repeatable random source,
 * memory for one part, and addresses. No endpoint. */
#ifndef NACRE_TESTS_LAYERS_H
#define NACRE_TESTS_LAYERS_H

#include "base/pool_layout.h"
#include "endpoint/core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static inline void layer_random(void *self, uint8_t *out, size_t len)
{
    uint64_t *state = self;
    for (size_t i = 0; i < len; i++) {
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        out[i] = (uint8_t)(*state >> 56);
    }
}

/* `state` must live as long as the core. */
static inline nacre__core layer_core(uint64_t *state)
{
    return (nacre__core){ .config = { .max_message = 64,
                                      .observe.reregister = true,
                                      .admission.amplification_limit = true,
                                      .congestion.nstart = 1,
                                      .congestion.probing_rate = UINT32_MAX,
                                      .random = { layer_random, state },
                                      .timing = { .ack_timeout_ms = 2000,
                                                  .ack_random_factor_milli = 1500,
                                                  .max_retransmit = 4,
                                                  .response_timeout_ms = 93000,
                                                  .exchange_lifetime_ms = 247000 } } };
}

static inline nacre_address layer_peer(uint8_t number)
{
    return (nacre_address){ .len = 2, .bytes = { 7, number } };
}

#endif
