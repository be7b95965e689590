/* SPDX-License-Identifier: MIT */
/* client_server_test: the client and the server over real sockets on loopback, with context directories as people make
 * them. The server runs in a child process, which ends with 0 only when its contexts were written back. */
#include <nacre/nacre.h>

#include "io/address.h"
#include "scratch.h"

#include <errno.h>
#include <netdb.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* Small timers: a test that must wait for a failure waits for a second at most. */
static const nacre_timing quick = {
    .ack_timeout_ms = 100, .ack_random_factor_milli = 1000, .max_retransmit = 2, .answer_timeout_ms = 800
};

/* ---- The server ------------------------------------------------------------------------------------------------------- */

typedef struct child {
    pid_t pid;
    char origin[96]; /* "coap://[::1]:12345" */
    nacre_address address;
} child;

static nacre_server *serving; /* in the child only */
static pid_t running;         /* the child that a failed test leaves behind */

static void on_signal(int number)
{
    (void)number;
    nacre_server_stop(serving);
}

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user;
    (void)request;
    nacre_response_text(response, NACRE_CONTENT, "Hello World!");
}

/* Says who asked, by Recipient ID, and how long the payload was. */
static void who(void *user, const nacre_request *request, nacre_response *response)
{
    char text[64], id[2 * NACRE_MAX_ID + 1] = "nobody";
    (void)user;
    if (request->context != NULL) nacre_hex_encode(id, nacre_context_recipient_id(request->context));
    (void)snprintf(text, sizeof text, "%s %zu", id, request->message->payload.len);
    nacre_response_text(response, NACRE_CONTENT, text);
}

static void add(const char *path, nacre_handler handler, unsigned flags)
{
    nacre_resource resource = { .path = path, .handler = handler, .flags = flags };
    if (nacre_server_add_resource(serving, &resource) != NACRE_OK) exit(3);
}

/* Runs in the child: serves until SIGTERM. */
static void serve(const char *bind, const char *const *dirs, int ready)
{
    nacre_detail why = { { 0 } };
    char text[72];
    struct sigaction action = { .sa_handler = on_signal };
    nacre_err err = nacre_server_open(&serving, bind, &why);
    if (err == NACRE_OK) (void)sigaction(SIGTERM, &action, NULL);
    for (size_t i = 0; err == NACRE_OK && dirs[i] != NULL; i++) err = nacre_server_add_context(serving, dirs[i], &why);
    if (err != NACRE_OK) {
        fprintf(stderr, "server: %s\n", why.text);
        exit(2);
    }
    add("/hello", hello, 0);
    add("/who", who, 0);
    add("/open", who, NACRE_RESOURCE_PLAIN);
    nacre_address local = nacre_server_local(serving);
    nacre_address_text(&local, text);
    if (write(ready, text, sizeof text) != sizeof text) exit(4);
    (void)close(ready);
    err = nacre_server_run(serving, &why);
    nacre_err closing = nacre_server_close(serving, &why);
    exit(err == NACRE_OK && closing == NACRE_OK ? 0 : 5);
}

static child start(const char *bind, const char *const *dirs)
{
    child c;
    int ends[2];
    char text[72];
    assert_int_equal(pipe(ends), 0);
    c.pid = fork();
    assert_true(c.pid >= 0);
    running = c.pid;
    if (c.pid == 0) {
        (void)close(ends[0]);
        serve(bind, dirs, ends[1]);
    }
    (void)close(ends[1]);
    ssize_t len = read(ends[0], text, sizeof text);
    (void)close(ends[0]);
    if (len != sizeof text) fail_msg("the server did not start");
    (void)snprintf(c.origin, sizeof c.origin, "coap://%s", text);
    assert_int_equal(nacre_address_resolve(&c.address, text, 0, NULL), NACRE_OK);
    return c;
}

static child start_one(const char *bind, const char *dir)
{
    const char *dirs[] = { dir, NULL };
    return start(bind, dirs);
}

static void stop(const child *c)
{
    int status;
    assert_int_equal(kill(c->pid, SIGTERM), 0);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    running = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("the server ended with status %#x", (unsigned)status);
}

static void crash(const child *c)
{
    int status;
    assert_int_equal(kill(c->pid, SIGKILL), 0);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    running = 0;
}

/* ---- The client ------------------------------------------------------------------------------------------------------- */

