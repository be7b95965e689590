/* SPDX-License-Identifier: MIT */
/* contexts: the contexts of the public OSCORE interop tests, in directories or in memory, with correct or wrong keys. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "plugtest.h"

static const uint8_t master_secret[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
static const uint8_t master_salt[] = { 0x9e, 0x7c, 0xa9, 0x22, 0x23, 0x78, 0x63, 0x40 };
static const uint8_t id_context[] = { 0x37, 0xcb, 0xf3, 0x21, 0x00, 0x17, 0xa2, 0xd3 };
static const uint8_t server_id[] = { 1 };

enum { CCM = 10, WINDOW = 32 };

static bool is_client(char letter)
{
    return letter == 'a' || letter == 'c';
}

static bool has_id_context(char letter)
{
    return letter == 'c' || letter == 'd';
}

/* The client's Sender ID is empty, the server's 01. */
static nacre_bytes sender_id_of(char letter)
{
    return is_client(letter) ? nacre_bytes_of(server_id, 0) : NACRE_ARRAY(server_id);
}

static nacre_bytes recipient_id_of(char letter)
{
    return is_client(letter) ? NACRE_ARRAY(server_id) : nacre_bytes_of(server_id, 0);
}

/* ---- Wrong keys ----------------------------------------------------------------------------------------------------- */

static nacre_err key_init(const nacre_crypto *crypto, const nacre_aead *aead, nacre_direction direction, void *key,
                          const uint8_t *bytes)
{
    const plugtest_crypto *c = (const plugtest_crypto *)(const void *)crypto->ops;
    uint8_t inverted_bytes[32];
    if ((int)direction != c->inverted) return c->under.ops->key_init(&c->under, aead, direction, key, bytes);
    for (size_t i = 0; i < aead->key_len; i++) inverted_bytes[i] = (uint8_t)~bytes[i];
    nacre_err err = c->under.ops->key_init(&c->under, aead, direction, key, inverted_bytes);
    nacre_wipe(inverted_bytes, sizeof inverted_bytes);
    return err;
}

nacre_err plugtest_crypto_open(plugtest_crypto *crypto)
{
    nacre_err err = nacre_openssl_open(&crypto->under);
    if (err != NACRE_OK) return err;
    crypto->ops = *crypto->under.ops;
    crypto->ops.key_init = key_init;
    crypto->inverted = -1;
    crypto->crypto = (nacre_crypto){ &crypto->ops, crypto->under.instance };
    return NACRE_OK;
}

void plugtest_crypto_close(plugtest_crypto *crypto)
{
    nacre_openssl_close(&crypto->under);
}

/* ---- In memory ------------------------------------------------------------------------------------------------------ */

nacre_err plugtest_derive(plugtest_context *c, char letter, const nacre_crypto *crypto, nacre_bytes sender_id,
                          uint64_t next_seq)
{
    size_t size, align;
    *c = (plugtest_context){ 0 };
    const nacre_context_params params = {
        .cose_aead = CCM,
        .master_secret = { .bytes = NACRE_ARRAY(master_secret) },
        .master_salt = NACRE_ARRAY(master_salt),
        .id_context = has_id_context(letter) ? NACRE_ARRAY(id_context) : NACRE_ABSENT,
        .sender_id = nacre_is_absent(sender_id) ? sender_id_of(letter) : sender_id,
        .recipient_id = recipient_id_of(letter),
        .next_seq = next_seq,
    };
    nacre_err err = nacre_context_key_layout(crypto, CCM, &size, &align);
    if (err != NACRE_OK) return err;
    c->keys = aligned_alloc(align, (size + align - 1) / align * align);
    if (c->keys == NULL) return NACRE_ERR_NO_MEMORY;
    err = nacre_context_init(&c->made, crypto, &params, (nacre_buf){ c->keys, size });
    if (err == NACRE_OK) c->context = &c->made;
    else free(c->keys);
    return err;
}

/* ---- In a directory ------------------------------------------------------------------------------------------------- */

static void copy(uint8_t *to, size_t *len, nacre_bytes from)
{
    if (from.len > 0) memcpy(to, from.ptr, from.len);
    *len = from.len;
}

static nacre_err create(const char *path, char letter, nacre_detail *why)
{
    nacre_directory_info info = { .aead = nacre_aead_by_number(CCM), .hash = NACRE_SHA256, .window = WINDOW };
    copy(info.secret, &info.secret_len, NACRE_ARRAY(master_secret));
    copy(info.salt, &info.salt_len, NACRE_ARRAY(master_salt));
    copy(info.sender_id, &info.sender_id_len, sender_id_of(letter));
    copy(info.recipient_id, &info.recipient_id_len, recipient_id_of(letter));
    info.has_id_context = has_id_context(letter);
    if (info.has_id_context) copy(info.id_context, &info.id_context_len, NACRE_ARRAY(id_context));
    return nacre_directory_create(path, &info, why);
}

nacre_err plugtest_open(plugtest_context *c, char letter, const char *state, const nacre_crypto *crypto,
                        nacre_detail *why)
{
    char path[4096];
    struct stat st;
    if (state == NULL) {
        nacre_err err = plugtest_derive(c, letter, crypto, NACRE_ABSENT, 0);
        if (err != NACRE_OK)
            (void)snprintf(why->text, sizeof why->text, "cannot make a context: %s", nacre_err_text(err));
        return err;
    }
    *c = (plugtest_context){ 0 };
    int len = snprintf(path, sizeof path, "%s/%c", state, letter);
    if (len < 0 || (size_t)len >= sizeof path || (mkdir(state, 0700) != 0 && errno != EEXIST)) {
        (void)snprintf(why->text, sizeof why->text, "cannot make the directory '%.300s': %s", state,
                       len < (int)sizeof path ? strerror(errno) : "the name is too long");
        return NACRE_ERR_FILE;
    }
    nacre_err err = stat(path, &st) != 0 && errno == ENOENT ? create(path, letter, why) : NACRE_OK;
    if (err == NACRE_OK) err = nacre_directory_open(&c->dir, path, crypto, why);
    if (err != NACRE_OK) return err;
    c->context = nacre_directory_context(c->dir);
    c->store = nacre_directory_store(c->dir);
    return NACRE_OK;
}

nacre_err plugtest_close(plugtest_context *c, nacre_detail *why)
{
    nacre_err err = c->dir != NULL ? nacre_directory_close(c->dir, why) : NACRE_OK;
    nacre_context_wipe(&c->made);
    free(c->keys);
    *c = (plugtest_context){ 0 };
    return err;
}
