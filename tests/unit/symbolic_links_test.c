/* SPDX-License-Identifier: MIT */
/* symbolic_links_test: symbolic links in a context directory. A file that is only read may be a link, as Kubernetes
 * mounts secrets; a file that is replaced by name must not be, because the link's target would keep the old numbers. A
 * refusal changes nothing. */
#include "directories.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Moves DIR/NAME to where a mounted secret has it, and leaves a link to it. */
static void make_link(const char *dir, const char *name)
{
    char target[300], to[4400];
    (void)mkdir(scratch_path(dir, "..2026_11"), 0700);
    if (symlink("..2026_11", scratch_path(dir, "..data")) != 0) assert_int_equal(errno, EEXIST);
    snprintf(target, sizeof target, "..data/%s", name);
    snprintf(to, sizeof to, "%s", scratch_path(dir, target));
    assert_int_equal(rename(scratch_path(dir, name), to), 0);
    assert_int_equal(symlink(target, scratch_path(dir, name)), 0);
}

static bool is_link(const char *dir, const char *name)
{
    struct stat st;
    return lstat(scratch_path(dir, name), &st) == 0 && S_ISLNK(st.st_mode);
}

/* ---- What opens or changes a directory ---- */

static nacre_err open_it(struct fixture *f, nacre_detail *why)
{
    nacre_directory *dir = NULL;
    nacre_err err = nacre_directory_open(&dir, f->client, &f->crypto, why);
    if (err != NACRE_OK) return err;
    err = serve(dir, why);
    nacre_err closed = nacre_directory_close(dir, why);
    return err == NACRE_OK ? closed : err;
}
static nacre_err look_at_it(struct fixture *f, nacre_detail *why)
{
    nacre_directory_info info;
    return nacre_directory_read(&info, f->client, false, why);
}
static nacre_err adopt_it(struct fixture *f, nacre_detail *why)
{
    return nacre_directory_adopt(f->client, NACRE_ROLE_NONE, 100, why);
}
static nacre_err convert_it(struct fixture *f, nacre_detail *why)
{
    return nacre_directory_convert(f->client, NACRE_LAYOUT_LEGACY, NACRE_ROLE_CLIENT, why);
}
static nacre_err move_it(struct fixture *f, nacre_detail *why)
{
    char path[4400];
    nacre_sqlite *db = NULL;
    snprintf(path, sizeof path, "%s", scratch_path(f->dir, "fleet.db"));
    assert_int_equal(nacre_sqlite_create(path, NULL, &f->crypto, NULL), NACRE_OK);
    assert_int_equal(nacre_sqlite_open(&db, path, NULL, &f->crypto, NULL), NACRE_OK);
    nacre_err err = nacre_sqlite_import(db, NULL, f->client, NACRE_ROLE_NONE, NULL, why);
    assert_int_equal(nacre_sqlite_close(db, NULL), NACRE_OK);
    return err;
}

static const struct {
    const char *name;
    nacre_err (*run)(struct fixture *f, nacre_detail *why);
} uses[] = {
    { "open", open_it }, { "read", look_at_it }, { "adopt", adopt_it }, { "convert", convert_it }, { "move", move_it }
};
enum { OPEN, READ, ADOPT, CONVERT, MOVE };

static size_t num_uses(void)
{
    if (nacre_sqlite_is_built()) return COUNT(uses);
    print_message("SKIPPED for moves into a database: this build has no SQLite\n");
    return MOVE;
}

static struct fixture *fresh(void **fixture)
{
    (void)directories_set_up(fixture);
    struct fixture *f = *fixture;
    scratch_write(f->client, "sequence.json", STATE("12", EMPTY));
    return f;
}

/* A state that is a link is refused by every operation, whether the link leads to a file or nowhere. */
static void a_state_behind_a_link_is_refused(void **state)
{
    (void)state;
    for (size_t use = 0; use < num_uses(); use++)
        for (int linked = 0; linked < 3;
             linked++) { /* 0: the file itself, 1: a link to it, 2: one that leads nowhere */
            void *fixture;
            nacre_detail why = { "" };
            struct fixture *f = fresh(&fixture);
            if (linked > 0) make_link(f->client, "sequence.json");
            if (linked == 2) scratch_unlink(f->client, "..data/sequence.json");
            nacre_err err = uses[use].run(f, &why);
            if (linked == 0) assert_int_equal(err, NACRE_OK);
            else {
                if (err != NACRE_ERR_BAD_CONTEXT) fail_msg("%s: %d %s", uses[use].name, (int)err, why.text);
                assert_non_null(strstr(why.text, "client/sequence.json: is a symbolic link"));
                assert_true(is_link(f->client, "sequence.json"));
                scratch_expect(f->client, "..data/sequence.json", linked == 1 ? STATE("12", EMPTY) : NULL);
                assert_false(scratch_exists(f->client, "moved.json"));
            }
            (void)directories_tear_down(&fixture);
        }
}

/* Secrets and settings as links are read, and never written: a conversion, which would have to write them, is refused
 * completely. */
