/* SPDX-License-Identifier: MIT */
/* unprotect: for callers that have read the OSCORE option, and for re-derivation (RFC 8613 B.2), which differs from an ordinary
 * message. */
#ifndef NACRE_OSCORE_UNPROTECT_H
#define NACRE_OSCORE_UNPROTECT_H

#include <nacre/oscore.h>
#include "oscore/option.h"

typedef struct nacre__unprotect_how {
    bool any_kid_context; /* the caller has read the kid context: it carries an ID in another form */
    /* A response without a Partial IV takes the request's nonce, byte for byte: the Common IV of the context that made the
     * request, where that is another one. NULL: this context's. */
    const uint8_t *request_common_iv;
    const nacre__outer_options *outer; /* the message's, read by the caller; NULL: read here */
} nacre__unprotect_how;

nacre_err nacre__unprotect_request(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id,
                                   nacre_message *plain, nacre_buf buf, const nacre_message *outer,
                                   const nacre__unprotect_how *how);
nacre_err nacre__unprotect_response(nacre_context *ctx, const nacre_crypto *crypto, const nacre_request_id *id,
                                    nacre_message *plain, nacre_response_info *info, nacre_buf buf,
                                    const nacre_message *outer, const nacre__unprotect_how *how);

/* nacre_unprotect_many, with the outer options of each item, in the order of the items; NULL: all are read here. */
void nacre__unprotect_many(const nacre_crypto *crypto, nacre_unprotect_item *items,
                           const nacre__outer_options *const *outers, size_t num);

#endif
