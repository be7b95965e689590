/* SPDX-License-Identifier: MIT */
/* context_set: the context set of a client or a server. An open directory is locked, also against this process, so two
 * names of one directory must lead to one entry. */
#include "io/context_set.h"
#include "context/key_mark.h"
#include "base/hosted/detail.h"
#include "store/directory/twins.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

nacre__key *nacre__context_set_find(const nacre__context_set *set, const nacre_context *ctx)
{
    for (size_t i = 0; i < set->num; i++)
        if (set->keys[i].ctx == ctx) return &set->keys[i];
    return NULL;
}

static nacre__key *find_directory(const nacre__context_set *set, const struct stat *st)
{
    for (size_t i = 0; i < set->num; i++) {
        nacre__key *key = &set->keys[i];
        if (key->dir != NULL && key->dev == st->st_dev && key->ino == st->st_ino) return key;
    }
    return NULL;
}

/* ---- Claims --------------------------------------------------------------------------------------------------------- */

static void lock_set(const nacre__context_set *set)
{
    if (set->lock != NULL) (void)pthread_rwlock_wrlock(set->lock);
}

static void unlock_set(const nacre__context_set *set)
{
    if (set->lock != NULL) (void)pthread_rwlock_unlock(set->lock);
}

static void free_claims(nacre__key *key)
{
    if (key->settled != key->claims) nacre__claims_free_all(key->settled);
    nacre__claims_free_all(key->claims);
    key->claims = key->settled = NULL;
}

/* Another thread may read the list until the caller of nacre__context_set_stale frees it. */
static void retire(nacre__context_set *set, nacre__claims *claims)
{
    if (claims == NULL) return;
    claims->next = set->lock != NULL ? set->stale : NULL;
    if (set->lock != NULL) set->stale = claims;
    else nacre__claims_free_all(claims);
}

static void replace_claims(nacre__context_set *set, nacre__key *key, nacre__claims *claims)
{
    nacre__claims *old = key->claims;
    lock_set(set);
    key->claims = claims;
    unlock_set(set);
    if (old != key->settled) retire(set, old);
}

static nacre_err add_claim(nacre__context_set *set, nacre__key *key, const char *name, nacre_detail *why)
{
    if (nacre__claims_has_of(key->claims, name, set->generation)) return NACRE_OK;
    nacre__claims *claims = nacre__claims_with(key->claims, name, set->generation);
    if (claims == NULL) return nacre__fail(why, NACRE_ERR_NO_MEMORY, "out of memory for '%s'", name);
    replace_claims(set, key, claims);
    return NACRE_OK;
}

nacre_err nacre__context_set_drop_before(nacre__context_set *set, size_t index, unsigned generation)
{
    nacre__claims *claims = nacre__claims_since(set->keys[index].claims, generation);
    if (claims == NULL) return NACRE_ERR_NO_MEMORY;
    replace_claims(set, &set->keys[index], claims);
    return NACRE_OK;
}

nacre__claims *nacre__context_set_stale(nacre__context_set *set)
{
    nacre__claims *stale = set->stale;
    set->stale = NULL;
    return stale;
}

const char *const *nacre__context_set_claims(const nacre__context_set *set, const nacre_context *ctx)
{
    if (set->lock != NULL) (void)pthread_rwlock_rdlock(set->lock);
    const nacre__key *key = nacre__context_set_find(set, ctx);
    const char *const *names = key != NULL ? (const char *const *)key->claims->names : NULL;
    unlock_set(set);
    return names;
}

/* ---- One key, one context (RFC 8613 3.3) ------------------------------------------------------------------------------ */

void nacre__credential_label(char label[NACRE__LABEL], const char *claim, const char *path)
{
    if (path == NULL || strcmp(claim, path) == 0) (void)snprintf(label, NACRE__LABEL, "%s", claim);
    else (void)snprintf(label, NACRE__LABEL, "%s (%s)", path, claim);
}

void nacre__key_label(char label[NACRE__LABEL], const nacre__key *key)
{
    nacre__credential_label(label, key->claims != NULL && key->claims->num > 0 ? key->claims->names[0] : "",
                            key->dir != NULL ? nacre_directory_path(key->dir) : NULL);
}

