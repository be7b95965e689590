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
#include <sys/file.h>
#include <unistd.h>

/* A file on its way to its place. */
typedef struct incoming {
    int dir, fd;
    int error; /* why it could not be written; 0: it could */
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

/* Locked as long as it is open, and still there: another process that starts may have removed it before it was locked. */
static bool is_ours(const incoming *in)
{
    struct stat open, named;
    return flock(in->fd, LOCK_EX | LOCK_NB) == 0 && fstat(in->fd, &open) == 0 &&
           fstatat(in->dir, in->temporary, &named, AT_SYMLINK_NOFOLLOW) == 0 && open.st_ino == named.st_ino;
}

static bool make_temporary(incoming *in)
{
    uint8_t random[8];
    const nacre_random entropy = nacre_entropy();
    for (int tries = 0; tries < 3; tries++) {
        entropy.fill(entropy.self, random, sizeof random);
        (void)snprintf(in->temporary, sizeof in->temporary, SERVE_TEMPORARY);
        nacre_hex_encode(in->temporary + strlen(in->temporary), NACRE_ARRAY(random));
        in->fd = openat(in->dir, in->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (in->fd < 0) break;
        if (is_ours(in)) return true;
        (void)unlinkat(in->dir, in->temporary, 0);
        (void)close(in->fd);
        in->fd = -1;
        errno = EIO;
    }
    in->temporary[0] = '\0';
    return false;
}

/* A refusal: a code, and a text that says no more of this machine than the reason. */
typedef struct refusal {
    uint8_t code;
    const char *text;
} refusal;

static refusal refusal_of(int error)
{
    static const struct {
        int error;
        refusal why;
    } table[] = { { ENOENT, { NACRE_NOT_FOUND, "no such directory" } },
                  { ENOTDIR, { NACRE_NOT_FOUND, "no such directory" } },
                  { EPERM, { NACRE_FORBIDDEN, "that name is not served, or the file cannot be changed" } },
                  { EACCES, { NACRE_FORBIDDEN, "no permission to change that" } },
                  { EROFS, { NACRE_FORBIDDEN, "that is read-only" } },
                  { EBUSY, { NACRE_FORBIDDEN, "that is in use" } },
                  { ETXTBSY, { NACRE_FORBIDDEN, "that is in use" } },
                  { ENAMETOOLONG, { NACRE_FORBIDDEN, "that name is too long" } },
                  { EINVAL, { NACRE_FORBIDDEN, "that name cannot be kept" } },
                  { EILSEQ, { NACRE_FORBIDDEN, "that name cannot be kept" } },
                  { ENOSPC, { NACRE_SERVER_ERROR, "no space left" } },
                  { EDQUOT, { NACRE_SERVER_ERROR, "the quota is used up" } },
                  { EFBIG, { NACRE_TOO_LARGE, "larger than a file can be" } },
                  { EMFILE, { NACRE_SERVER_ERROR, "too many open files" } },
                  { ENFILE, { NACRE_SERVER_ERROR, "too many open files" } },
                  { ENOMEM, { NACRE_SERVER_ERROR, "out of memory" } } };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].error == error) return table[i].why;
    return (refusal){ NACRE_SERVER_ERROR, "cannot write there" };
}

/* A file has the Content-Format that its name says; no other can be kept. */
static bool keeps_format(const char *name, nacre_bytes options)
{
    uint64_t format = 0;
    const nacre_bytes option = nacre_option_find(options, NACRE_OPT_CONTENT_FORMAT);
    return nacre_is_absent(option) || (nacre_option_uint(option, &format) && format == serve_format_of(name));
}

static bool is_allowed(const serve_root *root, int dir, const char *name)
{
    return !serve_is_private_name(root, name) && !serve_is_private_file(root, dir, name);
}

/* NULL with the refusal. */
static incoming *begin(const serve_root *root, nacre_bytes options, refusal *why)
{
    incoming *in = malloc(sizeof *in);
    *why = refusal_of(ENOMEM);
    if (in == NULL) return NULL;
    *in = (incoming){ .dir = -1, .fd = -1 };
    in->dir = serve_walk_to_parent(root, options, in->name);
    if (in->dir < 0) *why = refusal_of(errno);
    else if (!is_allowed(root, in->dir, in->name)) *why = refusal_of(EPERM);
    else if (!keeps_format(in->name, options))
        *why = (refusal){ NACRE_UNSUPPORTED_FORMAT, "the name says another Content-Format, which is what is kept" };
    else if (make_temporary(in)) return in;
    else *why = refusal_of(errno);
    give_up(in);
    return NULL;
}

/* A failure is kept and told with the last block: the pieces that follow go nowhere. */
static nacre_err write_piece(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    incoming *in = user;
    size_t done = 0;
    (void)total;
    while (in->error == 0 && done < piece.len) {
        const ssize_t n = pwrite(in->fd, piece.ptr + done, piece.len - done, (off_t)(offset + done));
        if (n > 0) done += (size_t)n;
        else if (n == 0) in->error = EIO;
        else if (errno != EINTR) in->error = errno;
    }
    return NACRE_OK;
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
    refusal why;
    incoming *in = begin(root, request->message->options, &why);
    if (in == NULL) {
        upload->code = why.code;
        upload->text = why.text;
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
    if (in->error != 0) errno = in->error;
    if (in->error != 0 || fsync(in->fd) != 0 || renameat(in->dir, in->temporary, in->dir, in->name) != 0) return false;
    in->temporary[0] = '\0';
    return fsync(in->dir) == 0;
}

static void finish(const serve_root *root, incoming *in, const nacre_request *request, nacre_response *response)
{
    struct stat st = { 0 };
    uint8_t etag[SERVE_ETAG_LEN];
    const present there = look(in->dir, in->name, &st);
    if (!may_change(root, request, response, there, &st)) return;
    const bool keeps_mode = there != PRESENT_FILE || fchmod(in->fd, st.st_mode & 0777) == 0;
    if (!keeps_mode || !put_in_place(in) || fstat(in->fd, &st) != 0) {
        const refusal why = refusal_of(errno);
        nacre_response_text(response, why.code, why.text);
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
        refusal why;
        in = begin(root, request->message->options, &why);
        if (in == NULL) {
            nacre_response_text(response, why.code, why.text);
            return;
        }
        (void)write_piece(in, 0, request->message->payload, 0);
    }
    finish(root, in, request, response);
    if (request->upload == NULL) give_up(in); /* what is in its place stays there */
}

void serve_delete(serve_root *root, const nacre_request *request, nacre_response *response)
{
    char name[256];
    struct stat st = { 0 };
    const int dir = serve_walk_to_parent(root, request->message->options, name);
    if (dir < 0) {
        serve_not_there(response);
        return;
    }
    const present there = look(dir, name, &st);
    errno = ENOENT;
    if (serve_is_private_name(root, name) || serve_is_private_file(root, dir, name)) serve_not_there(response);
    else if (may_change(root, request, response, there, &st)) {
        const bool gone = there == PRESENT_NONE || (unlinkat(dir, name, 0) == 0 && fsync(dir) == 0);
        /* RFC 7252 5.8.4: also when there was none */
        if (gone) response->code = NACRE_DELETED;
        else {
            const refusal why = refusal_of(errno);
            nacre_response_text(response, why.code, why.text);
        }
    }
    (void)close(dir);
}
