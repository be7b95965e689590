/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* directory_restart_test: two peers with context directories restart hundreds of times, cleanly and not, with traffic
 * in between. No number is used twice, every request gets a response, and a restart skips at most the last chunk. Also:
 * processes that open one directory at once, or are killed while they use it. */
#include "scratch.h"
#include "support.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RESTARTS = 500, MAX_NUMBERS = 1 << 18, MAX_DATAGRAM = 256, FIRST_CHUNK = 10, MAX_CHUNK = 10000 };

/* ---- One side ---- */

struct side {
    char path[4200];
    nacre_directory *dir;
    bool used[MAX_NUMBERS]; /* by Partial IV */
    uint64_t used_below;    /* highest number sent plus one */
    uint64_t used_since;    /* first number after the last start */
    unsigned clean, killed, challenges;
    uint64_t largest_gap;
};

struct fixture {
    char *scratch;
    struct side client, server;
    uint64_t seed;
    unsigned requests;
};

static nacre_context *context_of(const struct side *s)
{
    return nacre_directory_context(s->dir);
}

static void start(struct side *s)
{
    nacre_detail why;
    if (nacre_directory_open(&s->dir, s->path, test_crypto(), &why) != NACRE_OK) fail_msg("%s", why.text);
    s->used_since = 0;
}

static void end_cleanly(struct side *s)
{
    nacre_detail why;
    if (nacre_directory_close(s->dir, &why) != NACRE_OK) fail_msg("%s", why.text);
    s->dir = NULL;
}

/* Restores the directory's present state after the close, as if the process had been killed; sometimes leaves a
 * temporary file, empty or full. */
static void end_killed(struct side *s, uint64_t *seed)
{
    char *state = scratch_state(s->path);
    end_cleanly(s);
    if (state != NULL) scratch_write(s->path, "sequence.json", state);
    else if (scratch_exists(s->path, "sequence.json")) scratch_unlink(s->path, "sequence.json");
    if (test_random(seed) % 4 == 0) scratch_write(s->path, ".sequence-abc234", test_random(seed) % 2 ? "{\"next" : "");
    free(state);
}

/* Chunk k has 10 * 2^(k-1) numbers and is requested when an eighth of the previous one is left. So a start skips at
 * most the last chunk and an eighth, and a chunk is at most 8/7 of the numbers used before it, plus 10. */
static uint64_t most_unused(uint64_t used)
{
    uint64_t chunk = (used + FIRST_CHUNK) * 8 / 7 + 1;
    if (chunk < FIRST_CHUNK) chunk = FIRST_CHUNK;
    if (chunk > MAX_CHUNK) chunk = MAX_CHUNK;
    return chunk + chunk / 8 + 1;
}

static void restart(struct side *s, bool killed, uint64_t *seed)
{
    uint64_t below = nacre_context_next_seq(context_of(s)), used = s->used_since;
    if (killed) end_killed(s, seed);
    else end_cleanly(s);
    start(s);
    s->killed += killed;
    s->clean += !killed;
    uint64_t next = nacre_context_next_seq(context_of(s));
    assert_true(next >= below);
    if (!killed) assert_int_equal(next, below);
    else assert_true(next - below <= most_unused(used));
    if (next - below > s->largest_gap) s->largest_gap = next - below;
    assert_int_equal(scratch_count(s->path, ".sequence-"), 0);
}

static void settle(struct side *s)
{
    nacre_detail why;
    nacre_store store = nacre_directory_store(s->dir);
    nacre_needs needs = nacre_context_needs(context_of(s));
    if (needs.reserve == 0 && !needs.window_lost) return;
    if (nacre_store_serve(&store, context_of(s), &why) != NACRE_OK) fail_msg("%s", why.text);
}

static void on_the_wire(struct side *s, nacre_bytes datagram)
{
    uint64_t number;
    if (!test_number(&number, datagram)) return;
    assert_true(number < MAX_NUMBERS);
    assert_false(s->used[number]); /* no nonce is used twice */
    s->used[number] = true;
    s->used_below = number + 1;
    s->used_since++;
}

