/* SPDX-License-Identifier: MIT */
/* serve_check: see serve_check.h. */
#include "serve_check.h"
#include "check_twins.h"
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct checked {
    const serve_settings *s;
    nacre_credentials *credentials; /* NULL: none */
    char **paths;                   /* of directories, borrowed */
    int num_paths, cap_paths;
    size_t num_contexts, num_problems;
} checked;

static void problem(checked *c, const char *text)
{
    c->num_problems++;
    (void)tool_fail("serve", NACRE_OK, "%s", text);
}

static void add_path(checked *c, char *path)
{
    if (c->num_paths == c->cap_paths) {
        const int cap = c->cap_paths > 0 ? 2 * c->cap_paths : 16;
        char **paths = realloc(c->paths, (size_t)cap * sizeof *paths);
        if (paths == NULL) {
            problem(c, "out of memory");
            return;
        }
        c->paths = paths;
        c->cap_paths = cap;
    }
    c->paths[c->num_paths++] = path;
}

/* ---- Contexts ------------------------------------------------------------------------------------------------------------- */

static void check_directory(checked *c, const char *path, nacre_role role)
{
    nacre_directory_info info;
    nacre_detail why = { "" }, text;
    struct stat st;
    if (nacre_directory_read_as(&info, path, role, false, &why) != NACRE_OK) {
        problem(c, why.text);
        return;
    }
    c->num_contexts++;
    if (info.elsewhere) {
        (void)snprintf(text.text, sizeof text.text, "%s: a copy, or restored from a backup: nacre adopt %s", path,
                       path);
        problem(c, text.text);
    }
    if (access(path, W_OK) != 0 || (stat(path, &st) == 0 && (st.st_mode & 022) != 0)) {
        (void)snprintf(text.text, sizeof text.text, "%s: it is to be writable for this user, and for no other: %o",
                       path, stat(path, &st) == 0 ? (unsigned)st.st_mode & 07777 : 0);
        problem(c, text.text);
    }
}

static void check_directories(checked *c)
{
    size_t cursor = 0;
    nacre_credential entry;
    nacre_detail why = { "" };
    const serve_settings *s = c->s;
    for (size_t i = 0; i < s->num_contexts; i++) {
        check_directory(c, s->contexts[i], s->role);
        add_path(c, s->contexts[i]);
    }
    if (s->credentials == NULL) return;
    if (nacre_credentials_load(&c->credentials, s->credentials, &why) != NACRE_OK) {
        problem(c, why.text);
        return;
    }
    while (nacre_credentials_next(c->credentials, &entry, &cursor)) {
        if (entry.kind != NACRE_CREDENTIAL_DIRECTORY) continue;
        int i = 0;
        while (i < c->num_paths && strcmp(c->paths[i], entry.directory) != 0) i++;
        if (i < c->num_paths) continue; /* one directory may have several names */
        check_directory(c, entry.directory, entry.role != NACRE_ROLE_NONE ? entry.role : s->role);
        add_path(c, (char *)entry.directory);
    }
}

static void on_problem(void *user, const char *text)
{
    problem(user, text);
}

static void check_database(checked *c)
{
    uint8_t kek[NACRE_SQLITE_KEK];
    nacre_crypto crypto = { .ops = NULL };
    nacre_detail why = { "" };
    nacre_sqlite_config config = nacre_sqlite_config_default();
    nacre_err err = NACRE_OK;
    const serve_settings *s = c->s;
    if (s->database == NULL) return;
    if (s->kek != NULL) err = tool_kek(&config.kek, kek, s->kek, &why);
    if (err == NACRE_OK && (err = nacre_openssl_open(&crypto)) != NACRE_OK)
        (void)snprintf(why.text, sizeof why.text, "cannot use OpenSSL: %s", nacre_err_text(err));
    if (err == NACRE_OK) err = nacre_sqlite_check(s->database, &config, &crypto, on_problem, c, NULL, &why);
    if (err != NACRE_OK) problem(c, why.text);
    if (crypto.ops != NULL) nacre_openssl_close(&crypto);
    nacre_wipe(kek, sizeof kek);
}

