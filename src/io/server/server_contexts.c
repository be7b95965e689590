/* SPDX-License-Identifier: MIT */
/* server_contexts: the accepted contexts: directories, credentials and databases, in one table. */
#include "io/server/removal.h"
#include "io/server/server_internal.h"
#include "base/hosted/detail.h"
#include "store/directory/twins.h"
#include "store/sqlite/sqlite_label.h"
#include "store/sqlite/sqlite_serve.h"

#include <nacre/remote.h>

#include <stdio.h>
#include <stdlib.h>

/* Every worker waits at its next search. */
static void lock_searches(const nacre_server *server)
{
    for (size_t i = 0; i < server->num_workers; i++) (void)pthread_mutex_lock(&server->workers[i].table_lock);
}

static void unlock_searches(const nacre_server *server)
{
    for (size_t i = server->num_workers; i > 0; i--) (void)pthread_mutex_unlock(&server->workers[i - 1].table_lock);
}

/* Makes a table with capacity for `num` more contexts and copies the present ones. */
static nacre_err grow_table(nacre_server *server, size_t num)
{
    nacre_table larger;
    size_t num_slots = nacre_table_num_slots(server->table.num_contexts + num);
    if (num_slots < 2 * server->table.num_slots) num_slots = 2 * server->table.num_slots;
    nacre_table_slot *slots = calloc(num_slots, sizeof *slots);
    if (slots == NULL) return NACRE_ERR_NO_MEMORY;
    nacre_err err = nacre_table_init(&larger, slots, num_slots);
    if (err == NACRE_OK) err = nacre_table_set_hash_key(&larger, server->table.hash_key);
    for (size_t i = 0; err == NACRE_OK && i < server->table.num_slots; i++)
        if (server->slots[i].context != NULL) err = nacre_table_add(&larger, server->slots[i].context);
    if (err != NACRE_OK) {
        free(slots);
        return err;
    }
    nacre_table_slot *old = server->slots;
    larger.num_changes = server->table.num_changes + 1;
    lock_searches(server);
    server->table = larger;
    unlock_searches(server);
    server->slots = slots;
    free(old);
    return NACRE_OK;
}

static bool is_full(const nacre_table *t)
{
    return t->num_contexts >= t->num_slots - (t->num_slots + 3) / 4;
}

static nacre_err add_to_table(nacre_server *server, nacre_context *ctx)
{
    nacre_err err = is_full(&server->table) ? grow_table(server, 1) : NACRE_OK;
    if (err != NACRE_OK) return err;
    lock_searches(server);
    err = nacre_table_add(&server->table, ctx);
    atomic_store(&server->num_contexts, server->table.num_contexts);
    unlock_searches(server);
    return err;
}

/* ---- One key, one context (RFC 8613 3.3) --------------------------------------------------------------------------------
 * Two contexts with one Sender Key would reuse nonces; two with one Recipient Key would each accept a request that the other
 * has seen. This holds across all sources. The table detects equal Recipient Keys, `senders` equal Sender Keys. */

static uint64_t sender_mark(nacre_server *server, const nacre_context *ctx)
{
    return nacre__context_set_mark(&server->context_set, ctx, NACRE_SEAL);
}

static bool has_same_key(const nacre_context *ctx, const nacre_context *other, nacre_direction direction)
{
    return direction == NACRE_SEAL ? nacre_context_same_sender_key(ctx, other)
                                   : nacre_context_same_recipient_key(ctx, other);
}

/* Linear search: only for rejected contexts and, with probability 2^-64, for a mark that collides with another key's. */
static const nacre_context *find_twin(const nacre_server *server, const nacre_context *ctx, nacre_direction direction)
{
    for (size_t i = 0; i < server->table.num_slots; i++) {
        const nacre_context *other = server->slots[i].context;
        if (other == NULL || other == ctx) continue;
        if (has_same_key(ctx, other, direction)) return other;
    }
    return NULL;
}

/* Whether a context that is being removed, to which workers may still refer, has this key. */
static bool has_removed_twin(const nacre_server *server, const nacre_context *ctx, nacre_direction direction)
{
    const nacre__removal *at = server->removals;
    while (at != NULL && !has_same_key(ctx, nacre__removal_context(at), direction)) at = nacre__removal_next(at);
    return at != NULL;
}

/* Errors as nacre_table_add; nothing has changed then. NACRE_ERR_DUPLICATE_CONTEXT: `shared` tells which key. The caller holds
 * `index`. */
