/* SPDX-License-Identifier: MIT */
/* fleet: see fleet.h. */
#include "fleet.h"

#include <stdio.h>
#include <stdlib.h>

void fleet_describe(nacre_directory_info *info, size_t index)
{
    memset(info, 0, sizeof *info);
    info->aead = nacre_aead_by_number(NACRE_AES_CCM_16_64_128);
    info->window = 32;
    info->window_known = true;
    info->sender_id[0] = 1;
    info->sender_id_len = 1;
    info->recipient_id_len = 4;
    for (size_t i = 0; i < 4; i++) info->recipient_id[i] = (uint8_t)(index >> (8 * i));
    info->secret_len = 16;
    memset(info->secret, 0x5c, 16);
    memcpy(info->secret, info->recipient_id, 4);
    info->salt_len = 8;
    memset(info->salt, 0x3a, 8);
}

nacre_context *fleet_peer(const nacre_directory_info *info)
{
    nacre_context_params params = {
        .cose_aead = info->aead->cose,
        .hash = info->hash,
        .master_secret.bytes = nacre_bytes_of(info->secret, info->secret_len),
        .master_salt = nacre_bytes_of(info->salt, info->salt_len),
        .id_context =
            info->has_id_context ? test_copy(nacre_bytes_of(info->id_context, info->id_context_len)) : NACRE_ABSENT,
        .sender_id = nacre_bytes_of(info->recipient_id, info->recipient_id_len),
        .recipient_id = nacre_bytes_of(info->sender_id, info->sender_id_len),
    };
    return test_context(&params);
}

static nacre_err give(void *user, nacre_sqlite_context *context, size_t index, nacre_detail *why)
{
    (void)why;
    context->info = (*(const nacre_directory_info **)user)[index];
    return NACRE_OK;
}

void fleet_database(const char *path, const nacre_directory_info *infos, size_t num)
{
    nacre_sqlite *db = NULL;
    nacre_detail why = { "" };
    nacre_err err = nacre_sqlite_create(path, NULL, test_crypto(), &why);
    if (err == NACRE_OK) err = nacre_sqlite_open(&db, path, NULL, test_crypto(), &why);
    if (err == NACRE_OK) err = nacre_sqlite_add(db, NULL, num, give, &infos, &why);
    if (err == NACRE_OK) err = nacre_sqlite_close(db, &why);
    if (err != NACRE_OK) fail_msg("%s", why.text);
}

void (*fleet_on_number)(const nacre_context *ctx, uint64_t number);

enum { MAX_DATAGRAM = 1024 };

static nacre_message request(nacre_bytes options)
{
    static const uint8_t token[] = { 0x0a, 0x0b };
    return (nacre_message){ NACRE_CON, NACRE_GET, 7, NACRE_ARRAY(token), options, NACRE_ABSENT };
}

static void serve(const nacre_store *store, nacre_context *ctx)
{
    nacre_needs needs = nacre_context_needs(ctx);
    if (needs.reserve != 0 || needs.window_lost) (void)!nacre_store_serve(store, ctx, NULL);
}

static nacre_err receive(nacre_context *ctx, const nacre_store *store, nacre_bytes datagram, nacre_request_id *id)
{
    uint8_t buffer[MAX_DATAGRAM];
    nacre_message outer = test_parse(datagram), plain;
    nacre_err err = NACRE_ERR_NOT_YET;
    for (int attempt = 0; attempt < 3 && err == NACRE_ERR_NOT_YET; attempt++) {
        err = nacre_unprotect_request(ctx, test_crypto(), id, &plain, NACRE_BUF(buffer), &outer);
        if (err == NACRE_ERR_NOT_YET) serve(store, ctx);
    }
    return err;
}