uint64_t nacre__context_set_mark(nacre__context_set *set, const nacre_context *ctx, nacre_direction direction)
{
    const nacre_random random = nacre_entropy();
    if (!set->has_hash_key) random.fill(random.self, set->hash_key, sizeof set->hash_key);
    set->has_hash_key = true;
    return nacre__key_mark(ctx, direction, set->hash_key);
}

static const nacre__key *find_twin(const nacre__context_set *set, const nacre__key *made, nacre_direction direction)
{
    for (size_t i = 0; i < set->num; i++)
        if (set->keys[i].marks[direction] == made->marks[direction]) return &set->keys[i];
    return NULL;
}

static nacre_err check_twins(nacre__context_set *set, nacre__key *made, const nacre_credential *credential,
                             nacre_detail *why)
{
    static const nacre_direction both[] = { NACRE_SEAL, NACRE_OPEN };
    char name[NACRE__LABEL], other[NACRE__LABEL];
    for (size_t i = 0; i < 2; i++) made->marks[both[i]] = nacre__context_set_mark(set, made->ctx, both[i]);
    for (size_t i = 0; i < 2; i++) {
        const nacre__key *twin = find_twin(set, made, both[i]);
        if (twin == NULL) continue;
        nacre__credential_label(name, credential->name, credential->directory);
        nacre__key_label(other, twin);
        return nacre__twins_fail(why, both[i], name, other);
    }
    return NACRE_OK;
}

/* ---- Adding --------------------------------------------------------------------------------------------------------- */

static bool grow(nacre__context_set *set)
{
    if (set->num < set->cap) return true;
    size_t cap = set->cap != 0 ? set->cap * 2 : 4;
    nacre__key *keys = calloc(cap, sizeof *keys), *old = set->keys;
    if (keys == NULL) return false;
    if (set->num > 0) memcpy(keys, old, set->num * sizeof *keys);
    lock_set(set);
    set->keys = keys;
    set->cap = cap;
    unlock_set(set);
    free(old);
    return true;
}

nacre_err nacre__key_close(nacre__key *key, nacre_detail *why)
{
    const nacre_err err = key->dir != NULL ? nacre_directory_close(key->dir, why) : NACRE_OK;
    free_claims(key);
    return err;
}

/* The entry is complete before it is added. */
static nacre_err keep(nacre__context_set *set, nacre__key *key, const nacre_credential *credential, nacre_loop *loop,
                      nacre_detail *why)
{
    nacre_err err = check_twins(set, key, credential, why);
    if (err == NACRE_OK) {
        key->claims = nacre__claims_with(NULL, credential->name, set->generation);
        if (key->claims == NULL || !grow(set)) err = NACRE_ERR_NO_MEMORY;
        else if (loop != NULL && key->store.ops != NULL) err = nacre_loop_add_store(loop, key->ctx, key->store);
        if (err != NACRE_OK) (void)nacre__fail(why, err, "out of memory for '%s'", credential->name);
    }
    if (err != NACRE_OK) {
        (void)nacre__key_close(key, NULL); /* it was not used, so nothing is lost */
        return err;
    }
    lock_set(set);
    set->keys[set->num++] = *key;
    unlock_set(set);
    return NACRE_OK;
}

static nacre_err use_directory(nacre__context_set *set, nacre__key **known, const nacre_credential *credential,
                               nacre_role role, const nacre_crypto *crypto, nacre_loop *loop, nacre_detail *why)
{
    struct stat st;
    const char *path = credential->directory;
    if (stat(path, &st) != 0)
        return nacre__fail(why, NACRE_ERR_FILE, "cannot open the context directory '%s': %s", path, strerror(errno));
    *known = find_directory(set, &st);
    if (*known != NULL && (*known)->role != role)
        return nacre__fail(why, NACRE_ERR_LOCKED, "%s: open in another role already; one side at a time", path);
    if (*known != NULL) return NACRE_OK;
    nacre__key made = { .role = role, .dev = st.st_dev, .ino = st.st_ino };
    nacre_err err = nacre_directory_open_as(&made.dir, path, role, crypto, why);
    if (err != NACRE_OK) return err;
    made.ctx = nacre_directory_context(made.dir);
    made.store = nacre_directory_store(made.dir);
    return keep(set, &made, credential, loop, why);
}

