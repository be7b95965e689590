/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* slow_disk_test: servers and clients on a disk that is slow, hangs or is full: no loop ever waits for it, and what does not need
 * it goes on; at the end the true state is on it. To be run under ThreadSanitizer too. */
#include "scratch.h"
#include "support.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The disk ---------------------------------------------------------------------------------------------------------- */

static _Thread_local bool is_loop;        /* this thread runs a loop */
static atomic_int num_in_loop, num_syncs; /* syncs by such threads, and by all */
static atomic_int sync_ms;
static atomic_bool disk_hangs, disk_is_full;

static int sync_slowly(void)
{
    (void)atomic_fetch_add(&num_syncs, 1);
    if (is_loop) (void)atomic_fetch_add(&num_in_loop, 1);
    (void)poll(NULL, 0, atomic_load(&sync_ms));
    while (atomic_load(&disk_hangs)) (void)poll(NULL, 0, 1);
    if (!atomic_load(&disk_is_full)) return 0;
    errno = ENOSPC;
    return -1;
}

/* In place of the C library's. */
int fsync(int fd)
{
    (void)fd;
    return sync_slowly();
}

int fdatasync(int fd)
{
    (void)fd;
    return sync_slowly();
}

/* ---- A server, and contexts on both sides ------------------------------------------------------------------------------ */

enum { NUM = 31, MAX_DATAGRAM = 1280, CHUNK = 10000 };

static char *scratch, server_dirs[NUM][320], client_dirs[NUM][320];
static nacre_server *server;
static pthread_t server_thread;
static struct sockaddr_in address;

static void *run(void *arg)
{
    is_loop = true;
    (void)!nacre_server_run(arg, NULL);
    return NULL;
}

static void hello(void *user, const nacre_request *request, nacre_response *response)
{
    (void)user, (void)request;
    is_loop = true; /* of each worker */
    nacre_response_text(response, NACRE_CONTENT, "hello");
}

static void start(unsigned num_workers)
{
    nacre_detail why = { "" };
    scratch = scratch_make();
    atomic_store(&sync_ms, 0);
    if (nacre_server_open_workers(&server, "127.0.0.1:0", num_workers, &why) != NACRE_OK) fail_msg("%s", why.text);
    for (int i = 0; i < NUM; i++) {
        char id[8];
        (void)snprintf(server_dirs[i], sizeof server_dirs[i], "%s/server%d", scratch, i);
        (void)snprintf(client_dirs[i], sizeof client_dirs[i], "%s/client%d", scratch, i);
        (void)snprintf(id, sizeof id, "c%d", i);
        const nacre_generate_options options = { .client_id = nacre_bytes_of((const uint8_t *)id, strlen(id)) };
        if (nacre_directory_generate(client_dirs[i], server_dirs[i], &options, &why) != NACRE_OK ||
            nacre_server_add_context(server, server_dirs[i], &why) != NACRE_OK)
            fail_msg("%s", why.text);
    }
    assert_ok(nacre_server_add_resource(server, &(nacre_resource){ .path = "/hello", .handler = hello }));
    const nacre_address local = nacre_server_local(server);
    char text[72];
    nacre_address_text(&local, text);
    address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    address.sin_port = htons((uint16_t)atoi(strrchr(text, ':') + 1));
    assert_int_equal(pthread_create(&server_thread, NULL, run, server), 0);
    atomic_store(&num_in_loop, 0);
    atomic_store(&num_syncs, 0);
}

static void stop(void)
{
    nacre_server_stop(server);
    assert_int_equal(pthread_join(server_thread, NULL), 0);
}

static void close_and_remove(void)
{
    nacre_detail why = { "" };
    if (nacre_server_close(server, &why) != NACRE_OK) fail_msg("%s", why.text);
    scratch_remove(scratch);
}

/* One client's side: a socket, and a directory with numbers enough to need no disk any more. */
typedef struct peer {
    nacre_directory *dir;
    int fd;
    nacre_request_id id;
    uint16_t mid;
} peer;

static peer open_peer(int i)
{
    peer p = { .fd = socket(AF_INET, SOCK_DGRAM, 0), .mid = (uint16_t)(100 * i) };
    const nacre_directory_options options = { .first_chunk = CHUNK };
    nacre_detail why = { "" };
    assert_true(p.fd >= 0);
    assert_int_equal(connect(p.fd, (const struct sockaddr *)&address, sizeof address), 0);
    if (nacre_directory_open_with(&p.dir, client_dirs[i], &options, test_crypto(), &why) != NACRE_OK)
        fail_msg("%s", why.text);
    const nacre_store store = nacre_directory_store(p.dir);
    assert_ok(nacre_store_serve(&store, nacre_directory_context(p.dir), NULL));
    return p;
}

static void close_peer(peer *p)
{
    (void)close(p->fd);
    assert_ok(nacre_directory_close(p->dir, NULL));
}

