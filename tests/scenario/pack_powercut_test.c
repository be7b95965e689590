/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* pack_powercut_test: a server with its contexts in a pack, peers that keep sending, and a disk that keeps only synced
 * data. Power is cut after each call, and each call fails in turn. Whatever the disk holds then, the pack opens; no
 * number already sent is used again; no accepted request is accepted again, and a fresh one is; added contexts exist
 * and removed ones do not. */
#undef _FORTIFY_SOURCE /* its inline open() would conflict with ours */
#include "pack_calls.h"

#include "one_identity.h"
#include "packs.h"
#include "sampled.h"
#include "scratch.h"

enum { NUM = 6, FIRST = 3, MAX_NUMBERS = 1 << 20, MAX_ACCEPTED = 512, NEVER = UINT32_MAX >> 1, AGES_AGO = 0 };

/* ---- The log: events, each with the number of calls made before it ----------------------------------------------- */

struct accepted {
    size_t index;
    uint32_t at;
    size_t len;
    uint8_t datagram[128];
};

static struct {
    uint32_t sent_at[NUM][MAX_NUMBERS];
    uint64_t end[NUM]; /* numbers from here on were never sent */
    struct accepted accepted[MAX_ACCEPTED];
    size_t num_accepted;
    uint32_t added_at[NUM], removed_at[NUM], may_be_removed_at[NUM]; /* reported; may be sent from then on */
    unsigned failed;
} wire;

static nacre_context *peers[NUM], *probers[NUM];
static const char *violation;
static char *scratch, path[4096], copy[4096];
static nacre_bytes fresh; /* the pack of FIRST contexts, never used */
static struct {
    unsigned cuts, states, faults;
} counted;

static struct { /* examining: nothing is added to the log */
    bool on;
    uint32_t cut;
    uint64_t above[NUM];
    const char *wrong;
} exam;

static void describe(nacre_directory_info *info, size_t index)
{
    pack_describe(info, index);
    if (index == 4) info->secret_len = 200; /* needs a segment of its own */
}

static nacre_err source(void *user, nacre_directory_info *info, size_t index, nacre_detail *why)
{
    (void)why;
    describe(info, *(const size_t *)user + index);
    return NACRE_OK;
}

static size_t index_of(const nacre_context *ctx)
{
    return nacre_context_recipient_id(ctx).ptr[0];
}

static void on_number(const nacre_context *ctx, uint64_t number)
{
    size_t i = index_of(ctx);
    assert_true(i < NUM && number < MAX_NUMBERS);
    if (!exam.on) {
        if (wire.sent_at[i][number] != NEVER) violation = "a number was used twice";
        wire.sent_at[i][number] = (uint32_t)calls.num_ops;
        if (number >= wire.end[i]) wire.end[i] = number + 1;
        return;
    }
    if (wire.sent_at[i][number] <= exam.cut) exam.wrong = "a number is used that was on the wire before the cut";
    if (number < exam.above[i]) exam.wrong = "a number is used twice after the cut";
    exam.above[i] = number + 1;
}

static void forget_the_wire(void)
{
    static bool begun;
    wire.num_accepted = wire.failed = 0;
    for (size_t i = 0; i < NUM; i++) {
        for (size_t n = 0; n < (begun ? wire.end[i] : MAX_NUMBERS); n++) wire.sent_at[i][n] = NEVER;
        wire.end[i] = 0;
        wire.added_at[i] = i < FIRST ? AGES_AGO : (uint32_t)NEVER;
        wire.removed_at[i] = wire.may_be_removed_at[i] = NEVER;
    }
    begun = true;
    violation = NULL;
}

/* A cut after that call: later events never happened, earlier ones are long past. */
static void rewind_one(uint32_t *at, uint32_t cut)
{
    *at = *at <= cut ? AGES_AGO : (uint32_t)NEVER;
}