typedef struct fixture {
    char *dir;
    char client[256], server[256]; /* a pair of context directories */
} fixture;

static void make_pair(const fixture *f, const char *client, const char *server)
{
    const nacre_generate_options options = { .client_id = NACRE_STR("\x00"), .server_id = NACRE_STR("\x01") };
    nacre_detail why = { { 0 } };
    char a[300], b[300];
    (void)snprintf(a, sizeof a, "%s/%s", f->dir, client);
    (void)snprintf(b, sizeof b, "%s/%s", f->dir, server);
    if (nacre_directory_generate(a, b, &options, &why) != NACRE_OK) fail_msg("%s", why.text);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (f == NULL) return -1;
    f->dir = scratch_make();
    make_pair(f, "client", "server");
    (void)snprintf(f->client, sizeof f->client, "%s/client", f->dir);
    (void)snprintf(f->server, sizeof f->server, "%s/server", f->dir);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    if (running != 0) {
        (void)kill(running, SIGKILL);
        (void)waitpid(running, NULL, 0);
        running = 0;
    }
    scratch_remove(f->dir);
    free(f);
    return 0;
}

static nacre_client *open_client(const nacre_client_options *options)
{
    nacre_client *client;
    nacre_detail why = { { 0 } };
    if (nacre_client_open(&client, options, &why) != NACRE_OK) fail_msg("%s", why.text);
    return client;
}

static nacre_client *open_with(const char *context_dir)
{
    nacre_client_options options = { .context_dir = context_dir, .timing = quick };
    return open_client(&options);
}

static void close_client(nacre_client *client)
{
    nacre_detail why = { { 0 } };
    if (nacre_client_close(client, &why) != NACRE_OK) fail_msg("%s", why.text);
}

static const char *uri(const child *c, const char *path)
{
    static char text[160];
    (void)snprintf(text, sizeof text, "%s%s", c->origin, path);
    return text;
}

static nacre_err get(nacre_client *client, nacre_reply *reply, const char *at, nacre_detail *why)
{
    *why = (nacre_detail){ { 0 } };
    return nacre_client_request(client, reply, NACRE_GET, at, NULL, NACRE_ABSENT, why);
}

/* GETs a text, protected. */
static void expect_text(nacre_client *client, const char *at, const char *text)
{
    nacre_reply reply;
    nacre_detail why;
    nacre_err err = get(client, &reply, at, &why);
    if (err != NACRE_OK) fail_msg("%s: %s: %s", at, nacre_err_name(err), why.text);
    assert_int_equal(reply.code, NACRE_CONTENT);
    assert_true(reply.is_protected);
    assert_int_equal(reply.payload.len, strlen(text));
    assert_memory_equal(reply.payload.ptr, text, reply.payload.len);
}

/* A failure that says something, in one line, soon. */
static void expect_error(nacre_client *client, const char *at, nacre_err expected, nacre_reply *reply)
{
    nacre_detail why;
    uint64_t start = nacre_clock_ms();
    nacre_err err = get(client, reply, at, &why);
    if (err != expected) fail_msg("%s: %s, not %s: %s", at, nacre_err_name(err), nacre_err_name(expected), why.text);
    assert_true(strlen(why.text) > 10);
    assert_null(strchr(why.text, '\n'));
    assert_true(nacre_clock_ms() - start < 5000);
}

/* ---- What works ------------------------------------------------------------------------------------------------------- */

static void asks_and_is_answered(void **state)
{
    static const char *const binds[] = { "[::1]:0", "127.0.0.1:0", "[::]:0", "0.0.0.0:0" };
    const fixture *f = *state;
    for (size_t i = 0; i < sizeof binds / sizeof binds[0]; i++) {
        child c = start_one(binds[i], f->server);
        /* a wildcard is asked at an address of its own */
        const char *port = strrchr(c.origin, ':');
        char to[96];
        (void)snprintf(to, sizeof to, "coap://%s%s", i == 0 ? "[::1]" : i == 1 ? "127.0.0.1" : "127.0.0.2", port);
        memcpy(c.origin, to, sizeof to);
        nacre_client *client = open_with(f->client);
        expect_text(client, uri(&c, "/hello"), "Hello World!");
        expect_text(client, uri(&c, "/who"), "00 0");
        close_client(client);
        stop(&c);
    }
}

