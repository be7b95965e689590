/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* on_demand_test: a server of several threads loads contexts of a database when requests need them, and unloads them when its cache
 * is full. Also meant for ThreadSanitizer and AddressSanitizer. */
#include "databases.h"
#include "scratch.h"
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORKERS = 2, NUM = 200, CACHE = 24 * 1024, PATH = 4200 };

typedef struct fixture {
    char *dir, db[PATH];
    nacre_server *server;
    pthread_t thread;
    bool is_running;
    char origin[96];
} fixture;

static nacre_server *served;
static atomic_uint num_warnings;
static char warning[600];

static void *run(void *arg)
{
    nacre_detail why = { "" };
    if (nacre_server_run(arg, &why) != NACRE_OK) (void)fprintf(stderr, "on_demand_test: %s\n", why.text);
    return NULL;
}

static void name_of_peer(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    const char *const *claims = nacre_server_claims(served, request->context);
    nacre_response_text(response, NACRE_CONTENT, claims != NULL ? claims[0] : "");
}

static const nacre_resource resource = { .path = "/peer", .handler = name_of_peer, .flags = NACRE_RESOURCE_OBSERVABLE };

static void on_warning(void *user, const char *text)
{
    (void)user;
    if (atomic_fetch_add(&num_warnings, 1) == 0) (void)snprintf(warning, sizeof warning, "%s", text);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->dir = scratch_make();
    (void)snprintf(f->db, sizeof f->db, "%s/fleet.db", f->dir);
    atomic_store(&num_warnings, 0);
    *state = f;
    return 0;
}

static void open_server(fixture *f, size_t cache_bytes)
{
    nacre_detail why;
    char text[72];
    nacre_server_config config = nacre_server_config_default();
    config.num_workers = WORKERS;
    if (cache_bytes != 0) config.cache_bytes = cache_bytes;
    if (nacre_server_open_with(&f->server, "127.0.0.1:0", &config, &why) != NACRE_OK) fail_msg("%s", why.text);
    served = f->server;
    nacre_server_on_warning(f->server, on_warning, NULL);
    assert_ok(nacre_server_add_resource(f->server, &resource));
    const nacre_address local = nacre_server_local(f->server);
    nacre_address_text(&local, text);
    (void)snprintf(f->origin, sizeof f->origin, "coap://%s", text);
}

static void start(fixture *f)
{
    nacre_detail why;
    if (nacre_server_add_database(f->server, f->db, NULL, &why) != NACRE_OK) fail_msg("%s", why.text);
    assert_int_equal(pthread_create(&f->thread, NULL, run, f->server), 0);
    f->is_running = true;
}

