/* SPDX-License-Identifier: MIT */
/* identify: a context without its keys, for nacre_context_same_sender_key and nacre_context_same_recipient_key. */
#ifndef NACRE_CONTEXT_IDENTIFY_H
#define NACRE_CONTEXT_IDENTIFY_H

#include <nacre/context.h>

/* nacre__context_identify derives only the Common IV and sets the IDs: `ctx` cannot protect and needs no key_buf. It borrows
 * the ID Context; wipe it with nacre_wipe.
 * NACRE_OK; NACRE_ERR_UNSUPPORTED (algorithm or hash); NACRE_ERR_BAD_ARGUMENT (an ID or the ID Context is too long);
 * NACRE_ERR_CRYPTO, NACRE_ERR_NO_MEMORY: `ctx` is all zero */
NACRE_MUST_USE nacre_err nacre__context_identify(nacre_context *ctx, const nacre_crypto *crypto,
                                                 const nacre_context_params *params);

#endif
