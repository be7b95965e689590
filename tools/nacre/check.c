/* SPDX-License-Identifier: MIT */
/* check: errors and risks in context directories and databases. It changes nothing and takes no lock. */
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check_twins.h"
#include "store/directory/settings.h"
#include "store/directory/directory_read.h"
#include "base/hosted/detail.h"
#include "store/lock/lock.h"
#include "store/file/files.h"
#include "store/directory/moved.h"
#include "store/json/text.h"
#include "options.h"
#include "suggest.h"
#include "tool.h"

enum { MAX_SIZE = 64 * 1024, SHORT_SECRET = 16, SMALL_WINDOW = 8 };

enum level { NOTE, WARNING, ERROR, NUM_LEVELS };
static const char *const level_names[NUM_LEVELS] = { "note", "warning", NULL };
static const char *const list_names[NUM_LEVELS] = { "notes", "warnings", "errors" };

struct check {
    const char *path;
    nacre_role role;
    bool json;
    nacre__dirfd dirfd;
    bool in_use;
    nacre_mark mark;
    unsigned num[NUM_LEVELS];
    nacre__text lists[NUM_LEVELS]; /* for JSON: the strings, with commas between */
};

static int help(void)
{
    printf("Usage: nacre check [--json] [--role ROLE] DIR|DB...\n"
           "Report errors in context directories and databases: unreadable or invalid files, unknown members, secrets\n"
           "that are short or that others can read, an unknown window, files left by a crash, a state that is\n"
           "missing, was copied or put back. All arguments are compared: two with the same Sender Key or Recipient\n"
           "Key, such as a directory and its copy, must not both be used; contexts of a database whose keys are\n"
           "encrypted are not compared (nacre fleet check has --kek). Nothing is changed. Alone, a copy of a\n"
           "directory that was never used, and an image of a whole file system, look like the original.\n\n"
           "  --json        as JSON: one object for each directory\n"
           "  --role ROLE   client or server: the side of a directory in the legacy layout (default: either)\n"
           "  --help        this text\n\n"
           "Exit codes: 0 no errors, though maybe warnings; 5 errors.\n");
    return tool_flush("check");
}

/* A finding with `is_told` was printed before: it is added to the list only. */
static void add_told(struct check *c, enum level level, const char *text, bool is_told)
{
    if (c->num[level]++ > 0) nacre__text_put(&c->lists[level], ", ");
    nacre__text_put_string(&c->lists[level], text);
    if (c->json || is_told) return;
    if (level == ERROR) printf("%s\n", text);
    else printf("%s (%s)\n", text, level_names[level]);
}

static void add(struct check *c, enum level level, const char *text)
{
    add_told(c, level, text, false);
}

/* "DIR/FILE: …", or "DIR: …" without a file. */
static void find(struct check *c, enum level level, const char *file, const char *format, ...) NACRE_PRINTF(4, 5);
static void find(struct check *c, enum level level, const char *file, const char *format, ...)
{
    char text[400];
    nacre_detail whole;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)nacre__fail(&whole, NACRE_OK, "%s%s%s: %s", c->path, file != NULL ? "/" : "", file != NULL ? file : "", text);
    add(c, level, whole.text);
}

/* ---- The files ---- */

static void check_mode(struct check *c, const char *file, bool secret)
{
    struct stat st;
    if (fstatat(c->dirfd.fd, file, &st, 0) != 0) return; /* for a symbolic link: the target */
    if (secret && (st.st_mode & 077) != 0)
        find(c, WARNING, file, "holds the secret, and has mode %03o; only its owner should read it (chmod 600)",
             (unsigned)st.st_mode & 0777);
    else if ((st.st_mode & 022) != 0)
        find(c, WARNING, file, "has mode %03o: others can change it (chmod go-w)", (unsigned)st.st_mode & 0777);
}

static bool is_secret(const char *name)
{
    return strcmp(name, "secret_hex") == 0 || strcmp(name, "secret_ascii") == 0;
}

