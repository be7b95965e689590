/* SPDX-License-Identifier: MIT */
/* serve_write: PUT, POST (serve_post.c) and DELETE below --root, with --writable.
 *
 * A file is written beside its target under a name that is never served (it starts with a dot), made durable, and
 * renamed: readers see the old or the new file, also after a power cut. Files that would not be served are not created. */
#include "serve_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* A file being uploaded. */
typedef struct incoming {
    int dir, fd;
    nacre_upload_error error; /* why writing failed; code 0: it did not */
    char temporary[48], name[256];
} incoming;

/* ---- Files being uploaded --------------------------------------------------------------------------------------------- */

static void give_up(void *user)
{
    incoming *in = user;
    if (in->fd >= 0) (void)close(in->fd);
    if (in->temporary[0] != '\0') (void)unlinkat(in->dir, in->temporary, 0);
    if (in->dir >= 0) (void)close(in->dir);
    free(in);
}

/* True while the temporary file is locked and has its name: another process may have removed it before it was locked. */
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

/* A response code, and a text that tells no more about this machine than the reason. Code 0: none. */
typedef nacre_upload_error refusal;

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

/* A file's Content-Format follows from its name; no other can be stored. */
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

/* The target of the request's body: directory and name. */
static bool find_target(const serve_root *root, const nacre_message *request, incoming *in, refusal *why)
{
    if (request->code == NACRE_POST) {
        in->dir = serve_post_begin(root, request->options, in->name, why);
        if (in->dir < 0 && why->code == 0) *why = refusal_of(errno);
        return in->dir >= 0;
    }
    in->dir = serve_walk_to_parent(root, request->options, in->name);
    if (in->dir < 0) *why = refusal_of(errno);
    else if (!is_allowed(root, in->dir, in->name)) *why = refusal_of(EPERM);
    else if (!keeps_format(in->name, request->options))
        *why = (refusal){ NACRE_UNSUPPORTED_FORMAT, "the file name's ending stands for another Content-Format" };
    else return true;
    return false;
}

/* ---- Preconditions ---------------------------------------------------------------------------------------------------- */

typedef enum present { PRESENT_NONE, PRESENT_FILE, PRESENT_OTHER } present;

static present look(int dir, const char *name, struct stat *st)
{
    if (fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) != 0) return PRESENT_NONE;
    return S_ISREG(st->st_mode) ? PRESENT_FILE : PRESENT_OTHER;
}

/* If-Match and If-None-Match (RFC 7252 5.10.8): of the file, or for POST of the directory. */
static bool preconditions_hold(const serve_root *root, const nacre_message *request, present there,
                               const struct stat *st)
{
    uint8_t etag[SERVE_ETAG_LEN];
    if (request->code == NACRE_POST) return nacre_conditions_hold(request->options, true, NACRE_ABSENT);
    if (there == PRESENT_FILE) serve_etag(root, etag, st);
    return nacre_conditions_hold(request->options, there == PRESENT_FILE,
                                 there == PRESENT_FILE ? NACRE_ARRAY(etag) : NACRE_ABSENT);
}

/* Read-only files are not changed, even by root; rename and unlink check only the directory's mode. */
static bool is_read_only(int dir, const char *name, present there, const struct stat *st)
{
    struct stat above;
    if (fstat(dir, &above) == 0 && (above.st_mode & 0222) == 0) return true;
    if (there != PRESENT_FILE) return false;
    return (st->st_mode & 0222) == 0 || (faccessat(dir, name, W_OK, AT_EACCESS) != 0 && errno != ENOENT);
}

/* The reason against a change; code 0: none. */
static refusal obstacle(const serve_root *root, const nacre_message *request, int dir, const char *name, present there,
                        const struct stat *st)
{
    if (there == PRESENT_OTHER) return (refusal){ NACRE_FORBIDDEN, "only files can be put and deleted" };
    if (!preconditions_hold(root, request, there, st))
        return (refusal){ NACRE_PRECONDITION_FAILED, "the file is not as the request expects" };
    if (request->code == NACRE_DELETE && there == PRESENT_NONE) return (refusal){ 0, NULL }; /* RFC 7252 5.8.4 */
    return is_read_only(dir, name, there, st) ? refusal_of(EROFS) : (refusal){ 0, NULL };
}

/* ---- Writing ---------------------------------------------------------------------------------------------------------- */

