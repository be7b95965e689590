/* SPDX-License-Identifier: MIT */
/* block1_server: assembles requests sent in blocks (RFC 7959 2.5, Block1). Blocks must arrive in order; each gets a 2.31, and
 * the last one completes the request. */
#include "transfer_internal.h"

#include <string.h>

/* ---- Responses to one block ---------------------------------------------------------------------------------------- */

static bool refuse(nacre_transfer *t, const nacre__server_request *request, uint8_t code, const char *text)
{
    nacre__respond_code(t, request, code, text, 0);
    return false;
}

/* RFC 7959 2.9.3: 4.13, with the largest accepted size in Size1 (4). */
static bool refuse_size(nacre_transfer *t, const nacre__server_request *request, uint64_t limit)
{
    nacre__respond_code(t, request, NACRE_TOO_LARGE, "that is more than is taken", limit == 0 ? 1 : limit);
    return false;
}

/* ---- The first block ----------------------------------------------------------------------------------------------- */

static uint64_t announced(const nacre_event *event)
{
    uint64_t size = 0;
    const nacre_bytes value = nacre_option_find(event->message.options, NACRE_OPT_SIZE1);
    return !nacre_is_absent(value) && nacre_option_uint(value, &size) ? size : 0;
}

static uint64_t limit_of(const nacre_transfer *t, const nacre_upload *upload)
{
    const bool in_pieces = upload->sink.write != NULL;
    const uint64_t most = in_pieces ? UINT64_MAX : t->config.bodies.max_body;
    return upload->max_body != 0 && upload->max_body < most ? upload->max_body : most;
}

static void drop(const nacre_upload *upload)
{
    if (upload->done != NULL) upload->done(upload->sink.user);
}

/* NULL: refused. */
static nacre__body *begin(nacre_transfer *t, const nacre__server_request *request, const nacre_event *event,
                          const nacre__body_key *key)
{
    nacre_upload upload = { 0 };
    if (t->on_upload != NULL) t->on_upload(t->on_upload_user, event, &upload);
    if (upload.code != 0) {
        (void)refuse(t, request, upload.code, upload.text);
        return NULL;
    }
    const uint64_t limit = limit_of(t, &upload), total = announced(event);
    if (total > limit) {
        drop(&upload);
        (void)refuse_size(t, request, limit);
        return NULL;
    }
    nacre__body *body = nacre__body_new(t, key, NACRE__BODY_UPLOAD);
    if (body == NULL) {
        drop(&upload);
        /* RFC 7959 2.9.3: no resources to store blocks now; a body of one block needs none */
        nacre__respond_code(t, request, NACRE_TOO_LARGE, "too many large bodies at once",
                            nacre__block_size(t->max_szx));
        return NULL;
    }
    body->limit = limit;
    body->total = total;
    body->sink = upload.sink;
    body->done = upload.done;
    body->error = upload.error;
    return body;
}

/* ---- Each block ---------------------------------------------------------------------------------------------------- */

/* The upload that this block continues or begins. NULL: refused. */
static nacre__body *body_for(nacre_transfer *t, const nacre__server_request *request, const nacre_event *event)
{
    const nacre__body_key key = nacre__body_key_of(t, event);
    nacre__body *body = nacre__body_find(t, &key, NACRE__BODY_UPLOAD);
    if (request->block1.num == 0) { /* RFC 7959 2.5: block 0 replaces an unfinished body */
        if (body != NULL) nacre__body_release(t, body);
        return begin(t, request, event, &key);
    }
    if (body != NULL && nacre__block_offset(request->block1) == body->len) return body;
    (void)refuse(t, request, NACRE_INCOMPLETE, "not the block that comes next"); /* RFC 7959 2.9.2 */
    return NULL;
}

static bool put(nacre__body *body, nacre_bytes piece)
{
    if (body->sink.write != NULL) return body->sink.write(body->sink.user, body->len, piece, body->total) == NACRE_OK;
    if (piece.len > 0) memcpy(body->bytes + body->len, piece.ptr, piece.len);
    return true;
}

/* RFC 7959 2.9: the error is sent at the failed block, so the client need not send the rest. */
static bool refuse_piece(nacre_transfer *t, const nacre__server_request *request, nacre__body *body)
{
    nacre_upload_error why = { 0, NULL };
    if (body->error != NULL) why = *body->error; /* copied: releasing the body may free it */
    if (why.code == 0) why = (nacre_upload_error){ NACRE_SERVER_ERROR, "that cannot be kept" };
    nacre__body_release(t, body);
    return refuse(t, request, why.code, why.text);
}

/* The body stays readable until the application responds or the next burst begins. */
static bool deliver(nacre_transfer *t, nacre__server_request *request, nacre_event *event, nacre__body *body)
{
    const bool in_pieces = body->sink.write != NULL;
    body->kind = NACRE__BODY_DELIVERED;
    request->body = (uint32_t)(body - t->bodies);
    event->user = in_pieces ? body->sink.user : NULL;
    event->message.payload = in_pieces ? NACRE_ABSENT : nacre_bytes_of(body->bytes, (size_t)body->len);
    return true;
}

/* RFC 7959 2.9.1: 2.31, with our block size if it is smaller than the peer's (2.3). */
static bool go_on(nacre_transfer *t, nacre__server_request *request)
{
    if (request->block1.szx > t->max_szx) request->block1.szx = t->max_szx;
    nacre__respond_code(t, request, NACRE_CONTINUE, NULL, 0);
    return false;
}

bool nacre__block1_server_take(nacre_transfer *t, nacre__server_request *request, nacre_event *event)
{
    const nacre_bytes piece = event->message.payload;
    const size_t size = nacre__block_size(request->block1.szx);
    if (request->block1.more ? piece.len != size : piece.len > size)
        return refuse(t, request, NACRE_BAD_REQUEST, "a block of another size than it says");
    nacre__body *body = body_for(t, request, event);
    if (body == NULL) return false;
    if (piece.len > body->limit - body->len) {
        const uint64_t limit = body->limit;
        nacre__body_release(t, body);
        return refuse_size(t, request, limit);
    }
    if (!put(body, piece)) return refuse_piece(t, request, body);
    body->len += piece.len;
    body->has_progress = request->block1.num > 0;
    body->touched = t->now;
    return request->block1.more ? go_on(t, request) : deliver(t, request, event, body);
}
