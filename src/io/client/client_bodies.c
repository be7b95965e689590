/* SPDX-License-Identifier: MIT */
/* client_bodies: request and response bodies, streamed from and to the application or held whole. */
#include "io/client/client_internal.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BODY = 4096 }; /* initial buffer for a response body in blocks */

void nacre__call_forget_body(nacre__call *call)
{
    if (call->body != NULL) nacre_wipe(call->body, call->body_cap);
    free(call->body);
    call->body = NULL;
    call->body_len = call->body_cap = 0;
}

/* realloc would leave an unwiped copy. */
static bool grow_body(nacre__call *call, size_t need, size_t limit)
{
    size_t cap = call->body_cap != 0 ? call->body_cap : FIRST_BODY;
    while (cap < need) cap = cap > limit / 2 ? limit : cap * 2;
    uint8_t *larger = malloc(cap);
    if (larger == NULL) return false;
    const size_t len = call->body_len;
    if (len > 0) memcpy(larger, call->body, len);
    nacre__call_forget_body(call);
    call->body = larger;
    call->body_len = len;
    call->body_cap = cap;
    return true;
}

static void tell_progress(const nacre__call *call, bool outgoing, uint64_t done, uint64_t total)
{
    if (call->client->options.on_progress != NULL)
        call->client->options.on_progress(call->client->options.user, outgoing, done, total);
}

/* The application's functions run between these two. A call that they cancel or deregister fails in the transfer; at the event of
 * that it is freed, or deregistered. */
static void begin_callback(nacre__call *call)
{
    call->num_callbacks++;
    call->client->is_reading_or_writing = true;
}

static nacre_err end_callback(nacre__call *call, nacre_err err)
{
    call->num_callbacks--;
    call->client->is_reading_or_writing = false;
    return call->is_cancelled || call->leaves ? NACRE_ERR_STALE : err;
}

static nacre_err told(nacre__call *call, nacre_err err)
{
    call->is_given_up = call->is_given_up || err != NACRE_OK;
    return err;
}

static nacre_err read_source(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    nacre__call *call = user;
    begin_callback(call);
    if (offset > 0) tell_progress(call, true, offset, call->source.size == NACRE_SIZE_UNKNOWN ? 0 : call->source.size);
    const nacre_err err = told(call, call->source.read(call->source.user, offset, buf, len));
    return end_callback(call, err);
}

static nacre_err read_payload(void *user, uint64_t offset, nacre_buf buf, size_t *len)
{
    const nacre__call *call = user;
    *len = call->payload.len - (size_t)offset < buf.cap ? call->payload.len - (size_t)offset : buf.cap;
    memcpy(buf.ptr, call->payload.ptr + offset, *len);
    return NACRE_OK;
}

/* Collects the whole response body. */
static nacre_err collect(nacre__call *call, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    const size_t limit = call->client->options.limits.max_body;
    if (total > limit || offset > limit || piece.len > limit - offset) return NACRE_ERR_TOO_LONG;
    call->body_len = (size_t)offset; /* 0: the body starts again */
    const size_t need = call->body_len + piece.len;
    if (need > call->body_cap && !grow_body(call, need, limit)) return NACRE_ERR_NO_MEMORY;
    if (piece.len > 0) memcpy(call->body + call->body_len, piece.ptr, piece.len);
    call->body_len = need;
    return NACRE_OK;
}

static nacre_err write_sink(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    nacre__call *call = user;
    begin_callback(call);
    if (offset > 0 || piece.len < total) tell_progress(call, false, offset + piece.len, total);
    const nacre_err err = call->sink.write == NULL
                              ? collect(call, offset, piece, total)
                              : told(call, call->sink.write(call->sink.user, offset, piece, total));
    return end_callback(call, err);
}

void nacre__call_bodies(nacre__call *call)
{
    const nacre_client_options *options = &call->client->options;
    call->is_given_up = false;
    call->how = (nacre_transfer_options){ .block_size = options->limits.block_size, .sink = { write_sink, call } };
    call->how.request.via_proxy = call->client->proxy != NULL;
    if (options->on_progress != NULL && call->given.len > NACRE_MAX_BLOCK) {
        call->payload = call->given;
        call->source = (nacre_source){ read_payload, call, call->payload.len };
        call->plain.payload = NACRE_ABSENT;
    }
    if (call->source.read != NULL) call->how.source = (nacre_source){ read_source, call, call->source.size };
}