/* A context's prepared keys are valid only with the provider that made them. */
static nacre_err use_context(nacre__context_set *set, nacre__key **known, const nacre_credential *credential,
                             const nacre_crypto *crypto, nacre_loop *loop, nacre_detail *why)
{
    const nacre_context *ctx = credential->context;
    *known = nacre__context_set_find(set, ctx);
    if (*known != NULL) return NACRE_OK;
    if (ctx->ops != crypto->ops)
        return nacre__fail(why, NACRE_ERR_UNSUPPORTED, "%s: its keys were prepared with %s, and %s is used here",
                           credential->name, ctx->ops != NULL ? ctx->ops->name : "nothing", crypto->ops->name);
    nacre__key made = { .ctx = credential->context, .store = credential->store };
    return keep(set, &made, credential, loop, why);
}

nacre_err nacre__context_set_provider(nacre_crypto *crypto, const nacre_credentials *credentials)
{
    size_t cursor = 0;
    nacre_credential entry;
    const nacre_err err = nacre_provider_open(crypto);
    while (err == NACRE_OK && credentials != NULL && nacre_credentials_next(credentials, &entry, &cursor)) {
        if (entry.kind != NACRE_CREDENTIAL_CONTEXT || entry.context->ops == crypto->ops) continue;
        nacre_provider_close(crypto);
        return nacre_openssl_open(crypto);
    }
    return err;
}

nacre_err nacre__context_set_use(nacre__context_set *set, nacre_context **ctx, bool *is_new,
                                 const nacre_credential *credential, nacre_role role, const nacre_crypto *crypto,
                                 nacre_loop *loop, nacre_detail *why)
{
    nacre__key *known = NULL;
    nacre_err err = NACRE_OK;
    if (credential->role != NACRE_ROLE_NONE) role = credential->role;
    if (credential->kind == NACRE_CREDENTIAL_DIRECTORY)
        err = use_directory(set, &known, credential, role, crypto, loop, why);
    else err = use_context(set, &known, credential, crypto, loop, why);
    if (err == NACRE_OK && known != NULL) err = add_claim(set, known, credential->name, why);
    if (err != NACRE_OK) return err;
    if (is_new != NULL) *is_new = known == NULL;
    *ctx = known != NULL ? known->ctx : set->keys[set->num - 1].ctx;
    return NACRE_OK;
}

void nacre__context_set_take(nacre__context_set *set, nacre__key *key, size_t index)
{
    lock_set(set);
    *key = set->keys[index];
    set->num--;
    memmove(&set->keys[index], &set->keys[index + 1], (set->num - index) * sizeof *set->keys);
    unlock_set(set);
    if (index < set->settled) set->settled--;
}

void nacre__context_set_drop(nacre__context_set *set, nacre_loop *loop)
{
    nacre__key key;
    nacre__context_set_take(set, &key, set->num - 1);
    if (loop != NULL) nacre_loop_remove_store(loop, key.ctx);
    (void)nacre__key_close(&key, NULL); /* the context was not used, so nothing is lost */
}

void nacre__context_set_settle(nacre__context_set *set)
{
    set->settled = set->num;
    for (size_t i = 0; i < set->num; i++) {
        nacre__key *key = &set->keys[i];
        if (key->settled != key->claims) retire(set, key->settled);
        key->settled = key->claims;
    }
}

void nacre__context_set_undo(nacre__context_set *set, nacre_loop *loop)
{
    while (set->num > set->settled) nacre__context_set_drop(set, loop);
    for (size_t i = 0; i < set->num; i++)
        if (set->keys[i].claims != set->keys[i].settled) replace_claims(set, &set->keys[i], set->keys[i].settled);
}

nacre_err nacre__context_set_close(nacre__context_set *set, nacre_detail *why)
{
    nacre_err first = NACRE_OK;
    for (size_t i = 0; i < set->num; i++) {
        const nacre_err err = nacre__key_close(&set->keys[i], first == NACRE_OK ? why : NULL);
        if (first == NACRE_OK) first = err;
    }
    free(set->keys);
    nacre__claims_free_all(set->stale);
    *set = (nacre__context_set){ 0 };
    return first;
}
