/* SPDX-License-Identifier: MIT */
/* twins: finds contexts that share a Sender Key or a Recipient Key (RFC 8613 3.3). Directories are read without their lock;
 * only hashes of their keys are kept (context/key_mark.h). */
#ifndef NACRE_STORE_TWINS_H
#define NACRE_STORE_TWINS_H

#include <nacre/crypto.h>
#include <nacre/store.h>

typedef struct nacre__twin_key { /* private: one key of one context */
    uint64_t mark, owner;
    nacre_direction direction;
} nacre__twin_key;
typedef struct nacre__twins {
    nacre__twin_key *keys; /* private */
    size_t num, cap;
    uint8_t hash_key[16];
} nacre__twins;

/* Two contexts and the key they share. NACRE_SEAL: the Sender Key, perhaps both; NACRE_OPEN: only the Recipient Key. */
typedef struct nacre__twin {
    uint64_t owner, other;
    nacre_direction direction;
} nacre__twin;

/* nacre__twins_init: NACRE_OK: free with nacre__twins_free; NACRE_ERR_CRYPTO: no random bytes. */
NACRE_MUST_USE nacre_err nacre__twins_init(nacre__twins *twins);
void nacre__twins_free(nacre__twins *twins);

/* nacre__twins_add adds one context; `owner` is the caller's number for it. NACRE_OK, NACRE_ERR_NO_MEMORY. */
NACRE_MUST_USE nacre_err nacre__twins_add(nacre__twins *twins, const nacre_context *ctx, uint64_t owner);
/* The same from `info` with secret and salt. Also NACRE_ERR_CRYPTO, NACRE_ERR_UNSUPPORTED, NACRE_ERR_BAD_ARGUMENT. */
NACRE_MUST_USE nacre_err nacre__twins_add_info(nacre__twins *twins, const nacre_crypto *crypto,
                                               const nacre_directory_info *info, uint64_t owner);
/* The same from a directory. One that cannot be read, or was moved into a database, is skipped: opening it reports the error. */
NACRE_MUST_USE nacre_err nacre__twins_add_directory(nacre__twins *twins, const nacre_crypto *crypto, const char *path,
                                                    nacre_role role, uint64_t owner);

/* nacre__twins_find gives, for each context and key that it shares, one context that shares it, ordered by `owner`. Two
 * contexts that share both keys are paired once per owner. NACRE_OK: free `*found` (NULL: none); NACRE_ERR_NO_MEMORY. */
NACRE_MUST_USE nacre_err nacre__twins_find(nacre__twins *twins, nacre__twin **found, size_t *num_found);

/* nacre__twins_fail writes the error text for two contexts that share a key. Returns NACRE_ERR_DUPLICATE_CONTEXT. */
nacre_err nacre__twins_fail(nacre_detail *why, nacre_direction direction, const char *name, const char *other);

#endif
