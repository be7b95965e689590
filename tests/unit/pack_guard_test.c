/* SPDX-License-Identifier: MIT */
/* pack_guard_test: the file of an open pack is moved, removed, replaced or overwritten: nothing more is written, at
 * once or later, and its contexts are stopped; without such a change, the same steps succeed. */
#include <nacre/pack.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "interference.h"
#include "packs.h"
#include "scratch.h"

enum { NUM = 40 };
static char *scratch, path[4096], aside[4096], link_path[4096];
static nacre_bytes backup; /* the pack before its first use */

static int set_up(void **state)
{
    (void)state;
    scratch = scratch_make();
    snprintf(path, sizeof path, "%s", scratch_path(scratch, "fleet.pack"));
    snprintf(aside, sizeof aside, "%s", scratch_path(scratch, "aside"));
    snprintf(link_path, sizeof link_path, "%s", scratch_path(scratch, "link"));
    pack_make(path, NUM);
    assert_int_equal(symlink("fleet.pack", link_path), 0);
    backup = pack_file(path);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(scratch);
    return test_release(state);
}

/* ---- Changes by another program ---- */

static void do_nothing(void)
{
}
static void move_away(void)
{
    assert_int_equal(rename(path, aside), 0);
}
static void move_away_and_put_a_copy_there(void)
{
    move_away();
    pack_put_file(path, backup);
}
static void replace(void)
{
    pack_put_file(aside, backup);
    assert_int_equal(rename(aside, path), 0);
}
static void copy_over_itself(void)
{
    pack_put_file(aside, pack_file(path));
    assert_int_equal(rename(aside, path), 0);
}
static void take_away(void)
{
    assert_int_equal(unlink(path), 0);
}
static void write_backup_over_it(void)
{
    pack_put_file(path, backup);
}
static void cut_it(void)
{
    assert_int_equal(truncate(path, 4096), 0);
}
static void lead_the_link_elsewhere(void)
{
    assert_int_equal(unlink(link_path), 0);
    pack_put_file(aside, backup);
    assert_int_equal(symlink("aside", link_path), 0);
}

static const struct {
    const char *name, *told; /* told: part of the error; NULL: no error */
    void (*happen)(void);
} all[] = {
    { "nothing happens", NULL, do_nothing },
    { "it is moved", "was moved or removed", move_away },
    { "it is moved, and a copy put there", "was replaced", move_away_and_put_a_copy_there },
    { "an older one replaces it", "was replaced", replace },
    { "it is copied over itself", "was replaced", copy_over_itself },
    { "it is removed", "was moved or removed", take_away },
    { "an older one is written over it", "was written over", write_backup_over_it },
    { "it is cut short", "was cut short", cut_it },
    { "the link to it leads elsewhere", "was replaced", lead_the_link_elsewhere },
};

/* ---- Ways to write ---- */

static nacre_err by_a_store(nacre_pack *pack, nacre_detail *why)
{
    const nacre_store store = nacre_pack_store(pack, nacre_pack_context_at(pack, 0));
    return store.ops->reserve(store.self, 100, why);
}
static nacre_err by_a_commit(nacre_pack *pack, nacre_detail *why)
{
    nacre_context *ctx = nacre_pack_context_at(pack, 1); /* it has used no number */
    nacre_err err = nacre_pack_request(pack, ctx, why);
    return err == NACRE_ERR_NOT_YET ? nacre_pack_commit(pack, NULL, NULL, why) : err;
}
static nacre_err by_a_save(nacre_pack *pack, nacre_detail *why)
{
    nacre_context *ctx = nacre_pack_context_at(pack, 0);
    const nacre_store store = nacre_pack_store(pack, ctx);
    return nacre_store_save(&store, ctx, why);
}
static nacre_err by_adding(nacre_pack *pack, nacre_detail *why)
{
    size_t first = 1000;
    return nacre_pack_add(pack, NULL, 1, pack_source, &first, why);
}
static nacre_err by_removing(nacre_pack *pack, nacre_detail *why)
{
    return nacre_pack_remove(pack, nacre_pack_context_at(pack, 2), why);
}
static nacre_err by_moving_out(nacre_pack *pack, nacre_detail *why)
{
    return nacre_pack_move_out(pack, 3, scratch_path(scratch, "out"), why);
}
static nacre_err (*const writes[])(nacre_pack *pack, nacre_detail *why) = { by_a_store, by_a_commit, by_a_save,
                                                                            by_adding,  by_removing, by_moving_out };

static nacre_bytes if_there(const char *file)
{
    return access(file, F_OK) == 0 ? pack_file(file) : NACRE_ABSENT;
}

static void expect_stopped(nacre_pack *pack, const nacre_store *store)
{
    nacre_detail first = { "" }, again = { "" };
    nacre_context *used = nacre_pack_context_at(pack, 0);
    assert_err(pack_try_to_send(used, store), NACRE_ERR_CONTEXT_UNAVAILABLE); /* although numbers were reserved */
    for (size_t i = 0; i < COUNT(writes); i++) {
        assert_err(writes[i](pack, i == 0 ? &first : &again), NACRE_ERR_LOCKED);
        if (i > 0) assert_string_equal(again.text, first.text);
    }
    assert_true(nacre_context_is_stopped(nacre_pack_context_at(pack, 1)));
}

/* `write` COUNT(writes): closing comes first. */
static void one_case(void *state, size_t which, size_t write)
{
    (void)state;
    const bool in_place = all[which].happen == write_backup_over_it || all[which].happen == cut_it;
    if (in_place && writes[write % COUNT(writes)] == by_adding) return; /* detected only where states are written */
    if (in_place && writes[write % COUNT(writes)] == by_moving_out) return;
    nacre_detail why = { "" };
    nacre_directory_info info;
    nacre_pack *pack = pack_open(link_path);
    nacre_context *ctx = nacre_pack_context_at(pack, 0);
    const nacre_store store = nacre_pack_store(pack, ctx);
    pack_describe(&info, 0);
    (void)pack_send_one(pack_peer(&info), ctx, &store);
    all[which].happen();
    nacre_bytes there = if_there(path), moved = if_there(aside);
    nacre_err err = write < COUNT(writes) ? writes[write](pack, &why) : nacre_pack_close(pack, &why);
    if (all[which].told == NULL) {
        assert_ok(err);
        if (write < COUNT(writes)) pack_close(pack);
        return;
    }
    assert_err(err, NACRE_ERR_LOCKED);
    interference_expect(&why, all[which].told);
    if (write < COUNT(writes)) {
        expect_stopped(pack, &store);
        assert_err(nacre_pack_close(pack, &why), NACRE_ERR_LOCKED);
    }
    assert_bytes(if_there(path), there);
    assert_bytes(if_there(aside), moved);
    assert_false(scratch_exists(scratch, "out") || scratch_exists(scratch, ".out.unpacked"));
}

static const char *name_of(size_t which)
{
    return all[which].name;
}

static void a_pack_that_is_not_ours_is_not_written(void **state)
{
    static const interference_table table = { COUNT(all), COUNT(writes), name_of, set_up, tear_down, one_case };
    (void)state;
    interference_run(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_pack_that_is_not_ours_is_not_written) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