static void stop(fixture *f)
{
    nacre_detail why;
    if (!f->is_running) return;
    f->is_running = false;
    nacre_server_stop(f->server);
    assert_int_equal(pthread_join(f->thread, NULL), 0);
    if (nacre_server_close(f->server, &why) != NACRE_OK) fail_msg("%s", why.text);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    stop(f);
    (void)test_release(state);
    scratch_remove(f->dir);
    free(f);
    return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- Peers --------------------------------------------------------------------------------------------------------- */

static unsigned num_challenged; /* protected 4.01 responses */

static void on_message(void *user, bool outgoing, bool is_protected, const nacre_message *plain)
{
    (void)user;
    num_challenged += !outgoing && is_protected && plain->code == NACRE_UNAUTHORIZED;
}

/* The other side of context number `index` of a fleet. */
static void describe_client(nacre_directory_info *info, size_t index)
{
    nacre_directory_info other;
    fleet_describe(&other, index);
    *info = other;
    memcpy(info->sender_id, other.recipient_id, sizeof info->sender_id);
    memcpy(info->recipient_id, other.sender_id, sizeof info->recipient_id);
    info->sender_id_len = other.recipient_id_len;
    info->recipient_id_len = other.sender_id_len;
}

static nacre_client *client_of(const fixture *f, size_t index)
{
    nacre_client *client;
    nacre_detail why;
    nacre_directory_info info;
    char path[PATH];
    nacre_client_options options = nacre_client_options_default();
    (void)snprintf(path, sizeof path, "%s/client%zu", f->dir, index);
    describe_client(&info, index);
    if (!scratch_exists(f->dir, strrchr(path, '/') + 1)) assert_ok(nacre_directory_create(path, &info, &why));
    options.context_dir = path;
    options.timeout_ms = 10000;
    options.on_message = on_message;
    if (nacre_client_open(&client, &options, &why) != NACRE_OK) fail_msg("%s", why.text);
    return client;
}

static nacre_detail why_not; /* of the last get */

static nacre_err get(const fixture *f, nacre_client *client, nacre_reply *reply)
{
    char uri[160];
    (void)snprintf(uri, sizeof uri, "%s/peer", f->origin);
    return nacre_client_request(client, reply, NACRE_GET, uri, NULL, NACRE_ABSENT, &why_not);
}

static void expect_served(const fixture *f, nacre_client *client)
{
    nacre_reply reply;
    if (get(f, client, &reply) != NACRE_OK) fail_msg("%s", why_not.text);
    assert_int_equal(reply.code, NACRE_CONTENT);
}

static void expect_refused(const fixture *f, nacre_client *client)
{
    nacre_reply reply;
    assert_err(get(f, client, &reply), NACRE_ERR_UNAUTHENTICATED);
    assert_int_equal(reply.code, NACRE_UNAUTHORIZED);
}

static void close_client(nacre_client *client)
{
    nacre_detail why;
    assert_ok(nacre_client_close(client, &why));
}

static nacre_server_stats stats_of(const fixture *f)
{
    nacre_server_stats stats;
    nacre_server_get_stats(f->server, &stats, sizeof stats);
    return stats;
}

/* ---- The cache ------------------------------------------------------------------------------------------------------ */

static void contexts_leave_a_full_cache_and_come_back_without_echo(void **state)
{
    enum { CLIENTS = 60, ROUNDS = 2 };
    fixture *f = *state;
    nacre_client *clients[CLIENTS];
    db_make(f->db, NUM);
    open_server(f, CACHE);
    start(f);
    for (size_t i = 0; i < CLIENTS; i++) clients[i] = client_of(f, i);
    num_challenged = 0;
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < CLIENTS; i++) expect_served(f, clients[i]);
    const nacre_server_stats stats = stats_of(f);
    assert_true(stats.cache_evictions >= CLIENTS); /* each but the last ones was loaded twice */
    assert_true(stats.contexts < CLIENTS);
    assert_int_equal(num_challenged, 0);
    assert_int_equal(atomic_load(&num_warnings), 0);
    for (size_t i = 0; i < CLIENTS; i++) close_client(clients[i]);
    stop(f);
    nacre_sqlite *db = db_open(f->db);
    for (int64_t id = 1; id <= CLIENTS; id++) assert_true(db_row(db, id).info.window_known);
    db_close(db);
}

/* Clients of one thread, one after the other. */
typedef struct requester {
    const fixture *f;
    nacre_client *clients[16];
    unsigned num_refused;
} requester;

static void *request_from_all(void *arg)
{
    requester *t = arg;
    for (int round = 0; round < 12; round++)
        for (size_t i = 0; i < 16; i++) {
            nacre_reply reply;
            char uri[160];
            nacre_detail why;
            (void)snprintf(uri, sizeof uri, "%s/peer", t->f->origin);
            t->num_refused +=
                nacre_client_request(t->clients[i], &reply, NACRE_GET, uri, NULL, NACRE_ABSENT, &why) != NACRE_OK;
        }
    return NULL;
}

