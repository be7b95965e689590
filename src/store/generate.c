/* SPDX-License-Identifier: MIT */
/* generate: a fresh pair of context directories. Either both are complete and durable, or what was made is taken away
 * again. secret.json comes last: a directory that a crash left half-made has none, and cannot be opened. */
#include <nacre/store.h>

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/fail.h"
#include "store/files.h"
#include "store/random.h"

enum { SALT_LEN = 8, MAX_ID_CONTEXT = 255, MAX_TEXT = 1024 };

/* One of the two directories. */
struct side {
    const char *path;
    const char *sender_id, *recipient_id;
    nacre__folder folder; /* fd -1 until it is made */
    bool made;
};

struct material {
    const nacre_aead *aead;
    nacre_bytes id_context;
    uint8_t secret[NACRE_MAX_KEY], salt[SALT_LEN];
};

static void settings_text(char text[MAX_TEXT], const struct side *side, const struct material *m)
{
    char hex[2 * MAX_ID_CONTEXT + 1] = "", id_context[2 * MAX_ID_CONTEXT + 40] = "";
    if (!nacre_is_absent(m->id_context)) {
        nacre_hex_encode(hex, m->id_context);
        snprintf(id_context, sizeof id_context, ",\n \"id-context_hex\": \"%s\"", hex);
    }
    snprintf(text, MAX_TEXT,
             "{\"sender-id_hex\": \"%s\",\n \"recipient-id_hex\": \"%s\",\n \"algorithm\": \"%s\",\n"
             " \"kdf-hashfun\": \"sha256\"%s}\n",
             side->sender_id, side->recipient_id, m->aead->name, id_context);
}

static void secret_text(char text[MAX_TEXT], const struct material *m)
{
    char secret[2 * NACRE_MAX_KEY + 1], salt[2 * SALT_LEN + 1];
    /* As strong as the key: 16 bytes for 128 bits, 32 above. */
    nacre_hex_encode(secret, nacre_bytes_of(m->secret, m->aead->key_len > 16 ? 32 : 16));
    nacre_hex_encode(salt, NACRE_ARRAY(m->salt));
    snprintf(text, MAX_TEXT, "{\"secret_hex\": \"%s\",\n \"salt_hex\": \"%s\"}\n", secret, salt);
    nacre_wipe(secret, sizeof secret);
    nacre_wipe(salt, sizeof salt);
}

static nacre_err make_directory(struct side *side, nacre_detail *why)
{
    if (mkdir(side->path, 0700) != 0)
        return nacre__store_fail(why, NACRE_ERR_FILE, "%s: cannot make the directory: %s", side->path, strerror(errno));
    side->made = true;
    return nacre__folder_open(&side->folder, side->path, why);
}

static nacre_err write_file(const struct side *side, const char *name, const char *text, nacre_detail *why)
{
    bool uncertain;
    return nacre__file_replace(&side->folder, name, text, &uncertain, why);
}

static nacre_err write_settings(const struct side *side, const struct material *m, nacre_detail *why)
{
    char text[MAX_TEXT];
    settings_text(text, side, m);
    return write_file(side, "settings.json", text, why);
}

static nacre_err write_secret(const struct side *side, const struct material *m, nacre_detail *why)
{
    char text[MAX_TEXT];
    secret_text(text, m);
    nacre_err err = write_file(side, "secret.json", text, why);
    nacre_wipe(text, sizeof text);
    return err;
}

/* The new directory's own entry lies in its parent. */
nacre_err nacre__folder_sync_parent(const char *path, nacre_detail *why)
{
    nacre__folder parent;
    char *copy = strdup(path);
    if (copy == NULL) return nacre__store_fail(why, NACRE_ERR_NO_MEMORY, "out of memory");
    nacre_err err = nacre__folder_open(&parent, dirname(copy), why);
    if (err == NACRE_OK) {
        err = nacre__folder_sync(&parent, why);
        nacre__folder_close(&parent);
    }
    free(copy);
    return err;
}

static nacre_err make_both(struct side sides[2], const struct material *m, nacre_detail *why)
{
    nacre_err err = NACRE_OK;
    for (size_t i = 0; i < 2 && err == NACRE_OK; i++) err = make_directory(&sides[i], why);
    for (size_t i = 0; i < 2 && err == NACRE_OK; i++) err = write_settings(&sides[i], m, why);
    for (size_t i = 0; i < 2 && err == NACRE_OK; i++) err = write_secret(&sides[i], m, why);
    for (size_t i = 0; i < 2 && err == NACRE_OK; i++) err = nacre__folder_sync_parent(sides[i].path, why);
    return err;
}

static void take_away(const struct side *side)
{
    if (!side->made) return;
    if (side->folder.fd >= 0) {
        unlinkat(side->folder.fd, "secret.json", 0);
        unlinkat(side->folder.fd, "settings.json", 0);
    }
    rmdir(side->path);
}

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

nacre_err nacre_directory_generate(const char *client_path, const char *server_path,
                                   const nacre_generate_options *options, nacre_detail *why)
{
    static const nacre_generate_options defaults = { NULL, { NULL, 0 } };
    if (options == NULL) options = &defaults;
    struct side sides[2] = { { client_path, "00", "01", { -1, NULL }, false },
                             { server_path, "01", "00", { -1, NULL }, false } };
    struct material m = { .id_context = options->id_context };
    nacre_err err = check(client_path, server_path, options, why);
    if (err != NACRE_OK) return err;
    m.aead = options->aead != NULL ? options->aead : nacre_aead_by_number(NACRE_AES_CCM_16_64_128);
    /* RFC 8613 12.3: the master secret is random. */
    if (!nacre__store_random(m.secret, sizeof m.secret) || !nacre__store_random(m.salt, sizeof m.salt))
        err = nacre__store_fail(why, NACRE_ERR_CRYPTO, "the system gives no random bytes");
    else err = make_both(sides, &m, why);
    for (size_t i = 0; i < 2; i++) {
        if (err != NACRE_OK) take_away(&sides[i]);
        nacre__folder_close(&sides[i].folder);
    }
    nacre_wipe(&m, sizeof m);
    return err;
}
