/* SPDX-License-Identifier: MIT */
/* Labels: slow */
/* snapshot_test: restored snapshots of a context directory, and what different file systems reveal of them. */
#include "directories.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined __linux__ && defined STATX_BTIME
#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

/* ---- A simulated file system ---- */

static struct {
    unsigned long magic; /* 0: the real one */
    unsigned hidden;     /* statx fields that are left out */
    int fsid;
    int num_writes; /* seconds added to every ctime */
} seen;

int fstatfs(int fd, struct statfs *fs)
{
    int result = (int)syscall(SYS_fstatfs, fd, fs);
    if (seen.magic == 0) return result;
    fs->f_type = (__typeof__(fs->f_type))seen.magic;
    memset(&fs->f_fsid, 0, sizeof fs->f_fsid);
    memcpy(&fs->f_fsid, &seen.fsid, sizeof seen.fsid);
    return result;
}

int statx(int at, const char *restrict path, int flags, unsigned mask, struct statx *restrict st)
{
    int result = (int)syscall(SYS_statx, at, path, flags, mask, st);
    st->stx_mask &= ~seen.hidden;
    st->stx_ctime.tv_sec += seen.num_writes;
    return result;
}

static int set_up(void **state)
{
    memset(&seen, 0, sizeof seen);
    return directories_set_up(state);
}

/* ---- Using, copying ---- */

static void use_here(struct fixture *f, const char *path)
{
    uint8_t buf[64];
    nacre_bytes out;
    nacre_directory *dir = open_ok(f, path);
    assert_int_equal(serve(dir, NULL), NACRE_OK);
    assert_int_equal(protect(f, dir, &out, NACRE_BUF(buf)), NACRE_OK);
    close_ok(dir);
}

