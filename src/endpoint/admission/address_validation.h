/* SPDX-License-Identifier: MIT */
/* address_validation: which addresses are validated, and how many bytes the others get (RFC 9175 2.4, RFC 7252 11.3). */
#ifndef NACRE_ENDPOINT_ADMISSION_ADDRESS_VALIDATION_H
#define NACRE_ENDPOINT_ADMISSION_ADDRESS_VALIDATION_H

#include "base/pool_layout.h"
#include "endpoint/core/core.h"

/* A validated address, and since when. */
typedef struct nacre__validated_address {
    nacre_address peer; /* length 0: a free entry */
    uint64_t when;      /* ms */
} nacre__validated_address;

typedef struct nacre__address_validation {
    const nacre__core *core;
    nacre__validated_address *entries;
    uint32_t num; /* a power of two */
} nacre__address_validation;

/* At least `num_peers` entries. */
void nacre__address_validation_lay_out(nacre__address_validation *v, nacre__pool_layout *layout, uint16_t num_peers);

bool nacre__is_validated(const nacre__address_validation *v, const nacre_address *peer);

/* Validates `peer` for an exchange lifetime. */
void nacre__validate(nacre__address_validation *v, const nacre_address *peer);

/* Bytes allowed to an address that is not validated, for `received` bytes: three times as many, at least 136. */
static inline size_t nacre__allowance(size_t received)
{
    enum { SAFE = 136, FACTOR = 3 };
    return received > SAFE / FACTOR ? received * FACTOR : SAFE;
}

#endif