static void secret_and_settings_may_be_links(void **state)
{
    (void)state;
    static const char *const names[] = { "secret.json", "settings.json" };
    for (size_t use = 0; use < num_uses(); use++)
        for (size_t name = 0; name < COUNT(names); name++) {
            void *fixture;
            nacre_detail why = { "" };
            struct fixture *f = fresh(&fixture);
            make_link(f->client, names[name]);
            char *held = scratch_read(f->client, names[name]);
            bool rewrites = use == CONVERT && name == 1; /* the IDs are in settings.json */
            nacre_err err = uses[use].run(f, &why);
            if (err != (rewrites ? NACRE_ERR_BAD_CONTEXT : NACRE_OK))
                fail_msg("%s, %s: %s", uses[use].name, names[name], why.text);
            assert_true(is_link(f->client, names[name]));
            scratch_expect(f->client, name == 0 ? "..data/secret.json" : "..data/settings.json", held);
            if (rewrites) assert_non_null(strstr(why.text, "client/settings.json: is a symbolic link"));
            if (rewrites) scratch_expect(f->client, "sequence.json", STATE("12", EMPTY));
            free(held);
            (void)directories_tear_down(&fixture);
        }
}

/* secrets.json would become secret.json: as a link it is neither renamed nor removed. */
static void a_linked_secrets_file_is_not_renamed(void **state)
{
    struct fixture *f = *state;
    nacre_detail why = { "" };
    scratch_write(f->client, "sequence.json", STATE("12", EMPTY));
    assert_int_equal(rename(scratch_path(f->client, "secret.json"), scratch_path(f->client, "secrets.json")), 0);
    make_link(f->client, "secrets.json");
    assert_int_equal(convert_it(f, &why), NACRE_ERR_BAD_CONTEXT);
    assert_non_null(strstr(why.text, "client/secrets.json: is a symbolic link"));
    assert_true(is_link(f->client, "secrets.json"));
    assert_false(scratch_exists(f->client, "secret.json"));
    scratch_expect(f->client, "sequence.json", STATE("12", EMPTY));
    close_ok(open_ok(f, f->client));
}

/* A dangling link to settings is an error, not missing settings: algorithm and window would differ. */
static void a_dangling_link_is_an_error(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "settings.json", "secrets.json", "moved.json" };
    for (size_t i = 0; i < COUNT(names); i++) {
        nacre_detail why = { "" };
        nacre_directory *dir = NULL;
        scratch_write(f->client, "secret.json",
                      "{\"secret_hex\": \"0102\", \"sender-id_hex\": \"\", \"recipient-id_hex\": \"01\"}");
        scratch_unlink(f->client, "settings.json");
        close_ok(open_ok(f, f->client));
        assert_int_equal(symlink("..data/nowhere", scratch_path(f->client, names[i])), 0);
        assert_int_not_equal(nacre_directory_open(&dir, f->client, &f->crypto, &why), NACRE_OK);
        assert_non_null(strstr(why.text, names[i]));
        scratch_unlink(f->client, names[i]);
        scratch_write(f->client, "settings.json", "{}");
    }
}

/* The directory itself is opened once, so a link to it works like its name. */
static void a_link_to_the_directory_is_accepted(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(symlink("client", scratch_path(f->dir, "alias")), 0);
    nacre_directory *dir = open_ok(f, scratch_path(f->dir, "alias"));
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    scratch_unlink(f->dir, "alias"); /* it leads elsewhere now */
    assert_int_equal(symlink("server", scratch_path(f->dir, "alias")), 0);
    close_ok(dir);
    scratch_expect(f->client, "sequence.json", STATE("0", EMPTY));
    assert_false(scratch_exists(f->server, "sequence.json"));
}

/* New directories and databases are created under unused names only, not through a link. */
static void nothing_is_created_through_a_link(void **state)
{
    struct fixture *f = *state;
    nacre_directory_info info;
    char link[4400], with_slash[4410], other[4400];
    snprintf(link, sizeof link, "%s", scratch_path(f->dir, "link"));
    snprintf(with_slash, sizeof with_slash, "%s/", link);
    snprintf(other, sizeof other, "%s", scratch_path(f->dir, "other"));
    assert_int_equal(symlink("nowhere", link), 0);
    const nacre_generate_options options = { .aead = NULL };
    assert_int_equal(nacre_directory_read(&info, f->client, true, NULL), NACRE_OK);
    assert_int_equal(nacre_directory_create(link, &info, NULL), NACRE_ERR_FILE);
    assert_int_equal(nacre_directory_create(with_slash, &info, NULL), NACRE_ERR_FILE);
    assert_int_equal(nacre_directory_generate(link, other, &options, NULL), NACRE_ERR_FILE);
    assert_int_equal(nacre_directory_generate(other, link, &options, NULL), NACRE_ERR_FILE);
    if (nacre_sqlite_is_built()) assert_int_equal(nacre_sqlite_create(link, NULL, &f->crypto, NULL), NACRE_ERR_FILE);
    assert_false(scratch_exists(f->dir, "nowhere") || scratch_exists(f->dir, "other"));
    assert_int_equal(nacre_directory_create(other, &info, NULL), NACRE_OK);
    nacre_wipe(&info, sizeof info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_behind_a_link_is_refused), cmocka_unit_test(secret_and_settings_may_be_links),
        TEST(a_linked_secrets_file_is_not_renamed),         TEST(a_dangling_link_is_an_error),
        TEST(a_link_to_the_directory_is_accepted),          TEST(nothing_is_created_through_a_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
