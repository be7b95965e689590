/* SPDX-License-Identifier: MIT */
/* sqlite_damage_test: damaged pages and rows, and failing writes: one clear error, nothing is reused, and it recovers. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "databases.h"
#include "scratch.h"

static char *scratch, path[4096];
static nacre_detail why;

static int set_up(void **state)
{
    (void)state;
    scratch = scratch_make();
    strcpy(path, scratch_path(scratch, "fleet.db"));
    db_make(path, 30);
    return 0;
}

static int tear_down(void **state)
{
    scratch_remove(scratch);
    return test_release(state);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static char problems[4096];

static void on_problem(void *user, const char *text)
{
    (void)user;
    (void)strncat(problems, text, sizeof problems - strlen(problems) - 2);
    (void)strcat(problems, "\n");
}

static size_t num_problems(void)
{
    size_t num = 99;
    problems[0] = '\0';
    assert_ok(nacre_sqlite_check(path, NULL, test_crypto(), on_problem, NULL, &num, &why));
    return num;
}

static nacre_err load(nacre_sqlite *db, int64_t id)
{
    nacre_context *ctx;
    return nacre_sqlite_load(db, &ctx, &id, 1, &why);
}

static void a_sound_database_has_no_problems(void **state)
{
    (void)state;
    nacre_sqlite *db = db_open(path);
    assert_int_equal(num_problems(), 0); /* also while it is open */
    (void)db_send(db_load(db, 1), db_peer(1), 3);
    assert_int_equal(num_problems(), 0);
    db_close(db);
    assert_int_equal(num_problems(), 0);
}

static void a_damaged_row_is_not_used_and_its_neighbours_are(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *text;
    } rows[] = {
        { "UPDATE state SET next = 0 WHERE context = 1", "state is damaged" },
        { "UPDATE state SET window_index = NULL WHERE context = 2", "state is damaged" },
        { "UPDATE state SET window_index = 0, window_bits = x'00000001' WHERE context = 3", "state is damaged" },
        { "UPDATE contexts SET aead = 11 WHERE id = 4", "row is damaged" },
        { "UPDATE contexts SET recipient_id = x'09' WHERE id = 5", "row is damaged" },
        { "UPDATE contexts SET keys = zeroblob(length(keys)) WHERE id = 6", "row is damaged" },
        { "UPDATE contexts SET keys = x'00' WHERE id = 7", "row is damaged" },
        { "DELETE FROM state WHERE context = 8", "state is damaged" },
        { "UPDATE state SET sum = sum + 1 WHERE context = 9", "state is damaged" },
        { "UPDATE contexts SET id = 99 WHERE id = 10; UPDATE contexts SET id = 10 WHERE id = 11; "
          "UPDATE contexts SET id = 11 WHERE id = 99",
          "row is damaged" }, /* each would have the other's numbers */
    };
    nacre_sqlite *db = db_open(path);
    for (int64_t id = 1; id <= 10; id++) (void)db_send(db_load(db, id), db_peer(id), 3);
    db_close(db);
    for (size_t i = 0; i < COUNT(rows); i++) db_sql(path, rows[i].sql);
    db = db_open(path);
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_err_row(rows[i].sql, load(db, (int64_t)i + 1), NACRE_ERR_BAD_CONTEXT);
        if (strstr(why.text, rows[i].text) == NULL) fail_msg("%s: %s", rows[i].sql, why.text);
    }
    (void)db_send(db_load(db, 12), db_peer(12), 3);
    db_close(db);
    assert_int_equal(num_problems(), COUNT(rows) + 1);
}

/* Without this one context would keep a server from starting for good. */
static void a_context_with_a_damaged_state_can_be_revoked(void **state)
{
    (void)state;
    const int64_t ids[] = { 1, 8 };
    nacre_sqlite_context c;
    db_sql(path, "UPDATE state SET next = 7 WHERE context = 1");
    db_sql(path, "DELETE FROM state WHERE context = 8");
    nacre_sqlite *db = db_open(path);
    assert_err(nacre_sqlite_remove(db, ids, 2, &why), NACRE_ERR_BAD_CONTEXT);
    assert_ok(nacre_sqlite_revoke(db, ids, 2, &why));
    for (int i = 0; i < 2; i++) {
        c = db_row(db, ids[i]);
        assert_int_equal(c.status, NACRE_SQLITE_REVOKED);
        assert_int_equal(c.info.next_to_send, NACRE_SEQ_MAX + 1);
    }
    db_close(db);
    assert_int_equal(num_problems(), 0);
}