/* ---- One exchange ---- */

struct exchange {
    struct side *from, *to;
    nacre_request_id at_from, at_to;
    uint8_t request[MAX_DATAGRAM], response[MAX_DATAGRAM], plain[MAX_DATAGRAM], echo[32];
    nacre_bytes datagram;
};

static void send_request(struct exchange *x, nacre_bytes options)
{
    static const uint8_t token[] = { 1, 2, 3 };
    nacre_message m = { NACRE_CON, NACRE_GET, 1, NACRE_ARRAY(token), options, NACRE_ABSENT };
    settle(x->from);
    assert_ok(nacre_protect_request(context_of(x->from), test_crypto(), &x->at_from, &x->datagram,
                                    NACRE_BUF(x->request), &m, NULL));
    on_the_wire(x->from, x->datagram);
}

static nacre_err offer(struct exchange *x)
{
    nacre_message outer = test_parse(x->datagram), plain;
    nacre_err err =
        nacre_unprotect_request(context_of(x->to), test_crypto(), &x->at_to, &plain, NACRE_BUF(x->plain), &outer);
    if (err != NACRE_ERR_NOT_YET) return err;
    settle(x->to);
    return nacre_unprotect_request(context_of(x->to), test_crypto(), &x->at_to, &plain, NACRE_BUF(x->plain), &outer);
}

static nacre_message take_response(struct exchange *x, nacre_bytes response)
{
    nacre_message outer = test_parse(response), plain;
    on_the_wire(x->to, response);
    assert_ok(nacre_unprotect_response(context_of(x->from), test_crypto(), &x->at_from, &plain, NULL,
                                       NACRE_BUF(x->plain), &outer));
    return plain;
}

static void send_response(struct exchange *x, nacre_nonce_choice nonce)
{
    nacre_bytes out;
    nacre_message m = test_parse(x->datagram);
    nacre_protect_options options = { .nonce = nonce };
    m = (nacre_message){ NACRE_ACK, NACRE_CONTENT, m.mid, m.token, NACRE_ABSENT, NACRE_STR("hello") };
    settle(x->to);
    assert_ok(nacre_protect_response(context_of(x->to), test_crypto(), &x->at_to, &out, NACRE_BUF(x->response), &m,
                                     &options));
    assert_bytes(take_response(x, out).payload, NACRE_STR("hello"));
}

/* RFC 8613 B.1.2: the options of the client's next request. */
static nacre_bytes be_challenged(struct exchange *x)
{
    nacre_bytes out, options;
    nacre_message m = test_parse(x->datagram);
    m.type = NACRE_ACK;
    settle(x->to);
    assert_ok(nacre_protect_echo(context_of(x->to), test_crypto(), &x->at_to, &out, NACRE_BUF(x->response), &m));
    nacre_message challenge = take_response(x, out);
    assert_int_equal(challenge.code, NACRE_UNAUTHORIZED);
    nacre_options o;
    nacre_options_init(&o, NACRE_BUF(x->echo));
    nacre_options_add(&o, NACRE_OPT_ECHO, nacre_option_find(challenge.options, NACRE_OPT_ECHO));
    assert_ok(nacre_options_finish(&o, &options));
    x->to->challenges++;
    return options;
}

/* A request and its response, with at most one extra round for Echo; the same request sent again is a replay. */
static void exchange(struct fixture *f, struct side *from, struct side *to)
{
    struct exchange x = { .from = from, .to = to };
    unsigned before = to->challenges;
    f->requests++;
    send_request(&x, NACRE_ABSENT);
    nacre_err err = offer(&x);
    if (err == NACRE_ERR_REPLAY_ECHO) {
        send_request(&x, be_challenged(&x));
        err = offer(&x);
    }
    assert_ok(err);
    assert_true(to->challenges <= before + 1);
    send_response(&x, test_random(&f->seed) % 4 == 0 ? NACRE_NONCE_NEW : NACRE_NONCE_AUTO);
    assert_err(offer(&x), NACRE_ERR_REPLAY);
}