static nacre_err insert(nacre_server *server, nacre_context *ctx, const nacre_store *store, nacre_direction *shared)
{
    const uint64_t mark = sender_mark(server, ctx);
    *shared = NACRE_SEAL;
    if (nacre__key_marks_has(&server->senders, mark) && find_twin(server, ctx, NACRE_SEAL) != NULL)
        return NACRE_ERR_DUPLICATE_CONTEXT;
    if (has_removed_twin(server, ctx, NACRE_SEAL)) return NACRE_ERR_DUPLICATE_CONTEXT;
    *shared = NACRE_OPEN;
    if (has_removed_twin(server, ctx, NACRE_OPEN)) return NACRE_ERR_DUPLICATE_CONTEXT;
    nacre_err err = nacre__key_marks_reserve(&server->senders, 1);
    if (err == NACRE_OK && store->ops != NULL) err = nacre__stores_put(&server->stores, ctx, *store);
    if (err == NACRE_OK) err = add_to_table(server, ctx);
    if (err == NACRE_OK) nacre__key_marks_put(&server->senders, mark);
    else nacre__stores_remove(&server->stores, ctx);
    return err;
}

static void erase(nacre_server *server, nacre_context *ctx)
{
    lock_searches(server);
    nacre_table_remove(&server->table, ctx);
    atomic_store(&server->num_contexts, server->table.num_contexts);
    unlock_searches(server);
    nacre__key_marks_remove(&server->senders, sender_mark(server, ctx));
    nacre__stores_remove(&server->stores, ctx);
}

bool nacre__server_find_store(void *self, const nacre_context *ctx, nacre_store *store)
{
    nacre_server *server = self;
    (void)pthread_mutex_lock(&server->index);
    const nacre__store_entry *entry = nacre__stores_find(&server->stores, ctx);
    if (entry != NULL) *store = entry->store;
    (void)pthread_mutex_unlock(&server->index);
    return entry != NULL;
}

static void label_of(char label[NACRE__LABEL], nacre_server *server, const nacre_context *ctx)
{
    (void)snprintf(label, NACRE__LABEL, ctx != NULL ? "another context" : "a context that is being removed");
    (void)pthread_rwlock_rdlock(&server->names);
    const nacre__key *key = nacre__context_set_find(&server->context_set, ctx);
    if (key != NULL) nacre__key_label(label, key);
    (void)pthread_rwlock_unlock(&server->names);
    const nacre__store_entry *entry = ctx != NULL ? nacre__stores_find(&server->stores, ctx) : NULL;
    if (entry != NULL && nacre__sqlite_has(&entry->store)) nacre__sqlite_label(label, NACRE__LABEL, ctx);
}

static nacre_err refuse_twin(nacre_server *server, const nacre_context *ctx, nacre_direction shared, nacre_detail *why)
{
    char name[NACRE__LABEL], other[NACRE__LABEL];
    label_of(name, server, ctx);
    label_of(other, server, find_twin(server, ctx, shared));
    return nacre__twins_fail(why, shared, name, other);
}

/* ---- Directories and credentials ---------------------------------------------------------------------------------------- */

/* An endpoint tries at most NACRE_MAX_CANDIDATES contexts per request; contexts after those would never respond. A
 * request without ID Context may mean any context with its kid (RFC 8613 5.1). */
static bool is_crowded(const nacre_server *server, const nacre_context *ctx)
{
    nacre_bytes kid = nacre_context_recipient_id(ctx), kid_context = nacre_context_id_context(ctx);
    size_t cursor = 0;
    int num = 0;
    while (num < NACRE_MAX_CANDIDATES && nacre_table_find(&server->table, kid, kid_context, &cursor) != NULL) num++;
    return num == NACRE_MAX_CANDIDATES;
}

void nacre_server_set_role(nacre_server *server, nacre_role role)
{
    server->role = role;
}

static nacre_err insert_named(nacre_server *server, nacre_context *ctx, const nacre_store *store, const char *name,
                              nacre_detail *why)
{
    nacre_direction shared;
    (void)pthread_mutex_lock(&server->index);
    const bool crowded = is_crowded(server, ctx);
    const nacre_err err = crowded ? NACRE_ERR_UNSUPPORTED : insert(server, ctx, store, &shared);
    if (err == NACRE_ERR_DUPLICATE_CONTEXT) (void)refuse_twin(server, ctx, shared, why);
    (void)pthread_mutex_unlock(&server->index);
    if (err == NACRE_OK || err == NACRE_ERR_DUPLICATE_CONTEXT) return err;
    if (crowded)
        return nacre__fail(why, err,
                           "'%s' would be context number %d with one Recipient ID and ID Context, too many to try for "
                           "each request; make it with an ID Context of its own",
                           name, NACRE_MAX_CANDIDATES + 1);
    return nacre__fail(why, err, "cannot add the context of '%s': %s", name, nacre_err_text(err));
}

