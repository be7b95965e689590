/* SPDX-License-Identifier: MIT */
/* directory: opens a context directory: its lock, its settings, the keys of its context, and the stored state. */
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/directory/directory_struct.h"
#include "base/hosted/detail.h"
#include "store/random.h"
#include "store/wipe_on_fork.h"

enum { MAX_CHUNK = 10000 };

nacre_context *nacre_directory_context(nacre_directory *dir)
{
    return dir->ctx;
}

const char *nacre_directory_path(const nacre_directory *dir)
{
    return dir->path;
}

static nacre_err out_of_memory(const char *path, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", path);
}

static size_t round_up(size_t size, size_t align)
{
    return (size + align - 1) / align * align;
}

/* One allocation for the directory and the prepared keys, aligned as the provider requires. */
static nacre_directory *allocate(size_t keys_size, size_t keys_align)
{
    size_t align = keys_align > alignof(nacre_directory) ? keys_align : alignof(nacre_directory);
    size_t keys_at = round_up(sizeof(nacre_directory), align);
    size_t size = round_up(keys_at + keys_size, align);
    nacre_directory *dir = aligned_alloc(align, size);
    if (dir == NULL) return NULL;
    memset(dir, 0, size);
    dir->size = size;
    dir->keys_at = keys_at;
    dir->keys_size = keys_size;
    dir->dirfd.fd = -1;
    dir->guard = NACRE__GUARD_NONE;
    dir->ctx = nacre__wipe_on_fork_map(sizeof *dir->ctx);
    if (dir->ctx != NULL && pthread_mutex_init(&dir->lock, NULL) == 0) return dir;
    nacre__wipe_on_fork_unmap(dir->ctx, sizeof *dir->ctx);
    free(dir);
    return NULL;
}

/* Frees everything without writing. */
static void release(nacre_directory *dir)
{
    nacre_context_wipe(dir->ctx);
    nacre__wipe_on_fork_unmap(dir->ctx, sizeof *dir->ctx);
    nacre__json_free(&dir->rest);
    nacre__guard_release(&dir->guard);
    nacre__dirfd_close(&dir->dirfd);
    free(dir->path);
    if (dir->owner == getpid()) (void)pthread_mutex_destroy(&dir->lock);
    nacre_wipe(dir, dir->size);
    free(dir);
}

/* Options override the settings in `info`. */
static nacre_err choose_chunks(nacre_directory_info *info, const nacre_directory_options *options, const char *path,
                               nacre_detail *why)
{
    if (options->first_chunk != 0) info->first_chunk = options->first_chunk;
    if (options->max_chunk != 0) info->max_chunk = options->max_chunk;
    uint16_t limit = info->max_chunk != 0 ? info->max_chunk : MAX_CHUNK;
    if (info->first_chunk <= limit && limit <= MAX_CHUNK) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                       "%s: first_chunk is %u and max_chunk %u: both are at most %d, and first_chunk at most max_chunk",
                       path, (unsigned)info->first_chunk, (unsigned)limit, (int)MAX_CHUNK);
}

static nacre_err derive(nacre_directory *dir, const nacre_crypto *crypto, const nacre_directory_info *info,
                        nacre_detail *why)
{
    uint8_t echo[NACRE_ECHO_LEN];
    if (!nacre__store_random(echo, sizeof echo))
        return nacre__fail(why, NACRE_ERR_CRYPTO, "%s: the system gives no random bytes", dir->path);
    memcpy(dir->id_context, info->id_context, info->id_context_len);
    nacre_context_params params = {
        .cose_aead = info->aead->cose,
        .hash = info->hash,
        .master_secret = { .bytes = nacre_bytes_of(info->secret, info->secret_len) },
        .master_salt = nacre_bytes_of(info->salt, info->salt_len),
        .id_context = info->has_id_context ? nacre_bytes_of(dir->id_context, info->id_context_len) : NACRE_ABSENT,
        .sender_id = nacre_bytes_of(info->sender_id, info->sender_id_len),
        .recipient_id = nacre_bytes_of(info->recipient_id, info->recipient_id_len),
        .window = info->window,
        .window_words = dir->window_words,
        .next_seq = info->next_to_send,
        .persistent = true,
        .first_chunk = info->first_chunk,
        .max_chunk = info->max_chunk,
        .echo = NACRE_ARRAY(echo), /* on clients too: a context may receive requests in either role */
    };
    nacre_err err =
        nacre_context_init(dir->ctx, crypto, &params, (nacre_buf){ (uint8_t *)dir + dir->keys_at, dir->keys_size });
    if (err == NACRE_OK) return NACRE_OK;
    return nacre__fail(why, err, "%s: cannot derive the keys of %s with %s: %s", dir->path, info->aead->name,
                       crypto->ops->name, nacre_err_text(err));
}

static nacre_err restore(nacre_directory *dir, const nacre_directory_info *info, nacre_detail *why)
{
    dir->stored = nacre__sequence_of(info);
    dir->floor = info->next_to_send;
    nacre_err err = nacre_context_set_replay(dir->ctx, info->window_known, info->window_index, info->window_bits,
                                             ((size_t)info->window + 7) / 8);
    if (err == NACRE_OK) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s/sequence.json: received cannot be a window of %u", dir->path,
                       (unsigned)info->window);
}