/* ---- Set-up ---- */

static int set_up(void **state)
{
    nacre_detail why;
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->scratch = scratch_make();
    f->seed = 1;
    snprintf(f->client.path, sizeof f->client.path, "%s", scratch_path(f->scratch, "client"));
    snprintf(f->server.path, sizeof f->server.path, "%s", scratch_path(f->scratch, "server"));
    if (nacre_directory_generate(f->client.path, f->server.path, NULL, &why) != NACRE_OK) fail_msg("%s", why.text);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    scratch_remove(f->scratch);
    free(f);
    return test_release(state);
}

/* ---- Hundreds of restarts ---- */

static size_t some(uint64_t *seed)
{
    static const size_t numbers[] = { 0, 1, 1, 2, 3, 5, 9, 10, 11, 30, 75 };
    return numbers[test_random(seed) % COUNT(numbers)];
}

static void report(const char *name, const struct side *s)
{
    print_message("           %s: %u clean ends, %u kills, %u Echo rounds, numbers up to %llu, largest gap %llu\n",
                  name, s->clean, s->killed, s->challenges, (unsigned long long)s->used_below,
                  (unsigned long long)s->largest_gap);
}

static void restarts_use_no_number_twice(void **state)
{
    struct fixture *f = *state;
    start(&f->client);
    start(&f->server);
    for (int i = 0; i < RESTARTS; i++) { /* each restarts one side or both, then either side may send a request */
        for (size_t left = some(&f->seed); left > 0; left--) {
            bool forth = test_random(&f->seed) % 3 != 0;
            exchange(f, forth ? &f->client : &f->server, forth ? &f->server : &f->client);
        }
        uint64_t what = test_random(&f->seed);
        if (what % 3 != 0) restart(&f->client, what >> 8 & 1, &f->seed);
        if (what % 3 != 1) restart(&f->server, what >> 9 & 1, &f->seed);
    }
    exchange(f, &f->client, &f->server);
    exchange(f, &f->server, &f->client);
    end_cleanly(&f->client);
    end_cleanly(&f->server);
    assert_true(f->client.clean > 100 && f->client.killed > 100 && f->server.clean > 100 && f->server.killed > 100);
    print_message("           %u requests, all answered\n", f->requests);
    report("client", &f->client);
    report("server", &f->server);
}

/* After clean closes only, no Echo is requested and every number up to the last is used. */
static void clean_restarts_skip_no_number(void **state)
{
    struct fixture *f = *state;
    start(&f->client);
    start(&f->server);
    for (int i = 0; i < 100; i++) {
        for (size_t left = some(&f->seed); left > 0; left--) exchange(f, &f->client, &f->server);
        restart(&f->client, false, &f->seed);
        restart(&f->server, false, &f->seed);
    }
    end_cleanly(&f->client);
    end_cleanly(&f->server);
    assert_int_equal(f->server.challenges, 0);
    assert_int_equal(f->client.used_below, f->requests);
    for (uint64_t n = 0; n < f->client.used_below; n++) assert_true(f->client.used[n]);
}

/* ---- Processes ---- */

struct child {
    pid_t pid;
    int from; /* what the child reports */
    int to;   /* closed to let the child exit */
};

/* fork_child runs `work` in a process of its own; `work` does not return into the tests. */
static struct child fork_child(struct side *s, void (*work)(struct side *s, int say, int wait_for))
{
    int up[2], down[2];
    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(up[0]);
        close(down[1]);
        alarm(30);
        work(s, up[1], down[0]);
        _exit(0);
    }
    close(up[1]);
    close(down[0]);
    return (struct child){ pid, up[0], down[1] };
}

