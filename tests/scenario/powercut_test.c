/* SPDX-License-Identifier: MIT */
/* powercut_test: a device with its context in a directory, a peer that never stops, and a disk that keeps only what it was
 * made to keep. Runs are written down call by call; then each call fails in turn, and power is cut before and after each
 * one. Whatever the disk holds afterwards, the directory loads, no number that was on the wire is used again, no request
 * that was accepted is accepted again, and a fresh one is. */
#undef _FORTIFY_SOURCE /* its inline open() would stand in the way of ours */
#include "disk_calls.h"

#include "scratch.h"
#include "support.h"

#if defined(__SANITIZE_ADDRESS__)
#define SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLOW 1
#endif
#endif
#ifndef SLOW
#define SLOW 0
#endif

enum { MAX_NUMBERS = 1 << 16, MAX_ACCEPTED = 512, MAX_DATAGRAM = 256, NEVER = UINT32_MAX >> 1, AGES_AGO = 0 };

/* ---- The wire: what went over it, and how many calls had been made by then ---- */

struct wire {
    uint32_t sent_at[MAX_NUMBERS]; /* by Partial IV of the device */
    struct accepted {
        uint32_t at;
        size_t len;
        uint8_t datagram[MAX_DATAGRAM];
    } accepted[MAX_ACCEPTED];
    size_t num_accepted;
    size_t failed; /* steps of the run that came to nothing */
};

static struct wire wire;
static nacre_context *peer, *prober; /* the prober asks after a cut, with numbers above the peer's */
static const char *violation;        /* in a run itself, without any cut */
static struct {
    unsigned cuts, states, faults, generations;
} counted, altogether;

static void forget_the_wire(void)
{
    for (size_t i = 0; i < MAX_NUMBERS; i++) wire.sent_at[i] = NEVER;
    wire.num_accepted = wire.failed = 0;
    violation = NULL;
}

/* After a cut behind `calls_done` calls: what came later never was; the rest is long past. */
static void rewind_the_wire(uint32_t calls_done)
{
    for (size_t i = 0; i < MAX_NUMBERS; i++)
        wire.sent_at[i] = wire.sent_at[i] <= calls_done ? AGES_AGO : (uint32_t)NEVER;
    size_t kept = 0;
    for (size_t i = 0; i < wire.num_accepted; i++)
        if (wire.accepted[i].at <= calls_done) wire.accepted[kept++] = wire.accepted[i];
    for (size_t i = 0; i < kept; i++) wire.accepted[i].at = AGES_AGO;
    wire.num_accepted = kept;
}

/* One opening of the directory. In an examination nothing new goes into the log: numbers must rise, and none may have
 * been used before the cut. */
struct device {
    nacre_directory *dir;
    bool examined;
    uint32_t cut;
    uint64_t above; /* examined: the next number is at least this */
    bool closed;    /* in good order: what the next opening must find */
    bool closed_known;
    uint64_t closed_next;
    const char *wrong;
};

static void on_the_wire(struct device *d, nacre_bytes datagram)
{
    nacre_oscore_option option;
    uint64_t number = 0;
    nacre_message m = test_parse(datagram);
    assert_ok(nacre_verify_start(&option, &m));
    if (nacre_is_absent(option.partial_iv)) return;
    for (size_t i = 0; i < option.partial_iv.len; i++) number = number << 8 | option.partial_iv.ptr[i];
    assert_true(number < MAX_NUMBERS);
    if (!d->examined) {
        if (wire.sent_at[number] != NEVER) violation = "a number was used twice";
        wire.sent_at[number] = (uint32_t)calls.num_ops;
        return;
    }
    if (wire.sent_at[number] <= d->cut) d->wrong = "a number is used that was on the wire before the cut";
    if (number < d->above) d->wrong = "a number is used twice after the cut";
    d->above = number + 1;
}

/* ---- What a device does ---- */

/* How the directory is opened: in the newest layout, or in a role of the older one; and whether the other way will do too,
 * as while it is converted. */
static nacre_role role;
static bool either_layout;

static nacre_err open_device(struct device *d, const char *path, nacre_detail *why)
{
    nacre_err err = nacre_directory_open_as(&d->dir, path, role, test_crypto(), why);
    if (err != NACRE_ERR_BAD_CONTEXT || !either_layout) return err;
    nacre_detail other;
    return nacre_directory_open_as(&d->dir, path, role == NACRE_ROLE_NONE ? NACRE_ROLE_SERVER : NACRE_ROLE_NONE,
                                   test_crypto(), &other);
}