static nacre_err fill(nacre_directory *dir, const nacre_crypto *crypto, const nacre_directory_info *info,
                      nacre_detail *why)
{
    nacre_err err = derive(dir, crypto, info, why);
    return err == NACRE_OK ? restore(dir, info, why) : err;
}

static nacre_err make(nacre_directory **out, const char *path, const nacre_crypto *crypto,
                      const nacre_directory_info *info, nacre_detail *why)
{
    size_t keys_size = 0, keys_align = 1;
    nacre_err err = nacre_context_key_layout(crypto, info->aead->cose, &keys_size, &keys_align);
    if (err != NACRE_OK)
        return nacre__fail(why, err, "%s: the cryptography library (%s) does not have %s", path, crypto->ops->name,
                           info->aead->name);
    nacre_directory *dir = allocate(keys_size, keys_align);
    if (dir == NULL) return out_of_memory(path, why);
    dir->owner = getpid();
    dir->path = strdup(path);
    err = dir->path != NULL ? fill(dir, crypto, info, why) : out_of_memory(path, why);
    if (err != NACRE_OK) release(dir);
    else *out = dir;
    return err;
}

/* Creates the directory object; takes ownership of `rest` on success. */
static nacre_err open_loaded(nacre_directory **out, const nacre__dirfd *dirfd, int lock_fd, nacre_directory_info *info,
                             nacre__json_doc *rest, const nacre_directory_options *options, const nacre_crypto *crypto,
                             nacre_detail *why)
{
    nacre__generation_writer generation;
    const bool is_legacy = info->layout == NACRE_LAYOUT_LEGACY;
    const nacre__generation count = { info->generation, is_legacy ? 0 : info->next_to_send };
    nacre_err err = nacre__directory_check_state(info, dirfd, why);
    if (err == NACRE_OK) err = nacre__directory_check_identity(info, dirfd, why);
    if (err == NACRE_OK) err = choose_chunks(info, options, dirfd->path, why);
    if (err == NACRE_OK) err = nacre__generation_open(&generation, dirfd, lock_fd, count, why);
    nacre_directory *dir = NULL;
    if (err == NACRE_OK) err = make(&dir, dirfd->path, crypto, info, why);
    if (dir == NULL) return err;
    dir->is_legacy = is_legacy;
    dir->fresh = !info->has_state;
    dir->generation = generation;
    dir->rest = *rest;
    *rest = (nacre__json_doc){ NULL, NULL };
    *out = dir;
    return NACRE_OK;
}

static nacre_err open_directory(nacre_directory **out, const nacre__dirfd *dirfd, int lock_fd,
                                const nacre_directory_options *options, const nacre_crypto *crypto, nacre_detail *why)
{
    nacre_directory_info info;
    nacre__json_doc rest;
    nacre_err err = nacre__directory_load(&info, &rest, dirfd, options->role, why);
    if (err != NACRE_OK) return err;
    err = open_loaded(out, dirfd, lock_fd, &info, &rest, options, crypto, why);
    nacre__json_free(&rest);
    nacre_wipe(&info, sizeof info);
    return err;
}

/* Removes temporary files left by a crash; they may hold a secret. */
static void sweep(const nacre__dirfd *dirfd)
{
    nacre__file_sweep(dirfd, "sequence.json");
    nacre__file_sweep(dirfd, "settings.json");
    nacre__file_sweep(dirfd, "secret.json");
    nacre__file_sweep(dirfd, "secrets.json");
}

nacre_err nacre_directory_open_with(nacre_directory **out, const char *path, const nacre_directory_options *options,
                                    const nacre_crypto *crypto, nacre_detail *why)
{
    nacre_directory *dir = NULL;
    nacre__dirfd dirfd;
    nacre__guard guard;
    if (options->size != 0 && options->size != sizeof *options)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                           "%s: the options are of another version of nacre: compile the program anew", path);
    nacre_err err = nacre__locked_open(&dirfd, &guard, path, why);
    if (err != NACRE_OK) return err;
    err = open_directory(&dir, &dirfd, guard.lock_fd, options, crypto, why);
    if (dir == NULL) {
        nacre__locked_close(&dirfd, &guard);
        return err;
    }
    dir->guard = guard;
    dir->dirfd = (nacre__dirfd){ dirfd.fd, dir->path, &dir->guard };
    sweep(&dir->dirfd);
    *out = dir;
    return NACRE_OK;
}

nacre_err nacre_directory_open_as(nacre_directory **out, const char *path, nacre_role role, const nacre_crypto *crypto,
                                  nacre_detail *why)
{
    const nacre_directory_options options = { .role = role };
    return nacre_directory_open_with(out, path, &options, crypto, why);
}

nacre_err nacre_directory_open(nacre_directory **out, const char *path, const nacre_crypto *crypto, nacre_detail *why)
{
    return nacre_directory_open_as(out, path, NACRE_ROLE_NONE, crypto, why);
}

nacre_err nacre_directory_close(nacre_directory *dir, nacre_detail *why)
{
    if (dir == NULL) return NACRE_OK;
    nacre_err err = nacre__directory_save(dir, why);
    release(dir);
    return err;
}