/* Edit distance: letters inserted, removed or replaced; above MAX_TYPOS the value is not exact. */
enum { MAX_TYPOS = 2, MAX_TYPED = 40 };
static size_t typos(const char *a, const char *b)
{
    size_t row[MAX_TYPED + 1], a_len = strlen(a), b_len = strlen(b);
    if (a_len > MAX_TYPED || b_len > MAX_TYPED) return MAX_TYPOS + 1;
    for (size_t j = 0; j <= b_len; j++) row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t above_left = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t changed = above_left + (a[i - 1] != b[j - 1]), put_in = row[j - 1] + 1, left_out = row[j] + 1;
            above_left = row[j];
            row[j] = changed < put_in ? changed : put_in;
            if (left_out < row[j]) row[j] = left_out;
        }
    }
    return row[b_len];
}

/* The known member nearest to an unknown one, with its suffix; "" when none is near. */
static void find_meant(char meant[64], const char *member)
{
    static const char *const suffixes[] = { "_hex", "_ascii", "" };
    const char *name;
    size_t least = MAX_TYPOS + 1;
    meant[0] = '\0';
    for (size_t i = 0; (name = nacre__setting_name(i)) != NULL; i++)
        for (size_t k = 0; k < sizeof suffixes / sizeof suffixes[0]; k++) {
            char whole[64];
            snprintf(whole, sizeof whole, "%s%s", name, suffixes[k]);
            size_t distance = typos(member, whole);
            if (distance >= least || distance * 2 >= strlen(whole)) continue;
            least = distance;
            snprintf(meant, 64, "%s", whole);
        }
}

static void check_member(struct check *c, const char *file, const nacre__json *m)
{
    char meant[64];
    if (nacre__setting_is_known(m->name)) return;
    find_meant(meant, m->name);
    if (meant[0] != '\0')
        find(c, WARNING, file, "line %zu: \"%.80s\" means nothing, and is passed over; did you mean \"%s\"?", m->line,
             m->name, meant);
    else find(c, WARNING, file, "line %zu: \"%.80s\" means nothing, and is passed over", m->line, m->name);
}

static void check_members(struct check *c, const char *file, const nacre__json *root)
{
    bool secret = false;
    if (root->type != NACRE__JSON_OBJECT) return; /* reported by loading */
    for (const nacre__json *m = root->first; m != NULL; m = m->next) {
        secret = secret || is_secret(m->name);
        check_member(c, file, m);
    }
    check_mode(c, file, secret);
}

/* Unreadable and invalid files are reported by loading. */
static void check_file(struct check *c, const char *name)
{
    bool found = false;
    nacre__file file;
    nacre__json_doc doc;
    if (nacre__file_read(&file, &found, &c->dirfd, name, MAX_SIZE, NULL) != NACRE_OK || !found) return;
    if (nacre__json_parse(&doc, nacre_bytes_of(file.ptr, file.len), name, NACRE_ERR_BAD_CONTEXT, NULL) == NACRE_OK) {
        check_members(c, name, doc.root);
        nacre__json_free(&doc);
    }
    nacre__file_free(&file);
}

/* Temporary files of writes that a crash interrupted. While another program uses the directory, one may be in progress. */
static void check_leftovers(struct check *c)
{
    static const char *const prefixes[] = { ".sequence-", ".secret-", ".secrets-", ".settings-" };
    int fd = openat(c->dirfd.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 && !c->in_use ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0) close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
            if (strncmp(entry->d_name, prefixes[i], strlen(prefixes[i])) == 0)
                find(c, WARNING, entry->d_name, "left behind by a write that was broken off; it can be removed");
    closedir(dir);
}

static void check_lock(struct check *c)
{
    nacre_detail why;
    nacre_err err = nacre__lock_probe(&c->dirfd, &why);
    c->in_use = err == NACRE_ERR_LOCKED;
    if (err != NACRE_OK) add(c, c->in_use ? NOTE : ERROR, why.text);
}

/* ---- Content ---- */