static void a_name_instead_of_an_address(void **state)
{
    const fixture *f = *state;
    child c = start_one("[::]:0", f->server);
    char text[160];
    (void)snprintf(text, sizeof text, "coap://LOCALHOST%s/hello", strrchr(c.origin, ':'));
    nacre_client *client = open_with(f->client);
    struct addrinfo *found = NULL;
    if (getaddrinfo("localhost", NULL, NULL, &found) == 0) {
        expect_text(client, text, "Hello World!");
        freeaddrinfo(found);
    } else { /* a machine without /etc/hosts: then it says so */
        nacre_reply reply;
        expect_error(client, text, NACRE_ERR_ADDRESS, &reply);
    }
    close_client(client);
    stop(&c);
}

static void bodies_of_one_message_and_of_two(void **state)
{
    const fixture *f = *state;
    child c = start_one("[::1]:0", f->server);
    nacre_client *client = open_with(f->client);
    uint8_t body[1025] = { 7 };
    for (size_t len = 1024; len <= 1025; len++) {
        nacre_reply reply = { 0 };
        nacre_detail why;
        const nacre_bytes payload = { body, len };
        assert_int_equal(nacre_client_request(client, &reply, NACRE_POST, uri(&c, "/who"), NULL, payload, &why),
                         NACRE_OK);
        assert_memory_equal(reply.payload.ptr, len == 1024 ? "00 1024" : "00 1025", 7);
    }
    expect_text(client, uri(&c, "/hello"), "Hello World!");
    close_client(client);
    stop(&c);
}

typedef struct seen {
    size_t sent, received, messages;
    uint8_t first_type;
    uint8_t last_code;
    bool has_accept, all_protected;
} seen;

static void see_datagram(void *user, bool outgoing, const nacre_address *peer, nacre_bytes bytes)
{
    seen *s = user;
    (void)peer;
    if (outgoing && s->sent == 0) s->first_type = bytes.ptr[0] >> 4 & 3;
    if (outgoing) s->sent++;
    else s->received++;
}

static void see_message(void *user, bool outgoing, bool is_protected, const nacre_message *plain)
{
    seen *s = user;
    s->all_protected = is_protected && (s->messages == 0 || s->all_protected);
    s->messages++;
    s->last_code = plain->code;
    if (outgoing) s->has_accept = !nacre_is_absent(nacre_option_find(plain->options, NACRE_OPT_ACCEPT));
}

static void options_and_watchers(void **state)
{
    const fixture *f = *state;
    child c = start_one("[::1]:0", f->server);
    seen s = { 0 };
    nacre_client_options options = { .context_dir = f->client, .non = true, .timing = quick, .user = &s };
    options.on_datagram = see_datagram;
    options.on_message = see_message;
    nacre_client *client = open_client(&options);
    uint8_t room[16];
    nacre_options more;
    nacre_options_init(&more, NACRE_ROOM(room));
    nacre_options_add_uint(&more, NACRE_OPT_ACCEPT, 0);
    nacre_reply reply;
    nacre_detail why;
    assert_int_equal(nacre_client_request(client, &reply, NACRE_GET, uri(&c, "/hello"), &more, NACRE_ABSENT, &why),
                     NACRE_OK);
    assert_int_equal(s.sent, 1);
    assert_int_equal(s.first_type, NACRE_NON);
    assert_int_equal(s.received, 1);
    assert_int_equal(s.messages, 2);
    assert_int_equal(s.last_code, NACRE_CONTENT);
    assert_true(s.has_accept);
    assert_true(s.all_protected);
    nacre_bytes format = nacre_option_find(reply.options, NACRE_OPT_CONTENT_FORMAT);
    assert_false(nacre_is_absent(format));
    close_client(client);
    stop(&c);
}

static void plain_requests_get_what_is_open(void **state)
{
    const fixture *f = *state;
    child c = start_one("127.0.0.1:0", f->server);
    nacre_client_options options = { .timing = quick };
    nacre_client *client = open_client(&options);
    nacre_reply reply;
    nacre_detail why;
    assert_int_equal(get(client, &reply, uri(&c, "/open"), &why), NACRE_OK);
    assert_int_equal(reply.code, NACRE_CONTENT);
    assert_false(reply.is_protected);
    assert_memory_equal(reply.payload.ptr, "nobody 0", 8);
    assert_int_equal(get(client, &reply, uri(&c, "/who"), &why), NACRE_OK);
    assert_int_equal(reply.code, NACRE_UNAUTHORIZED);
    close_client(client);
    stop(&c);
}

