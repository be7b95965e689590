/* SPDX-License-Identifier: MIT */
/* disk_model: names with their histories, files with two contents, and the states that a power cut can leave. Any error
 * here is the test's own and ends the program. */
#include "disk_model.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct node {
    bool is_directory;
    bool in_place; /* since the last sync, only overwritten in place: from, to */
    size_t from, to;
    size_t len, durable_len;
    uint8_t bytes[DISK_MAX_FILE], durable[DISK_MAX_FILE];
};

/* The values of a name: the first is durable, the last is current. */
struct entry {
    int dir;
    char name[DISK_MAX_NAME];
    size_t num;
    int values[DISK_MAX_HISTORY];
};

struct disk {
    struct node *nodes;
    struct entry *entries;
    size_t num_nodes, cap_nodes, num_entries, cap_entries;
};

static void require(bool ok, const char *what)
{
    if (ok) return;
    perror(what);
    abort();
}

static void *grow(void *old, size_t *cap, size_t needed, size_t size)
{
    if (needed <= *cap) return old;
    *cap = 2 * needed;
    void *grown = realloc(old, *cap * size);
    require(grown != NULL, "disk model: memory");
    return grown;
}

static int new_node(disk *d, bool is_directory)
{
    d->nodes = grow(d->nodes, &d->cap_nodes, d->num_nodes + 1, sizeof *d->nodes);
    memset(&d->nodes[d->num_nodes], 0, sizeof *d->nodes);
    d->nodes[d->num_nodes].is_directory = is_directory;
    return (int)d->num_nodes++;
}

static struct entry *find(const disk *d, int dir, const char *name)
{
    for (size_t i = 0; i < d->num_entries; i++)
        if (d->entries[i].dir == dir && strcmp(d->entries[i].name, name) == 0) return &d->entries[i];
    return NULL;
}

int disk_lookup(const disk *d, int dir, const char *name)
{
    const struct entry *e = find(d, dir, name);
    return e != NULL ? e->values[e->num - 1] : DISK_ABSENT;
}

static struct entry *set_name(disk *d, int dir, const char *name, int node)
{
    struct entry *e = find(d, dir, name);
    if (e == NULL) {
        d->entries = grow(d->entries, &d->cap_entries, d->num_entries + 1, sizeof *d->entries);
        e = &d->entries[d->num_entries++];
        e->dir = dir;
        require((size_t)snprintf(e->name, sizeof e->name, "%s", name) < sizeof e->name, name);
        e->values[0] = DISK_ABSENT;
        e->num = 1;
    }
    require(e->num < DISK_MAX_HISTORY, "disk model: history");
    e->values[e->num++] = node;
    return e;
}

static void make_durable(struct entry *e)
{
    e->values[0] = e->values[e->num - 1];
    e->num = 1;
}

static void sync_directory(disk *d, int dir)
{
    for (size_t i = 0; i < d->num_entries; i++)
        if (d->entries[i].dir == dir) make_durable(&d->entries[i]);
    size_t kept = 0;
    for (size_t i = 0; i < d->num_entries; i++)
        if (d->entries[i].num > 1 || d->entries[i].values[0] != DISK_ABSENT) d->entries[kept++] = d->entries[i];
    d->num_entries = kept;
}

static void sync_file(struct node *n)
{
    memcpy(n->durable, n->bytes, n->len);
    n->durable_len = n->len;
    n->in_place = false;
}

static void write_at(struct node *n, const disk_op *op)
{
    size_t end = op->at + op->len;
    require(end <= DISK_MAX_FILE, "disk model: file");
    bool synced = n->len == n->durable_len && memcmp(n->bytes, n->durable, n->len) == 0;
    bool first = synced && !n->in_place;
    n->in_place = end <= n->durable_len && (synced || n->in_place);
    n->from = first || op->at < n->from ? op->at : n->from;
    n->to = first || end > n->to ? end : n->to;
    if (op->at > n->len) memset(n->bytes + n->len, 0, op->at - n->len);
    memcpy(n->bytes + op->at, op->bytes, op->len);
    if (end > n->len) n->len = end;
}

static void rename_to(disk *d, const disk_op *op, bool at_once)
{
    int node = disk_lookup(d, op->dir, op->name);
    set_name(d, op->to_dir, op->to_name, node);
    set_name(d, op->dir, op->name, DISK_ABSENT);
    if (!at_once) return;
    make_durable(find(d, op->to_dir, op->to_name));
    make_durable(find(d, op->dir, op->name));
}