static void rewind_the_wire(uint32_t cut)
{
    size_t kept = 0;
    for (size_t i = 0; i < NUM; i++) {
        for (size_t n = 0; n < wire.end[i]; n++)
            if (wire.sent_at[i][n] != NEVER) rewind_one(&wire.sent_at[i][n], cut);
        rewind_one(&wire.added_at[i], cut);
        rewind_one(&wire.removed_at[i], cut);
        rewind_one(&wire.may_be_removed_at[i], cut);
    }
    for (size_t i = 0; i < wire.num_accepted; i++)
        if (wire.accepted[i].at <= cut) {
            wire.accepted[kept] = wire.accepted[i];
            wire.accepted[kept++].at = AGES_AGO;
        }
    wire.num_accepted = kept;
}

/* ---- What a server does ---- */

static nacre_context *find(nacre_pack *pack, size_t index)
{
    for (size_t i = 0; i < nacre_pack_num(pack); i++) {
        nacre_context *ctx = nacre_pack_context_at(pack, i);
        if (ctx != NULL && index_of(ctx) == index) return ctx;
    }
    return NULL;
}

static bool request(nacre_pack *pack, size_t index, nacre_context *asker)
{
    nacre_context *ctx = find(pack, index);
    if (ctx == NULL) return false;
    nacre_store store = nacre_pack_store(pack, ctx);
    nacre_err err = pack_request_one(asker, ctx, &store, NULL);
    if (err != NACRE_OK || exam.on) return err == NACRE_OK;
    assert_true(wire.num_accepted < MAX_ACCEPTED);
    struct accepted *a = &wire.accepted[wire.num_accepted++];
    nacre_bytes datagram = pack_last_request();
    assert_true(datagram.len <= sizeof a->datagram);
    *a = (struct accepted){ index, (uint32_t)calls.num_ops, datagram.len, { 0 } };
    memcpy(a->datagram, datagram.ptr, datagram.len);
    return true;
}

static bool send_one(nacre_pack *pack, size_t index)
{
    nacre_context *ctx = find(pack, index);
    if (ctx == NULL) return false;
    nacre_store store = nacre_pack_store(pack, ctx);
    return pack_try_to_send(ctx, &store) == NACRE_OK;
}

static const char *replay_all(nacre_pack *pack)
{
    for (size_t i = 0; i < wire.num_accepted; i++) {
        const struct accepted *a = &wire.accepted[i];
        nacre_context *ctx = find(pack, a->index);
        if (ctx == NULL || (exam.on && a->at > exam.cut)) continue;
        nacre_store store = nacre_pack_store(pack, ctx);
        nacre_err err = pack_replay(ctx, &store, nacre_bytes_of(a->datagram, a->len));
        if (err == NACRE_OK) return "a request was accepted again";
        if (err != NACRE_ERR_REPLAY && err != NACRE_ERR_REPLAY_ECHO && err != NACRE_ERR_NOT_YET)
            return "a replay gave an error that it should not give";
    }
    return NULL;
}

/* Every context present sends a request; one commit serves them all. */
static bool group(nacre_pack *pack)
{
    bool ok = true;
    for (size_t i = 0; i < nacre_pack_num(pack); i++) {
        nacre_context *ctx = nacre_pack_context_at(pack, i);
        if (ctx == NULL) continue;
        nacre_err err = nacre_pack_request(pack, ctx, NULL);
        ok = ok && (err == NACRE_OK || err == NACRE_ERR_NOT_YET);
    }
    return nacre_pack_commit(pack, NULL, NULL, NULL) == NACRE_OK && ok;
}

static bool add(nacre_pack *pack, size_t index)
{
    if (find(pack, index) != NULL || wire.may_be_removed_at[index] != NEVER) return true;
    if (nacre_pack_add(pack, NULL, 1, source, &index, NULL) != NACRE_OK) return false;
    wire.added_at[index] = (uint32_t)calls.num_ops;
    return true;
}

static bool remove_one(nacre_pack *pack, size_t index)
{
    nacre_context *ctx = find(pack, index);
    if (ctx == NULL) return true;
    if (wire.may_be_removed_at[index] == NEVER) wire.may_be_removed_at[index] = (uint32_t)calls.num_ops;
    nacre_err err = nacre_pack_remove(pack, ctx, NULL);
    if (find(pack, index) == NULL) wire.removed_at[index] = (uint32_t)calls.num_ops;
    return err == NACRE_OK || find(pack, index) == NULL;
}