/* Both have Sender ID 00: the server tries each context. */
static void two_clients_in_turn(void **state)
{
    const fixture *f = *state;
    make_pair(f, "client2", "server2");
    char second[300];
    (void)snprintf(second, sizeof second, "%s/client2", f->dir);
    char server2[300];
    (void)snprintf(server2, sizeof server2, "%s/server2", f->dir);
    const char *dirs[] = { f->server, server2, f->server, NULL }; /* twice the same is once */
    child c = start("[::1]:0", dirs);
    nacre_client *one = open_with(f->client), *two = open_with(second);
    for (int i = 0; i < 3; i++) {
        expect_text(one, uri(&c, "/hello"), "Hello World!");
        expect_text(two, uri(&c, "/who"), "00 0");
    }
    close_client(one);
    expect_text(two, uri(&c, "/hello"), "Hello World!");
    close_client(two);
    stop(&c);
}

/* A pair under numbered names, whose ID Context is the number, or which has none. */
static void make_numbered(const fixture *f, int number, bool has_id_context)
{
    nacre_detail why = { { 0 } };
    uint8_t id = (uint8_t)number;
    char client[300], server[300];
    const nacre_generate_options options = { .id_context = has_id_context ? nacre_bytes_of(&id, 1) : NACRE_ABSENT,
                                             .client_id = NACRE_STR("\x00"),
                                             .server_id = NACRE_STR("\x01") };
    (void)snprintf(client, sizeof client, "%s/c%d", f->dir, number);
    (void)snprintf(server, sizeof server, "%s/s%d", f->dir, number);
    if (nacre_directory_generate(client, server, &options, &why) != NACRE_OK) fail_msg("%s", why.text);
}

/* More than the table of contexts holds at first. All have the same Sender ID; the ID Context tells them apart. */
static void many_contexts(void **state)
{
    enum { MANY = 30 };
    const fixture *f = *state;
    static char names[MANY][300];
    const char *dirs[MANY + 1] = { NULL };
    for (int i = 0; i < MANY; i++) {
        make_numbered(f, i, true);
        (void)snprintf(names[i], sizeof names[i], "%s/s%d", f->dir, i);
        dirs[i] = names[i];
    }
    child c = start("[::1]:0", dirs);
    for (int i = 0; i < MANY; i += 7) {
        char dir[300];
        (void)snprintf(dir, sizeof dir, "%s/c%d", f->dir, i);
        nacre_client *client = open_with(dir);
        expect_text(client, uri(&c, "/hello"), "Hello World!");
        close_client(client);
    }
    stop(&c);
}

/* Contexts that nothing tells apart: eight are tried for a request, and a ninth is refused at once, not at night. */
static void eight_contexts_alike(void **state)
{
    const fixture *f = *state;
    char dir[300];
    nacre_detail why;
    nacre_server *server;
    assert_int_equal(nacre_server_open(&server, "[::1]:0", &why), NACRE_OK);
    for (int i = 0; i < 10; i++) {
        make_numbered(f, i, i == 9);
        (void)snprintf(dir, sizeof dir, "%s/s%d", f->dir, i);
        for (int again = 0; again < 2; again++)
            assert_int_equal(nacre_server_add_context(server, dir, &why), i == 8 ? NACRE_ERR_UNSUPPORTED : NACRE_OK);
        if (i == 8) assert_non_null(strstr(why.text, "ID Context"));
    }
    assert_int_equal(nacre_server_close(server, &why), NACRE_OK);

    static char names[8][300]; /* and the eighth is served */
    const char *dirs[9] = { NULL };
    for (int i = 0; i < 8; i++) {
        (void)snprintf(names[i], sizeof names[i], "%s/s%d", f->dir, i);
        dirs[i] = names[i];
    }
    child c = start("[::1]:0", dirs);
    (void)snprintf(dir, sizeof dir, "%s/c7", f->dir);
    nacre_client *client = open_with(dir);
    expect_text(client, uri(&c, "/hello"), "Hello World!");
    close_client(client);
    stop(&c);
}

/* ---- Restarts --------------------------------------------------------------------------------------------------------- */

