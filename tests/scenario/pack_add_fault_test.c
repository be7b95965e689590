/* SPDX-License-Identifier: MIT */
/* Contexts are added, one call on the pack fails, other contexts are added into the same entries, and power is cut at
 * each of those calls. Each context in the pack then has its own state, never that of the entry's previous context. */
#include "pack_calls.h"

#include "one_identity.h"
#include "packs.h"
#include "scratch.h"

enum { NUM = 3, MORE = 4, FIRST = 10, SECOND = 20, FIRST_NEXT = 100, SECOND_NEXT = 20000 };
static char *scratch, path[4096];

static nacre_err used_source(void *user, nacre_directory_info *info, size_t index, nacre_detail *why)
{
    const size_t first = *(const size_t *)user;
    (void)why;
    pack_describe(info, first + index);
    info->next_to_send = first == FIRST ? FIRST_NEXT : SECOND_NEXT;
    return NACRE_OK;
}

static nacre_err add(nacre_pack *pack, size_t first)
{
    return nacre_pack_add(pack, NULL, MORE, used_source, &first, NULL);
}

static nacre_err check(void *user, size_t index, const nacre_directory_info *info, nacre_detail *why)
{
    const char *when = user;
    uint64_t least = 0;
    (void)why;
    for (size_t i = 0; i < MORE; i++) {
        nacre_directory_info first, second;
        pack_describe(&first, FIRST + i);
        pack_describe(&second, SECOND + i);
        if (memcmp(first.secret, info->secret, info->secret_len) == 0) least = FIRST_NEXT;
        if (memcmp(second.secret, info->secret, info->secret_len) == 0) least = SECOND_NEXT;
    }
    if (info->next_to_send < least)
        fail_msg("%s: place %zu goes on with %u, not %u", when, index, (unsigned)info->next_to_send, (unsigned)least);
    return NACRE_OK;
}

static void cut_power(nacre_bytes base, size_t num_ops, call_fate fate)
{
    static call_disk disk;
    memset(&disk, 0, sizeof disk);
    memcpy(disk.durable, base.ptr, base.len);
    disk.len = base.len;
    for (size_t i = 0; i < num_ops; i++) call_apply(&disk, &calls.ops[i]);
    for (size_t i = 0; i < disk.num_open; i++) call_fall(disk.durable, &disk.len, disk.open[i], fate);
    call_write_file(path, disk.durable, disk.len);
}

/* Whether a call was made that the fault could hit. */
static bool one_fault(call_fault kind, unsigned at)
{
    char when[100];
    (void)unlink(path);
    pack_make(path, NUM);
    const nacre_bytes base = test_copy(pack_file(path));
    calls_begin(path);
    nacre_pack *pack = pack_open(path);
    const size_t before = calls.num_ops;
    calls.fault.kind = kind;
    calls.fault.at = calls.calls + at;
    calls.fault.error = EIO;
    (void)add(pack, FIRST);
    const bool hit = calls.fault.hit;
    (void)add(pack, SECOND);
    calls.dead = true;
    (void)nacre_pack_close(pack, NULL);
    calls.on = false;
    for (size_t cut = before; cut <= calls.num_ops; cut++) {
        cut_power(base, cut, (call_fate)(cut % NUM_FATES));
        snprintf(when, sizeof when, "kind %d, call %u, cut behind %zu", (int)kind, at, cut);
        pack_close(pack_open(path));
        assert_ok(nacre_pack_read(path, true, check, when, NULL));
    }
    return hit;
}

static void contexts_added_after_a_failure_have_a_fresh_state(void **state)
{
    (void)state;
    static const call_fault kinds[] = { CALL_ONCE, CALL_DONE, CALL_SHORT };
    for (size_t i = 0; i < COUNT(kinds); i++) {
        unsigned at = 1, missed = 0;
        for (; missed < 5; at++) missed = one_fault(kinds[i], at) ? 0 : missed + 1;
        print_message("           %u faults\n", at - missed);
        assert_int_equal(test_release(NULL), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_teardown(contexts_added_after_a_failure_have_a_fresh_state,
                                                                  test_release) };
    if (access("/dev/shm", W_OK | X_OK) == 0) setenv("TMPDIR", "/dev/shm", 0);
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.pack"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    calls_begin("");
    calls.on = false;
    scratch_remove(scratch);
    return failed;
}