static void settle(nacre_directory *dir)
{
    nacre_store store = nacre_directory_store(dir);
    nacre_needs needs = nacre_context_needs(nacre_directory_context(dir));
    if (needs.reserve != 0 || needs.window_lost) (void)!nacre_store_serve(&store, nacre_directory_context(dir), NULL);
}

static nacre_message get_request(nacre_bytes options)
{
    static const uint8_t token[] = { 0x0a, 0x0b };
    return (nacre_message){ NACRE_CON, NACRE_GET, 7, NACRE_ARRAY(token), options, NACRE_ABSENT };
}

static bool send_one(struct device *d)
{
    uint8_t buffer[MAX_DATAGRAM];
    nacre_request_id id;
    nacre_bytes out;
    nacre_message m = get_request(NACRE_ABSENT);
    nacre_err err = NACRE_ERR_NOT_YET;
    for (int attempt = 0; attempt < 2 && err == NACRE_ERR_NOT_YET; attempt++) {
        settle(d->dir);
        err = nacre_protect_request(nacre_directory_context(d->dir), test_crypto(), &id, &out, NACRE_ROOM(buffer), &m,
                                    NULL);
    }
    if (err == NACRE_OK) on_the_wire(d, out);
    return err == NACRE_OK;
}

static nacre_err receive(struct device *d, nacre_bytes datagram, nacre_request_id *id)
{
    uint8_t buffer[MAX_DATAGRAM];
    nacre_message outer = test_parse(datagram), plain;
    nacre_err err = NACRE_ERR_NOT_YET;
    for (int attempt = 0; attempt < 3 && err == NACRE_ERR_NOT_YET; attempt++) {
        if (attempt > 0) settle(d->dir);
        err = nacre_unprotect_request(nacre_directory_context(d->dir), test_crypto(), id, &plain, NACRE_ROOM(buffer),
                                      &outer);
    }
    return err;
}

/* Every third answer has a number of its own, as notifications have. */
static bool answer(struct device *d, nacre_request_id *id, size_t number)
{
    uint8_t buffer[MAX_DATAGRAM];
    nacre_bytes out;
    nacre_message m = get_request(NACRE_ABSENT);
    nacre_protect_options options = { .nonce = number % 3 == 0 ? NACRE_NONCE_NEW : NACRE_NONCE_AUTO };
    m.type = NACRE_ACK;
    m.code = NACRE_CONTENT;
    nacre_err err = NACRE_ERR_NOT_YET;
    for (int attempt = 0; attempt < 2 && err == NACRE_ERR_NOT_YET; attempt++) {
        settle(d->dir);
        err = nacre_protect_response(nacre_directory_context(d->dir), test_crypto(), id, &out, NACRE_ROOM(buffer), &m,
                                     &options);
    }
    if (err == NACRE_OK) on_the_wire(d, out);
    return err == NACRE_OK;
}

/* RFC 8613 B.1.2: the device's 4.01 with Echo; gives the option that the next request must have. */
static bool challenge(struct device *d, nacre_context *asker, nacre_bytes request, nacre_request_id *at_device,
                      const nacre_request_id *at_asker, nacre_room echo, nacre_bytes *echo_option)
{
    uint8_t buffer[MAX_DATAGRAM], plaintext[MAX_DATAGRAM];
    nacre_bytes out;
    nacre_message m = test_parse(request), plain;
    m.type = NACRE_ACK;
    nacre_err err = NACRE_ERR_NOT_YET;
    for (int attempt = 0; attempt < 2 && err == NACRE_ERR_NOT_YET; attempt++) {
        settle(d->dir);
        err =
            nacre_protect_echo(nacre_directory_context(d->dir), test_crypto(), at_device, &out, NACRE_ROOM(buffer), &m);
    }
    if (err != NACRE_OK) return false;
    on_the_wire(d, out);
    nacre_message outer = test_parse(out);
    assert_ok(nacre_unprotect_response(asker, test_crypto(), at_asker, &plain, NULL, NACRE_ROOM(plaintext), &outer));
    nacre_options o;
    nacre_options_init(&o, echo);
    nacre_options_add(&o, NACRE_OPT_ECHO, nacre_option_find(plain.options, NACRE_OPT_ECHO));
    assert_ok(nacre_options_finish(&o, echo_option));
    return true;
}

static void note_accepted(nacre_bytes datagram)
{
    assert_true(wire.num_accepted < MAX_ACCEPTED && datagram.len <= MAX_DATAGRAM);
    struct accepted *a = &wire.accepted[wire.num_accepted++];
    a->at = (uint32_t)calls.num_ops;
    a->len = datagram.len;
    memcpy(a->datagram, datagram.ptr, datagram.len);
}