/* ---- After a cut ---- */

static const char *examine_one(nacre_pack *pack, size_t i)
{
    bool there = find(pack, i) != NULL;
    if (there && wire.removed_at[i] <= exam.cut) return "what was removed is there again";
    if (!there && wire.added_at[i] <= exam.cut && wire.may_be_removed_at[i] > exam.cut) return "what was added is gone";
    if (!there) return NULL;
    probers[i]->next = nacre_context_next_seq(peers[i]) + 1000;
    if (nacre_context_next_seq(probers[i]) < 1000) return "the prober has no numbers";
    for (int n = 0; n < 2; n++)
        if (!request(pack, i, probers[i])) return "a fresh request was not accepted";
    peers[i]->next = nacre_context_next_seq(probers[i]);
    for (int n = 0; n < 12; n++)
        if (!send_one(pack, i)) return "nothing can be sent";
    return exam.wrong;
}

static const char *examine(const char *file, uint32_t cut)
{
    static nacre_detail why;
    const char *wrong = NULL;
    counted.states++;
    memset(&exam, 0, sizeof exam);
    exam.on = true;
    exam.cut = cut;
    uint64_t next[NUM];
    for (size_t i = 0; i < NUM; i++) next[i] = peers[i]->next;
    for (int opening = 0; opening < 2 && wrong == NULL; opening++) {
        nacre_pack *pack;
        if (nacre_pack_open(&pack, file, test_crypto(), &why) != NACRE_OK) {
            wrong = why.text;
            break;
        }
        wrong = replay_all(pack);
        for (size_t i = 0; i < NUM && wrong == NULL; i++) wrong = examine_one(pack, i);
        if (wrong == NULL) wrong = replay_all(pack);
        if (nacre_pack_close(pack, &why) != NACRE_OK) wrong = why.text;
    }
    for (size_t i = 0; i < NUM; i++) peers[i]->next = next[i];
    exam.on = false;
    return wrong;
}

/* ---- Runs ---- */

typedef enum step_kind { OPEN, SEND, REQUEST, GROUP, REPLAY, ADD, REMOVE, CLOSE, KILL, NUM_STEPS } step_kind;
typedef struct step {
    step_kind kind;
    size_t index;
    int times;
} step;

static const step long_run[] = {
    { OPEN, 0, 1 },    { SEND, 0, 25 },  { REQUEST, 0, 3 }, { REQUEST, 1, 2 }, { GROUP, 0, 2 },  { REPLAY, 0, 1 },
    { CLOSE, 0, 1 },   { OPEN, 0, 1 },   { REQUEST, 0, 2 }, { REQUEST, 2, 1 }, { SEND, 1, 12 },  { ADD, 3, 1 },
    { REQUEST, 3, 2 }, { SEND, 3, 12 },  { KILL, 0, 1 },    { OPEN, 0, 1 },    { REPLAY, 0, 1 }, { REQUEST, 3, 2 },
    { REMOVE, 1, 1 },  { GROUP, 0, 3 },  { SEND, 2, 30 },   { KILL, 0, 1 },    { OPEN, 0, 1 },   { ADD, 4, 1 },
    { REQUEST, 4, 2 }, { ADD, 5, 1 },    { SEND, 5, 11 },   { CLOSE, 0, 1 },   { OPEN, 0, 1 },   { REPLAY, 0, 1 },
    { REQUEST, 0, 1 }, { REMOVE, 4, 1 }, { KILL, 0, 1 },    { OPEN, 0, 1 },    { CLOSE, 0, 1 },
};
static const step short_run[] = {
    { OPEN, 0, 1 },   { SEND, 0, 12 },   { REQUEST, 1, 2 }, { ADD, 3, 1 },     { GROUP, 0, 1 }, { ADD, 4, 1 },
    { REMOVE, 1, 1 }, { CLOSE, 0, 1 },   { OPEN, 0, 1 },    { REQUEST, 0, 1 }, { SEND, 4, 2 },  { KILL, 0, 1 },
    { OPEN, 0, 1 },   { REQUEST, 3, 2 }, { REPLAY, 0, 1 },  { CLOSE, 0, 1 },
};

