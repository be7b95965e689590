/* SPDX-License-Identifier: MIT */
/* nonces: a provider that fails when a key is used with a nonce twice, and makes ciphers fail on demand. */
#ifndef NACRE_FUZZ_NONCES_H
#define NACRE_FUZZ_NONCES_H

#include "fuzz.h"

nacre_crypto nonces_begin(void);
/* Of the next `num` cipher calls every second one fails. */
void nonces_break(unsigned num);
void nonces_end(void);

#endif
