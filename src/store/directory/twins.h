/* SPDX-License-Identifier: MIT */
/* twins: which of many contexts have a Sender Key or a Recipient Key in common (RFC 8613 3.3). Directories are read without their
 * lock, and nothing is kept of them but marks of their keys (context/key_mark.h). */
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

/* Two contexts, and which key they share: the Sender Key (NACRE_SEAL), whatever else, or the Recipient Key alone (NACRE_OPEN). */
typedef struct nacre__twin {
    uint64_t owner, other;
    nacre_direction direction;
} nacre__twin;

/* nacre__twins_init: NACRE_OK: free it with nacre__twins_free; NACRE_ERR_CRYPTO (the system gives no random bytes). */
NACRE_MUST_USE nacre_err nacre__twins_init(nacre__twins *twins);
void nacre__twins_free(nacre__twins *twins);

/* nacre__twins_add takes in one context, under a number of the caller's. NACRE_OK, NACRE_ERR_NO_MEMORY. */
NACRE_MUST_USE nacre_err nacre__twins_add(nacre__twins *twins, const nacre_context *ctx, uint64_t owner);
/* The same, of a description with secret and salt. Also NACRE_ERR_CRYPTO, NACRE_ERR_UNSUPPORTED, NACRE_ERR_BAD_ARGUMENT. */
NACRE_MUST_USE nacre_err nacre__twins_add_info(nacre__twins *twins, const nacre_crypto *crypto,
                                               const nacre_directory_info *info, uint64_t owner);
/* The same, of a directory. One that cannot be read, or was moved into a pack, cannot be used either: it is left out, and its
 * error comes when it is opened. */
NACRE_MUST_USE nacre_err nacre__twins_add_directory(nacre__twins *twins, const nacre_crypto *crypto, const char *path,
                                                    nacre_role role, uint64_t owner);

/* nacre__twins_find gives every context that shares a key, with one of those that it shares it with, in the order of `owner`;
 * each pair comes once for each of the two. NACRE_OK: free `*found` (NULL: there are none); NACRE_ERR_NO_MEMORY. */
NACRE_MUST_USE nacre_err nacre__twins_find(nacre__twins *twins, nacre__twin **found, size_t *num_found);

/* nacre__twins_fail says of two contexts that they share a key, and what to do. Gives NACRE_ERR_DUPLICATE_CONTEXT. */
nacre_err nacre__twins_fail(nacre_detail *why, nacre_direction direction, const char *name, const char *other);

#endif
