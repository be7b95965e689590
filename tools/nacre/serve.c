/* SPDX-License-Identifier: MIT */
/* nacre serve: demo resources or a directory's files, for the peers of its contexts. */
#include "serve_files.h"
#include "options.h"
#include "suggest.h"
#include "signals.h"
#include "store_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

typedef struct args {
    const char *bind, *credentials, *root;
    const char **contexts; /* argc entries */
    size_t num_contexts;
    const char *database, *kek; /* of --db; the path of its key-encryption key */
    nacre_role role;
    nacre_server_config limits; /* 0: the default */
    bool help, verbose, tcp, writable, demo;
} args;

/* ---- Command line ----------------------------------------------------------------------------------------------------- */

static int print_help(void)
{
    printf("Usage: nacre serve [--bind ADDRESS] [--tcp] (--context DIR ... | --credentials FILE)\n"
           "                   [--db DB [--kek FILE]] [--role ROLE] [--root DIR [--writable] [--demo]]\n"
           "                   [--workers N] [--max-bodies N] [--max-body BYTES]\n"
           "                   [--max-deferred N] [--max-connections N] [-v]\n"
           "\n"
           "Serves protected resources until interrupted: the files of --root, or else the demo\n"
           "resources /hello, /time, /echo and /store.\n"
           "Prints 'listening coap://ADDRESS' on stdout when it is ready.\n"
           "\n"
           "  --bind ADDRESS        HOST, HOST:PORT or [IPV6]:PORT; port 0 picks a free one\n"
           "                        (default: port 5683 on every address)\n"
           "  --tcp                 serve over TCP too, at the same address (coap+tcp)\n"
           "  --context DIR         accept requests from the peer of this context;\n"
           "                        may be given several times\n"
           "  --credentials FILE    the same, for every context that FILE names\n"
           "  --db DB               the same, for every context in a database (nacre fleet)\n"
           "  --kek FILE            the database's key-encryption key\n"
           "  --role ROLE           client or server: the side of directories in the legacy layout\n"
           "  --root DIR            serve the files in DIR: no symbolic links, no names that start\n"
           "                        with a dot, no directory that holds a security context\n"
           "  --demo                serve the demo resources with --root too; they hide files of those names\n"
           "  --writable            accept PUT, POST and DELETE below --root\n"
           "  --workers N           serve UDP with N threads (1 to 64; default: 1)\n"
           "  --max-bodies N       bodies in blocks at a time, for each worker (default: 16); one client has\n"
           "                        a quarter, plain clients together half\n"
           "  --max-body BYTES      the largest body taken in blocks (default: 1048576, files of any size)\n"
           "  --max-deferred N      notifications and separate responses in flight at a time, for each worker\n"
           "                        (default: 512); one client has a sixteenth, plain clients together half\n"
           "  --max-connections N   TCP connections at a time (default: 256); one host has a quarter\n"
           "  -v, --verbose         show requests on stderr\n"
           "  -h, --help            this text\n");
    return TOOL_OK;
}

enum {
    OPT_BIND = 256,
    OPT_DB,
    OPT_KEK,
    OPT_ROLE,
    OPT_CONTEXT,
    OPT_CREDENTIALS,
    OPT_DEMO,
    OPT_MAX_BODY,
    OPT_MAX_CONNECTIONS,
    OPT_MAX_DEFERRED,
    OPT_MAX_BODIES,
    OPT_ROOT,
    OPT_TCP,
    OPT_WRITABLE,
    OPT_WORKERS
};

