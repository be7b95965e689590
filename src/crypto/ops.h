/* SPDX-License-Identifier: MIT */
/* ops: checks that a provider's function table is compatible. */
#ifndef NACRE_CRYPTO_OPS_H
#define NACRE_CRYPTO_OPS_H

#include <nacre/crypto.h>

static inline bool nacre__crypto_ops_fit(const nacre_crypto_ops *ops)
{
    return ops->version == NACRE_CRYPTO_OPS_VERSION && ops->size >= sizeof *ops;
}

#endif