/* A request of `asker`, and once more with Echo when the device wants that. */
static bool ask(struct device *d, nacre_context *asker)
{
    uint8_t buffer[MAX_DATAGRAM], echo[32];
    nacre_bytes options = NACRE_ABSENT, datagram;
    nacre_request_id at_asker, at_device;
    for (int attempt = 0; attempt < 2; attempt++) {
        nacre_message m = get_request(options);
        assert_ok(nacre_protect_request(asker, test_crypto(), &at_asker, &datagram, NACRE_ROOM(buffer), &m, NULL));
        nacre_err err = receive(d, datagram, &at_device);
        if (err == NACRE_OK) {
            if (!d->examined) note_accepted(datagram);
            return answer(d, &at_device, (size_t)nacre_context_next_seq(asker));
        }
        if (err != NACRE_ERR_REPLAY_ECHO ||
            !challenge(d, asker, datagram, &at_device, &at_asker, NACRE_ROOM(echo), &options))
            return false;
    }
    return false;
}

/* What was accepted before the cut comes again. */
static void replay_all(struct device *d)
{
    nacre_request_id id;
    for (size_t i = 0; i < wire.num_accepted; i++) {
        const struct accepted *a = &wire.accepted[i];
        if (d->examined && a->at > d->cut) continue;
        nacre_err err = receive(d, nacre_bytes_of(a->datagram, a->len), &id);
        if (err == NACRE_OK) d->wrong = "a request was accepted again";
        else if (err != NACRE_ERR_REPLAY && err != NACRE_ERR_REPLAY_ECHO && err != NACRE_ERR_NOT_YET)
            d->wrong = "a replay gave an error that it should not give";
    }
}

/* ---- After a cut ---- */

static const char *examine(const char *path, uint32_t cut)
{
    static nacre_detail why;
    struct device d = { .examined = true, .cut = cut };
    counted.states++;
    prober->next = nacre_context_next_seq(peer) + 1;
    for (int opening = 0; opening < 2 && d.wrong == NULL; opening++) { /* the second after a clean close */
        if (open_device(&d, path, &why) != NACRE_OK) return why.text;
        replay_all(&d);
        if (d.wrong == NULL && !ask(&d, prober)) d.wrong = "a fresh request was not accepted";
        replay_all(&d);
        for (int i = 0; i < (opening == 0 ? 12 : 1) && d.wrong == NULL; i++) /* over a chunk's end */
            if (!send_one(&d)) d.wrong = "nothing can be sent";
        if (nacre_directory_close(d.dir, &why) != NACRE_OK) return why.text;
    }
    return d.wrong;
}

/* ---- Runs ---- */

typedef enum step_kind { OPEN, SEND, ASK, REPLAY, CLOSE, KILL } step_kind;
typedef struct step {
    step_kind kind;
    int times;
} step;

static const step long_run[] = {
    { OPEN, 1 },   { SEND, 35 },  { ASK, 5 },   { REPLAY, 1 }, { SEND, 10 },  { CLOSE, 1 }, { OPEN, 1 },
    { REPLAY, 1 }, { ASK, 3 },    { SEND, 3 },  { CLOSE, 1 },  { OPEN, 1 },   { ASK, 40 },  { KILL, 1 },
    { OPEN, 1 },   { REPLAY, 1 }, { ASK, 2 },   { SEND, 80 },  { KILL, 1 },   { OPEN, 1 },  { SEND, 2 },
    { CLOSE, 1 },  { OPEN, 1 },   { CLOSE, 1 }, { OPEN, 1 },   { REPLAY, 1 }, { ASK, 1 },   { KILL, 1 },
    { OPEN, 1 },   { KILL, 1 },   { OPEN, 1 },  { ASK, 4 },    { REPLAY, 1 }, { CLOSE, 1 },
};
static const step short_run[] = {
    { OPEN, 1 }, { SEND, 12 }, { ASK, 2 },   { CLOSE, 1 }, { OPEN, 1 }, { ASK, 2 },    { KILL, 1 },
    { OPEN, 1 }, { ASK, 1 },   { CLOSE, 1 }, { OPEN, 1 },  { ASK, 1 },  { REPLAY, 1 }, { CLOSE, 1 },
};

/* As a killed process: descriptors go, and nothing else happens. */
static void kill_it(struct device *d)
{
    calls.dead = true;
    (void)nacre_directory_close(d->dir, NULL);
    calls.dead = false;
    d->closed = false;
    d->dir = NULL;
}

