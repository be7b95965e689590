/* SPDX-License-Identifier: MIT */
/* keyring: the context directories that a client or a server has open, each once, however many paths lead to it. */
#ifndef NACRE_IO_KEYRING_H
#define NACRE_IO_KEYRING_H

#include <nacre/io.h>

#include <sys/types.h>

typedef struct nacre__key {
    nacre_directory *dir;
    nacre_role role;
    dev_t dev; /* which directory this is, by whatever name */
    ino_t ino;
} nacre__key;
typedef struct nacre__keyring {
    nacre__key *keys;
    size_t num, cap;
} nacre__keyring;

/* nacre__keyring_open finds or opens the directory, and adds its store to the loop. `is_new` (may be NULL) tells which.
 * Errors as nacre_directory_open_as, NACRE_ERR_LOCKED when it is open in another role; nothing is kept then. */
NACRE_MUST_USE nacre_err nacre__keyring_open(nacre__keyring *ring, nacre_context **ctx, bool *is_new, const char *path,
                                             nacre_role role, const nacre_crypto *crypto, nacre_loop *loop,
                                             nacre_detail *why);

/* nacre__keyring_drop takes out and closes the last one that was opened. */
void nacre__keyring_drop(nacre__keyring *ring, nacre_loop *loop);

/* nacre__keyring_close closes all, after the loop was closed; the first failure is returned, and all are closed. */
nacre_err nacre__keyring_close(nacre__keyring *ring, nacre_detail *why);

#endif
