/* SPDX-License-Identifier: MIT */
/* serve_rights: see serve_rights.h. Paths are compared by decoded segments, so that no encoding of a path has other rights. */
#include "serve_rights.h"
#include "base/hosted/detail.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SEGMENT = 255, MAX_ROWS = 4096 };

typedef struct right {
    char *peers, *paths; /* entries end with a newline */
    uint32_t methods;    /* bit 1 << code */
} right;

struct serve_rights {
    right *rows;
    size_t num;
};

/* ---- Entries ------------------------------------------------------------------------------------------------------------ */

/* The next entry of a list and its length; NULL: no more. */
static const char *entry(const char **at, size_t *len, const char *separators)
{
    *at += strspn(*at, separators);
    if (**at == '\0') return NULL;
    const char *found = *at;
    *len = strcspn(found, separators);
    *at += *len;
    return found;
}

static bool is_word(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

enum {
    READ = 1 << NACRE_GET | 1 << NACRE_FETCH,
    WRITE = 1 << NACRE_POST | 1 << NACRE_PUT | 1 << NACRE_DELETE | 1 << NACRE_PATCH | 1 << NACRE_IPATCH,
};

static nacre_err parse_methods(uint32_t *methods, const char *text, nacre_detail *why)
{
    static const struct {
        const char *word;
        uint32_t bits;
    } words[] = { { "GET", 1 << NACRE_GET },
                  { "POST", 1 << NACRE_POST },
                  { "PUT", 1 << NACRE_PUT },
                  { "DELETE", 1 << NACRE_DELETE },
                  { "FETCH", 1 << NACRE_FETCH },
                  { "PATCH", 1 << NACRE_PATCH },
                  { "iPATCH", 1 << NACRE_IPATCH },
                  { "read", READ },
                  { "write", WRITE },
                  { "*", READ | WRITE } };
    size_t len = 0;
    *methods = 0;
    for (const char *word; (word = entry(&text, &len, " \n")) != NULL;) {
        size_t i = 0;
        while (i < sizeof words / sizeof words[0] && !is_word(word, len, words[i].word)) i++;
        if (i == sizeof words / sizeof words[0])
            return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT,
                               "method '%.*s': give GET, POST, PUT, DELETE, FETCH, PATCH, iPATCH, read, write or *",
                               (int)(len < 32 ? len : 32), word);
        *methods |= words[i].bits;
    }
    return *methods != 0 ? NACRE_OK : nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "give methods");
}

/* ---- Paths ------------------------------------------------------------------------------------------------------------- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* A decoded segment; -1: not well-formed, or too long. */
static int decode(char out[MAX_SEGMENT + 1], const char *text, size_t len)
{
    int used = 0;
    for (size_t i = 0; i < len; i++) {
        if (used == MAX_SEGMENT) return -1;
        if (text[i] != '%') {
            out[used++] = text[i];
            continue;
        }
        const int high = i + 2 < len ? hex_value(text[i + 1]) : -1, low = i + 2 < len ? hex_value(text[i + 2]) : -1;
        if (high < 0 || low < 0) return -1;
        out[used++] = (char)(high * 16 + low);
        i += 2;
    }
    out[used] = '\0';
    return used;
}

static bool is_dots(const char *segment, int len)
{
    return (len == 1 && segment[0] == '.') || (len == 2 && segment[0] == '.' && segment[1] == '.');
}

/* The next segment of a path of `len` bytes that starts with '/'; false: no more. A last empty segment is none. */
static bool next_segment(const char **at, size_t *left, const char **segment, size_t *segment_len)
{
    if (*left <= 1) return false; /* nothing, or a last '/' */
    *segment = *at + 1;
    *segment_len = 0;
    while (*segment_len < *left - 1 && (*segment)[*segment_len] != '/') ++*segment_len;
    *at += *segment_len + 1;
    *left -= *segment_len + 1;
    return true;
}

static nacre_err check_pattern(const char *pattern, size_t len, nacre_detail *why)
{
    char decoded[MAX_SEGMENT + 1];
    const char *at = pattern, *segment;
    const char *wrong = *pattern != '/' ? "it starts with '/'" : NULL;
    size_t left = len, num = 0;
    while (wrong == NULL && next_segment(&at, &left, &segment, &num)) {
        const int used = decode(decoded, segment, num);
        if (used < 0) wrong = "a segment has up to 255 bytes, and '%' two hex digits after it";
        else if (used == 0) wrong = "it has an empty segment";
        else if (is_dots(decoded, used)) wrong = "'.' and '..' are no segments of a path";
        else if (memchr(segment, '?', num) != NULL || memchr(segment, '#', num) != NULL)
            wrong = "'?' is written %3F, and '#' %23";
        else if (is_word(segment, num, "**") && left > 1) wrong = "'**' is the last segment";
        else if (memchr(segment, '*', num) != NULL && !is_word(segment, num, "*") && !is_word(segment, num, "**"))
            wrong = "'*' stands for a whole segment; as a character it is written %2A";
    }
    if (wrong == NULL) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "path '%.*s': %s", (int)(len < 100 ? len : 100), pattern, wrong);
}

static nacre_err check_paths(const char *paths, nacre_detail *why)
{
    size_t len = 0, num = 0;
    for (const char *pattern; (pattern = entry(&paths, &len, " \n")) != NULL; num++) {
        const nacre_err err = check_pattern(pattern, len, why);
        if (err != NACRE_OK) return err;
    }
    return num > 0 ? NACRE_OK : nacre__fail(why, NACRE_ERR_BAD_ARGUMENT, "give paths");
}

