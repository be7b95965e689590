/* SPDX-License-Identifier: MIT */
/* plugtest: shared by both sides of the public OSCORE interop tests: the four contexts, whose keys are public.
 *
 * A and B are the two sides of RFC 8613 C.1, C and D those of C.3, which has an ID Context. Clients use A and C, servers B and
 * D. */
#ifndef NACRE_TOOL_PLUGTEST_H
#define NACRE_TOOL_PLUGTEST_H

#include "tool.h"

/* The two programs. Each gets argv with its own name in argv[0], and returns the exit code. */
int plugtest_server_main(int argc, char **argv);
int plugtest_client_main(int argc, char **argv);

typedef struct plugtest_context {
    nacre_context *context;
    nacre_store store;    /* ops NULL: no store */
    nacre_directory *dir; /* in a state directory; NULL: in memory */
    nacre_context made;
    void *keys;
} plugtest_context;

/* A crypto instance that can produce wrong keys: while `inverted` is NACRE_SEAL or NACRE_OPEN, contexts made with it
 * get a sender key, or a recipient key, with every bit inverted. All calls must then use `crypto`. */
typedef struct plugtest_crypto {
    nacre_crypto_ops ops; /* first: the struct is found from its address */
    nacre_crypto under, crypto;
    int inverted; /* -1: neither */
} plugtest_crypto;
nacre_err plugtest_crypto_open(plugtest_crypto *crypto);
void plugtest_crypto_close(plugtest_crypto *crypto);

/* plugtest_open opens STATE/a … STATE/d (`letter`), and creates it if needed; without a state directory the context
 * is in memory. NACRE_OK, or as nacre_directory_open and nacre_directory_create. */
nacre_err plugtest_open(plugtest_context *c, char letter, const char *state, const nacre_crypto *crypto,
                        nacre_detail *why);

/* plugtest_derive makes a context in memory, starting at sequence number `next_seq`, with another Sender ID if one is given. */
nacre_err plugtest_derive(plugtest_context *c, char letter, const nacre_crypto *crypto, nacre_bytes sender_id,
                          uint64_t next_seq);

/* plugtest_close writes the state and wipes the context. An all-zero context may be closed. */
nacre_err plugtest_close(plugtest_context *c, nacre_detail *why);

enum { PLUGTEST_LARGE = 25 + 101 * 10 }; /* length of the text of /oscore/block */

#endif
