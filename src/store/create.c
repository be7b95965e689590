/* SPDX-License-Identifier: MIT */
/* create: one new context directory of given content. secret.json comes last: without it, what a crash left half-made
 * cannot be opened. */
#include <nacre/store.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/fail.h"
#include "store/files.h"
#include "store/sequence_file.h"
#include "store/text.h"

static void put_hex(nacre__text *text, const char *name, const uint8_t *ptr, size_t len)
{
    char hex[2 * 256 + 1];
    nacre_hex_encode(hex, nacre_bytes_of(ptr, len));
    nacre__text_put(text, "\"%s_hex\": \"%s\"", name, hex);
    nacre_wipe(hex, sizeof hex);
}

static void put_settings(nacre__text *text, const nacre_directory_info *info)
{
    nacre__text_put(text, "{");
    put_hex(text, "sender-id", info->sender_id, info->sender_id_len);
    nacre__text_put(text, ",\n ");
    put_hex(text, "recipient-id", info->recipient_id, info->recipient_id_len);
    if (info->has_id_context) {
        nacre__text_put(text, ",\n ");
        put_hex(text, "id-context", info->id_context, info->id_context_len);
    }
    nacre__text_put(text, ",\n \"algorithm\": \"%s\",\n \"kdf-hashfun\": \"%s\",\n \"window\": %u}\n", info->aead->name,
                    nacre_hash_name(info->hash), (unsigned)info->window);
}

static void put_secret(nacre__text *text, const nacre_directory_info *info)
{
    nacre__text_put(text, "{");
    put_hex(text, "secret", info->secret, info->secret_len);
    nacre__text_put(text, ",\n ");
    put_hex(text, "salt", info->salt, info->salt_len);
    nacre__text_put(text, "}\n");
}

static nacre_err write_file(const nacre__folder *folder, const char *name, nacre__text *text, nacre_detail *why)
{
    bool uncertain;
    nacre_err err = text->failed ? nacre__store_fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", folder->path)
                                 : nacre__file_replace(folder, name, text->ptr, &uncertain, why);
    nacre__text_free(text);
    return err;
}

static nacre_err write_state(const nacre__folder *folder, const nacre_directory_info *info, nacre_detail *why)
{
    bool uncertain;
    nacre__sequence state = { .next_to_send = info->next_to_send,
                              .window_known = info->window_known,
                              .window_index = info->window_index };
    memcpy(state.window_bits, info->window_bits, sizeof state.window_bits);
    return info->has_state ? nacre__sequence_write(folder, &state, &uncertain, why) : NACRE_OK;
}

static nacre_err fill(const nacre__folder *folder, const nacre_directory_info *info, nacre_detail *why)
{
    nacre_directory_info none;
    nacre__text settings = { NULL, 0, 0, false }, secret = { NULL, 0, 0, false };
    put_settings(&settings, info);
    nacre_err err = write_file(folder, "settings.json", &settings, why);
    if (err == NACRE_OK) err = write_state(folder, info, why);
    if (err != NACRE_OK) return err;
    put_secret(&secret, info);
    err = write_file(folder, "secret.json", &secret, why);
    if (err == NACRE_OK) err = nacre_directory_read(&none, folder->path, false, why); /* whether it may say that */
    if (err == NACRE_OK) err = nacre__folder_sync_parent(folder->path, why);
    return err;
}

nacre_err nacre_directory_create(const char *path, const nacre_directory_info *info, nacre_detail *why)
{
    nacre__folder folder = { -1, path };
    if (mkdir(path, 0700) != 0)
        return nacre__store_fail(why, NACRE_ERR_FILE, "%s: cannot make the directory: %s", path, strerror(errno));
    nacre_err err = nacre__folder_open(&folder, path, why);
    if (err == NACRE_OK) err = fill(&folder, info, why);
    if (err != NACRE_OK) {
        static const char *const files[] = { "secret.json", "settings.json", "sequence.json" };
        for (size_t i = 0; folder.fd >= 0 && i < sizeof files / sizeof files[0]; i++) unlinkat(folder.fd, files[i], 0);
        rmdir(path);
    }
    nacre__folder_close(&folder);
    return err;
}
