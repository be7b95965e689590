/* SPDX-License-Identifier: MIT */
/* kept_echo: Echo values that servers sent, kept for the next request to them (RFC 9175 2.3). */
#ifndef NACRE_ENDPOINT_ADMISSION_KEPT_ECHO_H
#define NACRE_ENDPOINT_ADMISSION_KEPT_ECHO_H

#include "endpoint/admission/echo.h"

enum { NACRE__KEPT_ECHOS = 16 };

typedef struct nacre__kept_echo {
    nacre_address peer;
    nacre_context *context; /* NULL: unprotected */
    uint64_t when;          /* ms */
    uint8_t len;            /* 0: free */
    uint8_t value[NACRE__MAX_ECHO];
} nacre__kept_echo;

typedef struct nacre__kept_echos {
    const nacre__core *core;
    nacre__kept_echo all[NACRE__KEPT_ECHOS];
} nacre__kept_echos;

/* Keeps the Echo value in `options`, if any, for requests to `peer` under `context`; NULL: unprotected. */
void nacre__echo_keep(nacre__kept_echos *k, const nacre_address *peer, nacre_context *context, nacre_bytes options);

/* The value kept for such a request, or NULL. Setting `len` to 0 spends it. */
nacre__kept_echo *nacre__kept_echo_find(nacre__kept_echos *k, const nacre_address *peer, const nacre_context *context);

/* Drops the values of a removed context, or, if NULL, of a lost peer. */
void nacre__echo_forget(nacre__kept_echos *k, const nacre_context *context, const nacre_address *peer);

#endif
