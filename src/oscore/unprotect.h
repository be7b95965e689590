/* SPDX-License-Identifier: MIT */
/* unprotect: what re-derivation (RFC 8613 B.2) needs otherwise than an ordinary message does. */
#ifndef NACRE_OSCORE_UNPROTECT_H
#define NACRE_OSCORE_UNPROTECT_H

#include <nacre/oscore.h>

typedef struct nacre__unprotect_how {
    bool any_kid_context; /* the caller has read the kid context: it carries an ID in another form */
    /* A response without a Partial IV takes the request's nonce, byte for byte: the Common IV of the context that made the
     * request, where that is another one. NULL: this context's. */
    const uint8_t *request_common_iv;
} nacre__unprotect_how;

nacre_err nacre__unprotect_request(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id,
                                   nacre_message *plain, nacre_buf buf, const nacre_message *outer,
                                   const nacre__unprotect_how *how);
nacre_err nacre__unprotect_response(nacre_context *ctx, const nacre_crypto *crypto, const nacre_request_id *id,
                                    nacre_message *plain, nacre_response_info *info, nacre_buf buf,
                                    const nacre_message *outer, const nacre__unprotect_how *how);

#endif