static void open_step(struct device *d, const char *path)
{
    nacre_detail why;
    for (int attempt = 0; attempt < 2 && d->dir == NULL; attempt++)
        if (open_device(d, path, &why) != NACRE_OK) assert_true(why.text[0] != '\0');
    wire.failed += d->dir == NULL;
    if (d->dir == NULL || !d->closed) return;
    const nacre_context *ctx = nacre_directory_context(d->dir);
    if (nacre_context_next_seq(ctx) != d->closed_next || nacre_context_replay(ctx)->known != d->closed_known)
        violation = "a clean close did not leave the true state";
}

static void close_step(struct device *d)
{
    nacre_detail why;
    d->closed_next = nacre_context_next_seq(nacre_directory_context(d->dir));
    d->closed_known = nacre_context_replay(nacre_directory_context(d->dir))->known;
    d->closed = nacre_directory_close(d->dir, &why) == NACRE_OK;
    d->dir = NULL;
}

static void do_step(struct device *d, const step *s, const char *path)
{
    if (s->kind == OPEN && d->dir == NULL) open_step(d, path);
    if (d->dir == NULL) return;
    for (int i = 0; i < s->times; i++) {
        if (s->kind == SEND) wire.failed += !send_one(d);
        if (s->kind == ASK) wire.failed += !ask(d, peer);
        if (s->kind == REPLAY) replay_all(d);
    }
    if (s->kind == KILL) kill_it(d);
    if (s->kind == CLOSE) close_step(d);
}

/* Runs on top of what `root` holds, writing down; ends with nothing open. */
static void run(const char *root, const step *steps, size_t num_steps)
{
    char path[4200];
    struct device d = { .dir = NULL };
    snprintf(path, sizeof path, "%s/device", root);
    for (size_t i = 0; i < num_steps; i++) do_step(&d, &steps[i], path);
    if (d.dir != NULL) kill_it(&d);
    if (d.wrong != NULL) violation = d.wrong;
    calls_end();
}

/* ---- Set-up ---- */

struct places {
    char *scratch;
    char root[4096], copy[4096], copy_device[4200];
    disk *fresh, *older; /* directories that were never used */
};
static struct places places;

#define SECRET "{\"secret_hex\": \"0102030405060708090a0b0c0d0e0f10\", \"salt_hex\": \"9e7ca92223786340\"}\n"
#define IDS    "{\"sender-id_hex\": \"01\", \"recipient-id_hex\": \"\"}\n"
#define OLDER_IDS                                                                                                      \
    "{\"client-sender-id_hex\": \"\", \"server-sender-id_hex\": \"01\", \"algorithm\": \"AES-CCM-16-64-128\"}\n"

static const disk *never_used(void)
{
    return role == NACRE_ROLE_NONE ? places.fresh : places.older;
}

static void put_fresh(void)
{
    disk_choice latest;
    disk_choose_latest(&latest);
    disk_put(never_used(), &latest, places.root);
    forget_the_wire();
    peer->next = 0;
}

static int set_up(void **state)
{
    (void)state;
    /* Tens of thousands of small folders, of which none must last: memory will do. */
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    places.scratch = scratch_make();
    snprintf(places.root, sizeof places.root, "%s", scratch_path(places.scratch, "root"));
    snprintf(places.copy, sizeof places.copy, "%s", scratch_path(places.scratch, "copy"));
    snprintf(places.copy_device, sizeof places.copy_device, "%s/device", places.copy);
    scratch_mkdir(places.scratch, "root");
    scratch_mkdir(places.scratch, "copy");
    scratch_mkdir(places.root, "device");
    scratch_write(scratch_path(places.root, "device"), "secret.json", SECRET);
    scratch_write(scratch_path(places.root, "device"), "settings.json", IDS);
    places.fresh = disk_load(places.root);
    scratch_write(scratch_path(places.root, "device"), "settings.json", OLDER_IDS);
    places.older = disk_load(places.root);
    role = NACRE_ROLE_NONE;
    either_layout = false;
    peer = test_context_of(1, TEST_CLIENT);
    prober = test_context_of(1, TEST_CLIENT);
    forget_the_wire();
    memset(&counted, 0, sizeof counted);
    return 0;
}

static int tear_down(void **state)
{
    calls_free();
    disk_free(places.fresh);
    disk_free(places.older);
    scratch_remove(places.scratch);
    return test_release(state);
}

/* ---- Power is cut ---- */

/* Cuts behind `cut` calls of the run, on top of `disk_then`: at most about 2 * `limit` states of the disk, and the one of a
 * killed process. Gives what is wrong in one of them. */