static const struct option long_options[] = { { "bind", required_argument, NULL, OPT_BIND },
                                              { "context", required_argument, NULL, OPT_CONTEXT },
                                              { "db", required_argument, NULL, OPT_DB },
                                              { "kek", required_argument, NULL, OPT_KEK },
                                              { "role", required_argument, NULL, OPT_ROLE },
                                              { "credentials", required_argument, NULL, OPT_CREDENTIALS },
                                              { "demo", no_argument, NULL, OPT_DEMO },
                                              { "max-body", required_argument, NULL, OPT_MAX_BODY },
                                              { "max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS },
                                              { "max-deferred", required_argument, NULL, OPT_MAX_DEFERRED },
                                              { "max-bodies", required_argument, NULL, OPT_MAX_BODIES },
                                              { "root", required_argument, NULL, OPT_ROOT },
                                              { "tcp", no_argument, NULL, OPT_TCP },
                                              { "writable", no_argument, NULL, OPT_WRITABLE },
                                              { "workers", required_argument, NULL, OPT_WORKERS },
                                              { "verbose", no_argument, NULL, 'v' },
                                              { "help", no_argument, NULL, 'h' },
                                              { NULL, 0, NULL, 0 } };

static int take_number(unsigned long *number, const char *option, unsigned long least, unsigned long most)
{
    char *end;
    errno = 0;
    const unsigned long value = strtoul(optarg, &end, 10);
    if (errno != 0 || *optarg < '0' || *optarg > '9' || *end != '\0' || value < least || value > most)
        return tool_usage("serve", "%s %s: give a number from %lu to %lu", option, optarg, least, most);
    *number = value;
    return TOOL_OK;
}

static int take_limit(nacre_server_config *limits, int option)
{
    unsigned long number = 0;
    int result = TOOL_OK;
    if (option == OPT_WORKERS) {
        result = take_number(&number, "--workers", 1, 64);
        limits->num_workers = (unsigned)number;
    } else if (option == OPT_MAX_BODIES) {
        result = take_number(&number, "--max-bodies", 1, 1024);
        limits->bodies.num_bodies = (uint16_t)number;
    } else if (option == OPT_MAX_CONNECTIONS) {
        result = take_number(&number, "--max-connections", 1, 65535);
        limits->num_connections = (uint16_t)number;
    } else if (option == OPT_MAX_DEFERRED) {
        result = take_number(&number, "--max-deferred", 1, 65535);
        limits->num_transmissions = (uint16_t)number;
    } else {
        result = take_number(&number, "--max-body", 1024, 1073741824);
        limits->bodies.max_body = number;
    }
    return result;
}

static int take_option(args *a, int option, const char *given)
{
    switch (option) {
    case OPT_BIND: a->bind = optarg; break;
    case OPT_CONTEXT: a->contexts[a->num_contexts++] = optarg; break;
    case OPT_DB: a->database = optarg; break;
    case OPT_KEK: a->kek = optarg; break;
    case OPT_CREDENTIALS: a->credentials = optarg; break;
    case OPT_ROLE: return tool_role("serve", &a->role, optarg);
    case OPT_DEMO: a->demo = true; break;
    case OPT_ROOT: a->root = optarg; break;
    case OPT_TCP: a->tcp = true; break;
    case OPT_WRITABLE: a->writable = true; break;
    case OPT_WORKERS:
    case OPT_MAX_BODIES:
    case OPT_MAX_CONNECTIONS:
    case OPT_MAX_DEFERRED:
    case OPT_MAX_BODY: return take_limit(&a->limits, option);
    case 'h': a->help = true; break;
    case 'v': a->verbose = true; break;
    case ':': return tool_usage("serve", "%s needs a value", given);
    default: return tool_bad_option("serve", given, long_options);
    }
    return TOOL_OK;
}

static int parse(args *a, int argc, char **argv)
{
    if (tool_options_once(argc, argv, ":hv", long_options, OPT_CONTEXT) != TOOL_OK) return TOOL_USAGE;
    for (;;) {
        int option = getopt_long(argc, argv, ":hv", long_options, NULL);
        if (option == -1) break;
        int result = take_option(a, option, argv[optind - 1]);
        if (result != TOOL_OK || a->help) return result;
    }
    if (optind < argc) return tool_usage("serve", "%s: serve takes options only", argv[optind]);
    if (a->credentials != NULL && a->num_contexts > 0)
        return tool_usage("serve", "--context and --credentials: give one of them");
    if (a->kek != NULL && a->database == NULL) return tool_usage("serve", "--kek needs --db DB");
    if (a->writable && a->root == NULL) return tool_usage("serve", "--writable needs --root DIR");
    if (a->credentials == NULL && a->num_contexts == 0 && a->database == NULL)
        return tool_usage("serve",
                          "give --context DIR, --credentials FILE or --db DB: without one no client could be served");
    return TOOL_OK;
}

/* ---- Resources -------------------------------------------------------------------------------------------------------- */

/* A resource whose requests are printed on stderr with -v. */
typedef struct told {
    const char *path;
    unsigned flags;
    nacre_handler handler;
    void *user;
    nacre_upload_handler on_upload;
    const nacre_link *link;
    bool
        is_shared; /* its data must be used by one thread at a time: `lock` is held until the response is handed over */
    bool verbose;
    pthread_mutex_t lock;
} told;

static void tell(const nacre_request *request, uint8_t code)
{
    char peer[72], ours[2 * NACRE_MAX_ID + 1] = "", theirs[2 * NACRE_MAX_ID + 1] = "", method[5], response[5];
    nacre_address_text(request->peer, peer);
    if (request->context != NULL) {
        nacre_hex_encode(ours, nacre_context_sender_id(request->context));
        nacre_hex_encode(theirs, nacre_context_recipient_id(request->context));
    }
    fprintf(stderr, "%s recipient-id '%s' sender-id '%s': %s %s -> %s\n", peer, theirs, ours,
            nacre_code_name(request->message->code, method), request->path, nacre_code_name(code, response));
}

/* Held by this thread from the handler of a shared resource until its response is handed over, because the response may point
 * into the handler's data. */
static _Thread_local struct {
    pthread_mutex_t *lock;
    void (*done)(void *user); /* the handler's callback */
} holding;

static void let_go(void *user)
{
    if (holding.done != NULL) holding.done(user);
    (void)pthread_mutex_unlock(holding.lock);
}

static void handle(void *user, const nacre_request *request, nacre_response *response)
{
    told *resource = user;
    if (resource->is_shared) (void)pthread_mutex_lock(&resource->lock);
    resource->handler(resource->user, request, response);
    if (resource->is_shared) {
        holding.lock = &resource->lock;
        holding.done = response->done;
        response->done = let_go;
    }
    if (resource->verbose) tell(request, response->code);
}

static void handle_upload(void *user, const nacre_request *request, nacre_upload *upload)
{
    told *resource = user;
    (void)pthread_mutex_lock(&resource->lock);
    resource->on_upload(resource->user, request, upload);
    (void)pthread_mutex_unlock(&resource->lock);
    if (resource->verbose && upload->code != 0) tell(request, upload->code);
}

static nacre_err add_resources(nacre_server *server, told *resources, size_t num, bool verbose)
{
    for (size_t i = 0; i < num; i++) {
        resources[i].verbose = verbose;
        (void)pthread_mutex_init(&resources[i].lock, NULL);
        nacre_resource resource = { .path = resources[i].path,
                                    .handler = handle,
                                    .user = &resources[i],
                                    .flags = resources[i].flags,
                                    .link = resources[i].link,
                                    .on_upload = resources[i].on_upload != NULL ? handle_upload : NULL };
        nacre_err err = nacre_server_add_resource(server, &resource);
        if (err != NACRE_OK) return err;
    }
    return NACRE_OK;
}

/* ---- Running ---------------------------------------------------------------------------------------------------------- */

static nacre_server *running; /* for the signal handler */

static void stop_server(void)
{
    nacre_server_stop(running);
}

static nacre_err add_database(nacre_server *server, const args *a, nacre_detail *why)
{
    uint8_t kek[NACRE_SQLITE_KEK];
    nacre_sqlite_config config = nacre_sqlite_config_default();
    nacre_err err = NACRE_OK;
    if (a->kek != NULL) err = tool_kek(&config.kek, kek, a->kek, why);
    if (err == NACRE_OK) err = nacre_server_add_database(server, a->database, &config, why);
    nacre_wipe(kek, sizeof kek);
    return err;
}

static nacre_err add_contexts(nacre_server *server, const args *a, nacre_detail *why)
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

static void tell_marks(const args *a)
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
static told files_of(serve_root *root)
{
    static const nacre_link list = { .ct = "40" };
    return (told){ .path = "/",
                   .flags = NACRE_RESOURCE_SUBTREE | NACRE_RESOURCE_OBSERVABLE | NACRE_RESOURCE_CONDITIONAL |
                            (root->fd < 0 ? NACRE_RESOURCE_HIDDEN : 0),
                   .handler = serve_files,
                   .user = root,
                   .on_upload = serve_files_upload,
                   .link = &list,
                   .is_shared = true };
}

static int serve(nacre_server *server, const args *a, serve_root *root)
{
    nacre_detail why = { { 0 } };
    serve_value value = { 0 };
    static const nacre_link text = { .ct = "0" };
    told resources[] = {
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
    err = add_resources(server, resources, num, a->verbose);
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

static int open_and_serve(const args *a, serve_root *root)
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

static int open_root(serve_root *root, const args *a)
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

static int run(const args *a)
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
    args a = { .contexts = calloc((size_t)argc, sizeof(char *)) };
    if (a.contexts == NULL) return tool_fail("serve", NACRE_ERR_NO_MEMORY, "out of memory");
    int result = parse(&a, argc, argv);
    if (result == TOOL_OK) result = a.help ? print_help() : run(&a);
    free(a.contexts);
    return result;
}
