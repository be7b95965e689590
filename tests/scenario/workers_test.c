/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* workers_test: several threads serve one port and share their contexts. A context used from many addresses at once
 * stays one context, with one window and one sequence of numbers; stores are served, observers are notified of changes
 * made on another thread, and all threads end together. Also meant for ThreadSanitizer. */
#include "scratch.h"
#include "support.h"

#include <pthread.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <unistd.h>

enum { WORKERS = 3, SOCKETS = 12, ROUNDS = 150, MAX_DATAGRAM = 1280 };

static void *run(void *arg)
{
    nacre_detail why = { { 0 } };
    if (nacre_server_run(arg, &why) != NACRE_OK) (void)fprintf(stderr, "workers_test: %s\n", why.text);
    return NULL;
}

static atomic_int handled;
static _Thread_local bool is_known;
static atomic_int num_known;

static void note_thread(void)
{
    if (is_known) return;
    is_known = true;
    (void)atomic_fetch_add(&num_known, 1);
}

static void count(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    note_thread();
    (void)atomic_fetch_add(&handled, 1);
    nacre_response_text(response, NACRE_CONTENT, "counted");
}

static nacre_server *server;
static atomic_int value;

static void observed(void *user, const nacre_request *request, nacre_response *response)
{
    char text[16];
    (void)user;
    note_thread();
    if (request->message->code == NACRE_PUT) {
        (void)atomic_fetch_add(&value, 1);
        response->code = NACRE_CHANGED;
        nacre_server_changed(server, "/observed");
        return;
    }
    (void)snprintf(text, sizeof text, "%d", atomic_load(&value));
    nacre_response_text(response, NACRE_CONTENT, text);
}

static const nacre_resource resources[] = {
    { .path = "/count", .handler = count },
    { .path = "/observed", .handler = observed, .flags = NACRE_RESOURCE_OBSERVABLE },
};

/* ---- One context from many addresses ----------------------------------------------------------------------------- */

typedef struct asker {
    int fd[SOCKETS];
    nacre_context *ctx;
    nacre_store store;
} asker;

static nacre_message path_request(uint8_t code, const char *path, nacre_bytes token, uint16_t mid, uint8_t buf[64],
                                  int observe)
{
    nacre_options options;
    nacre_message m = { .type = NACRE_CON, .code = code, .mid = mid, .token = token };
    nacre_options_init(&options, (nacre_buf){ buf, 64 });
    if (observe >= 0) nacre_options_add_uint(&options, NACRE_OPT_OBSERVE, (uint64_t)observe);
    nacre_options_add(&options, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)path, strlen(path)));
    assert_ok(nacre_options_finish(&options, &m.options));
    return m;
}

/* Receives one datagram; false if none arrives within a second. */
static bool receive(int fd, uint8_t bytes[MAX_DATAGRAM], nacre_message *m)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    if (poll(&wait, 1, 1000) <= 0) return false;
    const ssize_t len = recv(fd, bytes, MAX_DATAGRAM, 0);
    assert_true(len > 0);
    assert_ok(nacre_message_parse(m, nacre_bytes_of(bytes, (size_t)len)));
    return true;
}

static void send_request(const asker *a, int socket, const nacre_message *plain, nacre_request_id *id,
                         uint8_t sent[MAX_DATAGRAM], size_t *len)
{
    nacre_bytes out;
    nacre_detail why;
    assert_ok(nacre_store_serve(&a->store, a->ctx, &why));
    assert_ok(nacre_protect_request(a->ctx, test_crypto(), id, &out, (nacre_buf){ sent, MAX_DATAGRAM }, plain, NULL));
    *len = out.len;
    assert_int_equal(send(a->fd[socket], out.ptr, out.len, 0), out.len);
}

/* One request from each socket at once, then the responses; then each datagram again under another message ID (a
 * replay). */