static const char *cut_here(const disk *disk_then, size_t cut, unsigned limit, uint64_t seed)
{
    disk_choice choice;
    const char *wrong = NULL;
    counted.cuts++;
    disk_choose_latest(&choice);
    for (int kind = 0; kind < 2 && wrong == NULL; kind++) {
        while (wrong == NULL && disk_next_choice(&choice)) {
            disk_put(disk_then, &choice, places.copy);
            wrong = examine(places.copy_device, (uint32_t)cut);
        }
        choice = (disk_choice){ .limit = limit, .seed = seed };
    }
    return wrong;
}

/* Cuts before and after each call of the run that is written down, from call `from` on, `step` apart. */
static const char *cut_everywhere(const disk *base, size_t from, size_t apart, unsigned limit, unsigned lies)
{
    static char text[1024];
    disk *d = disk_copy(base);
    const char *wrong = NULL;
    for (size_t cut = 0; cut <= calls.num_ops && wrong == NULL; cut++) {
        if (cut >= from && (cut - from) % apart == 0) wrong = cut_here(d, cut, limit, cut + 1);
        if (wrong != NULL) {
            snprintf(text, sizeof text, "cut behind call %zu of %zu: %.600s", cut, calls.num_ops, wrong);
            wrong = text;
        }
        if (cut < calls.num_ops) disk_apply(d, &calls.ops[cut], lies);
    }
    disk_free(d);
    return wrong;
}

static void nothing_wrong(const char *wrong)
{
    if (wrong != NULL) fail_msg("%s", wrong);
    if (violation != NULL) fail_msg("in the run itself: %s", violation);
}

static void report(const char *what)
{
    print_message("           %s: %u cuts, %u states of the disk opened, %u failing calls, %u lives\n", what,
                  counted.cuts, counted.states, counted.faults, counted.generations);
    altogether.cuts += counted.cuts;
    altogether.states += counted.states;
    altogether.faults += counted.faults;
}

static void cut_the_long_run(void)
{
    put_fresh();
    calls_begin(places.root, never_used());
    run(places.root, long_run, COUNT(long_run));
    assert_int_equal(wire.failed, 0);
    assert_true(calls.num_ops > 100 && wire.num_accepted > 50);
    nothing_wrong(cut_everywhere(never_used(), 0, 1, SLOW ? 4 : 32, DISK_HONEST));
}

static void test_power_is_cut_at_every_call(void **state)
{
    (void)state;
    cut_the_long_run();
    report("one long run");
}

static void test_power_is_cut_in_the_older_layout(void **state)
{
    (void)state;
    role = NACRE_ROLE_SERVER;
    cut_the_long_run();
    report("the older layout");
}

/* A disk that does not keep what it was told to keep must be noticed: these are the test's own tests. */
static void test_a_lying_disk_is_noticed(void **state)
{
    (void)state;
    static const struct {
        const char *name, *found;
        unsigned lies;
    } rows[] = {
        { "honest", NULL, DISK_HONEST },
        { "files are not synced", "sequence.json", DISK_NO_FILE_SYNC },
        { "files are not synced, renames are durable first", "sequence.json", DISK_NO_FILE_SYNC | DISK_RENAME_FIRST },
        { "folders are not synced", "before the cut", DISK_NO_FOLDER_SYNC },
        { "nothing is synced", "", DISK_NO_FILE_SYNC | DISK_NO_FOLDER_SYNC },
        { "honest, and renames are durable first", NULL, DISK_RENAME_FIRST },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        put_fresh();
        calls_begin(places.root, places.fresh);
        run(places.root, short_run, COUNT(short_run));
        const char *wrong = cut_everywhere(places.fresh, 0, 1, 16, rows[i].lies);
        print_message("           %s: %s\n", rows[i].name, wrong != NULL ? wrong : "nothing found");
        if (rows[i].found == NULL) assert_null(wrong);
        else {
            assert_non_null(wrong);
            assert_non_null(strstr(wrong, rows[i].found));
        }
        assert_null(violation);
    }
}

/* The window's part of it, alone: with only numbers pushed up, a folder that is not synced lets a replay in. */
static void test_a_lying_disk_lets_a_replay_in(void **state)
{
    (void)state;
    static const step only_asked[] = { { OPEN, 1 }, { ASK, 2 }, { CLOSE, 1 }, { OPEN, 1 }, { ASK, 2 } };
    put_fresh();
    calls_begin(places.root, places.fresh);
    run(places.root, only_asked, COUNT(only_asked));
    for (size_t i = 0; i < MAX_NUMBERS; i++) wire.sent_at[i] = NEVER; /* look at replays only */
    const char *wrong = cut_everywhere(places.fresh, 0, 1, 16, DISK_NO_FOLDER_SYNC);
    assert_non_null(wrong);
    assert_non_null(strstr(wrong, "accepted again"));
    assert_null(cut_everywhere(places.fresh, 0, 1, 16, DISK_HONEST));
}