static nacre_directory_info info_of(const char *dir)
{
    nacre_directory_info info;
    nacre_detail why = { { 0 } };
    if (nacre_directory_read(&info, dir, false, &why) != NACRE_OK) fail_msg("%s", why.text);
    return info;
}

/* A clean end on both sides writes exact numbers and a known window. */
static void both_restart_and_go_on(void **state)
{
    const fixture *f = *state;
    for (uint64_t run = 1; run <= 3; run++) {
        child c = start_one("[::1]:0", f->server);
        nacre_client *client = open_with(f->client);
        expect_text(client, uri(&c, "/hello"), "Hello World!");
        expect_text(client, uri(&c, "/hello"), "Hello World!");
        close_client(client);
        stop(&c);
        assert_int_equal(info_of(f->client).next_to_send, 2 * run);
        assert_true(info_of(f->server).window_known);
    }
}

/* RFC 8613 B.1.2: after a crash the server does not know its window, asks for freshness, and goes on. */
static void the_server_crashes_and_comes_back(void **state)
{
    const fixture *f = *state;
    seen s = { 0 };
    nacre_client_options options = { .context_dir = f->client, .timing = quick, .user = &s };
    options.on_datagram = see_datagram;
    nacre_client *client = open_client(&options);
    child c = start_one("[::1]:0", f->server);
    expect_text(client, uri(&c, "/hello"), "Hello World!");
    assert_int_equal(s.sent, 1);
    crash(&c);
    assert_false(info_of(f->server).window_known);
    c = start_one("[::1]:0", f->server);
    expect_text(client, uri(&c, "/hello"), "Hello World!");
    assert_int_equal(s.sent, 3); /* the request, and once more with the Echo value */
    expect_text(client, uri(&c, "/hello"), "Hello World!");
    assert_int_equal(s.sent, 4);
    stop(&c);
    close_client(client);
    assert_true(info_of(f->server).window_known);
}

/* RFC 8613 B.1.1: a client that crashes uses no number twice; what is on disk is above all that it used. */
static void the_client_crashes_and_comes_back(void **state)
{
    const fixture *f = *state;
    child c = start_one("[::1]:0", f->server);
    uint64_t before = 0;
    for (int run = 0; run < 3; run++) {
        int status;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            nacre_client *client = open_with(f->client);
            nacre_reply reply;
            nacre_detail why;
            bool ok = get(client, &reply, uri(&c, "/hello"), &why) == NACRE_OK && reply.code == NACRE_CONTENT;
            _exit(ok ? 0 : 1); /* without a word to the directory */
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        uint64_t after = info_of(f->client).next_to_send;
        assert_true(after > before);
        before = after;
    }
    nacre_client *client = open_with(f->client);
    expect_text(client, uri(&c, "/hello"), "Hello World!");
    close_client(client);
    assert_int_equal(info_of(f->client).next_to_send, before + 1);
    stop(&c);
}

/* ---- What does not work ----------------------------------------------------------------------------------------------- */

static void nobody_listens(void **state)
{
    const fixture *f = *state;
    child c = start_one("[::1]:0", f->server);
    nacre_client *client = open_with(f->client);
    nacre_reply reply = { .code = 1 };
    expect_text(client, uri(&c, "/hello"), "Hello World!");
    crash(&c);
    expect_error(client, uri(&c, "/hello"), NACRE_ERR_UNREACHABLE, &reply);
    assert_int_equal(reply.code, 1);
    close_client(client);
}

/* A socket that takes everything and says nothing. */
static void nobody_answers(void **state)
{
    const fixture *f = *state;
    nacre_udp *silent;
    nacre_address local;
    char text[72], at[96];
    nacre_reply reply;
    assert_int_equal(nacre_address_resolve(&local, "[::1]:0", 0, NULL), NACRE_OK);
    assert_int_equal(nacre_udp_open(&silent, &local, NULL), NACRE_OK);
    local = nacre_udp_local(silent);
    nacre_address_text(&local, text);
    (void)snprintf(at, sizeof at, "coap://%s/hello", text);
    for (int limited = 0; limited < 2;
         limited++) { /* by CoAP's timers, here 100 + 200 + 400 ms; by a limit of 200 ms */
        seen s = { 0 };
        nacre_client_options options = { .context_dir = f->client, .timing = quick, .user = &s };
        options.on_datagram = see_datagram;
        if (limited) {
            options.timing = (nacre_timing){ 0 }; /* which would take 93 seconds */
            options.timeout_ms = 200;
        }
        nacre_client *client = open_client(&options);
        uint64_t start = nacre_clock_ms();
        expect_error(client, at, NACRE_ERR_TIMEOUT, &reply);
        uint64_t took = nacre_clock_ms() - start;
        assert_true(took >= (limited ? 200 : 700));
        if (!limited) assert_int_equal(s.sent, 3);
        close_client(client);
    }
    nacre_udp_close(silent);
}

