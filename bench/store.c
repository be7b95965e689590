/* SPDX-License-Identifier: MIT */
/* store: the cost of contexts that survive a crash. Requests go over loopback from a client to a server in this
 * process, one after the other and sixteen at a time, with both contexts in memory, and with both in directories.
 * Also the bytes written for a million requests.
 *
 * The directories are made in the current directory, or in $NACRE_BENCH_DIR: the time of an fsync depends on the
 * disk. */
#include "bench.h"

#include <nacre/nacre.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FLYING = 16, KEYS = 4096, MILLION = 1000000, PATH = 512, CHUNK = 10000 /* numbers reserved at once */ };

/* ---- Directories ---- */

static char temp_dir[PATH];

static void remove_directories(void)
{
    static const char *const sides[] = { "client", "server" };
    static const char *const files[] = { "secret.json", "settings.json", "sequence.json", "lock" };
    char path[PATH + 64];
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < 4; k++) {
            snprintf(path, sizeof path, "%s/%s/%s", temp_dir, sides[i], files[k]);
            (void)unlink(path);
        }
        snprintf(path, sizeof path, "%s/%s", temp_dir, sides[i]);
        (void)rmdir(path);
    }
    (void)rmdir(temp_dir);
}

/* A fresh pair, opened. */
static void make_directories(nacre_directory *dirs[2], uint16_t first_chunk, const nacre_crypto *crypto)
{
    const nacre_directory_options options = { .first_chunk = first_chunk };
    char client[PATH + 16], server[PATH + 16];
    nacre_detail why = { "" };
    const char *base = getenv("NACRE_BENCH_DIR");
    snprintf(temp_dir, sizeof temp_dir, "%s/nacre-bench-XXXXXX", base != NULL ? base : ".");
    bench_check(mkdtemp(temp_dir) != NULL, "a directory for the contexts (NACRE_BENCH_DIR)");
    snprintf(client, sizeof client, "%s/client", temp_dir);
    snprintf(server, sizeof server, "%s/server", temp_dir);
    bench_check(nacre_directory_generate(client, server, NULL, &why) == NACRE_OK, "a pair of contexts");
    bench_check(nacre_directory_open_with(&dirs[0], client, &options, crypto, &why) == NACRE_OK,
                "the client's directory");
    bench_check(nacre_directory_open_with(&dirs[1], server, &options, crypto, &why) == NACRE_OK,
                "the server's directory");
}

static void close_directories(nacre_directory *dirs[2])
{
    for (size_t i = 0; i < 2; i++) bench_check(nacre_directory_close(dirs[i], NULL) == NACRE_OK, "closing");
    remove_directories();
}

/* ---- A client and a server, each with a loop ---- */

struct side {
    nacre_udp *udp;
    nacre_loop *loop;
    nacre_table table;
    nacre_table_slot slots[4];
    nacre_context *ctx, in_memory;
    uint8_t *keys;
};

struct pair {
    const nacre_crypto *crypto;
    struct side client, server;
    nacre_directory *dirs[2];
    nacre_memory memory[2];
    nacre_address peer;
    size_t flying, at_once, left, failed;
};

static void serve(struct pair *p)
{
    nacre_exchange exchange;
    nacre_message get = { .type = NACRE_CON, .code = NACRE_GET, .payload = NACRE_STR("sixteen bytes ..") };
    while (p->left > 0 && p->flying < p->at_once &&
           nacre_endpoint_request(nacre_loop_endpoint(p->client.loop), &exchange, &p->peer, p->client.ctx, &get,
                                  NULL) == NACRE_OK) {
        p->left--;
        p->flying++;
    }
}

static void on_event(void *user, nacre_endpoint *ep, const nacre_event *event)
{
    struct pair *p = user;
    nacre_message content = { .code = NACRE_CONTENT, .payload = NACRE_STR("sixteen bytes ..") };
    if (event->kind == NACRE_EVENT_REQUEST) {
        p->failed += nacre_endpoint_respond(ep, event->exchange, &content) != NACRE_OK;
        return;
    }
    if (event->kind == NACRE_EVENT_RESPONSE || event->kind == NACRE_EVENT_FAILED) {
        p->failed += event->kind == NACRE_EVENT_FAILED;
        p->flying--;
    }
}

