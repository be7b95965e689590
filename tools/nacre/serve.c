/* SPDX-License-Identifier: MIT */
/* nacre serve: demo resources or a directory's files, for the peers of its contexts. */
#include "serve_args.h"
#include "serve_files.h"
#include "serve_told.h"
#include "signals.h"
#include "store_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static nacre_server *running; /* for the signal handler */

static void stop_server(void)
{
    nacre_server_stop(running);
}

static nacre_err add_database(nacre_server *server, const serve_args *a, nacre_detail *why)
{
    uint8_t kek[NACRE_SQLITE_KEK];
    nacre_sqlite_config config = nacre_sqlite_config_default();
    nacre_err err = NACRE_OK;
    if (a->kek != NULL) err = tool_kek(&config.kek, kek, a->kek, why);
    if (err == NACRE_OK) err = nacre_server_add_database(server, a->database, &config, why);
    nacre_wipe(kek, sizeof kek);
    return err;
}

static nacre_err add_contexts(nacre_server *server, const serve_args *a, nacre_detail *why)
{
    nacre_err err = NACRE_OK;
    nacre_server_set_role(server, a->role);
    if (a->credentials != NULL) err = nacre_server_add_credentials(server, a->credentials, why);
    for (size_t i = 0; err == NACRE_OK && i < a->num_contexts; i++)
        err = nacre_server_add_context(server, a->contexts[i], why);
    if (err == NACRE_OK && a->database != NULL) err = add_database(server, a, why);
    return err;
}

/* Prints a line when copies of `path` would not be detected. */
static void tell_mark(const char *path)
{
    const char *text = nacre_mark_text(nacre_mark_at(path));
    if (text != NULL) fprintf(stderr, "nacre serve: %s: %s\n", path, text);
}

static void tell_marks(const serve_args *a)
{
    size_t cursor = 0;
    nacre_credential entry;
    nacre_credentials *credentials = NULL;
    for (size_t i = 0; i < a->num_contexts; i++) tell_mark(a->contexts[i]);
    if (a->database != NULL) tell_mark(a->database);
    if (a->credentials == NULL || nacre_credentials_load(&credentials, a->credentials, NULL) != NACRE_OK) return;
    while (nacre_credentials_next(credentials, &entry, &cursor))
        if (entry.kind == NACRE_CREDENTIAL_DIRECTORY) tell_mark(entry.directory);
    nacre_credentials_free(credentials);
}

/* Prints one line per listening address. */
static int announce(const nacre_server *server)
{
    char local[72];
    nacre_address address = nacre_server_local(server), tcp = nacre_server_local_tcp(server);
    nacre_address_text(&address, local);
    int written = printf("listening coap://%s\n", local);
    nacre_address_text(&tcp, local);
    if (written >= 0 && tcp.len != 0) written = printf("listening coap+tcp://%s\n", local);
    if (written < 0 || fflush(stdout) != 0)
        return tool_fail("serve", NACRE_ERR_FILE, "cannot write to stdout: %s", strerror(errno));
    return TOOL_OK;
}

/* The files of --root; without it every path is 4.04. With a root /.well-known/core links to them through the list "/". */
static serve_told files_of(serve_root *root)
{
    static const nacre_link list = { .ct = "40" };
    return (serve_told){ .path = "/",
                         .flags = NACRE_RESOURCE_SUBTREE | NACRE_RESOURCE_OBSERVABLE | NACRE_RESOURCE_CONDITIONAL |
                                  (root->fd < 0 ? NACRE_RESOURCE_HIDDEN : 0),
                         .handler = serve_files,
                         .user = root,
                         .on_upload = serve_files_upload,
                         .link = &list,
                         .is_shared = true };
}

