/* SPDX-License-Identifier: MIT */
/* context_set: the context set of a client or a server. Each context is in it once, whatever the number of names and paths:
 * directories, which the set opens, and contexts made by the program. Each has the names (claims) it was added under. */
#ifndef NACRE_IO_CONTEXT_SET_H
#define NACRE_IO_CONTEXT_SET_H

#include "io/claims.h"

#include <nacre/credentials.h>
#include <nacre/loop.h>

#include <pthread.h>
#include <sys/types.h>

typedef struct nacre__key {
    nacre_context *ctx;
    nacre_store store;    /* `ops` NULL: no store */
    nacre_directory *dir; /* the context's directory, owned; NULL: a context of the program */
    nacre__claims *claims;
    nacre__claims *settled; /* those that nacre__context_set_undo restores */
    nacre_role role;
    dev_t dev; /* with `ino`: identity of the directory, independent of its path */
    ino_t ino;
    uint64_t marks[2]; /* of its Sender Key and its Recipient Key (context/key_mark.h) */
} nacre__key;
typedef struct nacre__context_set {
    nacre__key *keys;
    size_t num, cap;
    size_t settled;    /* number of contexts that nacre__context_set_undo keeps */
    bool has_hash_key; /* drawn with the first mark */
    uint8_t hash_key[16];
    unsigned
        generation; /* of the credentials that contexts are added from: replacing a server's credentials begins a new one, from 1 on; 0: none */
    /* NULL: the set belongs to one thread. Else one thread at a time changes it, and others find claims in it meanwhile; what
     * they may still read is in `stale` */
    pthread_rwlock_t *lock;
    nacre__claims *stale;
} nacre__context_set;

/* A name for messages: "PATH (CLAIM)", or only one of the two. */
enum { NACRE__LABEL = 200 };
void nacre__credential_label(char label[NACRE__LABEL], const char *claim, const char *path);
void nacre__key_label(char label[NACRE__LABEL], const nacre__key *key);
nacre__key *nacre__context_set_find(const nacre__context_set *set, const nacre_context *ctx); /* NULL: not in the set */

/* Hash of a context's Sender Key or Recipient Key under the set's hash key. */
uint64_t nacre__context_set_mark(nacre__context_set *set, const nacre_context *ctx, nacre_direction direction);

/* nacre__context_set_provider opens a provider for the contexts of a map (may be NULL): the fastest, or OpenSSL if the map has
 * contexts of the program that the fastest did not make. Close it with nacre_provider_close. NACRE_OK, or as
 * nacre_openssl_open. */
NACRE_MUST_USE nacre_err nacre__context_set_provider(nacre_crypto *crypto, const nacre_credentials *credentials);

/* nacre__context_set_use finds or adds the context of a credential that is not plain: it opens the directory, in the
 * credential's role or else in `role`, and adds the store to the loop (NULL: the caller serves it). credential->name becomes a claim. `is_new` (may be
 * NULL): added now. On failure nothing is kept. Errors as nacre_directory_open_as, NACRE_ERR_LOCKED when it is open in another
 * role, NACRE_ERR_UNSUPPORTED for a context of another provider, NACRE_ERR_DUPLICATE_CONTEXT when another context in the set
 * has the same Sender Key or the same Recipient Key (RFC 8613 3.3). */
NACRE_MUST_USE nacre_err nacre__context_set_use(nacre__context_set *set, nacre_context **ctx, bool *is_new,
                                                const nacre_credential *credential, nacre_role role,
                                                const nacre_crypto *crypto, nacre_loop *loop, nacre_detail *why);

/* nacre__context_set_claims returns the names of a context, NULL-terminated; NULL for a context that is not in the set. */
const char *const *nacre__context_set_claims(const nacre__context_set *set, const nacre_context *ctx);

/* nacre__context_set_drop removes and closes the context that was added last. */
void nacre__context_set_drop(nacre__context_set *set, nacre_loop *loop);

/* nacre__context_set_take removes the context at that index, and gives it to the caller: nacre__key_close closes it, and returns
 * what nacre_directory_close does. */
void nacre__context_set_take(nacre__context_set *set, nacre__key *key, size_t index);
nacre_err nacre__key_close(nacre__key *key, nacre_detail *why);

/* nacre__context_set_undo drops all contexts and names added since nacre__context_set_settle. */
void nacre__context_set_settle(nacre__context_set *set);
void nacre__context_set_undo(nacre__context_set *set, nacre_loop *loop);

/* nacre__context_set_drop_before drops the names of context `index` that come from credentials of an earlier generation. NACRE_OK;
 * NACRE_ERR_NO_MEMORY: nothing has changed. */
NACRE_MUST_USE nacre_err nacre__context_set_drop_before(nacre__context_set *set, size_t index, unsigned generation);

/* nacre__context_set_stale gives the lists of names that other threads may still read to the caller. */
nacre__claims *nacre__context_set_stale(nacre__context_set *set);

/* nacre__context_set_close closes all contexts, after the loop was closed; returns the first failure. */
nacre_err nacre__context_set_close(nacre__context_set *set, nacre_detail *why);

#endif