static void open_side(struct pair *p, struct side *s, nacre_store store)
{
    nacre_address local;
    nacre_endpoint_config config = { .num_client_exchanges = MAX_FLYING, .timing = { .exchange_lifetime_ms = 2000 } };
    bench_check(nacre_address_resolve(&local, "[::1]:0", 0, NULL) == NACRE_OK, "an address");
    bench_check(nacre_udp_open(&s->udp, &local, NULL) == NACRE_OK, "a socket");
    bench_check(nacre_table_init(&s->table, s->slots, 4) == NACRE_OK, "a table");
    bench_check(nacre_table_add(&s->table, s->ctx) == NACRE_OK, "a context in it");
    config.contexts = &s->table;
    config.crypto = *p->crypto;
    bench_check(nacre_loop_open(&s->loop, s->udp, &config, on_event, p, NULL) == NACRE_OK, "a loop");
    bench_check(nacre_loop_add_store(s->loop, s->ctx, store) == NACRE_OK, "a store");
}

static void make_context(struct pair *p, struct side *s, nacre_bytes sender, nacre_bytes recipient)
{
    size_t size = 0, align = 0;
    bench_check(nacre_context_key_layout(p->crypto, 0, &size, &align) == NACRE_OK && size <= KEYS, "room for keys");
    s->keys = bench_alloc(KEYS);
    s->ctx = &s->in_memory;
    nacre_context_params params = { .master_secret = { .bytes = NACRE_STR("a secret of no importance") },
                                    .sender_id = sender,
                                    .recipient_id = recipient,
                                    .persistent = true,
                                    .never_used = true,
                                    .first_chunk = CHUNK };
    bench_check(nacre_context_init(s->ctx, p->crypto, &params, (nacre_buf){ s->keys, KEYS }) == NACRE_OK, "a context");
}

static void open_pair(struct pair *p, const nacre_crypto *crypto, bool in_directories)
{
    nacre_store stores[2];
    memset(p, 0, sizeof *p);
    p->crypto = crypto;
    if (in_directories) {
        make_directories(p->dirs, CHUNK, crypto);
        p->client.ctx = nacre_directory_context(p->dirs[0]);
        p->server.ctx = nacre_directory_context(p->dirs[1]);
        for (size_t i = 0; i < 2; i++) stores[i] = nacre_directory_store(p->dirs[i]);
    } else {
        make_context(p, &p->client, NACRE_STR("c"), NACRE_STR("s"));
        make_context(p, &p->server, NACRE_STR("s"), NACRE_STR("c"));
        for (size_t i = 0; i < 2; i++) stores[i] = nacre_memory_store(&p->memory[i]);
    }
    open_side(p, &p->client, stores[0]);
    open_side(p, &p->server, stores[1]);
    p->peer = nacre_udp_local(p->server.udp);
}

static void close_pair(struct pair *p)
{
    struct side *sides[] = { &p->client, &p->server };
    for (size_t i = 0; i < 2; i++) {
        nacre_loop_close(sides[i]->loop);
        nacre_udp_close(sides[i]->udp);
        if (sides[i]->keys != NULL) nacre_context_wipe(&sides[i]->in_memory);
        free(sides[i]->keys);
    }
    if (p->dirs[0] != NULL) close_directories(p->dirs);
}

static void exchange_many(struct pair *p, size_t n, size_t at_once)
{
    p->left = n;
    p->at_once = at_once;
    while (p->left > 0 || p->flying > 0) {
        serve(p);
        bench_check(nacre_loop_step(p->client.loop, 0, NULL) == NACRE_OK, "the client's step");
        bench_check(nacre_loop_step(p->server.loop, 0, NULL) == NACRE_OK, "the server's step");
    }
    bench_check(p->failed == 0, "every request is answered");
}

static void one_at_a_time(void *arg, size_t n)
{
    exchange_many(arg, n, 1);
}

static void many_at_a_time(void *arg, size_t n)
{
    exchange_many(arg, n, MAX_FLYING);
}

