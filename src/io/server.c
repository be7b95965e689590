/* SPDX-License-Identifier: MIT */
/* server: a loop, its context directories and its resources, for programs that want ten lines. */
#include "endpoint/endpoint_internal.h" /* NACRE__MAX_CANDIDATES */
#include "io/address.h"
#include "io/keyring.h"
#include "io/locks.h"
#include "io/loop_internal.h"
#include "io/worker.h"
#include "store/fail.h"

#include <nacre/remote.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    COAP_PORT = 5683, /* RFC 7252 6.1 */
    FIRST_SLOTS = 16,
    MAX_WORKERS = 64,
};

struct nacre_server {
    nacre_role role; /* of directories to come */
    nacre__worker *workers;
    size_t num_workers;
    nacre__locks *locks; /* NULL with one worker */
    nacre_tcp *tcp;      /* of the first worker; NULL: no connections */
    nacre__keyring ring;
    nacre_pack **packs;
    size_t num_packs;
    nacre_table table; /* the endpoints borrow this very struct; its slots grow under it */
    nacre_table_slot *slots;
    nacre_resource *resources;
    size_t num_resources;
};

/* ---- Life ------------------------------------------------------------------------------------------------------------- */

static nacre__worker *first_of(const nacre_server *server)
{
    return &server->workers[0];
}

/* The first socket is alone on its port, so that nobody else's server is there; the others join it. */
static nacre_err open_udp(const nacre_server *server, nacre_udp **udp, const char *bind, nacre_detail *why)
{
    nacre_address local;
    if (server->num_workers > 0) return nacre_udp_open_beside(udp, first_of(server)->udp, why);
    nacre_err err = nacre_address_resolve(&local, bind != NULL ? bind : "[::]", COAP_PORT, why);
    return err != NACRE_OK ? err : nacre_udp_open(udp, &local, why);
}

static nacre_err add_worker(nacre_server *server, const char *bind, nacre_detail *why)
{
    nacre_udp *udp;
    nacre_err err = open_udp(server, &udp, bind, why);
    if (err != NACRE_OK) return err;
    err = nacre__worker_open(&server->workers[server->num_workers], udp, &server->table, server->locks, why);
    if (err == NACRE_OK) server->num_workers++;
    return err;
}

static nacre_err make_locks(nacre_server *server)
{
    server->locks = malloc(sizeof *server->locks);
    if (server->locks == NULL) return NACRE_ERR_NO_MEMORY;
    const nacre_err err = nacre__locks_init(server->locks);
    if (err == NACRE_OK) return err;
    free(server->locks);
    server->locks = NULL;
    return err;
}

static nacre_err set_up(nacre_server *server, const char *bind, unsigned num_workers, nacre_detail *why)
{
    if (num_workers < 1 || num_workers > MAX_WORKERS)
        return nacre__store_fail(why, NACRE_ERR_BAD_ARGUMENT, "%u workers: 1 to %d of them", num_workers,
                                 (int)MAX_WORKERS);
    server->slots = calloc(FIRST_SLOTS, sizeof *server->slots);
    server->workers = calloc(num_workers, sizeof *server->workers);
    nacre_err err = server->slots == NULL || server->workers == NULL ? NACRE_ERR_NO_MEMORY : NACRE_OK;
    if (err == NACRE_OK && num_workers > 1) err = make_locks(server);
    if (err != NACRE_OK) return nacre__store_fail(why, err, "out of memory for a server");
    err = nacre_table_init(&server->table, server->slots, FIRST_SLOTS);
    if (err != NACRE_OK) return nacre__store_fail(why, err, "cannot make a table of contexts: %s", nacre_err_text(err));
    for (unsigned i = 0; err == NACRE_OK && i < num_workers; i++) err = add_worker(server, bind, why);
    return err;
}

nacre_err nacre_server_open_workers(nacre_server **server, const char *bind, unsigned num_workers, nacre_detail *why)
{
    nacre_server *made = calloc(1, sizeof *made);
    if (made == NULL) return nacre__store_fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a server");
    nacre_err err = set_up(made, bind, num_workers, why);
    if (err != NACRE_OK) {
        (void)nacre_server_close(made, NULL);
        return err;
    }
    *server = made;
    return NACRE_OK;
}

nacre_err nacre_server_open(nacre_server **server, const char *bind, nacre_detail *why)
{
    return nacre_server_open_workers(server, bind, 1, why);
}

