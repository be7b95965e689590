/* SPDX-License-Identifier: MIT */
/* client_bodies: the bodies of a request and its answer, in pieces of the application's or as a whole. */
#include "io/client/client_internal.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BODY = 4096 }; /* what is taken at first for an answer in pieces */

void nacre__client_forget_body(nacre_client *client)
{
    if (client->body != NULL) nacre_wipe(client->body, client->body_cap);
    free(client->body);
    client->body = NULL;
    client->body_len = client->body_cap = 0;
}

/* Not realloc: what it leaves behind is not wiped. */
static bool grow_body(nacre_client *client, size_t need, size_t limit)
{
    size_t cap = client->body_cap != 0 ? client->body_cap : FIRST_BODY;
    while (cap < need) cap = cap > limit / 2 ? limit : cap * 2;
    uint8_t *larger = malloc(cap);
    if (larger == NULL) return false;
    const size_t len = client->body_len;
    if (len > 0) memcpy(larger, client->body, len);
    nacre__client_forget_body(client);
    client->body = larger;
    client->body_len = len;
    client->body_cap = cap;
    return true;
}

static void tell_progress(const nacre_client *client, bool outgoing, uint64_t done, uint64_t total)
{
    if (client->options.on_progress != NULL) client->options.on_progress(client->options.user, outgoing, done, total);
}

static nacre_err told(nacre_client *client, nacre_err err)
{
    client->is_given_up = client->is_given_up || err != NACRE_OK;
    return err;
}

static nacre_err read_source(void *user, uint64_t offset, nacre_buf room, size_t *len)
{
    nacre_client *client = user;
    if (offset > 0)
        tell_progress(client, true, offset, client->source.size == NACRE_SIZE_UNKNOWN ? 0 : client->source.size);
    return told(client, client->source.read(client->source.user, offset, room, len));
}

static nacre_err read_payload(void *user, uint64_t offset, nacre_buf room, size_t *len)
{
    const nacre_client *client = user;
    *len = client->payload.len - (size_t)offset < room.cap ? client->payload.len - (size_t)offset : room.cap;
    memcpy(room.ptr, client->payload.ptr + offset, *len);
    return NACRE_OK;
}

/* The answer's body as a whole. */
static nacre_err collect(nacre_client *client, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    const size_t limit = client->options.max_body;
    if (total > limit || offset > limit || piece.len > limit - offset) return NACRE_ERR_TOO_LONG;
    client->body_len = (size_t)offset; /* 0 again: it began anew */
    const size_t need = client->body_len + piece.len;
    if (need > client->body_cap && !grow_body(client, need, limit)) return NACRE_ERR_NO_MEMORY;
    if (piece.len > 0) memcpy(client->body + client->body_len, piece.ptr, piece.len);
    client->body_len = need;
    return NACRE_OK;
}

static nacre_err write_sink(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    nacre_client *client = user;
    if (offset > 0 || piece.len < total) tell_progress(client, false, offset + piece.len, total);
    if (client->sink.write == NULL) return collect(client, offset, piece, total);
    return told(client, client->sink.write(client->sink.user, offset, piece, total));
}

nacre_transfer_options nacre__client_bodies(nacre_client *client, nacre_message *plain, const nacre_source *source,
                                            const nacre_sink *sink)
{
    nacre_transfer_options how = { .block_size = client->options.block_size, .sink = { write_sink, client } };
    client->is_given_up = false;
    client->source = source != NULL ? *source : (nacre_source){ 0 };
    client->sink = sink != NULL ? *sink : (nacre_sink){ 0 };
    client->payload = plain->payload;
    if (client->options.on_progress != NULL && plain->payload.len > NACRE_MAX_BLOCK) {
        client->source = (nacre_source){ read_payload, client, plain->payload.len };
        plain->payload = NACRE_ABSENT;
    }
    if (client->source.read != NULL) how.source = (nacre_source){ read_source, client, client->source.size };
    return how;
}
