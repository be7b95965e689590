/* SPDX-License-Identifier: MIT */
/* A move out of a pack in which each call on the pack fails in turn, in several ways. The context is then used as
 * far as it permits, and the process is killed. The same call then completes the move, and the directory reuses no
 * number. */
#include "pack_calls.h"

#include "one_identity.h"
#include "packs.h"
#include "scratch.h"

enum { NUM = 3, AT = 1, TRIES = 30 };
static char *scratch, path[4096], dir[4096];
static uint64_t used; /* numbers below this one were sent */

static void on_number(const nacre_context *ctx, uint64_t number)
{
    (void)ctx;
    if (number >= used) used = number + 1;
}

static void use(nacre_pack *pack, int times)
{
    nacre_context *ctx = nacre_pack_context_at(pack, AT);
    if (ctx == NULL) return;
    const nacre_store store = nacre_pack_store(pack, ctx);
    for (int i = 0; i < times; i++) (void)pack_try_to_send(ctx, &store);
}

/* Power is cut with this fate for each unsynced write. The directory's files are synced when they are made. */
static void cut_power(nacre_bytes base, call_fate fate)
{
    static call_disk disk;
    memset(&disk, 0, sizeof disk);
    memcpy(disk.durable, base.ptr, base.len);
    disk.len = base.len;
    for (size_t i = 0; i < calls.num_ops; i++) call_apply(&disk, &calls.ops[i]);
    for (size_t i = 0; i < disk.num_open; i++) call_fall(disk.durable, &disk.len, disk.open[i], fate);
    call_write_file(path, disk.durable, disk.len);
}

/* Whether a call was made that the fault could hit. */
static bool one_life(call_fault kind, unsigned at, call_fate fate)
{
    nacre_detail why = { "" };
    nacre_directory_info info;
    used = 0;
    (void)unlink(path);
    pack_make(path, NUM);
    const nacre_bytes base = test_copy(pack_file(path));
    calls_begin(path);
    nacre_pack *pack = pack_open(path);
    use(pack, 3);
    assert_int_equal(used, 3);
    calls.fault.kind = kind;
    calls.fault.at = calls.calls + at;
    calls.fault.error = EIO;
    nacre_err err = nacre_pack_move_out(pack, AT, dir, NULL);
    if (err != NACRE_OK) use(pack, TRIES);
    const bool hit = calls.fault.hit;
    calls.dead = true;
    (void)nacre_pack_close(pack, NULL);
    calls.on = false;
    cut_power(base, fate);
    pack = pack_open(path);
    const bool done = access(dir, F_OK) == 0;
    if (!done && nacre_pack_move_out(pack, AT, dir, &why) != NACRE_OK)
        fail_msg("kind %d, call %u: %s", (int)kind, at, why.text);
    assert_null(nacre_pack_context_at(pack, AT));
    pack_close(pack);
    assert_ok(nacre_directory_read(&info, dir, false, &why));
    if (info.next_to_send < used)
        fail_msg("kind %d, call %u: goes on with %u, and %u was used", (int)kind, at, (unsigned)info.next_to_send,
                 (unsigned)used - 1);
    static const char *const files[] = { "secret.json", "settings.json", "sequence.json" };
    for (size_t i = 0; i < COUNT(files); i++) scratch_unlink(dir, files[i]);
    assert_int_equal(rmdir(dir), 0);
    return hit;
}

static void any_failing_call_leaves_the_move_repeatable(void **state)
{
    (void)state;
    unsigned faults = 0;
    for (int kind = CALL_NONE + 1; kind < NUM_CALL_FAULTS; kind++)
        for (int fate = 0; fate < NUM_FATES; fate++) {
            unsigned at = 1, missed = 0;
            for (; missed < 5; at++) missed = one_life((call_fault)kind, at, (call_fate)fate) ? 0 : missed + 1;
            faults += at - missed;
            assert_int_equal(test_release(NULL), 0);
        }
    print_message("           %u faults\n", faults);
    assert_true(faults > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_teardown(any_failing_call_leaves_the_move_repeatable,
                                                                  test_release) };
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.pack"));
    strcpy(dir, scratch_path(scratch, "device"));
    pack_on_number = on_number;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    calls_begin("");
    calls.on = false;
    scratch_remove(scratch);
    return failed;
}