nacre_err nacre_server_close(nacre_server *server, nacre_detail *why)
{
    if (server == NULL) return NACRE_OK;
    /* Loops first, for their endpoints borrow the contexts; providers last, for the contexts' keys are theirs. */
    for (size_t i = 0; i < server->num_workers; i++) nacre__worker_close_loop(&server->workers[i]);
    nacre_err err = nacre__keyring_close(&server->ring, why);
    for (size_t i = 0; i < server->num_packs; i++) {
        nacre_err closed = nacre_pack_close(server->packs[i], err == NACRE_OK ? why : NULL);
        if (err == NACRE_OK) err = closed;
    }
    free(server->packs);
    nacre_tcp_close(server->tcp);
    for (size_t i = 0; i < server->num_workers; i++) nacre__worker_close(&server->workers[i]);
    if (server->locks != NULL) nacre__locks_destroy(server->locks);
    free(server->locks);
    free(server->workers);
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
        err = nacre_loop_add_tcp(first_of(server)->loop, server->tcp);
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

/* A table with room for `num` more contexts, and with all that are in. */
static nacre_err grow_table(nacre_server *server, size_t num)
{
    nacre_table larger;
    size_t num_slots = nacre_table_num_slots(server->table.num_contexts + num);
    if (num_slots < 2 * server->table.num_slots) num_slots = 2 * server->table.num_slots;
    nacre_table_slot *slots = calloc(num_slots, sizeof *slots);
    if (slots == NULL) return NACRE_ERR_NO_MEMORY;
    nacre_err err = nacre_table_init(&larger, slots, num_slots);
    for (size_t i = 0; err == NACRE_OK && i < server->table.num_slots; i++)
        if (server->slots[i].context != NULL) err = nacre_table_add(&larger, server->slots[i].context);
    if (err != NACRE_OK) {
        free(slots);
        return err;
    }
    server->table = larger;
    free(server->slots);
    server->slots = slots;
    return NACRE_OK;
}

static nacre_err add_to_table(nacre_server *server, nacre_context *ctx)
{
    nacre_err err = nacre_table_add(&server->table, ctx);
    if (err != NACRE_ERR_NO_ROOM) return err;
    err = grow_table(server, 1);
    return err == NACRE_OK ? nacre_table_add(&server->table, ctx) : err;
}

/* An endpoint tries a few contexts for one request and no more, so that what lies behind them would never answer. A
 * request that names no ID Context may mean any context with its kid (RFC 8613 5.1). */
static bool is_crowded(const nacre_server *server, const nacre_context *ctx)
{
    nacre_bytes kid = nacre_context_recipient_id(ctx), kid_context = nacre_context_id_context(ctx);
    size_t cursor = 0;
    int num = 0;
    while (num < NACRE__MAX_CANDIDATES && nacre_table_find(&server->table, kid, kid_context, &cursor) != NULL) num++;
    return num == NACRE__MAX_CANDIDATES;
}

void nacre_server_set_role(nacre_server *server, nacre_role role)
{
    server->role = role;
}

static nacre_err add_credential(nacre_server *server, const nacre_credential *credential, nacre_detail *why)
{
    nacre_context *ctx;
    bool is_new;
    nacre_err err = nacre__keyring_use(&server->ring, &ctx, &is_new, credential, server->role,
                                       &first_of(server)->crypto, first_of(server)->loop, why);
    if (err != NACRE_OK || !is_new) return err;
    bool crowded = is_crowded(server, ctx);
    err = crowded ? NACRE_ERR_UNSUPPORTED : add_to_table(server, ctx);
    if (err == NACRE_OK) return NACRE_OK;
    const char *name = credential->directory != NULL ? credential->directory : credential->name;
    nacre__keyring_drop(&server->ring, first_of(server)->loop);
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

static void take_out(nacre_server *server, nacre_pack *pack)
{
    for (size_t i = 0; i < nacre_pack_num(pack); i++) {
        const nacre_context *ctx = nacre_pack_context_at(pack, i);
        if (ctx != NULL) nacre_table_remove(&server->table, ctx);
    }
}

static nacre_err put_in(nacre_server *server, nacre_pack *pack, const char *path, nacre_detail *why)
{
    nacre_err err = grow_table(server, nacre_pack_num(pack));
    for (size_t i = 0; err == NACRE_OK && i < nacre_pack_num(pack); i++) {
        nacre_context *ctx = nacre_pack_context_at(pack, i);
        if (ctx == NULL) continue;
        if (is_crowded(server, ctx))
            return nacre__store_fail(why, NACRE_ERR_UNSUPPORTED,
                                     "%s: context %zu: is number %d with one Recipient ID and ID Context, too many to "
                                     "try for each request; it needs a Recipient ID of its own",
                                     path, i, NACRE__MAX_CANDIDATES + 1);
        err = nacre_table_add(&server->table, ctx);
    }
    if (err == NACRE_OK) err = nacre_loop_add_pack(first_of(server)->loop, pack);
    if (err == NACRE_OK) return NACRE_OK;
    return nacre__store_fail(why, err, "%s: cannot add its contexts: %s", path, nacre_err_text(err));
}

nacre_err nacre_server_add_pack(nacre_server *server, const char *path, nacre_detail *why)
{
    nacre_pack *pack;
    nacre_pack **packs = realloc(server->packs, (server->num_packs + 1) * sizeof(nacre_pack *));
    if (packs == NULL) return nacre__store_fail(why, NACRE_ERR_NO_MEMORY, "out of memory for the pack '%s'", path);
    server->packs = packs;
    nacre_err err = nacre_pack_open(&pack, path, &first_of(server)->crypto, why);
    if (err != NACRE_OK) return err;
    err = put_in(server, pack, path, why);
    if (err == NACRE_OK) {
        server->packs[server->num_packs++] = pack;
        return NACRE_OK;
    }
    take_out(server, pack);
    (void)nacre_pack_close(pack, NULL); /* nothing was done with it, so nothing is lost */
    return err;
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
                           .local = nacre_udp_local(first_of(server)->udp),
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
    for (size_t i = 0; i < server->num_workers; i++)
        nacre_site_set_resources(server->workers[i].site, resources, server->num_resources);
    return NACRE_OK;
}

void nacre_server_changed(nacre_server *server, const char *path)
{
    if (server->num_workers == 1) nacre_site_changed(first_of(server)->site, path);
    for (size_t i = 0; server->num_workers > 1 && i < server->num_workers; i++)
        nacre__worker_tell(&server->workers[i], path);
}

void nacre_server_watch_fd(nacre_server *server, int fd, void (*on_readable)(void *user), void *user)
{
    nacre__loop_set_extra(first_of(server)->loop, fd, on_readable, user);
}

nacre_address nacre_server_local(const nacre_server *server)
{
    return nacre_udp_local(first_of(server)->udp);
}

void nacre_server_watch(nacre_server *server, nacre_on_datagram on_datagram, void *user)
{
    for (size_t i = 0; i < server->num_workers; i++) nacre_loop_watch(server->workers[i].loop, on_datagram, user);
}

/* ---- Running ---------------------------------------------------------------------------------------------------------- */

/* Every worker serves the stores of all contexts: whoever needs a number first asks. */
static nacre_err share_stores(nacre_server *server)
{
    nacre_err err = NACRE_OK;
    for (size_t w = 1; w < server->num_workers; w++)
        for (size_t i = 0; err == NACRE_OK && i < server->ring.num; i++) {
            const nacre__key *key = &server->ring.keys[i];
            if (key->store.ops != NULL) err = nacre_loop_add_store(server->workers[w].loop, key->ctx, key->store);
        }
    for (size_t w = 1; w < server->num_workers; w++)
        for (size_t i = 0; err == NACRE_OK && i < server->num_packs; i++)
            err = nacre_loop_add_pack(server->workers[w].loop, server->packs[i]);
    return err;
}

/* One of the threads beside the first. */
typedef struct helper {
    nacre_server *server;
    nacre__worker *worker;
    pthread_t thread;
    nacre_err err;
    nacre_detail why;
} helper;

static void *help(void *arg)
{
    helper *h = arg;
    h->err = nacre__worker_run(h->worker, &h->why);
    if (h->err != NACRE_OK) nacre_server_stop(h->server); /* one is not to be missing without a word */
    return NULL;
}

static nacre_err run_first(nacre_server *server, nacre_detail *why)
{
    return nacre__worker_run(first_of(server), why);
}

/* Threads inherit the mask, so that signals come to the thread that the program knows. */
static int start(helper *h)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&h->thread, NULL, help, h);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static nacre_err run_all(nacre_server *server, helper *helpers, nacre_detail *why)
{
    size_t num = 0;
    int error = 0;
    for (; num + 1 < server->num_workers && error == 0; num += error == 0) {
        helpers[num] = (helper){ .server = server, .worker = &server->workers[num + 1] };
        error = start(&helpers[num]);
    }
    nacre_err err = error == 0
                        ? run_first(server, why)
                        : nacre__store_fail(why, NACRE_ERR_NO_MEMORY, "cannot start a thread: %s", strerror(error));
    for (size_t i = 0; i < num; i++) nacre__worker_stop(helpers[i].worker);
    for (size_t i = 0; i < num; i++) {
        (void)pthread_join(helpers[i].thread, NULL);
        if (err != NACRE_OK || helpers[i].err == NACRE_OK) continue;
        err = helpers[i].err;
        if (why != NULL) *why = helpers[i].why;
    }
    return err;
}

nacre_err nacre_server_run(nacre_server *server, nacre_detail *why)
{
    if (server->num_workers == 1) return run_first(server, why);
    nacre_err err = share_stores(server);
    helper *helpers = calloc(server->num_workers - 1, sizeof *helpers);
    if (err == NACRE_OK && helpers != NULL) err = run_all(server, helpers, why);
    else err = nacre__store_fail(why, NACRE_ERR_NO_MEMORY, "out of memory for the server's threads");
    free(helpers);
    return err;
}

void nacre_server_stop(nacre_server *server)
{
    nacre__worker_stop(first_of(server));
}
