/* SPDX-License-Identifier: MIT */
/* server: workers, connections and resources. Contexts are in server_contexts.c. */
#include "io/loop_internal.h"
#include "io/tcp_internal.h"
#include "io/udp_internal.h"
#include "io/server/loader.h"
#include "io/server/server_internal.h"
#include "base/hosted/detail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    COAP_PORT = 5683, /* RFC 7252 6.1 */
    FIRST_SLOTS = 16,
    MAX_WORKERS = 64,
};

/* ---- Life ------------------------------------------------------------------------------------------------------------- */

static nacre_err open_first(nacre_udp **udp, const nacre_server_config *config, const char *bind, nacre_detail *why)
{
    nacre_address local;
    if (config->udp_socket != 0) return nacre__udp_adopt(udp, config->udp_socket, why);
    nacre_err err = nacre_address_resolve(&local, bind != NULL ? bind : "[::]", COAP_PORT, why);
    return err != NACRE_OK ? err : nacre_udp_open(udp, &local, why);
}

/* The first socket gets the port exclusively, so that it is not shared with another server; the other sockets join it. All
 * workers have a lane or none: the program in the kernel counts sockets. */
static nacre_err open_udp(nacre_server *server, nacre_udp **udp, const char *bind, nacre_detail *why)
{
    nacre_udp *opened = NULL, *first = server->num_workers > 0 ? nacre__server_first(server)->udp : NULL;
    const nacre_err err =
        first != NULL ? nacre_udp_open_beside(&opened, first, why) : open_first(&opened, &server->config, bind, why);
    if (err != NACRE_OK) return err;
    if (first == NULL || server->has_lanes) {
        const bool has_lane = nacre__udp_open_lane(opened, first, server->config.num_workers);
        if (first != NULL && !has_lane) {
            const int cause = errno;
            nacre_udp_close(opened);
            return nacre__fail(why, NACRE_ERR_ADDRESS, "cannot open the sockets of %u workers: %s",
                               server->config.num_workers, strerror(cause));
        }
        server->has_lanes = has_lane;
    }
    *udp = opened;
    return NACRE_OK;
}

static nacre_err add_worker(nacre_server *server, const char *bind, nacre_detail *why)
{
    nacre_udp *udp = NULL;
    nacre_err err = open_udp(server, &udp, bind, why);
    if (err != NACRE_OK) return err;
    err = nacre__worker_open(&server->workers[server->num_workers], udp, &server->table, server->locks, &server->config,
                             why);
    if (err != NACRE_OK) return err;
    nacre_loop *loop = server->workers[server->num_workers++].loop;
    nacre__loop_share_stores(loop, &server->health, &server->threads);
    nacre__loop_find_stores(loop, nacre__server_find_store, server);
    return NACRE_OK;
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

static const char *const *claims_of(void *self, const nacre_context *ctx)
{
    return nacre_server_claims(self, ctx);
}

static nacre_err make_health(nacre_server *server)
{
    const nacre_err err = nacre__store_health_init(&server->health);
    if (err != NACRE_OK) return err;
    server->health.claims = claims_of;
    server->health.claims_self = server;
    server->has_health = true;
    const nacre_err started = nacre__store_threads_init(&server->threads);
    server->has_threads = started == NACRE_OK;
    return started;
}

static nacre_err set_up(nacre_server *server, const char *bind, nacre_detail *why)
{
    const unsigned num_workers = server->config.num_workers;
    if (num_workers < 1 || num_workers > MAX_WORKERS)
        return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "%u workers: 1 to %d of them", num_workers, (int)MAX_WORKERS);
    server->slots = calloc(FIRST_SLOTS, sizeof *server->slots);
    server->workers = calloc(num_workers, sizeof *server->workers);
    nacre_err err = server->slots == NULL || server->workers == NULL ? NACRE_ERR_NO_MEMORY : NACRE_OK;
    if (err == NACRE_OK) err = nacre__server_make_locks(server);
    if (err == NACRE_OK) err = make_health(server);
    if (err == NACRE_OK && num_workers > 1) err = make_locks(server);
    if (err != NACRE_OK) return nacre__fail(why, err, "out of memory for a server");
    err = nacre_provider_open(&server->crypto);
    if (err != NACRE_OK) return nacre__fail(why, err, "cannot use a cryptography library: %s", nacre_err_text(err));
    uint8_t hash_key[NACRE_TABLE_HASH_KEY];
    const nacre_random random = nacre_entropy();
    random.fill(random.self, hash_key, sizeof hash_key);
    random.fill(random.self, server->context_set.hash_key, sizeof server->context_set.hash_key);
    server->context_set.has_hash_key = true;
    err = nacre_table_init(&server->table, server->slots, FIRST_SLOTS);
    if (err == NACRE_OK) err = nacre_table_set_hash_key(&server->table, hash_key);
    if (err != NACRE_OK) return nacre__fail(why, err, "cannot make a table of contexts: %s", nacre_err_text(err));
    for (unsigned i = 0; err == NACRE_OK && i < num_workers; i++) err = add_worker(server, bind, why);
    return err;
}

nacre_err nacre_server_open_with(nacre_server **server, const char *bind, const nacre_server_config *config,
                                 nacre_detail *why)
{
    nacre_server *made = calloc(1, sizeof *made);
    if (made == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for a server");
    nacre_err err = nacre__server_config_resolve(&made->config, config)
                        ? set_up(made, bind, why)
                        : nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                                      "a server's limits are 1 or more, and its configuration is of this version");
    if (err != NACRE_OK) {
        (void)nacre_server_close(made, NULL);
        return err;
    }
    *server = made;
    return NACRE_OK;
}