/* RFC 8613 B.1.2: the 4.01 with Echo; gives the option for the next request. */
static nacre_err challenge(nacre_context *peer, nacre_context *ctx, const nacre_store *store, nacre_bytes datagram,
                           nacre_request_id *at_ctx, const nacre_request_id *at_peer, nacre_buf buf,
                           nacre_bytes *option)
{
    uint8_t buffer[MAX_DATAGRAM], plaintext[MAX_DATAGRAM];
    nacre_bytes out;
    nacre_message m = test_parse(datagram), plain;
    m.type = NACRE_ACK;
    nacre_err err = NACRE_ERR_NOT_YET;
    for (int attempt = 0; attempt < 2 && err == NACRE_ERR_NOT_YET; attempt++) {
        serve(store, ctx);
        uint64_t number = nacre_context_next_seq(ctx);
        err = nacre_protect_echo(ctx, test_crypto(), at_ctx, &out, NACRE_BUF(buffer), &m);
        if (err == NACRE_OK && fleet_on_number != NULL) fleet_on_number(ctx, number);
    }
    if (err != NACRE_OK) return err;
    nacre_message outer = test_parse(out);
    assert_ok(nacre_unprotect_response(peer, test_crypto(), at_peer, &plain, NULL, NACRE_BUF(plaintext), &outer));
    nacre_options o;
    nacre_options_init(&o, buf);
    nacre_options_add(&o, NACRE_OPT_ECHO, nacre_option_find(plain.options, NACRE_OPT_ECHO));
    assert_ok(nacre_options_finish(&o, option));
    return NACRE_OK;
}

static uint8_t last[MAX_DATAGRAM];
static size_t last_len;

nacre_bytes fleet_last_request(void)
{
    return nacre_bytes_of(last, last_len);
}

nacre_err fleet_replay(nacre_context *ctx, const nacre_store *store, nacre_bytes datagram)
{
    nacre_request_id id;
    return receive(ctx, store, datagram, &id);
}

nacre_err fleet_request_one(nacre_context *peer, nacre_context *ctx, const nacre_store *store, bool *echo)
{
    uint8_t buf[32];
    nacre_bytes options = NACRE_ABSENT, datagram;
    nacre_request_id at_peer, at_ctx;
    nacre_err err = NACRE_OK;
    for (int attempt = 0; attempt < 2; attempt++) {
        nacre_message m = request(options);
        assert_ok(nacre_protect_request(peer, test_crypto(), &at_peer, &datagram, NACRE_BUF(last), &m, NULL));
        last_len = datagram.len;
        err = receive(ctx, store, datagram, &at_ctx);
        if (echo != NULL) *echo = attempt > 0;
        if (err != NACRE_ERR_REPLAY_ECHO) return err;
        err = challenge(peer, ctx, store, datagram, &at_ctx, &at_peer, NACRE_BUF(buf), &options);
        if (err != NACRE_OK) return err;
    }
    return NACRE_ERR_REPLAY_ECHO;
}

static nacre_err send_to(nacre_bytes *out, nacre_context *ctx, const nacre_store *store, nacre_buf buf)
{
    nacre_request_id id;
    nacre_message m = request(NACRE_ABSENT);
    nacre_err err = NACRE_ERR_NOT_YET;
    for (int attempt = 0; attempt < 2 && err == NACRE_ERR_NOT_YET; attempt++) {
        serve(store, ctx);
        uint64_t number = nacre_context_next_seq(ctx);
        err = nacre_protect_request(ctx, test_crypto(), &id, out, buf, &m, NULL);
        if (err == NACRE_OK && fleet_on_number != NULL) fleet_on_number(ctx, number);
    }
    return err;
}

nacre_err fleet_try_to_send(nacre_context *ctx, const nacre_store *store)
{
    uint8_t buffer[MAX_DATAGRAM];
    nacre_bytes out;
    return send_to(&out, ctx, store, NACRE_BUF(buffer));
}

uint64_t fleet_send_one(nacre_context *peer, nacre_context *ctx, const nacre_store *store)
{
    uint8_t buffer[MAX_DATAGRAM];
    nacre_request_id at_peer;
    nacre_bytes out;
    assert_ok(send_to(&out, ctx, store, NACRE_BUF(buffer)));
    assert_ok(receive(peer, NULL, out, &at_peer));
    return nacre_context_next_seq(ctx) - 1;
}

nacre_bytes file_bytes(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size_t len = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = test_alloc(len);
    assert_int_equal(fread(bytes, 1, len, file), len);
    (void)fclose(file);
    return nacre_bytes_of(bytes, len);
}

void file_put(const char *path, nacre_bytes bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
}
