/* SPDX-License-Identifier: MIT */
/* scratch: files for tests. Any error here is the test's own and ends the program. */
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void require(bool ok, const char *what)
{
    if (ok) return;
    perror(what);
    abort();
}

char *scratch_make(void)
{
    const char *base = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/nacre-test-XXXXXX", base != NULL ? base : "/tmp");
    require(mkdtemp(path) != NULL, path);
    char *copy = strdup(path);
    require(copy != NULL, "strdup");
    return copy;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void scratch_remove(char *path)
{
    require(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0, path);
    free(path);
}

const char *scratch_path(const char *dir, const char *name)
{
    static char paths[8][4096];
    static size_t next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

void scratch_mkdir(const char *dir, const char *name)
{
    require(mkdir(scratch_path(dir, name), 0700) == 0, name);
}

void scratch_write_bytes(const char *dir, const char *name, const void *bytes, size_t len)
{
    FILE *file = fopen(scratch_path(dir, name), "wb");
    require(file != NULL && (len == 0 || fwrite(bytes, 1, len, file) == len) && fclose(file) == 0, name);
}

void scratch_write(const char *dir, const char *name, const char *text)
{
    scratch_write_bytes(dir, name, text, strlen(text));
}

char *scratch_read(const char *dir, const char *name)
{
    enum { MAX = 64 * 1024 };
    FILE *file = fopen(scratch_path(dir, name), "rb");
    if (file == NULL) return NULL;
    char *text = calloc(1, MAX + 1);
    require(text != NULL, name);
    require(fread(text, 1, MAX, file) > 0 || !ferror(file), name);
    fclose(file);
    return text;
}

static void cut_out(char *from, char *to)
{
    memmove(from, to, strlen(to) + 1);
}

char *scratch_state(const char *dir)
{
    char *text = scratch_read(dir, "sequence.json");
    if (text == NULL) return NULL;
    static const char object[] = ", \"nacre\": {", member[] = "\"born\": \"";
    char *identity = strstr(text, member), *end = identity != NULL ? strchr(identity + strlen(member), '"') : NULL;
    if (end == NULL) return text;
    if (end[1] == ',') cut_out(identity, end + strlen("\", "));
    else cut_out(identity - strlen(object), end + strlen("\"}"));
    return text;
}

void scratch_expect(const char *dir, const char *name, const char *wanted)
{
    char *text = strcmp(name, "sequence.json") == 0 ? scratch_state(dir) : scratch_read(dir, name);
    if (wanted == NULL) assert_null(text);
    else {
        assert_non_null(text);
        assert_string_equal(text, wanted);
    }
    free(text);
}

bool scratch_exists(const char *dir, const char *name)
{
    struct stat st;
    return lstat(scratch_path(dir, name), &st) == 0;
}

void scratch_unlink(const char *dir, const char *name)
{
    require(unlink(scratch_path(dir, name)) == 0, name);
}

size_t scratch_count(const char *dir, const char *prefix)
{
    size_t num = 0;
    DIR *d = opendir(dir);
    require(d != NULL, dir);
    for (const struct dirent *entry; (entry = readdir(d)) != NULL;)
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0) num++;
    closedir(d);
    return num;
}