nacre_err nacre_server_open_workers(nacre_server **server, const char *bind, unsigned num_workers, nacre_detail *why)
{
    nacre_server_config config = nacre_server_config_default();
    config.num_workers = num_workers;
    return nacre_server_open_with(server, bind, &config, why);
}

nacre_err nacre_server_open(nacre_server **server, const char *bind, nacre_detail *why)
{
    return nacre_server_open_with(server, bind, NULL, why);
}

nacre_err nacre_server_close(nacre_server *server, nacre_detail *why)
{
    if (server == NULL) return NACRE_OK;
    /* Loops first, because their endpoints borrow the contexts; then the store threads, so that nothing is written but the true
     * states; providers last, because they own the contexts' keys. */
    nacre__loader_stop(server->loader);
    for (size_t i = 0; i < server->num_workers; i++) nacre__worker_close_loop(&server->workers[i]);
    if (server->has_threads) nacre__store_threads_free(&server->threads);
    nacre_err err = nacre__context_set_close(&server->context_set, why);
    const nacre_err closed = nacre__loader_close(server->loader, err == NACRE_OK ? why : NULL);
    if (err == NACRE_OK) err = closed;
    nacre_tcp_close(server->tcp);
    for (size_t i = 0; i < server->num_workers; i++) nacre__worker_close(&server->workers[i]);
    if (server->crypto.ops != NULL) nacre_provider_close(&server->crypto);
    nacre__server_destroy_locks(server);
    nacre__stores_free(&server->stores);
    if (server->locks != NULL) nacre__locks_destroy(server->locks);
    free(server->locks);
    if (server->has_health) nacre__store_health_free(&server->health);
    free(server->workers);
    free(server->slots);
    nacre__key_marks_free(&server->senders);
    free(server->resources);
    free(server);
    return err;
}

/* An upload has a file and its directory open; each worker opens some more for a moment. */
static size_t num_other_descriptors(const nacre_server *server)
{
    return server->config.num_workers * (32 + 2 * (size_t)server->config.bodies.num_bodies);
}

static nacre_tcp_config connections_of(const nacre_server_config *limits)
{
    nacre_tcp_config config = nacre_tcp_config_default();
    config.num_connections = limits->num_connections;
    config.connections_per_host = limits->connections_per_host;
    config.input_bytes = limits->tcp_input_bytes;
    config.output_bytes = limits->tcp_output_bytes;
    config.stream.ping_after_ms = limits->tcp_ping_after_ms;
    config.stream.idle_ms = limits->tcp_idle_ms;
    config.stream.block_wise = true;
    return config;
}

static nacre_err make_connections(nacre_server *server, nacre_detail *why)
{
    const nacre_tcp_config config = connections_of(&server->config);
    nacre_err err = nacre_tcp_open(&server->tcp, &config, why);
    if (err != NACRE_OK) return err;
    nacre__tcp_keep_descriptors(server->tcp, num_other_descriptors(server), nacre__server_warn, server);
    err = nacre_loop_add_tcp(nacre__server_first(server)->loop, server->tcp);
    return err == NACRE_OK ? err : nacre__fail(why, err, "cannot take connections: %s", nacre_err_text(err));
}

nacre_err nacre_server_listen_tcp(nacre_server *server, const char *bind, nacre_detail *why)
{
    nacre_address local;
    const int given = server->config.tcp_socket;
    nacre_err err = NACRE_OK;
    if (given == 0) err = nacre_address_resolve(&local, bind != NULL ? bind : "[::]", COAP_PORT, why);
    if (err == NACRE_OK && server->tcp == NULL) err = make_connections(server, why);
    if (err != NACRE_OK) return err;
    return given != 0 ? nacre__tcp_adopt_listener(server->tcp, given, why) : nacre_tcp_listen(server->tcp, &local, why);
}

nacre_address nacre_server_local_tcp(const nacre_server *server)
{
    static const nacre_address none;
    return server->tcp != NULL ? nacre_tcp_local(server->tcp) : none;
}

/* ---- Resources --------------------------------------------------------------------------------------------------------- */

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

void nacre_server_on_access(nacre_server *server, nacre_on_access on_access, void *user)
{
    for (size_t i = 0; i < server->num_workers; i++) nacre_site_on_access(server->workers[i].site, on_access, user);
}

void nacre_server_changed(nacre_server *server, const char *path)
{
    if (server->num_workers == 1) {
        nacre_site_changed(nacre__server_first(server)->site, path);
        nacre__loop_touch(nacre__server_first(server)->loop);
    }
    for (size_t i = 0; server->num_workers > 1 && i < server->num_workers; i++)
        nacre__worker_tell(&server->workers[i], path);
}

void nacre_server_watch_fd(nacre_server *server, int fd, void (*on_readable)(void *user), void *user)
{
    nacre__loop_set_extra(nacre__server_first(server)->loop, fd, on_readable, user);
}

nacre_address nacre_server_local(const nacre_server *server)
{
    return nacre_udp_local(nacre__server_first(server)->udp);
}

bool nacre_server_has_lanes(const nacre_server *server)
{
    return server->has_lanes;
}

void nacre_server_tap(nacre_server *server, nacre_on_datagram on_datagram, void *user)
{
    for (size_t i = 0; i < server->num_workers; i++) nacre_loop_tap(server->workers[i].loop, on_datagram, user);
}

void nacre_server_on_store(nacre_server *server, nacre_on_store on_store, void *user)
{
    nacre__store_health_watch(&server->health, on_store, user);
}

void nacre_server_store_failed(nacre_server *server, nacre_context *ctx, nacre_err err, const char *text)
{
    nacre_loop_store_failed(nacre__server_first(server)->loop, ctx, err, text);
}

nacre_store_health nacre_server_store_health(const nacre_server *server)
{
    return nacre__store_health_get(&server->health);
}
