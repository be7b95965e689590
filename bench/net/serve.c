/* SPDX-License-Identifier: MIT */
/* serve: the code in the servers' processes. See serve.h. */
#include "serve.h"
#include "bench.h"
#include "net/echo.h"
#include "net/directory.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void must(nacre_err err, const char *what)
{
    if (err != NACRE_OK) (void)fprintf(stderr, "serve: %s\n", nacre_err_text(err));
    bench_check(err == NACRE_OK, what);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in name = { 0 };
    socklen_t len = sizeof name;
    bench_check(getsockname(fd, (struct sockaddr *)&name, &len) == 0, "getsockname");
    return ntohs(name.sin_port);
}

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    response->code = NACRE_CONTENT;
    response->payload = NACRE_STR("sixteen bytes of");
}

/* ---- Bare echoes ------------------------------------------------------------------------------------------------- */

static void serve_echo(const void *arg, int ready)
{
    const serve_config *c = arg;
    const struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    bench_check(fd >= 0 && bind(fd, (const struct sockaddr *)&name, sizeof name) == 0, "socket");
    process_ready(ready, port_of(fd));
    if (c->kind == SERVE_ECHO_ONE) echo_one(fd);
    else if (c->kind == SERVE_ECHO_BURST) echo_burst(fd);
    else echo_batches(fd);
}

/* ---- One endpoint ------------------------------------------------------------------------------------------------ */

static nacre_site *site;

static void on_event(void *user, nacre_transfer *transfer, const nacre_event *event)
{
    (void)user, (void)transfer;
    if (event->kind == NACRE_EVENT_REQUEST) must(nacre_site_respond(site, event), "answer");
}

static void serve_endpoint(const void *arg, int ready)
{
    const serve_config *c = arg;
    const nacre_resource resource = { .path = c->path, .handler = hello, .flags = NACRE_RESOURCE_PLAIN };
    nacre_detail why;
    nacre_address local;
    nacre_udp *udp;
    nacre_loop *loop;
    if (c->begin != NULL) c->begin(c->of);
    must(nacre_address_resolve(&local, "127.0.0.1:0", 0, &why), "address");
    must(nacre_udp_open(&udp, &local, &why), "socket");
    if (c->kind == SERVE_BATCHES) bench_check(nacre_udp_use_gso(udp), "the system has no runs of datagrams");
    const nacre_endpoint_config config = {
        .crypto = *c->crypto, .contexts = c->contexts, .num_server_exchanges = 256, .burst = 64, .max_message = 1280
    };
    const nacre_transfer_config transfer = { .bodies.num_bodies = 4 };
    must(nacre_loop_open_transfer(&loop, udp, &config, &transfer, on_event, NULL, &why), "loop");
    const nacre_site_config on_top = { .transfer = nacre_loop_transfer(loop) };
    const size_t size = nacre_site_size(&on_top);
    must(nacre_site_init(&site, bench_alloc(size), size, &on_top), "site");
    nacre_site_set_resources(site, &resource, 1);
    if (c->on_endpoint != NULL) c->on_endpoint(nacre_loop_endpoint(loop));
    process_ready(ready, port_of(nacre_udp_fd(udp)));
    for (;;) must(nacre_loop_step(loop, 1000, &why), "step");
}

/* ---- A server of several threads --------------------------------------------------------------------------------- */

static nacre_err describe(void *user, nacre_sqlite_context *context, size_t index, nacre_detail *why)
{
    nacre_directory_info *info = &context->info;
    (void)why;
    index += *(const size_t *)user;
    info->aead = nacre_aead_by_number(NACRE_AES_CCM_16_64_128);
    info->hash = NACRE_SHA256;
    info->window = 64;
    info->window_known = true;
    info->sender_id_len = strlen(PAIR_SERVER_ID);
    memcpy(info->sender_id, PAIR_SERVER_ID, info->sender_id_len);
    info->recipient_id_len = 4;
    pair_id(info->recipient_id, index);
    info->secret_len = 16;
    pair_secret(info->secret, index);
    return NACRE_OK;
}

