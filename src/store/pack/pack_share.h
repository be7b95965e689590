/* SPDX-License-Identifier: MIT */
/* pack_share: nacre_pack_request and nacre_pack_commit for several threads with one pack, each with a list of its own.
 *
 * Every call but nacre__pack_share_flush is made under the lock of that context. */
#ifndef NACRE_STORE_PACK_SHARE_H
#define NACRE_STORE_PACK_SHARE_H

#include <nacre/pack.h>

/* What a context asked of its pack. */
typedef struct nacre__pack_request {
    nacre_pack *pack;
    nacre_context *ctx;
    nacre_needs needs;
    uint64_t num_saves; /* of the pack, when it was asked for */
} nacre__pack_request;

/* nacre__pack_label writes "PATH, context PLACE" for a context of this pack; for others it changes nothing. */
void nacre__pack_label(char *label, size_t size, const nacre_pack *pack, const nacre_context *ctx);

/* As nacre_pack_request; with NACRE_ERR_NOT_YET, `request` is what to confirm after a flush. */
NACRE_MUST_USE nacre_err nacre__pack_share_request(nacre__pack_request *request, nacre_pack *pack, nacre_context *ctx,
                                                   nacre_detail *why);

/* nacre__pack_share_flush makes all that anybody asked for durable, with one sync at most. It waits for another thread that is
 * doing so. As nacre_pack_commit. */
NACRE_MUST_USE nacre_err nacre__pack_share_flush(nacre_pack *pack, nacre_detail *why);

/* nacre__pack_share_is_lost: another program has changed or replaced the file; nothing is written any more. */
bool nacre__pack_share_is_lost(const nacre_pack *pack);

/* nacre__pack_share_confirm tells the context, after a flush that succeeded. A state that was saved in between says less than
 * what was asked for; then that is made durable again, by itself. */
NACRE_MUST_USE nacre_err nacre__pack_share_confirm(const nacre__pack_request *request, nacre_detail *why);

#endif
