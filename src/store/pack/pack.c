/* SPDX-License-Identifier: MIT */
/* pack: opens and closes a pack. */
#include "store/pack/pack_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "store/wipe_on_fork.h"

/* Frees everything; writes no states. */
void nacre__pack_release(nacre_pack *pack)
{
    for (size_t i = 0; i < pack->num_segments; i++) nacre__segment_free(pack->segments[i]);
    nacre__segment_free(pack->unsure);
    nacre__wipe_on_fork_unmap(pack->slots, pack->slots_size);
    nacre__pack_file_close(&pack->file);
    free(pack->segments);
    free(pack->dirty);
    free(pack->requested);
    free(pack->removed);
    free(pack->path);
    (void)pthread_mutex_destroy(&pack->stores_lock);
    free(pack);
}

static nacre_err load_all(nacre_pack *pack, const nacre__pack_map *map, bool *erase, nacre_detail *why)
{
    nacre_err err = NACRE_OK;
    while (err == NACRE_OK && pack->num_segments < map->extent.num_segments)
        err = nacre__segment_load(pack, map, erase, why);
    if (err != NACRE_OK || pack->num_segments == 0) return err;
    const nacre__segment *last = pack->segments[pack->num_segments - 1];
    uint64_t num_entries = last->first_entry + last->shape.num_entries;
    if (num_entries == map->extent.num_entries) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: extent: found %llu places, the segments have %llu", pack->path,
                       (unsigned long long)map->extent.num_entries, (unsigned long long)num_entries);
}

/* Everything read is valid, but may not be durable: a process may have been killed between a write and its sync. Rewrites what
 * was damaged, and erases records that are still to be erased. */
static nacre_err settle(nacre_pack *pack, const nacre__pack_map *map, bool erase, nacre_detail *why)
{
    nacre_err err = nacre__pack_sync(&pack->file, why);
    pack->extent_sure = map->damaged; /* as for a page of states (pack_internal.h) */
    if (err == NACRE_OK && map->damaged) err = nacre__extent_put(pack, &map->extent, why);
    if (err == NACRE_OK) err = nacre__state_flush(pack, why);
    for (size_t i = 0; erase && err == NACRE_OK && i < pack->num_segments; i++)
        err = nacre__segment_erase(pack->segments[i], why);
    return err;
}

static nacre_err load(nacre_pack *pack, bool anywhere, nacre_detail *why)
{
    nacre__pack_map map;
    bool erase = false;
    nacre_err err = nacre__pack_map_read(&map, &pack->file, why);
    if (err != NACRE_OK) return err;
    pack->id = map.id;
    pack->extent = map.extent;
    pack->extent_side = map.side;
    err = anywhere ? NACRE_OK : nacre__pack_check_identity(pack, why);
    if (err == NACRE_OK) err = load_all(pack, &map, &erase, why);
    return err == NACRE_OK ? settle(pack, &map, erase, why) : err;
}

/* Recursive: the callback of nacre_pack_commit may call nacre_pack_request. */
static bool make_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attributes;
    if (pthread_mutexattr_init(&attributes) != 0) return false;
    const bool made = pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE) == 0 &&
                      pthread_mutex_init(lock, &attributes) == 0;
    (void)pthread_mutexattr_destroy(&attributes);
    return made;
}

nacre_err nacre__pack_open(nacre_pack **pack, const char *path, bool anywhere, const nacre_crypto *crypto,
                           nacre_detail *why)
{
    nacre_pack *p = calloc(1, sizeof *p);
    if (p == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", path);
    p->file.fd = p->file.dir_fd = -1;
    p->owner = getpid();
    p->crypto = crypto;
    if (!make_lock(&p->stores_lock)) {
        free(p);
        return nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", path);
    }
    p->path = strdup(path);
    nacre_err err = p->path != NULL ? nacre__pack_file_open(&p->file, p->path, true, why)
                                    : nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", path);
    if (err == NACRE_OK) err = load(p, anywhere, why);
    if (err != NACRE_OK) nacre__pack_release(p);
    else *pack = p;
    return err;
}

nacre_err nacre_pack_open(nacre_pack **pack, const char *path, const nacre_crypto *crypto, nacre_detail *why)
{
    return nacre__pack_open(pack, path, false, crypto, why);
}

nacre_err nacre_pack_close(nacre_pack *pack, nacre_detail *why)
{
    if (pack == NULL) return NACRE_OK;
    nacre_err err = nacre__state_save_all(pack, why);
    nacre__pack_release(pack);
    return err;
}
