/* SPDX-License-Identifier: MIT */
/* powercut: a device with its context in a directory, a peer that keeps sending, and a disk that keeps only synced
 * data. Runs are recorded call by call; then power is cut before and after each one. Whatever the disk holds
 * afterwards, the directory loads, no number already sent is used again, no accepted request is accepted again, and a
 * fresh one is. */
#ifndef TEST_POWERCUT_H
#define TEST_POWERCUT_H

#undef _FORTIFY_SOURCE /* its inline open() would conflict with ours */
#include "disk_calls.h"

#include "sampled.h"
#include "scratch.h"
#include "support.h"

enum { MAX_NUMBERS = 1 << 16, MAX_ACCEPTED = 512, MAX_DATAGRAM = 256, NEVER = UINT32_MAX >> 1, AGES_AGO = 0 };

/* ---- The wire: datagrams, each with the number of calls made before it ------------------------------------------- */

struct wire {
    uint32_t sent_at[MAX_NUMBERS]; /* by Partial IV of the device */
    struct accepted {
        uint32_t at;
        size_t len;
        uint8_t datagram[MAX_DATAGRAM];
    } accepted[MAX_ACCEPTED];
    size_t num_accepted;
    size_t failed; /* steps of the run without effect */
};

static struct wire wire;
static nacre_context *peer, *prober; /* the prober sends after a cut, with numbers above the peer's */
static const char *violation;        /* during a run, without any cut */
static struct {
    unsigned cuts, states, faults, generations;
} counted, altogether;

static void forget_the_wire(void)
{
    for (size_t i = 0; i < MAX_NUMBERS; i++) wire.sent_at[i] = NEVER;
    wire.num_accepted = wire.failed = 0;
    violation = NULL;
}

/* After a cut that follows `calls_done` calls: later events never happened; earlier ones are long past. */
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

/* One opening of the directory. An examination adds nothing to the log: numbers must rise, and none may have been used
 * before the cut. */
struct device {
    nacre_directory *dir;
    bool examined;
    uint32_t cut;
    uint64_t above; /* examined: the next number is at least this */
    bool closed;    /* closed in order: the next opening must find this */
    bool closed_known;
    uint64_t closed_next;
    const char *wrong;
};

static void on_the_wire(struct device *d, nacre_bytes datagram)
{
    uint64_t number;
    if (!test_number(&number, datagram)) return;
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

/* How the directory is opened: in the newest layout, or in a role of the legacy one; and whether the other layout is
 * accepted too, as during a conversion. */
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
        err = nacre_protect_request(nacre_directory_context(d->dir), test_crypto(), &id, &out, NACRE_BUF(buffer), &m,
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
        err = nacre_unprotect_request(nacre_directory_context(d->dir), test_crypto(), id, &plain, NACRE_BUF(buffer),
                                      &outer);
    }
    return err;
}

/* Every third response has a number of its own, as notifications have. */
static bool respond(struct device *d, nacre_request_id *id, size_t number)
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
        err = nacre_protect_response(nacre_directory_context(d->dir), test_crypto(), id, &out, NACRE_BUF(buffer), &m,
                                     &options);
    }
    if (err == NACRE_OK) on_the_wire(d, out);
    return err == NACRE_OK;
}

/* RFC 8613 B.1.2: the device's 4.01 with Echo; gives the option for the next request. */
static bool challenge(struct device *d, nacre_context *asker, nacre_bytes request, nacre_request_id *at_device,
                      const nacre_request_id *at_asker, nacre_buf echo, nacre_bytes *echo_option)
{
    uint8_t buffer[MAX_DATAGRAM], plaintext[MAX_DATAGRAM];
    nacre_bytes out;
    nacre_message m = test_parse(request), plain;
    m.type = NACRE_ACK;
    nacre_err err = NACRE_ERR_NOT_YET;
    for (int attempt = 0; attempt < 2 && err == NACRE_ERR_NOT_YET; attempt++) {
        settle(d->dir);
        err =
            nacre_protect_echo(nacre_directory_context(d->dir), test_crypto(), at_device, &out, NACRE_BUF(buffer), &m);
    }
    if (err != NACRE_OK) return false;
    on_the_wire(d, out);
    nacre_message outer = test_parse(out);
    assert_ok(nacre_unprotect_response(asker, test_crypto(), at_asker, &plain, NULL, NACRE_BUF(plaintext), &outer));
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

/* A request of `asker`, repeated with Echo if the device challenges. */
static bool request(struct device *d, nacre_context *asker)
{
    uint8_t buffer[MAX_DATAGRAM], echo[32];
    nacre_bytes options = NACRE_ABSENT, datagram;
    nacre_request_id at_asker, at_device;
    for (int attempt = 0; attempt < 2; attempt++) {
        nacre_message m = get_request(options);
        assert_ok(nacre_protect_request(asker, test_crypto(), &at_asker, &datagram, NACRE_BUF(buffer), &m, NULL));
        nacre_err err = receive(d, datagram, &at_device);
        if (err == NACRE_OK) {
            if (!d->examined) note_accepted(datagram);
            return respond(d, &at_device, (size_t)nacre_context_next_seq(asker));
        }
        if (err != NACRE_ERR_REPLAY_ECHO ||
            !challenge(d, asker, datagram, &at_device, &at_asker, NACRE_BUF(echo), &options))
            return false;
    }
    return false;
}

/* Replays a request that was accepted before the cut. */
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
        if (d.wrong == NULL && !request(&d, prober)) d.wrong = "a fresh request was not accepted";
        replay_all(&d);
        for (int i = 0; i < (opening == 0 ? 12 : 1) && d.wrong == NULL; i++) /* crosses the end of a chunk */
            if (!send_one(&d)) d.wrong = "nothing can be sent";
        if (nacre_directory_close(d.dir, &why) != NACRE_OK) return why.text;
    }
    return d.wrong;
}