nacre_err nacre__server_add_credential(nacre_server *server, const nacre_credential *credential, nacre_detail *why)
{
    nacre_context *ctx;
    bool is_new;
    nacre__context_set *set = &server->context_set;
    const char *name = credential->directory != NULL ? credential->directory : credential->name;
    nacre_err err = nacre__context_set_use(set, &ctx, &is_new, credential, server->role, &server->crypto, NULL, why);
    if (err != NACRE_OK || !is_new) return err;
    err = insert_named(server, ctx, &set->keys[set->num - 1].store, name, why);
    if (err != NACRE_OK) nacre__context_set_drop(set, NULL);
    return err;
}

void nacre__server_begin_removal(nacre_server *server, nacre__removal *r, size_t index)
{
    nacre__key key;
    (void)pthread_mutex_lock(&server->index);
    erase(server, server->context_set.keys[index].ctx);
    nacre__context_set_take(&server->context_set, &key, index);
    nacre__removal_assign(r, &key);
    (void)pthread_mutex_unlock(&server->index);
    nacre__removal_start(r);
}

/* ---- Databases --------------------------------------------------------------------------------------------------------- */

nacre_err nacre__server_insert(nacre_server *server, nacre_context *ctx, nacre_detail *why)
{
    nacre_direction shared;
    char name[NACRE__LABEL], other[NACRE__LABEL];
    const nacre_store store = nacre_sqlite_store(ctx);
    nacre__sqlite_label(name, sizeof name, ctx);
    (void)pthread_mutex_lock(&server->index);
    const bool crowded = is_crowded(server, ctx);
    const nacre_err err = crowded ? NACRE_ERR_UNSUPPORTED : insert(server, ctx, &store, &shared);
    if (err == NACRE_ERR_DUPLICATE_CONTEXT) {
        label_of(other, server, find_twin(server, ctx, shared));
        (void)nacre__twins_fail(why, shared, name, other);
    }
    (void)pthread_mutex_unlock(&server->index);
    if (err == NACRE_OK || err == NACRE_ERR_DUPLICATE_CONTEXT) return err;
    if (crowded)
        return nacre__fail(
            why, err,
            "%s: is number %d with one Recipient ID and ID Context, too many to try for each request; it "
            "needs a Recipient ID of its own",
            name, NACRE_MAX_CANDIDATES + 1);
    return nacre__fail(why, err, "%s: cannot add it: %s", name, nacre_err_text(err));
}

void nacre__server_take_back(nacre_server *server, const nacre_context *ctx)
{
    (void)pthread_mutex_lock(&server->index);
    lock_searches(server);
    nacre_table_remove(&server->table, ctx);
    unlock_searches(server);
    atomic_store(&server->num_contexts, server->table.num_contexts);
    (void)pthread_mutex_unlock(&server->index);
}

void nacre__server_put_back(nacre_server *server, nacre_context *ctx)
{
    nacre_detail why;
    (void)pthread_mutex_lock(&server->index);
    const nacre_err err = add_to_table(server, ctx);
    if (err != NACRE_OK) (void)nacre__fail(&why, err, "a context is not served any more: %s", nacre_err_text(err));
    (void)pthread_mutex_unlock(&server->index);
    if (err != NACRE_OK) nacre__server_warn(server, why.text);
}

void nacre__server_forget(nacre_server *server, nacre_context *ctx)
{
    (void)pthread_mutex_lock(&server->index);
    erase(server, ctx);
    (void)pthread_mutex_unlock(&server->index);
}

const char *const *nacre_server_claims(const nacre_server *server, const nacre_context *context)
{
    nacre_store store;
    if (context == NULL) return NULL;
    const char *const *names = nacre__context_set_claims(&server->context_set, context);
    if (names != NULL || server->loader == NULL) return names;
    const bool is_known = nacre__server_find_store((void *)(uintptr_t)server, context, &store);
    return is_known && nacre__sqlite_has(&store) ? nacre__sqlite_claims(context) : NULL;
}

nacre_remote nacre_server_remote(const nacre_server *server, const nacre_request *request)
{
    return (nacre_remote){ .context = request->context,
                           .address = *request->peer,
                           .local = nacre_udp_local(nacre__server_first(server)->udp),
                           .claims = nacre_server_claims(server, request->context) };
}