/* ---- Calls fail ---- */

static const int errors[] = { EIO, ENOSPC, EROFS };

static unsigned calls_of_short_run(void)
{
    put_fresh();
    calls_begin(places.root, places.fresh);
    run(places.root, short_run, COUNT(short_run));
    nothing_wrong(NULL);
    return calls.calls;
}

/* Then the run goes on as well as it can; afterwards, and when power is cut at some of the calls behind the failing one,
 * all is as it should be. One failing call costs nothing, for all is tried twice. */
static void fail_at(unsigned at, fault_kind kind, int error)
{
    static char text[1400];
    put_fresh();
    calls_begin(places.root, places.fresh);
    calls.fault.kind = kind;
    calls.fault.at = at;
    calls.fault.error = error;
    run(places.root, short_run, COUNT(short_run));
    counted.faults += calls.fault.hit;
    if (kind != FAULT_STICKY) assert_int_equal(wire.failed, 0);
    size_t apart = SLOW ? 13 : 7, from = at % apart;
    const char *wrong = cut_everywhere(places.fresh, from, apart, 1, DISK_HONEST);
    if (wrong == NULL) return;
    snprintf(text, sizeof text, "call %u fails (kind %d) with %s, then %s", at, (int)kind, strerror(error), wrong);
    fail_msg("%s", text);
}

static void test_every_call_fails(void **state)
{
    (void)state;
    unsigned num_calls = calls_of_short_run();
    for (unsigned at = 1; at <= num_calls; at++) {
        for (size_t e = 0; e < COUNT(errors); e++)
            for (fault_kind kind = FAULT_ONCE; kind <= FAULT_STICKY; kind++) {
                fail_at(at, kind, errors[e]);
                nothing_wrong(NULL);
            }
        fail_at(at, FAULT_SHORT, 0);
        nothing_wrong(NULL);
    }
    report("failing calls");
}

/* ---- Life after life: what a cut left is used, and cut again ---- */

static void random_life(uint64_t *seed)
{
    step steps[8];
    for (size_t i = 0; i < COUNT(steps); i++) {
        uint64_t r = test_random(seed);
        static const step_kind kinds[] = { OPEN, SEND, ASK, ASK, SEND, CLOSE, KILL, REPLAY };
        steps[i] = (step){ i == 0 ? OPEN : kinds[r % COUNT(kinds)], 1 };
        if (steps[i].kind == SEND) steps[i].times = 1 + (int)(r >> 8) % 24;
        if (steps[i].kind == ASK) steps[i].times = 1 + (int)(r >> 8) % 3;
        if (steps[i].kind == KILL || steps[i].kind == CLOSE) {
            i++;
            if (i < COUNT(steps)) steps[i] = (step){ OPEN, 1 };
        }
    }
    if (test_random(seed) % 3 == 0) {
        calls.fault.kind = (fault_kind)(test_random(seed) % NUM_FAULTS);
        calls.fault.at = 1 + (unsigned)(test_random(seed) % 60);
        calls.fault.error = errors[test_random(seed) % COUNT(errors)];
    }
    run(places.root, steps, COUNT(steps));
    counted.faults += calls.fault.hit;
}

/* Cuts somewhere, by power or by killing; the folder and the disk then are what the next life starts from. */
static disk *cut_and_keep(disk *base, uint64_t *seed)
{
    disk_choice choice;
    size_t cut = (size_t)(test_random(seed) % (calls.num_ops + 1));
    bool killed = test_random(seed) % 3 == 0;
    for (size_t i = 0; i < cut; i++) disk_apply(base, &calls.ops[i], DISK_HONEST);
    disk_choose_latest(&choice);
    if (!killed) choice = (disk_choice){ .random = true, .seed = test_random(seed) };
    disk_put(base, &choice, places.root);
    rewind_the_wire((uint32_t)cut);
    counted.cuts++;
    if (killed) return base;
    disk_free(base);
    return disk_load(places.root);
}

static void test_life_after_life(void **state)
{
    (void)state;
    for (uint64_t first = 1; first <= (SLOW ? 12 : 120); first++) {
        uint64_t seed = first;
        role = first % 4 == 0 ? NACRE_ROLE_SERVER : NACRE_ROLE_NONE;
        put_fresh();
        disk *base = disk_copy(never_used());
        for (int life = 0; life < 12; life++) {
            calls_begin(places.root, base);
            random_life(&seed);
            if (violation != NULL) fail_msg("seed %d, life %d: %s", (int)first, life, violation);
            base = cut_and_keep(base, &seed);
            counted.generations++;
            disk_choice latest;
            disk_choose_latest(&latest);
            disk_put(base, &latest, places.copy);
            const char *wrong = examine(places.copy_device, AGES_AGO);
            if (wrong != NULL) fail_msg("seed %d, life %d: %s", (int)first, life, wrong);
        }
        disk_free(base);
    }
    report("life after life");
}