static void a_round(const asker *a, uint16_t mid, unsigned *replays)
{
    static uint8_t sent[SOCKETS][MAX_DATAGRAM];
    uint8_t buf[64], back[MAX_DATAGRAM], plain_buf[MAX_DATAGRAM];
    size_t len[SOCKETS];
    nacre_request_id ids[SOCKETS];
    nacre_message outer, plain;
    for (int i = 0; i < SOCKETS; i++) {
        const nacre_message m = path_request(NACRE_GET, "count", NACRE_STR("tok"), mid, buf, -1);
        send_request(a, i, &m, &ids[i], sent[i], &len[i]);
    }
    for (int i = 0; i < SOCKETS; i++) {
        assert_true(receive(a->fd[i], back, &outer));
        nacre_err err =
            nacre_unprotect_response(a->ctx, test_crypto(), &ids[i], &plain, NULL, NACRE_BUF(plain_buf), &outer);
        if (err == NACRE_OK && plain.code == NACRE_UNAUTHORIZED) continue; /* Echo, after a restart: not in this test */
        assert_err(err, NACRE_OK);
        assert_int_equal(plain.code, NACRE_CONTENT);
    }
    for (int i = 0; i < SOCKETS; i++) { /* from another address, so perhaps to another thread */
        sent[i][2] ^= 0x80;
        assert_int_equal(send(a->fd[(i + 1) % SOCKETS], sent[i], len[i], 0), len[i]);
    }
    for (int i = 0; i < SOCKETS; i++) {
        assert_true(receive(a->fd[i], back, &outer));
        assert_int_equal(outer.code, NACRE_UNAUTHORIZED);
        assert_int_equal(nacre_option_find(outer.options, NACRE_OPT_OSCORE).ptr == NULL, 1);
        (*replays)++;
    }
}

static void open_sockets(asker *a, const nacre_server *of)
{
    char text[72];
    const nacre_address local = nacre_server_local(of);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    nacre_address_text(&local, text);
    to.sin_port = htons((uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10));
    for (int i = 0; i < SOCKETS; i++) {
        a->fd[i] = socket(AF_INET, SOCK_DGRAM, 0);
        assert_int_equal(connect(a->fd[i], (const struct sockaddr *)&to, sizeof to), 0);
    }
}

static void wait_until_served(const asker *a)
{
    uint8_t back[MAX_DATAGRAM];
    nacre_message m;
    const nacre_message get = { .type = NACRE_CON, .code = NACRE_GET, .mid = 1 };
    nacre_bytes out;
    uint8_t buf[16];
    assert_ok(nacre_message_write(&get, &out, NACRE_BUF(buf)));
    assert_int_equal(send(a->fd[0], out.ptr, out.len, 0), out.len);
    assert_true(receive(a->fd[0], back, &m)); /* 4.04, unprotected */
}

static void one_context_is_shared_by_many_threads(void **state)
{
    nacre_detail why = { { 0 } };
    nacre_directory *dir;
    pthread_t thread;
    asker a;
    unsigned replays = 0;
    (void)state;
    char *scratch = scratch_make();
    char client[4200], served[4200];
    (void)snprintf(client, sizeof client, "%s/client", scratch);
    (void)snprintf(served, sizeof served, "%s/server", scratch);
    assert_ok(nacre_directory_generate(client, served, NULL, &why));
    if (nacre_server_open_workers(&server, "127.0.0.1:0", WORKERS, &why) != NACRE_OK) fail_msg("%s", why.text);
    assert_ok(nacre_server_add_context(server, served, &why));
    for (size_t i = 0; i < COUNT(resources); i++) assert_ok(nacre_server_add_resource(server, &resources[i]));
    assert_int_equal(pthread_create(&thread, NULL, run, server), 0);
    assert_ok(nacre_directory_open(&dir, client, test_crypto(), &why));
    a.ctx = nacre_directory_context(dir);
    a.store = nacre_directory_store(dir);
    open_sockets(&a, server);
    wait_until_served(&a);
    for (unsigned round = 0; round < ROUNDS; round++) {
        a_round(&a, (uint16_t)(2 + round), &replays);
    }
    assert_int_equal(atomic_load(&handled), ROUNDS * SOCKETS); /* each request once, and no replay */
    assert_int_equal(replays, ROUNDS * SOCKETS);
    assert_true(atomic_load(&num_known) > 1); /* the system spread twelve addresses over three threads */

    /* Every socket observes; one of them changes the resource; all are notified. */
    uint8_t buf[64], sent[MAX_DATAGRAM], back[MAX_DATAGRAM], plain_buf[MAX_DATAGRAM];
    size_t len;
    nacre_request_id ids[SOCKETS], put;
    nacre_message outer, plain;
    for (int i = 0; i < SOCKETS; i++) {
        const nacre_message m = path_request(NACRE_GET, "observed", NACRE_STR("obs"), 1000, buf, 0);
        send_request(&a, i, &m, &ids[i], sent, &len);
        assert_true(receive(a.fd[i], back, &outer));
        assert_ok(nacre_unprotect_response(a.ctx, test_crypto(), &ids[i], &plain, NULL, NACRE_BUF(plain_buf), &outer));
        assert_non_null(nacre_option_find(plain.options, NACRE_OPT_OBSERVE).ptr);
    }
    const nacre_message change = path_request(NACRE_PUT, "observed", NACRE_STR("put"), 1001, buf, -1);
    send_request(&a, 0, &change, &put, sent, &len);
    for (int i = 0; i < SOCKETS; i++)
        for (bool told = false; !told;) {
            assert_true(receive(a.fd[i], back, &outer));
            if (outer.token.len != 3 || memcmp(outer.token.ptr, "obs", 3) != 0) continue; /* the response to the PUT */
            assert_ok(
                nacre_unprotect_response(a.ctx, test_crypto(), &ids[i], &plain, NULL, NACRE_BUF(plain_buf), &outer));
            assert_int_equal(plain.payload.len, 1);
            assert_int_equal(plain.payload.ptr[0], '1');
            told = true;
        }

    nacre_server_stop(server);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_ok(nacre_server_close(server, &why));
    assert_ok(nacre_directory_close(dir, &why));
    for (int i = 0; i < SOCKETS; i++) (void)close(a.fd[i]);
    scratch_remove(scratch);
}