/* As a killed process: only the descriptor is closed. */
static void kill_it(nacre_pack **pack)
{
    calls.dead = true;
    (void)nacre_pack_close(*pack, NULL);
    calls.dead = false;
    *pack = NULL;
}

static void open_step(nacre_pack **pack)
{
    nacre_detail why = { "" };
    for (int attempt = 0; attempt < 2 && *pack == NULL; attempt++)
        if (nacre_pack_open(pack, path, test_crypto(), &why) != NACRE_OK) assert_true(why.text[0] != '\0');
    wire.failed += *pack == NULL;
}

static bool once(nacre_pack *pack, const step *s)
{
    switch (s->kind) {
    case SEND: return send_one(pack, s->index) || find(pack, s->index) == NULL;
    case REQUEST: return request(pack, s->index, peers[s->index]) || find(pack, s->index) == NULL;
    case GROUP: return group(pack);
    case ADD: return add(pack, s->index);
    case REMOVE: return remove_one(pack, s->index);
    default: return true;
    }
}

/* One failing call loses nothing: each operation is tried twice. */
static bool do_once(nacre_pack *pack, const step *s)
{
    const char *wrong = s->kind == REPLAY ? replay_all(pack) : NULL;
    if (wrong != NULL) violation = wrong;
    if (once(pack, s)) return true;
    return once(pack, s);
}

static void run(const step *steps, size_t num_steps)
{
    nacre_pack *pack = NULL;
    for (size_t i = 0; i < num_steps; i++) {
        if (steps[i].kind == OPEN && pack == NULL) open_step(&pack);
        if (pack == NULL) continue;
        for (int n = 0; n < steps[i].times; n++) wire.failed += !do_once(pack, &steps[i]);
        if (steps[i].kind == KILL) kill_it(&pack);
        if (steps[i].kind != CLOSE) continue;
        (void)nacre_pack_close(pack, NULL);
        pack = NULL;
    }
    if (pack != NULL) kill_it(&pack);
    calls.on = false;
}

static void put_fresh(void)
{
    pack_put_file(path, fresh);
    forget_the_wire();
    for (size_t i = 0; i < NUM; i++) peers[i]->next = 0;
}

/* ---- Power is cut ---- */

static void start_disk(call_disk *d, nacre_bytes base)
{
    memset(d, 0, sizeof *d);
    memcpy(d->durable, base.ptr, base.len);
    d->len = base.len;
}

/* `pick` chooses the fate of each unsynced write. */
static const char *one_state(const call_disk *d, size_t cut, call_fate (*pick)(size_t i, size_t num, uint64_t *seed),
                             uint64_t *seed)
{
    static uint8_t bytes[CALL_MAX_FILE];
    size_t len = d->len;
    memcpy(bytes, d->durable, d->len);
    memset(bytes + d->len, 0, sizeof bytes - d->len);
    for (size_t i = 0; i < d->num_open; i++) call_fall(bytes, &len, d->open[i], pick(i, d->num_open, seed));
    call_write_file(copy, bytes, len);
    return examine(copy, (uint32_t)cut);
}

static call_fate nothing(size_t i, size_t num, uint64_t *seed)
{
    (void)i, (void)num, (void)seed;
    return FATE_NOTHING;
}
static call_fate all(size_t i, size_t num, uint64_t *seed)
{
    (void)i, (void)num, (void)seed;
    return FATE_ALL;
}
static call_fate rubbish_last(size_t i, size_t num, uint64_t *seed)
{
    (void)seed;
    return i + 1 == num ? FATE_RUBBISH : FATE_ALL;
}
static call_fate torn_last(size_t i, size_t num, uint64_t *seed)
{
    return i + 1 == num ? (call_fate)(FATE_FIRST_HALF + *seed % 2) : FATE_ALL;
}
static call_fate any(size_t i, size_t num, uint64_t *seed)
{
    (void)i, (void)num;
    return (call_fate)(test_random(seed) % NUM_FATES);
}

