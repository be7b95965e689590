/* SPDX-License-Identifier: MIT */
/* serve_running: opens what is served, runs it, and closes it. */
#include "serve_running.h"
#include "serve_check.h"
#include "serve_contexts.h"
#include "serve_files.h"
#include "serve_log.h"
#include "serve_service.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- Signals ----------------------------------------------------------------------------------------------------------- */

static serve_running *running; /* for the signal handlers */

static void end_server(void)
{
    serve_keeper_end(running);
}

static void reload_server(void)
{
    serve_keeper_reload(running);
}

/* ---- What the server calls ----------------------------------------------------------------------------------------------- */

/* Without rights the resources decide: they are for protected requests, unless there were rights for unprotected ones at the start. */
static bool allows(const serve_running *r, const serve_rights *rights, const nacre_request *request)
{
    const bool is_protected = request->context != NULL;
    if (rights == NULL) return is_protected || !r->is_plain;
    const char *const *claims = is_protected ? nacre_server_claims(r->server, request->context) : NULL;
    return serve_rights_allow(rights, is_protected, claims, request->message->code, request->path);
}

/* Of a link of /.well-known/core it is asked with nothing but a method: that is no request. */
static bool is_request(const nacre_message *message)
{
    return message->mid != 0 || message->token.len > 0 || message->options.len > 0;
}

/* Refusals are printed if the peer is verified: others could fill the log. */
static uint8_t on_access(void *user, const nacre_request *request)
{
    serve_running *r = user;
    (void)pthread_rwlock_rdlock(&r->rights_lock);
    const bool is_allowed =
        allows(r, r->settings.rights, request) && (r->then == NULL || allows(r, r->then->rights, request));
    (void)pthread_rwlock_unlock(&r->rights_lock);
    if (is_allowed) return 0;
    if (request->context == NULL) return NACRE_UNAUTHORIZED;
    if (atomic_load_explicit(&r->shows_requests, memory_order_relaxed) && is_request(request->message))
        serve_resource_log(request, NACRE_FORBIDDEN);
    return NACRE_FORBIDDEN;
}

static void write_store_line(bool works, const char *text)
{
    serve_log(works ? SERVE_WARNING : SERVE_ERROR, "store", NULL, "%s", text);
}

static void on_store(void *user, const nacre_store_report *report)
{
    serve_running *r = user;
    store_lines_tell(&r->lines, report);
    serve_metrics_on_store(r->metrics, report);
}

static void warn(void *user, const char *text)
{
    const serve_running *r = user;
    serve_log(SERVE_WARNING, "limit", NULL, "%s", text);
    serve_metrics_on_warning(r->metrics, text);
}

/* Removed all the same: it is safe not to write the state. */
static void on_removed(void *user, nacre_context *ctx, nacre_err err, const char *text)
{
    (void)user, (void)ctx;
    if (err != NACRE_OK) serve_log(SERVE_WARNING, "store", NULL, "a context is removed: %s", text);
}

/* ---- Resources ---------------------------------------------------------------------------------------------------------- */

/* The files of --root; without it every path is 4.04. With a root /.well-known/core links to them through the list "/". */
static serve_resource files_of(serve_root *root)
{
    static const nacre_link list = { .ct = "40" };
    return (serve_resource){ .path = "/",
                             .flags = NACRE_RESOURCE_SUBTREE | NACRE_RESOURCE_OBSERVABLE | NACRE_RESOURCE_CONDITIONAL |
                                      (root->fd < 0 ? NACRE_RESOURCE_HIDDEN : 0),
                             .handler = serve_files,
                             .user = root,
                             .on_upload = serve_files_upload,
                             .link = &list,
                             .is_shared = true };
}

static nacre_err add_resources(serve_running *r)
{
    static const nacre_link text = { .ct = "0" };
    const serve_resource all[SERVE_MAX_RESOURCES] = {
        files_of(&r->root), /* alone, unless --demo is given */
        { .path = "/hello", .handler = serve_hello, .link = &text },
        { .path = "/time", .handler = serve_time, .link = &text },
        { .path = "/echo", .handler = serve_echo },
        { .path = "/store",
          .handler = serve_store,
          .user = &r->value,
          .flags = NACRE_RESOURCE_OBSERVABLE | NACRE_RESOURCE_CONDITIONAL,
          .is_shared = true },
    };
    r->num_resources = r->root.has_demo ? SERVE_MAX_RESOURCES : 1;
    r->value.server = r->server;
    r->is_plain = serve_rights_has_anonymous(r->settings.rights);
    for (size_t i = 0; i < r->num_resources; i++) {
        r->resources[i] = all[i];
        if (r->is_plain) r->resources[i].flags |= NACRE_RESOURCE_PLAIN;
    }
    return serve_resource_add(r->server, r->resources, r->num_resources, &r->shows_requests);
}

static int open_root(serve_running *r)
{
    const serve_settings *s = &r->settings;
    serve_root *root = &r->root;
    root->fd = open(s->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root->fd < 0)
        return serve_log_fail("start", NACRE_ERR_FILE, "cannot open the directory '%s': %s", s->root, strerror(errno));
    if (serve_holds_context(root->fd)) {
        (void)serve_log_fail(
            "start", NACRE_ERR_FILE,
            "--root %s holds a security context, whose secret would be served; try 'nacre serve --help'", s->root);
        return TOOL_USAGE;
    }
    if (root->is_writable) serve_sweep(root->fd);
    root->lists = serve_lists_open();
    if (root->lists == NULL) return serve_log_fail("start", NACRE_ERR_NO_MEMORY, "out of memory");
    const nacre_err err = nacre_openssl_open(&root->crypto);
    if (err == NACRE_OK) return TOOL_OK;
    return serve_log_fail("start", err, "cannot use OpenSSL: %s", nacre_err_text(err));
}

