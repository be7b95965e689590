/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* powercut_test: power is cut at every call of a life, and each call fails in turn; a disk that ignores syncs is
 * detected. */
#include "powercut.h"

static const step long_run[] = {
    { OPEN, 1 },    { SEND, 35 },   { REQUEST, 5 }, { REPLAY, 1 },  { SEND, 10 },   { CLOSE, 1 },    { OPEN, 1 },
    { REPLAY, 1 },  { REQUEST, 3 }, { SEND, 3 },    { CLOSE, 1 },   { OPEN, 1 },    { REQUEST, 40 }, { KILL, 1 },
    { OPEN, 1 },    { REPLAY, 1 },  { REQUEST, 2 }, { SEND, 80 },   { KILL, 1 },    { OPEN, 1 },     { SEND, 2 },
    { CLOSE, 1 },   { OPEN, 1 },    { CLOSE, 1 },   { OPEN, 1 },    { REPLAY, 1 },  { REQUEST, 1 },  { KILL, 1 },
    { OPEN, 1 },    { KILL, 1 },    { OPEN, 1 },    { REQUEST, 4 }, { REPLAY, 1 },  { CLOSE, 1 },    { OPEN, 1 },
    { SEND, 4 },    { REQUEST, 2 }, { SAVE, 1 },    { SEND, 3 },    { REQUEST, 2 }, { SAVE, 1 },     { SAVE, 1 },
    { REQUEST, 1 }, { REPLAY, 1 },  { KILL, 1 },
};
static const step short_run[] = {
    { OPEN, 1 },  { SEND, 12 }, { REQUEST, 2 }, { CLOSE, 1 },  { OPEN, 1 },    { REQUEST, 2 },
    { KILL, 1 },  { OPEN, 1 },  { REQUEST, 1 }, { SAVE, 1 },   { REQUEST, 1 }, { SEND, 1 },
    { CLOSE, 1 }, { OPEN, 1 },  { REQUEST, 1 }, { REPLAY, 1 }, { CLOSE, 1 },
};

static void cut_the_long_run(void)
{
    put_fresh();
    calls_begin(directories.root, never_used());
    run(directories.root, long_run, COUNT(long_run));
    assert_int_equal(wire.failed, 0);
    assert_true(calls.num_ops > 100 && wire.num_accepted > 50);
    nothing_wrong(cut_everywhere(never_used(), 0, 1, SAMPLED ? 4 : 32, DISK_HONEST));
}

static void a_power_cut_at_any_call_leaves_a_correct_state(void **state)
{
    (void)state;
    cut_the_long_run();
    report("one long run");
}

static void a_power_cut_in_the_legacy_layout_leaves_a_correct_state(void **state)
{
    (void)state;
    role = NACRE_ROLE_SERVER;
    cut_the_long_run();
    report("the legacy layout");
}

/* Tests of the test: a disk that ignores syncs must be detected. */
static void a_disk_that_ignores_syncs_is_detected(void **state)
{
    (void)state;
    static const struct {
        const char *name, *found;
        unsigned lies;
    } rows[] = {
        { "honest", NULL, DISK_HONEST },
        { "files are not synced", "sequence.json", DISK_NO_FILE_SYNC },
        { "files are not synced, renames are durable first", "sequence.json", DISK_NO_FILE_SYNC | DISK_RENAME_FIRST },
        { "folders are not synced", "before the cut", DISK_NO_DIR_SYNC },
        { "nothing is synced", "", DISK_NO_FILE_SYNC | DISK_NO_DIR_SYNC },
        { "honest, and renames are durable first", NULL, DISK_RENAME_FIRST },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        put_fresh();
        calls_begin(directories.root, directories.fresh);
        run(directories.root, short_run, COUNT(short_run));
        const char *wrong = cut_everywhere(directories.fresh, 0, 1, 16, rows[i].lies);
        print_message("           %s: %s\n", rows[i].name, wrong != NULL ? wrong : "nothing found");
        if (rows[i].found == NULL) assert_null(wrong);
        else {
            assert_non_null(wrong);
            assert_non_null(strstr(wrong, rows[i].found));
        }
        assert_null(violation);
    }
}

/* The window alone: an unsynced folder brings the old state back, which would accept a replay if DIR/lock had not
 * counted further. */
static void an_unsynced_directory_brings_an_old_window_back(void **state)
{
    (void)state;
    static const step only_requested[] = { { OPEN, 1 }, { REQUEST, 2 }, { CLOSE, 1 }, { OPEN, 1 }, { REQUEST, 2 } };
    put_fresh();
    calls_begin(directories.root, directories.fresh);
    run(directories.root, only_requested, COUNT(only_requested));
    for (size_t i = 0; i < MAX_NUMBERS; i++) wire.sent_at[i] = NEVER; /* check replays only */
    const char *wrong = cut_everywhere(directories.fresh, 0, 1, 16, DISK_NO_DIR_SYNC);
    assert_non_null(wrong);
    assert_non_null(strstr(wrong, "put back"));
    assert_null(cut_everywhere(directories.fresh, 0, 1, 16, DISK_HONEST));
}

