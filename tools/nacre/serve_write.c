/* SPDX-License-Identifier: MIT */
/* serve_write: PUT and DELETE below --root, with --writable.
 *
 * A file that is put is written beside its place under a name that is never served (it starts with a dot), made durable, and
 * renamed: who reads sees the old one or the new one, also after a power cut. Nothing is made that would not be served. */
#include "serve_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file on its way to its place. */
typedef struct incoming {
    int dir, fd;
    char temporary[48], name[256];
} incoming;

/* ---- Files on their way ----------------------------------------------------------------------------------------------- */

static void give_up(void *user)
{
    incoming *in = user;
    if (in->fd >= 0) (void)close(in->fd);
    if (in->temporary[0] != '\0') (void)unlinkat(in->dir, in->temporary, 0);
    if (in->dir >= 0) (void)close(in->dir);
    free(in);
}

/* Names that contexts are kept in would turn their directory into one that is not served any more. */
static bool may_be_made(const char *name)
{
    static const char *const reserved[] = { "secret.json", "secrets.json", "settings.json", "sequence.json", "lock" };
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (strcmp(name, reserved[i]) == 0) return false;
    return true;
}

static bool make_temporary(incoming *in)
{
    uint8_t random[8];
    const nacre_random entropy = nacre_entropy();
    entropy.fill(entropy.self, random, sizeof random);
    (void)snprintf(in->temporary, sizeof in->temporary, ".nacre-");
    nacre_hex_encode(in->temporary + strlen(in->temporary), NACRE_ARRAY(random));
    in->fd = openat(in->dir, in->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (in->fd < 0) in->temporary[0] = '\0';
    return in->fd >= 0;
}

/* NULL with errno: EPERM for a name that is not made. */
static incoming *begin(const serve_root *root, nacre_bytes options)
{
    incoming *in = malloc(sizeof *in);
    if (in == NULL) return NULL;
    *in = (incoming){ .dir = -1, .fd = -1 };
    in->dir = serve_walk_to_parent(root->fd, options, in->name);
    const bool allowed = in->dir >= 0 && may_be_made(in->name) && !serve_is_pack(in->dir, in->name);
    if (allowed && make_temporary(in)) return in;
    const int error = in->dir >= 0 && !allowed ? EPERM : errno;
    give_up(in);
    errno = error;
    return NULL;
}

static nacre_err write_piece(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    const incoming *in = user;
    size_t done = 0;
    (void)total;
    while (done < piece.len) {
        const ssize_t n = pwrite(in->fd, piece.ptr + done, piece.len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return NACRE_ERR_FILE;
        done += (size_t)n;
    }
    return NACRE_OK;
}

static void refuse_begin(uint8_t *code, const char **text)
{
    *code = errno == EPERM ? NACRE_FORBIDDEN : errno == ENOENT ? NACRE_NOT_FOUND : NACRE_SERVER_ERROR;
    *text = errno == EPERM ? "that name is not served" : errno == ENOENT ? "no such directory" : "cannot write there";
}

/* ---- Preconditions ---------------------------------------------------------------------------------------------------- */

typedef enum present { PRESENT_NONE, PRESENT_FILE, PRESENT_OTHER } present;

static present look(int dir, const char *name, struct stat *st)
{
    if (fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) != 0) return PRESENT_NONE;
    return S_ISREG(st->st_mode) ? PRESENT_FILE : PRESENT_OTHER;
}

/* If-Match and If-None-Match (RFC 7252 5.10.8). */
static bool preconditions_hold(const serve_root *root, nacre_bytes options, bool exists, const struct stat *st)
{
    uint8_t etag[SERVE_ETAG_LEN];
    bool asked = false, matches = false;
    if (exists) serve_etag(root, etag, st);
    nacre_option_iter it = nacre_option_begin(options);
    for (nacre_option option; nacre_option_next(&it, &option);) {
        if (option.number == NACRE_OPT_IF_NONE_MATCH && exists) return false;
        if (option.number != NACRE_OPT_IF_MATCH) continue;
        asked = true;
        if (!exists) continue;
        matches = matches || option.value.len == 0 || nacre_bytes_equal(option.value, NACRE_ARRAY(etag));
    }
    return !asked || matches;
}

/* Answers when something stands in the way. */
static bool may_change(const serve_root *root, const nacre_request *request, nacre_response *response, present there,
                       const struct stat *st)
{
    if (there == PRESENT_OTHER) {
        nacre_response_text(response, NACRE_FORBIDDEN, "only files can be put and deleted");
        return false;
    }
    if (preconditions_hold(root, request->message->options, there == PRESENT_FILE, st)) return true;
    nacre_response_text(response, NACRE_PRECONDITION_FAILED, "the file is not as the request expects");
    return false;
}

/* ---- Requests --------------------------------------------------------------------------------------------------------- */

void serve_files_upload(void *user, const nacre_request *request, nacre_upload *upload)
{
    const serve_root *root = user;
    struct stat st = { 0 };
    if (root->fd < 0 || !root->is_writable || request->message->code != NACRE_PUT) {
        upload->code = root->fd < 0 ? NACRE_NOT_FOUND : NACRE_METHOD_NOT_ALLOWED;
        return;
    }
    incoming *in = begin(root, request->message->options);
    if (in == NULL) {
        refuse_begin(&upload->code, &upload->text);
        return;
    }
    upload->sink = (nacre_sink){ write_piece, in };
    upload->done = give_up;
    if (!preconditions_hold(root, request->message->options, look(in->dir, in->name, &st) == PRESENT_FILE, &st)) {
        upload->code = NACRE_PRECONDITION_FAILED; /* not after the last block only */
        give_up(in);
    }
}

/* Durable before it is told: the file, then its name. */
static bool put_in_place(incoming *in)
{
    if (fsync(in->fd) != 0 || renameat(in->dir, in->temporary, in->dir, in->name) != 0) return false;
    in->temporary[0] = '\0';
    return fsync(in->dir) == 0;
}

static void finish(const serve_root *root, incoming *in, const nacre_request *request, nacre_response *response)
{
    struct stat st = { 0 };
    uint8_t etag[SERVE_ETAG_LEN];
    const present there = look(in->dir, in->name, &st);
    if (!may_change(root, request, response, there, &st)) return;
    if (there == PRESENT_FILE && fchmod(in->fd, st.st_mode & 0777) != 0) return;
    if (!put_in_place(in) || fstat(in->fd, &st) != 0) {
        nacre_response_text(response, NACRE_SERVER_ERROR, "cannot write that file");
        return;
    }
    serve_etag(root, etag, &st);
    response->code = there == PRESENT_FILE ? NACRE_CHANGED : NACRE_CREATED;
    nacre_options_add(&response->options, NACRE_OPT_ETAG, NACRE_ARRAY(etag));
}

void serve_put(serve_root *root, const nacre_request *request, nacre_response *response)
{
    incoming *in = request->upload;
    if (in == NULL) { /* of one message */
        in = begin(root, request->message->options);
        if (in == NULL) {
            uint8_t code;
            const char *text;
            refuse_begin(&code, &text);
            nacre_response_text(response, code, text);
            return;
        }
        if (write_piece(in, 0, request->message->payload, 0) != NACRE_OK) {
            nacre_response_text(response, NACRE_SERVER_ERROR, "cannot write that file");
            give_up(in);
            return;
        }
    }
    finish(root, in, request, response);
    if (request->upload == NULL) give_up(in); /* what is in its place stays there */
}

void serve_delete(serve_root *root, const nacre_request *request, nacre_response *response)
{
    char name[256];
    struct stat st = { 0 };
    const int dir = serve_walk_to_parent(root->fd, request->message->options, name);
    if (dir < 0) {
        serve_not_there(response);
        return;
    }
    const present there = look(dir, name, &st);
    if (serve_is_pack(dir, name)) serve_not_there(response);
    else if (may_change(root, request, response, there, &st)) {
        const bool gone = there == PRESENT_NONE || (unlinkat(dir, name, 0) == 0 && fsync(dir) == 0);
        /* RFC 7252 5.8.4: also when there was none */
        if (gone) response->code = NACRE_DELETED;
        else nacre_response_text(response, NACRE_SERVER_ERROR, "cannot delete that file");
    }
    (void)close(dir);
}