static const char *cut_here(const call_disk *d, size_t cut, unsigned more)
{
    uint64_t seed = cut + 1;
    counted.cuts++;
    const char *wrong = one_state(d, cut, all, &seed);
    if (d->num_open == 0) return wrong;
    if (wrong == NULL) wrong = one_state(d, cut, nothing, &seed);
    if (wrong == NULL) wrong = one_state(d, cut, rubbish_last, &seed);
    if (wrong == NULL) wrong = one_state(d, cut, torn_last, &seed);
    for (unsigned i = 0; i < more && wrong == NULL; i++) wrong = one_state(d, cut, any, &seed);
    return wrong;
}

static const char *cut_everywhere(size_t from, size_t apart, unsigned more)
{
    static call_disk d;
    static char text[1024];
    const char *wrong = NULL;
    start_disk(&d, fresh);
    for (size_t cut = 0; cut <= calls.num_ops && wrong == NULL; cut++) {
        if (cut >= from && (cut - from) % apart == 0) wrong = cut_here(&d, cut, more);
        if (wrong != NULL) snprintf(text, sizeof text, "cut behind call %zu of %zu: %.600s", cut, calls.num_ops, wrong);
        if (cut < calls.num_ops) call_apply(&d, &calls.ops[cut]);
    }
    return wrong != NULL ? text : NULL;
}

static void nothing_wrong(const char *wrong)
{
    if (wrong != NULL) fail_msg("%s", wrong);
    if (violation != NULL) fail_msg("in the run itself: %s", violation);
}

static void report(const char *what)
{
    print_message("           %s: %u cuts, %u states of the disk opened, %u failing calls\n", what, counted.cuts,
                  counted.states, counted.faults);
}

static void a_power_cut_at_any_call_leaves_a_correct_pack(void **state)
{
    (void)state;
    put_fresh();
    calls_begin(path);
    run(long_run, COUNT(long_run));
    assert_int_equal(wire.failed, 0);
    assert_true(calls.num_ops > 60 && wire.num_accepted > 12);
    nothing_wrong(cut_everywhere(0, 1, SAMPLED ? 2 : 12));
    report("one long run");
}

/* Test of the test: a disk that ignores syncs must be detected. */
static void a_disk_that_ignores_syncs_is_detected(void **state)
{
    (void)state;
    put_fresh();
    calls_begin(path);
    run(short_run, COUNT(short_run));
    assert_int_equal(wire.failed, 0);
    assert_null(cut_everywhere(0, 1, 4));
    size_t kept = 0;
    for (size_t i = 0; i < calls.num_ops; i++) /* syncs have no effect */
        if (calls.ops[i].kind == OP_WRITE) calls.ops[kept++] = calls.ops[i];
    for (size_t i = 0; i < NUM; i++) /* with fewer calls the recorded times would be off: all events count as past */
        for (size_t n = 0; n < wire.end[i]; n++)
            if (wire.sent_at[i][n] != NEVER) wire.sent_at[i][n] = (uint32_t)kept;
    calls.num_ops = kept;
    const char *wrong = cut_everywhere(kept, 1, 8);
    assert_non_null(wrong);
    print_message("           nothing is synced: %s\n", wrong);
}

/* ---- Calls fail ---- */

static void fail_at(unsigned at, call_fault kind, int error)
{
    static char text[1400];
    put_fresh();
    calls_begin(path);
    calls.fault.kind = kind;
    calls.fault.at = at;
    calls.fault.error = error;
    run(short_run, COUNT(short_run));
    counted.faults += calls.fault.hit;
    size_t apart = SAMPLED ? 37 : 5;
    const char *wrong = cut_everywhere(at % apart, apart, 1);
    if (wrong == NULL && violation == NULL) return;
    snprintf(text, sizeof text, "call %u fails (kind %d) with %s, then %s", at, (int)kind, strerror(error),
             wrong != NULL ? wrong : violation);
    fail_msg("%s", text);
}

