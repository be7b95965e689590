/* SPDX-License-Identifier: MIT */
/* create: makes a context directory of given content. secret.json is written last: a directory left incomplete by a crash
 * cannot be opened without it. On failure everything made is durably removed. */
#include <nacre/store.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/directory/create.h"
#include "store/directory/directory_read.h"
#include "base/hosted/detail.h"
#include "store/advice.h"
#include "store/json/text.h"

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
    nacre__text_put(text, ",\n \"algorithm\": \"%s\",\n \"kdf-hashfun\": \"%s\",\n \"window\": %u", info->aead->name,
                    nacre_hash_name(info->hash), (unsigned)info->window);
    if (info->first_chunk > 0) nacre__text_put(text, ",\n \"sequence-chunk-start\": %u", (unsigned)info->first_chunk);
    if (info->max_chunk > 0) nacre__text_put(text, ",\n \"sequence-chunk-limit\": %u", (unsigned)info->max_chunk);
    nacre__text_put(text, ",\n \"sequence-required\": true}\n");
}

static void put_secret(nacre__text *text, const nacre_directory_info *info)
{
    nacre__text_put(text, "{");
    put_hex(text, "secret", info->secret, info->secret_len);
    nacre__text_put(text, ",\n ");
    put_hex(text, "salt", info->salt, info->salt_len);
    nacre__text_put(text, "}\n");
}

static nacre_err write_file(const nacre__dirfd *dirfd, const char *name, nacre__text *text, nacre_detail *why)
{
    bool uncertain;
    nacre_err err = text->failed ? nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", dirfd->path)
                                 : nacre__file_replace(dirfd, name, text->ptr, &uncertain, why);
    nacre__text_free(text);
    return err;
}

/* Without a state, writes that of new keys, so that a later loss of the file is detected. */
static nacre_err write_state(const nacre__dirfd *dirfd, const nacre_directory_info *info, nacre_detail *why)
{
    bool uncertain;
    nacre__sequence state = { .window_known = true };
    if (info->has_state) state = nacre__sequence_of(info);
    return nacre__sequence_write(dirfd, &state, false, &uncertain, why);
}

static nacre_err fill(const nacre__dirfd *dirfd, const nacre_directory_info *info, nacre_detail *why)
{
    nacre_directory_info none;
    nacre__text settings = { NULL, 0, 0, false }, secret = { NULL, 0, 0, false };
    put_settings(&settings, info);
    nacre_err err = write_file(dirfd, "settings.json", &settings, why);
    if (err == NACRE_OK) err = write_state(dirfd, info, why);
    if (err != NACRE_OK) return err;
    put_secret(&secret, info);
    err = write_file(dirfd, "secret.json", &secret, why);
    if (err == NACRE_OK) err = nacre_directory_read(&none, dirfd->path, false, why); /* validates the content */
    if (err == NACRE_OK) err = nacre__dirfd_sync_parent(dirfd->path, why);
    return err;
}

static nacre_err cannot_make(const char *path, nacre_detail *why)
{
    nacre__dirfd dirfd;
    nacre_layout layout;
    int reason = errno;
    if (reason == EEXIST && nacre__dirfd_open(&dirfd, path, NULL) == NACRE_OK) {
        /* Incomplete, from an interrupted run? */
        bool half = nacre__directory_layout(&layout, &dirfd, NULL) != NACRE_OK ||
                    faccessat(dirfd.fd, "secret.json", F_OK, 0) != 0;
        nacre__dirfd_close(&dirfd);
        if (half)
            return nacre__fail(why, NACRE_ERR_FILE,
                               "%s: cannot make the directory: %s; it is no complete context: if an earlier run was "
                               "broken off, remove it",
                               path, strerror(reason));
    }
    return nacre__fail(why, NACRE_ERR_FILE, "%s: cannot make the directory: %s%s", path, strerror(reason),
                       nacre__store_advice(reason));
}

void nacre__directory_take_away(const char *path)
{
    static const char *const files[] = { "secret.json", "sequence.json", "settings.json" };
    nacre__dirfd dirfd;
    if (nacre__dirfd_open(&dirfd, path, NULL) == NACRE_OK) {
        for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
            unlinkat(dirfd.fd, files[i], 0);
            nacre__file_sweep(&dirfd, files[i]);
        }
        (void)!nacre__dirfd_sync(&dirfd, NULL);
        nacre__dirfd_close(&dirfd);
    }
    if (rmdir(path) == 0) (void)!nacre__dirfd_sync_parent(path, NULL);
}

/* Checks only what writing needs; fill reads the result, which checks the rest. */
static bool can_be_written(const nacre_directory_info *i)
{
    return i->aead != NULL && nacre_hash_len(i->hash) != 0 && i->secret_len <= sizeof i->secret &&
           i->salt_len <= sizeof i->salt && i->id_context_len <= sizeof i->id_context &&
           i->sender_id_len <= sizeof i->sender_id && i->recipient_id_len <= sizeof i->recipient_id;
}

nacre_err nacre_directory_create(const char *path, const nacre_directory_info *info, nacre_detail *why)
{
    nacre__dirfd dirfd;
    if (!can_be_written(info))
        return nacre__fail(why, NACRE_ERR_BAD_CONTEXT,
                           "%s: an algorithm, hash, secret, salt or ID is missing or too long", path);
    if (mkdir(path, 0700) != 0) return cannot_make(path, why);
    nacre_err err = nacre__dirfd_open(&dirfd, path, why);
    if (err == NACRE_OK) {
        err = fill(&dirfd, info, why);
        nacre__dirfd_close(&dirfd);
    }
    if (err != NACRE_OK) nacre__directory_take_away(path);
    return err;
}
