/* SPDX-License-Identifier: MIT */
/* generate: makes a new pair of context directories. Either both are complete and durable, or both are removed. */
#include <nacre/store.h>

#include <string.h>

#include "store/directory/create.h"
#include "base/hosted/detail.h"
#include "store/random.h"

enum { SALT_LEN = 8, MAX_ID_CONTEXT = 255 };

static bool same_path(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    while (a_len > 1 && a[a_len - 1] == '/') a_len--;
    while (b_len > 1 && b[b_len - 1] == '/') b_len--;
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static const nacre_aead *aead_of(const nacre_generate_options *options)
{
    return options->aead != NULL ? options->aead : nacre_aead_by_number(NACRE_AES_CCM_16_64_128);
}

/* RFC 8613 3.3: the nonce bounds the length, and the two must differ. Absent IDs are chosen later. */
static nacre_err check_ids(const nacre_generate_options *options, nacre_detail *why)
{
    const nacre_aead *aead = aead_of(options);
    const size_t most = (size_t)aead->nonce_len - 6;
    const nacre_bytes client = options->client_id, server = options->server_id;
    if (client.len > most || server.len > most)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "the Sender ID of the %s has %zu bytes, %s allows %zu",
                           client.len > most ? "client" : "server", client.len > most ? client.len : server.len,
                           aead->name, most);
    if (!nacre_is_absent(client) && !nacre_is_absent(server) && nacre_bytes_equal(client, server))
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "client and server have the same Sender ID; they need different ones");
    return NACRE_OK;
}

static nacre_err check(const char *client_path, const char *server_path, const nacre_generate_options *options,
                       nacre_detail *why)
{
    if (options->size != 0 && options->size != sizeof *options)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "the options are of another version of nacre: compile the program anew");
    if (same_path(client_path, server_path))
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "%s: given for both sides; client and server need a directory each", client_path);
    if (options->aead != NULL && nacre_aead_by_number(options->aead->cose) != options->aead)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "the algorithm is not one of the table (nacre_aead_at)");
    if (options->id_context.len > MAX_ID_CONTEXT)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "the ID Context has %zu bytes, at most 255 are allowed",
                           options->id_context.len);
    return check_ids(options, why);
}

/* The given ID, or a random one of `len` bytes. */
static bool choose_id(uint8_t *id, size_t *id_len, nacre_bytes given, size_t len)
{
    *id_len = nacre_is_absent(given) ? len : given.len;
    if (nacre_is_absent(given)) return nacre__store_random(id, len);
    if (given.len > 0) memcpy(id, given.ptr, given.len);
    return true;
}

/* RFC 8613 3.3: IDs that are not assigned are random. The client gets two bytes, so that many clients of one server seldom
 * collide (a collision costs a second decryption attempt); the server gets one, as a client knows few servers; each gets one
 * if the algorithm's nonce allows no more. Repeated until they differ. */
static bool choose_ids(nacre_directory_info *info, const nacre_generate_options *options)
{
    const size_t most = (size_t)info->aead->nonce_len - 6;
    do {
        if (!choose_id(info->sender_id, &info->sender_id_len, options->client_id, most < 2 ? most : 2) ||
            !choose_id(info->recipient_id, &info->recipient_id_len, options->server_id, 1))
            return false;
    } while (nacre_bytes_equal(nacre_bytes_of(info->sender_id, info->sender_id_len),
                               nacre_bytes_of(info->recipient_id, info->recipient_id_len)));
    return true;
}

/* The client's side: random secret and salt, given or random IDs. */
static nacre_err invent(nacre_directory_info *info, const nacre_generate_options *options, nacre_detail *why)
{
    memset(info, 0, sizeof *info);
    info->aead = aead_of(options);
    info->hash = NACRE_SHA256;
    info->window = NACRE_REPLAY_DEFAULT;
    info->has_id_context = !nacre_is_absent(options->id_context);
    info->id_context_len = options->id_context.len;
    if (info->id_context_len > 0) memcpy(info->id_context, options->id_context.ptr, info->id_context_len);
    info->secret_len = info->aead->key_len > 16 ? 32 : 16; /* as strong as the key: 16 bytes for 128 bits, 32 above */
    info->salt_len = SALT_LEN;
    /* RFC 8613 12.3: the master secret is random. */
    if (nacre__store_random(info->secret, info->secret_len) && nacre__store_random(info->salt, info->salt_len) &&
        choose_ids(info, options))
        return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_CRYPTO, "the system gives no random bytes");
}

static void cross(nacre_directory_info *info)
{
    uint8_t id[NACRE_MAX_ID];
    const size_t id_len = info->sender_id_len;
    memcpy(id, info->sender_id, sizeof id);
    memcpy(info->sender_id, info->recipient_id, sizeof id);
    memcpy(info->recipient_id, id, sizeof id);
    info->sender_id_len = info->recipient_id_len;
    info->recipient_id_len = id_len;
}

static nacre_err create_both(const char *client_path, const char *server_path, nacre_directory_info *info,
                             nacre_detail *why)
{
    nacre_err err = nacre_directory_create(client_path, info, why);
    if (err != NACRE_OK) return err;
    cross(info);
    err = nacre_directory_create(server_path, info, why);
    if (err != NACRE_OK) nacre__directory_take_away(client_path);
    return err;
}

nacre_err nacre_directory_generate(const char *client_path, const char *server_path,
                                   const nacre_generate_options *options, nacre_detail *why)
{
    static const nacre_generate_options defaults = { .aead = NULL };
    nacre_directory_info info;
    if (options == NULL) options = &defaults;
    nacre_err err = check(client_path, server_path, options, why);
    if (err != NACRE_OK) return err;
    err = invent(&info, options, why);
    if (err == NACRE_OK) err = create_both(client_path, server_path, &info, why);
    nacre_wipe(&info, sizeof info);
    return err;
}
