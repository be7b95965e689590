/* SPDX-License-Identifier: MIT */
/* unprotect: for callers that have read the OSCORE option, and for rederivation (RFC 8613 B.2). */
#ifndef NACRE_OSCORE_UNPROTECT_H
#define NACRE_OSCORE_UNPROTECT_H

#include <nacre/oscore.h>
#include "oscore/option.h"

typedef struct nacre__unprotect_how {
    bool any_kid_context; /* the caller has checked the kid context, which has a wrapped ID */
    /* A response without a Partial IV uses the request's nonce: the Common IV of the request's context, if that is another
     * one. NULL: this context's. */
    const uint8_t *request_common_iv;
    const nacre__outer_options *outer; /* the message's, read by the caller; NULL: read here */
} nacre__unprotect_how;

nacre_err nacre__unprotect_request(nacre_context *ctx, const nacre_crypto *crypto, nacre_request_id *id,
                                   nacre_message *plain, nacre_buf buf, const nacre_message *outer,
                                   const nacre__unprotect_how *how);
nacre_err nacre__unprotect_response(nacre_context *ctx, const nacre_crypto *crypto, const nacre_request_id *id,
                                    nacre_message *plain, nacre_response_info *info, nacre_buf buf,
                                    const nacre_message *outer, const nacre__unprotect_how *how);

/* nacre_unprotect_many, with the parsed outer options of each item, in order; NULL: all are read here. */
void nacre__unprotect_many(const nacre_crypto *crypto, nacre_unprotect_item *items,
                           const nacre__outer_options *const *outers, size_t num);

#endif
