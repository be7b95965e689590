/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* serve_watch_test: observers of a file or a directory of nacre serve --root are notified of changes by any program.
 * The server is the tool, in a separate process. */
#include <nacre/nacre.h>

#include "scratch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

typedef struct observation {
    nacre_transfer_exchange exchange;
    uint8_t buf[8192];
    unsigned notifications;
    bool ended;
    uint8_t code;
    char first;
    size_t len;
} observation;

typedef struct fixture {
    char *dir;
    pid_t pid;
    nacre_address server;
    nacre_crypto crypto;
    nacre_udp *udp;
    nacre_loop *loop;
    nacre_directory *context;
} fixture;

static void on_event(void *user, nacre_transfer *transfer, const nacre_event *event)
{
    observation *w = event->user;
    (void)user;
    (void)transfer;
    assert_int_equal(event->err, NACRE_OK);
    if (event->kind == NACRE_EVENT_NOTIFICATION) w->notifications++;
    else w->ended = true;
    w->code = event->message.code;
    w->len = event->message.payload.len;
    w->first = w->len > 0 ? (char)event->message.payload.ptr[0] : '\0';
}

static pid_t start_server(const char *dir, char line[128])
{
    int ends[2];
    if (pipe(ends) != 0) return -1;
    const pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        if (chdir(dir) != 0) _exit(9);
        execl(NACRE_TOOL, NACRE_TOOL, "serve", "--bind", "[::1]:0", "--context", "server", "--root", "root", NULL);
        _exit(9);
    }
    (void)close(ends[1]);
    size_t len = 0;
    while (len < 127 && read(ends[0], line + len, 1) == 1 && line[len] != '\n') len++;
    line[len] = '\0';
    (void)close(ends[0]);
    return pid;
}

static int set_up(void **state)
{
    static const nacre_address any;
    fixture *f = calloc(1, sizeof *f);
    char client[256], server[256], line[128];
    nacre_generate_options generate = { 0 };
    nacre_detail why;
    if (f == NULL) return -1;
    *state = f;
    f->dir = scratch_make();
    (void)snprintf(client, sizeof client, "%s/client", f->dir);
    (void)snprintf(server, sizeof server, "%s/server", f->dir);
    if (nacre_directory_generate(client, server, &generate, &why) != NACRE_OK) return -1;
    scratch_mkdir(f->dir, "root");
    scratch_mkdir(f->dir, "root/sub");
    scratch_write(f->dir, "root/file", "old");
    scratch_write(f->dir, "root/sub/a b", "old");
    f->pid = start_server(f->dir, line);
    if (strncmp(line, "listening coap://", 17) != 0) return -1;
    if (nacre_address_resolve(&f->server, line + 17, 5683, &why) != NACRE_OK) return -1;
    if (nacre_openssl_open(&f->crypto) != NACRE_OK || nacre_udp_open(&f->udp, &any, &why) != NACRE_OK) return -1;
    const nacre_endpoint_config config = { .crypto = f->crypto, .congestion.nstart = UINT16_MAX };
    const nacre_transfer_config transfer = { 0 };
    if (nacre_loop_open_transfer(&f->loop, f->udp, &config, &transfer, on_event, f, &why) != NACRE_OK) return -1;
    if (nacre_directory_open(&f->context, client, &f->crypto, &why) != NACRE_OK) return -1;
    return nacre_loop_add_store(f->loop, nacre_directory_context(f->context), nacre_directory_store(f->context));
}

static int tear_down(void **state)
{
    fixture *f = *state;
    int status = -1;
    nacre_loop_close(f->loop);
    (void)nacre_directory_close(f->context, NULL);
    nacre_udp_close(f->udp);
    nacre_openssl_close(&f->crypto);
    (void)kill(f->pid, SIGTERM);
    (void)waitpid(f->pid, &status, 0);
    scratch_remove(f->dir);
    free(f);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static void step(const fixture *f, uint32_t wait_ms)
{
    nacre_detail why;
    if (nacre_loop_step(f->loop, wait_ms, &why) != NACRE_OK) fail_msg("%s", why.text);
}

/* Waits for `num` notifications. One change may bring several: creating a file is one, closing it another. */
static void wait_for(const fixture *f, const observation *w, unsigned num)
{
    const uint64_t end = nacre_clock_ms() + 10000;
    while (w->notifications < num && !w->ended && nacre_clock_ms() < end) step(f, 100);
    if (w->notifications < num) fail_msg("%u notifications, not %u", w->notifications, num);
}

static void quiet(const fixture *f)
{
    const uint64_t end = nacre_clock_ms() + 300;
    while (nacre_clock_ms() < end) step(f, 50);
}

static void start_observing(const fixture *f, observation *w, const char *segment, const char *name)
{
    uint8_t buf[64];
    nacre_options o;
    nacre_message get = { .type = NACRE_CON, .code = NACRE_GET };
    memset(w, 0, sizeof *w);
    nacre_options_init(&o, NACRE_BUF(buf));
    nacre_options_add_uint(&o, NACRE_OPT_OBSERVE, 0);
    nacre_options_add(&o, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)segment, strlen(segment)));
    if (name != NULL) nacre_options_add(&o, NACRE_OPT_URI_PATH, nacre_bytes_of((const uint8_t *)name, strlen(name)));
    assert_int_equal(nacre_options_finish(&o, &get.options), NACRE_OK);
    const nacre_transfer_options options = { .buf = NACRE_BUF(w->buf) };
    assert_int_equal(nacre_transfer_request(nacre_loop_transfer(f->loop), &w->exchange, &f->server,
                                            nacre_directory_context(f->context), &get, &options, w),
                     NACRE_OK);
}

