/* SPDX-License-Identifier: MIT */
/* serve_private: files that are never served, listed or written, because they hold keys or might.
 *
 * By name, ignoring case: the files of context directories, with any prefix or suffix, so that copies and editor
 * backups are covered; and the credentials, database or key in use, with any suffix. By content: databases of contexts,
 * JSON with a context's secret, and libcoap's OSCORE configuration, so that neither another name nor a hard link
 * exposes one. By identity: the credentials, database and key in use. Likewise, by name and identity, the configuration file, which
 * decides about access. */
#include "serve_files.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { LOOK = 4096 }; /* bytes of a file that are examined */

/* ---- By name ---------------------------------------------------------------------------------------------------------- */

static void to_lower(char lower[256], const char *name)
{
    size_t len = 0;
    for (; name[len] != '\0' && len < 255; len++) lower[len] = (char)tolower((unsigned char)name[len]);
    lower[len] = '\0';
}

static bool begins(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* "secret.json", "secrets.json.bak", "secret-old.json", "Copy of secret.json", "#secret.json#", "sequence.json~", "lock". */
static bool is_context_name(const char *name)
{
    const char *secret = strstr(name, "secret");
    const char *start = name[0] == '#' ? name + 1 : name;
    return (secret != NULL && strstr(secret, ".json") != NULL) || begins(start, "settings.json") ||
           begins(start, "sequence.json") || strcmp(name, "lock") == 0;
}

static bool is_derived(const char *name, const char *path)
{
    char used[256];
    if (path == NULL) return false;
    const char *slash = strrchr(path, '/');
    to_lower(used, slash != NULL ? slash + 1 : path);
    return used[0] != '\0' && begins(name[0] == '#' ? name + 1 : name, used);
}

bool serve_is_private_name(const serve_root *root, const char *name)
{
    char lower[256];
    to_lower(lower, name);
    if (is_derived(lower, root->config)) return true;
    return is_context_name(lower) || is_derived(lower, root->credentials) || is_derived(lower, root->database) ||
           is_derived(lower, root->kek);
}

/* ---- By identity and content ------------------------------------------------------------------------------------------ */

static bool is_same_file(const char *path, const struct stat *st)
{
    struct stat used;
    return path != NULL && stat(path, &used) == 0 && used.st_dev == st->st_dev && used.st_ino == st->st_ino;
}

static bool has(const char *text, size_t len, const char *word)
{
    const size_t word_len = strlen(word);
    for (size_t i = 0; i + word_len <= len; i++)
        if (memcmp(text + i, word, word_len) == 0) return true;
    return false;
}

/* A line of libcoap's OSCORE configuration that has a key. */
static bool has_secret_line(const char *text, size_t len)
{
    static const char keyword[] = "master_secret,";
    for (size_t i = 0; i + sizeof keyword - 1 <= len; i++)
        if ((i == 0 || isspace((unsigned char)text[i - 1])) && memcmp(text + i, keyword, sizeof keyword - 1) == 0)
            return true;
    return false;
}

bool serve_is_private(const serve_root *root, int fd, const struct stat *st)
{
    char text[LOOK];
    size_t at = 0;
    if (is_same_file(root->config, st)) return true;
    if (is_same_file(root->credentials, st) || is_same_file(root->database, st) || is_same_file(root->kek, st))
        return true;
    const ssize_t got = pread(fd, text, sizeof text, 0);
    const size_t len = got > 0 ? (size_t)got : 0;
    if (len >= 72 && memcmp(text, "SQLite format 3", 16) == 0 && memcmp(text + 68, "nacr", 4) == 0) return true;
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) at = 3; /* a byte order mark */
    if (has_secret_line(text + at, len - at)) return true;
    while (at < len && isspace((unsigned char)text[at])) at++;
    return at < len && text[at] == '{' && (has(text, len, "\"secret_hex\"") || has(text, len, "\"secret_ascii\""));
}

bool serve_is_private_file(const serve_root *root, int dir, const char *name)
{
    struct stat st;
    const int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const bool found = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && serve_is_private(root, fd, &st);
    if (fd >= 0) (void)close(fd);
    return found;
}