static void a_context_is_found_again_at_the_moment_it_leaves(void **state)
{
    enum { THREADS = 4 };
    fixture *f = *state;
    pthread_t threads[THREADS];
    requester all[THREADS];
    db_make(f->db, NUM);
    open_server(f, CACHE);
    start(f);
    for (size_t t = 0; t < THREADS; t++) {
        all[t] = (requester){ .f = f };
        for (size_t i = 0; i < 16; i++) all[t].clients[i] = client_of(f, 16 * t + i);
        assert_int_equal(pthread_create(&threads[t], NULL, request_from_all, &all[t]), 0);
    }
    for (size_t t = 0; t < THREADS; t++) {
        assert_int_equal(pthread_join(threads[t], NULL), 0);
        assert_int_equal(all[t].num_refused, 0);
        for (size_t i = 0; i < 16; i++) close_client(all[t].clients[i]);
    }
    assert_true(stats_of(f).cache_evictions > 16);
    stop(f);
}

static void without_a_full_cache_each_context_is_loaded_once(void **state)
{
    enum { CLIENTS = 10, ROUNDS = 3 };
    fixture *f = *state;
    nacre_client *clients[CLIENTS];
    db_make(f->db, NUM);
    open_server(f, 0);
    start(f);
    for (size_t i = 0; i < CLIENTS; i++) clients[i] = client_of(f, i);
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < CLIENTS; i++) expect_served(f, clients[i]);
    const nacre_server_stats stats = stats_of(f);
    assert_int_equal(stats.cache_misses, CLIENTS);
    assert_int_equal(stats.cache_evictions, 0);
    assert_true(stats.contexts <= CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++) close_client(clients[i]);
}

typedef struct observing {
    unsigned num;
} observing;

static bool on_notification(void *user, const nacre_reply *reply)
{
    observing *o = user;
    (void)reply;
    o->num++;
    return true;
}

static void on_done(void *user, const nacre_client_result *result)
{
    (void)user, (void)result;
}

static void an_observed_context_stays_in_a_full_cache(void **state)
{
    enum { OTHERS = 60 };
    fixture *f = *state;
    observing o = { 0 };
    nacre_detail why;
    char uri[160];
    db_make(f->db, NUM);
    open_server(f, CACHE);
    start(f);
    nacre_client *observer = client_of(f, NUM - 1);
    (void)snprintf(uri, sizeof uri, "%s/peer", f->origin);
    nacre_client_request_config request = nacre_client_request_config_default();
    request.uri = uri;
    request.on_done = on_done;
    const nacre_observe_options observe = { .on_notification = on_notification, .user = &o };
    assert_ok(nacre_client_start_observe(observer, NULL, &request, &observe, &why));
    for (int i = 0; i < 200 && o.num == 0; i++) assert_ok(nacre_client_step(observer, 25, &why));
    assert_int_equal(o.num, 1);
    for (size_t i = 0; i < OTHERS; i++) {
        nacre_client *client = client_of(f, i);
        expect_served(f, client);
        close_client(client);
    }
    assert_true(stats_of(f).cache_evictions > OTHERS / 2);
    nacre_server_changed(f->server, "/peer");
    for (int i = 0; i < 200 && o.num == 1; i++) assert_ok(nacre_client_step(observer, 25, &why));
    assert_int_equal(o.num, 2);
    close_client(observer);
}

/* ---- What is not there ---------------------------------------------------------------------------------------------- */

static void an_unknown_kid_is_refused_and_remembered(void **state)
{
    fixture *f = *state;
    db_make(f->db, 3);
    open_server(f, 0);
    start(f);
    nacre_client *stranger = client_of(f, 10), *known = client_of(f, 1);
    expect_refused(f, stranger);
    const uint64_t misses = stats_of(f).cache_misses;
    for (int i = 0; i < 5; i++) expect_refused(f, stranger);
    assert_int_equal(stats_of(f).cache_misses, misses);
    assert_int_equal(stats_of(f).cache_hits, 5);
    expect_served(f, known);
    close_client(stranger);
    close_client(known);
}