/* ---- Calls fail ---- */

static unsigned calls_of_short_run(void)
{
    put_fresh();
    calls_begin(directories.root, directories.fresh);
    run(directories.root, short_run, COUNT(short_run));
    nothing_wrong(NULL);
    return calls.calls;
}

/* After the failure the run continues as far as it can. Afterwards, and when power is cut at some of the calls that
 * follow the failing one, the state is correct. One failing call loses nothing: each operation is tried twice. */
static void fail_at(unsigned at, fault_kind kind, int error)
{
    static char text[1400];
    put_fresh();
    calls_begin(directories.root, directories.fresh);
    calls.fault.kind = kind;
    calls.fault.at = at;
    calls.fault.error = error;
    run(directories.root, short_run, COUNT(short_run));
    counted.faults += calls.fault.hit;
    if (kind != FAULT_STICKY) assert_int_equal(wire.failed, 0);
    size_t apart = SAMPLED ? 26 : 14, from = at % apart;
    const char *wrong = cut_everywhere(directories.fresh, from, apart, 1, DISK_HONEST);
    if (wrong == NULL) return;
    snprintf(text, sizeof text, "call %u fails (kind %d) with %s, then %s", at, (int)kind, strerror(error), wrong);
    fail_msg("%s", text);
}

static void any_failing_call_leaves_a_correct_state(void **state)
{
    (void)state;
    unsigned num_calls = calls_of_short_run();
    for (unsigned at = 1; at <= num_calls; at++) {
        for (size_t e = SAMPLED_FIRST(at, COUNT(errors)); e < COUNT(errors); e += SAMPLED_STEP(COUNT(errors)))
            for (fault_kind kind = FAULT_ONCE; kind <= FAULT_STICKY; kind++) {
                fail_at(at, kind, errors[e]);
                nothing_wrong(NULL);
            }
        fail_at(at, FAULT_SHORT, 0);
        nothing_wrong(NULL);
    }
    report("failing calls");
}

/* ---- Life after life: each continues from the state that a cut left, and is cut again ---------------------------- */

static void random_life(uint64_t *seed)
{
    step steps[8];
    for (size_t i = 0; i < COUNT(steps); i++) {
        uint64_t r = test_random(seed);
        static const step_kind kinds[] = { OPEN, SEND, REQUEST, REQUEST, SEND, CLOSE, KILL, REPLAY, SAVE };
        steps[i] = (step){ i == 0 ? OPEN : kinds[r % COUNT(kinds)], 1 };
        if (steps[i].kind == SEND) steps[i].times = 1 + (int)(r >> 8) % 24;
        if (steps[i].kind == REQUEST) steps[i].times = 1 + (int)(r >> 8) % 3;
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
    run(directories.root, steps, COUNT(steps));
    counted.faults += calls.fault.hit;
}

/* Cuts power or kills at some call; the next life starts from the folder and the disk as they are then. */
static disk *cut_and_keep(disk *base, uint64_t *seed)
{
    disk_choice choice;
    size_t cut = (size_t)(test_random(seed) % (calls.num_ops + 1));
    bool killed = test_random(seed) % 3 == 0;
    for (size_t i = 0; i < cut; i++) disk_apply(base, &calls.ops[i], DISK_HONEST);
    disk_choose_latest(&choice);
    if (!killed) choice = (disk_choice){ .random = true, .seed = test_random(seed) };
    disk_put(base, &choice, directories.root);
    rewind_the_wire((uint32_t)cut);
    counted.cuts++;
    if (killed) return base;
    disk_free(base);
    return disk_load(directories.root);
}

static void repeated_power_cuts_leave_a_correct_state(void **state)
{
    (void)state;
    for (uint64_t first = 1; first <= (SAMPLED ? 12 : 120); first++) {
        uint64_t seed = first;
        role = first % 4 == 0 ? NACRE_ROLE_SERVER : NACRE_ROLE_NONE;
        put_fresh();
        disk *base = disk_copy(never_used());
        for (int life = 0; life < 12; life++) {
            calls_begin(directories.root, base);
            random_life(&seed);
            if (violation != NULL) fail_msg("seed %d, life %d: %s", (int)first, life, violation);
            base = cut_and_keep(base, &seed);
            counted.generations++;
            disk_choice latest;
            disk_choose_latest(&latest);
            disk_put(base, &latest, directories.copy);
            const char *wrong = examine(directories.copy_device, AGES_AGO);
            if (wrong != NULL) fail_msg("seed %d, life %d: %s", (int)first, life, wrong);
        }
        disk_free(base);
    }
    report("life after life");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_power_cut_at_any_call_leaves_a_correct_state),
        ROW(a_power_cut_in_the_legacy_layout_leaves_a_correct_state),
        ROW(a_disk_that_ignores_syncs_is_detected),
        ROW(an_unsynced_directory_brings_an_old_window_back),
        ROW(any_failing_call_leaves_a_correct_state),
        ROW(repeated_power_cuts_leave_a_correct_state),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tell_altogether();
    return failed;
}