static void send_request(peer *p)
{
    uint8_t bytes[MAX_DATAGRAM], path[16];
    nacre_bytes out;
    nacre_options options;
    nacre_message m = { .type = NACRE_CON, .code = NACRE_GET, .mid = p->mid++, .token = NACRE_STR("t") };
    nacre_options_init(&options, NACRE_BUF(path));
    nacre_options_add(&options, NACRE_OPT_URI_PATH, NACRE_STR("hello"));
    assert_ok(nacre_options_finish(&options, &m.options));
    assert_ok(nacre_protect_request(nacre_directory_context(p->dir), test_crypto(), &p->id, &out, NACRE_BUF(bytes), &m,
                                    NULL));
    assert_int_equal(send(p->fd, out.ptr, out.len, 0), out.len);
}

/* The code of the response, within that time; 0: none. */
static uint8_t receive(peer *p, int wait_ms)
{
    uint8_t bytes[MAX_DATAGRAM], text[MAX_DATAGRAM];
    nacre_message outer, plain;
    const uint64_t end = nacre_clock_ms() + (uint64_t)wait_ms;
    for (uint64_t now; (now = nacre_clock_ms()) < end;) {
        struct pollfd fd = { .fd = p->fd, .events = POLLIN };
        if (poll(&fd, 1, (int)(end - now)) <= 0) return 0;
        const ssize_t len = recv(p->fd, bytes, sizeof bytes, 0);
        assert_true(len > 0);
        assert_ok(nacre_message_parse(&outer, nacre_bytes_of(bytes, (size_t)len)));
        if (outer.code == 0) continue; /* an empty ACK */
        nacre_response_info info;
        if (nacre_unprotect_response(nacre_directory_context(p->dir), test_crypto(), &p->id, &plain, &info,
                                     NACRE_BUF(text), &outer) == NACRE_OK)
            return plain.code;
        return outer.code;
    }
    return 0;
}

static uint8_t request(peer *p)
{
    send_request(p);
    return receive(p, 10000);
}

static void open_peers(peer peers[NUM])
{
    for (int i = 0; i < NUM; i++) peers[i] = open_peer(i);
    atomic_store(&num_in_loop, 0);
}

static void close_peers(peer peers[NUM])
{
    atomic_store(&sync_ms, 0);
    for (int i = 0; i < NUM; i++) close_peer(&peers[i]);
}

/* ---- Tests ------------------------------------------------------------------------------------------------------------- */

static void a_busy_client_keeps_its_rate_while_others_join(void **state)
{
    (void)state;
    for (unsigned num_workers = 1; num_workers <= 2; num_workers++) {
        static peer peers[NUM];
        start(num_workers);
        open_peers(peers);
        assert_int_equal(request(&peers[0]), NACRE_CONTENT);
        atomic_store(&sync_ms, 30);
        for (int i = 1; i < NUM; i++) send_request(&peers[i]);
        const uint64_t begin = nacre_clock_ms();
        for (int i = 0; i < 50; i++) assert_int_equal(request(&peers[0]), NACRE_CONTENT);
        assert_in_range(nacre_clock_ms() - begin, 0, 2000); /* in the loop the disk alone would take 2,700 ms */
        for (int i = 1; i < NUM; i++) assert_int_equal(receive(&peers[i], 20000), NACRE_CONTENT);
        assert_int_equal(atomic_load(&num_in_loop), 0);
        assert_true(atomic_load(&num_syncs) >= NUM);
        stop();
        close_peers(peers);
        close_and_remove();
    }
}

static void a_disk_that_hangs_stops_only_what_needs_it(void **state)
{
    (void)state;
    static peer peers[NUM];
    start(1);
    open_peers(peers);
    assert_int_equal(request(&peers[0]), NACRE_CONTENT);
    atomic_store(&disk_hangs, true);
    for (int i = 1; i < NUM; i++) send_request(&peers[i]);
    for (int i = 0; i < 200; i++) assert_int_equal(request(&peers[0]), NACRE_CONTENT);
    for (int i = 1; i < NUM; i++) assert_int_equal(receive(&peers[i], 1), 0); /* nothing before it is durable */
    atomic_store(&disk_hangs, false);
    for (int i = 1; i < NUM; i++) assert_int_equal(receive(&peers[i], 20000), NACRE_CONTENT);
    assert_int_equal(atomic_load(&num_in_loop), 0);
    stop();
    close_peers(peers);
    close_and_remove();
}

static void a_full_disk_refuses_only_what_needs_it(void **state)
{
    (void)state;
    static peer peers[NUM];
    start(1);
    open_peers(peers);
    assert_int_equal(request(&peers[0]), NACRE_CONTENT);
    atomic_store(&disk_is_full, true);
    for (int i = 1; i < 5; i++) {
        assert_int_equal(request(&peers[i]), NACRE_UNAVAILABLE);
        assert_int_equal(request(&peers[0]), NACRE_CONTENT);
    }
    assert_int_equal(nacre_server_store_health(server).num_failing, 4);
    atomic_store(&disk_is_full, false);
    for (int i = 1; i < NUM; i++) assert_int_equal(request(&peers[i]), NACRE_CONTENT);
    assert_int_equal(atomic_load(&num_in_loop), 0);
    stop();
    close_peers(peers);
    close_and_remove();
}