/* NULL: `why` is set. */
static incoming *begin(const serve_root *root, const nacre_message *request, refusal *why)
{
    struct stat st = { 0 };
    incoming *in = malloc(sizeof *in);
    *why = refusal_of(ENOMEM);
    if (in == NULL) return NULL;
    *in = (incoming){ .dir = -1, .fd = -1 };
    if (find_target(root, request, in, why)) {
        const present there = look(in->dir, in->name, &st);
        *why = obstacle(root, request, in->dir, in->name, there, &st);
        if (why->code == 0 && make_temporary(in)) return in;
        if (why->code == 0) *why = refusal_of(errno);
    }
    give_up(in);
    return NULL;
}

/* When a piece cannot be written, the rest of the body is not awaited. */
static nacre_err write_piece(void *user, uint64_t offset, nacre_bytes piece, uint64_t total)
{
    incoming *in = user;
    size_t done = 0;
    (void)total;
    while (done < piece.len) {
        const ssize_t n = pwrite(in->fd, piece.ptr + done, piece.len - done, (off_t)(offset + done));
        if (n > 0) done += (size_t)n;
        else if (n == 0 || errno != EINTR) {
            in->error = refusal_of(n == 0 ? EIO : errno);
            return NACRE_ERR_FILE;
        }
    }
    return NACRE_OK;
}

/* ---- Requests --------------------------------------------------------------------------------------------------------- */

bool serve_writes(const serve_root *root, uint8_t method)
{
    return root->is_writable && (method == NACRE_PUT || method == NACRE_POST || method == NACRE_DELETE);
}

void serve_files_upload(void *user, const nacre_request *request, nacre_upload *upload)
{
    const serve_root *root = user;
    const uint8_t method = request->message->code;
    refusal why = { root->fd < 0 ? NACRE_NOT_FOUND : NACRE_METHOD_NOT_ALLOWED, NULL };
    incoming *in = NULL;
    if (root->fd >= 0 && serve_writes(root, method) && method != NACRE_DELETE) in = begin(root, request->message, &why);
    if (in == NULL) { /* at once, not only after the last block */
        upload->code = why.code;
        upload->text = why.text;
        return;
    }
    upload->sink = (nacre_sink){ write_piece, in };
    upload->error = &in->error;
    upload->done = give_up;
    upload->max_body = root->max_body;
}

/* Durable before the response: first the file, then its name. */
static bool put_in_place(incoming *in)
{
    if (fsync(in->fd) != 0 || renameat(in->dir, in->temporary, in->dir, in->name) != 0) return false;
    in->temporary[0] = '\0';
    return fsync(in->dir) == 0;
}

/* Checks again, since the target may have changed since the first block. */
static refusal finish(const serve_root *root, incoming *in, const nacre_message *request, nacre_response *response)
{
    struct stat st = { 0 };
    uint8_t etag[SERVE_ETAG_LEN];
    const present there = look(in->dir, in->name, &st);
    const refusal why = obstacle(root, request, in->dir, in->name, there, &st);
    if (why.code != 0) return why;
    const bool keeps_mode = there != PRESENT_FILE || fchmod(in->fd, st.st_mode & 0777) == 0;
    if (!keeps_mode || !put_in_place(in) || fstat(in->fd, &st) != 0) return refusal_of(errno);
    serve_etag(root, etag, &st);
    response->code = there == PRESENT_FILE ? NACRE_CHANGED : NACRE_CREATED;
    nacre_options_add(&response->options, NACRE_OPT_ETAG, NACRE_ARRAY(etag));
    if (request->code == NACRE_POST) serve_post_location(&response->options, request->options, in->name);
    return (refusal){ 0, NULL };
}

void serve_write(serve_root *root, const nacre_request *request, nacre_response *response)
{
    refusal why = { 0, NULL };
    const bool is_one_message = request->upload == NULL;
    incoming *in = is_one_message ? begin(root, request->message, &why) : request->upload;
    if (in != NULL) {
        if (is_one_message && write_piece(in, 0, request->message->payload, 0) != NACRE_OK) why = in->error;
        else why = finish(root, in, request->message, response);
    }
    if (why.code != 0) nacre_response_text(response, why.code, why.text);
    if (is_one_message && in != NULL) give_up(in); /* does not affect a file already in place */
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
    if (!is_allowed(root, dir, name)) {
        nacre_response_text(response, NACRE_NOT_FOUND, "no such resource");
        (void)close(dir);
        return;
    }
    const present there = look(dir, name, &st);
    refusal why = obstacle(root, request->message, dir, name, there, &st);
    if (why.code == 0 && there == PRESENT_FILE && (unlinkat(dir, name, 0) != 0 || fsync(dir) != 0))
        why = refusal_of(errno);
    if (why.code == 0) response->code = NACRE_DELETED;
    else nacre_response_text(response, why.code, why.text);
    (void)close(dir);
}