/* Ends as a killed process does. */
static void use_killed(struct fixture *f, const char *path)
{
    uint8_t buf[64];
    nacre_bytes out;
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        nacre_directory *dir = open_ok(f, path);
        bool done = serve(dir, NULL) == NACRE_OK && protect(f, dir, &out, NACRE_BUF(buf)) == NACRE_OK;
        _exit(done ? 9 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

static const char *const names[] = { "secret.json", "settings.json", "sequence.json", "lock" };

/* cp -al: a fresh directory with links to the same files, which replace existing ones. */
static void link_all(const char *from, const char *to)
{
    char old[4300], fresh[4300];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(old, sizeof old, "%s/%s", from, names[i]);
        snprintf(fresh, sizeof fresh, "%s/%s", to, names[i]);
        (void)unlink(fresh);
        assert_int_equal(link(old, fresh), 0);
    }
}

static void expect(struct fixture *f, const char *path, bool refused)
{
    nacre_directory *dir = NULL;
    nacre_directory_info info;
    nacre_detail why = { "" };
    nacre_err err = nacre_directory_open(&dir, path, &f->crypto, &why);
    if (err != (refused ? NACRE_ERR_BAD_CONTEXT : NACRE_OK)) fail_msg("%d %s", (int)err, why.text);
    if (refused) assert_non_null(strstr(why.text, "copied, edited or put back"));
    close_ok(dir);
    assert_int_equal(nacre_directory_read(&info, path, false, NULL), NACRE_OK);
    assert_int_equal(info.elsewhere, refused);
}

static void need_births(struct fixture *f)
{
    use_here(f, f->client);
    if (nacre_mark_at(f->client) != NACRE_MARK_FULL) skip();
}

/* ---- Snapshots ---- */

/* After the next write the snapshot's sequence.json is a separate file, with the inode that it records. */
static void a_restored_snapshot_of_hard_links_is_refused(void **state)
{
    struct fixture *f = *state;
    char snapshot[4200], broken[4200];
    static const int writes[] = { 1, 2, 30 };
    need_births(f);
    snprintf(snapshot, sizeof snapshot, "%s/snapshot", f->dir);
    snprintf(broken, sizeof broken, "%s/broken", f->dir);
    for (size_t i = 0; i < 2 * sizeof writes / sizeof writes[0]; i++) {
        scratch_mkdir(f->dir, "snapshot");
        link_all(f->client, snapshot);
        for (int k = 0; k < writes[i / 2]; k++) i % 2 == 0 ? use_here(f, f->client) : use_killed(f, f->client);
        assert_int_equal(rename(f->client, broken), 0);
        assert_int_equal(rename(snapshot, f->client), 0);
        expect(f, f->client, true);
        expect(f, broken, false); /* the newest state, in the directory where it was written */
        assert_int_equal(rename(f->client, snapshot), 0);
        assert_int_equal(rename(broken, f->client), 0);
        link_all(snapshot, f->client); /* back into the directory: only the count reveals it */
        expect(f, f->client, true);
        assert_int_equal(nacre_directory_adopt(f->client, NACRE_ROLE_NONE, 10000 * (i + 1), NULL), NACRE_OK);
        for (size_t k = 0; k < 4; k++) scratch_unlink(snapshot, names[k]);
        assert_int_equal(rmdir(snapshot), 0);
    }
}

/* Nothing was written since: the state is true, and only the directory differs. */
static void a_snapshot_with_no_write_after_it_is_a_copy(void **state)
{
    struct fixture *f = *state;
    char snapshot[4200];
    need_births(f);
    snprintf(snapshot, sizeof snapshot, "%s/snapshot", f->dir);
    scratch_mkdir(f->dir, "snapshot");
    link_all(f->client, snapshot);
    expect(f, snapshot, true);
    link_all(snapshot, f->client);
    expect(f, f->client, false);
}

/* ---- The table of generation.h ---- */

/* The higher one of the two records in DIR/lock. */
static unsigned long newest(const char *path)
{
    char *text = scratch_read(path, "lock");
    unsigned long found = 0;
    assert_non_null(text);
    for (const char *at = strstr(text, "generation "); at != NULL; at = strstr(at + 1, "generation ")) {
        unsigned long number = strtoul(at + strlen("generation "), NULL, 10);
        if (number > found) found = number;
    }
    free(text);
    return found;
}

static void verdicts_on_the_count_match_the_rows(void **state)
{
    struct fixture *f = *state;
    need_births(f);
    char *lock_before = scratch_read(f->client, "lock");
    assert_int_equal(link(scratch_path(f->client, "sequence.json"), scratch_path(f->dir, "old")), 0);
    char *old = strdup(scratch_path(f->dir, "old"));
    use_here(f, f->client);
    char *lock_now = scratch_read(f->client, "lock");
    assert_string_not_equal(lock_before, lock_now);
    const struct {
        const char *lock; /* NULL: none */
        int num_writes;
        bool refused;
    } rows[] = {
        { lock_now, 0, false }, { lock_now, 3600, false }, { lock_before, 0, false }, /* power failed between the two */
        { "", 0, false },   /* emptied by aiocoap's lock library */
        { "", 3600, true }, /* and sequence.json was renamed since */
        { NULL, 0, false }, /* removed by hand */
        { NULL, 3600, true },   { "rubbish", 0, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("           row %zu\n", i);
        if (rows[i].lock == NULL) scratch_unlink(f->client, "lock");
        else scratch_write(f->client, "lock", rows[i].lock);
        seen.num_writes = rows[i].num_writes;
        expect(f, f->client, rows[i].refused);
        seen.num_writes = 0;
        if (!rows[i].refused) assert_int_equal(newest(f->client), 4); /* the count catches up before a number is used */
    }
    scratch_write(f->client, "lock", lock_now);
    assert_int_equal(rename(old, scratch_path(f->client, "sequence.json")), 0); /* with a number below the count */
    expect(f, f->client, true);
    free(lock_before);
    free(lock_now);
    free(old);
}

/* A backup made right after nacre keygen records no file; the count shows that the directory was used since. */
static void an_unused_state_restored_over_a_used_one_is_refused(void **state)
{
    struct fixture *f = *state;
    char *unused = scratch_read(f->client, "sequence.json");
    if (unused == NULL) unused = strdup("{\"next-to-send\": 0, \"received\": {\"index\": 0, \"bitfield\": 0}}\n");
    need_births(f);
    scratch_write(f->client, "sequence.json", unused);
    expect(f, f->client, true);
    assert_int_equal(nacre_directory_adopt(f->client, NACRE_ROLE_NONE, 0, NULL), NACRE_OK);
    expect(f, f->client, false);
    scratch_write(f->server, "sequence.json", unused); /* never used: no count yet */
    expect(f, f->server, false);
    free(unused);
}

static void write_as_another_program(const char *path, unsigned next)
{
    char text[120];
    snprintf(text, sizeof text, "{\"next-to-send\": %u, \"received\": \"unknown\"}", next);
    scratch_write(path, "sequence.json", text);
}

/* A state of another program, which records no file, is accepted above the count and refused as old below it. */
static void another_programs_state_is_accepted_above_the_count(void **state)
{
    struct fixture *f = *state;
    need_births(f);
    const struct {
        unsigned next;
        bool refused;
    } rows[] = { { 0, true }, { 99, true }, { 100, false }, { 101, false } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_as_another_program(f->client, 99);
        scratch_unlink(f->client, "lock");
        use_here(f, f->client); /* from 99 to 100 */
        write_as_another_program(f->client, rows[i].next);
        expect(f, f->client, rows[i].refused);
    }
}

/* The count restarts when another program has removed DIR/lock, and may then be at or below the one that an old state
 * records. */
static void an_old_state_is_refused_when_the_count_restarted(void **state)
{
    struct fixture *f = *state;
    need_births(f);
    use_here(f, f->client);
    assert_int_equal(link(scratch_path(f->client, "sequence.json"), scratch_path(f->dir, "old")), 0);
    char *old = strdup(scratch_path(f->dir, "old"));
    const unsigned long named = newest(f->client);
    write_as_another_program(f->client, 50);
    scratch_unlink(f->client, "lock");
    do {
        use_here(f, f->client);
        const unsigned long count = newest(f->client);
        scratch_unlink(f->client, "sequence.json");
        assert_int_equal(link(old, scratch_path(f->client, "sequence.json")), 0);
        seen.num_writes = 3600;
        expect(f, f->client, true);
        seen.num_writes = 0;
        scratch_unlink(f->client, "sequence.json");
        write_as_another_program(f->client, 60 + (unsigned)count); /* as a program that leaves DIR/lock alone */
    } while (newest(f->client) < named + 2);
    free(old);
}

/* Two records are written in turn: after a torn write of one, the other counts. */
static void a_torn_count_is_the_one_before(void **state)
{
    struct fixture *f = *state;
    need_births(f);
    for (size_t i = 0; i < 20; i++) {
        use_killed(f, f->client); /* one write each */
        char *whole = scratch_read(f->client, "lock"), *torn = strdup(whole);
        size_t newest = strncmp(whole, whole + 64, 32) > 0 ? 0 : 64; /* digits of equal length */
        memset(torn + newest + 3 * i, 'x', 64 - 3 * i - 1);
        scratch_write(f->client, "lock", torn);
        expect(f, f->client, false);
        free(whole);
        free(torn);
    }
}

/* ---- File systems ---- */

static void missing_file_identity_is_reported(void **state)
{
    struct fixture *f = *state;
    enum { BIRTH = STATX_BTIME };
    static const struct {
        unsigned long magic;
        unsigned hidden;
        nacre_mark mark;
        const char *says;
    } rows[] = {
        { EXT4_SUPER_MAGIC, 0, NACRE_MARK_FULL, NULL },
        { EXT4_SUPER_MAGIC, BIRTH, NACRE_MARK_NO_BIRTH, "no time of birth" }, /* inodes of 128 bytes */
        { BTRFS_SUPER_MAGIC, 0, NACRE_MARK_FULL, NULL },
        { 0x794c7630, 0, NACRE_MARK_FULL, NULL }, /* overlayfs */
        { 0x794c7630, BIRTH, NACRE_MARK_NONE, "is not noticed" },
        { 0x6969, 0, NACRE_MARK_NO_BIRTH, "no time of birth" }, /* NFS */
        { 0x4d44, 0, NACRE_MARK_NONE, "is not noticed" },       /* FAT */
        { 0x65735546, 0, NACRE_MARK_NONE, "is not noticed" },   /* FUSE */
    };
    need_births(f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nacre_directory_info info;
        seen.magic = rows[i].magic;
        seen.hidden = rows[i].hidden;
        scratch_unlink(f->client, "sequence.json");
        use_here(f, f->client); /* a state without identity is accepted too */
        assert_int_equal(nacre_mark_at(f->client), rows[i].mark);
        assert_int_equal(nacre_directory_read(&info, f->client, false, NULL), NACRE_OK);
        assert_int_equal(info.mark, rows[i].mark);
        const char *text = nacre_mark_text(rows[i].mark);
        assert_int_equal(text == NULL, rows[i].says == NULL);
        if (text != NULL) assert_non_null(strstr(text, rows[i].says));
        char *old = scratch_read(f->client, "sequence.json");
        use_here(f, f->client);
        scratch_write(f->client, "sequence.json", old); /* over the file in place: the count reveals it everywhere */
        expect(f, f->client, true);
        free(old);
    }
}

/* A Btrfs snapshot has the inode numbers and times of its origin, and another f_fsid. On other file systems f_fsid may
 * change. */
static void a_subvolume_snapshot_is_another_identity(void **state)
{
    struct fixture *f = *state;
    need_births(f); /* this state has no f_fsid, as older versions wrote it */
    static const struct {
        unsigned long magic;
        bool refused;
    } rows[] = { { BTRFS_SUPER_MAGIC, true }, { EXT4_SUPER_MAGIC, false }, { 0x58465342, false } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        seen.magic = rows[i].magic;
        seen.fsid = 5;
        use_here(f, f->client);
        expect(f, f->client, false);
        seen.fsid = 6;
        expect(f, f->client, rows[i].refused);
        seen.magic = 0;
        scratch_unlink(f->client, "sequence.json");
        use_here(f, f->client);
    }
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, directories_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_restored_snapshot_of_hard_links_is_refused),
        ROW(a_snapshot_with_no_write_after_it_is_a_copy),
        ROW(verdicts_on_the_count_match_the_rows),
        ROW(an_unused_state_restored_over_a_used_one_is_refused),
        ROW(another_programs_state_is_accepted_above_the_count),
        ROW(an_old_state_is_refused_when_the_count_restarted),
        ROW(a_torn_count_is_the_one_before),
        ROW(missing_file_identity_is_reported),
        ROW(a_subvolume_snapshot_is_another_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) /* where files have no birth time, copies are not detected */
{
    return 0;
}
#endif
