/* SPDX-License-Identifier: MIT */
/* server: a loop, its context directories and its resources, for programs that want ten lines. */
#include "endpoint/endpoint_internal.h" /* NACRE__MAX_CANDIDATES */
#include "io/address.h"
#include "io/keyring.h"
#include "io/loop_internal.h"
#include "store/fail.h"

#include <nacre/remote.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    COAP_PORT = 5683,   /* RFC 7252 6.1 */
    NUM_ANSWERS = 4096, /* remembered for duplicates: some 7 MiB; at 1,000 requests a second, four seconds of them */
    BURST = 64,
    NUM_OBSERVERS = 1024,
    NUM_BODIES = 16,    /* put together, or kept for their later blocks, */
    MAX_BODY = 1048576, /* of so many bytes each: memory that is touched only where it is needed */
    FIRST_SLOTS = 16,
};

struct nacre_server {
    nacre_role role; /* of directories to come */
    nacre_crypto crypto;
    nacre_udp *udp;
    nacre_tcp *tcp; /* NULL: no connections */
    nacre_loop *loop;
    nacre__keyring ring;
    nacre_table table; /* the endpoint borrows this very struct; its slots grow under it */
    nacre_context **slots;
    nacre_site *site;
    void *site_memory;
    nacre_resource *resources;
    size_t num_resources;
    int stop_read, stop_write; /* a pipe: writing to it is all that a signal handler has to do */
};

/* ---- Life ------------------------------------------------------------------------------------------------------------- */

static void on_event(void *user, nacre_transfer *transfer, const nacre_event *event)
{
    nacre_server *server = user;
    (void)transfer;
    nacre_err err = nacre_site_answer(server->site, event);
    (void)err; /* the site has answered or ignored the exchange in any case, and there is nobody to tell */
}

static nacre_err make_site(nacre_server *server)
{
    const nacre_site_config config = { .transfer = nacre_loop_transfer(server->loop) };
    const size_t size = nacre_site_size(&config);
    server->site_memory = malloc(size);
    if (server->site_memory == NULL) return NACRE_ERR_NO_MEMORY;
    return nacre_site_init(&server->site, server->site_memory, size, &config);
}

static bool make_stop_pipe(nacre_server *server)
{
    int ends[2];
    if (pipe(ends) != 0) return false;
    server->stop_read = ends[0];
    server->stop_write = ends[1];
    for (int i = 0; i < 2; i++)
        if (fcntl(ends[i], F_SETFD, FD_CLOEXEC) != 0 || fcntl(ends[i], F_SETFL, O_NONBLOCK) != 0) return false;
    return true;
}

static nacre_err open_udp(nacre_server *server, const char *bind, nacre_detail *why)
{
    nacre_address local;
    nacre_err err = nacre_address_resolve(&local, bind != NULL ? bind : "[::]", COAP_PORT, why);
    if (err == NACRE_OK) err = nacre_udp_open(&server->udp, &local, why);
    if (err == NACRE_OK) (void)nacre_udp_use_runs(server->udp); /* without, it serves the same, with more calls */
    return err;
}

static nacre_err set_up(nacre_server *server, const char *bind, nacre_detail *why)
{
    if (!make_stop_pipe(server))
        return nacre__store_fail(why, NACRE_ERR_FILE, "cannot make a pipe: %s", strerror(errno));
    server->slots = calloc(FIRST_SLOTS, sizeof *server->slots);
    if (server->slots == NULL) return nacre__store_fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a server");
    nacre_err err = nacre_table_init(&server->table, server->slots, FIRST_SLOTS);
    if (err != NACRE_OK) return nacre__store_fail(why, err, "cannot make a table of contexts: %s", nacre_err_text(err));
    err = nacre_openssl_open(&server->crypto);
    if (err != NACRE_OK) return nacre__store_fail(why, err, "cannot use OpenSSL: %s", nacre_err_text(err));
    err = open_udp(server, bind, why);
    if (err != NACRE_OK) return err;
    nacre_endpoint_config config = {
        .num_answers = NUM_ANSWERS, .burst = BURST, .num_observers = NUM_OBSERVERS, .contexts = &server->table
    };
    config.crypto = server->crypto;
    const nacre_transfer_config transfer = { .num_bodies = NUM_BODIES, .max_body = MAX_BODY };
    err = nacre_loop_open_transfer(&server->loop, server->udp, &config, &transfer, on_event, server, why);
    if (err != NACRE_OK) return err;
    nacre__loop_set_wake(server->loop, server->stop_read);
    err = make_site(server);
    return err == NACRE_OK ? err : nacre__store_fail(why, err, "cannot make a site: %s", nacre_err_text(err));
}

