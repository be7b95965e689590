/* SPDX-License-Identifier: MIT */
/* generate: a fresh pair of context directories. Either both are complete and durable, or what was made is taken away
 * again. */
#include <nacre/store.h>

#include <string.h>

#include "store/create.h"
#include "store/fail.h"
#include "store/random.h"

enum { SALT_LEN = 8, MAX_ID_CONTEXT = 255 };

static bool same_path(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    while (a_len > 1 && a[a_len - 1] == '/') a_len--;
    while (b_len > 1 && b[b_len - 1] == '/') b_len--;
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static nacre_err check(const char *client_path, const char *server_path, const nacre_generate_options *options,
                       nacre_detail *why)
{
    if (same_path(client_path, server_path))
        return nacre__store_fail(why, NACRE_ERR_BAD_ARGUMENT,
                                 "%s: given for both sides; client and server need a directory each", client_path);
    if (options->aead != NULL && nacre_aead_by_number(options->aead->cose) != options->aead)
        return nacre__store_fail(why, NACRE_ERR_BAD_ARGUMENT, "the algorithm is not one of the table (nacre_aead_at)");
    if (options->id_context.len > MAX_ID_CONTEXT)
        return nacre__store_fail(why, NACRE_ERR_BAD_ARGUMENT, "the ID Context has %zu bytes, at most 255 are allowed",
                                 options->id_context.len);
    return NACRE_OK;
}

/* The client's side: random secret and salt, Sender ID 00, Recipient ID 01. */
static nacre_err invent(nacre_directory_info *info, const nacre_generate_options *options, nacre_detail *why)
{
    memset(info, 0, sizeof *info);
    info->aead = options->aead != NULL ? options->aead : nacre_aead_by_number(NACRE_AES_CCM_16_64_128);
    info->hash = NACRE_SHA256;
    info->window = NACRE_REPLAY_DEFAULT;
    info->has_id_context = !nacre_is_absent(options->id_context);
    info->id_context_len = options->id_context.len;
    if (info->id_context_len > 0) memcpy(info->id_context, options->id_context.ptr, info->id_context_len);
    info->sender_id_len = info->recipient_id_len = 1;
    info->recipient_id[0] = 1;
    info->secret_len = info->aead->key_len > 16 ? 32 : 16; /* as strong as the key: 16 bytes for 128 bits, 32 above */
    info->salt_len = SALT_LEN;
    /* RFC 8613 12.3: the master secret is random. */
    if (nacre__store_random(info->secret, info->secret_len) && nacre__store_random(info->salt, info->salt_len))
        return NACRE_OK;
    return nacre__store_fail(why, NACRE_ERR_CRYPTO, "the system gives no random bytes");
}

static nacre_err create_both(const char *client_path, const char *server_path, nacre_directory_info *info,
                             nacre_detail *why)
{
    nacre_err err = nacre_directory_create(client_path, info, why);
    if (err != NACRE_OK) return err;
    info->sender_id[0] = 1;
    info->recipient_id[0] = 0;
    err = nacre_directory_create(server_path, info, why);
    if (err != NACRE_OK) nacre__directory_take_away(client_path);
    return err;
}

nacre_err nacre_directory_generate(const char *client_path, const char *server_path,
                                   const nacre_generate_options *options, nacre_detail *why)
{
    static const nacre_generate_options defaults = { NULL, { NULL, 0 } };
    nacre_directory_info info;
    if (options == NULL) options = &defaults;
    nacre_err err = check(client_path, server_path, options, why);
    if (err != NACRE_OK) return err;
    err = invent(&info, options, why);
    if (err == NACRE_OK) err = create_both(client_path, server_path, &info, why);
    nacre_wipe(&info, sizeof info);
    return err;
}