static void observe(const fixture *f, observation *w, const char *segment, const char *name)
{
    start_observing(f, w, segment, name);
    wait_for(f, w, 1);
}

static void changes_of_files_and_directories_are_notified(void **state)
{
    static observation file, other, list, list_with_slash;
    static char large[3000];
    const fixture *f = *state;
    observe(f, &file, "file", NULL);
    observe(f, &other, "sub", "a b");
    observe(f, &list, "sub", NULL);
    observe(f, &list_with_slash, "sub", "");
    assert_int_equal(file.first, 'o');
    assert_int_equal(list.len, list_with_slash.len);

    scratch_write(f->dir, "root/file", "new");
    while (file.first != 'n') wait_for(f, &file, file.notifications + 1);
    quiet(f);
    assert_int_equal(other.notifications, 1);
    assert_int_equal(list.notifications, 1);

    memset(large, 'L', sizeof large - 1); /* several blocks */
    scratch_write(f->dir, "root/sub/a b", large);
    while (other.first != 'L' || other.len != sizeof large - 1) wait_for(f, &other, other.notifications + 1);
    quiet(f);
    const unsigned before = file.notifications, list_before = list.notifications;
    const size_t len = list.len;

    scratch_write(f->dir, "root/sub/more", "x");
    wait_for(f, &list, list_before + 1);
    while (list.len <= len) wait_for(f, &list, list.notifications + 1);
    while (list_with_slash.len <= len) wait_for(f, &list_with_slash, list_with_slash.notifications + 1);
    assert_int_equal(file.notifications, before);

    scratch_unlink(f->dir, "root/file"); /* the observation ends with the file */
    while (!file.ended) step(f, 100);
    assert_int_equal(file.code, NACRE_NOT_FOUND);
}

/* The number of directories that the server watches. */
static unsigned num_watches(const fixture *f)
{
    char name[300], line[256];
    unsigned num = 0;
    (void)snprintf(name, sizeof name, "/proc/%d/fdinfo", (int)f->pid);
    DIR *dir = opendir(name);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        (void)snprintf(name, sizeof name, "/proc/%d/fdinfo/%.32s", (int)f->pid, entry->d_name);
        FILE *file = fopen(name, "r");
        while (file != NULL && fgets(line, sizeof line, file) != NULL) num += strncmp(line, "inotify wd:", 11) == 0;
        if (file != NULL) (void)fclose(file);
    }
    (void)closedir(dir);
    return num;
}

static void leave(const fixture *f, const observation *w)
{
    assert_int_equal(nacre_transfer_unobserve(nacre_loop_transfer(f->loop), w->exchange), NACRE_OK);
    const uint64_t end = nacre_clock_ms() + 10000;
    while (!w->ended && nacre_clock_ms() < end) step(f, 50);
    assert_true(w->ended);
}

static void writes_to_an_open_file_truncation_and_modes_are_reported(void **state)
{
    static observation file;
    const fixture *f = *state;
    observe(f, &file, "file", NULL);
    FILE *open = fopen(scratch_path(f->dir, "root/file"), "r+");
    assert_non_null(open);
    assert_true(fputs("kept open", open) >= 0 && fflush(open) == 0);
    while (file.len != 9) wait_for(f, &file, file.notifications + 1);
    assert_int_equal(ftruncate(fileno(open), 4), 0);
    while (file.len != 4) wait_for(f, &file, file.notifications + 1);
    quiet(f);
    const unsigned before = file.notifications;
    assert_int_equal(chmod(scratch_path(f->dir, "root/file"), 0600), 0);
    wait_for(f, &file, before + 1);
    (void)fclose(open);
}

static void a_renamed_parent_is_reported_to_observers_below_it(void **state)
{
    static observation file, list;
    const fixture *f = *state;
    char from[300];
    observe(f, &file, "sub", "a b");
    observe(f, &list, "sub", NULL);
    (void)snprintf(from, sizeof from, "%s", scratch_path(f->dir, "root/sub"));
    assert_int_equal(rename(from, scratch_path(f->dir, "root/gone")), 0);
    while (!file.ended || !list.ended) step(f, 100);
    assert_int_equal(file.code, NACRE_NOT_FOUND);
    assert_int_equal(list.code, NACRE_NOT_FOUND);
}

