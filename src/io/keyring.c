/* SPDX-License-Identifier: MIT */
/* keyring: the context directories that a client or a server has open. A directory is locked while it is open, also against
 * ourselves, so two names of one directory must lead to one entry. */
#include "io/keyring.h"
#include "store/fail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static nacre__key *find(const nacre__keyring *ring, const struct stat *st)
{
    for (size_t i = 0; i < ring->num; i++)
        if (ring->keys[i].dev == st->st_dev && ring->keys[i].ino == st->st_ino) return &ring->keys[i];
    return NULL;
}

static bool make_place(nacre__keyring *ring)
{
    if (ring->num < ring->cap) return true;
    size_t cap = ring->cap != 0 ? ring->cap * 2 : 4;
    nacre__key *keys = realloc(ring->keys, cap * sizeof *keys);
    if (keys == NULL) return false;
    ring->keys = keys;
    ring->cap = cap;
    return true;
}

static nacre_err open_new(nacre__keyring *ring, nacre__key *key, const char *path, const nacre_crypto *crypto,
                          nacre_loop *loop, nacre_detail *why)
{
    nacre_err err = nacre_directory_open_as(&key->dir, path, key->role, crypto, why);
    if (err != NACRE_OK) return err;
    err = nacre_loop_add_store(loop, nacre_directory_context(key->dir), nacre_directory_store(key->dir));
    if (err != NACRE_OK) {
        (void)nacre_directory_close(key->dir, NULL);
        return nacre__store_fail(why, err, "out of memory for the context directory '%s'", path);
    }
    ring->keys[ring->num++] = *key;
    return NACRE_OK;
}

nacre_err nacre__keyring_open(nacre__keyring *ring, nacre_context **ctx, bool *is_new, const char *path,
                              nacre_role role, const nacre_crypto *crypto, nacre_loop *loop, nacre_detail *why)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return nacre__store_fail(why, NACRE_ERR_FILE, "cannot open the context directory '%s': %s", path,
                                 strerror(errno));
    nacre__key *known = find(ring, &st);
    if (is_new != NULL) *is_new = known == NULL;
    if (known == NULL) {
        nacre__key made = { .role = role, .dev = st.st_dev, .ino = st.st_ino };
        if (!make_place(ring)) return nacre__store_fail(why, NACRE_ERR_NO_MEMORY, "out of memory for '%s'", path);
        nacre_err err = open_new(ring, &made, path, crypto, loop, why);
        if (err != NACRE_OK) return err;
        known = &ring->keys[ring->num - 1];
    }
    if (known->role != role)
        return nacre__store_fail(why, NACRE_ERR_LOCKED, "%s: open in another role already; one side at a time", path);
    *ctx = nacre_directory_context(known->dir);
    return NACRE_OK;
}

void nacre__keyring_drop(nacre__keyring *ring, nacre_loop *loop)
{
    nacre_directory *dir = ring->keys[--ring->num].dir;
    nacre_loop_remove_store(loop, nacre_directory_context(dir));
    (void)nacre_directory_close(dir, NULL); /* nothing was done with it, so nothing is lost */
}

nacre_err nacre__keyring_close(nacre__keyring *ring, nacre_detail *why)
{
    nacre_err first = NACRE_OK;
    for (size_t i = 0; i < ring->num; i++) {
        nacre_err err = nacre_directory_close(ring->keys[i].dir, first == NACRE_OK ? why : NULL);
        if (first == NACRE_OK) first = err;
    }
    free(ring->keys);
    *ring = (nacre__keyring){ 0 };
    return first;
}
