/* SPDX-License-Identifier: MIT */
/* keyring: the contexts that a client or a server uses, each once, however many names and paths lead to it: directories, which
 * it opens, and contexts that the program made. With each it keeps the names that its owner is known by. */
#ifndef NACRE_IO_KEYRING_H
#define NACRE_IO_KEYRING_H

#include <nacre/credentials.h>
#include <nacre/loop.h>

#include <sys/types.h>

typedef struct nacre__key {
    nacre_context *ctx;
    nacre_store store;    /* `ops` NULL: none */
    nacre_directory *dir; /* that it lies in; NULL: the program's */
    char **claims;        /* num_claims names, and a NULL behind them */
    size_t num_claims;
    nacre_role role;
    dev_t dev; /* which directory this is, by whatever name */
    ino_t ino;
    uint64_t marks[2];     /* of its Sender Key and its Recipient Key (context/key_mark.h) */
    size_t settled_claims; /* how many names nacre__keyring_undo leaves */
} nacre__key;
typedef struct nacre__keyring {
    nacre__key *keys;
    size_t num, cap;
    size_t settled;    /* how many nacre__keyring_undo leaves */
    bool has_hash_key; /* it is drawn with the first mark */
    uint8_t hash_key[16];
} nacre__keyring;

/* A name for people: "PATH (CLAIM)", or one of them. */
enum { NACRE__LABEL = 200 };
void nacre__credential_label(char label[NACRE__LABEL], const char *claim, const char *path);
void nacre__key_label(char label[NACRE__LABEL], const nacre__key *key);
nacre__key *nacre__keyring_find(const nacre__keyring *ring, const nacre_context *ctx); /* NULL: it is not in */

/* The mark of a context's Sender Key or Recipient Key, under the ring's key. */
uint64_t nacre__keyring_mark(nacre__keyring *ring, const nacre_context *ctx, nacre_direction direction);

/* nacre__keyring_provider opens a provider for the contexts of a map (may be NULL): the fastest, or OpenSSL where the program
 * has put contexts in that were not made with that one. Close it with nacre_provider_close. NACRE_OK, or as
 * nacre_openssl_open. */
NACRE_MUST_USE nacre_err nacre__keyring_provider(nacre_crypto *crypto, const nacre_credentials *credentials);

/* nacre__keyring_use finds or takes in what a credential says (never a plain one): it opens the directory, in its role or else
 * in `role`, and adds the store to the loop. credential->name becomes a claim. `is_new` (may be NULL) tells which.
 * Errors as nacre_directory_open_as, NACRE_ERR_LOCKED when it is open in another role, NACRE_ERR_UNSUPPORTED for a
 * context of another provider, NACRE_ERR_DUPLICATE_CONTEXT when another one in the ring has its Sender Key or its Recipient
 * Key (RFC 8613 3.3); nothing is kept then. */
NACRE_MUST_USE nacre_err nacre__keyring_use(nacre__keyring *ring, nacre_context **ctx, bool *is_new,
                                            const nacre_credential *credential, nacre_role role,
                                            const nacre_crypto *crypto, nacre_loop *loop, nacre_detail *why);

/* nacre__keyring_claims gives the names of a context, with a NULL behind them; NULL for one that is not in. */
const char *const *nacre__keyring_claims(const nacre__keyring *ring, const nacre_context *ctx);

/* nacre__keyring_drop takes out and closes the last one that was opened. */
void nacre__keyring_drop(nacre__keyring *ring, nacre_loop *loop);

/* nacre__keyring_undo drops all contexts and names that came since nacre__keyring_settle. */
void nacre__keyring_settle(nacre__keyring *ring);
void nacre__keyring_undo(nacre__keyring *ring, nacre_loop *loop);

/* nacre__keyring_close closes all, after the loop was closed; the first failure is returned, and all are closed. */
nacre_err nacre__keyring_close(nacre__keyring *ring, nacre_detail *why);

#endif