static void any_failing_call_leaves_a_correct_pack(void **state)
{
    (void)state;
    put_fresh();
    calls_begin(path);
    run(short_run, COUNT(short_run));
    unsigned num_calls = calls.calls;
    for (unsigned at = 1; at <= num_calls; at++)
        for (call_fault kind = CALL_ONCE; kind < NUM_CALL_FAULTS; kind++) fail_at(at, kind, at % 2 ? EIO : ENOSPC);
    report("failing calls");
}

/* ---- Life after life: each continues from the state that a cut left, and is cut again ---------------------------- */

static void random_life(uint64_t *seed)
{
    step steps[8];
    for (size_t i = 0; i < COUNT(steps); i++) {
        uint64_t r = test_random(seed);
        steps[i] = (step){ i == 0 ? OPEN : (step_kind)(r % NUM_STEPS), (size_t)(r >> 8) % NUM, 1 };
        if (steps[i].kind == SEND) steps[i].times = 1 + (int)(r >> 16) % 24;
        if (steps[i].kind == REMOVE && (r >> 16) % 4 != 0) steps[i].kind = REQUEST;
    }
    if (test_random(seed) % 3 == 0) {
        calls.fault.kind = (call_fault)(test_random(seed) % NUM_CALL_FAULTS);
        calls.fault.at = 1 + (unsigned)(test_random(seed) % 60);
        calls.fault.error = EIO;
    }
    run(steps, COUNT(steps));
    counted.faults += calls.fault.hit;
}

static void repeated_power_cuts_leave_a_correct_pack(void **state)
{
    (void)state;
    static call_disk d;
    static uint8_t bytes[CALL_MAX_FILE];
    for (uint64_t first = 1; first <= (SAMPLED ? 6 : 200); first++) {
        uint64_t seed = first;
        put_fresh();
        nacre_bytes base = fresh;
        for (int life = 0; life < 8; life++) {
            calls_begin(path);
            random_life(&seed);
            if (violation != NULL) fail_msg("seed %d, life %d: %s", (int)first, life, violation);
            size_t cut = (size_t)(test_random(&seed) % (calls.num_ops + 1)), len;
            start_disk(&d, base);
            for (size_t i = 0; i < cut; i++) call_apply(&d, &calls.ops[i]);
            len = d.len;
            memcpy(bytes, d.durable, sizeof bytes);
            memset(bytes + len, 0, sizeof bytes - len);
            for (size_t i = 0; i < d.num_open; i++) call_fall(bytes, &len, d.open[i], any(i, d.num_open, &seed));
            rewind_the_wire((uint32_t)cut);
            counted.cuts++;
            base = test_copy(nacre_bytes_of(bytes, len));
            pack_put_file(path, base);
            pack_put_file(copy, base);
            const char *wrong = examine(copy, AGES_AGO);
            if (wrong != NULL) fail_msg("seed %d, life %d: %s", (int)first, life, wrong);
        }
    }
    report("life after life");
}

static int set_up(void **state)
{
    (void)state;
    size_t first = 0;
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.pack"));
    strcpy(copy, scratch_path(scratch, "copy.pack"));
    pack_on_number = NULL;
    pack_make(path, 0);
    nacre_pack *pack = pack_open(path);
    assert_ok(nacre_pack_add(pack, NULL, FIRST, source, &first, NULL));
    pack_close(pack);
    fresh = pack_file(path);
    for (size_t i = 0; i < NUM; i++) {
        nacre_directory_info info;
        describe(&info, i);
        peers[i] = pack_peer(&info);
        probers[i] = pack_peer(&info);
    }
    pack_on_number = on_number;
    memset(&counted, 0, sizeof counted);
    return 0;
}

static int tear_down(void **state)
{
    pack_on_number = NULL;
    calls_begin("");
    calls.on = false;
    scratch_remove(scratch);
    return test_release(state);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_power_cut_at_any_call_leaves_a_correct_pack),
        ROW(a_disk_that_ignores_syncs_is_detected),
        ROW(any_failing_call_leaves_a_correct_pack),
        ROW(repeated_power_cuts_leave_a_correct_pack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