/* ---- Runs ---- */

typedef enum step_kind { OPEN, SEND, REQUEST, REPLAY, SAVE, CLOSE, KILL } step_kind;
typedef struct step {
    step_kind kind;
    int times;
} step;

/* As a killed process: only the descriptors are closed. */
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

/* Saves the state during use. */
static bool save_step(struct device *d)
{
    nacre_store store = nacre_directory_store(d->dir);
    for (int attempt = 0; attempt < 2; attempt++)
        if (nacre_store_save(&store, nacre_directory_context(d->dir), NULL) == NACRE_OK) return true;
    return false;
}

static void do_step(struct device *d, const step *s, const char *path)
{
    if (s->kind == OPEN && d->dir == NULL) open_step(d, path);
    if (d->dir == NULL) return;
    for (int i = 0; i < s->times; i++) {
        if (s->kind == SEND) wire.failed += !send_one(d);
        if (s->kind == REQUEST) wire.failed += !request(d, peer);
        if (s->kind == REPLAY) replay_all(d);
        if (s->kind == SAVE) wire.failed += !save_step(d);
    }
    if (s->kind == KILL) kill_it(d);
    if (s->kind == CLOSE) close_step(d);
}

/* Runs on top of the content of `root`, recording; leaves nothing open. */
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

struct directories {
    char *scratch;
    char root[4096], copy[4096], copy_device[4200];
    disk *fresh, *older; /* unused directories */
};
static struct directories directories;

#define SECRET "{\"secret_hex\": \"0102030405060708090a0b0c0d0e0f10\", \"salt_hex\": \"9e7ca92223786340\"}\n"
#define IDS    "{\"sender-id_hex\": \"01\", \"recipient-id_hex\": \"\"}\n"
#define OLDER_IDS                                                                                                      \
    "{\"client-sender-id_hex\": \"\", \"server-sender-id_hex\": \"01\", \"algorithm\": \"AES-CCM-16-64-128\"}\n"

static const disk *never_used(void)
{
    return role == NACRE_ROLE_NONE ? directories.fresh : directories.older;
}

static void put_fresh(void)
{
    disk_choice latest;
    disk_choose_latest(&latest);
    disk_put(never_used(), &latest, directories.root);
    forget_the_wire();
    peer->next = 0;
}

static int set_up(void **state)
{
    (void)state;
    /* Tens of thousands of small, short-lived folders: use memory. */
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    directories.scratch = scratch_make();
    snprintf(directories.root, sizeof directories.root, "%s", scratch_path(directories.scratch, "root"));
    snprintf(directories.copy, sizeof directories.copy, "%s", scratch_path(directories.scratch, "copy"));
    snprintf(directories.copy_device, sizeof directories.copy_device, "%s/device", directories.copy);
    scratch_mkdir(directories.scratch, "root");
    scratch_mkdir(directories.scratch, "copy");
    scratch_mkdir(directories.root, "device");
    scratch_write(scratch_path(directories.root, "device"), "secret.json", SECRET);
    scratch_write(scratch_path(directories.root, "device"), "settings.json", IDS);
    directories.fresh = disk_load(directories.root);
    scratch_write(scratch_path(directories.root, "device"), "settings.json", OLDER_IDS);
    directories.older = disk_load(directories.root);
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
    disk_free(directories.fresh);
    disk_free(directories.older);
    scratch_remove(directories.scratch);
    return test_release(state);
}

/* ---- Power is cut ---- */

/* Cuts power after `cut` calls of the run, on top of `disk_then`: at most about 2 * `limit` states of the disk, plus
 * that of a killed process. Returns what is wrong in one of them. */
static const char *cut_here(const disk *disk_then, size_t cut, unsigned limit, uint64_t seed)
{
    disk_choice choice;
    const char *wrong = NULL;
    counted.cuts++;
    disk_choose_latest(&choice);
    for (int kind = 0; kind < 2 && wrong == NULL; kind++) {
        while (wrong == NULL && disk_next_choice(&choice)) {
            disk_put(disk_then, &choice, directories.copy);
            wrong = examine(directories.copy_device, (uint32_t)cut);
        }
        choice = (disk_choice){ .limit = limit, .seed = seed };
    }
    return wrong;
}

/* Cuts before and after every `step`-th call of the recorded run, from call `from` on. */
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

static const int errors[] = { EIO, ENOSPC, EROFS };

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static void tell_altogether(void)
{
    printf("altogether: %u cuts, %u states of the disk opened, %u failing calls\n", altogether.cuts, altogether.states,
           altogether.faults);
}

#endif