void serve_database(const char *path, size_t num, const nacre_crypto *crypto)
{
    enum { MOST = 100000 }; /* in one transaction */
    nacre_detail why = { "" };
    nacre_sqlite *db;
    must(nacre_sqlite_create(path, NULL, crypto, &why), why.text);
    must(nacre_sqlite_open(&db, path, NULL, crypto, &why), why.text);
    for (size_t i = 0; i < num; i += MOST)
        must(nacre_sqlite_add(db, NULL, num - i < MOST ? num - i : MOST, describe, &i, &why), why.text);
    must(nacre_sqlite_close(db, &why), why.text);
}

static void add_database(nacre_server *server, const serve_config *c)
{
    char path[DIRECTORY_PATH + 32];
    nacre_detail why = { "" };
    (void)snprintf(path, sizeof path, "%s/db-%ld", c->parent != NULL ? c->parent : ".", (long)getpid());
    if (c->database == NULL) serve_database(path, c->num_pairs, c->crypto);
    must(nacre_server_add_database(server, c->database != NULL ? c->database : path, NULL, &why), why.text);
}

/* The pairs' server sides, each with a store in memory. */
static void add_memory(nacre_server *server, const serve_config *c)
{
    nacre_detail why = { "" };
    nacre_credentials *credentials;
    pair *pairs = pairs_open(c->crypto, c->num_pairs); /* used until the process ends */
    nacre_memory *memories = bench_alloc(c->num_pairs * sizeof *memories);
    must(nacre_credentials_new(&credentials), "credentials");
    for (size_t i = 0; i < c->num_pairs; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, ":%zu", i);
        must(nacre_credentials_set_context(credentials, name, &pairs[i].server, nacre_memory_store(&memories[i]), &why),
             why.text);
    }
    must(nacre_server_use_credentials(server, credentials, &why), why.text);
    nacre_credentials_free(credentials);
}

static void serve_workers(const void *arg, int ready)
{
    const serve_config *c = arg;
    const nacre_resource resource = { .path = c->path, .handler = hello, .flags = NACRE_RESOURCE_PLAIN };
    nacre_detail why = { "" };
    nacre_server *server;
    nacre_server_config config = nacre_server_config_default();
    config.num_workers = c->num_workers;
    if (c->cache_bytes != 0) config.cache_bytes = c->cache_bytes;
    must(nacre_server_open_with(&server, "127.0.0.1:0", &config, &why), why.text);
    if (c->kind == SERVE_MEMORY) add_memory(server, c);
    else add_database(server, c);
    must(nacre_server_add_resource(server, &resource), "resource");
    const nacre_address local = nacre_server_local(server);
    char text[72]; /* "127.0.0.1:PORT" */
    nacre_address_text(&local, text);
    process_ready(ready, (uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10));
    must(nacre_server_run(server, &why), why.text);
}

/* ---- Starting ---------------------------------------------------------------------------------------------------- */

process serve_start(const serve_config *config)
{
    void (*serve)(const void *, int) = serve_endpoint;
    if (config->kind <= SERVE_ECHO_BATCHES) serve = serve_echo;
    if (config->kind >= SERVE_WORKERS) serve = serve_workers;
    return process_fork(serve, config, config->num_workers > 1 ? PROCESS_BOTH_CORES : PROCESS_SERVER_CORE);
}

void serve_table(nacre_table *table, pair *pairs, size_t num)
{
    size_t num_slots = 16;
    while (num_slots < 2 * num) num_slots *= 2;
    must(nacre_table_init(table, bench_alloc(num_slots * sizeof(nacre_table_slot)), num_slots), "table");
    for (size_t i = 0; i < num; i++) must(nacre_table_add(table, &pairs[i].server), "table");
}

void serve_table_close(nacre_table *table)
{
    free(table->slots);
}