static void check_info(struct check *c, const nacre_directory_info *info)
{
    if (info->secret_len < SHORT_SECRET)
        find(c, WARNING, NULL, "the secret has %zu byte%s; %d or more are advised", info->secret_len,
             info->secret_len == 1 ? "" : "s", (int)SHORT_SECRET);
    if (info->window < SMALL_WINDOW)
        find(c, WARNING, NULL, "a window of %u refuses messages that arrive out of order; 32 is usual",
             (unsigned)info->window);
    if (info->next_to_send > NACRE_SEQ_MAX)
        find(c, WARNING, "sequence.json", "no sequence number is left: new keys are needed");
    if (info->elsewhere)
        find(c, ERROR, "sequence.json",
             "was copied, edited or put back: this is not the file that the state was written to, and numbers may have "
             "been used since; make new keys (nacre keygen), or run nacre adopt if none was used");
    if (!info->sequence_required && info->has_state)
        find(c, NOTE, NULL,
             "should sequence.json be lost, numbers would be used again; \"sequence-required\": true in settings.json "
             "refuses that");
    if (!info->window_known && !c->in_use)
        find(c, WARNING, "sequence.json",
             "the replay window is unknown, as after a crash or nacre adopt: the next request received gets an Echo "
             "challenge");
}

/* A directory of the legacy layout without a role is valid when it is valid in one of the roles. */
static nacre_err load(struct check *c, nacre_directory_info *info, nacre_detail *why)
{
    nacre_layout layout = NACRE_LAYOUT_NEWEST;
    nacre_err err = nacre__directory_layout(&layout, &c->dirfd, why);
    if (err != NACRE_OK) return err;
    if (layout == NACRE_LAYOUT_NEWEST || c->role != NACRE_ROLE_NONE)
        return nacre_directory_read_as(info, c->path, c->role, true, why);
    err = nacre_directory_read_as(info, c->path, NACRE_ROLE_CLIENT, true, why);
    if (err != NACRE_OK && nacre_directory_read_as(info, c->path, NACRE_ROLE_SERVER, true, NULL) == NACRE_OK)
        err = NACRE_OK;
    return err;
}

static void check_twins(struct check *c)
{
    struct stat st;
    if (fstatat(c->dirfd.fd, "secret.json", &st, 0) == 0 && fstatat(c->dirfd.fd, "secrets.json", &st, 0) == 0)
        find(c, NOTE, "secrets.json", "is read beside secret.json; aiocoap reads secret.json only");
}

/* Where copies are not detected, "ok" would promise too much. */
static void check_mark(struct check *c, nacre_mark mark)
{
    c->mark = mark;
    if (nacre_mark_text(mark) != NULL) find(c, WARNING, NULL, "%s", nacre_mark_text(mark));
}

static void check_open(struct check *c)
{
    nacre_directory_info info;
    nacre_detail why;
    if (nacre__moved_check(&c->dirfd, &why) != NACRE_OK) { /* further findings are irrelevant */
        add(c, ERROR, why.text);
        return;
    }
    check_lock(c);
    for (size_t i = 0; i < NACRE__SETTINGS_FILES; i++) check_file(c, nacre__settings_files[i]);
    check_twins(c);
    check_mode(c, "sequence.json", false);
    check_leftovers(c);
    if (load(c, &info, &why) != NACRE_OK) {
        add(c, ERROR, why.text);
        return;
    }
    check_info(c, &info);
    check_mark(c, info.mark);
    nacre_wipe(&info, sizeof info);
}

/* ---- Databases ---- */

static void on_problem(void *user, const char *text)
{
    add(user, ERROR, text);
}

static void check_database(struct check *c)
{
    nacre_crypto crypto;
    nacre_detail why;
    nacre_err err = nacre_openssl_open(&crypto);
    if (err != NACRE_OK) {
        add(c, ERROR, nacre_err_text(err));
        return;
    }
    err = nacre_sqlite_check(c->path, NULL, &crypto, on_problem, c, NULL, &why);
    nacre_openssl_close(&crypto);
    if (err != NACRE_OK) add(c, ERROR, why.text);
    c->mark = NACRE_MARK_FULL; /* another one is among the problems */
}