static int serve(nacre_server *server, const serve_args *a, serve_root *root)
{
    nacre_detail why = { { 0 } };
    serve_value value = { 0 };
    static const nacre_link text = { .ct = "0" };
    serve_told resources[] = {
        files_of(root), /* alone, unless --demo is given */
        { .path = "/hello", .handler = serve_hello, .link = &text },
        { .path = "/time", .handler = serve_time, .link = &text },
        { .path = "/echo", .handler = serve_echo },
        { .path = "/store",
          .handler = serve_store,
          .user = &value,
          .flags = NACRE_RESOURCE_OBSERVABLE | NACRE_RESOURCE_CONDITIONAL,
          .is_shared = true },
    };
    const size_t num = root->has_demo ? sizeof resources / sizeof resources[0] : 1;
    value.server = server;
    nacre_err err = add_contexts(server, a, &why);
    if (err != NACRE_OK) return tool_fail("serve", err, "%s", why.text);
    err = serve_told_add(server, resources, num, a->verbose);
    if (err != NACRE_OK) return tool_fail("serve", err, "cannot add the resources: %s", nacre_err_text(err));
    tell_marks(a);
    int result = announce(server);
    if (result != TOOL_OK) return result;
    err = nacre_server_run(server, &why);
    serve_value_forget(&value);
    return err == NACRE_OK ? TOOL_OK : tool_fail("serve", err, "%s", why.text);
}

static void warn(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "nacre serve: %s\n", text);
}

/* Many systems start programs with a low soft limit. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_and_serve(const serve_args *a, serve_root *root)
{
    nacre_detail why = { { 0 } };
    nacre_server *server;
    store_lines lines = { .subcommand = "serve" };
    raise_descriptor_limit();
    nacre_err err = nacre_server_open_with(&server, a->bind, &a->limits, &why);
    if (err != NACRE_OK) return tool_fail("serve", err, "%s", why.text);
    nacre_server_on_store(server, store_lines_tell, &lines);
    nacre_server_on_warning(server, warn, NULL);
    if (a->verbose && !nacre_server_has_lanes(server))
        (void)fprintf(
            stderr,
            "nacre serve: verified peers have no queue of their own: the system refuses a BPF program for the port\n");
    running = server;
    tool_signals_catch("serve", true);
    tool_signals_stop_with(stop_server);
    if (a->tcp) err = nacre_server_listen_tcp(server, a->bind, &why);
    if (root->fd >= 0) root->watches = serve_watches_open(server);
    int result = err == NACRE_OK ? serve(server, a, root) : tool_fail("serve", err, "%s", why.text);
    tool_signals_stop_with(NULL);
    serve_watches_close(root->watches);
    err = nacre_server_close(server, &why);
    if (err != NACRE_OK && result == TOOL_OK) result = tool_fail("serve", err, "%s", why.text);
    return result;
}

static int open_root(serve_root *root, const serve_args *a)
{
    root->fd = open(a->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root->fd < 0)
        return tool_fail("serve", NACRE_ERR_FILE, "cannot open the directory '%s': %s", a->root, strerror(errno));
    if (serve_holds_context(root->fd))
        return tool_usage("serve", "--root %s holds a security context, whose secret would be served", a->root);
    if (root->is_writable) serve_sweep(root->fd);
    root->lists = serve_lists_open();
    if (root->lists == NULL) return tool_fail("serve", NACRE_ERR_NO_MEMORY, "out of memory");
    const nacre_err err = nacre_openssl_open(&root->crypto);
    return err == NACRE_OK ? TOOL_OK : tool_fail("serve", err, "cannot use OpenSSL: %s", nacre_err_text(err));
}

static int run(const serve_args *a)
{
    serve_root root = { .fd = -1,
                        .is_writable = a->writable,
                        .max_body = a->limits.bodies.max_body,
                        .has_demo = a->demo || a->root == NULL,
                        .credentials = a->credentials,
                        .database = a->database,
                        .kek = a->kek };
    int result = a->root != NULL ? open_root(&root, a) : TOOL_OK;
    if (result == TOOL_OK) result = open_and_serve(a, &root);
    serve_lists_close(root.lists);
    if (root.crypto.ops != NULL) nacre_openssl_close(&root.crypto);
    if (root.fd >= 0) (void)close(root.fd);
    return result;
}

int tool_serve(int argc, char **argv)
{
    serve_args a = { .contexts = calloc((size_t)argc, sizeof(char *)) };
    if (a.contexts == NULL) return tool_fail("serve", NACRE_ERR_NO_MEMORY, "out of memory");
    int result = serve_args_parse(&a, argc, argv);
    if (result == TOOL_OK) result = a.help ? serve_args_help() : run(&a);
    free(a.contexts);
    return result;
}
