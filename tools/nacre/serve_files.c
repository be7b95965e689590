/* SPDX-License-Identifier: MIT */
/* serve_files: requests for files: the method, what is there, and whether it is observed. */
#include "serve_files.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void serve_not_there(nacre_response *response)
{
    const bool mine = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EIO;
    nacre_response_text(response, mine ? NACRE_SERVER_ERROR : NACRE_NOT_FOUND,
                        mine ? "cannot open that now" : "no such resource");
}

static bool wants_to_observe(const nacre_request *request)
{
    uint64_t value;
    const nacre_bytes observe = nacre_option_find(request->message->options, NACRE_OPT_OBSERVE);
    return !nacre_is_absent(observe) && nacre_option_uint(observe, &value) && value == 0;
}

/* Starts the watch before the file is read, so that no change between the two is missed. False: a notification whose watch
 * cannot be renewed. A file with several hard links is not watched: it can be written by a name in another directory. */
static bool watch(serve_root *root, const nacre_request *request, nacre_response *response)
{
    struct stat st;
    char last[256];
    if (!request->is_notification && !wants_to_observe(request)) return true;
    const int fd = serve_walk(root, request->message->options, &st, last);
    if (fd < 0) return true; /* the response is an error */
    (void)close(fd);
    const bool is_dir = S_ISDIR(st.st_mode), has_slash = is_dir && request->path[strlen(request->path) - 1] == '/';
    const int num = serve_num_segments(request->message->options);
    serve_watch *w = NULL;
    if (is_dir || st.st_nlink == 1)
        w = serve_watch_begin(root->watches, root, request, num > 0 && (has_slash || !is_dir) ? num - 1 : num,
                              is_dir ? "" : last);
    response->observable = w != NULL;
    if (w != NULL && request->is_notification) serve_watch_end(w); /* the observation already has one */
    else if (w != NULL) {
        response->unobserved = serve_watch_end;
        response->observation = w;
    }
    return w != NULL || !request->is_notification;
}

static void get(serve_root *root, const nacre_request *request, nacre_response *response)
{
    struct stat st;
    char last[256];
    if (!watch(root, request, response)) {
        nacre_response_text(response, NACRE_UNAVAILABLE, "changes can no longer be notified");
        return;
    }
    const int fd = serve_walk(root, request->message->options, &st, last);
    if (fd < 0) {
        serve_not_there(response);
    } else if (request->is_notification && serve_watch_has_other(root->watches, request->path, S_ISDIR(st.st_mode))) {
        (void)close(fd); /* RFC 7641 4.2: notifications keep the Content-Format, or the observation ends */
        nacre_response_text(response, NACRE_NOT_ACCEPTABLE, "a file became a directory, or a directory a file");
    } else if (S_ISDIR(st.st_mode)) {
        serve_respond_directory(root, fd, request, response);
        (void)close(fd);
    } else {
        serve_respond_file(root, fd, &st, last, request, response);
    }
}

void serve_files(void *user, const nacre_request *request, nacre_response *response)
{
    serve_root *root = user;
    const uint8_t method = request->message->code;
    if (root->fd < 0) nacre_response_text(response, NACRE_NOT_FOUND, "no such resource");
    else if (serve_writes(root, method) && method == NACRE_DELETE) serve_delete(root, request, response);
    else if (serve_writes(root, method)) serve_write(root, request, response);
    else if (method == NACRE_GET) get(root, request, response);
    else
        nacre_response_text(response, NACRE_METHOD_NOT_ALLOWED,
                            root->is_writable ? "only GET, PUT, POST and DELETE" : "only GET");
}
