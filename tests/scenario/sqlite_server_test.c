/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* sqlite_server_test: a server with its contexts in a database, with one thread and with several, and many clients at once,
 * over restarts. Also meant for ThreadSanitizer. */
#include <nacre/nacre.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "databases.h"
#include "scratch.h"

enum { CLIENTS = 6, REQUESTS = 40, NUM = 500 };

static char *scratch, path[4096];

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    nacre_response_text(response, NACRE_CONTENT, "hello");
}

static const nacre_resource resource = { .path = "/hello", .handler = hello };

static void *run(void *arg)
{
    nacre_detail why = { "" };
    if (nacre_server_run(arg, &why) != NACRE_OK) (void)fprintf(stderr, "sqlite_server_test: %s\n", why.text);
    return NULL;
}

typedef struct asker {
    pthread_t thread;
    char dir[4096], uri[128];
    unsigned completed;
    nacre_detail why;
} asker;

static void *run_client(void *arg)
{
    asker *a = arg;
    nacre_client *client;
    nacre_client_options options = { .context_dir = a->dir };
    if (nacre_client_open(&client, &options, &a->why) != NACRE_OK) return NULL;
    for (int i = 0; i < REQUESTS; i++) {
        nacre_reply reply;
        if (nacre_client_request(client, &reply, NACRE_GET, a->uri, NULL, NACRE_ABSENT, &a->why) != NACRE_OK) break;
        a->completed += reply.code == NACRE_CONTENT && reply.is_protected;
    }
    (void)nacre_client_close(client, NULL);
    return NULL;
}

static asker askers[CLIENTS];

static void make_clients(void)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        nacre_directory_info info, other;
        fleet_describe(&other, i * (NUM - 1) / (CLIENTS - 1));
        info = other;
        memcpy(info.sender_id, other.recipient_id, sizeof info.sender_id);
        memcpy(info.recipient_id, other.sender_id, sizeof info.recipient_id);
        info.sender_id_len = other.recipient_id_len;
        info.recipient_id_len = other.sender_id_len;
        (void)snprintf(askers[i].dir, sizeof askers[i].dir, "%s/client%zu", scratch, i);
        assert_ok(nacre_directory_create(askers[i].dir, &info, NULL));
    }
}

static void serve_once(unsigned num_workers)
{
    nacre_server *server;
    nacre_detail why = { "" };
    char local[72];
    pthread_t thread;
    assert_ok(nacre_server_open_workers(&server, "127.0.0.1:0", num_workers, &why));
    if (nacre_server_add_database(server, path, NULL, &why) != NACRE_OK) fail_msg("%s", why.text);
    assert_err(nacre_server_add_database(server, path, NULL, &why), NACRE_ERR_LOCKED);
    assert_ok(nacre_server_add_resource(server, &resource));
    const nacre_address address = nacre_server_local(server);
    nacre_address_text(&address, local);
    assert_int_equal(pthread_create(&thread, NULL, run, server), 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        askers[i].completed = 0;
        (void)snprintf(askers[i].uri, sizeof askers[i].uri, "coap://%s/hello", local);
        assert_int_equal(pthread_create(&askers[i].thread, NULL, run_client, &askers[i]), 0);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
        if (askers[i].completed != REQUESTS)
            fail_msg("client %zu: %u answers: %s", i, askers[i].completed, askers[i].why.text);
    }
    nacre_server_stop(server);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_ok(nacre_server_close(server, &why));
}

/* After a clean close every window is known and covers the requests made. */
static nacre_err look(void *user, const nacre_sqlite_context *context, nacre_detail *why)
{
    const unsigned *servings = user;
    (void)why;
    assert_true(context->info.window_known);
    for (int64_t i = 0; i < CLIENTS; i++)
        if (context->id - 1 == i * (NUM - 1) / (CLIENTS - 1))
            assert_true(context->info.window_index + 32 >= REQUESTS * *servings);
    return NACRE_OK;
}

static void many_clients_are_served_over_restarts(void **state)
{
    (void)state;
    static const unsigned workers[] = { 1, 3, 1 };
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.db"));
    db_make(path, NUM);
    make_clients();
    for (unsigned i = 0; i < COUNT(workers); i++) {
        unsigned servings = i + 1;
        serve_once(workers[i]);
        const nacre_sqlite_config config = { .read_only = true };
        nacre_sqlite *db = db_open_with(path, &config);
        assert_ok(nacre_sqlite_list(db, NULL, look, &servings, NULL));
        db_close(db);
    }
    scratch_remove(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = { TEST(many_clients_are_served_over_restarts) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