static void end_child(struct child *c, bool by_killing)
{
    int status;
    if (by_killing) kill(c->pid, SIGKILL);
    close(c->to);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    close(c->from);
    if (by_killing) assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    else assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void put_number(int fd, uint64_t number)
{
    if (write(fd, &number, sizeof number) != (ssize_t)sizeof number) _exit(1);
}

static bool get_number(int fd, uint64_t *number)
{
    return read(fd, number, sizeof *number) == (ssize_t)sizeof *number;
}

/* Opens, reports the result, holds the directory until told to exit, closes. */
static void hold(struct side *s, int say, int wait_for)
{
    nacre_detail why;
    char byte;
    nacre_err err = nacre_directory_open(&s->dir, s->path, test_crypto(), &why);
    put_number(say, (uint64_t)-err);
    if (err != NACRE_OK) return;
    if (read(wait_for, &byte, 1) != 0) _exit(1);
    if (nacre_directory_close(s->dir, NULL) != NACRE_OK) _exit(1);
}

static void a_directory_opens_in_one_process_at_a_time(void **state)
{
    struct fixture *f = *state;
    for (int by_killing = 0; by_killing <= 1; by_killing++) {
        uint64_t said = 1;
        nacre_detail why = { "" };
        nacre_directory *dir = NULL;
        char pid[32];
        struct child first = fork_child(&f->server, hold);
        assert_true(get_number(first.from, &said));
        assert_int_equal(said, 0);
        assert_err(nacre_directory_open(&dir, f->server.path, test_crypto(), &why), NACRE_ERR_LOCKED);
        assert_null(dir);
        snprintf(pid, sizeof pid, "%ld", (long)first.pid);
        if (strstr(why.text, "process ") != NULL && strstr(why.text, "another") == NULL)
            assert_non_null(strstr(why.text, pid)); /* where the system reports it */
        struct child second = fork_child(&f->server, hold);
        assert_true(get_number(second.from, &said));
        assert_int_equal(said, (uint64_t)-NACRE_ERR_LOCKED);
        end_child(&second, false);
        end_child(&first, by_killing);
        start(&f->server);
        end_cleanly(&f->server);
    }
}

/* Sends as fast as it can; reports each number before it uses the next. */
static void send_on(struct side *s, int say, int wait_for)
{
    uint8_t buffer[MAX_DATAGRAM];
    nacre_request_id id;
    nacre_bytes out;
    nacre_detail why;
    nacre_message m = { NACRE_CON, NACRE_GET, 1, NACRE_ABSENT, NACRE_ABSENT, NACRE_ABSENT };
    (void)wait_for;
    if (nacre_directory_open(&s->dir, s->path, test_crypto(), &why) != NACRE_OK) _exit(1);
    nacre_store store = nacre_directory_store(s->dir);
    for (;;) {
        uint64_t number = nacre_context_next_seq(context_of(s));
        if (nacre_context_needs(context_of(s)).reserve != 0 &&
            nacre_store_serve(&store, context_of(s), &why) != NACRE_OK)
            _exit(1);
        if (nacre_protect_request(context_of(s), test_crypto(), &id, &out, NACRE_BUF(buffer), &m, NULL) != NACRE_OK)
            _exit(1);
        put_number(say, number);
    }
}

/* A process is killed at a random moment: the numbers it used are not used again. */
static void numbers_of_a_killed_process_are_not_used_again(void **state)
{
    struct fixture *f = *state;
    uint64_t next = 0, number = 0;
    for (int i = 0; i < 40; i++) {
        struct child child = fork_child(&f->client, send_on);
        for (uint64_t left = 1 + test_random(&f->seed) % 200; left > 0; left--) {
            assert_true(get_number(child.from, &number));
            assert_true(number >= next);
            next = number + 1;
        }
        kill(child.pid, SIGKILL);
        while (get_number(child.from, &number)) { /* reported before the kill */
            assert_true(number >= next);
            next = number + 1;
        }
        end_child(&child, true);
    }
    start(&f->client);
    start(&f->server);
    assert_true(nacre_context_next_seq(context_of(&f->client)) >= next);
    exchange(f, &f->client, &f->server);
    end_cleanly(&f->client);
    end_cleanly(&f->server);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(restarts_use_no_number_twice),
        ROW(clean_restarts_skip_no_number),
        ROW(a_directory_opens_in_one_process_at_a_time),
        ROW(numbers_of_a_killed_process_are_not_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