/* ---- From one layout to the other ---- */

/* A directory that has been used and closed; gives what the disk holds. */
static disk *used_and_closed(nacre_role first)
{
    static const step steps[] = { { OPEN, 1 }, { SEND, 12 }, { ASK, 5 }, { SEND, 3 }, { CLOSE, 1 } };
    role = first;
    either_layout = false;
    put_fresh();
    calls_begin(places.root, never_used());
    run(places.root, steps, COUNT(steps));
    nothing_wrong(NULL);
    rewind_the_wire((uint32_t)calls.num_ops);
    either_layout = true;
    return disk_load(places.root);
}

static nacre_err convert(const disk *base, fault_kind kind, unsigned at, int error)
{
    nacre_detail why;
    char path[4200];
    disk_choice latest;
    disk_choose_latest(&latest);
    disk_put(base, &latest, places.root);
    snprintf(path, sizeof path, "%s/device", places.root);
    calls_begin(places.root, base);
    calls.fault.kind = kind;
    calls.fault.at = at;
    calls.fault.error = error;
    nacre_err err = nacre_directory_convert(path, role == NACRE_ROLE_NONE ? NACRE_LAYOUT_SEED : NACRE_LAYOUT_NEWEST,
                                            NACRE_ROLE_SERVER, &why);
    calls_end();
    counted.faults += calls.fault.hit;
    return err;
}

/* Whatever fails and whenever power is cut: one of the two layouts opens, with the true state. */
static void test_conversion(void **state)
{
    (void)state;
    for (nacre_role first = NACRE_ROLE_NONE; first <= NACRE_ROLE_SERVER; first += NACRE_ROLE_SERVER) {
        disk *base = used_and_closed(first);
        assert_ok(convert(base, FAULT_NONE, 0, 0));
        unsigned num_calls = calls.calls;
        nothing_wrong(cut_everywhere(base, 0, 1, 16, DISK_HONEST));
        assert_non_null(cut_everywhere(base, 0, 1, 16, DISK_NO_FILE_SYNC | DISK_NO_FOLDER_SYNC));
        for (unsigned at = 1; at <= num_calls; at++)
            for (size_t e = 0; e < COUNT(errors); e++)
                for (fault_kind kind = FAULT_ONCE; kind <= FAULT_SHORT; kind++) {
                    (void)convert(base, kind, at, errors[e]);
                    nothing_wrong(cut_everywhere(base, at % 3, 3, 2, DISK_HONEST));
                }
        disk_free(base);
    }
    report("conversion");
}

/* ---- A new pair of directories ---- */

struct pair {
    nacre_err client_err, server_err;
};

/* Opens what is there. What opens must be complete, and both together must be able to talk. */
static struct pair open_pair(const char *root)
{
    nacre_detail why;
    nacre_directory *client = NULL, *server = NULL;
    char client_path[4200], server_path[4200];
    uint8_t buffer[MAX_DATAGRAM], plaintext[MAX_DATAGRAM];
    snprintf(client_path, sizeof client_path, "%s/client", root);
    snprintf(server_path, sizeof server_path, "%s/server", root);
    struct pair p = { nacre_directory_open(&client, client_path, test_crypto(), &why),
                      nacre_directory_open(&server, server_path, test_crypto(), &why) };
    counted.states++;
    if (client != NULL && server != NULL) {
        nacre_request_id id;
        nacre_bytes out;
        nacre_message m = get_request(NACRE_ABSENT), plain;
        struct device d = { .dir = server, .examined = true };
        settle(client);
        assert_ok(nacre_protect_request(nacre_directory_context(client), test_crypto(), &id, &out, NACRE_ROOM(buffer),
                                        &m, NULL));
        nacre_message outer = test_parse(out);
        assert_err(nacre_unprotect_request(nacre_directory_context(server), test_crypto(), &id, &plain,
                                           NACRE_ROOM(plaintext), &outer),
                   NACRE_ERR_NOT_YET);
        assert_ok(receive(&d, out, &id));
    }
    if (client == NULL) assert_true(p.client_err == NACRE_ERR_BAD_CONTEXT || p.client_err == NACRE_ERR_FILE);
    if (server == NULL) assert_true(p.server_err == NACRE_ERR_BAD_CONTEXT || p.server_err == NACRE_ERR_FILE);
    (void)nacre_directory_close(client, NULL);
    (void)nacre_directory_close(server, NULL);
    return p;
}