static void compare(bench *b, const nacre_crypto *crypto, const char *label, void (*run)(void *, size_t))
{
    static struct pair memory, directory;
    if (!bench_wanted(b, label)) return;
    open_pair(&memory, crypto, false);
    open_pair(&directory, crypto, true);
    /* Chunks have the size they reach after a while, and each round takes whole chunks, so that each round has its
     * write; otherwise the median would miss the writes. */
    exchange_many(&memory, 100, MAX_FLYING);
    exchange_many(&directory, 100, MAX_FLYING);
    const bench_case cases[] = {
        { .name = "memory", .run = run, .arg = &memory, .step = CHUNK, .wall_clock = true },
        { .name = "directory", .run = run, .arg = &directory, .step = CHUNK, .wall_clock = true, .goal = 1.05 },
    };
    bench_compare(b, label, cases, 2);
    close_pair(&memory);
    close_pair(&directory);
}

/* ---- What is written ---- */

struct counted {
    nacre_store store;
    const char *path;
    uint64_t bytes, writes;
};

static nacre_err count(struct counted *c, nacre_err err)
{
    struct stat st = { .st_size = 0 };
    char path[PATH + 64];
    snprintf(path, sizeof path, "%s/sequence.json", c->path);
    bench_check(err == NACRE_OK && stat(path, &st) == 0, "writing the state");
    c->bytes += (uint64_t)st.st_size;
    c->writes++;
    return err;
}

static nacre_err counted_reserve(void *self, uint64_t ceiling, nacre_detail *why)
{
    struct counted *c = self;
    return count(c, c->store.ops->reserve(c->store.self, ceiling, why));
}

static nacre_err counted_window_lost(void *self, nacre_detail *why)
{
    struct counted *c = self;
    return count(c, c->store.ops->window_lost(c->store.self, why));
}

static nacre_err counted_save(void *self, const nacre_context *ctx, nacre_detail *why)
{
    struct counted *c = self;
    return count(c, c->store.ops->save(c->store.self, ctx, why));
}

static void count_a_million(bench *b, const nacre_crypto *crypto)
{
    static const char label[] = "written for a million requests";
    static const nacre_store_ops ops = { .size = sizeof ops,
                                         .version = NACRE_STORE_OPS_VERSION,
                                         .reserve = counted_reserve,
                                         .window_lost = counted_window_lost,
                                         .save = counted_save };
    nacre_directory *dirs[2] = { NULL, NULL };
    uint8_t buf[128];
    if (!bench_wanted(b, label)) return;
    make_directories(dirs, 0, crypto);
    struct counted c = { .store = nacre_directory_store(dirs[0]), .path = nacre_directory_path(dirs[0]) };
    nacre_store store = { &ops, &c };
    nacre_context *ctx = nacre_directory_context(dirs[0]);
    const nacre_message get = { .type = NACRE_CON, .code = NACRE_GET };
    for (size_t i = 0; i < MILLION; i++) {
        nacre_request_id id;
        nacre_bytes out;
        nacre_needs needs = nacre_context_needs(ctx);
        if (needs.reserve != 0) bench_check(nacre_store_serve(&store, ctx, NULL) == NACRE_OK, "the store");
        bench_check(nacre_protect_request(ctx, crypto, &id, &out, NACRE_BUF(buf), &get, NULL) == NACRE_OK, "protect");
    }
    bench_check(nacre_store_save(&store, ctx, NULL) == NACRE_OK, "the save");
    bench_value(b, label, "replacements of sequence.json", (double)c.writes, "", 0);
    bench_value(b, label, "bytes of its text", (double)c.bytes, "bytes", 0);
    close_directories(dirs);
}

int main(int argc, char **argv)
{
    nacre_crypto crypto;
    bench *b = bench_start(argc, argv, "store", "contexts in directories beside contexts in memory");
    bench_check(nacre_openssl_open(&crypto) == NACRE_OK, "OpenSSL");
    compare(b, &crypto, "requests, sixteen at a time", many_at_a_time);
    compare(b, &crypto, "requests, one at a time", one_at_a_time);
    count_a_million(b, &crypto);
    nacre_openssl_close(&crypto);
    return bench_finish(b);
}
