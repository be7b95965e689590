/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* changing_contexts_test: contexts are added to a server of several threads, removed from it and replaced, while it serves. Also
 * meant for ThreadSanitizer and AddressSanitizer: no thread uses a context that is gone. */
#include "scratch.h"
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORKERS = 3, PATH = 4200 };

typedef struct fixture {
    char *dir;
    nacre_server *server;
    pthread_t thread;
    bool is_running;
    char origin[96];
} fixture;

static atomic_int num_removed;
static void (*within)(const nacre_request *request); /* called by the handler of /within */
static nacre_server *served;

static void pause_ms(long ms)
{
    (void)nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

static void *run(void *arg)
{
    nacre_detail why = { { 0 } };
    if (nacre_server_run(arg, &why) != NACRE_OK) (void)fprintf(stderr, "changing_contexts_test: %s\n", why.text);
    return NULL;
}

static void name_of_peer(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    const char *const *claims = nacre_server_claims(served, request->context);
    nacre_response_text(response, NACRE_CONTENT, claims != NULL && claims[0] != NULL ? claims[0] : "");
}

static void call_within(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    within(request);
    nacre_response_text(response, NACRE_CONTENT, "done");
}

static const nacre_resource resources[] = {
    { .path = "/peer", .handler = name_of_peer, .flags = NACRE_RESOURCE_OBSERVABLE },
    { .path = "/within", .handler = call_within },
};

static void on_removed(void *user, nacre_context *ctx, nacre_err err, const char *text)
{
    (void)user, (void)text;
    if (ctx == NULL || err != NACRE_OK) (void)fprintf(stderr, "changing_contexts_test: %s\n", text);
    else (void)atomic_fetch_add(&num_removed, 1);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    nacre_detail why;
    char text[72];
    f->dir = scratch_make();
    if (nacre_server_open_workers(&f->server, "127.0.0.1:0", WORKERS, &why) != NACRE_OK) fail_msg("%s", why.text);
    for (size_t i = 0; i < COUNT(resources); i++) assert_ok(nacre_server_add_resource(f->server, &resources[i]));
    nacre_server_on_removed(f->server, on_removed, NULL);
    const nacre_address local = nacre_server_local(f->server);
    nacre_address_text(&local, text);
    (void)snprintf(f->origin, sizeof f->origin, "coap://%s", text);
    served = f->server;
    atomic_store(&num_removed, 0);
    *state = f;
    return 0;
}

static void start(fixture *f)
{
    assert_int_equal(pthread_create(&f->thread, NULL, run, f->server), 0);
    f->is_running = true;
}

static void stop(fixture *f)
{
    f->is_running = false;
    nacre_server_stop(f->server);
    assert_int_equal(pthread_join(f->thread, NULL), 0);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    nacre_detail why = { "" };
    if (f->is_running) stop(f); /* a test has failed */
    if (nacre_server_close(f->server, &why) != NACRE_OK) fail_msg("%s", why.text);
    (void)test_release(state);
    scratch_remove(f->dir);
    free(f);
    return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- Peers --------------------------------------------------------------------------------------------------------- */

static const char *path_of(const fixture *f, const char *side, int i)
{
    char *path = test_alloc(PATH);
    (void)snprintf(path, PATH, "%s/%s%d", f->dir, side, i);
    return path;
}

static void make(const fixture *f, int i)
{
    nacre_detail why;
    const uint8_t id = (uint8_t)i;
    const nacre_generate_options options = { .client_id = { &id, 1 }, .server_id = NACRE_STR("server") };
    assert_ok(nacre_directory_generate(path_of(f, "client", i), path_of(f, "server", i), &options, &why));
}

static nacre_client *client_of(const fixture *f, int i)
{
    nacre_client *client;
    nacre_detail why;
    nacre_client_options options = nacre_client_options_default();
    options.context_dir = path_of(f, "client", i);
    options.timeout_ms = 5000;
    if (nacre_client_open(&client, &options, &why) != NACRE_OK) fail_msg("%s", why.text);
    return client;
}

static nacre_err get_with(const fixture *f, nacre_client *client, const char *path, nacre_reply *reply,
                          nacre_detail *why)
{
    char uri[160];
    (void)snprintf(uri, sizeof uri, "%s%s", f->origin, path);
    return nacre_client_request(client, reply, NACRE_GET, uri, NULL, NACRE_ABSENT, why);
}

static nacre_err get(const fixture *f, nacre_client *client, const char *path, nacre_reply *reply)
{
    nacre_detail why;
    return get_with(f, client, path, reply, &why);
}

static void expect_served(const fixture *f, nacre_client *client, const char *name)
{
    nacre_reply reply;
    assert_ok(get(f, client, "/peer", &reply));
    assert_int_equal(reply.code, NACRE_CONTENT);
    assert_int_equal(reply.payload.len, strlen(name));
    assert_memory_equal(reply.payload.ptr, name, strlen(name));
}

static void expect_refused(const fixture *f, nacre_client *client)
{
    nacre_reply reply;
    assert_err(get(f, client, "/peer", &reply), NACRE_ERR_UNAUTHENTICATED);
    assert_int_equal(reply.code, NACRE_UNAUTHORIZED);
}

static void close_client(nacre_client *client)
{
    nacre_detail why;
    assert_ok(nacre_client_close(client, &why));
}

/* ---- One context ---------------------------------------------------------------------------------------------------- */

static void a_context_added_beside_running_workers_is_served(void **state)
{
    fixture *f = *state;
    nacre_detail why;
    make(f, 1);
    start(f);
    nacre_client *client = client_of(f, 1);
    expect_refused(f, client);
    assert_ok(nacre_server_add_context(f->server, path_of(f, "server", 1), &why));
    expect_served(f, client, path_of(f, "server", 1));
    close_client(client);
    stop(f);
}

static void a_removed_context_is_served_no_more_and_its_directory_is_closed(void **state)
{
    fixture *f = *state;
    nacre_detail why;
    nacre_directory *dir;
    nacre_directory_info info;
    make(f, 1);
    assert_ok(nacre_server_add_context(f->server, path_of(f, "server", 1), &why));
    start(f);
    nacre_client *client = client_of(f, 1);
    expect_served(f, client, path_of(f, "server", 1));
    assert_err(nacre_server_remove_context(f->server, "another", &why), NACRE_ERR_NO_CONTEXT);
    expect_served(f, client, path_of(f, "server", 1));
    assert_ok(nacre_server_remove_context(f->server, path_of(f, "server", 1), &why));
    assert_int_equal(atomic_load(&num_removed), 1);
    expect_refused(f, client);
    assert_ok(nacre_directory_read(&info, path_of(f, "server", 1), false, &why));
    assert_true(info.window_known); /* its state was written */
    assert_ok(nacre_directory_open(&dir, path_of(f, "server", 1), test_crypto(), &why));
    assert_ok(nacre_directory_close(dir, &why));
    assert_ok(nacre_server_add_context(f->server, path_of(f, "server", 1), &why));
    expect_served(f, client, path_of(f, "server", 1));
    close_client(client);
    stop(f);
}

static void a_context_is_removed_before_the_workers_start_too(void **state)
{
    fixture *f = *state;
    nacre_detail why;
    make(f, 1);
    assert_ok(nacre_server_add_context(f->server, path_of(f, "server", 1), &why));
    assert_ok(nacre_server_remove_context(f->server, path_of(f, "server", 1), &why));
    assert_int_equal(atomic_load(&num_removed), 1);
    start(f);
    nacre_client *client = client_of(f, 1);
    expect_refused(f, client);
    close_client(client);
    stop(f);
}

/* ---- Observations --------------------------------------------------------------------------------------------------- */

typedef struct observing {
    bool began, ended;
    nacre_err err;
} observing;

static bool on_notification(void *user, const nacre_reply *reply)
{
    observing *o = user;
    (void)reply;
    o->began = true;
    return true;
}

static void on_done(void *user, const nacre_client_result *result)
{
    observing *o = user;
    o->ended = true;
    o->err = result->err;
}

static void step_until(nacre_client *client, const bool *done)
{
    nacre_detail why;
    for (int i = 0; i < 100 && !*done; i++) assert_ok(nacre_client_step(client, 50, &why));
    assert_true(*done);
}

static void observations_of_a_removed_context_end_and_those_of_others_stay(void **state)
{
    fixture *f = *state;
    nacre_detail why;
    nacre_client *clients[2];
    observing o[2] = { { .err = NACRE_OK } };
    char uri[160];
    (void)snprintf(uri, sizeof uri, "%s/peer", f->origin);
    for (int i = 0; i < 2; i++) {
        make(f, i);
        assert_ok(nacre_server_add_context(f->server, path_of(f, "server", i), &why));
    }
    start(f);
    for (int i = 0; i < 2; i++) {
        clients[i] = client_of(f, i);
        nacre_client_request_config request = nacre_client_request_config_default();
        request.uri = uri;
        request.on_done = on_done;
        request.user = &o[i];
        const nacre_observe_options observe = { .on_notification = on_notification, .user = &o[i] };
        assert_ok(nacre_client_start_observe(clients[i], NULL, &request, &observe, &why));
        step_until(clients[i], &o[i].began);
        o[i].began = false;
    }
    assert_ok(nacre_server_remove_context(f->server, path_of(f, "server", 0), &why));
    nacre_server_changed(f->server, "/peer");
    step_until(clients[1], &o[1].began);
    for (int i = 0; i < 4; i++) assert_ok(nacre_client_step(clients[0], 25, &why));
    assert_false(o[0].began);
    for (int i = 0; i < 2; i++) close_client(clients[i]);
    stop(f);
}

/* ---- In a handler --------------------------------------------------------------------------------------------------- */

static const fixture *current;
static nacre_err removed_within, copied_within;

static void remove_context_of_request(const nacre_request *request)
{
    nacre_detail why;
    (void)request;
    removed_within = nacre_server_remove_context(served, path_of(current, "server", 1), &why);
    /* its state is not written yet, so another context with its keys would use its numbers */
    copied_within = nacre_server_add_context(served, path_of(current, "copy", 1), &why);
}

static void a_handler_may_remove_the_context_of_its_request_and_no_other_gets_its_keys_meanwhile(void **state)
{
    fixture *f = *state;
    nacre_detail why;
    nacre_directory_info info;
    nacre_reply reply;
    make(f, 1);
    assert_ok(nacre_directory_read(&info, path_of(f, "server", 1), true, &why));
    assert_ok(nacre_directory_create(path_of(f, "copy", 1), &info, &why));
    assert_ok(nacre_server_add_context(f->server, path_of(f, "server", 1), &why));
    current = f;
    within = remove_context_of_request;
    start(f);
    nacre_client *client = client_of(f, 1);
    (void)!get(f, client, "/within", &reply); /* its exchange may end with its context */
    assert_ok(removed_within);
    assert_err(copied_within, NACRE_ERR_DUPLICATE_CONTEXT);
    expect_refused(f, client);
    for (int i = 0; i < 100 && atomic_load(&num_removed) == 0; i++) pause_ms(10);
    assert_int_equal(atomic_load(&num_removed), 1);
    assert_ok(nacre_server_add_context(f->server, path_of(f, "copy", 1), &why));
    close_client(client);
    stop(f);
}

/* ---- Credentials ---------------------------------------------------------------------------------------------------- */

/* Names ":a1" …: the letter, and the number of the directory. */
static nacre_credentials *map_of(const fixture *f, char letter, const int *directories, size_t num)
{
    nacre_credentials *map;
    nacre_detail why;
    char name[16];
    assert_ok(nacre_credentials_new(&map));
    for (size_t i = 0; i < num; i++) {
        (void)snprintf(name, sizeof name, ":%c%d", letter, directories[i]);
        assert_ok(
            nacre_credentials_set_directory(map, name, path_of(f, "server", directories[i]), NACRE_ROLE_NONE, &why));
    }
    return map;
}

static nacre_err replace(const fixture *f, char letter, const int *directories, size_t num)
{
    nacre_detail why;
    nacre_credentials *map = map_of(f, letter, directories, num);
    const nacre_err err = nacre_server_replace_credentials(f->server, map, &why);
    nacre_credentials_free(map);
    return err;
}

static void replaced_credentials_keep_what_stays_and_remove_the_rest(void **state)
{
    fixture *f = *state;
    nacre_detail why;
    nacre_client *clients[5];
    static const int before[] = { 1, 2 }, after[] = { 2, 3 }, broken[] = { 1, 4, 9 };
    for (int i = 1; i < 5; i++) make(f, i);
    nacre_credentials *map = map_of(f, 'a', before, COUNT(before));
    assert_ok(nacre_server_use_credentials(f->server, map, &why));
    nacre_credentials_free(map);
    assert_ok(nacre_server_add_context(f->server, path_of(f, "server", 4), &why));
    start(f);
    for (int i = 1; i < 5; i++) clients[i] = client_of(f, i);
    expect_served(f, clients[1], ":a1");
    expect_served(f, clients[2], ":a2");
    expect_refused(f, clients[3]);

    assert_ok(replace(f, 'b', after, COUNT(after)));
    expect_refused(f, clients[1]);
    expect_served(f, clients[2], ":b2");
    expect_served(f, clients[3], ":b3");
    expect_served(f, clients[4], path_of(f, "server", 4)); /* not of credentials */
    assert_int_equal(atomic_load(&num_removed), 1);

    assert_true(replace(f, 'c', broken, COUNT(broken)) != NACRE_OK); /* there is no directory 9 */
    expect_refused(f, clients[1]);
    expect_served(f, clients[2], ":b2");
    expect_served(f, clients[3], ":b3");
    expect_served(f, clients[4], path_of(f, "server", 4));

    assert_ok(replace(f, 'd', NULL, 0));
    for (int i = 1; i < 4; i++) expect_refused(f, clients[i]);
    expect_served(f, clients[4], path_of(f, "server", 4));
    for (int i = 1; i < 5; i++) close_client(clients[i]);
    stop(f);
}

/* ---- Under load ----------------------------------------------------------------------------------------------------- */

enum { ASKERS = 2, CHANGES = 10 };

typedef struct asker {
    const fixture *f;
    nacre_client *client;
    pthread_t thread;
    atomic_uint num_served, num_refused, num_other;
    char other[sizeof(nacre_detail) + 64];
} asker;
static atomic_bool is_under_load;

static void *request_all_the_time(void *arg)
{
    asker *a = arg;
    nacre_reply reply = { .code = 0 };
    nacre_detail why = { "" };
    while (atomic_load(&is_under_load)) {
        const nacre_err err = get_with(a->f, a->client, "/peer", &reply, &why);
        if (err == NACRE_OK && reply.code == NACRE_CONTENT) a->num_served++;
        else if (err == NACRE_ERR_UNAUTHENTICATED && reply.code == NACRE_UNAUTHORIZED) a->num_refused++;
        else {
            a->num_other++;
            (void)snprintf(a->other, sizeof a->other, "%s, code %u: %s", nacre_err_name(err), reply.code, why.text);
        }
    }
    return NULL;
}

static void wait_for_more(const atomic_uint *number)
{
    const unsigned before = atomic_load(number);
    for (int i = 0; i < 5000 && atomic_load(number) == before; i++) pause_ms(1);
    assert_true(atomic_load(number) > before);
}

/* The first asker's context comes and goes, and so do others; the second one's stays, and is always served. */
static void contexts_come_and_go_while_requests_are_served(void **state)
{
    enum { OTHERS = 20 };
    fixture *f = *state;
    nacre_detail why;
    asker askers[ASKERS];
    for (int i = 0; i < ASKERS + OTHERS; i++) make(f, i);
    for (int i = 0; i < ASKERS; i++) assert_ok(nacre_server_add_context(f->server, path_of(f, "server", i), &why));
    start(f);
    atomic_store(&is_under_load, true);
    for (int i = 0; i < ASKERS; i++) {
        memset(&askers[i], 0, sizeof askers[i]);
        askers[i].f = f;
        askers[i].client = client_of(f, i);
        assert_int_equal(pthread_create(&askers[i].thread, NULL, request_all_the_time, &askers[i]), 0);
    }
    for (int i = 0; i < OTHERS; i++)
        assert_ok(nacre_server_add_context(f->server, path_of(f, "server", ASKERS + i), &why));
    for (int i = 0; i < CHANGES; i++) {
        assert_ok(nacre_server_remove_context(f->server, path_of(f, "server", 0), &why));
        assert_ok(nacre_server_remove_context(f->server, path_of(f, "server", ASKERS + i), &why));
        wait_for_more(&askers[0].num_refused);
        assert_ok(nacre_server_add_context(f->server, path_of(f, "server", 0), &why));
        wait_for_more(&askers[0].num_served);
    }
    atomic_store(&is_under_load, false);
    for (int i = 0; i < ASKERS; i++) {
        assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
        close_client(askers[i].client);
    }
    assert_true(askers[1].num_served > 0);
    if (askers[1].num_refused + askers[1].num_other > 0)
        fail_msg("%u refused, %u others: %s", askers[1].num_refused, askers[1].num_other, askers[1].other);
    assert_int_equal(atomic_load(&num_removed), 2 * CHANGES);
    stop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_context_added_beside_running_workers_is_served),
        CASE(a_removed_context_is_served_no_more_and_its_directory_is_closed),
        CASE(a_context_is_removed_before_the_workers_start_too),
        CASE(observations_of_a_removed_context_end_and_those_of_others_stay),
        CASE(a_handler_may_remove_the_context_of_its_request_and_no_other_gets_its_keys_meanwhile),
        CASE(replaced_credentials_keep_what_stays_and_remove_the_rest),
        CASE(contexts_come_and_go_while_requests_are_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