static nacre_err generate(fault_kind kind, unsigned at, int error)
{
    nacre_detail why;
    char client_path[4200], server_path[4200];
    snprintf(client_path, sizeof client_path, "%s/client", places.root);
    snprintf(server_path, sizeof server_path, "%s/server", places.root);
    scratch_remove(strdup(places.root));
    scratch_mkdir(places.scratch, "root");
    disk *base = disk_load(places.root);
    calls_begin(places.root, base);
    calls.fault.kind = kind;
    calls.fault.at = at;
    calls.fault.error = error;
    nacre_err err = nacre_directory_generate(client_path, server_path, NULL, &why);
    calls_end();
    disk_free(base);
    return err;
}

static void test_generate_is_cut_at_every_call(void **state)
{
    (void)state;
    unsigned one_only = 0;
    assert_ok(generate(FAULT_NONE, 0, 0));
    scratch_remove(strdup(places.copy));
    scratch_mkdir(places.scratch, "copy");
    disk *d = disk_load(places.copy);
    for (size_t cut = 0; cut <= calls.num_ops; cut++) {
        disk_choice choice = { .limit = SLOW ? 8 : 64, .seed = cut };
        counted.cuts++;
        while (disk_next_choice(&choice)) {
            disk_put(d, &choice, places.copy);
            struct pair p = open_pair(places.copy);
            one_only += (p.client_err == NACRE_OK) != (p.server_err == NACRE_OK);
            if (cut == calls.num_ops) {
                assert_ok(p.client_err);
                assert_ok(p.server_err);
            }
        }
        if (cut < calls.num_ops) disk_apply(d, &calls.ops[cut], DISK_HONEST);
    }
    disk_free(d);
    print_message("           one side complete, the other not: %u states\n", one_only);
    report("generate");
}

/* States of the disk after a power cut, at the very end, in which one of the two can be used. */
static unsigned usable_after_a_cut(void)
{
    unsigned usable = 0;
    disk_choice choice = { .limit = 8, .seed = 1 };
    scratch_remove(strdup(places.copy));
    scratch_mkdir(places.scratch, "copy");
    disk *d = disk_load(places.copy);
    for (size_t i = 0; i < calls.num_ops; i++) disk_apply(d, &calls.ops[i], DISK_HONEST);
    while (disk_next_choice(&choice)) {
        disk_put(d, &choice, places.copy);
        struct pair p = open_pair(places.copy);
        usable += p.client_err == NACRE_OK || p.server_err == NACRE_OK;
    }
    disk_free(d);
    return usable;
}

static void test_generate_with_failing_calls(void **state)
{
    (void)state;
    unsigned left = 0, back = 0;
    assert_ok(generate(FAULT_NONE, 0, 0));
    unsigned num_calls = calls.calls;
    for (unsigned at = 1; at <= num_calls; at++)
        for (size_t e = 0; e < COUNT(errors); e++)
            for (fault_kind kind = FAULT_ONCE; kind <= FAULT_SHORT; kind++) {
                nacre_err err = generate(kind, at, errors[e]);
                counted.faults += calls.fault.hit;
                struct pair p = open_pair(places.root);
                if (err == NACRE_OK) {
                    assert_ok(p.client_err);
                    assert_ok(p.server_err);
                    continue;
                }
                assert_err(err, NACRE_ERR_FILE);
                size_t there = scratch_count(places.root, "client") + scratch_count(places.root, "server");
                if (kind == FAULT_STICKY || kind == FAULT_DONE) left += there > 0;
                else if (there != 0)
                    fail_msg("call %u fails (kind %d) with %s: something is left", at, (int)kind, strerror(errors[e]));
                if (kind == FAULT_STICKY) continue; /* nothing could be taken away any more */
                assert_true(p.client_err != NACRE_OK && p.server_err != NACRE_OK);
                back += usable_after_a_cut();
            }
    print_message(
        "           something left behind, because removing failed too or what was made said it was not: %u\n", left);
    assert_int_equal(back, 0); /* what was taken away is not there again after a power cut */
    report("generate");
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_power_is_cut_at_every_call),
        ROW(test_power_is_cut_in_the_older_layout),
        ROW(test_a_lying_disk_is_noticed),
        ROW(test_a_lying_disk_lets_a_replay_in),
        ROW(test_every_call_fails),
        ROW(test_life_after_life),
        ROW(test_conversion),
        ROW(test_generate_is_cut_at_every_call),
        ROW(test_generate_with_failing_calls),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("altogether: %u cuts, %u states of the disk opened, %u failing calls\n", altogether.cuts, altogether.states,
           altogether.faults);
    return failed;
}
