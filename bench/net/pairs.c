/* SPDX-License-Identifier: MIT */
/* pairs: contexts, and requests built in advance. See pairs.h. */
#include "pairs.h"
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SEQ = 70000 }; /* 3 bytes from the beginning: messages of one length can be coalesced */

/* ---- Contexts ---------------------------------------------------------------------------------------------------- */

void pair_id(uint8_t id[4], size_t number)
{
    for (int i = 0; i < 4; i++) id[i] = (uint8_t)(number >> (24 - 8 * i));
}

void pair_secret(uint8_t secret[16], size_t number)
{
    for (int i = 0; i < 12; i++) secret[i] = (uint8_t)('a' + i);
    pair_id(secret + 12, number);
}

static void open_side(nacre_context *ctx, nacre_buf *keys, const nacre_crypto *crypto, nacre_bytes secret,
                      nacre_bytes mine, nacre_bytes theirs)
{
    size_t size, align;
    const nacre_context_params params = {
        .master_secret = { .bytes = secret },
        .sender_id = mine,
        .recipient_id = theirs,
        .window = 64,
        .next_seq = FIRST_SEQ,
    };
    bench_check(nacre_context_key_layout(crypto, 0, &size, &align) == NACRE_OK, "no AES-CCM-16-64-128");
    *keys = (nacre_buf){ bench_alloc(size), size };
    bench_check(nacre_context_init(ctx, crypto, &params, *keys) == NACRE_OK, "no context");
}

pair *pairs_open(const nacre_crypto *crypto, size_t num)
{
    pair *pairs = bench_alloc(num * sizeof *pairs);
    for (size_t i = 0; i < num; i++) {
        uint8_t id[4], secret[16];
        pair_id(id, i);
        pair_secret(secret, i);
        open_side(&pairs[i].client, &pairs[i].keys[0], crypto, NACRE_ARRAY(secret), NACRE_ARRAY(id),
                  NACRE_STR(PAIR_SERVER_ID));
        open_side(&pairs[i].server, &pairs[i].keys[1], crypto, NACRE_ARRAY(secret), NACRE_STR(PAIR_SERVER_ID),
                  NACRE_ARRAY(id));
    }
    return pairs;
}

void pairs_close(pair *pairs, size_t num)
{
    for (size_t i = 0; i < num; i++) {
        nacre_context_wipe(&pairs[i].client);
        nacre_context_wipe(&pairs[i].server);
        free(pairs[i].keys[0].ptr);
        free(pairs[i].keys[1].ptr);
    }
    free(pairs);
}

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

batch batch_open(void)
{
    return (batch){ .bytes = bench_alloc((size_t)BATCH_MOST * BATCH_REQUEST),
                    .requests = bench_alloc(BATCH_MOST * sizeof(load_request)) };
}

void batch_close(batch *b)
{
    free(b->bytes);
    free(b->requests);
}

void batch_start(batch *b)
{
    b->num = 0;
}

void batch_add(batch *b, const batch_kind *kind)
{
    uint8_t option_bytes[32], token[4];
    nacre_options options;
    nacre_request_id id;
    nacre_bytes out;
    const size_t i = b->num++;
    const nacre_buf buf = { b->bytes + i * BATCH_REQUEST, BATCH_REQUEST };
    pair_id(token, i); /* as load.h requires */
    nacre_message plain = {
        .type = kind->con ? NACRE_CON : NACRE_NON, .code = NACRE_GET, .mid = b->next_mid++, .token = NACRE_ARRAY(token)
    };
    plain.payload = NACRE_ABSENT;
    nacre_options_init(&options, NACRE_BUF(option_bytes));
    nacre_options_add(&options, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)kind->path, strlen(kind->path)));
    bench_check(nacre_options_finish(&options, &plain.options) == NACRE_OK, "options");
    const nacre_err err = kind->pairs == NULL ? nacre_message_write(&plain, &out, buf)
                                              : nacre_protect_request(&kind->pairs[i % kind->num_pairs].client,
                                                                      kind->crypto, &id, &out, buf, &plain, NULL);
    bench_check(err == NACRE_OK, nacre_err_text(err));
    b->requests[i] = (load_request){ out.ptr, (uint16_t)out.len };
}

void batch_fill(batch *b, size_t num, const batch_kind *kind)
{
    batch_start(b);
    for (size_t i = 0; i < num; i++) batch_add(b, kind);
}
