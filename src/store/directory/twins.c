/* SPDX-License-Identifier: MIT */
/* twins: sorts key hashes of many contexts, so that equal ones are adjacent. */
#include "store/directory/twins.h"

#include <stdlib.h>
#include <string.h>

#include "context/identify.h"
#include "context/key_mark.h"
#include "base/hosted/detail.h"
#include "store/file/files.h"
#include "store/directory/moved.h"
#include "store/random.h"

nacre_err nacre__twins_init(nacre__twins *twins)
{
    *twins = (nacre__twins){ .num = 0 };
    if (!nacre__store_random(twins->hash_key, sizeof twins->hash_key)) return NACRE_ERR_CRYPTO;
    return NACRE_OK;
}

void nacre__twins_free(nacre__twins *twins)
{
    free(twins->keys);
    *twins = (nacre__twins){ .num = 0 };
}

/* ---- Adding ---- */

nacre_err nacre__twins_add(nacre__twins *twins, const nacre_context *ctx, uint64_t owner)
{
    if (twins->cap - twins->num < 2) {
        size_t cap = twins->cap != 0 ? 2 * twins->cap : 16;
        nacre__twin_key *keys = realloc(twins->keys, cap * sizeof *keys);
        if (keys == NULL) return NACRE_ERR_NO_MEMORY;
        twins->keys = keys;
        twins->cap = cap;
    }
    for (int seal = 0; seal < 2; seal++) {
        const nacre_direction direction = seal ? NACRE_SEAL : NACRE_OPEN;
        twins->keys[twins->num++] =
            (nacre__twin_key){ nacre__key_mark(ctx, direction, twins->hash_key), owner, direction };
    }
    return NACRE_OK;
}

nacre_err nacre__twins_add_info(nacre__twins *twins, const nacre_crypto *crypto, const nacre_directory_info *info,
                                uint64_t owner)
{
    nacre_context identity;
    const nacre_context_params params = {
        .cose_aead = info->aead->cose,
        .hash = info->hash,
        .master_secret = { .bytes = nacre_bytes_of(info->secret, info->secret_len) },
        .master_salt = nacre_bytes_of(info->salt, info->salt_len),
        .id_context = info->has_id_context ? nacre_bytes_of(info->id_context, info->id_context_len) : NACRE_ABSENT,
        .sender_id = nacre_bytes_of(info->sender_id, info->sender_id_len),
        .recipient_id = nacre_bytes_of(info->recipient_id, info->recipient_id_len),
    };
    nacre_err err = nacre__context_identify(&identity, crypto, &params);
    if (err == NACRE_OK) err = nacre__twins_add(twins, &identity, owner);
    nacre_wipe(&identity, sizeof identity);
    return err;
}

static bool is_usable(const char *path)
{
    nacre__dirfd dirfd;
    if (nacre__dirfd_open(&dirfd, path, NULL) != NACRE_OK) return false;
    const bool usable = nacre__moved_check(&dirfd, NULL) == NACRE_OK;
    nacre__dirfd_close(&dirfd);
    return usable;
}

nacre_err nacre__twins_add_directory(nacre__twins *twins, const nacre_crypto *crypto, const char *path, nacre_role role,
                                     uint64_t owner)
{
    nacre_directory_info info;
    if (!is_usable(path) || nacre_directory_read_as(&info, path, role, true, NULL) != NACRE_OK) return NACRE_OK;
    nacre_err err = nacre__twins_add_info(twins, crypto, &info, owner);
    nacre_wipe(&info, sizeof info);
    return err;
}

/* ---- Finding ---- */

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_mark(const void *a, const void *b)
{
    const nacre__twin_key *x = a, *y = b;
    return compare(x->mark, y->mark);
}

static int by_owner(const void *a, const void *b)
{
    const nacre__twin *x = a, *y = b;
    int order = compare(x->owner, y->owner);
    if (order == 0) order = compare(x->other, y->other);
    return order != 0 ? order : (int)x->direction - (int)y->direction;
}

/* Pairs each entry of a run of equal marks with the first one of another owner. */
static size_t pair_up(nacre__twin *found, const nacre__twin_key *run, size_t len)
{
    size_t num = 0, second = 1;
    while (second < len && run[second].owner == run[0].owner) second++;
    for (size_t i = 0; second < len && i < len; i++) {
        const nacre__twin_key *other = run[i].owner == run[0].owner ? &run[second] : &run[0];
        found[num++] = (nacre__twin){ run[i].owner, other->owner, run[i].direction };
    }
    return num;
}

static size_t pair_all(nacre__twin *found, const nacre__twins *twins)
{
    size_t num = 0;
    for (size_t at = 0, end; at < twins->num; at = end) {
        for (end = at + 1; end < twins->num && twins->keys[end].mark == twins->keys[at].mark;) end++;
        num += pair_up(found + num, twins->keys + at, end - at);
    }
    return num;
}

nacre_err nacre__twins_find(nacre__twins *twins, nacre__twin **found, size_t *num_found)
{
    *found = NULL;
    *num_found = 0;
    if (twins->num == 0) return NACRE_OK;
    nacre__twin *all = malloc(twins->num * sizeof *all);
    if (all == NULL) return NACRE_ERR_NO_MEMORY;
    qsort(twins->keys, twins->num, sizeof *twins->keys, by_mark);
    size_t num = pair_all(all, twins), kept = 0;
    qsort(all, num, sizeof *all, by_owner);
    for (size_t i = 0; i < num; i++) /* report a pair that shares both keys once */
        if (kept == 0 || all[kept - 1].owner != all[i].owner || all[kept - 1].other != all[i].other)
            all[kept++] = all[i];
    *found = all;
    *num_found = kept;
    return NACRE_OK;
}

nacre_err nacre__twins_fail(nacre_detail *why, nacre_direction direction, const char *name, const char *other)
{
    return nacre__fail(why, NACRE_ERR_DUPLICATE_CONTEXT,
                       "%.140s: has the same %s as %.140s%s; give each keys of its own (nacre keygen, or an ID "
                       "Context of its own), or use one of them for both, if the other was never used",
                       name, direction == NACRE_SEAL ? "Sender Key" : "Recipient Key", other,
                       direction == NACRE_SEAL ? ", so that both would use the same nonces"
                                               : ", so that each would accept what the other has seen");
}