/* stdout is flushed with the addresses of the server. */
static nacre_err open_metrics(serve_running *r, nacre_detail *why)
{
    const serve_settings *s = &r->settings;
    if (s->metrics == NULL) return NACRE_OK;
    const nacre_err err = serve_metrics_open(&r->metrics, s->metrics, r->server, why);
    if (err != NACRE_OK) return err;
    serve_metrics_name(r->metrics, s->contexts, s->num_contexts, s->credentials);
    printf("metrics %s\n", serve_metrics_url(r->metrics));
    return NACRE_OK;
}

/* ---- Running -------------------------------------------------------------------------------------------------------------- */

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
        return serve_log_fail("start", NACRE_ERR_FILE, "cannot write to stdout: %s", strerror(errno));
    return TOOL_OK;
}

static int serve(serve_running *r)
{
    nacre_detail why = { { 0 } };
    const serve_settings *s = &r->settings;
    nacre_err err = serve_contexts_add(r->server, s, &why);
    if (err != NACRE_OK) return serve_log_fail("start", err, "%s", why.text);
    err = add_resources(r);
    if (err != NACRE_OK) return serve_log_fail("start", err, "cannot add the resources: %s", nacre_err_text(err));
    serve_contexts_tell_marks(s);
    if (s->config != NULL && !serve_check_file(s->config))
        serve_log(SERVE_WARNING, "start", NULL, "%s: " SERVE_CHECK_OPEN, s->config);
    err = serve_keeper_start(r);
    if (err != NACRE_OK) return serve_log_fail("start", err, "cannot start a thread");
    if (s->config != NULL) tool_signals_reload_with(reload_server);
    int result = announce(r->server);
    if (result != TOOL_OK) return result;
    serve_log(SERVE_INFO, "ready", NULL, "ready; serves %s%s", s->root != NULL ? s->root : "the demo resources",
              s->rights != NULL ? ", with rights" : "");
    serve_service_tell("READY=1");
    err = nacre_server_run(r->server, &why);
    if (err != NACRE_OK) return serve_log_fail("stop", err, "%s", why.text);
    serve_log(SERVE_INFO, "stop", NULL, "stops: a signal");
    return TOOL_OK;
}

/* Many systems start programs with a low soft limit. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_and_serve(serve_running *r)
{
    nacre_detail why = { { 0 } };
    const serve_settings *s = &r->settings;
    nacre_server_config config = s->limits;
    raise_descriptor_limit();
    nacre_err err = serve_service_sockets(&config.udp_socket, &config.tcp_socket, &why);
    if (err == NACRE_OK) err = nacre_server_open_with(&r->server, s->bind, &config, &why);
    if (err != NACRE_OK) return serve_log_fail("start", err, "%s", why.text);
    nacre_server_on_store(r->server, on_store, r);
    nacre_server_on_warning(r->server, warn, r);
    nacre_server_on_removed(r->server, on_removed, r);
    nacre_server_on_access(r->server, on_access, r);
    if (!nacre_server_has_lanes(r->server))
        serve_log(s->verbose ? SERVE_WARNING : SERVE_INFO, "limit", NULL,
                  "verified peers have no queue of their own: the system refuses a BPF program for the port");
    running = r;
    tool_signals_catch("serve", true);
    tool_signals_stop_with(end_server);
    if (s->tcp || config.tcp_socket != 0) err = nacre_server_listen_tcp(r->server, s->bind, &why);
    if (err == NACRE_OK) err = open_metrics(r, &why);
    if (r->root.fd >= 0) r->root.watches = serve_watches_open(r->server);
    int result = err == NACRE_OK ? serve(r) : serve_log_fail("start", err, "%s", why.text);
    tool_signals_reload_with(NULL);
    tool_signals_stop_with(NULL);
    serve_keeper_stop(r);
    serve_watches_close(r->root.watches);
    serve_metrics_close(r->metrics);
    r->metrics = NULL;
    err = nacre_server_close(r->server, &why);
    serve_value_forget(&r->value);
    if (err != NACRE_OK && result == TOOL_OK) result = serve_log_fail("stop", err, "%s", why.text);
    return result;
}

int serve_run(serve_running *r)
{
    const serve_settings *s = &r->settings;
    r->wake_read = r->wake_write = -1;
    r->lines = (store_lines){ .subcommand = "serve", .write = write_store_line };
    r->root = (serve_root){ .fd = -1,
                            .is_writable = s->writable,
                            .max_body = serve_settings_is_set(s, "limits.max_body") ? s->limits.bodies.max_body : 0,
                            .has_demo = s->demo || s->root == NULL,
                            .config = s->config,
                            .credentials = s->credentials,
                            .database = s->database,
                            .kek = s->kek };
    atomic_store(&r->shows_requests, s->verbose);
    if (pthread_rwlock_init(&r->rights_lock, NULL) != 0)
        return serve_log_fail("start", NACRE_ERR_NO_MEMORY, "out of memory");
    int result = s->root != NULL ? open_root(r) : TOOL_OK;
    if (result == TOOL_OK) result = open_and_serve(r);
    serve_lists_close(r->root.lists);
    if (r->root.crypto.ops != NULL) nacre_openssl_close(&r->root.crypto);
    if (r->root.fd >= 0) (void)close(r->root.fd);
    (void)pthread_rwlock_destroy(&r->rights_lock);
    return result;
}