/* The row of context 2, the state of 5, the keys of 7. */
static void damage_three(void)
{
    db_sql(path, "UPDATE contexts SET aead = 11 WHERE id = 2");
    db_sql(path, "UPDATE state SET next = 7 WHERE context = 5");
    db_sql(path, "UPDATE contexts SET keys = x'00', recipient_id = zeroblob(300), window = 9 WHERE id = 7");
}

static void damaged_contexts_are_named_and_the_others_load(void **state)
{
    (void)state;
    enum { MANY = 10 };
    int64_t ids[MANY];
    nacre_context *contexts[MANY];
    damage_three();
    nacre_sqlite *db = db_open(path);
    for (int64_t i = 0; i < MANY; i++) ids[i] = i + 1;
    assert_err(nacre_sqlite_load(db, contexts, ids, MANY, &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "context 2: its row is damaged"));
    for (int64_t i = 0; i < MANY; i++) assert_int_equal(contexts[i] == NULL, i == 1 || i == 4 || i == 6);
    (void)db_send(contexts[0], db_peer(1), 3);
    (void)db_send(contexts[9], db_peer(10), 3);
    db_close(db);
}

typedef struct counts {
    size_t num_sound, num_damaged;
    char texts[600];
} counts;

static nacre_err count_loaded(void *user, nacre_context *ctx, nacre_detail *reason)
{
    counts *c = user;
    c->num_sound += ctx != NULL;
    c->num_damaged += ctx == NULL;
    if (ctx == NULL) (void)strncat(c->texts, reason->text, sizeof c->texts - strlen(c->texts) - 1);
    return NACRE_OK;
}

static nacre_err count_listed(void *user, const nacre_sqlite_context *context, nacre_detail *reason)
{
    (void)reason, (void)context;
    ((counts *)user)->num_sound++;
    return NACRE_OK;
}

static void all_but_the_damaged_contexts_are_loaded_and_listed(void **state)
{
    (void)state;
    counts loaded = { .num_sound = 0 }, listed = { .num_sound = 0 };
    damage_three();
    nacre_sqlite *db = db_open(path);
    assert_ok(nacre_sqlite_load_all(db, count_loaded, &loaded, &why));
    assert_int_equal(loaded.num_sound, 27);
    assert_int_equal(loaded.num_damaged, 3);
    assert_non_null(strstr(loaded.texts, "context 2:"));
    assert_non_null(strstr(loaded.texts, "context 5:"));
    assert_non_null(strstr(loaded.texts, "context 7:"));
    assert_err(nacre_sqlite_list(db, NULL, count_listed, &listed, &why), NACRE_ERR_BAD_CONTEXT);
    assert_int_equal(listed.num_sound, 27);
    assert_non_null(strstr(why.text, "context 2:"));
    assert_non_null(strstr(why.text, "so are 2 more"));
    db_close(db);
}

static void a_context_with_a_damaged_row_can_be_revoked(void **state)
{
    (void)state;
    const int64_t ids[] = { 2, 5, 7 };
    size_t index;
    damage_three();
    db_sql(path, "UPDATE contexts SET peer_fingerprint = x'01' WHERE id = 7");
    nacre_sqlite *db = db_open(path);
    assert_ok(nacre_sqlite_revoke(db, ids, 3, &why));
    for (int i = 0; i < 3; i++) assert_int_equal(db_row(db, ids[i]).status, NACRE_SQLITE_REVOKED);
    for (int i = 0; i < 3; i++) { /* its keys are refused as those of others are */
        index = (size_t)ids[i] - 1;
        assert_err(nacre_sqlite_add(db, NULL, 1, db_source, &index, &why), NACRE_ERR_BAD_CONTEXT);
        assert_non_null(strstr(why.text, "were revoked"));
    }
    db_close(db);
    assert_int_equal(num_problems(), 0);
}

static void damaged_contexts_do_not_prevent_adoption(void **state)
{
    (void)state;
    damage_three();
    db_sql(path, "DELETE FROM state WHERE context = 9");
    assert_ok(nacre_sqlite_adopt(path, NULL, test_crypto(), &why));
    nacre_sqlite *db = db_open(path);
    assert_int_equal(db_row(db, 5).info.next_to_send, NACRE_SEQ_MAX + 1); /* its numbers are unknown */
    assert_int_equal(db_row(db, 9).info.next_to_send, NACRE_SEQ_MAX + 1);
    assert_err(load(db, 2), NACRE_ERR_BAD_CONTEXT);
    assert_err(load(db, 7), NACRE_ERR_BAD_CONTEXT);
    assert_true(db_send(db_load(db, 1), db_peer(1), 1) >= NACRE_ADOPT_SKIP);
    db_close(db);
}