static void the_name_in_the_database_is_the_claim(void **state)
{
    fixture *f = *state;
    nacre_reply reply;
    nacre_sqlite_context context = { .name = "thermometer" };
    nacre_crypto crypto;
    assert_ok(nacre_provider_open(&crypto));
    fleet_describe(&context.info, 0);
    assert_ok(nacre_sqlite_create(f->db, NULL, &crypto, NULL));
    nacre_sqlite *db = db_open(f->db);
    assert_ok(nacre_sqlite_add(db, NULL, 1, db_given, &context, NULL));
    db_close(db);
    open_server(f, 0);
    start(f);
    nacre_client *client = client_of(f, 0);
    assert_ok(get(f, client, &reply));
    assert_int_equal(reply.payload.len, strlen("thermometer"));
    assert_memory_equal(reply.payload.ptr, "thermometer", reply.payload.len);
    close_client(client);
    stop(f);
    nacre_provider_close(&crypto);
}

/* RFC 8613 3.3: the directory came first, so it keeps the keys. */
static void a_context_with_the_keys_of_a_directory_is_not_served_and_told_by_name(void **state)
{
    fixture *f = *state;
    nacre_directory_info info;
    nacre_detail why;
    char path[PATH];
    db_make(f->db, 3);
    (void)snprintf(path, sizeof path, "%s/twin", f->dir);
    fleet_describe(&info, 1);
    info.recipient_id[0] ^= 0x40; /* only the Sender Key is the same */
    assert_ok(nacre_directory_create(path, &info, &why));
    open_server(f, 0);
    assert_ok(nacre_server_add_context(f->server, path, &why));
    start(f);
    nacre_client *twin = client_of(f, 1), *other = client_of(f, 2);
    expect_refused(f, twin);
    expect_served(f, other);
    assert_int_equal(atomic_load(&num_warnings), 1);
    if (strstr(warning, "context 2") == NULL || strstr(warning, "twin") == NULL ||
        strstr(warning, "Sender Key") == NULL)
        fail_msg("%s", warning);
    close_client(twin);
    close_client(other);
}

/* … and the other way round. */
static void a_directory_with_the_keys_of_a_loaded_context_is_refused(void **state)
{
    fixture *f = *state;
    nacre_directory_info info;
    nacre_detail why;
    char path[PATH];
    db_make(f->db, 3);
    (void)snprintf(path, sizeof path, "%s/twin", f->dir);
    fleet_describe(&info, 1);
    assert_ok(nacre_directory_create(path, &info, &why));
    open_server(f, 0);
    start(f);
    nacre_client *client = client_of(f, 1);
    expect_served(f, client);
    assert_err(nacre_server_add_context(f->server, path, &why), NACRE_ERR_DUPLICATE_CONTEXT);
    if (strstr(why.text, "context 2") == NULL || strstr(why.text, "twin") == NULL) fail_msg("%s", why.text);
    expect_served(f, client);
    close_client(client);
}

static void a_damaged_context_is_told_by_its_id_and_others_are_served(void **state)
{
    fixture *f = *state;
    db_make(f->db, 3);
    db_sql(f->db, "UPDATE contexts SET window = window + 1 WHERE id = 2");
    open_server(f, 0);
    start(f);
    nacre_client *damaged = client_of(f, 1), *other = client_of(f, 2);
    expect_refused(f, damaged);
    expect_served(f, other);
    assert_int_equal(atomic_load(&num_warnings), 1);
    if (strstr(warning, "context 2") == NULL) fail_msg("%s", warning);
    close_client(damaged);
    close_client(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(contexts_leave_a_full_cache_and_come_back_without_echo),
        CASE(a_context_is_found_again_at_the_moment_it_leaves),
        CASE(without_a_full_cache_each_context_is_loaded_once),
        CASE(an_observed_context_stays_in_a_full_cache),
        CASE(an_unknown_kid_is_refused_and_remembered),
        CASE(the_name_in_the_database_is_the_claim),
        CASE(a_context_with_the_keys_of_a_directory_is_not_served_and_told_by_name),
        CASE(a_directory_with_the_keys_of_a_loaded_context_is_refused),
        CASE(a_damaged_context_is_told_by_its_id_and_others_are_served),
    };
    if (!nacre_sqlite_is_built()) {
        print_message("SKIPPED: this build has no SQLite\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