/* ---- Contexts of the program ------------------------------------------------------------------------------------- */

/* Twelve contexts opened by the program, one per socket: the thread that receives a context's first request must call
 * its store, because the window is made unknown before the request is accepted (RFC 8613 B.1.2). */
static void stores_of_the_program_are_served_by_any_worker(void **state)
{
    nacre_detail why = { { 0 } };
    nacre_directory *clients[SOCKETS], *servers[SOCKETS];
    nacre_credentials *credentials;
    nacre_crypto crypto;
    pthread_t thread;
    asker a;
    (void)state;
    char *scratch = scratch_make();
    assert_ok(nacre_provider_open(&crypto)); /* a server's */
    assert_ok(nacre_credentials_new(&credentials));
    assert_ok(nacre_server_open_workers(&server, "127.0.0.1:0", WORKERS, &why));
    for (int i = 0; i < SOCKETS; i++) {
        char client[4200], served[4200], name[16];
        const uint8_t id = (uint8_t)i;
        (void)snprintf(client, sizeof client, "%s/client%d", scratch, i);
        (void)snprintf(served, sizeof served, "%s/server%d", scratch, i);
        (void)snprintf(name, sizeof name, ":%d", i);
        const nacre_generate_options options = { .client_id = { &id, 1 }, .server_id = NACRE_STR("server") };
        assert_ok(nacre_directory_generate(client, served, &options, &why));
        assert_ok(nacre_directory_open(&clients[i], client, test_crypto(), &why));
        assert_ok(nacre_directory_open(&servers[i], served, &crypto, &why));
        assert_ok(nacre_credentials_set_context(credentials, name, nacre_directory_context(servers[i]),
                                                nacre_directory_store(servers[i]), &why));
    }
    assert_ok(nacre_server_use_credentials(server, credentials, &why));
    nacre_credentials_free(credentials);
    for (size_t i = 0; i < COUNT(resources); i++) assert_ok(nacre_server_add_resource(server, &resources[i]));
    open_sockets(&a, server);
    assert_int_equal(pthread_create(&thread, NULL, run, server), 0);
    wait_until_served(&a);
    for (int i = 0; i < SOCKETS; i++) {
        uint8_t buf[64], sent[MAX_DATAGRAM], back[MAX_DATAGRAM], plain_buf[MAX_DATAGRAM];
        size_t len;
        nacre_request_id id;
        nacre_message outer, plain;
        a.ctx = nacre_directory_context(clients[i]);
        a.store = nacre_directory_store(clients[i]);
        const nacre_message m = path_request(NACRE_GET, "count", NACRE_STR("tok"), 2, buf, -1);
        send_request(&a, i, &m, &id, sent, &len);
        assert_true(receive(a.fd[i], back, &outer));
        assert_ok(nacre_unprotect_response(a.ctx, test_crypto(), &id, &plain, NULL, NACRE_BUF(plain_buf), &outer));
        assert_int_equal(plain.code, NACRE_CONTENT);
    }
    nacre_server_stop(server);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_ok(nacre_server_close(server, &why));
    for (int i = 0; i < SOCKETS; i++) {
        assert_ok(nacre_directory_close(clients[i], &why));
        assert_ok(nacre_directory_close(servers[i], &why));
        (void)close(a.fd[i]);
    }
    nacre_provider_close(&crypto);
    scratch_remove(scratch);
}