void disk_apply(disk *d, const disk_op *op, unsigned lies)
{
    struct node *n = op->node >= 0 && (size_t)op->node < d->num_nodes ? &d->nodes[op->node] : NULL;
    switch (op->kind) {
    case DISK_CREATE: set_name(d, op->dir, op->name, new_node(d, false)); break;
    case DISK_MKDIR: set_name(d, op->dir, op->name, new_node(d, true)); break;
    case DISK_APPEND:
        require(n != NULL && n->len + op->len <= DISK_MAX_FILE, "disk model: file");
        memcpy(n->bytes + n->len, op->bytes, op->len);
        n->len += op->len;
        n->in_place = false;
        break;
    case DISK_WRITE:
        require(n != NULL, "disk model: write");
        write_at(n, op);
        break;
    case DISK_TRUNCATE:
        require(n != NULL && op->len <= n->len, "disk model: truncate");
        n->len = op->len;
        n->in_place = false;
        break;
    case DISK_SYNC:
        require(n != NULL, "disk model: sync");
        if (n->is_directory && !(lies & DISK_NO_DIR_SYNC)) sync_directory(d, op->node);
        if (!n->is_directory && !(lies & DISK_NO_FILE_SYNC)) sync_file(n);
        break;
    case DISK_LINK: set_name(d, op->to_dir, op->to_name, disk_lookup(d, op->dir, op->name)); break;
    case DISK_RENAME: rename_to(d, op, (lies & DISK_RENAME_FIRST) != 0); break;
    case DISK_REMOVE: set_name(d, op->dir, op->name, DISK_ABSENT); break;
    }
}

/* ---- Making, copying ---- */

static void load_file(struct node *n, const char *path)
{
    FILE *file = fopen(path, "rb");
    require(file != NULL, path);
    n->len = fread(n->bytes, 1, sizeof n->bytes, file);
    require(!ferror(file) && fgetc(file) == EOF, path);
    fclose(file);
    sync_file(n);
}

static void load_directory(disk *d, int dir, const char *path)
{
    char inner[4096];
    struct stat st;
    DIR *dir_stream = opendir(path);
    require(dir_stream != NULL, path);
    for (const struct dirent *entry; (entry = readdir(dir_stream)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        require((size_t)snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) < sizeof inner, path);
        require(lstat(inner, &st) == 0, inner);
        int node = new_node(d, S_ISDIR(st.st_mode));
        make_durable(set_name(d, dir, entry->d_name, node));
        if (S_ISDIR(st.st_mode)) load_directory(d, node, inner);
        else load_file(&d->nodes[node], inner);
    }
    closedir(dir_stream);
}

disk *disk_load(const char *path)
{
    disk *d = calloc(1, sizeof *d);
    require(d != NULL, "disk model: memory");
    int root = new_node(d, true);
    require(root == DISK_ROOT, "disk model: root");
    load_directory(d, root, path);
    return d;
}

disk *disk_copy(const disk *d)
{
    disk *copy = calloc(1, sizeof *copy);
    require(copy != NULL, "disk model: memory");
    copy->nodes = grow(NULL, &copy->cap_nodes, d->num_nodes + 1, sizeof *d->nodes);
    copy->entries = grow(NULL, &copy->cap_entries, d->num_entries + 1, sizeof *d->entries);
    memcpy(copy->nodes, d->nodes, d->num_nodes * sizeof *d->nodes);
    if (d->num_entries > 0) memcpy(copy->entries, d->entries, d->num_entries * sizeof *d->entries);
    copy->num_nodes = d->num_nodes;
    copy->num_entries = d->num_entries;
    return copy;
}

void disk_free(disk *d)
{
    if (d == NULL) return;
    free(d->nodes);
    free(d->entries);
    free(d);
}

/* ---- States ---- */

static uint64_t next_random(uint64_t *state) /* SplitMix64 */
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* One of `num`; the newest is number 0. */
static size_t choose(disk_choice *c, size_t num)
{
    if (c->latest || num == 1) return 0;
    if (c->random) return (size_t)(next_random(&c->seed) % num);
    require(c->at < DISK_MAX_CHOICES, "disk model: choices");
    if (c->at == c->num) c->digits[c->num++] = 0;
    c->radix[c->at] = (uint16_t)num;
    return c->digits[c->at++];
}

