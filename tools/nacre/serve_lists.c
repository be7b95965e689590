/* SPDX-License-Identifier: MIT */
/* serve_lists: directory lists of several blocks are kept until their last block, so that a list reads its directory once
 * instead of once per block, and all blocks are of the same moment.
 *
 * Each client is served from the list of its first block; equal lists share one text. A client whose list was
 * evicted gets the newest list of that path. */
#include "serve_files.h"

#include <stdlib.h>
#include <string.h>

enum { NUM_LISTS = 64, MAX_TEXTS = 64 * 1024 * 1024, KEEP_MS = 93000 /* as bodies of a transfer */ };

typedef struct entry {
    serve_list *list; /* NULL: free */
    const void *context;
    nacre_address peer;
    uint64_t touched; /* ms */
} entry;

struct serve_lists {
    entry entries[NUM_LISTS];
    size_t bytes; /* of all texts */
};

serve_lists *serve_lists_open(void)
{
    return calloc(1, sizeof(serve_lists));
}

void serve_list_release(void *user)
{
    serve_list *list = user;
    if (--list->uses > 0) return;
    if (list->lists != NULL) list->lists->bytes -= list->len;
    free(list->bytes);
    free(list->path);
    free(list);
}

static void drop(entry *e)
{
    serve_list *list = e->list;
    *e = (entry){ 0 };
    if (list != NULL) serve_list_release(list);
}

void serve_lists_close(serve_lists *lists)
{
    for (size_t i = 0; lists != NULL && i < NUM_LISTS; i++) drop(&lists->entries[i]);
    free(lists);
}

static bool is_of(const entry *e, const char *path, unsigned format)
{
    return e->list != NULL && e->list->format == format && strcmp(e->list->path, path) == 0;
}

static bool is_for(const entry *e, const nacre_request *request)
{
    return e->context == request->context && nacre_address_equal(&e->peer, request->peer);
}

serve_list *serve_lists_find(serve_lists *lists, const nacre_request *request, unsigned format, uint64_t now)
{
    entry *best = NULL;
    for (size_t i = 0; i < NUM_LISTS; i++) {
        entry *e = &lists->entries[i];
        if (!is_of(e, request->path, format) || now - e->touched > KEEP_MS) continue;
        if (best == NULL || is_for(e, request) || (!is_for(best, request) && e->touched > best->touched)) best = e;
        if (is_for(e, request)) break;
    }
    if (best == NULL) return NULL;
    best->touched = now;
    best->list->uses++;
    return best->list;
}

/* The entry of this client and path, else a free one, else the longest-idle one. */
static entry *entry_of(serve_lists *lists, const nacre_request *request, const serve_list *list)
{
    entry *best = &lists->entries[0];
    for (size_t i = 0; i < NUM_LISTS; i++) {
        entry *e = &lists->entries[i];
        if (is_of(e, list->path, list->format) && is_for(e, request)) return e;
        if (e->touched < best->touched) best = e;
    }
    return best;
}

static void evict_entries(serve_lists *lists, size_t len, uint64_t now)
{
    for (size_t i = 0; i < NUM_LISTS; i++)
        if (lists->entries[i].list != NULL && now - lists->entries[i].touched > KEEP_MS) drop(&lists->entries[i]);
    while (lists->bytes > MAX_TEXTS - len) {
        entry *oldest = NULL;
        for (size_t i = 0; i < NUM_LISTS; i++) {
            entry *e = &lists->entries[i];
            if (e->list != NULL && (oldest == NULL || e->touched < oldest->touched)) oldest = e;
        }
        if (oldest == NULL) return; /* the rest is in use by responses */
        drop(oldest);
    }
}

static serve_list *same(const serve_lists *lists, const serve_list *list)
{
    for (size_t i = 0; i < NUM_LISTS; i++) {
        serve_list *other = lists->entries[i].list;
        if (is_of(&lists->entries[i], list->path, list->format) && other->len == list->len &&
            memcmp(other->bytes, list->bytes, list->len) == 0)
            return other;
    }
    return NULL;
}

bool serve_lists_fits(size_t len)
{
    return len <= MAX_TEXTS;
}

serve_list *serve_lists_keep(serve_lists *lists, const nacre_request *request, serve_list *list, uint64_t now)
{
    entry *e = entry_of(lists, request, list);
    serve_list *known = same(lists, list);
    if (known != NULL) {
        known->uses += 2; /* one reference for the entry, one for the caller */
        serve_list_release(list);
        drop(e);
        *e = (entry){ known, request->context, *request->peer, now };
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): counted twice above */
        return known;
    }
    drop(e);
    evict_entries(lists, list->len, now);
    list->lists = lists;
    lists->bytes += list->len;
    list->uses++;
    *e = (entry){ list, request->context, *request->peer, now };
    return list;
}