static void a_directory_that_replaces_another_is_watched(void **state)
{
    static observation file;
    const fixture *f = *state;
    char from[300], to[300];
    scratch_mkdir(f->dir, "root/new");
    scratch_write(f->dir, "root/new/a b", "2 new");
    observe(f, &file, "sub", "a b");
    (void)snprintf(from, sizeof from, "%s", scratch_path(f->dir, "root/sub"));
    (void)snprintf(to, sizeof to, "%s", scratch_path(f->dir, "root/new"));
    assert_int_equal(renameat2(AT_FDCWD, to, AT_FDCWD, from, RENAME_EXCHANGE), 0);
    while (file.first != '2') wait_for(f, &file, file.notifications + 1);
    quiet(f);
    scratch_write(f->dir, "root/sub/a b", "3 newer");
    while (file.first != '3') wait_for(f, &file, file.notifications + 1);
}

static void a_renamed_parent_of_a_parent_is_reported(void **state)
{
    static observation list;
    const fixture *f = *state;
    char from[300];
    scratch_mkdir(f->dir, "root/sub/deep");
    observe(f, &list, "sub", "deep");
    (void)snprintf(from, sizeof from, "%s", scratch_path(f->dir, "root/sub"));
    assert_int_equal(rename(from, scratch_path(f->dir, "root/gone")), 0);
    while (!list.ended) step(f, 100);
    assert_int_equal(list.code, NACRE_NOT_FOUND);
}

/* RFC 7641 4.2: with 4.06, because the Content-Format differs. */
static void a_file_that_replaces_a_directory_ends_the_observation(void **state)
{
    static observation file, list;
    const fixture *f = *state;
    char from[300], to[300];
    observe(f, &file, "file", NULL);
    observe(f, &list, "sub", NULL);
    (void)snprintf(from, sizeof from, "%s", scratch_path(f->dir, "root/sub"));
    (void)snprintf(to, sizeof to, "%s", scratch_path(f->dir, "root/file"));
    assert_int_equal(renameat2(AT_FDCWD, to, AT_FDCWD, from, RENAME_EXCHANGE), 0);
    const uint64_t end = nacre_clock_ms() + 10000;
    while ((!file.ended || !list.ended) && nacre_clock_ms() < end) step(f, 100);
    assert_true(file.ended && list.ended);
    assert_int_equal(file.code, NACRE_NOT_ACCEPTABLE);
    assert_int_equal(list.code, NACRE_NOT_ACCEPTABLE);
    observe(f, &file, "sub", NULL); /* in its present form */
    assert_int_equal(file.first, 'o');
    scratch_write(f->dir, "root/sub", "new");
    while (file.first != 'n') wait_for(f, &file, file.notifications + 1);
}

static void watches_are_released_and_observers_of_many_directories_are_notified(void **state)
{
    static observation each, last;
    const fixture *f = *state;
    char name[32], path[64];
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof name, "d%u", i);
        (void)snprintf(path, sizeof path, "root/%s", name);
        scratch_mkdir(f->dir, path);
        observe(f, &each, name, NULL);
        leave(f, &each);
    }
    assert_in_range(num_watches(f), 0, 2);
    observe(f, &last, "d299", NULL);
    assert_int_equal(num_watches(f), 2); /* the directory and the root */
    scratch_write(f->dir, "root/d299/x", "x");
    while (last.len == 0) wait_for(f, &last, last.notifications + 1);
    leave(f, &last);
    quiet(f);
    assert_int_equal(num_watches(f), 0);
}

static void a_file_that_is_written_all_the_time_does_not_flood(void **state)
{
    static observation file;
    const fixture *f = *state;
    observe(f, &file, "file", NULL);
    FILE *open = fopen(scratch_path(f->dir, "root/file"), "r+");
    assert_non_null(open);
    const uint64_t begin = nacre_clock_ms();
    for (unsigned i = 0; nacre_clock_ms() < begin + 1000; i++) {
        assert_true(fprintf(open, "%06u", i) > 0 && fflush(open) == 0 && fseek(open, 0, SEEK_SET) == 0);
        if (i % 64 == 0) step(f, 0);
    }
    assert_true(fputs("zzzzzz", open) >= 0 && fflush(open) == 0);
    while (file.first != 'z') wait_for(f, &file, file.notifications + 1); /* the last state always arrives */
    assert_false(file.ended);
    assert_in_range(file.notifications, 3, 10 + (nacre_clock_ms() - begin) / 50);
    (void)fclose(open);
}

static void a_file_with_two_names_is_served_without_observe(void **state)
{
    static observation file;
    const fixture *f = *state;
    char from[300];
    (void)snprintf(from, sizeof from, "%s", scratch_path(f->dir, "root/file"));
    assert_int_equal(link(from, scratch_path(f->dir, "root/sub/other")), 0);
    start_observing(f, &file, "file", NULL);
    while (!file.ended) step(f, 100);
    assert_int_equal(file.code, NACRE_CONTENT);
    assert_int_equal(file.notifications, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(changes_of_files_and_directories_are_notified, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_to_an_open_file_truncation_and_modes_are_reported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_renamed_parent_is_reported_to_observers_below_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_directory_that_replaces_another_is_watched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_renamed_parent_of_a_parent_is_reported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_replaces_a_directory_ends_the_observation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(watches_are_released_and_observers_of_many_directories_are_notified, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_written_all_the_time_does_not_flood, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_with_two_names_is_served_without_observe, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