/* Keys prepared by another provider would verify nothing, and every request would get no response. */
static void contexts_of_another_provider_are_refused(void **state)
{
    nacre_detail why = { { 0 } };
    nacre_crypto crypto;
    nacre_server *s;
    (void)state;
    char *scratch = scratch_make(), client[4200], served[4200];
    (void)snprintf(client, sizeof client, "%s/client", scratch);
    (void)snprintf(served, sizeof served, "%s/server", scratch);
    assert_ok(nacre_directory_generate(client, served, NULL, &why));
    assert_ok(nacre_provider_open(&crypto));
    const nacre_crypto_ops ops = *crypto.ops;
    const nacre_crypto other = { &ops, crypto.instance }, *const rows[] = { &other, &crypto };
    assert_ok(nacre_server_open(&s, "127.0.0.1:0", &why));
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_directory *dir;
        nacre_credentials *credentials;
        assert_ok(nacre_directory_open(&dir, served, rows[i], &why));
        assert_ok(nacre_credentials_new(&credentials));
        assert_ok(nacre_credentials_set_context(credentials, ":it", nacre_directory_context(dir),
                                                nacre_directory_store(dir), &why));
        assert_err(nacre_server_use_credentials(s, credentials, &why), i == 0 ? NACRE_ERR_UNSUPPORTED : NACRE_OK);
        if (i == 1) assert_ok(nacre_server_close(s, &why));
        nacre_credentials_free(credentials);
        assert_ok(nacre_directory_close(dir, &why));
    }
    nacre_provider_close(&crypto);
    scratch_remove(scratch);
}

/* ---- Errors ------------------------------------------------------------------------------------------------------ */

static void servers_have_1_to_64_workers(void **state)
{
    static const struct {
        unsigned num;
        nacre_err err;
    } rows[] = { { 0, NACRE_ERR_BAD_ARGUMENT },
                 { 1, NACRE_OK },
                 { 2, NACRE_OK },
                 { 64, NACRE_OK },
                 { 65, NACRE_ERR_BAD_ARGUMENT } };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        nacre_server *s = NULL;
        nacre_detail why = { { 0 } };
        assert_err(nacre_server_open_workers(&s, "127.0.0.1:0", rows[i].num, &why), rows[i].err);
        assert_int_equal(s != NULL, rows[i].err == NACRE_OK);
        assert_ok(nacre_server_close(s, NULL));
    }
}

/* Workers share one port among themselves and with no other server. */
static void the_port_is_not_shared_with_another_server(void **state)
{
    nacre_server *first, *second = NULL;
    nacre_detail why = { { 0 } };
    char text[72];
    (void)state;
    assert_ok(nacre_server_open_workers(&first, "127.0.0.1:0", 2, &why));
    const nacre_address local = nacre_server_local(first);
    nacre_address_text(&local, text);
    for (unsigned workers = 1; workers < 3; workers++) {
        assert_err(nacre_server_open_workers(&second, text, workers, &why), NACRE_ERR_ADDRESS);
        assert_null(second);
    }
    assert_ok(nacre_server_close(first, NULL));
    assert_ok(nacre_server_open_workers(&second, text, 2, &why));
    assert_ok(nacre_server_close(second, NULL));
}

/* A server that is stopped before it runs returns at once, and can run again. */
static void a_stopped_server_can_run_again(void **state)
{
    nacre_server *s;
    nacre_detail why = { { 0 } };
    (void)state;
    for (unsigned workers = 1; workers < 3; workers++) {
        assert_ok(nacre_server_open_workers(&s, "127.0.0.1:0", workers, &why));
        for (int i = 0; i < 3; i++) {
            nacre_server_stop(s);
            assert_ok(nacre_server_run(s, &why));
        }
        assert_ok(nacre_server_close(s, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(one_context_is_shared_by_many_threads, test_release),
        cmocka_unit_test_teardown(stores_of_the_program_are_served_by_any_worker, test_release),
        cmocka_unit_test(contexts_of_another_provider_are_refused),
        cmocka_unit_test(servers_have_1_to_64_workers),
        cmocka_unit_test(the_port_is_not_shared_with_another_server),
        cmocka_unit_test(a_stopped_server_can_run_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