static bool matches(const char *pattern, size_t pattern_len, const char *path)
{
    char wanted[MAX_SEGMENT + 1], got[MAX_SEGMENT + 1];
    const char *of_pattern, *of_path;
    size_t path_len = strlen(path), n = 0, m = 0;
    while (next_segment(&pattern, &pattern_len, &of_pattern, &n)) {
        if (is_word(of_pattern, n, "**")) return true;
        if (!next_segment(&path, &path_len, &of_path, &m)) return false;
        if (is_word(of_pattern, n, "*") && m > 0) continue;
        const int a = decode(wanted, of_pattern, n), b = decode(got, of_path, m);
        if (a != b || a < 0 || memcmp(wanted, got, (size_t)a) != 0) return false;
    }
    return !next_segment(&path, &path_len, &of_path, &m);
}

static bool is_with_dots(const char *path)
{
    char decoded[MAX_SEGMENT + 1];
    const char *segment;
    size_t left = strlen(path), len = 0;
    while (next_segment(&path, &left, &segment, &len)) {
        const int used = decode(decoded, segment, len);
        if (used < 0 || is_dots(decoded, used)) return true;
    }
    return false;
}

/* ---- Rows -------------------------------------------------------------------------------------------------------------- */

serve_rights *serve_rights_new(void)
{
    return calloc(1, sizeof(serve_rights));
}

void serve_rights_free(serve_rights *rights)
{
    for (size_t i = 0; rights != NULL && i < rights->num; i++) {
        free(rights->rows[i].peers);
        free(rights->rows[i].paths);
    }
    if (rights != NULL) free(rights->rows);
    free(rights);
}

static nacre_err keep_row(serve_rights *rights, const char *peers, uint32_t methods, const char *paths)
{
    right *rows = realloc(rights->rows, (rights->num + 1) * sizeof *rows);
    if (rows == NULL) return NACRE_ERR_NO_MEMORY;
    rights->rows = rows;
    right *made = &rows[rights->num];
    *made = (right){ strdup(peers), strdup(paths), methods };
    if (made->peers != NULL && made->paths != NULL) {
        rights->num++;
        return NACRE_OK;
    }
    free(made->peers);
    free(made->paths);
    return NACRE_ERR_NO_MEMORY;
}

nacre_err serve_rights_add(serve_rights *rights, const char *peers, const char *methods, const char *paths,
                           nacre_detail *why)
{
    uint32_t bits = 0;
    const nacre_err bad = NACRE_ERR_BAD_ARGUMENT;
    if (peers == NULL || peers[strspn(peers, "\n")] == '\0') return nacre__fail(why, bad, "give peers");
    if (methods == NULL || paths == NULL) return nacre__fail(why, bad, "give methods and paths");
    if (rights->num == MAX_ROWS) return nacre__fail(why, bad, "more than %d rows", (int)MAX_ROWS);
    nacre_err err = parse_methods(&bits, methods, why);
    if (err == NACRE_OK) err = check_paths(paths, why);
    if (err != NACRE_OK) return err;
    err = keep_row(rights, peers, bits, paths);
    return err == NACRE_OK ? err : nacre__fail(why, err, "out of memory");
}

bool serve_rights_equal(const serve_rights *a, const serve_rights *b)
{
    if (a == NULL || b == NULL || a->num != b->num) return a == b;
    for (size_t i = 0; i < a->num; i++) {
        const right *x = &a->rows[i], *y = &b->rows[i];
        if (x->methods != y->methods || strcmp(x->peers, y->peers) != 0 || strcmp(x->paths, y->paths) != 0)
            return false;
    }
    return true;
}

/* ---- Deciding ----------------------------------------------------------------------------------------------------------- */

static bool is_one_of(const char *name, size_t len, const char *const *claims)
{
    for (; claims != NULL && *claims != NULL; claims++)
        if (is_word(name, len, *claims)) return true;
    return false;
}

static bool is_for(const right *row, bool is_protected, const char *const *claims)
{
    const char *at = row->peers;
    size_t len = 0;
    for (const char *name; (name = entry(&at, &len, "\n")) != NULL;) {
        if (is_word(name, len, "anonymous")) {
            if (!is_protected) return true;
        } else if (is_protected && (is_word(name, len, "*") || is_one_of(name, len, claims))) {
            return true;
        }
    }
    return false;
}

bool serve_rights_has_anonymous(const serve_rights *rights)
{
    for (size_t i = 0; rights != NULL && i < rights->num; i++)
        if (is_for(&rights->rows[i], false, NULL)) return true;
    return false;
}

static bool has_path(const right *row, const char *path)
{
    const char *at = row->paths;
    size_t len = 0;
    for (const char *pattern; (pattern = entry(&at, &len, " \n")) != NULL;)
        if (matches(pattern, len, path)) return true;
    return false;
}

bool serve_rights_allow(const serve_rights *rights, bool is_protected, const char *const *claims, uint8_t method,
                        const char *path)
{
    if (method > 31 || is_with_dots(path)) return false;
    for (size_t i = 0; i < rights->num; i++) {
        const right *row = &rights->rows[i];
        if ((row->methods >> method & 1) != 0 && is_for(row, is_protected, claims) && has_path(row, path)) return true;
    }
    return false;
}

const char *serve_rights_next_name(const serve_rights *rights, size_t *cursor, size_t *len)
{
    size_t skipped = 0;
    for (size_t i = 0; rights != NULL && i < rights->num; i++) {
        const char *at = rights->rows[i].peers;
        for (const char *name; (name = entry(&at, len, "\n")) != NULL;) {
            if (is_word(name, *len, "*") || is_word(name, *len, "anonymous") || skipped++ < *cursor) continue;
            ++*cursor;
            return name;
        }
    }
    return NULL;
}