/* ---- Command ---- */

enum { MOST_TWINS = 8 }; /* of a database compared with its copy: findings printed one by one */

static void check_keys(struct check *c, const tool_twins *twins, int number)
{
    size_t cursor = 0, num = 0;
    bool is_certain;
    nacre_detail text;
    for (; tool_twins_next(twins, number, &cursor, &is_certain, &text); num++)
        if (num < MOST_TWINS) add_told(c, is_certain ? ERROR : WARNING, text.text, tool_twins_is_mirror(twins, cursor));
    if (num > MOST_TWINS)
        find(c, ERROR, NULL, "%zu more of its contexts share a key with another one", num - MOST_TWINS);
}

static void print_json(struct check *c)
{
    nacre__text path = { NULL, 0, 0, false };
    bool fits = nacre__utf8_valid(nacre_bytes_of((const uint8_t *)c->path, strlen(c->path)));
    nacre__text_put_string(&path, fits ? c->path : "?");
    printf("{\"path\": %s, \"ok\": %s", path.ptr != NULL ? path.ptr : "\"?\"", c->num[ERROR] == 0 ? "true" : "false");
    for (int level = ERROR; level >= NOTE; level--)
        printf(", \"%s\": [%s]", list_names[level], c->lists[level].ptr != NULL ? c->lists[level].ptr : "");
    printf("}");
    nacre__text_free(&path);
}

/* True when the path has no errors. `number` is its index among the arguments. */
static bool check(const char *path, nacre_role role, bool json, const tool_twins *twins, int number)
{
    struct check c = { .path = path, .role = role, .json = json };
    nacre_detail why;
    struct stat st;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) check_database(&c);
    else if (nacre__dirfd_open(&c.dirfd, path, &why) != NACRE_OK) add(&c, ERROR, why.text);
    else {
        check_open(&c);
        nacre__dirfd_close(&c.dirfd);
    }
    check_keys(&c, twins, number);
    if (json) print_json(&c);
    else if (c.num[ERROR] == 0 && c.mark == NACRE_MARK_FULL) printf("%s: ok\n", path);
    for (size_t i = 0; i < NUM_LEVELS; i++) nacre__text_free(&c.lists[i]);
    return c.num[ERROR] == 0;
}

static int check_all(int num, char **paths, nacre_role role, bool json)
{
    int bad = 0;
    tool_twins twins;
    nacre_err err = tool_twins_collect(&twins, num, paths, role);
    if (err != NACRE_OK) return tool_fail("check", err, "cannot compare the contexts: %s", nacre_err_text(err));
    if (json) printf("[");
    for (int i = 0; i < num; i++) {
        if (json && i > 0) printf(",\n ");
        bad += !check(paths[i], role, json, &twins, i);
    }
    tool_twins_free(&twins);
    if (json) printf("]\n");
    int code = tool_flush("check");
    if (code != TOOL_OK || bad == 0) return code;
    return tool_fail("check", NACRE_ERR_BAD_CONTEXT, "%d of %d %s errors", bad, num,
                     num == 1 ? "directory has" : "directories have");
}

int tool_check(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "json", no_argument, NULL, 'j' },
        { "role", required_argument, NULL, 'r' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    nacre_role role = NACRE_ROLE_NONE;
    bool json = false;
    if (tool_options_once(argc, argv, ":h", long_options, 0) != TOOL_OK) return TOOL_USAGE;
    for (int c; (c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1;) {
        switch (c) {
        case 'h': return help();
        case 'j': json = true; break;
        case 'r':
            if (tool_role("check", &role, optarg) != TOOL_OK) return TOOL_USAGE;
            break;
        case ':': return tool_usage("check", "%s needs a value", argv[optind - 1]);
        default: return tool_bad_option("check", argv[optind - 1], long_options);
        }
    }
    if (optind == argc) return tool_usage("check", "give one directory or database, or more");
    return check_all(argc - optind, argv + optind, role, json);
}