/* RFC 8613 3.3: no two contexts have a key in common. */
static void check_twins(checked *c)
{
    tool_twins twins;
    nacre_detail text;
    bool is_certain;
    if (c->s->database != NULL) add_path(c, c->s->database);
    if (tool_twins_collect(&twins, c->num_paths, c->paths, c->s->role) != NACRE_OK) {
        problem(c, "out of memory");
        return;
    }
    for (int i = 0; i < c->num_paths; i++)
        for (size_t cursor = 0; tool_twins_next(&twins, i, &cursor, &is_certain, &text);)
            if (is_certain && !tool_twins_is_mirror(&twins, cursor)) {
                char line[sizeof text.text + 512];
                (void)snprintf(line, sizeof line, "%.400s: %s", c->paths[i], text.text);
                problem(c, line);
            }
    tool_twins_free(&twins);
}

/* ---- The rest --------------------------------------------------------------------------------------------------------------- */

static void check_root(checked *c)
{
    char line[1200];
    const char *root = c->s->root;
    if (root == NULL) return;
    const int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    line[0] = '\0';
    if (fd < 0) (void)snprintf(line, sizeof line, "%s: %s", root, strerror(errno));
    else if (serve_holds_context(fd))
        (void)snprintf(line, sizeof line, "%s: it holds a security context, whose secret would be served", root);
    else if (c->s->writable && access(root, W_OK) != 0)
        (void)snprintf(line, sizeof line, "%s: it is not writable for this user", root);
    if (line[0] != '\0') problem(c, line);
    if (fd >= 0) (void)close(fd);
}

static void check_address(checked *c)
{
    nacre_address address;
    nacre_detail why = { "" };
    if (c->s->bind != NULL && nacre_address_resolve(&address, c->s->bind, 5683, &why) != NACRE_OK) problem(c, why.text);
}

static bool is_known(const checked *c, const char *name, size_t len)
{
    size_t cursor = 0;
    nacre_credential entry;
    for (size_t i = 0; i < c->s->num_contexts; i++)
        if (strlen(c->s->contexts[i]) == len && memcmp(c->s->contexts[i], name, len) == 0) return true;
    while (c->credentials != NULL && nacre_credentials_next(c->credentials, &entry, &cursor))
        if (strlen(entry.name) == len && memcmp(entry.name, name, len) == 0) return true;
    return c->s->database != NULL; /* names in databases may be added later */
}

static void check_rights(checked *c)
{
    size_t cursor = 0, len = 0;
    for (const char *name; (name = serve_rights_next_name(c->s->rights, &cursor, &len)) != NULL;) {
        char line[512];
        if (is_known(c, name, len)) continue;
        (void)snprintf(line, sizeof line, "rights: peers: no context has the name '%.*s'", (int)(len < 200 ? len : 200),
                       name);
        problem(c, line);
    }
}

bool serve_check_file(const char *path)
{
    struct stat st;
    return stat(path, &st) != 0 || (st.st_mode & 022) == 0;
}

static void check_file(checked *c)
{
    char line[1200];
    if (serve_check_file(c->s->config)) return;
    (void)snprintf(line, sizeof line, "%s: " SERVE_CHECK_OPEN, c->s->config);
    problem(c, line);
}

int serve_check(const serve_settings *s)
{
    checked c = { .s = s };
    check_file(&c);
    check_address(&c);
    check_directories(&c);
    check_database(&c);
    check_twins(&c);
    check_root(&c);
    check_rights(&c);
    nacre_credentials_free(c.credentials);
    free(c.paths);
    if (c.num_problems > 0) return TOOL_USAGE;
    printf("%s: no problems found; %zu context director%s%s\n", s->config, c.num_contexts,
           c.num_contexts == 1 ? "y" : "ies", s->database != NULL ? " and a database" : "");
    return tool_flush("serve");
}
