/* SPDX-License-Identifier: MIT */
/* pack: a pack's life: opened, asked for its contexts, closed. */
#include "store/pack/pack_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hosted/detail.h"
#include "store/wipe_on_fork.h"

bool nacre__pack_grow(void *array, size_t num, size_t *cap, size_t size)
{
    void **elements = array;
    if (num < *cap) return true;
    size_t larger = *cap != 0 ? *cap * 2 : 16;
    void *grown = realloc(*elements, larger * size);
    if (grown == NULL) return false;
    *elements = grown;
    *cap = larger;
    return true;
}

nacre_err nacre__pack_no_memory(const nacre_pack *pack, nacre_detail *why)
{
    return nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", pack->path);
}

/* After a fork there would be two contexts that count from the same number, and two writers of one file. */
nacre_err nacre__pack_check_owner(const nacre_pack *pack, nacre_detail *why)
{
    if (pack->owner == getpid()) return nacre__pack_check_lost(pack, why);
    return nacre__fail(why, NACRE_ERR_LOCKED, "%s: opened by process %ld before a fork; open it after forking",
                       pack->path, (long)pack->owner);
}

/* Everything but the states: nothing is written here. */
void nacre__pack_release(nacre_pack *pack)
{
    for (size_t i = 0; i < pack->num_segments; i++) nacre__segment_free(pack->segments[i]);
    nacre__segment_free(pack->unsure);
    nacre__wipe_on_fork_unmap(pack->slots, pack->slots_size);
    nacre__pack_file_close(&pack->file);
    free(pack->segments);
    free(pack->dirty);
    free(pack->asked);
    free(pack->gone);
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
    uint64_t places = last->first_place + last->shape.num_places;
    if (places == map->extent.num_places) return NACRE_OK;
    return nacre__fail(why, NACRE_ERR_BAD_CONTEXT, "%s: extent: found %llu places, the segments have %llu", pack->path,
                       (unsigned long long)map->extent.num_places, (unsigned long long)places);
}

/* All that was read holds. It may not be durable yet: somebody may have been killed between a write and its sync. What was
 * damaged is written anew, and records that were to be erased are. */
static nacre_err settle(nacre_pack *pack, const nacre__pack_map *map, bool erase, nacre_detail *why)
{
    nacre_err err = nacre__pack_sync(&pack->file, why);
    pack->extent_sure = map->damaged; /* as a page of states is (pack_internal.h) */
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
    err = anywhere ? NACRE_OK : nacre__pack_check_place(pack, why);
    if (err == NACRE_OK) err = load_all(pack, &map, &erase, why);
    return err == NACRE_OK ? settle(pack, &map, erase, why) : err;
}

nacre_err nacre__pack_open(nacre_pack **pack, const char *path, bool anywhere, const nacre_crypto *crypto,
                           nacre_detail *why)
{
    nacre_pack *p = calloc(1, sizeof *p);
    if (p == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "%s: out of memory", path);
    p->file.fd = p->file.dir_fd = -1;
    p->owner = getpid();
    p->crypto = crypto;
    if (pthread_mutex_init(&p->stores_lock, NULL) != 0) {
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

size_t nacre_pack_num(const nacre_pack *pack)
{
    size_t num = 0;
    for (size_t i = pack->num_segments; num == 0 && i-- > 0;)
        if (pack->segments[i]->num_taken > 0) num = pack->segments[i]->first_place + pack->segments[i]->num_taken;
    return num;
}

nacre_context *nacre_pack_context_at(nacre_pack *pack, size_t place)
{
    size_t low = 0, high = pack->num_segments; /* the segment is in [low, high) */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (pack->segments[middle]->first_place <= place) low = middle;
        else high = middle;
    }
    if (low == high || place < pack->segments[low]->first_place) return NULL;
    const nacre__segment *s = pack->segments[low];
    size_t at = place - s->first_place;
    return at < s->num_taken && nacre_context_aead(&s->contexts[at].ctx) != NULL ? &s->contexts[at].ctx : NULL;
}

bool nacre_pack_holds(const nacre_pack *pack, const nacre_context *ctx)
{
    return nacre__pack_find(pack, ctx) != NULL;
}