/* Overwrites each page in turn: the file is refused or its contexts are, and what still works counts on. */
static void a_damaged_page_gives_an_error_and_reuses_nothing(void **state)
{
    (void)state;
    enum { PAGE = 4096 };
    unsigned refused = 0;
    nacre_sqlite *db = db_open(path);
    for (int64_t id = 1; id <= 30; id++) (void)db_send(db_load(db, id), db_peer(id), 3);
    db_close(db);
    const nacre_bytes sound = test_copy(file_bytes(path));
    const nacre_bytes mark = test_copy(file_bytes(scratch_path(scratch, "fleet.db-mark")));
    for (size_t page = 0; page < sound.len / PAGE; page++) {
        const size_t header = page == 0 ? 100 : 0;
        uint8_t *bytes = test_alloc(sound.len);
        memcpy(bytes, sound.ptr, sound.len);
        memset(bytes + page * PAGE + header, 0xe5, PAGE - header);
        scratch_unlink(scratch, "fleet.db-wal");
        file_put(path, nacre_bytes_of(bytes, sound.len));
        file_put(scratch_path(scratch, "fleet.db-mark"), mark);
        if (nacre_sqlite_open(&db, path, NULL, test_crypto(), &why) != NACRE_OK) {
            assert_true(why.text[0] != '\0');
            refused++;
            continue;
        }
        for (int64_t id = 1; id <= 30; id++) {
            nacre_context *ctx = NULL;
            const nacre_err err = nacre_sqlite_load(db, &ctx, &id, 1, &why);
            if (err != NACRE_OK) assert_err(err, NACRE_ERR_BAD_CONTEXT);
            refused += err != NACRE_OK;
            if (ctx != NULL) assert_true(nacre_context_next_seq(ctx) >= 3);
        }
        (void)nacre_sqlite_close(db, NULL);
    }
    assert_true(refused > 30);
}

static void limit_files(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size == 0 ? limit.rlim_max : size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Writes beyond a size fail, as on a full disk. */
static void a_failed_write_is_reported_and_can_be_repeated(void **state)
{
    (void)state;
    nacre_sqlite *db = db_open(path);
    nacre_context *ctx = db_load(db, 1), *peer = db_peer(1);
    const nacre_store store = nacre_sqlite_store(ctx);
    nacre_detail reason = { "" };
    size_t first = 500;
    (void)db_send(ctx, peer, 1);
    (void)signal(SIGXFSZ, SIG_IGN);
    limit_files(2048);
    nacre_err err = NACRE_OK;
    for (int i = 0; i < 40 && err == NACRE_OK; i++) err = fleet_try_to_send(ctx, &store);
    assert_err(err, NACRE_ERR_NOT_YET);
    assert_err(nacre_store_serve(&store, ctx, &reason), NACRE_ERR_FILE);
    assert_non_null(strstr(reason.text, "cannot write"));
    assert_null(strstr(reason.text, "sequence.json"));
    assert_err(nacre_sqlite_add(db, NULL, 1, db_source, &first, &why), NACRE_ERR_FILE);
    assert_false(nacre_context_is_stopped(ctx));
    limit_files(0);
    const uint64_t next = nacre_context_next_seq(ctx);
    assert_int_equal(db_send(ctx, peer, 1), next);
    assert_ok(nacre_sqlite_add(db, NULL, 1, db_source, &first, &why));
    db_close(db);
    db = db_open(path);
    assert_int_equal(nacre_context_next_seq(db_load(db, 1)), next + 1);
    db_close(db);
}

static void a_database_is_made_whole_or_not(void **state)
{
    (void)state;
    const char *other = scratch_path(scratch, "other.db");
    (void)signal(SIGXFSZ, SIG_IGN);
    limit_files(8192);
    assert_err(nacre_sqlite_create(other, NULL, test_crypto(), &why), NACRE_ERR_FILE);
    limit_files(0);
    assert_int_equal(scratch_count(scratch, "other.db"), 0);
    assert_ok(nacre_sqlite_create(other, NULL, test_crypto(), &why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_sound_database_has_no_problems),
        ROW(a_damaged_row_is_not_used_and_its_neighbours_are),
        ROW(a_context_with_a_damaged_state_can_be_revoked),
        ROW(damaged_contexts_are_named_and_the_others_load),
        ROW(all_but_the_damaged_contexts_are_loaded_and_listed),
        ROW(a_context_with_a_damaged_row_can_be_revoked),
        ROW(damaged_contexts_do_not_prevent_adoption),
        ROW(a_damaged_page_gives_an_error_and_reuses_nothing),
        ROW(a_failed_write_is_reported_and_can_be_repeated),
        ROW(a_database_is_made_whole_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