static void the_wrong_context(void **state)
{
    const fixture *f = *state;
    make_pair(f, "other", "same-id");
    char other[300];
    (void)snprintf(other, sizeof other, "%s/other", f->dir);
    child c = start_one("[::1]:0", f->server);
    static const struct {
        const char *what;
        uint8_t code;
    } rows[] = { { "Decryption failed", NACRE_BAD_REQUEST }, { "Security context not found", NACRE_UNAUTHORIZED } };
    char mirrored[300]; /* its Sender ID is 01, which the server does not know */
    (void)snprintf(mirrored, sizeof mirrored, "%s/same-id", f->dir);
    for (int i = 0; i < 2; i++) {
        nacre_client *client = open_with(i == 0 ? other : mirrored);
        nacre_reply reply = { 0 };
        expect_error(client, uri(&c, "/hello"), NACRE_ERR_UNAUTHENTICATED, &reply);
        assert_int_equal(reply.code, rows[i].code);
        assert_false(reply.is_protected);
        assert_int_equal(reply.payload.len, strlen(rows[i].what));
        assert_memory_equal(reply.payload.ptr, rows[i].what, reply.payload.len);
        close_client(client);
    }
    nacre_client *right = open_with(f->client);
    expect_text(right, uri(&c, "/hello"), "Hello World!");
    close_client(right);
    stop(&c);
}

/* What comes to the port that is no request of ours changes nothing. */
static void garbage_disturbs_nobody(void **state)
{
    const fixture *f = *state;
    child c = start_one("[::1]:0", f->server);
    nacre_client *client = open_with(f->client);
    expect_text(client, uri(&c, "/hello"), "Hello World!");
    nacre_udp *udp;
    assert_int_equal(nacre_udp_open(&udp, NULL, NULL), NACRE_OK);
    int fd = nacre_udp_fd(udp);
    struct sockaddr_storage to;
    socklen_t to_len = nacre__address_to(&to, &c.address, true);
    uint64_t seed = 1;
    for (int i = 0; i < 400; i++) {
        uint8_t bytes[1500];
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t len = i < 4 ? (size_t)i : (size_t)(seed >> 33) % (i % 20 == 0 ? sizeof bytes : 60);
        for (size_t k = 0; k < len; k++)
            bytes[k] = (uint8_t)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 56);
        if (i % 2 == 0 && len > 12) { /* a CON POST with an OSCORE option, and junk behind it */
            static const uint8_t head[] = { 0x40, 0x02, 0, 0, 0x93, 0x09, 0x00, 0x00, 0xff };
            memcpy(bytes, head, sizeof head);
            bytes[2] = (uint8_t)i;
        }
        (void)sendto(fd, bytes, len, 0, (const struct sockaddr *)&to, to_len);
        if (i % 50 == 0) expect_text(client, uri(&c, "/hello"), "Hello World!");
    }
    nacre_udp_close(udp);
    expect_text(client, uri(&c, "/hello"), "Hello World!");
    close_client(client);
    stop(&c);
}

static void what_people_get_wrong(void **state)
{
    static const struct {
        const char *uri;
        nacre_err err;
    } rows[] = {
        { "coap://[::1]:1/%zz", NACRE_ERR_BAD_URI },
        { "http://[::1]/", NACRE_ERR_UNSUPPORTED },
        { "coap://[::1]:1/../x", NACRE_ERR_BAD_URI },
        { "hello", NACRE_ERR_BAD_URI },
        { "", NACRE_ERR_BAD_URI },
        { "coap://a%00b/", NACRE_ERR_BAD_URI },
    };
    const fixture *f = *state;
    nacre_client *client = open_with(f->client);
    nacre_reply reply;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) expect_error(client, rows[i].uri, rows[i].err, &reply);
    nacre_detail why;
    assert_int_equal(nacre_client_request(client, &reply, NACRE_CONTENT, "coap://[::1]/", NULL, NACRE_ABSENT, &why),
                     NACRE_ERR_BAD_ARGUMENT);
    close_client(client);

    nacre_client_options both = { .context_dir = f->client, .credentials_file = "x" };
    assert_int_equal(nacre_client_open(&client, &both, &why), NACRE_ERR_BAD_ARGUMENT);
    nacre_client_options missing = { .credentials_file = "/nowhere/at/all" };
    assert_int_equal(nacre_client_open(&client, &missing, &why), NACRE_ERR_FILE);
    client = open_with("/nowhere/at/all");
    expect_error(client, "coap://[::1]:1/", NACRE_ERR_FILE, &reply);
    close_client(client);
    assert_int_equal(nacre_client_close(NULL, NULL), NACRE_OK);
}