static atomic_bool is_closed;

static void *close_server(void *arg)
{
    assert_ok(nacre_server_close(arg, NULL));
    atomic_store(&is_closed, true);
    return NULL;
}

static void closing_waits_for_the_disk_and_then_writes_the_true_state(void **state)
{
    (void)state;
    static peer peers[NUM];
    pthread_t thread;
    nacre_directory_info info;
    start(1);
    open_peers(peers);
    for (int i = 0; i < 3; i++) assert_int_equal(request(&peers[0]), NACRE_CONTENT);
    atomic_store(&disk_hangs, true);
    for (int i = 1; i < NUM; i++) send_request(&peers[i]);
    const int before = atomic_load(&num_syncs);
    for (int i = 0; i < 1000 && atomic_load(&num_syncs) == before; i++) (void)poll(NULL, 0, 5);
    stop();
    assert_int_equal(pthread_create(&thread, NULL, close_server, server), 0);
    (void)poll(NULL, 0, 50);
    assert_false(atomic_load(&is_closed));
    atomic_store(&disk_hangs, false);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (int i = 0; i < NUM; i++) {
        assert_ok(nacre_directory_read(&info, server_dirs[i], false, NULL));
        assert_true(info.window_known); /* the true window, whatever was being written */
        assert_int_equal(info.window_index == 0 && info.window_bits[0] == 0, i != 0);
        assert_int_equal(info.next_to_send, 0);
    }
    close_peers(peers);
    scratch_remove(scratch);
}

/* What another program has changed is found by a store thread, and the context is stopped by the loop. */
static void a_directory_that_is_taken_over_stops_its_context(void **state)
{
    (void)state;
    static peer peers[NUM];
    nacre_detail why = { "" };
    start(1);
    open_peers(peers);
    scratch_write(server_dirs[1], "sequence.json", "{\"next-to-send\": 5, \"received\": \"unknown\"}");
    assert_int_equal(request(&peers[1]), NACRE_UNAVAILABLE);
    assert_int_equal(request(&peers[1]), NACRE_UNAVAILABLE);
    assert_int_equal(request(&peers[0]), NACRE_CONTENT);
    stop();
    close_peers(peers);
    assert_err(nacre_server_close(server, &why), NACRE_ERR_LOCKED);
    assert_non_null(strstr(why.text, "server1/sequence.json"));
    scratch_remove(scratch);
}

static void a_child_of_fork_closes_without_the_threads(void **state)
{
    (void)state;
    static peer peers[NUM];
    int status;
    start(1);
    open_peers(peers);
    assert_int_equal(request(&peers[0]), NACRE_CONTENT);
    atomic_store(&disk_hangs, true);
    for (int i = 1; i < NUM; i++) send_request(&peers[i]);
    (void)poll(NULL, 0, 50);
    stop();
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(10);
        _exit(nacre_server_close(server, NULL) == NACRE_ERR_LOCKED ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    atomic_store(&disk_hangs, false);
    close_peers(peers);
    close_and_remove();
}

/* A client's own numbers: its thread protects and waits for answers, and never for the disk. */
static void a_client_does_not_wait_for_the_disk_either(void **state)
{
    (void)state;
    char uri[64];
    nacre_client *client;
    nacre_reply reply;
    nacre_detail why = { "" };
    start(1);
    (void)snprintf(uri, sizeof uri, "coap://127.0.0.1:%u/hello", (unsigned)ntohs(address.sin_port));
    const nacre_client_options options = { .context_dir = client_dirs[0] };
    assert_ok(nacre_client_open(&client, &options, &why));
    for (int i = 0; i < 50; i++) {
        if (nacre_client_request(client, &reply, NACRE_GET, uri, NULL, NACRE_ABSENT, &why) != NACRE_OK)
            fail_msg("%s", why.text);
        if (i == 0) atomic_store(&sync_ms, 5);
        if (i == 0) atomic_store(&num_syncs, 0);
        is_loop = true; /* its directory is open by now */
    }
    is_loop = false;
    assert_true(atomic_load(&num_syncs) > 0);
    assert_int_equal(atomic_load(&num_in_loop), 0);
    assert_ok(nacre_client_close(client, &why));
    stop();
    close_and_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_busy_client_keeps_its_rate_while_others_join),
        TEST(a_disk_that_hangs_stops_only_what_needs_it),
        TEST(a_full_disk_refuses_only_what_needs_it),
        TEST(closing_waits_for_the_disk_and_then_writes_the_true_state),
        TEST(a_directory_that_is_taken_over_stops_its_context),
        TEST(a_child_of_fork_closes_without_the_threads),
        TEST(a_client_does_not_wait_for_the_disk_either),
    };
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