bool disk_next_choice(disk_choice *c)
{
    bool first = c->tried++ == 0;
    if (c->latest) return first;
    c->at = 0;
    if (c->random) return c->tried <= 2 * c->limit;
    if (first) return true;
    /* An odometer whose last digit changes fastest; a changed digit may change the choices of the digits after it. */
    while (c->num > 0 && c->digits[c->num - 1] + 1u >= c->radix[c->num - 1]) c->num--;
    if (c->num == 0) return false;
    c->digits[c->num - 1]++;
    if (c->tried > c->limit) c->random = true;
    return true;
}

void disk_choose_latest(disk_choice *c)
{
    memset(c, 0, sizeof *c);
    c->latest = true;
}

static void empty_directory(const char *path)
{
    char inner[4096];
    struct stat st;
    DIR *dir_stream = opendir(path);
    require(dir_stream != NULL, path);
    for (const struct dirent *entry; (entry = readdir(dir_stream)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        require((size_t)snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) < sizeof inner, path);
        require(lstat(inner, &st) == 0, inner);
        if (S_ISDIR(st.st_mode)) empty_directory(inner);
        require(remove(inner) == 0, inner);
    }
    closedir(dir_stream);
}

enum content { CURRENT, DURABLE, EMPTY, PART, ZEROS, NUM_CONTENTS };

enum torn { ALL, NONE, HEAD, TAIL, RUBBISH, NUM_TORN };

/* Written in place: the old content and the new one, mixed. */
static void put_torn(const struct node *n, disk_choice *choice, const char *path)
{
    uint8_t bytes[DISK_MAX_FILE];
    memcpy(bytes, n->durable, n->durable_len);
    enum torn torn = (enum torn)choose(choice, NUM_TORN);
    size_t len = n->to - n->from;
    size_t cut = choice->random ? (size_t)(next_random(&choice->seed) % len) : len / 2;
    if (torn == ALL) memcpy(bytes + n->from, n->bytes + n->from, len);
    if (torn == HEAD) memcpy(bytes + n->from, n->bytes + n->from, cut);
    if (torn == TAIL) memcpy(bytes + n->from + cut, n->bytes + n->from + cut, len - cut);
    if (torn == RUBBISH) memset(bytes + n->from, 0xa5, len);
    FILE *file = fopen(path, "wb");
    require(file != NULL && fwrite(bytes, 1, n->durable_len, file) == n->durable_len && fclose(file) == 0, path);
}

static void put_file(const struct node *n, disk_choice *choice, const char *path)
{
    static const uint8_t zeros[DISK_MAX_FILE];
    bool synced = n->len == n->durable_len && memcmp(n->bytes, n->durable, n->len) == 0;
    const uint8_t *bytes = n->bytes;
    size_t len = n->len;
    if (!synced && n->in_place) {
        put_torn(n, choice, path);
        return;
    }
    switch ((enum content)choose(choice, synced ? 1 : NUM_CONTENTS)) {
    case CURRENT: break;
    case DURABLE: bytes = n->durable, len = n->durable_len; break;
    case EMPTY: len = 0; break;
    case PART: len = choice->random && len > 0 ? (size_t)(next_random(&choice->seed) % len) : len / 2; break;
    case ZEROS: bytes = zeros; break;
    case NUM_CONTENTS: break;
    }
    FILE *file = fopen(path, "wb");
    require(file != NULL && (len == 0 || fwrite(bytes, 1, len, file) == len) && fclose(file) == 0, path);
}

static void put_directory(const disk *d, int dir, disk_choice *choice, const char *path)
{
    char inner[4096];
    for (size_t i = 0; i < d->num_entries; i++) {
        const struct entry *e = &d->entries[i];
        if (e->dir != dir) continue;
        int node = e->values[e->num - 1 - choose(choice, e->num)];
        if (node == DISK_ABSENT) continue;
        require((size_t)snprintf(inner, sizeof inner, "%s/%s", path, e->name) < sizeof inner, path);
        if (!d->nodes[node].is_directory) {
            put_file(&d->nodes[node], choice, inner);
            continue;
        }
        require(mkdir(inner, 0700) == 0, inner);
        put_directory(d, node, choice, inner);
    }
}

void disk_put(const disk *d, disk_choice *choice, const char *path)
{
    empty_directory(path);
    put_directory(d, DISK_ROOT, choice, path);
}