static void one_process_per_directory(void **state)
{
    const fixture *f = *state;
    child c = start_one("[::1]:0", f->server);
    nacre_client *first = open_with(f->client), *second = open_with(f->client);
    nacre_reply reply;
    expect_text(first, uri(&c, "/hello"), "Hello World!");
    expect_error(second, uri(&c, "/hello"), NACRE_ERR_LOCKED, &reply);
    close_client(first);
    expect_text(second, uri(&c, "/hello"), "Hello World!"); /* it tries again, and may now */
    close_client(second);
    stop(&c);
}

/* ---- Credentials ------------------------------------------------------------------------------------------------------ */

/* Fails closed: where the file names nothing, nothing is sent. Two names of one directory are one. */
static void credentials_choose_the_context(void **state)
{
    const fixture *f = *state;
    child c = start_one("[::1]:0", f->server);
    char text[1024];
    (void)snprintf(
        text, sizeof text,
        "{\"%s/hello\": {\"oscore\": {\"basedir\": \"client\"}}, \"%s/w*\": {\"oscore\": {\"basedir\": \"%s/../%s\"}}}",
        c.origin, c.origin, f->client, strrchr(f->client, '/') + 1);
    scratch_write(f->dir, "credentials.json", text);
    seen s = { 0 };
    nacre_client_options options = { .credentials_file = scratch_path(f->dir, "credentials.json"), .timing = quick };
    options.on_datagram = see_datagram;
    options.user = &s;
    nacre_client *client = open_client(&options);
    nacre_reply reply;
    expect_text(client, uri(&c, "/hello"), "Hello World!");
    expect_text(client, uri(&c, "/who"), "00 0");
    assert_int_equal(s.sent, 2);
    expect_error(client, uri(&c, "/open"), NACRE_ERR_NO_CREDENTIALS, &reply);
    expect_error(client, "coap://host.invalid/", NACRE_ERR_NO_CREDENTIALS, &reply); /* before the name is looked up */
    assert_int_equal(s.sent, 2);
    close_client(client);
    stop(&c);
}

static void a_server_takes_credentials(void **state)
{
    const fixture *f = *state;
    nacre_server *server;
    nacre_detail why = { { 0 } };
    scratch_write(f->dir, "good.json",
                  "{\"coap://a/*\": {\"oscore\": {\"basedir\": \"server\"}}, \"coap://b/*\": {\"oscore\": "
                  "{\"basedir\": \"./server\"}}}");
    scratch_write(f->dir, "bad.json", "{\"coap://a/*\": {\"oscore\": {\"basedir\": \"nowhere\"}}}");
    assert_int_equal(nacre_server_open(&server, "[::1]:0", &why), NACRE_OK);
    if (nacre_server_add_credentials(server, scratch_path(f->dir, "good.json"), &why) != NACRE_OK)
        fail_msg("%s", why.text);
    assert_int_equal(nacre_server_add_credentials(server, scratch_path(f->dir, "bad.json"), &why), NACRE_ERR_FILE);
    assert_non_null(strstr(why.text, "nowhere"));
    assert_int_equal(nacre_server_add_credentials(server, "/nowhere", &why), NACRE_ERR_FILE);
    assert_int_equal(nacre_server_close(server, &why), NACRE_OK);
}

/* ---- The server by itself --------------------------------------------------------------------------------------------- */