nacre_err nacre_server_open(nacre_server **server, const char *bind, nacre_detail *why)
{
    nacre_server *made = calloc(1, sizeof *made);
    if (made == NULL) return nacre__store_fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a server");
    made->stop_read = made->stop_write = -1;
    nacre_err err = set_up(made, bind, why);
    if (err != NACRE_OK) {
        (void)nacre_server_close(made, NULL);
        return err;
    }
    *server = made;
    return NACRE_OK;
}

nacre_err nacre_server_close(nacre_server *server, nacre_detail *why)
{
    if (server == NULL) return NACRE_OK;
    nacre_loop_close(server->loop); /* first: its endpoint borrows the contexts */
    nacre_err err = nacre__keyring_close(&server->ring, why);
    nacre_tcp_close(server->tcp);
    nacre_udp_close(server->udp);
    if (server->crypto.ops != NULL) nacre_openssl_close(&server->crypto);
    if (server->stop_read >= 0) (void)close(server->stop_read);
    if (server->stop_write >= 0) (void)close(server->stop_write);
    free(server->site_memory);
    free(server->slots);
    free(server->resources);
    free(server);
    return err;
}

nacre_err nacre_server_listen_tcp(nacre_server *server, const char *bind, nacre_detail *why)
{
    nacre_address local;
    nacre_err err = nacre_address_resolve(&local, bind != NULL ? bind : "[::]", COAP_PORT, why);
    if (err != NACRE_OK) return err;
    if (server->tcp == NULL) {
        err = nacre_tcp_open(&server->tcp, &(nacre_tcp_config){ .stream = { .block_wise = true } }, why);
        if (err != NACRE_OK) return err;
        err = nacre_loop_add_tcp(server->loop, server->tcp);
        if (err != NACRE_OK) return nacre__store_fail(why, err, "cannot take connections: %s", nacre_err_text(err));
    }
    return nacre_tcp_listen(server->tcp, &local, why);
}

nacre_address nacre_server_local_tcp(const nacre_server *server)
{
    static const nacre_address none;
    return server->tcp != NULL ? nacre_tcp_local(server->tcp) : none;
}

/* ---- Who may ask ------------------------------------------------------------------------------------------------------ */

/* A table of twice the size, with all contexts of the keyring. */
static nacre_err grow_table(nacre_server *server)
{
    nacre_table larger;
    size_t num_slots = server->table.num_slots * 2;
    nacre_context **slots = calloc(num_slots, sizeof *slots);
    if (slots == NULL) return NACRE_ERR_NO_MEMORY;
    nacre_err err = nacre_table_init(&larger, slots, num_slots);
    for (size_t i = 0; err == NACRE_OK && i < server->ring.num; i++)
        err = nacre_table_add(&larger, server->ring.keys[i].ctx);
    if (err != NACRE_OK) {
        free(slots);
        return err;
    }
    server->table = larger;
    free(server->slots);
    server->slots = slots;
    return NACRE_OK;
}

/* `ctx` is the keyring's latest. */
static nacre_err add_to_table(nacre_server *server, nacre_context *ctx)
{
    nacre_err err = nacre_table_add(&server->table, ctx);
    return err == NACRE_ERR_NO_ROOM ? grow_table(server) : err;
}

/* An endpoint tries a few contexts for one request and no more, so that what lies behind them would never answer. A
 * request that names no ID Context may mean any context with its kid (RFC 8613 5.1). */
static bool is_crowded(const nacre_server *server, const nacre_context *ctx)
{
    nacre_bytes kid = nacre_context_recipient_id(ctx), kid_context = nacre_context_id_context(ctx);
    size_t cursor = 0;
    int num = 0;
    while (nacre_table_find(&server->table, kid, kid_context, &cursor) != NULL) num++;
    return num >= NACRE__MAX_CANDIDATES;
}

void nacre_server_set_role(nacre_server *server, nacre_role role)
{
    server->role = role;
}

