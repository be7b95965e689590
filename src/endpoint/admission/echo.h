/* SPDX-License-Identifier: MIT */
/* echo: Echo values issued to validate addresses (RFC 9175 2.3, 2.4, 2.6). */
#ifndef NACRE_ENDPOINT_ADMISSION_ECHO_H
#define NACRE_ENDPOINT_ADMISSION_ECHO_H

#include "endpoint/admission/address_validation.h"

enum {
    NACRE__ECHO_LEN = 8,  /* of values issued here */
    NACRE__MAX_ECHO = 40, /* RFC 9175 2.2.1 */
};

typedef struct nacre__echo {
    nacre__core *core;
    nacre__address_validation *validation;
    uint8_t key[32];
} nacre__echo;

/* Takes the Echo values of a request to deliver, inner and outer (or absent). `context` verified it, or NULL; `recovers`: the
 * inner value has just proved freshness to a recovering replay window. */
void nacre__echo_heard(nacre__echo *echo, const nacre_address *peer, nacre_context *context, nacre_bytes inner,
                       nacre_bytes outer, bool recovers);

/* The value for that address; absent if the cipher fails. */
nacre_bytes nacre__echo_for(const nacre__echo *echo, const nacre_address *peer, uint8_t value[NACRE__ECHO_LEN]);

/* RFC 9175 2.3: adds the value to the options of `response`, which are then in the core's memory. */
nacre_err nacre__echo_add(const nacre__core *core, nacre_message *response, nacre_bytes value);

/* Turns `response` into 4.01 with Echo. */
nacre_err nacre__echo_challenge(const nacre__echo *echo, const nacre_address *peer, nacre_message *response);

#endif