static void resources_are_checked(void **state)
{
    static const struct {
        const char *path;
        nacre_err err;
    } rows[] = { { "/a", NACRE_OK },
                 { "/a", NACRE_ERR_BAD_ARGUMENT },
                 { "a", NACRE_ERR_BAD_ARGUMENT },
                 { "", NACRE_ERR_BAD_ARGUMENT },
                 { "/a/b", NACRE_OK } };
    nacre_server *server;
    nacre_detail why;
    (void)state;
    assert_int_equal(nacre_server_open(&server, "127.0.0.1:0", &why), NACRE_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre_resource resource = { .path = rows[i].path, .handler = hello };
        assert_int_equal(nacre_server_add_resource(server, &resource), rows[i].err);
    }
    nacre_resource no_handler = { .path = "/c" };
    assert_int_equal(nacre_server_add_resource(server, &no_handler), NACRE_ERR_BAD_ARGUMENT);
    assert_int_equal(nacre_server_close(server, &why), NACRE_OK);
    assert_int_equal(nacre_server_close(NULL, NULL), NACRE_OK);
}

/* A stop that comes first is not lost, a stop is good for one run, and many are as good as one. */
static void stop_is_remembered(void **state)
{
    nacre_server *server;
    nacre_detail why;
    (void)state;
    assert_int_equal(nacre_server_open(&server, "127.0.0.1:0", &why), NACRE_OK);
    for (int run = 0; run < 3; run++) {
        for (int i = 0; i < (run == 1 ? 100000 : 1); i++) nacre_server_stop(server);
        errno = 0;
        nacre_server_stop(server);
        assert_int_equal(errno, 0);
        assert_int_equal(nacre_server_run(server, &why), NACRE_OK);
    }
    assert_int_equal(nacre_server_close(server, &why), NACRE_OK);
}

static void a_server_that_cannot_start_says_why(void **state)
{
    static const struct {
        const char *bind, *says;
    } rows[] = { { "127.0.0.1:x", "port" }, { "192.0.2.1:5683", "192.0.2.1:5683" }, { "[::1", "[IPV6]:PORT" } };
    const fixture *f = *state;
    nacre_server *server = NULL, *second = NULL;
    nacre_detail why;
    char text[72];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(nacre_server_open(&server, rows[i].bind, &why), NACRE_ERR_ADDRESS);
        if (strstr(why.text, rows[i].says) == NULL) fail_msg("'%s' does not say '%s'", why.text, rows[i].says);
    }
    assert_null(server);
    assert_int_equal(nacre_server_open(&server, "[::1]:0", &why), NACRE_OK);
    nacre_address local = nacre_server_local(server);
    nacre_address_text(&local, text);
    assert_int_equal(nacre_server_open(&second, text, &why), NACRE_ERR_ADDRESS);
    assert_non_null(strstr(why.text, text));
    assert_int_equal(nacre_server_add_context(server, scratch_path(f->dir, "nowhere"), &why), NACRE_ERR_FILE);
    assert_int_equal(nacre_server_add_context(server, f->server, &why), NACRE_OK);
    assert_int_equal(nacre_server_close(server, &why), NACRE_OK);
}

#define IN_A_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_DIRECTORY(asks_and_is_answered),
        IN_A_DIRECTORY(a_name_instead_of_an_address),
        IN_A_DIRECTORY(bodies_of_one_message_and_of_two),
        IN_A_DIRECTORY(options_and_watchers),
        IN_A_DIRECTORY(plain_requests_get_what_is_open),
        IN_A_DIRECTORY(two_clients_in_turn),
        IN_A_DIRECTORY(many_contexts),
        IN_A_DIRECTORY(eight_contexts_alike),
        IN_A_DIRECTORY(both_restart_and_go_on),
        IN_A_DIRECTORY(the_server_crashes_and_comes_back),
        IN_A_DIRECTORY(the_client_crashes_and_comes_back),
        IN_A_DIRECTORY(nobody_listens),
        IN_A_DIRECTORY(nobody_answers),
        IN_A_DIRECTORY(the_wrong_context),
        IN_A_DIRECTORY(garbage_disturbs_nobody),
        IN_A_DIRECTORY(what_people_get_wrong),
        IN_A_DIRECTORY(one_process_per_directory),
        IN_A_DIRECTORY(credentials_choose_the_context),
        IN_A_DIRECTORY(a_server_takes_credentials),
        IN_A_DIRECTORY(resources_are_checked),
        IN_A_DIRECTORY(stop_is_remembered),
        IN_A_DIRECTORY(a_server_that_cannot_start_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