static nacre_err add_credential(nacre_server *server, const nacre_credential *credential, nacre_detail *why)
{
    nacre_context *ctx;
    bool is_new;
    nacre_err err =
        nacre__keyring_use(&server->ring, &ctx, &is_new, credential, server->role, &server->crypto, server->loop, why);
    if (err != NACRE_OK || !is_new) return err;
    bool crowded = is_crowded(server, ctx);
    err = crowded ? NACRE_ERR_UNSUPPORTED : add_to_table(server, ctx);
    if (err == NACRE_OK) return NACRE_OK;
    const char *name = credential->directory != NULL ? credential->directory : credential->name;
    nacre__keyring_drop(&server->ring, server->loop);
    if (crowded)
        return nacre__store_fail(
            why, err,
            "'%s' would be context number %d with one Recipient ID and ID Context, too many to try for "
            "each request; make it with an ID Context of its own",
            name, NACRE__MAX_CANDIDATES + 1);
    return nacre__store_fail(why, err, "cannot add the context of '%s': %s", name, nacre_err_text(err));
}

nacre_err nacre_server_add_context(nacre_server *server, const char *context_dir, nacre_detail *why)
{
    const nacre_credential credential = { .kind = NACRE_CREDENTIAL_DIRECTORY,
                                          .name = context_dir,
                                          .directory = context_dir };
    return add_credential(server, &credential, why);
}

nacre_err nacre_server_use_credentials(nacre_server *server, const nacre_credentials *credentials, nacre_detail *why)
{
    nacre_err err = NACRE_OK;
    nacre_credential credential;
    size_t cursor = 0;
    while (err == NACRE_OK && nacre_credentials_next(credentials, &credential, &cursor))
        err = add_credential(server, &credential, why);
    return err;
}

nacre_err nacre_server_add_credentials(nacre_server *server, const char *credentials_file, nacre_detail *why)
{
    nacre_credentials *credentials;
    nacre_err err = nacre_credentials_load(&credentials, credentials_file, why);
    if (err != NACRE_OK) return err;
    err = nacre_server_use_credentials(server, credentials, why);
    nacre_credentials_free(credentials);
    return err;
}

const char *const *nacre_server_claims(const nacre_server *server, const nacre_context *context)
{
    return context != NULL ? nacre__keyring_claims(&server->ring, context) : NULL;
}

nacre_remote nacre_server_remote(const nacre_server *server, const nacre_request *request)
{
    return (nacre_remote){ .context = request->context,
                           .address = *request->peer,
                           .local = nacre_udp_local(server->udp),
                           .claims = nacre_server_claims(server, request->context) };
}

/* ---- What they may ask for -------------------------------------------------------------------------------------------- */

nacre_err nacre_server_add_resource(nacre_server *server, const nacre_resource *resource)
{
    if (resource->path == NULL || resource->path[0] != '/' || resource->handler == NULL) return NACRE_ERR_BAD_ARGUMENT;
    for (size_t i = 0; i < server->num_resources; i++)
        if (strcmp(server->resources[i].path, resource->path) == 0) return NACRE_ERR_BAD_ARGUMENT;
    nacre_resource *resources = realloc(server->resources, (server->num_resources + 1) * sizeof *resources);
    if (resources == NULL) return NACRE_ERR_NO_MEMORY;
    resources[server->num_resources++] = *resource;
    server->resources = resources;
    nacre_site_set_resources(server->site, resources, server->num_resources);
    return NACRE_OK;
}

void nacre_server_changed(nacre_server *server, const char *path)
{
    nacre_site_changed(server->site, path);
}

void nacre_server_watch_fd(nacre_server *server, int fd, void (*on_readable)(void *user), void *user)
{
    nacre__loop_set_extra(server->loop, fd, on_readable, user);
}

nacre_address nacre_server_local(const nacre_server *server)
{
    return nacre_udp_local(server->udp);
}

void nacre_server_watch(nacre_server *server, nacre_on_datagram on_datagram, void *user)
{
    nacre_loop_watch(server->loop, on_datagram, user);
}

/* ---- Running ---------------------------------------------------------------------------------------------------------- */

nacre_err nacre_server_run(nacre_server *server, nacre_detail *why)
{
    uint8_t drain[16];
    do {
        nacre_err err = nacre_loop_step(server->loop, UINT32_MAX, why);
        if (err != NACRE_OK) return err;
    } while (!nacre__loop_woken(server->loop));
    while (read(server->stop_read, drain, sizeof drain) > 0) {}
    return NACRE_OK;
}

void nacre_server_stop(nacre_server *server)
{
    int error = errno; /* a signal handler must leave it alone */
    ssize_t written = write(server->stop_write, "", 1);
    (void)written; /* a full pipe says stop already */
    errno = error;
}
